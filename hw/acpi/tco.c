/*
 * TCO watchdog of the ICH9. Spec: Intel I/O Controller Hub 9 data sheet, 5.13.13 (TCO), 13.9 (registers). Left out: SMIs and the rest of TCO.
 * A tick is 0.6 s. The first time-out sets TIMEOUT; the second one in a row sets SECOND_TO and resets the machine unless GCS.NO_REBOOT.
 */
#include "core/machine.h"
#include "hw/acpi/ich9.h"

enum { RLD = 0x00, DATA = 0x02, STS1 = 0x04, STS2 = 0x06, CNT1 = 0x08, CNT2 = 0x0a, MESSAGE = 0x0c, WDCNT = 0x0e, IRQ_GEN = 0x10, TMR = 0x12 };
enum { TIMEOUT = 0x0008, SECOND_TO = 0x0002, HALT = 0x0800, LOCK = 0x1000 };
#define TICK_NS (NS_PER_S * 6 / 10)

static void arm(struct tco *t)
{
    if (t->control1 & HALT) {
        timer_cancel(&t->timer);
    } else {
        timer_set(&t->timer, clock_now(t->machine, CLOCK_VIRTUAL_NS) + TICK_NS * (t->reload & 0x3ff));
    }
}

static void expire(void *opaque)
{
    struct tco *t = opaque;
    struct ich9_lpc *l = (struct ich9_lpc *)((char *)t - offsetof(struct ich9_lpc, tco));
    t->status1 |= TIMEOUT;
    if (++t->timeouts == 2) {
        t->timeouts = 0;
        t->status2 |= SECOND_TO;
        if (!(l->gcs & 0x20)) {
            machine_watchdog(t->machine);
            return;
        }
    }
    arm(t);
}

void tco_init(struct tco *t, struct machine *m)
{
    t->machine = m;
    timer_init(&t->timer, m, CLOCK_VIRTUAL_NS, expire, t);
}

uint16_t tco_read(struct tco *t, unsigned at)
{
    switch (at) {
    case RLD: {
        uint64_t now = clock_now(t->machine, CLOCK_VIRTUAL_NS);
        return timer_armed(&t->timer) && t->timer.deadline > now ? (t->timer.deadline - now + TICK_NS - 1) / TICK_NS : 0;
    }
    case DATA:    return t->data_in | t->data_out << 8;
    case STS1:    return t->status1;
    case STS2:    return t->status2;
    case CNT1:    return t->control1;
    case CNT2:    return t->control2;
    case MESSAGE: return t->message1 | t->message2 << 8;
    case WDCNT:   return t->wdcnt;
    case IRQ_GEN: return t->irq_gen;
    case TMR:     return t->reload;
    }
    return 0;
}

void tco_write(struct tco *t, unsigned at, uint16_t value)
{
    switch (at) {
    case RLD:
        t->timeouts = 0;
        arm(t);
        break;
    case DATA:
        t->data_in = value;
        t->data_out = value >> 8;
        break;
    case STS1: t->status1 &= ~value; break;
    case STS2: t->status2 &= ~value; break;
    case CNT1: {
        uint16_t old = t->control1;
        t->control1 = (value & 0xfe00) | (old & LOCK);
        if ((t->control1 ^ old) & HALT) {
            arm(t);
        }
        break;
    }
    case CNT2: t->control2 = value; break;
    case MESSAGE:
        t->message1 = value;
        t->message2 = value >> 8;
        break;
    case WDCNT:   t->wdcnt = value; break;
    case IRQ_GEN: t->irq_gen = value; break;
    case TMR:     t->reload = value & 0x3ff; break;
    }
}

const struct field tco_fields[14] = {
    WIRING(struct tco, machine),
    STATE(struct tco, reload, .reset = 4),
    STATE(struct tco, status1),
    STATE(struct tco, status2),
    STATE(struct tco, control1, .reset = HALT),
    STATE(struct tco, control2, .reset = 8),
    STATE(struct tco, data_in),
    STATE(struct tco, data_out),
    STATE(struct tco, message1),
    STATE(struct tco, message2),
    STATE(struct tco, wdcnt),
    STATE(struct tco, irq_gen, .reset = 3),
    STATE(struct tco, timeouts),
    STATE(struct tco, timer),
};
