/* What all chardevs share: front ends, output queues, the log. See chardev/chardev.h. */
#include "chardev/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"

/* ---- Calling a front end ---- */

/* Takes the lock domain of f's device unless this thread is in it already. */
static bool enter(const ChardevFront *f)
{
    bool take = f->domain && !fair_mutex_is_held(f->domain);

    if (take) {
        fair_mutex_lock(f->domain);
    }
    return take;
}

static void leave(const ChardevFront *f, bool taken)
{
    if (taken) {
        fair_mutex_unlock(f->domain);
    }
}

/*
 * The handlers may detach, so f is not looked at after them; its domain outlives the call, which is in the same thread.
 */
static void tell(ChardevFront *f, ChardevEvent event)
{
    ChardevFront copy = *f;
    bool taken;

    if (!f->handlers || !f->handlers->event) {
        return;
    }
    taken = enter(&copy);
    if (f->handlers == copy.handlers) {
        copy.handlers->event(copy.opaque, event);
    }
    leave(&copy, taken);
}

static void tell_open(ChardevFront *f, bool open)
{
    if (f->handlers && f->told_open != open) {
        f->told_open = open;
        tell(f, open ? CHARDEV_EVENT_OPENED : CHARDEV_EVENT_CLOSED);
    }
}

static unsigned num_fronts(const Chardev *c)
{
    return c->ops->is_mux ? CHARDEV_FRONTS : 1;
}

static ChardevFront *front_of(Chardev *c, const void *opaque)
{
    for (unsigned i = 0; i < num_fronts(c); i++) {
        if (c->fronts[i].handlers && c->fronts[i].opaque == opaque) {
            return &c->fronts[i];
        }
    }
    return NULL;
}

int chardev_room(Chardev *c)
{
    ChardevFront *f = &c->fronts[c->focus];
    int n = 0;
    bool taken;

    if (f->handlers && f->handlers->can_receive) {
        taken = enter(f);
        n = f->handlers->can_receive(f->opaque);
        leave(f, taken);
    }
    return n < 0 ? 0 : n;
}

void chardev_received(Chardev *c, const void *buf, int len)
{
    ChardevFront f = c->fronts[c->focus];
    bool taken;

    if (len > 0 && f.handlers && f.handlers->receive) {
        taken = enter(&f);
        f.handlers->receive(f.opaque, buf, len);
        leave(&f, taken);
    }
}

void chardev_front_event(Chardev *c, unsigned front, ChardevEvent event)
{
    tell(&c->fronts[front], event);
}

void chardev_event(Chardev *c, ChardevEvent event)
{
    chardev_front_event(c, c->focus, event);
}

void chardev_tell_focus(Chardev *c)
{
    int old = c->told_focus;

    if (old != (int)c->focus) {
        c->told_focus = (int)c->focus;
        if (old >= 0) {
            chardev_front_event(c, old, CHARDEV_EVENT_MUX_OUT);
        }
        chardev_event(c, CHARDEV_EVENT_MUX_IN);
    }
}

void chardev_receive_break(Chardev *c)
{
    chardev_event(c, CHARDEV_EVENT_BREAK);
}

/* ---- Open and closed ---- */

static void set_is_open(Chardev *c, bool open)
{
    WITH_MUTEX (&c->lock) {
        c->is_open = open;
        for (unsigned i = 0; !open && i < CHARDEV_FRONTS; i++) {
            qbuf_finish(&c->fronts[i].queue);
            c->fronts[i].sent = 0;
        }
    }
    for (unsigned i = 0; i < num_fronts(c); i++) {
        tell_open(&c->fronts[i], open);
    }
}

void chardev_opened(Chardev *c)
{
    set_is_open(c, true);
    chardev_update_later(c);
}

/* Who waited for room is told: what it writes now is dropped. */
void chardev_closed(Chardev *c)
{
    set_is_open(c, false);
    chardev_writable(c);
}

bool chardev_is_open(Chardev *c)
{
    bool open;

    mutex_lock(&c->lock);
    open = c->is_open;
    mutex_unlock(&c->lock);
    return open;
}

/* ---- Attaching ---- */

bool chardev_attach_locked(Chardev *c, const ChardevHandlers *handlers, void *opaque, FairMutex *domain, Error **errp)
{
    ChardevFront *f = NULL;

    for (unsigned i = 0; i < num_fronts(c) && !f; i++) {
        f = c->fronts[i].handlers ? NULL : &c->fronts[i];
    }
    if (!f) {
        return error_set(errp, "Device '%s' is in use", chardev_label(c));
    }
    *f = (ChardevFront){ .handlers = handlers, .opaque = opaque, .domain = domain, .open = true };
    c->focus = f - c->fronts; /* the last one attached has it; told when the loop runs, as others may follow at start */
    tell_open(f, chardev_is_open(c));
    chardev_update_later(c);
    return true;
}

