/*
 * Small devices of a PC.
 */
#ifndef HW_MISC_MISC_H
#define HW_MISC_MISC_H

#include "core/device.h"
#include "core/irq.h"

extern const struct device_class debugexit_class, port92_class;

/* Where the A20 gate goes: level 0 masks address bit 20. For the board, after device_make(). Machine lock. */
void port92_connect_a20(struct device *d, struct irq_line a20);

#endif
