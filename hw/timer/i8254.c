/*
 * 8254 programmable interval timer: three counters at 1.193182 MHz, channel 0 on IRQ 0, channel 2 on the speaker; and port
 * 61h (NMI status and control) as far as it belongs to them. Nothing ticks: output and count follow from the virtual clock.
 * Spec: Intel 8254 data sheet (231164); port 61h: Intel 82371SB (PIIX3), 2.5.4.
 * Left out: in modes 2 and 3 a new count counts at once, not after the current cycle.
 */
#include "hw/timer/i8254.h"

#include "base/log.h"
#include "core/machine.h"
#include "hw/isa/isa.h"

#define PIT_HZ 1193182ull
/* A guest that programs a rate of a few hundred kHz must not keep the main loop from its other work. */
#define MIN_INTERVAL_NS 20000u
#define REFRESH_HALF_NS 15085u

static uint64_t now_ns(struct i8254 *p) { return clock_now(p->dev.machine, CLOCK_VIRTUAL_NS); }

static uint64_t ticks_to_ns(uint64_t ticks)
{
    return muldiv64(ticks, NS_PER_S, PIT_HZ) + 1;      /* up: at that time the tick has happened */
}

static bool counting(const struct i8254_channel *c)
{
    return c->count && (c->mode == 1 || c->mode == 5 ? c->triggered : c->gate);
}

static uint64_t ticks(struct i8254 *p, const struct i8254_channel *c)
{
    return c->elapsed + (counting(c) ? muldiv64(now_ns(p) - c->start, PIT_HZ, NS_PER_S) : 0);
}

/* OUT after t ticks. */
static bool out_at(const struct i8254_channel *c, uint64_t t)
{
    switch (c->mode) {
    case 0:
        return c->count && t >= c->count;
    case 1:
        return !c->triggered || t >= c->count;
    case 2:
        return !c->count || !c->gate || t % c->count != c->count - 1;
    case 3:
        return !c->count || !c->gate || t % c->count < (c->count + 1) / 2;
    default:
        return !counting(c) || t != c->count;          /* 4, 5: low for one tick */
    }
}

static uint16_t to_bcd(uint32_t v)
{
    v %= 10000;
    return v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10;
}

static uint32_t from_bcd(uint32_t v)
{
    return (v >> 12 & 15) * 1000 + (v >> 8 & 15) * 100 + (v >> 4 & 15) * 10 + (v & 15);
}

static uint16_t current(struct i8254 *p, const struct i8254_channel *c)
{
    uint64_t t = ticks(p, c);
    uint32_t range = c->bcd ? 10000 : 65536, v;
    if (!c->count) {
        v = 0;
    } else if (c->mode == 2) {
        v = c->count - t % c->count;
    } else if (c->mode == 3) {
        uint32_t even = c->count & ~1u;
        v = even ? even - t % c->count * 2 % even : 0;
    } else {
        v = (c->count + range - t % range) % range;    /* goes on below zero */
    }
    return c->bcd ? to_bcd(v) : v;
}

/* IRQ 0 follows OUT of channel 0; where OUT dips for less than we would wake for, it is pulsed. */
static void set_irq(struct i8254 *p, bool level)
{
    p->level = level;
    irq_set(&p->irq, level);
}

static void arm(struct i8254 *p)
{
    struct i8254_channel *c = &p->ch[0];
    uint64_t t = ticks(p, c), next;
    if (!counting(c)) {
        timer_cancel(&p->timer);
        return;
    }
    if (c->mode == 2 || c->mode == 3) {
        next = (t / c->count + 1) * c->count;
    } else if (t < c->count) {
        next = c->count;
    } else {
        timer_cancel(&p->timer);
        return;
    }
    uint64_t at = c->start + ticks_to_ns(next - c->elapsed), soonest = now_ns(p) + MIN_INTERVAL_NS;
    timer_set(&p->timer, (c->mode == 2 || c->mode == 3) && at < soonest && ticks_to_ns(c->count) < MIN_INTERVAL_NS ? soonest : at);
}

