/*
 * The log: item table, stream, and writing whole lines from any thread. See base/log.h.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/error.h"

uint32_t log_mask;

static FILE *log_stream;       /* NULL: stderr */
static GMutex log_mutex;       /* guards the stream */

static const struct {
    uint32_t bit;
    const char *name, *help;
} log_items[] = {
    { LOG_IN_ASM,    "in_asm",       "guest code of each region when it is translated" },
    { LOG_OP,        "op",           "intermediate code before the passes" },
    { LOG_OP_OPT,    "op_opt",       "intermediate code after the passes" },
    { LOG_OUT_ASM,   "out_asm",      "host code of each region" },
    { LOG_INT,       "int",          "interrupts and exceptions when they are delivered" },
    { LOG_EXEC,      "exec",         "each region when it is entered (see nochain)" },
    { LOG_CPU,       "cpu",          "registers before each region (see nochain)" },
    { LOG_MMU,       "mmu",          "page walks, TLB fills and flushes" },
    { LOG_GUEST,     "guest_errors", "what the guest does that no manual allows" },
    { LOG_UNIMP,     "unimp",        "what the guest asks for and is not built" },
    { LOG_CPU_RESET, "cpu_reset",    "registers at every CPU reset" },
    { LOG_JIT_STATS, "jit-stats",    "figures of the translator at exit" },
    { LOG_NOCHAIN,   "nochain",      "do not link regions, so that exec and cpu show every one" },
    { LOG_PAGE,      "page",         "changes of the physical memory map" },
};

static bool log_item(const char *name, uint32_t *mask, GError **err)
{
    const char *names[G_N_ELEMENTS(log_items) + 2];
    size_t n = 0;

    if (!strcmp(name, "all")) {
        for (size_t i = 0; i < G_N_ELEMENTS(log_items); i++) {
            *mask |= log_items[i].bit == LOG_NOCHAIN ? 0 : log_items[i].bit;
        }
        return true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(log_items); i++) {
        if (!strcmp(name, log_items[i].name)) {
            *mask |= log_items[i].bit;
            return true;
        }
        names[n++] = log_items[i].name;
    }
    names[n++] = "all";
    names[n] = NULL;
    return error_unknown(err, "log item", name, names, "-d help");
}

bool log_set_items(const char *list, GError **err)
{
    char **words;
    uint32_t mask = 0;
    bool ok = true;

    if (!*list || !strcmp(list, "none")) {
        log_mask = 0;
        return true;
    }
    words = g_strsplit(list, ",", -1);
    for (char **w = words; *w && ok; w++) {
        ok = !**w || log_item(*w, &mask, err);
    }
    g_strfreev(words);
    if (ok) {
        log_mask = mask;
    }
    return ok;
}

bool log_set_file(const char *path, GError **err)
{
    FILE *f = fopen(path, "we");

    if (!f) {
        return error_set(err, EMU_ERROR_HOST, "cannot write the log file '%s': %s", path, g_strerror(errno));
    }
    g_mutex_lock(&log_mutex);
    if (log_stream) {
        fclose(log_stream);
    }
    log_stream = f;
    g_mutex_unlock(&log_mutex);
    return true;
}

void log_help(FILE *out)
{
    fprintf(out, "Log items (comma separated):\n");
    for (size_t i = 0; i < G_N_ELEMENTS(log_items); i++) {
        fprintf(out, "  %-14s %s\n", log_items[i].name, log_items[i].help);
    }
    fprintf(out, "  %-14s %s\n", "all", "everything but nochain");
}

FILE *log_lock(void)
{
    g_mutex_lock(&log_mutex);
    return log_stream ? log_stream : stderr;
}

void log_unlock(void)
{
    g_mutex_unlock(&log_mutex);
}

static void log_write(const char *prefix, const char *fmt, va_list ap, const char *end)
{
    FILE *f = log_lock();

    fputs(prefix, f);
    vfprintf(f, fmt, ap);
    fputs(end, f);
    log_unlock();
}

void log_printf(uint32_t item, const char *fmt, ...)
{
    va_list ap;

    if (log_mask & item) {
        va_start(ap, fmt);
        log_write("", fmt, ap, "");
        va_end(ap);
    }
}

void log_guest(const char *fmt, ...)
{
    va_list ap;

    if (log_mask & LOG_GUEST) {
        va_start(ap, fmt);
        log_write("guest: ", fmt, ap, "\n");
        va_end(ap);
    }
}

void log_unimp(const char *fmt, ...)
{
    va_list ap;

    if (log_mask & LOG_UNIMP) {
        va_start(ap, fmt);
        log_write("not built: ", fmt, ap, "\n");
        va_end(ap);
    }
}
