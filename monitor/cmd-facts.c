/* Commands by which clients look at a program and its machine. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "accel/accel.h"
#include "hw/core/hostmem.gen.h"
#include "hw/pci/pci.h"
#include "memory/memory.h"
#include "monitor/facts.gen.h"
#include "monitor/internal.h"
#include "util/bits.h"
#include "util/trace.h"

/* ---- What the monitor prints for people, to programs ---- */

static bool human_text(QCallContext *cc, const char *line, HumanReadableText **ret, Error **errp)
{
    char *text = monitor_run_hmp(cc, line, false, 0, errp);
    QBuf b = { 0 };

    if (!text) {
        return false;
    }
    for (const char *p = text; *p; p++) { /* as a terminal gets it, each line ends in \r\n */
        if (*p != '\r') {
            qbuf_char(&b, *p);
        }
    }
    free(text);
    *ret = q_calloc(1, sizeof(**ret));
    (*ret)->human_readable_text = b.data ? qbuf_steal(&b) : q_strdup("");
    return true;
}

bool qmp_x_query_irq(QCallContext *cc, HumanReadableText **ret, Error **errp)
{
    return human_text(cc, "info irq", ret, errp);
}

bool qmp_x_query_interrupt_controllers(QCallContext *cc, HumanReadableText **ret, Error **errp)
{
    return human_text(cc, "info pic", ret, errp);
}

bool qmp_x_query_jit(QCallContext *cc, HumanReadableText **ret, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);
    const AccelOps *ops = m && m->accel ? object_iface(&m->accel->obj) : NULL;

    if (m && (!ops || !ops->print_jit)) {
        return error_set(errp, "JIT information is only available with accel=tcg");
    }
    return m && human_text(cc, "info jit", ret, errp);
}

bool qmp_x_query_ramblock(QCallContext *cc, HumanReadableText **ret, Error **errp)
{
    return human_text(cc, "info ramblock", ret, errp);
}

bool hmp_info_ramblock(QCallContext *cc, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);

    if (!m) {
        return false;
    }
    monitor_printf(cc, "%24s %18s %18s %18s\n", "Block Name", "Offset", "Total", "HVA");
    for (RamBlock *b = ram_block_next(m->map, NULL); b; b = ram_block_next(m->map, b)) {
        monitor_printf(cc, "%24s 0x%016llx 0x%016llx 0x%016llx\n", b->id, (unsigned long long)b->start,
                       (unsigned long long)b->size, (unsigned long long)(uintptr_t)b->host);
    }
    return true;
}

/* ---- Memory ---- */

bool qmp_query_memory_size_summary(QCallContext *cc, MemoryInfo **ret, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);

    if (!m) {
        return false;
    }
    *ret = q_calloc(1, sizeof(**ret));
    (*ret)->base_memory = m->ram_size;
    (*ret)->has_plugged_memory = true;
    return true;
}

void hmp_print_memory_size(QCallContext *cc, MemoryInfo *const *ret)
{
    monitor_printf(cc, "base memory: %llu\nplugged memory: %llu\n", (unsigned long long)(*ret)->base_memory,
                   (unsigned long long)(*ret)->plugged_memory);
}

static void add_memdev(MemdevList *list, Memdev *d)
{
    list->items = q_realloc(list->items, list->len + 1, sizeof(*list->items));
    list->items[list->len++] = d;
}

static Memdev *backend_info(Object *o)
{
    const MemoryBackendConf *conf = object_conf(o);
    Memdev *d = q_calloc(1, sizeof(*d));

    d->id = q_strdup(o->name);
    d->size = conf->size;
    d->merge = conf->merge;
    d->dump = conf->dump;
    d->prealloc = conf->prealloc;
    d->share = conf->share;
    d->has_reserve = true;
    d->reserve = conf->reserve;
    d->policy = HOST_MEM_POLICY_DEFAULT;
    return d;
}

