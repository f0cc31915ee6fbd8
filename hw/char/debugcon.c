/*
 * Debug console: what is written to its port is a byte of output; reads give `readback`, by which firmware knows that it is there.
 * Spec: Bochs user manual, "port_e9_hack".
 */
#include "hw/char/debugcon.h"

#include "chardev/chardev.h"
#include "chardev/registry.h"
#include "base/error.h"
#include "core/machine.h"

struct debugcon {
    struct device dev;
    uint32_t iobase, readback;
    char *chardev;
    struct chardev *chr;
    struct region port;
};

static enum access_status debugcon_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    (void)offset, (void)size;
    *value = ((struct debugcon *)opaque)->readback;
    return ACCESS_OK;
}

static enum access_status debugcon_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct debugcon *d = opaque;
    uint8_t byte = value;
    (void)offset, (void)size;
    if (d->chr) {
        chardev_write(d->chr, &byte, 1);
    }
    return ACCESS_OK;
}

static const struct region_ops debugcon_ops = { .read = debugcon_read, .write = debugcon_write, .min_size = 1, .max_size = 1 };

static void moved(void *opaque, struct chardev *now) { ((struct debugcon *)opaque)->chr = now; }

static bool debugcon_init(struct device *dev, GError **err)
{
    struct debugcon *d = (struct debugcon *)dev;
    if (d->chardev) {
        d->chr = chardevs_claim(dev->machine->chardevs, d->chardev, dev->id ? dev->id : "debugcon", err);
        if (!d->chr) {
            return error_prefix(err, "Property 'isa-debugcon.chardev' can't find value '%s'", d->chardev);
        }
        chardev_attach(d->chr, &(struct chardev_port){ .moved = moved, .opaque = d });
    }
    region_init_io(&d->port, "isa-debugcon", &debugcon_ops, d, 1);
    region_add(&dev->machine->io_root, &d->port, d->iobase, 0);
    return true;
}

static void debugcon_fini(struct device *dev)
{
    struct debugcon *d = (struct debugcon *)dev;
    region_del(&d->port);
    if (d->chr) {
        chardev_attach(d->chr, NULL);
        chardevs_release(dev->machine->chardevs, d->chr);
    }
}

static const struct field debugcon_fields[] = {
    PROP(struct debugcon, iobase, .def = "0xe9", .max = 0xffff, .help = "port"),
    PROP(struct debugcon, readback, .def = "0xe9", .max = 0xff, .help = "what reads give"),
    PROP(struct debugcon, chardev, .help = "id of the character device that gets what is written"),
    WIRING(struct debugcon, chr),
    WIRING(struct debugcon, port),
};

const struct device_class debugcon_class = {
    .name = "isa-debugcon", .desc = "debug console", .bus = "isa", .user_creatable = true,
    .size = sizeof(struct debugcon), .version = 1, .fields = debugcon_fields, .n_fields = G_N_ELEMENTS(debugcon_fields),
    .init = debugcon_init, .fini = debugcon_fini,
};
