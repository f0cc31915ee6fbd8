/*
 * Consoles, listeners and the pull. See ui/console.h.
 */
#include "ui/console.h"

#include <string.h>

#include "ui/input.h"
#include "ui/ui_priv.h"

enum { IDLE_MAX_MS = 100, IDLE_STEP_MS = 5 };

struct ui_console {
    struct ui *ui;
    char *name;
    const struct ui_console_ops *ops;
    void *opaque;
    bool text;
    struct ui_surface surface;
    pixman_region32_t damage;
    struct ui_cursor *cursor;
    int cursor_x, cursor_y;
    bool cursor_visible;
    bool updating;                  /* inside ops->update: no re-entry */
    GPtrArray *listeners;           /* struct ui_listener *, not owned */
};

struct change_hook {
    void (*fn)(void *opaque);
    void *opaque;
};

static gboolean refresh(gpointer opaque);

/* --- the registry --- */

struct ui *ui_new(void)
{
    struct ui *ui = g_new0(struct ui, 1);

    ui->consoles = g_ptr_array_new();
    ui->hooks = g_array_new(FALSE, FALSE, sizeof(struct change_hook));
    ui->interval = UI_REFRESH_MS;
    ui->input = ui_input_new();
    return ui;
}

void ui_free(struct ui *ui)
{
    if (!ui) {
        return;
    }
    g_array_set_size(ui->hooks, 0);
    while (ui->consoles->len) {
        ui_console_remove(g_ptr_array_index(ui->consoles, ui->consoles->len - 1));
    }
    if (ui->source) {
        g_source_remove(ui->source);
    }
    ui_input_free(ui->input);
    g_array_free(ui->hooks, TRUE);
    g_ptr_array_free(ui->consoles, TRUE);
    g_free(ui);
}

void ui_on_change(struct ui *ui, void (*fn)(void *opaque), void *opaque)
{
    struct change_hook h = { fn, opaque };

    g_array_append_val(ui->hooks, h);
}

static void changed(struct ui *ui)
{
    for (unsigned i = 0; i < ui->hooks->len; i++) {
        struct change_hook *h = &g_array_index(ui->hooks, struct change_hook, i);

        h->fn(h->opaque);
    }
}

struct ui_console *ui_console_add(struct ui *ui, const char *name, const struct ui_console_ops *ops, void *opaque)
{
    struct ui_console *c = g_new0(struct ui_console, 1);

    c->ui = ui;
    c->name = g_strdup(name);
    c->ops = ops;
    c->opaque = opaque;
    c->listeners = g_ptr_array_new();
    pixman_region32_init(&c->damage);
    g_ptr_array_add(ui->consoles, c);
    changed(ui);
    return c;
}

static void surface_drop(struct ui_surface *s)
{
    if (s->image) {
        pixman_image_unref(s->image);
    }
    if (!s->borrowed) {
        g_free(s->data);
    }
    *s = (struct ui_surface){ 0 };
}

void ui_console_remove(struct ui_console *c)
{
    if (!c) {
        return;
    }
    g_ptr_array_remove(c->ui->consoles, c);
    changed(c->ui);                 /* displays let go of it while it still exists */
    surface_drop(&c->surface);
    pixman_region32_fini(&c->damage);
    g_ptr_array_free(c->listeners, TRUE);
    g_free(c->cursor);
    g_free(c->name);
    g_free(c);
}

unsigned ui_console_count(const struct ui *ui) { return ui->consoles->len; }

struct ui_console *ui_console_at(const struct ui *ui, unsigned n)
{
    return n < ui->consoles->len ? g_ptr_array_index(ui->consoles, n) : NULL;
}

const char *ui_console_name(const struct ui_console *c) { return c->name; }
struct ui *ui_console_ui(const struct ui_console *c) { return c->ui; }
bool ui_console_is_text(const struct ui_console *c) { return c->text; }
void ui_console_set_text(struct ui_console *c) { c->text = true; }

/* --- surfaces --- */

