/*
 * Tests of the vector, MMX and x87 front end that the host CPU cannot answer in user mode (tests/diff does the rest): who may run
 * them (CR0.EM, TS, MP, CR4.OSFXSR, OSXSAVE), 16-bit images of the x87 environment, reserved bits of MXCSR, string compares by table.
 * One instruction at a time through the interpreter, on flat memory of one page.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/accel.h"
#include "core/machine.h"
#include "core/x86_entry.h"
#include "cpu/x86/cpu.h"
#include "cpu/x86/decode.h"
#include "cpu/x86/state.h"
#include "tcg/backend.h"

enum { NONE = -1, UD = 6, NM = 7, GP = 13, MF = 16, RAM = 4096, CR0_PLAIN = 0x80050033, CR4_PLAIN = 0x40620 };
#define CR0_MP 2u
#define CR0_EM 4u
#define CR0_TS 8u
#define CR4_OSFXSR 0x200u
#define CR4_OSXSAVE 0x40000u

static struct machine machine;
static struct x86_cpu *x;
static struct arena arena;
static uint8_t ram[RAM] __attribute__((aligned(4096)));
static uint8_t code[2 * RAM];

static struct x86_state *state(void) { return &x->s; }

static void unwind(struct cpu *c)
{
    (void)c;
    tcg_interp_unwind(&state()->tcg, TCG_EXIT_RAISED);
    abort();
}

static void *at(uint64_t va, unsigned size)
{
    cr_assert(va + size <= RAM, "access at %llx", (unsigned long long)va);
    return ram + va;
}

static bool acc_ld(struct cpu *c, uint64_t va, unsigned size, unsigned regime, uint64_t *v, struct mmu_fault *f)
{
    (void)c, (void)regime, (void)f;
    *v = 0;
    memcpy(v, at(va, size), size);
    return true;
}

static bool acc_st(struct cpu *c, uint64_t va, unsigned size, unsigned regime, uint64_t v, struct mmu_fault *f)
{
    (void)c, (void)regime, (void)f;
    memcpy(at(va, size), &v, size);
    return true;
}

static void *acc_probe(struct cpu *c, uint64_t va, unsigned len, enum mem_access access, unsigned regime, struct mmu_fault *f)
{
    (void)c, (void)access, (void)regime;
    f->vector = MMU_NO_FAULT;
    return at(va, len);
}

static void nothing(struct cpu *c) { (void)c; }

static uint64_t mem_ld(void *s, uint64_t a, uint32_t desc)
{
    uint64_t v = 0;
    (void)s;
    memcpy(&v, at(a, 1u << (desc & TCG_D_SIZE)), 1u << (desc & TCG_D_SIZE));
    return v;
}
static void mem_st(void *s, uint64_t a, uint32_t desc, uint64_t v) { (void)s; memcpy(at(a, 1u << (desc & TCG_D_SIZE)), &v, 1u << (desc & TCG_D_SIZE)); }
static void mem_ldb(void *s, uint64_t a, uint32_t desc, void *b) { (void)s; memcpy(b, at(a, 1u << (desc & TCG_D_SIZE)), 1u << (desc & TCG_D_SIZE)); }
static void mem_stb(void *s, uint64_t a, uint32_t desc, const void *b) { (void)s; memcpy(at(a, 1u << (desc & TCG_D_SIZE)), b, 1u << (desc & TCG_D_SIZE)); }
static void changed(void *s) { (void)s; }
static void lock(void *s, bool on) { (void)s, (void)on; }
static void trap(void *s, enum tcg_trap t, uint64_t addr)
{
    (void)s;
    x86_cpu_ops.front->trap(&x->cpu, t, addr);
    unwind(&x->cpu);
}

static struct accel_ops accel = { .name = "test", .ld = acc_ld, .st = acc_st, .probe = acc_probe, .kick = nothing, .mode_changed = nothing, .sync = nothing };
static const struct tcg_interp_mem mem = { .ld = mem_ld, .st = mem_st, .ld_bytes = mem_ldb, .st_bytes = mem_stb, .changed = changed, .lock = lock,
                                           .outside = lock, .trap = trap };

static void make_cpu(uint64_t cr0, uint64_t cr4, unsigned bits)
{
    struct x86_entry e = { .mode = X86_ENTRY_LONG64, .cr0 = cr0, .cr4 = cr4, .efer = bits == 64 ? 0xd01 : 0, .rflags = 2,
                           .cs = { 0x33, bits == 64 ? 0xa09b : bits == 32 ? 0xc09b : 0x809b, 0xffffffff, 0 },
                           .data = { 0x2b, 0xc093, 0xffffffff, 0 }, .tr = { 0x40, 0x8b, 0x67, 0 } };
    GError *err = NULL;

    if (!x) {
        void *p = NULL;
        cr_assert(!posix_memalign(&p, 64, sizeof(*x)));
        x = memset(p, 0, sizeof(*x));
        machine.accel = &accel;
        accel.unwind = (__typeof__(accel.unwind))unwind;
        machine.spec.cpus = machine.spec.max_cpus = machine.spec.sockets = machine.spec.dies = machine.spec.cores = machine.spec.threads = 1;
        x->cpu.ops = &x86_cpu_ops;
        x->cpu.machine = &machine;
        x->cpu.engine = &accel;
        x->cpu.model = "max";
        cr_assert(x86_cpu_ops.init(&x->cpu, &err));
        arena_init(&arena);
    }
    memset(&x->s, 0, sizeof(x->s));
    x86_cpu_apply_entry(&x->cpu, &e);
    x->s.a20 = true;
    x->s.mxcsr = 0x1f80;
    x->s.fx[0] = 0x7f;
    x->s.fx[1] = 0x03;
    memset(ram, 0, sizeof(ram));
}

/* Runs the one instruction; the vector raised, or NONE. */
static int run(const char *hex)
{
    struct tcg_source src = { .cpu = &x->cpu, .bytes = code, .max_insns = 1 };
    struct ir ir;
    unsigned n = 0;
    uint32_t where;
    int used;

    memset(code, 0x90, sizeof(code));
    for (unsigned v; sscanf(hex, " %2x%n", &v, &used) == 1; hex += used) {
        code[n++] = (uint8_t)v;
    }
    state()->env.pc = 0;
    state()->exc.pending = false;
    x86_cpu_ops.front->key(state(), &src.key);
    arena_reset(&arena);
    ir_begin(&ir, &arena, x86_cpu_ops.tcg);
    x86_cpu_ops.front->translate(&ir, &src);
    ir_optimise(&ir, 0);
    cr_assert_null(ir_verify(&ir, &where));
    tcg_interp(state(), &ir, &mem);
    return state()->exc.pending ? state()->exc.vector : NONE;
}

