/*
 * PACKET: ATAPI carries SCSI commands; they are hw/scsi's. Here is the transport: the packet, byte counts, interrupt reasons, DMA. Spec: ATA/ATAPI-7 vol. 1
 * 6.22 to 6.24, vol. 2 5.9 to 5.11.
 */
#include <string.h>

#include "base/log.h"
#include "hw/storage/ide.h"

enum { REASON_CD = 1, REASON_IO = 2 };   /* interrupt reason, in the count register */

#define PIECE 65536u                     /* bytes moved between host and buffer at once */

static void put16(uint8_t *id, unsigned word, uint32_t v)
{
    id[word * 2] = (uint8_t)v;
    id[word * 2 + 1] = (uint8_t)(v >> 8);
}

void ide_cd_identify(struct ide_unit *u)
{
    uint8_t *id = u->buf;
    static const struct { uint8_t word; uint16_t value; } rows[] = {
        { 0, 0x8580 },                   /* CD-ROM, removable, DRQ within 50 us, 12-byte packets */
        { 20, 3 }, { 21, 512 }, { 22, 4 }, { 48, 1 }, { 49, 0x0b00 }, { 53, 7 }, { 62, 7 }, { 63, 7 }, { 64, 3 }, { 65, 0xb4 }, { 66, 0xb4 },
        { 67, 0x12c }, { 68, 0xb4 }, { 71, 30 }, { 72, 30 }, { 80, 0x1e }, { 82, 0x0210 }, { 83, 0x4000 }, { 84, 0x4000 }, { 85, 0x0210 }, { 87, 0x4000 },
    };
    memset(id, 0, 512);
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        put16(id, rows[i].word, rows[i].value);
    }
    put16(id, 88, 0x003f | (u->mdma ? 0 : 0x100 << u->udma));
    ide_put_string(id + 20, u->serial_text, 20);
    ide_put_string(id + 46, u->version, 8);
    ide_put_string(id + 54, u->model ? u->model : "QEMU DVD-ROM", 40);
    ide_pio_in(u, 512, IDE_NEXT_DONE);
}

/* The end of a packet command. */
static void complete(struct scsi_req *r)
{
    struct ide_unit *u = r->opaque;
    if (u->cancelling) {
        return;
    }
    uint8_t key = r->sense.key;
    bool bad = r->status != SCSI_GOOD;
    scsi_end(r);
    u->packet_live = false;
    ide_sg_end(u, 0);
    u->r.count = REASON_CD | REASON_IO;
    if (bad) {
        ide_fail(u, (uint8_t)(key << 4 | (key == SENSE_ILLEGAL_REQUEST ? ATA_E_ABRT : 0)));
    } else {
        ide_done(u);
    }
}

static void finish(struct ide_unit *u)
{
    u->phase = IDE_WAIT;
    u->status = ATA_BSY | ATA_DRDY;
    scsi_finish(&u->packet, complete);
}

static uint32_t piece(const struct ide_unit *u)
{
    uint32_t n = MIN(u->packet_left, PIECE);
    return u->packet.media ? MAX(n / 2048 * 2048, MIN(u->packet_left, 2048u)) : n;
}

/* --- PIO --- */

/* A burst of the piece that lies in buf from u->at on. */
static void burst(struct ide_unit *u, bool in)
{
    uint32_t n = MIN(u->packet_left, u->packet_limit);
    u->r.count = in ? REASON_IO : 0;
    u->r.lba[1] = (uint8_t)n;
    u->r.lba[2] = (uint8_t)(n >> 8);
    if (in) {
        memmove(u->buf, u->buf + u->packet_at, n);
        ide_pio_in(u, n, IDE_NEXT_PACKET_IN);
    } else {
        ide_pio_out(u, n, IDE_NEXT_PACKET_OUT, true);
    }
}

static void read_piece_done(struct scsi_req *r)
{
    struct ide_unit *u = r->opaque;
    if (u->cancelling) {
        return;
    }
    if (r->status) {
        finish(u);
    } else {
        u->packet_at = 0;
        burst(u, true);
    }
}

/*
 * PIO in: a piece is read to the buffer's upper half (sectors come whole, bursts need not be), bursts are taken from there.
 * packet_at: of the command's data, how much has gone to the guest.
 */
