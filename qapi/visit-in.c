/*
 * JSON, and JSON whose leaves are command-line text, to values: see qapi/visit.h.
 *
 * A value is built in zeroed memory; whoever allocated it finishes it when reading fails, and
 * qvalue_finish() copes with any half-read state, so the functions below just return false.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qapi/json.h"
#include "qapi/schema.h"
#include "qapi/value.h"
#include "qapi/visit.h"

/* Where we are, for messages: a list from the innermost item out. */
typedef struct Path {
    const struct Path *up;
    const char *name;       /* NULL: an element */
    size_t index;
    const QMember *member;  /* whose range holds here, or NULL */
} Path;

typedef struct {
    const QRefResolver *refs;
    bool text;              /* leaves may be command-line text */
    int depth;
} Reader;

static bool read_value(Reader *r, const QType *t, struct json_object *j, void *out, const Path *at,
                       Error **errp);

/* ---- messages ---- */

static void path_add(QBuf *b, const Reader *r, const Path *at)
{
    if (at->up) {
        path_add(b, r, at->up);
    }
    if (at->name) {
        qbuf_printf(b, "%s%s", b->len ? "." : "", at->name);
    } else if (at->up) {
        qbuf_printf(b, r->text ? ".%zu" : "[%zu]", at->index);
    }
}

/* The item's path, owned. */
static char *path_text(const Reader *r, const Path *at)
{
    QBuf b = { 0 };

    path_add(&b, r, at);
    return b.len ? qbuf_steal(&b) : (qbuf_finish(&b), q_strdup("value"));
}

static bool fail_type(const Reader *r, const Path *at, const char *expected, Error **errp)
{
    char *path = path_text(r, at);

    error_set(errp, "Invalid parameter type for '%s', expected: %s", path, expected);
    free(path);
    return false;
}

/* "Parameter 'x' expects WHAT" */
static bool fail_expects(const Reader *r, const Path *at, const char *what, Error **errp)
{
    char *path = path_text(r, at);

    error_set(errp, "Parameter '%s' expects %s", path, what);
    free(path);
    return false;
}

static bool is_of_a_branch(const QType *t, const char *name)
{
    for (uint32_t i = 0; t->kind == QK_UNION && i < t->num_branches; i++) {
        if (t->branches[i].type && qtype_member(t->branches[i].type, name)) {
            return true;
        }
    }
    return false;
}

/* j has something else that may have been meant. */
static bool fail_missing(const Reader *r, const Path *at, const QType *t, struct json_object *j, const char *name, Error **errp)
{
    Path p = { at, name, 0, NULL };
    char *path = path_text(r, &p);

    error_set(errp, "Parameter '%s' is missing", path);
    free(path);
    json_object_object_foreach(j, key, unused) {
        const char *near = qtype_member(t, key) || is_of_a_branch(t, key) ? NULL : qsuggest_member(t, key);

        if (near && !strcmp(near, name)) {
            return error_hint(errp, "Did you mean '%s' where '%s' stands?", name, key);
        }
        (void)unused;
    }
    return false;
}

static void hint_near(const char *near, Error **errp)
{
    if (near) {
        error_hint(errp, "Did you mean '%s'?", near);
    }
}

static bool fail_unexpected(const Reader *r, const Path *at, const char *name, const char *near, Error **errp)
{
    Path p = { at, name, 0, NULL };
    char *path = path_text(r, &p);

    error_set(errp, r->text ? "Invalid parameter '%s'" : "Parameter '%s' is unexpected", path);
    hint_near(near, errp);
    free(path);
    return false;
}

static bool fail_enum(const Reader *r, const Path *at, const QType *t, const char *value, Error **errp)
{
    char *path = path_text(r, at);
    QBuf all = { 0 };

    error_set(errp, "Parameter '%s' does not accept value '%s'", path, value);
    for (uint32_t i = 0; i < t->num_values; i++) {
        qbuf_printf(&all, "%s%s", i ? ", " : "", t->values[i].item.name);
    }
    hint_near(qsuggest_enum(t, value), errp);
    error_hint(errp, "Values: %s", all.data ? all.data : "none");
    qbuf_finish(&all);
    free(path);
    return false;
}

