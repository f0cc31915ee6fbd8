/*
 * Where values are while code is emitted. One pass, no look back: see cg_priv.h.
 */
#include "tcg/x86_64/cg_priv.h"

#include <glib.h>

#include "base/log.h"

int ra_reg_of(struct cg *c, ir_ref v)
{
    struct val *x = &c->v[v];
    uint32_t homes;

    if (x->reg != NOREG)
        return x->reg;
    homes = x->slots & x86_host.pinned;
    return homes ? x86_host.home[__builtin_ctz(homes)] : NOREG;
}

bool ra_holds(struct cg *c, int reg, ir_ref v)
{
    int s = x86_host.slot_of[reg];

    return s >= 0 ? c->cur[s] == v : c->regval[reg] == v;
}

static struct amem stack_mem(int k) { return am(RSP, k * 8); }

struct opnd ra_where(struct cg *c, ir_ref v)
{
    struct val *x = &c->v[v];
    int r = ra_reg_of(c, v);

    if (op_of(c, v)->op == IR_const)
        return (struct opnd){ .kind = fits32(op_of(c, v)->imm) ? O_IMM : O_IMM64, .imm = op_of(c, v)->imm };
    if (r != NOREG)
        return (struct opnd){ .kind = O_REG, .reg = (int8_t)r };
    if (x->slots)
        return (struct opnd){ .kind = O_MEM, .mem = slot_mem((unsigned)__builtin_ctz(x->slots)) };
    if (x->stk >= 0)
        return (struct opnd){ .kind = O_MEM, .mem = stack_mem(x->stk) };
    return (struct opnd){ .kind = O_NONE };
}

static int64_t cut(int64_t v, int w)
{
    return w == IR_8 ? (int8_t)v : w == IR_16 ? (int16_t)v : w == IR_32 ? (int32_t)v : v;
}

/* Computes `pcbase + imm` into a fresh register; lea keeps the host's flags. */
static void materialise_pcrel(struct cg *c, ir_ref v)
{
    int64_t imm = op_of(c, v)->imm;
    int r = ra_alloc(c, SCRATCH_MASK);

    i_load(&c->o, 3, r, st_at(ENV(pcbase)));
    if (fits32(imm)) {
        if (imm)
            i_lea(&c->o, 3, r, am(r, (int32_t)imm));
    } else {
        i_mov_imm(&c->o, r, imm);
        i_alu_rm(&c->o, 3, ALU_ADD, r, st_at(ENV(pcbase)));
        fl_clobber(c);
    }
    ra_bind(c, r, v);
}

struct opnd ra_use(struct cg *c, ir_ref v, int w)
{
    struct opnd x = ra_where(c, v);

    if (x.kind == O_IMM || x.kind == O_IMM64) {
        int64_t s = cut(x.imm, w);
        x.kind = fits32(s) ? O_IMM : O_IMM64;
        x.imm = s;
        if (x.kind == O_IMM64 && ra_reg_of(c, v) != NOREG)
            x = (struct opnd){ .kind = O_REG, .reg = (int8_t)ra_reg_of(c, v) };
    } else if (x.kind == O_NONE && op_of(c, v)->op == IR_pcrel) {
        materialise_pcrel(c, v);
        x = ra_where(c, v);
    }
    if (x.kind == O_REG)
        c->lock |= 1u << x.reg;
    return x;
}

void ra_bind(struct cg *c, int reg, ir_ref v)
{
    ir_ref old = c->regval[reg];

    if (reg == HR_I)
        c->in_i = NULL;
    if (old && c->v[old].reg == reg)
        c->v[old].reg = NOREG;
    if (c->v[v].reg != NOREG && c->v[v].reg != reg)
        c->regval[(int)c->v[v].reg] = 0;
    c->regval[reg] = v;
    c->v[v].reg = (int8_t)reg;
}

