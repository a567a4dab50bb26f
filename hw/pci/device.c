/* Class 'pci-device': life of a function, its interrupt pin, its view of memory. The contract is in hw/pci/pci.h. */
#include <assert.h>
#include <string.h>

#include "hw/pci/internal.h"

const PciDeviceOps *pci_functions(const PciDevice *d)
{
    return object_iface(&d->dev.obj);
}

const PciDeviceConf *pci_conf(PciDevice *d)
{
    return object_conf(OBJECT(d));
}

PciBus *pci_bus_of(PciDevice *d)
{
    return PCI_BUS(d->dev.bus);
}

/* ---- Interrupt pin (2.2.6, 6.2.4) ---- */

/* The root bus and its input that the pin ends at: each bridge on the way rotates the pins (PCI-to-PCI Bridge 1.2, 9.1). */
static PciBus *route(PciDevice *d, int *input)
{
    int pin = d->st.config[PCI_INTERRUPT_PIN] - 1;
    PciBus *bus = pci_bus_of(d);

    while (bus->parent_bridge) {
        pin = (pin + (d->devfn >> 3)) & 3;
        d = bus->parent_bridge;
        bus = pci_bus_of(d);
    }
    *input = bus->map_irq ? bus->map_irq(bus->irq_opaque, d, pin) : -1;
    return *input >= 0 && *input < bus->num_irqs ? bus : NULL;
}

static void count(PciBus *bus, int input, int by)
{
    bool before = bus->irq_count[input] > 0, after;

    bus->irq_count[input] += by;
    after = bus->irq_count[input] > 0;
    if (before != after) {
        bus->set_irq(bus->irq_opaque, input, after);
    }
}

static PciBus *root_of(PciBus *bus)
{
    while (bus->parent_bridge) {
        bus = pci_bus_of(bus->parent_bridge);
    }
    return bus;
}

void pci_forget_irq(PciDevice *d)
{
    if (d->irq_counted) {
        d->irq_counted = false;
        count(root_of(pci_bus_of(d)), d->irq_input, -1);
    }
}

void pci_update_irq(PciDevice *d)
{
    bool want = d->st.irq_level && !(ld16_le(d->st.config + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE) &&
                d->st.config[PCI_INTERRUPT_PIN];
    PciBus *root;

    d->st.config[PCI_STATUS] &= ~PCI_STATUS_INTERRUPT;
    d->st.config[PCI_STATUS] |= d->st.irq_level ? PCI_STATUS_INTERRUPT : 0;
    if (want == d->irq_counted) {
        return;
    }
    if (!want) {
        pci_forget_irq(d);
    } else if ((root = route(d, &d->irq_input))) {
        d->irq_counted = true;
        count(root, d->irq_input, 1);
    }
}

void pci_set_irq(PciDevice *d, int level)
{
    d->st.irq_level = level;
    pci_update_irq(d);
}

/* ---- Life ---- */

static void init_dma(PciDevice *d)
{
    Machine *m = d->dev.machine;

    memory_region_init(&d->mr_dma, m->map, OBJECT(d), "bus master container", 0);
    memory_region_init_alias(&d->mr_dma_alias, m->map, OBJECT(d), "bus master", m->memory, 0, 0);
    memory_region_set_enabled(&d->mr_dma_alias, false);
    memory_region_add(&d->mr_dma, 0, &d->mr_dma_alias, 0);
    d->as_dma = address_space_new(m->map, &d->mr_dma, d->dev.obj.klass->item.name);
    address_space_set_owner(d->as_dma, OBJECT(d));
}

static void finish_dma(PciDevice *d)
{
    address_space_free(d->as_dma);
    d->as_dma = NULL;
    memory_region_finish(&d->mr_dma_alias);
    memory_region_finish(&d->mr_dma);
}

/* What the class's own realize and the core have made. */
static void undo(PciDevice *d)
{
    pci_forget_irq(d);
    pci_unmap_all(d);
    memory_region_finish(&d->mr_rom);
    finish_dma(d);
}

static bool pci_realize(Object *o, Error **errp)
{
    PciDevice *d = PCI_DEVICE(o);
    const PciDeviceOps *ops = pci_functions(d);

    assert(ops && ops->info.vendor);
    pci_init_header(d);
    init_dma(d);
    if (ops->realize && !ops->realize(d, errp)) {
        undo(d);
        return false;
    }
    if (!pci_add_rom(d, errp)) {
        if (ops->unrealize) {
            ops->unrealize(d);
        }
        undo(d);
        return false;
    }
    memcpy(d->initial, d->st.config, sizeof(d->initial));
    return true;
}

static void pci_unrealize(Object *o)
{
    PciDevice *d = PCI_DEVICE(o);
    const PciDeviceOps *ops = pci_functions(d);
    MemoryMap *map = d->dev.machine->map;

    memory_transaction_begin(map);
    pci_forget_irq(d);
    pci_unmap_all(d);
    if (ops->unrealize) {
        ops->unrealize(d);
    }
    undo(d);
    memory_transaction_commit(map);
}

static void pci_reset(Object *o, ObjectResetKind kind)
{
    PciDevice *d = PCI_DEVICE(o);

    memcpy(d->st.config, d->initial, sizeof(d->initial));
}

static void pci_rebuild(Object *o)
{
    PciDevice *d = PCI_DEVICE(o);

    pci_forget_irq(d); /* the chip may route otherwise now */
    pci_update(d);
}

static bool pci_check(Object *o, Error **errp)
{
    PciDevice *d = PCI_DEVICE(o);

    for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++) {
        uint8_t fixed = d->cmask[i] & ~d->wmask[i] & ~d->w1cmask[i];

        if ((d->st.config[i] ^ d->initial[i]) & fixed) {
            return error_set(errp, "%s: byte 0x%02x of config space is 0x%02x in the saved state, but 0x%02x here",
                             o->klass->item.name, i, d->st.config[i], d->initial[i]);
        }
    }
    return true;
}

const ObjectOps pci_device_ops = {
    .size = sizeof(PciDevice),
    .state_offset = offsetof(PciDevice, st),
    .realize = pci_realize,
    .unrealize = pci_unrealize,
    .reset = pci_reset,
    .rebuild = pci_rebuild,
    .check = pci_check,
};
