/*
 * Virtio network card: virtio-net-pci. Spec: VIRTIO 1.2, 5.1; its control queue is in virtio_net_ctrl.c.
 *
 * Offloads are always offered: what the other side cannot do is done in net/. Transmitting runs in the main loop, so that the vCPU that rang
 * goes on meanwhile; receiving where the packet comes from.
 * Left out: RSS and hash reports, notification coalescing, standby (failover).
 */
#include "hw/net/virtio_net.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "core/machine.h"
#include "hw/net/virtio_net_priv.h"

enum { TX_BURST = 256, TX_PIECES = 60, CTRL_QUEUE_SIZE = 64 };

/* --- receiving --- */

static unsigned pairs_in_use(const struct virtio_net *n) { return virtio_has(&n->v, VIRTIO_NET_F_MQ) ? n->current_pairs : 1; }

/* Takes buffers for `need` bytes. False: there are not enough, all are put back. More than one only with mergeable buffers. */
static bool buffers_take(struct virtio_net *n, struct virtqueue *q, size_t need, GPtrArray *list)
{
    size_t have = 0;
    bool mergeable = virtio_has(&n->v, VIRTIO_NET_F_MRG_RXBUF);

    while (have < need && (mergeable || !list->len)) {
        struct virtio_elem *e = virtio_pop(q, sizeof(*e));

        if (!e) {
            break;
        }
        if (e->in.bytes < vnet_header_size(n)) {
            virtio_broken(&n->v, "a receive buffer of %lu bytes", (unsigned long)e->in.bytes);
            virtio_drop(q, e);
            have = 0;
            break;
        }
        have += e->in.bytes;
        g_ptr_array_add(list, e);
    }
    if (have >= need) {
        return true;
    }
    while (list->len) {
        virtio_unpop(q, g_ptr_array_index(list, list->len - 1));
        g_ptr_array_set_size(list, (int)list->len - 1);
    }
    return false;
}

static void header_fill(const struct virtio_net *n, const struct net_offload *o, unsigned buffers, uint8_t h[12])
{
    bool csum = n->guest_offloads >> VIRTIO_NET_F_GUEST_CSUM & 1;

    memset(h, 0, 12);
    h[0] = csum ? o->flags & (NET_NEEDS_CSUM | NET_CSUM_VALID) : 0;
    if (h[0] & NET_NEEDS_CSUM) {
        h[0] = NET_NEEDS_CSUM;
        h[1] = o->gso;
        pci_put16(h + 2, o->header_len);
        pci_put16(h + 4, o->gso_size);
        pci_put16(h + 6, o->csum_start);
        pci_put16(h + 8, o->csum_offset);
    }
    pci_put16(h + 10, (uint16_t)buffers);
}

/* Header and packet into the buffers, one after the other. */
static void buffers_fill(struct virtio_net *n, struct virtqueue *q, const struct net_packet *p, GPtrArray *list)
{
    unsigned head = vnet_header_size(n), piece = 0;
    uint8_t header[12];
    size_t in_piece = 0;

    header_fill(n, &p->offload, list->len, header);
    for (unsigned i = 0; i < list->len; i++) {
        struct virtio_elem *e = g_ptr_array_index(list, i);
        uint64_t at = 0;

        if (i == 0) {
            at = dma_sg_write(&e->in, 0, header, head);
        }
        while (piece < p->n) {
            const struct iovec *v = &p->iov[piece];
            size_t done = dma_sg_write(&e->in, at, (const uint8_t *)v->iov_base + in_piece, v->iov_len - in_piece);

            at += done;
            in_piece += done;
            if (in_piece < v->iov_len) {
                break;                   /* this buffer is full */
            }
            piece++;
            in_piece = 0;
        }
        virtio_fill(q, e, at);
    }
    virtio_flush(q);
    virtio_notify(q);
}

