/*
 * Sockets, UNIX and TCP, plain, with telnet or as WebSocket; client and server. A server talks to one client at a time and listens again when it has
 * gone; a client that loses its server tries again when reconnect= says so. Left out: TLS, tn3270, names for ports beyond what the host knows.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/options.h"
#include "chardev/chardev_priv.h"

struct socket {
    char *path, *host, *port;    /* one of path and port, or none: a descriptor was passed in */
    char *where;                 /* "unix:/tmp/x,server=on" */
    bool server, abstract, ipv4, ipv6, nodelay, telnet, websocket;
    unsigned to;                 /* last port that may be tried; 0: only one */
    int fd;                      /* that listens; -1: client */
    unsigned reconnect;          /* seconds; 0: never */
    guint watch, retry;          /* on what listens or connects; until the next attempt */
    int connecting;              /* descriptor on its way, or -1 */
    int client;                  /* in its handshake, or -1 */
    struct websocket_handshake *handshake;
    char *unlink_path;           /* the socket file we made */
};

static gboolean client_came(gint fd, GIOCondition cond, gpointer opaque);
static void retry_later(struct chardev *c);

static void name_update(struct chardev *c)
{
    struct socket *s = c->data;

    g_free(c->name);
    c->name = g_strconcat(c->in >= 0 ? "" : "disconnected:", s->where, NULL);
}

static void listen_again(struct chardev *c)
{
    struct socket *s = c->data;

    if (s->fd >= 0 && !s->watch) {
        s->watch = g_unix_fd_add(s->fd, G_IO_IN, client_came, c);
    }
}

static void socket_use(struct chardev *c, int fd)
{
    struct socket *s = c->data;
    int on = 1;

    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (s->nodelay || s->telnet) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    c->in = c->out = fd;
    c->is_socket = true;
    name_update(c);
    if (s->telnet) {
        telnet_start(c);
    } else if (s->websocket) {
        websocket_start(c);
    }
    chardev_set_connected(c, true);
    stream_kick(c);
}

static void handshake_done(void *opaque, bool ok)
{
    struct chardev *c = opaque;
    struct socket *s = c->data;
    int fd = s->client;

    s->handshake = NULL;
    s->client = -1;
    if (ok) {
        socket_use(c, fd);
    } else {
        close(fd);
        listen_again(c);
    }
}

static void client_use(struct chardev *c, int fd)
{
    struct socket *s = c->data;

    if (s->websocket) {
        s->client = fd;
        s->handshake = websocket_accept(fd, handshake_done, c);
    } else {
        socket_use(c, fd);
    }
}

static gboolean client_came(gint fd, GIOCondition cond, gpointer opaque)
{
    struct chardev *c = opaque;
    struct socket *s = c->data;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    (void)cond;
    if (client < 0) {
        return G_SOURCE_CONTINUE;
    }
    s->watch = 0;
    client_use(c, client);
    return G_SOURCE_REMOVE;
}

static void socket_hung_up(struct chardev *c)
{
    stream_drop(c);
    name_update(c);
    chardev_set_connected(c, false);
    listen_again(c);
    retry_later(c);
}

static void socket_close(struct chardev *c)
{
    struct socket *s = c->data;

    stream_drop(c);
    websocket_cancel(s->handshake);
    if (s->watch) {
        g_source_remove(s->watch);
    }
    if (s->retry) {
        g_source_remove(s->retry);
    }
    int fds[] = { s->fd, s->connecting, s->client };
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    if (s->unlink_path) {
        unlink(s->unlink_path);
    }
    g_free(s->unlink_path);
    g_free(s->path);
    g_free(s->host);
    g_free(s->port);
    g_free(s->where);
    g_free(s);
}

static const struct chardev_backend socket_backend = { .write = stream_write, .kick = stream_kick, .close = socket_close };

/* --- addresses --- */

