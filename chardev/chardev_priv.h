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

/* A protocol on top of a stream. What is decoded is never longer than what came. */
struct stream_filter {
    size_t (*decode)(struct chardev *c, uint8_t *buf, size_t len);           /* in place; bytes for the front */
    void (*encode)(struct chardev *c, const uint8_t *buf, size_t len);       /* appends to c->pending */
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
    bool dropped;             /* the stream was given up while it was being read */
    const struct stream_filter *filter;
    void *filter_data;
    GByteArray *pending;      /* encoded, not yet out */
    int log;                  /* logfile=: -1 or what every byte written goes to as well */
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

/* Sends bytes of the filter's own. */
void stream_send_raw(struct chardev *c, const void *bytes, size_t len);

/* Telnet (RFC 854): state for a new connection, and the filter. */
void telnet_start(struct chardev *c);
/* WebSocket (RFC 6455), server's side: frames as a filter; the handshake comes before, on the bare descriptor. */
void websocket_start(struct chardev *c);
struct websocket_handshake;
struct websocket_handshake *websocket_accept(int fd, void (*done)(void *opaque, bool ok), void *opaque);
void websocket_cancel(struct websocket_handshake *h);

struct options;
struct chardev *null_open(const struct options *o, GError **err);
struct chardev *stdio_open(const struct options *o, GError **err);
struct chardev *file_open(const struct options *o, GError **err);
struct chardev *pipe_open(const struct options *o, GError **err);
struct chardev *pty_open(const struct options *o, GError **err);
struct chardev *fd_open(const struct options *o, GError **err);
struct chardev *socket_open(const struct options *o, GError **err);
struct chardev *ringbuf_open(const struct options *o, GError **err);
struct chardev *tty_open(const struct options *o, GError **err);
bool terminal_raw(bool signals);

/* Of a ringbuf. False: it is none. */
bool ringbuf_put(struct chardev *c, const uint8_t *buf, size_t len);
bool ringbuf_take(struct chardev *c, size_t len, GString *out);

#endif
