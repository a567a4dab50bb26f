/* What -help, -version, -device help and the like print, on standard output. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "qapi/introspect-item.h"
#include "qapi/introspect.h"
#include "qapi/schema.h"
#include "softmmu/options.gen.h"
#include "softmmu/system.h"
#include "target/i386/models.h"
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
    QBuf b = { 0 };

    qintrospect_all(s->schema, &b);
    print_buf(&b);
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

/* ---- Lists ---- */

typedef struct {
    char *name;       /* as the option takes it; owned */
    const QClass *klass;
    const char *alias_of; /* NULL: none */
} Row;

typedef struct {
    Row *items;
    size_t len;
} Rows;

static void add_row(Rows *rows, const char *name, size_t len, const QClass *k, const char *alias_of)
{
    rows->items = q_realloc(rows->items, rows->len + 1, sizeof(*rows->items));
    rows->items[rows->len++] = (Row){ q_strndup(name, len), k, alias_of };
}

static int by_name(const void *a, const void *b)
{
    return strcasecmp(((const Row *)a)->name, ((const Row *)b)->name);
}

/* The classes of a kind, without what all their names end in, and their aliases; sorted. */
static Rows take_rows(const System *s, QClassKind kind, const char *suffix)
{
    Rows rows = { 0 };
    size_t cut = strlen(suffix);

    for (uint32_t i = 0; i < s->schema->num_classes; i++) {
        const QClass *k = s->schema->classes[i];
        size_t n = strlen(k->item.name);

        if (k->kind != kind || k->abstract) {
            continue;
        }
        n -= n > cut && !strcmp(k->item.name + n - cut, suffix) ? cut : 0;
        add_row(&rows, k->item.name, n, k, NULL);
        if (k->alias) {
            add_row(&rows, k->alias, strlen(k->alias), k, k->item.name);
        }
    }
    if (rows.len) {
        qsort(rows.items, rows.len, sizeof(*rows.items), by_name);
    }
    return rows;
}

static void rows_finish(Rows *rows)
{
    for (size_t i = 0; i < rows->len; i++) {
        free(rows->items[i].name);
    }
    free(rows->items);
}

static void print_machines(const System *s)
{
    Rows rows = take_rows(s, QCLASS_MACHINE, "-machine");

    puts("Supported machines are:");
    for (size_t i = 0; i < rows.len; i++) {
        const Row *r = &rows.items[i];
        char *doc = qitem_summary(&r->klass->item);

        printf("%-20s %s", r->name, doc);
        if (r->alias_of) {
            printf(" (alias of %.*s)", (int)(strlen(r->alias_of) - strlen("-machine")), r->alias_of);
        } else if (machine_is_default(r->klass)) {
            fputs(" (default)", stdout);
        }
        puts(r->klass->item.stability == STABILITY_DEPRECATED ? " (deprecated)" : "");
        free(doc);
    }
    rows_finish(&rows);
}

static void print_accels(const System *s)
{
    Rows rows = take_rows(s, QCLASS_ACCEL, "-accel");

    puts("Accelerators supported in QEMU binary:");
    for (size_t i = 0; i < rows.len; i++) {
        puts(rows.items[i].name);
    }
    rows_finish(&rows);
}

/* Names in lines of at most 75 characters. */
static void print_wrapped(const QType *t)
{
    int column = 0;

    for (uint32_t i = 0; i < t->num_members; i++) {
        const QMember *m = &t->members[i];
        int n = (int)strlen(m->item.name);

        if (m->type->kind != QK_BOOL) {
            continue;
        }
        column += n + 1;
        if (column > 75 || column == n + 1) {
            printf(column == n + 1 ? " " : "\n ");
            column = n + 2;
        }
        printf(" %s", m->item.name);
    }
    putchar('\n');
}

static void print_cpus(const System *s)
{
    Rows rows = take_rows(s, QCLASS_CPU, "-x86_64-cpu");
    const QClass *base = qschema_class(s->schema, "x86_64-cpu");

    puts("Available CPUs:");
    for (size_t i = 0; i < rows.len; i++) {
        const Row *r = &rows.items[i];
        const char *alias = x86_model_alias(r->name);
        char *doc = qitem_summary(&r->klass->item);

        if (alias && x86_model_is_unversioned(r->name)) {
            printf("  %-20s  (alias configured by machine type)\n", r->name);
        } else if (alias) {
            printf("  %-20s  (alias of %s)\n", r->name, alias);
        } else {
            printf("  %-20s  %s\n", r->name, doc);
        }
        free(doc);
    }
    rows_finish(&rows);
    if (base) {
        puts("\nRecognized CPUID flags:");
        print_wrapped(base->conf);
    }
}

/* The values of an option that chooses one of some. */
static void print_values(const QType *t, const char *heading)
{
    if (heading) {
        puts(heading);
    }
    for (uint32_t i = 0; i < t->num_values; i++) {
        heading ? puts(t->values[i].item.name) : printf("%-20s %s\n", t->values[i].item.name, t->values[i].item.doc);
    }
}

static void print_list(const System *s, const char *option)
{
    QBuf b = { 0 };

    if (!strcmp(option, "device")) {
        qhelp_devices(s->schema, &b);
    } else if (!strcmp(option, "machine")) {
        print_machines(s);
    } else if (!strcmp(option, "accel")) {
        print_accels(s);
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
    } else if (!strcmp(r->option->item.name, "display")) {
        print_values(&qtype_DisplayType, "Available display backend types:");
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
        print_cpus(s);
    } else if (is_help(option_text(s, "vga"))) {
        print_values(&qtype_VgaType, NULL);
    } else {
        return false;
    }
    return true;
}
