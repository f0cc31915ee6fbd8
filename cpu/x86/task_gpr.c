/*
 * Hardware task switches: far CALL, JMP, interrupts through task gates, IRET with NT. Spec: Intel SDM vol. 3 chapter 8.
 *
 * Until the old task is saved a fault belongs to it and nothing has changed; afterwards it belongs to the new one, whose CS:EIP
 * is in place then (as far as CS could be loaded).
 */
#include "cpu/x86/sys_priv.h"

/* Where a TSS keeps things; by format. */
struct tss_form {
    uint8_t size;             /* of a register */
    uint8_t min_limit, cr3, eip, flags, gpr, seg, n_seg, ldt;
};
static const struct tss_form form16 = { 2, 43, 0, 14, 16, 18, 34, 4, 42 };
static const struct tss_form form32 = { 4, 103, 28, 32, 36, 40, 72, 6, 96 };
/* es cs ss ds fs gs are in the order of enum x86_seg; eax ... edi in that of enum x86_gpr. */

struct task_image {
    uint64_t cr3, eip, flags, gpr[8], seg[6], ldt, trap;
};

static const struct tss_form *form_of(unsigned attr) { return attr & 8 ? &form32 : &form16; }

static bool image_read(struct x86_state *s, const struct tss_form *t, uint64_t base, struct task_image *n, struct mmu_fault *f)
{
    const unsigned r = X86_REGIME_IMPLICIT;

    n->cr3 = s->cr3;
    n->trap = n->seg[X86_FS] = n->seg[X86_GS] = 0;
    if (t->cr3 && (!mem_ld(s, base + t->cr3, 4, r, &n->cr3, f) || !mem_ld(s, base + 100, 2, r, &n->trap, f))) {
        return false;
    }
    for (unsigned i = 0; i < 8; i++) {
        if (!mem_ld(s, base + t->gpr + i * t->size, t->size, r, &n->gpr[i], f)) {
            return false;
        }
    }
    for (unsigned i = 0; i < t->n_seg; i++) {
        if (!mem_ld(s, base + t->seg + i * t->size, 2, r, &n->seg[i], f)) {
            return false;
        }
    }
    return mem_ld(s, base + t->eip, t->size, r, &n->eip, f) && mem_ld(s, base + t->flags, t->size, r, &n->flags, f) &&
           mem_ld(s, base + t->ldt, 2, r, &n->ldt, f);
}

static bool image_write(struct x86_state *s, const struct tss_form *t, uint64_t base, uint32_t eip, uint64_t flags, struct mmu_fault *f)
{
    const unsigned r = X86_REGIME_IMPLICIT;

    for (unsigned i = 0; i < 8; i++) {
        if (!mem_st(s, base + t->gpr + i * t->size, t->size, r, s->gpr[i], f)) {
            return false;
        }
    }
    for (unsigned i = 0; i < t->n_seg; i++) {
        if (!mem_st(s, base + t->seg + i * t->size, 2, r, s->seg[i].selector, f)) {
            return false;
        }
    }
    return mem_st(s, base + t->eip, t->size, r, eip, f) && mem_st(s, base + t->flags, t->size, r, flags, f);
}

static bool set_busy(struct x86_state *s, unsigned selector, bool busy, struct mmu_fault *f)
{
    uint64_t at = (uint32_t)(s->gdt.base + (selector & ~7u)) + 5, v;

    return mem_ld(s, at, 1, X86_REGIME_IMPLICIT, &v, f) && mem_st(s, at, 1, X86_REGIME_IMPLICIT, busy ? v | 2 : v & ~2ull, f);
}

static bool load_ldt(struct x86_state *s, unsigned selector, struct mmu_fault *f)
{
    struct x86_desc d;

    s->ldt = (struct x86_segment){ .selector = selector, .unusable = true };
    if (!(selector & 0xfffc)) {
        return true;
    }
    if (selector & 4) {
        return fault_set(f, X86_TS, selector & 0xfffc);
    }
    if (!x86_desc_get(s, selector, &d, X86_TS, 0, f)) {
        return false;
    }
    if ((desc_attr(&d) & (SEG_S | SEG_TYPE)) != SYS_LDT || !(desc_attr(&d) & SEG_P)) {
        return fault_set(f, X86_TS, selector & 0xfffc);
    }
    s->ldt.base = desc_base(&d);
    s->ldt.limit = desc_limit(&d);
    s->ldt.attr = desc_attr(&d);
    s->ldt.unusable = false;
    return true;
}

static bool load_cs(struct x86_state *s, unsigned selector, uint32_t eip, struct mmu_fault *f)
{
    struct x86_desc d;
    unsigned attr, sel = selector & 0xfffc, rpl = selector & 3;

    if (!sel) {
        return fault_set(f, X86_TS, 0);
    }
    if (!x86_desc_get(s, selector, &d, X86_TS, 0, f)) {
        return false;
    }
    attr = desc_attr(&d);
    if ((attr & (SEG_S | SEG_CODE)) != (SEG_S | SEG_CODE) || (attr & SEG_EC ? seg_dpl(attr) > rpl : seg_dpl(attr) != rpl)) {
        return fault_set(f, X86_TS, sel);
    }
    if (!(attr & SEG_P)) {
        return fault_set(f, X86_NP, sel);
    }
    if (!x86_desc_set_accessed(s, &d, f)) {
        return false;
    }
    x86_set_seg_desc(s, X86_CS, selector, &d);
    s->env.pc = (uint32_t)(s->seg[X86_CS].base + eip);
    return true;
}

