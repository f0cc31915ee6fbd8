/*
 * The monitor's commands for screen, keyboard and mouse.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "core/device.h"
#include "core/machine.h"
#include "main/displays.h"
#include "main/displays_priv.h"

enum { SENDKEY_HOLD_MS = 100 };

/* Words of a line; quotes as in a shell. Free with g_strfreev(). NULL with *err. */
static char **words(const char *args, int *n, GError **err)
{
    char **v = NULL;
    GError *why = NULL;

    *n = 0;
    if (!*args) {
        return g_new0(char *, 1);
    }
    if (!g_shell_parse_argv(args, n, &v, &why)) {
        error_set(err, EMU_ERROR_INVALID, "%s", why->message);
        g_clear_error(&why);
        return NULL;
    }
    return v;
}

static bool no_ui(GError **err) { return error_set(err, EMU_ERROR_NOT_SUPPORTED, "this machine has no display"); }

/* The console of a device (by id, else the first graphic one) and a head of it. */
static struct ui_console *console_of(struct machine *m, const char *device, unsigned head, GError **err)
{
    unsigned seen = 0;

    for (unsigned i = 0; m->ui && ui_console_at(m->ui, i); i++) {
        struct ui_console *c = ui_console_at(m->ui, i);
        const char *name = ui_console_name(c);

        if (ui_console_is_text(c) || (device && strncmp(name, device, strcspn(name, ".")) && strcmp(name, device))) {
            continue;
        }
        if (seen++ == head) {
            return c;
        }
    }
    if (device) {
        error_set(err, EMU_ERROR_NOT_FOUND, "there is no display device '%s' with a head %u", device, head);
    } else {
        error_set(err, EMU_ERROR_NOT_SUPPORTED, "there is no console to take a screendump from");
    }
    return NULL;
}

static bool screendump(struct machine *m, const char *file, const char *format, const char *device, unsigned head, GError **err)
{
    struct ui_console *c = console_of(m, device, head, err);
    const struct ui_surface *s;

    if (!c) {
        return false;
    }
    ui_console_update(c);
    s = ui_console_surface(c);
    if (!s) {                                            /* the device has shown nothing yet: a black picture */
        ui_console_resize(c, 640, 480);
        s = ui_console_surface(c);
    }
    if (!strcmp(format, "png")) {
        return ui_surface_write_png(s, file, err);
    }
    if (!strcmp(format, "ppm")) {
        return ui_surface_write_ppm(s, file, err);
    }
    return error_set(err, EMU_ERROR_INVALID, "a screen dump's format is ppm or png, not '%s'", format);
}

static bool do_screendump(struct machine *m, const char *args, GString *out, GError **err)
{
    int n;
    char **w = words(args, &n, err);
    const char *format = "ppm", *plain[3] = { NULL };
    unsigned k = 0;
    bool ok = w != NULL;

    (void)out;
    for (int i = 0; ok && i < n; i++) {
        if (!strcmp(w[i], "-f") && i + 1 < n) {
            format = w[++i];
        } else if (g_str_has_prefix(w[i], "-f") && w[i][2]) {
            format = w[i] + 2;
        } else if (k < 3) {
            plain[k++] = w[i];
        } else {
            ok = error_set(err, EMU_ERROR_INVALID, "screendump takes a file, a device and a head");
        }
    }
    if (ok && !plain[0]) {
        ok = error_set(err, EMU_ERROR_INVALID, "screendump needs a file name");
    }
    ok = ok && screendump(m, plain[0], format, plain[1], plain[2] ? (unsigned)strtoul(plain[2], NULL, 10) : 0, err);
    g_strfreev(w);
    return ok;
}

static bool do_sendkey(struct machine *m, const char *args, GString *out, GError **err)
{
    int n;
    char **w = words(args, &n, err);
    uint64_t hold = SENDKEY_HOLD_MS;
    bool ok = w != NULL;

    (void)out;
    if (ok && (n < 1 || n > 2)) {
        ok = error_set(err, EMU_ERROR_INVALID, "sendkey takes keys ('ctrl-alt-f1') and, if wanted, how many ms they are held");
    }
    ok = ok && (n == 1 || parse_uint(w[1], &hold, err));
    if (ok && hold > 60000) {
        ok = error_set(err, EMU_ERROR_INVALID, "a key cannot be held for more than 60000 ms");
    }
    ok = ok && (m->ui ? ui_input_send_keys(m->ui, w[0], (unsigned)hold, err) : no_ui(err));
    g_strfreev(w);
    return ok;
}

