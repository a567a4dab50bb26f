/* Values to JSON: see qapi/visit.h. */
#include <string.h>

#include "qapi/json.h"
#include "qapi/value.h"
#include "qapi/visit.h"

static struct json_object *write_slot(const QType *t, const void *slot, const QRefResolver *refs)
{
    if (q_is_indirect(t)) {
        slot = *(void *const *)slot;
        if (!slot) {
            return NULL;
        }
    }
    return qvalue_to_json(t, slot, refs);
}

struct json_object *qmember_to_json(const QMember *m, const void *base, const QRefResolver *refs)
{
    return qmember_is_present(m, base) ? write_slot(m->type, q_at(base, m->offset), refs) : NULL;
}

static void write_members(struct json_object *obj, const QType *t, const void *value,
                          const QRefResolver *refs)
{
    const QBranch *br = t->kind == QK_UNION ? qtype_branch(t, value) : NULL;

    for (uint32_t i = 0; i < t->num_members; i++) {
        const QMember *m = &t->members[i];
        if (qmember_is_present(m, value)) {
            qjson_add(obj, m->item.name, write_slot(m->type, q_at(value, m->offset), refs));
        }
    }
    if (t->rest && *(struct json_object *const *)q_at(value, t->rest->offset)) {
        json_object_object_foreach(*(struct json_object *const *)q_at(value, t->rest->offset), key, v) {
            qjson_add(obj, key, json_object_get(v));
        }
    }
    if (br && br->type) {
        write_members(obj, br->type, q_at(value, t->union_offset), refs);
    }
}

static struct json_object *write_items(const QType *element, size_t n, const void *items,
                                       const QRefResolver *refs)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < n; i++) {
        json_object_array_add(list, write_slot(element, q_at(items, i * q_slot_size(element)), refs));
    }
    return list;
}

static struct json_object *write_hex(const QType *t, const QAnyBuffer *v)
{
    uint32_t n = v->len < t->len ? v->len : t->len;
    struct json_object *s;
    QBuf b = { 0 };

    for (uint32_t i = 0; i < n; i++) {
        qbuf_printf(&b, "%02x", v->data[i]);
    }
    s = json_object_new_string_len(b.data ? b.data : "", b.len);
    qbuf_finish(&b);
    return s;
}

static struct json_object *write_string(const char *s)
{
    return json_object_new_string(s ? s : "");
}

static struct json_object *write_struct(const QType *t, const void *v, const QRefResolver *refs)
{
    struct json_object *obj = json_object_new_object();

    write_members(obj, t, v, refs);
    return obj;
}

static struct json_object *write_ref(void *object, const QRefResolver *refs)
{
    return object ? write_string(refs->id(refs->opaque, object)) : NULL;
}

static struct json_object *write_alternate(const QType *t, const void *v, const QRefResolver *refs)
{
    const QBranch *br = qtype_branch(t, v);

    return br ? write_slot(br->type, q_at(v, t->union_offset), refs) : NULL;
}

static struct json_object *write_int(const QType *t, const void *v)
{
    int64_t i = q_get_int(t, v);

    return t->is_signed || i >= 0 ? json_object_new_int64(i) : json_object_new_uint64(i);
}

struct json_object *qvalue_to_json(const QType *t, const void *value, const QRefResolver *refs)
{
    switch (t->kind) {
    case QK_BOOL:
        return json_object_new_boolean(*(const bool *)value);
    case QK_INT:
        return write_int(t, value);
    case QK_NUMBER:
        return json_object_new_double(*(const double *)value);
    case QK_STR:
        return write_string(*(char *const *)value);
    case QK_ANY:
        return json_object_get(*(struct json_object *const *)value);
    case QK_NULL:
    case QK_RAMBLOCK: /* its bytes travel by a stream of their own */
        return NULL;
    case QK_ENUM:
        return write_string(qtype_enum_name(t, *(const int *)value));
    case QK_STRUCT:
    case QK_UNION:
        return write_struct(t, value, refs);
    case QK_ALTERNATE:
        return write_alternate(t, value, refs);
    case QK_LIST:
        return write_items(t->element, ((const QAnyList *)value)->len,
                           ((const QAnyList *)value)->items, refs);
    case QK_REF:
        return write_ref(*(void *const *)value, refs);
    case QK_ARRAY:
        return write_items(t->element, t->len, value, refs);
    case QK_BUFFER:
        return write_hex(t, value);
    case QK_TIMER:
        return json_object_new_int64(*(const int64_t *)value);
    }
    return NULL;
}
