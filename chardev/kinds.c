/*
 * The kinds of character devices and how users name them: options as -chardev has them, and the short forms of -serial. See chardev/chardev.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "chardev/chardev_priv.h"

#define PATH_OPTION { "path", OPT_STRING, NULL, "where", NULL, 0, 0 }
/* What every kind has. */
#define COMMON_OPTIONS \
    { "logfile", OPT_STRING, NULL, "a file that gets all that is written", NULL, 0, 0 }, \
    { "logappend", OPT_BOOL, "off", "keep what that file holds", NULL, 0, 0 }, \
    { "mux", OPT_BOOL, "off", "several fronts share it; Ctrl-a chooses", NULL, 0, 0 }, { 0 }

static const struct option_desc no_options[] = { COMMON_OPTIONS };
static const struct option_desc stdio_options[] = {
    { "signal", OPT_BOOL, "on", "Ctrl-C, Ctrl-Z and Ctrl-\\ act on the emulator, not the guest", NULL, 0, 0 }, COMMON_OPTIONS };
static const struct option_desc file_options[] = {
    PATH_OPTION, { "append", OPT_BOOL, "off", "keep what the file holds", NULL, 0, 0 }, COMMON_OPTIONS };
static const struct option_desc path_options[] = { PATH_OPTION, COMMON_OPTIONS };
static const struct option_desc fd_options[] = { { "fd", OPT_UINT, NULL, "number of an open descriptor", NULL, 0, 0xffff }, COMMON_OPTIONS };
static const struct option_desc ringbuf_options[] = {
    { "size", OPT_SIZE, "65536", "bytes kept, a power of two", NULL, 1, 1u << 30 }, COMMON_OPTIONS };
static const struct option_desc socket_options[] = {
    PATH_OPTION,
    { "abstract", OPT_BOOL, "off", "the path is a name of Linux's abstract space", NULL, 0, 0 },
    { "tight", OPT_BOOL, "on", "and not padded", NULL, 0, 0 },
    { "host", OPT_STRING, NULL, "name or address", NULL, 0, 0 },
    { "port", OPT_STRING, NULL, "number or name of a service", NULL, 0, 0 },
    { "to", OPT_UINT, NULL, "servers: last port to try", NULL, 0, 65535 },
    { "ipv4", OPT_BOOL, NULL, "use IPv4", NULL, 0, 0 },
    { "ipv6", OPT_BOOL, NULL, "use IPv6", NULL, 0, 0 },
    { "fd", OPT_UINT, NULL, "an open socket, listening with server=on", NULL, 0, 0xffff },
    { "server", OPT_BOOL, "off", "listen instead of connecting", NULL, 0, 0 },
    { "wait", OPT_BOOL, "on", "servers: wait for the first client before starting", NULL, 0, 0 },
    { "nodelay", OPT_BOOL, "off", "send small packets at once", NULL, 0, 0 },
    { "delay", OPT_BOOL, "on", "the opposite", NULL, 0, 0 },
    { "telnet", OPT_BOOL, "off", "speak telnet", NULL, 0, 0 },
    { "websocket", OPT_BOOL, "off", "speak WebSocket", NULL, 0, 0 },
    { "tn3270", OPT_BOOL, "off", "speak TN3270", NULL, 0, 0 },
    { "reconnect", OPT_UINT, "0", "clients: seconds until the next attempt, 0 for none", NULL, 0, 86400 },
    { "tls-creds", OPT_STRING, NULL, "TLS", NULL, 0, 0 },
    { "tls-authz", OPT_STRING, NULL, "TLS", NULL, 0, 0 },
    COMMON_OPTIONS };

