/*
 * The op table and the builder: appends ops, shares constants, and folds what is cheap to see while an op is made, so
 * that the usual code needs no pass for it. Lean: this runs for every guest instruction translated.
 */
#include <glib.h>
#include <string.h>

#include "tcg/emit.h"
#include "tcg/ir_priv.h"

enum { FIRST_OPS = 512, ROOM_OPS = 640, ROOM_INSNS = 40, ROOM_EXITS = 8 };

#define PURE IR_PURE
#define FAULT IR_FAULT
#define SIDE IR_SIDE
#define EXIT IR_EXIT
#define FLAGS IR_FLAGS
const struct ir_op_info ir_op_info[IR_OP_COUNT] = {
#define OP(name, outs, ins, props, meaning) [IR_##name] = { #name, outs, ins, props, meaning },
#include "tcg/ops.def"
#undef OP
};
#undef PURE
#undef FAULT
#undef SIDE
#undef EXIT
#undef FLAGS

void ir_begin(struct ir *ir, struct arena *arena, const struct tcg_guest *guest)
{
    *ir = (struct ir){ .arena = arena, .guest = guest, .cap = FIRST_OPS, .n = 1 };
    ir->ops = arena_alloc(arena, FIRST_OPS * sizeof(struct ir_op));
    ir->ops[0] = (struct ir_op){ 0 };
}

static void __attribute__((noinline)) grow(struct ir *ir)
{
    struct ir_op *ops = arena_alloc(ir->arena, 2 * ir->cap * sizeof(*ops));
    memcpy(ops, ir->ops, ir->n * sizeof(*ops));
    ir->ops = ops;
    ir->cap *= 2;
}

static inline void use(struct ir *ir, ir_ref v)
{
    struct ir_op *o = &ir->ops[v];
    o->uses += o->uses != 255;
}

static inline ir_ref append(struct ir *ir, const struct ir_op *op)
{
    if (ir->n == ir->cap) {
        grow(ir);
    }
    ir->ops[ir->n] = *op;
    ir->ops[ir->n].uses = 0;
    use(ir, op->a);
    use(ir, op->b);
    use(ir, op->c);
    use(ir, op->d);
    return ir->n++;
}

ir_ref ir_const(struct ir *ir, int64_t v)
{
    ir_ref *slot = &ir->const_hash[((uint64_t)v * 0x9e3779b97f4a7c15ull) >> 59];
    const struct ir_op *o = &ir->ops[*slot];

    if (!*slot || o->imm != v) {
        *slot = append(ir, &(struct ir_op){ .op = IR_const, .w = IR_64, .imm = v });
    }
    return *slot;
}

static inline ir_ref emit(struct ir *ir, struct ir_op *op)
{
    if ((ir_op_info[op->op].props & IR_PURE) && !ir->no_fold) {
        ir_ref same = ir_fold(ir, op);
        if (same) {
            return same;
        }
        if (op->op == IR_const) {
            return ir_const(ir, op->imm);
        }
    }
    return append(ir, op);
}

ir_ref ir_emit(struct ir *ir, struct ir_op op)
{
    return emit(ir, &op);
}

ir_ref ir_get(struct ir *ir, unsigned slot)
{
    return append(ir, &(struct ir_op){ .op = IR_get, .w = ir->guest->slots[slot].w, .imm = slot });
}

void ir_put(struct ir *ir, unsigned slot, ir_ref v)
{
    append(ir, &(struct ir_op){ .op = IR_put, .w = ir->guest->slots[slot].w, .a = v, .imm = slot });
}

ir_ref ir_pcrel(struct ir *ir, int64_t off)
{
    return append(ir, &(struct ir_op){ .op = IR_pcrel, .w = IR_64, .imm = off });
}

ir_ref ir_ldenv(struct ir *ir, unsigned w, unsigned offset)
{
    return append(ir, &(struct ir_op){ .op = IR_ldenv, .w = w, .imm = offset });
}

void ir_stenv(struct ir *ir, unsigned w, unsigned offset, ir_ref v)
{
    append(ir, &(struct ir_op){ .op = IR_stenv, .w = w, .a = v, .imm = offset });
}

ir_ref ir_op1(struct ir *ir, enum ir_opcode op, unsigned w, ir_ref a)
{
    return emit(ir, &(struct ir_op){ .op = op, .w = w, .a = a });
}

ir_ref ir_op2(struct ir *ir, enum ir_opcode op, unsigned w, ir_ref a, ir_ref b)
{
    return emit(ir, &(struct ir_op){ .op = op, .w = w, .a = a, .b = b });
}

ir_ref ir_op3(struct ir *ir, enum ir_opcode op, unsigned w, ir_ref a, ir_ref b, ir_ref c)
{
    return emit(ir, &(struct ir_op){ .op = op, .w = w, .a = a, .b = b, .c = c });
}

ir_ref ir_op2i(struct ir *ir, enum ir_opcode op, unsigned w, ir_ref a, int64_t imm)
{
    return ir_op2(ir, op, w, a, ir_const(ir, imm));
}

