/*
 * The control queue of the virtio network card, and the filters that it sets. Spec: VIRTIO 1.2, 5.1.6.5.
 */
#include <string.h>

#include "base/log.h"
#include "core/machine.h"
#include "hw/net/virtio_net_priv.h"

enum { CTRL_RX = 0, CTRL_MAC = 1, CTRL_VLAN = 2, CTRL_ANNOUNCE = 3, CTRL_MQ = 4, CTRL_GUEST_OFFLOADS = 5 };

struct reader {                          /* of a request's bytes behind class and command */
    const struct virtio_elem *e;
    uint64_t at;
};

static bool get(struct reader *r, void *buf, size_t len)
{
    size_t n = dma_sg_read(&r->e->out, r->at, buf, len);

    r->at += n;
    return n == len;
}

static bool ctrl_rx(struct virtio_net *n, uint8_t command, struct reader *r)
{
    bool *flags[] = { &n->promisc, &n->allmulti, &n->alluni, &n->nomulti, &n->nouni, &n->nobcast };
    uint8_t on;

    if (command >= G_N_ELEMENTS(flags) || !get(r, &on, 1) || !virtio_has(&n->v, command < 2 ? VIRTIO_NET_F_CTRL_RX : VIRTIO_NET_F_CTRL_RX_EXTRA)) {
        return false;
    }
    *flags[command] = on;
    return true;
}

/* A table: a count, and that many addresses. Those beyond VNET_MACS in all make the whole kind pass. */
static bool mac_table(struct virtio_net *n, struct reader *r, bool *overflow)
{
    uint32_t count;

    if (!get(r, &count, 4)) {
        return false;
    }
    count = GUINT32_FROM_LE(count);
    if (count > (r->e->out.bytes - r->at) / 6) {
        return false;
    }
    *overflow = count > VNET_MACS - (uint32_t)n->macs_used;
    if (*overflow) {
        r->at += (uint64_t)count * 6;
        return true;
    }
    if (!get(r, n->macs + 6 * n->macs_used, 6 * count)) {
        return false;
    }
    n->macs_used += (uint8_t)count;
    return true;
}

static bool ctrl_mac(struct virtio_net *n, uint8_t command, struct reader *r)
{
    if (command == 1) {
        uint8_t mac[6];

        if (!virtio_has(&n->v, VIRTIO_NET_F_CTRL_MAC_ADDR) || r->e->out.bytes != 8 || !get(r, mac, 6)) {
            return false;
        }
        memcpy(n->v.config + CONFIG_MAC, mac, 6);
        return true;
    }
    if (command != 0) {
        return false;
    }
    n->macs_used = n->first_multi = 0;
    n->uni_overflow = n->multi_overflow = false;
    if (!mac_table(n, r, &n->uni_overflow)) {
        return false;
    }
    n->first_multi = n->macs_used;
    return mac_table(n, r, &n->multi_overflow);
}

static bool ctrl_vlan(struct virtio_net *n, uint8_t command, struct reader *r)
{
    uint16_t vid;

    if (command > 1 || !get(r, &vid, 2) || (vid = GUINT16_FROM_LE(vid)) >= 4096) {
        return false;
    }
    n->vlans[vid / 32] = (n->vlans[vid / 32] & ~(1u << vid % 32)) | (command == 0 ? 1u << vid % 32 : 0);
    return true;
}

static bool ctrl_mq(struct virtio_net *n, uint8_t command, struct reader *r)
{
    uint16_t pairs;

    if (command != 0 || !virtio_has(&n->v, VIRTIO_NET_F_MQ) || !get(r, &pairs, 2)) {
        return false;
    }
    pairs = GUINT16_FROM_LE(pairs);
    if (pairs < 1 || pairs > n->n_pairs) {
        return false;
    }
    n->current_pairs = pairs;
    return true;
}

static bool ctrl_offloads(struct virtio_net *n, uint8_t command, struct reader *r)
{
    const uint64_t settable = VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) |
                              VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_UFO) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_USO4) |
                              VIRTIO_BIT(VIRTIO_NET_F_GUEST_USO6);
    uint64_t bits;

    if (command != 0 || !virtio_has(&n->v, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) || !get(r, &bits, 8)) {
        return false;
    }
    bits = GUINT64_FROM_LE(bits);
    if (bits & ~(n->v.features & settable)) {
        return false;
    }
    n->guest_offloads = bits;
    vnet_update_takes(n);
    return true;
}

