/* Exceptions: vectors, error codes, return addresses; interrupt shadow, single-step, debug registers; system call instructions. */
#include "tests/guests/rt.h"

SNIP(e_de, "xor %ecx, %ecx\n div %ecx") SNIP(e_idiv, "idiv %rcx") SNIP(e_int3, "int3") SNIP(e_int3l, ".byte 0xcd, 3") SNIP(e_intn, "int $0x90")
SNIP(e_int20, "int $0x20") SNIP(e_ud2, "ud2") SNIP(e_icebp, ".byte 0xf1") SNIP(e_push_es, ".byte 6") SNIP(e_lockmov, ".byte 0xf0, 0x89, 0x07")
SNIP(e_lockreg, ".byte 0xf0, 0x01, 0xc0") SNIP(e_long, ".fill 15, 1, 0x66\n nop") SNIP(e_fpu, "fld1") SNIP(e_sse, "addps %xmm0, %xmm0")
SNIP(e_wait, "wait") SNIP(e_mf, "fninit\n movw $0x37b, -8(%rsp)\n fldcw -8(%rsp)\n fld1\n fldz\n fdivrp\n nop\n wait")
SNIP(e_xm, "movl $0x1d80, -8(%rsp)\n ldmxcsr -8(%rsp)\n xorps %xmm0, %xmm0\n cvtsi2sd %ecx, %xmm1\n divsd %xmm0, %xmm1")
SNIP(e_sel, "mov %eax, %ds") SNIP(e_ss, "mov %eax, %ss") SNIP(e_lret, "lretq") SNIP(e_iret, "iretq") SNIP(e_hlt, "hlt") SNIP(e_cli, "cli") SNIP(e_in, "in $0x80, %al")
SNIP(e_lldt, "lldt %ax") SNIP(e_ltr, "ltr %ax") SNIP(e_mxcsr, "movl $0x10000, -8(%rsp)\n ldmxcsr -8(%rsp)") SNIP(e_rdpmc, "rdpmc") SNIP(e_msr, "rdmsr")
SNIP(e_swapgs, "swapgs") SNIP(e_invlpg, "invlpg (%rax)") SNIP(e_clts, "clts") SNIP(e_lgdt, "lgdt (%rdi)") SNIP(e_lmsw, "lmsw %ax") SNIP(e_wbinvd, "wbinvd") SNIP(e_sysret, "sysretq")
SNIP(e_rdtsc, "rdtsc") SNIP(e_str, "str %eax")

