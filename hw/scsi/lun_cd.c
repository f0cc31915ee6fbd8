/*
 * Commands of CD and DVD drives. Spec: MMC-6. Media are single-session, one data track; DVD-ROM when larger than a CD.
 * Not there: audio, raw frames (READ CD with other fields than user data is refused), writing.
 */
#include <string.h>

#include "base/log.h"
#include "hw/scsi/lun_priv.h"

#define CD_MAX_SECTORS (80u * 60 * 75)   /* a CD of 80 minutes; larger media are DVDs */

enum { PROFILE_NONE = 0, PROFILE_CD_ROM = 8, PROFILE_DVD_ROM = 0x10 };

static uint16_t profile(const struct scsi_lun *l)
{
    if (!drive_has_medium(l->drive)) {
        return PROFILE_NONE;
    }
    return scsi_blocks(l) > CD_MAX_SECTORS ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
}

/* An address as 4 bytes: minute, second, frame, or a block number. */
static void put_address(uint8_t *b, uint64_t lba, bool msf)
{
    if (msf) {
        lba += 150;
        b[0] = 0;
        b[1] = (uint8_t)(lba / (60 * 75));
        b[2] = (uint8_t)(lba / 75 % 60);
        b[3] = (uint8_t)(lba % 75);
    } else {
        put32(b, (uint32_t)lba);
    }
}

static unsigned toc_tracks(const struct scsi_req *r, uint8_t *b)
{
    bool msf = r->cdb[1] & 2;
    unsigned n = 4;
    b[2] = b[3] = 1;                     /* first and last track */
    if (r->cdb[6] > 1 && r->cdb[6] != 0xaa) {
        return 0;
    }
    if (r->cdb[6] <= 1) {
        b[n + 1] = 0x14;                 /* data track */
        b[n + 2] = 1;
        put_address(b + n + 4, 0, msf);
        n += 8;
    }
    b[n + 1] = 0x16;
    b[n + 2] = 0xaa;                     /* lead-out */
    put_address(b + n + 4, scsi_blocks(r->lun), msf);
    return n + 8;
}

static unsigned toc_raw(const struct scsi_req *r, uint8_t *b)
{
    static const uint8_t points[] = { 0xa0, 0xa1, 0xa2, 1 };
    unsigned n = 4;
    b[2] = b[3] = 1;                     /* sessions */
    for (unsigned i = 0; i < G_N_ELEMENTS(points); i++, n += 11) {
        b[n] = 1;
        b[n + 1] = points[i] == 0xa2 ? 0x16 : 0x14;
        b[n + 3] = points[i];
        if (points[i] < 0xa2) {
            b[n + 8] = points[i] == 1 ? 0 : 1;
        }
        if (points[i] == 0xa2 || points[i] == 1) {
            put_address(b + n + 7, points[i] == 1 ? 0 : scsi_blocks(r->lun), true);
        }
    }
    return n;
}

static void read_toc(struct scsi_req *r)
{
    uint8_t *b = r->buf, format = r->cdb[2] & 0x0f;
    unsigned n = 0;
    if (!format) {
        format = r->cdb[9] >> 6;
    }
    if (format == 0) {
        n = toc_tracks(r, b);
    } else if (format == 1) {            /* sessions: one, from block 0 */
        n = 12;
        b[2] = b[3] = 1;
        b[5] = 0x14;
        b[6] = 1;
        put_address(b + 8, 0, r->cdb[1] & 2);
    } else if (format == 2) {
        n = toc_raw(r, b);
    }
    if (!n) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        return;
    }
    put16(b, n - 2);
    scsi_answer(r, n, be16(r->cdb + 7));
}

static void get_configuration(struct scsi_req *r)
{
    uint8_t *b = r->buf, type = r->cdb[1] & 3;
    uint16_t from = be16(r->cdb + 2), now = profile(r->lun);
    /* feature, version | persistent | current, length, data */
    const struct {
        uint16_t feature;
        uint8_t flags, len, data[8];
    } features[] = {
        { 0x0000, 0x03, 8, { 0, PROFILE_DVD_ROM, now == PROFILE_DVD_ROM, 0, 0, PROFILE_CD_ROM, now == PROFILE_CD_ROM, 0 } },
        { 0x0001, 0x0b, 8, { 0, 0, 0, r->lun->atapi ? 2 : 1, 1, 0, 0, 0 } },     /* core: physical interface, device busy events */
        { 0x0003, 0x03, 4, { 0x29, 0, 0, 0 } },                                  /* removable medium: tray, ejects, locks */
        { 0x0010, now ? 0x01 : 0, 8, { 0, 0, 8, 0, 0, 16, 0, 0 } },              /* random reading */
        { 0x001e, now == PROFILE_CD_ROM ? 0x09 : 0x08, 4, { 0 } },
        { 0x001f, now == PROFILE_DVD_ROM ? 0x05 : 0x04, 4, { 0 } },
    };
    unsigned n = 8;
    if (type == 3) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        bool wanted = type == 2 ? features[i].feature == from : features[i].feature >= from && (type == 0 || (features[i].flags & 1));
        if (wanted) {
            put16(b + n, features[i].feature);
            b[n + 2] = features[i].flags;
            b[n + 3] = features[i].len;
            memcpy(b + n + 4, features[i].data, features[i].len);
            n += 4u + features[i].len;
        }
    }
    put32(b, n - 4);
    put16(b + 6, now);
    scsi_answer(r, n, be16(r->cdb + 7));
}

