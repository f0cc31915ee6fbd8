/*
 * The human monitor: lines typed on a character device, commands out of tables (core/command.h). The prompt is exactly
 * "(qemu) ", which scripts wait for.
 */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include "core/command.h"

struct chardev;
struct machine;
struct monitor;

/* Takes the front's place of c; the stream stays the caller's and must outlive the monitor. tables: ends with NULL; not copied. */
struct monitor *monitor_new(struct machine *m, struct chardev *c, const struct command *const *tables);
void monitor_free(struct monitor *mon);

/* Runs one line; output (and the error's text) is appended to out. Machine lock. */
void monitor_execute(struct machine *m, const struct command *const *tables, const char *line, GString *out);

/* The commands of this room: they need nothing but core/, chardev/ and disas/. */
extern const struct command monitor_commands[], memory_commands[], object_commands[];

#endif
