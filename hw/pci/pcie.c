/*
 * PCI Express and power management capabilities. Spec: PCI Express Base 3.0, 7.8 (capability structure), 7.9 (extended capabilities),
 * 6.6.2 (function level reset); PCI Bus Power Management 1.2, 3.2. Left out: error reporting, ASPM, hot plug, PME.
 */
#include "core/machine.h"
#include "hw/pci/pci.h"

enum { FLAGS = 0x02, DEVICE_CAP = 0x04, DEVICE_CONTROL = 0x08, DEVICE_STATUS = 0x0a, LINK_CAP = 0x0c, LINK_CONTROL = 0x10, LINK_STATUS = 0x12,
       SLOT_CAP = 0x14, SLOT_CONTROL = 0x18, SLOT_STATUS = 0x1a, ROOT_CONTROL = 0x1c, DEVICE_CONTROL2 = 0x28, LINK_CAP2 = 0x2c,
       LINK_CONTROL2 = 0x30, EXPRESS_SIZE = 0x3c };
enum { ROLE_BASED_ERRORS = 1 << 15, FLR_CAPABLE = 1 << 28 };
#define START_FLR 0x8000u
enum { SPEED_2_5 = 1, WIDTH_1 = 1 << 4 };
enum { PM_CONTROL = 4, PM_SIZE = 8, NO_SOFT_RESET = 8 };

void pcie_init(struct pci_device *p, enum pcie_type type)
{
    if (!p->bus->express) {
        return;
    }
    bool port = type == PCIE_ROOT_PORT || type == PCIE_DOWNSTREAM, endpoint = type == PCIE_ENDPOINT || type == PCIE_INTEGRATED;
    unsigned at = pci_capability_add(p, PCI_CAP_EXPRESS, EXPRESS_SIZE);
    uint8_t *c = &p->config[at], *w = &p->writable[at];
    if (!at) {
        return;
    }
    p->express_at = at;
    p->config_size = PCIE_CONFIG_SIZE;
    pci_put16(c + FLAGS, 2 | type << 4 | (port ? 0x100 : 0));
    pci_put32(c + DEVICE_CAP, ROLE_BASED_ERRORS | (endpoint ? FLR_CAPABLE : 0));
    pci_put16(c + DEVICE_CONTROL, 0x2810);
    pci_put16(w + DEVICE_CONTROL, 0x7fff | (endpoint ? START_FLR : 0));
    p->clear[at + DEVICE_STATUS] = 0x0f;
    if (type != PCIE_INTEGRATED) {
        pci_put32(c + LINK_CAP, SPEED_2_5 | WIDTH_1 | (uint32_t)p->devfn << 24);
        pci_put16(w + LINK_CONTROL, 0x01cb | (port ? 0x10 : 0));
        pci_put16(c + LINK_STATUS, SPEED_2_5 | WIDTH_1);
        pci_put32(c + LINK_CAP2, 1 << 1);
        pci_put16(c + LINK_CONTROL2, SPEED_2_5);
        pci_put16(w + LINK_CONTROL2, 0x000f);
    }
    if (port) {
        pci_put32(c + SLOT_CAP, (uint32_t)(p->devfn & 0x1fff) << 19);
        pci_put16(w + SLOT_CONTROL, 0x0020);
    }
    if (type == PCIE_ROOT_PORT) {
        pci_put16(w + ROOT_CONTROL, 0x000f);
    }
    pci_put16(w + DEVICE_CONTROL2, 0x001f);
}

void pcie_endpoint_init(struct pci_device *p) { pcie_init(p, p->bus->bridge ? PCIE_ENDPOINT : PCIE_INTEGRATED); }

unsigned pcie_capability_add(struct pci_device *p, uint16_t id, uint8_t version, unsigned len)
{
    unsigned at = p->next_extended, last = PCI_CONFIG_SIZE;
    if (p->config_size < PCIE_CONFIG_SIZE || at + len > PCIE_CONFIG_SIZE) {
        return 0;
    }
    pci_put32(&p->config[at], id | (uint32_t)(version & 15) << 16);
    if (at != PCI_CONFIG_SIZE) {
        while (pci_get32(&p->config[last]) >> 20) {
            last = pci_get32(&p->config[last]) >> 20;
        }
        pci_put32(&p->config[last], (pci_get32(&p->config[last]) & 0xfffff) | at << 20);
    }
    p->next_extended = (at + len + 3) & ~3u;
    return at;
}

void pci_pm_init(struct pci_device *p)
{
    unsigned at = pci_capability_add(p, PCI_CAP_PM, PM_SIZE);
    if (at) {
        p->pm_at = at;
        pci_put16(&p->config[at + 2], 3);
        pci_put16(&p->config[at + PM_CONTROL], NO_SOFT_RESET);
        pci_put16(&p->writable[at + PM_CONTROL], 3);
    }
}

void pcie_written(struct pci_device *p, unsigned offset, unsigned size)
{
    unsigned control = p->express_at + DEVICE_CONTROL, state = p->pm_at + PM_CONTROL;
    if (p->pm_at && offset <= state && state < offset + size && (p->config[state] & 3) && (p->config[state] & 3) != 3) {
        p->config[state] &= ~3;                    /* D1, D2: not there */
    }
    if (p->express_at && offset < control + 2 && control < offset + size && (pci_get16(&p->config[control]) & START_FLR)) {
        p->config[control + 1] &= ~(START_FLR >> 8);
        for (enum reset_phase phase = RESET_ENTER; phase <= RESET_EXIT; phase++) {
            device_reset(&p->dev, phase);
        }
    }
}
