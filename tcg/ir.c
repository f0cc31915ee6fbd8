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
    memset(ir, 0, offsetof(struct ir, exits));
    ir->arena = arena;
    ir->guest = guest;
    ir->cap = FIRST_OPS;
    ir->n = 1;
    ir->ops = arena_alloc(arena, FIRST_OPS * sizeof(struct ir_op));
    ir->ops[0] = (struct ir_op){ 0 };
}

/*
 * Ops are written where they will stay, at ops[n]: copying a struct that was just stored field by field stalls the host's
 * store forwarding, and that was most of the builder's time.
 */
static void __attribute__((noinline)) grow(struct ir *ir)
{
    struct ir_op *ops = arena_alloc(ir->arena, 2 * ir->cap * sizeof(*ops));
    memcpy(ops, ir->ops, ir->n * sizeof(*ops));
    ir->ops = ops;
    ir->cap *= 2;
}

static inline struct ir_op *place(struct ir *ir)
{
    if (__builtin_expect(ir->n == ir->cap, 0)) {
        grow(ir);
    }
    return &ir->ops[ir->n];
}

static inline void use(struct ir *ir, ir_ref v)
{
    struct ir_op *o = &ir->ops[v];
    o->uses += o->uses != 255;
}

/* The op at ops[n] is complete, with so many inputs. */
static inline ir_ref done(struct ir *ir, unsigned inputs)
{
    const struct ir_op *op = &ir->ops[ir->n];

    if (inputs > 0) {
        use(ir, op->a);
    }
    if (inputs > 1) {
        use(ir, op->b);
    }
    if (inputs > 2) {
        use(ir, op->c);
    }
    if (inputs > 3) {
        use(ir, op->d);
    }
    return ir->n++;
}

ir_ref ir_const(struct ir *ir, int64_t v)
{
    ir_ref *slot = &ir->const_hash[((uint64_t)v * 0x9e3779b97f4a7c15ull) >> 59];

    if (!*slot || ir->ops[*slot].imm != v) {
        *place(ir) = (struct ir_op){ .op = IR_const, .w = IR_64, .imm = v };
        *slot = done(ir, 0);
    }
    return *slot;
}

/* The same for an op that may fold. */
static inline ir_ref settle(struct ir *ir, unsigned inputs)
{
    struct ir_op *op = &ir->ops[ir->n];

    if (!ir->no_fold) {
        ir_ref same = ir_fold(ir, op);
        if (same) {
            return same;
        }
        if (op->op == IR_const) {
            return ir_const(ir, op->imm);
        }
    }
    return done(ir, inputs);
}

ir_ref ir_emit(struct ir *ir, struct ir_op op)
{
    *place(ir) = op;
    ir->ops[ir->n].uses = 0;
    return ir_op_info[op.op].props & IR_PURE ? settle(ir, 4) : done(ir, 4);
}

/* ---- slots ---- */

static inline bool forwards(const struct ir *ir, unsigned pass, unsigned slot)
{
    return !ir->no_fold && !(ir->off_mask & pass) && slot < IR_MAX_SLOTS;
}

ir_ref ir_get(struct ir *ir, unsigned slot)
{
    bool forward = forwards(ir, PASS_SLOTS, slot);
    ir_ref v;

    if (forward && ir->slot_value[slot]) {
        return ir->slot_value[slot];
    }
    *place(ir) = (struct ir_op){ .op = IR_get, .w = ir->guest->slots[slot].w, .imm = slot };
    v = done(ir, 0);
    if (forward) {
        ir->slot_value[slot] = v;
    }
    return v;
}

void ir_put(struct ir *ir, unsigned slot, ir_ref v)
{
    unsigned w = ir->guest->slots[slot].w;

    if (forwards(ir, PASS_SLOTS, slot)) {
        if (ir->slot_value[slot] == v) {     /* it holds that value already */
            return;
        }
        /* A get sees the slot's width of what was put. */
        ir->slot_value[slot] = w == IR_64 || ir_known_bits(ir, v) <= ir_bits(w) ? v : 0;
    }
    *place(ir) = (struct ir_op){ .op = IR_put, .w = w, .a = v, .imm = slot };
    ir->last_put = done(ir, 1);
}

ir_ref ir_pcrel(struct ir *ir, int64_t off)
{
    *place(ir) = (struct ir_op){ .op = IR_pcrel, .w = IR_64, .imm = off };
    return done(ir, 0);
}

ir_ref ir_ldenv(struct ir *ir, unsigned w, unsigned offset)
{
    *place(ir) = (struct ir_op){ .op = IR_ldenv, .w = w, .imm = offset };
    return done(ir, 0);
}

void ir_stenv(struct ir *ir, unsigned w, unsigned offset, ir_ref v)
{
    *place(ir) = (struct ir_op){ .op = IR_stenv, .w = w, .a = v, .imm = offset };
    done(ir, 1);
}

ir_ref ir_op1(struct ir *ir, enum ir_opcode op, unsigned w, ir_ref a)
{
    *place(ir) = (struct ir_op){ .op = op, .w = w, .a = a };
    return settle(ir, 1);
}

