/*
 * What the files of ui/ share.
 */
#ifndef UI_UI_PRIV_H
#define UI_UI_PRIV_H

#include "ui/console.h"

struct ui_input_state;

struct ui {
    GPtrArray *consoles;            /* struct ui_console * */
    GArray *hooks;                  /* of ui_on_change() */
    guint source;                   /* the next pull; 0: nobody looks */
    unsigned interval;              /* ms */
    struct ui_input_state *input;
};

struct ui_input_state *ui_input_new(void);
void ui_input_free(struct ui_input_state *s);

/* 8x16 glyphs of ASCII 32..126, for text consoles. */
const uint8_t *ui_font_glyph(unsigned code);

#endif
