/*
 * Segmentation: descriptor reads and checks, segment loads, LAR and its family, stacks with their limits, the TSS's stack pointers.
 * Spec: Intel SDM vol. 3 chapters 3, 5, 7; vol. 2 for each instruction's order of checks.
 */
#include "cpu/x86/helpers.h"
#include "cpu/x86/sys_priv.h"

/* --- descriptors --- */

enum x86_desc_status x86_desc_read(struct x86_state *s, unsigned selector, struct x86_desc *d, struct mmu_fault *f)
{
    unsigned at = selector & ~7u;
    uint64_t base, v;
    uint32_t limit;

    if (selector & 4) {
        if (s->ldt.unusable) {
            return DESC_OUTSIDE;
        }
        base = s->ldt.base;
        limit = s->ldt.limit;
    } else {
        base = s->gdt.base;
        limit = s->gdt.limit;
    }
    if (at + 7 > limit) {
        return DESC_OUTSIDE;
    }
    d->at = base + at;
    if (!x86_lma(s)) {
        d->at = (uint32_t)d->at;
    }
    if (!mem_ld(s, d->at, 8, X86_REGIME_IMPLICIT, &v, f)) {
        return DESC_FAULT;
    }
    d->lo = (uint32_t)v;
    d->hi = v >> 32;
    return DESC_OK;
}

bool x86_desc_get(struct x86_state *s, unsigned selector, struct x86_desc *d, unsigned vector, unsigned ext, struct mmu_fault *f)
{
    switch (x86_desc_read(s, selector, d, f)) {
    case DESC_OK:
        return true;
    case DESC_OUTSIDE:
        return fault_set(f, vector, (selector & 0xfffc) | ext);
    default:
        return false;
    }
}

/* The upper half of a 16-byte system descriptor in long mode. */
bool x86_desc_high(struct x86_state *s, const struct x86_desc *d, unsigned selector, uint64_t *base_high, struct mmu_fault *f)
{
    uint64_t v;
    uint32_t limit = selector & 4 ? s->ldt.limit : s->gdt.limit;

    if ((selector & ~7u) + 15 > limit) {
        return fault_gp(f, selector & 0xfffc);
    }
    if (!mem_ld(s, d->at + 8, 8, X86_REGIME_IMPLICIT, &v, f)) {
        return false;
    }
    if (v >> 40 & 0x1f) {     /* type of the upper half must be 0 */
        return fault_gp(f, selector & 0xfffc);
    }
    *base_high = v << 32;
    return true;
}

bool x86_desc_set_accessed(struct x86_state *s, struct x86_desc *d, struct mmu_fault *f)
{
    if (d->hi & 1u << 8) {
        return true;
    }
    d->hi |= 1u << 8;
    return mem_st(s, d->at + 5, 1, X86_REGIME_IMPLICIT, d->hi >> 8 & 0xff, f);
}

/* --- setting segment registers --- */

void x86_set_seg_desc(struct x86_state *s, unsigned seg, unsigned selector, const struct x86_desc *d)
{
    x86_set_seg(s, seg, selector, desc_base(d), desc_limit(d), desc_attr(d), false);
}

void x86_set_seg_real(struct x86_state *s, unsigned seg, unsigned selector)
{
    const struct x86_segment *g = &s->seg[seg];

    /* limit and rights stay ("unreal mode"); a CS that is loaded becomes writable data-like code as after reset */
    x86_set_seg(s, seg, selector, (uint64_t)(selector & 0xffff) << 4, g->unusable ? 0xffff : g->limit, g->unusable ? 0x93 : g->attr, false);
}

void x86_set_seg_vm(struct x86_state *s, unsigned seg, unsigned selector)
{
    x86_set_seg(s, seg, selector & 0xffff, (uint64_t)(selector & 0xffff) << 4, 0xffff, 0xf3, false);
}

void x86_set_seg_null(struct x86_state *s, unsigned seg, unsigned selector)
{
    /* in 64-bit mode a null SS is a stack like any other; its DPL is the CPL */
    unsigned attr = seg == X86_SS ? SEG_P | SEG_S | SEG_RW | SEG_ACCESSED | SEG_DB | SEG_G | (selector & 3) << SEG_DPL_SHIFT : 0;

    x86_set_seg(s, seg, selector, 0, seg == X86_SS ? 0xffffffff : 0, attr, true);
}

