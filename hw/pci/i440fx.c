/*
 * 82441FX (i440FX): host bridge at 00:00.0 with configuration mechanism 1. Spec: Intel 82441FX data sheet, 3.1 (CONFADD, CONFDATA);
 * PCI Local Bus 3.0, 3.2.2.3.2. Left out: DRAM timing, error reporting; PAM and SMRAM registers keep what is written, the
 * RAM below 1 MiB is always there (no firmware ROM to shadow yet).
 */
#include "hw/pci/i440fx.h"

#include "core/machine.h"

#define CONFIG_ENABLE (1u << 31)
enum { PAM0 = 0x59, PAM6 = 0x5f, SMRAM = 0x72 };

static const struct pci_id i440fx_id = {
    .vendor = 0x8086, .device = 0x1237, .subsystem_vendor = 0x1af4, .subsystem = 0x1100, .revision = 2, .class = 0x060000,
};

/* CONFADD is a register for 4-byte accesses only; narrower ones pass by to the ports beneath, of which CF9h is one. */
static enum access_status address_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct i440fx *h = opaque;
    if (size == 4) {
        *value = h->address;
        return ACCESS_OK;
    }
    if (offset == 1 && size == 1 && h->reset_port.read) {
        *value = h->reset_port.read(h->reset_port.owner);
        return ACCESS_OK;
    }
    *value = ~0ull;
    return ACCESS_NONE;
}

static enum access_status address_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct i440fx *h = opaque;
    if (size == 4) {
        h->address = value & 0x80fffffc;
    } else if (offset == 1 && size == 1 && h->reset_port.write) {
        h->reset_port.write(h->reset_port.owner, value);
    } else {
        return ACCESS_NONE;
    }
    return ACCESS_OK;
}

static enum access_status data_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct i440fx *h = opaque;
    uint32_t a = h->address;
    if (!(a & CONFIG_ENABLE)) {
        *value = ~0ull;
        return ACCESS_NONE;
    }
    *value = pci_config_read(&h->bus, a >> 16 & 0xff, a >> 8 & 0xff, (a & 0xfc) + offset, size);
    return ACCESS_OK;
}

static enum access_status data_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct i440fx *h = opaque;
    uint32_t a = h->address;
    if (!(a & CONFIG_ENABLE)) {
        return ACCESS_NONE;
    }
    pci_config_write(&h->bus, a >> 16 & 0xff, a >> 8 & 0xff, (a & 0xfc) + offset, size, value);
    return ACCESS_OK;
}

static const struct region_ops address_ops = { .read = address_read, .write = address_write, .min_size = 1, .max_size = 4 };
static const struct region_ops data_ops = { .read = data_read, .write = data_write, .min_size = 1, .max_size = 4 };

static bool i440fx_init(struct device *d, GError **err)
{
    struct i440fx *h = (struct i440fx *)d;
    struct machine *m = d->machine;
    h->bus.memory = &m->memory_root;
    h->bus.io = &m->io_root;
    if (!pci_device_init(&h->pci, &h->bus, PCI_DEVFN(0, 0), &i440fx_id, err)) {
        return false;
    }
    for (unsigned i = PAM0; i <= PAM6; i++) {
        h->pci.writable[i] = 0x33;
    }
    h->pci.config[SMRAM] = 0x02;
    h->pci.writable[SMRAM] = 0x78;
    pci_device_ready(&h->pci);
    region_init_io(&h->address_port, "pci-conf-idx", &address_ops, h, 4);
    region_init_io(&h->data_port, "pci-conf-data", &data_ops, h, 4);
    region_add(&m->io_root, &h->address_port, 0xcf8, 0);
    region_add(&m->io_root, &h->data_port, 0xcfc, 0);
    return true;
}

struct i440fx *i440fx_of(struct device *d) { return (struct i440fx *)d; }

static void i440fx_fini(struct device *d) { pci_device_fini(&((struct i440fx *)d)->pci); }
static void i440fx_settle(struct device *d) { pci_device_settle(&((struct i440fx *)d)->pci); }

static void i440fx_reset(struct device *d, enum reset_phase phase)
{
    if (phase == RESET_ENTER) {
        pci_device_reset(&((struct i440fx *)d)->pci);
    }
}

static const struct field i440fx_fields[] = {
    PCI_FIELDS(struct i440fx),
    WIRING(struct i440fx, bus),
    STATE(struct i440fx, address),
    WIRING(struct i440fx, reset_port),
    WIRING(struct i440fx, address_port),
    WIRING(struct i440fx, data_port),
};

const struct device_class i440fx_class = {
    .name = "i440FX", .desc = "host bridge of a PC", .bus = "pci", .size = sizeof(struct i440fx), .version = 1,
    .fields = i440fx_fields, .n_fields = G_N_ELEMENTS(i440fx_fields),
    .init = i440fx_init, .fini = i440fx_fini, .reset = i440fx_reset, .settle = i440fx_settle,
};
