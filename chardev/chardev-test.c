/*
 * Chardevs as front ends use them: order and loss under many writers, back pressure, texts of every kind. What monitors show
 * of chardevs is tested from outside (tests/monitor/test_chardev.py).
 */
#include <glib.h>
#include <string.h>
#include <glib/gstdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "chardev/internal.h"
#include "chardev/ringbuf.h"
#include "qapi/json.h"
#include "qom/qom.gen.h"
#include "qom/values.h"

/* ---- A program of chardevs only ---- */

/* Bodies of the module's commands, which no program here calls. */
#define NO_BODY(name, ...)                                                                         \
    bool name(QCallContext *cc, ##__VA_ARGS__, Error **errp)                                       \
    {                                                                                              \
        g_assert_not_reached();                                                                    \
    }
NO_BODY(qmp_query_chardev, ChardevInfoList *ret)
NO_BODY(qmp_query_chardev_backends, ChardevBackendInfoList *ret)
NO_BODY(qmp_ringbuf_write, const RingbufWriteArgs *args)
NO_BODY(qmp_ringbuf_read, const RingbufReadArgs *args, char **ret)
NO_BODY(qmp_chardev_remove, const ChardevRemoveArgs *args)
NO_BODY(qmp_chardev_send_break, const ChardevSendBreakArgs *args)
void hmp_print_chardev(QCallContext *cc, const ChardevInfoList *ret)
{
}
void hmp_print_ringbuf(QCallContext *cc, char *const *ret)
{
}

static const QClass *const classes[] = {
    &qclass_chardev, &qclass_chardev_file, &qclass_chardev_mux, &qclass_chardev_null, &qclass_chardev_pipe,
    &qclass_chardev_pty, &qclass_chardev_ringbuf, &qclass_chardev_serial, &qclass_chardev_socket, &qclass_chardev_stdio,
    &qclass_chardev_vc, &qclass_container, &qclass_object,
};
static const QSchema schema = { .classes = classes, .num_classes = G_N_ELEMENTS(classes) };

typedef struct {
    ChardevContext ctx;
    ClockGroup clocks;
    int quits;
} Program;

static void on_quit(void *opaque)
{
    ((Program *)opaque)->quits++;
}

static void start(Program *p)
{
    memset(p, 0, sizeof(*p));
    clock_group_init(&p->clocks);
    p->ctx = (ChardevContext){ .tree = qom_tree_new(&schema, &qom_values), .loop = loop_new("test", NULL),
                               .clock = &p->clocks.clocks[CLOCK_REALTIME_NS], .opaque = p, .quit = on_quit };
}

static void finish(Program *p)
{
    qom_tree_free(p->ctx.tree);
    loop_free(p->ctx.loop);
    clock_group_finish(&p->clocks);
}

/* A socket chardev with its other end. */
static Chardev *socket_chardev(Program *p, const char *id, int *other)
{
    int fds[2];
    g_autofree char *text = NULL;
    struct json_object *props;
    Chardev *c;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    *other = fds[1];
    text = g_strdup_printf("{\"fd\": \"%d\"}", fds[0]);
    g_assert_true(qjson_parse(text, strlen(text), &props, NULL));
    c = chardev_new(&p->ctx, id, "socket", props, false, false, &error_abort);
    json_object_put(props);
    return c;
}

/* ---- Writers ---- */

enum { WRITERS = 3, RECORDS = 20000 };

typedef struct {
    Chardev *chr;
    void *front;
    uint8_t number;
} Writer;

/* Records of four bytes, whole or not at all: number, then a counter of 24 bits. */
static void *write_records(void *opaque)
{
    Writer *w = opaque;

    for (uint32_t i = 0; i < RECORDS;) {
        uint8_t rec[4] = { w->number, i & 255, i >> 8 & 255, i >> 16 };

        if (chardev_queued(w->chr, w->front) > 1 << 20) {
            g_usleep(100);
            continue;
        }
        g_assert_true(chardev_write_all(w->chr, w->front, rec, 4));
        i++;
    }
    return NULL;
}

typedef struct {
    int fd;
    bool done;
    Loop *loop;
} Reader;

static void *read_records(void *opaque)
{
    Reader *r = opaque;
    uint32_t next[WRITERS] = { 0 }, total = 0;
    uint8_t buf[4096];
    size_t have = 0;

    while (total < WRITERS * RECORDS) {
        ssize_t n = read(r->fd, buf + have, sizeof(buf) - have);

        g_assert_cmpint(n, >, 0);
        have += n;
        for (; have >= 4; total++, have -= 4, memmove(buf, buf + 4, have)) {
            g_assert_cmpuint(buf[0], <, WRITERS);
            g_assert_cmpuint(buf[1] | buf[2] << 8 | buf[3] << 16, ==, next[buf[0]]++);
        }
    }
    __atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
    loop_post(r->loop, (void (*)(void *))loop_quit, r->loop);
    return NULL;
}

static void test_writers(void)
{
    static const ChardevHandlers none = { 0 };
    Program p;
    Reader reader;
    Writer writers[WRITERS];
    GThread *threads[WRITERS], *reading;
    int other;
    Chardev *c;

    start(&p);
    c = socket_chardev(&p, "s", &other);
    g_assert_true(chardev_attach(c, &none, &p, &error_abort));
    g_assert_false(chardev_attach(c, &none, &other, NULL));
    reader = (Reader){ .fd = other, .loop = p.ctx.loop };
    reading = g_thread_new("reader", read_records, &reader);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (Writer){ c, &p, i };
        threads[i] = g_thread_new("writer", write_records, &writers[i]);
    }
    loop_run(p.ctx.loop);
    g_assert_true(reader.done);
    for (int i = 0; i < WRITERS; i++) {
        g_thread_join(threads[i]);
    }
    g_thread_join(reading);
    g_assert_cmpuint(chardev_queued(c, &p), ==, 0);
    chardev_detach(c, &p);
    finish(&p);
    close(other);
}

