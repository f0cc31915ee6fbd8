/*
 * Frames over stream and datagram sockets. The format on streams is QEMU's: a 4-byte big-endian length, then the frame.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "net/sock_priv.h"

#define FRAME_BYTES (4 + NET_FRAME_MAX)

struct sock {
    struct net *net;
    struct net_ops ops;                 /* the model's name differs */
    struct sock_config c;
    guint watch_in, watch_out, watch_listen, timer;
    uint8_t *in;                        /* FRAME_BYTES */
    size_t in_len;
    GByteArray *out;                    /* the rest of a frame that the kernel did not take */
};

static void start_reading(struct sock *k);
static void hung_up(struct sock *k);

static void watch_off(guint *watch)
{
    if (*watch) {
        g_source_remove(*watch);
        *watch = 0;
    }
}

/* --- out --- */

static gboolean writable(gint fd, GIOCondition cond, gpointer opaque)
{
    struct sock *k = opaque;
    ssize_t n = send(fd, k->out->data, k->out->len, MSG_NOSIGNAL);

    (void)cond;
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        k->watch_out = 0;
        hung_up(k);
        return G_SOURCE_REMOVE;
    }
    if (n > 0) {
        g_byte_array_remove_range(k->out, 0, (guint)n);
    }
    if (k->out->len) {
        return G_SOURCE_CONTINUE;
    }
    k->watch_out = 0;
    net_ready(k->net, 0);
    return G_SOURCE_REMOVE;
}

/* What the kernel did not take of a frame waits here, and others wait behind it. */
static bool take_stream(struct sock *k, const struct net_packet *p)
{
    uint32_t length = GUINT32_TO_BE((uint32_t)p->size);
    struct iovec iov[66] = { { &length, 4 } };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = p->n + 1 };
    ssize_t n;

    if (k->out->len) {
        return false;
    }
    if (p->n > G_N_ELEMENTS(iov) - 1) {
        return true;
    }
    memcpy(iov + 1, p->iov, p->n * sizeof(*iov));
    n = sendmsg(k->c.fd, &msg, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        hung_up(k);
        return true;
    }
    n = MAX(n, 0);
    for (unsigned i = 0; i <= p->n; i++) {
        size_t gone = MIN((size_t)n, iov[i].iov_len);

        g_byte_array_append(k->out, (uint8_t *)iov[i].iov_base + gone, (guint)(iov[i].iov_len - gone));
        n -= (ssize_t)gone;
    }
    if (k->out->len) {
        k->watch_out = g_unix_fd_add(k->c.fd, G_IO_OUT, writable, k);
    }
    return true;
}

static gboolean datagram_room(gint fd, GIOCondition cond, gpointer opaque)
{
    struct sock *k = opaque;

    (void)fd, (void)cond;
    k->watch_out = 0;
    net_ready(k->net, 0);
    return G_SOURCE_REMOVE;
}

static bool take(void *opaque, unsigned queue, const struct net_packet *p)
{
    struct sock *k = opaque;
    struct msghdr msg = { .msg_iov = (struct iovec *)p->iov, .msg_iovlen = p->n };

    (void)queue;
    if (k->c.fd < 0) {
        return true;
    }
    if (k->c.stream) {
        return take_stream(k, p);
    }
    if (k->c.peer.len) {
        msg.msg_name = &k->c.peer.sa;
        msg.msg_namelen = k->c.peer.len;
    }
    if (sendmsg(k->c.fd, &msg, MSG_NOSIGNAL) < 0 && errno == EAGAIN) {
        if (!k->watch_out) {
            k->watch_out = g_unix_fd_add(k->c.fd, G_IO_OUT, datagram_room, k);
        }
        return false;
    }
    return true;                        /* what the network loses is lost */
}

/* --- in --- */

/* Hands over the whole frames of k->in; false: the card has no room, or the stream is nonsense. */
static bool frames_deliver(struct sock *k)
{
    size_t at = 0;
    bool on = true;

    while (on && k->in_len - at >= 4) {
        uint32_t length;

        memcpy(&length, k->in + at, 4);
        length = GUINT32_FROM_BE(length);
        if (length > NET_FRAME_MAX) {
            log_printf(LOG_GUEST, "network %s: a frame of %u bytes, the connection is closed\n", net_name(k->net), length);
            hung_up(k);
            return false;
        }
        if (k->in_len - at - 4 < length) {
            break;
        }
        at += 4 + length;
        on = net_send_frame(k->net, 0, k->in + at - length, length);
    }
    memmove(k->in, k->in + at, k->in_len - at);
    k->in_len -= at;
    return on;
}

