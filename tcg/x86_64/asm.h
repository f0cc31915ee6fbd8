/*
 * x86-64 encoder: bytes into a buffer, no state but the write pointer and an instruction count. Intel SDM vol. 2, chapter 2.
 * Widths are enum ir_width: 0 = 8 bit ... 3 = 64.
 */
#ifndef TCG_X86_64_ASM_H
#define TCG_X86_64_ASM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, NOREG = -1 };

/* Registers with a fixed role, tcg/env.h */
enum { HR_S = R9, HR_T = R10, HR_I = R11, HR_STATE = RBP, HR_CTX = R15 };

enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };
enum { SH_ROL, SH_ROR, SH_RCL, SH_RCR, SH_SHL, SH_SHR, SH_SAR = 7 };
enum { CC_O, CC_NO, CC_C, CC_NC, CC_Z, CC_NZ, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP, CC_L, CC_GE, CC_LE, CC_G };

struct code {
    uint8_t *p;
    uint32_t insns;
};

struct amem {
    int8_t base, index;      /* NOREG: none */
    uint8_t scale;           /* log2 */
    int32_t disp;
};

static inline struct amem am(int base, int32_t disp) { return (struct amem){ (int8_t)base, NOREG, 0, disp }; }

static inline void e8(struct code *o, unsigned v) { *o->p++ = (uint8_t)v; }
static inline void e16(struct code *o, unsigned v) { uint16_t x = (uint16_t)v; memcpy(o->p, &x, 2); o->p += 2; }
static inline void e32(struct code *o, uint32_t v) { memcpy(o->p, &v, 4); o->p += 4; }
static inline void e64(struct code *o, uint64_t v) { memcpy(o->p, &v, 8); o->p += 8; }

/* Opcodes above 0xff are of map 0F: 0x1xx. 0x2xx: 0F38, 0x3xx: 0F3A. */
#define OP_0F 0x100
#define OP_0F38 0x200
#define OP_0F3A 0x300
enum { BYTE_REG = 1, BYTE_RM = 2 };      /* which fields name 8-bit registers */

/* The functions below work on a pointer of their own: a store of bytes through o->p would make the compiler load o->p again each time. */
static inline uint8_t *put_opcode(uint8_t *p, unsigned op)
{
    if (op >> 8) {
        *p++ = 0x0f;
        if (op >> 8 == 2)
            *p++ = 0x38;
        else if (op >> 8 == 3)
            *p++ = 0x3a;
    }
    *p++ = (uint8_t)op;
    return p;
}

static inline void e_opcode(struct code *o, unsigned op) { o->p = put_opcode(o->p, op); }

static inline uint8_t *put_prefixes(uint8_t *p, unsigned pfx, int w, unsigned rex)
{
    if (pfx)
        *p++ = (uint8_t)pfx;
    else if (w == 1)
        *p++ = 0x66;
    if (rex)
        *p++ = (uint8_t)rex;
    return p;
}

/* pfx: mandatory prefix or 0. */
static inline void op_rr_p(struct code *o, unsigned pfx, int w, unsigned op, int reg, int rm, unsigned bytes)
{
    unsigned rex = (w == 3 ? 8u : 0) | (unsigned)(reg & 8) >> 1 | (unsigned)(rm & 8) >> 3;
    uint8_t *p;

    if (rex || ((bytes & BYTE_REG) && reg >= 4) || ((bytes & BYTE_RM) && rm >= 4))
        rex |= 0x40;
    p = put_opcode(put_prefixes(o->p, pfx, w, rex), op);
    *p++ = (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7));
    o->p = p;
    o->insns++;
}

static inline void op_rr(struct code *o, int w, unsigned op, int reg, int rm, unsigned bytes)
{
    op_rr_p(o, 0, w, op, reg, rm, bytes);
}

