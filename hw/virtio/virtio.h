/*
 * Virtio devices: what a device is made of, and the one reader of rings that all of them share. Spec: VIRTIO 1.2 (OASIS).
 *
 * A device is a struct that begins with struct virtio, a table of its fields that begins with VIRTIO_FIELDS, and one struct virtio_class:
 * feature bits, configuration bytes, queues with a handler each, reset. It never knows its transport. A transport (virtio_pci.h)
 * embeds the device's struct in its own and its class names the virtio class, so one device serves "virtio-x-pci" and others.
 *
 *     static void x_queue(struct virtqueue *q)
 *     {
 *         struct x_request *r;
 *         while ((r = virtio_pop(q, sizeof(*r)))) {         // begins with struct virtio_elem, the rest is zero
 *             dma_sg_read(&r->elem.out, 0, ...);            // what the guest sent
 *             dma_sg_write(&r->elem.in, 0, ...);            // what it gets
 *             virtio_push(q, &r->elem, bytes_written);      // now or later; frees r
 *         }
 *         virtio_notify(q);                                 // once for many
 *     }
 *
 * A ring that breaks the rules makes its device broken: virtio_pop() returns NULL, the guest reads DEVICE_NEEDS_RESET, and only a reset
 * brings it back. Nothing that a guest writes there is an assert.
 *
 * Threads: everything here with the machine lock. A handler runs on the vCPU that rang the doorbell, or in the main loop.
 */
#ifndef HW_VIRTIO_VIRTIO_H
#define HW_VIRTIO_VIRTIO_H

#include "core/device.h"
#include "core/dma.h"

enum {                                   /* 5: device ids */
    VIRTIO_ID_NET = 1, VIRTIO_ID_BLOCK = 2, VIRTIO_ID_CONSOLE = 3, VIRTIO_ID_RNG = 4, VIRTIO_ID_BALLOON = 5, VIRTIO_ID_SCSI = 8, VIRTIO_ID_9P = 9,
    VIRTIO_ID_GPU = 16, VIRTIO_ID_INPUT = 18, VIRTIO_ID_VSOCK = 19, VIRTIO_ID_CRYPTO = 20, VIRTIO_ID_FS = 26,
};

enum {                                   /* 2.1: device status */
    VIRTIO_STATUS_ACKNOWLEDGE = 1, VIRTIO_STATUS_DRIVER = 2, VIRTIO_STATUS_DRIVER_OK = 4, VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 64, VIRTIO_STATUS_FAILED = 128,
};

#define VIRTIO_BIT(n) (1ull << (n))
enum {                                   /* 6: feature bits of every device */
    VIRTIO_F_NOTIFY_ON_EMPTY = 24, VIRTIO_F_ANY_LAYOUT = 27, VIRTIO_F_INDIRECT_DESC = 28, VIRTIO_F_EVENT_IDX = 29, VIRTIO_F_VERSION_1 = 32,
    VIRTIO_F_ACCESS_PLATFORM = 33, VIRTIO_F_RING_PACKED = 34,
};

#define VIRTIO_QUEUES      64            /* queues of a device at most */
#define VIRTIO_QUEUE_SIZE  1024          /* descriptors of a queue, and pieces of a buffer, at most */
#define VIRTIO_CONFIG_SIZE 256           /* bytes of device configuration at most */
#define VIRTIO_NO_VECTOR   0xffff

struct virtio;
struct virtqueue;

/* A buffer taken from a ring. */
struct virtio_elem {
    struct dma_sg out;                   /* device-readable part */
    struct dma_sg in;                    /* device-writable part */
    /* the ring's */
    struct virtqueue *queue;
    uint32_t generation;
    uint16_t id, descs;
};

/* A part of a ring as host memory, looked up again when the memory layout changes. */
struct virtio_area {
    uint64_t at;                         /* guest-physical */
    uint32_t len;
    uint8_t *host;                       /* NULL: not in one piece of RAM; reached through dma_read, dma_write */
    struct ram_block *block;
    uint64_t offset;                     /* in the block */
    uint64_t layout;                     /* address_space.layout it was looked up for */
};

