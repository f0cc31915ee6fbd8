/* Timers: order, cancelling, many of them; muldiv64. */
#include "core/clock.h"

#include <criterion/criterion.h>
#include <time.h>

#include "core/machine.h"

enum { N = 500 };

static struct { struct timer t; uint64_t want; bool fired; } row[N];
static uint64_t last;
static unsigned fired;

static void fire(void *opaque)
{
    unsigned i = (unsigned)(uintptr_t)opaque;

    cr_assert_not(row[i].fired);
    cr_assert(row[i].want >= last, "out of order");
    last = row[i].want;
    row[i].fired = true;
    fired++;
}

Test(clock, timers_fire_in_order_and_cancelled_ones_do_not)
{
    struct machine *m = machine_new();
    GRand *rand = g_rand_new_with_seed(3);
    unsigned cancelled = 0;

    machine_lock(m);
    for (unsigned i = 0; i < N; i++) {
        timer_init(&row[i].t, m, CLOCK_VIRTUAL_NS, fire, (void *)(uintptr_t)i);
        timer_set(&row[i].t, 1000000000ull + (uint64_t)g_rand_int_range(rand, 0, 1000));
    }
    for (unsigned i = 0; i < N; i++) {
        row[i].want = (uint64_t)g_rand_int_range(rand, 0, 1000000);
        timer_set(&row[i].t, row[i].want);
        if (i % 7 == 3) {
            timer_cancel(&row[i].t);
            timer_cancel(&row[i].t);
            cancelled++;
        }
    }
    cr_expect_eq(timers_next(m), -1, "virtual time stands");
    timers_run(m);
    cr_expect_eq(fired, 0);
    clock_start(m);
    cr_expect(timers_next(m) >= 0 && timers_next(m) <= 1000000);
    while (timers_next(m) >= 0) {
        timers_run(m);
    }
    cr_expect_eq(fired, N - cancelled);
    for (unsigned i = 0; i < N; i++) {
        cr_expect_eq(row[i].fired, i % 7 != 3);
    }
    g_rand_free(rand);
    machine_unlock(m);
    machine_free(m);
}

Test(clock, host_and_realtime_do_not_stop)
{
    struct machine *m = machine_new();
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    cr_expect(clock_now(m, CLOCK_HOST_NS) / NS_PER_S - (uint64_t)ts.tv_sec <= 1);
    cr_expect(clock_now(m, CLOCK_REALTIME_NS) > 0);
    cr_expect_eq(clock_now(m, CLOCK_VIRTUAL_NS), clock_now(m, CLOCK_VIRTUAL_NS));
    machine_free(m);
}

Test(clock, muldiv64_does_not_overflow)
{
    cr_expect_eq(muldiv64(UINT64_MAX, 1000, 1000), UINT64_MAX);
    cr_expect_eq(muldiv64(3579545ull * 1000000, NS_PER_S, 3579545), NS_PER_S * 1000000);
}
