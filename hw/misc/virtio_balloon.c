/*
 * Virtio traditional memory balloon: the guest gives pages back and says what it uses. Spec: VIRTIO 1.2, 5.5. Left out: free page hints (they serve
 * migration).
 *
 * A page that was given back is dropped with madvise(): it reads as zeroes when the guest takes it again.
 */
#include "hw/misc/virtio_balloon.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "base/error.h"
#include "core/balloon.h"
#include "core/machine.h"
#include "hw/virtio/virtio_pci.h"

enum { F_MUST_TELL_HOST = 0, F_STATS_VQ = 1, F_DEFLATE_ON_OOM = 2, F_PAGE_POISON = 4, F_REPORTING = 5 };
enum { CONFIG_NUM_PAGES = 0, CONFIG_ACTUAL = 4, CONFIG_POISON = 12, CONFIG_BYTES = 16 };
enum { PFN_SHIFT = 12, PFNS = 256, STAT_BYTES = 10 };

const char *const balloon_stat_names[BALLOON_STATS] = {
    "stat-swap-in", "stat-swap-out", "stat-major-faults", "stat-minor-faults", "stat-free-memory", "stat-total-memory", "stat-available-memory",
    "stat-disk-caches", "stat-htlb-pgalloc", "stat-htlb-pgfail",
};

struct virtio_balloon {
    struct virtio v;
    bool deflate_on_oom, free_page_reporting;
    uint32_t interval;                 /* seconds between two questions, 0: never */
    struct timer ask;
    struct virtqueue *stats_queue;
    struct balloon balloon;
};

static uint32_t get32(const uint8_t *p) { return (uint32_t)(p[0] | p[1] << 8 | p[2] << 16) | (uint32_t)p[3] << 24; }

static void put32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++) {
        p[i] = (uint8_t)(v >> 8 * i);
    }
}

/* --- pages --- */

