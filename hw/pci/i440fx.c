/*
 * 82441FX (i440FX): memory controller at 00:00.0, with PAM and SMRAM. Spec: Intel 82441FX data sheet, chapter 3.
 * Left out: DRAM timing, error reporting.
 */
#include "hw/pci/i440fx.h"

#include "core/machine.h"

enum { PAM0 = 0x59, PAM6 = 0x5f, SMRAM = 0x72 };

static void written(struct pci_device *p, unsigned offset, unsigned size)
{
    struct i440fx *h = (struct i440fx *)p;
    if (offset <= SMRAM && SMRAM < offset + size) {
        h->smram = p->config[SMRAM] = smram_write(h->smram, p->config[SMRAM]);
    }
}

static const struct pci_id i440fx_id = {
    .vendor = 0x8086, .device = 0x1237, .subsystem_vendor = 0x1af4, .subsystem = 0x1100, .revision = 2, .class = 0x060000, .written = written,
};

void i440fx_firmware(struct i440fx *h)
{
    h->pci.config[PAM0] = 0x30;
    for (unsigned i = PAM0 + 1; i <= PAM6; i++) {
        h->pci.config[i] = 0x33;
    }
    h->pci.dev.class->settle(&h->pci.dev);
}

static bool i440fx_init(struct device *d, GError **err)
{
    struct i440fx *h = (struct i440fx *)d;
    if (!pci_device_init(&h->pci, &i440fx_id, err)) {
        return false;
    }
    for (unsigned i = PAM0; i <= PAM6; i++) {
        h->pci.writable[i] = 0x33;
    }
    h->pci.config[SMRAM] = 0x02;
    h->pci.writable[SMRAM] = 0x78;
    if (d->machine->main_ram) {
        pam_init(&h->pam, d->machine, d->machine->spec.smm);
    }
    return pci_device_ready(&h->pci, err);
}

static void i440fx_settle(struct device *d)
{
    struct i440fx *h = (struct i440fx *)d;
    pci_device_settle(&h->pci);
    if (h->pam.machine) {
        pam_update(&h->pam, &h->pci.config[PAM0], h->pci.config[SMRAM]);
    }
}

static const struct field i440fx_fields[] = {
    PCI_FIELDS(struct i440fx),
    WIRING(struct i440fx, pam),
    STATE(struct i440fx, smram, .reset = 0x02),
};

const struct device_class i440fx_class = {
    .name = "i440FX", .desc = "memory controller of a PC", .bus = "pci", .size = sizeof(struct i440fx), .version = 1,
    .fields = i440fx_fields, .n_fields = G_N_ELEMENTS(i440fx_fields),
    .init = i440fx_init, .fini = pci_class_fini, .reset = pci_class_reset, .settle = i440fx_settle,
};
