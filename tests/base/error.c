/* Suggestions and error texts. */
#include "base/error.h"

#include <criterion/criterion.h>

static const char *const names[] = { "virtio-blk-pci", "virtio-net-pci", "isa-serial", "quit", "q", "pc", NULL };

Test(error, suggests_what_was_meant)
{
    static const struct { const char *word, *expect; } rows[] = {
        { "virtio-blk-pc", "virtio-blk-pci" }, { "virtio_net_pci", "virtio-net-pci" }, { "VIRTIO-NET-PCI", "virtio-net-pci" },
        { "virtoi-net-pci", "virtio-net-pci" }, { "isa-s", "isa-serial" }, { "qiut", "quit" }, { "zzz", NULL }, { "x", NULL },
        { "", NULL }, { "cp", "pc" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        const char *got = name_suggest(rows[i].word, names);

        cr_expect(g_strcmp0(got, rows[i].expect) == 0, "%s: got %s, expected %s", rows[i].word, got ? got : "(none)",
                  rows[i].expect ? rows[i].expect : "(none)");
    }
}

Test(error, long_words_are_no_trouble)
{
    char *word = g_strnfill(5000, 'v');

    cr_expect_null(name_suggest(word, names));
    g_free(word);
}

Test(error, texts)
{
    GError *err = NULL;

    cr_expect_not(error_unknown(&err, "device", "isa-seral", names, "-device help"));
    cr_expect_str_eq(err->message, "unknown device 'isa-seral', did you mean 'isa-serial'?");
    error_prefix(&err, "-device %d", 3);
    cr_expect_str_eq(err->message, "-device 3: unknown device 'isa-seral', did you mean 'isa-serial'?");
    cr_expect(g_error_matches(err, emu_error_quark(), EMU_ERROR_NOT_FOUND));
    g_clear_error(&err);
    error_unknown(&err, "device", "floppy", names, "-device help");
    cr_expect_str_eq(err->message, "unknown device 'floppy', see -device help");
    g_clear_error(&err);
    cr_expect_not(error_prefix(&err, "nothing to prefix"));
    cr_expect_not(error_set(NULL, EMU_ERROR_HOST, "nobody listens"));
}
