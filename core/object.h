/*
 * Objects of the user's: -object TYPE,id=X,key=value. What no guest sees and devices name by id: sources of random numbers, memory, threads, secrets.
 *
 * A type is a row: options, and what making one does. An object's struct begins with struct object. Machine lock on every call.
 */
#ifndef CORE_OBJECT_H
#define CORE_OBJECT_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct machine;
struct object;
struct option_desc;
struct options;

struct object_type {
    const char *name;                        /* "rng-random" */
    const char *desc;
    const struct option_desc *options;       /* beside id */
    size_t size;                             /* of its struct; 0: struct object alone */
    bool (*init)(struct object *o, GError **err);     /* o->options are checked; may be NULL */
    void (*fini)(struct object *o);                   /* may be NULL */
    const void *ops;                         /* what its users know it by */
};

struct object {
    const struct object_type *type;
    struct machine *machine;
    char *id;
    struct options *options;
    unsigned users;                          /* devices that hold it: it cannot be deleted */
};

void object_types_set(const struct object_type *const *types /* NULL-terminated */);
const struct object_type *const *object_types(void);
void objects_help(FILE *out);                                              /* -object help */
bool object_type_help(const char *name, FILE *out, GError **err);          /* -object TYPE,help */

/* "TYPE,id=X,..." or JSON with "qom-type". NULL with *err. Owned by the machine. */
struct object *object_add(struct machine *m, const char *text, GError **err);
bool object_del(struct machine *m, const char *id, GError **err);
/* By id; NULL with *err when there is none, or it is of none of the types that have these ops (NULL: any). */
struct object *object_find(struct machine *m, const char *id, const void *ops, GError **err);
void objects_fini(struct machine *m);

#endif
