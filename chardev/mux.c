/*
 * The multiplexer: fronts that share one host stream. See chardev/chardev.h.
 *
 * What is typed is queued here for each front, so that the escape key works while the guest takes no input.
 */
#include <stdio.h>
#include <string.h>

#include "chardev/chardev_priv.h"

enum { MUX_FRONTS = 8, MUX_QUEUE = 4096, MUX_ESCAPE = 1 };

struct mux_front {
    struct chardev_mux *mux;
    uint8_t queue[MUX_QUEUE];       /* typed for this front */
    size_t queued;
};

struct chardev_mux {
    struct chardev *host;
    void (*quit)(void *opaque);
    void *opaque;
    struct chardev *front[MUX_FRONTS];
    unsigned n, focus;
    uint8_t escape;
    bool escaped;                   /* the escape key was the last one */
};

static struct chardev *focused(struct chardev_mux *m)
{
    return m->n ? m->front[m->focus] : NULL;
}

static struct mux_front *front_of(struct chardev *c)
{
    return c->data;
}

static void front_deliver(struct chardev *c)
{
    struct mux_front *f = front_of(c);
    uint8_t piece[MUX_QUEUE];
    size_t n;

    while (f->queued && (n = MIN(chardev_can_take(c), f->queued))) {
        memcpy(piece, f->queue, n);
        f->queued -= n;
        memmove(f->queue, f->queue + n, f->queued);
        chardev_take(c, piece, n);
    }
}

/* There is room: mux_can_take() said so. */
static void mux_queue(struct chardev_mux *m, uint8_t key)
{
    struct mux_front *f = m->n ? front_of(focused(m)) : NULL;

    if (f && f->queued < MUX_QUEUE) {
        f->queue[f->queued++] = key;
    }
}

static void mux_help(struct chardev_mux *m)
{
    char key[8], text[400];

    g_snprintf(key, sizeof(key), "C-%c", m->escape + 'a' - 1);
    g_snprintf(text, sizeof(text),
               "\r\n%s h    this help\r\n%s x    end the emulator\r\n%s b    send a break\r\n"
               "%s c    switch between console and monitor\r\n%s %s  send %s\r\n", key, key, key, key, key, key, key);
    chardev_write(m->host, text, strlen(text));
}

void chardev_mux_focus(struct chardev_mux *m, struct chardev *front)
{
    for (unsigned i = 0; i < m->n; i++) {
        if (m->front[i] == front && m->focus != i) {
            m->focus = i;
            chardev_event(front, CHARDEV_OPENED);
        }
    }
}

static void mux_key(struct chardev_mux *m, uint8_t key)
{
    if (!m->escaped) {
        m->escaped = key == m->escape;
        if (!m->escaped) {
            mux_queue(m, key);
        }
        return;
    }
    m->escaped = false;
    if (key == m->escape) {
        mux_queue(m, key);
        return;
    }
    switch (key) {
    case 'x':
        chardev_write(m->host, "\r\n", 2);
        if (m->quit) {
            m->quit(m->opaque);
        }
        break;
    case 'c':
        if (m->n) {
            front_deliver(focused(m));
            chardev_mux_focus(m, m->front[(m->focus + 1) % m->n]);
        }
        break;
    case 'b':
        if (focused(m)) {
            chardev_event(focused(m), CHARDEV_BREAK);
        }
        break;
    case 'h':
    case '?':
        mux_help(m);
        break;
    }
}

/* --- the host's side --- */

static size_t mux_can_take(void *opaque)
{
    struct chardev_mux *m = opaque;

    return m->n ? MUX_QUEUE - front_of(focused(m))->queued : MUX_QUEUE;
}

static void mux_take(void *opaque, const uint8_t *buf, size_t len)
{
    struct chardev_mux *m = opaque;

    for (size_t i = 0; i < len; i++) {
        mux_key(m, buf[i]);
    }
    if (m->n) {
        front_deliver(focused(m));
    }
}

static void mux_event(void *opaque, enum chardev_event event)
{
    struct chardev_mux *m = opaque;

    for (unsigned i = 0; i < m->n; i++) {
        m->front[i]->connected = m->host->connected;
        if (event == CHARDEV_CLOSED || i == m->focus) {
            chardev_event(m->front[i], event);
        }
    }
}

static void mux_writable(void *opaque)
{
    struct chardev_mux *m = opaque;

    for (unsigned i = 0; i < m->n; i++) {
        chardev_writable(m->front[i]);
    }
}

/* --- the fronts' side --- */

static size_t front_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    return chardev_write(front_of(c)->mux->host, buf, len);
}

static void front_kick(struct chardev *c)
{
    struct chardev_mux *m = front_of(c)->mux;

    if (front_of(c)->queued) {
        front_deliver(c);
        chardev_kick_input(m->host);
    }
}

static void front_close(struct chardev *c)
{
    struct chardev_mux *m = front_of(c)->mux;

    g_free(c->data);
    for (unsigned i = 0; i < m->n; i++) {
        if (m->front[i] == c) {
            memmove(&m->front[i], &m->front[i + 1], (m->n - i - 1) * sizeof(m->front[0]));
            m->n--;
            m->focus = m->focus > i ? m->focus - 1 : m->focus < m->n ? m->focus : 0;
            return;
        }
    }
}

/* Only the front with focus hears OPENED: a monitor in the background must not print its prompt. */
static void front_attached(struct chardev *c)
{
    struct chardev_mux *m = front_of(c)->mux;

    if (c == focused(m) && c->connected) {
        chardev_event(c, CHARDEV_OPENED);
    }
}

static const struct chardev_backend front_backend = {
    .write = front_write, .kick = front_kick, .close = front_close, .attached = front_attached };

struct chardev_mux *chardev_mux_new(struct chardev *host, void (*quit)(void *opaque), void *opaque)
{
    struct chardev_mux *m;
    struct chardev_port port = { .can_take = mux_can_take, .take = mux_take, .event = mux_event, .writable = mux_writable };

    if (!host) {
        return NULL;
    }
    m = g_new0(struct chardev_mux, 1);
    m->host = host;
    m->quit = quit;
    m->opaque = opaque;
    m->escape = MUX_ESCAPE;
    port.opaque = m;
    chardev_attach(host, &port);
    return m;
}

struct chardev *chardev_mux_add(struct chardev_mux *m, const char *label)
{
    char *name;
    struct chardev *c;
    struct mux_front *f;

    if (m->n == MUX_FRONTS) {
        return NULL;
    }
    name = g_strdup_printf("%s (%s)", chardev_name(m->host), label);
    c = chardev_alloc(&front_backend, name);
    f = g_new0(struct mux_front, 1);
    g_free(name);
    c->data = f;
    f->mux = m;
    c->connected = m->host->connected;
    m->front[m->n++] = c;
    return c;
}

void chardev_mux_set_escape(struct chardev_mux *m, uint8_t key)
{
    m->escape = key;
}

void chardev_mux_free(struct chardev_mux *m)
{
    if (!m) {
        return;
    }
    while (m->n) {
        chardev_close(m->front[m->n - 1]);
    }
    chardev_close(m->host);
    g_free(m);
}
