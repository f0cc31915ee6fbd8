/*
 * "key=value,flag,flag=off" option strings, read against a table.
 *
 * One table row is parser, help text and default. Used by -machine, -accel, -device, -serial, -chardev ... so
 * that every option prints its help and its "did you mean" the same way. Commas inside values are doubled (",,").
 */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum option_type { OPT_STRING, OPT_BOOL, OPT_UINT, OPT_SIZE, OPT_ENUM };

struct option_desc {
    const char *name;
    enum option_type type;
    const char *def;             /* shown in help; NULL: none */
    const char *help;
    const char *const *values;   /* OPT_ENUM: NULL-terminated list */
    uint64_t min, max;           /* OPT_UINT, OPT_SIZE; both 0: any */
};

struct options;                  /* parsed pairs, in order; owns its strings */

/*
 * Parses text; one that begins with '{' is JSON (below). `first` (may be NULL) names the key that a first item without '=' belongs to ("-machine pc").
 * desc (terminated by a NULL name; NULL: any key, all strings) is checked for names and values.
 * Returns NULL with *err set on the first mistake. Free with options_free().
 */
struct options *options_parse(const char *text, const char *first, const struct option_desc *desc, GError **err);
/*
 * A JSON object as the same pairs: {"a":{"b":1},"c":true,"d":["x","y"]} is a.b=1,c=on,d=x,d=y. Objects with the one member "str" in a list
 * stand for its text (hostfwd of -netdev), others are numbered: d.0.x. null is the text "null".
 */
struct options *options_parse_json(const char *text, const struct option_desc *desc, GError **err);
/* One more pair, checked against desc. */
bool options_add(struct options *o, const char *key, const char *value, const struct option_desc *desc, GError **err);
void options_free(struct options *o);
void options_merge(struct options *into, const struct options *from);    /* later pairs win */

const char *options_string(const struct options *o, const char *key, const char *def);
bool options_bool(const struct options *o, const char *key, bool def);
uint64_t options_uint(const struct options *o, const char *key, uint64_t def);
bool options_has(const struct options *o, const char *key);
unsigned options_count(const struct options *o);
void options_at(const struct options *o, unsigned n, const char **key, const char **value);
void options_help(const struct option_desc *desc, FILE *out);

/* Numbers as users write them. Sizes: suffix k M G T (powers of 1024), `unit` applies to a bare number. */
bool parse_size(const char *text, uint64_t unit, uint64_t *bytes, GError **err);
bool parse_uint(const char *text, uint64_t *value, GError **err);
bool parse_bool(const char *text, bool *value, GError **err);

#endif
