/*
 * Virtio over PCI. Spec: VIRTIO 1.2, 4.1 (4.1.4.8 and 4.1.5.4 for the legacy interface).
 *
 *     BAR 0   legacy registers (ports), transitional and legacy devices
 *     BAR 1   MSI-X
 *     BAR 4   modern registers: common, ISR, device configuration, doorbells
 *
 * Left out: doorbells by ports (modern-pio-notify), ATS, shared memory capabilities, queue reset, notification data.
 */
#include "hw/virtio/virtio_pci.h"

#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "core/machine.h"

enum { COMMON_AT = 0x0000, ISR_AT = 0x1000, DEVICE_AT = 0x2000, NOTIFY_AT = 0x3000, PART_SIZE = 0x1000 };
enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_ISR = 3, CAP_DEVICE = 4, CAP_PCI_CFG = 5 };
enum { LEGACY_BAR = 0, MSIX_BAR = 1, MODERN_BAR = 4 };
enum { CAP_BAR = 4, CAP_OFFSET = 8, CAP_LENGTH = 12, CAP_DATA = 16 };    /* in a virtio capability (4.1.4) */

#define VENDOR 0x1af4
#define LEGACY_ONLY (VIRTIO_BIT(VIRTIO_F_NOTIFY_ON_EMPTY) | VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT))

static struct virtio_pci *proxy(struct virtio *v) { return (struct virtio_pci *)v->dev; }

static void pin_update(struct virtio_pci *p) { pci_set_intx(&p->pci, p->v->isr && !pci_msix_on(&p->pci)); }

static void pci_interrupt(struct virtio *v, uint16_t vector)
{
    struct virtio_pci *p = proxy(v);

    if (!pci_msix_on(&p->pci)) {
        pin_update(p);
    } else if (vector != VIRTIO_NO_VECTOR) {
        pci_msix_notify(&p->pci, vector);
    }
}

static void pci_outputs(struct virtio *v) { pin_update(proxy(v)); }

static const struct virtio_transport transport = { .name = "virtio-pci", .interrupt = pci_interrupt, .settle = pci_outputs };

/* What ring addresses mean depends on bus mastering. */
static void dma_update(struct virtio_pci *p) { virtio_set_dma(p->v, pci_dma(&p->pci)); }

/* --- what both interfaces have --- */

static struct virtqueue *selected(struct virtio_pci *p) { return p->queue_select < p->v->n_queues ? &p->v->queue[p->queue_select] : NULL; }

static uint16_t vector_of(struct virtio_pci *p, uint64_t value)
{
    return value < p->pci.msix_vectors ? (uint16_t)value : VIRTIO_NO_VECTOR;
}

static void set_status(struct virtio_pci *p, uint8_t status)
{
    if (!status) {
        p->device_feature_select = p->driver_feature_select = p->queue_select = 0;
        p->driver_features = 0;
    }
    dma_update(p);
    virtio_set_status(p->v, status);
}

static uint8_t take_isr(struct virtio_pci *p)
{
    uint8_t isr = p->v->isr;

    p->v->isr = 0;
    pin_update(p);
    return isr;
}

static void kick(struct virtio_pci *p, unsigned n)
{
    dma_update(p);
    virtio_kick(p->v, n);
}

/* --- modern: common configuration (4.1.4.3) --- */

enum {
    DEVICE_FEATURE_SELECT = 0x00, DEVICE_FEATURE = 0x04, DRIVER_FEATURE_SELECT = 0x08, DRIVER_FEATURE = 0x0c, CONFIG_VECTOR = 0x10,
    NUM_QUEUES = 0x12, DEVICE_STATUS = 0x14, CONFIG_GENERATION = 0x15, QUEUE_SELECT = 0x16, QUEUE_SIZE = 0x18, QUEUE_VECTOR = 0x1a,
    QUEUE_ENABLE = 0x1c, QUEUE_NOTIFY_OFF = 0x1e, QUEUE_DESC = 0x20, QUEUE_DRIVER = 0x28, QUEUE_DEVICE = 0x30,
};

static uint64_t modern_features(const struct virtio_pci *p) { return p->v->offered & ~(LEGACY_ONLY | p->v->class->legacy_features); }

static uint32_t half(uint64_t v, unsigned n) { return n < 2 ? (uint32_t)(v >> 32 * n) : 0; }

