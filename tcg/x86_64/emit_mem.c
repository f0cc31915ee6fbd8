/*
 * Memory: the inline TLB check, loads, stores, read-modify-writes, helper calls, restore-map rows.
 * Sequences: translator-notes, section 3; contract of the slow path: tcg/backend.h.
 */
#include "tcg/x86_64/cg_priv.h"

#include <glib.h>

#define LOCK 0xf0

static struct tcg_loc loc_of(struct cg *c, ir_ref v, unsigned w)
{
    struct val *x = &c->v[v];
    int64_t k = op_of(c, v)->imm;

    if (fl_pending(c, v))
        return (struct tcg_loc){ .kind = LOC_ENV_CARRY, .w = IR_64 };

    if (op_of(c, v)->op == IR_const && fits32(k))
        return (struct tcg_loc){ .kind = LOC_CONST, .w = (uint8_t)w, .v = (int32_t)k };
    if (x->slots)
        return (struct tcg_loc){ .kind = LOC_SLOT, .w = (uint8_t)w, .v = __builtin_ctz(x->slots) };
    if (x->stk >= 0)
        return (struct tcg_loc){ .kind = LOC_STACK, .w = (uint8_t)w, .v = x->stk * 8 };
    if (x->reg != NOREG)
        return (struct tcg_loc){ .kind = x->reg == HR_S ? LOC_S : x->reg == HR_T ? LOC_T : LOC_I, .w = (uint8_t)w };
    cg_give_up(c, "a value has no place at a row");
    return (struct tcg_loc){ .kind = LOC_NONE };
}

void cg_row(struct cg *c, struct tcg_map_row *row)
{
    const struct ir_op *f = c->arch ? op_of(c, c->arch) : NULL;

    *row = (struct tcg_map_row){ .pc_off = c->pc_off, .insn = c->insn, .cc = TCG_CC_KEPT, .trap = 0xff };
    if (!f || c->v[c->arch].last < c->i)
        return;
    if (f->op == IR_getflags) {
        row->cc = IR_CC_EFLAGS;
        row->loc[0] = loc_of(c, c->arch, IR_64);
        return;
    }
    row->cc = (uint8_t)(f->sub | f->w << 5);
    row->loc[0] = loc_of(c, R(c, f->a), f->sub == IR_CC_EFLAGS ? IR_64 : f->w);
    if (fl_operands(f->sub) > 1)
        row->loc[1] = loc_of(c, R(c, f->b), f->w < IR_32 ? IR_32 : f->w);
    if (fl_operands(f->sub) > 2)
        row->loc[2] = loc_of(c, R(c, f->c), f->w);
}

struct tcg_map_row *cg_add_row(struct cg *c)
{
    if (c->n_map == c->cap_map) {
        struct tcg_map_row *m = arena_alloc(c->a, 2 * (c->cap_map + 16) * sizeof *m);
        if (c->n_map)
            memcpy(m, c->map, c->n_map * sizeof *m);
        c->map = m;
        c->cap_map = 2 * (c->cap_map + 16);
    }
    return &c->map[c->n_map++];
}

struct stub *cg_stub(struct cg *c, unsigned kind)
{
    struct stub *s;

    if (c->n_stubs == c->cap_stubs) {
        s = arena_alloc(c->a, 2 * (c->cap_stubs + 16) * sizeof *s);
        if (c->n_stubs)
            memcpy(s, c->stubs, c->n_stubs * sizeof *s);
        c->stubs = s;
        c->cap_stubs = 2 * (c->cap_stubs + 16);
    }
    s = &c->stubs[c->n_stubs++];
    memset(s, 0, offsetof(struct stub, row));
    s->fl.n = 0;
    s->kind = (uint8_t)kind;
    return s;
}

