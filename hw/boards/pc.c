/*
 * pc-i440fx-7.2: a PC of i440FX, PIIX3 and PIIX4. Rows say which devices there are; the code below them is the wiring that rows
 * cannot say. ACPI tables, CMOS and fw_cfg are made from the machine as built.
 * There is no firmware: the kernel given with -kernel begins right after reset, in the state that firmware would leave behind.
 */
#include <inttypes.h>

#include "base/error.h"
#include "core/dma.h"
#include "core/machine.h"
#include "cpu/x86/cpu.h"
#include "hw/acpi/piix4_pm.h"
#include "hw/acpi/tables.h"
#include "hw/boards/boards.h"
#include "hw/boards/boot.h"
#include "hw/char/uart16550.h"
#include "hw/input/i8042.h"
#include "hw/intc/apic_bus.h"
#include "hw/intc/i8259.h"
#include "hw/intc/ioapic.h"
#include "hw/intc/lapic.h"
#include "hw/isa/isa.h"
#include "hw/misc/fw_cfg.h"
#include "hw/misc/misc.h"
#include "hw/pci/i440fx.h"
#include "hw/timer/i8254.h"
#include "hw/timer/mc146818.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define MIN_RAM       (2 * MIB)
#define LOW_RAM_MAX   0xe0000000ull      /* up to here all RAM is below the hole */
#define LOW_RAM_SPLIT 0xc0000000ull      /* with more, this much of it is */
#define HIGH_RAM      (4 * GIB)
#define VGA_HOLE      0xa0000u
#define ROM_AREA      0xc0000u
#define EBDA          0x9fc00u
#define ACPI_AREA     0xf0000u
#define SCI_IRQ       9
#define LEVEL_IRQS    (1u << 5 | 1u << 9 | 1u << 10 | 1u << 11)
static const uint8_t pirq_route[4] = { 10, 10, 11, 11 };     /* dsdt.asl says the same */

enum { PIC, IOAPIC, PIT, RTC, I8042, PORT92, FW_CFG, ISA_ROWS };

/* Devices that need no more than to be made. Serial ports follow by -serial. */
static const struct {
    const struct device_class *class;
} isa_rows[ISA_ROWS] = {
    [PIC] = { &i8259_class }, [IOAPIC] = { &ioapic_class }, [PIT] = { &i8254_class }, [RTC] = { &mc146818_class },
    [I8042] = { &i8042_class }, [PORT92] = { &port92_class }, [FW_CFG] = { &fw_cfg_class },
};

struct pc {
    struct device dev;
    struct region low_ram, rom_area, main_ram, high_ram, lapic_mmio;
    struct isa_bus *isa;
    struct device *row[ISA_ROWS];
    struct apic_bus apics;
    unsigned a20;                    /* gates that are open: bit 0 the 8042's, bit 1 port 92h's */
    struct boot_machine boot;
    struct boot_image *image;
    GByteArray *acpi;
};

static void pc_fini(struct device *d)
{
    struct pc *pc = (struct pc *)d;
    boot_image_free(pc->image);
    if (pc->acpi) {
        g_byte_array_free(pc->acpi, TRUE);
    }
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

static bool build_memory(struct pc *pc, struct machine *m, GError **err)
{
    uint64_t size = (m->spec.ram_size + PAGE_SIZE - 1) & PAGE_MASK;
    if (size < MIN_RAM) {
        return error_set(err, EMU_ERROR_INVALID, "a PC needs at least %" PRIu64 " MiB of memory (-m)", (uint64_t)(MIN_RAM / MIB));
    }
    uint64_t low = size < LOW_RAM_MAX ? size : LOW_RAM_SPLIT;
    m->main_ram = ram_new(m, "pc.ram", size, false, err);
    if (!m->main_ram) {
        return false;
    }
    region_begin(m);
    region_init_ram(&pc->low_ram, "ram-640k", m->main_ram, 0, VGA_HOLE);
    region_init_ram(&pc->rom_area, "ram-rom-area", m->main_ram, ROM_AREA, MIB - ROM_AREA);
    region_init_ram(&pc->main_ram, "ram-below-4g", m->main_ram, MIB, low - MIB);
    region_add(&m->memory_root, &pc->low_ram, 0, 0);
    region_add(&m->memory_root, &pc->rom_area, ROM_AREA, 0);
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
    return true;
}

/* --- interrupts --- */

/* An ISA line goes to both controllers; the timer's is pin 2 of the I/O APIC. */
static void pc_isa_irq(void *owner, unsigned n, int level)
{
    struct pc *pc = owner;
    i8259_pin(pc->row[PIC], n, level);
    ioapic_pin(pc->row[IOAPIC], n ? n : 2, level);
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
        l->extint_source = (struct extint_source){ i8259_ack, pc->row[PIC] };
        pc->apics.cpus[pc->apics.n_cpus++] = l;
        x86_cpu_connect_intc(c, &l->x86);
    }
    region_init_io(&pc->lapic_mmio, "apic-msi", &lapic_mmio_ops, &pc->apics, 0x1000);
    region_add(&m->memory_root, &pc->lapic_mmio, X86_APIC_DEFAULT_BASE, 2);
    return true;
}