bool x86_check_stack_seg(struct x86_state *s, unsigned selector, unsigned cpl, unsigned vector, unsigned ext, struct x86_desc *d,
                         struct mmu_fault *f)
{
    unsigned attr;

    if (!(selector & 0xfffc)) {
        return fault_set(f, vector, ext);
    }
    if (!x86_desc_get(s, selector, d, vector, ext, f)) {
        return false;
    }
    attr = desc_attr(d);
    if ((selector & 3) != cpl || seg_dpl(attr) != cpl || (attr & (SEG_S | SEG_CODE | SEG_RW)) != (SEG_S | SEG_RW)) {
        return fault_set(f, vector, (selector & 0xfffc) | ext);
    }
    if (!(attr & SEG_P)) {
        return fault_set(f, X86_SS_FAULT, (selector & 0xfffc) | ext);
    }
    return true;
}

static bool load_ss(struct x86_state *s, unsigned selector, struct mmu_fault *f)
{
    struct x86_desc d;
    unsigned cpl = x86_cpl(s);

    if (!(selector & 0xfffc) && x86_code64(s) && cpl != 3 && (selector & 3) == cpl) {
        x86_set_seg_null(s, X86_SS, selector);
        return true;
    }
    if (!x86_check_stack_seg(s, selector, cpl, X86_GP, 0, &d, f) || !x86_desc_set_accessed(s, &d, f)) {
        return false;
    }
    x86_set_seg_desc(s, X86_SS, selector, &d);
    return true;
}

/* ES SS DS FS GS; the caller refreshes hflags. */
bool x86_load_seg(struct x86_state *s, unsigned seg, unsigned selector, struct mmu_fault *f)
{
    struct x86_desc d;
    unsigned attr;

    selector &= 0xffff;
    if (!(s->cr0 & CR0_PE)) {
        x86_set_seg_real(s, seg, selector);
        return true;
    }
    if (s->eflags & FL_VM) {
        x86_set_seg_vm(s, seg, selector);
        return true;
    }
    if (seg == X86_SS) {
        return load_ss(s, selector, f);
    }
    if (!(selector & 0xfffc)) {
        x86_set_seg_null(s, seg, selector);
        return true;
    }
    if (!x86_desc_get(s, selector, &d, X86_GP, 0, f)) {
        return false;
    }
    attr = desc_attr(&d);
    if (!(attr & SEG_S) || (attr & (SEG_CODE | SEG_RW)) == SEG_CODE) {
        return fault_gp(f, selector & 0xfffc);
    }
    if ((attr & (SEG_CODE | SEG_EC)) != (SEG_CODE | SEG_EC) &&
        (seg_dpl(attr) < (selector & 3) || seg_dpl(attr) < x86_cpl(s))) {
        return fault_gp(f, selector & 0xfffc);
    }
    if (!(attr & SEG_P)) {
        return fault_set(f, X86_NP, selector & 0xfffc);
    }
    if (!x86_desc_set_accessed(s, &d, f)) {
        return false;
    }
    x86_set_seg_desc(s, seg, selector, &d);
    return true;
}

void x86_drop_inner_segs(struct x86_state *s, unsigned cpl)
{
    static const uint8_t segs[] = { X86_ES, X86_DS, X86_FS, X86_GS };

    for (unsigned i = 0; i < 4; i++) {
        const struct x86_segment *g = &s->seg[segs[i]];

        if (!g->unusable && seg_dpl(g->attr) < cpl && (g->attr & (SEG_CODE | SEG_EC)) != (SEG_CODE | SEG_EC)) {
            x86_set_seg_null(s, segs[i], 0);
        }
    }
}

uint64_t x86_do_load_seg(struct x86_state *s, uint64_t seg, uint64_t selector, uint64_t c, uint64_t d)
{
    struct mmu_fault f;

    (void)c, (void)d;
    if (!x86_load_seg(s, seg, selector, &f)) {
        x86_raise_fault(s, &f);
    }
    x86_update_hflags(s);
    return 0;
}

uint64_t x86_do_load_seg_quiet(struct x86_state *s, uint64_t seg, uint64_t selector, uint64_t c, uint64_t d)
{
    return x86_do_load_seg(s, seg, selector, c, d);
}