static struct ctx go(const char *code, bool ring3)
{
    struct ctx c = ring3 ? user(code) : kernel(code);
    run(&c);
    return c;
}
static void t_vectors(void)
{
    struct ctx c = go(e_de, false);
    TRAP(&c, V_DE, 0, e_de + 2);
    c = kernel(e_idiv);                          /* overflow of the quotient */
    c.rax = 0, c.rdx = 0x8000000000000000, c.rcx = -1;
    run(&c);
    TRAP(&c, V_DE, 0, e_idiv);
    CHECK_EQ(c.rdx, 0x8000000000000000);
    c = go(e_int3, true);
    TRAP(&c, V_BP, 0, UADDR(e_int3 + 1));
    c = go(e_int3l, true);
    TRAP(&c, V_BP, 0, UADDR(e_int3l + 2));
    c = go(e_intn, true);
    TRAP(&c, 0x90, 0, UADDR(e_intn + 2));
    c = go(e_int20, true);                       /* gate with DPL 0 */
    TRAP(&c, V_GP, 0x20 * 8 + 2, UADDR(e_int20));
    c = go(e_int20, false);
    TRAP(&c, 0x20, 0, e_int20 + 2);
    idt_gate(0x90, 3, 0);
    c = go(e_intn, true);
    TRAP(&c, V_NP, 0x90 * 8 + 2, UADDR(e_intn));
    idt_gate(0x90, 3, 1);
    idt_gate(V_DE, 0, 0);                        /* contributory, and so is #NP for its gate */
    c = go(e_de, true);
    TRAP(&c, V_DF, 0, 0);
    idt_gate(V_DE, 0, 1);
    c = go(e_ud2, true);
    TRAP(&c, V_UD, 0, UADDR(e_ud2));
    c = go(e_push_es, false);
    TRAP(&c, V_UD, 0, e_push_es);
    c = go(e_lockmov, false);
    TRAP(&c, V_UD, 0, e_lockmov);
    c = go(e_lockreg, false);
    TRAP(&c, V_UD, 0, e_lockreg);
    c = go(e_long, false);
    TRAP(&c, V_GP, 0, e_long);
    c = go(e_icebp, true);
    TRAP(&c, V_DB, 0, UADDR(e_icebp + 1));
}
static void t_double(void)
{
    idt_gate(V_GP, 0, 0);                        /* #GP while delivering #NP, both contributory */
    idt_gate(V_NP, 0, 0);
    struct ctx c = go(e_hlt, true);
    TRAP(&c, V_DF, 0, 0);
    idt_gate(V_GP, 0, 1);
    idt_gate(V_NP, 0, 1);
    idt_gate(V_PF, 0, 0);                        /* page fault, then contributory (SDM vol. 3, table 6-5) */
    SNIP(e_pf, "mov 0x7000000000, %rax")
    c = go(e_pf, true);
    TRAP(&c, V_DF, 0, 0);
    idt_gate(V_PF, 0, 1);
    idt_gate(V_UD, 0, 0);                        /* benign, then contributory: no double fault */
    c = go(e_ud2, true);
    TRAP(&c, V_NP, V_UD * 8 + 3, UADDR(e_ud2));
    idt_gate(V_UD, 0, 1);
}
static void t_privilege(void)
{
    const char *gp[] = { e_hlt, e_cli, e_in, e_lldt, e_ltr, e_msr, e_swapgs, e_invlpg, e_clts, e_lgdt, e_lmsw, e_wbinvd, e_sysret };
    for (unsigned i = 0; i < sizeof gp / sizeof *gp; i++) {
        struct ctx c = user(gp[i]);
        c.rdi = (word)UADDR(page[0]);
        run(&c);
        if (c.vec != V_GP || c.err || c.ip != (word)UADDR(gp[i])) {
            fail("privileged %u: trap %u, error %lx", i, (unsigned)c.vec, c.err);
        }
    }
    set_cr4(cr4() | 4);
    struct ctx c = go(e_rdtsc, true);
    TRAP(&c, V_GP, 0, UADDR(e_rdtsc));
    c = go(e_rdtsc, false);
    TRAP(&c, V_END, 0, 0);
    set_cr4(cr4() & ~(word)4);
    c = go(e_rdtsc, true);
    TRAP(&c, V_END, 0, 0);
    uint32_t r[4];
    cpuid(7, 0, r);
    if (r[2] & 4) {
        set_cr4(cr4() | 0x800);
        c = go(e_str, true);
        TRAP(&c, V_GP, 0, UADDR(e_str));
        set_cr4(cr4() & ~(word)0x800);
    }
    c = user(e_cli);                             /* IOPL lets it */
    c.flags |= F_IOPL;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    c = user(e_in);
    c.flags |= F_IOPL;
    run(&c);
    TRAP(&c, V_END, 0, 0);
}
static void t_fpu(void)
{
    set_cr0(cr0() | 8);                          /* TS */
    struct ctx c = go(e_fpu, true);
    TRAP(&c, V_NM, 0, UADDR(e_fpu));
    c = go(e_sse, false);
    TRAP(&c, V_NM, 0, e_sse);
    c = go(e_wait, false);
    TRAP(&c, V_NM, 0, e_wait);
    set_cr0(cr0() & ~(word)8);
    set_cr0(cr0() | 4);                          /* EM */
    c = go(e_fpu, false);
    TRAP(&c, V_NM, 0, e_fpu);
    c = go(e_sse, false);
    TRAP(&c, V_UD, 0, e_sse);
    set_cr0(cr0() & ~(word)4);
    set_cr4(cr4() & ~(word)0x200);               /* OSFXSR */
    c = go(e_sse, false);
    TRAP(&c, V_UD, 0, e_sse);
    set_cr4(cr4() | 0x200);
    c = go(e_mxcsr, false);
    TRAP(&c, V_GP, 0, e_mxcsr + 8);
    c = go(e_mf, true);
    TRAP(&c, V_MF, 0, 0);
    __asm__ volatile("fninit");
}
static void t_xm(void)
{
    struct ctx c = kernel(e_xm);
    c.rcx = 1;
    run(&c);
    TRAP(&c, V_XM, 0, 0);
    set_cr4(cr4() & ~(word)0x400);               /* no OSXMMEXCPT: #UD instead */
    c = kernel(e_xm);
    c.rcx = 1;
    run(&c);
    TRAP(&c, V_UD, 0, 0);
    set_cr4(cr4() | 0x400);
    uint32_t init = 0x1f80;
    __asm__ volatile("ldmxcsr %0" :: "m"(init));
}
static void t_selectors(void)
{
    gdt_set(SEL_TEST, 0, 0xfffff, 0x73, 12);             /* data, DPL 3, absent */
    gdt_set(SEL_TEST + 8, 0, 0xfffff, 0x99, 10);         /* code, execute only */
    gdt_set(SEL_TEST + 16, 0, 0xfffff, 0x91, 12);        /* data, read only */
    __asm__ volatile("lldt %w0" :: "r"(0));
    struct { const char *code; bool ring3; word sel; unsigned vec; word err; } row[] = {
        { e_sel, 0, SEL_TEST, V_NP, SEL_TEST }, { e_sel, 0, SEL_TEST + 8, V_GP, SEL_TEST + 8 }, { e_sel, 0, GDT_ENTRIES * 8, V_GP, GDT_ENTRIES * 8 },
        { e_sel, 1, SEL_KDATA, V_GP, SEL_KDATA }, { e_sel, 0, 4 | 8, V_GP, 4 | 8 }, { e_sel, 0, 3, V_END, 0 }, { e_sel, 0, 0, V_END, 0 },
        { e_ss, 0, SEL_TEST + 16, V_GP, SEL_TEST + 16 }, { e_ss, 0, SEL_UDATA, V_GP, SEL_UDATA & ~3 }, { e_ss, 1, 0, V_GP, 0 }, { e_ss, 0, 0, V_END, 0 },
        { e_ss, 0, SEL_TEST, V_GP, SEL_TEST }, { e_lldt, 0, SEL_KDATA, V_GP, SEL_KDATA }, { e_ltr, 0, SEL_TSS, V_GP, SEL_TSS }, { e_lldt, 0, 0, V_END, 0 },
    };
    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        struct ctx c = row[i].ring3 ? user(row[i].code) : kernel(row[i].code);
        c.rax = row[i].sel;
        run(&c);
        if (c.vec != row[i].vec || (c.vec != V_END && c.err != row[i].err)) {
            fail("selector row %u: trap %u, error %lx", i, (unsigned)c.vec, c.err);
        }
    }
    gdt_set(SEL_TEST, 0, 0xfffff, 0x13, 12);             /* stack, DPL 0, absent: #SS */
    struct ctx c = kernel(e_ss);
    c.rax = SEL_TEST;
    run(&c);
    TRAP(&c, V_SS, SEL_TEST, e_ss);
    CHECK(gdt[SEL_UDATA / 8] >> 40 & 1);                 /* accessed */
}