/* Register `reg` is about to be destroyed by a memory check: its value moves to S if that is free, else to the stack. */
static void vacate(struct cg *c, int reg)
{
    ir_ref v = c->regval[reg], s = c->regval[HR_S];
    struct val *x = &c->v[v];

    if (v && x->last >= c->i && !x->slots && x->stk < 0 && op_of(c, v)->op != IR_const && op_of(c, v)->op != IR_pcrel &&
        !(c->lock >> HR_S & 1) && (!s || c->v[s].last < c->i)) {
        i_mov_rr(&c->o, 3, HR_S, reg);
        ra_bind(c, HR_S, v);
    } else {
        ra_evict(c, reg);
    }
    c->regval[reg] = 0;
}

/* An operand of the address that nothing else needs: not even stored when its register is taken. */
static void take(struct cg *c, int reg)
{
    ir_ref v = c->regval[reg];
    const struct ir_op *op = op_of(c, c->i), *f = c->arch ? op_of(c, c->arch) : NULL;

    if (v && c->v[v].last == c->i && R(c, c->i) == c->i && v != R(c, op->c) && v != R(c, op->d) && (!f || (v != c->arch && v != R(c, f->a) && v != R(c, f->b) && v != R(c, f->c)))) {
        c->v[v].reg = NOREG;
        c->regval[reg] = 0;
    } else if (v) {
        ra_evict(c, reg);
    }
}

/* Loads value v into exactly this register, not binding it. */
static void load_into(struct cg *c, int reg, ir_ref v)
{
    struct opnd x = ra_where(c, v);

    if (x.kind == O_NONE) {                                  /* pcrel */
        i_mov_imm(&c->o, reg, op_of(c, v)->imm);
        i_alu_rm(&c->o, 3, ALU_ADD, reg, st_at(ENV(pcbase)));
        fl_clobber(c);
    } else if (x.kind != O_REG || x.reg != reg) {
        ra_mov(c, IR_64, reg, x);
    }
}

/* Base register for an address without index; adds to *disp. NOREG: the address is the displacement alone. */
static int base_reg(struct cg *c, ir_ref a, int64_t *disp)
{
    int r = a ? ra_reg_of(c, a) : NOREG;
    const struct ir_op *op = a ? op_of(c, a) : NULL;

    if (!a && fits32(*disp))
        return NOREG;
    if (r != NOREG && r != HR_T && r != HR_I) {
        c->lock |= 1u << r;
        return r;
    }
    ra_evict(c, HR_S);
    c->lock |= 1u << HR_S;
    if (!a) {
        i_mov_imm(&c->o, HR_S, *disp);
        *disp = 0;
    } else if (r == NOREG && op->op == IR_pcrel && fits32(op->imm + *disp)) {
        i_load(&c->o, 3, HR_S, st_at(ENV(pcbase)));
        *disp += op->imm;
    } else if (r == NOREG && op->op == IR_const) {
        i_mov_imm(&c->o, HR_S, op->imm);
    } else {
        load_into(c, HR_S, a);
        if (op->op != IR_pcrel)
            ra_bind(c, HR_S, a);
    }
    return HR_S;
}

/* Full address into S. */
static void indexed(struct cg *c, ir_ref a, ir_ref b, unsigned scale, int64_t disp)
{
    int ra = a ? ra_reg_of(c, a) : NOREG, rb = ra_reg_of(c, b);

    take(c, HR_S);                                           /* stores only: contents stay usable below */
    take(c, HR_T);
    take(c, HR_I);
    c->lock |= SCRATCH_MASK;
    if (rb == NOREG || (a && ra == NOREG) || !fits32(disp))
        c->in_i = NULL;
    if (rb == NOREG) {
        rb = ra == HR_I ? HR_T : HR_I;
        load_into(c, rb, b);
    }
    if (a && ra == NOREG) {
        ra = rb == HR_T ? HR_I : HR_T;
        load_into(c, ra, a);
    }
    if (!fits32(disp)) {
        int t = ra != HR_T && rb != HR_T ? HR_T : ra != HR_I && rb != HR_I ? HR_I : HR_S;
        i_mov_imm(&c->o, t, disp);
        if (ra != NOREG)
            i_lea(&c->o, 3, t, (struct amem){ (int8_t)t, (int8_t)ra, 0, 0 });
        ra = t;
        disp = 0;
    }
    i_lea(&c->o, 3, HR_S, (struct amem){ (int8_t)ra, (int8_t)rb, (uint8_t)scale, (int32_t)disp });
}

