/*
 * VNC server on libvncserver. Viewers are served by threads of the library's, from a picture of our own: the main loop copies what has really
 * changed into it and goes on, however slow a viewer is. Viewers' events come back through a queue. Connections are accepted by a thread too: the
 * library waits for a websocket greeting there.
 *
 * The picture lies in address space reserved once for the largest size, so that a viewer's thread that still encodes the old size reads mapped memory.
 * Left out: TLS, SASL, audio, clipboard, several servers that show different heads.
 * Spec: RFC 6143; the community's rfbproto.rst for extended desktop size and extended key events.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <rfb/rfb.h>
#include <rfb/rfbregion.h>
#include <rfb/threading.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/options.h"
#include "ui/vnc_priv.h"

enum { LISTEN_MAX = 8, PORT_BASE = 5900, EVENTS_MAX = 1024, TILE_W = 64, TILE_H = 16, STALLED_MS = 600000 };
enum { EXT_KEY_ENCODING = -258, EXT_KEY_MESSAGE = 255 };
#define PICTURE_ROOM ((size_t)UI_MAX_SIZE * UI_MAX_SIZE * 4)

struct vnc {
    struct ui_display display;
    struct ui *ui;
    struct ui_listener listener;
    struct vnc_input input;
    rfbScreenInfoPtr screen;
    uint8_t *picture;                     /* PICTURE_ROOM */
    char *title, *address;
    unsigned chosen;                      /* which console */
    int fd[LISTEN_MAX];
    unsigned n_fds;
    int wake[2];                          /* ends the accepting thread */
    pthread_t acceptor;
    bool accepting, lossy;
    char *socket_path;
    /* shared with viewers' threads */
    pthread_mutex_t mutex;
    struct vnc_event event[EVENTS_MAX];
    unsigned n_events;
    bool scheduled, closed, can_resize, want_password;
    char password[9];
    bool has_password;
    int viewers;
};

/* --- from viewers' threads to the main loop --- */

static void viewers_changed(struct vnc *v);

static gboolean take_events(gpointer opaque)
{
    struct vnc *v = opaque;
    struct vnc_event *e;
    unsigned n;

    pthread_mutex_lock(&v->mutex);
    n = v->n_events;
    e = g_memdup2(v->event, n * sizeof(*e));
    v->n_events = 0;
    v->scheduled = false;
    pthread_mutex_unlock(&v->mutex);
    for (unsigned i = 0; i < n && !v->closed; i++) {
        if (e[i].kind == VNC_VIEWERS) {
            viewers_changed(v);
        } else if (e[i].kind == VNC_SIZE) {
            if (v->input.console) {
                ui_console_wants_size(v->input.console, (int)e[i].a, (int)e[i].b);
            }
        } else {
            vnc_input_event(&v->input, &e[i]);
        }
    }
    g_free(e);
    return G_SOURCE_REMOVE;
}

static void post(struct vnc *v, struct vnc_event e)
{
    struct vnc_event *last;
    GSource *s = NULL;

    pthread_mutex_lock(&v->mutex);
    last = v->n_events ? &v->event[v->n_events - 1] : NULL;
    if (last && last->kind == VNC_POINTER && e.kind == VNC_POINTER && last->buttons == e.buttons) {
        *last = e;                                          /* only the newest position counts */
    } else if (v->n_events < EVENTS_MAX) {
        v->event[v->n_events++] = e;
    }
    if (!v->scheduled && !v->closed) {
        v->scheduled = true;
        s = g_idle_source_new();
        g_source_set_priority(s, G_PRIORITY_DEFAULT);
        g_source_set_callback(s, take_events, v, NULL);
        g_source_attach(s, NULL);
        g_source_unref(s);
    }
    pthread_mutex_unlock(&v->mutex);
}

static struct vnc *vnc_of(rfbClientPtr cl) { return cl->screen->screenData; }

static void on_key(rfbBool down, rfbKeySym sym, rfbClientPtr cl)
{
    post(vnc_of(cl), (struct vnc_event){ VNC_KEYSYM, sym, down ? 1 : 0, 0 });
}

