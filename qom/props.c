/*
 * Properties: what qom-list, qom-get and qom-set see of an object. Names of types and texts of errors are those QEMU
 * 10.0's
 * QMP gives. A reference to a back end that users name by id alone (chardev, blockdev, netdev) is a string, its id;
 * any other is a link, its path.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "qom/internal.h"

enum { ALIAS_DEPTH_MAX = 8 };

static bool is_by_id(const QomTree *tree, const QType *t)
{
    const QClass *c = qschema_class(tree->schema, t->ref_class);

    return !c || (c->kind != QCLASS_OBJECT && c->kind != QCLASS_DEVICE && c->kind != QCLASS_BUS &&
                  c->kind != QCLASS_MACHINE);
}

/* ---- Listing ---- */

typedef struct {
    Object *o;
    QomProperty *list;
    size_t num, room;
} Listing;

static void list_add(Listing *l, const char *name, char *type)
{
    if (l->num == l->room) {
        QomProperty *bigger;

        l->room = l->room ? l->room * 2 : 16;
        bigger = qom_alloc(l->room, sizeof(*bigger));
        if (l->num) {
            memcpy(bigger, l->list, l->num * sizeof(*bigger));
        }
        free(l->list);
        l->list = bigger;
    }
    l->list[l->num++] = (QomProperty){qom_strdup(name), type};
}

static char *type_name(Object *o, const QType *t)
{
    switch (t->kind) {
    case QK_STR:
        return qom_strdup(o->klass->kind == QCLASS_DEVICE ? "str" : "string");
    case QK_REF:
        return is_by_id(o->tree, t) ? qom_strdup("str") : qom_printf("link<%s>", t->ref_class);
    case QK_LIST:
        return qom_strdup("list");
    default:
        return qom_strdup(t->item.name);
    }
}

static void list_members(Listing *l, const QType *t)
{
    for (uint32_t i = 0; t && i < t->num_members; i++) {
        list_add(l, t->members[i].item.name, type_name(l->o, t->members[i].type));
    }
}

static void list_info(Listing *l, const QClass *klass)
{
    ClassLevels levels;

    qclass_levels(klass, &levels);
    for (unsigned i = 0; i < levels.num; i++) {
        list_members(l, levels.klass[i]->info);
    }
}

QomProperty *object_properties(Object *o, size_t *num)
{
    Listing l = {.o = o};
    ClassParts parts;

    list_add(&l, "type", qom_strdup("string"));
    qclass_parts(o->klass, &parts);
    for (unsigned i = 0; i < parts.num; i++) {
        list_members(&l, parts.type[i]);
        list_members(&l, qunion_branch(parts.type[i], (char *)o + parts.offset[i]));
    }
    list_info(&l, o->klass);
    for (ObjectLink *k = o->links; k; k = k->next_link) {
        if (k->visible) {
            list_add(&l, k->name, qom_printf("link<%s>", k->target->klass->item.name));
        }
    }
    for (Object *c = o->first_child; c; c = c->next_sibling) {
        list_add(&l, c->name, qom_printf("child<%s>", c->klass->item.name));
    }
    *num = l.num;
    return l.list;
}

void qom_properties_free(QomProperty *p, size_t num)
{
    for (size_t i = 0; i < num; i++) {
        free(p[i].name);
        free(p[i].type);
    }
    free(p);
}

/* ---- Finding ---- */

static Object *visible_link(Object *o, const char *name)
{
    for (ObjectLink *l = o->links; l; l = l->next_link) {
        if (l->visible && strcmp(l->name, name) == 0) {
            return l->target;
        }
    }
    return NULL;
}

Object *object_step(Object *o, const char *name)
{
    Object *next = object_child(o, name);
    ClassParts parts;
    PartMember pm;
    void *base;

    next = next ? next : visible_link(o, name);
    if (next) {
        return next;
    }
    qclass_parts(o->klass, &parts);
    base = object_member(o, &parts, name, &pm);
    if (!base || pm.m->type->kind != QK_REF || is_by_id(o->tree, pm.m->type)) {
        return NULL;
    }
    return *(Object **)((char *)base + pm.m->offset);
}

