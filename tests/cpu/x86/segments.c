/* Segment loads, gates, far transfers, task switches. SDM vol. 3 chapters 3, 5, 8. */
#include <criterion/criterion.h>

#include "tests/cpu/x86/sys_util.h"

static struct sys *t;

static bool load(unsigned seg, unsigned selector) { return sys_call(t, x86_do_load_seg, seg, selector, 0, 0); }

Test(segments, data_loads)
{
    t = sys_new("max");
    sys_protected(t);
    sys_desc(t, SEL_FREE, 0x123000, 0xfff, 0x092);
    cr_assert(load(X86_DS, SEL_FREE));
    cr_assert_eq(t->s->seg[X86_DS].base, 0x123000);
    cr_assert_eq(t->s->seg_base[X86_DS], 0x123000);
    cr_assert_eq(t->s->seg[X86_DS].limit, 0xfff);
    cr_assert_eq(sys_get(t, SYS_GDT + SEL_FREE + 5, 1), 0x93, "accessed bit is set");
    cr_assert(t->s->hflags & X86_MODE_DS_BASED);
    cr_assert(load(X86_DS, 0));
    cr_assert(t->s->seg[X86_DS].unusable);
    cr_assert_not(load(X86_DS, 0x100));
    cr_assert(sys_raised(t, X86_GP, 0x100));
    cr_assert_not(load(X86_DS, SEL_TSS));
    cr_assert(sys_raised(t, X86_GP, SEL_TSS));
    sys_desc(t, SEL_FREE, 0, 0xfff, 0x012);
    cr_assert_not(load(X86_ES, SEL_FREE));
    cr_assert(sys_raised(t, X86_NP, SEL_FREE));
    sys_desc(t, SEL_FREE, 0, 0xfff, 0x098);      /* execute-only */
    cr_assert_not(load(X86_ES, SEL_FREE));
    cr_assert(sys_raised(t, X86_GP, SEL_FREE));
    cr_assert_not(load(X86_FS, 0x0c));           /* no LDT */
    cr_assert(sys_raised(t, X86_GP, 0x0c));
    sys_user(t, 0x1000);
    cr_assert_not(load(X86_DS, SEL_DATA));
    cr_assert(sys_raised(t, X86_GP, SEL_DATA));
    sys_free(t);
}

Test(segments, stack_loads)
{
    t = sys_new("max");
    sys_protected(t);
    cr_assert_not(load(X86_SS, 0));
    cr_assert(sys_raised(t, X86_GP, 0));
    cr_assert_not(load(X86_SS, SEL_UDATA));
    cr_assert(sys_raised(t, X86_GP, SEL_UDATA & ~3));
    sys_desc(t, SEL_FREE, 0, 0xfff, 0x013);
    cr_assert_not(load(X86_SS, SEL_FREE));
    cr_assert(sys_raised(t, X86_SS_FAULT, SEL_FREE));
    sys_desc(t, SEL_FREE, 0, 0xfff, 0x093);
    cr_assert(load(X86_SS, SEL_FREE));
    cr_assert_not(t->s->hflags & X86_MODE_SS32);
    sys_free(t);
}

Test(segments, null_stack_in_64_bit_mode)
{
    t = sys_new("max");
    sys_long(t);
    cr_assert(load(X86_SS, 0));
    cr_assert_eq(x86_cpl(t->s), 0);
    sys_user(t, 0x1000);
    cr_assert_not(load(X86_SS, 0));
    cr_assert(sys_raised(t, X86_GP, 0));
    cr_assert(load(X86_FS, 0));
    cr_assert_eq(t->s->seg_base_fs, 0);
    sys_free(t);
}

