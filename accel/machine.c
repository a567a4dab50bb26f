/* The accelerator of a machine: chosen by name, stopped and started with it. */
#include <stdlib.h>
#include <string.h>

#include "accel/accel.h"
#include "hw/core/machine.h"
#include "qapi/schema.h"

/* A vCPU stopped itself: what that means for the machine. */
static void vcpu_exited(Vcpu *v, VcpuExit e)
{
    Machine *m = v->machine;

    if (!m->host) {
        return;
    }
    fair_mutex_lock(&m->lock);
    if (e == VCPU_EXIT_SHUTDOWN && m->host->request_reset) {
        m->host->request_reset(m, SHUTDOWN_CAUSE_GUEST_RESET);
    } else if (e == VCPU_EXIT_ERROR && m->host->request_shutdown) {
        m->host->request_shutdown(m, SHUTDOWN_CAUSE_HOST_ERROR);
    }
    fair_mutex_unlock(&m->lock);
}

static const QClass *accel_class(Machine *m, const char *name, Error **errp)
{
    const QClass *klass;
    char full[64];

    snprintf(full, sizeof(full), "%s-accel", name);
    klass = qschema_class(qom_schema(m->tree), full);
    if (!klass || klass->kind != QCLASS_ACCEL || klass->abstract) {
        const char *near = qsuggest_class(qom_schema(m->tree), "accel", full);

        error_set(errp, "invalid accelerator %s", name);
        if (near && strlen(name) > 2) {
            error_hint(errp, "Did you mean '%.*s'?", (int)(strlen(near) - strlen("-accel")), near);
        }
        return NULL;
    }
    return klass;
}

static Accel *try_one(Machine *m, const char *name, struct json_object *props, Error **errp)
{
    const QClass *klass = accel_class(m, name, errp);
    QomConf conf = { 0 };
    Object *o;
    Accel *a;

    if (!klass || !qom_conf_build(m->tree, klass, props, true, &conf, errp)) {
        return NULL;
    }
    o = object_new(m->tree, klass, &conf, errp);
    if (!o) {
        return NULL;
    }
    a = ACCEL(o);
    a->machine = m;
    a->lock = &m->lock;
    a->map = m->map;
    a->clocks = &m->clocks;
    a->on_exit = vcpu_exited;
    if (!object_add_child(&m->obj, "accelerator", o, errp) || !object_realize(o, errp)) {
        object_unparent(o);
        a = NULL;
    }
    object_unref(o); /* the machine has its own */
    return a;
}

Accel *accel_new(Machine *m, const char *names, struct json_object *props, Error **errp)
{
    char *copy = strdup(names), *save = NULL, *name;
    Error *all = NULL;

    if (!copy) {
        abort();
    }
    for (name = strtok_r(copy, ":", &save); name && !m->accel; name = strtok_r(NULL, ":", &save)) {
        Error *err = NULL;

        m->accel = try_one(m, name, props, &err);
        if (m->accel) {
            break;
        }
        if (all) {
            error_prepend(&err, "%s; ", error_message(all));
            error_free(all);
        }
        all = err;
    }
    free(copy);
    if (m->accel) {
        error_free(all);
    } else if (all) {
        error_propagate(errp, all);
    } else {
        error_set(errp, "accel: no name given");
    }
    return m->accel;
}

void accel_free(Accel *a)
{
    Machine *m = a ? a->machine : NULL;

    if (!a) {
        return;
    }
    if (m) {
        m->accel = NULL;
    }
    object_unparent(&a->obj);
}

void vcpus_pause(Machine *m)
{
    if (m->accel) {
        accel_pause(m->accel);
    }
}

void vcpus_resume(Machine *m)
{
    if (m->accel) {
        accel_resume(m->accel);
    }
}
