/*
 * Two 8259A interrupt controllers, cascaded through input 2, with the ELCR of a PC's chip set.
 * Spec: Intel 8259A data sheet (231468); ELCR: Intel 82371SB (PIIX3) data sheet, 2.6.7. MCS-80 mode is left out.
 */
#include "hw/intc/i8259.h"

#include "base/log.h"
#include "core/machine.h"

#define CASCADE 2

/* The highest of the set bits; priority goes upwards from lowest + 1, wrapping. -1: none. */
static int highest(const struct i8259_chip *c, uint8_t bits)
{
    for (unsigned i = 1; i <= 8; i++) {
        unsigned n = (c->lowest + i) & 7;
        if (bits >> n & 1) {
            return n;
        }
    }
    return -1;
}

/* The input that would be served now, or -1. */
static int pending(const struct i8259_chip *c, bool master)
{
    int request = highest(c, c->irr & ~c->imr);
    uint8_t in_service = c->isr;
    if (c->special_mask) {
        in_service &= ~c->imr;
    }
    if (c->special_nested && master) {
        in_service &= ~(1u << CASCADE);            /* the slave may interrupt its own service */
    }
    int serving = highest(c, in_service);
    if (request < 0) {
        return -1;
    }
    if (serving >= 0) {
        unsigned distance_request = (request - c->lowest - 1) & 7, distance_serving = (serving - c->lowest - 1) & 7;
        if (distance_request >= distance_serving) {
            return -1;
        }
    }
    return request;
}

static void input(struct i8259_chip *c, unsigned n, bool level)
{
    uint8_t bit = 1u << n;
    if (c->elcr & bit) {
        c->irr = level ? c->irr | bit : c->irr & ~bit;
    } else if (!level) {
        c->irr &= ~bit;                            /* gone before the acknowledge: input 7's vector will be given */
    } else if (!(c->lines & bit)) {
        c->irr |= bit;
    }
    c->lines = level ? c->lines | bit : c->lines & ~bit;
}

static void update(struct i8259 *p)
{
    struct i8259_chip *m = &p->chip[0];
    bool slave = pending(&p->chip[1], false) >= 0;
    m->irr = slave ? m->irr | 1u << CASCADE : m->irr & ~(1u << CASCADE);
    irq_set(&p->out, pending(m, true) >= 0);
}

void i8259_pin(void *opaque, unsigned n, int level)
{
    struct i8259 *p = opaque;
    if (n < 16 && n != CASCADE) {
        input(&p->chip[n >> 3], n & 7, level);
        update(p);
    }
}

static void end(struct i8259_chip *c, int n, bool rotate)
{
    if (n >= 0) {
        c->isr &= ~(1u << n);
        if (rotate) {
            c->lowest = n;
        }
    }
}

static int chip_ack(struct i8259_chip *c, bool master)
{
    int n = pending(c, master);
    if (n < 0) {
        return -1;
    }
    c->isr |= 1u << n;
    if (!(c->elcr >> n & 1)) {
        c->irr &= ~(1u << n);
    }
    if (c->auto_eoi) {
        end(c, n, c->rotate_aeoi);
    }
    return n;
}

int i8259_ack(void *opaque)
{
    struct i8259 *p = opaque;
    int n = chip_ack(&p->chip[0], true);
    int vector;
    if (n == CASCADE) {
        int s = chip_ack(&p->chip[1], false);
        vector = p->chip[1].base + (s < 0 ? 7 : s);
    } else {
        vector = p->chip[0].base + (n < 0 ? 7 : n);
    }
    update(p);
    return vector;
}

void i8259_set_elcr(struct i8259 *p, uint16_t level_triggered)
{
    for (unsigned i = 0; i < 2; i++) {
        struct i8259_chip *c = &p->chip[i];
        c->elcr = level_triggered >> i * 8 & (i ? 0xde : 0xf8);     /* 0, 1, 2, 8, 13 are always edge */
        c->irr = (c->irr & ~c->elcr) | (c->lines & c->elcr);
    }
    update(p);
}

/* --- ports --- */

static void icw1(struct i8259_chip *c, uint8_t value)
{
    c->irr = c->lines & c->elcr;                   /* edges seen so far are forgotten */
    c->imr = c->isr = 0;
    c->lowest = 7;
    c->auto_eoi = c->rotate_aeoi = c->special_mask = c->special_nested = c->read_isr = c->poll = false;
    c->need_icw4 = value & 1;
    c->single = value & 2;
    c->step = 2;
    if (value & 8) {
        log_unimp("not supported: 8259 level mode by ICW1, use the ELCR");
    }
}

static void ocw2(struct i8259_chip *c, uint8_t value)
{
    bool rotate = value & 0x80, specific = value & 0x40, eoi = value & 0x20;
    unsigned n = value & 7;
    if (eoi) {
        end(c, specific ? (int)n : highest(c, c->special_mask ? c->isr & ~c->imr : c->isr), rotate);
    } else if (specific) {
        if (rotate) {
            c->lowest = n;
        }
    } else {
        c->rotate_aeoi = rotate;
    }
}

static void ocw3(struct i8259_chip *c, uint8_t value)
{
    if (value & 0x40) {
        c->special_mask = value & 0x20;
    }
    if (value & 4) {
        c->poll = true;
    } else if (value & 2) {
        c->read_isr = value & 1;
    }
}

