/* Monitors of a whole machine in this process: QMP as a stream of bytes, HMP as typed, expressions and formats. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/internal.h"
#include "qapi/schema.h"
#include "softmmu/board.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/program.h"

enum { LIFE = 50 /* inputs that one machine serves */, MAX_FEED = 64 };

static struct {
    System *s;
    Monitor *m;
    MonitorKind kind;
    unsigned served;
} p;

static void begin(MonitorKind kind)
{
    static const char *const args[] = { "-M", "pc", "-m", "16", "-accel", "qtest", "-nodefaults", "-vga", "std", "-chardev", "null,id=fuzz",
        "-chardev", "ringbuf,id=ring", "-device", "isa-serial,chardev=ring,id=com", NULL };

    p.kind = kind;
    p.s = program_new(args, &error_abort);
    p.m = monitor_new(p.s->monitors, chardev_find(p.s->tree, "fuzz"), kind, false, &error_abort);
    program_settle(p.s);
    p.served = 0;
}

static void end_input(void)
{
    program_settle(p.s);
    if (p.s->run.ending || p.s->run.config || ++p.served == LIFE) {
        program_free(p.s);
        begin(p.kind);
    }
}

static void feed(const ChardevHandlers *h, FuzzBytes b)
{
    while (fuzz_more(&b)) {
        int room = h->can_receive(p.m);
        FuzzBytes piece = fuzz_take(&b, (size_t)(room < MAX_FEED ? room : MAX_FEED));

        if (piece.len) {
            h->receive(p.m, piece.data, (int)piece.len);
        }
        program_settle(p.s);
    }
}

/* Would end or leave this process, or wait for somebody. */
static bool is_harmless(FuzzBytes b)
{
    static const char *const not[] = { "wait", "server", "telnet", "tcp:", "host", "unix", "fd:", "/dev/", NULL };

    for (unsigned i = 0; not[i]; i++) {
        if (memmem(b.data, b.len, not[i], strlen(not[i]))) {
            return false;
        }
    }
    return true;
}

/* ---- QMP ---- */

static void start_qmp(void)
{
    begin(MONITOR_QMP);
}

static void qmp(const uint8_t *data, size_t len)
{
    static const char hello[] = "{'execute':'qmp_capabilities'}\n";

    if (!is_harmless((FuzzBytes){ data, len })) {
        return;
    }
    qmp_handlers.event(p.m, CHARDEV_EVENT_CLOSED);
    qmp_handlers.event(p.m, CHARDEV_EVENT_OPENED);
    if (len && *data != '!') { /* else a client that does not say hello */
        feed(&qmp_handlers, (FuzzBytes){ (const uint8_t *)hello, strlen(hello) });
    }
    feed(&qmp_handlers, (FuzzBytes){ data, len });
    feed(&qmp_handlers, (FuzzBytes){ (const uint8_t *)"\n", 1 });
    end_input();
}

static void add_members(const QType *t)
{
    char word[128];

    for (uint32_t k = 0; t && k < t->num_members; k++) {
        snprintf(word, sizeof(word), "'%s': ", t->members[k].item.name);
        fuzz_add_word(word);
    }
}

static void qmp_words(void)
{
    const QSchema *s = &qschema_system;
    char word[512];

    for (uint32_t i = 0; i < s->num_commands; i++) {
        snprintf(word, sizeof(word), "{'execute': '%s', 'arguments': {", s->commands[i]->item.name);
        fuzz_add_word(word);
        if (s->commands[i]->example && strlen(s->commands[i]->example) < sizeof(word) - 2) {
            snprintf(word, sizeof(word), "%s\n", s->commands[i]->example);
            fuzz_add_word(word);
        }
        add_members(s->commands[i]->args);
    }
    for (uint32_t i = 0; i < s->num_classes; i++) {
        snprintf(word, sizeof(word), "'%s'", s->classes[i]->item.name);
        if (s->classes[i]->kind != QCLASS_CPU) {
            fuzz_add_word(word);
        }
    }
}

