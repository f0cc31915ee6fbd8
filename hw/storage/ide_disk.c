/*
 * ATA commands. Specs: ATA/ATAPI-7 vol. 1 chapter 6, ACS-2 for DATA SET MANAGEMENT. NCQ is AHCI's (ahci.c).
 * Not there: CFA, DOWNLOAD MICROCODE, security (frozen), HPA changes, SMART logs with anything in them; the standard answers are given or the command aborts.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "hw/storage/ide.h"

static void put16(uint8_t *id, unsigned word, uint32_t v)
{
    id[word * 2] = (uint8_t)v;
    id[word * 2 + 1] = (uint8_t)(v >> 8);
}

static uint64_t sectors(const struct ide_unit *u) { return drive_size(u->conf.drive) / 512; }

/* --- IDENTIFY --- */

static void identify(struct ide_unit *u)
{
    uint8_t *id = u->buf;
    uint64_t n = sectors(u), n28 = MIN(n, 0xfffffff);
    uint32_t cyls, heads, secs, chs = u->cyls * u->heads * u->secs;
    bool trim = drive_discards(u->conf.drive), cache = u->conf.drive->write_cache, ncq = u->bus->max_units == 1;
    disk_conf_geometry(&u->conf, &cyls, &heads, &secs);
    memset(id, 0, 512);
    const struct { uint8_t word; uint32_t value; } rows[] = {
        { 0, 0x0040 }, { 1, cyls }, { 3, heads }, { 4, 512 * secs }, { 5, 512 }, { 6, secs }, { 20, 3 }, { 21, 512 }, { 22, 4 },
        { 47, 0x8010 }, { 48, 1 }, { 49, 0x0b00 }, { 51, 0x200 }, { 52, 0x200 }, { 53, 7 }, { 54, u->cyls }, { 55, u->heads }, { 56, u->secs },
        { 57, chs }, { 58, chs >> 16 }, { 59, u->multiple ? 0x100 | u->multiple : 0 }, { 60, n28 }, { 61, n28 >> 16 },
        { 62, 0x0007 | (u->mdma & 0x80 ? 0x100 << (u->mdma & 7) : 0) }, { 63, 0x0007 | (u->mdma & 0x40 ? 0x100 << (u->mdma & 7) : 0) }, { 64, 3 },
        { 65, 120 }, { 66, 120 }, { 67, 120 }, { 68, 120 },
        { 69, trim ? 0x4000 : 0 }, { 75, ncq ? 31 : 0 }, { 76, ncq ? 0x0106 : 0 }, { 80, 0xf0 }, { 81, 0x16 },
        { 82, 0x4021 }, { 83, 0x7400 }, { 84, 0x4000 | (u->wwn ? 0x100 : 0) }, { 85, 0x4000 | (cache ? 0x20 : 0) | (u->smart_off ? 0 : 1) },
        { 86, 0x3400 }, { 87, 0x4000 | (u->wwn ? 0x100 : 0) }, { 88, 0x003f | (u->mdma ? 0 : 0x100 << u->udma) }, { 93, 0x6001 },
        { 100, (uint32_t)n }, { 101, (uint32_t)(n >> 16) }, { 102, (uint32_t)(n >> 32) }, { 103, (uint32_t)(n >> 48) },
        { 105, trim ? 1 : 0 },
        { 106, u->conf.physical_block_size > 512 ? 0x6000u | (uint32_t)g_bit_nth_lsf(u->conf.physical_block_size / 512, -1) : 0 },
        { 108, (uint32_t)(u->wwn >> 48) }, { 109, (uint32_t)(u->wwn >> 32) }, { 110, (uint32_t)(u->wwn >> 16) }, { 111, (uint32_t)u->wwn },
        { 169, trim ? 1 : 0 }, { 217, 0 },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        put16(id, rows[i].word, rows[i].value);
    }
    ide_put_string(id + 20, u->serial_text, 20);
    ide_put_string(id + 46, u->version, 8);
    ide_put_string(id + 54, u->model ? u->model : "QEMU HARDDISK", 40);
    ide_pio_in(u, 512, IDE_NEXT_DONE);
}

