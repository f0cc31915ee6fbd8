/*
 * Runs guest code on the host CPU itself, inside this process: a signal handler swaps the whole register state in the signal
 * frame (general registers, flags, x87, ymm), and every sequence ends in a signal, whose frame is the result. 32-bit code
 * runs by the compatibility code segment that Linux offers, 16-bit code by segments of a local descriptor table. Of esp in 16-bit code only
 * the lower half means anything: Linux hides what IRET leaves in the upper one.
 */
#include <cpuid.h>
#include <asm/ldt.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/diff/x86diff_util.h"

bool (*xd_fpe_hook)(void *ucontext);

enum { CS32 = 0x23, DATA_SELECTOR = 0x2b, CS16 = 1 << 3 | 7, DATA16 = 2 << 3 | 7, XSAVE_BV = 512, XF_AVX = 4, TICK_US = 100000, ALT_STACK = 1 << 17 };

/* The handler has no parameter of its own: one process, one thread. */
uint64_t xd_host_fs, xd_fs_seen;
static bool has_fsgs, has_avx, has_16bit;
static unsigned avx_at;                /* in the frame's XSAVE image */
static volatile bool inside;
static volatile unsigned ticks;
static const struct xd_seq *job;
static struct xd_result *result;
static gregset_t host_regs;
static uint8_t host_fx[512], host_high[256];
static int memfd = -1;
static uint8_t *code_rw;
static uint16_t selectors[6];

/* FS may be the guest's when a signal comes: C code needs the host's. */
void xd_handler(void);
void xd_handler_plain(void);
void xd_signal(int sig, siginfo_t *info, void *uc);
__asm__(".text\n"
        "xd_handler:\n"
        "  rdfsbase %rax\n"
        "  mov %rax, xd_fs_seen(%rip)\n"
        "  mov xd_host_fs(%rip), %rax\n"
        "  wrfsbase %rax\n"
        "xd_handler_plain:\n"
        "  pushfq\n"                          /* AC, ID, NT as the guest left them: Linux keeps them */
        "  andl $~0x244000, (%rsp)\n"
        "  popfq\n"
        "  jmp xd_signal\n");

static inline uint64_t rdfs(void) { uint64_t v; __asm__ volatile("rdfsbase %0" : "=r"(v)); return v; }
static inline uint64_t rdgs(void) { uint64_t v; __asm__ volatile("rdgsbase %0" : "=r"(v)); return v; }
static inline void wrgs(uint64_t v) { __asm__ volatile("wrgsbase %0" :: "r"(v)); }

