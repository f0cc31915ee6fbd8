/*
 * PCI-to-PCI bridges, PCI Express ports and switches. Spec: PCI-to-PCI Bridge Architecture 1.2, chapters 3 (registers), 4 (windows);
 * PCI Express Base 3.0, 7.1. Left out: hot plug, error reporting, delayed transactions. What the classes of one row each differ in is
 * in their rows.
 */
#include "hw/pci/pci_bridge.h"

#include "base/error.h"
#include "core/machine.h"

enum { PRIMARY_BUS = 0x18, SECONDARY_BUS = 0x19, SUBORDINATE_BUS = 0x1a, SECONDARY_LATENCY = 0x1b, IO_BASE = 0x1c, IO_LIMIT = 0x1d,
       SECONDARY_STATUS = 0x1e, MEMORY_BASE = 0x20, MEMORY_LIMIT = 0x22, PREFETCH_BASE = 0x24, PREFETCH_LIMIT = 0x26,
       PREFETCH_BASE_HIGH = 0x28, PREFETCH_LIMIT_HIGH = 0x2c, IO_BASE_HIGH = 0x30, IO_LIMIT_HIGH = 0x32, CONTROL = 0x3e };
enum { CONTROL_ISA = 0x04, CONTROL_VGA = 0x08, CONTROL_VGA16 = 0x10, CONTROL_RESET = 0x40 };

/* What a class is beyond a bridge. */
struct bridge_kind {
    struct pci_id id;
    enum pcie_type express;          /* when has_express */
    bool has_express, bus_express;   /* itself; the bus behind it */
    uint8_t last_slot;
    bool needs_express;              /* goes on PCI Express buses only */
    bool msi;
    uint16_t ssid_vendor, ssid;      /* subsystem, in a capability: 3.2.5.13 */
};

/* --- windows --- */

static bool window_range(const struct pci_bridge *b, unsigned w, uint64_t *from, uint64_t *to)
{
    const uint8_t *c = b->pci.config;
    bool vga = pci_get16(c + CONTROL) & CONTROL_VGA;
    switch (w) {
    case WINDOW_MEMORY:
        *from = (uint64_t)(pci_get16(c + MEMORY_BASE) & 0xfff0) << 16;
        *to = (uint64_t)(pci_get16(c + MEMORY_LIMIT) & 0xfff0) << 16 | 0xfffff;
        return *to > *from;
    case WINDOW_PREFETCH:
        *from = (uint64_t)(pci_get16(c + PREFETCH_BASE) & 0xfff0) << 16 | (uint64_t)pci_get32(c + PREFETCH_BASE_HIGH) << 32;
        *to = (uint64_t)(pci_get16(c + PREFETCH_LIMIT) & 0xfff0) << 16 | 0xfffff | (uint64_t)pci_get32(c + PREFETCH_LIMIT_HIGH) << 32;
        return *to > *from;
    case WINDOW_IO:
        *from = (uint64_t)(c[IO_BASE] & 0xf0) << 8;
        *to = (uint64_t)(c[IO_LIMIT] & 0xf0) << 8 | 0xfff;
        return *to > *from;
    case WINDOW_VGA:
        *from = 0xa0000, *to = 0xbffff;
        return vga;
    case WINDOW_VGA_IO_LOW:
        *from = 0x3b0, *to = 0x3bb;
        return vga;
    default:
        *from = 0x3c0, *to = 0x3df;
        return vga;
    }
}

static void windows_update(struct pci_bridge *b)
{
    struct machine *m = b->pci.dev.machine;
    region_begin(m);
    for (unsigned w = 0; w < BRIDGE_WINDOWS; w++) {
        bool io = w == WINDOW_IO || w > WINDOW_VGA;
        uint64_t from = 0, to = 0;
        bool on = window_range(b, w, &from, &to) && pci_decodes(&b->pci, io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);
        uint64_t size = to - from + 1;
        if (on == b->open[w] && (!on || (from == b->open_at[w] && size == b->open_size[w]))) {
            continue;
        }
        struct region *r = &b->window[w];
        if (b->open[w]) {
            region_del(r);
        }
        if (on) {
            r->target_offset = from;
            r->size = size;
            region_add(io ? b->pci.bus->io : b->pci.bus->memory, r, from, w >= WINDOW_VGA ? 1 : 0);
        }
        b->open[w] = on;
        b->open_at[w] = from;
        b->open_size[w] = size;
    }
    region_commit(m);
}

/* --- secondary reset --- */

static void reset_one(struct pci_device *p, void *phase) { device_reset(&p->dev, *(enum reset_phase *)phase); }

static void bridge_settle(struct device *d)
{
    struct pci_bridge *b = (struct pci_bridge *)d;
    uint16_t control = pci_get16(&b->pci.config[CONTROL]);
    pci_device_settle(&b->pci);
    windows_update(b);
    if (control & ~b->control & CONTROL_RESET) {
        for (enum reset_phase phase = RESET_ENTER; phase <= RESET_EXIT; phase++) {
            pci_each(&b->bus, reset_one, &phase);
        }
    }
    b->control = control;
}

