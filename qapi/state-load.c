/*
 * Reading of state: see qapi/state.h. The bytes are not to be trusted: nothing is allocated by what they say,
 * and every count is compared to what the type has before it is used.
 */
#include <endian.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "qapi/schema.h"
#include "qapi/state-format.h"
#include "qapi/state.h"
#include "qapi/value.h"
#include "qapi/visit.h"

typedef struct {
    QStateInput in;
    const QClass *c;
    const void *conf;
    uint32_t version;       /* of the stream's level */
    const QMember *member;  /* being read, for messages: innermost */
} Load;

static bool get_value(Load *l, const QType *t, void *out, Error **errp);

static bool fail(Load *l, const char *what, Error **errp)
{
    return error_set(errp, "state of '%s': %s%s%s%s", l->c->item.name, l->member ? "field '" : "",
                     l->member ? l->member->item.name : "", l->member ? "': " : "", what);
}

/* n bytes at once, or NULL with *errp set. */
static const uint8_t *take(Load *l, size_t n, Error **errp)
{
    const uint8_t *p = l->in.p;

    if ((size_t)(l->in.end - p) < n) {
        fail(l, "the stream ends early", errp);
        return NULL;
    }
    l->in.p += n;
    return p;
}

static bool take_wide(Load *l, unsigned width, uint64_t *out, Error **errp)
{
    const uint8_t *p = take(l, width, errp);
    uint64_t v = 0;

    for (unsigned i = 0; p && i < width; i++) {
        v = v << 8 | p[i];
    }
    *out = v;
    return p;
}

/* A text into buf of 256 bytes. One with a NUL names nothing. */
static bool take_text(Load *l, char *buf, Error **errp)
{
    const uint8_t *n = take(l, 1, errp), *p = n ? take(l, *n, errp) : NULL;

    if (!p) {
        return false;
    }
    memcpy(buf, p, *n);
    buf[*n] = 0;
    return strlen(buf) == *n ? true : fail(l, "a name has a NUL in it", errp);
}

static bool get_bool(Load *l, bool *out, Error **errp)
{
    uint64_t v;

    if (!take_wide(l, 1, &v, errp)) {
        return false;
    }
    *out = v;
    return v < 2 ? true : fail(l, "neither 0 nor 1", errp);
}

static bool get_int(Load *l, const QType *t, void *out, Error **errp)
{
    uint64_t v;

    if (!take_wide(l, t->width, &v, errp)) {
        return false;
    }
    q_set_int(t, out, v);
    return q_int_in_range(t, l->member, q_get_int(t, out)) ? true : fail(l, "the value is out of range", errp);
}

static bool get_number(Load *l, double *out, Error **errp)
{
    uint64_t v;

    if (!take_wide(l, 8, &v, errp)) {
        return false;
    }
    memcpy(out, &v, 8);
    return q_number_in_range(l->member, *out) ? true : fail(l, "the value is out of range", errp);
}

static bool get_enum(Load *l, const QType *t, int *out, Error **errp)
{
    char name[256];
    const QEnumValue *v;

    if (!take_text(l, name, errp)) {
        return false;
    }
    v = qtype_enum_value(t, name);
    if (!v) {
        return error_set(errp, "state of '%s': field '%s': '%s' is no %s", l->c->item.name, l->member->item.name, name,
                         t->item.name);
    }
    *out = v->value;
    return true;
}

static bool get_array(Load *l, const QType *t, void *out, Error **errp)
{
    uint64_t n;

    if (!take_wide(l, 4, &n, errp)) {
        return false;
    }
    if (n != t->len) {
        return error_set(errp, "state of '%s': field '%s': %" PRIu64 " elements where %u are expected",
                         l->c->item.name, l->member->item.name, n, t->len);
    }
    for (uint32_t i = 0; i < t->len; i++) {
        if (!get_value(l, t->element, q_at(out, (size_t)i * t->element->size), errp)) {
            return false;
        }
    }
    return true;
}

static bool get_buffer(Load *l, const QType *t, QAnyBuffer *out, Error **errp)
{
    const uint8_t *p;
    uint64_t n;

    if (!take_wide(l, 4, &n, errp)) {
        return false;
    }
    if (n > t->len) {
        return error_set(errp, "state of '%s': field '%s': %" PRIu64 " bytes where at most %u fit",
                         l->c->item.name, l->member->item.name, n, t->len);
    }
    p = take(l, n, errp);
    if (!p) {
        return false;
    }
    memset(out, 0, t->size);
    memcpy(out->data, p, n);
    out->len = n;
    return true;
}

static bool get_timer(Load *l, int64_t *out, Error **errp)
{
    uint64_t v;

    if (!take_wide(l, 8, &v, errp)) {
        return false;
    }
    *out = v;
    return *out >= -1 ? true : fail(l, "a time before 0", errp);
}

/* ---- fields ---- */

