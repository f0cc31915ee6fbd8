/*
 * The objects that core/ brings: memory back ends, iothread, secret. See object_types.c; random numbers are in core/rng.h.
 */
#ifndef CORE_OBJECT_TYPES_H
#define CORE_OBJECT_TYPES_H

#include <stdint.h>

#include "core/object.h"

extern const struct object_type memory_backend_ram_type, memory_backend_memfd_type, memory_backend_file_type, iothread_type, secret_type;
extern const char memory_backend_ops[], secret_ops[];

/* The bytes of a secret (a byte 0 follows them); NULL with *err when there is none of this id. */
const uint8_t *secret_bytes(struct machine *m, const char *id, size_t *len, GError **err);

#endif
