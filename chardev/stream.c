/*
 * Streams over file descriptors: what stdio, files, pipes, ptys and sockets share, and those of them that need no more.
 *
 * Reading: an fd is watched only while the front can take bytes, so that a slow guest holds its input back in the host's
 * buffers. Writing: descriptors are non-blocking; what does not go makes the stream watch for room.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/error.h"
#include "base/options.h"
#include "chardev/chardev_priv.h"

static void unwatch(guint *watch)
{
    if (*watch) {
        g_source_remove(*watch);
        *watch = 0;
    }
}

static void input_ended(struct chardev *c)
{
    unwatch(&c->watch_in);
    if (c->hung_up) {
        c->hung_up(c);
    } else {
        c->in_ended = true;
    }
}

static gboolean readable(gint fd, GIOCondition cond, gpointer opaque)
{
    struct chardev *c = opaque;
    uint8_t buf[4096];
    size_t room = MIN(chardev_can_take(c), sizeof(buf));
    ssize_t n;

    (void)cond;
    if (!room) {
        c->watch_in = 0;
        return G_SOURCE_REMOVE;      /* stream_kick() watches again */
    }
    n = read(fd, buf, room);
    if (n > 0) {
        c->dropped = false;
        room = c->filter ? c->filter->decode(c, buf, (size_t)n) : (size_t)n;
        if (c->dropped) {
            return G_SOURCE_REMOVE;
        }
        if (room) {
            chardev_take(c, buf, room);
        }
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        input_ended(c);
    }
    return G_SOURCE_CONTINUE;
}

void stream_kick(struct chardev *c)
{
    if (!c->watch_in && c->in >= 0 && !c->in_ended && c->connected && chardev_can_take(c)) {
        c->watch_in = g_unix_fd_add(c->in, G_IO_IN | G_IO_HUP | G_IO_ERR, readable, c);
    }
}

static bool flush(struct chardev *c);

static gboolean room_again(gint fd, GIOCondition cond, gpointer opaque)
{
    struct chardev *c = opaque;

    (void)fd;
    (void)cond;
    c->watch_out = 0;
    if (flush(c)) {
        chardev_writable(c);
    }
    return G_SOURCE_REMOVE;
}

static size_t put(struct chardev *c, const uint8_t *buf, size_t len)
{
    ssize_t n;

    do {
        n = c->is_socket ? send(c->out, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) : write(c->out, buf, len);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        if (errno != EAGAIN) {
            return len;              /* nobody reads any more; input tells when that is final */
        }
        n = 0;
    }
    if ((size_t)n < len && !c->watch_out) {
        c->watch_out = g_unix_fd_add(c->out, G_IO_OUT | G_IO_ERR | G_IO_HUP, room_again, c);
    }
    return (size_t)n;
}

/* What the filter made of earlier writes. True: it is all out. */
static bool flush(struct chardev *c)
{
    size_t n;

    if (!c->pending || !c->pending->len || c->out < 0) {
        return true;
    }
    n = put(c, c->pending->data, c->pending->len);
    g_byte_array_remove_range(c->pending, 0, (guint)n);
    return !c->pending->len;
}

size_t stream_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    if (!c->filter) {
        return put(c, buf, len);
    }
    if (!flush(c)) {
        return 0;
    }
    len = MIN(len, (size_t)4096);
    c->filter->encode(c, buf, len);
    flush(c);
    return len;
}

void stream_send_raw(struct chardev *c, const void *bytes, size_t len)
{
    g_byte_array_append(c->pending, bytes, (guint)len);
    flush(c);
}

void stream_drop(struct chardev *c)
{
    c->dropped = true;
    if (c->pending) {
        g_byte_array_unref(c->pending);
        c->pending = NULL;
    }
    g_free(c->filter_data);
    c->filter_data = NULL;
    c->filter = NULL;
    unwatch(&c->watch_in);
    unwatch(&c->watch_out);
    if (c->in >= 0) {
        close(c->in);
    }
    if (c->out >= 0 && c->out != c->in) {
        close(c->out);
    }
    c->in = c->out = -1;
}

void stream_close(struct chardev *c)
{
    stream_drop(c);
}

const struct chardev_backend stream_backend = { .write = stream_write, .kick = stream_kick, .close = stream_close };

/*
 * A non-blocking descriptor for the same file. Setting O_NONBLOCK on an inherited one would reach the shell and
 * everybody else who shares it, so terminals and pipes are opened anew; files never block, sockets have MSG_DONTWAIT.
 */
static int own_output(int fd, bool *is_socket)
{
    char path[64];
    struct stat st;
    int own = -1;

    *is_socket = false;
    if (fstat(fd, &st) == 0) {
        *is_socket = S_ISSOCK(st.st_mode);
        if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)) {
            g_snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
            own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        }
    }
    return own >= 0 ? own : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

struct chardev *stdio_open(const struct options *o, GError **err)
{
    static bool taken;     /* the process has one standard input */
    struct chardev *c;

    if (taken) {
        error_set(err, EMU_ERROR_INVALID, "standard input and output are in use already; mon:stdio shares them");
        return NULL;
    }
    taken = true;
    c = chardev_alloc(&stream_backend, "stdio");
    c->in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    c->out = own_output(STDOUT_FILENO, &c->is_socket);
    c->connected = true;
    if (isatty(STDIN_FILENO)) {
        terminal_raw(options_bool(o, "signal", true));
    }
    return c;
}

