/* Look-ups in the tables: see qapi/schema.h and qapi/tables.h. */
#include "qapi/schema.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The row of `name` in a sorted list of pointers to rows that begin with their QItem, or NULL. */
static const void *find(const void *list, uint32_t n, const char *name)
{
    const QItem *const *items = list;
    uint32_t lo = 0, hi = n;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int cmp = strcmp(name, items[mid]->name);

        if (cmp == 0) {
            return items[mid];
        }
        if (cmp < 0) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return NULL;
}

_Static_assert(offsetof(QType, item) == 0 && offsetof(QCommand, item) == 0 &&
               offsetof(QEvent, item) == 0 && offsetof(QClass, item) == 0 &&
               offsetof(QOption, item) == 0, "find() reads the name of any row");

const QType *qschema_type(const QSchema *s, const char *name)
{
    return find(s->types, s->num_types, name);
}

const QCommand *qschema_command(const QSchema *s, const char *name)
{
    return find(s->commands, s->num_commands, name);
}

const QEvent *qschema_event(const QSchema *s, const char *name)
{
    return find(s->events, s->num_events, name);
}

const QClass *qschema_class(const QSchema *s, const char *name)
{
    const QClass *c = find(s->classes, s->num_classes, name);

    for (uint32_t i = 0; !c && i < s->num_classes; i++) {
        if (s->classes[i]->alias && !strcmp(s->classes[i]->alias, name)) {
            c = s->classes[i];
        }
    }
    return c;
}

const QOption *qschema_option(const QSchema *s, const char *name)
{
    return find(s->options, s->num_options, name);
}

bool qclass_is_a(const QClass *c, const char *name)
{
    for (; c; c = c->parent) {
        if (!strcmp(c->item.name, name)) {
            return true;
        }
        for (const char *const *i = c->interfaces; i && *i; i++) {
            if (!strcmp(*i, name)) {
                return true;
            }
        }
    }
    return false;
}

enum { LONGEST = 48 }; /* names are shorter; longer words get no suggestion */

static unsigned min2(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance (Damerau 1964): three rows of the table are enough. */
static unsigned distance(const char *a, const char *b)
{
    unsigned rows[3][LONGEST + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    size_t na = strlen(a), nb = strlen(b);

    for (size_t j = 0; j <= nb; j++) {
        last[j] = j;
    }
    for (size_t i = 1; i <= na; i++) {
        unsigned *t = before;

        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            row[j] = min2(min2(last[j], row[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = min2(row[j], before[j - 2] + 1);
            }
        }
        before = last;
        last = row;
        row = t;
    }
    return last[nb];
}

/* A word cut short, or with more at its end: the name that differs least in length. */
static const char *suggest_prefix(const char *word, const char *(*get)(const void *opaque, size_t i), const void *opaque, size_t n)
{
    size_t len = strlen(word), best = SIZE_MAX;
    const char *found = NULL;

    for (size_t i = 0; len >= 3 && i < n; i++) {
        const char *name = get(opaque, i);
        size_t nlen = name ? strlen(name) : 0, common = nlen < len ? nlen : len, apart = nlen < len ? len - nlen : nlen - len;

        if (common >= 3 && 2 * common >= len && apart < best && !strncasecmp(word, name, common)) {
            best = apart;
            found = name;
        }
    }
    return found;
}

const char *qsuggest(const char *word, const char *(*get)(const void *opaque, size_t i), const void *opaque, size_t n)
{
    size_t len = strlen(word);
    unsigned limit = len < 4 ? 1 : len < 6 ? 2 : 3, best = limit + 1;
    const char *found = NULL;

    if (len > LONGEST) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        const char *name = get(opaque, i);
        size_t nlen = name ? strlen(name) : 0;
        unsigned d;

        if (!name || nlen > LONGEST || nlen + limit < len || len + limit < nlen) {
            continue;
        }
        d = distance(word, name);
        if (d < best && d < nlen && d < len + (len == 1)) { /* not a word made of changes only */
            best = d;
            found = name;
        }
    }
    if (!found || best > 1) { /* one wrong letter is surer than a missing half */
        const char *prefix = suggest_prefix(word, get, opaque, n);
        found = prefix ? prefix : found;
    }
    return found;
}

static const char *member_name(const void *opaque, size_t i)
{
    return ((const QMember *)opaque)[i].item.name;
}

const char *qsuggest_member(const QType *t, const char *word)
{
    return t ? qsuggest(word, member_name, t->members, t->num_members) : NULL;
}

static const char *value_name(const void *opaque, size_t i)
{
    return ((const QEnumValue *)opaque)[i].item.name;
}

const char *qsuggest_enum(const QType *t, const char *word)
{
    return qsuggest(word, value_name, t->values, t->num_values);
}

static const char *row_name(const void *opaque, size_t i)
{
    return ((const QItem *const *)opaque)[i]->name;
}

const char *qsuggest_command(const QSchema *s, const char *word)
{
    return qsuggest(word, row_name, s->commands, s->num_commands);
}

const char *qsuggest_option(const QSchema *s, const char *word)
{
    return qsuggest(word, row_name, s->options, s->num_options);
}

typedef struct {
    const QSchema *schema;
    const char *base;
} ClassQuery;

static const char *class_name(const void *opaque, size_t i)
{
    const ClassQuery *q = opaque;
    const QClass *c = q->schema->classes[i];

    return !c->abstract && (!q->base || qclass_is_a(c, q->base)) ? c->item.name : NULL;
}

const char *qsuggest_class(const QSchema *s, const char *base, const char *word)
{
    ClassQuery q = { s, base };

    return qsuggest(word, class_name, &q, s->num_classes);
}
