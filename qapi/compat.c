/* -compat for requests and replies: see qapi/compat.h. Texts are those QMP clients know. */
#include "qapi/compat.h"

#include <stdlib.h>

#include <json-c/json.h>

#include "qapi/visit.h"

bool qcompat_check(const QCompatPolicy *policy, const QItem *item, const char *what, Error **errp)
{
    QCompatInput rule = policy && item->stability != STABILITY_STABLE ? policy->input[item->stability] : QCOMPAT_ACCEPT;

    if (rule == QCOMPAT_CRASH) {
        abort(); /* which the user asked for */
    }
    if (rule == QCOMPAT_REJECT) {
        error_set(errp, "%s %s '%s' disabled by policy", item->stability == STABILITY_DEPRECATED ? "Deprecated" : "Unstable", what, item->name);
        return item->instead ? error_hint(errp, "Use %s instead", item->instead) : false;
    }
    return true;
}

static const QEnumValue *enum_value(const QType *t, struct json_object *v)
{
    return json_object_is_type(v, json_type_string) ? qtype_enum_value(t, json_object_get_string(v)) : NULL;
}

/* The branch that the tag in value selects; NULL: none. */
static const QType *branch_type(const QType *t, struct json_object *value)
{
    const QMember *tag = &t->members[t->tag_member];
    const QEnumValue *v = json_object_object_get_ex(value, tag->item.name, NULL)
                              ? enum_value(tag->type, json_object_object_get(value, tag->item.name)) : NULL;

    for (uint32_t i = 0; v && i < t->num_branches; i++) {
        if (t->branches[i].tag == v->value) {
            return t->branches[i].type;
        }
    }
    return NULL;
}

/* The member `key`, its own or its branch's. */
static const QMember *find_member(const QType *t, struct json_object *value, const char *key)
{
    const QMember *m = qtype_member(t, key);
    const QType *branch = !m && t->kind == QK_UNION ? branch_type(t, value) : NULL;

    return branch ? find_member(branch, value, key) : m;
}

bool qcompat_check_value(const QCompatPolicy *policy, const QType *t, struct json_object *value, Error **errp)
{
    if (!policy || !t) {
        return true;
    }
    if (t->kind == QK_ENUM) {
        const QEnumValue *v = enum_value(t, value);
        return !v || qcompat_check(policy, &v->item, "value", errp);
    }
    if (t->kind == QK_LIST && json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            if (!qcompat_check_value(policy, t->element, json_object_array_get_idx(value, i), errp)) {
                return false;
            }
        }
    }
    if ((t->kind == QK_STRUCT || t->kind == QK_UNION) && json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, key, v) {
            const QMember *m = find_member(t, value, key);

            if (m && (!qcompat_check(policy, &m->item, "parameter", errp) || !qcompat_check_value(policy, m->type, v, errp))) {
                return false;
            }
        }
    }
    return true;
}

bool qcompat_hides(const QCompatPolicy *policy, const QItem *item)
{
    return policy && item->stability != STABILITY_STABLE && policy->hide[item->stability];
}

void qcompat_hide_members(const QCompatPolicy *policy, const QType *t, struct json_object *value)
{
    if (!policy || !t) {
        return;
    }
    if (t->kind == QK_LIST && json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            qcompat_hide_members(policy, t->element, json_object_array_get_idx(value, i));
        }
    }
    if ((t->kind == QK_STRUCT || t->kind == QK_UNION) && json_object_is_type(value, json_type_object)) {
        struct json_object *all = json_object_get(value);

        json_object_object_foreach(all, key, v) { /* safe against taking out the one it is at */
            const QMember *m = find_member(t, value, key);

            if (m && qcompat_hides(policy, &m->item)) {
                json_object_object_del(value, key);
            } else if (m) {
                qcompat_hide_members(policy, m->type, v);
            }
        }
        json_object_put(all);
    }
}