ir_ref ir_hi(struct ir *ir, ir_ref of)
{
    return append(ir, &(struct ir_op){ .op = IR_hi, .w = ir->ops[of].w, .a = of });
}

ir_ref ir_zext(struct ir *ir, unsigned from, ir_ref a)
{
    return emit(ir, &(struct ir_op){ .op = IR_zext, .w = IR_64, .sub = from, .a = a });
}

ir_ref ir_sext(struct ir *ir, unsigned w, unsigned from, ir_ref a)
{
    return emit(ir, &(struct ir_op){ .op = IR_sext, .w = w, .sub = from, .a = a });
}

/* ---- addresses ---- */

/* Moves constant parts of *v, scaled, into *disp while the sum fits. `w`: width the sum is wanted in. */
static void absorb(const struct ir *ir, unsigned w, ir_ref *v, unsigned scale, int64_t *disp)
{
    while (*v) {
        const struct ir_op *o = &ir->ops[*v];
        int64_t k, sum;
        ir_ref rest;

        if (o->op == IR_const) {
            k = o->imm, rest = 0;
        } else if (o->op == IR_lea && o->w >= w && !o->b) {
            k = o->imm, rest = o->a;
        } else if (o->op == IR_add && o->w >= w && ir->ops[o->b].op == IR_const) {
            k = ir->ops[o->b].imm, rest = o->a;
        } else {
            return;
        }
        sum = (int64_t)((uint64_t)*disp + ((uint64_t)k << scale));
        if (!ir_fits32(k) || !ir_fits32(sum)) {
            return;
        }
        *disp = sum;
        *v = rest;
    }
}

static void tidy(const struct ir *ir, unsigned w, struct ir_addr *at)
{
    absorb(ir, w, &at->base, 0, &at->disp);
    absorb(ir, w, &at->index, at->scale, &at->disp);
    if (!at->base && at->index && !at->scale) {
        at->base = at->index;
        at->index = 0;
    }
    if (at->base && !at->index) {            /* base + (index << scale) made before */
        const struct ir_op *o = &ir->ops[at->base];
        if (o->op == IR_lea && o->w >= w && o->b && ir_fits32(at->disp + o->imm)) {
            at->index = o->b;
            at->scale = o->sub;
            at->disp += o->imm;
            at->base = o->a;
        }
    }
    if (!at->index) {
        at->scale = 0;
    }
}

ir_ref ir_lea(struct ir *ir, unsigned w, ir_ref base, ir_ref index, unsigned scale, int64_t disp)
{
    struct ir_addr at = { base, index, scale, disp };

    if (!ir_fits32(disp) && w == IR_32) {
        at.disp = disp = (int32_t)disp;
    }
    if (!ir_fits32(disp)) {
        at.base = base ? ir_op2i(ir, IR_add, w, base, disp) : ir_const(ir, disp);
        at.disp = 0;
    }
    if (!ir->no_fold) {
        tidy(ir, w, &at);
    }
    if (!at.base && at.index) {              /* the op's a is never none: lea of 0 */
        at.base = ir_const(ir, at.disp);
        at.disp = 0;
    } else if (!at.base) {
        return ir_const(ir, w == IR_64 ? at.disp : (int64_t)((uint64_t)at.disp & ir_mask(w)));
    }
    return emit(ir, &(struct ir_op){ .op = IR_lea, .w = w, .sub = at.scale, .a = at.base, .b = at.index, .imm = at.disp });
}

static ir_ref mem_op(struct ir *ir, struct ir_op op, struct ir_addr at, struct ir_mem mem)
{
    if (!ir_fits32(at.disp)) {
        at.base = at.base ? ir_op2i(ir, IR_add, IR_64, at.base, at.disp) : ir_const(ir, at.disp);
        at.disp = 0;
    }
    if (!ir->no_fold) {
        tidy(ir, IR_64, &at);
    }
    op.a = at.base;
    op.b = at.index;
    op.mem = mem;
    op.mem.scale = at.index ? at.scale : 0;
    op.imm = at.disp;
    return append(ir, &op);
}

ir_ref ir_ld(struct ir *ir, struct ir_addr at, struct ir_mem mem)
{
    return mem_op(ir, (struct ir_op){ .op = IR_ld, .w = IR_64 }, at, mem);
}

void ir_st(struct ir *ir, struct ir_addr at, struct ir_mem mem, ir_ref v)
{
    mem_op(ir, (struct ir_op){ .op = IR_st, .w = mem.size, .c = v }, at, mem);
}

ir_ref ir_rmw(struct ir *ir, unsigned kind, struct ir_addr at, struct ir_mem mem, ir_ref v)
{
    return mem_op(ir, (struct ir_op){ .op = IR_rmw, .w = mem.size, .sub = kind, .c = v }, at, mem);
}

ir_ref ir_cas(struct ir *ir, struct ir_addr at, struct ir_mem mem, ir_ref expect, ir_ref desired)
{
    return mem_op(ir, (struct ir_op){ .op = IR_cas, .w = mem.size, .c = expect, .d = desired }, at, mem);
}

