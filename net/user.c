/*
 * -netdev user: libslirp behind an end. The guest sees a network of its own with DHCP, DNS and a router; its connections become sockets of
 * this process. How the sockets are waited for is in net/user_poll.c, forwarding rules are in net/user_fwd.c.
 * Left out: smb= (a Samba server started by the emulator).
 */
#include <arpa/inet.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/log.h"
#include "net/user_priv.h"

const struct option_desc user_desc[] = {
    { "ipv4", OPT_BOOL, "on", "IPv4", NULL, 0, 0 },
    { "net", OPT_STRING, "10.0.2.0/24", "the guest's network", NULL, 0, 0 },
    { "host", OPT_STRING, "x.x.x.2", "address of this host in it", NULL, 0, 0 },
    { "ipv6", OPT_BOOL, "on", "IPv6", NULL, 0, 0 },
    { "ipv6-net", OPT_STRING, "fec0::/64", "the guest's IPv6 network", NULL, 0, 0 },
    { "ipv6-prefix", OPT_STRING, "fec0::", "its prefix", NULL, 0, 0 },
    { "ipv6-prefixlen", OPT_UINT, "64", "length of that", NULL, 1, 126 },
    { "ipv6-host", OPT_STRING, "xxxx::2", "IPv6 address of this host", NULL, 0, 0 },
    { "restrict", OPT_BOOL, "off", "the guest reaches only what is forwarded", NULL, 0, 0 },
    { "hostname", OPT_STRING, NULL, "name that DHCP tells the guest", NULL, 0, 0 },
    { "dhcpstart", OPT_STRING, "x.x.x.15", "first of 16 addresses given out by DHCP", NULL, 0, 0 },
    { "dns", OPT_STRING, "x.x.x.3", "address of the name server", NULL, 0, 0 },
    { "ipv6-dns", OPT_STRING, "xxxx::3", "IPv6 address of the name server", NULL, 0, 0 },
    { "dnssearch", OPT_STRING, NULL, "a search domain; may be repeated", NULL, 0, 0 },
    { "domainname", OPT_STRING, NULL, "domain name told by DHCP", NULL, 0, 0 },
    { "tftp", OPT_STRING, NULL, "folder offered by TFTP", NULL, 0, 0 },
    { "tftp-server-name", OPT_STRING, NULL, "name of the TFTP server told by DHCP (option 66)", NULL, 0, 0 },
    { "bootfile", OPT_STRING, NULL, "file to boot from TFTP", NULL, 0, 0 },
    { "hostfwd", OPT_STRING, NULL, "tcp|udp:[HOSTADDR]:PORT-[GUESTADDR]:PORT; may be repeated", NULL, 0, 0 },
    { "guestfwd", OPT_STRING, NULL, "tcp:SERVER:PORT-DEV or -cmd:COMMAND; may be repeated", NULL, 0, 0 },
    { "smb", OPT_STRING, NULL, "not supported", NULL, 0, 0 },
    { "smbserver", OPT_STRING, NULL, "not supported", NULL, 0, 0 },
    { 0 },
};

/* --- packets --- */

static bool user_take(void *opaque, unsigned queue, const struct net_packet *p)
{
    struct user *u = opaque;
    g_autofree uint8_t *copy = NULL;

    (void)queue;
    copy = g_malloc(p->size);           /* it may lie in guest memory, and libslirp looks at it more than once */
    packet_copy(p, 0, copy, p->size);
    slirp_input(u->slirp, copy, (int)p->size);
    user_wake(u);
    return true;
}

/* libslirp has no flow control on this side: TCP windows bound what waits. Its checksums are right by construction. */
static ssize_t send_packet(const void *buf, size_t len, void *opaque)
{
    struct user *u = opaque;
    struct iovec iov = { (void *)buf, len };

    net_send(u->net, 0, &(struct net_packet){ .iov = &iov, .n = 1, .size = len, .offload.flags = NET_CSUM_VALID });
    return (ssize_t)len;
}

static void guest_error(const char *msg, void *opaque)
{
    (void)opaque;
    log_guest("network: %s", msg);
}

static const SlirpCb callbacks = {
    .send_packet = send_packet, .guest_error = guest_error, .clock_get_ns = user_clock, .timer_new = user_timer_new,
    .timer_free = user_timer_free, .timer_mod = user_timer_mod, .register_poll_fd = user_fd_changed,
    .unregister_poll_fd = user_fd_changed, .notify = user_notify,
};

static void user_free(void *opaque)
{
    struct user *u = opaque;

    user_poll_stop(u);
    user_forwards_free(u);
    if (u->slirp) {
        slirp_cleanup(u->slirp);
    }
    user_poll_free(u);
    g_free(u);
}

static void info(void *opaque, GString *out)
{
    struct user *u = opaque;
    char *text = slirp_connection_info(u->slirp);

    g_string_append(out, text);
    g_free(text);
}

