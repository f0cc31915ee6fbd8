/*
 * -snapshot: writes go to an unlinked temporary file, at the place they would have in the image; a bit per sector says which sectors are there. So
 * nothing is copied on write, and a read is cut where the bit changes. The bits are zero pages until they are used.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "block/block_priv.h"

struct snapshot {
    struct node node;                    /* child: the image */
    struct node *top;                    /* the temporary file */
    uint64_t *bits;
    size_t bits_size;
};

/* A guest's request in pieces. */
struct split {
    struct block_req *parent;
    struct snapshot *s;
    unsigned left;
    int error;
    struct iovec *iov;                   /* all pieces' lists */
    struct piece {
        struct block_req r;              /* first: up() casts back */
        struct split *split;
        uint64_t at;                     /* in the image, whatever the nodes below make of r.offset */
    } piece[];
};

static bool bit(const struct snapshot *s, uint64_t sector) { return s->bits[sector / 64] >> sector % 64 & 1; }

/* End of the run of equal bits that begins at `sector`. */
static uint64_t run_end(const struct snapshot *s, uint64_t sector, uint64_t end)
{
    bool first = bit(s, sector);
    uint64_t whole = first ? UINT64_MAX : 0;
    while (sector < end && bit(s, sector) == first) {
        if (sector % 64 == 0 && end - sector >= 64 && s->bits[sector / 64] == whole) {
            sector += 64;
        } else {
            sector++;
        }
    }
    return sector;
}

static void set_bits(struct snapshot *s, uint64_t from, uint64_t end)
{
    for (; from < end; from++) {
        if (from % 64 == 0 && end - from >= 64) {
            s->bits[from / 64] = UINT64_MAX;
            from += 63;
        } else {
            s->bits[from / 64] |= 1ull << from % 64;
        }
    }
}

static void piece_done(struct block_req *r, int error)
{
    struct piece *p = (struct piece *)r;
    struct split *sp = p->split;
    struct block_req *parent = sp->parent;
    if (error && !sp->error) {
        sp->error = error;
    }
    if (!error && (r->op == BLOCK_WRITE || r->op == BLOCK_ZERO)) {
        set_bits(sp->s, p->at / BLOCK_SECTOR, (p->at + r->bytes) / BLOCK_SECTOR);
    }
    if (--sp->left) {
        return;
    }
    int e = sp->error;
    g_free(sp->iov);
    g_free(sp);
    parent->up(parent, e);
}

/* Appends to `to` what lies at [skip, skip+len) of the parent's list. */
static unsigned slice(const struct block_req *r, uint64_t skip, uint64_t len, struct iovec *to)
{
    unsigned n = 0;
    for (unsigned i = 0; i < r->n_iov && len; i++) {
        if (skip >= r->iov[i].iov_len) {
            skip -= r->iov[i].iov_len;
            continue;
        }
        uint64_t take = MIN(r->iov[i].iov_len - skip, len);
        to[n++] = (struct iovec){ (char *)r->iov[i].iov_base + skip, take };
        len -= take;
        skip = 0;
    }
    return n;
}

static struct split *split_new(struct snapshot *s, struct block_req *r, unsigned pieces)
{
    struct split *sp = g_malloc0(sizeof(*sp) + pieces * sizeof(sp->piece[0]));
    sp->parent = r;
    sp->s = s;
    sp->left = pieces;
    for (unsigned i = 0; i < pieces; i++) {
        sp->piece[i] = (struct piece){ .r = { .op = r->op, .flags = r->flags, .offset = r->offset, .bytes = r->bytes, .iov = r->iov,
            .n_iov = r->n_iov, .drive = r->drive, .up = piece_done }, .split = sp, .at = r->offset };
    }
    return sp;
}

static void submit_read(struct snapshot *s, struct block_req *r)
{
    uint64_t first = r->offset / BLOCK_SECTOR, end = (r->offset + r->bytes) / BLOCK_SECTOR;
    unsigned pieces = 0;
    for (uint64_t at = first; at < end; at = run_end(s, at, end)) {
        pieces++;
    }
    struct split *sp = split_new(s, r, pieces);
    sp->iov = g_new(struct iovec, r->n_iov + pieces);
    struct iovec *iov = sp->iov;
    unsigned i = 0;
    for (uint64_t at = first; at < end; i++) {
        uint64_t next = run_end(s, at, end);
        struct block_req *c = &sp->piece[i].r;
        c->offset = at * BLOCK_SECTOR;
        c->bytes = (next - at) * BLOCK_SECTOR;
        c->iov = iov;
        c->n_iov = slice(r, c->offset - r->offset, c->bytes, iov);
        iov += c->n_iov;
        at = next;
    }
    /* The last completion frees all of it, but that comes from the main loop, not from in here. */
    for (i = 0; i < pieces; i++) {
        struct block_req *c = &sp->piece[i].r;
        node_submit(bit(s, c->offset / BLOCK_SECTOR) ? s->top : s->node.child, c);
    }
}

static void snapshot_submit(struct node *n, struct block_req *r)
{
    struct snapshot *s = (struct snapshot *)n;
    if (r->op == BLOCK_READ) {
        submit_read(s, r);
    } else if (r->op == BLOCK_WRITE || r->op == BLOCK_ZERO) {
        node_submit(s->top, &split_new(s, r, 1)->piece[0].r);
    } else {
        block_complete(r, 0);            /* flush: it dies with us; discard: stays as it is */
    }
}

static void snapshot_close(struct node *n)
{
    struct snapshot *s = (struct snapshot *)n;
    munmap(s->bits, s->bits_size);
    node_unref(s->top);
}

static const struct node_class snapshot_class = { .name = "snapshot", .submit = snapshot_submit, .close = snapshot_close };

struct node *snapshot_node_open(struct node *base, GError **err)
{
    const char *dir = g_getenv("TMPDIR") ? g_getenv("TMPDIR") : "/var/tmp";
    g_autofree char *path = g_build_filename(dir, "emu-snapshot-XXXXXX", NULL);
    int fd = g_mkstemp_full(path, O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)base->size)) {
        error_set(err, EMU_ERROR_HOST, "Could not make a temporary file in %s: %s", dir, g_strerror(errno));
        if (fd >= 0) {
            close(fd);
            unlink(path);
        }
        return NULL;
    }
    struct file_conf c = { .driver = "file", .filename = path, .no_flush = true, .discard = true, .locking = LOCKING_OFF };
    struct node *top = file_node_open(base->all, &c, err);
    unlink(path);
    close(fd);
    if (!top) {
        return NULL;
    }
    size_t bytes = (base->size / BLOCK_SECTOR / 64 + 1) * sizeof(uint64_t);
    uint64_t *bits = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bits == MAP_FAILED) {
        error_set(err, EMU_ERROR_HOST, "No memory for the map of a snapshot: %s", g_strerror(errno));
        node_unref(top);
        return NULL;
    }
    struct snapshot *s = g_new0(struct snapshot, 1);
    node_init(&s->node, &snapshot_class, base->all, NULL);
    s->node.child = base;
    s->node.size = base->size;
    s->node.filename = g_strdup(base->filename);
    s->node.no_flush = true;
    s->top = top;
    s->bits = bits;
    s->bits_size = bytes;
    return &s->node;
}
