/* The document of -introspect: everything the tables tell. See qapi/introspect.h. */
#include <string.h>

#include "qapi/introspect-item.h"
#include "qapi/introspect.h"
#include "qapi/json.h"
#include "qapi/visit.h"

static const char *const class_kinds[] = { "object", "device", "bus", "machine", "accel", "cpu", "chardev", "other" }; /* QClassKind */

static struct json_object *str(const char *s)
{
    return json_object_new_string(s);
}

static void add_str(struct json_object *o, const char *key, const char *s)
{
    if (s) {
        qjson_add(o, key, str(s));
    }
}

static void add_flag(struct json_object *o, const char *key, bool set)
{
    if (set) {
        qjson_add(o, key, json_object_new_boolean(true));
    }
}

static struct json_object *item(const QItem *i)
{
    static const char *const stability[] = { "stable", "unstable", "deprecated" };
    struct json_object *o = json_object_new_object();

    add_str(o, "name", i->name);
    add_str(o, "doc", i->doc);
    add_str(o, "since", i->since);
    add_str(o, "stability", stability[i->stability <= STABILITY_DEPRECATED ? i->stability : STABILITY_UNSTABLE]);
    add_str(o, "instead", i->instead);
    qitem_add_features(o, i);
    return o;
}

static struct json_object *scalar(const QType *t, QScalar v)
{
    t = t->kind == QK_ARRAY || t->kind == QK_LIST ? t->element : t;
    if (t->kind == QK_NUMBER) {
        return json_object_new_double(v.d);
    }
    if (t->kind == QK_BOOL) {
        return json_object_new_boolean(v.i);
    }
    if (t->kind == QK_ENUM) {
        const char *name = qtype_enum_name(t, v.i);
        return name ? str(name) : NULL;
    }
    return t->kind == QK_INT && !t->is_signed && v.u > INT64_MAX ? json_object_new_uint64(v.u)
                                                                 : json_object_new_int64(v.i);
}

static struct json_object *member(const QMember *m)
{
    struct json_object *o = item(&m->item), *def = NULL;

    add_str(o, "type", m->type->item.name);
    add_flag(o, "required", m->required);
    if (qmember_default(m, &def)) {
        qjson_add(o, "default", def);
    } else {
        add_str(o, "default-expression", m->default_text);
    }
    if (m->has_min) {
        qjson_add(o, "min", scalar(m->type, m->min));
    }
    if (m->has_max) {
        qjson_add(o, "max", scalar(m->type, m->max));
    }
    add_str(o, "unit", m->unit);
    add_str(o, "alias", m->alias);
    add_flag(o, "settable", m->settable);
    add_flag(o, "inherited", m->inherited);
    return o;
}

static struct json_object *members(const QType *t)
{
    struct json_object *list = json_object_new_array();

    for (uint32_t i = 0; t && i < t->num_members; i++) {
        json_object_array_add(list, member(&t->members[i]));
    }
    return list;
}

static struct json_object *state_members(const QType *t)
{
    static const char *const resets[] = { "value", "keep", "cold-only", "from-conf" };
    struct json_object *list = json_object_new_array();

    for (uint32_t i = 0; i < t->num_members; i++) {
        const QMember *m = &t->members[i];
        struct json_object *o = member(m);
        bool has_value = m->reset == RESET_VALUE || m->reset == RESET_COLD_ONLY;
        bool scalar_kind = m->type->kind <= QK_NUMBER || m->type->kind == QK_ENUM || m->type->kind == QK_TIMER;

        add_str(o, "reset", m->reset <= RESET_FROM_CONF ? resets[m->reset] : NULL);
        if (has_value && scalar_kind) {
            qjson_add(o, "reset-value", scalar(m->type, m->reset_value));
        }
        qjson_add(o, "state-since", json_object_new_int64(m->state_since));
        add_flag(o, "conditional", m->present_if);
        json_object_array_add(list, o);
    }
    return list;
}

static struct json_object *type_entry(const QType *t)
{
    static const char *const kinds[] = { "bool", "int", "number", "str", "any", "null", "enum", "struct", "union",
                                         "alternate", "list", "ref", "array", "buffer", "timer", "ramblock" };
    struct json_object *o = item(&t->item), *list = json_object_new_array();

    add_str(o, "kind", kinds[t->kind]);
    if (t->kind == QK_STRUCT || t->kind == QK_UNION) {
        qjson_add(o, "members", members(t));
    }
    for (uint32_t i = 0; i < t->num_values; i++) {
        json_object_array_add(list, item(&t->values[i].item));
    }
    for (uint32_t i = 0; i < t->num_branches; i++) {
        struct json_object *b = qjson_add(json_object_new_object(), "name", str(t->branches[i].name));
        add_str(b, "type", t->branches[i].type ? t->branches[i].type->item.name : NULL);
        json_object_array_add(list, b);
    }
    if (json_object_array_length(list)) {
        qjson_add(o, t->num_values ? "values" : "branches", list);
    } else {
        json_object_put(list);
    }
    if (t->kind == QK_UNION) {
        add_str(o, "tag", t->members[t->tag_member].item.name);
    }
    add_str(o, "element", t->element ? t->element->item.name : NULL);
    if (t->rest) {
        struct json_object *rest = json_object_new_object();

        add_str(rest, "class-named-by", t->members[t->rest->tag_member].item.name);
        add_str(rest, "kind", class_kinds[t->rest->class_kind]);
        qjson_add(o, "rest", rest);
    }
    return o;
}