/* "child.property" of o: the object; *property is moved to the name. NULL: the child is not there. */
static Object *follow_alias(Object *o, const char *alias, const char **property)
{
    const char *dot = strrchr(alias, '.');
    char *child = dot ? strndup(alias, dot - alias) : NULL;
    Object *next = child ? object_step(o, child) : NULL;

    free(child);
    *property = dot ? dot + 1 : alias;
    return next;
}

/* ---- Reading ---- */

static struct json_object *json_path(const Object *o)
{
    char *path = o ? object_path(o) : NULL;
    struct json_object *j = json_object_new_string(path ? path : "");

    free(path);
    return j;
}

/* Absent strings and references read as "", as clients expect; other absent values as null. */
static struct json_object *member_json(Object *o, const QType *t, const QMember *m, const void *base)
{
    struct json_object *all, *v = NULL;

    if (m->type->kind == QK_REF && !is_by_id(o->tree, m->type)) {
        return json_path(*(Object *const *)((const char *)base + m->offset));
    }
    all = o->tree->values->to_json(o->tree, t, base);
    json_object_object_get_ex(all, m->item.name, &v);
    v = json_object_get(v);
    json_object_put(all);
    if (!v && (m->type->kind == QK_STR || m->type->kind == QK_REF)) {
        return json_object_new_string("");
    }
    return v;
}

static bool info_json(Object *o, const QClass *level, const QMember *m, struct json_object **out, Error **errp)
{
    const ObjectOps *ops = level->impl;
    void *info = qom_alloc(1, level->info->size);
    bool ok;

    if (ops && ops->get_info) {
        ok = ops->get_info(o, info, errp);
    } else {
        ok = error_set(errp, "Property '%s.%s' is not implemented", o->klass->item.name, m->item.name);
    }
    if (ok) {
        *out = member_json(o, level->info, m, info);
    }
    o->tree->values->finish(o->tree, level->info, info);
    free(info);
    return ok;
}

static bool get(Object *o, const char *property, unsigned depth, struct json_object **out, Error **errp)
{
    ClassParts parts;
    const QClass *level;
    const QMember *m;
    Object *other;
    PartMember pm;
    void *base;

    if (strcmp(property, "type") == 0) {
        *out = json_object_new_string(o->klass->item.name);
        return true;
    }
    qclass_parts(o->klass, &parts);
    base = object_member(o, &parts, property, &pm);
    if (base && pm.m->alias && depth < ALIAS_DEPTH_MAX) {
        other = follow_alias(o, pm.m->alias, &property);
        if (other) {
            return get(other, property, depth + 1, out, errp);
        }
    }
    if (base) {
        *out = member_json(o, pm.in, pm.m, base);
        return true;
    }
    m = qclass_info_member(o->klass, property, &level);
    if (m) {
        return info_json(o, level, m, out, errp);
    }
    other = object_step(o, property);
    if (other) {
        *out = json_path(other);
        return true;
    }
    return property_not_found(o, property, errp);
}

bool object_get(Object *o, const char *property, struct json_object **out, Error **errp)
{
    return get(o, property, 0, out, errp);
}

/* ---- Writing ---- */

/* The references of m have changed. */
static void relink(Object *o, const QMember *m, const void *base)
{
    ObjectLink *next;

    for (ObjectLink *l = o->links; l; l = next) {
        next = l->next_link;
        if (l->conf && strcmp(l->name, m->item.name) == 0) {
            object_unlink(l);
        }
    }
    link_member(o, m, base);
}

typedef struct {
    Object *o;
    uint64_t mark;
    bool found;
} CircleSearch;

/* Does from use o, itself or by others? Each object is looked at once. */
static void search_circle(void *opaque, Object *from)
{
    CircleSearch *s = opaque;

    s->found |= from == s->o;
    if (s->found || from->mark == s->mark) {
        return;
    }
    from->mark = s->mark;
    for (ObjectLink *l = from->links; l; l = l->next_link) {
        if (l->conf) {
            search_circle(s, l->target);
        }
    }
}

