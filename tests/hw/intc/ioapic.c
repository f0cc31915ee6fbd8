/* I/O APIC and message routing: edge, level with remote IRR and EOI, masks, destinations. */
#include "hw/intc/ioapic.h"

#include <criterion/criterion.h>

#include "hw/intc/lapic.h"
#include "tests/hw/hw_util.h"

static struct test_machine t;
static struct ioapic *io;
static struct apic_bus bus;
static struct lapic *l[4];
static struct region mmio;

static void setup(void)
{
    GError *err = NULL;
    test_machine_make(&t);
    io = (struct ioapic *)test_device(&t, &ioapic_class);
    bus = (struct apic_bus){ .cpus = l, .ioapics = { io }, .n_ioapics = 1 };
    io->bus = &bus;
    for (bus.n_cpus = 0; bus.n_cpus < 4; bus.n_cpus++) {
        l[bus.n_cpus] = lapic_new(t.m, test_cpu(&t, bus.n_cpus), bus.n_cpus, &bus, &err);
        cr_assert(l[bus.n_cpus]);
    }
    region_init_io(&mmio, "lapic", &lapic_mmio_ops, &bus, 0x1000);
    region_add(&t.m->memory_root, &mmio, X86_APIC_DEFAULT_BASE, 2);
    devices_reset(t.m);
    for (unsigned i = 0; i < 4; i++) {
        lapic_virtual_wire(l[i]);
        l[i]->ldr = 1u << (24 + i);
    }
}

static void teardown(void) { test_machine_free(&t); }

static void rte(unsigned n, uint64_t v)
{
    st32(&t, IOAPIC_DEFAULT_BASE, 0x10 + 2 * n);
    st32(&t, IOAPIC_DEFAULT_BASE + 0x10, v);
    st32(&t, IOAPIC_DEFAULT_BASE, 0x11 + 2 * n);
    st32(&t, IOAPIC_DEFAULT_BASE + 0x10, v >> 32);
}

static int take(unsigned cpu)
{
    struct x86_lapic *x = &l[cpu]->x86;
    return x->ops->has_irq(x) ? x->ops->ack(x) : -1;
}

/* EOI through the MMIO page is that of vCPU 0 in a test; others by MSR. */
static void eoi(unsigned cpu)
{
    cr_assert_eq(cpu, 0);
    st32(&t, X86_APIC_DEFAULT_BASE + 0xb0, 0);
}

TestSuite(ioapic, .init = setup, .fini = teardown);

Test(ioapic, registers)
{
    st32(&t, IOAPIC_DEFAULT_BASE, 1);
    cr_expect_eq(ld32(&t, IOAPIC_DEFAULT_BASE + 0x10), 0x170020);
    st32(&t, IOAPIC_DEFAULT_BASE, 0);
    st32(&t, IOAPIC_DEFAULT_BASE + 0x10, 0xffffffff);
    cr_expect_eq(ld32(&t, IOAPIC_DEFAULT_BASE + 0x10), 0x0f000000);
    rte(5, ~0ull);
    st32(&t, IOAPIC_DEFAULT_BASE, 0x1a);
    cr_expect_eq(ld32(&t, IOAPIC_DEFAULT_BASE + 0x10), 0x0001afff, "status and remote IRR cannot be written");
}

Test(ioapic, edge_to_a_physical_destination)
{
    rte(4, 2ull << 56 | 0x44);
    ioapic_pin(io, 4, 1);
    ioapic_pin(io, 4, 1);
    cr_expect(test_requests(l[2]->x86.cpu) & CPU_REQ_IRQ);
    cr_expect_eq(take(2), 0x44);
    cr_expect_eq(take(2), -1);
    cr_expect_eq(take(0), -1);
}

Test(ioapic, level_waits_for_eoi)
{
    rte(10, 0ull << 56 | 0x8000 | 0x5a);
    ioapic_pin(io, 10, 1);
    cr_expect_eq(take(0), 0x5a);
    cr_expect(io->rte[10] & 0x4000);
    ioapic_pin(io, 10, 0);
    ioapic_pin(io, 10, 1);
    cr_expect_eq(take(0), -1, "in service");
    eoi(0);
    cr_expect_eq(take(0), 0x5a, "still up at EOI");
    ioapic_pin(io, 10, 0);
    eoi(0);
    cr_expect_eq(take(0), -1);
    cr_expect_not(io->rte[10] & 0x4000);
}

Test(ioapic, masked_level_is_sent_when_unmasked)
{
    rte(11, 0x10000 | 0x8000 | 0x5b);
    ioapic_pin(io, 11, 1);
    cr_expect_eq(take(0), -1);
    rte(11, 0x8000 | 0x5b);
    cr_expect_eq(take(0), 0x5b);
}

Test(ioapic, logical_flat_and_lowest_priority)
{
    rte(3, 0x0cull << 56 | 0x800 | 0x43);                 /* logical 1100b */
    ioapic_pin(io, 3, 1);
    cr_expect(take(2) == 0x43 && take(3) == 0x43 && take(0) == -1 && take(1) == -1);
    l[1]->tpr = 0xf0;
    rte(6, 0x06ull << 56 | 0x900 | 0x66);                 /* logical 0110b, lowest priority */
    for (unsigned i = 0; i < 3; i++) {
        ioapic_pin(io, 6, 1);
        ioapic_pin(io, 6, 0);
        cr_expect_eq(take(1), -1);
        cr_expect_eq(take(2), i ? -1 : 0x66, "still in service after the first, but pending");
    }
}

Test(ioapic, nmi_init_and_msi)
{
    rte(7, 1ull << 56 | 0x400);
    ioapic_pin(io, 7, 1);
    cr_expect_eq(test_requests(l[1]->x86.cpu), CPU_REQ_NMI);
    apic_bus_msi(&bus, 0xfee03000, 0x4071);
    cr_expect_eq(take(3), 0x71);
    apic_bus_msi(&bus, 0xfee0f004, 0x0082);
    cr_expect(take(0) == 0x82 && take(1) == 0x82 && take(2) == 0x82 && take(3) == 0x82);
}
