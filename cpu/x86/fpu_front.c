/*
 * Helpers of the vector and x87 front end that work on the state images: string compares, masked stores, the x87 environment in its
 * 16- and 32-bit formats.
 *
 * While such a helper runs (IR_EFF_VEC) the x87/MMX state is in state.fx (an FXSAVE image) and the vectors in state.vec. Instruction and data
 * pointers and the last opcode are not kept: they read as zero. Spec: Intel SDM vol. 1, 8.1.10; vol. 2, PCMPxSTRx (4.1), MASKMOVDQU.
 */
#include <string.h>

#include "cpu/x86/fpu_helpers.h"
#include "cpu/x86/helpers.h"
#include "cpu/x86/sys_priv.h"

#define RAISE (IR_EFF_GPR | IR_EFF_FAULTS)
#define HELPER(name, args, ret, effects) \
    const struct ir_helper x86_helper_##name = {#name, (void *)x86_do_##name, args, ret, effects};
#include "cpu/x86/fpu_helpers.def"
#undef HELPER

static unsigned regime(const struct x86_state *s) { return x86_regime_at(s, x86_cpl(s)); }

/* ---- string compares (SDM vol. 2, 4.1) ---- */

struct text {
    int32_t at[16];           /* elements, extended as their type says */
    unsigned len;
};

static int32_t element(const uint8_t *p, unsigned i, unsigned imm)
{
    if (imm & 1) {
        uint16_t v;
        memcpy(&v, p + 2 * i, 2);
        return imm & 2 ? (int16_t)v : v;
    }
    return imm & 2 ? (int8_t)p[i] : p[i];
}

/* Length: the register's value without its sign, at most all; or up to the first zero element. */
static void text_in(struct text *t, const uint8_t *p, unsigned imm, bool explicit_len, int64_t len)
{
    unsigned n = imm & 1 ? 8 : 16;

    for (unsigned i = 0; i < n; i++) {
        t->at[i] = element(p, i, imm);
    }
    t->len = 0;
    if (explicit_len) {
        uint64_t u = len < 0 ? -(uint64_t)len : (uint64_t)len;
        t->len = u < n ? (unsigned)u : n;
        return;
    }
    while (t->len < n && t->at[t->len]) {
        t->len++;
    }
}

enum { AGG_ANY, AGG_RANGES, AGG_EACH, AGG_ORDERED };

/* One element of the second operand against the first operand as a set, or as a list of ranges. */
static bool in_set(const struct text *a, int32_t v, bool ranges)
{
    for (unsigned j = 0; j + ranges < a->len; j += 1 + ranges) {
        if (ranges ? a->at[j] <= v && v <= a->at[j + 1] : a->at[j] == v) {
            return true;
        }
    }
    return false;
}

/* Does a stand at b[i]? What lies beyond the register's end counts as equal. */
static bool stands_at(const struct text *a, const struct text *b, unsigned i, unsigned n)
{
    for (unsigned j = 0; j < n && i + j < n; j++) {
        if (j >= a->len) {
            return true;
        }
        if (i + j >= b->len || a->at[j] != b->at[i + j]) {
            return false;
        }
    }
    return true;
}

static unsigned aggregate(const struct text *a, const struct text *b, unsigned imm, unsigned n)
{
    unsigned r = 0;

    for (unsigned i = 0; i < n; i++) {
        bool hit;
        switch (imm >> 2 & 3) {
        case AGG_ANY:
        case AGG_RANGES:
            hit = i < b->len && in_set(a, b->at[i], (imm >> 2 & 3) == AGG_RANGES);
            break;
        case AGG_EACH:
            hit = i < a->len && i < b->len ? a->at[i] == b->at[i] : i >= a->len && i >= b->len;
            break;
        default:
            hit = stands_at(a, b, i, n);
            break;
        }
        r |= (unsigned)hit << i;
    }
    return r;
}

static void mask_out(uint8_t *xmm, unsigned r, unsigned imm)
{
    memset(xmm, 0, 16);
    if (!(imm & 0x40)) {
        memcpy(xmm, &(uint16_t){(uint16_t)r}, 2);
        return;
    }
    unsigned size = imm & 1 ? 2 : 1;
    for (unsigned i = 0; i < 16 / size; i++) {
        memset(xmm + i * size, r >> i & 1 ? 0xff : 0, size);
    }
}

