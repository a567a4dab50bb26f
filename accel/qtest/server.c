/* The qtest protocol. The contract, with the list of commands, is in accel/qtest/qtest.h. */
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "accel/qtest/qtest.h"
#include "util/clock.h"

enum { WORDS_MAX = 6, LINE_MAX_BYTES = 48 << 20, DATA_MAX = 16 << 20 };

/* A line that is listened to: an input of a device, or what stands in for one of its outputs. */
typedef struct Tap {
    QtestServer *s;
    Irq *irq;          /* input: the device's; output: ours */
    Irq **pin;         /* output: where ours was put */
    Irq *old;          /* output: what was there */
    int n, level;
    struct Tap *next;
} Tap;

struct QtestServer {
    Machine *m;
    Chardev *chr;      /* NULL: raw */
    void (*send)(void *opaque, const char *line);
    void *opaque;
    FILE *log;
    int64_t start_ns;
    GString *input;
    bool skipping;     /* the rest of a line that was too long */
    Tap *taps;
    Object *tapped;    /* whose lines taps are; only compared */
};

/* ---- Answers ---- */

static void log_line(QtestServer *s, char direction, const char *line)
{
    if (s->log) {
        double t = (clock_host_monotonic_ns() - s->start_ns) / 1e9;

        fprintf(s->log, "[%c +%.6f] %s%s", direction, t, line, g_str_has_suffix(line, "\n") ? "" : "\n");
        fflush(s->log);
    }
}

static void G_GNUC_PRINTF(2, 3) answer(QtestServer *s, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    log_line(s, 'S', text);
    if (!s->chr) {
        s->send(s->opaque, text);
    } else if (!chardev_write_all(s->chr, s, text, strlen(text))) {
        chardev_disconnect(s->chr); /* it does not read: 64 MiB wait already */
    }
}

static void ok(QtestServer *s)
{
    answer(s, "OK\n");
}

/* ---- Commands ---- */

typedef struct {
    const char *name;
    char *args[WORDS_MAX];
    unsigned num;
    bool bad; /* an argument was no number: answered already */
} Line;

static uint64_t number(QtestServer *s, Line *l, unsigned i)
{
    char *end;
    uint64_t v;

    errno = 0;
    v = g_ascii_strtoull(l->args[i], &end, 0);
    if (!l->bad && (errno || *end || end == l->args[i])) {
        answer(s, "FAIL %s: '%s' is not a number\n", l->name, l->args[i]);
        l->bad = true;
    }
    return v;
}

/* The size that the last letter of the command says. */
static unsigned size_of(const char *name)
{
    switch (name[strlen(name) - 1]) {
    case 'b':
        return 1;
    case 'w':
        return 2;
    case 'l':
        return 4;
    default:
        return 8;
    }
}

static void cmd_out(QtestServer *s, Line *l)
{
    uint64_t addr = number(s, l, 0), v = number(s, l, 1);

    if (!l->bad) {
        address_space_st(s->m->as_io, addr & 0xffff, size_of(l->name), DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, v);
        ok(s);
    }
}

static void cmd_in(QtestServer *s, Line *l)
{
    uint64_t addr = number(s, l, 0), v;

    if (!l->bad) {
        address_space_ld(s->m->as_io, addr & 0xffff, size_of(l->name), DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, &v);
        answer(s, "OK 0x%04" PRIx64 "\n", v);
    }
}

static void cmd_write_one(QtestServer *s, Line *l)
{
    uint64_t addr = number(s, l, 0), v = number(s, l, 1);

    if (!l->bad) {
        address_space_st(s->m->as_memory, addr, size_of(l->name), DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, v);
        ok(s);
    }
}

static void cmd_read_one(QtestServer *s, Line *l)
{
    uint64_t addr = number(s, l, 0), v;

    if (!l->bad) {
        address_space_ld(s->m->as_memory, addr, size_of(l->name), DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, &v);
        answer(s, "OK 0x%016" PRIx64 "\n", v);
    }
}

/* Address and size of a block; false: answered already. */
static bool block(QtestServer *s, Line *l, uint64_t *addr, uint64_t *size)
{
    *addr = number(s, l, 0);
    *size = number(s, l, 1);
    if (l->bad) {
        return false;
    }
    if (*size == 0 || *size > DATA_MAX) {
        answer(s, "FAIL %s: size %" PRIu64 " is not from 1 to %d\n", l->name, *size, DATA_MAX);
        return false;
    }
    return true;
}

