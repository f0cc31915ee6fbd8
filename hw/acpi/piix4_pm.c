/*
 * 82371AB (PIIX4) function 3: ACPI fixed hardware behind PMBASE, the SMI command port, SMBus. Spec: Intel 82371AB data sheet, 7.1, 7.2.
 * The two ACPI commands of the SMI port are carried out here as firmware's SMI handler would, so that they work without one.
 * Left out: device monitors, throttling.
 */
#include "hw/acpi/piix4_pm.h"

#include "base/log.h"
#include "base/options.h"
#include "core/machine.h"
#include "hw/isa/isa.h"

enum { CONFIG_PMBASE = 0x40, CONFIG_DEVACTB = 0x58, CONFIG_PMREGMISC = 0x80, CONFIG_SMBBA = 0x90, CONFIG_SMBHSTCFG = 0xd2 };
#define APMC_EN (1u << 25)

static const struct pci_id piix4_pm_id = {
    .vendor = 0x8086, .device = 0x7113, .subsystem_vendor = 0x1af4, .subsystem = 0x1100, .revision = 3, .class = 0x068000,
    .pin = 1,
};

/* --- PM ports --- */

static enum access_status pm_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct piix4_pm *p = opaque;
    if (offset == PM_TIMER && size == 4) {
        *value = acpi_pm_ticks(&p->pm);                /* one look: the halves belong together */
        return ACCESS_OK;
    }
    *value = 0;
    for (unsigned i = 0; i < size; i++) {
        unsigned at = offset + i;
        uint8_t byte = at >= PIIX4_GPE && at < PIIX4_GPE + 4 ? acpi_gpe_read(&p->pm, at - PIIX4_GPE)
                                                             : acpi_pm_read(&p->pm, at & ~1u) >> 8 * (at & 1);
        *value |= (uint64_t)byte << 8 * i;
    }
    return ACCESS_OK;
}

static enum access_status pm_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix4_pm *p = opaque;
    for (unsigned i = 0; i < size;) {
        unsigned at = offset + i, step = size == 1 ? 1 : 2, shift = 8 * (at & 1);
        if (at >= PIIX4_GPE && at < PIIX4_GPE + 4) {
            acpi_gpe_write(&p->pm, at - PIIX4_GPE, value >> 8 * i);
            step = 1;
        } else if (step == 1) {
            acpi_pm_write(&p->pm, at & ~1u, (value & 0xff) << shift, 0xff << shift);
        } else {
            acpi_pm_write(&p->pm, at, value >> 8 * i, 0xffff);
        }
        i += step;
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
    if (acpi_pm_command(&p->pm, value)) {
        return ACCESS_OK;
    }
    if (p->smi && (pci_get32(&p->pci.config[CONFIG_DEVACTB]) & APMC_EN)) {
        cpu_request(cpu_current() ? cpu_current() : p->pci.dev.machine->cpus[0], CPU_REQ_SMI);
    } else {
        log_guest("PIIX4: SMI command 0x%02x without anybody to hear it", (unsigned)value);
    }
    return ACCESS_OK;
}

static const struct region_ops pm_ops = { .read = pm_read, .write = pm_write, .min_size = 1, .max_size = 4 };
static const struct region_ops smi_ops = { .read = smi_read, .write = smi_write, .min_size = 1, .max_size = 1 };

/* --- configuration --- */

static void place_ports(struct piix4_pm *p)
{
    uint16_t at = pci_get32(&p->pci.config[CONFIG_PMBASE]) & 0xffc0;
    bool on = (p->pci.config[CONFIG_PMREGMISC] & 1) && at;
    smbus_place(&p->smbus, p->pci.config[CONFIG_SMBHSTCFG] & 1, pci_get32(&p->pci.config[CONFIG_SMBBA]) & 0xffe0);
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

void piix4_pm_firmware(struct piix4_pm *p)
{
    pci_put32(&p->pci.config[CONFIG_PMBASE], PM_DEFAULT_BASE | 1);
    p->pci.config[CONFIG_PMREGMISC] = 1;
    p->pci.config[PCI_INTERRUPT_LINE] = 9;
    place_ports(p);
}

static bool piix4_pm_init(struct device *d, GError **err)
{
    struct piix4_pm *p = (struct piix4_pm *)d;
    struct isa_bus *isa = isa_bus_find(d->machine, err);
    if (!isa || !isa_irq(isa, 9, &p->pm.sci, err) || !pci_device_init(&p->pci, &piix4_pm_id, err)) {
        return false;
    }
    uint8_t *c = p->pci.config, *w = p->pci.writable;
    p->smi = d->machine->spec.smm;
    pci_put16(&c[PCI_STATUS], 0x0280);
    pci_put32(&c[CONFIG_PMBASE], 1);
    pci_put32(&w[CONFIG_PMBASE], 0xffc0);
    /* Without SMM the bit says that everything is set up, and firmware leaves it alone. */
    pci_put32(&c[CONFIG_DEVACTB], p->smi ? 0 : APMC_EN);
    pci_put32(&w[CONFIG_DEVACTB], p->smi ? APMC_EN : 0);
    w[CONFIG_PMREGMISC] = 1;
    pci_put32(&c[CONFIG_SMBBA], 1);
    pci_put32(&w[CONFIG_SMBBA], 0xffe0);
    w[CONFIG_SMBHSTCFG] = 0x0f;
    acpi_pm_init(&p->pm, d->machine, 2);
    smbus_init(&p->smbus, d->machine);
    region_init_io(&p->pm_ports, "acpi-pm", &pm_ops, p, PIIX4_PM_SIZE);
    region_init_io(&p->smi_ports, "apm", &smi_ops, p, 2);
    region_add(&d->machine->io_root, &p->smi_ports, PM_SMI_PORT, 0);
    return pci_device_ready(&p->pci, err);
}

static void piix4_pm_settle(struct device *d)
{
    struct piix4_pm *p = (struct piix4_pm *)d;
    pci_device_settle(&p->pci);
    place_ports(p);
    acpi_pm_settle(&p->pm);
}

static const struct field piix4_pm_fields[] = {
    PCI_FIELDS(struct piix4_pm),
    ACPI_PM_FIELD(struct piix4_pm, pm),
    SMBUS_FIELD(struct piix4_pm, smbus),
    STATE(struct piix4_pm, smi_command),
    STATE(struct piix4_pm, smi_data),
    WIRING(struct piix4_pm, pm_ports),
    WIRING(struct piix4_pm, smi_ports),
    DERIVED(struct piix4_pm, pm_mapped),
    DERIVED(struct piix4_pm, pm_at),
    WIRING(struct piix4_pm, smi),
};

const struct device_class piix4_pm_class = {
    .name = "PIIX4_PM", .desc = "ACPI power management of a PC", .bus = "pci", .size = sizeof(struct piix4_pm), .version = 1,
    .fields = piix4_pm_fields, .n_fields = G_N_ELEMENTS(piix4_pm_fields),
    .init = piix4_pm_init, .fini = pci_class_fini, .reset = pci_class_reset, .settle = piix4_pm_settle,
};