bool qmp_query_memdev(QCallContext *cc, MemdevList *ret, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);
    const char *id = m ? machine_functions(m)->ram_id : NULL;
    Memdev *d;

    if (!m) {
        return false;
    }
    for (Object *o = qom_objects(m->tree)->first_child; o; o = o->next_sibling) {
        if (object_is_a(o, "memory-backend")) {
            add_memdev(ret, backend_info(o));
        }
    }
    if (!m->ram || machine_conf(m)->memory_backend) {
        return true;
    }
    d = q_calloc(1, sizeof(*d));
    d->id = q_strdup(id ? id : "ram");
    d->size = m->ram_size;
    d->merge = machine_conf(m)->mem_merge;
    d->dump = machine_conf(m)->dump_guest_core;
    d->has_reserve = true; /* and false: the host promises more than it has */
    d->policy = HOST_MEM_POLICY_DEFAULT;
    add_memdev(ret, d);
    return true;
}

/* ---- What the machine and this program can do ---- */

bool qmp_query_current_machine(QCallContext *cc, CurrentMachineParams **ret, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);

    if (!m) {
        return false;
    }
    *ret = q_calloc(1, sizeof(**ret));
    (*ret)->wakeup_suspend_support = machine_functions(m)->wakeup;
    return true;
}

bool qmp_query_tpm_models(QCallContext *cc, TpmModelList *ret, Error **errp)
{
    return true;
}

bool qmp_query_tpm_types(QCallContext *cc, TpmTypeList *ret, Error **errp)
{
    return true;
}

bool qmp_query_migrate_capabilities(QCallContext *cc, MigrationCapabilityStatusList *ret, Error **errp)
{
    return true;
}

bool qmp_query_migrate(QCallContext *cc, MigrationInfo **ret, Error **errp)
{
    MigrationInfo *i = *ret = q_calloc(1, sizeof(*i));

    i->has_blocked_reasons = true;
    i->blocked_reasons.items = q_calloc(1, sizeof(*i->blocked_reasons.items));
    i->blocked_reasons.items[i->blocked_reasons.len++] = q_strdup("this program does not migrate yet");
    return true;
}

bool qmp_query_display_options(QCallContext *cc, DisplayOptions **ret, Error **errp)
{
    *ret = q_calloc(1, sizeof(**ret));
    (*ret)->type = DISPLAY_TYPE_NONE;
    return true;
}

/* ---- Trace points ---- */

typedef struct {
    const char *glob;
    TraceEventInfoList *list;
} TraceQuery;

static void take_point(const TracePoint *tp, void *opaque)
{
    TraceQuery *q = opaque;
    TraceEventInfo *i;

    if (fnmatch(q->glob, tp->name, 0) != 0) {
        return;
    }
    i = q_calloc(1, sizeof(*i));
    i->name = q_strdup(tp->name);
    i->state = tp->enabled ? TRACE_EVENT_STATE_ENABLED : TRACE_EVENT_STATE_DISABLED;
    q->list->items = q_realloc(q->list->items, q->list->len + 1, sizeof(*q->list->items));
    q->list->items[q->list->len++] = i;
}

bool qmp_trace_event_get_state(QCallContext *cc, const TraceEventGetStateArgs *args, TraceEventInfoList *ret, Error **errp)
{
    TraceQuery q = { args->name, ret };

    trace_foreach(take_point, &q);
    if (!ret->len && !strpbrk(args->name, "*?")) {
        return error_set(errp, "unknown event \"%s\"", args->name);
    }
    return true;
}

bool qmp_trace_event_set_state(QCallContext *cc, const TraceEventSetStateArgs *args, Error **errp)
{
    if (!trace_enable(args->name, args->enable) && !strpbrk(args->name, "*?")) {
        return error_set(errp, "unknown event \"%s\"", args->name);
    }
    return true;
}

typedef struct {
    QCallContext *cc;
    const char *glob;
} TracePrint;

static void print_point(const TracePoint *tp, void *opaque)
{
    TracePrint *p = opaque;

    if (fnmatch(p->glob, tp->name, 0) == 0) {
        monitor_printf(p->cc, "%s : state %d\n", tp->name, tp->enabled != 0);
    }
}

