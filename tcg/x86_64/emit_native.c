/*
 * The host's own vector, x87, MMX and integer instructions on guest state in place (struct ir_native; SDM vol. 2 for the encoding).
 *
 * Guest vector register n is host register n: the pinned ones always, the others (14, 15) are loaded before and stored after. Legacy
 * encodings stay legacy and VEX ones VEX, in our own moves too: so upper halves are touched by the guest's VEX instructions only, and
 * mixing costs what it costs natively. Integer fields are homes or scratch registers. x87 and
 * MMX work on the host's x87, which is loaded at the first such op of a region if it is not live yet.
 * Inputs: c goes to the field of kind INT_IN; a, where there is no memory operand, to vvvv or (reg_int_in) to the in-out reg field.
 */
#include "tcg/x86_64/cg_priv.h"


static bool uses_x87(const struct ir_native *n)
{
    return n->kind == IR_NATIVE_X87 || n->kind == IR_NATIVE_MMX || n->reg_kind == IR_NR_MMX || n->rm_kind == IR_NR_MMX;
}

/* Does the instruction change the host's arithmetic flags? */
static bool sets_flags(const struct ir_native *n)
{
    if (n->kind == IR_NATIVE_INT)
        return true;
    if (n->kind == IR_NATIVE_X87)
        return n->rm_kind == IR_NR_X87 && (n->opcode == 0xdb || n->opcode == 0xdf || n->opcode == 0xda);
    return (n->map == 1 && (n->opcode | 1) == 0x2f) || (n->map == 2 && (n->opcode == 0x17 || (n->opcode | 1) == 0x0f)) ||
        (n->map == 3 && n->opcode >= 0x60 && n->opcode <= 0x63);      /* vtestps, vtestpd: map 2, 0e and 0f */
}

static void x87_ready(struct cg *c)
{
    struct stub *s;

    if (c->x87_live)
        return;
    i_alu_mi(&c->o, 0, ALU_CMP, st_at(SCR(x87_live)), 1);
    fl_clobber(c);
    s = cg_stub(c, STUB_X87);
    s->from = i_jcc(&c->o, CC_NZ);
    s->back = c->o.p;
    c->x87_live = true;
}

/* Width of moves: a VEX instruction writes all of its destination, and reads what VEX.L says. */
static void unpinned_vectors(struct cg *c, const struct ir_native *n, uint32_t mask, bool store)
{
    const struct tcg_guest *g = c->ir->guest;

    for (unsigned x = g->n_vec_pinned; x < g->n_vec && x < 16; x++) {
        struct amem m = st_at((int32_t)(g->vec_offset + x * g->vec_stride) - BIAS);
        if (!(mask >> x & 1))
            continue;
        if (n->vex && store)
            i_vex_store(&c->o, 1, m, (int)x);
        else if (n->vex)
            i_vex_load(&c->o, n->l, (int)x, m);
        else if (store)
            i_vstore(&c->o, m, (int)x);
        else
            i_vload(&c->o, (int)x, m);
    }
}

static void vec_low(struct cg *c, bool low)
{
    if (!low && c->vec_high)
        return;
    i_store_imm(&c->o, 0, st_at(SCR(vec_low)), low);
    c->vec_high = !low;
}

/* All sixteen registers. Those that live in memory: the bytes that become zero. */
static void em_vzero(struct cg *c, bool all)
{
    const struct tcg_guest *g = c->ir->guest;

    i_vzero(&c->o, all);
    for (unsigned x = g->n_vec_pinned; x < g->n_vec && x < 16; x++)
        for (unsigned at = all ? 0 : 16; at < 32; at += 8)
            i_store_imm(&c->o, 3, st_at((int32_t)(g->vec_offset + x * g->vec_stride + at) - BIAS), 0);
    vec_low(c, true);
}

struct fields { int reg, rm, vvvv; struct amem mem; };

static void encode(struct cg *c, const struct ir_native *n, const struct fields *f)
{
    unsigned op = (unsigned)n->map << 8 | n->opcode;
    int w = n->w ? 3 : 2;
    bool byte_rm = n->rm_kind == IR_NR_INT_IN && n->prefix == 0xf2 && op == (OP_0F38 | 0xf0);   /* crc32 r, r/m8 */

    if (n->vex) {
        unsigned pp = n->prefix == 0x66 ? 1 : n->prefix == 0xf3 ? 2 : n->prefix == 0xf2 ? 3 : 0;
        op_vex(&c->o, n->map, pp, n->w, n->l, n->opcode, f->reg, f->vvvv, f->rm, f->mem);
    } else if (n->rm_kind == IR_NR_NONE) {
        c->o.insns++;
        if (n->prefix)
            e8(&c->o, n->prefix);
        e_opcode(&c->o, op);
    } else if (f->rm == NOREG) {
        op_rm_p(&c->o, n->prefix, w, op, f->reg, f->mem, 0);
    } else {
        op_rr_p(&c->o, n->prefix, w, op, f->reg, f->rm, byte_rm ? BYTE_RM : 0);
    }
    if (n->has_imm)
        e8(&c->o, n->imm);
}

static int int_input(struct cg *c, ir_ref r)
{
    struct opnd x = ra_use(c, r, IR_64);
    int t;

    if (x.kind == O_REG)
        return x.reg;
    t = ra_alloc(c, SCRATCH_MASK);
    ra_mov(c, IR_64, t, x);
    return t;
}

static bool is_out(const struct ir_native *n)
{
    return n->reg_kind == IR_NR_INT_OUT || n->rm_kind == IR_NR_INT_OUT || n->vvvv_kind == IR_NR_INT_OUT;
}

