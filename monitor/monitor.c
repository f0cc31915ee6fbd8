/*
 * The human monitor's conversation: prompt, line editing, history, finding the command. See monitor/monitor.h.
 */
#include "monitor/monitor.h"

#include <string.h>

#include "base/error.h"
#include "chardev/chardev.h"
#include "core/machine.h"

#define PROMPT "(qemu) "

enum { LINE_MAX_LEN = 4096, HISTORY = 64, OUTPUT_MAX = 16 << 20 };

struct monitor {
    struct machine *machine;
    struct chardev *chardev;
    const struct command *const *tables;
    GString *line;
    GString *out;             /* what the host has not taken yet */
    GPtrArray *history;       /* char *, oldest first */
    unsigned history_at;      /* == history->len: the line being typed */
    char *typed;              /* that line, while history is shown */
    unsigned escape;          /* 1 after ESC, 2 after ESC [ */
    bool greeted, after_cr;
};

/* --- output --- */

static void flush(void *opaque)
{
    struct monitor *mon = opaque;
    size_t n = chardev_write(mon->chardev, mon->out->str, mon->out->len);

    g_string_erase(mon->out, 0, (gssize)n);
}

/* Lines end in CR LF: the other side is a terminal in raw mode. */
static void say(struct monitor *mon, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n') {
            g_string_append_c(mon->out, '\r');
        }
        g_string_append_c(mon->out, *text);
    }
    if (mon->out->len > OUTPUT_MAX) {
        g_string_truncate(mon->out, OUTPUT_MAX);
    }
    flush(mon);
}

/* --- finding and running --- */

