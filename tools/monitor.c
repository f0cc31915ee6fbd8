/*
 * Says lines to a monitor on a UNIX socket, one after each prompt, and prints what comes back: for tests.
 * Usage: monitor SOCKET COMMAND...
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Up to the next prompt; the answer goes to stdout. 0: the other side has gone. */
static int answer(int fd)
{
    static const char prompt[] = "(qemu) ";
    size_t matched = 0;
    char c;

    while (matched < sizeof(prompt) - 1) {
        if (read(fd, &c, 1) != 1) {
            return 0;
        }
        matched = c == prompt[matched] ? matched + 1 : c == prompt[0];
        if (c != '\r') {
            putchar(c);
        }
    }
    putchar('\n');
    return 1;
}

int main(int argc, char **argv)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (argc < 2 || strlen(argv[1]) >= sizeof(a.sun_path)) {
        fprintf(stderr, "usage: monitor SOCKET COMMAND...\n");
        return 2;
    }
    strcpy(a.sun_path, argv[1]);
    for (int tries = 50; connect(fd, (struct sockaddr *)&a, sizeof(a)); tries--) {
        if (!tries) {
            perror(argv[1]);
            return 1;
        }
        usleep(100000);
    }
    answer(fd);
    for (int i = 2; i < argc; i++) {
        if (write(fd, argv[i], strlen(argv[i])) < 0 || write(fd, "\n", 1) < 0 || !answer(fd)) {
            return 1;
        }
    }
    return 0;
}
