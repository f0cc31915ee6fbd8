/*
 * The chip sets of the boards: which functions sit where, and what firmware would set in them.
 */
#include "hw/acpi/ich9.h"
#include "hw/acpi/piix4_pm.h"
#include "hw/boards/pc.h"
#include "hw/intc/ioapic.h"
#include "hw/pci/i440fx.h"
#include "hw/pci/mch.h"
#include "hw/storage/ide.h"

const uint8_t pc_pirq_route[4] = { 10, 10, 11, 11 };

/* --- i440FX, PIIX3, PIIX4 --- */

static bool i440fx_build(struct pc *pc, GError **err)
{
    struct machine *m = pc->dev.machine;
    pc->host = (struct pci_host *)device_make(m, &i440fx_host_class, NULL, err, NULL);
    pc->memory_controller = pc->host ? device_make(m, &i440fx_class, NULL, err, "addr", "0", NULL) : NULL;
    pc->south_bridge = pc->memory_controller ? device_make(m, &piix3_class, NULL, err, "addr", "1", NULL) : NULL;
    if (!pc->south_bridge || !pc_irqs(pc, ((struct piix3 *)pc->south_bridge)->irq, err)) {
        return false;
    }
    pc->pm = device_make(m, &piix4_pm_class, NULL, err, "addr", "1.3", NULL);
    if (!pc->pm) {
        return false;
    }
    m->power_button = (struct irq_line){ acpi_pm_button, &((struct piix4_pm *)pc->pm)->pm, 0 };
    return device_make(m, &piix3_ide_class, NULL, err, "addr", "1.1", NULL) != NULL;
}

static void i440fx_set(struct pc *pc)
{
    i440fx_firmware((struct i440fx *)pc->memory_controller);
    piix3_firmware((struct piix3 *)pc->south_bridge, pc_pirq_route);
    piix4_pm_firmware((struct piix4_pm *)pc->pm);
}

const struct pc_chipset pc_i440fx = {
    .low_max = 0xe0000000ull, .low_split = 0xc0000000ull, .build = i440fx_build, .firmware = i440fx_set,
    .gpe_base = PM_DEFAULT_BASE + PIIX4_GPE, .gpe_bytes = 4,
};

/* --- Q35, ICH9 --- */

static void gsi_set(void *ioapic, unsigned n, int level) { ioapic_pin(ioapic, 16 + n, level); }

static bool q35_build(struct pc *pc, GError **err)
{
    struct machine *m = pc->dev.machine;
    pc->host = (struct pci_host *)device_make(m, &q35_host_class, NULL, err, NULL);
    pc->memory_controller = pc->host ? device_make(m, &mch_class, NULL, err, "addr", "0", NULL) : NULL;
    pc->south_bridge = pc->memory_controller ? device_make(m, &ich9_lpc_class, NULL, err, "addr", "1f", NULL) : NULL;
    if (!pc->south_bridge) {
        return false;
    }
    struct ich9_lpc *lpc = (struct ich9_lpc *)pc->south_bridge;
    ((struct mch *)pc->memory_controller)->low_end = pc->boot.low_end;
    for (unsigned n = 0; n < G_N_ELEMENTS(lpc->gsi); n++) {
        lpc->gsi[n] = (struct irq_line){ gsi_set, pc->row[PC_IOAPIC], n };
    }
    if (!pc_irqs(pc, lpc->irq, err) || !device_make(m, &ich9_smb_class, NULL, err, "addr", "1f.3", NULL)) {
        return false;
    }
    pc->pm = pc->south_bridge;
    m->power_button = (struct irq_line){ acpi_pm_button, &lpc->pm, 0 };
    return true;
}

static void q35_set(struct pc *pc)
{
    mch_firmware((struct mch *)pc->memory_controller);
    ich9_firmware((struct ich9_lpc *)pc->south_bridge, pc_pirq_route);
}

const struct pc_chipset pc_q35 = {
    .q35 = true, .low_max = 0xb0000000ull, .low_split = 0x80000000ull, .build = q35_build, .firmware = q35_set,
    .gpe_base = PM_DEFAULT_BASE + ICH9_GPE, .gpe_bytes = 16,
};