static const struct command *table_find(const struct command *t, const char *name)
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
    bool found = false;

    for (; *tables; tables++) {
        for (const struct command *c = *tables; c->name; c++) {
            if (*about && strcmp(c->name, about) && g_strcmp0(c->alias, about)) {
                continue;
            }
            found = true;
            help_line(out, "", c);
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
        s = table_find(c->sub, word);
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
        g_string_append_printf(out, "%s: takes no arguments\n", c->name);
    } else if (!c->run(m, args, out, &err)) {
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
        const struct command *c = table_find(tables[i], word);

        if (c && c->sub && *subject && table_find(c->sub, subject)) {
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

/* --- editing --- */

static void redraw(struct monitor *mon)
{
    say(mon, "\r\033[K" PROMPT);
    say(mon, mon->line->str);
}

static void history_add(struct monitor *mon)
{
    const char *last = mon->history->len ? g_ptr_array_index(mon->history, mon->history->len - 1) : "";

    if (mon->line->len && strcmp(last, mon->line->str)) {
        if (mon->history->len == HISTORY) {
            g_ptr_array_remove_index(mon->history, 0);
        }
        g_ptr_array_add(mon->history, g_strdup(mon->line->str));
    }
    mon->history_at = mon->history->len;
}

static void history_go(struct monitor *mon, int step)
{
    unsigned to = mon->history_at + (unsigned)step;

    if (to > mon->history->len) {       /* also below 0 */
        return;
    }
    if (mon->history_at == mon->history->len) {
        g_free(mon->typed);
        mon->typed = g_strdup(mon->line->str);
    }
    mon->history_at = to;
    g_string_assign(mon->line, to == mon->history->len ? mon->typed : g_ptr_array_index(mon->history, to));
    redraw(mon);
}

static void enter(struct monitor *mon)
{
    GString *out = g_string_new(NULL);
    char *line;

    say(mon, "\n");
    history_add(mon);
    line = g_strdup(mon->line->str);
    g_string_truncate(mon->line, 0);
    monitor_execute(mon->machine, mon->tables, line, out);
    say(mon, out->str);
    say(mon, PROMPT);
    g_free(line);
    g_string_free(out, TRUE);
}

static void erase(struct monitor *mon, gsize n)
{
    for (; n && mon->line->len; n--) {
        g_string_truncate(mon->line, mon->line->len - 1);
        say(mon, "\b \b");
    }
}

static gsize last_word(const struct monitor *mon)
{
    gsize n = mon->line->len;

    while (n && mon->line->str[n - 1] == ' ') {
        n--;
    }
    while (n && mon->line->str[n - 1] != ' ') {
        n--;
    }
    return mon->line->len - n;
}

/* The word being typed, when only one command begins with it. */
static void complete(struct monitor *mon)
{
    const struct command *found = NULL;
    unsigned n = 0;

    if (!mon->line->len || strchr(mon->line->str, ' ')) {
        return;
    }
    for (unsigned i = 0; mon->tables[i]; i++) {
        for (const struct command *c = mon->tables[i]; c->name; c++) {
            if (g_str_has_prefix(c->name, mon->line->str)) {
                found = c;
                n++;
            }
        }
    }
    if (n == 1) {
        say(mon, found->name + mon->line->len);
        say(mon, " ");
        g_string_assign(mon->line, found->name);
        g_string_append_c(mon->line, ' ');
    }
}

static void key(struct monitor *mon, uint8_t k)
{
    char echo[2] = { (char)k, 0 };

    if (mon->escape) {
        bool arrow = mon->escape == 2;

        mon->escape = mon->escape == 1 && (k == '[' || k == 'O') ? 2 : 0;
        if (arrow && (k == 'A' || k == 'B')) {
            history_go(mon, k == 'A' ? -1 : 1);
        } else if (arrow && (g_ascii_isdigit(k) || k == ';')) {
            mon->escape = 2;            /* a longer sequence: swallow it */
        }
        return;
    }
    switch (k) {
    case '\n':
        if (mon->after_cr) {
            break;
        }
        /* fall through */
    case '\r':
        enter(mon);
        break;
    case 8:
    case 127:
        erase(mon, 1);
        break;
    case 'C' - 64:
    case 'U' - 64:
        erase(mon, mon->line->len);
        break;
    case 'W' - 64:
        erase(mon, last_word(mon));
        break;
    case 'L' - 64:
        redraw(mon);
        break;
    case 'P' - 64:
        history_go(mon, -1);
        break;
    case 'N' - 64:
        history_go(mon, 1);
        break;
    case '\t':
        complete(mon);
        break;
    case 27:
        mon->escape = 1;
        break;
    default:
        if (k >= ' ' && mon->line->len < LINE_MAX_LEN) {
            g_string_append_c(mon->line, (gchar)k);
            say(mon, echo);
        }
        break;
    }
    mon->after_cr = k == '\r';
}

/* --- the stream's side --- */

static size_t can_take(void *opaque)
{
    struct monitor *mon = opaque;

    return mon->out->len > OUTPUT_MAX / 2 ? 0 : 256;
}

static void take(void *opaque, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        key(opaque, buf[i]);
    }
}

static void event(void *opaque, enum chardev_event e)
{
    struct monitor *mon = opaque;

    if (e == CHARDEV_CLOSED) {
        g_string_truncate(mon->line, 0);
        g_string_truncate(mon->out, 0);
        mon->greeted = false;
    } else if (e == CHARDEV_OPENED) {
        say(mon, mon->greeted ? "\n" : "QEMU 7.2.0 monitor (emu) - type 'help' for more information\n");
        mon->greeted = true;
        say(mon, PROMPT);
        say(mon, mon->line->str);
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
    struct chardev_port port = { .can_take = can_take, .take = take, .event = event, .writable = writable, .opaque = mon };

    mon->machine = m;
    mon->chardev = c;
    mon->tables = tables;
    mon->line = g_string_new(NULL);
    mon->out = g_string_new(NULL);
    mon->history = g_ptr_array_new_with_free_func(g_free);
    chardev_attach(c, &port);
    return mon;
}

void monitor_free(struct monitor *mon)
{
    if (mon) {
        chardev_attach(mon->chardev, NULL);
        g_string_free(mon->line, TRUE);
        g_string_free(mon->out, TRUE);
        g_ptr_array_free(mon->history, TRUE);
        g_free(mon->typed);
        g_free(mon);
    }
}
