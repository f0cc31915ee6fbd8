/*
 * Displays: what shows consoles and takes input. Each kind is one file with an open function; a kind that configure left out is absent.
 * Locks: as ui/console.h. A display that works in threads of its own never makes the caller wait for them.
 */
#ifndef UI_DISPLAY_H
#define UI_DISPLAY_H

#include "ui/console.h"
#include "ui/input.h"

/* What a display needs to know of the machine around it. Strings stay valid while it is open. */
struct ui_host {
    const char *title;                  /* name of the machine */
    const struct ui_layout *layout;     /* -k */
    bool layout_given;                  /* -k was said: keysyms count, not the key codes some viewers send */
    bool full_screen;
    void (*quit)(void *opaque);         /* the user has closed the window */
    void *opaque;
};

struct ui_display {
    void (*close)(struct ui_display *d);
    void (*state)(struct ui_display *d, const char *state);          /* "running", "paused" ...; may be NULL */
    char *(*info)(struct ui_display *d);                             /* text for info vnc, g_malloc'd; may be NULL */
    /* NULL password: none is accepted until one is set. May be NULL. */
    void (*set_password)(struct ui_display *d, const char *password);
};

/* NULL with *err. spec: what follows the kind's name on the command line, "" for nothing. */
struct ui_display *ui_vnc_open(struct ui *ui, const char *spec, const struct ui_host *host, GError **err);
struct ui_display *ui_sdl_open(struct ui *ui, const char *spec, const struct ui_host *host, GError **err);
struct ui_display *ui_curses_open(struct ui *ui, const char *spec, const struct ui_host *host, GError **err);

#endif
