/*
 * 8042 keyboard controller: keyboard and mouse with their interrupts, translation of scan codes to set 1, A20 gate and CPU reset through its
 * output port.
 * Left out: the password, and polling of its input port's lines; the keyboard lock is open.
 * Spec: IBM Personal System/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller"; the translation is that of the
 * AT's 8042 (Microsoft, Keyboard Scan Code Specification, appendix A).
 */
#include "hw/input/i8042.h"

#include "base/error.h"
#include "core/machine.h"
#include "hw/input/ps2.h"
#include "hw/isa/isa.h"

enum { PORT_DATA = 0x60, PORT_COMMAND = 0x64, KEYBOARD_IRQ = 1, MOUSE_IRQ = 12 };
enum { STATUS_OUTPUT_FULL = 0x01, STATUS_SYSTEM = 0x04, STATUS_COMMAND = 0x08, STATUS_UNLOCKED = 0x10, STATUS_MOUSE = 0x20 };
enum { MODE_KEYBOARD_INT = 0x01, MODE_MOUSE_INT = 0x02, MODE_SYSTEM = 0x04, MODE_NO_KEYBOARD = 0x10, MODE_NO_MOUSE = 0x20, MODE_TRANSLATE = 0x40 };
enum { OUT_NO_RESET = 0x01, OUT_A20 = 0x02, OUT_KEYBOARD_FULL = 0x10, OUT_MOUSE_FULL = 0x20 };
enum { CMD_READ_RAM = 0x20, CMD_WRITE_RAM = 0x60, CMD_NO_PASSWORD = 0xa4, CMD_MOUSE_OFF = 0xa7, CMD_MOUSE_ON, CMD_TEST_MOUSE, CMD_SELF_TEST, CMD_TEST_KEYBOARD,
       CMD_KEYBOARD_OFF = 0xad, CMD_KEYBOARD_ON, CMD_READ_INPUT = 0xc0, CMD_READ_OUTPUT = 0xd0, CMD_WRITE_OUTPUT, CMD_AS_KEYBOARD, CMD_AS_MOUSE, CMD_TO_MOUSE,
       CMD_A20_OFF = 0xdd, CMD_A20_ON = 0xdf, CMD_TEST_INPUTS = 0xe0, CMD_PULSE = 0xf0 };
enum { RAM_SIZE = 32 };

struct i8042 {
    struct device dev;
    uint8_t ram[RAM_SIZE];     /* byte 0 is the mode */
    uint8_t output_port;
    uint8_t data;              /* output buffer */
    uint8_t command;           /* waits for its data byte; 0: none */
    bool full, from_mouse, last_was_command, breaking;
    struct ps2_keyboard keyboard;
    struct ps2_mouse mouse;
    struct irq_line a20, irq_keyboard, irq_mouse;
    struct region data_port, command_port;
};

/* Set 2 to set 1. */
static const uint8_t translation[128] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

static void drive(struct i8042 *k)
{
    irq_set(&k->irq_keyboard, k->full && !k->from_mouse && (k->ram[0] & MODE_KEYBOARD_INT));
    irq_set(&k->irq_mouse, k->full && k->from_mouse && (k->ram[0] & MODE_MOUSE_INT));
}

/* One byte from the keyboard through the translation; false: it was a prefix that is swallowed. */
static bool translate(struct i8042 *k, uint8_t *byte)
{
    uint8_t b = *byte;

    if (!(k->ram[0] & MODE_TRANSLATE)) {
        return true;
    }
    if (b == 0xf0) {
        k->breaking = true;
        return false;
    }
    b = b < 128 ? translation[b] : b == 0x83 ? 0x41 : b == 0x84 ? 0x54 : b;
    *byte = k->breaking ? b | 0x80 : b;
    k->breaking = false;
    return true;
}

/* Fills the output buffer from what waits, keyboard first. */
static void fill(struct i8042 *k)
{
    uint8_t byte;

    while (!k->full && !(k->ram[0] & MODE_NO_KEYBOARD) && ps2_take(&k->keyboard.queue, &byte)) {
        if (translate(k, &byte)) {
            k->data = byte;
            k->full = true;
            k->from_mouse = false;
        }
    }
    if (!k->full && !(k->ram[0] & MODE_NO_MOUSE) && ps2_take(&k->mouse.queue, &byte)) {
        k->data = byte;
        k->full = true;
        k->from_mouse = true;
    }
    drive(k);
}

static void device_changed(void *owner) { fill(owner); }

