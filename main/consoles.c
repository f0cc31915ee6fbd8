/*
 * Streams of the machine: see main/consoles.h.
 */
#include "main/consoles.h"

#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "chardev/registry.h"
#include "core/device.h"
#include "core/machine.h"
#include "main/builtin.h"
#include "main/config.h"
#include "monitor/monitor.h"

enum { SERIAL_MAX = 4 };

struct consoles {
    struct machine *machine;
    struct chardevs *chardevs;            /* outlives the machine */
    GPtrArray *streams;                   /* struct chardev * of the monitors */
    GPtrArray *monitors;                  /* struct monitor * */
};

/* What the command line means: specs of the serial ports (NULL ends) and of the monitor. */
struct plan {
    const char *serial[SERIAL_MAX + 1];
    const char *monitor;
};

static struct plan plan_of(const struct config *cfg)
{
    struct plan p = { .monitor = cfg->monitor };
    /* Without a window and without a word about the terminal, the terminal is what the user looks at. */
    bool terminal = cfg->nographic || (!cfg->display && !cfg->nodefaults && !cfg->daemonize);

    for (unsigned i = 0; i < MIN(cfg->serials->len, (guint)SERIAL_MAX); i++) {
        p.serial[i] = g_ptr_array_index(cfg->serials, i);
    }
    if (!terminal || cfg->nodefaults) {
        return p;
    }
    if (!p.serial[0] && !p.monitor) {
        p.serial[0] = "mon:stdio";
    } else if (!p.serial[0]) {
        p.serial[0] = strcmp(p.monitor, "stdio") ? "stdio" : NULL;
    } else if (!p.monitor && cfg->nographic) {
        bool free_stdio = true;

        for (unsigned i = 0; p.serial[i]; i++) {
            free_stdio = free_stdio && strcmp(p.serial[i], "stdio") && !g_str_has_prefix(p.serial[i], "mon:");
        }
        p.monitor = free_stdio ? "stdio" : NULL;
    }
    return p;
}

bool consoles_use_stdio(const struct config *cfg)
{
    struct plan p = plan_of(cfg);
    bool use = p.monitor && strstr(p.monitor, "stdio");

    for (unsigned i = 0; p.serial[i]; i++) {
        use = use || !strcmp(p.serial[i], "stdio") || !strcmp(p.serial[i], "mon:stdio");
    }
    return use;
}

static void quit(void *opaque)
{
    machine_request_shutdown(opaque, SHUTDOWN_HOST_QUIT);
}

/* The id of what a -serial or the like names: "chardev:ID", or one that is made under `label`. NULL: "none", or *err. */
static const char *stream_id(struct machine *m, const char *spec, const char *label, GError **err)
{
    if (!strcmp(spec, "none")) {
        return NULL;
    }
    if (g_str_has_prefix(spec, "chardev:")) {
        return spec + 8;
    }
    return chardevs_add_short(m->chardevs, label, spec, err) ? label : NULL;
}

static bool add_monitor(struct consoles *c, const char *id, GError **err)
{
    struct chardev *stream = chardevs_claim(c->machine->chardevs, id, "monitor", err);

    if (stream) {
        g_ptr_array_add(c->streams, stream);
    }
    return stream != NULL;
}

static bool open_serial(struct consoles *c, const char *spec, unsigned n, GError **err)
{
    char label[16];
    const char *id;
    GError *why = NULL;

    g_snprintf(label, sizeof(label), "serial%u", n);
    id = stream_id(c->machine, spec, label, &why);
    if (id) {
        c->machine->spec.serial[n] = chardevs_claim(c->machine->chardevs, id, label, &why);
    }
    /* "mon:" means a monitor beside the port. */
    if (id && !why && g_str_has_prefix(spec, "mon:")) {
        add_monitor(c, id, &why);
    }
    if (why) {
        g_propagate_error(err, why);
        return error_prefix(err, "-serial %s", spec);
    }
    return true;
}

static bool open_monitor(struct consoles *c, const char *spec, GError **err)
{
    GError *why = NULL;
    const char *id = stream_id(c->machine, g_str_has_prefix(spec, "mon:") ? spec + 4 : spec, "compat_monitor0", &why);

    if (id) {
        add_monitor(c, id, &why);
    }
    if (why) {
        g_propagate_error(err, why);
        return error_prefix(err, "-monitor %s", spec);
    }
    return true;
}

