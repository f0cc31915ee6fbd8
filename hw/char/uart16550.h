/*
 * 16550A serial port. See uart16550.c.
 */
#ifndef HW_CHAR_UART16550_H
#define HW_CHAR_UART16550_H

#include "core/device.h"
#include "core/irq.h"
#include "core/region.h"

struct chardev;

#define UART_FIFO 16

struct uart_fifo {
    uint8_t data[UART_FIFO];
    uint8_t head, count;
};

struct uart {
    struct device dev;
    uint32_t index;              /* property: 0..3, gives port, IRQ and which -serial */
    char *chardev;               /* property */
    uint32_t iobase, irq_number; /* properties; 0: by index */
    uint8_t ier, fcr, lcr, mcr, lsr, msr, scr;
    uint16_t divisor;
    bool thr_empty_pending;      /* the THRE interrupt is waiting to be seen in IIR */
    struct uart_fifo rx, tx;
    struct chardev *chr;         /* not owned; NULL: nothing is connected */
    struct irq_line irq;
    struct region ports;
};

extern const struct device_class uart16550_class;

/* Port and IRQ of COM1 (index 0) to COM4. */
void uart_default_address(unsigned index, uint16_t *port, uint8_t *irq);

#endif
