/*
 * The human monitor's conversation: prompt, finding the command, its arguments. See monitor/monitor.h; editing is in line.c, completion in complete.c.
 */
#include "monitor/monitor.h"

#include <string.h>

#include "base/error.h"
#include "chardev/chardev.h"
#include "core/accel.h"
#include "core/machine.h"
#include "monitor/line.h"
#include "monitor/monitor_priv.h"

#define PROMPT "(qemu) "

enum { OUTPUT_MAX = 16 << 20 };

struct monitor {
    struct machine *machine;
    struct chardev *chardev;
    const struct command *const *tables;
    struct line *line;
    GString *out;             /* what the host has not taken yet */
    bool greeted;
};

/* --- output --- */

static void flush(struct monitor *mon)
{
    size_t n = mon->out->len ? chardev_write(mon->chardev, mon->out->str, mon->out->len) : 0;

    g_string_erase(mon->out, 0, (gssize)n);
}

/* Lines end in CR LF: the other side is a terminal in raw mode. Goes out with the next flush(). */
static void say(void *opaque, const char *text)
{
    struct monitor *mon = opaque;

    for (; *text; text++) {
        if (*text == '\n') {
            g_string_append_c(mon->out, '\r');
        }
        g_string_append_c(mon->out, *text);
    }
    if (mon->out->len > OUTPUT_MAX) {
        g_string_truncate(mon->out, OUTPUT_MAX);
    }
}

/* --- finding and running --- */

const struct command *command_find(const struct command *t, const char *name)
{
    for (; t && t->name; t++) {
        if (!strcmp(t->name, name) || (t->alias && !strcmp(t->alias, name))) {
            return t;
        }
    }
    return NULL;
}

static void collect_names(const struct command *t, GPtrArray *names)
{
    for (; t && t->name; t++) {
        g_ptr_array_add(names, (char *)t->name);
    }
}

static void help_line(GString *out, const char *before, const struct command *c)
{
    g_string_append_printf(out, "%s%s%s%s%s%s -- %s\n", before, c->name, c->alias ? "|" : "", c->alias ? c->alias : "",
                           *c->args ? " " : "", c->args, c->help);
}

static void help(const struct command *const *tables, const char *about, GString *out)
{
    const struct command *const *first = tables;
    bool found = false;

    for (; *tables; tables++) {
        for (const struct command *c = *tables; c->name; c++) {
            if (*about && strcmp(c->name, about) && g_strcmp0(c->alias, about)) {
                continue;
            }
            /* Several tables have a part of "info". */
            bool said = false;
            for (const struct command *const *t = first; t != tables && c->sub; t++) {
                said = said || command_find(*t, c->name);
            }
            found = true;
            if (!said) {
                help_line(out, "", c);
            }
            for (const struct command *s = *about ? c->sub : NULL; s && s->name; s++) {
                char *before = g_strdup_printf("%s ", c->name);

                help_line(out, before, s);
                g_free(before);
            }
        }
    }
    if (!found) {
        g_string_append_printf(out, "unknown command: '%s'\n", about);
    }
}

struct typed {
    const struct command *command;
    const char *text;
    struct command_args *args;
    GError **err;
};

/* Expressions name registers, which are only consistent on the vCPU's thread. */
static void parse_there(struct cpu *c, void *opaque)
{
    struct typed *t = opaque;

    if (c->machine->accel && c->machine->accel->pull) {
        c->machine->accel->pull(c);
    }
    t->args = args_parse(t->command->arg, t->text, c, t->err);
}

static bool run_typed(struct machine *m, const struct command *c, const char *text, GString *out, GError **err)
{
    struct typed t = { c, text, NULL, err };
    bool ok;

    if (strchr(text, '$') && m->n_cpus) {
        cpu_run_on(monitor_cpu(m), parse_there, &t, false);
    } else {
        t.args = args_parse(c->arg, text, m->n_cpus ? monitor_cpu(m) : NULL, err);
    }
    ok = t.args && c->exec(m, t.args, out, err);
    args_free(t.args);
    return ok;
}

static void run(struct machine *m, const struct command *c, const char *path, const char *args, GString *out)
{
    GError *err = NULL;
    char *word;
    const struct command *s;
    size_t len;

    if (c->sub) {
        len = strcspn(args, " \t");
        if (!len) {
            word = g_strdup_printf("%s ", path);
            for (s = c->sub; s->name; s++) {
                help_line(out, word, s);
            }
            g_free(word);
            return;
        }
        word = g_strndup(args, len);
        s = command_find(c->sub, word);
        if (s) {
            run(m, s, path, args + len + strspn(args + len, " \t"), out);
        } else {
            GPtrArray *names = g_ptr_array_new();

            collect_names(c->sub, names);
            g_ptr_array_add(names, NULL);
            error_unknown(&err, path, word, (const char *const *)names->pdata, path);
            g_string_append_printf(out, "%s\n", err->message);
            g_clear_error(&err);
            g_ptr_array_free(names, TRUE);
        }
        g_free(word);
        return;
    }
    if (*args && !*c->args) {
        g_string_append_printf(out, "%s: extraneous characters at the end of line\n", c->name);
    } else if (c->exec ? !run_typed(m, c, args, out, &err) : !c->run(m, args, out, &err)) {
        g_string_append_printf(out, "Error: %s\n", err ? err->message : "the command failed");
        g_clear_error(&err);
    }
}