/* ---- who may ---- */

static const char addps[] = "0f 58 c1", paddb[] = "0f fc c1", fld1[] = "d9 e8", fwait[] = "9b", fxsave[] = "0f ae 00", xsave[] = "0f ae 20",
                  ldmxcsr[] = "0f ae 10", emms[] = "0f 77", movss[] = "f3 0f 10 00", lfence[] = "0f ae e8", fnstsw[] = "df e0";

Test(translate_vec, control_bits)
{
    static const struct { const char *insn; uint64_t cr0, cr4_off; int vector; } rows[] = {
        { addps, 0, 0, NONE }, { addps, CR0_EM, 0, UD }, { addps, CR0_TS, 0, NM }, { addps, CR0_TS | CR0_EM, 0, UD },
        { addps, 0, CR4_OSFXSR, UD }, { addps, CR0_TS, CR4_OSFXSR, UD }, { movss, CR0_TS, 0, NM }, { ldmxcsr, CR0_TS, 0, NM },
        { ldmxcsr, 0, CR4_OSFXSR, UD },
        { paddb, 0, 0, NONE }, { paddb, CR0_EM, 0, UD }, { paddb, CR0_TS, 0, NM }, { paddb, 0, CR4_OSFXSR, NONE }, { emms, CR0_EM, 0, UD },
        { fld1, 0, 0, NONE }, { fld1, CR0_EM, 0, NM }, { fld1, CR0_TS, 0, NM }, { fld1, 0, CR4_OSFXSR, NONE }, { fnstsw, CR0_EM, 0, NM },
        { fwait, CR0_EM, 0, NONE }, { fwait, CR0_TS, 0, NONE }, { fwait, CR0_TS | CR0_MP, 0, NM },
        { fxsave, 0, 0, NONE }, { fxsave, CR0_EM, 0, UD }, { fxsave, CR0_TS, 0, NM }, { fxsave, 0, CR4_OSFXSR, NONE },
        { xsave, 0, 0, NONE }, { xsave, 0, CR4_OSXSAVE, UD }, { xsave, CR0_TS, 0, NM },
        { lfence, CR0_EM | CR0_TS, CR4_OSFXSR, NONE },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        make_cpu((CR0_PLAIN & ~(uint64_t)CR0_MP) | rows[i].cr0, CR4_PLAIN & ~rows[i].cr4_off, 64);
        state()->xcr0 = 3;
        int got = run(rows[i].insn);
        cr_assert_eq(got, rows[i].vector, "row %u: %d, not %d", i, got, rows[i].vector);
    }
}

