/*
 * I/O by worker threads: the engine that always works, and the slow cases of the others (bounce buffers for O_DIRECT, short transfers,
 * discard and zeroes).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "block/block_priv.h"

#define THREADS_MAX 64
#define MAX_IOV     1024                /* of one call: UIO_MAXIOV */
#define ZERO_CHUNK  (256u << 10)

struct job {
    struct file *f;
    struct block_req *r;
};

static int flush(struct file *f)
{
    if (f->node.no_flush) {
        return 0;
    }
    /* What the kernel could not write it may have dropped from its cache: a later fdatasync would succeed without it. */
    if (__atomic_load_n(&f->lost, __ATOMIC_RELAXED)) {
        return EIO;
    }
    while (fdatasync(f->fd)) {
        if (errno != EINTR) {
            int e = errno;
            if (!f->node.direct && e != EROFS && e != EINVAL) {
                __atomic_store_n(&f->lost, true, __ATOMIC_RELAXED);
            }
            return e;
        }
    }
    return 0;
}

/* Whole transfer from `skip` bytes into the list on. What lies behind the end of the file reads as zeroes. */
static int transfer(struct file *f, bool write, const struct iovec *from, unsigned n, uint64_t offset, bool sync)
{
    g_autofree struct iovec *iov = g_memdup2(from, n * sizeof(*iov));
    unsigned i = 0;
    while (i < n) {
        unsigned count = MIN(n - i, MAX_IOV);
        ssize_t done = write ? pwritev2(f->fd, iov + i, (int)count, (off_t)offset, sync ? RWF_DSYNC : 0)
                             : preadv(f->fd, iov + i, (int)count, (off_t)offset);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return errno;
        }
        if (!done && write) {
            return ENOSPC;
        }
        if (!done) {
            for (; i < n; i++) {
                memset(iov[i].iov_base, 0, iov[i].iov_len);
            }
            return 0;
        }
        offset += (uint64_t)done;
        while (i < n && (size_t)done >= iov[i].iov_len) {
            done -= (ssize_t)iov[i++].iov_len;
        }
        if (i < n) {
            iov[i].iov_base = (char *)iov[i].iov_base + done;
            iov[i].iov_len -= (size_t)done;
        }
    }
    return 0;
}

static void copy(const struct block_req *r, uint8_t *buf, bool to_list)
{
    for (unsigned i = 0; i < r->n_iov; i++) {
        if (to_list) {
            memcpy(r->iov[i].iov_base, buf, r->iov[i].iov_len);
        } else {
            memcpy(buf, r->iov[i].iov_base, r->iov[i].iov_len);
        }
        buf += r->iov[i].iov_len;
    }
}

/* O_DIRECT with a request whose memory or place the file cannot take. */
static int bounce(struct file *f, struct block_req *r, bool sync)
{
    uint64_t from = r->offset / f->align * f->align;
    uint64_t to = (r->offset + r->bytes + f->align - 1) / f->align * f->align;
    bool write = r->op == BLOCK_WRITE, partial = from != r->offset || to != r->offset + r->bytes;
    void *buf;
    if (posix_memalign(&buf, MAX(f->align_memory, 4096u), to - from)) {
        return ENOMEM;
    }
    struct iovec iov = { buf, to - from };
    int e = 0;
    if (write && partial) {
        g_mutex_lock(&f->rmw);
    }
    if (!write || partial) {
        e = transfer(f, false, &iov, 1, from, false);
    }
    if (!e && write) {
        copy(r, (uint8_t *)buf + (r->offset - from), false);
        e = transfer(f, true, &iov, 1, from, sync);
    } else if (!e) {
        copy(r, (uint8_t *)buf + (r->offset - from), true);
    }
    if (write && partial) {
        g_mutex_unlock(&f->rmw);
    }
    free(buf);
    return e;
}

static int write_zeroes(struct file *f, uint64_t offset, uint64_t bytes)
{
    void *zero;
    int e = 0;
    if (posix_memalign(&zero, 4096, ZERO_CHUNK)) {
        return ENOMEM;
    }
    memset(zero, 0, ZERO_CHUNK);
    while (!e && bytes) {
        size_t len = MIN(bytes, ZERO_CHUNK);
        struct iovec iov = { zero, len };
        struct block_req part = { .op = BLOCK_WRITE, .offset = offset, .bytes = len, .iov = &iov, .n_iov = 1 };
        e = offset % f->align || len % f->align ? bounce(f, &part, false) : transfer(f, true, &iov, 1, offset, false);
        offset += len;
        bytes -= len;
    }
    free(zero);
    return e;
}

static bool not_there(int e)
{
    return e == EOPNOTSUPP || e == ENOTTY || e == ENOSYS || e == EINVAL;
}

static int zero(struct file *f, struct block_req *r)
{
    int mode = FALLOC_FL_KEEP_SIZE | (r->flags & BLOCK_MAY_UNMAP && f->node.discard ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
    uint64_t range[2] = { r->offset, r->bytes };
    int e = 0;
    if (f->device ? ioctl(f->fd, BLKZEROOUT, range) : fallocate(f->fd, mode, (off_t)r->offset, (off_t)r->bytes)) {
        e = errno;
    }
    if (not_there(e)) {
        e = write_zeroes(f, r->offset, r->bytes);
    }
    return e ? e : r->flags & BLOCK_FUA ? flush(f) : 0;
}

static int discard(struct file *f, const struct block_req *r)
{
    uint64_t range[2] = { r->offset, r->bytes };
    if (f->device ? ioctl(f->fd, BLKDISCARD, range)
                  : fallocate(f->fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, (off_t)r->offset, (off_t)r->bytes)) {
        return not_there(errno) ? 0 : errno;           /* a hint; the data may stay */
    }
    return 0;
}

static bool aligned(const struct file *f, const struct block_req *r)
{
    if ((r->offset | r->bytes) & (f->align - 1)) {
        return false;
    }
    for (unsigned i = 0; f->align_memory > 1 && i < r->n_iov; i++) {
        if (((uintptr_t)r->iov[i].iov_base & (f->align_memory - 1)) || (r->iov[i].iov_len & (f->align - 1))) {
            return false;
        }
    }
    return true;
}

static int perform(struct file *f, struct block_req *r)
{
    bool sync = r->flags & BLOCK_FUA && !f->node.no_flush;
    switch (r->op) {
    case BLOCK_READ:
    case BLOCK_WRITE:
        return aligned(f, r) ? transfer(f, r->op == BLOCK_WRITE, r->iov, r->n_iov, r->offset, sync) : bounce(f, r, sync);
    case BLOCK_FLUSH:
        return flush(f);
    case BLOCK_ZERO:
        return zero(f, r);
    default:
        return discard(f, r);
    }
}

static void work(gpointer data, gpointer unused)
{
    struct job *j = data;
    struct block_req *r = j->r;
    struct file *f = j->f;
    (void)unused;
    g_free(j);
    block_complete(r, perform(f, r));
}

void pool_submit(struct file *f, struct block_req *r)
{
    struct drives *all = f->node.all;
    struct job *j = g_new(struct job, 1);
    *j = (struct job){ f, r };
    if (!all->pool) {
        all->pool = g_thread_pool_new(work, NULL, THREADS_MAX, FALSE, NULL);
    }
    g_thread_pool_push(all->pool, j, NULL);
}

bool file_node_aligned(const struct file *f, const struct block_req *r)
{
    return aligned(f, r);
}
