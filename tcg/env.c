/*
 * Layouts that generated code addresses by constants, checked; and the access descriptor.
 */
#include "tcg/backend.h"

_Static_assert(sizeof(struct tcg_env) == 64, "slots begin at 64");
_Static_assert(offsetof(struct tcg_env, pcbase) == 0, "");
_Static_assert(offsetof(struct tcg_env, pc) == 56, "");
_Static_assert(sizeof(struct tlb_entry) == 32, "TLB index is page << 5");
_Static_assert(offsetof(struct tlb_entry, read) == 0 && offsetof(struct tlb_entry, write) == 8 && offsetof(struct tlb_entry, addend) == 16, "");
_Static_assert(sizeof(struct tcg_jump) == 16, "jump index is pc << 4");
_Static_assert(offsetof(struct tcg_tlb, entry) - offsetof(struct tcg_tlb, h.mask) == 8, "[r15 - 8] is the mask");
_Static_assert(offsetof(struct tcg_tlb, entry) % 32 == 0, "entries do not straddle cache lines");
_Static_assert(offsetof(struct tcg_scratch, bounce) % 64 == 0, "bounce takes any aligned access");
_Static_assert(offsetof(struct tcg_scratch, mem_high) == offsetof(struct tcg_scratch, vec_low) + 1, "compared as one");
_Static_assert(IR_CC_COUNT <= 32, "kind | width << 5");

uint32_t tcg_desc(const struct ir_mem *m, bool read, bool write, bool probe)
{
    uint32_t d = m->size | (uint32_t)m->regime << TCG_D_REGIME;

    d |= write ? TCG_D_WRITE : 0;
    d |= read ? TCG_D_READ : 0;
    d |= m->align ? TCG_D_ALIGN : 0;
    d |= m->atomic ? TCG_D_ATOMIC : 0;
    d |= probe ? TCG_D_PROBE : 0;
    d |= m->intent && read && !write ? TCG_D_WRITE | TCG_D_PROBE : 0;
    return d;
}
