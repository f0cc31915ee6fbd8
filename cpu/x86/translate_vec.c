/*
 * SSE to AVX2, FMA, AES, PCLMUL, SHA, GFNI: the host's own instruction on the guest's registers (ir_native), under the guest's MXCSR. The row of
 * insn.def says it all: which operand is read, written, in memory, aligned. MMX shares the builder (translate_mmx.c).
 *
 * Not native: pcmpXstrX (implicit registers), maskmovdqu, the state images (fxsave, xsave ...), and what touches memory lane by lane under
 * a mask (vmaskmov, gathers: translate_avx.c): helpers.
 */
#include "cpu/x86/fpu_helpers.h"
#include "cpu/x86/translate_priv.h"
#include "cpu/x86/translate_vec.h"

static uint8_t host_prefix(const struct x86_row *row)
{
    switch (row->prefix) {
    case X86_RP_66: return 0x66;
    case X86_RP_F3: return 0xf3;
    case X86_RP_F2: return 0xf2;
    default: return 0;
    }
}

struct ir_mem tr_native_mem(struct x86_tr *t, unsigned size, bool write)
{
    struct ir_mem m = {.size = x86_width(size), .write = write};
    m.align = size >= 16 ? t->i->row->marks & X86_ROW_ALIGN16 :
              (t->mode & X86_MODE_ALIGN) && size > 1 && t->i->row->need != X86_FEAT_F16C;      /* those do not mind */
    return m;
}

/* Puts an operand into the field of the encoding where it stands. */
static void field(struct ir_native *n, const struct x86_opnd *o, unsigned kind, unsigned reg)
{
    if (o->place == X86_AT_REG) {
        n->reg_kind = kind;
        n->reg = reg;
    } else if (o->place == X86_AT_RM) {
        n->rm_kind = kind;
        n->rm = reg;
    } else if (o->place == X86_AT_VVVV) {
        n->vvvv_kind = kind;
        n->vvvv = reg;
    } else if (o->place == X86_AT_IMM) {
        n->has_imm = n->imm_vec = true;
        n->imm = (uint8_t)(reg << 4);
    }
}

static void operand(struct x86_tr *t, struct ir_native *n, const struct x86_opnd *o, bool out, bool in)
{
    switch (o->kind) {
    case X86_OPND_XMM:
        n->vec_read |= (uint32_t)in << o->reg;
        n->vec_written |= (uint32_t)out << o->reg;
        n->reads_xmm0 |= o->place == X86_AT_FIXED;
        field(n, o, IR_NR_VEC, o->reg);
        break;
    case X86_OPND_MMX:
        if (t->i->row->handler != X86_H_vec_mmx) {
            n->kind = IR_NATIVE_MMX;
        }
        field(n, o, IR_NR_MMX, o->reg);
        break;
    case X86_OPND_REG:
        n->rm_int_in |= !out;
        field(n, o, out ? IR_NR_INT_OUT : IR_NR_INT_IN, 0);
        break;
    case X86_OPND_IMM:
        n->has_imm = true;
        n->imm = (uint8_t)t->i->imm;
        break;
    default:
        n->rm_kind = IR_NR_MEM;
        n->mem = tr_native_mem(t, o->size, out);
        break;
    }
}

/* REX.W of a move between a general register and a vector: by the register, or by its place in memory. */
static bool is_wide(const struct x86_insn *i)
{
    bool mem = false;

    for (unsigned k = 0; k < i->nopnd; k++) {
        if (i->op[k].kind == X86_OPND_REG) {
            return i->op[k].size == 8;
        }
        mem |= i->op[k].kind == X86_OPND_MEM && i->op[k].size == 8;
    }
    switch (i->row->handler) {
    case X86_H_vec_to_gpr: case X86_H_vec_from_gpr: case X86_H_mmx_to_gpr: case X86_H_mmx_from_gpr:
        return mem;
    default:
        return false;
    }
}

