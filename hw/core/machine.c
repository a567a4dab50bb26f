/* Machines: making, resetting, taking down. The contract is in hw/core/machine.h. */
#include <assert.h>
#include <glib.h>
#include <string.h>

#include "hw/core/machine.gen.h"
#include "hw/core/internal.h"

const MachineConf *machine_conf(Machine *m)
{
    return object_conf(OBJECT(m));
}

const MachineOps *machine_functions(const Machine *m)
{
    static const MachineOps none = {0};
    const MachineOps *ops = object_iface(&m->obj);

    return ops ? ops : &none;
}

bool machine_is_default(const QClass *k)
{
    return k->alias && !strcmp(k->alias, "pc");
}

Object *machine_folder(Machine *m, const char *name)
{
    Object *o = object_child(OBJECT(m), name);

    assert(o);
    return o;
}

/* ---- Class 'machine' ---- */

static bool machine_init(Object *o, Error **errp)
{
    Machine *m = MACHINE(o);

    m->tree = o->tree;
    fair_mutex_init(&m->lock, LOCK_MACHINE);
    clock_group_init(&m->clocks);
    for (unsigned i = 0; i < CLOCK_KINDS; i++) {
        clock_set_domain(&m->clocks.clocks[i], &m->lock);
    }
    m->map = memory_map_new(&m->lock);
    memory_region_init(&m->root_memory, m->map, o, "system", 0);
    memory_region_init(&m->root_io, m->map, o, "io", 0x10000);
    m->memory = &m->root_memory;
    m->io = &m->root_io;
    return true;
}

static void machine_finish(Object *o)
{
    Machine *m = MACHINE(o);

    if (m->map) { /* else init never ran */
        memory_map_free(m->map);
        clock_group_finish(&m->clocks);
        fair_mutex_finish(&m->lock);
    }
}

const ObjectOps machine_ops = {
    .size = sizeof(Machine),
    .conf_offset = offsetof(Machine, conf),
    .init = machine_init,
    .finish = machine_finish,
};

/* ---- Class 'none-machine' ---- */

static const MachineOps none_ops = {.max_cpus = 1, .default_ram_size = 0};

const ObjectOps none_machine_ops = {
    .size = sizeof(Machine),
    .iface = &none_ops,
};

/* ---- Life ---- */

Machine *machine_new(QomTree *tree, Loop *loop, const QClass *klass, QomConf *conf, Error **errp)
{
    Object *o = object_new(tree, klass, conf, errp);
    Machine *m = MACHINE(o);

    if (!o) {
        return NULL;
    }
    fair_mutex_lock(&m->lock);
    if (!qom_set_machine(tree, o, errp)) {
        fair_mutex_unlock(&m->lock);
        object_unref(o);
        return NULL;
    }
    object_unref(o); /* the tree has it */
    m->as_memory = address_space_new(m->map, m->memory, "memory");
    m->as_io = address_space_new(m->map, m->io, "I/O");
    m->loop = loop;
    for (unsigned i = 0; loop && i < CLOCK_KINDS; i++) {
        loop_add_clock(loop, &m->clocks.clocks[i]);
    }
    return m;
}

bool machine_create(Machine *m, Error **errp)
{
    const MachineOps *ops = machine_functions(m);
    bool ok;

    memory_transaction_begin(m->map);
    ok = machine_configure(m, errp) && machine_configure_memory(m, errp) && object_realize(OBJECT(m), errp) &&
         (!ops->create || ops->create(m, errp));
    memory_transaction_commit(m->map);
    return ok;
}

bool machine_finish_create(Machine *m, Error **errp)
{
    const MachineOps *ops = machine_functions(m);

    memory_transaction_begin(m->map);
    m->created = !ops->finish_create || ops->finish_create(m, errp);
    memory_transaction_commit(m->map);
    return m->created;
}

void machine_reset(Machine *m, ObjectResetKind kind)
{
    const MachineOps *ops = machine_functions(m);

    memory_transaction_begin(m->map);
    for (Device *d = m->first_device; d; d = d->next) {
        object_reset(OBJECT(d), kind);
    }
    object_reset(OBJECT(m), kind);
    if (ops->reset) {
        ops->reset(m, kind);
    }
    memory_transaction_commit(m->map);
}

/* Devices from the newest on: what stands on others goes first. */
static void take_down_devices(Machine *m)
{
    while (m->last_device) {
        Device *d = m->last_device;

        object_unparent(OBJECT(d));
        assert(m->last_device != d);
    }
}

void machine_destroy(Machine *m)
{
    Object *o = OBJECT(m);
    RamBlock *ram;

    if (!m) {
        return;
    }
    object_ref(o);
    memory_transaction_begin(m->map);
    take_down_devices(m);
    object_unparent(o);
    address_space_free(m->as_memory);
    address_space_free(m->as_io);
    ram = m->ram ? m->ram->block : NULL;
    memory_region_finish(&m->root_ram);
    ram_block_free(ram);
    memory_region_finish(&m->root_io);
    memory_region_finish(&m->root_memory);
    memory_transaction_commit(m->map);
    fair_mutex_unlock(&m->lock);
    for (unsigned i = 0; m->loop && i < CLOCK_KINDS; i++) {
        loop_remove_clock(m->loop, &m->clocks.clocks[i]);
    }
    object_unref(o);
}

Vcpu *machine_vcpu(Machine *m, unsigned index)
{
    return index < m->num_vcpus ? m->vcpus[index] : NULL;
}
