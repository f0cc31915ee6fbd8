/*
 * The passes: one sweep forward (what is known of slots and flags, folding), which the builder has done already unless it was told
 * not to, and one backward (dead code, dead puts, dead flags), each with a switch. op.uses is kept right all along; at 255 it sticks, and such a value is never dropped.
 *
 * Faults and exits show slots and flags: a put or putflags is dropped only when the same slot is put again with no op in
 * between that may fault, leave, or read it through a helper.
 */
#include "tcg/emit.h"
#include "tcg/ir_priv.h"

enum { MAX_SLOTS = IR_MAX_SLOTS };

static inline void use(struct ir *ir, ir_ref v)
{
    struct ir_op *o = &ir->ops[v];
    o->uses += o->uses != 255;
}

static inline void unuse(struct ir *ir, ir_ref v)
{
    struct ir_op *o = &ir->ops[v];
    o->uses -= o->uses != 255 && o->uses != 0;
}

static void use_inputs(struct ir *ir, const struct ir_op *op)
{
    use(ir, op->a);
    use(ir, op->b);
    use(ir, op->c);
    use(ir, op->d);
}

static inline void drop_inputs(struct ir *ir, const struct ir_op *op)
{
    unuse(ir, op->a);
    if (op->b | op->c | op->d) {
        unuse(ir, op->b);
        unuse(ir, op->c);
        unuse(ir, op->d);
    }
}

static void drop(struct ir *ir, struct ir_op *op)
{
    drop_inputs(ir, op);
    op->op = IR_nop;
    op->a = op->b = op->c = op->d = 0;
}

/* ---- forward ---- */

struct forward {
    struct ir *ir;
    unsigned on;
    ir_ref slot[MAX_SLOTS];   /* value that the slot holds, if known */
    ir_ref flags;
    uint32_t last_put;
};

/* A dropped op whose value lives on under another name is a nop with `a` = that value until the sweep is over. */
static inline unsigned follow(struct ir *ir, ir_ref *v)
{
    if (ir->ops[*v].op != IR_nop || !*v) {
        return 0;
    }
    *v = ir->ops[*v].a;
    use(ir, *v);
    return 1;
}

static void alias(struct ir_op *op, ir_ref v)
{
    op->op = IR_nop;
    op->a = v;
    op->b = op->c = op->d = 0;
}

static inline unsigned slot_limit(const struct ir *ir)
{
    return ir->guest->n_slots < MAX_SLOTS ? ir->guest->n_slots : MAX_SLOTS;
}

static void forward_slot(struct forward *f, struct ir_op *op, uint32_t i)
{
    struct ir *ir = f->ir;
    ir_ref *known = &f->slot[op->imm];

    if (op->op == IR_get) {
        if (*known) {
            alias(op, *known);
        } else {
            *known = i;
        }
        return;
    }
    if (*known == op->a) {                   /* it holds that value already */
        drop(ir, op);
        return;
    }
    /* A get sees the slot's width of what was put. */
    *known = op->w == IR_64 || ir_known_bits(ir, op->a) <= ir_bits(op->w) ? op->a : 0;
}

static void forward_flags(struct forward *f, struct ir_op *op, uint32_t i)
{
    if (op->op == IR_putflags) {
        if (f->flags == op->a) {
            drop(f->ir, op);
        } else {
            f->flags = op->a;
        }
    } else if (f->flags) {
        alias(op, f->flags);
    } else {
        f->flags = i;
    }
}

static void forward_call(struct forward *f, const struct ir_op *op)
{
    if (op->helper->effects & IR_EFF_WRITES) {
        for (unsigned s = 0; s < slot_limit(f->ir); s++) {
            f->slot[s] = 0;
        }
    }
    if (op->helper->effects & IR_EFF_FLAGS_W) {
        f->flags = 0;
    }
}

/* Address arithmetic that nobody else wants goes into the memory op. Only if made since the last put: what it reads may
 * have lost its home there. */
static void fold_address(struct forward *f, struct ir_op *op)
{
    struct ir *ir = f->ir;
    struct ir_op *base = &ir->ops[op->a];
    ir_ref index = op->b;
    unsigned scale = op->mem.scale;
    int64_t disp;

    if (!op->a || base->uses != 1 || base->w != IR_64 || op->a < f->last_put || op->a == op->b) {
        return;
    }
    if (base->op == IR_lea && (!base->b || !index)) {
        disp = op->imm + base->imm;
        if (base->b) {
            index = base->b;
            scale = base->sub;
        }
    } else if (base->op == IR_add && ir->ops[base->b].op == IR_const && ir_fits32(ir->ops[base->b].imm)) {
        disp = op->imm + ir->ops[base->b].imm;
    } else if (base->op == IR_add && !index) {
        disp = op->imm;
        index = base->b;
        scale = 0;
    } else {
        return;
    }
    if (!ir_fits32(disp)) {
        return;
    }
    unuse(ir, op->a);
    op->a = base->a;
    use(ir, op->a);
    if (index != op->b) {
        op->b = index;
        use(ir, index);
    }
    op->mem.scale = scale;
    op->imm = disp;
}

static void refold(struct forward *f, struct ir_op *op)
{
    struct ir *ir = f->ir;
    uint8_t uses = op->uses;
    ir_ref same;

    drop_inputs(ir, op);
    same = ir_fold(ir, op);
    if (same) {
        alias(op, same);
    } else {
        op->uses = uses;
        use_inputs(ir, op);
    }
}