/* --- single step --- */
static unsigned steps;
static word step_ip[64], step_rcx[64];
static bool on_step(struct ctx *f)
{
    if (steps < 64) {
        step_ip[steps] = f->ip;
        step_rcx[steps] = f->rcx;
    }
    steps++;
    CHECK_EQ(dr6() & 0x4000, 0x4000);
    set_dr6(0xffff0ff0);
    return true;
}
SNIP(t_plain, "nop\n 1: inc %eax\n 2: nop")
SNIP(t_ss, "mov %ss, %eax\n mov %eax, %ss\n nop\n nop")
SNIP(t_rep, "rep stosb\n nop")
SNIP(t_popf, "pushf\n andl $~0x100, (%rsp)\n popf\n nop\n nop")
SNIP(t_setpopf, "pushf\n orl $0x100, (%rsp)\n popf\n nop\n nop\n ud2")
SNIP(t_sysc, "syscall")
SNIP(t_jmp, "jmp 1f\n nop\n 1: loop 1b\n nop")
static void step(struct ctx *c)
{
    steps = 0;
    set_dr6(0xffff0ff0);
    handler[V_DB] = on_step;
    run(c);
    handler[V_DB] = NULL;
}
static void t_step(void)
{
    struct ctx c = kernel(t_plain);
    c.flags |= F_TF;
    step(&c);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(steps, 3);
    CHECK_EQ(step_ip[0], (word)t_plain + 1);
    CHECK_EQ(step_ip[1], (word)t_plain + 3);
    CHECK_EQ(step_ip[2], (word)t_plain + 4);             /* int n clears TF: no step behind it */
    c = kernel(t_ss);
    c.flags |= F_TF;
    step(&c);
    CHECK_EQ(steps, 3);                                  /* none right behind mov ss */
    CHECK_EQ(step_ip[1], (word)t_ss + 5);
    c = kernel(t_rep);
    c.flags |= F_TF;
    c.rdi = (word)page[0], c.rcx = 5;
    step(&c);
    CHECK_EQ(steps, 6);                                  /* one each iteration */
    CHECK_EQ(step_ip[0], (word)t_rep);
    CHECK_EQ(step_rcx[0], 4);
    CHECK_EQ(step_ip[4], (word)t_rep + 2);
    c = kernel(t_popf);
    c.flags |= F_TF;
    step(&c);
    CHECK_EQ(steps, 3);                                  /* the popf that clears TF still steps (TF at its start) */
    c = kernel(t_setpopf);
    step(&c);
    TRAP(&c, V_UD, 0, 0);
    CHECK_EQ(steps, 2);                                  /* the popf that sets TF does not */
    c = kernel(t_jmp);
    c.flags |= F_TF;
    c.rcx = 3;
    step(&c);
    CHECK_EQ(steps, 5);
    c = user(t_plain);
    c.flags |= F_TF;
    step(&c);
    CHECK_EQ(steps, 3);
}
SNIP(lstar_code, "nop\n nop")
static void t_step_syscall(void)
{
    wrmsr(0xc0000081, (uint64_t)0x1b << 48 | (uint64_t)SEL_KCODE << 32);
    wrmsr(0xc0000082, (uintptr_t)lstar_code);
    wrmsr(0xc0000084, F_TF);                             /* SYSCALL masks TF: no step in the kernel */
    struct ctx c = user(t_sysc);
    c.flags |= F_TF;
    step(&c);
    TRAP(&c, V_END, 0, lstar_code + 4);
    CHECK_EQ(steps, 0);
    CHECK_EQ(c.rcx, (word)UADDR(t_sysc + 2));
    CHECK_EQ(c.r11 & F_TF, F_TF);
    CHECK_EQ(c.cs, SEL_KCODE);
    CHECK_EQ(c.ss, SEL_KDATA);
    wrmsr(0xc0000084, F_IF);
    c = user(t_sysc);
    c.flags |= F_TF;
    step(&c);
    CHECK(steps >= 2);                                   /* not masked: steps at the target */
    CHECK_EQ(step_ip[0], (word)lstar_code);
}

