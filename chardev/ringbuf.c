/*
 * ringbuf: the last bytes written, kept in memory for the monitor to read.
 */
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "chardev/chardev_priv.h"

struct ringbuf {
    uint8_t *bytes;
    size_t size, written, taken;      /* counts since the start; size: a power of two */
};

static size_t ringbuf_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    struct ringbuf *r = c->data;

    for (size_t i = 0; i < len; i++) {
        r->bytes[r->written++ & (r->size - 1)] = buf[i];
    }
    r->taken = MAX(r->taken, r->written > r->size ? r->written - r->size : 0);
    return len;
}

static void ringbuf_close(struct chardev *c)
{
    struct ringbuf *r = c->data;

    g_free(r->bytes);
    g_free(r);
}

static const struct chardev_backend ringbuf_backend = { .write = ringbuf_write, .close = ringbuf_close };

struct chardev *ringbuf_open(const struct options *o, GError **err)
{
    size_t size = (size_t)options_uint(o, "size", 65536);
    struct ringbuf *r;
    struct chardev *c;

    if (!size || size & (size - 1)) {
        error_set(err, EMU_ERROR_INVALID, "size of ringbuf chardev must be power of two");
        return NULL;
    }
    r = g_new0(struct ringbuf, 1);
    r->size = size;
    r->bytes = g_malloc(size);
    c = chardev_alloc(&ringbuf_backend, "ringbuf");
    c->data = r;
    c->connected = true;
    return c;
}

bool ringbuf_put(struct chardev *c, const uint8_t *buf, size_t len)
{
    return c->ops == &ringbuf_backend && ringbuf_write(c, buf, len) == len;
}

bool ringbuf_take(struct chardev *c, size_t len, GString *out)
{
    struct ringbuf *r = c->data;

    if (c->ops != &ringbuf_backend) {
        return false;
    }
    for (; len && r->taken < r->written; len--) {
        g_string_append_c(out, (gchar)r->bytes[r->taken++ & (r->size - 1)]);
    }
    return true;
}
