/*
 * vCPU threads: the loop that drives an engine, parking, work for another vCPU's thread, exclusive sections.
 *
 * A vCPU is `stopped` at the top of its loop, between two instructions, waiting for the machine lock's conditions; it is
 * `parked` there and also when it waits inside an engine helper (to begin an exclusive section, for work it handed to
 * another vCPU). machine_stop() needs all stopped, an exclusive section needs all others parked. Whoever waits counts as
 * parked, so two vCPUs that want the same thing at once never wait for each other.
 *
 * The loop takes the machine lock only to park, to do work and to sleep.
 */
#include "core/cpu.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "core/accel.h"
#include "core/machine_priv.h"

static _Thread_local struct cpu *cpu_self;

struct cpu *cpu_current(void)
{
    return cpu_self;
}

bool cpu_must_park(struct machine *m)
{
    struct machine_priv *p = m->priv;

    return !p->running || (atomic_load(&p->pending) & PENDING_PARKS) || (p->exclusive && p->exclusive != thread_token());
}

/* --- the thread --- */

static void cpu_do_work(struct cpu *c)
{
    struct cpu_work *w;

    atomic_fetch_and(&c->request, ~(uint32_t)CPU_REQ_WORK);
    while ((w = c->work)) {
        c->work = w->next;
        w->fn(c, w->opaque);
        g_free(w);
        g_cond_broadcast(&c->machine->priv->parked);
    }
}

/* Returns when guest code may be entered; false: the thread ends. Machine lock. */
static bool cpu_park(struct cpu *c)
{
    struct machine *m = c->machine;
    bool wait;

    atomic_store(&c->view_epoch, 0);
    c->parked = c->stopped = true;
    g_cond_broadcast(&m->priv->parked);
    /* From here on cpu_kick() takes the lock to signal, so nothing set after our look is lost. */
    atomic_store(&c->sleeping, true);
    do {
        cpu_do_work(c);
        atomic_fetch_and(&c->request, ~(uint32_t)CPU_REQ_STOP);
        wait = !c->quit && cpu_must_park(m);
        if (!wait && !c->quit && atomic_load(&c->halted)) {
            wait = !(m->accel->wakes ? m->accel->wakes(c) : c->ops->wakes(c));
            if (!wait) {
                atomic_store(&c->halted, false);
            }
        }
        if (wait && !(atomic_load(&c->request) & CPU_REQ_WORK)) {
            machine_wait(m, &c->wake);
        }
    } while (wait);
    atomic_store(&c->sleeping, false);
    c->parked = c->stopped = false;
    return !c->quit;
}

static void *vcpu_thread(void *opaque)
{
    struct cpu *c = opaque;
    struct machine *m = c->machine;
    bool park = true, go_on;

    cpu_self = c;
    c->tid = gettid();
    for (;;) {
        if (park || (atomic_load(&c->request) & (CPU_REQ_STOP | CPU_REQ_WORK)) || atomic_load(&c->halted)) {
            machine_lock(m);
            go_on = cpu_park(c);
            machine_unlock(m);
            if (!go_on) {
                break;
            }
            park = false;
        }
        /* Between two runs no flat view is held: renewing the epoch lets older ones be freed. */
        atomic_store(&c->view_epoch, atomic_load(&m->priv->epoch));
        if (m->accel->service) {
            m->accel->service(c);
        } else {
            c->ops->service(c);
        }
        if (atomic_load(&c->halted) || (atomic_load(&c->request) & (CPU_REQ_STOP | CPU_REQ_WORK))) {
            continue;
        }
        switch (m->accel->run(c)) {
        case CPU_EXIT_AGAIN:
            break;
        case CPU_EXIT_HALT:
            atomic_store(&c->halted, true);
            break;
        case CPU_EXIT_RESET:
            park = true;
            break;
        case CPU_EXIT_DEBUG:
            machine_request_pause(m);
            park = true;
            break;
        }
    }
    atomic_store(&c->view_epoch, 0);
    return NULL;
}

struct cpu *cpu_new(struct machine *m, const struct cpu_ops *ops, unsigned index, const char *model, GError **err)
{
    /* Generated code addresses the state with aligned vector moves. */
    size_t size = (ops->size + 63) & ~(size_t)63;
    struct cpu *c = aligned_alloc(64, size);

    g_assert(c && machine_locked(m) && index == m->n_cpus);
    memset(c, 0, size);
    c->ops = ops;
    c->machine = m;
    c->index = index;
    c->model = g_strdup(model);
    c->engine = m->accel;
    c->memory = &m->memory;
    c->io = &m->io;
    c->parked = c->stopped = true;
    g_cond_init(&c->wake);
    if (ops->init && !ops->init(c, err)) {
        goto fail;
    }
    if (m->accel && !engine_cpu_init(c, m->accel, err)) {
        if (ops->fini) {
            ops->fini(c);
        }
        goto fail;
    }
    m->cpus = g_renew(struct cpu *, m->cpus, m->n_cpus + 1);
    m->cpus[m->n_cpus++] = c;
    return c;
fail:
    error_prefix(err, "vCPU %u", index);
    g_cond_clear(&c->wake);
    g_free((char *)c->model);
    free(c);
    return NULL;
}

bool cpu_start(struct cpu *c, GError **err)
{
    char name[16];
    GError *why = NULL;

    g_snprintf(name, sizeof(name), "vcpu%u", c->index);
    c->thread = g_thread_try_new(name, vcpu_thread, c, &why);
    if (!c->thread) {
        error_set(err, EMU_ERROR_HOST, "no thread for vCPU %u: %s", c->index, why->message);
        g_error_free(why);
        return false;
    }
    return true;
}

