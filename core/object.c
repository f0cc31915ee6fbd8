/*
 * -object. See core/object.h.
 */
#include "core/object.h"

#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "core/machine.h"

static const struct object_type *const *type_list;   /* set once by main/ */

void object_types_set(const struct object_type *const *types) { type_list = types; }
const struct object_type *const *object_types(void) { return type_list; }

static const struct object_type *type_find(const char *name, GError **err)
{
    GPtrArray *names = g_ptr_array_new();
    const struct object_type *found = NULL;

    for (unsigned i = 0; type_list && type_list[i] && !found; i++) {
        found = !strcmp(type_list[i]->name, name) ? type_list[i] : NULL;
        g_ptr_array_add(names, (char *)type_list[i]->name);
    }
    g_ptr_array_add(names, NULL);
    if (!found) {
        error_unknown(err, "object type", name, (const char *const *)names->pdata, "-object help");
    }
    g_ptr_array_free(names, TRUE);
    return found;
}

void objects_help(FILE *out)
{
    fprintf(out, "List of user creatable objects:\n");
    for (unsigned i = 0; type_list && type_list[i]; i++) {
        fprintf(out, "  %-24s %s\n", type_list[i]->name, type_list[i]->desc);
    }
}

bool object_type_help(const char *name, FILE *out, GError **err)
{
    const struct object_type *t = type_find(name, err);

    if (!t) {
        return false;
    }
    fprintf(out, "%s options:\n", t->name);
    if (t->options) {
        options_help(t->options, out);
    }
    return true;
}

/* The pairs as they stand, and the type they name. */
static struct options *parse(const char *text, const struct object_type **type, GError **err)
{
    struct options *o = options_parse(text, "qom-type", NULL, err);
    const char *name = o ? options_string(o, "qom-type", NULL) : NULL;

    if (o && !name) {
        error_set(err, EMU_ERROR_INVALID, "no type: TYPE,id=NAME is what an object needs");
    }
    *type = name ? type_find(name, err) : NULL;
    if (!*type) {
        options_free(o);
        return NULL;
    }
    return o;
}

/* The given pairs again, checked against the type's table. */
static struct options *check(const struct object_type *type, const struct options *given, GError **err)
{
    static const struct option_desc none[] = { { 0 } };
    struct options *o = options_parse("", NULL, NULL, NULL);
    bool ok = true;

    for (unsigned i = 0; ok && i < options_count(given); i++) {
        const char *key, *value;

        options_at(given, i, &key, &value);
        if (strcmp(key, "qom-type") && strcmp(key, "id")) {
            ok = options_add(o, key, value, type->options ? type->options : none, err);
        }
    }
    if (!ok) {
        options_free(o);
    }
    return ok ? o : NULL;
}

static struct object *find(struct machine *m, const char *id)
{
    for (unsigned i = 0; i < m->objects->len; i++) {
        struct object *o = g_ptr_array_index(m->objects, i);

        if (!strcmp(o->id, id)) {
            return o;
        }
    }
    return NULL;
}

static void object_free(struct object *o)
{
    options_free(o->options);
    g_free(o->id);
    g_free(o);
}

struct object *object_add(struct machine *m, const char *text, GError **err)
{
    const struct object_type *type;
    struct options *given = parse(text, &type, err), *checked;
    const char *id = given ? options_string(given, "id", NULL) : NULL;
    struct object *o = NULL;

    if (!given) {
        return NULL;
    }
    if (!id) {
        error_set(err, EMU_ERROR_INVALID, "%s: Parameter 'id' is missing", type->name);
    } else if (find(m, id)) {
        error_set(err, EMU_ERROR_INVALID, "attempt to add duplicate property '%s' to object (type 'container')", id);
    } else if ((checked = check(type, given, err))) {
        o = g_malloc0(MAX(type->size, sizeof(*o)));
        o->type = type;
        o->machine = m;
        o->id = g_strdup(id);
        o->options = checked;
        if (type->init && !type->init(o, err)) {
            object_free(o);
            o = NULL;
        } else {
            g_ptr_array_add(m->objects, o);
        }
    }
    options_free(given);
    return o;
}

static void object_end(struct object *o)
{
    if (o->type->fini) {
        o->type->fini(o);
    }
    object_free(o);
}

bool object_del(struct machine *m, const char *id, GError **err)
{
    struct object *o = find(m, id);

    if (!o) {
        return error_set(err, EMU_ERROR_NOT_FOUND, "object '%s' not found", id);
    }
    if (o->users) {
        return error_set(err, EMU_ERROR_INVALID, "object '%s' is in use, can not be deleted", id);
    }
    g_ptr_array_remove(m->objects, o);
    object_end(o);
    return true;
}

struct object *object_find(struct machine *m, const char *id, const void *ops, GError **err)
{
    struct object *o = find(m, id);

    if (!o) {
        error_set(err, EMU_ERROR_NOT_FOUND, "object '%s' not found", id);
    } else if (ops && o->type->ops != ops) {
        error_set(err, EMU_ERROR_INVALID, "object '%s' is a %s, which does not fit", id, o->type->name);
        o = NULL;
    }
    return o;
}

void objects_fini(struct machine *m)
{
    while (m->objects->len) {
        struct object *o = g_ptr_array_index(m->objects, m->objects->len - 1);

        g_ptr_array_set_size(m->objects, (int)m->objects->len - 1);
        object_end(o);
    }
}
