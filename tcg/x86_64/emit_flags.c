/*
 * Flags: host flags are used where they still show what is asked for; else cmp or test makes them again from the operands; what
 * needs more goes through cc_eflags(). Kinds and operands: enum ir_cc.
 */
#include "tcg/x86_64/cg_priv.h"

#include <glib.h>

unsigned fl_operands(unsigned kind)
{
    switch (kind) {
    case IR_CC_EFLAGS: case IR_CC_LOGIC: return 1;
    case IR_CC_ADC: case IR_CC_SBB: return 3;
    default: return 2;
    }
}

static bool dynamic(struct cg *c, ir_ref f)
{
    return op_of(c, f)->op == IR_getflags && c->v[f].stk < 0 && c->v[f].reg == NOREG;
}

bool fl_pending(struct cg *c, ir_ref v)
{
    const struct val *x = &c->v[v];
    return (x->flags & V_LAZY) && x->reg == NOREG && x->stk < 0 && !x->slots;
}

/* Operands of a flags value that has no lazy one. */
static unsigned describe_plain(struct cg *c, ir_ref f, struct opnd out[3])
{
    const struct ir_op *op = op_of(c, f);
    unsigned n = fl_operands(op->sub);

    if (op->op == IR_getflags) {              /* moved out of env: EFLAGS bits */
        out[0] = ra_where(c, f);
        return IR_CC_EFLAGS;
    }
    out[0] = ra_where(c, R(c, op->a));
    if (n > 1)
        out[1] = ra_where(c, R(c, op->b));
    if (n > 2)
        out[2] = ra_where(c, R(c, op->c));
    return op->sub | op->w << 5;
}

void fl_describe(struct cg *c, ir_ref f, struct fldesc *d)
{
    const struct ir_op *op = op_of(c, f);

    d->cc = (uint8_t)describe_plain(c, f, d->x);
    d->n = (uint8_t)fl_operands(d->cc & 31);
    d->lazy = op->op == IR_flags && d->n > 1 && fl_pending(c, R(c, op->b));
    if (d->lazy) {
        ir_ref g = R(c, op_of(c, R(c, op->b))->a);
        d->g_cc = dynamic(c, g) ? TCG_CC_KEPT : (uint8_t)describe_plain(c, g, d->g);
    }
}

static void store_opnd(struct cg *c, struct amem to, struct opnd x)
{
    struct code *o = &c->o;

    switch (x.kind) {
    case O_REG:
        i_store(o, 3, to, x.reg);
        break;
    case O_IMM:
        i_store_imm(o, 3, to, (int32_t)x.imm);
        break;
    case O_IMM64: {                           /* no register to spare: in halves */
        struct amem hi = to;
        hi.disp += 4;
        i_store_imm(o, 2, to, (int32_t)x.imm);
        i_store_imm(o, 2, hi, (int32_t)(x.imm >> 32));
        break;
    }
    case O_MEM:
        op_rm(o, 2, 0xff, 6, x.mem, 0);       /* push, pop: no register to spare; rsp-based operands are computed before the push */
        if (to.base == RSP)
            g_assert_not_reached();
        op_rm(o, 2, 0x8f, 0, to, 0);
        break;
    default:
        cg_give_up(c, "flags operand without a place");
    }
}

/* scratch.arg[], r11d = what make_eflags() wants. Operands are not in r11. */
static void eflags_args(struct cg *c, unsigned cc, struct opnd *x)
{
    static const int32_t at[3] = { ENV(cc_a), ENV(cc_b), ENV(cc_c) };

    if (cc == TCG_CC_KEPT) {
        for (int k = 0; k < 3; k++) {
            i_load(&c->o, 3, HR_I, st_at(at[k]));
            i_store(&c->o, 3, st_at(SCR(arg[0]) + 8 * k), HR_I);
        }
        i_load(&c->o, 2, HR_I, st_at(ENV(cc_op)));
        return;
    }
    for (unsigned k = 0; k < fl_operands(cc & 31); k++) {
        if (x[k].kind == O_MEM) {
            i_load(&c->o, 3, HR_I, x[k].mem);
            x[k] = (struct opnd){ .kind = O_REG, .reg = HR_I };
        }
        store_opnd(c, st_at(SCR(arg[0]) + 8 * (int)k), x[k]);
    }
    i_mov_imm(&c->o, HR_I, cc);
}

