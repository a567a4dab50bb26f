/*
 * Several front ends on one chardev. What is typed goes to the one with the focus; all of them write. The escape
 * character (Ctrl-A) and one more are commands: h x b c t s, and itself to be sent.
 */
#include "chardev/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bits.h"
#include "util/clock.h"

enum { INPUT_MAX = 4096 }; /* typed ahead, for each front end */

typedef struct {
    Chardev chr;
    ChardevMuxConf conf;
    bool attached;
    bool escaped;         /* the character before was the escape */
    bool timestamps;      /* GUARDED_BY(chr.lock), this and the next two */
    bool line_start;
    int64_t stamps_from;
    struct {
        uint8_t data[INPUT_MAX];
        unsigned len;
    } input[CHARDEV_FRONTS];
} ChardevMux;

static Chardev *base_of(ChardevMux *m)
{
    return m->conf.chardev;
}

static int escape_char(const ChardevMux *m)
{
    return m->chr.ctx->escape ? m->chr.ctx->escape : 1;
}

/* ---- Output ---- */

/* lock held: [HH:MM:SS.mmm] since they were switched on, before each line. */
static bool write_stamp(ChardevMux *m)
{
    int64_t ms;
    char text[32];
    int n;

    if (m->stamps_from < 0) {
        m->stamps_from = clock_host_monotonic_ns();
    }
    ms = (clock_host_monotonic_ns() - m->stamps_from) / 1000000;
    n = snprintf(text, sizeof(text), "[%02d:%02d:%02d.%03d] ", (int)(ms / 3600000), (int)(ms / 60000 % 60),
                 (int)(ms / 1000 % 60), (int)(ms % 1000));
    return chardev_write_all(base_of(m), m, text, n);
}

static int mux_write(Chardev *c, const void *buf, int len)
{
    ChardevMux *m = (ChardevMux *)c;
    const char *bytes = buf;
    int done = 0;

    if (!m->timestamps) {
        return chardev_write(base_of(m), m, buf, len);
    }
    while (done < len) { /* a line at a time */
        const char *end = memchr(bytes + done, '\n', len - done);
        int n = end ? (int)(end - bytes) + 1 - done : len - done, sent;

        if (m->line_start) {
            write_stamp(m);
            m->line_start = false;
        }
        sent = chardev_write(base_of(m), m, bytes + done, n);
        m->line_start = sent == n && end;
        done += sent;
        if (sent < n) {
            break;
        }
    }
    return done;
}

static void print(ChardevMux *m, const char *text)
{
    mutex_lock(&m->chr.lock);
    chardev_write_all(base_of(m), m, text, strlen(text));
    mutex_unlock(&m->chr.lock);
}

/* ---- Input ---- */

static void deliver(ChardevMux *m)
{
    unsigned n = m->chr.focus;

    while (m->input[n].len && n == m->chr.focus) {
        unsigned room = chardev_room(&m->chr), len = min_of(room, m->input[n].len);
        uint8_t bytes[INPUT_MAX];

        if (!len) {
            return;
        }
        memcpy(bytes, m->input[n].data, len);
        m->input[n].len -= len;
        memmove(m->input[n].data, m->input[n].data + len, m->input[n].len);
        chardev_received(&m->chr, bytes, len);
    }
}

static void take_byte(ChardevMux *m, uint8_t byte)
{
    unsigned n = m->chr.focus;

    if (m->input[n].len < INPUT_MAX) {
        m->input[n].data[m->input[n].len++] = byte;
    }
}

static void switch_focus(ChardevMux *m)
{
    unsigned old = m->chr.focus, next = old;

    do {
        next = (next + 1) % CHARDEV_FRONTS;
    } while (!m->chr.fronts[next].handlers && next != old);
    m->chr.focus = next;
    chardev_tell_focus(&m->chr);
}