/*
 * The command of a line. Several tables may have parts of one with subjects ("info"): the part that knows the subject counts; without a
 * subject all but the first are run (listed) here.
 */
static const struct command *find_command(const struct command *const *tables, const char *word, const char *args, GString *out,
                                          struct machine *m)
{
    const struct command *first = NULL;
    char *subject = g_strndup(args, strcspn(args, " \t"));

    for (unsigned i = 0; tables[i]; i++) {
        const struct command *c = command_find(tables[i], word);

        if (c && c->sub && *subject && command_find(c->sub, subject)) {
            first = c;
            break;
        }
        if (c && first && first->sub && !*subject) {
            run(m, c, c->name, args, out);
        }
        first = first ? first : c;
    }
    g_free(subject);
    return first;
}

void monitor_execute(struct machine *m, const struct command *const *tables, const char *line, GString *out)
{
    char *text = g_strstrip(g_strdup(line)), *word;
    const struct command *c = NULL;
    const char *args;
    size_t len;

    /* "x/4i 0" is as good as "x /4i 0". */
    len = strcspn(text, " \t/");
    word = g_strndup(text, len);
    args = text + len + strspn(text + len, " \t");
    if (!*text || *text == '#') {
        goto done;
    }
    if (!strcmp(word, "help") || !strcmp(word, "?")) {
        help(tables, args, out);
        goto done;
    }
    c = find_command(tables, word, args, out, m);
    if (c) {
        run(m, c, c->name, args, out);
    } else {
        GPtrArray *names = g_ptr_array_new();
        const char *near;

        g_ptr_array_add(names, (char *)"help");
        for (unsigned i = 0; tables[i]; i++) {
            collect_names(tables[i], names);
        }
        g_ptr_array_add(names, NULL);
        near = name_suggest(word, (const char *const *)names->pdata);
        g_string_append_printf(out, "unknown command: '%s'", word);
        g_string_append_printf(out, near ? ", did you mean '%s'?\n" : ", see '%s'\n", near ? near : "help");
        g_ptr_array_free(names, TRUE);
    }
done:
    g_free(word);
    g_free(text);
}

/* --- the stream's side --- */

static void enter(void *opaque, const char *text)
{
    struct monitor *mon = opaque;
    g_autoptr(GString) out = g_string_new(NULL);

    if (!strcmp(text, "info history")) {
        line_history(mon->line, out);
    } else {
        monitor_execute(mon->machine, mon->tables, text, out);
    }
    say(mon, out->str);
    line_prompt(mon->line);
}

static GPtrArray *complete(void *opaque, const char *text)
{
    struct monitor *mon = opaque;

    return monitor_complete(mon->machine, mon->tables, text);
}

static size_t can_take(void *opaque)
{
    struct monitor *mon = opaque;

    return mon->out->len > OUTPUT_MAX / 2 ? 0 : 256;
}

static void take(void *opaque, const uint8_t *buf, size_t len)
{
    struct monitor *mon = opaque;

    for (size_t i = 0; i < len; i++) {
        line_key(mon->line, buf[i]);
    }
    flush(mon);
}

static void event(void *opaque, enum chardev_event e)
{
    struct monitor *mon = opaque;

    if (e == CHARDEV_CLOSED) {
        line_clear(mon->line);
        g_string_truncate(mon->out, 0);
        mon->greeted = false;
    } else if (e == CHARDEV_OPENED) {
        say(mon, mon->greeted ? "\n" : "QEMU 7.2.0 monitor - type 'help' for more information\n");
        mon->greeted = true;
        line_prompt(mon->line);
        flush(mon);
    }
}

static void writable(void *opaque)
{
    struct monitor *mon = opaque;

    flush(mon);
    chardev_kick_input(mon->chardev);
}

struct monitor *monitor_new(struct machine *m, struct chardev *c, const struct command *const *tables)
{
    struct monitor *mon = g_new0(struct monitor, 1);
    struct line_ops ops = { say, enter, complete, mon };

    mon->machine = m;
    mon->chardev = c;
    mon->tables = tables;
    mon->line = line_new(&ops, PROMPT);
    mon->out = g_string_new(NULL);
    chardev_attach(c, &(struct chardev_port){ .can_take = can_take, .take = take, .event = event, .writable = writable, .opaque = mon });
    return mon;
}

void monitor_free(struct monitor *mon)
{
    if (mon) {
        chardev_attach(mon->chardev, NULL);
        line_free(mon->line);
        g_string_free(mon->out, TRUE);
        g_free(mon);
    }
}