static void on_pointer(int buttons, int x, int y, rfbClientPtr cl)
{
    post(vnc_of(cl), (struct vnc_event){ VNC_POINTER, (uint32_t)MAX(x, 0), (uint32_t)MAX(y, 0), (uint32_t)buttons });
}

static int on_size(int width, int height, int n, struct rfbExtDesktopScreen *screens, rfbClientPtr cl)
{
    struct vnc *v = vnc_of(cl);
    bool ok;

    (void)n, (void)screens;
    pthread_mutex_lock(&v->mutex);
    ok = v->can_resize;
    pthread_mutex_unlock(&v->mutex);
    if (!ok) {
        return rfbExtDesktopSize_ResizeProhibited;
    }
    if (width < 1 || height < 1 || width > UI_MAX_SIZE || height > UI_MAX_SIZE) {
        return rfbExtDesktopSize_InvalidScreenLayout;
    }
    post(v, (struct vnc_event){ VNC_SIZE, (uint32_t)width, (uint32_t)height, 0 });
    return rfbExtDesktopSize_Success;                       /* the guest decides; the viewer hears of the size it takes */
}

/* --- extended key events: key codes beside keysyms --- */

static rfbBool ext_new_client(rfbClientPtr cl, void **data)
{
    (void)cl, (void)data;
    return TRUE;
}

/* The viewer offers it; a rectangle of that encoding says yes. */
static rfbBool ext_enable(rfbClientPtr cl, void **data, int encoding)
{
    struct {
        rfbFramebufferUpdateMsg head;
        rfbFramebufferUpdateRectHeader rect;
    } __attribute__((packed)) msg;

    (void)data;
    if (encoding != EXT_KEY_ENCODING || vnc_of(cl)->input.host->layout_given) {
        return encoding == EXT_KEY_ENCODING;
    }
    memset(&msg, 0, sizeof(msg));
    msg.head.type = rfbFramebufferUpdate;
    msg.head.nRects = Swap16IfLE(1);
    msg.rect.encoding = Swap32IfLE((uint32_t)EXT_KEY_ENCODING);
    LOCK(cl->sendMutex);
    rfbWriteExact(cl, (char *)&msg, sizeof(msg));
    UNLOCK(cl->sendMutex);
    return TRUE;
}

static rfbBool ext_message(rfbClientPtr cl, void *data, const rfbClientToServerMsg *msg)
{
    uint8_t b[11];                                          /* sub-type, down (16), keysym (32), key code (32) */
    uint32_t code, sym;

    (void)data;
    if (msg->type != EXT_KEY_MESSAGE) {
        return FALSE;
    }
    if (rfbReadExact(cl, (char *)b, sizeof(b)) <= 0 || b[0] != 0) {
        rfbCloseClient(cl);
        return TRUE;
    }
    sym = (uint32_t)b[3] << 24 | (uint32_t)b[4] << 16 | (uint32_t)b[5] << 8 | b[6];
    code = (uint32_t)b[7] << 24 | (uint32_t)b[8] << 16 | (uint32_t)b[9] << 8 | b[10];
    if (code && code < 0x100 && !vnc_of(cl)->input.host->layout_given) {
        post(vnc_of(cl), (struct vnc_event){ VNC_KEYCODE, code, b[1] | b[2], 0 });
    } else {
        post(vnc_of(cl), (struct vnc_event){ VNC_KEYSYM, sym, b[1] | b[2], 0 });
    }
    return TRUE;
}

static int ext_encodings[] = { EXT_KEY_ENCODING, 0 };
/* The library links it into a list of its own. */
static rfbProtocolExtension ext_key = { .newClient = ext_new_client, .pseudoEncodings = ext_encodings, .enablePseudoEncoding = ext_enable,
                                        .handleMessage = ext_message };

/* --- viewers --- */

static void count(struct vnc *v, int by)
{
    pthread_mutex_lock(&v->mutex);
    v->viewers += by;
    pthread_mutex_unlock(&v->mutex);
    post(v, (struct vnc_event){ .kind = VNC_VIEWERS });
}

static void on_gone(rfbClientPtr cl) { count(vnc_of(cl), -1); }

