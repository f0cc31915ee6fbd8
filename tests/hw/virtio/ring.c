/*
 * Rings as a driver lays them out in guest memory: split and packed, chains, indirect tables, and what breaks the rules. The device
 * under test answers each buffer with its own readable bytes.
 */
#include "hw/virtio/virtio.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/dma.h"
#include "core/machine.h"

#define RAM 0x40000u
enum { DESC = 0x1000, DRIVER = 0x2000, DEVICE = 0x3000, TABLE = 0x4000, OUT = 0x8000, IN = 0x9000, N = 8 };
enum { F_NEXT = 1, F_WRITE = 2, F_INDIRECT = 4, F_AVAIL = 1 << 7, F_USED = 1 << 15 };

static struct machine *m;
static struct region ram;
static struct device dev;
static struct virtio *v;
static unsigned interrupts, taken;

static void echo(struct virtqueue *q)
{
    struct virtio_elem *e;
    uint8_t buf[4096];

    while ((e = virtio_pop(q, sizeof(*e)))) {
        size_t n = dma_sg_read(&e->out, 0, buf, MIN(e->out.bytes, sizeof(buf)));
        n = dma_sg_write(&e->in, 0, buf, n);
        taken++;
        virtio_push(q, e, n);
    }
    virtio_notify(q);
}

static void interrupt(struct virtio *d, uint16_t vector) { (void)d, (void)vector; interrupts++; }

static void settle(struct virtio *d) { (void)d; }

static bool toy_init(struct virtio *d, GError **err) { return virtio_queue_add(d, N, echo, err) != NULL; }
static const struct virtio_class toy = { .name = "virtio-toy", .id = VIRTIO_ID_RNG, .init = toy_init };
static const struct virtio_transport transport = { .name = "test", .interrupt = interrupt, .settle = settle };

static void start(uint64_t extra)
{
    GError *err = NULL;

    m = machine_new();
    machine_lock(m);
    region_init_ram(&ram, "ram", ram_new(m, "ram", RAM, false, NULL), 0, RAM);
    region_add(&m->memory_root, &ram, 0, 0);
    dev = (struct device){ .machine = m };
    v = g_new0(struct virtio, 1);
    v->indirect_desc = v->event_idx = v->packed = v->any_layout = true;
    cr_assert(virtio_init(v, &toy, &dev, &transport, &err), "%s", err ? err->message : "");
    v->offered |= VIRTIO_BIT(VIRTIO_F_VERSION_1);      /* as a modern transport does */
    virtio_reset(v);
    virtio_set_dma(v, &m->memory);
    virtio_set_status(v, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    virtio_set_features(v, VIRTIO_BIT(VIRTIO_F_VERSION_1) | extra);
    virtio_set_status(v, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
    struct virtqueue *q = &v->queue[0];
    q->num = N;
    q->desc = DESC;
    q->driver = DRIVER;
    q->device = DEVICE;
    q->enabled = true;
    virtio_queue_changed(q);
    virtio_set_status(v, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK);
    interrupts = taken = 0;
    dma_write(&m->memory, OUT, "hello, world", 12);
}

static void stop(void)
{
    virtio_fini(v);
    g_free(v);
    machine_unlock(m);
    machine_free(m);
}

TestSuite(ring, .fini = stop);

static uint32_t ld(uint64_t at, unsigned size) { return size == 2 ? dma_ld16(&m->memory, at) : dma_ld32(&m->memory, at); }

/* Both kinds have address and length first; split ones then flags and next, packed ones id and flags. */
static void put(uint64_t at, uint64_t addr, uint32_t len, uint16_t third, uint16_t fourth)
{
    dma_st64(&m->memory, at, addr);
    dma_st32(&m->memory, at + 8, len);
    dma_st16(&m->memory, at + 12, third);
    dma_st16(&m->memory, at + 14, fourth);
}

static uint16_t avail_idx;

static void split_offer(uint16_t head)
{
    dma_st16(&m->memory, DRIVER + 4 + 2 * (avail_idx % N), head);
    dma_st16(&m->memory, DRIVER + 2, ++avail_idx);
    virtio_kick(v, 0);
}

static bool answer_is(const char *text)
{
    char buf[16] = "";
    dma_read(&m->memory, IN, buf, strlen(text));
    return !strcmp(buf, text);
}

Test(ring, split_chains_go_round)
{
    start(0);
    avail_idx = 0;
    for (unsigned i = 0; i < 3 * N; i++) {
        dma_fill(&m->memory, IN, 0, 16);
        put(DESC + 0, OUT, 5, F_NEXT, 1);
        put(DESC + 16, OUT + 5, 7, F_NEXT, 2);
        put(DESC + 32, IN, 64, F_WRITE, 0);
        split_offer(0);
        cr_assert_eq(ld(DEVICE + 2, 2), (uint16_t)(i + 1), "turn %u: used index", i);
        cr_assert(ld(DEVICE + 4 + 8 * (i % N), 4) == 0 && ld(DEVICE + 8 + 8 * (i % N), 4) == 12 && answer_is("hello, world"), "turn %u", i);
    }
    cr_expect_eq(interrupts, 3 * N);
    cr_expect(!v->broken);
}

Test(ring, split_indirect)
{
    start(VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC));
    avail_idx = 0;
    put(TABLE + 0, OUT, 12, F_NEXT, 1);
    put(TABLE + 16, IN, 64, F_WRITE, 0);
    put(DESC, TABLE, 32, F_INDIRECT, 0);
    split_offer(0);
    cr_expect(taken == 1 && answer_is("hello, world"));
}

static unsigned at;
static bool wrap;

/* The next descriptor of a packed ring; made available at once when it is the only one of its buffer. */
static void packed_put(uint64_t addr, uint32_t len, uint16_t id, uint16_t flags)
{
    put(DESC + 16 * at, addr, len, id, flags | (wrap ? F_AVAIL : F_USED));
    if (++at == N) {
        at = 0;
        wrap = !wrap;
    }
}

Test(ring, packed_chains_go_round)
{
    start(VIRTIO_BIT(VIRTIO_F_RING_PACKED));
    unsigned used = 0;
    bool used_wrap = true;
    at = 0;
    wrap = true;
    for (unsigned i = 0; i < 3 * N; i++) {
        dma_fill(&m->memory, IN, 0, 16);
        packed_put(OUT, 5, 0, F_NEXT);
        packed_put(OUT + 5, 7, 0, F_NEXT);
        packed_put(IN, 64, i, F_WRITE);
        virtio_kick(v, 0);
        uint16_t flags = (uint16_t)ld(DESC + 16 * used + 14, 2);
        cr_assert(!!(flags & F_AVAIL) == used_wrap && !!(flags & F_USED) == used_wrap, "turn %u: flags %x", i, flags);
        cr_assert(ld(DESC + 16 * used + 12, 2) == i && ld(DESC + 16 * used + 8, 4) == 12 && answer_is("hello, world"), "turn %u", i);
        used += 3;
        used_wrap ^= used >= N;
        used %= N;
    }
    cr_expect(!v->broken && taken == 3 * N);
}

/* In a packed ring the entries of a table, too, have their flags last. */
Test(ring, packed_indirect)
{
    start(VIRTIO_BIT(VIRTIO_F_RING_PACKED) | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC));
    at = 0;
    wrap = true;
    put(TABLE + 0, OUT, 12, 0, 0);
    put(TABLE + 16, IN, 64, 0, F_WRITE);
    packed_put(TABLE, 32, 7, F_INDIRECT);
    virtio_kick(v, 0);
    cr_expect(taken == 1 && answer_is("hello, world") && ld(DESC + 12, 2) == 7);
}

