/*
 * Arena: memory that is given out in order and dropped as a whole. One region's IR lives in one arena.
 * Owned by one thread; no lock. Never returns NULL (GLib ends the process when the host has no memory).
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;
struct arena {
    struct arena_chunk *chunks;   /* newest first; kept over arena_reset() */
    char *at, *end;
};

void arena_init(struct arena *a);
void *arena_alloc(struct arena *a, size_t bytes);    /* 16-byte aligned, not cleared */
void *arena_zalloc(struct arena *a, size_t bytes);   /* cleared */
void arena_reset(struct arena *a);                   /* everything handed out is gone, memory is kept for reuse */
void arena_free(struct arena *a);

#endif