bool chardev_attach(Chardev *c, const ChardevHandlers *handlers, void *opaque, Error **errp)
{
    return chardev_attach_locked(c, handlers, opaque, NULL, errp);
}

static void flush_locked(Chardev *c, ChardevFront *f);

void chardev_detach(Chardev *c, void *opaque)
{
    ChardevFront *f = front_of(c, opaque);

    if (f) {
        mutex_lock(&c->lock);
        flush_locked(c, f);
        qbuf_finish(&f->queue);
        *f = (ChardevFront){ 0 };
        c->told_focus = c->told_focus == f - c->fronts ? -1 : c->told_focus;
        mutex_unlock(&c->lock);
        chardev_update_later(c);
    }
}

void chardev_set_open(Chardev *c, void *opaque, bool open)
{
    ChardevFront *f = front_of(c, opaque);

    if (f) {
        f->open = open;
    }
}

bool chardev_front_open(Chardev *c)
{
    for (unsigned i = 0; i < num_fronts(c); i++) {
        if (c->fronts[i].handlers && c->fronts[i].open) {
            return true;
        }
    }
    return false;
}

bool chardev_is_busy(Chardev *c)
{
    for (unsigned i = 0; i < num_fronts(c); i++) {
        if (!c->fronts[i].handlers) {
            return false;
        }
    }
    return true;
}

/* ---- Writing ---- */

/* A full disk must not stop the guest: what the log file does not take is lost. */
static void log_bytes(Chardev *c, const char *buf, int len)
{
    while (c->log_fd >= 0 && len > 0) {
        ssize_t n = write(c->log_fd, buf, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return;
        }
        buf += n;
        len -= n;
    }
}

/* lock held */
static int write_locked(Chardev *c, const void *buf, int len)
{
    int n = c->is_open ? c->ops->write(c, buf, len) : len;

    log_bytes(c, buf, n);
    return n;
}

/* lock held */
static void flush_locked(Chardev *c, ChardevFront *f)
{
    while (f->sent < f->queue.len) {
        size_t left = f->queue.len - f->sent;
        int n = write_locked(c, f->queue.data + f->sent, left > 65536 ? 65536 : (int)left);

        if (n <= 0) {
            return;
        }
        f->sent += n;
    }
    qbuf_finish(&f->queue);
    f->sent = 0;
}

int chardev_write(Chardev *c, void *opaque, const void *buf, int len)
{
    ChardevFront *f = front_of(c, opaque);
    int n = len;

    if (f && len > 0) {
        mutex_lock(&c->lock);
        flush_locked(c, f);
        n = f->queue.len ? 0 : write_locked(c, buf, len);
        mutex_unlock(&c->lock);
    }
    return n;
}

bool chardev_write_all(Chardev *c, void *opaque, const void *buf, size_t len)
{
    ChardevFront *f = front_of(c, opaque);
    bool fits = true, wait;

    if (!f) {
        return true;
    }
    mutex_lock(&c->lock);
    if (f->sent > f->queue.len / 2) {
        memmove(f->queue.data, f->queue.data + f->sent, f->queue.len - f->sent);
        f->queue.len -= f->sent;
        f->sent = 0;
    }
    fits = f->queue.len - f->sent + len <= CHARDEV_QUEUE_MAX;
    if (fits) {
        qbuf_add(&f->queue, buf, len);
        flush_locked(c, f);
    }
    wait = f->queue.len > 0;
    mutex_unlock(&c->lock);
    if (wait) {
        chardev_update_later(c);
    }
    return fits;
}

size_t chardev_queued(Chardev *c, void *opaque)
{
    ChardevFront *f = front_of(c, opaque);
    size_t n = 0;

    if (f) {
        mutex_lock(&c->lock);
        n = f->queue.len - f->sent;
        mutex_unlock(&c->lock);
    }
    return n;
}

void chardev_watch_writable(Chardev *c, void *opaque, bool on)
{
    ChardevFront *f = front_of(c, opaque);

    if (f) {
        mutex_lock(&c->lock);
        f->want_writable = on;
        mutex_unlock(&c->lock);
        chardev_update_later(c);
    }
}

bool chardev_wants_writable(Chardev *c)
{
    bool wants = false;

    mutex_lock(&c->lock);
    for (unsigned i = 0; i < num_fronts(c); i++) {
        wants |= c->fronts[i].want_writable || c->fronts[i].queue.len;
    }
    mutex_unlock(&c->lock);
    return wants;
}

