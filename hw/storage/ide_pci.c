/*
 * IDE function of the PIIX3 and PIIX4: two channels at the legacy ports, bus mastering through BAR 4. Specs: Intel 82371FB/SB/AB data sheets;
 * Programming Interface for Bus Master IDE Controller, 1.0. Timing registers keep what is written.
 */
#include "base/error.h"
#include "base/log.h"
#include "core/machine.h"
#include "hw/isa/isa.h"
#include "hw/pci/pci.h"
#include "hw/storage/ide.h"

enum { BM_COMMAND = 0, BM_STATUS = 2, BM_TABLE = 4 };
enum { BM_START = 1, BM_TO_MEMORY = 8 };
enum { BM_ACTIVE = 1, BM_ERROR = 2, BM_INTERRUPT = 4 };
#define PRD_END 0x80000000u
#define PRD_MAX 8192u                    /* a table is within 64 KiB */

struct channel {
    struct ide_pci *owner;
    struct ide_bus *bus;
    struct irq_line irq;
    struct region command_ports, control_port;
    /* state */
    uint8_t command, status;
    uint32_t table;
    uint32_t next;                       /* address of the next table row */
    uint32_t addr, left;                 /* of the row in work */
    uint32_t rows;                       /* read since the start */
    bool last;
    bool level;
};

struct ide_pci {
    struct pci_device pci;
    struct ide_bus bus[2];
    struct channel channel[2];
    struct region bus_master;
};

/* --- bus master --- */

static void irq(struct ide_bus *b)
{
    struct channel *c = b->opaque;
    bool level = b->intrq && !(b->control & ATA_CTL_NIEN);
    if (level && !c->level) {
        c->status |= BM_INTERRUPT;
    }
    c->level = level;
    irq_set(&c->irq, level);
}

static void go(struct channel *c)
{
    struct ide_unit *u = c->bus->unit[c->bus->current & 1];
    if ((c->status & BM_ACTIVE) && ide_waits_for_dma(u)) {
        ide_dma_go(u);
    }
}

static void dma_ready(struct ide_unit *u, bool write_memory)
{
    (void)write_memory;
    go(u->bus->opaque);
}

static bool next_row(struct channel *c)
{
    uint8_t row[8];
    if (c->last || c->rows >= PRD_MAX || !dma_read(pci_dma(&c->owner->pci), c->next, row, sizeof(row))) {
        return false;
    }
    c->addr = pci_get32(row) & ~1u;
    c->left = pci_get32(row + 4) & 0xfffe;
    c->left = c->left ? c->left : 0x10000;
    c->last = pci_get32(row + 4) & PRD_END;
    c->next += 8;
    c->rows++;
    return true;
}

static bool dma_map_list(struct ide_unit *u, struct dma_sg *sg, uint64_t bytes, bool write_memory)
{
    struct channel *c = u->bus->opaque;
    if (!(c->command & BM_TO_MEMORY) == write_memory) {
        log_guest("ide: bus master runs the wrong way");
        c->status = (c->status & ~BM_ACTIVE) | BM_ERROR;
        return false;
    }
    dma_sg_init(sg, pci_dma(&c->owner->pci), write_memory);
    while (bytes && (c->left || next_row(c))) {
        uint32_t n = (uint32_t)MIN(bytes, c->left);
        dma_sg_add(sg, c->addr, n);
        c->addr += n;
        c->left -= n;
        bytes -= n;
    }
    if (!sg->bytes) {
        dma_sg_end(sg, 0);
        log_guest("ide: the bus master's table is too short");
        c->status &= ~BM_ACTIVE;         /* "the PRDs specified a smaller size than the IDE transfer size" */
        return false;
    }
    return true;
}

static void dma_done(struct ide_unit *u, uint64_t bytes)
{
    (void)u;
    (void)bytes;
}

static void finished(struct ide_unit *u)
{
    struct channel *c = u->bus->opaque;
    if (c->rows) {
        c->status &= ~BM_ACTIVE;
    }
}

static const struct ide_transport transport = { .irq = irq, .dma_ready = dma_ready, .dma_map = dma_map_list, .dma_done = dma_done, .finished = finished };

