/*
 * What the two kinds of ring share. See ring.c.
 */
#ifndef HW_VIRTIO_RING_PRIV_H
#define HW_VIRTIO_RING_PRIV_H

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "hw/virtio/virtio.h"

enum { AREA_DESC, AREA_DRIVER, AREA_DEVICE };
enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4, DESC_AVAIL = 0x80, DESC_USED = 0x8000 };

/* A descriptor in host order. */
struct ring_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;                /* next: packed: the buffer's id */
};

/* One kind of ring. */
struct ring_ops {
    bool (*check)(struct virtqueue *q);                            /* size and alignment; false: logged as broken */
    void (*sizes)(const struct virtqueue *q, uint32_t len[3]);     /* bytes of the areas */
    bool (*empty)(struct virtqueue *q);
    bool (*pop)(struct virtqueue *q, struct virtio_elem *e);       /* false: broken (said), or e not touched and the ring empty */
    void (*unpop)(struct virtqueue *q, const struct virtio_elem *e);
    void (*flush)(struct virtqueue *q);
    bool (*wants_interrupt)(struct virtqueue *q);
    void (*doorbell)(struct virtqueue *q);                         /* q->quiet has changed */
};
extern const struct ring_ops ring_split, ring_packed;

void ring_area_map(struct virtqueue *q, struct virtio_area *a);

static inline uint8_t *ring_host(struct virtqueue *q, struct virtio_area *a)
{
    if (G_UNLIKELY(a->layout != q->v->as->layout)) {
        ring_area_map(q, a);
    }
    return a->host;
}

/* Little-endian loads and stores at a byte offset inside an area; 2-byte ones are single accesses where the area is mapped. */
static inline uint16_t ring_ld16(struct virtqueue *q, unsigned area, uint32_t at)
{
    struct virtio_area *a = &q->area[area];
    uint8_t *host = ring_host(q, a);

    if (G_LIKELY(host)) {
        return GUINT16_FROM_LE(__atomic_load_n((uint16_t *)(host + at), __ATOMIC_ACQUIRE));
    }
    return dma_ld16(q->v->as, a->at + at);
}

void ring_load(struct virtqueue *q, unsigned area, uint32_t at, void *buf, uint32_t len);
void ring_store(struct virtqueue *q, unsigned area, uint32_t at, const void *buf, uint32_t len);
void ring_st16(struct virtqueue *q, unsigned area, uint32_t at, uint16_t value);     /* behind every store before it */

/* Adds a descriptor to the buffer. False: it breaks a rule, said. */
bool ring_elem_add(struct virtqueue *q, struct virtio_elem *e, const struct ring_desc *d);
/* Reads an indirect table: entries (to be freed) and their number; NULL: it breaks a rule, said. */
struct ring_desc *ring_indirect(struct virtqueue *q, const struct ring_desc *d, unsigned *n);
void ring_desc_swap(struct ring_desc *d, const uint8_t *bytes);

/* 2.7.10: has `event` been passed by going from `old` to `now`? */
static inline bool ring_need_event(uint16_t event, uint16_t now, uint16_t old)
{
    return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

#endif
