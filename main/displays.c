/*
 * Which card, which display. See main/displays.h.
 */
#include "main/displays.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "core/device.h"
#include "core/machine.h"
#include "main/config.h"
#include "main/displays_priv.h"

/* --- the card --- */

static const struct {
    const char *option, *class;
} cards[] = { { "std", "VGA" }, { "virtio", "virtio-vga" }, { "none", NULL } };
static const char *const cards_refused[] = { "cirrus", "qxl", "vmware", "xenfb", "tcx", "cg3" };

bool displays_take_vga(struct config *cfg, const char *value, GError **err)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(cards); i++) {
        if (!strcmp(cards[i].option, value)) {
            cfg->vga = value;
            return true;
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(cards_refused); i++) {
        if (!strcmp(cards_refused[i], value)) {
            return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: this card (there are std, virtio and none)");
        }
    }
    return error_set(err, EMU_ERROR_NOT_FOUND, "unknown card '%s' (there are std, virtio and none)", value);
}

/* Cards among the -device's make the default one go away. */
static bool card_among_devices(const struct config *cfg)
{
    static const char *const names[] = { "VGA", "virtio-vga", "cirrus-vga", "qxl-vga", "vmware-svga" };

    for (unsigned i = 0; i < cfg->devices->len; i++) {
        const char *text = g_ptr_array_index(cfg->devices, i);

        for (unsigned k = 0; k < G_N_ELEMENTS(names); k++) {
            size_t n = strlen(names[k]);

            if ((!strncmp(text, names[k], n) && (!text[n] || text[n] == ',')) || (text[0] == '{' && strstr(text, names[k]))) {
                return true;
            }
        }
    }
    return false;
}

static const char *card_class(const struct config *cfg)
{
    const char *option = cfg->vga ? cfg->vga : cfg->nodefaults || card_among_devices(cfg) ? "none" : "std";

    for (unsigned i = 0; i < G_N_ELEMENTS(cards); i++) {
        if (!strcmp(cards[i].option, option)) {
            return cards[i].class;
        }
    }
    return NULL;
}

bool displays_want_card(const struct config *cfg) { return card_class(cfg) != NULL || card_among_devices(cfg); }

bool displays_add_card(struct machine *m, const struct config *cfg, GError **err)
{
    const char *name = card_class(cfg);
    const struct device_class *class = name ? device_class_find(name) : NULL;
    bool q35 = strstr(m->spec.board->name, "q35") != NULL;
    struct device *d;
    bool ok;

    if (!name || !strcmp(m->spec.board->name, "none")) {
        return true;
    }
    if (!class) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "-vga %s: not supported: %s", cfg->vga, name);
    }
    machine_lock(m);
    d = device_new(m, class, NULL);
    ok = device_set(d, "addr", q35 ? "1" : "2", err) && device_add(d, err);
    machine_unlock(m);
    return ok || error_prefix(err, "-vga");
}

/* --- -display, -k --- */

enum kind { KIND_DEFAULT, KIND_NONE, KIND_SDL, KIND_VNC, KIND_CURSES };

/* open NULL: not there; why says what is the matter with it. */
static const struct {
    const char *name;
    enum kind kind;
    struct ui_display *(*open)(struct ui *ui, const char *spec, const struct ui_host *host, GError **err);
    const char *why;
} kinds[] = {
    { "none", KIND_NONE, NULL, NULL },
    { "sdl", KIND_SDL, NULL, "there is no window yet; -vnc serves viewers" },
#ifdef CONFIG_VNC
    { "vnc", KIND_VNC, ui_vnc_open, NULL },
#else
    { "vnc", KIND_VNC, NULL, "libvncserver was not there when this program was built" },
#endif
    { "curses", KIND_CURSES, NULL, "there is no text screen yet; -nographic has the serial port" },
};

/* The row of a -display value; *rest: what follows the name. -1: none. */
static int kind_row(const char *value, const char **rest)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        size_t n = strlen(kinds[i].name);

        if (!strncmp(value, kinds[i].name, n) && (!value[n] || value[n] == ',' || value[n] == '=')) {
            *rest = value[n] ? value + n + 1 : "";
            return (int)i;
        }
    }
    return -1;
}

bool displays_take_display(struct config *cfg, const char *value, GError **err)
{
    static const char *const refused[] = { "gtk", "spice-app", "egl-headless", "dbus", "cocoa" };
    const char *rest;
    int row = kind_row(value, &rest);

    for (unsigned i = 0; i < G_N_ELEMENTS(refused); i++) {
        if (g_str_has_prefix(value, refused[i])) {
            return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: this display; -vnc serves viewers");
        }
    }
    if (row < 0) {
        return error_set(err, EMU_ERROR_NOT_FOUND, "unknown display '%s' (there are vnc= and none)", value);
    }
    if (kinds[row].kind != KIND_NONE && !kinds[row].open) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: %s: %s", kinds[row].name, kinds[row].why);
    }
    if (kinds[row].kind == KIND_VNC) {
        g_ptr_array_add(cfg->vncs, (char *)rest);
    } else {
        cfg->display = value;
    }
    return true;
}

bool displays_take_vnc(struct config *cfg, const char *value, GError **err)
{
    (void)err;
    g_ptr_array_add(cfg->vncs, (char *)value);
    return true;
}

bool displays_take_sdl(struct config *cfg, const char *value, GError **err)
{
    (void)value;
    return displays_take_display(cfg, "sdl", err);
}

