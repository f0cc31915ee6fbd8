/*
 * Packets between network cards and the host.
 *
 * Two sides meet here and know nothing of each other: a card (hw/net/) and a host end (-netdev: net/user.c, tap.c, ...). Both are a
 * struct net with a name, one or more queues, and a small table of functions; net_connect() joins their queues one to one.
 *
 * Flow control: take() says false when it is full. The packet then waits in a bounded queue of the receiver, and net_send() says false:
 * the sender should stop until its room() is called. The receiver calls net_ready() when it can take again.
 * Offloads: a packet may carry the header of virtio-net (checksum to be filled in, size of segments). Each side says what it takes; what
 * it does not is done here, in software (net/offload.c).
 *
 * Locks: none here; all calls, in both directions, happen under the machine lock. take() may be called from inside net_send() of the same
 * card (a host end that answers at once), never from inside its own take().
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct nets;      /* all of a machine's */
struct net;       /* one end: a card or a -netdev */
struct options;

#define NET_QUEUES_MAX 64
#define NET_FRAME_MAX (65536 + 64)      /* a frame with an offload: what one IP packet can hold, and headers */
#define NET_FRAME_MIN 14                /* shorter ones are no frames and are dropped */

/* virtio 1.2, 5.1.6: the same layout, host byte order. */
struct net_offload {
    uint8_t flags;                      /* NET_NEEDS_CSUM, NET_CSUM_VALID */
    uint8_t gso;                        /* NET_GSO_* */
    uint16_t header_len, gso_size;      /* bytes; header_len is a hint */
    uint16_t csum_start, csum_offset;   /* checksum from csum_start to the end goes to csum_start + csum_offset */
};
enum { NET_NEEDS_CSUM = 1, NET_CSUM_VALID = 2 };        /* VALID: checked already; the receiver may say so to its guest */
enum { NET_GSO_NONE = 0, NET_GSO_TCP4 = 1, NET_GSO_UDP = 3, NET_GSO_TCP6 = 4, NET_GSO_UDP_L4 = 5, NET_GSO_ECN = 0x80 };

/* What an end takes undone. */
enum net_takes {
    NET_TAKES_CSUM = 1, NET_TAKES_TSO4 = 2, NET_TAKES_TSO6 = 4, NET_TAKES_ECN = 8, NET_TAKES_UFO = 16, NET_TAKES_USO = 32,
    NET_TAKES_LONG_TCP = 64,            /* TCP segments of any length, complete with checksum: need not be cut */
};

struct net_packet {
    const struct iovec *iov;
    unsigned n;
    size_t size;                        /* sum of iov: an Ethernet frame without FCS */
    struct net_offload offload;
};

struct net_ops {
    const char *model;                  /* "user", "e1000": for info network */
    bool card;                          /* else a host end */
    /* A packet from the other side. False: no room, nothing was taken; net_ready() will follow. Dropping one is true. */
    bool (*take)(void *opaque, unsigned queue, const struct net_packet *p);
    void (*room)(void *opaque, unsigned queue);    /* net_send() said false: send on. May be NULL */
    void (*link)(void *opaque, bool up);           /* the link went up or down (set_link). May be NULL */
    void (*free)(void *opaque);                    /* the net goes away: net_del(). May be NULL (cards) */
    void (*info)(void *opaque, GString *out);      /* more for `info usernet`. May be NULL */
};

struct nets *nets_new(void);
/* Ends every host end and filter; cards must be gone. */
void nets_free(struct nets *s);
/* A stopped machine: cards are given nothing, packets wait. Starting again hands them over. */
void nets_run(struct nets *s, bool running);

/* A new end. name: unique among the machine's (NULL: MODEL.N). NULL with *err: the name is taken. */
struct net *net_new(struct nets *s, const char *name, const struct net_ops *ops, void *opaque, unsigned queues, GError **err);
void net_free(struct net *n);           /* disconnects; does not call ops->free */
struct net *net_find(struct nets *s, const char *name);
struct net *net_at(struct nets *s, unsigned i);          /* in order of making; NULL at the end */
const char *net_name(const struct net *n);
const struct net_ops *net_ops_of(const struct net *n);
void *net_opaque(const struct net *n);
unsigned net_queues(const struct net *n);
/* The text of `info network` behind the model, "net=10.0.2.0". Copied. */
void net_set_info(struct net *n, const char *text);

/* Joins a card with a host end; queues beyond the smaller number stay alone. False: one of them is joined already. */
bool net_connect(struct net *card, struct net *host, GError **err);
struct net *net_peer(const struct net *n);

/* What this end takes (enum net_takes). */
void net_set_takes(struct net *n, unsigned takes);
unsigned net_takes(const struct net *n);

/* Sends to the other side; true without one, or when the link is down: the packet is gone. False: it waits, and so should the sender. */
bool net_send(struct net *n, unsigned queue, const struct net_packet *p);
bool net_send_frame(struct net *n, unsigned queue, const void *frame, size_t len);
/* This end has room again. */
void net_ready(struct net *n, unsigned queue);
/* Drops what waits for this end (a card's reset). */
void net_purge(struct net *n);

/* set_link. The link of a pair is up when both ends say so. */
void net_set_link(struct net *n, bool up);
bool net_link_up(const struct net *n);

/* 52:54:00:12:34:56 counting up; text: as the user wrote it (NULL or "": the next free one). False: no MAC address. */
bool net_mac(struct nets *s, const char *text, uint8_t mac[6], GError **err);

/* filter-dump: a pcap file of what passes a host end, at most maxlen bytes of each packet (0: 65536). */
bool net_dump_add(struct nets *s, const char *id, const char *netdev, const char *path, uint32_t maxlen, GError **err);
/* False: no such filter. */
bool net_dump_del(struct nets *s, const char *id);

/* `info network` */
void nets_info(struct nets *s, GString *out);

/*
 * -netdev TYPE,id=NAME,key=value... or JSON; also netdev_add. `opened`, when not NULL, is told the new end.
 * Runs from main/ before the machine is built, or under the machine lock.
 */
bool netdev_add(struct nets *s, const char *text, struct net **opened, GError **err);
/* The same from pairs with the type and without id; the rest of a -net or -nic option. */
bool netdev_open(struct nets *s, const char *type, const char *id, struct options *o, struct net **opened, GError **err);
bool netdev_del(struct nets *s, const char *id, GError **err);
/* Every type and its keys. */
void netdev_help(GString *out);
/* Whether `key` is one that TYPE has: for -nic, which mixes them with the card's. */
bool netdev_has_key(const char *type, const char *key);
/* NULL-terminated */
const char *const *netdev_types(void);

/* A port of the hub `hub`; what one port sends goes to all others. */
struct net *net_hub_port(struct nets *s, unsigned hub, const char *id, GError **err);

#endif
