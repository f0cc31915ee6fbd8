/* The conversation: prompt, editing, history, commands and their errors, on a machine that stands still. */
#include "monitor/monitor.h"

#include <criterion/criterion.h>
#include <string.h>

#include "chardev/chardev.h"
#include "core/accel.h"
#include "core/dma.h"
#include "core/machine.h"

static void cpu_nothing(struct cpu *c) { (void)c; }
static bool cpu_wakes(struct cpu *c) { (void)c; return false; }
static uint64_t cpu_pc(struct cpu *c) { (void)c; return 0x1000; }
static void cpu_dump(struct cpu *c, GString *out) { g_string_append_printf(out, "R0=%u\n", c->index); }
static unsigned cpu_mode(struct cpu *c) { (void)c; return 64; }

static bool cpu_translate(struct cpu *c, uint64_t va, uint64_t *pa)
{
    (void)c;
    *pa = va - 0x100000;
    return va >= 0x100000;
}

static const struct cpu_ops ops = {
    .isa = "test", .size = sizeof(struct cpu), .reset = cpu_nothing, .service = cpu_nothing, .wakes = cpu_wakes, .pc = cpu_pc,
    .dump = cpu_dump, .debug_translate = cpu_translate, .disas_mode = cpu_mode,
};

static enum cpu_exit engine_run(struct cpu *c) { (void)c; g_usleep(100); return CPU_EXIT_AGAIN; }
static const struct accel_ops engine = { .name = "test", .run = engine_run };

static struct region ram;

static bool build(struct machine *m, GError **err)
{
    struct ram_block *b = ram_new(m, "ram", 0x3000, false, err);

    region_init_ram(&ram, "ram", b, 0, 0x3000);
    region_add(&m->memory_root, &ram, 0, 0);
    return cpu_new(m, &ops, 0, "test", err) && cpu_new(m, &ops, 1, "test", err);
}

static const struct board board = { .name = "test", .build = build };
static const struct command *const tables[] = { monitor_commands, memory_commands, object_commands, NULL };

static struct machine *m;
static struct chardev *mine, *theirs;
static struct monitor *mon;
static GString *seen;

static size_t can_take(void *opaque) { (void)opaque; return 65536; }
static void take(void *opaque, const uint8_t *buf, size_t len) { (void)opaque; g_string_append_len(seen, (const char *)buf, (gssize)len); }

static void setup(void)
{
    struct chardev_port port = { .can_take = can_take, .take = take };

    seen = g_string_new(NULL);
    m = machine_new();
    m->spec.board = &board;
    m->accel = &engine;
    cr_assert(machine_build(m, NULL));
    machine_lock(m);
    chardev_pair(&mine, &theirs);
    chardev_attach(mine, &port);
    mon = monitor_new(m, theirs, tables);
}

static void teardown(void)
{
    monitor_free(mon);
    chardev_close(mine);
    chardev_close(theirs);
    machine_unlock(m);
    machine_free(m);
}

TestSuite(monitor, .init = setup, .fini = teardown, .timeout = 20);

/* What appears after typing. */
static const char *type(const char *keys)
{
    g_string_truncate(seen, 0);
    chardev_write(mine, keys, strlen(keys));
    return seen->str;
}

Test(monitor, greets_and_prompts)
{
    cr_expect(g_str_has_prefix(seen->str, "QEMU 7.2.0 monitor"));
    cr_expect(g_str_has_suffix(seen->str, "information\r\n(qemu) "));
    cr_expect_str_eq(type("\r"), "\r\n(qemu) ");
    cr_expect_str_eq(type("info status\r\n"), "info status\r\nVM status: paused (prelaunch)\r\n(qemu) ");
    cr_expect_str_eq(type("info status\n"), "info status\r\nVM status: paused (prelaunch)\r\n(qemu) ");
}

Test(monitor, edits_lines)
{
    cr_expect_str_eq(type("infx\x7f"), "infx\b \b");
    cr_expect(strstr(type("o  status  \r"), "VM status"));
    cr_expect(strstr(type("garbage here\x15info status\r"), "VM status"));
    cr_expect(strstr(type("info nonsense\x17status\r"), "VM status"));
    cr_expect(strstr(type("\033[A"), "\033[K(qemu) info status"));
    cr_expect(strstr(type("\033[A\033[B\033[B"), "(qemu) info status"));
    cr_expect_str_eq(type("\033[B\r"), "\r\n(qemu) ");
    cr_expect_str_eq(type("sys\t"), "system_", "as far as the two agree");
    cr_expect(strstr(type("\t"), "system_powerdown") && strstr(seen->str, "system_reset"), "then both are shown");
    cr_expect_str_eq(type("p\t"), "powerdown ");
    cr_expect(strstr(type("\x15info sta\t\r"), "VM status"), "subjects complete too");
    cr_expect(strstr(type("inf status\033[D\033[D\033[D\033[D\033[D\033[D\033[Do\r"), "VM status"), "in the middle of the line");
    cr_expect(strstr(type("nfo statusx\x01i\x05\x7f\r"), "VM status"), "both ends of the line");
    cr_expect(strstr(type("info xxxstatus\x02\x02\x02\x02\x02\x02\x02\x02\x02\x04\x04\x04\r"), "VM status"), "forward deletion");
    cr_expect(strstr(type("info status garbage\x02\x02\x02\x02\x02\x02\x02\x0b\r"), "VM status"), "to the end of the line");
    cr_expect(strstr(type("\x15\033[1;5Cinfo status\r"), "VM status"), "unknown keys are swallowed");
}

