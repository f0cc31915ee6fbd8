/*
 * Drives: requests with checks, statistics and policies on errors; media and trays. See block/block.h.
 */
#include <errno.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "block/block_priv.h"

static gboolean on_event(gint fd, GIOCondition c, gpointer opaque)
{
    uint64_t count;
    (void)c;
    while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR) {
    }
    block_dispatch(opaque, NULL);
    return G_SOURCE_CONTINUE;
}

/* Refused requests come back from the main loop like all others. */
static void refused_submit(struct node *n, struct block_req *r)
{
    (void)n;
    block_complete(r, r->result);
}

static const struct node_class refused_class = { .name = "refused", .submit = refused_submit };

struct drives *drives_new(const struct drives_hooks *hooks)
{
    struct drives *all = g_new0(struct drives, 1);
    if (hooks) {
        all->hooks = *hooks;
    }
    all->drives = g_ptr_array_new();
    all->nodes = g_ptr_array_new();
    g_mutex_init(&all->lock);
    all->last = &all->finished;
    all->refused = (struct node){ .class = &refused_class, .all = all };
    all->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (all->event < 0) {
        g_error("eventfd: %s", g_strerror(errno));
    }
    all->source = g_unix_fd_source_new(all->event, G_IO_IN);
    g_source_set_callback(all->source, G_SOURCE_FUNC(on_event), all, NULL);
    g_source_attach(all->source, NULL);
    return all;
}

static void drive_free(struct drive *d)
{
    g_ptr_array_remove(d->all->drives, d);
    node_unref(d->medium);
    g_free(d->id);
    g_free(d->serial);
    g_free(d);
}

void drives_free(struct drives *all)
{
    if (!all) {
        return;
    }
    for (unsigned i = 0; i < all->drives->len; i++) {
        drive_cancel(g_ptr_array_index(all->drives, i));
    }
    drives_flush(all);
    while (all->drives->len) {
        drive_free(g_ptr_array_index(all->drives, 0));
    }
    for (unsigned i = 0; i < all->nodes->len;) {
        struct node *n = g_ptr_array_index(all->nodes, i);
        if (n->listed) {
            n->listed = false;
            node_unref(n);
            i = 0;
        } else {
            i++;
        }
    }
    if (all->pool) {
        g_thread_pool_free(all->pool, FALSE, TRUE);
    }
    if (all->uring) {
        all->uring->class->close(all->uring);
    }
    g_source_destroy(all->source);
    g_source_unref(all->source);
    close(all->event);
    g_mutex_clear(&all->lock);
    g_ptr_array_free(all->drives, TRUE);
    g_ptr_array_free(all->nodes, TRUE);
    g_free(all);
}

void drives_drain(struct drives *all)
{
    for (unsigned i = 0; i < all->drives->len; i++) {
        drive_drain(g_ptr_array_index(all->drives, i));
    }
}

int drives_flush(struct drives *all)
{
    int first = 0;
    for (unsigned i = 0; i < all->drives->len; i++) {
        struct drive *d = g_ptr_array_index(all->drives, i);
        if (d->medium && !d->medium->read_only) {
            int e = node_run(d->medium, BLOCK_FLUSH, 0, NULL, 0);
            first = first ? first : e;
        }
    }
    return first;
}

unsigned drives_count(const struct drives *all) { return all ? all->drives->len : 0; }
struct drive *drives_at(const struct drives *all, unsigned n) { return g_ptr_array_index(all->drives, n); }

struct drive *drive_find(const struct drives *all, const char *id)
{
    for (unsigned i = 0; i < drives_count(all); i++) {
        struct drive *d = drives_at(all, i);
        if (!g_strcmp0(d->id, id)) {
            return d;
        }
    }
    return NULL;
}

struct drive *drive_find_any(const struct drives *all, const char *name)
{
    struct drive *d = drive_find(all, name);
    for (unsigned i = 0; !d && i < drives_count(all); i++) {
        struct drive *x = drives_at(all, i);
        d = x->claimed && !g_strcmp0(x->port.device_id, name) ? x : NULL;
    }
    return d;
}