static bool ctrl_announce(struct virtio_net *n, uint8_t command)
{
    if (command != 0 || !(n->v.config[CONFIG_STATUS] & STATUS_ANNOUNCE)) {
        return false;
    }
    n->v.config[CONFIG_STATUS] &= (uint8_t)~STATUS_ANNOUNCE;
    return true;
}

static bool request(struct virtio_net *n, const struct virtio_elem *e)
{
    struct reader r = { e, 0 };
    uint8_t head[2];

    if (!get(&r, head, 2)) {
        return false;
    }
    switch (head[0]) {
    case CTRL_RX: return ctrl_rx(n, head[1], &r);
    case CTRL_MAC: return ctrl_mac(n, head[1], &r);
    case CTRL_VLAN: return ctrl_vlan(n, head[1], &r);
    case CTRL_ANNOUNCE: return ctrl_announce(n, head[1]);
    case CTRL_MQ: return ctrl_mq(n, head[1], &r);
    case CTRL_GUEST_OFFLOADS: return ctrl_offloads(n, head[1], &r);
    default: return false;
    }
}

void vnet_control(struct virtio_net *n, struct virtqueue *q)
{
    struct virtio_elem *e;

    while ((e = virtio_pop(q, sizeof(*e)))) {
        uint8_t ack;

        if (e->in.bytes < 1) {
            virtio_broken(&n->v, "a control request without room for the answer");
            virtio_drop(q, e);
            return;
        }
        ack = request(n, e) ? 0 : 1;
        if (ack) {
            log_guest("virtio-net: a control request that cannot be");
        }
        dma_sg_write(&e->in, 0, &ack, 1);
        virtio_push(q, e, 1);
    }
    virtio_notify(q);
}

void vnet_filter_reset(struct virtio_net *n)
{
    n->promisc = true;
    n->allmulti = n->alluni = n->nomulti = n->nouni = n->nobcast = n->uni_overflow = n->multi_overflow = false;
    n->macs_used = n->first_multi = 0;
    memset(n->macs, 0, sizeof(n->macs));
    memset(n->vlans, 0xff, sizeof(n->vlans));
}

static bool listed(const struct virtio_net *n, const uint8_t *mac, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        if (!memcmp(n->macs + 6 * i, mac, 6)) {
            return true;
        }
    }
    return false;
}

bool vnet_filter(const struct virtio_net *n, const uint8_t *f, size_t size)
{
    static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

    if (n->promisc) {
        return true;
    }
    if (size >= 18 && f[12] == 0x81 && f[13] == 0) {
        unsigned vid = (f[14] << 8 | f[15]) & 0xfff;

        if (!(n->vlans[vid / 32] >> vid % 32 & 1)) {
            return false;
        }
    }
    if (!memcmp(f, broadcast, 6)) {
        return !n->nobcast;
    }
    if (f[0] & 1) {
        return !n->nomulti && (n->allmulti || n->multi_overflow || listed(n, f, n->first_multi, n->macs_used));
    }
    return !n->nouni && (n->alluni || n->uni_overflow || !memcmp(f, n->v.config + CONFIG_MAC, 6) || listed(n, f, 0, n->first_multi));
}

void vnet_update_takes(struct virtio_net *n)
{
    static const struct { uint8_t feature, takes; } rows[] = {
        { VIRTIO_NET_F_GUEST_CSUM, NET_TAKES_CSUM }, { VIRTIO_NET_F_GUEST_TSO4, NET_TAKES_TSO4 }, { VIRTIO_NET_F_GUEST_TSO6, NET_TAKES_TSO6 },
        { VIRTIO_NET_F_GUEST_ECN, NET_TAKES_ECN }, { VIRTIO_NET_F_GUEST_UFO, NET_TAKES_UFO },
    };
    unsigned takes = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        takes |= n->guest_offloads >> rows[i].feature & 1 ? rows[i].takes : 0;
    }
    if ((n->guest_offloads >> VIRTIO_NET_F_GUEST_USO4 & 1) && (n->guest_offloads >> VIRTIO_NET_F_GUEST_USO6 & 1)) {
        takes |= NET_TAKES_USO;
    }
    net_set_takes(n->nic.net, takes);
}
