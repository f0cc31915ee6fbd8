/*
 * Character devices: the front's calls, the null and the pair back ends. See chardev/chardev.h; opening them is in kinds.c.
 */
#include "chardev/chardev.h"

#include <string.h>
#include <unistd.h>

#include "chardev/chardev_priv.h"

/* --- what back ends call --- */

struct chardev *chardev_alloc(const struct chardev_backend *ops, const char *name)
{
    struct chardev *c = g_new0(struct chardev, 1);

    c->ops = ops;
    c->name = g_strdup(name);
    c->in = c->out = c->log = -1;
    return c;
}

size_t chardev_can_take(struct chardev *c)
{
    return c->port.can_take && c->port.take ? c->port.can_take(c->port.opaque) : 0;
}

void chardev_take(struct chardev *c, const uint8_t *buf, size_t len)
{
    c->port.take(c->port.opaque, buf, len);
}

void chardev_event(struct chardev *c, enum chardev_event event)
{
    if (c->port.event) {
        c->port.event(c->port.opaque, event);
    }
}

void chardev_writable(struct chardev *c)
{
    if (c->port.writable) {
        c->port.writable(c->port.opaque);
    }
}

void chardev_set_connected(struct chardev *c, bool on)
{
    if (c->connected != on) {
        c->connected = on;
        chardev_event(c, on ? CHARDEV_OPENED : CHARDEV_CLOSED);
        if (!on) {
            chardev_writable(c);     /* what was held back is dropped now */
        }
    }
}

/* --- what fronts call --- */

void chardev_close(struct chardev *c)
{
    if (!c) {
        return;
    }
    c->port = (struct chardev_port){ 0 };
    if (c->ops->close) {
        c->ops->close(c);
    }
    if (c->log >= 0) {
        close(c->log);
    }
    g_free(c->name);
    g_free(c);
}

const char *chardev_name(const struct chardev *c)
{
    return c->name;
}

bool chardev_connected(const struct chardev *c)
{
    return c->connected;
}

void chardev_attach(struct chardev *c, const struct chardev_port *port)
{
    c->port = port ? *port : (struct chardev_port){ 0 };
    if (c->ops->attached) {
        c->ops->attached(c);
    } else if (port && c->connected) {
        chardev_event(c, CHARDEV_OPENED);
    }
    chardev_kick_input(c);
}

size_t chardev_write(struct chardev *c, const void *buf, size_t len)
{
    size_t n = c->connected && len ? c->ops->write(c, buf, len) : len;

    /* Best effort: a log that cannot be written must not stop the guest. */
    if (c->log >= 0 && n && write(c->log, buf, n) < 0) {
        close(c->log);
        c->log = -1;
    }
    return n;
}

void chardev_kick_input(struct chardev *c)
{
    if (c->ops->kick) {
        c->ops->kick(c);
    }
}

/* --- null --- */

static size_t null_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    (void)c;
    (void)buf;
    return len;
}

static const struct chardev_backend null_backend = { .write = null_write };

struct chardev *null_open(const struct options *o, GError **err)
{
    (void)o;
    (void)err;
    return chardev_alloc(&null_backend, "null");
}

/* --- pair --- */

enum { PAIR_ROOM = 4096 };

struct pair_end {
    struct chardev *other;
    uint8_t queue[PAIR_ROOM];    /* on its way to this end */
    size_t n;
    bool held;                   /* the other end's last write was short */
};

static void pair_deliver(struct chardev *c)
{
    struct pair_end *e = c->data;
    uint8_t piece[PAIR_ROOM];
    size_t n;

    while (e->n && (n = MIN(chardev_can_take(c), e->n))) {
        memcpy(piece, e->queue, n);
        e->n -= n;
        memmove(e->queue, e->queue + n, e->n);
        chardev_take(c, piece, n);
    }
}

static void pair_kick(struct chardev *c)
{
    struct pair_end *e = c->data;

    pair_deliver(c);
    if (e->held && e->n < PAIR_ROOM && e->other) {
        e->held = false;
        chardev_writable(e->other);
    }
}

static size_t pair_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    struct chardev *other = ((struct pair_end *)c->data)->other;
    struct pair_end *e = other ? other->data : NULL;
    size_t done = 0, n;

    while (e && done < len && (n = MIN(len - done, PAIR_ROOM - e->n))) {
        memcpy(e->queue + e->n, buf + done, n);
        e->n += n;
        done += n;
        pair_deliver(other);
    }
    if (e && done < len) {
        e->held = true;
    }
    return e ? done : len;
}

static void pair_close(struct chardev *c)
{
    struct pair_end *e = c->data;

    if (e->other) {
        ((struct pair_end *)e->other->data)->other = NULL;
        chardev_set_connected(e->other, false);
    }
    g_free(e);
}

static const struct chardev_backend pair_backend = { .write = pair_write, .kick = pair_kick, .close = pair_close };

void chardev_pair(struct chardev **a, struct chardev **b)
{
    struct pair_end *x = g_new0(struct pair_end, 1), *y = g_new0(struct pair_end, 1);

    *a = chardev_alloc(&pair_backend, "pair");
    *b = chardev_alloc(&pair_backend, "pair");
    (*a)->data = x;
    (*b)->data = y;
    x->other = *b;
    y->other = *a;
    (*a)->connected = (*b)->connected = true;
}
