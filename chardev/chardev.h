/*
 * Character devices: byte streams between a front (a UART, a monitor) and the host (terminal, file, socket).
 *
 * A front fills a struct chardev_port and attaches it; the host side calls it when bytes arrive. Flow control goes both
 * ways: the host reads no more than can_take() allows, and chardev_write() takes what the host takes at this moment and
 * calls writable() when it would take more.
 *
 * Locks: none here. All calls, in both directions, are serialised by the caller: in the emulator everything happens
 * under the machine lock, which the main loop also holds while it dispatches GLib sources. Port functions are therefore
 * called with the machine lock held, in the main loop's thread. They may call chardev_write() and chardev_kick_input().
 */
#ifndef CHARDEV_CHARDEV_H
#define CHARDEV_CHARDEV_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct chardev;

enum chardev_event {
    CHARDEV_OPENED,     /* somebody listens now (connection made, focus gained) */
    CHARDEV_CLOSED,     /* nobody does: writes are dropped until OPENED */
    CHARDEV_BREAK,      /* a line break was received */
};

/* What a front gives. Any function may be NULL: no can_take means nothing is ever read. */
struct chardev_port {
    size_t (*can_take)(void *opaque);                               /* bytes that take() accepts now */
    void (*take)(void *opaque, const uint8_t *buf, size_t len);     /* len <= can_take() */
    void (*event)(void *opaque, enum chardev_event event);
    void (*writable)(void *opaque);       /* after a short chardev_write(), never inside it: try again now */
    void *opaque;
    void (*moved)(void *opaque, struct chardev *now);     /* chardev-change: from here on this one; NULL: the front cannot do that */
};

/*
 * Opens what a user names after -serial: "stdio", "null", "pty", "file:PATH", "pipe:PATH", "unix:PATH[,server=on][,wait=off]",
 * "tcp:[HOST]:PORT[,server=on][,wait=off][,nodelay=on]", the same with telnet: and websocket:, "fd:N", "/dev/ttyS0". `server,nowait` as QEMU's users
 * wrote it before are taken too. NULL with *err set when it cannot be; "wait" servers block until the first client has come.
 */
struct chardev *chardev_open(const char *spec, GError **err);
/* The same by options as -chardev has them: "backend" and what belongs to it (id and mux are not looked at here). */
struct options;
struct chardev *chardev_open_options(const struct options *o, GError **err);
/* The options that a -serial text means; NULL with *err. */
struct options *chardev_options(const char *spec, GError **err);
void chardev_help(FILE *out);            /* -chardev help */
/* Closes; the port is detached without a call, an unfinished write is given up. NULL is fine. */
void chardev_close(struct chardev *c);

/* "stdio", "unix:/tmp/x,server=on": for info and messages. For a pty the device to open: "pty:/dev/pts/3". "disconnected:" before sockets without peer. */
const char *chardev_name(const struct chardev *c);

/* Connects the front; one at a time, NULL detaches. The struct is copied. OPENED follows at once if somebody listens. */
void chardev_attach(struct chardev *c, const struct chardev_port *port);
/* Writes without blocking; returns bytes taken (all of them when nobody listens). Short: writable() will be called. */
size_t chardev_write(struct chardev *c, const void *buf, size_t len);
/* can_take() may have grown: go on reading. Cheap when input was not held back. */
void chardev_kick_input(struct chardev *c);
/* True if bytes written now reach somebody. */
bool chardev_connected(const struct chardev *c);

/*
 * Multiplexer: several fronts share one host stream; keys after Ctrl-a choose.
 *   c next front, x quit, b break, h help, Ctrl-a the character itself.
 * Writes of fronts without focus are shown as well, as on QEMU.
 */
struct chardev_mux;
/* Takes `host` over (NULL: returns NULL). quit() is called on Ctrl-a x. */
struct chardev_mux *chardev_mux_new(struct chardev *host, void (*quit)(void *opaque), void *opaque);
/* A new front's stream (NULL: there are too many); the first one has focus. Closed with the mux, or before by chardev_close(). */
struct chardev *chardev_mux_add(struct chardev_mux *m, const char *label);
void chardev_mux_set_escape(struct chardev_mux *m, uint8_t key);      /* -echr: a control character, 1 (Ctrl-a) by default */
void chardev_mux_focus(struct chardev_mux *m, struct chardev *front);
void chardev_mux_free(struct chardev_mux *m);

/* Puts the terminal back as it was. Safe in signal handlers and more than once. Called at exit and on fatal signals by itself. */
void chardev_restore_terminal(void);

/*
 * For tests and for fronts that are both ends: a pair of streams joined back to back. What is written to one arrives
 * at the other, at once, as far as it can take it.
 */
void chardev_pair(struct chardev **a, struct chardev **b);

#endif
