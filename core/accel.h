/*
 * An engine that runs vCPUs: the translator or KVM. hw/ never sees this; core/cpu.c drives it.
 */
#ifndef CORE_ACCEL_H
#define CORE_ACCEL_H

#include "core/cpu.h"

struct ram_block;
struct option_desc;
struct options;

struct accel_ops {
    const char *name;                          /* "tcg", "kvm" */
    const char *desc;
    const struct option_desc *options;         /* of -accel name,... */
    bool (*open)(struct machine *m, const struct options *o, GError **err);     /* sets m->accel_data */
    void (*close)(struct machine *m);
    bool (*cpu_init)(struct cpu *c, GError **err);
    void (*cpu_fini)(struct cpu *c);
    /* Runs guest code on this thread until a request or an event needs core/. No lock held. */
    enum cpu_exit (*run)(struct cpu *c);
    /* Makes run() return soon. Any thread; may be called when the vCPU is not running. */
    void (*kick)(struct cpu *c);
    /* Register state between the engine and the ISA struct. The translator has nothing to do. */
    void (*pull)(struct cpu *c);
    void (*push)(struct cpu *c);
    void (*reset)(struct cpu *c);              /* after ops->reset: drop what was derived from state */
    /* [offset,len) of the block was written behind the engine's back and RAM_CODE was set. */
    void (*invalidate)(struct machine *m, struct ram_block *b, uint64_t offset, uint64_t len);
    /* Guest-physical layout changed: TLBs are stale. */
    void (*flush)(struct machine *m);
    /* CLEAN bits were re-armed in this block: hot write entries must go. Returns when they are gone. */
    void (*protect)(struct machine *m, struct ram_block *b, uint64_t offset, uint64_t len);
    void (*stats)(struct machine *m, GString *out);   /* info jit, -d jit-stats */
};

/* NULL-terminated, set by main/. */
void accels_set(const struct accel_ops *const *list);
const struct accel_ops *accel_find(const char *name);
const struct accel_ops *const *accels(void);

#endif
