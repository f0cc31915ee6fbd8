/*
 * Option strings against tables, and numbers as users write them. See base/options.h.
 */
#include "base/options.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"

struct option_pair {
    char *key, *value;
};

struct options {
    GArray *pairs;   /* struct option_pair */
};

static const char *const bool_values[] = { "on", "yes", "true", "y", "off", "no", "false", "n", NULL };

bool parse_bool(const char *text, bool *value, GError **err)
{
    for (unsigned i = 0; bool_values[i]; i++) {
        if (!strcmp(text, bool_values[i])) {
            *value = i < 4;
            return true;
        }
    }
    return error_set(err, EMU_ERROR_INVALID, "'%s' is neither 'on' nor 'off'", text);
}

bool parse_uint(const char *text, uint64_t *value, GError **err)
{
    char *end;
    guint64 v;

    errno = 0;
    v = g_ascii_strtoull(text, &end, g_ascii_strncasecmp(text, "0x", 2) ? 10 : 16);
    if (!g_ascii_isdigit(*text) || *end || end == text) {
        return error_set(err, EMU_ERROR_INVALID, "'%s' is not a number", text);
    }
    if (errno == ERANGE) {
        return error_set(err, EMU_ERROR_INVALID, "%s is too large", text);
    }
    *value = v;
    return true;
}

bool parse_size(const char *text, uint64_t unit, uint64_t *bytes, GError **err)
{
    static const char suffixes[] = "BKMGTPE";
    bool hex = !g_ascii_strncasecmp(text, "0x", 2);
    char *end, *frac_end;
    const char *s;
    guint64 whole;
    double fraction = 0;
    unsigned __int128 total;

    errno = 0;
    whole = g_ascii_strtoull(text, &end, hex ? 16 : 10);
    if (!g_ascii_isdigit(*text) || end == text) {
        return error_set(err, EMU_ERROR_INVALID, "'%s' is not a size (a number, then k, M, G or T)", text);
    }
    if (errno == ERANGE) {
        return error_set(err, EMU_ERROR_INVALID, "size %s is too large", text);
    }
    if (*end == '.' && !hex) {
        fraction = g_ascii_strtod(end, &frac_end);
        if (frac_end == end || strspn(end + 1, "0123456789") != (size_t)(frac_end - end - 1)) {
            return error_set(err, EMU_ERROR_INVALID, "'%s' is not a size (a number, then k, M, G or T)", text);
        }
        end = frac_end;
    }
    if (*end) {
        s = strchr(suffixes, g_ascii_toupper(*end));
        if (!s || end[1]) {
            return error_set(err, EMU_ERROR_INVALID, "'%s' is not a size (a number, then k, M, G or T)", text);
        }
        unit = 1ull << (10 * (s - suffixes));
    }
    total = (unsigned __int128)whole * unit + (uint64_t)(fraction * (double)unit);
    if (total > UINT64_MAX) {
        return error_set(err, EMU_ERROR_INVALID, "size %s is too large", text);
    }
    *bytes = (uint64_t)total;
    return true;
}

static const struct option_desc *desc_find(const struct option_desc *desc, const char *key)
{
    for (; desc->name; desc++) {
        if (!strcmp(desc->name, key)) {
            return desc;
        }
    }
    return NULL;
}

static bool unknown_key(const struct option_desc *desc, const char *key, GError **err)
{
    GPtrArray *names = g_ptr_array_new();

    for (; desc->name; desc++) {
        g_ptr_array_add(names, (char *)desc->name);
    }
    g_ptr_array_add(names, NULL);
    error_unknown(err, "option", key, (const char *const *)names->pdata, NULL);
    g_ptr_array_free(names, TRUE);
    return false;
}

static bool value_check(const struct option_desc *d, const char *value, GError **err)
{
    uint64_t n = 0;
    bool b, ok = true;
    char *list;

    switch (d->type) {
    case OPT_STRING:
        return true;
    case OPT_BOOL:
        ok = parse_bool(value, &b, err);
        break;
    case OPT_UINT:
        ok = parse_uint(value, &n, err);
        break;
    case OPT_SIZE:
        ok = parse_size(value, 1, &n, err);
        break;
    case OPT_ENUM:
        for (const char *const *v = d->values; *v; v++) {
            if (!strcmp(*v, value)) {
                return true;
            }
        }
        list = g_strjoinv(", ", (char **)d->values);
        ok = error_set(err, EMU_ERROR_INVALID, "'%s' is none of: %s", value, list);
        g_free(list);
        break;
    }
    if (ok && (d->type == OPT_UINT || d->type == OPT_SIZE) && (d->min || d->max) &&
        (n < d->min || (d->max && n > d->max))) {
        ok = error_set(err, EMU_ERROR_INVALID, "%s is not between %" PRIu64 " and %" PRIu64, value, d->min, d->max);
    }
    return ok || error_prefix(err, "%s", d->name);
}

/* The text up to the next single comma; ",," stands for one comma. *at moves behind it, or to NULL at the end. */
static char *item_next(const char **at)
{
    GString *s = g_string_new(NULL);
    const char *p = *at;

    for (; *p; p++) {
        if (*p == ',') {
            if (p[1] != ',') {
                break;
            }
            p++;
        }
        g_string_append_c(s, *p);
    }
    *at = *p ? p + 1 : NULL;
    return g_string_free(s, FALSE);
}

static void pair_add(struct options *o, const char *key, const char *value)
{
    struct option_pair pair = { g_strdup(key), g_strdup(value) };

    g_array_append_val(o->pairs, pair);
}

