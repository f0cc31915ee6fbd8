/*
 * Regions and address spaces: the tree, its flattening, and accesses. See core/region.h.
 *
 * Flattening walks the tree from high to low priority and gives each leaf what is still uncovered of its place.
 * Positions are 128-bit inside, so that aliases and regions that reach the end of the space need no special case.
 *
 * A replaced view is retired with a number (priv->epoch). A vCPU notes the number each time it holds no view; a retired
 * view is freed once every vCPU has a later note or is outside. All other readers hold the machine lock.
 */
#include "core/region.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "core/machine_priv.h"

/* --- tree --- */

static void region_init(struct region *r, const char *name, enum region_kind kind, uint64_t size)
{
    *r = (struct region){ .name = name, .kind = kind, .size = size, .enabled = true };
}

void region_init_container(struct region *r, const char *name, uint64_t size)
{
    region_init(r, name, REGION_CONTAINER, size);
}

void region_init_ram(struct region *r, const char *name, struct ram_block *ram, uint64_t offset, uint64_t size)
{
    g_assert(offset <= ram->size && size <= ram->size - offset);
    region_init(r, name, REGION_RAM, size);
    r->ram = ram;
    r->ram_offset = offset;
    r->readonly = ram->readonly;
}

void region_init_io(struct region *r, const char *name, const struct region_ops *ops, void *opaque, uint64_t size)
{
    region_init(r, name, REGION_IO, size);
    r->ops = ops;
    r->opaque = opaque;
}

void region_init_alias(struct region *r, const char *name, struct region *target, uint64_t offset, uint64_t size)
{
    region_init(r, name, REGION_ALIAS, size);
    r->target = target;
    r->target_offset = offset;
    target->aliases = g_list_prepend(target->aliases, r);
}

/* The machine whose address spaces show the region, or NULL while its tree hangs from none. */
static struct machine *region_machine(struct region *r)
{
    struct machine *m = NULL;

    for (; r && !m; r = r->parent) {
        if (r->space) {
            return r->space->machine;
        }
        for (GList *a = r->aliases; a && !m; a = a->next) {
            m = region_machine(a->data);
        }
    }
    return m;
}

/* --- flattening --- */

typedef __int128 wide;   /* a position that may lie before 0 or at 2^64 */

#define WIDE_TOP ((wide)1 << 64)

static wide region_size(const struct region *r)
{
    return r->size == UINT64_MAX ? WIDE_TOP : (wide)r->size;
}

/* What is still uncovered of [from, to) goes to the leaf `r`, whose byte 0 lies at `base`. */
static void cover(GArray *flat, struct region *r, wide base, wide from, wide to, bool readonly)
{
    for (unsigned i = 0; from < to; i++) {
        struct flat_range *next = i < flat->len ? &g_array_index(flat, struct flat_range, i) : NULL;
        wide start = next ? (wide)next->start : to;

        if (next && start + next->size <= from) {
            continue;
        }
        if (start > from) {
            wide end = MIN(start, to);
            struct flat_range piece = {
                .start = (uint64_t)from,
                .size = end - from == WIDE_TOP ? UINT64_MAX : (uint64_t)(end - from),
                .region = r,
                .offset = (uint64_t)(from - base) + (r->kind == REGION_RAM ? r->ram_offset : 0),
                .readonly = readonly,
            };

            g_array_insert_val(flat, i, piece);
            i++;                               /* `next` has moved up by one */
        }
        from = next ? start + g_array_index(flat, struct flat_range, i).size : to;
    }
}

static void flatten(GArray *flat, struct region *r, wide base, wide from, wide to, bool readonly, unsigned depth)
{
    from = MAX(from, base);
    to = MIN(to, base + region_size(r));
    if (!r->enabled || from >= to) {
        return;
    }
    g_assert(depth < 64);                      /* an alias that shows itself */
    readonly = readonly || r->readonly;
    switch (r->kind) {
    case REGION_CONTAINER:
        for (GList *l = r->children; l; l = l->next) {
            struct region *child = l->data;

            flatten(flat, child, base + child->addr, from, to, readonly, depth + 1);
        }
        break;
    case REGION_ALIAS:
        flatten(flat, r->target, base - r->target_offset, from, to, readonly, depth + 1);
        break;
    default:
        cover(flat, r, base, from, to, readonly);
        break;
    }
}

