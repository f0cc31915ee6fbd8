/*
 * Nodes that do I/O on a host file or block device: opening, size, locks, alignment. The transfers are the engines' work.
 *
 * Locks are byte-range locks on the open file description, at the places that QEMU uses, so that both keep off each other's images: byte 100+p is held
 * for a permission p that we use, 200+p for one that others may not have (p: 0 read, 1 write).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "block/block_priv.h"

enum { LOCK_USED = 100, LOCK_REFUSED = 200, PERM_READ = 0, PERM_WRITE = 1 };

static int lock_byte(int fd, unsigned byte, int op, short type)
{
    struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
    if (fcntl(fd, op, &l)) {
        return errno;
    }
    return op == F_OFD_GETLK && l.l_type != F_UNLCK ? EAGAIN : 0;
}

static bool lock_image(struct file *f, const struct file_conf *c, GError **err)
{
    struct {
        unsigned byte;
        const char *what;                /* lock of others that stands against it */
        unsigned against;
    } const rows[] = {
        { LOCK_USED + PERM_READ, "consistent read", LOCK_REFUSED + PERM_READ },
        { LOCK_REFUSED + PERM_WRITE, f->node.read_only ? "shared \"write\"" : "\"write\"", LOCK_USED + PERM_WRITE },
        { LOCK_USED + PERM_WRITE, "\"write\"", LOCK_REFUSED + PERM_WRITE },
    };
    unsigned n = f->node.read_only ? 2 : 3;
    if (c->locking == LOCKING_OFF || f->device) {
        return true;
    }
    for (unsigned i = 0; i < n; i++) {
        int e = lock_byte(f->fd, rows[i].byte, F_OFD_SETLK, F_RDLCK);
        if (e && e != EAGAIN && e != EACCES) {
            if (c->locking == LOCKING_AUTO) {
                return true;             /* a file system without locks */
            }
            return error_set(err, EMU_ERROR_HOST, "Failed to lock '%s': %s", c->filename, g_strerror(e));
        }
    }
    for (unsigned i = 0; i < n; i++) {
        if (lock_byte(f->fd, rows[i].against, F_OFD_GETLK, F_WRLCK) == EAGAIN) {
            return error_set(err, EMU_ERROR_HOST, "Failed to get %s lock\nIs another process using the image [%s]?", rows[i].what, c->filename);
        }
    }
    return true;
}

#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x2000u
#endif

/* What O_DIRECT asks for: the host says so, or we try. */
static void find_alignment(struct file *f)
{
    struct statx sx = { 0 };
    int block = 0;
    f->align = f->align_memory = 1;
    if (!f->node.direct) {
        return;
    }
    f->align = f->align_memory = 4096;
#ifdef __GLIBC__
    if (!statx(f->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) && (sx.stx_mask & STATX_DIOALIGN)) {
        const uint32_t *dio = (const uint32_t *)((const char *)&sx + 0x98);    /* stx_dio_mem_align, stx_dio_offset_align: newer than our headers */
        if (dio[0] && dio[1]) {
            f->align_memory = dio[0];
            f->align = dio[1];
            return;
        }
    }
#endif
    if (f->device && !ioctl(f->fd, BLKSSZGET, &block) && block > 0) {
        f->align = f->align_memory = (uint32_t)block;
        return;
    }
    void *buf;
    if (!posix_memalign(&buf, 4096, 4096)) {
        if (pread(f->fd, buf, BLOCK_SECTOR, 0) >= 0 && pread(f->fd, buf, BLOCK_SECTOR, BLOCK_SECTOR) >= 0) {
            f->align = BLOCK_SECTOR;
        }
        free(buf);
    }
}

static void file_submit(struct node *n, struct block_req *r)
{
    struct file *f = (struct file *)n;
    if ((r->op == BLOCK_DISCARD && !n->discard) || (r->op == BLOCK_FLUSH && n->no_flush)) {
        block_complete(r, 0);
        return;
    }
    bool simple = r->op == BLOCK_FLUSH ? !f->lost : (r->op == BLOCK_READ || r->op == BLOCK_WRITE) && file_node_aligned(f, r);
    if (!f->engine || !simple) {
        pool_submit(f, r);
        return;
    }
    f->engine->class->submit(f->engine, f, r);
}

static void file_close(struct node *n)
{
    struct file *f = (struct file *)n;
    g_mutex_clear(&f->rmw);
    if (f->fd >= 0) {
        close(f->fd);
    }
}

