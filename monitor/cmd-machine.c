/* Commands about machines, their devices and what their processors show. */
#include <stdlib.h>
#include <string.h>

#include "accel/accel.h"
#include "hw/intc/apic.h"
#include "hw/intc/intctrl.h"
#include "hw/pci/pci.h"
#include "monitor/internal.h"
#include "qapi/machine.gen.h"
#include "ui/console.h"

/* ---- Types of machines ---- */

static const MachineOps *machine_class_ops(const QClass *k)
{
    static const MachineOps none = { 0 };

    for (; k; k = k->parent) {
        const ObjectOps *ops = k->impl;
        if (ops && ops->iface) {
            return ops->iface;
        }
    }
    return &none;
}

static MachineInfo *machine_info(const QSchema *s, const QClass *k)
{
    const MachineOps *ops = machine_class_ops(k);
    MachineInfo *i = q_calloc(1, sizeof(*i));

    i->name = q_strndup(k->item.name, strlen(k->item.name) - strlen("-machine"));
    i->alias = k->alias ? q_strdup(k->alias) : NULL;
    i->has_is_default = i->is_default = machine_is_default(k);
    i->cpu_max = ops->max_cpus ? ops->max_cpus : 1;
    i->deprecated = k->item.stability == STABILITY_DEPRECATED;
    i->default_cpu_type = ops->default_cpu ? q_strdup(ops->default_cpu) : NULL;
    i->default_ram_id = ops->ram_id ? q_strdup(ops->ram_id) : NULL;
    i->acpi = qtype_member(k->conf, "acpi");
    return i;
}

/* A row's value is JSON; on the command line texts have no quotes and flags are on or off. */
static char *global_text(const char *json)
{
    struct json_object *v = NULL;
    char *text;

    if (!qjson_parse(json, strlen(json), &v, NULL)) {
        return q_strdup(json);
    }
    text = json_object_is_type(v, json_type_boolean) ? q_strdup(json_object_get_boolean(v) ? "on" : "off")
           : json_object_is_type(v, json_type_string) ? q_strdup(json_object_get_string(v)) : q_strdup(json);
    json_object_put(v);
    return text;
}

static void add_compat_props(MachineInfo *i, const QClass *k)
{
    i->has_compat_props = true;
    i->compat_props.items = q_calloc(k->num_compat + 1, sizeof(*i->compat_props.items));
    for (uint32_t n = 0; n < k->num_compat; n++) {
        CompatProperty *p = q_calloc(1, sizeof(*p));

        p->qom_type = q_strdup(k->compat[n].class_name);
        p->property = q_strdup(k->compat[n].property);
        p->value = global_text(k->compat[n].value);
        i->compat_props.items[i->compat_props.len++] = p;
    }
}

bool qmp_query_machines(QCallContext *cc, const QueryMachinesArgs *args, MachineInfoList *ret, Error **errp)
{
    for (uint32_t i = 0; i < cc->schema->num_classes; i++) {
        const QClass *k = cc->schema->classes[i];

        if (k->kind == QCLASS_MACHINE && !k->abstract) {
            ret->items = q_realloc(ret->items, ret->len + 1, sizeof(*ret->items));
            ret->items[ret->len++] = machine_info(cc->schema, k);
            if (args->compat_props) {
                add_compat_props(ret->items[ret->len - 1], k);
            }
        }
    }
    return true;
}

/* ---- CPUs ---- */

/* An integer property of the CPU device; false: it has none of this name. */
static bool cpu_property(Object *device, const char *name, int64_t *out)
{
    struct json_object *v = NULL;
    bool ok = device && object_get(device, name, &v, NULL) && json_object_is_type(v, json_type_int);

    *out = ok ? json_object_get_int64(v) : 0;
    json_object_put(v);
    return ok && *out >= 0;
}

static CpuInstanceProperties *cpu_place(Vcpu *v)
{
    CpuInstanceProperties *p = q_calloc(1, sizeof(*p));

    p->has_socket_id = cpu_property(v->device, "socket-id", &p->socket_id);
    p->has_die_id = cpu_property(v->device, "die-id", &p->die_id);
    p->has_module_id = cpu_property(v->device, "module-id", &p->module_id);
    p->has_core_id = cpu_property(v->device, "core-id", &p->core_id);
    p->has_thread_id = cpu_property(v->device, "thread-id", &p->thread_id);
    return p;
}

static char *cpu_path(Vcpu *v)
{
    char *path = v->device ? object_path(v->device) : NULL;

    return path ? path : q_strdup("");
}

static CpuInfoFast *cpu_info(Vcpu *v)
{
    CpuInfoFast *i = q_calloc(1, sizeof(*i));

    i->cpu_index = v->index;
    i->qom_path = cpu_path(v);
    i->thread_id = v->thread_id;
    i->target = SYS_EMU_TARGET_X86_64;
    i->props = cpu_place(v);
    return i;
}