struct drive *drive_by_place(const struct drives *all, enum drive_if i, int bus, int unit)
{
    for (unsigned n = 0; n < drives_count(all); n++) {
        struct drive *d = drives_at(all, n);
        if (d->interface == i && d->bus == bus && d->unit == unit) {
            return d;
        }
    }
    return NULL;
}

/* --- devices take drives --- */

static struct drive *anonymous(struct drives *all)
{
    struct drive *d = g_new0(struct drive, 1);
    d->all = all;
    d->bus = d->unit = -1;
    d->interface = DRIVE_NONE;
    d->write_cache = true;
    g_ptr_array_add(all->drives, d);
    return d;
}

static struct drive *claim(struct drive *d, const struct drive_port *port)
{
    d->claimed = d->was_claimed = true;
    d->port = *port;
    d->tray_open = d->tray_locked = false;
    return d;
}

struct drive *drive_claim(struct drives *all, const char *name, const struct drive_port *port, GError **err)
{
    struct drive *d = drive_find(all, name);
    struct node *n = d || !all ? NULL : node_find(all, name);
    if (!d && !n) {
        error_set(err, EMU_ERROR_NOT_FOUND, "Property 'drive' can't find value '%s'", name);
        return NULL;
    }
    if (n) {
        for (unsigned i = 0; i < all->drives->len; i++) {
            struct drive *x = drives_at(all, i);
            if (x->medium == n && x->claimed) {
                error_set(err, EMU_ERROR_INVALID, "Conflicts with use by a block device as 'root', which does not allow 'write' on %s", name);
                return NULL;
            }
        }
        d = anonymous(all);
        d->medium = n;
        d->write_cache = !n->write_through;
        d->detect_zeroes = n->detect_zeroes;
        d->detect_unmap = n->detect_unmap;
        node_ref(n);
    } else if (d->claimed || d->auto_made) {
        error_set(err, EMU_ERROR_INVALID, "Drive '%s' is already in use by another block device%s", name,
                  d->interface != DRIVE_NONE ? " (did you mean if=none?)" : "");
        return NULL;
    }
    return claim(d, port);
}

struct drive *drive_claim_empty(struct drives *all, const struct drive_port *port)
{
    return claim(anonymous(all), port);
}

void drive_release(struct drive *d)
{
    if (!d) {
        return;
    }
    drive_cancel(d);
    d->claimed = false;
    d->port = (struct drive_port){ 0 };
    if (!d->id) {
        drive_free(d);
    }
}

uint64_t drive_size(const struct drive *d) { return d->medium ? d->medium->size : 0; }
bool drive_read_only(const struct drive *d) { return d->read_only || (d->medium && d->medium->read_only); }
bool drive_discards(const struct drive *d) { return d->medium && d->medium->discard; }

/* --- requests --- */

static bool is_write(enum block_op op) { return op == BLOCK_WRITE || op == BLOCK_ZERO || op == BLOCK_DISCARD; }

static bool all_zero(const struct block_req *r)
{
    for (unsigned i = 0; i < r->n_iov; i++) {
        const uint8_t *p = r->iov[i].iov_base;
        size_t len = r->iov[i].iov_len;
        if (len && (p[0] || memcmp(p, p + 1, len - 1))) {
            return false;
        }
    }
    return r->bytes > 0;
}

/* Would block 0 become the header of another form? Then the next start would read it as that. */
static bool turns_into_image(const struct drive *d, const struct block_req *r)
{
    uint8_t head[BLOCK_SECTOR];
    size_t n = 0;
    if (!d->probed_raw || r->op != BLOCK_WRITE || r->offset) {
        return false;
    }
    for (unsigned i = 0; i < r->n_iov && n < sizeof(head); i++) {
        size_t take = MIN(r->iov[i].iov_len, sizeof(head) - n);
        memcpy(head + n, r->iov[i].iov_base, take);
        n += take;
    }
    return probe_header(head, n) != NULL;
}

