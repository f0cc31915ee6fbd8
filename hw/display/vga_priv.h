/*
 * What the files of the VGA share.
 */
#ifndef HW_DISPLAY_VGA_PRIV_H
#define HW_DISPLAY_VGA_PRIV_H

#include "hw/display/vga.h"

/* Bits by their names in the IBM VGA reference. */
enum { MISC_COLOR = 0x01, MISC_RAM = 0x02 };
enum { SEQ_RESET, SEQ_CLOCK, SEQ_MAP_MASK, SEQ_FONT, SEQ_MEMORY };
enum { CLOCK_8_DOTS = 0x01, CLOCK_HALF = 0x08, CLOCK_SCREEN_OFF = 0x20 };
enum { MEMORY_SEQUENTIAL = 0x04, MEMORY_CHAIN4 = 0x08 };
enum { GC_SET_RESET, GC_ENABLE_SET_RESET, GC_COMPARE, GC_ROTATE, GC_READ_MAP, GC_MODE, GC_MISC, GC_DONT_CARE, GC_BIT_MASK };
enum { GC_MODE_READ = 0x08, GC_MODE_ODD_EVEN = 0x10, GC_MODE_CGA = 0x20, GC_MODE_256 = 0x40 };
enum { GC_MISC_GRAPHICS = 0x01 };
enum { ATTR_MODE = 0x10, ATTR_OVERSCAN, ATTR_PLANES, ATTR_PAN, ATTR_COLOR_SELECT };
enum { ATTR_MODE_MONO = 0x02, ATTR_MODE_LINE_GRAPHICS = 0x04, ATTR_MODE_BLINK = 0x08, ATTR_MODE_PAN_RESET = 0x20, ATTR_MODE_256 = 0x40,
       ATTR_MODE_P54 = 0x80 };
enum { ATTR_VIDEO = 0x20 };                       /* of the index */
enum { CRTC_HTOTAL, CRTC_HDISPLAY, CRTC_OVERFLOW = 7, CRTC_ROW_PAN, CRTC_MAX_SCAN, CRTC_CURSOR_START, CRTC_CURSOR_END, CRTC_START_HIGH, CRTC_START_LOW,
       CRTC_CURSOR_HIGH, CRTC_CURSOR_LOW, CRTC_VSYNC_START, CRTC_VSYNC_END, CRTC_VDISPLAY, CRTC_OFFSET, CRTC_UNDERLINE, CRTC_VBLANK_START,
       CRTC_VBLANK_END, CRTC_MODE, CRTC_LINE_COMPARE };

/* vga_mem.c */
extern const struct region_ops vga_window_ops;
void vga_map_window(struct vga *v);

/* vga_regs.c */
extern const struct region_ops vga_port_ops;
uint8_t vga_port_read(struct vga *v, unsigned port);
void vga_port_write(struct vga *v, unsigned port, uint8_t value);

/* vga_vbe.c */
extern const struct region_ops vga_vbe_port_ops, vga_mmio_ops;
static inline bool vga_vbe_on(const struct vga *v) { return v->vbe[VBE_ENABLE] & VBE_ENABLED; }

/* Geometry, in scan lines. */
static inline unsigned vga_lines(const struct vga *v)
{
    unsigned o = v->crtc[CRTC_OVERFLOW];

    return (v->crtc[CRTC_VDISPLAY] | (o & 0x02) << 7 | (o & 0x40) << 3) + 1u;
}

#endif