Test(segments, lar_lsl_ver)
{
    t = sys_new("max");
    sys_protected(t);
    sys_desc(t, SEL_FREE, 0, 0x12345, 0x891);      /* read-only data, 4 KiB pages */
    cr_assert(sys_call(t, x86_do_lar, SEL_FREE, 0, 0, 0));
    cr_assert_eq(t->result, 0x100809100);      /* G, type 91h; ZF in bit 32 */
    cr_assert(sys_call(t, x86_do_lsl, SEL_FREE, 0, 0, 0));
    cr_assert_eq(t->result, 0x112345fff);
    cr_assert(sys_call(t, x86_do_verr, SEL_FREE, 0, 0, 0));
    cr_assert_eq(t->result, 1);
    cr_assert(sys_call(t, x86_do_verw, SEL_FREE, 0, 0, 0));
    cr_assert_eq(t->result, 0);
    cr_assert(sys_call(t, x86_do_lar, SEL_FREE | 3, 0, 0, 0));
    cr_assert_eq(t->result, 0, "RPL 3 may not see DPL 0");
    cr_assert(sys_call(t, x86_do_lsl, 0x1000, 0, 0, 0));
    cr_assert_eq(t->result, 0);
    cr_assert(sys_call(t, x86_do_arpl, 0x1230, 3, 0, 0));
    cr_assert_eq(t->result, 0x100001233);
    sys_free(t);
}

Test(segments, far_jump_and_call)
{
    t = sys_new("max");
    sys_protected(t);
    sys_desc(t, SEL_FREE, 0x200000, 0xffff, 0x49a);
    cr_assert(sys_call(t, x86_do_ljmp, SEL_FREE, 0x1234, 4, 0));
    cr_assert_eq(t->result, 0x201234);
    cr_assert(t->s->hflags & X86_MODE_CS_BASED);
    cr_assert_not(sys_call(t, x86_do_ljmp, SEL_FREE, 0x10000, 4, 0));
    cr_assert(sys_raised(t, X86_GP, 0));
    cr_assert(sys_call(t, x86_do_lcall, SEL_CODE32, 0x5000, 4, 0x1239));
    cr_assert_eq(t->result, 0x5000);
    cr_assert_eq(sys_get(t, t->s->gpr[X86_RSP], 4), 0x1239);
    cr_assert_eq(sys_get(t, t->s->gpr[X86_RSP] + 4, 4), SEL_FREE);
    cr_assert(sys_call(t, x86_do_lret, 4, 0, 0, 0));
    cr_assert_eq(t->result, 0x201239);
    cr_assert_eq(t->s->gpr[X86_RSP], SYS_STACK0 - 0x100);
    cr_assert_not(sys_call(t, x86_do_ljmp, SEL_UCODE32, 0, 4, 0));
    cr_assert(sys_raised(t, X86_GP, SEL_UCODE32 & ~3));
    sys_free(t);
}

Test(segments, entering_64_bit_mode)
{
    t = sys_new("max");
    sys_long(t);
    x86_set_seg(t->s, X86_CS, SEL_CODE32, 0, 0xffffffff, 0xc9b, false);
    x86_update_hflags(t->s);
    cr_assert_not(x86_code64(t->s));
    cr_assert(sys_call(t, x86_do_ljmp, SEL_CODE64, 0x123456, 4, 0));
    cr_assert(x86_code64(t->s));
    cr_assert_eq(t->result, 0x123456);
    sys_free(t);
}

Test(segments, call_gate_to_inner_level)
{
    t = sys_new("max");
    sys_protected(t);
    sys_put(t, SYS_GDT + SEL_FREE, 8, 0x5000ull | (uint64_t)SEL_CODE32 << 16 | 2ull << 32 | 0xecull << 40);   /* 2 parameters, DPL 3 */
    sys_user(t, 0x401000);
    sys_put(t, SYS_STACK3, 4, 0x11111111);
    sys_put(t, SYS_STACK3 + 4, 4, 0x22222222);
    cr_assert(sys_call(t, x86_do_lcall, SEL_FREE | 3, 0xdddd, 4, 0x401007));
    cr_assert_eq(t->result, 0x5000);
    cr_assert_eq(x86_cpl(t->s), 0);
    uint64_t sp = t->s->gpr[X86_RSP];
    cr_assert_eq(sp, SYS_STACK0 - 24);
    cr_assert_eq(sys_get(t, sp, 4), 0x401007);
    cr_assert_eq(sys_get(t, sp + 4, 4), SEL_UCODE32);
    cr_assert_eq(sys_get(t, sp + 8, 4), 0x11111111);
    cr_assert_eq(sys_get(t, sp + 12, 4), 0x22222222);
    cr_assert_eq(sys_get(t, sp + 16, 4), SYS_STACK3);
    cr_assert_eq(sys_get(t, sp + 20, 4), SEL_UDATA);
    cr_assert(sys_call(t, x86_do_lret, 4, 8, 0, 0));
    cr_assert_eq(t->result, 0x401007);
    cr_assert_eq(x86_cpl(t->s), 3);
    cr_assert_eq(t->s->gpr[X86_RSP], SYS_STACK3 + 8);
    sys_free(t);
}