static void cmd_read(QtestServer *s, Line *l)
{
    static const char digits[] = "0123456789abcdef";
    g_autofree uint8_t *data = NULL;
    g_autofree char *hex = NULL;
    uint64_t addr, size;

    if (!block(s, l, &addr, &size)) {
        return;
    }
    data = g_malloc(size);
    address_space_read(s->m->as_memory, addr, MEMTXATTRS_NONE, data, size);
    if (l->name[0] == 'b') {
        hex = g_base64_encode(data, size);
        answer(s, "OK %s\n", hex);
        return;
    }
    hex = g_malloc(2 * size + 1);
    for (uint64_t i = 0; i < size; i++) {
        hex[2 * i] = digits[data[i] >> 4];
        hex[2 * i + 1] = digits[data[i] & 15];
    }
    hex[2 * size] = '\0';
    answer(s, "OK 0x%s\n", hex);
}

static void cmd_memset(QtestServer *s, Line *l)
{
    uint64_t addr, size, byte;

    if (block(s, l, &addr, &size)) {
        byte = number(s, l, 2);
        if (!l->bad) {
            address_space_fill(s->m->as_memory, addr, MEMTXATTRS_NONE, byte, size);
            ok(s);
        }
    }
}

/* Bytes that are not given are 0. */
static void cmd_write(QtestServer *s, Line *l)
{
    g_autofree uint8_t *data = NULL;
    const char *hex = l->args[2];
    uint64_t addr, size;

    if (!block(s, l, &addr, &size)) {
        return;
    }
    if (strncmp(hex, "0x", 2) || strspn(hex + 2, "0123456789abcdefABCDEF") != strlen(hex + 2) || strlen(hex) % 2) {
        answer(s, "FAIL write: data must be 0x and pairs of hexadecimal digits\n");
        return;
    }
    data = g_malloc0(size);
    for (uint64_t i = 0; i < size && hex[2 + 2 * i]; i++) {
        data[i] = g_ascii_xdigit_value(hex[2 + 2 * i]) << 4 | g_ascii_xdigit_value(hex[3 + 2 * i]);
    }
    address_space_write(s->m->as_memory, addr, MEMTXATTRS_NONE, data, size);
    ok(s);
}

static void cmd_b64write(QtestServer *s, Line *l)
{
    g_autofree uint8_t *data = NULL;
    uint64_t addr, size;
    gsize got;

    if (!block(s, l, &addr, &size)) {
        return;
    }
    data = g_base64_decode(l->args[2], &got);
    if (got != size) {
        answer(s, "FAIL b64write: %zu bytes of data, but a size of %" PRIu64 "\n", (size_t)got, size);
        return;
    }
    address_space_write(s->m->as_memory, addr, MEMTXATTRS_NONE, data, size);
    ok(s);
}

static void cmd_endianness(QtestServer *s, Line *l)
{
    answer(s, "OK little\n");
}

static Clock *virtual_clock(QtestServer *s)
{
    return &s->m->clocks.clocks[CLOCK_VIRTUAL_NS];
}

static void step_to(QtestServer *s, int64_t ns)
{
    clock_group_step(&s->m->clocks, ns);
    answer(s, "OK %" PRId64 "\n", clock_ns(virtual_clock(s)));
}

/* Only under -accel qtest is virtual time the client's to move. */
static bool may_move_clock(QtestServer *s, const char *command)
{
    if (!s->m->clocks.manual) {
        answer(s, "FAIL %s: virtual time runs by itself without -accel qtest\n", command);
    }
    return s->m->clocks.manual;
}

static void cmd_clock_step(QtestServer *s, Line *l)
{
    int64_t now = clock_ns(virtual_clock(s));
    uint64_t ns;

    if (!may_move_clock(s, "clock_step")) {
        return;
    }
    if (l->num == 0) {
        int64_t next = clock_next_deadline(virtual_clock(s));

        step_to(s, next < 0 ? now : next);
        return;
    }
    ns = number(s, l, 0);
    if (!l->bad && ns > (uint64_t)(INT64_MAX - now)) {
        answer(s, "FAIL clock_step: %" PRIu64 " ns is beyond the end of time\n", ns);
    } else if (!l->bad) {
        step_to(s, now + (int64_t)ns);
    }
}

static void cmd_clock_set(QtestServer *s, Line *l)
{
    uint64_t ns = number(s, l, 0);

    if (!may_move_clock(s, "clock_set")) {
        return;
    }
    if (!l->bad && ns > INT64_MAX) {
        answer(s, "FAIL clock_set: %" PRIu64 " ns is beyond the end of time\n", ns);
    } else if (!l->bad) {
        step_to(s, (int64_t)ns);
    }
}

