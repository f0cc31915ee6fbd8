/*
 * The translator as an engine: options, vCPUs, the run loop.
 *
 * The loop: look at requests; settle mode and address context; find or make the region at env.pc; run until something leaves; see why.
 * Between two rounds the vCPU is outside (accel_priv.h) and its state is precise.
 */
#include "accel/tcg/tcg_accel.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "accel/tcg/accel_priv.h"
#include "base/error.h"
#include "base/log.h"
#include "base/options.h"

#define MXCSR_DEFAULT 0x1f80
#define TB_SIZE_MIB 128

/* ---- host traps ---- */

static uint64_t trap_pc(const ucontext_t *uc)
{
#ifdef __x86_64__
    return (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
#else
    (void)uc;
    return 0;
#endif
}

/* A divide error or unmasked FP exception of guest code is the host's own trap. Anything else is ours to die of. */
static void on_fpe(int sig, siginfo_t *info, void *context)
{
    struct accel_cpu *ac = vcpu_self();
    uint64_t pc = trap_pc(context);

    (void)info;
    if (ac && ac->in_enter && ac->ta->cb_ready && codebuf_holds(&ac->ta->cb, pc) && code_by_host(ac->ta, pc)) {
        tcg_host_trap_redirect(context, tcg_host_trap);
        return;
    }
    signal(sig, SIG_DFL);
    raise(sig);
}

/* ---- options ---- */

static const char *const on_backend[] = { "native", "interp", NULL };
static const char *const on_thread[] = { "multi", "single", NULL };
static const struct option_desc tcg_options[] = {
    { .name = "chain", .type = OPT_BOOL, .def = "on", .help = "regions jump straight to each other" },
    { .name = "verify", .type = OPT_BOOL, .def = "off", .help = "run interpreter and machine code in lock-step and compare" },
    { .name = "backend", .type = OPT_ENUM, .def = "native", .help = "machine code or interpreter", .values = on_backend },
    { .name = "thread", .type = OPT_ENUM, .def = "multi", .help = "one host thread per vCPU, or one for all", .values = on_thread },
    { .name = "tb-size", .type = OPT_UINT, .def = "128", .help = "code cache in MiB", .min = 2, .max = 2047 },
    { .name = "one-insn-per-tb", .type = OPT_BOOL, .def = "off", .help = "every instruction is a region of its own" },
    { .name = "max-insns", .type = OPT_UINT, .def = "32", .help = "longest region in guest instructions", .min = 1, .max = 32 },
    { .name = "opt", .type = OPT_STRING, .help = "a pass by name, PASS:off or PASS:on; may be given several times; all:off" },
    { .name = NULL },
};

static bool pass_switch(struct tcg_accel *ta, const char *value, GError **err)
{
    g_auto(GStrv) parts = g_strsplit(value, ":", 2);
    const char *names[OPT_PASSES_MAX + 2] = { "all" };
    uint32_t bits = 0;
    unsigned n = 0;

    if (!parts[0] || !parts[1] || (strcmp(parts[1], "off") && strcmp(parts[1], "on"))) {
        return error_set(err, EMU_ERROR_INVALID, "opt=%s: PASS:off or PASS:on is wanted", value);
    }
    for (; ir_passes[n].name && n < OPT_PASSES_MAX; n++) {
        names[n + 1] = ir_passes[n].name;
        if (!strcmp(parts[0], ir_passes[n].name) || !strcmp(parts[0], "all")) {
            bits |= 1u << n;
        }
    }
    names[n + 1] = NULL;
    if (!bits) {
        return error_unknown(err, "pass", parts[0], names, NULL);
    }
    ta->passes_off = strcmp(parts[1], "off") ? ta->passes_off & ~bits : ta->passes_off | bits;
    return true;
}

static bool read_options(struct tcg_accel *ta, const struct options *o, bool *native, GError **err)
{
    const char *key, *value;

    *native = strcmp(options_string(o, "backend", "native"), "interp") != 0;
    ta->chain = options_bool(o, "chain", true);
    ta->verify = options_bool(o, "verify", false);
    ta->one_insn = options_bool(o, "one-insn-per-tb", false);
    ta->max_insns = (unsigned)options_uint(o, "max-insns", 32);
    ta->tb_size = (size_t)options_uint(o, "tb-size", TB_SIZE_MIB) << 20;
    if (!strcmp(options_string(o, "thread", "multi"), "single")) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: thread=single");
    }
    if (ta->verify && !*native) {
        return error_set(err, EMU_ERROR_INVALID, "verify=on compares machine code with the interpreter: leave out backend=interp");
    }
    if (ta->verify && ta->machine->spec.cpus > 1) {
        return error_set(err, EMU_ERROR_INVALID, "verify=on compares one vCPU's steps: -smp 1 is wanted");
    }
    for (unsigned i = 0; o && i < options_count(o); i++) {
        options_at(o, i, &key, &value);
        if (!strcmp(key, "opt") && !pass_switch(ta, value, err)) {
            return false;
        }
    }
    return true;
}

