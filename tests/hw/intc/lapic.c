/* Local APIC: priorities, timer modes, x2APIC rules, IPIs, ExtINT. */
#include "hw/intc/lapic.h"

#include <criterion/criterion.h>

#include "tests/hw/hw_util.h"

#define BASE X86_APIC_DEFAULT_BASE
static struct test_machine t;
static struct apic_bus bus;
static struct lapic *l[3];
static struct region mmio;
static int acks;

static int pic_ack(void *o) { (void)o; return 0x30 + acks++; }

static void setup(void)
{
    GError *err = NULL;
    test_machine_make(&t);
    bus = (struct apic_bus){ .cpus = l };
    for (bus.n_cpus = 0; bus.n_cpus < 3; bus.n_cpus++) {
        l[bus.n_cpus] = lapic_new(t.m, test_cpu(&t, bus.n_cpus), bus.n_cpus, &bus, &err);
        cr_assert(l[bus.n_cpus]);
        l[bus.n_cpus]->extint_source.ack = pic_ack;
    }
    region_init_io(&mmio, "lapic", &lapic_mmio_ops, &bus, 0x1000);
    region_add(&t.m->memory_root, &mmio, BASE, 2);
    devices_reset(t.m);
    st32(&t, BASE + 0xf0, 0x1ff);
}

static void teardown(void) { test_machine_free(&t); }

static int take(unsigned cpu)
{
    struct x86_lapic *x = &l[cpu]->x86;
    return x->ops->has_irq(x) ? x->ops->ack(x) : -1;
}

static bool wr(unsigned cpu, uint32_t msr, uint64_t v) { return l[cpu]->x86.ops->msr_write(&l[cpu]->x86, msr, v); }

static uint64_t rd(unsigned cpu, uint32_t msr)
{
    uint64_t v = 0;
    return l[cpu]->x86.ops->msr_read(&l[cpu]->x86, msr, &v) ? v : 0xdead;
}

TestSuite(lapic, .init = setup, .fini = teardown);

Test(lapic, reset_values)
{
    cr_expect_eq(rd(0, 0x1b), 0xfee00900);
    cr_expect_eq(rd(1, 0x1b), 0xfee00800);
    cr_expect_eq(ld32(&t, BASE + 0x30), 0x00050014);
    cr_expect_eq(ld32(&t, BASE + 0xe0), 0xffffffff);
    cr_expect_eq(ld32(&t, BASE + 0x320), 0x10000);
    cr_expect_eq(l[1]->svr, 0xff);
}

Test(lapic, priorities)
{
    st32(&t, BASE + 0x300, 0x40000 | 0x41);              /* self IPI */
    st32(&t, BASE + 0x300, 0x40000 | 0x61);
    cr_expect_eq(take(0), 0x61);
    cr_expect_eq(take(0), -1, "0x41 is below what is in service");
    cr_expect_eq(ld32(&t, BASE + 0xa0), 0x60);
    st32(&t, BASE + 0x80, 0x50);
    st32(&t, BASE + 0xb0, 0);
    cr_expect_eq(take(0), -1, "TPR holds it");
    test_requests(l[0]->x86.cpu);
    l[0]->x86.ops->set_cr8(&l[0]->x86, 3);
    cr_expect(test_requests(l[0]->x86.cpu) & CPU_REQ_IRQ, "the doorbell rings when TPR falls");
    cr_expect_eq(take(0), 0x41);
    cr_expect_eq(l[0]->x86.ops->get_cr8(&l[0]->x86), 3);
}

Test(lapic, illegal_vectors_go_to_esr)
{
    st32(&t, BASE + 0x370, 0xfe);
    st32(&t, BASE + 0x300, 0x40000 | 0x05);
    cr_expect_eq(take(0), 0xfe, "error interrupt");
    st32(&t, BASE + 0x280, 0);
    cr_expect_eq(ld32(&t, BASE + 0x280), 0x20);
}

Test(lapic, one_shot_timer)
{
    st32(&t, BASE + 0x3e0, 0x3);                         /* divide by 16 */
    st32(&t, BASE + 0x320, 0xec);
    st32(&t, BASE + 0x380, 1000);
    clock_step(t.m, 8000);
    cr_expect_eq(ld32(&t, BASE + 0x390), 500);
    clock_step(t.m, 7999);
    cr_expect_eq(take(0), -1);
    clock_step(t.m, 1);
    cr_expect_eq(take(0), 0xec);
    cr_expect_eq(ld32(&t, BASE + 0x390), 0);
    st32(&t, BASE + 0xb0, 0);
    clock_step(t.m, 1000000);
    cr_expect_eq(take(0), -1);
}

