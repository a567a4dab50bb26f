/*
 * isa-debugcon: each byte written to the port goes to a chardev. A byte that the chardev cannot take at once is queued by
 * it, up to its bound; then it is lost, as the guest cannot be told to wait.
 */
#include "chardev/chardev.h"
#include "hw/char/debugcon.gen.h"
#include "hw/core/machine.h"
#include "hw/isa/isa.h"

enum { QUEUE_MAX = 1 << 20 };

typedef struct {
    IsaDevice parent;
    IsaDebugconConf conf;
    MemoryRegion mr;
} IsaDebugcon;

static uint64_t debugcon_read(void *dev, uint64_t offset, unsigned size)
{
    return ((IsaDebugcon *)dev)->conf.readback;
}

static void debugcon_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    IsaDebugcon *s = dev;
    uint8_t byte = value;

    if (chardev_queued(s->conf.chardev, s) < QUEUE_MAX) {
        chardev_write_all(s->conf.chardev, s, &byte, 1);
    }
}

static const MemoryOps debugcon_mem_ops = {
    .read = debugcon_read,
    .write = debugcon_write,
    .impl_min = 1,
    .impl_max = 1,
};

static void debugcon_unrealize(Object *o)
{
    IsaDebugcon *s = (IsaDebugcon *)o;

    chardev_detach(s->conf.chardev, s);
    memory_region_finish(&s->mr);
}

static bool debugcon_realize(Object *o, Error **errp)
{
    static const ChardevHandlers no_input;
    IsaDebugcon *s = (IsaDebugcon *)o;
    Machine *m = DEVICE(o)->machine;

    if (!s->conf.chardev) {
        return error_set(errp, "isa-debugcon: chardev: must be given");
    }
    if (!chardev_attach_locked(s->conf.chardev, &no_input, s, &m->lock, errp)) {
        return error_prepend(errp, "isa-debugcon: ");
    }
    memory_region_init_io(&s->mr, m->map, o, &debugcon_mem_ops, s, "isa-debugcon", 1);
    if (!isa_map_io(&s->parent, &s->mr, s->conf.iobase, errp)) {
        debugcon_unrealize(o);
        return false;
    }
    return true;
}

const ObjectOps isa_debugcon_ops = {
    .size = sizeof(IsaDebugcon),
    .conf_offset = offsetof(IsaDebugcon, conf),
    .realize = debugcon_realize,
    .unrealize = debugcon_unrealize,
};
