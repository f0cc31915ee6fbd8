/*
 * Hubs: what comes in at one port goes out at all others. For `-net` pairs of more than one card and one host end, and -netdev hubport.
 */
#include <string.h>

#include "base/error.h"
#include "net/net_priv.h"

struct hub_port {
    struct net *net;
    struct net_hub *hub;
    struct net *linked;                 /* netdev= : the host end that this port speaks for; NULL: a card connects to the port */
};

struct net_hub {
    unsigned number;
    GPtrArray *ports;                   /* struct hub_port * */
    bool busy;                          /* a packet is on its way: a loop of hubs ends here */
};

/* Ports do not hold senders back: a slow one's queue bounds itself. */
static bool port_take(void *opaque, unsigned queue, const struct net_packet *p)
{
    struct hub_port *from = opaque;
    struct net_hub *hub = from->hub;

    (void)queue;
    if (hub->busy) {
        return true;
    }
    hub->busy = true;
    for (unsigned i = 0; i < hub->ports->len; i++) {
        struct hub_port *to = g_ptr_array_index(hub->ports, i);

        if (to != from) {
            net_send(to->net, 0, p);
        }
    }
    hub->busy = false;
    return true;
}

static void port_free(void *opaque)
{
    struct hub_port *port = opaque;

    g_ptr_array_remove(port->hub->ports, port);
    g_free(port);
}

static const struct net_ops port_ops = { .model = "hubport", .take = port_take, .free = port_free };
/* A port that is joined to a -netdev stands where a card would. */
static const struct net_ops linked_port_ops = { .model = "hubport", .card = true, .take = port_take, .free = port_free };

static struct net_hub *hub_get(struct nets *s, unsigned number)
{
    struct net_hub *hub;

    for (unsigned i = 0; i < s->hubs->len; i++) {
        hub = g_ptr_array_index(s->hubs, i);
        if (hub->number == number) {
            return hub;
        }
    }
    hub = g_new0(struct net_hub, 1);
    hub->number = number;
    hub->ports = g_ptr_array_new();
    g_ptr_array_add(s->hubs, hub);
    return hub;
}

static struct net *port_new(struct nets *s, unsigned number, const char *id, bool linked, GError **err)
{
    struct hub_port *port = g_new0(struct hub_port, 1);
    g_autofree char *info = g_strdup_printf("hubid=%u", number);

    port->net = net_new(s, id, linked ? &linked_port_ops : &port_ops, port, 1, err);
    if (!port->net) {
        g_free(port);
        return NULL;
    }
    port->hub = hub_get(s, number);
    net_set_info(port->net, info);
    /* As every port would have to; what takes less gets it done on its own way out. */
    net_set_takes(port->net, NET_TAKES_CSUM | NET_TAKES_TSO4 | NET_TAKES_TSO6 | NET_TAKES_ECN | NET_TAKES_UFO | NET_TAKES_USO);
    g_ptr_array_add(port->hub->ports, port);
    return port->net;
}

struct net *net_hub_port(struct nets *s, unsigned hub, const char *id, GError **err)
{
    return port_new(s, hub, id, false, err);
}

const struct option_desc hubport_desc[] = {
    { "hubid", OPT_UINT, NULL, "number of the hub", NULL, 0, 0 },
    { "netdev", OPT_STRING, NULL, "a host end to connect to it; without: a card may", NULL, 0, 0 },
    { 0 },
};

bool hubport_open(struct nets *s, const char *id, const struct options *o, struct net **opened, GError **err)
{
    const char *netdev = options_string(o, "netdev", NULL);
    struct net *host = netdev ? net_find(s, netdev) : NULL;

    if (!options_has(o, "hubid")) {
        return error_set(err, EMU_ERROR_INVALID, "hubid=N is missing");
    }
    if (netdev && !host) {
        return error_set(err, EMU_ERROR_NOT_FOUND, "there is no netdev '%s'", netdev);
    }
    *opened = port_new(s, (unsigned)options_uint(o, "hubid", 0), id, host != NULL, err);
    if (*opened && host && !net_connect(*opened, host, err)) {
        net_ops_of(*opened)->free(net_opaque(*opened));
        net_free(*opened);
        return false;
    }
    return *opened != NULL;
}

void hubs_free(struct nets *s)
{
    for (unsigned i = 0; i < s->hubs->len; i++) {
        struct net_hub *hub = g_ptr_array_index(s->hubs, i);

        g_ptr_array_free(hub->ports, TRUE);
        g_free(hub);
    }
    g_ptr_array_free(s->hubs, TRUE);
}