/* ---- scalars ---- */

/* An integer as bits and sign: signed 64 and unsigned 64 in one. */
typedef struct {
    bool negative;
    uint64_t bits;
} Wide;

static bool fits(const QType *t, Wide v)
{
    unsigned bits = 8 * t->width;

    if (t->is_signed) {
        int64_t min = bits == 64 ? INT64_MIN : -((int64_t)1 << (bits - 1));
        uint64_t max = bits == 64 ? INT64_MAX : ((uint64_t)1 << (bits - 1)) - 1;
        return v.negative ? (int64_t)v.bits >= min : v.bits <= max;
    }
    return !v.negative && (bits == 64 || v.bits >> bits == 0);
}

/* The range that holds for member m of type t: "LOW to HIGH". */
static void range_text(const QType *t, const QMember *m, char *out, size_t size)
{
    unsigned bits = 8 * t->width;

    if (t->is_signed) {
        int64_t lo = m && m->has_min ? m->min.i : bits == 64 ? INT64_MIN : -((int64_t)1 << (bits - 1));
        int64_t hi = m && m->has_max ? m->max.i : bits == 64 ? INT64_MAX : ((int64_t)1 << (bits - 1)) - 1;
        snprintf(out, size, "%" PRId64 " to %" PRId64, lo, hi);
    } else {
        uint64_t lo = m && m->has_min ? m->min.u : 0;
        uint64_t hi = m && m->has_max ? m->max.u : bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
        snprintf(out, size, "%" PRIu64 " to %" PRIu64, lo, hi);
    }
}

/* Clients know "expects uint8_t", and "expects uint64" where the type is 64 bits wide; the range is ours. */
static bool fail_range(const Reader *r, const Path *at, const QType *t, Error **errp)
{
    const QMember *m = at->member;
    char range[64], what[128];

    range_text(t, m, range, sizeof(range));
    if (m && (m->has_min || m->has_max)) {
        snprintf(what, sizeof(what), "a value in the range %s", range);
    } else {
        snprintf(what, sizeof(what), "%sint%u%s (%s)", t->is_signed ? "" : "u", 8 * t->width,
                 t->width == 8 ? "" : "_t", range);
    }
    return fail_expects(r, at, what, errp);
}

/* Decimal, 0x and 0 (octal) forms, with one sign. */
static bool parse_wide(const char *s, Wide *out)
{
    char *end;

    if (*s != '-' && (*s < '0' || *s > '9')) {
        return false;
    }
    out->negative = *s == '-';
    if (out->negative && (s[1] < '0' || s[1] > '9')) {
        return false;
    }
    errno = 0;
    out->bits = out->negative ? (uint64_t)strtoll(s, &end, 0) : strtoull(s, &end, 0);
    out->negative = (int64_t)out->bits < 0 && out->negative; /* -0 */
    return !errno && !*end;
}

static bool text_to_int(const Reader *r, const QType *t, const char *s, Wide *v, const Path *at, Error **errp)
{
    if (t->is_size) {
        bool mib = at->member && at->member->unit && !strcmp(at->member->unit, "MiB");
        if (qsize_parse(s, mib ? 20 : 0, &v->bits)) {
            v->negative = false;
            return true;
        }
        fail_expects(r, at, "a size value", errp);
        return error_hint(errp, "A size is a number below 2^64 bytes, with an optional suffix k, M, G, T, P or E");
    }
    return parse_wide(s, v) ? true : fail_expects(r, at, "integer", errp);
}