static enum rfbNewClientAction on_client(rfbClientPtr cl)
{
    cl->clientGoneHook = on_gone;
    count(vnc_of(cl), 1);
    return RFB_CLIENT_ON_HOLD;                              /* our thread starts it */
}

static rfbBool on_password(rfbClientPtr cl, const char *response, int len)
{
    struct vnc *v = vnc_of(cl);
    char password[9];
    uint8_t want[CHALLENGESIZE];
    bool has;

    pthread_mutex_lock(&v->mutex);
    has = v->has_password;
    memcpy(password, v->password, sizeof(password));
    pthread_mutex_unlock(&v->mutex);
    if (!has || len != CHALLENGESIZE) {
        return FALSE;
    }
    memcpy(want, cl->authChallenge, CHALLENGESIZE);
    rfbEncryptBytes(want, password);
    return memcmp(want, response, CHALLENGESIZE) == 0;
}

/* Without lossy=on nobody gets JPEG, whatever was asked for. */
static void before_update(rfbClientPtr cl)
{
    if (!vnc_of(cl)->lossy) {
        cl->tightQualityLevel = -1;
        cl->turboQualityLevel = -1;
    }
}

static void *accept_loop(void *opaque)
{
    struct vnc *v = opaque;
    struct pollfd p[LISTEN_MAX + 1];

    for (unsigned i = 0; i < v->n_fds; i++) {
        p[i] = (struct pollfd){ .fd = v->fd[i], .events = POLLIN };
    }
    p[v->n_fds] = (struct pollfd){ .fd = v->wake[0], .events = POLLIN };
    for (;;) {
        if (poll(p, v->n_fds + 1, -1) < 0 && errno != EINTR) {
            return NULL;
        }
        if (p[v->n_fds].revents) {
            return NULL;
        }
        for (unsigned i = 0; i < v->n_fds; i++) {
            int fd = p[i].revents ? accept4(v->fd[i], NULL, NULL, SOCK_CLOEXEC) : -1;
            rfbClientPtr cl = fd >= 0 ? rfbNewClient(v->screen, fd) : NULL;

            if (cl && cl->onHold) {
                rfbStartOnHoldClient(cl);
            }
        }
    }
}

/* --- the picture --- */

static void set_size(struct vnc *v, int width, int height)
{
    rfbClientIteratorPtr i;
    rfbClientPtr cl;

    v->screen->width = width;
    v->screen->height = height;
    v->screen->paddedWidthInBytes = width * 4;
    i = rfbGetClientIterator(v->screen);
    while ((cl = rfbClientIteratorNext(i))) {
        LOCK(cl->updateMutex);
        sraRgnDestroy(cl->modifiedRegion);
        cl->modifiedRegion = sraRgnCreateRect(0, 0, width, height);
        sraRgnMakeEmpty(cl->copyRegion);
        cl->copyDX = cl->copyDY = 0;
        cl->newFBSizePending = cl->useNewFBSize || cl->useExtDesktopSize;
        TSIGNAL(cl->updateCond);
        UNLOCK(cl->updateMutex);
    }
    rfbReleaseClientIterator(i);
}

static void on_resized(void *opaque, struct ui_console *c)
{
    struct vnc *v = opaque;
    const struct ui_surface *s = ui_console_surface(c);

    v->input.pointed = false;
    if (s->width != v->screen->width || s->height != v->screen->height) {
        memset(v->picture, 0, (size_t)s->width * 4 * (size_t)s->height);
        set_size(v, s->width, s->height);
    }
}

/* Copies a tile if it differs. */
static bool copy_tile(struct vnc *v, const struct ui_surface *s, int x, int y, int w, int h)
{
    size_t to_stride = (size_t)s->width * 4, n = (size_t)w * 4;
    const uint8_t *from = s->data + (size_t)y * (size_t)s->stride + (size_t)x * 4;
    uint8_t *to = v->picture + (size_t)y * to_stride + (size_t)x * 4;
    bool differs = false;

    for (int k = 0; k < h; k++, from += s->stride, to += to_stride) {
        if (memcmp(to, from, n)) {
            memcpy(to, from, n);
            differs = true;
        }
    }
    return differs;
}

