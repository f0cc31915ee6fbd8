/*
 * The log of `-d item,item` and `-D file`.
 *
 * The item table is the one list: names, help, bits. log_mask is read on hot paths, so it is a plain global
 * that changes only while no vCPU runs guest code.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum log_item {
    LOG_IN_ASM     = 1u << 0,   /* guest code of each region as it is translated */
    LOG_OP         = 1u << 1,   /* IR before the passes */
    LOG_OP_OPT     = 1u << 2,   /* IR after the passes */
    LOG_OUT_ASM    = 1u << 3,   /* host code of each region */
    LOG_INT        = 1u << 4,   /* interrupts and exceptions as they are delivered */
    LOG_EXEC       = 1u << 5,   /* each region as it is entered */
    LOG_CPU        = 1u << 6,   /* registers before each region */
    LOG_MMU        = 1u << 7,   /* page walks, TLB fills and flushes */
    LOG_GUEST      = 1u << 8,   /* what the guest does that no manual allows ("guest_errors") */
    LOG_UNIMP      = 1u << 9,   /* what the guest asks for and we do not have */
    LOG_CPU_RESET  = 1u << 10,
    LOG_JIT_STATS  = 1u << 11,  /* figures of the translator at exit */
    LOG_NOCHAIN    = 1u << 12,  /* regions are not chained, so that exec and cpu show every one */
    LOG_PAGE       = 1u << 13,
};

extern uint32_t log_mask;       /* union of enum log_item; set by log_set_items() */

static inline bool log_on(uint32_t items) { return __builtin_expect(log_mask & items, 0); }

/* Parses "a,b,c"; "help" prints the table to stdout and exits 0 in main/. Errors name the item. */
bool log_set_items(const char *list, GError **err);
bool log_set_file(const char *path, GError **err);   /* append is never used: the file is truncated */
void log_help(FILE *out);

/* Writes when `item` is on. Any thread. A line is written whole when the format ends in a newline. */
void log_printf(uint32_t item, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
void log_guest(const char *fmt, ...) G_GNUC_PRINTF(1, 2);   /* LOG_GUEST; adds the newline */
void log_unimp(const char *fmt, ...) G_GNUC_PRINTF(1, 2);   /* LOG_UNIMP; adds the newline */
FILE *log_lock(void);           /* the log's stream for several lines in a row; pair with log_unlock() */
void log_unlock(void);

#endif
