/*
 * Control transfers that may change code segment or privilege: SYSCALL, SYSENTER and back, IRET, far RET, far CALL, far JMP.
 * Spec: Intel SDM vol. 2 (each instruction's operation), vol. 3 chapters 5, 6, 7.
 *
 * Each helper makes all checks, then commits everything at once, and returns the linear address at which execution goes on.
 */
#include "cpu/x86/helpers.h"
#include "cpu/x86/sys_priv.h"

#define ATTR_DATA32 (SEG_P | SEG_S | SEG_RW | SEG_ACCESSED | SEG_DB | SEG_G)
#define ATTR_CODE (SEG_P | SEG_S | SEG_CODE | SEG_RW | SEG_ACCESSED | SEG_G)

/* --- SYSCALL, SYSRET, SYSENTER, SYSEXIT --- */

static void set_flat(struct x86_state *s, unsigned cs, unsigned ss, unsigned cpl, bool code64)
{
    x86_set_seg(s, X86_CS, cs, 0, 0xffffffff, ATTR_CODE | (code64 ? SEG_L : SEG_DB) | cpl << SEG_DPL_SHIFT, false);
    x86_set_seg(s, X86_SS, ss, 0, 0xffffffff, ATTR_DATA32 | cpl << SEG_DPL_SHIFT, false);
}

uint64_t x86_do_syscall(struct x86_state *s, uint64_t next, uint64_t b, uint64_t c, uint64_t d)
{
    const struct x86_cpu *x = x86_of_state(s);
    bool code64 = x86_code64(s);
    unsigned cs = s->star >> 32 & 0xfffc;
    uint64_t flags;

    (void)b, (void)c, (void)d;
    if (!(s->efer & EFER_SCE) || (!code64 && (x->intel || !x86_prot(s)))) {
        x86_raise(s, X86_UD, false, 0);
    }
    flags = x86_eflags(s);
    s->step_masked = x86_lma(s) && (flags & s->fmask & FL_TF);
    if (x86_lma(s)) {
        s->gpr[X86_RCX] = code64 ? next : (uint32_t)(next - s->seg[X86_CS].base);
        s->gpr[X86_R11] = flags & ~(uint64_t)FL_RF;
        x86_set_eflags(s, flags & ~s->fmask & ~(uint64_t)(FL_RF | FL_VM), ~0ull);
        set_flat(s, cs, (cs + 8) & 0xffff, 0, true);
        x86_update_hflags(s);
        return code64 ? s->lstar : s->cstar;
    }
    /* legacy mode (AMD): EIP from STAR, flags are not masked */
    s->gpr[X86_RCX] = (uint32_t)(next - s->seg[X86_CS].base);
    s->eflags &= ~(FL_VM | FL_IF | FL_RF);
    set_flat(s, cs, (cs + 8) & 0xffff, 0, false);
    x86_update_hflags(s);
    return (uint32_t)s->star;
}

/* IF may have been set, NMIs may have been let in again: have the loop look if something waits. */
static void look_if_waiting(struct x86_state *s)
{
    if (s->irq_waits && (s->eflags & FL_IF)) {
        x86_look(s);
    }
}

uint64_t x86_do_sysret(struct x86_state *s, uint64_t opsize, uint64_t b, uint64_t c, uint64_t d)
{
    const struct x86_cpu *x = x86_of_state(s);
    unsigned base = s->star >> 48;
    uint64_t pc = s->gpr[X86_RCX];

    (void)b, (void)c, (void)d;
    if (!(s->efer & EFER_SCE) || (!x86_code64(s) && (x->intel || !x86_prot(s)))) {
        x86_raise(s, X86_UD, false, 0);
    }
    if (x86_cpl(s) || (opsize == 8 && !x86_canonical(s, pc))) {
        x86_raise(s, X86_GP, true, 0);
    }
    if (x86_code64(s)) {
        x86_set_eflags(s, s->gpr[X86_R11] & 0x3c7fd7, ~0ull);
    } else {
        s->eflags |= FL_IF;
    }
    if (opsize == 8) {
        set_flat(s, ((base + 16) & 0xffff) | 3, ((base + 8) & 0xffff) | 3, 3, true);
    } else {
        pc = (uint32_t)pc;
        set_flat(s, base | 3, ((base + 8) & 0xffff) | 3, 3, false);
    }
    x86_update_hflags(s);
    look_if_waiting(s);
    return pc;
}

