/*
 * emu-system-x86_64: from the command line to a running machine, and out again. The one place that ends the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/options.h"
#include "chardev/chardev.h"
#include "core/accel.h"
#include "core/device.h"
#include "core/machine.h"
#include "core/object.h"
#include "main/builtin.h"
#include "main/config.h"
#include "main/consoles.h"
#include "main/displays.h"
#include "main/drives.h"
#include "main/networks.h"
#include "ui/console.h"

#define PROGRAM "emu-system-x86_64"

static G_GNUC_NORETURN void die(GError *err)
{
    chardev_restore_terminal();
    fprintf(stderr, PROGRAM ": %s\n", err->message);
    exit(1);
}

/* --- -accel, -machine accel= --- */

/* One engine by "name,key=value". False: not to be had, *err says why. */
static bool accel_try(struct machine *m, const char *text, GError **err)
{
    static const char *const unbuilt[] = { "xen", "hax", "hvf", "nvmm", "whpx", "qtest", NULL };
    static const struct option_desc none[] = { { 0 } };
    size_t len = strcspn(text, ",");
    char *name = g_strndup(text, len);
    const struct accel_ops *a = accel_find(name);
    struct options *o = NULL;
    const char *names[16];
    unsigned n = 0;
    bool ok = false;

    for (const struct accel_ops *const *l = accels(); *l && n < 15; l++) {
        names[n++] = (*l)->name;
    }
    names[n] = NULL;
    if (!a && g_strv_contains(unbuilt, name)) {
        error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: accelerator %s", name);
    } else if (!a) {
        error_unknown(err, "accelerator", name, names, "-accel help");
    } else if ((o = options_parse(text[len] ? text + len + 1 : "", NULL, a->options ? a->options : none, err))) {
        if (options_has(o, "help")) {
            accel_help(stdout);
            exit(0);
        }
        machine_lock(m);
        ok = engine_open(m, a, o, err);
        machine_unlock(m);
        m->accel = ok ? a : NULL;
        options_free(o);
    }
    g_free(name);
    return ok;
}

/* Where there is a choice, an engine must also be worth it. */
static bool accel_usable(struct machine *m, GError **err)
{
    const struct accel_ops *a = m->accel;
    bool ok;

    machine_lock(m);
    ok = !a->usable || a->usable(m, err);
    if (!ok) {
        engine_close(m, a);
        m->accel = NULL;
    }
    machine_unlock(m);
    return ok;
}

/* The first engine of the user's list that works. *why_not: of those before it, for the line at start; g_free(). */
static bool accel_open(struct machine *m, const struct config *cfg, char **why_not, GError **err)
{
    char **list = cfg->accels->len ? NULL : g_strsplit(options_string(cfg->machine, "accel", "kvm:tcg"), ":", -1);
    unsigned n = list ? g_strv_length(list) : cfg->accels->len;
    GString *reasons = g_string_new(NULL);
    bool ok = false;

    for (unsigned i = 0; i < n && !ok; i++) {
        const char *text = list ? list[i] : g_ptr_array_index(cfg->accels, i);
        GError *why = NULL;

        ok = accel_try(m, text, &why) && (n == 1 || accel_usable(m, &why));
        if (!ok) {
            g_string_append_printf(reasons, "%s%.*s: %s", reasons->len ? "; " : "", (int)strcspn(text, ","), text, why->message);
            /* When none works, the first one's reason is the interesting one. */
            if (err && !*err) {
                g_propagate_error(err, g_steal_pointer(&why));
                error_prefix(err, "-accel %s", text);
            }
            g_clear_error(&why);
        }
    }
    if (ok) {
        g_clear_error(err);
    }
    *why_not = g_string_free(reasons, FALSE);
    g_strfreev(list);
    return ok;
}

/* --- -device --- */

static bool devices_create(struct machine *m, const struct config *cfg, struct networks *networks, GError **err)
{
    bool ok;

    machine_lock(m);
    ok = networks_add_cards(networks, err);
    for (unsigned i = 0; ok && i < cfg->devices->len; i++) {
        const char *text = g_ptr_array_index(cfg->devices, i);

        ok = device_create(m, text, err) || error_prefix(err, "-device %s", text);
    }
    machine_unlock(m);
    return ok;
}

