/*
 * Reading and writing rings: what split and packed ones have in common, and the calls of virtio.h. Spec: VIRTIO 1.2, 2.6 to 2.8.
 *
 * Rings are reached by host pointer, looked up again whenever the memory layout has changed (RAM blocks never move, so an old
 * pointer is never wild). Descriptors are copied before they are looked at.
 */
#include "hw/virtio/ring_priv.h"

#include "core/machine.h"

static const struct ring_ops *ops(const struct virtqueue *q)
{
    return virtio_has(q->v, VIRTIO_F_RING_PACKED) ? &ring_packed : &ring_split;
}

/* --- areas --- */

void ring_area_map(struct virtqueue *q, struct virtio_area *a)
{
    size_t len = a->len;

    a->layout = q->v->as->layout;
    a->host = dma_map(q->v->as, a->at, &len, true);
    if (a->host && len < a->len) {
        a->host = NULL;
    }
    a->block = a->host ? ram_find_host(q->v->as->machine, a->host, &a->offset) : NULL;
    if (!a->block) {
        a->host = NULL;
    }
}

void ring_load(struct virtqueue *q, unsigned area, uint32_t at, void *buf, uint32_t len)
{
    struct virtio_area *a = &q->area[area];
    uint8_t *host = ring_host(q, a);

    if (G_LIKELY(host)) {
        memcpy(buf, host + at, len);
    } else {
        dma_read(q->v->as, a->at + at, buf, len);
    }
}

void ring_store(struct virtqueue *q, unsigned area, uint32_t at, const void *buf, uint32_t len)
{
    struct virtio_area *a = &q->area[area];
    uint8_t *host = ring_host(q, a);

    if (G_LIKELY(host)) {
        memcpy(host + at, buf, len);
        ram_store_notify(q->v->as->machine, a->block, a->offset + at, len);
    } else {
        dma_write(q->v->as, a->at + at, buf, len);
    }
}

void ring_st16(struct virtqueue *q, unsigned area, uint32_t at, uint16_t value)
{
    struct virtio_area *a = &q->area[area];
    uint8_t *host = ring_host(q, a);

    if (G_LIKELY(host)) {
        __atomic_store_n((uint16_t *)(host + at), GUINT16_TO_LE(value), __ATOMIC_RELEASE);
        ram_store_notify(q->v->as->machine, a->block, a->offset + at, 2);
    } else {
        atomic_thread_fence(memory_order_release);
        dma_st16(q->v->as, a->at + at, value);
    }
}

void virtio_queue_changed(struct virtqueue *q)
{
    uint64_t at[3] = { q->desc, q->driver, q->device };
    uint32_t len[3] = { 0 };

    ops(q)->sizes(q, len);
    for (unsigned i = 0; i < 3; i++) {
        q->area[i] = (struct virtio_area){ .at = at[i], .len = len[i] };
    }
    q->seen_avail = q->last_avail;
    if (q->enabled) {
        ops(q)->check(q);
    }
}

/* --- descriptors --- */

void ring_desc_swap(struct ring_desc *d, const uint8_t *bytes)
{
    memcpy(d, bytes, sizeof(*d));
    d->addr = GUINT64_FROM_LE(d->addr);
    d->len = GUINT32_FROM_LE(d->len);
    d->flags = GUINT16_FROM_LE(d->flags);
    d->next = GUINT16_FROM_LE(d->next);
}

bool ring_elem_add(struct virtqueue *q, struct virtio_elem *e, const struct ring_desc *d)
{
    struct dma_sg *sg = d->flags & DESC_WRITE ? &e->in : &e->out;

    if (sg == &e->out && e->in.n) {
        virtio_broken(q->v, "queue %u: a readable descriptor behind a writable one", q->index);
        return false;
    }
    if (!dma_sg_add_ram(sg, d->addr, d->len)) {
        virtio_broken(q->v, "queue %u: %u bytes at 0x%" PRIx64 " are not RAM, or the buffer is too long", q->index, d->len, d->addr);
        return false;
    }
    return true;
}