static const int greg_of[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                 REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

/* 64-bit code does not mind what they hold. */
static void data_segments(uint16_t selector)
{
    __asm__ volatile("mov %0, %%ds\n\tmov %0, %%es" :: "r"(selector));
}

static uint8_t *frame_fx(ucontext_t *uc) { return (uint8_t *)uc->uc_mcontext.fpregs; }

/* x87, SSE and AVX parts of the frame count even if they were in their initial state. */
static void frame_all(uint8_t *fx)
{
    uint64_t bv;
    memcpy(&bv, fx + XSAVE_BV, 8);
    bv |= has_avx ? 7 : 3;
    memcpy(fx + XSAVE_BV, &bv, 8);
}

/* Parts that are not marked as in use are in their initial state, whatever stands there. */
static void vectors(uint8_t *fx, struct xd_state *s, bool store)
{
    uint64_t bv;

    memcpy(&bv, fx + XSAVE_BV, 8);
    for (unsigned i = 0; i < 16; i++) {
        uint8_t *low = fx + 160 + 16 * i, *high = fx + avx_at + 16 * i;
        if (store) {
            memcpy(s->ymm[i], low, 16);
            memset(s->ymm[i] + 16, 0, 16);
        } else {
            memcpy(low, s->ymm[i], 16);
        }
        if (store && has_avx && (bv & XF_AVX)) {
            memcpy(s->ymm[i] + 16, high, 16);
        } else if (!store && has_avx) {
            memcpy(high, s->ymm[i] + 16, 16);
        }
    }
}

static void load_guest(ucontext_t *uc)
{
    const struct xd_state *s = &job->init;
    greg_t *g = uc->uc_mcontext.gregs;
    uint8_t *fx = frame_fx(uc);

    memcpy(host_regs, g, sizeof(host_regs));
    memcpy(host_fx, fx, sizeof(host_fx));
    if (has_avx) {
        memcpy(host_high, fx + avx_at, sizeof(host_high));
    }
    for (unsigned i = 0; i < 16; i++) {
        g[greg_of[i]] = (greg_t)s->gpr[i];
    }
    g[REG_RIP] = (greg_t)s->rip;
    g[REG_EFL] = s->eflags;
    if (job->mode == X86_CODE32) {
        uint64_t segs = (uint64_t)g[REG_CSGSFS];
        g[REG_CSGSFS] = (greg_t)((segs & ~0xffffull) | CS32);
    }
    if (job->mode == X86_CODE16) {
        uint64_t segs = (uint64_t)g[REG_CSGSFS];
        g[REG_CSGSFS] = (greg_t)((segs & 0xffffffff0000ull) | CS16 | (uint64_t)DATA16 << 48);
        g[REG_RIP] = (greg_t)(s->rip - XD_CODE);
        data_segments(DATA16);
    }
    memcpy(fx, s->fx, 24);
    memcpy(fx + 24, &s->mxcsr, 4);
    memcpy(fx + 32, s->fx + 32, 128);
    vectors(fx, (struct xd_state *)s, false);
    frame_all(fx);
    inside = true;
    ticks = 0;
}

static void store_guest(ucontext_t *uc, int vector)
{
    struct xd_state *s = &result->s;
    greg_t *g = uc->uc_mcontext.gregs;
    uint8_t *fx = frame_fx(uc);

    for (unsigned i = 0; i < 16; i++) {
        s->gpr[i] = (uint64_t)g[greg_of[i]];
    }
    s->rip = (uint64_t)g[REG_RIP];
    if (job->mode == X86_CODE16) {
        s->rip += XD_CODE;
        data_segments(DATA_SELECTOR);
    }
    s->eflags = (uint32_t)g[REG_EFL];
    memcpy(s->fx, fx, 24);
    memcpy(s->fx + 32, fx + 32, 128);
    memcpy(&s->mxcsr, fx + 24, 4);
    vectors(fx, s, true);
    s->fs_base = has_fsgs ? xd_fs_seen : 0;
    s->gs_base = has_fsgs ? rdgs() : 0;
    result->vector = vector;
    result->code = (uint32_t)g[REG_ERR];
    result->cr2 = (uint64_t)g[REG_CR2];
    memcpy(g, host_regs, sizeof(host_regs));
    memcpy(fx, host_fx, sizeof(host_fx));
    if (has_avx) {
        memcpy(fx + avx_at, host_high, sizeof(host_high));
    }
    frame_all(fx);
    inside = false;
}

static inline void fs_back(uint64_t v)
{
    if (has_fsgs) {
        __asm__ volatile("wrfsbase %0" :: "r"(v) : "memory");
    }
}

/* Our own mistake: say where, and die of it on return. */
static void own_fault(int sig, ucontext_t *uc)
{
    char text[120];
    int n = snprintf(text, sizeof(text), "signal %d outside native code at %llx, address %llx, seed %llu\n", sig,
                     (unsigned long long)uc->uc_mcontext.gregs[REG_RIP], (unsigned long long)uc->uc_mcontext.gregs[REG_CR2],
                     job ? (unsigned long long)job->seed : 0);
    if (write(2, text, (size_t)n) < 0) {
        _exit(3);
    }
    signal(sig, SIG_DFL);
}

__attribute__((no_stack_protector)) void xd_signal(int sig, siginfo_t *info, void *ucv)
{
    ucontext_t *uc = ucv;
    uint64_t fs = xd_fs_seen;

    (void)info;
    if (sig == SIGUSR1) {
        load_guest(uc);
        if (has_fsgs) {
            wrgs(job->init.gs_base);
        }
        fs = job->init.fs_base;
    } else if (inside && sig == SIGALRM) {
        if (++ticks > 2) {
            store_guest(uc, XD_TIMEOUT);
            fs = xd_host_fs;
        }
    } else if (inside) {
        store_guest(uc, (int)uc->uc_mcontext.gregs[REG_TRAPNO]);
        if (has_fsgs) {
            wrgs(0);
        }
        fs = xd_host_fs;
    } else if (sig != SIGALRM && !(sig == SIGFPE && xd_fpe_hook && xd_fpe_hook(uc))) {
        own_fault(sig, uc);
    }
    fs_back(fs);
}

static void set_handlers(void)
{
    static const int all[] = { SIGUSR1, SIGALRM, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
    stack_t alt = { .ss_sp = mmap(NULL, ALT_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), .ss_size = ALT_STACK };
    struct sigaction sa = { .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART };
    struct itimerval it = { { 0, TICK_US }, { 0, TICK_US } };

    sa.sa_sigaction = has_fsgs ? (void (*)(int, siginfo_t *, void *))xd_handler : (void (*)(int, siginfo_t *, void *))xd_handler_plain;
    sigaltstack(&alt, NULL);
    sigemptyset(&sa.sa_mask);
    sigaddset(&sa.sa_mask, SIGALRM);
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        sigaction(all[i], &sa, NULL);
    }
    setitimer(ITIMER_REAL, &it, NULL);
}

static bool map_areas(void)
{
    int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    void *all = mmap((void *)XD_RESERVE, XD_RESERVE_END - XD_RESERVE, PROT_NONE, fixed, -1, 0);

    if (all != (void *)XD_RESERVE) {
        return false;
    }
    memfd = memfd_create("x86diff", MFD_CLOEXEC);
    if (memfd < 0 || ftruncate(memfd, XD_CODE_SIZE) < 0) {
        return false;
    }
    code_rw = mmap(NULL, XD_CODE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    if (code_rw == MAP_FAILED ||
        mmap((void *)XD_CODE, XD_CODE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, memfd, 0) == MAP_FAILED ||
        mprotect((void *)XD_RO, XD_PAGE + XD_RW_SIZE, PROT_READ | PROT_WRITE) < 0) {
        return false;
    }
    for (unsigned i = 0; i < XD_PAGE; i++) {
        ((uint8_t *)XD_RO)[i] = (uint8_t)(i * 37 + (i >> 4));
    }
    for (unsigned i = 0; i < 8; i++) {
        ((uint64_t *)XD_SLOT)[i] = XD_STOP;
    }
    return mprotect((void *)XD_RO, XD_PAGE, PROT_READ) == 0;
}

static void make_16bit(void)
{
    struct user_desc code = { .entry_number = CS16 >> 3, .base_addr = XD_CODE, .limit = 0xffff, .contents = 2, .useable = 1 };
    struct user_desc data = { .entry_number = DATA16 >> 3, .base_addr = XD_DATA, .limit = 0xffff, .useable = 1 };

    has_16bit = !syscall(SYS_modify_ldt, 1, &code, sizeof(code)) && !syscall(SYS_modify_ldt, 1, &data, sizeof(data));
}

bool xd_native_init(const char **why)
{
    unsigned r[4] = { 0 };

    if (!map_areas()) {
        *why = "the addresses below 1 GiB that the test needs are not free";
        return false;
    }
    has_avx = __builtin_cpu_supports("avx");
    if (has_avx && (!__get_cpuid_count(0xd, 2, &r[0], &r[1], &r[2], &r[3]) || r[0] != sizeof(host_high))) {
        *why = "the host's XSAVE image has no place for AVX";
        return false;
    }
    avx_at = r[1];
    has_fsgs = getauxval(AT_HWCAP2) & 2;                    /* HWCAP2_FSGSBASE */
    xd_host_fs = has_fsgs ? rdfs() : 0;
    data_segments(DATA_SELECTOR);                           /* 32-bit code needs them */
    make_16bit();
    __asm__("mov %%es, %0" : "=r"(selectors[X86_ES]));
    __asm__("mov %%cs, %0" : "=r"(selectors[X86_CS]));
    __asm__("mov %%ss, %0" : "=r"(selectors[X86_SS]));
    __asm__("mov %%ds, %0" : "=r"(selectors[X86_DS]));
    __asm__("mov %%fs, %0" : "=r"(selectors[X86_FS]));
    __asm__("mov %%gs, %0" : "=r"(selectors[X86_GS]));
    set_handlers();
    return true;
}

bool xd_native_has_avx(void) { return has_avx; }
bool xd_native_has_segs(void) { return has_fsgs; }
bool xd_native_has_16bit(void) { return has_16bit; }

uint16_t xd_native_selector(unsigned seg, enum x86_code_mode mode)
{
    if (mode == X86_CODE16 && seg <= X86_DS) {
        return seg == X86_CS ? CS16 : DATA16;
    }
    return seg != X86_CS ? selectors[seg] : mode == X86_CODE32 ? CS32 : selectors[seg];
}
void xd_native_code(const uint8_t *code) { memcpy(code_rw, code, XD_CODE_SIZE); }

void xd_native_run(const struct xd_seq *q, struct xd_result *r)
{
    job = q;
    result = r;
    memset(r, 0, sizeof(*r));
    syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
    if (q->mode == X86_CODE16) {
        r->s.gpr[X86_RSP] &= 0xffff;
    }
    if (q->mode != X86_CODE64) {
        for (unsigned i = 8; i < 16; i++) {
            r->s.gpr[i] = q->init.gpr[i];                   /* not 32-bit code's */
        }
    }
}
