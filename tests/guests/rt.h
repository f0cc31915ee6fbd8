/*
 * Run time of the test guests: bare-metal x86 programs that check themselves. A guest is one .c file, loaded by -kernel
 * as a multiboot 1 ELF file; NAME.c is built for long mode, NAME32.c for 32-bit protected mode without paging.
 *
 * A guest exports tests[]; rt.c runs them all, prints `PASS name` or `FAIL name: detail` on COM1 and ends through
 * isa-debug-exit at 0x501. The heart is run(): it enters a context (any ring, any mode) by iret and comes back with
 * the whole register file at the next trap. Code under test ends with int 0x81 (END) when nothing else stops it.
 */
#ifndef TESTS_GUESTS_RT_H
#define TESTS_GUESTS_RT_H

#ifdef __x86_64__
#define SEL_KCODE64 0x08
#endif
#define SEL_KCODE   0x08
#define SEL_KDATA   0x10
#define SEL_UCODE32 0x1b
#define SEL_UDATA   0x23
#define SEL_UCODE64 0x2b                 /* long mode only */
#define SEL_KCODE32 0x38
#define SEL_TSS     0x40
#define SEL_TEST    0x50                 /* 32 descriptors for tests from here */
#define SEL_TSS_AP  0x200
#define GDT_ENTRIES 128
#define V_END       0x81                 /* vector of END */
#define AP_PAGE     0x9000               /* AP start-up code is copied here */
#define MAX_CPUS    8
#ifdef __x86_64__
#define IDT_SIZE 16
#else
#define IDT_SIZE 8
#endif

#ifndef __ASSEMBLER__
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { V_DE, V_DB, V_NMI, V_BP, V_OF, V_BR, V_UD, V_NM, V_DF, V_TS = 10, V_NP, V_SS, V_GP, V_PF, V_MF = 16, V_AC, V_MC, V_XM };
enum { F_CF = 1, F_PF = 4, F_AF = 16, F_ZF = 64, F_SF = 128, F_TF = 256, F_IF = 512, F_DF = 1024, F_OF = 2048,
       F_IOPL = 0x3000, F_NT = 0x4000, F_RF = 0x10000, F_VM = 0x20000, F_AC = 0x40000, F_ARITH = 0x8d5 };
enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 16 };
enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 32, PTE_D = 64, PTE_PS = 128, PTE_G = 256 };
#define PTE_NX (1ull << 63)

/* Register file, in the order of the stack; rt.S relies on it. */
#ifdef __x86_64__
typedef uint64_t word;
struct ctx {
    word r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax, vec, err, ip, cs, flags, sp, ss;
    word cr2, dr6;                       /* out only */
};
#else
typedef uint32_t word;
struct ctx {
    word rdi, rsi, rbp, unused, rbx, rdx, rcx, rax, gs, fs, es, ds, vec, err, ip, cs, flags, sp, ss;
    word ves, vds, vfs, vgs;             /* with F_VM */
    word cr2, dr6;
};
#endif

struct test {
    const char *name;
    void (*fn)(void);
};
extern const struct test tests[];        /* ends with a NULL name */

/* --- results --- */
void print(const char *fmt, ...);        /* %s %d %u %x %lx(word) %c */
void fail(const char *fmt, ...);         /* the running test; the first detail is printed */
void skip(const char *why);              /* the running test; then return */
#define CHECK(cond)        do { if (!(cond)) fail("line %d: not " #cond, __LINE__); } while (0)
#define CHECK_EQ(a, b)     do { word a_ = (word)(a), b_ = (word)(b); if (a_ != b_) fail("line %d: " #a " is %lx, not %lx", __LINE__, a_, b_); } while (0)
void check_trap(const struct ctx *c, unsigned vec, word err, const void *ip, int line);
#define TRAP(c, vec, err, at) check_trap(c, vec, err, at, __LINE__)   /* err is ignored for vectors without one */
void finish(void) __attribute__((noreturn));
unsigned option(const char *name, unsigned def);      /* number after NAME= on the command line */

/* --- contexts --- */
/* Code under test: SNIP(name, "instructions") puts it into a section of its own that is writable and user-accessible. */
#define SNIP(name, code)   __asm__(".pushsection .snip,\"awx\"\n.balign 64\n.globl " #name "\n" #name ":\n" code "\n" END "\n.popsection"); extern char name[];
#define SNIP_AT(name)      extern char name[];
#define END                "int $0x81"
struct ctx kernel(const void *code);     /* context at code in ring 0, stack snip_stack */
struct ctx user(const void *code);       /* the same in ring 3 (through the user alias in long mode) */
void run(struct ctx *c);                 /* until a trap that no handler takes; CPU 0 only */
extern char snip_stack[], snip_stack_top[];

