/*
 * I/O APIC. See ioapic.c.
 */
#ifndef HW_INTC_IOAPIC_H
#define HW_INTC_IOAPIC_H

#include "core/device.h"
#include "core/region.h"
#include "hw/intc/apic_bus.h"

#define IOAPIC_PINS 24
#define IOAPIC_DEFAULT_BASE 0xfec00000u

struct ioapic {
    struct device dev;
    struct region mmio;
    struct apic_bus *bus;
    uint32_t id, select;
    uint32_t lines;               /* bit n: pin n is asserted */
    uint64_t rte[IOAPIC_PINS];
    uint64_t base;                /* property: where the registers are */
};

extern const struct device_class ioapic_class;

/* Pin n; as a line: {ioapic_pin, ioapic, n}. Machine lock. */
void ioapic_pin(void *ioapic, unsigned n, int level);
/* From a local APIC. Machine lock. */
void ioapic_eoi(struct ioapic *io, uint8_t vector);

#endif
