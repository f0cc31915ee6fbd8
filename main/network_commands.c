/*
 * Monitor commands for networks.
 */
#include <string.h>

#include "base/error.h"
#include "core/command.h"
#include "core/machine.h"
#include "main/networks.h"
#include "net/net.h"
#ifdef CONFIG_SLIRP
#include "net/user.h"
#endif

static bool info_network(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args, (void)err;
    nets_info(m->nets, out);
    return true;
}

static bool do_set_link(struct machine *m, const char *args, GString *out, GError **err)
{
    g_auto(GStrv) word = g_strsplit_set(args, " ", 2);
    struct net *n;

    (void)out;
    if (g_strv_length(word) != 2 || (strcmp(word[1], "on") && strcmp(word[1], "off"))) {
        return error_set(err, EMU_ERROR_INVALID, "set_link takes a name and on or off");
    }
    n = net_find(m->nets, word[0]);
    if (!n) {
        return error_set(err, EMU_ERROR_NOT_FOUND, "Device '%s' not found", word[0]);
    }
    net_set_link(n, !strcmp(word[1], "on"));
    return true;
}

static bool do_netdev_add(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)out;
    return netdev_add(m->nets, args, NULL, err);
}

static bool do_netdev_del(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)out;
    return netdev_del(m->nets, args, err);
}

#ifdef CONFIG_SLIRP

static bool info_usernet(struct machine *m, const char *args, GString *out, GError **err)
{
    struct net *n;

    (void)args, (void)err;
    for (unsigned i = 0; (n = net_at(m->nets, i)); i++) {
        if (net_is_user(n)) {
            user_info(n, out);
        }
    }
    return true;
}

/* "[NETDEV] RULE": the end, and where the rule begins. Without a name the first one of type user. */
static struct net *user_of(struct machine *m, const char *args, const char **rule, GError **err)
{
    const char *space = strchr(args, ' ');
    g_autofree char *id = space ? g_strndup(args, (gsize)(space - args)) : NULL;
    struct net *n = id ? net_find(m->nets, id) : NULL;

    *rule = space ? space + strspn(space, " ") : args;
    for (unsigned i = 0; !id && (n = net_at(m->nets, i)) && !net_is_user(n); i++) {
    }
    if (!n || !net_is_user(n)) {
        error_set(err, EMU_ERROR_NOT_FOUND, id ? "there is no user network '%s'" : "there is no user network%s", id ? id : "");
        return NULL;
    }
    return n;
}

static bool do_hostfwd_add(struct machine *m, const char *args, GString *out, GError **err)
{
    const char *rule;
    struct net *n = user_of(m, args, &rule, err);

    (void)out;
    return n && user_hostfwd_add(n, rule, err);
}

static bool do_hostfwd_remove(struct machine *m, const char *args, GString *out, GError **err)
{
    const char *rule;
    struct net *n = user_of(m, args, &rule, err);

    if (!n || !user_hostfwd_remove(n, rule, err)) {
        return false;
    }
    g_string_append_printf(out, "host forwarding rule for %s removed\n", rule);
    return true;
}

#endif

static const struct command network_info_commands[] = {
    { "network", NULL, "", "network cards and what they are connected to", info_network, NULL },
#ifdef CONFIG_SLIRP
    { "usernet", NULL, "", "connections of user networks", info_usernet, NULL },
#endif
    { 0 },
};

const struct command network_commands[] = {
    { "info", NULL, "[subject]", "networks", NULL, network_info_commands },
    { "set_link", NULL, "NAME on|off", "plug a network cable in or pull it", do_set_link, NULL },
    { "netdev_add", NULL, "TYPE,id=NAME[,...]", "add a host end, as -netdev", do_netdev_add, NULL },
    { "netdev_del", NULL, "NAME", "remove one", do_netdev_del, NULL },
#ifdef CONFIG_SLIRP
    { "hostfwd_add", NULL, "[NETDEV] [tcp|udp]:[HOSTADDR]:PORT-[GUESTADDR]:PORT", "forward a host port into a user network", do_hostfwd_add, NULL },
    { "hostfwd_remove", NULL, "[NETDEV] [tcp|udp]:[HOSTADDR:]PORT", "end that", do_hostfwd_remove, NULL },
#endif
    { 0 },
};
