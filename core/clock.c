/*
 * Clocks and timers: see core/clock.h.
 *
 * Each clock has a binary heap of its timers. One timerfd is set to the earliest deadline of all; timer_set() sets it
 * again from whatever thread it runs on, so that arming a timer never wakes the main loop. A deadline that moves away
 * leaves the timerfd early; the loop wakes once for nothing and sets it right.
 */
#include "core/clock.h"

#include <glib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "core/machine_priv.h"

/* The host's wall clock can be set, so timers on it are looked at again after this long. */
#define HOST_CLOCK_RECHECK (60 * NS_PER_S)

static uint64_t host_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_now(struct machine *m, enum clock_id id)
{
    struct machine_priv *p = m->priv;
    uint64_t v;

    switch (id) {
    case CLOCK_VIRTUAL_NS:
        v = atomic_load_explicit(&p->virtual_frozen, memory_order_acquire);
        if (v == TIMER_OFF) {
            v = atomic_load_explicit(&p->virtual_offset, memory_order_acquire);
            v = host_ns(CLOCK_MONOTONIC) - v;
        }
        return v;
    case CLOCK_HOST_NS:
        return host_ns(CLOCK_REALTIME);
    default:
        return host_ns(CLOCK_MONOTONIC);
    }
}

void clock_stop(struct machine *m)
{
    g_assert(machine_locked(m));
    atomic_store(&m->priv->virtual_frozen, clock_now(m, CLOCK_VIRTUAL_NS));
}

void clock_start(struct machine *m)
{
    struct machine_priv *p = m->priv;
    uint64_t frozen = atomic_load(&p->virtual_frozen);

    g_assert(machine_locked(m));
    if (frozen != TIMER_OFF) {
        atomic_store(&p->virtual_offset, host_ns(CLOCK_MONOTONIC) - frozen);
        atomic_store(&p->virtual_frozen, TIMER_OFF);
        clock_arm(m);
    }
}

void clock_init(struct machine *m)
{
    m->priv->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    g_assert(m->priv->timer_fd >= 0);
    m->priv->timer_armed = TIMER_OFF;
    atomic_store(&m->priv->virtual_frozen, 0);
}

void clock_fini(struct machine *m)
{
    for (unsigned i = 0; i < CLOCK_COUNT; i++) {
        g_free(m->priv->heap[i].t);
    }
    close(m->priv->timer_fd);
}

/* --- heap --- */

static void heap_put(struct timer_heap *h, unsigned at, struct timer *t)
{
    h->t[at] = t;
    t->heap_index = at;
}

