/*
 * isa-debug-exit: a port that ends the emulator; a write of v gives exit status (v << 1) | 1. QEMU's interface, for test guests.
 */
#include "hw/misc/misc.h"

#include "core/machine.h"

struct debugexit {
    struct device dev;
    uint32_t iobase, iosize;
    struct region port;
};

static enum access_status debugexit_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    (void)opaque, (void)offset, (void)size;
    *value = 0;
    return ACCESS_OK;
}

static enum access_status debugexit_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct debugexit *x = opaque;
    (void)offset, (void)size;
    machine_request_exit(x->dev.machine, (int)(value << 1 | 1));
    return ACCESS_OK;
}

static const struct region_ops debugexit_ops = { .read = debugexit_read, .write = debugexit_write, .min_size = 1, .max_size = 4, .unaligned = true };

static bool debugexit_init(struct device *d, GError **err)
{
    struct debugexit *x = (struct debugexit *)d;
    (void)err;
    region_init_io(&x->port, "isa-debug-exit", &debugexit_ops, x, x->iosize);
    region_add(&d->machine->io_root, &x->port, x->iobase, 1);
    return true;
}

static const struct field debugexit_fields[] = {
    PROP(struct debugexit, iobase, .def = "0x501", .max = 0xffff, .help = "port"),
    PROP(struct debugexit, iosize, .def = "2", .min = 1, .max = 4, .help = "number of ports"),
    WIRING(struct debugexit, port),
};

const struct device_class debugexit_class = {
    .name = "isa-debug-exit", .desc = "port that ends the emulator with a status", .bus = "isa", .user_creatable = true,
    .size = sizeof(struct debugexit), .version = 1, .fields = debugexit_fields, .n_fields = G_N_ELEMENTS(debugexit_fields),
    .init = debugexit_init,
};
