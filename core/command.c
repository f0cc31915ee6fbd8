/*
 * Arguments of monitor commands, read by their tables. See core/command.h.
 */
#include "core/command.h"

#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "core/expr.h"

struct value {
    bool there;
    char *text;
    uint64_t number;
};

struct command_args {
    const struct command_arg *table;
    unsigned n;
    struct value value[];
};

static const struct value *find(const struct command_args *a, const char *name)
{
    for (unsigned i = 0; i < a->n; i++) {
        if (!strcmp(a->table[i].name, name)) {
            return &a->value[i];
        }
    }
    g_error("a command asks for an argument '%s' that its table does not have", name);
}

const char *args_string(const struct command_args *a, const char *name) { return find(a, name)->text; }
bool args_flag(const struct command_args *a, const char *name) { return find(a, name)->number; }
bool args_has(const struct command_args *a, const char *name) { return find(a, name)->there; }

uint64_t args_number(const struct command_args *a, const char *name, uint64_t def)
{
    return find(a, name)->there ? find(a, name)->number : def;
}

void args_free(struct command_args *a)
{
    for (unsigned i = 0; a && i < a->n; i++) {
        g_free(a->value[i].text);
    }
    g_free(a);
}

/* A word, perhaps in quotes. NULL with *err when the quotes do not end. */
static char *take_word(const char **at, GError **err)
{
    GString *s = g_string_new(NULL);
    const char *p = *at;
    bool quoted = *p == '"';

    for (p += quoted; *p && (quoted ? *p != '"' : *p != ' ' && *p != '\t'); p++) {
        char c = *p;

        if (quoted && c == '\\' && p[1]) {
            c = *++p;
            c = c == 'n' ? '\n' : c == 'r' ? '\r' : c;
        }
        g_string_append_c(s, c);
    }
    if (quoted && *p != '"') {
        g_string_free(s, TRUE);
        error_set(err, EMU_ERROR_INVALID, "unterminated string literal");
        return NULL;
    }
    p += quoted;
    *at = p;
    return g_string_free(s, FALSE);
}

static bool take_flags(struct command_args *a, const char **at, GError **err)
{
    const char *p = *at;

    while (*p == '-' && g_ascii_isalpha(p[1])) {
        const char *letter = p + 1;

        for (; *letter && *letter != ' ' && *letter != '\t'; letter++) {
            bool known = false;

            for (unsigned i = 0; i < a->n; i++) {
                if (a->table[i].type == ARG_FLAG && a->table[i].name[0] == *letter) {
                    a->value[i] = (struct value){ .there = true, .number = 1 };
                    known = true;
                }
            }
            if (!known) {
                return error_set(err, EMU_ERROR_INVALID, "unsupported option -%c", *letter);
            }
        }
        p = letter + strspn(letter, " \t");
    }
    *at = p;
    return true;
}

static bool take_value(const struct command_arg *arg, struct value *v, const char **at, struct cpu *cpu, GError **err)
{
    bool on;

    v->there = true;
    if (arg->type == ARG_REST) {
        v->text = g_strdup(*at);
        *at += strlen(*at);
        return true;
    }
    if (arg->type == ARG_NUMBER) {
        return expr_read(at, cpu, &v->number, err);
    }
    v->text = take_word(at, err);
    if (!v->text) {
        return false;
    }
    if (arg->type == ARG_SIZE) {
        return parse_size(v->text, 1 << 20, &v->number, err);
    }
    if (arg->type == ARG_SWITCH) {
        if (!parse_bool(v->text, &on, err)) {
            return false;
        }
        v->number = on;
    }
    return true;
}

static bool has_flags(const struct command_args *a)
{
    for (unsigned i = 0; i < a->n; i++) {
        if (a->table[i].type == ARG_FLAG) {
            return true;
        }
    }
    return false;
}

static bool take_all(struct command_args *a, const char *text, struct cpu *cpu, GError **err)
{
    if (has_flags(a) && !take_flags(a, &text, err)) {
        return false;
    }
    for (unsigned i = 0; i < a->n; i++) {
        const struct command_arg *arg = &a->table[i];

        if (arg->type == ARG_FLAG) {
            continue;
        }
        if (arg->type == ARG_FORMAT) {
            if (*text == '/') {
                size_t len = strcspn(text, " \t");

                a->value[i] = (struct value){ .there = true, .text = g_strndup(text + 1, len - 1) };
                text += len + strspn(text + len, " \t");
            }
            continue;
        }
        if (!*text) {
            if (arg->optional) {
                continue;
            }
            return error_set(err, EMU_ERROR_INVALID, "%s: parameter is missing", arg->name);
        }
        if (!take_value(arg, &a->value[i], &text, cpu, err)) {
            return error_prefix(err, "%s", arg->name);
        }
        text += strspn(text, " \t");
    }
    return !*text || error_set(err, EMU_ERROR_INVALID, "extraneous characters at the end of line: '%s'", text);
}

struct command_args *args_parse(const struct command_arg *table, const char *text, struct cpu *cpu, GError **err)
{
    struct command_args *a;
    unsigned n = 0;

    while (table && table[n].name) {
        n++;
    }
    a = g_malloc0(sizeof(*a) + n * sizeof(a->value[0]));
    a->table = table;
    a->n = n;
    if (!take_all(a, text, cpu, err)) {
        args_free(a);
        return NULL;
    }
    return a;
}
