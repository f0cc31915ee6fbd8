/*
 * Between lun.c (requests), lun_disk.c and lun_cd.c (commands).
 */
#ifndef HW_SCSI_LUN_PRIV_H
#define HW_SCSI_LUN_PRIV_H

#include "hw/scsi/lun.h"

enum { CMD_DISK = 1, CMD_CD = 2, CMD_BOTH = 3, CMD_NO_MEDIUM = 4, CMD_WRITES = 8, CMD_ALWAYS = 16 };   /* ALWAYS: a unit attention waits */

struct scsi_command {
    uint8_t op;
    uint8_t flags;
    /* Reads the CDB: sets r->dir, r->bytes (and media, at), or fills r->buf with an answer, or scsi_fail(). NULL: nothing to do. */
    void (*begin)(struct scsi_req *r);
    /* After the data: true when over, false: r->io was submitted and scsi_finished() follows. NULL: nothing to do. */
    bool (*finish)(struct scsi_req *r);
};

extern const struct scsi_command scsi_disk_commands[], scsi_cd_commands[];   /* end with begin and finish NULL and op 0xff */

static inline uint16_t be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t be24(const uint8_t *p) { return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2]; }
static inline uint32_t be32(const uint8_t *p) { return (uint32_t)be16(p) << 16 | be16(p + 2); }
static inline uint64_t be64(const uint8_t *p) { return (uint64_t)be32(p) << 32 | be32(p + 4); }
static inline void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
static inline void put24(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 16); put16(p + 1, v); }
static inline void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16); put16(p + 2, v); }
static inline void put64(uint8_t *p, uint64_t v) { put32(p, (uint32_t)(v >> 32)); put32(p + 4, (uint32_t)v); }

/* The answer is the first `len` bytes of r->buf, cut to what the initiator allows. */
void scsi_answer(struct scsi_req *r, uint32_t len, uint32_t allowed);
/* A parameter list of `len` bytes comes into r->buf. */
void scsi_wants(struct scsi_req *r, uint32_t len);
/* Sectors [lba, lba+n) are read or written. False: refused. */
bool scsi_media(struct scsi_req *r, uint64_t lba, uint64_t n, enum scsi_dir dir);
/* In finish: starts r->io. */
void scsi_start(struct scsi_req *r, enum block_op op, uint64_t offset, uint64_t bytes, const struct iovec *iov, unsigned flags);
void scsi_io_failed(struct scsi_req *r, int error);
uint64_t scsi_blocks(const struct scsi_lun *l);
/* INQUIRY, MODE SENSE/SELECT: lun_disk.c serves both kinds. */
void scsi_mode_sense(struct scsi_req *r);

#endif
