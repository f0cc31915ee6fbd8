/*
 * An engine that runs vCPUs: the translator or KVM. hw/ never sees this; core/cpu.c drives it.
 */
#ifndef CORE_ACCEL_H
#define CORE_ACCEL_H

#include "core/cpu.h"

enum tlb_flush {
    TLB_FLUSH_ALL,             /* everything, global entries too */
    TLB_FLUSH_NONGLOBAL,       /* all address spaces, not globals */
    TLB_FLUSH_ASID,            /* one address space, not globals */
    TLB_FLUSH_PAGE,            /* va in `asid` and in globals */
};

struct ram_block;
struct option_desc;
struct options;

struct accel_ops {
    const char *name;                          /* "tcg", "kvm" */
    const char *desc;
    const struct option_desc *options;         /* of -accel name,... */
    bool (*open)(struct machine *m, const struct options *o, GError **err);     /* sets m->accel_data or hw_data */
    void (*close)(struct machine *m);
    /* It takes over (true) from another engine, or gives up to one: parked vCPUs, their state pulled before and pushed behind it; may be NULL. */
    bool (*take_over)(struct machine *m, bool on, GError **err);
    /* Whether it is worth choosing when the user has not asked for it by name; after open. NULL: it is. */
    bool (*usable)(struct machine *m, GError **err);
    bool (*cpu_init)(struct cpu *c, GError **err);
    void (*cpu_fini)(struct cpu *c);
    /* Runs guest code on this thread until a request or an event needs core/. No lock held. */
    enum cpu_exit (*run)(struct cpu *c);
    /* What the engine does about requests before each run(); NULL: ops->service(). The same for ops->wakes(). */
    void (*service)(struct cpu *c);
    bool (*wakes)(struct cpu *c);
    /* Runs up to n instructions exactly, one by one, with nothing kept from before: for an engine that cannot execute the next
     * one itself. State is in the struct; c->engine is this engine. *done: how many. vCPU's thread, no lock held. NULL: cannot. */
    enum cpu_exit (*run_some)(struct cpu *c, unsigned n, unsigned *done);
    /* Makes run() return soon. Any thread; may be called when the vCPU is not running. */
    void (*kick)(struct cpu *c);
    /* Register state between the engine and the ISA struct. The translator has nothing to do. */
    void (*pull)(struct cpu *c);
    void (*push)(struct cpu *c);
    void (*reset)(struct cpu *c);              /* after ops->reset: drop what was derived from state */
    /* [offset,len) of the block was written behind the engine's back and RAM_CODE was set. */
    void (*invalidate)(struct machine *m, struct ram_block *b, uint64_t offset, uint64_t len);
    /* Guest-physical layout changed: TLBs are stale. Machine lock; may be called from a vCPU in the middle of an access.
     * Must not wait. What a vCPU keeps of a flat view (struct flat_range) is void from its next entry into run() on. */
    void (*flush)(struct machine *m);
    /* CLEAN bits were re-armed in this block: hot write entries must go. Returns when they are gone. */
    void (*protect)(struct machine *m, struct ram_block *b, uint64_t offset, uint64_t len);
    /* Calls ram_store_notify() for what guests have written in these pages where the engine alone knows; NULL: nothing is held back. Machine lock. */
    void (*dirty_sync)(struct machine *m, struct ram_block *b, uint64_t offset, uint64_t len);
    void (*stats)(struct machine *m, GString *out);   /* info jit, -d jit-stats */

    /*
     * Services for the ISA's helpers, on the vCPU's own thread. With the translator they are GPR-only on the usual path and may be called
     * from helpers that generated code called. An engine that runs no helpers leaves them NULL.
     *
     * ld/st: guest virtual memory in an explicit privilege regime; size 1, 2, 4, 8; page crossing handled; st probes all before it writes.
     * False: *fault says what to raise, nothing was written.
     */
    bool (*ld)(struct cpu *c, uint64_t va, unsigned size, unsigned regime, uint64_t *value, struct mmu_fault *fault);
    bool (*st)(struct cpu *c, uint64_t va, unsigned size, unsigned regime, uint64_t value, struct mmu_fault *fault);
    /* Host pointer for [va, va+len) inside one page of plain RAM with the rights asked for, or NULL: with fault->vector != MMU_NO_FAULT a fault,
     * else not plain RAM (MMIO, a code page for writing, crossing): use ld/st. The pointer is good until the helper returns. */
    void *(*probe)(struct cpu *c, uint64_t va, unsigned len, enum mem_access access, unsigned regime, struct mmu_fault *fault);
    /* Stores len bytes inside one page, as many `st` would, for helpers that are not GPR-only (outside, where no pointer can be had for writing).
     * False: *fault says what to raise, nothing was written. NULL: there is only `st`. */
    bool (*put)(struct cpu *c, uint64_t va, const void *buf, unsigned len, unsigned regime, struct mmu_fault *fault);
    /* Drops translations of guest virtual addresses. */
    void (*tlb_flush)(struct cpu *c, enum tlb_flush scope, uint32_t asid, uint64_t va);
    /* State that the mode key or address context depends on has changed (outside generated code; helpers declare IR_EFF_MODE/CTX instead). */
    void (*mode_changed)(struct cpu *c);
    /* A helper raises: the ISA has set its pending exception. Restores pc and flags of the calling instruction, drops the C frames. */
    void (*unwind)(struct cpu *c) __attribute__((noreturn));
    /* The same without an exception: the loop runs the instruction again alone, with every other vCPU stopped. */
    void (*run_exclusive)(struct cpu *c) __attribute__((noreturn));
    /* pc of the instruction whose helper is running; restores flags into env too. Does not unwind. */
    void (*sync)(struct cpu *c);
};

/*
 * Engines of a machine: each is opened once (o NULL: with its defaults) and closed by machine_free(); each vCPU gets its part of an engine once.
 * Machine lock.
 */
bool engine_open(struct machine *m, const struct accel_ops *a, const struct options *o, GError **err);
void engine_close(struct machine *m, const struct accel_ops *a);
bool engine_cpu_init(struct cpu *c, const struct accel_ops *a, GError **err);
void engine_cpu_fini(struct cpu *c);
void engines_close(struct machine *m);
/* Lets the vCPUs of a machine go on under another engine: everything architectural is carried over. Main loop, machine lock; returns with the
 * machine running if it was. False: nothing has changed. */
bool engine_switch(struct machine *m, const struct accel_ops *to, GError **err);

#define MMU_NO_FAULT 0xffffffffu

/* NULL-terminated, set by main/. */
void accels_set(const struct accel_ops *const *list);
const struct accel_ops *accel_find(const char *name);
const struct accel_ops *const *accels(void);

#endif
