/*
 * The command line: one table of options, read by the parser, -help and the manual page. See main/config.h.
 */
#include "main/config.h"

#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/options.h"
#include "chardev/chardev.h"
#include "core/datafile.h"
#include "core/object.h"
#include "main/builtin.h"
#include "main/displays.h"
#include "main/drives.h"
#include "main/networks.h"

/* What a row does with its value. */
enum option_how {
    OPTION_KEEP,       /* the string goes to a member of struct config */
    OPTION_SET,        /* a flag there is set */
    OPTION_LIST,       /* the string is added to a list there */
    OPTION_PRINT,      /* a text is printed, and that is all */
    OPTION_CALL,       /* take() decides */
    OPTION_IGNORE,     /* asks for what is so anyway */
    OPTION_HEADING,    /* no option: a heading of -help */
};

struct option_row {
    const char *name, *alias;      /* without dashes */
    const char *arg;               /* NULL: takes none */
    const char *help;              /* NULL: not shown */
    enum option_how how;
    size_t member;                 /* offset in struct config */
    void (*print)(FILE *out);
    bool (*take)(struct config *cfg, const char *value, GError **err);
};

/* Ends of rows. */
#define KEEP(m)     .how = OPTION_KEEP, .member = offsetof(struct config, m)
#define LIST(m)     .how = OPTION_LIST, .member = offsetof(struct config, m)
#define SET(m)      .how = OPTION_SET, .member = offsetof(struct config, m)
#define PRINT(f)    .how = OPTION_PRINT, .print = f
#define CALL(f)     .how = OPTION_CALL, .take = f
#define HEADING(t)  { NULL, NULL, NULL, t, .how = OPTION_HEADING }

static bool is_help(const char *v)
{
    return !strcmp(v, "help") || !strcmp(v, "?");
}

static bool take_machine(struct config *cfg, const char *v, GError **err)
{
    struct options *o;

    if (is_help(v)) {
        cfg->print = machine_help;
        return true;
    }
    o = machine_options_parse(v, err);
    if (!o) {
        return false;
    }
    if (options_has(o, "help")) {
        cfg->print = machine_help;
    }
    options_merge(cfg->machine, o);
    options_free(o);
    return true;
}

static bool take_accel(struct config *cfg, const char *v, GError **err)
{
    (void)err;
    if (is_help(v)) {
        cfg->print = accel_help;
    } else {
        g_ptr_array_add(cfg->accels, (char *)v);
    }
    return true;
}

static bool take_kvm(struct config *cfg, const char *v, GError **err)
{
    (void)v;
    return take_accel(cfg, "kvm", err);
}

static bool take_cpu(struct config *cfg, const char *v, GError **err)
{
    (void)err;
    if (is_help(v)) {
        cfg->print = builtin_cpu_help;
    }
    cfg->cpu = v;
    return true;
}

static bool take_device(struct config *cfg, const char *v, GError **err)
{
    size_t len = strcspn(v, ",");

    (void)err;
    if (is_help(v)) {
        cfg->print = device_help;
    } else if (v[len] && is_help(v + len + 1)) {
        cfg->print_device = v;
    } else {
        g_ptr_array_add(cfg->devices, (char *)v);
    }
    return true;
}

static bool take_object(struct config *cfg, const char *v, GError **err)
{
    size_t len = strcspn(v, ",");

    (void)err;
    if (is_help(v)) {
        cfg->print = objects_help;
    } else if (v[len] && is_help(v + len + 1)) {
        cfg->print_object = v;
    } else {
        g_ptr_array_add(cfg->objects, (char *)v);
    }
    return true;
}

static bool take_chardev(struct config *cfg, const char *v, GError **err)
{
    (void)err;
    if (is_help(v)) {
        cfg->print = chardev_help;
    } else {
        g_ptr_array_add(cfg->chardevs, (char *)v);
    }
    return true;
}

