/*
 * IR to x86-64 code: the driver. Analysis, one forward pass that allocates and encodes, then what lies out of line.
 */
#include "tcg/x86_64/cg_priv.h"
#include "tcg/x86_64/patch_priv.h"

#include <glib.h>

#include "tcg/x86_64/host_priv.h"

#define MOST_PER_OP 1024      /* bytes that one op can emit on the hot path, spills included */

static void begin(struct cg *c, struct tcg_codebuf *cb, size_t at, struct ir *ir, struct arena *a)
{
    memset(c, 0, offsetof(struct cg, stkval));
    c->ir = ir;
    c->a = a;
    c->n = ir->n;
    c->base = c->o.p = cb->rw + at;
    c->limit = cb->rw + cb->end;
    c->rx_delta = cb->rx - cb->rw;
    c->al = arena_alloc(a, ir->n * sizeof *c->al);
    c->v = arena_alloc(a, ir->n * sizeof *c->v);
    c->group_of = arena_alloc(a, ir->n);
    c->stk_n = STACK_FIRST;
    c->al[0] = 0;
    c->v[0] = (struct val){ .stk = -1, .reg = NOREG, .hint = -1 };
}

/* An op that computes something, or would if anybody wanted it. */
static void em_value(struct cg *c, const struct ir_op *op)
{
    ir_ref v = R(c, c->i);

    if (c->v[c->i].flags & V_LAZY)
        return;
    if ((ir_op_info[op->op].props & IR_PURE) && c->v[v].last == 0) {
        if (op->op != IR_mulu2 && op->op != IR_muls2)
            return;
        if (c->i + 1 >= c->n || op_of(c, c->i + 1)->op != IR_hi || c->v[c->i + 1].last == 0)
            return;
    }
    switch (op->op) {
    case IR_cond: case IR_select: case IR_eflags: case IR_adc: case IR_sbb:
        em_flags_op(c, op);
        break;
    case IR_ld: case IR_st: case IR_rmw: case IR_cas: case IR_probe: case IR_fence: case IR_ldenv: case IR_stenv:
        em_mem(c, op);
        break;
    case IR_native:
        em_native(c, op);
        break;
    case IR_call:
        em_call(c, op);
        break;
    case IR_exit_if: case IR_exit_ifz: case IR_exit_jump: case IR_exit_ind: case IR_exit_loop: case IR_poll:
        em_exit(c, op, c->i + 1 < c->n ? op + 1 : NULL);
        break;
    default:
        em_int(c, op);
        break;
    }
}

/* Ops that say where values are, and emit nothing; false: it is not one of them. */
static inline bool note_op(struct cg *c, const struct ir_op *op, uint32_t i)
{
    ir_ref f;

    switch (op->op) {
    case IR_nop: case IR_const: case IR_pcrel: case IR_flags: case IR_hi:
        return true;
    case IR_insn:
        c->pc_off = (int16_t)op->imm;
        c->insn++;
        return true;
    case IR_get:
        if (R(c, i) == i)
            ra_set_slot(c, (unsigned)op->imm, i);
        return true;
    case IR_getflags:
        if (R(c, i) == i)
            c->dyn = i;
        return true;
    case IR_putflags:
        f = R(c, op->a);
        c->arch = op_of(c, f)->op == IR_getflags && f == c->dyn && c->v[f].reg == NOREG && c->v[f].stk < 0 ? 0 : f;
        return true;
    default:
        return false;
    }
}

static void em_op(struct cg *c, const struct ir_op *op)
{
    if (c->fold && c->i > c->fold_at)
        c->fold = 0;
    if (c->fold) {
        c->lock |= 1u << HR_I;
        if (c->fold_mem.index != NOREG)
            c->lock |= 1u << c->fold_mem.index;
    }
    if (c->o.p + MOST_PER_OP > c->limit) {
        c->failed = true;
        return;
    }
    if (op->op == IR_put)
        em_put(c, op);
    else if (op->op == IR_insert8 || op->op == IR_insert16 ? c->v[c->i].def == c->i : R(c, c->i) >= c->i)
        em_value(c, op);                      /* else an alias, or an insert that was done where its narrow operand was */
    ra_end_op(c);
}

/* The page behind is still the one that was translated, or look the region up again. Returns the rel32 to fix. */
static uint8_t *prove_second_page(struct cg *c, uint32_t id)
{
    i_load(&c->o, 3, HR_S, st_at(ENV(pcbase)));
    i_alu_ri(&c->o, 3, ALU_ADD, HR_S, (int32_t)(4096 | id >> CODE_MAP_BITS));
    i_alu_rm(&c->o, 3, ALU_CMP, HR_S, am(HR_CTX, GUARD_MAP + 8 * (int)(id & (CODE_MAP_ENTRIES - 1))));
    return i_jcc(&c->o, CC_NZ);
}

bool x86_compile(struct tcg_codebuf *cb, struct ir *ir, struct arena *a, struct tcg_code *out)
{
    struct cg c;
    size_t at = codebuf_reserve(cb, 16384);
    uint8_t *unproved = NULL;
    uint32_t hot, insns;

    if (at == SIZE_MAX || ir->n > UINT16_MAX)
        return false;
    begin(&c, cb, at, ir, a);
    cg_analyse(&c);
    if (ir->second_page)
        unproved = prove_second_page(&c, ir->second_page - 1);
    for (uint32_t i = 1; i < c.n && !c.failed; i = c.i + 1) {
        const struct ir_op *op = op_of(&c, i);

        c.i = i;
        if (!note_op(&c, op, i))
            em_op(&c, op);
    }
    hot = host_off(&c, c.o.p);
    insns = c.o.insns;
    em_stubs(&c);
    if (c.failed || c.o.p + 64 > c.limit)
        return false;
    /* for kill: see patch.c */
    if (unproved)
        fix32(unproved, c.o.p);
    cg_call(&c, x86_host.exit_dead);
    e16(&c.o, c.n > 1 && op_of(&c, 1)->op == IR_insn ? (unsigned)op_of(&c, 1)->imm : 0);
    *out = (struct tcg_code){
        .rx = cb->rx + at, .size = host_off(&c, c.o.p), .hot_size = hot, .host_insns = insns,
        .map = c.map, .n_map = c.n_map, .exits = c.exits, .n_exits = c.n_exits,
    };
    codebuf_commit(cb, at + out->size);
    return true;
}

const struct tcg_backend tcg_backend_x86_64 = {
    .name = "x86_64",
    .init = x86_host_init,
    .compile = x86_compile,
    .enter = x86_host_enter,
    .patch = x86_patch,
    .kill = x86_kill,
};
