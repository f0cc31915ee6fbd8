/*
 * Random regions: as built without folding, with it, and after each set of passes, they do the same to the state.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tcg/randir_util.h"

static struct randir_state plain, other;
static uint8_t ram_plain[RANDIR_RAM], ram_other[RANDIR_RAM];

static uint32_t run(const struct ir *ir, struct randir_state *s, uint8_t *ram, uint64_t seed)
{
    randir_state_init(s, ram, seed);
    return tcg_interp(s, ir, &randir_mem);
}

static void print_line(void *opaque, const char *text) { (void)opaque; fprintf(stderr, "%s\n", text); }

static void check_same(const struct ir *a, const struct ir *b, uint64_t seed, const char *what)
{
    uint32_t at, ra, rb;
    const char *why = ir_verify(b, &at);

    if (why) {
        ir_dump(b, print_line, NULL);
    }
    cr_assert_null(why, "seed %lu, %s: op %u: %s", (long)seed, what, at, why);
    ra = run(a, &plain, ram_plain, seed);
    rb = run(b, &other, ram_other, seed);
    why = randir_state_differs(&plain, &other, !randir_flags_dead(a, plain.env.pc));
    if (why || ra != rb) {
        ir_dump(a, print_line, NULL);
        fprintf(stderr, "---- %s\n", what);
        ir_dump(b, print_line, NULL);
    }
    cr_assert_eq(ra, rb, "seed %lu, %s: reason %u, was %u", (long)seed, what, rb, ra);
    cr_assert_null(why, "seed %lu, %s: %s differ", (long)seed, what, why);
}

static unsigned count_ops(const struct ir *ir)
{
    unsigned n = 0;
    for (uint32_t i = 1; i < ir->n; i++) {
        n += ir->ops[i].op != IR_nop && ir->ops[i].op != IR_const;
    }
    return n;
}

static unsigned seeds(void)
{
    const char *n = getenv("RANDIR_SEEDS");
    return n ? (unsigned)atoi(n) : 4000;
}

Test(passes, random_regions_keep_their_meaning)
{
    struct arena arena;
    unsigned long raw_ops = 0, folded_ops = 0, best_ops = 0;

    arena_init(&arena);
    for (uint64_t seed = 0; seed < seeds(); seed++) {
        unsigned options = RANDIR_FAULTS | RANDIR_HELPERS | (seed & 1 ? RANDIR_NATIVE : 0);
        struct ir raw, ir;
        uint32_t at;

        arena_reset(&arena);
        randir_make(&raw, &arena, seed, options | RANDIR_NO_FOLD);
        cr_assert_null(ir_verify(&raw, &at), "seed %lu: op %u", (long)seed, at);
        raw_ops += count_ops(&raw);
        for (uint32_t off = 0; off <= 16; off++) {          /* 16: no pass at all */
            char what[32];
            randir_make(&ir, &arena, seed, options | (off & 15) * RANDIR_OFF);
            if (off == 16) {
                folded_ops += count_ops(&ir);
            } else {
                ir_optimise(&ir, off);
            }
            best_ops += off == 0 ? count_ops(&ir) : 0;
            snprintf(what, sizeof(what), "passes off: %x", off);
            check_same(&raw, &ir, seed, what);
        }
        randir_make(&ir, &arena, seed, options | RANDIR_NO_FOLD);
        ir_optimise(&ir, 0);
        check_same(&raw, &ir, seed, "no builder folding, all passes");
        ir_optimise(&ir, 0);
        check_same(&raw, &ir, seed, "all passes twice");
        randir_make(&ir, &arena, seed, options);
        for (unsigned i = 0; ir_passes[i].name; i++) {
            ir_passes[i].run(&ir);
            check_same(&raw, &ir, seed, ir_passes[i].name);
        }
    }
    arena_free(&arena);
    cr_assert_lt(folded_ops, raw_ops);
    cr_assert_lt(best_ops, folded_ops);
}

/* ---- single effects ---- */

static struct arena arena;
static struct ir ir;

static void begin(void)
{
    arena_init(&arena);
    ir_begin(&ir, &arena, &randir_guest);
    ir_insn(&ir, 0, 1);
}

static unsigned count(unsigned op)
{
    unsigned n = 0;
    for (uint32_t i = 1; i < ir.n; i++) {
        n += ir.ops[i].op == op;
    }
    return n;
}

