/*
 * The interpreter: divisions against the host's, atomics, faults at the right instruction, exits, helpers, native instructions.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/tcg/randir_util.h"

static struct arena arena;
static struct ir ir;
static struct randir_state s;
static uint8_t ram[RANDIR_RAM];

static void begin(void)
{
    arena_init(&arena);
    ir_begin(&ir, &arena, &randir_guest);
    ir.no_fold = true;
    randir_state_init(&s, ram, 7);
    ir_insn(&ir, 0x10, 1);
}

static void end(void) { arena_free(&arena); }

TestSuite(interp, .init = begin, .fini = end);

static unsigned target(int off) { return ir_exit_target(&ir, (struct ir_exit){ .off = off }); }

static uint32_t run(void)
{
    uint32_t at;
    const char *why = ir_verify(&ir, &at);
    cr_assert_null(why, "op %u: %s", at, why);
    return tcg_interp(&s, &ir, &randir_mem);
}

static void again(void)
{
    ir_begin(&ir, &arena, &randir_guest);
    ir.no_fold = true;
    ir_insn(&ir, 0x10, 1);
}

#ifdef __x86_64__
/* dst:src / by at 32 bits; false: the host would trap */
static bool host_div32(bool is_signed, uint32_t *lo, uint32_t *hi, uint32_t by)
{
    if (is_signed) {
        int64_t n = (int64_t)((uint64_t)*hi << 32 | *lo), q;
        if (!by || (n == INT64_MIN && by == 0xffffffff)) {
            return false;
        }
        q = n / (int32_t)by;
        if (q != (int32_t)q) {
            return false;
        }
        __asm__("idivl %2" : "+a"(*lo), "+d"(*hi) : "r"(by));
    } else {
        if (*hi >= by) {
            return false;
        }
        __asm__("divl %2" : "+a"(*lo), "+d"(*hi) : "r"(by));
    }
    return true;
}

Test(interp, division_against_host)
{
    static const uint32_t edge[] = { 0, 1, 2, 7, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff };
    uint64_t rng = 3;

    for (unsigned n = 0; n < 20000; n++) {
        uint64_t r = randir_next(&rng), t = randir_next(&rng);
        uint32_t lo = r & 1 ? edge[r / 2 % 9] : (uint32_t)(r >> 20), by = r & 8 ? edge[r / 16 % 9] : (uint32_t)(t >> (t % 64));
        uint32_t hi = (t & 3) == 0 ? 0 : (t & 3) == 1 ? (uint32_t)((int32_t)lo >> 31) : (uint32_t)(t >> 30), q = lo, rem = hi;
        bool is_signed = r >> 63, ok = host_div32(is_signed, &q, &rem, by);
        ir_ref v;

        arena_reset(&arena);
        again();
        v = ir_op3(&ir, is_signed ? IR_divs2 : IR_divu2, IR_32, ir_const(&ir, lo), ir_const(&ir, hi), ir_const(&ir, by));
        ir_put(&ir, 1, ir_hi(&ir, v));
        ir_put(&ir, 0, v);
        ir_exit_jump(&ir, target(1));
        s.faults = 0;
        cr_assert_eq(run(), ok ? TCG_EXIT_LOOKUP : TCG_EXIT_RAISED, "%d %x:%x / %x", is_signed, hi, lo, by);
        cr_assert_eq(s.faults, !ok);
        if (ok) {
            cr_assert(s.gpr[0] == q && s.gpr[1] == rem, "%d %x:%x / %x", is_signed, hi, lo, by);
        }
    }
}
#endif

