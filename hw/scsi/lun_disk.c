/*
 * SCSI commands that disks and CD drives share, and those of disks. Specs: SPC-4 chapter 6, SBC-3 chapter 5.
 * Not there: reservations (RESERVE succeeds and reserves nothing, as on QEMU; PERSISTENT RESERVE is refused), FORMAT UNIT, defect lists, protection information.
 */
#include <string.h>

#include "hw/scsi/lun_priv.h"

#define MAX_UNMAP_RANGES 255             /* 8 + 16 * 255 bytes fit in a parameter list */

static void test_unit_ready(struct scsi_req *r) { (void)r; }

static void request_sense(struct scsi_req *r)
{
    struct scsi_lun *l = r->lun;
    struct scsi_sense s = l->sense;
    if (!s.key && l->attention.key) {
        s = l->attention;
        l->attention = (struct scsi_sense){ 0 };
    }
    if (r->cdb[1] & 1) {                                       /* descriptor format */
        r->buf[0] = 0x72;
        r->buf[1] = s.key;
        r->buf[2] = s.asc;
        r->buf[3] = s.ascq;
        scsi_answer(r, 8, r->cdb[4]);
    } else {
        scsi_sense_bytes(s, r->buf);
        scsi_answer(r, SCSI_SENSE_SIZE, r->cdb[4]);
    }
    l->sense = (struct scsi_sense){ 0 };
}

static void pad(uint8_t *to, const char *s, unsigned len)
{
    memset(to, ' ', len);
    memcpy(to, s, MIN(strlen(s), len));
}

/* --- INQUIRY: vital product data pages --- */

static unsigned vpd_serial(struct scsi_lun *l, uint8_t *b)
{
    unsigned n = l->serial ? MIN((unsigned)strlen(l->serial), 36) : 0;
    memcpy(b, l->serial ? l->serial : "", n);
    return n;
}

static unsigned vpd_identification(struct scsi_lun *l, uint8_t *b)
{
    unsigned n = 0;
    const char *id = l->serial ? l->serial : "0";
    unsigned len = MIN((unsigned)strlen(id), 20);
    b[n++] = 2;                                                /* ASCII */
    b[n++] = 0;                                                /* vendor specific */
    b[n++] = 0;
    b[n++] = (uint8_t)len;
    memcpy(b + n, id, len);
    n += len;
    if (l->wwn) {
        b[n++] = 1;
        b[n++] = 3;                                            /* NAA */
        b[n++] = 0;
        b[n++] = 8;
        put64(b + n, l->wwn);
        n += 8;
    }
    return n;
}

static unsigned vpd_limits(struct scsi_lun *l, uint8_t *b)
{
    const struct disk_conf *c = l->conf;
    uint32_t granularity = (c->discard_granularity ? c->discard_granularity : c->logical_block_size) / l->block;
    b[0] = 1;                                                  /* WSNZ: WRITE SAME of 0 blocks is not the whole disk */
    put16(b + 2, MIN(c->min_io_size / l->block, 0xffff));
    put32(b + 4, SCSI_XFER_MAX / l->block);
    put32(b + 8, c->opt_io_size / l->block);
    put32(b + 16, l->unmaps ? (1u << 30) / l->block : 0);
    put32(b + 20, l->unmaps ? MAX_UNMAP_RANGES : 0);
    put32(b + 24, granularity);
    put64(b + 32, (1u << 30) / l->block);                      /* WRITE SAME */
    return 60;
}

static unsigned vpd_characteristics(struct scsi_lun *l, uint8_t *b)
{
    (void)l;
    (void)b;                                                   /* rotation rate not reported */
    return 60;
}

static unsigned vpd_provisioning(struct scsi_lun *l, uint8_t *b)
{
    b[1] = 0xe0;                                               /* UNMAP, WRITE SAME(16) and (10) unmap */
    b[2] = l->unmaps ? 2 : 1;                                  /* thin, or fully provisioned */
    return 4;
}

static const struct {
    uint8_t page;
    bool disk_only;
    unsigned (*make)(struct scsi_lun *l, uint8_t *body);
} vpd[] = {
    { 0x00, false, NULL }, { 0x80, false, vpd_serial }, { 0x83, false, vpd_identification }, { 0xb0, true, vpd_limits },
    { 0xb1, true, vpd_characteristics }, { 0xb2, true, vpd_provisioning },
};

