/*
 * What every disk device can be told: its drive, block sizes, cache, errors, boot order. A struct disk_conf in the device's struct, one row in its
 * table, disk_conf_init() in its init.
 */
#ifndef HW_SCSI_DISK_CONF_H
#define HW_SCSI_DISK_CONF_H

#include "block/block.h"
#include "core/device.h"

struct disk_conf {
    char *drive_name, *write_cache, *on_write, *on_read, *serial, *bootindex;
    uint32_t logical_block_size, physical_block_size, min_io_size, opt_io_size, discard_granularity;   /* bytes; 0: what suits */
    uint32_t cyls, heads, secs;
    bool share_rw;
    struct drive *drive;                 /* never NULL after init */
};

extern const struct field disk_conf_fields[];
#define DISK_CONF_N_FIELDS 16
#define DISK_CONF(type_, member) { FIELD_OF(type_, member), .use = FIELD_STATE, .type = FIELD_STRUCT, .count = 1, .fields = disk_conf_fields, \
    .n_fields = DISK_CONF_N_FIELDS }

enum disk_kind { DISK_FIXED, DISK_CD, DISK_FLOPPY };

/*
 * Takes the drive. Removable kinds may have none (then an empty one is made); fixed ones need a medium. `suffix`: of the firmware's
 * path (core/boot_order.h), may be NULL. port: its functions and opaque; names and kind are filled here. Machine lock.
 */
bool disk_conf_init(struct disk_conf *c, struct device *d, enum disk_kind kind, const struct drive_port *port, const char *suffix, GError **err);
void disk_conf_fini(struct disk_conf *c, struct device *d);
/* Cylinders, heads, sectors: as asked for, else the usual ones for the size. heads at most `max_heads`. */
void disk_conf_geometry(const struct disk_conf *c, uint32_t *cyls, uint32_t *heads, uint32_t *secs);

#endif