/* ---- Readers ---- */

typedef struct {
    Chardev *chr;
    GString *got;
    int room;
    int opened, closed, breaks;
} Front;

static int can_receive(void *opaque)
{
    return ((Front *)opaque)->room;
}

static void receive(void *opaque, const uint8_t *buf, int len)
{
    Front *f = opaque;

    g_assert_cmpint(len, <=, f->room);
    g_string_append_len(f->got, (const char *)buf, len);
    f->room -= len;
}

static void event(void *opaque, ChardevEvent e)
{
    Front *f = opaque;

    f->opened += e == CHARDEV_EVENT_OPENED;
    f->closed += e == CHARDEV_EVENT_CLOSED;
    f->breaks += e == CHARDEV_EVENT_BREAK;
}

static const ChardevHandlers front_handlers = { .can_receive = can_receive, .receive = receive, .event = event };

static void turns(Program *p)
{
    while (loop_run_once(p->ctx.loop, false)) {
    }
}

static void test_back_pressure(void)
{
    Program p;
    Front f = { .got = g_string_new(NULL), .room = 3 };
    int other;

    start(&p);
    f.chr = socket_chardev(&p, "s", &other);
    g_assert_true(chardev_attach(f.chr, &front_handlers, &f, &error_abort));
    g_assert_cmpint(f.opened, ==, 1);
    g_assert_cmpint(write(other, "abcdefgh", 8), ==, 8);
    turns(&p);
    g_assert_cmpstr(f.got->str, ==, "abc");
    turns(&p);
    f.room = 2;
    turns(&p);
    g_assert_cmpstr(f.got->str, ==, "abc"); /* nobody has told that there is room */
    chardev_accept_input(f.chr);
    turns(&p);
    g_assert_cmpstr(f.got->str, ==, "abcde");
    close(other); /* what was sent before is still read */
    turns(&p);
    g_assert_cmpint(f.closed, ==, 0);
    f.room = 100;
    chardev_accept_input(f.chr);
    turns(&p);
    g_assert_cmpstr(f.got->str, ==, "abcdefgh");
    g_assert_cmpint(f.closed, ==, 1);
    g_assert_cmpint(chardev_write(f.chr, &f, "x", 1), ==, 1); /* dropped */
    chardev_detach(f.chr, &f);
    g_string_free(f.got, TRUE);
    finish(&p);
}

