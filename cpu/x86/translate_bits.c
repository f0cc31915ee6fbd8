/*
 * Bit instructions: bt family, scans and counts, BMI1/BMI2, ADX, CRC32, decimal adjustment, flag instructions.
 * Spec: Intel SDM vol. 2.
 */
#include "cpu/x86/translate_priv.h"

#include "cpu/x86/insn_handlers.h"

static unsigned bits_of(unsigned w)
{
    return 8u << w;
}

/* ---- bt, bts, btr, btc ---- */

static ir_ref bt_change(struct x86_tr *t, unsigned kind, unsigned w, ir_ref a, ir_ref mask)
{
    switch (kind) {
    case X86_BT_BTS: return ir_op2(t->ir, IR_or, w, a, mask);
    case X86_BT_BTR: return ir_op2(t->ir, IR_andn, w, mask, a);
    default:         return ir_op2(t->ir, IR_xor, w, a, mask);
    }
}

/* The memory forms with a register index reach bits outside the operand (SDM vol. 2, 3.1.1.9). */
static struct ir_addr bt_addr(struct x86_tr *t, const struct x86_insn *i, unsigned w, ir_ref index)
{
    bool write = i->row->arg != X86_BT_BT;
    if (i->op[1].kind == X86_OPND_IMM) {
        return tr_addr(t, &i->mem, i->op[0].size, write);
    }
    struct ir *ir = t->ir;
    ir_ref wide = w == IR_64 ? index : ir_sext(ir, IR_64, w, index);
    ir_ref words = ir_op2i(ir, IR_sar, IR_64, wide, 3 + w);
    ir_ref bytes = ir_op2i(ir, IR_shl, IR_64, words, w);
    ir_ref ea = ir_op2(ir, IR_add, i->addrsize == 8 ? IR_64 : IR_32, tr_ea(t, &i->mem), bytes);
    if (i->addrsize == 2) {
        ea = ir_zext(ir, IR_16, ea);
    }
    return tr_seg_addr(t, i->mem.seg, ea, i->op[0].size, write);
}

/* Bit number `bit` of a, which is at least 32 bits wide as a value: 0 or 1. */
static ir_ref bit_of(struct ir *ir, unsigned w, ir_ref a, ir_ref bit)
{
    return ir_op2i(ir, IR_and, IR_32, ir_op2(ir, IR_shr, w < IR_32 ? IR_32 : w, a, bit), 1);
}

static bool bt_locked(struct x86_tr *t, unsigned kind, unsigned w, struct ir_addr at, struct ir_mem m, ir_ref bit)
{
    struct ir *ir = t->ir;
    ir_ref mask = ir_op2(ir, IR_shl, w, ir_const(ir, 1), bit);
    ir_ref arg = kind == X86_BT_BTR ? ir_op1(ir, IR_not, w, mask) : mask;
    unsigned rmw = kind == X86_BT_BTS ? IR_RMW_OR : kind == X86_BT_BTR ? IR_RMW_AND : IR_RMW_XOR;
    m.atomic = true;
    ir_ref old = ir_rmw(ir, rmw | IR_RMW_OLD, at, m, arg);
    tr_set_carry(t, bit_of(ir, w, w < IR_32 ? ir_zext(ir, w, old) : old, bit));
    return true;
}

bool x86_tr_bt(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    const struct x86_opnd *d = &i->op[0];
    unsigned w = x86_width(d->size), kind = i->row->arg;
    ir_ref index = tr_read(t, &i->op[1]);
    ir_ref bit = i->op[1].kind == X86_OPND_IMM ? ir_const(ir, i->imm & (bits_of(w) - 1))
               : w >= IR_32 ? index : ir_op2i(ir, IR_and, IR_32, index, bits_of(w) - 1);
    struct ir_mem m = tr_mem(t, d->size);
    struct ir_addr at = {0};
    bool mem = d->kind == X86_OPND_MEM;
    ir_ref a;
    if (mem) {
        at = bt_addr(t, i, w, index);
        if (x86_insn_lock(i)) {
            return bt_locked(t, kind, w, at, m, bit);
        }
        struct ir_mem rm = m;
        rm.intent = kind != X86_BT_BT;
        a = ir_ld(ir, at, rm);
    } else {
        a = tr_read(t, d);
    }
    ir_ref carry = bit_of(ir, w, a, bit);
    if (kind != X86_BT_BT) {
        ir_ref mask = ir_op2(ir, IR_shl, w, ir_const(ir, 1), bit);
        ir_ref r = bt_change(t, kind, w, a, mask);
        if (mem) {
            ir_st(ir, at, m, r);
        } else {
            tr_write(t, d, r);
        }
    }
    tr_set_carry(t, carry);
    return true;
}

