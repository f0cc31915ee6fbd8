/*
 * The code cache's memory: one memfd mapped twice, read-write and read-execute, so that nothing is ever writable and executable at
 * once. Huge-page advised, populated 2 MiB at a time, handed out in generations of equal size that are reclaimed whole.
 * One lock (the caller's) for allocation; addresses are stable.
 */
#ifndef TCG_CODEBUF_H
#define TCG_CODEBUF_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CODEBUF_GENERATIONS 8

struct tcg_codebuf {
    uint8_t *rw, *rx;            /* the two views, size bytes each */
    size_t size;
    size_t thunk_end;            /* [0, thunk_end): thunks, never reclaimed */
    unsigned gen;                /* generation being filled */
    size_t at, end;              /* allocation point and end of it, offsets */
    size_t populated;            /* bytes touched so far */
    uint64_t gen_used[CODEBUF_GENERATIONS];
};

bool codebuf_init(struct tcg_codebuf *cb, size_t size, GError **err);
void codebuf_free(struct tcg_codebuf *cb);
/* Room for `bytes` at the allocation point? Returns its offset, or SIZE_MAX when the generation is full. */
size_t codebuf_reserve(struct tcg_codebuf *cb, size_t bytes);
void codebuf_commit(struct tcg_codebuf *cb, size_t end_offset);     /* publishes what was written up to there */
/* Starts filling the next generation; its old contents must be unreachable (the caller has waited for quiescence). */
void codebuf_next_generation(struct tcg_codebuf *cb);
void codebuf_restart(struct tcg_codebuf *cb);                       /* as after init, but for the thunks; the same condition */
static inline uint8_t *codebuf_rw(struct tcg_codebuf *cb, const uint8_t *rx) { return cb->rw + (rx - cb->rx); }
static inline bool codebuf_holds(const struct tcg_codebuf *cb, uint64_t host_pc)
{
    return host_pc - (uint64_t)(uintptr_t)cb->rx < cb->size;
}

#endif
