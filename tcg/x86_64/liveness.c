/*
 * Before code is emitted: one pass forward (aliases, where results go), one backward (last needs).
 *
 * A `flags` op has no place of its own: who looks at it needs its operands. The architectural flags (last putflags) are needed by
 * every fault row and every exit whose target may look at them.
 */
#include "tcg/x86_64/cg_priv.h"

static bool barrier(const struct ir_op *op)
{
    return (ir_op_info[op->op].props & (IR_FAULT | IR_EXIT)) != 0;
}

/* Can op t, made narrow, be done on a copy of the register that its result is then inserted into? */
static bool mergeable(struct cg *c, const struct ir_op *ins, ir_ref t)
{
    const struct ir_op *p = op_of(c, t);
    unsigned w = ins->op == IR_insert8 ? IR_8 : IR_16;
    ir_ref base = R(c, ins->a);

    if (R(c, t) != t || c->v[t].def != t)
        return false;
    switch (p->op) {
    case IR_add: case IR_sub: case IR_and: case IR_or: case IR_xor:
        return p->w == w && R(c, p->a) == base && R(c, p->b) != base;
    case IR_neg: case IR_not:
        return p->w == w && R(c, p->a) == base;
    case IR_ld:
        return p->mem.size == w && c->v[t].uses == 1 && base < t && p->mem.regime == 0;
    case IR_cond:
        return w == IR_8 && c->v[t].uses == 1 && base < t;
    default:
        return false;
    }
}

/* Ops of a region by number: x86_compile() takes no more. Small, for tables of them are cleared for each region. */
typedef uint16_t op_index;

static ir_ref root_of(struct cg *c, ir_ref v, unsigned insert)
{
    for (unsigned n = 0; n < 8 && op_of(c, v)->op == insert; n++)
        v = R(c, op_of(c, v)->a);
    return v;
}

/* insert(insert(x, y), z) is folded to insert(x, z); when a slot holds the inner one, work on that: x is gone from its home. */
static void freshest_base(struct cg *c, uint32_t i, const op_index *slot)
{
    struct ir_op *op = &c->ir->ops[i];
    ir_ref base = root_of(c, R(c, op->a), op->op);

    for (unsigned s = 0; s < c->ir->guest->n_slots; s++) {
        if (slot[s] && op_of(c, slot[s])->op == op->op && root_of(c, slot[s], op->op) == base) {
            op->a = slot[s];
            c->v[op->a].uses += c->v[op->a].uses != 255;
            return;
        }
    }
}

/* ---- groups of memory accesses (cg_priv.h) ---- */

struct open_groups { struct group *g[GROUP_SLOTS]; unsigned next, exits; };

/* The value that an address is made from by adding constants; *disp collects them. False: none that could be shared. */
static bool root_of_address(struct cg *c, ir_ref *root, int64_t *disp)
{
    for (unsigned n = 0; n < 8; n++) {
        ir_ref v = R(c, *root);
        const struct ir_op *op = op_of(c, v);

        *root = v;
        if (op->op == IR_lea && op->w == IR_64 && !op->b) {
            *disp += op->imm;
        } else if (op->op == IR_add && op->w == IR_64 && is_const(c, R(c, op->b))) {
            *disp += op_of(c, R(c, op->b))->imm;
        } else if (op->op == IR_sub && op->w == IR_64 && is_const(c, R(c, op->b))) {
            *disp -= op_of(c, R(c, op->b))->imm;
        } else if (op->op == IR_pcrel) {
            *disp += op->imm;
            *root = 0;
            return true;
        } else {
            return op->op != IR_const;
        }
        *root = op->a;
    }
    return false;
}

