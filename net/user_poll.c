/*
 * Waiting for the sockets of -netdev user, without busy polling and without a system call per socket and turn of the main loop: they are in
 * an epoll set of their own, which is changed only where what libslirp asks for has changed. A GLib source waits for the set and for
 * libslirp's timeouts.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/error.h"
#include "net/user_priv.h"

struct user_source {
    GSource source;
    struct user *u;
    gpointer tag;
};

static const struct { int slirp; uint32_t epoll; } bits[] = {
    { SLIRP_POLL_IN, EPOLLIN }, { SLIRP_POLL_OUT, EPOLLOUT }, { SLIRP_POLL_PRI, EPOLLPRI }, { SLIRP_POLL_ERR, EPOLLERR },
    { SLIRP_POLL_HUP, EPOLLHUP },
};

static struct user_fd *fd_at(struct user *u, int fd)
{
    if (u->fds->len <= (guint)fd) {
        g_array_set_size(u->fds, (guint)fd + 64);
    }
    return &g_array_index(u->fds, struct user_fd, fd);
}

static void fd_set_events(struct user *u, int fd, uint32_t events)
{
    struct user_fd *f = fd_at(u, fd);
    struct epoll_event e = { .events = events, .data.fd = fd };

    if (f->events == events) {
        return;
    }
    if (!events) {
        epoll_ctl(u->epoll, EPOLL_CTL_DEL, fd, NULL);     /* closed ones are out already */
    } else if (epoll_ctl(u->epoll, f->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e)) {
        epoll_ctl(u->epoll, errno == ENOENT ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &e);
    }
    f->events = events;
}

/* A socket was made or is about to be closed: its number may be used again for another one. */
void user_fd_changed(int fd, void *opaque)
{
    struct user *u = opaque;

    if (fd >= 0) {
        fd_set_events(u, fd, 0);
        fd_at(u, fd)->got = 0;
    }
}

static int add_poll(int fd, int events, void *opaque)
{
    struct user *u = opaque;
    uint32_t want = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(bits); i++) {
        want |= events & bits[i].slirp ? bits[i].epoll : 0;
    }
    fd_set_events(u, fd, want ? want : EPOLLERR);
    fd_at(u, fd)->round = u->round;
    g_array_append_val(u->asked, fd);
    return (int)u->asked->len - 1;
}

static int get_revents(int index, void *opaque)
{
    struct user *u = opaque;
    uint32_t got;
    int events = 0;

    if (index < 0 || (guint)index >= u->asked->len) {
        return 0;
    }
    got = fd_at(u, g_array_index(u->asked, int, index))->got;
    for (unsigned i = 0; i < G_N_ELEMENTS(bits); i++) {
        events |= got & bits[i].epoll ? bits[i].slirp : 0;
    }
    return events;
}

static gboolean prepare(GSource *source, gint *timeout)
{
    struct user *u = ((struct user_source *)source)->u;
    GArray *before = u->asked;
    uint32_t ms = UINT32_MAX;

    u->asked = u->asked_before;
    u->asked_before = before;
    g_array_set_size(u->asked, 0);
    u->round++;
    slirp_pollfds_fill(u->slirp, &ms, add_poll, u);
    for (unsigned i = 0; i < before->len; i++) {
        int fd = g_array_index(before, int, i);

        if (fd_at(u, fd)->round != u->round) {
            fd_set_events(u, fd, 0);
        }
    }
    user_forwards_kick(u);
    *timeout = ms > INT32_MAX ? -1 : (gint)ms;
    u->deadline = ms > INT32_MAX ? INT64_MAX : g_get_monotonic_time() + (int64_t)ms * 1000;
    return FALSE;
}

static gboolean check(GSource *source)
{
    struct user_source *s = (struct user_source *)source;

    return g_source_query_unix_fd(source, s->tag) || g_get_monotonic_time() >= s->u->deadline;
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    struct user *u = ((struct user_source *)source)->u;
    struct epoll_event e[64];
    int n = epoll_wait(u->epoll, e, G_N_ELEMENTS(e), 0);

    (void)callback, (void)data;
    for (int i = 0; i < n; i++) {
        fd_at(u, e[i].data.fd)->got = e[i].events;
    }
    slirp_pollfds_poll(u->slirp, n < 0, get_revents, u);
    for (int i = 0; i < n; i++) {
        fd_at(u, e[i].data.fd)->got = 0;
    }
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = { .prepare = prepare, .check = check, .dispatch = dispatch };

bool user_poll_init(struct user *u, GError **err)
{
    u->fds = g_array_new(FALSE, TRUE, sizeof(struct user_fd));
    u->asked = g_array_new(FALSE, FALSE, sizeof(int));
    u->asked_before = g_array_new(FALSE, FALSE, sizeof(int));
    u->epoll = epoll_create1(EPOLL_CLOEXEC);
    return u->epoll >= 0 || error_set(err, EMU_ERROR_HOST, "epoll: %s", g_strerror(errno));
}

void user_poll_start(struct user *u)
{
    u->source = g_source_new(&source_funcs, sizeof(struct user_source));
    ((struct user_source *)u->source)->u = u;
    ((struct user_source *)u->source)->tag = g_source_add_unix_fd(u->source, u->epoll, G_IO_IN);
    g_source_set_name(u->source, "slirp");
    g_source_attach(u->source, NULL);
}

void user_poll_stop(struct user *u)
{
    if (u->source) {
        g_source_destroy(u->source);
        g_source_unref(u->source);
        u->source = NULL;
    }
}

/* After slirp_cleanup(), which still tells of the sockets that it closes. */
void user_poll_free(struct user *u)
{
    if (u->fds) {
        g_array_free(u->fds, TRUE);
        g_array_free(u->asked, TRUE);
        g_array_free(u->asked_before, TRUE);
        if (u->epoll >= 0) {
            close(u->epoll);
        }
    }
}

/* In the main loop's own thread prepare() comes anyway before it sleeps. */
void user_wake(struct user *u)
{
    (void)u;
    if (!g_main_context_is_owner(NULL)) {
        g_main_context_wakeup(NULL);
    }
}

void user_notify(void *opaque) { user_wake(opaque); }

/* --- timers --- */

struct user_timer {
    SlirpTimerCb fire;
    void *opaque;
    guint source;
};

int64_t user_clock(void *opaque)
{
    (void)opaque;
    return g_get_monotonic_time() * 1000;
}

void *user_timer_new(SlirpTimerCb fire, void *fire_opaque, void *opaque)
{
    struct user_timer *t = g_new0(struct user_timer, 1);

    (void)opaque;
    t->fire = fire;
    t->opaque = fire_opaque;
    return t;
}

static gboolean fired(gpointer opaque)
{
    struct user_timer *t = opaque;

    t->source = 0;
    t->fire(t->opaque);
    return G_SOURCE_REMOVE;
}

void user_timer_mod(void *timer, int64_t ms, void *opaque)
{
    struct user_timer *t = timer;
    int64_t wait = ms - user_clock(opaque) / 1000000;

    if (t->source) {
        g_source_remove(t->source);
    }
    t->source = g_timeout_add((guint)CLAMP(wait, 0, INT32_MAX), fired, t);
}

void user_timer_free(void *timer, void *opaque)
{
    struct user_timer *t = timer;

    (void)opaque;
    if (t->source) {
        g_source_remove(t->source);
    }
    g_free(t);
}
