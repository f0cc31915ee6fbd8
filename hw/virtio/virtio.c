/*
 * Virtio devices without their transport: status, features, configuration, queues. Spec: VIRTIO 1.2, chapters 2 and 3. The rings are in
 * ring.c. Left out: queue reset, in-order use, notification data, legacy interfaces on big-endian guests.
 */
#include "hw/virtio/virtio.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "core/machine.h"

void virtio_broken(struct virtio *v, const char *fmt, ...)
{
    char *text;
    va_list ap;

    if (v->broken) {
        return;
    }
    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    log_guest("%s %s: %s; stopped until it is reset", v->class->name, v->dev->id ? v->dev->id : "", text);
    g_free(text);
    v->broken = true;
    if (virtio_has(v, VIRTIO_F_VERSION_1)) {
        v->status |= VIRTIO_STATUS_NEEDS_RESET;
        virtio_config_changed(v);
    }
}

bool virtio_running(const struct virtio *v)
{
    /* Legacy drivers may use their queues before they say DRIVER_OK. */
    return !v->broken && (v->status & VIRTIO_STATUS_DRIVER_OK || (v->status && !virtio_has(v, VIRTIO_F_VERSION_1)));
}

/* --- life --- */

bool virtio_init(struct virtio *v, const struct virtio_class *class, struct device *dev, const struct virtio_transport *t, GError **err)
{
    v->class = class;
    v->dev = dev;
    v->transport = t;
    v->config_size = class->config_size;
    if (!v->as) {
        v->as = &dev->machine->memory;
    }
    v->offered = class->features;
    v->offered |= v->indirect_desc ? VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) : 0;
    v->offered |= v->event_idx ? VIRTIO_BIT(VIRTIO_F_EVENT_IDX) : 0;
    v->offered |= v->notify_on_empty ? VIRTIO_BIT(VIRTIO_F_NOTIFY_ON_EMPTY) : 0;
    v->offered |= v->any_layout ? VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT) : 0;
    v->offered |= v->iommu_platform ? VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM) : 0;
    v->offered |= v->packed ? VIRTIO_BIT(VIRTIO_F_RING_PACKED) : 0;
    if (class->init && !class->init(v, err)) {
        for (unsigned i = 0; i < v->n_queues; i++) {
            g_free(v->queue[i].filled);
        }
        return false;
    }
    return true;
}

void virtio_fini(struct virtio *v)
{
    if (v->class->fini) {
        v->class->fini(v);
    }
    for (unsigned i = 0; i < v->n_queues; i++) {
        g_free(v->queue[i].filled);
        v->queue[i].filled = NULL;
    }
}

struct virtqueue *virtio_queue_add(struct virtio *v, unsigned size, void (*handle)(struct virtqueue *q), GError **err)
{
    struct virtqueue *q = &v->queue[v->n_queues];

    if (v->n_queues == VIRTIO_QUEUES) {
        error_set(err, EMU_ERROR_INVALID, "more than %u queues", VIRTIO_QUEUES);
        return NULL;
    }
    if (size < 2 || size > VIRTIO_QUEUE_SIZE || (size & (size - 1))) {
        error_set(err, EMU_ERROR_INVALID, "a queue of %u descriptors: it must be a power of 2 from 2 to %u", size, VIRTIO_QUEUE_SIZE);
        return NULL;
    }
    q->v = v;
    q->index = (uint16_t)v->n_queues++;
    q->max = q->num = (uint16_t)size;
    q->handle = handle;
    q->vector = VIRTIO_NO_VECTOR;
    return q;
}

static void queue_reset(struct virtqueue *q)
{
    q->generation++;
    q->n_filled = 0;
    q->num = q->max;
    q->vector = VIRTIO_NO_VECTOR;
    q->enabled = false;
    q->desc = q->driver = q->device = 0;
    q->last_avail = q->used_idx = q->signalled = q->inuse = q->seen_avail = 0;
    q->signalled_valid = q->quiet = false;
    q->avail_wrap = q->used_wrap = true;
    memset(q->area, 0, sizeof(q->area));
}

