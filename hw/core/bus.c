/* Buses. The contract is in hw/core/device.h. */
#include <assert.h>
#include <glib.h>
#include <string.h>

#include "hw/core/device.gen.h"
#include "hw/core/internal.h"

static const BusOps no_ops = {0};

const BusOps *bus_functions(const Bus *b)
{
    const BusOps *ops = object_iface(&b->obj);

    return ops ? ops : &no_ops;
}

static void bus_unrealize(Object *o)
{
    Bus *b = BUS(o);
    Device *parent = b->parent;

    if (!parent) {
        return;
    }
    for (unsigned i = 0; i < parent->num_buses; i++) {
        if (parent->buses[i] == b) {
            parent->num_buses--;
            memmove(&parent->buses[i], &parent->buses[i + 1], (parent->num_buses - i) * sizeof(*parent->buses));
            break;
        }
    }
    b->parent = NULL;
}

static void bus_finish(Object *o)
{
    g_free(BUS(o)->name);
}

const ObjectOps bus_ops = {
    .size = sizeof(Bus),
    .unrealize = bus_unrealize,
    .finish = bus_finish,
};

static char *auto_name(Machine *m, const char *class_name, Device *parent)
{
    unsigned n = 0;

    if (parent && parent->obj.parent == machine_folder(m, "peripheral")) {
        return g_strdup_printf("%s.%u", parent->obj.name, parent->num_buses);
    }
    for (;; n++) {
        g_autofree char *lower = g_ascii_strdown(class_name, -1);
        char *name = g_strdup_printf("%s.%u", lower, n);

        if (!bus_find(m, name, NULL, NULL)) {
            return name;
        }
        g_free(name);
    }
}

Bus *bus_new(Machine *m, const char *class_name, Device *parent, const char *bus_name, Error **errp)
{
    const QClass *klass = qschema_class(qom_schema(m->tree), class_name);
    Object *o;
    Bus *b;

    if (!klass || klass->kind != QCLASS_BUS) {
        error_set(errp, "'%s' is not a class of buses", class_name);
        return NULL;
    }
    o = object_new(m->tree, klass, NULL, errp);
    if (!o) {
        return NULL;
    }
    b = BUS(o);
    b->machine = m;
    b->name = bus_name ? g_strdup(bus_name) : auto_name(m, class_name, parent);
    if (!object_add_child(parent ? OBJECT(parent) : machine_folder(m, "unattached"), b->name, o, errp)) {
        object_unref(o);
        return NULL;
    }
    object_unref(o); /* the tree has it */
    b->parent = parent;
    if (parent) {
        parent->buses = g_renew(Bus *, parent->buses, parent->num_buses + 1);
        parent->buses[parent->num_buses++] = b;
    }
    if (!object_realize(o, errp)) {
        bus_unrealize(o);
        object_unparent(o);
        return NULL;
    }
    return b;
}

static bool is_full(const Bus *b)
{
    unsigned max = bus_functions(b)->max_devices;

    return max && b->num_devices >= max;
}

static Bus *by_path(Machine *m, const char *path, Error **errp)
{
    Object *o = qom_resolve(m->tree, path, errp);

    if (o && o->klass->kind != QCLASS_BUS) {
        error_set(errp, "'%s' is a %s, not a bus", path, o->klass->item.name);
        return NULL;
    }
    return BUS(o);
}

/* Next bus of the machine: those of no device, then by the order in which their devices were realized. NULL starts. */
static Bus *next_bus(Machine *m, Bus *b)
{
    Device *d;
    unsigned i = 0;

    if (!b || !b->parent) {
        Object *o = b ? OBJECT(b)->next_sibling : machine_folder(m, "unattached")->first_child;

        for (; o; o = o->next_sibling) {
            if (o->klass->kind == QCLASS_BUS) {
                return BUS(o);
            }
        }
        d = m->first_device;
    } else {
        d = b->parent;
        while (d->buses[i++] != b) {
        }
    }
    for (; d; d = d->next, i = 0) {
        if (i < d->num_buses) {
            return d->buses[i];
        }
    }
    return NULL;
}

Bus *bus_find(Machine *m, const char *name_or_path, const char *bus_class, Error **errp)
{
    Bus *full = NULL;

    if (name_or_path && name_or_path[0] == '/') {
        return by_path(m, name_or_path, errp);
    }
    for (Bus *b = next_bus(m, NULL); b; b = next_bus(m, b)) {
        if (name_or_path ? !strcmp(b->name, name_or_path) : !bus_class || object_is_a(OBJECT(b), bus_class)) {
            if (name_or_path || !is_full(b)) {
                return b;
            }
            full = full ? full : b;
        }
    }
    if (name_or_path) {
        error_set(errp, "Bus '%s' not found", name_or_path);
    } else if (full) {
        error_set(errp, "All buses of class '%s' are full", bus_class ? bus_class : "any");
    } else {
        error_set(errp, "No '%s' bus found", bus_class ? bus_class : "any");
    }
    return NULL;
}