/* T's value survives a member's slow path in a stack slot of its own, where the row finds it. */
static void keep_t(struct stub *s)
{
    s->keep_t = true;
    for (unsigned k = 0; k < 3; k++)
        if (s->row.loc[k].kind == LOC_T) {
            s->row.loc[k].kind = LOC_STACK;
            s->row.loc[k].v = GROUP_KEEP_T * 8;
        }
}

/* The inline check of an access alone or of a group's first. Returns the jump to the slow path. */
static uint8_t *check_tlb(struct cg *c, struct amem addr, const struct ir_mem *m, const struct group *g, bool write)
{
    unsigned n = m->align ? m->size : 0;
    int64_t span = 1 << m->size;
    uint8_t *jump;

    if (g) {
        int64_t below = (g->disp - g->lo + (1 << n) - 1) & -(1ll << n);
        span = g->hi - g->disp + below;
        addr.disp -= (int32_t)below;
    }
    if (addr.base == NOREG)
        i_mov_imm(&c->o, HR_T, addr.disp);
    else if (addr.disp == 0)
        i_mov_rr(&c->o, 3, HR_T, addr.base);
    else
        i_lea(&c->o, 3, HR_T, addr);
    if (x86_host.bmi2) {
        i_rorx(&c->o, 3, HR_I, HR_T, 7);
    } else {
        i_mov_rr(&c->o, 2, HR_I, HR_T);
        i_shift_i(&c->o, 2, SH_SHR, HR_I, 7);
    }
    i_alu_rm(&c->o, 2, ALU_AND, HR_I, am(HR_CTX, -8));
    i_alu_rm(&c->o, 3, ALU_XOR, HR_T, (struct amem){ HR_CTX, HR_I, 0, write ? 8 : 0 });
    if (n)
        i_shift_i(&c->o, 3, SH_ROR, HR_T, n);
    i_alu_ri(&c->o, 3, ALU_CMP, HR_T, (int32_t)((4096 - span) >> n));
    jump = i_jcc(&c->o, CC_A);
    i_load(&c->o, 3, HR_I, (struct amem){ HR_CTX, HR_I, 0, 16 });
    if (g)
        i_store(&c->o, 3, am(RSP, g->slot * 8), HR_I);
    return jump;
}

