/*
 * System-management mode: SMI by the local APIC, state-save area, RSM, SMBASE relocation, what waits in SMM, HLT restart.
 * No SMRAM of a chipset is needed: the areas lie in plain RAM. Layout: AMD APM vol. 2, table 10-1.
 */
#include "tests/guests/rt.h"

#define BASE 0x30000u
#define BASE2 0x60000u
#define SMI_SELF 0x40200u        /* ICR: to self, SMI */
#define NMI_SELF 0x40400u
static volatile uint8_t *area = (uint8_t *)(uintptr_t)BASE;
#define F64(at) (*(volatile uint64_t *)(area + (at)))
#define F32(at) (*(volatile uint32_t *)(area + (at)))
#define F16(at) (*(volatile uint16_t *)(area + (at)))

/* Handler: counts at fs:0x500-ish (0x5000), copies what it sees, runs the patch code of the test, returns. 16-bit, big real mode. */
__asm__(".pushsection .snip,\"awx\"\n.code16\n.globl smm_code, smm_code_end\n"
        "smm_code: mov $0x5000, %ebx\n incl (%ebx)\n"
        " mov %cr0, %eax\n mov %eax, 4(%ebx)\n mov %cr4, %eax\n mov %eax, 8(%ebx)\n"
        " mov %cs, 12(%ebx)\n mov %ds, 14(%ebx)\n pushfl\n .byte 0x66\n popl %eax\n mov %eax, 16(%ebx)\n"
        " mov %dr7, %eax\n mov %eax, 20(%ebx)\n mov $0xc0000080, %ecx\n rdmsr\n mov %eax, 24(%ebx)\n"
        " mov 0x40(%ebx), %ecx\n jecxz 1f\n mov 0x44(%ebx), %edx\n mov %edx, (%ecx)\n"      /* one store that the test asks for */
        "1: mov 0x48(%ebx), %ecx\n jecxz 2f\n mov 0x4c(%ebx), %edx\n mov %edx, (%ecx)\n movl $0, 0x48(%ebx)\n mov $2000, %ecx\n 3: loopl 3b\n"
        "2: mov 0x50(%ebx), %ecx\n jecxz 4f\n incl 0x1c(%ebx)\n"
        "4: rsm\n"
        "smm_code_end:\n.code64\n.popsection");
extern char smm_code[], smm_code_end[];
struct seen { uint32_t count, cr0, cr4; uint16_t cs, ds; uint32_t flags, dr7, efer; };
static volatile struct seen *seen = (struct seen *)0x5000;
#define STORE_AT (*(volatile uint32_t *)0x5040)
#define STORE_V (*(volatile uint32_t *)0x5044)
#define ONCE_AT (*(volatile uint32_t *)0x5048)
#define ONCE_V (*(volatile uint32_t *)0x504c)

static void prepare(void)
{
    apic_on();
    memset((void *)0x5000, 0, 0x100);
    memcpy((void *)(uintptr_t)(BASE + 0x8000), smm_code, smm_code_end - smm_code);
    memcpy((void *)(uintptr_t)(BASE2 + 0x8000), smm_code, smm_code_end - smm_code);
}

SNIP(c_self, "movl $0x40200, (%rdi)\n mov $1000, %ecx\n 1: loop 1b\n mov $0x77, %ecx")
SNIP(c_rsm, "rsm") SNIP(c_hlt, "sti\n hlt\n inc %eax") SNIP(c_loop, "1: jmp 1b")

static struct ctx smi(const char *code, bool ring3)
{
    struct ctx c = ring3 ? user(code) : kernel(code);
    c.rax = 0x1122334455667788, c.rbx = 0x1111, c.rdx = 0x2222, c.rsi = 0x3333, c.rbp = 0x5555, c.r8 = 0x8888, c.r15 = 0xffff;
    c.rdi = APIC + 0x300;
    if (ring3) {
        c.rdi += UBASE;
    }
    run(&c);
    return c;
}