/* --- addresses --- */

static uint64_t address(const struct ide_unit *u)
{
    const struct ide_regs *r = &u->r, *h = &u->hob;
    if (u->ext) {
        return (uint64_t)h->lba[2] << 40 | (uint64_t)h->lba[1] << 32 | (uint64_t)h->lba[0] << 24 | (uint64_t)r->lba[2] << 16 | r->lba[1] << 8 | r->lba[0];
    }
    if (u->select & 0x40) {
        return (uint64_t)(u->select & 15) << 24 | r->lba[2] << 16 | r->lba[1] << 8 | r->lba[0];
    }
    uint64_t track = (uint64_t)(r->lba[2] << 8 | r->lba[1]) * u->heads + (u->select & 15);
    return r->lba[0] && r->lba[0] <= u->secs && (u->select & 15) < u->heads ? track * u->secs + r->lba[0] - 1 : UINT64_MAX;
}

static void set_address(struct ide_unit *u, uint64_t lba)
{
    struct ide_regs *r = &u->r, *h = &u->hob;
    if (!u->ext && !(u->select & 0x40)) {
        uint32_t track = (uint32_t)(lba / u->secs);
        r->lba[0] = (uint8_t)(lba % u->secs + 1);
        r->lba[1] = (uint8_t)(track / u->heads);
        r->lba[2] = (uint8_t)(track / u->heads >> 8);
        u->select = (u->select & 0xf0) | track % u->heads;
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        r->lba[i] = (uint8_t)(lba >> 8 * i);
        h->lba[i] = u->ext ? (uint8_t)(lba >> (24 + 8 * i)) : h->lba[i];
    }
    if (!u->ext) {
        u->select = (u->select & 0xf0) | (lba >> 24 & 15);
    }
}

static uint32_t count(const struct ide_unit *u)
{
    uint32_t n = u->ext ? (uint32_t)u->hob.count << 8 | u->r.count : u->r.count;
    return n ? n : u->ext ? 65536 : 256;
}

/* Sets lba and left; false: refused. */
static bool range(struct ide_unit *u)
{
    uint64_t lba = address(u), all = sectors(u);
    u->left = count(u);
    u->lba = lba;
    if (lba >= all || u->left > all - lba) {
        u->left = 0;
        ide_fail(u, ATA_E_IDNF | ATA_E_ABRT);
        return false;
    }
    return true;
}

/* --- transfers --- */

static void io_error(struct ide_unit *u, int error)
{
    set_address(u, u->lba);
    u->left = 0;
    ide_fail(u, error == EACCES || error == EPERM || u->io.op != BLOCK_READ ? ATA_E_ABRT : ATA_E_UNC);
}

static void start(struct ide_unit *u, enum block_op op, uint32_t n, const struct iovec *iov, unsigned n_iov, unsigned flags,
                  void (*done)(struct block_req *r, int error))
{
    u->io = (struct block_req){ .op = op, .flags = flags, .offset = u->lba * 512, .bytes = (uint64_t)n * 512, .iov = iov, .n_iov = n_iov,
        .done = done, .opaque = u };
    u->status = ATA_BSY | ATA_DRDY | ATA_DSC;
    u->phase = IDE_WAIT;
    drive_submit(u->conf.drive, &u->io);
}

/* Sectors of one PIO block of the command that runs. */
static uint32_t block_of(const struct ide_unit *u)
{
    bool multiple = u->command == 0xc4 || u->command == 0xc5 || u->command == 0x29 || u->command == 0x39 || u->command == 0xce;
    return MIN(u->left, multiple ? u->multiple : 1u);
}

static void advance(struct ide_unit *u, uint32_t n)
{
    u->lba += n;
    u->left -= n;
    u->r.count = (uint8_t)u->left;
    u->hob.count = (uint8_t)(u->left >> 8);
    set_address(u, u->left ? u->lba : u->lba - 1);             /* ends at the last sector */
}

