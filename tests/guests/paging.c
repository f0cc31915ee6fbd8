/* Paging in long mode: rights, accessed and dirty bits, TLB invalidation, global pages, PCID, SMEP, SMAP, large pages. */
#include "tests/guests/rt.h"

#define RO  (PTE_P | PTE_U)
#define RW  (PTE_P | PTE_U | PTE_W)
SNIP(p_load, "mov (%rdi), %eax") SNIP(p_store, "mov %eax, (%rdi)") SNIP(p_add, "add %eax, (%rdi)") SNIP(p_touch, "lock orl $0, (%rdi)")
SNIP(p_stac, "stac\n mov (%rdi), %eax\n clac") SNIP(p_clac, "stac\n clac\n mov (%rdi), %eax") SNIP(p_push, "push %rax")
SNIP(p_cmpxchg, "cmpxchg %ecx, (%rdi)") SNIP(p_setcr, "mov %rax, %cr4") SNIP(p_nothing, "nop")

static struct ctx go(const char *code, bool ring3, const void *at)
{
    struct ctx c = ring3 ? user(code) : kernel(code);
    c.rdi = (word)at;
    c.rax = 0x55;
    run(&c);
    return c;
}
static void t_ad(void)
{
    uint8_t *p = test_page(0, page[0], RW);
    CHECK_EQ(tpt[0] & (PTE_A | PTE_D), 0);
    go(p_load, false, p);
    CHECK_EQ(tpt[0] & (PTE_A | PTE_D), PTE_A);
    go(p_store, false, p);                       /* hit for loads, D still to be set */
    CHECK_EQ(tpt[0] & (PTE_A | PTE_D), PTE_A | PTE_D);
    CHECK(tpd[0] & PTE_A);
    CHECK(!(tpd[0] & PTE_D));
    test_page(0, page[0], RW);
    go(p_store, true, p);
    CHECK_EQ(tpt[0] & (PTE_A | PTE_D), PTE_A | PTE_D);
    test_page(0, page[0], RW);
    go(p_add, false, p);
    CHECK_EQ(tpt[0] & (PTE_A | PTE_D), PTE_A | PTE_D);
    test_page(0, page[0], RW);
    struct ctx c = kernel(p);                    /* fetch */
    page[0][0] = 0xcd, page[0][1] = V_END;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(tpt[0] & (PTE_A | PTE_D), PTE_A);
    test_page(0, page[0], RO);                   /* a store that faults sets no D */
    go(p_store, true, p);
    CHECK(!(tpt[0] & PTE_D));
    test_page(0, page[0], RW);
    test_page(1, page[1], RO);
    c = go(p_store, true, p + 4094);             /* over the edge, second refuses: no D on the first */
    TRAP(&c, V_PF, PF_P | PF_W | PF_U, 0);
    /* cmpxchg writes even when it does not match */
    test_page(0, page[0], RW);
    c = kernel(p_cmpxchg);
    c.rdi = (word)p, c.rax = 0x12345;
    run(&c);
    CHECK(tpt[0] & PTE_D);
    /* A bit cleared by software comes back after INVLPG only (and must come back). */
    tpt[0] &= ~(uint64_t)PTE_A;
    invlpg(p);
    go(p_load, false, p);
    CHECK(tpt[0] & PTE_A);
    tpt[0] &= ~(uint64_t)PTE_D;
    invlpg(p);
    go(p_load, false, p);
    CHECK(!(tpt[0] & PTE_D));
    go(p_store, false, p);
    CHECK(tpt[0] & PTE_D);
}
static void t_wp(void)
{
    uint8_t *p = test_page(0, page[0], RO);
    struct ctx c = go(p_store, false, p);
    TRAP(&c, V_PF, PF_P | PF_W, p_store);
    set_cr0(cr0() & ~(word)0x10000);
    c = go(p_store, false, p);
    TRAP(&c, V_END, 0, 0);
    c = go(p_store, true, p);
    TRAP(&c, V_PF, PF_P | PF_W | PF_U, 0);
    set_cr0(cr0() | 0x10000);
    c = go(p_store, false, p);
    TRAP(&c, V_PF, PF_P | PF_W, p_store);
    /* rights are the AND over the levels */
    test_page(0, page[0], RW);
    tpd[0] &= ~(uint64_t)PTE_W;
    set_cr3(cr3());
    c = go(p_store, true, p);
    TRAP(&c, V_PF, PF_P | PF_W | PF_U, 0);
    tpd[0] = (tpd[0] | PTE_W) & ~(uint64_t)PTE_U;
    set_cr3(cr3());
    c = go(p_load, true, p);
    TRAP(&c, V_PF, PF_P | PF_U, 0);
    c = go(p_load, false, p);
    TRAP(&c, V_END, 0, 0);
    tpd[0] |= PTE_U;
    set_cr3(cr3());
}
static void t_nx(void)
{
    uint8_t *p = test_page(0, page[0], RW | PTE_NX);
    page[0][0] = 0xcd, page[0][1] = V_END;
    struct ctx c = kernel(p);
    run(&c);
    TRAP(&c, V_PF, PF_P | PF_I, p);
    c = go(p_load, false, p);
    TRAP(&c, V_END, 0, 0);
    test_page(0, page[0], RW);
    c = kernel(p);
    run(&c);
    TRAP(&c, V_END, 0, 0);
    tpd[0] |= PTE_NX;
    set_cr3(cr3());
    c = kernel(p);
    run(&c);
    TRAP(&c, V_PF, PF_P | PF_I, p);
    tpd[0] &= ~PTE_NX;
    set_cr3(cr3());
    wrmsr(0xc0000080, rdmsr(0xc0000080) & ~0x800ull);    /* NXE off: bit 63 is reserved */
    tpt[0] |= PTE_NX;
    invlpg(p);
    c = go(p_load, false, p);
    TRAP(&c, V_PF, PF_P | PF_RSVD, p_load);
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x800);
}
static void t_reserved(void)
{
    uint8_t *p = test_page(0, page[0], RW | 1ull << 51);
    struct ctx c = go(p_load, false, p);
    TRAP(&c, V_PF, PF_P | PF_RSVD, p_load);
    c = go(p_store, true, p);
    TRAP(&c, V_PF, PF_P | PF_RSVD | PF_W | PF_U, 0);
    test_page(0, page[0], RW);
    tpd[1] = 0x2000 | RW | PTE_PS;               /* 2 MiB page with a bit in 20:13 */
    set_cr3(cr3());
    c = go(p_load, false, p + 0x200000);
    TRAP(&c, V_PF, PF_P | PF_RSVD, p_load);
    tpd[1] = 0;
    pml4[3] = pml4[2] | PTE_PS;                  /* PS in a PML4E is reserved */
    c = go(p_load, false, (void *)0x18000000000);
    TRAP(&c, V_PF, PF_P | PF_RSVD, p_load);
    pml4[3] = 0;
    tpd[1] = 0;
    set_cr3(cr3());
}
static void t_invlpg(void)
{
    volatile uint32_t *p = test_page(0, page[0], RW);
    *(uint32_t *)page[0] = 1, *(uint32_t *)page[1] = 2;
    CHECK_EQ(*p, 1);
    tpt[0] = (uintptr_t)page[1] | RW;
    invlpg((void *)p);
    CHECK_EQ(*p, 2);
    tpt[0] = (uintptr_t)page[0] | RW;
    set_cr3(cr3());
    CHECK_EQ(*p, 1);
    tpt[0] = (uintptr_t)page[0] | RO;            /* less rights */
    invlpg((void *)p);
    struct ctx c = go(p_store, false, (void *)p);
    TRAP(&c, V_PF, PF_P | PF_W, p_store);
    tpt[0] = (uintptr_t)page[0] | RW;            /* more rights: the fault itself must drop the entry (SDM vol. 3, 4.10.4.3) */
    c = go(p_store, false, (void *)p);
    TRAP(&c, V_END, 0, 0);
    tpt[7] = 0;
    c = go(p_load, false, (char *)p + 7 * 4096);
    TRAP(&c, V_PF, 0, p_load);
    tpt[7] = (uintptr_t)page[1] | RW;            /* not present is never cached */
    c = go(p_load, false, (char *)p + 7 * 4096);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(c.rax, 2);
    /* INVLPG inside a large page drops all of it */
    tpd[1] = 0x200000 | RW | PTE_PS;
    volatile uint32_t *big = (volatile uint32_t *)(TBASE + 0x200000);
    *(volatile uint32_t *)0x210000 = 0x1111;
    *(volatile uint32_t *)0x410000 = 0x2222;
    CHECK_EQ(big[0x10000 / 4], 0x1111);
    CHECK_EQ(big[0x20000 / 4], *(volatile uint32_t *)0x220000);
    tpd[1] = 0x400000 | RW | PTE_PS;
    invlpg((char *)big + 0x155000);
    CHECK_EQ(big[0x10000 / 4], 0x2222);
    CHECK((tpd[1] & PTE_A) && !(tpd[1] & PTE_D));
    big[0] = 5;
    CHECK(tpd[1] & PTE_D);
    CHECK_EQ(*(volatile uint32_t *)0x400000, 5);
    tpd[1] = 0;
    set_cr3(cr3());
}
static void t_global(void)
{
    volatile uint32_t *p = test_page(0, page[0], RW | PTE_G);
    *(uint32_t *)page[0] = 1, *(uint32_t *)page[1] = 2;
    CHECK_EQ(*p, 1);
    tpt[0] = (uintptr_t)page[1] | RW | PTE_G;
    set_cr4(cr4() & ~(word)0x80);                /* PGE toggled: everything goes */
    set_cr4(cr4() | 0x80);
    CHECK_EQ(*p, 2);
    tpt[0] = (uintptr_t)page[0] | RW | PTE_G;
    invlpg((void *)p);
    CHECK_EQ(*p, 1);
}
static void t_pcid(void)
{
    uint32_t r[4];
    cpuid(1, 0, r);
    if (!(r[2] & 1 << 17)) {
        skip("no PCID");
        return;
    }
    volatile uint32_t *p = test_page(0, page[0], RW);
    *(uint32_t *)page[0] = 1, *(uint32_t *)page[1] = 2;
    set_cr4(cr4() | 1 << 17);
    word top = cr3() & ~(word)0xfff;
    set_cr3(top | 1);
    CHECK_EQ(*p, 1);
    set_cr3(top | 2);
    CHECK_EQ(*p, 1);
    tpt[0] = (uintptr_t)page[1] | RW;
    set_cr3(top | 2);                            /* no bit 63: flushes PCID 2 */
    CHECK_EQ(*p, 2);
    set_cr3(top | 1);
    CHECK_EQ(*p, 2);
    CHECK_EQ(cr3(), top | 1);
    set_cr3(top | 2 | 1ull << 63);
    CHECK_EQ(cr3(), top | 2);                    /* bit 63 is not kept */
    CHECK_EQ(*p, 2);
    cpuid(7, 0, r);
    if (r[1] & 1 << 10) {
        struct { uint64_t pcid, addr; } d = { 2, TBASE };
        for (word type = 0; type < 4; type++) {
            tpt[0] = (uintptr_t)page[type & 1] | RW;
            __asm__ volatile("invpcid %0, %1" :: "m"(d), "r"(type) : "memory");
            CHECK_EQ(*p, (type & 1) + 1);
        }
    }
    SNIP(p_setcr4, "mov %rax, %cr4")
    struct ctx c = kernel(p_setcr4);             /* PCIDE with CR3[11:0] != 0 cannot be set, but clearing is allowed */
    c.rax = cr4() & ~(word)(1 << 17);
    run(&c);
    TRAP(&c, V_END, 0, 0);
    c = kernel(p_setcr4);
    set_cr3(top | 8);
    c.rax = cr4() | 1 << 17;
    run(&c);
    TRAP(&c, V_GP, 0, p_setcr4);
    set_cr3(top);
}
static void t_smep(void)
{
    uint32_t r[4];
    cpuid(7, 0, r);
    if (!(r[1] & 1 << 7)) {
        skip("no SMEP");
        return;
    }
    uint8_t *p = test_page(0, page[0], RW);
    page[0][0] = 0xcd, page[0][1] = V_END;
    struct ctx c = kernel(p);
    run(&c);
    TRAP(&c, V_END, 0, 0);
    set_cr4(cr4() | 1 << 20);
    c = kernel(p);
    run(&c);
    TRAP(&c, V_PF, PF_P | PF_I, p);
    c = user(0);
    c.ip = (word)p;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    c = kernel(p);
    run(&c);
    TRAP(&c, V_PF, PF_P | PF_I, p);
    set_cr4(cr4() & ~(word)(1 << 20));
    c = kernel(p);
    run(&c);
    TRAP(&c, V_END, 0, 0);
}
static void t_smap(void)
{
    uint32_t r[4];
    cpuid(7, 0, r);
    if (!(r[1] & 1 << 20)) {
        skip("no SMAP");
        return;
    }
    uint8_t *p = test_page(0, page[0], RW);
    struct ctx c = go(p_load, false, p);
    TRAP(&c, V_END, 0, 0);
    set_cr4(cr4() | 1 << 21);
    c = go(p_load, false, p);
    TRAP(&c, V_PF, PF_P, p_load);
    c = go(p_store, false, p);
    TRAP(&c, V_PF, PF_P | PF_W, p_store);
    c = go(p_stac, false, p);
    TRAP(&c, V_END, 0, 0);
    CHECK(!(c.flags & F_AC));
    c = go(p_clac, false, p);
    TRAP(&c, V_PF, PF_P, p_clac + 6);
    c = go(p_load, true, p);
    TRAP(&c, V_END, 0, 0);
    c = kernel(p_load);                          /* AC by iret */
    c.rdi = (word)p;
    c.flags |= F_AC;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    c = go(p_load, false, p);
    TRAP(&c, V_PF, PF_P, p_load);
    c = kernel(p_push);
    c.sp = (word)p + 2048;
    run(&c);
    TRAP(&c, V_PF, PF_P | PF_W, p_push);
    set_cr4(cr4() & ~(word)(1 << 21));
    c = go(p_load, false, p);
    TRAP(&c, V_END, 0, 0);
    c = user(p_stac);
    run(&c);
    TRAP(&c, V_UD, 0, UADDR(p_stac));
}
/* More pages than any TLB has entries, each found again. */
static void t_many(void)
{
    for (unsigned i = 0; i < 512; i++) {
        test_page(i, page[i % PAGES], RW);
    }
    for (unsigned i = 0; i < PAGES; i++) {
        *(uint32_t *)page[i] = i * 3 + 1;
    }
    for (unsigned turn = 0; turn < 50; turn++) {
        for (unsigned i = 0; i < 512; i++) {
            CHECK_EQ(*(volatile uint32_t *)(TBASE + i * 4096), i % PAGES * 3 + 1);
        }
    }
    for (unsigned i = 0; i < 512; i++) {
        tpt[i] = (uintptr_t)page[(i + 1) % PAGES] | RW;
        invlpg((void *)(TBASE + i * 4096));
        CHECK_EQ(*(volatile uint32_t *)(TBASE + i * 4096), (i + 1) % PAGES * 3 + 1);
    }
    /* 1 GiB page */
    uint32_t r[4];
    cpuid(0x80000001, 0, r);
    if (r[3] & 1 << 26) {
        tpdpt[1] = RW | PTE_PS;
        CHECK_EQ(*(volatile uint32_t *)(TBASE + (1ull << 30) + (uintptr_t)page[3]), 10);
        CHECK(tpdpt[1] & PTE_A);
        tpdpt[1] = 0;
        set_cr3(cr3());
    }
}
/* Control registers refuse what they must. */
SNIP(c_cr0, "mov %rax, %cr0") SNIP(c_cr3, "mov %rax, %cr3") SNIP(c_cr4, "mov %rax, %cr4") SNIP(c_cr8, "mov %rax, %cr8") SNIP(c_cr1, "mov %rax, %cr1")
static void t_cr(void)
{
    static const struct { const char *code; word flip, set; unsigned vec; } row[] = {
        { c_cr0, 1u << 31, 0, V_GP },            /* PG off in 64-bit code */
        { c_cr0, 1, 0, V_GP }, { c_cr0, 1ull << 32, 0, V_GP },
        { c_cr0, 1 << 29, 0, V_GP },             /* NW without CD */
        { c_cr4, 0x20, 0, V_GP },                /* PAE off in long mode */
        { c_cr4, 1ull << 40, 0, V_GP }, { c_cr4, 1 << 15, 0, V_GP },
        { c_cr8, 0, 16, V_GP }, { c_cr8, 0, 15, V_END }, { c_cr8, 0, 0, V_END },
        { c_cr1, 0, 0, V_UD },
    };
    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        struct ctx c = kernel(row[i].code);
        word old = row[i].code == c_cr0 ? cr0() : row[i].code == c_cr4 ? cr4() : 0;
        c.rax = (old ^ row[i].flip) | row[i].set;
        run(&c);
        if (c.vec != row[i].vec) {
            fail("row %u: trap %u", i, (unsigned)c.vec);
        }
        c = user(row[i].code);
        c.rax = old;
        run(&c);
        if (c.vec != (row[i].vec == V_UD ? V_UD : V_GP)) {
            fail("row %u from ring 3: trap %u", i, (unsigned)c.vec);
        }
    }
}

