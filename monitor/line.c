/*
 * Line editing. Keys: arrows, Home, End, Delete, Backspace, Tab, and of Emacs ^A ^B ^C ^D ^E ^F ^K ^L ^N ^P ^U ^W. See monitor/line.h.
 */
#include "monitor/line.h"

#include <string.h>

enum { HISTORY = 64, SHOWN_MAX = 200 };
enum escape { TEXT, ESC, CSI, SS3 };

struct line {
    struct line_ops ops;
    char *prompt;
    GString *text;
    gsize at;                 /* the cursor */
    bool too_long;            /* keys were dropped */
    GPtrArray *history;       /* char *, oldest first */
    unsigned history_at;      /* == history->len: the line being typed */
    char *typed;              /* that line, while history is shown */
    enum escape escape;
    unsigned parameter;       /* of an escape sequence */
    bool after_cr;
};

#define CTRL(c) ((c) - 64)

static void say(struct line *l, const char *text) { l->ops.say(l->ops.opaque, text); }

static void say_many(struct line *l, const char *text, gsize n)
{
    for (; n; n--) {
        say(l, text);
    }
}

/* Shows the text from the cursor on again, after a change, with `gone` blanks to wipe; the cursor goes back. */
static void tail(struct line *l, gsize gone)
{
    gsize n = l->text->len - l->at;

    say(l, l->text->str + l->at);
    say_many(l, " ", gone);
    say_many(l, "\b", n + gone);
}

void line_prompt(struct line *l)
{
    say(l, l->prompt);
    say(l, l->text->str);
    say_many(l, "\b", l->text->len - l->at);
}

static void redraw(struct line *l)
{
    say(l, "\r\033[K");
    line_prompt(l);
}

void line_clear(struct line *l)
{
    g_string_truncate(l->text, 0);
    l->at = 0;
    l->too_long = false;
    l->history_at = l->history->len;
    l->escape = TEXT;
}

static void set_text(struct line *l, const char *text)
{
    g_string_assign(l->text, text);
    l->at = l->text->len;
    redraw(l);
}

/* --- history --- */

static void history_add(struct line *l)
{
    const char *last = l->history->len ? g_ptr_array_index(l->history, l->history->len - 1) : "";

    if (l->text->len && strcmp(last, l->text->str)) {
        if (l->history->len == HISTORY) {
            g_ptr_array_remove_index(l->history, 0);
        }
        g_ptr_array_add(l->history, g_strdup(l->text->str));
    }
    l->history_at = l->history->len;
}

static void history_go(struct line *l, int step)
{
    unsigned to = l->history_at + (unsigned)step;

    if (to > l->history->len) {         /* also below 0 */
        return;
    }
    if (l->history_at == l->history->len) {
        g_free(l->typed);
        l->typed = g_strdup(l->text->str);
    }
    l->history_at = to;
    set_text(l, to == l->history->len ? l->typed : g_ptr_array_index(l->history, to));
}

void line_history(struct line *l, GString *out)
{
    for (unsigned i = 0; i < l->history->len; i++) {
        g_string_append_printf(out, "%u: '%s'\n", i, (char *)g_ptr_array_index(l->history, i));
    }
}

/* --- completion --- */

static gsize common_length(GPtrArray *words)
{
    const char *first = g_ptr_array_index(words, 0);
    gsize n = strlen(first);

    for (unsigned i = 1; i < words->len; i++) {
        const char *w = g_ptr_array_index(words, i);
        gsize k = 0;

        while (k < n && w[k] == first[k]) {
            k++;
        }
        n = k;
    }
    return n;
}