Test(segments, task_call_and_return)
{
    static const struct { unsigned at; uint32_t v; } image[] = {
        { 32, 0x7000 }, { 36, 0x202 }, { 40, 0xaaaa }, { 56, 0x60000 }, { 72, SEL_DATA }, { 76, SEL_CODE32 }, { 80, SEL_DATA }, { 84, SEL_DATA },
    };
    t = sys_new("max");
    struct x86_state *s = t->s;
    sys_protected(t);
    sys_desc(t, SEL_TSS, SYS_TSS, 0x2067, 0x08b);
    sys_desc(t, SEL_FREE, SYS_TSS2, 0x67, 0x089);
    for (unsigned i = 0; i < sizeof(image) / sizeof(image[0]); i++) {
        sys_put(t, SYS_TSS2 + image[i].at, 4, image[i].v);
    }
    s->gpr[X86_RAX] = 0x5555;
    cr_assert(sys_call(t, x86_do_lcall, SEL_FREE, 0, 4, 0x100007));
    cr_assert_eq(t->result, 0x7000);
    cr_assert_eq(s->gpr[X86_RAX], 0xaaaa);
    cr_assert_eq(s->gpr[X86_RSP], 0x60000);
    cr_assert_eq(x86_eflags(s), FL_NT | 0x202);
    cr_assert_eq(s->tr.selector, SEL_FREE);
    cr_assert(s->cr0 & CR0_TS);
    cr_assert_eq(sys_get(t, SYS_TSS2, 2), SEL_TSS, "link");
    cr_assert_eq(sys_get(t, SYS_TSS + 32, 4), 0x100007);
    cr_assert_eq(sys_get(t, SYS_TSS + 40, 4), 0x5555);
    cr_assert_eq(sys_get(t, SYS_GDT + SEL_FREE + 5, 1), 0x8b, "busy");
    cr_assert(sys_call(t, x86_do_iret, 4, 0x7003, 0, 0));
    cr_assert_eq(t->result, 0x100007);
    cr_assert_eq(s->gpr[X86_RAX], 0x5555);
    cr_assert_eq(s->tr.selector, SEL_TSS);
    cr_assert_eq(sys_get(t, SYS_GDT + SEL_FREE + 5, 1), 0x89);
    cr_assert_eq(sys_get(t, SYS_TSS2 + 32, 4), 0x7003);
    cr_assert_not(sys_get(t, SYS_TSS2 + 36, 4) & FL_NT);
    sys_free(t);
}

Test(segments, ltr_in_long_mode)
{
    t = sys_new("max");
    sys_long(t);
    sys_put(t, SYS_GDT + SEL_TSS + 8, 8, 0xffff8880);
    cr_assert(sys_call(t, x86_do_ltr, SEL_TSS, 0, 0, 0));
    cr_assert_eq(t->s->tr.base, 0xffff888000003000);
    cr_assert_not(sys_call(t, x86_do_ltr, SEL_TSS, 0, 0, 0));
    cr_assert(sys_raised(t, X86_GP, SEL_TSS), "busy now");
    sys_free(t);
}

Test(segments, popf_by_privilege)
{
    t = sys_new("max");
    sys_long(t);
    t->s->eflags |= FL_IF;
    sys_user(t, 0x1000);
    cr_assert(sys_call(t, x86_do_popf, FL_IOPL | X86_FL_C | FL_AC, 8, 0, 0));
    cr_assert_eq(x86_eflags(t->s), FL_IF | X86_FL_C | FL_AC | 2, "IF and IOPL are not CPL 3's to change");
    cr_assert_not(sys_call(t, x86_do_cli_slow, 0, 0, 0, 0));
    cr_assert(sys_raised(t, X86_GP, 0));
    sys_free(t);
}