/* A vector's handler: true = return to the interrupted code, false = ends run(). On any CPU. */
extern bool (*volatile handler[256])(struct ctx *f);
void idt_gate(unsigned vec, unsigned dpl, unsigned present);
extern uint64_t gdt[GDT_ENTRIES], idt[];
void gdt_set(unsigned sel, uint32_t base, uint32_t limit, unsigned access, unsigned flags);   /* flags: G D L AVL as in bits 55-52 */
extern uint32_t tss[][32];               /* per CPU */

/* --- memory --- */
#ifdef __x86_64__
#define UBASE 0x8000000000ull            /* first 4 GiB again, user-accessible */
#define TBASE 0x10000000000ull           /* 512 test pages, one table tpt[] */
#define UADDR(p) ((void *)((uintptr_t)(p) + UBASE))
#else
#define UADDR(p) ((void *)(p))
#endif
extern volatile uint64_t pml4[512], tpt[512], tpd[512], tpdpt[512];
#define PAGES 16
extern uint8_t page[PAGES][4096];        /* backing for tests */
void *test_page(unsigned slot, const void *backing, uint64_t bits);   /* maps, invalidates; its address */
void *memcpy(void *d, const void *s, size_t n);
void *memset(void *d, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

/* --- CPU --- */
static inline void outb(uint16_t p, uint8_t v) { __asm__ volatile("outb %0, %1" :: "a"(v), "Nd"(p)); }
static inline uint8_t inb(uint16_t p) { uint8_t v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(p)); return v; }
static inline uint64_t rdmsr(uint32_t n) { uint32_t a, d; __asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(n)); return (uint64_t)d << 32 | a; }
static inline void wrmsr(uint32_t n, uint64_t v) { __asm__ volatile("wrmsr" :: "c"(n), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory"); }
static inline uint64_t rdtsc(void) { uint32_t a, d; __asm__ volatile("rdtsc" : "=a"(a), "=d"(d)); return (uint64_t)d << 32 | a; }
static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4]) { __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub)); }
static inline void invlpg(const void *p) { __asm__ volatile("invlpg (%0)" :: "r"(p) : "memory"); }
#define CR(n) \
static inline word cr##n(void) { word v; __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v) :: "memory"); return v; } \
static inline void set_cr##n(word v) { __asm__ volatile("mov %0, %%cr" #n :: "r"(v) : "memory"); }
CR(0) CR(2) CR(3) CR(4)
#define DR(n) \
static inline word dr##n(void) { word v; __asm__ volatile("mov %%dr" #n ", %0" : "=r"(v)); return v; } \
static inline void set_dr##n(word v) { __asm__ volatile("mov %0, %%dr" #n :: "r"(v)); }
DR(0) DR(1) DR(2) DR(3) DR(6) DR(7)
static inline void sti(void) { __asm__ volatile("sti" ::: "memory"); }
static inline void cli(void) { __asm__ volatile("cli" ::: "memory"); }
static inline void irq_window(void) { __asm__ volatile("sti\nnop\nnop\nnop\ncli" ::: "memory"); }
static inline void sti_hlt_cli(void) { __asm__ volatile("sti\nhlt\ncli" ::: "memory"); }
static inline void pause(void) { __asm__ volatile("pause" ::: "memory"); }
/* One instruction that may fault: its vector, 0 when it went through. */
#define TRY_MSR_READ(n)      try_msr(n, 0, false)
#define TRY_MSR_WRITE(n, v)  try_msr(n, v, true)
unsigned try_msr(uint32_t n, uint64_t v, bool write);

/* --- APIC, PIT --- */
#define APIC 0xfee00000u
static inline uint32_t apic_read(unsigned reg) { return *(volatile uint32_t *)(uintptr_t)(APIC + reg); }
static inline void apic_write(unsigned reg, uint32_t v) { *(volatile uint32_t *)(uintptr_t)(APIC + reg) = v; }
void apic_on(void);
static inline void eoi(void) { apic_write(0xb0, 0); }
void ipi(unsigned apic_id, uint32_t icr_low);
void delay_us(unsigned us);              /* by PIT channel 2 */
bool wait_for(volatile uint32_t *p, uint32_t v, unsigned ms);          /* until *p == v */

#ifdef __x86_64__
/* Starts the other CPUs (option smp=N); each runs fn(index 1...) with interrupts off, then halts. False: did not come up. */
unsigned smp_cpus(void);
extern uint8_t cpu_apic[MAX_CPUS];       /* APIC ids by index; CPUs come up in any order */
bool smp_start(void (*fn)(unsigned cpu));
bool smp_wait(unsigned ms);              /* until fn returned on all of them */
#endif
#endif
#endif