uint64_t x86_do_sysenter(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    unsigned cs = s->sysenter_cs & 0xfffc;
    bool lma = x86_lma(s);

    (void)a, (void)b, (void)c, (void)d;
    if (!(s->cr0 & CR0_PE) || !cs) {
        x86_raise(s, X86_GP, true, 0);
    }
    s->eflags &= ~(FL_VM | FL_IF | FL_RF);
    set_flat(s, cs, cs + 8, 0, lma);
    s->gpr[X86_RSP] = lma ? s->sysenter_esp : (uint32_t)s->sysenter_esp;
    x86_update_hflags(s);
    return lma ? s->sysenter_eip : (uint32_t)s->sysenter_eip;
}

uint64_t x86_do_sysexit(struct x86_state *s, uint64_t opsize, uint64_t b, uint64_t c, uint64_t d)
{
    unsigned cs = s->sysenter_cs & 0xfffc;
    uint64_t pc = s->gpr[X86_RDX], sp = s->gpr[X86_RCX];

    (void)b, (void)c, (void)d;
    if (!cs || !(s->cr0 & CR0_PE) || x86_cpl(s)) {
        x86_raise(s, X86_GP, true, 0);
    }
    if (opsize == 8) {
        if (!x86_canonical(s, pc) || !x86_canonical(s, sp)) {
            x86_raise(s, X86_GP, true, 0);
        }
        set_flat(s, (cs + 32) | 3, (cs + 40) | 3, 3, true);
    } else {
        pc = (uint32_t)pc;
        sp = (uint32_t)sp;
        set_flat(s, (cs + 16) | 3, (cs + 24) | 3, 3, false);
    }
    s->gpr[X86_RSP] = sp;
    x86_update_hflags(s);
    return pc;
}

/* --- code segments as targets --- */

/* Descriptor of a code segment for IRET and RET: all checks that do not need the new stack. */
static bool return_code_seg(struct x86_state *s, unsigned selector, struct x86_desc *d, struct mmu_fault *f)
{
    unsigned attr, rpl = selector & 3;

    if (!(selector & 0xfffc)) {
        return fault_gp(f, 0);
    }
    if (!x86_desc_get(s, selector, d, X86_GP, 0, f)) {
        return false;
    }
    attr = desc_attr(d);
    if ((attr & (SEG_S | SEG_CODE)) != (SEG_S | SEG_CODE) || rpl < x86_cpl(s) ||
        (attr & SEG_EC ? seg_dpl(attr) > rpl : seg_dpl(attr) != rpl) || (x86_lma(s) && (attr & SEG_L) && (attr & SEG_DB))) {
        return fault_gp(f, selector & 0xfffc);
    }
    return attr & SEG_P ? true : fault_set(f, X86_NP, selector & 0xfffc);
}

static bool target_ok(struct x86_state *s, const struct x86_desc *d, uint64_t ip, struct mmu_fault *f)
{
    if (x86_lma(s) && (desc_attr(d) & SEG_L)) {
        return x86_canonical(s, ip) || fault_gp(f, 0);
    }
    return ip <= desc_limit(d) || fault_gp(f, 0);
}

static uint64_t cut(uint64_t v, unsigned size)
{
    return size == 8 ? v : size == 4 ? (uint32_t)v : (uint16_t)v;
}

/* Sets CS from a checked descriptor (mode bits follow) and gives the linear address. */
static uint64_t enter_code(struct x86_state *s, unsigned selector, const struct x86_desc *d, uint64_t ip)
{
    x86_set_seg_desc(s, X86_CS, selector, d);
    if (x86_lma(s) && (desc_attr(d) & SEG_L)) {
        s->seg[X86_CS].base = 0;
        s->seg_base[X86_CS] = 0;
        x86_update_hflags(s);
        return ip;
    }
    x86_update_hflags(s);
    return (uint32_t)(s->seg[X86_CS].base + ip);
}

/* --- returns --- */

struct far_return {
    uint64_t ip, cs, flags, sp, ss;
    unsigned opsize;
    unsigned release;         /* bytes of parameters */
    bool iret;
    bool with_stack;          /* IRET in 64-bit mode pops SS:RSP always */
};

