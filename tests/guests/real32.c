/*
 * Real mode: what wraps, what faults, and how. Each case is 16-bit code that runs with all vectors caught; END as elsewhere.
 * Intel SDM vol. 3 chapter 20 (20.1), vol. 2 (real-address mode exceptions of each instruction).
 */
#include "tests/guests/rt.h"

enum { S_CODE16 = SEL_TEST + 16, S_DATA16 = SEL_TEST + 48, BLOB = 0x8000, CODE = 0x20000, IVT_END = 0x3ff };

/* In and out at 0:6000. */
struct regs {
    uint32_t eax, ebx, ecx, edx, esi, edi, ebp, esp;         /* 0 */
    uint16_t ss, ds, es, cs, ip, flags;                      /* 32 */
    uint16_t vec, at_ip, at_cs, at_flags;                    /* 44: out */
    uint16_t idt_limit;                                      /* 52 */
};
static volatile struct regs *r = (struct regs *)0x6000;

__asm__(".pushsection .snip,\"awx\"\n.balign 16\n.globl rr_enter, rr_blob, rr_blob_end, rr_stubs\n"
    "rr_enter: pusha\n pushf\n cli\n mov %esp, rr_sp\n sidt rr_idt\n mov $0x80, %eax\n mov %eax, %ds\n mov %eax, %ss\n mov %eax, %es\n mov %eax, %fs\n mov %eax, %gs\n"
    " ljmp $0x60, $0\n"
    ".code16\nrr_blob: mov %cr0, %eax\n and $0xfe, %al\n mov %eax, %cr0\n ljmp $0x800, $1f - rr_blob\n"
    "1: xor %ax, %ax\n mov %ax, %ds\n mov $0x6000, %bp\n mov 52(%bp), %ax\n mov %ax, %cs:rr_ivt - rr_blob\n lidtl %cs:rr_ivt - rr_blob\n"
    " movw $0, %ax\n mov %ax, %ds\n mov %ax, %ss\n mov $0x5ff0, %sp\n"
    " pushw 42(%bp)\n pushw 38(%bp)\n pushw 40(%bp)\n popl 60(%bp)\n popw 64(%bp)\n"           /* ip, cs: 60; flags: 64 */
    " mov 0(%bp), %eax\n mov 4(%bp), %ebx\n mov 8(%bp), %ecx\n mov 12(%bp), %edx\n mov 16(%bp), %esi\n mov 20(%bp), %edi\n"
    " mov 36(%bp), %es\n pushw 64(%bp)\n popfw\n"
    " mov 32(%bp), %ss\n mov %ds:28(%bp), %esp\n"
    " mov %ds:34(%bp), %ds\n mov %cs:0x9000 - 0x8000, %ebp\n"
    " ljmp *%cs:0x9004 - 0x8000\n"
    "rr_common: mov %eax, %cs:0x9010 - 0x8000\n mov %ds, %ax\n mov %ax, %cs:0x9014 - 0x8000\n xor %ax, %ax\n mov %ax, %ds\n"
    " mov %ebx, 0x6004\n mov %ecx, 0x6008\n mov %edx, 0x600c\n mov %esi, 0x6010\n mov %edi, 0x6014\n mov %ebp, 0x6018\n"
    " mov %es, 0x6024\n mov %ss, 0x6020\n pop %ax\n mov %ax, 0x602e\n pop %ax\n mov %ax, 0x6030\n pop %ax\n mov %ax, 0x6032\n mov %esp, 0x601c\n"
    " mov %cs:0x9010 - 0x8000, %eax\n mov %eax, 0x6000\n mov %cs:0x9014 - 0x8000, %ax\n mov %ax, 0x6022\n mov %cs:0x9018 - 0x8000, %al\n xor %ah, %ah\n mov %ax, 0x602c\n"
    " xor %ax, %ax\n mov %ax, %ss\n mov $0x5ff0, %esp\n mov %cr0, %eax\n or $1, %al\n mov %eax, %cr0\n ljmpl $8, $rr_back\n"
    "rr_ivt: .word 0x3ff\n .long 0\n"
    ".balign 16\nrr_stubs:\n.set v, 0\n.rept 256\n .balign 16\n movb $v, %cs:0x9018 - 0x8000\n jmp rr_common\n .set v, v + 1\n.endr\nrr_blob_end:\n"
    ".code32\nrr_back: mov $0x10, %eax\n mov %eax, %ss\n mov $0x23, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %fs\n mov %eax, %gs\n"
    " mov rr_sp, %esp\n lidt rr_idt\n popf\n popa\n ret\n.balign 8\nrr_sp: .long 0\nrr_idt: .long 0, 0\n.popsection");
