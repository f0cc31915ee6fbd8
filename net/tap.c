/*
 * -netdev tap: a TUN/TAP interface of the host's kernel (Documentation/networking/tuntap.rst), made here or handed in as descriptors.
 * With IFF_VNET_HDR each frame has a virtio-net header before it, so that checksums and segmentation are left to whoever can do them.
 * Left out: vhost=on, bridges by helper.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "net/net_priv.h"

const struct option_desc tap_desc[] = {
    { "fd", OPT_STRING, NULL, "an open descriptor of the interface", NULL, 0, 0 },
    { "fds", OPT_STRING, NULL, "several, X:Y:..., one a queue", NULL, 0, 0 },
    { "ifname", OPT_STRING, NULL, "name of the interface (default: the kernel's choice)", NULL, 0, 0 },
    { "script", OPT_STRING, "no", "program that sets it up, called with its name", NULL, 0, 0 },
    { "downscript", OPT_STRING, "no", "program that is called when it goes away", NULL, 0, 0 },
    { "sndbuf", OPT_SIZE, NULL, "bytes that wait in the kernel at most", NULL, 0, 0 },
    { "vnet_hdr", OPT_BOOL, "on", "offloads, where the kernel has them", NULL, 0, 0 },
    { "vhost", OPT_BOOL, "off", "not supported: on", NULL, 0, 0 },
    { "queues", OPT_UINT, "1", "queues", NULL, 1, NET_QUEUES_MAX },
    { "br", OPT_STRING, NULL, "not supported", NULL, 0, 0 },
    { "helper", OPT_STRING, NULL, "not supported", NULL, 0, 0 },
    { 0 },
};

struct tap;

struct tap_queue {
    struct tap *tap;
    unsigned n;
    int fd;
    guint watch_in, watch_out;
};

struct tap {
    struct net *net;
    struct tap_queue queue[NET_QUEUES_MAX];
    unsigned n;
    bool vnet_hdr;
    char *ifname, *downscript;
    uint8_t *buf;                       /* NET_FRAME_MAX and a header */
};

#define HEADER sizeof(struct net_offload)

static gboolean tap_readable(gint fd, GIOCondition cond, gpointer opaque)
{
    struct tap_queue *q = opaque;
    struct tap *t = q->tap;
    size_t head = t->vnet_hdr ? HEADER : 0;

    (void)cond;
    /* Bounded, so that a flood on the interface does not stop the main loop. */
    for (unsigned i = 0; i < 64; i++) {
        ssize_t n = read(fd, t->buf, NET_FRAME_MAX + HEADER);
        struct iovec iov = { t->buf + head, (size_t)n - head };
        struct net_packet p = { .iov = &iov, .n = 1, .size = (size_t)n - head };

        if (n < 0 || (size_t)n < head) {
            break;
        }
        if (head) {
            memcpy(&p.offload, t->buf, HEADER);
        }
        if (!net_send(t->net, q->n, &p)) {
            q->watch_in = 0;
            return G_SOURCE_REMOVE;
        }
    }
    return G_SOURCE_CONTINUE;
}

static void tap_room(void *opaque, unsigned queue)
{
    struct tap_queue *q = &((struct tap *)opaque)->queue[queue];

    if (!q->watch_in) {
        q->watch_in = g_unix_fd_add(q->fd, G_IO_IN, tap_readable, q);
    }
}

static gboolean tap_writable(gint fd, GIOCondition cond, gpointer opaque)
{
    struct tap_queue *q = opaque;

    (void)fd, (void)cond;
    q->watch_out = 0;
    net_ready(q->tap->net, q->n);
    return G_SOURCE_REMOVE;
}

static bool tap_take(void *opaque, unsigned queue, const struct net_packet *p)
{
    struct tap *t = opaque;
    struct tap_queue *q = &t->queue[queue];
    struct iovec iov[66] = { { (void *)&p->offload, HEADER } };
    unsigned n = t->vnet_hdr;

    if (p->n > G_N_ELEMENTS(iov) - 1) {
        return true;
    }
    memcpy(iov + n, p->iov, p->n * sizeof(*iov));
    if (writev(q->fd, iov, (int)(p->n + n)) < 0 && errno == EAGAIN) {
        if (!q->watch_out) {
            q->watch_out = g_unix_fd_add(q->fd, G_IO_OUT, tap_writable, q);
        }
        return false;
    }
    return true;
}

/* Runs "SCRIPT IFNAME" and waits for it. */
static bool script_run(const char *script, const char *ifname, GError **err)
{
    char *argv[] = { (char *)script, (char *)ifname, NULL };
    int status;

    if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, NULL, NULL, &status, NULL) || status) {
        return error_set(err, EMU_ERROR_HOST, "script '%s %s' failed", script, ifname);
    }
    return true;
}

static void tap_free(void *opaque)
{
    struct tap *t = opaque;

    for (unsigned i = 0; i < t->n; i++) {
        struct tap_queue *q = &t->queue[i];

        if (q->watch_in) {
            g_source_remove(q->watch_in);
        }
        if (q->watch_out) {
            g_source_remove(q->watch_out);
        }
        if (q->fd >= 0) {
            close(q->fd);
        }
    }
    if (t->downscript) {
        script_run(t->downscript, t->ifname, NULL);
    }
    g_free(t->downscript);
    g_free(t->ifname);
    g_free(t->buf);
    g_free(t);
}

static const struct net_ops tap_ops = { .model = "tap", .take = tap_take, .room = tap_room, .free = tap_free };

