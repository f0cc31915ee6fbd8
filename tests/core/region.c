/* Flattening, accesses, and that every byte of a random tree is what the rules say. */
#include "core/region.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/dma.h"
#include "core/machine_priv.h"

struct dev {
    uint64_t offset[64], value[64], answer;
    unsigned size[64], n;
    enum access_status status;
};

static enum access_status dev_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct dev *d = opaque;

    d->offset[d->n] = offset;
    d->size[d->n++] = size;
    *value = d->answer;
    return d->status;
}

static enum access_status dev_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct dev *d = opaque;

    d->offset[d->n] = offset;
    d->size[d->n] = size;
    d->value[d->n++] = value;
    return d->status;
}

static const struct region_ops ops_any = { .read = dev_read, .write = dev_write, .min_size = 1, .max_size = 8 };
static const struct region_ops ops_byte = { .read = dev_read, .write = dev_write, .min_size = 1, .max_size = 1 };
static const struct region_ops ops_32 = { .read = dev_read, .write = dev_write, .min_size = 4, .max_size = 4 };
static const struct region_ops ops_be = { .read = dev_read, .write = dev_write, .min_size = 1, .max_size = 4, .big_endian = true };
static const struct region_ops ops_narrow = { .read = dev_read, .write = dev_write, .min_size = 1, .max_size = 2, .max_access = 2 };

static struct machine *m;

static void setup(void)
{
    m = machine_new();
    machine_lock(m);
}

static void teardown(void)
{
    machine_unlock(m);
    machine_free(m);
}

TestSuite(region, .init = setup, .fini = teardown);

Test(region, ram_reads_what_was_written)
{
    struct ram_block *b = ram_new(m, "ram", 0x10000, false, NULL);
    struct region r;
    uint64_t v;

    region_init_ram(&r, "ram", b, 0, 0x10000);
    region_add(&m->memory_root, &r, 0x1000, 0);
    cr_expect_eq(as_write(&m->memory, 0x1008, 8, 0x1122334455667788), ACCESS_OK);
    cr_expect_eq(as_read(&m->memory, 0x100b, 2, &v), ACCESS_OK);
    cr_expect_eq(v, 0x4455);
    cr_expect_eq(as_read(&m->memory, 0xfff, 4, &v), ACCESS_OK, "over the edge");
    cr_expect_eq(v, 0x000000ff);
    cr_expect_eq(as_read(&m->memory, 0x11000, 4, &v), ACCESS_NONE);
    cr_expect_eq(v, 0xffffffff);
    cr_expect_eq(as_write(&m->memory, 0x10ffe, 4, 0xaabbccdd), ACCESS_OK);
    cr_expect_eq(b->host[0xffff], 0xcc);
    region_del(&r);
    cr_expect_eq(as_read(&m->memory, 0x1008, 1, &v), ACCESS_NONE);
}

Test(region, rom_drops_writes)
{
    struct ram_block *b = ram_new(m, "rom", 0x1000, true, NULL);
    struct region r;
    uint64_t v;

    region_init_ram(&r, "rom", b, 0, 0x1000);
    region_add(&m->memory_root, &r, 0, 0);
    cr_expect_eq(as_write(&m->memory, 0, 1, 5), ACCESS_OK);
    as_read(&m->memory, 0, 1, &v);
    cr_expect_eq(v, 0);
    cr_expect_not(dma_write(&m->memory, 0, "x", 1));
    cr_expect(dma_write_rom(&m->memory, 0, "x", 1));
    as_read(&m->memory, 0, 1, &v);
    cr_expect_eq(v, 'x');
}

