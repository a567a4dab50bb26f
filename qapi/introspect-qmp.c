/* query-qmp-schema from the tables: see qapi/introspect.h. The form of the answer is QEMU's QAPI introspection. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qapi/introspect.h"
#include "qapi/introspect-item.h"
#include "qapi/introspect-rest.h"
#include "qapi/json.h"

/* The types reached so far; the index of a type is its masked name. Index 0 is the empty object. */
typedef struct {
    const QSchema *schema;
    const QType **types;
    size_t len, cap;
    bool masked;
    RestTypes rest;
} Reach;

static const QType empty = { .item = { .name = "q_empty", .doc = "No members." }, .kind = QK_STRUCT };

static const char *wire_type(const QType *t)
{
    switch (t->kind) {
    case QK_BOOL:
        return "boolean";
    case QK_INT:
    case QK_TIMER:
        return "int";
    case QK_NUMBER:
        return "number";
    case QK_STR:
    case QK_REF:
    case QK_BUFFER:
        return "string";
    case QK_NULL:
    case QK_RAMBLOCK:
        return "null";
    case QK_ANY:
        return "value";
    }
    return NULL;
}

/* On the wire all integers are one type. */
static const char *builtin_name(const QType *t)
{
    const char *json = wire_type(t);

    return !json ? NULL : !strcmp(json, "boolean") ? "bool" : !strcmp(json, "string") ? "str"
           : !strcmp(json, "value") ? "any" : json;
}

static bool is_list(const QType *t)
{
    return t->kind == QK_LIST || t->kind == QK_ARRAY;
}

static bool same_type(const QType *a, const QType *b)
{
    const char *name = builtin_name(a);

    return a == b || (name && builtin_name(b) && !strcmp(name, builtin_name(b))) ||
           (is_list(a) && is_list(b) && same_type(a->element, b->element));
}

static size_t reach(Reach *r, const QType *t)
{
    for (size_t i = 0; i < r->len; i++) {
        if (same_type(r->types[i], t)) {
            return i;
        }
    }
    if (r->len == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 64;
        r->types = q_realloc(r->types, r->cap, sizeof(*r->types));
    }
    r->types[r->len] = t;
    return r->len++;
}

/* The name by which others refer to t; reaching it. */
static struct json_object *type_name(Reach *r, const QType *t)
{
    int lists = 0;
    size_t index;
    QBuf b = { 0 };
    struct json_object *j;

    t = !t ? &empty : t->rest ? rest_union(&r->rest, r->schema, t) : t;
    reach(r, t);
    for (; is_list(t); t = t->element) {
        qbuf_char(&b, '[');
        lists++;
    }
    index = reach(r, t);
    if (builtin_name(t)) {
        qbuf_str(&b, builtin_name(t));
    } else if (r->masked) {
        qbuf_printf(&b, "%zu", index);
    } else {
        qbuf_str(&b, t->item.name);
    }
    while (lists--) {
        qbuf_char(&b, ']');
    }
    j = json_object_new_string(b.data);
    qbuf_finish(&b);
    return j;
}

static struct json_object *entity(struct json_object *name, const char *meta)
{
    struct json_object *e = qjson_add(json_object_new_object(), "name", name);

    return qjson_add(e, "meta-type", json_object_new_string(meta));
}

static void add_members(Reach *r, struct json_object *e, const QType *t)
{
    struct json_object *list = json_object_new_array();

    for (uint32_t i = 0; i < t->num_members; i++) {
        const QMember *m = &t->members[i];
        struct json_object *o = json_object_new_object();

        qjson_add(o, "name", json_object_new_string(m->item.name));
        qjson_add(o, "type", type_name(r, m->type));
        if (!m->required) {
            qjson_add(o, "default", NULL); /* as ever: it says optional, not which default */
        }
        qitem_add_features(o, &m->item);
        json_object_array_add(list, o);
    }
    qjson_add(e, "members", list);
}

static void add_variants(Reach *r, struct json_object *e, const QType *t)
{
    struct json_object *list = json_object_new_array();

    qjson_add(e, "tag", json_object_new_string(t->members[t->tag_member].item.name));
    for (uint32_t i = 0; i < t->num_branches; i++) {
        struct json_object *v = json_object_new_object();
        qjson_add(v, "case", json_object_new_string(t->branches[i].name));
        json_object_array_add(list, qjson_add(v, "type", type_name(r, t->branches[i].type)));
    }
    qjson_add(e, "variants", list);
}

static void add_values(struct json_object *e, const QType *t)
{
    struct json_object *members = json_object_new_array(), *values = json_object_new_array();

    for (uint32_t i = 0; i < t->num_values; i++) {
        const QItem *item = &t->values[i].item;
        struct json_object *m = qjson_add(json_object_new_object(), "name", json_object_new_string(item->name));
        qitem_add_features(m, item);
        json_object_array_add(members, m);
        json_object_array_add(values, json_object_new_string(item->name));
    }
    qjson_add(e, "members", members);
    qjson_add(e, "values", values);
}

static struct json_object *alternate_info(Reach *r, const QType *t)
{
    struct json_object *e = entity(type_name(r, t), "alternate"), *list = json_object_new_array();

    for (uint32_t i = 0; i < t->num_branches; i++) {
        json_object_array_add(list, qjson_add(json_object_new_object(), "type", type_name(r, t->branches[i].type)));
    }
    return qjson_add(e, "members", list);
}

static struct json_object *type_info(Reach *r, const QType *t)
{
    struct json_object *e;

    if (builtin_name(t)) {
        e = entity(type_name(r, t), "builtin");
        qjson_add(e, "json-type", json_object_new_string(wire_type(t)));
    } else if (is_list(t)) {
        e = entity(type_name(r, t), "array");
        qjson_add(e, "element-type", type_name(r, t->element));
    } else if (t->kind == QK_ENUM) {
        e = entity(type_name(r, t), "enum");
        add_values(e, t);
    } else if (t->kind == QK_ALTERNATE) {
        e = alternate_info(r, t);
    } else {
        e = entity(type_name(r, t), "object");
        add_members(r, e, t);
        if (t->kind == QK_UNION) {
            add_variants(r, e, t);
        }
    }
    qitem_add_features(e, &t->item);
    return e;
}

static struct json_object *command_info(Reach *r, const QCommand *c)
{
    struct json_object *e = entity(json_object_new_string(c->item.name), "command");

    qjson_add(e, "arg-type", type_name(r, c->args));
    qjson_add(e, "ret-type", type_name(r, c->ret));
    if (c->allow_oob) {
        qjson_add(e, "allow-oob", json_object_new_boolean(true));
    }
    qitem_add_features(e, &c->item);
    return e;
}

struct json_object *qintrospect_qmp(const QSchema *s, bool masked)
{
    struct json_object *all = json_object_new_array();
    Reach r = { .schema = s, .masked = masked };

    reach(&r, &empty);
    for (uint32_t i = 0; i < s->num_commands; i++) {
        json_object_array_add(all, command_info(&r, s->commands[i]));
    }
    for (uint32_t i = 0; i < s->num_events; i++) {
        struct json_object *e = entity(json_object_new_string(s->events[i]->item.name), "event");
        qjson_add(e, "arg-type", type_name(&r, s->events[i]->args));
        qitem_add_features(e, &s->events[i]->item);
        json_object_array_add(all, e);
    }
    for (size_t i = 0; i < r.len; i++) { /* grows while we tell */
        json_object_array_add(all, type_info(&r, r.types[i]));
    }
    free(r.types);
    rest_types_finish(&r.rest);
    return all;
}
