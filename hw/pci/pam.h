/*
 * What both memory controllers (i440FX, Q35) do with the first MiB: programmable attributes of the ROM area, and SMRAM. See pam.c.
 */
#ifndef HW_PCI_PAM_H
#define HW_PCI_PAM_H

#include "core/region.h"

#define PAM_SEGMENTS 13

struct pam {
    struct machine *machine;
    struct region segment[PAM_SEGMENTS];   /* RAM over C0000h..FFFFFh */
    struct region smram_open;              /* A0000h..BFFFFh for everybody */
    struct region smram, tseg;             /* what CPUs in system management mode see beyond that */
    struct region tseg_hidden;             /* nobody else sees TSEG */
    uint64_t tseg_size;
};

/* The machine has its main RAM; smm: there is system management mode. Machine lock. */
void pam_init(struct pam *p, struct machine *m, bool smm);
/* regs: the seven PAM registers; smram: the SMRAM register. Machine lock. */
void pam_update(struct pam *p, const uint8_t *regs, uint8_t smram);
/* TSEG of `size` bytes below `top`; 0: none. */
void pam_tseg(struct pam *p, uint64_t top, uint64_t size);
enum { SMRAM_OPEN = 0x40, SMRAM_CLOSED = 0x20, SMRAM_LOCK = 0x10, SMRAM_ENABLE = 0x08 };
/* The registers as they come to be when `value` is written over `old`. */
uint8_t smram_write(uint8_t old, uint8_t value);

#endif