/* LDT and segments of the new task; TR, registers and flags are in place. */
static bool load_segments(struct x86_state *s, const struct task_image *n, struct mmu_fault *f)
{
    static const uint8_t data[] = { X86_ES, X86_DS, X86_FS, X86_GS };
    struct x86_desc d;
    unsigned cpl = n->seg[X86_CS] & 3;

    if (s->eflags & FL_VM) {
        for (unsigned i = 0; i < 6; i++) {
            x86_set_seg_vm(s, i, n->seg[i]);
        }
        s->env.pc = (uint32_t)(s->seg[X86_CS].base + n->eip);
        x86_update_hflags(s);
        return load_ldt(s, n->ldt, f);
    }
    for (unsigned i = 0; i < 6; i++) {
        x86_set_seg(s, i, n->seg[i], 0, 0, 0, true);
    }
    s->seg[X86_SS].attr = cpl << SEG_DPL_SHIFT | SEG_DB;      /* CPL from here on */
    s->seg[X86_CS].attr = SEG_DB;
    s->env.pc = (uint32_t)n->eip;
    x86_update_hflags(s);
    if (!load_ldt(s, n->ldt, f) || !load_cs(s, n->seg[X86_CS], n->eip, f) ||
        !x86_check_stack_seg(s, n->seg[X86_SS], cpl, X86_TS, 0, &d, f) || !x86_desc_set_accessed(s, &d, f)) {
        return false;
    }
    x86_set_seg_desc(s, X86_SS, n->seg[X86_SS], &d);
    x86_update_hflags(s);
    for (unsigned i = 0; i < 4; i++) {
        if (!x86_load_seg(s, data[i], n->seg[data[i]], f)) {
            if (f->vector == X86_GP) {
                f->vector = X86_TS;
            }
            return false;
        }
    }
    x86_update_hflags(s);
    return n->eip <= s->seg[X86_CS].limit || fault_gp(f, 0);
}

/* What can fault in the old task: everything is read and saved; the descriptors' busy bits are right afterwards. */
static bool leave_old(struct x86_state *s, unsigned selector, const struct x86_desc *d, enum x86_task_why why, uint32_t eip,
                      struct task_image *n, struct mmu_fault *f)
{
    const struct tss_form *old = form_of(s->tr.attr), *new = form_of(desc_attr(d));
    uint64_t flags = x86_eflags(s), base = desc_base(d);

    if (desc_limit(d) < new->min_limit) {
        return fault_set(f, X86_TS, selector & 0xfffc);
    }
    if (why == TASK_IRET) {
        flags &= ~(uint64_t)FL_NT;
    }
    if (!image_read(s, new, base, n, f) || !image_write(s, old, s->tr.base, eip, flags, f)) {
        return false;
    }
    if (why == TASK_CALL && !mem_st(s, base, 2, X86_REGIME_IMPLICIT, s->tr.selector, f)) {
        return false;
    }
    if (why != TASK_CALL && !set_busy(s, s->tr.selector, false, f)) {
        return false;
    }
    return why == TASK_IRET || set_busy(s, selector, true, f);
}

bool x86_task_switch(struct x86_state *s, unsigned selector, const struct x86_desc *d, enum x86_task_why why, uint32_t eip,
                     bool has_code, uint32_t code, struct mmu_fault *f, bool *switched)
{
    const struct tss_form *new = form_of(desc_attr(d));
    struct x86_stack st;
    struct task_image n;

    *switched = false;
    if (!leave_old(s, selector, d, why, eip, &n, f)) {
        return false;
    }
    *switched = true;
    s->tr = (struct x86_segment){ .selector = selector, .attr = desc_attr(d) | 2, .limit = desc_limit(d), .base = desc_base(d) };
    s->cr0 |= CR0_TS;
    if (new == &form32 && (s->cr0 & CR0_PG) && n.cr3 != s->cr3) {
        s->cr3 = n.cr3;
        accel_of(s)->tlb_flush(cpu_of(s), TLB_FLUSH_NONGLOBAL, 0, 0);
        if ((s->cr4 & CR4_PAE) && !x86_load_pdptes(s, s->cr3)) {
            x86_update_hflags(s);
            return fault_gp(f, 0);
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        s->gpr[i] = new == &form32 ? n.gpr[i] : n.gpr[i] | 0xffff0000;
    }
    x86_set_eflags(s, n.flags | (why == TASK_CALL ? FL_NT : 0), new == &form32 ? ~0ull : 0xffff);
    if (new == &form16) {
        s->eflags &= ~FL_VM;
    }
    s->dr[7] &= ~0x155ull;      /* local breakpoints */
    s->dr6_pending |= n.trap & 1 ? DR6_BT : 0;
    if (!load_segments(s, &n, f)) {
        return false;
    }
    if (has_code) {
        x86_stack_current(s, &st);
        if (!x86_push(s, &st, new->size, code, f)) {
            return false;
        }
        x86_stack_commit(s, &st);
    }
    return true;
}

void x86_task_fault(struct x86_state *s, const struct mmu_fault *f)
{
    x86_raise_pending(cpu_of(s), f);
    x86_look(s);
}