static void return_flags(struct x86_state *s, const struct far_return *r, unsigned old_cpl)
{
    uint64_t mask = X86_FL_ARITH | FL_TF | FL_DF | FL_NT | FL_RF | FL_AC | FL_ID;

    if (old_cpl <= x86_iopl(s)) {
        mask |= FL_IF;
    }
    if (old_cpl == 0) {
        mask |= FL_IOPL | FL_VIF | FL_VIP;
    }
    x86_set_eflags(s, r->flags, r->opsize == 2 ? mask & 0xffff : mask);
}

/* To an outer level (or, by IRET in 64-bit mode, to the same with a new stack): SS:SP have been popped. */
static bool return_stack(struct x86_state *s, struct far_return *r, const struct x86_desc *code, struct mmu_fault *f, struct x86_desc *ssd,
                         bool *null)
{
    unsigned rpl = r->cs & 3;
    bool to64 = x86_lma(s) && (desc_attr(code) & SEG_L);

    r->ss &= 0xffff;
    *null = !(r->ss & 0xfffc);
    if (*null) {
        return (to64 && rpl != 3 && (r->ss & 3) == rpl) || fault_gp(f, 0);
    }
    return x86_check_stack_seg(s, r->ss, rpl, X86_GP, 0, ssd, f) && x86_desc_set_accessed(s, ssd, f);
}

/* The common end of protected-mode IRET and RET once ip, cs (and flags) are popped; `st` stands behind them. */
static bool far_return(struct x86_state *s, struct far_return *r, struct x86_stack *st, uint64_t *pc, struct mmu_fault *f)
{
    unsigned cpl = x86_cpl(s), rpl = r->cs & 3;
    struct x86_desc code, ssd;
    bool null = false, outer = rpl > cpl || r->with_stack;

    r->cs &= 0xffff;
    if (!return_code_seg(s, r->cs, &code, f)) {
        return false;
    }
    st->sp += r->release;
    if (outer) {
        if (!r->with_stack && (!x86_pop(s, st, r->opsize, &r->sp, f) || !x86_pop(s, st, r->opsize, &r->ss, f))) {
            return false;
        }
        if (!return_stack(s, r, &code, f, &ssd, &null)) {
            return false;
        }
    }
    if (!target_ok(s, &code, r->ip, f) || !x86_desc_set_accessed(s, &code, f)) {
        return false;
    }
    if (r->iret) {
        return_flags(s, r, cpl);
    }
    if (outer) {
        if (null) {
            x86_set_seg_null(s, X86_SS, r->ss);
        } else {
            x86_set_seg_desc(s, X86_SS, r->ss, &ssd);
        }
        *pc = enter_code(s, r->cs, &code, r->ip);
        st->mask = x86_code64(s) ? ~0ull : stack_mask(s->seg[X86_SS].attr);
        st->sp = cut(r->sp, r->opsize) + r->release;
        if (rpl > cpl) {
            x86_drop_inner_segs(s, rpl);
            x86_update_hflags(s);
        }
    } else {
        *pc = enter_code(s, r->cs, &code, r->ip);
    }
    x86_stack_commit(s, st);
    return true;
}

/* IRET to virtual-8086 mode; EIP CS EFLAGS are popped. */
static bool iret_to_vm(struct x86_state *s, struct far_return *r, struct x86_stack *st, uint64_t *pc, struct mmu_fault *f)
{
    static const uint8_t order[] = { X86_SS, X86_ES, X86_DS, X86_FS, X86_GS };
    uint64_t sp, v[5];

    if (!x86_pop(s, st, 4, &sp, f)) {
        return false;
    }
    for (unsigned i = 0; i < 5; i++) {
        if (!x86_pop(s, st, 4, &v[i], f)) {
            return false;
        }
    }
    x86_set_eflags(s, r->flags, ~0ull);
    x86_set_seg_vm(s, X86_CS, r->cs);
    for (unsigned i = 0; i < 5; i++) {
        x86_set_seg_vm(s, order[i], v[i]);
    }
    s->gpr[X86_RSP] = (uint32_t)sp;
    x86_update_hflags(s);
    *pc = (uint32_t)(s->seg[X86_CS].base + (r->ip & 0xffff));
    return true;
}