/* Each breaks the device, takes nothing, and a reset brings it back. */
static void expect_broken(const char *what)
{
    cr_expect(v->broken && taken == 0 && (v->status & VIRTIO_STATUS_NEEDS_RESET), "%s", what);
    virtio_set_status(v, 0);
    cr_expect(!v->broken && !v->status, "%s: reset", what);
}

Test(ring, split_rules)
{
    static const struct { const char *what; uint64_t addr; uint32_t len; uint16_t flags, next, head; } rows[] = {
        { "a chain in a circle", OUT, 4, F_NEXT, 0, 0 }, { "a next beyond the table", OUT, 4, F_NEXT, N, 0 },
        { "a head beyond the table", OUT, 4, 0, 0, N }, { "a buffer outside RAM", RAM + 0x1000, 4, 0, 0, 0 },
        { "a buffer that wraps", UINT64_MAX - 1, 4, 0, 0, 0 }, { "a table that was not agreed on", TABLE, 16, F_INDIRECT, 0, 0 },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        start(0);
        avail_idx = 0;
        put(DESC, rows[i].addr, rows[i].len, rows[i].flags, rows[i].next);
        split_offer(rows[i].head);
        expect_broken(rows[i].what);
        if (i + 1 < G_N_ELEMENTS(rows)) {
            stop();
        }
    }
}

Test(ring, split_rules_of_tables)
{
    static const struct { const char *what; uint64_t addr; uint32_t len; uint16_t inner; } rows[] = {
        { "a table of half an entry", TABLE, 24, 0 }, { "a table outside RAM", RAM + 0x1000, 32, 0 }, { "a table of none", TABLE, 0, 0 },
        { "a table in a table", TABLE, 16, F_INDIRECT }, { "a table whose chain leaves it", TABLE, 16, F_NEXT },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        start(VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC));
        avail_idx = 0;
        put(TABLE, OUT, 4, rows[i].inner, 5);
        put(DESC, rows[i].addr, rows[i].len, F_INDIRECT, 0);
        split_offer(0);
        expect_broken(rows[i].what);
        if (i + 1 < G_N_ELEMENTS(rows)) {
            stop();
        }
    }
}

Test(ring, more_offered_than_the_ring_holds)
{
    start(0);
    dma_st16(&m->memory, DRIVER + 2, N + 1);
    virtio_kick(v, 0);
    expect_broken("an available index that is too far ahead");
}

Test(ring, packed_chain_without_an_end)
{
    start(VIRTIO_BIT(VIRTIO_F_RING_PACKED));
    at = 0;
    wrap = true;
    for (unsigned i = 0; i < N; i++) {
        packed_put(OUT, 4, 0, F_NEXT);
    }
    virtio_kick(v, 0);
    expect_broken("a chain that is longer than the ring");
}