/* Writes up to 3 bytes more than it takes. */
static inline uint8_t *put_modrm_mem(uint8_t *p, int reg, struct amem m)
{
    unsigned r = (unsigned)(reg & 7) << 3, mod, n;

    if (m.base == NOREG) {                       /* [index*s + disp32] or [disp32] */
        p[0] = (uint8_t)(0x04 | r);
        p[1] = (uint8_t)((unsigned)m.scale << 6 | (m.index == NOREG ? 4u : (unsigned)m.index & 7) << 3 | 5);
        memcpy(p + 2, &m.disp, 4);
        return p + 6;
    }
    if (m.disp == 0 && (m.base & 7) != 5) {
        mod = 0;
        n = 0;
    } else if (m.disp == (int8_t)m.disp) {
        mod = 0x40;
        n = 1;
    } else {
        mod = 0x80;
        n = 4;
    }
    if (m.index != NOREG || (m.base & 7) == 4) {
        *p++ = (uint8_t)(mod | r | 4);
        *p++ = (uint8_t)((unsigned)m.scale << 6 | (m.index == NOREG ? 4u : (unsigned)m.index & 7) << 3 | ((unsigned)m.base & 7));
    } else {
        *p++ = (uint8_t)(mod | r | ((unsigned)m.base & 7));
    }
    memcpy(p, &m.disp, 4);
    return p + n;
}

static inline void e_modrm_mem(struct code *o, int reg, struct amem m) { o->p = put_modrm_mem(o->p, reg, m); }

static inline void op_rm_p(struct code *o, unsigned pfx, int w, unsigned op, int reg, struct amem m, unsigned bytes)
{
    unsigned rex = (w == 3 ? 8u : 0) | (unsigned)(reg & 8) >> 1 | (m.index >= 8 ? 2u : 0) | (m.base >= 8 ? 1u : 0);

    if (rex || ((bytes & BYTE_REG) && reg >= 4))
        rex |= 0x40;
    o->p = put_modrm_mem(put_opcode(put_prefixes(o->p, pfx, w, rex), op), reg, m);
    o->insns++;
}

static inline void op_rm(struct code *o, int w, unsigned op, int reg, struct amem m, unsigned bytes)
{
    op_rm_p(o, 0, w, op, reg, m, bytes);
}

