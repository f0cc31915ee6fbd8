/*
 * Standard VGA: how its parts hang together, and its state. See hw/display/vga.h; registers are in vga_regs.c, memory in vga_mem.c, VBE in vga_vbe.c,
 * the picture in vga_draw.c.
 */
#include "core/machine.h"
#include "hw/display/vga_priv.h"

static void update(void *opaque) { vga_update(opaque); }
static void invalidate(void *opaque) { vga_invalidate(opaque); }
static bool text(void *opaque, struct ui_text *t) { return vga_text(opaque, t); }

static const struct ui_console_ops console_ops = { .update = update, .invalidate = invalidate, .text = text };

bool vga_init(struct vga *v, struct machine *m, const char *name, bool legacy, GError **err)
{
    g_autofree char *ram = g_strdup_printf("%s.vram", name);

    v->machine = m;
    v->legacy = legacy;
    v->vgamem_mb = 1u << (31 - __builtin_clz(v->vgamem_mb | 1));       /* a BAR is a power of two */
    v->vram = ram_new(m, ram, (uint64_t)v->vgamem_mb << 20, false, err);
    if (!v->vram) {
        return false;
    }
    v->drawn = g_new0(struct vga_drawn, 1);
    v->drawn->all = true;
    v->console = m->ui ? ui_console_add(m->ui, name, &console_ops, v) : NULL;
    region_init_ram(&v->lfb, "vga.vram", v->vram, 0, v->vram->size);
    region_init_io(&v->mmio, "vga-mmio", &vga_mmio_ops, v, 0x1000);
    if (legacy) {
        region_init_container(&v->window, "vga-window", VGA_WINDOW_SIZE);
        region_init_io(&v->window_io, "vga-window-planes", &vga_window_ops, v, VGA_WINDOW_SIZE);
        region_init_io(&v->ports, "vga-ports", &vga_port_ops, v, VGA_PORTS_SIZE);
        region_init_io(&v->vbe_ports, "vbe-ports", &vga_vbe_port_ops, v, VBE_PORTS_SIZE);
        region_begin(m);
        region_add(&v->window, &v->window_io, 0, 0);
        region_add(&m->memory_root, &v->window, VGA_WINDOW, 1);
        region_add(&m->io_root, &v->ports, VGA_PORTS, 0);
        region_add(&m->io_root, &v->vbe_ports, VBE_PORTS, 0);
        region_commit(m);
    }
    return true;
}

void vga_fini(struct vga *v)
{
    ui_console_remove(v->console);
    v->console = NULL;
    g_free(v->drawn);
    v->drawn = NULL;
    if (v->window.parent) {
        region_begin(v->machine);
        region_del(&v->window);
        region_del(&v->ports);
        region_del(&v->vbe_ports);
        region_commit(v->machine);
    }
}

/* After the table: a secondary adapter has nobody who would turn its video on. */
void vga_reset(struct vga *v)
{
    v->attr_index = v->legacy ? 0 : 0x20;
    v->vbe[VBE_ID] = VBE_ID_LAST;
    v->drawn->all = true;
}

void vga_settle(struct vga *v)
{
    v->drawn->all = true;
    vga_map_window(v);
}

const struct field vga_fields[] = {
    WIRING(struct vga, machine), WIRING(struct vga, vram), WIRING(struct vga, console), WIRING(struct vga, drawn),
    WIRING(struct vga, window), WIRING(struct vga, window_io), WIRING(struct vga, ports), WIRING(struct vga, vbe_ports),
    WIRING(struct vga, window_ram), WIRING(struct vga, lfb), WIRING(struct vga, mmio), WIRING(struct vga, legacy),
    PROP(struct vga, vgamem_mb, .def = "16", .min = 1, .max = 256, .help = "video memory in MiB"),
    PROP(struct vga, xres, .def = "1280", .max = 8192, .help = "preferred width"),
    PROP(struct vga, yres, .def = "800", .max = 8192, .help = "preferred height"),
    PROP(struct vga, edid, .def = "on", .help = "whether the monitor describes itself"),
    STATE(struct vga, misc), STATE(struct vga, feature),
    STATE(struct vga, seq_index), STATE(struct vga, seq),
    STATE(struct vga, gc_index), STATE(struct vga, gc),
    STATE(struct vga, crtc_index), STATE(struct vga, crtc),
    STATE(struct vga, attr_index), STATE(struct vga, attr), STATE(struct vga, attr_data),
    STATE(struct vga, dac_mask, .reset = 0xff), STATE(struct vga, dac_index), STATE(struct vga, dac_component), STATE(struct vga, dac_latch),
    STATE(struct vga, dac_reading), STATE(struct vga, dac),
    STATE(struct vga, latch), STATE(struct vga, vbe_index),
    STATE(struct vga, vbe, .elem = 2),
};
G_STATIC_ASSERT(G_N_ELEMENTS(vga_fields) == VGA_FIELDS);
