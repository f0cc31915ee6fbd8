/*
 * Message signalled interrupts: MSI and MSI-X. Spec: PCI Local Bus 3.0, 6.8.
 *
 * Messages leave from any thread, without the machine lock. A sender that finds its vector masked sets the pending bit and looks
 * at the mask again; one who takes a mask away looks at the pending bit after. So one of the two sends.
 */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "core/machine.h"
#include "hw/pci/pci.h"

enum { MSI_CONTROL = 2, MSI_ADDRESS = 4, MSI_ENABLE = 0x01, MSI_64 = 0x80 };
#define MSI_MASKED_PER_VECTOR 0x100
enum { MSIX_CONTROL = 2, MSIX_TABLE = 4, MSIX_PBA = 8, MSIX_SIZE = 12 };
#define MSIX_ENABLE   0x8000
#define MSIX_MASK_ALL 0x4000
enum { ENTRY_ADDRESS, ENTRY_ADDRESS_HIGH, ENTRY_DATA, ENTRY_CONTROL };    /* of a table entry, in 32-bit words */

static void send(struct pci_device *p, uint64_t addr, uint32_t data)
{
    struct pci_device *at = p;
    if (pci_dma(p) == &p->dev.machine->nothing) {
        return;                           /* a message is a memory write: only bus masters make one */
    }
    while (at->bus->bridge) {
        at = at->bus->bridge;
    }
    if (at->bus->msi) {
        at->bus->msi(at->bus->msi_owner, addr, data);
    }
}

/* --- MSI --- */

static uint16_t msi_control(const struct pci_device *p) { return pci_get16(&p->config[p->msi_at + MSI_CONTROL]); }

bool pci_msi_on(const struct pci_device *p) { return p->msi_at && (msi_control(p) & MSI_ENABLE); }

/* Offset of data; mask and pending bits follow at +4, +8. */
static unsigned msi_data(const struct pci_device *p) { return p->msi_at + MSI_ADDRESS + (msi_control(p) & MSI_64 ? 8 : 4); }

bool pci_msi_init(struct pci_device *p, unsigned vectors, bool address64, bool mask_bits)
{
    unsigned log = 0, len = 10 + (address64 ? 4 : 0) + (mask_bits ? 10 : 0), at = pci_capability_add(p, PCI_CAP_MSI, len);
    while (1u << log < vectors) {
        log++;
    }
    g_assert(1u << log == vectors && log <= 5);
    if (!at) {
        return false;
    }
    p->msi_at = at;
    pci_put16(&p->config[at + MSI_CONTROL], log << 1 | (address64 ? MSI_64 : 0) | (mask_bits ? MSI_MASKED_PER_VECTOR : 0));
    pci_put16(&p->writable[at + MSI_CONTROL], MSI_ENABLE | 0x70);
    pci_put32(&p->writable[at + MSI_ADDRESS], 0xfffffffc);
    if (address64) {
        pci_put32(&p->writable[at + MSI_ADDRESS + 4], 0xffffffff);
    }
    pci_put16(&p->writable[msi_data(p)], 0xffff);
    if (mask_bits) {
        pci_put32(&p->writable[msi_data(p) + 4], vectors == 32 ? 0xffffffff : (1u << vectors) - 1);
    }
    return true;
}

static uint8_t *msi_mask_byte(struct pci_device *p, unsigned v) { return &p->config[msi_data(p) + 4 + v / 8]; }
static uint8_t *msi_pending_byte(struct pci_device *p, unsigned v) { return &p->config[msi_data(p) + 8 + v / 8]; }

static bool msi_masked(struct pci_device *p, unsigned v)
{
    return (msi_control(p) & MSI_MASKED_PER_VECTOR) && (__atomic_load_n(msi_mask_byte(p, v), __ATOMIC_SEQ_CST) >> v % 8 & 1);
}

