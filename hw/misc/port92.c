/*
 * Port 92h, system control port A: fast A20 gate and fast reset. Spec: IBM PS/2 Hardware Interface Technical Reference.
 */
#include "core/machine.h"
#include "hw/misc/misc.h"

enum { FAST_RESET = 1, A20 = 2 };

struct port92 {
    struct device dev;
    uint8_t value;
    struct irq_line a20;
    struct region port;
};

static enum access_status port92_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct port92 *p = opaque;
    (void)offset, (void)size;
    *value = p->value;
    return ACCESS_OK;
}

static enum access_status port92_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct port92 *p = opaque;
    (void)offset, (void)size;
    bool reset = value & ~p->value & FAST_RESET;
    p->value = value & 0xff;
    irq_set(&p->a20, (value & A20) != 0);
    if (reset) {
        machine_request_reset(p->dev.machine, SHUTDOWN_GUEST_RESET);
    }
    return ACCESS_OK;
}

static const struct region_ops port92_ops = { .read = port92_read, .write = port92_write, .min_size = 1, .max_size = 1 };

void port92_connect_a20(struct device *d, struct irq_line a20)
{
    ((struct port92 *)d)->a20 = a20;
}

static bool port92_init(struct device *d, GError **err)
{
    struct port92 *p = (struct port92 *)d;
    (void)err;
    region_init_io(&p->port, "port92", &port92_ops, p, 1);
    region_add(&d->machine->io_root, &p->port, 0x92, 0);
    return true;
}

static void port92_settle(struct device *d)
{
    struct port92 *p = (struct port92 *)d;
    irq_set(&p->a20, (p->value & A20) != 0);
}

static const struct field port92_fields[] = {
    STATE(struct port92, value, .reset = A20),        /* as firmware leaves it: the gate is open */
    WIRING(struct port92, a20),
    WIRING(struct port92, port),
};

const struct device_class port92_class = {
    .name = "port92", .desc = "system control port: A20 gate and reset", .bus = "isa", .size = sizeof(struct port92), .version = 1,
    .fields = port92_fields, .n_fields = G_N_ELEMENTS(port92_fields), .init = port92_init, .settle = port92_settle,
};
