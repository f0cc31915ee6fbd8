/*
 * The machine: its lock, its states, what others ask of it, and the main loop. See core/machine.h.
 */
#include "core/machine.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "core/accel.h"
#include "core/device.h"
#include "core/boot_order.h"
#include "core/machine_priv.h"
#include "core/object.h"

struct state_hook {
    void (*fn)(void *opaque, enum run_state s);
    void *opaque;
};

struct reset_hook {
    void (*fn)(void *opaque);
    void *opaque;
};

/* --- lock --- */

uintptr_t thread_token(void)
{
    static _Thread_local char anchor;

    return (uintptr_t)&anchor;
}

void machine_lock(struct machine *m)
{
    g_assert(!machine_locked(m));
    g_mutex_lock(&m->priv->lock);
    atomic_store_explicit(&m->priv->owner, thread_token(), memory_order_relaxed);
}

void machine_unlock(struct machine *m)
{
    g_assert(machine_locked(m));
    atomic_store_explicit(&m->priv->owner, 0, memory_order_relaxed);
    g_mutex_unlock(&m->priv->lock);
}

/* Only this thread stores its own token, so a relaxed look is enough. */
bool machine_locked(struct machine *m)
{
    return atomic_load_explicit(&m->priv->owner, memory_order_relaxed) == thread_token();
}

void machine_wait(struct machine *m, GCond *cond)
{
    g_assert(machine_locked(m));
    atomic_store_explicit(&m->priv->owner, 0, memory_order_relaxed);
    g_cond_wait(cond, &m->priv->lock);
    atomic_store_explicit(&m->priv->owner, thread_token(), memory_order_relaxed);
}

/* --- life --- */

struct machine *machine_new(void)
{
    struct machine *m = g_new0(struct machine, 1);
    struct machine_priv *p = m->priv = g_new0(struct machine_priv, 1);

    g_mutex_init(&p->lock);
    g_cond_init(&p->parked);
    g_cond_init(&p->exclusive_free);
    p->context = g_main_context_default();
    p->state_hooks = g_array_new(FALSE, FALSE, sizeof(struct state_hook));
    p->spaces = g_ptr_array_new();
    p->retired = g_array_new(FALSE, FALSE, sizeof(struct retired_view));
    atomic_store(&p->epoch, 1);
    m->ram = g_ptr_array_new();
    m->devices = g_ptr_array_new();
    m->buses = g_ptr_array_new();
    m->objects = g_ptr_array_new();
    m->reset_hooks = g_ptr_array_new_with_free_func(g_free);
    m->state = RUN_PRELAUNCH;
    clock_init(m);
    machine_lock(m);
    region_init_container(&m->memory_root, "memory", UINT64_MAX);
    region_init_container(&m->io_root, "io", 0x10000);
    address_space_init(&m->memory, m, "memory", &m->memory_root);
    address_space_init(&m->io, m, "I/O", &m->io_root);
    region_init_container(&m->nothing_root, "nothing", UINT64_MAX);
    address_space_init(&m->nothing, m, "nothing", &m->nothing_root);
    machine_unlock(m);
    return m;
}

void machine_free(struct machine *m)
{
    struct machine_priv *p = m->priv;

    machine_lock(m);
    p->running = false;
    cpus_park(m);
    /* Every thread has ended before the first vCPU goes, because they kick each other. */
    for (unsigned i = 0; i < m->n_cpus; i++) {
        m->cpus[i]->quit = true;
    }
    cpus_wake(m);
    machine_unlock(m);
    for (unsigned i = 0; i < m->n_cpus; i++) {
        if (m->cpus[i]->thread) {
            g_thread_join(m->cpus[i]->thread);
            m->cpus[i]->thread = NULL;
        }
    }
    machine_lock(m);
    devices_fini(m);
    boot_order_free(m);
    if (m->globals) {
        g_ptr_array_free(m->globals, TRUE);
    }
    objects_fini(m);
    while (m->n_cpus) {
        cpu_free(m->cpus[--m->n_cpus]);
    }
    engines_close(m);
    regions_fini(m);
    ram_free_all(m);
    machine_unlock(m);
    clock_fini(m);
    g_free(m->cpus);
    g_ptr_array_free(m->devices, TRUE);
    g_ptr_array_free(m->buses, TRUE);
    g_ptr_array_free(m->objects, TRUE);
    g_ptr_array_free(m->reset_hooks, TRUE);
    g_ptr_array_free(m->ram, TRUE);
    g_array_free(p->state_hooks, TRUE);
    g_cond_clear(&p->parked);
    g_cond_clear(&p->exclusive_free);
    g_mutex_clear(&p->lock);
    g_free(p);
    g_free(m);
}

