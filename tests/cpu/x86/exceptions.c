/* Delivery of exceptions and interrupts in every mode, and the ways back. SDM vol. 3 chapter 6. */
#include <string.h>

#include <criterion/criterion.h>

#include "tests/cpu/x86/sys_util.h"

static struct sys *t;

static void deliver(unsigned vector, bool has_code, uint32_t code)
{
    t->s->exc = (struct x86_exception){ .pending = true, .vector = vector, .has_code = has_code, .code = code, .cr2 = 0xdead000 };
    x86_service(&t->x->cpu);
}

static void soft(unsigned vector, unsigned len)
{
    cr_assert_not(sys_call(t, x86_do_raise_soft, vector, len, 0, 0));
    cr_assert(t->s->exc.pending);
}

static uint64_t q(unsigned n) { return sys_get(t, t->s->gpr[X86_RSP] + n * 8, 8); }
static uint64_t d(unsigned n) { return sys_get(t, t->s->gpr[X86_RSP] + n * 4, 4); }
static uint64_t w(unsigned n) { return sys_get(t, t->s->seg[X86_SS].base + (t->s->gpr[X86_RSP] & 0xffff) + n * 2, 2); }

Test(exceptions, long_mode_from_user)
{
    t = sys_new("max");
    sys_long(t);
    sys_gate(t, X86_PF, SEL_CODE64, 0xffff800000001234, SYS_INT32, 0, 0);
    sys_user(t, 0x401000);
    x86_set_eflags(t->s, FL_IF | FL_TF | X86_FL_C | X86_FL_Z | 2, ~0ull);
    deliver(X86_PF, true, 6);
    cr_assert_eq(t->s->env.pc, 0xffff800000001234);
    cr_assert_eq(t->s->cr2, 0xdead000);
    cr_assert_eq(x86_cpl(t->s), 0);
    cr_assert_eq(t->s->gpr[X86_RSP], SYS_STACK0 - 48);
    cr_assert_eq(q(0), 6);
    cr_assert_eq(q(1), 0x401000);
    cr_assert_eq(q(2), SEL_UCODE64);
    cr_assert_eq(q(3), FL_IF | FL_TF | FL_RF | X86_FL_C | X86_FL_Z | 2);
    cr_assert_eq(q(4), SYS_STACK3);
    cr_assert_eq(q(5), SEL_UDATA);
    cr_assert_eq(t->s->seg[X86_SS].selector, 0);
    cr_assert_not(t->s->eflags & (FL_IF | FL_TF));

    /* and back */
    t->s->gpr[X86_RSP] += 8;
    cr_assert(sys_call(t, x86_do_iret, 8, 0, 0, 0));
    cr_assert_eq(t->result, 0x401000);
    cr_assert_eq(x86_cpl(t->s), 3);
    cr_assert(x86_code64(t->s));
    cr_assert_eq(t->s->gpr[X86_RSP], SYS_STACK3);
    cr_assert_eq(t->s->seg[X86_SS].selector, SEL_UDATA);
    cr_assert_eq(x86_eflags(t->s), FL_IF | FL_TF | FL_RF | X86_FL_C | X86_FL_Z | 2);
    sys_free(t);
}

Test(exceptions, long_mode_same_level_and_ist)
{
    t = sys_new("max");
    sys_long(t);
    sys_gate(t, X86_GP, SEL_CODE64, 0x5000, SYS_TRAP32, 0, 0);
    sys_gate(t, X86_UD, SEL_CODE64, 0x6000, SYS_INT32, 0, 1);
    t->s->gpr[X86_RSP] = SYS_STACK0 - 0x105;
    t->s->eflags |= FL_IF;
    deliver(X86_GP, true, 0x18);
    cr_assert_eq(t->s->gpr[X86_RSP], (SYS_STACK0 - 0x110) - 48, "aligned to 16");
    cr_assert_eq(q(4), SYS_STACK0 - 0x105);
    cr_assert_eq(t->s->seg[X86_SS].selector, SEL_DATA);
    cr_assert(t->s->eflags & FL_IF, "trap gate");
    deliver(X86_UD, false, 0);
    cr_assert_eq(t->s->gpr[X86_RSP], SYS_IST1 - 40);
    cr_assert_eq(q(0), 0x5000);
    cr_assert(sys_call(t, x86_do_iret, 8, 0, 0, 0));
    cr_assert_eq(t->result, 0x5000);
    cr_assert_eq(t->s->gpr[X86_RSP], (SYS_STACK0 - 0x110) - 48);
    sys_free(t);
}

