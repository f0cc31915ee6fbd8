/*
 * Arena: see base/arena.h. Chunks are kept over a reset, so that a translator that works in rounds stops asking malloc.
 */
#include "base/arena.h"

#include <glib.h>
#include <stdint.h>
#include <string.h>

enum { ARENA_CHUNK = 64 * 1024, ARENA_ALIGN = 16 };

struct arena_chunk {
    struct arena_chunk *next;   /* older */
    size_t size;                /* of data */
    _Alignas(ARENA_ALIGN) char data[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){ 0 };
}

static void arena_grow(struct arena *a, size_t bytes)
{
    size_t size = MAX(bytes, (size_t)ARENA_CHUNK);
    struct arena_chunk *c;

    /* Rounds get larger: double, so that their number of chunks stays small. */
    if (a->chunks && a->chunks->size >= size) {
        size = MAX(size, MIN(a->chunks->size * 2, (size_t)1 << 24));
    }
    c = g_malloc(sizeof(*c) + size);
    c->next = a->chunks;
    c->size = size;
    a->chunks = c;
    a->at = c->data;
    a->end = c->data + size;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    void *p;

    g_assert(bytes <= SIZE_MAX / 2);
    bytes = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if ((size_t)(a->end - a->at) < bytes || !a->at) {
        arena_grow(a, bytes);
    }
    p = a->at;
    a->at += bytes;
    return p;
}

void *arena_zalloc(struct arena *a, size_t bytes)
{
    return memset(arena_alloc(a, bytes), 0, bytes);
}

/* The newest chunk is the largest; when a round needed several, the next one fits into it alone. */
void arena_reset(struct arena *a)
{
    struct arena_chunk *keep = a->chunks, *c, *next;

    if (!keep) {
        return;
    }
    for (c = keep->next; c; c = next) {
        next = c->next;
        if (c->size > keep->size) {
            g_free(keep);
            keep = c;
        } else {
            g_free(c);
        }
    }
    keep->next = NULL;
    a->chunks = keep;
    a->at = keep->data;
    a->end = keep->data + keep->size;
}

void arena_free(struct arena *a)
{
    struct arena_chunk *c, *next;

    for (c = a->chunks; c; c = next) {
        next = c->next;
        g_free(c);
    }
    arena_init(a);
}
