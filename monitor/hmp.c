/* The HMP server: a prompt on a chardev, and running its lines. See monitor/hmp.h. */
#include "monitor/hmp.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/internal.h"
#include "qapi/schema.h"
#include "util/version.h"

enum { OUTPUT_MAX = 1 << 20 };

/* ---- Commands ---- */

bool hmp_entry(const QSchema *s, size_t i, HmpEntry *out)
{
    if (i < s->num_commands) {
        const QCommand *c = s->commands[i];
        *out = (HmpEntry){ .name = c->hmp_name, .args = c->hmp_args, .item = &c->item, .phases = c->phases, .command = c };
        return true;
    }
    i -= s->num_commands;
    if (i < s->num_hmp) {
        const QHmp *h = s->hmp[i];
        *out = (HmpEntry){ .name = h->item.name, .args = h->args, .item = &h->item, .phases = h->phases, .hmp = h };
        return true;
    }
    return false;
}

bool hmp_name_is(const char *names, const char *name, size_t len)
{
    for (const char *p = names; *p; p += *p == '|') {
        size_t n = strcspn(p, "|");

        if (n == len && !memcmp(p, name, n)) {
            return true;
        }
        p += n;
    }
    return false;
}

/* How long the command's name at p is: a word, up to the '/' of a format; with info, the next too. */
static size_t name_length(const char *p)
{
    size_t n = strcspn(p, " \t/"), blank;

    if (n == 4 && !memcmp(p, "info", 4)) {
        blank = strspn(p + n, " \t");
        if (blank && p[n + blank]) {
            n += blank + strcspn(p + n + blank, " \t");
        }
    }
    return n;
}

bool hmp_find(const QSchema *s, const char **line, HmpEntry *out)
{
    const char *p = *line + strspn(*line, " \t");
    size_t n = name_length(p), info = strcspn(p, " \t");
    QBuf name = { 0 };
    bool found = false;

    qbuf_add(&name, p, info < n ? info : n);
    if (info < n) { /* one blank between the words */
        const char *second = p + info + strspn(p + info, " \t");
        qbuf_char(&name, ' ');
        qbuf_add(&name, second, p + n - second);
    }
    for (size_t i = 0; n && !found && hmp_entry(s, i, out); i++) {
        found = out->name && hmp_name_is(out->name, name.data, name.len);
    }
    qbuf_finish(&name);
    *line = p + n;
    return found;
}

/* ---- Running ---- */

static bool run_hmp(QCallContext *cc, const QHmp *h, struct json_object *args, Error **errp)
{
    void *value = NULL;
    bool ok;

    if (!(h->phases & cc->phase(cc))) {
        return error_set(errp, "The command '%s' is not permitted now", h->item.name);
    }
    if (h->args_type) {
        value = q_calloc(1, h->args_type->size);
        if (!qvalue_from_text(h->args_type, args, value, cc->refs, errp)) {
            free(value);
            return false;
        }
    }
    ok = h->call(cc, value, errp);
    if (value) {
        qvalue_finish(h->args_type, value, cc->refs);
        free(value);
    }
    return ok;
}

static bool run_command(QCallContext *cc, const QCommand *c, struct json_object *args, Error **errp)
{
    void *ret = NULL;

    if (!qcommand_call(cc, c, args, true, &ret, errp)) {
        return false;
    }
    if (c->hmp_print) { /* which takes the address of what the body returned */
        bool pointer = c->ret->kind == QK_STRUCT || c->ret->kind == QK_UNION || c->ret->kind == QK_ALTERNATE;
        c->hmp_print(cc, pointer ? &ret : ret);
    }
    qcommand_ret_free(cc, c, ret);
    return true;
}

static void print_error(QCallContext *cc, Error *err)
{
    const char *hint = error_hint_text(err);

    monitor_printf(cc, "Error: %s\n", error_message(err));
    if (hint) {
        monitor_printf(cc, "%s%s", hint, hint[0] && hint[strlen(hint) - 1] == '\n' ? "" : "\n");
    }
    error_free(err);
}

/* "NAME: what is wrong with its words", and where help is. */
static void print_misuse(QCallContext *cc, const HmpEntry *e, Error *err)
{
    const char *last = strrchr(e->name, ' ');
    bool extra = strstr(error_message(err), "extraneous") || strstr(error_message(err), "expected");

    if (extra && strcmp(error_message(err), "')' expected")) {
        monitor_printf(cc, "%s: ", last ? last + 1 : e->name);
    }
    monitor_printf(cc, "%s\n", error_message(err));
    if (error_hint_text(err)) {
        monitor_printf(cc, "%s\n", error_hint_text(err));
    }
    monitor_printf(cc, "Try \"help %.*s\" for more information\n", (int)strcspn(e->name, "|"), e->name);
    error_free(err);
}

