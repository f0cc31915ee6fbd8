/*
 * PS/2 keyboard: scan code sets 1 to 3, typematic repeat, LEDs, all commands. The default is set 2, as on an AT.
 * Left out: the shift codes that hardware puts around the grey keys while Num Lock is on (no driver asks for them).
 * Spec: IBM Personal System/2 Hardware Interface Technical Reference, "Keyboards (101- and 102-Key)".
 */
#include <string.h>

#include "core/machine.h"
#include "hw/input/ps2.h"

enum { ACK = 0xfa, RESEND = 0xfe, ECHO = 0xee, TEST_PASSED = 0xaa, OVERRUN = 0x00, ID1 = 0xab, ID2 = 0x83 };
enum { CMD_LEDS = 0xed, CMD_ECHO = 0xee, CMD_SET = 0xf0, CMD_ID = 0xf2, CMD_RATE = 0xf3, CMD_ENABLE = 0xf4, CMD_DISABLE = 0xf5, CMD_DEFAULT = 0xf6,
       CMD_ALL_TYPEMATIC = 0xf7, CMD_ALL_MAKE_BREAK, CMD_ALL_MAKE, CMD_ALL_BOTH, CMD_KEY_TYPEMATIC, CMD_KEY_MAKE_BREAK, CMD_KEY_MAKE,
       CMD_RESEND = 0xfe, CMD_RESET = 0xff };
enum { MODE_MAKE = 1, MODE_BREAK = 2, MODE_REPEAT = 4 };
enum { DEFAULT_RATE = 0x2b };             /* 500 ms, then 10.9 a second */

static void put(struct ps2_keyboard *k, const uint8_t *bytes, unsigned n)
{
    if (ps2_room(&k->queue) < n + 1) {    /* one byte is kept for the overrun code */
        ps2_put(&k->queue, OVERRUN);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        ps2_put(&k->queue, bytes[i]);
    }
    k->changed(k->owner);
}

/* Answers to commands go out whatever the host has not read yet; keys that wait are dropped, as by hardware that was spoken to. */
static void answer(struct ps2_keyboard *k, uint8_t byte)
{
    ps2_put(&k->queue, byte);
    k->last = byte;
    k->changed(k->owner);
}

/* --- keys --- */

/* Bytes of a code with its prefixes; the break form of sets 2 and 3 has F0 before the last byte. */
static unsigned encode(unsigned set, uint32_t code, bool down, uint8_t *out)
{
    unsigned n = 0;

    if (code > 0xff) {
        out[n++] = (uint8_t)(code >> 8);
    }
    if (!down && set != 1) {
        out[n++] = 0xf0;
    }
    out[n++] = (uint8_t)code | (!down && set == 1 ? 0x80 : 0);
    return n;
}

static unsigned encode_pause(const struct ps2_keyboard *k, uint8_t *out)
{
    static const uint8_t set1[] = { 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5 }, set1_break[] = { 0xe0, 0x46, 0xe0, 0xc6 };
    static const uint8_t set2[] = { 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77 }, set2_break[] = { 0xe0, 0x7e, 0xe0, 0xf0, 0x7e };
    const uint8_t *from = k->set == 1 ? (k->ctrl ? set1_break : set1) : k->ctrl ? set2_break : set2;
    unsigned n = k->set == 1 ? (k->ctrl ? sizeof(set1_break) : sizeof(set1)) : k->ctrl ? sizeof(set2_break) : sizeof(set2);

    memcpy(out, from, n);
    return n;
}

/* Print comes with a shift of its own, unless shift or ctrl is held; with alt it is another key. */
static unsigned encode_print(struct ps2_keyboard *k, bool down, uint8_t *out)
{
    uint32_t shift = k->set == 1 ? 0xe02a : 0xe012, key = k->set == 1 ? 0xe037 : 0xe07c;
    unsigned n = 0;

    if (down) {
        k->print_short = k->ctrl || k->shift;
    }
    if (k->alt) {
        return encode(k->set, k->set == 1 ? 0x54 : 0x84, down, out);
    }
    n += k->print_short || !down ? 0 : encode(k->set, shift, true, out);
    n += encode(k->set, key, down, out + n);
    n += k->print_short || down ? 0 : encode(k->set, shift, false, out + n);
    return n;
}

