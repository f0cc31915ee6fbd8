/*
 * Integer instructions: arithmetic, moves, shifts, multiplication and division, bits, compare-and-exchange.
 *
 * LOCK forms become host atomics (rmw, cas). Those without a direct form (lock adc, sbb, btc ...) compare and swap, and run the
 * instruction again when another vCPU came between. Spec: Intel SDM vol. 2.
 */
#include "cpu/x86/translate_priv.h"

#include "cpu/x86/insn_handlers.h"

enum { VEC_DE = 0 };

static bool is_mem(const struct x86_opnd *o)
{
    return o->kind == X86_OPND_MEM;
}

static unsigned bits_of(unsigned w)
{
    return 8u << w;
}

/* ---- add, or, adc, sbb, and, sub, xor, cmp, test ---- */

/* Result and flags of `kind` on a, b; the flags are returned through *f. CMP and TEST have no result. */
static ir_ref alu_op(struct x86_tr *t, unsigned kind, unsigned w, ir_ref a, ir_ref b, ir_ref *f)
{
    struct ir *ir = t->ir;
    ir_ref r = 0;
    switch (kind) {
    case X86_ALU_ADD:
        r = ir_op2(ir, IR_add, w, a, b);
        *f = ir_flags(ir, IR_CC_ADD, w, r, b, 0);
        break;
    case X86_ALU_SUB:
        r = ir_op2(ir, IR_sub, w, a, b);
        *f = ir_flags(ir, IR_CC_SUB, w, r, b, 0);
        break;
    case X86_ALU_CMP:
        *f = ir_flags(ir, IR_CC_CMP, w, a, b, 0);
        break;
    case X86_ALU_ADC:
        r = ir_op3(ir, IR_adc, w, a, b, tr_flags(t));
        *f = ir_flags(ir, IR_CC_ADC, w, r, b, a);
        break;
    case X86_ALU_SBB:
        r = ir_op3(ir, IR_sbb, w, a, b, tr_flags(t));
        *f = ir_flags(ir, IR_CC_SBB, w, r, b, a);
        break;
    default: {
        enum ir_opcode op = kind == X86_ALU_AND ? IR_and : kind == X86_ALU_OR ? IR_or : IR_xor;
        r = ir_op2(ir, op, w, a, b);
        *f = ir_flags(ir, IR_CC_LOGIC, w, r, 0, 0);
    }
    }
    return r;
}

static int rmw_kind(unsigned kind)
{
    switch (kind) {
    case X86_ALU_ADD: return IR_RMW_ADD;
    case X86_ALU_SUB: return IR_RMW_SUB;
    case X86_ALU_AND: return IR_RMW_AND;
    case X86_ALU_OR:  return IR_RMW_OR;
    case X86_ALU_XOR: return IR_RMW_XOR;
    default:          return -1;
    }
}

/*
 * Writes `now` where `was` was read, atomically if LOCK is there: on interference the instruction starts again. The caller has
 * put nothing yet.
 */
static void store_back(struct x86_tr *t, struct ir_addr at, struct ir_mem m, ir_ref was, ir_ref now)
{
    struct ir *ir = t->ir;
    if (!x86_insn_lock(t->i)) {
        m.intent = false;
        ir_st(ir, at, m, now);
        return;
    }
    m.atomic = true;
    ir_ref seen = ir_cas(ir, at, m, was, now);
    ir_ref diff = ir_op2(ir, IR_xor, m.size, seen, was);
    ir_exit_ifz(ir, m.size, diff, true, tr_target(t, t->off));
}

/* The first half of a read-modify-write: a load that demands write permission. */
static ir_ref load_rmw(struct x86_tr *t, struct ir_addr at, struct ir_mem m)
{
    m.intent = true;
    return ir_ld(t->ir, at, m);
}

