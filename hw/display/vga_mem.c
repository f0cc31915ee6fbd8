/*
 * The VGA's memory window at A0000h: planes, latches, read and write modes. Where a mode makes the window plain memory (chain-4
 * without logic), an alias of video memory lies over it and nothing here is called.
 *
 * Byte p of dword n of video memory is offset n of plane p. Chain-4 counts dwords by address bits 2 and up, so that it is linear, as on SVGA
 * chips (IBM's own uses every fourth dword; only software that leaves chain-4 with its picture in place can tell).
 * Spec: IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem": Graphics Controller.
 */
#include "core/machine.h"
#include "hw/display/vga_priv.h"

/* A byte on all planes; a bit per plane as bytes. */
static inline uint32_t spread(uint8_t byte) { return byte * 0x01010101u; }
static inline uint32_t by_plane(uint8_t bits)
{
    return ((bits & 1) | (bits & 2) << 7 | (bits & 4) << 14 | (uint32_t)(bits & 8) << 21) * 0xffu;
}

/* Start and size of the part of the window that is decoded. */
static void decoded(const struct vga *v, uint32_t *start, uint32_t *size)
{
    static const uint32_t starts[4] = { 0, 0, 0x10000, 0x18000 }, sizes[4] = { 0x20000, 0x10000, 0x8000, 0x8000 };

    *start = starts[v->gc[GC_MISC] >> 2 & 3];
    *size = sizes[v->gc[GC_MISC] >> 2 & 3];
}

static bool plain(const struct vga *v)
{
    return (v->seq[SEQ_MEMORY] & MEMORY_CHAIN4) && v->seq[SEQ_MAP_MASK] == 0x0f && !(v->gc[GC_MODE] & 0x0b) && !v->gc[GC_ENABLE_SET_RESET] &&
           !v->gc[GC_ROTATE] && v->gc[GC_BIT_MASK] == 0xff && (v->misc & MISC_RAM);
}

static uint64_t bank_offset(const struct vga *v) { return vga_vbe_on(v) ? (uint64_t)v->vbe[VBE_BANK] << 16 : 0; }

/* Called whenever a register that the window depends on has changed. */
void vga_map_window(struct vga *v)
{
    uint32_t start, size;
    uint64_t from = bank_offset(v);
    bool want = v->legacy && plain(v);
    struct region *r = &v->window_ram;

    if (!v->legacy) {
        return;
    }
    decoded(v, &start, &size);
    want = want && from + size <= v->vram->size;
    if (!want && !r->parent) {
        return;
    }
    if (want && r->parent && r->addr == start && r->size == size && r->target_offset == from) {
        return;
    }
    region_begin(v->machine);
    if (r->parent) {
        region_del(r);
    }
    if (want) {
        region_init_alias(r, "vga-window-ram", &v->lfb, from, size);
        region_add(&v->window, r, start, 1);
    }
    region_commit(v->machine);
}

/* Where a CPU address goes: the dword, and the planes it may reach. False: nowhere. */
static bool locate(const struct vga *v, uint64_t offset, uint64_t *dword, uint8_t *planes, unsigned *read_plane)
{
    uint32_t start, size;
    uint64_t at;

    decoded(v, &start, &size);
    if (offset - start >= size) {
        return false;
    }
    at = offset - start + bank_offset(v);
    if (v->seq[SEQ_MEMORY] & MEMORY_CHAIN4) {
        *dword = at >> 2;
        *planes = 1u << (at & 3);
        *read_plane = at & 3;
    } else if (!(v->seq[SEQ_MEMORY] & MEMORY_SEQUENTIAL)) {
        *dword = at & ~(uint64_t)1;
        *planes = at & 1 ? 0x0a : 0x05;
        *read_plane = (v->gc[GC_READ_MAP] & 2) | (at & 1);
    } else {
        *dword = at;
        *planes = 0x0f;
        *read_plane = v->gc[GC_READ_MAP] & 3;
    }
    return *dword * 4 + 4 <= v->vram->size;
}

static uint32_t combine(const struct vga *v, uint32_t data, uint32_t mask)
{
    switch (v->gc[GC_ROTATE] >> 3 & 3) {
    case 1: data &= v->latch; break;
    case 2: data |= v->latch; break;
    case 3: data ^= v->latch; break;
    default: break;
    }
    return (data & mask) | (v->latch & ~mask);
}

static uint8_t rotated(const struct vga *v, uint8_t value)
{
    unsigned n = v->gc[GC_ROTATE] & 7;

    return (uint8_t)(value >> n | value << (8 - n));
}

static uint32_t written(const struct vga *v, uint8_t value)
{
    uint32_t set = by_plane(v->gc[GC_SET_RESET]), enable = by_plane(v->gc[GC_ENABLE_SET_RESET]), mask = spread(v->gc[GC_BIT_MASK]);

    switch (v->gc[GC_MODE] & 3) {
    case 0: return combine(v, (set & enable) | (spread(rotated(v, value)) & ~enable), mask);
    case 1: return v->latch;
    case 2: return combine(v, by_plane(value & 0x0f), mask);
    default: return combine(v, set, mask & spread(rotated(v, value)));
    }
}

static enum access_status window_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct vga *v = opaque;
    uint64_t dword;
    uint8_t planes;
    unsigned plane;
    uint32_t *at, reach;

    (void)size;
    if (locate(v, offset, &dword, &planes, &plane) && (v->misc & MISC_RAM)) {
        at = (uint32_t *)(void *)v->vram->host + dword;
        reach = by_plane(planes & v->seq[SEQ_MAP_MASK]);
        *at = GUINT32_TO_LE((GUINT32_FROM_LE(*at) & ~reach) | (written(v, (uint8_t)value) & reach));
        ram_store_notify(v->machine, v->vram, dword * 4, 4);
    }
    return ACCESS_OK;
}

static enum access_status window_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct vga *v = opaque;
    uint64_t dword;
    uint8_t planes;
    unsigned plane;
    uint32_t differ;

    (void)size;
    *value = 0xff;
    if (!locate(v, offset, &dword, &planes, &plane) || !(v->misc & MISC_RAM)) {
        return ACCESS_OK;
    }
    v->latch = GUINT32_FROM_LE(((uint32_t *)(void *)v->vram->host)[dword]);
    if (!(v->gc[GC_MODE] & GC_MODE_READ)) {
        *value = v->latch >> 8 * plane & 0xff;
        return ACCESS_OK;
    }
    differ = (v->latch ^ by_plane(v->gc[GC_COMPARE])) & by_plane(v->gc[GC_DONT_CARE]);
    differ |= differ >> 16;
    *value = ~(differ | differ >> 8) & 0xff;
    return ACCESS_OK;
}

const struct region_ops vga_window_ops = { .read = window_read, .write = window_write, .min_size = 1, .max_size = 1 };