/* ---- the engine ---- */

const struct tcg_runtime tcg_runtime = {
    .slow = tcg_slow,
    .slow_full = tcg_slow_full,
    .bounce_flush = tcg_bounce_flush,
    .link = tcg_link,
    .link_full = tcg_link_full,
    .lookup = tcg_lookup,
    .changed = tcg_changed,
    .lock = tcg_lock,
    .outside = tcg_outside,
};

static void tcg_close(struct machine *m)
{
    struct tcg_accel *ta = m->accel_data;

    if (!ta) {
        return;
    }
    code_fini(ta);
    if (ta->cb_ready) {
        codebuf_free(&ta->cb);
    }
    g_ptr_array_free(ta->cpus, TRUE);
    g_free(ta);
    m->accel_data = NULL;
}

static bool tcg_open(struct machine *m, const struct options *o, GError **err)
{
    struct tcg_accel *ta = g_new0(struct tcg_accel, 1);
    struct sigaction sa = { .sa_sigaction = on_fpe, .sa_flags = SA_SIGINFO | SA_NODEFER };
    bool native;

    ta->machine = m;
    ta->cpus = g_ptr_array_new();
    if (!read_options(ta, o, &native, err)) {
        goto fail;
    }
    if (native) {
#if CONFIG_TCG_NATIVE
        ta->backend = &tcg_backend_x86_64;
        if (!codebuf_init(&ta->cb, ta->tb_size, err)) {
            goto fail;
        }
        ta->cb_ready = true;
#endif
    }
    if (!code_init(ta, err)) {
        codebuf_free(&ta->cb);
        goto fail;
    }
    sigemptyset(&sa.sa_mask);
    sigaction(SIGFPE, &sa, NULL);
    m->accel_data = ta;
    return true;
fail:
    g_ptr_array_free(ta->cpus, TRUE);
    g_free(ta);
    return false;
}

static bool tcg_cpu_init(struct cpu *c, GError **err)
{
    struct tcg_accel *ta = c->machine->accel_data;
    struct accel_cpu *ac;

    if (!c->ops->tcg || !c->ops->front) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: translating %s", c->ops->isa);
    }
    if (ta->backend && !ta->cpus->len && !ta->backend->init(&ta->cb, c->ops->tcg, &tcg_runtime, err)) {
        return false;
    }
    ac = g_new0(struct accel_cpu, 1);
    ac->tab = mmap(NULL, sizeof(*ac->tab), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ac->tab == MAP_FAILED) {
        g_free(ac);
        return error_set(err, EMU_ERROR_HOST, "no host memory for a vCPU's tables: %s", g_strerror(errno));
    }
    ac->c = c;
    ac->ta = ta;
    ac->ops = c->ops;
    ac->front = c->ops->front;
    ta->mode_optional = ac->front->mode_optional;
    ac->native_io = native_io;
    ac->state = (char *)c + c->ops->state_offset;
    ac->env = ac->state;
    ac->scratch = (struct tcg_scratch *)((char *)ac->state + c->ops->tcg->scratch_offset);
    ac->scratch->host_mxcsr = MXCSR_DEFAULT;
    g_mutex_init(&ac->ask_lock);
    arena_init(&ac->arena);
    tables_init(ac);
    ac->env->jt = ac->tab->miss;
    ac->env->ctx = &ac->spaces[0].ctx[0]->t;
    c->accel = ac;
    g_mutex_lock(&ta->lock);
    g_ptr_array_add(ta->cpus, ac);
    g_mutex_unlock(&ta->lock);
    return true;
}

