/*
 * Long mode's rules: undefined opcodes and lengths, LOCK where it may not be, reserved bits of control registers, CR8, XSETBV, far transfers
 * between 64-bit and compatibility code, call gates of 16 bytes, IST, IRET in every direction, flags by POPF and IRET, non-canonical
 * addresses, LAR and its family.
 */
#include "tests/guests/rt.h"

enum { S_CODE16 = SEL_TEST, S_CONF = SEL_TEST + 8, S_ABSENT = SEL_TEST + 16, S_DATA1 = SEL_TEST + 24, S_LD = SEL_TEST + 32, S_GATE = SEL_TEST + 48,
       S_XO = SEL_TEST + 64, S_RO = SEL_TEST + 72, S_LDT = SEL_TEST + 80, S_KC32 = SEL_TEST + 96, S_UCONF = SEL_TEST + 104 };

static struct ctx bytes_at(const uint8_t *code, unsigned n, bool ring3)
{
    uint8_t *p = page[5] + 256;
    memset(page[5], 0x90, 512);
    memcpy(p, code, n);
    p[n] = 0xcd, p[n + 1] = V_END;
    struct ctx c = ring3 ? user(p) : kernel(p);
    c.rdi = (word)(ring3 ? UADDR(page[6]) : page[6]);
    c.rsi = c.rdi + 64, c.rbx = c.rdi + 128;
    run(&c);
    return c;
}
#define BYTES(...) ({ static const uint8_t b_[] = { __VA_ARGS__ }; bytes_at(b_, sizeof b_, false); })
#define UBYTES(...) ({ static const uint8_t b_[] = { __VA_ARGS__ }; bytes_at(b_, sizeof b_, true); })
#define IS_UD(...)  do { struct ctx c_ = BYTES(__VA_ARGS__); TRAP(&c_, V_UD, 0, page[5] + 256); } while (0)
#define RUNS(...)   do { struct ctx c_ = BYTES(__VA_ARGS__); TRAP(&c_, V_END, 0, 0); } while (0)
#define IS_GP(...)  do { struct ctx c_ = BYTES(__VA_ARGS__); TRAP(&c_, V_GP, 0, page[5] + 256); } while (0)