static bool read_int(Reader *r, const QType *t, struct json_object *j, void *out, const Path *at, Error **errp)
{
    Wide v;

    if (r->text && json_object_is_type(j, json_type_string)) {
        if (!text_to_int(r, t, json_object_get_string(j), &v, at, errp)) {
            return false;
        }
    } else if (json_object_is_type(j, json_type_int)) {
        v.negative = qjson_is_negative(j);
        v.bits = v.negative ? (uint64_t)json_object_get_int64(j) : json_object_get_uint64(j);
    } else {
        return fail_type(r, at, "integer", errp);
    }
    if (!fits(t, v) || !q_int_in_range(t, at->member, v.bits)) {
        return fail_range(r, at, t, errp);
    }
    q_set_int(t, out, v.bits);
    return true;
}

static bool read_bool(Reader *r, struct json_object *j, void *out, const Path *at, Error **errp)
{
    if (r->text && json_object_is_type(j, json_type_string)) {
        return qbool_parse(json_object_get_string(j), out) ? true
                                                           : fail_expects(r, at, "'on' or 'off'", errp);
    }
    if (!json_object_is_type(j, json_type_boolean)) {
        return fail_type(r, at, "boolean", errp);
    }
    *(bool *)out = json_object_get_boolean(j);
    return true;
}

/* Text is a JSON number, so that both transports take the same ones. */
static bool read_number(Reader *r, struct json_object *j, void *out, const Path *at, Error **errp)
{
    struct json_object *parsed = NULL;
    double d;
    bool ok = true;

    if (r->text && json_object_is_type(j, json_type_string)) {
        if (!qjson_parse(json_object_get_string(j), json_object_get_string_len(j), &parsed, NULL)) {
            return fail_expects(r, at, "a number", errp);
        }
        j = parsed;
    }
    if (!json_object_is_type(j, json_type_double) && !json_object_is_type(j, json_type_int)) {
        ok = fail_type(r, at, "number", errp);
    } else {
        bool negative = json_object_is_type(j, json_type_int) && qjson_is_negative(j);
        d = !json_object_is_type(j, json_type_int) ? json_object_get_double(j)
            : negative ? (double)json_object_get_int64(j) : (double)json_object_get_uint64(j);
        if (q_number_in_range(at->member, d)) {
            *(double *)out = d;
        } else {
            char what[96];
            snprintf(what, sizeof(what), "a value in the range %g to %g",
                     at->member->has_min ? at->member->min.d : -1 / 0.0,
                     at->member->has_max ? at->member->max.d : 1 / 0.0);
            ok = fail_expects(r, at, what, errp);
        }
    }
    json_object_put(parsed);
    return ok;
}

/* The string j, or NULL with *errp set. A C string holds no NUL. */
static const char *get_string(Reader *r, struct json_object *j, const Path *at, Error **errp)
{
    const char *s;

    if (!json_object_is_type(j, json_type_string)) {
        fail_type(r, at, "string", errp);
        return NULL;
    }
    s = json_object_get_string(j);
    if (strlen(s) != (size_t)json_object_get_string_len(j)) {
        fail_expects(r, at, "text without \\u0000", errp);
        return NULL;
    }
    return s;
}

static bool read_str(Reader *r, struct json_object *j, void *out, const Path *at, Error **errp)
{
    const char *s = get_string(r, j, at, errp);

    if (s) {
        *(char **)out = q_strdup(s);
    }
    return s;
}

static bool read_enum(Reader *r, const QType *t, struct json_object *j, void *out, const Path *at, Error **errp)
{
    const char *s = get_string(r, j, at, errp);
    const QEnumValue *v = s ? qtype_enum_value(t, s) : NULL;

    if (!s) {
        return false;
    }
    if (!v) {
        return fail_enum(r, at, t, s, errp);
    }
    *(int *)out = v->value;
    return true;
}

