/*
 * GError helpers and "did you mean". See base/error.h.
 */
#include "base/error.h"

#include <string.h>

GQuark emu_error_quark(void)
{
    return g_quark_from_static_string("emu-error");
}

bool error_set(GError **err, enum emu_error kind, const char *fmt, ...)
{
    va_list ap;

    if (err) {
        g_assert(*err == NULL);     /* an error is filled once, where its cause is known */
        va_start(ap, fmt);
        *err = g_error_new_valist(emu_error_quark(), (int)kind, fmt, ap);
        va_end(ap);
    }
    return false;
}

bool error_prefix(GError **err, const char *fmt, ...)
{
    va_list ap;
    char *prefix;

    if (err && *err) {
        va_start(ap, fmt);
        prefix = g_strdup_vprintf(fmt, ap);
        va_end(ap);
        g_prefix_error(err, "%s: ", prefix);
        g_free(prefix);
    }
    return false;
}

enum { NAME_MAX_LEN = 64 };

/* Edit distance with swaps of neighbours, letters compared without case, '-' and '_' alike. */
static unsigned name_distance(const char *a, const char *b)
{
    unsigned row[3][NAME_MAX_LEN + 1];
    size_t la = strlen(a), lb = strlen(b);
    char x[NAME_MAX_LEN + 1], y[NAME_MAX_LEN + 1];

    if (la > NAME_MAX_LEN || lb > NAME_MAX_LEN) {
        return UINT_MAX;
    }
    for (size_t i = 0; i <= la; i++) {
        x[i] = a[i] == '_' ? '-' : g_ascii_tolower(a[i]);
    }
    for (size_t j = 0; j <= lb; j++) {
        y[j] = b[j] == '_' ? '-' : g_ascii_tolower(b[j]);
        row[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= la; i++) {
        unsigned *now = row[i % 3], *prev = row[(i + 2) % 3], *prev2 = row[(i + 1) % 3];

        now[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned best = prev[j - 1] + (x[i - 1] != y[j - 1]);

            best = MIN(best, prev[j] + 1);
            best = MIN(best, now[j - 1] + 1);
            if (i > 1 && j > 1 && x[i - 1] == y[j - 2] && x[i - 2] == y[j - 1]) {
                best = MIN(best, prev2[j - 2] + 1);
            }
            now[j] = best;
        }
    }
    return row[la % 3][lb];
}

const char *name_suggest(const char *word, const char *const *names)
{
    const char *best = NULL;
    unsigned best_distance = UINT_MAX;
    size_t len = strlen(word);
    unsigned limit = len < 4 ? 1 : (unsigned)MIN(len / 3 + 1, 4);

    for (; names && *names; names++) {
        unsigned d = name_distance(word, *names);

        /* The beginning of a longer name ("virtio-b") is as good as one slip. */
        if (len >= 3 && g_ascii_strncasecmp(word, *names, len) == 0) {
            d = MIN(d, 1);
        }
        /* A name that shares no letter in place with the word is no suggestion ("x" for "q"). */
        if (d < best_distance && d <= limit && d < MAX(len, strlen(*names))) {
            best = *names;
            best_distance = d;
        }
    }
    return best;
}

bool error_unknown(GError **err, const char *what, const char *word, const char *const *names, const char *help)
{
    const char *near = name_suggest(word, names);

    if (near) {
        return error_set(err, EMU_ERROR_NOT_FOUND, "unknown %s '%s', did you mean '%s'?", what, word, near);
    }
    if (help) {
        return error_set(err, EMU_ERROR_NOT_FOUND, "unknown %s '%s', see %s", what, word, help);
    }
    return error_set(err, EMU_ERROR_NOT_FOUND, "unknown %s '%s'", what, word);
}
