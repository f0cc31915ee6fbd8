/*
 * Local APIC, one per vCPU. See lapic.c.
 */
#ifndef HW_INTC_LAPIC_H
#define HW_INTC_LAPIC_H

#include "core/clock.h"
#include "core/device.h"
#include "core/irq.h"
#include "core/x86_intc.h"
#include "hw/intc/apic_bus.h"

enum { LVT_CMCI, LVT_TIMER, LVT_THERMAL, LVT_PMC, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

/* What the 8259 gives on an ExtINT acknowledge. Machine lock. */
struct extint_source {
    int (*ack)(void *owner);
    void *owner;
};

/*
 * irr, tmr, extint, lint: any thread, atomically. isr and the mode registers: vCPU thread (others may peek).
 * lvt[], timer: machine lock for writes.
 */
struct lapic {
    struct device dev;
    struct x86_lapic x86;
    struct apic_bus *bus;
    struct extint_source extint_source;
    uint32_t irr[8], tmr[8], isr[8];
    uint32_t tpr, ldr, dfr, svr, esr, esr_pending;
    uint64_t icr;
    uint32_t lvt[LVT_COUNT];
    uint32_t divide, initial_count;
    uint64_t count_start;         /* virtual ns at which initial_count was loaded */
    bool expired;                 /* one-shot: the count has come to 0 and the event has been made */
    uint64_t deadline;            /* TSC deadline; 0: not armed */
    struct timer timer;
    uint8_t lint_level;           /* bit n: LINTn is high */
    uint8_t extint_message;       /* an ExtINT message is waiting */
};

extern const struct device_class lapic_class;

/* Makes the APIC of vCPU `cpu` with APIC id `id` on `bus` (whose cpus[] the caller fills). Machine lock. */
struct lapic *lapic_new(struct machine *m, struct cpu *cpu, uint32_t id, struct apic_bus *bus, GError **err);
/* The registers' page, to be mapped once per machine at X86_APIC_DEFAULT_BASE; opaque of the region: the bus. */
extern const struct region_ops lapic_mmio_ops;
/* n = 0, 1: LINT0 (8259), LINT1 (NMI). As a line: {lapic_lint, lapic, n}. Machine lock. */
void lapic_lint(void *lapic, unsigned n, int level);
/* What a PC's firmware leaves: enabled, LINT0 ExtINT, LINT1 NMI ("virtual wire"). For boards that boot without one. */
void lapic_virtual_wire(struct lapic *l);

/* For apic_bus.c; any thread. */
bool lapic_is_meant(const struct lapic *l, const struct apic_msg *m);
bool lapic_software_enabled(const struct lapic *l);
unsigned lapic_priority(const struct lapic *l);     /* PPR */
void lapic_accept(struct lapic *l, const struct apic_msg *m);

#endif
