/* The log: items, file, what is off is not written. */
#include "base/log.h"

#include <criterion/criterion.h>
#include <glib/gstdio.h>
#include <unistd.h>

Test(log, items)
{
    GError *err = NULL;

    cr_expect(log_set_items("in_asm,guest_errors", NULL));
    cr_expect_eq(log_mask, LOG_IN_ASM | LOG_GUEST);
    cr_expect_not(log_set_items("in_asm,guest_error", &err));
    cr_expect_str_eq(err->message, "unknown log item 'guest_error', did you mean 'guest_errors'?");
    cr_expect_eq(log_mask, LOG_IN_ASM | LOG_GUEST, "a mistake changes nothing");
    g_clear_error(&err);
    cr_expect(log_set_items("all", NULL));
    cr_expect_not(log_mask & LOG_NOCHAIN);
    cr_expect(log_set_items("none", NULL));
    cr_expect_eq(log_mask, 0);
}

Test(log, writes_what_is_on)
{
    char path[] = "/tmp/emu-log-XXXXXX", *text = NULL;
    FILE *f;

    close(mkstemp(path));
    cr_assert(log_set_file(path, NULL));
    log_set_items("unimp,int", NULL);
    log_printf(LOG_INT, "int %d\n", 3);
    log_printf(LOG_EXEC, "not this\n");
    log_guest("nor this");
    log_unimp("port %x", 0x80);
    f = log_lock();
    fputs("lines\n", f);
    fflush(f);
    log_unlock();
    cr_assert(g_file_get_contents(path, &text, NULL, NULL));
    cr_expect_str_eq(text, "int 3\nnot built: port 80\nlines\n");
    g_free(text);
    g_unlink(path);
    cr_expect_not(log_set_file("/nowhere/at/all", NULL));
}
