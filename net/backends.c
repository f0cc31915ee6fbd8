/*
 * -netdev and netdev_add: one row per type of host end, and what all of them share.
 */
#include <string.h>

#include "base/error.h"
#include "net/net_priv.h"

static const struct net_backend backends[] = {
#ifdef CONFIG_SLIRP
    { "user", user_desc, user_open },
#else
    { "user", NULL, NULL },
#endif
    { "tap", tap_desc, tap_open },
    { "socket", socket_desc, net_socket_open },
    { "stream", stream_desc, stream_open },
    { "dgram", dgram_desc, dgram_open },
    { "hubport", hubport_desc, hubport_open },
};

static const char *const types[] = { "user", "tap", "socket", "stream", "dgram", "hubport", NULL };
G_STATIC_ASSERT(G_N_ELEMENTS(types) == G_N_ELEMENTS(backends) + 1);
static const char *const unbuilt[] = { "bridge", "l2tpv3", "vde", "netmap", "vhost-user", "vhost-vdpa", "af-xdp", NULL };

const char *const *netdev_types(void) { return types; }

static const struct net_backend *backend_find(const char *type, GError **err)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(backends); i++) {
        if (!strcmp(backends[i].type, type)) {
            if (!backends[i].open) {
                error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: %s (this emu is built without libslirp)", type);
                return NULL;
            }
            return &backends[i];
        }
    }
    if (g_strv_contains(unbuilt, type)) {
        error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: network type %s", type);
    } else {
        error_unknown(err, "network type", type, types, "-netdev help");
    }
    return NULL;
}

bool netdev_has_key(const char *type, const char *key)
{
    const struct net_backend *b = backend_find(type, NULL);

    for (const struct option_desc *d = b ? b->desc : NULL; d && d->name; d++) {
        if (!strcmp(d->name, key)) {
            return true;
        }
    }
    return false;
}

bool netdev_open(struct nets *s, const char *type, const char *id, struct options *o, struct net **opened, GError **err)
{
    const struct net_backend *b = backend_find(type, err);
    struct options *checked = b ? options_parse("", NULL, NULL, NULL) : NULL;
    struct net *n = NULL;
    const char *key, *value;
    bool ok = b != NULL;

    for (unsigned i = 0; ok && i < options_count(o); i++) {
        options_at(o, i, &key, &value);
        ok = !strcmp(key, "id") || !strcmp(key, "type") || options_add(checked, key, value, b->desc, err);
    }
    if (ok && id && net_find(s, id)) {
        ok = error_set(err, EMU_ERROR_INVALID, "there is a network end '%s' already", id);
    }
    ok = ok && b->open(s, id, checked, &n, err);
    options_free(checked);
    if (ok && opened) {
        *opened = n;
    }
    return ok;
}

bool netdev_add(struct nets *s, const char *text, struct net **opened, GError **err)
{
    struct options *o = options_parse(text, "type", NULL, err);
    const char *type = options_string(o, "type", NULL), *id = options_string(o, "id", NULL);
    bool ok = o != NULL;

    if (ok && !type) {
        ok = error_set(err, EMU_ERROR_INVALID, "the type is missing: user, tap, ...");
    } else if (ok && (!id || !*id)) {
        ok = error_set(err, EMU_ERROR_INVALID, "id=NAME is missing");
    }
    ok = ok && netdev_open(s, type, id, o, opened, err);
    options_free(o);
    return ok;
}

bool netdev_del(struct nets *s, const char *id, GError **err)
{
    struct net *n = net_find(s, id);
    void (*done)(void *);
    void *opaque;

    if (!n || n->ops->card) {
        return error_set(err, EMU_ERROR_NOT_FOUND, "Device '%s' not found", id);
    }
    done = n->ops->free;
    opaque = n->opaque;
    net_free(n);
    if (done) {
        done(opaque);
    }
    return true;
}

static const char *type_text(const struct option_desc *d)
{
    return d->type == OPT_BOOL ? "on|off" : d->type == OPT_STRING || d->type == OPT_ENUM ? "text" : "number";
}

void netdev_help(GString *out)
{
    g_string_append(out, "Network types of -netdev, each with id=NAME:\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(backends); i++) {
        g_string_append_printf(out, "%s%s\n", backends[i].type, backends[i].open ? "" : " (not built in)");
        for (const struct option_desc *d = backends[i].desc; d && d->name; d++) {
            g_string_append_printf(out, "  %s=%s%*s %s\n", d->name, type_text(d), MAX(1, 24 - (int)(strlen(d->name) + strlen(type_text(d)))), "",
                                   d->help ? d->help : "");
        }
    }
}
