/*
 * Forwarding rules of -netdev user: host ports into the guest (hostfwd), and addresses of the guest's network to a byte stream or a command
 * (guestfwd).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "chardev/chardev.h"
#include "net/user_priv.h"

struct guest_forward {
    struct user *u;
    struct chardev *stream;
    struct in_addr address;
    int port;
};

/* --- text --- */

/* The part of *at up to one of `ends` (or the end of the text), which is stepped over. NULL: none of them is there. Free it. */
static char *part(const char **at, char end)
{
    const char *stop = end ? strchr(*at, end) : *at + strlen(*at);
    char *text = stop ? g_strndup(*at, (gsize)(stop - *at)) : NULL;

    *at = stop ? stop + (end != 0) : *at;
    return text;
}

static bool port_of(const char *text, bool zero, uint16_t *port)
{
    uint64_t v;

    if (!text || !parse_uint(text, &v, NULL) || v > 65535 || (!v && !zero)) {
        return false;
    }
    *port = (uint16_t)v;
    return true;
}

static bool protocol_of(const char **at, bool *udp)
{
    g_autofree char *text = part(at, ':');

    *udp = text && !strcmp(text, "udp");
    return text && (*udp || !*text || !strcmp(text, "tcp"));
}

static bool address_of(const char *text, struct in_addr *a)
{
    return text && (!*text || inet_pton(AF_INET, text, a) == 1);
}

/* --- hostfwd --- */

bool user_hostfwd_add(struct net *n, const char *rule, GError **err)
{
    struct user *u = n->opaque;
    struct in_addr host = { 0 }, guest = u->first;
    g_autofree char *a = NULL, *b = NULL, *c = NULL, *d = NULL;
    const char *at = rule;
    uint16_t host_port, guest_port;
    bool udp;

    if (!protocol_of(&at, &udp) || !(a = part(&at, ':')) || !(b = part(&at, '-')) || !(c = part(&at, ':')) || !(d = part(&at, 0)) ||
        !address_of(a, &host) || !address_of(c, &guest) || !port_of(b, true, &host_port) || !port_of(d, false, &guest_port)) {
        return error_set(err, EMU_ERROR_INVALID, "invalid host forwarding rule '%s', it should be [tcp|udp]:[HOSTADDR]:PORT-[GUESTADDR]:PORT", rule);
    }
    if (slirp_add_hostfwd(u->slirp, udp, host, host_port, guest, guest_port) < 0) {
        return error_set(err, EMU_ERROR_HOST, "could not set up host forwarding rule '%s': %s", rule, g_strerror(errno));
    }
    user_wake(u);
    return true;
}

bool user_hostfwd_remove(struct net *n, const char *rule, GError **err)
{
    struct user *u = n->opaque;
    struct in_addr host = { 0 };
    g_autofree char *a = NULL, *b = NULL;
    const char *at = rule;
    uint16_t port;
    bool udp;

    if (protocol_of(&at, &udp) && strchr(at, ':')) {
        a = part(&at, ':');
    }
    b = part(&at, 0);
    if ((a && !address_of(a, &host)) || !port_of(b, false, &port)) {
        return error_set(err, EMU_ERROR_INVALID, "invalid rule '%s', it should be [tcp|udp]:[HOSTADDR:]PORT", rule);
    }
    if (slirp_remove_hostfwd(u->slirp, udp, host, port)) {
        return error_set(err, EMU_ERROR_NOT_FOUND, "host forwarding rule for %s not found", rule);
    }
    user_wake(u);
    return true;
}

/* --- guestfwd --- */

static ssize_t from_guest(const void *buf, size_t len, void *opaque)
{
    struct guest_forward *f = opaque;

    return (ssize_t)chardev_write(f->stream, buf, len);
}

static size_t can_take(void *opaque)
{
    struct guest_forward *f = opaque;

    return slirp_socket_can_recv(f->u->slirp, f->address, f->port);
}

static void take(void *opaque, const uint8_t *buf, size_t len)
{
    struct guest_forward *f = opaque;

    slirp_socket_recv(f->u->slirp, f->address, f->port, buf, (int)len);
}

bool user_guestfwd_add(struct user *u, const char *rule, GError **err)
{
    g_autofree char *address = NULL, *port = NULL;
    struct guest_forward *f;
    struct in_addr a = { 0 };
    const char *at = rule;
    uint16_t n;
    bool udp;

    if (!protocol_of(&at, &udp) || udp || !(address = part(&at, ':')) || !(port = part(&at, '-')) || !*at ||
        inet_pton(AF_INET, address, &a) != 1 || !port_of(port, false, &n)) {
        return error_set(err, EMU_ERROR_INVALID, "invalid guest forwarding rule, it should be tcp:SERVER:PORT-DEV or tcp:SERVER:PORT-cmd:COMMAND");
    }
    if (g_str_has_prefix(at, "cmd:")) {
        return !slirp_add_exec(u->slirp, at + 4, &a, n) ||
               error_set(err, EMU_ERROR_INVALID, "%s:%u cannot be forwarded: it is in use, or not in the guest's network", address, n);
    }
    f = g_new0(struct guest_forward, 1);
    *f = (struct guest_forward){ u, chardev_open(at, err), a, n };
    if (!f->stream) {
        g_free(f);
        return false;
    }
    if (slirp_add_guestfwd(u->slirp, from_guest, f, &a, n) < 0) {
        chardev_close(f->stream);
        g_free(f);
        return error_set(err, EMU_ERROR_INVALID, "%s:%u cannot be forwarded: it is in use, or not in the guest's network", address, n);
    }
    if (!u->forwards) {
        u->forwards = g_ptr_array_new();
    }
    g_ptr_array_add(u->forwards, f);
    chardev_attach(f->stream, &(struct chardev_port){ .can_take = can_take, .take = take, .opaque = f });
    return true;
}

void user_forwards_kick(struct user *u)
{
    for (unsigned i = 0; u->forwards && i < u->forwards->len; i++) {
        chardev_kick_input(((struct guest_forward *)g_ptr_array_index(u->forwards, i))->stream);
    }
}

void user_forwards_free(struct user *u)
{
    for (unsigned i = 0; u->forwards && i < u->forwards->len; i++) {
        struct guest_forward *f = g_ptr_array_index(u->forwards, i);

        chardev_close(f->stream);
        g_free(f);
    }
    if (u->forwards) {
        g_ptr_array_free(u->forwards, TRUE);
    }
}