static void msi_send(struct pci_device *p, unsigned v)
{
    const uint8_t *c = &p->config[p->msi_at];
    uint64_t addr = pci_get32(c + MSI_ADDRESS);
    if (msi_control(p) & MSI_64) {
        addr |= (uint64_t)pci_get32(c + MSI_ADDRESS + 4) << 32;
    }
    unsigned vectors = 1u << MIN(msi_control(p) >> 4 & 7, 5);
    send(p, addr, (pci_get16(&p->config[msi_data(p)]) & ~(vectors - 1)) | (v & (vectors - 1)));
}

static void msi_send_pending(struct pci_device *p, unsigned v)
{
    uint8_t bit = 1u << v % 8;
    if (!msi_masked(p, v) && (__atomic_fetch_and(msi_pending_byte(p, v), (uint8_t)~bit, __ATOMIC_SEQ_CST) & bit)) {
        msi_send(p, v);
    }
}

void pci_msi_notify(struct pci_device *p, unsigned vector)
{
    if (!pci_msi_on(p)) {
        return;
    }
    vector &= (1u << MIN(msi_control(p) >> 4 & 7, 5)) - 1;
    if (msi_masked(p, vector)) {
        __atomic_fetch_or(msi_pending_byte(p, vector), (uint8_t)(1u << vector % 8), __ATOMIC_SEQ_CST);
        msi_send_pending(p, vector);
    } else {
        msi_send(p, vector);
    }
}

/* --- MSI-X --- */

static uint16_t msix_control(const struct pci_device *p) { return pci_get16(&p->config[p->msix_at + MSIX_CONTROL]); }

bool pci_msix_on(const struct pci_device *p) { return p->msix_at && (msix_control(p) & MSIX_ENABLE); }

static uint32_t entry(const struct pci_device *p, unsigned v, unsigned word)
{
    return __atomic_load_n(&p->msix_table[4 * v + word], __ATOMIC_SEQ_CST);
}

static bool msix_masked(const struct pci_device *p, unsigned v)
{
    return (msix_control(p) & (MSIX_MASK_ALL | MSIX_ENABLE)) != MSIX_ENABLE || (entry(p, v, ENTRY_CONTROL) & 1);
}

static void msix_send(struct pci_device *p, unsigned v)
{
    send(p, entry(p, v, ENTRY_ADDRESS) | (uint64_t)entry(p, v, ENTRY_ADDRESS_HIGH) << 32, entry(p, v, ENTRY_DATA));
}

static void msix_send_pending(struct pci_device *p, unsigned v)
{
    uint64_t bit = 1ull << v % 64;
    if (!msix_masked(p, v) && (__atomic_fetch_and(&p->msix_pending[v / 64], ~bit, __ATOMIC_SEQ_CST) & bit)) {
        msix_send(p, v);
    }
}

void pci_msix_notify(struct pci_device *p, unsigned vector)
{
    if (!pci_msix_on(p) || vector >= p->msix_vectors) {
        return;
    }
    if (msix_masked(p, vector)) {
        __atomic_fetch_or(&p->msix_pending[vector / 64], 1ull << vector % 64, __ATOMIC_SEQ_CST);
        msix_send_pending(p, vector);
    } else {
        msix_send(p, vector);
    }
}

static enum access_status table_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    const struct pci_device *p = opaque;
    (void)size;
    *value = p->msix_table[offset / 4];
    return ACCESS_OK;
}

static enum access_status table_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci_device *p = opaque;
    unsigned word = offset / 4 % 4;
    (void)size;
    value &= word == ENTRY_ADDRESS ? 0xfffffffc : word == ENTRY_CONTROL ? 1 : 0xffffffff;
    __atomic_store_n(&p->msix_table[offset / 4], (uint32_t)value, __ATOMIC_SEQ_CST);
    if (word == ENTRY_CONTROL) {
        msix_send_pending(p, offset / 16);
    }
    return ACCESS_OK;
}

static enum access_status pending_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    const struct pci_device *p = opaque;
    (void)size;
    *value = __atomic_load_n(&p->msix_pending[offset / 8], __ATOMIC_SEQ_CST) >> (offset & 4 ? 32 : 0) & 0xffffffff;
    return ACCESS_OK;
}

