/* Devices: making, plugging, taking out. The contract is in hw/core/device.h. */
#include <assert.h>
#include <glib.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <string.h>

#include "hw/core/device.gen.h"
#include "hw/core/internal.h"
#include "util/log.h"

/* ---- Class 'device' ---- */

static bool device_init(Object *o, Error **errp)
{
    Object *machine = qom_machine(o->tree);

    if (!machine) {
        return error_set(errp, "device '%s' needs a machine", o->klass->item.name);
    }
    DEVICE(o)->machine = MACHINE(machine);
    return true;
}

static bool plug(Device *d, Error **errp)
{
    const BusOps *ops = bus_functions(d->bus);

    if (ops->max_devices && d->bus->num_devices >= ops->max_devices) {
        return error_set(errp, "Bus '%s' is full", d->bus->name);
    }
    if (ops->plug && !ops->plug(d->bus, d, errp)) {
        return false;
    }
    d->bus_next = d->bus->devices;
    d->bus->devices = d;
    d->bus->num_devices++;
    d->plugged = true;
    return true;
}

static void unplug(Device *d)
{
    const BusOps *ops = bus_functions(d->bus);
    Device **p;

    for (p = &d->bus->devices; *p != d; p = &(*p)->bus_next) {
    }
    *p = d->bus_next;
    d->bus->num_devices--;
    d->plugged = false;
    if (ops->unplug) {
        ops->unplug(d->bus, d);
    }
}

static bool device_realize_base(Object *o, Error **errp)
{
    Device *d = DEVICE(o);
    Machine *m = d->machine;

    if (d->bus && !plug(d, errp)) {
        return false;
    }
    d->prev = m->last_device;
    d->next = NULL;
    *(m->last_device ? &m->last_device->next : &m->first_device) = d;
    m->last_device = d;
    return true;
}

static void device_unrealize_base(Object *o)
{
    Device *d = DEVICE(o);
    Machine *m = d->machine;

    *(d->prev ? &d->prev->next : &m->first_device) = d->next;
    *(d->next ? &d->next->prev : &m->last_device) = d->prev;
    d->next = d->prev = NULL;
    if (d->plugged) {
        unplug(d);
    }
}

static void device_finish(Object *o)
{
    Device *d = DEVICE(o);

    device_finish_irqs(d);
    g_free(d->buses);
    d->buses = NULL;
}

const ObjectOps device_ops = {
    .size = sizeof(Device),
    .init = device_init,
    .realize = device_realize_base,
    .unrealize = device_unrealize_base,
    .finish = device_finish,
};

/* ---- Making ---- */

Device *device_create_json(Machine *m, const QClass *klass, Bus *bus, Object *parent, const char *child_name,
                           struct json_object *props, bool text, Error **errp)
{
    QomConf conf = {0};
    Object *o;
    bool ok;

    if (klass->bus && !bus) {
        error_set(errp, "device '%s' needs a bus of class %s", klass->item.name, klass->bus);
        return NULL;
    }
    if (bus && (!klass->bus || !object_is_a(OBJECT(bus), klass->bus))) {
        error_set(errp, "Device '%s' can't go on %s bus", klass->item.name, bus->obj.klass->item.name);
        return NULL;
    }
    if (!qom_conf_build(m->tree, klass, props, text, &conf, errp)) {
        return NULL;
    }
    o = object_new(m->tree, klass, &conf, errp);
    if (!o) {
        return NULL;
    }
    DEVICE(o)->bus = bus;
    ok = object_add_child(parent ? parent : machine_folder(m, "unattached"), child_name ? child_name : "device[*]", o,
                          errp);
    object_unref(o);
    return ok ? DEVICE(o) : NULL;
}

static Device *create_va(Machine *m, const char *name, Bus *bus, Object *parent, const char *child_name, Error **errp,
                         va_list ap)
{
    const QClass *klass = qschema_class(qom_schema(m->tree), name);
    struct json_object *props;
    const char *key;
    Device *d;

    if (!klass || klass->kind != QCLASS_DEVICE) {
        error_set(errp, "'%s' is not a valid device model name", name);
        return NULL;
    }
    props = json_object_new_object();
    while ((key = va_arg(ap, const char *))) {
        const char *value = va_arg(ap, const char *);

        if (value) {
            json_object_object_add(props, key, json_object_new_string(value));
        }
    }
    d = device_create_json(m, klass, bus, parent, child_name, props, true, errp);
    json_object_put(props);
    return d;
}

Device *device_create(Machine *m, const char *name, Bus *bus, Object *parent, const char *child_name, Error **errp,
                      ...)
{
    va_list ap;
    Device *d;

    va_start(ap, errp);
    d = create_va(m, name, bus, parent, child_name, errp, ap);
    va_end(ap);
    return d;
}

bool device_realize(Device *d, Error **errp)
{
    memory_transaction_begin(d->machine->map);
    if (object_realize(OBJECT(d), errp)) {
        memory_transaction_commit(d->machine->map);
        return true;
    }
    memory_transaction_commit(d->machine->map);
    object_unparent(OBJECT(d));
    return false;
}

Device *device_new(Machine *m, const char *name, Bus *bus, Object *parent, const char *child_name, Error **errp, ...)
{
    va_list ap;
    Device *d;

    va_start(ap, errp);
    d = create_va(m, name, bus, parent, child_name, errp, ap);
    va_end(ap);
    return d && device_realize(d, errp) ? d : NULL;
}

/* ---- Telling ---- */

static void tell(uint32_t item, Device *d, const char *fmt, va_list ap)
{
    char *path = object_path(OBJECT(d));
    char *text = g_strdup_vprintf(fmt, ap);

    log_item(item, "%s: %s\n", path ? path : d->obj.klass->item.name, text);
    g_free(text);
    free(path);
}

void device_guest_error(Device *d, const char *fmt, ...)
{
    va_list ap;

    if (log_enabled(LOG_GUEST_ERRORS)) {
        va_start(ap, fmt);
        tell(LOG_GUEST_ERRORS, d, fmt, ap);
        va_end(ap);
    }
}

void device_unimp(Device *d, const char *fmt, ...)
{
    va_list ap;

    if (log_enabled(LOG_UNIMP)) {
        va_start(ap, fmt);
        tell(LOG_UNIMP, d, fmt, ap);
        va_end(ap);
    }
}