/* The carry of a lazy description into r11, which may hold operands: those are moved to memory, in *d too. */
static void lazy_carry(struct cg *c, struct fldesc *d)
{
    struct opnd saved = { .kind = O_MEM, .mem = st_at(SCR(arg[3])) };

    i_store(&c->o, 3, saved.mem, HR_I);
    for (unsigned k = 0; k < 3; k++) {
        if (d->x[k].kind == O_REG && d->x[k].reg == HR_I)
            d->x[k] = saved;
        if (d->g[k].kind == O_REG && d->g[k].reg == HR_I)
            d->g[k] = saved;
    }
    eflags_args(c, d->g_cc, d->g);
    cg_call(c, x86_host.eflags);
    i_alu_ri(&c->o, 2, ALU_AND, HR_I, 1);
    d->x[1] = (struct opnd){ .kind = O_REG, .reg = HR_I };
}

void fl_emit_store(struct cg *c, const struct fldesc *d)
{
    static const int32_t at[3] = { ENV(cc_a), ENV(cc_b), ENV(cc_c) };
    struct fldesc own;

    if (!d->n)
        return;
    if (d->lazy) {
        own = *d;
        lazy_carry(c, &own);
        d = &own;
    }
    for (unsigned k = 0; k < d->n; k++)
        store_opnd(c, st_at(at[k]), d->x[k]);
    i_store_imm(&c->o, 0, st_at(ENV(cc_op)), (int8_t)d->cc);  /* everybody keeps the upper bytes 0 */
}

/* Leaves scratch registers as they are, but for r11 when the flags have a lazy operand. */
void fl_store(struct cg *c, ir_ref f)
{
    struct fldesc d = { 0 };

    fl_settle(c, false);
    fl_describe(c, f, &d);
    if (d.lazy)
        ra_evict(c, HR_I);
    fl_describe(c, f, &d);
    fl_emit_store(c, &d);
    if (d.lazy)
        fl_clobber(c);
}

/* Computes a lazy carry now. */
static void materialise(struct cg *c, ir_ref v)
{
    uint32_t locked = c->lock;
    int cc = fl_cond(c, op_of(c, v)->a, IR_COND_C), d;
    struct hostflags keep = c->hf;

    c->lock = locked;
    c->hf.kind = HF_EXACT;
    d = ra_alloc(c, SCRATCH_MASK);
    i_setcc(&c->o, cc, d);
    i_movzx(&c->o, 0, d, d);
    ra_bind(c, d, v);
    c->hf = keep;
    c->lock = locked;
}

static void need_operands(struct cg *c, const struct ir_op *op)
{
    if (op->op == IR_flags && op->b && fl_pending(c, R(c, op->b)))
        materialise(c, R(c, op->b));
}

/* r11 = EFLAGS bits of f; locks r11. The host's flags are gone. */
static void eflags_to_i(struct cg *c, ir_ref f)
{
    const struct ir_op *op = op_of(c, f);
    struct opnd x[3];
    unsigned cc = TCG_CC_KEPT;

    need_operands(c, op);
    for (unsigned k = 0; op->op == IR_flags && k < fl_operands(op->sub); k++)
        ra_settle_pcrel(c, k == 0 ? op->a : k == 1 ? op->b : op->c);
    ra_evict(c, HR_I);
    c->lock |= 1u << HR_I;
    if (!dynamic(c, f))
        cc = describe_plain(c, f, x);
    eflags_args(c, cc, x);
    cg_call(c, x86_host.eflags);
    fl_clobber(c);
}

void fl_keep_dynamic(struct cg *c)
{
    if (!c->dyn || c->v[c->dyn].last <= c->i || !dynamic(c, c->dyn))
        return;
    eflags_to_i(c, c->dyn);
    ra_bind(c, HR_I, c->dyn);
}

void fl_settle(struct cg *c, bool row)
{
    const struct ir_op *f = c->arch ? op_of(c, c->arch) : NULL;

    if (!f || f->op != IR_flags || c->v[c->arch].last < c->i)
        return;
    for (unsigned k = 0; k < fl_operands(f->sub); k++) {
        ir_ref r = R(c, k == 0 ? f->a : k == 1 ? f->b : f->c);
        struct opnd x = ra_where(c, r);
        ra_settle_pcrel(c, r);
        if (fl_pending(c, r)) {
            /* a row can name the carry of what env holds; any other is computed */
            if (row && !dynamic(c, R(c, op_of(c, r)->a)))
                materialise(c, r);
            else
                for (const struct ir_op *g = op_of(c, R(c, op_of(c, r)->a)); g; g = NULL)
                    for (unsigned j = 0; g->op == IR_flags && j < fl_operands(g->sub); j++)
                        ra_settle_pcrel(c, j == 0 ? g->a : j == 1 ? g->b : g->c);
        } else if (row && x.kind == O_IMM64 && c->v[r].stk < 0) {
            /* rows hold 32-bit constants: keep it on the stack */
            int t = ra_alloc(c, SCRATCH_MASK);
            i_mov_imm(&c->o, t, x.imm);
            ra_bind(c, t, r);
            ra_spill(c, r);
            c->lock &= ~(1u << t);
        }
    }
}

