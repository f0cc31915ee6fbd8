/*
 * From the command line to struct machine_spec: -machine, -smp, -m, -rtc and what else has a syntax of its own.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/options.h"
#include "core/accel.h"
#include "core/device.h"
#include "core/machine.h"
#include "main/builtin.h"
#include "main/config.h"
#include "main/displays.h"

/* --- -machine --- */

static const char *const on_off_auto[] = { "on", "off", "auto", NULL };

/* Keys that every board takes. `only`: values that are taken; anything else is known and not built. */
static const struct option_desc machine_desc[] = {
    { "type", OPT_STRING, "pc", "the board", NULL, 0, 0 },
    { "accel", OPT_STRING, "kvm:tcg", "engines to try, separated by colons", NULL, 0, 0 },
    { "graphics", OPT_BOOL, "on", "whether firmware may use a display", NULL, 0, 0 },
    { "acpi", OPT_ENUM, "on", "ACPI tables", on_off_auto, 0, 0 },
    { "hpet", OPT_BOOL, "off", "HPET (not built: off)", NULL, 0, 0 },
    { "usb", OPT_BOOL, "off", "USB controller (not built: off)", NULL, 0, 0 },
    { "smm", OPT_ENUM, "auto", "system management mode", on_off_auto, 0, 0 },
    { "vmport", OPT_ENUM, "off", "VMware port (not built: off or auto)", on_off_auto, 0, 0 },
    { "pflash0", OPT_STRING, NULL, "node of the first flash memory (-blockdev)", NULL, 0, 0 },
    { "pflash1", OPT_STRING, NULL, "node of the second one, below it", NULL, 0, 0 },
    { "dump-guest-core", OPT_BOOL, "on", "whether a core dump of the emulator holds guest memory", NULL, 0, 0 },
    { "mem-merge", OPT_BOOL, "on", "whether the host may merge equal pages", NULL, 0, 0 },
    { 0 },
};

struct options *machine_options_parse(const char *text, GError **err)
{
    return options_parse(text, "type", machine_desc, err);
}

static bool refuse_unbuilt(const struct options *o, GError **err)
{
    static const char *const unbuilt[] = { "usb", "vmport", "hpet", NULL };

    for (unsigned i = 0; unbuilt[i]; i++) {
        if (!strcmp(options_string(o, unbuilt[i], "off"), "on") || options_bool(o, unbuilt[i], false)) {
            return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: -machine %s=on", unbuilt[i]);
        }
    }
    return true;
}

void machine_help(FILE *out)
{
    fprintf(out, "Supported machines are:\n");
    for (unsigned i = 0; builtin_boards[i]; i++) {
        const struct board *b = builtin_boards[i];

        if (b->alias) {
            fprintf(out, "%-20s %s (alias of %s)\n", b->alias, b->desc, b->name);
        }
        fprintf(out, "%-20s %s%s\n", b->name, b->desc, i ? "" : " (default)");
    }
    fprintf(out, "Keys of -machine:\n");
    options_help(machine_desc, out);
    for (unsigned i = 0; builtin_boards[i]; i++) {
        if (builtin_boards[i]->options) {
            options_help(builtin_boards[i]->options, out);
        }
    }
}

void accel_help(FILE *out)
{
    fprintf(out, "Accelerators supported:\n");
    for (const struct accel_ops *const *a = accels(); *a; a++) {
        fprintf(out, "%s\n", (*a)->name);
    }
    for (const struct accel_ops *const *a = accels(); *a; a++) {
        fprintf(out, "%s: %s\n", (*a)->name, (*a)->desc ? (*a)->desc : "");
        if ((*a)->options) {
            options_help((*a)->options, out);
        }
    }
}

void device_help(FILE *out)
{
    for (const struct device_class *const *c = device_classes(); *c; c++) {
        if ((*c)->user_creatable) {
            fprintf(out, "name \"%s\", bus %s, desc \"%s\"\n", (*c)->name, (*c)->bus, (*c)->desc);
        }
    }
}

/* --- -smp --- */

