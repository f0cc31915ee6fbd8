/*
 * The way of input events from displays to the guest's devices. See ui/input.h.
 */
#include "ui/input.h"

#include <string.h>

#include "base/error.h"
#include "ui/ui_priv.h"

enum { SEND_KEYS_MAX = 16, SEND_QUEUE_MAX = 1024 };

struct ui_handler {
    struct ui *ui;
    char *name;
    unsigned index;
    const struct ui_handler_ops *ops;
    void *opaque;
};

struct hook {
    void (*fn)(void *opaque);
    void *opaque;
};

/* A chord of sendkey: pressed, held, released; then the next one. */
struct chord {
    unsigned n, hold_ms;
    enum ui_qcode key[SEND_KEYS_MAX];
};

struct ui_input_state {
    GPtrArray *handlers;            /* struct ui_handler *; first is the one activated last */
    unsigned next_index;
    GArray *hooks;
    unsigned leds;
    uint8_t down[UI_KEY_COUNT];
    bool button[UI_BUTTON_COUNT];
    GQueue chords;
    guint chord_source;
    bool chord_down;
};

struct ui_input_state *ui_input_new(void)
{
    struct ui_input_state *s = g_new0(struct ui_input_state, 1);

    s->handlers = g_ptr_array_new();
    s->hooks = g_array_new(FALSE, FALSE, sizeof(struct hook));
    g_queue_init(&s->chords);
    return s;
}

void ui_input_free(struct ui_input_state *s)
{
    g_array_set_size(s->hooks, 0);
    while (s->handlers->len) {
        ui_handler_remove(g_ptr_array_index(s->handlers, s->handlers->len - 1));
    }
    if (s->chord_source) {
        g_source_remove(s->chord_source);
    }
    g_queue_clear_full(&s->chords, g_free);
    g_array_free(s->hooks, TRUE);
    g_ptr_array_free(s->handlers, TRUE);
    g_free(s);
}

void ui_input_on_change(struct ui *ui, void (*fn)(void *opaque), void *opaque)
{
    struct hook h = { fn, opaque };

    g_array_append_val(ui->input->hooks, h);
}

static void changed(struct ui *ui)
{
    GArray *hooks = ui->input->hooks;

    for (unsigned i = 0; i < hooks->len; i++) {
        g_array_index(hooks, struct hook, i).fn(g_array_index(hooks, struct hook, i).opaque);
    }
}

/* --- handlers --- */

struct ui_handler *ui_handler_add(struct ui *ui, const char *name, const struct ui_handler_ops *ops, void *opaque)
{
    struct ui_handler *h = g_new0(struct ui_handler, 1);

    h->ui = ui;
    h->name = g_strdup(name);
    h->ops = ops;
    h->opaque = opaque;
    h->index = ui->input->next_index++;
    g_ptr_array_add(ui->input->handlers, h);
    changed(ui);
    return h;
}

void ui_handler_remove(struct ui_handler *h)
{
    if (!h) {
        return;
    }
    g_ptr_array_remove(h->ui->input->handlers, h);
    changed(h->ui);
    g_free(h->name);
    g_free(h);
}

void ui_handler_activate(struct ui_handler *h)
{
    GPtrArray *list = h->ui->input->handlers;

    if (g_ptr_array_index(list, 0) != h) {
        ui_input_release_all(h->ui);            /* what the old device was told is down would stay down there */
        g_ptr_array_remove(list, h);
        g_ptr_array_insert(list, 0, h);
        changed(h->ui);
    }
}

static struct ui_handler *taker(const struct ui *ui, unsigned kind)
{
    const GPtrArray *list = ui->input->handlers;

    for (unsigned i = 0; i < list->len; i++) {
        struct ui_handler *h = g_ptr_array_index(list, i);

        if (h->ops->takes & kind) {
            return h;
        }
    }
    return NULL;
}

/* --- events --- */

void ui_input_key(struct ui *ui, enum ui_qcode q, bool down)
{
    struct ui_handler *h = taker(ui, UI_TAKES_KEYS);

    if (q <= UI_KEY_NONE || q >= UI_KEY_COUNT || (!down && !ui->input->down[q])) {
        return;
    }
    ui->input->down[q] = down;
    if (h && h->ops->key) {
        h->ops->key(h->opaque, q, down);
        if (h->ops->sync) {
            h->ops->sync(h->opaque);
        }
    }
    ui_wake(ui);
}

static struct ui_handler *pointer(const struct ui *ui) { return taker(ui, UI_TAKES_RELATIVE | UI_TAKES_ABSOLUTE); }

void ui_input_button(struct ui *ui, enum ui_button b, bool down)
{
    struct ui_handler *h = pointer(ui);

    if (ui->input->button[b] == down) {
        return;
    }
    ui->input->button[b] = down;
    if (h && h->ops->button) {
        h->ops->button(h->opaque, b, down);
    }
}

void ui_input_relative(struct ui *ui, int dx, int dy)
{
    struct ui_handler *h = taker(ui, UI_TAKES_RELATIVE);

    if (h && h->ops->relative && (dx || dy)) {
        h->ops->relative(h->opaque, dx, dy);
    }
}

void ui_input_absolute(struct ui *ui, unsigned x, unsigned y)
{
    struct ui_handler *h = taker(ui, UI_TAKES_ABSOLUTE);

    if (h && h->ops->absolute) {
        h->ops->absolute(h->opaque, MIN(x, (unsigned)UI_ABS_MAX), MIN(y, (unsigned)UI_ABS_MAX));
    }
}

