/*
 * Disks on the command line. The short forms become -drive options; drives with an interface get their device here, so boards only make
 * controllers. What block/ cannot know is joined here: policies that stop the machine, and draining when it stops.
 */
#include "main/drives.h"

#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "block/block.h"
#include "core/bus.h"
#include "core/device.h"
#include "core/machine.h"
#include "main/config.h"

struct drive_arg {
    const char *how, *value;
};

/* Short forms, and what they are short for. */
static const struct {
    const char *name, *options;
} shorts[] = {
    { "", "index=0,media=disk" }, { "hda", "index=0,media=disk" }, { "hdb", "index=1,media=disk" }, { "hdc", "index=2,media=disk" },
    { "hdd", "index=3,media=disk" }, { "cdrom", "index=2,media=cdrom" }, { "fda", "if=floppy,index=0" }, { "fdb", "if=floppy,index=1" },
    { "pflash", "if=pflash" },
};

bool drives_take(struct config *cfg, const char *how, const char *value, GError **err)
{
    struct drive_arg *a = g_new(struct drive_arg, 1);
    (void)err;
    *a = (struct drive_arg){ how, value };
    g_ptr_array_add(cfg->drives, a);
    return true;
}

/* Units of a bus, by which index= counts; 0: one bus has them all. */
static void units(const struct machine *m, unsigned n[DRIVE_SD + 1])
{
    memset(n, 0, (DRIVE_SD + 1) * sizeof(*n));
    n[DRIVE_IDE] = m->spec.board->ide_units ? m->spec.board->ide_units : 2;
    n[DRIVE_SCSI] = 7;
}

static void stop_machine(void *opaque, struct drive *d, int error)
{
    struct machine *m = opaque;
    block_warn("drive '%s': %s; the machine is stopped ('cont' tries again)", d->id ? d->id : d->port.device_id, g_strerror(error));
    machine_request_pause(m);
}

static void on_state(void *opaque, enum run_state s)
{
    struct drives *all = opaque;
    if (s == RUN_RUNNING) {
        drives_resume(all);
    } else {
        drives_drain(all);
        drives_flush(all);
    }
}

static bool open_short(struct drives *all, const struct config *cfg, const struct drive_arg *a, const unsigned *n, GError **err)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(shorts); i++) {
        if (strcmp(shorts[i].name, a->how)) {
            continue;
        }
        struct options *o = options_parse(shorts[i].options, NULL, NULL, err);
        bool ok = o && options_add(o, "file", a->value, NULL, err) && drive_open(all, o, cfg->snapshot, n, err);
        options_free(o);
        return ok || (*a->how ? error_prefix(err, "-%s %s", a->how, a->value) : error_prefix(err, "%s", a->value));
    }
    return true;
}

static bool open_long(struct drives *all, const struct config *cfg, const struct drive_arg *a, const unsigned *n, GError **err)
{
    bool node = !strcmp(a->how, "blockdev");
    struct options *o = options_parse(a->value, node ? "driver" : NULL, NULL, err);
    bool ok = o && (node ? node_open_options(all, o, err) : drive_open(all, o, cfg->snapshot, n, err) != NULL);
    options_free(o);
    return ok || error_prefix(err, "-%s %s", a->how, a->value);
}

/* An empty CD drive where everybody expects one, unless the user places CD or disk drives himself. */
static bool default_cdrom(struct drives *all, const struct config *cfg, const unsigned *n, GError **err)
{
    static const char *const own[] = { "ide-cd", "ide-hd", "scsi-cd", "scsi-hd", NULL };
    int bus = 2 / (int)n[DRIVE_IDE], unit = 2 % (int)n[DRIVE_IDE];
    if (cfg->nodefaults || drive_by_place(all, DRIVE_IDE, bus, unit)) {
        return true;
    }
    for (unsigned i = 0; i < cfg->devices->len; i++) {
        const char *text = g_ptr_array_index(cfg->devices, i);
        size_t len = strcspn(text, ",");
        for (unsigned k = 0; own[k]; k++) {
            if ((strlen(own[k]) == len && !strncmp(own[k], text, len)) || (*text == '{' && strstr(text, own[k]))) {
                return true;
            }
        }
    }
    struct options *o = options_parse("index=2,media=cdrom", NULL, NULL, err);
    bool ok = o && drive_open(all, o, false, n, err);
    options_free(o);
    return ok;
}

