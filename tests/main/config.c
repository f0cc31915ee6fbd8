/* The command line: values with a syntax of their own, mistakes, and the table as a whole. */
#include "main/config.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/machine.h"
#include "main/builtin.h"

Test(config, smp)
{
    static const struct { const char *text; unsigned cpus, sockets, dies, cores, threads; const char *error; } rows[] = {
        { "1", 1, 1, 1, 1, 1, NULL }, { "4", 4, 1, 1, 4, 1, NULL }, { "cpus=4", 4, 1, 1, 4, 1, NULL },
        { "4,sockets=2", 4, 2, 1, 2, 1, NULL }, { "4,cores=2", 4, 2, 1, 2, 1, NULL }, { "8,cores=2,threads=2", 8, 2, 1, 2, 2, NULL },
        { "cores=2,threads=2", 4, 1, 1, 2, 2, NULL }, { "sockets=1,cores=1,threads=1", 1, 1, 1, 1, 1, NULL },
        { "cores=1,threads=1,sockets=1", 1, 1, 1, 1, 1, NULL }, { "8,dies=2", 8, 1, 2, 4, 1, NULL },
        { "2,maxcpus=2", 2, 1, 1, 2, 1, NULL }, { "4,threads=2", 4, 1, 1, 2, 2, NULL }, { "4,sockets=2,cores=1", 4, 2, 1, 1, 2, NULL },
        { "0", .error = "cpus must be at least 1" }, { "cores=0", .error = "cores must be at least 1" },
        { "256", .error = "cpus=256: this machine has at most 255 vCPUs" },
        { "99999999999999999999", .error = "cpus: 99999999999999999999 is too large" },
        { "x", .error = "cpus: 'x' is not a number" }, { "-1", .error = "cpus: '-1' is not a number" },
        { "3,cores=2", .error = "1 sockets * 1 dies * 2 cores * 1 threads are not 3 vCPUs" },
        { "sockets=20,cores=20", .error = "400 vCPUs: this machine has at most 255" },
        { "2,maxcpus=4", .error = "not supported: maxcpus beyond cpus (plugging vCPUs in)" },
        { "4,maxcpus=2", .error = "cpus=4 is more than maxcpus=2" },
        { "4,core=2", .error = "unknown option 'core', did you mean 'cores'?" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct machine_spec s = { 0 };
        GError *err = NULL;
        bool ok = spec_smp(rows[i].text, &s, 255, &err);

        if (rows[i].error) {
            cr_expect(!ok && !strcmp(err->message, rows[i].error), "%s: %s", rows[i].text, err ? err->message : "no error");
        } else {
            cr_expect(ok && s.cpus == rows[i].cpus && s.sockets == rows[i].sockets && s.dies == rows[i].dies &&
                      s.cores == rows[i].cores && s.threads == rows[i].threads, "%s: %u %u %u %u %u %s", rows[i].text, s.cpus,
                      s.sockets, s.dies, s.cores, s.threads, err ? err->message : "");
        }
        g_clear_error(&err);
    }
}

Test(config, memory)
{
    static const struct { const char *text; uint64_t bytes; } rows[] = {
        { "256", 256ull << 20 }, { "1G", 1ull << 30 }, { "size=2G", 2ull << 30 }, { "1500k", 1500 << 10 }, { "8g", 8ull << 30 },
        { "512M,slots=0", 512 << 20 }, { "1G,maxmem=1G", 1 << 30 }, { "4097b", 8192 }, { "0", 0 }, { "0M", 0 }, { "-5", 0 },
        { "1G,slots=2,maxmem=4G", 0 }, { "many", 0 }, { "18446744073709551615b", 0 }, { "1,size", 0 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        uint64_t bytes = 0;
        GError *err = NULL;
        bool ok = spec_memory(rows[i].text, &bytes, &err);

        cr_expect_eq(ok, rows[i].bytes != 0, "%s: %s", rows[i].text, err ? err->message : "taken");
        cr_expect(!ok || bytes == rows[i].bytes, "%s", rows[i].text);
        g_clear_error(&err);
    }
}

Test(config, rtc)
{
    struct machine_spec s = { 0 };

    cr_expect(spec_rtc("base=utc,clock=host,driftfix=slew", 5, &s, NULL));
    cr_expect(s.rtc_offset_ns == 0 && !s.rtc_localtime);
    cr_expect(spec_rtc("1970-01-02", 1, &s, NULL));
    cr_expect_eq(s.rtc_offset_ns, 86400000000000 - 1);
    cr_expect(spec_rtc("base=1969-12-31T23:59:59", 0, &s, NULL));
    cr_expect_eq(s.rtc_offset_ns, -1000000000);
    cr_expect(spec_rtc("base=localtime", 0, &s, NULL) && s.rtc_localtime);
    cr_expect_not(spec_rtc("base=tomorrow", 0, &s, NULL));
    cr_expect_not(spec_rtc("base=2024-13-01", 0, &s, NULL));
    cr_expect_not(spec_rtc("clock=vm", 0, &s, NULL));
}

static char *parse_error(char **argv)
{
    struct config cfg;
    GError *err = NULL;
    char *text;

    config_init(&cfg);
    text = config_parse(&cfg, (int)g_strv_length(argv), argv, &err) ? NULL : g_strdup(err->message);
    g_clear_error(&err);
    config_fini(&cfg);
    return text;
}

Test(config, mistakes_are_one_line)
{
    static const struct { char *argv[5]; const char *expect; } rows[] = {
        { { "emu", "-kernle", "x" }, "unknown option '-kernle', did you mean '-kernel'?" },
        { { "emu", "--no-rebot" }, "unknown option '--no-rebot', did you mean '-no-reboot'?" },
        { { "emu", "-kernel" }, "-kernel needs a value: -kernel FILE" },
        { { "emu", "-gdb", "tcp::1" }, "not supported: -gdb" },
        { { "emu", "-s" }, "not supported: -s" },
        { { "emu", "-vga", "stdd" }, "-vga stdd: unknown card 'stdd' (there are std, virtio and none)" },
        { { "emu", "-M", "pc,akcel=tcg" }, "-machine pc,akcel=tcg: unknown option 'akcel', did you mean 'accel'?" },
        { { "emu", "-S", "-M", "pc", "-quiet" }, NULL },
        { { "emu", "--nographic", "-machine", "accel=tcg" }, NULL },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        char *got = parse_error((char **)rows[i].argv);

        cr_expect(!g_strcmp0(got, rows[i].expect), "row %u: %s", i, got ? got : "taken");
        g_free(got);
    }
}

Test(config, machine_options_merge)
{
    char *argv[] = { "emu", "-machine", "pc,acpi=off,accel=kvm:tcg", "-M", "graphics=off,accel=tcg", "-no-reboot", "-S", "-name",
                     "guest=a,,b,debug-threads=on", NULL };
    struct machine_spec s = { 0 };
    struct config cfg;
    GError *err = NULL;

    config_init(&cfg);
    cr_assert(config_parse(&cfg, 9, argv, &err), "%s", err ? err->message : "");
    cr_assert(spec_fill(&cfg, &s, &err), "%s", err ? err->message : "");
    cr_expect(!s.acpi && s.cpus == 1 && s.ram_size == 1ull << 30 && !strcmp(s.name, "a,b"));
    cr_expect_str_eq(s.board->name, "pc-i440fx-7.2");
    cr_expect(cfg.no_reboot && cfg.stopped);
    config_fini(&cfg);
}

Test(config, built_in_tables_are_sound)
{
    GError *err = NULL;

    cr_expect(builtin_register(&err), "%s", err ? err->message : "");
}

static char *printed(void (*fn)(FILE *))
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    fn(f);
    fclose(f);
    return text;
}

/* Tools take the first dotted number of the first line. */
Test(config, first_line_holds_the_version)
{
    cr_expect(g_str_has_prefix(printed(config_version), "QEMU emulator version 7.2.0 (emu "));
    cr_expect(g_str_has_prefix(printed(config_help), "QEMU emulator version 7.2.0 (emu "));
    cr_expect(strstr(printed(config_help), "-no-user-config"));
}

Test(config, help_fits_a_terminal)
{
    char **lines = g_strsplit(printed(config_help), "\n", -1);

    for (unsigned i = 2; lines[i]; i++) {
        cr_expect_leq(strlen(lines[i]), 100, "%s", lines[i]);
    }
}
