/*
 * RAM blocks: see core/ram.h. Memory is reserved, not committed; pages come as the guest touches them.
 */
#include "core/ram.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "core/accel.h"
#include "core/machine.h"

#define HUGE_PAGE ((uint64_t)2 << 20)

/* Memory and swap of the host in bytes; 0 when it does not say. */
static void host_memory(uint64_t *memory, uint64_t *swap)
{
    FILE *f = fopen("/proc/meminfo", "re");
    char line[256];
    unsigned long long kib;

    *memory = *swap = 0;
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "MemTotal: %llu kB", &kib) == 1) {
            *memory = (uint64_t)kib << 10;
        } else if (sscanf(line, "SwapTotal: %llu kB", &kib) == 1) {
            *swap = (uint64_t)kib << 10;
        }
    }
    if (f) {
        fclose(f);
    }
}

static bool host_has_room(struct machine *m, uint64_t size, GError **err)
{
    uint64_t memory, swap, used = 0;

    for (unsigned i = 0; i < m->ram->len; i++) {
        used += ((struct ram_block *)g_ptr_array_index(m->ram, i))->size;
    }
    host_memory(&memory, &swap);
    if (memory && size + used > memory + swap) {
        return error_set(err, EMU_ERROR_HOST, "%" G_GUINT64_FORMAT " MiB of guest memory are more than this host has "
                         "(%" G_GUINT64_FORMAT " MiB and %" G_GUINT64_FORMAT " MiB swap)",
                         (size + used) >> 20, memory >> 20, swap >> 20);
    }
    return true;
}

static void *reserve(uint64_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

/* Large blocks start at a huge page, so that guest and host large pages coincide. */
static uint8_t *reserve_guest(uint64_t size)
{
    uint8_t *p, *start;

    if (size < HUGE_PAGE) {
        return reserve(size);
    }
    p = reserve(size + HUGE_PAGE);
    if (!p) {
        return NULL;
    }
    start = (uint8_t *)(((uintptr_t)p + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    if (start > p) {
        munmap(p, (size_t)(start - p));
    }
    munmap(start + size, (size_t)(p + HUGE_PAGE - start));
    madvise(start, size, MADV_HUGEPAGE);
    return start;
}

static void ram_release(struct ram_block *b)
{
    uint64_t pages = b->size >> PAGE_BITS;

    if (b->host) {
        munmap(b->host, b->size);
    }
    if (b->flags) {
        munmap((void *)b->flags, pages);
    }
    if (b->writers) {
        munmap((void *)b->writers, pages * sizeof(*b->writers));
    }
    g_free(b->name);
    g_free(b);
}

struct ram_block *ram_new(struct machine *m, const char *name, uint64_t size, bool readonly, GError **err)
{
    struct ram_block *b;
    uint64_t pages = size >> PAGE_BITS;

    g_assert(machine_locked(m) && size && !(size & ~PAGE_MASK));
    if (!host_has_room(m, size, err)) {
        return NULL;
    }
    b = g_new0(struct ram_block, 1);
    b->name = g_strdup(name);
    b->size = size;
    b->readonly = readonly;
    b->host = reserve_guest(size);
    b->flags = reserve(pages);
    b->writers = reserve(pages * sizeof(*b->writers));
    if (!b->host || !b->flags || !b->writers) {
        error_set(err, EMU_ERROR_HOST, "no host memory for %s (%" G_GUINT64_FORMAT " MiB): %s", name, size >> 20,
                  g_strerror(errno));
        ram_release(b);
        return NULL;
    }
    /* One page number is left out between blocks, so that no range of page numbers runs over a block's end. */
    b->first_page = m->ram_pages;
    m->ram_pages += pages + 1;
    g_ptr_array_add(m->ram, b);
    return b;
}

void ram_free_all(struct machine *m)
{
    for (unsigned i = 0; i < m->ram->len; i++) {
        ram_release(g_ptr_array_index(m->ram, i));
    }
    g_ptr_array_set_size(m->ram, 0);
    m->main_ram = NULL;
}

struct ram_block *ram_find_page(struct machine *m, uint64_t page)
{
    for (unsigned i = 0; i < m->ram->len; i++) {
        struct ram_block *b = g_ptr_array_index(m->ram, i);

        if (page - b->first_page < b->size >> PAGE_BITS) {
            return b;
        }
    }
    return NULL;
}

struct ram_block *ram_find_host(struct machine *m, const void *host, uint64_t *offset)
{
    for (unsigned i = 0; i < m->ram->len; i++) {
        struct ram_block *b = g_ptr_array_index(m->ram, i);
        uint64_t o = (uintptr_t)host - (uintptr_t)b->host;

        if (o < b->size) {
            *offset = o;
            return b;
        }
    }
    return NULL;
}

void ram_store_notify(struct machine *m, struct ram_block *b, uint64_t offset, uint64_t len)
{
    uint64_t end = offset + len;

    /* Pairs with the translator, which sets RAM_CODE and then reads the bytes: one of the two sees the other. */
    atomic_thread_fence(memory_order_seq_cst);
    for (uint64_t at = offset; at < end; at = (at | (PAGE_SIZE - 1)) + 1) {
        _Atomic uint8_t *flags = &b->flags[at >> PAGE_BITS];
        uint8_t f = atomic_load_explicit(flags, memory_order_relaxed);

        if (G_LIKELY(!f)) {
            continue;
        }
        if (f & ~RAM_CODE) {
            atomic_fetch_and(flags, RAM_CODE);
        }
        if ((f & RAM_CODE) && m->accel && m->accel->invalidate) {
            m->accel->invalidate(m, b, at, MIN(end, (at | (PAGE_SIZE - 1)) + 1) - at);
        }
    }
}

void ram_collect_dirty(struct machine *m, struct ram_block *b, uint8_t client, uint64_t offset, uint64_t len,
                       void (*fn)(void *opaque, uint64_t offset, uint64_t len), void *opaque)
{
    GArray *runs = g_array_new(FALSE, FALSE, 2 * sizeof(uint64_t));
    uint64_t first = offset >> PAGE_BITS, last = (offset + len + PAGE_SIZE - 1) >> PAGE_BITS, run[2];

    if (m->accel && m->accel->dirty_sync) {
        m->accel->dirty_sync(m, b, offset, len);
    }

    for (uint64_t page = first; page < last; page++) {
        if (atomic_load_explicit(&b->flags[page], memory_order_relaxed) & client) {
            continue;
        }
        atomic_fetch_or(&b->flags[page], client);
        if (runs->len) {
            uint64_t *prev = &g_array_index(runs, uint64_t, 2 * (runs->len - 1));

            if (prev[0] + prev[1] == page << PAGE_BITS) {
                prev[1] += PAGE_SIZE;
                continue;
            }
        }
        run[0] = page << PAGE_BITS;
        run[1] = PAGE_SIZE;
        g_array_append_val(runs, run);
    }
    for (unsigned i = 0; i < runs->len; i++) {
        uint64_t *r = &g_array_index(runs, uint64_t, 2 * i);

        if (m->accel && m->accel->protect) {
            m->accel->protect(m, b, r[0], r[1]);
        }
        fn(opaque, r[0], r[1]);
    }
    g_array_free(runs, TRUE);
}