static bool objects_create(struct machine *m, const struct config *cfg, GError **err)
{
    bool ok = true;

    machine_lock(m);
    for (unsigned i = 0; ok && i < cfg->objects->len; i++) {
        const char *text = g_ptr_array_index(cfg->objects, i);

        ok = object_add(m, text, err) != NULL || error_prefix(err, "-object %s", text);
    }
    machine_unlock(m);
    return ok;
}

/* --- the process --- */

static gboolean on_signal(gpointer opaque)
{
    machine_request_shutdown(opaque, SHUTDOWN_SIGNAL);
    return G_SOURCE_CONTINUE;
}

static char *pidfile_path;         /* removed at exit, whatever the exit */

static void pidfile_remove(void)
{
    unlink(pidfile_path);
}

static bool pidfile_write(const char *path, GError **err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char text[32];
    int n = g_snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    /* The descriptor stays open: the lock says that this process lives. */
    if (fd < 0 || fcntl(fd, F_SETLK, &lock) || ftruncate(fd, 0) || write(fd, text, (size_t)n) != n) {
        error_set(err, EMU_ERROR_HOST, "-pidfile %s: %s", path,
                  errno == EAGAIN || errno == EACCES ? "another process holds it" : g_strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    pidfile_path = realpath(path, NULL);
    if (pidfile_path) {
        atexit(pidfile_remove);
    }
    return true;
}

/* The parent waits here until the machine is built, and ends with its result. Returns what the child reports to. */
static int daemon_fork(void)
{
    int fds[2];
    char status = 1;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) || (pid = fork()) < 0) {
        fprintf(stderr, PROGRAM ": -daemonize: %s\n", g_strerror(errno));
        exit(1);
    }
    if (pid == 0) {
        close(fds[0]);
        setsid();
        return fds[1];
    }
    close(fds[1]);
    while (read(fds[0], &status, 1) < 0 && errno == EINTR) {
    }
    _exit(status);
}

static void daemon_ready(int fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (chdir("/") == 0 && null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        close(null);
    }
    if (write(fd, "", 1) == 1) {
        close(fd);
    }
}

/* -machine dump-guest-core=, mem-merge=: advice to the host, only when it was given. */
static void advise_host(struct machine *m, const struct config *cfg)
{
    for (unsigned i = 0; i < m->ram->len; i++) {
        const struct ram_block *b = g_ptr_array_index(m->ram, i);

        if (!options_bool(cfg->machine, "dump-guest-core", true)) {
            madvise(b->host, b->size, MADV_DONTDUMP);
        }
        if (options_has(cfg->machine, "mem-merge")) {
            madvise(b->host, b->size, options_bool(cfg->machine, "mem-merge", false) ? MADV_MERGEABLE : MADV_UNMERGEABLE);
        }
    }
}

/* A misspelt device is told before anything is built. */
static bool devices_known(const struct config *cfg, GError **err)
{
    for (unsigned i = 0; i < cfg->devices->len; i++) {
        const char *text = g_ptr_array_index(cfg->devices, i);

        if (!device_class_of(text, err)) {
            return error_prefix(err, "-device %s", text);
        }
    }
    return true;
}

/* What needs no machine: help texts. */
static void print_and_exit(const struct config *cfg)
{
    const struct device_class *c;
    GError *err = NULL;

    if (cfg->print_device) {
        c = device_class_of(cfg->print_device, &err);
        if (!c) {
            die(err);
        }
        device_class_help(c, stdout);
        exit(0);
    }
    if (cfg->print_object) {
        g_autofree char *name = g_strndup(cfg->print_object, strcspn(cfg->print_object, ","));

        if (!object_type_help(name, stdout, &err)) {
            die(err);
        }
        exit(0);
    }
    if (cfg->print) {
        cfg->print(stdout);
        exit(fflush(stdout) ? 1 : 0);
    }
}