static void print_help(ChardevMux *m)
{
    QBuf b = { 0 };
    char name[16];
    int e = escape_char(m);

    snprintf(name, sizeof(name), e > 0 && e < 27 ? "C-%c" : "0x%02x", e > 0 && e < 27 ? e - 1 + 'a' : e);
    qbuf_printf(&b, "\r\n"
                "%s h    print this help\r\n"
                "%s x    exit emulator\r\n"
                "%s s    save disk data back to file (if -snapshot)\r\n"
                "%s t    toggle console timestamps\r\n"
                "%s b    send break (magic sysrq)\r\n"
                "%s c    switch between console and monitor\r\n"
                "%s %s  sends %s\r\n", name, name, name, name, name, name, name, name, name);
    print(m, b.data);
    qbuf_finish(&b);
}

static void toggle_timestamps(ChardevMux *m)
{
    mutex_lock(&m->chr.lock);
    m->timestamps = !m->timestamps;
    m->stamps_from = -1;
    m->line_start = false;
    mutex_unlock(&m->chr.lock);
}

static void command(ChardevMux *m, uint8_t byte)
{
    const ChardevContext *ctx = m->chr.ctx;

    switch (byte) {
    case '?':
    case 'h':
        print_help(m);
        break;
    case 'x':
        print(m, "QEMU: Terminated\n\r");
        ctx->quit(ctx->opaque);
        break;
    case 's':
        if (ctx->commit) {
            ctx->commit(ctx->opaque);
        }
        break;
    case 'b':
        chardev_event(&m->chr, CHARDEV_EVENT_BREAK);
        break;
    case 'c':
        switch_focus(m);
        break;
    case 't':
        toggle_timestamps(m);
        break;
    default:
        if (byte == escape_char(m)) {
            take_byte(m, byte);
        }
    }
}

static int base_can_receive(void *opaque)
{
    ChardevMux *m = opaque;

    return INPUT_MAX - m->input[m->chr.focus].len;
}

static void base_receive(void *opaque, const uint8_t *buf, int len)
{
    ChardevMux *m = opaque;

    for (int i = 0; i < len; i++) {
        if (m->escaped) {
            m->escaped = false;
            deliver(m); /* what was typed before a change of focus */
            command(m, buf[i]);
        } else if (buf[i] == escape_char(m)) {
            m->escaped = true;
        } else {
            take_byte(m, buf[i]);
        }
    }
    deliver(m);
}

static void base_event(void *opaque, ChardevEvent event)
{
    ChardevMux *m = opaque;

    if (event == CHARDEV_EVENT_OPENED) {
        chardev_opened(&m->chr);
    } else if (event == CHARDEV_EVENT_CLOSED) {
        chardev_closed(&m->chr);
    } else {
        chardev_event(&m->chr, event);
    }
}

static void base_writable(void *opaque)
{
    chardev_writable(opaque);
}

static const ChardevHandlers base_handlers = {
    .can_receive = base_can_receive, .receive = base_receive, .event = base_event, .writable = base_writable,
};

static void mux_update(Chardev *c)
{
    ChardevMux *m = (ChardevMux *)c;

    deliver(m);
    if (chardev_wants_writable(c)) {
        chardev_watch_writable(base_of(m), m, true);
    }
    chardev_accept_input(base_of(m));
}

/* ---- Life ---- */

static int mux_poll_fd(Chardev *c)
{
    Chardev *base = base_of((ChardevMux *)c);

    return base->ops->poll_fd ? base->ops->poll_fd(base) : -1;
}

static void mux_set_params(Chardev *c, const ChardevSerialParams *p)
{
    chardev_set_params(base_of((ChardevMux *)c), p);
}

static bool mux_realize(Object *o, Error **errp)
{
    ChardevMux *m = (ChardevMux *)o;

    m->stamps_from = -1;
    m->attached = chardev_attach(base_of(m), &base_handlers, m, errp);
    return m->attached;
}

static void mux_unrealize(Object *o)
{
    ChardevMux *m = (ChardevMux *)o;

    if (m->attached) {
        chardev_detach(base_of(m), m);
        m->attached = false;
    }
}

static const ChardevOps mux_ops = {
    .write = mux_write, .update = mux_update, .poll_fd = mux_poll_fd, .set_params = mux_set_params, .is_mux = true,
};

const ObjectOps chardev_mux_ops = {
    .size = sizeof(ChardevMux),
    .conf_offset = offsetof(ChardevMux, conf),
    .realize = mux_realize,
    .unrealize = mux_unrealize,
    .iface = &mux_ops,
};
