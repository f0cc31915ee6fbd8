/*
 * Consoles: what a display device draws and a display shows.
 *
 * A device has one console per head. It keeps the console's surface up to date only when it is pulled: ui calls `update`, the device
 * draws what has changed and says where with ui_console_damage(). Displays (window, VNC, curses) are listeners: while one of them
 * looks, ui pulls every 30 ms, slower while nothing changes; when nobody looks nothing is drawn.
 *
 * Pixels are always 32 bits, x8r8g8b8. A surface's memory is the console's own or the device's (its video memory), then it is
 * valid until the next resize. Displays that work in a thread of their own copy what they need in their callbacks.
 *
 * Locks: none here. All calls, in both directions, are serialised by the caller (the machine lock, which the main loop holds while it
 * dispatches GLib sources).
 */
#ifndef UI_CONSOLE_H
#define UI_CONSOLE_H

#include <glib.h>
#include <pixman.h>
#include <stdbool.h>
#include <stdint.h>

struct ui;
struct ui_console;
struct chardev;

#define UI_MAX_SIZE 8192            /* pixels, each way */
#define UI_REFRESH_MS 30
#define UI_TEXT_COLUMNS 256         /* largest text screen */
#define UI_TEXT_ROWS 128

struct ui_rect {
    int x, y, w, h;
};

struct ui_surface {
    pixman_image_t *image;
    int width, height;              /* pixels */
    int stride;                     /* bytes */
    uint8_t *data;
    bool borrowed;                  /* data is the device's */
};

/* A cursor's picture, premultiplied a8r8g8b8, width * height of them. */
struct ui_cursor {
    int width, height, hot_x, hot_y;
    uint32_t pixels[];
};

/* A character cell: code in code page 437 (or Latin-1, see `unicode`), VGA attribute. */
struct ui_cell {
    uint8_t code, attr;
};

struct ui_text {
    unsigned columns, rows;
    bool cursor;
    unsigned cursor_x, cursor_y;
    struct ui_cell cell[UI_TEXT_ROWS][UI_TEXT_COLUMNS];
};

/* What a device gives. Any may be NULL. */
struct ui_console_ops {
    void (*update)(void *opaque);
    void (*invalidate)(void *opaque);                                   /* the next update draws everything */
    bool (*text)(void *opaque, struct ui_text *text);                   /* false: not in a text mode now */
    void (*wants_size)(void *opaque, int width, int height);            /* a display would like this size; 0, 0: it is gone */
    void (*key)(void *opaque, int qcode, bool down);                    /* text consoles: keys come here, not to the guest */
};

/* What a display gives. Any function may be NULL. */
struct ui_listener {
    void (*resized)(void *opaque, struct ui_console *c);                /* a new surface; all of it is damaged next */
    void (*damaged)(void *opaque, struct ui_console *c, const struct ui_rect *r, unsigned n);
    void (*cursor_shape)(void *opaque, struct ui_console *c, const struct ui_cursor *cursor);   /* NULL: none */
    void (*cursor_moved)(void *opaque, struct ui_console *c, int x, int y, bool visible);
    void *opaque;
    bool looks;                     /* set with ui_listener_look() */
};

struct ui *ui_new(void);
void ui_free(struct ui *ui);        /* consoles and handlers that are left go too */

/* name: copied, as in info and messages ("VGA", "virtio-gpu-pci.1"). The console is freed by ui_console_remove() or ui_free(). */
struct ui_console *ui_console_add(struct ui *ui, const char *name, const struct ui_console_ops *ops, void *opaque);
void ui_console_remove(struct ui_console *c);
unsigned ui_console_count(const struct ui *ui);
/* In order of addition; graphic consoles and text consoles in one list. NULL: there are no more. */
struct ui_console *ui_console_at(const struct ui *ui, unsigned n);
const char *ui_console_name(const struct ui_console *c);
struct ui *ui_console_ui(const struct ui_console *c);
bool ui_console_is_text(const struct ui_console *c);            /* one of ours (vc), not a guest's screen */
void ui_console_set_text(struct ui_console *c);

/* --- for devices --- */

/* A surface of the console's own, black; no change: nothing happens. Sizes are clamped to 1..UI_MAX_SIZE. */
void ui_console_resize(struct ui_console *c, int width, int height);
/* The surface is memory of the device's; same place and size: nothing happens. data: stride * height bytes stay readable. */
void ui_console_borrow(struct ui_console *c, int width, int height, int stride, void *data);
void ui_console_damage(struct ui_console *c, int x, int y, int w, int h);
void ui_console_damage_all(struct ui_console *c);
/* Takes the cursor over (g_malloc'd); NULL: no shape. */
void ui_console_set_cursor(struct ui_console *c, struct ui_cursor *cursor);
void ui_console_move_cursor(struct ui_console *c, int x, int y, bool visible);
/* Something will have changed soon: look again at full speed. */
void ui_wake(struct ui *ui);

/* --- for displays --- */

const struct ui_surface *ui_console_surface(const struct ui_console *c);     /* NULL: the device has shown nothing yet */
const struct ui_cursor *ui_console_cursor(const struct ui_console *c, int *x, int *y, bool *visible);
/* Pulls once, now, and tells the listeners. */
void ui_console_update(struct ui_console *c);
bool ui_console_text(struct ui_console *c, struct ui_text *text);
void ui_console_wants_size(struct ui_console *c, int width, int height);
bool ui_console_can_resize(const struct ui_console *c);
/* A key for a text console; false: it is a guest's screen, the key goes to ui_input_key(). */
bool ui_console_key(struct ui_console *c, int qcode, bool down);

/* The listener hears of console c (and is told of its surface and cursor as they are). It stays the caller's. */
void ui_listen(struct ui_console *c, struct ui_listener *l);
void ui_unlisten(struct ui_console *c, struct ui_listener *l);
void ui_listener_look(struct ui *ui, struct ui_listener *l, bool looks);
/* Consoles come and go (device_add, device_del). One hook per display. */
void ui_on_change(struct ui *ui, void (*fn)(void *opaque), void *opaque);

/* Picture files. PNG: 8 bit RGB. False with *err. */
bool ui_surface_write_ppm(const struct ui_surface *s, const char *path, GError **err);
bool ui_surface_write_png(const struct ui_surface *s, const char *path, GError **err);

/*
 * A text console: a VT100 on a stream of its own, drawn by ui. The stream is for a serial port or a monitor; it belongs to the caller
 * and is closed before ui_free().
 */
struct chardev *ui_vc_new(struct ui *ui, const char *name, int columns, int rows);

#endif
