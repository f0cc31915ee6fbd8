/*
 * Keyboard layouts of -k: which key carries a symbol. A layout is what differs from the US table of ui/keys.c. Letters and symbols
 * only; dead keys are found by their dead keysym and by the accent itself.
 * Sources: the layouts as xkeyboard-config describes them.
 */
#include <string.h>

#include "ui/input.h"

struct row {
    enum ui_qcode key;
    uint32_t plain, shift, altgr;      /* keysyms; 0: as the US layout, or none */
};

struct ui_layout {
    const char *name;
    const struct row *rows;
    unsigned n_rows;
};

/* Latin-1 keysyms are Latin-1 codes. */
static const struct row gb[] = {
    { UI_KEY_2, '2', '"', 0 }, { UI_KEY_3, '3', 0xa3, 0 }, { UI_KEY_APOSTROPHE, '\'', '@', 0 }, { UI_KEY_BACKSLASH, '#', '~', 0 },
    { UI_KEY_LESS, '\\', '|', 0 }, { UI_KEY_GRAVE_ACCENT, '`', 0xac, 0xa6 }, { UI_KEY_4, '4', '$', 0x20ac },
};
static const struct row de[] = {
    { UI_KEY_Y, 'z', 'Z', 0 }, { UI_KEY_Z, 'y', 'Y', 0 }, { UI_KEY_2, '2', '"', 0xb2 }, { UI_KEY_3, '3', 0xa7, 0xb3 }, { UI_KEY_6, '6', '&', 0 },
    { UI_KEY_7, '7', '/', '{' }, { UI_KEY_8, '8', '(', '[' }, { UI_KEY_9, '9', ')', ']' }, { UI_KEY_0, '0', '=', '}' },
    { UI_KEY_MINUS, 0xdf, '?', '\\' }, { UI_KEY_EQUAL, 0xb4, '`', 0 }, { UI_KEY_BRACKET_LEFT, 0xfc, 0xdc, 0 },
    { UI_KEY_BRACKET_RIGHT, '+', '*', '~' }, { UI_KEY_SEMICOLON, 0xf6, 0xd6, 0 }, { UI_KEY_APOSTROPHE, 0xe4, 0xc4, 0 },
    { UI_KEY_GRAVE_ACCENT, '^', 0xb0, 0 }, { UI_KEY_BACKSLASH, '#', '\'', 0 }, { UI_KEY_LESS, '<', '>', '|' }, { UI_KEY_COMMA, ',', ';', 0 },
    { UI_KEY_DOT, '.', ':', 0 }, { UI_KEY_SLASH, '-', '_', 0 }, { UI_KEY_Q, 'q', 'Q', '@' }, { UI_KEY_E, 'e', 'E', 0x20ac },
    { UI_KEY_M, 'm', 'M', 0xb5 }, { UI_KEY_EQUAL, 0xfe51, 0xfe50, 0 }, { UI_KEY_GRAVE_ACCENT, 0xfe52, 0, 0 },
};
static const struct row fr[] = {
    { UI_KEY_Q, 'a', 'A', 0 }, { UI_KEY_A, 'q', 'Q', 0 }, { UI_KEY_W, 'z', 'Z', 0 }, { UI_KEY_Z, 'w', 'W', 0 }, { UI_KEY_SEMICOLON, 'm', 'M', 0 },
    { UI_KEY_1, '&', '1', 0 }, { UI_KEY_2, 0xe9, '2', '~' }, { UI_KEY_3, '"', '3', '#' }, { UI_KEY_4, '\'', '4', '{' },
    { UI_KEY_5, '(', '5', '[' }, { UI_KEY_6, '-', '6', '|' }, { UI_KEY_7, 0xe8, '7', '`' }, { UI_KEY_8, '_', '8', '\\' },
    { UI_KEY_9, 0xe7, '9', '^' }, { UI_KEY_0, 0xe0, '0', '@' }, { UI_KEY_MINUS, ')', 0xb0, ']' }, { UI_KEY_EQUAL, '=', '+', '}' },
    { UI_KEY_BRACKET_LEFT, 0xfe52, 0xfe57, 0 }, { UI_KEY_BRACKET_RIGHT, '$', 0xa3, 0xa4 }, { UI_KEY_APOSTROPHE, 0xf9, '%', 0 },
    { UI_KEY_BACKSLASH, '*', 0xb5, 0 }, { UI_KEY_LESS, '<', '>', 0 }, { UI_KEY_M, ',', '?', 0 }, { UI_KEY_COMMA, ';', '.', 0 },
    { UI_KEY_DOT, ':', '/', 0 }, { UI_KEY_SLASH, '!', 0xa7, 0 }, { UI_KEY_GRAVE_ACCENT, 0xb2, 0, 0 }, { UI_KEY_E, 'e', 'E', 0x20ac },
};
static const struct row es[] = {
    { UI_KEY_2, '2', '"', '@' }, { UI_KEY_3, '3', 0xb7, '#' }, { UI_KEY_1, '1', '!', '|' }, { UI_KEY_6, '6', '&', 0xac }, { UI_KEY_7, '7', '/', 0 },
    { UI_KEY_8, '8', '(', 0 }, { UI_KEY_9, '9', ')', 0 }, { UI_KEY_0, '0', '=', 0 }, { UI_KEY_MINUS, '\'', '?', 0 },
    { UI_KEY_EQUAL, 0xa1, 0xbf, 0 }, { UI_KEY_BRACKET_LEFT, 0xfe50, 0xfe52, '[' }, { UI_KEY_BRACKET_RIGHT, '+', '*', ']' },
    { UI_KEY_SEMICOLON, 0xf1, 0xd1, 0 }, { UI_KEY_APOSTROPHE, 0xfe51, 0xfe57, '{' }, { UI_KEY_BACKSLASH, 0xe7, 0xc7, '}' },
    { UI_KEY_LESS, '<', '>', 0 }, { UI_KEY_COMMA, ',', ';', 0 }, { UI_KEY_DOT, '.', ':', 0 }, { UI_KEY_SLASH, '-', '_', 0 },
    { UI_KEY_GRAVE_ACCENT, 0xba, 0xaa, '\\' }, { UI_KEY_E, 'e', 'E', 0x20ac },
};
static const struct row it[] = {
    { UI_KEY_2, '2', '"', 0 }, { UI_KEY_3, '3', 0xa3, 0 }, { UI_KEY_6, '6', '&', 0 }, { UI_KEY_7, '7', '/', '{' }, { UI_KEY_8, '8', '(', '[' },
    { UI_KEY_9, '9', ')', ']' }, { UI_KEY_0, '0', '=', '}' }, { UI_KEY_MINUS, '\'', '?', '`' }, { UI_KEY_EQUAL, 0xec, '^', '~' },
    { UI_KEY_BRACKET_LEFT, 0xe8, 0xe9, '[' }, { UI_KEY_BRACKET_RIGHT, '+', '*', ']' }, { UI_KEY_SEMICOLON, 0xf2, 0xe7, '@' },
    { UI_KEY_APOSTROPHE, 0xe0, 0xb0, '#' }, { UI_KEY_BACKSLASH, 0xf9, 0xa7, 0 }, { UI_KEY_LESS, '<', '>', 0 }, { UI_KEY_COMMA, ',', ';', 0 },
    { UI_KEY_DOT, '.', ':', 0 }, { UI_KEY_SLASH, '-', '_', 0 }, { UI_KEY_GRAVE_ACCENT, '\\', '|', 0 }, { UI_KEY_E, 'e', 'E', 0x20ac },
};