static const char *const qmp_word_list[] = { "{", "}}\n", ", ", ": ", "[", "]", "true", "false", "null", "0", "-1", "1.5", "'a'", "'/machine'", "'com'",
    "'/machine/peripheral/com'", "'type'", "\xff", "'ring'", "{'execute': 'device_add', 'arguments': {'driver': 'isa-serial', 'id': 'd'}}\n",
    "{'execute': 'device_del', 'arguments': {'id': 'com'}}\n", "{'execute': 'object-add', 'arguments': {'qom-type': 'memory-backend-ram', 'id': 'o', 'size': 65536}}\n",
    "{'execute': 'chardev-add', 'arguments': {'id': 'c', 'backend': {'type': 'null', 'data': {}}}}\n", "'id': 1", "'exec-oob': ", NULL };

const FuzzTarget fuzz_qmp = { .init = start_qmp, .run = qmp, .words = qmp_word_list, .add_words = qmp_words, .opens_files = true };

/* ---- HMP ---- */

static void start_hmp(void)
{
    begin(MONITOR_HMP);
}

static void hmp(const uint8_t *data, size_t len)
{
    if (!is_harmless((FuzzBytes){ data, len })) {
        return;
    }
    feed(&hmp_handlers, (FuzzBytes){ data, len });
    feed(&hmp_handlers, (FuzzBytes){ (const uint8_t *)"\n", 1 });
    end_input();
}

static void hmp_words(void)
{
    HmpEntry e;

    for (size_t i = 0; hmp_entry(&qschema_system, i, &e); i++) {
        char word[128], *bar;

        snprintf(word, sizeof(word), "\n%s", e.name);
        if ((bar = strchr(word, '|'))) {
            *bar = 0;
        }
        strcat(word, " ");
        fuzz_add_word(word);
        if (e.command) {
            continue;
        }
        for (uint32_t k = 0; e.hmp && e.hmp->args_type && k < e.hmp->args_type->num_members; k++) {
            fuzz_add_word(e.hmp->args_type->members[k].item.name);
        }
    }
}

static const char *const hmp_word_list[] = { "\n", "\r", "\t", "\t\t", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[3~", "\x1bOH", "\x01", "\x05", "\x0b", "\x10",
    "\x12", "\x17", "\x7f", " ", "/", "/10xb", "/4i", "0x", "$eip", "$rip", "(", ")", "+", "-", "*", "%", "\"", "\\n", "com", "ring", "/machine", "-a ", "-f ",
    "isa-serial,id=x", "null,id=y", "on", "off", "help ", "info ", "screendump ", NULL };

const FuzzTarget fuzz_hmp = { .init = start_hmp, .run = hmp, .words = hmp_word_list, .add_words = hmp_words, .opens_files = true, .max_len = 512 };

/* ---- Expressions, formats, arguments ---- */

static void expr(const uint8_t *data, size_t len)
{
    char *text = fuzz_text((FuzzBytes){ data, len });
    const char *at = text;
    Error *err = NULL;
    HmpFormat f = { 1, 'x', 4 };
    int64_t v;

    board_lock(p.s);
    if (hmp_expr(&p.m->cc, &at, &v, &err)) {
        QBuf b = { 0 };

        assert(at >= text && at <= text + strlen(text));
        hmp_format_value(&b, "xduoc"[(uint64_t)v % 5], 1 << ((uint64_t)v >> 8) % 4, (uint64_t)v, v & 0x10000);
        qbuf_finish(&b);
    }
    error_free(err);
    hmp_format(text, &f, NULL);
    for (size_t i = 0; i < 2; i++) {
        HmpEntry e;
        if (hmp_entry(&qschema_system, len ? *data + 256 * i : 0, &e)) {
            json_object_put(hmp_parse_args(&p.m->cc, &e, text, NULL));
        }
    }
    board_unlock(p.s);
    free(text);
}

static const char *const expr_words[] = { "(", ")", "((((((((", "+", "-", "~", "*", "/", "%", "&", "|", "^", "0x", "$rip", "$rax", "$", "'c'", "'", "0", "1",
    "9223372036854775808", "-1", " ", "\"", "\\", "-f ", "on", "off", "1G", "a=b,", NULL };

const FuzzTarget fuzz_expr = { .init = start_hmp, .run = expr, .words = expr_words, .max_len = 1024 };