/* --- making --- */

static void type1_header(struct pci_bridge *b)
{
    uint8_t *c = b->pci.config, *w = b->pci.writable;
    c[PCI_HEADER_TYPE] |= 1;
    pci_put16(&c[PCI_SUBSYSTEM_VENDOR], 0);           /* these bytes mean other things here */
    pci_put16(&c[PCI_SUBSYSTEM_ID], 0);
    w[PRIMARY_BUS] = w[SECONDARY_BUS] = w[SUBORDINATE_BUS] = w[SECONDARY_LATENCY] = 0xff;
    w[IO_BASE] = w[IO_LIMIT] = 0xf0;                  /* 16-bit I/O */
    pci_put16(&b->pci.clear[SECONDARY_STATUS], 0xf900);
    pci_put16(&w[MEMORY_BASE], 0xfff0);
    pci_put16(&w[MEMORY_LIMIT], 0xfff0);
    pci_put16(&w[PREFETCH_BASE], 0xfff0);
    pci_put16(&w[PREFETCH_LIMIT], 0xfff0);
    c[PREFETCH_BASE] = c[PREFETCH_LIMIT] = 1;         /* 64-bit */
    pci_put32(&w[PREFETCH_BASE_HIGH], 0xffffffff);
    pci_put32(&w[PREFETCH_LIMIT_HIGH], 0xffffffff);
    w[PCI_INTERRUPT_LINE] = 0xff;
    pci_put16(&w[CONTROL], 0x0fff & ~0x0600);
}

static void make_bus(struct pci_bridge *b, const struct bridge_kind *k)
{
    struct device *d = &b->pci.dev;
    static const char *const names[BRIDGE_WINDOWS] = { "bridge-mem", "bridge-pref", "bridge-io", "bridge-vga", "bridge-vga-io-lo", "bridge-vga-io-hi" };
    region_init_container(&b->memory, "bridge-memory", UINT64_MAX);
    region_init_container(&b->io, "bridge-io", 0x10000);
    for (unsigned w = 0; w < BRIDGE_WINDOWS; w++) {
        region_init_alias(&b->window[w], names[w], w == WINDOW_IO || w > WINDOW_VGA ? &b->io : &b->memory, 0, 0);
    }
    pci_bus_init(&b->bus, d->machine, d, &b->pci, d->id);
    b->bus.memory = &b->memory;
    b->bus.io = &b->io;
    b->bus.express = k->bus_express;
    b->bus.last_slot = k->last_slot;
}

static bool bridge_make(struct pci_bridge *b, const struct bridge_kind *k, GError **err)
{
    if (k->needs_express && b->pci.dev.bus && !((struct pci_bus *)b->pci.dev.bus)->express) {
        return error_set(err, EMU_ERROR_INVALID, "goes on a PCI Express bus, '%s' is none", b->pci.dev.bus->name);
    }
    if (!pci_device_init(&b->pci, &k->id, err)) {
        return false;
    }
    type1_header(b);
    if (k->has_express) {
        pcie_init(&b->pci, k->express);
        pci_pm_init(&b->pci);
    }
    if (k->ssid_vendor) {
        unsigned at = pci_capability_add(&b->pci, PCI_CAP_BRIDGE_SSID, 8);
        pci_put16(&b->pci.config[at + 4], k->ssid_vendor);
        pci_put16(&b->pci.config[at + 6], k->ssid);
    }
    if (k->msi && !pci_msi_init(&b->pci, 1, true, true)) {
        return error_set(err, EMU_ERROR_FAILED, "no room for MSI");
    }
    make_bus(b, k);
    return pci_device_ready(&b->pci, err);
}

static void bridge_fini(struct device *d)
{
    struct pci_bridge *b = (struct pci_bridge *)d;
    for (unsigned w = 0; w < BRIDGE_WINDOWS; w++) {
        if (b->open[w]) {
            region_del(&b->window[w]);
            b->open[w] = false;
        }
    }
    if (b->bus.bus.children) {
        pci_bus_fini(&b->bus);
    }
    pci_device_fini(&b->pci);
}

#define BRIDGE 0x060400

static bool pci_bridge_init(struct device *d, GError **err)
{
    static const struct bridge_kind kind = {
        .id = { .vendor = 0x1b36, .device = 0x0001, .class = BRIDGE, .pin = 1 }, .last_slot = 31, .msi = true, .ssid_vendor = 0x1af4,
    };
    return bridge_make((struct pci_bridge *)d, &kind, err);
}

static bool i82801b11_init(struct device *d, GError **err)
{
    static const struct bridge_kind kind = {
        .id = { .vendor = 0x8086, .device = 0x244e, .revision = 0x92, .class = 0x060401 }, .last_slot = 31, .ssid_vendor = 0x8086,
    };
    return bridge_make((struct pci_bridge *)d, &kind, err);
}

