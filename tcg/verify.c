/*
 * Checks the rules of tcg/ir.h. Not on the hot path: tests, debug builds and -d op use it.
 */
#include "tcg/emit.h"
#include "tcg/ir_priv.h"

struct check {
    const struct ir *ir;
    bool in_insn;             /* an insn op was seen */
    bool committed;           /* the running instruction has put something */
    bool mode_gone;           /* a helper may have changed the mode key */
    bool done;                /* the unconditional exit was seen */
};


/* Width in which op looks at its inputs; memory addresses and whole-slot values are 64 bits. */
static unsigned input_width(const struct ir *ir, const struct ir_op *op, unsigned i)
{
    switch (op->op) {
    case IR_zext: case IR_sext: return op->sub;
    case IR_extract8h: return IR_16;
    case IR_insert8: case IR_insert8h: return i == 1 ? IR_8 : op->w;
    case IR_insert16: return i == 1 ? IR_16 : op->w;
    case IR_shl: case IR_shr: case IR_sar: case IR_rol: case IR_ror: return i == 1 ? IR_8 : op->w;
    case IR_ld: case IR_st: case IR_rmw: case IR_cas: case IR_probe: return i < 2 ? IR_64 : op->mem.size;
    case IR_native: return i < 2 ? IR_64 : op->native->w ? IR_64 : IR_32;
    case IR_put: return ir->guest->slots[op->imm].w;
    case IR_call: case IR_exit_ind: return IR_64;
    case IR_flags: return op->sub == IR_CC_EFLAGS ? IR_32 : op->sub == IR_CC_BITC ? (i ? IR_32 : IR_8) :
        (op->sub == IR_CC_INC || op->sub == IR_CC_DEC || op->sub == IR_CC_ZONLY) && i == 1 ? IR_8 : op->w;
    default: return op->w;
    }
}

static bool input_is_flags(const struct ir_op *op, unsigned i)
{
    switch (op->op) {
    case IR_putflags: case IR_cond: case IR_select: case IR_eflags: case IR_exit_if: return i == 0;
    case IR_adc: case IR_sbb: return i == 2;
    default: return false;
    }
}

static unsigned flags_inputs(unsigned kind)
{
    switch (kind) {
    case IR_CC_EFLAGS: case IR_CC_LOGIC: return 1;
    case IR_CC_ADC: case IR_CC_SBB: return 3;
    default: return 2;
    }
}

static bool input_wanted(const struct ir_op *op, unsigned i)
{
    switch (op->op) {
    case IR_flags: return i < flags_inputs(op->sub);
    case IR_lea: return i == 0;
    case IR_rmw: return i == 2 && (op->sub & ~IR_RMW_OLD) != IR_RMW_NEG && (op->sub & ~IR_RMW_OLD) != IR_RMW_NOT;
    case IR_ld: case IR_st: case IR_cas: case IR_probe: return i >= 2 && i < ir_op_info[op->op].ins;
    case IR_native: return false;
    case IR_call: return i < op->helper->args;
    default: return i < ir_op_info[op->op].ins;
    }
}

static const char *check_inputs(const struct ir *ir, const struct ir_op *op, uint32_t at)
{
    const ir_ref in[4] = { op->a, op->b, op->c, op->d };

    for (unsigned i = 0; i < 4; i++) {
        const struct ir_op *v;
        unsigned w;

        if (!in[i]) {
            if (input_wanted(op, i)) {
                return "an input is missing";
            }
            continue;
        }
        if (i >= ir_op_info[op->op].ins) {
            return "more inputs than the op has";
        }
        if (in[i] >= at) {
            return "a value is used before it is made";
        }
        v = &ir->ops[in[i]];
        if (!ir_op_info[v->op].outs || (v->op == IR_call && !v->helper->ret)) {
            return "an input is an op without a result";
        }
        if (((ir_op_info[v->op].props & IR_FLAGS) != 0) != input_is_flags(op, i)) {
            return "flags and integers are mixed up";
        }
        if (input_is_flags(op, i)) {
            continue;
        }
        w = input_width(ir, op, i);
        if (!ir_defined64(v) && v->w < w) {
            return "an input is narrower than its user expects";
        }
    }
    return NULL;
}