bool displays_take_curses(struct config *cfg, const char *value, GError **err)
{
    (void)value;
    return displays_take_display(cfg, "curses", err);
}

bool displays_take_keyboard(struct config *cfg, const char *value, GError **err)
{
    if (!ui_layout_find(value)) {
        error_unknown(err, "keyboard layout", value, ui_layout_names(), "docs");
        g_clear_error(err);
        g_autofree char *all = g_strjoinv(", ", (char **)ui_layout_names());
        return error_set(err, EMU_ERROR_NOT_FOUND, "unknown keyboard layout '%s' (there are %s)", value, all);
    }
    cfg->keyboard = value;
    return true;
}

static bool vnc_none(const struct config *cfg)
{
    return cfg->vncs->len == 1 && !strcmp(g_ptr_array_index(cfg->vncs, 0), "none");
}

/* What -display means; without it, what the host offers. */
static enum kind kind_of(const struct config *cfg)
{
    const char *rest;

    if (cfg->display) {
        return kinds[kind_row(cfg->display, &rest)].kind;
    }
    if (cfg->nographic || cfg->daemonize || vnc_none(cfg)) {
        return KIND_NONE;
    }
    if (cfg->vncs->len || cfg->nodefaults) {
        return cfg->vncs->len ? KIND_VNC : KIND_DEFAULT;
    }
#ifdef CONFIG_SDL2_WINDOW
    if ((getenv("DISPLAY") && *getenv("DISPLAY")) || (getenv("WAYLAND_DISPLAY") && *getenv("WAYLAND_DISPLAY"))) {
        return KIND_SDL;
    }
#endif
    return KIND_DEFAULT;
}

bool displays_use_consoles(const struct config *cfg)
{
    enum kind k = kind_of(cfg);

    return k == KIND_SDL || k == KIND_VNC;
}

bool displays_use_terminal(const struct config *cfg) { return kind_of(cfg) == KIND_CURSES; }

/* --- at work --- */

static void state_changed(void *opaque, enum run_state s)
{
    struct displays *d = opaque;

    for (unsigned i = 0; i < d->open->len; i++) {
        struct ui_display *x = g_ptr_array_index(d->open, i);

        if (x->state) {
            x->state(x, run_state_name(s));
        }
    }
}

static void quit(void *opaque) { machine_request_shutdown(opaque, SHUTDOWN_HOST_QUIT); }

static bool open_one(struct displays *d, const char *name, const char *spec, GError **err)
{
    const char *rest;
    int row = kind_row(name, &rest);
    struct ui_display *x;

    if (!kinds[row].open) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: %s: %s", name, kinds[row].why);
    }
    x = kinds[row].open(d->machine->ui, spec, &d->host, err);
    if (x) {
        g_ptr_array_add(d->open, x);
    }
    return x != NULL;
}

/* Nobody said anything: a window where there is a desktop, else VNC on this host, else nothing. */
static void open_default(struct displays *d, const struct config *cfg)
{
    GError *why = NULL;

    if (kind_of(cfg) == KIND_SDL && open_one(d, "sdl", "", &why)) {
        return;
    }
    if (why) {
        fprintf(stderr, "emu: no window (%s)\n", why->message);
        g_clear_error(&why);
    }
    if (kinds[2].open && ui_console_count(d->machine->ui) && !open_one(d, "vnc", "127.0.0.1:0,to=99", &why)) {
        g_clear_error(&why);
    }
}

struct displays *displays_open(const struct config *cfg, struct machine *m, GError **err)
{
    struct displays *d = g_new0(struct displays, 1);
    bool ok = true;
    const char *rest = "";

    machine_lock(m);
    d->machine = m;
    d->open = g_ptr_array_new();
    d->host = (struct ui_host){ .title = m->spec.name ? m->spec.name : "emu", .layout = ui_layout_find(cfg->keyboard ? cfg->keyboard : "en-us"),
                                .layout_given = cfg->keyboard != NULL, .full_screen = cfg->full_screen, .quit = quit, .opaque = m };
    for (unsigned i = 0; ok && i < cfg->vncs->len; i++) {
        const char *spec = g_ptr_array_index(cfg->vncs, i);

        ok = !strcmp(spec, "none") || open_one(d, "vnc", spec, err) || error_prefix(err, "-vnc %s", spec);
    }
    if (ok && cfg->display && kind_row(cfg->display, &rest) >= 0 && kind_of(cfg) != KIND_NONE) {
        ok = open_one(d, kinds[kind_row(cfg->display, &rest)].name, rest, err) || error_prefix(err, "-display %s", cfg->display);
    } else if (ok && !cfg->vncs->len && !cfg->display && !cfg->nographic && !cfg->daemonize && !cfg->nodefaults) {
        open_default(d, cfg);
    }
    if (!ok) {
        machine_unlock(m);
        displays_close(d);
        return NULL;
    }
    m->displays = d;
    machine_on_state(m, state_changed, d);
    state_changed(d, m->state);
    machine_unlock(m);
    return d;
}

void displays_close(struct displays *d)
{
    struct machine *m = d ? d->machine : NULL;

    if (!d) {
        return;
    }
    machine_lock(m);
    for (unsigned i = 0; i < d->open->len; i++) {
        struct ui_display *x = g_ptr_array_index(d->open, i);

        x->close(x);
    }
    m->displays = NULL;
    g_ptr_array_set_size(d->open, 0);
    machine_unlock(m);
}
