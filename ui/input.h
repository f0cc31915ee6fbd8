/*
 * Input: keys, pointers and their way from displays and monitors to the guest's devices; LEDs back.
 *
 * Keys are named as QEMU's users name them (QKeyCode); one table says what each is in scan code sets 1 to 3, evdev, USB HID usages (which are
 * SDL's scan codes too) and X11 keysyms (which VNC sends).
 *
 * Handlers are the guest's devices. A key goes to the handler for keys that was activated last; a pointer event to the first handler, in
 * order of activation, that takes its kind. Pointer motion is gathered: a display calls ui_input_sync() after what belongs together.
 * Locks: as ui/console.h.
 */
#ifndef UI_INPUT_H
#define UI_INPUT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct ui;
struct ui_handler;

enum ui_qcode {
    UI_KEY_NONE,
    UI_KEY_SHIFT, UI_KEY_SHIFT_R, UI_KEY_ALT, UI_KEY_ALT_R, UI_KEY_CTRL, UI_KEY_CTRL_R, UI_KEY_MENU, UI_KEY_ESC, UI_KEY_1, UI_KEY_2, UI_KEY_3,
    UI_KEY_4, UI_KEY_5, UI_KEY_6, UI_KEY_7, UI_KEY_8, UI_KEY_9, UI_KEY_0, UI_KEY_MINUS, UI_KEY_EQUAL, UI_KEY_BACKSPACE, UI_KEY_TAB, UI_KEY_Q,
    UI_KEY_W, UI_KEY_E, UI_KEY_R, UI_KEY_T, UI_KEY_Y, UI_KEY_U, UI_KEY_I, UI_KEY_O, UI_KEY_P, UI_KEY_BRACKET_LEFT, UI_KEY_BRACKET_RIGHT,
    UI_KEY_RET, UI_KEY_A, UI_KEY_S, UI_KEY_D, UI_KEY_F, UI_KEY_G, UI_KEY_H, UI_KEY_J, UI_KEY_K, UI_KEY_L, UI_KEY_SEMICOLON, UI_KEY_APOSTROPHE,
    UI_KEY_GRAVE_ACCENT, UI_KEY_BACKSLASH, UI_KEY_Z, UI_KEY_X, UI_KEY_C, UI_KEY_V, UI_KEY_B, UI_KEY_N, UI_KEY_M, UI_KEY_COMMA, UI_KEY_DOT,
    UI_KEY_SLASH, UI_KEY_SPC, UI_KEY_CAPS_LOCK, UI_KEY_F1, UI_KEY_F2, UI_KEY_F3, UI_KEY_F4, UI_KEY_F5, UI_KEY_F6, UI_KEY_F7, UI_KEY_F8,
    UI_KEY_F9, UI_KEY_F10, UI_KEY_F11, UI_KEY_F12, UI_KEY_F13, UI_KEY_F14, UI_KEY_F15, UI_KEY_F16, UI_KEY_F17, UI_KEY_F18, UI_KEY_F19,
    UI_KEY_F20, UI_KEY_F21, UI_KEY_F22, UI_KEY_F23, UI_KEY_F24, UI_KEY_NUM_LOCK, UI_KEY_SCROLL_LOCK, UI_KEY_KP_DIVIDE, UI_KEY_KP_MULTIPLY,
    UI_KEY_KP_SUBTRACT, UI_KEY_KP_ADD, UI_KEY_KP_ENTER, UI_KEY_KP_DECIMAL, UI_KEY_KP_0, UI_KEY_KP_1, UI_KEY_KP_2, UI_KEY_KP_3, UI_KEY_KP_4,
    UI_KEY_KP_5, UI_KEY_KP_6, UI_KEY_KP_7, UI_KEY_KP_8, UI_KEY_KP_9, UI_KEY_LESS, UI_KEY_PRINT, UI_KEY_SYSRQ, UI_KEY_PAUSE, UI_KEY_HOME,
    UI_KEY_PGUP, UI_KEY_PGDN, UI_KEY_END, UI_KEY_LEFT, UI_KEY_UP, UI_KEY_DOWN, UI_KEY_RIGHT, UI_KEY_INSERT, UI_KEY_DELETE, UI_KEY_META_L,
    UI_KEY_META_R, UI_KEY_COMPOSE, UI_KEY_HELP, UI_KEY_RO, UI_KEY_HIRAGANA, UI_KEY_KATAKANAHIRAGANA, UI_KEY_HENKAN, UI_KEY_MUHENKAN, UI_KEY_YEN,
    UI_KEY_KP_COMMA, UI_KEY_KP_EQUALS, UI_KEY_POWER, UI_KEY_SLEEP, UI_KEY_WAKE, UI_KEY_AUDIONEXT, UI_KEY_AUDIOPREV, UI_KEY_AUDIOSTOP,
    UI_KEY_AUDIOPLAY, UI_KEY_AUDIOMUTE, UI_KEY_VOLUMEUP, UI_KEY_VOLUMEDOWN, UI_KEY_MAIL, UI_KEY_CALCULATOR, UI_KEY_COMPUTER, UI_KEY_AC_HOME,
    UI_KEY_AC_BACK, UI_KEY_AC_FORWARD, UI_KEY_AC_REFRESH, UI_KEY_AC_BOOKMARKS, UI_KEY_STOP, UI_KEY_AGAIN, UI_KEY_PROPS, UI_KEY_UNDO,
    UI_KEY_FRONT, UI_KEY_COPY, UI_KEY_OPEN, UI_KEY_PASTE, UI_KEY_FIND, UI_KEY_CUT, UI_KEY_LF,
    UI_KEY_COUNT
};

