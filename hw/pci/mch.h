/*
 * Memory controller of the Q35 (00:00.0). See mch.c.
 */
#ifndef HW_PCI_MCH_H
#define HW_PCI_MCH_H

#include "hw/pci/pam.h"
#include "hw/pci/pci_host.h"

#define MCH_ECAM_DEFAULT 0xb0000000u     /* where firmware puts it; 256 MiB */

struct mch {
    struct pci_device pci;
    struct pam pam;
    uint64_t low_end;            /* end of the RAM below 4 GiB; filled by the board */
    uint8_t smram, esmramc;      /* registers as accepted */
};

extern const struct device_class mch_class;

/* What firmware leaves, after a reset: RAM in the ROM area, ECAM at its default. Machine lock. */
void mch_firmware(struct mch *h);

#endif