/* --- LDTR, TR, GDTR, IDTR --- */

uint64_t x86_do_lldt(struct x86_state *s, uint64_t selector, uint64_t b, uint64_t c, uint64_t unused)
{
    struct x86_desc d;
    struct mmu_fault f;
    uint64_t high = 0;

    (void)b, (void)c, (void)unused;
    selector &= 0xffff;
    if (x86_cpl(s)) {
        x86_raise(s, X86_GP, true, 0);
    }
    if (!(selector & 0xfffc)) {
        s->ldt = (struct x86_segment){ .selector = selector, .unusable = true };
        return 0;
    }
    if (selector & 4 ? !fault_gp(&f, selector & 0xfffc) : !x86_desc_get(s, selector, &d, X86_GP, 0, &f)) {
        x86_raise_fault(s, &f);
    }
    if ((desc_attr(&d) & (SEG_S | SEG_TYPE)) != SYS_LDT) {
        x86_raise(s, X86_GP, true, selector & 0xfffc);
    }
    if (!(desc_attr(&d) & SEG_P)) {
        x86_raise(s, X86_NP, true, selector & 0xfffc);
    }
    if (x86_lma(s) && !x86_desc_high(s, &d, selector, &high, &f)) {
        x86_raise_fault(s, &f);
    }
    s->ldt = (struct x86_segment){ .selector = selector, .base = high | desc_base(&d), .limit = desc_limit(&d), .attr = desc_attr(&d) };
    return 0;
}

uint64_t x86_do_ltr(struct x86_state *s, uint64_t selector, uint64_t b, uint64_t c, uint64_t unused)
{
    struct x86_desc d;
    struct mmu_fault f;
    uint64_t high = 0;
    unsigned type;

    (void)b, (void)c, (void)unused;
    selector &= 0xffff;
    if (x86_cpl(s) || !(selector & 0xfffc)) {
        x86_raise(s, X86_GP, true, 0);
    }
    if (selector & 4 ? !fault_gp(&f, selector & 0xfffc) : !x86_desc_get(s, selector, &d, X86_GP, 0, &f)) {
        x86_raise_fault(s, &f);
    }
    type = desc_attr(&d) & (SEG_S | SEG_TYPE);
    if (type != SYS_TSS32 && (type != SYS_TSS16 || x86_lma(s))) {
        x86_raise(s, X86_GP, true, selector & 0xfffc);
    }
    if (!(desc_attr(&d) & SEG_P)) {
        x86_raise(s, X86_NP, true, selector & 0xfffc);
    }
    if (x86_lma(s) && !x86_desc_high(s, &d, selector, &high, &f)) {
        x86_raise_fault(s, &f);
    }
    d.hi |= 2u << 8;      /* busy */
    if (!mem_st(s, d.at + 5, 1, X86_REGIME_IMPLICIT, d.hi >> 8 & 0xff, &f)) {
        x86_raise_fault(s, &f);
    }
    s->tr = (struct x86_segment){ .selector = selector, .base = high | desc_base(&d), .limit = desc_limit(&d), .attr = desc_attr(&d) };
    return 0;
}

static void load_table(struct x86_state *s, struct x86_table *t, uint64_t base, uint64_t limit)
{
    if (x86_cpl(s) || (x86_code64(s) && !x86_canonical_base(s, base))) {
        x86_raise(s, X86_GP, true, 0);
    }
    t->base = x86_code64(s) ? base : (uint32_t)base;
    t->limit = limit & 0xffff;
}

uint64_t x86_do_lgdt(struct x86_state *s, uint64_t base, uint64_t limit, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    load_table(s, &s->gdt, base, limit);
    return 0;
}

uint64_t x86_do_lidt(struct x86_state *s, uint64_t base, uint64_t limit, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    load_table(s, &s->idt, base, limit);
    return 0;
}

/* --- LAR, LSL, VERR, VERW, ARPL --- */

#define ZF_SET (1ull << 32)

