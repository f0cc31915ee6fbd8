/* Back ends over real descriptors, flow control, and the multiplexer. */
#include "chardev/chardev.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

struct front {
    GString *got;
    size_t room;
    unsigned opened, closed, breaks, writable;
};

static size_t can_take(void *opaque)
{
    return ((struct front *)opaque)->room;
}

static void take(void *opaque, const uint8_t *buf, size_t len)
{
    struct front *f = opaque;

    cr_assert_leq(len, f->room);
    f->room -= len;
    g_string_append_len(f->got, (const char *)buf, (gssize)len);
}

static void event(void *opaque, enum chardev_event e)
{
    struct front *f = opaque;

    f->opened += e == CHARDEV_OPENED;
    f->closed += e == CHARDEV_CLOSED;
    f->breaks += e == CHARDEV_BREAK;
}

static void writable(void *opaque)
{
    ((struct front *)opaque)->writable++;
}

static void attach(struct chardev *c, struct front *f, size_t room)
{
    struct chardev_port port = { .can_take = can_take, .take = take, .event = event, .writable = writable, .opaque = f };

    *f = (struct front){ .got = g_string_new(NULL), .room = room };
    chardev_attach(c, &port);
}

static void spin(void)
{
    for (unsigned i = 0; i < 20; i++) {
        g_usleep(500);
        while (g_main_context_iteration(NULL, FALSE)) {
        }
    }
}

static struct chardev *open_ok(const char *spec)
{
    GError *err = NULL;
    struct chardev *c = chardev_open(spec, &err);

    cr_assert_not_null(c, "%s", err ? err->message : "");
    return c;
}

Test(chardev, file_is_written)
{
    char path[] = "/tmp/emu-chr-XXXXXX", *spec, *text;
    struct chardev *c;

    close(mkstemp(path));
    spec = g_strdup_printf("file:%s", path);
    c = open_ok(spec);
    cr_expect_eq(chardev_write(c, "hello", 5), 5);
    chardev_close(c);
    cr_assert(g_file_get_contents(path, &text, NULL, NULL));
    cr_expect_str_eq(text, "hello");
    g_unlink(path);
}

Test(chardev, null_swallows)
{
    struct chardev *c = open_ok("null");

    cr_expect_eq(chardev_write(c, "x", 1), 1);
    cr_expect_not(chardev_connected(c));
    chardev_close(c);
    chardev_close(NULL);
}

Test(chardev, mistakes_are_named)
{
    static const struct { const char *spec, *expect; } rows[] = {
        { "stdoi", "unknown character device 'stdoi', did you mean 'stdio'?" },
        { "file", "character device 'file': 'file' needs a path: file:path" },
        { "file:/nowhere/x", "character device 'file:/nowhere/x': cannot write '/nowhere/x': No such file or directory" },
        { "unix:/nowhere/s", "character device 'unix:/nowhere/s': Failed to connect to '/nowhere/s': No such file or directory" },
        { "unix:/x,sever=on", "character device 'unix:/x,sever=on': unknown option 'sever', did you mean 'server'?" },
        { "udp::44", "not supported: character device 'udp'" },
        { "tcp:localhost", "character device 'tcp:localhost': 'localhost' is not [HOST]:PORT" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        GError *err = NULL;

        cr_expect_null(chardev_open(rows[i].spec, &err), "%s", rows[i].spec);
        cr_expect(err && !strcmp(err->message, rows[i].expect), "%s", err ? err->message : "no error");
        g_clear_error(&err);
    }
}

Test(chardev, pipe_input_waits_for_room)
{
    int fds[2];
    char spec[64];
    struct front f;
    struct chardev *c;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    g_snprintf(spec, sizeof(spec), "fd:%d", fds[0]);
    c = open_ok(spec);
    attach(c, &f, 3);
    cr_expect_eq(f.opened, 1);
    cr_assert_eq(write(fds[1], "abcdef", 6), 6);
    spin();
    cr_expect_str_eq(f.got->str, "abc");
    f.room = 2;
    spin();
    cr_expect_str_eq(f.got->str, "abc", "nothing without a kick");
    chardev_kick_input(c);
    spin();
    cr_expect_str_eq(f.got->str, "abcde");
    chardev_close(c);
}

Test(chardev, output_never_blocks)
{
    static const char block[65536];
    int fds[2];
    char spec[64], buf[65536];
    size_t n, total = 0;
    struct front f;
    struct chardev *c;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    g_snprintf(spec, sizeof(spec), "fd:%d", fds[0]);
    c = open_ok(spec);
    attach(c, &f, 0);
    do {
        n = chardev_write(c, block, sizeof(block));
        total += n;
    } while (n == sizeof(block) && total < 100000000);
    cr_assert_lt(total, 100000000, "a full socket takes no more");
    spin();
    cr_expect_eq(f.writable, 0);
    while (recv(fds[1], buf, sizeof(buf), MSG_DONTWAIT) > 0) {
    }
    spin();
    cr_expect_eq(f.writable, 1);
    cr_expect_eq(chardev_write(c, "x", 1), 1);
    chardev_close(c);
}

static int client(const char *path)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(sa.sun_path, path);
    cr_assert_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return fd;
}

