/*
 * 82371SB (PIIX3): ISA bridge at 00:01.0, routing of PCI interrupts to ISA lines. Spec: Intel 82371SB data sheet,
 * 2.2.6 (PIRQRC); the reset control port is in pci_host.c. Slots are swizzled as on boards of that time: PIRQ = (slot - 1 + pin) mod 4.
 */
#include "core/machine.h"
#include "hw/pci/i440fx.h"

enum { PIRQRC = 0x60, PIRQ_OFF = 0x80 };

/* IRQs that a PIRQ may be routed to: 3-7, 9-12, 14, 15. */
#define ROUTABLE 0xdef8u

static void drive(struct piix3 *p)
{
    uint8_t driven[16] = { 0 };
    for (unsigned n = 0; n < 4; n++) {
        uint8_t route = p->pci.config[PIRQRC + n];
        if ((p->level >> n & 1) && !(route & PIRQ_OFF) && (ROUTABLE >> (route & 15) & 1)) {
            driven[route & 15] |= 1u << n;
        }
    }
    for (unsigned i = 0; i < 16; i++) {
        if (!driven[i] != !p->driven[i]) {
            irq_set(&p->irq[i], driven[i] != 0);
        }
        p->driven[i] = driven[i];
    }
}

static unsigned piix3_route(void *owner, struct pci_device *dev, unsigned pin)
{
    (void)owner;
    return (pci_slot(dev) - 1 + pin) & 3;
}

static void piix3_line(void *owner, unsigned n, int level)
{
    struct piix3 *p = owner;
    p->level = (p->level & ~(1u << n)) | (unsigned)!!level << n;
    drive(p);
}

static void config_written(struct pci_device *dev, unsigned offset, unsigned size)
{
    if (offset < PIRQRC + 4 && offset + size > PIRQRC) {
        drive((struct piix3 *)dev);
    }
}

static const struct pci_id piix3_id = {
    .vendor = 0x8086, .device = 0x7000, .subsystem_vendor = 0x1af4, .subsystem = 0x1100, .class = 0x060100, .multifunction = true,
    .written = config_written,
};

void piix3_firmware(struct piix3 *p, const uint8_t irq[4])
{
    for (unsigned n = 0; n < 4; n++) {
        p->pci.config[PIRQRC + n] = irq[n];
    }
    drive(p);
}

static bool piix3_init(struct device *d, GError **err)
{
    struct piix3 *p = (struct piix3 *)d;
    if (!pci_device_init(&p->pci, &piix3_id, err)) {
        return false;
    }
    pci_put16(&p->pci.config[PCI_COMMAND], 7);         /* I/O, memory, master: hard-wired */
    pci_put16(&p->pci.writable[PCI_COMMAND], 0x08);
    for (unsigned n = 0; n < 4; n++) {
        p->pci.config[PIRQRC + n] = PIRQ_OFF;
        p->pci.writable[PIRQRC + n] = 0x8f;
    }
    p->pci.bus->route = piix3_route;
    p->pci.bus->line = piix3_line;
    p->pci.bus->owner = p;
    return pci_device_ready(&p->pci, err);
}

static void piix3_settle(struct device *d)
{
    struct piix3 *p = (struct piix3 *)d;
    pci_device_settle(&p->pci);
    for (unsigned i = 0; i < 16; i++) {
        irq_set(&p->irq[i], p->driven[i] != 0);
    }
    drive(p);
}

static const struct field piix3_fields[] = {
    PCI_FIELDS(struct piix3),
    DERIVED(struct piix3, level),                      /* the bus says changes */
    WIRING(struct piix3, irq),
    DERIVED(struct piix3, driven),
};

const struct device_class piix3_class = {
    .name = "PIIX3", .desc = "ISA bridge of a PC", .bus = "pci", .size = sizeof(struct piix3), .version = 1,
    .fields = piix3_fields, .n_fields = G_N_ELEMENTS(piix3_fields),
    .init = piix3_init, .fini = pci_class_fini, .reset = pci_class_reset, .settle = piix3_settle,
};