Test(translate_vec, mxcsr)
{
    uint32_t v = 0x10000;

    make_cpu(CR0_PLAIN, CR4_PLAIN, 64);
    memcpy(ram, &v, 4);
    cr_assert_eq(run(ldmxcsr), GP);
    cr_assert_eq(state()->mxcsr, 0x1f80u);
    v = 0xffbf;
    memcpy(ram, &v, 4);
    cr_assert_eq(run(ldmxcsr), NONE);
    cr_assert_eq(state()->mxcsr, 0xffbfu);
    memset(ram, 0, 8);
    cr_assert_eq(run("0f ae 18"), NONE);
    memcpy(&v, ram, 4);
    cr_assert_eq(v, 0xffbfu);
}

/* ---- x87 environment ---- */

Test(translate_vec, environment_16)
{
    uint16_t env[7];

    make_cpu(CR0_PLAIN, CR4_PLAIN, 32);
    cr_assert_eq(run("d9 e8"), NONE);                      /* fld1: ST0 is register 7 */
    cr_assert_eq(run("66 d9 35 10 00 00 00"), NONE);       /* fnstenv, 14 bytes */
    memcpy(env, ram + 0x10, 14);
    cr_assert_eq(env[0], 0x37f);
    cr_assert_eq(env[1], 7 << 11);
    cr_assert_eq(env[2], 0x3fff);
    cr_assert_eq(ram[0x10 + 14], 0);
    env[1] = 3 << 11;
    env[2] = 0xff3f;                                       /* register 3 only */
    memcpy(ram + 0x40, env, 14);
    cr_assert_eq(run("66 d9 25 40 00 00 00"), NONE);       /* fldenv */
    cr_assert_eq(state()->fx[4], 1 << 3);
    cr_assert_eq(state()->fx[3] >> 3 & 7, 3);
}

Test(translate_vec, save_and_restore)
{
    uint8_t before[128];

    make_cpu(CR0_PLAIN, CR4_PLAIN, 64);
    cr_assert_eq(run("d9 eb"), NONE);                      /* fldpi */
    cr_assert_eq(run("d9 e8"), NONE);
    memcpy(before, state()->fx + 32, 128);
    cr_assert_eq(run("dd 34 25 00 01 00 00"), NONE);       /* fnsave [100h] */
    cr_assert_eq(state()->fx[4], 0, "all empty");
    cr_assert_eq(state()->fx[0] | state()->fx[1] << 8, 0x37f);
    cr_assert_eq(ram[0x100 + 28 + 9], 0x3f, "exponent of ST0");
    cr_assert_eq(run("dd 24 25 00 01 00 00"), NONE);       /* frstor */
    cr_assert_eq(state()->fx[4], 0xc0);
    cr_assert_arr_eq(state()->fx + 32, before, 32);
}