void virtio_reset(struct virtio *v)
{
    v->status = 0;
    v->broken = false;
    v->isr = 0;
    v->features = 0;
    v->config_vector = VIRTIO_NO_VECTOR;
    for (unsigned i = 0; i < v->n_queues; i++) {
        queue_reset(&v->queue[i]);
    }
    if (v->class->reset) {
        v->class->reset(v);
    }
}

void virtio_set_dma(struct virtio *v, struct address_space *as)
{
    if (v->as == as) {
        return;
    }
    v->as = as;
    for (unsigned i = 0; i < v->n_queues; i++) {
        for (unsigned k = 0; k < G_N_ELEMENTS(v->queue[i].area); k++) {
            v->queue[i].area[k].layout = 0;
        }
    }
}

bool virtio_load_check(struct virtio *v, GError **err)
{
    for (unsigned i = 0; i < VIRTIO_QUEUES; i++) {
        struct virtqueue *q = &v->queue[i];
        bool packed = virtio_has(v, VIRTIO_F_RING_PACKED);

        if (i >= v->n_queues ? q->enabled : q->num > VIRTIO_QUEUE_SIZE || q->inuse > q->num ||
            (packed && q->enabled && (q->last_avail >= q->num || q->used_idx >= q->num || q->signalled >= q->num))) {
            return error_set(err, EMU_ERROR_INVALID, "impossible state of queue %u", i);
        }
    }
    return true;
}

void virtio_settle(struct virtio *v)
{
    for (unsigned i = 0; i < v->n_queues; i++) {
        if (v->queue[i].enabled) {
            virtio_queue_changed(&v->queue[i]);
        }
    }
    if (v->class->settle) {
        v->class->settle(v);
    }
}

/* --- what the driver does --- */

void virtio_set_features(struct virtio *v, uint64_t features)
{
    if (v->status & VIRTIO_STATUS_FEATURES_OK && virtio_has(v, VIRTIO_F_VERSION_1)) {
        log_guest("%s: features are set after FEATURES_OK", v->class->name);
        return;
    }
    v->features = features & v->offered;
}

/* Which of the agreed features cannot be had together. */
static bool features_good(const struct virtio *v)
{
    return virtio_has(v, VIRTIO_F_VERSION_1) || !(v->features >> 32);
}

void virtio_set_status(struct virtio *v, uint8_t status)
{
    uint8_t old = v->status;

    if (!status) {
        virtio_reset(v);
        v->transport->settle(v);
        return;
    }
    if (status & VIRTIO_STATUS_FEATURES_OK && !(old & VIRTIO_STATUS_FEATURES_OK) && !features_good(v)) {
        log_guest("%s: features 0x%" PRIx64 " do not go together", v->class->name, v->features);
        status &= ~VIRTIO_STATUS_FEATURES_OK;
    }
    v->status = status | (old & VIRTIO_STATUS_NEEDS_RESET);
    if (v->class->status && v->status != old) {
        v->class->status(v, old);
    }
}

void virtio_kick(struct virtio *v, unsigned n)
{
    if (n >= v->n_queues) {
        log_guest("%s: doorbell of queue %u, there are %u", v->class->name, n, v->n_queues);
        return;
    }
    if (virtio_queue_ready(&v->queue[n]) && v->queue[n].handle) {
        v->queue[n].handle(&v->queue[n]);
    }
}

void virtio_queue_legacy(struct virtqueue *q, uint64_t addr, unsigned align)
{
    q->desc = addr;
    q->driver = addr + 16u * q->num;
    q->device = (q->driver + 6 + 2u * q->num + align - 1) & ~(uint64_t)(align - 1);
    q->enabled = addr != 0;
    virtio_queue_changed(q);
}

