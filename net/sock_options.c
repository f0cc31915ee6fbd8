/*
 * The options of -netdev socket (the older form: listen=, connect=, mcast=, udp=, fd=), stream and dgram (addresses with dotted keys).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "net/sock_priv.h"

static const char *const address_types[] = { "inet", "unix", "fd", NULL };

const struct option_desc socket_desc[] = {
    { "fd", OPT_UINT, NULL, "an open socket", NULL, 0, 0 },
    { "listen", OPT_STRING, NULL, "[HOST]:PORT to wait on for a peer (TCP)", NULL, 0, 0 },
    { "connect", OPT_STRING, NULL, "HOST:PORT to connect to (TCP)", NULL, 0, 0 },
    { "mcast", OPT_STRING, NULL, "ADDRESS:PORT of a multicast group (UDP)", NULL, 0, 0 },
    { "udp", OPT_STRING, NULL, "HOST:PORT to send to (UDP)", NULL, 0, 0 },
    { "localaddr", OPT_STRING, NULL, "own address: HOST:PORT for udp=, HOST for mcast=", NULL, 0, 0 },
    { 0 },
};

#define ADDRESS_KEYS(p) \
    { p ".type", OPT_ENUM, NULL, "kind of address", address_types, 0, 0 }, { p ".host", OPT_STRING, NULL, "inet", NULL, 0, 0 }, \
    { p ".port", OPT_STRING, NULL, "inet", NULL, 0, 0 }, { p ".path", OPT_STRING, NULL, "unix", NULL, 0, 0 }, \
    { p ".str", OPT_STRING, NULL, "fd: number of an open descriptor", NULL, 0, 0 }, { p ".abstract", OPT_BOOL, NULL, "unix: abstract name", NULL, 0, 0 }, \
    { p ".tight", OPT_BOOL, NULL, "unix: abstract name without padding", NULL, 0, 0 }, { p ".ipv4", OPT_BOOL, NULL, "inet", NULL, 0, 0 }, \
    { p ".ipv6", OPT_BOOL, NULL, "inet", NULL, 0, 0 }

const struct option_desc stream_desc[] = {
    { "server", OPT_BOOL, "off", "wait for a peer instead of connecting to one", NULL, 0, 0 },
    { "reconnect", OPT_UINT, "0", "seconds after which a lost peer is tried again", NULL, 0, 3600 },
    ADDRESS_KEYS("addr"),
    { 0 },
};

const struct option_desc dgram_desc[] = {
    ADDRESS_KEYS("local"),
    ADDRESS_KEYS("remote"),
    { 0 },
};

/* --- addresses --- */

static bool inet_address(const char *host, const char *port, int type, bool passive, struct sock_address *a, GError **err)
{
    struct addrinfo hints = { .ai_socktype = type, .ai_flags = passive ? AI_PASSIVE : 0 }, *list = NULL;
    int e = getaddrinfo(host && *host ? host : NULL, port, &hints, &list);

    if (e) {
        return error_set(err, EMU_ERROR_HOST, "'%s:%s': %s", host ? host : "", port, gai_strerror(e));
    }
    memcpy(&a->sa, list->ai_addr, list->ai_addrlen);
    a->len = list->ai_addrlen;
    freeaddrinfo(list);
    return true;
}

/* "[HOST]:PORT" */
static bool inet_text(const char *text, int type, bool passive, struct sock_address *a, GError **err)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *host = colon ? g_strndup(text, (gsize)(colon - text)) : NULL;

    if (!colon || !colon[1]) {
        return error_set(err, EMU_ERROR_INVALID, "'%s' is not HOST:PORT", text);
    }
    if (host[0] == '[' && g_str_has_suffix(host, "]")) {
        host[strlen(host) - 1] = 0;
        memmove(host, host + 1, strlen(host));
    }
    return inet_address(host, colon + 1, type, passive, a, err);
}

static bool unix_address(const char *path, bool abstract, bool tight, struct sock_address *a, GError **err)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&a->sa;
    size_t len = strlen(path);

    if (len + abstract >= sizeof(un->sun_path)) {
        return error_set(err, EMU_ERROR_INVALID, "the path is longer than %zu bytes", sizeof(un->sun_path) - 1);
    }
    memset(un, 0, sizeof(*un));
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path + abstract, path, len);
    a->len = abstract && tight ? (socklen_t)(G_STRUCT_OFFSET(struct sockaddr_un, sun_path) + 1 + len) : sizeof(*un);
    return true;
}