/* A socket bound or connected (perhaps only on its way: EINPROGRESS, when `later`). -1: errno. */
static int attempt(const struct socket *s, int family, int protocol, const struct sockaddr *sa, socklen_t len, bool later)
{
    int on = 1, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | (later ? SOCK_NONBLOCK : 0), protocol), saved;

    if (fd < 0) {
        return -1;
    }
    if (s->server && family != AF_UNIX) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (s->server ? bind(fd, sa, len) || listen(fd, 1) : connect(fd, sa, len) && !(later && errno == EINPROGRESS)) {
        saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static int unix_socket(struct socket *s, bool later, GError **err)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    size_t len = strlen(s->path);
    struct stat st;
    int fd;

    if (len + s->abstract >= sizeof(sa.sun_path)) {
        error_set(err, EMU_ERROR_INVALID, "UNIX socket path '%s' is too long: Path must be less than %zu bytes", s->path, sizeof(sa.sun_path));
        return -1;
    }
    memcpy(sa.sun_path + s->abstract, s->path, len);
    if (s->server && !s->abstract && stat(s->path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        unlink(s->path);             /* left by an earlier run; a file of any other kind is not ours to remove */
    }
    fd = attempt(s, AF_UNIX, 0, (struct sockaddr *)&sa, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + s->abstract + len + !s->abstract), later);
    if (fd < 0) {
        error_set(err, EMU_ERROR_HOST, "Failed to %s '%s': %s", s->server ? "bind socket to" : "connect to", s->path, g_strerror(errno));
    } else if (s->server && !s->abstract) {
        g_free(s->unlink_path);
        s->unlink_path = g_strdup(s->path);
    }
    return fd;
}

static int tcp_socket(struct socket *s, bool later, GError **err)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = s->server ? AI_PASSIVE : 0 }, *list = NULL;
    char *end;
    unsigned long first = strtoul(s->port, &end, 10), last = *end || !s->to ? first : s->to;
    int fd = -1, e = 0;

    hints.ai_family = s->ipv4 == s->ipv6 ? AF_UNSPEC : s->ipv4 ? AF_INET : AF_INET6;
    for (unsigned long port = first; port <= last && fd < 0; port++) {
        g_autofree char *number = *end ? g_strdup(s->port) : g_strdup_printf("%lu", port);

        e = getaddrinfo(s->host && *s->host ? s->host : NULL, number, &hints, &list);
        for (struct addrinfo *ai = e ? NULL : list; ai && fd < 0; ai = ai->ai_next) {
            fd = attempt(s, ai->ai_family, ai->ai_protocol, ai->ai_addr, ai->ai_addrlen, later);
        }
        if (!e) {
            freeaddrinfo(list);
        }
    }
    if (e) {
        error_set(err, EMU_ERROR_HOST, "address resolution failed for %s:%s: %s", s->host ? s->host : "", s->port, gai_strerror(e));
    } else if (fd < 0) {
        error_set(err, EMU_ERROR_HOST, "Failed to %s '%s:%s': %s", s->server ? "find an available port:" : "connect to", s->host ? s->host : "",
                  s->port, g_strerror(errno));
    }
    return fd;
}

static int any_socket(struct socket *s, bool later, GError **err) { return s->path ? unix_socket(s, later, err) : tcp_socket(s, later, err); }

/* --- reconnect= --- */

static gboolean connected(gint fd, GIOCondition cond, gpointer opaque)
{
    struct chardev *c = opaque;
    struct socket *s = c->data;
    int e = 0;
    socklen_t len = sizeof(e);

    (void)cond;
    s->watch = 0;
    s->connecting = -1;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len);
    if (e) {
        close(fd);
        retry_later(c);
    } else {
        socket_use(c, fd);
    }
    return G_SOURCE_REMOVE;
}

static gboolean try_again(gpointer opaque)
{
    struct chardev *c = opaque;
    struct socket *s = c->data;

    s->retry = 0;
    s->connecting = any_socket(s, true, NULL);
    if (s->connecting < 0) {
        retry_later(c);
    } else {
        s->watch = g_unix_fd_add(s->connecting, G_IO_OUT | G_IO_ERR | G_IO_HUP, connected, c);
    }
    return G_SOURCE_REMOVE;
}

static void retry_later(struct chardev *c)
{
    struct socket *s = c->data;

    if (!s->server && s->reconnect && !s->retry) {
        s->retry = g_timeout_add(s->reconnect * 1000, try_again, c);
    }
}

