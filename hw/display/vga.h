/*
 * Standard VGA with Bochs' VBE extensions: the chip, without the bus it sits on. PCI devices (vga_pci.c, virtio-vga) embed it.
 */
#ifndef HW_DISPLAY_VGA_H
#define HW_DISPLAY_VGA_H

#include "core/device.h"
#include "core/region.h"
#include "ui/console.h"

/* Registers of the Bochs "dispi" interface, and bits of VBE_ENABLE. */
enum { VBE_ID, VBE_XRES, VBE_YRES, VBE_BPP, VBE_ENABLE, VBE_BANK, VBE_VIRT_WIDTH, VBE_VIRT_HEIGHT, VBE_X_OFFSET, VBE_Y_OFFSET,
       VBE_MEMORY_64K, VBE_REGS };
enum { VBE_ENABLED = 0x01, VBE_GETCAPS = 0x02, VBE_8BIT_DAC = 0x20, VBE_LFB = 0x40, VBE_NO_CLEAR = 0x80 };
enum { VBE_ID_FIRST = 0xb0c0, VBE_ID_LAST = 0xb0c5 };
enum { VBE_MAX_XRES = 16000, VBE_MAX_YRES = 12000 };

enum { VGA_WINDOW = 0xa0000, VGA_WINDOW_SIZE = 0x20000, VGA_PORTS = 0x3b0, VGA_PORTS_SIZE = 0x30, VBE_PORTS = 0x1ce, VBE_PORTS_SIZE = 3 };
enum { VGA_COLUMNS = 160, VGA_ROWS = 100 };       /* largest text screen drawn */

/* What was drawn last: outside of the guest's view. */
struct vga_drawn {
    bool all;                                     /* draw everything */
    uint32_t palette[256];                        /* x8r8g8b8 */
    uint8_t font[2][256 * 32];
    uint32_t cell[VGA_ROWS * VGA_COLUMNS];
    uint32_t geometry[12];                        /* whatever the picture's layout depends on */
    bool cursor_on, blink_on;
};

struct vga {
    struct machine *machine;
    struct ram_block *vram;
    struct ui_console *console;
    struct vga_drawn *drawn;
    struct region window, window_io, ports, vbe_ports;       /* legacy places */
    struct region window_ram;                     /* over the window where it is plain memory */
    struct region lfb, mmio;                      /* BARs 0 and 2 */
    bool legacy;                                  /* window and ports are there */

    /* properties */
    uint32_t vgamem_mb, xres, yres;
    bool edid;

    /* registers */
    uint8_t misc, feature;
    uint8_t seq_index, seq[8];
    uint8_t gc_index, gc[16];
    uint8_t crtc_index, crtc[32];
    uint8_t attr_index, attr[32];
    bool attr_data;                               /* the next write to 3C0h is data */
    uint8_t dac_mask, dac_index, dac_component, dac_latch[3];
    bool dac_reading;
    uint8_t dac[768];
    uint32_t latch;
    uint16_t vbe_index, vbe[VBE_REGS];
};

extern const struct field vga_fields[];
#define VGA_FIELDS 36
/* The row for the struct that embeds one, as member `vga`. */
#define VGA_STATE(type_) { FIELD_OF(type_, vga), .use = FIELD_STATE, .type = FIELD_STRUCT, .count = 1, .fields = vga_fields, .n_fields = VGA_FIELDS }

/* Makes video memory, console and regions. legacy: ports and the window at A0000h too. Machine lock on all of these. */
bool vga_init(struct vga *v, struct machine *m, const char *name, bool legacy, GError **err);
void vga_fini(struct vga *v);
void vga_reset(struct vga *v);
void vga_settle(struct vga *v);

/* For virtio-vga: whether the chip's picture or the GPU's is shown. */
void vga_update(struct vga *v);
void vga_invalidate(struct vga *v);
bool vga_text(struct vga *v, struct ui_text *text);

#endif