static void pio_read_done(struct block_req *io, int error)
{
    struct ide_unit *u = io->opaque;
    if (u->cancelling) {
        return;
    }
    if (error) {
        io_error(u, error);
        return;
    }
    uint32_t n = (uint32_t)(io->bytes / 512);
    advance(u, n);
    ide_pio_in(u, n * 512, IDE_NEXT_READ);
}

void ide_disk_next_read(struct ide_unit *u)
{
    uint32_t n = block_of(u);
    if (!n) {
        u->status = ATA_DRDY | ATA_DSC;
        u->phase = IDE_IDLE;
        if (u->bus->transport->finished) {
            u->bus->transport->finished(u);
        }
        return;
    }
    u->iov = (struct iovec){ u->buf, n * 512u };
    start(u, BLOCK_READ, n, &u->iov, 1, 0, pio_read_done);
}

static void pio_write_done(struct block_req *io, int error)
{
    struct ide_unit *u = io->opaque;
    if (u->cancelling) {
        return;
    }
    if (error) {
        io_error(u, error);
        return;
    }
    advance(u, (uint32_t)(io->bytes / 512));
    if (u->left) {
        ide_pio_out(u, block_of(u) * 512, IDE_NEXT_WRITE, true);
    } else {
        ide_done(u);
    }
}

void ide_disk_next_write(struct ide_unit *u)
{
    uint32_t n = u->len / 512;
    u->iov = (struct iovec){ u->buf, u->len };
    start(u, BLOCK_WRITE, n, &u->iov, 1, u->command == 0xce ? BLOCK_FUA : 0, pio_write_done);
}

static bool dma_writes_disk(uint8_t command)
{
    return command == 0xca || command == 0xcb || command == 0x35 || command == 0x3d || command == 0x06;
}

static void dma_done(struct block_req *io, int error)
{
    struct ide_unit *u = io->opaque;
    uint64_t bytes = io->bytes;
    if (u->cancelling) {
        return;
    }
    ide_sg_end(u, io->op == BLOCK_READ && !error ? bytes : 0);
    if (error) {
        io_error(u, error);
        return;
    }
    u->bus->transport->dma_done(u, bytes);
    advance(u, (uint32_t)(bytes / 512));
    if (u->left) {
        u->phase = IDE_DMA;                                    /* the tables were too short for all: wait for more */
        u->bus->transport->dma_ready(u, !dma_writes_disk(u->command));
    } else {
        ide_done(u);
    }
}

static void trim_next(struct ide_unit *u);

/* One list of up to 1 MiB at a time keeps the work of one guest action bounded. */
#define DMA_PIECE 2048u                                        /* sectors */

void ide_disk_dma(struct ide_unit *u)
{
    bool to_disk = dma_writes_disk(u->command);
    uint64_t want = (uint64_t)MIN(u->left, DMA_PIECE) * 512;
    if (u->command == 0x06) {
        want = 512;
    }
    if (!u->bus->transport->dma_map(u, &u->sg, want, !to_disk)) {
        return;                                                /* no table: the transport has said what it thinks of that */
    }
    u->sg_live = true;
    uint32_t n = (uint32_t)(u->sg.bytes / 512);
    if (u->command == 0x06) {
        dma_sg_read(&u->sg, 0, u->buf, 512);
        ide_sg_end(u, 0);
        u->bus->transport->dma_done(u, 512);
        u->len = 512;
        u->at = 0;
        trim_next(u);
        return;
    }
    if (!n || u->sg.bytes % 512) {
        log_guest("ide: a DMA table of %u bytes is no number of sectors", (unsigned)u->sg.bytes);
        ide_sg_end(u, 0);
        u->left = 0;
        ide_fail(u, ATA_E_ABRT);
        return;
    }
    start(u, to_disk ? BLOCK_WRITE : BLOCK_READ, n, u->sg.iov, u->sg.n, u->command == 0x3d ? BLOCK_FUA : 0, dma_done);
}

/* --- DATA SET MANAGEMENT: TRIM --- */

