/* Classes, options and the whole document: see qapi/introspect.h. */
#include "qapi/introspect.h"

#include <stdlib.h>
#include <string.h>

#include "qapi/introspect-item.h"
#include "qapi/introspect-rest.h"
#include "qapi/json.h"
#include "qapi/schema.h"
#include "qapi/visit.h"

static struct json_object *str(const char *s)
{
    return json_object_new_string(s);
}

void qitem_add_features(struct json_object *o, const QItem *item)
{
    static const char *const names[] = { [STABILITY_UNSTABLE] = "unstable", [STABILITY_DEPRECATED] = "deprecated" };
    const char *stability = item->stability <= STABILITY_DEPRECATED ? names[item->stability] : NULL;
    struct json_object *list = json_object_new_array();

    for (const char *const *f = item->features; f && *f; f++) {
        if (!stability || strcmp(*f, stability)) {
            json_object_array_add(list, str(*f));
        }
    }
    if (stability) {
        json_object_array_add(list, str(stability));
    }
    if (json_object_array_length(list)) {
        qjson_add(o, "features", list);
    } else {
        json_object_put(list);
    }
}

char *qitem_summary(const QItem *item)
{
    const char *doc = item->doc ? item->doc : "", *p = doc;

    while (*p && strncmp(p, "\n\n", 2) && !(*p == '.' && (p[1] == ' ' || p[1] == '\n' || !p[1]))) {
        p++;
    }
    return q_strndup(doc, p - doc);
}

bool qmember_default(const QMember *m, struct json_object **out)
{
    return m->default_text && !m->default_is_expr && qjson_parse(m->default_text, strlen(m->default_text), out, NULL);
}

/* ---- classes ---- */

void qclass_each_property(const QClass *c, void (*fn)(void *opaque, const QMember *m, QPropKind kind), void *opaque)
{
    const QType *conf = c->conf;

    for (uint32_t i = 0; conf && i < conf->num_members; i++) {
        fn(opaque, &conf->members[i], QPROP_CONFIG);
    }
    for (; c; c = c->parent) {
        for (uint32_t i = 0; c->control && i < c->control->num_members; i++) {
            fn(opaque, &c->control->members[i], QPROP_CONTROL);
        }
        for (uint32_t i = 0; c->info && i < c->info->num_members; i++) {
            fn(opaque, &c->info->members[i], QPROP_INFO);
        }
    }
}

typedef struct {
    const char *name;
    const QMember *found;
    QPropKind kind;
} Search;

static void match_property(void *opaque, const QMember *m, QPropKind kind)
{
    Search *s = opaque;

    if (!s->found && !strcmp(m->item.name, s->name)) {
        s->found = m;
        s->kind = kind;
    }
}

const QMember *qclass_property(const QClass *c, const char *name, QPropKind *kind)
{
    Search s = { .name = name };

    qclass_each_property(c, match_property, &s);
    if (s.found && kind) {
        *kind = s.kind;
    }
    return s.found;
}

void qproperty_type(const QSchema *s, const QClass *c, const QMember *m, QBuf *out)
{
    const char *text = c->kind == QCLASS_DEVICE ? "str" : "string";
    const QClass *target = m->type->kind == QK_REF ? qschema_class(s, m->type->ref_class) : NULL;

    if (target && target->kind == QCLASS_OBJECT) {
        qbuf_printf(out, "link<%s>", m->type->ref_class);
    } else {
        qbuf_str(out, m->type->kind == QK_STR || m->type->kind == QK_REF ? text : m->type->item.name);
    }
}

typedef struct {
    const QSchema *schema;
    const QClass *c;
    struct json_object *list;
} Listing;

static void list_property(void *opaque, const QMember *m, QPropKind kind)
{
    Listing *l = opaque;
    struct json_object *o = json_object_new_object(), *def = NULL;
    char *doc = qitem_summary(&m->item);
    QBuf type = { 0 };

    qproperty_type(l->schema, l->c, m, &type);
    qjson_add(o, "name", str(m->item.name));
    qjson_add(o, "type", str(type.data));
    if (*doc) {
        qjson_add(o, "description", str(doc));
    }
    if (qmember_default(m, &def)) {
        qjson_add(o, "default-value", def);
    }
    json_object_array_add(l->list, o);
    qbuf_finish(&type);
    free(doc);
}

struct json_object *qintrospect_device(const QSchema *s, const char *name, Error **errp)
{
    Listing l = { s, qschema_class(s, name), NULL };

    if (!l.c) {
        const char *near = qsuggest_class(s, "device", name);
        error_set_class(errp, ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", name);
        if (near) {
            error_hint(errp, "Did you mean '%s'?", near);
        }
        return NULL;
    }
    if (l.c->kind != QCLASS_DEVICE || l.c->abstract) {
        error_set(errp, "Parameter 'typename' expects a non-abstract device type");
        return NULL;
    }
    l.list = json_object_new_array();
    qclass_each_property(l.c, list_property, &l);
    return l.list;
}

struct json_object *qintrospect_object(const QSchema *s, const char *name, Error **errp)
{
    Listing l = { s, qschema_class(s, name), NULL };
    struct json_object *type;