/* VEX, with two bytes where these do. pp: 0 none, 1 66, 2 F3, 3 F2. rm: register, or NOREG: m. */
static inline void op_vex(struct code *o, unsigned map, unsigned pp, bool w, unsigned l, unsigned op, int reg, int vvvv, int rm, struct amem m)
{
    bool mem = rm == NOREG;
    unsigned b = mem ? m.base >= 8 : rm >= 8, x = mem && m.index >= 8;

    o->insns++;
    if (map == 1 && !w && !x && !b) {
        e8(o, 0xc5);
        e8(o, (reg >= 8 ? 0 : 0x80u) | (unsigned)(~vvvv & 15) << 3 | l << 2 | pp);
    } else {
        e8(o, 0xc4);
        e8(o, (reg >= 8 ? 0 : 0x80u) | (x ? 0 : 0x40u) | (b ? 0 : 0x20u) | map);
        e8(o, (w ? 0x80u : 0) | (unsigned)(~vvvv & 15) << 3 | l << 2 | pp);
    }
    e8(o, op);
    if (mem)
        e_modrm_mem(o, reg, m);
    else
        e8(o, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static inline void i_mov_rr(struct code *o, int w, int d, int s) { op_rr(o, w < 2 ? 2 : w, 0x8b, d, s, 0); }
static inline void i_load(struct code *o, int w, int d, struct amem m)   /* zero-extends 8 and 16 */
{
    if (w >= 2)
        op_rm(o, w, 0x8b, d, m, 0);
    else
        op_rm(o, 2, OP_0F | (w ? 0xb7 : 0xb6), d, m, 0);
}
static inline void i_store(struct code *o, int w, struct amem m, int s)
{
    op_rm(o, w, w ? 0x89 : 0x88, s, m, w ? 0 : BYTE_REG);
}
static inline void i_store_imm(struct code *o, int w, struct amem m, int32_t v)
{
    op_rm(o, w, w ? 0xc7 : 0xc6, 0, m, 0);
    if (w == 0)
        e8(o, (unsigned)v);
    else if (w == 1)
        e16(o, (unsigned)v);
    else
        e32(o, (uint32_t)v);
}
static inline void i_mov_imm(struct code *o, int d, int64_t v)
{
    if (v == (int64_t)(uint32_t)v) {
        o->insns++;
        if (d >= 8)
            e8(o, 0x41);
        e8(o, 0xb8 | (d & 7));
        e32(o, (uint32_t)v);
    } else if (v == (int32_t)v) {
        op_rr(o, 3, 0xc7, 0, d, 0);
        e32(o, (uint32_t)v);
    } else {
        o->insns++;
        e8(o, d >= 8 ? 0x49 : 0x48);
        e8(o, 0xb8 | (d & 7));
        e64(o, (uint64_t)v);
    }
}
static inline void i_alu_rr(struct code *o, int w, int alu, int d, int s)
{
    op_rr(o, w, (unsigned)alu * 8 + (w ? 3 : 2), d, s, w ? 0 : BYTE_REG | BYTE_RM);
}
static inline void i_alu_rm(struct code *o, int w, int alu, int d, struct amem m)
{
    op_rm(o, w, (unsigned)alu * 8 + (w ? 3 : 2), d, m, w ? 0 : BYTE_REG);
}
static inline void i_alu_mr(struct code *o, int w, int alu, struct amem m, int s)
{
    op_rm(o, w, (unsigned)alu * 8 + (w ? 1 : 0), s, m, w ? 0 : BYTE_REG);
}
static inline void e_imm_alu(struct code *o, int w, int32_t v)
{
    if (w == 0 || v == (int8_t)v)
        e8(o, (unsigned)v);
    else if (w == 1)
        e16(o, (unsigned)v);
    else
        e32(o, (uint32_t)v);
}
static inline void i_alu_ri(struct code *o, int w, int alu, int d, int32_t v)
{
    op_rr(o, w, w == 0 ? 0x80 : v == (int8_t)v ? 0x83 : 0x81, alu, d, w ? 0 : BYTE_RM);
    e_imm_alu(o, w, v);
}
static inline void i_alu_mi(struct code *o, int w, int alu, struct amem m, int32_t v)
{
    op_rm(o, w, w == 0 ? 0x80 : v == (int8_t)v ? 0x83 : 0x81, alu, m, 0);
    e_imm_alu(o, w, v);
}
static inline void i_test_rr(struct code *o, int w, int a, int b)
{
    op_rr(o, w, w ? 0x85 : 0x84, b, a, w ? 0 : BYTE_REG | BYTE_RM);
}
static inline void i_test_ri(struct code *o, int w, int a, int32_t v)
{
    op_rr(o, w, w ? 0xf7 : 0xf6, 0, a, w ? 0 : BYTE_RM);
    if (w == 0)
        e8(o, (unsigned)v);
    else if (w == 1)
        e16(o, (unsigned)v);
    else
        e32(o, (uint32_t)v);
}
static inline void i_lea(struct code *o, int w, int d, struct amem m) { op_rm(o, w, 0x8d, d, m, 0); }
static inline void i_shift_i(struct code *o, int w, int sh, int d, unsigned n)
{
    if (n == 1) {
        op_rr(o, w, w ? 0xd1 : 0xd0, sh, d, w ? 0 : BYTE_RM);
        return;
    }
    op_rr(o, w, w ? 0xc1 : 0xc0, sh, d, w ? 0 : BYTE_RM);
    e8(o, n);
}
static inline void i_shift_cl(struct code *o, int w, int sh, int d) { op_rr(o, w, w ? 0xd3 : 0xd2, sh, d, w ? 0 : BYTE_RM); }
static inline void i_setcc(struct code *o, int cc, int d) { op_rr(o, 2, OP_0F | 0x90 | (unsigned)cc, 0, d, BYTE_RM); }
static inline void i_movzx(struct code *o, int w_from, int d, int s)
{
    if (w_from >= 2)
        i_mov_rr(o, w_from, d, s);
    else
        op_rr(o, 2, OP_0F | (w_from ? 0xb7 : 0xb6), d, s, w_from ? 0 : BYTE_RM);
}
static inline void i_movsx(struct code *o, int w, int w_from, int d, int s)
{
    if (w_from == 2)
        op_rr(o, w, w == 3 ? 0x63 : 0x8b, d, s, 0);
    else if (w_from == 3)
        i_mov_rr(o, 3, d, s);
    else
        op_rr(o, w, OP_0F | (w_from ? 0xbf : 0xbe), d, s, w_from ? 0 : BYTE_RM);
}
static inline void i_cmov(struct code *o, int w, int cc, int d, int s) { op_rr(o, w, OP_0F | 0x40 | (unsigned)cc, d, s, 0); }
static inline void i_rorx(struct code *o, int w, int d, int s, unsigned n)
{
    op_vex(o, 3, 3, w == 3, 0, 0xf0, d, 0, s, am(0, 0));
    e8(o, n);
}
/* kind: SH_SHL, SH_SHR, SH_SAR */
static inline void i_shiftx(struct code *o, int w, int kind, int d, int s, int count)
{
    op_vex(o, 2, kind == SH_SHL ? 1 : kind == SH_SHR ? 3 : 2, w == 3, 0, 0xf7, d, count, s, am(0, 0));
}

/* Jumps. rel32 fields are returned for fixing later. */
static inline uint8_t *i_jmp(struct code *o)
{
    o->insns++;
    e8(o, 0xe9);
    e32(o, 0);
    return o->p - 4;
}
static inline uint8_t *i_jcc(struct code *o, int cc)
{
    o->insns++;
    e8(o, 0x0f);
    e8(o, 0x80 | (unsigned)cc);
    e32(o, 0);
    return o->p - 4;
}
static inline uint8_t *i_call(struct code *o)
{
    o->insns++;
    e8(o, 0xe8);
    e32(o, 0);
    return o->p - 4;
}
static inline uint8_t *i_jcc8(struct code *o, int cc)
{
    o->insns++;
    e8(o, 0x70 | (unsigned)cc);
    e8(o, 0);
    return o->p - 1;
}
static inline void fix8(uint8_t *at, const uint8_t *to) { *at = (uint8_t)(to - (at + 1)); }
static inline void fix32(uint8_t *at, const uint8_t *to)
{
    int32_t d = (int32_t)(to - (at + 4));
    memcpy(at, &d, 4);
}
static inline void i_jmp_to(struct code *o, const uint8_t *to) { uint8_t *f = i_jmp(o); fix32(f, to); }
static inline void i_call_to(struct code *o, const uint8_t *to) { uint8_t *f = i_call(o); fix32(f, to); }
static inline void i_push(struct code *o, int r)
{
    o->insns++;
    if (r >= 8)
        e8(o, 0x41);
    e8(o, 0x50 | (r & 7));
}
static inline void i_pop(struct code *o, int r)
{
    o->insns++;
    if (r >= 8)
        e8(o, 0x41);
    e8(o, 0x58 | (r & 7));
}
static inline void i_ret(struct code *o) { o->insns++; e8(o, 0xc3); }
static inline void i_jmp_r(struct code *o, int r) { op_rr(o, 2, 0xff, 4, r, 0); }
static inline void i_call_r(struct code *o, int r) { op_rr(o, 2, 0xff, 2, r, 0); }
/* movaps */
static inline void i_vload(struct code *o, int x, struct amem m) { op_rm(o, 2, OP_0F | 0x28, x, m, 0); }
static inline void i_vstore(struct code *o, struct amem m, int x) { op_rm(o, 2, OP_0F | 0x29, x, m, 0); }
/* vmovaps; l: 32 bytes */
static inline void i_vex_load(struct code *o, unsigned l, int x, struct amem m) { op_vex(o, 1, 0, false, l, 0x28, x, 0, NOREG, m); }
static inline void i_vex_store(struct code *o, unsigned l, struct amem m, int x) { op_vex(o, 1, 0, false, l, 0x29, x, 0, NOREG, m); }
/* vzeroupper, vzeroall */
static inline void i_vzero(struct code *o, bool all)
{
    o->insns++;
    e8(o, 0xc5);
    e8(o, all ? 0xfc : 0xf8);
    e8(o, 0x77);
}

/* n bytes of padding in as few instructions as possible (SDM vol. 2, NOP) */
static inline void i_nops(struct code *o, unsigned n)
{
    static const uint8_t nop[9][9] = {
        { 0x90 }, { 0x66, 0x90 }, { 0x0f, 0x1f, 0x00 }, { 0x0f, 0x1f, 0x40, 0 }, { 0x0f, 0x1f, 0x44, 0, 0 },
        { 0x66, 0x0f, 0x1f, 0x44, 0, 0 }, { 0x0f, 0x1f, 0x80, 0, 0, 0, 0 }, { 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0 },
        { 0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0 },
    };

    while (n) {
        unsigned k = n > 9 ? 9 : n;
        memcpy(o->p, nop[k - 1], k);
        o->p += k;
        o->insns++;
        n -= k;
    }
}

#endif