void em_check(struct cg *c, struct access *x, struct address at, const struct ir_mem *m, uint32_t desc)
{
    struct amem addr = { NOREG, NOREG, 0, 0 };
    struct stub *s;
    ir_ref a = at.a ? R(c, at.a) : 0, b = at.b ? R(c, at.b) : 0;
    int64_t disp = at.disp;
    bool write = desc & TCG_D_WRITE, inline_ok = m->regime == 0, member, kept;
    const struct group *in_i, *g = c->group_of[c->i] && !(desc & TCG_D_PROBE && !(desc & TCG_D_READ)) ? &c->groups[c->group_of[c->i] - 1] : NULL;
    uint8_t *jump;

    if (g && g->members == 1)
        g = NULL;
    member = g && g->leader != c->i;

    fl_settle(c, true);
    c->lock &= ~SCRATCH_MASK;
    if (b && is_const(c, b)) {
        disp += (int64_t)((uint64_t)op_of(c, b)->imm << at.scale);
        b = 0;
    }
    if (a && is_const(c, a)) {
        disp += op_of(c, a)->imm;
        a = 0;
    }
    if (b) {
        indexed(c, a, b, at.scale, disp);
        addr = am(HR_S, 0);
    } else {
        int r = base_reg(c, a, &disp);
        if (!fits32(disp)) {
            /* base + 64-bit constant */
            ra_evict(c, HR_S);
            c->lock |= 1u << HR_S;
            vacate(c, HR_T);
            i_mov_imm(&c->o, HR_T, disp);
            i_lea(&c->o, 3, HR_S, (struct amem){ HR_T, (int8_t)r, 0, 0 });
            r = HR_S;
            disp = 0;
        }
        addr = am(r, (int32_t)disp);
    }
    if (!(member && x->spare_t && addr.base != HR_T))
        vacate(c, HR_T);
    in_i = c->in_i;
    vacate(c, HR_I);
    c->in_i = g;
    kept = c->regval[HR_T] && c->v[c->regval[HR_T]].last >= c->i;
    c->lock |= 1u << HR_T | 1u << HR_I;
    x->mem = (struct amem){ HR_I, addr.base, 0, addr.disp };

    if (member && in_i == g) {
        i_alu_mi(&c->o, 3, ALU_CMP, am(RSP, g->slot * 8), 0);
        jump = i_jcc(&c->o, CC_Z);
    } else if (member) {
        i_load(&c->o, 3, HR_I, am(RSP, g->slot * 8));
        i_test_rr(&c->o, 3, HR_I, HR_I);
        jump = i_jcc(&c->o, CC_Z);
    } else if (inline_ok) {
        jump = check_tlb(c, addr, m, g, g ? g->write : write);
    } else {
        jump = i_jmp(&c->o);
    }
    fl_clobber(c);
    s = cg_stub(c, STUB_SLOW);
    s->from = jump;
    s->back = c->o.p;
    s->addr = addr;
    s->desc = desc;
    s->grouped = g != NULL;
    cg_row(c, &s->row);
    if (kept)
        keep_t(s);
    x->stub = c->n_stubs - 1;
    x->start = c->o.p;
    c->lock &= ~(1u << HR_T);
}

void em_stored(struct cg *c, struct access *x, bool plain)
{
    struct stub *s = &c->stubs[x->stub];

    s->is_store = true;
    s->plain = plain;
    s->copy = x->start;
    s->copy_end = s->back = c->o.p;
}

static struct address address_of(const struct ir_op *op)
{
    return (struct address){ op->a, op->b, op->mem.scale, op->imm };
}

/* Can the load that is op i be the memory operand of the next operation? */
static uint32_t folds_into(struct cg *c, const struct ir_op *op)
{
    uint32_t j = c->i + 1;
    const struct ir_op *n;

    if (R(c, c->i) != c->i || c->v[c->i].uses != 1)
        return 0;
    for (; j < c->n; j++) {
        n = op_of(c, j);
        if (n->op != IR_const && n->op != IR_get && n->op != IR_nop && n->op != IR_flags)
            break;
    }
    if (j >= c->n || c->v[c->i].last != j)
        return 0;
    switch (n->op) {
    case IR_add: case IR_sub: case IR_and: case IR_or: case IR_xor: case IR_mul:
        break;
    default:
        return 0;
    }
    /* a pc-relative operand wants a register of its own, beside the two that the operand in memory may hold and the result's */
    if (n->b != c->i || R(c, n->a) == c->i || op_of(c, R(c, n->a))->op == IR_pcrel || c->v[R(c, j)].last == 0)
        return 0;
    if (R(c, j) != j ? op->mem.size != n->w : (n->w < IR_32 || op->mem.size != n->w))
        return 0;
    return j;
}

