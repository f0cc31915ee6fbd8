/*
 * Nonsense for every device: random port, register-page and MSR accesses of every size, aligned or not, for ever. Not a test that
 * checks itself: tests/check.d/nonsense ends it and looks at how the emulator took it. Resets and power-offs that the
 * nonsense amounts to are right; the guest then starts again with other numbers.
 */
#include "tests/guests/rt.h"

static uint64_t state;

static uint64_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static const struct { uint16_t first, n; } ports[] = {
    { 0x00, 0x100 }, { 0x20, 2 }, { 0x40, 4 }, { 0x61, 1 }, { 0x60, 5 }, { 0x70, 2 }, { 0xa0, 2 }, { 0x92, 1 }, { 0x3f8, 8 }, { 0x2f8, 8 }, { 0x4d0, 2 },
    { 0x510, 12 }, { 0x600, 0x40 }, { 0xb000, 0x40 }, { 0xcf8, 8 }, { 0xcf8, 8 }, { 0xcfc, 4 }, { 0xafe0, 4 }, { 0x402, 1 },
};
static const uint64_t places[] = {
    0xfee00000, 0xfee00000, 0xfec00000, 0xfed00000, 0xa0000, 0xb8000, 0xc0000, 0xe0000, 0xf0000, 0xfffff000, 0xe0000000, 0xb0000000, 0xfebff000,
};

/* What would only end the run again and again is left to one time in 500. */
static bool ends(uint16_t p, unsigned size)
{
    for (unsigned i = 0; i < size; i++, p++) {
        if (p == 0xcf9 || p == 0x64 || p == 0x92 || p == 0x501 || p == 0x502 || p == 0xb2 || p == 0x604 || p == 0x605 || p == 0x514 || p == 0x518 ||
            (p >= 0xb004 && p <= 0xb005)) {
            return true;
        }
    }
    return false;
}

static void one_port(void)
{
    unsigned i = rnd() % (sizeof ports / sizeof *ports + 2), size = 1u << rnd() % 3;
    uint16_t p = i < sizeof ports / sizeof *ports ? ports[i].first + rnd() % ports[i].n : rnd();
    uint32_t v = rnd() & 1 ? rnd() : rnd() & 0xff;

    /* Configuration addresses that lead somewhere: device and function small, enable bit set. */
    if (p == 0xcf8 && size == 4 && rnd() % 4) {
        v = 0x80000000u | (v & 0x1ffff);
    }
    if (ends(p, size) && rnd() % 500) {
        return;
    }
    switch (rnd() % 6) {
    case 0: __asm__ volatile("outb %b0, %1" :: "a"(v), "d"(p)); break;
    case 1: __asm__ volatile("outw %w0, %1" :: "a"(v), "d"(p)); break;
    case 2: __asm__ volatile("outl %0, %1" :: "a"(v), "d"(p)); break;
    case 3: __asm__ volatile("inb %1, %b0" : "=a"(v) : "d"(p)); break;
    case 4: __asm__ volatile("inw %1, %w0" : "=a"(v) : "d"(p)); break;
    case 5: __asm__ volatile("inl %1, %0" : "=a"(v) : "d"(p)); break;
    }
}

static void one_place(void)
{
    uint64_t at = places[rnd() % (sizeof places / sizeof *places)];

    at += rnd() & 1 ? rnd() & 0xff0 : rnd() & 0xfff;
    if (rnd() % 16 == 0) {
        at = 0x40000000 + rnd() % 0xb0000000;
    }
    if ((at & ~0xfffull) == 0xfee00000 && (at & 0xfff) >= 0x2f8 && (at & 0xfff) < 0x304 && rnd() % 50) {
        return;                                  /* interrupts to everybody, INIT among them */
    }
    volatile void *p = (void *)at;
    switch (rnd() % 9) {
    case 0: *(volatile uint8_t *)p = rnd(); break;
    case 1: *(volatile uint16_t *)p = rnd(); break;
    case 2: *(volatile uint32_t *)p = rnd(); break;
    case 3: *(volatile uint64_t *)p = rnd(); break;
    case 4: (void)*(volatile uint8_t *)p; break;
    case 5: (void)*(volatile uint16_t *)p; break;
    case 6: (void)*(volatile uint32_t *)p; break;
    case 7: (void)*(volatile uint64_t *)p; break;
    case 8: __asm__ volatile("lock addl %0, (%1)" :: "r"((uint32_t)rnd()), "r"(p) : "memory"); break;
    }
}

SNIP(n_rdmsr, "rdmsr")
SNIP(n_wrmsr, "wrmsr")

static void one_msr(void)
{
    static const uint32_t base[] = { 0x10, 0x1b, 0x800, 0x830, 0x200, 0x250, 0x277, 0x2ff, 0x3a, 0x6e0, 0x1a0, 0xd90, 0x400, 0xc0010000 };
    struct ctx c = kernel(rnd() % 3 ? n_rdmsr : n_wrmsr);

    c.rcx = base[rnd() % (sizeof base / sizeof *base)] + (rnd() & 1 ? rnd() % 16 : 0);
    c.rax = (uint32_t)rnd();
    c.rdx = rnd() & 1 ? 0 : (uint32_t)rnd();
    if (c.rcx == 0x1b) {
        c.rdx = 0, c.rax = 0xfee00000 | (c.rax & 0xd00);
    }
    run(&c);
}

static void t_nonsense(void)
{
    state = (rdtsc() ^ (uint64_t)option("seed", 1) * 0x9e3779b97f4a7c15ull) | 1;
    for (;;) {
        for (unsigned i = 0; i < 64; i++) {
            if (rnd() & 1) {
                one_port();
            } else {
                one_place();
            }
        }
        one_msr();
    }
}

const struct test tests[] = { { "nonsense", t_nonsense }, { 0 } };
