/*
 * Disks on the command line: -drive, -blockdev, -hda ... and the devices that are made for them. See drives.c.
 */
#ifndef MAIN_DRIVES_H
#define MAIN_DRIVES_H

#include <glib.h>
#include <stdbool.h>

#include "core/command.h"

struct config;
struct drives;
struct machine;

/* For the option table. `how` names the option ("hda"); "" is the image that stands alone. */
bool drives_take(struct config *cfg, const char *how, const char *value, GError **err);
/* Opens everything, before the board is built: m->drives. */
bool drives_open(struct machine *m, const struct config *cfg, GError **err);
/* Makes the devices of drives that name an interface, before those of -device. Lock not held. */
bool drives_devices(struct machine *m, const struct config *cfg, GError **err);
/* At the end, after the machine is gone. */
void drives_close(struct drives *all);

extern const struct command drive_commands[];

#endif