struct chardev *fd_open(const struct options *o, GError **err)
{
    int fd = (int)options_uint(o, "fd", 0);
    struct chardev *c;

    if (fcntl(fd, F_GETFD) < 0) {
        error_set(err, EMU_ERROR_HOST, "%s", g_strerror(errno));
        return NULL;
    }
    c = chardev_alloc(&stream_backend, "fd");
    c->in = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    c->out = own_output(fd, &c->is_socket);
    c->connected = true;
    return c;
}

struct chardev *file_open(const struct options *o, GError **err)
{
    const char *path = options_string(o, "path", "");
    bool append = options_bool(o, "append", false);
    struct chardev *c;
    char *name;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (append ? O_APPEND : O_TRUNC), 0666);

    if (fd < 0) {
        error_set(err, EMU_ERROR_HOST, "cannot write '%s': %s", path, g_strerror(errno));
        return NULL;
    }
    name = g_strdup_printf("file:%s", path);
    c = chardev_alloc(&stream_backend, name);
    c->out = fd;
    c->connected = true;
    g_free(name);
    return c;
}

/* PATH.in and PATH.out as seen by the guest where they exist, else PATH for both directions. */
struct chardev *pipe_open(const struct options *o, GError **err)
{
    const char *path = options_string(o, "path", "");
    char *in_name = g_strconcat(path, ".in", NULL), *out_name = g_strconcat(path, ".out", NULL);
    int flags = O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int in = open(in_name, flags), out = open(out_name, flags);
    struct chardev *c = NULL;
    char *name;

    if (in < 0 || out < 0) {
        if (in >= 0 || out >= 0) {
            close(MAX(in, out));
        }
        in = out = open(path, flags);
    }
    if (in < 0) {
        error_set(err, EMU_ERROR_HOST, "cannot open '%s' or '%s' and '%s': %s", path, in_name, out_name, g_strerror(errno));
    } else {
        name = g_strdup_printf("pipe:%s", path);
        c = chardev_alloc(&stream_backend, name);
        c->in = in;
        c->out = out;
        c->connected = true;
        g_free(name);
    }
    g_free(in_name);
    g_free(out_name);
    return c;
}

/* --- pty: connected while somebody has the slave side open; the kernel says so only when asked --- */

enum { PTY_LOOK_MS = 250 };

static gboolean pty_look(gpointer opaque)
{
    struct chardev *c = opaque;
    GPollFD fd = { .fd = c->in, .events = G_IO_OUT };

    if (g_poll(&fd, 1, 0) < 0 || (fd.revents & G_IO_HUP)) {
        return G_SOURCE_CONTINUE;
    }
    c->data = NULL;
    chardev_set_connected(c, true);
    stream_kick(c);
    return G_SOURCE_REMOVE;
}

static void pty_hung_up(struct chardev *c)
{
    unwatch(&c->watch_out);
    c->data = GUINT_TO_POINTER(g_timeout_add(PTY_LOOK_MS, pty_look, c));
    chardev_set_connected(c, false);
}

static void pty_close(struct chardev *c)
{
    guint timer = GPOINTER_TO_UINT(c->data);

    unwatch(&timer);
    stream_drop(c);
}

static const struct chardev_backend pty_backend = { .write = stream_write, .kick = stream_kick, .close = pty_close };

struct chardev *pty_open(const struct options *o, GError **err)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), slave;
    char path[128], *name;
    struct termios tio;
    struct chardev *c;

    (void)o;
    if (master < 0 || grantpt(master) || unlockpt(master) || ptsname_r(master, path, sizeof(path))) {
        error_set(err, EMU_ERROR_HOST, "no pseudo terminal: %s", g_strerror(errno));
        if (master >= 0) {
            close(master);
        }
        return NULL;
    }
    slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave >= 0) {
        if (tcgetattr(slave, &tio) == 0) {
            cfmakeraw(&tio);
            tcsetattr(slave, TCSAFLUSH, &tio);
        }
        close(slave);
    }
    name = g_strdup_printf("pty:%s", path);
    c = chardev_alloc(&pty_backend, name);
    g_free(name);
    c->in = c->out = master;
    c->hung_up = pty_hung_up;
    c->data = GUINT_TO_POINTER(g_timeout_add(PTY_LOOK_MS, pty_look, c));
    return c;
}

/* A serial line of the host, raw; its speed is left as it is. */
struct chardev *tty_open(const struct options *o, GError **err)
{
    const char *path = options_string(o, "path", "");
    int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    struct termios tio;
    struct chardev *c;

    if (fd < 0) {
        error_set(err, EMU_ERROR_HOST, "Could not open '%s': %s", path, g_strerror(errno));
        return NULL;
    }
    if (tcgetattr(fd, &tio) == 0) {
        cfmakeraw(&tio);
        tcsetattr(fd, TCSANOW, &tio);
    }
    c = chardev_alloc(&stream_backend, path);
    c->in = c->out = fd;
    c->connected = true;
    return c;
}