static void layout_changed(void *opaque, struct address_space *as, const struct flat_view *from, const struct flat_view *to)
{
    struct machine *m = opaque;

    (void)as;
    (void)from;
    (void)to;
    if (m->accel && m->accel->flush && m->n_cpus) {
        m->accel->flush(m);
    }
}

struct region *machine_smm_space(struct machine *m)
{
    if (!m->smm.root) {
        region_init_container(&m->smm_root, "smm", UINT64_MAX);
        region_init_alias(&m->smm_memory, "smm-memory", &m->memory_root, 0, UINT64_MAX);
        region_add(&m->smm_root, &m->smm_memory, 0, 0);
        address_space_init(&m->smm, m, "smm", &m->smm_root);
        m->smm.depth = m->memory.depth;          /* inside a group of changes: it ends for this space, too */
        m->smm.pending = m->smm.depth;
        m->priv->smm_listener = (struct region_listener){ layout_changed, m };
        address_space_listen(&m->smm, &m->priv->smm_listener);
    }
    return &m->smm_root;
}

bool machine_build(struct machine *m, GError **err)
{
    bool ok;

    machine_lock(m);
    m->priv->flush_listener = (struct region_listener){ layout_changed, m };
    address_space_listen(&m->memory, &m->priv->flush_listener);
    ok = m->spec.board->build(m, err);
    if (ok && m->n_cpus == 0) {
        ok = error_set(err, EMU_ERROR_FAILED, "machine '%s' has no vCPU", m->spec.board->name);
    }
    if (ok) {
        machine_reset(m);
        for (unsigned i = 0; ok && i < m->n_cpus; i++) {
            ok = cpu_start(m->cpus[i], err);
        }
    }
    if (ok) {
        cpus_park(m);
    }
    machine_unlock(m);
    return ok;
}

bool machine_finish(struct machine *m, GError **err)
{
    bool ok;

    machine_lock(m);
    ok = !m->spec.board->finish || m->spec.board->finish(m, err);
    if (ok) {
        machine_reset(m);
    }
    machine_unlock(m);
    return ok;
}

/* --- states --- */

const char *run_state_name(enum run_state s)
{
    switch (s) {
    case RUN_PRELAUNCH: return "paused (prelaunch)";
    case RUN_RUNNING: return "running";
    case RUN_PAUSED: return "paused";
    case RUN_SHUTDOWN: return "paused (shutdown)";
    case RUN_GUEST_PANIC: return "paused (guest-panicked)";
    }
    return "?";
}

static void state_set(struct machine *m, enum run_state s)
{
    struct machine_priv *p = m->priv;

    if (m->state == s) {
        return;
    }
    m->state = s;
    for (unsigned i = 0; i < p->state_hooks->len; i++) {
        struct state_hook *h = &g_array_index(p->state_hooks, struct state_hook, i);

        h->fn(h->opaque, s);
    }
}

void machine_on_state(struct machine *m, void (*fn)(void *opaque, enum run_state s), void *opaque)
{
    struct state_hook h = { fn, opaque };

    g_array_append_val(m->priv->state_hooks, h);
}

void machine_start(struct machine *m)
{
    g_assert(machine_locked(m));
    if (m->priv->running || m->priv->ended) {
        return;
    }
    clock_start(m);
    m->priv->running = true;
    state_set(m, RUN_RUNNING);
    cpus_wake(m);
}

