/*
 * PCs: what boards pc-i440fx-7.2 and pc-q35-7.2 have in common. Rows say which devices there are; the code below them is the wiring
 * that rows cannot say.
 */
#include "hw/boards/pc.h"

#include <inttypes.h>

#include "base/error.h"
#include "cpu/x86/cpu.h"
#include "hw/boards/boards.h"
#include "hw/char/uart16550.h"
#include "hw/input/i8042.h"
#include "hw/intc/i8259.h"
#include "hw/intc/ioapic.h"
#include "hw/intc/lapic.h"
#include "hw/misc/misc.h"
#include "hw/timer/i8254.h"
#include "hw/timer/mc146818.h"

#define MIN_RAM  (2 * MIB)
#define VGA_HOLE 0xa0000u

/* Devices that need no more than to be made. Serial ports follow by -serial. */
static const struct {
    const struct device_class *class;
} isa_rows[PC_ISA_ROWS] = {
    [PC_PIC] = { &i8259_class }, [PC_IOAPIC] = { &ioapic_class }, [PC_PIT] = { &i8254_class }, [PC_RTC] = { &mc146818_class },
    [PC_I8042] = { &i8042_class }, [PC_PORT92] = { &port92_class }, [PC_FW_CFG] = { &fw_cfg_class },
};

static void pc_fini(struct device *d)
{
    struct pc *pc = (struct pc *)d;
    pc_firmware_free(pc);
    g_free(pc->apics.cpus);
}

static const struct field pc_fields[] = {
    { .name = "wiring", .use = FIELD_WIRING, .type = FIELD_OPAQUE, .offset = sizeof(struct device),
      .size = sizeof(struct pc) - sizeof(struct device) },
};

static const struct device_class pc_class = {
    .name = "pc-board", .desc = "what holds a PC together", .bus = "system", .size = sizeof(struct pc), .version = 1,
    .fields = pc_fields, .n_fields = G_N_ELEMENTS(pc_fields), .fini = pc_fini,
};

/* --- memory --- */

static void add_e820(struct pc *pc, uint64_t from, uint64_t to, enum e820_type type)
{
    if (from < to) {
        pc->boot.e820[pc->boot.n_e820++] = (struct e820_entry){ from, to - from, type };
    }
}

/* The ROM area has RAM, too, where the memory controller's PAM registers say so. */
static bool build_memory(struct pc *pc, struct machine *m, GError **err)
{
    uint64_t size = (m->spec.ram_size + PAGE_SIZE - 1) & PAGE_MASK;
    if (size < MIN_RAM) {
        return error_set(err, EMU_ERROR_INVALID, "a PC needs at least %" PRIu64 " MiB of memory (-m)", (uint64_t)(MIN_RAM / MIB));
    }
    uint64_t low = size < pc->chipset->low_max ? size : pc->chipset->low_split;
    m->main_ram = ram_new(m, "pc.ram", size, false, err);
    if (!m->main_ram) {
        return false;
    }
    region_begin(m);
    region_init_ram(&pc->low_ram, "ram-640k", m->main_ram, 0, VGA_HOLE);
    region_init_ram(&pc->main_ram, "ram-below-4g", m->main_ram, MIB, low - MIB);
    region_add(&m->memory_root, &pc->low_ram, 0, 0);
    region_add(&m->memory_root, &pc->main_ram, MIB, 0);
    if (size > low) {
        region_init_ram(&pc->high_ram, "ram-above-4g", m->main_ram, low, size - low);
        region_add(&m->memory_root, &pc->high_ram, HIGH_RAM, 0);
    }
    region_commit(m);
    add_e820(pc, 0, EBDA, E820_RAM);
    add_e820(pc, EBDA, VGA_HOLE, E820_RESERVED);
    add_e820(pc, ACPI_AREA, MIB, E820_RESERVED);
    add_e820(pc, MIB, low, E820_RAM);
    add_e820(pc, IOAPIC_DEFAULT_BASE, IOAPIC_DEFAULT_BASE + 0x1000, E820_RESERVED);
    add_e820(pc, X86_APIC_DEFAULT_BASE, X86_APIC_DEFAULT_BASE + 0x1000, E820_RESERVED);
    add_e820(pc, HIGH_RAM, HIGH_RAM + (size - low), E820_RAM);
    pc->boot.low_end = low;
    m->low_ram = low;
    return true;
}

