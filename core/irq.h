/*
 * An interrupt line: {function, owner, number}. The device that drives it holds a struct irq_line; the one that
 * receives it gives out lines with its own function. Levels are absolute (0 or 1), so repeating a level is harmless.
 * Machine lock held on every call.
 */
#ifndef CORE_IRQ_H
#define CORE_IRQ_H

struct irq_line {
    void (*set)(void *owner, unsigned n, int level);   /* NULL: not connected */
    void *owner;
    unsigned n;
};

static inline void irq_set(const struct irq_line *l, int level)
{
    if (l->set) {
        l->set(l->owner, l->n, level);
    }
}

static inline void irq_pulse(const struct irq_line *l)
{
    irq_set(l, 1);
    irq_set(l, 0);
}

#endif