/* mouse_move dx dy [dz]: a tablet takes them as a position in 0..32767. */
static bool do_mouse_move(struct machine *m, const char *args, GString *out, GError **err)
{
    int n;
    char **w = words(args, &n, err);
    bool ok = w != NULL;

    (void)out;
    if (ok && (n < 2 || n > 3)) {
        ok = error_set(err, EMU_ERROR_INVALID, "mouse_move takes dx, dy and, if wanted, steps of the wheel");
    } else if (ok && !m->ui) {
        ok = no_ui(err);
    }
    if (ok) {
        int x = atoi(w[0]), y = atoi(w[1]), z = n > 2 ? CLAMP(atoi(w[2]), -64, 64) : 0;

        if (ui_input_is_absolute(m->ui)) {
            ui_input_absolute(m->ui, (unsigned)CLAMP(x, 0, UI_ABS_MAX), (unsigned)CLAMP(y, 0, UI_ABS_MAX));
        } else {
            ui_input_relative(m->ui, x, y);
        }
        for (; z; z += z < 0 ? 1 : -1) {
            ui_input_button(m->ui, z < 0 ? UI_BUTTON_WHEEL_UP : UI_BUTTON_WHEEL_DOWN, true);
            ui_input_button(m->ui, z < 0 ? UI_BUTTON_WHEEL_UP : UI_BUTTON_WHEEL_DOWN, false);
        }
        ui_input_sync(m->ui);
    }
    g_strfreev(w);
    return ok;
}

static bool do_mouse_button(struct machine *m, const char *args, GString *out, GError **err)
{
    uint64_t state;

    (void)out;
    if (!m->ui) {
        return no_ui(err);
    }
    if (!parse_uint(args, &state, err)) {
        return false;
    }
    ui_input_button(m->ui, UI_BUTTON_LEFT, state & 1);
    ui_input_button(m->ui, UI_BUTTON_MIDDLE, state & 4);
    ui_input_button(m->ui, UI_BUTTON_RIGHT, state & 2);
    ui_input_sync(m->ui);
    return true;
}

static bool do_mouse_set(struct machine *m, const char *args, GString *out, GError **err)
{
    uint64_t n;

    (void)out;
    return parse_uint(args, &n, err) && (m->ui ? ui_input_mouse_set(m->ui, (unsigned)MIN(n, 0xffffu), err) : no_ui(err));
}

static bool set_vnc_password(struct machine *m, const char *password, GError **err)
{
    bool any = false;

    for (unsigned i = 0; m->displays && i < m->displays->open->len; i++) {
        struct ui_display *d = g_ptr_array_index(m->displays->open, i);

        if (d->set_password) {
            d->set_password(d, password);
            any = true;
        }
    }
    return any || error_set(err, EMU_ERROR_FAILED, "no VNC server runs, or it asks for no password (-vnc ...,password=on)");
}

static bool do_set_password(struct machine *m, const char *args, GString *out, GError **err)
{
    int n;
    char **w = words(args, &n, err);
    bool ok = w != NULL;

    (void)out;
    if (ok && (n < 2 || strcmp(w[0], "vnc"))) {
        ok = error_set(err, EMU_ERROR_INVALID, "set_password takes 'vnc' and the password");
    }
    ok = ok && set_vnc_password(m, w[1], err);
    g_strfreev(w);
    return ok;
}

static bool info_mice(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args;
    if (!m->ui) {
        return no_ui(err);
    }
    ui_input_mice(m->ui, out);
    return true;
}

static bool info_vnc(struct machine *m, const char *args, GString *out, GError **err)
{
    bool any = false;

    (void)args, (void)err;
    for (unsigned i = 0; m->displays && i < m->displays->open->len; i++) {
        struct ui_display *d = g_ptr_array_index(m->displays->open, i);

        if (d->info) {
            g_autofree char *text = d->info(d);

            g_string_append(out, text);
            any = true;
        }
    }
    if (!any) {
        g_string_append(out, "Server: disabled\n");
    }
    return true;
}

static const struct command info_commands[] = {
    { "mice", NULL, "", "mice and tablets, and which one takes the pointer", info_mice, NULL },
    { "vnc", NULL, "", "the VNC server and its viewers", info_vnc, NULL },
    { 0 },
};

const struct command display_commands[] = {
    { "info", NULL, "[subject]", "show a part of the machine's state", NULL, info_commands },
    { "mouse_button", NULL, "state", "buttons that are down: 1 left, 2 right, 4 middle", do_mouse_button, NULL },
    { "mouse_move", NULL, "dx dy [dz]", "move the mouse; on a tablet a position (0 to 32767)", do_mouse_move, NULL },
    { "mouse_set", NULL, "index", "which mouse takes the pointer, as info mice numbers them", do_mouse_set, NULL },
    { "screendump", NULL, "file [-f ppm|png] [device [head]]", "the screen as a picture file", do_screendump, NULL },
    { "sendkey", NULL, "keys [hold_ms]", "press keys together ('ctrl-alt-f1') and release them", do_sendkey, NULL },
    { "set_password", NULL, "vnc password", "the password of the VNC server", do_set_password, NULL },
    { 0 },
};