ir_ref ir_op2(struct ir *ir, enum ir_opcode op, unsigned w, ir_ref a, ir_ref b)
{
    *place(ir) = (struct ir_op){ .op = op, .w = w, .a = a, .b = b };
    return settle(ir, 2);
}

ir_ref ir_op3(struct ir *ir, enum ir_opcode op, unsigned w, ir_ref a, ir_ref b, ir_ref c)
{
    *place(ir) = (struct ir_op){ .op = op, .w = w, .a = a, .b = b, .c = c };
    return settle(ir, 3);
}

ir_ref ir_op2i(struct ir *ir, enum ir_opcode op, unsigned w, ir_ref a, int64_t imm)
{
    return ir_op2(ir, op, w, a, ir_const(ir, imm));
}

ir_ref ir_hi(struct ir *ir, ir_ref of)
{
    *place(ir) = (struct ir_op){ .op = IR_hi, .w = ir->ops[of].w, .a = of };
    return done(ir, 1);
}

ir_ref ir_zext(struct ir *ir, unsigned from, ir_ref a)
{
    *place(ir) = (struct ir_op){ .op = IR_zext, .w = IR_64, .sub = from, .a = a };
    return settle(ir, 1);
}

ir_ref ir_sext(struct ir *ir, unsigned w, unsigned from, ir_ref a)
{
    *place(ir) = (struct ir_op){ .op = IR_sext, .w = w, .sub = from, .a = a };
    return settle(ir, 1);
}

/* ---- addresses ---- */

/* Moves constant parts of *v, scaled, into *disp while the sum fits. `w`: width the sum is wanted in. Only sums made since the
 * last put: what an older one was made of may have lost its home. */