/* ---- scans and counts ---- */

/* bsf, bsr: the destination is left alone for 0 (as all processors do), Z says so, the other flags are undefined. */
bool x86_tr_bitscan(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    unsigned w = x86_width(i->op[0].size), cw = w < IR_32 ? IR_32 : w;
    ir_ref a = tr_read(t, &i->op[1]);
    if (w == IR_16) {
        a = ir_zext(ir, IR_16, a);
    }
    ir_ref r;
    if (i->row->arg == X86_BITSCAN_BSF) {
        r = ir_op1(ir, IR_ctz, cw, a);
    } else {
        r = ir_op2i(ir, IR_xor, cw, ir_op1(ir, IR_clz, cw, a), bits_of(cw) - 1);
    }
    ir_ref f = ir_flags(ir, IR_CC_LOGIC, cw, a, 0, 0);
    ir_ref old = tr_reg(t, i->op[0].reg);
    ir_ref now = w == IR_16 ? ir_op2(ir, IR_insert16, IR_64, old, r) : ir_zext(ir, w, r);
    ir_put(ir, i->op[0].reg, ir_select(ir, IR_64, IR_COND_Z, f, old, now));
    tr_set(t, IR_CC_ZONLY, cw, a, ir_const(ir, 0), 0);
    return true;
}

bool x86_tr_bitcount(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    unsigned w = x86_width(i->op[0].size);
    bool leading = i->row->arg == X86_BITCOUNT_LZCNT;
    ir_ref a = tr_read(t, &i->op[1]), r, zero;
    if (w == IR_16) {
        ir_ref z = ir_zext(ir, IR_16, a);
        zero = ir_op1(ir, IR_eqz, IR_32, z);
        r = leading ? ir_op2i(ir, IR_sub, IR_32, ir_op1(ir, IR_clz, IR_32, z), 16)
                    : ir_op1(ir, IR_ctz, IR_32, ir_op2i(ir, IR_or, IR_32, z, 0x10000));
    } else {
        zero = ir_op1(ir, IR_eqz, w, a);
        r = ir_op1(ir, leading ? IR_clz : IR_ctz, w, a);
    }
    tr_write(t, &i->op[0], r);
    tr_set(t, IR_CC_ZONLY, w, r, zero, 0);        /* C: the source was 0; Z: the count is */
    return true;
}

bool x86_tr_popcnt(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned w = x86_width(i->op[0].size);
    ir_ref a = tr_read(t, &i->op[1]);
    if (w == IR_16) {
        a = ir_zext(t->ir, IR_16, a);
    }
    ir_ref r = ir_op1(t->ir, IR_popcnt, w < IR_32 ? IR_32 : w, a);
    tr_write(t, &i->op[0], r);
    tr_set(t, IR_CC_ZONLY, w < IR_32 ? IR_32 : w, r, ir_const(t->ir, 0), 0);
    return true;
}

/* ---- BMI ---- */

bool x86_tr_andn(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned w = x86_width(i->op[0].size);
    ir_ref b = tr_read(t, &i->op[2]);
    ir_ref r = ir_op2(t->ir, IR_andn, w, tr_read(t, &i->op[1]), b);
    tr_write(t, &i->op[0], r);
    tr_set(t, IR_CC_LOGIC, w, r, 0, 0);
    return true;
}

/* Flags of the BMI1 group: S Z of the result, C as given, O = 0; A and P undefined. */
static void bmi_flags(struct x86_tr *t, unsigned w, ir_ref r, ir_ref carry)
{
    struct ir *ir = t->ir;
    ir_ref logic = ir_flags(ir, IR_CC_LOGIC, w, r, 0, 0);
    tr_set(t, IR_CC_BITC, IR_32, carry, ir_op1(ir, IR_eflags, IR_32, logic), 0);
}

bool x86_tr_bls(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    unsigned w = x86_width(i->op[0].size);
    ir_ref a = tr_read(t, &i->op[1]), r;
    ir_ref zero = ir_op1(ir, IR_eqz, w, a);
    switch (i->row->arg) {
    case X86_BLS_BLSR:
        r = ir_op2(ir, IR_and, w, a, ir_op2i(ir, IR_sub, w, a, 1));
        break;
    case X86_BLS_BLSMSK:
        r = ir_op2(ir, IR_xor, w, a, ir_op2i(ir, IR_sub, w, a, 1));
        break;
    default:                                          /* blsi: C is the opposite */
        r = ir_op2(ir, IR_and, w, a, ir_op1(ir, IR_neg, w, a));
        zero = ir_op2i(ir, IR_xor, IR_32, zero, 1);
    }
    tr_write(t, &i->op[0], r);
    bmi_flags(t, w, r, zero);
    return true;
}

