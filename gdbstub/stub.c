/* Commands: "Debugging with GDB", E.2 Packets, E.3 Stop Reply Packets, E.4 General Query Packets, E.5. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gdbstub/internal.h"

/* gdb's own numbers (include/gdb/signals.h is the list) by signal of Linux. */
static const uint8_t gdb_signals[65] = {
    [SIGHUP] = 1, [SIGINT] = 2, [SIGQUIT] = 3, [SIGILL] = 4, [SIGTRAP] = 5, [SIGABRT] = 6, [SIGFPE] = 8, [SIGKILL] = 9,
    [SIGBUS] = 10, [SIGSEGV] = 11, [SIGSYS] = 12, [SIGPIPE] = 13, [SIGALRM] = 14, [SIGTERM] = 15, [SIGURG] = 16,
    [SIGSTOP] = 17, [SIGTSTP] = 18, [SIGCONT] = 19, [SIGCHLD] = 20, [SIGTTIN] = 21, [SIGTTOU] = 22, [SIGIO] = 23,
    [SIGXCPU] = 24, [SIGXFSZ] = 25, [SIGVTALRM] = 26, [SIGPROF] = 27, [SIGWINCH] = 28, [SIGUSR1] = 30, [SIGUSR2] = 31,
    [SIGPWR] = 32, [32] = 77, [33] = 45, [34] = 46, [35] = 47, [36] = 48, [37] = 49, [38] = 50, [39] = 51, [40] = 52,
    [41] = 53, [42] = 54, [43] = 55, [44] = 56, [45] = 57, [46] = 58, [47] = 59, [48] = 60, [49] = 61, [50] = 62, [51] = 63,
    [52] = 64, [53] = 65, [54] = 66, [55] = 67, [56] = 68, [57] = 69, [58] = 70, [59] = 71, [60] = 72, [61] = 73, [62] = 74,
    [63] = 75, [64] = 78,
};

static int from_gdb(unsigned n)
{
    for (int sig = 1; n && sig <= 64; sig++) {
        if (gdb_signals[sig] == n) {
            return sig;
        }
    }
    return 0;
}

static uint64_t id(GdbStub *g, const char *text, const char **end)
{
    uint64_t v;

    if (*text == 'p') { /* pPID.TID */
        text += strcspn(text, ".;:");
        text += *text == '.';
    }
    if (!strncmp(text, "-1", 2)) {
        *end = text + 2;
        return 0;
    }
    v = strtoull(text, (char **)end, 16);
    return v;
}

static void reason(GdbStub *g, int sig)
{
    gdb_addf(g, "T%02xthread:%" PRIx64 ";", gdb_signals[sig & 127], g->stopped);
}

static void error_reply(GdbStub *g, int n)
{
    gdb_addf(g, "E%02x", n);
}

static uint64_t chosen(const GdbStub *g)
{
    return g->thread ? g->thread : g->stopped;
}

/* Registers and memory -------------------------------------------------------- */

static void get_registers(GdbStub *g)
{
    uint8_t buf[GDB_REGISTER_MAX];

    for (unsigned n = 0; n < g->target->num_registers; n++) {
        gdb_add_hex(g, buf, g->target->get_register(g->opaque, chosen(g), n, buf));
    }
}

static void set_registers(GdbStub *g, const char *text)
{
    static uint8_t all[GDB_PACKET / 2];
    size_t len = gdb_unhex(text, all, sizeof(all) - GDB_REGISTER_MAX), at = 0;

    for (unsigned n = 0; n < g->target->num_registers && at < len; n++) {
        at += g->target->set_register(g->opaque, chosen(g), n, all + at);
    }
    gdb_add(g, "OK");
}

static void get_register(GdbStub *g, const char *text)
{
    uint8_t buf[GDB_REGISTER_MAX];
    unsigned n = (unsigned)strtoul(text, NULL, 16), size = 0;

    if (n < g->target->num_registers) {
        size = g->target->get_register(g->opaque, chosen(g), n, buf);
    }
    if (size) {
        gdb_add_hex(g, buf, size);
    } else {
        error_reply(g, EINVAL);
    }
}

