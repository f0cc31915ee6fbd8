/*
 * Nodes: naming, counting, finished requests on their way back to the main loop. See block/block_priv.h.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "block/block_priv.h"

void block_warn(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    g_autofree char *s = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    fprintf(stderr, "emu: %s\n", s);
}

void node_init(struct node *n, const struct node_class *c, struct drives *all, const char *name)
{
    n->class = c;
    n->all = all;
    n->name = name ? g_strdup(name) : g_strdup_printf("#block%03u", all->next_node++);
    n->users = 1;
    g_ptr_array_add(all->nodes, n);
}

struct node *node_find(const struct drives *all, const char *name)
{
    for (unsigned i = 0; i < all->nodes->len; i++) {
        struct node *n = g_ptr_array_index(all->nodes, i);
        if (!strcmp(n->name, name)) {
            return n;
        }
    }
    return NULL;
}

void node_ref(struct node *n)
{
    n->users++;
}

void node_unref(struct node *n)
{
    if (!n || --n->users) {
        return;
    }
    struct node *child = n->child;
    g_ptr_array_remove(n->all->nodes, n);
    if (n->class->close) {
        n->class->close(n);
    }
    g_free(n->name);
    g_free(n->filename);
    g_free(n);
    node_unref(child);
}

bool block_complete_quiet(struct block_req *r, int error)
{
    struct drives *all = r->node->all;
    r->result = error;
    r->next = NULL;
    g_mutex_lock(&all->lock);
    bool first = !all->finished;
    *all->last = r;
    all->last = &r->next;
    g_mutex_unlock(&all->lock);
    return first;
}

void block_complete(struct block_req *r, int error)
{
    struct drives *all = r->node->all;
    if (block_complete_quiet(r, error)) {
        uint64_t one = 1;
        while (write(all->event, &one, sizeof(one)) < 0 && errno == EINTR) {
        }
    }
}

/* Takes the first finished request (of the drive) off the list. */
static struct block_req *take(struct drives *all, const struct drive *only)
{
    struct block_req *r = NULL;
    g_mutex_lock(&all->lock);
    for (struct block_req **at = &all->finished; *at; at = &(*at)->next) {
        if (!only || (*at)->drive == only) {
            r = *at;
            *at = r->next;
            if (!*at) {
                all->last = at;
            }
            break;
        }
    }
    g_mutex_unlock(&all->lock);
    return r;
}

unsigned block_dispatch(struct drives *all, const struct drive *only)
{
    unsigned n = 0;
    struct block_req *r;
    if (all->uring) {
        all->uring->class->reap(all->uring);
    }
    while ((r = take(all, only))) {
        r->up(r, r->result);
        n++;
    }
    return n;
}

void block_wait(struct drives *all)
{
    struct pollfd p = { .fd = all->event, .events = POLLIN };
    uint64_t count;
    if (all->uring) {
        all->uring->class->unplug(all->uring);
    }
    while (poll(&p, 1, -1) < 0 && errno == EINTR) {
    }
    while (read(all->event, &count, sizeof(count)) < 0 && errno == EINTR) {
    }
}

/* After block_wait() has taken a signal that was not only for the waiter. */
static void signal_again(struct drives *all)
{
    uint64_t one = 1;
    g_mutex_lock(&all->lock);
    bool any = all->finished != NULL;
    g_mutex_unlock(&all->lock);
    if (any && write(all->event, &one, sizeof(one)) < 0) {
        return;                                        /* the counter is full: it is signalled */
    }
}

struct run {
    struct block_req r;
    bool finished;
    int error;
};

static void run_up(struct block_req *r, int error)
{
    struct run *run = (struct run *)r;
    run->finished = true;
    run->error = error;
}

int node_run(struct node *n, enum block_op op, uint64_t offset, void *buf, uint64_t bytes)
{
    struct drives *all = n->all;
    struct drive own = { 0 };                          /* so that only this request is dispatched */
    struct iovec iov = { buf, bytes };
    struct run run = { .r = { .op = op, .offset = offset, .bytes = bytes, .iov = &iov, .n_iov = bytes ? 1 : 0, .up = run_up, .drive = &own } };
    node_submit(n, &run.r);
    for (block_dispatch(all, &own); !run.finished; block_dispatch(all, &own)) {
        block_wait(all);
    }
    signal_again(all);
    return run.error;
}

/* Until nothing of the drive is in flight. */
static void drain(struct drives *all, struct drive *d)
{
    for (block_dispatch(all, d); d->in_flight; block_dispatch(all, d)) {
        block_wait(all);
    }
    signal_again(all);
}

void drive_drain(struct drive *d)
{
    if (d->in_flight) {
        drain(d->all, d);
    }
}