/* --- interrupts --- */

/* An ISA line goes to both controllers; the timer's is pin 2 of the I/O APIC. */
static void pc_isa_irq(void *owner, unsigned n, int level)
{
    struct pc *pc = owner;
    i8259_pin(pc->row[PC_PIC], n, level);
    ioapic_pin(pc->row[PC_IOAPIC], n ? n : 2, level);
}

static void pc_intr(void *owner, unsigned n, int level)
{
    struct pc *pc = owner;
    (void)n;
    for (unsigned i = 0; i < pc->apics.n_cpus; i++) {
        lapic_lint(pc->apics.cpus[i], 0, level);
    }
}

static void pc_msi(void *owner, uint64_t addr, uint32_t data) { apic_bus_msi(&((struct pc *)owner)->apics, addr, data); }

static void open_a20(struct cpu *c, void *open) { x86_cpu_set_a20(c, open != NULL); }

/* n: which of the two gates; address bit 20 goes through if either is open. */
static void pc_a20(void *owner, unsigned n, int level)
{
    struct pc *pc = owner;
    struct machine *m = pc->dev.machine;
    bool was = pc->a20 != 0;
    pc->a20 = (pc->a20 & ~(1u << n)) | (unsigned)!!level << n;
    for (unsigned i = 0; was != (pc->a20 != 0) && i < m->n_cpus; i++) {
        cpu_run_on(m->cpus[i], open_a20, pc->a20 ? pc : NULL, true);
    }
}

/* Port F0h: the handler of IRQ 13 has seen the x87 error; F1h reset the coprocessor, once. */
static enum access_status coprocessor_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pc *pc = opaque;
    (void)size, (void)value;
    if (offset == 0 && cpu_current() == pc->dev.machine->cpus[0]) {
        x86_cpu_ignne(cpu_current());
    }
    return ACCESS_OK;
}

static enum access_status coprocessor_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    (void)opaque, (void)offset, (void)size;
    *value = 0xff;
    return ACCESS_OK;
}

static const struct region_ops coprocessor_ops = { .read = coprocessor_read, .write = coprocessor_write, .min_size = 1, .max_size = 1 };

static bool build_cpus(struct pc *pc, struct machine *m, GError **err)
{
    unsigned n = m->spec.cpus;
    pc->apics.cpus = g_new0(struct lapic *, n);
    for (unsigned i = 0; i < n; i++) {
        struct cpu *c = x86_cpu_create(m, i, m->spec.cpu_model ? m->spec.cpu_model : m->spec.board->default_cpu, err);
        struct lapic *l = c ? lapic_new(m, c, x86_apic_id(m, i), &pc->apics, err) : NULL;
        if (!l) {
            return false;
        }
        l->extint_source = (struct extint_source){ i8259_ack, pc->row[PC_PIC] };
        pc->apics.cpus[pc->apics.n_cpus++] = l;
        x86_cpu_connect_intc(c, &l->x86);
    }
    region_init_io(&pc->lapic_mmio, "apic-msi", &lapic_mmio_ops, &pc->apics, 0x1000);
    region_add(&m->memory_root, &pc->lapic_mmio, X86_APIC_DEFAULT_BASE, 2);
    pc->apics.mmio = &pc->lapic_mmio;
    x86_cpu_connect_ferr(m->cpus[0], (struct irq_line){ pc_isa_irq, pc, 13 });
    region_init_io(&pc->coprocessor, "coprocessor", &coprocessor_ops, pc, 2);
    region_add(&m->io_root, &pc->coprocessor, 0xf0, 0);
    return true;
}