static void send_key(struct ps2_keyboard *k, enum ui_qcode q, bool down)
{
    const struct ui_key *key = &ui_keys[q];
    uint8_t bytes[16];
    unsigned n;

    if (k->set == 3) {
        if (!key->set3 || (!down && !(k->modes[key->set3] & MODE_BREAK))) {
            return;
        }
        n = encode(3, key->set3, down, bytes);
    } else if (q == UI_KEY_PAUSE) {
        if (!down) {
            return;
        }
        n = encode_pause(k, bytes);
    } else if (q == UI_KEY_PRINT) {
        n = encode_print(k, down, bytes);
    } else {
        if (!(k->set == 1 ? key->set1 : key->set2)) {
            return;
        }
        n = encode(k->set, k->set == 1 ? key->set1 : key->set2, down, bytes);
    }
    put(k, bytes, n);
}

static bool repeats(const struct ps2_keyboard *k, enum ui_qcode q)
{
    return q != UI_KEY_PAUSE && (k->set != 3 || (k->modes[ui_keys[q].set3] & MODE_REPEAT));
}

static void repeat_in(struct ps2_keyboard *k, uint64_t ns)
{
    timer_set(&k->repeat, clock_now(k->machine, CLOCK_VIRTUAL_NS) + ns);
}

static uint64_t delay_ns(const struct ps2_keyboard *k) { return ((k->rate >> 5 & 3) + 1) * 250 * 1000000ull; }
/* Period = (8 + A) * 2^B * 4.17 ms */
static uint64_t period_ns(const struct ps2_keyboard *k) { return (8ull + (k->rate & 7)) * (1u << (k->rate >> 3 & 3)) * 4170000; }

static void repeat(void *opaque)
{
    struct ps2_keyboard *k = opaque;

    if (k->repeat_key && k->scanning) {
        if (k->queue.count < PS2_QUEUE / 2) {          /* a host that does not read gets no more of the same */
            send_key(k, (enum ui_qcode)k->repeat_key, true);
        }
        repeat_in(k, period_ns(k));
    }
}

static void modifiers(struct ps2_keyboard *k, enum ui_qcode q, bool down)
{
    bool *held = q == UI_KEY_CTRL || q == UI_KEY_CTRL_R ? &k->ctrl : q == UI_KEY_SHIFT || q == UI_KEY_SHIFT_R ? &k->shift :
                 q == UI_KEY_ALT || q == UI_KEY_ALT_R ? &k->alt : NULL;

    if (held) {
        *held = down;
    }
}

static void on_key(void *opaque, enum ui_qcode q, bool down)
{
    struct ps2_keyboard *k = opaque;
    bool again = down && k->repeat_key == q;

    modifiers(k, q, down);
    if (!k->scanning || again) {
        return;
    }
    send_key(k, q, down);
    if (down && repeats(k, q)) {
        k->repeat_key = q;
        repeat_in(k, delay_ns(k));
    } else if (!down && k->repeat_key == q) {
        k->repeat_key = 0;
        timer_cancel(&k->repeat);
    }
}

/* --- commands --- */

static void set_all_modes(struct ps2_keyboard *k, uint8_t mode) { memset(k->modes, mode, sizeof(k->modes)); }

static void defaults(struct ps2_keyboard *k)
{
    k->set = 2;
    k->rate = DEFAULT_RATE;
    k->repeat_key = 0;
    timer_cancel(&k->repeat);
    set_all_modes(k, MODE_MAKE | MODE_BREAK | MODE_REPEAT);
}

static void set_leds(struct ps2_keyboard *k, uint8_t leds)
{
    k->leds = leds & 7;
    if (k->machine->ui) {
        ui_input_set_leds(k->machine->ui, k->leds);
    }
}

static void argument(struct ps2_keyboard *k, uint8_t byte)
{
    uint8_t command = k->command;

    k->command = 0;
    answer(k, ACK);
    switch (command) {
    case CMD_LEDS:
        set_leds(k, byte);
        break;
    case CMD_RATE:
        k->rate = byte & 0x7f;
        break;
    case CMD_SET:
        if (byte == 0) {
            answer(k, k->set);
        } else if (byte <= 3) {
            k->set = byte;
        }
        break;
    case CMD_KEY_TYPEMATIC:
    case CMD_KEY_MAKE_BREAK:
    case CMD_KEY_MAKE:
        k->modes[byte] = command == CMD_KEY_TYPEMATIC ? MODE_MAKE | MODE_REPEAT : command == CMD_KEY_MAKE ? MODE_MAKE : MODE_MAKE | MODE_BREAK;
        k->command = command;             /* more keys may follow, until a command */
        break;
    default:
        break;
    }
}

