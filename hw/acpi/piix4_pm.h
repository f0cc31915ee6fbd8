/*
 * Power management function of the PIIX4. See piix4_pm.c.
 */
#ifndef HW_ACPI_PIIX4_PM_H
#define HW_ACPI_PIIX4_PM_H

#include "hw/acpi/acpi_pm.h"
#include "hw/acpi/smbus.h"
#include "hw/pci/pci.h"

enum { PIIX4_GPE = 0x0c, PIIX4_PM_SIZE = 0x40 };

struct piix4_pm {
    struct pci_device pci;
    struct acpi_pm pm;
    struct smbus smbus;
    uint8_t smi_command, smi_data;
    struct region pm_ports, smi_ports;
    bool pm_mapped;
    uint16_t pm_at;
    bool smi;                    /* the machine has system management mode */
};

extern const struct device_class piix4_pm_class;

/* What firmware leaves: PMBASE at PM_DEFAULT_BASE. After a reset. Machine lock. */
void piix4_pm_firmware(struct piix4_pm *p);

#endif