static void sweep_forward(struct ir *ir, unsigned on)
{
    struct forward f = { .ir = ir, .on = on };

    for (uint32_t i = 1; i < ir->n; i++) {
        struct ir_op *op = &ir->ops[i];
        unsigned changed = follow(ir, &op->a) | follow(ir, &op->b) | follow(ir, &op->c) | follow(ir, &op->d);

        switch (op->op) {
        case IR_nop: case IR_insn: case IR_const:
            break;
        case IR_put:
            f.last_put = i;
            /* fall through */
        case IR_get:
            if ((on & PASS_SLOTS) && op->imm < MAX_SLOTS) {
                forward_slot(&f, op, i);
            }
            break;
        case IR_putflags: case IR_getflags:
            if (on & PASS_FLAGS) {
                forward_flags(&f, op, i);
            }
            break;
        case IR_call:
            forward_call(&f, op);
            break;
        case IR_ld: case IR_st: case IR_rmw: case IR_cas: case IR_probe:
            if (on & PASS_FOLD) {
                fold_address(&f, op);
            }
            break;
        default:
            if (changed && (on & PASS_FOLD) && (ir_op_info[op->op].props & IR_PURE)) {
                refold(&f, op);
            }
            break;
        }
    }
}

/* ---- backward ---- */

struct backward {
    uint64_t slots_dead;      /* bit n: slot n is put again before anything can see it */
    bool flags_dead;
};

static void backward_call(struct backward *b, const struct ir_op *op)
{
    unsigned e = op->helper->effects;

    if (e & (IR_EFF_FAULTS | IR_EFF_READS | IR_EFF_MODE)) {
        b->slots_dead = 0;
    }
    if (e & (IR_EFF_FAULTS | IR_EFF_FLAGS_R)) {
        b->flags_dead = false;
    } else if (e & IR_EFF_FLAGS_W) {
        b->flags_dead = true;
    }
}

static void backward_exit(struct backward *b, const struct ir *ir, const struct ir_op *op)
{
    const struct ir_exit *e = op->op == IR_exit_ind ? NULL : &ir->exits[op->imm];

    b->slots_dead = 0;
    switch (op->op) {
    case IR_exit_jump:                       /* backward ones poll: see the default */
        b->flags_dead = e->flags_dead && !e->backward;
        break;
    case IR_exit_if: case IR_exit_ifz:
        b->flags_dead &= e->flags_dead && !e->backward;
        break;
    default:                                 /* an interrupt may be delivered there: its frame shows the flags */
        b->flags_dead = false;
        break;
    }
}

static bool removable(const struct ir_op *op)
{
    switch (op->op) {
    case IR_get: case IR_getflags: case IR_ldenv: return true;
    case IR_call: return op->helper->effects & IR_EFF_PURE;
    default: return ir_op_info[op->op].props & IR_PURE;
    }
}

/* What is neither a put, nor memory, nor an exit, and stays. */
static inline void backward_other(struct backward *b, struct ir *ir, struct ir_op *op, uint32_t i, unsigned on)
{
    switch (op->op) {
    case IR_get:
        b->slots_dead &= op->imm < MAX_SLOTS ? ~(1ull << op->imm) : ~0ull;
        break;
    case IR_getflags:
        b->flags_dead = false;
        break;
    case IR_call:
        backward_call(b, op);
        break;
    case IR_mulu2: case IR_muls2:
        if ((on & PASS_FOLD) && ir->ops[i + 1].op != IR_hi) {
            op->op = IR_mul;
        }
        break;
    default:
        if (ir_may_fault(op)) {
            b->slots_dead = 0;
            b->flags_dead = false;
        }
        break;
    }
}

static void sweep_backward(struct ir *ir, unsigned on)
{
    struct backward b = { 0 };

    for (uint32_t i = ir->n - 1; i > 0; i--) {
        struct ir_op *op = &ir->ops[i];

        switch (op->op) {
        case IR_nop:
            op->a = 0;
            break;
        case IR_insn:
            break;
        case IR_put: {
            uint64_t bit = op->imm < MAX_SLOTS ? 1ull << op->imm : 0;
            if ((b.slots_dead & bit) && (on & PASS_SLOTS)) {
                drop(ir, op);
            }
            b.slots_dead |= bit;
            break;
        }
        case IR_putflags:
            if (b.flags_dead && (on & PASS_FLAGS)) {
                drop(ir, op);
            }
            b.flags_dead = true;
            break;
        case IR_ld: case IR_st: case IR_rmw: case IR_cas: case IR_probe:
            b.slots_dead = 0;
            b.flags_dead = false;
            break;
        case IR_exit_if: case IR_exit_ifz: case IR_exit_jump: case IR_exit_ind: case IR_exit_loop: case IR_poll:
            backward_exit(&b, ir, op);
            break;
        default:
            if (op->uses == 0 && (on & PASS_DCE) && removable(op)) {
                drop(ir, op);
            } else {
                backward_other(&b, ir, op, i, on);
            }
            break;
        }
    }
}

static void optimise(struct ir *ir, unsigned on)
{
    sweep_forward(ir, on);
    sweep_backward(ir, on);
}

static void run_slots(struct ir *ir) { optimise(ir, PASS_SLOTS); }
static void run_flags(struct ir *ir) { optimise(ir, PASS_FLAGS); }
static void run_dce(struct ir *ir) { optimise(ir, PASS_DCE); }
static void run_fold(struct ir *ir) { optimise(ir, PASS_FOLD); }

/* In the order of enum pass_bit. */
const struct ir_pass ir_passes[] = {
    { "slots", run_slots },
    { "flags", run_flags },
    { "dce", run_dce },
    { "fold", run_fold },
    { NULL, NULL },
};

void ir_optimise(struct ir *ir, uint32_t off_mask)
{
    unsigned on = PASS_ALL & ~off_mask;

    if (ir->no_fold) {
        sweep_forward(ir, on);
    }
    sweep_backward(ir, on);
}