uint64_t x86_do_pcmpstr(struct x86_state *s, uint64_t lo, uint64_t hi, uint64_t form, uint64_t d)
{
    unsigned imm = form >> X86_PS_IMM & 0xff, n = imm & 1 ? 8 : 16;
    bool explicit_len = form >> X86_PS_EXPLICIT & 1, wide = form >> X86_PS_LONG & 1;
    const uint64_t mem[2] = {lo, hi};
    const uint8_t *second = form >> X86_PS_MEM & 1 ? (const uint8_t *)mem : s->vec[form >> X86_PS_RM & 31];
    int64_t la = (int64_t)s->gpr[X86_RAX], lb = (int64_t)s->gpr[X86_RDX];
    struct text a, b;

    (void)d;
    text_in(&a, s->vec[form >> X86_PS_REG & 31], imm, explicit_len, wide ? la : (int32_t)la);
    text_in(&b, second, imm, explicit_len, wide ? lb : (int32_t)lb);
    unsigned all = (1u << n) - 1, r = aggregate(&a, &b, imm, n);
    if (imm & 0x10) {
        r ^= imm & 0x20 ? (1u << b.len) - 1 : all;
    }
    uint32_t fl = (r ? X86_FL_C : 0) | (b.len < n ? X86_FL_Z : 0) | (a.len < n ? X86_FL_S : 0) | (r & 1 ? X86_FL_O : 0);
    unsigned index = !r ? n : imm & 0x40 ? 31 - (unsigned)__builtin_clz(r) : (unsigned)__builtin_ctz(r);
    if (form >> X86_PS_MASK & 1) {
        mask_out(s->vec[0], r, imm);
        if (form >> X86_PS_VEX & 1) {
            memset(s->vec[0] + 16, 0, 16);
        }
    }
    return index | (uint64_t)fl << 32;
}

/* ---- masked stores ---- */

uint64_t x86_do_maskmov(struct x86_state *s, uint64_t va, uint64_t regs, uint64_t c, uint64_t d)
{
    bool mmx = regs >> 16 & 1;
    const uint8_t *data = mmx ? s->fx + 32 + 16 * (regs & 7) : s->vec[regs & 31];
    const uint8_t *mask = mmx ? s->fx + 32 + 16 * (regs >> 8 & 7) : s->vec[regs >> 8 & 31];
    struct mmu_fault f;

    (void)c, (void)d;
    x86_need_aligned(s, va, 7);
    for (unsigned i = 0; i < (mmx ? 8 : 16); i++) {
        if ((mask[i] & 0x80) && !mem_st(s, va + i, 1, regime(s), data[i], &f)) {
            x86_raise_fault(s, &f);
        }
    }
    return 0;
}

/* ---- x87 environment ---- */

enum { FX_CW = 0, FX_SW = 2, FX_TAGS = 4, FX_OPCODE = 6, FX_REGS = 32, FX_REG_SIZE = 16, ENV_FIELDS = 7, ST_BYTES = 10,
       SW_ES = 0x8080, ERRORS = 0x3f };

static uint16_t get16(const struct x86_state *s, unsigned at)
{
    uint16_t v;
    memcpy(&v, s->fx + at, 2);
    return v;
}

static void set16(struct x86_state *s, unsigned at, uint16_t v) { memcpy(s->fx + at, &v, 2); }

/* The full tag of a register that is not empty: 0 valid, 1 zero, 2 special. */
static unsigned tag_of(const uint8_t *st)
{
    uint64_t m;
    uint16_t e;

    memcpy(&m, st, 8);
    memcpy(&e, st + 8, 2);
    e &= 0x7fff;
    if (e == 0) {
        return m == 0 ? 1 : 2;
    }
    return e == 0x7fff || !(m >> 63) ? 2 : 0;
}

/* Physical register r is ST(r - top). */
static uint16_t full_tags(const struct x86_state *s)
{
    unsigned top = get16(s, FX_SW) >> 11 & 7, tags = 0;

    for (unsigned r = 0; r < 8; r++) {
        unsigned t = s->fx[FX_TAGS] >> r & 1 ? tag_of(s->fx + FX_REGS + FX_REG_SIZE * ((r - top) & 7)) : 3;
        tags |= t << 2 * r;
    }
    return (uint16_t)tags;
}

/* TOP changes and the registers stay where they are: the image has them in the order of the stack. */
static void set_top(struct x86_state *s, unsigned top)
{
    unsigned old = get16(s, FX_SW) >> 11 & 7, n = (top - old) & 7;
    uint8_t regs[8 * FX_REG_SIZE];

    memcpy(regs, s->fx + FX_REGS, sizeof(regs));
    for (unsigned i = 0; i < 8; i++) {
        memcpy(s->fx + FX_REGS + FX_REG_SIZE * i, regs + FX_REG_SIZE * ((i + n) & 7), FX_REG_SIZE);
    }
}