Test(exceptions, software_interrupts)
{
    t = sys_new("max");
    sys_long(t);
    sys_gate(t, 0x80, SEL_CODE64, 0x5000, SYS_INT32, 3, 0);
    sys_gate(t, 0x81, SEL_CODE64, 0x6000, SYS_INT32, 0, 0);
    sys_gate(t, X86_GP, SEL_CODE64, 0x7000, SYS_INT32, 0, 0);
    sys_user(t, 0x401000);
    soft(0x80, 2);
    x86_service(&t->x->cpu);
    cr_assert_eq(t->s->env.pc, 0x5000);
    cr_assert_eq(q(0), 0x401002);
    cr_assert_not(q(2) & FL_RF);
    sys_user(t, 0x401000);
    soft(0x81, 2);
    x86_service(&t->x->cpu);
    cr_assert_eq(t->s->env.pc, 0x7000, "gate DPL 0 from CPL 3 is #GP");
    cr_assert_eq(q(0), 0x81 * 8 + 2, "without EXT");
    cr_assert_eq(q(1), 0x401000);
    sys_free(t);
}

Test(exceptions, double_and_triple_fault)
{
    t = sys_new("max");
    sys_long(t);
    sys_gate(t, X86_DF, SEL_CODE64, 0x8000, SYS_INT32, 0, 1);
    deliver(X86_GP, true, 0);                 /* no #GP gate: #GP while delivering #GP */
    cr_assert_eq(t->s->env.pc, 0x8000);
    cr_assert_eq(q(0), 0);
    cr_assert_eq(q(1), 0x100000);
    t->s->idt.limit = 0x7f;
    deliver(X86_PF, true, 0);
    cr_assert(t->s->shutdown);
    cr_assert(atomic_load(&t->x->cpu.halted));
    cr_assert_not(x86_wakes(&t->x->cpu));
    sys_free(t);
}

Test(exceptions, benign_first_is_handled_in_turn)
{
    t = sys_new("max");
    sys_long(t);
    sys_gate(t, X86_NP, SEL_CODE64, 0x9000, SYS_INT32, 0, 0);
    sys_gate(t, X86_UD, SEL_CODE64, 0x9000, SYS_INT32, 0, 0);
    sys_put(t, SYS_IDT + X86_UD * 16 + 4, 4, SYS_INT32 << 8);      /* not present */
    deliver(X86_UD, false, 0);
    cr_assert_eq(t->s->env.pc, 0x9000);
    cr_assert_eq(q(0), X86_UD * 8 + 2 + 1);
    sys_free(t);
}

Test(exceptions, real_mode)
{
    t = sys_new("max");
    struct x86_state *s = t->s;
    x86_set_seg_real(s, X86_CS, 0x1000);
    x86_set_seg_real(s, X86_SS, 0x2000);
    s->idt = (struct x86_table){ 0, 0x3ff };
    s->gpr[X86_RSP] = 0xabcd0002;
    s->eflags |= FL_IF;
    s->env.pc = 0x10123;
    x86_update_hflags(s);
    sys_put(t, 0x21 * 4, 4, 0x3000 << 16 | 0x0456);
    soft(0x21, 2);
    x86_service(&t->x->cpu);
    cr_assert_eq(s->env.pc, 0x30456);
    cr_assert_eq(s->seg[X86_CS].selector, 0x3000);
    cr_assert_eq(s->gpr[X86_RSP], 0xabcdfffc, "sp wraps in 16 bits");
    cr_assert_eq(w(0), 0x0125);
    cr_assert_eq(w(1), 0x1000);
    cr_assert_eq(sys_get(t, 0x20000, 2), FL_IF | 2);
    cr_assert_not(s->eflags & FL_IF);
    s->eflags |= FL_IF;
    sys_put(t, 0x20000, 2, FL_IF | X86_FL_C | 2);
    cr_assert(sys_call(t, x86_do_iret, 2, 0, 0, 0));
    cr_assert_eq(t->result, 0x10125);
    cr_assert_eq(x86_eflags(s), FL_IF | X86_FL_C | 2);
    sys_free(t);
}

Test(exceptions, protected_inner_and_back)
{
    t = sys_new("max");
    sys_protected(t);
    sys_gate(t, X86_NP, SEL_CODE32, 0x5000, SYS_INT32, 0, 0);
    sys_user(t, 0x401000);
    deliver(X86_NP, true, 0x50);
    cr_assert_eq(t->s->env.pc, 0x5000);
    cr_assert_eq(t->s->gpr[X86_RSP], SYS_STACK0 - 24);
    cr_assert_eq(d(0), 0x50);
    cr_assert_eq(d(1), 0x401000);
    cr_assert_eq(d(2), SEL_UCODE32);
    cr_assert_eq(d(4), SYS_STACK3);
    cr_assert_eq(d(5), SEL_UDATA);
    cr_assert_eq(t->s->seg[X86_SS].selector, SEL_DATA);
    t->s->seg[X86_ES] = t->s->seg[X86_SS];
    t->s->gpr[X86_RSP] += 4;
    cr_assert(sys_call(t, x86_do_iret, 4, 0, 0, 0));
    cr_assert_eq(t->result, 0x401000);
    cr_assert_eq(x86_cpl(t->s), 3);
    cr_assert(t->s->seg[X86_ES].unusable, "an inner data segment is dropped");
    cr_assert_eq(t->s->seg[X86_DS].selector, SEL_UDATA);
    sys_free(t);
}

