/*
 * The PCI bus: configuration space, BARs, interrupt pins and messages, DMA. Spec: PCI Local Bus 3.0, chapter 6; PCI Express 3.0, chapter 7.
 *
 * A device's struct begins with `struct pci_device pci`; its table holds PCI_FIELDS(struct x), which brings the properties that all
 * PCI devices have (addr, multifunction, romfile, rombar). Its class says .bus = "pci" and may name pci_class_reset, pci_class_settle
 * and pci_class_fini as its hooks (or call pci_device_reset/settle/fini from its own). Its init calls, in this order:
 *
 *     pci_device_init(&x->pci, &id_row, err)                    bus and slot are found
 *     pci_bar_add(), pci_capability_add(), pci_msi_init(), pci_msix_init(), pcie_endpoint_init(), pci_pm_init()
 *     pci_device_ready(&x->pci, err)                            what is in `config` now is what a reset brings back
 *
 * Mapping, moving and sizing of BARs, masking and pending bits of messages, the pin: all of it is done here. DMA goes through
 * pci_dma(p), which reaches nothing while bus mastering is off.
 */
#ifndef HW_PCI_PCI_H
#define HW_PCI_PCI_H

#include "core/bus.h"
#include "core/device.h"
#include "core/irq.h"
#include "core/region.h"

#define PCI_CONFIG_SIZE  256
#define PCIE_CONFIG_SIZE 4096
#define PCI_BARS 7                       /* 0..5, and the expansion ROM */
#define PCI_ROM_BAR 6
#define PCI_DEVFN(slot, fn) ((slot) << 3 | (fn))
#define PCI_MSIX_MAX 256                 /* vectors a device may have */

enum {                                   /* offsets in configuration space */
    PCI_VENDOR_ID = 0x00, PCI_DEVICE_ID = 0x02, PCI_COMMAND = 0x04, PCI_STATUS = 0x06, PCI_REVISION = 0x08, PCI_CLASS = 0x09,
    PCI_CACHE_LINE = 0x0c, PCI_LATENCY = 0x0d, PCI_HEADER_TYPE = 0x0e, PCI_BAR0 = 0x10, PCI_SUBSYSTEM_VENDOR = 0x2c,
    PCI_SUBSYSTEM_ID = 0x2e, PCI_ROM_ADDRESS = 0x30, PCI_CAPABILITY_LIST = 0x34, PCI_INTERRUPT_LINE = 0x3c, PCI_INTERRUPT_PIN = 0x3d,
};
enum { PCI_COMMAND_IO = 1, PCI_COMMAND_MEMORY = 2, PCI_COMMAND_MASTER = 4, PCI_COMMAND_INTX_OFF = 0x400 };
enum { PCI_STATUS_INTX = 0x08, PCI_STATUS_CAPABILITIES = 0x10 };
enum { PCI_CAP_PM = 0x01, PCI_CAP_MSI = 0x05, PCI_CAP_VENDOR = 0x09, PCI_CAP_BRIDGE_SSID = 0x0d, PCI_CAP_EXPRESS = 0x10, PCI_CAP_MSIX = 0x11 };
enum pci_bar_type { PCI_BAR_MEM32 = 0, PCI_BAR_IO = 1, PCI_BAR_MEM64 = 4, PCI_BAR_MEM64_PREFETCH = 12, PCI_BAR_MEM32_PREFETCH = 8 };
enum pcie_type {                         /* PCIe 7.8.2: device/port type */
    PCIE_ENDPOINT = 0, PCIE_ROOT_PORT = 4, PCIE_UPSTREAM = 5, PCIE_DOWNSTREAM = 6, PCIE_TO_PCI_BRIDGE = 7, PCIE_INTEGRATED = 9,
};

struct pci_bus;
struct pci_device;
struct pci_bridge;

struct pci_id {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint8_t revision;
    uint32_t class;                      /* 24 bits: base, sub, interface */
    uint8_t pin;                         /* 0: none, 1: INTA ... */
    bool multifunction;                  /* header bit, whatever the property says */
    const char *rom;                     /* file of the expansion ROM that it comes with; NULL: none */
    /* After a guest's write to [offset, offset+size) has been stored, before settle; may be NULL. Machine lock. */
    void (*written)(struct pci_device *p, unsigned offset, unsigned size);
    /* Before a guest reads [offset, offset+size) of what init made; may be NULL. Machine lock. */
    void (*reading)(struct pci_device *p, unsigned offset, unsigned size);
};

