/*
 * A line being typed: cursor, history, completion, on a terminal that understands a few VT100 sequences. See line.c.
 */
#ifndef MONITOR_LINE_H
#define MONITOR_LINE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct line;

struct line_ops {
    void (*say)(void *opaque, const char *text);                /* to the terminal; \n is a new line */
    void (*enter)(void *opaque, const char *line);              /* Enter was pressed; the line is a copy that lives for the call */
    /* Whole words (GPtrArray of char *, freed by the caller) that can stand where the last word of `line` stands. */
    GPtrArray *(*complete)(void *opaque, const char *line);
    void *opaque;
};

enum { LINE_MAX_LEN = 4096 };

struct line *line_new(const struct line_ops *ops, const char *prompt);
void line_free(struct line *l);
void line_key(struct line *l, uint8_t key);
void line_prompt(struct line *l);            /* prompt and what is typed so far */
void line_clear(struct line *l);             /* forgets what is typed */
void line_history(struct line *l, GString *out);      /* numbered, for "info history" */

#endif
