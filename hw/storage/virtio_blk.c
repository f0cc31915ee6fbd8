/*
 * Virtio block device: several queues of requests against one drive. Spec: VIRTIO 1.2, 5.2.
 * Left out: SCSI passthrough of the legacy interface, secure erase, zones, lifetime; discard and write-zeroes take one range a request.
 */
#include "hw/storage/virtio_blk.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "core/machine.h"
#include "hw/scsi/disk_conf.h"
#include "hw/virtio/virtio_pci.h"

#define SECTOR 512u
#define HEADER 16u                       /* le32 type, le32 reserved, le64 sector */
#define ID_BYTES 20u
#define RANGE_SECTORS 0x3fffffu          /* of one discard: 2 GiB */

enum { F_SEG_MAX = 2, F_GEOMETRY = 4, F_RO = 5, F_BLK_SIZE = 6, F_FLUSH = 9, F_TOPOLOGY = 10, F_CONFIG_WCE = 11, F_MQ = 12, F_DISCARD = 13,
       F_WRITE_ZEROES = 14 };
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };
enum {                                   /* 5.2.4: offsets in the configuration */
    C_CAPACITY = 0, C_SEG_MAX = 12, C_CYLINDERS = 16, C_HEADS = 18, C_SECTORS = 19, C_BLK_SIZE = 20, C_PHYSICAL_EXP = 24, C_MIN_IO = 26,
    C_OPT_IO = 28, C_WRITEBACK = 32, C_NUM_QUEUES = 34, C_DISCARD_SECTORS = 36, C_DISCARD_SEG = 40, C_DISCARD_ALIGN = 44, C_ZERO_SECTORS = 48,
    C_ZERO_SEG = 52, C_ZERO_UNMAP = 56, CONFIG_BYTES = 60,
};

struct virtio_blk {
    struct virtio v;
    struct disk_conf conf;
    char *iothread;
    uint16_t num_queues, queue_size;
    bool config_wce, discard, write_zeroes, scsi;
};

struct request {
    struct virtio_elem elem;
    struct block_req block;
    struct virtio_blk *blk;
    struct iovec *iov;                   /* the data, without header and status; owned */
};

static struct virtio_blk *blk_of(struct virtio *v) { return (struct virtio_blk *)v; }

static void put(struct virtio *v, unsigned at, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++) {
        v->config[at + i] = (uint8_t)(value >> 8 * i);
    }
}

/* --- requests --- */

static void finish(struct request *r, uint8_t status)
{
    struct virtqueue *q = r->elem.queue;
    uint64_t bytes = r->elem.in.bytes;

    g_clear_pointer(&r->iov, g_free);
    dma_sg_write(&r->elem.in, bytes - 1, &status, 1);
    virtio_push(q, &r->elem, bytes);
    virtio_notify(q);
}

static void block_done(struct block_req *b, int error)
{
    struct request *r = b->opaque;

    finish(r, error ? S_IOERR : S_OK);
}

/* [from, from+bytes) of a list as pieces of its own. Returns how many. */
static unsigned slice(const struct dma_sg *sg, uint64_t from, uint64_t bytes, struct iovec **out)
{
    struct iovec *v = *out = g_new(struct iovec, sg->n ? sg->n : 1);
    unsigned n = 0;

    for (unsigned i = 0; i < sg->n && bytes; i++) {
        uint64_t len = sg->iov[i].iov_len;

        if (from >= len) {
            from -= len;
            continue;
        }
        len = MIN(len - from, bytes);
        v[n++] = (struct iovec){ (char *)sg->iov[i].iov_base + from, len };
        bytes -= len;
        from = 0;
    }
    return n;
}

static void transfer(struct request *r, bool write, uint64_t sector)
{
    const struct dma_sg *sg = write ? &r->elem.out : &r->elem.in;
    uint64_t bytes = write ? sg->bytes - HEADER : sg->bytes - 1;

    if (!bytes || bytes % SECTOR || sector > UINT64_MAX / SECTOR) {
        finish(r, S_IOERR);
        return;
    }
    r->block.op = write ? BLOCK_WRITE : BLOCK_READ;
    r->block.offset = sector * SECTOR;
    r->block.bytes = bytes;
    r->block.n_iov = slice(sg, write ? HEADER : 0, bytes, &r->iov);
    r->block.iov = r->iov;
    drive_submit(r->blk->conf.drive, &r->block);
}

