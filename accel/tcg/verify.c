/*
 * -accel tcg,verify=on: every region runs twice from the same state, first in the interpreter with its stores logged and undone,
 * then as machine code. The first difference ends the emulator with the region's IR and what differs.
 *
 * Left out: regions that call helpers which are not pure, that touch devices or write to their own code; they run as machine code only.
 * Regions are not chained. The machine lock keeps devices out meanwhile; one vCPU only.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "accel/tcg/accel_priv.h"
#include "base/log.h"

#define LOG_MAX 4096

struct change { uint8_t *host; uint8_t len, old[8], new[8]; };

struct verify {
    size_t size;                 /* of the state */
    uint8_t *before, *after;
    struct change log[LOG_MAX];
    unsigned n;
    bool aborted;
};

/* ---- logged memory ---- */

static void give_up(struct accel_cpu *ac)
{
    ac->verify->aborted = true;
    tcg_leave(ac, TCG_EXIT_STOP);
}

static void put(struct accel_cpu *ac, uint8_t *host, const uint8_t *buf, unsigned len)
{
    struct verify *v = ac->verify;

    for (unsigned n; len; len -= n, host += n, buf += n) {
        struct change *c = &v->log[v->n];

        n = MIN(len, 8);
        if (v->n == LOG_MAX) {
            give_up(ac);
        }
        v->n++;
        c->host = host;
        c->len = (uint8_t)n;
        memcpy(c->old, host, n);
        memcpy(host, buf, n);
    }
}

/* Resolves the access to at most two pieces of RAM. */
static void resolve(struct accel_cpu *ac, uint64_t addr, uint32_t desc)
{
    struct tcg_slow_result r = tcg_slow(ac->state, addr, desc);

    (void)r;
    if ((desc & (TCG_D_PROBE | TCG_D_READ)) == TCG_D_PROBE) {
        return;
    }
    access_fragments(ac, addr, desc);
    for (unsigned i = 0; i < ac->n_frag; i++) {
        const struct fragment *f = &ac->frag[i];

        if (!f->host || ((desc & TCG_D_WRITE) && !(desc & TCG_D_PROBE) && hits_running(ac, f->block, f->offset, f->len))) {
            give_up(ac);
        }
    }
}

static void get_bytes(struct accel_cpu *ac, uint8_t *buf)
{
    for (unsigned i = 0; i < ac->n_frag; i++) {
        memcpy(buf, ac->frag[i].host, ac->frag[i].len);
        buf += ac->frag[i].len;
    }
}

static void put_bytes(struct accel_cpu *ac, const uint8_t *buf)
{
    for (unsigned i = 0; i < ac->n_frag; i++) {
        if (!ac->frag[i].readonly) {
            put(ac, ac->frag[i].host, buf, ac->frag[i].len);
        }
        buf += ac->frag[i].len;
    }
}

static uint64_t v_ld(void *state, uint64_t addr, uint32_t desc)
{
    struct accel_cpu *ac = accel_of_state(state);
    uint64_t v = 0;

    resolve(ac, addr, desc);
    if (desc & TCG_D_READ) {
        get_bytes(ac, (uint8_t *)&v);
    }
    return v;
}

static void v_st(void *state, uint64_t addr, uint32_t desc, uint64_t value)
{
    struct accel_cpu *ac = accel_of_state(state);

    resolve(ac, addr, desc);
    put_bytes(ac, (const uint8_t *)&value);
}

static void v_ld_bytes(void *state, uint64_t addr, uint32_t desc, void *buf)
{
    resolve(accel_of_state(state), addr, desc);
    get_bytes(accel_of_state(state), buf);
}

static void v_st_bytes(void *state, uint64_t addr, uint32_t desc, const void *buf)
{
    resolve(accel_of_state(state), addr, desc);
    put_bytes(accel_of_state(state), buf);
}

static uint64_t v_rmw(void *state, uint64_t addr, uint32_t desc, uint64_t (*fn)(uint64_t old, void *opaque), void *opaque)
{
    struct accel_cpu *ac = accel_of_state(state);
    uint64_t old = 0, new;

    resolve(ac, addr, desc);
    get_bytes(ac, (uint8_t *)&old);
    new = fn(old, opaque);
    put_bytes(ac, (const uint8_t *)&new);
    return old;
}

static void v_trap(void *state, enum tcg_trap trap, uint64_t addr)
{
    tcg_trap(accel_of_state(state), trap, addr);
}

static const struct tcg_interp_mem verify_mem = {
    .ld = v_ld, .st = v_st, .ld_bytes = v_ld_bytes, .st_bytes = v_st_bytes, .rmw = v_rmw,
    .changed = tcg_changed, .lock = tcg_lock, .outside = tcg_outside, .trap = v_trap,
};

/* ---- comparing ---- */