struct virtio_used {
    uint32_t len;
    uint16_t id, descs;
};

struct virtqueue {
    uint16_t num;                        /* size; 0: there is no such queue */
    uint16_t vector;
    bool enabled;
    uint64_t desc, driver, device;       /* split: descriptor table, available ring, used ring; packed: ring, driver events, device events */
    uint16_t last_avail, used_idx;       /* packed: positions in the ring */
    bool avail_wrap, used_wrap;
    uint16_t signalled;                  /* used_idx when the guest was last looked at for an interrupt */
    bool signalled_valid;
    bool quiet;                          /* the device asked for no doorbells */
    uint16_t inuse;                      /* descriptors (packed) or buffers (split) taken and not yet given back */
    /* not saved */
    uint16_t seen_avail;                 /* split: available index as last read */
    uint16_t index, max;                 /* number and offered size */
    uint32_t generation;                 /* a buffer taken before a reset goes nowhere */
    struct virtio *v;
    void (*handle)(struct virtqueue *q);
    void *opaque;                        /* the device's */
    struct virtio_area area[3];          /* desc, driver, device */
    struct virtio_used *filled;
    unsigned n_filled, filled_room;
};

struct virtio_transport {
    const char *name;
    void (*interrupt)(struct virtio *v, uint16_t vector);           /* v->isr has a new bit; vector: the queue's or v->config_vector */
    void (*settle)(struct virtio *v);                               /* v->isr has become less */
};

/* Machine lock on all; any but name and id may be missing. */
struct virtio_class {
    const char *name;                    /* "virtio-rng" */
    uint16_t id;
    uint16_t config_size;                /* bytes of v->config that exist (init may change v->config_size) */
    bool modern_only;                    /* no legacy interface was ever defined */
    uint64_t legacy_features;            /* of those offered: not through a modern interface */
    uint64_t features;                   /* offered, beside those of the ring; init may change v->offered */
    bool (*init)(struct virtio *v, GError **err);                   /* queues, configuration, host ends */
    void (*fini)(struct virtio *v);
    /* The guest or the machine resets it: drop what is in flight (virtio_drop). */
    void (*reset)(struct virtio *v);
    void (*config_read)(struct virtio *v);                          /* before the guest reads: bring v->config up to date */
    /* The guest has stored [offset, offset+size) at `bytes`; v->config is unchanged. NULL: not writable. */
    void (*config_write)(struct virtio *v, unsigned offset, unsigned size, const uint8_t *bytes);
    void (*status)(struct virtio *v, uint8_t old);                  /* v->status has changed (never to 0: that is reset) */
    void (*settle)(struct virtio *v);                               /* outputs from state, after reset and load */
};

struct virtio {
    /* properties common to all */
    bool indirect_desc, event_idx, notify_on_empty, any_layout, iommu_platform, packed;
    /* state */
    uint8_t status;
    bool broken;
    uint8_t isr;                         /* bit 0: a queue, bit 1: configuration */
    uint16_t config_vector;
    uint32_t config_generation;
    uint64_t features;                   /* as the guest took them */
    uint8_t config[VIRTIO_CONFIG_SIZE];  /* little-endian, as the guest sees it; survives a reset unless the class says otherwise */
    struct virtqueue queue[VIRTIO_QUEUES];
    /* wiring */
    uint64_t offered;
    unsigned n_queues, config_size;
    unsigned vectors;                    /* interrupt vectors worth having; init may set it; 0: one a queue and one more */
    const struct virtio_class *class;
    struct device *dev;                  /* the transport's: machine, id, bus */
    struct address_space *as;            /* what ring and buffer addresses mean */
    const struct virtio_transport *transport;
};