static bool take_mon(struct config *cfg, const char *v, GError **err)
{
    (void)err;
    g_ptr_array_add(cfg->monitors, (char *)v);
    return true;
}

static bool take_boot(struct config *cfg, const char *v, GError **err) { return boot_options_merge(&cfg->boot, v, err); }

static bool take_action(struct config *cfg, const char *v, GError **err) { return action_options_merge(&cfg->action, v, err); }

static bool take_data_dir(struct config *cfg, const char *v, GError **err)
{
    (void)err;
    if (is_help(v)) {
        cfg->print = data_file_help;
    }
    g_ptr_array_add(cfg->data_dirs, (char *)v);
    return true;
}

static bool take_serial(struct config *cfg, const char *v, GError **err)
{
    (void)err;
    g_ptr_array_add(cfg->serials, (char *)v);
    return true;
}

static bool take_log(struct config *cfg, const char *v, GError **err)
{
    (void)err;
    if (is_help(v)) {
        cfg->print = log_help;
    }
    cfg->log_items = v;
    return true;
}

static bool take_uuid(struct config *cfg, const char *v, GError **err)
{
    cfg->uuid = v;
    return spec_uuid(v, err);
}

static bool take_echr(struct config *cfg, const char *v, GError **err)
{
    uint64_t n;

    if (!parse_uint(v, &n, err)) {
        return false;
    }
    if (n < 1 || n > 26) {
        return error_set(err, EMU_ERROR_INVALID, "%s is not the code of a control key (1 for Ctrl-a to 26 for Ctrl-z)", v);
    }
    cfg->escape = (uint8_t)n;
    return true;
}

/* Options about disks: main/drives.c. */
#define TAKE_DRIVE(name_) static bool take_##name_(struct config *cfg, const char *v, GError **err) { return drives_take(cfg, #name_, v, err); }
TAKE_DRIVE(drive)
TAKE_DRIVE(blockdev)
TAKE_DRIVE(hda)
TAKE_DRIVE(hdb)
TAKE_DRIVE(hdc)
TAKE_DRIVE(hdd)
TAKE_DRIVE(cdrom)
TAKE_DRIVE(fda)
TAKE_DRIVE(fdb)
TAKE_DRIVE(pflash)

static bool take_netdev(struct config *cfg, const char *v, GError **err)
{
    (void)err;
    if (is_help(v)) {
        cfg->print = networks_help;
    } else {
        g_ptr_array_add(cfg->netdevs, (char *)v);
    }
    return true;
}

static bool take_nic(struct config *cfg, const char *v, GError **err)
{
    (void)err;
    if (strstr(v, "model=help") || strstr(v, "model=?")) {
        cfg->print = networks_models_help;
    } else if (is_help(v)) {
        cfg->print = networks_help;
    } else {
        g_ptr_array_add(cfg->nics, (char *)v);
    }
    return true;
}

static bool take_net(struct config *cfg, const char *v, GError **err)
{
    (void)err;
    if (strstr(v, "model=help") || strstr(v, "model=?")) {
        cfg->print = networks_models_help;
    } else {
        g_ptr_array_add(cfg->nets, (char *)v);
    }
    return true;
}