/* --- configuration --- */

void virtio_config_changed(struct virtio *v)
{
    v->config_generation++;
    if (v->status & VIRTIO_STATUS_DRIVER_OK) {
        v->isr |= 2;
        v->transport->interrupt(v, v->config_vector);
    }
}

uint64_t virtio_config_load(struct virtio *v, unsigned offset, unsigned size)
{
    uint64_t value = 0;

    if (offset + size > v->config_size) {
        return ~0ull;
    }
    if (v->class->config_read) {
        v->class->config_read(v);
    }
    for (unsigned i = 0; i < size; i++) {
        value |= (uint64_t)v->config[offset + i] << 8 * i;
    }
    return value;
}

void virtio_config_store(struct virtio *v, unsigned offset, unsigned size, uint64_t value)
{
    uint8_t bytes[8];

    if (offset + size > v->config_size || !v->class->config_write) {
        log_guest("%s: write to configuration byte %u", v->class->name, offset);
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(value >> 8 * i);
    }
    v->class->config_write(v, offset, size, bytes);
}

/* --- tables --- */

static const struct field queue_fields[] = {
    STATE(struct virtqueue, num, .keep = true),          /* these two: virtio_reset() knows better */
    STATE(struct virtqueue, vector, .keep = true),
    STATE(struct virtqueue, enabled),
    STATE(struct virtqueue, desc),
    STATE(struct virtqueue, driver),
    STATE(struct virtqueue, device),
    STATE(struct virtqueue, last_avail),
    STATE(struct virtqueue, used_idx),
    STATE(struct virtqueue, avail_wrap),
    STATE(struct virtqueue, used_wrap),
    STATE(struct virtqueue, signalled),
    STATE(struct virtqueue, signalled_valid),
    STATE(struct virtqueue, quiet),
    STATE(struct virtqueue, inuse),
    DERIVED(struct virtqueue, seen_avail),
    WIRING(struct virtqueue, index),
    WIRING(struct virtqueue, max),
    WIRING(struct virtqueue, generation),
    WIRING(struct virtqueue, v),
    WIRING(struct virtqueue, handle),
    WIRING(struct virtqueue, opaque),
    DERIVED(struct virtqueue, area),
    WIRING(struct virtqueue, filled),
    DERIVED(struct virtqueue, n_filled),
    WIRING(struct virtqueue, filled_room),
};

const struct field virtio_fields[VIRTIO_N_FIELDS] = {
    PROP(struct virtio, indirect_desc, .def = "on", .help = "offer indirect descriptors"),
    PROP(struct virtio, event_idx, .def = "on", .help = "offer event indices"),
    PROP(struct virtio, notify_on_empty, .def = "on", .help = "offer an interrupt when the ring runs empty"),
    PROP(struct virtio, any_layout, .def = "on", .help = "offer any layout of descriptors"),
    PROP(struct virtio, iommu_platform, .def = "off", .help = "offer ACCESS_PLATFORM: the driver uses the platform's DMA addresses"),
    PROP(struct virtio, packed, .def = "off", .help = "offer packed rings"),
    STATE(struct virtio, status),
    STATE(struct virtio, broken),
    STATE(struct virtio, isr),
    STATE(struct virtio, config_vector, .reset = VIRTIO_NO_VECTOR),
    STATE(struct virtio, config_generation, .keep = true),
    STATE(struct virtio, features),
    STATE(struct virtio, config, .keep = true),
    STATE_STRUCT(struct virtio, queue, queue_fields, VIRTIO_QUEUES),
    WIRING(struct virtio, offered),
    WIRING(struct virtio, n_queues),
    WIRING(struct virtio, config_size),
    WIRING(struct virtio, vectors),
    WIRING(struct virtio, class),
    WIRING(struct virtio, dev),
    WIRING(struct virtio, as),
    WIRING(struct virtio, transport),
};
