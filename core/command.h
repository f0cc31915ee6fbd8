/*
 * Monitor commands as table rows. Any room that sees core/ can export an array of them; main/ joins the arrays and
 * hands them to the monitor, which no room needs to know.
 *
 * A row says what its arguments are (`arg`), and exec gets them read and checked; they also drive completion, and any other way of calling a
 * command (JSON) can fill them by name. Rows with run instead take the rest of the line as it is.
 */
#ifndef CORE_COMMAND_H
#define CORE_COMMAND_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct machine;

enum command_arg_type {
    ARG_FLAG,           /* "-a": the first letter of its name */
    ARG_STRING,         /* a word, or "quoted" with \n, \r, \\, \" */
    ARG_REST,           /* the rest of the line */
    ARG_NUMBER,         /* an expression: numbers, $pc, + - * / % & | ^ ~ ( ) */
    ARG_SIZE,           /* a number with k, M, G, T; MiB without */
    ARG_FORMAT,         /* "/4xg", right behind the command's name */
    ARG_SWITCH,         /* on or off */
};

enum command_completion { COMPLETE_NOTHING, COMPLETE_FILE, COMPLETE_DEVICE_ID, COMPLETE_DEVICE_CLASS, COMPLETE_OBJECT_ID, COMPLETE_OBJECT_TYPE,
                          COMPLETE_CHARDEV, COMPLETE_COMMAND };

struct command_arg {
    const char *name;           /* NULL ends a table */
    enum command_arg_type type;
    bool optional;
    enum command_completion completion;
};

/* What was read, by name. Missing optional ones: the given default, NULL, false. */
struct command_args;
const char *args_string(const struct command_args *a, const char *name);
uint64_t args_number(const struct command_args *a, const char *name, uint64_t def);
bool args_flag(const struct command_args *a, const char *name);
bool args_has(const struct command_args *a, const char *name);

struct command {
    const char *name;           /* NULL ends a table */
    const char *alias;          /* short form, or NULL */
    const char *args;           /* as help shows them: "[-a]"; "" for none: arguments are refused */
    const char *help;           /* one line */
    /* Machine lock held, main loop thread. args: the rest of the line, trimmed, never NULL. Output ends in a newline. */
    bool (*run)(struct machine *m, const char *args, GString *out, GError **err);
    const struct command *sub;  /* a table of its own instead of run ("info") */
    const struct command_arg *arg;
    bool (*exec)(struct machine *m, const struct command_args *a, GString *out, GError **err);
};

/*
 * Reads a line's arguments by the table (NULL: none). at, cpu: for $pc and registers in expressions. NULL with *err when something is
 * missing, too much or wrong. Free with args_free().
 */
struct cpu;
struct command_args *args_parse(const struct command_arg *table, const char *text, struct cpu *cpu, GError **err);
void args_free(struct command_args *a);

#endif