static void tcg_cpu_fini(struct cpu *c)
{
    struct accel_cpu *ac = c->accel;

    if (!ac) {
        return;
    }
    if (vcpu_self() == ac) {
        vcpu_set_self(NULL);
    }
    g_mutex_lock(&ac->ta->lock);
    g_ptr_array_remove(ac->ta->cpus, ac);
    g_mutex_unlock(&ac->ta->lock);
    verify_fini(ac);
    munmap(ac->tab, sizeof(*ac->tab));
    arena_free(&ac->arena);
    g_mutex_clear(&ac->ask_lock);
    g_free(ac->fetch);
    g_free(ac);
    c->accel = NULL;
}

static void tcg_reset(struct cpu *c)
{
    struct accel_cpu *ac = c->accel;

    /* A kernel lands elsewhere each time it boots: what was translated before is of no use, and would only fill the cache. */
    if (ac == g_ptr_array_index(ac->ta->cpus, 0)) {
        g_mutex_lock(&ac->ta->lock);
        code_drop_all(ac->ta);
        g_mutex_unlock(&ac->ta->lock);
    }
    ac->scratch->host_mxcsr = MXCSR_DEFAULT;
    ac->scratch->call_ra = 0;
    ac->one_exclusive = false;
    tlb_flush_all(ac);
    ctx_select(ac);
}

static void tcg_kick(struct cpu *c)
{
    if (c->accel) {
        vcpu_kick(c->accel);
    }
}

static void tcg_flush(struct machine *m)
{
    struct tcg_accel *ta = m->accel_data;

    for (unsigned i = 0; i < ta->cpus->len; i++) {
        vcpu_ask_flush(g_ptr_array_index(ta->cpus, i));
    }
}

static void tcg_protect(struct machine *m, struct ram_block *b, uint64_t offset, uint64_t len)
{
    struct tcg_accel *ta = m->accel_data;

    g_mutex_lock(&ta->lock);
    atomic_thread_fence(memory_order_seq_cst);
    for (uint64_t i = offset >> PAGE_BITS; i << PAGE_BITS < offset + len; i++) {
        writers_drop(ta, b, i, true);
    }
    g_mutex_unlock(&ta->lock);
}

/* ---- the run loop ---- */

/* Frees the oldest generation of code. False: some vCPU has generated code on its stack; let it go on first. */
static bool make_room(struct accel_cpu *ac)
{
    struct tcg_accel *ta = ac->ta;
    struct machine *m = ta->machine;
    bool ok = true;

    cpu_exclusive_begin(m);
    for (unsigned i = 0; i < ta->cpus->len; i++) {
        struct accel_cpu *other = g_ptr_array_index(ta->cpus, i);

        ok &= other == ac || !other->in_enter;
    }
    if (ok) {
        g_mutex_lock(&ta->lock);
        if (ta->need_room) {
            code_gen_reclaim(ta, (ta->gen + 1) % CODEBUF_GENERATIONS);
            ta->need_room = false;
        }
        g_mutex_unlock(&ta->lock);
    }
    cpu_exclusive_end(m);
    return ok;
}

static uint32_t run_region(struct accel_cpu *ac, struct code_region *r)
{
    uint32_t reason;

    if (log_on(LOG_EXEC | LOG_CPU)) {
        trace_enter(ac, r);
    }
    ac->env->pcbase = ac->env->pc & PAGE_MASK;
    ac->st.enters++;
    if (ac->ta->verify) {
        return verify_run(ac, r);
    }
    vcpu_in(ac);
    ac->in_enter = true;
    if (r->rx) {
        ac->ta->backend->enter(ac->state, r->rx);
        reason = ac->scratch->exit_reason;
    } else {
        ac->interp_region = r;
        reason = tcg_interp(ac->state, r->ir, &tcg_interp_mem);
        ac->interp_region = NULL;
    }
    ac->in_enter = false;
    vcpu_out(ac);
    return reason;
}

/* After a helper or an access left by unwinding. */
static void tidy(struct accel_cpu *ac)
{
    ac->scratch->call_ra = 0;
    ac->interp_region = NULL;
    if (ac->locked) {
        ac->locked = false;
        machine_unlock(ac->c->machine);
    }
}

static uint32_t run_alone(struct accel_cpu *ac)
{
    struct cpu *c = ac->c;
    uint32_t reason;

    if (!ac->one_exclusive) {
        reason = cpu_run_one(c);
        tidy(ac);
        return reason;
    }
    ac->one_exclusive = false;
    ac->st.exclusives++;
    cpu_exclusive_begin(c->machine);
    c->in_exclusive = true;
    reason = cpu_run_one(c);
    c->in_exclusive = false;
    cpu_exclusive_end(c->machine);
    tidy(ac);
    return reason;
}