static gboolean readable(gint fd, GIOCondition cond, gpointer opaque)
{
    struct sock *k = opaque;
    ssize_t n;
    bool on;

    (void)cond;
    n = recv(fd, k->in + k->in_len, FRAME_BYTES - k->in_len, MSG_DONTWAIT);
    if (k->c.stream && (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))) {
        k->watch_in = 0;
        hung_up(k);
        return G_SOURCE_REMOVE;
    }
    if (n <= 0) {
        return G_SOURCE_CONTINUE;
    }
    if (k->c.stream) {
        k->in_len += (size_t)n;
        on = frames_deliver(k);
        if (k->c.fd != fd) {
            return G_SOURCE_REMOVE;     /* closed meanwhile */
        }
    } else {
        on = net_send_frame(k->net, 0, k->in, (size_t)n);
    }
    if (!on) {
        k->watch_in = 0;
    }
    return on;
}

static void start_reading(struct sock *k)
{
    if (k->c.fd >= 0 && !k->watch_in) {
        k->watch_in = g_unix_fd_add(k->c.fd, G_IO_IN | G_IO_HUP, readable, k);
    }
}

static void room(void *opaque, unsigned queue)
{
    struct sock *k = opaque;

    (void)queue;
    if (k->c.fd >= 0 && (!k->c.stream || frames_deliver(k))) {
        start_reading(k);
    }
}

/* --- connections --- */

static void use(struct sock *k, int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    k->c.fd = fd;
    k->in_len = 0;
    start_reading(k);
    net_set_link(k->net, true);
}

static gboolean peer_came(gint fd, GIOCondition cond, gpointer opaque)
{
    struct sock *k = opaque;
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    (void)cond;
    if (peer < 0) {
        return G_SOURCE_CONTINUE;
    }
    k->watch_listen = 0;
    use(k, peer);
    return G_SOURCE_REMOVE;
}

static gboolean try_again(gpointer opaque)
{
    struct sock *k = opaque;
    int fd = socket(k->c.peer.sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && !connect(fd, (struct sockaddr *)&k->c.peer.sa, k->c.peer.len)) {
        k->timer = 0;
        use(k, fd);
        return G_SOURCE_REMOVE;
    }
    if (fd >= 0) {
        close(fd);
    }
    return G_SOURCE_CONTINUE;
}

static void wait_for_peer(struct sock *k)
{
    if (k->c.listen_fd >= 0) {
        k->watch_listen = g_unix_fd_add(k->c.listen_fd, G_IO_IN, peer_came, k);
    } else if (k->c.reconnect && k->c.peer.len) {
        k->timer = g_timeout_add_seconds(k->c.reconnect, try_again, k);
    }
}

static void hung_up(struct sock *k)
{
    watch_off(&k->watch_in);
    watch_off(&k->watch_out);
    close(k->c.fd);
    k->c.fd = -1;
    k->in_len = 0;
    g_byte_array_set_size(k->out, 0);
    wait_for_peer(k);
    net_set_link(k->net, false);
}

/* --- life --- */

static void sock_free(void *opaque)
{
    struct sock *k = opaque;

    watch_off(&k->watch_in);
    watch_off(&k->watch_out);
    watch_off(&k->watch_listen);
    watch_off(&k->timer);
    if (k->c.fd >= 0) {
        close(k->c.fd);
    }
    if (k->c.listen_fd >= 0) {
        close(k->c.listen_fd);
    }
    if (k->c.unlink_path) {
        unlink(k->c.unlink_path);
    }
    g_free(k->c.unlink_path);
    g_free(k->c.info);
    g_byte_array_free(k->out, TRUE);
    g_free(k->in);
    g_free(k);
}

bool sock_new(struct nets *s, const char *id, const struct sock_config *c, struct net **opened, GError **err)
{
    struct sock *k = g_new0(struct sock, 1);

    k->c = *c;
    k->out = g_byte_array_new();
    k->in = g_malloc(FRAME_BYTES);
    k->ops = (struct net_ops){ .model = c->model, .take = take, .room = room, .free = sock_free };
    k->net = net_new(s, id, &k->ops, k, 1, err);
    if (!k->net) {
        sock_free(k);
        return false;
    }
    net_set_info(k->net, c->info);
    if (k->c.fd >= 0) {
        fcntl(k->c.fd, F_SETFL, fcntl(k->c.fd, F_GETFL) | O_NONBLOCK);
        start_reading(k);
    } else {
        wait_for_peer(k);
        net_set_link(k->net, false);
    }
    *opened = k->net;
    return true;
}