Test(region, sizes_are_enforced_once)
{
    struct dev d = { .answer = 0x0102030405060708 };
    struct region r[5];
    uint64_t v;

    region_init_io(&r[0], "byte", &ops_byte, &d, 16);
    region_init_io(&r[1], "32", &ops_32, &d, 16);
    region_init_io(&r[2], "be", &ops_be, &d, 16);
    region_init_io(&r[3], "narrow", &ops_narrow, &d, 16);
    region_init_io(&r[4], "any", &ops_any, &d, 16);
    for (unsigned i = 0; i < 5; i++) {
        region_add(&m->io_root, &r[i], 0x100 * i, 0);
    }
    d.n = 0;
    as_write(&m->io, 0x002, 4, 0x44332211);
    cr_expect(d.n == 4 && d.offset[0] == 2 && d.offset[3] == 5 && d.value[3] == 0x44 && d.size[2] == 1);

    d.n = 0;
    d.answer = 0xaabbccdd;
    as_read(&m->io, 0x101, 1, &v);
    cr_expect(d.n == 1 && d.offset[0] == 0 && d.size[0] == 4 && v == 0xcc, "part of a register, got %lx", (unsigned long)v);
    d.n = 0;
    as_read(&m->io, 0x102, 4, &v);
    cr_expect(d.n == 2 && d.offset[1] == 4 && v == 0xccddaabb, "two registers, got %lx", (unsigned long)v);
    d.n = 0;
    as_write(&m->io, 0x104, 1, 0x77);
    cr_expect(d.n == 1 && d.size[0] == 4 && d.value[0] == 0x77);
    d.n = 0;
    cr_expect_eq(as_write(&m->io, 0x105, 1, 0x77), ACCESS_ERROR);
    cr_expect_eq(d.n, 0);
    as_read(&m->io, 0x100, 8, &v);
    cr_expect(d.n == 2 && v == 0xaabbccddaabbccdd);

    d.n = 0;
    as_write(&m->io, 0x200, 4, 0x11223344);
    cr_expect(d.n == 1 && d.value[0] == 0x44332211);

    d.n = 0;
    cr_expect_eq(as_read(&m->io, 0x300, 4, &v), ACCESS_ERROR);
    cr_expect(d.n == 0 && v == 0xffffffff);

    d.n = 0;
    as_read(&m->io, 0x403, 4, &v);
    cr_expect(d.n == 3 && d.size[0] == 1 && d.size[1] == 2 && d.size[2] == 1, "unaligned goes in aligned pieces");
    d.n = 0;
    as_read(&m->io, 0x408, 8, &v);
    cr_expect(d.n == 1 && d.size[0] == 8);
    d.status = ACCESS_ERROR;
    cr_expect_eq(as_read(&m->io, 0x400, 2, &v), ACCESS_ERROR);
    cr_expect_eq(v, 0xffff);
}

Test(region, alias_of_a_detached_container_follows_it)
{
    struct region container, window, leaf;
    struct dev d = { 0 };

    region_init_container(&container, "pci", UINT64_MAX);
    region_init_alias(&window, "pci hole", &container, 0xc0000000, 0x1000);
    region_add(&m->memory_root, &window, 0xc0000000, -1);
    region_init_io(&leaf, "bar", &ops_any, &d, 0x10);
    region_add(&container, &leaf, 0xc0000ff8, 0);
    cr_assert_eq(region_view(&m->memory)->n, 1);
    cr_expect_eq(region_view(&m->memory)->r[0].start, 0xc0000ff8);
    cr_expect_eq(region_view(&m->memory)->r[0].size, 8, "clipped by the window");
    region_move(&leaf, 0xc0000000);
    cr_expect_eq(region_view(&m->memory)->r[0].size, 0x10);
    region_set_enabled(&leaf, false);
    cr_expect_eq(region_view(&m->memory)->n, 0);
}

Test(region, neighbours_of_one_block_merge)
{
    struct ram_block *b = ram_new(m, "ram", 0x4000, false, NULL);
    struct region r, a[2];

    region_init_ram(&r, "ram", b, 0, 0x4000);
    region_init_alias(&a[0], "low", &r, 0, 0x2000);
    region_init_alias(&a[1], "high", &r, 0x2000, 0x2000);
    region_begin(m);
    region_add(&m->memory_root, &a[0], 0, 0);
    region_add(&m->memory_root, &a[1], 0x2000, 0);
    cr_expect_eq(region_view(&m->memory)->n, 0, "one view for the whole change");
    region_commit(m);
    cr_expect_eq(region_view(&m->memory)->n, 1);
    region_set_readonly(&a[1], true);
    cr_expect_eq(region_view(&m->memory)->n, 2);
}

struct changes {
    unsigned n;
};

static void on_change(void *opaque, struct address_space *as, const struct flat_view *from, const struct flat_view *to)
{
    (void)as;
    cr_expect_neq(from, to);
    ((struct changes *)opaque)->n++;
}

Test(region, listeners_hear_of_real_changes)
{
    struct changes c = { 0 };
    struct region_listener l = { on_change, &c };
    struct region r, under;
    struct dev d = { 0 };

    address_space_listen(&m->memory, &l);
    cr_expect_eq(c.n, 1, "what is there already");
    c.n = 0;
    region_init_io(&r, "r", &ops_any, &d, 0x100);
    region_init_io(&under, "under", &ops_any, &d, 0x80);
    region_add(&m->memory_root, &r, 0, 1);
    region_add(&m->memory_root, &under, 0x40, 0);     /* wholly hidden */
    cr_expect_eq(c.n, 1);
    region_del(&r);
    cr_expect_eq(c.n, 2);
    cr_expect_eq(region_find(region_view(&m->memory), 0x40)->region, &under);
}

