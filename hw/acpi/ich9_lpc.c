/*
 * ICH9 LPC bridge (00:1f.0): PIRQ A-H to ISA lines and I/O APIC pins, ACPI fixed hardware, SMI command port, RCBA, TCO watchdog (tco.c).
 * Spec: Intel I/O Controller Hub 9 data sheet, 13.1 (configuration), 13.8 (power management), 10.1 (chipset configuration).
 * Left out: GPIO, LPC decode ranges, firmware hub, most of RCBA. Slots 0 to 24 take PIRQ E + (slot + pin) mod 4, slots 25 to 31
 * PIRQ A + pin, whatever RCBA says: so do the ACPI tables and SeaBIOS.
 */
#include "hw/acpi/ich9.h"

#include "base/log.h"
#include "core/machine.h"
#include "hw/isa/isa.h"

enum { CONFIG_PMBASE = 0x40, CONFIG_ACPI_CNTL = 0x44, CONFIG_PIRQ_A = 0x60, CONFIG_PIRQ_E = 0x68, CONFIG_GEN_PMCON1 = 0xa0, CONFIG_RCBA = 0xf0 };
enum { ACPI_EN = 0x80, PIRQ_OFF = 0x80 };
enum { SMI_GLOBAL = 1 << 0, SMI_APMC = 1 << 5, SMI_TCO = 1 << 13 };
enum { RCBA_D31IR = 0x3140, RCBA_D25IR = 0x3150, RCBA_GCS = 0x3410 };
#define ROUTABLE 0xdef8u                 /* IRQs that a PIRQ may be routed to: 3-7, 9-12, 14, 15 */

/* --- interrupt routing --- */

static uint8_t route_of(const struct ich9_lpc *l, unsigned n)
{
    return l->pci.config[n < 4 ? CONFIG_PIRQ_A + n : CONFIG_PIRQ_E + n - 4];
}

static void drive(struct ich9_lpc *l)
{
    uint8_t driven[16] = { 0 };
    for (unsigned n = 0; n < 8; n++) {
        uint8_t route = route_of(l, n);
        if ((l->level >> n & 1) && !(route & PIRQ_OFF) && (ROUTABLE >> (route & 15) & 1)) {
            driven[route & 15] |= 1u << n;
        }
    }
    for (unsigned i = 0; i < 16; i++) {
        if (!driven[i] != !l->driven[i]) {
            irq_set(&l->irq[i], driven[i] != 0);
        }
        l->driven[i] = driven[i];
    }
}

static unsigned ich9_route(void *owner, struct pci_device *dev, unsigned pin)
{
    unsigned slot = pci_slot(dev);
    (void)owner;
    return slot < 25 ? 4 + ((slot + pin) & 3) : pin;
}

static void ich9_line(void *owner, unsigned n, int level)
{
    struct ich9_lpc *l = owner;
    l->level = (l->level & ~(1u << n)) | (unsigned)!!level << n;
    irq_set(&l->gsi[n], level);
    drive(l);
}

static const struct pci_id ich9_lpc_id = {
    .vendor = 0x8086, .device = 0x2918, .subsystem_vendor = 0x1af4, .subsystem = 0x1100, .revision = 2, .class = 0x060100,
    .multifunction = true,
};

/* --- PM ports --- */

static uint8_t byte_read(struct ich9_lpc *l, unsigned at)
{
    if (at >= ICH9_GPE && at < ICH9_GPE + 16) {
        return acpi_gpe_read(&l->pm, at - ICH9_GPE);
    }
    if (at >= ICH9_SMI_EN && at < ICH9_SMI_EN + 4) {
        return l->smi_en >> 8 * (at & 3);
    }
    if (at >= ICH9_SMI_STS && at < ICH9_SMI_STS + 4) {
        return l->smi_sts >> 8 * (at & 3);
    }
    if (at >= ICH9_TCO) {
        return tco_read(&l->tco, (at - ICH9_TCO) & ~1u) >> 8 * (at & 1);
    }
    return acpi_pm_read(&l->pm, at & ~1u) >> 8 * (at & 1);
}

static enum access_status pm_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct ich9_lpc *l = opaque;
    if (offset == PM_TIMER && size == 4) {
        *value = acpi_pm_ticks(&l->pm);
        return ACCESS_OK;
    }
    *value = 0;
    for (unsigned i = 0; i < size; i++) {
        *value |= (uint64_t)byte_read(l, offset + i) << 8 * i;
    }
    return ACCESS_OK;
}

static void smi_en_write(struct ich9_lpc *l, unsigned at, uint8_t value)
{
    unsigned shift = 8 * (at & 3);
    uint32_t v = (l->smi_en & ~(0xffu << shift)) | (uint32_t)value << shift;
    if (l->smi) {
        /* SMI_LOCK: GBL_SMI_EN stays. */
        l->smi_en = l->pci.config[CONFIG_GEN_PMCON1] & 0x10 ? v | (l->smi_en & SMI_GLOBAL) : v;
    }
}