static void inquiry_vpd(struct scsi_req *r)
{
    struct scsi_lun *l = r->lun;
    uint8_t *b = r->buf;
    for (unsigned i = 0; i < G_N_ELEMENTS(vpd); i++) {
        if (vpd[i].page != r->cdb[2] || (vpd[i].disk_only && l->cd) || (l->atapi && vpd[i].page == 0x80 && !l->serial)) {
            continue;
        }
        unsigned n = 0;
        if (vpd[i].make) {
            n = vpd[i].make(l, b + 4);
        }
        for (unsigned k = 0; !vpd[i].make && k < G_N_ELEMENTS(vpd); k++) {
            if (!vpd[k].disk_only || !l->cd) {
                b[4 + n++] = vpd[k].page;
            }
        }
        b[0] = l->cd ? 5 : 0;
        b[1] = r->cdb[2];
        put16(b + 2, n);
        scsi_answer(r, n + 4, be16(r->cdb + 3));
        return;
    }
    scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
}

static void inquiry(struct scsi_req *r)
{
    struct scsi_lun *l = r->lun;
    uint8_t *b = r->buf;
    if (r->cdb[1] & 1) {
        inquiry_vpd(r);
        return;
    }
    if (r->cdb[2]) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        return;
    }
    b[0] = l->cd ? 5 : 0;
    b[1] = l->cd ? 0x80 : 0;                                   /* removable */
    b[2] = l->atapi ? 0 : 5;                                   /* SPC-3 */
    b[3] = l->atapi ? 0x21 : 0x02;                             /* response format */
    b[4] = 31;
    b[7] = l->atapi ? 0 : 0x12;                                /* SYNC, command queueing */
    pad(b + 8, l->vendor, 8);
    pad(b + 16, l->product, 16);
    pad(b + 32, l->revision, 4);
    scsi_answer(r, 36, l->atapi ? r->cdb[4] : be16(r->cdb + 3));
}

static void report_luns(struct scsi_req *r)
{
    put32(r->buf, 8);                                          /* this one; a bus with more answers itself */
    scsi_answer(r, 16, be32(r->cdb + 6));
}

/* --- mode pages --- */

/* Writes one page (header and body) to b; returns its length, 0: not there. changeable: the mask of bits that MODE SELECT may change. */
static unsigned mode_page(struct scsi_lun *l, uint8_t page, bool changeable, uint8_t *b)
{
    uint32_t cyls, heads, secs;
    static const uint8_t length[0x40] = { [0x01] = 10, [0x04] = 22, [0x05] = 30, [0x08] = 18, [0x0e] = 14, [0x1a] = 10, [0x2a] = 20 };
    uint8_t len = length[page];
    bool disk = page == 0x04 || page == 0x05 || page == 0x08;
    if (!len || (l->cd && (disk || page == 0x1a)) || (!l->cd && (page == 0x0e || page == 0x2a || page == 0x1a))) {
        return 0;
    }
    memset(b, 0, len + 2u);
    b[0] = page;
    b[1] = len;
    if (changeable) {
        b[2] = page == 0x08 ? 0x04 : 0;                        /* WCE */
        return len + 2u;
    }
    switch (page) {
    case 0x01:                                                 /* error recovery */
        b[2] = 0x80;                                           /* AWRE */
        b[3] = l->cd ? 0x20 : 0;
        break;
    case 0x04:
        disk_conf_geometry(l->conf, &cyls, &heads, &secs);
        put24(b + 2, cyls);
        b[5] = (uint8_t)heads;
        put16(b + 20, 5400);                                   /* rotation rate */
        break;
    case 0x05:
        disk_conf_geometry(l->conf, &cyls, &heads, &secs);
        put16(b + 2, 5000);                                    /* kbit/s */
        b[4] = (uint8_t)heads;
        b[5] = (uint8_t)secs;
        put16(b + 6, l->block);
        put16(b + 8, cyls);
        put16(b + 28, 5400);
        break;
    case 0x08:
        b[2] = l->drive->write_cache ? 0x04 : 0;
        break;
    case 0x0e:                                                 /* audio control */
        b[2] = 4;
        break;
    case 0x2a:                                                 /* CD capabilities, MMC-3 */
        b[2] = 0x3b;                                           /* reads CD-R, CD-RW, DVD-ROM, -R, -RAM */
        b[4] = 0x7f;
        b[5] = 0xff;
        b[6] = 0x2d | (l->drive->tray_locked ? 2 : 0);         /* tray, ejects, locks */
        put16(b + 8, 50 * 176);
        put16(b + 10, 2);
        put16(b + 12, 2048);                                   /* KiB of buffer */
        put16(b + 14, 16 * 176);
        put16(b + 18, 16 * 176);
        put16(b + 20, 16 * 176);
        break;
    }
    return len + 2u;
}