static void on_damaged(void *opaque, struct ui_console *c, const struct ui_rect *r, unsigned n)
{
    struct vnc *v = opaque;
    const struct ui_surface *s = ui_console_surface(c);

    for (unsigned i = 0; i < n; i++) {
        for (int y = r[i].y; y < r[i].y + r[i].h; y += TILE_H) {
            int h = MIN(TILE_H, r[i].y + r[i].h - y), from = -1;

            for (int x = r[i].x; x < r[i].x + r[i].w; x += TILE_W) {
                int w = MIN(TILE_W, r[i].x + r[i].w - x);

                if (copy_tile(v, s, x, y, w, h)) {
                    from = from < 0 ? x : from;
                } else if (from >= 0) {
                    rfbMarkRectAsModified(v->screen, from, y, x, y + h);
                    from = -1;
                }
            }
            if (from >= 0) {
                rfbMarkRectAsModified(v->screen, from, y, r[i].x + r[i].w, y + h);
            }
        }
    }
}

/* --- cursor --- */

static rfbCursorPtr cursor_new(int width, int height, int hot_x, int hot_y)
{
    rfbCursorPtr c = calloc(1, sizeof(*c));
    size_t row = ((size_t)width + 7) / 8;

    c->cleanup = c->cleanupSource = c->cleanupMask = c->cleanupRichSource = TRUE;
    c->width = (unsigned short)width;
    c->height = (unsigned short)height;
    c->xhot = (unsigned short)hot_x;
    c->yhot = (unsigned short)hot_y;
    c->foreRed = c->foreGreen = c->foreBlue = 0xffff;
    c->source = calloc(1, row * (size_t)height);
    c->mask = calloc(1, row * (size_t)height);
    c->richSource = calloc(4, (size_t)width * (size_t)height);
    return c;
}

static void cursor_pixel(rfbCursorPtr c, int x, int y, uint32_t argb)
{
    size_t row = ((size_t)c->width + 7) / 8;

    if (argb >> 24 >= 0x80) {
        c->mask[row * (size_t)y + (size_t)x / 8] |= (unsigned char)(0x80 >> (x & 7));
        if ((argb & 0xff) + (argb >> 8 & 0xff) + (argb >> 16 & 0xff) > 3 * 0x80) {
            c->source[row * (size_t)y + (size_t)x / 8] |= (unsigned char)(0x80 >> (x & 7));
        }
    }
    ((uint32_t *)(void *)c->richSource)[y * c->width + x] = argb & 0xffffff;
}

/* Where the guest has no cursor of its own a dot shows the viewer's place. */
static rfbCursorPtr cursor_dot(void)
{
    rfbCursorPtr c = cursor_new(5, 5, 2, 2);

    for (int y = 0; y < 5; y++) {
        for (int x = 0; x < 5; x++) {
            cursor_pixel(c, x, y, x && y && x < 4 && y < 4 ? 0xff000000 : 0xffffffff);
        }
    }
    return c;
}

static void show_cursor(struct vnc *v, const struct ui_cursor *k, bool visible)
{
    rfbCursorPtr c;

    if (!k) {
        c = cursor_dot();
    } else if (!visible) {
        c = cursor_new(1, 1, 0, 0);
    } else {
        c = cursor_new(k->width, k->height, k->hot_x, k->hot_y);
        for (int y = 0; y < k->height; y++) {
            for (int x = 0; x < k->width; x++) {
                cursor_pixel(c, x, y, k->pixels[y * k->width + x]);
            }
        }
    }
    rfbSetCursor(v->screen, c);
}

static void on_cursor(void *opaque, struct ui_console *c, const struct ui_cursor *cursor)
{
    int x, y;
    bool visible;

    ui_console_cursor(c, &x, &y, &visible);
    show_cursor(opaque, cursor, visible);
}

static void on_cursor_moved(void *opaque, struct ui_console *c, int x, int y, bool visible)
{
    struct vnc *v = opaque;
    int old_x, old_y;
    bool now;
    const struct ui_cursor *k = ui_console_cursor(c, &old_x, &old_y, &now);

    v->screen->cursorX = x;
    v->screen->cursorY = y;
    if (k && (v->screen->cursor->width == 1) == visible) {      /* shown or hidden since */
        show_cursor(v, k, visible);
    }
}

