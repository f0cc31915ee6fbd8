/*
 * Field rows read by both core/device.c and core/device_state.c.
 */
#ifndef CORE_DEVICE_PRIV_H
#define CORE_DEVICE_PRIV_H

#include "core/device.h"

/* A scalar member as a number, by its size. */
uint64_t field_get(const void *base, const struct field *f);
void field_put(void *base, const struct field *f, uint64_t value);
bool field_is_scalar(const struct field *f);
/* One element of a FIELD_STRUCT. */
static inline size_t field_elem_size(const struct field *f) { return f->size / f->count; }

void fields_reset(struct device *d, void *base, const struct field *fields, unsigned n);
void fields_dump(const void *base, const struct field *fields, unsigned n, unsigned indent, GString *out);

/* One that was not added. */
void device_free(struct device *d);

#endif
