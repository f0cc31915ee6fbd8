/*
 * The cache of regions: index, links between regions, invalidation, generations.
 *
 * A region's record, exits and restore map live in the arena of its generation and go with it: a dead region stays readable
 * until then, so that readers need no lock. Invalidation unlinks a region (incoming jumps, jump tables, hash) and lets other vCPUs
 * that are in it run on; architecturally they see new code only after they serialise, and that leaves the region.
 */
#include <string.h>
#include <sys/mman.h>

#include "accel/tcg/accel_priv.h"
#include "base/error.h"

static void *reserve(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static size_t regions_room(const struct tcg_accel *ta)
{
    return ta->backend ? ta->gen_size / 16 : 16384;
}

bool code_init(struct tcg_accel *ta, GError **err)
{
    size_t chunks = (ta->cb.size >> CHUNK_BITS) + 1;

    g_mutex_init(&ta->lock);
    arena_init(&ta->scratch);
    ta->gen_size = ta->backend ? ta->cb.size / CODEBUF_GENERATIONS : 1;
    ta->hash = reserve(sizeof(*ta->hash) << HASH_BITS);
    ta->chunk_first = reserve(chunks * sizeof(*ta->chunk_first));
    for (unsigned i = 0; i < CODEBUF_GENERATIONS; i++) {
        arena_init(&ta->gens[i].arena);
        ta->gens[i].regions = reserve(regions_room(ta) * sizeof(*ta->gens[i].regions));
        if (!ta->gens[i].regions) {
            return error_set(err, EMU_ERROR_HOST, "no host memory for the index of translated code");
        }
        ta->gens[i].chunks_done = ta->backend ? ta->gen_size * i >> CHUNK_BITS : 0;
    }
    if (!ta->hash || !ta->chunk_first) {
        return error_set(err, EMU_ERROR_HOST, "no host memory for the index of translated code");
    }
    return true;
}

/* closing: the RAM may be gone already. */
static void pages_free(struct tcg_accel *ta, bool closing)
{
    for (unsigned i = 0; i < 1u << PAGE_TOP_BITS; i++) {
        for (unsigned k = 0; ta->pages[i] && k < 1u << PAGE_LEAF_BITS; k++) {
            struct code_page *cp = ta->pages[i][k];

            if (cp && !closing) {
                atomic_fetch_and(&cp->block->flags[cp->index], (uint8_t)~RAM_CODE);
            }
            g_free(cp);
        }
        g_free(ta->pages[i]);
        ta->pages[i] = NULL;
    }
    ta->n_code_pages = 0;
}

static void unmap(void *p, size_t bytes)
{
    if (p) {
        munmap(p, bytes);
    }
}

void code_fini(struct tcg_accel *ta)
{
    unmap(ta->hash, sizeof(*ta->hash) << HASH_BITS);
    unmap(ta->chunk_first, ((ta->cb.size >> CHUNK_BITS) + 1) * sizeof(*ta->chunk_first));
    for (unsigned i = 0; i < CODEBUF_GENERATIONS; i++) {
        unmap(ta->gens[i].regions, regions_room(ta) * sizeof(*ta->gens[i].regions));
        arena_free(&ta->gens[i].arena);
    }
    pages_free(ta, true);
    arena_free(&ta->scratch);
    g_mutex_clear(&ta->lock);
}

struct code_page *code_page_get(struct tcg_accel *ta, struct ram_block *b, uint64_t index)
{
    uint64_t page = b->first_page + index;
    struct code_page *cp = code_page_find(ta, page), **leaf;

    if (cp) {
        return cp;
    }
    g_assert(!(page >> (PAGE_TOP_BITS + PAGE_LEAF_BITS)));      /* 1 TiB of RAM */
    leaf = ta->pages[page >> PAGE_LEAF_BITS];
    if (!leaf) {
        leaf = g_new0(struct code_page *, 1u << PAGE_LEAF_BITS);
        __atomic_store_n(&ta->pages[page >> PAGE_LEAF_BITS], leaf, __ATOMIC_RELEASE);
    }
    cp = g_new0(struct code_page, 1);
    cp->page = page;
    cp->block = b;
    cp->index = index;
    cp->id = ta->n_code_pages < CODE_IDS ? ta->n_code_pages++ : NO_CODE_ID;
    ta->st.code_pages++;
    __atomic_store_n(&leaf[page & ((1u << PAGE_LEAF_BITS) - 1)], cp, __ATOMIC_RELEASE);
    return cp;
}

/* ---- lists ---- */

static struct code_region *_Atomic *bucket_of(struct tcg_accel *ta, const struct code_region *r)
{
    return &ta->hash[code_hash(ta, r->page, r->offset, atomic_load(&r->mode), r->salt)];
}

void code_add(struct tcg_accel *ta, struct code_region *r, struct code_page *cp, struct code_page *cp2)
{
    struct code_gen *g = &ta->gens[ta->gen];
    uint32_t n = atomic_load(&g->n);
    struct code_region *_Atomic *bucket = bucket_of(ta, r);

    r->gen = (uint8_t)ta->gen;
    g->regions[n] = r;
    if (r->rx) {
        size_t end = (size_t)(r->rx - ta->cb.rx) + r->size;

        for (; g->chunks_done << CHUNK_BITS < end; g->chunks_done++) {
            ta->chunk_first[g->chunks_done] = n;
        }
    }
    atomic_store_explicit(&g->n, n + 1, memory_order_release);
    r->page_next[0] = cp->regions;
    cp->regions = r;
    if (cp2) {
        r->page_next[1] = cp2->regions;
        cp2->regions = r;
    }
    atomic_store_explicit(&r->next, atomic_load(bucket), memory_order_relaxed);
    atomic_store_explicit(bucket, r, memory_order_release);
}

static struct code_region **page_link(const struct code_page *cp, struct code_region *r)
{
    return &r->page_next[r->page != cp->page];
}

static void page_remove(struct code_page *cp, struct code_region *r)
{
    for (struct code_region **at = &cp->regions; *at; at = page_link(cp, *at)) {
        if (*at == r) {
            *at = *page_link(cp, r);
            return;
        }
    }
}

/* ---- links ---- */

void code_link(struct tcg_accel *ta, struct code_exit *e, struct code_region *to)
{
    struct code_page *cp = code_page_find(ta, to->page);

    if (e->c.cross && cp->id == NO_CODE_ID) {
        return;
    }
    atomic_store_explicit(&e->to, to, memory_order_release);
    e->next_in = to->incoming;
    e->prev_in = &to->incoming;
    if (e->next_in) {
        e->next_in->prev_in = &e->next_in;
    }
    to->incoming = e;
    ta->backend->patch(&ta->cb, e->from->rx, &e->c, to->rx, cp->id);
    ta->st.links++;
}

static void unlink_exit(struct tcg_accel *ta, struct code_exit *e, bool patch)
{
    if (!atomic_load(&e->to)) {
        return;
    }
    if (patch) {
        ta->backend->patch(&ta->cb, e->from->rx, &e->c, NULL, 0);
        ta->st.unlinks++;
    }
    *e->prev_in = e->next_in;
    if (e->next_in) {
        e->next_in->prev_in = e->prev_in;
    }
    atomic_store(&e->to, NULL);
}

/* ---- death ---- */

static void region_kill(struct tcg_accel *ta, struct code_region *r)
{
    struct code_region *_Atomic *at = bucket_of(ta, r);
    struct code_page *cp = code_page_find(ta, r->page), *cp2 = r->crosses ? code_page_find(ta, r->page2) : NULL;

    atomic_store(&r->dead, true);
    for (; atomic_load(at); at = &atomic_load(at)->next) {
        if (atomic_load(at) == r) {
            atomic_store(at, atomic_load(&r->next));     /* r->next stays for readers that are at r */
            break;
        }
    }
    while (r->incoming) {
        unlink_exit(ta, r->incoming, true);
    }
    for (unsigned i = 0; i < r->n_exits; i++) {
        unlink_exit(ta, &r->exits[i], false);
    }
    for (unsigned i = 0; r->rx && i < ta->cpus->len; i++) {
        jump_drop(g_ptr_array_index(ta->cpus, i), r);
    }
    page_remove(cp, r);
    if (cp2) {
        page_remove(cp2, r);
    }
    ta->st.killed++;
}

static void page_bytes(const struct code_page *cp, const struct code_region *r, unsigned *from, unsigned *to)
{
    if (r->page == cp->page) {
        *from = r->offset;
        *to = MIN(r->end, PAGE_SIZE);
    } else {
        *from = 0;
        *to = r->end - PAGE_SIZE;
    }
}

/* Lines as the living regions need them; a page without any is an ordinary page again. */
static void page_settle(struct code_page *cp)
{
    uint64_t lines = 0;
    unsigned from, to;

    for (struct code_region *r = cp->regions; r; r = *page_link(cp, r)) {
        page_bytes(cp, r, &from, &to);
        lines |= line_mask(from, to);
    }
    atomic_store(&cp->lines, lines);
    if (!cp->regions) {
        atomic_fetch_and(&cp->block->flags[cp->index], (uint8_t)~RAM_CODE);
    }
}

/* ---- another mode ---- */

enum { ADOPT_MAX = 4 };

static bool all_others_out(struct accel_cpu *ac)
{
    for (unsigned i = 0; i < ac->ta->cpus->len; i++) {
        struct accel_cpu *other = g_ptr_array_index(ac->ta->cpus, i);

        if (other != ac && atomic_load(&other->running)) {
            return false;
        }
    }
    return true;
}

/*
 * A region that was made under a mode of which it does not care about the difference comes over to the mode in force (a kernel that turns
 * on floating point at boot would otherwise have everything translated twice). NULL: there is none.
 * Others must not be in it or have it in hand: they would go on from it into regions of the new mode. Who starts to run after its
 * mode has been changed finds it changed; if somebody did before that was seen to be so, it is given up.
 */
struct code_region *code_adopt(struct accel_cpu *ac, uint64_t page, unsigned offset, uint32_t salt)
{
    struct tcg_accel *ta = ac->ta;
    uint32_t mode = ac->key.mode;
    struct code_region *r = atomic_load(&ta->hash[code_hash(ta, page, offset, mode, salt)]);

    for (; r; r = atomic_load(&r->next)) {
        if (r->page == page && r->offset == offset && r->salt == salt && !atomic_load(&r->dead) && !r->crosses && !r->no_chain &&
            !r->mode_bound && !((atomic_load(&r->mode) ^ mode) & ~ta->mode_optional) && r->adopted < ADOPT_MAX) {
            break;
        }
    }
    if (!r || !all_others_out(ac)) {
        return NULL;
    }
    while (r->incoming) {
        unlink_exit(ta, r->incoming, true);
    }
    for (unsigned i = 0; i < r->n_exits; i++) {
        unlink_exit(ta, &r->exits[i], true);
    }
    atomic_store(&r->mode, mode);
    for (unsigned i = 0; r->rx && i < ta->cpus->len; i++) {
        jump_drop(g_ptr_array_index(ta->cpus, i), r);
    }
    if (!all_others_out(ac)) {
        region_kill(ta, r);
        page_settle(code_page_find(ta, page));
        return NULL;
    }
    r->adopted++;
    ta->st.adopted++;
    return r;
}

unsigned code_kill_bytes(struct tcg_accel *ta, struct code_page *cp, unsigned from, unsigned to)
{
    struct code_region *r, *next;
    unsigned a, b, n = 0;

    for (r = cp->regions; r; r = next) {
        next = *page_link(cp, r);
        page_bytes(cp, r, &a, &b);
        if (a < to && from < b) {
            region_kill(ta, r);
            n++;
        }
    }
    page_settle(cp);
    return n;
}

void tcg_invalidate(struct machine *m, struct ram_block *b, uint64_t offset, uint64_t len)
{
    struct tcg_accel *ta = m->accel_data;
    uint64_t end = offset + len, upto;

    g_mutex_lock(&ta->lock);
    ta->st.invalidations++;
    for (; offset < end; offset = upto) {
        struct code_page *cp = code_page_find(ta, b->first_page + (offset >> PAGE_BITS));
        unsigned from = offset & (PAGE_SIZE - 1);

        upto = MIN(end, (offset | (PAGE_SIZE - 1)) + 1);
        if (cp && (atomic_load(&cp->lines) & line_mask(from, from + (unsigned)(upto - offset)))) {
            code_kill_bytes(ta, cp, from, from + (unsigned)(upto - offset));
        }
    }
    g_mutex_unlock(&ta->lock);
}

/* ---- generations ---- */

bool code_gen_next(struct tcg_accel *ta)
{
    unsigned next = (ta->gen + 1) % CODEBUF_GENERATIONS;

    if (atomic_load(&ta->gens[next].n)) {
        return false;
    }
    ta->gen = next;
    if (ta->backend) {
        codebuf_next_generation(&ta->cb);
    }
    return true;
}

static void gen_empty(struct tcg_accel *ta, unsigned gen)
{
    struct code_gen *g = &ta->gens[gen];

    atomic_store(&g->n, 0);
    g->chunks_done = ta->backend ? ta->gen_size * gen >> CHUNK_BITS : 0;
    arena_reset(&g->arena);
}

void code_drop_all(struct tcg_accel *ta)
{
    if (!ta->n_code_pages) {
        return;
    }
    memset((void *)ta->hash, 0, sizeof(*ta->hash) << HASH_BITS);
    for (unsigned i = 0; i < CODEBUF_GENERATIONS; i++) {
        gen_empty(ta, i);
    }
    pages_free(ta, false);
    ta->gen = 0;
    ta->need_room = false;
    if (ta->backend) {
        codebuf_restart(&ta->cb);
    }
}

void code_gen_reclaim(struct tcg_accel *ta, unsigned gen)
{
    struct code_gen *g = &ta->gens[gen];
    uint32_t n = atomic_load(&g->n);

    for (uint32_t i = 0; i < n; i++) {
        struct code_region *r = g->regions[i];

        if (!atomic_load(&r->dead)) {
            struct code_page *cp = code_page_find(ta, r->page), *cp2 = r->crosses ? code_page_find(ta, r->page2) : NULL;

            region_kill(ta, r);
            page_settle(cp);
            if (cp2) {
                page_settle(cp2);
            }
        }
    }
    gen_empty(ta, gen);
    ta->st.reclaims++;
}
