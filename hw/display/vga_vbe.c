/*
 * Bochs' VBE extensions: the "dispi" registers at ports 1CEh/1CFh and in the MMIO BAR, which also shows the VGA's ports and the EDID.
 * Spec: the interface as documented with Bochs' vgabios ("VBE Display Interface", ids B0C0h-B0C5h) and with the
 * "standard VGA" device (MMIO area of BAR 2).
 */
#include <string.h>

#include "core/machine.h"
#include "hw/display/edid.h"
#include "hw/display/vga_priv.h"

enum { MMIO_EDID = 0x000, MMIO_EDID_SIZE = 0x400, MMIO_VGA = 0x400, MMIO_VBE = 0x500, MMIO_EXT = 0x600, EXT_SIZE = 8 };
enum { EXT_REG_SIZE = 0, EXT_REG_ENDIAN = 4 };
static const uint32_t little_endian = 0x1e1e1e1e;

static unsigned bits(const struct vga *v) { return v->vbe[VBE_BPP] == 15 ? 16 : v->vbe[VBE_BPP]; }

/* Bytes of a line of n pixels. */
static uint64_t line_bytes(const struct vga *v, uint64_t n) { return bits(v) == 4 ? n / 8 : n * bits(v) / 8; }
/* A planar picture has a quarter of the memory per plane. */
static uint64_t memory(const struct vga *v) { return bits(v) == 4 ? v->vram->size / 4 : v->vram->size; }

/* Makes what was programmed possible: the picture lies inside video memory. */
static void fix(struct vga *v)
{
    uint16_t *r = v->vbe;
    uint64_t line, lines;

    if (r[VBE_BPP] != 4 && r[VBE_BPP] != 8 && r[VBE_BPP] != 15 && r[VBE_BPP] != 16 && r[VBE_BPP] != 24 && r[VBE_BPP] != 32) {
        r[VBE_BPP] = 8;
    }
    r[VBE_XRES] = CLAMP(r[VBE_XRES] & ~7u, 8u, (unsigned)VBE_MAX_XRES);
    r[VBE_YRES] = CLAMP(r[VBE_YRES], 1u, (unsigned)VBE_MAX_YRES);
    r[VBE_VIRT_WIDTH] = MAX(r[VBE_VIRT_WIDTH] & ~7u, r[VBE_XRES]);
    line = line_bytes(v, r[VBE_VIRT_WIDTH]);
    if (line * r[VBE_YRES] > memory(v)) {
        r[VBE_VIRT_WIDTH] = r[VBE_XRES];
        line = line_bytes(v, r[VBE_XRES]);
    }
    lines = memory(v) / line;
    if (lines < r[VBE_YRES]) {
        r[VBE_YRES] = MAX(lines, 1u);
    }
    r[VBE_VIRT_HEIGHT] = MIN(lines, 0xffffu);
    if (r[VBE_X_OFFSET] + (unsigned)r[VBE_XRES] > r[VBE_VIRT_WIDTH]) {
        r[VBE_X_OFFSET] = 0;
    }
    if (r[VBE_Y_OFFSET] + (uint64_t)r[VBE_YRES] > lines) {
        r[VBE_Y_OFFSET] = 0;
    }
}

static void enable(struct vga *v, uint16_t value)
{
    bool was = vga_vbe_on(v);

    if ((value ^ v->vbe[VBE_ENABLE]) & VBE_8BIT_DAC) {        /* the palette keeps its colours */
        for (unsigned i = 0; i < sizeof(v->dac); i++) {
            v->dac[i] = value & VBE_8BIT_DAC ? (uint8_t)(v->dac[i] << 2 | (v->dac[i] >> 4 & 3)) : v->dac[i] >> 2;
        }
    }
    v->vbe[VBE_ENABLE] = value;
    if ((value & VBE_ENABLED) && !was) {
        v->vbe[VBE_VIRT_WIDTH] = v->vbe[VBE_XRES];
        v->vbe[VBE_X_OFFSET] = v->vbe[VBE_Y_OFFSET] = 0;
        fix(v);
        if (!(value & VBE_NO_CLEAR)) {
            uint64_t len = MIN(line_bytes(v, v->vbe[VBE_VIRT_WIDTH]) * v->vbe[VBE_YRES] * (bits(v) == 4 ? 4 : 1), v->vram->size);

            memset(v->vram->host, 0, len);
            ram_store_notify(v->machine, v->vram, 0, len);
        }
    }
    if (!(value & VBE_ENABLED)) {
        v->vbe[VBE_BANK] = 0;
    }
    v->drawn->all = true;
    vga_map_window(v);
}