Test(interp, division_of_128_bits)
{
    ir_ref v = ir_op3(&ir, IR_divs2, IR_64, ir_const(&ir, 0), ir_const(&ir, INT64_MIN), ir_const(&ir, -1));
    ir_put(&ir, 0, v);
    ir_exit_jump(&ir, target(1));
    cr_assert_eq(run(), TCG_EXIT_RAISED);

    again();
    v = ir_op3(&ir, IR_divs2, IR_64, ir_const(&ir, -7), ir_const(&ir, -1), ir_const(&ir, 2));
    ir_put(&ir, 1, ir_hi(&ir, v));
    ir_put(&ir, 0, v);
    ir_exit_jump(&ir, target(1));
    cr_assert_eq(run(), TCG_EXIT_LOOKUP);
    cr_assert_eq((int64_t)s.gpr[0], -3);
    cr_assert_eq((int64_t)s.gpr[1], -1);
}

Test(interp, a_fault_shows_the_instruction_and_what_was_done)
{
    ir_ref b = ir_const(&ir, 9);
    ir_putflags(&ir, ir_flags(&ir, IR_CC_CMP, IR_64, b, b, 0));
    ir_put(&ir, 2, b);
    ir_insn(&ir, 0x11, 3);
    ir_ld(&ir, (struct ir_addr){ .base = ir_const(&ir, RANDIR_BAD) }, (struct ir_mem){ .size = 0 });
    ir_put(&ir, 2, ir_const(&ir, 10));
    ir_exit_jump(&ir, target(1));
    cr_assert_eq(run(), TCG_EXIT_RAISED);
    cr_assert_eq(s.env.pc, RANDIR_PCBASE + 0x11);
    cr_assert_eq(s.gpr[2], 9);
    cr_assert_eq(cc_eflags(s.env.cc_op & 31, s.env.cc_op >> 5, s.env.cc_a, s.env.cc_b, s.env.cc_c), 0x44);
    cr_assert_null(s.tcg.interp_jmp);
}

Test(interp, loads_extend)
{
    struct ir_addr at = { .base = ir_const(&ir, RANDIR_HIGH), .disp = 3 };
    memcpy(ram + 3, "\x80\xff\x12\x91", 4);
    ir_put(&ir, 0, ir_ld(&ir, at, (struct ir_mem){ .size = 0, .sign = true }));
    ir_put(&ir, 1, ir_const(&ir, 0));
    ir_insn(&ir, 0x11, 1);
    ir_put(&ir, 2, ir_ld(&ir, at, (struct ir_mem){ .size = 2 }));
    ir_insn(&ir, 0x12, 1);
    ir_put(&ir, 3, ir_ld(&ir, at, (struct ir_mem){ .size = 2, .sign = true }));
    ir_exit_jump(&ir, target(1));
    run();
    cr_assert_eq(s.gpr[0], 0xffffffffffffff80);
    cr_assert_eq(s.gpr[2], 0x9112ff80);
    cr_assert_eq(s.gpr[3], 0xffffffff9112ff80);
}

Test(interp, compare_and_swap)
{
    struct ir_addr at = { .base = ir_const(&ir, RANDIR_LOW), .disp = 16 };
    struct ir_mem m = { .size = 2, .atomic = true };
    ir_ref old;

    memcpy(ram + 16, "\x78\x56\x34\x12\xaa", 5);
    old = ir_cas(&ir, at, m, ir_const(&ir, 0x12345678), ir_const(&ir, 0x55555555));
    ir_put(&ir, 0, old);
    ir_insn(&ir, 0x11, 1);
    ir_put(&ir, 1, ir_cas(&ir, at, m, ir_const(&ir, 0x12345678), ir_const(&ir, 0x66666666)));
    ir_exit_jump(&ir, target(1));
    run();
    cr_assert_eq(s.gpr[0], 0x12345678);
    cr_assert_eq(s.gpr[1], 0x55555555);
    cr_assert_eq(memcmp(ram + 16, "\x55\x55\x55\x55\xaa", 5), 0);
}

Test(interp, undefined_bits_are_noticed)
{
    ir_ref v = ir_op2(&ir, IR_add, IR_8, ir_const(&ir, 1), ir_const(&ir, 2));
    ir_ref z = ir_zext(&ir, IR_8, v);
    ir_put(&ir, 0, z);
    ir_put(&ir, 1, ir_zext(&ir, IR_16, v));
    ir_exit_jump(&ir, target(1));
    tcg_interp(&s, &ir, &randir_mem);
    cr_assert_eq(s.gpr[0], 3);
    cr_assert_neq(s.gpr[1], 3);
}

