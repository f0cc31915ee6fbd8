/*
 * What core/ keeps of a machine for itself. Guarded by the machine lock unless a member says otherwise.
 */
#ifndef CORE_MACHINE_PRIV_H
#define CORE_MACHINE_PRIV_H

#include "core/machine.h"

enum machine_pending {
    PENDING_RESET     = 1u << 0,
    PENDING_SHUTDOWN  = 1u << 1,
    PENDING_EXIT      = 1u << 2,
    PENDING_POWERDOWN = 1u << 3,
    PENDING_PAUSE     = 1u << 4,
    PENDING_PARKS     = PENDING_RESET | PENDING_SHUTDOWN | PENDING_EXIT | PENDING_PAUSE,  /* vCPUs wait for these */
};

struct timer_heap {
    struct timer **t;
    unsigned n, room;
};

struct retired_view {
    struct flat_view *view;
    uint64_t epoch;             /* free once no vCPU holds an older one */
};

struct machine_priv {
    GMutex lock;
    _Atomic uintptr_t owner;    /* address that is unique to the thread that holds the lock, or 0 */

    GCond parked;               /* a vCPU has parked, or finished work */
    GCond exclusive_free;
    uintptr_t exclusive;        /* thread that has or wants the exclusive section, or 0 */
    bool exclusive_keeps_lock;

    bool running;               /* vCPUs may run guest code */
    _Atomic uint32_t pending;   /* enum machine_pending; any thread */
    _Atomic int cause;          /* enum shutdown_cause of the pending reset or shutdown */
    _Atomic int status;
    bool ended;
    GMainContext *context;
    GArray *state_hooks;        /* struct state_hook */

    /* clock.c */
    _Atomic uint64_t virtual_frozen;   /* TIMER_OFF while it runs, else the value; any thread */
    _Atomic uint64_t virtual_offset;   /* host monotonic - virtual; any thread */
    struct timer_heap heap[CLOCK_COUNT];
    int timer_fd;
    uint64_t timer_armed;              /* host monotonic ns that timer_fd is set to, or TIMER_OFF */

    /* region.c */
    GPtrArray *spaces;                 /* struct address_space * */
    struct region_listener flush_listener, smm_listener;
    GArray *retired;                   /* struct retired_view */
    _Atomic uint64_t epoch;            /* counts views retired, from 1; any thread */
};

/* Waits on a condition with the machine lock, keeping track of its owner. */
void machine_wait(struct machine *m, GCond *cond);
uintptr_t thread_token(void);

void clock_init(struct machine *m);
void clock_fini(struct machine *m);
/* Sets timer_fd to the earliest deadline. */
void clock_arm(struct machine *m);

/* All vCPUs out of guest code and between two instructions (own thread excepted). Machine lock. */
void cpus_park(struct machine *m);
/* Makes parked vCPUs look again at what they wait for. Machine lock. */
void cpus_wake(struct machine *m);
bool cpu_must_park(struct machine *m);

void regions_fini(struct machine *m);
void devices_fini(struct machine *m);

#endif
