/* 8042 with PS/2 keyboard and mouse: commands, translation, interrupts, sets, typematic, mouse packets and knocks. */
#include "hw/input/i8042.h"

#include <criterion/criterion.h>

#include "tests/hw/hw_util.h"
#include "ui/console.h"
#include "ui/input.h"

static struct test_machine t;
static struct ui *ui;

static void setup(void)
{
    test_machine_make(&t);
    ui = t.m->ui = ui_new();
    test_device(&t, &i8042_class);
    devices_reset(t.m);
}

static void teardown(void)
{
    test_machine_free(&t);
    ui_free(ui);
}

TestSuite(i8042, .init = setup, .fini = teardown);

static bool full(void) { return inb(&t, 0x64) & 1; }

/* Bytes that wait, as "xx xx "; which: 0 keyboard, 1 mouse. */
static const char *drain(bool mouse)
{
    static char text[256];
    unsigned n = 0;

    text[0] = 0;
    while (full() && n < 240) {
        cr_assert_eq((inb(&t, 0x64) & 0x20) != 0, mouse);
        n += (unsigned)sprintf(text + n, "%02x ", inb(&t, 0x60));
    }
    return text;
}

static void mode(uint8_t m) { outb(&t, 0x64, 0x60); outb(&t, 0x60, m); }
static void keyboard(uint8_t b) { outb(&t, 0x60, b); }
static void mouse(uint8_t b) { outb(&t, 0x64, 0xd4); outb(&t, 0x60, b); }
static void key(enum ui_qcode q, bool down) { ui_input_key(ui, q, down); }
static void tap(enum ui_qcode q) { key(q, true); key(q, false); }

Test(i8042, self_tests)
{
    outb(&t, 0x64, 0xaa);
    cr_expect_str_eq(drain(false), "55 ");
    outb(&t, 0x64, 0xab);
    cr_expect_str_eq(drain(false), "00 ");
    outb(&t, 0x64, 0xa9);
    cr_expect_str_eq(drain(false), "00 ");
    outb(&t, 0x64, 0x20);
    cr_expect_str_eq(drain(false), "47 ");
    outb(&t, 0x64, 0xd3);
    outb(&t, 0x60, 0x5a);
    cr_expect_str_eq(drain(true), "5a ");
}

/* The translation table and the key table are two lists from two documents: each key must agree. */
Test(i8042, translation_is_set_1)
{
    for (unsigned q = 1; q < UI_KEY_COUNT; q++) {
        char want[64] = "";
        unsigned s = ui_keys[q].set1;

        if (!ui_keys[q].set2 || !s || q == UI_KEY_PAUSE || q == UI_KEY_PRINT || q == UI_KEY_CTRL || q == UI_KEY_SHIFT || q == UI_KEY_ALT ||
            q == UI_KEY_CTRL_R || q == UI_KEY_SHIFT_R || q == UI_KEY_ALT_R) {
            continue;
        }
        tap((enum ui_qcode)q);
        if (s > 0xff) {
            sprintf(want, "%02x %02x %02x %02x ", s >> 8, s & 0xff, s >> 8, (s & 0xff) | 0x80);
        } else {
            sprintf(want, "%02x %02x ", s, s | 0x80);
        }
        cr_expect_str_eq(drain(false), want, "%s", ui_keys[q].name);
    }
}

Test(i8042, sets)
{
    mode(0x03);                                             /* no translation */
    tap(UI_KEY_A);
    cr_expect_str_eq(drain(false), "1c f0 1c ");
    tap(UI_KEY_LEFT);
    cr_expect_str_eq(drain(false), "e0 6b e0 f0 6b ");
    tap(UI_KEY_PAUSE);
    cr_expect_str_eq(drain(false), "e1 14 77 e1 f0 14 f0 77 ");
    tap(UI_KEY_PRINT);
    cr_expect_str_eq(drain(false), "e0 12 e0 7c e0 f0 7c e0 f0 12 ");
    keyboard(0xf0);
    keyboard(1);
    cr_expect_str_eq(drain(false), "fa fa ");
    tap(UI_KEY_A);
    cr_expect_str_eq(drain(false), "1e 9e ");
    keyboard(0xf0);
    keyboard(3);
    drain(false);
    tap(UI_KEY_F1);
    cr_expect_str_eq(drain(false), "07 f0 07 ");
    keyboard(0xfd);                                         /* this key: make only */
    keyboard(0x07);
    cr_expect_str_eq(drain(false), "fa fa ");
    tap(UI_KEY_F1);
    cr_expect_str_eq(drain(false), "07 ");
    keyboard(0xf0);
    keyboard(0);
    cr_expect_str_eq(drain(false), "fa fa 03 ");
}

