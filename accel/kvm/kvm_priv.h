/*
 * What the files of the KVM engine share.
 *
 *   kvm.c       the virtual machine: opening, options, the table of operations
 *   slots.c     guest memory as KVM's slots, dirty pages
 *   vcpu.c      the run loop and what comes out of it
 *   x86.c       registers between KVM and struct x86_state, CPUID, interrupts going in
 *   selftest.c  whether it can run an operating system at all
 *   fallback.c  instructions that KVM cannot execute
 *
 * Whose registers count: while hw_cpu.here is set, those in the ISA's struct; else those in the kernel. The vCPU's own thread moves
 * them, or anybody while the vCPU is parked.
 */
#ifndef ACCEL_KVM_KVM_PRIV_H
#define ACCEL_KVM_KVM_PRIV_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>

#include "accel/kvm/kvm.h"
#include "core/machine.h"

#define KVM_SLOTS 64
#define KVM_EXITS 48

struct kvm_slot {
    uint64_t gpa, size;              /* size 0: free */
    struct ram_block *block;
    uint64_t offset;                 /* into the block */
    bool readonly, logged;
};

struct kvm_accel {
    struct machine *machine;
    int fd, vm;                      /* /dev/kvm, the machine */
    size_t run_size;
    struct region_listener listener;
    struct kvm_slot slot[KVM_SLOTS]; /* machine lock */
    struct kvm_cpuid2 *supported;    /* what CPUID may say */
    GArray *msrs;                    /* uint32_t: those that KVM keeps */
    uint32_t tsc_khz;                /* of a vCPU; 0: unknown */
    bool fallback;                   /* the translator helps out */
    const struct accel_ops *helper;  /* it, once it was needed; NULL before */
    bool msr_exits, xsave2, sregs2;  /* what the kernel can do */
};

struct hw_cpu {
    struct cpu *c;
    struct kvm_accel *k;
    int fd;
    struct kvm_run *run;
    pthread_t thread;
    _Atomic bool inside;             /* `thread` is set and may be in KVM_RUN */
    bool here;                       /* registers: see above */
    bool unfinished;                 /* an I/O exit that the next KVM_RUN completes */
    bool helper_ready;               /* this vCPU has a part of the helper's */
    bool look;                       /* the interrupt controller may have something */
    unsigned burst;                  /* how many instructions the next fallback runs */
    uint64_t last_fallback;          /* exits counted when the last one ended */
    uint64_t exits, by_reason[KVM_EXITS], fallbacks, fallback_insns;
};

/* slots.c. Machine lock. */
void kvm_slots_changed(void *opaque, struct address_space *as, const struct flat_view *from, const struct flat_view *to);
void kvm_protect(struct machine *m, struct ram_block *b, uint64_t offset, uint64_t len);
void kvm_dirty_sync(struct machine *m, struct ram_block *b, uint64_t offset, uint64_t len);

/* vcpu.c */
enum cpu_exit kvm_run(struct cpu *c);
void kvm_kick(struct cpu *c);
/* Completes a half-done I/O exit, so that registers in the kernel are those between two instructions. */
void kvm_finish(struct hw_cpu *h);

/* x86.c */
bool kvm_x86_vcpu_init(struct hw_cpu *h, GError **err);
void kvm_x86_pull(struct hw_cpu *h);
bool kvm_x86_push(struct hw_cpu *h, GError **err);
/* Interrupts into the next KVM_RUN, and the task priority out of the last one. */
void kvm_x86_enter(struct hw_cpu *h);
void kvm_x86_left(struct hw_cpu *h);
void kvm_x86_service(struct cpu *c);
bool kvm_x86_wakes(struct cpu *c);
bool kvm_x86_msr_exit(struct hw_cpu *h, bool write);

/* fallback.c */
enum cpu_exit kvm_fallback(struct hw_cpu *h);

/* selftest.c: whether a guest of this KVM can be an operating system; kvm: /dev/kvm, open. *err says what it cannot. A few milliseconds. */
bool kvm_selftest(int kvm, GError **err);

int kvm_ioctl(int fd, unsigned long request, void *arg);

#endif
