/*
 * Parallel NOR flash, one byte wide, Intel command set. Spec: JEDEC JESD68.01 (CFI), JEP137 (command set 01h); Intel 28F640J3 data sheet,
 * chapter 11 (commands), table 18 (status). In read-array mode the guest reads it as ROM; every write comes here.
 * What the guest programs goes to the drive behind the guest's back, and is there at the end at the latest.
 * Left out: lock bits, suspend, buffered writes that cross a buffer. `secure`: only system management mode may write.
 */
#include "hw/misc/pflash_cfi01.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "block/block.h"
#include "core/machine.h"

#define SECTOR 4096u             /* erased as a whole, and what goes to the drive */
#define BUFFER 64u               /* bytes of a buffered write */
enum { READ_ARRAY = 0xff, READ_ID = 0x90, READ_CFI = 0x98, READ_STATUS = 0x70, CLEAR_STATUS = 0x50, PROGRAM = 0x10, PROGRAM2 = 0x40, ERASE = 0x20,
       CONFIRM = 0xd0, WRITE_BUFFER = 0xe8, LOCK = 0x60 };
enum { STATUS_READY = 0x80, STATUS_ERASE_ERROR = 0x20, STATUS_PROGRAM_ERROR = 0x10 };

struct pflash {
    struct device dev;
    char *drive_name;
    bool secure;
    uint8_t command;             /* whose next write is awaited, or whose answer reads give */
    uint8_t cycle;               /* of the command: 0 none is pending */
    uint8_t status;
    uint8_t count;               /* bytes of a buffered write still to come */
    bool array;                  /* reads give the contents */
    struct drive *drive;
    struct ram_block *rom;
    struct region space;         /* what the board places: one of the two below */
    struct region contents, registers;
    uint64_t size;
    uint64_t dirty_from, dirty_to;   /* not yet with the drive */
    uint8_t *sent;               /* what the request in flight writes */
    struct iovec iov;
    struct block_req request;
    bool in_flight;
};

/* --- to the drive --- */

static void send_dirty(struct pflash *f);

static void sent(struct block_req *r, int error)
{
    struct pflash *f = r->opaque;
    if (error) {
        log_unimp("pflash: the drive does not take what was written: %s", g_strerror(error));
    }
    g_clear_pointer(&f->sent, g_free);
    f->in_flight = false;
    send_dirty(f);
}

static void send_dirty(struct pflash *f)
{
    if (f->in_flight || f->dirty_from >= f->dirty_to) {
        return;
    }
    uint64_t from = f->dirty_from & ~(SECTOR - 1ull), to = MIN((f->dirty_to + SECTOR - 1) & ~(SECTOR - 1ull), f->size);
    f->dirty_from = f->dirty_to = 0;
    f->sent = g_memdup2(f->rom->host + from, to - from);
    f->iov = (struct iovec){ f->sent, to - from };
    f->request = (struct block_req){ .op = BLOCK_WRITE, .offset = from, .bytes = to - from, .iov = &f->iov, .n_iov = 1, .done = sent, .opaque = f };
    f->in_flight = true;
    drive_submit(f->drive, &f->request);
}

static void changed(struct pflash *f, uint64_t at, uint64_t len)
{
    ram_store_notify(f->dev.machine, f->rom, at, len);
    f->dirty_from = f->dirty_from < f->dirty_to ? MIN(f->dirty_from, at) : at;
    f->dirty_to = MAX(f->dirty_to, at + len);
    send_dirty(f);
}

/* --- commands --- */

static bool may_write(struct pflash *f)
{
    return !drive_read_only(f->drive);
}

/* Programming can only take bits away. */
static void program(struct pflash *f, uint64_t at, uint8_t value)
{
    f->status |= STATUS_READY;
    if (!may_write(f)) {
        f->status |= STATUS_PROGRAM_ERROR;
        return;
    }
    f->rom->host[at] &= value;
    changed(f, at, 1);
}

