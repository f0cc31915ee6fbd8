/*
 * 8042 keyboard controller, the part that a PC cannot do without: A20 gate and CPU reset through its output port. There is no
 * keyboard and no mouse on it: their commands are taken and not answered, and the ACPI tables say that there is none.
 * Spec: Intel 8042 as used in the IBM PC/AT Technical Reference, section 1 "Keyboard Controller".
 */
#include "core/machine.h"
#include "hw/misc/misc.h"

enum { STATUS_OUTPUT_FULL = 0x01, STATUS_SYSTEM = 0x04, STATUS_COMMAND = 0x08, STATUS_UNLOCKED = 0x10 };
enum { OUT_NO_RESET = 0x01, OUT_A20 = 0x02 };
enum { CMD_READ_MODE = 0x20, CMD_WRITE_MODE = 0x60, CMD_SELF_TEST = 0xaa, CMD_TEST_KEYBOARD = 0xab, CMD_READ_OUTPUT = 0xd0,
       CMD_WRITE_OUTPUT = 0xd1, CMD_A20_OFF = 0xdd, CMD_A20_ON = 0xdf, CMD_PULSE = 0xf0 };

struct i8042 {
    struct device dev;
    uint8_t mode, output_port;
    uint8_t data;              /* output buffer */
    uint8_t command;           /* waits for its data byte; 0: none */
    bool full, last_was_command;
    struct irq_line a20;
    struct region data_port, command_port;
};

static void set_output_port(struct i8042 *k, uint8_t value)
{
    k->output_port = value;
    irq_set(&k->a20, (value & OUT_A20) != 0);
    if (!(value & OUT_NO_RESET)) {
        machine_request_reset(k->dev.machine, SHUTDOWN_GUEST_RESET);
    }
}

static void answer(struct i8042 *k, uint8_t value)
{
    k->data = value;
    k->full = true;
}

static void command(struct i8042 *k, uint8_t value)
{
    k->command = 0;
    switch (value) {
    case CMD_READ_MODE:     answer(k, k->mode); break;
    case CMD_SELF_TEST:     answer(k, 0x55); break;
    case CMD_TEST_KEYBOARD: answer(k, 0x01); break;          /* clock line stuck low: nothing is plugged in */
    case CMD_READ_OUTPUT:   answer(k, k->output_port); break;
    case CMD_WRITE_MODE:
    case CMD_WRITE_OUTPUT:  k->command = value; break;
    case CMD_A20_OFF:       set_output_port(k, k->output_port & ~OUT_A20); break;
    case CMD_A20_ON:        set_output_port(k, k->output_port | OUT_A20); break;
    default:
        if (value >= CMD_PULSE && !(value & OUT_NO_RESET)) {
            machine_request_reset(k->dev.machine, SHUTDOWN_GUEST_RESET);
        }
    }
}

static enum access_status data_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct i8042 *k = opaque;
    (void)offset, (void)size;
    *value = k->data;
    k->full = false;
    return ACCESS_OK;
}

static enum access_status data_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8042 *k = opaque;
    (void)offset, (void)size;
    k->last_was_command = false;
    if (k->command == CMD_WRITE_MODE) {
        k->mode = value;
    } else if (k->command == CMD_WRITE_OUTPUT) {
        set_output_port(k, value);
    }
    k->command = 0;
    return ACCESS_OK;
}

static enum access_status status_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct i8042 *k = opaque;
    (void)offset, (void)size;
    *value = STATUS_UNLOCKED | STATUS_SYSTEM | (k->full ? STATUS_OUTPUT_FULL : 0) | (k->last_was_command ? STATUS_COMMAND : 0);
    return ACCESS_OK;
}

static enum access_status command_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8042 *k = opaque;
    (void)offset, (void)size;
    k->last_was_command = true;
    command(k, value);
    return ACCESS_OK;
}

static const struct region_ops data_ops = { .read = data_read, .write = data_write, .min_size = 1, .max_size = 1 };
static const struct region_ops command_ops = { .read = status_read, .write = command_write, .min_size = 1, .max_size = 1 };

void i8042_connect_a20(struct device *d, struct irq_line a20)
{
    ((struct i8042 *)d)->a20 = a20;
}

static bool i8042_init(struct device *d, GError **err)
{
    struct i8042 *k = (struct i8042 *)d;
    (void)err;
    region_init_io(&k->data_port, "i8042-data", &data_ops, k, 1);
    region_init_io(&k->command_port, "i8042-command", &command_ops, k, 1);
    region_add(&d->machine->io_root, &k->data_port, 0x60, 0);
    region_add(&d->machine->io_root, &k->command_port, 0x64, 0);
    return true;
}

static void i8042_settle(struct device *d)
{
    struct i8042 *k = (struct i8042 *)d;
    irq_set(&k->a20, (k->output_port & OUT_A20) != 0);
}

static const struct field i8042_fields[] = {
    STATE(struct i8042, mode),
    STATE(struct i8042, output_port, .reset = OUT_NO_RESET | OUT_A20),
    STATE(struct i8042, data),
    STATE(struct i8042, command),
    STATE(struct i8042, full),
    STATE(struct i8042, last_was_command),
    WIRING(struct i8042, a20),
    WIRING(struct i8042, data_port),
    WIRING(struct i8042, command_port),
};

const struct device_class i8042_class = {
    .name = "i8042", .desc = "A20 gate and reset of the 8042 (no keyboard)", .bus = "isa", .size = sizeof(struct i8042), .version = 1,
    .fields = i8042_fields, .n_fields = G_N_ELEMENTS(i8042_fields), .init = i8042_init, .settle = i8042_settle,
};
