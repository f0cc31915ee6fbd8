/*
 * Sources of random numbers. See core/rng.h.
 */
#include "core/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/error.h"
#include "base/options.h"

enum { MOST = 65536 };

const char rng_ops[] = "rng";

struct rng {
    struct object object;
    int fd;                       /* -1: the kernel's generator */
};

struct rng_request {
    struct rng *rng;
    size_t len;
    void (*got)(void *opaque, const uint8_t *bytes, size_t len);
    void *opaque;
    guint source;
};

static bool serve(struct rng_request *r)
{
    uint8_t *buf = g_malloc(r->len);
    ssize_t n = r->rng->fd < 0 ? getrandom(buf, r->len, 0) : read(r->rng->fd, buf, r->len);
    struct rng_request done = *r;

    if (n > 0) {
        r->rng->object.users--;
        g_free(r);
        done.got(done.opaque, buf, (size_t)n);
    }
    g_free(buf);
    return n > 0;
}

static gboolean ready(gint fd, GIOCondition condition, gpointer opaque)
{
    (void)fd, (void)condition;
    return !serve(opaque);
}

static gboolean idle(gpointer opaque) { return !serve(opaque); }

struct rng_request *rng_ask(struct object *source, size_t len, void (*got)(void *opaque, const uint8_t *bytes, size_t len), void *opaque)
{
    struct rng_request *r = g_new0(struct rng_request, 1);

    *r = (struct rng_request){ .rng = (struct rng *)source, .len = MIN(len, (size_t)MOST), .got = got, .opaque = opaque };
    source->users++;
    r->source = r->rng->fd < 0 ? g_idle_add_full(G_PRIORITY_DEFAULT, idle, r, NULL) : g_unix_fd_add(r->rng->fd, G_IO_IN, ready, r);
    return r;
}

void rng_cancel(struct rng_request *r)
{
    if (r) {
        g_source_remove(r->source);
        r->rng->object.users--;
        g_free(r);
    }
}

static bool random_init(struct object *o, GError **err)
{
    const char *path = options_string(o->options, "filename", "/dev/urandom");

    ((struct rng *)o)->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    return ((struct rng *)o)->fd >= 0 || error_set(err, EMU_ERROR_HOST, "Could not open '%s': %s", path, g_strerror(errno));
}

static void random_fini(struct object *o) { close(((struct rng *)o)->fd); }

static bool builtin_init(struct object *o, GError **err)
{
    (void)err;
    ((struct rng *)o)->fd = -1;
    return true;
}

static const struct option_desc random_options[] = {
    { "filename", OPT_STRING, "/dev/urandom", "where the bytes come from", NULL, 0, 0 }, { 0 },
};

const struct object_type rng_random_type = {
    .name = "rng-random", .desc = "random numbers from a file or device", .options = random_options, 
    .size = sizeof(struct rng), .init = random_init, .fini = random_fini, .ops = rng_ops,
};
const struct object_type rng_builtin_type = {
    .name = "rng-builtin", .desc = "random numbers from the host kernel", .size = sizeof(struct rng), .init = builtin_init, .ops = rng_ops,
};
