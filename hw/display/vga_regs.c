/*
 * VGA registers at ports 3B0h-3DFh: miscellaneous, sequencer, graphics controller, CRTC, attribute controller, DAC, status.
 * Left out: the vertical retrace interrupt (no board wires it), light pen, diagnostics.
 * Spec: IBM Personal System/2 Hardware Interface Technical Reference, "Video Subsystem".
 */
#include "core/clock.h"
#include "core/machine.h"
#include "hw/display/vga_priv.h"

enum { PORT_ATTR = 0x3c0, PORT_ATTR_READ, PORT_MISC, PORT_ENABLE, PORT_SEQ_INDEX, PORT_SEQ, PORT_DAC_MASK, PORT_DAC_READ, PORT_DAC_WRITE, PORT_DAC_DATA,
       PORT_FEATURE_READ, PORT_MISC_READ = 0x3cc, PORT_GC_INDEX = 0x3ce, PORT_GC, PORT_CRTC_INDEX = 0x3d4, PORT_CRTC, PORT_STATUS = 0x3da };
enum { STATUS_BLANK = 0x01, STATUS_VRETRACE = 0x08, SWITCH_SENSE = 0x10 };

/* Bits that exist. */
static const uint8_t seq_mask[8] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0 };
static const uint8_t gc_mask[16] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };

/* Where in a frame the beam is: bits of the status register. */
static uint8_t beam(const struct vga *v)
{
    unsigned o = v->crtc[CRTC_OVERFLOW], dots = v->seq[SEQ_CLOCK] & CLOCK_8_DOTS ? 8 : 9;
    unsigned total = (v->crtc[6] | (o & 1) << 8 | (o & 0x20) << 4) + 2u, shown = vga_lines(v);
    unsigned retrace = v->crtc[CRTC_VSYNC_START] | (o & 4) << 6 | (o & 0x80) << 2, chars = v->crtc[CRTC_HTOTAL] + 5u;
    uint64_t hz = (v->misc >> 2 & 3) == 1 ? 28322000 : 25175000, line_ns, at, line;

    if (v->seq[SEQ_CLOCK] & CLOCK_HALF) {
        hz /= 2;
    }
    line_ns = MAX((uint64_t)chars * dots * NS_PER_S / hz, 1u);
    at = clock_now(v->machine, CLOCK_VIRTUAL_NS) % (line_ns * total);
    line = at / line_ns;
    if (line >= shown) {
        unsigned length = ((v->crtc[CRTC_VSYNC_END] - retrace) & 15) ? ((v->crtc[CRTC_VSYNC_END] - retrace) & 15) : 16;

        return STATUS_BLANK | (line >= retrace && line < retrace + length ? STATUS_VRETRACE : 0);
    }
    return (at % line_ns) * chars / line_ns > v->crtc[CRTC_HDISPLAY] ? STATUS_BLANK : 0;
}

static void redraw(struct vga *v) { v->drawn->all = true; }

static void seq_write(struct vga *v, uint8_t value)
{
    unsigned i = v->seq_index & 7;

    v->seq[i] = value & seq_mask[i];
    vga_map_window(v);
    if (i == SEQ_CLOCK || i == SEQ_FONT) {
        redraw(v);
    }
}

static void gc_write(struct vga *v, uint8_t value)
{
    unsigned i = v->gc_index & 15;
    uint8_t old = v->gc[i];

    v->gc[i] = value & gc_mask[i];
    if (old != v->gc[i]) {
        vga_map_window(v);
        if (i == GC_MODE || i == GC_MISC) {
            redraw(v);
        }
    }
}

static void crtc_write(struct vga *v, uint8_t value)
{
    unsigned i = v->crtc_index;

    if (i > CRTC_LINE_COMPARE) {
        return;
    }
    if ((v->crtc[CRTC_VSYNC_END] & 0x80) && i <= CRTC_OVERFLOW) {     /* write-protected, but for line compare's bit 8 */
        if (i == CRTC_OVERFLOW) {
            v->crtc[i] = (v->crtc[i] & ~0x10) | (value & 0x10);
        }
        return;
    }
    v->crtc[i] = value;       /* the drawing notices what matters: geometry, start, cursor */
}

static void attr_write(struct vga *v, uint8_t value)
{
    unsigned i = v->attr_index & 31;

    v->attr_data = !v->attr_data;
    if (v->attr_data) {
        if ((v->attr_index ^ value) & ATTR_VIDEO) {
            redraw(v);
        }
        v->attr_index = value & 0x3f;
        return;
    }
    if (i < 16 && (v->attr_index & ATTR_VIDEO)) {                     /* the palette is the screen's while video is on */
        return;
    }
    if (i <= ATTR_COLOR_SELECT) {
        v->attr[i] = i < 16 || i == ATTR_PLANES ? value & 0x3f : i > ATTR_PLANES ? value & 0x0f : value;
        redraw(v);
    }
}

