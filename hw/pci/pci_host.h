/*
 * Host bridges of PCs: the root bus, configuration mechanism 1 (ports CF8h, CFCh) and, with PCI Express, the memory-mapped one. See pci_host.c.
 */
#ifndef HW_PCI_PCI_HOST_H
#define HW_PCI_PCI_HOST_H

#include "hw/pci/pci.h"

struct pci_host {
    struct device dev;
    struct pci_bus bus;
    struct region memory;        /* PCI's memory space: lies beneath everything else of the machine */
    uint32_t address;            /* CONFADD, port CF8h */
    uint8_t reset_control;       /* port CF9h of the south bridge, which lies inside the address port */
    struct region address_port, data_port, ecam;
    bool ecam_mapped;
    uint64_t ecam_at, ecam_size;
};

/* i440FX-pcihost gives bus "pci.0", q35-pcihost "pcie.0". */
extern const struct device_class i440fx_host_class, q35_host_class;

/* The host bridge that owns the root bus above a device. */
struct pci_host *pci_host_of(struct pci_device *p);
/* Shows the memory-mapped configuration space (1 MiB a bus) at `at`; size 0: nowhere. Machine lock. */
void pci_host_ecam(struct pci_host *h, uint64_t at, uint64_t size);

#endif
