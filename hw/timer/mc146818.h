/*
 * MC146818 real-time clock with CMOS RAM. See mc146818.c.
 */
#ifndef HW_TIMER_MC146818_H
#define HW_TIMER_MC146818_H

#include "core/clock.h"
#include "core/device.h"
#include "core/irq.h"
#include "core/region.h"

#define CMOS_SIZE 128

struct mc146818 {
    struct device dev;
    uint8_t ram[CMOS_SIZE];     /* 0..9 hold the time only while SET is on */
    uint8_t index;
    int64_t offset_ns;          /* guest's clock - host clock, by what the guest has set */
    uint64_t periodic_start;    /* virtual ns: phase of the periodic interrupt */
    uint64_t periodic_seen;     /* periods counted up to the last look */
    struct timer periodic, second;
    struct irq_line irq;
    struct region ports;
};

extern const struct device_class mc146818_class;

/* What firmware stores: byte n of CMOS (0x0e up). Survives resets. Machine lock. */
void mc146818_set(struct mc146818 *r, unsigned n, uint8_t value);
uint8_t mc146818_get(const struct mc146818 *r, unsigned n);

#endif
