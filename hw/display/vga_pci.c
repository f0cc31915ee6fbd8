/*
 * The standard VGA as PCI devices: VGA (with the legacy ports and memory), secondary-vga (without), bochs-display (the same under
 * the name of the device that is only a frame buffer). PCI ids, BARs: as guests' drivers (bochs-drm, vgabios) know them: 1234:1111, BAR 0 video memory, BAR 2 registers.
 */
#include "hw/display/display.h"
#include "hw/display/vga_priv.h"
#include "hw/pci/pci.h"

enum { BAR_VRAM = 0, BAR_MMIO = 2, MMIO_SIZE = 0x1000 };

struct vga_pci {
    struct pci_device pci;
    struct vga vga;
};

static const struct pci_id vga_id = {
    .vendor = 0x1234, .device = 0x1111, .subsystem_vendor = 0x1af4, .subsystem = 0x1100, .revision = 2, .class = 0x030000,
    .rom = "vgabios-stdvga.bin" };
static const struct pci_id secondary_id = {
    .vendor = 0x1234, .device = 0x1111, .subsystem_vendor = 0x1af4, .subsystem = 0x1100, .revision = 2, .class = 0x038000 };
static const struct pci_id bochs_id = {
    .vendor = 0x1234, .device = 0x1111, .subsystem_vendor = 0x1af4, .subsystem = 0x1100, .revision = 2, .class = 0x038000,
    .rom = "vgabios-bochs-display.bin" };

static bool init(struct device *d, const struct pci_id *id, bool legacy, GError **err)
{
    struct vga_pci *p = (struct vga_pci *)d;

    if (!pci_device_init(&p->pci, id, err) || !vga_init(&p->vga, d->machine, d->id ? d->id : d->class->name, legacy, err)) {
        return false;
    }
    pci_bar_add(&p->pci, BAR_VRAM, PCI_BAR_MEM32_PREFETCH, &p->vga.lfb, p->vga.vram->size);
    pci_bar_add(&p->pci, BAR_MMIO, PCI_BAR_MEM32, &p->vga.mmio, MMIO_SIZE);
    return pci_device_ready(&p->pci, err);
}

static bool vga_pci_init(struct device *d, GError **err) { return init(d, &vga_id, true, err); }
static bool secondary_init(struct device *d, GError **err) { return init(d, &secondary_id, false, err); }

static bool bochs_init(struct device *d, GError **err) { return init(d, &bochs_id, false, err); }

static void vga_pci_fini(struct device *d)
{
    if (((struct vga_pci *)d)->vga.machine) {
        vga_fini(&((struct vga_pci *)d)->vga);
    }
    pci_class_fini(d);
}

static void vga_pci_reset(struct device *d, enum reset_phase phase)
{
    pci_class_reset(d, phase);
    if (phase == RESET_ENTER) {
        vga_reset(&((struct vga_pci *)d)->vga);
    }
}

static void vga_pci_settle(struct device *d)
{
    pci_class_settle(d);
    vga_settle(&((struct vga_pci *)d)->vga);
}

static const struct field fields[] = { PCI_FIELDS(struct vga_pci), VGA_STATE(struct vga_pci) };

#define CLASS(name_, desc_, init_) { .name = name_, .desc = desc_, .bus = "pci", .user_creatable = true, .size = sizeof(struct vga_pci), .version = 1, \
    .fields = fields, .n_fields = G_N_ELEMENTS(fields), .init = init_, .fini = vga_pci_fini, .reset = vga_pci_reset, .settle = vga_pci_settle }

const struct device_class vga_pci_class = CLASS("VGA", "standard VGA", vga_pci_init);
const struct device_class secondary_vga_class = CLASS("secondary-vga", "standard VGA without the legacy ports and memory", secondary_init);
const struct device_class bochs_display_class = CLASS("bochs-display", "linear frame buffer with Bochs' VBE registers", bochs_init);