static void insert(struct line *l, const char *text, gsize n)
{
    n = MIN(n, LINE_MAX_LEN - l->text->len);
    g_string_insert_len(l->text, (gssize)l->at, text, (gssize)n);
    say(l, l->text->str + l->at);
    l->at += n;
    say_many(l, "\b", l->text->len - l->at);
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static void show_words(struct line *l, GPtrArray *words)
{
    g_autoptr(GString) s = g_string_new("\n");
    unsigned column = 0;

    g_ptr_array_sort(words, by_name);
    for (unsigned i = 0; i < MIN(words->len, (guint)SHOWN_MAX); i++) {
        const char *w = g_ptr_array_index(words, i);

        if (column && column + strlen(w) > 78) {
            g_string_append_c(s, '\n');
            column = 0;
        }
        g_string_append_printf(s, "%-19s ", w);
        column += (unsigned)MAX((size_t)20, strlen(w) + 1);
    }
    if (words->len > SHOWN_MAX) {
        g_string_append_printf(s, "... (%u)", words->len);
    }
    g_string_append_c(s, '\n');
    say(l, s->str);
    line_prompt(l);
}

static void complete(struct line *l)
{
    g_autofree char *before = g_strndup(l->text->str, l->at);
    const char *blank = strrchr(before, ' ');
    const char *word = blank ? blank + 1 : before;
    GPtrArray *words = l->ops.complete ? l->ops.complete(l->ops.opaque, before) : NULL;

    if (words && words->len) {
        gsize n = common_length(words), have = strlen(word);
        const char *first = g_ptr_array_index(words, 0);

        if (n > have) {
            insert(l, first + have, n - have);
        } else if (words->len > 1) {
            show_words(l, words);
        }
        if (words->len == 1 && !g_str_has_suffix(first, "/")) {
            insert(l, " ", 1);
        }
    }
    if (words) {
        g_ptr_array_free(words, TRUE);
    }
}

/* --- editing --- */

static void move(struct line *l, gsize to)
{
    to = MIN(to, l->text->len);
    if (to < l->at) {
        say_many(l, "\b", l->at - to);
    } else {
        g_autofree char *passed = g_strndup(l->text->str + l->at, to - l->at);

        say(l, passed);
    }
    l->at = to;
}

static void erase(struct line *l, gsize from, gsize to)
{
    to = MIN(to, l->text->len);
    if (from >= to) {
        return;
    }
    move(l, from);
    g_string_erase(l->text, (gssize)from, (gssize)(to - from));
    tail(l, to - from);
    l->too_long = false;
}

static gsize word_start(const struct line *l)
{
    gsize n = l->at;

    while (n && l->text->str[n - 1] == ' ') {
        n--;
    }
    while (n && l->text->str[n - 1] != ' ') {
        n--;
    }
    return n;
}

static void enter(struct line *l)
{
    g_autofree char *text = NULL;
    bool too_long = l->too_long;

    move(l, l->text->len);
    say(l, "\n");
    if (!too_long) {
        history_add(l);
    }
    text = g_strdup(l->text->str);
    line_clear(l);
    if (too_long) {
        say(l, "Error: the line is longer than 4096 bytes\n");
        text[0] = 0;
    }
    l->ops.enter(l->ops.opaque, text);
}

static void escape_key(struct line *l, uint8_t k)
{
    enum escape was = l->escape;

    l->escape = TEXT;
    if (was == ESC) {
        l->escape = k == '[' ? CSI : k == 'O' ? SS3 : TEXT;
        l->parameter = 0;
        return;
    }
    if (was == CSI && (g_ascii_isdigit(k) || k == ';')) {
        l->parameter = k == ';' ? 0 : (l->parameter * 10 + k - '0') % 1000;
        l->escape = CSI;
        return;
    }
    switch (k) {
    case 'A': history_go(l, -1); break;
    case 'B': history_go(l, 1); break;
    case 'C': move(l, l->at + 1); break;
    case 'D': move(l, l->at ? l->at - 1 : 0); break;
    case 'H': move(l, 0); break;
    case 'F': move(l, l->text->len); break;
    case '~':
        switch (l->parameter) {
        case 1: case 7: move(l, 0); break;
        case 4: case 8: move(l, l->text->len); break;
        case 3: erase(l, l->at, l->at + 1); break;
        }
        break;
    }
}

static void plain_key(struct line *l, uint8_t k)
{
    char c = (char)k;

    if (k < ' ') {
        return;
    }
    if (l->text->len >= LINE_MAX_LEN) {
        l->too_long = true;
        return;
    }
    insert(l, &c, 1);
}

void line_key(struct line *l, uint8_t k)
{
    bool after_cr = l->after_cr;

    l->after_cr = k == '\r';
    if (l->escape) {
        escape_key(l, k);
        return;
    }
    switch (k) {
    case '\n':
        if (!after_cr) {
            enter(l);
        }
        break;
    case '\r': enter(l); break;
    case 8: case 127: erase(l, l->at ? l->at - 1 : 0, l->at); break;
    case CTRL('A'): move(l, 0); break;
    case CTRL('B'): move(l, l->at ? l->at - 1 : 0); break;
    case CTRL('C'): erase(l, 0, l->text->len); break;
    case CTRL('D'): erase(l, l->at, l->at + 1); break;
    case CTRL('E'): move(l, l->text->len); break;
    case CTRL('F'): move(l, l->at + 1); break;
    case CTRL('K'): erase(l, l->at, l->text->len); break;
    case CTRL('L'): redraw(l); break;
    case CTRL('N'): history_go(l, 1); break;
    case CTRL('P'): history_go(l, -1); break;
    case CTRL('U'): erase(l, 0, l->at); break;
    case CTRL('W'): erase(l, word_start(l), l->at); break;
    case '\t': complete(l); break;
    case 27: l->escape = ESC; break;
    default: plain_key(l, k); break;
    }
}

struct line *line_new(const struct line_ops *ops, const char *prompt)
{
    struct line *l = g_new0(struct line, 1);

    l->ops = *ops;
    l->prompt = g_strdup(prompt);
    l->text = g_string_new(NULL);
    l->history = g_ptr_array_new_with_free_func(g_free);
    return l;
}

void line_free(struct line *l)
{
    if (l) {
        g_string_free(l->text, TRUE);
        g_ptr_array_free(l->history, TRUE);
        g_free(l->typed);
        g_free(l->prompt);
        g_free(l);
    }
}