static bool alu_mem(struct x86_tr *t, const struct x86_insn *i)
{
    const struct x86_opnd *o = &i->op[0];
    unsigned w = x86_width(o->size);
    struct ir_mem m = tr_mem(t, o->size);
    struct ir_addr at = tr_addr(t, &i->mem, o->size, true);
    ir_ref b = tr_read(t, &i->op[1]), f;
    int kind = rmw_kind(i->row->arg);
    if (kind < 0) {                                   /* adc, sbb */
        ir_ref a = load_rmw(t, at, m);
        ir_ref r = alu_op(t, i->row->arg, w, a, b, &f);
        store_back(t, at, m, a, r);
        tr_set_flags(t, f);
        return true;
    }
    if (!x86_insn_lock(i)) {
        ir_ref r = ir_rmw(t->ir, kind, at, m, b);
        if (kind == IR_RMW_ADD || kind == IR_RMW_SUB) {
            tr_set(t, kind == IR_RMW_ADD ? IR_CC_ADD : IR_CC_SUB, w, r, b, 0);
        } else {
            tr_set(t, IR_CC_LOGIC, w, r, 0, 0);
        }
        return true;
    }
    m.atomic = true;
    ir_ref old = ir_rmw(t->ir, kind | IR_RMW_OLD, at, m, b);
    alu_op(t, i->row->arg, w, old, b, &f);
    tr_set_flags(t, f);
    return true;
}

bool x86_tr_alu(struct x86_tr *t, const struct x86_insn *i)
{
    const struct x86_opnd *d = &i->op[0], *s = &i->op[1];
    unsigned kind = i->row->arg, w = x86_width(d->size);
    ir_ref f;
    if (is_mem(d) && kind != X86_ALU_CMP) {
        return alu_mem(t, i);
    }
    /* xor r,r and sub r,r do not depend on r */
    if ((kind == X86_ALU_XOR || kind == X86_ALU_SUB) && d->kind == X86_OPND_REG && s->kind == X86_OPND_REG && d->reg == s->reg) {
        ir_ref zero = ir_const(t->ir, 0);
        tr_write(t, d, zero);
        tr_set(t, IR_CC_LOGIC, w, zero, 0, 0);
        return true;
    }
    ir_ref a = tr_read(t, d);
    ir_ref b = tr_read(t, s);
    ir_ref r = alu_op(t, kind, w, a, b, &f);
    if (r) {
        tr_write(t, d, r);
    }
    tr_set_flags(t, f);
    return true;
}

bool x86_tr_test(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned w = x86_width(i->op[0].size);
    ir_ref a = tr_read(t, &i->op[0]);
    bool same = i->op[0].kind == X86_OPND_REG && i->op[1].kind == X86_OPND_REG && i->op[0].reg == i->op[1].reg;
    ir_ref r = same ? a : ir_op2(t->ir, IR_and, w, a, tr_read(t, &i->op[1]));
    tr_set(t, IR_CC_LOGIC, w, r, 0, 0);
    return true;
}

bool x86_tr_incdec(struct x86_tr *t, const struct x86_insn *i)
{
    const struct x86_opnd *d = &i->op[0];
    bool inc = i->row->arg == X86_INCDEC_INC;
    unsigned w = x86_width(d->size);
    ir_ref one = ir_const(t->ir, 1), r;
    ir_ref carry = ir_cond(t->ir, IR_COND_C, tr_flags(t));
    if (is_mem(d)) {
        struct ir_mem m = tr_mem(t, d->size);
        struct ir_addr at = tr_addr(t, &i->mem, d->size, true);
        m.atomic = x86_insn_lock(i);
        unsigned kind = inc ? IR_RMW_ADD : IR_RMW_SUB;
        if (m.atomic) {
            r = ir_op2(t->ir, inc ? IR_add : IR_sub, w, ir_rmw(t->ir, kind | IR_RMW_OLD, at, m, one), one);
        } else {
            r = ir_rmw(t->ir, kind, at, m, one);
        }
    } else {
        r = ir_op2(t->ir, inc ? IR_add : IR_sub, w, tr_read(t, d), one);
        tr_write(t, d, r);
    }
    tr_set(t, inc ? IR_CC_INC : IR_CC_DEC, w, r, carry, 0);
    return true;
}

