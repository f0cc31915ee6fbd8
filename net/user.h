/*
 * -netdev user, what the monitor can do with it. All under the machine lock; `n` must be an end of that type.
 */
#ifndef NET_USER_H
#define NET_USER_H

#include "net/net.h"

bool net_is_user(const struct net *n);
/* rule: "[tcp|udp]:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT" */
bool user_hostfwd_add(struct net *n, const char *rule, GError **err);
/* rule: "[tcp|udp]:[HOSTADDR:]HOSTPORT" */
bool user_hostfwd_remove(struct net *n, const char *rule, GError **err);
/* `info usernet` */
void user_info(struct net *n, GString *out);

#endif
