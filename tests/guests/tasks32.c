/*
 * Task switches and gates, 32-bit protected mode: TSS of both sizes, nesting, busy bits, faults in the middle of a switch, task gates with
 * error codes, call gates of both sizes with every refusal, EXT bits. SDM vol. 3 chapters 5, 6, 8.
 */
#include "tests/guests/rt.h"

enum { S_TSS2 = SEL_TEST, S_TSS3 = SEL_TEST + 8, S_TSS16 = SEL_TEST + 16, S_GATE = SEL_TEST + 24, S_BAD = SEL_TEST + 32, S_CODE16 = SEL_TEST + 40,
       S_LDT = SEL_TEST + 48, S_CONF = SEL_TEST + 56, S_STACK = SEL_TEST + 64, S_ALT0 = SEL_TEST + 72 };
struct tss32 {
    uint32_t link, esp0, ss0, r1[4], cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi, es, cs, ss, ds, fs, gs, ldt;
    uint16_t trap, iomap;
};
struct tss16 {
    uint16_t link, sp0, ss0, r1[4], ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
};
static struct tss32 t2 __attribute__((aligned(128))), t3 __attribute__((aligned(128)));
static struct tss16 t16 __attribute__((aligned(64)));
static uint32_t stack2[128], stack3[128], stack0[128];

static void setup(struct tss32 *t, unsigned sel, const void *code, uint32_t *stack)
{
    memset(t, 0, sizeof *t);
    t->eip = (uintptr_t)code, t->eflags = 2, t->esp = (uintptr_t)(stack + 128);
    t->es = t->ds = t->fs = t->gs = SEL_UDATA, t->cs = SEL_KCODE, t->ss = SEL_KDATA, t->iomap = 104;
    t->esp0 = tss[0][1], t->ss0 = SEL_KDATA;
    gdt_set(sel, (uintptr_t)t, 103, 0x89, 0);
}
static void home(void)                           /* back to the run time's own task */
{
    gdt_set(SEL_TSS, (uintptr_t)tss[0], 103, 0x89, 0);
    __asm__ volatile("ltr %w0" :: "r"(SEL_TSS));
    set_cr0(cr0() & ~(word)8);
}
static unsigned type_of(unsigned sel) { return gdt[sel / 8] >> 40 & 0xf; }
static unsigned tr(void) { unsigned v; __asm__ volatile("str %0" : "=r"(v)); return v; }

SNIP(k_jmp2, ".byte 0xea\n .long 0\n .word 0x50") SNIP(k_call2, ".byte 0x9a\n .long 0x1234\n .word 0x50\n inc %esi")
SNIP(k_jmp16, ".byte 0xea\n .long 0\n .word 0x60") SNIP(k_call16, ".byte 0x9a\n .long 0\n .word 0x60\n inc %esi")
SNIP(k_in2, "mov $0x5a, %al") SNIP(k_nest, "inc %ebx\n .byte 0x9a\n .long 0\n .word 0x58\n inc %ecx\n iret\n jmp k_nest")
SNIP(k_in3, "inc %edx\n iret\n jmp k_in3") SNIP(k_iret, "iret") SNIP(k_ud, "ud2\n inc %esi") SNIP(k_gp, "mov $0xfff8, %ax\n mov %ax, %ds")
SNIP(k_err, "pop %eax\n mov %esp, %ebx") SNIP(k_int, "int $0x90\n inc %esi") SNIP(k_spin, "1: jmp 1b")

