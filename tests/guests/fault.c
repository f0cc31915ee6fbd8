/* Page faults in the middle of an instruction: nothing of it may be seen. And the rights that make them. */
#include "tests/guests/rt.h"

#define RO  (PTE_P | PTE_U)
#define RW  (PTE_P | PTE_U | PTE_W)
#define NOT 0

/* An instruction with one memory operand that ends in a page that refuses it. rdi = address, rax, rcx, rdx, rbx, rsi, rbp = patterns. */
#define ROW(n, text) SNIP(f_##n, text)
#define ROWS \
    R(mov8, 1, "mov %al, (%rdi)") R(mov16, 2, "mov %ax, (%rdi)") R(mov32, 4, "mov %eax, (%rdi)") R(mov64, 8, "mov %rax, (%rdi)") \
    R(movimm, 8, "movq $-2, (%rdi)") \
    R(add8, 1, "add %al, (%rdi)") R(add16, 2, "add %ax, (%rdi)") R(add32, 4, "add %eax, (%rdi)") R(add64, 8, "add %rax, (%rdi)") \
    R(adc, 8, "adc %rax, (%rdi)") R(sbb, 4, "sbb %eax, (%rdi)") R(xor, 8, "xor %rax, (%rdi)") R(or, 2, "orw $0x55, (%rdi)") \
    R(ladd, 8, "lock add %rax, (%rdi)") R(inc, 4, "incl (%rdi)") R(linc, 4, "lock incl (%rdi)") R(dec, 8, "decq (%rdi)") \
    R(neg, 8, "negq (%rdi)") R(not, 8, "notq (%rdi)") R(shl, 4, "shll $3, (%rdi)") R(sar, 8, "sarq %cl, (%rdi)") \
    R(ror, 2, "rorw $5, (%rdi)") R(shld, 8, "shld $4, %rax, (%rdi)") R(shrd, 4, "shrd %cl, %eax, (%rdi)") \
    R(xchg8, 1, "xchg %al, (%rdi)") R(xchg32, 4, "xchg %eax, (%rdi)") R(xchg64, 8, "xchg %rax, (%rdi)") \
    R(xadd, 8, "xadd %rax, (%rdi)") R(lxadd, 4, "lock xadd %eax, (%rdi)") \
    R(cmpxchg, 8, "cmpxchg %rdx, (%rdi)") R(lcmpxchg, 4, "lock cmpxchg %edx, (%rdi)") \
    R(cx8, 8, "cmpxchg8b (%rdi)") R(lcx8, 8, "lock cmpxchg8b (%rdi)") \
    R(bts, 4, "btsl $3, (%rdi)") R(btr, 8, "lock btrq $60, (%rdi)") R(btc, 2, "btcw $3, (%rdi)") \
    R(setcc, 1, "setc (%rdi)") R(movnti, 8, "movnti %rax, (%rdi)") R(movbe, 4, "movbe %eax, (%rdi)") \
    R(stosb, 1, "stosb") R(stosq, 8, "stosq") R(popm, 8, "popq (%rdi)") R(movd, 4, "movd %xmm0, (%rdi)") R(movq, 8, "movq %xmm0, (%rdi)") \
    R(movups, 16, "movups %xmm0, (%rdi)") R(movlps, 8, "movlps %xmm0, (%rdi)") \
    R(fst, 8, "fninit\n fld1\n fstpl (%rdi)") R(fistp, 4, "fninit\n fldz\n fistpl (%rdi)") R(fnstcw, 2, "fnstcw (%rdi)") R(fstt, 10, "fninit\n fld1\n fstpt (%rdi)") \
    R(sgdt, 1, "sgdt (%rdi)") R(xmovseg, 2, "mov %ds, (%rdi)")
#define R(n, size, text) ROW(n, text)
ROWS
#undef R
static const struct row {
    const char *name;
    unsigned size;
    const char *code;
} rows[] = {
#define R(n, size, text) { #n, size, f_##n },
    ROWS
#undef R
};

