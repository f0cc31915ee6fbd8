/*
 * Split rings: descriptor table, available ring, used ring. Spec: VIRTIO 1.2, 2.7.
 */
#include "hw/virtio/ring_priv.h"

enum { NO_INTERRUPT = 1, NO_NOTIFY = 1 };        /* flags of the available and of the used ring */
enum { RING_FLAGS = 0, RING_IDX = 2, RING_RING = 4 };

static uint32_t used_event(const struct virtqueue *q) { return RING_RING + 2u * q->num; }      /* in the available ring */
static uint32_t avail_event(const struct virtqueue *q) { return RING_RING + 8u * q->num; }     /* in the used ring */

static bool split_check(struct virtqueue *q)
{
    if (!q->num || q->num > VIRTIO_QUEUE_SIZE || (q->num & (q->num - 1)) || q->desc & 15 || q->driver & 1 || q->device & 3) {
        virtio_broken(q->v, "queue %u: a split ring of %u descriptors at 0x%" PRIx64 ", 0x%" PRIx64 ", 0x%" PRIx64, q->index, q->num, q->desc,
                      q->driver, q->device);
        return false;
    }
    return true;
}

static void split_sizes(const struct virtqueue *q, uint32_t len[3])
{
    uint32_t event = virtio_has(q->v, VIRTIO_F_EVENT_IDX) ? 2 : 0;

    len[AREA_DESC] = 16u * q->num;
    len[AREA_DRIVER] = used_event(q) + event;
    len[AREA_DEVICE] = avail_event(q) + event;
}

static bool split_empty(struct virtqueue *q)
{
    if (q->last_avail != q->seen_avail) {
        return false;
    }
    q->seen_avail = ring_ld16(q, AREA_DRIVER, RING_IDX);
    if (q->last_avail != q->seen_avail) {
        return false;
    }
    if (!virtio_has(q->v, VIRTIO_F_EVENT_IDX) || q->quiet) {
        return true;
    }
    /* From here on the guest rings for the next buffer; what it added just before is seen by looking again. */
    ring_st16(q, AREA_DEVICE, avail_event(q), q->last_avail);
    atomic_thread_fence(memory_order_seq_cst);
    q->seen_avail = ring_ld16(q, AREA_DRIVER, RING_IDX);
    return q->last_avail == q->seen_avail;
}

/* An indirect table: a chain that begins at its entry 0. */
static bool indirect_chain(struct virtqueue *q, struct virtio_elem *e, const struct ring_desc *d)
{
    unsigned n, i = 0, steps = 0;
    struct ring_desc *table = ring_indirect(q, d, &n);
    bool ok = table != NULL;

    while (ok) {
        if (i >= n || steps++ == n || table[i].flags & DESC_INDIRECT) {
            virtio_broken(q->v, "queue %u: an indirect table that loops, nests or leaves itself", q->index);
            ok = false;
            break;
        }
        ok = ring_elem_add(q, e, &table[i]);
        if (!(table[i].flags & DESC_NEXT)) {
            break;
        }
        i = table[i].next;
    }
    g_free(table);
    return ok;
}

static bool split_chain(struct virtqueue *q, struct virtio_elem *e, unsigned i)
{
    for (unsigned steps = 0; steps < q->num && i < q->num; steps++) {
        struct ring_desc d;
        uint8_t bytes[sizeof(d)];

        ring_load(q, AREA_DESC, 16 * i, bytes, sizeof(bytes));
        ring_desc_swap(&d, bytes);
        if (d.flags & DESC_INDIRECT) {
            if (d.flags & DESC_NEXT) {
                virtio_broken(q->v, "queue %u: an indirect descriptor that goes on", q->index);
                return false;
            }
            return indirect_chain(q, e, &d);
        }
        if (!ring_elem_add(q, e, &d)) {
            return false;
        }
        if (!(d.flags & DESC_NEXT)) {
            return true;
        }
        i = d.next;
    }
    virtio_broken(q->v, "queue %u: a chain that loops or leaves the table", q->index);
    return false;
}

static bool split_pop(struct virtqueue *q, struct virtio_elem *e)
{
    unsigned head;

    if ((uint16_t)(q->seen_avail - q->last_avail) > q->num) {
        virtio_broken(q->v, "queue %u: available index %u, at %u of %u", q->index, q->seen_avail, q->last_avail, q->num);
        return false;
    }
    if (q->inuse == q->num) {
        virtio_broken(q->v, "queue %u: more buffers than descriptors", q->index);
        return false;
    }
    head = ring_ld16(q, AREA_DRIVER, RING_RING + 2 * (q->last_avail & (q->num - 1)));
    if (!split_chain(q, e, head)) {
        return false;
    }
    e->id = (uint16_t)head;
    e->descs = 1;
    q->last_avail++;
    q->inuse++;
    return true;
}

static void split_unpop(struct virtqueue *q, const struct virtio_elem *e)
{
    (void)e;
    q->last_avail--;
    q->inuse--;
}

static void split_flush(struct virtqueue *q)
{
    uint16_t old = q->used_idx;

    for (unsigned i = 0; i < q->n_filled; i++) {
        uint32_t pair[2] = { GUINT32_TO_LE(q->filled[i].id), GUINT32_TO_LE(q->filled[i].len) };

        ring_store(q, AREA_DEVICE, RING_RING + 8 * (q->used_idx & (q->num - 1)), pair, sizeof(pair));
        q->used_idx++;
    }
    q->inuse -= MIN(q->inuse, q->n_filled);
    ring_st16(q, AREA_DEVICE, RING_IDX, q->used_idx);
    /* More than a turn since the guest was looked at: the old position says nothing. */
    if ((uint16_t)(q->used_idx - q->signalled) < (uint16_t)(q->used_idx - old)) {
        q->signalled_valid = false;
    }
}

static bool split_wants_interrupt(struct virtqueue *q)
{
    uint16_t old = q->signalled;
    bool valid = q->signalled_valid;

    /* The used index must be out before the guest's wish is read. */
    atomic_thread_fence(memory_order_seq_cst);
    if (virtio_has(q->v, VIRTIO_F_NOTIFY_ON_EMPTY) && !q->inuse && ring_ld16(q, AREA_DRIVER, RING_IDX) == q->last_avail) {
        return true;
    }
    if (!virtio_has(q->v, VIRTIO_F_EVENT_IDX)) {
        return !(ring_ld16(q, AREA_DRIVER, RING_FLAGS) & NO_INTERRUPT);
    }
    q->signalled = q->used_idx;
    q->signalled_valid = true;
    return !valid || ring_need_event(ring_ld16(q, AREA_DRIVER, used_event(q)), q->used_idx, old);
}

static void split_doorbell(struct virtqueue *q)
{
    if (!virtio_has(q->v, VIRTIO_F_EVENT_IDX)) {
        ring_st16(q, AREA_DEVICE, RING_FLAGS, q->quiet ? NO_NOTIFY : 0);
    } else if (!q->quiet) {
        ring_st16(q, AREA_DEVICE, avail_event(q), ring_ld16(q, AREA_DRIVER, RING_IDX));
    }
    atomic_thread_fence(memory_order_seq_cst);
}

const struct ring_ops ring_split = {
    split_check, split_sizes, split_empty, split_pop, split_unpop, split_flush, split_wants_interrupt, split_doorbell,
};