/* Real mode, and virtual-8086 mode with IOPL 3. */
static bool iret_real(struct x86_state *s, unsigned opsize, uint64_t *pc, struct mmu_fault *f)
{
    struct x86_stack st;
    uint64_t ip, cs, flags, mask = X86_FL_ARITH | FL_TF | FL_IF | FL_DF | FL_NT | FL_RF | FL_AC | FL_ID;
    bool vm = s->hflags & X86_MODE_VM;

    if (vm && x86_iopl(s) < 3) {
        return fault_gp(f, 0);
    }
    x86_stack_current(s, &st);
    if (!x86_pop(s, &st, opsize, &ip, f) || !x86_pop(s, &st, opsize, &cs, f) || !x86_pop(s, &st, opsize, &flags, f)) {
        return false;
    }
    if (ip > s->seg[X86_CS].limit) {
        return fault_gp(f, 0);
    }
    mask |= vm ? 0 : FL_IOPL | FL_VIF | FL_VIP;
    x86_set_eflags(s, flags, opsize == 2 ? mask & 0xffff : mask);
    if (vm) {
        x86_set_seg_vm(s, X86_CS, cs);
    } else {
        x86_set_seg_real(s, X86_CS, cs & 0xffff);
    }
    x86_stack_commit(s, &st);
    x86_update_hflags(s);
    *pc = (uint32_t)(s->seg[X86_CS].base + ip);
    return true;
}

/* IRET with NT set: back to the task that the TSS's link names. */
static bool iret_task(struct x86_state *s, uint32_t eip, uint64_t *pc, struct mmu_fault *f)
{
    struct x86_desc d;
    uint64_t link;
    unsigned type;
    bool switched;

    if (x86_lma(s)) {
        return fault_gp(f, 0);
    }
    if (!mem_ld(s, s->tr.base, 2, X86_REGIME_IMPLICIT, &link, f)) {
        return false;
    }
    if ((link & 4) || !(link & 0xfffc)) {
        return fault_set(f, X86_TS, link & 0xfffc);
    }
    if (!x86_desc_get(s, link, &d, X86_TS, 0, f)) {
        return false;
    }
    type = desc_attr(&d) & (SEG_S | SEG_TYPE);
    if (type != SYS_TSS16_BUSY && type != SYS_TSS32_BUSY) {
        return fault_set(f, X86_TS, link & 0xfffc);
    }
    if (!(desc_attr(&d) & SEG_P)) {
        return fault_set(f, X86_NP, link & 0xfffc);
    }
    if (!x86_task_switch(s, link, &d, TASK_IRET, eip, false, 0, f, &switched)) {
        if (!switched) {
            return false;
        }
        x86_task_fault(s, f);
    }
    *pc = s->env.pc;
    return true;
}

static bool iret_protected(struct x86_state *s, unsigned opsize, uint32_t next, uint64_t *pc, struct mmu_fault *f)
{
    struct far_return r = { .opsize = opsize, .iret = true };
    struct x86_stack st;
    uint64_t v[5];

    if (s->eflags & FL_NT) {
        return iret_task(s, next, pc, f);
    }
    x86_stack_current(s, &st);
    if (x86_code64(s)) {
        if (!x86_canonical(s, st.sp)) {
            return fault_set(f, X86_SS_FAULT, 0);
        }
        if (!mem_ld_n(s, st.sp, opsize, 5, st.regime, v, f)) {
            return false;
        }
        r.with_stack = true;
        r.ip = v[0], r.cs = v[1], r.flags = v[2], r.sp = v[3], r.ss = v[4];
        return far_return(s, &r, &st, pc, f);
    }
    if (!x86_pop(s, &st, opsize, &r.ip, f) || !x86_pop(s, &st, opsize, &r.cs, f) || !x86_pop(s, &st, opsize, &r.flags, f)) {
        return false;
    }
    if (opsize == 4 && (r.flags & FL_VM) && x86_cpl(s) == 0 && !x86_lma(s)) {
        return iret_to_vm(s, &r, &st, pc, f);
    }
    return far_return(s, &r, &st, pc, f);
}

uint64_t x86_do_iret(struct x86_state *s, uint64_t opsize, uint64_t next, uint64_t c, uint64_t d)
{
    struct mmu_fault f;
    uint64_t pc;

    (void)c, (void)d;
    if (x86_prot(s) ? !iret_protected(s, opsize, (uint32_t)next, &pc, &f) : !iret_real(s, opsize, &pc, &f)) {
        x86_raise_fault(s, &f);
    }
    s->nmi_masked = false;
    s->monitor_addr = ~0ull;
    if (s->nmi_waits) {
        x86_look(s);
    }
    look_if_waiting(s);
    return pc;
}

