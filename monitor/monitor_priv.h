/* Commands that have a file of their own. */
#ifndef MONITOR_MONITOR_PRIV_H
#define MONITOR_MONITOR_PRIV_H

#include "core/machine.h"

bool monitor_x(struct machine *m, const char *args, GString *out, GError **err);
bool monitor_xp(struct machine *m, const char *args, GString *out, GError **err);

#endif