bool hmp_info_trace_events(QCallContext *cc, const InfoTraceEventsHmp *args, Error **errp)
{
    TracePrint p = { cc, args->name ? args->name : "*" };

    trace_foreach(print_point, &p);
    return true;
}

/* ---- PCI ---- */

static PciMemoryRegion *pci_region(const PciBar *b, unsigned n)
{
    PciMemoryRegion *r = q_calloc(1, sizeof(*r));
    bool io = b->flags & PCI_BASE_ADDRESS_SPACE_IO;

    r->bar = n;
    r->type = q_strdup(io ? "io" : "memory");
    r->address = b->addr == PCI_UNMAPPED ? -1 : (int64_t)b->addr;
    r->size = (int64_t)b->size;
    r->has_prefetch = r->has_mem_type_64 = !io;
    r->prefetch = b->flags & PCI_BASE_ADDRESS_MEM_PREFETCH;
    r->mem_type_64 = b->flags & PCI_BASE_ADDRESS_MEM_TYPE_64;
    return r;
}

static PciDeviceFacts *pci_function(PciBus *bus, PciDevice *d)
{
    const uint8_t *c = d->st.config;
    PciDeviceFacts *f = q_calloc(1, sizeof(*f));
    Object *peripheral = object_child(OBJECT(d->dev.machine), "peripheral");

    f->bus = bus->number;
    f->slot = d->devfn >> 3;
    f->function = d->devfn & 7;
    f->class_info = q_calloc(1, sizeof(*f->class_info));
    f->class_info->class = ld16_le(c + PCI_CLASS_DEVICE);
    f->class_info->desc = q_strdup(pci_class_name((uint16_t)f->class_info->class));
    f->id = q_calloc(1, sizeof(*f->id));
    *f->id = (PciDeviceId){ .device = ld16_le(c + PCI_DEVICE_ID), .vendor = ld16_le(c + PCI_VENDOR_ID) };
    f->id->has_subsystem = f->id->has_subsystem_vendor = true;
    f->id->subsystem = ld16_le(c + PCI_SUBSYSTEM_ID);
    f->id->subsystem_vendor = ld16_le(c + PCI_SUBSYSTEM_VENDOR_ID);
    f->irq_pin = c[PCI_INTERRUPT_PIN];
    f->has_irq = f->irq_pin;
    f->irq = c[PCI_INTERRUPT_LINE];
    f->qdev_id = q_strdup(d->dev.obj.parent == peripheral ? d->dev.obj.name : "");
    for (unsigned n = 0; n < PCI_NUM_BARS; n++) {
        if (d->bars[n].mr) {
            f->regions.items = q_realloc(f->regions.items, f->regions.len + 1, sizeof(*f->regions.items));
            f->regions.items[f->regions.len++] = pci_region(&d->bars[n], n);
        }
    }
    return f;
}

static void take_function(PciBus *bus, PciDevice *d, void *opaque)
{
    PciInfo *i = opaque;

    i->devices.items = q_realloc(i->devices.items, i->devices.len + 1, sizeof(*i->devices.items));
    i->devices.items[i->devices.len++] = pci_function(bus, d);
}

bool qmp_query_pci(QCallContext *cc, PciInfoList *ret, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);

    for (Object *o = m ? &m->obj : NULL; o; o = object_next(&m->obj, o)) {
        Bus *bus = (Bus *)o;

        if (object_is_a(o, "PCI") && !(bus->parent && object_is_a(OBJECT(bus->parent), "pci-device"))) {
            PciInfo *i = q_calloc(1, sizeof(*i));

            i->bus = PCI_BUS(o)->number;
            pci_foreach(PCI_BUS(o), take_function, i);
            ret->items = q_realloc(ret->items, ret->len + 1, sizeof(*ret->items));
            ret->items[ret->len++] = i;
        }
    }
    return m;
}
