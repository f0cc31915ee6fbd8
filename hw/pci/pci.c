/*
 * PCI devices: configuration space with per-bit write masks, mapping of BARs, INTx, DMA spaces, buses. See pci.h.
 * Messages are in msi.c, PCI Express and power management in pcie.c, expansion ROMs in pci_rom.c, bridges in pci_bridge.c.
 * Left out: error reporting (parity, SERR), which nothing here can cause.
 */
#include "hw/pci/pci.h"

#include <stdlib.h>
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

static bool is_bridge(const struct pci_device *p) { return (p->config[PCI_HEADER_TYPE] & 0x7f) == 1; }

static unsigned bar_offset(const struct pci_device *p, unsigned n)
{
    return n < PCI_ROM_BAR ? PCI_BAR0 + 4 * n : is_bridge(p) ? 0x38u : PCI_ROM_ADDRESS;
}

static bool is_64(const struct pci_bar *b) { return b->type == PCI_BAR_MEM64 || b->type == PCI_BAR_MEM64_PREFETCH; }

bool pci_decodes(const struct pci_device *p, uint16_t command_bit)
{
    return (pci_get16(&p->config[PCI_COMMAND]) & command_bit) && !(p->pm_at && (p->config[p->pm_at + 4] & 3));
}

/* Where the registers say that the BAR lies. False: it is off, or where nothing can be. */
static bool bar_place(const struct pci_device *p, unsigned n, uint64_t *at)
{
    const struct pci_bar *b = &p->bar[n];
    const uint8_t *reg = &p->config[bar_offset(p, n)];
    uint64_t v = pci_get32(reg);
    if (!pci_decodes(p, b->type == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY) || (n == PCI_ROM_BAR && !(v & 1))) {
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

void pci_bars_update(struct pci_device *p)
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
    unsigned at = bar_offset(p, n);
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

/* The line of the root bus that the pin reaches: each bridge on the way turns it by the slot (PCI-to-PCI Bridge 1.2, 9.1). */
static void pin_drive(struct pci_device *p, bool on)
{
    unsigned pin = p->config[PCI_INTERRUPT_PIN] - 1u;
    if (p->driven == on || pin > 3) {
        return;
    }
    p->driven = on;
    while (p->bus->bridge) {
        pin = (pin + pci_slot(p)) & 3;
        p = p->bus->bridge;
    }
    struct pci_bus *b = p->bus;
    if (!b->route) {
        return;
    }
    unsigned n = b->route(b->owner, p, pin);
    b->count[n] += on ? 1 : -1;
    if (b->count[n] == on) {
        b->line(b->owner, n, on);
    }
}

void pci_device_settle(struct pci_device *p)
{
    bool off = (pci_get16(&p->config[PCI_COMMAND]) & PCI_COMMAND_INTX_OFF) || pci_msi_on(p) || pci_msix_on(p);
    if (p->intx) {
        p->config[PCI_STATUS] |= PCI_STATUS_INTX;
    } else {
        p->config[PCI_STATUS] &= ~PCI_STATUS_INTX;
    }
    pci_bars_update(p);
    pin_drive(p, p->intx && !off);
}

void pci_set_intx(struct pci_device *p, bool level)
{
    if (p->intx != level) {
        p->intx = level;
        pci_device_settle(p);
    }
}

void pci_notify(struct pci_device *p, unsigned vector)
{
    if (pci_msix_on(p)) {
        pci_msix_notify(p, vector);
    } else if (pci_msi_on(p)) {
        pci_msi_notify(p, vector);
    }
}

/* --- DMA --- */

struct address_space *pci_dma(struct pci_device *p)
{
    struct machine *m = p->dev.machine;
    for (;;) {
        if (!pci_decodes(p, PCI_COMMAND_MASTER)) {
            return &m->nothing;
        }
        if (!p->bus->bridge) {
            return p->bus->dma;
        }
        p = p->bus->bridge;
    }
}

/* --- configuration space --- */

static struct pci_bus *find_bus(struct pci_bus *b, unsigned number)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(b->at); i++) {
        struct pci_device *p = b->at[i];
        if (!p || !p->secondary || number < p->config[0x19] || number > p->config[0x1a] || !p->config[0x19]) {
            continue;
        }
        return number == p->config[0x19] ? p->secondary : find_bus(p->secondary, number);
    }
    return NULL;
}