static const char *check_env(const struct ir *ir, const struct ir_op *op)
{
    uint64_t lo = (uint64_t)op->imm, hi = lo + ir_bits(op->w) / 8;

    if (lo < offsetof(struct tcg_env, cc_op) + 4 && hi > offsetof(struct tcg_env, cc_a)) {
        return "ldenv or stenv of the kept flags";
    }
    for (unsigned i = 0; i < ir->guest->n_slots; i++) {
        const struct tcg_slot *s = &ir->guest->slots[i];
        if (lo < s->offset + ir_bits(s->w) / 8 && hi > s->offset) {
            return "ldenv or stenv of a slot";
        }
    }
    return NULL;
}

static const char *check_fields(const struct ir *ir, const struct ir_op *op)
{
    switch (op->op) {
    case IR_get: case IR_put:
        return (uint64_t)op->imm >= ir->guest->n_slots ? "no such slot" : NULL;
    case IR_ldenv: case IR_stenv:
        return check_env(ir, op);
    case IR_ld: case IR_st: case IR_rmw: case IR_cas: case IR_probe:
        return op->mem.scale > 3 || (op->op != IR_probe && op->mem.size > 3) || op->mem.size > 6 ? "bad memory operand" :
            !ir_fits32(op->imm) ? "displacement beyond 32 bits" :
            op->op == IR_rmw && (op->sub & ~IR_RMW_OLD) > IR_RMW_NOT ? "bad kind of rmw" : NULL;
    case IR_lea:
        return op->sub > 3 || op->w < IR_32 || !ir_fits32(op->imm) ? "bad lea" : NULL;
    case IR_zext: case IR_sext:
        return op->sub > IR_64 ? "bad width" : NULL;
    case IR_bswap:
        return op->w < IR_32 ? "bad width" : NULL;
    case IR_flags:
        return op->sub >= IR_CC_COUNT ? "bad kind of flags" : NULL;
    case IR_cond: case IR_select: case IR_exit_if:
        if (op->sub > 15) {
            return "bad condition";
        }
        break;
    case IR_call: case IR_native:
        return op->imm ? NULL : "no helper";
    default:
        break;
    }
    if ((ir_op_info[op->op].props & IR_EXIT) && op->op != IR_exit_ind && (uint64_t)op->imm >= ir->n_exits) {
        return "no such exit";
    }
    return NULL;
}

static bool unconditional(unsigned op) { return op == IR_exit_jump || op == IR_exit_ind || op == IR_exit_loop; }

static const char *check_order(struct check *k, const struct ir_op *op, uint32_t at)
{
    if (k->done) {
        return "an op follows the last exit";
    }
    if (ir_may_fault(op)) {
        if (!k->in_insn) {
            return "an op that may fault stands before the first insn";
        }
        if (k->committed) {
            return "an op may fault after its instruction has put something";
        }
        if (k->mode_gone) {
            return "an op may fault after the mode may have changed";
        }
    }
    switch (op->op) {
    case IR_insn:
        if (k->mode_gone) {
            return "an instruction follows a change of mode";
        }
        k->in_insn = true;
        k->committed = false;
        break;
    case IR_put:                          /* sub = 1: early, on purpose (interruptible string instructions) */
        k->committed |= !op->sub;
        break;
    case IR_putflags:
        k->committed = true;
        break;
    case IR_hi: {
        const struct ir_op *v = &k->ir->ops[op->a];
        if (op->a != at - 1 || (v->op != IR_mulu2 && v->op != IR_muls2 && v->op != IR_divu2 && v->op != IR_divs2)) {
            return "hi does not stand behind its op";
        }
        break;
    }
    case IR_call:
        k->mode_gone |= (op->helper->effects & IR_EFF_MODE) != 0;
        break;
    default:
        break;
    }
    /* with no_chain every exit goes through the loop, which looks at the mode */
    if ((ir_op_info[op->op].props & IR_EXIT) && k->mode_gone && op->op != IR_exit_ind && op->op != IR_exit_loop && !k->ir->no_chain) {
        return "only exit_ind or exit_loop may follow a change of mode";
    }
    k->done = unconditional(op->op);
    return NULL;
}

const char *ir_verify(const struct ir *ir, uint32_t *at)
{
    struct check k = { .ir = ir };
    const char *why;

    for (uint32_t i = 1; i < ir->n; i++) {
        const struct ir_op *op = &ir->ops[i];

        *at = i;
        if (op->op >= IR_OP_COUNT) {
            return "no such op";
        }
        if (op->op == IR_nop) {
            continue;
        }
        if (op->w > IR_64) {
            return "bad width";
        }
        if ((why = check_fields(ir, op)) || (why = check_inputs(ir, op, i)) || (why = check_order(&k, op, i))) {
            return why;
        }
    }
    *at = ir->n - 1;
    return k.done ? NULL : "the region does not end in an exit";
}
