/*
 * The vCPU loop with an engine of the test's own: running, halting, stopping, work, exclusive sections, requests, timers.
 */
#include "core/machine.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

#include "core/accel.h"

enum { CPUS = 4 };

struct test_cpu {
    struct cpu cpu;
    _Atomic bool kick, irq;
    _Atomic uint64_t steps, services, irqs, resets;
    enum { SPIN, HALT, EXCLUSIVE } mode;
    uint64_t sleep_us;
};

static _Atomic int inside;         /* vCPUs in "guest code" */
static uint64_t shared;            /* plain: only touched in exclusive sections */
static _Atomic bool broken;

static bool test_init(struct cpu *c, GError **err)
{
    (void)c;
    (void)err;
    return true;
}

static void test_reset(struct cpu *c)
{
    struct test_cpu *t = (struct test_cpu *)c;

    atomic_fetch_add(&t->resets, 1);
}

static void test_service(struct cpu *c)
{
    struct test_cpu *t = (struct test_cpu *)c;

    atomic_fetch_add(&t->services, 1);
    if (atomic_fetch_and(&c->request, ~(uint32_t)CPU_REQ_IRQ) & CPU_REQ_IRQ) {
        atomic_fetch_add(&t->irqs, 1);
    }
}

static bool test_wakes(struct cpu *c)
{
    return atomic_load(&c->request) & CPU_REQ_IRQ;
}

static const struct cpu_ops test_ops = {
    .isa = "test", .size = sizeof(struct test_cpu), .init = test_init, .reset = test_reset, .service = test_service,
    .wakes = test_wakes,
};

static enum cpu_exit test_run(struct cpu *c)
{
    struct test_cpu *t = (struct test_cpu *)c;

    if (t->mode == HALT) {
        return CPU_EXIT_HALT;
    }
    if (t->mode == EXCLUSIVE) {
        cpu_exclusive_begin(c->machine);
        if (atomic_load(&inside)) {
            atomic_store(&broken, true);
        }
        shared++;
        cpu_exclusive_end(c->machine);
        atomic_fetch_add(&t->steps, 1);
        return CPU_EXIT_AGAIN;
    }
    atomic_fetch_add(&inside, 1);
    while (!atomic_exchange(&t->kick, false)) {
        atomic_fetch_add(&t->steps, 1);
    }
    atomic_fetch_sub(&inside, 1);
    return CPU_EXIT_AGAIN;
}

static void test_kick(struct cpu *c)
{
    atomic_store(&((struct test_cpu *)c)->kick, true);
}

static const struct accel_ops test_accel = { .name = "test", .run = test_run, .kick = test_kick };

static unsigned n_cpus;

static bool test_build(struct machine *m, GError **err)
{
    for (unsigned i = 0; i < n_cpus; i++) {
        if (!cpu_new(m, &test_ops, i, "test", err)) {
            return false;
        }
    }
    return true;
}

static const struct board test_board = { .name = "test", .isa = "test", .build = test_build };

static struct machine *make(unsigned cpus)
{
    struct machine *m = machine_new();
    GError *err = NULL;

    n_cpus = cpus;
    m->spec.board = &test_board;
    m->accel = &test_accel;
    cr_assert(machine_build(m, &err), "%s", err ? err->message : "");
    return m;
}

static struct test_cpu *cpu(struct machine *m, unsigned n)
{
    return (struct test_cpu *)m->cpus[n];
}

static void until(bool (*cond)(struct machine *), struct machine *m)
{
    for (unsigned i = 0; i < 5000 && !cond(m); i++) {
        g_usleep(1000);
    }
    cr_assert(cond(m), "waited 5 seconds for nothing");
}

static bool all_ran(struct machine *m)
{
    for (unsigned i = 0; i < m->n_cpus; i++) {
        if (atomic_load(&cpu(m, i)->steps) == 0) {
            return false;
        }
    }
    return true;
}

static bool all_halted(struct machine *m)
{
    for (unsigned i = 0; i < m->n_cpus; i++) {
        if (!atomic_load(&m->cpus[i]->sleeping)) {
            return false;
        }
    }
    return true;
}

