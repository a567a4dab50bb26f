/*
 * Sockets: a server with one client at a time, or a client that may connect again. Descriptors that come with the
 * bytes (SCM_RIGHTS, unix(7)) are kept until the next come. Telnet: RFC 854, options ECHO (857), SUPPRESS-GO-AHEAD
 * (858) and BINARY (856), which we announce and do not negotiate further.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chardev/address.h"
#include "chardev/internal.h"
#include "util/clock.h"
#include "util/units.h"

enum { FDS_MAX = 16 };
enum { T_SE = 240, T_BREAK = 243, T_SB = 250, T_WILL = 251, T_DONT = 254, T_IAC = 255 };

typedef struct {
    Chardev chr;
    ChardevSocketConf conf;
    int listener;
    LoopFd *wlisten;
    ChardevFd fd;           /* of the connection */
    int peer;               /* -1: none */
    int fds[FDS_MAX], num_fds, next_fd;
    enum { TN_DATA, TN_IAC, TN_OPTION, TN_SUB, TN_SUB_IAC } telnet; /* what the next byte is */
    Timer timer;
    int64_t deadline;
    bool has_timer, warned;
} ChardevSocket;

/* ---- A connection ---- */

static void drop_fds(ChardevSocket *s)
{
    for (int i = s->next_fd; i < s->num_fds; i++) {
        close(s->fds[i]);
    }
    s->num_fds = s->next_fd = 0;
}

static void keep_fds(ChardevSocket *s, struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        drop_fds(s);
        s->num_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(s->fds, CMSG_DATA(c), s->num_fds * sizeof(int));
        for (int i = 0; i < s->num_fds; i++) {
            int flags = fcntl(s->fds[i], F_GETFL);
            fcntl(s->fds[i], F_SETFL, flags & ~O_NONBLOCK); /* as who takes them expects */
        }
    }
}

static int socket_read(Chardev *c, void *buf, int len)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    struct iovec iov = { buf, len };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
    ChardevSocket *s = (ChardevSocket *)c;
    int n = (int)recvmsg(s->peer, &msg, MSG_CMSG_CLOEXEC);

    if (n > 0) {
        keep_fds(s, &msg);
    }
    return n;
}

/* Takes the protocol out of the n bytes at buf, in place; returns how many are data. */
static int telnet_filter(ChardevSocket *s, uint8_t *buf, int n)
{
    int out = 0;

    for (int i = 0; i < n; i++) {
        uint8_t b = buf[i];

        switch (s->telnet) {
        case TN_DATA:
            if (b == T_IAC) {
                s->telnet = TN_IAC;
            } else {
                buf[out++] = b;
            }
            break;
        case TN_IAC:
            s->telnet = b == T_SB ? TN_SUB : b >= T_WILL && b <= T_DONT ? TN_OPTION : TN_DATA;
            if (b == T_IAC) {
                buf[out++] = b;
            } else if (b == T_BREAK) {
                chardev_event(&s->chr, CHARDEV_EVENT_BREAK);
            }
            break;
        case TN_OPTION:
            s->telnet = TN_DATA;
            break;
        case TN_SUB:
            s->telnet = b == T_IAC ? TN_SUB_IAC : TN_SUB;
            break;
        case TN_SUB_IAC:
            s->telnet = b == T_SE ? TN_DATA : TN_SUB;
        }
    }
    return out;
}

static void socket_received(Chardev *c, uint8_t *buf, int len)
{
    ChardevSocket *s = (ChardevSocket *)c;

    if (s->conf.telnet) {
        len = telnet_filter(s, buf, len);
    }
    chardev_received(c, buf, len);
}

static void next_connection(ChardevSocket *s);
static void on_accept(void *opaque, unsigned ready);

/*
 * The peer has gone while the front end takes no input. What it sent is kept until there is room, or somebody else wants to
 * connect: a guest that does not read its serial port must not keep everybody out.
 */
