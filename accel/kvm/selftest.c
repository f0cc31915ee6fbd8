/*
 * Whether this KVM can run an operating system: a tiny guest tries what all of them need. Some kernels offer /dev/kvm without the
 * processor's help, with a complete interface and an instruction emulator behind it; they are told by what they do, not by name.
 * The guest is roms/kvm_selftest.S.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "accel/kvm/kvm_priv.h"
#include "base/error.h"
#include "roms/kvm_selftest_rom.h"

#define MEMORY 0x10000u
#define LIMIT_MS 300
enum { PML4 = 0x2000, PDPT = 0x3000, PD = 0x4000, TSS = 0x5000, IDT = 0x6000, GDT = 0x7000, STACK0 = 0xa000 };
enum { PAGE_P = 1, PAGE_W = 2, PAGE_U = 4, PAGE_PS = 0x80 };
enum { STAGES = 4 };

static const char *const missing[STAGES] = {
    "the guest's kernel cannot use all instructions", "breakpoints and interrupts of the guest do not arrive", "CPUID does not say what it was told",
    "system calls of the guest do not work",
};

struct trial {
    int vm, cpu;
    uint8_t *memory;
    struct kvm_run *run;
    size_t run_size;
};

static void put64(struct trial *t, unsigned at, uint64_t v) { memcpy(t->memory + at, &v, 8); }

static bool trial_make(struct trial *t, int kvm)
{
    struct kvm_userspace_memory_region r = { .memory_size = MEMORY };
    int size = kvm_ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL);

    t->vm = kvm_ioctl(kvm, KVM_CREATE_VM, NULL);
    if (t->vm < 0 || size < (int)sizeof(struct kvm_run)) {
        return false;
    }
    kvm_ioctl(t->vm, KVM_SET_TSS_ADDR, (void *)0xfeffd000l);
    t->run_size = (size_t)size;
    t->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    r.userspace_addr = (uintptr_t)t->memory;
    t->cpu = t->memory == MAP_FAILED || kvm_ioctl(t->vm, KVM_SET_USER_MEMORY_REGION, &r) ? -1 : kvm_ioctl(t->vm, KVM_CREATE_VCPU, NULL);
    t->run = t->cpu < 0 ? MAP_FAILED : mmap(NULL, t->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, t->cpu, 0);
    return t->run != MAP_FAILED;
}

static void trial_end(struct trial *t)
{
    if (t->run && t->run != MAP_FAILED) {
        munmap(t->run, t->run_size);
    }
    if (t->cpu >= 0) {
        close(t->cpu);
    }
    if (t->vm >= 0) {
        close(t->vm);
    }
    if (t->memory && t->memory != MAP_FAILED) {
        munmap(t->memory, MEMORY);
    }
}

static bool cpuid_set(struct trial *t)
{
    static const struct kvm_cpuid_entry2 rows[] = {
        { .function = 0, .eax = 1, .ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69 },
        { .function = 1, .eax = 0x663, .ecx = 1u << 23 | 1u << 31, .edx = 0x0783fbff },
        { .function = 0x40000000, .eax = 0x40000100 },
        { .function = 0x40000100, .eax = 0x21756d65 },
        { .function = 0x80000000, .eax = 0x80000008 },
        { .function = 0x80000001, .edx = 1u << 11 | 1u << 20 | 1u << 29 },
        { .function = 0x80000008, .eax = 0x3028 },
    };
    g_autofree struct kvm_cpuid2 *c = g_malloc0(sizeof(*c) + sizeof(rows));

    c->nent = G_N_ELEMENTS(rows);
    memcpy(c->entries, rows, sizeof(rows));
    return !kvm_ioctl(t->cpu, KVM_SET_CPUID2, c);
}

static struct kvm_segment segment(unsigned selector, unsigned type, unsigned l)
{
    return (struct kvm_segment){ .selector = selector, .limit = 0xffffffff, .type = type, .present = 1, .s = 1, .l = l, .db = !l, .g = 1 };
}

static bool state_set(struct trial *t)
{
    struct kvm_regs regs = { .rflags = 2, .rsp = STACK0 };
    struct kvm_sregs s;

    memcpy(t->memory, kvm_selftest_rom, sizeof(kvm_selftest_rom));
    put64(t, PML4, PDPT | PAGE_P | PAGE_W | PAGE_U);
    put64(t, PDPT, PD | PAGE_P | PAGE_W | PAGE_U);
    put64(t, PD, PAGE_P | PAGE_W | PAGE_U | PAGE_PS);
    put64(t, GDT + 0x08, 0x00af9b000000ffff);
    put64(t, GDT + 0x10, 0x00cf93000000ffff);
    put64(t, GDT + 0x18, 0x00cff3000000ffff);
    put64(t, GDT + 0x20, 0x00affb000000ffff);
    put64(t, TSS + 4, STACK0);
    if (kvm_ioctl(t->cpu, KVM_GET_SREGS, &s)) {
        return false;
    }
    s.cs = segment(0x08, 11, 1);
    s.ds = s.es = s.ss = s.fs = s.gs = segment(0x10, 3, 0);
    s.tr = (struct kvm_segment){ .selector = 0x30, .base = TSS, .limit = 0x67, .type = 11, .present = 1 };
    s.gdt.base = GDT;
    s.gdt.limit = 0x27;
    s.idt.base = IDT;
    s.idt.limit = 0xfff;
    s.cr0 = 0x80000033;
    s.cr3 = PML4;
    s.cr4 = 0x20;
    s.efer = 0x500;
    return !kvm_ioctl(t->cpu, KVM_SET_SREGS, &s) && !kvm_ioctl(t->cpu, KVM_SET_REGS, &regs);
}

static void on_alarm(int sig) { (void)sig; }

/* How many stages it got through. */
static unsigned trial_run(struct trial *t)
{
    struct sigaction sa = { .sa_handler = on_alarm }, old;
    struct itimerval limit = { .it_value.tv_usec = LIMIT_MS * 1000 }, off = { 0 };
    unsigned stage = 0;

    sigemptyset(&sa.sa_mask);
    sigaction(SIGALRM, &sa, &old);
    setitimer(ITIMER_REAL, &limit, NULL);
    while (stage < STAGES && !kvm_ioctl(t->cpu, KVM_RUN, NULL)) {
        if (t->run->exit_reason != KVM_EXIT_IO || *((uint8_t *)t->run + t->run->io.data_offset) != stage + 1) {
            break;
        }
        stage++;
    }
    setitimer(ITIMER_REAL, &off, NULL);
    sigaction(SIGALRM, &old, NULL);
    return stage;
}

bool kvm_selftest(int kvm, GError **err)
{
    struct trial t = { .vm = -1, .cpu = -1 };
    bool made = trial_make(&t, kvm) && cpuid_set(&t) && state_set(&t);
    unsigned stage = made ? trial_run(&t) : 0;

    trial_end(&t);
    if (!made) {
        return error_set(err, EMU_ERROR_HOST, "KVM cannot make a guest: %s", g_strerror(errno));
    }
    return stage == STAGES || error_set(err, EMU_ERROR_HOST, "KVM is incomplete on this host: %s", missing[stage]);
}