bool spec_smp(const char *text, struct machine_spec *spec, unsigned max, GError **err)
{
    static const struct option_desc desc[] = {
        { "cpus", OPT_UINT, "1", "vCPUs", NULL, 0, 0 }, { "maxcpus", OPT_UINT, NULL, "with those that could be plugged in", NULL, 0, 0 },
        { "sockets", OPT_UINT, NULL, NULL, NULL, 0, 0 }, { "dies", OPT_UINT, NULL, NULL, NULL, 0, 0 },
        { "clusters", OPT_UINT, NULL, NULL, NULL, 0, 0 }, { "cores", OPT_UINT, NULL, NULL, NULL, 0, 0 },
        { "threads", OPT_UINT, NULL, NULL, NULL, 0, 0 }, { 0 },
    };
    struct options *o = options_parse(text, "cpus", desc, err);
    uint64_t cpus, maxcpus, sockets, dies, cores, threads, total;
    const char *key, *value;
    bool ok = o != NULL;

    for (unsigned i = 0; ok && i < options_count(o); i++) {
        options_at(o, i, &key, &value);
        total = options_uint(o, key, 0);
        if (total == 0) {
            ok = error_set(err, EMU_ERROR_INVALID, "%s must be at least 1", key);
        } else if (total > max) {
            ok = error_set(err, EMU_ERROR_INVALID, "%s=%s: this machine has at most %u vCPUs", key, value, max);
        }
    }
    if (ok && options_uint(o, "clusters", 1) > 1) {
        ok = error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: clusters on this machine");
    }
    if (!ok) {
        options_free(o);
        return false;
    }
    cpus = options_uint(o, "cpus", 0);
    maxcpus = options_uint(o, "maxcpus", 0);
    sockets = options_uint(o, "sockets", 0);
    dies = options_uint(o, "dies", 1);
    cores = options_uint(o, "cores", 0);
    threads = options_uint(o, "threads", 0);
    options_free(o);
    total = maxcpus ? maxcpus : cpus;
    if (!total) {
        sockets = MAX(sockets, 1);
        cores = MAX(cores, 1);
        threads = MAX(threads, 1);
    } else if (!cores) {
        /* What is not said goes to the cores, as on QEMU since 6.2. */
        sockets = MAX(sockets, 1);
        threads = MAX(threads, 1);
        cores = MAX(total / (sockets * dies * threads), 1);
    } else if (!sockets) {
        threads = MAX(threads, 1);
        sockets = MAX(total / (dies * cores * threads), 1);
    } else if (!threads) {
        threads = MAX(total / (sockets * dies * cores), 1);
    }
    maxcpus = total ? total : sockets * dies * cores * threads;
    cpus = cpus ? cpus : maxcpus;
    if (sockets * dies * cores * threads != maxcpus) {
        return error_set(err, EMU_ERROR_INVALID, "%" PRIu64 " sockets * %" PRIu64 " dies * %" PRIu64 " cores * %" PRIu64
                         " threads are not %" PRIu64 " vCPUs", sockets, dies, cores, threads, maxcpus);
    }
    if (cpus > maxcpus) {
        return error_set(err, EMU_ERROR_INVALID, "cpus=%" PRIu64 " is more than maxcpus=%" PRIu64, cpus, maxcpus);
    }
    if (maxcpus > max) {
        return error_set(err, EMU_ERROR_INVALID, "%" PRIu64 " vCPUs: this machine has at most %u", maxcpus, max);
    }
    if (maxcpus > cpus) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: maxcpus beyond cpus (plugging vCPUs in)");
    }
    spec->cpus = (unsigned)cpus;
    spec->max_cpus = (unsigned)maxcpus;
    spec->sockets = (unsigned)sockets;
    spec->dies = (unsigned)dies;
    spec->cores = (unsigned)cores;
    spec->threads = (unsigned)threads;
    return true;
}

/* --- -m --- */

