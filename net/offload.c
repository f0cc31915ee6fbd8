/*
 * What the receiver of a packet does not take undone: the Internet checksum (RFC 1071) filled in, TCP segments (RFC 9293) and UDP datagrams
 * cut to size, UDP over IPv4 fragmented (RFC 791). The offload header is virtio 1.2, 5.1.6.2. A packet whose header does not fit its
 * contents is dropped: it comes from a guest.
 */
#include <string.h>

#include "base/log.h"
#include "net/net_priv.h"

enum { ETH_IPV4 = 0x0800, ETH_IPV6 = 0x86dd, ETH_VLAN = 0x8100, ETH_QINQ = 0x88a8 };
enum { IP_TCP = 6, IP_UDP = 17, IP_FRAGMENT = 44 };
enum { TCP_FIN = 1, TCP_PSH = 8, TCP_CWR = 0x80 };

static unsigned get16(const uint8_t *p) { return (unsigned)p[0] << 8 | p[1]; }
static void put16(uint8_t *p, unsigned v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) << 16 | get16(p + 2); }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16), put16(p + 2, v & 0xffff); }

/* Sum of big-endian 16-bit words, folded to 32 bits and less. The sum of words is the same in any byte order, but for a swap at the end. */
static uint32_t sum(const uint8_t *p, size_t len)
{
    uint64_t s = 0;
    size_t i = 0;

    for (; i + 4 <= len; i += 4) {
        uint32_t v;

        memcpy(&v, p + i, 4);
        s += v;
    }
    s = (s & 0xffffffff) + (s >> 32);
    s = (s & 0xffff) + (s >> 16 & 0xffff) + (s >> 32);
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    s = GUINT16_FROM_BE((uint16_t)s);
    for (; i < len; i++) {
        s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    }
    return (uint32_t)s;
}

static uint16_t fold(uint32_t s)
{
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    return (uint16_t)~s;
}

/* A frame with its headers found. */
struct headers {
    unsigned l3, l4, end;               /* offsets; end: of the headers that each piece repeats */
    bool v6;
    uint8_t protocol;
};

static bool find_l3(const uint8_t *f, size_t size, struct headers *h)
{
    unsigned at = 12;

    for (unsigned tags = 0; tags < 2 && at + 2 <= size && (get16(f + at) == ETH_VLAN || get16(f + at) == ETH_QINQ); tags++) {
        at += 4;
    }
    if (at + 2 + 20 > size) {
        return false;
    }
    h->l3 = at + 2;
    h->v6 = get16(f + at) == ETH_IPV6;
    return h->v6 ? h->l3 + 40u <= size && f[h->l3] >> 4 == 6 : get16(f + at) == ETH_IPV4 && f[h->l3] >> 4 == 4;
}

/* The transport header is where the checksum starts; without one, right behind the IP header. */
static bool find_headers(const uint8_t *f, size_t size, const struct net_offload *o, struct headers *h)
{
    unsigned least, gso = o->gso & ~NET_GSO_ECN;

    if (!find_l3(f, size, h)) {
        return false;
    }
    least = h->l3 + (h->v6 ? 40 : (f[h->l3] & 15) * 4u);
    h->l4 = o->flags & NET_NEEDS_CSUM ? o->csum_start : least;
    h->protocol = gso == NET_GSO_TCP4 || gso == NET_GSO_TCP6 ? IP_TCP : IP_UDP;
    if (h->l4 < least || (!h->v6 && (least < h->l3 + 20 || h->l4 != least || f[h->l3 + 9] != h->protocol)) || h->l4 + 8u > size ||
        (gso == NET_GSO_TCP4 && h->v6) || (gso == NET_GSO_TCP6 && !h->v6)) {
        return false;
    }
    if (h->protocol == IP_UDP) {
        h->end = h->l4 + 8;
        return true;
    }
    if (h->l4 + 20u > size) {
        return false;
    }
    h->end = h->l4 + (f[h->l4 + 12] >> 4) * 4u;
    return h->end >= h->l4 + 20 && h->end <= size;
}

/* Length and checksum of the IP header of a frame of `size` bytes. */
static void finish_ip(uint8_t *f, const struct headers *h, size_t size)
{
    uint8_t *ip = f + h->l3;

    if (h->v6) {
        put16(ip + 4, (unsigned)(size - h->l3 - 40));
    } else {
        put16(ip + 2, (unsigned)(size - h->l3));
        put16(ip + 10, 0);
        put16(ip + 10, fold(sum(ip, (ip[0] & 15) * 4u)));
    }
}

/* The transport checksum, pseudo header included. */
static void finish_transport(uint8_t *f, const struct headers *h, size_t size)
{
    uint8_t *at = f + h->l4 + (h->protocol == IP_TCP ? 16 : 6);
    uint32_t s = (uint32_t)(size - h->l4) + h->protocol;
    uint16_t c;

    s += h->v6 ? sum(f + h->l3 + 8, 32) : sum(f + h->l3 + 12, 8);
    put16(at, 0);
    c = fold(s + sum(f + h->l4, size - h->l4));
    put16(at, c || h->protocol == IP_TCP ? c : 0xffff);
}

