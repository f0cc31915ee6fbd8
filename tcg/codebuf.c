/*
 * The code cache's memory. See codebuf.h. W^X holds at all times: one view is writable, the other executable.
 */
#include "tcg/codebuf.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

#define POPULATE ((size_t)2 << 20)
#define THUNKS   ((size_t)256 << 10)    /* room for thunks at the start of generation 0 */

static size_t gen_start(const struct tcg_codebuf *cb, unsigned gen)
{
    size_t at = cb->size / CODEBUF_GENERATIONS * gen;

    return gen ? at : cb->thunk_end;
}

/* Touches [populated, upto) of both views, a huge page at a time: page faults are dearer than the bytes. Failure only costs speed. */
static void populate(struct tcg_codebuf *cb, size_t upto)
{
    while (cb->populated < upto && cb->populated < cb->size) {
        size_t n = MIN(POPULATE, cb->size - cb->populated);
#ifdef MADV_POPULATE_WRITE
        madvise(cb->rw + cb->populated, n, MADV_POPULATE_WRITE);
        madvise(cb->rx + cb->populated, n, MADV_POPULATE_READ);
#endif
        cb->populated += n;
    }
}

bool codebuf_init(struct tcg_codebuf *cb, size_t size, GError **err)
{
    size_t unit = (size_t)CODEBUF_GENERATIONS * 65536;
    int fd;
    uint8_t *at;

    memset(cb, 0, sizeof *cb);
    size = MAX((size + unit - 1) / unit * unit, 16 * unit);
    fd = memfd_create("emu-code", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
        g_set_error(err, G_FILE_ERROR, g_file_error_from_errno(errno), "code cache of %zu bytes: %s", size, g_strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    /* aligned to 2 MiB, so that a host that gives memfd huge pages can */
    at = mmap(NULL, 2 * size + POPULATE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at != MAP_FAILED) {
        uint8_t *base = (uint8_t *)(((uintptr_t)at + POPULATE - 1) & ~(uintptr_t)(POPULATE - 1));
        cb->rx = mmap(base, size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0);
        cb->rw = mmap(base + size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    }
    close(fd);
    if (at == MAP_FAILED || cb->rx == MAP_FAILED || cb->rw == MAP_FAILED) {
        g_set_error(err, G_FILE_ERROR, g_file_error_from_errno(errno), "code cache of %zu bytes cannot be mapped: %s", size, g_strerror(errno));
        cb->rx = cb->rw = NULL;
        return false;
    }
    cb->size = size;
    madvise(cb->rw, size, MADV_HUGEPAGE);
    madvise(cb->rx, size, MADV_HUGEPAGE);
    cb->thunk_end = THUNKS;
    cb->at = THUNKS;
    cb->end = size / CODEBUF_GENERATIONS;
    populate(cb, 1);
    return true;
}

void codebuf_free(struct tcg_codebuf *cb)
{
    if (cb->rx)
        munmap(cb->rx, cb->size);
    if (cb->rw)
        munmap(cb->rw, cb->size);
    memset(cb, 0, sizeof *cb);
}

size_t codebuf_reserve(struct tcg_codebuf *cb, size_t bytes)
{
    size_t at = (cb->at + 15) & ~(size_t)15;

    if (at + bytes > cb->end)
        return SIZE_MAX;
    populate(cb, at + bytes);
    return at;
}

void codebuf_commit(struct tcg_codebuf *cb, size_t end_offset)
{
    cb->gen_used[cb->gen] += end_offset - cb->at;
    cb->at = end_offset;
}

void codebuf_restart(struct tcg_codebuf *cb)
{
    memset(cb->gen_used, 0, sizeof cb->gen_used);
    cb->gen = 0;
    cb->at = gen_start(cb, 0);
    cb->end = cb->size / CODEBUF_GENERATIONS;
}

void codebuf_next_generation(struct tcg_codebuf *cb)
{
    cb->gen = (cb->gen + 1) % CODEBUF_GENERATIONS;
    cb->at = gen_start(cb, cb->gen);
    cb->end = cb->size / CODEBUF_GENERATIONS * (cb->gen + 1);
    cb->gen_used[cb->gen] = 0;
}
