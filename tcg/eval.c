/*
 * Evaluation of pure integer operations, as ops.def defines them: the one reference, used by the interpreter and by
 * constant folding.
 */
#include "tcg/ir_priv.h"

typedef unsigned __int128 u128;
typedef __int128 s128;

static int64_t sign(unsigned w, uint64_t v)
{
    unsigned up = 64 - ir_bits(w);
    return (int64_t)(v << up) >> up;
}

static uint64_t rotate_left(unsigned w, uint64_t v, unsigned n)
{
    unsigned bits = ir_bits(w);
    n &= bits - 1;
    v &= ir_mask(w);
    return n ? v << n | v >> (bits - n) : v;
}

static uint64_t reverse_bytes(unsigned w, uint64_t v)
{
    return w == IR_64 ? __builtin_bswap64(v) : w == IR_32 ? __builtin_bswap32((uint32_t)v) : __builtin_bswap16((uint16_t)v);
}

static uint64_t shift(const struct ir_op *op, uint64_t a, uint64_t b)
{
    unsigned n = b & (op->w == IR_64 ? 63 : 31);
    switch (op->op) {
    case IR_shl: return a << n;
    case IR_shr: return (a & ir_mask(op->w)) >> n;
    case IR_sar: return (uint64_t)(sign(op->w, a) >> n);
    case IR_rol: return rotate_left(op->w, a, n);
    default:     return rotate_left(op->w, a, -n & (ir_bits(op->w) - 1));
    }
}

uint64_t ir_eval_hi(unsigned op, unsigned w, uint64_t a, uint64_t b)
{
    u128 p = op == IR_muls2 ? (u128)((s128)sign(w, a) * sign(w, b)) : (u128)(a & ir_mask(w)) * (b & ir_mask(w));
    return (uint64_t)(p >> ir_bits(w)) & ir_mask(w);
}

bool ir_eval(const struct ir_op *op, uint64_t a, uint64_t b, uint64_t *result)
{
    uint64_t m = ir_mask(op->w), r, x = a & m;

    switch (op->op) {
    case IR_const: *result = (uint64_t)op->imm; return true;
    case IR_add:   r = a + b; break;
    case IR_sub:   r = a - b; break;
    case IR_and:   r = a & b; break;
    case IR_or:    r = a | b; break;
    case IR_xor:   r = a ^ b; break;
    case IR_andn:  r = ~a & b; break;
    case IR_not:   r = ~a; break;
    case IR_neg:   r = -a; break;
    case IR_mul: case IR_mulu2: case IR_muls2: r = a * b; break;
    case IR_shl: case IR_shr: case IR_sar: case IR_rol: case IR_ror: r = shift(op, a, b); break;
    case IR_lea:   r = a + (b << op->sub) + (uint64_t)op->imm; break;
    case IR_zext:  *result = a & ir_mask(op->sub); return true;
    case IR_sext:  r = (uint64_t)sign(op->sub, a); break;
    case IR_insert8:   r = (a & ~0xffull) | (b & 0xff); break;
    case IR_insert8h:  r = (a & ~0xff00ull) | (b & 0xff) << 8; break;
    case IR_insert16:  r = (a & ~0xffffull) | (b & 0xffff); break;
    case IR_extract8h: *result = a >> 8 & 0xff; return true;
    case IR_bswap: r = reverse_bytes(op->w, a); break;
    case IR_clz:   r = x ? (unsigned)__builtin_clzll(x) - (64 - ir_bits(op->w)) : ir_bits(op->w); break;
    case IR_ctz:   r = x ? (unsigned)__builtin_ctzll(x) : ir_bits(op->w); break;
    case IR_popcnt: for (r = 0; x; x &= x - 1) r++; break;
    case IR_eqz:   *result = x == 0; return true;
    default: return false;
    }
    *result = r & m;
    return true;
}