bool spec_memory(const char *text, uint64_t *bytes, GError **err)
{
    static const struct option_desc desc[] = {
        { "size", OPT_STRING, "1G", NULL, NULL, 0, 0 }, { "slots", OPT_UINT, "0", NULL, NULL, 0, 0 },
        { "maxmem", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { 0 },
    };
    struct options *o = options_parse(text, "size", desc, err);
    uint64_t max = 0;
    bool ok;

    if (!o) {
        return false;
    }
    ok = parse_size(options_string(o, "size", "1G"), 1 << 20, bytes, err) &&
         (!options_has(o, "maxmem") || parse_size(options_string(o, "maxmem", "0"), 1 << 20, &max, err));
    if (ok && *bytes == 0) {
        ok = error_set(err, EMU_ERROR_INVALID, "a machine needs memory, 64M for instance");
    } else if (ok && (options_uint(o, "slots", 0) || max > *bytes)) {
        ok = error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: slots and maxmem (plugging memory in)");
    } else if (ok && *bytes > UINT64_MAX - PAGE_SIZE) {
        ok = error_set(err, EMU_ERROR_INVALID, "%s is too large", options_string(o, "size", ""));
    }
    options_free(o);
    if (ok) {
        *bytes = (*bytes + PAGE_SIZE - 1) & PAGE_MASK;
    }
    return ok;
}

/* --- -rtc --- */

/* 2024-01-31 or 2024-01-31T12:30:00, UTC. */
static bool parse_date(const char *text, int64_t *ns, GError **err)
{
    struct tm tm = { 0 };
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    time_t t;

    if (!end || *end) {
        tm = (struct tm){ 0 };
        end = strptime(text, "%Y-%m-%d", &tm);
    }
    if (!end || *end) {
        return error_set(err, EMU_ERROR_INVALID, "base: '%s' is neither utc, localtime nor a date like 2024-01-31T12:30:00", text);
    }
    t = timegm(&tm);
    *ns = (int64_t)t * (int64_t)NS_PER_S;
    return true;
}

bool spec_rtc(const char *text, int64_t now_ns, struct machine_spec *spec, GError **err)
{
    static const char *const clocks[] = { "host", "vm", "rt", NULL }, *const drift[] = { "none", "slew", NULL };
    static const struct option_desc desc[] = {
        { "base", OPT_STRING, "utc", NULL, NULL, 0, 0 }, { "clock", OPT_ENUM, "host", NULL, clocks, 0, 0 },
        { "driftfix", OPT_ENUM, "none", NULL, drift, 0, 0 }, { 0 },
    };
    struct options *o = options_parse(text, "base", desc, err);
    const char *base;
    int64_t start = 0;
    bool ok = true;

    if (!o) {
        return false;
    }
    base = options_string(o, "base", "utc");
    if (strcmp(options_string(o, "clock", "host"), "host")) {
        ok = error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: clock=%s", options_string(o, "clock", ""));
    } else if (!strcmp(base, "localtime")) {
        spec->rtc_localtime = true;
    } else if (strcmp(base, "utc")) {
        ok = parse_date(base, &start, err);
        spec->rtc_offset_ns = ok ? start - now_ns : 0;
    }
    options_free(o);
    return ok;
}

bool spec_uuid(const char *text, GError **err)
{
    return g_uuid_string_is_valid(text) ||
           error_set(err, EMU_ERROR_INVALID, "not a UUID like 01234567-89ab-cdef-0123-456789abcdef");
}

/* "-name NAME" or "guest=NAME,process=NAME,debug-threads=on". The result lives as long as the process. */
static bool spec_name(const char *text, struct machine_spec *spec, GError **err)
{
    static const struct option_desc desc[] = {
        { "guest", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { "process", OPT_STRING, NULL, NULL, NULL, 0, 0 },
        { "debug-threads", OPT_BOOL, "on", NULL, NULL, 0, 0 }, { 0 },
    };
    struct options *o = options_parse(text, "guest", desc, err);

    if (!o) {
        return false;
    }
    spec->name = g_intern_string(options_string(o, "guest", ""));
    options_free(o);
    return true;
}

/* --- all of it --- */

static bool spec_board(const struct config *cfg, struct machine_spec *spec, GError **err)
{
    const char *type = options_string(cfg->machine, "type", builtin_boards[0]->name);
    GPtrArray *names;

    spec->board = board_find(type);
    if (spec->board) {
        return true;
    }
    names = g_ptr_array_new();
    for (unsigned i = 0; builtin_boards[i]; i++) {
        g_ptr_array_add(names, (char *)builtin_boards[i]->name);
        if (builtin_boards[i]->alias) {
            g_ptr_array_add(names, (char *)builtin_boards[i]->alias);
        }
    }
    g_ptr_array_add(names, NULL);
    error_unknown(err, "machine", type, (const char *const *)names->pdata, "-machine help");
    g_ptr_array_free(names, TRUE);
    return false;
}

bool spec_fill(const struct config *cfg, struct machine_spec *spec, GError **err)
{
    struct timespec now;

    if (!spec_board(cfg, spec, err) || !refuse_unbuilt(cfg->machine, err)) {
        return false;
    }
    if (!spec_smp(cfg->smp ? cfg->smp : "1", spec, spec->board->max_cpus, err)) {
        return error_prefix(err, "-smp %s", cfg->smp);
    }
    spec->ram_size = spec->board->default_ram;
    if (cfg->memory && !spec_memory(cfg->memory, &spec->ram_size, err)) {
        return error_prefix(err, "-m %s", cfg->memory);
    }
    clock_gettime(CLOCK_REALTIME, &now);
    if (cfg->rtc && !spec_rtc(cfg->rtc, (int64_t)now.tv_sec * (int64_t)NS_PER_S + now.tv_nsec, spec, err)) {
        return error_prefix(err, "-rtc %s", cfg->rtc);
    }
    if (cfg->name && !spec_name(cfg->name, spec, err)) {
        return error_prefix(err, "-name %s", cfg->name);
    }
    if (cfg->initrd && !cfg->kernel) {
        return error_set(err, EMU_ERROR_INVALID, "-initrd needs -kernel");
    }
    if (cfg->append && !cfg->kernel) {
        return error_set(err, EMU_ERROR_INVALID, "-append needs -kernel");
    }
    spec->cpu_model = cfg->cpu;
    spec->kernel = cfg->kernel;
    spec->initrd = cfg->initrd;
    spec->append = cfg->append;
    spec->firmware = cfg->firmware;
    spec->dtb = cfg->dtb;
    spec->smm = strcmp(options_string(cfg->machine, "smm", "auto"), "off");
    spec->uuid = cfg->uuid;
    spec->acpi = !cfg->no_acpi && strcmp(options_string(cfg->machine, "acpi", "on"), "off");
    spec->hpet = false;
    spec->graphics = displays_want_card(cfg) && !cfg->nographic && options_bool(cfg->machine, "graphics", true);
    spec->machine_options = cfg->machine;
    return spec_firmware(cfg, spec, err);
}