static void em_ld(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, c->i);
    struct access x = { .spare_t = true };
    uint32_t into = folds_into(c, op);
    int d, t;

    if (v != c->i)
        ra_settle_pcrel(c, op_of(c, v)->a);
    em_check(c, &x, address_of(op), &op->mem, tcg_desc(&op->mem, true, false, false));
    if (into) {
        c->fold = c->i;
        c->fold_at = into;
        c->fold_mem = x.mem;
        return;
    }
    if (c->v[v].last == 0)
        return;
    if (v != c->i) {                                         /* merged: narrow load into a copy of what it is inserted into */
        ir_ref base = R(c, op_of(c, v)->a);
        ra_lock_val(c, base);
        d = ra_dst(c, v, base);
        if (d == HR_I || d == x.mem.index)
            d = d == HR_I ? ra_alloc(c, SCRATCH_MASK) : d;
        t = d;
        if (!ra_holds(c, d, base)) {
            if (d == x.mem.index)
                t = ra_alloc(c, SCRATCH_MASK);
            ra_mov(c, IR_64, t, ra_use(c, base, IR_64));
        }
        op_rm(&c->o, op->mem.size == 0 ? 2 : 1, op->mem.size == 0 ? 0x8a : 0x8b, t, x.mem, op->mem.size == 0 ? BYTE_REG : 0);
        if (t != d)
            i_mov_rr(&c->o, 3, d, t);
    } else {
        d = ra_dst(c, v, 0);
        if (op->mem.sign && op->mem.size < 3) {
            if (op->mem.size == 2)
                op_rm(&c->o, 3, 0x63, d, x.mem, 0);
            else
                op_rm(&c->o, 3, OP_0F | (op->mem.size ? 0xbf : 0xbe), d, x.mem, 0);
        } else {
            i_load(&c->o, op->mem.size, d, x.mem);
        }
    }
    ra_done(c, v, d);
}

/* The value as a source after a check: a register, or an immediate of width w; T is used if it must be loaded. */
static struct opnd source(struct cg *c, ir_ref v, int w, bool imm_ok)
{
    struct opnd x = ra_use(c, v, w);

    if (x.kind == O_REG || (x.kind == O_IMM && imm_ok))
        return x;
    ra_mov(c, IR_64, HR_T, x);
    c->lock |= 1u << HR_T;
    return (struct opnd){ .kind = O_REG, .reg = HR_T };
}

static void em_st(struct cg *c, const struct ir_op *op)
{
    struct access x = { 0 };
    struct opnd s;
    int w = op->mem.size;

    ra_settle_pcrel(c, op->c);
    em_check(c, &x, address_of(op), &op->mem, tcg_desc(&op->mem, false, true, false));
    s = source(c, R(c, op->c), w, true);
    if (s.kind == O_IMM)
        i_store_imm(&c->o, w, x.mem, (int32_t)s.imm);
    else
        i_store(&c->o, w, x.mem, s.reg);
    em_stored(c, &x, true);
}

static void alu_opnd(struct cg *c, int w, int alu, int d, struct opnd b)
{
    if (b.kind == O_REG)
        i_alu_rr(&c->o, w, alu, d, b.reg);
    else if (b.kind == O_IMM)
        i_alu_ri(&c->o, w, alu, d, (int32_t)b.imm);
    else
        i_alu_rm(&c->o, w, alu, d, b.mem);
}

static int rmw_alu(unsigned kind)
{
    switch (kind) {
    case IR_RMW_ADD: return ALU_ADD;
    case IR_RMW_SUB: return ALU_SUB;
    case IR_RMW_AND: return ALU_AND;
    case IR_RMW_OR: return ALU_OR;
    default: return ALU_XOR;
    }
}

/* reg = reg OP src at width w */
static void rmw_apply(struct cg *c, unsigned kind, int w, int reg, struct opnd src)
{
    if (kind == IR_RMW_NEG || kind == IR_RMW_NOT)
        op_rr(&c->o, w, w ? 0xf7 : 0xf6, kind == IR_RMW_NEG ? 3 : 2, reg, w ? 0 : BYTE_RM);
    else
        alu_opnd(c, w, rmw_alu(kind), reg, src);
}