Test(exceptions, virtual_8086)
{
    static const uint8_t order[] = { X86_SS, X86_ES, X86_DS, X86_FS, X86_GS };
    t = sys_new("max");
    struct x86_state *s = t->s;
    sys_protected(t);
    sys_gate(t, X86_GP, SEL_CODE32, 0x5000, SYS_INT32, 0, 0);
    /* IRET to it */
    uint32_t frame[] = { 0x0100, 0x1000, FL_VM | FL_IF | 2, 0xfff0, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000 };
    s->gpr[X86_RSP] = 0x70000;
    for (unsigned i = 0; i < 9; i++) {
        sys_put(t, 0x70000 + i * 4, 4, frame[i]);
    }
    cr_assert(sys_call(t, x86_do_iret, 4, 0, 0, 0));
    cr_assert_eq(t->result, 0x10100);
    cr_assert(s->hflags & X86_MODE_VM);
    cr_assert_eq(x86_cpl(s), 3);
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_eq(s->seg[order[i]].base, (uint64_t)frame[4 + i] << 4);
    }
    s->env.pc = t->result;
    /* INT n below IOPL 3 */
    cr_assert_not(sys_call(t, x86_do_raise_soft, 0x21, 2, 0, 0));
    x86_service(&t->x->cpu);
    cr_assert_eq(s->env.pc, 0x5000);
    cr_assert_not(s->hflags & X86_MODE_VM);
    cr_assert_eq(s->gpr[X86_RSP], SYS_STACK0 - 40);
    cr_assert_eq(d(0), 0);
    cr_assert_eq(d(1), 0x100);
    cr_assert_eq(d(2), 0x1000);
    cr_assert_eq(d(3), FL_VM | FL_IF | FL_RF | 2);
    cr_assert_eq(d(4), 0xfff0);
    cr_assert_eq(d(5), 0x2000);
    cr_assert_eq(d(6), 0x3000);
    cr_assert_eq(d(9), 0x6000);
    cr_assert(s->seg[X86_DS].unusable);
    sys_free(t);
}

Test(exceptions, syscall_and_sysret)
{
    t = sys_new("max");
    struct x86_state *s = t->s;
    sys_long(t);
    s->star = (uint64_t)(SEL_UCODE32 & ~3) << 48 | (uint64_t)SEL_CODE32 << 32;
    s->lstar = 0xffffffff81000000;
    s->fmask = FL_IF | FL_TF | FL_DF;
    sys_user(t, 0x401000);
    x86_set_eflags(s, FL_IF | FL_DF | X86_FL_C | 2, ~0ull);
    cr_assert(sys_call(t, x86_do_syscall, 0x401002, 0, 0, 0));
    cr_assert_eq(t->result, 0xffffffff81000000);
    cr_assert_eq(s->gpr[X86_RCX], 0x401002);
    cr_assert_eq(s->gpr[X86_R11], FL_IF | FL_DF | X86_FL_C | 2);
    cr_assert_eq(x86_eflags(s), X86_FL_C | 2);
    cr_assert_eq(x86_cpl(s), 0);
    cr_assert(x86_code64(s));
    cr_assert_eq(s->seg[X86_SS].selector, SEL_CODE32 + 8);
    cr_assert(sys_call(t, x86_do_sysret, 8, 0, 0, 0));
    cr_assert_eq(t->result, 0x401002);
    cr_assert_eq(x86_cpl(s), 3);
    cr_assert_eq(s->seg[X86_CS].selector, SEL_UCODE64);
    cr_assert_eq(s->seg[X86_SS].selector, SEL_UDATA);
    cr_assert_eq(x86_eflags(s), FL_IF | FL_DF | X86_FL_C | 2);
    cr_assert_not(sys_call(t, x86_do_sysret, 8, 0, 0, 0));
    cr_assert(sys_raised(t, X86_GP, 0));
    sys_free(t);
}

