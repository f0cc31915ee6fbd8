/*
 * Clocks and timers.
 *
 * CLOCK_VIRTUAL is guest time in ns: it stops while the machine is stopped, and every counter that a guest can see
 * (TSC, LAPIC timer, PIT, HPET, RTC periodic, PM timer) is derived from it. CLOCK_HOST is the host's wall clock (RTC date);
 * CLOCK_REALTIME never stops (displays, monitors).
 *
 * A timer is embedded in its device. Timers of all clocks sit in one heap each, served by the main loop with the
 * machine lock held. timer_set() may be called from any thread that holds the machine lock; the main loop is woken
 * when the new deadline is earlier than what it sleeps for.
 */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum clock_id { CLOCK_VIRTUAL_NS, CLOCK_HOST_NS, CLOCK_REALTIME_NS, CLOCK_COUNT };

#define NS_PER_S 1000000000ull

struct machine;

/* ns of the clock. Lock-free, any thread. */
uint64_t clock_now(struct machine *m, enum clock_id id);
/* Machine stops and goes on: virtual time freezes between. Machine lock. */
void clock_stop(struct machine *m);
void clock_start(struct machine *m);

/* Moves virtual time of a stopped machine forward by hand, firing what is due in order: for tests and for counted time. Machine lock. */
void clock_step(struct machine *m, uint64_t ns);

struct timer {
    struct machine *machine;
    enum clock_id clock;
    void (*fire)(void *opaque);   /* machine lock held, main loop thread */
    void *opaque;
    uint64_t deadline;            /* ns of `clock`; TIMER_OFF when not armed */
    unsigned heap_index;          /* clock.c */
};

#define TIMER_OFF UINT64_MAX

void timer_init(struct timer *t, struct machine *m, enum clock_id clock, void (*fire)(void *), void *opaque);
void timer_set(struct timer *t, uint64_t deadline);   /* a deadline in the past fires at once, from the main loop */
void timer_cancel(struct timer *t);
static inline bool timer_armed(const struct timer *t) { return t->deadline != TIMER_OFF; }

/* Host ns until the next deadline of any running clock, or -1; and serving what is due. For the main loop. */
int64_t timers_next(struct machine *m);
void timers_run(struct machine *m);

/* value * to / from without overflow, for counters: 128-bit inside. */
static inline uint64_t muldiv64(uint64_t value, uint64_t to, uint64_t from)
{
    return (uint64_t)((unsigned __int128)value * to / from);
}

#endif
