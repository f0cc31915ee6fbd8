/*
 * Integer operations.
 *
 * A result is computed in the home of the slot it will be put into where that is safe (ra_dst decides), else in a scratch
 * register. `merged` results (V.def is not the value's own index) are narrow operations on a copy of the register that they
 * are inserted into.
 */
#include "tcg/x86_64/cg_priv.h"

#include <glib.h>

static int alu_of(unsigned op)
{
    switch (op) {
    case IR_add: return ALU_ADD;
    case IR_sub: return ALU_SUB;
    case IR_and: return ALU_AND;
    case IR_or: return ALU_OR;
    default: return ALU_XOR;
    }
}

static unsigned hf_of(unsigned op)
{
    return op == IR_add ? HF_ADD : op == IR_sub ? HF_SUB : HF_LOGIC;
}

/* `alu D, B` with B as it is; B must be usable at this width. */
static void alu_ro(struct cg *c, int w, int alu, int d, struct opnd b)
{
    switch (b.kind) {
    case O_REG: i_alu_rr(&c->o, w, alu, d, b.reg); break;
    case O_IMM: i_alu_ri(&c->o, w, alu, d, (int32_t)b.imm); break;
    case O_MEM: i_alu_rm(&c->o, w, alu, d, b.mem); break;
    default: g_assert_not_reached();
    }
}

/* Operand usable by an instruction: immediates that do not fit go to a register. */
static struct opnd operand(struct cg *c, ir_ref v, int w)
{
    struct opnd x;

    if (c->fold && v == c->fold)
        return (struct opnd){ .kind = O_MEM, .mem = c->fold_mem };
    x = ra_use(c, v, w);
    if (x.kind == O_IMM64) {
        int r = ra_alloc(c, SCRATCH_MASK);
        i_mov_imm(&c->o, r, x.imm);
        x = (struct opnd){ .kind = O_REG, .reg = (int8_t)r };
    }
    return x;
}

static bool mem_uses(struct opnd b, int r)
{
    return b.kind == O_MEM && (b.mem.base == r || b.mem.index == r);
}

static void em_alu(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, c->i), a = R(c, op->a), b = R(c, op->b);
    bool narrow = v != c->i, sub = op->op == IR_sub, flags = c->v[v].flags & V_WANT_FLAGS;
    int w = narrow ? op->w : hw(op->w), wide = narrow ? IR_64 : w, alu = alu_of(op->op), d;
    struct opnd A, B;

    ra_lock_val(c, a);
    ra_lock_val(c, b);
    if (!narrow && !sub && is_const(c, a) && !is_const(c, b) && b != c->fold) {
        ir_ref t = a;
        a = b;
        b = t;
    }
    d = ra_dst(c, v, a);
    B = operand(c, b, w);
    if (ra_holds(c, d, a)) {
        alu_ro(c, w, alu, d, B);
    } else {
        A = ra_use(c, a, wide);
        if (op->op == IR_add && !flags && !narrow && A.kind == O_REG && (B.kind == O_REG || B.kind == O_IMM)) {
            if (B.kind == O_IMM)
                i_lea(&c->o, w, d, am(A.reg, (int32_t)B.imm));
            else
                i_lea(&c->o, w, d, (struct amem){ A.reg, B.reg, 0, 0 });
            ra_done(c, v, d);
            return;
        }
        if (((B.kind == O_REG && B.reg == d) || mem_uses(B, d))) {
            if (!sub && !narrow && B.kind == O_REG && A.kind != O_IMM64) {
                alu_ro(c, w, alu, d, A);
            } else {
                int t = ra_alloc(c, SCRATCH_MASK);
                ra_mov(c, wide, t, A);
                alu_ro(c, w, alu, t, B);
                i_mov_rr(&c->o, wide, d, t);
            }
        } else {
            ra_mov(c, wide, d, A);
            alu_ro(c, w, alu, d, B);
        }
    }
    c->hf = (struct hostflags){ (uint8_t)hf_of(op->op), (uint8_t)w, v };
    ra_done(c, v, d);
}