static void heap_up(struct timer_heap *h, unsigned at, struct timer *t)
{
    while (at > 0 && h->t[(at - 1) / 2]->deadline > t->deadline) {
        heap_put(h, at, h->t[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(h, at, t);
}

static void heap_down(struct timer_heap *h, unsigned at, struct timer *t)
{
    for (;;) {
        unsigned child = 2 * at + 1;

        if (child >= h->n) {
            break;
        }
        if (child + 1 < h->n && h->t[child + 1]->deadline < h->t[child]->deadline) {
            child++;
        }
        if (h->t[child]->deadline >= t->deadline) {
            break;
        }
        heap_put(h, at, h->t[child]);
        at = child;
    }
    heap_put(h, at, t);
}

static void heap_place(struct timer_heap *h, unsigned at, struct timer *t)
{
    if (at > 0 && h->t[(at - 1) / 2]->deadline > t->deadline) {
        heap_up(h, at, t);
    } else {
        heap_down(h, at, t);
    }
}

static void heap_add(struct timer_heap *h, struct timer *t)
{
    if (h->n == h->room) {
        h->room = h->room ? h->room * 2 : 32;
        h->t = g_renew(struct timer *, h->t, h->room);
    }
    h->n++;
    heap_up(h, h->n - 1, t);
}

static void heap_remove(struct timer_heap *h, struct timer *t)
{
    struct timer *last = h->t[--h->n];

    if (last != t) {
        heap_place(h, t->heap_index, last);
    }
}

/* --- timers --- */

void timer_init(struct timer *t, struct machine *m, enum clock_id clock, void (*fire)(void *), void *opaque)
{
    *t = (struct timer){ .machine = m, .clock = clock, .fire = fire, .opaque = opaque, .deadline = TIMER_OFF };
}

/* Host monotonic ns at which `deadline` of the clock is reached; TIMER_OFF when the clock stands. */
static uint64_t deadline_monotonic(struct machine *m, enum clock_id clock, uint64_t deadline)
{
    struct machine_priv *p = m->priv;
    uint64_t at, now;

    switch (clock) {
    case CLOCK_VIRTUAL_NS:
        if (atomic_load(&p->virtual_frozen) != TIMER_OFF) {
            return TIMER_OFF;
        }
        at = deadline + atomic_load(&p->virtual_offset);
        return at < deadline ? TIMER_OFF : at;
    case CLOCK_HOST_NS:
        now = host_ns(CLOCK_REALTIME);
        return host_ns(CLOCK_MONOTONIC) + (deadline > now ? MIN(deadline - now, HOST_CLOCK_RECHECK) : 0);
    default:
        return deadline;
    }
}

static void timerfd_arm(struct machine_priv *p, uint64_t at)
{
    struct itimerspec its = { 0 };

    if (at != TIMER_OFF) {
        at = MAX(at, 1);            /* 0 would disarm */
        its.it_value.tv_sec = (time_t)(at / NS_PER_S);
        its.it_value.tv_nsec = (long)(at % NS_PER_S);
    }
    p->timer_armed = at;
    timerfd_settime(p->timer_fd, TFD_TIMER_ABSTIME, &its, NULL);
}

static uint64_t earliest(struct machine *m)
{
    uint64_t best = TIMER_OFF;

    for (unsigned i = 0; i < CLOCK_COUNT; i++) {
        if (m->priv->heap[i].n) {
            best = MIN(best, deadline_monotonic(m, i, m->priv->heap[i].t[0]->deadline));
        }
    }
    return best;
}

void clock_arm(struct machine *m)
{
    uint64_t at = earliest(m);

    if (at != m->priv->timer_armed) {
        timerfd_arm(m->priv, at);
    }
}

void timer_set(struct timer *t, uint64_t deadline)
{
    struct machine *m = t->machine;
    struct timer_heap *h = &m->priv->heap[t->clock];
    bool armed = timer_armed(t);
    uint64_t at;

    g_assert(machine_locked(m));
    if (deadline == TIMER_OFF) {
        timer_cancel(t);
        return;
    }
    t->deadline = deadline;
    if (armed) {
        heap_place(h, t->heap_index, t);
    } else {
        heap_add(h, t);
    }
    if (h->t[0] == t) {
        at = deadline_monotonic(m, t->clock, deadline);
        if (at < m->priv->timer_armed) {
            timerfd_arm(m->priv, at);
        }
    }
}

void timer_cancel(struct timer *t)
{
    if (timer_armed(t)) {
        g_assert(machine_locked(t->machine));
        heap_remove(&t->machine->priv->heap[t->clock], t);
        t->deadline = TIMER_OFF;
    }
}

int64_t timers_next(struct machine *m)
{
    uint64_t at = earliest(m), now;

    if (at == TIMER_OFF) {
        return -1;
    }
    now = host_ns(CLOCK_MONOTONIC);
    return at > now ? (int64_t)MIN(at - now, (uint64_t)INT64_MAX) : 0;
}

void timers_run(struct machine *m)
{
    struct machine_priv *p = m->priv;
    uint64_t buffer;

    g_assert(machine_locked(m));
    if (p->timer_armed != TIMER_OFF && read(p->timer_fd, &buffer, sizeof(buffer)) == sizeof(buffer)) {
        p->timer_armed = TIMER_OFF;
    }
    for (unsigned i = 0; i < CLOCK_COUNT; i++) {
        struct timer_heap *h = &p->heap[i];
        uint64_t now;

        if (!h->n || (i == CLOCK_VIRTUAL_NS && atomic_load(&p->virtual_frozen) != TIMER_OFF)) {
            continue;
        }
        /* Time is read once: a timer that sets itself again in the past fires in the next round, and fds get a turn. */
        now = clock_now(m, i);
        while (h->n && h->t[0]->deadline <= now) {
            struct timer *t = h->t[0];

            heap_remove(h, t);
            t->deadline = TIMER_OFF;
            t->fire(t->opaque);
        }
    }
}

void clock_step(struct machine *m, uint64_t ns)
{
    struct machine_priv *p = m->priv;
    struct timer_heap *h = &p->heap[CLOCK_VIRTUAL_NS];
    uint64_t now = atomic_load(&p->virtual_frozen), until = now + ns;

    g_assert(machine_locked(m) && now != TIMER_OFF);
    while (h->n && h->t[0]->deadline <= until) {
        struct timer *t = h->t[0];

        now = MAX(now, t->deadline);
        atomic_store(&p->virtual_frozen, now);
        heap_remove(h, t);
        t->deadline = TIMER_OFF;
        t->fire(t->opaque);
    }
    atomic_store(&p->virtual_frozen, until);
}