/* --- which console --- */

static void attach(struct vnc *v, struct ui_console *c)
{
    if (v->input.console) {
        ui_unlisten(v->input.console, &v->listener);
    }
    v->input.console = c;
    pthread_mutex_lock(&v->mutex);
    v->can_resize = c && ui_console_can_resize(c);
    pthread_mutex_unlock(&v->mutex);
    if (c) {
        ui_listen(c, &v->listener);
    }
}

static void choose(void *opaque, unsigned n)
{
    struct vnc *v = opaque;

    v->chosen = n;
    attach(v, ui_console_at(v->ui, n));
}

static void consoles_changed(void *opaque)
{
    struct vnc *v = opaque;
    struct ui_console *c = ui_console_at(v->ui, v->chosen) ? ui_console_at(v->ui, v->chosen) : ui_console_at(v->ui, 0);

    if (!v->closed && c != v->input.console) {
        attach(v, c);
    }
}

static void viewers_changed(struct vnc *v)
{
    int n;

    pthread_mutex_lock(&v->mutex);
    n = v->viewers;
    pthread_mutex_unlock(&v->mutex);
    if (!n) {
        vnc_input_release(&v->input);
    }
    ui_listener_look(v->ui, &v->listener, n > 0);
}

/* --- listening --- */

static bool listen_unix(struct vnc *v, const char *path, GError **err)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(a.sun_path)) {
        close(fd);
        return error_set(err, EMU_ERROR_INVALID, "the path of a socket has at most %zu bytes", sizeof(a.sun_path) - 1);
    }
    strcpy(a.sun_path, path);
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 16)) {
        error_set(err, EMU_ERROR_HOST, "%s: %s", path, g_strerror(errno));
        close(fd);
        return false;
    }
    v->fd[v->n_fds++] = fd;
    v->socket_path = g_strdup(path);
    v->address = g_strdup_printf("unix:%s", path);
    return true;
}

/* All addresses of the host at one port. False with errno. */
static bool listen_port(struct vnc *v, const char *host, unsigned port)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *list, *a;
    char service[16];
    unsigned first = v->n_fds;
    int on = 1, why = EADDRNOTAVAIL;

    g_snprintf(service, sizeof(service), "%u", port);
    if (getaddrinfo(*host ? host : NULL, service, &hints, &list)) {
        errno = EADDRNOTAVAIL;
        return false;
    }
    for (a = list; a && v->n_fds < LISTEN_MAX; a = a->ai_next) {
        int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0) {
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (a->ai_family == AF_INET6) {
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
        }
        if (bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, 16)) {
            why = errno;
            close(fd);
            if (why == EADDRINUSE) {                        /* somebody else has this port on one address: take none */
                break;
            }
            continue;
        }
        v->fd[v->n_fds++] = fd;
    }
    freeaddrinfo(list);
    if (why == EADDRINUSE) {
        while (v->n_fds > first) {
            close(v->fd[--v->n_fds]);
        }
    }
    errno = why;
    return v->n_fds > first;
}

static bool listen_tcp(struct vnc *v, const char *text, const struct options *o, GError **err)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *host = colon ? g_strndup(text, (size_t)(colon - text)) : NULL;
    uint64_t n, to = options_uint(o, "to", 0);
    const char *ws = options_string(o, "websocket", NULL);

    if (!colon || !parse_uint(colon + 1, &n, NULL) || n > 65535 - PORT_BASE) {
        return error_set(err, EMU_ERROR_INVALID, "'%s' is no VNC address: HOST:N with the number of a display, or unix:PATH", text);
    }
    if (*host == '[' && host[strlen(host) - 1] == ']') {
        host[strlen(host) - 1] = 0;
        memmove(host, host + 1, strlen(host));
    }
    while (!listen_port(v, host, PORT_BASE + (unsigned)n)) {
        if (errno != EADDRINUSE || n >= to || n >= 65535 - PORT_BASE) {
            return error_set(err, EMU_ERROR_HOST, "cannot listen on %s port %u: %s", *host ? host : "any address", PORT_BASE + (unsigned)n,
                             g_strerror(errno));
        }
        n++;
    }
    v->address = g_strdup_printf("%s:%u", *host ? host : "0.0.0.0", PORT_BASE + (unsigned)n);
    if (ws && strcmp(ws, "off")) {
        uint64_t port = 5700 + n;

        if (strcmp(ws, "on") && (!parse_uint(ws, &port, err) || port > 65535)) {
            return error_prefix(err, "websocket");
        }
        if (!listen_port(v, host, (unsigned)port)) {
            return error_set(err, EMU_ERROR_HOST, "cannot listen on port %u: %s", (unsigned)port, g_strerror(errno));
        }
    }
    return true;
}

