/*
 * Nodes that compute: `raw` (the guest's bytes as they are, or a window of them) and `null-co` (reads as nothing, keeps nothing).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/block_priv.h"

struct raw {
    struct node node;
    uint64_t offset;
    bool window;                         /* size= was given: it stays */
};

static void raw_submit(struct node *n, struct block_req *r)
{
    struct raw *w = (struct raw *)n;
    if (r->op == BLOCK_DISCARD && !n->discard) {
        block_complete(r, 0);
        return;
    }
    r->offset += w->offset;
    node_submit(n->child, r);
}

static bool raw_resize(struct node *n, uint64_t bytes, GError **err)
{
    struct raw *w = (struct raw *)n;
    if (w->window || !n->child->class->resize) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "Image format driver does not support resize");
    }
    if (!n->child->class->resize(n->child, bytes + w->offset, err)) {
        return false;
    }
    n->size = bytes;
    return true;
}

static const struct node_class raw_class = { .name = "raw", .submit = raw_submit, .resize = raw_resize };

struct node *raw_node_open(struct node *child, uint64_t offset, uint64_t size, const char *name, GError **err)
{
    if (offset % BLOCK_SECTOR || size % BLOCK_SECTOR) {
        error_set(err, EMU_ERROR_INVALID, "offset= and size= of a raw image are multiples of %u", BLOCK_SECTOR);
        return NULL;
    }
    if (offset > child->size || size > child->size - offset) {
        error_set(err, EMU_ERROR_INVALID, "offset= and size= lie beyond the end of '%s' (%" PRIu64 " bytes)", child->filename, child->size);
        return NULL;
    }
    struct raw *w = g_new0(struct raw, 1);
    node_init(&w->node, &raw_class, child->all, name);
    w->node.child = child;
    w->node.filename = g_strdup(child->filename);
    w->node.size = size ? size : child->size - offset;
    w->node.read_only = child->read_only;
    w->node.direct = child->direct;
    w->node.no_flush = child->no_flush;
    w->node.discard = child->discard;
    w->offset = offset;
    w->window = size != 0;
    return &w->node;
}

struct null {
    struct node node;
    bool zeroes;
};

static void null_submit(struct node *n, struct block_req *r)
{
    for (unsigned i = 0; r->op == BLOCK_READ && ((struct null *)n)->zeroes && i < r->n_iov; i++) {
        memset(r->iov[i].iov_base, 0, r->iov[i].iov_len);
    }
    block_complete(r, 0);
}

static const struct node_class null_class = { .name = "null-co", .submit = null_submit };

struct node *null_node_open(struct drives *all, const struct file_conf *c, uint64_t size, bool zeroes, GError **err)
{
    if (size % BLOCK_SECTOR) {
        error_set(err, EMU_ERROR_INVALID, "size= of a null device is a multiple of %u", BLOCK_SECTOR);
        return NULL;
    }
    struct null *n = g_new0(struct null, 1);
    node_init(&n->node, &null_class, all, c->name);
    n->node.filename = g_strdup("null-co://");
    n->node.size = size;
    n->node.read_only = c->read_only;
    n->zeroes = zeroes;
    return &n->node;
}