static bool vnet_receive(void *opaque, unsigned queue, const struct net_packet *p)
{
    struct virtio_net *n = opaque;
    struct vnet_pair *pair = &n->pair[queue];
    size_t need = p->size + vnet_header_size(n);
    g_autoptr(GPtrArray) list = NULL;
    uint8_t head[18] = { 0 };

    if (!virtio_running(&n->v) || queue >= pairs_in_use(n) || !virtio_queue_ready(pair->rx)) {
        return true;
    }
    for (unsigned i = 0, at = 0; i < p->n && at < sizeof(head); i++) {
        unsigned len = (unsigned)MIN(p->iov[i].iov_len, sizeof(head) - at);

        memcpy(head + at, p->iov[i].iov_base, len);
        at += len;
    }
    if (!vnet_filter(n, head, p->size)) {
        return true;
    }
    list = g_ptr_array_sized_new(8);
    if (!buffers_take(n, pair->rx, need, list)) {
        if (!virtio_running(&n->v) || (!virtio_has(&n->v, VIRTIO_NET_F_MRG_RXBUF) && !virtio_queue_empty(pair->rx))) {
            log_guest("virtio-net: a packet of %zu bytes does not fit the receive buffer", p->size);
            return true;
        }
        return false;
    }
    buffers_fill(n, pair->rx, p, list);
    return true;
}

/* --- transmitting --- */

/* The header as the guest wrote it, without what was not negotiated. */
static struct net_offload header_read(const struct virtio_net *n, const struct virtio_elem *e)
{
    static const uint8_t feature[] = { [NET_GSO_TCP4] = VIRTIO_NET_F_HOST_TSO4, [NET_GSO_UDP] = VIRTIO_NET_F_HOST_UFO,
                                       [NET_GSO_TCP6] = VIRTIO_NET_F_HOST_TSO6, [NET_GSO_UDP_L4] = VIRTIO_NET_F_HOST_USO };
    struct net_offload o = { 0 };
    uint8_t h[10];
    unsigned kind;

    dma_sg_read(&e->out, 0, h, sizeof(h));
    kind = h[1] & ~NET_GSO_ECN;
    if (virtio_has(&n->v, VIRTIO_NET_F_CSUM) && (h[0] & NET_NEEDS_CSUM)) {
        o = (struct net_offload){ .flags = NET_NEEDS_CSUM, .header_len = pci_get16(h + 2), .csum_start = pci_get16(h + 6), .csum_offset = pci_get16(h + 8) };
    }
    if (kind && kind < G_N_ELEMENTS(feature) && feature[kind] && virtio_has(&n->v, feature[kind])) {
        o.gso = h[1];
        o.gso_size = pci_get16(h + 4);
    }
    return o;
}

/* One buffer. False: the other side wants a pause (the packet is on its way all the same). */
static bool vnet_send(struct vnet_pair *pair, const struct virtio_elem *e)
{
    struct virtio_net *n = pair->n;
    size_t skip = vnet_header_size(n), left;
    struct iovec iov[TX_PIECES];
    struct net_packet p = { .iov = iov };

    if (e->out.bytes < skip || e->in.bytes) {
        virtio_broken(&n->v, "a packet to send without header, or with room for an answer");
        return false;
    }
    left = e->out.bytes - skip;
    if (left > NET_FRAME_MAX) {
        log_guest("virtio-net: a packet of %zu bytes", left);
        return true;
    }
    p.size = left;
    p.offload = header_read(n, e);
    for (unsigned i = 0; i < e->out.n && p.n < TX_PIECES; i++) {
        const struct iovec *v = &e->out.iov[i];

        if (skip >= v->iov_len) {
            skip -= v->iov_len;
            continue;
        }
        iov[p.n++] = (struct iovec){ (uint8_t *)v->iov_base + skip, v->iov_len - skip };
        left -= v->iov_len - skip;
        skip = 0;
    }
    if (left) {                          /* in too many pieces */
        dma_sg_read(&e->out, vnet_header_size(n), n->buf, p.size);
        iov[0] = (struct iovec){ n->buf, p.size };
        p.n = 1;
    }
    return net_send(n->nic.net, pair->index, &p);
}

