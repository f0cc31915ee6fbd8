/*
 * The builder: shared constants, folding while building, addresses, room. (That folding keeps meaning is tests/tcg/passes.c.)
 */
#include <criterion/criterion.h>

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

TestSuite(ir, .init = begin, .fini = end);

static void is_const(ir_ref v, uint64_t k)
{
    cr_assert_eq(ir.ops[v].op, IR_const, "op %s", ir_op_info[ir.ops[v].op].name);
    cr_assert_eq((uint64_t)ir.ops[v].imm, k, "%lx", (long)ir.ops[v].imm);
}

Test(ir, constants_are_shared)
{
    cr_assert_eq(ir_const(&ir, 5), ir_const(&ir, 5));
    cr_assert_neq(ir_const(&ir, 5), ir_const(&ir, 6));
    is_const(ir_const(&ir, 0), 0);
}

Test(ir, constants_fold)
{
    ir_ref a = ir_const(&ir, 0xfffffffffffffffe), b = ir_const(&ir, 3);
    is_const(ir_op2(&ir, IR_add, IR_32, a, b), 1);
    is_const(ir_op2(&ir, IR_sub, IR_32, b, a), 5);
    is_const(ir_op2(&ir, IR_mul, IR_16, a, b), 0xfffa);
    is_const(ir_zext(&ir, IR_16, a), 0xfffe);
    is_const(ir_sext(&ir, IR_32, IR_8, ir_const(&ir, 0x80)), 0xffffff80);
    is_const(ir_op2i(&ir, IR_sar, IR_8, ir_const(&ir, 0x80), 7), 0xff);
    is_const(ir_op2i(&ir, IR_ror, IR_16, ir_const(&ir, 1), 17), 0x8000);
    is_const(ir_op1(&ir, IR_clz, IR_16, ir_const(&ir, 1)), 15);
    is_const(ir_op1(&ir, IR_ctz, IR_32, ir_const(&ir, 0)), 32);
    is_const(ir_cond(&ir, IR_COND_C, ir_flags(&ir, IR_CC_CMP, IR_32, b, a, 0)), 1);
    is_const(ir_lea(&ir, IR_32, a, b, 2, 7), 17);
    is_const(ir_lea(&ir, IR_64, 0, 0, 0, -7), (uint64_t)-7);
}

Test(ir, neutral_operands)
{
    ir_ref a = ir_get(&ir, 1), low;
    cr_assert_eq(ir_op2i(&ir, IR_add, IR_64, a, 0), a);
    cr_assert_eq(ir_op2i(&ir, IR_and, IR_64, a, -1), a);
    cr_assert_eq(ir_op2i(&ir, IR_shl, IR_64, a, 64), a);
    is_const(ir_op2(&ir, IR_xor, IR_32, a, a), 0);
    low = ir_op2i(&ir, IR_or, IR_32, a, 0);          /* cuts to 32 bits all the same */
    cr_assert_eq(ir.ops[low].op, IR_zext);
    cr_assert_eq(ir_zext(&ir, IR_32, low), low);
    cr_assert_eq(ir_zext(&ir, IR_32, ir_op2i(&ir, IR_add, IR_32, a, 1)), ir.n - 1);
    cr_assert_neq(ir_zext(&ir, IR_32, a), a);
}

Test(ir, compare_with_zero_is_logic)
{
    ir_ref a = ir_get(&ir, 1), f = ir_flags(&ir, IR_CC_CMP, IR_32, a, ir_const(&ir, 0x100000000), 0);
    cr_assert_eq(ir.ops[f].sub, IR_CC_LOGIC);
    cr_assert_eq(ir.ops[f].b, 0);
    /* and no carry goes into an adc behind it */
    cr_assert_eq(ir.ops[ir_op3(&ir, IR_adc, IR_32, a, ir_get(&ir, 2), f)].op, IR_add);
}

Test(ir, addresses)
{
    ir_ref a = ir_get(&ir, 1), b = ir_get(&ir, 2), v;
    struct ir_addr at = { .base = ir_lea(&ir, IR_64, a, b, 3, 16), .disp = 8 };
    struct ir_mem m = { .size = 3 };

    v = ir_ld(&ir, at, m);
    cr_assert_eq(ir.ops[v].a, a);
    cr_assert_eq(ir.ops[v].b, b);
    cr_assert_eq(ir.ops[v].mem.scale, 3);
    cr_assert_eq(ir.ops[v].imm, 24);

    v = ir_ld(&ir, (struct ir_addr){ .base = a, .index = ir_const(&ir, 4), .scale = 1, .disp = 1 }, m);
    cr_assert_eq(ir.ops[v].b, 0);
    cr_assert_eq(ir.ops[v].imm, 9);

    v = ir_ld(&ir, (struct ir_addr){ .base = a, .disp = 0x100000000 }, m);
    cr_assert_eq(ir.ops[v].imm, 0);
    cr_assert_eq(ir.ops[ir.ops[v].a].op, IR_add);

    /* a 32-bit sum wraps: it must not go into a 64-bit address */
    v = ir_ld(&ir, (struct ir_addr){ .base = ir_lea(&ir, IR_32, a, 0, 0, 16) }, m);
    cr_assert_eq(ir.ops[v].imm, 0);
    cr_assert_eq(ir.ops[ir.ops[v].a].op, IR_lea);

    v = ir_ld(&ir, (struct ir_addr){ .disp = 0x1000 }, m);
    cr_assert_eq(ir.ops[v].a, 0);
    cr_assert_eq(ir.ops[v].imm, 0x1000);
}

Test(ir, slots_and_flags_are_forwarded)
{
    ir_ref a = ir_get(&ir, 1), r = ir_op2i(&ir, IR_add, IR_64, a, 8), f = ir_flags(&ir, IR_CC_LOGIC, IR_64, r, 0, 0), v;

    cr_assert_eq(ir_get(&ir, 1), a);
    ir_putflags(&ir, f);
    ir_put(&ir, 1, r);
    cr_assert_eq(ir_get(&ir, 1), r);
    cr_assert_eq(ir_getflags(&ir), f);
    /* the old value may be gone from its home by now: not put into the address again */
    v = ir_ld(&ir, (struct ir_addr){ .base = r }, (struct ir_mem){ .size = 3 });
    cr_assert_eq(ir.ops[v].a, r);
    ir_begin(&ir, &arena, &randir_guest);
    ir.off_mask = 1;
    cr_assert_neq(ir_get(&ir, 1), ir_get(&ir, 1));
}

Test(ir, room_runs_out)
{
    unsigned n;

    for (n = 1; ir_has_room(&ir); n++) {
        ir_insn(&ir, n, 1);
    }
    cr_assert(n >= 32 && n <= 48, "%u", n);
    ir_begin(&ir, &arena, &randir_guest);
    for (n = 0; ir_has_room(&ir); n++) {
        ir_exit_target(&ir, (struct ir_exit){ .off = 1 });
    }
    cr_assert_leq(n, 64 - 7);
    ir_begin(&ir, &arena, &randir_guest);
    for (n = 0; ir_has_room(&ir); n++) {
        ir_pcrel(&ir, 1);
    }
    for (n = 0; n < 2000; n++) {                     /* one instruction may still be long */
        ir_pcrel(&ir, 1);
    }
    cr_assert_gt(ir.n, 2000);
}