struct pci_device *pci_find(struct pci_bus *root, unsigned bus, unsigned devfn)
{
    struct pci_bus *b = bus ? find_bus(root, bus) : root;
    return b && devfn < G_N_ELEMENTS(b->at) ? b->at[devfn] : NULL;
}

unsigned pci_bus_number(const struct pci_bus *b) { return b->bridge ? b->bridge->config[0x19] : 0; }

uint32_t pci_config_read(struct pci_bus *root, unsigned bus, unsigned devfn, unsigned offset, unsigned size)
{
    struct pci_device *p = pci_find(root, bus, devfn);
    uint32_t v = 0;
    if (!p || offset + size > p->config_size) {
        return 0xffffffffu >> (32 - 8 * size);
    }
    if (p->pci_id->reading) {
        p->pci_id->reading(p, offset, size);
    }
    for (unsigned i = 0; i < size; i++) {
        v |= (uint32_t)p->config[offset + i] << 8 * i;
    }
    return v;
}

void pci_config_write(struct pci_bus *root, unsigned bus, unsigned devfn, unsigned offset, unsigned size, uint32_t value)
{
    struct pci_device *p = pci_find(root, bus, devfn);
    if (!p || offset + size > p->config_size) {
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        uint8_t v = value >> 8 * i, w = p->writable[offset + i], old = p->config[offset + i];
        if (w | p->clear[offset + i]) {     /* read-only bytes may be changing: pending bits of MSI */
            p->config[offset + i] = ((old & ~w) | (v & w)) & ~(v & p->clear[offset + i]);
        }
    }
    pci_msi_written(p, offset, size);
    pcie_written(p, offset, size);
    if (p->pci_id->written) {
        p->pci_id->written(p, offset, size);
    }
    p->dev.class->settle(&p->dev);
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

/* addr=: "4", "0x1d.7", "1d.0x7". */
static bool parse_addr(const char *text, unsigned *slot, unsigned *fn)
{
    char *end;
    unsigned long s = strtoul(text, &end, 16), f = 0;
    bool ok = end != text && g_ascii_isxdigit(text[0]);
    if (ok && *end == '.') {
        const char *from = end + 1;
        f = strtoul(from, &end, 16);
        ok = end != from && g_ascii_isxdigit(from[0]);
    }
    *slot = s;
    *fn = f;
    return ok && !*end && s < 32 && f < 8;
}

static bool find_slot(struct pci_device *p, GError **err)
{
    struct pci_bus *b = p->bus;
    unsigned slot, fn = 0;
    if (p->addr && *p->addr && strcmp(p->addr, "-1")) {
        if (!parse_addr(p->addr, &slot, &fn)) {
            return error_set(err, EMU_ERROR_INVALID, "addr=%s is not a PCI slot like 4, 1d or 1d.7", p->addr);
        }
        if (slot > b->last_slot) {
            return error_set(err, EMU_ERROR_INVALID, "slot %x: bus '%s' has slots 0 to %x", slot, b->bus.name, b->last_slot);
        }
    } else {
        for (slot = b->first_slot; slot <= b->last_slot && b->at[PCI_DEVFN(slot, 0)]; slot++) {
        }
        if (slot > b->last_slot) {
            return error_set(err, EMU_ERROR_INVALID, "no free slot on PCI bus '%s'", b->bus.name);
        }
    }
    p->devfn = PCI_DEVFN(slot, fn);
    const struct pci_device *there = b->at[p->devfn], *first = b->at[PCI_DEVFN(slot, 0)];
    if (there) {
        return error_set(err, EMU_ERROR_INVALID, "slot %x function %x of bus '%s' is taken by %s", slot, fn, b->bus.name,
                         there->dev.id ? there->dev.id : there->dev.class->name);
    }
    if (fn && first && !(first->config[PCI_HEADER_TYPE] & 0x80)) {
        return error_set(err, EMU_ERROR_INVALID, "%x.%x: what is in function 0 has a single function (multifunction=on would change that)", slot, fn);
    }
    return true;
}

bool pci_device_init(struct pci_device *p, const struct pci_id *id, GError **err)
{
    struct device *d = &p->dev;
    if (!d->bus) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "this machine has no PCI bus");
    }
    p->bus = (struct pci_bus *)d->bus;
    p->pci_id = id;
    if (!find_slot(p, err)) {
        p->bus = NULL;
        return false;
    }
    uint8_t *c = p->config;
    p->config_size = PCI_CONFIG_SIZE;
    p->next_capability = 0x40;
    p->next_extended = PCI_CONFIG_SIZE;
    pci_put16(&c[PCI_VENDOR_ID], id->vendor);
    pci_put16(&c[PCI_DEVICE_ID], id->device);
    pci_put16(&c[PCI_SUBSYSTEM_VENDOR], id->subsystem_vendor);
    pci_put16(&c[PCI_SUBSYSTEM_ID], id->subsystem);
    c[PCI_REVISION] = id->revision;
    c[PCI_CLASS] = id->class;
    pci_put16(&c[PCI_CLASS + 1], id->class >> 8);
    c[PCI_HEADER_TYPE] = id->multifunction || p->multifunction ? 0x80 : 0;
    c[PCI_INTERRUPT_PIN] = id->pin;
    /* I/O, memory, master, parity, SERR, INTx off */
    pci_put16(&p->writable[PCI_COMMAND], 0x547);
    p->writable[PCI_CACHE_LINE] = p->writable[PCI_LATENCY] = 0xff;
    p->writable[PCI_INTERRUPT_LINE] = id->pin ? 0xff : 0;
    pci_put16(&p->clear[PCI_STATUS], 0xf900);
    p->regions = g_new0(struct region, PCI_OWN_REGIONS);
    p->bus->at[p->devfn] = p;
    return true;
}