static void fire(void *opaque)
{
    struct i8254 *p = opaque;
    set_irq(p, false);
    set_irq(p, true);
    arm(p);
}

static void restart(struct i8254 *p, struct i8254_channel *c)
{
    c->start = now_ns(p);
    c->elapsed = 0;
}

static void load(struct i8254 *p, unsigned n, uint32_t value)
{
    struct i8254_channel *c = &p->ch[n];
    if (c->bcd) {
        value = from_bcd(value);
    }
    c->count = value ? value : c->bcd ? 10000 : 65536;
    if ((c->mode == 2 || c->mode == 3) && c->count == 1) {
        log_guest("8254: count 1 in mode %u", c->mode);
        c->count = 2;
    }
    if (c->mode != 1 && c->mode != 5) {
        restart(p, c);
    }
    if (n == 0) {
        set_irq(p, out_at(c, ticks(p, c)));
        arm(p);
    }
}

static void set_gate(struct i8254 *p, unsigned n, bool gate)
{
    struct i8254_channel *c = &p->ch[n];
    if (gate == c->gate) {
        return;
    }
    c->elapsed = ticks(p, c);                          /* as counted so far */
    c->start = now_ns(p);
    c->gate = gate;
    if (gate && c->mode != 0 && c->mode != 4) {        /* a rising edge triggers */
        c->triggered = true;
        restart(p, c);
    }
}

static void latch_count(struct i8254 *p, struct i8254_channel *c)
{
    if (!c->latched) {
        c->latch = current(p, c);
        c->latched = true;
    }
}

static void read_back(struct i8254 *p, uint8_t value)
{
    for (unsigned n = 0; n < 3; n++) {
        struct i8254_channel *c = &p->ch[n];
        if (!(value >> (n + 1) & 1)) {
            continue;
        }
        if (!(value & 0x20)) {
            latch_count(p, c);
        }
        if (!(value & 0x10) && !c->status_latched) {
            c->status = out_at(c, ticks(p, c)) << 7 | !c->count << 6 | c->access << 4 | c->mode << 1 | c->bcd;
            c->status_latched = true;
        }
    }
}

static void control(struct i8254 *p, uint8_t value)
{
    unsigned n = value >> 6;
    if (n == 3) {
        read_back(p, value);
        return;
    }
    struct i8254_channel *c = &p->ch[n];
    if (!(value >> 4 & 3)) {
        latch_count(p, c);
        return;
    }
    c->access = value >> 4 & 3;
    c->mode = value >> 1 & 7;
    if (c->mode > 5) {
        c->mode -= 4;                                  /* the top bit is don't-care in modes 2 and 3 */
    }
    c->bcd = value & 1;
    c->count = 0;
    c->elapsed = 0;
    c->latched = c->status_latched = c->read_high = c->write_high = c->triggered = false;
    if (n == 0) {
        set_irq(p, out_at(c, 0));
        arm(p);
    }
}

static enum access_status pit_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8254 *p = opaque;
    (void)size;
    if (offset == 3) {
        control(p, value);
        return ACCESS_OK;
    }
    struct i8254_channel *c = &p->ch[offset];
    value &= 0xff;
    if (c->access == 1) {
        load(p, offset, value);
    } else if (c->access == 2) {
        load(p, offset, value << 8);
    } else if (c->access == 3 && !c->write_high) {
        c->low = value;
        c->write_high = true;
        if (c->mode == 0) {                            /* the first byte stops the counter */
            c->count = 0;
            if (offset == 0) {
                set_irq(p, false);
                arm(p);
            }
        }
    } else if (c->access == 3) {
        c->write_high = false;
        load(p, offset, value << 8 | c->low);
    }
    return ACCESS_OK;
}