/* --- debug registers --- */
SNIP(d_code, "nop\n inc %eax\n inc %eax\n nop") SNIP(d_load, "mov (%rdi), %eax\n nop") SNIP(d_store, "mov %eax, (%rdi)\n nop\n nop") SNIP(d_drget, "mov %dr0, %rax") SNIP(d_dr4, "mov %dr4, %rax")
SNIP(d_movs, "rep movsb") SNIP(d_push, "push %rax\n nop")
static void t_debug(void)
{
    set_dr0((word)d_code + 3);
    set_dr7(0x402);
    set_dr6(0xffff0ff0);
    struct ctx c = go(d_code, false);
    TRAP(&c, V_DB, 0, d_code + 3);
    CHECK_EQ(c.dr6 & 0xf, 1);
    CHECK_EQ(c.rax, 1);
    set_dr6(0xffff0ff0);
    c.flags |= F_RF;                                     /* resumes over it */
    run(&c);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(c.rax, 2);
    CHECK_EQ(c.flags & F_RF, 0);
    set_dr7(0x400);
    c = go(d_code, false);
    TRAP(&c, V_END, 0, 0);
    set_dr7(0x2400);                                     /* GD */
    c = go(d_drget, false);
    TRAP(&c, V_DB, 0, d_drget);
    CHECK_EQ(c.dr6 & 0x2000, 0x2000);
    set_dr7(0x400);
    set_dr6(0xffff0ff0);
    c = go(d_drget, true);
    TRAP(&c, V_GP, 0, UADDR(d_drget));
    set_cr4(cr4() | 8);
    c = go(d_dr4, false);
    TRAP(&c, V_UD, 0, d_dr4);
    set_cr4(cr4() & ~(word)8);
    CHECK_EQ(dr7(), 0x400);
    CHECK_EQ(dr6(), 0xffff0ff0);
}

