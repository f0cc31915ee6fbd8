/*
 * What the files of -netdev user share.
 */
#ifndef NET_USER_PRIV_H
#define NET_USER_PRIV_H

#include <libslirp.h>

#include "net/net_priv.h"
#include "net/user.h"

struct user_fd {                        /* by file descriptor */
    uint32_t events;                    /* of epoll; 0: not in it */
    uint32_t got;                       /* by the last wait */
    unsigned round;                     /* that last asked for it */
};

struct user {
    struct net *net;
    Slirp *slirp;
    struct in_addr first;               /* address that DHCP gives out first: where forwarding rules without one go */
    GPtrArray *forwards;                /* struct guest_forward * (user_fwd.c) */
    /* user_poll.c */
    GSource *source;
    int epoll;
    GArray *fds;                        /* struct user_fd */
    GArray *asked, *asked_before;       /* int: descriptors by the index that libslirp knows */
    unsigned round;
    int64_t deadline;                   /* us of the monotonic clock; INT64_MAX: none */
};

bool user_poll_init(struct user *u, GError **err);
void user_poll_start(struct user *u);
void user_poll_stop(struct user *u);
void user_poll_free(struct user *u);
/* The main loop must ask libslirp again what to wait for. */
void user_wake(struct user *u);

int64_t user_clock(void *opaque);
void *user_timer_new(SlirpTimerCb fire, void *fire_opaque, void *opaque);
void user_timer_free(void *timer, void *opaque);
void user_timer_mod(void *timer, int64_t ms, void *opaque);
void user_fd_changed(int fd, void *opaque);
void user_notify(void *opaque);

bool user_guestfwd_add(struct user *u, const char *rule, GError **err);
/* The guest may have connected or read: streams that were held back go on. */
void user_forwards_kick(struct user *u);
void user_forwards_free(struct user *u);

#endif