void machine_stop(struct machine *m, enum run_state state)
{
    g_assert(machine_locked(m));
    if (m->priv->running) {
        m->priv->running = false;
        cpus_park(m);
        clock_stop(m);
    }
    state_set(m, state);
}

/* --- requests --- */

static void request(struct machine *m, uint32_t what)
{
    atomic_fetch_or(&m->priv->pending, what);
    if (what & PENDING_PARKS) {
        for (unsigned i = 0; i < m->n_cpus; i++) {
            cpu_request(m->cpus[i], CPU_REQ_STOP);
        }
    }
    machine_wake(m);
}

void machine_request_reset(struct machine *m, enum shutdown_cause cause)
{
    atomic_store(&m->priv->cause, (int)cause);
    request(m, PENDING_RESET);
}

void machine_request_shutdown(struct machine *m, enum shutdown_cause cause)
{
    atomic_store(&m->priv->cause, (int)cause);
    request(m, PENDING_SHUTDOWN);
}

void machine_request_powerdown(struct machine *m)
{
    request(m, PENDING_POWERDOWN);
}

void machine_request_exit(struct machine *m, int status)
{
    atomic_store(&m->priv->status, status);
    request(m, PENDING_EXIT);
}

void machine_watchdog(struct machine *m)
{
    switch (m->watchdog_action) {
    case WATCHDOG_RESET:    machine_request_reset(m, SHUTDOWN_GUEST_RESET); break;
    case WATCHDOG_SHUTDOWN: machine_request_powerdown(m); break;
    case WATCHDOG_POWEROFF: machine_request_shutdown(m, SHUTDOWN_HOST_QUIT); break;
    case WATCHDOG_PAUSE:    machine_request_pause(m); break;
    case WATCHDOG_DEBUG:    fprintf(stderr, "emu: watchdog: timer fired\n"); break;
    case WATCHDOG_NMI:      cpu_request(m->cpus[0], CPU_REQ_NMI); break;
    case WATCHDOG_NONE:     break;
    }
}

void machine_request_pause(struct machine *m)
{
    request(m, PENDING_PAUSE);
}

void machine_on_reset(struct machine *m, void (*fn)(void *opaque), void *opaque)
{
    struct reset_hook *h = g_new(struct reset_hook, 1);

    h->fn = fn;
    h->opaque = opaque;
    g_ptr_array_add(m->reset_hooks, h);
}

void machine_reset(struct machine *m)
{
    g_assert(machine_locked(m));
    /* vCPUs first: their interrupt controllers are devices, and what those request must not be lost again. */
    for (unsigned i = 0; i < m->n_cpus; i++) {
        struct cpu *c = m->cpus[i];

        atomic_fetch_and(&c->request, CPU_REQ_STOP | CPU_REQ_WORK);
        atomic_store(&c->halted, false);
        atomic_store(&c->powered_off, false);
        if (log_on(LOG_CPU_RESET)) {
            g_autoptr(GString) regs = g_string_new(NULL);      /* as they were: what a reset forgets is what one wants to see */

            c->ops->dump(c, regs);
            log_printf(LOG_CPU_RESET, "CPU Reset (CPU %u)\n%s", c->index, regs->str);
        }
        c->ops->reset(c);
        if (m->accel && m->accel->reset) {
            m->accel->reset(c);
        }
    }
    devices_reset(m);
    for (unsigned i = 0; i < m->reset_hooks->len; i++) {
        struct reset_hook *h = g_ptr_array_index(m->reset_hooks, i);

        h->fn(h->opaque);
    }
    for (unsigned i = 0; m->accel && m->accel->push && i < m->n_cpus; i++) {
        m->accel->push(m->cpus[i]);
    }
}

static void end_with(struct machine *m, int status)
{
    machine_stop(m, RUN_SHUTDOWN);
    m->exit_status = status;
    m->priv->ended = true;
}