static enum access_status common_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct virtio_pci *p = opaque;
    const struct virtqueue *q = selected(p);

    (void)size;
    switch (offset) {
    case DEVICE_FEATURE_SELECT: *value = p->device_feature_select; break;
    case DEVICE_FEATURE: *value = half(modern_features(p), p->device_feature_select); break;
    case DRIVER_FEATURE_SELECT: *value = p->driver_feature_select; break;
    case DRIVER_FEATURE: *value = half(p->driver_features, p->driver_feature_select); break;
    case CONFIG_VECTOR: *value = p->v->config_vector; break;
    case NUM_QUEUES: *value = p->v->n_queues; break;
    case DEVICE_STATUS: *value = p->v->status; break;
    case CONFIG_GENERATION: *value = p->v->config_generation & 0xff; break;
    case QUEUE_SELECT: *value = p->queue_select; break;
    case QUEUE_SIZE: *value = q ? q->num : 0; break;
    case QUEUE_VECTOR: *value = q ? q->vector : VIRTIO_NO_VECTOR; break;
    case QUEUE_ENABLE: *value = q && q->enabled; break;
    case QUEUE_NOTIFY_OFF: *value = q ? q->index : 0; break;
    case QUEUE_DESC: *value = q ? (uint32_t)q->desc : 0; break;
    case QUEUE_DESC + 4: *value = q ? q->desc >> 32 : 0; break;
    case QUEUE_DRIVER: *value = q ? (uint32_t)q->driver : 0; break;
    case QUEUE_DRIVER + 4: *value = q ? q->driver >> 32 : 0; break;
    case QUEUE_DEVICE: *value = q ? (uint32_t)q->device : 0; break;
    case QUEUE_DEVICE + 4: *value = q ? q->device >> 32 : 0; break;
    default: *value = 0; break;
    }
    return ACCESS_OK;
}

static void put_half(uint64_t *to, unsigned n, uint64_t value)
{
    if (n < 2) {
        *to = (*to & ~(0xffffffffull << 32 * n)) | (value & 0xffffffff) << 32 * n;
    }
}

static void queue_enable(struct virtio_pci *p, struct virtqueue *q, uint64_t value)
{
    if (value == 1 && !q->enabled) {
        q->enabled = true;
        dma_update(p);
        virtio_queue_changed(q);
    }
}

/* The registers of the selected queue, which are closed once it is enabled. */
static void queue_write(struct virtio_pci *p, struct virtqueue *q, uint64_t offset, uint64_t value)
{
    if (offset == QUEUE_VECTOR) {
        q->vector = vector_of(p, value);
        return;
    }
    if (q->enabled) {
        log_guest("%s: register 0x%x of queue %u is written while it is enabled", p->v->class->name, (unsigned)offset, q->index);
        return;
    }
    switch (offset) {
    case QUEUE_SIZE: q->num = value && value <= q->max ? (uint16_t)value : q->num; break;
    case QUEUE_ENABLE: queue_enable(p, q, value); break;
    case QUEUE_DESC: case QUEUE_DESC + 4: put_half(&q->desc, (offset - QUEUE_DESC) / 4, value); break;
    case QUEUE_DRIVER: case QUEUE_DRIVER + 4: put_half(&q->driver, (offset - QUEUE_DRIVER) / 4, value); break;
    case QUEUE_DEVICE: case QUEUE_DEVICE + 4: put_half(&q->device, (offset - QUEUE_DEVICE) / 4, value); break;
    default: break;
    }
}

static enum access_status common_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtio_pci *p = opaque;
    struct virtqueue *q = selected(p);

    (void)size;
    switch (offset) {
    case DEVICE_FEATURE_SELECT: p->device_feature_select = (uint32_t)value; break;
    case DRIVER_FEATURE_SELECT: p->driver_feature_select = (uint32_t)value; break;
    case DRIVER_FEATURE:
        put_half(&p->driver_features, p->driver_feature_select, value);
        virtio_set_features(p->v, p->driver_features & modern_features(p));
        break;
    case CONFIG_VECTOR: p->v->config_vector = vector_of(p, value); break;
    case DEVICE_STATUS: set_status(p, (uint8_t)value); break;
    case QUEUE_SELECT: p->queue_select = (uint16_t)value; break;
    default:
        if (q && offset >= QUEUE_SIZE) {
            queue_write(p, q, offset, value);
        }
        break;
    }
    return ACCESS_OK;
}