static void set_register(GdbStub *g, const char *text)
{
    uint8_t buf[GDB_REGISTER_MAX] = { 0 };
    const char *value;
    unsigned n = (unsigned)strtoul(text, (char **)&value, 16);

    if (n < g->target->num_registers && *value == '=' && gdb_unhex(value + 1, buf, sizeof(buf)) &&
        g->target->set_register(g->opaque, chosen(g), n, buf)) {
        gdb_add(g, "OK");
    } else {
        error_reply(g, EINVAL);
    }
}

static void read_memory(GdbStub *g, const char *text)
{
    static uint8_t buf[GDB_PACKET / 2];
    uint64_t addr = strtoull(text, (char **)&text, 16);
    size_t n = *text == ',' ? strtoul(text + 1, NULL, 16) : 0;

    n = n < sizeof(buf) ? n : sizeof(buf);
    if (n && g->target->read(g->opaque, addr, buf, n)) {
        gdb_add_hex(g, buf, n);
    } else if (n) {
        error_reply(g, EFAULT);
    }
}

/* M addr,length:hex and X addr,length:binary; end is after the packet. */
static void write_memory(GdbStub *g, const char *text, const char *end, bool binary)
{
    static uint8_t buf[GDB_PACKET];
    uint64_t addr = strtoull(text, (char **)&text, 16);
    size_t n = *text == ',' ? strtoul(text + 1, (char **)&text, 16) : 0, have;

    if (*text++ != ':' || n > sizeof(buf)) {
        error_reply(g, EINVAL);
        return;
    }
    have = binary ? (size_t)(end - text) : gdb_unhex(text, buf, sizeof(buf));
    if (binary && have >= n) {
        memcpy(buf, text, n);
    }
    if (have < n || (n && !g->target->write(g->opaque, addr, buf, n))) {
        error_reply(g, EFAULT);
    } else {
        gdb_add(g, "OK");
    }
}

static void breakpoint(GdbStub *g, const char *text, bool on)
{
    uint64_t addr;

    if ((text[0] != '0' && text[0] != '1') || text[1] != ',') {
        return; /* watchpoints: gdb steps instead */
    }
    addr = strtoull(text + 2, NULL, 16);
    if (g->target->breakpoint(g->opaque, addr, on)) {
        gdb_add(g, "OK");
    } else {
        error_reply(g, EINVAL);
    }
}

/* Queries ------------------------------------------------------------------------- */

static void threads(GdbStub *g)
{
    uint64_t t = g->target->next_thread(g->opaque, 0);

    gdb_add(g, t ? "m" : "l");
    for (bool first = true; t; t = g->target->next_thread(g->opaque, t), first = false) {
        gdb_addf(g, first ? "%" PRIx64 : ",%" PRIx64, t);
    }
}

/* offset,length of data: m and a part, or l and the last. */
static void part(GdbStub *g, const char *range, const uint8_t *data, size_t size)
{
    size_t at = strtoul(range, (char **)&range, 16), n = *range == ',' ? strtoul(range + 1, NULL, 16) : 0;

    n = n < GDB_PACKET / 2 ? n : GDB_PACKET / 2;
    at = at < size ? at : size;
    n = n < size - at ? n : size - at;
    gdb_add(g, at + n == size ? "l" : "m");
    gdb_add_binary(g, data + at, n);
}

static void transfer(GdbStub *g, const char *text)
{
    const GdbTarget *t = g->target;

    if (!strncmp(text, "features:read:target.xml:", 25)) {
        const char *xml = t->description(g->opaque);
        part(g, text + 25, (const uint8_t *)xml, strlen(xml));
    } else if (!strncmp(text, "auxv:read::", 11) && t->auxv_size && t->auxv_size < 4096) {
        uint8_t buf[4096];
        if (t->read(g->opaque, (uintptr_t)t->auxv, buf, t->auxv_size)) {
            part(g, text + 11, buf, t->auxv_size);
        } else {
            error_reply(g, EFAULT);
        }
    } else if (!strncmp(text, "exec-file:read:", 15) && t->exec_file) {
        const char *range = strchr(text + 15, ':');
        part(g, range ? range + 1 : "", (const uint8_t *)t->exec_file, strlen(t->exec_file));
    }
}

