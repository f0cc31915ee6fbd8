/*
 * Character devices by id: what -chardev, -serial and their like make, and fronts (devices, monitors) claim. See chardev/chardev.h for locks.
 */
#ifndef CHARDEV_REGISTRY_H
#define CHARDEV_REGISTRY_H

#include "chardev/chardev.h"

struct chardevs;

/* quit: Ctrl-a x on a shared one. escape: the key of Ctrl-a, 1 to 26. */
struct chardevs *chardevs_new(void (*quit)(void *opaque), void *opaque, uint8_t escape);
void chardevs_free(struct chardevs *s);          /* fronts are gone by then, or never look back */

/* "KIND,id=X,..." or JSON, as after -chardev. */
bool chardevs_add(struct chardevs *s, const char *text, GError **err);
/* What -serial and its like say; "mon:SPEC" is shared. */
bool chardevs_add_short(struct chardevs *s, const char *id, const char *spec, GError **err);
bool chardevs_remove(struct chardevs *s, const char *id, GError **err);
/* A new back end, the front stays. */
bool chardevs_change(struct chardevs *s, const char *id, const char *text, GError **err);

/*
 * A stream for a front: the device itself, or with mux=on one more front of it. NULL with *err: there is none of this id (s may be NULL), or another
 * front has it. Give it back with chardevs_release(), which detaches.
 */
struct chardev *chardevs_claim(struct chardevs *s, const char *id, const char *label, GError **err);
void chardevs_release(struct chardevs *s, struct chardev *c);       /* NULLs are fine; others than claimed ones are only detached */

bool chardevs_has(const struct chardevs *s, const char *id);
bool chardevs_uses_stdio(const struct chardevs *s);
/* Calls fn for each, in order of making: its id and its name for people. */
void chardevs_each(struct chardevs *s, void (*fn)(void *opaque, const char *id, const char *filename, bool open), void *opaque);

bool chardevs_send_break(struct chardevs *s, const char *id, GError **err);
/* ringbuf only. */
bool chardevs_ringbuf_write(struct chardevs *s, const char *id, const void *buf, size_t len, GError **err);
bool chardevs_ringbuf_read(struct chardevs *s, const char *id, size_t len, GString *out, GError **err);

#endif
