/*
 * Power management function of the PIIX4. See piix4_pm.c.
 */
#ifndef HW_ACPI_PIIX4_PM_H
#define HW_ACPI_PIIX4_PM_H

#include "core/clock.h"
#include "hw/pci/pci.h"

/* Offsets from PMBASE, for the FADT, and how the guest turns ACPI on. */
enum { PM_EVENT = 0x00, PM_CONTROL = 0x04, PM_TIMER = 0x08, PM_GPE = 0x0c, PM_SIZE = 0x40 };
#define PM_DEFAULT_BASE 0x600
#define PM_SMI_PORT     0xb2
#define PM_ACPI_ENABLE  0xf1
#define PM_ACPI_DISABLE 0xf0
#define PM_SLEEP_S5     0        /* SLP_TYP of soft off: the \_S5 package of dsdt.asl says the same */
#define PM_HZ           3579545

struct piix4_pm {
    struct pci_device pci;
    uint16_t pm1_status, pm1_enable, pm1_control;
    uint16_t gpe_status, gpe_enable;
    uint8_t smi_command, smi_data;
    struct timer overflow;       /* PM timer's top bit changes */
    struct irq_line sci;
    struct region pm_ports, smi_ports;
    bool pm_mapped;
    uint16_t pm_at;
};

extern const struct device_class piix4_pm_class;

/* A press of the power button; as a line: {piix4_pm_button, device, 0}. Machine lock. */
void piix4_pm_button(void *pm, unsigned n, int level);

#endif