static bool open_mon(struct consoles *c, const char *text, GError **err)
{
    static const char *const modes[] = { "readline", "control", NULL };
    static const struct option_desc desc[] = {
        { "chardev", OPT_STRING, NULL, "the character device", NULL, 0, 0 }, { "mode", OPT_ENUM, "readline", "who talks", modes, 0, 0 },
        { "id", OPT_STRING, NULL, "a name", NULL, 0, 0 }, { "pretty", OPT_BOOL, "off", "indent JSON", NULL, 0, 0 }, { 0 },
    };
    struct options *o = options_parse(text, "chardev", desc, err);
    bool ok = o != NULL;

    if (ok && !strcmp(options_string(o, "mode", "readline"), "control")) {
        ok = error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: mode=control (QMP)");
    } else if (ok && !options_has(o, "chardev")) {
        ok = error_set(err, EMU_ERROR_INVALID, "chardev=NAME is missing");
    }
    ok = ok && add_monitor(c, options_string(o, "chardev", ""), err);
    options_free(o);
    return ok || error_prefix(err, "-mon %s", text);
}

/* -parallel, -debugcon: a character device and a device that uses it. */
static bool open_port(struct machine *m, const char *option, const char *spec, const char *label, const char *device, GError **err)
{
    GError *why = NULL;
    const char *id = spec ? stream_id(m, spec, label, &why) : NULL;
    const struct device_class *class = device_class_find(device);

    if (id && !class) {
        error_set(&why, EMU_ERROR_NOT_SUPPORTED, "not supported: %s", device);
    } else if (id) {
        machine_lock(m);
        device_make(m, class, label, &why, "chardev", id, NULL);
        machine_unlock(m);
    }
    if (why) {
        g_propagate_error(err, why);
        return error_prefix(err, "-%s %s", option, spec);
    }
    return true;
}

bool consoles_devices(const struct config *cfg, struct machine *m, GError **err)
{
    return open_port(m, "parallel", cfg->parallel, "parallel0", "isa-parallel", err) &&
           open_port(m, "debugcon", cfg->debugcon, "debugcon", "isa-debugcon", err);
}

struct consoles *consoles_open(const struct config *cfg, struct machine *m, GError **err)
{
    struct consoles *c = g_new0(struct consoles, 1);
    struct plan p = plan_of(cfg);
    bool ok = true;

    c->machine = m;
    c->streams = g_ptr_array_new();
    c->monitors = g_ptr_array_new();
    m->chardevs = c->chardevs = chardevs_new(quit, m, cfg->escape);
    if (cfg->serials->len > SERIAL_MAX) {
        ok = error_set(err, EMU_ERROR_INVALID, "-serial: a PC has at most %d serial ports", SERIAL_MAX);
    }
    for (unsigned i = 0; ok && i < cfg->chardevs->len; i++) {
        const char *text = g_ptr_array_index(cfg->chardevs, i);

        ok = chardevs_add(m->chardevs, text, err) || error_prefix(err, "-chardev %s", text);
    }
    for (unsigned i = 0; ok && p.serial[i]; i++) {
        ok = open_serial(c, p.serial[i], i, err);
    }
    ok = ok && (!p.monitor || open_monitor(c, p.monitor, err));
    for (unsigned i = 0; ok && i < cfg->monitors->len; i++) {
        ok = open_mon(c, g_ptr_array_index(cfg->monitors, i), err);
    }
    if (!ok) {
        consoles_close(c);
        return NULL;
    }
    return c;
}

void consoles_start(struct consoles *c)
{
    for (unsigned i = 0; i < c->streams->len; i++) {
        g_ptr_array_add(c->monitors, monitor_new(c->machine, g_ptr_array_index(c->streams, i), builtin_commands));
    }
}

void consoles_close(struct consoles *c)
{
    for (unsigned i = 0; i < c->monitors->len; i++) {
        monitor_free(g_ptr_array_index(c->monitors, i));
    }
    chardevs_free(c->chardevs);
    g_ptr_array_free(c->streams, TRUE);
    g_ptr_array_free(c->monitors, TRUE);
    g_free(c);
}