void ra_mov(struct cg *c, int w, int d, struct opnd s)
{
    switch (s.kind) {
    case O_REG:
        if (s.reg != d || w == IR_32)
            i_mov_rr(&c->o, w, d, s.reg);
        break;
    case O_IMM: case O_IMM64:
        i_mov_imm(&c->o, d, w <= IR_32 ? (int64_t)(uint32_t)s.imm : s.imm);
        break;
    case O_MEM:
        i_load(&c->o, w < IR_32 ? IR_32 : w, d, s.mem);
        break;
    default:
        cg_give_up(c, "a value has no place");
    }
}

int ra_use_reg(struct cg *c, ir_ref v)
{
    int r = ra_reg_of(c, v);

    if (r == NOREG) {
        struct opnd x = ra_use(c, v, IR_64);
        if (x.kind == O_REG) {
            r = x.reg;
        } else {
            r = ra_alloc(c, SCRATCH_MASK);
            ra_mov(c, IR_64, r, x);
            ra_bind(c, r, v);
        }
    }
    c->lock |= 1u << r;
    return r;
}

void ra_lock_val(struct cg *c, ir_ref v)
{
    if (v && c->v[v].reg != NOREG)
        c->lock |= 1u << c->v[v].reg;
}

void cg_give_up(struct cg *c, const char *why)
{
    if (!c->failed) {
        log_printf(LOG_UNIMP, "x86_64 back end: %s at op %u (%s): the region is interpreted\n", why, c->i, ir_op_info[op_of(c, c->i)->op].name);
    }
    c->failed = true;
}

static bool elsewhere(struct cg *c, ir_ref v)
{
    return (c->v[v].slots & ~c->going) || c->v[v].stk >= 0 || op_of(c, v)->op == IR_const || op_of(c, v)->op == IR_pcrel;
}

static int stack_slot(struct cg *c)
{
    for (unsigned k = STACK_FIRST; k < c->stk_n; k++) {
        ir_ref v = c->stkval[k];
        if (!v || c->v[v].last < c->i || c->v[v].stk != (int)k)
            return (int)k;
    }
    if (c->stk_n == STACK_SLOTS) {
        c->failed = true;
        return 0;
    }
    return (int)c->stk_n++;
}

void ra_spill(struct cg *c, ir_ref v)
{
    int k;

    if (elsewhere(c, v) && c->v[v].reg == NOREG)
        return;
    k = stack_slot(c);
    c->stkval[k] = v;
    c->v[v].stk = (int16_t)k;
    i_store(&c->o, 3, stack_mem(k), c->v[v].reg);
}

void ra_evict(struct cg *c, int reg)
{
    ir_ref v = c->regval[reg];

    if (reg == HR_I)
        c->in_i = NULL;
    if (!v || c->v[v].reg != reg)
        return;
    if (c->v[v].last >= c->i && !elsewhere(c, v))
        ra_spill(c, v);
    c->v[v].reg = NOREG;
    c->regval[reg] = 0;
}

/* Preference: free registers first, I and T before S (memory ops destroy I and T, so what lives long should be in S or move there). */
int ra_alloc(struct cg *c, uint32_t allowed)
{
    static const uint8_t order[3] = { HR_I, HR_T, HR_S };
    int best = NOREG;
    uint32_t best_last = 0;
    bool best_drop = false;

    for (unsigned k = 0; k < 3; k++) {
        int r = order[k];
        ir_ref v = c->regval[r];
        if (!(allowed >> r & 1) || (c->lock >> r & 1))
            continue;
        if (!v || c->v[v].last < c->i) {
            best = r;
            break;
        }
        if (best == NOREG || (elsewhere(c, v) && !best_drop) || (elsewhere(c, v) == best_drop && c->v[v].last > best_last)) {
            best = r;
            best_last = c->v[v].last;
            best_drop = elsewhere(c, v);
        }
    }
    if (best == NOREG) {
        cg_give_up(c, "out of scratch registers");
        best = __builtin_ctz(allowed);        /* what is emitted from here on is thrown away */
    }
    ra_evict(c, best);
    c->lock |= 1u << best;
    return best;
}