bool x86_tr_neg(struct x86_tr *t, const struct x86_insn *i)
{
    const struct x86_opnd *d = &i->op[0];
    unsigned w = x86_width(d->size);
    ir_ref a, r;
    if (is_mem(d)) {
        struct ir_mem m = tr_mem(t, d->size);
        struct ir_addr at = tr_addr(t, &i->mem, d->size, true);
        a = load_rmw(t, at, m);
        r = ir_op1(t->ir, IR_neg, w, a);
        store_back(t, at, m, a, r);
    } else {
        a = tr_read(t, d);
        r = ir_op1(t->ir, IR_neg, w, a);
        tr_write(t, d, r);
    }
    tr_set(t, IR_CC_SUB, w, r, a, 0);             /* 0 - a */
    return true;
}

bool x86_tr_not(struct x86_tr *t, const struct x86_insn *i)
{
    const struct x86_opnd *d = &i->op[0];
    unsigned w = x86_width(d->size);
    if (!is_mem(d)) {
        tr_write(t, d, ir_op1(t->ir, IR_not, w, tr_read(t, d)));
        return true;
    }
    struct ir_mem m = tr_mem(t, d->size);
    m.atomic = x86_insn_lock(i);
    ir_rmw(t->ir, IR_RMW_XOR, tr_addr(t, &i->mem, d->size, true), m, ir_const(t->ir, -1));
    return true;
}

/* ---- moves ---- */

bool x86_tr_mov(struct x86_tr *t, const struct x86_insn *i)
{
    tr_write(t, &i->op[0], tr_read(t, &i->op[1]));
    return true;
}

bool x86_tr_movnti(struct x86_tr *t, const struct x86_insn *i)
{
    return x86_tr_mov(t, i);                          /* the hint means nothing to us */
}

bool x86_tr_movzx(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref v = tr_read(t, &i->op[1]);
    tr_write(t, &i->op[0], ir_zext(t->ir, x86_width(i->op[1].size), v));
    return true;
}

bool x86_tr_movsx(struct x86_tr *t, const struct x86_insn *i)
{
    const struct x86_opnd *s = &i->op[1];
    unsigned w = x86_width(i->op[0].size), from = x86_width(s->size);
    ir_ref v;
    if (from >= w) {                                  /* movsxd without REX.W is a plain move */
        v = tr_read(t, s);
    } else if (is_mem(s)) {
        struct ir_mem m = tr_mem(t, s->size);
        m.sign = true;
        v = ir_ld(t->ir, tr_addr(t, &i->mem, s->size, false), m);
    } else {
        v = ir_sext(t->ir, w < IR_32 ? IR_32 : w, from, tr_read(t, s));
    }
    tr_write(t, &i->op[0], v);
    return true;
}

bool x86_tr_lea(struct x86_tr *t, const struct x86_insn *i)
{
    tr_write(t, &i->op[0], tr_ea(t, &i->mem));
    return true;
}

bool x86_tr_xchg(struct x86_tr *t, const struct x86_insn *i)
{
    const struct x86_opnd *d = &i->op[0], *s = &i->op[1];
    ir_ref b = tr_read(t, s);
    if (is_mem(d)) {                                  /* always locked */
        struct ir_mem m = tr_mem(t, d->size);
        m.atomic = true;
        tr_write(t, s, ir_rmw(t->ir, IR_RMW_XCHG | IR_RMW_OLD, tr_addr(t, &i->mem, d->size, true), m, b));
        return true;
    }
    ir_ref a = tr_read(t, d);
    if (d->kind == X86_OPND_REG && s->kind == X86_OPND_REG && d->size == 8) {
        ir_put(t->ir, d->reg, b);
        ir_put(t->ir, s->reg, a);
        return true;
    }
    tr_write(t, d, b);
    tr_write(t, s, a);
    return true;
}

bool x86_tr_bswap(struct x86_tr *t, const struct x86_insn *i)
{
    const struct x86_opnd *d = &i->op[0];
    if (d->size == 2) {                               /* undefined; processors give 0 */
        tr_write(t, d, ir_const(t->ir, 0));
        return true;
    }
    tr_write(t, d, ir_op1(t->ir, IR_bswap, x86_width(d->size), tr_read(t, d)));
    return true;
}

