/*
 * PAM and SMRAM. Spec: Intel 82441FX data sheet, 3.2.18 (PAM), 3.2.21 (SMRAM); Intel Q35 (82G33) data sheet, 5.1.21-28, 5.1.32-33 (TSEG).
 * A segment without read enable shows what lies on PCI: the ROM's alias, or nothing. Left out: write-only segments ("reads from PCI, writes
 * to RAM") act as switched off, and D_CLS of SMRAM is kept without effect.
 */
#include "hw/pci/pam.h"

#include "base/log.h"
#include "core/machine.h"

#define SMRAM_BASE 0xa0000u
#define SMRAM_SIZE 0x20000u

static enum access_status hidden_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    (void)opaque, (void)offset, (void)size;
    *value = ~0ull;
    return ACCESS_NONE;
}

static enum access_status hidden_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    (void)opaque, (void)offset, (void)size, (void)value;
    return ACCESS_NONE;
}

static const struct region_ops hidden_ops = { .read = hidden_read, .write = hidden_write, .min_size = 1, .max_size = 8, .unlocked = true };

static uint64_t segment_at(unsigned n) { return n < 12 ? 0xc0000 + n * 0x4000ull : 0xf0000; }

void pam_init(struct pam *p, struct machine *m, bool smm)
{
    p->machine = m;
    for (unsigned n = 0; n < PAM_SEGMENTS; n++) {
        region_init_ram(&p->segment[n], "pam", m->main_ram, segment_at(n), n < 12 ? 0x4000 : 0x10000);
        p->segment[n].enabled = false;
        region_add(&m->memory_root, &p->segment[n], segment_at(n), 1);
    }
    region_init_ram(&p->smram_open, "smram-open", m->main_ram, SMRAM_BASE, SMRAM_SIZE);
    p->smram_open.enabled = false;
    region_add(&m->memory_root, &p->smram_open, SMRAM_BASE, 3);
    region_init_ram(&p->smram, "smram", m->main_ram, SMRAM_BASE, SMRAM_SIZE);
    p->smram.enabled = false;
    if (smm) {
        region_add(machine_smm_space(m), &p->smram, SMRAM_BASE, 1);
    }
}

void pam_update(struct pam *p, const uint8_t *regs, uint8_t smram)
{
    region_begin(p->machine);
    for (unsigned n = 0; n < PAM_SEGMENTS; n++) {
        uint8_t mode = (n == 12 ? regs[0] >> 4 : regs[1 + n / 2] >> (n & 1 ? 4 : 0)) & 3;
        if (mode == 2) {
            log_unimp("not supported: write-only RAM at 0x%x", (unsigned)segment_at(n));
        }
        region_set_enabled(&p->segment[n], mode & 1);
        region_set_readonly(&p->segment[n], mode == 1);
    }
    region_set_enabled(&p->smram_open, (smram & (SMRAM_OPEN | SMRAM_ENABLE)) == (SMRAM_OPEN | SMRAM_ENABLE));
    region_set_enabled(&p->smram, smram & SMRAM_ENABLE);
    region_commit(p->machine);
}

void pam_tseg(struct pam *p, uint64_t top, uint64_t size)
{
    struct machine *m = p->machine;
    if (size == p->tseg_size) {
        return;
    }
    region_begin(m);
    if (p->tseg_size) {
        region_del(&p->tseg);
        region_del(&p->tseg_hidden);
    }
    if (size) {
        region_init_ram(&p->tseg, "tseg", m->main_ram, top - size, size);
        region_init_io(&p->tseg_hidden, "tseg-hidden", &hidden_ops, p, size);
        region_add(machine_smm_space(m), &p->tseg, top - size, 1);
        region_add(&m->memory_root, &p->tseg_hidden, top - size, 2);
    }
    region_commit(m);
    p->tseg_size = size;
}

uint8_t smram_write(uint8_t old, uint8_t value)
{
    if (old & SMRAM_LOCK) {
        return old;
    }
    value = (value & 0x78) | 0x02;
    return value & SMRAM_LOCK ? value & ~SMRAM_OPEN : value;
}