static struct ctx pattern(const char *code, word rdi)
{
    struct ctx c = kernel(code);
    c.rax = 0x8182838485868788;
    c.rcx = 0x1111111111111105;
    c.rdx = 0x2122232425262728;
    c.rbx = 0x3132333435363738;
    c.rsi = 0x4142434445464748;
    c.rbp = 0x5152535455565758;
    c.r8 = 1, c.r9 = 2, c.r10 = 3, c.r11 = 4, c.r12 = 5, c.r13 = 6, c.r14 = 7, c.r15 = 8;
    c.rdi = rdi;
    c.flags = 2 | F_CF | F_PF | F_AF | F_SF | F_OF;
    return c;
}
static void same(const struct row *r, const struct ctx *a, const struct ctx *b, const char *what)
{
    static const struct { const char *n; size_t at; } reg[] = {
#define G(x) { #x, offsetof(struct ctx, x) }
        G(rax), G(rcx), G(rdx), G(rbx), G(rsi), G(rdi), G(rbp), G(sp), G(r8), G(r9), G(r10), G(r11), G(r12), G(r13), G(r14), G(r15)
    };
    for (unsigned i = 0; i < sizeof reg / sizeof *reg; i++) {
        word x = *(const word *)((const char *)a + reg[i].at), y = *(const word *)((const char *)b + reg[i].at);
        if (x != y) {
            fail("%s %s: %s is %lx, was %lx", r->name, what, reg[i].n, x, y);
        }
    }
    if ((a->flags & F_ARITH) != (b->flags & F_ARITH)) {
        fail("%s %s: flags %lx, were %lx", r->name, what, a->flags, b->flags);
    }
}
static void one(const struct row *r, uint64_t second, word err, const char *what, unsigned before)
{
    uint8_t copy[64], *p = test_page(0, page[0], RW);
    for (unsigned i = 0; i < 32; i++) {
        page[0][4064 + i] = 0xa0 + i;
        page[1][i] = 0xc0 + i;
    }
    memcpy(copy, &page[0][4064], 32);
    memcpy(copy + 32, page[1], 32);
    test_page(1, page[1], second);
    struct ctx c = pattern(r->code, (word)p + 4096 - before), was = c;
    run(&c);
    if (c.vec != V_PF || c.err != err || c.cr2 != (word)p + 4096) {
        fail("%s %s: trap %u, error %lx, cr2 %lx at +%lx", r->name, what, (unsigned)c.vec, c.err, c.cr2, c.ip - (word)r->code);
        return;
    }
    same(r, &c, &was, what);
    if (memcmp(copy, &page[0][4064], 32) || memcmp(copy + 32, page[1], 32)) {
        fail("%s %s: memory changed", r->name, what);
    }
}
static void t_rmw_ro(void)
{
    for (const struct row *r = rows; r < rows + sizeof rows / sizeof *rows; r++) {
        one(r, RO, PF_P | PF_W, "read-only", 0);
    }
}
static void t_rmw_absent(void)
{
    for (const struct row *r = rows; r < rows + sizeof rows / sizeof *rows; r++) {
        uint8_t *p = test_page(0, page[0], RW);
        test_page(1, page[1], NOT);
        struct ctx c = pattern(r->code, (word)p + 4096), was = c;
        run(&c);
        if (c.vec != V_PF || (c.err & ~(word)PF_W) || c.cr2 != (word)p + 4096) {
            fail("%s absent: trap %u, error %lx, cr2 %lx", r->name, (unsigned)c.vec, c.err, c.cr2);
        }
        same(r, &c, &was, "absent");
    }
}
static void t_cross_ro(void)
{
    for (const struct row *r = rows; r < rows + sizeof rows / sizeof *rows; r++) {
        for (unsigned before = 1; before < r->size; before += r->size > 8 ? 3 : 1) {
            one(r, RO, PF_P | PF_W, "crossing into read-only", before);
        }
    }
}
static void t_user(void)
{
    /* From ring 3 on a supervisor page, and the U bit in the error. */
    uint8_t *p = test_page(0, page[0], PTE_P | PTE_W);
    struct ctx c = user(f_add64);
    c.rdi = (word)p;
    run(&c);
    CHECK_EQ(c.vec, V_PF);
    CHECK_EQ(c.err & ~(word)PF_W, PF_P | PF_U);
    c = user(f_mov32);
    c.rdi = (word)p;
    run(&c);
    TRAP(&c, V_PF, PF_P | PF_W | PF_U, UADDR(f_mov32));
    c = user(0);
    c.ip = (word)p;
    run(&c);
    TRAP(&c, V_PF, PF_P | PF_U | PF_I, p);        /* NXE is on, so the I bit is reported */
    SNIP(u_load, "mov (%rdi), %eax")
    c = user(u_load);
    c.rdi = (word)p;
    run(&c);
    TRAP(&c, V_PF, PF_P | PF_U, UADDR(u_load));
    c.rdi = TBASE + 4096 * 400;
    c = user(u_load);
    c.rdi = TBASE + 4096 * 400;
    run(&c);
    TRAP(&c, V_PF, PF_U, UADDR(u_load));
    CHECK_EQ(c.cr2, TBASE + 4096 * 400);
    test_page(0, page[0], RO);
    c = user(f_mov32);
    c.rdi = (word)p;
    run(&c);
    TRAP(&c, V_PF, PF_P | PF_W | PF_U, UADDR(f_mov32));
}

