/*
 * Errors that a user can cause.
 *
 * They travel as GError up to main/, which prints one line: what is wrong, where, and what would be right.
 * A function fills the error once, where the cause is known; callers add context with error_prefix().
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/* Kinds decide only what a monitor reports as class; the text is for people. */
enum emu_error {
    EMU_ERROR_FAILED,         /* anything without a kind of its own */
    EMU_ERROR_INVALID,        /* a value that cannot be: wrong syntax, out of range */
    EMU_ERROR_NOT_FOUND,      /* a name nobody knows */
    EMU_ERROR_NOT_SUPPORTED,  /* known to QEMU's users, not (yet) built here */
    EMU_ERROR_HOST,           /* the host refused: memory, files, permissions */
};

GQuark emu_error_quark(void);

/* Fills *err (if err is not NULL) and returns false, so that `return error_set(err, ...)` reads well. */
bool error_set(GError **err, enum emu_error kind, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

/* Puts "prefix: " before the message of *err, when there is one. Returns false. */
bool error_prefix(GError **err, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/*
 * The name in `names` (NULL-terminated) that is nearest to `word`, or NULL if none is near enough to be
 * what the user meant. The result belongs to the caller's list.
 */
const char *name_suggest(const char *word, const char *const *names);

/* error_set(NOT_FOUND) with "unknown <what> 'word'" and ", did you mean 'x'?" or ", see <help>". Returns false. */
bool error_unknown(GError **err, const char *what, const char *word, const char *const *names, const char *help);

#endif