bool qmp_query_cpus_fast(QCallContext *cc, CpuInfoFastList *ret, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);

    for (unsigned i = 0; m && i < m->num_vcpus; i++) {
        if (m->vcpus[i]) {
            ret->items = q_realloc(ret->items, ret->len + 1, sizeof(*ret->items));
            ret->items[ret->len++] = cpu_info(m->vcpus[i]);
        }
    }
    return m;
}

void hmp_print_cpus(QCallContext *cc, const CpuInfoFastList *ret)
{
    for (size_t i = 0; i < ret->len; i++) {
        const CpuInfoFast *c = ret->items[i];
        monitor_printf(cc, "%c CPU #%d: thread_id=%d\n", c->cpu_index == monitor_cpu_index(cc) ? '*' : ' ', (int)c->cpu_index,
                       (int)c->thread_id);
    }
}

bool qmp_query_hotpluggable_cpus(QCallContext *cc, HotpluggableCPUList *ret, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);

    if (m && !machine_functions(m)->default_cpu) {
        return error_set(errp, "machine does not support hot-plugging CPUs");
    }
    for (unsigned i = m ? m->num_vcpus : 0; i-- > 0;) {
        HotpluggableCPU *c = q_calloc(1, sizeof(*c));

        c->type = q_strdup(m->vcpus[i]->device ? m->vcpus[i]->device->klass->item.name : "");
        c->vcpus_count = 1;
        c->props = cpu_place(m->vcpus[i]);
        c->qom_path = cpu_path(m->vcpus[i]);
        ret->items = q_realloc(ret->items, ret->len + 1, sizeof(*ret->items));
        ret->items[ret->len++] = c;
    }
    return m;
}

static void print_id(QCallContext *cc, const char *name, bool has, int64_t id)
{
    if (has) {
        monitor_printf(cc, "    %s: \"%d\"\n", name, (int)id);
    }
}

void hmp_print_hotpluggable_cpus(QCallContext *cc, const HotpluggableCPUList *ret)
{
    monitor_print(cc, "Hotpluggable CPUs:\n");
    for (size_t i = 0; i < ret->len; i++) {
        const HotpluggableCPU *c = ret->items[i];

        monitor_printf(cc, "  type: \"%s\"\n  vcpus_count: \"%d\"\n  qom_path: \"%s\"\n  CPUInstance Properties:\n",
                       c->type, (int)c->vcpus_count, c->qom_path);
        print_id(cc, "socket-id", c->props->has_socket_id, c->props->socket_id);
        print_id(cc, "die-id", c->props->has_die_id, c->props->die_id);
        print_id(cc, "module-id", c->props->has_module_id, c->props->module_id);
        print_id(cc, "core-id", c->props->has_core_id, c->props->core_id);
        print_id(cc, "thread-id", c->props->has_thread_id, c->props->thread_id);
    }
}

bool hmp_cpu(QCallContext *cc, const CpuHmp *args, Error **errp)
{
    if (!monitor_set_cpu(cc, args->index, NULL)) {
        monitor_print(cc, "invalid CPU index\n");
    }
    return true;
}

typedef struct {
    QCallContext *cc;
    bool summary;
} PrintJob;

static void print_registers(Vcpu *v, void *opaque)
{
    PrintJob *job = opaque;

    v->arch->print_registers(v, monitor_print, job->cc);
}

static void print_mmu(Vcpu *v, void *opaque)
{
    PrintJob *job = opaque;

    v->arch->print_mmu(v, job->summary, monitor_print, job->cc);
}

bool hmp_info_registers(QCallContext *cc, const InfoRegistersHmp *args, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);
    PrintJob job = { .cc = cc };
    Vcpu *v;

    if (!m) {
        return false;
    }
    if (args->has_all && args->all) {
        for (unsigned i = 0; i < m->num_vcpus; i++) {
            monitor_printf(cc, "\nCPU#%u\n", i);
            vcpu_run_on(m->vcpus[i], print_registers, &job);
        }
        return true;
    }
    if (args->has_vcpu) {
        v = args->vcpu >= 0 && args->vcpu < m->num_vcpus ? m->vcpus[args->vcpu] : NULL;
        if (!v) {
            return error_set(errp, "CPU#%d not available", (int)args->vcpu);
        }
    } else if (!(v = monitor_cpu(cc, errp))) {
        return false;
    }
    monitor_printf(cc, "\nCPU#%u\n", v->index);
    vcpu_run_on(v, print_registers, &job);
    return true;
}

static bool info_mmu(QCallContext *cc, bool summary, Error **errp)
{
    Vcpu *v = monitor_cpu(cc, errp);
    PrintJob job = { cc, summary };

    if (v) {
        vcpu_run_on(v, print_mmu, &job);
    }
    return v;
}