SNIP(s_push, "push %rax") SNIP(s_call, "call 1f\n 1: nop") SNIP(s_calli, "call *%rax") SNIP(s_pushm, "pushq (%rbx)")
SNIP(s_pushf, "pushf") SNIP(s_enter, "enter $16, $0") SNIP(s_pushi, "push $5") SNIP(s_push16, "push %ax") SNIP(s_pushfs, "push %fs")
SNIP(s_pop, "pop %rax") SNIP(s_ret, "ret") SNIP(s_leave, "mov %rsp, %rbp\n leave") SNIP(s_popf, "popf") SNIP(s_iret, "iretq")
static void t_stack(void)
{
    const char *push[] = { s_push, s_call, s_calli, s_pushm, s_pushf, s_enter, s_pushi, s_push16, s_pushfs };
    const char *pop[] = { s_pop, s_ret, s_popf, s_leave };
    uint64_t value = 1;
    for (unsigned i = 0; i < sizeof push / sizeof *push; i++) {
        for (unsigned ring = 0; ring < 2; ring++) {
            for (unsigned over = 0; over < 8; over += 4) {
                test_page(0, page[0], RO);
                test_page(1, page[1], RW);
                test_page(2, page[2], NOT);
                struct ctx c = ring ? user(push[i]) : kernel(push[i]), was;
                c.sp = TBASE + 4096 + (over && i != 7 ? over : 0);
                c.rax = 0x1234;
                c.rbx = (word)(ring ? UADDR(&value) : &value);
                c.flags |= F_ARITH;
                was = c;
                run(&c);
                if (c.vec != V_PF || c.err != (PF_P | PF_W | (ring ? PF_U : 0)) || c.sp != was.sp || c.rbp != was.rbp || c.ip != was.ip || c.rax != was.rax) {
                    fail("push %u ring %u over %u: trap %u error %lx sp %lx rbp %lx ip +%lx", i, ring * 3, over, (unsigned)c.vec, c.err, c.sp, c.rbp, c.ip - was.ip);
                }
                word low = (word)was.sp - (i == 7 ? 2 : 8);
                if (c.cr2 < low || c.cr2 >= TBASE + 4096) {
                    fail("push %u over %u: cr2 %lx", i, over, c.cr2);
                }
            }
        }
    }
    for (unsigned i = 0; i < sizeof pop / sizeof *pop; i++) {
        for (unsigned before = 0; before < 8; before += 4) {
            struct ctx c = user(pop[i]), was;
            c.sp = TBASE + 8192 - before;
            c.flags |= F_ARITH;
            was = c;
            run(&c);
            TRAP(&c, V_PF, PF_U, (void *)(was.ip + (i == 3 ? 3 : 0)));
            CHECK_EQ(c.sp, was.sp);
            CHECK_EQ(c.rbp, i == 3 ? was.sp : was.rbp);
            CHECK_EQ(c.cr2, TBASE + 8192);
            CHECK_EQ(c.flags & F_ARITH, F_ARITH);
        }
    }
}

