/*
 * Monitor commands as table rows. Any room that sees core/ can export an array of them; main/ joins the arrays and
 * hands them to the monitor, which no room needs to know.
 */
#ifndef CORE_COMMAND_H
#define CORE_COMMAND_H

#include <glib.h>
#include <stdbool.h>

struct machine;

struct command {
    const char *name;           /* NULL ends a table */
    const char *alias;          /* short form, or NULL */
    const char *args;           /* as help shows them: "[-a]"; "" for none: arguments are refused */
    const char *help;           /* one line */
    /* Machine lock held, main loop thread. args: the rest of the line, trimmed, never NULL. Output ends in a newline. */
    bool (*run)(struct machine *m, const char *args, GString *out, GError **err);
    const struct command *sub;  /* a table of its own instead of run ("info") */
};

#endif
