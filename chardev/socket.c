/*
 * unix: and tcp: streams, as client and as server. A server talks to one client at a time and listens again when it
 * has gone; a client that loses its server stays disconnected.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/options.h"
#include "chardev/chardev_priv.h"

struct listener {
    int fd;              /* -1: client */
    guint watch;
    char *unlink_path;   /* the socket file we made */
    bool nodelay;
};

static gboolean client_came(gint fd, GIOCondition cond, gpointer opaque);

static void listen_again(struct chardev *c)
{
    struct listener *l = c->data;

    if (l->fd >= 0 && !l->watch) {
        l->watch = g_unix_fd_add(l->fd, G_IO_IN, client_came, c);
    }
}

static void socket_use(struct chardev *c, int fd)
{
    struct listener *l = c->data;
    int on = 1;

    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (l->nodelay) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    c->in = c->out = fd;
    c->is_socket = true;
    chardev_set_connected(c, true);
    stream_kick(c);
}

static gboolean client_came(gint fd, GIOCondition cond, gpointer opaque)
{
    struct chardev *c = opaque;
    struct listener *l = c->data;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    (void)cond;
    if (client < 0) {
        return G_SOURCE_CONTINUE;
    }
    l->watch = 0;
    socket_use(c, client);
    return G_SOURCE_REMOVE;
}

static void socket_hung_up(struct chardev *c)
{
    stream_drop(c);
    chardev_set_connected(c, false);
    listen_again(c);
}

static void socket_close(struct chardev *c)
{
    struct listener *l = c->data;

    stream_drop(c);
    if (l->watch) {
        g_source_remove(l->watch);
    }
    if (l->fd >= 0) {
        close(l->fd);
    }
    if (l->unlink_path) {
        unlink(l->unlink_path);
    }
    g_free(l->unlink_path);
    g_free(l);
}

static const struct chardev_backend socket_backend = { .write = stream_write, .kick = stream_kick, .close = socket_close };

/* fd listens (server) or is connected. Takes it over. */
static struct chardev *socket_chardev(const char *name, int fd, const struct options *o)
{
    struct chardev *c = chardev_alloc(&socket_backend, name);
    struct listener *l = g_new0(struct listener, 1);
    int client;

    c->data = l;
    c->hung_up = socket_hung_up;
    l->nodelay = options_bool(o, "nodelay", false);
    l->fd = -1;
    if (!options_bool(o, "server", false)) {
        socket_use(c, fd);
        return c;
    }
    l->fd = fd;
    if (options_bool(o, "wait", true)) {
        g_printerr("emu: waiting for a client on %s\n", name);
        do {
            client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        } while (client < 0 && errno == EINTR);
        if (client >= 0) {
            socket_use(c, client);
            return c;
        }
    }
    listen_again(c);
    return c;
}

struct chardev *unix_open(const struct options *o, GError **err)
{
    const char *path = options_string(o, "path", "");
    bool server = options_bool(o, "server", false);
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    struct chardev *c;
    struct stat st;
    char *name;
    int fd;

    if (strlen(path) >= sizeof(sa.sun_path)) {
        error_set(err, EMU_ERROR_INVALID, "the path is longer than %zu bytes", sizeof(sa.sun_path) - 1);
        return NULL;
    }
    strcpy(sa.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server && stat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        unlink(path);                /* left by an earlier run; a file of any other kind is not ours to remove */
    }
    if (fd < 0 || (server ? bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(fd, 1)
                          : connect(fd, (struct sockaddr *)&sa, sizeof(sa)))) {
        error_set(err, EMU_ERROR_HOST, "cannot %s '%s': %s", server ? "listen on" : "connect to", path, g_strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    name = g_strdup_printf("unix:%s%s", path, server ? ",server=on" : "");
    c = socket_chardev(name, fd, o);
    if (server) {
        ((struct listener *)c->data)->unlink_path = g_strdup(path);
    }
    g_free(name);
    return c;
}

static int tcp_socket(const struct addrinfo *ai, bool server)
{
    int on = 1, fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC, ai->ai_protocol), saved;

    if (fd < 0) {
        return -1;
    }
    if (server) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (server ? bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, 1) : connect(fd, ai->ai_addr, ai->ai_addrlen)) {
        saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

struct chardev *tcp_open(const struct options *o, GError **err)
{
    const char *address = options_string(o, "address", ""), *colon = strrchr(address, ':');
    bool server = options_bool(o, "server", false);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = server ? AI_PASSIVE : 0 }, *list = NULL;
    struct chardev *c = NULL;
    char *host, *name;
    int fd = -1, e;

    if (!colon || !colon[1]) {
        error_set(err, EMU_ERROR_INVALID, "'%s' is not [HOST]:PORT", address);
        return NULL;
    }
    host = g_strndup(address, (gsize)(colon - address));
    if (host[0] == '[' && g_str_has_suffix(host, "]")) {
        host[strlen(host) - 1] = 0;
        memmove(host, host + 1, strlen(host));
    }
    e = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &list);
    if (e) {
        error_set(err, EMU_ERROR_HOST, "'%s': %s", address, gai_strerror(e));
    }
    for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) {
        fd = tcp_socket(ai, server);
    }
    if (fd >= 0) {
        name = g_strdup_printf("tcp:%s%s", address, server ? ",server=on" : "");
        c = socket_chardev(name, fd, o);
        g_free(name);
    } else if (!e) {
        error_set(err, EMU_ERROR_HOST, "cannot %s %s: %s", server ? "listen on" : "connect to", address, g_strerror(errno));
    }
    if (list) {
        freeaddrinfo(list);
    }
    g_free(host);
    return c;
}
