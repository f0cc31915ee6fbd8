/*
 * A vCPU, and the two tables that everything else in the machine reaches it by.
 *
 * struct cpu is the head of each ISA's own struct. The architectural state lives behind it, in one struct per ISA that
 * both engines use: the translator works on it in place, KVM copies it in and out.
 *
 *   cpu_ops    one per ISA    what a CPU of this kind is (cpu/<isa>/)
 *   accel_ops  one per engine how it is run              (accel/<engine>/, core/accel.h)
 *
 * Threads: one host thread per vCPU runs vcpu_thread() in core/cpu.c. State belongs to that thread while it runs and to
 * whoever holds the machine lock while the vCPU is stopped (cpu_run_on() to get there).
 */
#ifndef CORE_CPU_H
#define CORE_CPU_H

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct machine;
struct cpu;
struct address_space;
struct tcg_guest;      /* tcg/emit.h: slots and pinned registers of the ISA */
struct tcg_front;      /* tcg/emit.h: the front end */

/* Why a vCPU should look up from guest code. Bits of cpu.request. */
enum cpu_request {
    CPU_REQ_IRQ    = 1u << 0,   /* the interrupt controller has something for it: ask ops->irq_pending */
    CPU_REQ_NMI    = 1u << 1,
    CPU_REQ_SMI    = 1u << 2,
    CPU_REQ_INIT   = 1u << 3,
    CPU_REQ_SIPI   = 1u << 4,
    CPU_REQ_STOP   = 1u << 5,   /* park: the machine stops, or somebody wants exclusive access */
    CPU_REQ_WORK   = 1u << 6,   /* cpu.work holds functions to run */
    CPU_REQ_TIMER  = 1u << 7,
};

enum mem_access { MEM_READ, MEM_WRITE, MEM_EXEC };

/* Result of a page walk (pure: changes nothing but accessed/dirty bits when asked to). */
struct mmu_result {
    uint64_t pa;            /* physical address of `va` */
    uint64_t page_size;     /* bytes of the leaf: 4 KiB, 2/4 MiB, 1 GiB */
    uint8_t rights;         /* MMU_R | MMU_W | MMU_X as they hold for this regime now (W only once the dirty bit is set) */
    bool global;
    bool watched;           /* accesses to the page must be shown to cpu_ops.watch() */
    uint8_t attr;           /* memory type; ISA's own numbering */
};
enum { MMU_R = 1, MMU_W = 2, MMU_X = 4 };

struct mmu_fault {
    uint32_t vector;        /* ISA's exception number */
    uint32_t code;          /* error code / syndrome */
    uint64_t addr;
};

/* What an engine does when guest code cannot go on by itself. */
enum cpu_exit {
    CPU_EXIT_AGAIN,         /* nothing special: look at requests and go on */
    CPU_EXIT_HALT,          /* waits for an interrupt; core sets `halted` */
    CPU_EXIT_RESET,         /* triple fault or the like: machine_request_reset() was called */
    CPU_EXIT_DEBUG,
};

struct cpu_ops {
    const char *isa;                   /* "x86_64" */
    size_t size;                       /* of the ISA's struct, head included */
    size_t state_offset;               /* of the struct that generated code addresses (begins with struct tcg_env) */
    const struct tcg_guest *tcg;       /* NULL: this ISA cannot be translated */
    const struct tcg_front *front;

    bool (*init)(struct cpu *c, GError **err);          /* model and features are known */
    void (*fini)(struct cpu *c);
    void (*reset)(struct cpu *c);                       /* RESET; machine lock */

    /*
     * Called on the vCPU's thread before every accel->run(), machine lock NOT held: clears the request bits that it
     * deals with (by fetch_and; STOP and WORK are core's), delivers what can be delivered (INIT, SIPI, SMI, NMI, IRQ),
     * by priority, and remembers the rest in state of its own. May set `halted` (wait for SIPI).
     */
    void (*service)(struct cpu *c);
    /* The part of service() that an engine which delivers interrupts by itself leaves to the ISA: INIT, SIPI and the like. State is in
     * the struct and is changed there. True: something was done. vCPU's thread. */
    bool (*startup)(struct cpu *c);
    /* True if a halted CPU must wake up. Machine lock. Core then clears `halted` and calls service(). */
    bool (*wakes)(struct cpu *c);