static bool lret(struct x86_state *s, unsigned opsize, unsigned release, uint64_t *pc, struct mmu_fault *f)
{
    struct far_return r = { .opsize = opsize, .release = release };
    struct x86_stack st;

    x86_stack_current(s, &st);
    if (!x86_pop(s, &st, opsize, &r.ip, f) || !x86_pop(s, &st, opsize, &r.cs, f)) {
        return false;
    }
    if (x86_prot(s)) {
        return far_return(s, &r, &st, pc, f);
    }
    if (r.ip > s->seg[X86_CS].limit) {
        return fault_gp(f, 0);
    }
    st.sp += release;
    if (s->hflags & X86_MODE_VM) {
        x86_set_seg_vm(s, X86_CS, r.cs);
    } else {
        x86_set_seg_real(s, X86_CS, r.cs & 0xffff);
    }
    x86_stack_commit(s, &st);
    x86_update_hflags(s);
    *pc = (uint32_t)(s->seg[X86_CS].base + r.ip);
    return true;
}

uint64_t x86_do_lret(struct x86_state *s, uint64_t opsize, uint64_t release, uint64_t c, uint64_t d)
{
    struct mmu_fault f;
    uint64_t pc;

    (void)c, (void)d;
    if (!lret(s, opsize, release, &pc, &f)) {
        x86_raise_fault(s, &f);
    }
    return pc;
}

/* --- far JMP and CALL --- */

struct far_call {
    unsigned selector, opsize;
    uint64_t offset, next;
    bool call;
};

/* A direct transfer to a code segment: same privilege. */
static bool far_direct(struct x86_state *s, const struct far_call *t, struct x86_desc *d, uint64_t *pc, struct mmu_fault *f)
{
    unsigned attr = desc_attr(d), cpl = x86_cpl(s), sel = t->selector & 0xfffc;
    struct x86_stack st;

    if (attr & SEG_EC ? seg_dpl(attr) > cpl : (t->selector & 3) > cpl || seg_dpl(attr) != cpl) {
        return fault_gp(f, sel);
    }
    if (x86_lma(s) && (attr & SEG_L) && (attr & SEG_DB)) {
        return fault_gp(f, sel);
    }
    if (!(attr & SEG_P)) {
        return fault_set(f, X86_NP, sel);
    }
    if (!target_ok(s, d, t->offset, f)) {
        return false;
    }
    if (t->call) {
        x86_stack_current(s, &st);
        if (!x86_push(s, &st, t->opsize, s->seg[X86_CS].selector, f) || !x86_push(s, &st, t->opsize, t->next, f)) {
            return false;
        }
    }
    if (!x86_desc_set_accessed(s, d, f)) {
        return false;
    }
    if (t->call) {
        x86_stack_commit(s, &st);
    }
    *pc = enter_code(s, sel | cpl, d, t->offset);
    return true;
}

/* What a call gate says. */
struct gate {
    unsigned selector, params, size;
    uint64_t offset;
};

static bool gate_read(struct x86_state *s, const struct far_call *t, const struct x86_desc *d, struct gate *g, struct mmu_fault *f)
{
    unsigned sel = t->selector & 0xfffc;
    uint64_t high;

    if (seg_dpl(desc_attr(d)) < x86_cpl(s) || seg_dpl(desc_attr(d)) < (t->selector & 3)) {
        return fault_gp(f, sel);
    }
    if (!(desc_attr(d) & SEG_P)) {
        return fault_set(f, X86_NP, sel);
    }
    g->selector = d->lo >> 16;
    g->params = d->hi & 31;
    g->size = (desc_attr(d) & SEG_TYPE) == SYS_CALL16 ? 2 : 4;
    g->offset = (d->lo & 0xffff) | (g->size == 4 ? d->hi & 0xffff0000 : 0);
    if (x86_lma(s)) {
        if (!x86_desc_high(s, d, t->selector, &high, f)) {
            return false;
        }
        g->size = 8;
        g->params = 0;
        g->offset |= high;
    }
    return true;
}

/* CALL through a gate to an inner level: the new stack comes from the TSS, parameters are copied. */
static bool gate_inner(struct x86_state *s, const struct far_call *t, const struct gate *g, struct x86_desc *code, uint64_t *pc,
                       struct mmu_fault *f)
{
    unsigned cpl = seg_dpl(desc_attr(code));
    struct x86_stack old, st;
    struct x86_desc ssd;
    uint32_t ss = cpl, esp;
    uint64_t v, rsp, old_ss = s->seg[X86_SS].selector, old_sp = s->gpr[X86_RSP];