bool x86_tr_movbe(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned w = x86_width(i->op[0].size);
    ir_ref v = tr_read(t, &i->op[1]);
    if (w == IR_16) {
        v = ir_op2i(t->ir, IR_shr, IR_32, ir_op1(t->ir, IR_bswap, IR_32, v), 16);
    } else {
        v = ir_op1(t->ir, IR_bswap, w, v);
    }
    tr_write(t, &i->op[0], v);
    return true;
}

bool x86_tr_cbw(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned w = x86_width(i->opsize);
    ir_ref v = ir_sext(t->ir, w < IR_32 ? IR_32 : w, w - 1, tr_reg(t, X86_RAX));
    tr_write_reg(t, X86_RAX, i->opsize, v);
    return true;
}

bool x86_tr_cwd(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned w = x86_width(i->opsize);
    ir_ref v = ir_op2i(t->ir, IR_sar, w, tr_reg(t, X86_RAX), bits_of(w) - 1);
    tr_write_reg(t, X86_RDX, i->opsize, v);
    return true;
}

bool x86_tr_setcc(struct x86_tr *t, const struct x86_insn *i)
{
    tr_write(t, &i->op[0], ir_cond(t->ir, i->row->arg, tr_flags(t)));
    return true;
}

bool x86_tr_cmovcc(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned w = x86_width(i->op[0].size);
    ir_ref src = tr_read(t, &i->op[1]);           /* memory is read (and faults) whatever the condition */
    ir_ref old = tr_read(t, &i->op[0]);
    tr_write(t, &i->op[0], ir_select(t->ir, w < IR_32 ? IR_32 : w, i->row->arg, tr_flags(t), src, old));
    return true;
}

bool x86_tr_xlat(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    ir_ref al = ir_zext(ir, IR_8, tr_reg(t, X86_RAX));
    ir_ref ea = ir_op2(ir, IR_add, i->addrsize == 8 ? IR_64 : IR_32, tr_reg(t, X86_RBX), al);
    if (i->addrsize == 2) {
        ea = ir_zext(ir, IR_16, ea);
    }
    ir_ref v = ir_ld(ir, tr_seg_addr(t, i->mem.seg, ea, 1, false), tr_mem(t, 1));
    tr_write_reg(t, X86_RAX, 1, v);
    return true;
}

/* ---- shifts and rotates ---- */

/* Flags and result for a constant count > 0 of shl, shr, sar. */
static ir_ref shift_const(struct x86_tr *t, unsigned kind, unsigned w, ir_ref a, unsigned n, ir_ref *f)
{
    struct ir *ir = t->ir;
    enum ir_opcode op = kind == X86_SHIFT_SHL ? IR_shl : kind == X86_SHIFT_SHR ? IR_shr : IR_sar;
    enum ir_cc cc = kind == X86_SHIFT_SHL ? IR_CC_SHL : kind == X86_SHIFT_SHR ? IR_CC_SHR : IR_CC_SAR;
    ir_ref before = n == 1 ? a : ir_op2i(ir, op, w, a, n - 1);
    ir_ref r = ir_op2i(ir, op, w, a, n);
    *f = ir_flags(ir, cc, w, r, before, 0);
    return r;
}

