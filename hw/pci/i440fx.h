/*
 * i440FX host bridge and PIIX3 ISA bridge. See i440fx.c and piix3.c.
 */
#ifndef HW_PCI_I440FX_H
#define HW_PCI_I440FX_H

#include "hw/pci/pci.h"

/* Port CF9h lies inside the configuration address port; whoever owns it is asked for byte accesses there. */
struct reset_port {
    uint8_t (*read)(void *owner);
    void (*write)(void *owner, uint8_t value);
    void *owner;
};

struct i440fx {
    struct pci_device pci;
    struct pci_bus bus;
    uint32_t address;            /* CONFADD, port CF8h */
    struct reset_port reset_port;
    struct region address_port, data_port;
};

struct piix3 {
    struct pci_device pci;
    uint8_t reset_control;       /* port CF9h */
    uint32_t level[4];           /* PIRQ A-D: one bit for each slot that drives it */
    struct irq_line irq[16];     /* one ISA line of ours each; filled by the board */
    uint8_t driven[16];          /* which PIRQs hold IRQ n high */
};

extern const struct device_class i440fx_class, piix3_class;

/* The bus and memory hub of a PC with this chip set. Machine lock. */
struct i440fx *i440fx_of(struct device *d);
/* Connects a PIIX3 (made with device_new, not yet added) to its bus. */
void piix3_set_bus(struct device *d, struct i440fx *host);
/* What firmware leaves: PIRQ n goes to ISA IRQ irq[n]. Machine lock. */
void piix3_set_routes(struct piix3 *p, const uint8_t irq[4]);

#endif
