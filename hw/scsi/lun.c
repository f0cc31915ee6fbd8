/*
 * Logical units: requests from CDB to status. The commands are in lun_disk.c and lun_cd.c. See lun.h.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "hw/scsi/lun_priv.h"

static const struct field sense_fields[] = {
    STATE(struct scsi_sense, key),
    STATE(struct scsi_sense, asc),
    STATE(struct scsi_sense, ascq),
};

const struct field scsi_lun_fields[] = {
    WIRING(struct scsi_lun, drive),
    WIRING(struct scsi_lun, conf),
    WIRING(struct scsi_lun, cd),
    WIRING(struct scsi_lun, atapi),
    WIRING(struct scsi_lun, block),
    WIRING(struct scsi_lun, vendor),
    WIRING(struct scsi_lun, product),
    WIRING(struct scsi_lun, revision),
    WIRING(struct scsi_lun, serial),
    WIRING(struct scsi_lun, wwn),
    WIRING(struct scsi_lun, unmaps),
    STATE_STRUCT(struct scsi_lun, attention, sense_fields, 1),
    STATE_STRUCT(struct scsi_lun, sense, sense_fields, 1),
    STATE(struct scsi_lun, stopped),
    { .name = "events", .use = FIELD_STATE, .type = FIELD_BYTES, .offset = offsetof(struct scsi_lun, media_event), .size = 2 },
};
G_STATIC_ASSERT(G_N_ELEMENTS(scsi_lun_fields) == SCSI_LUN_N_FIELDS);

void scsi_lun_init(struct scsi_lun *l, const struct disk_conf *conf, bool cd)
{
    l->drive = conf->drive;
    l->conf = conf;
    l->cd = cd;
    l->block = conf->logical_block_size;
    l->unmaps = drive_discards(conf->drive);
}

void scsi_lun_reset(struct scsi_lun *l)
{
    if (!l->atapi) {
        l->attention = (struct scsi_sense){ SENSE_UNIT_ATTENTION, 0x29, 0 };   /* power on or reset */
    }
    drive_lock_tray(l->drive, false);
}

void scsi_lun_medium(void *opaque, bool load)
{
    struct scsi_lun *l = opaque;
    l->media_event = true;
    if (load) {
        l->attention = (struct scsi_sense){ SENSE_UNIT_ATTENTION, 0x28, 0 };   /* medium may have changed */
    }
}

void scsi_lun_eject_request(void *opaque, bool force)
{
    (void)force;
    ((struct scsi_lun *)opaque)->eject_event = true;
}

unsigned scsi_cdb_length(uint8_t op)
{
    static const uint8_t length[8] = { 6, 10, 10, 0, 16, 12, 0, 0 };
    return length[op >> 5];
}

void scsi_fail(struct scsi_req *r, uint8_t key, uint8_t asc, uint8_t ascq)
{
    r->status = SCSI_CHECK_CONDITION;
    r->sense = (struct scsi_sense){ key, asc, ascq };
    r->lun->sense = r->sense;
    r->bytes = 0;
    r->dir = SCSI_NO_DATA;
}

void scsi_sense_bytes(struct scsi_sense s, uint8_t out[SCSI_SENSE_SIZE])
{
    memset(out, 0, SCSI_SENSE_SIZE);
    out[0] = 0x70;
    out[2] = s.key;
    out[7] = 10;
    out[12] = s.asc;
    out[13] = s.ascq;
}

uint64_t scsi_blocks(const struct scsi_lun *l) { return drive_size(l->drive) / l->block; }

void scsi_answer(struct scsi_req *r, uint32_t len, uint32_t allowed)
{
    r->bytes = MIN(len, allowed);
    r->dir = r->bytes ? SCSI_IN : SCSI_NO_DATA;
}

void scsi_wants(struct scsi_req *r, uint32_t len)
{
    if (len > SCSI_BUFFER) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        return;
    }
    r->bytes = len;
    r->dir = len ? SCSI_OUT : SCSI_NO_DATA;
}

bool scsi_media(struct scsi_req *r, uint64_t lba, uint64_t n, enum scsi_dir dir)
{
    uint64_t blocks = scsi_blocks(r->lun);
    if (lba > blocks || n > blocks - lba) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x21, 0);          /* out of range */
        return false;
    }
    if (n > SCSI_XFER_MAX / r->lun->block && dir != SCSI_NO_DATA) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        return false;
    }
    r->media = true;
    r->at = lba * r->lun->block;
    r->blocks = n;
    r->dir = n ? dir : SCSI_NO_DATA;
    r->bytes = dir == SCSI_NO_DATA ? 0 : n * r->lun->block;
    return true;
}

static const struct scsi_command *find(const struct scsi_lun *l, uint8_t op)
{
    for (const struct scsi_command *c = scsi_disk_commands; c->op != 0xff; c++) {
        if (c->op == op && (c->flags & (l->cd ? CMD_CD : CMD_DISK))) {
            return c;
        }
    }
    for (const struct scsi_command *c = scsi_cd_commands; l->cd && c->op != 0xff; c++) {
        if (c->op == op) {
            return c;
        }
    }
    return NULL;
}

