/*
 * Ways out of a region: linking and patching, the cross-page guard, polls, jump table, traps; x87 loaded on demand; what a
 * region costs in instructions.
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
}

static void end(void) { arena_free(&arena); }

TestSuite(exits, .init = begin, .fini = end);

static void start(void)
{
    arena_reset(&arena);
    ir_begin(&ir, &arena, &randir_guest);
    ir_insn(&ir, 0x10, 1);
}

static struct ir_exit to(int off) { return (struct ir_exit){ .off = off }; }

static struct tcg_code compile(void)
{
    uint32_t at;
    const char *why = ir_verify(&ir, &at);
    cr_assert_null(why, "op %u: %s", at, why);
    cr_assert(bt_compile(&ir, &arena));
    return bt.code;
}

static struct tcg_code keep_exits(struct tcg_code c, struct tcg_code_exit *copy)
{
    memcpy(copy, c.exits, c.n_exits * sizeof *copy);
    c.exits = copy;
    return c;
}

/* slot 0 += n; exit to off */
static struct tcg_code counter(int n, struct ir_exit e, struct tcg_code_exit *exits)
{
    start();
    ir_put(&ir, 0, ir_op2i(&ir, IR_add, IR_64, ir_get(&ir, 0), n));
    ir_exit_jump(&ir, ir_exit_target(&ir, e));
    return keep_exits(compile(), exits);
}

Test(exits, patched_and_back)
{
    struct tcg_code_exit e1[4], e2[4];
    struct tcg_code second = counter(100, to(0x80), e2), first = counter(1, to(0x40), e1);

    cr_assert_eq(first.n_exits, 1);
    s.gpr[0] = 0;
    cr_assert_eq(bt_run(&s), TCG_EXIT_LOOKUP);
    cr_assert_eq(s.env.pc, RANDIR_PCBASE + 0x40);
    cr_assert_eq(s.gpr[0], 1);

    tcg_backend_x86_64.patch(&bt.cb, first.rx, &e1[0], second.rx, 0);
    bt.link_hook = NULL;
    bt.code = second;
    bt.code.rx = first.rx;
    /* the exit that leaves is the second region's: its return address is relative to that one */
    s.gpr[0] = 0;
    bt.s = &s;
    tcg_backend_x86_64.patch(&bt.cb, second.rx, &e2[0], NULL, 0);
    bt.code.rx = second.rx;
    tcg_backend_x86_64.enter(&s, first.rx);
    cr_assert_eq(s.gpr[0], 101);

    tcg_backend_x86_64.patch(&bt.cb, first.rx, &e1[0], NULL, 0);
    bt.code = first;
    s.gpr[0] = 0;
    cr_assert_eq(bt_run(&s), TCG_EXIT_LOOKUP);
    cr_assert_eq(s.gpr[0], 1);
}

Test(exits, displacement_never_crosses_a_line)
{
    for (int n = 0; n < 64; n++) {
        struct tcg_code_exit e[4];
        struct tcg_code c = counter(n * 0x1000000, to(n & 1 ? 0x40 : 0x5040), e);
        uintptr_t at = (uintptr_t)c.rx + e[0].patch_off;
        cr_assert_leq(at & 63, 60);
        if (e[0].cross) {
            cr_assert_leq((at - 26) & 63, 60);
            cr_assert_leq((at - 19) & 63, 60);
        }
    }
}

Test(exits, cross_page_guard)
{
    enum { ID = 5 << CODE_MAP_BITS | 77, OTHER = 6 << CODE_MAP_BITS | 77 };
    struct tcg_code_exit e1[4], e2[4];
    struct tcg_code second = counter(100, to(0x80), e2), first = counter(1, to(0x2040), e1);
    struct ir ir_first = ir;

    cr_assert(e1[0].cross);
    bt_run(&s);                                              /* sets up the context */
    tcg_backend_x86_64.patch(&bt.cb, first.rx, &e1[0], second.rx, ID);

    /* the page is not known to be that code page: links again */
    bt.ir = &ir_first;
    bt.code = first;
    s.gpr[0] = 0;
    s.env.pcbase = RANDIR_PCBASE;
    bt.link_calls = 0;
    cr_assert_eq(bt_run(&s), TCG_EXIT_LOOKUP);
    cr_assert_eq(s.gpr[0], 1);
    cr_assert_eq(bt.link_calls, 1);
    cr_assert_eq(s.env.pcbase, RANDIR_PCBASE);

    /* now it is */
    bt.tlb->code_map[77] = (RANDIR_PCBASE + 0x2000) | 5;
    bt.code = second;
    s.gpr[0] = 0;
    tcg_backend_x86_64.enter(&s, first.rx);
    cr_assert_eq(s.gpr[0], 101);
    cr_assert_eq(s.env.pcbase, RANDIR_PCBASE + 0x2000);

    /* another code page in the same slot of the map */
    bt.tlb->code_map[77] = (RANDIR_PCBASE + 0x2000) | 6;
    bt.code = first;
    s.gpr[0] = 0;
    s.env.pcbase = RANDIR_PCBASE;
    tcg_backend_x86_64.enter(&s, first.rx);
    cr_assert_eq(s.gpr[0], 1);

    /* an exit stays bound to the first page number that it was given */
    tcg_backend_x86_64.patch(&bt.cb, first.rx, &e1[0], second.rx, OTHER);
    tcg_backend_x86_64.enter(&s, first.rx);
    cr_assert_eq(s.gpr[0], 2);
    tcg_backend_x86_64.patch(&bt.cb, first.rx, &e1[0], NULL, 0);
    bt.tlb->code_map[77] = (RANDIR_PCBASE + 0x2000) | 5;
    tcg_backend_x86_64.enter(&s, first.rx);
    cr_assert_eq(s.gpr[0], 3);
    bt.tlb->code_map[77] = 0;
}