/* Ends the thread and frees everything; the caller takes it out of m->cpus. Machine lock, released while waiting. */
void cpu_free(struct cpu *c)
{
    struct machine *m = c->machine;

    g_assert(machine_locked(m) && cpu_self != c);
    if (c->thread) {
        c->quit = true;
        cpu_request(c, CPU_REQ_STOP);
        machine_unlock(m);
        g_thread_join(c->thread);
        machine_lock(m);
    }
    engine_cpu_fini(c);
    if (c->ops->fini) {
        c->ops->fini(c);
    }
    g_cond_clear(&c->wake);
    g_free((char *)c->model);
    free(c);
}

/* --- requests --- */

void cpu_kick(struct cpu *c)
{
    struct machine *m = c->machine;
    bool locked;

    if (atomic_load(&c->sleeping)) {
        locked = machine_locked(m);
        if (!locked) {
            machine_lock(m);
        }
        g_cond_signal(&c->wake);
        if (!locked) {
            machine_unlock(m);
        }
    }
    /* Also when it slept: it may have woken since and be in guest code already. */
    if (c->thread && m->accel->kick) {
        m->accel->kick(c);
    }
}

void cpu_request(struct cpu *c, uint32_t bits)
{
    atomic_fetch_or(&c->request, bits);
    cpu_kick(c);
}

/* A vCPU that waits inside a helper: parked, and serving work meant for it. Machine lock. */
static void cpu_wait_parked(struct machine *m, GCond *cond)
{
    struct cpu *self = cpu_self;

    if (!self || self->machine != m) {
        machine_wait(m, cond);
        return;
    }
    if (self->work) {
        cpu_do_work(self);
        return;
    }
    if (!self->parked) {
        self->parked = true;
        g_cond_broadcast(&m->priv->parked);
    }
    machine_wait(m, cond);
}

/* The end of such a wait: guest code may not be entered while somebody else is exclusive. */
static void cpu_wait_done(struct machine *m)
{
    struct cpu *self = cpu_self;

    if (self && self->machine == m) {
        while (self->parked && m->priv->exclusive && m->priv->exclusive != thread_token()) {
            cpu_wait_parked(m, &m->priv->exclusive_free);
        }
        self->parked = false;
    }
}

struct work_call {
    void (*fn)(struct cpu *, void *);
    void *opaque;
    bool done;
};

static void work_call(struct cpu *c, void *opaque)
{
    struct work_call *call = opaque;

    call->fn(c, call->opaque);
    call->done = true;
}

void cpu_run_on(struct cpu *c, void (*fn)(struct cpu *, void *), void *opaque, bool async)
{
    struct machine *m = c->machine;
    struct work_call call = { fn, opaque, false };
    struct cpu_work *w, **end = &c->work;

    g_assert(machine_locked(m));
    if (cpu_self == c || !c->thread) {
        fn(c, opaque);
        return;
    }
    w = g_new0(struct cpu_work, 1);
    w->fn = async ? fn : work_call;
    w->opaque = async ? opaque : &call;
    while (*end) {
        end = &(*end)->next;
    }
    *end = w;
    cpu_request(c, CPU_REQ_WORK);
    if (!async) {
        while (!call.done) {
            cpu_wait_parked(m, &m->priv->parked);
        }
        cpu_wait_done(m);
    }
}

/* --- everybody out --- */

static bool all_parked(struct machine *m, bool between_instructions)
{
    for (unsigned i = 0; i < m->n_cpus; i++) {
        struct cpu *c = m->cpus[i];

        if (c != cpu_self && c->thread && !(between_instructions ? c->stopped : c->parked)) {
            return false;
        }
    }
    return true;
}

static void ask_to_park(struct machine *m)
{
    for (unsigned i = 0; i < m->n_cpus; i++) {
        struct cpu *c = m->cpus[i];

        if (c != cpu_self && !c->stopped) {
            cpu_request(c, CPU_REQ_STOP);
        }
    }
}

void cpus_park(struct machine *m)
{
    ask_to_park(m);
    while (!all_parked(m, true)) {
        cpu_wait_parked(m, &m->priv->parked);
    }
    cpu_wait_done(m);
    if (cpu_self && cpu_self->machine == m) {
        atomic_fetch_or(&cpu_self->request, CPU_REQ_STOP);
        cpu_kick(cpu_self);
    }
}

void cpus_wake(struct machine *m)
{
    for (unsigned i = 0; i < m->n_cpus; i++) {
        g_cond_signal(&m->cpus[i]->wake);
    }
}

void cpu_exclusive_begin(struct machine *m)
{
    struct machine_priv *p = m->priv;
    bool locked = machine_locked(m);

    if (!locked) {
        machine_lock(m);
    }
    g_assert(p->exclusive != thread_token());
    while (p->exclusive) {
        cpu_wait_parked(m, &p->exclusive_free);
    }
    p->exclusive = thread_token();
    p->exclusive_keeps_lock = locked;
    ask_to_park(m);
    while (!all_parked(m, false)) {
        cpu_wait_parked(m, &p->parked);
    }
    cpu_wait_done(m);
}

void cpu_exclusive_end(struct machine *m)
{
    struct machine_priv *p = m->priv;

    g_assert(machine_locked(m) && p->exclusive == thread_token());
    p->exclusive = 0;
    g_cond_broadcast(&p->exclusive_free);
    cpus_wake(m);
    if (!p->exclusive_keeps_lock) {
        machine_unlock(m);
    }
}