    x86_stack_current(s, &old);
    if (x86_lma(s)) {
        if (!x86_tss_rsp(s, cpl, &rsp, f)) {
            return false;
        }
        st = (struct x86_stack){ .flat64 = true, .mask = ~0ull, .sp = rsp, .regime = x86_regime_at(s, cpl) };
    } else {
        if (!x86_tss_stack(s, cpl, 0, &ss, &esp, f) || !x86_check_stack_seg(s, ss, cpl, X86_TS, 0, &ssd, f)) {
            return false;
        }
        x86_stack_desc(s, &st, &ssd, esp, cpl, ss & 0xfffc);
    }
    if (!target_ok(s, code, g->offset, f) || !x86_push(s, &st, g->size, old_ss, f) || !x86_push(s, &st, g->size, old_sp, f)) {
        return false;
    }
    for (unsigned i = g->params; i-- > 0;) {
        struct x86_stack p = old;
        p.sp += i * g->size;
        if (!x86_pop(s, &p, g->size, &v, f) || !x86_push(s, &st, g->size, v, f)) {
            return false;
        }
    }
    if (!x86_push(s, &st, g->size, s->seg[X86_CS].selector, f) || !x86_push(s, &st, g->size, t->next, f) ||
        !x86_desc_set_accessed(s, code, f)) {
        return false;
    }
    if (x86_lma(s)) {
        x86_set_seg_null(s, X86_SS, cpl);
    } else {
        if (!x86_desc_set_accessed(s, &ssd, f)) {
            return false;
        }
        x86_set_seg_desc(s, X86_SS, ss, &ssd);
    }
    x86_stack_commit(s, &st);
    *pc = enter_code(s, (g->selector & 0xfffc) | cpl, code, g->offset);
    return true;
}

static bool far_gate(struct x86_state *s, const struct far_call *t, const struct x86_desc *d, uint64_t *pc, struct mmu_fault *f)
{
    unsigned attr, sel, cpl = x86_cpl(s);
    struct x86_desc code;
    struct x86_stack st;
    struct gate g;

    if (!gate_read(s, t, d, &g, f)) {
        return false;
    }
    sel = g.selector & 0xfffc;
    if (!sel) {
        return fault_gp(f, 0);
    }
    if (!x86_desc_get(s, g.selector, &code, X86_GP, 0, f)) {
        return false;
    }
    attr = desc_attr(&code);
    if ((attr & (SEG_S | SEG_CODE)) != (SEG_S | SEG_CODE) || seg_dpl(attr) > cpl ||
        (x86_lma(s) && (attr & (SEG_L | SEG_DB)) != SEG_L) || (!t->call && !(attr & SEG_EC) && seg_dpl(attr) != cpl)) {
        return fault_gp(f, sel);
    }
    if (!(attr & SEG_P)) {
        return fault_set(f, X86_NP, sel);
    }
    if (t->call && !(attr & SEG_EC) && seg_dpl(attr) < cpl) {
        return gate_inner(s, t, &g, &code, pc, f);
    }
    if (!target_ok(s, &code, g.offset, f)) {
        return false;
    }
    if (t->call) {
        x86_stack_current(s, &st);
        if (g.size == 8) {
            st.flat64 = true;
            st.mask = ~0ull;
        }
        if (!x86_push(s, &st, g.size, s->seg[X86_CS].selector, f) || !x86_push(s, &st, g.size, t->next, f)) {
            return false;
        }
    }
    if (!x86_desc_set_accessed(s, &code, f)) {
        return false;
    }
    if (t->call) {
        x86_stack_commit(s, &st);
    }
    *pc = enter_code(s, sel | cpl, &code, g.offset);
    return true;
}

static bool far_task(struct x86_state *s, const struct far_call *t, unsigned selector, const struct x86_desc *d, uint64_t *pc,
                     struct mmu_fault *f)
{
    bool switched;

    if (seg_dpl(desc_attr(d)) < x86_cpl(s) || seg_dpl(desc_attr(d)) < (selector & 3)) {
        return fault_gp(f, selector & 0xfffc);
    }
    if (!(desc_attr(d) & SEG_P)) {
        return fault_set(f, X86_NP, selector & 0xfffc);
    }
    if (!x86_task_switch(s, selector, d, t->call ? TASK_CALL : TASK_JUMP, (uint32_t)t->next, false, 0, f, &switched)) {
        if (!switched) {
            return false;
        }
        x86_task_fault(s, f);
    }
    *pc = s->env.pc;
    return true;
}