static bool comparable(const struct ir *ir)
{
    for (uint32_t i = 1; i < ir->n; i++) {
        if (ir->ops[i].op == IR_call && !(ir->ops[i].helper->effects & IR_EFF_PURE)) {
            return false;
        }
    }
    return true;
}

static uint32_t eflags_of(const uint8_t *state)
{
    const struct tcg_env *e = (const struct tcg_env *)state;

    return cc_eflags(e->cc_op & 31, e->cc_op >> 5, e->cc_a, e->cc_b, e->cc_c);
}

/* The exit that led to pc promised that nobody looks at the flags. */
static bool flags_dead(const struct ir *ir, const struct tcg_env *env)
{
    for (unsigned i = 0; i < ir->n_exits; i++) {
        uint64_t pc = env->pcbase + (uint64_t)(int64_t)ir->exits[i].off;

        if (ir->exits[i].flags_dead && (ir->exits[i].wrap32 ? (uint32_t)pc : pc) == env->pc) {
            return true;
        }
    }
    return false;
}

/* Bytes of the FXSAVE image that hold x87 registers and their state (SDM vol. 1, table 10-2); pointers and XMM part are left out. */
static bool fx_ignored(const struct tcg_guest *g, size_t off)
{
    size_t at = off - g->fx_offset;

    return g->fx_offset && at < 512 && ((at >= 6 && at < 32) || at >= 160 || (at >= 32 && (at - 32) % 16 >= 10));
}

