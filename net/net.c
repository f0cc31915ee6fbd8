/*
 * Ends, pairs and what waits between them. See net/net.h.
 */
#include "net/net.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "net/net_priv.h"

/* --- the list --- */

struct nets *nets_new(void)
{
    struct nets *s = g_new0(struct nets, 1);

    s->list = g_ptr_array_new();
    s->dumps = g_ptr_array_new();
    s->hubs = g_ptr_array_new();
    s->stopped = true;
    return s;
}

/* Lets the owner of a host end free what it has; the end goes with it. */
static void net_end(struct net *n)
{
    void (*done)(void *) = n->ops->free;
    void *opaque = n->opaque;

    net_free(n);
    if (done) {
        done(opaque);
    }
}

void nets_free(struct nets *s)
{
    if (!s) {
        return;
    }
    while (s->list->len) {
        net_end(g_ptr_array_index(s->list, s->list->len - 1));
    }
    while (s->dumps->len) {
        net_dump_del(s, ((struct net_dump *)g_ptr_array_index(s->dumps, 0))->id);
    }
    hubs_free(s);
    g_ptr_array_free(s->dumps, TRUE);
    g_ptr_array_free(s->list, TRUE);
    g_free(s);
}

struct net *net_find(struct nets *s, const char *name)
{
    for (unsigned i = 0; i < s->list->len; i++) {
        struct net *n = g_ptr_array_index(s->list, i);

        if (!strcmp(n->name, name)) {
            return n;
        }
    }
    return NULL;
}

struct net *net_at(struct nets *s, unsigned i)
{
    return i < s->list->len ? g_ptr_array_index(s->list, i) : NULL;
}

const char *net_name(const struct net *n) { return n->name; }
const struct net_ops *net_ops_of(const struct net *n) { return n->ops; }
void *net_opaque(const struct net *n) { return n->opaque; }
unsigned net_queues(const struct net *n) { return n->n_queues; }
struct net *net_peer(const struct net *n) { return n->peer; }
void net_set_takes(struct net *n, unsigned takes) { n->takes = takes; }
unsigned net_takes(const struct net *n) { return n->takes; }

struct net *net_new(struct nets *s, const char *name, const struct net_ops *ops, void *opaque, unsigned queues, GError **err)
{
    g_autofree char *made = NULL;
    struct net *n;

    for (unsigned i = 0; !name; i++) {
        g_free(made);
        made = g_strdup_printf("%s.%u", ops->model, i);
        name = net_find(s, made) ? NULL : made;
    }
    if (net_find(s, name)) {
        error_set(err, EMU_ERROR_INVALID, "there is a network end '%s' already", name);
        return NULL;
    }
    n = g_new0(struct net, 1);
    *n = (struct net){ .nets = s, .name = g_strdup(name), .ops = ops, .opaque = opaque, .n_queues = CLAMP(queues, 1, NET_QUEUES_MAX) };
    n->queue = g_new0(struct net_queue, n->n_queues);
    for (unsigned i = 0; i < n->n_queues; i++) {
        g_queue_init(&n->queue[i].waiting);
    }
    g_ptr_array_add(s->list, n);
    return n;
}

void net_purge(struct net *n)
{
    for (unsigned i = 0; i < n->n_queues; i++) {
        g_queue_clear_full(&n->queue[i].waiting, g_free);
        n->queue[i].waiting_bytes = 0;
    }
}

void net_free(struct net *n)
{
    struct net *peer;

    if (!n) {
        return;
    }
    peer = n->peer;
    net_purge(n);
    dumps_forget(n->nets, n);
    g_ptr_array_remove(n->nets->list, n);
    if (peer) {
        peer->peer = NULL;
        for (unsigned i = 0; i < peer->n_queues; i++) {
            net_ready(n, i);            /* a sender that waits for this end waits for nobody now */
        }
        if (peer->ops->link) {
            peer->ops->link(peer->opaque, net_link_up(peer));
        }
    }
    g_free(n->queue);
    g_free(n->name);
    g_free(n->info);
    g_free(n);
}

