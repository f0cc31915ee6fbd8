/*
 * Simplification of one op by looking at its inputs. Used while IR is built and again by the passes.
 */
#include "tcg/ir_priv.h"

static bool is_const(const struct ir *ir, ir_ref v) { return v && ir->ops[v].op == IR_const; }

bool ir_may_fault(const struct ir_op *op)
{
    if (op->op == IR_call) {
        return op->helper->effects & IR_EFF_FAULTS;
    }
    if (op->op == IR_native) {
        const struct ir_native *n = op->native;
        return op->a || n->fault_fp || n->reg_kind == IR_NR_MEM || n->rm_kind == IR_NR_MEM || n->kind == IR_NATIVE_X87 ||
            n->kind == IR_NATIVE_MMX;
    }
    return ir_op_info[op->op].props & IR_FAULT;
}

bool ir_defined64(const struct ir_op *op)
{
    switch (op->op) {
    case IR_zext: case IR_sext: case IR_extract8h: case IR_eqz: case IR_cond: case IR_const: case IR_ld: case IR_ldenv:
    case IR_get: case IR_eflags: case IR_pcrel: case IR_native: case IR_call:
        return true;
    default:
        return op->w >= IR_32;
    }
}

static unsigned const_bits(uint64_t v) { return v ? 64 - (unsigned)__builtin_clzll(v) : 0; }

unsigned ir_known_bits(const struct ir *ir, ir_ref v)
{
    const struct ir_op *o = &ir->ops[v];
    unsigned bits = o->w == IR_32 ? 32 : 64, k;

    switch (o->op) {
    case IR_const: return const_bits((uint64_t)o->imm);
    case IR_cond: case IR_eqz: return 1;
    case IR_extract8h: return 8;
    case IR_eflags: return 12;
    case IR_zext: return ir_bits(o->sub);
    case IR_sext: case IR_ldenv: case IR_get: return ir_bits(o->w);
    case IR_ld: return o->mem.sign ? 64 : 8u << o->mem.size;
    case IR_clz: case IR_ctz: case IR_popcnt: return o->w >= IR_32 ? 7 : 64;
    case IR_and:
        if (o->w >= IR_32 && is_const(ir, o->b)) {
            k = const_bits((uint64_t)ir->ops[o->b].imm & ir_mask(o->w));
            return k < bits ? k : bits;
        }
        return bits;
    case IR_native: case IR_call: case IR_pcrel: return 64;
    default: return bits;
    }
}

/* The value of width w that `a`, wider or not, holds in its low bits. */
static ir_ref low_part(const struct ir *ir, struct ir_op *op, ir_ref a)
{
    if (op->w != IR_32 || ir_known_bits(ir, a) <= 32) {
        return a;
    }
    *op = (struct ir_op){ .op = IR_zext, .w = IR_64, .sub = IR_32, .a = a };
    return 0;
}

static ir_ref become_const(struct ir_op *op, uint64_t v)
{
    *op = (struct ir_op){ .op = IR_const, .w = IR_64, .imm = (int64_t)v };
    return 0;
}

/* a == b, or b is a constant. */
static ir_ref fold_binary(const struct ir *ir, struct ir_op *op)
{
    uint64_t m = ir_mask(op->w), k;

    if (op->a == op->b) {
        switch (op->op) {
        case IR_sub: case IR_xor: case IR_andn: return become_const(op, 0);
        case IR_and: case IR_or: return low_part(ir, op, op->a);
        default: break;
        }
    }
    if (!is_const(ir, op->b)) {
        return 0;
    }
    k = (uint64_t)ir->ops[op->b].imm & m;
    switch (op->op) {
    case IR_add: case IR_sub: case IR_xor:
        return k == 0 ? low_part(ir, op, op->a) : 0;
    case IR_or:
        return k == 0 ? low_part(ir, op, op->a) : k == m ? become_const(op, m) : 0;
    case IR_and:
        return k == 0 ? become_const(op, 0) : k == m ? low_part(ir, op, op->a) : 0;
    case IR_mul:
        return k == 0 ? become_const(op, 0) : k == 1 ? low_part(ir, op, op->a) : 0;
    case IR_shl: case IR_shr: case IR_sar: case IR_rol: case IR_ror:
        return (k & (op->w == IR_64 ? 63 : 31)) == 0 ? low_part(ir, op, op->a) : 0;
    default:
        return 0;
    }
}