static const struct region_ops common_ops = { .read = common_read, .write = common_write, .min_size = 1, .max_size = 4 };

/* --- modern: the other parts --- */

static enum access_status isr_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    (void)size;
    *value = offset ? 0 : take_isr(opaque);
    return ACCESS_OK;
}

static enum access_status ignored(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    (void)opaque, (void)offset, (void)size, (void)value;
    return ACCESS_OK;
}

static enum access_status config_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    *value = virtio_config_load(((struct virtio_pci *)opaque)->v, (unsigned)offset, size);
    return ACCESS_OK;
}

static enum access_status config_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    virtio_config_store(((struct virtio_pci *)opaque)->v, (unsigned)offset, size, value);
    return ACCESS_OK;
}

static enum access_status notify_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    (void)opaque, (void)offset, (void)size;
    *value = 0;
    return ACCESS_OK;
}

/* The place says which queue; the value repeats it. */
static enum access_status notify_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtio_pci *p = opaque;

    (void)size, (void)value;
    kick(p, (unsigned)(offset >> p->notify_shift));
    return ACCESS_OK;
}

static const struct region_ops isr_ops = { .read = isr_read, .write = ignored, .min_size = 1, .max_size = 4 };
static const struct region_ops device_ops = { .read = config_read, .write = config_write, .min_size = 1, .max_size = 8 };
static const struct region_ops notify_ops = { .read = notify_read, .write = notify_write, .min_size = 1, .max_size = 4 };

/* --- legacy registers (4.1.4.8) --- */

enum {
    HOST_FEATURES = 0, GUEST_FEATURES = 4, QUEUE_PFN = 8, QUEUE_NUM = 12, QUEUE_SEL = 14, QUEUE_NOTIFY = 16, STATUS = 18, ISR = 19,
    CONFIG_VEC = 20, QUEUE_VEC = 22, CONFIG_NO_MSIX = 20, CONFIG_MSIX = 24,
};

static unsigned legacy_config_at(struct virtio_pci *p) { return pci_msix_on(&p->pci) ? CONFIG_MSIX : CONFIG_NO_MSIX; }

static enum access_status legacy_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct virtio_pci *p = opaque;
    const struct virtqueue *q = selected(p);

    if (offset >= legacy_config_at(p)) {
        *value = virtio_config_load(p->v, (unsigned)offset - legacy_config_at(p), size);
        return ACCESS_OK;
    }
    switch (offset) {
    case HOST_FEATURES: *value = (uint32_t)p->v->offered; break;
    case GUEST_FEATURES: *value = (uint32_t)p->v->features; break;
    case QUEUE_PFN: *value = q ? q->desc >> 12 : 0; break;
    case QUEUE_NUM: *value = q ? q->max : 0; break;
    case QUEUE_SEL: *value = p->queue_select; break;
    case STATUS: *value = p->v->status; break;
    case ISR: *value = take_isr(p); break;
    case CONFIG_VEC: *value = p->v->config_vector; break;
    case QUEUE_VEC: *value = q ? q->vector : VIRTIO_NO_VECTOR; break;
    default: *value = 0; break;
    }
    return ACCESS_OK;
}

static void legacy_status(struct virtio_pci *p, uint8_t status)
{
    uint8_t *command = &p->pci.config[PCI_COMMAND];

    /* Linux before 2.6.34 drives the device without having turned bus mastering on. */
    if (status & VIRTIO_STATUS_DRIVER_OK && !(*command & PCI_COMMAND_MASTER)) {
        *command |= PCI_COMMAND_MASTER;
    }
    set_status(p, status);
}

static enum access_status legacy_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtio_pci *p = opaque;
    struct virtqueue *q = selected(p);

    if (offset >= legacy_config_at(p)) {
        virtio_config_store(p->v, (unsigned)offset - legacy_config_at(p), size, value);
        return ACCESS_OK;
    }
    switch (offset) {
    case GUEST_FEATURES: virtio_set_features(p->v, (uint32_t)value); break;
    case QUEUE_PFN:
        if (!value) {
            set_status(p, 0);
        } else if (q) {
            dma_update(p);
            virtio_queue_legacy(q, (value & 0xffffffff) << 12, 4096);
        }
        break;
    case QUEUE_SEL: p->queue_select = (uint16_t)value; break;
    case QUEUE_NOTIFY: kick(p, (uint16_t)value); break;
    case STATUS: legacy_status(p, (uint8_t)value); break;
    case CONFIG_VEC: p->v->config_vector = vector_of(p, value); break;
    case QUEUE_VEC:
        if (q) {
            q->vector = vector_of(p, value);
        }
        break;
    default: log_guest("%s: write to legacy register %u", p->v->class->name, (unsigned)offset); break;
    }
    return ACCESS_OK;
}

