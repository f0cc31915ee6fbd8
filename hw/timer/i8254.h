/*
 * 8254 interval timer and the PC's port 61h. See i8254.c.
 */
#ifndef HW_TIMER_I8254_H
#define HW_TIMER_I8254_H

#include "core/clock.h"
#include "core/device.h"
#include "core/irq.h"
#include "core/region.h"

struct i8254_channel {
    uint32_t count;           /* as loaded, 1..65536; 0: nothing loaded, the counter stands */
    uint64_t start;           /* virtual ns at which counting began or went on */
    uint64_t elapsed;         /* ticks counted before `start` */
    uint16_t latch;           /* count held by a latch command */
    uint8_t status;           /* status byte held by a read-back command */
    uint8_t access;           /* 1 low byte, 2 high byte, 3 both */
    uint8_t mode;             /* 0..5 */
    uint8_t low;              /* first byte of a pair being written */
    bool bcd, gate, latched, status_latched, read_high, write_high;
    bool triggered;           /* modes 1, 5: the gate has started it */
};

struct i8254 {
    struct device dev;
    struct i8254_channel ch[3];
    struct timer timer;       /* next interrupt of channel 0 */
    uint8_t speaker;          /* port 61h bits 3:0 */
    bool level;               /* IRQ 0 */
    struct irq_line irq;
    struct region ports, port61;
};

extern const struct device_class i8254_class;

#endif