void ir_probe(struct ir *ir, struct ir_addr at, struct ir_mem mem)
{
    mem_op(ir, (struct ir_op){ .op = IR_probe, .w = IR_64 }, at, mem);
}

/* The op's imm is the native itself: a displacement goes into the base. */
ir_ref ir_native(struct ir *ir, const struct ir_native *n, struct ir_addr at, ir_ref int_in)
{
    struct ir_native *copy = arena_alloc(ir->arena, sizeof(*copy));
    bool mem = n->reg_kind == IR_NR_MEM || n->rm_kind == IR_NR_MEM || n->vvvv_kind == IR_NR_MEM;
    bool mmx = n->reg_kind == IR_NR_MMX || n->rm_kind == IR_NR_MMX || n->vvvv_kind == IR_NR_MMX;

    *copy = *n;
    if (mem) {
        /* lea, not the tidied form: it must stay one value, or base + scaled index without displacement */
        if (at.disp || !at.base) {
            at.base = ir_lea(ir, IR_64, at.base, at.index, at.scale, at.disp);
            at.index = 0;
        }
        copy->mem.scale = at.index ? at.scale : 0;
    }
    ir->uses_vec |= n->kind == IR_NATIVE_VEC || n->vec_read || n->vec_written;
    ir->uses_x87 |= mmx || n->kind == IR_NATIVE_X87 || n->kind == IR_NATIVE_MMX;
    return append(ir, &(struct ir_op){ .op = IR_native, .w = IR_64, .a = mem ? at.base : 0, .b = mem ? at.index : 0,
        .c = int_in, .native = copy, .mem = copy->mem });
}

ir_ref ir_call(struct ir *ir, const struct ir_helper *h, ir_ref a, ir_ref b, ir_ref c, ir_ref d)
{
    return append(ir, &(struct ir_op){ .op = IR_call, .w = IR_64, .a = a, .b = b, .c = c, .d = d, .helper = h });
}

/* ---- flags ---- */

ir_ref ir_flags(struct ir *ir, enum ir_cc kind, unsigned w, ir_ref a, ir_ref b, ir_ref c)
{
    return emit(ir, &(struct ir_op){ .op = IR_flags, .w = w, .sub = kind, .a = a, .b = b, .c = c });
}

ir_ref ir_getflags(struct ir *ir)
{
    return append(ir, &(struct ir_op){ .op = IR_getflags, .w = IR_64 });
}

void ir_putflags(struct ir *ir, ir_ref f)
{
    append(ir, &(struct ir_op){ .op = IR_putflags, .w = IR_64, .a = f });
}

ir_ref ir_cond(struct ir *ir, unsigned cond, ir_ref f)
{
    return emit(ir, &(struct ir_op){ .op = IR_cond, .w = IR_64, .sub = cond, .a = f });
}

ir_ref ir_select(struct ir *ir, unsigned w, unsigned cond, ir_ref f, ir_ref yes, ir_ref no)
{
    return emit(ir, &(struct ir_op){ .op = IR_select, .w = w, .sub = cond, .a = f, .b = yes, .c = no });
}

/* ---- control ---- */

void ir_insn(struct ir *ir, unsigned off, unsigned len)
{
    append(ir, &(struct ir_op){ .op = IR_insn, .sub = len, .imm = off });
    ir->n_insns++;
    ir->guest_bytes += len;
}

unsigned ir_exit_target(struct ir *ir, struct ir_exit e)
{
    g_assert(ir->n_exits < G_N_ELEMENTS(ir->exits));
    ir->exits[ir->n_exits] = e;
    return ir->n_exits++;
}

void ir_exit_if(struct ir *ir, unsigned cond, ir_ref f, unsigned target)
{
    append(ir, &(struct ir_op){ .op = IR_exit_if, .sub = cond, .a = f, .imm = target });
}

void ir_exit_ifz(struct ir *ir, unsigned w, ir_ref a, bool nonzero, unsigned target)
{
    append(ir, &(struct ir_op){ .op = IR_exit_ifz, .w = w, .sub = nonzero, .a = a, .imm = target });
}

void ir_exit_jump(struct ir *ir, unsigned target)
{
    append(ir, &(struct ir_op){ .op = IR_exit_jump, .imm = target });
}

void ir_exit_ind(struct ir *ir, enum ir_ind kind, ir_ref linear)
{
    append(ir, &(struct ir_op){ .op = IR_exit_ind, .w = IR_64, .sub = kind, .a = linear });
}

void ir_exit_loop(struct ir *ir, enum tcg_exit_reason reason, unsigned target)
{
    ir->exits[target].reason = reason;
    append(ir, &(struct ir_op){ .op = IR_exit_loop, .sub = reason, .imm = target });
}

void ir_poll(struct ir *ir, unsigned target)
{
    append(ir, &(struct ir_op){ .op = IR_poll, .imm = target });
}

bool ir_has_room(const struct ir *ir)
{
    return ir->n_exits + ROOM_EXITS <= G_N_ELEMENTS(ir->exits) && ir->n_insns < ROOM_INSNS && ir->n < ROOM_OPS;
}