    if (!l.c) {
        const char *near = qsuggest_class(s, NULL, name);
        error_set_class(errp, ERROR_DEVICE_NOT_FOUND, "Class '%s' not found", name);
        if (near) {
            error_hint(errp, "Did you mean '%s'?", near);
        }
        return NULL;
    }
    l.list = json_object_new_array();
    type = qjson_add(json_object_new_object(), "name", str("type")); /* every object tells its class */
    json_object_array_add(l.list, qjson_add(type, "type", str("string")));
    qclass_each_property(l.c, list_property, &l);
    return l.list;
}

struct json_object *qintrospect_classes(const QSchema *s, const char *implements, bool abstract)
{
    struct json_object *list = json_object_new_array();

    for (uint32_t i = 0; i < s->num_classes; i++) {
        const QClass *c = s->classes[i];
        struct json_object *o;

        if ((c->abstract && !abstract) || (implements && !qclass_is_a(c, implements))) {
            continue;
        }
        o = qjson_add(json_object_new_object(), "name", str(c->item.name));
        if (c->abstract) {
            qjson_add(o, "abstract", json_object_new_boolean(true));
        }
        if (c->parent) {
            qjson_add(o, "parent", str(c->parent->item.name));
        }
        json_object_array_add(list, o);
    }
    return list;
}

struct json_object *qintrospect_commands(const QSchema *s, uint32_t phases)
{
    struct json_object *list = json_object_new_array();

    for (uint32_t i = 0; i < s->num_commands; i++) {
        if (s->commands[i]->phases & phases) {
            json_object_array_add(list, qjson_add(json_object_new_object(), "name", str(s->commands[i]->item.name)));
        }
    }
    return list;
}

/* ---- options ---- */

static const char *parameter_type(const QType *t)
{
    return t->kind == QK_BOOL ? "boolean" : t->kind == QK_INT || t->kind == QK_NUMBER ? (t->is_size ? "size" : "number")
           : "string";
}

static bool has_parameter(struct json_object *list, const char *name)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *v;

        if (json_object_object_get_ex(json_object_array_get_idx(list, i), "name", &v) && !strcmp(json_object_get_string(v), name)) {
            return true;
        }
    }
    return false;
}

static void add_parameter(struct json_object *list, const QMember *m)
{
    struct json_object *o;
    char *doc;

    if (has_parameter(list, m->item.name)) {
        return;
    }
    o = qjson_add(json_object_new_object(), "name", str(m->item.name));
    doc = qitem_summary(&m->item);
    qjson_add(o, "type", str(parameter_type(m->type)));
    qjson_add(o, "help", str(doc));
    if (m->default_text && !m->default_is_expr) {
        qjson_add(o, "default", str(m->default_text));
    }
    json_object_array_add(list, o);
    free(doc);
}

static void take_parameter(void *opaque, const QMember *m, QPropKind kind)
{
    if (kind != QPROP_INFO) {
        add_parameter(opaque, m);
    }
}

/* Members of all branches, and of the classes that it may name; but devices and objects have device-list-properties for that. */
static void add_parameters(const QSchema *s, struct json_object *list, const QType *t)
{
    bool open = t->rest && t->rest->class_kind != QCLASS_DEVICE && t->rest->class_kind != QCLASS_OBJECT;

    for (uint32_t i = 0; i < t->num_members; i++) {
        add_parameter(list, &t->members[i]);
    }
    for (uint32_t i = 0; i < t->num_branches; i++) {
        if (t->branches[i].type && t->kind == QK_UNION) {
            add_parameters(s, list, t->branches[i].type);
        }
    }
    for (uint32_t i = 0; open && i < s->num_classes; i++) {
        if (rest_class_name(t, s->classes[i])) {
            qclass_each_property(s->classes[i], take_parameter, list);
        }
    }
}

/* Clients know some options by the name of their group in config files. */
static const char *group_of(const QOption *o)
{
    return o->config_group ? o->config_group : o->item.name;
}

struct json_object *qintrospect_options(const QSchema *s, const char *option, Error **errp)
{
    struct json_object *all;

    all = json_object_new_array();
    for (uint32_t i = 0; i < s->num_options; i++) {
        const QOption *o = s->options[i];
        struct json_object *e, *list;

        if (option ? strcmp(option, group_of(o)) != 0 : !o->args) {
            continue;
        }
        list = json_object_new_array();
        if (o->args) {
            add_parameters(s, list, o->args);
        }
        e = qjson_add(json_object_new_object(), "parameters", list);
        json_object_array_add(all, qjson_add(e, "option", str(group_of(o))));
    }
    if (option && !json_object_array_length(all)) {
        json_object_put(all);
        error_set(errp, "invalid option name: %s", option);
        return NULL;
    }
    return all;
}