Test(exits, a_kick_ends_a_loop_and_shows_the_flags)
{
    struct tcg_code_exit e[4];
    ir_ref r, one;
    struct tcg_code c;

    start();
    one = ir_const(&ir, 1);
    r = ir_op2(&ir, IR_sub, IR_64, ir_get(&ir, 1), one);
    ir_putflags(&ir, ir_flags(&ir, IR_CC_SUB, IR_64, r, one, 0));
    ir_put(&ir, 1, r);
    ir_exit_if(&ir, IR_COND_NZ, ir_getflags(&ir), ir_exit_target(&ir, (struct ir_exit){ .off = 0x10, .backward = true, .flags_dead = true }));
    ir_exit_jump(&ir, ir_exit_target(&ir, to(0x20)));
    c = keep_exits(compile(), e);
    cr_assert_leq(c.host_insns, 8);
    for (uint32_t i = 0; i < c.n_exits; i++)
        if (ir.exits[e[i].target].off == 0x10)
            tcg_backend_x86_64.patch(&bt.cb, c.rx, &e[i], c.rx, 0);
    s.gpr[1] = 1000000;
    cr_assert_eq(bt_run(&s), TCG_EXIT_LOOKUP);
    cr_assert_eq(s.env.pc, RANDIR_PCBASE + 0x20);
    cr_assert_eq(s.gpr[1], 0);
    cr_assert_eq(cc_eflags(s.env.cc_op & 31, s.env.cc_op >> 5, s.env.cc_a, s.env.cc_b, s.env.cc_c), 0x44);

    s.gpr[1] = 0;
    atomic_store(&s.env.kick, 1);
    cr_assert_eq(bt_run(&s), TCG_EXIT_KICK);
    cr_assert_eq(s.env.pc, RANDIR_PCBASE + 0x10);
    cr_assert_eq(s.gpr[1], ~0ull);
    cr_assert_eq(cc_eflags(s.env.cc_op & 31, s.env.cc_op >> 5, s.env.cc_a, s.env.cc_b, s.env.cc_c), 0x95);
}

Test(exits, jump_table)
{
    struct tcg_code_exit e[4];
    struct tcg_code second = counter(100, to(0x80), e), c;
    struct tcg_jump *j;

    start();
    ir_exit_ind(&ir, IR_IND_JUMP, ir_get(&ir, 9));
    c = compile();
    s.gpr[9] = 0x123456789abcull;
    cr_assert_eq(bt_run(&s), TCG_EXIT_LOOKUP);
    cr_assert_eq(s.env.pc, 0x123456789abcull);

    j = &s.env.jt[jump_index(0x123456789abcull)];
    *j = (struct tcg_jump){ 0x123456789abcull, second.rx };
    s.gpr[0] = 0;
    bt.code = second;
    tcg_backend_x86_64.enter(&s, c.rx);
    cr_assert_eq(s.gpr[0], 100);
    cr_assert_eq(s.env.pcbase, 0x123456789000ull);
}

Test(exits, killed)
{
    struct tcg_code_exit e[4];
    struct tcg_code c = counter(1, to(0x40), e);

    s.gpr[0] = 0;
    tcg_backend_x86_64.kill(&bt.cb, c.rx, c.size);
    cr_assert_eq(bt_run(&s), TCG_EXIT_LOOKUP);
    cr_assert_eq(s.gpr[0], 0);
    cr_assert_eq(s.env.pc, RANDIR_PCBASE + 0x10);
}

Test(exits, unchained)
{
    start();
    ir.no_chain = true;
    ir_exit_jump(&ir, ir_exit_target(&ir, (struct ir_exit){ .off = 0x40, .wrap32 = true }));
    compile();
    s.env.pcbase = 0xfffff000;
    cr_assert_eq(bt_run(&s), TCG_EXIT_LOOKUP);
    cr_assert_eq(s.env.pc, 0xfffff040);
    cr_assert_eq(bt.link_calls, 0);
}

static void native(unsigned op, unsigned reg, unsigned rm, bool x87)
{
    struct ir_native n = { .kind = IR_NATIVE_X87, .opcode = (uint8_t)op, .reg_kind = IR_NR_NONE, .reg = (uint8_t)reg,
        .rm_kind = IR_NR_X87, .rm = (uint8_t)rm };
    (void)x87;
    ir_native(&ir, &n, (struct ir_addr){ 0 }, 0);
}