static bool pcie_root_port_init(struct device *d, GError **err)
{
    static const struct bridge_kind kind = {
        .id = { .vendor = 0x1b36, .device = 0x000c, .class = BRIDGE, .pin = 1 }, .express = PCIE_ROOT_PORT, .has_express = true,
        .bus_express = true, .needs_express = true, .msi = true, .ssid_vendor = 0x1b36,
    };
    return bridge_make((struct pci_bridge *)d, &kind, err);
}

static bool ioh3420_init(struct device *d, GError **err)
{
    static const struct bridge_kind kind = {
        .id = { .vendor = 0x8086, .device = 0x3420, .revision = 2, .class = BRIDGE, .pin = 1 }, .express = PCIE_ROOT_PORT, .has_express = true,
        .bus_express = true, .needs_express = true, .msi = true, .ssid_vendor = 0x8086,
    };
    return bridge_make((struct pci_bridge *)d, &kind, err);
}

static bool pcie_pci_bridge_init(struct device *d, GError **err)
{
    static const struct bridge_kind kind = {
        .id = { .vendor = 0x1b36, .device = 0x000e, .class = BRIDGE, .pin = 1 }, .express = PCIE_TO_PCI_BRIDGE, .has_express = true,
        .needs_express = true, .last_slot = 31, .msi = true,
    };
    return bridge_make((struct pci_bridge *)d, &kind, err);
}

static bool x3130_init(struct device *d, GError **err)
{
    static const struct bridge_kind kind = {
        .id = { .vendor = 0x104c, .device = 0x8232, .revision = 2, .class = BRIDGE }, .express = PCIE_UPSTREAM, .has_express = true,
        .bus_express = true, .needs_express = true, .last_slot = 31, .msi = true, .ssid_vendor = 0x104c,
    };
    return bridge_make((struct pci_bridge *)d, &kind, err);
}

static bool xio3130_init(struct device *d, GError **err)
{
    static const struct bridge_kind kind = {
        .id = { .vendor = 0x104c, .device = 0x8233, .revision = 1, .class = BRIDGE }, .express = PCIE_DOWNSTREAM, .has_express = true,
        .bus_express = true, .needs_express = true, .msi = true, .ssid_vendor = 0x104c,
    };
    return bridge_make((struct pci_bridge *)d, &kind, err);
}

static const struct field bridge_fields[] = {
    PCI_FIELDS(struct pci_bridge),
    WIRING(struct pci_bridge, bus),
    WIRING(struct pci_bridge, memory),
    WIRING(struct pci_bridge, io),
    WIRING(struct pci_bridge, window),
    DERIVED(struct pci_bridge, open),
    DERIVED(struct pci_bridge, open_at),
    DERIVED(struct pci_bridge, open_size),
    STATE(struct pci_bridge, control),
    PROP(struct pci_bridge, chassis, .help = "chassis number"),
    PROP(struct pci_bridge, port, .help = "port number"),
    PROP(struct pci_bridge, io_reserve, .option = "io-reserve", .help = "bytes of ports that firmware should keep free (not told to it)"),
    PROP(struct pci_bridge, mem_reserve, .option = "mem-reserve", .help = "bytes of memory that firmware should keep free (not told to it)"),
    PROP(struct pci_bridge, pref64_reserve, .option = "pref64-reserve", .help = "the same, prefetchable (not told to it)"),
};

#define BRIDGE_CLASS(name_, desc_, init_) { \
    .name = name_, .desc = desc_, .bus = "pci", .user_creatable = true, .size = sizeof(struct pci_bridge), .version = 1, \
    .fields = bridge_fields, .n_fields = G_N_ELEMENTS(bridge_fields), \
    .init = init_, .fini = bridge_fini, .reset = pci_class_reset, .settle = bridge_settle }

const struct device_class pci_bridge_class = BRIDGE_CLASS("pci-bridge", "PCI-to-PCI bridge", pci_bridge_init);
const struct device_class i82801b11_bridge_class = BRIDGE_CLASS("i82801b11-bridge", "PCI bridge of the ICH9", i82801b11_init);
const struct device_class pcie_root_port_class = BRIDGE_CLASS("pcie-root-port", "PCI Express root port", pcie_root_port_init);
const struct device_class ioh3420_class = BRIDGE_CLASS("ioh3420", "PCI Express root port (Intel IOH 3420)", ioh3420_init);
const struct device_class pcie_pci_bridge_class = BRIDGE_CLASS("pcie-pci-bridge", "bridge from PCI Express to PCI", pcie_pci_bridge_init);
const struct device_class x3130_upstream_class = BRIDGE_CLASS("x3130-upstream", "upstream port of a PCI Express switch (TI XIO3130)", x3130_init);
const struct device_class xio3130_downstream_class = BRIDGE_CLASS("xio3130-downstream", "downstream port of a PCI Express switch (TI XIO3130)", xio3130_init);