static int client_of(const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    g_strlcpy(to.sun_path, path, sizeof(to.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&to, sizeof(to)), ==, 0);
    return fd;
}

/* A front end that takes nothing, as a guest that does not read: who has left what he sent does not keep out the next. */
static void test_next_client(void)
{
    Program p;
    Front f = { .got = g_string_new(NULL), .room = 2 };
    g_autofree char *folder = g_dir_make_tmp("kestrel-chardev-XXXXXX", NULL), *path = g_build_filename(folder, "s", NULL);
    g_autofree char *text = g_strdup_printf("unix:%s,server=on,wait=off", path);
    int fd;

    start(&p);
    f.chr = chardev_new_from_text(&p.ctx, "s", text, NULL, &error_abort);
    g_assert_true(chardev_attach(f.chr, &front_handlers, &f, &error_abort));
    for (int n = 1; n <= 5; n++) {
        fd = client_of(path);
        turns(&p);
        g_assert_cmpint(f.opened, ==, n);
        g_assert_cmpint(f.closed, ==, n - 1);
        g_assert_cmpint(write(fd, "abcd", 4), ==, 4);
        close(fd);
        turns(&p);
    }
    g_assert_cmpstr(f.got->str, ==, "ab");
    f.room = 10;
    chardev_accept_input(f.chr);
    turns(&p);
    g_assert_cmpstr(f.got->str, ==, "ababcd"); /* of the last all is there */
    g_assert_cmpint(f.closed, ==, 5);
    fd = client_of(path);
    turns(&p);
    g_assert_cmpint(f.opened, ==, 6);
    close(fd);
    chardev_detach(f.chr, &f);
    g_string_free(f.got, TRUE);
    finish(&p);
    g_rmdir(folder);
}

/* A full socket: bytes are taken or refused, never lost between. */
static void test_full(void)
{
    Program p;
    Front f = { .got = g_string_new(NULL) };
    char big[8192] = { 0 };
    size_t sent = 0, got = 0;
    int other, n;

    start(&p);
    f.chr = socket_chardev(&p, "s", &other);
    g_assert_true(chardev_attach(f.chr, &front_handlers, &f, &error_abort));
    while ((n = chardev_write(f.chr, &f, big, sizeof(big))) == sizeof(big)) {
        sent += n;
    }
    sent += n;
    g_assert_cmpint(chardev_write(f.chr, &f, big, 1), ==, 0);
    chardev_watch_writable(f.chr, &f, true);
    g_assert_true(chardev_write_all(f.chr, &f, big, sizeof(big)));
    sent += sizeof(big);
    g_assert_cmpuint(chardev_queued(f.chr, &f), ==, sizeof(big));
    while (got < sent) {
        turns(&p);
        n = read(other, big, sizeof(big));
        g_assert_cmpint(n, >, 0);
        got += n;
    }
    g_assert_cmpuint(got, ==, sent);
    chardev_detach(f.chr, &f);
    g_string_free(f.got, TRUE);
    finish(&p);
    close(other);
}

