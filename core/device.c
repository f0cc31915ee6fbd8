/*
 * Devices: making them, their properties, the check of their tables, the list of classes. See core/device.h;
 * reset, snapshots and dumps are in core/device_state.c.
 */
#include "core/device.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "core/boot_order.h"
#include "core/bus.h"
#include "core/device_priv.h"
#include "core/machine.h"

static const struct device_class *const *class_list;   /* set once by main/ */
static const char **class_names;

/* --- scalars --- */

bool field_is_scalar(const struct field *f)
{
    return f->type <= FIELD_BOOL;
}

uint64_t field_get(const void *base, const struct field *f)
{
    const void *p = (const char *)base + f->offset;

    switch (f->size) {
    case 1: return *(const uint8_t *)p;
    case 2: return *(const uint16_t *)p;
    case 4: return *(const uint32_t *)p;
    default: return *(const uint64_t *)p;
    }
}

void field_put(void *base, const struct field *f, uint64_t value)
{
    void *p = (char *)base + f->offset;

    switch (f->size) {
    case 1: *(uint8_t *)p = (uint8_t)value; break;
    case 2: *(uint16_t *)p = (uint16_t)value; break;
    case 4: *(uint32_t *)p = (uint32_t)value; break;
    default: *(uint64_t *)p = value; break;
    }
}

/* --- properties --- */

static const char *prop_name(const struct field *f)
{
    return f->option ? f->option : f->name;
}

/* Calls fn for each property of the table and of the single structs in it, with the struct that holds it (base may be NULL: a class
 * alone). Stops at the first false. */
typedef bool prop_fn(void *base, const struct field *f, void *opaque);

static bool props_each(void *base, const struct field *fields, unsigned n, prop_fn *fn, void *opaque)
{
    bool on = true;

    for (unsigned i = 0; on && i < n; i++) {
        const struct field *f = &fields[i];

        if (f->use == FIELD_PROP) {
            on = fn(base, f, opaque);
        } else if (f->type == FIELD_STRUCT && f->count == 1) {
            on = props_each(base ? (char *)base + f->offset : NULL, f->fields, f->n_fields, fn, opaque);
        }
    }
    return on;
}

struct prop_search {
    const char *name;
    void *base;
    const struct field *field;
};

static bool prop_match(void *base, const struct field *f, void *opaque)
{
    struct prop_search *s = opaque;

    if (strcmp(prop_name(f), s->name)) {
        return true;
    }
    s->base = base;
    s->field = f;
    return false;
}

static bool prop_list(void *base, const struct field *f, void *names)
{
    (void)base;
    g_ptr_array_add(names, (char *)prop_name(f));
    return true;
}

static bool prop_put(void *base, const struct field *f, const char *text, GError **err)
{
    char **string = (char **)((char *)base + f->offset);
    uint64_t value, max;
    bool on;

    if (f->type == FIELD_STRING) {
        if (f->values && !g_strv_contains(f->values, text)) {
            return error_unknown(err, "value", text, f->values, NULL);
        }
        g_free(*string);
        *string = g_strdup(text);
        return true;
    }
    if (f->type == FIELD_BOOL) {
        if (!parse_bool(text, &on, err)) {
            return false;
        }
        field_put(base, f, on);
        return true;
    }
    if (!parse_uint(text, &value, NULL) && !parse_size(text, 1, &value, NULL)) {
        return error_set(err, EMU_ERROR_INVALID, "'%s' is not a number", text);
    }
    max = f->max ? f->max : f->size == 8 ? UINT64_MAX : ((uint64_t)1 << (8 * f->size)) - 1;
    if (value < f->min || value > max) {
        return error_set(err, EMU_ERROR_INVALID, "%s is not between %" PRIu64 " and %" PRIu64, text, f->min, max);
    }
    field_put(base, f, value);
    return true;
}

bool device_set(struct device *d, const char *prop, const char *value, GError **err)
{
    const struct device_class *class = d->class;
    struct prop_search s = { .name = prop };
    GPtrArray *names;
    char *help;

    props_each(d, class->fields, class->n_fields, prop_match, &s);
    if (s.field) {
        return prop_put(s.base, s.field, value, err) || error_prefix(err, "%s.%s", class->name, prop);
    }
    if (!strcmp(prop, "bus")) {
        d->bus = bus_find(d->machine, class->bus, value, err);
        return d->bus || error_prefix(err, "%s.bus", class->name);
    }
    names = g_ptr_array_new();
    props_each(NULL, class->fields, class->n_fields, prop_list, names);
    g_ptr_array_add(names, NULL);
    help = g_strdup_printf("-device %s,help", class->name);
    error_unknown(err, "property", prop, (const char *const *)names->pdata, help);
    error_prefix(err, "%s", class->name);
    g_ptr_array_free(names, TRUE);
    g_free(help);
    return false;
}