static void em_unary(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, c->i), a = R(c, op->a);
    bool narrow = v != c->i;
    int w = narrow ? op->w : hw(op->w), wide = narrow ? IR_64 : w, d;

    ra_lock_val(c, a);
    d = ra_dst(c, v, a);
    if (!ra_holds(c, d, a))
        ra_mov(c, wide, d, ra_use(c, a, wide));
    switch (op->op) {
    case IR_not:
        op_rr(&c->o, w, w ? 0xf7 : 0xf6, 2, d, w ? 0 : BYTE_RM);
        break;
    case IR_neg:
        op_rr(&c->o, w, w ? 0xf7 : 0xf6, 3, d, w ? 0 : BYTE_RM);
        c->hf = (struct hostflags){ HF_SUB, (uint8_t)w, v };
        break;
    default: /* bswap */
        c->o.insns++;
        e8(&c->o, (w == 3 ? 0x48u : 0x40u) | (d >= 8));
        e8(&c->o, 0x0f);
        e8(&c->o, 0xc8 | (d & 7));
        break;
    }
    ra_done(c, v, d);
}

static void em_mul(struct cg *c, const struct ir_op *op, ir_ref v)
{
    ir_ref a = R(c, op->a), b = R(c, op->b);
    int w = hw(op->w), d;
    struct opnd A, B;

    if (is_const(c, a) && !(c->fold && b == c->fold)) {
        ir_ref t = a;
        a = b;
        b = t;
    }
    ra_lock_val(c, a);
    ra_lock_val(c, b);
    d = ra_dst(c, v, a);
    B = operand(c, b, w);
    if (B.kind == O_IMM) {
        int32_t imm = (int32_t)B.imm;
        unsigned opc = imm == (int8_t)imm ? 0x6b : 0x69;

        A = ra_use(c, a, w);
        if (A.kind == O_IMM || A.kind == O_IMM64) {
            int t = ra_alloc(c, SCRATCH_MASK);
            i_mov_imm(&c->o, t, A.imm);
            A = (struct opnd){ .kind = O_REG, .reg = (int8_t)t };
        }
        if (A.kind == O_REG)
            op_rr(&c->o, w, opc, d, A.reg, 0);
        else
            op_rm(&c->o, w, opc, d, A.mem, 0);
        if (opc == 0x6b)
            e8(&c->o, (unsigned)imm);
        else
            e32(&c->o, (uint32_t)imm);
    } else {
        int t = d;

        if (!ra_holds(c, d, a)) {
            A = ra_use(c, a, w);
            if (B.kind == O_REG && B.reg == d) {
                B = A;
            } else {
                if (mem_uses(B, d))
                    t = ra_alloc(c, SCRATCH_MASK);
                ra_mov(c, w, t, A);
            }
        }
        if (B.kind == O_REG)
            op_rr(&c->o, w, OP_0F | 0xaf, t, B.reg, 0);
        else if (B.kind == O_MEM)
            op_rm(&c->o, w, OP_0F | 0xaf, t, B.mem, 0);
        else {
            op_rr(&c->o, w, 0x69, t, t, 0);
            e32(&c->o, (uint32_t)B.imm);
        }
        if (t != d)
            i_mov_rr(&c->o, w, d, t);
    }
    fl_clobber(c);
    ra_done(c, v, d);
}

/* A value in a register that may be changed: zero- or sign-extended from w when that is narrow. */
static void mov_extended(struct cg *c, unsigned w, bool sign, int d, ir_ref a)
{
    struct opnd x = ra_use(c, a, IR_64);

    if (w >= IR_32) {
        if (!ra_holds(c, d, a) || x.kind == O_IMM)
            ra_mov(c, (int)w, d, x);
    } else if (x.kind == O_REG) {
        if (sign)
            i_movsx(&c->o, 2, (int)w, d, x.reg);
        else
            i_movzx(&c->o, (int)w, d, x.reg);
    } else if (x.kind == O_MEM) {
        op_rm(&c->o, 2, OP_0F | ((sign ? 0xbe : 0xb6) + w), d, x.mem, 0);
    } else {
        i_mov_imm(&c->o, d, (int64_t)(uint32_t)(w == IR_8 ? (sign ? (int8_t)x.imm : (uint8_t)x.imm)
                                                          : (sign ? (int16_t)x.imm : (uint16_t)x.imm)));
    }
}

