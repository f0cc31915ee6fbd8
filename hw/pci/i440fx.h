/*
 * i440FX memory controller (00:00.0) and PIIX3 ISA bridge (00:01.0). See i440fx.c and piix3.c.
 */
#ifndef HW_PCI_I440FX_H
#define HW_PCI_I440FX_H

#include "hw/pci/pam.h"
#include "hw/pci/pci_host.h"

struct i440fx {
    struct pci_device pci;
    struct pam pam;
    uint8_t smram;               /* SMRAM register as accepted */
};

struct piix3 {
    struct pci_device pci;
    uint8_t level;               /* PIRQ A-D: a bit each */
    struct irq_line irq[16];     /* one ISA line of ours each; filled by the board */
    uint8_t driven[16];          /* which PIRQs hold IRQ n high */
};

extern const struct device_class i440fx_class, piix3_class;

/* What firmware leaves, after a reset: RAM in the ROM area; PIRQ n goes to ISA IRQ irq[n]. Machine lock. */
void i440fx_firmware(struct i440fx *h);
void piix3_firmware(struct piix3 *p, const uint8_t irq[4]);

#endif