/* 5.2.6: one struct { le64 sector; le32 sectors; le32 flags } */
static void range(struct request *r, bool zero)
{
    uint8_t b[16];
    uint64_t sector;
    uint32_t sectors, flags;

    if (r->elem.out.bytes != HEADER + sizeof(b) || dma_sg_read(&r->elem.out, HEADER, b, sizeof(b)) != sizeof(b)) {
        finish(r, r->elem.out.bytes % sizeof(b) ? S_IOERR : S_UNSUPP);
        return;
    }
    memcpy(&sector, b, 8);
    memcpy(&sectors, b + 8, 4);
    memcpy(&flags, b + 12, 4);
    sector = GUINT64_FROM_LE(sector);
    sectors = GUINT32_FROM_LE(sectors);
    flags = GUINT32_FROM_LE(flags);
    if (flags & ~(zero ? 1u : 0u)) {
        finish(r, S_UNSUPP);
        return;
    }
    if (!sectors || sectors > RANGE_SECTORS || sector > UINT64_MAX / SECTOR - sectors) {
        finish(r, S_IOERR);
        return;
    }
    r->block.op = zero ? BLOCK_ZERO : BLOCK_DISCARD;
    r->block.flags = zero && flags ? BLOCK_MAY_UNMAP : 0;
    r->block.offset = sector * SECTOR;
    r->block.bytes = (uint64_t)sectors * SECTOR;
    drive_submit(r->blk->conf.drive, &r->block);
}

static void get_id(struct request *r)
{
    const struct disk_conf *c = &r->blk->conf;
    const char *serial = c->serial ? c->serial : c->drive->serial ? c->drive->serial : "";
    char id[ID_BYTES] = "";

    strncpy(id, serial, sizeof(id));
    if (r->elem.in.bytes - 1 < sizeof(id)) {
        finish(r, S_IOERR);
        return;
    }
    dma_sg_write(&r->elem.in, 0, id, sizeof(id));
    finish(r, S_OK);
}

static void start(struct request *r)
{
    const struct virtio *v = r->elem.queue->v;
    uint8_t h[HEADER];
    uint32_t type;
    uint64_t sector;

    dma_sg_read(&r->elem.out, 0, h, sizeof(h));
    memcpy(&type, h, 4);
    memcpy(&sector, h + 8, 8);
    type = GUINT32_FROM_LE(type);
    sector = GUINT64_FROM_LE(sector);
    r->block.done = block_done;
    r->block.opaque = r;
    switch (type) {
    case T_IN:
    case T_OUT:
        transfer(r, type == T_OUT, sector);
        break;
    case T_FLUSH:
        r->block.op = BLOCK_FLUSH;
        drive_submit(r->blk->conf.drive, &r->block);
        break;
    case T_GET_ID:
        get_id(r);
        break;
    case T_DISCARD:
    case T_WRITE_ZEROES:
        if (virtio_has(v, type == T_DISCARD ? F_DISCARD : F_WRITE_ZEROES)) {
            range(r, type == T_WRITE_ZEROES);
            break;
        }
        /* fall through */
    default:
        finish(r, S_UNSUPP);
    }
}

static void blk_queue(struct virtqueue *q)
{
    struct virtio_blk *b = blk_of(q->v);
    struct request *r;

    drive_plug(b->conf.drive);
    while ((r = virtio_pop(q, sizeof(*r)))) {
        if (r->elem.out.bytes < HEADER || !r->elem.in.bytes) {
            virtio_drop(q, &r->elem);
            virtio_broken(q->v, "virtio-blk: a request without header or status");
            break;
        }
        r->blk = b;
        start(r);
    }
    drive_unplug(b->conf.drive);
}

/* --- configuration --- */

static void show_capacity(struct virtio_blk *b) { put(&b->v, C_CAPACITY, 8, drive_size(b->conf.drive) / SECTOR); }

static void blk_resized(void *opaque)
{
    struct virtio_blk *b = opaque;

    show_capacity(b);
    virtio_config_changed(&b->v);
}

static void show_config(struct virtio_blk *b)
{
    const struct disk_conf *c = &b->conf;
    uint32_t cyls, heads, secs, per_block = c->logical_block_size / SECTOR;
    struct virtio *v = &b->v;
    const struct { uint8_t at, size; uint64_t value; } rows[] = {
        { C_SEG_MAX, 4, b->queue_size - 2u }, { C_BLK_SIZE, 4, c->logical_block_size },
        { C_PHYSICAL_EXP, 1, (unsigned)__builtin_ctz(c->physical_block_size / c->logical_block_size) },
        { C_MIN_IO, 2, c->min_io_size / c->logical_block_size }, { C_OPT_IO, 4, c->opt_io_size / c->logical_block_size },
        { C_WRITEBACK, 1, c->drive->write_cache }, { C_NUM_QUEUES, 2, b->num_queues },
        { C_DISCARD_SECTORS, 4, RANGE_SECTORS }, { C_DISCARD_SEG, 4, 1 },
        { C_DISCARD_ALIGN, 4, MAX(c->discard_granularity / SECTOR, per_block) }, { C_ZERO_SECTORS, 4, RANGE_SECTORS }, { C_ZERO_SEG, 4, 1 },
        { C_ZERO_UNMAP, 1, drive_discards(c->drive) },
    };

    disk_conf_geometry(c, &cyls, &heads, &secs);
    put(v, C_CYLINDERS, 2, MIN(cyls, 65535u));
    put(v, C_HEADS, 1, heads);
    put(v, C_SECTORS, 1, secs);
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        put(v, rows[i].at, rows[i].size, rows[i].value);
    }
    show_capacity(b);
}

static void set_write_cache(struct virtio_blk *b, bool on)
{
    b->conf.drive->write_cache = on;
    put(&b->v, C_WRITEBACK, 1, on);
}