Test(interp, exits)
{
    ir_ref f = ir_flags(&ir, IR_CC_CMP, IR_32, ir_const(&ir, 1), ir_const(&ir, 2), 0);
    ir_exit_if(&ir, IR_COND_GE, f, target(0x20));
    ir_exit_ifz(&ir, IR_8, ir_const(&ir, 0x100), true, target(0x24));
    ir_poll(&ir, target(0x28));
    ir_exit_ind(&ir, IR_IND_RET, ir_const(&ir, 0x1234567890));
    cr_assert_eq(run(), TCG_EXIT_LOOKUP);
    cr_assert_eq(s.env.pc, 0x1234567890);
    s.env.kick = 1;
    cr_assert_eq(run(), TCG_EXIT_KICK);
    cr_assert_eq(s.env.pc, RANDIR_PCBASE + 0x28);

    again();
    ir_exit_loop(&ir, TCG_EXIT_HALT, ir_exit_target(&ir, (struct ir_exit){ .off = -2, .wrap32 = true }));
    cr_assert_eq(run(), TCG_EXIT_HALT);
    cr_assert_eq(s.env.pc, (uint32_t)(RANDIR_PCBASE - 2));
}

/* ---- helpers ---- */

static uint64_t note(void *state, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    struct randir_state *st = state;
    st->misc[0] = st->env.pc;
    st->misc[1] = st->tcg.call_ra;
    return a + 10 * b + 100 * c + 1000 * d;
}

static uint64_t leave(void *state, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    struct randir_state *st = state;
    (void)a, (void)b, (void)c, (void)d;
    tcg_interp_unwind(&st->tcg, TCG_EXIT_STOP);
    return 0;
}

Test(interp, helpers)
{
    static const struct ir_helper h = { "note", note, 4, true, 0 }, l = { "leave", leave, 0, false, IR_EFF_FAULTS };
    ir_put(&ir, 5, ir_call(&ir, &h, ir_const(&ir, 1), ir_const(&ir, 2), ir_const(&ir, 3), ir_const(&ir, 4)));
    ir_insn(&ir, 0x17, 2);
    ir_call(&ir, &l, 0, 0, 0, 0);
    ir_exit_jump(&ir, target(1));
    s.tcg.call_ra = 77;
    cr_assert_eq(run(), TCG_EXIT_STOP);
    cr_assert_eq(s.gpr[5], 4321);
    cr_assert_eq(s.misc[0], RANDIR_PCBASE + 0x10);
    cr_assert_eq(s.misc[1], 0);
    cr_assert_eq(s.env.pc, RANDIR_PCBASE + 0x17);
}

/* ---- native ---- */

#ifdef __x86_64__

static void set_pair(unsigned x, double lo, double hi)
{
    memcpy(s.vec[x], &lo, 8);
    memcpy(s.vec[x] + 8, &hi, 8);
}

static double low(unsigned x)
{
    double d;
    memcpy(&d, s.vec[x], 8);
    return d;
}

static const struct ir_native divsd = { .kind = IR_NATIVE_VEC, .prefix = 0xf2, .map = 1, .opcode = 0x5e, .reg_kind = IR_NR_VEC, .reg = 9,
    .rm_kind = IR_NR_VEC, .rm = 15, .fault_fp = true, .vec_read = 1 << 9 | 1 << 15, .vec_written = 1 << 9 };