static void drop(struct virtio *v, uint64_t addr, uint64_t len)
{
    while (len) {
        size_t piece = len;
        uint8_t *host = dma_map(v->as, addr, &piece, true);

        if (!host) {
            piece = MIN(len, (uint64_t)PAGE_SIZE);      /* not RAM: the guest's mistake, nothing to give back */
        } else {
            if (((uintptr_t)host | piece) % PAGE_SIZE == 0) {
                madvise(host, piece, MADV_DONTNEED);
            }
            dma_unmap(v->as, host, piece);
        }
        addr += piece;
        len -= piece;
    }
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* Page numbers come in any order; neighbours go together. */
static void inflate(struct virtqueue *q)
{
    uint32_t pfn[PFNS];
    struct virtio_elem *e;

    while ((e = virtio_pop(q, sizeof(*e)))) {
        for (uint64_t at = 0; at < e->out.bytes; at += sizeof(pfn)) {
            unsigned n = (unsigned)(dma_sg_read(&e->out, at, pfn, sizeof(pfn)) / 4);

            for (unsigned i = 0; i < n; i++) {
                pfn[i] = GUINT32_FROM_LE(pfn[i]);
            }
            qsort(pfn, n, sizeof(pfn[0]), by_number);
            for (unsigned i = 0, k; i < n; i = k) {
                for (k = i + 1; k < n && pfn[k] - pfn[i] <= k - i; k++) {
                }
                drop(q->v, (uint64_t)pfn[i] << PFN_SHIFT, ((uint64_t)pfn[k - 1] - pfn[i] + 1) << PFN_SHIFT);
            }
        }
        virtio_push(q, e, 0);
    }
    virtio_notify(q);
}

static void deflate(struct virtqueue *q)
{
    struct virtio_elem *e;

    while ((e = virtio_pop(q, sizeof(*e)))) {
        virtio_push(q, e, 0);
    }
    virtio_notify(q);
}

/* Ranges that the guest does not use now. A page that must come back with a pattern in it is kept. */
static void report(struct virtqueue *q)
{
    struct virtio_balloon *b = (struct virtio_balloon *)q->v;
    bool keep = virtio_has(&b->v, F_PAGE_POISON) && get32(&b->v.config[CONFIG_POISON]);
    struct virtio_elem *e;

    while ((e = virtio_pop(q, sizeof(*e)))) {
        for (unsigned i = 0; !keep && i < e->in.n; i++) {
            const struct iovec *p = &e->in.iov[i];

            if (((uintptr_t)p->iov_base | p->iov_len) % PAGE_SIZE == 0) {
                madvise(p->iov_base, p->iov_len, MADV_DONTNEED);
            }
        }
        virtio_push(q, e, keep ? 0 : e->in.bytes);
    }
    virtio_notify(q);
}

/* --- statistics: the guest's buffer stays in the ring until the next question --- */

static void stats_came(struct virtqueue *q)
{
    struct virtio_balloon *b = (struct virtio_balloon *)q->v;
    struct virtio_elem *e = virtio_pop(q, sizeof(*e));
    uint8_t s[STAT_BYTES];

    if (!e) {
        return;
    }
    for (unsigned at = 0; dma_sg_read(&e->out, at, s, sizeof(s)) == sizeof(s) && at < 64 * STAT_BYTES; at += STAT_BYTES) {
        unsigned tag = s[0] | s[1] << 8;

        if (tag < BALLOON_STATS) {
            b->balloon.stats[tag] = get32(&s[2]) | (uint64_t)get32(&s[6]) << 32;
        }
    }
    b->balloon.stats_at = (int64_t)(clock_now(b->v.dev->machine, CLOCK_HOST_NS) / NS_PER_S);
    virtio_unpop(q, e);
}

static void ask_later(struct virtio_balloon *b)
{
    if (b->interval && virtio_has(&b->v, F_STATS_VQ)) {
        timer_set(&b->ask, clock_now(b->v.dev->machine, CLOCK_VIRTUAL_NS) + b->interval * NS_PER_S);
    }
}

static void ask(void *opaque)
{
    struct virtio_balloon *b = opaque;
    struct virtio_elem *e = virtio_pop(b->stats_queue, sizeof(*e));

    if (e) {
        virtio_push(b->stats_queue, e, 0);
        virtio_notify(b->stats_queue);
    }
    ask_later(b);
}

/* --- what the monitor asks --- */

static void set_target(void *owner, uint64_t bytes)
{
    struct virtio_balloon *b = owner;
    uint64_t ram = b->v.dev->machine->spec.ram_size;

    put32(&b->v.config[CONFIG_NUM_PAGES], (uint32_t)((ram - MIN(bytes, ram)) >> PFN_SHIFT));
    virtio_config_changed(&b->v);
}

static uint64_t actual(void *owner)
{
    struct virtio_balloon *b = owner;
    uint64_t ram = b->v.dev->machine->spec.ram_size, taken = (uint64_t)get32(&b->v.config[CONFIG_ACTUAL]) << PFN_SHIFT;

    return ram - MIN(taken, ram);
}

/* --- life --- */

static bool balloon_init(struct virtio *v, GError **err)
{
    struct virtio_balloon *b = (struct virtio_balloon *)v;
    struct machine *m = v->dev->machine;

    if (m->balloon) {
        return error_set(err, EMU_ERROR_INVALID, "Only one balloon device is supported");
    }
    v->offered |= b->deflate_on_oom ? VIRTIO_BIT(F_DEFLATE_ON_OOM) : 0;
    v->offered |= b->free_page_reporting ? VIRTIO_BIT(F_REPORTING) | VIRTIO_BIT(F_PAGE_POISON) : 0;
    v->config_size = b->free_page_reporting ? CONFIG_BYTES : 8;
    if (!virtio_queue_add(v, 128, inflate, err) || !virtio_queue_add(v, 128, deflate, err) ||
        !(b->stats_queue = virtio_queue_add(v, 128, stats_came, err)) || (b->free_page_reporting && !virtio_queue_add(v, 32, report, err))) {
        return false;
    }
    timer_init(&b->ask, m, CLOCK_VIRTUAL_NS, ask, b);
    b->balloon = (struct balloon){ .owner = b, .set_target = set_target, .actual = actual };
    memset(b->balloon.stats, 0xff, sizeof(b->balloon.stats));
    m->balloon = &b->balloon;
    return true;
}

static void balloon_fini(struct virtio *v) { v->dev->machine->balloon = NULL; }

/* The guest begins with all of its memory again; what it shall give back stays asked for. */
static void balloon_reset(struct virtio *v)
{
    struct virtio_balloon *b = (struct virtio_balloon *)v;

    timer_cancel(&b->ask);
    put32(&v->config[CONFIG_ACTUAL], 0);
    put32(&v->config[CONFIG_POISON], 0);
    memset(b->balloon.stats, 0xff, sizeof(b->balloon.stats));
    b->balloon.stats_at = 0;
}

static void balloon_status(struct virtio *v, uint8_t old)
{
    if (v->status & VIRTIO_STATUS_DRIVER_OK && !(old & VIRTIO_STATUS_DRIVER_OK)) {
        ask_later((struct virtio_balloon *)v);
    }
}

static void balloon_config_write(struct virtio *v, unsigned offset, unsigned size, const uint8_t *bytes)
{
    if ((offset >= CONFIG_ACTUAL && offset + size <= CONFIG_ACTUAL + 4) || (offset >= CONFIG_POISON && offset + size <= CONFIG_POISON + 4)) {
        memcpy(&v->config[offset], bytes, size);
    }
}

static const struct field balloon_fields[] = {
    VIRTIO_FIELDS,
    PROP(struct virtio_balloon, deflate_on_oom, .option = "deflate-on-oom", .def = "off", .help = "the guest may take pages back when it runs out"),
    PROP(struct virtio_balloon, free_page_reporting, .option = "free-page-reporting", .def = "off", .help = "free pages are given back by themselves"),
    PROP(struct virtio_balloon, interval, .option = "guest-stats-polling-interval", .def = "0", .max = 86400,
         .help = "seconds between two questions for statistics, 0 for none"),
    STATE(struct virtio_balloon, ask),
    WIRING(struct virtio_balloon, stats_queue),
    WIRING(struct virtio_balloon, balloon),
};
static const struct virtio_class balloon_class = {
    .name = "virtio-balloon", .id = VIRTIO_ID_BALLOON, .config_size = CONFIG_BYTES, .features = VIRTIO_BIT(F_STATS_VQ), .init = balloon_init,
    .fini = balloon_fini, .reset = balloon_reset, .status = balloon_status, .config_write = balloon_config_write,
};
static const struct field balloon_pci_fields[] = { VIRTIO_PCI_FIELDS, VIRTIO_PCI_DEVICE(struct virtio_balloon, balloon_fields) };
static const struct virtio_pci_variant balloon_pci[] = VIRTIO_PCI_VARIANTS(&balloon_class, 0x00ff00, 0x1002);
const struct device_class virtio_balloon_pci_classes[3] =
    VIRTIO_PCI_CLASSES("virtio-balloon", "memory balloon", balloon_pci, struct virtio_balloon, balloon_pci_fields);