static bool joins(const struct flat_range *a, const struct flat_range *b)
{
    bool same = a->region->kind == REGION_RAM ? b->region->kind == REGION_RAM && a->region->ram == b->region->ram
                                              : a->region == b->region;

    return same && a->start + a->size == b->start && a->offset + a->size == b->offset && a->readonly == b->readonly;
}

static struct flat_view *view_make(struct region *root)
{
    GArray *flat = g_array_new(FALSE, FALSE, sizeof(struct flat_range));
    struct flat_view *v;
    unsigned n = 0;

    flatten(flat, root, 0, 0, WIDE_TOP, false, 0);
    for (unsigned i = 0; i < flat->len; i++) {
        struct flat_range *r = &g_array_index(flat, struct flat_range, i);
        struct flat_range *last = n ? &g_array_index(flat, struct flat_range, n - 1) : NULL;

        if (last && joins(last, r)) {
            last->size += r->size;
        } else {
            g_array_index(flat, struct flat_range, n) = *r;
            n++;
        }
    }
    v = g_malloc(sizeof(*v) + n * sizeof(v->r[0]));
    v->n = n;
    if (n) {
        memcpy(v->r, flat->data, n * sizeof(v->r[0]));
    }
    g_array_free(flat, TRUE);
    return v;
}

static bool view_equal(const struct flat_view *a, const struct flat_view *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (unsigned i = 0; i < a->n; i++) {
        const struct flat_range *x = &a->r[i], *y = &b->r[i];

        if (x->start != y->start || x->size != y->size || x->region != y->region || x->offset != y->offset ||
            x->readonly != y->readonly) {
            return false;
        }
    }
    return true;
}

/* --- views --- */

static void views_reclaim(struct machine_priv *p, struct machine *m)
{
    uint64_t oldest = UINT64_MAX, e;
    unsigned kept = 0;

    for (unsigned i = 0; i < m->n_cpus; i++) {
        e = atomic_load(&m->cpus[i]->view_epoch);
        oldest = e ? MIN(oldest, e) : oldest;
    }
    for (unsigned i = 0; i < p->retired->len; i++) {
        struct retired_view *r = &g_array_index(p->retired, struct retired_view, i);

        if (r->epoch <= oldest) {
            g_free(r->view);
        } else {
            g_array_index(p->retired, struct retired_view, kept) = *r;
            kept++;
        }
    }
    g_array_set_size(p->retired, kept);
}

static void space_update(struct address_space *as)
{
    struct machine_priv *p = as->machine->priv;
    struct flat_view *to = view_make(as->root), *from = atomic_load(&as->view);
    struct retired_view old = { .view = from };

    as->pending = false;
    if (view_equal(from, to)) {
        g_free(to);
        return;
    }
    atomic_store(&as->view, to);
    as->layout++;
    old.epoch = atomic_fetch_add(&p->epoch, 1) + 1;
    for (GList *l = as->listeners; l; l = l->next) {
        struct region_listener *listener = l->data;

        listener->changed(listener->opaque, as, from, to);
    }
    if (log_on(LOG_PAGE)) {
        GString *s = g_string_new(NULL);

        address_space_dump(as, s);
        log_printf(LOG_PAGE, "%s", s->str);
        g_string_free(s, TRUE);
    }
    g_array_append_val(p->retired, old);
    views_reclaim(p, as->machine);
}

void region_begin(struct machine *m)
{
    g_assert(machine_locked(m));
    for (unsigned i = 0; i < m->priv->spaces->len; i++) {
        ((struct address_space *)g_ptr_array_index(m->priv->spaces, i))->depth++;
    }
}

void region_commit(struct machine *m)
{
    g_assert(machine_locked(m));
    for (unsigned i = 0; i < m->priv->spaces->len; i++) {
        struct address_space *as = g_ptr_array_index(m->priv->spaces, i);

        g_assert(as->depth);
        if (--as->depth == 0 && as->pending) {
            space_update(as);
        }
    }
}

/* Something below the region's root has changed. Every space is made anew: comparing is cheaper than tracking aliases. */
static void region_changed(struct region *r)
{
    struct machine *m = region_machine(r);

    if (!m) {
        return;
    }
    region_begin(m);
    for (unsigned i = 0; i < m->priv->spaces->len; i++) {
        ((struct address_space *)g_ptr_array_index(m->priv->spaces, i))->pending = true;
    }
    region_commit(m);
}

