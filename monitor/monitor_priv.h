/*
 * What the monitor's files share.
 */
#ifndef MONITOR_MONITOR_PRIV_H
#define MONITOR_MONITOR_PRIV_H

#include "core/command.h"
#include "core/machine.h"

/* The row of a name or alias, NULL: none. */
const struct command *command_find(const struct command *t, const char *name);
/* Words that can stand where the last word of the line stands; freed by the caller. */
GPtrArray *monitor_complete(struct machine *m, const struct command *const *tables, const char *line);
/* The vCPU that commands are about ("cpu N"). */
struct cpu *monitor_cpu(struct machine *m);

#endif