Test(exceptions, sysenter_and_sysexit)
{
    t = sys_new("max");
    struct x86_state *s = t->s;
    sys_long(t);
    s->sysenter_cs = SEL_CODE32;
    s->sysenter_esp = 0xffff888000001000;
    s->sysenter_eip = 0xffffffff81001000;
    sys_user(t, 0x401000);
    cr_assert(sys_call(t, x86_do_sysenter, 0, 0, 0, 0));
    cr_assert_eq(t->result, 0xffffffff81001000);
    cr_assert_eq(s->gpr[X86_RSP], 0xffff888000001000);
    cr_assert(x86_code64(s) && x86_cpl(s) == 0);
    s->gpr[X86_RDX] = 0x12345678;
    s->gpr[X86_RCX] = 0xa0000;
    cr_assert(sys_call(t, x86_do_sysexit, 4, 0, 0, 0));
    cr_assert_eq(t->result, 0x12345678);
    cr_assert_eq(s->seg[X86_CS].selector, SEL_CODE32 + 16 + 3);
    cr_assert(!x86_code64(s) && x86_cpl(s) == 3);
    sys_free(t);
}

Test(exceptions, debug_trap_and_shadow)
{
    t = sys_new("max");
    sys_long(t);
    sys_gate(t, X86_DB, SEL_CODE64, 0x5000, SYS_INT32, 0, 0);
    cr_assert(sys_call(t, x86_do_step, 0, 0, 0, 0));
    struct tcg_key key;
    x86_key(t->s, &key);
    cr_assert(key.mode & X86_MODE_EVENT);
    t->s->shadow = t->s->shadow_ss = true;
    x86_service(&t->x->cpu);
    cr_assert_eq(t->s->env.pc, 0x100000, "held behind mov ss");
    t->s->shadow = t->s->shadow_ss = false;
    x86_service(&t->x->cpu);
    cr_assert_eq(t->s->env.pc, 0x5000);
    cr_assert_eq(t->s->dr[6], DR6_FIXED | DR6_BS);
    cr_assert_eq(q(0), 0x100000);
    cr_assert_not(q(2) & FL_RF);
    sys_free(t);
}

Test(exceptions, nmi_is_masked_until_iret)
{
    t = sys_new("max");
    sys_long(t);
    sys_gate(t, X86_NMI, SEL_CODE64, 0x5000, SYS_INT32, 0, 0);
    cpu_request(&t->x->cpu, CPU_REQ_NMI);
    x86_service(&t->x->cpu);
    cr_assert_eq(t->s->env.pc, 0x5000);
    cpu_request(&t->x->cpu, CPU_REQ_NMI);
    x86_service(&t->x->cpu);
    cr_assert_eq(t->s->env.pc, 0x5000);
    cr_assert_eq(q(0), 0x100000);
    cr_assert(sys_call(t, x86_do_iret, 8, 0, 0, 0));
    cr_assert_eq(t->result, 0x100000);
    t->s->env.pc = t->result;
    x86_service(&t->x->cpu);
    cr_assert_eq(t->s->env.pc, 0x5000, "the second one came after IRET");
    sys_free(t);
}

Test(exceptions, xsave_images)
{
    t = sys_new("max");
    struct x86_state *s = t->s;
    sys_long(t);
    s->xcr0 = 3;
    s->fx[0] = 0x7f, s->fx[1] = 3;
    s->mxcsr = 0x1fa0;
    memset(s->vec[3], 0x5a, 16);
    memset(t->ram + 0x200000, 0xee, 1024);
    memset(t->ram + 0x200200, 0, 64);
    cr_assert(sys_call(t, x86_do_xsave, 0x200000, ~0ull, 1, 0));
    cr_assert_eq(sys_get(t, 0x200200, 8), 2, "x87 is in its initial state, SSE is not");
    cr_assert_eq(sys_get(t, 0x200000 + 160 + 48, 8), 0x5a5a5a5a5a5a5a5a);
    cr_assert_eq(sys_get(t, 0x200018, 4), 0x1fa0);
    memset(s->vec[3], 0, 16);
    memset(s->vec[4], 1, 16);
    s->mxcsr = 0x1f80;
    s->fx[4] = 0xff;
    cr_assert(sys_call(t, x86_do_xrstor, 0x200000, ~0ull, 1, 0));
    cr_assert_eq(s->vec[3][0], 0x5a);
    cr_assert_eq(s->vec[4][0], 0);
    cr_assert_eq(s->fx[4], 0);
    cr_assert_eq(s->mxcsr, 0x1fa0);
    cr_assert_not(sys_call(t, x86_do_xrstor, 0x200008, ~0ull, 1, 0));
    cr_assert(sys_raised(t, X86_GP, 0));
    sys_put(t, 0x200200, 8, 1ull << 5);
    cr_assert_not(sys_call(t, x86_do_xrstor, 0x200000, ~0ull, 1, 0));
    cr_assert(sys_raised(t, X86_GP, 0));
    sys_free(t);
}