/* Count into cl (saving rcx in *saved if it is a home); `d` must not be rcx. */
static void shift_by_cl(struct cg *c, int w, int sh, int d, ir_ref count)
{
    struct opnd n = ra_use(c, count, IR_64);
    int save = NOREG;

    if (n.kind == O_REG && n.reg == RCX) {
        i_shift_cl(&c->o, w, sh, d);
        return;
    }
    if (n.kind == O_REG) {                                   /* no other register needed */
        op_rr(&c->o, 3, 0x87, RCX, n.reg, 0);
        i_shift_cl(&c->o, w, sh, d);
        op_rr(&c->o, 3, 0x87, RCX, n.reg, 0);
        return;
    }
    if (x86_host.slot_of[RCX] >= 0) {
        save = ra_alloc(c, SCRATCH_MASK);
        i_mov_rr(&c->o, 3, save, RCX);
    }
    ra_mov(c, IR_32, RCX, n);
    i_shift_cl(&c->o, w, sh, d);
    if (save != NOREG)
        i_mov_rr(&c->o, 3, RCX, save);
}

static void em_shift(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, c->i), a = R(c, op->a), b = R(c, op->b);
    unsigned rot = op->op == IR_rol || op->op == IR_ror;
    int sh = op->op == IR_shl ? SH_SHL : op->op == IR_shr ? SH_SHR : op->op == IR_sar ? SH_SAR : op->op == IR_rol ? SH_ROL : SH_ROR;
    bool sign = op->op == IR_sar;
    /* shl's upper bits do not matter; shr, sar of a narrow value work on the extended one; rotates on the narrow register */
    int w = rot ? (int)op->w : hw(op->w), d, t;
    unsigned ext = op->w < IR_32 && !rot && op->op != IR_shl ? op->w : (unsigned)hw(op->w);

    ra_lock_val(c, a);
    ra_lock_val(c, b);
    if (is_const(c, b)) {
        unsigned n = (unsigned)op_of(c, b)->imm & (op->w == IR_64 ? 63 : 31);

        d = ra_dst(c, v, a);
        mov_extended(c, ext, sign, d, a);
        if (n) {
            i_shift_i(&c->o, w, sh, d, n);
            if (op->w >= IR_32 && !rot)
                c->hf = (struct hostflags){ HF_ZSP, op->w, v };
            else
                fl_clobber(c);
        }
        if (n == 0 && op->w == IR_32 && ext >= IR_32)
            i_mov_rr(&c->o, 2, d, d);
        ra_done(c, v, d);
        return;
    }
    if (x86_host.bmi2 && !rot) {
        int n = ra_use_reg(c, b), src;

        d = ra_dst(c, v, a);
        if (ext < IR_32 || ra_reg_of(c, a) == NOREG) {
            t = d == n ? ra_alloc(c, SCRATCH_MASK) : d;
            mov_extended(c, ext, sign, t, a);
            src = t;
        } else {
            src = ra_reg_of(c, a);
        }
        i_shiftx(&c->o, w, sh, d, src, n);
        ra_done(c, v, d);
        return;
    }
    d = ra_dst(c, v, R(c, op->b) == a ? 0 : a);
    t = d;
    if (d == RCX || ra_holds(c, d, b))
        t = ra_alloc(c, SCRATCH_MASK);
    if (!(t == d && ra_holds(c, d, a) && ext >= IR_32))
        mov_extended(c, ext, sign, t, a);
    if (a != b && c->v[a].reg != NOREG && c->v[a].reg != t)
        c->lock &= ~(1u << c->v[a].reg);
    shift_by_cl(c, w, sh, t, b);
    if (w < IR_32 || op->w == IR_32) {
        /* a masked count of 0 leaves the upper half as it was: containers of width 32 are zero-extended */
        if (op->w == IR_32 && t == d)
            i_mov_rr(&c->o, 2, d, d);
    }
    if (t != d)
        i_mov_rr(&c->o, hw(op->w), d, t);
    fl_clobber(c);
    ra_done(c, v, d);
}

