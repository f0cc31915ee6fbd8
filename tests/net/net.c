/* Ends, pairs, flow control, offloads in software, hubs, host ends by option, pcap. */
#include "net/net.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct end {
    struct net *net;
    unsigned got, rooms, room_for, links;
    bool up;
    size_t size[64];
    uint8_t last[2000];
};

static bool take(void *opaque, unsigned queue, const struct net_packet *p)
{
    struct end *e = opaque;
    size_t at = 0;
    (void)queue;
    if (!e->room_for) {
        return false;
    }
    e->room_for--;
    for (unsigned i = 0; i < p->n; i++) {
        memcpy(e->last + at, p->iov[i].iov_base, MIN(p->iov[i].iov_len, sizeof(e->last) - at));
        at += MIN(p->iov[i].iov_len, sizeof(e->last) - at);
    }
    e->size[e->got++ % 64] = p->size;
    return true;
}
static void room(void *opaque, unsigned queue) { (void)queue; ((struct end *)opaque)->rooms++; }
static void link_changed(void *opaque, bool up) { ((struct end *)opaque)->links++, ((struct end *)opaque)->up = up; }
static const struct net_ops card_ops = { .model = "card", .card = true, .take = take, .room = room, .link = link_changed };
static const struct net_ops host_ops = { .model = "host", .take = take, .room = room, .link = link_changed };

static struct nets *s;
static struct end card, host;

static void setup(void)
{
    GError *err = NULL;
    s = nets_new();
    nets_run(s, true);
    card = (struct end){ .room_for = 1000 };
    host = (struct end){ .room_for = 1000 };
    card.net = net_new(s, NULL, &card_ops, &card, 1, &err);
    host.net = net_new(s, "h", &host_ops, &host, 1, &err);
    cr_assert(net_connect(card.net, host.net, &err));
}
static void teardown(void) { nets_free(s); }
TestSuite(net, .init = setup, .fini = teardown);

static bool send_n(struct net *n, size_t len) { uint8_t f[2000] = { 0 }; f[0] = (uint8_t)len; return net_send_frame(n, 0, f, len); }

Test(net, names_and_pairs)
{
    GError *err = NULL;
    struct end other = { 0 };
    cr_assert_str_eq(net_name(card.net), "card.0");
    cr_assert_null(net_new(s, "h", &host_ops, &other, 1, &err));
    g_clear_error(&err);
    other.net = net_new(s, NULL, &card_ops, &other, 1, &err);
    cr_assert(!net_connect(other.net, host.net, &err));
    cr_assert(strstr(err->message, "used by another card"), "%s", err->message);
    g_clear_error(&err);
    cr_assert(send_n(other.net, 60));           /* nobody there: gone */
}

Test(net, a_full_receiver_queues_and_tells)
{
    card.room_for = 1;
    cr_assert(send_n(host.net, 60));
    cr_assert(!send_n(host.net, 61));
    cr_assert(!send_n(host.net, 62));
    cr_assert_eq(card.got, 1);
    card.room_for = 1;
    net_ready(card.net, 0);
    cr_assert_eq(card.got, 2);
    cr_assert_eq(host.rooms, 0);                /* one still waits */
    card.room_for = 10;
    net_ready(card.net, 0);
    cr_assert_eq(card.got, 3);
    cr_assert_eq(card.size[2], 62);
    cr_assert_eq(host.rooms, 1);
    cr_assert(send_n(host.net, 63));
    cr_assert(send_n(host.net, 13));            /* no frame */
    cr_assert_eq(card.got, 4);
}

Test(net, what_waits_is_bounded)
{
    GString *out = g_string_new(NULL);
    card.room_for = 0;
    for (unsigned i = 0; i < 10000; i++) {
        cr_assert(!send_n(host.net, 100));
    }
    card.room_for = 1000000;
    net_ready(card.net, 0);
    cr_assert_eq(card.got, 8192);
    nets_info(s, out);
    cr_assert(strstr(out->str, "dropped for want of room: 1808"), "%s", out->str);
    g_string_free(out, TRUE);
}

