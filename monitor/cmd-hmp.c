/* Commands for people that need no machine: help, expressions, logs. */
#include <stdlib.h>
#include <string.h>

#include "monitor/hmp.h"
#include "monitor/internal.h"
#include "qapi/hmp.gen.h"
#include "util/log.h"

/* ---- help, info ---- */

/* "name args -- first sentence" */
static void help_line(QBuf *out, const HmpEntry *e)
{
    const char *end = strstr(e->item->doc, ". "), *para = strstr(e->item->doc, "\n\n");
    size_t n = strlen(e->item->doc);

    n = para && para - e->item->doc < n ? para - e->item->doc : n;
    n = end && end - e->item->doc < n ? end - e->item->doc : n;
    n -= n && e->item->doc[n - 1] == '.';
    qbuf_str(out, e->name);
    hmp_args_text(e, out);
    qbuf_printf(out, " -- %.*s\n", (int)n, e->item->doc);
    for (char *p = out->data + out->len; n-- && p-- > out->data;) {
        *p = *p == '\n' && p[1] ? ' ' : *p;
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_list(QCallContext *cc, bool info)
{
    size_t n = 0, max = cc->schema->num_commands + cc->schema->num_hmp;
    char **lines = q_calloc(max, sizeof(*lines));
    HmpEntry e;

    for (size_t i = 0; hmp_entry(cc->schema, i, &e); i++) {
        if (e.name && !strncmp(e.name, "info ", 5) == info) {
            QBuf b = { 0 };
            help_line(&b, &e);
            lines[n++] = qbuf_steal(&b);
        }
    }
    qsort(lines, n, sizeof(*lines), by_name);
    for (size_t i = 0; i < n; i++) {
        monitor_print(cc, lines[i]);
        free(lines[i]);
    }
    free(lines);
}

/* What each argument of the command is. */
static void print_args(QCallContext *cc, const HmpEntry *e)
{
    const QType *t = e->command ? e->command->args : e->hmp->args_type;

    for (uint32_t i = 0; t && e->args && *e->args && i < t->num_members; i++) {
        if (strstr(e->args, t->members[i].item.name)) {
            monitor_printf(cc, "  %-14s %s\n", t->members[i].item.name, t->members[i].item.doc);
        }
    }
}

bool hmp_help(QCallContext *cc, const HelpHmp *args, Error **errp)
{
    const char *p = args->name;
    QBuf b = { 0 };
    HmpEntry e;

    if (!p) {
        print_list(cc, false);
        return true;
    }
    if (!strcmp(p, "info")) {
        print_list(cc, true);
        return true;
    }
    if (!hmp_find(cc->schema, &p, &e)) {
        monitor_printf(cc, "unknown command: '%s'\n", args->name);
        return true;
    }
    help_line(&b, &e);
    monitor_print(cc, b.data);
    qbuf_finish(&b);
    print_args(cc, &e);
    return true;
}

bool hmp_info(QCallContext *cc, const InfoHmp *args, Error **errp)
{
    if (args->item) { /* found, it would have been called itself */
        monitor_printf(cc, "unknown command: 'info %s'\n", args->item);
    } else {
        print_list(cc, true);
    }
    return true;
}

bool hmp_info_history(QCallContext *cc, Error **errp)
{
    Monitor *m = monitor_of(cc);
    const char *line;

    for (unsigned i = READLINE_HISTORY; m->line && i; i--) {
        line = readline_history(m->line, i);
        if (line) {
            monitor_printf(cc, "%u: '%s'\n", i - 1, line);
        }
    }
    return true;
}

/* ---- print ---- */

bool hmp_print(QCallContext *cc, const PrintHmp *args, Error **errp)
{
    HmpFormat *f = &monitor_set(cc)->format;
    QBuf b = { 0 };

    if (args->fmt && !hmp_format(args->fmt, f, errp)) {
        return false;
    }
    hmp_format_value(&b, f->format == 'i' ? 'x' : f->format, 8, (uint64_t)args->expr, false);
    monitor_printf(cc, "%s\n", b.data);
    qbuf_finish(&b);
    return true;
}

/* ---- log ---- */

bool hmp_log(QCallContext *cc, const LogHmp *args, Error **errp)
{
    return log_set_items(args->items, errp);
}

bool hmp_logfile(QCallContext *cc, const LogfileHmp *args, Error **errp)
{
    return log_set_file(args->filename, errp);
}