static ir_ref fold_convert(const struct ir *ir, struct ir_op *op)
{
    const struct ir_op *a = &ir->ops[op->a];

    switch (op->op) {
    case IR_zext:
        if (op->sub == IR_64 || ir_known_bits(ir, op->a) <= ir_bits(op->sub)) {
            return op->a;
        }
        if (a->op == IR_zext || (a->op == IR_sext && a->sub >= op->sub)) {  /* a's own cut is wider: look through */
            op->a = a->a;
        }
        return 0;
    case IR_sext:
        if (op->sub >= op->w) {
            *op = (struct ir_op){ .op = IR_zext, .w = IR_64, .sub = op->w, .a = op->a };
            return fold_convert(ir, op);
        }
        /* already sign-extended that far, and cut to this width */
        return a->op == IR_sext && a->sub <= op->sub && a->w == op->w ? op->a : 0;
    case IR_insert16:
        if ((a->op == IR_insert16 || a->op == IR_insert8 || a->op == IR_insert8h) && a->w >= op->w) {
            op->a = a->a;
        }
        return 0;
    case IR_insert8: case IR_insert8h:
        if (a->op == op->op && a->w >= op->w) {
            op->a = a->a;
        }
        return 0;
    case IR_extract8h:
        if (a->op == IR_insert8h) {
            *op = (struct ir_op){ .op = IR_zext, .w = IR_64, .sub = IR_8, .a = a->b };
            return fold_convert(ir, op);
        }
        return 0;
    default:
        return 0;
    }
}

/* Flags of constants: true and the EFLAGS bits. */
static bool const_flags(const struct ir *ir, ir_ref f, uint32_t *eflags)
{
    const struct ir_op *o = &ir->ops[f];

    if (o->op != IR_flags || !is_const(ir, o->a) || (o->b && !is_const(ir, o->b)) || (o->c && !is_const(ir, o->c))) {
        return false;
    }
    *eflags = cc_eflags(o->sub, o->w, (uint64_t)ir->ops[o->a].imm, (uint64_t)ir->ops[o->b].imm, (uint64_t)ir->ops[o->c].imm);
    return true;
}

static ir_ref fold_flags(const struct ir *ir, struct ir_op *op)
{
    const struct ir_op *a = &ir->ops[op->a];
    uint32_t f;

    switch (op->op) {
    case IR_flags:
        if (op->sub == IR_CC_EFLAGS && a->op == IR_eflags) {
            return a->a;
        }
        /* C = O = A = 0 after adding or taking away 0 */
        if ((op->sub == IR_CC_CMP || op->sub == IR_CC_SUB || op->sub == IR_CC_ADD) && is_const(ir, op->b) &&
            ((uint64_t)ir->ops[op->b].imm & ir_mask(op->w)) == 0) {
            op->sub = IR_CC_LOGIC;
            op->b = 0;
        }
        return 0;
    case IR_cond:
        return const_flags(ir, op->a, &f) ? become_const(op, cc_test(op->sub, f)) : 0;
    case IR_eflags:
        return const_flags(ir, op->a, &f) ? become_const(op, f) : 0;
    case IR_select:
        if (op->b == op->c) {
            return low_part(ir, op, op->b);
        }
        return const_flags(ir, op->a, &f) ? low_part(ir, op, cc_test(op->sub, f) ? op->b : op->c) : 0;
    default:                                             /* adc, sbb */
        if (ir->ops[op->c].op == IR_flags && ir->ops[op->c].sub == IR_CC_LOGIC) {
            op->op = op->op == IR_adc ? IR_add : IR_sub;
            op->c = 0;
            return ir_fold(ir, op);
        }
        return 0;
    }
}

static ir_ref fold_lea(const struct ir *ir, struct ir_op *op)
{
    /* A constant that moves between base and displacement: front ends go through ir_lea(), so only the easy one. */
    if (op->b && is_const(ir, op->b)) {
        int64_t sum = (int64_t)((uint64_t)op->imm + ((uint64_t)ir->ops[op->b].imm << op->sub));
        if (ir_fits32(sum)) {
            op->imm = sum;
            op->b = 0;
            op->sub = 0;
        }
    }
    return !op->b && op->imm == 0 ? low_part(ir, op, op->a) : 0;
}

ir_ref ir_fold(const struct ir *ir, struct ir_op *op)
{
    uint64_t v;

    switch (op->op) {
    case IR_add: case IR_and: case IR_or: case IR_xor: case IR_mul:
        if (is_const(ir, op->a)) {                       /* constants stand right */
            ir_ref t = op->a;
            op->a = op->b;
            op->b = t;
        }
        break;
    case IR_flags: case IR_cond: case IR_eflags: case IR_select: case IR_adc: case IR_sbb:
        return fold_flags(ir, op);
    case IR_hi: case IR_const: case IR_pcrel: case IR_mulu2: case IR_muls2:
        return 0;
    default:
        break;
    }
    if (is_const(ir, op->a) && (!op->b || is_const(ir, op->b)) &&
        ir_eval(op, (uint64_t)ir->ops[op->a].imm, (uint64_t)ir->ops[op->b].imm, &v)) {
        return become_const(op, v);
    }
    switch (op->op) {
    case IR_lea:
        return fold_lea(ir, op);
    case IR_zext: case IR_sext: case IR_insert8: case IR_insert8h: case IR_insert16: case IR_extract8h:
        return fold_convert(ir, op);
    default:
        return op->b ? fold_binary(ir, op) : 0;
    }
}