void region_add(struct region *parent, struct region *child, uint64_t addr, int priority)
{
    GList *l = parent->children;

    g_assert(parent->kind == REGION_CONTAINER && !child->parent && !child->space);
    child->parent = parent;
    child->addr = addr;
    child->priority = priority;
    while (l && ((struct region *)l->data)->priority > priority) {
        l = l->next;
    }
    parent->children = g_list_insert_before(parent->children, l, child);
    region_changed(parent);
}

void region_del(struct region *child)
{
    struct region *parent = child->parent;

    g_assert(parent);
    parent->children = g_list_remove(parent->children, child);
    child->parent = NULL;
    region_changed(parent);
}

void region_move(struct region *child, uint64_t addr)
{
    if (child->addr != addr) {
        child->addr = addr;
        region_changed(child);
    }
}

void region_set_enabled(struct region *r, bool on)
{
    if (r->enabled != on) {
        r->enabled = on;
        region_changed(r);
    }
}

void region_set_readonly(struct region *r, bool on)
{
    if (r->readonly != on) {
        r->readonly = on;
        region_changed(r);
    }
}

void address_space_init(struct address_space *as, struct machine *m, const char *name, struct region *root)
{
    *as = (struct address_space){ .machine = m, .name = name, .root = root, .layout = 1 };
    root->space = as;
    atomic_store(&as->view, view_make(root));
    g_ptr_array_add(m->priv->spaces, as);
}

void address_space_listen(struct address_space *as, struct region_listener *l)
{
    as->listeners = g_list_append(as->listeners, l);
    l->changed(l->opaque, as, NULL, region_view(as));
}

void address_space_unlisten(struct address_space *as, struct region_listener *l) { as->listeners = g_list_remove(as->listeners, l); }

/* The machine ends: no vCPU is left. Regions themselves belong to their devices. */
void regions_fini(struct machine *m)
{
    struct machine_priv *p = m->priv;

    for (unsigned i = 0; i < p->retired->len; i++) {
        g_free(g_array_index(p->retired, struct retired_view, i).view);
    }
    for (unsigned i = 0; i < p->spaces->len; i++) {
        struct address_space *as = g_ptr_array_index(p->spaces, i);

        g_free(atomic_load(&as->view));
        g_list_free(as->listeners);
        g_list_free(as->root->children);
        g_list_free(as->root->aliases);
    }
    g_array_free(p->retired, TRUE);
    g_ptr_array_free(p->spaces, TRUE);
}

const struct flat_view *region_view(struct address_space *as)
{
    return atomic_load_explicit(&as->view, memory_order_acquire);
}

const struct flat_range *region_find(const struct flat_view *v, uint64_t addr)
{
    unsigned lo = 0, hi = v->n;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        const struct flat_range *r = &v->r[mid];

        if (addr < r->start) {
            hi = mid;
        } else if (addr - r->start < r->size) {
            return r;
        } else {
            lo = mid + 1;
        }
    }
    return NULL;
}

/* --- device accesses --- */

static uint64_t size_mask(unsigned size)
{
    return size == 8 ? UINT64_MAX : ((uint64_t)1 << (8 * size)) - 1;
}

static uint64_t swap_bytes(uint64_t v, unsigned size)
{
    return GUINT64_SWAP_LE_BE(v) >> (64 - 8 * size);
}

/* Bytes of the next piece of an access with `left` bytes to go at `offset`: what the device declared, and aligned. */
static unsigned piece_size(const struct region_ops *ops, uint64_t offset, unsigned left)
{
    unsigned max = ops->max_size ? ops->max_size : 4, n = MIN(left, max);

    n = n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1;
    if (!ops->unaligned) {
        while (offset & (n - 1)) {
            n >>= 1;
        }
    }
    return n;
}

static bool access_allowed(const struct flat_range *r, uint64_t offset, unsigned size, bool write)
{
    unsigned max = r->region->ops->max_access;

    if (max && size > max) {
        log_guest("%s: %u-byte %s at offset 0x%" PRIx64 ", at most %u bytes allowed", r->region->name, size,
                  write ? "write" : "read", offset, max);
        return false;
    }
    return true;
}