static int check(const struct drive *d, const struct block_req *r)
{
    if (!d->medium) {
        return ENOMEDIUM;
    }
    if (r->op != BLOCK_FLUSH && (r->bytes > d->medium->size || r->offset > d->medium->size - r->bytes)) {
        return EIO;
    }
    if ((r->offset | r->bytes) % BLOCK_SECTOR) {
        return EINVAL;
    }
    if (is_write(r->op) && drive_read_only(d)) {
        return EACCES;
    }
    return turns_into_image(d, r) ? EPERM : 0;
}

static void drive_done(struct block_req *r, int error);

static void start(struct drive *d, struct block_req *r)
{
    r->up = drive_done;
    r->op = r->orig_op;
    r->offset = r->orig_offset;
    if (r->op == BLOCK_WRITE && d->detect_zeroes && all_zero(r)) {
        r->op = BLOCK_ZERO;
        r->flags |= d->detect_unmap ? BLOCK_MAY_UNMAP : 0;
    }
    d->in_flight++;
    node_submit(d->medium, r);
}

/* True: the request waits until the machine goes on. */
static bool park(struct drive *d, struct block_req *r, int *error)
{
    bool write = r->op != BLOCK_READ;
    enum drive_on_error policy = write ? d->on_write : d->on_read;
    if (policy == ON_ERROR_DEFAULT) {
        policy = write ? ON_ERROR_ENOSPC : ON_ERROR_REPORT;
    }
    if (policy == ON_ERROR_IGNORE) {
        *error = 0;
        return false;
    }
    if (policy == ON_ERROR_REPORT || (policy == ON_ERROR_ENOSPC && *error != ENOSPC) || !d->all->hooks.stop) {
        return false;
    }
    struct block_req **at = &d->parked;
    while (*at) {
        at = &(*at)->next;
    }
    r->next = NULL;
    *at = r;
    d->io_error = true;
    d->no_space = *error == ENOSPC;
    d->all->hooks.stop(d->all->hooks.opaque, d, *error);
    return true;
}

static void drive_done(struct block_req *r, int error)
{
    struct drive *d = r->drive;
    d->in_flight--;
    r->op = r->orig_op;
    r->offset = r->orig_offset;
    if (error && error != ECANCELED && park(d, r, &error)) {
        return;
    }
    d->stats.time_ns[r->op] += (uint64_t)(g_get_monotonic_time() - r->began) * 1000;
    d->stats.failed[r->op] += error != 0;
    if (!error) {
        d->stats.ops[r->op]++;
        d->stats.bytes[r->op] += r->bytes;
        if (r->op == BLOCK_WRITE && r->offset + r->bytes > d->stats.highest) {
            d->stats.highest = r->offset + r->bytes;
        }
    }
    r->done(r, error);
}

static void refused_done(struct block_req *r, int error)
{
    r->drive->in_flight--;
    r->done(r, error);
}

void drive_submit(struct drive *d, struct block_req *r)
{
    int e = check(d, r);
    r->drive = d;
    r->began = d->stats.last = g_get_monotonic_time();
    r->orig_op = r->op;
    r->orig_offset = r->offset;
    if (!d->write_cache && (r->op == BLOCK_WRITE || r->op == BLOCK_ZERO)) {
        r->flags |= BLOCK_FUA;
    }
    if (e) {
        d->stats.invalid[r->op]++;
        d->in_flight++;
        r->up = refused_done;
        r->result = e;
        node_submit(&d->all->refused, r);
        return;
    }
    start(d, r);
}

void drive_plug(struct drive *d)
{
    d->all->plugged++;
}

void drive_unplug(struct drive *d)
{
    if (!--d->all->plugged && d->all->uring) {
        d->all->uring->class->unplug(d->all->uring);
    }
}