static void surface_changed(struct ui_console *c)
{
    pixman_region32_clear(&c->damage);
    for (unsigned i = 0; i < c->listeners->len; i++) {
        struct ui_listener *l = g_ptr_array_index(c->listeners, i);

        if (l->resized) {
            l->resized(l->opaque, c);
        }
    }
    ui_console_damage_all(c);
}

static void surface_set(struct ui_console *c, int width, int height, int stride, uint8_t *data, bool borrowed)
{
    struct ui_surface *s = &c->surface;

    surface_drop(s);
    *s = (struct ui_surface){ .width = width, .height = height, .stride = stride, .data = data, .borrowed = borrowed };
    s->image = pixman_image_create_bits_no_clear(PIXMAN_x8r8g8b8, width, height, (uint32_t *)(void *)data, stride);
    surface_changed(c);
}

void ui_console_resize(struct ui_console *c, int width, int height)
{
    width = CLAMP(width, 1, UI_MAX_SIZE);
    height = CLAMP(height, 1, UI_MAX_SIZE);
    if (c->surface.data && !c->surface.borrowed && c->surface.width == width && c->surface.height == height) {
        return;
    }
    surface_set(c, width, height, width * 4, g_malloc0((size_t)width * 4 * (size_t)height), false);
}

void ui_console_borrow(struct ui_console *c, int width, int height, int stride, void *data)
{
    const struct ui_surface *s = &c->surface;

    if (s->borrowed && s->width == width && s->height == height && s->stride == stride && s->data == data) {
        return;
    }
    if (width < 1 || height < 1 || width > UI_MAX_SIZE || height > UI_MAX_SIZE || (stride & 3) || ((uintptr_t)data & 3)) {
        return;
    }
    surface_set(c, width, height, stride, data, true);
}

void ui_console_damage(struct ui_console *c, int x, int y, int w, int h)
{
    int x2 = MIN(x + w, c->surface.width), y2 = MIN(y + h, c->surface.height);

    x = MAX(x, 0);
    y = MAX(y, 0);
    if (x < x2 && y < y2) {
        pixman_region32_union_rect(&c->damage, &c->damage, x, y, (unsigned)(x2 - x), (unsigned)(y2 - y));
    }
}

void ui_console_damage_all(struct ui_console *c) { ui_console_damage(c, 0, 0, c->surface.width, c->surface.height); }

const struct ui_surface *ui_console_surface(const struct ui_console *c) { return c->surface.data ? &c->surface : NULL; }

/* --- cursor --- */

void ui_console_set_cursor(struct ui_console *c, struct ui_cursor *cursor)
{
    g_free(c->cursor);
    c->cursor = cursor;
    for (unsigned i = 0; i < c->listeners->len; i++) {
        struct ui_listener *l = g_ptr_array_index(c->listeners, i);

        if (l->cursor_shape) {
            l->cursor_shape(l->opaque, c, cursor);
        }
    }
}

void ui_console_move_cursor(struct ui_console *c, int x, int y, bool visible)
{
    c->cursor_x = x;
    c->cursor_y = y;
    c->cursor_visible = visible;
    for (unsigned i = 0; i < c->listeners->len; i++) {
        struct ui_listener *l = g_ptr_array_index(c->listeners, i);

        if (l->cursor_moved) {
            l->cursor_moved(l->opaque, c, x, y, visible);
        }
    }
}

const struct ui_cursor *ui_console_cursor(const struct ui_console *c, int *x, int *y, bool *visible)
{
    *x = c->cursor_x;
    *y = c->cursor_y;
    *visible = c->cursor_visible;
    return c->cursor;
}

/* --- the pull --- */

static bool flush(struct ui_console *c)
{
    pixman_region32_t damage;
    int n = 0;
    pixman_box32_t *box;
    struct ui_rect *r;

    if (!pixman_region32_not_empty(&c->damage)) {
        return false;
    }
    damage = c->damage;
    pixman_region32_init(&c->damage);
    box = pixman_region32_rectangles(&damage, &n);
    r = g_new(struct ui_rect, n);
    for (int i = 0; i < n; i++) {
        r[i] = (struct ui_rect){ box[i].x1, box[i].y1, box[i].x2 - box[i].x1, box[i].y2 - box[i].y1 };
    }
    for (unsigned i = 0; i < c->listeners->len; i++) {
        struct ui_listener *l = g_ptr_array_index(c->listeners, i);

        if (l->damaged) {
            l->damaged(l->opaque, c, r, (unsigned)n);
        }
    }
    g_free(r);
    pixman_region32_fini(&damage);
    return true;
}