/* The controller's own answers overwrite what was in the buffer. */
static void answer(struct i8042 *k, uint8_t value, bool as_mouse)
{
    k->full = false;
    drive(k);
    k->data = value;
    k->full = true;
    k->from_mouse = as_mouse;
    drive(k);
}

static void set_output_port(struct i8042 *k, uint8_t value)
{
    k->output_port = value & (OUT_NO_RESET | OUT_A20);
    irq_set(&k->a20, (value & OUT_A20) != 0);
    if (!(value & OUT_NO_RESET)) {
        machine_request_reset(k->dev.machine, SHUTDOWN_GUEST_RESET);
    }
}

static void set_mode(struct i8042 *k, uint8_t set, uint8_t clear)
{
    k->ram[0] = (k->ram[0] & ~clear) | set;
    fill(k);
}

static void command(struct i8042 *k, uint8_t value)
{
    k->command = 0;
    if (value >= CMD_READ_RAM && value < CMD_READ_RAM + RAM_SIZE) {
        answer(k, k->ram[value - CMD_READ_RAM], false);
        return;
    }
    switch (value) {
    case CMD_NO_PASSWORD:   answer(k, 0xf1, false); break;
    case CMD_MOUSE_OFF:     set_mode(k, MODE_NO_MOUSE, 0); break;
    case CMD_MOUSE_ON:      set_mode(k, 0, MODE_NO_MOUSE); break;
    case CMD_TEST_MOUSE:    answer(k, 0x00, false); break;
    case CMD_SELF_TEST:
        k->ram[0] |= MODE_SYSTEM;
        answer(k, 0x55, false);
        break;
    case CMD_TEST_KEYBOARD: answer(k, 0x00, false); break;
    case CMD_KEYBOARD_OFF:  set_mode(k, MODE_NO_KEYBOARD, 0); break;
    case CMD_KEYBOARD_ON:   set_mode(k, 0, MODE_NO_KEYBOARD); break;
    case CMD_READ_INPUT:    answer(k, 0x80, false); break;            /* the lock is open */
    case CMD_READ_OUTPUT:
        answer(k, k->output_port | (k->full ? k->from_mouse ? OUT_MOUSE_FULL : OUT_KEYBOARD_FULL : 0), false);
        break;
    case CMD_A20_OFF:       set_output_port(k, k->output_port & ~OUT_A20); break;
    case CMD_A20_ON:        set_output_port(k, k->output_port | OUT_A20); break;
    case CMD_TEST_INPUTS:   answer(k, 0x00, false); break;
    case CMD_WRITE_OUTPUT: case CMD_AS_KEYBOARD: case CMD_AS_MOUSE: case CMD_TO_MOUSE:
        k->command = value;
        break;
    default:
        if (value >= CMD_WRITE_RAM && value < CMD_WRITE_RAM + RAM_SIZE) {
            k->command = value;
        } else if (value >= CMD_PULSE && !(value & OUT_NO_RESET)) {
            machine_request_reset(k->dev.machine, SHUTDOWN_GUEST_RESET);
        }
    }
}

static void argument(struct i8042 *k, uint8_t value)
{
    uint8_t command = k->command;

    k->command = 0;
    switch (command) {
    case 0:
        k->ram[0] &= ~MODE_NO_KEYBOARD;                               /* speaking to the keyboard lets it answer */
        ps2_keyboard_write(&k->keyboard, value);
        break;
    case CMD_WRITE_OUTPUT: set_output_port(k, value); break;
    case CMD_AS_KEYBOARD:  answer(k, value, false); break;
    case CMD_AS_MOUSE:     answer(k, value, true); break;
    case CMD_TO_MOUSE:
        k->ram[0] &= ~MODE_NO_MOUSE;
        ps2_mouse_write(&k->mouse, value);
        break;
    default:
        k->ram[command - CMD_WRITE_RAM] = value;
        fill(k);
        break;
    }
}

static enum access_status data_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct i8042 *k = opaque;
    (void)offset, (void)size;
    *value = k->data;
    k->full = false;
    drive(k);                                                         /* the line falls between two bytes */
    fill(k);
    return ACCESS_OK;
}

static enum access_status data_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8042 *k = opaque;
    (void)offset, (void)size;
    k->last_was_command = false;
    argument(k, (uint8_t)value);
    fill(k);
    return ACCESS_OK;
}

static enum access_status status_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct i8042 *k = opaque;
    (void)offset, (void)size;
    *value = STATUS_UNLOCKED | (k->ram[0] & MODE_SYSTEM ? STATUS_SYSTEM : 0) | (k->full ? STATUS_OUTPUT_FULL : 0) |
             (k->full && k->from_mouse ? STATUS_MOUSE : 0) | (k->last_was_command ? STATUS_COMMAND : 0);
    return ACCESS_OK;
}