struct ring_desc *ring_indirect(struct virtqueue *q, const struct ring_desc *d, unsigned *n)
{
    struct ring_desc *table;

    *n = d->len / sizeof(*table);
    if (!virtio_has(q->v, VIRTIO_F_INDIRECT_DESC)) {
        virtio_broken(q->v, "queue %u: an indirect descriptor that was not agreed on", q->index);
        return NULL;
    }
    if (!*n || *n > VIRTIO_QUEUE_SIZE || d->len % sizeof(*table)) {
        virtio_broken(q->v, "queue %u: an indirect table of %u bytes", q->index, d->len);
        return NULL;
    }
    table = g_new(struct ring_desc, *n);
    if (!dma_read(q->v->as, d->addr, table, d->len)) {
        virtio_broken(q->v, "queue %u: the indirect table at 0x%" PRIx64 " is not in RAM", q->index, d->addr);
        g_free(table);
        return NULL;
    }
    for (unsigned i = 0; i < *n; i++) {
        ring_desc_swap(&table[i], (const uint8_t *)&table[i]);
    }
    return table;
}

/* --- buffers --- */

bool virtio_queue_ready(const struct virtqueue *q) { return q->enabled && q->num && virtio_running(q->v); }

bool virtio_queue_empty(struct virtqueue *q) { return !virtio_queue_ready(q) || ops(q)->empty(q); }

static void elem_free(struct virtio_elem *e, uint64_t written)
{
    dma_sg_end(&e->out, 0);
    dma_sg_end(&e->in, written);
    g_free(e);
}

void *virtio_pop(struct virtqueue *q, size_t size)
{
    struct virtio_elem *e;

    if (!virtio_queue_ready(q) || ops(q)->empty(q)) {
        return NULL;
    }
    e = g_malloc0(MAX(size, sizeof(*e)));
    e->queue = q;
    e->generation = q->generation;
    dma_sg_init(&e->out, q->v->as, false);
    dma_sg_init(&e->in, q->v->as, true);
    if (!ops(q)->pop(q, e)) {
        elem_free(e, 0);
        return NULL;
    }
    return e;
}

static bool is_current(const struct virtqueue *q, const struct virtio_elem *e)
{
    return e->generation == q->generation && !q->v->broken;
}

void virtio_fill(struct virtqueue *q, struct virtio_elem *e, uint64_t written)
{
    written = MIN(written, e->in.bytes);
    if (is_current(q, e)) {
        if (q->n_filled == q->filled_room) {
            q->filled_room = q->filled_room ? 2 * q->filled_room : 8;
            q->filled = g_renew(struct virtio_used, q->filled, q->filled_room);
        }
        q->filled[q->n_filled++] = (struct virtio_used){ .len = (uint32_t)written, .id = e->id, .descs = e->descs };
    }
    elem_free(e, written);
}

void virtio_flush(struct virtqueue *q)
{
    if (q->n_filled && virtio_queue_ready(q)) {
        ops(q)->flush(q);
    }
    q->n_filled = 0;
}

void virtio_push(struct virtqueue *q, struct virtio_elem *e, uint64_t written)
{
    virtio_fill(q, e, written);
    virtio_flush(q);
}

void virtio_unpop(struct virtqueue *q, struct virtio_elem *e)
{
    if (is_current(q, e)) {
        ops(q)->unpop(q, e);
    }
    elem_free(e, 0);
}

void virtio_drop(struct virtqueue *q, struct virtio_elem *e)
{
    (void)q;
    elem_free(e, 0);
}

void virtio_notify(struct virtqueue *q)
{
    struct virtio *v = q->v;

    if (virtio_queue_ready(q) && ops(q)->wants_interrupt(q)) {
        v->isr |= 1;
        v->transport->interrupt(v, q->vector);
    }
}

void virtio_queue_doorbell(struct virtqueue *q, bool on)
{
    q->quiet = !on;
    if (virtio_queue_ready(q)) {
        ops(q)->doorbell(q);
    }
}
