/*
 * What the back ends share: the front's side of a stream, and the engine for streams over file descriptors.
 */
#ifndef CHARDEV_CHARDEV_PRIV_H
#define CHARDEV_CHARDEV_PRIV_H

#include "chardev/chardev.h"

struct chardev_backend {
    /* Writes what goes without blocking; a short count promises a later chardev_writable(). */
    size_t (*write)(struct chardev *c, const uint8_t *buf, size_t len);
    void (*kick)(struct chardev *c);          /* can_take() may have grown; NULL: never reads */
    void (*close)(struct chardev *c);         /* frees what the back end owns, not the struct */
    void (*attached)(struct chardev *c);      /* a port was attached or detached; may be NULL */
};

struct chardev {
    const struct chardev_backend *ops;
    char *name;
    struct chardev_port port;
    bool connected;           /* somebody listens */
    void *data;               /* the back end's */
    /* streams over file descriptors (chardev/stream.c); -1: none */
    int in, out;
    guint watch_in, watch_out;
    bool in_ended;            /* end of file was read: never watch again */
    bool is_socket;
    void (*hung_up)(struct chardev *c);       /* the other side went away; NULL: only stop reading */
};

struct chardev *chardev_alloc(const struct chardev_backend *ops, const char *name);
size_t chardev_can_take(struct chardev *c);
void chardev_take(struct chardev *c, const uint8_t *buf, size_t len);
void chardev_event(struct chardev *c, enum chardev_event event);
void chardev_writable(struct chardev *c);
void chardev_set_connected(struct chardev *c, bool on);

/* The fd engine: functions for a chardev_backend whose in/out are set. */
size_t stream_write(struct chardev *c, const uint8_t *buf, size_t len);
void stream_kick(struct chardev *c);
void stream_close(struct chardev *c);
/* Stops watching, closes in and out. */
void stream_drop(struct chardev *c);
extern const struct chardev_backend stream_backend;

struct options;
struct chardev *stdio_open(const struct options *o, GError **err);
struct chardev *file_open(const struct options *o, GError **err);
struct chardev *pipe_open(const struct options *o, GError **err);
struct chardev *pty_open(const struct options *o, GError **err);
struct chardev *fd_open(const struct options *o, GError **err);
struct chardev *unix_open(const struct options *o, GError **err);
struct chardev *tcp_open(const struct options *o, GError **err);
bool terminal_raw(bool signals);

#endif
