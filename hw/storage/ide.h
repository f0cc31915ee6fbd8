/*
 * ATA: the devices and the channel that they share, apart from what carries their data (PCI bus master, AHCI). Specs: ATA/ATAPI-7, ACS-2.
 *
 * A channel (struct ide_bus) has two units. The task file is in the unit. A command ends in ide_done(), or asks for a data phase:
 * PIO through unit->buf, or DMA through the transport, which supplies guest memory as a list.
 */
#ifndef HW_STORAGE_IDE_H
#define HW_STORAGE_IDE_H

#include "core/bus.h"
#include "core/device.h"
#include "core/dma.h"
#include "core/irq.h"
#include "hw/scsi/disk_conf.h"
#include "hw/scsi/lun.h"

enum { ATA_ERR = 0x01, ATA_DRQ = 0x08, ATA_DSC = 0x10, ATA_DF = 0x20, ATA_DRDY = 0x40, ATA_BSY = 0x80 };
enum { ATA_E_ABRT = 0x04, ATA_E_IDNF = 0x10, ATA_E_UNC = 0x40 };
enum { ATA_CTL_NIEN = 0x02, ATA_CTL_SRST = 0x04, ATA_CTL_HOB = 0x80 };
enum { ATA_DATA, ATA_FEATURE, ATA_COUNT, ATA_LBA0, ATA_LBA1, ATA_LBA2, ATA_SELECT, ATA_COMMAND, ATA_REGS };   /* offsets; FEATURE reads as error */

#define IDE_BUF (128 * 1024)             /* PIO data: at most an ATAPI burst or 256 sectors */

struct ide_bus;
struct ide_unit;

enum ide_phase { IDE_IDLE, IDE_PIO_IN, IDE_PIO_OUT, IDE_DMA, IDE_WAIT };   /* WAIT: for the drive */

enum ide_next { IDE_NEXT_DONE, IDE_NEXT_READ, IDE_NEXT_WRITE, IDE_NEXT_CDB, IDE_NEXT_PACKET_IN, IDE_NEXT_PACKET_OUT, IDE_NEXTS };

/* What the transport does for a unit; machine lock. */
struct ide_transport {
    void (*irq)(struct ide_bus *b);                           /* the channel's interrupt line may have changed (b->intrq) */
    void (*pio)(struct ide_unit *u);                          /* buf has data (PIO_IN) or wants some; NULL: the guest reads the data port */
    void (*dma_ready)(struct ide_unit *u, bool write_memory); /* wants DMA: calls ide_dma_go() when the engine runs */
    /* Makes sg a list of up to `bytes` bytes of guest memory from the engine's tables. False: none, and sg is not live. */
    bool (*dma_map)(struct ide_unit *u, struct dma_sg *sg, uint64_t bytes, bool write_memory);
    void (*dma_done)(struct ide_unit *u, uint64_t bytes);     /* moved; the command's end follows by finished */
    void (*finished)(struct ide_unit *u);                     /* a command is over; status and error stand; NULL: nothing to do */
};

struct ide_regs { uint8_t feature, count, lba[3]; };

struct ide_unit {
    struct device dev;
    struct disk_conf conf;
    struct scsi_lun lun;                 /* ide-cd */
    /* properties */
    uint32_t unit;
    char *model, *version;
    uint64_t wwn;
    /* state */
    uint8_t status, error, select;
    struct ide_regs r, hob;
    bool ext;                            /* the command running has 48-bit addresses */
    uint8_t command;
    uint8_t multiple;                    /* sectors of a block of READ/WRITE MULTIPLE, 0: off */
    uint8_t udma, mdma, pio;             /* modes set: bit masks as in IDENTIFY words 88, 63, and mode number */
    uint32_t cyls, heads, secs;          /* translation in force */
    bool smart_off, read_look_ahead_off, standby;
    uint8_t smart_errors, smart_self_test;
    uint8_t phase;                       /* enum ide_phase */
    uint8_t next;                        /* enum ide_next: what follows when buf is done */
    uint32_t at, len;                    /* of buf */
    uint64_t lba;                        /* next sector of a running transfer */
    uint32_t left;                       /* sectors still to move */
    uint32_t packet_left;                /* ATAPI: bytes of the command still to move, and where */
    uint32_t packet_at;
    uint16_t packet_limit;               /* byte count of a burst */
    bool packet_dma;
    uint8_t cdb[12];
    uint8_t buf[IDE_BUF];
    /* wiring */
    struct ide_bus *bus;
    bool cd;
    struct dma_sg sg;
    bool sg_live;
    bool cancelling;
    struct block_req io;
    struct iovec iov;
    struct scsi_req packet;
    bool packet_live;
    char serial_text[32];
};