static void group_access(struct cg *c, struct open_groups *open, uint32_t i)
{
    const struct ir_op *op = op_of(c, i);
    const struct ir_mem *m = op->op == IR_native ? &op->native->mem : &op->mem;
    bool write = op->op == IR_st || op->op == IR_rmw || op->op == IR_cas || (op->op == IR_native ? m->write : m->intent);
    ir_ref root = op->a, index = op->b ? R(c, op->b) : 0;
    int64_t disp = op->op == IR_native ? op->native->disp : op->imm, size = 1ll << m->size;
    struct group *g;

    c->group_of[i] = 0;
    if (m->regime) {
        memset(open, 0, sizeof *open);
        return;
    }
    if (!root || size > GROUP_SPAN / 8 || (index && is_const(c, index)) || !root_of_address(c, &root, &disp))
        return;
    for (unsigned k = 0; k < GROUP_SLOTS; k++) {
        int64_t lo, hi;

        g = open->g[k];
        if (!g || g->root != root || g->index != index || (index && g->scale != m->scale))
            continue;
        /* A store makes the first check one for writing: if it is certain to follow, or goes where the first access went. */
        if (write && !g->write && open->exits != g->exits && (disp != g->disp || size != g->size))
            continue;
        lo = disp < g->lo ? disp : g->lo;
        hi = disp + size > g->hi ? disp + size : g->hi;
        if (hi - lo > GROUP_SPAN || (m->align && m->size && (m->size > g->align || ((disp - g->disp) & (size - 1)))))
            continue;
        g->write |= write;
        g->lo = lo;
        g->hi = hi;
        g->members++;
        c->group_of[i] = (uint8_t)(g - c->groups + 1);
        return;
    }
    if (c->n_groups == GROUP_MAX)
        return;
    if (!c->groups)
        c->groups = arena_alloc(c->a, GROUP_MAX * sizeof *c->groups);
    g = &c->groups[c->n_groups++];
    *g = (struct group){ .root = root, .index = index, .scale = m->scale, .slot = (uint8_t)open->next, .align = m->align ? m->size : 0,
        .write = write, .members = 1, .exits = (uint16_t)open->exits, .size = (uint8_t)size, .leader = i, .disp = disp, .lo = disp, .hi = disp + size };
    open->g[open->next] = g;
    open->next = (open->next + 1) % GROUP_SLOTS;
    c->group_of[i] = (uint8_t)c->n_groups;
}

/* v is to be computed in slot s's home, and so are the values that it alone is made from, back to op `after`. */
static void hint_chain(struct cg *c, ir_ref v, int8_t s, uint32_t after)
{
    for (unsigned n = 0; n < 4; n++) {
        const struct ir_op *op = op_of(c, v);

        c->v[v].hint = s;
        switch (op->op) {
        case IR_add: case IR_sub: case IR_and: case IR_or: case IR_xor: case IR_shl: case IR_shr: case IR_sar: case IR_zext: case IR_lea:
            break;
        default:
            return;
        }
        if (R(c, op->a) != op->a || op->a == op->b)
            return;
        v = op->a;
        op = op_of(c, v);
        switch (op->op) {
        case IR_add: case IR_sub: case IR_and: case IR_or: case IR_xor: case IR_shl: case IR_shr: case IR_sar: case IR_zext: case IR_lea:
            break;
        default:
            return;
        }
        if (c->v[v].uses != 1 || c->v[v].hint >= 0 || c->v[v].def != v || v < after)
            return;
    }
}

/* Slot s is put: is its value safe to compute in the slot's home? */
static inline void hint_put(struct cg *c, ir_ref v, unsigned s, const op_index *last_get, const op_index *last_put, uint32_t last_barrier)
{
    unsigned p = op_of(c, v)->op;
    uint32_t d = c->v[v].def;

    if (c->v[v].hint < 0 && (x86_host.pinned >> s & 1) && p != IR_get && p != IR_const && p != IR_pcrel && last_barrier <= d &&
        last_get[s] < d && last_put[s] < d)
    {
        uint32_t after = last_barrier;

        after = last_get[s] >= after ? last_get[s] + 1u : after;
        after = last_put[s] >= after ? last_put[s] + 1u : after;
        hint_chain(c, v, (int8_t)s, after);
    }
}