static enum access_status pit_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct i8254 *p = opaque;
    (void)size;
    *value = 0xff;
    if (offset == 3) {
        return ACCESS_OK;                              /* the control word cannot be read */
    }
    struct i8254_channel *c = &p->ch[offset];
    if (c->status_latched) {
        c->status_latched = false;
        *value = c->status;
        return ACCESS_OK;
    }
    uint16_t v = c->latched ? c->latch : current(p, c);
    bool high = c->access == 2 || (c->access == 3 && c->read_high);
    if (c->access == 3) {
        c->read_high = !c->read_high;
    }
    if (c->access != 3 || high) {
        c->latched = false;
    }
    *value = high ? v >> 8 : v & 0xff;
    return ACCESS_OK;
}

static enum access_status port61_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct i8254 *p = opaque;
    (void)offset, (void)size;
    bool refresh = now_ns(p) / REFRESH_HALF_NS & 1;
    *value = p->speaker | refresh << 4 | out_at(&p->ch[2], ticks(p, &p->ch[2])) << 5;
    return ACCESS_OK;
}

static enum access_status port61_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8254 *p = opaque;
    (void)offset, (void)size;
    p->speaker = value & 0xf;
    set_gate(p, 2, value & 1);
    return ACCESS_OK;
}

static const struct region_ops pit_ops = { .read = pit_read, .write = pit_write, .min_size = 1, .max_size = 1 };
static const struct region_ops port61_ops = { .read = port61_read, .write = port61_write, .min_size = 1, .max_size = 1 };

static bool i8254_init(struct device *d, GError **err)
{
    struct i8254 *p = (struct i8254 *)d;
    struct isa_bus *bus = isa_bus_find(d->machine, err);
    if (!bus || !isa_irq(bus, 0, &p->irq, err)) {
        return false;
    }
    timer_init(&p->timer, d->machine, CLOCK_VIRTUAL_NS, fire, p);
    region_init_io(&p->ports, "pit", &pit_ops, p, 4);
    region_init_io(&p->port61, "port61", &port61_ops, p, 1);
    region_add(&d->machine->io_root, &p->ports, 0x40, 0);
    region_add(&d->machine->io_root, &p->port61, 0x61, 0);
    return true;
}

/* The chip wakes up undefined; this is how a PC's firmware leaves it: channel 0 at 18.2 Hz. */
static void i8254_reset(struct device *d, enum reset_phase phase)
{
    struct i8254 *p = (struct i8254 *)d;
    if (phase == RESET_ENTER) {
        for (unsigned n = 0; n < 3; n++) {
            p->ch[n].access = p->ch[n].mode = 3;
            p->ch[n].gate = n != 2;
        }
        p->ch[0].count = 65536;
        p->ch[0].start = now_ns(p);
        p->level = true;
    }
}

static void i8254_settle(struct device *d)
{
    struct i8254 *p = (struct i8254 *)d;
    set_irq(p, p->level);
    arm(p);
}

static const struct field channel_fields[] = {
    STATE(struct i8254_channel, count),
    STATE(struct i8254_channel, start),
    STATE(struct i8254_channel, elapsed),
    STATE(struct i8254_channel, latch),
    STATE(struct i8254_channel, status),
    STATE(struct i8254_channel, access),
    STATE(struct i8254_channel, mode),
    STATE(struct i8254_channel, low),
    STATE(struct i8254_channel, bcd),
    STATE(struct i8254_channel, gate),
    STATE(struct i8254_channel, latched),
    STATE(struct i8254_channel, status_latched),
    STATE(struct i8254_channel, read_high),
    STATE(struct i8254_channel, write_high),
    STATE(struct i8254_channel, triggered),
};

static const struct field i8254_fields[] = {
    STATE_STRUCT(struct i8254, ch, channel_fields, 3),
    STATE(struct i8254, timer),
    STATE(struct i8254, speaker),
    STATE(struct i8254, level),
    WIRING(struct i8254, irq),
    WIRING(struct i8254, ports),
    WIRING(struct i8254, port61),
};

const struct device_class i8254_class = {
    .name = "isa-pit", .desc = "8254 interval timer", .bus = "isa", .size = sizeof(struct i8254), .version = 1,
    .fields = i8254_fields, .n_fields = G_N_ELEMENTS(i8254_fields),
    .init = i8254_init, .reset = i8254_reset, .settle = i8254_settle,
};