static bool file_resize(struct node *n, uint64_t bytes, GError **err)
{
    struct file *f = (struct file *)n;
    if (f->device) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "a host device cannot be resized");
    }
    if (ftruncate(f->fd, (off_t)bytes)) {
        return error_set(err, EMU_ERROR_HOST, "Failed to resize '%s': %s", n->filename, g_strerror(errno));
    }
    n->size = bytes;
    return true;
}

static const struct node_class file_class = { .name = "file", .submit = file_submit, .close = file_close, .resize = file_resize };
static const struct node_class device_class = { .name = "host_device", .submit = file_submit, .close = file_close, .resize = file_resize };

static int open_path(const struct file_conf *c, bool *read_only)
{
    int flags = O_CLOEXEC | (c->direct ? O_DIRECT : 0);
    if (!c->read_only) {
        int fd = open(c->filename, flags | O_RDWR);
        if (fd >= 0 || !c->auto_read_only || (errno != EACCES && errno != EROFS && errno != EPERM)) {
            *read_only = false;
            return fd;
        }
    }
    *read_only = true;
    return open(c->filename, flags | O_RDONLY);
}

/* The engine for aio=. NULL without error: worker threads. */
static struct engine *find_engine(struct drives *all, const struct file_conf *c, GError **err)
{
    GError *why = NULL;
    if (!g_strcmp0(c->aio, "threads")) {
        return NULL;
    }
    if (!all->uring && !all->uring_tried) {
        all->uring = uring_engine.open(all, &why);
        all->uring_tried = true;
    }
    if (!all->uring && !g_strcmp0(c->aio, "io_uring")) {
        if (why) {
            g_propagate_error(err, why);
        } else {
            error_set(err, EMU_ERROR_HOST, "io_uring is not to be had on this host");
        }
        return NULL;
    }
    g_clear_error(&why);
    return all->uring;
}

static bool find_size(struct file *f, const struct stat *st, GError **err)
{
    uint64_t size = (uint64_t)st->st_size;
    if (f->device && ioctl(f->fd, BLKGETSIZE64, &size)) {
        return error_set(err, EMU_ERROR_HOST, "Could not get the size of '%s': %s", f->node.filename, g_strerror(errno));
    }
    f->node.size = (size + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;
    return true;
}

struct node *file_node_open(struct drives *all, const struct file_conf *c, GError **err)
{
    struct stat st;
    GError *why = NULL;
    if (g_str_has_prefix(c->filename, "/dev/fdset/")) {
        error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: '%s' (-add-fd); /proc/self/fd/N names an inherited descriptor", c->filename);
        return NULL;
    }
    if (c->direct == false && !g_strcmp0(c->aio, "native")) {
        error_set(err, EMU_ERROR_INVALID, "aio=native was specified, but it requires cache.direct=on, which was not specified.");
        return NULL;
    }
    struct file *f = g_new0(struct file, 1);
    f->fd = open_path(c, &f->node.read_only);
    int e = errno;
    g_mutex_init(&f->rmw);
    node_init(&f->node, g_str_has_prefix(c->driver, "host_") ? &device_class : &file_class, all, c->name);
    f->node.filename = g_strdup(c->filename);
    f->node.direct = c->direct;
    f->node.no_flush = c->no_flush;
    f->node.discard = c->discard;
    if (f->fd < 0 || fstat(f->fd, &st)) {
        e = f->fd < 0 ? e : errno;
        error_set(err, EMU_ERROR_HOST, "Could not open '%s': %s%s", c->filename, g_strerror(e),
                  c->direct && e == EINVAL ? " (the file system may not support O_DIRECT: cache=none, directsync)" : "");
        goto fail;
    }
    f->device = S_ISBLK(st.st_mode);
    if (f->device && f->node.class == &file_class) {
        f->node.class = &device_class;
    }
    if (!f->device && !S_ISREG(st.st_mode)) {
        error_set(err, EMU_ERROR_INVALID, "Could not open '%s': %s", c->filename,
                  S_ISDIR(st.st_mode) ? g_strerror(EISDIR) : "it is neither a regular file nor a block device");
        goto fail;
    }
    if (!f->device && f->node.class == &device_class) {
        error_set(err, EMU_ERROR_INVALID, "'%s' is not a block device; driver=file is for regular files", c->filename);
        goto fail;
    }
    if (!find_size(f, &st, err) || !lock_image(f, c, err)) {
        goto fail;
    }
    find_alignment(f);
    f->engine = find_engine(all, c, &why);
    if (why) {
        g_propagate_error(err, why);
        goto fail;
    }
    return &f->node;
fail:
    node_unref(&f->node);
    return NULL;
}