/* --- devices --- */

static bool build_isa(struct pc *pc, struct machine *m, GError **err)
{
    pc->isa = (struct isa_bus *)device_make(m, &isa_bus_class, NULL, err, NULL);
    for (unsigned i = 0; pc->isa && i < ISA_ROWS; i++) {
        pc->row[i] = device_make(m, isa_rows[i].class, NULL, err, NULL);
        if (!pc->row[i]) {
            return false;
        }
    }
    if (!pc->isa) {
        return false;
    }
    struct ioapic *ioapic = (struct ioapic *)pc->row[IOAPIC];
    ioapic->bus = &pc->apics;
    pc->apics.ioapics[pc->apics.n_ioapics++] = ioapic;
    ((struct i8259 *)pc->row[PIC])->out = (struct irq_line){ pc_intr, pc, 0 };
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        pc->isa->out[i] = (struct irq_line){ pc_isa_irq, pc, i };
    }
    i8042_connect_a20(pc->row[I8042], (struct irq_line){ pc_a20, pc, 0 });
    port92_connect_a20(pc->row[PORT92], (struct irq_line){ pc_a20, pc, 1 });
    for (unsigned i = 0; i < G_N_ELEMENTS(m->spec.serial); i++) {
        char index[2] = { '0' + i, 0 };
        if (m->spec.serial[i] && !device_make(m, &uart16550_class, NULL, err, "index", index, NULL)) {
            return false;
        }
    }
    return true;
}

static bool build_pci(struct pc *pc, struct machine *m, GError **err)
{
    struct pci_host *host = (struct pci_host *)device_make(m, &i440fx_host_class, NULL, err, NULL);
    if (!host || !device_make(m, &i440fx_class, NULL, err, "addr", "0", NULL)) {
        return false;
    }
    host->bus.msi = pc_msi;
    host->bus.msi_owner = pc;
    struct piix3 *bridge = (struct piix3 *)device_make(m, &piix3_class, NULL, err, "addr", "1", NULL);
    for (unsigned i = 0; bridge && i < ISA_IRQS; i++) {
        if (!isa_irq(pc->isa, i, &bridge->irq[i], err)) {
            return false;
        }
    }
    struct device *pm = bridge ? device_make(m, &piix4_pm_class, NULL, err, "addr", "1.3", NULL) : NULL;
    m->power_button = (struct irq_line){ piix4_pm_button, pm, 0 };
    return pm != NULL;
}

/* --- what firmware would leave --- */

static void fill_cmos(struct pc *pc, struct machine *m)
{
    struct mc146818 *rtc = (struct mc146818 *)pc->row[RTC];
    uint64_t ext = MIN((pc->boot.low_end - MIB) / KIB, 0xffff);
    uint64_t above16 = pc->boot.low_end > 16 * MIB ? MIN((pc->boot.low_end - 16 * MIB) / (64 * KIB), 0xffff) : 0;
    uint64_t high = m->main_ram->size > pc->boot.low_end ? (m->main_ram->size - pc->boot.low_end) / (64 * KIB) : 0;
    const struct {
        uint8_t at, bytes;
        uint64_t value;
    } rows[] = {
        { 0x14, 1, 0x02 },                           /* equipment: FPU */
        { 0x15, 2, 640 }, { 0x17, 2, ext }, { 0x30, 2, ext }, { 0x34, 2, above16 }, { 0x5b, 3, high },
        { 0x5f, 1, m->spec.cpus - 1 },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        for (unsigned k = 0; k < rows[i].bytes; k++) {
            mc146818_set(rtc, rows[i].at + k, rows[i].value >> 8 * k);
        }
    }
}