static void test_mux(void)
{
    Program p;
    Front a = { .got = g_string_new(NULL), .room = 1000 }, b = { .got = g_string_new(NULL), .room = 1000 };
    struct json_object *props = NULL;
    int other;
    Chardev *mux;

    start(&p);
    socket_chardev(&p, "s", &other);
    g_assert_true(qjson_parse("{\"chardev\": \"s\"}", 16, &props, NULL));
    mux = chardev_new(&p.ctx, "m", "mux", props, false, false, &error_abort);
    json_object_put(props);
    g_assert_true(chardev_attach(mux, &front_handlers, &a, &error_abort));
    g_assert_true(chardev_attach(mux, &front_handlers, &b, &error_abort));
    g_assert_cmpint(write(other, "1\001c2\001\001\001b\001x\001h", 12), ==, 12);
    turns(&p);
    g_assert_cmpstr(b.got->str, ==, "1");
    g_assert_cmpstr(a.got->str, ==, "2\001");
    g_assert_cmpint(a.breaks, ==, 1);
    g_assert_cmpint(p.quits, ==, 1);
    chardev_detach(mux, &a);
    chardev_detach(mux, &b);
    g_string_free(a.got, TRUE);
    g_string_free(b.got, TRUE);
    finish(&p);
    close(other);
}

/* ---- Texts ---- */

static void test_texts(void)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        { "null", "{\"backend\": \"null\"}" },
        { "file:a,b", "{\"backend\": \"file\", \"path\": \"a,b\"}" },
        { "/dev/ttyS3", "{\"backend\": \"serial\", \"path\": \"/dev/ttyS3\"}" },
        { "unix:a,,b,server=on,wait=off", "{\"backend\": \"socket\", \"path\": \"a,b\", \"server\": \"on\", \"wait\": \"off\"}" },
        { "unix:p,server,nowait", "{\"backend\": \"socket\", \"path\": \"p\", \"server\": \"on\", \"wait\": \"off\"}" },
        { "tcp::5555,server=on", "{\"backend\": \"socket\", \"host\": \"\", \"port\": \"5555\", \"server\": \"on\"}" },
        { "tcp:[::1]:22", "{\"backend\": \"socket\", \"host\": \"::1\", \"port\": \"22\"}" },
        { "telnet:h:23", "{\"backend\": \"socket\", \"telnet\": true, \"host\": \"h\", \"port\": \"23\"}" },
        { "tcp:h", NULL }, { "tcp:", NULL }, { "unix:", NULL }, { "file:", NULL }, { "", NULL }, { "stdi", NULL }, { "tcp:h:,x", NULL },
    };
    Program p;

    start(&p);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Error *err = NULL;
        struct json_object *j = chardev_parse_text(&p.ctx, cases[i].text, &err);
        char *text = j ? qjson_text(j, false) : NULL;

        g_assert_cmpstr(text, ==, cases[i].json);
        g_assert_true(!j == !!err);
        free(text);
        json_object_put(j);
        error_free(err);
    }
    finish(&p);
}

static void test_random_texts(void)
{
    static const char *const words[] = { "tcp", "unix", ":", ",", "=", "server", "on", "off", "[", "]", "file", "telnet", "5", "\xff", "nowait",
                                         "chardev", "mon", "a.b", "{", "\"", "stdio", "pty", "/dev/" };
    Program p;

    start(&p);
    for (int i = 0; i < 20000; i++) {
        GString *text = g_string_new(NULL);
        Error *err = NULL;
        struct json_object *j;

        for (int n = g_test_rand_int_range(0, 8); n > 0; n--) {
            g_string_append(text, words[g_test_rand_int_range(0, G_N_ELEMENTS(words))]);
        }
        j = chardev_parse_text(&p.ctx, text->str, &err);
        g_assert_true(!j == !!err);
        json_object_put(j);
        error_free(err);
        g_string_free(text, TRUE);
    }
    finish(&p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/chardev/writers", test_writers);
    g_test_add_func("/chardev/back-pressure", test_back_pressure);
    g_test_add_func("/chardev/next-client", test_next_client);
    g_test_add_func("/chardev/full", test_full);
    g_test_add_func("/chardev/mux", test_mux);
    g_test_add_func("/chardev/texts", test_texts);
    g_test_add_func("/chardev/random-texts", test_random_texts);
    return g_test_run();
}