static void vnet_transmit(void *opaque)
{
    struct vnet_pair *pair = opaque;
    struct virtio_net *n = pair->n;
    struct virtqueue *q = pair->tx;
    struct virtio_elem *e;
    unsigned done = 0;

    if (pair->held || !virtio_running(&n->v) || !virtio_queue_ready(q)) {
        return;
    }
    virtio_queue_doorbell(q, false);
    while (done < TX_BURST && !pair->held && virtio_running(&n->v)) {
        e = virtio_pop(q, sizeof(*e));
        if (!e) {
            virtio_queue_doorbell(q, true);
            e = virtio_pop(q, sizeof(*e));           /* came between the look and the bell */
            if (!e) {
                break;
            }
            virtio_queue_doorbell(q, false);
        }
        pair->held = !vnet_send(pair, e) && virtio_running(&n->v);
        virtio_push(q, e, 0);
        done++;
    }
    virtio_notify(q);
    if (done == TX_BURST && !pair->held) {           /* others have their turn */
        timer_set(&pair->work, clock_now(n->v.dev->machine, CLOCK_VIRTUAL_NS));
    }
}

static void vnet_work(struct vnet_pair *pair)
{
    if (!pair->held && !timer_armed(&pair->work)) {
        timer_set(&pair->work, clock_now(pair->n->v.dev->machine, CLOCK_VIRTUAL_NS));
    }
}

static void vnet_room(void *opaque, unsigned queue)
{
    struct vnet_pair *pair = &((struct virtio_net *)opaque)->pair[queue];

    pair->held = false;
    vnet_work(pair);
}

/* --- queues --- */

/* Pairs come first; behind them the control queue, whose place depends on whether the guest knows of more than one pair: 5.1.2. */
static void vnet_queue(struct virtqueue *q)
{
    struct virtio_net *n = (struct virtio_net *)q->v;
    unsigned pairs = virtio_has(&n->v, VIRTIO_NET_F_MQ) ? n->n_pairs : 1;

    if (q->index == 2 * pairs && virtio_has(&n->v, VIRTIO_NET_F_CTRL_VQ)) {
        vnet_control(n, q);
    } else if (q->index < 2 * pairs && q->index & 1) {
        virtio_queue_doorbell(q, false);
        vnet_work(&n->pair[q->index / 2]);
    } else if (q->index < 2 * pairs) {
        net_ready(n->nic.net, q->index / 2);
    }
}

/* --- link, features, reset --- */

static void link_changed(void *opaque, bool up)
{
    struct virtio_net *n = opaque;
    uint8_t was = n->v.config[CONFIG_STATUS];

    n->v.config[CONFIG_STATUS] = (uint8_t)((was & ~STATUS_LINK_UP) | (up ? STATUS_LINK_UP : 0));
    if (was != n->v.config[CONFIG_STATUS]) {
        virtio_config_changed(&n->v);
    }
}

static const struct net_ops vnet_ops = {
    .model = "virtio-net-pci", .card = true, .take = vnet_receive, .room = vnet_room, .link = link_changed,
};

static void vnet_status(struct virtio *v, uint8_t old)
{
    struct virtio_net *n = (struct virtio_net *)v;

    if (!(v->status & ~old & VIRTIO_STATUS_DRIVER_OK)) {
        return;
    }
    n->guest_offloads = v->features;
    vnet_update_takes(n);
    for (unsigned i = 0; i < n->n_pairs; i++) {
        net_ready(n->nic.net, i);
    }
}

static void vnet_reset(struct virtio *v)
{
    struct virtio_net *n = (struct virtio_net *)v;

    vnet_filter_reset(n);
    n->current_pairs = 1;
    n->guest_offloads = 0;
    memcpy(v->config + CONFIG_MAC, n->nic.mac, 6);
    v->config[CONFIG_STATUS] = net_link_up(n->nic.net) ? STATUS_LINK_UP : 0;
    vnet_update_takes(n);
    net_purge(n->nic.net);
    for (unsigned i = 0; i < n->n_pairs; i++) {
        n->pair[i].held = false;
        timer_cancel(&n->pair[i].work);
    }
}