/* rol and ror by a constant: C is the bit that went round, O as count 1 defines it; the rest is kept. */
static ir_ref rotate_const(struct x86_tr *t, bool left, unsigned w, ir_ref a, unsigned n, ir_ref *f)
{
    struct ir *ir = t->ir;
    unsigned bits = bits_of(w);
    ir_ref r = n % bits ? ir_op2i(ir, left ? IR_rol : IR_ror, w, a, n % bits) : a;
    ir_ref v = w < IR_32 ? ir_zext(ir, w, r) : r;
    ir_ref top = ir_op2i(ir, IR_and, IR_32, ir_op2i(ir, IR_shr, w < IR_32 ? IR_32 : w, v, bits - 1), 1);
    ir_ref low = ir_op2i(ir, IR_and, IR_32, v, 1);
    ir_ref second = ir_op2i(ir, IR_and, IR_32, ir_op2i(ir, IR_shr, w < IR_32 ? IR_32 : w, v, bits - 2), 1);
    ir_ref carry = left ? low : top;
    ir_ref over = ir_op2(ir, IR_xor, IR_32, top, left ? low : second);
    ir_ref old = ir_op1(ir, IR_eflags, IR_32, tr_flags(t));
    ir_ref kept = ir_op2i(ir, IR_and, IR_32, old, X86_FL_ARITH & ~(X86_FL_O | X86_FL_C));
    ir_ref other = ir_op2(ir, IR_or, IR_32, kept, ir_op2i(ir, IR_shl, IR_32, over, 11));
    *f = ir_flags(ir, IR_CC_BITC, IR_32, carry, other, 0);
    return r;
}

/* ModRM.reg numbers of the shift group, as helper `shift` takes them. */
static unsigned shift_number(unsigned kind)
{
    static const uint8_t number[] = {
        [X86_SHIFT_ROL] = 0, [X86_SHIFT_ROR] = 1, [X86_SHIFT_RCL] = 2, [X86_SHIFT_RCR] = 3,
        [X86_SHIFT_SHL] = 4, [X86_SHIFT_SHR] = 5, [X86_SHIFT_SAR] = 7,
    };
    return number[kind];
}

/* Result of a shift by a variable count; the flags are a pure function too, so they cost nothing when dead. */
static ir_ref shift_var(struct x86_tr *t, unsigned kind, unsigned w, ir_ref a, ir_ref count, ir_ref *f)
{
    struct ir *ir = t->ir;
    enum ir_opcode op = kind == X86_SHIFT_SHL ? IR_shl : kind == X86_SHIFT_SHR ? IR_shr : kind == X86_SHIFT_SAR ? IR_sar
                      : kind == X86_SHIFT_ROL ? IR_rol : IR_ror;
    ir_ref r = ir_op2(ir, op, w, a, count);
    ir_ref old = ir_op1(ir, IR_eflags, IR_32, tr_flags(t));
    ir_ref fl = ir_call(ir, &x86_helper_shift_flags, ir_const(ir, shift_number(kind) | w << 8), a, count, old);
    *f = ir_flags(ir, IR_CC_EFLAGS, IR_32, fl, 0, 0);
    return r;
}

bool x86_tr_shift(struct x86_tr *t, const struct x86_insn *i)
{
    const struct x86_opnd *d = &i->op[0], *s = &i->op[1];
    unsigned w = x86_width(d->size), kind = i->row->arg;
    bool carry_in = kind == X86_SHIFT_RCL || kind == X86_SHIFT_RCR;
    struct ir_mem m = tr_mem(t, d->size);
    struct ir_addr at = {0};
    ir_ref a, r, f = 0;
    if (is_mem(d)) {
        at = tr_addr(t, &i->mem, d->size, true);
        a = load_rmw(t, at, m);
    } else {
        a = tr_read(t, d);
    }
    unsigned n = s->kind == X86_OPND_IMM ? (unsigned)i->imm & (w == IR_64 ? 63 : 31) : ~0u;
    if (carry_in) {
        /* flags go to memory inside: only after the store's permission is certain (the load demanded it) */
        ir_ref count = s->kind == X86_OPND_IMM ? ir_const(t->ir, n) : tr_reg(t, X86_RCX);
        r = tr_call(t, kind == X86_SHIFT_RCL ? &x86_helper_rcl : &x86_helper_rcr, a, count, ir_const(t->ir, w), 0);
    } else if (n == 0) {
        r = a;
    } else if (n == ~0u) {
        r = shift_var(t, kind, w, a, tr_reg(t, X86_RCX), &f);
    } else if (kind == X86_SHIFT_ROL || kind == X86_SHIFT_ROR) {
        r = rotate_const(t, kind == X86_SHIFT_ROL, w, a, n, &f);
    } else {
        r = shift_const(t, kind, w, a, n, &f);
    }
    if (is_mem(d)) {
        ir_st(t->ir, at, m, r);
    } else {
        tr_write(t, d, r);
    }
    if (f) {
        tr_set_flags(t, f);
    }
    return true;
}