static void t_nested(void)
{
    home();
    setup(&t2, S_TSS2, k_nest, stack2);
    setup(&t3, S_TSS3, k_in3, stack3);
    struct ctx c = kernel(k_call2);
    c.rsi = 7;
    run(&c);
    TRAP(&c, V_END, 0, k_call2 + 10);
    CHECK_EQ(c.rsi, 8);
    CHECK_EQ(t2.ebx, 1);
    CHECK_EQ(t2.ecx, 1);
    CHECK_EQ(t3.edx, 1);
    CHECK_EQ(t2.link, SEL_TSS);
    CHECK_EQ(t3.link, S_TSS2);
    CHECK_EQ(t2.eflags & F_NT, 0);               /* cleared in the image that IRET leaves */
    CHECK_EQ(type_of(S_TSS2), 9);
    CHECK_EQ(type_of(S_TSS3), 9);
    CHECK_EQ(type_of(SEL_TSS), 11);
    CHECK_EQ(tr(), SEL_TSS);
    home();
    setup(&t2, S_TSS2, k_in2, stack2);
    c = kernel(k_call2);                         /* the called task runs with NT, both are busy */
    run(&c);
    TRAP(&c, V_END, 0, k_in2 + 4);
    CHECK_EQ(c.flags & F_NT, F_NT);
    CHECK_EQ(type_of(S_TSS2), 11);
    CHECK_EQ(type_of(SEL_TSS), 11);
    CHECK_EQ(t2.link, SEL_TSS);
    CHECK_EQ(cr0() & 8, 8);
    home();
}
static void t_small(void)                        /* 16-bit TSS */
{
    home();
    memset(&t16, 0, sizeof t16);
    gdt_set(S_TSS16, (uintptr_t)&t16, 43, 0x81, 0);
    gdt_set(S_CODE16, (uintptr_t)page[0], 0xffff, 0x9b, 4);
    static const uint8_t code[] = { 0xbc, 0, 0x7f, 0, 0, 0x41, 0xcd, V_END };       /* mov $0x7f00, %esp (its upper half is not defined); inc %ecx */
    memcpy(page[0] + 0x100, code, sizeof code);
    t16.ip = 0x100, t16.flags = 2 | F_CF, t16.cx = 0x1234, t16.cs = S_CODE16, t16.ss = SEL_KDATA, t16.sp = 0x7f00, t16.ds = t16.es = SEL_UDATA;
    struct ctx c = kernel(k_jmp16);
    run(&c);
    TRAP(&c, V_END, 0, (void *)0x108);
    CHECK_EQ(c.rcx & 0xffff, 0x1235);
    CHECK_EQ(c.cs, S_CODE16);
    CHECK_EQ(c.flags & F_CF, F_CF);
    CHECK_EQ(c.fs & 0xfffc, 0);                  /* a 16-bit TSS has no FS and GS: null */
    CHECK_EQ(c.gs & 0xfffc, 0);
    CHECK_EQ(type_of(S_TSS16), 3);
    home();
    gdt_set(S_TSS16, (uintptr_t)&t16, 43, 0x81, 0);
    page[0][0x106] = 0xcf;                       /* iret */
    t16.ip = 0x100;
    c = kernel(k_call16);
    run(&c);
    TRAP(&c, V_END, 0, k_call16 + 10);
    CHECK_EQ(t16.cx, 0x1235);
    CHECK_EQ(t16.link, SEL_TSS);
    CHECK_EQ(type_of(S_TSS16), 1);
    gdt_set(S_TSS16, (uintptr_t)&t16, 42, 0x81, 0);
    c = kernel(k_jmp16);
    run(&c);
    TRAP(&c, V_TS, S_TSS16, k_jmp16);
    home();
}
/* Faults behind the point of no return belong to the new task; before it to the old one. */
static void t_faults(void)
{
    static const struct { unsigned field; uint32_t v; unsigned vec; word err; } row[] = {
        { offsetof(struct tss32, cs), 0, V_TS, 0 }, { offsetof(struct tss32, cs), SEL_UDATA, V_TS, SEL_UDATA & ~3 },
        { offsetof(struct tss32, cs), S_BAD, V_NP, S_BAD }, { offsetof(struct tss32, cs), GDT_ENTRIES * 8, V_TS, GDT_ENTRIES * 8 },
        { offsetof(struct tss32, ss), 0, V_TS, 0 }, { offsetof(struct tss32, ss), SEL_UDATA, V_TS, SEL_UDATA & ~3 },
        { offsetof(struct tss32, ss), S_STACK, V_SS, S_STACK }, { offsetof(struct tss32, ds), S_STACK, V_NP, S_STACK },
        { offsetof(struct tss32, ds), SEL_TSS, V_TS, SEL_TSS }, { offsetof(struct tss32, es), GDT_ENTRIES * 8, V_TS, GDT_ENTRIES * 8 },
        { offsetof(struct tss32, gs), S_STACK, V_NP, S_STACK }, { offsetof(struct tss32, ldt), SEL_KDATA, V_TS, SEL_KDATA },
        { offsetof(struct tss32, ldt), S_LDT, V_TS, S_LDT }, { offsetof(struct tss32, ldt), 4 | S_LDT, V_TS, 4 | S_LDT },
    };
    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        home();
        gdt_set(S_BAD, 0, 0xfffff, 0x1b, 12);                /* code, absent */
        gdt_set(S_STACK, 0, 0xfffff, 0x13, 12);              /* data, absent */
        gdt_set(S_LDT, 0, 0xff, 0x02, 0);                    /* LDT, absent */
        setup(&t2, S_TSS2, k_in2, stack2);
        *(uint32_t *)((char *)&t2 + row[i].field) = row[i].v;
        /* the handler's task: a fault in loading CS or SS leaves no stack to take it on */
        setup(&t3, S_TSS3, k_err, stack3);
        uint64_t old = idt[row[i].vec];
        idt[row[i].vec] = 0x850000000000ull | (uint64_t)S_TSS3 << 16;
        struct ctx c = kernel(k_jmp2);
        run(&c);
        idt[row[i].vec] = old;
        if (c.vec != V_END || c.ip != (word)k_err + 5 || c.rax != row[i].err) {
            fail("row %u: trap %u at %lx, error %lx (%lx)", i, (unsigned)c.vec, c.ip, c.rax, c.err);
        }
        CHECK_EQ(t3.link, S_TSS2);                           /* the faulting task is the new one */
        CHECK_EQ(t2.eip, (word)k_in2);
        CHECK_EQ(c.rbx, (word)(stack3 + 128));
    }
    home();
    static const struct { unsigned access, limit; unsigned vec; word err; } desc[] = {
        { 0x8b, 103, V_GP, S_TSS2 }, { 0x09, 103, V_NP, S_TSS2 }, { 0x89, 102, V_TS, S_TSS2 }, { 0x82, 103, V_GP, S_TSS2 }, { 0x86, 103, V_GP, S_TSS2 },
        { 0x80, 103, V_GP, S_TSS2 }, { 0x8d, 103, V_GP, S_TSS2 }, { 0x8a, 103, V_GP, S_TSS2 },
    };
    for (unsigned i = 0; i < sizeof desc / sizeof *desc; i++) {
        setup(&t2, S_TSS2, k_in2, stack2);
        gdt_set(S_TSS2, (uintptr_t)&t2, desc[i].limit, desc[i].access, 0);
        struct ctx c = kernel(k_jmp2);
        run(&c);
        if (c.vec != desc[i].vec || c.err != desc[i].err || c.ip != (word)k_jmp2 || tr() != SEL_TSS) {
            fail("descriptor %u: trap %u, error %lx, at %lx", i, (unsigned)c.vec, c.err, c.ip);
        }
    }
    setup(&t2, S_TSS2, k_in2, stack2);                       /* DPL against CPL and RPL */
    struct ctx c = user(k_jmp2);
    run(&c);
    TRAP(&c, V_GP, S_TSS2, k_jmp2);
    t2.eip = 0x1000;                                         /* EIP beyond the limit: #GP(0) in the new task */
    gdt_set(S_BAD, 0, 0xfff, 0x9b, 4);
    t2.cs = S_BAD;
    c = kernel(k_jmp2);
    run(&c);
    TRAP(&c, V_GP, 0, (void *)0x1000);
    CHECK_EQ(tr(), S_TSS2);
    home();
}
/* IRET with NT: the link */
static void t_iret_nt(void)
{
    static const struct { uint32_t link; unsigned vec; word err; } row[] = {
        { 0, V_TS, 0 }, { SEL_KDATA, V_TS, SEL_KDATA }, { S_TSS2, V_TS, S_TSS2 }, { 4 | 8, V_TS, 4 | 8 }, { GDT_ENTRIES * 8, V_TS, GDT_ENTRIES * 8 },
        { S_TSS3, V_NP, S_TSS3 },
    };
    home();
    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        setup(&t2, S_TSS2, k_in2, stack2);                   /* available, not busy: #TS */
        gdt_set(S_TSS3, (uintptr_t)&t3, 103, 0x0b, 0);       /* busy, absent */
        tss[0][0] = row[i].link;
        struct ctx c = kernel(k_iret);
        c.flags |= F_NT;
        run(&c);
        if (c.vec != row[i].vec || c.err != row[i].err || c.ip != (word)k_iret) {
            fail("row %u: trap %u, error %lx", i, (unsigned)c.vec, c.err);
        }
    }
    tss[0][0] = 0;
    home();
}
/* Task gates in the IDT: an exception with and without error code, INT n and its DPL, an interrupt. */
static void t_task_gate(void)
{
    home();
    setup(&t2, S_TSS2, k_err, stack2);
    uint64_t gp = idt[V_GP], ud = idt[V_UD], n = idt[0x90];
    idt[V_GP] = 0x850000000000ull | (uint64_t)S_TSS2 << 16;
    struct ctx c = kernel(k_gp);
    run(&c);
    TRAP(&c, V_END, 0, k_err + 5);
    CHECK_EQ(c.rax, 0xfff8);
    CHECK_EQ(c.rbx, (word)(stack2 + 128));
    CHECK_EQ(t2.link, SEL_TSS);
    CHECK_EQ(tss[0][8], (word)k_gp + 4);                     /* the faulting instruction */
    CHECK_EQ(tss[0][9] & F_RF, F_RF);                        /* with RF in the saved image */
    idt[V_GP] = gp;
    home();
    setup(&t2, S_TSS2, k_in3, stack2);
    idt[0x90] = 0xe50000000000ull | (uint64_t)S_TSS2 << 16;  /* INT n to a task, and back by iret */
    c = user(k_int);
    run(&c);
    TRAP(&c, V_END, 0, k_int + 5);
    CHECK_EQ(c.rsi, 1);
    CHECK_EQ(c.cs, SEL_UCODE32);
    CHECK_EQ(t2.edx, 1);
    idt[0x90] = 0x850000000000ull | (uint64_t)S_TSS2 << 16;
    c = user(k_int);
    run(&c);
    TRAP(&c, V_GP, 0x90 * 8 + 2, k_int);
    gdt_set(S_TSS2, (uintptr_t)&t2, 103, 0x8b, 0);           /* busy: #GP(TSS), with EXT for what the program did not ask for */
    c = kernel(k_int);
    run(&c);
    TRAP(&c, V_GP, S_TSS2, k_int);
    idt[V_UD] = 0x850000000000ull | (uint64_t)S_TSS2 << 16;
    c = kernel(k_ud);
    run(&c);
    TRAP(&c, V_GP, S_TSS2 | 1, k_ud);
    gdt_set(S_TSS2, (uintptr_t)&t2, 103, 0x09, 0);
    c = kernel(k_ud);
    run(&c);
    TRAP(&c, V_NP, S_TSS2 | 1, k_ud);
    idt[V_UD] = ud;
    idt[0x90] = n;
    home();
}
/* T bit of the TSS: #DB with BT before the first instruction */
static void t_trap_bit(void)
{
    home();
    setup(&t2, S_TSS2, k_in2, stack2);
    t2.trap = 1;
    set_dr6(0xffff0ff0);
    struct ctx c = kernel(k_jmp2);
    run(&c);
    TRAP(&c, V_DB, 0, k_in2);
    CHECK_EQ(c.dr6 & 0xf00f, 0x8000);
    set_dr6(0xffff0ff0);
    home();
}
/* --- EXT: who is to blame for a bad gate --- */
static void t_ext(void)
{
    apic_on();
    home();
    idt_gate(0xa5, 0, 0);                                    /* absent */
    struct ctx c = kernel(k_spin);
    c.flags |= F_IF;
    ipi(0, 0x40000 | 0xa5);
    run(&c);
    TRAP(&c, V_NP, 0xa5 * 8 + 3, k_spin);
    eoi();
    uint64_t old = idt[0xa5];
    idt[0xa5] = (old & ~0x1f0000000000ull) | 0x8c0000000000ull;      /* a call gate */
    c = kernel(k_spin);
    c.flags |= F_IF;
    ipi(0, 0x40000 | 0xa5);
    run(&c);
    TRAP(&c, V_GP, 0xa5 * 8 + 3, k_spin);
    eoi();
    gdt_set(S_BAD, 0, 0xfffff, 0x1b, 12);                    /* gate is fine, its code segment is absent, null, data */
    static const struct { unsigned sel; unsigned vec; word err; } row[] = {
        { S_BAD, V_NP, S_BAD }, { 0, V_GP, 0 }, { SEL_KDATA, V_GP, SEL_KDATA }, { GDT_ENTRIES * 8, V_GP, GDT_ENTRIES * 8 }, { SEL_UCODE32, V_GP, SEL_UCODE32 & ~3 },
    };
    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        uint64_t gate = 0xee00ull << 32 | (uint64_t)row[i].sel << 16 | 0x1000;
        idt[0xa5] = idt[0x90] = gate;
        c = kernel(k_spin);
        c.flags |= F_IF;
        ipi(0, 0x40000 | 0xa5);
        run(&c);
        TRAP(&c, row[i].vec, row[i].err | 1, k_spin);
        eoi();
        c = kernel(k_int);
        run(&c);
        TRAP(&c, row[i].vec, row[i].err, k_int);
    }
    idt_gate(0x90, 3, 1);
    idt_gate(0xa5, 3, 1);
}
/* --- call gates --- */
SNIP(g_call, ".byte 0x9a\n .long 0x12345678\n .word 0x68 + 3") SNIP(g_jmp, ".byte 0xea\n .long 0x12345678\n .word 0x68")
SNIP(g_in, "mov %esp, %ebp\n mov %cs, %ecx\n mov %ss, %edx")
static void gate(unsigned sel, const void *to, unsigned access, unsigned params)
{
    gdt[S_GATE / 8] = ((uintptr_t)to & 0xffff) | (uint64_t)sel << 16 | (uint64_t)params << 32 | (uint64_t)access << 40 | (uint64_t)((uintptr_t)to >> 16) << 48;
}
static void t_call_gate(void)
{
    home();
    gate(SEL_KCODE, g_in, 0xec, 3);
    struct ctx c = user(g_call);
    uint32_t *sp = (uint32_t *)c.sp;
    sp[-1] = 1, sp[-2] = 2, sp[-3] = 3;
    c.sp -= 12;
    word user_sp = c.sp;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    sp = (uint32_t *)c.rbp;
    CHECK_EQ(c.rbp, tss[0][1] - 28);
    CHECK_EQ(sp[0], (word)g_call + 7);
    CHECK_EQ(sp[1], SEL_UCODE32);
    CHECK_EQ(sp[2], 3);
    CHECK_EQ(sp[4], 1);
    CHECK_EQ(sp[5], user_sp);
    CHECK_EQ(sp[6], SEL_UDATA);
    CHECK_EQ(c.rcx, SEL_KCODE);
    /* 16-bit gate: words */
    gdt_set(S_CODE16, (uintptr_t)g_in & ~0xfffu, 0xffff, 0x9b, 4);
    gate(S_CODE16, (void *)((uintptr_t)g_in & 0xfff), 0xe4, 2);
    c = user(g_call);
    uint16_t *wp = (uint16_t *)c.sp;
    wp[-1] = 0x11, wp[-2] = 0x22;
    c.sp -= 4;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    wp = (uint16_t *)c.rbp;
    CHECK_EQ(c.rbp, tss[0][1] - 12);
    CHECK_EQ(wp[0], ((uintptr_t)g_call + 7) & 0xffff);
    CHECK_EQ(wp[1], SEL_UCODE32);
    CHECK_EQ(wp[2], 0x22);
    CHECK_EQ(wp[3], 0x11);
    CHECK_EQ(wp[5], SEL_UDATA);
    /* conforming target: same level, same stack */
    gdt_set(S_CONF, 0, 0xfffff, 0x9f, 12);
    gate(S_CONF, g_in, 0xec, 0);
    c = user(g_call);
    run(&c);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(c.rcx, S_CONF | 3);
    CHECK_EQ(c.rbp, (word)snip_stack_top - 8);
    c = user(g_jmp);                                         /* JMP by a gate: to conforming code, not inwards */
    run(&c);
    TRAP(&c, V_END, 0, 0);
    gate(SEL_KCODE, g_in, 0xec, 0);
    c = user(g_jmp);
    run(&c);
    TRAP(&c, V_GP, SEL_KCODE, g_jmp);
    /* refusals */
    gdt_set(S_BAD, 0, 0xfffff, 0x1b, 12);
    static const struct { unsigned sel, access; unsigned vec; word err; } row[] = {
        { SEL_KCODE, 0x8c, V_GP, S_GATE }, { SEL_KCODE, 0x6c, V_NP, S_GATE }, { 0, 0xec, V_GP, 0 }, { SEL_KDATA, 0xec, V_GP, SEL_KDATA }, { S_BAD, 0xec, V_NP, S_BAD },
        { GDT_ENTRIES * 8, 0xec, V_GP, GDT_ENTRIES * 8 }, { SEL_TSS, 0xec, V_GP, SEL_TSS }, { SEL_KCODE, 0xe0, V_GP, S_GATE }, { SEL_KCODE, 0xee, V_GP, S_GATE },
    };
    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        gate(row[i].sel, g_in, row[i].access, 0);
        c = user(g_call);
        run(&c);
        if (c.vec != row[i].vec || c.err != row[i].err || c.ip != (word)g_call) {
            fail("row %u: trap %u, error %lx", i, (unsigned)c.vec, c.err);
        }
    }
    gdt_set(S_BAD, 0, 0xf, 0x9b, 4);                         /* offset beyond the segment */
    gate(S_BAD, g_in, 0xec, 0);
    c = user(g_call);
    run(&c);
    TRAP(&c, V_GP, 0, g_call);
}
/* The inner stack comes from the TSS: what is wrong with it. The fault itself needs a stack, so a task takes it. */
static void t_inner_stack(void)
{
    static const struct { uint32_t ss, esp; unsigned limit; unsigned vec; word err; } row[] = {
        { 0, 0, 103, V_TS, 0 }, { SEL_UDATA, 0, 103, V_TS, SEL_UDATA & ~3 }, { SEL_KCODE, 0, 103, V_TS, SEL_KCODE }, { S_STACK, 0, 103, V_SS, S_STACK },
        { SEL_KDATA | 1, 0, 103, V_TS, SEL_KDATA }, { GDT_ENTRIES * 8, 0, 103, V_TS, GDT_ENTRIES * 8 }, { SEL_KDATA, 0, 7, V_TS, SEL_TSS }, { S_ALT0, 8, 103, V_SS, S_ALT0 },
    };
    gdt_set(S_STACK, 0, 0xfffff, 0x13, 12);
    gdt_set(S_ALT0, (uintptr_t)stack0, 0xff, 0x93, 4);       /* too small for a frame at 8 */
    for (unsigned i = 0; i < 2 * sizeof row / sizeof *row; i++) {
        unsigned r = i / 2, ext = i & 1;
        home();
        gate(SEL_KCODE, g_in, 0xec, 0);
        uint32_t esp0 = tss[0][1], ss0 = tss[0][2];
        setup(&t3, S_TSS3, k_err, stack3);
        uint64_t old = idt[row[r].vec];
        idt[row[r].vec] = 0x850000000000ull | (uint64_t)S_TSS3 << 16;
        gdt_set(SEL_TSS, (uintptr_t)tss[0], row[r].limit, 0x89, 0);
        __asm__ volatile("ltr %w0" :: "r"(SEL_TSS));
        struct ctx c = user(ext ? k_ud : g_call);            /* an exception says EXT, the program's own call does not */
        uint32_t esp = tss[0][1];
        tss[0][1] = row[r].esp ? row[r].esp : esp, tss[0][2] = row[r].ss;
        /* the old task's TSS must hold what a switch saves */
        gdt_set(SEL_TSS, (uintptr_t)tss[0], row[r].limit, 0x8b, 0);
        run(&c);
        tss[0][1] = esp0, tss[0][2] = ss0;
        idt[row[r].vec] = old;
        if (row[r].limit < 103) {
            continue;                                        /* the switch to the handler needs the whole TSS: a double fault or worse elsewhere */
        }
        if (c.vec != V_END || c.ip != (word)k_err + 5 || c.rax != (row[r].err | ext)) {
            fail("row %u: trap %u at %lx, error %lx", i, (unsigned)c.vec, c.ip, c.rax);
        }
    }
    home();
}
/* Code whose segment base is not aligned: linear pages and EIP change at different places; calls, loops and returns over both. */
static void t_odd_base(void)
{
    static const uint8_t code[] = {
        0xb9, 4, 0, 0, 0,                        /* 0: mov $4, %ecx */
        0xe8, 0xf4, 0x0f, 0, 0,                  /* 5: call 0xffe: EIP over 1000h, the linear page elsewhere */
        0xe2, 0xf9,                              /* a: loop 5 */
        0xcd, V_END,                             /* c */
    };
    static const uint8_t far_code[] = { 0x43, 0x43, 0x43, 0xc3 };      /* ffe: inc %ebx three times; ret */
    for (unsigned base = 1; base < 4096; base += 389) {
        uint8_t *p = page[2] + base;
        memset(page[2], 0x90, 3 * 4096);
        memcpy(p, code, sizeof code);
        memcpy(p + 0xffe, far_code, sizeof far_code);
        gdt_set(S_CODE16, (uintptr_t)p, 0xfffff, 0xfb, 12);
        struct ctx c = user(NULL);
        c.cs = S_CODE16 | 3, c.ip = 0;
        run(&c);
        TRAP(&c, V_END, 0, (void *)0xe);
        CHECK_EQ(c.rbx, 12);
        for (unsigned i = 0xc; i < 0xffe; i++) {             /* straight on over the page's end; EIP counts on */
            p[i] = 0x90;
        }
        p[0xffe] = 0xcd, p[0xfff] = V_END;
        c = user(NULL);
        c.cs = S_CODE16 | 3, c.ip = 0x10;
        run(&c);
        TRAP(&c, V_END, 0, (void *)0x1000);
    }
}
const struct test tests[] = {
    { "nested", t_nested }, { "small", t_small }, { "faults", t_faults }, { "iret-nt", t_iret_nt }, { "task-gate", t_task_gate }, { "trap-bit", t_trap_bit },
    { "ext", t_ext }, { "call-gate", t_call_gate }, { "inner-stack", t_inner_stack }, { "odd-base", t_odd_base }, { 0, 0 },
};
