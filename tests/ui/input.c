/* Key names, numbers and layouts; which device receives; sendkey. */
#include "ui/input.h"

#include <criterion/criterion.h>

#include "ui/console.h"

Test(keys, names_and_numbers)
{
    cr_expect_eq(ui_key_by_name("ctrl"), UI_KEY_CTRL);
    cr_expect_eq(ui_key_by_name("f12"), UI_KEY_F12);
    cr_expect_eq(ui_key_by_name("0x1e"), UI_KEY_A);
    cr_expect_eq(ui_key_by_name("nosuch"), UI_KEY_NONE);
    for (unsigned q = 1; q < UI_KEY_COUNT; q++) {
        cr_expect_eq(ui_key_by_name(ui_keys[q].name), q, "%s", ui_keys[q].name);
        if (ui_keys[q].set1) {
            cr_expect_eq(ui_key_by_number(ui_key_number((enum ui_qcode)q)), q, "%s", ui_keys[q].name);
        }
    }
}

Test(keys, layouts)
{
    bool shift, altgr;
    const struct ui_layout *us = ui_layout_find("en-us"), *de = ui_layout_find("de");

    cr_assert(us && de && !ui_layout_find("klingon"));
    cr_expect_eq(ui_layout_key(us, 'a', &shift, &altgr), UI_KEY_A);
    cr_expect(!shift);
    cr_expect_eq(ui_layout_key(us, 'A', &shift, &altgr), UI_KEY_A);
    cr_expect(shift);
    cr_expect_eq(ui_layout_key(us, 0xff0d, &shift, &altgr), UI_KEY_RET);
    cr_expect_eq(ui_layout_key(de, 'z', &shift, &altgr), UI_KEY_Y);
    cr_expect_eq(ui_layout_key(de, '@', &shift, &altgr), UI_KEY_Q);
    cr_expect(altgr);
    cr_expect_eq(ui_layout_key(de, 0xfc, &shift, &altgr), UI_KEY_BRACKET_LEFT);
}

static GString *seen;
static void on_key(void *o, enum ui_qcode q, bool down) { (void)o; g_string_append_printf(seen, "%s%s ", down ? "+" : "-", ui_keys[q].name); }
static void on_relative(void *o, int dx, int dy) { g_string_append_printf(seen, "%s:%d,%d ", (char *)o, dx, dy); }
static void on_absolute(void *o, unsigned x, unsigned y) { g_string_append_printf(seen, "%s@%u,%u ", (char *)o, x, y); }
static const struct ui_handler_ops keys = { .takes = UI_TAKES_KEYS, .key = on_key };
static const struct ui_handler_ops mouse = { .takes = UI_TAKES_RELATIVE, .relative = on_relative };
static const struct ui_handler_ops tablet = { .takes = UI_TAKES_ABSOLUTE, .absolute = on_absolute };

Test(input, the_activated_one_receives)
{
    struct ui *ui = ui_new();
    struct ui_handler *tab;
    GString *text = g_string_new(NULL);

    seen = g_string_new(NULL);
    ui_handler_add(ui, "Mouse", &mouse, "m");
    tab = ui_handler_add(ui, "Tablet", &tablet, "t");
    cr_expect(!ui_input_is_absolute(ui));
    ui_input_relative(ui, 1, 2);
    ui_handler_activate(tab);
    cr_expect(ui_input_is_absolute(ui));
    ui_input_absolute(ui, 5, 99999);
    cr_expect_str_eq(seen->str, "m:1,2 t@5,32767 ");
    ui_input_mice(ui, text);
    cr_expect_str_eq(text->str, "  Mouse #0: Mouse\n* Mouse #1: Tablet (absolute)\n");
    cr_expect(ui_input_mouse_set(ui, 0, NULL));
    cr_expect(!ui_input_is_absolute(ui));
    cr_expect(!ui_input_mouse_set(ui, 7, NULL));
    ui_free(ui);
    g_string_free(text, TRUE);
    g_string_free(seen, TRUE);
}

Test(input, sendkey_presses_and_releases_in_order)
{
    struct ui *ui = ui_new();
    GError *err = NULL;

    seen = g_string_new(NULL);
    ui_handler_add(ui, "kbd", &keys, NULL);
    cr_assert(ui_input_send_keys(ui, "ctrl-alt-f1", 5, &err));
    cr_assert(ui_input_send_keys(ui, "a", 5, &err));
    cr_expect(!ui_input_send_keys(ui, "bogus", 5, &err));
    for (unsigned i = 0; i < 100 && !strstr(seen->str, "-a "); i++) {
        g_main_context_iteration(NULL, TRUE);
    }
    cr_expect_str_eq(seen->str, "+ctrl +alt +f1 -f1 -alt -ctrl +a -a ");
    ui_free(ui);
}