void ra_save_slot(struct cg *c, unsigned slot)
{
    ir_ref v = c->cur[slot];
    struct val *x;
    int r;

    c->going |= 1u << slot;
    if (!v)
        return;
    x = &c->v[v];
    if (x->last > c->i && x->reg != NOREG)
        c->lock |= 1u << x->reg;
    if (x->last <= c->i || x->reg != NOREG || x->stk >= 0 || (x->slots & ~(1u << slot)) || op_of(c, v)->op == IR_const)
        return;
    /* prefer a free register; under pressure straight to the stack */
    for (r = HR_S; r <= HR_I; r++) {
        ir_ref h = c->regval[r];
        if (!(c->lock >> r & 1) && (!h || c->v[h].last < c->i))
            break;
    }
    if (r > HR_I && x86_host.home[slot] != NOREG) {
        int k = stack_slot(c);
        c->stkval[k] = v;
        x->stk = (int16_t)k;
        i_store(&c->o, 3, stack_mem(k), x86_host.home[slot]);
        return;
    }
    if (r > HR_I)
        r = ra_alloc(c, SCRATCH_MASK);
    ra_evict(c, r);
    if (x86_host.home[slot] != NOREG)
        i_mov_rr(&c->o, 3, r, x86_host.home[slot]);
    else
        i_load(&c->o, 3, r, slot_mem(slot));
    ra_bind(c, r, v);
    c->lock |= 1u << r;
}

void ra_settle_pcrel(struct cg *c, ir_ref r)
{
    r = r ? R(c, r) : 0;
    if (r && op_of(c, r)->op == IR_pcrel && !c->v[r].slots && c->v[r].stk < 0) {
        uint32_t locked = c->lock;
        ra_use_reg(c, r);
        ra_spill(c, r);
        c->lock = locked;
    }
}

void ra_unslot(struct cg *c, ir_ref v)
{
    struct val *x = &c->v[v];
    int r = ra_reg_of(c, v), k;

    if (x->reg != NOREG || x->stk >= 0 || op_of(c, v)->op == IR_const)
        return;
    k = stack_slot(c);
    c->stkval[k] = v;
    if (r == NOREG) {                         /* memory to memory, no register to spare; pop finds its operand after rsp has moved back */
        op_rm(&c->o, 2, 0xff, 6, slot_mem((unsigned)__builtin_ctz(x->slots)), 0);
        op_rm(&c->o, 2, 0x8f, 0, stack_mem(k), 0);
    } else {
        i_store(&c->o, 3, stack_mem(k), r);
    }
    x->stk = (int16_t)k;
}

void ra_set_slot(struct cg *c, unsigned slot, ir_ref v)
{
    ir_ref old = c->cur[slot];

    if (old)
        c->v[old].slots &= ~(1u << slot);
    c->going &= ~(1u << slot);
    c->cur[slot] = v;
    if (v)
        c->v[v].slots |= 1u << slot;
}

void ra_forget_slots(struct cg *c, uint32_t mask)
{
    for (unsigned s = 0; s < x86_host.guest->n_slots; s++)
        if (mask >> s & 1)
            ra_set_slot(c, s, 0);
}

int ra_dst(struct cg *c, ir_ref v, ir_ref reuse)
{
    struct val *x = &c->v[v];

    if (x->hint >= 0) {
        ra_save_slot(c, (unsigned)x->hint);
        return x86_host.home[x->hint];
    }
    if (reuse && c->v[reuse].reg != NOREG && dies(c, reuse) && reuse != v)
        return c->v[reuse].reg;
    return ra_alloc(c, SCRATCH_MASK);
}

void ra_done(struct cg *c, ir_ref v, int reg)
{
    if (x86_host.slot_of[reg] >= 0)
        ra_set_slot(c, (unsigned)x86_host.slot_of[reg], v);
    else
        ra_bind(c, reg, v);
}