void net_set_info(struct net *n, const char *text)
{
    g_free(n->info);
    n->info = g_strdup(text);
}

bool net_connect(struct net *card, struct net *host, GError **err)
{
    if (host->ops->card || host->peer) {
        return error_set(err, EMU_ERROR_INVALID, "network '%s' is %s", host->name, host->ops->card ? "a card" : "used by another card");
    }
    if (card->peer) {
        return error_set(err, EMU_ERROR_INVALID, "'%s' has a network already", card->name);
    }
    card->peer = host;
    host->peer = card;
    return true;
}

/* --- packets --- */

size_t packet_copy(const struct net_packet *p, size_t offset, void *buf, size_t len)
{
    size_t done = 0;

    for (unsigned i = 0; i < p->n && done < len; i++) {
        size_t have = p->iov[i].iov_len, n;

        if (offset >= have) {
            offset -= have;
            continue;
        }
        n = MIN(have - offset, len - done);
        memcpy((uint8_t *)buf + done, (const uint8_t *)p->iov[i].iov_base + offset, n);
        done += n;
        offset = 0;
    }
    return done;
}

struct sending {
    struct net *to;
    unsigned queue;
    bool waits;                         /* something had to wait */
};

static void wait_add(struct net *to, struct net_queue *q, const struct net_packet *p)
{
    struct waiting *w;

    if (q->waiting.length >= NET_WAIT_PACKETS || q->waiting_bytes + p->size > NET_WAIT_BYTES) {
        to->dropped++;
        return;
    }
    w = g_malloc(sizeof(*w) + p->size);
    w->offload = p->offload;
    w->size = packet_copy(p, 0, w->bytes, p->size);
    q->waiting_bytes += w->size;
    g_queue_push_tail(&q->waiting, w);
}

/* One packet in a form that the receiver takes. */
static bool give(void *opaque, const struct net_packet *p)
{
    struct sending *s = opaque;
    struct net_queue *q = &s->to->queue[s->queue];
    bool taken = false;

    if (!q->busy && !q->waiting.length && !(s->to->nets->stopped && s->to->ops->card)) {
        q->busy = true;
        taken = s->to->ops->take(s->to->opaque, s->queue, p);
        q->busy = false;
    }
    if (!taken) {
        wait_add(s->to, q, p);
        s->waits = true;
    }
    return true;
}

bool net_send(struct net *n, unsigned queue, const struct net_packet *p)
{
    struct net *to = n->peer;
    struct sending s = { to, queue, false };

    if (!to || p->size < NET_FRAME_MIN || p->size > NET_FRAME_MAX) {
        return true;
    }
    if (!net_link_up(n)) {
        return true;
    }
    s.queue = queue % to->n_queues;
    if (n->nets->dumps->len) {
        dumps_packet(n->nets, n, to, p);
    }
    if (!p->offload.flags && !p->offload.gso) {
        give(&s, p);
    } else {
        offload_apply(p, to->takes, give, &s);
    }
    n->queue[queue].held |= s.waits;
    return !s.waits;
}

bool net_send_frame(struct net *n, unsigned queue, const void *frame, size_t len)
{
    struct iovec iov = { (void *)frame, len };

    return net_send(n, queue, &(struct net_packet){ .iov = &iov, .n = 1, .size = len });
}

/* Gives the senders of one queue leave to go on. */
static void tell_room(struct net *n, unsigned queue)
{
    struct net *from = n->peer;

    for (unsigned i = queue; from && i < from->n_queues; i += n->n_queues) {
        if (from->queue[i].held) {
            from->queue[i].held = false;
            if (from->ops->room) {
                from->ops->room(from->opaque, i);
            }
        }
    }
}

