/*
 * Which stream goes where: -serial, -monitor, -nographic, and the terminal that serial port and monitor share.
 */
#ifndef MAIN_CONSOLES_H
#define MAIN_CONSOLES_H

#include <glib.h>
#include <stdbool.h>

struct config;
struct machine;
struct consoles;

/* Opens everything and fills m->spec.serial. NULL with *err. Before the machine is built. */
struct consoles *consoles_open(const struct config *cfg, struct machine *m, GError **err);
/* The machine is built: ports that -parallel and -debugcon ask for. Lock not held. */
bool consoles_devices(const struct config *cfg, struct machine *m, GError **err);
/* The machine is built: monitors may speak. Machine lock. */
void consoles_start(struct consoles *c);
/* Serial ports must be gone by now. */
void consoles_close(struct consoles *c);
/* True if a stream is the process's standard input and output. */
bool consoles_use_stdio(const struct config *cfg);

#endif