bool hmp_info_tlb(QCallContext *cc, Error **errp)
{
    return info_mmu(cc, false, errp);
}

bool hmp_info_mem(QCallContext *cc, Error **errp)
{
    return info_mmu(cc, true, errp);
}

static void print_lapic(Vcpu *v, void *opaque)
{
    PrintJob *job = opaque;

    job->summary = apic_print(v, monitor_print, job->cc);
}

bool hmp_info_lapic(QCallContext *cc, const InfoLapicHmp *args, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);
    PrintJob job = { .cc = cc };
    Vcpu *v = NULL;

    if (!m) {
        return false;
    }
    if (args->has_apic_id) {
        v = apic_vcpu(m, args->apic_id);
    } else if (!(v = monitor_cpu(cc, errp))) {
        return false;
    }
    if (v) {
        vcpu_run_on(v, print_lapic, &job);
    }
    if (!job.summary) {
        monitor_print(cc, "Local APIC not available\n");
    }
    return true;
}

bool hmp_info_jit(QCallContext *cc, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);
    const AccelOps *ops;

    if (!m) {
        return false;
    }
    ops = m->accel ? object_iface(&m->accel->obj) : NULL;
    if (!ops || !ops->print_jit) {
        return error_set(errp, "JIT information is only available with accel=tcg");
    }
    ops->print_jit(m->accel, monitor_print, cc);
    return true;
}

bool qmp_inject_nmi(QCallContext *cc, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);

    if (!m) {
        return false;
    }
    if (!machine_functions(m)->nmi) {
        return error_set(errp, "machine does not provide NMIs");
    }
    machine_functions(m)->nmi(m);
    return true;
}

/* ---- Devices ---- */

bool qmp_device_add(QCallContext *cc, const DeviceOptions *args, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);
    struct json_object *record;
    bool ok;

    if (!m) {
        return false;
    }
    record = qvalue_to_json(&qtype_DeviceOptions, args, cc->refs);
    ok = device_add(m, record, monitor_of(cc)->mode == MONITOR_HMP, errp);
    json_object_put(record);
    return ok;
}

bool qmp_device_del(QCallContext *cc, const DeviceDelArgs *args, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);

    return m && device_del(m, args->id, errp);
}

bool hmp_info_qtree(QCallContext *cc, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);

    if (m) {
        device_print_tree(m, monitor_print, cc);
    }
    return m;
}

bool hmp_info_mtree(QCallContext *cc, const InfoMtreeHmp *args, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);

    if (m) {
        memory_print_tree(m->map, args->has_flat && args->flat, args->has_owner && args->owner,
                          args->has_disabled && args->disabled, monitor_print, cc);
    }
    return m;
}

bool hmp_info_pci(QCallContext *cc, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);
    bool found = false;

    for (Object *o = m ? &m->obj : NULL; o; o = object_next(&m->obj, o)) {
        Bus *bus = (Bus *)o;

        if (object_is_a(o, "PCI") && !(bus->parent && object_is_a(OBJECT(bus->parent), "pci-device"))) {
            pci_print(PCI_BUS(o), monitor_print, cc);
            found = true;
        }
    }
    if (m && !found) {
        monitor_print(cc, "PCI not supported\n");
    }
    return m;
}

/* Each interrupt controller of the machine tells about itself. */
static bool each_intctrl(QCallContext *cc, bool counts, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);

    for (Object *o = m ? &m->obj : NULL; o; o = object_next(&m->obj, o)) {
        const IntctrlOps *ops = object_is_a(o, "intctrl") ? object_iface(o) : NULL;
        void (*print)(Device *, PrintFn *, void *) = ops ? counts ? ops->print_counts : ops->print_state : NULL;

        if (print) {
            print(DEVICE(o), monitor_print, cc);
        }
    }
    return m;
}

bool hmp_info_irq(QCallContext *cc, Error **errp)
{
    return each_intctrl(cc, true, errp);
}

bool hmp_info_pic(QCallContext *cc, Error **errp)
{
    return each_intctrl(cc, false, errp);
}

/* ---- Displays ---- */

bool qmp_screendump(QCallContext *cc, const ScreendumpArgs *args, Error **errp)
{
    Console *c;
    Object *o;

    if (args->device) {
        o = qom_resolve_ref(monitor_tree(cc), args->device, "device", errp);
        c = o ? console_of(monitor_tree(cc), o) : NULL;
        if (!c || args->head) {
            return !o ? false : error_set(errp, "Device %s (head %d) is not bound to a QemuConsole", args->device, (int)args->head);
        }
    } else {
        if (args->head) {
            return error_set(errp, "'head' must be specified together with 'device'");
        }
        c = console_find(monitor_tree(cc), 0);
        if (!c) {
            return error_set(errp, "There is no console to take a screendump from");
        }
    }
    return console_screendump(c, args->filename, args->format == IMAGE_FORMAT_PNG, errp);
}
