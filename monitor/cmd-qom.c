/* Commands about objects and classes. */
#include <stdlib.h>
#include <string.h>

#include "monitor/internal.h"
#include "qapi/hmp.gen.h"
#include "qapi/introspect.h"
#include "qapi/qom-commands.gen.h"

/* The answer of cmd out of json (owned), which the tables make. */
static bool answer(const QCommand *cmd, struct json_object *json, void *ret, Error **errp)
{
    bool ok = json && qvalue_from_json(cmd->ret, json, ret, NULL, errp);

    json_object_put(json);
    return ok;
}

bool qmp_qom_list(QCallContext *cc, const QomListArgs *args, ObjectPropertyInfoList *ret, Error **errp)
{
    return answer(&qcommand_qom_list, qom_list(monitor_tree(cc), args->path, errp), ret, errp);
}

bool qmp_qom_get(QCallContext *cc, const QomGetArgs *args, struct json_object **ret, Error **errp)
{
    return qom_get(monitor_tree(cc), args->path, args->property, ret, errp);
}

bool qmp_qom_set(QCallContext *cc, const QomSetArgs *args, Error **errp)
{
    return qom_set(monitor_tree(cc), args->path, args->property, args->value, errp);
}

bool qmp_qom_list_types(QCallContext *cc, const QomListTypesArgs *args, ObjectTypeInfoList *ret, Error **errp)
{
    return answer(&qcommand_qom_list_types, qintrospect_classes(cc->schema, args->implements, args->abstract), ret, errp);
}

bool qmp_qom_list_properties(QCallContext *cc, const QomListPropertiesArgs *args, ObjectPropertyInfoList *ret, Error **errp)
{
    return answer(&qcommand_qom_list_properties, qintrospect_object(cc->schema, args->typename, errp), ret, errp);
}

bool qmp_device_list_properties(QCallContext *cc, const DeviceListPropertiesArgs *args, ObjectPropertyInfoList *ret,
                                Error **errp)
{
    return answer(&qcommand_device_list_properties, qintrospect_device(cc->schema, args->typename, errp), ret, errp);
}

bool qmp_query_command_line_options(QCallContext *cc, const QueryCommandLineOptionsArgs *args,
                                    CommandLineOptionInfoList *ret, Error **errp)
{
    return answer(&qcommand_query_command_line_options, qintrospect_options(cc->schema, args->option, errp), ret, errp);
}

bool qmp_object_add(QCallContext *cc, const ObjectOptions *args, Error **errp)
{
    return qom_object_add(monitor_tree(cc), args->qom_type, args->id, args->rest, monitor_of(cc)->mode == MONITOR_HMP, errp);
}

bool qmp_object_del(QCallContext *cc, const ObjectDelArgs *args, Error **errp)
{
    return qom_object_del(monitor_tree(cc), args->id, errp);
}

/* ---- HMP ---- */

bool hmp_info_qom_tree(QCallContext *cc, const InfoQomTreeHmp *args, Error **errp)
{
    Object *top = args->path ? qom_resolve(monitor_tree(cc), args->path, errp) : qom_machine(monitor_tree(cc));
    char *text;

    if (!top && args->path) {
        return false;
    }
    text = qom_tree_text(top ? top : qom_root(monitor_tree(cc)));
    monitor_print(cc, text);
    free(text);
    return true;
}

bool hmp_qom_list(QCallContext *cc, const QomListHmp *args, Error **errp)
{
    struct json_object *list, *name, *type;

    if (!args->path) {
        monitor_print(cc, "/\n");
        return true;
    }
    list = qom_list(monitor_tree(cc), args->path, errp);
    if (!list) {
        return false;
    }
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *p = json_object_array_get_idx(list, i);
        if (json_object_object_get_ex(p, "name", &name) && json_object_object_get_ex(p, "type", &type)) {
            monitor_printf(cc, "%s (%s)\n", json_object_get_string(name), json_object_get_string(type));
        }
    }
    json_object_put(list);
    return true;
}

bool hmp_qom_get(QCallContext *cc, const QomGetHmp *args, Error **errp)
{
    struct json_object *value;
    char *text;

    if (!qom_get(monitor_tree(cc), args->path, args->property, &value, errp)) {
        return false;
    }
    text = qjson_text(value, true);
    monitor_printf(cc, "%s\n", text);
    free(text);
    json_object_put(value);
    return true;
}

/* Without -j, text: as it is when the property is a string, else what the same text is in JSON, or on and off. */
static struct json_object *value_of(QCallContext *cc, const QomSetHmp *args, Error **errp)
{
    struct json_object *value = NULL, *old = NULL;
    bool b;

    if (args->has_json && args->json) {
        return qjson_parse(args->value, strlen(args->value), &value, errp) ? value : NULL;
    }
    if (!qom_get(monitor_tree(cc), args->path, args->property, &old, errp)) {
        return NULL;
    }
    if (json_object_is_type(old, json_type_boolean) && qbool_parse(args->value, &b)) {
        value = json_object_new_boolean(b);
    } else if (!(json_object_is_type(old, json_type_int) || json_object_is_type(old, json_type_double)) ||
               !qjson_parse(args->value, strlen(args->value), &value, NULL)) {
        value = json_object_new_string(args->value);
    }
    json_object_put(old);
    return value;
}

bool hmp_qom_set(QCallContext *cc, const QomSetHmp *args, Error **errp)
{
    Error *err = NULL;
    struct json_object *value = value_of(cc, args, &err);
    bool ok = !err && qom_set(monitor_tree(cc), args->path, args->property, value, &err);

    json_object_put(value);
    error_propagate(errp, err);
    return ok;
}