extern const struct field virtio_fields[];
#define VIRTIO_N_FIELDS 22
/* The first row of a device's table; the struct's first member is `struct virtio v`. */
#define VIRTIO_FIELDS { .name = "v", .use = FIELD_STATE, .type = FIELD_STRUCT, .offset = 0, .size = sizeof(struct virtio), .count = 1, \
    .fields = virtio_fields, .n_fields = VIRTIO_N_FIELDS }

/* --- for devices --- */

/* In init: the next queue, of `size` descriptors unless the guest wants fewer. NULL with *err: VIRTIO_QUEUES are there. */
struct virtqueue *virtio_queue_add(struct virtio *v, unsigned size, void (*handle)(struct virtqueue *q), GError **err);

static inline bool virtio_has(const struct virtio *v, unsigned feature) { return v->features >> feature & 1; }
/* The driver has said DRIVER_OK and nothing is broken. */
bool virtio_running(const struct virtio *v);

/*
 * Takes the next buffer: a zeroed block of `size` bytes (at least sizeof(struct virtio_elem)) that begins with the elem. NULL: none there (then the
 * guest's next buffer rings the doorbell, unless the device asked for quiet), or the ring is broken. Descriptors are read once.
 */
void *virtio_pop(struct virtqueue *q, size_t size);
/* Gives it back with `written` bytes at the start of in (clamped), and frees it. One that was taken before a reset is only freed. */
void virtio_push(struct virtqueue *q, struct virtio_elem *e, uint64_t written);
/* The same in two steps, for buffers that the guest must see at once: fill each (frees it), then flush. */
void virtio_fill(struct virtqueue *q, struct virtio_elem *e, uint64_t written);
void virtio_flush(struct virtqueue *q);
/* Puts back what was taken last, in reverse order of taking, as if it had never been; frees it. Nothing may be filled meanwhile. */
void virtio_unpop(struct virtqueue *q, struct virtio_elem *e);
/* Frees it and tells nobody (reset, fini). */
void virtio_drop(struct virtqueue *q, struct virtio_elem *e);
/* Interrupts the guest if it wants to hear of what was pushed since the last call. */
void virtio_notify(struct virtqueue *q);
/* Nothing to take now. */
bool virtio_queue_empty(struct virtqueue *q);
/* Whether the guest shall ring when it adds buffers. Off is a hint. After on: look at the ring again. */
void virtio_queue_doorbell(struct virtqueue *q, bool on);
/* The queue is set up and the guest may use it. */
bool virtio_queue_ready(const struct virtqueue *q);

/* v->config was changed by the device: tells the guest. */
void virtio_config_changed(struct virtio *v);
/* The guest broke a rule of the device (not of the ring: that is found here). Logs, stops the device until it is reset. */
void virtio_broken(struct virtio *v, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* --- for transports --- */

bool virtio_init(struct virtio *v, const struct virtio_class *class, struct device *dev, const struct virtio_transport *t, GError **err);
void virtio_fini(struct virtio *v);
void virtio_reset(struct virtio *v);
void virtio_set_dma(struct virtio *v, struct address_space *as);    /* what addresses of rings and buffers mean from now on */
void virtio_settle(struct virtio *v);                               /* after load too */
bool virtio_load_check(struct virtio *v, GError **err);
void virtio_set_status(struct virtio *v, uint8_t status);           /* 0 resets */
void virtio_set_features(struct virtio *v, uint64_t features);      /* masked by what is offered */
uint64_t virtio_config_load(struct virtio *v, unsigned offset, unsigned size);   /* 1, 2, 4, 8 bytes; outside: all ones */
void virtio_config_store(struct virtio *v, unsigned offset, unsigned size, uint64_t value);
/* Where the ring lies has changed (desc, driver, device, num, enabled). */
void virtio_queue_changed(struct virtqueue *q);
/* The legacy layout: all three areas from one page number on, used ring aligned to `align`. */
void virtio_queue_legacy(struct virtqueue *q, uint64_t addr, unsigned align);
/* The doorbell of queue n: runs the handler. */
void virtio_kick(struct virtio *v, unsigned n);

#endif
