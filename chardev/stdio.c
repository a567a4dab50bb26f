/*
 * Standard input and output.
 *
 * A terminal is a thing of the whole process, and must be as we found it when we end, however that
 * happens; so what is to be put back is kept in file-scope variables, and a signal or exit() finds it there.
 */
#include "chardev/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

typedef struct {
    Chardev chr;
    ChardevStdioConf conf;
    ChardevFd fd;
} ChardevStdio;

/* ---- What to put back ---- */

static struct termios saved_tty, raw_tty;
static int saved_flags[2];
static volatile sig_atomic_t in_use, tty_changed;
static bool at_exit_done;

static void put_back(void)
{
    int saved_errno = errno;

    if (in_use) {
        in_use = 0;
        if (tty_changed) {
            tty_changed = 0;
            tcsetattr(0, TCSANOW, &saved_tty);
        }
        fcntl(0, F_SETFL, saved_flags[0]);
        fcntl(1, F_SETFL, saved_flags[1]);
    }
    errno = saved_errno;
}

/* Back from a stop (Ctrl-Z, which gave the shell its own modes): ours again. */
static void on_cont(int signal_number)
{
    int saved_errno = errno;

    if (in_use && tty_changed) {
        tcsetattr(0, TCSANOW, &raw_tty);
    }
    errno = saved_errno;
}

/* A crash: the terminal, then the signal's own effect. */
static void on_crash(int signal_number)
{
    put_back();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void catch_signals(void)
{
    static const int crashes[] = { SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
    struct sigaction act = { .sa_handler = on_cont, .sa_flags = SA_RESTART }, old;

    sigaction(SIGCONT, &act, NULL);
    act.sa_handler = on_crash;
    for (size_t i = 0; i < sizeof(crashes) / sizeof(*crashes); i++) {
        if (!sigaction(crashes[i], NULL, &old) && old.sa_handler == SIG_DFL) {
            sigaction(crashes[i], &act, NULL);
        }
    }
}

/* POSIX termios(3), raw mode: no echo, no lines, no translation but of output, so that other output stays readable. */
static void go_raw(bool signals)
{
    raw_tty = saved_tty;
    raw_tty.c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw_tty.c_oflag |= OPOST;
    raw_tty.c_lflag &= ~(ECHO | ECHONL | ICANON | IEXTEN);
    if (!signals) {
        raw_tty.c_lflag &= ~ISIG;
    }
    raw_tty.c_cflag &= ~(CSIZE | PARENB);
    raw_tty.c_cflag |= CS8;
    raw_tty.c_cc[VMIN] = 1;
    raw_tty.c_cc[VTIME] = 0;
    tty_changed = 1;
    tcsetattr(0, TCSANOW, &raw_tty);
}

/* ---- The chardev ---- */

static int stdio_write(Chardev *c, const void *buf, int len)
{
    return chardev_fd_write(&((ChardevStdio *)c)->fd, buf, len);
}

static void stdio_update(Chardev *c)
{
    chardev_fd_update(&((ChardevStdio *)c)->fd);
}

/* End of input. It can be written to all the same: what was asked before is still to be answered. */
static void stdio_ended(Chardev *c)
{
    ChardevStdio *s = (ChardevStdio *)c;

    loop_unwatch(s->fd.win);
    s->fd.win = NULL;
    s->fd.in = -1;
}

static bool stdio_realize(Object *o, Error **errp)
{
    ChardevStdio *s = (ChardevStdio *)o;

    if (in_use) {
        return error_set(errp, "cannot use stdio by multiple character devices");
    }
    saved_flags[0] = fcntl(0, F_GETFL);
    saved_flags[1] = fcntl(1, F_GETFL);
    if (saved_flags[0] < 0 || saved_flags[1] < 0) {
        return error_set_errno(errp, errno, "standard input and output are not open");
    }
    if (!chardev_fd_nonblock(0, errp) || !chardev_fd_nonblock(1, errp)) {
        return false;
    }
    in_use = 1;
    if (!at_exit_done) {
        at_exit_done = true;
        atexit(put_back);
    }
    if (isatty(0) && tcgetattr(0, &saved_tty) == 0) {
        catch_signals();
        go_raw(s->conf.signal);
    }
    chardev_fd_start(&s->fd, &s->chr, 0, 1, stdio_ended);
    chardev_opened(&s->chr);
    return true;
}

/* The descriptors stay open: they are the process's. */
static void stdio_unrealize(Object *o)
{
    ChardevStdio *s = (ChardevStdio *)o;

    chardev_flush(&s->chr);
    mutex_lock(&s->chr.lock);
    s->fd.in = s->fd.out = -1;
    mutex_unlock(&s->chr.lock);
    chardev_fd_stop(&s->fd);
    put_back();
}

static int stdio_poll_fd(Chardev *c)
{
    return ((ChardevStdio *)c)->fd.out;
}

static const ChardevOps stdio_ops = { .write = stdio_write, .update = stdio_update, .poll_fd = stdio_poll_fd };

const ObjectOps chardev_stdio_ops = {
    .size = sizeof(ChardevStdio),
    .conf_offset = offsetof(ChardevStdio, conf),
    .realize = stdio_realize,
    .unrealize = stdio_unrealize,
    .iface = &stdio_ops,
};