static void forward(struct cg *c)
{
    op_index slot[MAX_SLOTS] = { 0 }, last_get[MAX_SLOTS] = { 0 }, last_put[MAX_SLOTS] = { 0 };
    uint32_t last_barrier = 0, n = c->n;
    ir_ref arch = 0, *al = c->al;
    struct open_groups open = { 0 };
    const struct ir_op *op = op_of(c, 1);
    struct val *v = &c->v[1];

    for (uint32_t i = 1; i < n; i++, op++, v++) {
        *v = (struct val){ .def = i, .stk = -1, .reg = NOREG, .hint = -1, .uses = op->uses };
        al[i] = i;
        switch (op->op) {
        case IR_nop: case IR_insn: case IR_const: case IR_flags: case IR_lea: case IR_add:
            break;
        case IR_get:
            if (slot[op->imm]) {
                al[i] = slot[op->imm];
            } else {
                slot[op->imm] = last_get[op->imm] = (op_index)i;
            }
            break;
        case IR_put: {
            unsigned s = (unsigned)op->imm;

            hint_put(c, al[op->a], s, last_get, last_put, last_barrier);
            slot[s] = (op_index)al[op->a];
            last_put[s] = (op_index)i;
            break;
        }
        case IR_insert8: case IR_insert16:
            freshest_base(c, i, slot);
            if (mergeable(c, op, op->b)) {
                al[op->b] = i;
                v->def = op->b;
            }
            break;
        case IR_cond:
            if (op->sub == IR_COND_C) {
                const struct ir_op *f = op_of(c, R(c, op->a));
                if (f->op == IR_flags && (f->sub == IR_CC_INC || f->sub == IR_CC_DEC))
                    al[i] = R(c, f->b);
            }
            break;
        case IR_getflags:
            if (arch)
                al[i] = arch;
            break;
        case IR_putflags:
            arch = R(c, op->a);
            break;
        case IR_ld: case IR_st: case IR_rmw: case IR_cas:
            last_barrier = i;
            group_access(c, &open, i);
            break;
        case IR_probe:
            last_barrier = i;
            c->group_of[i] = 0;
            break;
        case IR_native:
            last_barrier = i;
            if (op->native->rm_kind == IR_NR_MEM)
                group_access(c, &open, i);
            break;
        case IR_call:
            last_barrier = i;
            memset(&open, 0, sizeof open);
            if (op->helper->effects & IR_EFF_WRITES)
                memset(slot, 0, sizeof slot);
            if (op->helper->effects & IR_EFF_FLAGS_W)
                arch = 0;
            break;
        case IR_exit_if: case IR_exit_ifz:
            last_barrier = i;
            open.exits++;
            break;
        default:
            if (barrier(op))
                last_barrier = i;
            break;
        }
    }
}

/* Does op need the architectural flags? */
static bool needs_arch(const struct ir_op *op)
{
    /* Every exit does, flags_dead or not: unlinked, it may end in the run loop, where an interrupt shows the flags. */
    if (op->op == IR_call)
        return (op->helper->effects & (IR_EFF_FAULTS | IR_EFF_FLAGS_R | IR_EFF_LOCK)) || !(op->helper->effects & IR_EFF_GPR);
    return barrier(op);
}

/* A carry that only describes flags (inc, dec keep C): nothing is computed until somebody looks. */
static bool lazy(struct cg *c, const struct ir_op *op, uint32_t i)
{
    const struct ir_op *g = op_of(c, R(c, op->a));

    if (op->sub != IR_COND_C || (c->v[i].flags & (V_OTHER_USE | V_EAGER)) || R(c, i) != i)
        return false;
    return g->op == IR_getflags || (g->op == IR_flags && g->sub != IR_CC_INC && g->sub != IR_CC_DEC && g->sub != IR_CC_ZONLY && g->sub != IR_CC_BITC);
}

/* Operand r is needed by op `at`; why: V_... of its value. */
static inline void touch(struct cg *c, ir_ref r, uint32_t at, unsigned why)
{
    struct val *v = &c->v[c->al[r]];

    v->flags |= (uint8_t)why;
    if (v->last < at)
        v->last = at;
}