struct ui_key {
    const char *name;
    uint16_t set1;          /* e0xx: with that prefix; 0: has none. Pause and print are more than this says. */
    uint32_t set2;
    uint8_t set3;
    uint16_t evdev;
    uint8_t hid;            /* usage of page 7 */
    uint32_t keysym[2];     /* plain, shifted: US layout */
};

extern const struct ui_key ui_keys[UI_KEY_COUNT];

/* 0: not known. Names as in sendkey ("ctrl", "f1", "0x1e" is a set 1 code). */
enum ui_qcode ui_key_by_name(const char *name);
enum ui_qcode ui_key_by_number(unsigned code);          /* set 1, |0x80 for e0-prefixed ones ("qnum") */
enum ui_qcode ui_key_by_hid(unsigned usage);
enum ui_qcode ui_key_by_evdev(unsigned code);
unsigned ui_key_number(enum ui_qcode q);

/* Layouts of -k. NULL: not known. */
struct ui_layout;
const struct ui_layout *ui_layout_find(const char *name);
const char *const *ui_layout_names(void);               /* NULL-terminated */
/* The key that carries a keysym. *shift: it is the shifted symbol; *altgr likewise. UI_KEY_NONE: no key does. */
enum ui_qcode ui_layout_key(const struct ui_layout *l, uint32_t keysym, bool *shift, bool *altgr);

enum ui_button { UI_BUTTON_LEFT, UI_BUTTON_MIDDLE, UI_BUTTON_RIGHT, UI_BUTTON_WHEEL_UP, UI_BUTTON_WHEEL_DOWN, UI_BUTTON_SIDE, UI_BUTTON_EXTRA,
                 UI_BUTTON_WHEEL_LEFT, UI_BUTTON_WHEEL_RIGHT, UI_BUTTON_COUNT };
enum { UI_ABS_MAX = 0x7fff };       /* absolute positions are 0..this */
enum { UI_TAKES_KEYS = 1, UI_TAKES_RELATIVE = 2, UI_TAKES_ABSOLUTE = 4 };
enum { UI_LED_SCROLL = 1, UI_LED_NUM = 2, UI_LED_CAPS = 4 };

struct ui_handler_ops {
    unsigned takes;
    void (*key)(void *opaque, enum ui_qcode q, bool down);
    void (*button)(void *opaque, enum ui_button b, bool down);      /* wheel steps are a press and a release */
    void (*relative)(void *opaque, int dx, int dy);
    void (*absolute)(void *opaque, unsigned x, unsigned y);
    void (*sync)(void *opaque);
};

/* --- for devices --- */
struct ui_handler *ui_handler_add(struct ui *ui, const char *name, const struct ui_handler_ops *ops, void *opaque);
void ui_handler_remove(struct ui_handler *h);
/* The guest's driver uses it now: it comes first. */
void ui_handler_activate(struct ui_handler *h);
void ui_input_set_leds(struct ui *ui, unsigned leds);

/* --- for displays and monitors --- */
void ui_input_key(struct ui *ui, enum ui_qcode q, bool down);
void ui_input_button(struct ui *ui, enum ui_button b, bool down);
void ui_input_relative(struct ui *ui, int dx, int dy);
void ui_input_absolute(struct ui *ui, unsigned x, unsigned y);      /* 0..UI_ABS_MAX */
void ui_input_sync(struct ui *ui);
bool ui_input_is_absolute(const struct ui *ui);                     /* the pointer that counts is a tablet */
unsigned ui_input_leds(const struct ui *ui);
void ui_input_release_all(struct ui *ui);                           /* keys and buttons that are down */
/* Called when is_absolute or the LEDs may have changed. One hook per display. */
void ui_input_on_change(struct ui *ui, void (*fn)(void *opaque), void *opaque);

/* info mice, mouse_set. Indices count all handlers in order of addition. */
void ui_input_mice(const struct ui *ui, GString *out);
bool ui_input_mouse_set(struct ui *ui, unsigned index, GError **err);
/* "ctrl-alt-f1", held hold_ms and then released in reverse order. Returns at once. Queues behind what is being sent. */
bool ui_input_send_keys(struct ui *ui, const char *keys, unsigned hold_ms, GError **err);

#endif
