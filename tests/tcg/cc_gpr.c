/*
 * Reference flags against the host CPU's, bit for bit where the manual defines them.
 */
#include <criterion/criterion.h>

#include "tcg/ir.h"
#include "tests/tcg/randir_util.h"

#ifdef __x86_64__

enum { C = 1, P = 4, A = 0x10, Z = 0x40, S = 0x80, O = 0x800, ALL = C | P | A | Z | S | O };

/* One host function per instruction and width: loads `flags`, runs `text` on %0 (rax or part) and %1 (rdx or part), returns
 * the flags; *a is replaced. The stack pointer skips the red zone. */
#define HOST(name, type, text)                                                                    \
    static uint64_t name(uint64_t flags, uint64_t *a, uint64_t b)                                 \
    {                                                                                             \
        type x = (type)*a, y = (type)b;                                                           \
        __asm__ volatile("lea -128(%%rsp), %%rsp; push %2; popfq; " text "; pushfq; pop %2; "     \
                         "lea 128(%%rsp), %%rsp" : "+a"(x), "+d"(y), "+r"(flags) : : "cc", "rcx", "memory"); \
        *a = x;                                                                                   \
        return flags;                                                                             \
    }
#define HOST4(n, two) HOST(n##8, uint8_t, two) HOST(n##16, uint16_t, two) HOST(n##32, uint32_t, two) HOST(n##64, uint64_t, two)
#define ROW(n) { n##8, n##16, n##32, n##64 }

HOST4(add, "add %1, %0") HOST4(sub, "sub %1, %0") HOST4(and, "and %1, %0") HOST4(adc, "adc %1, %0") HOST4(sbb, "sbb %1, %0")
HOST4(inc, "inc %0") HOST4(dec, "dec %0") HOST4(shl, "mov %%edx, %%ecx; shl %%cl, %0")
HOST4(shr, "mov %%edx, %%ecx; shr %%cl, %0") HOST4(sar, "mov %%edx, %%ecx; sar %%cl, %0")
HOST(mul8, uint8_t, "mulb %1") HOST(mul16, uint16_t, "mulw %1") HOST(mul32, uint32_t, "mull %1") HOST(mul64, uint64_t, "mulq %1")

typedef uint64_t host_fn(uint64_t flags, uint64_t *a, uint64_t b);

static const struct row {
    const char *name;
    host_fn *fn[4];
    enum ir_cc kind;
    uint32_t defined;
    char shape;       /* what a b c are: r result, x first operand, y second, f carry before, s x shifted by y - 1, h high half */
    const char *abc;
} rows[] = {
    { "add", ROW(add), IR_CC_ADD, ALL, 0, "ry" },
    { "add (other operand)", ROW(add), IR_CC_ADD, ALL, 0, "rx" },
    { "sub", ROW(sub), IR_CC_SUB, ALL, 0, "ry" },
    { "cmp", ROW(sub), IR_CC_CMP, ALL, 0, "xy" },
    { "and", ROW(and), IR_CC_LOGIC, ALL & ~A, 0, "r" },
    { "adc", ROW(adc), IR_CC_ADC, ALL, 0, "ryx" },
    { "sbb", ROW(sbb), IR_CC_SBB, ALL, 0, "ryx" },
    { "inc", ROW(inc), IR_CC_INC, ALL, 0, "rf" },
    { "dec", ROW(dec), IR_CC_DEC, ALL, 0, "rf" },
    { "shl", ROW(shl), IR_CC_SHL, ALL & ~A, '<', "rs" },
    { "shr", ROW(shr), IR_CC_SHR, ALL & ~A, '>', "rs" },
    { "sar", ROW(sar), IR_CC_SAR, ALL & ~A, ')', "rs" },
    { "mul", ROW(mul), IR_CC_MUL, C | O, '*', "rh" },
};

static uint64_t shifted(char shape, unsigned w, uint64_t x, unsigned n)
{
    unsigned up = 64 - ir_bits(w);
    if (shape == '<') {
        return x << n;
    }
    return shape == '>' ? (x << up) >> up >> n : (uint64_t)((int64_t)(x << up) >> up >> n);
}