/* The result is looked at and no single host instruction gives it: through rax (cmpxchg) or, not atomic, load-operate-store. */
static void rmw_loop(struct cg *c, const struct ir_op *op, struct access *x, unsigned kind, int w)
{
    ir_ref v = c->i, src = op->c ? R(c, op->c) : 0;
    struct opnd s = { .kind = O_NONE };
    uint8_t *again;

    i_lea(&c->o, 3, HR_I, x->mem);
    if (src) {
        s = ra_use(c, src, w);
        if (s.kind == O_IMM64) {
            ra_mov(c, IR_64, HR_T, s);
            ra_evict(c, HR_S);
            c->failed |= ra_reg_of(c, src) != NOREG;
            i_store(&c->o, 3, st_at(SCR(arg[0])), HR_T);
            s = (struct opnd){ .kind = O_MEM, .mem = st_at(SCR(arg[0])) };
        } else if (s.kind == O_REG && s.reg == HR_S) {
            i_store(&c->o, 3, st_at(SCR(arg[0])), HR_S);
            s = (struct opnd){ .kind = O_MEM, .mem = st_at(SCR(arg[0])) };
        }
    }
    ra_evict(c, HR_S);
    c->lock |= SCRATCH_MASK;
    if (op->mem.atomic) {
        if (s.kind == O_REG && s.reg == RAX)
            s.reg = HR_T;
        i_mov_rr(&c->o, 3, HR_T, RAX);
        i_load(&c->o, w, RAX, am(HR_I, 0));
        again = c->o.p;
        i_mov_rr(&c->o, 3, HR_S, RAX);
        rmw_apply(c, kind, w, HR_S, s);
        e8(&c->o, LOCK);
        op_rm(&c->o, w, OP_0F | (w ? 0xb1 : 0xb0), HR_S, am(HR_I, 0), w ? 0 : BYTE_REG);
        fix8(i_jcc8(&c->o, CC_NZ), again);
        op_rr(&c->o, 3, 0x87, RAX, HR_T, 0);
    } else {
        i_load(&c->o, w, HR_T, am(HR_I, 0));
        i_mov_rr(&c->o, 3, HR_S, HR_T);
        rmw_apply(c, kind, w, HR_S, s);
        i_store(&c->o, w, am(HR_I, 0), HR_S);
    }
    em_stored(c, x, false);
    ra_bind(c, op->sub & IR_RMW_OLD ? HR_T : HR_S, v);
}