static void trim_done(struct block_req *io, int error)
{
    struct ide_unit *u = io->opaque;
    if (u->cancelling) {
        return;
    }
    if (error) {
        ide_fail(u, ATA_E_ABRT);
    } else {
        trim_next(u);
    }
}

static void trim_next(struct ide_unit *u)
{
    while (u->at + 8 <= u->len) {
        const uint8_t *b = u->buf + u->at;
        uint64_t lba = 0;
        for (unsigned i = 0; i < 6; i++) {
            lba |= (uint64_t)b[i] << 8 * i;
        }
        uint32_t n = b[6] | (uint32_t)b[7] << 8;
        u->at += 8;
        if (!n) {
            continue;
        }
        if (lba >= sectors(u) || n > sectors(u) - lba) {
            ide_fail(u, ATA_E_IDNF | ATA_E_ABRT);
            return;
        }
        u->lba = lba;
        start(u, BLOCK_DISCARD, n, NULL, 0, 0, trim_done);
        return;
    }
    ide_done(u);
}

/* --- other commands --- */

static void flush_done(struct block_req *io, int error)
{
    struct ide_unit *u = io->opaque;
    if (u->cancelling) {
        return;
    }
    if (error) {
        ide_fail(u, ATA_E_ABRT);
    } else {
        ide_done(u);
    }
}

static void flush(struct ide_unit *u)
{
    u->lba = 0;
    start(u, BLOCK_FLUSH, 0, NULL, 0, 0, flush_done);
}

static void set_features(struct ide_unit *u)
{
    switch (u->r.feature) {
    case 0x02:                                                 /* write cache on */
        u->conf.drive->write_cache = true;
        break;
    case 0x82:                                                 /* off: what is cached goes out first */
        u->conf.drive->write_cache = false;
        flush(u);
        return;
    case 0x03: {
        uint8_t mode = u->r.count & 7;
        switch (u->r.count >> 3) {
        case 0: case 1:
            u->pio = mode;
            break;
        case 2:                                                /* single-word DMA */
            u->mdma = 0x80 | mode;
            break;
        case 4:
            u->mdma = 0x40 | mode;
            break;
        case 8:
            u->udma = mode;
            u->mdma = 0;
            break;
        default:
            ide_fail(u, ATA_E_ABRT);
            return;
        }
        break;
    }
    case 0x55: case 0xaa:
        u->read_look_ahead_off = u->r.feature == 0x55;
        break;
    case 0xcc: case 0x66: case 0x05: case 0x85: case 0x42: case 0xc2: case 0x67: case 0x96: case 0x9a: case 0x69:
        break;
    default:
        ide_fail(u, ATA_E_ABRT);
        return;
    }
    ide_done(u);
}

static void checksum(uint8_t *b)
{
    uint8_t sum = 0;
    for (unsigned i = 0; i < 511; i++) {
        sum += b[i];
    }
    b[511] = (uint8_t)-sum;
}

/* SMART as ATA-5 8.41 has it: id, flags, value, worst, raw, threshold. */
static const uint8_t attributes[][12] = {
    { 0x01, 0x03, 0x00, 0x64, 0x64, 0, 0, 0, 0, 0, 0, 0x06 },  /* raw read error rate */
    { 0x03, 0x03, 0x00, 0x64, 0x64, 0x10, 0, 0, 0, 0, 0, 0x46 },   /* spin-up time */
    { 0x04, 0x02, 0x00, 0x64, 0x64, 0x64, 0, 0, 0, 0, 0, 0x14 },
    { 0x05, 0x03, 0x00, 0x64, 0x64, 0, 0, 0, 0, 0, 0, 0x36 },  /* reallocated sectors */
    { 0x09, 0x03, 0x00, 0x64, 0x64, 0x01, 0, 0, 0, 0, 0, 0 },
    { 0x0c, 0x03, 0x00, 0x64, 0x64, 0, 0, 0, 0, 0, 0, 0 },
    { 0xbe, 0x03, 0x00, 0x45, 0x45, 0x1f, 0, 0x1f, 0x1f, 0, 0, 0x32 },   /* temperature */
};

