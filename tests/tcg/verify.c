/*
 * Each rule of tcg/ir.h, broken once: the verifier names it.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/tcg/randir_util.h"

static struct arena arena;
static struct ir ir;

static void begin(void)
{
    arena_init(&arena);
    ir_begin(&ir, &arena, &randir_guest);
    ir_insn(&ir, 0, 1);
}

static void end(void) { arena_free(&arena); }

TestSuite(verify, .init = begin, .fini = end);

static void finish(void) { ir_exit_jump(&ir, ir_exit_target(&ir, (struct ir_exit){ .off = 4 })); }

static void expect(const char *text)
{
    uint32_t at;
    const char *why = ir_verify(&ir, &at);

    if (!text) {
        cr_assert_null(why, "op %u: %s", at, why);
    } else {
        cr_assert_not_null(why, "nothing found, expected: %s", text);
        cr_assert_not_null(strstr(why, text), "found '%s', expected '%s'", why, text);
    }
}

static const struct ir_mem word = { .size = 3 };

Test(verify, good)
{
    ir_put(&ir, 1, ir_get(&ir, 2));
    finish();
    expect(NULL);
}

Test(verify, no_exit)
{
    ir_put(&ir, 1, ir_get(&ir, 2));
    expect("does not end");
}

Test(verify, op_after_the_exit)
{
    finish();
    ir_put(&ir, 1, ir_const(&ir, 2));
    expect("follows the last exit");
}

Test(verify, narrow_input)
{
    ir_put(&ir, 1, ir_op2(&ir, IR_add, IR_8, ir_get(&ir, 1), ir_get(&ir, 2)));
    finish();
    expect("narrower");
}

Test(verify, used_before_made)
{
    ir_put(&ir, 1, 40);
    finish();
    expect("before it is made");
}

Test(verify, flags_as_integer)
{
    ir_put(&ir, 1, ir_getflags(&ir));
    finish();
    expect("mixed up");
}

Test(verify, integer_as_flags)
{
    ir_putflags(&ir, ir_get(&ir, 1));
    finish();
    expect("mixed up");
}

Test(verify, missing_input)
{
    ir_emit(&ir, (struct ir_op){ .op = IR_put, .w = IR_64 });
    finish();
    expect("missing");
}

Test(verify, fault_after_put)
{
    ir_put(&ir, 1, ir_get(&ir, 2));
    ir_put(&ir, 2, ir_ld(&ir, (struct ir_addr){ .base = ir_get(&ir, 3) }, word));
    finish();
    expect("after its instruction has put");
}

Test(verify, fault_after_early_put)
{
    ir_put(&ir, 1, ir_get(&ir, 2));
    ir.ops[ir.n - 1].sub = 1;
    ir_put(&ir, 2, ir_ld(&ir, (struct ir_addr){ .base = ir_get(&ir, 3) }, word));
    finish();
    expect(NULL);
}

Test(verify, fault_after_putflags)
{
    ir_putflags(&ir, ir_flags(&ir, IR_CC_LOGIC, IR_64, ir_get(&ir, 2), 0, 0));
    ir_st(&ir, (struct ir_addr){ .base = ir_get(&ir, 3) }, word, ir_const(&ir, 1));
    finish();
    expect("after its instruction has put");
}

Test(verify, hi_elsewhere)
{
    ir_ref lo = ir_op2(&ir, IR_mulu2, IR_64, ir_get(&ir, 1), ir_get(&ir, 2));
    ir_get(&ir, 3);
    ir_hi(&ir, lo);
    finish();
    expect("hi does not stand");
}

Test(verify, no_such_slot)
{
    ir_emit(&ir, (struct ir_op){ .op = IR_get, .w = IR_64, .imm = 16 });
    finish();
    expect("no such slot");
}

Test(verify, no_such_exit)
{
    ir_exit_jump(&ir, 3);
    expect("no such exit");
}

Test(verify, slot_behind_the_back)
{
    ir_stenv(&ir, IR_32, offsetof(struct randir_state, gpr[2]) + 4, ir_const(&ir, 1));
    finish();
    expect("of a slot");
}

Test(verify, flags_behind_the_back)
{
    ir_ldenv(&ir, IR_64, offsetof(struct tcg_env, cc_b));
    finish();
    expect("kept flags");
}

static uint64_t nothing(void *state, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)state, (void)a, (void)b, (void)c, (void)d;
    return 0;
}

Test(verify, chained_exit_after_a_change_of_mode)
{
    static const struct ir_helper h = { "mode", nothing, 0, true, IR_EFF_MODE };
    ir_call(&ir, &h, 0, 0, 0, 0);
    finish();
    expect("change of mode");
}

Test(verify, helper_without_result)
{
    static const struct ir_helper h = { "void", nothing, 1, false, 0 };
    ir_put(&ir, 1, ir_call(&ir, &h, ir_const(&ir, 1), 0, 0, 0));
    finish();
    expect("without a result");
}

/* ---- the dump names what is there ---- */

static void collect(void *opaque, const char *text) { g_string_append_printf(opaque, "%s\n", text); }

Test(verify, dump_is_readable)
{
    GString *s = g_string_new(NULL);
    ir_ref v = ir_ld(&ir, (struct ir_addr){ .base = ir_get(&ir, 3), .index = ir_get(&ir, 1), .scale = 2, .disp = -8 }, word);
    ir_ref r = ir_op2i(&ir, IR_add, IR_32, v, 5);
    ir_putflags(&ir, ir_flags(&ir, IR_CC_ADD, IR_32, r, ir_const(&ir, 5), 0));
    ir_put(&ir, 1, r);
    finish();
    ir_dump(&ir, collect, s);
    cr_assert_str_eq(s->str,
        "insn +0x0 (1 bytes)\n"
        "  v2   = get.64 3\n"
        "  v3   = get.64 1\n"
        "  v4   = ld.64 [v2 + v3 * 4 - 0x8].64\n"
        "  v6   = add.32 v4, $5\n"
        "  v7   = flags.32 add v6, $5\n"
        "         putflags.64 v7\n"
        "         put.64 1 v6\n"
        "         exit_jump -> +0x4\n", "%s", s->str);
    g_string_free(s, TRUE);
}