static void read_piece(struct ide_unit *u)
{
    uint64_t from = u->packet.bytes - u->packet_left;
    uint32_t sector = u->packet.media ? (uint32_t)(from % 2048) : 0, n = MIN(u->packet_left, u->packet_limit);
    uint64_t start = from - sector, end = from + n;
    if (u->packet.media) {
        end = (end + 2047) / 2048 * 2048;
    }
    u->iov = (struct iovec){ u->buf, MIN(end, u->packet.bytes) - start };
    u->packet_at = sector;
    u->phase = IDE_WAIT;
    u->status = ATA_BSY | ATA_DRDY;
    scsi_transfer(&u->packet, start, &u->iov, 1, u->iov.iov_len, read_piece_done);
}

void ide_cd_next_in(struct ide_unit *u)
{
    u->packet_left -= MIN(u->len, u->packet_left);
    if (u->packet_left) {
        read_piece(u);
    } else {
        finish(u);
    }
}

static void out_done(struct scsi_req *r)
{
    struct ide_unit *u = r->opaque;
    if (!u->cancelling) {
        if (u->packet_left && !r->status) {
            burst(u, false);
        } else {
            finish(u);
        }
    }
}

void ide_cd_next_out(struct ide_unit *u)
{
    uint64_t skip = u->packet.bytes - u->packet_left;
    uint32_t n = MIN(u->len, u->packet_left);
    u->packet_left -= n;
    u->iov = (struct iovec){ u->buf, n };
    scsi_transfer(&u->packet, skip, &u->iov, 1, n, out_done);
}

/* --- DMA --- */

static void dma_moved(struct scsi_req *r)
{
    struct ide_unit *u = r->opaque;
    if (u->cancelling) {
        return;
    }
    uint64_t n = u->sg.bytes;
    ide_sg_end(u, r->status ? 0 : UINT64_MAX);
    u->packet_left -= (uint32_t)MIN(n, u->packet_left);
    if (!r->status) {
        u->bus->transport->dma_done(u, n);
    }
    if (u->packet_left && !r->status) {
        u->phase = IDE_DMA;
        u->bus->transport->dma_ready(u, r->dir == SCSI_IN);
    } else {
        finish(u);
    }
}

void ide_cd_dma(struct ide_unit *u)
{
    struct scsi_req *r = &u->packet;
    bool in = r->dir == SCSI_IN;
    uint64_t skip = r->bytes - u->packet_left;
    if (!u->packet_live || !u->bus->transport->dma_map(u, &u->sg, piece(u), in)) {
        return;
    }
    u->sg_live = true;
    if (!u->sg.bytes || (r->media && u->sg.bytes % 2048)) {
        log_guest("ide: a DMA table of %u bytes for a packet of %u", (unsigned)u->sg.bytes, (unsigned)r->bytes);
        ide_sg_end(u, 0);
        scsi_fail(r, SENSE_ABORTED, 0x4b, 0);                  /* data phase error */
        finish(u);
        return;
    }
    u->phase = IDE_WAIT;
    u->status = ATA_BSY | ATA_DRDY;
    scsi_transfer(r, skip, u->sg.iov, u->sg.n, u->sg.bytes, dma_moved);
}

/* --- the packet --- */

void ide_cd_next_cdb(struct ide_unit *u)
{
    struct scsi_req *r = &u->packet;
    memcpy(u->cdb, u->buf, sizeof(u->cdb));
    r->opaque = u;
    scsi_begin(r, &u->lun, u->cdb, sizeof(u->cdb));
    u->packet_live = true;
    u->packet_left = (uint32_t)r->bytes;
    u->packet_at = 0;
    if (!r->bytes) {
        finish(u);
    } else if (u->packet_dma) {
        u->phase = IDE_DMA;
        u->status = ATA_BSY | ATA_DRDY;
        u->bus->transport->dma_ready(u, r->dir == SCSI_IN);
    } else if (!u->packet_limit) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        finish(u);
    } else if (r->dir == SCSI_IN) {
        read_piece(u);
    } else {
        burst(u, false);
    }
}

void ide_cd_packet(struct ide_unit *u)
{
    u->packet_dma = u->r.feature & 1;
    u->packet_limit = (uint16_t)(u->r.lba[1] | u->r.lba[2] << 8);
    if (u->packet_limit & 1 && u->packet_limit != 1) {
        u->packet_limit--;                                     /* odd: only the last burst may be, 0xffff is 0xfffe */
    }
    u->r.count = REASON_CD;
    ide_pio_out(u, sizeof(u->cdb), IDE_NEXT_CDB, false);
}