static enum access_status io_read(const struct flat_range *r, uint64_t offset, unsigned size, uint64_t *value)
{
    const struct region_ops *ops = r->region->ops;
    unsigned min = ops->min_size ? ops->min_size : 1, done = 0, n, wide_n, shift;
    enum access_status status = ACCESS_OK, s;
    uint64_t v, at;

    *value = size_mask(size);
    if (!access_allowed(r, offset, size, false)) {
        return ACCESS_ERROR;
    }
    while (done < size) {
        n = wide_n = piece_size(ops, offset + done, size - done);
        at = offset + done;
        shift = 0;
        if (n < min) {
            /* Narrower than the register: read it whole and take the part. */
            wide_n = min;
            at &= ~(uint64_t)(min - 1);
            shift = (unsigned)(offset + done - at);
            n = MIN(min - shift, size - done);
        }
        v = 0;
        s = ops->read ? ops->read(r->region->opaque, at, wide_n, &v) : ACCESS_ERROR;
        if (s != ACCESS_OK) {
            status = s;
            v = UINT64_MAX;
        } else if (ops->big_endian) {
            v = swap_bytes(v, wide_n);
        }
        v = (v >> (8 * shift)) & size_mask(n);
        *value = (*value & ~(size_mask(n) << (8 * done))) | v << (8 * done);
        done += n;
    }
    return status;
}

static enum access_status io_write(const struct flat_range *r, uint64_t offset, unsigned size, uint64_t value)
{
    const struct region_ops *ops = r->region->ops;
    unsigned min = ops->min_size ? ops->min_size : 1, done = 0, n, wide_n;
    enum access_status status = ACCESS_OK, s;
    uint64_t v;

    if (!access_allowed(r, offset, size, true)) {
        return ACCESS_ERROR;
    }
    while (done < size) {
        n = wide_n = piece_size(ops, offset + done, size - done);
        v = (value >> (8 * done)) & size_mask(n);
        if (n < min) {
            /* Narrower than the register: its low part, or nothing (the rest of the register cannot be guessed). */
            if ((offset + done) & (min - 1)) {
                log_guest("%s: %u-byte write at offset 0x%" PRIx64 ", registers have %u bytes", r->region->name, size,
                          offset, min);
                return ACCESS_ERROR;
            }
            wide_n = min;
            n = MIN(min, size - done);
            v = (value >> (8 * done)) & size_mask(n);
        }
        if (ops->big_endian) {
            v = swap_bytes(v, wide_n);
        }
        s = ops->write ? ops->write(r->region->opaque, offset + done, wide_n, v) : ACCESS_ERROR;
        status = s != ACCESS_OK ? s : status;
        done += n;
    }
    return status;
}

/* Single-copy atomic when aligned, as the guest's own accesses are. */
static uint64_t host_load(const void *p, unsigned size)
{
    uint64_t v = 0;

    if ((uintptr_t)p & (size - 1)) {
        memcpy(&v, p, size);
        return v;
    }
    switch (size) {
    case 1: return __atomic_load_n((const uint8_t *)p, __ATOMIC_ACQUIRE);
    case 2: return __atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE);
    case 4: return __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE);
    default: return __atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE);
    }
}

static void host_store(void *p, unsigned size, uint64_t v)
{
    if ((uintptr_t)p & (size - 1)) {
        memcpy(p, &v, size);
        return;
    }
    switch (size) {
    case 1: __atomic_store_n((uint8_t *)p, (uint8_t)v, __ATOMIC_RELEASE); break;
    case 2: __atomic_store_n((uint16_t *)p, (uint16_t)v, __ATOMIC_RELEASE); break;
    case 4: __atomic_store_n((uint32_t *)p, (uint32_t)v, __ATOMIC_RELEASE); break;
    default: __atomic_store_n((uint64_t *)p, v, __ATOMIC_RELEASE); break;
    }
}

enum access_status range_read(struct machine *m, const struct flat_range *r, uint64_t offset, unsigned size, uint64_t *value)
{
    enum access_status s;
    bool lock;

    if (r->region->kind == REGION_RAM) {
        *value = host_load(r->region->ram->host + r->offset + offset, size);
        return ACCESS_OK;
    }
    lock = !r->region->ops->unlocked && !machine_locked(m);
    if (lock) {
        machine_lock(m);
    }
    s = io_read(r, r->offset + offset, size, value);
    if (lock) {
        machine_unlock(m);
    }
    return s;
}

