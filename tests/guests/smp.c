/* Several CPUs: atomics, TLB shoot-down, IPIs, NMI, HLT, x2APIC; timers and interrupt controllers of the board. */
#include "tests/guests/rt.h"

static volatile uint32_t irqs[256], nmi_cpus, stop;
static bool count_irq(struct ctx *f)
{
    irqs[f->vec]++;
    eoi();
    return true;
}
static bool count_nmi(struct ctx *f)
{
    (void)f;
    __atomic_add_fetch(&nmi_cpus, 1, __ATOMIC_SEQ_CST);
    return true;
}
static bool wait_irq(unsigned vec, unsigned n, unsigned ms)
{
    for (unsigned i = 0; irqs[vec] < n && i < ms; i++) {
        sti();
        delay_us(1000);
        cli();
    }
    return irqs[vec] >= n;
}

/* --- local APIC --- */
static void t_timer(void)
{
    apic_on();
    handler[0x40] = count_irq;
    irqs[0x40] = 0;
    apic_write(0x3e0, 3);
    apic_write(0x320, 0x40);
    apic_write(0x380, 100000);
    CHECK(apic_read(0x390) <= 100000);
    CHECK(wait_irq(0x40, 1, 2000));
    delay_us(5000);
    CHECK_EQ(apic_read(0x390), 0);
    sti(), delay_us(5000), cli();
    CHECK_EQ(irqs[0x40], 1);                     /* one shot */
    irqs[0x40] = 0;
    apic_write(0x320, 0x20040);
    apic_write(0x380, 500000);
    CHECK(wait_irq(0x40, 5, 5000));
    apic_write(0x320, 0x10000 | 0x40);           /* masked */
    irq_window();
    uint32_t n = irqs[0x40];
    sti(), delay_us(20000), cli();
    CHECK_EQ(irqs[0x40], n);
    apic_write(0x380, 0);
    uint32_t r[4];
    cpuid(1, 0, r);
    if (r[2] & 1 << 24) {                        /* TSC deadline */
        irqs[0x40] = 0;
        apic_write(0x320, 0x40040);
        __asm__ volatile("mfence");
        wrmsr(0x6e0, rdtsc() + 10000000);
        CHECK(rdmsr(0x6e0) != 0);
        for (unsigned i = 0; !irqs[0x40] && i < 1000; i++) {
            sti_hlt_cli();
        }
        CHECK_EQ(irqs[0x40], 1);
        CHECK_EQ(rdmsr(0x6e0), 0);
        wrmsr(0x6e0, 1);                         /* in the past: at once */
        CHECK(wait_irq(0x40, 2, 100));
    }
    apic_write(0x320, 0x10000);
}
static void t_self(void)
{
    apic_on();
    handler[0x41] = handler[0x51] = count_irq;
    irqs[0x41] = irqs[0x51] = 0;
    ipi(0, 0x40041);
    CHECK_EQ(irqs[0x41], 0);
    CHECK_EQ(apic_read(0x220), 2);               /* IRR bit 65 */
    irq_window();
    CHECK_EQ(irqs[0x41], 1);
    apic_write(0x80, 0x50);                      /* TPR holds 0x4x and 0x5x back */
    ipi(0, 0x40041);
    ipi(0, 0x40051);
    irq_window();
    CHECK_EQ(irqs[0x41] + irqs[0x51], 1);
    __asm__ volatile("mov %0, %%cr8" :: "r"(4ul));
    CHECK_EQ(apic_read(0x80), 0x40);
    irq_window();
    CHECK_EQ(irqs[0x51], 1);
    CHECK_EQ(irqs[0x41], 1);
    __asm__ volatile("mov %0, %%cr8" :: "r"(0ul));
    irq_window();
    CHECK_EQ(irqs[0x41], 2);
}
static void t_nmi(void)
{
    handler[V_NMI] = count_nmi;
    nmi_cpus = 0;

    nmi_cpus = 0;
    ipi(apic_read(0x20) >> 24, 0x4400);
    for (unsigned i = 0; !nmi_cpus && i < 100; i++) {
        delay_us(100);
    }
    CHECK_EQ(nmi_cpus, 1);
    handler[V_NMI] = NULL;
}