static void em_lea(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, c->i), a = R(c, op->a), b = op->b ? R(c, op->b) : 0;
    int64_t disp = op->imm;
    int w = hw(op->w), d, ra = NOREG, rb = NOREG;

    if (b && is_const(c, b)) {
        disp += (int64_t)((uint64_t)op_of(c, b)->imm << op->sub);
        b = 0;
    }
    if (is_const(c, a) && (!b || fits32(disp + op_of(c, a)->imm))) {
        disp += op_of(c, a)->imm;
        a = 0;
    }
    if (w == IR_32)
        disp = (int32_t)disp;
    if (!a && !b) {
        d = ra_dst(c, v, 0);
        i_mov_imm(&c->o, d, w == IR_32 ? (int64_t)(uint32_t)disp : disp);
        ra_done(c, v, d);
        return;
    }
    if (a)
        ra = ra_use_reg(c, a);
    if (b)
        rb = ra_use_reg(c, b);
    d = ra_dst(c, v, a ? a : b);
    if (!fits32(disp)) {
        int t = ra_alloc(c, SCRATCH_MASK);
        i_mov_imm(&c->o, t, disp);
        if (rb != NOREG) {
            i_lea(&c->o, w, t, (struct amem){ (int8_t)t, (int8_t)rb, op->sub, 0 });
        }
        if (ra != NOREG)
            i_lea(&c->o, w, d, (struct amem){ (int8_t)t, (int8_t)ra, 0, 0 });
        else
            i_mov_rr(&c->o, w, d, t);
    } else if (ra == NOREG && op->sub == 0) {
        i_lea(&c->o, w, d, am(rb, (int32_t)disp));
    } else if (rb == NOREG && disp == 0) {
        i_mov_rr(&c->o, w, d, ra);
    } else {
        i_lea(&c->o, w, d, (struct amem){ (int8_t)ra, (int8_t)rb, op->sub, (int32_t)disp });
    }
    ra_done(c, v, d);
}

static void em_extend(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, c->i), a = R(c, op->a);
    int d;
    struct opnd x;

    ra_lock_val(c, a);
    d = ra_dst(c, v, a);
    x = ra_use(c, a, IR_64);
    if (x.kind == O_IMM || x.kind == O_IMM64) {
        int64_t k = x.imm;
        if (op->op == IR_zext)
            k = op->sub == IR_64 ? k : (int64_t)((uint64_t)k & ((1ull << ir_bits(op->sub)) - 1));
        else
            k = op->sub == IR_8 ? (int8_t)k : op->sub == IR_16 ? (int16_t)k : op->sub == IR_32 ? (int32_t)k : k;
        if (op->op == IR_sext && op->w < IR_64)
            k &= (1ll << ir_bits(op->w)) - 1;
        i_mov_imm(&c->o, d, k);
    } else if (op->op == IR_zext) {
        if (x.kind == O_REG)
            i_movzx(&c->o, op->sub, d, x.reg);
        else
            i_load(&c->o, op->sub, d, x.mem);
    } else if (x.kind == O_REG) {
        i_movsx(&c->o, hw(op->w), op->sub, d, x.reg);
        if (op->w == IR_32 && op->sub == IR_64)
            i_mov_rr(&c->o, 2, d, d);
    } else if (op->sub <= IR_16) {
        op_rm(&c->o, hw(op->w), OP_0F | (op->sub ? 0xbf : 0xbe), d, x.mem, 0);
    } else if (op->sub == IR_32 && op->w == IR_64) {
        op_rm(&c->o, 3, 0x63, d, x.mem, 0);
    } else {
        i_load(&c->o, hw(op->w), d, x.mem);
    }
    if (op->op == IR_sext && op->w < IR_32 && x.kind != O_IMM && x.kind != O_IMM64)
        i_movzx(&c->o, op->w, d, d);
    ra_done(c, v, d);
}