/* A byte, or a 16-bit register at an even offset. */
static unsigned part_write(struct ich9_lpc *l, unsigned at, uint32_t value, unsigned left)
{
    if (at >= ICH9_GPE && at < ICH9_GPE + 16) {
        acpi_gpe_write(&l->pm, at - ICH9_GPE, value);
        return 1;
    }
    if (at >= ICH9_SMI_EN && at < ICH9_SMI_EN + 4) {
        smi_en_write(l, at, value);
        return 1;
    }
    if (at >= ICH9_SMI_STS && at < ICH9_SMI_STS + 4) {
        l->smi_sts &= ~((value & 0xff) << 8 * (at & 3));
        return 1;
    }
    unsigned shift = 8 * (at & 1), even = at & ~1u;
    bool whole = left >= 2 && !shift;
    if (at >= ICH9_TCO) {
        uint16_t old = tco_read(&l->tco, even - ICH9_TCO);
        tco_write(&l->tco, even - ICH9_TCO, whole ? value : (old & ~(0xff << shift)) | (value & 0xff) << shift);
    } else if (whole) {
        acpi_pm_write(&l->pm, even, value, 0xffff);
    } else {
        acpi_pm_write(&l->pm, even, (value & 0xff) << shift, 0xff << shift);
    }
    return whole ? 2 : 1;
}

static enum access_status pm_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size;) {
        i += part_write(opaque, offset + i, value >> 8 * i, size - i);
    }
    return ACCESS_OK;
}

/* --- SMI command port --- */

static enum access_status smi_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct ich9_lpc *l = opaque;
    (void)size;
    *value = offset ? l->smi_data : l->smi_command;
    return ACCESS_OK;
}

static enum access_status smi_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct ich9_lpc *l = opaque;
    (void)size;
    if (offset) {
        l->smi_data = value;
        return ACCESS_OK;
    }
    l->smi_command = value;
    if (acpi_pm_command(&l->pm, value)) {
        return ACCESS_OK;
    }
    l->smi_sts |= SMI_APMC;
    if (l->smi && (l->smi_en & SMI_APMC)) {
        cpu_request(cpu_current() ? cpu_current() : l->pci.dev.machine->cpus[0], CPU_REQ_SMI);
    } else {
        log_guest("ICH9: SMI command 0x%02x without anybody to hear it", (unsigned)value);
    }
    return ACCESS_OK;
}

/* --- RCBA --- */

static enum access_status rcba_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct ich9_lpc *l = opaque;
    (void)size;
    uint32_t word = 0;
    unsigned at = offset & ~3u;
    if (at == RCBA_GCS) {
        word = l->gcs;
    } else if (at >= RCBA_D31IR && at <= RCBA_D25IR) {
        unsigned n = (at - RCBA_D31IR) / 4;
        word = l->ir[2 * n % 7] | (uint32_t)l->ir[(2 * n + 1) % 7] << 16;
    }
    *value = word >> 8 * (offset & 3);
    return ACCESS_OK;
}

static enum access_status rcba_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct ich9_lpc *l = opaque;
    if (offset == RCBA_GCS && size == 4) {
        l->gcs = value;
    } else if (offset >= RCBA_D31IR && offset <= RCBA_D25IR && size == 2) {
        l->ir[(offset - RCBA_D31IR) / 2 % 7] = value;
    }
    return ACCESS_OK;
}

static const struct region_ops pm_ops = { .read = pm_read, .write = pm_write, .min_size = 1, .max_size = 4 };
static const struct region_ops smi_ops = { .read = smi_read, .write = smi_write, .min_size = 1, .max_size = 1 };
static const struct region_ops rcba_ops = { .read = rcba_read, .write = rcba_write, .min_size = 1, .max_size = 4 };

/* --- configuration --- */

static void place(struct ich9_lpc *l)
{
    const uint8_t *c = l->pci.config;
    uint16_t at = pci_get32(&c[CONFIG_PMBASE]) & 0xff80;
    uint32_t rcba = pci_get32(&c[CONFIG_RCBA]) & 0xffffc000;
    bool on = (c[CONFIG_ACPI_CNTL] & ACPI_EN) && at, rcba_on = (c[CONFIG_RCBA] & 1) && rcba;
    region_begin(l->pci.dev.machine);
    if (on != l->pm_mapped || (on && at != l->pm_at)) {
        if (l->pm_mapped) {
            region_del(&l->pm_ports);
        }
        if (on) {
            region_add(l->pci.bus->io, &l->pm_ports, at, 0);
        }
        l->pm_mapped = on;
        l->pm_at = at;
    }
    if (rcba_on != l->rcba_mapped || (rcba_on && rcba != l->rcba_at)) {
        if (l->rcba_mapped) {
            region_del(&l->rcba);
        }
        if (rcba_on) {
            region_add(&l->pci.dev.machine->memory_root, &l->rcba, rcba, 1);
        }
        l->rcba_mapped = rcba_on;
        l->rcba_at = rcba;
    }
    region_commit(l->pci.dev.machine);
}

