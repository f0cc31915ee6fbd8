/*
 * Virtio network card: what its files share. Spec: VIRTIO 1.2, 5.1.
 */
#ifndef HW_NET_VIRTIO_NET_PRIV_H
#define HW_NET_VIRTIO_NET_PRIV_H

#include "core/clock.h"
#include "hw/net/nic.h"
#include "hw/virtio/virtio_pci.h"

enum {                                   /* 5.1.3: features */
    VIRTIO_NET_F_CSUM = 0, VIRTIO_NET_F_GUEST_CSUM = 1, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS = 2, VIRTIO_NET_F_MTU = 3, VIRTIO_NET_F_MAC = 5,
    VIRTIO_NET_F_GSO = 6, VIRTIO_NET_F_GUEST_TSO4 = 7, VIRTIO_NET_F_GUEST_TSO6 = 8, VIRTIO_NET_F_GUEST_ECN = 9, VIRTIO_NET_F_GUEST_UFO = 10,
    VIRTIO_NET_F_HOST_TSO4 = 11, VIRTIO_NET_F_HOST_TSO6 = 12, VIRTIO_NET_F_HOST_ECN = 13, VIRTIO_NET_F_HOST_UFO = 14, VIRTIO_NET_F_MRG_RXBUF = 15,
    VIRTIO_NET_F_STATUS = 16, VIRTIO_NET_F_CTRL_VQ = 17, VIRTIO_NET_F_CTRL_RX = 18, VIRTIO_NET_F_CTRL_VLAN = 19, VIRTIO_NET_F_CTRL_RX_EXTRA = 20,
    VIRTIO_NET_F_GUEST_ANNOUNCE = 21, VIRTIO_NET_F_MQ = 22, VIRTIO_NET_F_CTRL_MAC_ADDR = 23, VIRTIO_NET_F_GUEST_USO4 = 54,
    VIRTIO_NET_F_GUEST_USO6 = 55, VIRTIO_NET_F_HOST_USO = 56, VIRTIO_NET_F_SPEED_DUPLEX = 63,
};

enum { CONFIG_MAC = 0, CONFIG_STATUS = 6, CONFIG_PAIRS = 8, CONFIG_MTU = 10, CONFIG_SPEED = 12, CONFIG_DUPLEX = 16, CONFIG_SIZE = 24 };
enum { STATUS_LINK_UP = 1, STATUS_ANNOUNCE = 2 };

#define VNET_MACS 64                     /* addresses that are told apart; more: all pass */

struct virtio_net;

struct vnet_pair {                       /* of queues */
    struct virtio_net *n;
    unsigned index;
    struct virtqueue *rx, *tx;
    bool held;                           /* the other side has no room: its room() goes on */
    struct timer work;                   /* transmit, in the main loop */
};

struct virtio_net {
    struct virtio v;
    struct nic nic;
    /* properties */
    bool csum, guest_csum, gso, guest_tso4, guest_tso6, guest_ecn, guest_ufo, guest_announce, host_tso4, host_tso6, host_ecn, host_ufo, mrg_rxbuf,
        has_status, ctrl_vq, ctrl_rx, ctrl_vlan, ctrl_rx_extra, ctrl_mac_addr, ctrl_guest_offloads, mq, guest_uso4, guest_uso6, host_uso;
    uint16_t host_mtu, rx_queue_size, tx_queue_size;
    uint32_t speed;
    char *duplex, *tx;
    /* state */
    bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
    bool uni_overflow, multi_overflow;
    uint8_t macs_used, first_multi;
    uint8_t macs[VNET_MACS * 6];
    uint32_t vlans[4096 / 32];
    uint16_t current_pairs;
    uint64_t guest_offloads;             /* feature bits that receiving uses now */
    /* wiring */
    unsigned n_pairs;
    struct vnet_pair *pair;
    uint8_t *buf;                        /* NET_FRAME_MAX: a packet in more pieces than others take */
};

static inline unsigned vnet_header_size(const struct virtio_net *n)
{
    return virtio_has(&n->v, VIRTIO_F_VERSION_1) || virtio_has(&n->v, VIRTIO_NET_F_MRG_RXBUF) ? 12 : 10;
}

/* virtio_net_ctrl.c */
void vnet_control(struct virtio_net *n, struct virtqueue *q);
void vnet_filter_reset(struct virtio_net *n);
bool vnet_filter(const struct virtio_net *n, const uint8_t *frame /* 18 bytes */, size_t size);
/* What receiving takes undone, from the features in use. */
void vnet_update_takes(struct virtio_net *n);

#endif