static bool fill_fw_cfg(struct pc *pc, struct machine *m, GError **err)
{
    struct fw_cfg *f = (struct fw_cfg *)pc->row[FW_CFG];
    g_autoptr(GByteArray) e820 = g_byte_array_new();
    fw_cfg_add_u64(f, FW_CFG_RAM_SIZE, m->main_ram->size);
    fw_cfg_add_u16(f, FW_CFG_NB_CPUS, m->spec.cpus);
    fw_cfg_add_u16(f, FW_CFG_MAX_CPUS, MAX(m->spec.max_cpus, m->spec.cpus));
    fw_cfg_add_u16(f, FW_CFG_NOGRAPHIC, !m->spec.graphics);
    for (unsigned i = 0; i < pc->boot.n_e820; i++) {
        g_byte_array_append(e820, (const uint8_t *)&pc->boot.e820[i], 20);
    }
    return fw_cfg_add_file(f, "etc/e820", e820->data, e820->len, false, err);
}

static void make_acpi(struct pc *pc, struct machine *m)
{
    struct acpi_serial serial[4];
    unsigned n_serial = 0;
    g_autofree uint32_t *ids = g_new(uint32_t, pc->apics.n_cpus);
    for (unsigned i = 0; i < pc->apics.n_cpus; i++) {
        ids[i] = pc->apics.cpus[i]->x86.id;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(m->spec.serial); i++) {
        if (m->spec.serial[i]) {
            uart_default_address(i, &serial[n_serial].port, &serial[n_serial].irq);
            n_serial++;
        }
    }
    pc->acpi = acpi_build(&(struct acpi_config){
        .n_cpus = pc->apics.n_cpus, .apic_id = ids, .lapic_base = X86_APIC_DEFAULT_BASE, .ioapic_base = IOAPIC_DEFAULT_BASE,
        .pm_base = PM_DEFAULT_BASE, .sci_irq = SCI_IRQ, .level_irqs = LEVEL_IRQS, .serial = serial, .n_serial = n_serial,
        .vga = m->spec.graphics }, ACPI_AREA);
    pc->boot.rsdp = ACPI_AREA;
}

/* After the devices' own reset. */
static void pc_reset(void *opaque)
{
    struct pc *pc = opaque;
    struct machine *m = pc->dev.machine;
    i8259_set_elcr((struct i8259 *)pc->row[PIC], LEVEL_IRQS);
    for (unsigned i = 0; i < m->devices->len; i++) {
        struct device *d = g_ptr_array_index(m->devices, i);
        if (d->class == &piix3_class) {
            piix3_set_routes((struct piix3 *)d, pirq_route);
        }
    }
    lapic_virtual_wire(pc->apics.cpus[0]);
    if (pc->acpi) {
        dma_write_rom(&m->memory, ACPI_AREA, pc->acpi->data, pc->acpi->len);
    }
    boot_image_place(pc->image, &m->memory);
    x86_cpu_apply_entry(m->cpus[0], &pc->image->entry);
}

static bool load_kernel(struct pc *pc, struct machine *m, GError **err)
{
    if (m->spec.firmware) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: -bios; give a kernel with -kernel");
    }
    if (!m->spec.kernel) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "nothing to start: give a kernel with -kernel (firmware is not supported yet)");
    }
    pc->boot.kernel = m->spec.kernel;
    pc->boot.initrd = m->spec.initrd;
    pc->boot.append = m->spec.append;
    pc->image = boot_load(&pc->boot, err);
    return pc->image != NULL;
}

static bool pc_build(struct machine *m, GError **err)
{
    struct pc *pc = (struct pc *)device_make(m, &pc_class, NULL, err, NULL);
    if (!pc) {
        return false;
    }
    m->board_data = pc;
    pc->a20 = 3;
    if (!build_memory(pc, m, err) || !build_isa(pc, m, err) || !build_cpus(pc, m, err) || !build_pci(pc, m, err)) {
        return false;
    }
    fill_cmos(pc, m);
    if (!fill_fw_cfg(pc, m, err)) {
        return false;
    }
    if (m->spec.acpi) {
        make_acpi(pc, m);
    }
    if (!load_kernel(pc, m, err)) {
        return false;
    }
    machine_on_reset(m, pc_reset, pc);
    return true;
}

const struct board board_pc = {
    .name = "pc-i440fx-7.2", .alias = "pc", .desc = "PC (i440FX, PIIX3, PIIX4)", .isa = "x86_64", .default_cpu = "max",
    .max_cpus = 255, .default_ram = GIB, .build = pc_build,
};