static void vnet_settle(struct virtio *v)
{
    struct virtio_net *n = (struct virtio_net *)v;

    n->macs_used = MIN(n->macs_used, VNET_MACS);          /* a snapshot may say anything */
    n->first_multi = MIN(n->first_multi, n->macs_used);
    n->current_pairs = (uint16_t)CLAMP(n->current_pairs, 1, n->n_pairs);
    vnet_update_takes(n);
    for (unsigned i = 0; virtio_running(v) && i < pairs_in_use(n); i++) {
        vnet_work(&n->pair[i]);
        net_ready(n->nic.net, i);
    }
}

/* The MAC address is written through the configuration only by drivers of before 1.0. */
static void vnet_config_write(struct virtio *v, unsigned offset, unsigned size, const uint8_t *bytes)
{
    for (unsigned i = 0; i < size && !virtio_has(v, VIRTIO_F_VERSION_1); i++) {
        if (offset + i < CONFIG_STATUS) {
            v->config[offset + i] = bytes[i];
        }
    }
}

#define FEATURE(bit, member) { VIRTIO_NET_F_##bit, offsetof(struct virtio_net, member) }
static const struct { uint8_t bit; size_t member; } features[] = {
    FEATURE(CSUM, csum), FEATURE(GUEST_CSUM, guest_csum), FEATURE(GUEST_TSO4, guest_tso4), FEATURE(GUEST_TSO6, guest_tso6),
    FEATURE(GUEST_ECN, guest_ecn), FEATURE(GUEST_UFO, guest_ufo), FEATURE(GUEST_ANNOUNCE, guest_announce), FEATURE(HOST_TSO4, host_tso4),
    FEATURE(HOST_TSO6, host_tso6), FEATURE(HOST_ECN, host_ecn), FEATURE(HOST_UFO, host_ufo), FEATURE(MRG_RXBUF, mrg_rxbuf),
    FEATURE(STATUS, has_status), FEATURE(CTRL_VQ, ctrl_vq), FEATURE(CTRL_RX, ctrl_rx), FEATURE(CTRL_VLAN, ctrl_vlan),
    FEATURE(CTRL_RX_EXTRA, ctrl_rx_extra), FEATURE(CTRL_MAC_ADDR, ctrl_mac_addr), FEATURE(CTRL_GUEST_OFFLOADS, ctrl_guest_offloads),
    FEATURE(MQ, mq), FEATURE(GUEST_USO4, guest_uso4), FEATURE(GUEST_USO6, guest_uso6), FEATURE(HOST_USO, host_uso), FEATURE(GSO, gso),
};

/* 5.1.3.1: what needs what. */
static const struct { uint8_t bit, needs; } requirements[] = {
    { VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_CSUM }, { VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_CSUM },
    { VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_GUEST_CSUM }, { VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_CSUM },
    { VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_CSUM }, { VIRTIO_NET_F_GUEST_USO6, VIRTIO_NET_F_GUEST_CSUM },
    { VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_CSUM }, { VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_CSUM }, { VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_CSUM },
    { VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_CSUM }, { VIRTIO_NET_F_HOST_USO, VIRTIO_NET_F_CSUM }, { VIRTIO_NET_F_GSO, VIRTIO_NET_F_CSUM },
    { VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_VQ }, { VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_CTRL_VQ },
    { VIRTIO_NET_F_CTRL_RX_EXTRA, VIRTIO_NET_F_CTRL_VQ }, { VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_CTRL_VQ },
    { VIRTIO_NET_F_MQ, VIRTIO_NET_F_CTRL_VQ }, { VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_CTRL_VQ },
    { VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VIRTIO_NET_F_CTRL_VQ },
};