SNIP(m_movsb, "rep movsb") SNIP(m_movsq, "rep movsq") SNIP(m_stosd, "rep stosl") SNIP(m_scas, "repne scasb") SNIP(m_cmps, "repe cmpsb")
SNIP(m_lods, "rep lodsw") SNIP(m_movsb_down, "std\n rep movsb")
static void t_strings(void)
{
    uint8_t *p = test_page(0, page[0], RW);
    test_page(1, page[1], NOT);
    test_page(2, page[2], RW);
    test_page(3, page[3], RO);
    memset(page[0], 0x11, 4096);
    memset(page[2], 0x22, 4096);
    struct ctx c = kernel(m_movsb);              /* source runs into the hole */
    c.rsi = (word)p + 4000, c.rdi = (word)p + 8192, c.rcx = 200;
    run(&c);
    TRAP(&c, V_PF, 0, m_movsb);
    CHECK_EQ(c.cr2, (word)p + 4096);
    CHECK_EQ(c.rcx, 104);
    CHECK_EQ(c.rsi, (word)p + 4096);
    CHECK_EQ(c.rdi, (word)p + 8192 + 96);
    CHECK_EQ(c.cr2, (word)p + 4096);
    CHECK_EQ(page[2][95], 0x11);
    CHECK_EQ(page[2][96], 0x22);
    c = kernel(m_movsq);                         /* destination runs into read-only */
    c.rsi = (word)p, c.rdi = (word)p + 12288 - 24, c.rcx = 8;
    run(&c);
    TRAP(&c, V_PF, PF_P | PF_W, m_movsq);
    CHECK_EQ(c.rcx, 5);
    CHECK_EQ(c.rsi, (word)p + 24);
    CHECK_EQ(c.rdi, (word)p + 12288);
    c = kernel(m_movsq);                         /* an element over the edge */
    c.rsi = (word)p, c.rdi = (word)p + 12288 - 20, c.rcx = 8;
    memset(page[2] + 4000, 0x33, 96);
    run(&c);
    TRAP(&c, V_PF, PF_P | PF_W, m_movsq);
    CHECK_EQ(c.rcx, 6);
    CHECK_EQ(c.cr2, (word)p + 12288);
    CHECK_EQ(page[2][4095], 0x33);
    c = kernel(m_stosd);
    c.rdi = (word)p + 4096 - 8, c.rcx = 0x100, c.rax = 0x44;
    run(&c);
    TRAP(&c, V_PF, PF_W, m_stosd);
    CHECK_EQ(c.rcx, 0xfe);
    CHECK_EQ(c.rdi, (word)p + 4096);
    c = kernel(m_scas);
    c.rdi = (word)p + 4096 - 50, c.rcx = 0x100, c.rax = 0x99, c.flags |= F_CF;
    run(&c);
    TRAP(&c, V_PF, 0, m_scas);
    CHECK_EQ(c.rcx, 0x100 - 50);
    CHECK_EQ(c.rdi, (word)p + 4096);
    c = kernel(m_cmps);
    memset(page[0], 7, 4096);
    c.rdi = (word)p + 100, c.rsi = (word)p + 4096 - 30, c.rcx = 0x100;
    run(&c);
    TRAP(&c, V_PF, 0, m_cmps);
    CHECK_EQ(c.rcx, 0x100 - 30);
    c = kernel(m_lods);
    c.rsi = (word)p + 4096 - 6, c.rcx = 9;
    run(&c);
    TRAP(&c, V_PF, 0, m_lods);
    CHECK_EQ(c.rcx, 6);
    c = kernel(m_movsb_down);
    c.rsi = (word)p + 50, c.rdi = (word)p + 8192 + 9, c.rcx = 100;
    run(&c);
    TRAP(&c, V_PF, 0 | PF_W, m_movsb_down + 1);
    CHECK_EQ(c.rcx, 90);
    CHECK_EQ(c.rdi, (word)p + 8191);
}

/* An instruction over two pages whose second is not there: address of the second. */
static void t_fetch(void)
{
    uint8_t *p = test_page(0, page[0], RW);
    test_page(1, page[1], NOT);
    for (unsigned before = 1; before < 5; before++) {
        memset(page[0] + 4080, 0x90, 16);
        page[0][4096 - before] = 0xb8;
        struct ctx c = kernel(p + 4080);
        run(&c);
        TRAP(&c, V_PF, PF_I, p + 4096 - before);
        CHECK_EQ(c.cr2, (word)p + 4096);
        c = user(0);
        c.ip = (word)p + 4080;
        run(&c);
        TRAP(&c, V_PF, PF_I | PF_U, p + 4096 - before);
    }
    test_page(1, page[1], RW | PTE_NX);
    page[0][4095] = 0xb8;
    struct ctx c = kernel(p + 4095);
    run(&c);
    TRAP(&c, V_PF, PF_I | PF_P, p + 4095);
    memset(page[0] + 4080, 0x90, 16);
    c = kernel(p + 4090);
    run(&c);
    TRAP(&c, V_PF, PF_I | PF_P, p + 4096);
}

