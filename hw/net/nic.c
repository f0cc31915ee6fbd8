/*
 * What every network card has. See hw/net/nic.h.
 */
#include "hw/net/nic.h"

#include <stdio.h>

#include "base/error.h"
#include "core/boot_order.h"
#include "core/machine.h"

const struct field nic_fields[NIC_N_FIELDS] = {
    PROP(struct nic, netdev, .help = "id of the -netdev it is connected to"),
    { FIELD_OF(struct nic, mac_text), .use = FIELD_PROP, .type = FIELD_STRING, .option = "mac", .help = "MAC address (default 52:54:00:12:34:56 and up)" },
    PROP(struct nic, bootindex, .help = "place in firmware's boot order"),
    WIRING(struct nic, mac),
    WIRING(struct nic, net),
};

static bool bootindex_of(const char *text, int64_t *index, GError **err)
{
    char *end;

    *index = text ? g_ascii_strtoll(text, &end, 10) : -1;
    return !text || (*text && !*end && *index >= -1 && *index <= INT32_MAX) ||
           error_set(err, EMU_ERROR_INVALID, "bootindex=%s is not a number", text);
}

bool nic_init(struct nic *n, struct device *d, const struct net_ops *ops, void *opaque, unsigned queues, GError **err)
{
    struct nets *s = d->machine->nets;
    struct net *host = NULL;
    g_autofree char *info = NULL;
    int64_t index;

    if (!s) {
        s = d->machine->nets = nets_new();
    }
    if (!bootindex_of(n->bootindex, &index, err) || !net_mac(s, n->mac_text, n->mac, err)) {
        return false;
    }
    if (n->netdev && !(host = net_find(s, n->netdev))) {
        return error_set(err, EMU_ERROR_NOT_FOUND, "netdev: can't find value '%s'", n->netdev);
    }
    n->net = net_new(s, d->id, ops, opaque, queues, err);
    if (!n->net || (host && !net_connect(n->net, host, err))) {
        net_free(n->net);
        n->net = NULL;
        return false;
    }
    info = g_strdup_printf("model=%s,macaddr=%02x:%02x:%02x:%02x:%02x:%02x", ops->model, n->mac[0], n->mac[1], n->mac[2], n->mac[3], n->mac[4],
                           n->mac[5]);
    net_set_info(n->net, info);
    boot_order_add(d->machine, d, index, "/ethernet-phy@0");
    return true;
}

void nic_fini(struct nic *n, struct device *d)
{
    boot_order_remove(d->machine, d);
    net_free(n->net);
    n->net = NULL;
}