static void em_insert(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, c->i), a = R(c, op->a), b = R(c, op->b);
    int w = op->op == IR_insert16 ? IR_16 : IR_8, d, t;
    struct opnd B;

    ra_lock_val(c, a);
    ra_lock_val(c, b);
    d = ra_dst(c, v, a);
    B = ra_use(c, b, w);
    t = d;
    if (!ra_holds(c, d, a)) {
        if (B.kind == O_REG && B.reg == d)
            t = ra_alloc(c, SCRATCH_MASK);
        ra_mov(c, IR_64, t, ra_use(c, a, IR_64));
    }
    if (op->op == IR_insert8h) {
        if (t < 4 && B.kind == O_REG && B.reg < 4) {
            c->o.insns++;                                    /* mov th, b: no REX */
            e8(&c->o, 0x8a);
            e8(&c->o, 0xc0u | (unsigned)(t + 4) << 3 | (unsigned)B.reg);
            goto done;
        }
        if (t < 4 && (B.kind == O_IMM || B.kind == O_IMM64)) {
            c->o.insns++;
            e8(&c->o, 0xb0 | (t + 4));
            e8(&c->o, (unsigned)B.imm & 0xff);
            goto done;
        }
        if (B.kind == O_REG && B.reg == t) {                 /* its own low byte */
            int s = ra_alloc(c, SCRATCH_MASK);
            i_mov_rr(&c->o, 2, s, t);
            B.reg = (int8_t)s;
        }
        i_shift_i(&c->o, 3, SH_ROR, t, 8);
        fl_clobber(c);
    }
    if (B.kind == O_REG) {
        if (w == IR_8)
            op_rr(&c->o, 2, 0x8a, t, B.reg, BYTE_REG | BYTE_RM);
        else
            op_rr(&c->o, 1, 0x8b, t, B.reg, 0);
    } else if (B.kind == O_MEM) {
        op_rm(&c->o, w == IR_8 ? 2 : 1, w == IR_8 ? 0x8a : 0x8b, t, B.mem, w == IR_8 ? BYTE_REG : 0);
    } else {
        op_rr(&c->o, w == IR_8 ? 2 : 1, w == IR_8 ? 0xc6 : 0xc7, 0, t, w == IR_8 ? BYTE_RM : 0);
        if (w == IR_8)
            e8(&c->o, (unsigned)B.imm & 0xff);
        else
            e16(&c->o, (unsigned)B.imm & 0xffff);
    }
    if (op->op == IR_insert8h)
        i_shift_i(&c->o, 3, SH_ROL, t, 8);
done:
    if (t != d)
        i_mov_rr(&c->o, 3, d, t);
    ra_done(c, v, d);
}

static void em_extract8h(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, c->i), a = R(c, op->a);
    struct opnd x;
    int d;

    ra_lock_val(c, a);
    d = ra_dst(c, v, a);
    x = ra_use(c, a, IR_64);
    if (x.kind == O_MEM) {
        x.mem.disp++;
        i_load(&c->o, 0, d, x.mem);
    } else if (x.kind != O_REG) {
        i_mov_imm(&c->o, d, x.imm >> 8 & 0xff);
    } else if (x.reg < 4 && d < 8) {
        c->o.insns++;                                        /* movzx d, xh: no REX */
        e8(&c->o, 0x0f);
        e8(&c->o, 0xb6);
        e8(&c->o, 0xc0u | (unsigned)d << 3 | (unsigned)(x.reg + 4));
    } else if (x86_host.bmi2) {
        i_rorx(&c->o, 2, d, x.reg, 8);
        i_movzx(&c->o, 0, d, d);
    } else {
        if (x.reg != d)
            i_mov_rr(&c->o, 2, d, x.reg);
        i_shift_i(&c->o, 2, SH_SHR, d, 8);
        i_movzx(&c->o, 0, d, d);
        fl_clobber(c);
    }
    ra_done(c, v, d);
}

