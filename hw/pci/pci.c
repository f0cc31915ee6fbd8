/*
 * PCI devices: type 0 configuration space with per-bit write masks, mapping of BARs, INTx. Spec: PCI Local Bus 3.0, chapter 6.
 * Bridges (type 1) and MSI are not here yet; the bus has the place where messages leave.
 */
#include "hw/pci/pci.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "core/machine.h"

uint16_t pci_get16(const uint8_t *p) { return p[0] | p[1] << 8; }
uint32_t pci_get32(const uint8_t *p) { return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24; }

void pci_put16(uint8_t *p, uint16_t v)
{
    p[0] = v;
    p[1] = v >> 8;
}

void pci_put32(uint8_t *p, uint32_t v)
{
    pci_put16(p, v);
    pci_put16(p + 2, v >> 16);
}

/* --- BARs --- */

static unsigned bar_offset(unsigned n) { return n == PCI_ROM_BAR ? PCI_ROM_ADDRESS : PCI_BAR0 + 4 * n; }

static bool is_64(const struct pci_bar *b) { return b->type == PCI_BAR_MEM64 || b->type == PCI_BAR_MEM64_PREFETCH; }

/* Where the registers say that the BAR lies. False: it is off, or where nothing can be. */
static bool bar_place(const struct pci_device *p, unsigned n, uint64_t *at)
{
    const struct pci_bar *b = &p->bar[n];
    const uint8_t *reg = &p->config[bar_offset(n)];
    uint16_t command = pci_get16(&p->config[PCI_COMMAND]);
    uint64_t v = pci_get32(reg);
    if (!(command & (b->type == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)) || (n == PCI_ROM_BAR && !(v & 1))) {
        return false;
    }
    if (is_64(b)) {
        v |= (uint64_t)pci_get32(reg + 4) << 32;
    }
    *at = v & ~(b->size - 1);
    uint64_t last = *at + b->size - 1;
    if (b->type == PCI_BAR_IO) {
        return *at != 0 && last <= 0xffff;
    }
    /* While a guest sizes a BAR its address is all ones: such a place is never meant. */
    return *at != 0 && last > *at && (is_64(b) ? last < 1ull << 52 : last < 0xfec00000u);
}

static void update_bars(struct pci_device *p)
{
    bool begun = false;
    for (unsigned n = 0; n < PCI_BARS; n++) {
        struct pci_bar *b = &p->bar[n];
        uint64_t at = 0;
        if (!b->region) {
            continue;
        }
        bool on = bar_place(p, n, &at);
        if (on == b->mapped && (!on || at == b->at)) {
            continue;
        }
        if (!begun) {
            region_begin(p->dev.machine);
            begun = true;
        }
        if (b->mapped) {
            region_del(b->region);
        }
        if (on) {
            region_add(b->type == PCI_BAR_IO ? p->bus->io : p->bus->memory, b->region, at, 1);
        }
        b->mapped = on;
        b->at = at;
    }
    if (begun) {
        region_commit(p->dev.machine);
    }
}

void pci_bar_add(struct pci_device *p, unsigned n, enum pci_bar_type type, struct region *r, uint64_t size)
{
    unsigned at = bar_offset(n);
    g_assert(n < PCI_BARS && size && !(size & (size - 1)));
    p->bar[n] = (struct pci_bar){ .region = r, .size = size, .type = type };
    if (n == PCI_ROM_BAR) {
        pci_put32(&p->writable[at], (uint32_t)~(size - 1) | 1);
        return;
    }
    pci_put32(&p->config[at], type);
    pci_put32(&p->writable[at], ~(size - 1));
    if (is_64(&p->bar[n])) {
        pci_put32(&p->writable[at + 4], ~(size - 1) >> 32);
    }
}

/* --- interrupt pin --- */

void pci_device_settle(struct pci_device *p)
{
    bool level = p->intx && !(pci_get16(&p->config[PCI_COMMAND]) & PCI_COMMAND_INTX_OFF);
    if (p->intx) {
        p->config[PCI_STATUS] |= PCI_STATUS_INTX;
    } else {
        p->config[PCI_STATUS] &= ~PCI_STATUS_INTX;
    }
    update_bars(p);
    if (p->config[PCI_INTERRUPT_PIN] && p->bus->intx) {
        p->bus->intx(p->bus->owner, p, p->config[PCI_INTERRUPT_PIN] - 1, level);
    }
}

void pci_set_intx(struct pci_device *p, bool level)
{
    if (p->intx != level) {
        p->intx = level;
        pci_device_settle(p);
    }
}

/* --- configuration space --- */

static struct pci_device *find(struct pci_bus *b, unsigned bus, unsigned devfn)
{
    return bus == 0 && devfn < 256 ? b->at[devfn] : NULL;
}

uint32_t pci_config_read(struct pci_bus *b, unsigned bus, unsigned devfn, unsigned offset, unsigned size)
{
    struct pci_device *p = find(b, bus, devfn);
    uint32_t v = 0;
    if (!p || offset + size > PCI_CONFIG_SIZE) {
        return 0xffffffffu >> (32 - 8 * size);
    }
    for (unsigned i = 0; i < size; i++) {
        v |= (uint32_t)p->config[offset + i] << 8 * i;
    }
    return v;
}