static void socket_hung_up(Chardev *c)
{
    ChardevSocket *s = (ChardevSocket *)c;

    if (s->listener >= 0 && !s->wlisten) {
        s->wlisten = loop_watch(s->chr.ctx->loop, s->listener, LOOP_IN, on_accept, s);
    }
}

/* The number first: a writer in another thread must not use it when it means another file. */
static void close_peer(ChardevSocket *s)
{
    mutex_lock(&s->chr.lock);
    s->peer = -1;
    mutex_unlock(&s->chr.lock);
    chardev_fd_stop(&s->fd);
}

static void socket_ended(Chardev *c)
{
    ChardevSocket *s = (ChardevSocket *)c;

    if (s->peer < 0) {
        return;
    }
    close_peer(s);
    drop_fds(s);
    chardev_closed(c);
    next_connection(s);
}

static void connected(ChardevSocket *s, int fd)
{
    static const uint8_t hello[] = { T_IAC, T_WILL, 1 /* ECHO */, T_IAC, T_WILL, 3 /* SGA */, T_IAC, T_WILL, 0 /* BINARY */,
                                     T_IAC, 253 /* DO */, 0 };

    s->peer = fd;
    s->telnet = TN_DATA;
    s->warned = false;
    loop_unwatch(s->wlisten); /* one at a time: others wait in the queue of the listening socket */
    s->wlisten = NULL;
    s->fd.read = socket_read;
    s->fd.received = socket_received;
    s->fd.hung_up = socket_hung_up;
    chardev_fd_start(&s->fd, &s->chr, fd, fd, socket_ended);
    if (s->conf.telnet && send(fd, hello, sizeof(hello), MSG_NOSIGNAL) < 0) {
        socket_ended(&s->chr);
        return;
    }
    chardev_opened(&s->chr);
}

/* ---- Getting connections ---- */

static int accept_one(ChardevSocket *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), on = 1;

    if (fd >= 0 && s->conf.nodelay && !s->conf.path) {
        setsockopt(fd, 6 /* IPPROTO_TCP */, 1 /* TCP_NODELAY */, &on, sizeof(on));
    }
    return fd;
}

static void on_accept(void *opaque, unsigned ready)
{
    ChardevSocket *s = opaque;
    int fd = accept_one(s);

    if (fd >= 0) {
        socket_ended(&s->chr); /* the one before, if it has hung up */
        connected(s, fd);
    }
}

/* With errp, a failure is told by it; without, people are told once, and it is tried again. */
static bool connect_now(ChardevSocket *s, Error **errp)
{
    Error *err = NULL;
    int fd = address_connect(&s->conf, &err);

    if (fd >= 0 && !chardev_fd_nonblock(fd, &err)) {
        close(fd);
        fd = -1;
    }
    if (fd >= 0) {
        connected(s, fd);
        return true;
    }
    if (errp) {
        error_propagate(errp, err);
    } else {
        if (!s->warned) {
            error_prepend(&err, "Unable to connect character device %s: ", chardev_label(&s->chr));
            error_report_free(err);
        } else {
            error_free(err);
        }
        s->warned = true;
        next_connection(s);
    }
    return false;
}

static void on_timer(void *opaque)
{
    connect_now(opaque, NULL);
}

static void next_connection(ChardevSocket *s)
{
    if (s->listener >= 0 && !s->wlisten) {
        s->wlisten = loop_watch(s->chr.ctx->loop, s->listener, LOOP_IN, on_accept, s);
    } else if (s->has_timer) {
        timer_arm(&s->timer, clock_ns(s->chr.ctx->clock) + (int64_t)s->conf.reconnect_ms * 1000000);
    }
}

