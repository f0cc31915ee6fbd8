/*
 * The PCI bus: configuration space, BARs, interrupt pins. Spec: PCI Local Bus 3.0, chapter 6.
 *
 * A device's struct begins with struct pci_device; its init calls pci_device_init() with an id row, then pci_bar_add() for its
 * regions; its table holds PCI_FIELDS(struct x). Mapping, moving and unmapping of BARs is done here.
 */
#ifndef HW_PCI_PCI_H
#define HW_PCI_PCI_H

#include "core/device.h"
#include "core/irq.h"
#include "core/region.h"

#define PCI_CONFIG_SIZE 256
#define PCI_BARS 7                       /* 0..5, and the expansion ROM */
#define PCI_ROM_BAR 6
#define PCI_DEVFN(slot, fn) ((slot) << 3 | (fn))

enum {                                   /* offsets in configuration space */
    PCI_VENDOR_ID = 0x00, PCI_DEVICE_ID = 0x02, PCI_COMMAND = 0x04, PCI_STATUS = 0x06, PCI_REVISION = 0x08, PCI_CLASS = 0x09,
    PCI_CACHE_LINE = 0x0c, PCI_LATENCY = 0x0d, PCI_HEADER_TYPE = 0x0e, PCI_BAR0 = 0x10, PCI_SUBSYSTEM_VENDOR = 0x2c,
    PCI_SUBSYSTEM_ID = 0x2e, PCI_ROM_ADDRESS = 0x30, PCI_CAPABILITY_LIST = 0x34, PCI_INTERRUPT_LINE = 0x3c, PCI_INTERRUPT_PIN = 0x3d,
};
enum { PCI_COMMAND_IO = 1, PCI_COMMAND_MEMORY = 2, PCI_COMMAND_MASTER = 4, PCI_COMMAND_INTX_OFF = 0x400 };
enum { PCI_STATUS_INTX = 0x08, PCI_STATUS_CAPABILITIES = 0x10 };
enum pci_bar_type { PCI_BAR_MEM32 = 0, PCI_BAR_IO = 1, PCI_BAR_MEM64 = 4, PCI_BAR_MEM64_PREFETCH = 12 };

struct pci_bus;
struct pci_device;

struct pci_id {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint8_t revision;
    uint32_t class;                      /* 24 bits: base, sub, interface */
    uint8_t pin;                         /* 0: none, 1: INTA ... */
    bool multifunction;
    /* After a guest's write to [offset, offset+size) has been stored; may be NULL. Machine lock. */
    void (*written)(struct pci_device *p, unsigned offset, unsigned size);
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
    uint8_t devfn;
    uint8_t config[PCI_CONFIG_SIZE];
    uint8_t writable[PCI_CONFIG_SIZE];   /* mask of the bits that guests may change */
    uint8_t clear[PCI_CONFIG_SIZE];      /* mask of the bits that a 1 clears */
    uint8_t initial[PCI_CONFIG_SIZE];    /* after reset */
    uint8_t next_capability;             /* first free byte */
    struct pci_bar bar[PCI_BARS];
    bool intx;                           /* what the device wants its pin to be */
};

struct pci_bus {
    struct pci_device *at[256];          /* by devfn */
    struct region *memory, *io;          /* where BARs go */
    /* Interrupt pin (0..3) of a device changed; the chip set routes and or-s. */
    void (*intx)(void *owner, struct pci_device *p, unsigned pin, int level);
    /* A message signalled interrupt: a store of data to addr. NULL: the board has none. Any thread. */
    void (*msi)(void *msi_owner, uint64_t addr, uint32_t data);
    void *owner, *msi_owner;
};

extern const struct field pci_device_fields[];
#define PCI_DEVICE_FIELDS 10
/* The row that every PCI device's table begins with; the struct's first member is named `pci`. */
#define PCI_FIELDS(type_) { .name = "pci", .use = FIELD_STATE, .type = FIELD_STRUCT, .offset = sizeof(struct device), \
    .size = sizeof(struct pci_device) - sizeof(struct device), .count = 1, .fields = pci_device_fields, .n_fields = PCI_DEVICE_FIELDS }

/*
 * For a device's init, in this order. slot: PCI_DEVFN, or -1 for the first free one of the machine's bus. The class's reset must
 * call pci_device_reset() in RESET_ENTER, its settle pci_device_settle(), its fini pci_device_fini(). Machine lock.
 */
bool pci_device_init(struct pci_device *p, struct pci_bus *bus, int devfn, const struct pci_id *id, GError **err);
void pci_bar_add(struct pci_device *p, unsigned n, enum pci_bar_type type, struct region *r, uint64_t size);
/* Makes room for a capability of `len` bytes and links it in; returns its offset, 0 when configuration space is full. */
unsigned pci_capability_add(struct pci_device *p, uint8_t id, unsigned len);
/* What is in `config` now is what a reset brings back. Last call of init. */
void pci_device_ready(struct pci_device *p);

void pci_device_reset(struct pci_device *p);
void pci_device_settle(struct pci_device *p);
void pci_device_fini(struct pci_device *p);

/* The device's interrupt pin. Machine lock. */
void pci_set_intx(struct pci_device *p, bool level);

/* Configuration access by a host bridge: size 1, 2, 4, not crossing the 4-byte word. No device: all ones. Machine lock. */
uint32_t pci_config_read(struct pci_bus *b, unsigned bus, unsigned devfn, unsigned offset, unsigned size);
void pci_config_write(struct pci_bus *b, unsigned bus, unsigned devfn, unsigned offset, unsigned size, uint32_t value);

uint16_t pci_get16(const uint8_t *p);
uint32_t pci_get32(const uint8_t *p);
void pci_put16(uint8_t *p, uint16_t v);
void pci_put32(uint8_t *p, uint32_t v);

#endif