bool drives_open(struct machine *m, const struct config *cfg, GError **err)
{
    unsigned n[DRIVE_SD + 1];
    m->drives = drives_new(&(struct drives_hooks){ stop_machine, m });
    units(m, n);
    for (int nodes = 1; nodes >= 0; nodes--) {         /* -drive and -device may name nodes that come later */
        for (unsigned i = 0; i < cfg->drives->len; i++) {
            const struct drive_arg *a = g_ptr_array_index(cfg->drives, i);
            bool is_node = !strcmp(a->how, "blockdev"), ok = true;
            if (is_node == (nodes == 1)) {
                ok = is_node || !strcmp(a->how, "drive") ? open_long(m->drives, cfg, a, n, err) : open_short(m->drives, cfg, a, n, err);
            }
            if (!ok) {
                return false;
            }
        }
    }
    machine_on_state(m, on_state, m->drives);
    return default_cdrom(m->drives, cfg, n, err);
}

static struct bus *find_bus(struct machine *m, const char *kind, int n)
{
    for (unsigned i = 0; i < m->buses->len; i++) {
        struct bus *b = g_ptr_array_index(m->buses, i);
        if (!strcmp(b->kind, kind) && !n--) {
            return b;
        }
    }
    return NULL;
}

static bool make(struct machine *m, struct drive *d, const char *class, const char *bus, bool unit, GError **err)
{
    const struct device_class *c = device_class_find(class);
    char number[16];
    g_snprintf(number, sizeof(number), "%d", d->unit);
    if (!c) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: device '%s'", class);
    }
    struct device *x = device_new(m, c, NULL);
    bool ok = device_set(x, "drive", d->id, err) && (!bus || device_set(x, "bus", bus, err)) && (!unit || device_set(x, "unit", number, err));
    d->auto_made = false;
    return ok && device_add(x, err);
}

static bool make_device(struct machine *m, struct drive *d, bool by_default, GError **err)
{
    struct bus *b;
    switch (d->interface) {
    case DRIVE_IDE:
        b = find_bus(m, "IDE", d->bus);
        if (b) {
            return make(m, d, d->cdrom ? "ide-cd" : "ide-hd", b->name, true, err);
        }
        if (by_default && !d->medium) {
            return true;                 /* no IDE here: then no empty CD drive either */
        }
        break;
    case DRIVE_VIRTIO:
        return make(m, d, "virtio-blk-pci", NULL, false, err);
    case DRIVE_FLOPPY:
        b = find_bus(m, "floppy-bus", d->bus);
        if (b) {
            return make(m, d, "floppy", b->name, true, err);
        }
        break;
    case DRIVE_PFLASH:
        if (d->claimed) {
            return true;
        }
        break;
    default:
        break;
    }
    return error_set(err, EMU_ERROR_INVALID, "-drive id=%s: machine type does not support if=%s,bus=%d,unit=%d", d->id, drive_if_name(d->interface),
                     d->bus, d->unit);
}

bool drives_devices(struct machine *m, const struct config *cfg, GError **err)
{
    bool ok = true;
    (void)cfg;
    machine_lock(m);
    for (unsigned i = 0; ok && i < drives_count(m->drives); i++) {
        struct drive *d = drives_at(m->drives, i);
        ok = d->interface == DRIVE_NONE || d->claimed || make_device(m, d, d->cdrom, err);
    }
    machine_unlock(m);
    return ok;
}

void drives_close(struct drives *all)
{
    drives_free(all);
}