static void serve_shutdown(struct machine *m, enum shutdown_cause cause)
{
    bool by_host = cause == SHUTDOWN_HOST_QUIT || cause == SHUTDOWN_SIGNAL;

    if (cause == SHUTDOWN_TRIPLE_FAULT) {
        fprintf(stderr, "emu: triple fault, the machine ends (-no-reboot)\n");
    }
    if (m->no_shutdown && !by_host) {
        machine_stop(m, RUN_SHUTDOWN);
    } else {
        end_with(m, 0);
    }
}

static void serve_reset(struct machine *m, enum shutdown_cause cause)
{
    bool was_running = m->priv->running;

    if (m->no_reboot) {
        serve_shutdown(m, cause);
        return;
    }
    if (cause == SHUTDOWN_TRIPLE_FAULT) {
        log_printf(LOG_CPU_RESET | LOG_GUEST, "guest: triple fault, the machine resets\n");
    }
    m->priv->running = false;
    cpus_park(m);
    machine_reset(m);
    if (m->state == RUN_SHUTDOWN) {
        state_set(m, RUN_PAUSED);       /* after a power-off under -no-shutdown: `cont` may start it again */
    }
    m->priv->running = was_running;
}

static void serve_requests(struct machine *m)
{
    struct machine_priv *p = m->priv;
    uint32_t what = atomic_load(&p->pending);
    enum shutdown_cause cause = (enum shutdown_cause)atomic_load(&p->cause);

    if (!what) {
        return;
    }
    if (what & PENDING_EXIT) {
        end_with(m, atomic_load(&p->status));
    } else if (what & PENDING_SHUTDOWN) {
        serve_shutdown(m, cause);
    } else if (what & PENDING_RESET) {
        serve_reset(m, cause);
    } else if (what & PENDING_PAUSE) {
        machine_stop(m, RUN_PAUSED);
    }
    if ((what & PENDING_POWERDOWN) && !p->ended) {
        irq_pulse(&m->power_button);
    }
    /* Only now may vCPUs go on: until here they wait for `pending`. A request that came meanwhile is kept. */
    atomic_fetch_and(&p->pending, ~what);
    cpus_wake(m);
}

/* --- main loop --- */

void machine_wake(struct machine *m)
{
    g_main_context_wakeup(m->priv->context);
}

struct poll_set {
    GPollFD *fds;
    int room;
};

/* Asks GLib what it waits for; entry 0 is the timer fd. Returns the number of entries. */
static int poll_collect(struct machine *m, struct poll_set *set, int *priority, int *timeout_ms)
{
    struct machine_priv *p = m->priv;
    int n;

    g_main_context_prepare(p->context, priority);
    for (;;) {
        n = set->room ? g_main_context_query(p->context, *priority, timeout_ms, set->fds + 1, set->room - 1) : 16;
        if (n < set->room) {
            break;
        }
        set->room = n + 16;
        set->fds = g_renew(GPollFD, set->fds, set->room);
    }
    set->fds[0] = (GPollFD){ .fd = p->timer_fd, .events = POLLIN };
    return n + 1;
}

int machine_run(struct machine *m)
{
    struct machine_priv *p = m->priv;
    struct poll_set set = { 0 };
    int priority = 0, timeout_ms = -1, n;

    G_STATIC_ASSERT(sizeof(GPollFD) == sizeof(struct pollfd));
    while (!g_main_context_acquire(p->context)) {
        g_thread_yield();
    }
    machine_lock(m);
    for (;;) {
        serve_requests(m);
        if (p->ended) {
            break;
        }
        clock_arm(m);
        n = poll_collect(m, &set, &priority, &timeout_ms);
        machine_unlock(m);
        if (poll((struct pollfd *)set.fds, (nfds_t)n, timeout_ms) < 0) {
            for (int i = 0; i < n; i++) {
                set.fds[i].revents = 0;
            }
        }
        machine_lock(m);
        if (set.fds[0].revents) {
            timers_run(m);
        }
        if (g_main_context_check(p->context, priority, set.fds + 1, n - 1)) {
            g_main_context_dispatch(p->context);
        }
    }
    machine_unlock(m);
    g_main_context_release(p->context);
    g_free(set.fds);
    return m->exit_status;
}