/* Does the host's flags register answer `cond` of f as it is? */
static bool holds(struct cg *c, ir_ref f, unsigned cond)
{
    const struct ir_op *op = op_of(c, f);
    bool zsp = (cond & ~1u) == IR_COND_Z || (cond & ~1u) == IR_COND_S || (cond & ~1u) == IR_COND_P;
    unsigned k = c->hf.kind;

    if (k == HF_NONE)
        return false;
    if (k == HF_EXACT)
        return c->hf.ref == f;
    if (k == HF_EFLAGS)
        return op->op == IR_flags && op->sub == IR_CC_EFLAGS && R(c, op->a) == c->hf.ref;
    if (op->op != IR_flags || !op->a || R(c, op->a) != c->hf.ref || op->w != c->hf.w)
        return false;
    if (k == HF_ANDN) {                       /* SDM vol. 2, ANDN: AMD's shows P, Intel's does not */
        zsp &= (cond & ~1u) != IR_COND_P;
        k = (cond & ~1u) == IR_COND_P ? HF_NONE : HF_LOGIC;
    }
    switch (op->sub) {
    case IR_CC_ADD: return k == HF_ADD || zsp;
    case IR_CC_SUB: return k == HF_SUB || zsp;
    case IR_CC_LOGIC: return k == HF_LOGIC || zsp;
    case IR_CC_ADC: return k == HF_ADC || zsp;
    case IR_CC_SBB: return k == HF_SBB || zsp;
    case IR_CC_INC: case IR_CC_DEC: {
        unsigned e = cond & ~1u;
        return zsp || ((k == HF_ADD || k == HF_SUB) && e != IR_COND_C && e != IR_COND_BE);
    }
    case IR_CC_SHL: case IR_CC_SHR: case IR_CC_SAR: case IR_CC_MUL: return zsp;
    case IR_CC_ZONLY: return (cond & ~1u) == IR_COND_Z;
    default: return false;
    }
}

static int in_reg(struct cg *c, struct opnd x, int w)
{
    int r;

    if (x.kind == O_REG)
        return x.reg;
    r = ra_alloc(c, SCRATCH_MASK);
    ra_mov(c, w == IR_64 ? IR_64 : IR_32, r, x);
    return r;
}

/* cmp x, y at w */
static void compare(struct cg *c, int w, ir_ref a, ir_ref b)
{
    struct opnd x = ra_use(c, a, w), y = ra_use(c, b, w);

    if (x.kind == O_IMM || x.kind == O_IMM64 || (x.kind == O_MEM && y.kind == O_MEM)) {
        x.reg = (int8_t)in_reg(c, x, IR_64);
        x.kind = O_REG;
    }
    if (y.kind == O_IMM64) {
        y.reg = (int8_t)in_reg(c, y, IR_64);
        y.kind = O_REG;
    }
    if (x.kind == O_REG) {
        if (y.kind == O_REG)
            i_alu_rr(&c->o, w, ALU_CMP, x.reg, y.reg);
        else if (y.kind == O_IMM && y.imm == 0)
            i_test_rr(&c->o, w, x.reg, x.reg);
        else if (y.kind == O_IMM)
            i_alu_ri(&c->o, w, ALU_CMP, x.reg, (int32_t)y.imm);
        else
            i_alu_rm(&c->o, w, ALU_CMP, x.reg, y.mem);
    } else if (y.kind == O_REG) {
        i_alu_mr(&c->o, w, ALU_CMP, x.mem, y.reg);
    } else {
        i_alu_mi(&c->o, w, ALU_CMP, x.mem, (int32_t)y.imm);
    }
}

static void test_self(struct cg *c, int w, ir_ref a)
{
    struct opnd x = ra_use(c, a, w);

    if (x.kind == O_MEM) {
        i_alu_mi(&c->o, w, ALU_CMP, x.mem, 0);
        return;
    }
    int r = in_reg(c, x, IR_64);
    i_test_rr(&c->o, w, r, r);
}