Test(interp, native_arithmetic_and_sticky_flags)
{
    set_pair(9, 1, 42);
    set_pair(15, 3, 0);
    ir_native(&ir, &divsd, (struct ir_addr){ 0 }, 0);
    ir_exit_jump(&ir, target(1));
    cr_assert_eq(run(), TCG_EXIT_LOOKUP);
    cr_assert_eq(low(9), 1.0 / 3);
    cr_assert_eq(s.mxcsr, 0x1fa0);                   /* inexact */
    s.mxcsr = 0x7f80;                                /* towards zero */
    set_pair(9, 2, 42);
    run();
    cr_assert_eq(low(9), 0x1.5555555555555p-1);
    cr_assert_eq(s.mxcsr, 0x7fa0);
}

Test(interp, native_trap_leaves_registers)
{
    set_pair(9, 1, 42);
    set_pair(15, 0, 0);
    s.mxcsr = 0x1d80;                                /* division by zero unmasked */
    ir_native(&ir, &divsd, (struct ir_addr){ 0 }, 0);
    ir_exit_jump(&ir, target(1));
    cr_assert_eq(run(), TCG_EXIT_RAISED);
    cr_assert_eq(low(9), 1);
    cr_assert_eq(s.mxcsr, 0x1d84);
    cr_assert_eq(s.env.pc, RANDIR_PCBASE + 0x10);
}

Test(interp, native_memory_integers_and_flags)
{
    struct ir_native load = { .kind = IR_NATIVE_VEC, .map = 1, .opcode = 0x10, .reg_kind = IR_NR_VEC, .reg = 3, .rm_kind = IR_NR_MEM,
        .vec_written = 1 << 3, .mem = { .size = 4 } };
    struct ir_native store = { .kind = IR_NATIVE_VEC, .map = 1, .opcode = 0x11, .reg_kind = IR_NR_VEC, .reg = 3, .rm_kind = IR_NR_MEM,
        .vec_read = 1 << 3, .mem = { .size = 4, .write = true } };
    struct ir_native in = { .kind = IR_NATIVE_VEC, .prefix = 0x66, .map = 1, .opcode = 0x6e, .w = true, .reg_kind = IR_NR_VEC, .reg = 12,
        .rm_kind = IR_NR_INT_IN, .rm_int_in = true, .vec_written = 1 << 12 };
    struct ir_native out = { .kind = IR_NATIVE_VEC, .prefix = 0x66, .map = 1, .opcode = 0x7e, .w = true, .reg_kind = IR_NR_VEC, .reg = 12,
        .rm_kind = IR_NR_INT_OUT, .vec_read = 1 << 12 };
    struct ir_native comisd = { .kind = IR_NATIVE_VEC, .prefix = 0x66, .map = 1, .opcode = 0x2f, .reg_kind = IR_NR_VEC, .reg = 12,
        .rm_kind = IR_NR_VEC, .rm = 3, .fault_fp = true, .vec_read = 1 << 12 | 1 << 3 };
    double two = 2, three = 3;
    int64_t bits;

    memcpy(ram + 8, &three, 8);
    memcpy(&bits, &two, 8);
    ir_native(&ir, &load, (struct ir_addr){ .base = ir_const(&ir, RANDIR_LOW), .disp = 8 }, 0);
    ir_native(&ir, &in, (struct ir_addr){ 0 }, ir_const(&ir, bits));
    ir_native(&ir, &store, (struct ir_addr){ .base = ir_const(&ir, RANDIR_LOW), .index = ir_const(&ir, 16), .scale = 2 }, 0);
    ir_ref f = ir_native(&ir, &comisd, (struct ir_addr){ 0 }, 0);
    ir_put(&ir, 1, ir_native(&ir, &out, (struct ir_addr){ 0 }, 0));
    ir_put(&ir, 2, f);
    ir_exit_jump(&ir, target(1));
    run();
    cr_assert_eq(low(3), 3);
    cr_assert_eq(s.gpr[1], (uint64_t)bits);
    cr_assert_eq(s.gpr[2], 1);                       /* 2 < 3: carry alone */
    cr_assert_eq(memcmp(ram + 64, ram + 8, 16), 0);
}