static uint64_t operand(uint64_t *rng)
{
    static const uint64_t edge[] = { 0, 1, 2, 0xf, 0x10, 0x7e, 0x7f, 0x80, 0x81, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
        0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff, 0xfffffffffffffffe };
    uint64_t r = randir_next(rng);
    return r & 1 ? edge[r / 2 % (sizeof(edge) / sizeof(edge[0]))] : randir_next(rng);
}

static void check(const struct row *row, unsigned w, uint64_t *rng)
{
    uint64_t x = operand(rng), y = operand(rng), r = x, in = 0x202 | (randir_next(rng) & ALL), value[3] = { 0 };
    uint32_t defined = row->defined, host, ours;
    bool shift = row->shape && row->shape != '*';

    if (shift) {
        y = 1 + y % (ir_bits(w) - 1);
        defined &= y == 1 ? ALL : ~O;
    }
    host = (uint32_t)row->fn[w](in, &r, y);
    for (unsigned i = 0; row->abc[i]; i++) {
        switch (row->abc[i]) {
        case 'r': value[i] = r; break;
        case 'x': value[i] = x; break;
        case 'y': value[i] = y; break;
        case 'f': value[i] = in & C; break;
        case 's': value[i] = shifted(row->shape, w, x, (unsigned)y - 1); break;
        default: {
            uint64_t m = w == IR_64 ? ~0ull : (1ull << ir_bits(w)) - 1;
            value[i] = (uint64_t)((unsigned __int128)(x & m) * (y & m) >> ir_bits(w));
            break;
        }
        }
    }
    if (w < IR_32) {                          /* what lies above the width must not matter */
        for (unsigned i = 0; i < 3; i++) {
            value[i] ^= row->abc[i] == 'f' ? 0 : randir_next(rng) << ir_bits(w);
            if (!row->abc[i]) {
                break;
            }
        }
    }
    ours = cc_eflags(row->kind, w, value[0], value[1], value[2]);
    cr_assert_eq(ours & defined, host & defined, "%s width %u x=%lx y=%lx in=%lx: ours %x, host %x", row->name, ir_bits(w),
                 (long)x, (long)y, (long)in, ours & defined, host & defined);
}

Test(cc, kinds_against_host)
{
    uint64_t rng = 1;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned n = 0; n < 40000; n++) {
            check(&rows[i], n & 3, &rng);
        }
    }
}

Test(cc, conditions_against_host)
{
    for (unsigned f = 0; f < 0x1000; f++) {
        uint64_t in = 0x202 | f;
        uint8_t yes[8];

        if (f & ~(unsigned)ALL) {
            continue;
        }
        __asm__ volatile("lea -128(%%rsp), %%rsp; push %0; popfq; seto (%1); setc 1(%1); setz 2(%1); setbe 3(%1); sets 4(%1); "
                         "setp 5(%1); setl 6(%1); setle 7(%1); lea 128(%%rsp), %%rsp" : : "r"(in), "r"(yes) : "cc", "memory");
        for (unsigned c = 0; c < 8; c++) {
            cr_assert_eq(cc_test(2 * c, f), yes[c], "condition %u flags %x", 2 * c, f);
            cr_assert_eq(cc_test(2 * c + 1, f), !yes[c], "condition %u flags %x", 2 * c + 1, f);
        }
    }
}

#endif

Test(cc, kinds_without_an_instruction)
{
    cr_assert_eq(cc_eflags(IR_CC_EFLAGS, IR_8, ~0ull, 0, 0), 0x8d5);
    cr_assert_eq(cc_eflags(IR_CC_BITC, IR_8, 1, 0x8d4, 0), 0x8d5);
    cr_assert_eq(cc_eflags(IR_CC_BITC, IR_64, 0, 0x8d5, 0), 0x8d4);
    cr_assert_eq(cc_eflags(IR_CC_ZONLY, IR_16, 0x10000, 1, 0), 0x41);
    cr_assert_eq(cc_eflags(IR_CC_ZONLY, IR_32, 0x10000, 0, 0), 0);
}