static const struct region_ops legacy_ops = { .read = legacy_read, .write = legacy_write, .min_size = 1, .max_size = 4 };

/* --- access through configuration space (4.1.4.9) --- */

static bool window_target(struct virtio_pci *p, struct region **r, uint64_t *offset, unsigned *size)
{
    const uint8_t *cap = &p->pci.config[p->window];
    uint32_t at = pci_get32(cap + CAP_OFFSET), length = pci_get32(cap + CAP_LENGTH);

    if (cap[CAP_BAR] != MODERN_BAR || (length != 1 && length != 2 && length != 4) || at % length || at >= p->modern.size) {
        return false;
    }
    *r = at < ISR_AT ? &p->common : at < DEVICE_AT ? &p->isr : at < NOTIFY_AT ? &p->device : &p->notify;
    *offset = at - (*r)->addr;
    *size = length;
    return true;
}

static void window_reading(struct pci_device *pci, unsigned offset, unsigned size)
{
    struct virtio_pci *p = (struct virtio_pci *)pci;
    uint64_t at, value = 0;
    struct region *r;
    unsigned n;

    if (p->window && offset < p->window + CAP_DATA + 4 && offset + size > p->window + CAP_DATA && window_target(p, &r, &at, &n)) {
        r->ops->read(r->opaque, at, n, &value);
        pci_put32(&pci->config[p->window + CAP_DATA], (uint32_t)value);
    }
}

static void config_written(struct pci_device *pci, unsigned offset, unsigned size)
{
    struct virtio_pci *p = (struct virtio_pci *)pci;
    struct region *r;
    uint64_t at;
    unsigned n;

    if (p->window && offset < p->window + CAP_DATA + 4 && offset + size > p->window + CAP_DATA && window_target(p, &r, &at, &n)) {
        r->ops->write(r->opaque, at, n, pci_get32(&pci->config[p->window + CAP_DATA]) & (0xffffffffu >> (32 - 8 * n)));
    }
}

/* --- life --- */

static bool capability(struct virtio_pci *p, uint8_t type, uint32_t at, uint32_t length, unsigned size, unsigned *where)
{
    unsigned cap = pci_capability_add(&p->pci, PCI_CAP_VENDOR, size);
    uint8_t *c = &p->pci.config[cap];

    if (!cap) {
        return false;
    }
    c[2] = (uint8_t)size;
    c[3] = type;
    c[CAP_BAR] = type == CAP_PCI_CFG ? 0 : MODERN_BAR;
    pci_put32(c + CAP_OFFSET, at);
    pci_put32(c + CAP_LENGTH, length);
    *where = cap;
    return true;
}

static bool modern_init(struct virtio_pci *p, GError **err)
{
    uint64_t notify_size = MAX((uint64_t)PART_SIZE, (uint64_t)VIRTIO_QUEUES << p->notify_shift), size = NOTIFY_AT + notify_size;
    unsigned at;

    size = 1ull << (64 - __builtin_clzll(size - 1));
    region_init_container(&p->modern, "virtio-pci", size);
    region_init_io(&p->common, "virtio-pci-common", &common_ops, p, PART_SIZE);
    region_init_io(&p->isr, "virtio-pci-isr", &isr_ops, p, PART_SIZE);
    region_init_io(&p->device, "virtio-pci-device", &device_ops, p, PART_SIZE);
    region_init_io(&p->notify, "virtio-pci-notify", &notify_ops, p, notify_size);
    region_add(&p->modern, &p->common, COMMON_AT, 0);
    region_add(&p->modern, &p->isr, ISR_AT, 0);
    region_add(&p->modern, &p->device, DEVICE_AT, 0);
    region_add(&p->modern, &p->notify, NOTIFY_AT, 0);
    pci_bar_add(&p->pci, MODERN_BAR, PCI_BAR_MEM64_PREFETCH, &p->modern, size);
    if (!capability(p, CAP_COMMON, COMMON_AT, PART_SIZE, 16, &at) || !capability(p, CAP_ISR, ISR_AT, PART_SIZE, 16, &at) ||
        !capability(p, CAP_DEVICE, DEVICE_AT, PART_SIZE, 16, &at) || !capability(p, CAP_NOTIFY, NOTIFY_AT, (uint32_t)notify_size, 20, &at)) {
        return error_set(err, EMU_ERROR_FAILED, "configuration space is full");
    }
    pci_put32(&p->pci.config[at + 16], 1u << p->notify_shift);
    if (!capability(p, CAP_PCI_CFG, 0, 0, 20, &p->window)) {
        return error_set(err, EMU_ERROR_FAILED, "configuration space is full");
    }
    p->pci.writable[p->window + CAP_BAR] = 0xff;
    memset(&p->pci.writable[p->window + CAP_OFFSET], 0xff, 12);
    return true;
}

