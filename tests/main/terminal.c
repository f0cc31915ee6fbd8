/*
 * The program on a terminal of its own: console, monitor and keys, every way out, and the terminal as it was after each.
 * The guest is 13 bytes of our own in an ELF file with a PVH note: it prints '!' and halts.
 */
#include <criterion/criterion.h>
#include <elf.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* mov edx,0x3f8; mov al,'!'; out dx,al; cli; hlt; jmp hlt */
static const uint8_t prints_and_halts[] = { 0xba, 0xf8, 3, 0, 0, 0xb0, '!', 0xee, 0xfa, 0xf4, 0xeb, 0xfd };
/* lidt [esp-less null table]: lidt [0x100100] (zeros: limit 0); int3 -> triple fault */
static const uint8_t triple_faults[] = { 0x0f, 0x01, 0x1d, 0x00, 0x01, 0x10, 0x00, 0xcc };
/* mov edx,0x501; mov al,5; out dx,al; hlt; jmp hlt */
static const uint8_t debug_exits[] = { 0xba, 1, 5, 0, 0, 0xb0, 5, 0xee, 0xf4, 0xeb, 0xfd };

static char dir[] = "/tmp/emu-term-XXXXXX";

static char *make_kernel(const char *name, const uint8_t *code, size_t len)
{
    enum { NOTE = 0x200, CODE = 0x1000, LOAD = 0x100000, ROOM = 0x200 };
    struct { Elf32_Nhdr n; char owner[4]; uint32_t entry; } note = { { 4, 4, 18 }, "Xen", LOAD };
    Elf32_Ehdr eh = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_EXEC, .e_machine = EM_386,
                      .e_version = 1, .e_entry = LOAD, .e_phoff = sizeof(eh), .e_ehsize = sizeof(eh),
                      .e_phentsize = sizeof(Elf32_Phdr), .e_phnum = 2 };
    Elf32_Phdr ph[2] = { { PT_LOAD, CODE, LOAD, LOAD, ROOM, ROOM, PF_R | PF_W | PF_X, 0x1000 },
                         { PT_NOTE, NOTE, 0, 0, sizeof(note), sizeof(note), PF_R, 4 } };
    char *path = g_build_filename(dir, name, NULL), file[CODE + ROOM] = { 0 };

    memcpy(file, &eh, sizeof(eh));
    memcpy(file + sizeof(eh), ph, sizeof(ph));
    memcpy(file + NOTE, &note, sizeof(note));
    memcpy(file + CODE, code, len);
    cr_assert(g_file_set_contents(path, file, sizeof(file), NULL));
    return path;
}

struct run {
    pid_t pid;
    int fd;
    GString *seen;
    struct termios before;
};

static struct run *start(const char *kernel, const char *args)
{
    struct run *r = g_new0(struct run, 1);
    const char *emu = getenv("EMU");
    char *line = g_strdup_printf("%s -kernel %s %s", emu, kernel, args), **argv = NULL;

    cr_assert_not_null(emu, "EMU names the program");
    cr_assert(g_shell_parse_argv(line, NULL, &argv, NULL));
    r->seen = g_string_new(NULL);
    r->fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    cr_assert(r->fd >= 0 && !grantpt(r->fd) && !unlockpt(r->fd));
    cr_assert_eq(tcgetattr(r->fd, &r->before), 0);
    r->pid = fork();
    if (r->pid == 0) {
        int slave;

        setsid();
        slave = open(ptsname(r->fd), O_RDWR);
        dup2(slave, 0);
        dup2(slave, 1);
        dup2(slave, 2);
        execv(argv[0], argv);
        _exit(127);
    }
    return r;
}

static bool wait_for(struct run *r, const char *text)
{
    struct pollfd p = { .fd = r->fd, .events = POLLIN };
    gint64 end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
    char buf[4096], *at;
    ssize_t n;

    for (;;) {
        at = strstr(r->seen->str, text);
        if (at) {
            g_string_erase(r->seen, 0, at - r->seen->str + (gssize)strlen(text));
            return true;
        }
        if (g_get_monotonic_time() > end || poll(&p, 1, 10000) <= 0 || (n = read(r->fd, buf, sizeof(buf))) <= 0) {
            return false;
        }
        g_string_append_len(r->seen, buf, n);
    }
}

