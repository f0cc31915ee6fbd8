/*
 * Host bridges of PCs. Spec: PCI Local Bus 3.0, 3.2.2.3.2 (configuration mechanism 1); PCI Express Base 3.0, 7.2.2 (enhanced mechanism).
 */
#include "hw/pci/pci_host.h"

#include "core/machine.h"

#define CONFIG_ENABLE (1u << 31)
enum { RC_HARD = 2, RC_CPU = 4 };          /* Intel 82371SB, 2.5.1.4; ICH9, 13.7.5 */

/* CONFADD is a register for 4-byte accesses only; narrower ones pass by to the ports beneath, of which CF9h is one. */
static enum access_status address_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct pci_host *h = opaque;
    if (size == 4) {
        *value = h->address;
        return ACCESS_OK;
    }
    if (offset == 1 && size == 1) {
        *value = h->reset_control;
        return ACCESS_OK;
    }
    *value = ~0ull;
    return ACCESS_NONE;
}

static enum access_status address_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci_host *h = opaque;
    if (size == 4) {
        h->address = value & 0x80fffffc;
    } else if (offset == 1 && size == 1) {
        bool reset = value & ~h->reset_control & RC_CPU;
        h->reset_control = value & RC_HARD;                /* RC_CPU clears itself */
        if (reset) {
            machine_request_reset(h->dev.machine, SHUTDOWN_GUEST_RESET);
        }
    } else {
        return ACCESS_NONE;
    }
    return ACCESS_OK;
}

static enum access_status data_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct pci_host *h = opaque;
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
    struct pci_host *h = opaque;
    uint32_t a = h->address;
    if (!(a & CONFIG_ENABLE)) {
        return ACCESS_NONE;
    }
    pci_config_write(&h->bus, a >> 16 & 0xff, a >> 8 & 0xff, (a & 0xfc) + offset, size, value);
    return ACCESS_OK;
}

static enum access_status ecam_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct pci_host *h = opaque;
    *value = pci_config_read(&h->bus, offset >> 20 & 0xff, offset >> 12 & 0xff, offset & 0xfff, size);
    return ACCESS_OK;
}

static enum access_status ecam_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci_host *h = opaque;
    pci_config_write(&h->bus, offset >> 20 & 0xff, offset >> 12 & 0xff, offset & 0xfff, size, value);
    return ACCESS_OK;
}

static const struct region_ops address_ops = { .read = address_read, .write = address_write, .min_size = 1, .max_size = 4 };
static const struct region_ops data_ops = { .read = data_read, .write = data_write, .min_size = 1, .max_size = 4 };
static const struct region_ops ecam_ops = { .read = ecam_read, .write = ecam_write, .min_size = 1, .max_size = 4 };

void pci_host_ecam(struct pci_host *h, uint64_t at, uint64_t size)
{
    bool on = size != 0;
    if (on == h->ecam_mapped && (!on || (at == h->ecam_at && size == h->ecam_size))) {
        return;
    }
    region_begin(h->dev.machine);
    if (h->ecam_mapped) {
        region_del(&h->ecam);
    }
    if (on) {
        region_init_io(&h->ecam, "pcie-mmcfg", &ecam_ops, h, size);
        region_add(&h->dev.machine->memory_root, &h->ecam, at, 1);
    }
    region_commit(h->dev.machine);
    h->ecam_mapped = on;
    h->ecam_at = at;
    h->ecam_size = size;
}

static bool host_make(struct pci_host *h, const char *bus)
{
    struct machine *m = h->dev.machine;
    pci_bus_init(&h->bus, m, &h->dev, NULL, bus);
    region_init_container(&h->memory, "pci", UINT64_MAX);
    region_add(&m->memory_root, &h->memory, 0, -1);
    h->bus.memory = &h->memory;
    h->bus.io = &m->io_root;
    h->bus.dma = &m->memory;
    region_init_io(&h->address_port, "pci-conf-idx", &address_ops, h, 4);
    region_init_io(&h->data_port, "pci-conf-data", &data_ops, h, 4);
    region_add(&m->io_root, &h->address_port, 0xcf8, 0);
    region_add(&m->io_root, &h->data_port, 0xcfc, 0);
    return true;
}

static bool i440fx_host_init(struct device *d, GError **err)
{
    (void)err;
    return host_make((struct pci_host *)d, "pci.0");
}

static bool q35_host_init(struct device *d, GError **err)
{
    struct pci_host *h = (struct pci_host *)d;
    (void)err;
    h->bus.express = true;
    return host_make(h, "pcie.0");
}

static void host_fini(struct device *d) { pci_bus_fini(&((struct pci_host *)d)->bus); }

struct pci_host *pci_host_of(struct pci_device *p)
{
    while (p->bus->bridge) {
        p = p->bus->bridge;
    }
    return (struct pci_host *)p->bus->bus.owner;
}

static const struct field host_fields[] = {
    WIRING(struct pci_host, bus),
    WIRING(struct pci_host, memory),
    STATE(struct pci_host, address),
    STATE(struct pci_host, reset_control),
    WIRING(struct pci_host, address_port),
    WIRING(struct pci_host, data_port),
    WIRING(struct pci_host, ecam),
    DERIVED(struct pci_host, ecam_mapped),
    DERIVED(struct pci_host, ecam_at),
    DERIVED(struct pci_host, ecam_size),
};

const struct device_class i440fx_host_class = {
    .name = "i440FX-pcihost", .desc = "host bridge and PCI bus of a PC", .bus = "system", .size = sizeof(struct pci_host), .version = 1,
    .fields = host_fields, .n_fields = G_N_ELEMENTS(host_fields), .init = i440fx_host_init, .fini = host_fini,
};

const struct device_class q35_host_class = {
    .name = "q35-pcihost", .desc = "host bridge and PCI Express bus of a PC", .bus = "system", .size = sizeof(struct pci_host), .version = 1,
    .fields = host_fields, .n_fields = G_N_ELEMENTS(host_fields), .init = q35_host_init, .fini = host_fini,
};