Test(lapic, periodic_timer_and_mask)
{
    st32(&t, BASE + 0x3e0, 0xb);                         /* divide by 1 */
    st32(&t, BASE + 0x320, 0x200ec);
    st32(&t, BASE + 0x380, 50000);
    for (unsigned i = 0; i < 5; i++) {
        clock_step(t.m, 50000);
        cr_expect_eq(take(0), 0xec);
        st32(&t, BASE + 0xb0, 0);
    }
    st32(&t, BASE + 0x320, 0x300ec);
    clock_step(t.m, 200000);
    cr_expect_eq(take(0), -1, "masked");
    st32(&t, BASE + 0x380, 0);
    cr_expect_eq(ld32(&t, BASE + 0x390), 0);
}

Test(lapic, periodic_timer_of_one_tick_does_not_hang)
{
    st32(&t, BASE + 0x3e0, 0xb);
    st32(&t, BASE + 0x320, 0x200ec);
    st32(&t, BASE + 0x380, 1);
    clock_step(t.m, 100000000);
    cr_expect_eq(take(0), 0xec);
}

Test(lapic, tsc_deadline)
{
    cr_expect(wr(0, 0x6e0, 5000));
    cr_expect_eq(rd(0, 0x6e0), 0, "ignored outside the mode");
    st32(&t, BASE + 0x320, 0x400ec);
    atomic_store(&l[0]->x86.tsc_offset, 1000000);
    wr(0, 0x6e0, 1000000 + 70000);
    cr_expect_eq(rd(0, 0x6e0), 1070000);
    clock_step(t.m, 69999);
    cr_expect_eq(take(0), -1);
    clock_step(t.m, 1);
    cr_expect_eq(take(0), 0xec);
    cr_expect_eq(rd(0, 0x6e0), 0);
    st32(&t, BASE + 0xb0, 0);
    wr(0, 0x6e0, 1);
    clock_step(t.m, 0);
    cr_expect_eq(take(0), 0xec, "a deadline in the past fires at once");
    wr(0, 0x6e0, UINT64_MAX);
    clock_step(t.m, 1000000);
}

Test(lapic, x2apic_mode_changes)
{
    cr_expect_not(wr(0, 0x808, 0x10), "not in xAPIC mode");
    cr_expect_not(wr(0, 0x1b, 0xfee00400), "x2 without enable");
    cr_expect(wr(0, 0x1b, 0xfee00d00));
    cr_expect_not(wr(0, 0x1b, 0xfee00900), "not back to xAPIC");
    cr_expect_eq(ld32(&t, BASE + 0x30), 0xffffffff, "MMIO is off");
    cr_expect_eq(rd(0, 0x803), 0x00050014);
    cr_expect_eq(rd(0, 0x80d), 1);
    cr_expect_eq(rd(0, 0x80b), 0xdead, "EOI is write-only");
    cr_expect_not(wr(0, 0x80b, 1));
    cr_expect_not(wr(0, 0x802, 0), "ID is read-only");
    cr_expect_not(wr(0, 0x80e, 0), "no DFR");
    cr_expect_not(wr(0, 0x808, 0x100));
    cr_expect_not(wr(0, 0x1b, 1ull << 60));
    cr_expect(wr(0, 0x83f, 0x77));
    cr_expect_eq(take(0), 0x77);
    cr_expect(wr(0, 0x80b, 0));
    cr_expect(wr(0, 0x1b, 0xfee00100), "off");
    cr_expect_not(wr(0, 0x1b, 0xfee00d00), "off to x2");
    cr_expect(wr(0, 0x1b, 0xfee00900));
}

Test(lapic, ipis)
{
    for (unsigned i = 1; i < 3; i++) {
        wr(i, 0x1b, 0xfee00c00);
        wr(i, 0x80f, 0x1ff);
    }
    st32(&t, BASE + 0x310, 2u << 24);
    st32(&t, BASE + 0x300, 0x4500);
    cr_expect_eq(test_requests(l[2]->x86.cpu), CPU_REQ_INIT);
    st32(&t, BASE + 0x300, 0x8500);
    cr_expect_eq(test_requests(l[2]->x86.cpu), 0, "level de-assert");
    st32(&t, BASE + 0x300, 0x4699);
    cr_expect_eq(test_requests(l[2]->x86.cpu), CPU_REQ_SIPI);
    cr_expect_eq(atomic_load(&l[2]->x86.sipi_vector), 0x99);
    st32(&t, BASE + 0x300, 0xc0000 | 0x33);              /* all but self */
    cr_expect(take(0) == -1 && take(1) == 0x33 && take(2) == 0x33);
    st32(&t, BASE + 0x300, 0x80000 | 0x400);             /* NMI to all */
    for (unsigned i = 0; i < 3; i++) {
        cr_expect(test_requests(l[i]->x86.cpu) & CPU_REQ_NMI);
    }
    wr(1, 0x830, 0x6ull << 32 | 0x800 | 0x55);           /* logical: cluster 0, CPUs 1 and 2 */
    cr_expect(take(1) == 0x55 && take(2) == 0x55 && take(0) == -1);
    wr(1, 0x830, 0xffffffffull << 32 | 0x66);
    cr_expect(take(0) == 0x66 && take(1) == 0x66 && take(2) == 0x66);
    cr_expect_not(wr(1, 0x830, 1ull << 31));
}