static void em_rmw(struct cg *c, const struct ir_op *op)
{
    unsigned kind = op->sub & ~IR_RMW_OLD;
    bool old = op->sub & IR_RMW_OLD, want = c->v[c->i].last != 0;
    int w = op->mem.size;
    ir_ref src = op->c ? R(c, op->c) : 0;
    struct access x = { 0 };
    struct opnd s;

    if (kind == IR_RMW_NEG || kind == IR_RMW_NOT)
        src = 0;
    ra_settle_pcrel(c, src);
    em_check(c, &x, address_of(op), &op->mem, tcg_desc(&op->mem, true, true, false));
    if (kind == IR_RMW_XCHG || (want && (kind == IR_RMW_ADD || kind == IR_RMW_SUB) && (old || op->mem.atomic))) {
        s = ra_use(c, src, w);
        ra_mov(c, IR_64, HR_T, s);
        c->lock |= 1u << HR_T;
        if (kind == IR_RMW_XCHG) {
            op_rm(&c->o, w, w ? 0x87 : 0x86, HR_T, x.mem, w ? 0 : BYTE_REG);
        } else {
            if (kind == IR_RMW_SUB)
                op_rr(&c->o, 3, 0xf7, 3, HR_T, 0);
            if (op->mem.atomic)
                e8(&c->o, LOCK);
            op_rm(&c->o, w, OP_0F | (w ? 0xc1 : 0xc0), HR_T, x.mem, w ? 0 : BYTE_REG);
        }
        em_stored(c, &x, false);
        if (kind != IR_RMW_XCHG && !old) {
            if (s.kind == O_IMM64) {
                i_mov_imm(&c->o, HR_I, s.imm);
                s = (struct opnd){ .kind = O_REG, .reg = HR_I };
            }
            alu_opnd(c, w, rmw_alu(kind), HR_T, s);
            c->hf = (struct hostflags){ kind == IR_RMW_ADD ? HF_ADD : HF_SUB, (uint8_t)w, c->i };
        } else if (kind == IR_RMW_XCHG && !old) {
            ra_mov(c, IR_64, HR_T, s);
        } else if (w < IR_64) {
            i_movzx(&c->o, w, HR_T, HR_T);
        }
        ra_bind(c, HR_T, c->i);
        return;
    }
    if (want && (old || op->mem.atomic)) {
        rmw_loop(c, op, &x, kind, w);
        return;
    }
    if (want) {
        s = src ? ra_use(c, src, w) : (struct opnd){ .kind = O_NONE };
        if (s.kind == O_IMM64) {
            i_mov_imm(&c->o, HR_T, s.imm);
            i_store(&c->o, 3, st_at(SCR(arg[0])), HR_T);
            s = (struct opnd){ .kind = O_MEM, .mem = st_at(SCR(arg[0])) };
        }
        i_load(&c->o, w, HR_T, x.mem);
        rmw_apply(c, kind, w, HR_T, s);
        i_store(&c->o, w, x.mem, HR_T);
        em_stored(c, &x, false);
        ra_bind(c, HR_T, c->i);
        if (kind != IR_RMW_NOT)
            c->hf = (struct hostflags){ kind == IR_RMW_ADD ? HF_ADD : kind == IR_RMW_SUB || kind == IR_RMW_NEG ? HF_SUB : HF_LOGIC, (uint8_t)w, c->i };
        return;
    }
    s = src ? source(c, src, w, true) : (struct opnd){ .kind = O_NONE };
    if (op->mem.atomic)
        e8(&c->o, LOCK);
    if (!src)
        op_rm(&c->o, w, w ? 0xf7 : 0xf6, kind == IR_RMW_NEG ? 3 : 2, x.mem, 0);
    else if (s.kind == O_IMM)
        i_alu_mi(&c->o, w, rmw_alu(kind), x.mem, (int32_t)s.imm);
    else
        i_alu_mr(&c->o, w, rmw_alu(kind), x.mem, s.reg);
    em_stored(c, &x, false);
}

static void em_cas(struct cg *c, const struct ir_op *op)
{
    ir_ref expect = R(c, op->c), desired = R(c, op->d);
    int w = op->mem.size, des = HR_S;
    struct access x = { 0 };
    struct opnd e, n;

    ra_settle_pcrel(c, op->c);
    ra_settle_pcrel(c, op->d);
    em_check(c, &x, address_of(op), &op->mem, tcg_desc(&op->mem, true, true, false));
    i_lea(&c->o, 3, HR_I, x.mem);
    /* S may hold either of them, or only the address: evicting stores what is needed */
    ra_evict(c, HR_S);
    c->lock |= SCRATCH_MASK;
    e = ra_where(c, expect);
    n = ra_where(c, desired);
    if (n.kind == O_REG && n.reg != RAX)
        des = n.reg;
    else
        ra_mov(c, IR_64, HR_S, n);
    i_mov_rr(&c->o, 3, HR_T, RAX);
    if (!(e.kind == O_REG && e.reg == RAX))
        ra_mov(c, IR_64, RAX, e);
    if (op->mem.atomic)
        e8(&c->o, LOCK);
    op_rm(&c->o, w, OP_0F | (w ? 0xb1 : 0xb0), des, am(HR_I, 0), w ? 0 : BYTE_REG);
    op_rr(&c->o, 3, 0x87, RAX, HR_T, 0);
    if (w < IR_64)                                           /* on success rax kept what stood above the operand */
        i_movzx(&c->o, w, HR_T, HR_T);
    em_stored(c, &x, false);
    ra_bind(c, HR_T, c->i);
}