static void data_write(struct i8259_chip *c, uint8_t value)
{
    switch (c->step) {
    case 2:
        c->base = value & 0xf8;
        c->step = c->single ? (c->need_icw4 ? 4 : 0) : 3;
        break;
    case 3:                                        /* the cascade is wired, whatever the guest says */
        c->step = c->need_icw4 ? 4 : 0;
        break;
    case 4:
        c->special_nested = value & 0x10;
        c->auto_eoi = value & 2;
        c->step = 0;
        break;
    default:
        c->imr = value;
    }
}

static enum access_status pic_write(struct i8259 *p, unsigned which, uint64_t offset, uint8_t value)
{
    struct i8259_chip *c = &p->chip[which];
    if (offset & 1) {
        data_write(c, value);
    } else if (value & 0x10) {
        icw1(c, value);
    } else if (value & 8) {
        ocw3(c, value);
    } else {
        ocw2(c, value);
    }
    update(p);
    return ACCESS_OK;
}

static enum access_status pic_read(struct i8259 *p, unsigned which, uint64_t offset, uint64_t *value)
{
    struct i8259_chip *c = &p->chip[which];
    if (c->poll) {                                 /* the read is the acknowledge, on either port */
        c->poll = false;
        int n = chip_ack(c, which == 0);
        *value = n < 0 ? 0 : 0x80 | n;
        update(p);
    } else if (offset & 1) {
        *value = c->imr;
    } else {
        *value = c->read_isr ? c->isr : c->irr;
    }
    return ACCESS_OK;
}

static enum access_status master_read(void *o, uint64_t a, unsigned s, uint64_t *v) { (void)s; return pic_read(o, 0, a, v); }
static enum access_status slave_read(void *o, uint64_t a, unsigned s, uint64_t *v) { (void)s; return pic_read(o, 1, a, v); }
static enum access_status master_write(void *o, uint64_t a, unsigned s, uint64_t v) { (void)s; return pic_write(o, 0, a, v); }
static enum access_status slave_write(void *o, uint64_t a, unsigned s, uint64_t v) { (void)s; return pic_write(o, 1, a, v); }

static enum access_status elcr_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct i8259 *p = opaque;
    (void)size;
    *value = p->chip[offset & 1].elcr;
    return ACCESS_OK;
}

static enum access_status elcr_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8259 *p = opaque;
    uint16_t both = p->chip[0].elcr | p->chip[1].elcr << 8;
    (void)size;
    i8259_set_elcr(p, offset & 1 ? (both & 0xff) | (value & 0xff) << 8 : (both & 0xff00) | (value & 0xff));
    return ACCESS_OK;
}

static const struct region_ops port_ops[2] = {
    { .read = master_read, .write = master_write, .min_size = 1, .max_size = 1 },
    { .read = slave_read, .write = slave_write, .min_size = 1, .max_size = 1 },
};
static const struct region_ops elcr_ops = { .read = elcr_read, .write = elcr_write, .min_size = 1, .max_size = 1 };

static bool i8259_init(struct device *d, GError **err)
{
    struct i8259 *p = (struct i8259 *)d;
    struct region *io = &d->machine->io_root;
    (void)err;
    region_init_io(&p->ports[0], "pic", &port_ops[0], p, 2);
    region_init_io(&p->ports[1], "pic2", &port_ops[1], p, 2);
    region_init_io(&p->elcr_ports, "elcr", &elcr_ops, p, 2);
    region_add(io, &p->ports[0], 0x20, 0);
    region_add(io, &p->ports[1], 0xa0, 0);
    region_add(io, &p->elcr_ports, 0x4d0, 0);
    return true;
}

static void i8259_settle(struct device *d) { update((struct i8259 *)d); }

static const struct field chip_fields[] = {
    STATE(struct i8259_chip, irr),
    STATE(struct i8259_chip, imr),
    STATE(struct i8259_chip, isr),
    STATE(struct i8259_chip, lines, .keep = true),   /* belongs to those who drive the inputs */
    STATE(struct i8259_chip, elcr),
    STATE(struct i8259_chip, base),
    STATE(struct i8259_chip, lowest, .reset = 7),
    STATE(struct i8259_chip, step),
    STATE(struct i8259_chip, need_icw4),
    STATE(struct i8259_chip, single),
    STATE(struct i8259_chip, auto_eoi),
    STATE(struct i8259_chip, rotate_aeoi),
    STATE(struct i8259_chip, special_mask),
    STATE(struct i8259_chip, special_nested),
    STATE(struct i8259_chip, read_isr),
    STATE(struct i8259_chip, poll),
};

static const struct field i8259_fields[] = {
    STATE_STRUCT(struct i8259, chip, chip_fields, 2),
    WIRING(struct i8259, out),
    WIRING(struct i8259, ports),
    WIRING(struct i8259, elcr_ports),
};

const struct device_class i8259_class = {
    .name = "isa-i8259", .desc = "pair of 8259A interrupt controllers", .bus = "isa", .size = sizeof(struct i8259), .version = 1,
    .fields = i8259_fields, .n_fields = G_N_ELEMENTS(i8259_fields), .init = i8259_init, .settle = i8259_settle,
};
