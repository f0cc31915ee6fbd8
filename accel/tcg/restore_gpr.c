/*
 * From a host address in generated code back to precise guest state: restore maps, unwinding, host traps. General registers only.
 *
 * Maps are packed: rows in ascending order of host offset, each relative to the one before, some 6 bytes a row. They are read only
 * when a fault really happens or a helper asks.
 */
#include "accel/tcg/accel_priv.h"

enum { ROW_CC = 1, ROW_TRAP = 2, ROW_LOCS_SHIFT = 2 };

static inline uint8_t *put_uint(uint8_t *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) {
        *out++ = (uint8_t)(v | 0x80);
    }
    *out++ = (uint8_t)v;
    return out;
}

static inline uint64_t zigzag(int64_t v) { return (uint64_t)v << 1 ^ (uint64_t)(v >> 63); }
static inline int64_t unzigzag(uint64_t v) { return (int64_t)(v >> 1 ^ -(v & 1)); }

static uint64_t get_uint(const uint8_t **p)
{
    uint64_t v = 0;
    unsigned shift = 0;
    uint8_t b;

    do {
        b = *(*p)++;
        v |= (uint64_t)(b & 0x7f) << shift;
        shift += 7;
    } while (b & 0x80);
    return v;
}

static inline bool loc_has_value(unsigned kind)
{
    return kind == LOC_SLOT || kind == LOC_STACK || kind == LOC_CONST;
}

uint32_t map_pack(const struct tcg_map_row *rows, unsigned n, uint8_t *out)
{
    uint32_t host_off = 0;
    int insn = 0, pc_off = 0;
    uint8_t *p = out;

    for (const struct tcg_map_row *r = rows; r < rows + n; r++) {
        bool cc = r->cc != TCG_CC_KEPT;
        unsigned locs = !cc ? 0 : r->loc[2].kind ? 3 : r->loc[1].kind ? 2 : r->loc[0].kind ? 1 : 0;

        *p++ = (uint8_t)((cc ? ROW_CC : 0) | (r->trap != 0xff ? ROW_TRAP : 0) | locs << ROW_LOCS_SHIFT);
        p = put_uint(p, r->host_off - host_off);
        p = put_uint(p, zigzag(r->insn - insn));
        p = put_uint(p, zigzag(r->pc_off - pc_off));
        if (r->trap != 0xff) {
            p = put_uint(p, r->trap);
        }
        if (cc) {
            p = put_uint(p, r->cc);
        }
        for (unsigned k = 0; k < locs; k++) {
            const struct tcg_loc *l = &r->loc[k];

            p = put_uint(p, l->kind | (unsigned)l->w << 4 | (l->high8 ? 0x40u : 0));
            if (loc_has_value(l->kind)) {
                p = put_uint(p, zigzag(l->v));
            }
        }
        host_off = r->host_off;
        insn = r->insn;
        pc_off = r->pc_off;
    }
    return (uint32_t)(p - out);
}

bool map_find(const struct code_region *r, uint32_t host_off, bool trap, struct tcg_map_row *row)
{
    const uint8_t *p = r->map, *end = r->map + r->map_bytes;

    row->host_off = 0;
    row->pc_off = 0;
    row->insn = 0;
    while (p < end) {
        uint8_t h = *p++;
        unsigned locs = h >> ROW_LOCS_SHIFT;

        row->host_off += (uint32_t)get_uint(&p);
        row->insn = (uint16_t)(row->insn + unzigzag(get_uint(&p)));
        row->pc_off = (int16_t)(row->pc_off + unzigzag(get_uint(&p)));
        row->trap = h & ROW_TRAP ? (uint8_t)get_uint(&p) : 0xff;
        row->cc = h & ROW_CC ? (uint8_t)get_uint(&p) : TCG_CC_KEPT;
        for (unsigned k = 0; k < 3; k++) {
            struct tcg_loc *l = &row->loc[k];

            l->kind = LOC_NONE;
            if (k < locs) {
                unsigned b = (unsigned)get_uint(&p);

                l->kind = b & 15;
                l->w = b >> 4 & 3;
                l->high8 = b & 0x40;
                l->v = loc_has_value(l->kind) ? (int32_t)unzigzag(get_uint(&p)) : 0;
            }
        }
        if (row->host_off == host_off && (row->trap != 0xff) == trap) {
            return true;
        }
        if (row->host_off > host_off) {
            return false;
        }
    }
    return false;
}

/* ---- state ---- */