static void start(struct machine *m)
{
    machine_lock(m);
    machine_start(m);
    machine_unlock(m);
}

Test(machine, parked_until_started_and_after_stop, .timeout = 20)
{
    struct machine *m = make(CPUS);
    uint64_t steps, virtual;

    g_usleep(2000);
    cr_expect_eq(atomic_load(&cpu(m, 0)->steps), 0);
    start(m);
    until(all_ran, m);
    machine_lock(m);
    machine_stop(m, RUN_PAUSED);
    cr_expect_eq(atomic_load(&inside), 0);
    steps = atomic_load(&cpu(m, 1)->steps);
    virtual = clock_now(m, CLOCK_VIRTUAL_NS);
    machine_unlock(m);
    g_usleep(2000);
    cr_expect_eq(atomic_load(&cpu(m, 1)->steps), steps);
    cr_expect_eq(clock_now(m, CLOCK_VIRTUAL_NS), virtual, "guest time stands while the machine is stopped");
    for (unsigned i = 0; i < 200; i++) {
        machine_lock(m);
        machine_start(m);
        machine_unlock(m);
        machine_lock(m);
        machine_stop(m, RUN_PAUSED);
        cr_assert_eq(atomic_load(&inside), 0);
        machine_unlock(m);
    }
    cr_expect(clock_now(m, CLOCK_VIRTUAL_NS) > virtual);
    machine_free(m);
}