static const char *type_name(const struct field *f)
{
    return f->type == FIELD_STRING ? "text" : f->type == FIELD_BOOL ? "on|off" : "number";
}

static bool prop_help(void *base, const struct field *f, void *out)
{
    (void)base;
    fprintf(out, "  %s=<%s>%*s %s", prop_name(f), type_name(f), (int)MAX(1, 22 - (int)(strlen(prop_name(f)) + strlen(type_name(f)))), "",
            f->help ? f->help : "");
    if (f->max) {
        fprintf(out, " (%" PRIu64 "..%" PRIu64 ")", f->min, f->max);
    }
    for (unsigned i = 0; f->values && f->values[i]; i++) {
        fprintf(out, "%s%s", i ? "|" : " (", f->values[i]);
    }
    if (f->values) {
        fputc(')', out);
    }
    if (f->def) {
        fprintf(out, " (default %s)", f->def);
    }
    fputc('\n', out);
    return true;
}

void device_class_help(const struct device_class *c, FILE *out)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    fprintf(out, "%s: %s\n", c->name, c->desc ? c->desc : "");
    props_each(NULL, c->fields, c->n_fields, prop_list, names);
    if (!names->len) {
        fprintf(out, "  no properties\n");
    }
    props_each(NULL, c->fields, c->n_fields, prop_help, out);
}

/* --- life --- */

/* device_class_check() has tried every default. */
static bool prop_default(void *base, const struct field *f, void *class)
{
    GError *err = NULL;

    if (f->def && !prop_put(base, f, f->def, &err)) {
        g_error("%s.%s: %s", ((const struct device_class *)class)->name, f->name, err->message);
    }
    return true;
}

void device_global(struct machine *m, const char *class, const char *prop, const char *value)
{
    if (!m->globals) {
        m->globals = g_ptr_array_new_with_free_func(g_free);
    }
    g_ptr_array_add(m->globals, g_strdup(class));
    g_ptr_array_add(m->globals, g_strdup(prop));
    g_ptr_array_add(m->globals, g_strdup(value));
}

static void globals_set(struct device *d)
{
    const GPtrArray *g = d->machine->globals;

    for (unsigned i = 0; g && i + 2 < g->len && !d->global_error; i += 3) {
        const char *name = g_ptr_array_index(g, i);

        if (!strcmp(name, d->class->name) || device_class_find(name) == d->class) {
            device_set(d, g_ptr_array_index(g, i + 1), g_ptr_array_index(g, i + 2), &d->global_error);
        }
    }
}

struct device *device_new(struct machine *m, const struct device_class *class, const char *id)
{
    struct device *d = g_malloc0(class->size);

    d->class = class;
    d->machine = m;
    d->id = g_strdup(id);
    props_each(d, class->fields, class->n_fields, prop_default, (void *)class);
    globals_set(d);
    return d;
}

/* A timer must not outlive its device; one without a machine was never initialised. */
static void timers_cancel(void *base, const struct field *fields, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct field *f = &fields[i];
        char *p = (char *)base + f->offset;

        if (f->type == FIELD_TIMER && ((struct timer *)p)->machine) {
            timer_cancel((struct timer *)p);
        }
        for (unsigned k = 0; f->type == FIELD_STRUCT && k < f->count; k++) {
            timers_cancel(p + k * field_elem_size(f), f->fields, f->n_fields);
        }
    }
}

static bool prop_free(void *base, const struct field *f, void *opaque)
{
    (void)opaque;
    if (f->type == FIELD_STRING) {
        g_free(*(char **)((char *)base + f->offset));
    }
    return true;
}

void device_free(struct device *d)
{
    timers_cancel(d, d->class->fields, d->class->n_fields);
    props_each(d, d->class->fields, d->class->n_fields, prop_free, NULL);
    g_clear_error(&d->global_error);
    g_free((char *)d->id);
    g_free(d);
}

