/*
 * 82371AB (PIIX4) function 3: ACPI fixed hardware (PM1 event and control, PM timer, GPE block) behind PMBASE, and the SMI command
 * port, whose two ACPI commands are carried out here as firmware's SMI handler would. Spec: Intel 82371AB data sheet, 7.1, 7.2;
 * ACPI 6.3, 4.8.3. Left out: SMBus, device monitors, throttling, SMIs.
 */
#include "hw/acpi/piix4_pm.h"

#include "base/log.h"
#include "core/machine.h"
#include "hw/isa/isa.h"

enum { TIMER_STS = 0x0001, GBL_STS = 0x0020, PWRBTN_STS = 0x0100, RTC_STS = 0x0400, WAK_STS = 0x8000 };
enum { SCI_EN = 0x0001, SLP_EN = 0x2000, CONTROL_WRITABLE = 0x1c07 };
#define STATUS_BITS (TIMER_STS | 0x0010 | GBL_STS | PWRBTN_STS | 0x0200 | RTC_STS | WAK_STS)
#define ENABLE_BITS (TIMER_STS | GBL_STS | PWRBTN_STS | 0x0200 | RTC_STS)
enum { CONFIG_PMBASE = 0x40, CONFIG_PMREGMISC = 0x80 };

static const struct pci_id piix4_pm_id = {
    .vendor = 0x8086, .device = 0x7113, .subsystem_vendor = 0x1af4, .subsystem = 0x1100, .revision = 3, .class = 0x068000,
    .pin = 1,
};

/* --- PM timer: 24 bits --- */

static uint64_t pm_ticks(struct piix4_pm *p)
{
    return muldiv64(clock_now(p->pci.dev.machine, CLOCK_VIRTUAL_NS), PM_HZ, NS_PER_S);
}

static void arm_timer(struct piix4_pm *p)
{
    if ((p->pm1_enable & TIMER_STS) && !(p->pm1_status & TIMER_STS)) {
        uint64_t next = (pm_ticks(p) | 0x7fffff) + 1;
        timer_set(&p->overflow, muldiv64(next, NS_PER_S, PM_HZ) + 1);
    } else {
        timer_cancel(&p->overflow);
    }
}

static void update_sci(struct piix4_pm *p)
{
    bool on = (p->pm1_status & p->pm1_enable & ENABLE_BITS) || (p->gpe_status & p->gpe_enable);
    irq_set(&p->sci, on && (p->pm1_control & SCI_EN));
    arm_timer(p);
}

static void overflow_fire(void *opaque)
{
    struct piix4_pm *p = opaque;
    p->pm1_status |= TIMER_STS;
    update_sci(p);
}

void piix4_pm_button(void *opaque, unsigned n, int level)
{
    struct piix4_pm *p = opaque;
    (void)n;
    if (level) {
        p->pm1_status |= PWRBTN_STS;
        update_sci(p);
    }
}

/* --- PM ports --- */

static void write_control(struct piix4_pm *p, uint16_t value)
{
    p->pm1_control = (p->pm1_control & ~CONTROL_WRITABLE) | (value & CONTROL_WRITABLE);
    if (!(value & SLP_EN)) {
        return;
    }
    unsigned type = value >> 10 & 7;
    if (type == PM_SLEEP_S5) {
        machine_request_shutdown(p->pci.dev.machine, SHUTDOWN_GUEST);
    } else {
        log_unimp("not supported: sleep type %u (only S5)", type);
    }
}

/* Every register is 16 bits wide here; bytes are put together from and to them. */
static uint16_t word_read(struct piix4_pm *p, unsigned at)
{
    switch (at) {
    case PM_EVENT:     return p->pm1_status;
    case PM_EVENT + 2: return p->pm1_enable;
    case PM_CONTROL:   return p->pm1_control;
    case PM_TIMER:     return pm_ticks(p);
    case PM_TIMER + 2: return pm_ticks(p) >> 16 & 0xff;
    case PM_GPE:       return p->gpe_status;
    case PM_GPE + 2:   return p->gpe_enable;
    }
    return 0;
}

static void word_write(struct piix4_pm *p, unsigned at, uint16_t value, uint16_t mask)
{
    switch (at) {
    case PM_EVENT:
        p->pm1_status &= ~(value & mask & STATUS_BITS);
        break;
    case PM_EVENT + 2:
        p->pm1_enable = ((p->pm1_enable & ~mask) | (value & mask)) & ENABLE_BITS;
        break;
    case PM_CONTROL:
        write_control(p, (p->pm1_control & ~mask) | (value & mask));
        break;
    case PM_GPE:
        p->gpe_status &= ~(value & mask);
        break;
    case PM_GPE + 2:
        p->gpe_enable = (p->gpe_enable & ~mask) | (value & mask);
        break;
    }
    update_sci(p);
}

static enum access_status pm_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct piix4_pm *p = opaque;
    if (offset == PM_TIMER && size == 4) {
        *value = pm_ticks(p) & 0xffffff;               /* one look: the halves belong together */
        return ACCESS_OK;
    }
    *value = 0;
    for (unsigned i = 0; i < size; i++) {
        unsigned at = offset + i;
        *value |= (uint64_t)(word_read(p, at & ~1u) >> 8 * (at & 1) & 0xff) << 8 * i;
    }
    return ACCESS_OK;
}