/* PREFIX.type= and what belongs to it. *fd gets an open descriptor (type fd), else a->len is set. */
static bool dotted_address(const struct options *o, const char *prefix, int type, bool passive, struct sock_address *a, int *fd, GError **err)
{
    const char *v[5];
    static const char *const names[5] = { "type", "host", "port", "path", "str" };
    g_autofree char *abstract = g_strdup_printf("%s.abstract", prefix), *tight = g_strdup_printf("%s.tight", prefix);
    uint64_t n;

    for (unsigned i = 0; i < 5; i++) {
        g_autofree char *key = g_strdup_printf("%s.%s", prefix, names[i]);

        v[i] = options_string(o, key, NULL);
    }
    if (!v[0]) {
        return error_set(err, EMU_ERROR_INVALID, "%s.type=inet|unix|fd is missing", prefix);
    }
    if (!strcmp(v[0], "fd")) {
        if (!v[4] || !parse_uint(v[4], &n, NULL) || n > INT32_MAX) {
            return error_set(err, EMU_ERROR_INVALID, "%s.str=DESCRIPTOR is missing, or no number", prefix);
        }
        *fd = (int)n;
        return true;
    }
    if (!strcmp(v[0], "unix")) {
        return v[3] ? unix_address(v[3], options_bool(o, abstract, false), options_bool(o, tight, true), a, err) :
                      error_set(err, EMU_ERROR_INVALID, "%s.path= is missing", prefix);
    }
    return v[1] && v[2] ? inet_address(v[1], v[2], type, passive, a, err) :
                          error_set(err, EMU_ERROR_INVALID, "%s.host= or %s.port= is missing", prefix, prefix);
}

static char *address_text(const struct sock_address *a)
{
    char host[INET6_ADDRSTRLEN + 8] = "?", port[16] = "?";

    if (a->sa.ss_family == AF_UNIX) {
        return g_strdup(((const struct sockaddr_un *)&a->sa)->sun_path);
    }
    getnameinfo((const struct sockaddr *)&a->sa, a->len, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
    return g_strdup_printf("%s:%s", host, port);
}

/* --- sockets --- */

static bool bound(const struct sock_address *a, int type, int *fd, GError **err)
{
    g_autofree char *text = address_text(a);
    struct stat st;
    int on = 1;

    if (a->sa.ss_family == AF_UNIX && *text && !stat(text, &st) && S_ISSOCK(st.st_mode)) {
        unlink(text);
    }
    *fd = socket(a->sa.ss_family, type | SOCK_CLOEXEC, 0);
    if (*fd >= 0) {
        setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (*fd < 0 || bind(*fd, (const struct sockaddr *)&a->sa, a->len) || (type == SOCK_STREAM && listen(*fd, 1))) {
        error_set(err, EMU_ERROR_HOST, "cannot use address '%s': %s", text, g_strerror(errno));
        if (*fd >= 0) {
            close(*fd);
        }
        return false;
    }
    return true;
}

static bool connected(const struct sock_address *a, int *fd, GError **err)
{
    g_autofree char *text = address_text(a);

    *fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0 || connect(*fd, (const struct sockaddr *)&a->sa, a->len)) {
        error_set(err, EMU_ERROR_HOST, "cannot connect to '%s': %s", text, g_strerror(errno));
        if (*fd >= 0) {
            close(*fd);
        }
        *fd = -1;
        return false;
    }
    return true;
}

static bool descriptor(int fd, bool *stream, GError **err)
{
    int type;
    socklen_t len = sizeof(type);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len)) {
        return error_set(err, EMU_ERROR_INVALID, "descriptor %d is not a socket: %s", fd, g_strerror(errno));
    }
    *stream = type == SOCK_STREAM;
    return *stream || type == SOCK_DGRAM || error_set(err, EMU_ERROR_INVALID, "descriptor %d is neither a stream nor a datagram socket", fd);
}

/* Several emulators on one host share the group: loopback stays on. */
static bool multicast(const char *text, const char *local, struct sock_config *c, GError **err)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&c->peer.sa;
    struct ip_mreq group = { 0 };
    int on = 1;

    if (!inet_text(text, SOCK_DGRAM, false, &c->peer, err)) {
        return false;
    }
    if (c->peer.sa.ss_family != AF_INET || !IN_MULTICAST(ntohl(in->sin_addr.s_addr))) {
        return error_set(err, EMU_ERROR_INVALID, "mcast=%s is not in 224.0.0.0/4", text);
    }
    group.imr_multiaddr = in->sin_addr;
    if (local && inet_pton(AF_INET, local, &group.imr_interface) != 1) {
        return error_set(err, EMU_ERROR_INVALID, "localaddr=%s is not an IPv4 address", local);
    }
    if (!bound(&c->peer, SOCK_DGRAM, &c->fd, err)) {
        return false;
    }
    if (setsockopt(c->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)) ||
        setsockopt(c->fd, IPPROTO_IP, IP_MULTICAST_LOOP, &on, sizeof(on)) ||
        (local && setsockopt(c->fd, IPPROTO_IP, IP_MULTICAST_IF, &group.imr_interface, sizeof(group.imr_interface)))) {
        error_set(err, EMU_ERROR_HOST, "cannot join %s: %s", text, g_strerror(errno));
        close(c->fd);
        return false;
    }
    return true;
}

