/* -device, device_add and device_del; texts of errors are those of QEMU 10.0. The contract is in hw/core/device.h. */
#include <assert.h>
#include <glib.h>
#include <json-c/json.h>
#include <string.h>

#include "hw/core/device.gen.h"
#include "hw/core/internal.h"
#include "qapi/schema.h"

bool device_is_user_creatable(const QClass *k)
{
    return k->kind == QCLASS_DEVICE && k->user_creatable && !k->abstract;
}

/* Takes member `key` out of props: what is about the plugging and not the device's own. NULL: not there; owned. */
static char *take(struct json_object *props, const char *key, Error **errp)
{
    struct json_object *v;
    char *s;

    if (!json_object_object_get_ex(props, key, &v) || !v) {
        return NULL;
    }
    if (!json_object_is_type(v, json_type_string)) {
        error_set(errp, "Invalid parameter type for '%s', expected: string", key);
        return NULL;
    }
    s = g_strdup(json_object_get_string(v));
    json_object_object_del(props, key);
    return s;
}

static const QClass *find_driver(Machine *m, const char *driver, Error **errp)
{
    const QSchema *schema = qom_schema(m->tree);
    const QClass *k = qschema_class(schema, driver);

    if (!k || k->kind != QCLASS_DEVICE) {
        const char *near = qsuggest_class(schema, "device", driver);

        error_set(errp, "'%s' is not a valid device model name", driver);
        if (near) {
            error_hint(errp, "Did you mean '%s'?", near);
        }
        return NULL;
    }
    if (k->abstract || !k->user_creatable) {
        error_set(errp, "Parameter 'driver' expects a pluggable device type");
        return NULL;
    }
    if (m->created && !k->hotpluggable) {
        error_set(errp, "Device '%s' does not support hotplugging", driver);
        return NULL;
    }
    return k;
}

static bool find_bus(Machine *m, const QClass *k, const char *name, Bus **bus, Error **errp)
{
    Error *err = NULL;

    *bus = NULL;
    if (!name && !k->bus) {
        return true;
    }
    *bus = bus_find(m, name, k->bus, &err);
    if (!*bus) {
        if (!name) {
            error_free(err);
            err = NULL;
            error_set(&err, "No '%s' bus found for device '%s'", k->bus, k->item.name);
        }
        error_propagate(errp, err);
        return false;
    }
    if (m->created && !bus_functions(*bus)->hotpluggable) {
        return error_set(errp, "Bus '%s' does not support hotplugging", (*bus)->name);
    }
    return true;
}

static bool check_id(Machine *m, const char *id, Error **errp)
{
    if (!qom_id_valid(id)) {
        error_set(errp, "Parameter 'id' expects an identifier");
        return error_hint(errp, "a letter, then letters, digits, '-', '.' or '_'");
    }
    if (object_child(machine_folder(m, "peripheral"), id)) {
        return error_set(errp, "Duplicate device ID '%s'", id);
    }
    return true;
}

static Device *add(Machine *m, const char *driver, const char *id, const char *bus_name, struct json_object *props,
                   bool text, Error **errp)
{
    const QClass *k = find_driver(m, driver, errp);
    Object *parent = machine_folder(m, id ? "peripheral" : "peripheral-anon");
    Device *d;
    Bus *bus;

    if (!k || (id && !check_id(m, id, errp)) || !find_bus(m, k, bus_name, &bus, errp)) {
        return NULL;
    }
    d = device_create_json(m, k, bus, parent, id ? id : "device[*]", props, text, errp);
    if (!d) {
        return NULL;
    }
    d->hotplugged = m->created;
    if (!device_realize(d, errp)) {
        return NULL;
    }
    if (m->created) {
        object_reset(OBJECT(d), OBJECT_COLD_RESET);
    }
    return d;
}

Device *device_add(Machine *m, struct json_object *record, bool text, Error **errp)
{
    struct json_object *props = json_object_new_object();
    struct json_object_iter it;
    Error *err = NULL;
    Device *d = NULL;

    json_object_object_foreachC(record, it)
    {
        json_object_object_add(props, it.key, json_object_get(it.val));
    }
    g_autofree char *driver = take(props, "driver", &err);
    g_autofree char *id = err ? NULL : take(props, "id", &err);
    g_autofree char *bus = err ? NULL : take(props, "bus", &err);

    if (!err && !driver) {
        error_set(&err, "Parameter 'driver' is missing");
    }
    if (!err) {
        d = add(m, driver, id, bus, props, text, &err);
    }
    error_propagate(errp, err);
    json_object_put(props);
    return d;
}

bool device_del(Machine *m, const char *id_or_path, Error **errp)
{
    Object *o = id_or_path[0] == '/' ? qom_resolve(m->tree, id_or_path, NULL)
                                     : object_child(machine_folder(m, "peripheral"), id_or_path);
    const DeviceOps *ops;
    Device *d = DEVICE(o);

    if (!o) {
        error_set_class(errp, ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", id_or_path);
        return false;
    }
    if (o->klass->kind != QCLASS_DEVICE) {
        return error_set(errp, "%s is not a hotpluggable device", id_or_path);
    }
    if (!o->klass->hotpluggable) {
        return error_set(errp, "Device '%s' does not support hotplugging", o->klass->item.name);
    }
    if (d->bus && !bus_functions(d->bus)->hotpluggable) {
        return error_set(errp, "Bus '%s' does not support hotplugging", d->bus->name);
    }
    if (d->pending_unplug) {
        return error_set(errp, "Device %s is already in the process of unplug", id_or_path);
    }
    ops = object_iface(o);
    if (ops && ops->unplug_request && m->created) {
        d->pending_unplug = ops->unplug_request(d, errp);
        return d->pending_unplug;
    }
    return object_delete(o, errp);
}