Test(chardev, unix_server_serves_one_after_the_other)
{
    char dir[] = "/tmp/emu-chr-XXXXXX", *path, *spec, buf[16];
    struct front f;
    struct chardev *c;
    int fd;

    cr_assert_not_null(mkdtemp(dir));
    path = g_build_filename(dir, "s", NULL);
    for (unsigned old = 0; old < 2; old++) {
        spec = g_strdup_printf("unix:%s,%s", path, old ? "server,nowait" : "server=on,wait=off");
        c = open_ok(spec);
        attach(c, &f, 100);
        cr_expect_eq(f.opened, 0);
        cr_expect_eq(chardev_write(c, "lost", 4), 4);
        for (unsigned i = 1; i <= 2; i++) {
            fd = client(path);
            spin();
            cr_expect_eq(f.opened, i);
            cr_assert_eq(write(fd, "in", 2), 2);
            spin();
            cr_expect_eq(chardev_write(c, "out", 3), 3);
            cr_expect_eq(read(fd, buf, sizeof(buf)), 3);
            close(fd);
            spin();
            cr_expect_eq(f.closed, i);
        }
        cr_expect_str_eq(f.got->str, "inin");
        chardev_close(c);
        cr_expect_neq(g_access(path, F_OK), 0, "the socket file is gone");
    }
    g_rmdir(dir);
}

Test(chardev, tcp_client_and_server)
{
    struct front a, b;
    struct chardev *s = NULL, *c;
    char spec[64];

    for (unsigned port = 20000 + (unsigned)getpid() % 20000; !s; port++) {
        g_snprintf(spec, sizeof(spec), "tcp:127.0.0.1:%u,server=on,wait=off", port);
        s = chardev_open(spec, NULL);
    }
    *strchr(spec, ',') = 0;
    attach(s, &a, 100);
    c = open_ok(spec);
    attach(c, &b, 100);
    spin();
    chardev_write(c, "ping", 4);
    spin();
    chardev_write(s, "pong", 4);
    spin();
    cr_expect_str_eq(a.got->str, "ping");
    cr_expect_str_eq(b.got->str, "pong");
    chardev_close(c);
    spin();
    cr_expect_eq(a.closed, 1);
    chardev_close(s);
}

Test(chardev, pty_is_connected_while_somebody_has_it_open)
{
    struct chardev *c = open_ok("pty");
    struct front f;
    char buf[8];
    int fd;

    cr_assert(g_str_has_prefix(chardev_name(c), "pty:/dev/"));
    attach(c, &f, 100);
    cr_expect_eq(chardev_write(c, "lost", 4), 4);
    spin();
    fd = open(chardev_name(c) + 4, O_RDWR | O_NOCTTY);
    cr_assert_geq(fd, 0);
    for (unsigned i = 0; i < 200 && !f.opened; i++) {
        spin();
    }
    cr_expect_eq(f.opened, 1);
    cr_assert_eq(write(fd, "in\r", 3), 3);
    spin();
    cr_expect_str_eq(f.got->str, "in\r", "the pty is raw");
    chardev_write(c, "out", 3);
    cr_expect_eq(read(fd, buf, 8), 3);
    close(fd);
    for (unsigned i = 0; i < 200 && !f.closed; i++) {
        spin();
    }
    cr_expect_eq(f.closed, 1);
    chardev_close(c);
}

static void count(void *opaque)
{
    ++*(unsigned *)opaque;
}