void scsi_mode_sense(struct scsi_req *r)
{
    struct scsi_lun *l = r->lun;
    bool ten = r->cdb[0] == 0x5a;
    uint8_t control = r->cdb[2] >> 6, page = r->cdb[2] & 0x3f, *b = r->buf;
    unsigned head = ten ? 8 : 4, n = head;
    if (control == 3) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x39, 0);          /* saving is not supported */
        return;
    }
    uint8_t specific = l->cd ? 0 : 0x10 | (drive_read_only(l->drive) ? 0x80 : 0);   /* DPOFUA, WP */
    if (!l->cd && !(r->cdb[1] & 8) && drive_has_medium(l->drive)) {   /* block descriptor */
        uint64_t blocks = scsi_blocks(l);
        put32(b + n, (uint32_t)MIN(blocks, 0xffffffu));
        b[n] = 0;
        put24(b + n + 5, l->block);
        n += 8;
    }
    unsigned pages = n;
    for (uint8_t p = page == 0x3f ? 1 : page; p <= (page == 0x3f ? 0x3e : page); p++) {
        n += mode_page(l, p, control == 1, b + n);
    }
    if (n == pages) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        return;
    }
    if (ten) {
        put16(b, n - 2);
        b[2] = l->atapi ? 0x70 : 0;                            /* door closed, no disc: old ATAPI drives say so */
        b[3] = specific;
        put16(b + 6, pages - head);
        scsi_answer(r, n, be16(r->cdb + 7));
    } else {
        b[0] = (uint8_t)(n - 1);
        b[2] = specific;
        b[3] = (uint8_t)(pages - head);
        scsi_answer(r, n, r->cdb[4]);
    }
}

static void mode_select(struct scsi_req *r)
{
    scsi_wants(r, r->cdb[0] == 0x55 ? be16(r->cdb + 7) : r->cdb[4]);
}

static bool mode_select_end(struct scsi_req *r)
{
    struct scsi_lun *l = r->lun;
    unsigned head = r->cdb[0] == 0x55 ? 8 : 4, at;
    const uint8_t *b = r->buf;
    uint8_t have[256];
    if (!r->bytes || r->step++) {
        return true;                                           /* nothing, or the flush of below is over */
    }
    if (r->bytes < head || (r->cdb[1] & 1)) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, r->bytes < head ? 0x1a : 0x24, 0);
        return true;
    }
    bool cache = l->drive->write_cache;
    at = head + (head == 8 ? be16(b + 6) : b[3]);
    while (at + 2 <= r->bytes) {
        unsigned len = b[at + 1] + 2u, n = b[at] & 0x40 ? 0 : mode_page(l, b[at] & 0x3f, false, have);
        if (!n || n != len || at + len > r->bytes) {
            scsi_fail(r, SENSE_ILLEGAL_REQUEST, n ? 0x1a : 0x26, 0);
            return true;
        }
        if ((b[at] & 0x3f) == 0x08) {
            cache = b[at + 2] & 4;
        }
        at += len;
    }
    if (cache == l->drive->write_cache) {
        return true;
    }
    l->drive->write_cache = cache;
    if (!cache) {
        scsi_start(r, BLOCK_FLUSH, 0, 0, NULL, 0);             /* what is in the cache goes out now */
        return false;
    }
    return true;
}

/* --- sectors --- */

/* LBA and count as the length of the CDB has them. */
static void place(const struct scsi_req *r, uint64_t *lba, uint64_t *n)
{
    const uint8_t *c = r->cdb;
    switch (scsi_cdb_length(c[0])) {
    case 6:
        *lba = be24(c + 1) & 0x1fffff;
        *n = c[4] ? c[4] : 256;
        break;
    case 10:
        *lba = be32(c + 2);
        *n = be16(c + 7);
        break;
    case 12:
        *lba = be32(c + 2);
        *n = be32(c + 6);
        break;
    default:
        *lba = be64(c + 2);
        *n = be32(c + 10);
    }
}

/* Protection information was asked for: there is none. */
static bool protection(struct scsi_req *r)
{
    if (!r->lun->cd && scsi_cdb_length(r->cdb[0]) != 6 && (r->cdb[1] & 0xe0)) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        return true;
    }
    return false;
}

static void read_sectors(struct scsi_req *r)
{
    uint64_t lba, n;
    place(r, &lba, &n);
    if (!protection(r)) {
        scsi_media(r, lba, n, SCSI_IN);
    }
}

static void write_sectors(struct scsi_req *r)
{
    uint64_t lba, n;
    place(r, &lba, &n);
    if (!protection(r)) {
        scsi_media(r, lba, n, SCSI_OUT);
    }
}