/* Objects that use each other in a circle could never be deleted. */
static bool check_no_circle(Object *o, const QMember *m, const void *changed, Error **errp)
{
    QType one = {.kind = QK_STRUCT, .members = m, .num_members = 1};
    CircleSearch s = {.o = o, .mark = ++o->tree->last_mark};

    qvalue_each_ref(&one, changed, search_circle, &s);
    return !s.found || error_set(errp, "'%s' of '%s' cannot be an object that uses '%s' itself", m->item.name,
                                 o->name ? o->name : "", o->name ? o->name : "");
}

static bool set_control(Object *o, const QClass *level, const QMember *m, struct json_object *value, Error **errp)
{
    const QType *t = level->control;
    const ObjectOps *ops = level->impl;
    const QomValues *values = o->tree->values;
    void *now = object_control(o, level);
    struct json_object *json = values->to_json(o->tree, t, now);
    void *changed = qom_alloc(1, t->size);
    bool ok;

    json_object_object_add(json, m->item.name, json_object_get(value));
    ok = values->from_json(o->tree, t, json, false, changed, errp);
    json_object_put(json);
    if (ok && !(check_no_circle(o, m, changed, errp) &&
                (o->life != OBJECT_REALIZED || !ops->apply_control || ops->apply_control(o, m, changed, errp)))) {
        values->finish(o->tree, t, changed);
        ok = false;
    }
    if (ok) {
        void *old = qom_alloc(1, t->size);

        memcpy(old, now, t->size);
        memcpy(now, changed, t->size);
        relink(o, m, now);
        values->finish(o->tree, t, old);
        free(old);
    }
    free(changed);
    return ok;
}

static bool refuse_conf(Object *o, const char *property, Error **errp)
{
    const char *type = o->klass->item.name;

    if (o->klass->kind == QCLASS_DEVICE) {
        return error_set(errp, "Attempt to set property '%s' on device '%s' (type '%s') after it was realized", property,
                         o->name ? o->name : "", type);
    }
    return error_set(errp, "cannot change property %s of %s", property, type);
}

static bool set(Object *o, const char *property, struct json_object *value, unsigned depth, Error **errp)
{
    ClassParts parts;
    const QClass *level;
    const QMember *m;
    Object *other;
    PartMember pm;

    qclass_parts(o->klass, &parts);
    m = object_member(o, &parts, property, &pm) ? pm.m : NULL;
    if (m && m->alias && depth < ALIAS_DEPTH_MAX) {
        other = follow_alias(o, m->alias, &property);
        return other ? set(other, property, value, depth + 1, errp) : property_not_found(o, m->item.name, errp);
    }
    if (m && pm.in == parts.klass[pm.part]->control) {
        if (!m->settable) {
            return refuse_conf(o, property, errp);
        }
        return set_control(o, parts.klass[pm.part], m, value, errp);
    }
    if (m) {
        return refuse_conf(o, property, errp);
    }
    if (strcmp(property, "type") == 0 || qclass_info_member(o->klass, property, &level) || object_step(o, property)) {
        return error_set(errp, "Property '%s.%s' is not writable", o->klass->item.name, property);
    }
    return property_not_found(o, property, errp);
}

bool object_set(Object *o, const char *property, struct json_object *value, Error **errp)
{
    return set(o, property, value, 0, errp);
}

/* ---- By path ---- */

struct json_object *qom_list(QomTree *tree, const char *path, Error **errp)
{
    Object *o = qom_resolve(tree, path, errp);
    struct json_object *list;
    QomProperty *p;
    size_t num;

    if (!o) {
        return NULL;
    }
    p = object_properties(o, &num);
    list = json_object_new_array();
    for (size_t i = 0; i < num; i++) {
        struct json_object *item = json_object_new_object();

        json_object_object_add(item, "name", json_object_new_string(p[i].name));
        json_object_object_add(item, "type", json_object_new_string(p[i].type));
        json_object_array_add(list, item);
    }
    qom_properties_free(p, num);
    return list;
}

bool qom_get(QomTree *tree, const char *path, const char *property, struct json_object **out, Error **errp)
{
    Object *o = qom_resolve(tree, path, errp);

    return o && object_get(o, property, out, errp);
}

bool qom_set(QomTree *tree, const char *path, const char *property, struct json_object *value, Error **errp)
{
    Object *o = qom_resolve(tree, path, errp);

    return o && object_set(o, property, value, errp);
}