/* --- opening and closing --- */

static void quiet(const char *format, ...) { (void)format; }

static void vnc_close(struct ui_display *d)
{
    struct vnc *v = (struct vnc *)d;
    rfbClientIteratorPtr i;
    rfbClientPtr cl;

    pthread_mutex_lock(&v->mutex);
    v->closed = true;
    pthread_mutex_unlock(&v->mutex);
    attach(v, NULL);
    if (v->accepting) {
        if (write(v->wake[1], "", 1) == 1) {
            pthread_join(v->acceptor, NULL);
        }
        i = rfbGetClientIterator(v->screen);
        while ((cl = rfbClientIteratorNext(i))) {
            shutdown(cl->sock, SHUT_RDWR);
        }
        rfbReleaseClientIterator(i);
    }
    for (unsigned k = 0; k < v->n_fds; k++) {
        close(v->fd[k]);
    }
    if (v->socket_path) {
        unlink(v->socket_path);
    }
    /* Viewers' threads end by themselves now; until then they may look at the struct and the picture, so these stay. */
}

static void vnc_state(struct ui_display *d, const char *state) { (void)d, (void)state; }

static void vnc_set_password(struct ui_display *d, const char *password)
{
    struct vnc *v = (struct vnc *)d;

    pthread_mutex_lock(&v->mutex);
    g_strlcpy(v->password, password ? password : "", sizeof(v->password));
    v->has_password = password != NULL;
    pthread_mutex_unlock(&v->mutex);
}

static char *vnc_info(struct ui_display *d)
{
    struct vnc *v = (struct vnc *)d;

    return g_strdup_printf("default:\n  Server: %s (%s)\n    Auth: %s\n  Viewers: %d\n", v->address, g_str_has_prefix(v->address, "unix") ? "unix" : "tcp",
                           v->want_password ? "vnc" : "none", v->viewers);
}