Test(exits, x87_is_loaded_once_and_saved)
{
    uint16_t cw = 0x37f;

    memset(s.fx, 0, sizeof s.fx);
    memcpy(s.fx, &cw, 2);
    for (unsigned i = 0; i < sizeof s.vec; i++)
        ((uint8_t *)s.vec)[i] = (uint8_t)(i * 7);
    start();
    native(0xd9, 5, 0, true);                                /* fld1 */
    native(0xd9, 5, 3, true);                                /* fldpi */
    native(0xde, 0, 1, true);                                /* faddp */
    ir_exit_jump(&ir, ir_exit_target(&ir, to(0x40)));
    compile();
    bt_run(&s);
    cr_assert_eq((s.fx[3] >> 3) & 7, 7);                     /* one value on the stack */
    long double v;
    memcpy(&v, s.fx + 32, 10);
    cr_assert(v > 4.14159L && v < 4.1416L);
    for (unsigned i = 0; i < 14 * 64; i++)
        cr_assert_eq(((uint8_t *)s.vec)[i], (uint8_t)(i * 7));
    cr_assert_eq(s.tcg.x87_live, 0);
    cr_assert(1.0L + v > 5);                                 /* the host's own x87 works */
}

Test(exits, unmasked_vector_error_traps_at_its_instruction)
{
    struct ir_native n = { .kind = IR_NATIVE_VEC, .map = 1, .prefix = 0xf2, .opcode = 0x5e, .reg_kind = IR_NR_VEC, .reg = 0,
        .rm_kind = IR_NR_VEC, .rm = 15, .vec_read = 1 | 1 << 15, .vec_written = 1, .fault_fp = true };
    double one = 1;

    memset(s.vec, 0, sizeof s.vec);
    memcpy(s.vec[0], &one, 8);
    s.mxcsr = 0x1f80 & ~0x200u;                              /* division by zero */
    start();
    ir_put(&ir, 2, ir_const(&ir, 5));
    ir_insn(&ir, 0x18, 4);
    ir_native(&ir, &n, (struct ir_addr){ 0 }, 0);
    ir_put(&ir, 2, ir_const(&ir, 6));
    ir_exit_jump(&ir, ir_exit_target(&ir, to(0x40)));
    compile();
    s.faults = 0;
    cr_assert_eq(bt_run(&s), TCG_EXIT_RAISED);
    cr_assert_eq(s.env.pc, RANDIR_PCBASE + 0x18);
    cr_assert_eq(s.gpr[2], 5);
    cr_assert_eq(s.faults, 1);
    cr_assert_eq(memcmp(s.vec[0], &one, 8), 0);
    cr_assert_eq(s.mxcsr & 0x3f, 4);
}

/* mov rax,[rbx+8]; add rax,rcx; mov [rbx+8],rax: 8 + 1 + 8 and the jump */
Test(exits, instruction_counts)
{
    struct ir_addr at;
    ir_ref v;

    start();
    at = (struct ir_addr){ .base = ir_get(&ir, 3), .disp = 8 };
    v = ir_ld(&ir, at, (struct ir_mem){ .size = 3 });
    ir_put(&ir, 0, v);
    ir_insn(&ir, 0x14, 3);
    v = ir_op2(&ir, IR_add, IR_64, ir_get(&ir, 0), ir_get(&ir, 1));
    ir_put(&ir, 0, v);
    ir_insn(&ir, 0x17, 4);
    ir_st(&ir, at, (struct ir_mem){ .size = 3 }, v);
    ir_exit_jump(&ir, ir_exit_target(&ir, to(0x40)));
    compile();
    cr_assert_leq(bt.code.host_insns, 8 + 1 + 8 + 1 + 1, "%u", bt.code.host_insns);

    start();                                                 /* add rax,[rbx]: the access is the operand */
    at = (struct ir_addr){ .base = ir_get(&ir, 3) };
    v = ir_ld(&ir, at, (struct ir_mem){ .size = 3 });
    ir_put(&ir, 0, ir_op2(&ir, IR_add, IR_64, ir_get(&ir, 0), v));
    ir_exit_jump(&ir, ir_exit_target(&ir, to(0x40)));
    compile();
    cr_assert_leq(bt.code.host_insns, 8 + 1 + 1, "%u", bt.code.host_insns);

    start();                                                 /* mov al,bl; add al,cl */
    v = ir_op2(&ir, IR_insert8, IR_64, ir_get(&ir, 0), ir_get(&ir, 3));
    ir_put(&ir, 0, v);
    ir_insn(&ir, 0x12, 2);
    v = ir_op2(&ir, IR_insert8, IR_64, v, ir_op2(&ir, IR_add, IR_8, v, ir_get(&ir, 1)));
    ir_put(&ir, 0, v);
    ir_exit_jump(&ir, ir_exit_target(&ir, to(0x40)));
    compile();
    cr_assert_leq(bt.code.host_insns, 2 + 1 + 1, "%u", bt.code.host_insns);
}
