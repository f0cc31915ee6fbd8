/*
 * Virtio entropy device: one queue of buffers that are filled with random bytes. Spec: VIRTIO 1.2, 5.4. max-bytes= and period= (ms) bound what a
 * guest may take.
 */
#include "hw/misc/virtio_rng.h"

#include "base/error.h"
#include "core/machine.h"
#include "core/rng.h"
#include "hw/virtio/virtio_pci.h"

struct virtio_rng {
    struct virtio v;
    char *rng;
    uint64_t max_bytes;
    uint32_t period;
    uint64_t left;                /* bytes until the period ends */
    struct timer refill;
    struct virtqueue *queue;
    struct object *source;        /* its use is counted */
    bool own_source;
    struct rng_request *asked;
};

static void rng_work(struct virtqueue *q);

static void rng_got(void *opaque, const uint8_t *bytes, size_t len)
{
    struct virtio_rng *r = opaque;
    struct virtio_elem *e;

    r->asked = NULL;
    while (len && (e = virtio_pop(r->queue, sizeof(*e)))) {
        size_t n = dma_sg_write(&e->in, 0, bytes, len);

        virtio_push(r->queue, e, n);
        bytes += n;
        len -= n;
        r->left -= MIN(r->left, n);
    }
    virtio_notify(r->queue);
    rng_work(r->queue);
}

/* Buffers stay in the ring until there is something to put into them. */
static void rng_work(struct virtqueue *q)
{
    struct virtio_rng *r = (struct virtio_rng *)q->v;
    struct virtio_elem *e;
    uint64_t want;

    if (r->asked || !r->left || !(e = virtio_pop(q, sizeof(*e)))) {
        return;
    }
    want = MIN(e->in.bytes, r->left);
    virtio_unpop(q, e);
    r->asked = rng_ask(r->source, MAX(want, 1), rng_got, r);
    if (r->max_bytes != INT64_MAX && !timer_armed(&r->refill)) {
        timer_set(&r->refill, clock_now(q->v->dev->machine, CLOCK_VIRTUAL_NS) + r->period * 1000000ull);
    }
}

static void rng_refill(void *opaque)
{
    struct virtio_rng *r = opaque;

    r->left = r->max_bytes;
    rng_work(r->queue);
}

static bool rng_init(struct virtio *v, GError **err)
{
    struct virtio_rng *r = (struct virtio_rng *)v;
    struct machine *m = v->dev->machine;

    if (r->max_bytes > INT64_MAX) {
        return error_set(err, EMU_ERROR_INVALID, "'max-bytes' parameter must be non-negative, and less than 2^63");
    }
    r->source = r->rng ? object_find(m, r->rng, rng_ops, err) : NULL;
    if (!r->rng) {
        g_autofree char *text = g_strdup_printf("rng-builtin,id=rng-of-%p", (void *)v);

        r->source = object_add(m, text, err);
        r->own_source = true;
    }
    r->queue = r->source ? virtio_queue_add(v, 8, rng_work, err) : NULL;
    if (!r->queue) {
        return false;
    }
    r->source->users++;
    timer_init(&r->refill, m, CLOCK_VIRTUAL_NS, rng_refill, r);
    return true;
}

static void rng_stop(struct virtio *v)
{
    struct virtio_rng *r = (struct virtio_rng *)v;

    rng_cancel(r->asked);
    r->asked = NULL;
    timer_cancel(&r->refill);
    r->left = r->max_bytes;
}

static void rng_fini(struct virtio *v)
{
    struct virtio_rng *r = (struct virtio_rng *)v;

    rng_stop(v);
    r->source->users--;
    if (r->own_source) {
        object_del(v->dev->machine, r->source->id, NULL);
    }
}

static void rng_settle(struct virtio *v) { rng_work(((struct virtio_rng *)v)->queue); }

static const struct field rng_fields[] = {
    VIRTIO_FIELDS,
    PROP(struct virtio_rng, rng, .help = "id of the -object that gives random numbers; none: rng-builtin"),
    PROP(struct virtio_rng, max_bytes, .option = "max-bytes", .def = "9223372036854775807", .help = "bytes that the guest gets in a period"),
    PROP(struct virtio_rng, period, .def = "65536", .min = 1, .max = UINT32_MAX, .help = "its length in milliseconds"),
    STATE(struct virtio_rng, left),
    STATE(struct virtio_rng, refill),
    WIRING(struct virtio_rng, queue),
    WIRING(struct virtio_rng, source),
    WIRING(struct virtio_rng, own_source),
    WIRING(struct virtio_rng, asked),
};
static const struct virtio_class rng_class = {
    .name = "virtio-rng", .id = VIRTIO_ID_RNG, .init = rng_init, .fini = rng_fini, .reset = rng_stop, .settle = rng_settle,
};
static const struct field rng_pci_fields[] = { VIRTIO_PCI_FIELDS, VIRTIO_PCI_DEVICE(struct virtio_rng, rng_fields) };
static const struct virtio_pci_variant rng_pci[] = VIRTIO_PCI_VARIANTS(&rng_class, 0x00ff00, 0x1005);
const struct device_class virtio_rng_pci_classes[3] = VIRTIO_PCI_CLASSES("virtio-rng", "random numbers", rng_pci, struct virtio_rng, rng_pci_fields);
