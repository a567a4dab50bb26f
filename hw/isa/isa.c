/* The ISA bus. The contract is in hw/isa/isa.h. */
#include "hw/isa/isa.h"

#include <inttypes.h>
#include <stdlib.h>

#include "hw/core/machine.h"
#include "hw/isa/isa.gen.h"

static const BusOps isa_bus_functions = {0};

const ObjectOps ISA_ops = {
    .size = sizeof(IsaBus),
    .iface = &isa_bus_functions,
};

IsaBus *isa_bus_new(Machine *m, Device *parent, MemoryRegion *mem, MemoryRegion *io, Error **errp)
{
    IsaBus *bus = ISA_BUS(bus_new(m, "ISA", parent, NULL, errp));

    if (bus) {
        bus->mem = mem;
        bus->io = io;
    }
    return bus;
}

IsaBus *isa_bus_of(IsaDevice *d)
{
    return ISA_BUS(d->dev.bus);
}

static bool port_conflict(const MemoryRegion *other, const MemoryRegion *mr, uint16_t port)
{
    return other->owner && object_is_a(other->owner, "isa-device") && other->addr < port + mr->size &&
           port < other->addr + other->size;
}

bool isa_map_io(IsaDevice *d, MemoryRegion *mr, uint16_t port, Error **errp)
{
    MemoryRegion *io = isa_bus_of(d)->io;

    if (!mr->size || port + mr->size > 0x10000) {
        return error_set(errp, "%s: %" PRIu64 " ports at 0x%x reach past 0xffff", d->dev.obj.klass->item.name, mr->size,
                         port);
    }
    for (unsigned i = 0; i < io->num_children; i++) {
        const MemoryRegion *other = io->children[i];

        if (port_conflict(other, mr, port)) {
            char *path = object_path(other->owner);

            error_set(errp, "%s: ports 0x%x to 0x%x are used by %s (%s)", d->dev.obj.klass->item.name, port,
                      (unsigned)(port + mr->size - 1), path ? path : "another device", other->owner->klass->item.name);
            free(path);
            return false;
        }
    }
    memory_region_add(io, port, mr, 0);
    return true;
}

bool isa_irq(IsaDevice *d, unsigned n, Irq **irq, Error **errp)
{
    if (n > 15) {
        return error_set(errp, "%s: irq %u is not one of the ISA bus, which has 0 to 15", d->dev.obj.klass->item.name, n);
    }
    *irq = isa_bus_of(d)->irqs[n];
    return true;
}