void pci_config_write(struct pci_bus *b, unsigned bus, unsigned devfn, unsigned offset, unsigned size, uint32_t value)
{
    struct pci_device *p = find(b, bus, devfn);
    if (!p || offset + size > PCI_CONFIG_SIZE) {
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        uint8_t v = value >> 8 * i, w = p->writable[offset + i], old = p->config[offset + i];
        p->config[offset + i] = ((old & ~w) | (v & w)) & ~(v & p->clear[offset + i]);
    }
    if (p->pci_id->written) {
        p->pci_id->written(p, offset, size);
    }
    pci_device_settle(p);
}

unsigned pci_capability_add(struct pci_device *p, uint8_t id, unsigned len)
{
    unsigned at = p->next_capability;
    if (at + len > PCI_CONFIG_SIZE) {
        return 0;
    }
    p->config[at] = id;
    p->config[at + 1] = p->config[PCI_CAPABILITY_LIST];
    p->config[PCI_CAPABILITY_LIST] = at;
    p->config[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
    p->next_capability = (at + len + 3) & ~3u;
    return at;
}

/* --- life --- */

bool pci_device_init(struct pci_device *p, struct pci_bus *bus, int devfn, const struct pci_id *id, GError **err)
{
    for (int slot = 0; devfn < 0 && slot < 32; slot++) {
        if (!bus->at[PCI_DEVFN(slot, 0)]) {
            devfn = PCI_DEVFN(slot, 0);
        }
    }
    if (devfn < 0) {
        return error_set(err, EMU_ERROR_INVALID, "no free slot on the PCI bus");
    }
    if (devfn > 255 || bus->at[devfn]) {
        return error_set(err, EMU_ERROR_INVALID, "PCI slot %x.%x is taken", devfn >> 3, devfn & 7);
    }
    uint8_t *c = p->config;
    p->pci_id = id;
    p->bus = bus;
    p->devfn = devfn;
    p->next_capability = 0x40;
    pci_put16(&c[PCI_VENDOR_ID], id->vendor);
    pci_put16(&c[PCI_DEVICE_ID], id->device);
    pci_put16(&c[PCI_SUBSYSTEM_VENDOR], id->subsystem_vendor);
    pci_put16(&c[PCI_SUBSYSTEM_ID], id->subsystem);
    c[PCI_REVISION] = id->revision;
    c[PCI_CLASS] = id->class;
    pci_put16(&c[PCI_CLASS + 1], id->class >> 8);
    c[PCI_HEADER_TYPE] = id->multifunction ? 0x80 : 0;
    c[PCI_INTERRUPT_PIN] = id->pin;
    /* I/O, memory, master, parity, SERR, INTx off */
    pci_put16(&p->writable[PCI_COMMAND], 0x547);
    p->writable[PCI_CACHE_LINE] = p->writable[PCI_LATENCY] = 0xff;
    p->writable[PCI_INTERRUPT_LINE] = id->pin ? 0xff : 0;
    pci_put16(&p->clear[PCI_STATUS], 0xf900);
    bus->at[devfn] = p;
    return true;
}

void pci_device_ready(struct pci_device *p) { memcpy(p->initial, p->config, PCI_CONFIG_SIZE); }

void pci_device_reset(struct pci_device *p)
{
    memcpy(p->config, p->initial, PCI_CONFIG_SIZE);
    p->intx = false;
}

void pci_device_fini(struct pci_device *p)
{
    for (unsigned n = 0; n < PCI_BARS; n++) {
        if (p->bar[n].mapped) {
            region_del(p->bar[n].region);
            p->bar[n].mapped = false;
        }
    }
    if (p->bus && p->bus->at[p->devfn] == p) {
        p->bus->at[p->devfn] = NULL;
    }
}

/* Offsets count from the end of the head, which is no business of a table. */
#define ROW(use_, type_, member) { .name = #member, .use = use_, .type = type_, \
    .offset = offsetof(struct pci_device, member) - sizeof(struct device), .size = sizeof(((struct pci_device *)0)->member) }

const struct field pci_device_fields[PCI_DEVICE_FIELDS] = {
    ROW(FIELD_WIRING, FIELD_OPAQUE, pci_id),
    ROW(FIELD_WIRING, FIELD_OPAQUE, bus),
    ROW(FIELD_WIRING, FIELD_OPAQUE, devfn),
    ROW(FIELD_STATE, FIELD_BYTES, config),
    ROW(FIELD_WIRING, FIELD_OPAQUE, writable),
    ROW(FIELD_WIRING, FIELD_OPAQUE, clear),
    ROW(FIELD_WIRING, FIELD_OPAQUE, initial),
    ROW(FIELD_WIRING, FIELD_OPAQUE, next_capability),
    ROW(FIELD_DERIVED, FIELD_OPAQUE, bar),
    ROW(FIELD_STATE, FIELD_BOOL, intx),
};
