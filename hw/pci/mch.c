/*
 * Intel Q35 memory controller hub: ECAM (PCIEXBAR), PAM, SMRAM with TSEG. Spec: Intel 3 series chipset (82G33) data sheet, 5.1.
 * Left out: DRAM control, the graphics and PCI Express graphics functions, the 7 MiB high SMRAM (G_HSEG).
 */
#include "hw/pci/mch.h"

#include <string.h>

#include "core/machine.h"

enum { EXT_TSEG_MB = 0x50, PCIEXBAR = 0x60, PAM0 = 0x90, PAM6 = 0x96, SMRAM = 0x9d, ESMRAMC = 0x9e };
enum { T_EN = 0x01, TSEG_SIZE = 0x06 };

static void written(struct pci_device *p, unsigned offset, unsigned size)
{
    struct mch *h = (struct mch *)p;
    if (offset <= ESMRAMC && ESMRAMC < offset + size) {
        if (h->smram & SMRAM_LOCK) {
            p->config[ESMRAMC] = h->esmramc;
        }
        h->esmramc = p->config[ESMRAMC];
    }
    if (offset <= SMRAM && SMRAM < offset + size) {
        h->smram = p->config[SMRAM] = smram_write(h->smram, p->config[SMRAM]);
    }
}

static const struct pci_id mch_id = {
    .vendor = 0x8086, .device = 0x29c0, .subsystem_vendor = 0x1af4, .subsystem = 0x1100, .revision = 2, .class = 0x060000, .written = written,
};

void mch_firmware(struct mch *h)
{
    h->pci.config[PAM0] = 0x30;
    memset(&h->pci.config[PAM0 + 1], 0x33, PAM6 - PAM0);
    pci_put32(&h->pci.config[PCIEXBAR], MCH_ECAM_DEFAULT | 1);
    h->pci.dev.class->settle(&h->pci.dev);
}

static bool mch_init(struct device *d, GError **err)
{
    struct mch *h = (struct mch *)d;
    if (!pci_device_init(&h->pci, &mch_id, err)) {
        return false;
    }
    uint8_t *c = h->pci.config, *w = h->pci.writable;
    pci_put16(&c[EXT_TSEG_MB], 0xffff);               /* no extended TSEG */
    pci_put32(&w[PCIEXBAR], 0xf0000007);
    pci_put32(&w[PCIEXBAR + 4], 0x0000000f);
    for (unsigned i = PAM0; i <= PAM6; i++) {
        w[i] = 0x33;
    }
    c[SMRAM] = 0x02;
    w[SMRAM] = 0x78;
    w[ESMRAMC] = T_EN | TSEG_SIZE;
    c[ESMRAMC] = 0x38;                                /* SM_CACHE, SM_L1, SM_L2 */
    if (d->machine->main_ram) {
        pam_init(&h->pam, d->machine, d->machine->spec.smm);
    }
    return pci_device_ready(&h->pci, err);
}

static uint64_t tseg_size(const struct mch *h)
{
    static const uint8_t mib[4] = { 1, 2, 8, 0 };
    uint8_t e = h->pci.config[ESMRAMC];
    bool on = (e & T_EN) && (h->pci.config[SMRAM] & SMRAM_ENABLE) && h->pci.dev.machine->spec.smm;
    return on ? (uint64_t)mib[(e & TSEG_SIZE) >> 1] << 20 : 0;
}

static void mch_settle(struct device *d)
{
    static const uint16_t ecam_mib[4] = { 256, 128, 64, 0 };
    struct mch *h = (struct mch *)d;
    const uint8_t *c = h->pci.config;
    uint64_t bar = pci_get32(&c[PCIEXBAR]) | (uint64_t)pci_get32(&c[PCIEXBAR + 4]) << 32;
    pci_device_settle(&h->pci);
    uint64_t size = bar & 1 ? (uint64_t)ecam_mib[bar >> 1 & 3] << 20 : 0;
    pci_host_ecam(pci_host_of(&h->pci), bar & 0xff0000000ull, size);
    if (h->pam.machine) {
        pam_update(&h->pam, &c[PAM0], c[SMRAM]);
        pam_tseg(&h->pam, h->low_end, tseg_size(h));
    }
}

static const struct field mch_fields[] = {
    PCI_FIELDS(struct mch),
    WIRING(struct mch, pam),
    WIRING(struct mch, low_end),
    STATE(struct mch, smram, .reset = 0x02),
    STATE(struct mch, esmramc, .reset = 0x38),
};

const struct device_class mch_class = {
    .name = "mch", .desc = "memory controller of the Q35", .bus = "pci", .size = sizeof(struct mch), .version = 1,
    .fields = mch_fields, .n_fields = G_N_ELEMENTS(mch_fields),
    .init = mch_init, .fini = pci_class_fini, .reset = pci_class_reset, .settle = mch_settle,
};