static const struct kind {
    const char *name, *alias;
    struct chardev *(*open)(const struct options *o, GError **err);
    const struct option_desc *options;
    const char *needs;            /* the option that must be there */
} kinds[] = {
    { "null", NULL, null_open, no_options, NULL },
    { "socket", NULL, socket_open, socket_options, NULL },
    { "stdio", NULL, stdio_open, stdio_options, NULL },
    { "pty", NULL, pty_open, no_options, NULL },
    { "file", NULL, file_open, file_options, "path" },
    { "pipe", NULL, pipe_open, path_options, "path" },
    { "serial", "tty", tty_open, path_options, "path" },
    { "ringbuf", "memory", ringbuf_open, ringbuf_options, NULL },
    { "fd", NULL, fd_open, fd_options, "fd" },
};

/* Known to QEMU's users, not built. */
static const char *const refused[] = { "udp", "vc", "braille", "msmouse", "wctablet", "spicevmc", "spiceport", "parallel", "parport", "console",
                                       "testdev", "qemu-vdagent", "dbus", "tn3270", NULL };

void chardev_help(FILE *out)
{
    fprintf(out, "Available chardev backend types: \n");
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        fprintf(out, "  %s\n", kinds[i].name);
    }
}

static const struct kind *kind_find(const char *name, GError **err)
{
    const char *names[G_N_ELEMENTS(kinds) + 1] = { 0 };

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        names[i] = kinds[i].name;
        if (!strcmp(name, kinds[i].name) || !g_strcmp0(name, kinds[i].alias)) {
            return &kinds[i];
        }
    }
    if (g_strv_contains(refused, name)) {
        error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: character device '%s'", name);
    } else {
        error_unknown(err, "character device", name, names, "-chardev help");
    }
    return NULL;
}

/* A member of a pair that kind tables do not know. */
static bool is_head(const char *key) { return !strcmp(key, "backend") || !strcmp(key, "id"); }

static bool log_open(struct chardev *c, const struct options *o, GError **err)
{
    const char *path = options_string(o, "logfile", NULL);

    if (path) {
        c->log = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | (options_bool(o, "logappend", false) ? O_APPEND : O_TRUNC), 0666);
        return c->log >= 0 || error_set(err, EMU_ERROR_HOST, "Unable to open logfile %s: %s", path, g_strerror(errno));
    }
    return true;
}

/* "nowait", "nodelay" were written for wait=off, nodelay=on: the table says which it is. */
static bool take_pair(struct options *o, const char *key, const char *value, const struct option_desc *desc, GError **err)
{
    bool known = false, opposite = false;

    for (const struct option_desc *d = desc; d->name; d++) {
        known = known || !strcmp(d->name, key);
        opposite = opposite || (g_str_has_prefix(key, "no") && !strcmp(d->name, key + 2) && d->type == OPT_BOOL);
    }
    return !known && opposite && !strcmp(value, "on") ? options_add(o, key + 2, "off", desc, err) : options_add(o, key, value, desc, err);
}

struct chardev *chardev_open_options(const struct options *given, GError **err)
{
    const char *name = options_string(given, "backend", NULL), *key, *value;
    const struct kind *k = name ? kind_find(name, err) : NULL;
    struct options *o;
    struct chardev *c = NULL;
    bool ok = true;

    if (!k) {
        if (!name) {
            error_set(err, EMU_ERROR_INVALID, "chardev: no backend is named");
        }
        return NULL;
    }
    o = options_parse("", NULL, NULL, NULL);
    for (unsigned i = 0; ok && i < options_count(given); i++) {
        options_at(given, i, &key, &value);
        ok = is_head(key) || take_pair(o, key, value, k->options, err);
    }
    if (ok && k->needs && (!options_has(o, k->needs) || !*options_string(o, k->needs, ""))) {
        ok = error_set(err, EMU_ERROR_INVALID, "chardev: %s: no %s given", k->name, !strcmp(k->needs, "path") ? "filename" : k->needs);
    }
    c = ok ? k->open(o, err) : NULL;
    if (c && !log_open(c, o, err)) {
        chardev_close(c);
        c = NULL;
    }
    options_free(o);
    return c;
}

/* --- short forms --- */

static void set(struct options *o, const char *key, const char *value) { options_add(o, key, value, NULL, NULL); }

