/* The arena: alignment, no overlap, reuse after a reset. */
#include "base/arena.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

Test(arena, pieces_are_aligned_and_apart)
{
    struct arena a;
    unsigned char *p[500];

    arena_init(&a);
    for (unsigned i = 0; i < 500; i++) {
        size_t n = (i * 37) % 3000 + 1;

        p[i] = arena_alloc(&a, n);
        cr_assert_eq((uintptr_t)p[i] % 16, 0);
        memset(p[i], (int)i, n);
    }
    for (unsigned i = 0; i < 500; i++) {
        size_t n = (i * 37) % 3000 + 1;

        cr_assert_eq(p[i][0], (unsigned char)i);
        cr_assert_eq(p[i][n - 1], (unsigned char)i);
    }
    arena_free(&a);
}

Test(arena, reset_gives_the_same_memory_again)
{
    struct arena a;
    void *first;

    arena_init(&a);
    arena_reset(&a);
    first = arena_alloc(&a, 100);
    arena_reset(&a);
    cr_expect_eq(arena_alloc(&a, 100), first);
    arena_alloc(&a, 1 << 20);
    arena_reset(&a);
    memset(arena_zalloc(&a, 1 << 20), 1, 1 << 20);
    cr_expect_eq(*(char *)arena_zalloc(&a, 8), 0);
    arena_free(&a);
    cr_expect_null(a.chunks);
}