static void em_env(struct cg *c, const struct ir_op *op)
{
    struct amem m = st_at((int32_t)op->imm - BIAS);

    if (op->op == IR_ldenv) {
        int d;
        if (c->v[c->i].last == 0)
            return;
        d = ra_dst(c, c->i, 0);
        i_load(&c->o, op->w, d, m);
        ra_done(c, c->i, d);
    } else {
        struct opnd x = ra_use(c, R(c, op->a), op->w);
        if (x.kind == O_IMM)
            i_store_imm(&c->o, op->w, m, (int32_t)x.imm);
        else
            i_store(&c->o, op->w, m, ra_use_reg(c, R(c, op->a)));
    }
}

void em_mem(struct cg *c, const struct ir_op *op)
{
    struct access x = { 0 };

    switch (op->op) {
    case IR_ld: em_ld(c, op); break;
    case IR_st: em_st(c, op); break;
    case IR_rmw: em_rmw(c, op); c->in_i = NULL; break;
    case IR_cas: em_cas(c, op); c->in_i = NULL; break;
    case IR_probe:
        em_check(c, &x, address_of(op), &op->mem, tcg_desc(&op->mem, !op->mem.write, op->mem.write, true));
        break;
    case IR_fence:
        c->o.insns++;
        e8(&c->o, 0x0f);
        e8(&c->o, 0xae);
        e8(&c->o, 0xf0);
        break;
    default: em_env(c, op); break;
    }
}

static void store_arg(struct cg *c, struct amem to, ir_ref v)
{
    struct opnd x = ra_use(c, v, IR_64);

    if (x.kind == O_REG) {
        i_store(&c->o, 3, to, x.reg);
    } else if (x.kind == O_IMM) {
        i_store_imm(&c->o, 3, to, (int32_t)x.imm);
    } else {
        int t = ra_alloc(c, SCRATCH_MASK);
        ra_mov(c, IR_64, t, x);
        i_store(&c->o, 3, to, t);
    }
    c->lock = 0;
}

void em_call(struct cg *c, const struct ir_op *op)
{
    const struct ir_helper *h = op->helper;
    ir_ref arg[4] = { op->a, op->b, op->c, op->d };
    uint8_t *thunk = thunk_helper(h);
    ir_ref v = c->i;
    struct tcg_map_row *row;

    if (!thunk) {
        c->failed = true;
        return;
    }
    fl_settle(c, true);
    if (h->effects & (IR_EFF_FLAGS_R | IR_EFF_FLAGS_W))
        fl_keep_dynamic(c);
    if ((h->effects & IR_EFF_FLAGS_R) && c->arch) {
        fl_store(c, c->arch);
        c->arch = 0;
        c->dyn = 0;
    }
    c->lock = 0;
    for (unsigned k = 0; k < h->args && k < 4; k++)
        store_arg(c, st_at(SCR(arg[0]) + 8 * (int)k), R(c, arg[k]));
    /* what the helper overwrites; the row's flags are wanted when it faults halfway (rep movs) */
    if (h->effects & IR_EFF_WRITES)
        for (unsigned s = 0; s < x86_host.guest->n_slots; s++)
            if (c->cur[s] && c->v[c->cur[s]].last >= c->i)
                ra_unslot(c, c->cur[s]);
    cg_call(c, thunk);
    c->vec_high &= !(h->effects & IR_EFF_VEC);               /* it may have set scratch.vec_low */
    if (h->effects & IR_EFF_WRITES)
        ra_forget_slots(c, ~0u);
    row = cg_add_row(c);
    cg_row(c, row);
    row->host_off = host_off(c, c->o.p);
    fl_clobber(c);
    if (h->effects & IR_EFF_FLAGS_W) {
        c->arch = 0;
        c->dyn = 0;
    }
    if (h->ret && c->v[v].last) {
        int d;
        c->lock = 0;
        d = ra_dst(c, v, 0);
        i_load(&c->o, 3, d, st_at(SCR(ret)));
        ra_done(c, v, d);
    }
}