/*
 * VEX.W and VEX.L as they count: W of a move from or to a general register is that register's width; L is passed on where an operand has
 * 32 bytes, elsewhere it is ignored.
 */
static void vex_fields(const struct x86_insn *i, struct ir_native *n)
{
    unsigned h = i->row->handler;

    n->vex = true;
    n->map = (uint8_t)(i->map - X86_MAP_V0F + 1);
    n->w = h == X86_H_vec_to_gpr || h == X86_H_vec_from_gpr ? is_wide(i) : i->vex_w;
    for (unsigned k = 0; k < i->nopnd; k++) {
        n->l |= i->op[k].size == 32;
    }
}

ir_ref tr_native(struct x86_tr *t, enum tr_native_use use)
{
    const struct x86_insn *i = t->i;
    struct ir_native n = {
        .kind = IR_NATIVE_VEC, .prefix = host_prefix(i->row), .map = i->map, .opcode = i->opcode, .reg = i->modrm >> 3 & 7, .w = is_wide(i),
        .fault_fp = i->row->marks & (X86_ROW_FPEXC | X86_ROW_MMX),
    };
    if (i->prefixes & X86_PFX_VEX) {
        vex_fields(i, &n);
    }
    struct ir_addr at = {0};
    ir_ref in = 0;

    for (unsigned k = 0; k < i->nopnd; k++) {
        const struct x86_opnd *o = &i->op[k];
        bool out = k == 0 && use != TR_READ;
        operand(t, &n, o, out, k > 0 || use != TR_WRITE);
        if (o->kind == X86_OPND_MEM) {
            at = tr_addr(t, &i->mem, o->size, out);
            if ((t->mode & X86_MODE_ALIGN) && (i->row->marks & X86_ROW_ALIGN16)) {
                at = (struct ir_addr){.base = tr_addr_value(t, at)};
                tr_call(t, &x86_helper_check_align, at.base, ir_const(t->ir, o->size - 1), 0, 0);
            }
        } else if (o->kind == X86_OPND_REG && !out) {
            in = tr_read(t, o);
        }
    }
    ir_ref r = ir_native(t->ir, &n, at, in);
    if (i->op[0].kind == X86_OPND_REG && use != TR_READ) {
        tr_write_reg(t, i->op[0].reg, i->op[0].size, r);
    }
    return r;
}

bool x86_tr_vec(struct x86_tr *t, const struct x86_insn *i)
{
    tr_native(t, i->row->arg == X86_VEC_RW ? TR_READ_WRITE : TR_WRITE);
    return true;
}

/* A store: only movss and movsd between registers keep the rest of the destination. */
bool x86_tr_vec_store(struct x86_tr *t, const struct x86_insn *i)
{
    tr_native(t, i->row->arg == X86_VEC_STORE_RW ? TR_READ_WRITE : TR_WRITE);
    return true;
}

/* vcvtps2ph: MXCSR has its flags also when the store to memory faults. So by way of native_tmp, and then memory. */
bool x86_tr_vec_half_store(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned tmp = X86_ENV(native_tmp), size = i->op[0].size;
    struct ir_native n = {
        .kind = IR_NATIVE_VEC, .prefix = 0x66, .opcode = i->opcode, .reg_kind = IR_NR_VEC, .reg = i->op[1].reg, .rm_kind = IR_NR_STATE,
        .state_off = tmp, .has_imm = true, .imm = (uint8_t)i->imm, .fault_fp = true, .vec_read = 1u << i->op[1].reg,
        .mem = {.size = x86_width(size), .write = true},
    };

    if (i->op[0].kind != X86_OPND_MEM) {
        tr_native(t, TR_WRITE);
        return true;
    }
    vex_fields(i, &n);
    ir_native(t->ir, &n, (struct ir_addr){0}, 0);
    struct ir_addr at = {.base = tr_addr_value(t, tr_addr(t, &i->mem, size, true))};
    ir_probe(t->ir, at, tr_native_mem(t, size, true));
    for (unsigned k = 0; k < size; k += 8) {
        ir_st(t->ir, (struct ir_addr){.base = at.base, .disp = k}, (struct ir_mem){.size = IR_64}, ir_ldenv(t->ir, IR_64, tmp + k));
    }
    return true;
}