static bool read_ref(Reader *r, const QType *t, struct json_object *j, void *out, const Path *at, Error **errp)
{
    const char *id = get_string(r, j, at, errp);
    Error *err = NULL;
    void *object;
    char *path;

    if (!id) {
        return false;
    }
    if (!r->refs) {
        return fail_expects(r, at, "no reference here: there are no objects yet", errp);
    }
    object = r->refs->get(r->refs->opaque, t->ref_class, id, &err);
    if (object) {
        *(void **)out = object;
        return true;
    }
    path = path_text(r, at);
    error_prepend(&err, "Parameter '%s': ", path);
    free(path);
    error_propagate(errp, err);
    return false;
}

static bool read_null(Reader *r, struct json_object *j, void *out, const Path *at, Error **errp)
{
    bool ok = !j || (r->text && json_object_is_type(j, json_type_string) && !json_object_get_string_len(j));

    *(uint8_t *)out = 0;
    return ok ? true : fail_type(r, at, "null", errp);
}

/* ---- containers ---- */

/* Reads into a member or element. What it holds is complete enough to be finished at any time. */
static bool read_slot(Reader *r, const QType *t, struct json_object *j, void *slot, const Path *at, Error **errp)
{
    if (q_is_indirect(t)) {
        *(void **)slot = q_calloc(1, t->size);
        slot = *(void **)slot;
    }
    return read_value(r, t, j, slot, at, errp);
}

static bool read_members(Reader *r, const QType *t, struct json_object *j, void *out, const Path *at,
                         Error **errp)
{
    const QBranch *br;

    for (uint32_t i = 0; i < t->num_members; i++) {
        const QMember *m = &t->members[i];
        Path p = { at, m->item.name, 0, m };
        struct json_object *v;

        if (json_object_object_get_ex(j, m->item.name, &v)) {
            if (m->has_offset >= 0) {
                *(bool *)q_at(out, m->has_offset) = true;
            }
            if (!read_slot(r, m->type, v, q_at(out, m->offset), &p, errp)) {
                return false;
            }
        } else if (m->required) {
            return fail_missing(r, at, t, j, m->item.name, errp);
        }
    }
    /* Only now: a default may depend on any other member. */
    for (uint32_t i = 0; i < t->num_members; i++) {
        const QMember *m = &t->members[i];
        Path p = { at, m->item.name, 0, m };
        if (m->set_default && !json_object_object_get_ex(j, m->item.name, NULL)) {
            m->set_default(out);
            if (m->default_is_expr && m->type->kind == QK_INT &&
                !q_int_in_range(m->type, m, q_get_int(m->type, q_at(out, m->offset)))) {
                return fail_range(r, &p, m->type, errp);
            }
        }
    }
    br = t->kind == QK_UNION ? qtype_branch(t, out) : NULL;
    return !br || !br->type || read_members(r, br->type, j, q_at(out, t->union_offset), at, errp);
}

static bool has_member(const QType *t, const void *value, const char *name)
{
    const QBranch *br;

    if (qtype_member(t, name)) {
        return true;
    }
    br = t->kind == QK_UNION ? qtype_branch(t, value) : NULL;
    return br && br->type && has_member(br->type, q_at(value, t->union_offset), name);
}

static bool check_unexpected(Reader *r, const QType *t, struct json_object *j, const void *value,
                             const Path *at, Error **errp)
{
    json_object_object_foreach(j, key, unused) {
        if (!has_member(t, value, key)) {
            const QBranch *br = t->kind == QK_UNION ? qtype_branch(t, value) : NULL;
            const char *near = qsuggest_member(t, key);
            if (!near && br) {
                near = qsuggest_member(br->type, key);
            }
            return fail_unexpected(r, at, key, near, errp);
        }
        (void)unused;
    }
    return true;
}

/* What is no member of t is kept for the class that the value names. */
static void read_rest(const QType *t, struct json_object *j, void *out)
{
    struct json_object **rest = q_at(out, t->rest->offset);

    json_object_object_foreach(j, key, v) {
        if (!qtype_member(t, key)) {
            *rest = *rest ? *rest : json_object_new_object();
            json_object_object_add(*rest, key, json_object_get(v));
        }
    }
}