static void test_bits(struct cg *c, int w, ir_ref a, int32_t bits)
{
    struct opnd x = ra_use(c, a, IR_64);

    if (x.kind == O_MEM) {
        op_rm(&c->o, w, w ? 0xf7 : 0xf6, 0, x.mem, 0);
        if (w == 0)
            e8(&c->o, (unsigned)bits);
        else if (w == 1)
            e16(&c->o, (unsigned)bits);
        else
            e32(&c->o, (uint32_t)bits);
        return;
    }
    i_test_ri(&c->o, w, in_reg(c, x, IR_64), bits);
}

/* The bit of EFLAGS that a one-flag condition looks at, or 0. */
static uint32_t cond_bit(unsigned cond)
{
    switch (cond & ~1u) {
    case IR_COND_O: return 0x800;
    case IR_COND_C: return 1;
    case IR_COND_Z: return 0x40;
    case IR_COND_S: return 0x80;
    case IR_COND_P: return 4;
    default: return 0;
    }
}

static int via_eflags(struct cg *c, ir_ref f, unsigned cond)
{
    uint32_t bit = cond_bit(cond);

    eflags_to_i(c, f);
    if (bit) {
        i_test_ri(&c->o, 2, HR_I, (int32_t)bit);
        return CC_NZ ^ (int)(cond & 1);
    }
    i_push(&c->o, HR_I);
    c->o.insns++;
    e8(&c->o, 0x9d);                          /* popfq: only the six arithmetic flags can change here */
    c->hf = (struct hostflags){ HF_EXACT, 0, f };
    return (int)cond;
}

/* Temporary copy of a value at width w (w < 32: upper bits do not matter). */
static int temp_of(struct cg *c, ir_ref a)
{
    struct opnd x = ra_use(c, a, IR_64);
    int r = ra_alloc(c, SCRATCH_MASK);

    ra_mov(c, IR_64, r, x);
    c->lock = 1u << r;                         /* operands may move again */
    return r;
}

static void alu_val(struct cg *c, int w, int alu, int d, ir_ref b)
{
    uint32_t locked = c->lock;
    struct opnd y = ra_use(c, b, w);

    if (y.kind == O_IMM64) {
        y.reg = (int8_t)in_reg(c, y, IR_64);
        y.kind = O_REG;
    }
    if (y.kind == O_REG)
        i_alu_rr(&c->o, w, alu, d, y.reg);
    else if (y.kind == O_IMM)
        i_alu_ri(&c->o, w, alu, d, (int32_t)y.imm);
    else
        i_alu_rm(&c->o, w, alu, d, y.mem);
    c->lock = locked;
}

/* Makes all six host flags those of f; false: not possible with a few instructions. */
static bool recreate(struct cg *c, const struct ir_op *op)
{
    int w = op->w, t;
    ir_ref a = R(c, op->a), b = op->b ? R(c, op->b) : 0, x = op->c ? R(c, op->c) : 0;

    switch (op->sub) {
    case IR_CC_ADD:
        t = temp_of(c, a);
        alu_val(c, w, ALU_SUB, t, b);
        alu_val(c, w, ALU_ADD, t, b);
        return true;
    case IR_CC_SUB:
        t = temp_of(c, a);
        alu_val(c, w, ALU_ADD, t, b);
        alu_val(c, w, ALU_CMP, t, b);
        return true;
    case IR_CC_CMP:
        compare(c, w, a, b);
        return true;
    case IR_CC_LOGIC:
        test_self(c, w, a);
        return true;
    case IR_CC_ADC:                            /* carry in = a - b - c */
        t = temp_of(c, a);
        alu_val(c, w, ALU_SUB, t, b);
        alu_val(c, w, ALU_SUB, t, x);
        i_alu_ri(&c->o, w, ALU_ADD, t, -1);
        ra_mov(c, IR_64, t, ra_use(c, x, IR_64));
        alu_val(c, w, ALU_ADC, t, b);
        return true;
    case IR_CC_SBB:                            /* borrow in = c - b - a */
        t = temp_of(c, x);
        alu_val(c, w, ALU_SUB, t, b);
        alu_val(c, w, ALU_SUB, t, a);
        i_alu_ri(&c->o, w, ALU_ADD, t, -1);
        ra_mov(c, IR_64, t, ra_use(c, x, IR_64));
        alu_val(c, w, ALU_SBB, t, b);
        return true;
    case IR_CC_INC: case IR_CC_DEC:
        t = temp_of(c, b);
        i_alu_ri(&c->o, 0, ALU_ADD, t, -1);    /* C = the carry before; inc and dec keep it */
        ra_mov(c, IR_64, t, ra_use(c, a, IR_64));
        i_lea(&c->o, 3, t, am(t, op->sub == IR_CC_INC ? -1 : 1));
        op_rr(&c->o, w, w ? 0xff : 0xfe, op->sub == IR_CC_INC ? 0 : 1, t, w ? 0 : BYTE_RM);
        return true;
    default:
        return false;
    }
}