void drive_cancel(struct drive *d)
{
    drive_drain(d);
    while (d->parked) {
        struct block_req *r = d->parked;
        d->parked = r->next;
        r->done(r, ECANCELED);
    }
}

void drives_resume(struct drives *all)
{
    for (unsigned i = 0; i < all->drives->len; i++) {
        struct drive *d = drives_at(all, i);
        struct block_req *list = d->parked;
        d->parked = NULL;
        d->io_error = d->no_space = false;
        while (list) {
            struct block_req *r = list;
            list = r->next;
            if (d->medium) {
                start(d, r);
            } else {
                r->done(r, ENOMEDIUM);
            }
        }
    }
}

int drive_read_now(struct drive *d, uint64_t offset, void *buf, size_t len)
{
    if (!d->medium) {
        return ENOMEDIUM;
    }
    return len > d->medium->size || offset > d->medium->size - len ? EIO : node_run(d->medium, BLOCK_READ, offset, buf, len);
}

/* --- media --- */

void drive_set_tray(struct drive *d, bool open)
{
    d->tray_open = open;
}

void drive_lock_tray(struct drive *d, bool locked)
{
    d->tray_locked = locked;
}

/* Takes the medium out. */
static void remove_medium(struct drive *d)
{
    struct node *n = d->medium;
    drive_cancel(d);
    d->medium = NULL;
    if (n && d->port.medium) {
        d->port.medium(d->port.opaque, false);
    }
    node_unref(n);
}

static bool open_tray(struct drive *d, bool force, GError **err)
{
    if (d->claimed && !d->port.removable) {
        return error_set(err, EMU_ERROR_INVALID, "Device '%s' is not removable", d->id ? d->id : d->port.device_id);
    }
    if (d->tray_locked && !force && !d->tray_open) {
        if (d->port.eject_request) {
            d->port.eject_request(d->port.opaque, force);
        }
        return error_set(err, EMU_ERROR_FAILED,
                         "Device '%s' is locked and force was not specified, wait for tray to open and try again", d->id ? d->id : d->port.device_id);
    }
    return true;
}

bool drive_eject(struct drive *d, bool force, GError **err)
{
    if (!open_tray(d, force, err)) {
        return false;
    }
    remove_medium(d);
    d->tray_open = d->port.tray;
    return true;
}

bool drive_change_node(struct drive *d, struct node *n, bool force, GError **err)
{
    if (!open_tray(d, force, err)) {
        return false;
    }
    remove_medium(d);
    d->medium = n;
    d->tray_open = false;
    d->probed_raw = n->probed_raw;
    if (d->port.medium) {
        d->port.medium(d->port.opaque, true);
    }
    return true;
}

bool drive_resize(struct drive *d, uint64_t bytes, GError **err)
{
    if (!d->medium) {
        return error_set(err, EMU_ERROR_FAILED, "Device '%s' has no medium", d->id);
    }
    if (!d->medium->class->resize) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "Image format driver does not support resize");
    }
    drive_drain(d);
    if (!d->medium->class->resize(d->medium, (bytes + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR, err)) {
        return false;
    }
    if (d->port.resized) {
        d->port.resized(d->port.opaque);
    }
    return true;
}

bool drive_delete(struct drive *d, GError **err)
{
    if (d->claimed) {
        return error_set(err, EMU_ERROR_INVALID, "Drive '%s' is in use", d->id);
    }
    drive_cancel(d);
    drive_free(d);
    return true;
}

void drive_info(const struct drive *d, struct node_info *info)
{
    *info = (struct node_info){ 0 };
    if (d->medium) {
        *info = (struct node_info){ .name = d->medium->name, .driver = d->medium->class->name, .file = d->medium->filename,
            .read_only = drive_read_only(d), .write_back = d->write_cache, .direct = d->medium->direct, .no_flush = d->medium->no_flush,
            .discard = d->medium->discard, .detect_zeroes = d->detect_zeroes };
    }
}
