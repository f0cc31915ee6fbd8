/*
 * What field tables give for free: reset, snapshots, info qtree. See core/device.h.
 *
 * A saved device is a version (u32) and records until the end: length of name (u8), name, type (u8), length (u32),
 * bytes. A FIELD_STRUCT holds for each element a length (u32) and records again. Numbers are little-endian.
 * Members that the stream does not name keep their reset values; a name that the table does not know is an error.
 */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "core/device_priv.h"
#include "core/machine.h"

/* --- reset --- */

void fields_reset(struct device *d, void *base, const struct field *fields, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct field *f = &fields[i];
        char *p = (char *)base + f->offset;

        if (f->use != FIELD_STATE || f->keep) {
            continue;
        }
        if (field_is_scalar(f)) {
            field_put(base, f, f->reset);
        } else if (f->type == FIELD_BYTES) {
            memset(p, 0, f->size);
        } else if (f->type == FIELD_TIMER) {
            timer_cancel((struct timer *)p);
        } else if (f->type == FIELD_STRUCT) {
            for (unsigned k = 0; k < f->count; k++) {
                fields_reset(d, p + k * field_elem_size(f), f->fields, f->n_fields);
            }
        }
    }
}

void device_reset(struct device *d, enum reset_phase phase)
{
    if (phase == RESET_ENTER) {
        fields_reset(d, d, d->class->fields, d->class->n_fields);
    }
    if (d->class->reset) {
        d->class->reset(d, phase);
    }
    if (phase == RESET_HOLD && d->class->settle) {
        d->class->settle(d);
    }
}

void devices_reset(struct machine *m)
{
    for (enum reset_phase phase = RESET_ENTER; phase <= RESET_EXIT; phase++) {
        for (unsigned i = 0; i < m->devices->len; i++) {
            device_reset(g_ptr_array_index(m->devices, i), phase);
        }
    }
}

/* --- save --- */

static void put_u32(GByteArray *out, uint32_t v)
{
    v = GUINT32_TO_LE(v);
    g_byte_array_append(out, (const guint8 *)&v, sizeof(v));
}

static void patch_u32(GByteArray *out, guint at, uint32_t v)
{
    v = GUINT32_TO_LE(v);
    memcpy(out->data + at, &v, sizeof(v));
}

static void put_elements(GByteArray *out, const uint8_t *p, size_t size, unsigned elem)
{
    for (size_t i = 0; i < size; i += elem) {
        for (unsigned k = 0; k < elem; k++) {
            g_byte_array_append(out, &p[i + (G_BYTE_ORDER == G_LITTLE_ENDIAN ? k : elem - 1 - k)], 1);
        }
    }
}

static void fields_save(const void *base, const struct field *fields, unsigned n, GByteArray *out)
{
    for (unsigned i = 0; i < n; i++) {
        const struct field *f = &fields[i];
        const uint8_t *p = (const uint8_t *)base + f->offset;
        uint8_t byte = (uint8_t)strlen(f->name);
        guint length_at, start;
        uint64_t v;

        if (f->use != FIELD_STATE) {
            continue;
        }
        g_byte_array_append(out, &byte, 1);
        g_byte_array_append(out, (const guint8 *)f->name, byte);
        byte = (uint8_t)f->type;
        g_byte_array_append(out, &byte, 1);
        length_at = out->len;
        put_u32(out, 0);
        start = out->len;
        if (f->type == FIELD_TIMER) {
            v = ((const struct timer *)p)->deadline;
            put_elements(out, (const uint8_t *)&v, sizeof(v), sizeof(v));
        } else if (f->type == FIELD_STRUCT) {
            for (unsigned k = 0; k < f->count; k++) {
                guint at = out->len;

                put_u32(out, 0);
                fields_save(p + k * field_elem_size(f), f->fields, f->n_fields, out);
                patch_u32(out, at, out->len - at - 4);
            }
        } else {
            put_elements(out, p, f->size, field_is_scalar(f) ? (unsigned)f->size : f->elem ? f->elem : 1);
        }
        patch_u32(out, length_at, out->len - start);
    }
}

