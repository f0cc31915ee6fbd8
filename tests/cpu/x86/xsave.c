/*
 * XSAVE images: forms, components, initial states, refusals. The differential test compares what user code sees with a processor; here are
 * the parts that it cannot look at: compacted images, XSAVES, XGETBV(1), components of AVX-512 that KVM may leave behind.
 */
#include <string.h>

#include <criterion/criterion.h>

#include "tests/cpu/x86/sys_util.h"

enum { AT = 0x200000, BV = AT + 512, COMP = AT + 520, YMM = AT + 576, OPMASK = AT + 1088, ZMM = AT + 1152, PKRU = AT + 2688 };
#define COMPACT (1ull << 63)

static struct sys *t;

/* xcr0 as it may be after KVM, too: the model does not limit it. */
static struct x86_state *begin(uint64_t xcr0)
{
    t = sys_new("max");
    sys_long(t);
    t->s->xcr0 = xcr0;
    t->s->fx[0] = 0x7f, t->s->fx[1] = 3;
    t->s->mxcsr = 0x1f80;
    memset(t->ram + AT, 0xee, 4096);
    memset(t->ram + BV, 0, 64);
    return t->s;
}

static bool upper(const struct x86_state *s, unsigned reg, uint8_t value)
{
    for (unsigned i = 16; i < 32; i++) {
        if (s->vec[reg][i] != value) {
            return false;
        }
    }
    return true;
}

Test(xsave, upper_halves_in_the_standard_form)
{
    struct x86_state *s = begin(7);

    memset(s->vec[5] + 16, 0x77, 16);
    cr_assert(sys_call(t, x86_do_xsave, AT, ~0ull, 1, 0));
    cr_assert_eq(sys_get(t, BV, 8), 4, "x87 and SSE are in their initial state");
    cr_assert_eq(sys_get(t, COMP, 8), 0);
    cr_assert_eq(sys_get(t, YMM + 5 * 16, 8), 0x7777777777777777);
    cr_assert_eq(sys_get(t, YMM + 16 * 16, 8), 0xeeeeeeeeeeeeeeee, "nothing behind it is written");
    memset(s->vec[5] + 16, 0, 16);
    memset(s->vec[6] + 16, 1, 16);
    s->tcg.vec_low = 1;
    cr_assert(sys_call(t, x86_do_xrstor, AT, 4, 1, 0));
    cr_assert(upper(s, 5, 0x77) && upper(s, 6, 0));
    cr_assert_not(s->tcg.vec_low, "generated code is told that upper halves are in use");
    sys_put(t, BV, 8, 0);
    cr_assert(sys_call(t, x86_do_xrstor, AT, 4, 1, 0));
    cr_assert(upper(s, 5, 0));
    cr_assert(s->tcg.vec_low);
    sys_free(t);
}

Test(xsave, mxcsr_goes_with_avx_in_the_standard_form_only)
{
    struct x86_state *s = begin(7);

    sys_put(t, AT + 24, 4, 0x1fa3);
    cr_assert(sys_call(t, x86_do_xrstor, AT, 4, 1, 0));
    cr_assert_eq(s->mxcsr, 0x1fa3);
    sys_put(t, COMP, 8, COMPACT | 4);
    sys_put(t, AT + 24, 4, 0x1f91);
    cr_assert(sys_call(t, x86_do_xrstor, AT, 4, 1, 0));
    cr_assert_eq(s->mxcsr, 0x1fa3);
    sys_put(t, COMP, 8, 0);
    sys_put(t, AT + 24, 4, 0x10000);
    cr_assert_not(sys_call(t, x86_do_xrstor, AT, 4, 1, 0));
    cr_assert(sys_raised(t, X86_GP, 0), "a reserved bit of MXCSR");
    sys_free(t);
}