static enum access_status pending_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    (void)opaque, (void)offset, (void)size, (void)value;      /* read-only to software */
    return ACCESS_OK;
}

static const struct region_ops table_ops = { .read = table_read, .write = table_write, .min_size = 4, .max_size = 4 };
static const struct region_ops pending_ops = { .read = pending_read, .write = pending_write, .min_size = 4, .max_size = 4 };

bool pci_msix_init(struct pci_device *p, unsigned vectors, unsigned table_bar, uint32_t table_at, unsigned pending_bar, uint32_t pending_at,
                   GError **err)
{
    if (vectors < 1 || vectors > PCI_MSIX_MAX) {
        return error_set(err, EMU_ERROR_INVALID, "%u MSI-X vectors: there may be 1 to %u", vectors, PCI_MSIX_MAX);
    }
    uint64_t table_end = table_at + 16ull * vectors, pending_end = pending_at + (vectors + 63) / 64 * 8ull;
    struct region *t = pci_region_new(p, PCI_REGION_TABLE), *b = pci_region_new(p, PCI_REGION_PENDING);
    unsigned at = pci_capability_add(p, PCI_CAP_MSIX, MSIX_SIZE);
    g_assert(p->bar[table_bar].region && p->bar[pending_bar].region && !((table_at | pending_at) & 7));
    g_assert(table_end <= p->bar[table_bar].size && pending_end <= p->bar[pending_bar].size);
    if (!at) {
        return error_set(err, EMU_ERROR_FAILED, "no room for the MSI-X capability");
    }
    p->msix_at = at;
    p->msix_vectors = vectors;
    pci_put16(&p->config[at + MSIX_CONTROL], vectors - 1);
    pci_put16(&p->writable[at + MSIX_CONTROL], MSIX_ENABLE | MSIX_MASK_ALL);
    pci_put32(&p->config[at + MSIX_TABLE], table_at | table_bar);
    pci_put32(&p->config[at + MSIX_PBA], pending_at | pending_bar);
    region_init_io(t, "msix-table", &table_ops, p, 16 * vectors);
    region_init_io(b, "msix-pba", &pending_ops, p, pending_end - pending_at);
    region_add(p->bar[table_bar].region, t, table_at, 1);
    region_add(p->bar[pending_bar].region, b, pending_at, 1);
    return true;
}

bool pci_msix_init_bar(struct pci_device *p, unsigned vectors, unsigned bar, GError **err)
{
    uint64_t half = 0x800;
    struct region *r = pci_region_new(p, PCI_REGION_BAR);
    while (half < 16ull * vectors) {
        half *= 2;
    }
    region_init_container(r, "msix", 2 * half);
    pci_bar_add(p, bar, PCI_BAR_MEM32, r, 2 * half);
    return pci_msix_init(p, vectors, bar, 0, bar, half, err);
}

/* --- both --- */

/* What the guest may have unmasked. */
void pci_msi_written(struct pci_device *p, unsigned offset, unsigned size)
{
    if (p->msi_at && pci_msi_on(p) && (msi_control(p) & MSI_MASKED_PER_VECTOR) && offset + size > p->msi_at && offset < msi_data(p) + 12u) {
        for (unsigned v = 0; v < 32; v++) {
            msi_send_pending(p, v);
        }
    }
    if (p->msix_at && offset + size > p->msix_at && offset < p->msix_at + 4u) {
        for (unsigned v = 0; v < p->msix_vectors; v++) {
            msix_send_pending(p, v);
        }
    }
}

void pci_msi_reset(struct pci_device *p)
{
    memset(p->msix_table, 0, sizeof(p->msix_table));
    memset(p->msix_pending, 0, sizeof(p->msix_pending));
    for (unsigned v = 0; v < p->msix_vectors; v++) {
        p->msix_table[4 * v + ENTRY_CONTROL] = 1;
    }
}

void pci_msi_fini(struct pci_device *p)
{
    for (unsigned n = 0; p->regions && n <= PCI_REGION_PENDING; n++) {
        if (p->regions[n].parent) {
            region_del(&p->regions[n]);
        }
    }
}