static bool loc_value(const struct accel_cpu *ac, const struct tcg_loc *l, uint64_t *v)
{
    const struct tcg_guest *g = ac->ops->tcg;

    switch (l->kind) {
    case LOC_SLOT:
        *v = *(const uint64_t *)((const char *)ac->state + g->slots[l->v].offset);
        break;
    case LOC_S:
        *v = ac->scratch->save_s;
        break;
    case LOC_T:
        *v = ac->scratch->save_t;
        break;
    case LOC_I:
        *v = ac->scratch->save_i;
        break;
    case LOC_STACK:
        *v = *(const uint64_t *)(uintptr_t)(ac->scratch->host_rsp + (uint64_t)(int64_t)l->v);
        break;
    case LOC_CONST:
        *v = (uint64_t)(int64_t)l->v;
        return true;
    case LOC_ENV_CARRY:
        *v = cc_eflags(ac->env->cc_op & 31, ac->env->cc_op >> 5, ac->env->cc_a, ac->env->cc_b, ac->env->cc_c) & 1;
        return true;
    default:                     /* not needed, or in env already */
        return false;
    }
    if (l->high8) {
        *v = *v >> 8 & 0xff;
    } else if (l->w < IR_64) {
        *v &= (1ull << ir_bits(l->w)) - 1;
    }
    return true;
}

static void restore(struct accel_cpu *ac, const struct tcg_map_row *row)
{
    struct tcg_env *env = ac->env;

    env->pc = env->pcbase + (uint64_t)(int64_t)row->pc_off;
    if (row->cc != TCG_CC_KEPT) {
        uint64_t a, b, c;
        bool has_a = loc_value(ac, &row->loc[0], &a), has_b = loc_value(ac, &row->loc[1], &b), has_c = loc_value(ac, &row->loc[2], &c);

        env->cc_op = row->cc;
        env->cc_a = has_a ? a : env->cc_a;
        env->cc_b = has_b ? b : env->cc_b;
        env->cc_c = has_c ? c : env->cc_c;
    }
}

void tcg_sync(struct accel_cpu *ac)
{
    uint64_t ra = ac->scratch->call_ra;
    struct tcg_map_row row;
    struct code_region *r;

    if (!ra) {
        return;                  /* outside generated code, or interpreted: precise already */
    }
    r = code_by_host(ac->ta, ra);
    if (!r || !map_find(r, (uint32_t)(ra - (uint64_t)(uintptr_t)r->rx), false, &row)) {
        __builtin_trap();        /* generated code without a map row: our bug, and going on would corrupt the guest */
    }
    restore(ac, &row);
}

void tcg_leave(struct accel_cpu *ac, uint32_t reason)
{
    ac->scratch->call_ra = 0;
    ac->scratch->bounce_pending = 0;
    if (!ac->in_enter) {
        __builtin_trap();        /* nothing to unwind: an ISA helper raised outside guest code instead of returning its fault */
    }
    tcg_interp_unwind(ac->scratch, reason);
    tcg_unwind(ac->state, reason);
}

void tcg_fault(struct accel_cpu *ac, const struct mmu_fault *f)
{
    tcg_sync(ac);
    ac->scratch->call_ra = 0;    /* raise() may ask for the state again: it is in place */
    ac->ops->raise(ac->c, f);
    tcg_leave(ac, TCG_EXIT_RAISED);
}

void tcg_trap(struct accel_cpu *ac, enum tcg_trap trap, uint64_t addr)
{
    tcg_sync(ac);
    ac->scratch->call_ra = 0;
    ac->front->trap(ac->c, trap, addr);
    tcg_leave(ac, TCG_EXIT_RAISED);
}

/* SIGFPE at host_pc; the back end's stub has stored the homes. */
void tcg_host_trap(void *state, uint64_t host_pc)
{
    struct accel_cpu *ac = accel_of_state(state);
    struct code_region *r = code_by_host(ac->ta, host_pc);
    struct tcg_map_row row;

    if (!r || !map_find(r, (uint32_t)(host_pc - (uint64_t)(uintptr_t)r->rx), true, &row)) {
        __builtin_trap();
    }
    restore(ac, &row);
    ac->scratch->call_ra = 0;
    ac->front->trap(ac->c, row.trap, 0);
    tcg_leave(ac, TCG_EXIT_RAISED);
}

/* ---- services of accel_ops ---- */

void tcg_unwind_cpu(struct cpu *c)
{
    tcg_sync(c->accel);
    tcg_leave(c->accel, TCG_EXIT_RAISED);
}

void tcg_run_exclusive(struct cpu *c)
{
    c->accel->one_exclusive = true;
    tcg_sync(c->accel);
    tcg_leave(c->accel, TCG_EXIT_ONE);
}

void tcg_sync_cpu(struct cpu *c)
{
    tcg_sync(c->accel);
}