void ui_input_sync(struct ui *ui)
{
    for (unsigned i = 0; i < ui->input->handlers->len; i++) {
        struct ui_handler *h = g_ptr_array_index(ui->input->handlers, i);

        if ((h->ops->takes & (UI_TAKES_RELATIVE | UI_TAKES_ABSOLUTE)) && h->ops->sync) {
            h->ops->sync(h->opaque);
        }
    }
    ui_wake(ui);
}

bool ui_input_is_absolute(const struct ui *ui)
{
    const struct ui_handler *h = pointer(ui);

    return h && (h->ops->takes & UI_TAKES_ABSOLUTE);
}

void ui_input_release_all(struct ui *ui)
{
    bool pointed = false;

    for (unsigned i = 1; i < UI_KEY_COUNT; i++) {
        if (ui->input->down[i]) {
            ui_input_key(ui, (enum ui_qcode)i, false);
        }
    }
    for (unsigned i = 0; i < UI_BUTTON_COUNT; i++) {
        pointed |= ui->input->button[i];
        ui_input_button(ui, (enum ui_button)i, false);
    }
    if (pointed) {
        ui_input_sync(ui);
    }
}

void ui_input_set_leds(struct ui *ui, unsigned leds)
{
    if (ui->input->leds != leds) {
        ui->input->leds = leds;
        changed(ui);
    }
}

unsigned ui_input_leds(const struct ui *ui) { return ui->input->leds; }

/* --- for monitors --- */

void ui_input_mice(const struct ui *ui, GString *out)
{
    const struct ui_handler *current = pointer(ui);
    bool any = false;

    for (unsigned n = 0; n < ui->input->next_index; n++) {
        for (unsigned i = 0; i < ui->input->handlers->len; i++) {
            const struct ui_handler *h = g_ptr_array_index(ui->input->handlers, i);

            if (h->index == n && (h->ops->takes & (UI_TAKES_RELATIVE | UI_TAKES_ABSOLUTE))) {
                g_string_append_printf(out, "%c Mouse #%u: %s%s\n", h == current ? '*' : ' ', h->index, h->name,
                                       h->ops->takes & UI_TAKES_ABSOLUTE ? " (absolute)" : "");
                any = true;
            }
        }
    }
    if (!any) {
        g_string_append(out, "No mouse devices connected\n");
    }
}

bool ui_input_mouse_set(struct ui *ui, unsigned index, GError **err)
{
    for (unsigned i = 0; i < ui->input->handlers->len; i++) {
        struct ui_handler *h = g_ptr_array_index(ui->input->handlers, i);

        if (h->index == index && (h->ops->takes & (UI_TAKES_RELATIVE | UI_TAKES_ABSOLUTE))) {
            ui_handler_activate(h);
            return true;
        }
    }
    return error_set(err, EMU_ERROR_NOT_FOUND, "there is no mouse %u, see info mice", index);
}

static gboolean chord_step(gpointer opaque)
{
    struct ui *ui = opaque;
    struct ui_input_state *s = ui->input;
    struct chord *c = g_queue_peek_head(&s->chords);

    s->chord_source = 0;
    if (!c) {
        return G_SOURCE_REMOVE;
    }
    if (!s->chord_down) {
        for (unsigned i = 0; i < c->n; i++) {
            ui_input_key(ui, c->key[i], true);
        }
        s->chord_down = true;
        s->chord_source = g_timeout_add(c->hold_ms, chord_step, ui);
        return G_SOURCE_REMOVE;
    }
    for (unsigned i = c->n; i-- > 0;) {
        ui_input_key(ui, c->key[i], false);
    }
    s->chord_down = false;
    g_free(g_queue_pop_head(&s->chords));
    if (!g_queue_is_empty(&s->chords)) {
        s->chord_source = g_timeout_add(1, chord_step, ui);
    }
    return G_SOURCE_REMOVE;
}

bool ui_input_send_keys(struct ui *ui, const char *keys, unsigned hold_ms, GError **err)
{
    struct ui_input_state *s = ui->input;
    char **name = g_strsplit(keys, "-", -1);
    struct chord *c = g_new0(struct chord, 1);
    bool ok = *name != NULL;

    c->hold_ms = hold_ms;
    for (unsigned i = 0; ok && name[i]; i++) {
        enum ui_qcode q = ui_key_by_name(name[i]);

        if (c->n >= SEND_KEYS_MAX) {
            ok = error_set(err, EMU_ERROR_INVALID, "too many keys: at most %d at once", SEND_KEYS_MAX);
        } else if (q == UI_KEY_NONE) {
            ok = error_set(err, EMU_ERROR_NOT_FOUND, "unknown key: '%s'", name[i]);
        } else {
            c->key[c->n++] = q;
        }
    }
    g_strfreev(name);
    if (ok && g_queue_get_length(&s->chords) >= SEND_QUEUE_MAX) {
        ok = error_set(err, EMU_ERROR_FAILED, "%d chords wait to be sent already", SEND_QUEUE_MAX);
    }
    if (!ok) {
        g_free(c);
        return false;
    }
    g_queue_push_tail(&s->chords, c);
    if (!s->chord_source) {
        chord_step(ui);
    }
    return true;
}
