/*
 * ICH9 SMBus controller (00:1f.3). Spec: Intel I/O Controller Hub 9 data sheet, 19.1. The host controller is smbus.c.
 */
#include "core/machine.h"
#include "hw/acpi/ich9.h"

enum { CONFIG_SMB_BASE = 0x20, CONFIG_HOSTC = 0x40 };

struct ich9_smb {
    struct pci_device pci;
    struct smbus smbus;
};

static const struct pci_id ich9_smb_id = {
    .vendor = 0x8086, .device = 0x2930, .subsystem_vendor = 0x1af4, .subsystem = 0x1100, .revision = 2, .class = 0x0c0500, .pin = 1,
};

static bool ich9_smb_init(struct device *d, GError **err)
{
    struct ich9_smb *s = (struct ich9_smb *)d;
    if (!pci_device_init(&s->pci, &ich9_smb_id, err)) {
        return false;
    }
    pci_put32(&s->pci.config[CONFIG_SMB_BASE], 1);
    pci_put32(&s->pci.writable[CONFIG_SMB_BASE], 0xffffffe0);      /* firmware sizes it as a 32-bit BAR */
    s->pci.writable[CONFIG_HOSTC] = 0x07;
    smbus_init(&s->smbus, d->machine);
    return pci_device_ready(&s->pci, err);
}

static void ich9_smb_settle(struct device *d)
{
    struct ich9_smb *s = (struct ich9_smb *)d;
    pci_device_settle(&s->pci);
    smbus_place(&s->smbus, (s->pci.config[CONFIG_HOSTC] & 1) && pci_decodes(&s->pci, PCI_COMMAND_IO),
                pci_get32(&s->pci.config[CONFIG_SMB_BASE]) & 0xffe0);
}

static const struct field ich9_smb_fields[] = { PCI_FIELDS(struct ich9_smb), SMBUS_FIELD(struct ich9_smb, smbus) };

const struct device_class ich9_smb_class = {
    .name = "ICH9-SMB", .desc = "SMBus controller of the ICH9", .bus = "pci", .size = sizeof(struct ich9_smb), .version = 1,
    .fields = ich9_smb_fields, .n_fields = G_N_ELEMENTS(ich9_smb_fields),
    .init = ich9_smb_init, .fini = pci_class_fini, .reset = pci_class_reset, .settle = ich9_smb_settle,
};