static bool pull(struct ui_console *c)
{
    if (c->updating) {
        return false;
    }
    c->updating = true;
    if (c->ops->update) {
        c->ops->update(c->opaque);
    }
    c->updating = false;
    return flush(c);
}

void ui_console_update(struct ui_console *c) { pull(c); }

static bool looked_at(const struct ui_console *c)
{
    for (unsigned i = 0; i < c->listeners->len; i++) {
        if (((struct ui_listener *)g_ptr_array_index(c->listeners, i))->looks) {
            return true;
        }
    }
    return false;
}

static bool anybody_looks(const struct ui *ui)
{
    for (unsigned i = 0; i < ui->consoles->len; i++) {
        if (looked_at(g_ptr_array_index(ui->consoles, i))) {
            return true;
        }
    }
    return false;
}

static void arm(struct ui *ui, unsigned ms)
{
    if (ui->source) {
        g_source_remove(ui->source);
        ui->source = 0;
    }
    if (anybody_looks(ui)) {
        ui->source = g_timeout_add(ms, refresh, ui);
    }
}

static gboolean refresh(gpointer opaque)
{
    struct ui *ui = opaque;
    bool busy = false;

    ui->source = 0;
    for (unsigned i = 0; i < ui->consoles->len; i++) {
        struct ui_console *c = g_ptr_array_index(ui->consoles, i);

        if (looked_at(c)) {
            busy |= pull(c);
        }
    }
    ui->interval = busy ? UI_REFRESH_MS : MIN(ui->interval + IDLE_STEP_MS, IDLE_MAX_MS);
    arm(ui, ui->interval);
    return G_SOURCE_REMOVE;
}

void ui_wake(struct ui *ui)
{
    if (ui->interval > UI_REFRESH_MS) {
        ui->interval = UI_REFRESH_MS;
        arm(ui, UI_REFRESH_MS / 2);
    }
}

/* --- displays --- */

bool ui_console_text(struct ui_console *c, struct ui_text *text)
{
    return c->ops->text && c->ops->text(c->opaque, text);
}

bool ui_console_can_resize(const struct ui_console *c) { return c->ops->wants_size != NULL; }

void ui_console_wants_size(struct ui_console *c, int width, int height)
{
    if (c->ops->wants_size) {
        c->ops->wants_size(c->opaque, CLAMP(width, 0, UI_MAX_SIZE), CLAMP(height, 0, UI_MAX_SIZE));
    }
}

bool ui_console_key(struct ui_console *c, int qcode, bool down)
{
    if (!c->ops->key) {
        return false;
    }
    c->ops->key(c->opaque, qcode, down);
    ui_wake(c->ui);
    return true;
}

void ui_listen(struct ui_console *c, struct ui_listener *l)
{
    struct ui_rect all = { 0, 0, c->surface.width, c->surface.height };

    g_ptr_array_add(c->listeners, l);
    if (c->ops->invalidate) {
        c->ops->invalidate(c->opaque);
    }
    if (c->surface.data && l->resized) {
        l->resized(l->opaque, c);
    }
    if (c->surface.data && l->damaged) {
        l->damaged(l->opaque, c, &all, 1);
    }
    if (l->cursor_shape) {
        l->cursor_shape(l->opaque, c, c->cursor);
    }
    if (l->cursor_moved) {
        l->cursor_moved(l->opaque, c, c->cursor_x, c->cursor_y, c->cursor_visible);
    }
    ui_listener_look(c->ui, l, l->looks);
}

void ui_unlisten(struct ui_console *c, struct ui_listener *l) { g_ptr_array_remove(c->listeners, l); }

void ui_listener_look(struct ui *ui, struct ui_listener *l, bool looks)
{
    l->looks = looks;
    ui->interval = UI_REFRESH_MS;
    if (!looks || !ui->source) {
        arm(ui, 1);
    }
}