bool net_socket_open(struct nets *s, const char *id, const struct options *o, struct net **opened, GError **err)
{
    static const char *const ways[] = { "fd", "listen", "connect", "mcast", "udp", NULL };
    const char *local = options_string(o, "localaddr", NULL), *way = NULL, *value;
    struct sock_config c = { .model = "socket", .stream = true, .fd = -1, .listen_fd = -1 };
    struct sock_address a = { 0 };
    unsigned n = 0;
    bool ok;

    for (unsigned i = 0; ways[i]; i++) {
        if (options_has(o, ways[i])) {
            way = ways[i];
            n++;
        }
    }
    if (n != 1) {
        return error_set(err, EMU_ERROR_INVALID, "exactly one of fd=, listen=, connect=, mcast= and udp= is needed");
    }
    value = options_string(o, way, "");
    if (!strcmp(way, "fd")) {
        c.fd = (int)options_uint(o, "fd", 0);
        ok = descriptor(c.fd, &c.stream, err);
    } else if (!strcmp(way, "listen")) {
        ok = inet_text(value, SOCK_STREAM, true, &a, err) && bound(&a, SOCK_STREAM, &c.listen_fd, err);
    } else if (!strcmp(way, "connect")) {
        ok = inet_text(value, SOCK_STREAM, false, &a, err) && connected(&a, &c.fd, err);
    } else if (!strcmp(way, "mcast")) {
        c.stream = false;
        ok = multicast(value, local, &c, err);
    } else {
        c.stream = false;
        ok = local ? inet_text(value, SOCK_DGRAM, false, &c.peer, err) && inet_text(local, SOCK_DGRAM, true, &a, err) &&
                     bound(&a, SOCK_DGRAM, &c.fd, err)
                   : error_set(err, EMU_ERROR_INVALID, "udp= needs localaddr=HOST:PORT");
    }
    if (!ok) {
        return false;
    }
    c.info = g_strdup_printf("%s=%s", way, value);
    return sock_new(s, id, &c, opened, err);
}

bool stream_open(struct nets *s, const char *id, const struct options *o, struct net **opened, GError **err)
{
    bool server = options_bool(o, "server", false), stream;
    struct sock_config c = { .model = "stream", .stream = true, .fd = -1, .listen_fd = -1, .reconnect = (unsigned)options_uint(o, "reconnect", 0) };
    struct sock_address a = { 0 };
    int fd = -1;
    GError *why = NULL;

    if (!dotted_address(o, "addr", SOCK_STREAM, server, &a, &fd, err)) {
        return false;
    }
    if (fd >= 0) {
        if (!descriptor(fd, &stream, err) || !(stream || error_set(err, EMU_ERROR_INVALID, "descriptor %d is not a stream socket", fd))) {
            return false;
        }
        *(server ? &c.listen_fd : &c.fd) = fd;
        c.info = g_strdup_printf("fd=%d", fd);
        return sock_new(s, id, &c, opened, err);
    }
    if (server && !bound(&a, SOCK_STREAM, &c.listen_fd, err)) {
        return false;
    }
    if (!server) {
        c.peer = a;
        if (!connected(&a, &c.fd, &why) && !c.reconnect) {
            g_propagate_error(err, why);
            return false;
        }
        g_clear_error(&why);
    }
    c.info = address_text(&a);
    c.unlink_path = server && a.sa.ss_family == AF_UNIX && *c.info ? g_strdup(c.info) : NULL;
    return sock_new(s, id, &c, opened, err);
}

bool dgram_open(struct nets *s, const char *id, const struct options *o, struct net **opened, GError **err)
{
    struct sock_config c = { .model = "dgram", .fd = -1, .listen_fd = -1 };
    struct sock_address local = { 0 };
    bool remote = options_has(o, "remote.type"), stream;
    int fd = -1, none = -1;

    if (options_has(o, "local.type") && !dotted_address(o, "local", SOCK_DGRAM, true, &local, &fd, err)) {
        return false;
    }
    if (remote && !dotted_address(o, "remote", SOCK_DGRAM, false, &c.peer, &none, err)) {
        return false;
    }
    if (fd >= 0) {
        c.fd = fd;
        c.info = g_strdup_printf("fd=%d", fd);
        return descriptor(fd, &stream, err) && sock_new(s, id, &c, opened, err);
    }
    if (remote && c.peer.sa.ss_family == AF_INET && IN_MULTICAST(ntohl(((struct sockaddr_in *)&c.peer.sa)->sin_addr.s_addr))) {
        g_autofree char *group = address_text(&c.peer);

        c.info = g_strdup_printf("mcast=%s", group);
        return multicast(group, options_string(o, "local.host", NULL), &c, err) && sock_new(s, id, &c, opened, err);
    }
    if (!local.len || !c.peer.len) {
        return error_set(err, EMU_ERROR_INVALID, "dgram needs local.type= and remote.type=");
    }
    if (!bound(&local, SOCK_DGRAM, &c.fd, err)) {
        return false;
    }
    c.info = address_text(&c.peer);
    c.unlink_path = local.sa.ss_family == AF_UNIX ? address_text(&local) : NULL;
    return sock_new(s, id, &c, opened, err);
}
