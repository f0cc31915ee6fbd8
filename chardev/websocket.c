/*
 * WebSocket on a stream, server's side: what browsers speak. Spec: RFC 6455. Each write is a binary frame; text and binary frames are taken
 * alike. Left out: extensions; the request's path and origin are not looked at.
 */
#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>

#include "chardev/chardev_priv.h"

enum { OP_CONTINUE = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10, FIN = 0x80, MASKED = 0x80 };
enum { REQUEST_MAX = 8192, HEAD_MAX = 14, CONTROL_MAX = 125 };

/* --- frames --- */

struct websocket {
    uint8_t head[HEAD_MAX];
    unsigned n_head;
    uint8_t opcode, mask[4];
    uint64_t left, at;             /* of the frame's payload: still to come, already seen */
    uint8_t control[CONTROL_MAX];  /* payload of a ping */
};

static void frame(struct chardev *c, uint8_t opcode, const uint8_t *buf, size_t len)
{
    uint8_t head[4] = { FIN | opcode, (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)len };

    if (len > CONTROL_MAX) {
        head[1] = 126;
    }
    g_byte_array_append(c->pending, head, len > CONTROL_MAX ? 4 : 2);
    g_byte_array_append(c->pending, buf, (guint)len);
}

static void encode(struct chardev *c, const uint8_t *buf, size_t len) { frame(c, OP_BINARY, buf, len); }

/* One byte of a frame's head. False: this is no WebSocket client. */
static bool head_byte(struct websocket *w, uint8_t b, bool *complete)
{
    unsigned length, size;

    w->head[w->n_head++] = b;
    *complete = false;
    if (w->n_head < 2) {
        return true;
    }
    length = w->head[1] & 0x7f;
    size = 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + 4;
    if (!(w->head[1] & MASKED) || (w->head[0] & 8 && length > CONTROL_MAX)) {
        return false;
    }
    if (w->n_head < size) {
        return true;
    }
    w->opcode = w->head[0] & 0xf;
    w->left = length < 126 ? length : 0;
    for (unsigned i = 2; i < size - 4; i++) {
        w->left = w->left << 8 | w->head[i];
    }
    memcpy(w->mask, &w->head[size - 4], 4);
    w->at = 0;
    *complete = true;
    return true;
}

static void frame_done(struct chardev *c, struct websocket *w)
{
    w->n_head = 0;
    if (w->opcode == OP_PING) {
        frame(c, OP_PONG, w->control, (size_t)w->at);
        stream_send_raw(c, NULL, 0);
    }
}

static size_t decode(struct chardev *c, uint8_t *buf, size_t len)
{
    struct websocket *w = c->filter_data;
    bool complete;
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (!w->left || w->n_head == 0) {
            if (!head_byte(w, buf[i], &complete) || (complete && w->opcode == OP_CLOSE)) {
                c->hung_up(c);
                return 0;
            }
            if (complete && !w->left) {
                frame_done(c, w);
            }
            continue;
        }
        uint8_t b = buf[i] ^ w->mask[w->at & 3];

        if (w->opcode <= OP_BINARY) {
            buf[n++] = b;
        } else if (w->at < CONTROL_MAX) {
            w->control[w->at] = b;
        }
        w->at++;
        if (!--w->left) {
            frame_done(c, w);
        }
    }
    return n;
}

static const struct stream_filter websocket = { decode, encode };

void websocket_start(struct chardev *c)
{
    c->filter = &websocket;
    c->filter_data = g_new0(struct websocket, 1);
    c->pending = g_byte_array_new();
}

/* --- handshake (RFC 6455, 4.2) --- */

struct websocket_handshake {
    int fd;
    guint watch;
    GString *request;
    void (*done)(void *opaque, bool ok);
    void *opaque;
};

/* The value of a header, or NULL. */
static char *header(const char *request, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = strstr(request, "\r\n"); p; p = strstr(p, "\r\n")) {
        p += 2;
        if (!g_ascii_strncasecmp(p, name, len) && p[len] == ':') {
            const char *v = p + len + 1 + strspn(p + len + 1, " \t");

            return g_strstrip(g_strndup(v, strcspn(v, "\r")));
        }
    }
    return NULL;
}

static char *answer(const char *request)
{
    g_autofree char *key = header(request, "Sec-WebSocket-Key"), *protocol = header(request, "Sec-WebSocket-Protocol");
    g_autofree char *text = key ? g_strconcat(key, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", NULL) : NULL, *accept = NULL;
    GChecksum *sum;
    uint8_t digest[20];
    gsize len = sizeof(digest);

    if (!key || strncmp(request, "GET ", 4)) {
        return NULL;
    }
    sum = g_checksum_new(G_CHECKSUM_SHA1);
    g_checksum_update(sum, (const guchar *)text, -1);
    g_checksum_get_digest(sum, digest, &len);
    g_checksum_free(sum);
    accept = g_base64_encode(digest, len);
    return g_strdup_printf("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%sSec-WebSocket-Accept: %s\r\n\r\n",
                           protocol && strstr(protocol, "binary") ? "Sec-WebSocket-Protocol: binary\r\n" : "", accept);
}

static void handshake_end(struct websocket_handshake *h, bool ok)
{
    void (*done)(void *opaque, bool ok) = h->done;
    void *opaque = h->opaque;

    h->watch = 0;
    websocket_cancel(h);
    done(opaque, ok);
}

static gboolean request_came(gint fd, GIOCondition cond, gpointer opaque)
{
    struct websocket_handshake *h = opaque;
    g_autofree char *text = NULL;
    ssize_t n, len;
    char b;

    (void)cond;
    /* Byte by byte: what follows the request are frames. */
    while ((n = recv(fd, &b, 1, MSG_DONTWAIT)) == 1) {
        g_string_append_c(h->request, b);
        if (g_str_has_suffix(h->request->str, "\r\n\r\n")) {
            text = answer(h->request->str);
            len = text ? (ssize_t)strlen(text) : 0;
            handshake_end(h, text && send(fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) == len);
            return G_SOURCE_REMOVE;
        }
        if (h->request->len == REQUEST_MAX) {
            break;
        }
    }
    if (n == 1 || n == 0 || (errno != EAGAIN && errno != EINTR)) {
        handshake_end(h, false);
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

struct websocket_handshake *websocket_accept(int fd, void (*done)(void *opaque, bool ok), void *opaque)
{
    struct websocket_handshake *h = g_new0(struct websocket_handshake, 1);

    *h = (struct websocket_handshake){ .fd = fd, .request = g_string_new(NULL), .done = done, .opaque = opaque };
    h->watch = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, request_came, h);
    return h;
}

void websocket_cancel(struct websocket_handshake *h)
{
    if (!h) {
        return;
    }
    if (h->watch) {
        g_source_remove(h->watch);
    }
    g_string_free(h->request, TRUE);
    g_free(h);
}
