/*
 * What Tab offers: names of commands, and arguments by the command's table. See core/command.h.
 */
#include <string.h>

#include "base/error.h"
#include "chardev/registry.h"
#include "core/device.h"
#include "core/machine.h"
#include "core/object.h"
#include "monitor/monitor.h"
#include "monitor/monitor_priv.h"

static void offer(GPtrArray *words, const char *word, const char *begin)
{
    for (unsigned i = 0; i < words->len; i++) {
        if (!strcmp(g_ptr_array_index(words, i), word)) {
            return;
        }
    }
    if (g_str_has_prefix(word, begin)) {
        g_ptr_array_add(words, g_strdup(word));
    }
}

static void offer_table(GPtrArray *words, const struct command *t, const char *begin)
{
    for (; t && t->name; t++) {
        offer(words, t->name, begin);
    }
}

static void offer_commands(GPtrArray *words, const struct command *const *tables, const char *begin)
{
    offer(words, "help", begin);
    for (; *tables; tables++) {
        offer_table(words, *tables, begin);
    }
}

static void offer_files(GPtrArray *words, const char *begin)
{
    const char *slash = strrchr(begin, '/');
    g_autofree char *folder = slash ? g_strndup(begin, (gsize)(slash - begin) + 1) : g_strdup("");
    GDir *dir = g_dir_open(*folder ? folder : ".", 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_strconcat(folder, name, NULL);
        g_autofree char *word = g_file_test(path, G_FILE_TEST_IS_DIR) ? g_strconcat(path, "/", NULL) : g_strdup(path);

        offer(words, word, begin);
    }
    if (dir) {
        g_dir_close(dir);
    }
}

struct offer {
    GPtrArray *words;
    const char *begin;
};

static void offer_chardev(void *opaque, const char *id, const char *filename, bool open)
{
    struct offer *o = opaque;

    (void)filename, (void)open;
    offer(o->words, id, o->begin);
}

static void offer_kind(struct machine *m, const struct command *const *tables, GPtrArray *words, enum command_completion kind, const char *begin)
{
    struct offer o = { words, begin };

    switch (kind) {
    case COMPLETE_FILE: offer_files(words, begin); break;
    case COMPLETE_COMMAND: offer_commands(words, tables, begin); break;
    case COMPLETE_CHARDEV: chardevs_each(m->chardevs, offer_chardev, &o); break;
    case COMPLETE_DEVICE_ID:
        for (unsigned i = 0; i < m->devices->len; i++) {
            const struct device *d = g_ptr_array_index(m->devices, i);

            if (d->id) {
                offer(words, d->id, begin);
            }
        }
        break;
    case COMPLETE_DEVICE_CLASS:
        for (const struct device_class *const *c = device_classes(); c && *c; c++) {
            if ((*c)->user_creatable) {
                offer(words, (*c)->name, begin);
            }
        }
        break;
    case COMPLETE_OBJECT_ID:
        for (unsigned i = 0; i < m->objects->len; i++) {
            offer(words, ((struct object *)g_ptr_array_index(m->objects, i))->id, begin);
        }
        break;
    case COMPLETE_OBJECT_TYPE:
        for (const struct object_type *const *t = object_types(); t && *t; t++) {
            offer(words, (*t)->name, begin);
        }
        break;
    case COMPLETE_NOTHING: break;
    }
}

/* The row for the n-th word behind the command (flags do not count). */
static const struct command_arg *arg_at(const struct command_arg *arg, unsigned n)
{
    for (; arg && arg->name; arg++) {
        if (arg->type != ARG_FLAG && arg->type != ARG_FORMAT && !n--) {
            return arg;
        }
    }
    return NULL;
}

GPtrArray *monitor_complete(struct machine *m, const struct command *const *tables, const char *line)
{
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) typed = g_strsplit_set(line, " ", -1);
    unsigned n = 0, position = 0;
    const char *begin;

    /* Blanks in a row are one. */
    for (unsigned i = 0; typed[i]; i++) {
        if (*typed[i] || !typed[i + 1]) {
            char *word = typed[i];

            typed[i] = typed[n];
            typed[n++] = word;
        }
    }
    begin = n ? typed[n - 1] : "";
    if (n < 2) {
        offer_commands(words, tables, begin);
        return words;
    }
    if (!strcmp(typed[0], "help") || !strcmp(typed[0], "?")) {
        offer_commands(words, tables, begin);
        return words;
    }
    for (unsigned i = 1; i + 1 < n; i++) {
        position += typed[i][0] != '-' && typed[i][0] != '/';
    }
    for (; *tables; tables++) {
        const struct command *c = command_find(*tables, typed[0]);
        const struct command_arg *arg;

        if (c && c->sub && n > 2) {
            c = command_find(c->sub, typed[1]);
            arg = c && position ? arg_at(c->arg, position - 1) : NULL;
        } else {
            offer_table(words, c ? c->sub : NULL, begin);
            arg = c ? arg_at(c->arg, position) : NULL;
        }
        if (arg) {
            offer_kind(m, tables, words, arg->completion, begin);
        }
    }
    return words;
}