Test(chardev, mux_keys)
{
    struct chardev *host, *user, *serial, *mon;
    struct front u, s, q;
    struct chardev_mux *m;
    unsigned quits = 0;

    chardev_pair(&host, &user);
    attach(user, &u, 100000);
    m = chardev_mux_new(host, count, &quits);
    serial = chardev_mux_add(m, "serial0");
    mon = chardev_mux_add(m, "monitor");
    attach(serial, &s, 100);
    attach(mon, &q, 100);
    cr_expect(s.opened == 1 && q.opened == 0);
    chardev_write(user, "ab", 2);
    cr_expect_str_eq(s.got->str, "ab");
    chardev_write(user, "\1\1c\1", 4);
    chardev_write(user, "cd", 2);
    cr_expect_str_eq(s.got->str, "ab\1c");
    cr_expect_str_eq(q.got->str, "d");
    cr_expect_eq(q.opened, 1);
    chardev_write(user, "\1b\1c\1b", 6);
    cr_expect(q.breaks == 1 && s.breaks == 1 && s.opened == 2);
    chardev_write(user, "\1x", 2);
    cr_expect_eq(quits, 1);
    chardev_write(user, "\1h", 2);
    cr_expect(strstr(u.got->str, "C-a x    end the emulator"));
    g_string_truncate(u.got, 0);
    chardev_write(serial, "S", 1);
    chardev_write(mon, "M", 1);
    cr_expect_str_eq(u.got->str, "SM");
    s.room = 1;
    chardev_write(user, "123", 3);
    chardev_write(user, "\1x", 2);
    cr_expect_eq(quits, 2, "the escape key works while the guest takes nothing");
    cr_expect_str_eq(s.got->str, "ab\1c1");
    s.room = 9;
    chardev_kick_input(serial);
    cr_expect_str_eq(s.got->str, "ab\1c123");
    s.room = 1;
    chardev_write(user, "xyz\1c\1c", 7);
    s.room = 9;
    chardev_kick_input(serial);
    cr_expect_str_eq(s.got->str, "ab\1c123xyz", "what was typed waits for its front");
    chardev_mux_set_escape(m, 2);
    chardev_write(user, "\1x\2x", 4);
    cr_expect_eq(quits, 3);
    chardev_mux_free(m);
    cr_expect_eq(u.closed, 1);
    chardev_close(user);
}

/* A child process with a terminal of its own: however it ends, the terminal is as it was. */
static void terminal_case(int how)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY), status, ready[2];
    struct termios before, during, after;
    pid_t pid;

    cr_assert(master >= 0 && !grantpt(master) && !unlockpt(master) && !pipe(ready));
    pid = fork();
    if (pid == 0) {
        int slave;

        setsid();
        slave = open(ptsname(master), O_RDWR);
        dup2(slave, 0);
        dup2(slave, 1);
        tcgetattr(0, &before);
        if (write(ready[1], &before, sizeof(before)) < 0 || !chardev_open(how == 3 ? "stdio,signal=off" : "stdio", NULL)) {
            _exit(1);
        }
        tcgetattr(0, &during);
        if (write(ready[1], &during, sizeof(during)) < 0) {
            _exit(1);
        }
        if (how == 1) {
            abort();
        }
        if (how == 2) {
            raise(SIGSEGV);
        }
        exit(0);
    }
    cr_assert_eq(read(ready[0], &before, sizeof(before)), sizeof(before));
    cr_assert_eq(read(ready[0], &during, sizeof(during)), sizeof(during));
    cr_expect_not(during.c_lflag & (ICANON | ECHO));
    cr_expect_eq(!(during.c_lflag & ISIG), how == 3);
    cr_expect(during.c_oflag & OPOST);
    waitpid(pid, &status, 0);
    cr_assert_eq(tcgetattr(master, &after), 0);
    cr_expect_eq(memcmp(&before.c_lflag, &after.c_lflag, sizeof(before.c_lflag)), 0);
    cr_expect_eq(before.c_iflag, after.c_iflag);
    cr_expect_eq(WIFSIGNALED(status), how == 1 || how == 2);
}

Test(chardev, terminal_is_put_back)
{
    for (int how = 0; how < 4; how++) {
#ifdef CONFIG_SANITIZE
        if (how == 1 || how == 2) {
            continue;                        /* the sanitizer has these signals */
        }
#endif
        terminal_case(how);
    }
}
