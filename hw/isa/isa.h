/*
 * The ISA bus: 16 interrupt lines that several devices may share, and the port space.
 */
#ifndef HW_ISA_ISA_H
#define HW_ISA_ISA_H

#include "core/device.h"
#include "core/irq.h"
#include "core/region.h"

#define ISA_IRQS 16

struct isa_bus {
    struct device dev;
    struct irq_line out[ISA_IRQS];      /* to the interrupt controllers; filled by the board */
    uint32_t level[ISA_IRQS];           /* who drives each line high: one bit a source */
    uint8_t sources[ISA_IRQS];          /* handed out so far */
};

extern const struct device_class isa_bus_class;

/* The machine's bus; NULL with *err when the board has none. Machine lock. */
struct isa_bus *isa_bus_find(struct machine *m, GError **err);
/* A line to IRQ n that is or-ed with all others of the same n. False: no such IRQ, or too many share it. Machine lock. */
bool isa_irq(struct isa_bus *b, unsigned n, struct irq_line *line, GError **err);

#endif
