/* 32-bit protected mode and what grows out of it: segment limits, gates, task switches, virtual-8086 and real mode, A20. */
#include "tests/guests/rt.h"

enum { S_DATA = SEL_TEST, S_DOWN = SEL_TEST + 8, S_CODE16 = SEL_TEST + 16, S_GATE = SEL_TEST + 24, S_TSS2 = SEL_TEST + 32, S_FREE = SEL_TEST + 40,
       S_DATA16 = SEL_TEST + 48, S_CONF = SEL_TEST + 56 };
SNIP(l_load, "mov %gs:(%edi), %eax") SNIP(l_store, "movl $0x55, %gs:(%edi)") SNIP(l_byte, "mov %gs:(%edi), %al") SNIP(l_stack, "mov %ss:(%edi), %eax") SNIP(l_push, "push %eax")

static struct ctx seg(const char *code, unsigned sel, uint32_t at)
{
    struct ctx c = kernel(code);
    c.gs = sel;
    c.rdi = at;
    run(&c);
    return c;
}
static void t_limits(void)
{
    gdt_set(S_DATA, (uintptr_t)page[0], 0x1003, 0x93, 4);
    gdt_set(S_DOWN, (uintptr_t)page[0], 0x0fff, 0x97, 4);
    *(uint32_t *)(page[0] + 0x1000) = 0x1234;
    struct ctx c = seg(l_load, S_DATA, 0x1000);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(c.rax, 0x1234);
    c = seg(l_load, S_DATA, 0x1001);
    TRAP(&c, V_GP, 0, l_load);
    c = seg(l_byte, S_DATA, 0x1003);
    TRAP(&c, V_END, 0, 0);
    c = seg(l_byte, S_DATA, 0x1004);
    TRAP(&c, V_GP, 0, l_byte);
    c = seg(l_load, S_DATA, 0xfffffffe);         /* wraps */
    TRAP(&c, V_GP, 0, l_load);
    c = seg(l_load, S_DOWN, 0x1000);             /* expand-down: valid above the limit */
    TRAP(&c, V_END, 0, 0);
    c = seg(l_load, S_DOWN, 0x0ffd);
    TRAP(&c, V_GP, 0, l_load);
    c = seg(l_store, S_DOWN, 0xfff);
    TRAP(&c, V_GP, 0, l_store);
    gdt_set(S_DATA, (uintptr_t)page[0], 0xfff, 0x91, 4);
    c = seg(l_store, S_DATA, 0);                 /* read only */
    TRAP(&c, V_GP, 0, l_store);
    c = seg(l_load, 0, 0);                       /* null */
    TRAP(&c, V_GP, 0, l_load);
    c = user(l_stack);                           /* a stack segment: #SS */
    gdt_set(S_DATA, (uintptr_t)page[0], 0xfff, 0xf3, 4);
    c.ss = S_DATA | 3;
    c.rdi = 0xffe, c.sp = 0x800;
    run(&c);
    TRAP(&c, V_SS, 0, l_stack);
    c = user(l_push);
    c.ss = S_DATA | 3, c.sp = 0x1004;
    run(&c);
    TRAP(&c, V_SS, 0, l_push);
    CHECK_EQ(c.sp, 0x1004);
    c = user(l_push);
    c.ss = S_DATA | 3, c.sp = 0x1000, c.rax = 0x99;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(*(uint32_t *)(page[0] + 0xffc), 0x99);
}
static void t_code_limit(void)
{
    struct ctx c;
    /* code limit: the instruction that crosses it faults */
    gdt_set(S_CODE16, (uintptr_t)page[1], 0x0f, 0xfb, 4);
    memset(page[1], 0x90, 64);
    c = user(0);
    c.cs = S_CODE16 | 3, c.ip = 4;
    run(&c);
    TRAP(&c, V_GP, 0, (void *)0x10);
    page[1][0xe] = 0xb8;
    c = user(0);
    c.cs = S_CODE16 | 3, c.ip = 4;
    run(&c);
    TRAP(&c, V_GP, 0, (void *)0xe);
}
/* 16-bit code: sizes, stack pointer width, wrap of ip-relative jumps. */
static void t_code16(void)
{
    static const uint8_t code[] = { 0xb8, 0x34, 0x12, 0x50, 0x66, 0x50, 0xcd, V_END };   /* mov $0x1234,%ax; push %ax; push %eax */
    gdt_set(S_CODE16, (uintptr_t)page[1], 0xffff, 0xfb, 0);
    gdt_set(S_DATA16, (uintptr_t)page[2], 0xffff, 0xf3, 0);
    memcpy(page[1] + 100, code, sizeof code);
    struct ctx c = user(0);
    c.cs = S_CODE16 | 3, c.ip = 100, c.ss = S_DATA16 | 3, c.sp = 0xabcd0100, c.rax = 0x77770000;
    run(&c);
    TRAP(&c, V_END, 0, (void *)108);
    CHECK_EQ(c.rax, 0x77771234);
    CHECK_EQ(c.sp & 0xffff, 0xfa);               /* only SP moves */
    CHECK_EQ(*(uint16_t *)(page[2] + 0xfe), 0x1234);
    CHECK_EQ(*(uint32_t *)(page[2] + 0xfa), 0x77771234);
    page[1][0] = 0xcd, page[1][1] = V_END;
    page[1][200] = 0xe9, *(uint16_t *)(page[1] + 201) = (uint16_t)-203;  /* to 0 by wrapping */
    c = user(0);
    c.cs = S_CODE16 | 3, c.ip = 200, c.ss = S_DATA16 | 3, c.sp = 0x100;
    run(&c);
    TRAP(&c, V_END, 0, (void *)2);
}
/* --- gates --- */
SNIP(g_call, ".byte 0x9a\n .long 0\n .word 0x68 + 3") SNIP(g_target, "mov 8(%esp), %ebx\n mov %esp, %ebp\n mov %cs, %ecx") SNIP(g_lret, "lret $4") SNIP(g_back, "nop")
static void t_gate(void)
{
    gdt[S_GATE / 8] = ((uintptr_t)g_target & 0xffff) | SEL_KCODE << 16 | 0xec01ull << 32 | (uint64_t)((uintptr_t)g_target >> 16) << 48;
    struct ctx c = user(g_call);
    ((uint32_t *)c.sp)[-1] = 0xfeed;
    c.sp -= 4;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(c.rbx, 0xfeed);                     /* the parameter */
    CHECK_EQ(c.rcx, SEL_KCODE);
    CHECK_EQ(c.rbp, tss[0][1] - 20);
    gdt[S_GATE / 8] &= ~(3ull << 45);            /* DPL 0 */
    c = user(g_call);
    run(&c);
    TRAP(&c, V_GP, S_GATE, g_call);
    gdt[S_GATE / 8] = (gdt[S_GATE / 8] | 3ull << 45) & ~(1ull << 47);
    c = user(g_call);
    run(&c);
    TRAP(&c, V_NP, S_GATE, g_call);
    c = kernel(g_lret);                          /* to the outer ring, with parameters on both stacks */
    c.sp -= 20;
    uint32_t *f = (uint32_t *)c.sp;
    f[0] = (uintptr_t)g_back, f[1] = SEL_UCODE32, f[2] = 0x11, f[3] = (uintptr_t)snip_stack_top - 256, f[4] = SEL_UDATA;
    run(&c);
    TRAP(&c, V_END, 0, g_back + 3);
    CHECK_EQ(c.cs, SEL_UCODE32);
    CHECK_EQ(c.sp, (word)snip_stack_top - 252);
}
/* --- tasks --- */
static uint32_t tss2[26], task_stack[64];
SNIP(k_jmp, ".byte 0xea\n .long 0\n .word 0x70") SNIP(k_call, ".byte 0x9a\n .long 0\n .word 0x70\n inc %esi") SNIP(k_task, "1: inc %ebx\n iret\n jmp 1b") SNIP(k_end, "inc %ecx")
static void task(const char *code)
{
    memset(tss2, 0, sizeof tss2);
    tss2[8] = (uintptr_t)code, tss2[9] = 2, tss2[14] = (uintptr_t)(task_stack + 64), tss2[13] = 10, tss2[11] = 5;
    tss2[18] = tss2[21] = tss2[22] = tss2[23] = SEL_UDATA, tss2[19] = SEL_KCODE, tss2[20] = SEL_KDATA, tss2[25] = 104 << 16;
    gdt_set(S_TSS2, (uintptr_t)tss2, 103, 0x89, 0);
    gdt_set(SEL_TSS, (uintptr_t)tss[0], 103, 0x89, 0);
    __asm__ volatile("ltr %w0" :: "r"(SEL_TSS));
}
static void t_task(void)
{
    unsigned sel;
    task(k_end);
    struct ctx c = kernel(k_jmp);
    run(&c);
    TRAP(&c, V_END, 0, k_end + 3);
    CHECK_EQ(c.rcx, 6);                          /* registers come from the new TSS */
    __asm__ volatile("str %0" : "=r"(sel));
    CHECK_EQ(sel, S_TSS2);
    CHECK_EQ(cr0() & 8, 8);                      /* TS */
    set_cr0(cr0() & ~(word)8);
    CHECK_EQ(gdt[SEL_TSS / 8] >> 40 & 0xf, 9);   /* the old one is free, the new one busy */
    CHECK_EQ(gdt[S_TSS2 / 8] >> 40 & 0xf, 11);
    CHECK_EQ(tss[0][8], (word)k_jmp + 7);
    task(k_task);
    c = kernel(k_call);
    c.rsi = 1;
    run(&c);
    TRAP(&c, V_END, 0, k_call + 10);
    CHECK_EQ(c.rsi, 2);
    CHECK_EQ(tss2[13], 11);                      /* ebx was saved by iret */
    CHECK_EQ(tss2[0] & 0xffff, SEL_TSS);
    CHECK_EQ(c.flags & F_NT, 0);
    set_cr0(cr0() & ~(word)8);
    task(k_task);                                /* absent, busy and short TSS */
    gdt[S_TSS2 / 8] |= 2ull << 40;
    c = kernel(k_jmp);
    run(&c);
    TRAP(&c, V_GP, S_TSS2, k_jmp);
    gdt_set(S_TSS2, (uintptr_t)tss2, 102, 0x89, 0);
    c = kernel(k_jmp);
    run(&c);
    TRAP(&c, V_TS, S_TSS2, k_jmp);
    gdt_set(S_TSS2, (uintptr_t)tss2, 103, 0x09, 0);
    c = kernel(k_jmp);
    run(&c);
    TRAP(&c, V_NP, S_TSS2, k_jmp);
    task(k_end);
}
/* --- virtual-8086 --- */
static struct ctx v86(const uint8_t *code, unsigned n, word flags)
{
    memcpy((void *)0x8000, code, n);
    struct ctx c = kernel(0);
    c.ip = 0, c.cs = 0x800, c.ss = 0x700, c.sp = 0x100, c.vds = 0x900, c.ves = 0xa00, c.vfs = 0xb00, c.vgs = 0xc00;
    c.flags = 2 | F_VM | flags;
    run(&c);
    return c;
}
#define V86(flags, ...) ({ static const uint8_t b_[] = { __VA_ARGS__ }; v86(b_, sizeof b_, flags); })
static void t_v86(void)
{
    *(volatile uint16_t *)0x9010 = 0x4321;
    struct ctx c = V86(F_IOPL, 0xa1, 0x10, 0x00, 0x8c, 0xdb, 0x50, 0xcd, V_END);   /* mov 0x10,%ax; mov %ds,%bx; push %ax */
    TRAP(&c, V_END, 0, (void *)8);
    CHECK_EQ(c.rax & 0xffff, 0x4321);
    CHECK_EQ(c.rbx & 0xffff, 0x900);
    CHECK_EQ(c.sp & 0xffff, 0xfe);
    CHECK_EQ(*(volatile uint16_t *)0x70fe, 0x4321);
    CHECK(c.flags & F_VM);
    CHECK_EQ(c.vds, 0x900);
    CHECK_EQ(c.vgs, 0xc00);
    static const uint8_t sensitive[] = { 0xfa, 0xfb, 0x9c, 0x9d, 0xcf };   /* cli sti pushf popf iret: #GP below IOPL 3 */
    for (unsigned i = 0; i < sizeof sensitive; i++) {
        c = v86(&sensitive[i], 1, 0);
        TRAP(&c, V_GP, 0, (void *)0);
        CHECK_EQ(c.cs, 0x800);
    }
    c = V86(0, 0xcd, 0x21);
    TRAP(&c, V_GP, 0, (void *)0);
    c = V86(F_IOPL, 0xf4);
    TRAP(&c, V_GP, 0, (void *)0);
    c = V86(F_IOPL, 0x0f, 0x00, 0xd8);           /* ltr: #UD */
    TRAP(&c, V_UD, 0, (void *)0);
    c = V86(F_IOPL, 0xa1, 0xff, 0xff);           /* a word over the end of the segment */
    TRAP(&c, V_GP, 0, (void *)0);
    c = V86(0, 0xe4, 0x80);                      /* in: by the I/O bitmap, which is not there */
    TRAP(&c, V_GP, 0, (void *)0);
}
/* --- real mode --- */
__asm__(".pushsection .snip,\"awx\"\n.balign 16\n.globl real_enter, real_blob, real_blob_end\n"
    "real_enter: pusha\n pushf\n cli\n mov %esp, real_sp\n sidt real_idt\n mov $0x80, %eax\n mov %eax, %ds\n mov %eax, %ss\n mov %eax, %es\n"
    " mov $0x10, %eax\n mov %eax, %fs\n ljmp $0x60, $0\n"
    ".code16\nreal_blob: mov %cr0, %eax\n and $0xfe, %al\n mov %eax, %cr0\n ljmp $0x800, $1f - real_blob\n"
    "1: xor %ax, %ax\n mov %ax, %ds\n mov %ax, %es\n mov %ax, %ss\n mov $0x7c00, %sp\n lidtl %cs:real_ivt - real_blob\n"
    " movw $real_int - real_blob, 0x40 * 4\n movw $0x800, 0x40 * 4 + 2\n movw $real_gp - real_blob, 13 * 4\n movw $0x800, 13 * 4 + 2\n"
    " movl $0, 0x7000\n movl $0, 0x7004\n stc\n int $0x40\n"                                   /* 7000: by the handler */
    " xor %bx, %bx\n mov 0xffff, %ax\n"                                                          /* 3 bytes, #GP: word over the end */
    " mov %bx, 0x7006\n"
    " mov $0x7010, %edi\n mov $0x200000, %esi\n mov %fs:(%esi), %eax\n mov %eax, 0x7008\n"                           /* unreal: limit and base of fs stay */
    " push %sp\n pop %ax\n mov %ax, 0x700c\n"
    " mov $0xffff, %ax\n mov %ax, %es\n movw $0x1111, %es:0x510\n movw $0x2222, 0x500\n mov %es:0x510, %ax\n mov %ax, 0x7010\n"
    " mov $0xdd, %al\n out %al, $0x64\n in $0x92, %al\n and $0xfd, %al\n out %al, $0x92\n movw $0x3333, 0x500\n mov %es:0x510, %ax\n mov %ax, 0x7012\n"
    " in $0x92, %al\n or $2, %al\n out %al, $0x92\n mov %es:0x510, %ax\n mov %ax, 0x7014\n"
    " mov %cr0, %eax\n or $1, %al\n mov %eax, %cr0\n ljmpl $8, $real_back\n"
    "real_int: push %bp\n mov %sp, %bp\n mov 6(%bp), %ax\n mov %ax, 0x7000\n mov 4(%bp), %ax\n mov %ax, 0x7002\n mov %sp, 0x7004\n pop %bp\n iret\n"
    "real_gp: push %bp\n mov %sp, %bp\n addw $3, 2(%bp)\n inc %bx\n pop %bp\n iret\n"
    "real_ivt: .word 0x3ff\n .long 0\nreal_blob_end:\n"
    ".code32\nreal_back: mov $0x10, %eax\n mov %eax, %ss\n mov $0x23, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %fs\n mov %eax, %gs\n"
    " mov real_sp, %esp\n lidt real_idt\n popf\n popa\n ret\n.balign 8\nreal_sp: .long 0\nreal_idt: .long 0, 0\n.popsection");