static void erase(struct pflash *f, uint64_t at)
{
    uint64_t from = at & ~(SECTOR - 1ull);
    f->status |= STATUS_READY;
    if (!may_write(f)) {
        f->status |= STATUS_ERASE_ERROR;
        return;
    }
    memset(f->rom->host + from, 0xff, MIN(SECTOR, f->size - from));
    changed(f, from, MIN(SECTOR, f->size - from));
}

static void show(struct pflash *f)
{
    region_set_enabled(&f->contents, f->array);
}

static void begin(struct pflash *f, uint8_t value)
{
    f->cycle = 0;
    f->array = false;
    switch (value) {
    case CLEAR_STATUS:
        f->status = 0;
        f->array = true;
        break;
    case READ_ARRAY:
    case 0xf0:                               /* reset of the other command set: drivers send both */
        f->array = true;
        break;
    case READ_ID:
    case READ_CFI:
    case READ_STATUS:
        f->command = value;
        break;
    case PROGRAM:
    case PROGRAM2:
    case ERASE:
    case WRITE_BUFFER:
    case LOCK:
        f->command = value;
        f->cycle = 1;
        f->status |= value == WRITE_BUFFER ? STATUS_READY : 0;
        break;
    default:
        log_guest("pflash: command 0x%02x", value);
        f->array = true;
    }
}

static void go_on(struct pflash *f, uint64_t at, uint8_t value)
{
    uint8_t command = f->command;
    if (command == WRITE_BUFFER && f->cycle == 1) {
        f->count = MIN(value, BUFFER - 1) + 1;
        f->cycle = 2;
        return;
    }
    if (command == WRITE_BUFFER && f->count) {
        program(f, at, value);
        f->count--;
        return;
    }
    f->cycle = 0;
    f->command = READ_STATUS;
    if (command == PROGRAM || command == PROGRAM2) {
        program(f, at, value);
    } else if (command == ERASE && value == CONFIRM) {
        erase(f, at);
    } else if (command == ERASE) {
        f->status |= STATUS_ERASE_ERROR | STATUS_PROGRAM_ERROR;      /* a wrong sequence */
    } else {
        f->status |= STATUS_READY;
    }
}

static enum access_status flash_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pflash *f = opaque;
    struct cpu *c = cpu_current();
    (void)size;
    if (f->secure && !(c && c->memory == &f->dev.machine->smm)) {
        log_guest("pflash: a write outside system management mode");
        return ACCESS_OK;
    }
    if (f->cycle) {
        go_on(f, offset, value);
    } else {
        begin(f, value);
    }
    show(f);
    return ACCESS_OK;
}

/* CFI query, JESD68.01 4.3, from 10h on: command set 1, no voltages said, sizes filled in below. */
static uint8_t cfi(const struct pflash *f, unsigned at)
{
    static const uint8_t table[] = { 'Q', 'R', 'Y', 1, 0, 0x31, 0, 0, 0, 0, 0, 0x45, 0x55, 0, 0, 7, 7, 10, 0, 4, 4, 4, 0 };
    unsigned sectors = f->size / SECTOR - 1, log = 63 - __builtin_clzll(f->size);
    switch (at) {
    case 0x27: return log;
    case 0x2a: return 6;                     /* 64-byte buffer */
    case 0x2c: return 1;
    case 0x2d: return sectors;
    case 0x2e: return sectors >> 8;
    case 0x30: return SECTOR >> 8;
    }
    return at >= 0x10 && at < 0x10 + sizeof(table) ? table[at - 0x10] : 0;
}

static enum access_status flash_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct pflash *f = opaque;
    (void)size;
    *value = f->array ? f->rom->host[offset]
             : f->command == READ_ID ? ((offset & 0xff) == 0 ? 0x89 : (offset & 0xff) == 1 ? 0x18 : 0)
             : f->command == READ_CFI ? cfi(f, offset & 0xff) : f->status;
    return ACCESS_OK;
}