bool x86_tr_shd(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    const struct x86_opnd *d = &i->op[0];
    unsigned w = x86_width(d->size);
    bool right = i->row->arg == X86_SHD_SHRD;
    bool imm = i->op[2].kind == X86_OPND_IMM;
    unsigned n = imm ? (unsigned)i->imm & (w == IR_64 ? 63 : 31) : 0;
    struct ir_mem m = tr_mem(t, d->size);
    struct ir_addr at = {0};
    ir_ref a, r;
    if (is_mem(d)) {
        at = tr_addr(t, &i->mem, d->size, true);
        a = load_rmw(t, at, m);
    } else {
        a = tr_read(t, d);
    }
    ir_ref b = tr_read(t, &i->op[1]);
    ir_ref count = imm ? ir_const(ir, n) : ir_zext(ir, IR_8, tr_reg(t, X86_RCX));
    if (imm && w >= IR_32 && n) {
        ir_ref hi = ir_op2i(ir, right ? IR_shr : IR_shl, w, a, n);
        ir_ref lo = ir_op2i(ir, right ? IR_shl : IR_shr, w, b, bits_of(w) - n);
        r = ir_op2(ir, IR_or, w, hi, lo);
    } else {
        r = ir_call(ir, &x86_helper_shd_value, ir_const(ir, right | w << 8), a, b, count);
    }
    ir_ref form = ir_op2(ir, IR_or, IR_32, ir_const(ir, right | w << 8), ir_op2i(ir, IR_shl, IR_32, count, 16));
    ir_ref old = ir_op1(ir, IR_eflags, IR_32, tr_flags(t));
    ir_ref fl = ir_call(ir, &x86_helper_shd_flags, form, a, b, old);
    if (is_mem(d)) {
        ir_st(ir, at, m, r);
    } else {
        tr_write(t, d, r);
    }
    tr_set(t, IR_CC_EFLAGS, IR_32, fl, 0, 0);
    return true;
}

/* ---- multiplication and division ---- */

bool x86_tr_mul(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    const struct x86_opnd *s = &i->op[i->nopnd - 1];
    unsigned w = x86_width(s->size);
    bool sign = i->row->arg == X86_MUL_IMUL;
    ir_ref b = tr_read(t, s), a = tr_reg(t, X86_RAX);
    if (w >= IR_32) {
        ir_ref lo = ir_op2(ir, sign ? IR_muls2 : IR_mulu2, w, a, b);
        ir_ref hi = ir_hi(ir, lo);
        ir_ref over = sign ? ir_op2(ir, IR_xor, w, hi, ir_op2i(ir, IR_sar, w, lo, bits_of(w) - 1)) : hi;
        tr_write_reg(t, X86_RAX, s->size, lo);
        tr_write_reg(t, X86_RDX, s->size, hi);
        tr_set(t, IR_CC_MUL, w, lo, over, 0);
        return true;
    }
    a = sign ? ir_sext(ir, IR_32, w, a) : ir_zext(ir, w, a);
    b = sign ? ir_sext(ir, IR_32, w, b) : ir_zext(ir, w, b);
    ir_ref p = ir_op2(ir, IR_mul, IR_32, a, b);
    ir_ref fits = sign ? ir_sext(ir, IR_32, w, p) : ir_zext(ir, w, p);
    ir_ref over = ir_op2(ir, IR_xor, IR_32, p, fits);
    if (w == IR_8) {
        tr_write_reg(t, X86_RAX, 2, p);
    } else {
        tr_write_reg(t, X86_RAX, 2, p);
        tr_write_reg(t, X86_RDX, 2, ir_op2i(ir, IR_shr, IR_32, p, 16));
    }
    /* `over` is looked at in width w only: bring its bits down */
    over = ir_op2(ir, IR_or, IR_32, over, ir_op2i(ir, IR_shr, IR_32, over, w == IR_8 ? 8 : 16));
    tr_set(t, IR_CC_MUL, w, p, over, 0);
    return true;
}

