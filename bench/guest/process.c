/*
 * process fork|exec|pipe|switch COUNT: what an operating system does for its programs, COUNT times: fork and wait for
 * a child that ends at once; the same with an exec of this program; a byte through a pipe to itself; a byte through
 * two pipes to another process and back. Built statically, run in the guest by bench/run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void need(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static void children(const char *self, long count, int exec)
{
    for (long i = 0; i < count; i++) {
        pid_t pid = fork();
        need(pid >= 0, "fork");
        if (pid == 0) {
            if (exec) {
                execl(self, self, "nothing", "0", (char *)NULL);
            }
            _exit(exec ? 1 : 0);
        }
        int status;
        need(waitpid(pid, &status, 0) == pid && status == 0, "child");
    }
}

static void to_self(long count)
{
    int fd[2];
    char c = 0;
    need(!pipe(fd), "pipe");
    for (long i = 0; i < count; i++) {
        need(write(fd[1], &c, 1) == 1 && read(fd[0], &c, 1) == 1, "pipe");
    }
}

static void to_other(long count)
{
    int there[2], back[2];
    char c = 0;
    need(!pipe(there) && !pipe(back), "pipe");
    pid_t pid = fork();
    need(pid >= 0, "fork");
    if (pid == 0) {
        close(there[1]);
        while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1) {
        }
        _exit(0);
    }
    close(there[0]);
    for (long i = 0; i < count; i++) {
        need(write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1, "pipe");
    }
    close(there[1]);
    waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        return 2;
    }
    long count = atol(argv[2]);
    if (!strcmp(argv[1], "fork")) {
        children(argv[0], count, 0);
    } else if (!strcmp(argv[1], "exec")) {
        children(argv[0], count, 1);
    } else if (!strcmp(argv[1], "pipe")) {
        to_self(count);
    } else if (!strcmp(argv[1], "switch")) {
        to_other(count);
    } else {
        return strcmp(argv[1], "nothing") != 0;
    }
    return 0;
}
