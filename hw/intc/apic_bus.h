/*
 * Interrupt messages between local APICs, I/O APICs and MSI senders. The board owns the struct and fills it while it builds.
 * Spec: Intel SDM vol. 3, 11.6 (IPIs, destinations), 11.11 (MSI), 11.12.9-10 (x2APIC destinations).
 */
#ifndef HW_INTC_APIC_BUS_H
#define HW_INTC_APIC_BUS_H

#include <stdbool.h>
#include <stdint.h>

struct lapic;
struct ioapic;
struct region;

enum apic_mode {
    APIC_FIXED = 0, APIC_LOWEST = 1, APIC_SMI = 2, APIC_NMI = 4, APIC_INIT = 5, APIC_SIPI = 6, APIC_EXTINT = 7,
};

struct apic_msg {
    uint32_t dest;
    uint8_t vector;
    uint8_t mode;       /* enum apic_mode; others are dropped */
    bool logical;
    bool level;         /* trigger mode */
    bool x2;            /* dest is 32 bits wide: broadcast is 0xffffffff, not 0xff */
};

#define APIC_BUS_IOAPICS 4

struct apic_bus {
    struct lapic **cpus;
    unsigned n_cpus;
    struct region *mmio;      /* the registers' page; NULL: it cannot be moved */
    struct ioapic *ioapics[APIC_BUS_IOAPICS];
    unsigned n_ioapics;
    _Atomic unsigned turn;    /* where the next lowest-priority search begins, so that equals take turns */
};

/* Any thread, no lock needed. */
void apic_bus_send(struct apic_bus *b, const struct apic_msg *m);
/* End of a level-triggered interrupt, to all I/O APICs. Machine lock. */
void apic_bus_eoi(struct apic_bus *b, uint8_t vector);
/* A store to 0xfeexxxxx by a device. Any thread. */
void apic_bus_msi(struct apic_bus *b, uint64_t addr, uint32_t data);

#endif
