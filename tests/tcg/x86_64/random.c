/*
 * Random regions: the x86-64 back end does to the state what the interpreter does, faults, bounced accesses and flags included.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tcg/x86_64/backend_util.h"

static struct randir_state want, got;
static uint8_t ram_want[RANDIR_RAM] __attribute__((aligned(4096))), ram_got[RANDIR_RAM] __attribute__((aligned(4096)));

static unsigned seeds(void)
{
    const char *n = getenv("RANDIR_SEEDS");
    return n ? (unsigned)atoi(n) : 4000;
}

static void one(struct arena *arena, uint64_t seed, unsigned options, unsigned mode, bool optimise)
{
    struct ir ir;
    uint32_t rw, rg;
    const char *why;

    arena_reset(arena);
    randir_make(&ir, arena, seed, options);
    if (optimise)
        ir_optimise(&ir, 0);
    randir_state_init(&want, ram_want, seed);
    rw = tcg_interp(&want, &ir, &randir_mem);
    if (getenv("RANDIR_SHOW"))
        bt_dump_ir(&ir);
    cr_assert(bt_compile(&ir, arena), "seed %lu does not compile", (unsigned long)seed);
    if (getenv("RANDIR_SHOW"))
        bt_dump(&ir);
    randir_state_init(&got, ram_got, seed);
    bt.mode = mode;
    bt.rng = seed;
    rg = bt_run(&got);
    why = randir_state_differs(&want, &got, !randir_flags_dead(&ir, want.env.pc) || rw != TCG_EXIT_LOOKUP);
    if (why || rw != rg) {
        bt_dump(&ir);
        fprintf(stderr, "seed %lu options %u mode %u optimised %d: reason %u, interpreter %u; pc %lx, %lx; %s\n", (unsigned long)seed, options, mode, optimise, rg, rw,
                (unsigned long)(got.env.pc - got.env.pcbase), (unsigned long)(want.env.pc - want.env.pcbase), why ? why : "");
        for (unsigned i = 0; i < 16; i++)
            if (want.gpr[i] != got.gpr[i])
                fprintf(stderr, "  slot %u: %lx, interpreter %lx\n", i, (unsigned long)got.gpr[i], (unsigned long)want.gpr[i]);
        fprintf(stderr, "  flags %x, interpreter %x\n", cc_eflags(got.env.cc_op & 31, got.env.cc_op >> 5, got.env.cc_a, got.env.cc_b, got.env.cc_c),
                cc_eflags(want.env.cc_op & 31, want.env.cc_op >> 5, want.env.cc_a, want.env.cc_b, want.env.cc_c));
    }
    cr_assert_null(why, "seed %lu: %s differ", (unsigned long)seed, why);
    cr_assert_eq(rw, rg, "seed %lu", (unsigned long)seed);
}

/* Seeds beyond those of a short run that once found something. */
static const uint32_t found_by[] = { 43951, 47569, 80008, 95816, 98275, 140985, 241730 };

static void many(unsigned options)
{
    const char *only = getenv("RANDIR_SEED"), *how = getenv("RANDIR_HOW");
    struct arena arena;

    arena_init(&arena);
    bt_open();
    if (only) {
        unsigned k = how ? (unsigned)atoi(how) : 0;
        one(&arena, strtoul(only, NULL, 0), options, k & 2 ? BT_BOUNCE : BT_FILL, k & 1);
        return;
    }
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        one(&arena, seed, options, BT_FILL, false);
        one(&arena, seed, options, BT_FILL, true);
        one(&arena, seed, options, BT_BOUNCE, seed & 1);
    }
    for (unsigned i = 0; i < sizeof found_by / sizeof *found_by; i++)
        for (unsigned k = 0; k < 4; k++)
            one(&arena, found_by[i], options, k & 2 ? BT_BOUNCE : BT_FILL, k & 1);
    arena_free(&arena);
}

Test(random, integer) { many(0); }
Test(random, without_folding) { many(RANDIR_NO_FOLD); }
Test(random, faults) { many(RANDIR_FAULTS); }
Test(random, helpers) { many(RANDIR_HELPERS | RANDIR_FAULTS); }
Test(random, native) { many(RANDIR_NATIVE | RANDIR_FAULTS); }