static const struct net_ops user_ops = { .model = "user", .take = user_take, .free = user_free, .info = info };

bool net_is_user(const struct net *n) { return n->ops == &user_ops; }

void user_info(struct net *n, GString *out)
{
    g_string_append_printf(out, "Hub -1 (%s):\n", n->name);
    info(n->opaque, out);
}

/* --- addresses --- */

static bool address4(const struct options *o, const char *key, struct in_addr *a, GError **err)
{
    const char *text = options_string(o, key, NULL);

    return !text || inet_pton(AF_INET, text, a) == 1 || error_set(err, EMU_ERROR_INVALID, "%s=%s is not an IPv4 address", key, text);
}

static bool address6(const struct options *o, const char *key, struct in6_addr *a, GError **err)
{
    const char *text = options_string(o, key, NULL);

    return !text || inet_pton(AF_INET6, text, a) == 1 || error_set(err, EMU_ERROR_INVALID, "%s=%s is not an IPv6 address", key, text);
}

/* "10.0.2.0/24", "10.0.2.0/255.255.255.0", or an address alone with the mask of its class. */
static bool network4(const char *text, struct in_addr *net, struct in_addr *mask, GError **err)
{
    g_autofree char *address = g_strndup(text, strcspn(text, "/"));
    const char *slash = strchr(text, '/');
    uint64_t bits;
    bool ok = inet_pton(AF_INET, address, net) == 1;

    if (ok && slash && parse_uint(slash + 1, &bits, NULL)) {
        ok = bits >= 1 && bits <= 30;
        mask->s_addr = htonl(0xffffffffu << (32 - (ok ? bits : 8)));
    } else if (ok && slash) {
        ok = inet_pton(AF_INET, slash + 1, mask) == 1 && !(~ntohl(mask->s_addr) & (~ntohl(mask->s_addr) + 1)) && ~ntohl(mask->s_addr) >= 3;
    } else if (ok) {
        uint32_t a = ntohl(net->s_addr);

        mask->s_addr = htonl(!(a & 0x80000000) ? 0xff000000 : (a >> 29) == 6 ? 0xffffff00 : (a >> 29) == 7 ? 0xffffff00 : 0xffff0000);
    }
    if (!ok) {
        return error_set(err, EMU_ERROR_INVALID, "net=%s is not a network like 10.0.2.0/24", text);
    }
    net->s_addr &= mask->s_addr;
    return true;
}

static bool inside(const SlirpConfig *c, struct in_addr a, const char *key, GError **err)
{
    return (a.s_addr & c->vnetmask.s_addr) == c->vnetwork.s_addr ||
           error_set(err, EMU_ERROR_INVALID, "%s=%s is not in net=", key, inet_ntoa(a));
}

static struct in_addr nth(const SlirpConfig *c, uint32_t n)
{
    return (struct in_addr){ htonl(ntohl(c->vnetwork.s_addr) | (n & ~ntohl(c->vnetmask.s_addr))) };
}

static bool config_ipv4(const struct options *o, SlirpConfig *c, GError **err)
{
    c->in_enabled = options_bool(o, "ipv4", true);
    if (!network4(options_string(o, "net", "10.0.2.0/24"), &c->vnetwork, &c->vnetmask, err)) {
        return false;
    }
    c->vhost = nth(c, 2);
    c->vnameserver = nth(c, 3);
    c->vdhcp_start = nth(c, ~ntohl(c->vnetmask.s_addr) >= 31 ? 15 : 0);
    if (!address4(o, "host", &c->vhost, err) || !address4(o, "dns", &c->vnameserver, err) || !address4(o, "dhcpstart", &c->vdhcp_start, err) ||
        !inside(c, c->vhost, "host", err) || !inside(c, c->vnameserver, "dns", err) || !inside(c, c->vdhcp_start, "dhcpstart", err)) {
        return false;
    }
    if (c->vdhcp_start.s_addr == c->vnetwork.s_addr) {
        return error_set(err, EMU_ERROR_INVALID, "net=%s is too small for 16 addresses: give dhcpstart=", options_string(o, "net", ""));
    }
    if (c->vhost.s_addr == c->vnameserver.s_addr || c->vdhcp_start.s_addr == c->vhost.s_addr || c->vdhcp_start.s_addr == c->vnameserver.s_addr) {
        return error_set(err, EMU_ERROR_INVALID, "host=, dns= and dhcpstart= must be three addresses");
    }
    return true;
}