static void touch_inputs(struct cg *c, const struct ir_op *op, uint32_t at)
{
    if (op->a)
        touch(c, op->a, at, V_OTHER_USE);
    if (op->b)
        touch(c, op->b, at, V_OTHER_USE);
    if (op->c)
        touch(c, op->c, at, V_OTHER_USE);
    if (op->d)
        touch(c, op->d, at, V_OTHER_USE);
}

/* A flags value is needed at op `at`, and with it what it is made from. */
static void touch_flags(struct cg *c, const struct ir_op *op, uint32_t i)
{
    uint32_t at = c->v[i].last;
    bool second = op->sub != IR_CC_INC && op->sub != IR_CC_DEC && op->sub != IR_CC_ZONLY;

    if (!at)
        return;
    if (op->a)
        touch(c, op->a, at, (op->sub == IR_CC_EFLAGS ? V_EAGER : V_OTHER_USE) | (c->v[i].flags & V_WANT_FLAGS));
    if (op->b)
        touch(c, op->b, at, second ? V_OTHER_USE : 0);
    if (op->c)
        touch(c, op->c, at, V_OTHER_USE);
}

/* Nobody looks at the result of a PURE op. */
static bool unwanted(struct cg *c, const struct ir_op *op, uint32_t i)
{
    if (c->v[R(c, i)].last)
        return false;
    return (op->op != IR_mulu2 && op->op != IR_muls2) || i + 1 >= c->n || op_of(c, i + 1)->op != IR_hi || c->v[i + 1].last == 0;
}

/* An op whose value has another name: merged into an insert, its operands are needed here; any other alias computes nothing. */
static bool renamed(struct cg *c, uint32_t i)
{
    ir_ref m = R(c, i);

    return m != i && (m < i || c->v[m].def != i);
}

static void backward(struct cg *c)
{
    uint32_t arch_last = 0;

    for (uint32_t i = c->n - 1; i > 0; i--) {
        const struct ir_op *op = op_of(c, i);

        switch (op->op) {
        case IR_nop: case IR_const: case IR_insn: case IR_get: case IR_getflags: case IR_pcrel:
        case IR_hi:                       /* belongs to the op before */
            break;
        case IR_put:
            touch(c, op->a, i, V_OTHER_USE);
            break;
        case IR_putflags:
            if (arch_last)
                touch(c, op->a, arch_last, 0);
            arch_last = 0;
            break;
        case IR_insert8: case IR_insert16:
            if (c->v[i].def == i) {
                if (!unwanted(c, op, i))
                    touch_inputs(c, op, i);
            } else if (c->v[i].last) {
                touch(c, op->a, c->v[i].def, 0);
            }
            break;
        case IR_flags:
            touch_flags(c, op, i);
            break;
        case IR_cond:
            if (renamed(c, i) || unwanted(c, op, i))
                break;
            if (lazy(c, op, i)) {
                c->v[i].flags |= V_LAZY;
                touch(c, op->a, c->v[i].last, 0);
                break;
            }
            touch(c, op->a, i, V_OTHER_USE | V_WANT_FLAGS);
            break;
        case IR_call:
            if (op->helper->effects & IR_EFF_FLAGS_W)
                arch_last = 0;
            if (!arch_last && needs_arch(op))
                arch_last = i;
            touch_inputs(c, op, i);
            break;
        default:
            if (ir_op_info[op->op].props & IR_PURE) {
                if (renamed(c, i) || unwanted(c, op, i))
                    break;
            } else if (!arch_last && barrier(op)) {
                arch_last = i;
            }
            touch_inputs(c, op, i);
            if (op->op == IR_select || op->op == IR_exit_if)
                touch(c, op->a, i, V_WANT_FLAGS);
            else if (op->op == IR_adc || op->op == IR_sbb)
                touch(c, op->c, i, V_WANT_FLAGS);
            break;
        }
    }
}

void cg_analyse(struct cg *c)
{
    forward(c);
    backward(c);
}