Test(i8042, keyboard_commands)
{
    keyboard(0xff);
    cr_expect_str_eq(drain(false), "fa aa ");
    keyboard(0xf2);
    cr_expect_str_eq(drain(false), "fa ab 41 ");           /* 83h is translated */
    keyboard(0xee);
    cr_expect_str_eq(drain(false), "ee ");
    keyboard(0xed);
    keyboard(0x05);
    cr_expect_str_eq(drain(false), "fa fa ");
    cr_expect_eq(ui_input_leds(ui), UI_LED_CAPS | UI_LED_SCROLL);
    keyboard(0xfe);
    cr_expect_str_eq(drain(false), "fa ");
    keyboard(0xe0);
    cr_expect_str_eq(drain(false), "fe ");
    keyboard(0xf5);
    drain(false);
    tap(UI_KEY_A);
    cr_expect(!full());                                     /* scanning is off */
    keyboard(0xf4);
    drain(false);
    tap(UI_KEY_A);
    cr_expect_str_eq(drain(false), "1e 9e ");
}

Test(i8042, typematic)
{
    keyboard(0xf3);
    keyboard(0x00);                                         /* 250 ms, 30 a second */
    drain(false);
    key(UI_KEY_B, true);
    cr_expect_str_eq(drain(false), "30 ");
    clock_step(t.m, 240000000);
    cr_expect_str_eq(drain(false), "");
    clock_step(t.m, 80000000);                              /* at 250, 283.4, 316.7 */
    cr_expect_str_eq(drain(false), "30 30 30 ");
    key(UI_KEY_B, false);
    clock_step(t.m, 1000000000);
    cr_expect_str_eq(drain(false), "b0 ");
}

Test(i8042, interrupts_are_one_edge_a_byte)
{
    unsigned before = t.irq_rises[1];

    tap(UI_KEY_LEFT);                                       /* 4 bytes */
    cr_expect_eq(t.irq_level[1], 1);
    drain(false);
    cr_expect_eq(t.irq_rises[1] - before, 4);
    cr_expect_eq(t.irq_level[1], 0);
    before = t.irq_rises[12];
    mouse(0xf4);
    cr_expect_eq(t.irq_rises[12] - before, 1);
    cr_expect_str_eq(drain(true), "fa ");
    mode(0x44);                                             /* interrupts off */
    tap(UI_KEY_A);
    cr_expect_eq(t.irq_level[1], 0);
    cr_expect_str_eq(drain(false), "1e 9e ");
    mode(0x57);                                             /* keyboard off: keys wait */
    tap(UI_KEY_A);
    cr_expect(!full());
    outb(&t, 0x64, 0xae);
    cr_expect_str_eq(drain(false), "1e 9e ");
}

static void move(int dx, int dy)
{
    ui_input_relative(ui, dx, dy);
    ui_input_sync(ui);
}

static void knock(uint8_t a, uint8_t b, uint8_t c)
{
    mouse(0xf3), mouse(a), mouse(0xf3), mouse(b), mouse(0xf3), mouse(c);
    drain(true);
}

Test(i8042, mouse_stream)
{
    mouse(0xff);
    cr_expect_str_eq(drain(true), "fa aa 00 ");
    move(1, 1);
    cr_expect(!full());                                     /* reporting is off */
    mouse(0xf4);
    drain(true);
    clock_step(t.m, 20000000);
    move(5, 3);
    cr_expect_str_eq(drain(true), "28 06 fc ");             /* what was gathered too: 6, up is positive: -4 */
    move(1, 0);
    cr_expect(!full());                                     /* 100 a second */
    ui_input_button(ui, UI_BUTTON_LEFT, true);
    move(1, -2);
    clock_step(t.m, 10000000);
    cr_expect_str_eq(drain(true), "09 02 02 ");
    clock_step(t.m, 20000000);
    cr_expect(!full());
    mouse(0xe9);
    cr_expect_str_eq(drain(true), "fa 24 02 64 ");
    mouse(0xf0);                                            /* remote: only when asked */
    drain(true);
    move(4, 0);
    cr_expect(!full());
    mouse(0xeb);
    cr_expect_str_eq(drain(true), "fa 09 04 00 ");
    mouse(0xee);                                            /* wrap */
    drain(true);
    mouse(0x12);
    cr_expect_str_eq(drain(true), "12 ");
    mouse(0xec);
    cr_expect_str_eq(drain(true), "fa ");
}

Test(i8042, wheel_and_five_buttons)
{
    mouse(0xf4);
    knock(200, 100, 80);
    mouse(0xf2);
    cr_expect_str_eq(drain(true), "fa 03 ");
    ui_input_button(ui, UI_BUTTON_WHEEL_UP, true);
    ui_input_button(ui, UI_BUTTON_WHEEL_UP, false);
    ui_input_sync(ui);
    cr_expect_str_eq(drain(true), "08 00 00 ff ");
    knock(200, 200, 80);
    mouse(0xf2);
    cr_expect_str_eq(drain(true), "fa 04 ");
    clock_step(t.m, 20000000);
    ui_input_button(ui, UI_BUTTON_SIDE, true);
    ui_input_sync(ui);
    cr_expect_str_eq(drain(true), "08 00 00 10 ");
}

Test(i8042, a_host_that_does_not_read_loses_keys_and_no_more)
{
    for (unsigned i = 0; i < 1000; i++) {
        tap(UI_KEY_LEFT);
    }
    for (unsigned i = 0; i < 1000 && full(); i++) {
        inb(&t, 0x60);
    }
    tap(UI_KEY_A);
    cr_expect_str_eq(drain(false), "1e 9e ");
}