void chardev_writable(Chardev *c)
{
    for (unsigned i = 0; i < num_fronts(c); i++) {
        ChardevFront *f = &c->fronts[i], copy;
        bool ready, taken;

        mutex_lock(&c->lock);
        flush_locked(c, f);
        ready = f->want_writable && !f->queue.len;
        f->want_writable &= !ready;
        copy = *f;
        mutex_unlock(&c->lock);
        if (ready && copy.handlers && copy.handlers->writable) {
            taken = enter(&copy);
            copy.handlers->writable(copy.opaque);
            leave(&copy, taken);
        }
    }
    chardev_update_later(c);
}

void chardev_flush(Chardev *c)
{
    int64_t end = clock_host_monotonic_ns() + 1000000000;

    for (unsigned i = 0; i < num_fronts(c); i++) {
        for (;;) {
            int64_t left = (end - clock_host_monotonic_ns()) / 1000000;
            bool empty;
            int fd;

            mutex_lock(&c->lock);
            flush_locked(c, &c->fronts[i]);
            empty = !c->fronts[i].queue.len;
            fd = c->ops->poll_fd ? c->ops->poll_fd(c) : -1;
            mutex_unlock(&c->lock);
            if (empty || fd < 0 || left <= 0 || poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, (int)left) <= 0) {
                break;
            }
        }
    }
}

/* ---- Input ---- */

static void update_work(void *opaque)
{
    Chardev *c = opaque;

    if (c->ops->is_mux) {
        chardev_tell_focus(c);
    }
    if (c->ops->update) {
        c->ops->update(c);
    }
}

void chardev_update_later(Chardev *c)
{
    if (object_life(&c->obj) == OBJECT_REALIZED || object_life(&c->obj) == OBJECT_REALIZING) {
        loop_work_schedule(&c->work);
    }
}

void chardev_accept_input(Chardev *c)
{
    chardev_update_later(c);
}

/* ---- Passed on to the back end ---- */

bool chardev_get_fd(Chardev *c, int *fd)
{
    return c->ops->get_fd && c->ops->get_fd(c, fd);
}

void chardev_set_params(Chardev *c, const ChardevSerialParams *params)
{
    if (c->ops->set_params) {
        c->ops->set_params(c, params);
    }
}

void chardev_set_modem(Chardev *c, unsigned tiocm)
{
    if (c->ops->set_modem) {
        c->ops->set_modem(c, tiocm);
    }
}

bool chardev_get_modem(Chardev *c, unsigned *tiocm)
{
    return c->ops->get_modem && c->ops->get_modem(c, tiocm);
}

void chardev_send_break(Chardev *c)
{
    if (c->ops->send_break) {
        c->ops->send_break(c);
    }
}

void chardev_disconnect(Chardev *c)
{
    if (c->ops->disconnect) {
        c->ops->disconnect(c);
    }
}

char *chardev_filename(Chardev *c)
{
    return c->ops->filename ? c->ops->filename(c) : q_strdup(c->obj.klass->item.name + strlen("chardev-"));
}

const char *chardev_label(const Chardev *c)
{
    return c->obj.name ? c->obj.name : "";
}

/* ---- Life ---- */

static bool chardev_init(Object *o, Error **errp)
{
    Chardev *c = CHARDEV(o);

    mutex_init(&c->lock, LOCK_UNORDERED);
    c->ops = object_iface(o);
    c->log_fd = c->told_focus = -1;
    return true;
}

/* Before the class's own, which opens. */
static bool chardev_realize(Object *o, Error **errp)
{
    const ChardevConf *conf = object_conf(o);
    Chardev *c = CHARDEV(o);

    loop_work_init(&c->work, c->ctx->loop, update_work, c);
    if (conf->logfile) {
        c->log_fd = chardev_open_file(c->ctx, conf->logfile, O_WRONLY | O_CREAT | (conf->logappend ? O_APPEND : O_TRUNC), errp);
        if (c->log_fd < 0) {
            return error_prepend(errp, "logfile: ");
        }
    }
    return true;
}

static void chardev_unrealize(Object *o)
{
    Chardev *c = CHARDEV(o);

    if (c->is_open) {
        set_is_open(c, false);
    }
    loop_work_cancel(&c->work);
    if (c->log_fd >= 0) {
        close(c->log_fd);
        c->log_fd = -1;
    }
}

static void chardev_finish(Object *o)
{
    Chardev *c = CHARDEV(o);

    for (unsigned i = 0; i < CHARDEV_FRONTS; i++) {
        qbuf_finish(&c->fronts[i].queue);
    }
    mutex_finish(&c->lock);
}

const ObjectOps chardev_ops = {
    .size = sizeof(Chardev),
    .conf_offset = offsetof(Chardev, base),
    .init = chardev_init,
    .realize = chardev_realize,
    .unrealize = chardev_unrealize,
    .finish = chardev_finish,
};
