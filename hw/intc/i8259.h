/*
 * Pair of 8259A interrupt controllers. See i8259.c.
 */
#ifndef HW_INTC_I8259_H
#define HW_INTC_I8259_H

#include "core/device.h"
#include "core/irq.h"
#include "core/region.h"

struct i8259_chip {
    uint8_t irr, imr, isr;
    uint8_t lines;          /* level of each input */
    uint8_t elcr;           /* 1: level triggered */
    uint8_t base;           /* vector of input 0 */
    uint8_t lowest;         /* input with the lowest priority */
    uint8_t step;           /* next initialisation word expected: 2, 3, 4; 0: none */
    bool need_icw4, single, auto_eoi, rotate_aeoi, special_mask, special_nested, read_isr, poll;
};

struct i8259 {
    struct device dev;
    struct i8259_chip chip[2];       /* master, slave */
    struct irq_line out;             /* INTR */
    struct region ports[2], elcr_ports;
};

extern const struct device_class i8259_class;

/* n = 0..15; as a line: {i8259_pin, i8259, n}. Machine lock. */
void i8259_pin(void *i8259, unsigned n, int level);
/* Interrupt acknowledge cycle: the vector; spurious ones included. Machine lock. */
int i8259_ack(void *i8259);
/* What firmware leaves: which inputs are level triggered (bit n: IRQ n). Machine lock. */
void i8259_set_elcr(struct i8259 *p, uint16_t level_triggered);

#endif
