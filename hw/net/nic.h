/*
 * What every network card has: properties netdev, mac, bootindex, and an end of a network (net/net.h).
 *
 * A card's struct holds a struct nic and its table the row NIC_FIELDS(struct x, member). Machine lock on every call.
 */
#ifndef HW_NET_NIC_H
#define HW_NET_NIC_H

#include "core/device.h"
#include "net/net.h"

struct nic {
    char *netdev, *mac_text, *bootindex;     /* properties */
    uint8_t mac[6];                          /* as made of them */
    struct net *net;
};

extern const struct field nic_fields[];
#define NIC_N_FIELDS 5
#define NIC_FIELDS(type_, member_) { .name = #member_, .use = FIELD_STATE, .type = FIELD_STRUCT, .offset = offsetof(type_, member_), \
    .size = sizeof(struct nic), .count = 1, .fields = nic_fields, .n_fields = NIC_N_FIELDS }

/* Makes the end and joins it with -netdev netdev=. `d` is the device that firmware may boot from. */
bool nic_init(struct nic *n, struct device *d, const struct net_ops *ops, void *opaque, unsigned queues, GError **err);
void nic_fini(struct nic *n, struct device *d);

#endif