static const struct option_row rows[] = {
    HEADING("General"),
    { "help", "h", NULL, "print this text and end", PRINT(config_help) },
    { "version", NULL, NULL, "print the version and end", PRINT(config_version) },
    { "machine", "M", "[type=]NAME[,key=value...]", "the board to build; may be repeated, the last value of a key counts; "
      "'help' lists boards and keys", CALL(take_machine) },
    { "accel", NULL, "NAME[,key=value...]", "what runs the vCPUs; the first that works when repeated; 'help' lists them", CALL(take_accel) },
    { "enable-kvm", NULL, NULL, "as -accel kvm", CALL(take_kvm) },
    { "cpu", NULL, "MODEL[,+feature][,-feature]", "the CPU model; 'help' lists models and features", CALL(take_cpu) },
    { "smp", NULL, "[cpus=]N[,maxcpus=][,sockets=][,dies=][,cores=][,threads=]", "number of vCPUs and how they are arranged (default 1)",
      KEEP(smp) },
    { "m", NULL, "[size=]SIZE[k|M|G|T]", "guest memory, in MiB without a suffix (default 1G)", KEEP(memory) },
    { "name", NULL, "TEXT", "a name for this machine", KEEP(name) },
    { "uuid", NULL, "UUID", "its UUID", CALL(take_uuid) },
    { "rtc", NULL, "[base=utc|localtime|DATE][,clock=host|vm|rt][,driftfix=none|slew]", "what the real-time clock shows at start", KEEP(rtc) },
    HEADING("What to start"),
    { "kernel", NULL, "FILE", "a Linux bzImage, an ELF file with a PVH note, or a multiboot kernel", KEEP(kernel) },
    { "initrd", NULL, "FILE", "its initial RAM disk; multiboot: \"FILE ARGS,FILE ARGS\"", KEEP(initrd) },
    { "append", NULL, "TEXT", "its command line", KEEP(append) },
    { "dtb", NULL, "FILE", "a device tree, on boards that take one", KEEP(dtb) },
    { "bios", NULL, "FILE", "firmware to start (default: SeaBIOS where no kernel is given)", KEEP(firmware) },
    { "L", NULL, "FOLDER", "where to look for firmware and option ROMs first; 'help' lists the folders built in", CALL(take_data_dir) },
    { "boot", NULL, "[order=]LETTERS[,once=LETTERS][,menu=on][,strict=on]...",
      "what firmware tries: a floppy, c disk, d CD, n network; also splash-time=MS, reboot-timeout=MS", CALL(take_boot) },
    { "fw_cfg", NULL, "[name=]NAME,file=FILE|string=TEXT", "a file for firmware and guest to read", LIST(fw_cfg) },
    { "smbios", NULL, "type=N,key=value...|file=FILE", "values of SMBIOS structures 0, 1, 2, 3, 4, 11, 17", LIST(smbios) },
    { "acpitable", NULL, "file=FILE|data=FILE[,sig=][,rev=][,oem_id=]...", "an ACPI table of your own", LIST(acpi_tables) },
    { "option-rom", NULL, "FILE[,bootindex=N]", "an option ROM that belongs to no card", LIST(option_roms) },
    HEADING("Disks"),
    { "drive", NULL, "[file=]FILE[,if=ide|virtio|floppy|pflash|none][,id=][,key=value...]",
      "a drive and its image (format=raw, media=disk|cdrom, cache=, snapshot=on, readonly=on ...); with if=none a -device uses it by drive=ID", CALL(take_drive) },
    { "blockdev", NULL, "[driver=]DRIVER,node-name=NAME[,key=value...]", "a node of the block layer (file, host_device, raw, null-co), also as JSON",
      CALL(take_blockdev) },
    { "hda", NULL, "FILE", "first hard disk of the first IDE channel; as an image that stands alone", CALL(take_hda) },
    { "hdb", NULL, "FILE", "second disk there", CALL(take_hdb) },
    { "hdc", NULL, "FILE", "first disk of the second channel", CALL(take_hdc) },
    { "hdd", NULL, "FILE", "second disk there", CALL(take_hdd) },
    { "cdrom", NULL, "FILE", "the medium of the CD drive", CALL(take_cdrom) },
    { "fda", NULL, "FILE", "first floppy drive and its disk", CALL(take_fda) },
    { "fdb", NULL, "FILE", "second floppy drive", CALL(take_fdb) },
    { "pflash", NULL, "FILE", "flash memory of the board", CALL(take_pflash) },
    { "snapshot", NULL, NULL, "disk writes go to temporary files and are lost at the end", SET(snapshot) },
    HEADING("Devices and the terminal"),
    { "device", NULL, "NAME[,key=value...]", "add a device; 'help' lists them, 'NAME,help' what a device can be told", CALL(take_device) },
    { "object", NULL, "TYPE,id=NAME[,key=value...]", "make an object that devices name; 'help' lists types, 'TYPE,help' what one can be told",
      CALL(take_object) },
    { "chardev", NULL, "KIND,id=NAME[,key=value...]", "a byte stream that devices and monitors name; 'help' lists kinds; every one takes "
      "logfile=FILE, logappend=on and mux=on (several share it)", CALL(take_chardev) },
    { "global", NULL, "DEVICE.KEY=VALUE", "a default for all devices of that name; also driver=,property=,value=", LIST(globals) },
    { "watchdog-action", NULL, "reset|shutdown|poweroff|inject-nmi|pause|debug|none", "what an expired watchdog does (default reset)", KEEP(watchdog_action) },
    { "action", NULL, "[reboot=reset|shutdown][,shutdown=poweroff|pause][,watchdog=...]", "what such events do", CALL(take_action) },
    { "serial", NULL, "DEV", "where a serial port goes, repeated for up to four: none, null, stdio, mon:stdio (shared with the monitor), "
      "pty, file:PATH, pipe:PATH, chardev:NAME, unix:PATH[,server=on][,wait=off], tcp:[HOST]:PORT[,server=on][,wait=off], telnet:, websocket:",
      CALL(take_serial) },
    { "parallel", NULL, "DEV", "where the parallel port goes, as -serial", KEEP(parallel) },
    { "debugcon", NULL, "DEV", "where bytes written to port E9h go, as -serial", KEEP(debugcon) },
    { "monitor", NULL, "DEV", "where the monitor goes, as -serial", KEEP(monitor) },
    { "mon", NULL, "[chardev=]NAME[,mode=readline]", "a monitor on a character device", CALL(take_mon) },
    { "nographic", NULL, NULL, "no display; the first serial port and the monitor share the terminal (Ctrl-a h for help there)",
      SET(nographic) },
    { "display", NULL, "KIND[,key=value...]", "what shows the screen: vnc=ADDRESS, none (sdl and curses: not built yet)",
      CALL(displays_take_display) },
    { "vnc", NULL, "[HOST]:N|unix:PATH|none[,key=value...]", "serve VNC viewers on display N (port 5900+N); password=on, websocket=, to=, share=",
      CALL(displays_take_vnc) },
    { "sdl", NULL, NULL, "as -display sdl", CALL(displays_take_sdl) },
    { "curses", NULL, NULL, "as -display curses", CALL(displays_take_curses) },
    { "full-screen", NULL, NULL, "the window fills the screen", SET(full_screen) },
    { "k", NULL, "LAYOUT", "the keyboard layout of viewers that send symbols (en-us, en-gb, de, fr, es, it)", CALL(displays_take_keyboard) },
    { "echr", NULL, "N", "code of the key that Ctrl-a is for the shared terminal (default 1)", CALL(take_echr) },
    { "vga", NULL, "std|virtio|none", "the graphics card (default std)", CALL(displays_take_vga) },
    { "netdev", NULL, "TYPE,id=NAME[,key=value...]", "a network for a -device to name (netdev=NAME): user, tap, socket, stream, dgram, hubport; 'help' lists "
      "their keys", CALL(take_netdev) },
    { "nic", NULL, "TYPE[,model=CARD][,mac=MAC][,key=value...]", "a network card and its network at once; none: no card; 'model=help' lists cards",
      CALL(take_nic) },
    { "net", NULL, "nic|TYPE[,key=value...]", "the older form: cards (nic[,model=][,macaddr=]) and networks, joined to each other; none: no card",
      CALL(take_net) },
    { "nodefaults", NULL, NULL, "only the serial ports and monitors that are asked for", SET(nodefaults) },
    { "no-user-config", NULL, NULL, "read no configuration of the user's (there is none)", .how = OPTION_IGNORE },
    { "no-acpi", NULL, NULL, "no ACPI tables", SET(no_acpi) },
    { "no-hpet", NULL, NULL, "no HPET (there is none)", .how = OPTION_IGNORE },
    HEADING("Running"),
    { "S", NULL, NULL, "start held; the monitor's 'cont' lets it run", SET(stopped) },
    { "no-reboot", NULL, NULL, "end when the guest resets", SET(no_reboot) },
    { "no-shutdown", NULL, NULL, "hold the machine when the guest turns it off, instead of ending", SET(no_shutdown) },
    { "daemonize", NULL, NULL, "go to the background once the machine is built", SET(daemonize) },
    { "pidfile", NULL, "FILE", "write the process number to a file, removed at the end", KEEP(pidfile) },
    { "quiet", NULL, NULL, "no line at start that says what runs", SET(quiet) },
    { "d", NULL, "ITEM[,ITEM...]", "log these; 'help' lists them", CALL(take_log) },
    { "D", NULL, "FILE", "write the log to a file instead of standard error", KEEP(log_file) },
    { "man-page", NULL, NULL, NULL, PRINT(config_man) },
};