static void set_passed(GdbStub *g, const char *text)
{
    memset(g->pass, 0, sizeof(g->pass));
    while (*text) {
        int sig = from_gdb((unsigned)strtoul(text, (char **)&text, 16));
        g->pass[sig / 64] |= 1ull << sig % 64;
        text += *text == ';';
    }
    gdb_add(g, "OK");
}

static void query(GdbStub *g, const char *text)
{
    if (!strncmp(text, "qSupported", 10)) {
        gdb_addf(g, "PacketSize=%x;qXfer:features:read+;QStartNoAckMode+;QPassSignals+;vContSupported+%s%s", GDB_PACKET,
                 g->target->auxv_size ? ";qXfer:auxv:read+" : "", g->target->exec_file ? ";qXfer:exec-file:read+" : "");
    } else if (!strncmp(text, "qXfer:", 6)) {
        transfer(g, text + 6);
    } else if (!strcmp(text, "QStartNoAckMode")) {
        gdb_add(g, "OK");
        gdb_send(g);
        g->no_ack = true;
        g->reply_len = SIZE_MAX; /* answered */
    } else if (!strncmp(text, "QPassSignals:", 13)) {
        set_passed(g, text + 13);
    } else if (!strcmp(text, "qC")) {
        gdb_addf(g, "QC%" PRIx64, g->stopped);
    } else if (!strcmp(text, "qfThreadInfo")) {
        threads(g);
    } else if (!strcmp(text, "qsThreadInfo")) {
        gdb_add(g, "l");
    } else if (!strncmp(text, "qAttached", 9)) {
        gdb_add(g, "0");
    }
}

static bool is_thread(GdbStub *g, uint64_t wanted)
{
    for (uint64_t t = g->target->next_thread(g->opaque, 0); t; t = g->target->next_thread(g->opaque, t)) {
        if (t == wanted) {
            return true;
        }
    }
    return false;
}

/* Resuming --------------------------------------------------------------------------- */

/* vCont;action[:thread]...: the first step counts; else the target goes on. */
static bool cont(GdbStub *g, const char *text, GdbResume *r)
{
    const char *end;

    *r = (GdbResume){ .action = GDB_CONTINUE, .thread = g->stopped };
    while (*text == ';') {
        char what = text[1];
        uint64_t thread = 0;
        int sig = 0;

        text += 2;
        if (what == 'C' || what == 'S') {
            sig = from_gdb((unsigned)strtoul(text, (char **)&text, 16));
        }
        if (*text == ':') {
            thread = id(g, text + 1, &end);
            text = end;
        }
        if (!strchr("cCsS", what)) {
            return false;
        }
        if ((what == 's' || what == 'S') && r->action != GDB_STEP) {
            r->action = GDB_STEP;
            r->thread = thread ? thread : g->stopped;
        }
        if (sig && (!thread || thread == g->stopped)) {
            r->signal = sig;
        }
    }
    return true;
}

/* True when the target is to run. */
static bool command(GdbStub *g, size_t len, int sig, GdbResume *r)
{
    const char *p = g->packet, *end;

    switch (p[0]) {
    case '?': reason(g, sig); break;
    case 'g': get_registers(g); break;
    case 'G': set_registers(g, p + 1); break;
    case 'p': get_register(g, p + 1); break;
    case 'P': set_register(g, p + 1); break;
    case 'm': read_memory(g, p + 1); break;
    case 'M': write_memory(g, p + 1, p + len, false); break;
    case 'X': write_memory(g, p + 1, p + len, true); break;
    case 'Z': breakpoint(g, p + 1, true); break;
    case 'z': breakpoint(g, p + 1, false); break;
    case 'q':
    case 'Q': query(g, p); break;
    case 'H':
        g->thread = id(g, p + 2, &end);
        gdb_add(g, "OK");
        break;
    case 'T':
        gdb_add(g, is_thread(g, id(g, p + 1, &end)) ? "OK" : "E01");
        break;
    case 'D':
        gdb_add(g, "OK");
        gdb_send(g);
        *r = (GdbResume){ .action = GDB_DETACH };
        return true;
    case 'k':
        *r = (GdbResume){ .action = GDB_KILL };
        return true;
    case 'c':
    case 's':
        *r = (GdbResume){ .action = p[0] == 's' ? GDB_STEP : GDB_CONTINUE, .thread = g->stopped };
        return true;
    case 'C':
    case 'S':
        *r = (GdbResume){ .action = p[0] == 'S' ? GDB_STEP : GDB_CONTINUE, .thread = g->stopped,
                          .signal = from_gdb((unsigned)strtoul(p + 1, NULL, 16)) };
        return true;
    case 'v':
        if (!strcmp(p, "vCont?")) {
            gdb_add(g, "vCont;c;C;s;S");
        } else if (!strncmp(p, "vCont;", 6) && cont(g, p + 5, r)) {
            return true;
        } else if (!strncmp(p, "vKill", 5)) {
            gdb_add(g, "OK");
            gdb_send(g);
            *r = (GdbResume){ .action = GDB_KILL };
            return true;
        } else if (!strncmp(p, "vFile:", 6)) {
            gdb_file(g, p + 6, len - 6);
        }
        break;
    }
    return false;
}