static enum access_status command_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8042 *k = opaque;
    (void)offset, (void)size;
    k->last_was_command = true;
    command(k, (uint8_t)value);
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
    struct isa_bus *isa = isa_bus_find(d->machine, err);
    if (!isa || !isa_irq(isa, KEYBOARD_IRQ, &k->irq_keyboard, err) || !isa_irq(isa, MOUSE_IRQ, &k->irq_mouse, err)) {
        return false;
    }
    region_init_io(&k->data_port, "i8042-data", &data_ops, k, 1);
    region_init_io(&k->command_port, "i8042-command", &command_ops, k, 1);
    region_add(&d->machine->io_root, &k->data_port, PORT_DATA, 0);
    region_add(&d->machine->io_root, &k->command_port, PORT_COMMAND, 0);
    ps2_keyboard_init(&k->keyboard, d->machine, device_changed, k);
    ps2_mouse_init(&k->mouse, d->machine, device_changed, k);
    return true;
}

static void i8042_fini(struct device *d)
{
    struct i8042 *k = (struct i8042 *)d;
    if (k->data_port.parent) {
        ps2_keyboard_fini(&k->keyboard);
        ps2_mouse_fini(&k->mouse);
        region_del(&k->data_port);
        region_del(&k->command_port);
    }
}

/* After the table: as firmware would leave it, for kernels that start without one. */
static void i8042_reset(struct device *d, enum reset_phase phase)
{
    if (phase == RESET_ENTER) {
        struct i8042 *k = (struct i8042 *)d;
        k->ram[0] = MODE_KEYBOARD_INT | MODE_MOUSE_INT | MODE_SYSTEM | MODE_TRANSLATE;
        for (unsigned i = 0; i < sizeof(k->keyboard.modes); i++) {
            k->keyboard.modes[i] = 7;
        }
        if (d->machine->ui) {
            ui_input_set_leds(d->machine->ui, 0);
        }
    }
}

static bool i8042_load_check(struct device *d, GError **err)
{
    struct i8042 *k = (struct i8042 *)d;
    if (k->keyboard.queue.count > PS2_QUEUE || k->keyboard.queue.head >= PS2_QUEUE || k->mouse.queue.count > PS2_QUEUE ||
        k->mouse.queue.head >= PS2_QUEUE || k->keyboard.repeat_key >= UI_KEY_COUNT || k->keyboard.set < 1 || k->keyboard.set > 3 ||
        (k->command && k->command < CMD_WRITE_OUTPUT && (k->command < CMD_WRITE_RAM || k->command >= CMD_WRITE_RAM + RAM_SIZE))) {
        return error_set(err, EMU_ERROR_INVALID, "impossible state of a keyboard controller");
    }
    return true;
}

static void i8042_settle(struct device *d)
{
    struct i8042 *k = (struct i8042 *)d;
    irq_set(&k->a20, (k->output_port & OUT_A20) != 0);
    drive(k);
}

static const struct field i8042_fields[] = {
    STATE(struct i8042, ram),
    STATE(struct i8042, output_port, .reset = OUT_NO_RESET | OUT_A20),
    STATE(struct i8042, data),
    STATE(struct i8042, command),
    STATE(struct i8042, full), STATE(struct i8042, from_mouse),
    STATE(struct i8042, last_was_command),
    STATE(struct i8042, breaking),
    { FIELD_OF(struct i8042, keyboard), .use = FIELD_STATE, .type = FIELD_STRUCT, .count = 1, .fields = ps2_keyboard_fields,
      .n_fields = PS2_KEYBOARD_FIELDS },
    { FIELD_OF(struct i8042, mouse), .use = FIELD_STATE, .type = FIELD_STRUCT, .count = 1, .fields = ps2_mouse_fields, .n_fields = PS2_MOUSE_FIELDS },
    WIRING(struct i8042, a20), WIRING(struct i8042, irq_keyboard), WIRING(struct i8042, irq_mouse),
    WIRING(struct i8042, data_port), WIRING(struct i8042, command_port),
};

const struct device_class i8042_class = {
    .name = "i8042", .desc = "PS/2 keyboard controller with keyboard and mouse", .bus = "isa", .size = sizeof(struct i8042), .version = 2,
    .fields = i8042_fields, .n_fields = G_N_ELEMENTS(i8042_fields),
    .init = i8042_init, .fini = i8042_fini, .reset = i8042_reset, .load_check = i8042_load_check, .settle = i8042_settle,
};
