/*
 * See disk_conf.h.
 */
#include "hw/scsi/disk_conf.h"

#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "core/boot_order.h"
#include "core/bus.h"
#include "core/machine.h"

static const char *const auto_on_off[] = { "auto", "on", "off", NULL };
static const char *const errors[] = { "auto", "report", "ignore", "stop", "enospc", NULL };

const struct field disk_conf_fields[] = {
    PROP(struct disk_conf, drive_name, .option = "drive", .help = "id of a -drive or node-name of a -blockdev"),
    PROP(struct disk_conf, write_cache, .option = "write-cache", .def = "auto", .values = auto_on_off, .help = "whether the guest finds a write cache that is on"),
    PROP(struct disk_conf, on_write, .option = "werror", .def = "auto", .values = errors, .help = "what happens when a write fails"),
    PROP(struct disk_conf, on_read, .option = "rerror", .def = "auto", .values = errors, .help = "what happens when a read fails"),
    PROP(struct disk_conf, serial, .help = "serial number that the guest reads"),
    PROP(struct disk_conf, bootindex, .def = "-1", .help = "place in the firmware's boot order"),
    PROP(struct disk_conf, logical_block_size, .def = "0", .max = 32768, .help = "bytes of a block the guest addresses; 0: 512"),
    PROP(struct disk_conf, physical_block_size, .def = "0", .max = 2097152, .help = "bytes of a block of the medium; 0: as logical"),
    PROP(struct disk_conf, min_io_size, .def = "0", .help = "bytes a transfer should at least have"),
    PROP(struct disk_conf, opt_io_size, .def = "0", .help = "bytes a transfer had best have"),
    PROP(struct disk_conf, discard_granularity, .def = "0", .help = "bytes that are discarded together; 0: a block"),
    PROP(struct disk_conf, cyls, .def = "0", .max = 65535, .help = "cylinders; 0: by size"),
    PROP(struct disk_conf, heads, .def = "0", .max = 255, .help = "heads; 0: by size"),
    PROP(struct disk_conf, secs, .def = "0", .max = 255, .help = "sectors of a track; 0: by size"),
    PROP(struct disk_conf, share_rw, .option = "share-rw", .def = "off", .help = "others may write the image too (only off)"),
    WIRING(struct disk_conf, drive),
};
G_STATIC_ASSERT(G_N_ELEMENTS(disk_conf_fields) == DISK_CONF_N_FIELDS);

static bool block_size(const char *what, uint32_t v, uint32_t least, GError **err)
{
    return !v || ((v & (v - 1)) == 0 && v >= least) ||
           error_set(err, EMU_ERROR_INVALID, "%s must be a power of two between %u and 2097152 (is %u)", what, least, v);
}

static bool check(struct disk_conf *c, enum disk_kind kind, GError **err)
{
    if (c->share_rw) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: share-rw=on");
    }
    if (!block_size("logical_block_size", c->logical_block_size, 512, err) || !block_size("physical_block_size", c->physical_block_size, 512, err)) {
        return false;
    }
    c->logical_block_size = c->logical_block_size ? c->logical_block_size : kind == DISK_CD ? 2048 : 512;
    c->physical_block_size = MAX(c->physical_block_size, c->logical_block_size);
    return true;
}

static enum drive_on_error policy(const char *text, enum drive_on_error def)
{
    static const enum drive_on_error value[] = { ON_ERROR_DEFAULT, ON_ERROR_REPORT, ON_ERROR_IGNORE, ON_ERROR_STOP, ON_ERROR_ENOSPC };
    for (unsigned i = 1; errors[i]; i++) {
        if (!strcmp(errors[i], text)) {
            return value[i];
        }
    }
    return def;
}

bool disk_conf_init(struct disk_conf *c, struct device *d, enum disk_kind kind, const struct drive_port *port, const char *suffix, GError **err)
{
    char *end;
    int64_t index = g_ascii_strtoll(c->bootindex, &end, 10);
    if (*end || !*c->bootindex) {
        return error_set(err, EMU_ERROR_INVALID, "bootindex=%s is not a number", c->bootindex);
    }
    if (!check(c, kind, err)) {
        return false;
    }
    struct drive_port p = *port;
    p.device_id = d->id;
    p.path = d->bus ? d->bus->name : d->class->name;
    p.removable = kind != DISK_FIXED;
    p.tray = kind == DISK_CD;
    if (!c->drive_name && kind == DISK_FIXED) {
        return error_set(err, EMU_ERROR_INVALID, "drive property not set");
    }
    c->drive = c->drive_name ? drive_claim(d->machine->drives, c->drive_name, &p, err) : drive_claim_empty(d->machine->drives, &p);
    if (!c->drive) {
        return false;
    }
    if (kind == DISK_FIXED && !c->drive->medium) {
        return error_set(err, EMU_ERROR_INVALID, "Device needs media, but drive is empty");
    }
    if (strcmp(c->write_cache, "auto")) {
        c->drive->write_cache = !strcmp(c->write_cache, "on");
    }
    c->drive->on_write = policy(c->on_write, c->drive->on_write);
    c->drive->on_read = policy(c->on_read, c->drive->on_read);
    if (!c->serial && c->drive->serial) {
        c->serial = g_strdup(c->drive->serial);
    }
    boot_order_add(d->machine, d, index, suffix);
    return true;
}

void disk_conf_fini(struct disk_conf *c, struct device *d)
{
    boot_order_remove(d->machine, d);
    drive_release(c->drive);
    c->drive = NULL;
}

void disk_conf_geometry(const struct disk_conf *c, uint32_t *cyls, uint32_t *heads, uint32_t *secs)
{
    uint64_t sectors = drive_size(c->drive) / 512;
    *heads = c->heads ? c->heads : 16;
    *secs = c->secs ? c->secs : 63;
    *cyls = c->cyls ? c->cyls : (uint32_t)CLAMP(sectors / (16 * 63), 2, 16383);
}