bool x86_tr_imul(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    const struct x86_opnd *d = &i->op[0];
    unsigned w = x86_width(d->size);
    ir_ref a = tr_read(t, i->nopnd == 3 ? &i->op[1] : d);
    ir_ref b = tr_read(t, i->nopnd == 3 ? &i->op[2] : &i->op[1]);
    ir_ref r, over;
    if (w == IR_16) {
        r = ir_op2(ir, IR_mul, IR_32, ir_sext(ir, IR_32, IR_16, a), ir_sext(ir, IR_32, IR_16, b));
        over = ir_op2(ir, IR_xor, IR_32, r, ir_sext(ir, IR_32, IR_16, r));
        over = ir_op2i(ir, IR_shr, IR_32, over, 16);
    } else {
        r = ir_op2(ir, IR_mul, w, a, b);
        if (w == IR_32) {
            ir_ref wide = ir_op2(ir, IR_mul, IR_64, ir_sext(ir, IR_64, IR_32, a), ir_sext(ir, IR_64, IR_32, b));
            ir_ref odd = ir_op2(ir, IR_xor, IR_64, wide, ir_sext(ir, IR_64, IR_32, wide));
            over = ir_op2i(ir, IR_shr, IR_64, odd, 32);
        } else {
            /* only for the flags; both vanish when they are dead */
            ir_ref lo = ir_op2(ir, IR_muls2, w, a, b);
            ir_ref hi = ir_hi(ir, lo);
            over = ir_op2(ir, IR_xor, w, hi, ir_op2i(ir, IR_sar, w, lo, 63));
        }
    }
    tr_write(t, d, r);
    tr_set(t, IR_CC_MUL, w, r, over, 0);
    return true;
}

bool x86_tr_div(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    const struct x86_opnd *s = &i->op[i->nopnd - 1];
    unsigned w = x86_width(s->size);
    bool sign = i->row->arg == X86_DIV_IDIV;
    ir_ref b = tr_read(t, s), a = tr_reg(t, X86_RAX);
    if (w == IR_8) {
        tr_write_reg(t, X86_RAX, 2, tr_call(t, &x86_helper_div8, a, b, ir_const(ir, sign), 0));
        return true;
    }
    ir_ref d = tr_reg(t, X86_RDX);
    if (w == IR_16) {
        ir_ref r = tr_call(t, &x86_helper_div16, a, d, b, ir_const(ir, sign));
        tr_write_reg(t, X86_RAX, 2, r);
        tr_write_reg(t, X86_RDX, 2, ir_op2i(ir, IR_shr, IR_32, r, 16));
        return true;
    }
    ir_ref q = ir_op3(ir, sign ? IR_divs2 : IR_divu2, w, a, d, b);
    ir_ref r = ir_hi(ir, q);
    tr_write_reg(t, X86_RAX, s->size, q);
    tr_write_reg(t, X86_RDX, s->size, r);
    return true;
}

/* ---- exchange and add, compare and exchange ---- */

bool x86_tr_xadd(struct x86_tr *t, const struct x86_insn *i)
{
    const struct x86_opnd *d = &i->op[0], *s = &i->op[1];
    unsigned w = x86_width(d->size);
    ir_ref b = tr_read(t, s), old, sum;
    if (is_mem(d)) {
        struct ir_mem m = tr_mem(t, d->size);
        m.atomic = x86_insn_lock(i);
        old = ir_rmw(t->ir, IR_RMW_ADD | IR_RMW_OLD, tr_addr(t, &i->mem, d->size, true), m, b);
        sum = ir_op2(t->ir, IR_add, w, old, b);
        tr_write(t, s, old);
    } else {
        old = tr_read(t, d);
        sum = ir_op2(t->ir, IR_add, w, old, b);
        tr_write(t, s, old);
        tr_write(t, d, sum);
    }
    tr_set(t, IR_CC_ADD, w, sum, b, 0);
    return true;
}