/* --- PIT through 8259 and through the IOAPIC --- */
static bool pic_irq(struct ctx *f)
{
    irqs[f->vec]++;
    outb(0x20, 0x20);
    return true;
}
static void pit_rate(unsigned hz)
{
    unsigned d = 1193182 / hz;
    outb(0x43, 0x34);
    outb(0x40, d), outb(0x40, d >> 8);
}
static void t_pic(void)
{
    outb(0x20, 0x11), outb(0x21, 0x60), outb(0x21, 4), outb(0x21, 1);
    outb(0xa0, 0x11), outb(0xa1, 0x68), outb(0xa1, 2), outb(0xa1, 1);
    outb(0x21, 0xfe), outb(0xa1, 0xff);
    handler[0x60] = pic_irq;
    irqs[0x60] = 0;
    apic_write(0x350, 0x700);                    /* LINT0: ExtINT */
    pit_rate(1000);
    for (unsigned i = 0; irqs[0x60] < 10 && i < 1000; i++) {
        sti_hlt_cli();
    }
    CHECK(irqs[0x60] >= 10);
    outb(0x21, 0xff);
    irq_window();
    uint32_t n = irqs[0x60];
    sti(), delay_us(10000), cli();
    CHECK_EQ(irqs[0x60], n);
    apic_write(0x350, 0x10700);
}
#define IOAPIC ((volatile uint32_t *)0xfec00000)
static void ioapic_write(unsigned reg, uint32_t v) { IOAPIC[0] = reg, IOAPIC[4] = v; }
static uint32_t ioapic_read(unsigned reg) { IOAPIC[0] = reg; return IOAPIC[4]; }
static void t_ioapic(void)
{
    apic_on();
    CHECK_EQ(ioapic_read(1) >> 16 & 0xff, 23);
    handler[0x62] = count_irq;
    irqs[0x62] = 0;
    ioapic_write(0x10 + 2 * 2 + 1, apic_read(0x20));
    ioapic_write(0x10 + 2 * 2, 0x62);            /* PIT is on pin 2 */
    pit_rate(1000);
    CHECK(wait_irq(0x62, 10, 1000));
    ioapic_write(0x10 + 2 * 2, 0x10062);
    irq_window();
    uint32_t n = irqs[0x62];
    sti(), delay_us(10000), cli();
    CHECK_EQ(irqs[0x62], n);
}
static void t_x2apic(void)
{
    uint32_t r[4];
    cpuid(1, 0, r);
    if (!(r[2] & 1 << 21)) {
        skip("no x2APIC");
        return;
    }
    apic_on();
    wrmsr(0x1b, rdmsr(0x1b) | 0x400);
    CHECK_EQ(rdmsr(0x802), 0);
    wrmsr(0x80f, 0x1ff);
    handler[0x42] = NULL;
    SNIP(x2_wait, "sti\n nop\n nop\n cli")
    wrmsr(0x83f, 0x42);                          /* self IPI */
    struct ctx c = kernel(x2_wait);
    run(&c);
    TRAP(&c, 0x42, 0, x2_wait + 2);
    wrmsr(0x80b, 0);
    CHECK_EQ(TRY_MSR_WRITE(0x80b, 1), V_GP);
    CHECK_EQ(TRY_MSR_WRITE(0x802, 1), V_GP);
    CHECK_EQ(TRY_MSR_READ(0x80e), V_GP);         /* DFR is not there */
    CHECK_EQ(TRY_MSR_WRITE(0x1b, rdmsr(0x1b) & ~0x400ull), V_GP);        /* x2 to xAPIC directly */
    wrmsr(0x1b, rdmsr(0x1b) & ~0xc00ull);
    apic_on();
}