/* --- devices --- */

bool pc_irqs(struct pc *pc, struct irq_line *lines, GError **err)
{
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        if (!isa_irq(pc->isa, i, &lines[i], err)) {
            return false;
        }
    }
    return true;
}

static bool build_isa(struct pc *pc, struct machine *m, GError **err)
{
    pc->isa = (struct isa_bus *)device_make(m, &isa_bus_class, NULL, err, NULL);
    for (unsigned i = 0; pc->isa && i < PC_ISA_ROWS; i++) {
        pc->row[i] = device_make(m, isa_rows[i].class, NULL, err, NULL);
        if (!pc->row[i]) {
            return false;
        }
    }
    if (!pc->isa) {
        return false;
    }
    struct ioapic *ioapic = (struct ioapic *)pc->row[PC_IOAPIC];
    ioapic->bus = &pc->apics;
    pc->apics.ioapics[pc->apics.n_ioapics++] = ioapic;
    ((struct i8259 *)pc->row[PC_PIC])->out = (struct irq_line){ pc_intr, pc, 0 };
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        pc->isa->out[i] = (struct irq_line){ pc_isa_irq, pc, i };
    }
    i8042_connect_a20(pc->row[PC_I8042], (struct irq_line){ pc_a20, pc, 0 });
    port92_connect_a20(pc->row[PC_PORT92], (struct irq_line){ pc_a20, pc, 1 });
    for (unsigned i = 0; i < G_N_ELEMENTS(m->spec.serial); i++) {
        char index[2] = { '0' + i, 0 };
        if (m->spec.serial[i] && !device_make(m, &uart16550_class, NULL, err, "index", index, NULL)) {
            return false;
        }
    }
    return true;
}

/* After the devices' own reset. */
static void pc_reset(void *opaque)
{
    struct pc *pc = opaque;
    pc->tables_fresh = false;
    pc_firmware_reset(pc);
    if (pc->image) {
        i8259_set_elcr((struct i8259 *)pc->row[PC_PIC], LEVEL_IRQS);
        lapic_virtual_wire(pc->apics.cpus[0]);
        boot_image_place(pc->image, &pc->dev.machine->memory);
        x86_cpu_apply_entry(pc->dev.machine->cpus[0], &pc->image->entry);
    }
}

static bool pc_build(struct machine *m, const struct pc_chipset *chipset, GError **err)
{
    struct pc *pc = (struct pc *)device_make(m, &pc_class, NULL, err, NULL);
    if (!pc) {
        return false;
    }
    m->board_data = pc;
    pc->chipset = chipset;
    pc->a20 = 3;
    if (!build_memory(pc, m, err) || !build_isa(pc, m, err) || !build_cpus(pc, m, err) || !chipset->build(pc, err)) {
        return false;
    }
    pc->host->bus.msi = pc_msi;
    pc->host->bus.msi_owner = pc;
    if (!pc_firmware_load(pc, err)) {
        return false;
    }
    machine_on_reset(m, pc_reset, pc);
    return true;
}

static bool pc_finish(struct machine *m, GError **err) { return pc_firmware_finish(m->board_data, err); }
static bool build_i440fx(struct machine *m, GError **err) { return pc_build(m, &pc_i440fx, err); }
static bool build_q35(struct machine *m, GError **err) { return pc_build(m, &pc_q35, err); }

const struct board board_pc = {
    .name = "pc-i440fx-7.2", .alias = "pc", .desc = "Standard PC (i440FX + PIIX, 1996)", .isa = "x86_64", .default_cpu = "max",
    .max_cpus = 255, .default_ram = GIB, .build = build_i440fx, .finish = pc_finish,
};

const struct board board_q35 = {
    .name = "pc-q35-7.2", .alias = "q35", .desc = "Standard PC (Q35 + ICH9, 2009)", .isa = "x86_64", .default_cpu = "max",
    .max_cpus = 255, .default_ram = GIB, .build = build_q35, .finish = pc_finish,
};
