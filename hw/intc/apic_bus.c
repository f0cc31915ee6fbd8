/*
 * Routing of interrupt messages: who is meant by a destination. Spec: Intel SDM vol. 3, 11.6.2, 11.11, 11.12.10.
 */
#include "hw/intc/apic_bus.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "base/log.h"
#include "hw/intc/ioapic.h"
#include "hw/intc/lapic.h"

/* Lowest priority goes to one of those meant: the one with the lowest processor priority, in turn among equals. */
static void send_lowest(struct apic_bus *b, const struct apic_msg *m)
{
    struct lapic *best = NULL;
    unsigned best_priority = 256;
    unsigned start = atomic_fetch_add(&b->turn, 1);
    for (unsigned i = 0; i < b->n_cpus; i++) {
        struct lapic *l = b->cpus[(start + i) % b->n_cpus];
        if (lapic_software_enabled(l) && lapic_is_meant(l, m) && lapic_priority(l) < best_priority) {
            best = l;
            best_priority = lapic_priority(l);
        }
    }
    if (best) {
        struct apic_msg fixed = *m;
        fixed.mode = APIC_FIXED;
        lapic_accept(best, &fixed);
    }
}

void apic_bus_send(struct apic_bus *b, const struct apic_msg *m)
{
    if (m->mode == APIC_LOWEST) {
        send_lowest(b, m);
        return;
    }
    for (unsigned i = 0; i < b->n_cpus; i++) {
        if (lapic_is_meant(b->cpus[i], m)) {
            lapic_accept(b->cpus[i], m);
        }
    }
}

void apic_bus_eoi(struct apic_bus *b, uint8_t vector)
{
    for (unsigned i = 0; i < b->n_ioapics; i++) {
        ioapic_eoi(b->ioapics[i], vector);
    }
}

void apic_bus_msi(struct apic_bus *b, uint64_t addr, uint32_t data)
{
    if (addr >> 20 != 0xfee) {
        log_guest("msi: address 0x%" PRIx64 " is not in 0xfeexxxxx", addr);
        return;
    }
    /* RH=1 with DM=0 is physical all the same (11.11.1); bits 11:5 extend the destination as hypervisors agreed. */
    struct apic_msg m = {
        .dest = (addr >> 12 & 0xff) | (addr >> 5 & 0x7f) << 8,
        .logical = addr & 4,
        .vector = data & 0xff,
        .mode = data >> 8 & 7,
        .level = data >> 15 & 1,
    };
    apic_bus_send(b, &m);
}