/* --- CPUs --- */
enum { TURNS = 50000 };
static struct {
    volatile uint64_t lock_inc, xadd, cx, bts[64], cx16[2] __attribute__((aligned(16)));
    volatile uint8_t split[128];
} shared __attribute__((aligned(64)));
static void atomics(unsigned cpu)
{
    for (unsigned i = 0; i < TURNS; i++) {
        __asm__ volatile("lock incq %0" : "+m"(shared.lock_inc));
        uint64_t one = 1;
        __asm__ volatile("lock xadd %0, %1" : "+r"(one), "+m"(shared.xadd));
        uint64_t old = shared.cx, was;
        do {
            was = old;
            __asm__ volatile("lock cmpxchg %2, %1" : "+a"(old), "+m"(shared.cx) : "r"(was + 3));
        } while (old != was);
        uint64_t lo = 0, hi = 0;
        uint8_t ok;
        do {
            __asm__ volatile("lock cmpxchg16b %1\n sete %0" : "=q"(ok), "+m"(shared.cx16), "+a"(lo), "+d"(hi) : "b"(lo + 1), "c"(hi + 2));
        } while (!ok);
        if (i % 64 == 0) {                       /* over a cache line, and over two pages below */
            __asm__ volatile("lock incl %0" : "+m"(*(uint32_t *)(shared.split + 62)));
            __asm__ volatile("lock incl %0" : "+m"(*(uint32_t *)((uint8_t *)page + 4094)));
        }
    }
    (void)cpu;
}
static void t_atomics(void)
{
    if (smp_cpus() < 2) {
        skip("one CPU");
        return;
    }
    *(uint32_t *)((uint8_t *)page + 4094) = 0;
    if (!smp_start(atomics)) {
        return;
    }
    atomics(0);
    if (!smp_wait(30000)) {
        return;
    }
    uint64_t n = (uint64_t)TURNS * smp_cpus(), few = (uint64_t)(TURNS + 63) / 64 * smp_cpus();
    CHECK_EQ(shared.lock_inc, n);
    CHECK_EQ(shared.xadd, n);
    CHECK_EQ(shared.cx, 3 * n);
    CHECK_EQ(shared.cx16[0], n);
    CHECK_EQ(shared.cx16[1], 2 * n);
    CHECK_EQ(*(uint32_t *)(shared.split + 62), few);
    CHECK_EQ(*(uint32_t *)((uint8_t *)page + 4094), few);
}
/* Store buffering: with mfence between store and load both sides cannot read the old value. */
static volatile uint32_t sb_x[16], sb_y[16], sb_a, sb_b, sb_go, sb_done;
static void sb_other(unsigned cpu)
{
    if (cpu != 1) {
        return;
    }
    for (uint32_t i = 1; i <= 20000; i++) {
        while (sb_go != i) {
        }
        sb_y[0] = i;
        __asm__ volatile("mfence" ::: "memory");
        sb_b = sb_x[0];
        __asm__ volatile("" ::: "memory");
        sb_done = i;
    }
}
static void t_ordering(void)
{
    if (smp_cpus() < 2) {
        skip("one CPU");
        return;
    }
    if (!smp_start(sb_other)) {
        return;
    }
    for (uint32_t i = 1; i <= 20000; i++) {
        sb_go = i;
        sb_x[0] = i;
        __asm__ volatile("lock orl $0, (%%rsp)" ::: "memory", "cc");
        sb_a = sb_y[0];
        while (sb_done != i) {
        }
        if (sb_a != i && sb_b != i) {
            fail("turn %u: both read the old value", i);
        }
    }
    smp_wait(1000);
}
/* Shoot-down: CPU 0 takes a page away, asks by IPI, and after the acknowledgement nobody may still write to the old frame. */
static volatile uint32_t acks, shoot_run, wrong;
static bool on_shoot(struct ctx *f)
{
    (void)f;
    invlpg((void *)TBASE);
    eoi();
    __atomic_add_fetch(&acks, 1, __ATOMIC_SEQ_CST);
    return true;
}
static void shoot_victim(unsigned cpu)
{
    sti();
    while (shoot_run) {
        for (unsigned i = 0; i < 100; i++) {
            *(volatile uint32_t *)(TBASE + cpu * 64) += 1;
        }
    }
    cli();
}
static void t_shootdown(void)
{
    if (smp_cpus() < 2) {
        skip("one CPU");
        return;
    }
    handler[0x70] = on_shoot;
    test_page(0, page[2], PTE_P | PTE_W);
    shoot_run = 1;
    if (!smp_start(shoot_victim)) {
        return;
    }
    for (unsigned turn = 0; turn < 300; turn++) {
        unsigned now = 2 + turn % 2, next = 2 + (turn + 1) % 2;
        acks = 0;
        tpt[0] = (uintptr_t)page[next] | PTE_P | PTE_W;
        invlpg((void *)TBASE);
        ipi(0, 0xc4070);                         /* all but self */
        uint64_t t = rdtsc();
        while (acks != smp_cpus() - 1) {
            if (rdtsc() - t > 30000000000) {
                fail("turn %u: %u acknowledgements", turn, acks);
                shoot_run = 0;
                return;
            }
            pause();
        }
        uint8_t copy[512];
        memcpy(copy, page[now], 512);
        for (unsigned i = 0; i < 200; i++) {
            pause();
        }
        if (memcmp(copy, page[now], 512)) {
            wrong++;
        }
    }
    shoot_run = 0;
    smp_wait(5000);
    CHECK_EQ(wrong, 0);
}
/*
 * Accessed and dirty bits are set atomically: the others count in the entry's ignored bits (52-58) while CPU 0 clears A and D and makes
 * the walker set them again. No count may be lost, and no bit may stay away.
 */