static void start_stop(struct channel *c, uint8_t value)
{
    bool was = c->command & BM_START, on = value & BM_START;
    c->command = value & (BM_START | BM_TO_MEMORY);
    if (on && !was) {
        c->status |= BM_ACTIVE;
        c->next = c->table;
        c->left = c->rows = 0;
        c->last = false;
        go(c);
    } else if (!on && was) {
        struct ide_unit *u = c->bus->unit[c->bus->current & 1];
        if (u && u->sg_live) {
            drive_drain(u->conf.drive);  /* what the host has begun ends; the guest sees none of it half done */
        }
        c->status &= ~BM_ACTIVE;
    }
}

static enum access_status bm_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct ide_pci *p = opaque;
    struct channel *c = &p->channel[offset >> 3 & 1];
    uint8_t bytes[8] = { c->command, 0, c->status, 0, 0, 0, 0, 0 };
    pci_put32(bytes + BM_TABLE, c->table);
    *value = 0;
    for (unsigned i = 0; i < size; i++) {
        *value |= (uint64_t)bytes[(offset + i) & 7] << 8 * i;
    }
    return ACCESS_OK;
}

static enum access_status bm_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct ide_pci *p = opaque;
    struct channel *c = &p->channel[offset >> 3 & 1];
    for (unsigned i = 0; i < size; i++) {
        unsigned reg = (offset + i) & 7;
        uint8_t v = (uint8_t)(value >> 8 * i);
        if (reg == BM_COMMAND) {
            start_stop(c, v);
        } else if (reg == BM_STATUS) {
            c->status = (v & 0x60) | (c->status & ~0x60 & ~(v & (BM_ERROR | BM_INTERRUPT)));
        } else if (reg >= BM_TABLE) {
            unsigned shift = 8 * (reg - BM_TABLE);
            c->table = ((c->table & ~(0xffu << shift)) | (uint32_t)v << shift) & ~3u;
        }
    }
    return ACCESS_OK;
}

static const struct region_ops bm_ops = { .read = bm_read, .write = bm_write, .min_size = 1, .max_size = 4 };

/* --- legacy ports --- */

static enum access_status command_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct channel *c = opaque;
    *value = offset == ATA_DATA ? ide_data_read(c->bus, size) : ide_reg_read(c->bus, (unsigned)offset);
    return ACCESS_OK;
}

static enum access_status command_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct channel *c = opaque;
    if (offset == ATA_DATA) {
        ide_data_write(c->bus, size, (uint32_t)value);
    } else {
        ide_reg_write(c->bus, (unsigned)offset, (uint8_t)value);
    }
    return ACCESS_OK;
}

static enum access_status control_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    (void)offset;
    (void)size;
    *value = ide_alt_status(((struct channel *)opaque)->bus);
    return ACCESS_OK;
}

static enum access_status control_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    (void)offset;
    (void)size;
    ide_control_write(((struct channel *)opaque)->bus, (uint8_t)value);
    return ACCESS_OK;
}

static const struct region_ops command_ops = { .read = command_read, .write = command_write, .min_size = 1, .max_size = 4 };
static const struct region_ops control_ops = { .read = control_read, .write = control_write, .min_size = 1, .max_size = 1 };

/* --- the function --- */

static char *unit_path(struct device *d)
{
    struct channel *c = ((struct ide_bus *)d->bus)->opaque;
    return g_strdup_printf("drive@%u", (unsigned)(c - c->owner->channel));
}