static void t_debug_data(void)
{
    struct ctx c;
    /* data, 4 bytes, write */
    set_dr1((word)page[2] + 8);
    set_dr7(0x400 | 2 << 2 | 0xdu << 20);
    c = kernel(d_store);
    c.rdi = (word)page[2] + 8;
    run(&c);
    TRAP(&c, V_DB, 0, d_store + 2);
    CHECK_EQ(c.dr6 & 0xf, 2);
    set_dr6(0xffff0ff0);
    c = kernel(d_store);
    c.rdi = (word)page[2] + 5;                           /* overlaps by one byte */
    run(&c);
    TRAP(&c, V_DB, 0, d_store + 2);
    set_dr6(0xffff0ff0);
    c = kernel(d_store);
    c.rdi = (word)page[2] + 4;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    c = kernel(d_load);                                  /* write only: loads pass */
    c.rdi = (word)page[2] + 8;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    set_dr7(0x400 | 2 << 2 | 0xfu << 20);
    c = kernel(d_load);
    c.rdi = (word)page[2] + 8;
    run(&c);
    TRAP(&c, V_DB, 0, d_load + 2);
    set_dr6(0xffff0ff0);
    c = kernel(d_push);
    c.sp = (word)page[2] + 16;
    run(&c);
    TRAP(&c, V_DB, 0, d_push + 1);
    set_dr7(0x400);
    c = kernel(d_store);
    c.rdi = (word)page[2] + 8;
    run(&c);
    TRAP(&c, V_END, 0, 0);
}

/* --- interrupt shadow, with a pending interrupt from the local APIC --- */
SNIP(s_sti, "sti\n nop\n nop\n nop") SNIP(s_sticli, "sti\n cli\n nop") SNIP(s_stisti, "sti\n sti\n nop\n nop") SNIP(s_ss, "sti\n mov %ss, %eax\n mov %eax, %ss\n nop\n nop")
SNIP(s_popf, "pushf\n orl $0x200, (%rsp)\n popf\n nop\n nop") SNIP(s_jmp, "sti\n jmp 1f\n nop\n 1: mov $100000000, %ecx\n 2: loop 2b")
SNIP(s_ret, "lea 1f(%rip), %rax\n push %rax\n sti\n ret\n 1: mov $100000000, %ecx\n 2: loop 2b")
static void t_shadow(void)
{
    apic_on();
    static const struct { const char *code; int at; } row[] = {
        { s_sti, 2 }, { s_sticli, -1 }, { s_stisti, 2 }, { s_ss, 3 }, { s_popf, 9 }, { s_jmp, 4 }, { s_ret, 10 },
    };
    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        ipi(0, 0x40000 | 0xa0);                          /* to self: pending while IF is clear */
        struct ctx c = kernel(row[i].code);
        run(&c);
        word at = c.ip - (word)row[i].code;
        if (row[i].at < 0 ? c.vec != V_END : c.vec != 0xa0 || at != (unsigned)row[i].at) {
            fail("row %u: vector %x at +%lx", i, (unsigned)c.vec, at);
        }
        if (c.vec == 0xa0) {
            eoi();
        }
    }
}

