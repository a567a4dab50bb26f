/* Files, named pipes and serial lines of the host. */
#include "chardev/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

typedef struct {
    Chardev chr;
    union {
        ChardevFileConf file;
        ChardevPipeConf pipe;
        ChardevSerialConf serial;
    } conf;
    ChardevFd fd;
} ChardevFile;

static int file_write(Chardev *c, const void *buf, int len)
{
    return chardev_fd_write(&((ChardevFile *)c)->fd, buf, len);
}

static void file_update(Chardev *c)
{
    chardev_fd_update(&((ChardevFile *)c)->fd);
}

static int file_poll_fd(Chardev *c)
{
    return ((ChardevFile *)c)->fd.out;
}

static void file_unrealize(Object *o)
{
    chardev_flush(CHARDEV(o));
    chardev_fd_stop(&((ChardevFile *)o)->fd);
}

int chardev_open_file(const ChardevContext *ctx, const char *path, int flags, Error **errp)
{
    static const char fdset[] = "/dev/fdset/";
    size_t n = strlen(fdset);
    char *end = NULL;
    long long id = !strncmp(path, fdset, n) && path[n] >= '0' && path[n] <= '9' ? strtoll(path + n, &end, 10) : -1;
    int fd;

    if (id >= 0 && !*end && ctx->open_fdset) {
        fd = ctx->open_fdset(ctx->opaque, id, flags, errp);
        if (fd < 0) {
            error_prepend(errp, "Could not open '%s': ", path);
        }
        return fd;
    }
    fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd < 0) {
        error_set_errno(errp, errno, "Could not open '%s'", path);
    }
    return fd;
}

/* The end of a file's input: no more comes, and it can be written to all the same. */
static void input_ended(Chardev *c)
{
    ChardevFd *f = &((ChardevFile *)c)->fd;

    loop_unwatch(f->win);
    f->win = NULL;
    if (f->in != f->out) {
        close(f->in);
        f->in = -1;
    } else {
        chardev_fd_stop(f);
        chardev_closed(c);
    }
}

static bool file_realize(Object *o, Error **errp)
{
    ChardevFile *f = (ChardevFile *)o;
    const ChardevFileConf *conf = &f->conf.file;
    int in = -1, out = chardev_open_file(f->chr.ctx, conf->path, O_WRONLY | O_CREAT | (conf->append ? O_APPEND : O_TRUNC), errp);

    if (out < 0) {
        return false;
    }
    if (conf->input_path) {
        in = chardev_open_file(f->chr.ctx, conf->input_path, O_RDONLY | O_NONBLOCK, errp);
        if (in < 0) {
            close(out);
            return false;
        }
    }
    chardev_fd_start(&f->fd, &f->chr, in, out, input_ended);
    chardev_opened(&f->chr);
    return true;
}