static void smart_data(struct ide_unit *u, bool thresholds)
{
    uint8_t *b = u->buf;
    memset(b, 0, 512);
    b[0] = 1;
    for (unsigned i = 0; i < G_N_ELEMENTS(attributes); i++) {
        uint8_t *a = b + 2 + 12 * i;
        a[0] = attributes[i][0];
        if (thresholds) {
            a[1] = attributes[i][11];
        } else {
            memcpy(a + 1, attributes[i] + 1, 10);
        }
    }
    if (!thresholds) {
        b[362] = 0x02;                                         /* off-line data collection completed */
        b[363] = u->smart_self_test;
        b[364] = 0x20;
        b[367] = 0x01 << 4 | 1 << 3 | 1;
        b[368] = 0x03;
        b[370] = 1;
        b[372] = 2;
        b[373] = 0x36;
        b[374] = 1;
    }
    checksum(b);
    ide_pio_in(u, 512, IDE_NEXT_DONE);
}

static void smart(struct ide_unit *u)
{
    if (u->r.lba[1] != 0x4f || u->r.lba[2] != 0xc2 || (u->smart_off && u->r.feature != 0xd8)) {
        ide_fail(u, ATA_E_ABRT);
        return;
    }
    switch (u->r.feature) {
    case 0xd0: case 0xd1:
        smart_data(u, u->r.feature == 0xd1);
        return;
    case 0xd5:                                                 /* read log: directory, summary errors, self tests: empty */
        if (u->r.lba[0] > 1 && u->r.lba[0] != 6) {
            ide_fail(u, ATA_E_ABRT);
            return;
        }
        memset(u->buf, 0, 512);
        u->buf[0] = 1;
        if (u->r.lba[0]) {
            checksum(u->buf);
        } else {
            u->buf[2] = 1;                                     /* directory: sectors of logs 1 and 6 */
            u->buf[12] = 1;
        }
        ide_pio_in(u, 512, IDE_NEXT_DONE);
        return;
    case 0xd8: case 0xd9:
        u->smart_off = u->r.feature == 0xd9;
        break;
    case 0xd2: case 0xd4: case 0xda:                           /* auto-save, off-line tests: at once and well */
        break;
    default:
        ide_fail(u, ATA_E_ABRT);
        return;
    }
    ide_done(u);
}

static void nop(struct ide_unit *u) { ide_done(u); }

static void seek(struct ide_unit *u)
{
    if (address(u) >= sectors(u)) {
        ide_fail(u, ATA_E_IDNF);
    } else {
        ide_done(u);
    }
}

static void verify(struct ide_unit *u)
{
    if (range(u)) {
        advance(u, u->left);
        ide_done(u);
    }
}

static void read_pio(struct ide_unit *u)
{
    if ((u->command == 0xc4 || u->command == 0x29) && !u->multiple) {
        ide_fail(u, ATA_E_ABRT);
    } else if (range(u)) {
        ide_disk_next_read(u);
    }
}

static void write_pio(struct ide_unit *u)
{
    if ((u->command == 0xc5 || u->command == 0x39 || u->command == 0xce) && !u->multiple) {
        ide_fail(u, ATA_E_ABRT);
    } else if (range(u)) {
        ide_pio_out(u, block_of(u) * 512, IDE_NEXT_WRITE, false);
    }
}

static void dma(struct ide_unit *u)
{
    if (range(u)) {
        u->phase = IDE_DMA;
        u->bus->transport->dma_ready(u, !dma_writes_disk(u->command));
    }
}

static void trim(struct ide_unit *u)
{
    if (!(u->r.feature & 1) || !drive_discards(u->conf.drive) || count(u) != 1) {
        ide_fail(u, ATA_E_ABRT);
        return;
    }
    u->left = 1;
    u->phase = IDE_DMA;
    u->bus->transport->dma_ready(u, false);
}

static void set_multiple(struct ide_unit *u)
{
    uint8_t n = u->r.count;
    if (n > 16 || (n & (n - 1))) {
        ide_fail(u, ATA_E_ABRT);
    } else {
        u->multiple = n;
        ide_done(u);
    }
}