static enum access_status pm_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix4_pm *p = opaque;
    if (size == 1) {
        unsigned shift = 8 * (offset & 1);
        word_write(p, offset & ~1u, (value & 0xff) << shift, 0xff << shift);
        return ACCESS_OK;
    }
    for (unsigned i = 0; i < size; i += 2) {
        word_write(p, offset + i, value >> 8 * i, 0xffff);
    }
    return ACCESS_OK;
}

/* --- SMI command port --- */

static enum access_status smi_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct piix4_pm *p = opaque;
    (void)size;
    *value = offset ? p->smi_data : p->smi_command;
    return ACCESS_OK;
}

static enum access_status smi_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix4_pm *p = opaque;
    (void)size;
    if (offset) {
        p->smi_data = value;
        return ACCESS_OK;
    }
    p->smi_command = value;
    if (value == PM_ACPI_ENABLE) {
        p->pm1_control |= SCI_EN;
    } else if (value == PM_ACPI_DISABLE) {
        p->pm1_control &= ~SCI_EN;
    } else {
        log_unimp("not supported: SMI command 0x%02x", (unsigned)value);
    }
    update_sci(p);
    return ACCESS_OK;
}

static const struct region_ops pm_ops = { .read = pm_read, .write = pm_write, .min_size = 1, .max_size = 4 };
static const struct region_ops smi_ops = { .read = smi_read, .write = smi_write, .min_size = 1, .max_size = 1 };

/* --- configuration --- */

static void place_ports(struct piix4_pm *p)
{
    uint16_t at = pci_get32(&p->pci.config[CONFIG_PMBASE]) & 0xffc0;
    bool on = (p->pci.config[CONFIG_PMREGMISC] & 1) && at;
    if (on == p->pm_mapped && (!on || at == p->pm_at)) {
        return;
    }
    region_begin(p->pci.dev.machine);
    if (p->pm_mapped) {
        region_del(&p->pm_ports);
    }
    if (on) {
        region_add(p->pci.bus->io, &p->pm_ports, at, 0);
    }
    region_commit(p->pci.dev.machine);
    p->pm_mapped = on;
    p->pm_at = at;
}

static bool piix4_pm_init(struct device *d, GError **err)
{
    struct piix4_pm *p = (struct piix4_pm *)d;
    struct isa_bus *isa = isa_bus_find(d->machine, err);
    if (!isa || !isa_irq(isa, 9, &p->sci, err) || !pci_device_init(&p->pci, &piix4_pm_id, err)) {
        return false;
    }
    uint8_t *c = p->pci.config, *w = p->pci.writable;
    pci_put16(&c[PCI_STATUS], 0x0280);
    pci_put32(&c[CONFIG_PMBASE], PM_DEFAULT_BASE | 1); /* as a PC's firmware leaves it */
    pci_put32(&w[CONFIG_PMBASE], 0xffc0);
    c[CONFIG_PMREGMISC] = 1;
    w[CONFIG_PMREGMISC] = 1;
    c[PCI_INTERRUPT_LINE] = 9;
    timer_init(&p->overflow, d->machine, CLOCK_VIRTUAL_NS, overflow_fire, p);
    region_init_io(&p->pm_ports, "acpi-pm", &pm_ops, p, PM_SIZE);
    region_init_io(&p->smi_ports, "apm", &smi_ops, p, 2);
    region_add(&d->machine->io_root, &p->smi_ports, PM_SMI_PORT, 0);
    return pci_device_ready(&p->pci, err);
}

static void piix4_pm_settle(struct device *d)
{
    struct piix4_pm *p = (struct piix4_pm *)d;
    pci_device_settle(&p->pci);
    place_ports(p);
    update_sci(p);
}

static const struct field piix4_pm_fields[] = {
    PCI_FIELDS(struct piix4_pm),
    STATE(struct piix4_pm, pm1_status),
    STATE(struct piix4_pm, pm1_enable),
    STATE(struct piix4_pm, pm1_control),
    STATE(struct piix4_pm, gpe_status),
    STATE(struct piix4_pm, gpe_enable),
    STATE(struct piix4_pm, smi_command),
    STATE(struct piix4_pm, smi_data),
    STATE(struct piix4_pm, overflow),
    WIRING(struct piix4_pm, sci),
    WIRING(struct piix4_pm, pm_ports),
    WIRING(struct piix4_pm, smi_ports),
    DERIVED(struct piix4_pm, pm_mapped),
    DERIVED(struct piix4_pm, pm_at),
};

const struct device_class piix4_pm_class = {
    .name = "PIIX4_PM", .desc = "ACPI power management of a PC", .bus = "pci", .size = sizeof(struct piix4_pm), .version = 1,
    .fields = piix4_pm_fields, .n_fields = G_N_ELEMENTS(piix4_pm_fields),
    .init = piix4_pm_init, .fini = pci_class_fini, .reset = pci_class_reset, .settle = piix4_pm_settle,
};
