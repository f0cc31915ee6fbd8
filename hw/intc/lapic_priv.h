/*
 * What the files of the local APIC share: lapic.c (accepting, acknowledging, sending), lapic_timer.c, lapic_regs.c.
 */
#ifndef HW_INTC_LAPIC_PRIV_H
#define HW_INTC_LAPIC_PRIV_H

#include "hw/intc/lapic.h"

#define SVR_ENABLE   0x100u
#define LVT_MASKED   (1u << 16)
#define LVT_LEVEL    (1u << 15)
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };
enum { ESR_SEND_ILLEGAL = 1u << 5, ESR_RECEIVE_ILLEGAL = 1u << 6, ESR_REGISTER = 1u << 7 };

/* lapic.c; any thread. */
struct lapic *lapic_of(const struct x86_lapic *x);
bool lapic_x2_mode(const struct lapic *l);
uint32_t lapic_logical_id(const struct lapic *l);
void lapic_accept_fixed(struct lapic *l, uint8_t vector, bool level);
/* What LVT entry n says shall happen now (11.5.1). */
void lapic_local_event(struct lapic *l, unsigned n);
void lapic_set_error(struct lapic *l, uint32_t bit);
/* The machine lock, taken unless this thread has it: returns what lapic_unlock() wants. */
bool lapic_lock(struct lapic *l);
void lapic_unlock(struct lapic *l, bool taken);

/* lapic.c; vCPU thread. */
void lapic_set_tpr(struct lapic *l, uint8_t tpr);
void lapic_eoi(struct lapic *l);
void lapic_send_icr(struct lapic *l);
void lapic_reset_registers(struct lapic *l);      /* machine lock */

/* lapic_regs.c: the registers' page to another physical address. Machine lock. */
void lapic_move(struct lapic *l, uint64_t to);

/* lapic_timer.c; machine lock. */
unsigned lapic_timer_mode(const struct lapic *l);
uint64_t lapic_timer_ns(const struct lapic *l, uint64_t ticks);
uint32_t lapic_timer_count(struct lapic *l);
void lapic_timer_settle(struct lapic *l);         /* arms the host timer from the registers */
void lapic_timer_fire(void *lapic);
void lapic_timer_catch_up(struct lapic *l);       /* before a register of the timer is written */
void lapic_timer_tsc_changed(struct x86_lapic *x);   /* takes the lock itself */

/* lapic_regs.c; vCPU thread. */
bool lapic_msr_read(struct x86_lapic *x, uint32_t msr, uint64_t *value);
bool lapic_msr_write(struct x86_lapic *x, uint32_t msr, uint64_t value);

#endif