struct ide_bus {
    struct bus bus;                      /* kind "IDE" */
    struct ide_unit *unit[2];
    const struct ide_transport *transport;
    void *opaque;
    unsigned max_units;
    unsigned serial;                     /* of its first unit: QM00001 ... */
    /* state */
    uint8_t current;                     /* unit selected */
    uint8_t control;                     /* device control register */
    bool intrq;
};

/* Embedded in controllers: state of a channel. */
extern const struct field ide_bus_fields[];
#define IDE_BUS_N_FIELDS 9
#define IDE_BUSES(type_, member, n) { FIELD_OF(type_, member), .use = FIELD_STATE, .type = FIELD_STRUCT, .count = (n), .fields = ide_bus_fields, \
    .n_fields = IDE_BUS_N_FIELDS }

/* name NULL: "ide.N" counted over the machine. `path`: what firmware calls unit n's place. */
void ide_bus_init(struct ide_bus *b, struct device *owner, const char *name, unsigned max_units, const struct ide_transport *t, void *opaque,
                  char *(*dev_path)(struct device *d));
void ide_bus_fini(struct ide_bus *b);
void ide_bus_reset(struct ide_bus *b);               /* power-on or hard reset: both units */

/* Task file as a legacy channel sees it: command block (offset 0-7) and the control register. */
uint32_t ide_data_read(struct ide_bus *b, unsigned size);
void ide_data_write(struct ide_bus *b, unsigned size, uint32_t value);
uint8_t ide_reg_read(struct ide_bus *b, unsigned reg);
void ide_reg_write(struct ide_bus *b, unsigned reg, uint8_t value);
uint8_t ide_alt_status(struct ide_bus *b);
void ide_control_write(struct ide_bus *b, uint8_t value);

/* --- for transports --- */
void ide_command(struct ide_unit *u, uint8_t command);   /* the task file is filled */
void ide_dma_go(struct ide_unit *u);                     /* the engine runs now: start the transfer */
void ide_unit_cancel(struct ide_unit *u);                /* ends what is in flight and forgets it */
void ide_unit_reset(struct ide_unit *u, bool hard);      /* signature, modes */
void ide_pio_moved(struct ide_unit *u, uint32_t bytes);  /* the transport has moved so much of buf */
static inline bool ide_waits_for_dma(const struct ide_unit *u) { return u && u->phase == IDE_DMA && !u->sg_live; }

/* --- between ide.c, ide_disk.c, ide_cd.c --- */
void ide_done(struct ide_unit *u);                       /* good end */
void ide_fail(struct ide_unit *u, uint8_t error);
void ide_interrupt(struct ide_unit *u);
void ide_pio_in(struct ide_unit *u, uint32_t bytes, enum ide_next next);    /* buf is filled: DRQ, interrupt */
void ide_pio_out(struct ide_unit *u, uint32_t bytes, enum ide_next next, bool interrupt);
void ide_disk_command(struct ide_unit *u, uint8_t command);
void ide_disk_dma(struct ide_unit *u);
void ide_disk_next_read(struct ide_unit *u);
void ide_disk_next_write(struct ide_unit *u);
void ide_cd_next_cdb(struct ide_unit *u);
void ide_cd_next_in(struct ide_unit *u);
void ide_cd_next_out(struct ide_unit *u);
void ide_cd_packet(struct ide_unit *u);
void ide_cd_dma(struct ide_unit *u);
void ide_cd_identify(struct ide_unit *u);
void ide_put_string(uint8_t *words, const char *s, unsigned len);   /* bytes swapped in pairs, padded with blanks */
void ide_sg_end(struct ide_unit *u, uint64_t written);
unsigned ide_write_kind(uint8_t command);

extern const struct device_class ide_hd_class, ide_cd_class, piix3_ide_class, piix4_ide_class;

#endif