bool pci_device_ready(struct pci_device *p, GError **err)
{
    if (!pci_rom_load(p, err)) {
        pci_device_fini(p);
        return false;
    }
    memcpy(p->initial, p->config, sizeof(p->initial));
    return true;
}

struct region *pci_region_new(struct pci_device *p, unsigned n) { return &p->regions[n]; }

void pci_device_reset(struct pci_device *p)
{
    memcpy(p->config, p->initial, sizeof(p->config));
    p->intx = false;
    pci_msi_reset(p);
}

void pci_device_fini(struct pci_device *p)
{
    if (!p->bus) {
        return;
    }
    pin_drive(p, false);
    for (unsigned n = 0; n < PCI_BARS; n++) {
        if (p->bar[n].mapped) {
            region_del(p->bar[n].region);
            p->bar[n].mapped = false;
        }
    }
    if (p->bus->at[p->devfn] == p) {
        p->bus->at[p->devfn] = NULL;
    }
    pci_msi_fini(p);
    g_free(p->regions);
    p->regions = NULL;
    p->bus = NULL;
}

void pci_class_reset(struct device *d, enum reset_phase phase)
{
    if (phase == RESET_ENTER) {
        pci_device_reset((struct pci_device *)d);
    }
}

void pci_class_settle(struct device *d) { pci_device_settle((struct pci_device *)d); }
void pci_class_fini(struct device *d) { pci_device_fini((struct pci_device *)d); }

/* --- buses --- */

static bool bus_has_room(struct bus *bus)
{
    const struct pci_bus *b = (const struct pci_bus *)bus;
    for (unsigned slot = b->first_slot; slot <= b->last_slot; slot++) {
        if (!b->at[PCI_DEVFN(slot, 0)]) {
            return true;
        }
    }
    return false;
}