/* ---- Interrupt lines ---- */

static void told(Tap *t, int level)
{
    if (level != t->level) {
        t->level = level;
        answer(t->s, "IRQ %s %d\n", level ? "raise" : "lower", t->n);
    }
}

static void input_set(void *opaque, Irq *irq, int level)
{
    told(opaque, level);
}

static void output_set(void *opaque, int n, int level)
{
    Tap *t = opaque;

    irq_set(t->old, level);
    told(t, level);
}

static void tap_line(QtestServer *s, const IrqGroup *g, int n)
{
    Tap *t = g_new0(Tap, 1);

    t->s = s;
    t->n = n;
    t->next = s->taps;
    s->taps = t;
    if (g->in) {
        t->irq = &g->in[n];
        t->irq->intercept = input_set;
        t->irq->intercept_opaque = t;
    } else {
        t->irq = irq_new(output_set, t, n);
        t->pin = &g->out[n];
        t->old = *t->pin;
        *t->pin = t->irq;
    }
}

static void untap_all(QtestServer *s)
{
    while (s->taps) {
        Tap *t = s->taps;

        s->taps = t->next;
        if (t->pin) {
            *t->pin = t->old;
            irq_free(t->irq);
        } else {
            t->irq->intercept = NULL;
        }
        g_free(t);
    }
}

static Device *find_device(QtestServer *s, const char *path)
{
    Object *o = qom_resolve(s->m->tree, path, NULL);

    if (!o || o->klass->kind != QCLASS_DEVICE) {
        answer(s, "FAIL Unknown device\n");
        return NULL;
    }
    return DEVICE(o);
}

static const char *group_name(const char *text)
{
    return text && strcmp(text, "unnamed-gpio-in") && strcmp(text, "unnamed-gpio-out") ? text : NULL;
}

static void cmd_irq_intercept(QtestServer *s, Line *l)
{
    bool in = g_str_has_suffix(l->name, "_in");
    const char *name = group_name(l->num > 1 ? l->args[1] : NULL);
    bool any = !in && l->num < 2; /* outputs of all groups, unless one is named */
    Device *d = find_device(s, l->args[0]);

    if (!d) {
        return;
    }
    if (s->tapped) {
        if (s->tapped == OBJECT(d)) {
            ok(s);
        } else {
            answer(s, "FAIL IRQ intercept already enabled\n");
        }
        return;
    }
    s->tapped = OBJECT(d);
    for (const IrqGroup *g = device_irq_groups(d); g; g = g->next) {
        if (!g->out == in && (any || !g_strcmp0(g->name, name))) {
            for (int n = 0; n < g->num; n++) {
                tap_line(s, g, n);
            }
        }
    }
    ok(s);
}

static void cmd_set_irq_in(QtestServer *s, Line *l)
{
    uint64_t n = number(s, l, 2), level = number(s, l, 3);
    Device *d = l->bad ? NULL : find_device(s, l->args[0]);

    if (!d) {
        return;
    }
    for (const IrqGroup *g = device_irq_groups(d); g; g = g->next) {
        if (!g->out && !g_strcmp0(g->name, group_name(l->args[1])) && n < (uint64_t)g->num) {
            irq_set(&g->in[n], (int)level);
            ok(s);
            return;
        }
    }
    answer(s, "FAIL Unknown IRQ\n");
}

/* ---- Lines ---- */

static const struct {
    const char *name;
    unsigned min_args, max_args;
    void (*run)(QtestServer *, Line *);
    bool locked;
} commands[] = {
    {"outb", 2, 2, cmd_out, true}, {"outw", 2, 2, cmd_out, true}, {"outl", 2, 2, cmd_out, true},
    {"inb", 1, 1, cmd_in, true}, {"inw", 1, 1, cmd_in, true}, {"inl", 1, 1, cmd_in, true},
    {"writeb", 2, 2, cmd_write_one, true}, {"writew", 2, 2, cmd_write_one, true},
    {"writel", 2, 2, cmd_write_one, true}, {"writeq", 2, 2, cmd_write_one, true},
    {"readb", 1, 1, cmd_read_one, true}, {"readw", 1, 1, cmd_read_one, true},
    {"readl", 1, 1, cmd_read_one, true}, {"readq", 1, 1, cmd_read_one, true},
    {"read", 2, 2, cmd_read, true}, {"b64read", 2, 2, cmd_read, true},
    {"write", 3, 3, cmd_write, true}, {"b64write", 3, 3, cmd_b64write, true}, {"memset", 3, 3, cmd_memset, true},
    {"endianness", 0, 0, cmd_endianness, false},
    {"clock_step", 0, 1, cmd_clock_step, false}, {"clock_set", 1, 1, cmd_clock_set, false},
    {"irq_intercept_in", 1, 2, cmd_irq_intercept, true}, {"irq_intercept_out", 1, 2, cmd_irq_intercept, true},
    {"set_irq_in", 4, 4, cmd_set_irq_in, true},
};

