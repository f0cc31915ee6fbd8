/*
 * Debug facilities: every length and type of breakpoint, I/O breakpoints, DR6's bits together, RF, single-step with everything that is odd
 * about it, MOV SS and breakpoints, ICEBP, DEBUGCTL.BTF. SDM vol. 3 chapter 17, 6.8.3.
 */
#include "tests/guests/rt.h"

enum { BS = 0x4000, BT = 0x8000, BD = 0x2000 };
static unsigned hits;
static word hit_ip[64], hit_dr6[64], hit_flags[64];
static bool on_db(struct ctx *f)
{
    if (hits < 64) {
        hit_ip[hits] = f->ip, hit_dr6[hits] = dr6(), hit_flags[hits] = f->flags;
    }
    hits++;
    set_dr6(0xffff0ff0);
    return true;
}
static void arm(unsigned n, const void *at, unsigned type, unsigned len)       /* len: the field */
{
    if (n == 0) {
        set_dr0((word)at);
    } else if (n == 1) {
        set_dr1((word)at);
    } else if (n == 2) {
        set_dr2((word)at);
    } else {
        set_dr3((word)at);
    }
    set_dr7(dr7() | 2u << (2 * n) | type << (16 + 4 * n) | len << (18 + 4 * n));
}
static void disarm(void) { set_dr7(0x400); set_dr6(0xffff0ff0); }
static struct ctx watch(const char *code, const void *at)
{
    struct ctx c = kernel(code);
    c.rdi = (word)at, c.rsi = (word)page[1], c.rcx = 4, c.rdx = 0x80;
    hits = 0;
    handler[V_DB] = on_db;
    run(&c);
    handler[V_DB] = NULL;
    return c;
}
SNIP(d_st1, "movb $1, (%rdi)\n nop") SNIP(d_st2, "movw $1, (%rdi)\n nop") SNIP(d_st4, "movl $1, (%rdi)\n nop") SNIP(d_st8, "movq $1, (%rdi)\n nop") SNIP(d_ld8, "mov (%rdi), %rax\n nop")
SNIP(d_rmw, "incl (%rdi)\n nop") SNIP(d_cmp, "cmpl $1, (%rdi)\n nop") SNIP(d_sse, "movups (%rdi), %xmm0\n nop") SNIP(d_stos, "rep stosb\n nop") SNIP(d_call, "mov %rdi, %rsp\n call 1f\n 1: nop")
SNIP(d_nofault, "movl $5, (%rsi)\n nop") SNIP(d_cmpx, "cmpxchg %ecx, (%rdi)\n nop")
static void t_lengths(void)
{
    static const struct { unsigned len, field; } lens[] = { { 1, 0 }, { 2, 1 }, { 4, 3 }, { 8, 2 } };
    static const struct { const char *code; unsigned size; } stores[] = { { d_st1, 1 }, { d_st2, 2 }, { d_st4, 4 }, { d_st8, 8 } };
    for (unsigned l = 0; l < 4; l++) {
        uint8_t *at = page[2] + 64;
        disarm();
        arm(2, at, 1, lens[l].field);
        for (unsigned k = 0; k < 4; k++) {
            for (int off = -9; off < 10; off++) {
                watch(stores[k].code, at + off);
                bool want = off + (int)stores[k].size > 0 && off < (int)lens[l].len;
                if (hits != want) {
                    fail("length %u, store of %u at %d: %u hits", lens[l].len, stores[k].size, off, hits);
                }
                if (want) {
                    CHECK_EQ(hit_dr6[0] & 0xf00f, 4);
                }
            }
        }
        watch(d_ld8, at);                        /* writes only */
        CHECK_EQ(hits, 0);
        disarm();
        arm(2, at, 3, lens[l].field);            /* reads, too */
        watch(d_ld8, at);
        CHECK_EQ(hits, 1);
    }
    disarm();
    arm(0, page[2] + 67, 3, 3);                  /* low bits of the address do not count: 64..67 */
    watch(d_st1, page[2] + 64);
    CHECK_EQ(hits, 1);
    watch(d_st1, page[2] + 68);
    CHECK_EQ(hits, 0);
    disarm();
    arm(0, page[2] + 64, 3, 3);
    const char *both[] = { d_rmw, d_cmp, d_sse, d_cmpx };
    for (unsigned i = 0; i < 4; i++) {
        watch(both[i], page[2] + 64);
        CHECK_EQ(hits, 1);                       /* once an instruction */
    }
    disarm();
    arm(1, page[2] + 66, 1, 0);
    struct ctx c = watch(d_stos, page[2] + 64);  /* behind the iteration that did it */
    CHECK_EQ(hits, 1);
    CHECK_EQ(hit_ip[0], (word)d_stos);
    CHECK_EQ(c.rcx, 0);
    disarm();
    arm(1, page[2] + 120, 1, 2);
    watch(d_call, page[2] + 128);                /* pushes */
    CHECK_EQ(hits, 1);
    disarm();
    watch(d_st8, page[2] + 64);                  /* enabled by nothing: DR7.L and G are clear */
    CHECK_EQ(hits, 0);
    set_dr0((word)page[2] + 64);
    set_dr7(0x400 | 1 | 0xdu << 16);             /* L alone does, too */
    watch(d_st8, page[2] + 64);
    CHECK_EQ(hits, 1);
    disarm();
}
/* A faulting access triggers nothing. */
SNIP(d_bad, "movl $1, (%rdi)\n nop")
static void t_faulting(void)
{
    uint8_t *p = test_page(0, page[0], PTE_P);   /* read-only */
    disarm();
    arm(0, p + 8, 1, 3);
    struct ctx c = kernel(d_bad);
    c.rdi = (word)p + 8;
    run(&c);
    TRAP(&c, V_PF, PF_P | PF_W, d_bad);
    CHECK_EQ(dr6() & 0xf, 0);
    disarm();
}
/* --- execution --- */
SNIP(x_code, "nop\n inc %eax\n inc %eax\n nop") SNIP(x_rep, "rep stosb\n nop") SNIP(x_ud, "ud2") SNIP(x_pf, "mov 0x7000000000, %rax") SNIP(x_next, "nop\n mov (%rdi), %eax\n nop\n nop")
static bool with_rf(struct ctx *f)
{
    word why = dr6();
    on_db(f);
    f->flags |= f->ip == (word)x_next + 3 && !(why & 2) ? 0 : F_RF;
    return true;
}
static void t_execute(void)
{
    disarm();
    arm(3, x_code + 3, 0, 0);
    hits = 0;
    handler[V_DB] = with_rf;
    struct ctx c = kernel(x_code);
    run(&c);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(hits, 1);
    CHECK_EQ(hit_ip[0], (word)x_code + 3);       /* a fault: before the instruction */
    CHECK_EQ(hit_dr6[0] & 0xf00f, 8);
    CHECK_EQ(hit_flags[0] & F_RF, F_RF);
    CHECK_EQ(c.rax, 2);
    /* REP: with RF it is passed over for the whole string */
    disarm();
    arm(0, x_rep, 0, 0);
    hits = 0;
    c = kernel(x_rep);
    c.rdi = (word)page[3], c.rcx = 5;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(hits, 1);
    CHECK_EQ(c.rcx, 0);
    /* it comes before what the instruction itself does wrong */
    disarm();
    arm(0, x_ud, 0, 0);
    hits = 0;
    c = kernel(x_ud);
    run(&c);
    TRAP(&c, V_UD, 0, x_ud);
    CHECK_EQ(hits, 1);
    disarm();
    arm(0, x_pf, 0, 0);
    hits = 0;
    c = kernel(x_pf);
    run(&c);
    TRAP(&c, V_PF, 0, x_pf);
    CHECK_EQ(hits, 1);
    /* the fault pushes RF: back from the handler there is no second #DB */
    hits = 0;
    c.flags |= F_RF;
    run(&c);
    TRAP(&c, V_PF, 0, x_pf);
    CHECK_EQ(hits, 0);
    /* a data breakpoint of one instruction and an execution breakpoint on the next */
    disarm();
    arm(0, page[2], 3, 3);
    arm(1, x_next + 3, 0, 0);
    hits = 0;
    c = kernel(x_next);
    c.rdi = (word)page[2];
    run(&c);
    TRAP(&c, V_END, 0, 0);
    CHECK(hits == 1 || hits == 2);               /* one #DB for both, or one after the other */
    word all = hit_dr6[0] | (hits == 2 ? hit_dr6[1] : 0);
    CHECK_EQ(all & 3, 3);
    handler[V_DB] = NULL;
    disarm();
}
/* A breakpoint on an instruction that lies over a page boundary, and on the one behind it */
SNIP(x_cross, "jmp 1f\n .balign 4096\n .fill 4093, 1, 0x90\n 1: mov $0x12345678, %eax\n inc %ecx\n nop")
static void t_crossing(void)
{
    char *at = (char *)(((uintptr_t)x_cross + 4095) & ~4095ul) + 4093;
    for (unsigned i = 0; i < 4; i++) {
        char *where = i == 0 ? at : i == 1 ? at + 5 : i == 2 ? at + 1 : at + 3;      /* only its first byte counts */
        disarm();
        arm(0, where, 0, 0);
        hits = 0;
        handler[V_DB] = with_rf;
        struct ctx c = kernel(x_cross);
        run(&c);
        handler[V_DB] = NULL;
        TRAP(&c, V_END, 0, 0);
        CHECK_EQ(hits, i < 2);
        CHECK_EQ(c.rax, 0x12345678);
        if (i < 2) {
            CHECK_EQ(hit_ip[0], (word)where);
        }
    }
    disarm();
}
/* --- I/O --- */
SNIP(i_in, "in $0x80, %al\n nop") SNIP(i_out, "out %al, $0x80\n nop") SNIP(i_outw, "mov $0x7f, %dx\n out %ax, %dx\n nop") SNIP(i_outs, "mov $0x80, %dx\n rep outsb\n nop") SNIP(i_81, "out %al, $0x81\n nop")
static void t_io(void)
{
    set_cr4(cr4() | 8);                          /* DE */
    disarm();
    arm(0, (void *)0x80, 2, 0);
    watch(i_in, 0);
    CHECK_EQ(hits, 1);
    CHECK_EQ(hit_ip[0], (word)i_in + 2);         /* a trap */
    CHECK_EQ(hit_dr6[0] & 0xf00f, 1);
    watch(i_out, 0);
    CHECK_EQ(hits, 1);
    watch(i_outw, 0);                            /* 7f and 80 */
    CHECK_EQ(hits, 1);
    watch(i_81, 0);
    CHECK_EQ(hits, 0);
    struct ctx c = watch(i_outs, 0);
    CHECK_EQ(hits, 4);                           /* each iteration */
    CHECK_EQ(c.rcx, 0);
    set_cr4(cr4() & ~(word)8);
    disarm();
}
/* --- single-step --- */
static struct ctx steps(const char *code, bool ring3)
{
    struct ctx c = ring3 ? user(code) : kernel(code);
    c.flags |= F_TF;
    c.rdi = (word)(ring3 ? UADDR(page[3]) : page[3]), c.rsi = (word)page[4], c.rcx = 3, c.rax = 0;
    hits = 0;
    set_dr6(0xffff0ff0);
    handler[V_DB] = on_db;
    run(&c);
    handler[V_DB] = NULL;
    return c;
}
SNIP(s_cpuid, "cpuid\n nop") SNIP(s_rdmsr, "mov $0x10, %ecx\n rdmsr\n nop") SNIP(s_mmio, "mov $0xfee00020, %eax\n mov (%rax), %ebx\n nop") SNIP(s_in, "in $0x80, %al\n nop") SNIP(s_cr, "mov %cr3, %rax\n mov %rax, %cr3\n nop")
SNIP(s_iret, "mov %ss, %eax\n push %rax\n push %rsp\n addq $8, (%rsp)\n pushf\n mov %cs, %eax\n push %rax\n lea 1f(%rip), %rax\n push %rax\n iretq\n 1: nop\n nop") SNIP(s_loop, "1: loop 1b\n nop")
SNIP(s_pushf, "pushf\n pop %rbx") SNIP(s_both, "movl $1, (%rdi)\n nop") SNIP(s_sti, "sti\n nop\n cli") SNIP(s_page, "jmp 1f\n .balign 4096\n .fill 4090, 1, 0x90\n 1: nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop")
static void t_step(void)
{
    const struct { const char *code; unsigned n; } row[] = { { s_cpuid, 2 }, { s_rdmsr, 3 }, { s_mmio, 3 }, { s_in, 2 }, { s_cr, 3 }, { s_loop, 4 }, { s_sti, 3 }, { s_page, 9 } };
    apic_on();
    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        steps(row[i].code, false);
        if (hits != row[i].n) {
            fail("row %u: %u steps", i, hits);
        }
        for (unsigned k = 0; k < hits && k < 64; k++) {
            CHECK_EQ(hit_dr6[k] & 0xf00f, BS);
            CHECK_EQ(hit_flags[k] & F_TF, F_TF);
        }
    }
    struct ctx c = steps(s_pushf, false);
    CHECK_EQ(c.rbx & F_TF, F_TF);                /* pushed as it is */
    steps(s_iret, false);                        /* the image has TF: the step goes on at once behind iret */
    CHECK_EQ(hits, 12);
    disarm();
    arm(0, page[3], 1, 3);
    steps(s_both, false);                        /* both reasons in one #DB */
    CHECK_EQ(hits, 2);
    CHECK_EQ(hit_dr6[0] & 0xf00f, BS | 1);
    CHECK_EQ(hit_dr6[1] & 0xf00f, BS);
    disarm();
}
/* MOV SS, POP SS: a data breakpoint met there comes behind the next instruction. */
SNIP(m_ss, "mov (%rdi), %ss\n nop\n nop") SNIP(m_int, "mov (%rdi), %ss\n int $0x90")
static void t_mov_ss(void)
{
    *(uint16_t *)page[2] = SEL_KDATA;
    disarm();
    arm(0, page[2], 3, 1);
    watch(m_ss, page[2]);
    CHECK_EQ(hits, 1);
    CHECK_EQ(hit_ip[0], (word)m_ss + 3);
    CHECK_EQ(hit_dr6[0] & 0xf, 1);
    /* ... and if that is INT n, in its handler (CVE-2018-8897's case) */
    struct ctx c = kernel(m_int);
    c.rdi = (word)page[2];
    run(&c);
    CHECK(c.vec == 0x90 || c.vec == V_DB);
    disarm();
}
SNIP(b_ice, ".byte 0xf1\n nop")
static void t_icebp(void)
{
    disarm();
    struct ctx c = kernel(b_ice);
    run(&c);
    TRAP(&c, V_DB, 0, b_ice + 1);
    CHECK_EQ(c.dr6 & 0xf00f, 0);                 /* none of the reasons */
    CHECK_EQ(c.flags & F_RF, 0);
    idt_gate(V_DB, 0, 1);
    c = user(b_ice);                             /* the gate's DPL does not matter */
    run(&c);
    TRAP(&c, V_DB, 0, UADDR(b_ice + 1));
}
/* BTF: steps at taken branches only; #DB clears it */
SNIP(t_branches, "nop\n nop\n jmp 1f\n 1: nop\n xor %eax, %eax\n jnz 2f\n nop\n 2: jz 3f\n nop\n 3: nop\n call 4f\n 4: pop %rax")
static bool again(struct ctx *f)
{
    on_db(f);
    CHECK_EQ(rdmsr(0x1d9) & 2, 0);
    wrmsr(0x1d9, 2);
    return true;
}
static void t_btf(void)
{
    wrmsr(0x1d9, 2);
    if (!(rdmsr(0x1d9) & 2)) {
        skip("no BTF");
        return;
    }
    struct ctx c = kernel(t_branches);
    c.flags |= F_TF;
    hits = 0;
    handler[V_DB] = again;
    run(&c);
    handler[V_DB] = NULL;
    wrmsr(0x1d9, 0);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(hits, 3);                           /* jmp, jz, call */
    CHECK_EQ(hit_ip[0], (word)t_branches + 4);
    CHECK_EQ(hit_dr6[0] & 0xf00f, BS);
}
SNIP(r_dr, "mov %rax, %dr6\n mov %dr6, %rbx\n mov %rcx, %dr7\n mov %dr7, %rdx") SNIP(r_hi, "mov %rax, %dr7") SNIP(r_hi6, "mov %rax, %dr6") SNIP(r_gd, "mov %rax, %dr0")
static void t_registers(void)
{
    struct ctx c = kernel(r_dr);
    c.rax = 0xffffffff, c.rcx = 0x400;
    run(&c);
    CHECK_EQ(c.rbx & 0xffff0ff0, 0xffff0ff0);
    CHECK_EQ(c.rbx & 0xf, 0xf);
    CHECK_EQ(c.rbx & 0x1000, 0);
    c = kernel(r_dr);
    c.rcx = 0;
    run(&c);
    CHECK_EQ(c.rbx, 0xffff0ff0);
    CHECK_EQ(c.rdx, 0x400);
    c = kernel(r_hi);
    c.rax = 1ull << 32;
    run(&c);
    TRAP(&c, V_GP, 0, r_hi);
    c = kernel(r_hi6);
    c.rax = 1ull << 40;
    run(&c);
    TRAP(&c, V_GP, 0, r_hi6);
    set_dr7(0x2400);
    c = kernel(r_gd);
    run(&c);
    TRAP(&c, V_DB, 0, r_gd);
    CHECK_EQ(c.dr6 & 0xf00f, BD);
    CHECK_EQ(dr7(), 0x400);                      /* the handler may: GD is cleared */
    disarm();
}
const struct test tests[] = {
    { "lengths", t_lengths }, { "faulting", t_faulting }, { "execute", t_execute }, { "crossing", t_crossing }, { "io", t_io }, { "step", t_step }, { "mov-ss", t_mov_ss }, { "icebp", t_icebp },
    { "btf", t_btf }, { "registers", t_registers }, { 0, 0 },
};