bool x86_tr_cmpxchg(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    const struct x86_opnd *d = &i->op[0], *s = &i->op[1];
    unsigned w = x86_width(d->size), sw = w < IR_32 ? IR_32 : w;
    ir_ref rax = tr_reg(t, X86_RAX), b = tr_read(t, s), old;
    if (is_mem(d)) {
        struct ir_mem m = tr_mem(t, d->size);
        m.atomic = x86_insn_lock(i);
        old = ir_cas(ir, tr_addr(t, &i->mem, d->size, true), m, rax, b);
    } else {
        old = tr_read(t, d);
    }
    ir_ref f = ir_flags(ir, IR_CC_CMP, w, rax, old, 0);
    /* the accumulator is written only when they differ: its upper half stays when they are equal */
    ir_ref wide = w == IR_8 ? ir_op2(ir, IR_insert8, IR_64, rax, old)
                : w == IR_16 ? ir_op2(ir, IR_insert16, IR_64, rax, old) : ir_zext(ir, w, old);
    ir_ref acc = ir_select(ir, IR_64, IR_COND_Z, f, rax, wide);
    if (!is_mem(d)) {
        /* if the destination is the accumulator the new value wins on equality; on inequality its upper half stays (so CPUs do) */
        ir_ref v = w == IR_32 ? ir_select(ir, IR_64, IR_COND_Z, f, ir_zext(ir, IR_32, b), old) : ir_select(ir, sw, IR_COND_Z, f, b, old);
        if (d->kind != X86_OPND_REG || d->reg != X86_RAX) {
            ir_put(ir, X86_RAX, acc);
        }
        if (w == IR_32) {
            ir_put(ir, d->reg, v);
        } else {
            tr_write(t, d, v);
        }
    } else {
        ir_put(ir, X86_RAX, acc);
    }
    tr_set_flags(t, f);
    return true;
}

/* cmpxchg8b, cmpxchg16b: only Z changes. */
bool x86_tr_cmpxchg2(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    ir_ref z;
    if (i->op[0].size == 16) {
        ir_ref at = tr_addr_value(t, tr_addr(t, &i->mem, 16, true));
        z = tr_call(t, &x86_helper_cmpxchg16b, at, 0, 0, 0);
        tr_merge_flags(t, X86_FL_Z, ir_op2i(ir, IR_shl, IR_32, z, 6));
        return true;
    }
    struct ir_mem m = {.size = IR_64, .align = t->mode & X86_MODE_ALIGN, .atomic = x86_insn_lock(i)};
    ir_ref rax = tr_reg(t, X86_RAX), rdx = tr_reg(t, X86_RDX);
    ir_ref expect = ir_op2(ir, IR_or, IR_64, ir_zext(ir, IR_32, rax), ir_op2i(ir, IR_shl, IR_64, rdx, 32));
    ir_ref desired = ir_op2(ir, IR_or, IR_64, ir_zext(ir, IR_32, tr_reg(t, X86_RBX)),
                            ir_op2i(ir, IR_shl, IR_64, tr_reg(t, X86_RCX), 32));
    ir_ref old = ir_cas(ir, tr_addr(t, &i->mem, 8, true), m, expect, desired);
    ir_ref f = ir_flags(ir, IR_CC_CMP, IR_64, old, expect, 0);
    z = ir_cond(ir, IR_COND_Z, f);
    ir_ref a = ir_select(ir, IR_64, IR_COND_Z, f, rax, ir_zext(ir, IR_32, old));
    ir_ref d = ir_select(ir, IR_64, IR_COND_Z, f, rdx, ir_op2i(ir, IR_shr, IR_64, old, 32));
    ir_put(ir, X86_RAX, a);
    ir_put(ir, X86_RDX, d);
    tr_merge_flags(t, X86_FL_Z, ir_op2i(ir, IR_shl, IR_32, z, 6));
    return true;
}
