/*
 * Sources of random numbers: the objects rng-random (a file) and rng-builtin (the host kernel's generator).
 */
#ifndef CORE_RNG_H
#define CORE_RNG_H

#include <stdint.h>

#include "core/object.h"

extern const struct object_type rng_random_type, rng_builtin_type;
/* What both types have as `ops`, for object_find(). */
extern const char rng_ops[];

struct rng_request;
/*
 * Asks for up to `len` bytes (64 KiB at most). got() comes from the main loop, never from within this call, with at least one byte, and once.
 * A source that has nothing makes it wait. Machine lock.
 */
struct rng_request *rng_ask(struct object *source, size_t len, void (*got)(void *opaque, const uint8_t *bytes, size_t len), void *opaque);
void rng_cancel(struct rng_request *r);      /* NULL is fine */

#endif