/* One item: "key=value", "flag", "noflag" (as QEMU's users wrote nowait, nodelay), or the value of `first`. */
static bool item_take(struct options *o, char *item, const char *first, const struct option_desc *desc, GError **err)
{
    char *eq = strchr(item, '=');
    const struct option_desc *d;
    const char *key = item, *value;

    if (eq && eq != item) {
        *eq = 0;
        value = eq + 1;
    } else if (!strcmp(item, "help") || !strcmp(item, "?")) {
        pair_add(o, "help", "on");
        return true;
    } else if (first) {
        key = first;
        value = item;
    } else if (desc && g_str_has_prefix(item, "no") && !desc_find(desc, item) && desc_find(desc, item + 2) &&
               desc_find(desc, item + 2)->type == OPT_BOOL) {
        key = item + 2;
        value = "off";
    } else {
        value = "on";
    }
    if (desc) {
        d = desc_find(desc, key);
        if (!d) {
            return unknown_key(desc, key, err);
        }
        if (!eq && !first && d->type != OPT_BOOL) {
            return error_set(err, EMU_ERROR_INVALID, "option '%s' needs a value: %s=...", key, key);
        }
        if (!value_check(d, value, err)) {
            return false;
        }
    }
    pair_add(o, key, value);
    return true;
}

bool options_add(struct options *o, const char *key, const char *value, const struct option_desc *desc, GError **err)
{
    const struct option_desc *d = desc ? desc_find(desc, key) : NULL;

    if (desc && !d) {
        return unknown_key(desc, key, err);
    }
    if (d && !value_check(d, value, err)) {
        return false;
    }
    pair_add(o, key, value);
    return true;
}

struct options *options_parse(const char *text, const char *first, const struct option_desc *desc, GError **err)
{
    struct options *o;
    const char *at = text;
    bool ok = true;

    if (text && *text == '{') {
        return options_parse_json(text, desc, err);
    }
    o = g_new0(struct options, 1);
    o->pairs = g_array_new(FALSE, FALSE, sizeof(struct option_pair));
    while (ok && at && *at) {
        char *item = item_next(&at);

        if (*item) {
            ok = item_take(o, item, first, desc, err);
        }
        first = NULL;
        g_free(item);
    }
    if (!ok) {
        options_free(o);
        return NULL;
    }
    return o;
}

void options_free(struct options *o)
{
    if (!o) {
        return;
    }
    for (unsigned i = 0; i < o->pairs->len; i++) {
        struct option_pair *p = &g_array_index(o->pairs, struct option_pair, i);

        g_free(p->key);
        g_free(p->value);
    }
    g_array_free(o->pairs, TRUE);
    g_free(o);
}

void options_merge(struct options *into, const struct options *from)
{
    for (unsigned i = 0; i < from->pairs->len; i++) {
        struct option_pair *p = &g_array_index(from->pairs, struct option_pair, i);

        pair_add(into, p->key, p->value);
    }
}

const char *options_string(const struct options *o, const char *key, const char *def)
{
    for (unsigned i = o ? o->pairs->len : 0; i-- > 0;) {
        struct option_pair *p = &g_array_index(o->pairs, struct option_pair, i);

        if (!strcmp(p->key, key)) {
            return p->value;
        }
    }
    return def;
}

bool options_has(const struct options *o, const char *key)
{
    return options_string(o, key, NULL) != NULL;
}

bool options_bool(const struct options *o, const char *key, bool def)
{
    const char *text = options_string(o, key, NULL);

    if (text) {
        parse_bool(text, &def, NULL);
    }
    return def;
}

uint64_t options_uint(const struct options *o, const char *key, uint64_t def)
{
    const char *text = options_string(o, key, NULL);

    /* A size is a number too, and without a suffix both read the same. */
    if (text && !parse_uint(text, &def, NULL)) {
        parse_size(text, 1, &def, NULL);
    }
    return def;
}

unsigned options_count(const struct options *o)
{
    return o ? o->pairs->len : 0;
}

void options_at(const struct options *o, unsigned n, const char **key, const char **value)
{
    struct option_pair *p = &g_array_index(o->pairs, struct option_pair, n);

    *key = p->key;
    *value = p->value;
}

static void desc_values(const struct option_desc *d, GString *s)
{
    switch (d->type) {
    case OPT_STRING: g_string_append(s, "text"); break;
    case OPT_BOOL:   g_string_append(s, "on|off"); break;
    case OPT_SIZE:   g_string_append(s, "size"); break;
    case OPT_UINT:
        if (d->max) {
            g_string_append_printf(s, "%" PRIu64 "..%" PRIu64, d->min, d->max);
        } else {
            g_string_append(s, "number");
        }
        break;
    case OPT_ENUM:
        for (const char *const *v = d->values; *v; v++) {
            g_string_append_printf(s, "%s%s", v == d->values ? "" : "|", *v);
        }
        break;
    }
}

void options_help(const struct option_desc *desc, FILE *out)
{
    for (; desc->name; desc++) {
        GString *s = g_string_new(desc->name);

        g_string_append_c(s, '=');
        desc_values(desc, s);
        fprintf(out, "  %-28s %s", s->str, desc->help ? desc->help : "");
        if (desc->def) {
            fprintf(out, "%s(default %s)", desc->help ? " " : "", desc->def);
        }
        fputc('\n', out);
        g_string_free(s, TRUE);
    }
}
