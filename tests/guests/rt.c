/* Console, test loop, traps, descriptors, APIC and AP start-up of the test guests. See rt.h. */
#include "tests/guests/rt.h"

uint64_t idt[256 * IDT_SIZE / 8] __attribute__((aligned(16)));
uint32_t tss[MAX_CPUS][32] __attribute__((aligned(256)));
uint8_t page[PAGES][4096] __attribute__((aligned(4096)));
bool (*volatile handler[256])(struct ctx *f);
extern char stubs[][16], ap_code[], ap_code_end[], ap_stacks[], trap_stack_top[];
extern uint32_t multiboot_info;
extern volatile uint32_t ap_next;
void run_enter(struct ctx *c);
void run_exit(void) __attribute__((noreturn));
void trap_c(struct ctx *f);
void rt_main(void);
void ap_main(unsigned cpu);

static struct ctx *volatile running;
static const struct test *current;
static bool failed, skipped, any_failed;

/* --- memory --- */
void *memcpy(void *d, const void *s, size_t n)
{
    void *r = d;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) :: "memory");
    return r;
}
void *memset(void *d, int c, size_t n)
{
    void *r = d;
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    return r;
}
int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;
    for (; n; n--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}

/* --- console --- */
static void put(char c)
{
    while (!(inb(0x3fd) & 0x20)) {
    }
    outb(0x3f8, c);
}
static void put_number(word v, unsigned base)
{
    char b[24];
    int n = 0;
    do {
        b[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    while (n) {
        put(b[--n]);
    }
}
static void vprint(const char *f, va_list ap)
{
    for (; *f; f++) {
        if (*f != '%') {
            put(*f);
            continue;
        }
        bool big = f[1] == 'l';
        f += 1 + big;
        if (*f == 's') {
            for (const char *s = va_arg(ap, const char *); *s; s++) {
                put(*s);
            }
        } else if (*f == 'c') {
            put(va_arg(ap, int));
        } else if (*f == 'd') {
            int v = va_arg(ap, int);
            if (v < 0) {
                put('-');
            }
            put_number(v < 0 ? -v : v, 10);
        } else {
            put_number(big ? va_arg(ap, word) : va_arg(ap, unsigned), *f == 'u' ? 10 : 16);
        }
    }
}
void print(const char *f, ...)
{
    va_list ap;
    va_start(ap, f);
    vprint(f, ap);
    va_end(ap);
}
void fail(const char *f, ...)
{
    if (failed) {
        return;
    }
    failed = any_failed = true;
    print("FAIL %s: ", current ? current->name : "?");
    va_list ap;
    va_start(ap, f);
    vprint(f, ap);
    va_end(ap);
    print("\n");
}
void skip(const char *why)
{
    skipped = true;
    print("SKIP %s: %s\n", current->name, why);
}
void finish(void)
{
    print("DONE\n");
    outb(0x501, any_failed ? 0x11 : 0x10);
    for (;;) {
        __asm__ volatile("cli\nhlt");
    }
}
unsigned option(const char *name, unsigned def)
{
    const uint32_t *info = (const uint32_t *)(uintptr_t)multiboot_info;
    if (!(info[0] & 4)) {
        return def;
    }
    for (const char *s = (const char *)(uintptr_t)info[4]; *s; s++) {
        const char *n = name, *p = s;
        while (*n && *n == *p) {
            n++, p++;
        }
        if (!*n && *p == '=') {
            unsigned v = 0;
            for (p++; *p >= '0' && *p <= '9'; p++) {
                v = v * 10 + *p - '0';
            }
            return v;
        }
    }
    return def;
}

/* --- descriptors --- */
void gdt_set(unsigned sel, uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
    gdt[sel / 8] = (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
        (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)flags << 52 | (uint64_t)(base >> 24) << 56;
}
void idt_gate(unsigned vec, unsigned dpl, unsigned present)
{
    uintptr_t at = (uintptr_t)stubs[vec];
    uint64_t low = (at & 0xffff) | SEL_KCODE << 16 | (uint64_t)(present << 15 | dpl << 13 | 0xe00) << 32 | (uint64_t)(at & 0xffff0000) << 32;
#ifdef __x86_64__
    idt[vec * 2] = low | 1ull << 32;     /* IST 1 for everything: code under test may have any stack */
    idt[vec * 2 + 1] = at >> 32;
#else
    idt[vec] = low;
#endif
}
static void tss_init(unsigned cpu, unsigned sel, char *stack)
{
    uint32_t *t = tss[cpu];
#ifdef __x86_64__
    memcpy(&t[1], &stack, 8);            /* RSP0 */
    memcpy(&t[9], &stack, 8);            /* IST1 */
    t[25] = 104 << 16;
    gdt_set(sel, (uintptr_t)t, 103, 0x89, 0);
    gdt[sel / 8 + 1] = (uintptr_t)t >> 32;
#else
    t[1] = (uintptr_t)stack;
    t[2] = SEL_KDATA;
    t[25] = 104 << 16;
    gdt_set(sel, (uintptr_t)t, 103, 0x89, 0);
#endif
    __asm__ volatile("ltr %w0" :: "r"(sel));
}

/* --- traps --- */
void trap_c(struct ctx *f)
{
    if (handler[f->vec] && handler[f->vec](f)) {
        return;
    }
    struct ctx *c = running;
    if (!c) {
        fail("unexpected trap %u, error %lx, at %lx, cr2 %lx", (unsigned)f->vec, f->err, f->ip, cr2());
        for (const word *w = (const word *)f; w < (const word *)&f->cr2; w++) {
            print("%lx ", *w);
        }
        print("\n");
        finish();
    }
    memcpy(c, f, offsetof(struct ctx, cr2));
#ifndef __x86_64__
    if (!(f->cs & 3) && !(f->flags & F_VM)) {
        c->sp = (uintptr_t)&f->sp;
        c->ss = SEL_KDATA;
    }
#endif
    c->cr2 = cr2();
    c->dr6 = dr6();
    running = NULL;
    run_exit();
}
void run(struct ctx *c)
{
    running = c;
#ifndef __x86_64__
    if (!(c->cs & 3) && !(c->flags & F_VM)) {        /* iret to the same ring takes no stack: put the frame on the target's */
        void *f = (void *)(c->sp - offsetof(struct ctx, sp));
        memcpy(f, c, offsetof(struct ctx, sp));
        run_enter(f);
        return;
    }
#endif
    run_enter(c);
}
struct ctx kernel(const void *code)
{
    struct ctx c;
    memset(&c, 0, sizeof c);
    c.ip = (uintptr_t)code;
    c.cs = SEL_KCODE;
    c.ss = SEL_KDATA;
    c.sp = (uintptr_t)snip_stack_top;
    c.flags = 2;
#ifndef __x86_64__
    c.ds = c.es = c.fs = c.gs = SEL_UDATA;
#endif
    return c;
}
struct ctx user(const void *code)
{
    struct ctx c = kernel(UADDR(code));
#ifdef __x86_64__
    c.cs = SEL_UCODE64;
#else
    c.cs = SEL_UCODE32;
#endif
    c.ss = SEL_UDATA;
    c.sp = (uintptr_t)UADDR(snip_stack_top);
    return c;
}
static bool has_error(unsigned vec) { return vec == V_DF || (vec >= V_TS && vec <= V_PF) || vec == V_AC; }
void check_trap(const struct ctx *c, unsigned vec, word err, const void *ip, int line)
{
    if (c->vec != vec) {
        fail("line %d: trap %u (error %lx, ip %lx, cr2 %lx), not %u", line, (unsigned)c->vec, c->err, c->ip, c->cr2, vec);
    } else if (has_error(vec) && c->err != err) {
        fail("line %d: trap %u with error %lx, not %lx", line, vec, c->err, err);
    } else if (ip && c->ip != (uintptr_t)ip) {
        fail("line %d: trap %u at %lx, not %lx", line, vec, c->ip, (word)(uintptr_t)ip);
    }
}

#ifdef __x86_64__
void *test_page(unsigned slot, const void *backing, uint64_t bits)
{
    char *at = (char *)(TBASE + slot * 4096ull);
    tpt[slot] = (uintptr_t)backing | bits;
    invlpg(at);
    return at;
}
#endif

SNIP(snip_rdmsr, "rdmsr")
SNIP(snip_wrmsr, "wrmsr")
unsigned try_msr(uint32_t n, uint64_t v, bool write)
{
    struct ctx c = kernel(write ? snip_wrmsr : snip_rdmsr);
    c.rcx = n;
    c.rax = (uint32_t)v;
    c.rdx = (uint32_t)(v >> 32);
    run(&c);
    return c.vec == V_END ? 0 : c.vec;
}

/* --- APIC, PIT --- */
void apic_on(void)
{
    wrmsr(0x1b, (rdmsr(0x1b) & ~0x400ull) | 0x800);
    apic_write(0xf0, 0x1ff);
    apic_write(0x80, 0);
}
void ipi(unsigned apic_id, uint32_t low)
{
    while (apic_read(0x300) & 0x1000) {
        pause();
    }
    apic_write(0x310, apic_id << 24);
    apic_write(0x300, low);
    while (apic_read(0x300) & 0x1000) {
        pause();
    }
}
void delay_us(unsigned us)
{
    while (us) {
        unsigned now = us > 50000 ? 50000 : us, ticks = now * 1193 / 1000 + 1;
        outb(0x61, (inb(0x61) & ~3) | 1);
        outb(0x43, 0xb0);                /* channel 2, mode 0 */
        outb(0x42, ticks);
        outb(0x42, ticks >> 8);
        while (!(inb(0x61) & 0x20)) {
            pause();
        }
        us -= now;
    }
}
bool wait_for(volatile uint32_t *p, uint32_t v, unsigned ms)
{
    for (unsigned i = 0; *p != v; i++) {
        if (i >= ms) {
            return false;
        }
        delay_us(1000);
    }
    return true;
}

#ifdef __x86_64__
static void (*volatile ap_fn)(unsigned cpu);
uint8_t cpu_apic[MAX_CPUS];
static volatile uint32_t ap_generation, ap_up, ap_done;
unsigned smp_cpus(void) { return option("smp", 1); }

void ap_main(unsigned cpu)
{
    tss_init(cpu, SEL_TSS_AP + cpu * 16, ap_stacks + cpu * 8192 - 4096);     /* the upper half is the CPU's own stack */
    apic_on();
    cpu_apic[cpu] = apic_read(0x20) >> 24;
    __atomic_add_fetch(&ap_up, 1, __ATOMIC_SEQ_CST);
    for (uint32_t seen = 0;; seen++) {
        while (ap_generation == seen) {
            pause();
        }
        ap_fn(cpu);
        __atomic_add_fetch(&ap_done, 1, __ATOMIC_SEQ_CST);
    }
}
bool smp_start(void (*fn)(unsigned cpu))
{
    unsigned others = smp_cpus() - 1;
    if (!ap_up) {
        memcpy((void *)AP_PAGE, ap_code, ap_code_end - ap_code);
        apic_on();
        ipi(0, 0xc4500);                 /* INIT to all but self; SDM vol. 3, 9.4.4.1 */
        delay_us(10000);
        ipi(0, 0xc4600 | AP_PAGE >> 12);
        delay_us(200);
        ipi(0, 0xc4600 | AP_PAGE >> 12);
    }
    if (!wait_for(&ap_up, others, 5000)) {
        fail("%u of %u other CPUs came up", ap_up, others);
        return false;
    }
    if (fn) {
        ap_done = 0;
        ap_fn = fn;
        ap_generation++;
    }
    return true;
}
bool smp_wait(unsigned ms)
{
    if (!wait_for(&ap_done, smp_cpus() - 1, ms)) {
        fail("%u of %u other CPUs ended", ap_done, smp_cpus() - 1);
        return false;
    }
    return true;
}
#endif

void rt_main(void)
{
    outb(0x3fb, 3);
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    gdt_set(SEL_KCODE, 0, 0xfffff, 0x9b, sizeof(word) == 8 ? 10 : 12);
    gdt_set(SEL_KDATA, 0, 0xfffff, 0x93, 12);
    gdt_set(SEL_UCODE32 & ~7, 0, 0xfffff, 0xfb, 12);
    gdt_set(SEL_UDATA & ~7, 0, 0xfffff, 0xf3, 12);
    gdt_set(SEL_UCODE64 & ~7, 0, 0xfffff, 0xfb, sizeof(word) == 8 ? 10 : 12);
    gdt_set(0x30, 0, 0xfffff, 0xf3, 12);
    for (unsigned i = 0; i < 256; i++) {
        idt_gate(i, i == V_BP || i == V_OF || i >= 0x80 ? 3 : 0, 1);
    }
    tss_init(0, SEL_TSS, trap_stack_top);
    print("\n");
    for (current = tests; current->name; current++) {
        failed = skipped = false;
        current->fn();
        if (!failed && !skipped) {
            print("PASS %s\n", current->name);
        }
    }
    finish();
}