static void legacy_init(struct virtio_pci *p)
{
    uint64_t size = CONFIG_MSIX + MAX(p->v->config_size, 8u);

    size = 1ull << (64 - __builtin_clzll(size - 1));
    region_init_io(&p->legacy, "virtio-pci-legacy", &legacy_ops, p, size);
    pci_bar_add(&p->pci, LEGACY_BAR, PCI_BAR_IO, &p->legacy, size);
}

/* Which of the two interfaces there are. */
static bool mode_choose(struct virtio_pci *p, bool behind_port, GError **err)
{
    const struct virtio_pci_variant *t = p->variant;
    const char *disable = p->disable_legacy;
    bool can = t->transitional && !t->class->modern_only;

    p->modern_on = !p->disable_modern || t->mode != VIRTIO_PCI_AUTO;
    p->legacy_on = can && (t->mode == VIRTIO_PCI_TRANSITIONAL ||
                           (t->mode == VIRTIO_PCI_AUTO && (strcmp(disable, "auto") ? !strcmp(disable, "off") : !behind_port)));
    if (!can && t->mode == VIRTIO_PCI_AUTO && !strcmp(disable, "off")) {
        return error_set(err, EMU_ERROR_INVALID, "disable-legacy=off: this device has no legacy interface");
    }
    if (!p->modern_on && !p->legacy_on) {
        return error_set(err, EMU_ERROR_INVALID, "device cannot work as neither modern nor legacy mode is enabled");
    }
    if (p->ats || p->modern_pio_notify) {
        return error_set(err, EMU_ERROR_INVALID, "not supported: %s=on", p->ats ? "ats" : "modern-pio-notify");
    }
    return true;
}

static void id_fill(struct virtio_pci *p)
{
    const struct virtio_pci_variant *t = p->variant;

    p->id = (struct pci_id){
        .vendor = VENDOR, .device = p->legacy_on ? t->transitional : 0x1040 + t->class->id, .subsystem_vendor = VENDOR,
        .subsystem = p->legacy_on ? t->class->id : 0x1100, .revision = p->legacy_on ? 0 : 1, .class = t->pci_class, .pin = 1,
        .rom = t->rom, .written = config_written, .reading = window_reading,
    };
}

bool virtio_pci_init(struct device *d, GError **err)
{
    struct virtio_pci *p = (struct virtio_pci *)d;
    struct pci_bus *bus = (struct pci_bus *)d->bus;
    bool behind_port = bus && bus->express && bus->bridge;
    unsigned vectors;

    p->variant = d->class->data;
    p->v = (struct virtio *)((char *)d + (p->variant->offset ? p->variant->offset : sizeof(*p)));
    p->notify_shift = p->page_per_vq ? 12 : 2;
    if (!mode_choose(p, behind_port, err)) {
        return false;
    }
    id_fill(p);
    if (!pci_device_init(&p->pci, &p->id, err)) {
        return false;
    }
    if (behind_port) {
        pcie_endpoint_init(&p->pci);
        pci_pm_init(&p->pci);
    }
    if ((p->variant->init && !p->variant->init(p, err)) || !virtio_init(p->v, p->variant->class, d, &transport, err)) {
        pci_device_fini(&p->pci);
        return false;
    }
    p->v->offered |= p->modern_on ? VIRTIO_BIT(VIRTIO_F_VERSION_1) : 0;
    vectors = p->vectors != UINT32_MAX ? p->vectors : p->v->vectors ? p->v->vectors : p->v->n_queues + 1;
    if (p->modern_on && !modern_init(p, err)) {
        goto fail;
    }
    if (p->legacy_on) {
        legacy_init(p);
    }
    if (vectors && !pci_msix_init_bar(&p->pci, MIN(vectors, PCI_MSIX_MAX), MSIX_BAR, err)) {
        goto fail;
    }
    if (!pci_device_ready(&p->pci, err)) {
        goto fail;
    }
    virtio_reset(p->v);
    dma_update(p);
    return true;

fail:
    virtio_fini(p->v);
    pci_device_fini(&p->pci);
    return false;
}