Test(machine, halted_cpus_sleep_and_irqs_wake_them, .timeout = 20)
{
    struct machine *m = make(2);
    struct timespec before, after;

    cpu(m, 0)->mode = cpu(m, 1)->mode = HALT;
    start(m);
    until(all_halted, m);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    g_usleep(100000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    cr_expect((after.tv_sec - before.tv_sec) * 1000000000l + after.tv_nsec - before.tv_nsec < 20000000, "idle costs CPU time");
    for (unsigned i = 1; i <= 2000; i++) {
        cpu_request(m->cpus[i & 1], CPU_REQ_IRQ);
        while (atomic_load(&cpu(m, 0)->irqs) + atomic_load(&cpu(m, 1)->irqs) < i) {
            g_thread_yield();
        }
    }
    cr_expect_eq(atomic_load(&cpu(m, 0)->irqs), 1000);
    machine_free(m);
}

static void add_one(struct cpu *c, void *opaque)
{
    cr_assert(machine_locked(c->machine));
    cr_assert_eq(cpu_current(), c);
    ++*(int *)opaque;
}

Test(machine, work_runs_on_the_vcpus_thread, .timeout = 20)
{
    struct machine *m = make(2);
    int count = 0;

    cpu(m, 1)->mode = HALT;
    machine_lock(m);
    cpu_run_on(m->cpus[0], add_one, &count, false);
    cr_expect_eq(count, 1, "also while the machine is stopped");
    machine_unlock(m);
    start(m);
    for (unsigned i = 0; i < 500; i++) {
        machine_lock(m);
        cpu_run_on(m->cpus[i & 1], add_one, &count, false);
        machine_unlock(m);
    }
    cr_expect_eq(count, 501);
    machine_lock(m);
    for (unsigned i = 0; i < 10; i++) {
        cpu_run_on(m->cpus[0], add_one, &count, true);
    }
    cpu_run_on(m->cpus[0], add_one, &count, false);
    cr_expect_eq(count, 512, "in order");
    machine_unlock(m);
    machine_free(m);
}

Test(machine, exclusive_sections_exclude, .timeout = 30)
{
    struct machine *m = make(CPUS);
    uint64_t done = 0, mine = 0;

    cpu(m, 1)->mode = cpu(m, 2)->mode = EXCLUSIVE;
    cpu(m, 3)->mode = HALT;
    start(m);
    for (unsigned i = 0; i < 300; i++) {
        cpu_exclusive_begin(m);
        cr_assert_eq(atomic_load(&inside), 0);
        shared++;
        mine++;
        cpu_exclusive_end(m);
        g_usleep(20);                          /* the others want it too */
        if (i % 16 == 0) {
            machine_lock(m);
            machine_stop(m, RUN_PAUSED);       /* while others want to be exclusive */
            machine_start(m);
            machine_unlock(m);
        }
        if (i % 16 == 8) {
            machine_lock(m);
            cpu_exclusive_begin(m);
            cpu_exclusive_end(m);
            cr_assert(machine_locked(m), "who had the lock keeps it");
            machine_unlock(m);
        }
    }
    machine_lock(m);
    machine_stop(m, RUN_PAUSED);
    for (unsigned i = 1; i <= 2; i++) {
        done += atomic_load(&cpu(m, i)->steps);
    }
    cr_expect_eq(shared, done + mine);
    cr_expect(done > 0);
    cr_expect_not(atomic_load(&broken));
    machine_unlock(m);
    machine_free(m);
}

struct script {
    struct machine *m;
    struct timer timer;
    unsigned fired;
    uint64_t late_max;
    unsigned resets, powers;
};

static void script_timer(void *opaque)
{
    struct script *s = opaque;
    uint64_t now = clock_now(s->m, CLOCK_VIRTUAL_NS);

    cr_assert(machine_locked(s->m));
    cr_assert(now >= s->timer.deadline || !timer_armed(&s->timer));
    if (++s->fired < 50) {
        timer_set(&s->timer, now + 200000);
        cpu_request(s->m->cpus[0], CPU_REQ_IRQ);
    } else if (s->fired == 50) {
        machine_request_powerdown(s->m);
        machine_request_reset(s->m, SHUTDOWN_GUEST_RESET);
        timer_set(&s->timer, now + 1000000);
    } else {
        machine_request_exit(s->m, 7);
    }
}

static void on_power(void *opaque, unsigned n, int level)
{
    (void)n;
    ((struct script *)opaque)->powers += (unsigned)level;
}

static void on_reset(void *opaque)
{
    ((struct script *)opaque)->resets++;
}

Test(machine, main_loop_serves_timers_and_requests, .timeout = 20)
{
    struct machine *m = make(1);
    struct script s = { .m = m };

    cpu(m, 0)->mode = HALT;
    m->power_button = (struct irq_line){ on_power, &s, 0 };
    machine_lock(m);
    machine_on_reset(m, on_reset, &s);
    timer_init(&s.timer, m, CLOCK_VIRTUAL_NS, script_timer, &s);
    timer_set(&s.timer, 100000);
    machine_start(m);
    machine_unlock(m);
    cr_expect_eq(machine_run(m), 7);
    cr_expect_eq(s.fired, 51);
    cr_expect_eq(s.resets, 1);
    cr_expect_eq(s.powers, 1);
    /* Doorbells that come while the first is on its way are one. */
    cr_expect(atomic_load(&cpu(m, 0)->irqs) >= 1 && atomic_load(&cpu(m, 0)->irqs) <= 49);
    cr_expect_eq(atomic_load(&cpu(m, 0)->resets), 2);
    machine_free(m);
}

Test(machine, no_reboot_ends_and_no_shutdown_pauses, .timeout = 20)
{
    struct machine *m = make(1);

    m->no_reboot = true;
    start(m);
    machine_request_reset(m, SHUTDOWN_GUEST_RESET);
    cr_expect_eq(machine_run(m), 0);
    machine_free(m);
}

static gboolean end_soon(gpointer opaque)
{
    struct machine *m = opaque;

    cr_expect_eq(m->state, RUN_SHUTDOWN);
    machine_request_shutdown(m, SHUTDOWN_HOST_QUIT);
    return G_SOURCE_REMOVE;
}

Test(machine, no_shutdown_pauses, .timeout = 20)
{
    struct machine *m = make(2);

    m->no_shutdown = true;
    start(m);
    machine_request_shutdown(m, SHUTDOWN_GUEST);
    g_timeout_add(20, end_soon, m);
    cr_expect_eq(machine_run(m), 0);
    machine_free(m);
}