GByteArray *device_save(struct device *d)
{
    GByteArray *out = g_byte_array_new();

    put_u32(out, d->class->version);
    fields_save(d, d->class->fields, d->class->n_fields, out);
    return out;
}

/* --- load --- */

struct reader {
    const uint8_t *at, *end;
};

static bool take(struct reader *r, void *to, size_t n)
{
    if ((size_t)(r->end - r->at) < n) {
        return false;
    }
    memcpy(to, r->at, n);
    r->at += n;
    return true;
}

static bool take_u32(struct reader *r, uint32_t *v)
{
    bool ok = take(r, v, sizeof(*v));

    *v = GUINT32_FROM_LE(*v);
    return ok;
}

static bool cut_short(const char *owner, GError **err)
{
    return error_set(err, EMU_ERROR_INVALID, "%s: the saved state is cut short", owner);
}

static void get_elements(uint8_t *p, const uint8_t *from, size_t size, unsigned elem)
{
    for (size_t i = 0; i < size; i++) {
        size_t k = i % elem;

        p[i] = from[i - k + (G_BYTE_ORDER == G_LITTLE_ENDIAN ? k : elem - 1 - k)];
    }
}

static bool fields_load(const char *owner, void *base, const struct field *fields, unsigned n, struct reader r, GError **err);

static bool field_load(const char *owner, void *base, const struct field *f, struct reader r, GError **err)
{
    uint8_t *p = (uint8_t *)base + f->offset;
    size_t length = (size_t)(r.end - r.at), want = f->type == FIELD_TIMER ? 8 : f->size;
    uint64_t deadline;
    uint32_t inner;

    if (f->type == FIELD_STRUCT) {
        for (unsigned k = 0; k < f->count; k++) {
            struct reader element;

            if (!take_u32(&r, &inner) || (size_t)(r.end - r.at) < inner) {
                return cut_short(owner, err);
            }
            element = (struct reader){ r.at, r.at + inner };
            r.at += inner;
            if (!fields_load(f->name, p + k * field_elem_size(f), f->fields, f->n_fields, element, err)) {
                return error_prefix(err, "%s", owner);
            }
        }
        return true;
    }
    if (length != want) {
        return error_set(err, EMU_ERROR_INVALID, "%s: field '%s' has %zu bytes, expected %zu", owner, f->name, length, want);
    }
    if (f->type == FIELD_TIMER) {
        get_elements((uint8_t *)&deadline, r.at, 8, 8);
        timer_set((struct timer *)p, deadline);
    } else {
        get_elements(p, r.at, length, field_is_scalar(f) ? (unsigned)f->size : f->elem ? f->elem : 1);
        if (f->type == FIELD_BOOL && *p > 1) {
            *p = 0;
            return error_set(err, EMU_ERROR_INVALID, "%s: field '%s' is neither 0 nor 1", owner, f->name);
        }
    }
    return true;
}

static bool fields_load(const char *owner, void *base, const struct field *fields, unsigned n, struct reader r, GError **err)
{
    while (r.at < r.end) {
        const struct field *f = NULL;
        char name[256];
        uint8_t len, type;
        uint32_t length;

        if (!take(&r, &len, 1) || !take(&r, name, len) || !take(&r, &type, 1) || !take_u32(&r, &length) ||
            (size_t)(r.end - r.at) < length) {
            return cut_short(owner, err);
        }
        name[len] = 0;
        for (unsigned i = 0; i < n && !f; i++) {
            f = fields[i].use == FIELD_STATE && !strcmp(fields[i].name, name) ? &fields[i] : NULL;
        }
        if (!f) {
            return error_set(err, EMU_ERROR_INVALID, "%s: unknown field '%s' in the saved state", owner, name);
        }
        if (f->type != type) {
            return error_set(err, EMU_ERROR_INVALID, "%s: field '%s' was saved with another type", owner, name);
        }
        if (!field_load(owner, base, f, (struct reader){ r.at, r.at + length }, err)) {
            return false;
        }
        r.at += length;
    }
    return true;
}

