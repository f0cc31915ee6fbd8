/*
 * A SCSI logical unit that is a disk or a CD drive: the command set, whatever carries the commands (a SCSI bus, ATAPI, USB). Specs: SPC-4, SBC-3, MMC-6.
 *
 *     scsi_begin(&r, lun, cdb, len)      reads the command; r.dir and r.bytes say what data it has
 *     scsi_transfer(&r, skip, iov, ...)  moves a slice of the data, from the device (SCSI_IN) or to it; any number of slices, in order
 *     scsi_finish(&r, done)              does what remains; then r.status and the sense data stand
 *     scsi_end(&r)                       frees
 *
 * Transfers and finish may call done() at once, from inside. All with the machine lock.
 */
#ifndef HW_SCSI_LUN_H
#define HW_SCSI_LUN_H

#include "block/block.h"
#include "core/device.h"
#include "hw/scsi/disk_conf.h"

enum { SCSI_GOOD = 0, SCSI_CHECK_CONDITION = 2, SCSI_BUSY = 8, SCSI_RESERVATION_CONFLICT = 0x18 };
enum { SENSE_NONE = 0, SENSE_NOT_READY = 2, SENSE_MEDIUM_ERROR = 3, SENSE_HARDWARE_ERROR = 4, SENSE_ILLEGAL_REQUEST = 5, SENSE_UNIT_ATTENTION = 6,
       SENSE_DATA_PROTECT = 7, SENSE_ABORTED = 11 };

enum scsi_dir { SCSI_NO_DATA, SCSI_IN, SCSI_OUT };
#define SCSI_SENSE_SIZE 18
#define SCSI_BUFFER     4096             /* parameter lists and answers */
#define SCSI_XFER_MAX   (1u << 28)       /* bytes of one command; longer ones are refused (block limits page says so) */

struct scsi_sense { uint8_t key, asc, ascq; };

struct scsi_lun {
    struct drive *drive;
    const struct disk_conf *conf;
    bool cd, atapi;
    uint32_t block;                      /* bytes */
    const char *vendor, *product, *revision, *serial;
    uint64_t wwn;
    bool unmaps;
    /* state */
    struct scsi_sense attention;         /* pending unit attention */
    struct scsi_sense sense;             /* of the last command, for REQUEST SENSE */
    bool stopped;
    bool media_event;                    /* for GET EVENT STATUS NOTIFICATION */
    bool eject_event;
};

extern const struct field scsi_lun_fields[];
#define SCSI_LUN_N_FIELDS 15
#define SCSI_LUN(type_, member) { FIELD_OF(type_, member), .use = FIELD_STATE, .type = FIELD_STRUCT, .count = 1, .fields = scsi_lun_fields, \
    .n_fields = SCSI_LUN_N_FIELDS }

struct scsi_req {
    struct scsi_lun *lun;
    uint8_t cdb[16];
    enum scsi_dir dir;
    uint64_t bytes;                      /* data of the command */
    uint8_t status;
    struct scsi_sense sense;
    void (*done)(struct scsi_req *r);
    void *opaque;
    /* lun.c's */
    const struct scsi_command *command;
    bool media;                          /* data are sectors, from `at` on */
    uint64_t at;
    uint64_t blocks;
    uint8_t *buf;                        /* SCSI_BUFFER bytes when data are not sectors */
    uint8_t *bounce;
    struct block_req io;
    unsigned step;
};

void scsi_lun_init(struct scsi_lun *l, const struct disk_conf *conf, bool cd);
void scsi_lun_reset(struct scsi_lun *l);
/* For struct drive_port; opaque is the lun. */
void scsi_lun_medium(void *opaque, bool load);
void scsi_lun_eject_request(void *opaque, bool force);

void scsi_begin(struct scsi_req *r, struct scsi_lun *l, const uint8_t *cdb, unsigned len);
/* The slice lies within [0, r->bytes). Sectors: whole ones. The list must stay until done. */
void scsi_transfer(struct scsi_req *r, uint64_t skip, const struct iovec *iov, unsigned n, uint64_t bytes, void (*done)(struct scsi_req *r));
void scsi_finish(struct scsi_req *r, void (*done)(struct scsi_req *r));
void scsi_end(struct scsi_req *r);
/* Fixed-format sense data, SPC-4 4.5.3. */
void scsi_sense_bytes(struct scsi_sense s, uint8_t out[SCSI_SENSE_SIZE]);
void scsi_fail(struct scsi_req *r, uint8_t key, uint8_t asc, uint8_t ascq);
/* Length of a CDB by its first byte; 0: vendor specific. */
unsigned scsi_cdb_length(uint8_t op);

#endif