SNIP(x_many, "mov (%rdi), %eax\n add $7, %ecx\n mov %ecx, 4(%rdi)\n sub $3, %edx\n push %rdx\n pop %rsi\n add (%rbx), %eax\n inc %ecx")
/* Registers and flags that live in host registers must be right at a fault late in a block. */
static void t_late(void)
{
    uint8_t *p = test_page(0, page[0], RW);
    test_page(1, page[1], NOT);
    *(uint32_t *)page[0] = 0x80000000;
    struct ctx c = kernel(x_many);
    c.rdi = (word)p, c.rcx = 1, c.rdx = 3, c.rbx = (word)p + 4096;
    run(&c);
    TRAP(&c, V_PF, 0, 0);
    CHECK_EQ(c.rax, 0x80000000);
    CHECK_EQ(c.rcx, 8);
    CHECK_EQ(c.rdx, 0);
    CHECK_EQ(c.rsi, 0);
    CHECK_EQ(c.flags & F_ARITH, F_ZF | F_PF);
    CHECK_EQ(((uint32_t *)page[0])[1], 8);
}
SNIP(nc_load, "mov (%rdi), %rax") SNIP(nc_stack, "mov (%rbp), %rax") SNIP(nc_push, "push %rax") SNIP(nc_jmp, "jmp *%rdi") SNIP(nc_ret, "ret") SNIP(nc_call, "call *%rdi")
static void t_canonical(void)
{
    word bad = 0x0000800000000000;
    struct ctx c = kernel(nc_load);
    c.rdi = bad;
    run(&c);
    TRAP(&c, V_GP, 0, nc_load);
    c = kernel(nc_jmp);
    c.rdi = bad;
    run(&c);
    TRAP(&c, V_GP, 0, c.ip == bad ? 0 : nc_jmp);         /* Intel reports the jump, AMD the target */
    c = kernel(nc_call);
    c.rdi = bad;
    run(&c);
    TRAP(&c, V_GP, 0, c.ip == bad ? 0 : nc_call);
    CHECK_EQ(c.sp, (word)snip_stack_top - (c.ip == bad ? 8 : 0));
    c = kernel(nc_ret);
    c.sp -= 8;
    *(word *)c.sp = bad;
    run(&c);
    TRAP(&c, V_GP, 0, c.ip == bad ? 0 : nc_ret);
}
static void t_canonical_ss(void)
{
    word bad = 0x0000800000000000;
    struct ctx c = kernel(nc_stack);
    c.rbp = bad;
    run(&c);
    TRAP(&c, V_SS, 0, nc_stack);
    c = kernel(nc_push);
    c.sp = bad + 8;
    run(&c);
    TRAP(&c, V_SS, 0, nc_push);
}
static void t_straddle(void)
{
    struct ctx c = kernel(nc_load);
    c.rdi = 0x0000800000000000 - 4;
    run(&c);
    TRAP(&c, V_GP, 0, nc_load);
}
SNIP(r_rcl, "rcll $1, (%rdi)")
static void t_rcl(void)
{
    static const struct row r = { "rcl", 4, r_rcl };
    for (unsigned before = 0; before < 4; before++) {
        one(&r, RO, PF_P | PF_W, "read-only", before);
    }
}
static void t_user_iret(void)
{
    test_page(1, page[1], RW);
    test_page(2, page[2], NOT);
    struct ctx c = user(s_iret);
    c.sp = TBASE + 8192;
    run(&c);
    TRAP(&c, V_PF, PF_U, UADDR(s_iret));
    CHECK_EQ(c.sp, TBASE + 8192);
}
SNIP(al_load, "movaps (%rdi), %xmm0") SNIP(al_op, "addps (%rdi), %xmm0") SNIP(al_cx16, "cmpxchg16b (%rdi)") SNIP(al_fx, "fxsave (%rdi)")
SNIP(al_ac, "mov (%rdi), %eax") SNIP(al_ac1, "mov (%rdi), %al")
static void t_align(void)
{
    const char *code[] = { al_load, al_op, al_cx16, al_fx };
    for (unsigned i = 0; i < 4; i++) {
        struct ctx c = kernel(code[i]);
        c.rdi = (word)page[3] + 8;
        run(&c);
        TRAP(&c, V_GP, 0, code[i]);
        c = kernel(code[i]);
        c.rdi = (word)page[3] + 16;
        run(&c);
        TRAP(&c, V_END, 0, 0);
    }
}
static void t_ac(void)
{
    set_cr0(cr0() | 1 << 18);
    struct ctx c = user(al_ac);
    c.rdi = (word)UADDR(page[3]) + 2;
    c.flags |= F_AC;
    run(&c);
    TRAP(&c, V_AC, 0, UADDR(al_ac));
    c = user(al_ac1);
    c.rdi = (word)UADDR(page[3]) + 3;
    c.flags |= F_AC;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    c = kernel(al_ac);
    c.rdi = (word)page[3] + 2;
    c.flags |= F_AC;
    run(&c);
    TRAP(&c, V_END, 0, 0);
    set_cr0(cr0() & ~(word)(1 << 18));
}

const struct test tests[] = {
    { "rmw-readonly", t_rmw_ro }, { "rmw-absent", t_rmw_absent }, { "cross-readonly", t_cross_ro }, { "user", t_user }, { "stack", t_stack },
    { "strings", t_strings }, { "fetch", t_fetch }, { "late", t_late }, { "canonical", t_canonical }, { "alignment", t_align }, { "canonical-ss", t_canonical_ss }, { "straddle", t_straddle },
    { "rcl", t_rcl }, { "user-iret", t_user_iret }, { "ac", t_ac }, { 0, 0 },
};