/* Conditions on the carry alone of kinds that keep it apart; returns the host condition, or -1. */
static int carry_apart(struct cg *c, const struct ir_op *op, unsigned neg)
{
    ir_ref a = R(c, op->a), b = op->b ? R(c, op->b) : 0;

    switch (op->sub) {
    case IR_CC_ADD:
        compare(c, op->w, a, b);
        return CC_C ^ (int)neg;
    case IR_CC_INC: case IR_CC_DEC:
        test_bits(c, IR_8, b, 1);
        return CC_NZ ^ (int)neg;
    case IR_CC_SHL:
        if (op->w <= IR_32) {
            test_bits(c, op->w, b, (int32_t)(1u << (ir_bits(op->w) - 1)));
            return CC_NZ ^ (int)neg;
        }
        test_self(c, IR_64, b);
        return CC_S ^ (int)neg;
    case IR_CC_SHR: case IR_CC_SAR: case IR_CC_ZONLY:
        test_bits(c, IR_8, b, 1);
        return CC_NZ ^ (int)neg;
    case IR_CC_BITC:
        test_bits(c, IR_8, a, 1);
        return CC_NZ ^ (int)neg;
    case IR_CC_MUL:
        test_self(c, op->w, b);
        return CC_NZ ^ (int)neg;
    default:
        return -1;
    }
}

int fl_cond(struct cg *c, ir_ref f, unsigned cond)
{
    const struct ir_op *op;
    unsigned even = cond & ~1u, neg = cond & 1;
    int r;

    f = R(c, f);
    op = op_of(c, f);
    if (holds(c, f, cond))
        return (int)cond;
    if (even != IR_COND_Z && even != IR_COND_S && even != IR_COND_P)
        need_operands(c, op);
    if (op->op == IR_getflags)
        return via_eflags(c, f, cond);
    if (op->sub == IR_CC_EFLAGS || (op->sub == IR_CC_BITC && even != IR_COND_C)) {
        ir_ref bits = R(c, op->sub == IR_CC_BITC ? op->b : op->a);
        if (!cond_bit(cond))
            return via_eflags(c, f, cond);
        test_bits(c, IR_32, bits, (int32_t)cond_bit(cond));
        c->hf.kind = HF_NONE;
        return CC_NZ ^ (int)neg;
    }
    if (op->sub == IR_CC_ZONLY && even != IR_COND_C && even != IR_COND_Z)
        return via_eflags(c, f, cond);
    if (even == IR_COND_C && (r = carry_apart(c, op, neg)) >= 0) {
        c->hf.kind = HF_NONE;
        return r;
    }
    if ((even == IR_COND_Z || even == IR_COND_S || even == IR_COND_P) && op->sub != IR_CC_CMP && op->sub != IR_CC_LOGIC) {
        test_self(c, op->w, R(c, op->a));
        c->hf = (struct hostflags){ HF_ZSP, op->w, R(c, op->a) };
        return (int)cond;
    }
    if (recreate(c, op)) {
        c->hf = (struct hostflags){ HF_EXACT, 0, f };
        return (int)cond;
    }
    return via_eflags(c, f, cond);
}

void fl_carry(struct cg *c, ir_ref f)
{
    int cc = fl_cond(c, f, IR_COND_C), t;

    if (cc == CC_C)
        return;
    if (cc == CC_NC) {
        c->o.insns++;
        e8(&c->o, 0xf5);                       /* cmc */
        return;
    }
    t = ra_alloc(c, SCRATCH_MASK);
    i_setcc(&c->o, cc, t);
    i_alu_ri(&c->o, 0, ALU_ADD, t, -1);
}

static struct opnd value_opnd(struct cg *c, ir_ref v, int w)
{
    struct opnd x = ra_use(c, v, w);

    if (x.kind == O_IMM64) {
        x.reg = (int8_t)in_reg(c, x, IR_64);
        x.kind = O_REG;
    }
    return x;
}

