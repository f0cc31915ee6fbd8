/*
 * Virtio over PCI: modern, transitional and legacy. See virtio_pci.c.
 *
 * A device's file ends with
 *
 *     static const struct field x_pci_fields[] = { VIRTIO_PCI_FIELDS, VIRTIO_PCI_DEVICE(struct virtio_x, x_fields) };
 *     static const struct virtio_pci_variant x_pci[] = VIRTIO_PCI_VARIANTS(&x_class, PCI class code, transitional device id);
 *     const struct device_class virtio_x_pci_classes[] = VIRTIO_PCI_CLASSES("virtio-x", "what it is", x_pci, struct virtio_x, x_pci_fields);
 *
 * and main/builtin.c lists the three classes. Modern-only devices use VIRTIO_PCI_CLASS for the one "-pci" name.
 */
#ifndef HW_VIRTIO_VIRTIO_PCI_H
#define HW_VIRTIO_VIRTIO_PCI_H

#include "hw/pci/pci.h"
#include "hw/virtio/virtio.h"

struct virtio_pci;

enum virtio_pci_mode { VIRTIO_PCI_AUTO, VIRTIO_PCI_TRANSITIONAL, VIRTIO_PCI_NON_TRANSITIONAL };

/* device_class.data of a virtio-pci class. */
struct virtio_pci_variant {
    const struct virtio_class *class;
    enum virtio_pci_mode mode;
    uint32_t pci_class;                  /* base, sub, interface */
    uint16_t transitional;               /* device id of the transitional form; 0: there is none */
    const char *rom;                     /* expansion ROM it comes with (pci_id.rom), or NULL */
    size_t offset;                       /* of the virtio device in the struct; 0: right behind struct virtio_pci */
    /* Adds what a compound device has beside (virtio-vga): before the virtio BARs, when the configuration space is there; may be NULL. */
    bool (*init)(struct virtio_pci *p, GError **err);
};

struct virtio_pci {
    struct pci_device pci;
    /* properties */
    char *disable_legacy;
    bool disable_modern, ioeventfd, ats, page_per_vq, modern_pio_notify;
    uint32_t vectors;
    /* state */
    uint16_t queue_select;
    uint32_t device_feature_select, driver_feature_select;
    uint64_t driver_features;
    /* wiring */
    const struct virtio_pci_variant *variant;
    struct virtio *v;
    struct pci_id id;
    bool legacy_on, modern_on;
    unsigned window;                     /* offset of the configuration access capability; 0: none */
    unsigned notify_shift;               /* doorbells lie 1 << this bytes apart */
    struct region legacy, modern, common, isr, device, notify;
};

extern const struct field virtio_pci_fields[];
#define VIRTIO_PCI_N_FIELDS 24
#define VIRTIO_PCI_FIELDS PCI_FIELDS(struct virtio_pci), { .name = "proxy", .use = FIELD_STATE, .type = FIELD_STRUCT, \
    .offset = sizeof(struct pci_device), .size = sizeof(struct virtio_pci) - sizeof(struct pci_device), .count = 1, \
    .fields = virtio_pci_fields, .n_fields = VIRTIO_PCI_N_FIELDS }
/* The virtio device as it lies behind struct virtio_pci. */
#define VIRTIO_PCI_DEVICE(type_, table_) { .name = "virtio", .use = FIELD_STATE, .type = FIELD_STRUCT, .offset = sizeof(struct virtio_pci), \
    .size = sizeof(type_), .count = 1, .fields = (table_), .n_fields = G_N_ELEMENTS(table_) }
#define VIRTIO_PCI_VARIANT(class_, mode_, pci_class_, transitional_) { .class = (class_), .mode = (mode_), .pci_class = (pci_class_), \
    .transitional = (transitional_) }
#define VIRTIO_PCI_VARIANTS(class_, pci_class_, transitional_) { VIRTIO_PCI_VARIANT(class_, VIRTIO_PCI_AUTO, pci_class_, transitional_), \
    VIRTIO_PCI_VARIANT(class_, VIRTIO_PCI_TRANSITIONAL, pci_class_, transitional_), \
    VIRTIO_PCI_VARIANT(class_, VIRTIO_PCI_NON_TRANSITIONAL, pci_class_, transitional_) }
#define VIRTIO_PCI_CLASS(name_, desc_, variant_, type_, fields_) { .name = name_, .desc = desc_, .bus = "pci", .user_creatable = true, \
    .size = sizeof(struct virtio_pci) + sizeof(type_), .version = 1, .fields = (fields_), .n_fields = G_N_ELEMENTS(fields_), \
    .init = virtio_pci_init, .fini = virtio_pci_fini, .reset = virtio_pci_reset, .load_check = virtio_pci_load_check, \
    .settle = virtio_pci_settle, .data = (variant_) }
#define VIRTIO_PCI_CLASSES(name_, desc_, variants_, type_, fields_) { \
    VIRTIO_PCI_CLASS(name_ "-pci", desc_, &(variants_)[0], type_, fields_), \
    VIRTIO_PCI_CLASS(name_ "-pci-transitional", desc_ ", old and new interface", &(variants_)[1], type_, fields_), \
    VIRTIO_PCI_CLASS(name_ "-pci-non-transitional", desc_ ", new interface only", &(variants_)[2], type_, fields_) }

bool virtio_pci_init(struct device *d, GError **err);
void virtio_pci_fini(struct device *d);
void virtio_pci_reset(struct device *d, enum reset_phase phase);
bool virtio_pci_load_check(struct device *d, GError **err);
void virtio_pci_settle(struct device *d);

/* The virtio device in a device whose class is a virtio-pci one. */
static inline struct virtio *virtio_pci_device(struct device *d) { return ((struct virtio_pci *)d)->v; }

#endif
