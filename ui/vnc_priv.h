/*
 * The VNC server's parts: vnc.c serves and shows, vnc_input.c takes keys and pointers.
 */
#ifndef UI_VNC_PRIV_H
#define UI_VNC_PRIV_H

#include "ui/display.h"

struct vnc_view;

/* What viewers' threads tell the main loop. */
enum vnc_event_kind { VNC_KEYSYM, VNC_KEYCODE, VNC_POINTER, VNC_SIZE, VNC_VIEWERS };

struct vnc_event {
    enum vnc_event_kind kind;
    uint32_t a, b;          /* keysym or key code; x; width: and: down; y; height */
    uint32_t buttons;
};

/* Input of one server; main loop. */
struct vnc_input {
    struct ui *ui;
    const struct ui_host *host;
    struct ui_console *console;             /* what is shown; NULL: nothing */
    bool ctrl, alt, shift;
    enum ui_qcode with_shift, with_altgr;   /* keys for which we hold these */
    uint32_t buttons, last_x, last_y;
    bool pointed;
    void (*choose)(void *opaque, unsigned n);   /* Ctrl-Alt-N: show console n */
    void *opaque;
};

void vnc_input_event(struct vnc_input *in, const struct vnc_event *e);
void vnc_input_release(struct vnc_input *in);

#endif