static void type(struct run *r, const char *keys)
{
    cr_assert_eq(write(r->fd, keys, strlen(keys)), (ssize_t)strlen(keys));
}

/* Waits for the end; the terminal must be as it was. */
static void ends(struct run *r, int status)
{
    struct termios after;
    int got = -1;
    pid_t p = 0;

    for (unsigned i = 0; i < 1000 && p == 0; i++) {
        char buf[4096];
        struct pollfd f = { .fd = r->fd, .events = POLLIN };

        if (poll(&f, 1, 0) > 0 && (f.revents & POLLIN)) {
            ssize_t n = read(r->fd, buf, sizeof(buf));

            g_string_append_len(r->seen, buf, n > 0 ? n : 0);
        }
        p = waitpid(r->pid, &got, WNOHANG);
        if (p == 0) {
            g_usleep(10000);
        }
    }
    if (p == 0) {
        kill(r->pid, SIGKILL);
        waitpid(r->pid, &got, 0);
        cr_assert(false, "still running after 10 seconds: %s", r->seen->str);
    }
    cr_expect(WIFEXITED(got) && WEXITSTATUS(got) == status, "status 0x%x, expected %d: %s", got, status, r->seen->str);
    cr_assert_eq(tcgetattr(r->fd, &after), 0);
    cr_expect(after.c_lflag == r->before.c_lflag && after.c_iflag == r->before.c_iflag && after.c_oflag == r->before.c_oflag &&
              after.c_cflag == r->before.c_cflag, "the terminal is not as it was");
    close(r->fd);
}

static char *halts;

static void setup(void)
{
    cr_assert_not_null(mkdtemp(dir));
    halts = make_kernel("halts", prints_and_halts, sizeof(prints_and_halts));
}

static void teardown(void)
{
    char *command = g_strdup_printf("rm -rf %s", dir);

    cr_expect_eq(system(command), 0);
}

TestSuite(terminal, .init = setup, .fini = teardown, .timeout = 120);

Test(terminal, start_line_console_and_monitor)
{
    struct run *r = start(halts, "-nographic -m 64M -smp 2 -name t1");

    cr_expect(wait_for(r, "emu: pc, 2 vCPUs x86-64 (max), 64 MiB, accelerator tcg"));
    cr_expect(wait_for(r, "!"));
    type(r, "\1h");
    cr_expect(wait_for(r, "C-a x"));
    type(r, "\1c");
    cr_expect(wait_for(r, "(qemu) "));
    type(r, "info status\r");
    cr_expect(wait_for(r, "VM status: running"));
    type(r, "x/2i $pc\r");
    cr_expect(wait_for(r, "jmp"), "%s", r->seen->str);
    type(r, "info registers\r");
    cr_expect(wait_for(r, "RIP"), "%s", r->seen->str);
    type(r, "info mtree\r");
    cr_expect(wait_for(r, "flat view of I/O"));
    type(r, "stop\rinfo status\r");
    cr_expect(wait_for(r, "VM status: paused"));
    type(r, "cont\rsystem_reset\r");
    cr_expect(wait_for(r, "!"), "it starts again");
    type(r, "quit\r");
    ends(r, 0);
}

Test(terminal, every_way_out)
{
    struct run *r = start(halts, "-nographic -quiet");

    cr_expect(wait_for(r, "!"));
    cr_expect_null(strstr(r->seen->str, "emu:"));
    type(r, "\1x");
    ends(r, 0);
    for (unsigned i = 0; i < 3; i++) {
        static const int signals[] = { SIGTERM, SIGINT, SIGHUP };

        r = start(halts, "-serial stdio -smp 4");
        cr_expect(wait_for(r, "!"));
        kill(r->pid, signals[i]);
        ends(r, 0);
    }
    r = start(halts, "-serial mon:stdio -S");
    cr_expect(wait_for(r, "accelerator"));
    type(r, "\3\1x");                    /* Ctrl-C is the guest's here */
    ends(r, 0);
    r = start(halts, "-serial none -monitor stdio -no-reboot");
    cr_expect(wait_for(r, "(qemu) "));
    type(r, "system_reset\n");
    ends(r, 0);
    r = start("/nowhere", "-nographic");
    cr_expect(wait_for(r, "emu-system-x86_64: "));
    ends(r, 1);
}