/* "[HOST]:PORT", the host perhaps in brackets. */
static bool take_address(struct options *o, const char *address, GError **err)
{
    const char *colon = strrchr(address, ':');
    g_autofree char *host = NULL;

    if (!colon || !colon[1]) {
        return error_set(err, EMU_ERROR_INVALID, "'%s' is not [HOST]:PORT", address);
    }
    host = g_strndup(address, (gsize)(colon - address));
    if (host[0] == '[' && g_str_has_suffix(host, "]")) {
        host[strlen(host) - 1] = 0;
        memmove(host, host + 1, strlen(host));
    }
    set(o, "host", host);
    set(o, "port", colon + 1);
    return true;
}

/* What stands before the colon, and which options it means; value: the option that takes what follows, up to a comma. */
static const struct {
    const char *prefix, *backend, *value, *flag;
} forms[] = {
    { "unix:", "socket", "path", NULL }, { "tcp:", "socket", NULL, NULL }, { "telnet:", "socket", NULL, "telnet" },
    { "websocket:", "socket", NULL, "websocket" }, { "file:", "file", "path", NULL }, { "pipe:", "pipe", "path", NULL },
    { "fd:", "fd", "fd", NULL }, { "/dev/", "serial", "path", NULL }, { "memory:", "ringbuf", NULL, NULL }, { "ringbuf:", "ringbuf", NULL, NULL },
};

/* A bare word or "word,options". */
static struct options *plain_form(const char *spec, GError **err)
{
    g_autofree char *word = g_strndup(spec, strcspn(spec, ":,"));
    const struct kind *k = kind_find(word, err);

    if (!k) {
        return NULL;
    }
    if (k->needs) {
        error_set(err, EMU_ERROR_INVALID, "'%s' needs a %s: %s:%s", spec, k->needs, word, k->needs);
        return NULL;
    }
    return options_parse(spec, "backend", NULL, err);
}

static struct options *parse_short(const char *spec, GError **err)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(forms); i++) {
        size_t len = strlen(forms[i].prefix), end;
        const char *rest = spec + (forms[i].prefix[0] == '/' ? 0 : len);
        struct options *o;
        bool ok = true;

        if (strncmp(spec, forms[i].prefix, len)) {
            continue;
        }
        for (end = 0; rest[end] && rest[end] != ','; end += rest[end] == ',' ? 2 : 1) {
        }
        o = options_parse(rest[end] ? rest + end + 1 : "", NULL, NULL, err);
        if (!o) {
            return NULL;
        }
        g_autofree char *value = g_strndup(rest, end);
        set(o, "backend", forms[i].backend);
        if (forms[i].flag) {
            set(o, forms[i].flag, "on");
        }
        if (!*value) {
            ok = error_set(err, EMU_ERROR_INVALID, "'%s' needs a %s: %s%s", spec, forms[i].value ? forms[i].value : "port", forms[i].prefix,
                           forms[i].value ? forms[i].value : "[HOST]:PORT");
        } else if (forms[i].value) {
            set(o, forms[i].value, value);
        } else if (!strcmp(forms[i].backend, "socket")) {
            ok = take_address(o, value, err);
        } else {
            set(o, "size", value);
        }
        if (ok) {
            return o;
        }
        options_free(o);
        return NULL;
    }
    return plain_form(spec, err);
}

struct options *chardev_options(const char *spec, GError **err)
{
    GError *why = NULL;
    struct options *o = parse_short(spec, &why);
    /* A kind that nobody knows is no context. */
    bool plain = why && (why->code == EMU_ERROR_NOT_FOUND || why->code == EMU_ERROR_NOT_SUPPORTED);

    if (!o) {
        g_propagate_error(err, why);
    }
    if (!o && !plain) {
        error_prefix(err, "character device '%s'", spec);
    }
    return o;
}

struct chardev *chardev_open(const char *spec, GError **err)
{
    struct options *o = chardev_options(spec, err);
    struct chardev *c = o ? chardev_open_options(o, err) : NULL;

    if (o && !c) {
        error_prefix(err, "character device '%s'", spec);
    }
    options_free(o);
    return c;
}
