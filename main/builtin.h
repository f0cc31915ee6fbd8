/*
 * What is built in: explicit lists, so that their order is visible and nothing runs before main().
 */
#ifndef MAIN_BUILTIN_H
#define MAIN_BUILTIN_H

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>

struct board;
struct command;

/* NULL-terminated; the first board is the default one. */
extern const struct board *const builtin_boards[];
extern const struct command *const builtin_commands[];

/* Hands devices and engines to core/ and checks every device's field table. False: a mistake of ours, named. */
bool builtin_register(GError **err);
const struct board *board_find(const char *name);
/* -cpu help */
void builtin_cpu_help(FILE *out);

#endif