/* A general-register instruction of the host on values: reg = op(rm, vvvv) in VEX form, or reg = op(reg, rm). */
static ir_ref native_vex(struct x86_tr *t, unsigned prefix, unsigned map, unsigned opcode, bool w, ir_ref rm_in, ir_ref vvvv_in)
{
    struct ir_native n = {
        .kind = IR_NATIVE_INT, .prefix = prefix, .map = map, .opcode = opcode, .w = w, .vex = true,
        .reg_kind = IR_NR_INT_OUT, .rm_kind = IR_NR_INT_IN, .vvvv_kind = IR_NR_INT_IN,
    };
    /* two integer inputs: rm in c, vvvv in the address's base (no memory operand) */
    return ir_native(t->ir, &n, (struct ir_addr){.base = vvvv_in}, rm_in);
}

bool x86_tr_bextr(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned w = x86_width(i->op[0].size);
    ir_ref a = tr_read(t, &i->op[1]);
    ir_ref r = native_vex(t, 0, 2, 0xf7, w == IR_64, a, tr_read(t, &i->op[2]));
    tr_write(t, &i->op[0], r);
    tr_set(t, IR_CC_ZONLY, w, r, ir_const(t->ir, 0), 0);
    return true;
}

bool x86_tr_bzhi(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    unsigned w = x86_width(i->op[0].size);
    ir_ref a = tr_read(t, &i->op[1]), index = tr_read(t, &i->op[2]);
    ir_ref r = native_vex(t, 0, 2, 0xf5, w == IR_64, a, index);
    ir_ref n = ir_zext(ir, IR_8, index);
    ir_ref f = ir_flags(ir, IR_CC_CMP, IR_32, ir_const(ir, bits_of(w) - 1), n, 0);
    tr_write(t, &i->op[0], r);
    bmi_flags(t, w, r, ir_cond(ir, IR_COND_C, f));    /* C: index beyond the last bit */
    return true;
}

bool x86_tr_pdep(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned w = x86_width(i->op[0].size);
    ir_ref mask = tr_read(t, &i->op[2]);
    unsigned prefix = i->row->arg == X86_PDEP_PEXT ? 0xf3 : 0xf2;
    tr_write(t, &i->op[0], native_vex(t, prefix, 2, 0xf5, w == IR_64, mask, tr_read(t, &i->op[1])));
    return true;
}

bool x86_tr_mulx(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    unsigned size = i->op[0].size, w = x86_width(size);
    ir_ref b = tr_read(t, &i->op[2]);
    ir_ref lo = ir_op2(ir, IR_mulu2, w, tr_reg(t, X86_RDX), b);
    ir_ref hi = ir_hi(ir, lo);
    tr_write(t, &i->op[1], lo);
    tr_write(t, &i->op[0], hi);                   /* the high half wins when both are the same register */
    return true;
}

bool x86_tr_shiftx(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned w = x86_width(i->op[0].size);
    enum ir_opcode op = i->row->arg == X86_SHIFTX_SHLX ? IR_shl : i->row->arg == X86_SHIFTX_SHRX ? IR_shr : IR_sar;
    ir_ref a = tr_read(t, &i->op[1]);
    tr_write(t, &i->op[0], ir_op2(t->ir, op, w, a, tr_read(t, &i->op[2])));
    return true;
}

bool x86_tr_rorx(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned w = x86_width(i->op[0].size);
    ir_ref a = tr_read(t, &i->op[1]);
    tr_write(t, &i->op[0], ir_op2i(t->ir, IR_ror, w, a, i->imm & (bits_of(w) - 1)));
    return true;
}

/* adcx, adox: an addition whose carry goes in and out through C or O alone. */
bool x86_tr_adx(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    unsigned w = x86_width(i->op[0].size);
    bool carry = i->row->arg == X86_ADX_C;
    ir_ref b = tr_read(t, &i->op[1]), a = tr_read(t, &i->op[0]);
    ir_ref in = ir_cond(ir, carry ? IR_COND_C : IR_COND_O, tr_flags(t));
    ir_ref s1 = ir_op2(ir, IR_add, w, a, b);
    ir_ref c1 = ir_cond(ir, IR_COND_C, ir_flags(ir, IR_CC_ADD, w, s1, b, 0));
    ir_ref s2 = ir_op2(ir, IR_add, w, s1, in);
    ir_ref c2 = ir_cond(ir, IR_COND_C, ir_flags(ir, IR_CC_ADD, w, s2, in, 0));
    ir_ref out = ir_op2(ir, IR_or, IR_32, c1, c2);
    tr_write(t, &i->op[0], s2);
    if (carry) {
        tr_set_carry(t, out);
    } else {
        tr_merge_flags(t, X86_FL_O, ir_op2i(ir, IR_shl, IR_32, out, 11));
    }
    return true;
}