Test(xsave, compacted)
{
    struct x86_state *s = begin(0x207);

    s->mxcsr = 0x1fbf;
    s->pkru = 0x55555554;
    memset(s->vec[1] + 16, 9, 16);
    cr_assert(sys_call(t, x86_do_xsavec, AT, 0x206, 1, 0));
    cr_assert_eq(sys_get(t, COMP, 8), COMPACT | 0x206);
    cr_assert_eq(sys_get(t, BV, 8), 0x206, "MXCSR counts to SSE here");
    cr_assert_eq(sys_get(t, YMM + 256, 8), 0x55555554, "PKRU follows AVX");
    cr_assert_eq(sys_get(t, AT, 8), 0xeeeeeeeeeeeeeeee, "x87 was not asked for");
    s->mxcsr = 0x1f80;
    s->pkru = 0;
    memset(s->vec[1] + 16, 0, 16);
    cr_assert(sys_call(t, x86_do_xrstor, AT, ~0ull, 1, 0));
    cr_assert(upper(s, 1, 9) && s->mxcsr == 0x1fbf && s->pkru == 0x55555554);
    /* nothing of AVX: PKRU moves up, and a component that is in its initial state is not written */
    memset(s->vec[1] + 16, 0, 16);
    cr_assert(sys_call(t, x86_do_xsavec, AT, 0x204, 1, 0));
    cr_assert_eq(sys_get(t, BV, 8), 0x200);
    cr_assert(sys_call(t, x86_do_xsavec, AT, 0x200, 1, 0));
    cr_assert_eq(sys_get(t, YMM, 8), 0x55555554);
    sys_free(t);
}

Test(xsave, headers_are_checked)
{
    static const struct { uint64_t bv, comp, rest; } bad[] = {
        { 8, 0, 0 }, { 1ull << 62, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 }, { 4, COMPACT | 3, 0 }, { 0, COMPACT | 8, 0 }, { 0, COMPACT, 1 },
    };

    begin(7);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        sys_put(t, BV, 8, bad[i].bv);
        sys_put(t, COMP, 8, bad[i].comp);
        sys_put(t, AT + 528, 8, bad[i].rest);
        cr_assert_not(sys_call(t, x86_do_xrstor, AT, ~0ull, 1, 0), "row %u", i);
        cr_assert(sys_raised(t, X86_GP, 0));
    }
    sys_put(t, AT + 528, 8, 0);
    sys_put(t, BV, 8, 0);
    sys_put(t, COMP, 8, 0);
    cr_assert_not(sys_call(t, x86_do_xrstors, AT, ~0ull, 1, 0), "XRSTORS takes compacted images only");
    cr_assert(sys_raised(t, X86_GP, 0));
    sys_put(t, COMP, 8, COMPACT | 7);
    cr_assert(sys_call(t, x86_do_xrstors, AT, ~0ull, 1, 0));
    sys_user(t, 0x100000);
    cr_assert_not(sys_call(t, x86_do_xsaves, AT, ~0ull, 1, 0), "privileged");
    cr_assert(sys_raised(t, X86_GP, 0));
    sys_free(t);
}

Test(xsave, xgetbv_1_names_what_is_in_use)
{
    struct x86_state *s = begin(7);

    cr_assert(sys_call(t, x86_do_xgetbv, 1, 0, 0, 0));
    cr_assert_eq(t->result, 0);
    s->mxcsr = 0x1f81;
    memset(s->vec[15] + 31, 1, 1);
    cr_assert(sys_call(t, x86_do_xgetbv, 1, 0, 0, 0));
    cr_assert_eq(t->result, 6);
    cr_assert(sys_call(t, x86_do_xgetbv, 0, 0, 0, 0));
    cr_assert_eq(t->result, 7);
    cr_assert_not(sys_call(t, x86_do_xgetbv, 2, 0, 0, 0));
    cr_assert(sys_raised(t, X86_GP, 0));
    sys_free(t);
}

Test(xsave, avx512_state_of_a_cpu_from_kvm)
{
    struct x86_state *s = begin(0xe7);

    s->opmask[3] = 0x1234;
    memset(s->vec[2] + 32, 3, 32);
    memset(s->vec[31], 7, 64);
    cr_assert(sys_call(t, x86_do_xsave, AT, ~0ull, 1, 0));
    cr_assert_eq(sys_get(t, BV, 8), 0xe0);
    cr_assert_eq(sys_get(t, OPMASK + 24, 8), 0x1234);
    cr_assert_eq(sys_get(t, ZMM + 64, 8), 0x0303030303030303);
    cr_assert_eq(sys_get(t, AT + 1664 + 15 * 64 + 56, 8), 0x0707070707070707);
    cr_assert_eq(x86_xsave_size(0xe7, false), 2688);
    cr_assert_eq(x86_xsave_size(0x2e7, false), 2696);
    cr_assert_eq(x86_xsave_size(0x207, true), 840);
    s->opmask[3] = 0;
    memset(s->vec[31], 0, 64);
    cr_assert(sys_call(t, x86_do_xrstor, AT, ~0ull, 1, 0));
    cr_assert_eq(s->opmask[3], 0x1234);
    cr_assert_eq(s->vec[31][63], 7);
    cr_assert_eq(t->x->xcr0_mask & 0xe0, 0, "and none of it is offered");
    sys_free(t);
}