GdbResume gdb_stop(GdbStub *g, uint64_t thread, int sig, bool announce)
{
    GdbResume r = { .action = GDB_DETACH };
    size_t len;

    g->stopped = thread;
    g->thread = 0;
    if (announce) {
        reason(g, sig);
        gdb_send(g);
    }
    while (!g->gone && gdb_receive(g, &len)) {
        g->reply_len = 0;
        if (command(g, len, sig, &r)) {
            return r;
        }
        if (g->reply_len != SIZE_MAX) {
            gdb_send(g);
        }
    }
    return (GdbResume){ .action = GDB_DETACH };
}

bool gdb_interrupted(GdbStub *g)
{
    struct pollfd p = { .fd = g->fd, .events = POLLIN };
    bool stop = false;

    while (!g->gone && !stop && (g->in_at < g->in_len || poll(&p, 1, 0) > 0)) {
        int c = gdb_next_byte(g);
        stop = c == 3 || c < 0;
    }
    return stop || g->gone;
}

void gdb_exited(GdbStub *g, int status)
{
    gdb_addf(g, "W%02x", status & 0xff);
    gdb_send(g);
}

void gdb_killed(GdbStub *g, int sig)
{
    gdb_addf(g, "X%02x", gdb_signals[sig]);
    gdb_send(g);
}

bool gdb_passes(const GdbStub *g, int sig)
{
    return g->pass[sig / 64] >> sig % 64 & 1;
}

/* Connection --------------------------------------------------------------------------- */

static int listen_unix(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(a.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(a.sun_path, path, strlen(path));
    unlink(path);
    return s >= 0 && bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s, 1) == 0 ? s : -1;
}

static int listen_tcp(unsigned port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_ANY) };
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    return s >= 0 && bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s, 1) == 0 ? s : -1;
}

/* Out of the way of the descriptors of what is debugged. */
static int move_high(int fd)
{
    int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 500);

    if (high >= 0) {
        close(fd);
    }
    return high >= 0 ? high : fd;
}

GdbStub *gdb_listen(const char *where, const GdbTarget *target, void *opaque, Error **errp)
{
    char *end;
    unsigned long port = strtoul(where, &end, 10);
    bool tcp = *where && !*end;
    int s = -1, fd, one = 1;
    GdbStub *g;

    if (tcp && (port == 0 || port > 65535)) {
        error_set(errp, "-g: '%s' is not a port (1 to 65535)", where);
        return NULL;
    }
    s = tcp ? listen_tcp((unsigned)port) : listen_unix(where);
    fd = s >= 0 ? accept4(s, NULL, NULL, SOCK_CLOEXEC) : -1;
    if (fd < 0) {
        error_set_errno(errp, errno, "-g: %s", where);
        close(s);
        return NULL;
    }
    close(s);
    if (tcp) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    g = calloc(1, sizeof(*g));
    if (!g) {
        close(fd);
        error_set(errp, "-g: no memory");
        return NULL;
    }
    g->fd = move_high(fd);
    g->target = target;
    g->opaque = opaque;
    return g;
}

void gdb_free(GdbStub *g)
{
    if (g) {
        close(g->fd);
        free(g);
    }
}

int gdb_fd(const GdbStub *g)
{
    return g->fd;
}