struct pci_bar {
    struct region *region;               /* NULL: not there */
    uint64_t size;                       /* power of two */
    enum pci_bar_type type;
    uint64_t at;                         /* where it is mapped now */
    bool mapped;
};

struct pci_device {
    struct device dev;
    const struct pci_id *pci_id;
    struct pci_bus *bus;
    struct pci_bus *secondary;           /* bridges: the bus behind it */
    char *addr;                          /* "slot[.fn]", hexadecimal; NULL: first free slot */
    char *romfile;                       /* "": no ROM */
    uint32_t rombar;                     /* 0: the ROM is not shown in a BAR */
    bool multifunction;
    uint8_t devfn;
    uint16_t config_size;                /* 256, or 4096 with the PCI Express capability */
    uint16_t msi_at, msix_at, express_at, pm_at;   /* offsets of these capabilities, 0: not there */
    uint16_t next_capability, next_extended;       /* first free byte */
    uint16_t msix_vectors;
    bool intx;                           /* what the device wants its pin to be */
    bool driven;                         /* what the bus sees of it */
    uint8_t config[PCIE_CONFIG_SIZE];
    uint8_t writable[PCIE_CONFIG_SIZE];  /* mask of the bits that guests may change */
    uint8_t clear[PCIE_CONFIG_SIZE];     /* mask of the bits that a 1 clears */
    uint8_t initial[PCIE_CONFIG_SIZE];   /* after reset */
    uint32_t msix_table[PCI_MSIX_MAX * 4];
    uint64_t msix_pending[PCI_MSIX_MAX / 64];
    struct pci_bar bar[PCI_BARS];
    struct region *regions;              /* made here: MSI-X table, pending bits, a BAR for them, ROM */
    struct ram_block *rom;
};

struct pci_bus {
    struct bus bus;                      /* kind "pci" */
    struct pci_device *at[256];          /* by devfn */
    struct pci_device *bridge;           /* its device on the bus above; NULL: a root bus */
    uint8_t first_slot, last_slot;       /* what devices without addr= get; last_slot also bounds addr= */
    bool express;                        /* PCI Express: devices may have 4 KiB of configuration space */
    struct region *memory, *io;          /* where BARs go */
    struct address_space *dma;           /* what bus masters see; root buses */
    /* Root buses. A device's pin (0..3) is or-ed into line route(...); line() hears of changes. Machine lock. */
    unsigned (*route)(void *owner, struct pci_device *p, unsigned pin);
    void (*line)(void *owner, unsigned n, int level);
    void *owner;
    unsigned count[16];                  /* pins that hold line n high */
    /* A message signalled interrupt: a store of data to addr. NULL: the board has none. Any thread. */
    void (*msi)(void *msi_owner, uint64_t addr, uint32_t data);
    void *msi_owner;
};

extern const struct field pci_device_fields[];
#define PCI_DEVICE_FIELDS 27
/* The row that every PCI device's table begins with; the struct's first member is named `pci`. */
#define PCI_FIELDS(type_) { .name = "pci", .use = FIELD_STATE, .type = FIELD_STRUCT, .offset = sizeof(struct device), \
    .size = sizeof(struct pci_device) - sizeof(struct device), .count = 1, .fields = pci_device_fields, .n_fields = PCI_DEVICE_FIELDS }

/* --- for a device's init; machine lock --- */

bool pci_device_init(struct pci_device *p, const struct pci_id *id, GError **err);
/* The region appears where the BAR says, `size` bytes (a power of two, 4 ports or 16 bytes at least). The region is the device's. */
void pci_bar_add(struct pci_device *p, unsigned n, enum pci_bar_type type, struct region *r, uint64_t size);
/* Makes room for a capability of `len` bytes and links it in; returns its offset, 0 when configuration space is full. */
unsigned pci_capability_add(struct pci_device *p, uint8_t id, unsigned len);
/* The same in the extended space of a PCI Express device. */
unsigned pcie_capability_add(struct pci_device *p, uint16_t id, uint8_t version, unsigned len);
/* MSI with 1, 2, 4 ... 32 vectors. False: configuration space is full. */
bool pci_msi_init(struct pci_device *p, unsigned vectors, bool address64, bool mask_bits);
/* MSI-X: table and pending bits at these offsets of BARs whose regions are containers, already added. */
bool pci_msix_init(struct pci_device *p, unsigned vectors, unsigned table_bar, uint32_t table_at, unsigned pending_bar, uint32_t pending_at,
                   GError **err);