#define LAYOUT(name, rows) { name, rows, G_N_ELEMENTS(rows) }
static const struct ui_layout layouts[] = {
    { "en-us", NULL, 0 }, LAYOUT("en-gb", gb), LAYOUT("de", de), LAYOUT("fr", fr), LAYOUT("es", es), LAYOUT("it", it),
};

const struct ui_layout *ui_layout_find(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(layouts); i++) {
        if (!strcmp(layouts[i].name, name)) {
            return &layouts[i];
        }
    }
    return NULL;
}

const char *const *ui_layout_names(void)
{
    static const char *const names[] = { "en-us", "en-gb", "de", "fr", "es", "it", NULL };

    return names;
}

static bool overridden(const struct ui_layout *l, enum ui_qcode key)
{
    for (unsigned i = 0; i < l->n_rows; i++) {
        if (l->rows[i].key == key) {
            return true;
        }
    }
    return false;
}

enum ui_qcode ui_layout_key(const struct ui_layout *l, uint32_t keysym, bool *shift, bool *altgr)
{
    /* 0x01xxxxxx: a Unicode code point; Latin-1 has keysyms of its own. */
    if (keysym >> 24 == 1 && (keysym & 0xffffff) < 0x100) {
        keysym &= 0xff;
    }
    *shift = *altgr = false;
    if (!keysym) {
        return UI_KEY_NONE;
    }
    for (unsigned i = 0; i < l->n_rows; i++) {
        const struct row *r = &l->rows[i];

        if (r->plain == keysym || r->shift == keysym || r->altgr == keysym) {
            *shift = r->plain != keysym && r->shift == keysym;
            *altgr = r->plain != keysym && r->shift != keysym;
            return r->key;
        }
    }
    for (unsigned i = 1; i < UI_KEY_COUNT; i++) {
        const uint32_t *s = ui_keys[i].keysym;

        if ((s[0] == keysym || s[1] == keysym) && !(overridden(l, (enum ui_qcode)i) && keysym < 0x100)) {
            *shift = s[0] != keysym && keysym < 0x100;
            return (enum ui_qcode)i;
        }
    }
    return UI_KEY_NONE;
}