Test(interp, native_same_register_twice_and_xmm0)
{
    struct ir_native pxor = { .kind = IR_NATIVE_VEC, .prefix = 0x66, .map = 1, .opcode = 0xef, .reg_kind = IR_NR_VEC, .reg = 5,
        .rm_kind = IR_NR_VEC, .rm = 5, .vec_read = 1 << 5, .vec_written = 1 << 5 };
    struct ir_native blendv = { .kind = IR_NATIVE_VEC, .prefix = 0x66, .map = 2, .opcode = 0x15, .reg_kind = IR_NR_VEC, .reg = 7,
        .rm_kind = IR_NR_VEC, .rm = 0, .reads_xmm0 = true, .vec_read = 1 << 7 | 1, .vec_written = 1 << 7 };   /* blendvpd xmm7, xmm0 */

    set_pair(5, 1, 2);
    set_pair(0, -1, 2);
    set_pair(7, 10, 20);
    ir_native(&ir, &pxor, (struct ir_addr){ 0 }, 0);
    ir_native(&ir, &blendv, (struct ir_addr){ 0 }, 0);
    ir_exit_jump(&ir, target(1));
    run();
    cr_assert_eq(low(5), 0);
    cr_assert_eq(low(7), -1);
    cr_assert_eq(memcmp(s.vec[7] + 8, "\0\0\0\0\0\0\x34\x40", 8), 0);
}

static struct ir_native x87(uint8_t opcode, uint8_t reg, uint8_t rm)
{
    return (struct ir_native){ .kind = IR_NATIVE_X87, .opcode = opcode, .reg_kind = IR_NR_NONE, .reg = reg, .rm_kind = IR_NR_X87, .rm = rm,
        .fault_fp = true };
}

Test(interp, native_x87)
{
    struct ir_native fld1 = x87(0xd9, 5, 0), fldz = x87(0xd9, 5, 6), fdivp = x87(0xde, 7, 1), fst = x87(0xdd, 3, 0);
    struct ir_native fnstsw = x87(0xdf, 4, 0);
    struct ir_addr none = { 0 }, at = { .base = ir_const(&ir, RANDIR_HIGH), .disp = 40 };
    uint16_t fcw = 0x37b;                            /* division by zero unmasked */
    double two = 0.5;

    fst.rm_kind = IR_NR_MEM;
    fst.mem = (struct ir_mem){ .size = 3, .write = true };
    ir_native(&ir, &fld1, none, 0);
    ir_native(&ir, &fld1, none, 0);
    ir_native(&ir, &(struct ir_native){ .kind = IR_NATIVE_X87, .opcode = 0xd8, .reg_kind = IR_NR_NONE, .reg = 0, .rm_kind = IR_NR_X87,
        .rm = 1 }, none, 0);                         /* fadd st0, st1: 2 */
    ir_native(&ir, &fdivp, none, 0);                 /* 1 / 2 */
    ir_native(&ir, &fst, at, 0);
    ir_exit_jump(&ir, target(1));
    cr_assert_eq(run(), TCG_EXIT_LOOKUP);
    cr_assert_eq(memcmp(ram + 40, &two, 8), 0);
    cr_assert_eq(s.fx[4], 0, "the stack is empty again: %x", s.fx[4]);

    /* an unmasked error is pending until the next waiting instruction */
    again();
    memcpy(s.fx, &fcw, 2);
    ir_native(&ir, &fld1, none, 0);
    ir_native(&ir, &fldz, none, 0);
    ir_native(&ir, &fdivp, none, 0);
    fnstsw.rm_kind = IR_NR_INT_OUT;
    ir_put(&ir, 3, ir_native(&ir, &fnstsw, none, 0));
    ir_insn(&ir, 0x20, 2);
    ir_native(&ir, &fld1, none, 0);
    ir_exit_jump(&ir, target(1));
    cr_assert_eq(run(), TCG_EXIT_RAISED);
    cr_assert_eq(s.env.pc, RANDIR_PCBASE + 0x20);
    cr_assert_eq(s.gpr[3] & 0x84, 0x84);
}

#endif