static void em_count(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, c->i), a = R(c, op->a);
    int w = hw(op->w), d, s;
    unsigned bits = ir_bits(op->w);

    s = ra_use_reg(c, a);
    d = ra_dst(c, v, 0);
    if (op->w < IR_32) {
        int t = ra_alloc(c, SCRATCH_MASK);
        i_movzx(&c->o, op->w, t, s);
        s = t;
        if (op->op == IR_ctz)
            i_alu_ri(&c->o, 2, ALU_OR, s, 1 << bits);
    }
    if (op->op == IR_popcnt) {
        op_rr_p(&c->o, 0xf3, w, OP_0F | 0xb8, d, s, 0);
    } else if (op->op == IR_clz) {
        if (x86_host.lzcnt) {
            op_rr_p(&c->o, 0xf3, w, OP_0F | 0xbd, d, s, 0);
        } else {
            int t = d != s ? d : ra_alloc(c, SCRATCH_MASK);
            op_rr(&c->o, w, OP_0F | 0xbd, t, s, 0);
            uint8_t *j = i_jcc8(&c->o, CC_NZ);
            i_mov_imm(&c->o, t, 2 * (int)ir_bits((unsigned)w) - 1);
            fix8(j, c->o.p);
            i_alu_ri(&c->o, 2, ALU_XOR, t, (int)ir_bits((unsigned)w) - 1);
            i_mov_rr(&c->o, 2, d, t);
        }
        if (op->w < IR_32)
            i_alu_ri(&c->o, 2, ALU_SUB, d, 32 - (int)bits);
    } else if (x86_host.bmi1) {
        op_rr_p(&c->o, 0xf3, w, OP_0F | 0xbc, d, s, 0);
    } else {
        int t = d != s ? d : ra_alloc(c, SCRATCH_MASK);
        op_rr(&c->o, w, OP_0F | 0xbc, t, s, 0);
        uint8_t *j = i_jcc8(&c->o, CC_NZ);
        i_mov_imm(&c->o, t, (int)bits);
        fix8(j, c->o.p);
        i_mov_rr(&c->o, 2, d, t);
    }
    fl_clobber(c);
    ra_done(c, v, d);
}

static void em_andn(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, c->i), a = R(c, op->a), b = R(c, op->b);
    int w = hw(op->w), ra = ra_use_reg(c, a), rb = ra_use_reg(c, b), d = ra_dst(c, v, a);

    if (x86_host.bmi1) {
        op_vex(&c->o, 2, 0, w == 3, 0, 0xf2, d, ra, rb, am(0, 0));
        c->hf = (struct hostflags){ HF_ANDN, (uint8_t)w, v };
    } else {
        int t = d == rb ? ra_alloc(c, SCRATCH_MASK) : d;
        if (t != ra)
            i_mov_rr(&c->o, 3, t, ra);
        op_rr(&c->o, w, 0xf7, 2, t, 0);
        i_alu_rr(&c->o, w, ALU_AND, t, rb);
        c->hf = (struct hostflags){ HF_LOGIC, (uint8_t)w, v };
        if (t != d)
            i_mov_rr(&c->o, w, d, t);
    }
    ra_done(c, v, d);
}

static void em_eqz(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, c->i), a = R(c, op->a);
    int r = ra_use_reg(c, a), d = ra_dst(c, v, a);

    i_test_rr(&c->o, op->w, r, r);
    i_setcc(&c->o, CC_Z, d);
    i_movzx(&c->o, 0, d, d);
    fl_clobber(c);
    ra_done(c, v, d);
}

static void mov_x(struct cg *c, int w, int d, struct opnd x)
{
    if (x.kind != O_REG || x.reg != d)
        ra_mov(c, w, d, x);
}

/* rdx:rax operations. In place when the guest's own rax and rdx are the operands and take the results; else rax and rdx are swapped away. */
static bool in_place(struct cg *c, ir_ref lo, ir_ref hi, ir_ref vlo, ir_ref vhi)
{
    int sa = x86_host.slot_of[RAX], sd = x86_host.slot_of[RDX];

    if (sa < 0 || sd < 0 || c->cur[sa] != lo || (hi && c->cur[sd] != hi))
        return false;
    return c->v[vlo].hint == sa && c->v[vhi].hint == sd;
}

static void muldiv_insn(struct cg *c, int w, int ext, struct opnd x)
{
    if (x.kind == O_REG)
        op_rr(&c->o, w, w ? 0xf7 : 0xf6, ext, x.reg, w ? 0 : BYTE_RM);
    else
        op_rm(&c->o, w, w ? 0xf7 : 0xf6, ext, x.mem, 0);
}

static void trap_row(struct cg *c)
{
    struct tcg_map_row *row = cg_add_row(c);

    cg_row(c, row);
    row->host_off = host_off(c, c->o.p);
    row->trap = TCG_TRAP_DIV;
}