/* out NULL: only counted. */
static void say(FILE *out, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
static void say(FILE *out, const char *fmt, ...)
{
    va_list ap;

    if (out) {
        va_start(ap, fmt);
        vfprintf(out, fmt, ap);
        va_end(ap);
    }
}

static const char *where(const struct tcg_guest *g, size_t off, char *buf, size_t len)
{
    size_t vec = off - g->vec_offset;

    for (unsigned i = 0; i < g->n_slots; i++) {
        if (off - g->slots[i].offset < ir_bits(g->slots[i].w) / 8) {
            g_snprintf(buf, len, "%s", g->slots[i].name);
            return buf;
        }
    }
    if (g->n_vec && vec < (size_t)g->n_vec * g->vec_stride) {
        g_snprintf(buf, len, "vector register %zu byte %zu", vec / g->vec_stride, vec % g->vec_stride);
    } else {
        g_snprintf(buf, len, "state byte %zu", off);
    }
    return buf;
}

static unsigned differences(struct accel_cpu *ac, const struct code_region *r, uint32_t reason_i, uint32_t reason_n, FILE *out)
{
    const struct tcg_guest *g = ac->ops->tcg;
    const struct verify *v = ac->verify;
    const struct tcg_env *ei = (const struct tcg_env *)v->after, *en = ac->env;
    const uint8_t *now = ac->state;
    bool kick = (reason_i == TCG_EXIT_KICK || reason_n == TCG_EXIT_KICK);
    unsigned n = 0;
    char buf[64];

    if (reason_i != reason_n && !kick) {
        n++;
        say(out, "  exit reason: interpreter %s, machine code %s\n", exit_reason_name(reason_i), exit_reason_name(reason_n));
    }
    if (ei->pc != en->pc) {
        n++;
        say(out, "  pc: interpreter 0x%" PRIx64 ", machine code 0x%" PRIx64 "\n", ei->pc, en->pc);
    }
    if (eflags_of(v->after) != eflags_of(now) && !flags_dead(r->ir, en)) {
        n++;
        say(out, "  flags: interpreter 0x%x, machine code 0x%x\n", eflags_of(v->after), eflags_of(now));
    }
    for (size_t off = sizeof(struct tcg_env); off < g->scratch_offset; off++) {
        uint64_t a, b;

        if (off % 64 == 0 && off + 64 <= g->scratch_offset && !memcmp(v->after + off, now + off, 64)) {
            off += 63;
            continue;
        }
        if (v->after[off] == now[off] || fx_ignored(g, off)) {
            continue;
        }
        off &= ~(size_t)7;
        memcpy(&a, v->after + off, 8);
        memcpy(&b, now + off, 8);
        n++;
        say(out, "  %s: interpreter 0x%" PRIx64 ", machine code 0x%" PRIx64 "\n", where(g, off, buf, sizeof(buf)), a, b);
        off += 7;
    }
    for (unsigned i = 0; i < v->n; i++) {
        const struct change *c = &v->log[i];
        bool later = !memcmp(c->host, c->new, c->len);

        for (unsigned k = i + 1; k < v->n && !later; k++) {
            later = v->log[k].host < c->host + c->len && c->host < v->log[k].host + v->log[k].len;
        }
        if (!later && memcmp(c->host, c->new, c->len)) {
            uint64_t a = 0, b = 0;

            memcpy(&a, c->new, c->len);
            memcpy(&b, c->host, c->len);
            n++;
            say(out, "  memory, store %u of %u bytes: interpreter 0x%" PRIx64 ", machine code 0x%" PRIx64 "\n", i, c->len, a, b);
        }
    }
    return n;
}

static void report(struct accel_cpu *ac, const struct code_region *r, const char *text)
{
    const struct tcg_guest *g = ac->ops->tcg;
    const struct tcg_env *b = (const struct tcg_env *)ac->verify->before;
    FILE *out;

    trace_ir(~0u, "IR of the region (after the passes)", r->ir);
    out = log_lock();
    fprintf(out, "state before: pc 0x%" PRIx64 " flags 0x%x\n", b->pcbase + r->offset, eflags_of(ac->verify->before));
    for (unsigned i = 0; i < g->n_slots; i++) {
        uint64_t v = 0;

        memcpy(&v, ac->verify->before + g->slots[i].offset, ir_bits(g->slots[i].w) / 8);
        fprintf(out, "  %s 0x%" PRIx64 "%s", g->slots[i].name, v, i % 4 == 3 ? "\n" : "");
    }
    fprintf(out, "\nmachine code at %p, %u bytes\n", (void *)r->rx, r->size);
    trace_bytes(out, ac, b->pcbase + r->offset, r);
    log_unlock();
    fprintf(stderr, "verify: interpreter and machine code differ in the region at 0x%" PRIx64 " (mode 0x%x, %u instructions):\n%s",
            b->pcbase + r->offset, r->mode, r->n_insns, text);
}

/* ---- running ---- */

static uint32_t run_native(struct accel_cpu *ac, struct code_region *r)
{
    vcpu_in(ac);
    ac->in_enter = true;
    ac->ta->backend->enter(ac->state, r->rx);
    ac->in_enter = false;
    vcpu_out(ac);
    return ac->scratch->exit_reason;
}

static uint32_t run_logged(struct accel_cpu *ac, struct code_region *r)
{
    uint32_t reason;

    vcpu_in(ac);
    ac->in_enter = true;
    ac->interp_region = r;
    reason = tcg_interp(ac->state, r->ir, &verify_mem);
    ac->interp_region = NULL;
    ac->in_enter = false;
    vcpu_out(ac);
    return reason;
}

/* The state as it was; what other threads write into it stays. */
static void rewind_state(struct accel_cpu *ac)
{
    struct verify *v = ac->verify;

    for (unsigned i = 0; i < v->n; i++) {
        memcpy(v->log[i].new, v->log[i].host, v->log[i].len);
    }
    for (unsigned i = v->n; i-- > 0;) {
        memcpy(v->log[i].host, v->log[i].old, v->log[i].len);
    }
    memcpy(v->after, ac->state, v->size);
    memcpy((uint8_t *)ac->state + sizeof(struct tcg_env), v->before + sizeof(struct tcg_env), v->size - sizeof(struct tcg_env));
    ac->env->cc_a = ((struct tcg_env *)v->before)->cc_a;
    ac->env->cc_b = ((struct tcg_env *)v->before)->cc_b;
    ac->env->cc_c = ((struct tcg_env *)v->before)->cc_c;
    ac->env->cc_op = ((struct tcg_env *)v->before)->cc_op;
    ac->env->pcbase = ((struct tcg_env *)v->before)->pcbase;
    ac->env->pc = ((struct tcg_env *)v->before)->pc;
}

uint32_t verify_run(struct accel_cpu *ac, struct code_region *r)
{
    struct machine *m = ac->c->machine;
    struct verify *v = ac->verify;
    uint32_t reason_i, reason_n;
    bool locked;
    char *text = NULL;
    size_t len = 0;
    FILE *out;

    if (!comparable(r->ir)) {
        ac->st.not_verified++;
        return run_native(ac, r);
    }
    if (!v) {
        v = ac->verify = g_new0(struct verify, 1);
        v->size = ac->ops->tcg->scratch_offset;
        v->before = g_malloc(v->size);
        v->after = g_malloc(v->size);
    }
    locked = machine_locked(m);
    if (!locked) {
        machine_lock(m);
    }
    v->n = 0;
    v->aborted = false;
    memcpy(v->before, ac->state, v->size);
    reason_i = run_logged(ac, r);
    rewind_state(ac);
    ctx_select(ac);
    reason_n = run_native(ac, r);
    if (v->aborted || reason_n == TCG_EXIT_ONE) {
        ac->st.not_verified++;
    } else {
        ac->st.verified++;
        if (differences(ac, r, reason_i, reason_n, NULL)) {
            out = open_memstream(&text, &len);
            differences(ac, r, reason_i, reason_n, out);
            fclose(out);
            report(ac, r, text);
            abort();
        }
    }
    if (!locked) {
        machine_unlock(m);
    }
    return reason_n;
}

void verify_fini(struct accel_cpu *ac)
{
    if (ac->verify) {
        g_free(ac->verify->before);
        g_free(ac->verify->after);
        g_free(ac->verify);
        ac->verify = NULL;
    }
}
