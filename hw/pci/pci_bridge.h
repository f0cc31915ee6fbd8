/*
 * PCI-to-PCI bridges: a type 1 header, a bus behind it, and the windows between. See pci_bridge.c.
 */
#ifndef HW_PCI_PCI_BRIDGE_H
#define HW_PCI_PCI_BRIDGE_H

#include "hw/pci/pci.h"

enum { WINDOW_MEMORY, WINDOW_PREFETCH, WINDOW_IO, WINDOW_VGA, WINDOW_VGA_IO_LOW, WINDOW_VGA_IO_HIGH, BRIDGE_WINDOWS };

struct pci_bridge {
    struct pci_device pci;
    struct pci_bus bus;                       /* behind it */
    struct region memory, io;                 /* its spaces */
    struct region window[BRIDGE_WINDOWS];     /* aliases of them, in the spaces of the bus above */
    bool open[BRIDGE_WINDOWS];
    uint64_t open_at[BRIDGE_WINDOWS], open_size[BRIDGE_WINDOWS];
    uint16_t control;                         /* as settle has seen it last */
    uint8_t chassis, port;                    /* slot identity, for people */
    uint64_t io_reserve, mem_reserve, pref64_reserve;   /* hints for firmware, not used yet */
};

/* pci-bridge, i82801b11-bridge; pcie-root-port, ioh3420, pcie-pci-bridge, x3130-upstream, xio3130-downstream */
extern const struct device_class pci_bridge_class, i82801b11_bridge_class, pcie_root_port_class, ioh3420_class, pcie_pci_bridge_class,
    x3130_upstream_class, xio3130_downstream_class;

#endif
