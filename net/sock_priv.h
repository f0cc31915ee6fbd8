/*
 * Frames over sockets: what -netdev socket, stream and dgram share (net/sock.c); their options are read in net/sock_options.c.
 */
#ifndef NET_SOCK_PRIV_H
#define NET_SOCK_PRIV_H

#include <sys/socket.h>

#include "net/net_priv.h"

struct sock_address {
    struct sockaddr_storage sa;
    socklen_t len;                      /* 0: none */
};

struct sock_config {
    const char *model;
    bool stream;                        /* frames with a 4-byte big-endian length before each; else one datagram each */
    int fd;                             /* connected; or a datagram socket; -1: none yet */
    int listen_fd;                      /* accepts one peer at a time; -1: none */
    struct sock_address peer;           /* where datagrams go; streams: what to connect to again */
    unsigned reconnect;                 /* seconds; 0: never */
    char *unlink_path;                  /* a socket file that was made; owned */
    char *info;                         /* owned */
};

/* Takes descriptors and strings over, also when it fails. */
bool sock_new(struct nets *s, const char *id, const struct sock_config *c, struct net **opened, GError **err);

#endif