#define AD_TURNS 3000
static void ad_counter(unsigned cpu)
{
    for (unsigned i = 0; i < AD_TURNS; i++) {
        __atomic_fetch_add(&tpt[8], 1ull << 52, __ATOMIC_SEQ_CST);
        if (cpu & 1) {
            *(volatile uint8_t *)(TBASE + 8 * 4096 + 8) = i;
            invlpg((void *)(TBASE + 8 * 4096));
        }
    }
}
static void t_ad_race(void)
{
    if (smp_cpus() < 2) {
        skip("one CPU");
        return;
    }
    volatile uint8_t *p = test_page(8, page[3], PTE_P | PTE_W);
    unsigned lost = 0;
    if (!smp_start(ad_counter)) {
        return;
    }
    for (unsigned i = 0; i < AD_TURNS; i++) {
        __atomic_fetch_and(&tpt[8], ~(uint64_t)(PTE_A | PTE_D), __ATOMIC_SEQ_CST);
        invlpg((void *)p);
        *p = i;
        lost += (tpt[8] & (PTE_A | PTE_D)) != (PTE_A | PTE_D);
    }
    smp_wait(20000);
    CHECK_EQ(tpt[8] >> 52 & 0x7ff, (uint64_t)AD_TURNS * (smp_cpus() - 1) & 0x7ff);
    CHECK_EQ(lost, 0);
}
/* IPIs to one CPU that sleeps, NMI to one that spins with interrupts off. */
static volatile uint32_t slept, spins;
static void sleeper(unsigned cpu)
{
    if (cpu != 1) {
        return;
    }
    while (irqs[0x71] < 100) {
        sti_hlt_cli();
        slept++;
    }
    while (!stop) {
        spins++;
    }
}
static void t_ipi(void)
{
    if (smp_cpus() < 2) {
        skip("one CPU");
        return;
    }
    handler[0x71] = count_irq;
    handler[V_NMI] = count_nmi;
    stop = irqs[0x71] = 0;
    if (!smp_start(sleeper)) {
        return;
    }
    for (unsigned i = 1; i <= 100; i++) {
        ipi(cpu_apic[1], 0x4071);
        if (!wait_for(&irqs[0x71], i, 2000)) {
            fail("IPI %u did not arrive", i);
            return;
        }
    }
    delay_us(2000);
    nmi_cpus = 0;
    ipi(cpu_apic[1], 0x4400);
    CHECK(wait_for(&nmi_cpus, 1, 1000));
    stop = 1;
    smp_wait(1000);
    handler[V_NMI] = NULL;
}
static void tsc_other(unsigned cpu) { (void)cpu; shared.bts[cpu] = rdtsc(); }
static void t_tsc(void)
{
    uint64_t last = rdtsc();
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t t = rdtsc();
        CHECK(t > last || t == last);
        last = t;
    }
    if (smp_cpus() < 2 || !smp_start(tsc_other)) {
        return;
    }
    smp_wait(1000);
    uint64_t now = rdtsc();
    for (unsigned i = 1; i < smp_cpus(); i++) {
        CHECK(shared.bts[i] >= last);
        CHECK(shared.bts[i] <= now);
    }
}
const struct test tests[] = {
    { "apic-timer", t_timer }, { "self-ipi", t_self }, { "nmi", t_nmi }, { "pic", t_pic }, { "ioapic", t_ioapic },
    { "atomics", t_atomics }, { "ordering", t_ordering }, { "shootdown", t_shootdown }, { "ad-race", t_ad_race }, { "ipi", t_ipi }, { "tsc", t_tsc }, { "x2apic", t_x2apic }, { 0, 0 },
};