bool x86_tr_vec_to_gpr(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    tr_native(t, TR_WRITE);
    return true;
}

bool x86_tr_vec_from_gpr(struct x86_tr *t, const struct x86_insn *i)
{
    tr_native(t, i->row->arg == X86_VEC_FROM_GPR_RW ? TR_READ_WRITE : TR_WRITE);
    return true;
}

bool x86_tr_vec_flags(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    tr_set(t, IR_CC_EFLAGS, IR_32, tr_native(t, TR_READ), 0, 0);
    return true;
}

bool x86_tr_vec_xmm0(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    tr_native(t, TR_READ_WRITE);
    return true;
}

/*
 * Two kinds of errors are possible: a pending x87 one comes first and is fwait's, so that the instruction's own is SIMD's.
 * From memory cvtpi2pd leaves x87 alone, and cvtpi2ps does as the host does: on the guest's state, which fneni (a nop) calls in.
 */
bool x86_tr_vec_mmx(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir_native first = {.kind = IR_NATIVE_X87, .opcode = 0x9b, .fault_fp = true};
    bool from_mem = i->op[0].kind == X86_OPND_XMM && i->op[1].kind == X86_OPND_MEM;

    if (from_mem) {
        first = (struct ir_native){.kind = IR_NATIVE_X87, .opcode = 0xdb, .reg = 4, .rm_kind = IR_NR_X87};
    }
    if (!from_mem || i->row->prefix != X86_RP_66) {
        ir_native(t->ir, &first, (struct ir_addr){0}, 0);
    }
    tr_native(t, i->row->arg == X86_VEC_MMX_RW ? TR_READ_WRITE : TR_WRITE);
    return true;
}

/* ---- string compares ---- */

bool x86_tr_vec_str(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    unsigned arg = i->row->arg;
    bool mem = i->op[1].kind == X86_OPND_MEM, mask = arg == X86_VEC_STR_ESTRM || arg == X86_VEC_STR_ISTRM;
    uint64_t form = (uint64_t)(i->imm & 0xff) << X86_PS_IMM | (uint64_t)i->op[0].reg << X86_PS_REG |
                    (uint64_t)(mem ? 0 : i->op[1].reg) << X86_PS_RM | (uint64_t)mem << X86_PS_MEM |
                    (uint64_t)(arg == X86_VEC_STR_ESTRM || arg == X86_VEC_STR_ESTRI) << X86_PS_EXPLICIT |
                    (uint64_t)(t->code64 && (i->rex & 8)) << X86_PS_LONG | (uint64_t)mask << X86_PS_MASK;
    ir_ref lo = ir_const(ir, 0), hi = lo;

    if (mem) {
        ir_ref at = tr_addr_value(t, tr_addr(t, &i->mem, 16, false));
        struct ir_mem m = {.size = IR_64};
        lo = ir_ld(ir, (struct ir_addr){.base = at}, m);
        hi = ir_ld(ir, (struct ir_addr){.base = at, .disp = 8}, m);
    }
    if (i->prefixes & X86_PFX_VEX) {
        form |= 1ull << X86_PS_VEX;
    }
    ir_ref r = tr_call(t, &x86_helper_pcmpstr, lo, hi, ir_const(ir, (int64_t)form), 0);
    if (!mask) {
        tr_write_reg(t, X86_RCX, 4, r);
    }
    tr_set(t, IR_CC_EFLAGS, IR_32, ir_op2i(ir, IR_shr, IR_64, r, 32), 0, 0);
    return true;
}