/* The member that plain text for a whole struct means: its only one, if that is text. */
static const QMember *only_text_member(const QType *t)
{
    return t->kind == QK_STRUCT && t->num_members == 1 && t->members[0].type->kind == QK_STR
               ? &t->members[0] : NULL;
}

static bool read_struct(Reader *r, const QType *t, struct json_object *j, void *out, const Path *at, Error **errp)
{
    const QMember *only = r->text && at->up ? only_text_member(t) : NULL;

    if (only && json_object_is_type(j, json_type_string)) {
        return read_str(r, j, q_at(out, only->offset), at, errp);
    }
    if (!json_object_is_type(j, json_type_object)) {
        return fail_type(r, at, "object", errp);
    }
    if (t->rest) {
        read_rest(t, j, out);
        return read_members(r, t, j, out, at, errp);
    }
    return read_members(r, t, j, out, at, errp) && check_unexpected(r, t, j, out, at, errp);
}

/* How well text or value j suits a branch: 0 not at all; the best one is read. */
static int branch_score(const Reader *r, const QType *t, struct json_object *j)
{
    bool is_text = r->text && json_object_is_type(j, json_type_string);
    const char *s = is_text ? json_object_get_string(j) : "";
    bool b;
    Wide w;
    uint64_t size;

    switch (t->kind) {
    case QK_BOOL:
        return is_text ? 4 * qbool_parse(s, &b) : json_object_is_type(j, json_type_boolean);
    case QK_INT:
        return is_text ? 3 * (parse_wide(s, &w) || (t->is_size && qsize_parse(s, 0, &size)))
                       : 2 * json_object_is_type(j, json_type_int);
    case QK_NUMBER:
        return is_text ? 0 : json_object_is_type(j, json_type_int) || json_object_is_type(j, json_type_double);
    case QK_ENUM:
        return !json_object_is_type(j, json_type_string) ? 0 : is_text && qtype_enum_value(t, s) ? 5 : 1;
    case QK_STR:
    case QK_REF:
        return 2 * json_object_is_type(j, json_type_string);
    case QK_NULL:
        return !j;
    case QK_LIST:
        return json_object_is_type(j, json_type_array);
    case QK_ANY:
        return 1;
    case QK_STRUCT:
    case QK_UNION:
        return json_object_is_type(j, json_type_object);
    }
    return 0;
}

static bool read_alternate(Reader *r, const QType *t, struct json_object *j, void *out, const Path *at,
                           Error **errp)
{
    const QBranch *best = NULL;
    int score = 0;

    for (uint32_t i = 0; i < t->num_branches; i++) {
        int s = branch_score(r, t->branches[i].type, j);
        if (s > score) {
            score = s;
            best = &t->branches[i];
        }
    }
    if (!best) {
        return fail_type(r, at, t->item.name, errp);
    }
    *(int *)out = best->tag;
    return read_slot(r, best->type, j, q_at(out, t->union_offset), at, errp);
}

static bool read_elements(Reader *r, const QType *t, struct json_object *j, QAnyList *l, const Path *at,
                          Error **errp)
{
    size_t n = json_object_array_length(j), size = q_slot_size(t->element);

    l->items = n ? q_calloc(n, size) : NULL;
    l->len = n; /* zeroed elements can be finished */
    for (size_t i = 0; i < n; i++) {
        Path p = { at, NULL, i, at->member };
        if (!read_slot(r, t->element, json_object_array_get_idx(j, i), q_at(l->items, i * size), &p, errp)) {
            return false;
        }
    }
    return true;
}

enum { MAX_RANGE = 65536 }; /* elements that "0-65535" may stand for */