void rr_enter(void);
extern char rr_blob[], rr_blob_end[], rr_stubs[];

static void prepare(void)
{
    gdt_set(S_CODE16, BLOB, 0xffff, 0x9b, 0);
    gdt_set(S_DATA16, 0, 0xffff, 0x93, 0);
    memcpy((void *)BLOB, rr_blob, rr_blob_end - rr_blob);
    for (unsigned v = 0; v < 256; v++) {
        ((volatile uint32_t *)0)[v] = 0x8000000 | (uint32_t)(rr_stubs - rr_blob + v * 16);
    }
    memset((void *)r, 0, sizeof *r);
    r->ss = 0x3000, r->esp = 0x1000, r->ds = 0x4000, r->es = 0x5000, r->cs = CODE >> 4, r->ip = 0x100, r->flags = 2, r->idt_limit = IVT_END;
}
static void run_real(const uint8_t *code, unsigned n)
{
    memcpy((void *)(CODE + r->ip), code, n);
    ((volatile uint8_t *)CODE)[(r->ip + n) & 0xffff] = 0xcd;
    ((volatile uint8_t *)CODE)[(r->ip + n + 1) & 0xffff] = V_END;
    *(volatile uint32_t *)0x9000 = r->ebp;
    *(volatile uint16_t *)0x9004 = r->ip, *(volatile uint16_t *)0x9006 = r->cs;
    rr_enter();
}
#define REAL(...) do { static const uint8_t b_[] = { __VA_ARGS__ }; run_real(b_, sizeof b_); } while (0)
#define HIT(v, ip) do { if (r->vec != (v) || r->at_ip != (uint16_t)(ip)) fail("line %d: vector %x at %x, not %x at %x", __LINE__, r->vec, r->at_ip, v, ip); } while (0)
#define ENDS() do { if (r->vec != V_END) fail("line %d: vector %x at %x", __LINE__, r->vec, r->at_ip); } while (0)
#define M16(seg, off) (*(volatile uint16_t *)((seg) * 16 + (off)))
#define M8(seg, off)  (*(volatile uint8_t *)((seg) * 16 + (off)))