static void offer(struct virtio_net *n)
{
    uint64_t f = VIRTIO_BIT(VIRTIO_NET_F_MAC);

    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        f |= *(const bool *)((const char *)n + features[i].member) ? VIRTIO_BIT(features[i].bit) : 0;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(requirements); i++) {
        f &= f >> requirements[i].needs & 1 ? ~0ull : ~VIRTIO_BIT(requirements[i].bit);
    }
    f |= n->host_mtu ? VIRTIO_BIT(VIRTIO_NET_F_MTU) : 0;
    f |= n->speed || n->duplex ? VIRTIO_BIT(VIRTIO_NET_F_SPEED_DUPLEX) : 0;
    n->v.offered |= f;
}

static bool check_size(const char *name, unsigned size, GError **err)
{
    return (size >= 64 && size <= 1024 && !(size & (size - 1))) ||
           error_set(err, EMU_ERROR_INVALID, "%s=%u: must be a power of two from 64 to 1024", name, size);
}

static bool make_queues(struct virtio_net *n, GError **err)
{
    n->pair = g_new0(struct vnet_pair, n->n_pairs);
    for (unsigned i = 0; i < n->n_pairs; i++) {
        struct vnet_pair *p = &n->pair[i];

        p->n = n;
        p->index = i;
        timer_init(&p->work, n->v.dev->machine, CLOCK_VIRTUAL_NS, vnet_transmit, p);
        if (!(p->rx = virtio_queue_add(&n->v, n->rx_queue_size, vnet_queue, err)) ||
            !(p->tx = virtio_queue_add(&n->v, n->tx_queue_size, vnet_queue, err))) {
            return false;
        }
    }
    return virtio_queue_add(&n->v, CTRL_QUEUE_SIZE, vnet_queue, err) != NULL;
}

static bool vnet_init(struct virtio *v, GError **err)
{
    struct virtio_net *n = (struct virtio_net *)v;
    struct net *host = n->nic.netdev && v->dev->machine->nets ? net_find(v->dev->machine->nets, n->nic.netdev) : NULL;

    n->n_pairs = n->mq && host ? MIN(net_queues(host), (VIRTIO_QUEUES - 1) / 2u) : 1;
    if (!check_size("rx_queue_size", n->rx_queue_size, err) || !check_size("tx_queue_size", n->tx_queue_size, err) ||
        !nic_init(&n->nic, v->dev, &vnet_ops, n, n->n_pairs, err)) {
        return false;
    }
    n->buf = g_malloc(NET_FRAME_MAX);
    if (!make_queues(n, err)) {
        return false;
    }
    offer(n);
    v->vectors = 2 * n->n_pairs + 2;
    v->config_size = n->v.offered >> VIRTIO_NET_F_SPEED_DUPLEX & 1 ? 17 : n->host_mtu ? 12 : 10;
    memcpy(v->config + CONFIG_MAC, n->nic.mac, 6);
    pci_put16(v->config + CONFIG_PAIRS, (uint16_t)n->n_pairs);
    pci_put16(v->config + CONFIG_MTU, n->host_mtu);
    pci_put32(v->config + CONFIG_SPEED, n->speed ? n->speed : UINT32_MAX);
    v->config[CONFIG_DUPLEX] = !n->duplex ? 0xff : !strcmp(n->duplex, "full");
    return true;
}

static void vnet_fini(struct virtio *v)
{
    struct virtio_net *n = (struct virtio_net *)v;

    for (unsigned i = 0; n->pair && i < n->n_pairs; i++) {
        if (n->pair[i].work.machine) {
            timer_cancel(&n->pair[i].work);
        }
    }
    nic_fini(&n->nic, v->dev);
    g_free(n->pair);
    g_free(n->buf);
}