/* --- SYSRET, SYSENTER, SWAPGS, FSGSBASE --- */
SNIP(y_sysret, "sysretq") SNIP(y_sysretl, "sysretl") SNIP(y_enter, "sysenter") SNIP(y_exit, "sysexitq") SNIP(y_fs, "rdfsbase %rax") SNIP(y_wrfs, "wrfsbase %rdi\n mov %fs:0, %rax")
SNIP(y_end, "nop")
static void t_syscalls(void)
{
    struct ctx c = kernel(y_sysret);
    c.rcx = (word)UADDR(y_end);
    c.r11 = 2 | F_CF | F_RF | F_VM;
    run(&c);
    TRAP(&c, V_END, 0, UADDR(y_end + 3));
    CHECK_EQ(c.cs, SEL_UCODE64);
    CHECK_EQ(c.ss, SEL_UDATA);
    CHECK_EQ(c.flags & (F_CF | F_VM), F_CF);
    c = kernel(y_sysret);
    c.rcx = 0x800000000000;
    run(&c);
    TRAP(&c, V_GP, 0, 0);
    wrmsr(0x174, SEL_KCODE);
    wrmsr(0x175, (uintptr_t)snip_stack_top - 64);
    wrmsr(0x176, (uintptr_t)y_end);
    c = user(y_enter);
    c.flags |= F_CF;
    run(&c);
    TRAP(&c, V_END, 0, y_end + 3);
    CHECK_EQ(c.sp, (word)snip_stack_top - 64);
    CHECK_EQ(c.cs, SEL_KCODE);
    c = kernel(y_exit);
    c.rdx = (word)UADDR(y_end);
    c.rcx = (word)UADDR(snip_stack_top);
    run(&c);
    TRAP(&c, V_END, 0, UADDR(y_end + 3));
    CHECK_EQ(c.cs, SEL_UCODE64);
    CHECK_EQ(c.sp, (word)UADDR(snip_stack_top));
    wrmsr(0x174, 0);
    c = go(y_enter, true);
    TRAP(&c, V_GP, 0, UADDR(y_enter));
    wrmsr(0xc0000080, rdmsr(0xc0000080) & ~1ull);
    c = go(t_sysc, true);
    TRAP(&c, V_UD, 0, UADDR(t_sysc));
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 1);
    wrmsr(0xc0000101, 0x1111);
    wrmsr(0xc0000102, 0x2222);
    c = go(e_swapgs, false);
    CHECK_EQ(rdmsr(0xc0000101), 0x2222);
    CHECK_EQ(rdmsr(0xc0000102), 0x1111);
    uint32_t r[4];
    cpuid(7, 0, r);
    c = go(y_fs, true);
    TRAP(&c, V_UD, 0, UADDR(y_fs));
    if (r[1] & 1) {
        set_cr4(cr4() | 1 << 16);
        wrmsr(0xc0000100, 0x123456);
        c = go(y_fs, true);
        TRAP(&c, V_END, 0, 0);
        CHECK_EQ(c.rax, 0x123456);
        *(uint64_t *)page[4] = 0xabcdef;
        c = user(y_wrfs);
        c.rdi = (word)UADDR(page[4]);
        run(&c);
        CHECK_EQ(c.rax, 0xabcdef);
        CHECK_EQ(rdmsr(0xc0000100), (word)UADDR(page[4]));
        c.ip = (word)UADDR(y_wrfs);
        c.rdi = 1ull << 60;
        run(&c);
        TRAP(&c, V_GP, 0, UADDR(y_wrfs));
        set_cr4(cr4() & ~(word)(1 << 16));
    }
    CHECK_EQ(TRY_MSR_READ(0x12345), V_GP);
    CHECK_EQ(TRY_MSR_WRITE(0xc0000082, 1ull << 60), V_GP);
    CHECK_EQ(TRY_MSR_WRITE(0xc0000080, rdmsr(0xc0000080) & ~0x100ull), V_GP);    /* LME while paging */
}
/* An endless jump is interrupted by the timer. */
SNIP(j_self, "1: jmp 1b") SNIP(j_two, "1: nop\n jmp 2f\n .balign 4096\n 2: jmp 1b")
static void t_interrupted(void)
{
    const char *code[] = { j_self, j_two };
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned ring = 0; ring < 2; ring++) {
            apic_write(0x3e0, 3);
            apic_write(0x320, 0xa1);
            apic_write(0x380, 200000);
            struct ctx c = ring ? user(code[i]) : kernel(code[i]);
            c.flags |= F_IF;
            run(&c);
            TRAP(&c, 0xa1, 0, 0);
            eoi();
        }
    }
}
static void t_ltr_null(void)
{
    struct ctx c = go(e_ltr, false);
    TRAP(&c, V_GP, 0, e_ltr);
}
const struct test tests[] = {
    { "vectors", t_vectors }, { "double-fault", t_double }, { "privilege", t_privilege }, { "fpu", t_fpu }, { "xm", t_xm }, { "selectors", t_selectors }, { "step", t_step },
    { "step-syscall", t_step_syscall }, { "debug-execute", t_debug }, { "debug-data", t_debug_data }, { "shadow", t_shadow }, { "syscalls", t_syscalls },
    { "interrupted", t_interrupted }, { "ltr-null", t_ltr_null }, { 0, 0 },
};
