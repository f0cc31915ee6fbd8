/*
 * Memory accesses off one base that share a TLB check: what they load and store, slow paths between them, pages that the span
 * crosses, faults.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/tcg/x86_64/backend_util.h"

static struct arena arena;
static struct ir ir;
static struct randir_state s;
static uint8_t ram[RANDIR_RAM] __attribute__((aligned(4096)));

static void begin(void)
{
    arena_init(&arena);
    bt_open();
    randir_state_init(&s, ram, 7);
    s.env.cc_op = IR_CC_EFLAGS;
    s.env.cc_a = 0;
    for (unsigned k = 0; k < RANDIR_RAM; k++)
        ram[k] = (uint8_t)(k * 7 + (k >> 8));
}

static void end(void) { arena_free(&arena); }

TestSuite(groups, .init = begin, .fini = end);

static const struct ir_mem wide = { .size = 3 };

/* slots 0, 1, 2 = [slot 8 + 0, 8, 16]; [slot 8 + 24] = slot 3 */
static struct tcg_code three_and_one(void)
{
    ir_ref base, v;
    uint32_t at;

    arena_reset(&arena);
    ir_begin(&ir, &arena, &randir_guest);
    for (unsigned k = 0; k < 3; k++) {
        ir_insn(&ir, 0x10 + k, 1);
        base = ir_get(&ir, 8);
        v = ir_ld(&ir, (struct ir_addr){ .base = base, .disp = 8 * k }, wide);
        ir_put(&ir, k, v);
    }
    ir_insn(&ir, 0x13, 1);
    ir_st(&ir, (struct ir_addr){ .base = ir_get(&ir, 8), .disp = 24 }, wide, ir_get(&ir, 3));
    ir_exit_jump(&ir, ir_exit_target(&ir, (struct ir_exit){ .off = 0x20 }));
    cr_assert_null(ir_verify(&ir, &at));
    cr_assert(bt_compile(&ir, &arena));
    return bt.code;
}

static uint64_t word(uint64_t addr)
{
    uint64_t v;
    memcpy(&v, ram + (addr - RANDIR_LOW), 8);
    return v;
}

static void check(uint64_t base)
{
    for (unsigned k = 0; k < 3; k++)
        cr_assert_eq(s.gpr[k], word(base + 8 * k), "word %u", k);
    cr_assert_eq(word(base + 24), s.gpr[3]);
}

Test(groups, one_check_for_all)
{
    struct tcg_code c = three_and_one();
    uint64_t base = RANDIR_LOW + 256;

    cr_assert_leq(c.host_insns, 22);              /* four checks alone are 28 */
    s.gpr[8] = base;
    s.gpr[3] = 0x1122334455667788;
    cr_assert_eq(bt_run(&s), TCG_EXIT_LOOKUP);
    check(base);
    cr_assert_eq(bt.slow_calls, 2);               /* for reading, then for writing */

    /* now the entry is there: no slow path at all */
    memset(s.gpr, 0x5a, 4 * sizeof s.gpr[0]);
    tcg_backend_x86_64.enter(&s, c.rx);
    check(base);
    cr_assert_eq(bt.slow_calls, 2);
}

Test(groups, the_span_crosses_a_page)
{
    struct tcg_code c = three_and_one();

    for (unsigned back = 1; back < 40; back++) {
        uint64_t base = (RANDIR_LOW & ~4095ull) + 4096 - back;
        s.gpr[8] = base;
        s.gpr[3] = back * 0x0101010101010101ull;
        cr_assert_eq(bt_run(&s), TCG_EXIT_LOOKUP);
        check(base);
        s.gpr[3] = ~s.gpr[3];
        s.gpr[0] = s.gpr[1] = s.gpr[2] = 0;
        tcg_backend_x86_64.enter(&s, c.rx);       /* with entries filled */
        check(base);
    }
}

Test(groups, bounced_now_and_then)
{
    uint64_t base = RANDIR_LOW + 512;

    three_and_one();
    bt.mode = BT_FILL | BT_BOUNCE;
    for (unsigned n = 0; n < 200; n++) {
        s.gpr[8] = base + n;
        s.gpr[3] = n * 0x0101010101010101ull;
        cr_assert_eq(bt_run(&s), TCG_EXIT_LOOKUP);
        check(base + n);
    }
}

Test(groups, a_member_faults)
{
    uint64_t base = RANDIR_LOW + RANDIR_RAM - 16;

    three_and_one();
    s.gpr[8] = base;
    s.gpr[2] = 77;
    cr_assert_eq(bt_run(&s), TCG_EXIT_RAISED);
    cr_assert_eq(s.gpr[0], word(base));
    cr_assert_eq(s.gpr[1], word(base + 8));
    cr_assert_eq(s.gpr[2], 77);
    cr_assert_eq(s.env.pc, RANDIR_PCBASE + 0x12);
}