/* "3" or "0-7" as list elements; false without an error: not of that form. */
static bool read_int_range(const QType *t, const QMember *m, const char *s, QAnyList *l)
{
    const QType *e = t->element;
    const char *dash = *s ? strchr(s + 1, '-') : NULL;
    char *low = dash ? q_strndup(s, dash - s) : q_strdup(s);
    Wide from, to;
    bool ok = parse_wide(low, &from) && parse_wide(dash ? dash + 1 : s, &to) && fits(e, from) && fits(e, to) &&
              q_int_in_range(e, m, from.bits) && q_int_in_range(e, m, to.bits) &&
              (int64_t)from.bits <= (int64_t)to.bits && to.bits - from.bits < MAX_RANGE;

    free(low);
    if (ok) {
        l->len = to.bits - from.bits + 1;
        l->items = q_calloc(l->len, e->size);
        for (size_t i = 0; i < l->len; i++) {
            q_set_int(e, q_at(l->items, i * e->size), from.bits + i);
        }
    }
    return ok;
}

static bool read_list(Reader *r, const QType *t, struct json_object *j, void *out, const Path *at, Error **errp)
{
    QAnyList *l = out;

    if (json_object_is_type(j, json_type_array)) {
        return read_elements(r, t, j, l, at, errp);
    }
    if (!r->text || !json_object_is_type(j, json_type_string)) {
        return fail_type(r, at, "array", errp);
    }
    if (t->element->kind == QK_INT && !t->element->is_size) {
        return read_int_range(t, at->member, json_object_get_string(j), l)
                   ? true : fail_expects(r, at, "an integer or a range of them, as 0-7", errp);
    }
    l->items = q_calloc(1, q_slot_size(t->element)); /* one word is a list of one */
    l->len = 1;
    return read_slot(r, t->element, j, l->items, at, errp);
}

static bool read_array(Reader *r, const QType *t, struct json_object *j, void *out, const Path *at, Error **errp)
{
    char what[64];

    if (!json_object_is_type(j, json_type_array)) {
        return fail_type(r, at, "array", errp);
    }
    if (json_object_array_length(j) != t->len) {
        snprintf(what, sizeof(what), "%u elements", t->len);
        return fail_expects(r, at, what, errp);
    }
    for (uint32_t i = 0; i < t->len; i++) {
        Path p = { at, NULL, i, at->member };
        if (!read_slot(r, t->element, json_object_array_get_idx(j, i),
                       q_at(out, i * q_slot_size(t->element)), &p, errp)) {
            return false;
        }
    }
    return true;
}

static bool read_buffer(Reader *r, const QType *t, struct json_object *j, void *out, const Path *at, Error **errp)
{
    const char *s = get_string(r, j, at, errp);
    QAnyBuffer *b = out;
    size_t n = s ? strlen(s) : 0;

    if (!s) {
        return false;
    }
    if (n % 2 || n / 2 > t->len || strspn(s, "0123456789abcdefABCDEF") != n) {
        char what[64];
        snprintf(what, sizeof(what), "hex digits of at most %u bytes", t->len);
        return fail_expects(r, at, what, errp);
    }
    for (size_t i = 0; i < n / 2; i++) {
        char byte[3] = { s[2 * i], s[2 * i + 1], 0 };
        b->data[i] = strtoul(byte, NULL, 16);
    }
    b->len = n / 2;
    return true;
}

static bool read_timer(Reader *r, struct json_object *j, void *out, const Path *at, Error **errp)
{
    if (!json_object_is_type(j, json_type_int) || json_object_get_int64(j) < -1 ||
        json_object_get_uint64(j) > INT64_MAX) {
        return fail_expects(r, at, "a time in ns, or -1 when not armed", errp);
    }
    *(int64_t *)out = json_object_get_int64(j);
    return true;
}

