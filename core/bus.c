/*
 * The machine's buses by name. See core/bus.h.
 */
#include "core/bus.h"

#include <string.h>

#include "base/error.h"
#include "core/device.h"
#include "core/machine.h"

static struct bus *find(struct machine *m, const char *name)
{
    for (unsigned i = 0; i < m->buses->len; i++) {
        struct bus *b = g_ptr_array_index(m->buses, i);

        if (!strcmp(b->name, name)) {
            return b;
        }
    }
    return NULL;
}

/* "KIND.N" with the first N that is free. */
static char *free_name(struct machine *m, const char *kind)
{
    for (unsigned n = 0;; n++) {
        char *name = g_strdup_printf("%s.%u", kind, n);

        if (!find(m, name)) {
            return name;
        }
        g_free(name);
    }
}

void bus_init(struct bus *b, struct machine *m, const char *kind, struct device *owner, const char *name)
{
    b->kind = kind;
    b->machine = m;
    b->owner = owner;
    b->children = g_ptr_array_new();
    b->name = name ? g_strdup(name) : owner && owner->id ? g_strdup_printf("%s.0", owner->id) : free_name(m, kind);
    g_ptr_array_add(m->buses, b);
}

void bus_fini(struct bus *b)
{
    if (!b->children) {
        return;
    }
    g_ptr_array_remove(b->machine->buses, b);
    g_ptr_array_free(b->children, TRUE);
    b->children = NULL;
    g_free(b->name);
}

struct bus *bus_find(struct machine *m, const char *kind, const char *name, GError **err)
{
    struct bus *b = find(m, name);
    GPtrArray *names;

    if (b && (!kind || !strcmp(b->kind, kind))) {
        return b;
    }
    if (b) {
        error_set(err, EMU_ERROR_INVALID, "bus '%s' is a %s bus, not a %s bus", name, b->kind, kind);
        return NULL;
    }
    names = g_ptr_array_new();
    for (unsigned i = 0; i < m->buses->len; i++) {
        b = g_ptr_array_index(m->buses, i);
        if (!kind || !strcmp(b->kind, kind)) {
            g_ptr_array_add(names, b->name);
        }
    }
    g_ptr_array_add(names, NULL);
    error_unknown(err, "bus", name, (const char *const *)names->pdata, "info qtree");
    g_ptr_array_free(names, TRUE);
    return NULL;
}

struct bus *bus_default(struct machine *m, const char *kind, bool *any)
{
    bool there = false;
    struct bus *found = NULL;

    for (unsigned i = 0; i < m->buses->len && !found; i++) {
        struct bus *b = g_ptr_array_index(m->buses, i);

        if (!strcmp(b->kind, kind)) {
            there = true;
            found = !b->has_room || b->has_room(b) ? b : NULL;
        }
    }
    if (any) {
        *any = there;
    }
    return found;
}