/* One queue of an interface that is made if it is not there. */
static bool tap_make(struct tap *t, unsigned n, bool vnet_hdr, unsigned queues, GError **err)
{
    struct ifreq r = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (vnet_hdr ? IFF_VNET_HDR : 0) | (queues > 1 ? IFF_MULTI_QUEUE : 0)) };
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        return error_set(err, EMU_ERROR_HOST, "could not open /dev/net/tun: %s", g_strerror(errno));
    }
    t->queue[n].fd = fd;
    if (t->ifname && g_strlcpy(r.ifr_name, t->ifname, IFNAMSIZ) >= IFNAMSIZ) {
        return error_set(err, EMU_ERROR_INVALID, "ifname=%s is longer than %d bytes", t->ifname, IFNAMSIZ - 1);
    }
    if (ioctl(fd, TUNSETIFF, &r)) {
        return error_set(err, EMU_ERROR_HOST, "could not configure /dev/net/tun (%s): %s", t->ifname ? t->ifname : "a new interface", g_strerror(errno));
    }
    g_free(t->ifname);
    t->ifname = g_strdup(r.ifr_name);
    return true;
}

static bool tap_adopt(struct tap *t, const char *text, GError **err)
{
    g_auto(GStrv) list = g_strsplit(text, ":", -1);
    struct ifreq r;
    uint64_t fd;

    t->n = 0;
    for (unsigned i = 0; list[i]; i++) {
        if (i >= NET_QUEUES_MAX || !parse_uint(list[i], &fd, NULL) || fd > INT32_MAX) {
            return error_set(err, EMU_ERROR_INVALID, "'%s' is not a list of at most %d descriptors", text, NET_QUEUES_MAX);
        }
        if (ioctl((int)fd, TUNGETIFF, &r)) {
            return error_set(err, EMU_ERROR_INVALID, "descriptor %s is not a tap interface: %s", list[i], g_strerror(errno));
        }
        t->vnet_hdr = r.ifr_flags & IFF_VNET_HDR;
        t->queue[t->n++].fd = (int)fd;
    }
    t->ifname = g_strndup(r.ifr_name, IFNAMSIZ);
    return true;
}

/* The kernel may send segments and checksums undone: what the card does not take is done by net_send(). */
static void tap_offloads(struct tap *t)
{
    int size = HEADER;

    for (unsigned i = 0; i < t->n && t->vnet_hdr; i++) {
        ioctl(t->queue[i].fd, TUNSETVNETHDRSZ, &size);
        ioctl(t->queue[i].fd, TUNSETOFFLOAD, (unsigned long)(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN));
    }
    net_set_takes(t->net, t->vnet_hdr ? NET_TAKES_CSUM | NET_TAKES_TSO4 | NET_TAKES_TSO6 | NET_TAKES_ECN : 0);
}

static bool tap_start(struct tap *t, const struct options *o, GError **err)
{
    const char *script = options_string(o, "script", "no"), *down = options_string(o, "downscript", "no");
    int sndbuf = (int)MIN(options_uint(o, "sndbuf", 0), (uint64_t)INT32_MAX);
    g_autofree char *info = g_strdup_printf("ifname=%s,script=%s,downscript=%s", t->ifname, script, down);

    if (strcmp(script, "no") && *script && !script_run(script, t->ifname, err)) {
        return false;
    }
    t->downscript = strcmp(down, "no") && *down ? g_strdup(down) : NULL;
    t->buf = g_malloc(NET_FRAME_MAX + HEADER);
    for (unsigned i = 0; i < t->n; i++) {
        struct tap_queue *q = &t->queue[i];

        q->tap = t;
        q->n = i;
        fcntl(q->fd, F_SETFL, fcntl(q->fd, F_GETFL) | O_NONBLOCK);
        if (sndbuf) {
            ioctl(q->fd, TUNSETSNDBUF, &sndbuf);
        }
        tap_room(t, i);
    }
    net_set_info(t->net, info);
    tap_offloads(t);
    return true;
}

bool tap_open(struct nets *s, const char *id, const struct options *o, struct net **opened, GError **err)
{
    const char *fds = options_string(o, "fds", options_string(o, "fd", NULL));
    unsigned queues = (unsigned)options_uint(o, "queues", 1);
    struct tap *t;
    bool ok = true;

    if (options_bool(o, "vhost", false) || options_has(o, "br") || options_has(o, "helper")) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: tap with vhost=on, br= or helper=");
    }
    if (fds && options_has(o, "ifname")) {
        return error_set(err, EMU_ERROR_INVALID, "ifname= has no use with fd= or fds=");
    }
    t = g_new0(struct tap, 1);
    t->n = queues;
    t->vnet_hdr = options_bool(o, "vnet_hdr", true);
    t->ifname = g_strdup(options_string(o, "ifname", NULL));
    for (unsigned i = 0; i < NET_QUEUES_MAX; i++) {
        t->queue[i].fd = -1;
    }
    for (unsigned i = 0; !fds && ok && i < queues; i++) {
        ok = tap_make(t, i, t->vnet_hdr, queues, err);
    }
    ok = ok && (!fds || tap_adopt(t, fds, err)) && (t->net = net_new(s, id, &tap_ops, t, t->n, err)) && tap_start(t, o, err);
    if (!ok) {
        net_free(t->net);
        tap_free(t);
        return false;
    }
    *opened = t->net;
    return true;
}
