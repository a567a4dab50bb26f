/* Copying, comparing, freeing and naming of values: see qapi/visit.h. */
#include "qapi/visit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "qapi/json.h"
#include "qapi/value.h"

const QMember *qtype_member(const QType *t, const char *name)
{
    for (uint32_t i = 0; t && i < t->num_members; i++) {
        if (!strcmp(t->members[i].item.name, name)) {
            return &t->members[i];
        }
    }
    return NULL;
}

const QEnumValue *qtype_enum_value(const QType *t, const char *name)
{
    for (uint32_t i = 0; i < t->num_values; i++) {
        if (!strcmp(t->values[i].item.name, name)) {
            return &t->values[i];
        }
    }
    return NULL;
}

const char *qtype_enum_name(const QType *t, int value)
{
    for (uint32_t i = 0; i < t->num_values; i++) {
        if (t->values[i].value == value) {
            return t->values[i].item.name;
        }
    }
    return NULL;
}

const QBranch *qtype_branch(const QType *t, const void *value)
{
    int tag = t->kind == QK_UNION ? *(const int *)q_at(value, t->members[t->tag_member].offset)
                                  : *(const int *)value;

    for (uint32_t i = 0; i < t->num_branches; i++) {
        if (t->branches[i].tag == tag) {
            return &t->branches[i];
        }
    }
    return NULL;
}

bool q_int_in_range(const QType *t, const QMember *m, int64_t i)
{
    if (t->is_signed) {
        return !m || ((!m->has_min || i >= m->min.i) && (!m->has_max || i <= m->max.i));
    }
    return !m || ((!m->has_min || (uint64_t)i >= m->min.u) && (!m->has_max || (uint64_t)i <= m->max.u));
}

bool q_number_in_range(const QMember *m, double d)
{
    return !m || ((!m->has_min || d >= m->min.d) && (!m->has_max || d <= m->max.d));
}

bool qmember_is_present(const QMember *m, const void *base)
{
    if (m->has_offset >= 0) {
        return *(const bool *)q_at(base, m->has_offset);
    }
    return m->required || !q_is_pointer(m->type) || *(void *const *)q_at(base, m->offset);
}

void qvalue_defaults(const QType *t, void *value)
{
    for (uint32_t i = 0; i < t->num_members; i++) {
        if (t->members[i].set_default) {
            t->members[i].set_default(value);
        }
    }
}

/* ---- freeing ---- */

static void finish_slot(const QType *t, void *slot, const QRefResolver *refs)
{
    if (q_is_indirect(t)) {
        void **p = slot;
        if (*p) {
            qvalue_finish(t, *p, refs);
            free(*p);
        }
        *p = NULL;
    } else {
        qvalue_finish(t, slot, refs);
    }
}

void qmember_finish(const QMember *m, void *base, const QRefResolver *refs)
{
    finish_slot(m->type, q_at(base, m->offset), refs);
    if (m->has_offset >= 0) {
        *(bool *)q_at(base, m->has_offset) = false;
    }
}

/* The branch before the members: the tag is one of them. */
static void finish_struct(const QType *t, void *value, const QRefResolver *refs)
{
    if (t->kind == QK_UNION) {
        const QBranch *br = qtype_branch(t, value);
        if (br && br->type) {
            qvalue_finish(br->type, q_at(value, t->union_offset), refs);
        }
    }
    for (uint32_t i = 0; i < t->num_members; i++) {
        finish_slot(t->members[i].type, q_at(value, t->members[i].offset), refs);
    }
    if (t->rest) {
        json_object_put(*(struct json_object **)q_at(value, t->rest->offset));
    }
}

static void finish_list(const QType *t, void *value, const QRefResolver *refs)
{
    QAnyList *l = value;

    for (size_t i = 0; i < l->len; i++) {
        finish_slot(t->element, q_at(l->items, i * q_slot_size(t->element)), refs);
    }
    free(l->items);
}

void qvalue_finish(const QType *t, void *value, const QRefResolver *refs)
{
    const QBranch *br;

    switch (t->kind) {
    case QK_STR:
        free(*(char **)value);
        break;
    case QK_ANY:
        json_object_put(*(struct json_object **)value);
        break;
    case QK_REF:
        if (*(void **)value) {
            refs->unref(refs->opaque, *(void **)value);
        }
        break;
    case QK_STRUCT:
    case QK_UNION:
        finish_struct(t, value, refs);
        break;
    case QK_ALTERNATE:
        br = qtype_branch(t, value);
        if (br) {
            finish_slot(br->type, q_at(value, t->union_offset), refs);
        }
        break;
    case QK_LIST:
        finish_list(t, value, refs);
        break;
    case QK_ARRAY:
        for (uint32_t i = 0; i < t->len; i++) {
            finish_slot(t->element, q_at(value, i * q_slot_size(t->element)), refs);
        }
        break;
    default:
        break;
    }
    memset(value, 0, t->size);
}

/* ---- copying ---- */

static void copy_slot(const QType *t, void *dst, const void *src, const QRefResolver *refs)
{
    const void *from = q_is_indirect(t) ? *(void *const *)src : src;
    void *to = dst;

    if (q_is_indirect(t)) {
        *(void **)dst = NULL;
        if (!from) {
            return;
        }
        *(void **)dst = to = q_calloc(1, t->size);
    }
    qvalue_copy(t, to, from, refs);
}

static struct json_object *copy_json(struct json_object *v)
{
    struct json_object *copy = NULL;