static bool device_plug(struct device *d, GError **err)
{
    bool any;

    if (!d->bus && d->class->bus) {
        d->bus = bus_default(d->machine, d->class->bus, &any);
        if (!d->bus && any) {
            return error_set(err, EMU_ERROR_INVALID, "no %s bus of this machine has room for it", d->class->bus);
        }
    } else if (d->bus && d->bus->has_room && !d->bus->has_room(d->bus)) {
        return error_set(err, EMU_ERROR_INVALID, "bus '%s' is full", d->bus->name);
    }
    d->parent = d->bus ? d->bus->owner : NULL;
    return true;
}

bool device_add(struct device *d, GError **err)
{
    if (d->global_error) {
        g_propagate_prefixed_error(err, g_steal_pointer(&d->global_error), "-global: ");
        device_free(d);
        return false;
    }
    if (!device_plug(d, err) || (d->class->init && !d->class->init(d, err))) {
        error_prefix(err, "%s", d->id ? d->id : d->class->name);
        device_free(d);
        return false;
    }
    if (d->bus) {
        g_ptr_array_add(d->bus->children, d);
    }
    g_ptr_array_add(d->machine->devices, d);
    return true;
}

static void device_end(struct device *d)
{
    boot_order_remove(d->machine, d);
    if (d->bus) {
        g_ptr_array_remove(d->bus->children, d);
    }
    if (d->class->fini) {
        d->class->fini(d);
    }
    device_free(d);
}

void device_remove(struct device *d)
{
    struct machine *m = d->machine;

    for (unsigned i = 0; i < m->buses->len; i++) {
        struct bus *b = g_ptr_array_index(m->buses, i);

        while (b->owner == d && b->children->len) {
            device_remove(g_ptr_array_index(b->children, b->children->len - 1));
        }
    }
    g_ptr_array_remove(m->devices, d);
    device_end(d);
}

struct device *device_find(struct machine *m, const char *id)
{
    for (unsigned i = 0; i < m->devices->len; i++) {
        struct device *d = g_ptr_array_index(m->devices, i);

        if (!g_strcmp0(d->id, id)) {
            return d;
        }
    }
    return NULL;
}

struct device *device_make(struct machine *m, const struct device_class *class, const char *id, GError **err, ...)
{
    struct device *d = device_new(m, class, id);
    const char *prop;
    bool ok = true;
    va_list ap;

    va_start(ap, err);
    while (ok && (prop = va_arg(ap, const char *))) {
        ok = device_set(d, prop, va_arg(ap, const char *), err);
    }
    va_end(ap);
    if (!ok) {
        device_free(d);
        return NULL;
    }
    return device_add(d, err) ? d : NULL;
}

/* The machine ends: last come, first gone. No view is made of a tree that falls apart: a device frees regions that are still in it. */
void devices_fini(struct machine *m)
{
    region_begin(m);
    while (m->devices->len) {
        struct device *d = g_ptr_array_index(m->devices, m->devices->len - 1);

        g_ptr_array_set_size(m->devices, (int)m->devices->len - 1);
        device_end(d);
    }
}

/* --- check of a table --- */

static int by_offset(const void *a, const void *b)
{
    const struct field *const *x = a, *const *y = b;

    return (*x)->offset < (*y)->offset ? -1 : (*x)->offset > (*y)->offset;
}

static size_t low_bit(size_t n)
{
    return n & -n;
}

/* The strictest alignment that a member with this offset and size can have. */
static size_t alignment_guess(size_t offset, size_t size)
{
    size_t a = MIN(low_bit(size), (size_t)8);

    return offset ? MIN(a, low_bit(offset)) : a;
}

static bool fields_check(const char *owner, const struct field *fields, unsigned n, size_t from, size_t size, GError **err);