static struct json_object *phases(uint32_t set)
{
    static const char *const names[] = { "config", "machine", "running", "paused" };
    struct json_object *list = json_object_new_array();

    for (unsigned i = 0; i < 4; i++) {
        if (set >> i & 1) {
            json_object_array_add(list, str(names[i]));
        }
    }
    return list;
}

static struct json_object *command_entry(const QCommand *c)
{
    struct json_object *o = item(&c->item);

    add_str(o, "arguments", c->args ? c->args->item.name : NULL);
    if (c->args) {
        qjson_add(o, "members", members(c->args));
    }
    add_str(o, "returns", c->ret ? c->ret->item.name : NULL);
    qjson_add(o, "phases", phases(c->phases));
    add_flag(o, "allow-oob", c->allow_oob);
    add_flag(o, "no-reply", c->no_reply);
    add_str(o, "hmp", c->hmp_name);
    add_str(o, "example", c->example);
    return o;
}

static struct json_object *event_entry(const QEvent *e)
{
    struct json_object *o = item(&e->item);

    qjson_add(o, "members", members(e->args));
    if (e->rate_limit_ns) {
        qjson_add(o, "rate-limit-ns", json_object_new_int64(e->rate_limit_ns));
    }
    return o;
}

static void add_compat(struct json_object *o, const QClass *c)
{
    struct json_object *list;

    if (!c->num_compat) {
        return;
    }
    list = json_object_new_array();
    for (uint32_t i = 0; i < c->num_compat; i++) {
        struct json_object *e = json_object_new_object();
        add_str(e, "class", c->compat[i].class_name);
        add_str(e, "property", c->compat[i].property);
        add_str(e, "value", c->compat[i].value);
        json_object_array_add(list, e);
    }
    qjson_add(o, "compat", list);
}

static struct json_object *class_entry(const QClass *c)
{
    struct json_object *o = item(&c->item), *interfaces = json_object_new_array();

    add_str(o, "parent", c->parent ? c->parent->item.name : NULL);
    add_str(o, "kind", class_kinds[c->kind <= QCLASS_OTHER ? c->kind : QCLASS_OTHER]);
    add_flag(o, "abstract", c->abstract);
    add_flag(o, "user-creatable", c->user_creatable);
    add_flag(o, "hotpluggable", c->hotpluggable);
    for (const char *const *i = c->interfaces; i && *i; i++) {
        json_object_array_add(interfaces, str(*i));
    }
    qjson_add(o, "interfaces", interfaces);
    add_str(o, "category", c->category);
    add_str(o, "bus", c->bus);
    add_str(o, "alias", c->alias);
    qjson_add(o, "config", members(c->conf));
    qjson_add(o, "control", members(c->control));
    qjson_add(o, "info", members(c->info));
    if (c->state) {
        qjson_add(o, "state", state_members(c->state));
        qjson_add(o, "state-version", json_object_new_int64(c->state_version));
    }
    add_compat(o, c);
    return o;
}

static struct json_object *option_entry(const QOption *q)
{
    struct json_object *o = item(&q->item);

    add_str(o, "group", q->group);
    add_str(o, "usage", q->args_text);
    add_str(o, "arguments", q->args ? q->args->item.name : NULL);
    add_str(o, "implied-key", q->implied_key);
    add_str(o, "example", q->example);
    add_flag(o, "repeatable", q->repeatable);
    add_str(o, "config-group", q->config_group);
    add_str(o, "sugar", q->sugar);
    return o;
}

static struct json_object *hmp_entry(const QHmp *h)
{
    struct json_object *o = item(&h->item);

    add_str(o, "usage", h->args);
    qjson_add(o, "phases", phases(h->phases));
    return o;
}

/* {"KEY": [ENTRY(s->FIELD[i]), ...]} */
#define ADD_LIST(o, s, key, field, entry) do {                              \
        struct json_object *list_ = json_object_new_array();               \
        for (uint32_t i_ = 0; i_ < (s)->num_##field; i_++) {                \
            json_object_array_add(list_, entry((s)->field[i_]));            \
        }                                                                   \
        qjson_add(o, key, list_);                                           \
    } while (0)

struct json_object *qintrospect_all(const QSchema *s)
{
    struct json_object *o = json_object_new_object();

    ADD_LIST(o, s, "types", types, type_entry);
    ADD_LIST(o, s, "commands", commands, command_entry);
    ADD_LIST(o, s, "events", events, event_entry);
    ADD_LIST(o, s, "classes", classes, class_entry);
    ADD_LIST(o, s, "options", options, option_entry);
    ADD_LIST(o, s, "hmp", hmp, hmp_entry);
    return o;
}