Test(monitor, history_survives_odd_use)
{
    for (unsigned i = 0; i < 100; i++) {
        char line[32];

        g_snprintf(line, sizeof(line), "# %u\r", i);
        type(line);
    }
    for (unsigned i = 0; i < 200; i++) {
        type("\033[A");
    }
    cr_expect(strstr(type("\033[B"), "(qemu) # 37"), "64 lines are kept");
    for (unsigned i = 0; i < 200; i++) {
        type("\033[B");
    }
    for (unsigned i = 0; i < 5000; i++) {
        type("x");
    }
    cr_expect(strstr(type("\r"), "the line is longer than 4096 bytes"));
    cr_expect(strstr(type("info status\r"), "VM status"), "and the next one is good");
    cr_expect(strstr(type("info history\r"), "62: 'info status'\r\n"));
}

Test(monitor, commands_and_errors)
{
    static const struct { const char *line, *expect; } rows[] = {
        { "inf", "unknown command: 'inf', did you mean 'info'?\n" },
        { "frobnicate", "unknown command: 'frobnicate', see 'help'\n" },
        { "info statsu", "unknown info 'statsu', did you mean 'status'?\n" },
        { "stop now", "stop: extraneous characters at the end of line\n" },
        { "info version", "7.2.0 (emu " CONFIG_VERSION ")\n" },
        { "info registers", "\nCPU#0\nR0=0\n" },
        { "info registers -a", "\nCPU#0\nR0=0\n\nCPU#1\nR0=1\n" },
        { "info registers -b", "Error: unsupported option -b\n" },
        { "info jit", "Error: not supported: accelerator test keeps no figures\n" },
        { "log foo_bar", "Error: unknown log item 'foo_bar', see -d help\n" },
        { "xp/2xb 0x10", "0000000000000010: 0x41 0xfe\n" },
        { "xp /dh 16", "0000000000000010: -447\n" },
        { "xp /1uh 8+2*4", "0000000000000010: 65089\n" },
        { "xp /2c 0x10", "0000000000000010: 'A' '\\xfe'\n" },
        { "xp /xg 0x2ffc", "0000000000002ffc: Cannot access memory\n" },
        { "x /xb 0x100010", "0000000000100010: 0x41\n" },
        { "x /xb 0x10", "0000000000000010: Cannot access memory\n" },
        { "x /i 0x100020", "0x0000000000100020:  f4                       hlt\n" },
        { "xp /1i $pc-(0x1000-0x20)", "0x0000000000000020:  f4                       hlt\n" },
        { "x /q 1", "Error: 'q' is no format letter (x d u o c i, b h w g)\n" },
        { "x", "Error: addr: parameter is missing\n" },
        { "x 12zz", "Error: addr: cannot read 'zz'\n" },
        { "x (1", "Error: addr: ')' expected at ''\n" },
        { "x $foo", "Error: addr: unknown register '$foo' ($pc is known)\n" },
        { "xp 16 17", "Error: extraneous characters at the end of line: '17'\n" },
        { "info registers 1", "\nCPU#1\nR0=1\n" },
        { "info registers 7", "Error: CPU#7 not available\n" },
        { "print 2*(3+4)", "0xe\n" },
        { "p/d ~0", "-1\n" },
        { "print /o 8|1", "011\n" },
        { "print 1/0", "Error: val: division by zero\n" },
        { "print 'A'", "0x41\n" },
        { "cpu 9", "Error: invalid CPU index\n" },
        { "info mem", "Error: not supported: page tables of this kind of CPU\n" },
        { "memsave 0x10 2 /nowhere/x", "Error: Could not open '/nowhere/x': No such file or directory\n" },
        { "pmemsave 0x10", "Error: size: parameter is missing\n" },
        { "pmemsave 0x10 2 \"/tmp/x", "Error: filename: unterminated string literal\n" },
        { "gva2gpa 0x100010", "gpa: 0x10\n" },
        { "gva2gpa 0x10", "Unmapped\n" },
        { "balloon", "Error: value: parameter is missing\n" },
        { "balloon 100", "Error: No balloon device has been activated\n" },
        { "info balloon", "Error: No balloon device has been activated\n" },
        { "device_del nix", "Error: Device 'nix' not found\n" },
        { "object_del nix", "Error: object 'nix' not found\n" },
        { "chardev-remove nix", "Error: Chardev 'nix' not found\n" },
        { "xp ((((((((((((((((((((16))))))))))))))))))))", "0000000000000010: 0x0000fe41\n" },
    };

    dma_write(&m->memory, 0x10, "A\xfe", 2);
    dma_write(&m->memory, 0x20, "\xf4\x00", 2);
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        GString *out = g_string_new(NULL);

        monitor_execute(m, tables, rows[i].line, out);
        cr_expect_str_eq(out->str, rows[i].expect, "%s: %s", rows[i].line, out->str);
        g_string_free(out, TRUE);
    }
}

Test(monitor, starts_and_stops)
{
    type("cont\r");
    cr_expect_eq(m->state, RUN_RUNNING);
    cr_expect(strstr(type("info status\r"), "running"));
    cr_expect(strstr(type("info registers -a\r"), "R0=1"), "also while it runs");
    type("stop\r");
    cr_expect(strstr(type("info status\r"), "VM status: paused\r\n"));
}

Test(monitor, every_command_has_help_and_can_run)
{
    const char *text = type("help\r");

    for (unsigned i = 0; tables[i]; i++) {
        for (const struct command *c = tables[i]; c->name; c++) {
            cr_expect(strstr(text, c->name) && *c->help && !!c->run + !!c->sub + !!c->exec == 1, "%s", c->name);
            cr_expect(!c->exec || c->arg, "%s", c->name);
        }
    }
    cr_expect(strstr(type("help info\r"), "info registers [-a|vcpu] -- "));
    cr_expect(strstr(type("help nix\r"), "unknown command: 'nix'"));
}
