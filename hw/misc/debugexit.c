/* isa-debug-exit: for guests that are tests, which end the emulator and give it an exit status. */
#include "hw/core/machine.h"
#include "hw/isa/isa.h"
#include "hw/misc/pvpanic.gen.h"

typedef struct {
    IsaDevice parent;
    IsaDebugExitConf conf;
    MemoryRegion mr;
} IsaDebugExit;

static uint64_t debugexit_read(void *dev, uint64_t offset, unsigned size)
{
    return 0;
}

static void debugexit_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    Machine *m = DEVICE(dev)->machine;

    if (m->host && m->host->request_exit) {
        m->host->request_exit(m, (int)(value << 1 | 1));
    }
}

static const MemoryOps debugexit_mem_ops = {
    .read = debugexit_read,
    .write = debugexit_write,
    .valid_min = 1,
    .valid_max = 4,
};

static void debugexit_unrealize(Object *o)
{
    memory_region_finish(&((IsaDebugExit *)o)->mr);
}

static bool debugexit_realize(Object *o, Error **errp)
{
    IsaDebugExit *s = (IsaDebugExit *)o;

    if (s->conf.iobase + s->conf.iosize > 0x10000) {
        return error_set(errp, "isa-debug-exit: iosize 0x%x: ports from 0x%x end at 0xffff", s->conf.iosize, s->conf.iobase);
    }
    memory_region_init_io(&s->mr, DEVICE(o)->machine->map, o, &debugexit_mem_ops, s, "isa-debug-exit", s->conf.iosize);
    if (!isa_map_io(&s->parent, &s->mr, s->conf.iobase, errp)) {
        debugexit_unrealize(o);
        return false;
    }
    return true;
}

const ObjectOps isa_debug_exit_ops = {
    .size = sizeof(IsaDebugExit),
    .conf_offset = offsetof(IsaDebugExit, conf),
    .realize = debugexit_realize,
    .unrealize = debugexit_unrealize,
};
