/* Self-modifying code: what a store changes is what runs next, at any distance, through any mapping. */
#include "tests/guests/rt.h"

/* Store into the instruction right behind the store, and further on in the same block. */
SNIP(next_insn, "movb $0x55, 1f+1(%rip)\n 1: mov $1, %al")
SNIP(same_block, "movl $0x1234, 1f+1(%rip)\n inc %ecx\n inc %edx\n inc %ebx\n 1: mov $1, %eax\n inc %ecx")
/* The block before the store must not run twice: a counter tells. */
SNIP(once, "add $1, %ebx\n add $1, %ecx\n movb $0xeb, 1f(%rip)\n 1: .byte 0x74, 3\n add $1, %ebx\n add $1, %edx")
/* A loop that rewrites its own immediate on each turn. */
SNIP(loop_imm, "mov $1000, %ecx\n xor %eax, %eax\n 1: add $0, %eax\n incb 1b+2(%rip)\n andb $0x3f, 1b+2(%rip)\n dec %ecx\n jnz 1b")
/* The store instruction changes itself (runs once, then the changed one runs on the way back). */
SNIP(itself, "xor %eax, %eax\n mov $2, %ecx\n lea 1f(%rip), %rsi\n 1: movb $0x90, (%rsi)\n inc %eax\n dec %ecx\n jnz 1b")
SNIP(rep_stos, "lea 1f(%rip), %rdi\n mov $0x90, %al\n mov $6, %ecx\n xor %edx, %edx\n rep stosb\n 1: inc %edx\n inc %edx\n inc %edx")
SNIP(rep_movs, "lea 1f(%rip), %rdi\n lea 2f(%rip), %rsi\n mov $2, %ecx\n xor %edx, %edx\n rep movsb\n 1: inc %edx\n jmp 3f\n 2: dec %edx\n 3:")
SNIP(locked, "xor %edx, %edx\n lock xorb $0x08, 1f+1(%rip)\n 1: inc %edx")           /* inc edx <-> dec edx: ff c2 <-> ff ca */
SNIP(by_push, "xor %edx, %edx\n lea 1f+8(%rip), %rsp\n movabs $0x90909090caff9090, %rax\n push %rax\n 1: inc %edx\n inc %edx\n inc %edx\n nop\n nop")
SNIP(by_cmpxchg, "xor %edx, %edx\n mov 1f(%rip), %eax\n mov $0xcaffcaff, %ecx\n cmpxchg %ecx, 1f(%rip)\n 1: inc %edx\n inc %edx")
SNIP(by_sse, "movdqu 2f(%rip), %xmm0\n xor %edx, %edx\n movdqu %xmm0, 1f(%rip)\n 1: .rept 8\n inc %edx\n .endr\n jmp 3f\n 2: .rept 8\n dec %edx\n .endr\n 3:")

static void t_next(void)
{
    for (int i = 0; i < 3; i++) {
        next_insn[8] = 1;
        struct ctx c = kernel(next_insn);
        run(&c);
        TRAP(&c, V_END, 0, 0);
        CHECK_EQ(c.rax & 0xff, 0x55);
    }
    struct ctx c = kernel(same_block);
    run(&c);
    CHECK_EQ(c.rax, 0x1234);
    CHECK_EQ(c.rcx, 2);
}
static void t_once(void)
{
    struct ctx c = kernel(once);
    c.flags |= F_ZF;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(c.rcx, 1);
    CHECK_EQ(c.rbx, 1);
    CHECK_EQ(c.rdx, 1);
}
static void t_loop(void)
{
    struct ctx c = kernel(loop_imm);
    run(&c);
    TRAP(&c, V_END, 0, 0);
    unsigned want = 0, imm = 0;
    for (int i = 0; i < 1000; i++) {
        want += imm;
        imm = (imm + 1) & 0x3f;
    }
    CHECK_EQ(c.rax, want);
    c = kernel(itself);
    run(&c);
    TRAP(&c, V_UD, 0, c.rcx == 1 ? (char *)c.rsi + 1 : 0);       /* nop, then push es, which long mode has not */
    CHECK_EQ(c.rcx, 1);
}
static void t_stores(void)
{
    struct { const char *code; uint32_t edx; } row[] = {
        { rep_stos, 0 }, { rep_movs, -1u }, { locked, -1u }, { by_cmpxchg, -2u }, { by_sse, -8u },
    };
    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        struct ctx c = kernel(row[i].code);
        run(&c);
        TRAP(&c, V_END, 0, 0);
        if (c.rdx != row[i].edx) {
            fail("store %u: edx %lx, not %x", i, c.rdx, row[i].edx);
        }
    }
    struct ctx c = kernel(by_push);
    run(&c);
    CHECK_EQ(c.rdx, 0xffffffff);
}