static void t_undefined(void)
{
    IS_UD(0x0f, 0x0b);                           /* ud2 */
    IS_UD(0x0f, 0xb9, 0xc0);                     /* ud1 */
    IS_UD(0x0f, 0xb9, 0x07);
    IS_UD(0x0f, 0xff, 0xc0);                     /* ud0 */
    static const uint8_t not64[] = { 0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x60, 0x61, 0x82, 0x9a, 0xce, 0xd4, 0xd5, 0xd6, 0xea };
    for (unsigned i = 0; i < sizeof not64; i++) {
        uint8_t b[8] = { not64[i], 0, 0, 0, 0, 0, 0, 0 };
        struct ctx c = bytes_at(b, 8, false);
        if (c.vec != V_UD || c.ip != (word)page[5] + 256) {
            fail("%x in 64-bit code: trap %u", not64[i], (unsigned)c.vec);
        }
    }
    IS_UD(0x8d, 0xc0);                           /* lea of a register */
    IS_UD(0x8c, 0xf0);                           /* mov from segment register 6 */
    IS_UD(0x8e, 0xc8);                           /* mov to cs */
    IS_UD(0xc6, 0xc8, 0);                        /* C6 /1 */
    IS_UD(0x8f, 0xc8);                           /* 8F /1 */
    IS_UD(0xfe, 0xd0);
    IS_UD(0xff, 0xf8);
    IS_UD(0x0f, 0x20, 0xc8);                     /* cr1 */
    IS_UD(0x0f, 0x20, 0xe8);                     /* cr5 */
    IS_UD(0x0f, 0x22, 0xf8);
    IS_UD(0x44, 0x0f, 0x20, 0xc8);               /* cr9 */
    IS_UD(0x44, 0x0f, 0x21, 0xc0);               /* dr8 */
    IS_UD(0x0f, 0xba, 0x07, 1);                  /* group 8 /0 */
    IS_UD(0x0f, 0xc7, 0x07);                     /* group 9 /0 */
    IS_UD(0x0f, 0xc7, 0xc8);                     /* cmpxchg8b of a register */
    IS_UD(0x0f, 0x01, 0xd2);                     /* not xgetbv, not xsetbv */
    IS_UD(0x0f, 0x00, 0xf8);
    IS_UD(0x0f, 0x04);
    IS_UD(0x0f, 0x0a);
    IS_UD(0x0f, 0x36);
    IS_UD(0x0f, 0x01, 0xc1);                     /* vmcall without VMX */
    IS_UD(0x0f, 0x01, 0xd8);                     /* vmrun without SVM */
    IS_UD(0xf3, 0x0f, 0xc7, 0x37);               /* vmxon */
}
static void t_length(void)
{
    uint8_t b[20];
    for (unsigned n = 1; n <= 16; n++) {         /* prefixes in front of a nop: 15 bytes in all are fine */
        static const uint8_t prefix[] = { 0x66, 0x67, 0x2e, 0x36, 0xf2, 0x64 };
        for (unsigned p = 0; p < sizeof prefix; p++) {
            memset(b, prefix[p], n);
            b[n] = 0x90;
            struct ctx c = bytes_at(b, n + 1, false);
            if (n + 1 <= 15 ? c.vec != V_END : c.vec != V_GP || c.err || c.ip != (word)page[5] + 256) {
                fail("%u times %x: trap %u", n, prefix[p], (unsigned)c.vec);
            }
        }
    }
    static const uint8_t just[] = { 0x66, 0x2e, 0x2e, 0x2e, 0x81, 0x84, 0xd8, 0, 0, 0, 0, 1, 0 };   /* 13: add $1, disp32(%rax,%rbx,8) */
    for (unsigned pad = 1; pad <= 3; pad++) {
        memset(b, 0x2e, pad);
        memcpy(b + pad, just, sizeof just);
        struct ctx c = bytes_at(b, pad + sizeof just, false);
        CHECK_EQ(c.vec, pad <= 2 ? (word)V_END : (word)V_GP);
    }
    /* the 15-byte limit comes before the fault of a page behind it */
    uint8_t *p = test_page(0, page[0], PTE_P | PTE_W);
    test_page(1, page[1], 0);
    memset(page[0] + 4096 - 15, 0x66, 15);
    struct ctx c = kernel(p + 4096 - 15);
    run(&c);
    TRAP(&c, V_GP, 0, p + 4096 - 15);
    c = kernel(p + 4096 - 14);
    run(&c);
    TRAP(&c, V_PF, PF_I, p + 4096 - 14);
    CHECK_EQ(c.cr2, (word)p + 4096);
}
static void t_lock(void)
{
    static const uint8_t ok[][4] = { { 0x01, 0x07 }, { 0x09, 0x07 }, { 0x11, 0x07 }, { 0x19, 0x07 }, { 0x21, 0x07 }, { 0x29, 0x07 }, { 0x31, 0x07 }, { 0x83, 0x07, 1 },
        { 0x87, 0x07 }, { 0xfe, 0x07 }, { 0xff, 0x0f }, { 0xf7, 0x17 }, { 0xf6, 0x1f }, { 0x0f, 0xb1, 0x07 }, { 0x0f, 0xc1, 0x07 }, { 0x0f, 0xab, 0x07 }, { 0x0f, 0xb3, 0x07 },
        { 0x0f, 0xbb, 0x07 }, { 0x0f, 0xba, 0x2f, 1 }, { 0x0f, 0xba, 0x37, 1 }, { 0x0f, 0xba, 0x3f, 1 }, { 0x0f, 0xc7, 0x0f } };
    static const uint8_t bad[][4] = { { 0x90 }, { 0x39, 0x07 }, { 0x38, 0x07 }, { 0x83, 0x3f, 1 }, { 0x85, 0x07 }, { 0x89, 0x07 }, { 0x8b, 0x07 }, { 0x03, 0x07 }, { 0x01, 0xc0 },
        { 0x87, 0xc0 }, { 0xff, 0xc0 }, { 0xff, 0x37 }, { 0xff, 0x17 }, { 0xff, 0x27 }, { 0xf7, 0x07, 1 }, { 0xf7, 0x27 }, { 0xf7, 0x37 }, { 0x0f, 0xa3, 0x07 },
        { 0x0f, 0xba, 0x27, 1 }, { 0x0f, 0xb1, 0xc0 }, { 0x0f, 0xc1, 0xc0 }, { 0x0f, 0xba, 0xe8, 1 }, { 0xc1, 0x27, 1 }, { 0xd1, 0x27 }, { 0x50 }, { 0x58 }, { 0x8d, 0x07 },
        { 0xa4 }, { 0xaa }, { 0x0f, 0xa4, 0x07, 1 }, { 0x0f, 0xb6, 0x07 }, { 0x0f, 0xaf, 0x07 }, { 0x0f, 0x44, 0x07 }, { 0x0f, 0x94, 0x07 }, { 0xeb, 0 }, { 0x74, 0 }, { 0xc3 },
        { 0xf4 }, { 0xfa }, { 0xfb }, { 0xf8 }, { 0x9c }, { 0x9d }, { 0xcf }, { 0xcc }, { 0x0f, 0x05 }, { 0x0f, 0x0b }, { 0x0f, 0xa2 }, { 0x0f, 0x31 }, { 0x0f, 0x30 }, { 0x0f, 0x32 },
        { 0x0f, 0x20, 0xc0 }, { 0x0f, 0x22, 0xd8 }, { 0x0f, 0x01, 0x17 }, { 0x0f, 0x01, 0x3f }, { 0x0f, 0x00, 0xd0 }, { 0x0f, 0x01, 0xd0 }, { 0x0f, 0xae, 0x07 }, { 0x0f, 0xae, 0xf0 },
        { 0x0f, 0xc7, 0x37 }, { 0x0f, 0x58, 0x07 }, { 0x0f, 0x6f, 0x07 }, { 0xd8, 0x07 }, { 0x9b }, { 0x0f, 0x08 }, { 0x0f, 0x06 }, { 0xe4, 0x80 }, { 0xc9 }, { 0x98 }, { 0xd7 } };
    for (unsigned i = 0; i < sizeof ok / sizeof *ok; i++) {
        uint8_t b[5] = { 0xf0, ok[i][0], ok[i][1], ok[i][2], ok[i][3] };
        struct ctx c = bytes_at(b, ok[i][0] == 0x83 || (ok[i][0] == 0x0f && ok[i][1] == 0xba) ? (ok[i][0] == 0x83 ? 4 : 5) : ok[i][0] == 0x0f ? 4 : 3, false);
        if (c.vec != V_END) {
            fail("lock %x %x %x: trap %u", ok[i][0], ok[i][1], ok[i][2], (unsigned)c.vec);
        }
    }
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t b[5] = { 0xf0, bad[i][0], bad[i][1], bad[i][2], bad[i][3] };
        struct ctx c = bytes_at(b, 5, false);
        if (c.vec != V_UD || c.ip != (word)page[5] + 256) {
            fail("lock %x %x %x: trap %u", bad[i][0], bad[i][1], bad[i][2], (unsigned)c.vec);
        }
    }
}
/* --- control registers --- */
SNIP(cr0_w, "mov %rax, %cr0") SNIP(cr3_w, "mov %rax, %cr3") SNIP(cr4_w, "mov %rax, %cr4") SNIP(cr8_w, "mov %rax, %cr8\n mov %cr8, %rbx") SNIP(cr8_r, "mov %cr8, %rax")
static unsigned cr(const char *code, word v)
{
    struct ctx c = kernel(code);
    c.rax = v;
    run(&c);
    if (c.vec == V_GP && (c.err || c.ip != (word)code)) {
        fail("#GP(%lx) at %lx", c.err, c.ip);
    }
    return c.vec;
}
static void t_cr(void)
{
    word c0 = cr0(), c3 = cr3(), c4 = cr4();
    CHECK_EQ(cr(cr0_w, c0 | 1ull << 32), V_GP);
    CHECK_EQ(cr(cr0_w, c0 & ~1ull), V_GP);                   /* PG without PE */
    CHECK_EQ(cr(cr0_w, (c0 | 1 << 29) & ~(1ull << 30)), V_GP);      /* NW without CD */
    CHECK_EQ(cr(cr0_w, c0 & ~(1ull << 31)), V_GP);           /* PG off in 64-bit code */
    CHECK_EQ(cr(cr0_w, c0 | 1 << 30), V_END);
    CHECK_EQ(cr(cr0_w, c0 | 1 << 10), V_END);                /* reserved low bits: ignored */
    CHECK_EQ(cr0(), c0);
    CHECK_EQ(cr(cr0_w, c0 & ~(1ull << 4)), V_END);           /* ET is 1 */
    CHECK_EQ(cr0(), c0);
    CHECK_EQ(cr(cr4_w, c4 & ~(1ull << 5)), V_GP);            /* PAE in long mode */
    CHECK_EQ(cr(cr4_w, c4 | 1 << 12), V_GP);                 /* LA57 in long mode, or not there */
    CHECK_EQ(cr(cr4_w, c4 | 1ull << 32), V_GP);
    CHECK_EQ(cr(cr4_w, c4 | 1 << 15), V_GP);
    CHECK_EQ(cr(cr4_w, c4 | 1 << 19), V_GP);
    CHECK_EQ(cr(cr4_w, c4 | 1 << 13), V_GP);                 /* VMXE without VMX */
    CHECK_EQ(cr(cr3_w, c3 | 1ull << 52), V_GP);
    CHECK_EQ(cr(cr3_w, c3 | 1ull << 63), V_GP);              /* "keep" without PCIDE */
    CHECK_EQ(cr(cr3_w, c3 | 0x18), V_END);                   /* PWT, PCD */
    CHECK_EQ(cr3(), c3 | 0x18);
    set_cr3(c3);
    uint32_t r[4];
    cpuid(1, 0, r);
    if (r[2] & 1 << 17) {                                    /* PCID */
        set_cr3(c3 | 0x18);
        CHECK_EQ(cr(cr4_w, c4 | 1 << 17), V_GP);             /* CR3[11:0] must be 0 */
        set_cr3(c3);
        CHECK_EQ(cr(cr4_w, c4 | 1 << 17), V_END);
        CHECK_EQ(cr(cr3_w, c3 | 1ull << 63 | 5), V_END);
        CHECK_EQ(cr3(), c3 | 5);                             /* bit 63 is not kept */
        set_cr3(c3);
        set_cr4(c4);
    }
    CHECK_EQ(TRY_MSR_WRITE(0xc0000080, rdmsr(0xc0000080) | 2), V_GP);
    CHECK_EQ(TRY_MSR_WRITE(0xc0000080, rdmsr(0xc0000080) | 1 << 9), V_GP);
    CHECK_EQ(TRY_MSR_WRITE(0xc0000080, rdmsr(0xc0000080) & ~(1ull << 10)), 0);       /* LMA is ignored */
    CHECK_EQ(rdmsr(0xc0000080) & 1 << 10, 1 << 10);
}
static void t_cr8(void)
{
    apic_on();
    CHECK_EQ(cr(cr8_w, 0x10), V_GP);
    CHECK_EQ(cr(cr8_w, 1ull << 40), V_GP);
    struct ctx c = kernel(cr8_w);
    c.rax = 5;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(c.rbx, 5);
    CHECK_EQ(apic_read(0x80), 0x50);
    apic_write(0x80, 0x37);
    c = kernel(cr8_r);
    run(&c);
    CHECK_EQ(c.rax, 3);
    apic_write(0x80, 0);
    c = user(cr8_r);
    run(&c);
    TRAP(&c, V_GP, 0, UADDR(cr8_r));
    /* TPR holds interrupts back; lowering it lets them in */
    set_cr4(cr4());
    c = kernel(cr8_w);
    c.rax = 10;
    run(&c);
    ipi(0, 0x40000 | 0xa3);
    SNIP(c8_window, "sti\n nop\n nop\n xor %eax, %eax\n mov %rax, %cr8\n nop\n nop\n cli")
    c = kernel(c8_window);
    run(&c);
    TRAP(&c, 0xa3, 0, c8_window + 9);
    eoi();
}
/* --- XSETBV, XGETBV --- */
SNIP(x_set, "xsetbv") SNIP(x_get, "xgetbv") SNIP(x_lock, ".byte 0xf0\n xsetbv")
static unsigned xsetbv(uint32_t ecx, uint64_t v)
{
    struct ctx c = kernel(x_set);
    c.rcx = ecx, c.rax = (uint32_t)v, c.rdx = v >> 32;
    run(&c);
    return c.vec == V_END ? 0 : c.vec;
}
static void t_xsetbv(void)
{
    uint32_t r[4];
    cpuid(1, 0, r);
    if (!(r[2] & 1 << 26)) {
        skip("no XSAVE");
        return;
    }
    CHECK_EQ(xsetbv(0, 1), V_UD);                            /* CR4.OSXSAVE is clear */
    set_cr4(cr4() | 1 << 18);
    cpuid(1, 0, r);
    CHECK(r[2] & 1 << 27);
    CHECK_EQ(xsetbv(0, 0), V_GP);
    CHECK_EQ(xsetbv(0, 2), V_GP);                            /* x87 must be on */
    CHECK_EQ(xsetbv(0, 5), V_GP);                            /* AVX without SSE */
    CHECK_EQ(xsetbv(1, 3), V_GP);
    CHECK_EQ(xsetbv(0, 3 | 1ull << 40), V_GP);
    CHECK_EQ(xsetbv(0, 3 | 1ull << 63), V_GP);
    CHECK_EQ(xsetbv(0, 3 | 0x60), V_GP);                     /* parts of AVX-512 */
    CHECK_EQ(xsetbv(0, 3), 0);
    struct ctx c = user(x_set);
    c.rax = 3;
    run(&c);
    TRAP(&c, V_GP, 0, UADDR(x_set));
    c = kernel(x_lock);
    c.rax = 3;
    run(&c);
    TRAP(&c, V_UD, 0, x_lock);
    c = user(x_get);
    run(&c);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(c.rax, 3);
    c = kernel(x_get);
    c.rcx = 2;
    run(&c);
    TRAP(&c, V_GP, 0, x_get);
    xsetbv(0, 1);
    set_cr4(cr4() & ~(word)(1 << 18));
}
/* --- far transfers --- */
SNIP(f_jmp, "ljmp *(%rdi)") SNIP(f_call, "lcall *(%rdi)") SNIP(f_ret, "lretq") SNIP(f_iret, "iretq") SNIP(f_hit, "mov %cs, %ecx")
static struct ctx far(const char *code, bool ring3, unsigned sel, uint32_t off)
{
    struct ctx c = ring3 ? user(code) : kernel(code);
    *(uint32_t *)page[6] = off, *(uint16_t *)(page[6] + 4) = sel;
    c.rdi = (word)(ring3 ? UADDR(page[6]) : page[6]);
    run(&c);
    return c;
}
static void t_far(void)
{
    gdt_set(S_CODE16, 0, 0xffff, 0x9b, 0);
    gdt_set(S_CONF, 0, 0xfffff, 0x9f, 10);
    gdt_set(S_ABSENT, 0, 0xfffff, 0x1b, 10);
    gdt_set(S_LD, 0, 0xfffff, 0x9b, 14);                     /* L and D */
    gdt_set(S_KC32, 0, 0xfffff, 0x9b, 12);
    static const struct { unsigned sel; unsigned vec; word err; } row[] = {
        { 0, V_GP, 0 }, { 3, V_GP, 0 }, { SEL_KDATA, V_GP, SEL_KDATA }, { GDT_ENTRIES * 8, V_GP, GDT_ENTRIES * 8 }, { SEL_TSS, V_GP, SEL_TSS }, { SEL_UCODE64, V_GP, SEL_UCODE64 & ~3 },
        { SEL_KCODE | 3, V_GP, SEL_KCODE }, { S_ABSENT, V_NP, S_ABSENT }, { S_LD, V_GP, S_LD }, { 4 | 8, V_GP, 4 | 8 },
    };
    const char *codes[] = { f_jmp, f_call };
    __asm__ volatile("lldt %w0" :: "r"(0));
    for (unsigned k = 0; k < 2; k++) {
        for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
            struct ctx c = far(codes[k], false, row[i].sel, (uintptr_t)f_hit);
            if (c.vec != row[i].vec || c.err != row[i].err || c.ip != (word)codes[k]) {
                fail("row %u: trap %u, error %lx, at %lx", i, (unsigned)c.vec, c.err, c.ip);
            }
        }
    }
    struct ctx c = far(f_jmp, false, SEL_KCODE, (uintptr_t)f_hit);
    TRAP(&c, V_END, 0, f_hit + 4);
    c = far(f_jmp, false, S_KC32, (uintptr_t)f_hit);         /* to compatibility code; the trap comes back */
    TRAP(&c, V_END, 0, f_hit + 4);
    CHECK_EQ(c.cs, S_KC32);
    c = far(f_jmp, true, S_CONF, (uintptr_t)f_hit);          /* conforming: CPL stays; the linear address is supervisor's: fetch faults */
    TRAP(&c, V_PF, PF_P | PF_U | PF_I, f_hit);
    CHECK_EQ(c.cs, S_CONF | 3);
    c = far(f_jmp, true, SEL_KCODE, (uintptr_t)f_hit);
    TRAP(&c, V_GP, SEL_KCODE, UADDR(f_jmp));
    gdt_set(S_KC32, 0, 0xff, 0x9b, 4);                       /* offset beyond the limit of compatibility code */
    c = far(f_jmp, false, S_KC32, 0x100);
    TRAP(&c, V_GP, 0, f_jmp);
    /* call gate, 16 bytes */
    gdt[S_GATE / 8] = ((uintptr_t)f_hit & 0xffff) | SEL_KCODE << 16 | 0xec00ull << 32 | (uint64_t)((uintptr_t)f_hit >> 16) << 48;
    gdt[S_GATE / 8 + 1] = 0;
    uint64_t rsp0 = *(uint64_t *)&tss[0][1];                 /* away from where the traps go (IST 1 is the same stack) */
    *(uint64_t *)&tss[0][1] = rsp0 - 4096;
    c = far(f_call, true, S_GATE, 0);
    *(uint64_t *)&tss[0][1] = rsp0;
    TRAP(&c, V_END, 0, f_hit + 4);
    CHECK_EQ(c.cs, SEL_KCODE);
    CHECK_EQ(c.sp, rsp0 - 4096 - 32);
    CHECK_EQ(c.ss, 0);                                       /* null SS, RPL = new CPL */
    uint64_t *sp = (uint64_t *)c.sp;
    CHECK_EQ(sp[0], (word)UADDR(f_call) + 2);
    CHECK_EQ(sp[1], SEL_UCODE64);
    CHECK_EQ(sp[2], (word)UADDR(snip_stack_top));
    CHECK_EQ(sp[3], SEL_UDATA);
    gdt[S_GATE / 8 + 1] = 1ull << 40;                        /* the upper half's type must be 0 */
    c = far(f_call, true, S_GATE, 0);
    TRAP(&c, V_GP, S_GATE, UADDR(f_call));
    gdt[S_GATE / 8 + 1] = 0x80000000;                        /* a non-canonical offset */
    c = far(f_call, true, S_GATE, 0);
    TRAP(&c, V_GP, 0, UADDR(f_call));
    gdt[S_GATE / 8 + 1] = 0;
    gdt[S_GATE / 8] = (gdt[S_GATE / 8] & ~0xffff0000ull) | (uint64_t)SEL_KCODE32 << 16;      /* to code that is not 64-bit */
    c = far(f_call, true, S_GATE, 0);
    TRAP(&c, V_GP, SEL_KCODE32, UADDR(f_call));
    gdt[S_GATE / 8] = (gdt[S_GATE / 8] & ~0xff0000000000ull) | 0xe50000000000ull;            /* task and 16-bit gates do not exist */
    c = far(f_call, true, S_GATE, 0);
    TRAP(&c, V_GP, S_GATE, UADDR(f_call));
}
static struct ctx ret(const char *code, bool ring3, const uint64_t *frame, unsigned n)
{
    struct ctx c = ring3 ? user(code) : kernel(code);
    uint64_t *sp = (uint64_t *)snip_stack_top - n;
    memcpy(sp, frame, n * 8);
    c.sp = (word)(ring3 ? UADDR(sp) : sp);
    run(&c);
    return c;
}
#define IRET(...) ({ uint64_t f_[] = { __VA_ARGS__ }; ret(f_iret, false, f_, 5); })
#define LRET(...) ({ uint64_t f_[] = { __VA_ARGS__ }; ret(f_ret, false, f_, sizeof f_ / 8); })
static void t_returns(void)
{
    word hit = (word)UADDR(f_hit), sp = (word)UADDR(snip_stack_top) - 512;
    gdt_set(S_ABSENT, 0, 0xfffff, 0x7b, 10);
    gdt_set(S_DATA1, 0, 0xfffff, 0x73, 12);                  /* stack, DPL 3, absent */
    struct ctx c = IRET(hit, SEL_UCODE64, 2, sp, SEL_UDATA);
    TRAP(&c, V_END, 0, (void *)(hit + 4));
    CHECK_EQ(c.sp, sp);
    c = IRET((word)f_hit, SEL_KCODE, 2, (word)snip_stack_top - 512, 0);              /* null SS at CPL 0 */
    TRAP(&c, V_END, 0, f_hit + 4);
    CHECK_EQ(c.ss, 0);
    c = IRET(hit, SEL_UCODE64, 2, sp, 3);                    /* ... not at CPL 3 */
    TRAP(&c, V_GP, 0, f_iret);
    c = IRET(hit, 0, 2, sp, SEL_UDATA);
    TRAP(&c, V_GP, 0, f_iret);
    c = IRET(hit, SEL_UDATA, 2, sp, SEL_UDATA);
    TRAP(&c, V_GP, SEL_UDATA & ~3, f_iret);
    c = IRET(hit, S_ABSENT | 3, 2, sp, SEL_UDATA);
    TRAP(&c, V_NP, S_ABSENT, f_iret);
    c = IRET(hit, SEL_UCODE64, 2, sp, SEL_KDATA);
    TRAP(&c, V_GP, SEL_KDATA, f_iret);
    c = IRET(hit, SEL_UCODE64, 2, sp, SEL_UCODE64);
    TRAP(&c, V_GP, SEL_UCODE64 & ~3, f_iret);
    c = IRET(hit, SEL_UCODE64, 2, sp, S_DATA1 | 3);
    TRAP(&c, V_SS, S_DATA1, f_iret);
    c = IRET(1ull << 60, SEL_UCODE64, 2, sp, SEL_UDATA);
    TRAP(&c, V_GP, 0, f_iret);
    c = kernel(f_iret);
    c.flags |= F_NT;
    run(&c);
    TRAP(&c, V_GP, 0, f_iret);                               /* no tasks here */
    uint64_t up[] = { (word)f_hit, SEL_KCODE, 2, sp, SEL_KDATA };
    c = ret(f_iret, true, up, 5);                            /* inwards */
    TRAP(&c, V_GP, SEL_KCODE, UADDR(f_iret));
    c = LRET(hit, SEL_UCODE64, sp, SEL_UDATA);
    TRAP(&c, V_END, 0, (void *)(hit + 4));
    CHECK_EQ(c.sp, sp);
    c = LRET((word)f_hit, SEL_KCODE);
    TRAP(&c, V_END, 0, f_hit + 4);
    c = LRET((word)f_hit, SEL_KDATA);
    TRAP(&c, V_GP, SEL_KDATA, f_ret);
    c = LRET(hit, SEL_UCODE64, sp, 3);
    TRAP(&c, V_GP, 0, f_ret);
    c = LRET(1ull << 60, SEL_KCODE);
    TRAP(&c, V_GP, 0, f_ret);
    /* to compatibility code below 4 GiB: the user alias is above, so the fetch faults there */
    c = IRET((word)f_hit, SEL_UCODE32, 2, 0x1000, SEL_UDATA);
    TRAP(&c, V_PF, PF_P | PF_U | PF_I, f_hit);
    CHECK_EQ(c.cs, SEL_UCODE32);
}
/* --- flags --- */
SNIP(p_popf, "push %rax\n popf\n pushf\n pop %rbx") SNIP(p_popfw, "pushw %ax\n popfw\n pushf\n pop %rbx")
static void t_flags(void)
{
    struct ctx c = kernel(p_popf);
    c.rax = 0x3f7fd7 & ~(F_TF | F_IF | F_AC | 0x20000);
    run(&c);
    CHECK_EQ(c.rbx & F_RF, 0);
    CHECK_EQ(c.rbx & 0x204cd5, 0x204cd5);                    /* arithmetic, D, NT, ID */
    CHECK_EQ(c.rbx & F_IOPL, F_IOPL);
    CHECK_EQ(c.rbx & 0x180000, 0);                           /* VIF, VIP are cleared */
    c = user(p_popf);
    c.rax = F_IOPL | F_IF | F_NT | 2 | 0x180000;
    run(&c);
    CHECK_EQ(c.rbx & (F_IOPL | F_IF | 0x180000), 0);         /* neither at CPL 3 */
    CHECK_EQ(c.rbx & F_NT, F_NT);
    c = user(p_popf);
    c.flags |= F_IOPL | F_IF;
    c.rax = 2;
    run(&c);
    CHECK_EQ(c.rbx & (F_IOPL | F_IF), F_IOPL);               /* IF by IOPL, IOPL not */
    c = kernel(p_popfw);
    c.flags |= 0x200000;
    c.rax = 2 | F_CF;
    run(&c);
    CHECK_EQ(c.rbx & (0x200000 | F_CF), 0x200000 | F_CF);    /* 16 bits: ID stays */
    c = kernel(f_hit);
    c.flags |= F_RF | F_NT;
    run(&c);
    CHECK_EQ(c.flags & F_RF, 0);                             /* gone after one instruction */
    SNIP(p_ud, "ud2")
    c = kernel(p_ud);
    run(&c);
    CHECK_EQ(c.flags & F_RF, F_RF);                          /* faults push it */
    SNIP(p_int, "int $0x90")
    c = kernel(p_int);
    run(&c);
    CHECK_EQ(c.flags & F_RF, 0);                             /* traps do not */
}
/* --- addresses --- */
SNIP(a_load, "mov (%rdi), %rax") SNIP(a_push, "push %rax") SNIP(a_jmp, "jmp *%rax") SNIP(a_call, "call *%rax") SNIP(a_ret, "push %rax\n ret") SNIP(a_rbp, "mov (%rbp), %rax")
SNIP(a_gs, "mov %gs:(%rdi), %rax") SNIP(a_movs, "movsb") SNIP(a_invlpg, "invlpg (%rdi)") SNIP(a_prefetch, "prefetcht0 (%rdi)") SNIP(a_lea, "lea (%rdi), %rax") SNIP(a_a32, "mov (%edi), %rax")
static void t_canonical(void)
{
    static const word bad[] = { 1ull << 60, 0x7fffffffffffffff, 0xff00000000000000 - 1, 0x0100000000000000 };
    for (unsigned i = 0; i < 4; i++) {
        struct ctx c = kernel(a_load);
        c.rdi = bad[i];
        run(&c);
        TRAP(&c, V_GP, 0, a_load);
        c = kernel(a_push);
        c.sp = bad[i];
        run(&c);
        TRAP(&c, V_SS, 0, a_push);
        c = kernel(a_rbp);
        c.rbp = bad[i];
        run(&c);
        TRAP(&c, V_SS, 0, a_rbp);
        c = kernel(a_invlpg);                                /* no fault */
        c.rdi = bad[i];
        run(&c);
        TRAP(&c, V_END, 0, 0);
        c = kernel(a_prefetch);
        c.rdi = bad[i];
        run(&c);
        TRAP(&c, V_END, 0, 0);
        c = kernel(a_lea);
        c.rdi = bad[i];
        run(&c);
        TRAP(&c, V_END, 0, 0);
        CHECK_EQ(c.rax, bad[i]);
        c = kernel(a_movs);
        c.rdi = bad[i], c.rsi = (word)page[0];
        run(&c);
        TRAP(&c, V_GP, 0, a_movs);
    }
    struct ctx c = kernel(a_a32);                            /* 32-bit addresses cut */
    c.rdi = 0x1200000000000000 | (word)page[0];
    run(&c);
    TRAP(&c, V_END, 0, 0);
    wrmsr(0xc0000101, (word)page[0] - 0x100);
    c = kernel(a_gs);
    c.rdi = 0x100;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    c = kernel(a_gs);
    c.rdi = 1ull << 62;
    run(&c);
    TRAP(&c, V_GP, 0, a_gs);
    wrmsr(0xc0000101, 0);
}
/* --- LAR, LSL, VERR, VERW --- */
SNIP(l_lar, "lar %ecx, %eax") SNIP(l_lsl, "lsl %ecx, %eax") SNIP(l_verr, "verr %cx") SNIP(l_verw, "verw %cx")
static bool look(const char *code, bool ring3, unsigned sel, word *v)
{
    struct ctx c = ring3 ? user(code) : kernel(code);
    c.rcx = sel, c.rax = 0x5555;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    *v = c.rax;
    return c.flags & F_ZF;
}
static void t_lar(void)
{
    word v;
    gdt_set(S_XO, 0, 0xfffff, 0x99, 10);
    gdt_set(S_RO, 0, 0x123, 0x91, 0);
    gdt_set(S_UCONF, 0, 0xfffff, 0x9f, 10);
    gdt_set(S_LDT, 0, 0x77, 0x82, 0);
    gdt[S_LDT / 8 + 1] = 0;
    CHECK(look(l_lar, false, SEL_KDATA, &v) && (v & 0xf0ff00) == 0xc09300);
    CHECK(look(l_lar, false, SEL_TSS, &v) && (v & 0xff00) == 0x8b00);
    CHECK(look(l_lar, false, S_LDT, &v) && (v & 0xff00) == 0x8200);
    CHECK(look(l_lar, false, S_GATE, &v) == false && v == 0x5555);   /* a task gate (above): not in long mode */
    CHECK(!look(l_lar, false, 0, &v) && v == 0x5555);
    CHECK(!look(l_lar, false, GDT_ENTRIES * 8, &v));
    CHECK(!look(l_lar, true, SEL_KDATA, &v));
    CHECK(look(l_lar, true, S_UCONF, &v));                   /* conforming: whatever DPL */
    CHECK(!look(l_lar, false, SEL_KDATA | 3, &v));           /* RPL counts */
    CHECK(look(l_lsl, false, SEL_KDATA, &v) && v == 0xffffffff);
    CHECK(look(l_lsl, false, S_RO, &v) && v == 0x123);
    CHECK(look(l_lsl, false, S_LDT, &v) && v == 0x77);
    CHECK(look(l_lsl, false, SEL_TSS, &v) && v == 103);
    CHECK(look(l_verr, false, SEL_KDATA, &v) && look(l_verw, false, SEL_KDATA, &v));
    CHECK(look(l_verr, false, S_RO, &v) && !look(l_verw, false, S_RO, &v));
    CHECK(!look(l_verr, false, S_XO, &v) && !look(l_verw, false, S_XO, &v));
    CHECK(look(l_verr, false, SEL_KCODE, &v) && !look(l_verw, false, SEL_KCODE, &v));
    CHECK(!look(l_verr, false, SEL_TSS, &v) && !look(l_verr, true, SEL_KDATA, &v) && look(l_verr, true, SEL_UDATA, &v) && look(l_verw, true, SEL_UDATA, &v));
}
/* IST: a switched stack even from ring 0, aligned */
static void t_ist(void)
{
    SNIP(i_ud, "ud2")
    struct ctx c = kernel(i_ud);                 /* the run time has IST 1 everywhere */
    c.sp = 0x1003;                               /* could not take a frame */
    run(&c);
    TRAP(&c, V_UD, 0, i_ud);
    CHECK_EQ(c.sp, 0x1003);
    idt[V_UD * 2] &= ~(7ull << 32);
    c = kernel(i_ud);
    c.sp -= 5;                                   /* without: on the same stack, aligned to 16 */
    *(uint64_t *)(snip_stack_top - 24) = 0x77;
    run(&c);
    TRAP(&c, V_UD, 0, i_ud);
    CHECK_EQ(c.sp, (word)snip_stack_top - 5);
    CHECK_EQ(*(uint64_t *)(snip_stack_top - 24), SEL_KDATA);
    CHECK_EQ(*(uint64_t *)(snip_stack_top - 32), (word)snip_stack_top - 5);
    CHECK_EQ(*(uint64_t *)(snip_stack_top - 56), (word)i_ud);
    idt_gate(V_UD, 0, 1);
}
/* SYSCALL and its relatives in compatibility code and with what they refuse */
SNIP(y_sysc, "syscall") SNIP(y_sysret, "sysretq") SNIP(y_land, "nop")
static void t_syscall(void)
{
    wrmsr(0xc0000081, (uint64_t)0x1b << 48 | (uint64_t)SEL_KCODE << 32);
    wrmsr(0xc0000082, (uintptr_t)y_land);
    wrmsr(0xc0000084, 0x47700 | F_CF);
    struct ctx c = user(y_sysc);
    c.flags |= F_CF | F_IF | F_DF | F_NT | F_AC;
    c.flags &= ~(word)F_IF;
    run(&c);
    TRAP(&c, V_END, 0, y_land + 3);
    CHECK_EQ(c.flags & (F_CF | F_DF | F_NT | F_AC | F_RF), 0);
    CHECK_EQ(c.r11 & (F_CF | F_DF | F_NT | F_AC), F_CF | F_DF | F_NT | F_AC);
    CHECK_EQ(c.sp, (word)UADDR(snip_stack_top));             /* the stack is not switched */
    c = user(y_sysret);
    run(&c);
    TRAP(&c, V_GP, 0, UADDR(y_sysret));
    c = kernel(y_sysret);
    c.rcx = (word)UADDR(y_land), c.r11 = F_IOPL | F_ZF | F_NT | 2;
    run(&c);
    TRAP(&c, V_END, 0, UADDR(y_land + 3));
    CHECK_EQ(c.flags & (F_IOPL | F_ZF | F_NT), F_IOPL | F_ZF | F_NT);
    wrmsr(0xc0000084, 0);
}
const struct test tests[] = {
    { "undefined", t_undefined }, { "length", t_length }, { "lock", t_lock }, { "cr-bits", t_cr }, { "cr8", t_cr8 }, { "xsetbv", t_xsetbv }, { "far", t_far }, { "returns", t_returns },
    { "flags", t_flags }, { "canonical", t_canonical }, { "lar", t_lar }, { "ist", t_ist }, { "syscall", t_syscall }, { 0, 0 },
};