struct output {
    bool (*give)(void *opaque, const struct net_packet *p);
    void *opaque;
};

static bool emit(const struct output *out, uint8_t *f, size_t size)
{
    struct iovec iov = { f, size };

    return out->give(out->opaque, &(struct net_packet){ .iov = &iov, .n = 1, .size = size });
}

/* Each piece: the headers, and gso_size bytes of what follows them. */
static bool cut(const uint8_t *f, size_t size, const struct headers *h, unsigned gso_size, const struct output *out)
{
    g_autofree uint8_t *piece = g_malloc(h->end + gso_size);
    uint32_t seq = get32(f + h->l4 + 4);
    unsigned id = get16(f + h->l3 + 4), n = 0;

    for (size_t at = h->end; at < size || n == 0; n++) {
        size_t len = MIN(size - at, (size_t)gso_size);
        uint8_t *l4 = piece + h->l4;

        memcpy(piece, f, h->end);
        memcpy(piece + h->end, f + at, len);
        if (!h->v6) {
            put16(piece + h->l3 + 4, id + n);
        }
        if (h->protocol == IP_TCP) {
            put32(l4 + 4, seq + (uint32_t)(at - h->end));
            l4[13] &= (uint8_t)~((at + len < size ? TCP_FIN | TCP_PSH : 0) | (n ? TCP_CWR : 0));
        } else {
            put16(l4 + 4, (unsigned)(8 + len));
        }
        finish_ip(piece, h, h->end + len);
        finish_transport(piece, h, h->end + len);
        if (!emit(out, piece, h->end + len)) {
            return false;
        }
        at += len;
    }
    return true;
}

/* One UDP datagram over IPv4 in fragments; gso_size is the data of each. */
static bool fragment(uint8_t *f, size_t size, const struct headers *h, unsigned gso_size, const struct output *out)
{
    g_autofree uint8_t *piece = g_malloc(h->l4 + gso_size);

    put16(f + h->l4 + 4, (unsigned)(size - h->l4));
    finish_transport(f, h, size);
    gso_size &= ~7u;
    for (size_t at = h->l4; at < size; at += gso_size) {
        size_t len = MIN(size - at, (size_t)gso_size);

        memcpy(piece, f, h->l4);
        memcpy(piece + h->l4, f + at, len);
        put16(piece + h->l3 + 6, (unsigned)((at - h->l4) / 8) | (at + len < size ? 0x2000 : 0));
        finish_ip(piece, h, h->l4 + len);
        if (!emit(out, piece, h->l4 + len)) {
            return false;
        }
    }
    return true;
}

static bool fill_in(uint8_t *f, size_t size, const struct net_offload *o, const struct output *out)
{
    size_t at = (size_t)o->csum_start + o->csum_offset;
    uint16_t c;

    if (o->csum_start >= size || at + 2 > size) {
        log_guest("network: a checksum at byte %zu of a packet of %zu bytes", at, size);
        return true;
    }
    c = fold(sum(f + o->csum_start, size - o->csum_start));
    put16(f + at, c ? c : 0xffff);
    return emit(out, f, size);
}

static unsigned needed(const struct net_offload *o)
{
    static const uint16_t gso[] = { [NET_GSO_TCP4] = NET_TAKES_TSO4, [NET_GSO_UDP] = NET_TAKES_UFO, [NET_GSO_TCP6] = NET_TAKES_TSO6,
                                    [NET_GSO_UDP_L4] = NET_TAKES_USO };
    unsigned kind = o->gso & ~NET_GSO_ECN;

    return (o->flags & NET_NEEDS_CSUM ? NET_TAKES_CSUM : 0u) | (o->gso & NET_GSO_ECN ? NET_TAKES_ECN : 0u) |
           (kind < G_N_ELEMENTS(gso) ? gso[kind] : 0u);
}

bool offload_apply(const struct net_packet *p, unsigned takes, bool (*give)(void *opaque, const struct net_packet *p), void *opaque)
{
    const struct net_offload *o = &p->offload;
    struct output out = { give, opaque };
    unsigned kind = o->gso & ~NET_GSO_ECN, need = needed(o);
    g_autofree uint8_t *f = NULL;
    struct headers h;

    if (!(need & ~takes)) {
        return give(opaque, p);
    }
    f = g_malloc(p->size);
    packet_copy(p, 0, f, p->size);
    if (kind == NET_GSO_NONE) {
        return fill_in(f, p->size, o, &out);
    }
    if (!o->gso_size || !find_headers(f, p->size, o, &h) || (kind == NET_GSO_UDP && (h.v6 || o->gso_size < 8))) {
        log_guest("network: a packet to be cut that is not what its header says (kind %u, size %u)", kind, o->gso_size);
        return true;
    }
    if (kind == NET_GSO_UDP) {
        return fragment(f, p->size, &h, o->gso_size, &out);
    }
    if (h.protocol == IP_TCP && (takes & NET_TAKES_LONG_TCP) && p->size - h.l3 <= 65535) {
        finish_ip(f, &h, p->size);
        finish_transport(f, &h, p->size);
        return emit(&out, f, p->size);
    }
    return cut(f, p->size, &h, o->gso_size, &out);
}