static bool wait_for_client(ChardevSocket *s, Error **errp)
{
    char *text = address_text(&s->conf, s->conf.path ? -1 : s->listener, false);
    int fd;

    fprintf(stderr, "%s: info: QEMU waiting for connection on: %s\n", program_invocation_short_name, text);
    free(text);
    do {
        poll(&(struct pollfd){ s->listener, POLLIN, 0 }, 1, -1);
        fd = accept_one(s);
    } while (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED));
    if (fd < 0) {
        return error_set_errno(errp, errno, "Failed to accept a connection");
    }
    connected(s, fd);
    return true;
}

/* ---- Life ---- */

static bool check_conf(const ChardevSocketConf *c, Error **errp)
{
    if (c->path && (c->host || c->port)) {
        return error_set(errp, "'path' and 'host' or 'port' exclude each other");
    }
    if (c->fd ? c->path || c->port || c->host : !c->path && !c->port) {
        return error_set(errp, c->fd ? "'fd' excludes 'path', 'host' and 'port'" : c->host
                                           ? "chardev: socket: no port given"
                                           : "chardev: socket: one of path, host with port, and fd is needed");
    }
    if (c->port && !c->host && !c->server) {
        return error_set(errp, "chardev: socket: no host given");
    }
    if (c->has_wait && !c->server) {
        return error_set(errp, "'wait' option is incompatible with socket in client connect mode");
    }
    if (c->reconnect_ms && c->server) {
        return error_set(errp, "'reconnect' option is incompatible with socket in server listen mode");
    }
    if (c->reconnect_ms && c->fd) {
        return error_set(errp, "'reconnect' option is incompatible with 'fd'");
    }
    if (c->has_reconnect && c->reconnect_ms != c->reconnect * 1000) {
        return error_set(errp, "'reconnect' and 'reconnect-ms' are mutually exclusive");
    }
    return true;
}

/* The open socket that conf names. */
static int given_fd(ChardevSocket *s, Error **errp)
{
    const ChardevContext *ctx = s->chr.ctx;
    uint64_t n;
    int type;
    socklen_t len = sizeof(type);

    if (s->conf.fd[0] >= '0' && s->conf.fd[0] <= '9') {
        if (!parse_uint("fd", s->conf.fd, INT32_MAX, &n, errp)) {
            return -1;
        }
    } else {
        int fd = ctx->take_fd ? ctx->take_fd(ctx->opaque, s->conf.fd, errp) : -1;
        if (fd < 0) {
            return ctx->take_fd ? -1 : (error_set(errp, "No file descriptor named '%s' found", s->conf.fd), -1);
        }
        n = fd;
    }
    if (getsockopt((int)n, SOL_SOCKET, SO_TYPE, &type, &len) < 0) {
        error_set(errp, "File descriptor '%s' is not a socket", s->conf.fd);
        return -1;
    }
    fcntl((int)n, F_SETFD, FD_CLOEXEC);
    return (int)n;
}

static bool start_server(ChardevSocket *s, Error **errp)
{
    s->listener = s->conf.fd ? given_fd(s, errp) : address_listen(&s->conf, errp);
    if (s->listener < 0 || !chardev_fd_nonblock(s->listener, errp)) {
        return false;
    }
    if (s->conf.has_wait ? s->conf.wait : true) {
        return wait_for_client(s, errp);
    }
    next_connection(s);
    return true;
}

static bool start_client(ChardevSocket *s, Error **errp)
{
    int fd;

    if (s->conf.reconnect_ms) {
        timer_init(&s->timer, s->chr.ctx->clock, &s->deadline, on_timer, s);
        s->has_timer = true;
        connect_now(s, NULL);
        return true;
    }
    if (!s->conf.fd) {
        return connect_now(s, errp);
    }
    fd = given_fd(s, errp);
    if (fd < 0 || !chardev_fd_nonblock(fd, errp)) {
        return false;
    }
    connected(s, fd);
    return true;
}

