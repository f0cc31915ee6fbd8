/* Places where no code should be: jumps into devices, holes and ROM must not end the emulator, only the guest's try. */
#include "tests/guests/rt.h"

/* Runs at an address until any trap; a timer ends what would run on. */
static unsigned jump(uint64_t at)
{
    apic_on();
    apic_write(0x3e0, 3);
    apic_write(0x320, 0xa1);
    apic_write(0x380, 5000000);
    struct ctx c = kernel((void *)at);
    c.flags |= F_IF;
    c.rax = (word)page[5];                       /* zeros are add %al, (%rax) */
    run(&c);
    if (c.vec == 0xa1) {
        eoi();
    }
    apic_write(0x380, 0);
    return c.vec;
}
static void t_jumps(void)
{
    static const uint64_t at[] = {
        0xfee00000, 0xfee00ffe, 0xfec00000, 0xfed00000, 0xe0000000, 0xfffffff0, 0xfffff000, 0xa0000, 0xb8000, 0xc0000, 0xf0000,
        0x80000000, 0xfebffffe, 0xfedfffff,
    };
    for (unsigned i = 0; i < sizeof at / sizeof *at; i++) {
        jump(at[i]);
    }
}
/* Page tables in holes and devices. */
SNIP(w_read, "mov (%rdi), %rax")
static void t_tables(void)
{
    tpd[2] = 0xfee00000 | 7;                     /* page table in the local APIC, then in a hole */
    struct ctx c = kernel(w_read);
    c.rdi = TBASE + 0x400000;
    run(&c);
    CHECK(c.vec == V_PF || c.vec == V_END);
    tpd[2] = 0xe0000000 | 7;
    set_cr3(cr3());
    c = kernel(w_read);
    c.rdi = TBASE + 0x400000;
    run(&c);
    CHECK(c.vec == V_PF || c.vec == V_END);
    tpd[2] = 0;
    set_cr3(cr3());
    c = kernel(w_read);
    c.rdi = 0xe0000000;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(c.rax, ~0ull);                      /* nobody drives the bus */
}
/* Every port and every register page written with nonsense. */
static void t_ports(void)
{
    for (unsigned p = 0; p < 0x10000; p++) {
        if ((p >= 0x3f8 && p < 0x400) || (p >= 0x500 && p < 0x504) || p == 0x64 || p == 0x92 || p == 0xcf9 || (p >= 0x600 && p < 0x640) ||
            (p >= 0xb000 && p < 0xb040) || p == 0xb2 || p == 0xb3 || (p >= 0xcf8 && p < 0xd00) || (p >= 0xae00 && p < 0xaf20)) {
            continue;
        }
        inb(p);
        outb(p, 0xff);
        outb(p, 0x5a);
    }
    for (unsigned r = 0; r < 0x400; r += 16) {
        if (r != 0x300 && r != 0x310) {
            apic_read(r);
            *(volatile uint8_t *)(uintptr_t)(APIC + r);
            *(volatile uint16_t *)(uintptr_t)(APIC + r + 2);
        }
    }
    outb(0x21, 0xff), outb(0xa1, 0xff);
}
/* Last, and only when asked for: no table to deliver through. */
static void t_triple(void)
{
    if (option("triple", 0)) {
        struct { uint16_t limit; uint64_t base; } __attribute__((packed)) none = { 0, 0 };
        __asm__ volatile("lidt %0\n ud2" :: "m"(none));
    }
}
const struct test tests[] = { { "jumps", t_jumps }, { "tables", t_tables }, { "ports", t_ports }, { "triple", t_triple }, { 0, 0 } };