/* --- opening --- */

static char *where(const struct socket *s, int fd)
{
    const char *kind = s->telnet ? "telnet" : s->websocket ? "websocket" : "tcp", *end = s->server ? ",server=on" : "";

    if (s->path) {
        return g_strdup_printf("unix:%s%s", s->path, end);
    }
    if (!s->port) {
        return g_strdup_printf("fd:%d%s", fd, end);
    }
    return strchr(s->host ? s->host : "", ':') ? g_strdup_printf("%s:[%s]:%s%s", kind, s->host, s->port, end)
                                               : g_strdup_printf("%s:%s:%s%s", kind, s->host ? s->host : "", s->port, end);
}

static bool check(const struct options *o, const struct socket *s, GError **err)
{
    bool has_fd = options_has(o, "fd");

    if (options_has(o, "tls-creds") || options_has(o, "tls-authz") || options_bool(o, "tn3270", false)) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: %s", options_bool(o, "tn3270", false) ? "tn3270" : "tls-creds=, TLS");
    }
    if (!s->path + !s->port + !has_fd != 2) {
        return error_set(err, EMU_ERROR_INVALID, s->path || s->port || has_fd ? "'path', 'port' and 'fd' exclude each other"
                                                                             : "one of 'path', 'host' with 'port', and 'fd' must be given");
    }
    if (s->websocket && !s->server) {
        return error_set(err, EMU_ERROR_INVALID, "'websocket' needs server=on");
    }
    if (s->server && s->reconnect) {
        return error_set(err, EMU_ERROR_INVALID, "'reconnect' option is incompatible with socket in server listen mode");
    }
    if (!s->server && options_has(o, "wait")) {
        return error_set(err, EMU_ERROR_INVALID, "'wait' option is incompatible with socket in client connect mode");
    }
    return true;
}

static void wait_for_client(struct chardev *c)
{
    struct socket *s = c->data;
    int client;

    g_printerr("info: QEMU waiting for connection on: %s\n", c->name);
    do {
        client = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
    } while (client < 0 && errno == EINTR);
    if (client >= 0) {
        client_use(c, client);
    } else {
        listen_again(c);
    }
}

struct chardev *socket_open(const struct options *o, GError **err)
{
    struct chardev *c = chardev_alloc(&socket_backend, "socket");
    struct socket *s = g_new0(struct socket, 1);
    int fd = (int)options_uint(o, "fd", 0), e;

    c->data = s;
    c->hung_up = socket_hung_up;
    *s = (struct socket){
        .path = g_strdup(options_string(o, "path", NULL)), .host = g_strdup(options_string(o, "host", NULL)),
        .port = g_strdup(options_string(o, "port", NULL)), .server = options_bool(o, "server", false),
        .abstract = options_bool(o, "abstract", false), .ipv4 = options_bool(o, "ipv4", false), .ipv6 = options_bool(o, "ipv6", false),
        .nodelay = options_bool(o, "nodelay", false) || !options_bool(o, "delay", true), .telnet = options_bool(o, "telnet", false),
        .websocket = options_bool(o, "websocket", false), .to = (unsigned)options_uint(o, "to", 0),
        .reconnect = (unsigned)options_uint(o, "reconnect", 0), .fd = -1, .connecting = -1, .client = -1,
    };
    s->where = where(s, fd);
    name_update(c);
    if (!check(o, s, err)) {
        goto fail;
    }
    if (!options_has(o, "fd")) {
        if (s->reconnect) {
            try_again(c);
            return c;
        }
        fd = any_socket(s, false, err);
        if (fd < 0) {
            goto fail;
        }
    } else if (fcntl(fd, F_GETFD) < 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &e, &(socklen_t){ sizeof(e) })) {
        error_set(err, EMU_ERROR_HOST, "File descriptor '%d' is not a socket", fd);
        goto fail;
    } else {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    if (!s->server) {
        socket_use(c, fd);
        return c;
    }
    s->fd = fd;
    if (options_bool(o, "wait", true)) {
        wait_for_client(c);
    } else {
        listen_again(c);
    }
    return c;

fail:
    chardev_close(c);
    return NULL;
}
