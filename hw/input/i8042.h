/*
 * 8042 keyboard controller with a PS/2 keyboard and mouse. See hw/input/i8042.c.
 */
#ifndef HW_INPUT_I8042_H
#define HW_INPUT_I8042_H

#include "core/device.h"
#include "core/irq.h"

extern const struct device_class i8042_class;

/* Where the A20 gate of its output port goes; before the machine runs. */
void i8042_connect_a20(struct device *d, struct irq_line a20);

#endif
