/* Known instructions, unknown ones, and an end in the middle of one. */
#include "disas/disas.h"

#include <criterion/criterion.h>
#include <string.h>

Test(disas, rows)
{
    static const struct { enum disas_mode mode; const char *bytes; size_t len; const char *expect; size_t used; } rows[] = {
        { DISAS_X86_64, "\x48\x89\xd8", 3, "mov rax, rbx\n", 3 },
        { DISAS_X86_32, "\x89\xd8", 2, "mov eax, ebx\n", 2 },
        { DISAS_X86_16, "\x89\xd8", 2, "mov ax, bx\n", 2 },
        { DISAS_X86_64, "\xe9\x00\x00\x00", 4, ".byte 0x00\n", 4 },
        { DISAS_X86_64, "\x06", 1, ".byte 0x06\n", 1 },
        { DISAS_ARM64, "\xc0\x03\x5f\xd6", 4, "ret\n", 4 },
        { DISAS_ARM64, "\xff\xff\xff\xff", 4, ".byte 0xff, 0xff, 0xff, 0xff\n", 4 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        GString *s = g_string_new(NULL);

        cr_expect_eq(disas_print(s, rows[i].mode, 0x1000, (const uint8_t *)rows[i].bytes, rows[i].len, 0), rows[i].used);
        cr_expect(g_str_has_prefix(s->str, "0x0000000000001000:  ") && g_str_has_suffix(s->str, rows[i].expect), "row %u: %s", i, s->str);
        g_string_free(s, TRUE);
    }
}

Test(disas, stops_at_max)
{
    GString *s = g_string_new(NULL);

    cr_expect_eq(disas_print(s, DISAS_X86_64, 0, (const uint8_t *)"\x90\x90\x90", 3, 2), 2);
    cr_expect(strstr(s->str, "0x0000000000000001:") && !strstr(s->str, "0x0000000000000002:"));
    g_string_free(s, TRUE);
}