/* Options of QEMU's that are not built: name, and whether a value follows. */
static const struct {
    const char *name;
    bool arg;
} refused[] = {
    { "gdb", true }, { "s", false }, { "qmp", true }, { "qmp-pretty", true }, { "spice", true }, { "usb", false }, { "usbdevice", true },
    { "audio", true }, { "audiodev", true }, { "soundhw", true }, { "loadvm", true },
    { "incoming", true }, { "only-migratable", false }, { "mem-path", true }, { "mem-prealloc", false }, { "numa", true },
    { "virtfs", true }, { "fsdev", true },
    { "tpmdev", true }, { "sandbox", true }, { "overcommit", true }, { "msg", true }, { "icount", true }, { "watchdog", true },
    { "readconfig", true }, { "writeconfig", true },
    { "mtdblock", true }, { "sd", true }, { "iscsi", true }, { "singlestep", false }, { "trace", true }, { "plugin", true },
    { "runas", true }, { "chroot", true }, { "run-with", true }, { "add-fd", true }, { "set", true },
    { "semihosting", false }, { "semihosting-config", true }, { "prom-env", true }, { "xen-domid", true }, { "compat", true },
    { "win2k-hack", false }, { "no-fd-bootchk", false }, { "rotate", true }, { "g", true }, { "dfilter", true }, { "seed", true },
    { "cpu-throttle", true }, { "enable-fips", false }, { "alt-grab", false }, { "ctrl-grab", false },
    { "enable-sync-profile", false }, { "tb-size", true }, { "nouserconfig", false }, { "perfmap", false },
};

