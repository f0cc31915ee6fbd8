/*
 * The user's terminal: raw while the emulator has it, put back however the process ends.
 *
 * Its settings are process-wide, and so is what is kept here: signal handlers and atexit() have no argument.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "chardev/chardev_priv.h"

static struct termios terminal_saved, terminal_ours;
static volatile sig_atomic_t terminal_is_raw;

void chardev_restore_terminal(void)
{
    if (terminal_is_raw) {
        terminal_is_raw = 0;
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal_saved);
    }
}

/* In the background the terminal belongs to somebody else; touching it would stop us. One that controls no session of ours
   (a program's pseudo-terminal, a container's) has no foreground and is ours. */
static bool in_background(void)
{
    pid_t foreground = tcgetpgrp(STDIN_FILENO);

    return foreground >= 0 && foreground != getpgrp();
}

static void on_fatal(int sig)
{
    chardev_restore_terminal();
    signal(sig, SIG_DFL);
    raise(sig);
}

/* After Ctrl-Z and fg the shell has set its own modes. */
static void on_continue(int sig)
{
    int saved = errno;

    (void)sig;
    if (terminal_is_raw && !in_background()) {
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal_ours);
    }
    errno = saved;
}

bool terminal_raw(bool signals)
{
    static const int fatal[] = { SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGQUIT, SIGTRAP, SIGSYS, SIGXCPU,
                                 SIGINT, SIGTERM, SIGHUP };
    struct sigaction old, now = { .sa_handler = on_fatal, .sa_flags = SA_NODEFER };

    if (in_background() || tcgetattr(STDIN_FILENO, &terminal_saved)) {
        return false;
    }
    terminal_ours = terminal_saved;
    terminal_ours.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    terminal_ours.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | (signals ? 0 : ISIG));
    terminal_ours.c_cflag = (terminal_ours.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    terminal_ours.c_cc[VMIN] = 1;
    terminal_ours.c_cc[VTIME] = 0;
    /* Output processing stays on: our own messages on the same terminal need it. */
    atexit(chardev_restore_terminal);
    for (unsigned i = 0; i < G_N_ELEMENTS(fatal); i++) {
        if (sigaction(fatal[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL) {
            sigaction(fatal[i], &now, NULL);
        }
    }
    now.sa_handler = on_continue;
    now.sa_flags = SA_RESTART;
    sigaction(SIGCONT, &now, NULL);
    terminal_is_raw = 1;
    return tcsetattr(STDIN_FILENO, TCSANOW, &terminal_ours) == 0;
}