/* mov $N, %eax ; ret-like END, written into pages of our own. */
static void put_code(uint8_t *at, uint32_t n)
{
    at[0] = 0xb8;
    memcpy(at + 1, &n, 4);
    at[5] = 0xcd;
    at[6] = V_END;
}
static word run_at(const void *code)
{
    struct ctx c = kernel(code);
    run(&c);
    TRAP(&c, V_END, 0, 0);
    return c.rax;
}
static void t_alias(void)
{
    uint8_t *a = test_page(0, page[0], PTE_P | PTE_W), *b = test_page(1, page[0], PTE_P | PTE_W);
    for (unsigned i = 1; i < 20; i++) {
        put_code(b + 100, i);
        CHECK_EQ(run_at(a + 100), i);
        CHECK_EQ(run_at(b + 100), i);
        page[0][101] = i + 50;           /* through the identity map */
        CHECK_EQ(run_at(a + 100), i + 50);
    }
    put_code(page[1] + 100, 77);
    a = test_page(0, page[1], PTE_P | PTE_W);
    CHECK_EQ(run_at(a + 100), 77);       /* another page behind the same address */
    CHECK_EQ(run_at(b + 100), 69);
}
static void t_crosspage(void)
{
    uint8_t *a = test_page(0, page[0], PTE_P | PTE_W);
    test_page(1, page[1], PTE_P | PTE_W);
    for (unsigned over = 1; over < 5; over++) {
        put_code(a + 4096 - over, 0x01020304);
        CHECK_EQ(run_at(a + 4096 - over), 0x01020304);
        page[1][0] = 0x99;               /* a byte of the instruction that lies in the second page */
        uint32_t want = 0x01020304;
        unsigned shift = (over - 1) * 8;
        want = (want & ~(0xffu << shift)) | 0x99u << shift;
        CHECK_EQ(run_at(a + 4096 - over), want);
        page[0][4095] = over == 1 ? 0xb9 : 0x77;
        if (over > 1) {
            shift = (over - 2) * 8;
            want = (want & ~(0xffu << shift)) | 0x77u << shift;
            CHECK_EQ(run_at(a + 4096 - over), want);
        } else {
            struct ctx c = kernel(a + 4095);
            run(&c);
            CHECK_EQ(c.rcx, want);
        }
        /* One store over both pages. */
        uint64_t v = 0x90909090ca050505;
        memcpy(a + 4096 - over, "\xb8", 1);
        memcpy(a + 4096 - over + 1, &v, 4);
        *(volatile uint32_t *)(a + 4096 - over + 1) = 0x11223344;
        CHECK_EQ(run_at(a + 4096 - over), 0x11223344);
        *(volatile uint16_t *)(a + 4095) = over == 1 ? 0x55b8 : over == 2 ? 0x6655 : over == 3 ? 0x7766 : 0x8877;
        static const uint32_t expect[] = { 0x11223355, 0x11226655, 0x11776644, 0x88773344 };
        CHECK_EQ(run_at(a + 4096 - over), expect[over - 1]);
        /* Another second page. */
        memcpy(page[2], page[1], 64);
        page[2][0] = 0x42;
        test_page(1, page[2], PTE_P | PTE_W);
        want = (expect[over - 1] & ~(0xffu << (over - 1) * 8)) | 0x42u << (over - 1) * 8;
        CHECK_EQ(run_at(a + 4096 - over), want);
        test_page(1, page[1], PTE_P | PTE_W);
        CHECK_EQ(run_at(a + 4096 - over), expect[over - 1]);
    }
}
/* Data stores next to code: the code must stay right, and this must end soon. */
static void t_neighbour(void)
{
    uint8_t *a = test_page(0, page[0], PTE_P | PTE_W);
    put_code(a, 5);
    uint64_t start = rdtsc();
    unsigned n = 0;
    for (; n < 20000; n++) {
        *(volatile uint32_t *)(a + 64 + n % 1000 * 4) = n;
        if (n % 16 == 0) {
            CHECK_EQ(run_at(a), 5);
        }
    }
    (void)start;
}
/* A store that faults on its second page changes no code on its first. */
static void t_half(void)
{
    uint8_t *a = test_page(0, page[0], PTE_P | PTE_W);
    test_page(1, page[1], PTE_P);
    put_code(page[0] + 4096 - 8, 0x01020304);
    CHECK_EQ(run_at(a + 4096 - 8), 0x01020304);
    SNIP(half_store, "mov %rax, (%rdi)")
    struct ctx c = kernel(half_store);
    c.rdi = (word)a + 4096 - 7;
    run(&c);
    TRAP(&c, V_PF, PF_P | PF_W, half_store);
    CHECK_EQ(c.cr2, (word)a + 4096);
    CHECK_EQ(run_at(a + 4096 - 8), 0x01020304);
}
/* Fills and copies in bulk over code, over a part of a page of code, and over the page that they run on themselves. */
static void bulk_move(void *to, const void *from, unsigned n) { __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); }
static void bulk_fill(void *to, unsigned byte, unsigned n) { __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory"); }
static void t_bulk(void)
{
    uint8_t *a = test_page(0, page[0], PTE_P | PTE_W);
    for (unsigned i = 1; i < 50; i++) {
        put_code(page[1] + 100, i);
        put_code(page[1] + 3000, i + 1000);
        bulk_move(a, page[1], 4096);
        CHECK_EQ(run_at(a + 100), i);
        CHECK_EQ(run_at(a + 3000), i + 1000);
        bulk_fill(a + 1024, 0x90, 1024);             /* code before and behind stays */
        CHECK_EQ(run_at(a + 100), i);
        CHECK_EQ(run_at(a + 3000), i + 1000);
        put_code(page[1] + 100, i + 2000);
        bulk_move(a + 64, page[1] + 64, 1024);
        CHECK_EQ(run_at(a + 100), i + 2000);
        CHECK_EQ(run_at(a + 3000), i + 1000);
    }
    /* rep stosb; mov $1,%eax; int END: the fill covers what follows it */
    static const uint8_t self[] = { 0xf3, 0xaa, 0xb8, 1, 0, 0, 0, 0xcd, V_END };
    for (unsigned i = 0; i < 3; i++) {
        bulk_fill(a, 0, 4096);
        memcpy(a, self, sizeof self);
        a[202] = 0xcd;
        a[203] = V_END;
        struct ctx c = kernel(a);
        c.rdi = (word)a + 2;
        c.rcx = 200;
        c.rax = 0x90;
        run(&c);
        TRAP(&c, V_END, 0, 0);
        CHECK_EQ(c.rax, 0x90);
    }
}
/* Page with code freed and used again many times (code cache reclaimed). */
static void t_churn(void)
{
    uint8_t *a = test_page(0, page[0], PTE_P | PTE_W);
    for (unsigned i = 0; i < 3000; i++) {
        for (unsigned j = 0; j < 8; j++) {
            put_code(a + (i * 7 + j * 64) % 4000, i * 8 + j);
            CHECK_EQ(run_at(a + (i * 7 + j * 64) % 4000), i * 8 + j);
        }
    }
}

/* Cross-modifying: the other CPU runs a loop in which we flip a jump; after the flag it must see the new code. */
extern uint8_t xmod_imm[];
__asm__(".pushsection .snip,\"awx\"\n.balign 64\n.globl xmod_fn, xmod_imm\nxmod_fn: mov $0, %eax\n.set xmod_imm, . - 4\n ret\n"
        ".balign 16\n.globl spin_fn, spin_jmp\nspin_fn: mov %rdi, %rax\nspin_jmp: jmp spin_fn\n ret\n.popsection");
unsigned xmod_fn(void);
void spin_fn(void);
extern uint8_t spin_jmp[];
static volatile uint32_t xturn, xseen, xwrong, xspun;
static void ap_xmod(unsigned cpu)
{
    if (cpu != 1) {
        return;
    }
    uint32_t r[4];
    for (uint32_t i = 1; i <= 2000; i++) {
        while (xturn != i) {
            xmod_fn();                   /* keeps the old code hot */
        }
        cpuid(0, 0, r);                  /* serialising, SDM vol. 3, 8.1.3 */
        if (xmod_fn() != i) {
            xwrong++;
        }
        xseen = i;
    }
    xspun = 1;
    spin_fn();                           /* until CPU 0 takes the jump out */
    xspun = 2;
}
static void t_cross(void)
{
    if (smp_cpus() < 2) {
        skip("one CPU");
        return;
    }
    if (!smp_start(ap_xmod)) {
        return;
    }
    for (uint32_t i = 1; i <= 2000; i++) {
        *(volatile uint32_t *)xmod_imm = i;
        __atomic_store_n(&xturn, i, __ATOMIC_SEQ_CST);
        uint64_t t = rdtsc();
        while (xseen != i) {
            if (rdtsc() - t > 20000000000) {
                fail("CPU 1 hangs at turn %u, it saw %u", i, xseen);
                return;
            }
        }
    }
    CHECK_EQ(xwrong, 0);
    CHECK(wait_for(&xspun, 1, 1000));
    delay_us(20000);
    *(volatile uint16_t *)spin_jmp = 0x9090;     /* no call, no serialisation on the other side: it must still come */
    if (!wait_for(&xspun, 2, 2000)) {
        fail("CPU 1 never saw its loop go");
        return;
    }
    smp_wait(1000);
}

const struct test tests[] = {
    { "next-insn", t_next }, { "once", t_once }, { "loop", t_loop }, { "stores", t_stores }, { "alias", t_alias },
    { "cross-page", t_crosspage }, { "neighbour", t_neighbour }, { "half-store", t_half }, { "bulk", t_bulk }, { "churn", t_churn },
    { "cross-cpu", t_cross }, { 0, 0 },
};
