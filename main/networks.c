/*
 * The network options. See main/networks.h.
 *
 * -netdev makes a host end that a -device names. -nic makes both at once. -net makes either; a pair of one card and one host end is joined
 * directly, more of them by hub 0. When the command line says nothing of networks (and not -nodefaults), there is the board's usual card on
 * a user network, as on QEMU.
 */
#include "main/networks.h"

#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "core/device.h"
#include "core/machine.h"
#include "core/object.h"
#include "main/config.h"
#include "net/net.h"

struct card_plan {
    const struct device_class *class;
    char *id, *netdev, *mac, *addr, *vectors;
};

struct networks {
    struct machine *machine;            /* may be gone at the end */
    struct nets *nets;
    GPtrArray *cards;                   /* struct card_plan * */
    GPtrArray *legacy_cards;            /* of these, those of -net nic without netdev= */
    GPtrArray *legacy_hosts;            /* struct net *: of -net user and the like */
};

static const struct {
    const char *model, *class;
} models[] = {
    { "virtio", "virtio-net-pci" }, { "virtio-net", "virtio-net-pci" }, { "e1000-82540em", "e1000" },
    { "virtio-net-pci", "virtio-net-pci" }, { "e1000", "e1000" }, { "e1000e", "e1000e" },
};

void networks_models_help(FILE *out)
{
    fputs("Supported NIC models:\n", out);
    for (unsigned i = 0; i < G_N_ELEMENTS(models); i++) {
        if (!strcmp(models[i].model, models[i].class) && device_class_find(models[i].class)) {
            fprintf(out, "%s\n", models[i].model);
        }
    }
    fputs("virtio\n", out);
}

void networks_help(FILE *out)
{
    GString *s = g_string_new(NULL);

    netdev_help(s);
    fputs(s->str, out);
    g_string_free(s, TRUE);
}

static const struct device_class *model_find(const char *name, GError **err)
{
    static const char *const unbuilt[] = { "rtl8139", "ne2k_pci", "pcnet", "i82551", "i82557b", "i82559er", "tulip", "vmxnet3", "e1000e", "usb-net", NULL };
    const char *names[G_N_ELEMENTS(models) + 1] = { NULL };
    const struct device_class *c;

    for (unsigned i = 0; i < G_N_ELEMENTS(models); i++) {
        names[i] = models[i].model;
        c = strcmp(models[i].model, name) ? NULL : device_class_find(models[i].class);
        if (c) {
            return c;
        }
    }
    if (g_strv_contains(unbuilt, name)) {
        error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: network card %s (there are e1000 and virtio)", name);
    } else {
        error_unknown(err, "network card", name, names, "-nic model=help");
    }
    return NULL;
}

/* What the board of these days' users has on it. */
static const struct device_class *default_model(void)
{
    return device_class_find("e1000");
}

static void card_free(struct card_plan *c)
{
    g_free(c->id);
    g_free(c->netdev);
    g_free(c->mac);
    g_free(c->addr);
    g_free(c->vectors);
    g_free(c);
}

static struct card_plan *card_plan(struct networks *n, const struct options *o, const char *netdev, GError **err)
{
    const char *model = options_string(o, "model", NULL);
    const struct device_class *class = model ? model_find(model, err) : default_model();
    struct card_plan *c;

    if (!class) {
        return NULL;
    }
    c = g_new0(struct card_plan, 1);
    *c = (struct card_plan){ class, g_strdup(options_string(o, "name", NULL)), g_strdup(netdev),
                             g_strdup(options_string(o, "macaddr", options_string(o, "mac", NULL))), g_strdup(options_string(o, "addr", NULL)),
                             g_strdup(options_string(o, "vectors", NULL)) };
    g_ptr_array_add(n->cards, c);
    return c;
}

/* What a host end's type does not know goes to the card. */
static struct options *without(const struct options *o, const char *const *drop)
{
    struct options *rest = options_parse("", NULL, NULL, NULL);
    const char *key, *value;

    for (unsigned i = 0; i < options_count(o); i++) {
        options_at(o, i, &key, &value);
        if (!g_strv_contains(drop, key)) {
            options_add(rest, key, value, NULL, NULL);
        }
    }
    return rest;
}