static const struct region_ops flash_ops = { .read = flash_read, .write = flash_write, .min_size = 1, .max_size = 1 };

/* --- life --- */

struct region *pflash_region(struct device *d, uint64_t *size)
{
    *size = ((struct pflash *)d)->size;
    return &((struct pflash *)d)->space;
}

static bool pflash_init(struct device *d, GError **err)
{
    struct pflash *f = (struct pflash *)d;
    if (!f->drive_name) {
        return error_set(err, EMU_ERROR_INVALID, "drive= is missing");
    }
    f->drive = drive_claim(d->machine->drives, f->drive_name, &(struct drive_port){ .path = "pflash", .opaque = f }, err);
    if (!f->drive) {
        return false;
    }
    f->size = drive_size(f->drive);
    if (!f->size || f->size % SECTOR || f->size > 64u << 20) {
        drive_release(f->drive);
        return error_set(err, EMU_ERROR_INVALID, "flash '%s' has %" G_GUINT64_FORMAT " bytes: it must be a multiple of 4 KiB, at most 64 MiB",
                         f->drive_name, f->size);
    }
    f->rom = ram_new(d->machine, d->id ? d->id : "pflash", f->size, true, err);
    int error = f->rom ? drive_read_now(f->drive, 0, f->rom->host, f->size) : 0;
    if (!f->rom || error) {
        drive_release(f->drive);
        return f->rom ? error_set(err, EMU_ERROR_HOST, "cannot read flash '%s': %s", f->drive_name, g_strerror(error)) : false;
    }
    region_init_container(&f->space, "pflash", f->size);
    region_init_ram(&f->contents, "pflash", f->rom, 0, f->size);
    f->contents.ops = &flash_ops;            /* for writes */
    f->contents.opaque = f;
    region_init_io(&f->registers, "pflash-registers", &flash_ops, f, f->size);
    region_add(&f->space, &f->contents, 0, 1);
    region_add(&f->space, &f->registers, 0, 0);
    return true;
}

static void pflash_fini(struct device *d)
{
    struct pflash *f = (struct pflash *)d;
    while (f->drive && (f->in_flight || f->dirty_from < f->dirty_to)) {
        send_dirty(f);
        drive_drain(f->drive);
    }
    drive_release(f->drive);
}

static void pflash_settle(struct device *d) { show((struct pflash *)d); }

static void pflash_reset(struct device *d, enum reset_phase phase)
{
    if (phase == RESET_ENTER) {
        ((struct pflash *)d)->array = true;
    }
}

static const struct field pflash_fields[] = {
    PROP(struct pflash, drive_name, .option = "drive", .help = "its contents"),
    PROP(struct pflash, secure, .def = "off", .help = "only system management mode may write"),
    STATE(struct pflash, command),
    STATE(struct pflash, cycle),
    STATE(struct pflash, status, .reset = STATUS_READY),
    STATE(struct pflash, count),
    STATE(struct pflash, array),
    WIRING(struct pflash, drive),
    WIRING(struct pflash, rom),
    WIRING(struct pflash, space),
    WIRING(struct pflash, contents),
    WIRING(struct pflash, registers),
    WIRING(struct pflash, size),
    DERIVED(struct pflash, dirty_from),
    DERIVED(struct pflash, dirty_to),
    WIRING(struct pflash, sent),
    WIRING(struct pflash, iov),
    WIRING(struct pflash, request),
    DERIVED(struct pflash, in_flight),
};

const struct device_class pflash_cfi01_class = {
    .name = "cfi.pflash01", .desc = "parallel flash memory", .bus = "system", .size = sizeof(struct pflash), .version = 1,
    .fields = pflash_fields, .n_fields = G_N_ELEMENTS(pflash_fields),
    .init = pflash_init, .fini = pflash_fini, .reset = pflash_reset, .settle = pflash_settle,
};