static void em_mul2(struct cg *c, const struct ir_op *op)
{
    ir_ref v = c->i, h = c->i + 1, a = R(c, op->a), b = R(c, op->b);
    int w = hw(op->w), ext = op->op == IR_mulu2 ? 4 : 5;
    bool want_hi = h < c->n && op_of(c, h)->op == IR_hi && c->v[h].last;
    struct opnd B;

    if (!want_hi) {
        em_mul(c, op, v);
        return;
    }
    ra_settle_pcrel(c, a);
    ra_settle_pcrel(c, b);
    if (op->w < IR_32) {
        /* narrow: the 32-bit product holds both halves */
        int t = ra_alloc(c, 1u << HR_T | 1u << HR_S), u = ra_alloc(c, 1u << HR_I);
        mov_extended(c, op->w, ext == 5, t, a);
        mov_extended(c, op->w, ext == 5, u, b);
        op_rr(&c->o, 2, OP_0F | 0xaf, t, u, 0);
        i_mov_rr(&c->o, 2, u, t);
        i_shift_i(&c->o, 2, SH_SHR, u, ir_bits(op->w));
        fl_clobber(c);
        ra_bind(c, t, v);
        ra_bind(c, u, h);
        return;
    }
    if (in_place(c, b, 0, v, h) && !in_place(c, a, 0, v, h)) {
        ir_ref t = a;
        a = b;
        b = t;
    }
    if (in_place(c, a, 0, v, h)) {
        int sa = x86_host.slot_of[RAX], sd = x86_host.slot_of[RDX];

        ra_save_slot(c, (unsigned)sa);
        ra_save_slot(c, (unsigned)sd);
        B = operand(c, b, IR_64);
        if (B.kind == O_IMM) {
            int t = ra_alloc(c, SCRATCH_MASK);
            i_mov_imm(&c->o, t, B.imm);
            B = (struct opnd){ .kind = O_REG, .reg = (int8_t)t };
        }
        muldiv_insn(c, w, ext, B);
        ra_set_slot(c, (unsigned)sa, v);
        ra_set_slot(c, (unsigned)sd, h);
        fl_clobber(c);
        return;
    }
    ra_evict(c, HR_T);
    ra_evict(c, HR_I);
    c->lock |= 1u << HR_T | 1u << HR_I;
    i_mov_rr(&c->o, 3, HR_T, RAX);
    i_mov_rr(&c->o, 3, HR_I, RDX);
    /* operands may sit in rax, rdx: read them before those change */
    B = ra_use(c, b, IR_64);
    struct opnd A = ra_use(c, a, IR_64);
    mov_x(c, IR_64, RDX, B);
    if (A.kind == O_REG && A.reg == RDX)
        A.reg = HR_I;
    mov_x(c, IR_64, RAX, A);
    muldiv_insn(c, w, ext, (struct opnd){ .kind = O_REG, .reg = RDX });
    op_rr(&c->o, 3, 0x87, RAX, HR_T, 0);
    op_rr(&c->o, 3, 0x87, RDX, HR_I, 0);
    if (w == IR_32) {
        /* xchg carried full registers: products are zero-extended already */
    }
    fl_clobber(c);
    ra_bind(c, HR_T, v);
    ra_bind(c, HR_I, h);
}

