/*
 * The multiplexer: fronts that share one host stream. See chardev/chardev.h.
 *
 * What is typed is queued here, so that the escape key works while the guest takes no input.
 */
#include <stdio.h>
#include <string.h>

#include "chardev/chardev_priv.h"

enum { MUX_FRONTS = 8, MUX_QUEUE = 4096, MUX_ESCAPE = 1 };

struct chardev_mux {
    struct chardev *host;
    void (*quit)(void *opaque);
    void *opaque;
    struct chardev *front[MUX_FRONTS];
    unsigned n, focus;
    uint8_t queue[MUX_QUEUE];       /* for the front with focus */
    size_t queued;
    uint8_t escape;
    bool escaped;                   /* the escape key was the last one */
};

static struct chardev *focused(struct chardev_mux *m)
{
    return m->n ? m->front[m->focus] : NULL;
}

static void mux_deliver(struct chardev_mux *m)
{
    struct chardev *c = focused(m);
    uint8_t piece[MUX_QUEUE];
    size_t n;

    while (c && m->queued && (n = MIN(chardev_can_take(c), m->queued))) {
        memcpy(piece, m->queue, n);
        m->queued -= n;
        memmove(m->queue, m->queue + n, m->queued);
        chardev_take(c, piece, n);
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
            m->queued = 0;
            chardev_event(front, CHARDEV_OPENED);
        }
    }
}

static void mux_key(struct chardev_mux *m, uint8_t key)
{
    if (!m->escaped) {
        m->escaped = key == m->escape;
        if (!m->escaped && m->queued < MUX_QUEUE) {
            m->queue[m->queued++] = key;
        }
        return;
    }
    m->escaped = false;
    if (key == m->escape) {
        m->queue[m->queued++] = key;
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
            mux_deliver(m);
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

    return MUX_QUEUE - m->queued;
}

static void mux_take(void *opaque, const uint8_t *buf, size_t len)
{
    struct chardev_mux *m = opaque;

    for (size_t i = 0; i < len; i++) {
        mux_key(m, buf[i]);
    }
    mux_deliver(m);
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
    return chardev_write(((struct chardev_mux *)c->data)->host, buf, len);
}

static void front_kick(struct chardev *c)
{
    struct chardev_mux *m = c->data;

    if (c == focused(m) && m->queued) {
        mux_deliver(m);
        chardev_kick_input(m->host);
    }
}

static void front_close(struct chardev *c)
{
    struct chardev_mux *m = c->data;

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
    struct chardev_mux *m = c->data;

    if (c == focused(m) && c->connected) {
        chardev_event(c, CHARDEV_OPENED);
    }
}

static const struct chardev_backend front_backend = {
    .write = front_write, .kick = front_kick, .close = front_close, .attached = front_attached };

struct chardev_mux *chardev_mux_new(struct chardev *host, void (*quit)(void *opaque), void *opaque)
{
    struct chardev_mux *m;
    struct chardev_port port = { mux_can_take, mux_take, mux_event, mux_writable, NULL };

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
    char *name = g_strdup_printf("%s (%s)", chardev_name(m->host), label);
    struct chardev *c = chardev_alloc(&front_backend, name);

    g_free(name);
    g_assert(m->n < MUX_FRONTS);
    c->data = m;
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
