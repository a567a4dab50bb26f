/* What -help, -version, -device help and the like print, on standard output. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qapi/introspect.h"
#include "qapi/json.h"
#include "qapi/schema.h"
#include "softmmu/system.h"
#include "util/log.h"
#include "util/trace.h"
#include "util/version.h"

static void print_version(void)
{
    puts(VERSION_LINE_SYSTEM);
}

static void print_buf(QBuf *b)
{
    fputs(b->data ? b->data : "", stdout);
    qbuf_finish(b);
}

static bool print_options(const System *s)
{
    QBuf b = { 0 };

    print_version();
    printf("usage: %s [options] [disk_image]\n\n'disk_image' is the image of disk 0 on the IDE buses\n\n",
           program_invocation_short_name);
    qhelp_options(s->schema, &b);
    print_buf(&b);
    return true;
}

static bool print_schema(const System *s)
{
    struct json_object *j = qintrospect_all(s->schema);
    QBuf b = { 0 };

    qjson_write(&b, j, false, false);
    qbuf_char(&b, '\n');
    print_buf(&b);
    json_object_put(j);
    return true;
}

static void print_chardevs(const System *s)
{
    puts("Available chardev backend types: ");
    for (uint32_t i = 0; i < s->schema->num_classes; i++) {
        const QClass *k = s->schema->classes[i];
        if (k->kind == QCLASS_CHARDEV && !k->abstract) {
            printf("  %s\n", k->item.name + strlen("chardev-"));
        }
    }
}

/* The class that a record names, by its own rule for names; NULL: none. */
static const QClass *named_class(const System *s, const QOptionRecord *r, const char *name)
{
    static const struct {
        const char *option, *fmt;
    } rules[] = { { "machine", "%s-machine" }, { "accel", "%s-accel" }, { "chardev", "chardev-%s" } };
    const QClass *k = qschema_class(s->schema, name);

    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        if (!strcmp(rules[i].option, r->option->item.name)) {
            QBuf b = { 0 };
            const QClass *full;

            qbuf_printf(&b, rules[i].fmt, name);
            full = qschema_class(s->schema, b.data);
            qbuf_finish(&b);
            return full ? full : k;
        }
    }
    return k;
}

/* The names that an option takes: those of the classes of a kind, without what all of them end in. */
static void print_names(const System *s, QClassKind kind, const char *heading, const char *suffix)
{
    puts(heading);
    for (uint32_t i = 0; i < s->schema->num_classes; i++) {
        const QClass *k = s->schema->classes[i];
        size_t n = strlen(k->item.name), cut = strlen(suffix);

        if (k->kind != kind || k->abstract) {
            continue;
        }
        n -= n > cut && !strcmp(k->item.name + n - cut, suffix) ? cut : 0;
        if (k->alias) {
            printf("%-20s %s (alias of %.*s)\n", k->alias, k->item.doc, (int)n, k->item.name);
        }
        printf("%-20.*s %s\n", (int)n, k->item.name, k->item.doc);
    }
}

static void print_list(const System *s, const char *option)
{
    QBuf b = { 0 };

    if (!strcmp(option, "device")) {
        qhelp_devices(s->schema, &b);
    } else if (!strcmp(option, "machine")) {
        print_names(s, QCLASS_MACHINE, "Supported machines are:", "-machine");
    } else if (!strcmp(option, "accel")) {
        print_names(s, QCLASS_ACCEL, "Accelerators supported in this binary:", "-accel");
    } else if (!strcmp(option, "object")) {
        qhelp_list(s->schema, QCLASS_OBJECT, "List of user creatable objects:", &b);
    } else if (!strcmp(option, "chardev")) {
        print_chardevs(s);
    }
    print_buf(&b);
}

static bool is_help(const char *text)
{
    return text && (!strcmp(text, "help") || !strcmp(text, "?"));
}

/* "-device x,help", "-device help". */
static bool print_record_help(const System *s, const QOptionRecord *r, Error **errp)
{
    const char *key = r->option->implied_key, *name = key ? qkeyval_get(&r->kv, key) : NULL;
    const QClass *k = name ? named_class(s, r, name) : NULL;
    QBuf b = { 0 };

    if (k) {
        qhelp_class(s->schema, k, &b);
        print_buf(&b);
    } else if (r->option->args->rest && name && !is_help(name)) {
        const char *near = qsuggest_class(s->schema, r->option->item.name, name);

        error_set(errp, "-%s %s,help: %s '%s' not found", r->option->item.name, name,
                  !strcmp(r->option->item.name, "device") ? "Device" : "class", name);
        if (near) {
            error_hint(errp, "Did you mean '%s'?", near);
        }
    } else if (r->option->args->rest) {
        print_list(s, r->option->item.name);
    } else {
        printf("-%s %s\n%s\n", r->option->item.name, r->option->args_text, r->option->item.doc);
        for (uint32_t i = 0; i < r->option->args->num_members; i++) {
            const QMember *m = &r->option->args->members[i];
            printf("  %s - %s\n", m->item.name, m->item.doc);
        }
    }
    return true;
}

bool help_wanted(const System *s, Error **errp)
{
    if (option_given(s, "help")) {
        return print_options(s);
    }
    if (option_given(s, "version")) {
        print_version();
        return true;
    }
    if (option_given(s, "introspect")) {
        return print_schema(s);
    }
    for (size_t i = 0; i < s->options.len; i++) {
        if (s->options.items[i]->kv.wants_help) {
            return print_record_help(s, s->options.items[i], errp);
        }
    }
    if (is_help(option_text(s, "L"))) {
        for (size_t i = 0; data_folders[i]; i++) {
            puts(data_folders[i]);
        }
    } else if (is_help(option_text(s, "d"))) {
        log_print_help(stdout);
    } else if (is_help(option_text(s, "trace"))) {
        trace_print_help(stdout);
    } else if (is_help(option_text(s, "cpu"))) {
        print_names(s, QCLASS_CPU, "Available CPUs:", "-x86_64-cpu");
    } else {
        return false;
    }
    return true;
}