static char *free_id(struct nets *s, const char *stem)
{
    char *id = NULL;

    for (unsigned i = 0; !id || net_find(s, id); i++) {
        g_free(id);
        id = g_strdup_printf("#%s%u", stem, i);
    }
    return id;
}

static bool take_nic(struct networks *n, const char *text, GError **err)
{
    static const char *const of_card[] = { "model", "mac", "name", "addr", "vectors", "id", "type", NULL };
    struct options *o = options_parse(text, "type", NULL, err), *rest = NULL;
    const char *type = options_string(o, "type", NULL);
    struct nets *s = n->machine->nets;
    g_autofree char *id = NULL;
    bool ok = o != NULL;

    if (ok && !type) {
        ok = error_set(err, EMU_ERROR_INVALID, "the type is missing: user, tap, socket or none");
    }
    if (ok && strcmp(type, "none")) {
        id = options_has(o, "id") ? g_strdup(options_string(o, "id", "")) : free_id(s, "net");
        rest = without(o, of_card);
        ok = netdev_open(s, type, id, rest, NULL, err) && card_plan(n, o, id, err);
    }
    options_free(rest);
    options_free(o);
    return ok;
}

static bool take_net_nic(struct networks *n, const char *text, GError **err)
{
    static const struct option_desc desc[] = {
        { "type", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { "model", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { "macaddr", OPT_STRING, NULL, NULL, NULL, 0, 0 },
        { "mac", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { "name", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { "addr", OPT_STRING, NULL, NULL, NULL, 0, 0 },
        { "vectors", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { "netdev", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { 0 },
    };
    struct options *o = options_parse(text, "type", desc, err);
    struct card_plan *c = o ? card_plan(n, o, options_string(o, "netdev", NULL), err) : NULL;

    if (c && !c->netdev) {
        g_ptr_array_add(n->legacy_cards, c);
    }
    options_free(o);
    return c != NULL;
}

static bool take_net_host(struct networks *n, const char *type, const char *text, GError **err)
{
    static const char *const drop[] = { "type", "id", "name", NULL };
    struct options *o = options_parse(text, "type", NULL, err), *rest = without(o, drop);
    g_autofree char *id = g_strdup(options_string(o, "name", options_string(o, "id", NULL)));
    struct net *host;
    bool ok;

    if (!id) {
        id = free_id(n->machine->nets, type);
    }
    ok = o && netdev_open(n->machine->nets, type, id, rest, &host, err);
    if (ok) {
        g_ptr_array_add(n->legacy_hosts, host);
    }
    options_free(rest);
    options_free(o);
    return ok;
}

static bool take_net(struct networks *n, const char *text, GError **err)
{
    g_autofree char *first = g_strndup(text, strcspn(text, ","));
    const char *type = g_str_has_prefix(first, "type=") ? first + 5 : first;

    return !strcmp(type, "none") || (!strcmp(type, "nic") ? take_net_nic(n, text, err) : take_net_host(n, type, text, err));
}

/* The cards and host ends of -net: one of each is a pair; others meet in hub 0. */
static bool join_legacy(struct networks *n, GError **err)
{
    struct nets *s = n->machine->nets;

    if (n->legacy_cards->len == 1 && n->legacy_hosts->len == 1) {
        ((struct card_plan *)g_ptr_array_index(n->legacy_cards, 0))->netdev = g_strdup(net_name(g_ptr_array_index(n->legacy_hosts, 0)));
        return true;
    }
    for (unsigned i = 0; i < n->legacy_cards->len; i++) {
        struct net *port = net_hub_port(s, 0, NULL, err);

        if (!port) {
            return false;
        }
        ((struct card_plan *)g_ptr_array_index(n->legacy_cards, i))->netdev = g_strdup(net_name(port));
    }
    for (unsigned i = 0; i < n->legacy_hosts->len; i++) {
        g_autofree char *id = free_id(s, "hub0port"), *text = g_strdup_printf("hubport,id=%s,hubid=0,netdev=%s", id, net_name(g_ptr_array_index(n->legacy_hosts, i)));

        if (!netdev_add(s, text, NULL, err)) {
            return false;
        }
    }
    return true;
}

static void state_changed(void *opaque, enum run_state state)
{
    nets_run(((struct machine *)opaque)->nets, state == RUN_RUNNING);
}

typedef bool take_fn(struct networks *n, const char *text, GError **err);

static bool take_netdev(struct networks *n, const char *text, GError **err) { return netdev_add(n->machine->nets, text, NULL, err); }

static bool take_all(struct networks *n, const char *option, GPtrArray *texts, take_fn *take, GError **err)
{
    for (unsigned i = 0; i < texts->len; i++) {
        const char *text = g_ptr_array_index(texts, i);

        if (!take(n, text, err)) {
            return error_prefix(err, "-%s %s", option, text);
        }
    }
    return true;
}

/* A device of the command line that is a card brings its own network. */
static bool has_card(const struct config *cfg)
{
    for (unsigned i = 0; i < cfg->devices->len; i++) {
        const char *text = g_ptr_array_index(cfg->devices, i);

        if (strstr(text, "netdev=") || strstr(text, "\"netdev\"")) {
            return true;
        }
    }
    return false;
}

struct networks *networks_open(const struct config *cfg, struct machine *m, GError **err)
{
    struct networks *n = g_new0(struct networks, 1);
    bool silent = !cfg->netdevs->len && !cfg->nics->len && !cfg->nets->len && !cfg->nodefaults && !has_card(cfg);

    n->machine = m;
    n->cards = g_ptr_array_new_with_free_func((GDestroyNotify)card_free);
    n->legacy_cards = g_ptr_array_new();
    n->legacy_hosts = g_ptr_array_new();
    m->nets = n->nets = nets_new();
    machine_on_state(m, state_changed, m);
    if (!take_all(n, "netdev", cfg->netdevs, take_netdev, err) || !take_all(n, "nic", cfg->nics, take_nic, err) ||
        !take_all(n, "net", cfg->nets, take_net, err) || !join_legacy(n, err)) {
        networks_close(n);
        return NULL;
    }
    if (silent && default_model()) {
        take_nic(n, "user", NULL);      /* a build without libslirp has none */
    }
    return n;
}

bool networks_add_cards(struct networks *n, GError **err)
{
    for (unsigned i = 0; i < n->cards->len; i++) {
        const struct card_plan *c = g_ptr_array_index(n->cards, i);
        const char *pairs[][2] = { { "netdev", c->netdev }, { "mac", c->mac }, { "addr", c->addr }, { "vectors", c->vectors } };
        struct device *d = device_new(n->machine, c->class, c->id);
        bool ok = true;

        for (unsigned k = 0; ok && k < G_N_ELEMENTS(pairs); k++) {
            ok = !pairs[k][1] || device_set(d, pairs[k][0], pairs[k][1], err);
        }
        if (!ok || !device_add(d, err)) {
            return error_prefix(err, "network card");
        }
    }
    return true;
}

void networks_close(struct networks *n)
{
    if (!n) {
        return;
    }
    nets_free(n->nets);
    g_ptr_array_free(n->cards, TRUE);
    g_ptr_array_free(n->legacy_cards, TRUE);
    g_ptr_array_free(n->legacy_hosts, TRUE);
    g_free(n);
}

/* --- -object filter-dump --- */

static const struct option_desc filter_dump_desc[] = {
    { "netdev", OPT_STRING, NULL, "the -netdev whose packets are written", NULL, 0, 0 },
    { "file", OPT_STRING, NULL, "the pcap file", NULL, 0, 0 },
    { "maxlen", OPT_SIZE, "65536", "bytes kept of a packet", NULL, 1, UINT32_MAX },
    { 0 },
};

static bool filter_dump_init(struct object *o, GError **err)
{
    const char *netdev = options_string(o->options, "netdev", NULL), *file = options_string(o->options, "file", NULL);

    if (!netdev || !file) {
        return error_set(err, EMU_ERROR_INVALID, "filter-dump needs netdev=ID and file=PATH");
    }
    return net_dump_add(o->machine->nets, o->id, netdev, file, (uint32_t)options_uint(o->options, "maxlen", 65536), err);
}

static void filter_dump_fini(struct object *o)
{
    if (o->machine->nets) {
        net_dump_del(o->machine->nets, o->id);
    }
}

const struct object_type filter_dump_type = {
    .name = "filter-dump", .desc = "writes the packets of a network to a pcap file", .options = filter_dump_desc, .init = filter_dump_init,
    .fini = filter_dump_fini,
};