static bool dispatch(Reader *r, const QType *t, struct json_object *j, void *out, const Path *at, Error **errp)
{
    switch (t->kind) {
    case QK_BOOL:
        return read_bool(r, j, out, at, errp);
    case QK_INT:
        return read_int(r, t, j, out, at, errp);
    case QK_NUMBER:
        return read_number(r, j, out, at, errp);
    case QK_STR:
        return read_str(r, j, out, at, errp);
    case QK_ANY:
        *(struct json_object **)out = json_object_get(j);
        return true;
    case QK_NULL:
        return read_null(r, j, out, at, errp);
    case QK_ENUM:
        return read_enum(r, t, j, out, at, errp);
    case QK_STRUCT:
    case QK_UNION:
        return read_struct(r, t, j, out, at, errp);
    case QK_ALTERNATE:
        return read_alternate(r, t, j, out, at, errp);
    case QK_LIST:
        return read_list(r, t, j, out, at, errp);
    case QK_REF:
        return read_ref(r, t, j, out, at, errp);
    case QK_ARRAY:
        return read_array(r, t, j, out, at, errp);
    case QK_BUFFER:
        return read_buffer(r, t, j, out, at, errp);
    case QK_TIMER:
        return read_timer(r, j, out, at, errp);
    }
    return fail_expects(r, at, "nothing: guest memory is not read from JSON", errp);
}

static bool read_value(Reader *r, const QType *t, struct json_object *j, void *out, const Path *at,
                       Error **errp)
{
    bool ok;

    if (r->depth >= QVALUE_MAX_DEPTH) {
        return error_set(errp, "Parameters are nested deeper than %d levels", QVALUE_MAX_DEPTH);
    }
    r->depth++;
    if (r->text && json_object_is_type(j, json_type_object) &&
        (t->kind <= QK_STR || t->kind == QK_ENUM || t->kind == QK_REF)) {
        char *path = path_text(r, at);
        ok = error_set(errp, "Parameters '%s.*' are unexpected", path);
        free(path);
    } else {
        ok = dispatch(r, t, j, out, at, errp);
    }
    r->depth--;
    return ok;
}

static bool read_top(const QType *t, struct json_object *json, void *out, Reader r, Error **errp)
{
    Path root = { 0 };
    void *scratch = q_calloc(1, t->size);
    bool ok = read_value(&r, t, json, scratch, &root, errp);

    if (ok) {
        memcpy(out, scratch, t->size);
    } else {
        qvalue_finish(t, scratch, r.refs);
    }
    free(scratch);
    return ok;
}

bool qvalue_from_json(const QType *t, struct json_object *json, void *out, const QRefResolver *refs, Error **errp)
{
    return read_top(t, json, out, (Reader){ .refs = refs }, errp);
}

bool qvalue_from_text(const QType *t, struct json_object *json, void *out, const QRefResolver *refs, Error **errp)
{
    return read_top(t, json, out, (Reader){ .refs = refs, .text = true }, errp);
}

static bool read_member(const QMember *m, struct json_object *json, void *base, Reader r, Error **errp)
{
    size_t size = q_slot_size(m->type);
    Path root = { 0 }, at = { &root, m->item.name, 0, m };
    void *slot = q_calloc(1, size);
    bool ok = read_slot(&r, m->type, json, slot, &at, errp);

    if (ok) {
        qmember_finish(m, base, r.refs);
        memcpy(q_at(base, m->offset), slot, size);
        if (m->has_offset >= 0) {
            *(bool *)q_at(base, m->has_offset) = true;
        }
    } else {
        QMember alone = { .type = m->type, .offset = 0, .has_offset = -1 };
        qmember_finish(&alone, slot, r.refs);
    }
    free(slot);
    return ok;
}

bool qmember_from_json(const QMember *m, struct json_object *json, void *base, const QRefResolver *refs, Error **errp)
{
    return read_member(m, json, base, (Reader){ .refs = refs }, errp);
}

bool qmember_from_text(const QMember *m, struct json_object *json, void *base, const QRefResolver *refs, Error **errp)
{
    return read_member(m, json, base, (Reader){ .refs = refs, .text = true }, errp);
}