static bool field_check(const char *owner, const struct field *f, GError **err)
{
    static const uint8_t sizes[] = { [FIELD_U8] = 1, [FIELD_U16] = 2, [FIELD_U32] = 4, [FIELD_U64] = 8, [FIELD_BOOL] = 1 };
    uint64_t scratch = 0;
    char *inner, *text = NULL;
    bool ok;

    if (field_is_scalar(f) && f->size != sizes[f->type]) {
        return error_set(err, EMU_ERROR_FAILED, "%s.%s: %zu bytes do not fit its type", owner, f->name, f->size);
    }
    if (f->type == FIELD_BYTES && f->elem && f->size % f->elem) {
        return error_set(err, EMU_ERROR_FAILED, "%s.%s: not a whole number of %u-byte elements", owner, f->name, f->elem);
    }
    if (f->type == FIELD_STRING && (f->use != FIELD_PROP || f->size != sizeof(char *))) {
        return error_set(err, EMU_ERROR_FAILED, "%s.%s: a string must be a property and a pointer", owner, f->name);
    }
    if (f->use == FIELD_PROP && !field_is_scalar(f) && f->type != FIELD_STRING) {
        return error_set(err, EMU_ERROR_FAILED, "%s.%s: a property must be a number, a switch or a string", owner, f->name);
    }
    if (f->use == FIELD_STATE && f->type == FIELD_OPAQUE) {
        return error_set(err, EMU_ERROR_FAILED, "%s.%s: state must have a type", owner, f->name);
    }
    if (f->use == FIELD_PROP && f->def) {
        struct field alone = *f;

        alone.offset = 0;
        ok = f->type == FIELD_STRING ? prop_put(&text, &alone, f->def, err) : prop_put(&scratch, &alone, f->def, err);
        g_free(text);
        return ok || error_prefix(err, "default of %s.%s", owner, f->name);
    }
    if (f->type == FIELD_STRUCT) {
        if (!f->count || f->size % f->count) {
            return error_set(err, EMU_ERROR_FAILED, "%s.%s: size and count do not agree", owner, f->name);
        }
        inner = g_strdup_printf("%s.%s", owner, f->name);
        ok = fields_check(inner, f->fields, f->n_fields, 0, field_elem_size(f), err);
        g_free(inner);
        return ok;
    }
    return true;
}

/*
 * Every byte of [from, size) must belong to a row or be padding: a gap counts as padding only when it is what
 * the next member's alignment explains.
 */
static bool fields_check(const char *owner, const struct field *fields, unsigned n, size_t from, size_t size, GError **err)
{
    const struct field **sorted = g_new(const struct field *, n + 1);
    const char *before = "the start";
    size_t at = from, align = 8;
    bool ok = true;

    for (unsigned i = 0; i < n; i++) {
        sorted[i] = &fields[i];
    }
    if (n) {
        qsort(sorted, n, sizeof(*sorted), by_offset);
    }
    for (unsigned i = 0; ok && i < n; i++) {
        const struct field *f = sorted[i];
        size_t a = alignment_guess(f->offset, f->size);

        if (f->offset < at) {
            ok = error_set(err, EMU_ERROR_FAILED, "%s: rows '%s' and '%s' overlap", owner, before, f->name);
        } else if (((at + a - 1) & ~(a - 1)) != f->offset) {
            ok = error_set(err, EMU_ERROR_FAILED, "%s: no row for the member at offset %zu, between '%s' and '%s'", owner,
                           at, before, f->name);
        } else {
            ok = field_check(owner, f, err);
        }
        before = f->name;
        at = f->offset + f->size;
    }
    if (ok && (at > size || size - at >= align)) {
        ok = error_set(err, EMU_ERROR_FAILED, "%s: no row for the member at offset %zu, after '%s'", owner, at, before);
    }
    for (unsigned i = 0; ok && i < n; i++) {
        for (unsigned j = 0; ok && j < i; j++) {
            if (!strcmp(fields[i].name, fields[j].name)) {
                ok = error_set(err, EMU_ERROR_FAILED, "%s: two rows are called '%s'", owner, fields[i].name);
            }
        }
    }
    g_free(sorted);
    return ok;
}

bool device_class_check(const struct device_class *c, GError **err)
{
    return fields_check(c->name, c->fields, c->n_fields, sizeof(struct device), c->size, err);
}

/* --- classes --- */

void device_classes_set(const struct device_class *const *classes)
{
    unsigned n = 0;

    class_list = classes;
    while (classes[n]) {
        n++;
    }
    class_names = g_renew(const char *, class_names, n + 1);
    for (unsigned i = 0; i < n; i++) {
        class_names[i] = classes[i]->name;
    }
    class_names[n] = NULL;
}

const struct device_class *const *device_classes(void)
{
    return class_list;
}

const char *const *device_class_names(void)
{
    return class_names;
}

/* Names without the bus, as users write them: "virtio-net" for "virtio-net-pci". */
const struct device_class *device_class_find(const char *name)
{
    char *longer = g_strconcat(name, "-pci", NULL);
    const struct device_class *found = NULL;

    for (const struct device_class *const *c = class_list; c && *c && !found; c++) {
        found = !strcmp((*c)->name, name) ? *c : NULL;
    }
    for (const struct device_class *const *c = class_list; c && *c && !found; c++) {
        found = !strcmp((*c)->name, longer) ? *c : NULL;
    }
    g_free(longer);
    return found;
}