static void verify(struct scsi_req *r)
{
    uint64_t lba, n;
    place(r, &lba, &n);
    if (r->cdb[1] & 0x06) {                                    /* BYTCHK: comparing data */
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        return;
    }
    scsi_media(r, lba, n, SCSI_NO_DATA);
}

static void seek(struct scsi_req *r)
{
    scsi_media(r, be32(r->cdb + 2), 0, SCSI_NO_DATA);
}

static void read_capacity10(struct scsi_req *r)
{
    uint64_t n = scsi_blocks(r->lun);
    if ((r->cdb[8] & 1) == 0 && be32(r->cdb + 2)) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        return;
    }
    put32(r->buf, (uint32_t)MIN(n ? n - 1 : 0, 0xffffffff));
    put32(r->buf + 4, r->lun->block);
    scsi_answer(r, 8, 8);
}

static void service_in16(struct scsi_req *r)
{
    struct scsi_lun *l = r->lun;
    uint64_t n = scsi_blocks(l);
    uint32_t ratio = l->conf->physical_block_size / l->block;
    if ((r->cdb[1] & 0x1f) != 0x10) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        return;
    }
    put64(r->buf, n ? n - 1 : 0);
    put32(r->buf + 8, l->block);
    r->buf[13] = (uint8_t)g_bit_nth_lsf(ratio ? ratio : 1, -1);
    r->buf[14] = l->unmaps ? 0x80 : 0;                         /* LBPME */
    scsi_answer(r, 32, be32(r->cdb + 10));
}

static bool synchronize(struct scsi_req *r)
{
    if (r->step++) {
        return true;
    }
    scsi_start(r, BLOCK_FLUSH, 0, 0, NULL, 0);
    return false;
}

static void unmap(struct scsi_req *r)
{
    if (!r->lun->unmaps || (r->cdb[1] & 1)) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, r->lun->unmaps ? 0x24 : 0x20, 0);
        return;
    }
    scsi_wants(r, be16(r->cdb + 7));
}

/* One range a call; r->step counts them. */
static bool unmap_end(struct scsi_req *r)
{
    struct scsi_lun *l = r->lun;
    const uint8_t *b = r->buf;
    if (!r->bytes) {
        return true;
    }
    unsigned n = r->bytes >= 8 ? be16(b + 2) / 16 : 0;
    if (r->bytes < 8 || n * 16 + 8 > r->bytes) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x1a, 0);
        return true;
    }
    while (r->step < n) {
        const uint8_t *d = b + 8 + 16 * r->step++;
        uint64_t lba = be64(d), count = be32(d + 8), blocks = scsi_blocks(l);
        if (lba > blocks || count > blocks - lba) {
            scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x21, 0);
            return true;
        }
        if (count) {
            scsi_start(r, BLOCK_DISCARD, lba * l->block, count * l->block, NULL, 0);
            return false;
        }
    }
    return true;
}

static void write_same(struct scsi_req *r)
{
    uint64_t lba, n;
    place(r, &lba, &n);
    if (r->cdb[1] & 0x06 || protection(r) || !n) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        return;
    }
    if (n > (1u << 30) / r->lun->block) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        return;
    }
    if (!scsi_media(r, lba, n, SCSI_NO_DATA)) {
        return;
    }
    r->media = false;
    if (r->cdb[0] == 0x93 && (r->cdb[1] & 1)) {
        return;                                                /* NDOB: zeroes, no data */
    }
    scsi_wants(r, r->lun->block);
}

#define SAME_CHUNK (512u << 10)

static bool write_same_end(struct scsi_req *r)
{
    struct scsi_lun *l = r->lun;
    uint64_t all = r->blocks * l->block, done = (uint64_t)r->step * SAME_CHUNK;
    bool zero = true;
    for (unsigned i = 0; i < r->bytes; i++) {
        zero &= !r->buf[i];
    }
    if (zero) {
        if (r->step++) {
            return true;
        }
        scsi_start(r, BLOCK_ZERO, r->at, all, NULL, r->cdb[1] & 8 ? BLOCK_MAY_UNMAP : 0);
        return false;
    }
    if (done >= all) {
        return true;
    }
    if (!r->bounce) {
        r->bounce = g_malloc(SAME_CHUNK + sizeof(struct iovec));
        for (uint64_t at = 0; at < SAME_CHUNK; at += l->block) {
            memcpy(r->bounce + at, r->buf, l->block);
        }
    }
    struct iovec *iov = (struct iovec *)(r->bounce + SAME_CHUNK);
    *iov = (struct iovec){ r->bounce, MIN(all - done, SAME_CHUNK) };
    r->step++;
    scsi_start(r, BLOCK_WRITE, r->at + done, iov->iov_len, iov, 0);
    return false;
}