Test(terminal, triple_fault_and_debug_exit)
{
    char *triple = make_kernel("triple", triple_faults, sizeof(triple_faults));
    char *debug = make_kernel("debug", debug_exits, sizeof(debug_exits));
    struct run *r = start(triple, "-nographic -no-reboot");

    cr_expect(wait_for(r, "triple fault"));
    ends(r, 0);
    r = start(triple, "-nographic");      /* resets again and again */
    cr_expect(wait_for(r, "accelerator"));
    g_usleep(200000);
    type(r, "\1x");
    ends(r, 0);
    r = start(debug, "-nographic -device isa-debug-exit");
    ends(r, 11);
    r = start(triple, "-nographic -no-reboot -no-shutdown");
    cr_expect(wait_for(r, "triple fault"));
    type(r, "\1cinfo status\r");
    cr_expect(wait_for(r, "paused (shutdown)"));
    type(r, "q\r");
    ends(r, 0);
}

Test(terminal, idle_costs_nothing)
{
    struct run *r = start(halts, "-nographic -smp 2");
    char path[64], *stat = NULL, *at;
    unsigned long user = 0, system_time = 0, sum[2];

    cr_expect(wait_for(r, "!"));
    g_snprintf(path, sizeof(path), "/proc/%d/stat", (int)r->pid);
    for (unsigned i = 0; i < 2; i++) {
        g_usleep(300000 + 1000000 * i);
        cr_assert(g_file_get_contents(path, &stat, NULL, NULL));
        at = strrchr(stat, ')');
        sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system_time);
        sum[i] = user + system_time;
    }
    cr_expect_leq(sum[1] - sum[0], 3, "%lu ticks of 100 in a second", sum[1] - sum[0]);
    type(r, "\1x");
    ends(r, 0);
}

Test(terminal, monitor_on_a_socket)
{
    char *path = g_build_filename(dir, "mon", NULL), *args = g_strdup_printf("-display none -monitor unix:%s,server,nowait", path);
    struct run *r = start(halts, args);
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    char buf[4096];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    GString *s = g_string_new(NULL);
    ssize_t n;

    strcpy(sa.sun_path, path);
    cr_expect(wait_for(r, "accelerator"));
    cr_assert_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    cr_assert_eq(write(fd, "info name\nquit\n", 15), 15);
    while ((n = read(fd, buf, sizeof(buf))) > 0) {
        g_string_append_len(s, buf, n);
    }
    cr_expect(strstr(s->str, "(qemu) "));
    ends(r, 0);
    cr_expect_neq(g_access(path, F_OK), 0);
}

Test(terminal, daemon)
{
    char *pidfile = g_build_filename(dir, "pid", NULL), *text = NULL;
    char *args = g_strdup_printf("-daemonize -display none -serial file:%s/out -pidfile %s", dir, pidfile);
    struct run *r = start(halts, args);
    pid_t pid;

    ends(r, 0);
    cr_assert(g_file_get_contents(pidfile, &text, NULL, NULL), "the parent ends when the machine is built");
    pid = (pid_t)atoi(text);
    cr_assert(pid > 1 && kill(pid, 0) == 0);
    r = start(halts, args);
    cr_expect(wait_for(r, "another process holds it"));
    ends(r, 1);
    kill(pid, SIGTERM);
    for (unsigned i = 0; i < 500 && g_access(pidfile, F_OK) == 0; i++) {
        g_usleep(10000);
    }
    cr_expect_neq(g_access(pidfile, F_OK), 0, "the file is removed");
    r = start("/nowhere", args);
    cr_expect(wait_for(r, "emu-system-x86_64: "));
    ends(r, 1);
}