static enum cpu_exit run_loop(struct cpu *c)
{
    struct accel_cpu *ac = c->accel;
    struct code_region *r;
    uint32_t reason;

    vcpu_set_self(ac);
    ac->leave = false;
    ac->mmu_note = log_on(LOG_MMU) ? mmu_note : NULL;
    for (;;) {
        atomic_store(&ac->env->kick, 0);
        if (atomic_load(&c->request) || ac->leave || atomic_load(&c->halted)) {
            return CPU_EXIT_AGAIN;
        }
        ctx_select(ac);
        ac->st.lookups++;
        switch (code_get(ac, &r, true)) {
        case FIND_OK:
            reason = run_region(ac, r);
            tidy(ac);
            break;
        case FIND_ONE:
            reason = run_alone(ac);
            break;
        case FIND_FAULT:
            reason = TCG_EXIT_RAISED;
            break;
        default:
            if (!make_room(ac)) {
                return CPU_EXIT_AGAIN;
            }
            continue;
        }
        while (reason == TCG_EXIT_ONE) {
            ac->st.exits[reason]++;
            reason = run_alone(ac);
        }
        ac->st.exits[reason]++;
        switch (reason) {
        case TCG_EXIT_HALT:
            return CPU_EXIT_HALT;
        case TCG_EXIT_STOP:
            return CPU_EXIT_RESET;
        case TCG_EXIT_RAISED:
        case TCG_EXIT_EVENT:
            c->ops->service(c);
            break;
        default:                 /* LOOKUP, KICK, MODE: look again */
            break;
        }
    }
}

/* For an engine that cannot execute what comes next: the interpreter, from a cold TLB, since others have written to memory unseen. */
static enum cpu_exit tcg_run(struct cpu *c)
{
    struct accel_cpu *ac = c->accel;
    enum cpu_exit e;

    atomic_store(&ac->running, true);
    e = run_loop(c);
    atomic_store(&ac->running, false);
    return e;
}

static enum cpu_exit tcg_run_some(struct cpu *c, unsigned n, unsigned *done)
{
    struct accel_cpu *ac = c->accel;
    uint32_t reason;

    vcpu_set_self(ac);
    ac->mmu_note = log_on(LOG_MMU) ? mmu_note : NULL;
    tlb_flush_all(ac);
    for (*done = 0; *done < n; ++*done) {
        do {
            reason = run_alone(ac);
        } while (reason == TCG_EXIT_ONE);
        switch (reason) {
        case TCG_EXIT_HALT:
            return CPU_EXIT_HALT;
        case TCG_EXIT_STOP:
            return CPU_EXIT_RESET;
        case TCG_EXIT_RAISED:
        case TCG_EXIT_EVENT:
            c->ops->service(c);
            break;
        default:
            break;
        }
    }
    return CPU_EXIT_AGAIN;
}

/* Another engine has run, and written to memory unseen: no translation is worth anything. */
static bool tcg_take_over(struct machine *m, bool on, GError **err)
{
    struct tcg_accel *ta = m->accel_data;

    (void)err;
    if (on) {
        g_mutex_lock(&ta->lock);
        for (unsigned gen = 0; gen < CODEBUF_GENERATIONS; gen++) {
            code_gen_reclaim(ta, gen);
        }
        g_mutex_unlock(&ta->lock);
    }
    return true;
}

const struct accel_ops accel_tcg = {
    .name = "tcg",
    .desc = "binary translator",
    .options = tcg_options,
    .open = tcg_open,
    .close = tcg_close,
    .take_over = tcg_take_over,
    .cpu_init = tcg_cpu_init,
    .cpu_fini = tcg_cpu_fini,
    .run = tcg_run,
    .run_some = tcg_run_some,
    .kick = tcg_kick,
    .reset = tcg_reset,
    .invalidate = tcg_invalidate,
    .flush = tcg_flush,
    .protect = tcg_protect,
    .stats = tcg_stats,
    .ld = tcg_ld,
    .st = tcg_st,
    .probe = tcg_probe,
    .put = tcg_put,
    .tlb_flush = tcg_tlb_flush,
    .mode_changed = tcg_mode_changed,
    .unwind = tcg_unwind_cpu,
    .run_exclusive = tcg_run_exclusive,
    .sync = tcg_sync_cpu,
};