/* Visible to CPL and RPL, and of one of the system types in `types` (bit mask) or code/data. */
static bool look_at(struct x86_state *s, unsigned selector, uint32_t types, struct x86_desc *d)
{
    struct mmu_fault f;
    unsigned attr;

    if (!(selector & 0xfffc)) {
        return false;
    }
    switch (x86_desc_read(s, selector, d, &f)) {
    case DESC_OK:
        break;
    case DESC_OUTSIDE:
        return false;
    case DESC_FAULT:
        x86_raise_fault(s, &f);
    }
    attr = desc_attr(d);
    if (!(attr & SEG_S) && !(types >> (attr & SEG_TYPE) & 1)) {
        return false;
    }
    if ((attr & (SEG_S | SEG_CODE | SEG_EC)) == (SEG_S | SEG_CODE | SEG_EC)) {
        return true;
    }
    return seg_dpl(attr) >= x86_cpl(s) && seg_dpl(attr) >= (selector & 3);
}

uint64_t x86_do_lar(struct x86_state *s, uint64_t selector, uint64_t b, uint64_t c, uint64_t unused)
{
    /* table 3-54 of SDM vol. 2: TSS 1 3 9 11, LDT 2, call gates 4 12, task gate 5; long mode: 2 9 11 12 */
    uint32_t types = x86_lma(s) ? 0x1a04 : 0x1a3e;
    struct x86_desc d;

    (void)b, (void)c, (void)unused;
    return look_at(s, selector & 0xffff, types, &d) ? (d.hi & 0x00f0ff00) | ZF_SET : 0;
}

uint64_t x86_do_lsl(struct x86_state *s, uint64_t selector, uint64_t b, uint64_t c, uint64_t unused)
{
    uint32_t types = x86_lma(s) ? 0x0a04 : 0x0a0e;
    struct x86_desc d;

    (void)b, (void)c, (void)unused;
    return look_at(s, selector & 0xffff, types, &d) ? desc_limit(&d) | ZF_SET : 0;
}

uint64_t x86_do_verr(struct x86_state *s, uint64_t selector, uint64_t b, uint64_t c, uint64_t unused)
{
    struct x86_desc d;

    (void)b, (void)c, (void)unused;
    return look_at(s, selector & 0xffff, 0, &d) && (desc_attr(&d) & (SEG_CODE | SEG_RW)) != SEG_CODE;
}

uint64_t x86_do_verw(struct x86_state *s, uint64_t selector, uint64_t b, uint64_t c, uint64_t unused)
{
    struct x86_desc d;

    (void)b, (void)c, (void)unused;
    return look_at(s, selector & 0xffff, 0, &d) && (desc_attr(&d) & (SEG_CODE | SEG_RW)) == SEG_RW;
}

uint64_t x86_do_arpl(struct x86_state *s, uint64_t dst, uint64_t src, uint64_t c, uint64_t d)
{
    (void)s, (void)c, (void)d;
    dst &= 0xffff;
    return (dst & 3) < (src & 3) ? (dst & ~3ull) | (src & 3) | ZF_SET : dst;
}

/* --- stacks --- */