static void em_div2(struct cg *c, const struct ir_op *op)
{
    ir_ref v = c->i, h = c->i + 1, a = R(c, op->a), b = R(c, op->b), d = R(c, op->c);
    int w = op->w, ext = op->op == IR_divu2 ? 6 : 7;
    bool has_hi = h < c->n && op_of(c, h)->op == IR_hi;
    struct opnd D;

    fl_settle(c, true);
    ra_settle_pcrel(c, a);
    ra_settle_pcrel(c, b);
    ra_settle_pcrel(c, d);
    if (w >= IR_32 && has_hi && in_place(c, a, b, v, h) && ra_where(c, d).kind != O_IMM && ra_where(c, d).kind != O_IMM64 &&
        ra_where(c, d).kind != O_NONE) {
        int sa = x86_host.slot_of[RAX], sd = x86_host.slot_of[RDX];

        ra_save_slot(c, (unsigned)sa);
        ra_save_slot(c, (unsigned)sd);
        D = ra_use(c, d, IR_64);
        trap_row(c);
        muldiv_insn(c, w, ext, D);
        ra_set_slot(c, (unsigned)sa, v);
        ra_set_slot(c, (unsigned)sd, h);
        fl_clobber(c);
        return;
    }
    ra_evict(c, HR_T);
    ra_evict(c, HR_I);
    ra_evict(c, HR_S);
    c->lock |= SCRATCH_MASK;
    /* the divisor into S, unless it is in a register that stays */
    D = ra_use(c, d, IR_64);
    if (D.kind != O_REG || D.reg == RAX || D.reg == RDX) {
        ra_mov(c, IR_64, HR_S, D);
        D = (struct opnd){ .kind = O_REG, .reg = HR_S };
    }
    i_mov_rr(&c->o, 3, HR_T, RAX);
    i_mov_rr(&c->o, 3, HR_I, RDX);
    i_store_imm(&c->o, 3, st_at(SCR(swapped)), 1);
    struct opnd A = ra_use(c, a, IR_64), B = ra_use(c, b, IR_64);
    mov_x(c, IR_64, RDX, B);
    if (A.kind == O_REG && A.reg == RDX)
        A.reg = HR_I;
    mov_x(c, IR_64, RAX, A);
    if (w == IR_8) {                                         /* ax = dl:al */
        i_movzx(&c->o, 0, RAX, RAX);
        i_shift_i(&c->o, 2, SH_SHL, RDX, 8);
        i_alu_rr(&c->o, 2, ALU_OR, RAX, RDX);
    }
    trap_row(c);
    muldiv_insn(c, w, ext, D);
    if (w == IR_8) {
        i_mov_rr(&c->o, 2, RDX, RAX);
        i_shift_i(&c->o, 2, SH_SHR, RDX, 8);
    }
    i_store_imm(&c->o, 3, st_at(SCR(swapped)), 0);
    op_rr(&c->o, 3, 0x87, RAX, HR_T, 0);
    op_rr(&c->o, 3, 0x87, RDX, HR_I, 0);
    fl_clobber(c);
    ra_bind(c, HR_T, v);
    if (has_hi)
        ra_bind(c, HR_I, h);
}

void em_put(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, op->a);
    unsigned s = (unsigned)op->imm;
    int h = x86_host.home[s];
    struct opnd x;

    if (c->cur[s] == v)
        return;
    ra_lock_val(c, v);
    ra_save_slot(c, s);
    x = ra_use(c, v, IR_64);
    if (h != NOREG) {
        if (x.kind == O_IMM && x.imm == 0 && c->hf.kind == HF_NONE)
            i_alu_rr(&c->o, 2, ALU_XOR, h, h);
        else
            ra_mov(c, IR_64, h, x);
    } else if (x.kind == O_IMM) {
        i_store_imm(&c->o, 3, slot_mem(s), (int32_t)x.imm);
    } else {
        i_store(&c->o, 3, slot_mem(s), ra_use_reg(c, v));
    }
    ra_set_slot(c, s, v);
}

void em_int(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, c->i);

    switch (op->op) {
    case IR_add: case IR_sub: case IR_and: case IR_or: case IR_xor: em_alu(c, op); break;
    case IR_not: case IR_neg: case IR_bswap: em_unary(c, op); break;
    case IR_mul: em_mul(c, op, v); break;
    case IR_shl: case IR_shr: case IR_sar: case IR_rol: case IR_ror: em_shift(c, op); break;
    case IR_lea: em_lea(c, op); break;
    case IR_zext: case IR_sext: em_extend(c, op); break;
    case IR_insert8: case IR_insert8h: case IR_insert16: em_insert(c, op); break;
    case IR_extract8h: em_extract8h(c, op); break;
    case IR_clz: case IR_ctz: case IR_popcnt: em_count(c, op); break;
    case IR_andn: em_andn(c, op); break;
    case IR_eqz: em_eqz(c, op); break;
    case IR_mulu2: case IR_muls2: em_mul2(c, op); break;
    case IR_divu2: case IR_divs2: em_div2(c, op); break;
    default: g_assert_not_reached();
    }
}