static void command(struct ps2_keyboard *k, uint8_t byte)
{
    static const uint8_t all[4] = { MODE_MAKE | MODE_REPEAT, MODE_MAKE | MODE_BREAK, MODE_MAKE, MODE_MAKE | MODE_BREAK | MODE_REPEAT };

    k->command = 0;
    switch (byte) {
    case CMD_LEDS: case CMD_RATE: case CMD_SET: case CMD_KEY_TYPEMATIC: case CMD_KEY_MAKE_BREAK: case CMD_KEY_MAKE:
        k->command = byte;
        answer(k, ACK);
        break;
    case CMD_ECHO:
        answer(k, ECHO);
        break;
    case CMD_ID:
        answer(k, ACK);
        answer(k, ID1);
        answer(k, ID2);
        break;
    case CMD_ENABLE:
        k->queue.count = 0;
        k->scanning = true;
        answer(k, ACK);
        break;
    case CMD_DISABLE: case CMD_DEFAULT:
        defaults(k);
        k->scanning = byte == CMD_DEFAULT;
        answer(k, ACK);
        break;
    case CMD_ALL_TYPEMATIC: case CMD_ALL_MAKE_BREAK: case CMD_ALL_MAKE: case CMD_ALL_BOTH:
        set_all_modes(k, all[byte - CMD_ALL_TYPEMATIC]);
        answer(k, ACK);
        break;
    case CMD_RESEND:
        answer(k, k->last);
        break;
    case CMD_RESET:
        defaults(k);
        set_leds(k, 0);
        k->scanning = true;
        k->queue.count = 0;
        answer(k, ACK);
        answer(k, TEST_PASSED);
        break;
    default:
        answer(k, RESEND);
        break;
    }
}

void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t byte)
{
    if (k->command && byte < 0xed) {
        argument(k, byte);
    } else {
        command(k, byte);
    }
}

void ps2_keyboard_init(struct ps2_keyboard *k, struct machine *m, void (*changed)(void *owner), void *owner)
{
    static const struct ui_handler_ops ops = { .takes = UI_TAKES_KEYS, .key = on_key };

    k->machine = m;
    k->changed = changed;
    k->owner = owner;
    timer_init(&k->repeat, m, CLOCK_VIRTUAL_NS, repeat, k);
    k->handler = m->ui ? ui_handler_add(m->ui, "PS/2 keyboard", &ops, k) : NULL;
}

void ps2_keyboard_fini(struct ps2_keyboard *k)
{
    timer_cancel(&k->repeat);
    ui_handler_remove(k->handler);
}

const struct field ps2_keyboard_fields[] = {
    STATE(struct ps2_keyboard, queue.data), STATE(struct ps2_keyboard, queue.head), STATE(struct ps2_keyboard, queue.count),
    STATE(struct ps2_keyboard, set, .reset = 2), STATE(struct ps2_keyboard, leds), STATE(struct ps2_keyboard, rate, .reset = DEFAULT_RATE),
    STATE(struct ps2_keyboard, command), STATE(struct ps2_keyboard, last), STATE(struct ps2_keyboard, scanning, .reset = true),
    STATE(struct ps2_keyboard, modes), STATE(struct ps2_keyboard, repeat_key),
    STATE(struct ps2_keyboard, ctrl), STATE(struct ps2_keyboard, shift), STATE(struct ps2_keyboard, alt), STATE(struct ps2_keyboard, print_short),
    STATE(struct ps2_keyboard, repeat),
    WIRING(struct ps2_keyboard, handler), WIRING(struct ps2_keyboard, machine), WIRING(struct ps2_keyboard, changed),
    WIRING(struct ps2_keyboard, owner),
};
G_STATIC_ASSERT(G_N_ELEMENTS(ps2_keyboard_fields) == PS2_KEYBOARD_FIELDS);