    if (v && json_object_deep_copy(v, &copy, NULL) < 0) {
        abort();
    }
    return copy;
}

static void copy_struct(const QType *t, void *dst, const void *src, const QRefResolver *refs)
{
    const QBranch *br = t->kind == QK_UNION ? qtype_branch(t, src) : NULL;

    for (uint32_t i = 0; i < t->num_members; i++) {
        copy_slot(t->members[i].type, q_at(dst, t->members[i].offset),
                  q_at(src, t->members[i].offset), refs);
    }
    if (t->rest) {
        *(struct json_object **)q_at(dst, t->rest->offset) = copy_json(*(struct json_object *const *)q_at(src, t->rest->offset));
    }
    if (br && br->type) {
        qvalue_copy(br->type, q_at(dst, t->union_offset), q_at(src, t->union_offset), refs);
    }
}

static void copy_list(const QType *t, void *dst, const void *src, const QRefResolver *refs)
{
    const QAnyList *from = src;
    QAnyList *to = dst;
    size_t size = q_slot_size(t->element);

    to->len = from->len;
    to->items = from->len ? q_calloc(from->len, size) : NULL;
    for (size_t i = 0; i < from->len; i++) {
        copy_slot(t->element, q_at(to->items, i * size), q_at(from->items, i * size), refs);
    }
}

void qvalue_copy(const QType *t, void *dst, const void *src, const QRefResolver *refs)
{
    const QBranch *br;

    memcpy(dst, src, t->size);
    switch (t->kind) {
    case QK_STR:
        if (*(char *const *)src) {
            *(char **)dst = q_strdup(*(char *const *)src);
        }
        break;
    case QK_ANY:
        *(struct json_object **)dst = copy_json(*(struct json_object *const *)src);
        break;
    case QK_REF:
        if (*(void *const *)src) {
            refs->ref(refs->opaque, *(void *const *)src);
        }
        break;
    case QK_STRUCT:
    case QK_UNION:
        copy_struct(t, dst, src, refs);
        break;
    case QK_ALTERNATE:
        br = qtype_branch(t, src);
        if (br) {
            copy_slot(br->type, q_at(dst, t->union_offset), q_at(src, t->union_offset), refs);
        }
        break;
    case QK_LIST:
        copy_list(t, dst, src, refs);
        break;
    case QK_ARRAY:
        for (uint32_t i = 0; i < t->len; i++) {
            size_t at = i * q_slot_size(t->element);
            copy_slot(t->element, q_at(dst, at), q_at(src, at), refs);
        }
        break;
    default:
        break;
    }
}

/* ---- comparing ---- */

static bool equal_slot(const QType *t, const void *a, const void *b)
{
    if (q_is_indirect(t)) {
        a = *(void *const *)a;
        b = *(void *const *)b;
        if (!a || !b) {
            return a == b;
        }
    }
    return qvalue_equal(t, a, b);
}

static bool equal_struct(const QType *t, const void *a, const void *b)
{
    const QBranch *br;

    for (uint32_t i = 0; i < t->num_members; i++) {
        const QMember *m = &t->members[i];
        bool present = qmember_is_present(m, a);
        if (present != qmember_is_present(m, b) ||
            (present && !equal_slot(m->type, q_at(a, m->offset), q_at(b, m->offset)))) {
            return false;
        }
    }
    if (t->rest && !qjson_equal(*(struct json_object *const *)q_at(a, t->rest->offset),
                                *(struct json_object *const *)q_at(b, t->rest->offset))) {
        return false;
    }
    br = t->kind == QK_UNION ? qtype_branch(t, a) : NULL; /* the tags are equal */
    return !br || !br->type ||
           qvalue_equal(br->type, q_at(a, t->union_offset), q_at(b, t->union_offset));
}

static bool equal_items(const QType *element, size_t n, const void *a, const void *b)
{
    size_t size = q_slot_size(element);

    for (size_t i = 0; i < n; i++) {
        if (!equal_slot(element, q_at(a, i * size), q_at(b, i * size))) {
            return false;
        }
    }
    return true;
}

static bool equal_alternate(const QType *t, const void *a, const void *b)
{
    const QBranch *br = qtype_branch(t, a);

    return br == qtype_branch(t, b) &&
           (!br || equal_slot(br->type, q_at(a, t->union_offset), q_at(b, t->union_offset)));
}

static bool equal_str(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static bool equal_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

bool qvalue_equal(const QType *t, const void *a, const void *b)
{
    const QAnyList *la = a, *lb = b;
    const QAnyBuffer *ba = a, *bb = b;

    switch (t->kind) {
    case QK_NUMBER:
        return equal_number(*(const double *)a, *(const double *)b);
    case QK_STR:
        return equal_str(*(char *const *)a, *(char *const *)b);
    case QK_ANY:
        return qjson_equal(*(struct json_object *const *)a, *(struct json_object *const *)b);
    case QK_STRUCT:
    case QK_UNION:
        return equal_struct(t, a, b);
    case QK_ALTERNATE:
        return equal_alternate(t, a, b);
    case QK_LIST:
        return la->len == lb->len && equal_items(t->element, la->len, la->items, lb->items);
    case QK_ARRAY:
        return equal_items(t->element, t->len, a, b);
    case QK_BUFFER:
        return ba->len == bb->len && !memcmp(ba->data, bb->data, ba->len);
    }
    return !memcmp(a, b, t->size); /* integers, bool, enum, null, ref, timer, RAM block */
}
