/*
 * Streams of the machine: see main/consoles.h.
 */
#include "main/consoles.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "chardev/chardev.h"
#include "core/machine.h"
#include "main/builtin.h"
#include "main/config.h"
#include "monitor/monitor.h"

enum { SERIAL_MAX = 4, MONITOR_MAX = 6 };

struct consoles {
    struct machine *machine;
    GPtrArray *owned;                     /* struct chardev * that are nobody else's */
    GPtrArray *muxes;                     /* struct chardev_mux * */
    struct chardev *stream[MONITOR_MAX];  /* of the monitors */
    struct monitor *monitor[MONITOR_MAX];
    unsigned n_monitors;
    uint8_t escape;
};

/* What the command line means: specs of the serial ports (NULL ends) and of the monitor. */
struct plan {
    const char *serial[SERIAL_MAX + 1];
    const char *monitor;
};

static struct plan plan_of(const struct config *cfg)
{
    struct plan p = { .monitor = cfg->monitor };
    /* Without a window and without a word about the terminal, the terminal is what the user looks at. */
    bool terminal = cfg->nographic || (!cfg->display && !cfg->nodefaults && !cfg->daemonize);

    for (unsigned i = 0; i < MIN(cfg->serials->len, (guint)SERIAL_MAX); i++) {
        p.serial[i] = g_ptr_array_index(cfg->serials, i);
    }
    if (!terminal || cfg->nodefaults) {
        return p;
    }
    if (!p.serial[0] && !p.monitor) {
        p.serial[0] = "mon:stdio";
    } else if (!p.serial[0]) {
        p.serial[0] = strcmp(p.monitor, "stdio") ? "stdio" : NULL;
    } else if (!p.monitor && cfg->nographic) {
        bool free_stdio = true;

        for (unsigned i = 0; p.serial[i]; i++) {
            free_stdio = free_stdio && strcmp(p.serial[i], "stdio") && !g_str_has_prefix(p.serial[i], "mon:");
        }
        p.monitor = free_stdio ? "stdio" : NULL;
    }
    return p;
}

bool consoles_use_stdio(const struct config *cfg)
{
    struct plan p = plan_of(cfg);
    bool use = p.monitor && strstr(p.monitor, "stdio");

    for (unsigned i = 0; p.serial[i]; i++) {
        use = use || !strcmp(p.serial[i], "stdio") || !strcmp(p.serial[i], "mon:stdio");
    }
    return use;
}

static void quit(void *opaque)
{
    machine_request_shutdown(opaque, SHUTDOWN_HOST_QUIT);
}

static void tell_pty(const struct chardev *c, const char *label)
{
    if (g_str_has_prefix(chardev_name(c), "pty:")) {
        fprintf(stderr, "char device redirected to %s (label %s)\n", chardev_name(c) + 4, label);
    }
}

/* "mon:SPEC": the front shares the stream with a monitor. */
static struct chardev *open_shared(struct consoles *c, const char *spec, const char *label, GError **err)
{
    struct chardev *host = chardev_open(strcmp(spec, "stdio") ? spec : "stdio,signal=off", err);
    struct chardev_mux *mux = chardev_mux_new(host, quit, c->machine);
    struct chardev *front;

    if (!mux) {
        return NULL;
    }
    tell_pty(host, label);
    g_ptr_array_add(c->muxes, mux);
    chardev_mux_set_escape(mux, c->escape);
    front = chardev_mux_add(mux, label);
    c->stream[c->n_monitors++] = chardev_mux_add(mux, "monitor");
    return front;
}

static bool open_stream(struct consoles *c, const char *spec, const char *label, struct chardev **out, GError **err)
{
    *out = NULL;
    if (!strcmp(spec, "none")) {
        return true;
    }
    if (g_str_has_prefix(spec, "mon:")) {
        *out = open_shared(c, spec + 4, label, err);
    } else {
        *out = chardev_open(spec, err);
        if (*out) {
            g_ptr_array_add(c->owned, *out);
            tell_pty(*out, label);
        }
    }
    return *out != NULL;
}

struct consoles *consoles_open(const struct config *cfg, struct machine *m, GError **err)
{
    struct consoles *c = g_new0(struct consoles, 1);
    struct plan p = plan_of(cfg);
    struct chardev *stream;
    char label[16];
    bool ok = true;

    c->machine = m;
    c->escape = cfg->escape;
    c->owned = g_ptr_array_new();
    c->muxes = g_ptr_array_new();
    if (cfg->serials->len > SERIAL_MAX) {
        ok = error_set(err, EMU_ERROR_INVALID, "-serial: a PC has at most %d serial ports", SERIAL_MAX);
    }
    for (unsigned i = 0; ok && p.serial[i]; i++) {
        g_snprintf(label, sizeof(label), "serial%u", i);
        ok = open_stream(c, p.serial[i], label, &m->spec.serial[i], err) || error_prefix(err, "-serial %s", p.serial[i]);
    }
    if (ok && p.monitor) {
        ok = open_stream(c, g_str_has_prefix(p.monitor, "mon:") ? p.monitor + 4 : p.monitor, "monitor", &stream, err) ||
             error_prefix(err, "-monitor %s", p.monitor);
        if (ok && stream) {
            c->stream[c->n_monitors++] = stream;
        }
    }
    if (!ok) {
        consoles_close(c);
        return NULL;
    }
    return c;
}

void consoles_start(struct consoles *c)
{
    for (unsigned i = 0; i < c->n_monitors; i++) {
        c->monitor[i] = monitor_new(c->machine, c->stream[i], builtin_commands);
    }
}

void consoles_close(struct consoles *c)
{
    for (unsigned i = 0; i < c->n_monitors; i++) {
        monitor_free(c->monitor[i]);
    }
    for (unsigned i = 0; i < c->muxes->len; i++) {
        chardev_mux_free(g_ptr_array_index(c->muxes, i));
    }
    for (unsigned i = 0; i < c->owned->len; i++) {
        chardev_close(g_ptr_array_index(c->owned, i));
    }
    g_ptr_array_free(c->muxes, TRUE);
    g_ptr_array_free(c->owned, TRUE);
    g_free(c);
}