/* --- protection keys --- */
SNIP(k_wrpkru, "wrpkru") SNIP(k_rdpkru, "rdpkru") SNIP(k_both, "wrpkru\n mov (%rdi), %rbx\n mov %rbx, (%rdi)")
static struct ctx pkey(const char *code, bool ring3, uint32_t pkru, const void *at)
{
    struct ctx c = ring3 ? user(code) : kernel(code);
    c.rax = pkru, c.rdi = (word)at;
    run(&c);
    return c;
}
static void t_pku(void)
{
    uint32_t r[4];
    cpuid(7, 0, r);
    if (!(r[2] & 8)) {
        skip("no protection keys");
        return;
    }
    CHECK(!(r[2] & 16));
    struct ctx c = go(k_rdpkru, true, NULL);
    TRAP(&c, V_UD, 0, UADDR(k_rdpkru));
    set_cr4(cr4() | 1 << 22);
    cpuid(7, 0, r);
    CHECK(r[2] & 16);                            /* OSPKE */
    uint8_t *p = test_page(0, page[0], RW | 5ull << 59);
    c = pkey(k_both, true, 0, p);
    TRAP(&c, V_END, 0, 0);
    c = pkey(k_both, true, 1 << 10, p);          /* access disabled: seen at once, though the TLB has the page */
    TRAP(&c, V_PF, PF_P | PF_U | 32, UADDR(k_both + 3));
    CHECK_EQ(c.cr2, (word)p);
    c = pkey(k_both, true, 2 << 10, p);          /* write disabled */
    TRAP(&c, V_PF, PF_P | PF_U | PF_W | 32, UADDR(k_both + 6));
    c = pkey(k_both, false, 2 << 10, p);
    TRAP(&c, V_PF, PF_P | PF_W | 32, k_both + 6);
    set_cr0(cr0() & ~(word)0x10000);             /* without WP the kernel may */
    c = pkey(k_both, false, 2 << 10, p);
    TRAP(&c, V_END, 0, 0);
    set_cr0(cr0() | 0x10000);
    c = pkey(k_both, true, 3 << 8, p);           /* another key's bits */
    TRAP(&c, V_END, 0, 0);
    p[8] = 0xcd, p[9] = V_END;
    pkey(k_wrpkru, true, 1 << 10, p);
    c = user(NULL);
    c.ip = (word)p + 8;                          /* fetches are free */
    run(&c);
    TRAP(&c, V_END, 0, 0);
    c = user(k_wrpkru);
    c.rcx = 1;
    run(&c);
    TRAP(&c, V_GP, 0, UADDR(k_wrpkru));
    c = user(k_wrpkru);
    c.rdx = 1;
    run(&c);
    TRAP(&c, V_GP, 0, UADDR(k_wrpkru));
    pkey(k_wrpkru, true, 0x12345678, p);
    c = pkey(k_rdpkru, true, 0, p);
    CHECK_EQ(c.rax, 0x12345678);
    CHECK_EQ(c.rdx, 0);
    pkey(k_wrpkru, true, 0, p);
    set_cr4(cr4() & ~(word)(1 << 22));
}
/* --- UMIP: the five instructions, by ring --- */
SNIP(u_sgdt, "sgdt (%rdi)") SNIP(u_sidt, "sidt (%rdi)") SNIP(u_sldt, "sldt %eax") SNIP(u_str, "str %eax") SNIP(u_smsw, "smsw %eax")
static void t_umip(void)
{
    const char *code[] = { u_sgdt, u_sidt, u_sldt, u_str, u_smsw };
    uint32_t r[4];
    cpuid(7, 0, r);
    if (!(r[2] & 4)) {
        skip("no UMIP");
        return;
    }
    for (unsigned on = 0; on < 2; on++) {
        set_cr4((cr4() & ~(word)0x800) | on << 11);
        for (unsigned i = 0; i < 5; i++) {
            struct ctx c = go(code[i], true, UADDR(page[0]));
            TRAP(&c, on ? V_GP : V_END, 0, on ? UADDR(code[i]) : NULL);
            c = go(code[i], false, page[0]);
            TRAP(&c, V_END, 0, 0);
        }
    }
    set_cr4(cr4() & ~(word)0x800);
}
/* --- 1 GiB pages --- */
static void t_huge(void)
{
    uint32_t r[4];
    cpuid(0x80000001, 0, r);
    struct ctx c;
    uint32_t *at = (uint32_t *)(TBASE + (1ull << 30) + ((uintptr_t)page[3] & 0x3fffffff));
    tpdpt[1] = 0x80 | RW;                        /* at physical 0 */
    *(volatile uint32_t *)page[3] = 0xfeedbeef;
    c = go(p_load, true, at);
    if (!(r[3] & 1 << 26)) {
        TRAP(&c, V_PF, PF_P | PF_U | PF_RSVD, UADDR(p_load));
    } else {
        TRAP(&c, V_END, 0, 0);
        CHECK_EQ(c.rax, 0xfeedbeef);
        CHECK_EQ(tpdpt[1] & (PTE_A | PTE_D), PTE_A);
        go(p_store, true, at);
        CHECK_EQ(tpdpt[1] & PTE_D, PTE_D);
        CHECK_EQ(*(volatile uint32_t *)page[3], 0x55);
        tpdpt[1] = 0x80 | RW | 0x2000;           /* bits 13-29 must be 0 */
        invlpg(at);
        c = go(p_load, true, at);
        TRAP(&c, V_PF, PF_P | PF_U | PF_RSVD, UADDR(p_load));
        tpdpt[1] = 0x80 | RW | 0x1000;           /* bit 12 is PAT */
        invlpg(at);
        c = go(p_load, true, at);
        TRAP(&c, V_END, 0, 0);
    }
    tpdpt[1] = 0;
    invlpg(at);
}
/* --- INVPCID: all types, and what they refuse --- */
SNIP(i_pcid, "invpcid (%rdi), %rax")
static unsigned invpcid(word type, uint64_t pcid, uint64_t va)
{
    static volatile uint64_t d[2] __attribute__((aligned(16)));
    d[0] = pcid, d[1] = va;
    struct ctx c = kernel(i_pcid);
    c.rdi = (word)d, c.rax = type;
    run(&c);
    return c.vec == V_END ? 0 : c.vec;
}
static void t_invpcid(void)
{
    uint32_t r[4];
    cpuid(7, 0, r);
    if (!(r[1] & 1 << 10)) {
        skip("no INVPCID");
        return;
    }
    struct ctx c = go(i_pcid, true, UADDR(page[0]));
    TRAP(&c, V_GP, 0, UADDR(i_pcid));
    CHECK_EQ(invpcid(4, 0, 0), V_GP);
    CHECK_EQ(invpcid(0, 1, 0), V_GP);            /* PCID without CR4.PCIDE */
    CHECK_EQ(invpcid(0, 0x1000, 0), V_GP);       /* reserved */
    CHECK_EQ(invpcid(0, 0, 1ull << 60), V_GP);   /* not canonical */
    CHECK_EQ(invpcid(1, 0, 1ull << 60), 0);      /* the address does not count */
    for (unsigned type = 0; type < 4; type++) {
        uint8_t *p = test_page(2, page[1], RW);
        page[1][0] = 1, page[2][0] = 2;
        CHECK_EQ(*(volatile uint8_t *)p, 1);
        tpt[2] = (uintptr_t)page[2] | RW;
        CHECK_EQ(invpcid(type, 0, (word)p), 0);
        CHECK_EQ(*(volatile uint8_t *)p, 2);
    }
}
const struct test tests[] = {
    { "accessed-dirty", t_ad }, { "rights", t_wp }, { "nx", t_nx }, { "reserved", t_reserved }, { "invlpg", t_invlpg }, { "global", t_global },
    { "pcid", t_pcid }, { "smep", t_smep }, { "smap", t_smap }, { "many", t_many }, { "pku", t_pku }, { "umip", t_umip }, { "1g", t_huge },
    { "invpcid", t_invpcid }, { "cr", t_cr }, { 0, 0 },
};
