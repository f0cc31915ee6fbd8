/*
 * Interpreter of the IR: the reference for back ends, and what runs where there is none.
 */
#include <glib.h>
#include <string.h>

#include "tcg/interp_priv.h"
#include "tcg/ir_priv.h"

#define UNDEFINED_BITS 0xa5a5a5a5a5a5a5a5ull

struct interp {
    void *state;
    struct tcg_env *env;
    const struct ir *ir;
    const struct tcg_interp_mem *mem;
    uint64_t *val;            /* by ir_ref; flags ops have none but getflags: EFLAGS bits */
};

static inline uint64_t get_field(const struct interp *in, unsigned w, int64_t off)
{
    const char *p = (const char *)in->state + off;
    switch (w) {
    case IR_8:  return *(const uint8_t *)p;
    case IR_16: return *(const uint16_t *)p;
    case IR_32: return *(const uint32_t *)p;
    default:    return *(const uint64_t *)p;
    }
}

static inline void set_field(const struct interp *in, unsigned w, int64_t off, uint64_t v)
{
    char *p = (char *)in->state + off;
    switch (w) {
    case IR_8:  *(uint8_t *)p = v; break;
    case IR_16: *(uint16_t *)p = v; break;
    case IR_32: *(uint32_t *)p = v; break;
    default:    *(uint64_t *)p = v; break;
    }
}

/* ---- flags ---- */

static uint32_t flags_of(const struct interp *in, ir_ref f)
{
    const struct ir_op *o = &in->ir->ops[f];

    if (o->op == IR_getflags) {
        return in->val[f];
    }
    return cc_eflags(o->sub, o->w, in->val[o->a], in->val[o->b], in->val[o->c]);
}

static void put_flags(const struct interp *in, ir_ref f)
{
    const struct ir_op *o = &in->ir->ops[f];
    struct tcg_env *env = in->env;

    if (o->op == IR_getflags) {
        env->cc_op = IR_CC_EFLAGS;
        env->cc_a = in->val[f];
        return;
    }
    env->cc_op = o->sub | (uint32_t)o->w << 5;
    env->cc_a = in->val[o->a];
    env->cc_b = in->val[o->b];
    env->cc_c = in->val[o->c];
}

/* ---- division: (high:low) / by; false: divide error ---- */

static bool divide(const struct ir_op *op, uint64_t low, uint64_t high, uint64_t by, uint64_t *quot, uint64_t *rem)
{
    unsigned bits = ir_bits(op->w);
    uint64_t m = ir_mask(op->w), top = 1ull << (bits - 1);
    unsigned __int128 n = (unsigned __int128)(high & m) << bits | (low & m), q, all = op->w == IR_64 ? ~(unsigned __int128)0 :
        ((unsigned __int128)1 << 2 * bits) - 1;
    bool neg_n = false, neg_d = false;

    by &= m;
    if (op->op == IR_divs2) {                    /* by absolute values: the remainder has the dividend's sign */
        neg_n = high & top;
        neg_d = by & top;
        n = neg_n ? -n & all : n;
        by = neg_d ? -by & m : by;
    }
    if (!by) {
        return false;
    }
    q = n / by;
    *rem = (uint64_t)(n % by);
    if (op->op == IR_divs2 ? q > (neg_n != neg_d ? top : top - 1) : q > m) {
        return false;
    }
    *quot = neg_n != neg_d ? -(uint64_t)q : (uint64_t)q;
    *rem = neg_n ? -*rem : *rem;
    *quot &= m;
    *rem &= m;
    return true;
}

static uint64_t do_divide(const struct interp *in, const struct ir_op *op)
{
    uint64_t q, r;

    if (!divide(op, in->val[op->a], in->val[op->b], in->val[op->c], &q, &r)) {
        in->mem->trap(in->state, TCG_TRAP_DIV, 0);
        return 0;
    }
    return q;
}

static uint64_t do_hi(const struct interp *in, const struct ir_op *of)
{
    uint64_t q, r = 0;

    if (of->op == IR_mulu2 || of->op == IR_muls2) {
        return ir_eval_hi(of->op, of->w, in->val[of->a], in->val[of->b]);
    }
    divide(of, in->val[of->a], in->val[of->b], in->val[of->c], &q, &r);
    return r;
}

/* ---- memory ---- */

