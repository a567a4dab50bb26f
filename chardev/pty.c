/*
 * A pseudo-terminal whose other end somebody may open: pty(7). While nobody has it open, a read or poll of our end tells
 * a hang-up, always; so we do not look at it until inotify(7) says that the other end was opened.
 */
#include "chardev/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <termios.h>
#include <unistd.h>

typedef struct {
    Chardev chr;
    ChardevPtyConf conf;
    ChardevFd fd;
    int master, notify;
    LoopFd *wnotify;
    char *name;           /* of the other end */
    bool linked;
} ChardevPty;

static int pty_write(Chardev *c, const void *buf, int len)
{
    return chardev_fd_write(&((ChardevPty *)c)->fd, buf, len);
}

static void pty_update(Chardev *c)
{
    ChardevPty *p = (ChardevPty *)c;

    if (chardev_is_open(c)) {
        chardev_fd_update(&p->fd);
    }
}

static bool somebody_there(ChardevPty *p)
{
    struct pollfd f = { p->master, POLLIN, 0 };

    return poll(&f, 1, 0) >= 0 && !(f.revents & POLLHUP);
}

static void on_notify(void *opaque, unsigned ready)
{
    ChardevPty *p = opaque;
    char events[4096] __attribute__((aligned(8)));

    while (read(p->notify, events, sizeof(events)) > 0) {
    }
    if (!chardev_is_open(&p->chr) && somebody_there(p)) {
        p->fd.hung = false;
        chardev_opened(&p->chr);
    }
}

static void pty_ended(Chardev *c)
{
    ChardevPty *p = (ChardevPty *)c;

    loop_unwatch(p->fd.win);
    p->fd.win = NULL;
    chardev_closed(c);
    on_notify(p, 0); /* opened again before we looked */
}

static bool open_pty(ChardevPty *p, Error **errp)
{
    struct termios t;
    char name[128];
    int slave = -1;

    p->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (p->master < 0 || grantpt(p->master) < 0 || unlockpt(p->master) < 0 ||
        ptsname_r(p->master, name, sizeof(name)) != 0) {
        return error_set_errno(errp, errno, "Failed to create PTY");
    }
    p->name = q_strdup(name);
    slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC); /* once, so that a hang-up is seen from the start; and raw */
    if (slave < 0 || tcgetattr(slave, &t) < 0) {
        return error_set_errno(errp, errno, "Failed to create PTY");
    }
    cfmakeraw(&t);
    tcsetattr(slave, TCSAFLUSH, &t);
    close(slave);
    p->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (p->notify < 0 || inotify_add_watch(p->notify, name, IN_OPEN) < 0) {
        return error_set_errno(errp, errno, "Could not watch '%s'", name);
    }
    return true;
}

static void pty_unrealize(Object *o)
{
    ChardevPty *p = (ChardevPty *)o;

    loop_unwatch(p->wnotify);
    p->wnotify = NULL;
    if (p->notify >= 0) {
        close(p->notify);
    }
    if (p->linked) {
        unlink(p->conf.path);
        p->linked = false;
    }
    if (p->fd.active) {
        chardev_fd_stop(&p->fd);
    } else if (p->master >= 0) {
        close(p->master);
    }
    p->master = p->notify = -1;
    free(p->name);
    p->name = NULL;
}

static bool pty_realize(Object *o, Error **errp)
{
    ChardevPty *p = (ChardevPty *)o;

    p->master = p->notify = -1;
    if (!open_pty(p, errp)) {
        pty_unrealize(o);
        return false;
    }
    if (p->conf.path) {
        if (symlink(p->name, p->conf.path) < 0) {
            error_set_errno(errp, errno, "Failed to create PTY symlink '%s'", p->conf.path);
            pty_unrealize(o);
            return false;
        }
        p->linked = true;
    }
    p->wnotify = loop_watch(p->chr.ctx->loop, p->notify, LOOP_IN, on_notify, p);
    chardev_fd_start(&p->fd, &p->chr, p->master, p->master, pty_ended);
    return true;
}

static char *pty_filename(Chardev *c)
{
    QBuf b = { 0 };

    qbuf_printf(&b, "pty:%s", ((ChardevPty *)c)->name);
    return qbuf_steal(&b);
}

static int pty_poll_fd(Chardev *c)
{
    return ((ChardevPty *)c)->fd.out;
}

static const ChardevOps pty_ops = {
    .write = pty_write, .update = pty_update, .filename = pty_filename, .poll_fd = pty_poll_fd,
};

const ObjectOps chardev_pty_ops = {
    .size = sizeof(ChardevPty),
    .conf_offset = offsetof(ChardevPty, conf),
    .realize = pty_realize,
    .unrealize = pty_unrealize,
    .iface = &pty_ops,
};