#define SWITCH(member, option_, def_) { FIELD_OF(struct virtio_net, member), .use = FIELD_PROP, .type = FIELD_BOOL, .option = option_, .def = def_ }
static const char *const duplex_values[] = { "half", "full", NULL }, *const tx_values[] = { "timer", "bh", NULL };
static const struct field vnet_fields[] = {
    VIRTIO_FIELDS,
    NIC_FIELDS(struct virtio_net, nic),
    SWITCH(csum, NULL, "on"), SWITCH(guest_csum, NULL, "on"), SWITCH(gso, NULL, "on"), SWITCH(guest_tso4, NULL, "on"), SWITCH(guest_tso6, NULL, "on"),
    SWITCH(guest_ecn, NULL, "on"), SWITCH(guest_ufo, NULL, "on"), SWITCH(guest_announce, NULL, "on"), SWITCH(host_tso4, NULL, "on"),
    SWITCH(host_tso6, NULL, "on"), SWITCH(host_ecn, NULL, "on"), SWITCH(host_ufo, NULL, "on"), SWITCH(mrg_rxbuf, NULL, "on"),
    SWITCH(has_status, "status", "on"), SWITCH(ctrl_vq, NULL, "on"), SWITCH(ctrl_rx, NULL, "on"), SWITCH(ctrl_vlan, NULL, "on"),
    SWITCH(ctrl_rx_extra, NULL, "on"), SWITCH(ctrl_mac_addr, NULL, "on"), SWITCH(ctrl_guest_offloads, NULL, "on"), SWITCH(mq, NULL, "off"),
    SWITCH(guest_uso4, NULL, "on"), SWITCH(guest_uso6, NULL, "on"), SWITCH(host_uso, NULL, "on"),
    PROP(struct virtio_net, host_mtu, .help = "MTU told to the guest; 0: none"),
    PROP(struct virtio_net, rx_queue_size, .def = "256", .help = "buffers of a receive queue"),
    PROP(struct virtio_net, tx_queue_size, .def = "256", .help = "buffers of a transmit queue"),
    PROP(struct virtio_net, speed, .help = "Mbit/s told to the guest; 0: none"),
    PROP(struct virtio_net, duplex, .values = duplex_values, .help = "told to the guest"),
    PROP(struct virtio_net, tx, .values = tx_values, .help = "no effect: transmitting is always in the main loop"),
    STATE(struct virtio_net, promisc, .reset = 1), STATE(struct virtio_net, allmulti), STATE(struct virtio_net, alluni), STATE(struct virtio_net, nomulti),
    STATE(struct virtio_net, nouni), STATE(struct virtio_net, nobcast), STATE(struct virtio_net, uni_overflow), STATE(struct virtio_net, multi_overflow),
    STATE(struct virtio_net, macs_used), STATE(struct virtio_net, first_multi), STATE(struct virtio_net, macs), STATE(struct virtio_net, vlans, .elem = 4),
    STATE(struct virtio_net, current_pairs, .reset = 1), STATE(struct virtio_net, guest_offloads),
    WIRING(struct virtio_net, n_pairs), WIRING(struct virtio_net, pair), WIRING(struct virtio_net, buf),
};

static const struct virtio_class vnet_class = {
    .name = "virtio-net", .id = VIRTIO_ID_NET, .config_size = CONFIG_SIZE, .legacy_features = VIRTIO_BIT(VIRTIO_NET_F_GSO), .init = vnet_init,
    .fini = vnet_fini, .reset = vnet_reset, .config_write = vnet_config_write, .status = vnet_status, .settle = vnet_settle,
};
static const struct field vnet_pci_fields[] = { VIRTIO_PCI_FIELDS, VIRTIO_PCI_DEVICE(struct virtio_net, vnet_fields) };
#define VARIANT(mode_) { .class = &vnet_class, .mode = (mode_), .pci_class = 0x020000, .transitional = 0x1000, .rom = "efi-virtio.rom" }
static const struct virtio_pci_variant vnet_pci[] = {
    VARIANT(VIRTIO_PCI_AUTO), VARIANT(VIRTIO_PCI_TRANSITIONAL), VARIANT(VIRTIO_PCI_NON_TRANSITIONAL),
};
const struct device_class virtio_net_pci_classes[3] = VIRTIO_PCI_CLASSES("virtio-net", "network card", vnet_pci, struct virtio_net, vnet_pci_fields);
