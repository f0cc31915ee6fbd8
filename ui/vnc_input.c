/*
 * Keys and pointers from VNC viewers: keysyms by the layout of -k, key codes of the extension that many viewers speak ("QEMU Extended Key Event"), absolute
 * positions made relative where the guest has only a mouse, Ctrl-Alt-1..9 for consoles.
 */
#include "ui/vnc_priv.h"

static const enum ui_qcode digits[9] = { UI_KEY_1, UI_KEY_2, UI_KEY_3, UI_KEY_4, UI_KEY_5, UI_KEY_6, UI_KEY_7, UI_KEY_8, UI_KEY_9 };

static void deliver(struct vnc_input *in, enum ui_qcode q, bool down)
{
    if (q == UI_KEY_CTRL || q == UI_KEY_CTRL_R) {
        in->ctrl = down;
    } else if (q == UI_KEY_ALT || q == UI_KEY_ALT_R) {
        in->alt = down;
    } else if (q == UI_KEY_SHIFT || q == UI_KEY_SHIFT_R) {
        in->shift = down;
    }
    for (unsigned i = 0; in->ctrl && in->alt && i < G_N_ELEMENTS(digits); i++) {
        if (q == digits[i] && i < ui_console_count(in->ui)) {
            if (down) {
                ui_input_release_all(in->ui);
                in->choose(in->opaque, i);
            }
            return;
        }
    }
    if (!in->console || !ui_console_key(in->console, q, down)) {
        ui_input_key(in->ui, q, down);
    }
}

/* Viewers (and scripts) may send a capital without shift: then shift is held for it. */
static void keysym(struct vnc_input *in, uint32_t sym, bool down)
{
    bool shift, altgr;
    enum ui_qcode q = ui_layout_key(in->host->layout, sym, &shift, &altgr);

    if (q == UI_KEY_NONE) {
        return;
    }
    if (down && shift && !in->shift && !in->with_shift) {
        in->with_shift = q;
        deliver(in, UI_KEY_SHIFT, true);
        in->shift = false;
    }
    if (down && altgr && !in->with_altgr && !in->alt) {
        in->with_altgr = q;
        ui_input_key(in->ui, UI_KEY_ALT_R, true);
    }
    deliver(in, q, down);
    if (!down && in->with_shift == q) {
        in->with_shift = UI_KEY_NONE;
        deliver(in, UI_KEY_SHIFT, false);
    }
    if (!down && in->with_altgr == q) {
        in->with_altgr = UI_KEY_NONE;
        ui_input_key(in->ui, UI_KEY_ALT_R, false);
    }
}

static void pointer(struct vnc_input *in, const struct vnc_event *e)
{
    static const enum ui_button bits[7] = { UI_BUTTON_LEFT, UI_BUTTON_MIDDLE, UI_BUTTON_RIGHT, UI_BUTTON_WHEEL_UP, UI_BUTTON_WHEEL_DOWN,
                                            UI_BUTTON_WHEEL_LEFT, UI_BUTTON_WHEEL_RIGHT };
    const struct ui_surface *s = in->console ? ui_console_surface(in->console) : NULL;

    if (!s || ui_console_is_text(in->console)) {
        return;
    }
    if (ui_input_is_absolute(in->ui)) {
        ui_input_absolute(in->ui, (unsigned)((uint64_t)e->a * UI_ABS_MAX / MAX((unsigned)s->width - 1, 1u)),
                          (unsigned)((uint64_t)e->b * UI_ABS_MAX / MAX((unsigned)s->height - 1, 1u)));
    } else if (in->pointed) {
        ui_input_relative(in->ui, (int)e->a - (int)in->last_x, (int)e->b - (int)in->last_y);
    }
    in->last_x = e->a;
    in->last_y = e->b;
    in->pointed = true;
    for (unsigned i = 0; i < G_N_ELEMENTS(bits); i++) {
        if ((e->buttons ^ in->buttons) >> i & 1) {
            ui_input_button(in->ui, bits[i], e->buttons >> i & 1);
        }
    }
    in->buttons = e->buttons;
    ui_input_sync(in->ui);
}

void vnc_input_event(struct vnc_input *in, const struct vnc_event *e)
{
    switch (e->kind) {
    case VNC_KEYSYM:
        keysym(in, e->a, e->b);
        break;
    case VNC_KEYCODE:
        deliver(in, ui_key_by_number(e->a), e->b);
        break;
    case VNC_POINTER:
        pointer(in, e);
        break;
    default:
        break;
    }
}

/* The last viewer has gone: nothing stays pressed. */
void vnc_input_release(struct vnc_input *in)
{
    ui_input_release_all(in->ui);
    in->ctrl = in->alt = in->shift = in->pointed = false;
    in->with_shift = in->with_altgr = UI_KEY_NONE;
    in->buttons = 0;
}