static void t_entry(void)
{
    prepare();
    struct ctx c = smi(c_self, false);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(seen->count, 1);
    CHECK_EQ(seen->cr0 & 0x8000000d, 0);         /* PE, EM, TS, PG */
    CHECK_EQ(seen->cr0 & 0x30, cr0() & 0x30);    /* the rest stays */
    CHECK_EQ(seen->cr4, 0);
    CHECK_EQ(seen->cs, BASE >> 4);
    CHECK_EQ(seen->ds, 0);
    CHECK_EQ(seen->flags & ~0x8d5u, 2);
    CHECK_EQ(seen->dr7, 0x400);
    CHECK_EQ(seen->efer, 0);
    CHECK_EQ(c.rax, 0x1122334455667788);
    CHECK_EQ(c.rbx, 0x1111);
    CHECK_EQ(c.rcx, 0x77);
    CHECK_EQ(c.rdx, 0x2222);
    CHECK_EQ(c.rsi, 0x3333);
    CHECK_EQ(c.rbp, 0x5555);
    CHECK_EQ(c.r8, 0x8888);
    CHECK_EQ(c.r15, 0xffff);
    CHECK_EQ(c.cs, SEL_KCODE);
    CHECK_EQ(c.ss, SEL_KDATA);
    c = smi(c_self, true);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(seen->count, 2);
    CHECK_EQ(c.cs, SEL_UCODE64);
    CHECK_EQ(c.ss, SEL_UDATA);
    CHECK_EQ(c.rdx, 0x2222);
}
static void t_area(void)
{
    prepare();
    wrmsr(0xc0000100, 0x123456789a);
    struct ctx c = smi(c_self, true);
    CHECK_EQ(F32(0xfefc), 0x20064);
    CHECK_EQ(F32(0xff00), BASE);
    CHECK_EQ(F64(0xff50), cr3());
    CHECK_EQ(F64(0xff58), cr0());
    CHECK_EQ(F64(0xff48), cr4());
    CHECK_EQ(F64(0xfed0) & 0x501, 0x501);
    CHECK_EQ(F64(0xfff8), 0x1122334455667788);
    CHECK_EQ(F64(0xffb8), 0x8888);
    CHECK_EQ(F64(0xff80), 0xffff);
    CHECK_EQ(F64(0xffe0), 0x1111);
    CHECK_EQ(F64(0xffc0), APIC + 0x300 + UBASE);
    CHECK_EQ(F64(0xffd8), c.sp);
    CHECK(F64(0xff78) > (word)UADDR(c_self) && F64(0xff78) <= (word)UADDR(c_self) + 32);
    CHECK_EQ(F16(0xfe10), SEL_UCODE64);
    CHECK_EQ(F16(0xfe20), SEL_UDATA);
    CHECK_EQ(F64(0xfe48), 0x123456789a);
    CHECK_EQ(F64(0xfe68), (word)gdt);
    CHECK_EQ(F64(0xfe88), (word)idt);
    CHECK_EQ(F16(0xfe90), SEL_TSS);
    CHECK_EQ(F64(0xfe98), (word)tss[0]);
    CHECK_EQ(area[0xfec9], 0);
    wrmsr(0xc0000100, 0);
}
static void t_changes(void)
{
    prepare();
    STORE_AT = BASE + 0xffe8;                    /* rdx */
    STORE_V = 0xabcd;
    struct ctx c = smi(c_self, false);
    CHECK_EQ(c.rdx, 0xabcd);
    STORE_AT = 0;
    STORE_AT = BASE + 0xff00;                    /* SMBASE: from the next SMI on */
    STORE_V = BASE2;
    c = smi(c_self, false);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(seen->cs, BASE >> 4);
    STORE_AT = 0;
    c = smi(c_self, false);
    CHECK_EQ(seen->cs, BASE2 >> 4);
    STORE_AT = BASE2 + 0xff00;
    STORE_V = BASE;
    c = smi(c_self, false);
    CHECK_EQ(seen->cs, BASE2 >> 4);
    STORE_AT = 0;
    c = smi(c_self, false);
    CHECK_EQ(seen->cs, BASE >> 4);
    CHECK_EQ(seen->count, 5);
}
static void t_rsm(void)
{
    struct ctx c = kernel(c_rsm);
    run(&c);
    TRAP(&c, V_UD, 0, c_rsm);
    c = user(c_rsm);
    run(&c);
    TRAP(&c, V_UD, 0, UADDR(c_rsm));
}
/* An SMI and an NMI that come in SMM wait for RSM. */
static volatile unsigned nmis, nmi_at_count;
static bool on_nmi(struct ctx *f)
{
    (void)f;
    nmis++;
    nmi_at_count = seen->count;
    return true;
}
static void t_waiting(void)
{
    prepare();
    ONCE_AT = APIC + 0x300;
    ONCE_V = SMI_SELF;
    struct ctx c = smi(c_self, false);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(seen->count, 2);
    nmis = 0;
    handler[V_NMI] = on_nmi;
    ONCE_AT = APIC + 0x300;
    ONCE_V = NMI_SELF;
    *(volatile uint32_t *)0x5050 = 1;
    c = smi(c_self, false);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(nmis, 1);
    CHECK_EQ(nmi_at_count, 3);
    handler[V_NMI] = NULL;
}
/* Halted, then an SMI: it halts again, and the timer ends that. */
static volatile bool sent;
static bool on_timer(struct ctx *f)
{
    eoi();
    if (!sent) {
        sent = true;
        apic_write(0x310, 0);
        apic_write(0x320, 0x200a2);
        apic_write(0x320, 0xa2);
        apic_write(0x380, 4000000);
        f->ip--;                                 /* back to the hlt */
        apic_write(0x300, SMI_SELF);             /* pending or done: both are fine */
        return true;
    }
    return true;
}
static void t_halt(void)
{
    prepare();
    sent = false;
    handler[0xa2] = on_timer;
    apic_write(0x3e0, 0xb);
    apic_write(0x320, 0xa2);
    apic_write(0x380, 4000000);
    struct ctx c = kernel(c_hlt);
    run(&c);
    TRAP(&c, V_END, 0, 0);
    CHECK_EQ(c.rax, 1);
    CHECK_EQ(seen->count, 1);
    handler[0xa2] = NULL;
}
/* Many, at any place of a loop. */
static void t_storm(void)
{
    prepare();
    volatile uint64_t sum = 0;
    for (unsigned i = 0; i < 2000; i++) {
        apic_write(0x300, SMI_SELF);
        for (unsigned k = 0; k < (i & 31); k++) {
            sum += k;
        }
    }
    CHECK(seen->count > 100 && seen->count <= 2000);
}
const struct test tests[] = {
    { "entry", t_entry }, { "area", t_area }, { "changes", t_changes }, { "rsm", t_rsm }, { "waiting", t_waiting }, { "halt", t_halt },
    { "storm", t_storm }, { 0, 0 },
};
