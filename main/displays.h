/*
 * Displays of the machine: the graphics card of -vga, windows and servers of -display and -vnc, and the monitor's commands for screen,
 * keyboard and mouse.
 */
#ifndef MAIN_DISPLAYS_H
#define MAIN_DISPLAYS_H

#include <glib.h>
#include <stdbool.h>

#include "core/command.h"

struct config;
struct displays;
struct machine;

/* Options with a syntax of their own: false with *err. */
bool displays_take_display(struct config *cfg, const char *value, GError **err);
bool displays_take_vnc(struct config *cfg, const char *value, GError **err);
bool displays_take_sdl(struct config *cfg, const char *value, GError **err);
bool displays_take_curses(struct config *cfg, const char *value, GError **err);
bool displays_take_vga(struct config *cfg, const char *value, GError **err);
bool displays_take_keyboard(struct config *cfg, const char *value, GError **err);

/* Whether a window, a text screen or nothing but a server is what the user looks at: decides where serial ports and monitor go. */
bool displays_use_consoles(const struct config *cfg);      /* text consoles in a window or viewer */
bool displays_use_terminal(const struct config *cfg);      /* the terminal is a screen (curses) */
/* Whether the machine has a graphics card by default or by option. */
bool displays_want_card(const struct config *cfg);

/* Adds the card of -vga; before all other devices that the command line asks for. */
bool displays_add_card(struct machine *m, const struct config *cfg, GError **err);
/* Opens what is asked for, else what fits where we run. After the machine is built. Lives as long as the machine. */
struct displays *displays_open(const struct config *cfg, struct machine *m, GError **err);
void displays_close(struct displays *d);                   /* NULL is fine */

extern const struct command display_commands[];

#endif
