/* pvpanic: the interface that QEMU's documentation describes in docs/specs/pvpanic (ISA form). */
#include "hw/core/machine.h"
#include "hw/isa/isa.h"
#include "hw/misc/pvpanic.gen.h"
#include "util/log.h"

enum { PVPANIC_PANICKED = 1, PVPANIC_CRASHLOADED = 2, PVPANIC_SHUTDOWN = 4 };

typedef struct {
    IsaDevice parent;
    PvpanicConf conf;
    MemoryRegion mr;
} Pvpanic;

static uint64_t pvpanic_read(void *dev, uint64_t offset, unsigned size)
{
    return ((Pvpanic *)dev)->conf.events;
}

static void pvpanic_crashloaded(Machine *m)
{
    GuestCrashloadedEvent data = { .action = GUEST_PANIC_ACTION_RUN };

    if (m->host->emit) {
        m->host->emit(m, &qevent_GUEST_CRASHLOADED, &data);
    }
}

static void pvpanic_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    Pvpanic *s = dev;
    Machine *m = DEVICE(s)->machine;

    if (value & ~(uint64_t)s->conf.events) {
        log_guest_error("pvpanic", "unknown events 0x%x", (unsigned)value);
    }
    value &= s->conf.events;
    if (!m->host) {
        return;
    }
    if (value & PVPANIC_PANICKED) {
        if (m->host->guest_panicked) {
            m->host->guest_panicked(m, NULL);
        }
    } else if (value & PVPANIC_CRASHLOADED) {
        pvpanic_crashloaded(m);
    } else if (value & PVPANIC_SHUTDOWN && m->host->request_shutdown) {
        m->host->request_shutdown(m, SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
    }
}

static const MemoryOps pvpanic_mem_ops = {
    .read = pvpanic_read,
    .write = pvpanic_write,
    .impl_min = 1,
    .impl_max = 1,
};

static void pvpanic_unrealize(Object *o)
{
    memory_region_finish(&((Pvpanic *)o)->mr);
}

static bool pvpanic_realize(Object *o, Error **errp)
{
    Pvpanic *s = (Pvpanic *)o;

    memory_region_init_io(&s->mr, DEVICE(o)->machine->map, o, &pvpanic_mem_ops, s, "pvpanic", 1);
    if (!isa_map_io(&s->parent, &s->mr, s->conf.ioport, errp)) {
        pvpanic_unrealize(o);
        return false;
    }
    return true;
}

const ObjectOps pvpanic_ops = {
    .size = sizeof(Pvpanic),
    .conf_offset = offsetof(Pvpanic, conf),
    .realize = pvpanic_realize,
    .unrealize = pvpanic_unrealize,
};