bool mem_ld_n(struct x86_state *s, uint64_t va, unsigned size, unsigned n, unsigned regime, uint64_t *v, struct mmu_fault *f)
{
    if (size == 8) {
        const uint64_t *p = accel_of(s)->probe(cpu_of(s), va, n * 8, MEM_READ, regime, f);
        if (p) {
            for (unsigned i = 0; i < n; i++) {
                v[i] = p[i];
            }
            return true;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        if (!mem_ld(s, va + i * size, size, regime, &v[i], f)) {
            return false;
        }
    }
    return true;
}

bool mem_st_n(struct x86_state *s, uint64_t va, unsigned size, unsigned n, unsigned regime, const uint64_t *v, struct mmu_fault *f)
{
    if (size == 8) {
        uint64_t *p = accel_of(s)->probe(cpu_of(s), va, n * 8, MEM_WRITE, regime, f);
        if (p) {
            for (unsigned i = 0; i < n; i++) {
                p[i] = v[i];
            }
            return true;
        }
    }
    for (unsigned i = n; i-- > 0;) {      /* as pushes: from the top down */
        if (!mem_st(s, va + i * size, size, regime, v[i], f)) {
            return false;
        }
    }
    return true;
}

void x86_stack_current(struct x86_state *s, struct x86_stack *st)
{
    const struct x86_segment *ss = &s->seg[X86_SS];

    st->flat64 = x86_code64(s);
    st->base = st->flat64 ? 0 : ss->base;
    st->mask = st->flat64 ? ~0ull : stack_mask(ss->attr);
    st->sp = s->gpr[X86_RSP];
    st->limit = ss->limit;
    st->attr = ss->attr;
    st->regime = x86_regime_at(s, x86_cpl(s));
    st->code = 0;
}

void x86_stack_desc(struct x86_state *s, struct x86_stack *st, const struct x86_desc *d, uint64_t sp, unsigned cpl, uint32_t code)
{
    st->flat64 = false;
    st->base = desc_base(d);
    st->attr = desc_attr(d);
    st->mask = stack_mask(st->attr);
    st->limit = desc_limit(d);
    st->sp = sp;
    st->regime = x86_regime_at(s, cpl);
    st->code = code;
}

/* Linear address of `size` bytes at offset `at`, inside the limit. */
static bool stack_at(const struct x86_state *s, const struct x86_stack *st, uint64_t at, unsigned size, uint64_t *va, struct mmu_fault *f)
{
    if (st->flat64) {
        *va = at;
        return x86_canonical(s, at) || fault_set(f, X86_SS_FAULT, 0);
    }
    at &= st->mask;
    if (st->attr & SEG_EC) {
        uint64_t top = st->attr & SEG_DB ? 0xffffffff : 0xffff;
        if (at <= st->limit || at + size - 1 > top) {
            return fault_set(f, X86_SS_FAULT, st->code);
        }
    } else if (at + size - 1 > st->limit) {
        return fault_set(f, X86_SS_FAULT, st->code);
    }
    *va = (uint32_t)(st->base + at);
    return true;
}

bool x86_push(struct x86_state *s, struct x86_stack *st, unsigned size, uint64_t v, struct mmu_fault *f)
{
    uint64_t va;

    if (!stack_at(s, st, st->sp - size, size, &va, f) || !mem_st(s, va, size, st->regime, v, f)) {
        return false;
    }
    st->sp -= size;
    return true;
}

bool x86_pop(struct x86_state *s, struct x86_stack *st, unsigned size, uint64_t *v, struct mmu_fault *f)
{
    uint64_t va;

    if (!stack_at(s, st, st->sp, size, &va, f) || !mem_ld(s, va, size, st->regime, v, f)) {
        return false;
    }
    st->sp += size;
    return true;
}

void x86_stack_commit(struct x86_state *s, const struct x86_stack *st)
{
    uint64_t *rsp = &s->gpr[X86_RSP];

    if (st->mask == 0xffff) {
        *rsp = (*rsp & ~0xffffull) | (st->sp & 0xffff);
    } else {
        *rsp = st->sp & st->mask;
    }
}

bool x86_tss_stack(struct x86_state *s, unsigned cpl, unsigned ext, uint32_t *ss, uint32_t *esp, struct mmu_fault *f)
{
    bool wide = (s->tr.attr & SEG_TYPE) >= SYS_TSS32;
    uint32_t at = wide ? 4 + 8 * cpl : 2 + 4 * cpl;
    uint64_t v, w;

    if (s->tr.unusable || at + (wide ? 5 : 3) > s->tr.limit) {
        return fault_set(f, X86_TS, (s->tr.selector & 0xfffc) | ext);
    }
    if (!mem_ld(s, s->tr.base + at, wide ? 4 : 2, X86_REGIME_IMPLICIT, &v, f) ||
        !mem_ld(s, s->tr.base + at + (wide ? 4 : 2), 2, X86_REGIME_IMPLICIT, &w, f)) {
        return false;
    }
    *esp = (uint32_t)v;
    *ss = (uint32_t)w;
    return true;
}

bool x86_tss_rsp(struct x86_state *s, unsigned index, uint64_t *rsp, struct mmu_fault *f)
{
    uint32_t at = 4 + 8 * index;

    if (s->tr.unusable || at + 7 > s->tr.limit) {
        return fault_set(f, X86_TS, s->tr.selector & 0xfffc);
    }
    if (!mem_ld(s, s->tr.base + at, 8, X86_REGIME_IMPLICIT, rsp, f)) {
        return false;
    }
    return x86_canonical(s, *rsp) || fault_set(f, X86_SS_FAULT, 0);
}