void net_ready(struct net *n, unsigned queue)
{
    struct net_queue *q = &n->queue[queue];

    if (q->busy || (n->nets->stopped && n->ops->card)) {
        return;
    }
    q->busy = true;
    while (q->waiting.length) {
        struct waiting *w = g_queue_pop_head(&q->waiting);     /* take() may purge the queue */
        struct iovec iov = { w->bytes, w->size };

        q->waiting_bytes -= w->size;
        if (!n->ops->take(n->opaque, queue, &(struct net_packet){ &iov, 1, w->size, w->offload })) {
            q->waiting_bytes += w->size;
            g_queue_push_head(&q->waiting, w);
            q->busy = false;
            return;
        }
        g_free(w);
    }
    q->busy = false;
    tell_room(n, queue);
}

void nets_run(struct nets *s, bool running)
{
    s->stopped = !running;
    for (unsigned i = 0; running && i < s->list->len; i++) {
        struct net *n = g_ptr_array_index(s->list, i);

        for (unsigned k = 0; n->ops->card && k < n->n_queues; k++) {
            net_ready(n, k);
        }
    }
}

/* --- link --- */

bool net_link_up(const struct net *n)
{
    return !n->link_down && !(n->peer && n->peer->link_down);
}

void net_set_link(struct net *n, bool up)
{
    struct net *both[] = { n, n->peer };
    bool was = net_link_up(n);

    n->link_down = !up;
    for (unsigned i = 0; was != net_link_up(n) && i < 2; i++) {
        if (!both[i]) {
            continue;
        }
        if (!up) {
            net_purge(both[i]);
        }
        for (unsigned k = 0; !up && k < both[i]->n_queues; k++) {
            tell_room(both[i], k);
        }
        if (both[i]->ops->link) {
            both[i]->ops->link(both[i]->opaque, net_link_up(n));
        }
    }
}

/* --- addresses --- */

bool net_mac(struct nets *s, const char *text, uint8_t mac[6], GError **err)
{
    unsigned b[6];
    char end;

    if (!text || !*text) {
        memcpy(mac, (const uint8_t[]){ 0x52, 0x54, 0x00, 0x12, 0x34, (uint8_t)(0x56 + s->next_mac++) }, 6);
        return true;
    }
    if ((sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6 &&
         sscanf(text, "%2x-%2x-%2x-%2x-%2x-%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6) || strspn(text, "0123456789abcdefABCDEF:-") != strlen(text)) {
        return error_set(err, EMU_ERROR_INVALID, "'%s' is not a MAC address like 52:54:00:12:34:56", text);
    }
    for (unsigned i = 0; i < 6; i++) {
        mac[i] = (uint8_t)b[i];
    }
    if (mac[0] & 1) {
        return error_set(err, EMU_ERROR_INVALID, "%s is a multicast address; a card's first byte is even", text);
    }
    return true;
}

/* --- info network --- */

static void info_line(const struct net *n, const char *lead, GString *out)
{
    g_string_append_printf(out, "%s%s: index=0,type=%s,%s%s\n", lead, n->name, n->ops->card ? "nic" : n->ops->model, n->info ? n->info : "",
                           net_link_up(n) ? "" : ",link=down");
    if (n->dropped) {
        g_string_append_printf(out, "   dropped for want of room: %lu\n", n->dropped);
    }
}

void nets_info(struct nets *s, GString *out)
{
    for (unsigned i = 0; i < s->list->len; i++) {
        const struct net *n = g_ptr_array_index(s->list, i);

        if (n->ops->card || !n->peer) {
            info_line(n, "", out);
        }
        if (n->ops->card && n->peer) {
            info_line(n->peer, " \\ ", out);
        }
    }
    for (unsigned i = 0; i < s->dumps->len; i++) {
        const struct net_dump *d = g_ptr_array_index(s->dumps, i);

        g_string_append_printf(out, "filter %s: type=filter-dump,netdev=%s\n", d->id, d->net->name);
    }
}