/* A model: who owns each of 4096 bytes, by painting from low to high priority. */
static void paint(struct region *r, struct region **map, int64_t base, int64_t from, int64_t to)
{
    if (!r->enabled) {
        return;
    }
    from = MAX(from, base);
    to = MIN(to, base + (int64_t)r->size);
    if (r->kind == REGION_CONTAINER) {
        for (GList *l = g_list_last(r->children); l; l = l->prev) {
            struct region *c = l->data;

            paint(c, map, base + (int64_t)c->addr, from, to);
        }
    } else if (r->kind == REGION_ALIAS) {
        paint(r->target, map, base - (int64_t)r->target_offset, from, to);
    } else {
        for (int64_t i = MAX(from, 0); i < MIN(to, 4096); i++) {
            map[i] = r;
        }
    }
}

Test(region, random_trees_flatten_right)
{
    GRand *rand = g_rand_new_with_seed(7);
    struct dev d = { 0 };

    for (unsigned round = 0; round < 300; round++) {
        struct region r[24], root, *map[4096] = { 0 };
        struct address_space as;
        unsigned n = (unsigned)g_rand_int_range(rand, 1, 24);
        const struct flat_view *v;

        region_init_container(&root, "root", 4096);
        for (unsigned i = 0; i < n; i++) {
            uint64_t size = (uint64_t)g_rand_int_range(rand, 1, 2000);
            unsigned kind = (unsigned)g_rand_int_range(rand, 0, 4);
            struct region *parent = &root;

            if (kind == 0) {
                region_init_container(&r[i], "c", size);
            } else if (kind == 1 && i > 0) {
                region_init_alias(&r[i], "a", &r[g_rand_int_range(rand, 0, (gint32)i)], (uint64_t)g_rand_int_range(rand, 0, 500), size);
            } else {
                region_init_io(&r[i], "io", &ops_any, &d, size);
            }
            for (unsigned k = 0; k < i; k++) {
                if (r[k].kind == REGION_CONTAINER && !r[k].aliases && g_rand_boolean(rand)) {
                    parent = &r[k];
                }
            }
            /* An alias inside its own target would show itself. */
            if (r[i].kind == REGION_ALIAS) {
                parent = &root;
            }
            r[i].enabled = g_rand_int_range(rand, 0, 8) != 0;
            region_add(parent, &r[i], (uint64_t)g_rand_int_range(rand, 0, 3000), g_rand_int_range(rand, -2, 3));
        }
        address_space_init(&as, m, "test", &root);
        paint(&root, map, 0, 0, 4096);
        v = region_view(&as);
        for (uint64_t i = 0; i < 4096; i++) {
            const struct flat_range *f = region_find(v, i);

            cr_assert_eq(f ? f->region : NULL, map[i], "round %u byte %lu", round, (unsigned long)i);
        }
        for (unsigned i = 1; i < v->n; i++) {
            cr_assert(v->r[i - 1].start + v->r[i - 1].size <= v->r[i].start);
        }
        /* What lies on this stack must not be looked at by the next round. */
        g_ptr_array_remove(m->priv->spaces, &as);
        g_free(atomic_load(&as.view));
        g_list_free(root.children);
    }
    g_rand_free(rand);
}

Test(region, dma_reaches_ram_only)
{
    struct ram_block *b = ram_new(m, "ram", 0x2000, false, NULL);
    struct region ram, io;
    struct dev d = { 0 };
    uint8_t buf[0x40];
    size_t len;
    void *p;

    region_init_ram(&ram, "ram", b, 0, 0x2000);
    region_init_io(&io, "io", &ops_any, &d, 0x10);
    region_add(&m->memory_root, &ram, 0, 0);
    region_add(&m->memory_root, &io, 0x1000, 1);
    memset(b->host, 0x5a, 0x2000);
    cr_expect_not(dma_read(&m->memory, 0xff0, buf, 0x40));
    cr_expect(buf[0xf] == 0x5a && buf[0x10] == 0xff && buf[0x1f] == 0xff && buf[0x20] == 0x5a);
    cr_expect_not(dma_fill(&m->memory, 0xff0, 1, 0x40));
    cr_expect_eq(d.n, 0, "no device is touched");
    cr_expect(b->host[0xfff] == 1 && b->host[0x1000] == 0x5a && b->host[0x1010] == 1);
    cr_expect_not(dma_read(&m->memory, UINT64_MAX - 3, buf, 0x10), "wraps nowhere bad");
    len = 0x5000;
    p = dma_map(&m->memory, 0x1010, &len, true);
    cr_expect(p == b->host + 0x1010 && len == 0xff0);
    atomic_store(&b->flags[1], RAM_CLEAN_DISPLAY);
    dma_unmap(&m->memory, p, 1);
    cr_expect_eq(atomic_load(&b->flags[1]), 0);
    len = 4;
    cr_expect_null(dma_map(&m->memory, 0x1000, &len, false));
    dma_st32(&m->memory, 0x100, 0x11223344);
    cr_expect_eq(dma_ld16(&m->memory, 0x101), 0x2233);
}
