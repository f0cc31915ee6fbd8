/*
 * I/O APIC: turns pins into interrupt messages.
 * Spec: Intel 82093AA data sheet (registers IOREGSEL, IOWIN, IOREDTBL); EOI register and version 20h as in ICH (section 13.5).
 * Polarity: lines arrive as "asserted", the polarity bit is kept for the guest to read only.
 */
#include "hw/intc/ioapic.h"

#include "base/log.h"
#include "core/machine.h"

enum { IOREGSEL = 0x00, IOWIN = 0x10, IOEOI = 0x40 };
enum { IOAPICID, IOAPICVER, IOAPICARB, IOREDTBL = 0x10 };

#define RTE_VECTOR     0xffull
#define RTE_LOGICAL    (1ull << 11)
#define RTE_STATUS     (1ull << 12)
#define RTE_REMOTE_IRR (1ull << 14)
#define RTE_LEVEL      (1ull << 15)
#define RTE_MASKED     (1ull << 16)
#define RTE_WRITABLE   0xff0000000001afffull   /* without status and remote IRR */
#define VERSION        (0x20u | (IOAPIC_PINS - 1) << 16)

static void send(struct ioapic *io, unsigned n)
{
    uint64_t rte = io->rte[n];
    struct apic_msg m = {
        .dest = rte >> 56,
        .logical = rte & RTE_LOGICAL,
        .vector = rte & RTE_VECTOR,
        .mode = rte >> 8 & 7,
        .level = rte & RTE_LEVEL,
    };
    if (m.mode != APIC_FIXED && m.mode != APIC_LOWEST) {
        m.level = false;          /* 82093AA 3.2.4: these are edge whatever the bit says */
    } else if (m.level) {
        io->rte[n] |= RTE_REMOTE_IRR;
    }
    apic_bus_send(io->bus, &m);
}

static bool is_level(uint64_t rte)
{
    return (rte & RTE_LEVEL) && (rte >> 8 & 7) <= APIC_LOWEST;
}

/* A level pin that is up and not yet in service. */
static void send_level(struct ioapic *io, unsigned n)
{
    uint64_t rte = io->rte[n];
    if (is_level(rte) && (io->lines >> n & 1) && !(rte & (RTE_MASKED | RTE_REMOTE_IRR))) {
        send(io, n);
    }
}

void ioapic_pin(void *opaque, unsigned n, int level)
{
    struct ioapic *io = opaque;
    if (n >= IOAPIC_PINS) {
        return;
    }
    bool was = io->lines >> n & 1;
    io->lines = (io->lines & ~(1u << n)) | (uint32_t)!!level << n;
    if (is_level(io->rte[n])) {
        send_level(io, n);
    } else if (level && !was && !(io->rte[n] & RTE_MASKED)) {
        send(io, n);
    }
}

void ioapic_eoi(struct ioapic *io, uint8_t vector)
{
    for (unsigned n = 0; n < IOAPIC_PINS; n++) {
        if ((io->rte[n] & RTE_REMOTE_IRR) && (io->rte[n] & RTE_VECTOR) == vector) {
            io->rte[n] &= ~RTE_REMOTE_IRR;
            send_level(io, n);
        }
    }
}

static uint32_t window_read(struct ioapic *io)
{
    switch (io->select) {
    case IOAPICID:
    case IOAPICARB:
        return io->id << 24;
    case IOAPICVER:
        return VERSION;
    }
    unsigned n = (io->select - IOREDTBL) / 2;
    if (io->select >= IOREDTBL && n < IOAPIC_PINS) {
        return io->rte[n] >> (io->select & 1 ? 32 : 0);
    }
    log_guest("ioapic: read of register 0x%x", io->select);
    return 0;
}

static void window_write(struct ioapic *io, uint32_t value)
{
    unsigned n = (io->select - IOREDTBL) / 2;
    if (io->select == IOAPICID) {
        io->id = value >> 24 & 0xf;
    } else if (io->select >= IOREDTBL && n < IOAPIC_PINS) {
        unsigned shift = io->select & 1 ? 32 : 0;
        uint64_t mask = RTE_WRITABLE & (0xffffffffull << shift);
        io->rte[n] = (io->rte[n] & ~mask) | ((uint64_t)value << shift & mask);
        if (!(io->rte[n] & RTE_LEVEL)) {
            io->rte[n] &= ~RTE_REMOTE_IRR;    /* guests without EOI register clear it by a trip to edge mode */
        }
        send_level(io, n);
    } else {
        log_guest("ioapic: write of 0x%x to register 0x%x", value, io->select);
    }
}

static enum access_status ioapic_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct ioapic *io = opaque;
    (void)size;
    *value = offset == IOREGSEL ? io->select : offset == IOWIN ? window_read(io) : 0;
    return ACCESS_OK;
}

static enum access_status ioapic_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct ioapic *io = opaque;
    (void)size;
    switch (offset) {
    case IOREGSEL:
        io->select = value & 0xff;
        break;
    case IOWIN:
        window_write(io, value);
        break;
    case IOEOI:
        ioapic_eoi(io, value);
        break;
    default:
        log_guest("ioapic: write of 0x%x at offset 0x%x", (unsigned)value, (unsigned)offset);
    }
    return ACCESS_OK;
}

static const struct region_ops ioapic_ops = { .read = ioapic_read, .write = ioapic_write, .min_size = 4, .max_size = 4 };

static bool ioapic_init(struct device *d, GError **err)
{
    struct ioapic *io = (struct ioapic *)d;
    (void)err;
    region_init_io(&io->mmio, "ioapic", &ioapic_ops, io, 0x1000);
    region_add(&d->machine->memory_root, &io->mmio, io->base, 1);
    return true;
}

static void ioapic_reset(struct device *d, enum reset_phase phase)
{
    struct ioapic *io = (struct ioapic *)d;
    if (phase == RESET_ENTER) {
        for (unsigned n = 0; n < IOAPIC_PINS; n++) {
            io->rte[n] = RTE_MASKED;
        }
    }
}

static const struct field ioapic_fields[] = {
    WIRING(struct ioapic, mmio),
    WIRING(struct ioapic, bus),
    STATE(struct ioapic, id),
    STATE(struct ioapic, select),
    STATE(struct ioapic, lines, .keep = true),    /* belongs to those who drive the pins */
    STATE(struct ioapic, rte, .elem = 8),
    PROP(struct ioapic, base, .def = "0xfec00000", .help = "address of the registers"),
};

const struct device_class ioapic_class = {
    .name = "ioapic", .desc = "I/O APIC, 24 pins", .bus = "system", .size = sizeof(struct ioapic), .version = 1,
    .fields = ioapic_fields, .n_fields = G_N_ELEMENTS(ioapic_fields), .init = ioapic_init, .reset = ioapic_reset,
};