static bool config_ipv6(const struct options *o, SlirpConfig *c, GError **err)
{
    const char *text = options_string(o, "ipv6-net", NULL);
    g_autofree char *prefix = g_strndup(text ? text : "", strcspn(text ? text : "", "/"));
    uint64_t bits = options_uint(o, "ipv6-prefixlen", 64);

    c->in6_enabled = options_bool(o, "ipv6", true);
    inet_pton(AF_INET6, "fec0::", &c->vprefix_addr6);
    if (!address6(o, "ipv6-prefix", &c->vprefix_addr6, err)) {
        return false;
    }
    if (text && (inet_pton(AF_INET6, prefix, &c->vprefix_addr6) != 1 ||
                 (strchr(text, '/') && (!parse_uint(strchr(text, '/') + 1, &bits, NULL) || bits < 1 || bits > 126)))) {
        return error_set(err, EMU_ERROR_INVALID, "ipv6-net=%s is not a network like fec0::/64", text);
    }
    c->vprefix_len = (uint8_t)bits;
    c->vhost6 = c->vprefix_addr6;
    c->vhost6.s6_addr[15] |= 2;
    c->vnameserver6 = c->vprefix_addr6;
    c->vnameserver6.s6_addr[15] |= 3;
    return address6(o, "ipv6-host", &c->vhost6, err) && address6(o, "ipv6-dns", &c->vnameserver6, err);
}

static bool config_rest(const struct options *o, SlirpConfig *c, GPtrArray *search, GError **err)
{
    const char *key, *value;
    struct stat st;

    c->version = 3;
    c->restricted = options_bool(o, "restrict", false);
    c->vhostname = options_string(o, "hostname", NULL);
    c->tftp_server_name = options_string(o, "tftp-server-name", NULL);
    c->tftp_path = options_string(o, "tftp", NULL);
    c->bootfile = options_string(o, "bootfile", NULL);
    c->vdomainname = options_string(o, "domainname", NULL);
    for (unsigned i = 0; i < options_count(o); i++) {
        options_at(o, i, &key, &value);
        if (!strcmp(key, "dnssearch")) {
            g_ptr_array_add(search, (char *)value);
        }
    }
    if (search->len) {
        g_ptr_array_add(search, NULL);
        c->vdnssearch = (const char **)search->pdata;
    }
    if (options_has(o, "smb") || options_has(o, "smbserver")) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: smb=");
    }
    if (!c->in_enabled && !c->in6_enabled) {
        return error_set(err, EMU_ERROR_INVALID, "ipv4=off and ipv6=off leave no network");
    }
    if (c->tftp_path && (stat(c->tftp_path, &st) || !S_ISDIR(st.st_mode))) {
        return error_set(err, EMU_ERROR_INVALID, "tftp=%s is not a folder", c->tftp_path);
    }
    if ((c->vhostname && strlen(c->vhostname) > 255) || (c->vdomainname && strlen(c->vdomainname) > 255) ||
        (c->tftp_server_name && strlen(c->tftp_server_name) > 255) || (c->bootfile && strlen(c->bootfile) > 127)) {
        return error_set(err, EMU_ERROR_INVALID, "a name is too long for DHCP (255 bytes; bootfile: 127)");
    }
    return true;
}

static bool forwards_add(struct user *u, const struct options *o, GError **err)
{
    const char *key, *value;
    bool ok = true;

    for (unsigned i = 0; ok && i < options_count(o); i++) {
        options_at(o, i, &key, &value);
        if (!strcmp(key, "hostfwd")) {
            ok = user_hostfwd_add(u->net, value, err) || error_prefix(err, "hostfwd=%s", value);
        } else if (!strcmp(key, "guestfwd")) {
            ok = user_guestfwd_add(u, value, err) || error_prefix(err, "guestfwd=%s", value);
        }
    }
    return ok;
}

bool user_open(struct nets *s, const char *id, const struct options *o, struct net **opened, GError **err)
{
    SlirpConfig config = { 0 };
    g_autoptr(GPtrArray) search = g_ptr_array_new();
    g_autofree char *text = NULL;
    struct user *u;

    if (!config_ipv4(o, &config, err) || !config_ipv6(o, &config, err) || !config_rest(o, &config, search, err)) {
        return false;
    }
    u = g_new0(struct user, 1);
    u->first = config.vdhcp_start;
    u->net = net_new(s, id, &user_ops, u, 1, err);
    if (!u->net || !user_poll_init(u, err) || !(u->slirp = slirp_new(&config, &callbacks, u))) {
        if (err && !*err) {
            error_set(err, EMU_ERROR_HOST, "libslirp does not start");
        }
        goto failed;
    }
    net_set_takes(u->net, NET_TAKES_LONG_TCP);
    text = g_strdup_printf("net=%s,restrict=%s", inet_ntoa(config.vnetwork), config.restricted ? "on" : "off");
    net_set_info(u->net, text);
    user_poll_start(u);
    if (!forwards_add(u, o, err)) {
        goto failed;
    }
    *opened = u->net;
    return true;
failed:
    net_free(u->net);
    user_free(u);
    return false;
}
