/*
 * What the files of net/ share.
 */
#ifndef NET_NET_PRIV_H
#define NET_NET_PRIV_H

#include "base/options.h"
#include "net/net.h"

struct waiting {                        /* a packet that waits for its receiver */
    struct net_offload offload;
    size_t size;
    uint8_t bytes[];
};

/* Bounds of what waits for one end. A TCP sender's window must fit. */
#define NET_WAIT_PACKETS 8192u
#define NET_WAIT_BYTES (16u << 20)

struct net_queue {
    GQueue waiting;                     /* struct waiting *, for this end */
    size_t waiting_bytes;
    bool busy;                          /* inside take() */
    bool held;                          /* its last net_send() said false: room() is owed */
};

struct net {
    struct nets *nets;
    char *name, *info;
    const struct net_ops *ops;
    void *opaque;
    struct net *peer;
    struct net_queue *queue;
    unsigned n_queues, takes;
    bool link_down;
    unsigned long dropped;
};

struct net_dump {
    char *id;
    struct net *net;
    int fd;
    uint32_t maxlen;
    bool failed;                        /* the disk is full: said once */
};

struct nets {
    GPtrArray *list;                    /* struct net * */
    GPtrArray *dumps;                   /* struct net_dump * */
    GPtrArray *hubs;                    /* struct net_hub * (net/hub.c) */
    uint32_t next_mac;
    bool stopped;
};

/* offload.c. Hands what p stands for, as an end with `takes` can take it, to give() one by one; stops at its false. */
bool offload_apply(const struct net_packet *p, unsigned takes, bool (*give)(void *opaque, const struct net_packet *p), void *opaque);

void dumps_packet(struct nets *s, const struct net *a, const struct net *b, const struct net_packet *p);
void dump_free(struct net_dump *d);
void dumps_forget(struct nets *s, const struct net *n);

struct net_backend {
    const char *type;
    const struct option_desc *desc;     /* without "id" and "type" */
    /* False with *err. On success *opened is the new end. */
    bool (*open)(struct nets *s, const char *id, const struct options *o, struct net **opened, GError **err);
};

extern const struct option_desc user_desc[], tap_desc[], socket_desc[], stream_desc[], dgram_desc[], hubport_desc[];
bool user_open(struct nets *s, const char *id, const struct options *o, struct net **opened, GError **err);
bool tap_open(struct nets *s, const char *id, const struct options *o, struct net **opened, GError **err);
bool net_socket_open(struct nets *s, const char *id, const struct options *o, struct net **opened, GError **err);
bool stream_open(struct nets *s, const char *id, const struct options *o, struct net **opened, GError **err);
bool dgram_open(struct nets *s, const char *id, const struct options *o, struct net **opened, GError **err);
bool hubport_open(struct nets *s, const char *id, const struct options *o, struct net **opened, GError **err);
void hubs_free(struct nets *s);

/* Bytes of p from `offset` on into buf; count copied. */
size_t packet_copy(const struct net_packet *p, size_t offset, void *buf, size_t len);

#endif