static bool make_screen(struct vnc *v, const struct options *o, GError **err)
{
    const char *share = options_string(o, "share", "allow-exclusive");
    rfbScreenInfoPtr s;

    v->picture = mmap(NULL, PICTURE_ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    rfbLog = quiet;
    rfbErr = quiet;
    s = rfbGetScreen(NULL, NULL, 640, 480, 8, 3, 4);
    if (v->picture == MAP_FAILED || !s) {
        return error_set(err, EMU_ERROR_HOST, "no memory for a VNC server");
    }
    v->screen = s;
    s->screenData = v;
    s->frameBuffer = (char *)v->picture;
    s->serverFormat.redShift = 16;
    s->serverFormat.greenShift = 8;
    s->serverFormat.blueShift = 0;
    s->desktopName = v->title;
    s->autoPort = FALSE;
    s->port = s->ipv6port = 0;
    s->httpDir = NULL;
    s->alwaysShared = !strcmp(share, "force-shared");
    s->dontDisconnect = !strcmp(share, "ignore");
    s->maxClientWait = STALLED_MS;
    s->kbdAddEvent = on_key;
    s->ptrAddEvent = on_pointer;
    s->newClientHook = on_client;
    s->displayHook = before_update;
    s->setDesktopSizeHook = on_size;
    s->backgroundLoop = TRUE;
    s->cursor = NULL;
    rfbSetCursor(s, cursor_dot());
    if (v->want_password) {
        s->authPasswdData = v;
        s->passwordCheck = on_password;
    }
    rfbRegisterProtocolExtension(&ext_key);
    return true;
}

static bool start(struct vnc *v, const char *address, const struct options *o, GError **err)
{
    static const char *const refused[] = { "tls-creds", "sasl", "reverse", "acl", "tls-authz", "sasl-authz" };

    for (unsigned i = 0; i < G_N_ELEMENTS(refused); i++) {
        if (options_has(o, refused[i]) && strcmp(options_string(o, refused[i], "off"), "off")) {
            return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: %s=", refused[i]);
        }
    }
    v->want_password = options_bool(o, "password", false) || options_has(o, "password-secret");
    v->lossy = options_bool(o, "lossy", false);
    if (!make_screen(v, o, err) ||
        !(g_str_has_prefix(address, "unix:") ? listen_unix(v, address + 5, err) : listen_tcp(v, address, o, err))) {
        return false;
    }
    if (pipe(v->wake) || pthread_create(&v->acceptor, NULL, accept_loop, v)) {
        return error_set(err, EMU_ERROR_HOST, "no thread for a VNC server");
    }
    v->accepting = true;
    return true;
}

struct ui_display *ui_vnc_open(struct ui *ui, const char *spec, const struct ui_host *host, GError **err)
{
    static const char *const share[] = { "allow-exclusive", "force-shared", "ignore", NULL };
    static const struct option_desc desc[] = {
        { "address", OPT_STRING, NULL, "HOST:N or unix:PATH", NULL, 0, 0 }, { "to", OPT_UINT, "0", "try displays up to this one", NULL, 0, 59635 },
        { "password", OPT_BOOL, "off", "ask for the password that set_password sets", NULL, 0, 0 },
        { "password-secret", OPT_STRING, NULL, "object with the password", NULL, 0, 0 },
        { "websocket", OPT_STRING, "off", "on, or the port", NULL, 0, 0 }, { "share", OPT_ENUM, "allow-exclusive", "several viewers", share, 0, 0 },
        { "lossy", OPT_BOOL, "off", "JPEG for viewers that ask for it", NULL, 0, 0 },
        { "power-control", OPT_BOOL, "off", "not done", NULL, 0, 0 }, { "audiodev", OPT_STRING, NULL, "not done", NULL, 0, 0 },
        { "non-adaptive", OPT_BOOL, "off", "no matter", NULL, 0, 0 }, { "id", OPT_STRING, NULL, "a name", NULL, 0, 0 },
        { "lock-key-sync", OPT_BOOL, "on", "no matter", NULL, 0, 0 }, { "key-delay-ms", OPT_UINT, "10", "no matter", NULL, 0, 0 },
        { "tls-creds", OPT_STRING, NULL, "not supported", NULL, 0, 0 }, { "sasl", OPT_STRING, NULL, "not supported", NULL, 0, 0 },
        { "reverse", OPT_STRING, NULL, "not supported", NULL, 0, 0 }, { "acl", OPT_STRING, NULL, "not supported", NULL, 0, 0 },
        { "tls-authz", OPT_STRING, NULL, "not supported", NULL, 0, 0 }, { "sasl-authz", OPT_STRING, NULL, "not supported", NULL, 0, 0 },
        { 0 },
    };
    struct options *o = options_parse(spec, "address", desc, err);
    struct vnc *v;
    bool ok;

    if (!o) {
        return NULL;
    }
    v = g_new0(struct vnc, 1);
    v->display = (struct ui_display){ vnc_close, vnc_state, vnc_info, NULL };
    v->ui = ui;
    v->title = g_strdup_printf("QEMU (%s)", host->title);
    v->input = (struct vnc_input){ .ui = ui, .host = host, .choose = choose, .opaque = v };
    v->listener = (struct ui_listener){ on_resized, on_damaged, on_cursor, on_cursor_moved, v, false };
    pthread_mutex_init(&v->mutex, NULL);
    ok = start(v, options_string(o, "address", ""), o, err);
    options_free(o);
    if (!ok) {
        vnc_close(&v->display);
        return NULL;
    }
    if (v->want_password) {
        v->display.set_password = vnc_set_password;
    }
    ui_on_change(ui, consoles_changed, v);
    consoles_changed(v);
    fprintf(stderr, "VNC server running on %s\n", v->address);
    return &v->display;
}