static const QMember *take_field_name(Load *l, const QType *t, Error **errp)
{
    char name[256];
    const QMember *m;
    const char *near;

    if (!take_text(l, name, errp)) {
        return NULL;
    }
    m = qtype_member(t, name);
    if (m && m->type->kind != QK_RAMBLOCK && m->state_since <= l->version) {
        return m;
    }
    error_set(errp, "state of '%s': unknown field '%s' for version %u", l->c->item.name, name, l->version);
    near = qsuggest_member(t, name);
    if (near && !m) {
        error_hint(errp, "Did you mean '%s'?", near);
    }
    return NULL;
}

/* One bit per member: no struct of a schema has more than a few hundred. */
typedef struct {
    uint64_t *bits;
} Seen;

/* Conditions look at the other fields, so this runs when all were read. */
static bool check_presence(Load *l, const QType *t, const void *st, const Seen *seen, Error **errp)
{
    for (uint32_t i = 0; i < t->num_members; i++) {
        const QMember *m = &t->members[i];
        bool given = seen->bits[i / 64] >> (i % 64) & 1;
        bool wanted = m->type->kind != QK_RAMBLOCK && m->state_since <= l->version &&
                      (!m->present_if || m->present_if(st, l->conf));

        l->member = m;
        if (wanted && !given) {
            return fail(l, "missing", errp);
        }
        if (given && !wanted) {
            return fail(l, "given, but its condition is false", errp);
        }
    }
    return true;
}

static bool get_listed_fields(Load *l, const QType *t, void *st, Seen *seen, Error **errp)
{
    uint64_t n;

    if (!take_wide(l, 2, &n, errp)) {
        return false;
    }
    while (n--) {
        const QMember *m = take_field_name(l, t, errp);
        uint32_t i = m ? m - t->members : 0;

        if (!m) {
            return false;
        }
        l->member = m;
        if (seen->bits[i / 64] >> (i % 64) & 1) {
            return fail(l, "given twice", errp);
        }
        seen->bits[i / 64] |= 1ull << (i % 64);
        if (!get_value(l, m->type, q_at(st, m->offset), errp)) {
            return false;
        }
    }
    return true;
}

static bool get_fields(Load *l, const QType *t, void *st, Error **errp)
{
    const QMember *outer = l->member;
    Seen seen = { q_calloc(t->num_members / 64 + 1, sizeof(uint64_t)) };
    bool ok = get_listed_fields(l, t, st, &seen, errp) && check_presence(l, t, st, &seen, errp);

    free(seen.bits);
    l->member = outer;
    return ok;
}

static bool get_value(Load *l, const QType *t, void *out, Error **errp)
{
    uint64_t code;

    if (!take_wide(l, 1, &code, errp)) {
        return false;
    }
    if (!code || code != state_code(t)) {
        return error_set(errp, "state of '%s': field '%s': kind 0x%02x where %s is expected", l->c->item.name,
                         l->member->item.name, (unsigned)code, t->item.name);
    }
    switch (t->kind) {
    case QK_BOOL:
        return get_bool(l, out, errp);
    case QK_INT:
        return get_int(l, t, out, errp);
    case QK_NUMBER:
        return get_number(l, out, errp);
    case QK_ENUM:
        return get_enum(l, t, out, errp);
    case QK_STRUCT:
        return get_fields(l, t, out, errp);
    case QK_ARRAY:
        return get_array(l, t, out, errp);
    case QK_BUFFER:
        return get_buffer(l, t, out, errp);
    }
    return get_timer(l, out, errp); /* state_code() knows no other */
}

static bool take_header(Load *l, Error **errp)
{
    char name[256];
    uint64_t version;

    if (!take_text(l, name, errp) || !take_wide(l, 4, &version, errp)) {
        return false;
    }
    if (strcmp(name, l->c->item.name)) {
        return error_set(errp, "state of '%s': the stream has '%s' here", l->c->item.name, name);
    }
    if (version < l->c->state_min_version || version > l->c->state_version) {
        return error_set(errp, "state of '%s': version %" PRIu64 " is not supported (%u to %u)", name, version,
                         l->c->state_min_version, l->c->state_version);
    }
    l->version = version;
    return true;
}

bool qstate_load(QStateInput *in, const QClass *c, void *st, const void *conf, Error **errp)
{
    Load l = { .in = *in, .c = c, .conf = conf };
    const QType *t = c->state;
    uint8_t *scratch;
    bool ok;

    if (!take_header(&l, errp)) {
        return false;
    }
    scratch = q_calloc(1, t->size);
    memcpy(scratch, st, t->size); /* RAM blocks and `keep` fields that the stream lacks stay */
    qstate_reset(t, scratch, conf, true);
    ok = get_fields(&l, t, scratch, errp);
    if (ok) {
        memcpy(st, scratch, t->size);
        *in = l.in;
    }
    free(scratch);
    return ok;
}

const char *qstate_peek(const QStateInput *in, size_t *len)
{
    if (in->p == in->end || in->end - in->p <= *in->p) {
        return NULL;
    }
    *len = *in->p;
    return (const char *)in->p + 1;
}