static const size_t lists[] = {
    offsetof(struct config, fw_cfg), offsetof(struct config, smbios), offsetof(struct config, acpi_tables), offsetof(struct config, option_roms),
    offsetof(struct config, data_dirs), offsetof(struct config, globals),
};

void config_init(struct config *cfg)
{
    *cfg = (struct config){ 0 };
    cfg->machine = options_parse("", NULL, NULL, NULL);
    cfg->accels = g_ptr_array_new();
    cfg->serials = g_ptr_array_new();
    cfg->drives = g_ptr_array_new_with_free_func(g_free);
    cfg->devices = g_ptr_array_new();
    cfg->vncs = g_ptr_array_new();
    cfg->netdevs = g_ptr_array_new();
    cfg->nics = g_ptr_array_new();
    cfg->nets = g_ptr_array_new();
    for (unsigned i = 0; i < G_N_ELEMENTS(lists); i++) {
        *(GPtrArray **)((char *)cfg + lists[i]) = g_ptr_array_new();
    }
    cfg->objects = g_ptr_array_new();
    cfg->chardevs = g_ptr_array_new();
    cfg->monitors = g_ptr_array_new();
    cfg->escape = 1;
}

void config_fini(struct config *cfg)
{
    options_free(cfg->machine);
    g_ptr_array_free(cfg->accels, TRUE);
    g_ptr_array_free(cfg->serials, TRUE);
    g_ptr_array_free(cfg->drives, TRUE);
    g_ptr_array_free(cfg->devices, TRUE);
    g_ptr_array_free(cfg->vncs, TRUE);
    g_ptr_array_free(cfg->netdevs, TRUE);
    g_ptr_array_free(cfg->nics, TRUE);
    g_ptr_array_free(cfg->nets, TRUE);
    for (unsigned i = 0; i < G_N_ELEMENTS(lists); i++) {
        g_ptr_array_free(*(GPtrArray **)((char *)cfg + lists[i]), TRUE);
    }
    options_free(cfg->boot);
    options_free(cfg->action);
    g_ptr_array_free(cfg->objects, TRUE);
    g_ptr_array_free(cfg->chardevs, TRUE);
    g_ptr_array_free(cfg->monitors, TRUE);
}

