/* A pair of file descriptors as the two directions of a chardev. See chardev/internal.h. */
#include "chardev/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

bool chardev_fd_nonblock(int fd, Error **errp)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return error_set_errno(errp, errno, "Could not make descriptor %d non-blocking", fd);
    }
    return true;
}

enum { PEER_SHUT = 0x2000 }; /* poll(2)'s POLLRDHUP: the peer of a socket writes no more */

/* The other end is gone, and nothing more can be written; what is left to read is read as there is room. */
static void hung_up(ChardevFd *f)
{
    f->hung = true;
    chardev_fd_update(f);
    if (f->hung_up) {
        f->hung_up(f->chr);
    }
}

static void ended(ChardevFd *f)
{
    if (f->ended) {
        f->ended(f->chr);
    }
}

static void read_some(ChardevFd *f)
{
    uint8_t buf[4096];
    int room = chardev_room(f->chr), n;

    if (room <= 0) {
        chardev_fd_update(f);
        return;
    }
    room = room < (int)sizeof(buf) ? room : (int)sizeof(buf);
    n = f->read ? f->read(f->chr, buf, room) : (int)read(f->in, buf, room);
    if (n > 0) {
        if (f->received) {
            f->received(f->chr, buf, n);
        } else {
            chardev_received(f->chr, buf, n);
        }
        if (f->active) {
            chardev_fd_update(f);
        }
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        ended(f);
    }
}

static void on_in(void *opaque, unsigned ready)
{
    ChardevFd *f = opaque;

    if ((ready & LOOP_OUT) && f->in == f->out) {
        chardev_writable(f->chr);
    }
    if (!f->active || !f->win) {
        return; /* whoever waited for room has closed it */
    }
    if (f->in_events & LOOP_IN) {
        if (ready & (LOOP_IN | LOOP_HUP | LOOP_ERR)) {
            read_some(f);
        }
    } else if (ready & (LOOP_HUP | LOOP_ERR | PEER_SHUT)) {
        hung_up(f);
    }
}

static void on_out(void *opaque, unsigned ready)
{
    ChardevFd *f = opaque;

    if (ready & (LOOP_ERR | LOOP_HUP)) {
        hung_up(f);
    } else {
        chardev_writable(f->chr);
    }
}

/* Without events there is no watch: a hang-up is always told, and would be told for ever. */
static void set_watch(ChardevFd *f, LoopFd **w, unsigned *old, int fd, unsigned events, void (*fn)(void *, unsigned))
{
    if (!events || fd < 0) {
        loop_unwatch(*w);
        *w = NULL;
    } else if (!*w) {
        *w = loop_watch(f->chr->ctx->loop, fd, events, fn, f);
    } else if (*old != events) {
        loop_watch_set(*w, events);
    }
    *old = events;
}

void chardev_fd_update(ChardevFd *f)
{
    unsigned in, out;

    if (!f->active) {
        return;
    }
    in = chardev_room(f->chr) > 0 ? LOOP_IN : 0;
    out = !f->hung && chardev_wants_writable(f->chr) ? LOOP_OUT : 0;
    if (f->in == f->out) {
        unsigned shut = f->hung_up && !f->hung && !in ? PEER_SHUT : 0; /* with room, reading finds the end */

        set_watch(f, &f->win, &f->in_events, f->in, in | out | shut, on_in);
    } else {
        set_watch(f, &f->win, &f->in_events, f->in, in, on_in);
        set_watch(f, &f->wout, &f->out_events, f->out, out, on_out);
    }
}

int chardev_fd_write(ChardevFd *f, const void *buf, int len)
{
    ssize_t n;

    if (f->out < 0) {
        return len;
    }
    do {
        n = write(f->out, buf, len);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        return (int)n;
    }
    return errno == EAGAIN ? 0 : len;
}

void chardev_fd_start(ChardevFd *f, Chardev *chr, int in, int out, void (*ended_fn)(Chardev *))
{
    f->chr = chr;
    f->in = in;
    f->out = out;
    f->hung = false;
    f->ended = ended_fn;
    f->active = true;
    chardev_update_later(chr);
}

void chardev_fd_stop(ChardevFd *f)
{
    if (!f->active) {
        return;
    }
    f->active = false;
    loop_unwatch(f->win);
    loop_unwatch(f->wout);
    f->win = f->wout = NULL;
    mutex_lock(&f->chr->lock); /* nobody writes to a number that means another file next */
    if (f->in >= 0) {
        close(f->in);
    }
    if (f->out >= 0 && f->out != f->in) {
        close(f->out);
    }
    f->in = f->out = -1;
    mutex_unlock(&f->chr->lock);
}
