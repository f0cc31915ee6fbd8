/*
 * I/O by io_uring: one ring for all files of the process, completions by the same eventfd that worker threads use. Requests between
 * drive_plug() and drive_unplug() go to the kernel in one call. What the kernel did not finish whole goes on in a worker thread.
 */
#include "block/block_priv.h"

#ifdef CONFIG_URING

#include <errno.h>
#include <liburing.h>

#define ENTRIES 256
#define MAX_IOV 1024

struct uring {
    struct engine e;
    struct io_uring ring;
    unsigned pending;                    /* prepared, not yet submitted */
    unsigned in_kernel;
};

static struct engine *uring_open(struct drives *all, GError **err)
{
    struct uring *u = g_new0(struct uring, 1);
    struct io_uring_params p = { .flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP, .cq_entries = 4096 };
    int e = -io_uring_queue_init_params(ENTRIES, &u->ring, &p);
    if (e) {
        g_free(u);
        error_set(err, EMU_ERROR_HOST, "io_uring: %s", g_strerror(e));
        return NULL;
    }
    e = -io_uring_register_eventfd(&u->ring, all->event);
    if (e) {
        io_uring_queue_exit(&u->ring);
        g_free(u);
        error_set(err, EMU_ERROR_HOST, "io_uring: %s", g_strerror(e));
        return NULL;
    }
    u->e.all = all;
    u->e.class = &uring_engine;
    return &u->e;
}

static void uring_flush(struct engine *e)
{
    struct uring *u = (struct uring *)e;
    while (u->pending) {
        int n = io_uring_submit(&u->ring);
        if (n == -EINTR) {
            continue;
        }
        if (n <= 0) {
            break;                       /* the host is short of memory now: reap() tries again */
        }
        u->pending -= MIN((unsigned)n, u->pending);
    }
}

static void uring_submit(struct engine *e, struct file *f, struct block_req *r)
{
    struct uring *u = (struct uring *)e;
    struct io_uring_sqe *s = r->n_iov <= MAX_IOV && r->bytes <= INT32_MAX ? io_uring_get_sqe(&u->ring) : NULL;
    if (!s && u->pending) {
        uring_flush(e);
        s = r->n_iov <= MAX_IOV && r->bytes <= INT32_MAX ? io_uring_get_sqe(&u->ring) : NULL;
    }
    if (!s) {
        pool_submit(f, r);
        return;
    }
    if (r->op == BLOCK_FLUSH) {
        io_uring_prep_fsync(s, f->fd, IORING_FSYNC_DATASYNC);
    } else if (r->op == BLOCK_READ) {
        io_uring_prep_readv(s, f->fd, r->iov, r->n_iov, r->offset);
    } else {
        io_uring_prep_writev(s, f->fd, r->iov, r->n_iov, r->offset);
        s->rw_flags = r->flags & BLOCK_FUA && !f->node.no_flush ? RWF_DSYNC : 0;
    }
    io_uring_sqe_set_data(s, r);
    u->pending++;
    u->in_kernel++;
    if (!e->all->plugged) {
        uring_flush(e);
    }
}

static void uring_reap(struct engine *e)
{
    struct uring *u = (struct uring *)e;
    struct io_uring_cqe *c;
    if (u->pending && !e->all->plugged) {
        uring_flush(e);
    }
    while (u->in_kernel && !io_uring_peek_cqe(&u->ring, &c)) {
        struct block_req *r = io_uring_cqe_get_data(c);
        int res = c->res;
        struct file *f = (struct file *)r->node;
        io_uring_cqe_seen(&u->ring, c);
        u->in_kernel--;
        if (r->op == BLOCK_FLUSH && res < 0) {
            f->lost |= !f->node.direct;
            block_complete_quiet(r, -res);
        } else if (r->op == BLOCK_FLUSH || (res >= 0 && (uint64_t)res == r->bytes)) {
            block_complete_quiet(r, 0);
        } else if (res >= 0 || res == -EAGAIN || res == -EINTR || res == -EINVAL || res == -EOPNOTSUPP) {
            pool_submit(f, r);           /* short, or not possible this way: all of it again */
        } else {
            block_complete_quiet(r, -res);
        }
    }
}

static void uring_close(struct engine *e)
{
    struct uring *u = (struct uring *)e;
    io_uring_queue_exit(&u->ring);
    g_free(u);
}

const struct engine_class uring_engine = {
    .name = "io_uring", .open = uring_open, .submit = uring_submit, .unplug = uring_flush, .reap = uring_reap, .close = uring_close,
};

#else

static struct engine *uring_open(struct drives *all, GError **err)
{
    (void)all;
    error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: aio=io_uring (built without liburing); there is aio=threads");
    return NULL;
}

const struct engine_class uring_engine = { .name = "io_uring", .open = uring_open };

#endif
