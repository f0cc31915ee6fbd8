/*
 * SMBus host controller: its registers, and a bus where nobody acknowledges. Spec: Intel 82371AB data sheet, 11.5.1; ICH9, 5.21, 19.2.
 * Every transaction ends with a device error, as on a board without memory modules that could be read. Left out: slave functions, interrupts.
 */
#include "hw/acpi/smbus.h"

#include "core/machine.h"

enum { HST_STS = 0, HST_CNT = 2, HST_CMD = 3, HST_ADDR = 4, HST_D0 = 5, HST_D1 = 6, HST_BLOCK = 7, HST_AUX = 0x0d };
enum { STS_DEV_ERR = 0x04, STS_CLEAR = 0xfe, CNT_START = 0x40, CNT_KILL = 0x02 };

static enum access_status smbus_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct smbus *s = opaque;
    (void)size;
    switch (offset) {
    case HST_STS:  *value = s->status; break;
    case HST_CNT:  *value = s->control; s->block_index = 0; break;
    case HST_CMD:  *value = s->command; break;
    case HST_ADDR: *value = s->address; break;
    case HST_D0:   *value = s->data0; break;
    case HST_D1:   *value = s->data1; break;
    case HST_BLOCK: *value = s->block[s->block_index++ & 31]; break;
    case HST_AUX:  *value = s->aux_control; break;
    default:       *value = 0; break;
    }
    return ACCESS_OK;
}

static enum access_status smbus_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct smbus *s = opaque;
    (void)size;
    switch (offset) {
    case HST_STS:
        s->status &= ~(value & STS_CLEAR);
        break;
    case HST_CNT:
        s->control = value & ~CNT_START;
        if ((value & CNT_START) && !(value & CNT_KILL)) {
            s->status |= STS_DEV_ERR;
        }
        break;
    case HST_CMD:  s->command = value; break;
    case HST_ADDR: s->address = value; break;
    case HST_D0:   s->data0 = value; break;
    case HST_D1:   s->data1 = value; break;
    case HST_BLOCK: s->block[s->block_index++ & 31] = value; break;
    case HST_AUX:  s->aux_control = value & 3; break;
    }
    return ACCESS_OK;
}

static const struct region_ops smbus_ops = { .read = smbus_read, .write = smbus_write, .min_size = 1, .max_size = 1 };

void smbus_init(struct smbus *s, struct machine *m)
{
    s->machine = m;
    region_init_io(&s->ports, "smbus", &smbus_ops, s, SMBUS_SIZE);
}

void smbus_place(struct smbus *s, bool on, uint16_t at)
{
    on = on && at;
    if (on == s->mapped && (!on || at == s->at)) {
        return;
    }
    if (s->mapped) {
        region_del(&s->ports);
    }
    if (on) {
        region_add(&s->machine->io_root, &s->ports, at, 1);
    }
    s->mapped = on;
    s->at = at;
}

const struct field smbus_fields[13] = {
    WIRING(struct smbus, machine),
    STATE(struct smbus, status),
    STATE(struct smbus, control),
    STATE(struct smbus, command),
    STATE(struct smbus, address),
    STATE(struct smbus, data0),
    STATE(struct smbus, data1),
    STATE(struct smbus, aux_control),
    STATE(struct smbus, block),
    STATE(struct smbus, block_index),
    WIRING(struct smbus, ports),
    DERIVED(struct smbus, mapped),
    DERIVED(struct smbus, at),
};