void scsi_begin(struct scsi_req *r, struct scsi_lun *l, const uint8_t *cdb, unsigned len)
{
    *r = (struct scsi_req){ .lun = l, .opaque = r->opaque };
    memcpy(r->cdb, cdb, MIN(len, sizeof(r->cdb)));
    r->command = find(l, cdb[0]);
    if (cdb[0] != 0x03) {                                      /* REQUEST SENSE tells of the command before */
        l->sense = (struct scsi_sense){ 0 };
    }
    if (!r->command) {
        log_unimp("scsi: command %02x", cdb[0]);
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x20, 0);
        return;
    }
    if (l->attention.key && !(r->command->flags & CMD_ALWAYS)) {
        struct scsi_sense a = l->attention;
        l->attention = (struct scsi_sense){ 0 };
        scsi_fail(r, a.key, a.asc, a.ascq);
        return;
    }
    if (!(r->command->flags & CMD_NO_MEDIUM) && !drive_has_medium(l->drive)) {
        scsi_fail(r, SENSE_NOT_READY, 0x3a, l->cd ? (l->drive->tray_open ? 2 : 1) : 0);
        return;
    }
    if (!(r->command->flags & CMD_NO_MEDIUM) && l->stopped && !l->cd) {
        scsi_fail(r, SENSE_NOT_READY, 0x04, 2);                /* an initialising command is required */
        return;
    }
    if ((r->command->flags & CMD_WRITES) && drive_read_only(l->drive)) {
        scsi_fail(r, SENSE_DATA_PROTECT, 0x27, 0);
        return;
    }
    r->buf = g_malloc0(SCSI_BUFFER);
    if (r->command->begin) {
        r->command->begin(r);
    }
}

void scsi_end(struct scsi_req *r)
{
    g_free(r->buf);
    g_free(r->bounce);
    r->buf = r->bounce = NULL;
}

void scsi_io_failed(struct scsi_req *r, int error)
{
    switch (error) {
    case ENOMEDIUM:
        scsi_fail(r, SENSE_NOT_READY, 0x3a, 0);
        break;
    case ENOSPC:
        scsi_fail(r, SENSE_DATA_PROTECT, 0x27, 7);             /* space allocation failed */
        break;
    case EACCES:
    case EPERM:
        scsi_fail(r, SENSE_DATA_PROTECT, 0x27, 0);
        break;
    case ECANCELED:
        scsi_fail(r, SENSE_ABORTED, 0, 0);
        break;
    case ENOMEM:
        scsi_fail(r, SENSE_HARDWARE_ERROR, 0x44, 0);
        break;
    default:
        scsi_fail(r, SENSE_MEDIUM_ERROR, r->io.op == BLOCK_READ ? 0x11 : 0x0c, 0);
    }
}

static void transferred(struct block_req *io, int error)
{
    struct scsi_req *r = io->opaque;
    if (error) {
        scsi_io_failed(r, error);
    }
    r->done(r);
}

static void copy(uint8_t *buf, const struct iovec *iov, unsigned n, uint64_t bytes, bool in)
{
    for (unsigned i = 0; i < n && bytes; i++) {
        size_t len = MIN(iov[i].iov_len, bytes);
        if (in) {
            memcpy(iov[i].iov_base, buf, len);
        } else {
            memcpy(buf, iov[i].iov_base, len);
        }
        buf += len;
        bytes -= len;
    }
}

void scsi_transfer(struct scsi_req *r, uint64_t skip, const struct iovec *iov, unsigned n, uint64_t bytes, void (*done)(struct scsi_req *r))
{
    if (skip > r->bytes || bytes > r->bytes - skip || r->status || !bytes) {
        done(r);
        return;
    }
    if (!r->media) {
        copy(r->buf + skip, iov, n, bytes, r->dir == SCSI_IN);
        done(r);
        return;
    }
    r->done = done;
    r->io = (struct block_req){ .op = r->dir == SCSI_IN ? BLOCK_READ : BLOCK_WRITE, .offset = r->at + skip, .bytes = bytes, .iov = iov, .n_iov = n,
        .done = transferred, .opaque = r };
    /* FUA of the commands that have it: bit 3 of byte 1, not in the 6-byte forms. */
    if (r->dir == SCSI_OUT && r->cdb[0] >= 0x20 && ((r->cdb[1] & 0x08) || r->cdb[0] == 0x2e || r->cdb[0] == 0x8e || r->cdb[0] == 0xae)) {
        r->io.flags = BLOCK_FUA;
    }
    drive_submit(r->lun->drive, &r->io);
}

static void finished(struct block_req *io, int error)
{
    struct scsi_req *r = io->opaque;
    if (error) {
        scsi_io_failed(r, error);
        r->done(r);
    } else if (r->command->finish(r)) {
        r->done(r);
    }
}

void scsi_start(struct scsi_req *r, enum block_op op, uint64_t offset, uint64_t bytes, const struct iovec *iov, unsigned flags)
{
    r->io = (struct block_req){ .op = op, .flags = flags, .offset = offset, .bytes = bytes, .iov = iov, .n_iov = iov ? 1 : 0,
        .done = finished, .opaque = r };
    drive_submit(r->lun->drive, &r->io);
}

void scsi_finish(struct scsi_req *r, void (*done)(struct scsi_req *r))
{
    r->done = done;
    if (r->status || !r->command || !r->command->finish || r->command->finish(r)) {
        done(r);
    }
}