static const char *listed(const void *opaque, size_t i)
{
    return ((char *const *)opaque)[i];
}

/* The command nearest to name, without its other spellings ("stop|s"); free() it. NULL: none is near. */
static char *nearest(const QSchema *s, const char *name)
{
    size_t n = s->num_commands + s->num_hmp;
    char **names = q_calloc(n, sizeof(*names)), *found;
    const char *near;
    HmpEntry e;

    for (size_t i = 0; hmp_entry(s, i, &e); i++) {
        names[i] = e.name ? q_strndup(e.name, strcspn(e.name, "|")) : NULL;
    }
    near = qsuggest(name, listed, names, n);
    found = near ? q_strdup(near) : NULL;
    for (size_t i = 0; i < n; i++) {
        free(names[i]);
    }
    free(names);
    return found;
}

static void print_unknown(QCallContext *cc, const char *start, const char *end)
{
    size_t n;
    char *name, *near;

    start += strspn(start, " \t");
    for (n = end - start; n && isspace((unsigned char)start[n - 1]); n--) {
    }
    name = q_strndup(start, n);
    near = nearest(cc->schema, name);
    monitor_printf(cc, "unknown command: '%s'\n", name);
    if (near && n > 3) { /* every word of three letters is near to another */
        monitor_printf(cc, "Did you mean '%s'?\n", near);
    }
    free(near);
    free(name);
}

void hmp_run_line(Monitor *m, const char *line)
{
    const char *p = line + strspn(line, " \t");
    QCallContext *cc = &m->cc;
    struct json_object *args;
    Error *err = NULL;
    HmpEntry e;
    bool ok;

    if (!*p || *p == '#') {
        return;
    }
    if (!hmp_find(cc->schema, &p, &e)) {
        print_unknown(cc, line, p);
        return;
    }
    args = hmp_parse_args(cc, &e, p, &err);
    if (!args) {
        print_misuse(cc, &e, err);
        return;
    }
    ok = e.command ? run_command(cc, e.command, args, &err) : run_hmp(cc, e.hmp, args, &err);
    if (!ok) {
        print_error(cc, err);
    }
    json_object_put(args);
}

/* ---- The prompt ---- */

static void write_line(void *opaque, const char *text, size_t len)
{
    monitor_write(opaque, text, len);
}

static void run_line(void *opaque, const char *line)
{
    Monitor *m = opaque;

    m->set->host->lock(m->set->program);
    hmp_run_line(m, line);
    m->set->host->unlock(m->set->program);
    if (m->shown) {
        readline_show(m->line);
    }
}

static int can_receive(void *opaque)
{
    Monitor *m = opaque;

    if (chardev_queued(m->chr, m) > OUTPUT_MAX) { /* until it has read that */
        chardev_watch_writable(m->chr, m, true);
        return 0;
    }
    return 256;
}

static void receive(void *opaque, const uint8_t *buf, int len)
{
    Monitor *m = opaque;

    readline_feed(m->line, (const char *)buf, len);
}

static void writable(void *opaque)
{
    chardev_accept_input(((Monitor *)opaque)->chr);
}

static void greet(Monitor *m)
{
    static const char hello[] = "QEMU " VERSION_TEXT " monitor - type 'help' for more information\r\n";

    monitor_write(m, hello, sizeof(hello) - 1);
    m->greeted = true;
}

/* On a mux others have the terminal until this one has the focus. */
static void show(Monitor *m)
{
    if (m->shown && chardev_is_open(m->chr)) {
        if (!m->greeted) {
            greet(m);
        }
        readline_show(m->line);
    }
}

static void event(void *opaque, ChardevEvent e)
{
    Monitor *m = opaque;

    switch (e) {
    case CHARDEV_EVENT_OPENED:
        readline_restart(m->line);
        m->greeted = false;
        show(m);
        break;
    case CHARDEV_EVENT_MUX_IN:
        m->shown = true;
        monitor_write(m, "\r\n", m->greeted ? 2 : 0);
        show(m);
        break;
    case CHARDEV_EVENT_MUX_OUT:
        m->shown = false;
        monitor_write(m, "\r\n", 2);
        break;
    default:
        break;
    }
}

const ChardevHandlers hmp_handlers = {
    .can_receive = can_receive, .receive = receive, .event = event, .writable = writable,
};

void hmp_start(Monitor *m)
{
    m->line = readline_new(write_line, run_line, hmp_complete, m);
    m->shown = !object_is_a((Object *)m->chr, "chardev-mux");
    readline_prompt(m->line, "(qemu) ");
}