static bool ide_pci_init(struct device *d, GError **err)
{
    static const uint16_t ports[2][2] = { { 0x1f0, 0x3f6 }, { 0x170, 0x376 } };
    struct ide_pci *p = (struct ide_pci *)d;
    struct isa_bus *isa = isa_bus_find(d->machine, err);
    if (!isa || !pci_device_init(&p->pci, d->class->data, err)) {
        return false;
    }
    for (unsigned i = 0x40; i < 0x45; i++) {
        p->pci.writable[i] = 0xff;       /* timing; bits 15 enable the channels */
    }
    p->pci.config[0x41] = p->pci.config[0x43] = 0x80;      /* channels on, as firmware leaves them: a kernel may start without one */
    p->pci.writable[0x48] = 0x0f;        /* PIIX4: UDMA control and timing */
    p->pci.writable[0x4a] = p->pci.writable[0x4b] = 0x33;
    region_init_io(&p->bus_master, "piix-bmdma", &bm_ops, p, 16);
    pci_bar_add(&p->pci, 4, PCI_BAR_IO, &p->bus_master, 16);
    for (unsigned i = 0; i < 2; i++) {
        struct channel *c = &p->channel[i];
        c->owner = p;
        c->bus = &p->bus[i];
        if (!isa_irq(isa, 14 + i, &c->irq, err)) {
            return false;
        }
        ide_bus_init(c->bus, d, NULL, 2, &transport, c, unit_path);
        region_init_io(&c->command_ports, i ? "ide-secondary" : "ide-primary", &command_ops, c, 8);
        region_init_io(&c->control_port, i ? "ide-secondary-control" : "ide-primary-control", &control_ops, c, 1);
        region_add(&d->machine->io_root, &c->command_ports, ports[i][0], 0);
        region_add(&d->machine->io_root, &c->control_port, ports[i][1], 0);
    }
    return pci_device_ready(&p->pci, err);
}

static void ide_pci_fini(struct device *d)
{
    struct ide_pci *p = (struct ide_pci *)d;
    for (unsigned i = 0; i < 2; i++) {
        if (p->channel[i].command_ports.parent) {
            region_del(&p->channel[i].command_ports);
            region_del(&p->channel[i].control_port);
        }
        if (p->channel[i].bus) {
            ide_bus_fini(p->channel[i].bus);
        }
    }
    pci_device_fini(&p->pci);
}

static void ide_pci_reset(struct device *d, enum reset_phase phase)
{
    struct ide_pci *p = (struct ide_pci *)d;
    pci_class_reset(d, phase);
    for (unsigned i = 0; phase == RESET_ENTER && i < 2; i++) {
        ide_bus_reset(&p->bus[i]);
    }
}

static void ide_pci_settle(struct device *d)
{
    struct ide_pci *p = (struct ide_pci *)d;
    pci_device_settle(&p->pci);
    for (unsigned i = 0; i < 2; i++) {
        irq_set(&p->channel[i].irq, p->channel[i].level);
    }
}

static const struct field channel_fields[] = {
    WIRING(struct channel, owner),
    WIRING(struct channel, bus),
    WIRING(struct channel, irq),
    WIRING(struct channel, command_ports),
    WIRING(struct channel, control_port),
    STATE(struct channel, command),
    STATE(struct channel, status),
    STATE(struct channel, table),
    STATE(struct channel, next),
    STATE(struct channel, addr),
    STATE(struct channel, left),
    STATE(struct channel, rows),
    STATE(struct channel, last),
    STATE(struct channel, level),
};

static const struct field ide_pci_fields[] = {
    PCI_FIELDS(struct ide_pci),
    IDE_BUSES(struct ide_pci, bus, 2),
    STATE_STRUCT(struct ide_pci, channel, channel_fields, 2),
    WIRING(struct ide_pci, bus_master),
};

static const struct pci_id piix3_id = { .vendor = 0x8086, .device = 0x7010, .subsystem_vendor = 0x1af4, .subsystem = 0x1100, .class = 0x010180 };
static const struct pci_id piix4_id = { .vendor = 0x8086, .device = 0x7111, .subsystem_vendor = 0x1af4, .subsystem = 0x1100, .class = 0x010180 };

#define IDE_CLASS(name_, desc_, id_) { .name = name_, .desc = desc_, .bus = "pci", .user_creatable = true, .size = sizeof(struct ide_pci), \
    .version = 1, .fields = ide_pci_fields, .n_fields = G_N_ELEMENTS(ide_pci_fields), .init = ide_pci_init, .fini = ide_pci_fini, \
    .reset = ide_pci_reset, .settle = ide_pci_settle, .data = (id_) }

const struct device_class piix3_ide_class = IDE_CLASS("piix3-ide", "IDE controller of a PC (PIIX3)", &piix3_id);
const struct device_class piix4_ide_class = IDE_CLASS("piix4-ide", "IDE controller of a PC (PIIX4)", &piix4_id);