static void run_line(QtestServer *s, char *text)
{
    char *save = NULL;
    Line l = {0};

    log_line(s, 'R', text);
    l.name = strtok_r(text, " \t\r", &save);
    if (!l.name) {
        return;
    }
    for (char *w; (w = strtok_r(NULL, " \t\r", &save)); l.num++) {
        if (l.num < WORDS_MAX) {
            l.args[l.num] = w;
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(commands[i].name, l.name)) {
            continue;
        }
        if (l.num < commands[i].min_args || l.num > commands[i].max_args) {
            answer(s, "FAIL %s: %u arguments given\n", l.name, l.num);
            return;
        }
        if (commands[i].locked) {
            machine_lock(s->m);
        }
        commands[i].run(s, &l);
        if (commands[i].locked) {
            machine_unlock(s->m);
        }
        return;
    }
    answer(s, "FAIL Unknown command '%s'\n", l.name);
}

void qtest_server_feed(QtestServer *s, const void *data, size_t len)
{
    const char *p = data;
    const char *end = p + len;

    while (p < end) {
        const char *newline = memchr(p, '\n', end - p);
        size_t n = (newline ? newline : end) - p;

        if (!s->skipping && s->input->len + n > LINE_MAX_BYTES) {
            answer(s, "FAIL line too long\n");
            s->skipping = true;
            g_string_truncate(s->input, 0);
        }
        if (!s->skipping) {
            g_string_append_len(s->input, p, n);
        }
        if (!newline) {
            return;
        }
        if (!s->skipping) {
            run_line(s, s->input->str);
        }
        s->skipping = false;
        g_string_truncate(s->input, 0);
        p = newline + 1;
    }
}

/* ---- Life ---- */

static int can_receive(void *opaque)
{
    return 4096;
}

static void receive(void *opaque, const uint8_t *buf, int len)
{
    qtest_server_feed(opaque, buf, len);
}

static void event(void *opaque, ChardevEvent e)
{
    QtestServer *s = opaque;

    if (e == CHARDEV_EVENT_OPENED) {
        log_line(s, 'I', "OPENED");
    } else if (e == CHARDEV_EVENT_CLOSED) { /* the next one begins anew */
        log_line(s, 'I', "CLOSED");
        g_string_truncate(s->input, 0);
        s->skipping = false;
        machine_lock(s->m);
        untap_all(s);
        s->tapped = NULL;
        machine_unlock(s->m);
    }
}

QtestServer *qtest_server_new_raw(Machine *m, void (*send)(void *opaque, const char *line), void *opaque)
{
    QtestServer *s = g_new0(QtestServer, 1);

    s->m = m;
    s->send = send;
    s->opaque = opaque;
    s->input = g_string_new("");
    s->start_ns = clock_host_monotonic_ns();
    return s;
}

QtestServer *qtest_server_new(Machine *m, Chardev *chr, const char *log, Error **errp)
{
    static const ChardevHandlers handlers = {.can_receive = can_receive, .receive = receive, .event = event};
    QtestServer *s = qtest_server_new_raw(m, NULL, NULL);

    if (log && *log) {
        s->log = fopen(log, "we");
        if (!s->log) {
            error_set_errno(errp, errno, "-qtest-log: could not open '%s'", log);
            qtest_server_free(s);
            return NULL;
        }
    }
    if (!chardev_attach(chr, &handlers, s, errp)) {
        qtest_server_free(s);
        return NULL;
    }
    s->chr = chr;
    chardev_set_open(chr, s, true);
    return s;
}

void qtest_server_free(QtestServer *s)
{
    if (!s) {
        return;
    }
    if (s->chr) {
        chardev_detach(s->chr, s);
    }
    machine_lock(s->m);
    untap_all(s);
    machine_unlock(s->m);
    if (s->log) {
        fclose(s->log);
    }
    g_string_free(s->input, TRUE);
    g_free(s);
}