bool device_load(struct device *d, const uint8_t *data, size_t len, GError **err)
{
    struct reader r = { data, data + len };
    uint32_t version;

    if (!take_u32(&r, &version)) {
        return cut_short(d->class->name, err);
    }
    if (version > d->class->version) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "%s: state of version %u, this program knows up to %u", d->class->name,
                         version, d->class->version);
    }
    fields_reset(d, d, d->class->fields, d->class->n_fields);
    if (!fields_load(d->class->name, d, d->class->fields, d->class->n_fields, r, err)) {
        return false;
    }
    if (d->class->load_check && !d->class->load_check(d, err)) {
        return error_prefix(err, "%s", d->class->name);
    }
    if (d->class->settle) {
        d->class->settle(d);
    }
    return true;
}

/* --- info qtree --- */

static void bytes_dump(const uint8_t *p, const struct field *f, GString *out)
{
    size_t shown = MIN(f->size, (size_t)16);

    for (size_t i = 0; i < shown; i++) {
        g_string_append_printf(out, "%s%02x", i ? " " : "", p[i]);
    }
    if (shown < f->size) {
        g_string_append_printf(out, " ... (%zu bytes)", f->size);
    }
}

static void field_dump(const void *base, const struct field *f, GString *out)
{
    const uint8_t *p = (const uint8_t *)base + f->offset;
    const struct timer *t = (const struct timer *)p;
    const char *text;

    if (f->type == FIELD_BOOL) {
        g_string_append(out, *p ? "on" : "off");
    } else if (field_is_scalar(f)) {
        g_string_append_printf(out, "%" PRIu64 " (0x%" PRIx64 ")", field_get(base, f), field_get(base, f));
    } else if (f->type == FIELD_STRING) {
        text = *(char *const *)p;
        g_string_append_printf(out, "\"%s\"", text ? text : "");
    } else if (f->type == FIELD_TIMER) {
        if (timer_armed(t)) {
            g_string_append_printf(out, "at %" PRIu64 " ns", t->deadline);
        } else {
            g_string_append(out, "off");
        }
    } else {
        bytes_dump(p, f, out);
    }
}

void fields_dump(const void *base, const struct field *fields, unsigned n, unsigned indent, GString *out)
{
    for (unsigned i = 0; i < n; i++) {
        const struct field *f = &fields[i];

        if (f->use == FIELD_WIRING || f->use == FIELD_DERIVED) {
            continue;
        }
        if (f->type == FIELD_STRUCT) {
            for (unsigned k = 0; k < f->count; k++) {
                g_string_append_printf(out, "%*s%s[%u]\n", (int)indent, "", f->name, k);
                fields_dump((const char *)base + f->offset + k * field_elem_size(f), f->fields, f->n_fields, indent + 2, out);
            }
            continue;
        }
        g_string_append_printf(out, "%*s%s%s = ", (int)indent, "", f->use == FIELD_PROP && f->option ? f->option : f->name,
                               f->use == FIELD_PROP ? " (property)" : "");
        field_dump(base, f, out);
        g_string_append_c(out, '\n');
    }
}

static void tree_dump(struct machine *m, const struct device *parent, unsigned indent, GString *out)
{
    for (unsigned i = 0; i < m->devices->len; i++) {
        const struct device *d = g_ptr_array_index(m->devices, i);

        if (d->parent != parent) {
            continue;
        }
        g_string_append_printf(out, "%*sdev: %s, id \"%s\"\n", (int)indent, "", d->class->name, d->id ? d->id : "");
        fields_dump(d, d->class->fields, d->class->n_fields, indent + 4, out);
        tree_dump(m, d, indent + 2, out);
    }
}

void device_tree_dump(struct machine *m, GString *out)
{
    tree_dump(m, NULL, 0, out);
}
