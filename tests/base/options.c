/* Option strings and numbers. */
#include "base/options.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *const colours[] = { "red", "green", NULL };
static const struct option_desc desc[] = {
    { "type", OPT_STRING, "pc", "what", NULL, 0, 0 },
    { "wait", OPT_BOOL, "on", "whether", NULL, 0, 0 },
    { "cpus", OPT_UINT, "1", "how many", NULL, 1, 8 },
    { "mem", OPT_SIZE, NULL, "how much", NULL, 0, 0 },
    { "colour", OPT_ENUM, NULL, NULL, colours, 0, 0 },
    { 0 },
};

Test(options, reads_pairs)
{
    GError *err = NULL;
    struct options *o = options_parse("q35,wait=off,cpus=4,mem=1.5G,colour=red,type=a,,b", "type", desc, &err);

    cr_assert_not_null(o, "%s", err ? err->message : "");
    cr_expect_str_eq(options_string(o, "type", NULL), "a,b");
    cr_expect_not(options_bool(o, "wait", true));
    cr_expect_eq(options_uint(o, "cpus", 0), 4);
    cr_expect_eq(options_uint(o, "mem", 0), 3ull << 29);
    cr_expect_eq(options_count(o), 6);
    cr_expect_not(options_has(o, "help"));
    options_free(o);
}

Test(options, short_booleans)
{
    struct options *o = options_parse("x,nowait", "type", desc, NULL);

    cr_expect_not(options_bool(o, "wait", true));
    options_free(o);
    o = options_parse("x,wait", "type", desc, NULL);
    cr_expect(options_bool(o, "wait", false));
    options_free(o);
    o = options_parse("help", "type", desc, NULL);
    cr_expect(options_has(o, "help"));
    options_free(o);
}

Test(options, merge_lets_the_later_win)
{
    struct options *a = options_parse("pc,cpus=2", "type", desc, NULL), *b = options_parse("cpus=3", "type", desc, NULL);

    options_merge(a, b);
    cr_expect_eq(options_uint(a, "cpus", 0), 3);
    cr_expect_str_eq(options_string(a, "type", NULL), "pc");
    options_free(a);
    options_free(b);
}

Test(options, mistakes_are_named)
{
    static const struct { const char *text, *expect; } rows[] = {
        { "pc,cpu=3", "unknown option 'cpu', did you mean 'cpus'?" },
        { "pc,cpus=9", "cpus: 9 is not between 1 and 8" },
        { "pc,cpus=two", "cpus: 'two' is not a number" },
        { "pc,wait=maybe", "wait: 'maybe' is neither 'on' nor 'off'" },
        { "pc,colour=blue", "colour: 'blue' is none of: red, green" },
        { "pc,cpus", "option 'cpus' needs a value: cpus=..." },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        GError *err = NULL;

        cr_expect_null(options_parse(rows[i].text, "type", desc, &err), "%s", rows[i].text);
        cr_expect(err && g_strcmp0(err->message, rows[i].expect) == 0, "%s: %s", rows[i].text, err ? err->message : "no error");
        g_clear_error(&err);
    }
}

Test(options, sizes)
{
    static const struct { const char *text; uint64_t unit, expect; bool ok; } rows[] = {
        { "256", 1 << 20, 256ull << 20, true }, { "1G", 1 << 20, 1ull << 30, true }, { "1g", 1, 1ull << 30, true },
        { "0x10k", 1, 16384, true }, { "0.5M", 1, 1 << 19, true }, { "16T", 1, 16ull << 40, true }, { "7b", 1 << 20, 7, true },
        { "", 1, 0, false }, { "-1", 1, 0, false }, { "1X", 1, 0, false }, { "1GB", 1, 0, false }, { "G", 1, 0, false },
        { "99999999999999999999", 1, 0, false }, { "17179869184G", 1, 0, false }, { "1.5.2G", 1, 0, false },
        { "1.e3G", 1, 0, false }, { " 1", 1, 0, false }, { "0", 1, 0, true },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        uint64_t v = 0;
        bool ok = parse_size(rows[i].text, rows[i].unit, &v, NULL);

        cr_expect(ok == rows[i].ok && (!ok || v == rows[i].expect), "'%s': %d %lu", rows[i].text, ok, (unsigned long)v);
    }
}

Test(options, numbers)
{
    uint64_t v;

    cr_expect(parse_uint("18446744073709551615", &v, NULL) && v == UINT64_MAX);
    cr_expect(parse_uint("0xff", &v, NULL) && v == 255);
    cr_expect_not(parse_uint("18446744073709551616", &v, NULL));
    cr_expect_not(parse_uint("-1", &v, NULL));
    cr_expect_not(parse_uint("+1", &v, NULL));
    cr_expect_not(parse_uint("1 ", &v, NULL));
    cr_expect_not(parse_uint("", &v, NULL));
    cr_expect_not(parse_uint("0x", &v, NULL));
}

Test(options, json)
{
    static const struct option_desc desc[] = { { "n", OPT_UINT, NULL, NULL, NULL, 1, 9 }, { 0 } };
    GError *err = NULL;
    struct options *o = options_parse("{\"type\":\"stream\",\"server\":{\"path\":\"/a,b\",\"abstract\":false},\"n\":7,"
                                      "\"fwd\":[{\"str\":\"tcp::1-:2\"},\"x\"],\"l\":[{\"a\":1,\"b\":2}]}", "type", NULL, &err);
    const char *key, *value;

    cr_assert(o, "%s", err ? err->message : "");
    cr_assert_str_eq(options_string(o, "type", ""), "stream");
    cr_assert_str_eq(options_string(o, "server.path", ""), "/a,b");
    cr_assert(!options_bool(o, "server.abstract", true));
    cr_assert_eq(options_uint(o, "n", 0), 7);
    options_at(o, 4, &key, &value);
    cr_assert_str_eq(key, "fwd");
    cr_assert_str_eq(value, "tcp::1-:2");
    cr_assert_str_eq(options_string(o, "l.0.b", ""), "2");
    options_free(o);
    cr_assert_null(options_parse("{\"n\":10}", NULL, desc, &err));
    cr_assert(strstr(err->message, "between 1 and 9"), "%s", err->message);
    g_clear_error(&err);
    cr_assert_null(options_parse("{\"n\":", NULL, desc, &err));
    cr_assert(strstr(err->message, "JSON"), "%s", err->message);
    g_clear_error(&err);
}
