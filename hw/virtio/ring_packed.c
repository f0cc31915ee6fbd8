/*
 * Packed rings: one ring of descriptors that both sides write, and an event area each. Spec: VIRTIO 1.2, 2.8.
 */
#include "hw/virtio/ring_priv.h"

enum { EVENT_OFF_WRAP = 0, EVENT_FLAGS = 2 };
enum { EVENTS_ON = 0, EVENTS_OFF = 1, EVENTS_DESC = 2 };
enum { DESC_LEN = 8, DESC_ID = 12, DESC_FLAGS = 14 };       /* offsets in a descriptor */

static bool packed_check(struct virtqueue *q)
{
    if (!q->num || q->num > VIRTIO_QUEUE_SIZE || q->desc & 15 || q->driver & 3 || q->device & 3) {
        virtio_broken(q->v, "queue %u: a packed ring of %u descriptors at 0x%" PRIx64 ", events at 0x%" PRIx64 ", 0x%" PRIx64, q->index, q->num,
                      q->desc, q->driver, q->device);
        return false;
    }
    return true;
}

static void packed_sizes(const struct virtqueue *q, uint32_t len[3])
{
    len[AREA_DESC] = 16u * q->num;
    len[AREA_DRIVER] = len[AREA_DEVICE] = 4;
}

static uint16_t off_wrap(const struct virtqueue *q) { return q->last_avail | (uint16_t)(q->avail_wrap << 15); }

static bool is_available(struct virtqueue *q)
{
    uint16_t flags = ring_ld16(q, AREA_DESC, 16u * q->last_avail + DESC_FLAGS);
    bool avail = flags & DESC_AVAIL, used = flags & DESC_USED;

    return avail == q->avail_wrap && used != q->avail_wrap;
}

static bool packed_empty(struct virtqueue *q)
{
    if (is_available(q)) {
        return false;
    }
    if (!virtio_has(q->v, VIRTIO_F_EVENT_IDX) || q->quiet) {
        return true;
    }
    ring_st16(q, AREA_DEVICE, EVENT_OFF_WRAP, off_wrap(q));
    ring_st16(q, AREA_DEVICE, EVENT_FLAGS, EVENTS_DESC);
    atomic_thread_fence(memory_order_seq_cst);
    return !is_available(q);
}

static bool packed_indirect(struct virtqueue *q, struct virtio_elem *e, const struct ring_desc *d)
{
    unsigned n;
    struct ring_desc *table = ring_indirect(q, d, &n);
    bool ok = table != NULL;

    for (unsigned i = 0; ok && i < n; i++) {
        table[i].flags = table[i].next;      /* here too the fields are addr, len, id, flags */
        ok = ring_elem_add(q, e, &table[i]);
    }
    g_free(table);
    return ok;
}

static bool packed_pop(struct virtqueue *q, struct virtio_elem *e)
{
    unsigned at = q->last_avail, count = 0;
    struct ring_desc d;
    uint8_t bytes[sizeof(d)];

    do {
        /* Taken ones in flight and this chain together cannot be more than the ring holds. */
        if (count + q->inuse >= q->num) {
            virtio_broken(q->v, "queue %u: a chain that is longer than the ring", q->index);
            return false;
        }
        ring_load(q, AREA_DESC, 16 * at, bytes, sizeof(bytes));
        ring_desc_swap(&d, bytes);
        /* Fields here are addr, len, id, flags. */
        uint16_t flags = d.next, id = d.flags;
        d.flags = flags;
        d.next = id;
        if (d.flags & DESC_INDIRECT ? d.flags & DESC_NEXT || !packed_indirect(q, e, &d) : !ring_elem_add(q, e, &d)) {
            if (!q->v->broken) {
                virtio_broken(q->v, "queue %u: an indirect descriptor that goes on", q->index);
            }
            return false;
        }
        count++;
        at = at + 1 == q->num ? 0 : at + 1;
    } while (d.flags & DESC_NEXT);
    e->id = d.next;
    e->descs = (uint16_t)count;
    q->avail_wrap ^= q->last_avail + count >= q->num;
    q->last_avail = (uint16_t)at;
    q->inuse += count;
    return true;
}

