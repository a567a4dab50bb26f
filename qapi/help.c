/* Help texts: see qapi/introspect.h. Their layout is what people and scripts read today. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "qapi/introspect-item.h"
#include "qapi/introspect.h"
#include "qapi/schema.h"

/* ---- one class ---- */

typedef struct {
    const QMember **members;
    size_t len;
} Settable;

static void take_settable(void *opaque, const QMember *m, QPropKind kind)
{
    Settable *s = opaque;

    if (kind != QPROP_INFO) {
        s->members = q_realloc(s->members, s->len + 1, sizeof(*s->members));
        s->members[s->len++] = m;
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const QMember *const *)a)->item.name, (*(const QMember *const *)b)->item.name);
}

static void add_range(QBuf *out, const QMember *m)
{
    const QType *t = m->type;

    if (t->kind != QK_INT || (!m->has_min && !m->has_max)) {
        return;
    }
    qbuf_str(out, ", range ");
    if (m->has_min) {
        t->is_signed ? qbuf_printf(out, "%" PRId64, m->min.i) : qbuf_printf(out, "%" PRIu64, m->min.u);
    }
    qbuf_str(out, "..");
    if (m->has_max) {
        t->is_signed ? qbuf_printf(out, "%" PRId64, m->max.i) : qbuf_printf(out, "%" PRIu64, m->max.u);
    }
}

/* "  name=<type>          - what it is, range 0..9 (default: 5)" */
static void add_property(const QSchema *s, const QClass *c, const QMember *m, QBuf *out)
{
    char *doc = qitem_summary(&m->item);
    QBuf left = { 0 };

    qbuf_printf(&left, "  %s=<", m->item.name);
    qproperty_type(s, c, m, &left);
    qbuf_printf(out, "%s>", left.data);
    qbuf_printf(out, "%*s - %s", left.len + 1 < 24 ? (int)(23 - left.len) : 0, "", doc);
    add_range(out, m);
    if (m->default_text) {
        qbuf_printf(out, " (default: %s)", m->default_text);
    } else if (m->required) {
        qbuf_str(out, " (required)");
    }
    if (m->item.stability == STABILITY_DEPRECATED) {
        qbuf_printf(out, " (deprecated%s%s)", m->item.instead ? ": use " : "", m->item.instead ? m->item.instead : "");
    }
    qbuf_char(out, '\n');
    qbuf_finish(&left);
    free(doc);
}

void qhelp_class(const QSchema *s, const QClass *c, QBuf *out)
{
    Settable all = { 0 };

    qclass_each_property(c, take_settable, &all);
    if (!all.len) {
        qbuf_printf(out, "There are no options for %s.\n", c->item.name);
        return;
    }
    qsort(all.members, all.len, sizeof(*all.members), by_name);
    qbuf_printf(out, "%s options:\n", c->item.name);
    for (size_t i = 0; i < all.len; i++) {
        add_property(s, c, all.members[i], out);
    }
    free(all.members);
}

/* ---- lists by heading ---- */

/* The headings of n rows, known ones in their usual order, then the others; free(). */
static const char **headings(const char *const *usual, size_t num_usual,
                             const char *(*get)(const QSchema *s, size_t i), const QSchema *s, size_t n)
{
    const char **list = q_calloc(num_usual + n + 1, sizeof(*list));
    size_t len = num_usual;

    memcpy(list, usual, num_usual * sizeof(*usual));
    for (size_t i = 0; i < n; i++) {
        const char *h = get(s, i);
        size_t j = 0;

        while (h && j < len && strcmp(list[j], h)) {
            j++;
        }
        if (h && j == len) {
            list[len++] = h;
        }
    }
    return list;
}

static const char *device_heading(const QSchema *s, size_t i)
{
    const QClass *c = s->classes[i];

    return c->kind == QCLASS_DEVICE && c->user_creatable && !c->abstract ? (c->category ? c->category : "Uncategorized")
                                                                        : NULL;
}

static void add_device(QBuf *out, const QClass *c)
{
    char *doc = qitem_summary(&c->item);

    qbuf_printf(out, "name \"%s\"", c->item.name);
    if (c->bus) {
        qbuf_printf(out, ", bus %s", c->bus);
    }
    if (c->alias) {
        qbuf_printf(out, ", alias \"%s\"", c->alias);
    }
    if (*doc) {
        qbuf_printf(out, ", desc \"%s\"", doc);
    }
    qbuf_char(out, '\n');
    free(doc);
}

void qhelp_devices(const QSchema *s, QBuf *out)
{
    static const char *const usual[] = { "Controller/Bridge/Hub", "USB", "Storage", "Network", "Input", "Display",
                                         "Sound", "Misc", "CPU", "Watchdog", "Uncategorized" };
    const char **list = headings(usual, sizeof(usual) / sizeof(usual[0]), device_heading, s, s->num_classes);
    bool first = true;

    for (const char **h = list; *h; h++) {
        bool open = false;

        for (uint32_t i = 0; i < s->num_classes; i++) {
            const char *mine = device_heading(s, i);
            if (!mine || strcmp(mine, *h)) {
                continue;
            }
            if (!open) {
                qbuf_printf(out, "%s%s devices:\n", first ? "" : "\n", *h);
            }
            open = true;
            first = false;
            add_device(out, s->classes[i]);
        }
    }
    free(list);
}

void qhelp_list(const QSchema *s, QClassKind kind, const char *heading, QBuf *out)
{
    qbuf_printf(out, "%s\n", heading);
    for (uint32_t i = 0; i < s->num_classes; i++) {
        const QClass *c = s->classes[i];
        char *doc;

        if (c->kind != kind || c->abstract || !c->user_creatable) {
            continue;
        }
        doc = qitem_summary(&c->item);
        qbuf_printf(out, "%-20s %s", c->item.name, doc);
        if (c->alias) {
            qbuf_printf(out, " (alias: %s)", c->alias);
        }
        qbuf_str(out, c->item.stability == STABILITY_DEPRECATED ? " (deprecated)\n" : "\n");
        free(doc);
    }
}

static const char *option_heading(const QSchema *s, size_t i)
{
    return s->options[i]->group ? s->options[i]->group : "Other";
}

/* The option on a line, then its doc, indented as ever. */
static void add_option(QBuf *out, const QOption *o)
{
    const char *p = o->item.doc ? o->item.doc : "";

    qbuf_printf(out, "-%s%s%s\n", o->item.name, o->args_text ? " " : "", o->args_text ? o->args_text : "");
    while (*p) {
        size_t n = strcspn(p, "\n");

        if (n) {
            qbuf_printf(out, "                %.*s\n", (int)n, p);
        }
        p += n + (p[n] == '\n');
    }
}

void qhelp_options(const QSchema *s, QBuf *out)
{
    static const char *const usual[] = { "Standard", "Block device", "USB", "Display", "i386 target only", "Network",
                                         "Character device", "TPM device", "Boot Image or Kernel specific",
                                         "Debug/Expert", "Generic object creation" };
    const char **list = headings(usual, sizeof(usual) / sizeof(usual[0]), option_heading, s, s->num_options);

    for (const char **h = list; *h; h++) {
        bool open = false;

        for (uint32_t i = 0; i < s->num_options; i++) {
            if (strcmp(option_heading(s, i), *h)) {
                continue;
            }
            if (!open) {
                qbuf_printf(out, "%s options:\n", *h);
            }
            open = true;
            add_option(out, s->options[i]);
        }
        if (open) {
            qbuf_char(out, '\n');
        }
    }
    free(list);
}