static inline uint64_t address(const struct interp *in, const struct ir_op *op)
{
    return in->val[op->a] + (in->val[op->b] << op->mem.scale) + (uint64_t)op->imm;
}

static uint64_t do_ld(const struct interp *in, const struct ir_op *op)
{
    uint64_t v = in->mem->ld(in->state, address(in, op), tcg_desc(&op->mem, true, false, false));
    unsigned up = 64 - (8u << op->mem.size);

    return op->mem.sign ? (uint64_t)((int64_t)(v << up) >> up) : v;
}

struct rmw { unsigned kind; uint64_t c; };

static uint64_t rmw_new(uint64_t old, void *opaque)
{
    const struct rmw *r = opaque;
    switch (r->kind) {
    case IR_RMW_ADD:  return old + r->c;
    case IR_RMW_SUB:  return old - r->c;
    case IR_RMW_AND:  return old & r->c;
    case IR_RMW_OR:   return old | r->c;
    case IR_RMW_XOR:  return old ^ r->c;
    case IR_RMW_XCHG: return r->c;
    case IR_RMW_NEG:  return -old;
    default:          return ~old;
    }
}

static uint64_t do_rmw(const struct interp *in, const struct ir_op *op)
{
    struct rmw r = { op->sub & ~IR_RMW_OLD, in->val[op->c] };
    uint64_t old = in->mem->rmw(in->state, address(in, op), tcg_desc(&op->mem, true, true, false), rmw_new, &r);

    return op->sub & IR_RMW_OLD ? old : rmw_new(old, &r);
}

struct cas { uint64_t expect, desired, mask; };

static uint64_t cas_new(uint64_t old, void *opaque)
{
    const struct cas *c = opaque;
    return ((old ^ c->expect) & c->mask) == 0 ? c->desired : old;
}

static uint64_t do_cas(const struct interp *in, const struct ir_op *op)
{
    struct cas c = { in->val[op->c], in->val[op->d], ir_mask(op->mem.size) };
    return in->mem->rmw(in->state, address(in, op), tcg_desc(&op->mem, true, true, false), cas_new, &c);
}

static uint64_t do_native(const struct interp *in, const struct ir_op *op)
{
    uint64_t addr = in->val[op->a] + (in->val[op->b] << op->native->mem.scale) + (uint64_t)(int64_t)op->native->disp;
    return interp_native(in->state, in->ir, op, addr, in->val[op->c], in->mem);
}

static uint64_t do_call(const struct interp *in, const struct ir_op *op)
{
    uint64_t (*fn)(void *, uint64_t, uint64_t, uint64_t, uint64_t);
    const struct ir_helper *h = op->helper;
    uint64_t r;

    memcpy(&fn, &h->fn, sizeof(fn));
    if (!(h->effects & IR_EFF_GPR) && in->mem->outside) {
        in->mem->outside(in->state, true);
    }
    if (h->effects & IR_EFF_LOCK) {
        in->mem->lock(in->state, true);
    }
    r = fn(in->state, in->val[op->a], in->val[op->b], in->val[op->c], in->val[op->d]);
    if (h->effects & IR_EFF_LOCK) {
        in->mem->lock(in->state, false);
    }
    if (!(h->effects & IR_EFF_GPR) && in->mem->outside) {
        in->mem->outside(in->state, false);
    }
    if (h->effects & (IR_EFF_CTX | IR_EFF_MODE)) {
        in->mem->changed(in->state);
    }
    return r;
}

/* ---- exits ---- */

static uint32_t leave(const struct interp *in, const struct ir_op *op, uint32_t reason)
{
    const struct ir_exit *e = &in->ir->exits[op->imm];
    uint64_t pc = in->env->pcbase + (uint64_t)(int64_t)e->off;

    in->env->pc = e->wrap32 ? (uint32_t)pc : pc;
    return reason;
}