static void get_event_status(struct scsi_req *r)
{
    struct scsi_lun *l = r->lun;
    uint8_t *b = r->buf;
    if (!(r->cdb[1] & 1)) {              /* only polling */
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        return;
    }
    b[3] = 0x10;                         /* media events are known */
    if (!(r->cdb[4] & 0x10)) {
        b[2] = 0x80;                     /* no event of the classes asked for */
        put16(b, 2);
        scsi_answer(r, 4, be16(r->cdb + 7));
        return;
    }
    b[2] = 4;
    if (l->eject_event) {
        b[4] = 1;
        l->eject_event = false;
    } else if (l->media_event) {
        b[4] = l->drive->medium ? 2 : 3;   /* new medium, medium removed */
        l->media_event = false;
    }
    b[5] = (l->drive->tray_open ? 1 : 0) | (drive_has_medium(l->drive) ? 2 : 0);
    put16(b, 6);
    scsi_answer(r, 8, be16(r->cdb + 7));
}

static void read_disc_info(struct scsi_req *r)
{
    uint8_t *b = r->buf;
    if (r->cdb[1] & 7) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        return;
    }
    put16(b, 32);
    b[2] = 0x0e;                         /* last session complete, disc finalised */
    b[3] = b[4] = b[5] = b[6] = 1;       /* first track, sessions, tracks of the last session */
    b[7] = 0x20;                         /* unrestricted use */
    scsi_answer(r, 34, be16(r->cdb + 7));
}

static void read_track_info(struct scsi_req *r)
{
    uint8_t *b = r->buf;
    put16(b, 34);
    b[2] = b[3] = 1;
    b[5] = 0x04;
    b[6] = 0x01;
    put32(b + 24, (uint32_t)scsi_blocks(r->lun));
    scsi_answer(r, 36, be16(r->cdb + 7));
}

static void mechanism_status(struct scsi_req *r)
{
    r->buf[1] = r->lun->drive->tray_open ? 0x10 : 0;
    r->buf[5] = 1;                       /* slots */
    scsi_answer(r, 8, be16(r->cdb + 8));
}

static void read_dvd_structure(struct scsi_req *r)
{
    struct scsi_lun *l = r->lun;
    uint8_t *b = r->buf;
    uint64_t n = scsi_blocks(l);
    if (r->cdb[1] & 0x0f) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        return;
    }
    if (profile(l) != PROFILE_DVD_ROM) {
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x30, 2);          /* incompatible format */
        return;
    }
    unsigned len;
    switch (r->cdb[7]) {
    case 0x00:                           /* physical format */
        b[4] = 1;
        b[5] = 0x0f;
        b[6] = 1;
        put24(b + 9, 0x30000);
        put24(b + 13, (uint32_t)(0x30000 + n - 1));
        put24(b + 17, (uint32_t)(0x30000 + n - 1));
        len = 4 + 2048;
        break;
    case 0x01:                           /* copyright: none */
        len = 4 + 4;
        break;
    case 0x04:                           /* manufacturing */
        len = 4 + 2048;
        break;
    default:
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        return;
    }
    put16(b, len - 2);
    scsi_answer(r, len, be16(r->cdb + 8));
}

static void read_cd(struct scsi_req *r)
{
    bool msf = r->cdb[0] == 0xb9;
    uint64_t lba = be32(r->cdb + 2), n = be24(r->cdb + 6);
    if (msf) {
        const uint8_t *c = r->cdb;
        uint64_t from = (c[3] * 60u + c[4]) * 75u + c[5], to = (c[6] * 60u + c[7]) * 75u + c[8];
        if (from < 150 || to < from) {
            scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
            return;
        }
        lba = from - 150;
        n = to - from;
    }
    switch (r->cdb[9] & 0xf8) {
    case 0x00:
        scsi_media(r, lba, 0, SCSI_NO_DATA);
        break;
    case 0x10:
        scsi_media(r, lba, n, SCSI_IN);
        break;
    default:
        log_unimp("cd: READ CD with raw fields %02x", r->cdb[9]);
        scsi_fail(r, SENSE_ILLEGAL_REQUEST, 0x24, 0);
    }
}

static void get_performance(struct scsi_req *r)
{
    put32(r->buf, 4);
    scsi_answer(r, 8, 8 + 16u * be16(r->cdb + 8));
}

const struct scsi_command scsi_cd_commands[] = {
    { 0x43, CMD_CD, read_toc, NULL },
    { 0x46, CMD_CD | CMD_NO_MEDIUM | CMD_ALWAYS, get_configuration, NULL },
    { 0x4a, CMD_CD | CMD_NO_MEDIUM | CMD_ALWAYS, get_event_status, NULL },
    { 0x51, CMD_CD, read_disc_info, NULL },
    { 0x52, CMD_CD, read_track_info, NULL },
    { 0xac, CMD_CD | CMD_NO_MEDIUM, get_performance, NULL },
    { 0xad, CMD_CD, read_dvd_structure, NULL },
    { 0xb9, CMD_CD, read_cd, NULL },
    { 0xbb, CMD_CD | CMD_NO_MEDIUM, NULL, NULL },              /* SET CD SPEED */
    { 0xbd, CMD_CD | CMD_NO_MEDIUM, mechanism_status, NULL },
    { 0xbe, CMD_CD, read_cd, NULL },
    { .op = 0xff },
};