static uint16_t vbe_read(struct vga *v, unsigned i)
{
    static const uint16_t caps[VBE_REGS] = { [VBE_XRES] = VBE_MAX_XRES, [VBE_YRES] = VBE_MAX_YRES, [VBE_BPP] = 32 };

    if (i == VBE_MEMORY_64K) {
        return MIN(v->vram->size >> 16, 0xffffu);
    }
    if (i >= VBE_REGS) {
        return 0;
    }
    return (v->vbe[VBE_ENABLE] & VBE_GETCAPS) && caps[i] ? caps[i] : v->vbe[i];
}

static void vbe_write(struct vga *v, unsigned i, uint16_t value)
{
    switch (i) {
    case VBE_ID:
        if (value >= VBE_ID_FIRST && value <= VBE_ID_LAST) {
            v->vbe[i] = value;
        }
        break;
    case VBE_ENABLE:
        enable(v, value);
        break;
    case VBE_BANK:
        v->vbe[i] = value % (v->vram->size >> 16);
        vga_map_window(v);
        break;
    case VBE_XRES: case VBE_YRES: case VBE_BPP: case VBE_VIRT_WIDTH: case VBE_X_OFFSET: case VBE_Y_OFFSET:
        v->vbe[i] = value;
        if (vga_vbe_on(v)) {
            fix(v);
        }
        break;
    default:
        break;                                            /* the height of the virtual screen follows from its width */
    }
}

/* --- ports: index at 1CEh, data at 1CFh and (aligned) 1D0h --- */

static enum access_status port_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct vga *v = opaque;

    *value = offset ? vbe_read(v, v->vbe_index) : v->vbe_index;
    *value &= size == 1 ? 0xff : 0xffff;
    return ACCESS_OK;
}

static enum access_status port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct vga *v = opaque;

    (void)size;
    if (offset) {
        vbe_write(v, v->vbe_index, (uint16_t)value);
    } else {
        v->vbe_index = (uint16_t)value;
    }
    return ACCESS_OK;
}

const struct region_ops vga_vbe_port_ops = { .read = port_read, .write = port_write, .min_size = 1, .max_size = 2, .unaligned = true };

/* --- BAR 2 --- */

static enum access_status mmio_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct vga *v = opaque;
    uint8_t edid[EDID_SIZE] = { 0 };

    *value = 0;
    if (offset < MMIO_EDID_SIZE) {
        if (v->edid && offset + size <= EDID_SIZE) {
            edid_make(edid, v->xres, v->yres);
            for (unsigned i = 0; i < size; i++) {
                *value |= (uint64_t)edid[offset + i] << 8 * i;
            }
        }
    } else if (offset >= MMIO_VGA && offset < MMIO_VGA + 0x20) {
        for (unsigned i = 0; i < size; i++) {
            *value |= (uint64_t)vga_port_read(v, 0x3c0 + (unsigned)(offset - MMIO_VGA) + i) << 8 * i;
        }
    } else if (offset >= MMIO_VBE && offset < MMIO_VBE + 2 * VBE_REGS) {
        uint64_t both = vbe_read(v, (unsigned)(offset - MMIO_VBE) / 2) | (uint64_t)vbe_read(v, (unsigned)(offset - MMIO_VBE) / 2 + 1) << 16;

        *value = both >> 8 * (offset & 1);
    } else if (offset >= MMIO_EXT && offset < MMIO_EXT + EXT_SIZE) {
        *value = offset - MMIO_EXT == EXT_REG_SIZE ? EXT_SIZE : offset - MMIO_EXT == EXT_REG_ENDIAN ? little_endian : 0;
    }
    return ACCESS_OK;
}

static enum access_status mmio_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct vga *v = opaque;

    if (offset >= MMIO_VGA && offset < MMIO_VGA + 0x20) {
        for (unsigned i = 0; i < size; i++) {
            vga_port_write(v, 0x3c0 + (unsigned)(offset - MMIO_VGA) + i, (uint8_t)(value >> 8 * i));
        }
    } else if (offset >= MMIO_VBE && offset < MMIO_VBE + 2 * VBE_REGS) {
        for (unsigned i = 0; i < size; i += 2) {
            vbe_write(v, (unsigned)(offset - MMIO_VBE + i) / 2, (uint16_t)(value >> 8 * i));
        }
    }
    return ACCESS_OK;
}

const struct region_ops vga_mmio_ops = { .read = mmio_read, .write = mmio_write, .min_size = 1, .max_size = 4 };