Test(lapic, init_keeps_mode_and_id)
{
    wr(1, 0x1b, 0xfee00c00);
    wr(1, 0x808, 0x20);
    wr(1, 0x83f, 0x66);
    l[1]->x86.ops->init(&l[1]->x86);
    cr_expect_eq(rd(1, 0x808), 0);
    cr_expect_eq(rd(1, 0x802), 1);
    cr_expect_eq(rd(1, 0x80f), 0xff);
    cr_expect_eq(take(1), -1);
}

Test(lapic, extint_by_lint0)
{
    lapic_lint(l[0], 0, 1);
    cr_expect_eq(take(0), -1, "masked");
    st32(&t, BASE + 0x350, 0x700);
    cr_expect(test_requests(l[0]->x86.cpu) & CPU_REQ_IRQ);
    cr_expect_eq(take(0), 0x30);
    cr_expect_eq(take(0), 0x31, "as long as the 8259 asks");
    lapic_lint(l[0], 0, 0);
    cr_expect_eq(take(0), -1);
    cr_expect_eq(ld32(&t, BASE + 0x110), 0, "ExtINT does not touch ISR");
    wr(0, 0x1b, 0xfee00100);                             /* disabled: LINT0 is INTR, LINT1 NMI */
    lapic_lint(l[0], 0, 1);
    cr_expect_eq(take(0), 0x32);
    lapic_lint(l[0], 1, 1);
    cr_expect(test_requests(l[0]->x86.cpu) & CPU_REQ_NMI);
}

Test(lapic, software_disable_masks_the_lvt)
{
    st32(&t, BASE + 0x320, 0xec);
    st32(&t, BASE + 0xf0, 0xff);
    cr_expect_eq(ld32(&t, BASE + 0x320), 0x100ec);
    st32(&t, BASE + 0x320, 0xec);
    cr_expect_eq(ld32(&t, BASE + 0x320), 0x100ec);
    st32(&t, BASE + 0x300, 0x40000 | 0x41);
    cr_expect_eq(take(0), -1);
}

/* The time has come and the main loop has not made the event yet: what the guest writes to the timer just then does not lose it. */
static void late(unsigned count)
{
    st32(&t, BASE + 0x3e0, 0xb);
    st32(&t, BASE + 0x320, 0xec);
    st32(&t, BASE + 0x380, count);
    l[0]->count_start -= 5000;
    timer_set(&l[0]->timer, l[0]->count_start + count);
}
Test(lapic, late_event_outlives_a_write_to_the_timer)
{
    static const struct { const char *what; uint32_t reg, value; } writes[] = {
        { "periodic", 0x320, 0x200ed }, { "deadline", 0x320, 0x400ed }, { "mask", 0x320, 0x100ec }, { "vector", 0x320, 0xed },
        { "new count", 0x380, 1000000 }, { "stop", 0x380, 0 }, { "divisor", 0x3e0, 0 },
    };

    clock_step(t.m, 10000);
    for (unsigned i = 0; i < sizeof writes / sizeof *writes; i++) {
        late(1000);
        st32(&t, BASE + writes[i].reg, writes[i].value);
        cr_expect_eq(take(0), 0xec, "%s", writes[i].what);
        st32(&t, BASE + 0xb0, 0);
        cr_expect_eq(take(0), -1, "%s: once", writes[i].what);
    }
    st32(&t, BASE + 0x320, 0x400ec);
    wr(0, 0x6e0, clock_now(t.m, CLOCK_VIRTUAL_NS) + 100);
    timer_set(&l[0]->timer, clock_now(t.m, CLOCK_VIRTUAL_NS));
    l[0]->deadline -= 100;
    wr(0, 0x6e0, 0);
    cr_expect_eq(take(0), 0xec, "a deadline that has come");
    st32(&t, BASE + 0xb0, 0);
    clock_step(t.m, 1000000);
    cr_expect_eq(take(0), -1);
}

/* The count is down to 0 and the event has not been made when the host's timer is armed (the thread was held up), or armed again. */
Test(lapic, one_shot_that_is_late_is_not_lost)
{
    clock_step(t.m, 10000);
    st32(&t, BASE + 0x3e0, 0xb);
    st32(&t, BASE + 0x320, 0xec);
    st32(&t, BASE + 0x380, 1000);
    l[0]->count_start -= 5000;
    lapic_class.settle(&l[0]->dev);
    clock_step(t.m, 1);
    cr_expect_eq(take(0), 0xec);
    st32(&t, BASE + 0xb0, 0);
    lapic_class.settle(&l[0]->dev);
    clock_step(t.m, 100000);
    cr_expect_eq(take(0), -1, "and comes once");
}