/* ---- masked stores ---- */

bool tr_maskmov(struct x86_tr *t, bool mmx)
{
    const struct x86_insn *i = t->i;
    ir_ref at = tr_addr_value(t, tr_addr(t, &i->mem, mmx ? 8 : 16, true));
    tr_call(t, &x86_helper_maskmov, at, ir_const(t->ir, i->op[0].reg | i->op[1].reg << 8 | (mmx ? 1 << 16 : 0)), 0, 0);
    return true;
}

bool x86_tr_vec_maskmov(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    return tr_maskmov(t, false);
}

/* ---- MXCSR: the guest's is the host's while guest code runs. Through native_tmp, so that the value checked is the value loaded. ---- */

bool x86_tr_mxcsr(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir_native n = {
        .kind = IR_NATIVE_VEC, .map = 1, .opcode = 0xae, .rm_kind = IR_NR_STATE, .state_off = X86_ENV(native_tmp), .mem = {.size = IR_32},
    };
    struct ir_addr none = {0};

    if (i->row->arg == X86_MXCSR_LD) {
        ir_ref v = tr_read(t, &i->op[0]);
        tr_call(t, &x86_helper_check_mxcsr, v, 0, 0, 0);
        ir_stenv(t->ir, IR_32, X86_ENV(native_tmp), v);
        n.reg = 2;
        ir_native(t->ir, &n, none, 0);
    } else {
        n.reg = 3;
        n.mem.write = true;
        ir_native(t->ir, &n, none, 0);
        tr_write(t, &i->op[0], ir_ldenv(t->ir, IR_32, X86_ENV(native_tmp)));
    }
    return true;
}

/* ---- state images ---- */

enum { VEC_NM = 7 };

static ir_ref image_addr(struct x86_tr *t, bool write)
{
    return tr_addr_value(t, tr_addr(t, &t->i->mem, 512, write));
}

static ir_ref is_long(struct x86_tr *t)
{
    return ir_const(t->ir, t->code64 && (t->i->rex & 8));
}

bool x86_tr_fxstate(struct x86_tr *t, const struct x86_insn *i)
{
    bool save = i->row->arg == X86_FXSTATE_FXSAVE;

    if (t->mode & X86_MODE_EM) {
        return tr_ud(t);
    }
    if (t->mode & X86_MODE_TS) {
        return tr_fault(t, VEC_NM, -1);
    }
    tr_call(t, save ? &x86_helper_fxsave : &x86_helper_fxrstor, image_addr(t, save), is_long(t), 0, 0);
    return true;
}

bool x86_tr_xstate(struct x86_tr *t, const struct x86_insn *i)
{
    const struct ir_helper *h = i->row->arg == X86_XSTATE_XSAVE ? &x86_helper_xsave :
                                i->row->arg == X86_XSTATE_XSAVEOPT ? &x86_helper_xsaveopt :
                                i->row->arg == X86_XSTATE_XSAVEC ? &x86_helper_xsavec :
                                i->row->arg == X86_XSTATE_XSAVES ? &x86_helper_xsaves :
                                i->row->arg == X86_XSTATE_XRSTORS ? &x86_helper_xrstors : &x86_helper_xrstor;
    bool load = h == &x86_helper_xrstor || h == &x86_helper_xrstors;
    struct ir *ir = t->ir;

    if (!(t->mode & X86_MODE_OSXSAVE)) {
        return tr_ud(t);
    }
    if (t->mode & X86_MODE_TS) {
        return tr_fault(t, VEC_NM, -1);
    }
    ir_ref high = ir_op2i(ir, IR_shl, IR_64, tr_reg(t, X86_RDX), 32);
    ir_ref mask = ir_op2(ir, IR_or, IR_64, high, ir_zext(ir, IR_32, tr_reg(t, X86_RAX)));
    tr_call(t, h, image_addr(t, !load), mask, is_long(t), 0);
    return true;
}