static void em_cond(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, c->i);
    bool narrow = v != c->i;
    int cc = fl_cond(c, op->a, op->sub), d;
    struct hostflags keep = c->hf;

    c->hf.kind = HF_EXACT;                     /* nothing below may touch the host's flags */
    c->lock = 0;
    if (narrow) {
        ir_ref base = R(c, op_of(c, v)->a);
        ra_lock_val(c, base);
        d = ra_dst(c, v, base);
        if (!ra_holds(c, d, base))
            ra_mov(c, IR_64, d, ra_use(c, base, IR_64));
        i_setcc(&c->o, cc, d);
    } else {
        d = ra_dst(c, v, 0);
        i_setcc(&c->o, cc, d);
        i_movzx(&c->o, 0, d, d);
    }
    c->hf = keep;
    ra_done(c, v, d);
}

static void em_select(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, c->i), b = R(c, op->b), x = R(c, op->c);
    int w = hw(op->w), cc, d;
    struct opnd B, X;
    struct hostflags keep;

    ra_use(c, b, w);                           /* pcrel operands are made before the flags */
    ra_use(c, x, w);
    c->lock = 0;
    cc = fl_cond(c, op->a, op->sub);
    keep = c->hf;
    c->hf.kind = HF_EXACT;
    c->lock = 0;                               /* what fl_cond held is no longer needed */
    ra_lock_val(c, b);
    ra_lock_val(c, x);
    d = ra_dst(c, v, x);
    B = ra_use(c, b, w);
    X = ra_use(c, x, w);
    if (B.kind == O_REG && B.reg == d && !ra_holds(c, d, x)) {
        struct opnd t = B;
        B = X;
        X = t;
        cc ^= 1;
    }
    if (!(X.kind == O_REG && X.reg == d) && !ra_holds(c, d, x))
        ra_mov(c, w, d, X);
    if (B.kind == O_IMM || B.kind == O_IMM64) {
        if (X.kind == O_REG && X.reg != d)
            c->lock &= ~(1u << X.reg);         /* it has been copied to d */
        B.reg = (int8_t)in_reg(c, B, IR_64);
        B.kind = O_REG;
    }
    if (B.kind == O_REG)
        i_cmov(&c->o, w, cc, d, B.reg);
    else
        op_rm(&c->o, w, OP_0F | 0x40 | (unsigned)cc, d, B.mem, 0);
    c->hf = keep;
    ra_done(c, v, d);
}

static void em_adc(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, c->i), a = R(c, op->a), b = R(c, op->b);
    /* at the op's own width: the host's flags are then those of the result */
    int w = op->w, alu = op->op == IR_adc ? ALU_ADC : ALU_SBB, d, t;
    struct opnd B;

    ra_use(c, a, IR_64);
    ra_use(c, b, IR_64);
    c->lock = 0;
    fl_carry(c, R(c, op->c));
    c->hf.kind = HF_EXACT;
    c->lock = 0;
    ra_lock_val(c, a);
    ra_lock_val(c, b);
    d = ra_dst(c, v, a);
    B = value_opnd(c, b, w);
    t = d;
    if (!ra_holds(c, d, a)) {
        if (B.kind == O_REG && B.reg == d)
            t = ra_alloc(c, SCRATCH_MASK);
        ra_mov(c, IR_64, t, ra_use(c, a, IR_64));
    }
    if (B.kind == O_REG)
        i_alu_rr(&c->o, w, alu, t, B.reg);
    else if (B.kind == O_IMM)
        i_alu_ri(&c->o, w, alu, t, (int32_t)B.imm);
    else
        i_alu_rm(&c->o, w, alu, t, B.mem);
    if (t != d)
        i_mov_rr(&c->o, hw((unsigned)w), d, t);
    c->hf = (struct hostflags){ op->op == IR_adc ? HF_ADC : HF_SBB, (uint8_t)w, v };
    ra_done(c, v, d);
}

static void em_eflags(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, c->i);
    int d;

    eflags_to_i(c, R(c, op->a));
    if (c->v[v].hint < 0) {
        ra_bind(c, HR_I, v);
        return;
    }
    d = ra_dst(c, v, 0);
    i_mov_rr(&c->o, 2, d, HR_I);
    ra_done(c, v, d);
}

void em_flags_op(struct cg *c, const struct ir_op *op)
{
    switch (op->op) {
    case IR_cond: em_cond(c, op); break;
    case IR_select: em_select(c, op); break;
    case IR_eflags: em_eflags(c, op); break;
    case IR_adc: case IR_sbb: em_adc(c, op); break;
    default: g_assert_not_reached();
    }
}