/* MSI-X in a 4 KiB (or larger) memory BAR of its own: table at 0, pending bits in its upper half. */
bool pci_msix_init_bar(struct pci_device *p, unsigned vectors, unsigned bar, GError **err);
/* Power management, D0 and D3hot; state stays in D3hot. BARs and DMA are off outside D0. */
void pci_pm_init(struct pci_device *p);
/* PCI Express capability (version 2, 2.5 GT/s x1, function level reset for endpoints); on a bus without PCI Express nothing is done.
 * An endpoint on a root bus becomes an integrated one. */
void pcie_init(struct pci_device *p, enum pcie_type type);
void pcie_endpoint_init(struct pci_device *p);
/* Loads the expansion ROM. Last call of init. */
bool pci_device_ready(struct pci_device *p, GError **err);

/* --- hooks: as class members, or called from a device's own --- */

void pci_class_reset(struct device *d, enum reset_phase phase);
void pci_class_settle(struct device *d);
void pci_class_fini(struct device *d);
void pci_device_reset(struct pci_device *p);         /* in RESET_ENTER */
void pci_device_settle(struct pci_device *p);
void pci_device_fini(struct pci_device *p);

/* --- at work --- */

/* The device's interrupt pin; not driven while MSI or MSI-X is on. Machine lock. */
void pci_set_intx(struct pci_device *p, bool level);
/* Sends vector n when the capability is on; masked ones become pending. Any thread. A vector beyond what the guest enabled wraps
 * (MSI) or is dropped (MSI-X). */
bool pci_msi_on(const struct pci_device *p);
bool pci_msix_on(const struct pci_device *p);
void pci_msi_notify(struct pci_device *p, unsigned vector);
void pci_msix_notify(struct pci_device *p, unsigned vector);
/* An interrupt event: MSI-X or MSI vector if on; else nothing, the pin is the device's own business. */
void pci_notify(struct pci_device *p, unsigned vector);

/* Guest memory as this device reaches it, for core/dma; never NULL. While bus mastering is off (here or in a bridge above) it is an
 * empty space: reads give ones, stores vanish, calls return false. Look it up for each transfer. Any thread. */
struct address_space *pci_dma(struct pci_device *p);

static inline unsigned pci_slot(const struct pci_device *p) { return p->devfn >> 3; }
static inline unsigned pci_function(const struct pci_device *p) { return p->devfn & 7; }

/* --- host bridges and bridges --- */

/* A root bus (bridge NULL: memory, io and dma are the caller's to fill before devices come) or one behind a bridge. */
void pci_bus_init(struct pci_bus *b, struct machine *m, struct device *owner, struct pci_device *bridge, const char *name);
void pci_bus_fini(struct pci_bus *b);
/* The machine's first root bus, NULL: none. */
struct pci_bus *pci_root(struct machine *m);
/* Number of the bus as the guest has set it. */
unsigned pci_bus_number(const struct pci_bus *b);
/* The function at bus:devfn behind a root bus, as configuration cycles find it; NULL: nobody answers. */
struct pci_device *pci_find(struct pci_bus *root, unsigned bus, unsigned devfn);
/* Calls fn for each device of the bus and of those behind it, bridges before what is behind them. */
void pci_each(struct pci_bus *b, void (*fn)(struct pci_device *p, void *opaque), void *opaque);

/* Configuration access: size 1, 2, 4, not crossing the 4-byte word. No device: all ones. Machine lock. */
uint32_t pci_config_read(struct pci_bus *root, unsigned bus, unsigned devfn, unsigned offset, unsigned size);
void pci_config_write(struct pci_bus *root, unsigned bus, unsigned devfn, unsigned offset, unsigned size, uint32_t value);

/* --- for this folder --- */
void pci_bars_update(struct pci_device *p);
bool pci_decodes(const struct pci_device *p, uint16_t command_bit);   /* powered, and the command bit is set */
void pci_msi_reset(struct pci_device *p);
void pci_msi_written(struct pci_device *p, unsigned offset, unsigned size);
void pci_msi_fini(struct pci_device *p);
struct region *pci_region_new(struct pci_device *p, unsigned n);      /* one of PCI_OWN_REGIONS */
bool pci_rom_load(struct pci_device *p, GError **err);
void pcie_written(struct pci_device *p, unsigned offset, unsigned size);
enum { PCI_REGION_TABLE, PCI_REGION_PENDING, PCI_REGION_BAR, PCI_REGION_ROM, PCI_OWN_REGIONS };

uint16_t pci_get16(const uint8_t *p);
uint32_t pci_get32(const uint8_t *p);
void pci_put16(uint8_t *p, uint16_t v);
void pci_put32(uint8_t *p, uint32_t v);

#endif