static void dac_write(struct vga *v, uint8_t value)
{
    v->dac_latch[v->dac_component] = v->vbe[VBE_ENABLE] & VBE_8BIT_DAC ? value : value & 0x3f;
    if (++v->dac_component == 3) {
        for (unsigned k = 0; k < 3; k++) {
            v->dac[v->dac_index * 3 + k] = v->dac_latch[k];
        }
        v->dac_component = 0;
        v->dac_index++;
    }
}

static uint8_t dac_read(struct vga *v)
{
    uint8_t value = v->dac[v->dac_index * 3 + v->dac_component];

    if (++v->dac_component == 3) {
        v->dac_component = 0;
        v->dac_index++;
    }
    return value;
}

/* The CRTC and its company are at 3Bxh in mono modes, at 3Dxh in colour. False: at the other place now. */
static bool place(const struct vga *v, unsigned *port)
{
    bool low = *port < 0x3c0, high = *port >= 0x3d0;

    if ((low && (v->misc & MISC_COLOR)) || (high && !(v->misc & MISC_COLOR))) {
        return false;
    }
    *port += low ? 0x20 : 0;
    if (low || high) {
        /* The CRTC's pair is decoded at four places. */
        *port = (*port & 0xf) < 8 ? PORT_CRTC_INDEX + (*port & 1) : *port;
    }
    return true;
}

uint8_t vga_port_read(struct vga *v, unsigned port)
{
    if (!place(v, &port)) {
        return 0xff;
    }
    switch (port) {
    case PORT_ATTR:         return v->attr_data ? 0 : v->attr_index;
    case PORT_ATTR_READ:    return (v->attr_index & 31) <= ATTR_COLOR_SELECT ? v->attr[v->attr_index & 31] : 0;
    case PORT_MISC:         return SWITCH_SENSE;
    case PORT_ENABLE:       return 1;
    case PORT_SEQ_INDEX:    return v->seq_index;
    case PORT_SEQ:          return v->seq[v->seq_index & 7];
    case PORT_DAC_MASK:     return v->dac_mask;
    case PORT_DAC_READ:     return v->dac_reading ? 3 : 0;
    case PORT_DAC_WRITE:    return v->dac_index;
    case PORT_DAC_DATA:     return dac_read(v);
    case PORT_FEATURE_READ: return v->feature;
    case PORT_MISC_READ:    return v->misc;
    case PORT_GC_INDEX:     return v->gc_index;
    case PORT_GC:           return v->gc[v->gc_index & 15];
    case PORT_CRTC_INDEX:   return v->crtc_index;
    case PORT_CRTC:         return v->crtc_index <= CRTC_LINE_COMPARE ? v->crtc[v->crtc_index] : 0;
    case PORT_STATUS:
        v->attr_data = false;
        return beam(v);
    default:
        return 0xff;
    }
}

void vga_port_write(struct vga *v, unsigned port, uint8_t value)
{
    if (!place(v, &port)) {
        return;
    }
    switch (port) {
    case PORT_ATTR:
    case PORT_ATTR_READ:  attr_write(v, value); break;
    case PORT_MISC:       v->misc = value & ~0x10; break;
    case PORT_SEQ_INDEX:  v->seq_index = value & 7; break;
    case PORT_SEQ:        seq_write(v, value); break;
    case PORT_DAC_MASK:   v->dac_mask = value; break;
    case PORT_DAC_READ:
    case PORT_DAC_WRITE:
        v->dac_index = value;
        v->dac_component = 0;
        v->dac_reading = port == PORT_DAC_READ;
        break;
    case PORT_DAC_DATA:   dac_write(v, value); break;
    case PORT_GC_INDEX:   v->gc_index = value & 15; break;
    case PORT_GC:         gc_write(v, value); break;
    case PORT_CRTC_INDEX: v->crtc_index = value & 31; break;
    case PORT_CRTC:       crtc_write(v, value); break;
    case PORT_STATUS:     v->feature = value & 0x18; break;
    default:              break;
    }
}

static enum access_status port_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    (void)size;
    *value = vga_port_read(opaque, VGA_PORTS + (unsigned)offset);
    return ACCESS_OK;
}

static enum access_status port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    (void)size;
    vga_port_write(opaque, VGA_PORTS + (unsigned)offset, (uint8_t)value);
    return ACCESS_OK;
}

const struct region_ops vga_port_ops = { .read = port_read, .write = port_write, .min_size = 1, .max_size = 1 };