static bool far_task_gate(struct x86_state *s, const struct far_call *t, const struct x86_desc *gate, uint64_t *pc, struct mmu_fault *f)
{
    unsigned sel = gate->lo >> 16, type;
    struct x86_desc d;

    if (seg_dpl(desc_attr(gate)) < x86_cpl(s) || seg_dpl(desc_attr(gate)) < (t->selector & 3)) {
        return fault_gp(f, t->selector & 0xfffc);
    }
    if (!(desc_attr(gate) & SEG_P)) {
        return fault_set(f, X86_NP, t->selector & 0xfffc);
    }
    if (sel & 4 || !(sel & 0xfffc)) {
        return fault_gp(f, sel & 0xfffc);
    }
    if (!x86_desc_get(s, sel, &d, X86_GP, 0, f)) {
        return false;
    }
    type = desc_attr(&d) & (SEG_S | SEG_TYPE);
    if (type != SYS_TSS16 && type != SYS_TSS32) {
        return fault_gp(f, sel & 0xfffc);
    }
    d.hi |= 3u << 13;             /* the gate's privilege counted, not the TSS's */
    return far_task(s, t, sel, &d, pc, f);
}

static bool far_protected(struct x86_state *s, const struct far_call *t, uint64_t *pc, struct mmu_fault *f)
{
    struct x86_desc d;
    unsigned attr;

    if (!(t->selector & 0xfffc)) {
        return fault_gp(f, 0);
    }
    if (!x86_desc_get(s, t->selector, &d, X86_GP, 0, f)) {
        return false;
    }
    attr = desc_attr(&d);
    if (attr & SEG_S) {
        return attr & SEG_CODE ? far_direct(s, t, &d, pc, f) : fault_gp(f, t->selector & 0xfffc);
    }
    switch (attr & SEG_TYPE) {
    case SYS_CALL32:
        return far_gate(s, t, &d, pc, f);
    case SYS_CALL16:
        return x86_lma(s) ? fault_gp(f, t->selector & 0xfffc) : far_gate(s, t, &d, pc, f);
    case SYS_TASK:
        return x86_lma(s) ? fault_gp(f, t->selector & 0xfffc) : far_task_gate(s, t, &d, pc, f);
    case SYS_TSS16:
    case SYS_TSS32:
        return x86_lma(s) ? fault_gp(f, t->selector & 0xfffc) : far_task(s, t, t->selector, &d, pc, f);
    default:
        return fault_gp(f, t->selector & 0xfffc);
    }
}

static bool far_real(struct x86_state *s, const struct far_call *t, uint64_t *pc, struct mmu_fault *f)
{
    struct x86_stack st;

    if (t->offset > s->seg[X86_CS].limit) {
        return fault_gp(f, 0);
    }
    if (t->call) {
        x86_stack_current(s, &st);
        if (!x86_push(s, &st, t->opsize, s->seg[X86_CS].selector, f) || !x86_push(s, &st, t->opsize, t->next, f)) {
            return false;
        }
        x86_stack_commit(s, &st);
    }
    if (s->hflags & X86_MODE_VM) {
        x86_set_seg_vm(s, X86_CS, t->selector);
    } else {
        x86_set_seg_real(s, X86_CS, t->selector);
    }
    x86_update_hflags(s);
    *pc = (uint32_t)(s->seg[X86_CS].base + t->offset);
    return true;
}

static uint64_t far(struct x86_state *s, bool call, uint64_t selector, uint64_t offset, uint64_t opsize, uint64_t next)
{
    struct far_call t = { .selector = selector & 0xffff, .opsize = opsize, .offset = cut(offset, opsize), .next = next, .call = call };
    struct mmu_fault f;
    uint64_t pc;

    if (x86_prot(s) ? !far_protected(s, &t, &pc, &f) : !far_real(s, &t, &pc, &f)) {
        x86_raise_fault(s, &f);
    }
    return pc;
}

uint64_t x86_do_lcall(struct x86_state *s, uint64_t selector, uint64_t offset, uint64_t opsize, uint64_t next)
{
    return far(s, true, selector, offset, opsize, next);
}

uint64_t x86_do_ljmp(struct x86_state *s, uint64_t selector, uint64_t offset, uint64_t opsize, uint64_t next)
{
    return far(s, false, selector, offset, opsize, next);
}