Test(net, a_stopped_machine_gets_nothing)
{
    nets_run(s, false);
    cr_assert(!send_n(host.net, 60));
    cr_assert(send_n(card.net, 60));            /* the host's side goes on */
    cr_assert_eq(card.got, 0);
    cr_assert_eq(host.got, 1);
    nets_run(s, true);
    cr_assert_eq(card.got, 1);
    cr_assert_eq(host.rooms, 1);
}

Test(net, link)
{
    net_set_link(host.net, false);
    cr_assert(card.links == 1 && !card.up && host.links == 1);
    cr_assert(send_n(host.net, 60));
    cr_assert_eq(card.got, 0);
    net_set_link(card.net, false);
    net_set_link(host.net, true);
    cr_assert(!net_link_up(host.net));
    net_set_link(card.net, true);
    cr_assert(card.up);
    cr_assert(send_n(host.net, 60));
    cr_assert_eq(card.got, 1);
}

Test(net, purge_and_peer_gone)
{
    card.room_for = 0;
    cr_assert(!send_n(host.net, 60));
    net_purge(card.net);
    card.room_for = 9;
    net_ready(card.net, 0);
    cr_assert_eq(card.got, 0);
    cr_assert_eq(host.rooms, 1);
    card.room_for = 0;
    cr_assert(!send_n(host.net, 60));
    net_free(card.net);
    cr_assert_null(net_peer(host.net));
    cr_assert(send_n(host.net, 60));
}

Test(net, mac)
{
    GError *err = NULL;
    uint8_t m[6];
    cr_assert(net_mac(s, NULL, m, &err) && m[5] == 0x56 && m[0] == 0x52);
    cr_assert(net_mac(s, "", m, &err) && m[5] == 0x57);
    cr_assert(net_mac(s, "02:0a:ff:00:00:01", m, &err) && m[2] == 0xff);
    cr_assert(!net_mac(s, "03:00:00:00:00:01", m, &err));
    cr_assert(strstr(err->message, "multicast"), "%s", err->message);
    g_clear_error(&err);
    cr_assert(!net_mac(s, "02:00:00:00:01", m, &err));
    g_clear_error(&err);
}

/* --- offloads --- */

static unsigned be16(const uint8_t *p) { return (unsigned)p[0] << 8 | p[1]; }

