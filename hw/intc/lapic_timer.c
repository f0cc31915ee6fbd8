/*
 * The local APIC's timer: one-shot, periodic, TSC deadline. Nothing counts: the count follows from the virtual clock.
 * Spec: Intel SDM vol. 3, 11.5.4.
 */
#include "core/machine.h"
#include "hw/intc/lapic_priv.h"

/* A guest that programs a period of a few ns must not keep the main loop from its other work. */
#define MIN_PERIOD_NS 20000u

unsigned lapic_timer_mode(const struct lapic *l) { return l->lvt[LVT_TIMER] >> 17 & 3; }

static unsigned divisor(const struct lapic *l)
{
    unsigned code = (l->divide & 3) | (l->divide >> 1 & 4);
    return code == 7 ? 1 : 2u << code;
}

uint64_t lapic_timer_ns(const struct lapic *l, uint64_t ticks)
{
    return muldiv64(ticks * divisor(l), NS_PER_S, X86_APIC_BUS_HZ);
}

uint32_t lapic_timer_count(struct lapic *l)
{
    if (!l->initial_count || l->expired || lapic_timer_mode(l) == TIMER_DEADLINE) {
        return 0;      /* an expired count stays 0 whatever the mode becomes; a new initial count starts it */
    }
    uint64_t ns = clock_now(l->dev.machine, CLOCK_VIRTUAL_NS) - l->count_start;
    uint64_t ticks = muldiv64(ns, X86_APIC_BUS_HZ, NS_PER_S) / divisor(l);
    if (lapic_timer_mode(l) == TIMER_PERIODIC) {
        return l->initial_count - ticks % l->initial_count;
    }
    return ticks >= l->initial_count ? 0 : l->initial_count - ticks;
}

void lapic_timer_settle(struct lapic *l)
{
    uint64_t now = clock_now(l->dev.machine, CLOCK_VIRTUAL_NS);
    if (lapic_timer_mode(l) == TIMER_DEADLINE) {
        if (!l->deadline) {
            timer_cancel(&l->timer);
            return;
        }
        int64_t offset = atomic_load(&l->x86.tsc_offset);
        uint64_t hz = atomic_load(&l->x86.tsc_hz), tsc = x86_tsc_of_ns(now, hz) + (uint64_t)offset;
        uint64_t at = l->deadline <= tsc ? now : now + x86_ns_of_tsc(l->deadline - tsc, hz);
        timer_set(&l->timer, at < now ? TIMER_OFF - 1 : at);
        return;
    }
    uint64_t length = lapic_timer_ns(l, l->initial_count), past = now - l->count_start;
    if (!l->initial_count || l->expired) {
        timer_cancel(&l->timer);
    } else if (lapic_timer_mode(l) == TIMER_ONE_SHOT) {
        timer_set(&l->timer, l->count_start + length);      /* also when it is past: the event has not been made yet */
    } else {
        if (length < MIN_PERIOD_NS) {
            length = MIN_PERIOD_NS;
        }
        timer_set(&l->timer, l->count_start + (past / length + 1) * length);
    }
}

void lapic_timer_fire(void *opaque)
{
    struct lapic *l = opaque;
    lapic_local_event(l, LVT_TIMER);
    if (lapic_timer_mode(l) == TIMER_DEADLINE) {
        l->deadline = 0;
    } else if (lapic_timer_mode(l) == TIMER_PERIODIC) {
        uint64_t length = MAX(lapic_timer_ns(l, l->initial_count), 1u);

        /* The period that is being counted began here: what counts if the guest goes over to one-shot. */
        l->count_start += (clock_now(l->dev.machine, CLOCK_VIRTUAL_NS) - l->count_start) / length * length;
        lapic_timer_settle(l);
    } else {
        l->expired = true;
    }
}

/* The main loop may be late. What is due has happened before the guest writes to the timer, as the registers stood until then. */
void lapic_timer_catch_up(struct lapic *l)
{
    if (timer_armed(&l->timer) && l->timer.deadline <= clock_now(l->dev.machine, CLOCK_VIRTUAL_NS)) {
        timer_cancel(&l->timer);
        lapic_timer_fire(l);
    }
}

void lapic_timer_tsc_changed(struct x86_lapic *x)
{
    struct lapic *l = lapic_of(x);
    bool taken = lapic_lock(l);
    if (l->deadline) {
        lapic_timer_settle(l);
    }
    lapic_unlock(l, taken);
}