static void absorb(const struct ir *ir, unsigned w, ir_ref *v, unsigned scale, int64_t *disp)
{
    while (*v) {
        const struct ir_op *o = &ir->ops[*v];
        int64_t k, sum;
        ir_ref rest;

        if (o->op == IR_const) {
            k = o->imm, rest = 0;
        } else if (*v < ir->last_put) {
            return;
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
        if (o->op == IR_lea && o->w >= w && o->b && at->base > ir->last_put && ir_fits32(at->disp + o->imm)) {
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
    *place(ir) = (struct ir_op){ .op = IR_lea, .w = w, .sub = at.scale, .a = at.base, .b = at.index, .imm = at.disp };
    return settle(ir, 2);
}

static inline ir_ref mem_op(struct ir *ir, unsigned op, unsigned w, unsigned sub, struct ir_addr at, struct ir_mem mem, ir_ref c, ir_ref d)
{
    if (!ir_fits32(at.disp)) {
        at.base = at.base ? ir_op2i(ir, IR_add, IR_64, at.base, at.disp) : ir_const(ir, at.disp);
        at.disp = 0;
    }
    if (!ir->no_fold) {
        tidy(ir, IR_64, &at);
    }
    mem.scale = at.index ? at.scale : 0;
    *place(ir) = (struct ir_op){ .op = op, .w = w, .sub = sub, .a = at.base, .b = at.index, .c = c, .d = d, .imm = at.disp, .mem = mem };
    return done(ir, 4);
}

ir_ref ir_ld(struct ir *ir, struct ir_addr at, struct ir_mem mem)
{
    return mem_op(ir, IR_ld, IR_64, 0, at, mem, 0, 0);
}

void ir_st(struct ir *ir, struct ir_addr at, struct ir_mem mem, ir_ref v)
{
    mem_op(ir, IR_st, mem.size, 0, at, mem, v, 0);
}

ir_ref ir_rmw(struct ir *ir, unsigned kind, struct ir_addr at, struct ir_mem mem, ir_ref v)
{
    return mem_op(ir, IR_rmw, mem.size, kind, at, mem, v, 0);
}

ir_ref ir_cas(struct ir *ir, struct ir_addr at, struct ir_mem mem, ir_ref expect, ir_ref desired)
{
    return mem_op(ir, IR_cas, mem.size, 0, at, mem, expect, desired);
}

void ir_probe(struct ir *ir, struct ir_addr at, struct ir_mem mem)
{
    mem_op(ir, IR_probe, IR_64, 0, at, mem, 0, 0);
}

/* The op's imm is the native itself: it has the displacement. */
ir_ref ir_native(struct ir *ir, const struct ir_native *n, struct ir_addr at, ir_ref int_in)
{
    struct ir_native *copy = arena_alloc(ir->arena, sizeof(*copy));
    bool mem = n->reg_kind == IR_NR_MEM || n->rm_kind == IR_NR_MEM || n->vvvv_kind == IR_NR_MEM;
    bool mmx = n->reg_kind == IR_NR_MMX || n->rm_kind == IR_NR_MMX || n->vvvv_kind == IR_NR_MMX;

    *copy = *n;
    if (mem) {
        if (!ir_fits32(at.disp)) {
            at.base = at.base ? ir_op2i(ir, IR_add, IR_64, at.base, at.disp) : ir_const(ir, at.disp);
            at.disp = 0;
        }
        if (!ir->no_fold) {
            tidy(ir, IR_64, &at);
        }
        if (!at.base) {
            at.base = ir_const(ir, at.disp);
            at.disp = 0;
        }
        copy->mem.scale = at.index ? at.scale : 0;
        copy->disp = (int32_t)at.disp;
    }
    ir->uses_vec |= n->kind == IR_NATIVE_VEC || n->vec_read || n->vec_written;
    ir->uses_x87 |= mmx || n->kind == IR_NATIVE_X87 || n->kind == IR_NATIVE_MMX;
    *place(ir) = (struct ir_op){ .op = IR_native, .w = IR_64, .a = at.base, .b = mem ? at.index : 0,
        .c = int_in, .native = copy, .mem = copy->mem };
    return done(ir, 3);
}

ir_ref ir_call(struct ir *ir, const struct ir_helper *h, ir_ref a, ir_ref b, ir_ref c, ir_ref d)
{
    if (h->effects & IR_EFF_WRITES) {
        memset(ir->slot_value, 0, sizeof(ir->slot_value));
    }
    if (h->effects & IR_EFF_FLAGS_W) {
        ir->flags_value = 0;
    }
    *place(ir) = (struct ir_op){ .op = IR_call, .w = IR_64, .a = a, .b = b, .c = c, .d = d, .helper = h };
    return done(ir, 4);
}

/* ---- flags ---- */

ir_ref ir_flags(struct ir *ir, enum ir_cc kind, unsigned w, ir_ref a, ir_ref b, ir_ref c)
{
    *place(ir) = (struct ir_op){ .op = IR_flags, .w = w, .sub = kind, .a = a, .b = b, .c = c };
    return settle(ir, 3);
}

ir_ref ir_getflags(struct ir *ir)
{
    bool forward = forwards(ir, PASS_FLAGS, 0);
    ir_ref f;

    if (forward && ir->flags_value) {
        return ir->flags_value;
    }
    *place(ir) = (struct ir_op){ .op = IR_getflags, .w = IR_64 };
    f = done(ir, 0);
    if (forward) {
        ir->flags_value = f;
    }
    return f;
}

void ir_putflags(struct ir *ir, ir_ref f)
{
    if (forwards(ir, PASS_FLAGS, 0)) {
        if (ir->flags_value == f) {
            return;
        }
        ir->flags_value = f;
    }
    *place(ir) = (struct ir_op){ .op = IR_putflags, .w = IR_64, .a = f };
    done(ir, 1);
}

ir_ref ir_cond(struct ir *ir, unsigned cond, ir_ref f)
{
    *place(ir) = (struct ir_op){ .op = IR_cond, .w = IR_64, .sub = cond, .a = f };
    return settle(ir, 1);
}

ir_ref ir_select(struct ir *ir, unsigned w, unsigned cond, ir_ref f, ir_ref yes, ir_ref no)
{
    *place(ir) = (struct ir_op){ .op = IR_select, .w = w, .sub = cond, .a = f, .b = yes, .c = no };
    return settle(ir, 3);
}

/* ---- control ---- */

void ir_insn(struct ir *ir, unsigned off, unsigned len)
{
    *place(ir) = (struct ir_op){ .op = IR_insn, .sub = len, .imm = off };
    done(ir, 0);
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
    *place(ir) = (struct ir_op){ .op = IR_exit_if, .sub = cond, .a = f, .imm = target };
    done(ir, 1);
}

void ir_exit_ifz(struct ir *ir, unsigned w, ir_ref a, bool nonzero, unsigned target)
{
    *place(ir) = (struct ir_op){ .op = IR_exit_ifz, .w = w, .sub = nonzero, .a = a, .imm = target };
    done(ir, 1);
}

void ir_exit_jump(struct ir *ir, unsigned target)
{
    *place(ir) = (struct ir_op){ .op = IR_exit_jump, .imm = target };
    done(ir, 0);
}

void ir_exit_ind(struct ir *ir, enum ir_ind kind, ir_ref linear)
{
    *place(ir) = (struct ir_op){ .op = IR_exit_ind, .w = IR_64, .sub = kind, .a = linear };
    done(ir, 1);
}

void ir_exit_loop(struct ir *ir, enum tcg_exit_reason reason, unsigned target)
{
    ir->exits[target].reason = reason;
    *place(ir) = (struct ir_op){ .op = IR_exit_loop, .sub = reason, .imm = target };
    done(ir, 0);
}

void ir_poll(struct ir *ir, unsigned target)
{
    *place(ir) = (struct ir_op){ .op = IR_poll, .imm = target };
    done(ir, 0);
}

bool ir_has_room(const struct ir *ir)
{
    return ir->n_exits + ROOM_EXITS <= G_N_ELEMENTS(ir->exits) && ir->n_insns < ROOM_INSNS && ir->n < ROOM_OPS;
}