static void blk_config_write(struct virtio *v, unsigned offset, unsigned size, const uint8_t *bytes)
{
    if (offset == C_WRITEBACK && size == 1 && virtio_has(v, F_CONFIG_WCE) && bytes[0] <= 1) {
        set_write_cache(blk_of(v), bytes[0]);
        return;
    }
    log_guest("virtio-blk: configuration byte %u is not to be written", offset);
}

/* 5.2.5: a driver that cannot flush gets a cache that writes through. */
static void blk_status(struct virtio *v, uint8_t old)
{
    if ((v->status & ~old & VIRTIO_STATUS_DRIVER_OK) && !virtio_has(v, F_CONFIG_WCE) && !virtio_has(v, F_FLUSH)) {
        set_write_cache(blk_of(v), false);
    }
}

/* --- life --- */

static bool blk_init(struct virtio *v, GError **err)
{
    struct virtio_blk *b = blk_of(v);
    struct machine *m = v->dev->machine;
    const struct drive_port port = { .resized = blk_resized, .opaque = b };

    if (b->scsi) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: scsi=on");
    }
    if (b->queue_size < 4 || (b->queue_size & (b->queue_size - 1))) {
        return error_set(err, EMU_ERROR_INVALID, "queue-size=%u is not a power of two from 4 to %u", b->queue_size, VIRTIO_QUEUE_SIZE);
    }
    if (!b->num_queues) {
        b->num_queues = (uint16_t)MIN(MAX(m->spec.cpus, 1u), VIRTIO_QUEUES - 1u);
    }
    if (!disk_conf_init(&b->conf, v->dev, DISK_FIXED, &port, "/disk@0,0", err)) {
        return false;
    }
    for (unsigned i = 0; i < b->num_queues; i++) {
        if (!virtio_queue_add(v, b->queue_size, blk_queue, err)) {
            disk_conf_fini(&b->conf, v->dev);
            return false;
        }
    }
    v->offered |= VIRTIO_BIT(F_SEG_MAX) | VIRTIO_BIT(F_GEOMETRY) | VIRTIO_BIT(F_BLK_SIZE) | VIRTIO_BIT(F_FLUSH) | VIRTIO_BIT(F_TOPOLOGY) |
                  (b->config_wce ? VIRTIO_BIT(F_CONFIG_WCE) : 0) | (b->num_queues > 1 ? VIRTIO_BIT(F_MQ) : 0) |
                  (b->discard ? VIRTIO_BIT(F_DISCARD) : 0) | (b->write_zeroes ? VIRTIO_BIT(F_WRITE_ZEROES) : 0) |
                  (drive_read_only(b->conf.drive) ? VIRTIO_BIT(F_RO) : 0);
    show_config(b);
    return true;
}

/* Requests in flight come back in here, and go nowhere: their rings are of before the reset. */
static void blk_reset(struct virtio *v)
{
    struct virtio_blk *b = blk_of(v);

    if (b->conf.drive) {
        drive_cancel(b->conf.drive);
    }
}

static void blk_fini(struct virtio *v)
{
    blk_reset(v);
    disk_conf_fini(&blk_of(v)->conf, v->dev);
}

static const struct field blk_fields[] = {
    VIRTIO_FIELDS,
    DISK_CONF(struct virtio_blk, conf),
    PROP(struct virtio_blk, iothread, .help = "an -object iothread; taken, and all I/O is started in the main loop or on a vCPU"),
    PROP(struct virtio_blk, num_queues, .option = "num-queues", .def = "0", .max = VIRTIO_QUEUES - 1, .help = "queues; 0: one a vCPU"),
    PROP(struct virtio_blk, queue_size, .option = "queue-size", .def = "256", .min = 4, .max = VIRTIO_QUEUE_SIZE, .help = "descriptors of a queue"),
    PROP(struct virtio_blk, config_wce, .option = "config-wce", .def = "on", .help = "the guest may switch the write cache"),
    PROP(struct virtio_blk, discard, .def = "on", .help = "the guest may discard"),
    PROP(struct virtio_blk, write_zeroes, .option = "write-zeroes", .def = "on", .help = "the guest may have zeroes written"),
    PROP(struct virtio_blk, scsi, .def = "off", .help = "SCSI commands of the legacy interface (only off)"),
};
static const struct virtio_class blk_class = {
    .name = "virtio-blk", .id = VIRTIO_ID_BLOCK, .config_size = CONFIG_BYTES, .init = blk_init, .fini = blk_fini, .reset = blk_reset,
    .config_write = blk_config_write, .status = blk_status,
};
static const struct field blk_pci_fields[] = { VIRTIO_PCI_FIELDS, VIRTIO_PCI_DEVICE(struct virtio_blk, blk_fields) };
static const struct virtio_pci_variant blk_pci[] = VIRTIO_PCI_VARIANTS(&blk_class, 0x010000, 0x1001);
const struct device_class virtio_blk_pci_classes[3] = VIRTIO_PCI_CLASSES("virtio-blk", "disk", blk_pci, struct virtio_blk, blk_pci_fields);