bool x86_tr_crc32(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned size = i->op[1].size;
    ir_ref b = tr_read(t, &i->op[1]), a = tr_read(t, &i->op[0]);
    if (size < 8) {
        /* narrower steps are taken bytewise by the host's 8-bit form, so that no 66 prefix is needed */
        struct ir_native n = {.kind = IR_NATIVE_INT, .prefix = 0xf2, .map = 2, .opcode = 0xf0,
                              .reg_kind = IR_NR_INT_OUT, .reg_int_in = true, .rm_kind = IR_NR_INT_IN};
        for (unsigned k = 0; k < size; k++) {
            ir_ref byte = k ? ir_op2i(t->ir, IR_shr, IR_32, b, 8 * k) : b;
            a = ir_native(t->ir, &n, (struct ir_addr){.base = a}, byte);
        }
    } else {
        struct ir_native n = {.kind = IR_NATIVE_INT, .prefix = 0xf2, .map = 2, .opcode = 0xf1, .w = true,
                              .reg_kind = IR_NR_INT_OUT, .reg_int_in = true, .rm_kind = IR_NR_INT_IN};
        a = ir_native(t->ir, &n, (struct ir_addr){.base = a}, b);
    }
    tr_write_reg(t, i->op[0].reg, i->op[0].size, ir_zext(t->ir, IR_32, a));
    return true;
}

/* ---- decimal adjustment ---- */

static bool bcd(struct x86_tr *t, const struct ir_helper *h)
{
    tr_flags(t);
    tr_write_reg(t, X86_RAX, 2, tr_call(t, h, tr_reg(t, X86_RAX), 0, 0, 0));
    return true;
}

bool x86_tr_daa(struct x86_tr *t, const struct x86_insn *i)
{
    return bcd(t, i->row->arg == X86_DAA_DAA ? &x86_helper_daa : &x86_helper_das);
}

bool x86_tr_aaa(struct x86_tr *t, const struct x86_insn *i)
{
    return bcd(t, i->row->arg == X86_AAA_AAA ? &x86_helper_aaa : &x86_helper_aas);
}

bool x86_tr_aam(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref r = tr_call(t, &x86_helper_aam, tr_reg(t, X86_RAX), ir_const(t->ir, i->imm & 0xff), 0, 0);
    tr_write_reg(t, X86_RAX, 2, r);
    return true;
}

bool x86_tr_aad(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref r = tr_call(t, &x86_helper_aad, tr_reg(t, X86_RAX), ir_const(t->ir, i->imm & 0xff), 0, 0);
    tr_write_reg(t, X86_RAX, 2, r);
    return true;
}

bool x86_tr_salc(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    ir_ref c = ir_cond(t->ir, IR_COND_C, tr_flags(t));
    tr_write_reg(t, X86_RAX, 1, ir_op1(t->ir, IR_neg, IR_32, c));
    return true;
}

/* ---- flag instructions ---- */

bool x86_tr_flag(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    switch (i->row->arg) {
    case X86_FLAG_CLC:
        tr_set_carry(t, ir_const(ir, 0));
        break;
    case X86_FLAG_STC:
        tr_set_carry(t, ir_const(ir, 1));
        break;
    case X86_FLAG_CMC:
        tr_set_carry(t, ir_cond(ir, IR_COND_NC, tr_flags(t)));
        break;
    default: {
        ir_ref fl = ir_ldenv(ir, IR_32, X86_ENV(eflags));
        fl = i->row->arg == X86_FLAG_STD ? ir_op2i(ir, IR_or, IR_32, fl, X86_FL_D) : ir_op2i(ir, IR_and, IR_32, fl, ~(int64_t)X86_FL_D);
        ir_stenv(ir, IR_32, X86_ENV(eflags), fl);
    }
    }
    return true;
}

bool x86_tr_sahf(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    ir_ref ah = ir_op1(t->ir, IR_extract8h, IR_64, tr_reg(t, X86_RAX));
    tr_merge_flags(t, X86_FL_S | X86_FL_Z | X86_FL_A | X86_FL_P | X86_FL_C, ah);
    return true;
}

bool x86_tr_lahf(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    ir_ref fl = ir_op1(t->ir, IR_eflags, IR_32, tr_flags(t));
    fl = ir_op2i(t->ir, IR_or, IR_32, ir_op2i(t->ir, IR_and, IR_32, fl, 0xd5), 2);
    ir_put(t->ir, X86_RAX, ir_op2(t->ir, IR_insert8h, IR_64, tr_reg(t, X86_RAX), fl));
    return true;
}