static unsigned jump(bool flags_dead, bool backward)
{
    return ir_exit_target(&ir, (struct ir_exit){ .off = 16, .flags_dead = flags_dead, .backward = backward });
}

static ir_ref add_with_flags(unsigned slot, int64_t k)
{
    ir_ref b = ir_const(&ir, k), r = ir_op2(&ir, IR_add, IR_64, ir_get(&ir, slot), b);
    ir_putflags(&ir, ir_flags(&ir, IR_CC_ADD, IR_64, r, b, 0));
    ir_put(&ir, slot, r);
    return r;
}

Test(passes, slots_forward_and_dead_puts, .init = begin)
{
    add_with_flags(1, 5);
    ir_insn(&ir, 4, 1);
    add_with_flags(1, 6);
    ir_exit_jump(&ir, jump(false, false));
    ir_optimise(&ir, 0);
    cr_assert_eq(count(IR_get), 1);
    cr_assert_eq(count(IR_put), 1);
    cr_assert_eq(count(IR_putflags), 1);
    cr_assert_eq(count(IR_flags), 1);
    arena_free(&arena);
}

Test(passes, faults_keep_puts_and_flags, .init = begin)
{
    add_with_flags(1, 5);
    ir_insn(&ir, 4, 1);
    ir_ld(&ir, (struct ir_addr){ .base = ir_get(&ir, 2) }, (struct ir_mem){ .size = 3 });
    add_with_flags(1, 6);
    ir_exit_jump(&ir, jump(false, false));
    ir_optimise(&ir, 0);
    cr_assert_eq(count(IR_put), 2);
    cr_assert_eq(count(IR_putflags), 2);
    arena_free(&arena);
}

Test(passes, flags_dead_at_the_exit, .init = begin)
{
    add_with_flags(1, 5);
    ir_exit_jump(&ir, jump(true, false));
    ir_optimise(&ir, 0);
    cr_assert_eq(count(IR_putflags), 0);
    cr_assert_eq(count(IR_flags), 0);
    arena_free(&arena);
}

Test(passes, flags_stay_for_a_poll, .init = begin)
{
    add_with_flags(1, 5);
    ir_exit_jump(&ir, jump(true, true));
    ir_optimise(&ir, 0);
    cr_assert_eq(count(IR_putflags), 1);
    arena_free(&arena);
}

Test(passes, condition_sees_the_flags_value, .init = begin)
{
    ir_ref a = ir_get(&ir, 1), b = ir_get(&ir, 2);
    ir_putflags(&ir, ir_flags(&ir, IR_CC_CMP, IR_32, a, b, 0));
    ir_insn(&ir, 4, 2);
    ir_exit_if(&ir, IR_COND_L, ir_getflags(&ir), jump(false, false));
    ir_exit_jump(&ir, jump(false, false));
    ir_optimise(&ir, 0);
    cr_assert_eq(count(IR_getflags), 0);
    arena_free(&arena);
}

Test(passes, lea_goes_into_the_address, .init = begin)
{
    ir_ref base, v;

    ir.no_fold = true;                       /* else the builder does it */
    base = ir_lea(&ir, IR_64, ir_get(&ir, 1), ir_get(&ir, 2), 3, 40);
    v = ir_ld(&ir, (struct ir_addr){ .base = base, .disp = 2 }, (struct ir_mem){ .size = 3 });
    ir_put(&ir, 3, v);
    ir_exit_jump(&ir, jump(false, false));
    ir_optimise(&ir, 0);
    cr_assert_eq(count(IR_lea), 0);
    cr_assert_eq(ir.ops[v].imm, 42);
    cr_assert_eq(ir.ops[v].mem.scale, 3);
    arena_free(&arena);
}

Test(passes, a_product_without_its_high_half, .init = begin)
{
    ir_ref lo = ir_op2(&ir, IR_muls2, IR_64, ir_get(&ir, 1), ir_get(&ir, 2));
    ir_hi(&ir, lo);
    ir_put(&ir, 3, lo);
    ir_exit_jump(&ir, jump(false, false));
    ir_optimise(&ir, 0);
    cr_assert_eq(count(IR_mul), 1);
    cr_assert_eq(count(IR_hi), 0);
    arena_free(&arena);
}

Test(passes, have_names)
{
    static const char *const names[] = { "slots", "flags", "dce", "fold" };
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_str_eq(ir_passes[i].name, names[i]);
    }
    cr_assert_null(ir_passes[4].name);
}