static void socket_unrealize(Object *o)
{
    ChardevSocket *s = (ChardevSocket *)o;

    if (s->has_timer) {
        timer_finish(&s->timer);
        s->has_timer = false;
    }
    loop_unwatch(s->wlisten);
    s->wlisten = NULL;
    if (s->listener >= 0) {
        close(s->listener);
        s->listener = -1;
        if (s->conf.path && !s->conf.abstract) {
            unlink(s->conf.path);
        }
    }
    if (s->peer >= 0) {
        chardev_flush(&s->chr);
        close_peer(s);
    }
    drop_fds(s);
}

static bool socket_realize(Object *o, Error **errp)
{
    ChardevSocket *s = (ChardevSocket *)o;

    s->listener = s->peer = -1;
    s->deadline = TIMER_OFF;
    if (!check_conf(&s->conf, errp)) {
        return false;
    }
    if (!(s->conf.server ? start_server(s, errp) : start_client(s, errp))) {
        socket_unrealize(o);
        return false;
    }
    return true;
}

/* ---- Back end ---- */

static int escape_iac(const uint8_t *in, int len, uint8_t *out, int *used)
{
    int n = 0, i = 0;

    for (; i < len && n < 4095; i++) {
        out[n++] = in[i];
        if (in[i] == T_IAC) {
            out[n++] = T_IAC;
        }
    }
    *used = i;
    return n;
}

static int send_some(ChardevSocket *s, const void *buf, int len)
{
    ssize_t n;

    do {
        n = send(s->peer, buf, len, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n >= 0 ? (int)n : errno == EAGAIN ? 0 : -1;
}

/* An error is seen by who reads: what is written until then is lost. */
static int socket_write(Chardev *c, const void *buf, int len)
{
    ChardevSocket *s = (ChardevSocket *)c;
    uint8_t out[4096];
    int n, used;

    if (!s->conf.telnet || !memchr(buf, T_IAC, len)) {
        n = send_some(s, buf, len);
        return n < 0 ? len : n;
    }
    n = escape_iac(buf, len, out, &used);
    for (int done = 0; done < n;) { /* all or nothing, or the escapes would be torn */
        int sent = send_some(s, out + done, n - done);
        if (sent < 0 || (sent == 0 && done == 0)) {
            return sent < 0 ? used : 0;
        }
        if (sent == 0 && poll(&(struct pollfd){ s->peer, POLLOUT, 0 }, 1, 100) <= 0) {
            return used;
        }
        done += sent;
    }
    return used;
}

static void socket_update(Chardev *c)
{
    chardev_fd_update(&((ChardevSocket *)c)->fd);
}

/* A peer that has gone is one no more for who asks, though what it sent last may not have been read yet. */
static bool has_hung_up(int fd)
{
    struct pollfd p = { fd, 0, 0 };

    return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR));
}

static char *socket_filename(Chardev *c)
{
    ChardevSocket *s = (ChardevSocket *)c;
    bool connected = s->peer >= 0 && !has_hung_up(s->peer);
    int fd = connected ? s->peer : s->conf.path ? -1 : s->listener;

    return address_text(&s->conf, fd, connected);
}

static bool socket_get_fd(Chardev *c, int *fd)
{
    ChardevSocket *s = (ChardevSocket *)c;

    if (s->next_fd == s->num_fds) {
        return false;
    }
    *fd = s->fds[s->next_fd++];
    return true;
}

static int socket_poll_fd(Chardev *c)
{
    return ((ChardevSocket *)c)->peer;
}

static const ChardevOps socket_ops = {
    .write = socket_write, .update = socket_update, .filename = socket_filename, .get_fd = socket_get_fd,
    .poll_fd = socket_poll_fd, .disconnect = socket_ended,
};

const ObjectOps chardev_socket_ops = {
    .size = sizeof(ChardevSocket),
    .conf_offset = offsetof(ChardevSocket, conf),
    .realize = socket_realize,
    .unrealize = socket_unrealize,
    .iface = &socket_ops,
};
