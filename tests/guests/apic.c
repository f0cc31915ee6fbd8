/*
 * The local APIC beyond what smp.c does: IA32_APIC_BASE and its transitions, every x2APIC MSR's rights, the timer's modes and the
 * changes between them, TSC deadline, illegal vectors, start-up by INIT and SIPI. SDM vol. 3 chapter 11, 9.4.
 */
#include "tests/guests/rt.h"

SNIP(x_spin, "1: jmp 1b")
enum { ON = 0x800, X2 = 0x400 };
static bool has_x2(void) { uint32_t r[4]; cpuid(1, 0, r); return r[2] >> 21 & 1; }

static void t_base(void)
{
    uint64_t base = rdmsr(0x1b);
    uint32_t r[4];
    apic_on();
    cpuid(0x80000008, 0, r);
    CHECK_EQ(base & ~0xd00ull, APIC);
    CHECK_EQ(base & 0x100, 0x100);                           /* BSP */
    CHECK_EQ(TRY_MSR_WRITE(0x1b, base | 1ull << (r[0] & 0xff)), V_GP);
    CHECK_EQ(TRY_MSR_WRITE(0x1b, base | 1), V_GP);
    CHECK_EQ(TRY_MSR_WRITE(0x1b, base | 1 << 9), V_GP);
    /* the page moves */
    volatile uint32_t *alt = (uint32_t *)0xfd000000;
    uint32_t version = apic_read(0x30);
    wrmsr(0x1b, (base & 0xfff) | ON | (uintptr_t)alt);
    CHECK_EQ(alt[0x30 / 4], version);
    CHECK(apic_read(0x30) != version);
    wrmsr(0x1b, base | ON);
    CHECK_EQ(apic_read(0x30), version);
    cpuid(1, 0, r);
    CHECK(r[3] & 1 << 9);
    wrmsr(0x1b, base & ~(uint64_t)ON);                       /* off: CPUID says so */
    cpuid(1, 0, r);
    CHECK(!(r[3] & 1 << 9));
    if (has_x2()) {
        CHECK_EQ(TRY_MSR_WRITE(0x1b, (base & ~(uint64_t)ON) | X2), V_GP);            /* x2 without enable */
        CHECK_EQ(TRY_MSR_WRITE(0x1b, base | ON | X2), V_GP);                         /* from disabled */
        CHECK_EQ(TRY_MSR_WRITE(0x1b, base | ON), 0);
        CHECK_EQ(TRY_MSR_WRITE(0x1b, base | ON | X2), 0);
        CHECK_EQ(TRY_MSR_WRITE(0x1b, base | ON), V_GP);                              /* back to xAPIC */
        CHECK_EQ(TRY_MSR_WRITE(0x1b, base & ~(uint64_t)ON), 0);
    }
    wrmsr(0x1b, base | ON);
    apic_on();
}
static void t_x2_msrs(void)
{
    static const struct { uint16_t first, last; bool read, write; } row[] = {
        { 0x802, 0x803, 1, 0 }, { 0x808, 0x808, 1, 1 }, { 0x80a, 0x80a, 1, 0 }, { 0x80b, 0x80b, 0, 1 }, { 0x80d, 0x80d, 1, 0 }, { 0x80f, 0x80f, 1, 1 },
        { 0x810, 0x827, 1, 0 }, { 0x828, 0x828, 1, 1 }, { 0x830, 0x830, 1, 1 }, { 0x832, 0x838, 1, 1 }, { 0x839, 0x839, 1, 0 }, { 0x83e, 0x83e, 1, 1 }, { 0x83f, 0x83f, 0, 1 },
    };
    uint64_t base = rdmsr(0x1b);
    CHECK_EQ(TRY_MSR_READ(0x802), V_GP);                     /* not in xAPIC mode */
    CHECK_EQ(TRY_MSR_WRITE(0x808, 0), V_GP);
    if (!has_x2()) {
        skip("no x2APIC");
        return;
    }
    uint32_t id = apic_read(0x20) >> 24;
    wrmsr(0x1b, base | ON | X2);
    for (uint32_t msr = 0x800; msr < 0x900; msr++) {
        bool rd = false, wr = false;
        for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
            if (msr >= row[i].first && msr <= row[i].last) {
                rd = row[i].read, wr = row[i].write;
            }
        }
        if ((TRY_MSR_READ(msr) == 0) != rd) {
            fail("rdmsr %x: %s", msr, rd ? "#GP" : "no #GP");
        }
        if (msr != 0x830 && msr != 0x83f && msr != 0x80f && (TRY_MSR_WRITE(msr, msr >= 0x832 && msr <= 0x837 ? 0x10000 : 0) == 0) != wr) {
            fail("wrmsr %x: %s", msr, wr ? "#GP" : "no #GP");
        }
    }
    CHECK_EQ(rdmsr(0x802), id);
    CHECK_EQ(rdmsr(0x80d), (id >> 4) << 16 | 1u << (id & 15));
    CHECK_EQ(TRY_MSR_WRITE(0x80b, 1), V_GP);                 /* EOI: 0 only */
    CHECK_EQ(TRY_MSR_WRITE(0x828, 1), V_GP);
    CHECK_EQ(TRY_MSR_WRITE(0x808, 0x100), V_GP);
    CHECK_EQ(TRY_MSR_WRITE(0x808, 1ull << 32), V_GP);
    CHECK_EQ(TRY_MSR_WRITE(0x832, 1 << 20), V_GP);
    CHECK_EQ(TRY_MSR_WRITE(0x83f, 0x100), V_GP);
    CHECK_EQ(TRY_MSR_WRITE(0x830, 1 << 20), V_GP);
    wrmsr(0x83f, 0xa7);                                      /* self-IPI */
    struct ctx c = kernel(x_spin);
    c.flags |= F_IF;
    run(&c);
    TRAP(&c, 0xa7, 0, 0);
    CHECK_EQ(rdmsr(0x815) >> 7 & 1, 1);                      /* in service: ISR bit a7 */
    wrmsr(0x80b, 0);
    CHECK_EQ(rdmsr(0x815) >> 7 & 1, 0);
    wrmsr(0x1b, base & ~(uint64_t)(ON | X2));
    wrmsr(0x1b, base | ON);
    apic_on();
}
/* --- the timer: what a change of mode does to a count (SDM vol. 3, 11.5.4) --- */
#define COUNT 800000000u                          /* long against what a busy host takes from us */
static void mode(uint32_t m) { apic_write(0x320, 0x10000 | m << 17 | 0xa0); }
static bool waited(uint64_t since) { return rdtsc() - since > 20000000000; }
static void until_below(uint32_t v) { for (uint64_t t = rdtsc(); apic_read(0x390) >= v && !waited(t);) pause(); }
static void t_timer_modes(void)
{
    apic_on();
    apic_write(0x3e0, 0xb);
    mode(0);
    apic_write(0x380, COUNT);
    CHECK_EQ(apic_read(0x380), COUNT);
    CHECK(apic_read(0x390) > 0);
    until_below(1);
    CHECK_EQ(apic_read(0x390), 0);
    mode(1);                                                 /* at 0 it stays */
    CHECK_EQ(apic_read(0x390), 0);
    CHECK_EQ(apic_read(0x380), COUNT);
    apic_write(0x380, COUNT);                                /* periodic starts again by itself */
    until_below(COUNT / 2);
    uint32_t half = apic_read(0x390);
    CHECK(half <= COUNT / 2);
    for (uint64_t t = rdtsc(); apic_read(0x390) <= COUNT / 2 && !waited(t);) {
        pause();
    }
    CHECK(apic_read(0x390) > COUNT / 2);
    until_below(COUNT / 2);
    mode(0);                                                 /* to one-shot: the count goes on, and ends */
    CHECK(apic_read(0x390) <= COUNT / 2);
    until_below(1);
    CHECK_EQ(apic_read(0x390), 0);
    apic_write(0x380, 0);
    CHECK_EQ(apic_read(0x390), 0);
}
static void t_deadline(void)
{
    uint32_t r[4];
    cpuid(1, 0, r);
    if (!(r[2] & 1 << 24)) {
        CHECK_EQ(TRY_MSR_READ(0x6e0), V_GP);
        skip("no TSC deadline");
        return;
    }
    wrmsr(0x6e0, 12345);                                     /* not in this mode: ignored, reads 0 */
    CHECK_EQ(rdmsr(0x6e0), 0);
    apic_write(0x320, 2u << 17 | 0xa1);
    CHECK_EQ(rdmsr(0x6e0), 0);
    uint64_t at = rdtsc() + 20000000;
    wrmsr(0x6e0, at);
    CHECK_EQ(rdmsr(0x6e0), at);
    apic_write(0x380, 1000);                                 /* the count register is dead here */
    CHECK_EQ(apic_read(0x390), 0);
    struct ctx c = kernel(x_spin);
    c.flags |= F_IF;
    run(&c);
    TRAP(&c, 0xa1, 0, 0);
    CHECK(rdtsc() >= at);
    CHECK_EQ(rdmsr(0x6e0), 0);
    eoi();
    wrmsr(0x6e0, 1);                                         /* long past: at once */
    c = kernel(x_spin);
    c.flags |= F_IF;
    run(&c);
    TRAP(&c, 0xa1, 0, 0);
    eoi();
    wrmsr(0x6e0, rdtsc() + 1000000000000);
    wrmsr(0x6e0, 0);                                         /* disarmed */
    CHECK_EQ(rdmsr(0x6e0), 0);
    wrmsr(0x6e0, rdtsc() + 1000000000000);
    apic_write(0x320, 0x10000);                              /* leaving the mode disarms, too */
    apic_write(0x320, 0x10000 | 2u << 17);
    CHECK_EQ(rdmsr(0x6e0), 0);
    apic_write(0x320, 0x10000);
}
static void t_errors(void)
{
    apic_on();
    apic_write(0x280, 0);
    apic_write(0x280, 0);
    CHECK_EQ(apic_read(0x280), 0);
    apic_write(0x300, 0x40000 | 5);                          /* illegal vector to self */
    apic_write(0x280, 0);
    CHECK(apic_read(0x280) & 0x60);
    apic_write(0x280, 0);
    CHECK_EQ(apic_read(0x280), 0);
    apic_write(0x80, 0x60);                                  /* TPR and PPR */
    CHECK_EQ(apic_read(0xa0), 0x60);
    ipi(0, 0x40000 | 0x5a);                                  /* below the TPR: waits in IRR */
    CHECK(apic_read(0x220) >> (0x5a & 31) & 1);
    apic_write(0x80, 0);
    struct ctx c = kernel(x_spin);
    c.flags |= F_IF;
    run(&c);
    TRAP(&c, 0x5a, 0, 0);
    CHECK_EQ(apic_read(0xa0) & 0xf0, 0x50);
    eoi();
    CHECK_EQ(apic_read(0xa0), 0);
}
/* --- x87 errors with CR0.NE clear: IRQ 13, port F0h --- */
SNIP(n_err, "fninit\n movw $0x37b, -8(%rsp)\n fldcw -8(%rsp)\n fld1\n fldz\n fdivrp\n nop\n fld1\n fstp %st(0)\n inc %eax") SNIP(n_wait, "inc %eax")
static unsigned irq13;
static word irq13_ip;
static bool on_irq13(struct ctx *f)
{
    uint16_t sw;
    irq13++;
    irq13_ip = f->ip;
    outb(0xf0, 0);
    __asm__ volatile("fnstsw %0\n fnclex" : "=a"(sw));
    CHECK_EQ(sw & 0x84, 0x84);                               /* divide by zero, summary */
    outb(0xa0, 0x20);
    outb(0x20, 0x20);
    return true;
}
static void t_ferr(void)
{
    static const uint8_t icw[][2] = { { 0x20, 0x11 }, { 0x21, 0xc0 }, { 0x21, 4 }, { 0x21, 1 }, { 0xa0, 0x11 }, { 0xa1, 0xc8 }, { 0xa1, 2 }, { 0xa1, 1 }, { 0x21, 0xfb }, { 0xa1, 0xdf } };
    for (unsigned i = 0; i < sizeof icw / sizeof *icw; i++) {
        outb(icw[i][0], icw[i][1]);
    }
    apic_on();
    apic_write(0x350, 0x700);                                /* LINT0: ExtINT */
    set_cr0(cr0() & ~(word)0x20);
    irq13 = 0;
    handler[0xcd] = on_irq13;
    for (unsigned i = 1; i <= 3; i++) {
        struct ctx c = kernel(n_err);
        c.flags |= F_IF;
        run(&c);
        TRAP(&c, V_END, 0, 0);
        CHECK_EQ(c.rax, 1);
        CHECK_EQ(irq13, i);
        CHECK(irq13_ip > (word)n_err + 12 && irq13_ip <= (word)n_err + 22);
    }
    handler[0xcd] = NULL;
    set_cr0(cr0() | 0x20);
    struct ctx c = kernel(n_err);                            /* NE: #MF */
    run(&c);
    TRAP(&c, V_MF, 0, 0);
    __asm__ volatile("fninit");
    apic_write(0x350, 0x10700);
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}
/* --- INIT and SIPI --- */
static void nothing(unsigned cpu) { (void)cpu; }
static void t_startup(void)
{
    if (smp_cpus() < 2) {
        skip("one CPU");
        return;
    }
    if (!smp_start(nothing) || !smp_wait(5000)) {
        return;
    }
    /* 16-bit code at 9000: counts, notes where it is, halts */
    static const uint8_t code[] = { 0xfa, 0x8c, 0xc8, 0x8e, 0xd8, 0xf0, 0xff, 0x06, 0x80, 0, 0xa3, 0x84, 0, 0x66, 0x89, 0x16, 0x88, 0, 0xf4, 0xeb, 0xfd };
    volatile uint32_t *at = (uint32_t *)(AP_PAGE + 0x80);
    memcpy((void *)AP_PAGE, code, sizeof code);
    memcpy((void *)0xa000, code, sizeof code);
    at[0] = at[1] = 0;
    *(volatile uint32_t *)0xa080 = 0;
    ipi(cpu_apic[1], 0x4600 | AP_PAGE >> 12);                /* running: SIPI is ignored */
    delay_us(20000);
    CHECK_EQ(at[0], 0);
    ipi(cpu_apic[1], 0x4500);                                /* INIT: waits, with interrupts and NMIs ignored */
    delay_us(20000);
    CHECK_EQ(at[0], 0);
    ipi(cpu_apic[1], 0x4600 | AP_PAGE >> 12);
    CHECK(wait_for(at, 1, 1000));
    CHECK_EQ(at[1] & 0xffff, AP_PAGE >> 4);                  /* CS = vector << 8 */
    ipi(cpu_apic[1], 0x4600 | 0xa);                          /* the second one counts no more */
    delay_us(20000);
    CHECK_EQ(*(volatile uint32_t *)0xa080, 0);
    CHECK_EQ(at[0], 1);
    for (unsigned i = 0; i < 20; i++) {                      /* again and again, wherever it is */
        ipi(cpu_apic[1], 0x4500);
        ipi(cpu_apic[1], 0x4600 | 0xa);
        if (!wait_for((uint32_t *)0xa080, i + 1, 1000)) {
            fail("start %u: %u", i, *(volatile uint32_t *)0xa080);
            return;
        }
    }
}
const struct test tests[] = {
    { "base", t_base }, { "x2apic-msrs", t_x2_msrs }, { "timer-modes", t_timer_modes }, { "deadline", t_deadline }, { "errors", t_errors }, { "ferr", t_ferr }, { "startup", t_startup }, { 0, 0 },
};