static void t_data(void)
{
    prepare();
    M16(0x4000, 0x10) = 0x1234;
    REAL(0xa1, 0x10, 0);                         /* mov 0x10, %ax */
    ENDS();
    CHECK_EQ(r->eax & 0xffff, 0x1234);
    prepare();
    REAL(0xa1, 0xff, 0xff);                      /* a word over the end of the segment */
    HIT(13, 0x100);
    prepare();
    REAL(0xa0, 0xff, 0xff);                      /* a byte is fine */
    ENDS();
    prepare();
    REAL(0x66, 0xa1, 0xfd, 0xff);                /* a dword over it */
    HIT(13, 0x100);
    prepare();
    REAL(0x36, 0xa1, 0xff, 0xff);                /* by SS: vector 12 */
    HIT(12, 0x100);
    prepare();
    r->ebp = 0xffff;
    REAL(0x8b, 0x46, 0x00);                      /* mov (%bp), %ax */
    HIT(12, 0x100);
    prepare();
    r->ebp = 0xffff;
    REAL(0x3e, 0x8b, 0x46, 0x00);                /* ds: makes it 13 */
    HIT(13, 0x100);
    prepare();
    r->ebx = 0xfff0, r->esi = 0x20;
    M16(0x4000, 0x10) = 0x4321;
    REAL(0x8b, 0x00);                            /* bx+si wraps at 64 KiB */
    ENDS();
    CHECK_EQ(r->eax & 0xffff, 0x4321);
    prepare();
    r->eax = 0x10000;
    REAL(0x67, 0x8b, 0x18);                      /* mov (%eax), %bx: beyond 64 KiB */
    HIT(13, 0x100);
    prepare();
    r->ebp = 0x12345;
    REAL(0x67, 0x8b, 0x5d, 0x00);                /* (%ebp): the stack segment */
    HIT(12, 0x100);
    prepare();
    r->edi = 0xffff, r->eax = 0xaa55;
    REAL(0xab);                                  /* stosw at ffff */
    HIT(13, 0x100);
    CHECK_EQ(r->edi, 0xffff);
    prepare();
    r->edi = 0xfffe, r->ecx = 3, r->eax = 0xaa55, r->flags = 2;
    REAL(0xf3, 0xab);                            /* wraps between elements, not inside one */
    ENDS();
    CHECK_EQ(r->edi & 0xffff, 4);
    CHECK_EQ(M16(0x5000, 0xfffe), 0xaa55);
    CHECK_EQ(M16(0x5000, 2), 0xaa55);
    prepare();
    r->edi = 0xffff, r->esi = 0x10, r->ecx = 2;
    REAL(0xf3, 0xa4);
    ENDS();
    CHECK_EQ(r->edi & 0xffff, 1);
}
static void t_stack(void)
{
    prepare();
    r->esp = 0;
    r->eax = 0x77;
    REAL(0x50);                                  /* push at sp 0: fffe */
    ENDS();
    CHECK_EQ(r->esp & 0xffff, 0xfffe);
    CHECK_EQ(M16(0x3000, 0xfffe), 0x77);
    prepare();
    r->esp = 0xffff;
    REAL(0x58);                                  /* pop of a word over the end: the handler's frame fits below */
    HIT(12, 0x100);
    prepare();
    r->esp = 0xabcd0002;
    REAL(0x50);                                  /* the upper half stays */
    CHECK_EQ(r->esp, 0xabcd0000);
    prepare();
    r->esp = 0x100;
    r->eax = 0x1111, r->edi = 0x7777;
    REAL(0x60);                                  /* pusha */
    ENDS();
    CHECK_EQ(r->esp & 0xffff, 0xf0);
    CHECK_EQ(M16(0x3000, 0xfe), 0x1111);
    CHECK_EQ(M16(0x3000, 0xf6), 0x100);          /* sp as it was */
    CHECK_EQ(M16(0x3000, 0xf0), 0x7777);
    prepare();
    r->esp = 0x100, r->eax = 0x1111, r->edi = 0x7777;
    REAL(0x60, 0x97, 0x61);                      /* pusha, xchg, popa */
    ENDS();
    CHECK_EQ(r->esp & 0xffff, 0x100);
    CHECK_EQ(r->eax & 0xffff, 0x1111);
    prepare();
    r->esp = 0x200, r->ebp = 0x5555;
    REAL(0xc8, 0x10, 0, 0);                      /* enter $16, $0 */
    CHECK_EQ(r->ebp & 0xffff, 0x1fe);
    CHECK_EQ(r->esp & 0xffff, 0x1ee);
    prepare();
    r->esp = 0x200;
    REAL(0x54, 0x58);                            /* push %sp: the old value */
    CHECK_EQ(r->eax & 0xffff, 0x200);
}
static void t_code(void)
{
    prepare();
    r->ip = 0xfffe;
    REAL(0xb8, 0x34, 0x12);                      /* runs over the end of the segment */
    HIT(13, 0xfffe);
    prepare();
    r->ip = 0xfff0;
    M8(CODE >> 4, 0x10) = 0xcd, M8(CODE >> 4, 0x11) = V_END;
    REAL(0xe9, 0x1d, 0x00);                      /* jmp +: wraps to 10 */
    HIT(V_END, 0x12);
    prepare();
    r->eax = 0x10010;
    REAL(0x66, 0xff, 0xe0);                      /* jmp *%eax beyond 64 KiB */
    HIT(13, 0x100);
    prepare();
    REAL(0x66, 0xe9, 0, 0, 1, 0);                /* jmp rel32 beyond it */
    HIT(13, 0x100);
    prepare();
    M8(0x2100, 0x20) = 0xcd, M8(0x2100, 0x21) = V_END;
    REAL(0x9a, 0x20, 0x00, 0x00, 0x21);          /* far call: CODE + 1000h */
    HIT(V_END, 0x22);
    CHECK_EQ(r->at_cs, 0x2100);
    CHECK_EQ(M16(0x3000, 0xffe), CODE >> 4);
    CHECK_EQ(M16(0x3000, 0xffc), 0x105);
    prepare();
    REAL(0x0e, 0x68, 0x0a, 0x01, 0xca, 0x04, 0x00, 0x90, 0x90, 0x90);      /* push %cs; push $10a; lret $4 */
    HIT(V_END, 0x10c);
    CHECK_EQ(r->esp & 0xffff, 0x1004);
}
static void t_vectors(void)
{
    prepare();
    REAL(0xf7, 0xf1);                            /* div by cx = 0: a fault */
    HIT(0, 0x100);
    prepare();
    REAL(0xd4, 0x00);                            /* aam 0 */
    HIT(0, 0x100);
    prepare();
    REAL(0xcc);
    HIT(3, 0x101);
    prepare();
    r->flags = 0x802;
    REAL(0xce);                                  /* into */
    HIT(4, 0x101);
    prepare();
    REAL(0xce);
    ENDS();
    prepare();
    M16(0x4000, 0x20) = 5, M16(0x4000, 0x22) = 9;
    r->eax = 10;
    REAL(0x62, 0x06, 0x20, 0x00);                /* bound */
    HIT(5, 0x100);
    prepare();
    r->eax = 0xfffe, M16(0x4000, 0x20) = 0xfffd, M16(0x4000, 0x22) = 0xffff;
    REAL(0x62, 0x06, 0x20, 0x00);                /* signed */
    ENDS();
    prepare();
    REAL(0x0f, 0x0b);
    HIT(6, 0x100);
    prepare();
    REAL(0xf0, 0x90);                            /* lock nop */
    HIT(6, 0x100);
    static const uint8_t protected_only[][3] = { { 0x0f, 0x00, 0xc0 }, { 0x0f, 0x00, 0xc8 }, { 0x0f, 0x00, 0xd0 }, { 0x0f, 0x00, 0xd8 }, { 0x0f, 0x00, 0xe0 }, { 0x0f, 0x02, 0xc0 },
        { 0x0f, 0x03, 0xc0 }, { 0x63, 0xc0, 0x90 } };
    for (unsigned i = 0; i < 8; i++) {
        prepare();
        run_real(protected_only[i], 3);
        HIT(6, 0x100);
    }
    prepare();
    REAL(0x0f, 0x20, 0xc0, 0x66, 0x0d, 0, 0, 0, 0x80, 0x0f, 0x22, 0xc0);     /* mov cr0 | PG without PE */
    HIT(13, 0x109);
    prepare();
    REAL(0x9c, 0x58, 0x80, 0xcc, 0x03, 0x50, 0x9d, 0xcd, 0x40);      /* pushf; pop %ax; or $3, %ah; push %ax; popf; int: clears IF and TF, the image has them */
    HIT(0x40, 0x109);
    CHECK_EQ(r->at_flags & 0x300, 0x300);
    prepare();
    REAL(0x9c, 0x58, 0x80, 0xcc, 0x01, 0x50, 0x9d, 0x90, 0x90);      /* the step comes behind the instruction that follows popf */
    HIT(1, 0x108);
    prepare();
    r->idt_limit = 13 * 4 + 3;                   /* vector 40h lies behind the table: 13 */
    REAL(0xcd, 0x40);
    HIT(13, 0x100);
    prepare();
    static const uint8_t lng[16] = { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90 };
    run_real(lng, 16);
    HIT(13, 0x100);
}
static void t_flags(void)
{
    prepare();
    REAL(0x68, 0xff, 0x7e, 0x9d, 0x9c, 0x58);                    /* push $7eff (no TF); popf; pushf; pop %ax */
    CHECK_EQ(r->eax & 0xffff, 0x7ed7);                           /* IOPL and NT are there; 3 and 5 are 0, 1 is 1 */
    prepare();
    REAL(0x66, 0x68, 0xd7, 0x0e, 0x3f, 0x00, 0x66, 0x9d, 0x66, 0x9c, 0x66, 0x58);      /* popfl with RF VM VIF VIP ID AC */
    CHECK_EQ(r->eax & 0x1b0000, 0);                              /* RF, VM, VIF, VIP: not by popf */
    CHECK_EQ(r->eax & 0x240000, 0x240000);                       /* AC and ID */
    prepare();
    REAL(0x9c, 0x0e, 0x68, 0x09, 0x01, 0xcf, 0x90, 0x90, 0x90);  /* iret with a frame of its own */
    HIT(V_END, 0x10b);
    prepare();
    REAL(0x66, 0x9c, 0x66, 0x0f, 0xa0, 0x66, 0x58, 0x66, 0x6a, 0x00, 0x66, 0xcf);      /* iretl whose eip is fine */
    CHECK(r->vec != V_END || r->at_ip);
}
/* Segment loads keep limit and rights; CS base after a far jump; LES, LSS; SMSW, LMSW. */
static void t_system(void)
{
    prepare();
    REAL(0x0f, 0x01, 0xe0);                      /* smsw */
    CHECK_EQ(r->eax & 1, 0);
    prepare();
    r->eax = 0;
    REAL(0x0f, 0x01, 0xf0);                      /* lmsw of 0 */
    ENDS();
    prepare();
    M16(0x4000, 0x30) = 0x1357, M16(0x4000, 0x32) = 0x2468;
    REAL(0xc4, 0x3e, 0x30, 0x00);                /* les */
    CHECK_EQ(r->edi & 0xffff, 0x1357);
    CHECK_EQ(r->es, 0x2468);
    prepare();
    REAL(0x0f, 0x01, 0x0e, 0x40, 0x00);          /* sidt */
    CHECK_EQ(M16(0x4000, 0x40), IVT_END);
    prepare();
    REAL(0xd6);                                  /* salc */
    CHECK_EQ(r->eax & 0xff, 0);
    prepare();
    r->flags = 3;
    REAL(0xd6);
    CHECK_EQ(r->eax & 0xff, 0xff);
    prepare();
    M16(0xf000, 0) = 0;
    r->ds = 0xffff;
    REAL(0xa1, 0x10, 0x05);                      /* ffff:510 with A20 open is 100500 */
    CHECK_EQ(r->eax & 0xffff, *(volatile uint16_t *)0x100500);
    prepare();
    REAL(0x8e, 0xc8);                            /* mov to cs */
    HIT(6, 0x100);
    prepare();
    REAL(0x0f, 0xc7, 0xc8);                      /* cmpxchg8b of a register */
    HIT(6, 0x100);
}
const struct test tests[] = {
    { "data", t_data }, { "stack", t_stack }, { "code", t_code }, { "vectors", t_vectors }, { "flags", t_flags }, { "system", t_system }, { 0, 0 },
};