/* Result register of an instruction that has one. An in-out field starts as value a. */
static int int_output(struct cg *c, const struct ir_op *op, const struct ir_native *n, int in)
{
    ir_ref v = c->i, a = op->a ? R(c, op->a) : 0;
    int d;

    if (c->v[v].last == 0)
        d = ra_alloc(c, SCRATCH_MASK);
    else
        d = ra_dst(c, v, 0);
    if (n->reg_kind == IR_NR_INT_OUT && n->reg_int_in && !ra_holds(c, d, a)) {
        if (d == in)
            d = ra_alloc(c, SCRATCH_MASK);
        ra_mov(c, IR_64, d, ra_use(c, a, IR_64));
    }
    return d;
}

static void flags_result(struct cg *c, ir_ref v)
{
    int d;

    if (c->v[v].last == 0)
        return;
    c->lock = 0;
    c->hf = (struct hostflags){ HF_EFLAGS, IR_32, v };
    d = ra_alloc(c, SCRATCH_MASK);
    c->o.insns += 1;
    e8(&c->o, 0x9c);                                         /* pushfq */
    i_pop(&c->o, d);
    if (c->v[v].flags & V_OTHER_USE) {
        i_alu_ri(&c->o, 2, ALU_AND, d, 0x8d5);
        fl_clobber(c);
    }
    ra_bind(c, d, v);
}

static void result(struct cg *c, ir_ref v, int d)
{
    const struct val *x = &c->v[v];

    if (x->last == 0)
        return;
    if (x->hint >= 0 && x86_host.home[x->hint] != d) {       /* computed beside its home */
        i_mov_rr(&c->o, 3, x86_host.home[x->hint], d);
        d = x86_host.home[x->hint];
    }
    ra_done(c, v, d);
}

void em_native(struct cg *c, const struct ir_op *op)
{
    const struct ir_native *n = op->native;
    bool mem = n->rm_kind == IR_NR_MEM, rw = mem && n->mem.write && n->kind == IR_NATIVE_X87;
    struct fields f = { n->reg, n->rm, n->vvvv_kind == IR_NR_NONE ? 0 : n->vvvv, { 0 } };
    struct access x = { .spare_t = !(mem && n->mem.write) };
    int in = NOREG, out = NOREG;
    uint8_t *at;

    if (n->vex && n->kind == IR_NATIVE_VEC && !x86_host.avx) {
        cg_give_up(c, "a VEX instruction, and the host has no AVX");
        return;
    }
    if (ir_is_vzero(n)) {
        em_vzero(c, n->l);
        return;
    }
    if (n->vex && n->l && n->vec_written)
        vec_low(c, false);
    fl_settle(c, true);
    if (uses_x87(n))
        x87_ready(c);
    if (op->c)
        ra_settle_pcrel(c, R(c, op->c));
    if (mem) {
        struct address ad = { op->a, op->b, n->mem.scale, n->disp };
        em_check(c, &x, ad, &n->mem, tcg_desc(&n->mem, rw || !n->mem.write, n->mem.write, false));
        f.mem = x.mem;
        f.rm = NOREG;
    } else if (n->rm_kind == IR_NR_STATE) {
        f.mem = st_at((int32_t)n->state_off - BIAS);
        f.rm = NOREG;
    }
    /* behind the check: its slow path saves the pinned ones only */
    unpinned_vectors(c, n, n->vec_read | (n->vec_written & (n->vex || (n->rm_kind == IR_NR_MEM && n->mem.write) ? 0 : ~0u)), false);
    if (op->c)
        in = int_input(c, R(c, op->c));
    if (n->vvvv_kind == IR_NR_INT_IN)
        f.vvvv = int_input(c, R(c, op->a));
    if (is_out(n))
        out = int_output(c, op, n, in);
    if (n->kind == IR_NATIVE_X87 && (n->opcode == 0xda || n->opcode == 0xdb) && n->rm_kind == IR_NR_X87 && n->reg < 4) {
        i_test_rr(&c->o, 2, in, in);                         /* fcmov looks at Z */
        fl_clobber(c);
    }
    if (n->reg_kind == IR_NR_INT_IN)
        f.reg = in;
    if (n->rm_kind == IR_NR_INT_IN)
        f.rm = in;
    if (n->reg_kind == IR_NR_INT_OUT)
        f.reg = out;
    if (n->rm_kind == IR_NR_INT_OUT)
        f.rm = out;
    if (n->vvvv_kind == IR_NR_INT_OUT)
        f.vvvv = out;
    at = c->o.p;
    if (n->fault_fp || n->kind == IR_NATIVE_X87 || n->kind == IR_NATIVE_MMX) {
        struct tcg_map_row *row = cg_add_row(c);
        cg_row(c, row);
        row->host_off = host_off(c, at);
        row->trap = uses_x87(n) && n->kind != IR_NATIVE_VEC ? TCG_TRAP_FP_X87 : TCG_TRAP_FP_VEC;
        if (mem && n->mem.write) {
            c->stubs[x.stub].host_trap_rel = (uint32_t)(at - x.start) + 1;
            c->stubs[x.stub].trap = row->trap;
        }
    }
    encode(c, n, &f);
    if (mem && n->mem.write)
        em_stored(c, &x, true);
    unpinned_vectors(c, n, n->vec_written, true);
    if (sets_flags(n))
        fl_clobber(c);
    if (out != NOREG)
        result(c, c->i, out);
    else
        flags_result(c, c->i);
}