/* An unmasked error is pending until the next waiting instruction. */
Test(translate_vec, pending_error)
{
    make_cpu(CR0_PLAIN, CR4_PLAIN, 64);
    state()->fx[0] = 0x7e;                                 /* invalid operation unmasked */
    cr_assert_eq(run("d9 fa"), NONE);                      /* fsqrt of an empty register */
    cr_assert(state()->fx[2] & 0x80);
    cr_assert_eq(run("df e0"), NONE);                      /* fnstsw ax does not wait */
    cr_assert(state()->gpr[X86_RAX] & 0x80);
    cr_assert_eq(run("9b"), MF);
    cr_assert_eq(run("0f fc c1"), MF);
    cr_assert_eq(run("dd 24 25 00 01 00 00"), MF);
    cr_assert_eq(run("db e2"), NONE);                      /* fnclex */
    cr_assert_eq(run("9b"), NONE);
}

/* fcmovcc by each condition, taken and not. */
Test(translate_vec, fcmov)
{
    static const struct { const char *insn; uint32_t flag; bool moves_if_set; } rows[] = {
        { "da c1", X86_FL_C, true }, { "da c9", X86_FL_Z, true }, { "da d1", X86_FL_Z, true }, { "da d9", X86_FL_P, true },
        { "db c1", X86_FL_C, false }, { "db c9", X86_FL_Z, false }, { "db d1", X86_FL_C, false }, { "db d9", X86_FL_P, false },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned set = 0; set < 2; set++) {
            make_cpu(CR0_PLAIN, CR4_PLAIN, 64);
            run("d9 eb");                                  /* ST1 = pi, ST0 = 1 */
            run("d9 e8");
            x86_set_eflags(state(), set ? rows[i].flag : 0, X86_FL_ARITH);
            cr_assert_eq(run(rows[i].insn), NONE);
            bool moved = state()->fx[32 + 8] == 0x00;      /* pi's exponent is 4000h, 1's 3fffh */
            cr_assert_eq(moved, set == rows[i].moves_if_set, "row %u, flag %u", i, set);
        }
    }
}

/* ---- string compares ---- */

Test(translate_vec, string_compares)
{
    static const struct { const char *insn, *a, *b; uint32_t rcx, flags; } rows[] = {
        /* equal each, negated by valid elements: first difference (strcmp) */
        { "66 0f 3a 63 c1 38", "hello", "help", 3, X86_FL_C | X86_FL_Z | X86_FL_S },
        { "66 0f 3a 63 c1 18", "abc", "abc", 16, X86_FL_Z | X86_FL_S },
        /* equal any: first vowel */
        { "66 0f 3a 63 c1 00", "aeiou", "xyzzye", 5, X86_FL_C | X86_FL_Z | X86_FL_S },
        /* ranges: first digit, last digit */
        { "66 0f 3a 63 c1 04", "09", "ab12cd", 2, X86_FL_C | X86_FL_Z | X86_FL_S },
        { "66 0f 3a 63 c1 44", "09", "ab12cd", 3, X86_FL_C | X86_FL_Z | X86_FL_S },
        /* ordered: strstr */
        { "66 0f 3a 63 c1 0c", "na", "banana", 2, X86_FL_C | X86_FL_Z | X86_FL_S },
        { "66 0f 3a 63 c1 0c", "x", "banana", 16, X86_FL_Z | X86_FL_S },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        make_cpu(CR0_PLAIN, CR4_PLAIN, 64);
        strncpy((char *)state()->vec[0], rows[i].a, 16);
        strncpy((char *)state()->vec[1], rows[i].b, 16);
        cr_assert_eq(run(rows[i].insn), NONE);
        uint32_t fl = (uint32_t)x86_eflags(state()) & X86_FL_ARITH & ~(uint32_t)X86_FL_O;
        cr_assert_eq(state()->gpr[X86_RCX], rows[i].rcx, "row %u: %u", i, (unsigned)state()->gpr[X86_RCX]);
        cr_assert_eq(fl, rows[i].flags, "row %u: flags %x", i, fl);
    }
}