    /* The page walk that TLB fill, debugger and tests share. GPR-only code: no vector registers, no libc.
     * `regime` as in tcg/emit.h. commit: set accessed/dirty by compare-exchange. False: *fault is filled. */
    bool (*walk)(struct cpu *c, uint64_t va, enum mem_access access, unsigned regime, bool commit,
                 struct mmu_result *res, struct mmu_fault *fault);
    /* Raises what the walk, or a device access that failed (kind "bus"), says. State is precise when called.
     * Sets the exception to be delivered; does not return to the guest instruction. */
    void (*raise)(struct cpu *c, const struct mmu_fault *fault);

    /* An access to a page that the walk calls watched (data breakpoints). True: it matches one; with `commit` the trap becomes
     * pending, to be taken behind the instruction. NULL: the ISA's walk never says watched. */
    bool (*watch)(struct cpu *c, uint64_t va, unsigned size, bool write, bool commit);

    uint64_t (*pc)(struct cpu *c);                      /* linear address */
    void (*dump)(struct cpu *c, GString *out);          /* info registers, -d cpu */
    bool (*reg)(struct cpu *c, const char *name, uint64_t *value);     /* a register by name, for expressions; NULL: only pc */
    /* info mem (ranges with equal rights), info tlb (entries). */
    void (*dump_map)(struct cpu *c, bool entries, GString *out);
    bool (*debug_translate)(struct cpu *c, uint64_t va, uint64_t *pa);
    unsigned (*disas_mode)(struct cpu *c);              /* enum disas_mode of disas/disas.h */
};

struct cpu_work {
    void (*fn)(struct cpu *c, void *opaque);
    void *opaque;
    struct cpu_work *next;
};

struct cpu {
    const struct cpu_ops *ops;
    struct machine *machine;
    unsigned index;
    const char *model;                  /* name of the CPU model */
    struct address_space *memory;       /* what physical addresses mean */
    struct address_space *io;           /* x86 ports; NULL elsewhere */

    GThread *thread;
    int tid;                            /* of the host thread */
    const struct accel_ops *engine;     /* whose services this vCPU's helpers use now: the machine's engine, or the translator that helps it out */
    const struct accel_ops *ready[2];   /* engines that have their part of it */
    struct accel_cpu *accel;            /* the translator's own part; owned by it */
    struct hw_cpu *hw;                  /* a hardware engine's own part; owned by it */
    _Atomic uint32_t request;           /* enum cpu_request; set by any thread, followed by cpu_kick() */
    _Atomic bool halted;                /* waits for ops->wakes() */
    _Atomic bool powered_off;           /* x86 APs before SIPI */
    bool parked;                        /* outside guest code, needs the lock to get back in; machine lock */
    bool stopped;                       /* parked between two instructions; machine lock */
    bool quit;                          /* the thread shall end; machine lock */
    _Atomic bool sleeping;              /* may be waiting on `wake` */
    _Atomic uint64_t view_epoch;        /* 0: holds no flat view; else the epoch when it last had none (core/region.c) */
    GCond wake;                         /* with the machine lock */
    struct cpu_work *work;              /* machine lock */
    bool in_exclusive;                  /* runs one instruction while every other vCPU is stopped; set by the engine, own thread */
    uint64_t icount;                    /* instructions, where counted */
};

/* Makes vCPU `index` of the machine. NULL with *err on failure. Machine lock. */
struct cpu *cpu_new(struct machine *m, const struct cpu_ops *ops, unsigned index, const char *model, GError **err);
bool cpu_start(struct cpu *c, GError **err);     /* starts the thread, parked until machine_start() */
void cpu_free(struct cpu *c);

/* The vCPU whose thread this is, or NULL. Per-CPU devices (LAPIC) find their owner by it during an access. */
struct cpu *cpu_current(void);

/* Sets request bits and makes the vCPU see them soon, wherever it is (guest code, halted). Any thread. */
void cpu_request(struct cpu *c, uint32_t bits);
void cpu_kick(struct cpu *c);
/* Runs fn on the vCPU's thread outside guest code with the machine lock held, and waits for it unless async
 * (then `work` memory is allocated and freed inside). Machine lock held by the caller; it is released while waiting. */
void cpu_run_on(struct cpu *c, void (*fn)(struct cpu *, void *), void *opaque, bool async);

/*
 * Exclusive section: returns with the machine lock held and every other vCPU outside guest code; they stay out until
 * cpu_exclusive_end(). From a vCPU thread (outside guest code) or the main loop. Not recursive. A caller that holds the
 * lock already keeps it at the end, but it is released while waiting.
 */
void cpu_exclusive_begin(struct machine *m);
void cpu_exclusive_end(struct machine *m);

#endif