static unsigned ones(const uint8_t *p, size_t n, uint32_t sum)
{
    for (size_t i = 0; i < n; i++) {
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* Ethernet, IP, 20 bytes of TCP or 8 of UDP, then `data` bytes; checksums not filled in. */
static size_t frame(uint8_t *f, bool v6, bool udp, size_t data)
{
    unsigned l4 = v6 ? 54 : 34, head = udp ? 8 : 20;
    memset(f, 0, l4 + head);
    memcpy(f + 12, v6 ? "\x86\xdd" : "\x08\x00", 2);
    if (v6) {
        f[14] = 0x60;
        f[20] = udp ? 17 : 6;
        memset(f + 22, 0xfe, 32);
    } else {
        memcpy(f + 14, "\x45\0\0\0\x12\x34\0\0\x40", 9);
        f[23] = udp ? 17 : 6;
        memcpy(f + 26, "\x0a\0\x02\x0f\x0a\0\x02\x02", 8);
    }
    if (!udp) {
        f[l4 + 12] = 0x50;
        f[l4 + 13] = 0x19;                      /* ACK, PSH, FIN */
        f[l4 + 7] = 5;                          /* sequence */
    }
    for (size_t i = 0; i < data; i++) {
        f[l4 + head + i] = (uint8_t)(i * 7);
    }
    return l4 + head + data;
}

static void check_segment(bool v6, bool udp, const uint8_t *f, size_t size)
{
    unsigned l4 = v6 ? 54 : 34;
    uint32_t pseudo = (uint32_t)(size - l4) + (udp ? 17 : 6);
    if (!v6) {
        cr_assert_eq(ones(f + 14, 20, 0), 0xffff);
        cr_assert_eq(be16(f + 16), size - 14);
    } else {
        cr_assert_eq(be16(f + 18), size - 54);
    }
    pseudo += v6 ? ones(f + 22, 32, 0) : ones(f + 26, 8, 0);
    cr_assert_eq(ones(f + l4, size - l4, pseudo), 0xffff);
}

static void cut(bool v6, bool udp, uint8_t gso)
{
    static uint8_t f[4000];
    unsigned l4 = v6 ? 54 : 34;
    size_t size = frame(f, v6, udp, 2500);
    struct iovec iov[2] = { { f, 40 }, { f + 40, size - 40 } };
    struct net_packet p = { iov, 2, size, { .flags = NET_NEEDS_CSUM, .gso = gso, .gso_size = 1000, .csum_start = (uint16_t)l4, .csum_offset = udp ? 6 : 16 } };
    cr_assert(net_send(card.net, 0, &p));
    cr_assert_eq(host.got, 3);
    cr_assert_eq(host.size[0], l4 + (udp ? 8u : 20u) + 1000);
    cr_assert_eq(host.size[2], l4 + (udp ? 8u : 20u) + 500);
    check_segment(v6, udp, host.last, host.size[2]);
    if (!udp) {
        cr_assert_eq(be16(host.last + l4 + 6), 2005);
        cr_assert_eq(host.last[l4 + 13], 0x19);
    }
    if (!v6) {
        cr_assert_eq(be16(host.last + 18), 0x1236);
    }
}

Test(net, tso4) { cut(false, false, NET_GSO_TCP4); }
Test(net, tso6) { cut(true, false, NET_GSO_TCP6); }
Test(net, uso4) { cut(false, true, NET_GSO_UDP_L4); }
Test(net, uso6) { cut(true, true, NET_GSO_UDP_L4); }

Test(net, long_tcp_is_only_finished)
{
    static uint8_t f[4000];
    struct iovec iov = { f, frame(f, false, false, 1800) };
    struct net_packet p = { &iov, 1, iov.iov_len, { .flags = NET_NEEDS_CSUM, .gso = NET_GSO_TCP4, .gso_size = 1000, .csum_start = 34, .csum_offset = 16 } };
    net_set_takes(host.net, NET_TAKES_LONG_TCP);
    net_send(card.net, 0, &p);
    cr_assert_eq(host.got, 1);
    check_segment(false, false, host.last, host.size[0]);
}

Test(net, checksum_and_what_is_taken_undone)
{
    static uint8_t f[200];
    struct iovec iov = { f, frame(f, false, true, 33) };
    struct net_packet p = { &iov, 1, iov.iov_len, { .flags = NET_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6 } };
    uint32_t pseudo = ones(f + 26, 8, 17 + 41);
    f[40] = (uint8_t)(pseudo >> 8), f[41] = (uint8_t)pseudo;
    net_send(card.net, 0, &p);
    cr_assert_eq(ones(host.last + 34, 41, ones(f + 26, 8, 17 + 41)), 0xffff);
    net_set_takes(host.net, NET_TAKES_CSUM);
    net_send(card.net, 0, &p);
    cr_assert_eq(be16(host.last + 40), pseudo);
}

Test(net, offloads_of_nonsense_are_dropped)
{
    static uint8_t f[2000];
    struct iovec iov = { f, frame(f, false, false, 1000) };
    for (unsigned i = 0; i < 20000; i++) {
        struct net_packet p = { &iov, 1, 15 + i % 1000, { .flags = i & 1, .gso = (uint8_t)(i >> 3 & 0x87), .gso_size = (uint16_t)(i * 31 % 1500),
                                .csum_start = (uint16_t)(i * 17 % 1100), .csum_offset = (uint16_t)(i % 50) } };
        iov.iov_len = p.size;
        host.room_for = 1000;
        f[14] = (uint8_t)(0x40 | i % 16);
        f[46] = (uint8_t)(i << 4);
        net_send(card.net, 0, &p);
    }
}

/* --- host ends --- */

Test(net, options)
{
    static const struct { const char *text, *message; } bad[] = {
        { "user", "id=NAME" }, { "usr,id=a", "did you mean 'user'" }, { "user,id=h", "already" }, { "vde,id=a", "not supported" },
        { "hubport,id=a", "hubid" }, { "stream,id=a", "addr.type" }, { "socket,id=a", "exactly one" }, { "tap,id=a,vhost=on", "not supported" },
        { "dgram,id=a,local.type=inet", "local.host" }, { "hubport,id=a,hubid=0,netdev=x", "no netdev" },
#ifdef CONFIG_SLIRP
        { "user,id=a,net=10.0.2", "not a network" }, { "user,id=a,net=10.0.2.0/24,host=10.0.3.1", "not in net" }, { "user,id=a,smb=/", "not supported" },
        { "user,id=a,hostfwd=tcp:22", "hostfwd" }, { "user,id=a,hostfw=tcp:22", "did you mean 'hostfwd'" }, { "user,id=a,tftp=/nowhere/x", "not a folder" },
#endif
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        GError *err = NULL;
        cr_assert(!netdev_add(s, bad[i].text, NULL, &err), "%s", bad[i].text);
        cr_assert(strstr(err->message, bad[i].message), "%s: %s", bad[i].text, err->message);
        cr_assert_null(strchr(err->message, '\n'));
        g_clear_error(&err);
    }
    cr_assert_null(net_find(s, "a"));
}

Test(net, hub_repeats_to_all_others)
{
    GError *err = NULL;
    struct end c[3] = { { .room_for = 9 }, { .room_for = 9 }, { .room_for = 9 } };
    for (unsigned i = 0; i < 3; i++) {
        struct net *port = net_hub_port(s, 0, NULL, &err);
        c[i].net = net_new(s, NULL, &card_ops, &c[i], 1, &err);
        cr_assert(net_connect(c[i].net, port, &err));
    }
    send_n(c[1].net, 77);
    cr_assert(c[0].got == 1 && c[1].got == 0 && c[2].got == 1 && c[2].size[0] == 77);
}

Test(net, stream_between_two_ends)
{
    GError *err = NULL;
    g_autofree char *path = g_strdup_printf("/tmp/emu-test-net-%d", getpid()), *a = g_strdup_printf("stream,id=a,server=on,addr.type=unix,addr.path=%s", path),
                    *b = g_strdup_printf("stream,id=b,addr.type=unix,addr.path=%s", path);
    struct net *na, *nb;
    struct end c = { .room_for = 99 }, d = { .room_for = 99 };
    cr_assert(netdev_add(s, a, &na, &err) && netdev_add(s, b, &nb, &err), "%s", err ? err->message : "");
    c.net = net_new(s, NULL, &card_ops, &c, 1, &err);
    d.net = net_new(s, NULL, &card_ops, &d, 1, &err);
    cr_assert(net_connect(c.net, na, &err) && net_connect(d.net, nb, &err));
    while (!net_link_up(c.net)) {
        g_main_context_iteration(NULL, TRUE);
    }
    for (unsigned i = 0; i < 20; i++) {
        send_n(c.net, 60 + i);
    }
    while (d.got < 20) {
        g_main_context_iteration(NULL, TRUE);
    }
    cr_assert_eq(d.size[19], 79);
    cr_assert(netdev_del(s, "b", &err));
    cr_assert_null(net_peer(d.net));
    while (net_link_up(c.net)) {
        g_main_context_iteration(NULL, TRUE);
    }
    cr_assert(netdev_del(s, "a", &err));
    cr_assert(access(path, F_OK));
}

Test(net, pcap)
{
    GError *err = NULL;
    g_autofree char *path = g_strdup_printf("/tmp/emu-test-pcap-%d", getpid());
    uint32_t w[64] = { 0 };
    FILE *f;
    cr_assert(!net_dump_add(s, "d", "nobody", path, 0, &err));
    g_clear_error(&err);
    cr_assert(net_dump_add(s, "d", "h", path, 64, &err), "%s", err ? err->message : "");
    send_n(card.net, 100);
    send_n(host.net, 60);
    cr_assert(net_dump_del(s, "d"));
    f = fopen(path, "r");
    cr_assert_eq(fread(w, 1, sizeof(w), f), 24 + 16 + 64 + 16 + 60);
    fclose(f);
    unlink(path);
    cr_assert(w[0] == 0xa1b2c3d4 && w[4] == 64 && w[5] == 1 && w[8] == 64 && w[9] == 100);
}
