/*
 * PS/2 mouse with wheel (IntelliMouse, id 3) and five buttons (Explorer, id 4): stream and remote mode, sample rate, scaling, wrap mode.
 * Spec: IBM Personal System/2 Hardware Interface Technical Reference, "Auxiliary Device"; Microsoft, "Intellimouse: scrolling support for
 * PS/2" (the knocks 200-100-80 and 200-200-80).
 */
#include "core/machine.h"
#include "hw/input/ps2.h"

enum { ACK = 0xfa, NACK = 0xfe, TEST_PASSED = 0xaa, ERROR = 0xfc };
enum { CMD_SCALE1 = 0xe6, CMD_SCALE2, CMD_RESOLUTION, CMD_STATUS, CMD_STREAM, CMD_READ, CMD_UNWRAP, CMD_WRAP = 0xee, CMD_REMOTE = 0xf0,
       CMD_ID = 0xf2, CMD_RATE, CMD_ENABLE, CMD_DISABLE, CMD_DEFAULT, CMD_RESEND = 0xfe, CMD_RESET = 0xff };
enum { ID_PLAIN = 0, ID_WHEEL = 3, ID_EXPLORER = 4 };
enum { BUTTON_LEFT = 1, BUTTON_RIGHT = 2, BUTTON_MIDDLE = 4, BUTTON_SIDE = 8, BUTTON_EXTRA = 16 };
enum { DEFAULT_RATE = 100, DEFAULT_RESOLUTION = 2, QUEUE_FULL = 64 };      /* no packets on top of this many bytes */

static void answer(struct ps2_mouse *s, uint8_t byte)
{
    ps2_put(&s->queue, byte);
    s->last = byte;
    s->changed(s->owner);
}

static bool moved(const struct ps2_mouse *s) { return s->dx || s->dy || (s->dz && s->id) || s->buttons != s->sent_buttons; }

/* 2:1 scaling: small steps become smaller, from 6 on they double. */
static int scaled(const struct ps2_mouse *s, int d)
{
    static const uint8_t small[6] = { 0, 1, 1, 3, 6, 9 };
    int n = d < 0 ? -d : d;

    if (!s->scale2 || s->remote) {
        return d;
    }
    n = n < 6 ? small[n] : 2 * n;
    return d < 0 ? -n : n;
}

/* Takes what fits out of what was gathered. */
static int portion(uint32_t *gathered, int limit)
{
    int d = CLAMP((int32_t)*gathered, -limit, limit - 1);

    *gathered -= (uint32_t)d;
    return d;
}

static void packet(struct ps2_mouse *s)
{
    int dx = scaled(s, portion(&s->dx, 256)), dy = scaled(s, portion(&s->dy, 256));
    int dz = s->id ? portion(&s->dz, 8) : 0;

    dx = CLAMP(dx, -256, 255);
    dy = CLAMP(dy, -256, 255);

    ps2_put(&s->queue, (uint8_t)(0x08 | (s->buttons & 7) | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0)));
    ps2_put(&s->queue, (uint8_t)dx);
    ps2_put(&s->queue, (uint8_t)dy);
    if (s->id == ID_WHEEL) {
        ps2_put(&s->queue, (uint8_t)dz);
    } else if (s->id == ID_EXPLORER) {
        ps2_put(&s->queue, (uint8_t)((dz & 0x0f) | (s->buttons & (BUTTON_SIDE | BUTTON_EXTRA)) << 1));
    } else {
        s->dz = 0;
    }
    s->sent_buttons = s->buttons;
    s->changed(s->owner);
}

/* In stream mode a packet goes out when something has happened, at most `rate` a second. */
static void stream(struct ps2_mouse *s)
{
    if (s->reporting && !s->remote && !s->wrap && moved(s) && !timer_armed(&s->pace)) {
        if (s->queue.count <= QUEUE_FULL) {
            packet(s);
        }
        timer_set(&s->pace, clock_now(s->machine, CLOCK_VIRTUAL_NS) + NS_PER_S / MAX(s->rate, 1));
    }
}

static void pace(void *opaque) { stream(opaque); }

/* --- events --- */

static void on_relative(void *opaque, int dx, int dy)
{
    struct ps2_mouse *s = opaque;

    s->dx = (uint32_t)CLAMP((int32_t)s->dx + CLAMP(dx, -4096, 4096), -4096, 4096);
    s->dy = (uint32_t)CLAMP((int32_t)s->dy - CLAMP(dy, -4096, 4096), -4096, 4096);      /* up is positive */
}

static void on_button(void *opaque, enum ui_button b, bool down)
{
    static const uint8_t bit[UI_BUTTON_COUNT] = { [UI_BUTTON_LEFT] = BUTTON_LEFT, [UI_BUTTON_MIDDLE] = BUTTON_MIDDLE, [UI_BUTTON_RIGHT] = BUTTON_RIGHT,
                                                  [UI_BUTTON_SIDE] = BUTTON_SIDE, [UI_BUTTON_EXTRA] = BUTTON_EXTRA };
    struct ps2_mouse *s = opaque;

    if (b == UI_BUTTON_WHEEL_UP || b == UI_BUTTON_WHEEL_DOWN) {
        s->dz = (uint32_t)CLAMP((int32_t)s->dz + (!down ? 0 : b == UI_BUTTON_WHEEL_UP ? -1 : 1), -127, 127);
    } else if (down) {
        s->buttons |= bit[b];
    } else {
        s->buttons &= (uint8_t)~bit[b];
    }
}