static const struct option_row *row_find(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i].name && (!strcmp(rows[i].name, name) || !g_strcmp0(rows[i].alias, name))) {
            return &rows[i];
        }
    }
    return NULL;
}

static bool row_take(const struct option_row *row, struct config *cfg, const char *value, GError **err)
{
    char *member = (char *)cfg + row->member;

    switch (row->how) {
    case OPTION_KEEP:
        *(const char **)member = value;
        return true;
    case OPTION_SET:
        *(bool *)member = true;
        return true;
    case OPTION_LIST:
        g_ptr_array_add(*(GPtrArray **)member, (char *)value);
        return true;
    case OPTION_PRINT:
        cfg->print = row->print;
        return true;
    case OPTION_CALL:
        return row->take(cfg, value, err);
    default:
        return true;
    }
}

static bool unknown(const char *arg, const char *name, GError **err)
{
    GPtrArray *names;

    for (unsigned i = 0; i < G_N_ELEMENTS(refused); i++) {
        if (!strcmp(refused[i].name, name)) {
            return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: -%s", name);
        }
    }
    names = g_ptr_array_new();
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i].name && rows[i].help) {
            g_ptr_array_add(names, (char *)rows[i].name);
        }
    }
    g_ptr_array_add(names, NULL);
    error_unknown(err, "option", arg, (const char *const *)names->pdata, "-help");
    if (name_suggest(name, (const char *const *)names->pdata)) {
        g_clear_error(err);
        error_set(err, EMU_ERROR_NOT_FOUND, "unknown option '%s', did you mean '-%s'?", arg,
                  name_suggest(name, (const char *const *)names->pdata));
    }
    g_ptr_array_free(names, TRUE);
    return false;
}

bool config_parse(struct config *cfg, int argc, char **argv, GError **err)
{
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i], *name = arg, *value = NULL;
        const struct option_row *row;

        if (*arg != '-') {
            drives_take(cfg, "", arg, err);
            continue;
        }
        if (!arg[1]) {
            return error_set(err, EMU_ERROR_INVALID, "'-' is no option");
        }
        name += arg[1] == '-' ? 2 : 1;
        row = row_find(name);
        if (!row) {
            return unknown(arg, name, err);
        }
        if (row->arg) {
            if (i + 1 >= argc) {
                return error_set(err, EMU_ERROR_INVALID, "%s needs a value: %s %s", arg, arg, row->arg);
            }
            value = argv[++i];
        }
        if (!row_take(row, cfg, value, err)) {
            return value ? error_prefix(err, "-%s %s", row->name, value) : error_prefix(err, "-%s", row->name);
        }
    }
    return true;
}