static void init_parameters(struct ide_unit *u)
{
    uint32_t heads = (u->select & 15) + 1u, secs = u->r.count;
    if (!secs) {
        ide_fail(u, ATA_E_ABRT);
        return;
    }
    u->heads = heads;
    u->secs = secs;
    u->cyls = (uint32_t)CLAMP(sectors(u) / (heads * secs), 1, 65535);
    ide_done(u);
}

static void native_max(struct ide_unit *u)
{
    if (!u->ext) {
        u->select |= 0x40;
    }
    set_address(u, u->ext ? sectors(u) - 1 : MIN(sectors(u), 0x10000000) - 1);
    ide_done(u);
}

static void check_power(struct ide_unit *u)
{
    u->r.count = u->standby ? 0 : 0xff;
    ide_done(u);
}

static void stand_by(struct ide_unit *u)
{
    u->standby = true;
    ide_done(u);
}

static void soft_reset(struct ide_unit *u)
{
    ide_unit_reset(u, false);
    u->bus->transport->irq(u->bus);
    if (u->bus->transport->finished) {
        u->bus->transport->finished(u);
    }
}

/* ATAPI devices abort what only disks do and leave their signature. */
static void abort_packet(struct ide_unit *u)
{
    u->r.count = u->r.lba[0] = 1;
    u->r.lba[1] = 0x14;
    u->r.lba[2] = 0xeb;
    ide_fail(u, ATA_E_ABRT);
}

enum { HD = 1, CD = 2, EXT = 4 };

static const struct {
    uint8_t command, flags;
    void (*run)(struct ide_unit *u);
} commands[] = {
    { 0x06, HD | EXT, trim }, { 0x08, CD, soft_reset }, { 0x10, HD, nop }, { 0x20, HD, read_pio }, { 0x21, HD, read_pio },
    { 0x24, HD | EXT, read_pio }, { 0x25, HD | EXT, dma }, { 0x27, HD | EXT, native_max }, { 0x29, HD | EXT, read_pio },
    { 0x30, HD, write_pio }, { 0x31, HD, write_pio }, { 0x34, HD | EXT, write_pio }, { 0x35, HD | EXT, dma }, { 0x39, HD | EXT, write_pio },
    { 0x3c, HD, write_pio }, { 0x3d, HD | EXT, dma }, { 0x40, HD, verify }, { 0x41, HD, verify }, { 0x42, HD | EXT, verify },
    { 0x70, HD, seek }, { 0x91, HD, init_parameters }, { 0xa0, CD, ide_cd_packet }, { 0xa1, CD, ide_cd_identify }, { 0xb0, HD, smart },
    { 0xc4, HD, read_pio }, { 0xc5, HD, write_pio }, { 0xc6, HD, set_multiple }, { 0xc8, HD, dma }, { 0xc9, HD, dma }, { 0xca, HD, dma },
    { 0xcb, HD, dma }, { 0xce, HD | EXT, write_pio }, { 0xe0, HD | CD, stand_by }, { 0xe1, HD | CD, nop }, { 0xe2, HD | CD, stand_by },
    { 0xe3, HD | CD, nop }, { 0xe5, HD | CD, check_power }, { 0xe6, HD | CD, stand_by }, { 0xe7, HD | CD, flush }, { 0xea, HD | EXT, flush },
    { 0xec, HD, identify }, { 0xef, HD | CD, set_features }, { 0xf5, HD, nop }, { 0xf8, HD, native_max },
};

void ide_disk_command(struct ide_unit *u, uint8_t command)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (commands[i].command == command || (commands[i].command == 0x10 && command >> 4 == 1)) {
            if (!(commands[i].flags & (u->cd ? CD : HD))) {
                break;
            }
            u->ext = commands[i].flags & EXT;
            commands[i].run(u);
            return;
        }
    }
    if (u->cd) {
        abort_packet(u);
    } else {
        ide_fail(u, ATA_E_ABRT);
    }
}