void virtio_pci_fini(struct device *d)
{
    struct virtio_pci *p = (struct virtio_pci *)d;

    virtio_fini(p->v);
    pci_device_fini(&p->pci);
}

void virtio_pci_reset(struct device *d, enum reset_phase phase)
{
    struct virtio_pci *p = (struct virtio_pci *)d;

    pci_class_reset(d, phase);
    if (phase == RESET_ENTER) {
        virtio_reset(p->v);
        dma_update(p);
    }
}

bool virtio_pci_load_check(struct device *d, GError **err) { return virtio_load_check(((struct virtio_pci *)d)->v, err); }

void virtio_pci_settle(struct device *d)
{
    struct virtio_pci *p = (struct virtio_pci *)d;

    dma_update(p);
    virtio_settle(p->v);
    p->pci.intx = p->v->isr && !pci_msix_on(&p->pci);
    pci_class_settle(d);
}

/* Offsets count from the end of struct pci_device. */
#define ROW(use_, type_, member, ...) { .name = #member, .use = use_, .type = type_, \
    .offset = offsetof(struct virtio_pci, member) - sizeof(struct pci_device), .size = sizeof(((struct virtio_pci *)0)->member), ##__VA_ARGS__ }
static const char *const on_off_auto[] = { "auto", "on", "off", NULL };

const struct field virtio_pci_fields[VIRTIO_PCI_N_FIELDS] = {
    ROW(FIELD_PROP, FIELD_STRING, disable_legacy, .option = "disable-legacy", .def = "auto", .values = on_off_auto,
        .help = "no legacy interface; auto: none behind a PCI Express port"),
    ROW(FIELD_PROP, FIELD_BOOL, disable_modern, .option = "disable-modern", .def = "off", .help = "no modern interface"),
    ROW(FIELD_PROP, FIELD_BOOL, ioeventfd, .def = "on", .help = "doorbells without leaving KVM, where that is possible"),
    ROW(FIELD_PROP, FIELD_BOOL, ats, .def = "off", .help = "address translation services"),
    ROW(FIELD_PROP, FIELD_BOOL, page_per_vq, .option = "page-per-vq", .def = "off", .help = "a page for each queue's doorbell"),
    ROW(FIELD_PROP, FIELD_BOOL, modern_pio_notify, .option = "modern-pio-notify", .def = "off", .help = "doorbells by a port too"),
    ROW(FIELD_PROP, FIELD_U32, vectors, .def = "4294967295", .help = "MSI-X vectors, 0 for none; 4294967295: one a queue and one more"),
    ROW(FIELD_STATE, FIELD_U16, queue_select),
    ROW(FIELD_STATE, FIELD_U32, device_feature_select),
    ROW(FIELD_STATE, FIELD_U32, driver_feature_select),
    ROW(FIELD_STATE, FIELD_U64, driver_features),
    ROW(FIELD_WIRING, FIELD_OPAQUE, variant),
    ROW(FIELD_WIRING, FIELD_OPAQUE, v),
    ROW(FIELD_WIRING, FIELD_OPAQUE, id),
    ROW(FIELD_WIRING, FIELD_OPAQUE, legacy_on),
    ROW(FIELD_WIRING, FIELD_OPAQUE, modern_on),
    ROW(FIELD_WIRING, FIELD_OPAQUE, window),
    ROW(FIELD_WIRING, FIELD_OPAQUE, notify_shift),
    ROW(FIELD_WIRING, FIELD_OPAQUE, legacy),
    ROW(FIELD_WIRING, FIELD_OPAQUE, modern),
    ROW(FIELD_WIRING, FIELD_OPAQUE, common),
    ROW(FIELD_WIRING, FIELD_OPAQUE, isr),
    ROW(FIELD_WIRING, FIELD_OPAQUE, device),
    ROW(FIELD_WIRING, FIELD_OPAQUE, notify),
};