void config_version(FILE *out)
{
    fprintf(out, "QEMU emulator version 7.2.0 (emu %s)\n", CONFIG_VERSION);
    fprintf(out, "emu offers the command line and monitor of QEMU 7.2; it is another program, under GPL-2.0-or-later.\n");
}

/* Text broken into lines of at most `width` columns, all but the first indented. */
static void wrap(FILE *out, const char *text, unsigned indent, unsigned width)
{
    unsigned column = indent;
    bool first = true;

    while (*text) {
        size_t len = strcspn(text, " ");

        if (!first && column + 1 + len > width) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            fputc(' ', out);
            column++;
        }
        fwrite(text, 1, len, out);
        column += (unsigned)len;
        text += len + strspn(text + len, " ");
        first = false;
    }
    fputc('\n', out);
}

void config_help(FILE *out)
{
    config_version(out);
    fprintf(out, "usage: emu-system-x86_64 -kernel FILE [options]\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        const struct option_row *r = &rows[i];
        char *head;

        if (!r->name) {
            fprintf(out, "\n%s:\n", r->help);
            continue;
        }
        if (!r->help) {
            continue;
        }
        head = g_strdup_printf("-%s%s%s%s%s", r->name, r->alias ? " or -" : "", r->alias ? r->alias : "", r->arg ? " " : "",
                               r->arg ? r->arg : "");
        if (strlen(head) > 22) {
            fprintf(out, "%s\n%24s", head, "");
        } else {
            fprintf(out, "%-24s", head);
        }
        wrap(out, r->help, 24, 100);
        g_free(head);
    }
    fprintf(out, "\nOn the shared terminal: Ctrl-a h help, Ctrl-a x end, Ctrl-a c monitor and back.\n");
}

/* roff: a minus sign that is one, and no line that begins with a control character. */
static void roff(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '-') {
            fputs("\\-", out);
        } else if (*text == '\\') {
            fputs("\\\\", out);
        } else {
            fputc(*text, out);
        }
    }
}

void config_man(FILE *out)
{
    fprintf(out, ".\\\" Made by emu-system-x86_64 -man-page from the option table.\n"
            ".TH EMU-SYSTEM-X86_64 1 \"\" \"emu %s\" \"User Commands\"\n"
            ".SH NAME\nemu-system-x86_64 \\- run a PC and its operating system in a process\n"
            ".SH SYNOPSIS\n.B emu-system-x86_64\n.B \\-kernel\n.I FILE\n[options]\n"
            ".SH DESCRIPTION\nemu runs an unmodified operating system for x86\\-64 PCs by translating its machine code. Its command line and\n"
            "its monitor are those of QEMU 7.2, as far as they are built; options that are known there and not built are refused\n"
            "by name.\n.SH OPTIONS\nOptions may be written with one dash or two.\n", CONFIG_VERSION);
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        const struct option_row *r = &rows[i];

        if (!r->name) {
            fprintf(out, ".SS %s\n", r->help);
        } else if (r->help) {
            fputs(".TP\n.B \\-", out);
            roff(out, r->name);
            if (r->alias) {
                fputs(" \\fRor\\fB \\-", out);
                roff(out, r->alias);
            }
            if (r->arg) {
                fputs(" \\fI", out);
                roff(out, r->arg);
                fputs("\\fR", out);
            }
            fputc('\n', out);
            roff(out, r->help);
            fputc('\n', out);
        }
    }
    fputs(".SH EXIT STATUS\n0 when the guest turned the machine off or the user ended it, 1 after an error, and what the guest said\n"
          "through isa\\-debug\\-exit.\n.SH KEYS\nOn the terminal shared by serial port and monitor: Ctrl\\-a h shows help, Ctrl\\-a x ends the "
          "emulator,\nCtrl\\-a c goes to the monitor and back, Ctrl\\-a b sends a break, Ctrl\\-a Ctrl\\-a sends Ctrl\\-a.\n", out);
}