static void packed_unpop(struct virtqueue *q, const struct virtio_elem *e)
{
    q->inuse -= e->descs;
    if (q->last_avail < e->descs) {
        q->last_avail += q->num;
        q->avail_wrap ^= true;
    }
    q->last_avail -= e->descs;
}

static void used_desc(struct virtqueue *q, unsigned at, bool wrap, const struct virtio_used *u)
{
    uint16_t id = GUINT16_TO_LE(u->id);
    uint32_t len = GUINT32_TO_LE(u->len);

    ring_store(q, AREA_DESC, 16 * at + DESC_LEN, &len, sizeof(len));
    ring_store(q, AREA_DESC, 16 * at + DESC_ID, &id, sizeof(id));
    ring_st16(q, AREA_DESC, 16 * at + DESC_FLAGS, (wrap ? DESC_AVAIL | DESC_USED : 0) | (u->len ? DESC_WRITE : 0));
}

/* The guest looks at the first of them first, so that one is written last. */
static void packed_flush(struct virtqueue *q)
{
    unsigned first = q->used_idx, at = first, moved = (first + q->num - q->signalled) % q->num;
    bool first_wrap = q->used_wrap, wrap = first_wrap;

    for (unsigned i = 0; i < q->n_filled; i++) {
        if (i) {
            used_desc(q, at, wrap, &q->filled[i]);
        }
        at += q->filled[i].descs;
        moved += q->filled[i].descs;
        if (at >= q->num) {
            at -= q->num;
            wrap ^= true;
        }
        q->inuse -= MIN(q->inuse, q->filled[i].descs);
    }
    used_desc(q, first, first_wrap, &q->filled[0]);
    /* A turn since the guest was looked at: the old position says nothing. */
    if (moved >= q->num) {
        q->signalled_valid = false;
    }
    q->used_idx = (uint16_t)at;
    q->used_wrap = wrap;
}

static bool packed_wants_interrupt(struct virtqueue *q)
{
    uint16_t event, flags, old = q->signalled, off;
    bool valid = q->signalled_valid;

    atomic_thread_fence(memory_order_seq_cst);
    flags = ring_ld16(q, AREA_DRIVER, EVENT_FLAGS) & 3;
    event = ring_ld16(q, AREA_DRIVER, EVENT_OFF_WRAP);
    q->signalled = q->used_idx;
    q->signalled_valid = true;
    if (flags == EVENTS_OFF) {
        return false;
    }
    if (flags != EVENTS_DESC || !virtio_has(q->v, VIRTIO_F_EVENT_IDX) || !valid) {
        return true;
    }
    off = event & 0x7fff;
    /* Positions are compared as if the ring went on: what lies in the turn before is negative. */
    if ((event >> 15) != q->used_wrap) {
        off -= q->num;
    }
    if (old > q->used_idx) {
        old -= q->num;
    }
    return ring_need_event(off, q->used_idx, old);
}

static void packed_doorbell(struct virtqueue *q)
{
    if (q->quiet) {
        ring_st16(q, AREA_DEVICE, EVENT_FLAGS, EVENTS_OFF);
    } else if (virtio_has(q->v, VIRTIO_F_EVENT_IDX)) {
        ring_st16(q, AREA_DEVICE, EVENT_OFF_WRAP, off_wrap(q));
        ring_st16(q, AREA_DEVICE, EVENT_FLAGS, EVENTS_DESC);
    } else {
        ring_st16(q, AREA_DEVICE, EVENT_FLAGS, EVENTS_ON);
    }
    atomic_thread_fence(memory_order_seq_cst);
}

const struct ring_ops ring_packed = {
    packed_check, packed_sizes, packed_empty, packed_pop, packed_unpop, packed_flush, packed_wants_interrupt, packed_doorbell,
};
