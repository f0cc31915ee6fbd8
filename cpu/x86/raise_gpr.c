/*
 * Raising: an exception becomes pending in state.exc, the C frames on top of generated code are dropped, and x86_service()
 * delivers it (exceptions.c). Also the debug traps that become pending behind an instruction. Spec: SDM vol. 3 chapters 6 and 17.
 */
#include "cpu/x86/helpers.h"
#include "cpu/x86/sys_priv.h"

bool x86_vector_has_code(unsigned vector)
{
    return 0x27d00u >> vector & 1 && vector < 32;     /* 8, 10-14, 17 */
}

static void set_pending(struct x86_state *s, unsigned vector, bool has_code, uint32_t code, uint64_t cr2)
{
    s->exc.pending = true;
    s->exc.has_code = has_code;
    s->exc.soft = s->exc.icebp = false;
    s->exc.vector = vector;
    s->exc.code = code;
    s->exc.cr2 = cr2;
    s->exc.soft_len = 0;
}

void x86_raise(struct x86_state *s, unsigned vector, bool has_code, uint32_t code)
{
    set_pending(s, vector, has_code, code, 0);
    accel_of(s)->unwind(cpu_of(s));
}

void x86_raise_fault(struct x86_state *s, const struct mmu_fault *f)
{
    set_pending(s, f->vector, x86_vector_has_code(f->vector), f->code, f->addr);
    accel_of(s)->unwind(cpu_of(s));
}

void x86_raise_pending(struct cpu *c, const struct mmu_fault *f)
{
    set_pending(&x86_of(c)->s, f->vector, x86_vector_has_code(f->vector), f->code, f->addr);
}

void x86_trap(struct cpu *c, enum tcg_trap trap, uint64_t addr)
{
    struct x86_state *s = &x86_of(c)->s;

    (void)addr;
    switch (trap) {
    case TCG_TRAP_DIV:
        set_pending(s, X86_DE, false, 0, 0);
        break;
    case TCG_TRAP_FP_VEC:
        set_pending(s, s->cr4 & CR4_OSXMMEXCPT ? X86_XM : X86_UD, false, 0, 0);
        break;
    case TCG_TRAP_FP_X87:
        /* With CR0.NE clear a PC signals IRQ 13 through FERR# (SDM vol. 1, appendix D): the loop does it. */
        if (!(s->cr0 & CR0_NE) && x86_of(c)->ferr.set) {
            s->ferr_error = true;
        } else {
            set_pending(s, X86_MF, false, 0, 0);
        }
        break;
    case TCG_TRAP_ALIGN:
        /* Alignment checking (AM, AC, CPL 3) is #AC; what else must be aligned is #GP(0). */
        if ((s->cr0 & CR0_AM) && (s->eflags & FL_AC) && x86_cpl(s) == 3) {
            set_pending(s, X86_AC, true, 0, 0);
        } else {
            set_pending(s, X86_GP, true, 0, 0);
        }
        break;
    case TCG_TRAP_BUS:
        break;      /* a PC's bus never fails: reads give ones */
    }
}

uint64_t x86_do_raise(struct x86_state *s, uint64_t vector, uint64_t has_code, uint64_t code, uint64_t d)
{
    (void)d;
    x86_raise(s, vector, has_code, code);
}

uint64_t x86_do_raise_ud(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    x86_raise(s, X86_UD, false, 0);
}

uint64_t x86_do_raise_soft(struct x86_state *s, uint64_t vector, uint64_t len, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    /* INT n of virtual-8086 code below IOPL 3; int3 and into are exempt (SDM vol. 3, 20.3.3, without VME) */
    if ((s->hflags & X86_MODE_VM) && x86_iopl(s) < 3 && vector != X86_BP && vector != X86_OF) {
        x86_raise(s, X86_GP, true, 0);
    }
    set_pending(s, vector, false, 0, 0);
    s->exc.soft = true;
    s->exc.soft_len = len;
    accel_of(s)->unwind(cpu_of(s));
}

uint64_t x86_do_icebp(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    set_pending(s, X86_DB, false, 0, 0);
    s->exc.icebp = true;
    s->exc.soft_len = 1;
    accel_of(s)->unwind(cpu_of(s));
}

uint64_t x86_do_code_break(struct x86_state *s, uint64_t pc, uint64_t b, uint64_t c, uint64_t d)
{
    uint32_t hit = 0;

    (void)b, (void)c, (void)d;
    if (s->eflags & FL_RF) {
        s->eflags &= ~FL_RF;
        return 0;
    }
    for (unsigned i = 0; i < 4; i++) {
        if ((s->dr[7] & 3u << (i * 2)) && !(s->dr[7] >> (16 + i * 4) & 3) && s->dr[i] == pc) {
            hit |= 1u << i;
        }
    }
    if (hit) {
        s->dr[6] = (s->dr[6] & ~0xfull) | hit;
        x86_raise(s, X86_DB, false, 0);
    }
    return 0;
}

/* kind: enum tr_step of the front end: 0 no branch, 1 a branch, 2 if v, 3 unless v */
uint64_t x86_do_step(struct x86_state *s, uint64_t kind, uint64_t v, uint64_t c, uint64_t d)
{
    bool branch = kind == 1 || (kind == 2 && v) || (kind == 3 && !v);

    (void)c, (void)d;
    if (!s->step_masked && (branch || !(s->debugctl & DEBUGCTL_BTF))) {
        s->dr6_pending |= DR6_BS;
    }
    s->step_masked = false;
    return 0;
}

uint64_t x86_do_into_step(struct x86_state *s, uint64_t overflow, uint64_t len, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return overflow ? x86_do_raise_soft(s, X86_OF, len, 0, 0) : x86_do_step(s, 0, 0, 0, 0);
}