void ich9_firmware(struct ich9_lpc *l, const uint8_t irq[4])
{
    uint8_t *c = l->pci.config;
    pci_put32(&c[CONFIG_PMBASE], PM_DEFAULT_BASE | 1);
    c[CONFIG_ACPI_CNTL] = ACPI_EN;
    pci_put32(&c[CONFIG_RCBA], ICH9_RCBA_DEFAULT | 1);
    for (unsigned n = 0; n < 4; n++) {
        c[CONFIG_PIRQ_A + n] = c[CONFIG_PIRQ_E + n] = irq[n];
    }
    place(l);
    drive(l);
}

static bool ich9_lpc_init(struct device *d, GError **err)
{
    struct ich9_lpc *l = (struct ich9_lpc *)d;
    struct isa_bus *isa = isa_bus_find(d->machine, err);
    if (!isa || !isa_irq(isa, 9, &l->pm.sci, err) || !pci_device_init(&l->pci, &ich9_lpc_id, err)) {
        return false;
    }
    uint8_t *c = l->pci.config, *w = l->pci.writable;
    l->smi = d->machine->spec.smm;
    pci_put16(&c[PCI_COMMAND], 7);
    pci_put16(&w[PCI_COMMAND], 0);
    pci_put16(&c[PCI_STATUS], 0x0200);
    pci_put32(&c[CONFIG_PMBASE], 1);
    pci_put32(&w[CONFIG_PMBASE], 0xff80);
    w[CONFIG_ACPI_CNTL] = ACPI_EN | 7;
    for (unsigned n = 0; n < 4; n++) {
        c[CONFIG_PIRQ_A + n] = c[CONFIG_PIRQ_E + n] = PIRQ_OFF;
        w[CONFIG_PIRQ_A + n] = w[CONFIG_PIRQ_E + n] = 0x8f;
    }
    w[CONFIG_GEN_PMCON1] = 0x10;
    pci_put32(&w[CONFIG_RCBA], 0xffffc001);
    l->pci.bus->route = ich9_route;
    l->pci.bus->line = ich9_line;
    l->pci.bus->owner = l;
    acpi_pm_init(&l->pm, d->machine, 8);
    tco_init(&l->tco, d->machine);
    region_init_io(&l->pm_ports, "ich9-pm", &pm_ops, l, ICH9_PM_SIZE);
    region_init_io(&l->smi_ports, "apm", &smi_ops, l, 2);
    region_init_io(&l->rcba, "rcba", &rcba_ops, l, ICH9_RCBA_SIZE);
    region_add(&d->machine->io_root, &l->smi_ports, PM_SMI_PORT, 0);
    return pci_device_ready(&l->pci, err);
}

static void ich9_lpc_reset(struct device *d, enum reset_phase phase)
{
    struct ich9_lpc *l = (struct ich9_lpc *)d;
    pci_class_reset(d, phase);
    if (phase == RESET_ENTER) {
        for (unsigned i = 0; i < 7; i++) {
            l->ir[i] = 0x3210;
        }
        /* Without SMM the bit says that everything is set up, and firmware leaves it alone. */
        l->smi_en = l->smi ? 0 : SMI_APMC;
    }
}

static void ich9_lpc_settle(struct device *d)
{
    struct ich9_lpc *l = (struct ich9_lpc *)d;
    pci_device_settle(&l->pci);
    place(l);
    acpi_pm_settle(&l->pm);
    for (unsigned n = 0; n < 8; n++) {
        irq_set(&l->gsi[n], l->level >> n & 1);
    }
    drive(l);
}

static const struct field ich9_lpc_fields[] = {
    PCI_FIELDS(struct ich9_lpc),
    ACPI_PM_FIELD(struct ich9_lpc, pm),
    STATE_STRUCT(struct ich9_lpc, tco, tco_fields, 1),
    STATE(struct ich9_lpc, smi_command),
    STATE(struct ich9_lpc, smi_data),
    STATE(struct ich9_lpc, smi_en),
    STATE(struct ich9_lpc, smi_sts),
    STATE(struct ich9_lpc, gcs, .reset = 0x20),
    STATE(struct ich9_lpc, ir, .elem = 2),
    DERIVED(struct ich9_lpc, level),
    WIRING(struct ich9_lpc, irq),
    WIRING(struct ich9_lpc, gsi),
    DERIVED(struct ich9_lpc, driven),
    WIRING(struct ich9_lpc, pm_ports),
    WIRING(struct ich9_lpc, smi_ports),
    WIRING(struct ich9_lpc, rcba),
    DERIVED(struct ich9_lpc, pm_mapped),
    DERIVED(struct ich9_lpc, rcba_mapped),
    DERIVED(struct ich9_lpc, pm_at),
    DERIVED(struct ich9_lpc, rcba_at),
    WIRING(struct ich9_lpc, smi),
};

const struct device_class ich9_lpc_class = {
    .name = "ICH9-LPC", .desc = "LPC bridge of the ICH9", .bus = "pci", .size = sizeof(struct ich9_lpc), .version = 1,
    .fields = ich9_lpc_fields, .n_fields = G_N_ELEMENTS(ich9_lpc_fields),
    .init = ich9_lpc_init, .fini = pci_class_fini, .reset = ich9_lpc_reset, .settle = ich9_lpc_settle,
};