/* --- motor, tray, reservations --- */

static void start_stop(struct scsi_req *r)
{
    struct scsi_lun *l = r->lun;
    bool start = r->cdb[4] & 1, load_eject = r->cdb[4] & 2;
    if (r->cdb[4] & 0xf0) {
        return;                                                /* power conditions */
    }
    if (l->cd && load_eject) {
        if (!start && l->drive->tray_locked && !l->drive->tray_open) {
            scsi_fail(r, l->drive->medium ? SENSE_ILLEGAL_REQUEST : SENSE_NOT_READY, 0x53, 2);   /* medium removal prevented */
            return;
        }
        bool opened = l->drive->tray_open;
        drive_set_tray(l->drive, !start);
        if (opened && start && l->drive->medium) {
            scsi_lun_medium(l, true);
        }
    }
    l->stopped = !start && !load_eject;
}

static void prevent(struct scsi_req *r)
{
    drive_lock_tray(r->lun->drive, r->cdb[4] & 1);
}

/* The CD drive knows these as well; disks alone have those with CMD_DISK. */
const struct scsi_command scsi_disk_commands[] = {
    { 0x00, CMD_BOTH, test_unit_ready, NULL },
    { 0x01, CMD_DISK, NULL, NULL },                            /* REZERO UNIT */
    { 0x03, CMD_BOTH | CMD_NO_MEDIUM | CMD_ALWAYS, request_sense, NULL },
    { 0x08, CMD_DISK, read_sectors, NULL },
    { 0x0a, CMD_DISK | CMD_WRITES, write_sectors, NULL },
    { 0x12, CMD_BOTH | CMD_NO_MEDIUM | CMD_ALWAYS, inquiry, NULL },
    { 0x15, CMD_BOTH | CMD_NO_MEDIUM, mode_select, mode_select_end },
    { 0x16, CMD_DISK | CMD_NO_MEDIUM, NULL, NULL },            /* RESERVE(6) */
    { 0x17, CMD_DISK | CMD_NO_MEDIUM, NULL, NULL },            /* RELEASE(6) */
    { 0x1a, CMD_BOTH | CMD_NO_MEDIUM, scsi_mode_sense, NULL },
    { 0x1b, CMD_BOTH | CMD_NO_MEDIUM, start_stop, NULL },
    { 0x1e, CMD_BOTH | CMD_NO_MEDIUM, prevent, NULL },
    { 0x25, CMD_BOTH, read_capacity10, NULL },
    { 0x28, CMD_BOTH, read_sectors, NULL },
    { 0x2a, CMD_DISK | CMD_WRITES, write_sectors, NULL },
    { 0x2b, CMD_BOTH, seek, NULL },
    { 0x2e, CMD_DISK | CMD_WRITES, write_sectors, NULL },      /* WRITE AND VERIFY */
    { 0x2f, CMD_BOTH, verify, NULL },
    { 0x35, CMD_BOTH, NULL, synchronize },
    { 0x41, CMD_DISK | CMD_WRITES, write_same, write_same_end },
    { 0x42, CMD_DISK | CMD_WRITES, unmap, unmap_end },
    { 0x55, CMD_BOTH | CMD_NO_MEDIUM, mode_select, mode_select_end },
    { 0x56, CMD_DISK | CMD_NO_MEDIUM, NULL, NULL },            /* RESERVE(10) */
    { 0x57, CMD_DISK | CMD_NO_MEDIUM, NULL, NULL },            /* RELEASE(10) */
    { 0x5a, CMD_BOTH | CMD_NO_MEDIUM, scsi_mode_sense, NULL },
    { 0x88, CMD_DISK, read_sectors, NULL },
    { 0x8a, CMD_DISK | CMD_WRITES, write_sectors, NULL },
    { 0x8e, CMD_DISK | CMD_WRITES, write_sectors, NULL },
    { 0x8f, CMD_DISK, verify, NULL },
    { 0x91, CMD_DISK, NULL, synchronize },
    { 0x93, CMD_DISK | CMD_WRITES, write_same, write_same_end },
    { 0x9e, CMD_DISK, service_in16, NULL },
    { 0xa0, CMD_BOTH | CMD_NO_MEDIUM | CMD_ALWAYS, report_luns, NULL },
    { 0xa8, CMD_BOTH, read_sectors, NULL },
    { 0xaa, CMD_DISK | CMD_WRITES, write_sectors, NULL },
    { 0xae, CMD_DISK | CMD_WRITES, write_sectors, NULL },
    { 0xaf, CMD_BOTH, verify, NULL },
    { .op = 0xff },
};