enum access_status range_write(struct machine *m, const struct flat_range *r, uint64_t offset, unsigned size, uint64_t value)
{
    enum access_status s;
    bool lock;

    /* Read-only memory with a device's functions: the device hears of writes (flash). */
    if (r->readonly && (r->region->kind != REGION_RAM || !r->region->ops)) {
        log_guest("%s: write to read-only memory at offset 0x%" PRIx64, r->region->name, offset);
        return ACCESS_OK;
    }
    if (r->region->kind == REGION_RAM && !r->readonly) {
        host_store(r->region->ram->host + r->offset + offset, size, value);
        ram_store_notify(m, r->region->ram, r->offset + offset, size);
        return ACCESS_OK;
    }
    lock = !r->region->ops->unlocked && !machine_locked(m);
    if (lock) {
        machine_lock(m);
    }
    s = io_write(r, r->offset - (r->region->kind == REGION_RAM ? r->region->ram_offset : 0) + offset, size, value);
    if (lock) {
        machine_unlock(m);
    }
    return s;
}

static const struct flat_range *find_whole(struct address_space *as, uint64_t addr, unsigned size)
{
    const struct flat_range *r = region_find(region_view(as), addr);

    return r && r->size - (addr - r->start) >= size ? r : NULL;
}

enum access_status as_read(struct address_space *as, uint64_t addr, unsigned size, uint64_t *value)
{
    const struct flat_range *r = find_whole(as, addr, size);
    enum access_status status = ACCESS_NONE, s;
    uint64_t byte;

    if (r) {
        return range_read(as->machine, r, addr - r->start, size, value);
    }
    /* Over an edge: byte by byte, what is not there reads as ones. */
    *value = size_mask(size);
    for (unsigned i = 0; i < size && size > 1; i++) {
        s = as_read(as, addr + i, 1, &byte);
        *value ^= (byte ^ 0xff) << (8 * i);
        status = s == ACCESS_NONE ? status : s;
    }
    return status;
}

enum access_status as_write(struct address_space *as, uint64_t addr, unsigned size, uint64_t value)
{
    const struct flat_range *r = find_whole(as, addr, size);
    enum access_status status = ACCESS_NONE, s;

    if (r) {
        return range_write(as->machine, r, addr - r->start, size, value);
    }
    for (unsigned i = 0; i < size && size > 1; i++) {
        s = as_write(as, addr + i, 1, value >> (8 * i) & 0xff);
        status = s == ACCESS_NONE ? status : s;
    }
    return status;
}

/* --- info mtree --- */

static void region_dump(const struct region *r, uint64_t base, unsigned depth, GString *out)
{
    uint64_t last = base + (r->size ? r->size - 1 : 0);

    g_string_append_printf(out, "%*s%016" PRIx64 "-%016" PRIx64 " (prio %d, %s): ", (int)depth * 2, "", base,
                           r->size == UINT64_MAX ? UINT64_MAX : last, r->priority,
                           r->kind == REGION_IO ? "i/o" : r->kind == REGION_RAM ? (r->readonly ? "rom" : "ram")
                           : r->kind == REGION_ALIAS ? "alias" : "container");
    g_string_append_printf(out, "%s", r->name);
    if (r->kind == REGION_ALIAS) {
        g_string_append_printf(out, " @%s %016" PRIx64, r->target->name, r->target_offset);
    }
    g_string_append(out, r->enabled ? "\n" : " [disabled]\n");
    for (GList *l = r->children; l; l = l->next) {
        const struct region *child = l->data;

        region_dump(child, base + child->addr, depth + 1, out);
    }
}

void address_space_dump(struct address_space *as, GString *out)
{
    const struct flat_view *v = region_view(as);

    g_string_append_printf(out, "address-space: %s\n", as->name);
    region_dump(as->root, 0, 1, out);
    g_string_append_printf(out, "flat view of %s, %u ranges\n", as->name, v->n);
    for (unsigned i = 0; i < v->n; i++) {
        const struct flat_range *r = &v->r[i];

        g_string_append_printf(out, "  %016" PRIx64 "-%016" PRIx64 " %s: %s @%016" PRIx64 "\n", r->start,
                               r->start + r->size - 1,
                               r->region->kind == REGION_IO ? "i/o" : r->readonly ? "rom" : "ram", r->region->name, r->offset);
    }
}