static unsigned env_fields(const struct x86_state *s, unsigned size, uint64_t *v)
{
    uint64_t above = size == 4 ? 0xffff0000u : 0;

    memset(v, 0, ENV_FIELDS * sizeof(*v));
    v[0] = get16(s, FX_CW) | above;
    v[1] = get16(s, FX_SW) | above;
    v[2] = full_tags(s) | above;
    v[6] = above;
    return ENV_FIELDS;
}

static void env_set(struct x86_state *s, const uint64_t *v)
{
    uint16_t cw = (uint16_t)((v[0] & 0x1f7f) | 0x40), sw = (uint16_t)v[1];
    unsigned tags = 0;

    for (unsigned r = 0; r < 8; r++) {
        tags |= (unsigned)((v[2] >> 2 * r & 3) != 3) << r;
    }
    sw = sw & ~cw & ERRORS ? sw | SW_ES : sw & ~SW_ES;
    set_top(s, sw >> 11 & 7);
    set16(s, FX_CW, cw);
    set16(s, FX_SW, sw);
    s->fx[FX_TAGS] = (uint8_t)tags;
    memset(s->fx + FX_OPCODE, 0, 18);
}

/* Upwards; a fault leaves what was stored before it, as CPUs do. */
static void put_n(struct x86_state *s, uint64_t va, unsigned size, unsigned n, const uint64_t *v)
{
    struct mmu_fault f;

    for (unsigned i = 0; i < n; i++) {
        if (!mem_st(s, va + i * size, size, regime(s), v[i], &f)) {
            x86_raise_fault(s, &f);
        }
    }
}

static void get_n(struct x86_state *s, uint64_t va, unsigned size, unsigned n, uint64_t *v)
{
    struct mmu_fault f;
    if (!mem_ld_n(s, va, size, n, regime(s), v, &f)) {
        x86_raise_fault(s, &f);
    }
}

uint64_t x86_do_fnstenv(struct x86_state *s, uint64_t va, uint64_t size, uint64_t c, uint64_t d)
{
    uint64_t v[ENV_FIELDS];

    (void)c, (void)d;
    x86_need_aligned(s, va, size - 1);
    put_n(s, va, (unsigned)size, env_fields(s, (unsigned)size, v), v);
    set16(s, FX_CW, get16(s, FX_CW) | ERRORS);
    set16(s, FX_SW, get16(s, FX_SW) & ~SW_ES);          /* all masked now: none is pending */
    return 0;
}

uint64_t x86_do_fldenv(struct x86_state *s, uint64_t va, uint64_t size, uint64_t c, uint64_t d)
{
    uint64_t v[ENV_FIELDS];

    (void)c, (void)d;
    x86_need_aligned(s, va, size - 1);
    get_n(s, va, (unsigned)size, ENV_FIELDS, v);
    env_set(s, v);
    return 0;
}

/* The eight registers behind the environment, ten bytes each, as 16- or 32-bit pieces. */
enum { ST_ALL = 8 * ST_BYTES };

uint64_t x86_do_fnsave(struct x86_state *s, uint64_t va, uint64_t size, uint64_t c, uint64_t d)
{
    uint64_t v[ENV_FIELDS + ST_ALL / 2] = {0};
    uint8_t st[ST_ALL];
    unsigned n = env_fields(s, (unsigned)size, v);

    (void)c, (void)d;
    x86_need_aligned(s, va, size - 1);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(st + ST_BYTES * i, s->fx + FX_REGS + FX_REG_SIZE * i, ST_BYTES);
    }
    for (unsigned at = 0; at < ST_ALL; at += (unsigned)size) {
        memcpy(&v[n++], st + at, size);
    }
    put_n(s, va, (unsigned)size, n, v);
    set_top(s, 0);
    return x86_do_fninit(s, 0, 0, 0, 0);
}

uint64_t x86_do_frstor(struct x86_state *s, uint64_t va, uint64_t size, uint64_t c, uint64_t d)
{
    uint64_t v[ENV_FIELDS + ST_ALL / 2];
    uint8_t st[ST_ALL];

    (void)c, (void)d;
    x86_need_aligned(s, va, size - 1);
    get_n(s, va, (unsigned)size, ENV_FIELDS + ST_ALL / (unsigned)size, v);
    env_set(s, v);
    for (unsigned at = 0, n = ENV_FIELDS; at < ST_ALL; at += (unsigned)size) {
        memcpy(st + at, &v[n++], size);
    }
    for (unsigned i = 0; i < 8; i++) {
        memset(s->fx + FX_REGS + FX_REG_SIZE * i, 0, FX_REG_SIZE);
        memcpy(s->fx + FX_REGS + FX_REG_SIZE * i, st + ST_BYTES * i, ST_BYTES);
    }
    return 0;
}
