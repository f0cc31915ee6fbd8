/* RAM blocks: page numbers, refusal, notification and dirty tracking. */
#include "core/ram.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/accel.h"
#include "core/machine.h"

static uint64_t inv_offset, inv_len, armed;
static unsigned inv_n;

static void invalidate(struct machine *m, struct ram_block *b, uint64_t offset, uint64_t len)
{
    (void)m;
    (void)b;
    inv_offset = offset;
    inv_len = len;
    inv_n++;
}

static void protect(struct machine *m, struct ram_block *b, uint64_t offset, uint64_t len)
{
    (void)m;
    (void)b;
    (void)offset;
    armed += len;
}

static const struct accel_ops accel = { .name = "test", .invalidate = invalidate, .protect = protect };

static struct machine *m;

static void setup(void)
{
    m = machine_new();
    m->accel = &accel;
    machine_lock(m);
}

static void teardown(void)
{
    machine_unlock(m);
    machine_free(m);
}

TestSuite(ram, .init = setup, .fini = teardown);

Test(ram, blocks_are_found_by_page_and_by_address)
{
    struct ram_block *a = ram_new(m, "a", 5 << 20, false, NULL), *b = ram_new(m, "b", 0x3000, true, NULL);
    uint64_t offset;

    cr_expect_eq((uintptr_t)a->host % (2 << 20), 0);
    cr_expect_eq(ram_find_page(m, a->first_page + 3), a);
    cr_expect_eq(ram_find_page(m, b->first_page + 2), b);
    cr_expect_null(ram_find_page(m, b->first_page + 3));
    cr_expect_null(ram_find_page(m, a->first_page + (5 << 8)));
    cr_expect_eq(ram_find_host(m, b->host + 0x2fff, &offset), b);
    cr_expect_eq(offset, 0x2fff);
    cr_expect_null(ram_find_host(m, &offset, &offset));
    a->host[(5 << 20) - 1] = 1;
}

Test(ram, more_than_the_host_has_is_refused)
{
    GError *err = NULL;

    cr_expect_null(ram_new(m, "huge", 1ull << 50, false, &err));
    cr_expect(strstr(err->message, "MiB of guest memory are more than this host has"), "%s", err->message);
    g_clear_error(&err);
    cr_expect_eq(m->ram->len, 0);
}

Test(ram, stores_reach_who_must_know)
{
    struct ram_block *b = ram_new(m, "a", 0x4000, false, NULL);

    ram_store_notify(m, b, 0, 0x4000);
    cr_expect_eq(inv_n, 0);
    atomic_store(&b->flags[1], RAM_CODE | RAM_CLEAN_DISPLAY);
    atomic_store(&b->flags[2], RAM_CLEAN_DISPLAY | RAM_CLEAN_MIGRATION);
    ram_store_notify(m, b, 0xffe, 4);
    cr_expect(inv_n == 1 && inv_offset == 0x1000 && inv_len == 2);
    cr_expect_eq(atomic_load(&b->flags[1]), RAM_CODE);
    ram_store_notify(m, b, 0x1ff0, 0x20);
    cr_expect(inv_n == 2 && inv_offset == 0x1ff0 && inv_len == 0x10);
    cr_expect_eq(atomic_load(&b->flags[2]), 0);
}

static void collect(void *opaque, uint64_t offset, uint64_t len)
{
    g_string_append_printf(opaque, "%lx+%lx ", (unsigned long)offset, (unsigned long)len);
}

Test(ram, dirty_pages_are_collected_once)
{
    struct ram_block *b = ram_new(m, "a", 0x8000, false, NULL);
    GString *s = g_string_new(NULL);

    ram_collect_dirty(m, b, RAM_CLEAN_DISPLAY, 0, 0x8000, collect, s);
    cr_expect_str_eq(s->str, "0+8000 ");
    cr_expect_eq(armed, 0x8000);
    g_string_truncate(s, 0);
    ram_store_notify(m, b, 0x1fff, 2);
    ram_store_notify(m, b, 0x5000, 1);
    ram_collect_dirty(m, b, RAM_CLEAN_DISPLAY, 0, 0x8000, collect, s);
    cr_expect_str_eq(s->str, "1000+2000 5000+1000 ");
    g_string_truncate(s, 0);
    ram_collect_dirty(m, b, RAM_CLEAN_DISPLAY, 0, 0x8000, collect, s);
    cr_expect_str_eq(s->str, "");
    ram_collect_dirty(m, b, RAM_CLEAN_MIGRATION, 0x2000, 0x1000, collect, s);
    cr_expect_str_eq(s->str, "2000+1000 ");
    g_string_free(s, TRUE);
}