static void say_what_runs(struct machine *m, const char *why_not)
{
    const struct board *b = m->spec.board;

    fprintf(stderr, "emu: %s, %u vCPU%s %s (%s), %" G_GUINT64_FORMAT " MiB, accelerator %s%s%s%s\n", b->alias ? b->alias : b->name,
            m->n_cpus, m->n_cpus == 1 ? "" : "s", !strcmp(b->isa, "x86_64") ? "x86-64" : b->isa, m->cpus[0]->model,
            m->spec.ram_size >> 20, m->accel->name, *why_not ? " (" : "", why_not, *why_not ? ")" : "");
}

static void print_stats(struct machine *m)
{
    GString *s;
    FILE *f;

    if ((log_mask & LOG_JIT_STATS) && m->accel->stats) {
        s = g_string_new(NULL);
        m->accel->stats(m, s);
        f = log_lock();
        fputs(s->str, f);
        fflush(f);
        log_unlock();
        g_string_free(s, TRUE);
    }
}

static bool check_daemon(const struct config *cfg, GError **err)
{
    if (cfg->daemonize && cfg->nographic) {
        return error_set(err, EMU_ERROR_INVALID, "-nographic and -daemonize exclude each other; -display none goes with it");
    }
    if (cfg->daemonize && consoles_use_stdio(cfg)) {
        return error_set(err, EMU_ERROR_INVALID, "-daemonize leaves the terminal: no serial port or monitor can be on stdio");
    }
    return true;
}

int main(int argc, char **argv)
{
    struct config cfg;
    struct consoles *consoles;
    struct displays *displays;
    struct ui *ui;
    struct drives *drives;
    struct networks *networks;
    struct machine *m;
    GError *err = NULL;
    char *why_not = NULL;
    int status, daemon_fd = -1;

    config_init(&cfg);
    if (!builtin_register(&err) || !config_parse(&cfg, argc, argv, &err)) {
        die(err);
    }
    print_and_exit(&cfg);
    if (!check_daemon(&cfg, &err) || !devices_known(&cfg, &err) || (cfg.log_file && !log_set_file(cfg.log_file, &err)) ||
        (cfg.log_items && !log_set_items(cfg.log_items, &err))) {
        die(err);
    }
    signal(SIGPIPE, SIG_IGN);
    if (cfg.daemonize) {
        daemon_fd = daemon_fork();
    }
    m = machine_new();
    m->ui = ui_new();
    m->no_reboot = cfg.no_reboot;
    m->no_shutdown = cfg.no_shutdown;
    if (!spec_fill(&cfg, &m->spec, &err) || !accel_open(m, &cfg, &why_not, &err) || (cfg.pidfile && !pidfile_write(cfg.pidfile, &err)) ||
        !machine_apply(&cfg, m, &err) || !(consoles = consoles_open(&cfg, m, &err)) || !(networks = networks_open(&cfg, m, &err)) || !objects_create(m, &cfg, &err) ||
        !drives_open(m, &cfg, &err) || !machine_build(m, &err) || !displays_add_card(m, &cfg, &err) ||
        !consoles_devices(&cfg, m, &err) || !drives_devices(m, &cfg, &err) ||
        !devices_create(m, &cfg, networks, &err) || !machine_finish(m, &err) ||
        !(displays = displays_open(&cfg, m, &err))) {
        die(err);
    }
    advise_host(m, &cfg);
    g_unix_signal_add(SIGINT, on_signal, m);
    g_unix_signal_add(SIGTERM, on_signal, m);
    g_unix_signal_add(SIGHUP, on_signal, m);
    if (!cfg.quiet) {
        say_what_runs(m, why_not);
    }
    if (daemon_fd >= 0) {
        daemon_ready(daemon_fd);
    }
    machine_lock(m);
    consoles_start(consoles);
    if (!cfg.stopped) {
        machine_start(m);
    }
    machine_unlock(m);
    status = machine_run(m);
    print_stats(m);
    displays_close(displays);
    ui = m->ui;
    drives = m->drives;
    machine_free(m);
    drives_close(drives);
    networks_close(networks);
    consoles_close(consoles);
    ui_free(ui);
    g_free(why_not);
    config_fini(&cfg);
    chardev_restore_terminal();
    return status;
}
