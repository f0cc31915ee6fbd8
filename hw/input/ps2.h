/*
 * PS/2 keyboard and mouse: what is at the far end of the 8042's two cables. Machine lock on every call.
 */
#ifndef HW_INPUT_PS2_H
#define HW_INPUT_PS2_H

#include "core/clock.h"
#include "core/device.h"
#include "ui/input.h"

#define PS2_QUEUE 256

struct ps2_queue {
    uint8_t data[PS2_QUEUE];
    uint16_t head, count;
};

struct ps2_keyboard {
    struct ps2_queue queue;
    uint8_t set, leds, rate, command, last;
    bool scanning;
    uint8_t modes[256];                   /* set 3: what a key sends, by its code */
    uint16_t repeat_key;                  /* qcode that is held; 0: none */
    bool ctrl, shift, alt, print_short;   /* what is held, for print and pause */
    struct timer repeat;
    struct ui_handler *handler;
    struct machine *machine;
    void (*changed)(void *owner);         /* the queue was empty and is not */
    void *owner;
};

struct ps2_mouse {
    struct ps2_queue queue;
    uint8_t id, rate, resolution, command, knock[2], buttons, sent_buttons, last;
    bool reporting, remote, wrap, scale2;
    uint32_t dx, dy, dz;                  /* gathered, two's complement */
    struct timer pace;
    struct ui_handler *handler;
    struct machine *machine;
    void (*changed)(void *owner);
    void *owner;
};

extern const struct field ps2_keyboard_fields[], ps2_mouse_fields[];
#define PS2_KEYBOARD_FIELDS 20
#define PS2_MOUSE_FIELDS 23

void ps2_keyboard_init(struct ps2_keyboard *k, struct machine *m, void (*changed)(void *owner), void *owner);
void ps2_keyboard_fini(struct ps2_keyboard *k);
void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t byte);      /* the host sends a command or its argument */
void ps2_mouse_init(struct ps2_mouse *s, struct machine *m, void (*changed)(void *owner), void *owner);
void ps2_mouse_fini(struct ps2_mouse *s);
void ps2_mouse_write(struct ps2_mouse *s, uint8_t byte);

static inline unsigned ps2_room(const struct ps2_queue *q) { return PS2_QUEUE - q->count; }

static inline void ps2_put(struct ps2_queue *q, uint8_t byte)
{
    if (q->count < PS2_QUEUE) {
        q->data[(q->head + q->count++) % PS2_QUEUE] = byte;
    }
}

static inline bool ps2_take(struct ps2_queue *q, uint8_t *byte)
{
    if (!q->count) {
        return false;
    }
    *byte = q->data[q->head % PS2_QUEUE];
    q->head = (q->head + 1) % PS2_QUEUE;
    q->count--;
    return true;
}

#endif
