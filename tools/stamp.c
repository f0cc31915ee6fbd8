/*
 * stamp COMMAND...: runs COMMAND, copies the lines of its standard output with the milliseconds since its start in
 * front ("   1234.567 text"), and ends with a line "stamp: status S wall MS user MS system MS maxrss KB" on standard
 * error. Its own exit status is the command's, or 128 + the signal that ended it. Carriage returns are dropped.
 * For benchmarks and boot tests: the guest prints marks, the host holds the clock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static double tv_ms(struct timeval t)
{
    return t.tv_sec * 1e3 + t.tv_usec / 1e3;
}

/* The time of a line is that of its last byte: firmware may leave a line begun for seconds. */
static void copy_lines(int fd, double start)
{
    char buf[65536], line[8192];
    size_t len = 0;
    for (ssize_t n; (n = read(fd, buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR);) {
        double t = now_ms() - start;
        for (ssize_t i = 0; i < n; i++) {
            if (buf[i] != '\r' && buf[i] != '\n') {
                line[len++] = buf[i];
            }
            if (buf[i] == '\n' || len == sizeof(line)) {
                printf("%11.3f %.*s\n", t, (int)len, line);
                len = 0;
            }
        }
        fflush(stdout);
    }
    if (len) {
        printf("%11.3f %.*s\n", now_ms() - start, (int)len, line);
    }
}

int main(int argc, char **argv)
{
    int fds[2];
    if (argc < 2 || pipe(fds)) {
        fprintf(stderr, "usage: stamp COMMAND...\n");
        return 2;
    }
    double start = now_ms();
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        close(fds[0]);
        close(fds[1]);
        execvp(argv[1], argv + 1);
        fprintf(stderr, "stamp: %s: %s\n", argv[1], strerror(errno));
        _exit(127);
    }
    if (pid < 0) {
        perror("stamp: fork");
        return 2;
    }
    close(fds[1]);
    copy_lines(fds[0], start);
    int status;
    struct rusage use;
    while (wait4(pid, &status, 0, &use) < 0) {
        if (errno != EINTR) {
            perror("stamp: wait4");
            return 2;
        }
    }
    status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    fflush(stdout);
    fprintf(stderr, "stamp: status %d wall %.1f user %.1f system %.1f maxrss %ld\n", status, now_ms() - start,
            tv_ms(use.ru_utime), tv_ms(use.ru_stime), use.ru_maxrss);
    return status;
}