/* The value of an op that is neither pure integer arithmetic nor an exit. */
static uint64_t effect(const struct interp *in, const struct ir_op *op)
{
    const uint64_t *v = in->val;

    switch (op->op) {
    case IR_insn:  in->env->pc = in->env->pcbase + (uint64_t)op->imm; return 0;
    case IR_get:   return get_field(in, op->w, in->ir->guest->slots[op->imm].offset);
    case IR_put:   set_field(in, op->w, in->ir->guest->slots[op->imm].offset, v[op->a]); return 0;
    case IR_pcrel: return in->env->pcbase + (uint64_t)op->imm;
    case IR_ldenv: return get_field(in, op->w, op->imm);
    case IR_stenv: set_field(in, op->w, op->imm, v[op->a]); return 0;
    case IR_divu2: case IR_divs2: return do_divide(in, op);
    case IR_hi:    return do_hi(in, &in->ir->ops[op->a]);
    case IR_getflags: return cc_eflags(in->env->cc_op & 31, in->env->cc_op >> 5, in->env->cc_a, in->env->cc_b, in->env->cc_c);
    case IR_putflags: put_flags(in, op->a); return 0;
    case IR_cond:   return cc_test(op->sub, flags_of(in, op->a));
    case IR_select: return v[cc_test(op->sub, flags_of(in, op->a)) ? op->b : op->c] & ir_mask(op->w);
    case IR_eflags: return flags_of(in, op->a);
    case IR_adc:    return (v[op->a] + v[op->b] + (flags_of(in, op->c) & 1)) & ir_mask(op->w);
    case IR_sbb:    return (v[op->a] - v[op->b] - (flags_of(in, op->c) & 1)) & ir_mask(op->w);
    case IR_ld:     return do_ld(in, op);
    case IR_st:
        in->mem->st(in->state, address(in, op), tcg_desc(&op->mem, false, true, false), v[op->c] & ir_mask(op->mem.size));
        return 0;
    case IR_rmw:    return do_rmw(in, op) & ir_mask(op->w);
    case IR_cas:    return do_cas(in, op) & ir_mask(op->w);
    case IR_probe:
        in->mem->ld(in->state, address(in, op), tcg_desc(&op->mem, false, op->mem.write, true));
        return 0;
    case IR_fence:  atomic_thread_fence(memory_order_seq_cst); return 0;
    case IR_native: return do_native(in, op);
    case IR_call:   return do_call(in, op);
    default:        return 0;                    /* nop, flags */
    }
}

static uint32_t run(const struct interp *in)
{
    const struct ir *ir = in->ir;
    uint64_t *v = in->val;

    v[0] = 0;
    for (uint32_t i = 1; i < ir->n; i++) {
        const struct ir_op *op = &ir->ops[i];

        switch (op->op) {
        case IR_exit_if:
            if (cc_test(op->sub, flags_of(in, op->a))) {
                return leave(in, op, TCG_EXIT_LOOKUP);
            }
            continue;
        case IR_exit_ifz:
            if (((v[op->a] & ir_mask(op->w)) != 0) == op->sub) {
                return leave(in, op, TCG_EXIT_LOOKUP);
            }
            continue;
        case IR_exit_jump:
            return leave(in, op, TCG_EXIT_LOOKUP);
        case IR_exit_ind:
            in->env->pc = v[op->a];
            return TCG_EXIT_LOOKUP;
        case IR_exit_loop:
            return leave(in, op, op->sub);
        case IR_poll:
            if (atomic_load_explicit(&in->env->kick, memory_order_relaxed)) {
                return leave(in, op, TCG_EXIT_KICK);
            }
            continue;
        default:
            break;
        }
        if (!ir_eval(op, v[op->a], v[op->b], &v[i])) {
            v[i] = effect(in, op);
        }
        if (op->w < IR_32 && !ir_defined64(op)) {
            v[i] |= UNDEFINED_BITS & ~ir_mask(op->w);
        }
    }
    g_assert_not_reached();                      /* tcg/verify.c: the last op is an exit */
}

/* Apart from tcg_interp(), whose frame the jump returns to: no array of variable size there. */
static uint32_t __attribute__((noinline)) run_frame(void *state, const struct ir *ir, const struct tcg_interp_mem *mem)
{
    uint64_t val[ir->n];
    struct interp in = { .state = state, .env = state, .ir = ir, .mem = mem, .val = val };

    return run(&in);
}

uint32_t tcg_interp(void *state, const struct ir *ir, const struct tcg_interp_mem *mem)
{
    struct tcg_scratch *volatile scratch = (void *)((char *)state + ir->guest->scratch_offset);
    void *volatile outer = scratch->interp_jmp;
    void *jump[5];

    scratch->call_ra = 0;
    scratch->interp_jmp = jump;
    if (__builtin_setjmp(jump) == 0) {
        scratch->exit_reason = run_frame(state, ir, mem);
    }
    scratch->interp_jmp = outer;
    return scratch->exit_reason;
}
