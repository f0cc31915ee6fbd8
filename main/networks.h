/*
 * -netdev, -nic, -net, what happens when none is given, and the monitor's commands for networks.
 */
#ifndef MAIN_NETWORKS_H
#define MAIN_NETWORKS_H

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/command.h"
#include "core/object.h"

struct config;
struct machine;
struct networks;

/* Opens the host ends and plans the cards; fills m->nets. NULL with *err. Before objects and machine are made. */
struct networks *networks_open(const struct config *cfg, struct machine *m, GError **err);
/* Makes the cards of -nic and -net, before those of -device. Machine lock. */
bool networks_add_cards(struct networks *n, GError **err);
/* Devices must be gone by now. */
void networks_close(struct networks *n);

void networks_help(FILE *out);           /* -netdev help */
void networks_models_help(FILE *out);    /* -nic model=help */

extern const struct object_type filter_dump_type;
extern const struct command network_commands[];

#endif