/* What firmware calls a device, by its class: OVMF looks at the name, SeaBIOS at the numbers. */
static char *bus_dev_path(struct device *d)
{
    static const struct {
        uint16_t class;
        const char *name;
    } names[] = { { 0x0100, "scsi" }, { 0x0101, "ide" }, { 0x0102, "fdc" }, { 0x0104, "raid" }, { 0x0200, "ethernet" }, { 0x0300, "display" },
                  { 0x0601, "isa" }, { 0x0604, "pci-bridge" }, { 0x0c03, "usb" } };
    const struct pci_device *p = (const struct pci_device *)d;
    uint16_t class = pci_get16(&p->config[PCI_CLASS + 1]);
    char name[32], fn[8] = "";
    g_snprintf(name, sizeof(name), "pci%04x,%04x", pci_get16(&p->config[PCI_VENDOR_ID]), pci_get16(&p->config[PCI_DEVICE_ID]));
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (names[i].class == class) {
            g_strlcpy(name, names[i].name, sizeof(name));
        }
    }
    if (pci_function(p)) {
        g_snprintf(fn, sizeof(fn), ",%x", pci_function(p));
    }
    return g_strdup_printf("%s@%x%s", name, pci_slot(p), fn);
}

void pci_bus_init(struct pci_bus *b, struct machine *m, struct device *owner, struct pci_device *bridge, const char *name)
{
    bus_init(&b->bus, m, "pci", owner, name);
    b->bus.has_room = bus_has_room;
    b->bus.dev_path = bus_dev_path;
    b->bus.fw_path = bridge ? NULL : "/pci@i0cf8";
    b->bridge = bridge;
    b->last_slot = 31;
    if (bridge) {
        bridge->secondary = b;
    }
}

void pci_bus_fini(struct pci_bus *b)
{
    if (b->bridge) {
        b->bridge->secondary = NULL;
    }
    bus_fini(&b->bus);
}

struct pci_bus *pci_root(struct machine *m)
{
    for (unsigned i = 0; i < m->buses->len; i++) {
        struct bus *b = g_ptr_array_index(m->buses, i);
        if (!strcmp(b->kind, "pci") && !((struct pci_bus *)b)->bridge) {
            return (struct pci_bus *)b;
        }
    }
    return NULL;
}

void pci_each(struct pci_bus *b, void (*fn)(struct pci_device *p, void *opaque), void *opaque)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(b->at); i++) {
        if (b->at[i]) {
            fn(b->at[i], opaque);
            if (b->at[i]->secondary) {
                pci_each(b->at[i]->secondary, fn, opaque);
            }
        }
    }
}

/* Offsets count from the end of the head, which is no business of a table. */
#define AT(member) .name = #member, .offset = offsetof(struct pci_device, member) - sizeof(struct device), \
    .size = sizeof(((struct pci_device *)0)->member)
#define OWN(member) { AT(member), .use = FIELD_WIRING, .type = FIELD_OPAQUE }

const struct field pci_device_fields[PCI_DEVICE_FIELDS] = {
    OWN(pci_id),
    OWN(bus),
    OWN(secondary),
    { AT(addr), .use = FIELD_PROP, .type = FIELD_STRING, .help = "slot[.function], hexadecimal; the first free slot without it" },
    { AT(romfile), .use = FIELD_PROP, .type = FIELD_STRING, .help = "expansion ROM; empty for none" },
    { AT(rombar), .use = FIELD_PROP, .type = FIELD_U32, .def = "1", .max = 1, .help = "whether the ROM has a BAR" },
    { AT(multifunction), .use = FIELD_PROP, .type = FIELD_BOOL, .def = "off", .help = "function 0 of a slot with several functions" },
    OWN(devfn),
    OWN(config_size),
    OWN(msi_at), OWN(msix_at), OWN(express_at), OWN(pm_at),
    OWN(next_capability), OWN(next_extended),
    OWN(msix_vectors),
    { AT(intx), .use = FIELD_STATE, .type = FIELD_BOOL },
    { AT(driven), .use = FIELD_DERIVED, .type = FIELD_OPAQUE },
    { AT(config), .use = FIELD_STATE, .type = FIELD_BYTES },
    OWN(writable), OWN(clear), OWN(initial),
    { AT(msix_table), .use = FIELD_STATE, .type = FIELD_BYTES, .elem = 4 },
    { AT(msix_pending), .use = FIELD_STATE, .type = FIELD_BYTES, .elem = 8 },
    { AT(bar), .use = FIELD_DERIVED, .type = FIELD_OPAQUE },
    OWN(regions),
    OWN(rom),
};
