/*
 * DMA: copies between host buffers and guest RAM. See core/dma.h.
 */
#include "core/dma.h"

#include <string.h>

#include "core/machine.h"

/*
 * A flat view stays valid for a vCPU thread that is in an access, and for whoever holds the machine lock. Any other
 * thread takes the lock for the copy. Returns whether it did.
 */
static bool dma_enter(struct address_space *as)
{
    if (cpu_current() || machine_locked(as->machine)) {
        return false;
    }
    machine_lock(as->machine);
    return true;
}

static void dma_leave(struct address_space *as, bool entered)
{
    if (entered) {
        machine_unlock(as->machine);
    }
}

/* The RAM at addr, and how much of *len lies in it; NULL: not RAM, and *len says for how long. */
static struct ram_block *dma_piece(const struct flat_view *v, uint64_t addr, uint64_t *len, uint64_t *offset, bool *readonly)
{
    const struct flat_range *r = region_find(v, addr);
    uint64_t in;

    if (!r) {
        /* Up to the next range, so that a long transfer over a hole does not go byte by byte. */
        unsigned lo = 0, hi = v->n;

        while (lo < hi) {
            unsigned mid = (lo + hi) / 2;

            if (v->r[mid].start > addr) {
                hi = mid;
            } else {
                lo = mid + 1;
            }
        }
        if (lo < v->n) {
            *len = MIN(*len, v->r[lo].start - addr);
        }
        return NULL;
    }
    in = addr - r->start;
    *len = MIN(*len, r->size - in);
    if (r->region->kind != REGION_RAM) {
        return NULL;
    }
    *offset = r->offset + in;
    *readonly = r->readonly;
    return r->region->ram;
}

bool dma_read(struct address_space *as, uint64_t addr, void *buf, size_t len)
{
    bool entered = dma_enter(as), ok = true, readonly;
    const struct flat_view *v = region_view(as);
    uint8_t *to = buf;

    while (len) {
        uint64_t piece = len, offset;
        struct ram_block *b = dma_piece(v, addr, &piece, &offset, &readonly);

        if (b) {
            memcpy(to, b->host + offset, piece);
        } else {
            memset(to, 0xff, piece);
            ok = false;
        }
        to += piece;
        addr += piece;
        len -= piece;
    }
    dma_leave(as, entered);
    return ok;
}

/* from NULL: fill with `byte`. */
static bool dma_store(struct address_space *as, uint64_t addr, const uint8_t *from, uint8_t byte, size_t len, bool rom)
{
    bool entered = dma_enter(as), ok = true, readonly = false;
    const struct flat_view *v = region_view(as);

    while (len) {
        uint64_t piece = len, offset = 0;
        struct ram_block *b = dma_piece(v, addr, &piece, &offset, &readonly);

        if (b && (rom || !readonly)) {
            if (from) {
                memcpy(b->host + offset, from, piece);
            } else {
                memset(b->host + offset, byte, piece);
            }
            ram_store_notify(as->machine, b, offset, piece);
        } else {
            ok = false;
        }
        from = from ? from + piece : NULL;
        addr += piece;
        len -= piece;
    }
    dma_leave(as, entered);
    return ok;
}

bool dma_write(struct address_space *as, uint64_t addr, const void *buf, size_t len)
{
    return dma_store(as, addr, buf, 0, len, false);
}

bool dma_fill(struct address_space *as, uint64_t addr, uint8_t byte, size_t len)
{
    return dma_store(as, addr, NULL, byte, len, false);
}

bool dma_write_rom(struct address_space *as, uint64_t addr, const void *buf, size_t len)
{
    return dma_store(as, addr, buf, 0, len, true);
}

void *dma_map(struct address_space *as, uint64_t addr, size_t *len, bool write)
{
    bool entered = dma_enter(as), readonly = false;
    uint64_t piece = *len, offset = 0;
    struct ram_block *b = dma_piece(region_view(as), addr, &piece, &offset, &readonly);

    dma_leave(as, entered);
    if (!b || (write && readonly)) {
        return NULL;
    }
    *len = piece;
    return b->host + offset;
}

void dma_unmap(struct address_space *as, void *host, size_t written)
{
    uint64_t offset;
    struct ram_block *b;

    if (written) {
        b = ram_find_host(as->machine, host, &offset);
        g_assert(b && written <= b->size - offset);
        ram_store_notify(as->machine, b, offset, written);
    }
}

/* Values are little-endian in guest memory; the copy below is for any host. */
static uint64_t dma_ld(struct address_space *as, uint64_t addr, size_t size)
{
    uint64_t v = 0;

    dma_read(as, addr, &v, size);
    return GUINT64_FROM_LE(v);
}

static void dma_st(struct address_space *as, uint64_t addr, uint64_t v, size_t size)
{
    v = GUINT64_TO_LE(v);
    dma_write(as, addr, &v, size);
}

uint16_t dma_ld16(struct address_space *as, uint64_t addr)
{
    return (uint16_t)dma_ld(as, addr, 2);
}

uint32_t dma_ld32(struct address_space *as, uint64_t addr)
{
    return (uint32_t)dma_ld(as, addr, 4);
}

uint64_t dma_ld64(struct address_space *as, uint64_t addr)
{
    return dma_ld(as, addr, 8);
}

void dma_st16(struct address_space *as, uint64_t addr, uint16_t v)
{
    dma_st(as, addr, v, 2);
}

void dma_st32(struct address_space *as, uint64_t addr, uint32_t v)
{
    dma_st(as, addr, v, 4);
}

void dma_st64(struct address_space *as, uint64_t addr, uint64_t v)
{
    dma_st(as, addr, v, 8);
}