static void on_sync(void *opaque) { stream(opaque); }

/* --- commands --- */

static void defaults(struct ps2_mouse *s)
{
    s->rate = DEFAULT_RATE;
    s->resolution = DEFAULT_RESOLUTION;
    s->reporting = s->remote = s->scale2 = false;
    s->dx = s->dy = s->dz = 0;
    timer_cancel(&s->pace);
}

static void status(struct ps2_mouse *s)
{
    answer(s, ACK);
    answer(s, (uint8_t)(s->remote << 6 | s->reporting << 5 | s->scale2 << 4 | (s->buttons & 1) << 2 | (s->buttons & 4) >> 1 | (s->buttons & 2) >> 1));
    answer(s, s->resolution);
    answer(s, s->rate);
}

static void set_rate(struct ps2_mouse *s, uint8_t rate)
{
    if (s->knock[0] == 200 && s->knock[1] == 100 && rate == 80) {
        s->id = ID_WHEEL;
    } else if (s->knock[0] == 200 && s->knock[1] == 200 && rate == 80) {
        s->id = ID_EXPLORER;
    }
    s->knock[0] = s->knock[1];
    s->knock[1] = rate;
    s->rate = rate;
}

static void command(struct ps2_mouse *s, uint8_t byte)
{
    switch (byte) {
    case CMD_RESOLUTION: case CMD_RATE:
        s->command = byte;
        break;
    case CMD_SCALE1: s->scale2 = false; break;
    case CMD_SCALE2: s->scale2 = true; break;
    case CMD_STATUS: status(s); return;
    case CMD_STREAM: s->remote = false; break;
    case CMD_READ:
        answer(s, ACK);
        packet(s);
        return;
    case CMD_UNWRAP: s->wrap = false; break;
    case CMD_WRAP:   s->wrap = true; break;
    case CMD_REMOTE: s->remote = true; break;
    case CMD_ID:
        answer(s, ACK);
        answer(s, s->id);
        return;
    case CMD_ENABLE:  s->reporting = true; break;
    case CMD_DISABLE: s->reporting = false; break;
    case CMD_DEFAULT: defaults(s); break;
    case CMD_RESEND:
        answer(s, s->last);
        return;
    case CMD_RESET:
        defaults(s);
        s->wrap = false;
        s->id = ID_PLAIN;
        s->queue.count = 0;
        answer(s, ACK);
        answer(s, TEST_PASSED);
        answer(s, s->id);
        return;
    default:
        answer(s, NACK);
        return;
    }
    answer(s, ACK);
}

void ps2_mouse_write(struct ps2_mouse *s, uint8_t byte)
{
    uint8_t waiting = s->command;

    if (s->wrap && byte != CMD_UNWRAP && byte != CMD_RESET) {
        answer(s, byte);
        return;
    }
    s->command = 0;
    if (waiting == CMD_RATE) {
        set_rate(s, byte);
        answer(s, ACK);
    } else if (waiting == CMD_RESOLUTION) {
        s->resolution = byte & 3;
        answer(s, ACK);
    } else {
        command(s, byte);
    }
}

void ps2_mouse_init(struct ps2_mouse *s, struct machine *m, void (*changed)(void *owner), void *owner)
{
    static const struct ui_handler_ops ops = { .takes = UI_TAKES_RELATIVE, .button = on_button, .relative = on_relative, .sync = on_sync };

    s->machine = m;
    s->changed = changed;
    s->owner = owner;
    timer_init(&s->pace, m, CLOCK_VIRTUAL_NS, pace, s);
    s->handler = m->ui ? ui_handler_add(m->ui, "QEMU PS/2 Mouse", &ops, s) : NULL;
}

void ps2_mouse_fini(struct ps2_mouse *s)
{
    timer_cancel(&s->pace);
    ui_handler_remove(s->handler);
}

const struct field ps2_mouse_fields[] = {
    STATE(struct ps2_mouse, queue.data), STATE(struct ps2_mouse, queue.head), STATE(struct ps2_mouse, queue.count),
    STATE(struct ps2_mouse, id), STATE(struct ps2_mouse, rate, .reset = DEFAULT_RATE),
    STATE(struct ps2_mouse, resolution, .reset = DEFAULT_RESOLUTION), STATE(struct ps2_mouse, command), STATE(struct ps2_mouse, knock),
    STATE(struct ps2_mouse, buttons), STATE(struct ps2_mouse, sent_buttons), STATE(struct ps2_mouse, last),
    STATE(struct ps2_mouse, reporting), STATE(struct ps2_mouse, remote), STATE(struct ps2_mouse, wrap), STATE(struct ps2_mouse, scale2),
    STATE(struct ps2_mouse, dx), STATE(struct ps2_mouse, dy), STATE(struct ps2_mouse, dz),
    STATE(struct ps2_mouse, pace),
    WIRING(struct ps2_mouse, handler), WIRING(struct ps2_mouse, machine), WIRING(struct ps2_mouse, changed), WIRING(struct ps2_mouse, owner),
};
G_STATIC_ASSERT(G_N_ELEMENTS(ps2_mouse_fields) == PS2_MOUSE_FIELDS);