/* A pipe opened for both never ends, and opening it does not wait for the other side. */
static bool pipe_realize(Object *o, Error **errp)
{
    ChardevFile *f = (ChardevFile *)o;
    const char *path = f->conf.pipe.path;
    QBuf name = { 0 };
    int in, out;

    qbuf_printf(&name, "%s.in", path);
    in = open(name.data, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    qbuf_finish(&name);
    qbuf_printf(&name, "%s.out", path);
    out = open(name.data, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    qbuf_finish(&name);
    if (in < 0 || out < 0) {
        if (in >= 0) {
            close(in);
        }
        if (out >= 0) {
            close(out);
        }
        in = out = chardev_open_file(f->chr.ctx, path, O_RDWR | O_NONBLOCK, errp);
        if (in < 0) {
            return false;
        }
    }
    chardev_fd_start(&f->fd, &f->chr, in, out, input_ended);
    chardev_opened(&f->chr);
    return true;
}

/* ---- Serial lines: termios(3), ioctl_tty(2) ---- */

static speed_t speed_of(unsigned bps)
{
    static const struct {
        unsigned bps;
        speed_t code;
    } speeds[] = { { 50, B50 }, { 75, B75 }, { 110, B110 }, { 134, B134 }, { 150, B150 }, { 200, B200 }, { 300, B300 },
                   { 600, B600 }, { 1200, B1200 }, { 1800, B1800 }, { 2400, B2400 }, { 4800, B4800 }, { 9600, B9600 },
                   { 19200, B19200 }, { 38400, B38400 }, { 57600, B57600 }, { 115200, B115200 }, { 230400, B230400 } };
    size_t best = 0;

    for (size_t i = 1; i < sizeof(speeds) / sizeof(*speeds); i++) { /* the nearest: guests' divisors are rounded */
        if (abs((int)(speeds[i].bps - bps)) < abs((int)(speeds[best].bps - bps))) {
            best = i;
        }
    }
    return speeds[best].code;
}

static void serial_set_params(Chardev *c, const ChardevSerialParams *p)
{
    static const tcflag_t sizes[] = { CS5, CS6, CS7, CS8 };
    int fd = ((ChardevFile *)c)->fd.in;
    struct termios t;

    if (tcgetattr(fd, &t) < 0) {
        return;
    }
    cfmakeraw(&t);
    t.c_cflag &= ~(CSIZE | CSTOPB | PARENB | PARODD | CRTSCTS);
    t.c_cflag |= CLOCAL | CREAD | sizes[p->data_bits < 5 || p->data_bits > 8 ? 3 : p->data_bits - 5];
    t.c_cflag |= (p->stop_bits == 2 ? CSTOPB : 0) | (p->parity == 'N' ? 0 : PARENB) | (p->parity == 'O' ? PARODD : 0);
    cfsetispeed(&t, speed_of(p->speed));
    cfsetospeed(&t, speed_of(p->speed));
    tcsetattr(fd, TCSANOW, &t);
}

/* The bits of CHARDEV_TIOCM_* are the host's own. */
_Static_assert(CHARDEV_TIOCM_CTS == TIOCM_CTS && CHARDEV_TIOCM_CAR == TIOCM_CAR && CHARDEV_TIOCM_DSR == TIOCM_DSR &&
               CHARDEV_TIOCM_RI == TIOCM_RI && CHARDEV_TIOCM_DTR == TIOCM_DTR && CHARDEV_TIOCM_RTS == TIOCM_RTS,
               "modem lines");

static void serial_set_modem(Chardev *c, unsigned tiocm)
{
    int fd = ((ChardevFile *)c)->fd.in, lines;

    if (ioctl(fd, TIOCMGET, &lines) == 0) {
        lines = (lines & ~(TIOCM_DTR | TIOCM_RTS)) | (int)(tiocm & (TIOCM_DTR | TIOCM_RTS));
        ioctl(fd, TIOCMSET, &lines);
    }
}

static bool serial_get_modem(Chardev *c, unsigned *tiocm)
{
    int lines;

    if (ioctl(((ChardevFile *)c)->fd.in, TIOCMGET, &lines) < 0) {
        return false;
    }
    *tiocm = (unsigned)lines;
    return true;
}

static void serial_send_break(Chardev *c)
{
    tcsendbreak(((ChardevFile *)c)->fd.out, 0);
}

static bool serial_realize(Object *o, Error **errp)
{
    ChardevFile *f = (ChardevFile *)o;
    int fd = chardev_open_file(f->chr.ctx, f->conf.serial.path, O_RDWR | O_NONBLOCK, errp);

    if (fd < 0) {
        return false;
    }
    if (!isatty(fd)) {
        close(fd);
        return error_set(errp, "'%s' is not a serial line", f->conf.serial.path);
    }
    chardev_fd_start(&f->fd, &f->chr, fd, fd, input_ended);
    serial_set_params(&f->chr, &(ChardevSerialParams){ 115200, 8, 1, 'N' });
    chardev_opened(&f->chr);
    return true;
}

static const ChardevOps file_ops = { .write = file_write, .update = file_update, .poll_fd = file_poll_fd };
static const ChardevOps serial_ops = {
    .write = file_write, .update = file_update, .poll_fd = file_poll_fd, .set_params = serial_set_params,
    .set_modem = serial_set_modem, .get_modem = serial_get_modem, .send_break = serial_send_break,
};

#define FILE_CLASS(realize_fn, ops)                                                                \
    { .size = sizeof(ChardevFile), .conf_offset = offsetof(ChardevFile, conf), .realize = (realize_fn), \
      .unrealize = file_unrealize, .iface = &(ops) }
const ObjectOps chardev_file_ops = FILE_CLASS(file_realize, file_ops);
const ObjectOps chardev_pipe_ops = FILE_CLASS(pipe_realize, file_ops);
const ObjectOps chardev_serial_ops = FILE_CLASS(serial_realize, serial_ops);