void real_enter(void);
extern char real_blob[], real_blob_end[];
static void t_real(void)
{
    gdt_set(S_CODE16, 0x8000, 0xffff, 0x9b, 0);
    gdt_set(S_DATA16, 0, 0xffff, 0x93, 0);
    memcpy((void *)0x8000, real_blob, real_blob_end - real_blob);
    *(volatile uint32_t *)0x200000 = 0xcafe1234;
    real_enter();
    CHECK_EQ(*(volatile uint16_t *)0x7000 & (F_CF | 2), F_CF | 2);
    CHECK_EQ(*(volatile uint16_t *)0x7002, 0x800);
    CHECK_EQ(*(volatile uint16_t *)0x7004, 0x7c00 - 8);
    CHECK_EQ(*(volatile uint16_t *)0x7006, 1);
    CHECK_EQ(*(volatile uint32_t *)0x7008, 0xcafe1234);
    CHECK_EQ(*(volatile uint16_t *)0x700c, 0x7c00);
    CHECK_EQ(*(volatile uint16_t *)0x7010, 0x1111);      /* ffff:0510 is 1 MiB + 0x500 */
    CHECK_EQ(*(volatile uint16_t *)0x7012, 0x3333);      /* A20 off at both gates: it wraps */
    CHECK_EQ(*(volatile uint16_t *)0x7014, 0x1111);
}
/* --- paging without long mode --- */
static uint32_t pd32[1024] __attribute__((aligned(4096))), pt32[1024] __attribute__((aligned(4096)));
static uint64_t pdpt[4] __attribute__((aligned(32))), pae_pd[512] __attribute__((aligned(4096))), pae_pt[512] __attribute__((aligned(4096)));
SNIP(p_store, "movl $7, (%edi)")
static void t_paging(void)
{
    for (unsigned i = 0; i < 1024; i++) {
        pd32[i] = i << 22 | 0x83;
    }
    pd32[0x300] = (uintptr_t)pt32 | 7;
    pt32[5] = (uintptr_t)page[3] | 5;
    pt32[6] = (uintptr_t)page[4] | 7;
    set_cr4(cr4() | 0x10);
    set_cr3((uintptr_t)pd32);
    set_cr0(cr0() | 0x80010000);
    *(volatile uint32_t *)page[4] = 0x600d;
    CHECK_EQ(*(volatile uint32_t *)0xc0006000, 0x600d);
    struct ctx c = kernel(p_store);
    c.rdi = 0xc0005010;
    run(&c);
    TRAP(&c, V_PF, PF_P | PF_W, p_store);
    CHECK_EQ(c.cr2, 0xc0005010);
    c = kernel(p_store);
    c.rdi = 0xc0006010;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(*(volatile uint32_t *)&pt32[6] & 0x60, 0x60);
    set_cr0(cr0() & ~(word)0x80000000);
    for (unsigned i = 0; i < 512; i++) {
        pae_pd[i] = (uint64_t)i << 21 | 0x83;
    }
    pdpt[0] = (uintptr_t)pae_pd | 1, pdpt[3] = 0;
    pae_pd[300] = (uintptr_t)pae_pt | 7;
    pae_pt[5] = (uintptr_t)page[3] | 5;
    pae_pt[6] = (uintptr_t)page[4] | 7;
    set_cr4(cr4() | 0x20);
    set_cr3((uintptr_t)pdpt);
    set_cr0(cr0() | 0x80000000);
    CHECK_EQ(*(volatile uint32_t *)((300u << 21) + 0x6000), 0x600d);
    c = kernel(p_store);
    c.rdi = (300u << 21) + 0x5000;
    run(&c);
    TRAP(&c, V_PF, PF_P | PF_W, p_store);
    c = kernel(p_store);
    c.rdi = 0xc0000000;
    run(&c);
    TRAP(&c, V_PF, PF_W, p_store);
    set_cr0(cr0() & ~(word)0x80000000);
    set_cr4(cr4() & ~(word)0x30);
}
const struct test tests[] = {
    { "limits", t_limits }, { "code-limit", t_code_limit }, { "code16", t_code16 }, { "gate", t_gate }, { "task", t_task }, { "v86", t_v86 }, { "real", t_real }, { "paging32", t_paging }, { 0, 0 },
};
