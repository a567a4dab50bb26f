/* The bus: addresses of functions, configuration accesses, interrupt inputs of the root. The contract is in hw/pci/pci.h. */
#include <assert.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "hw/pci/internal.h"
#include "qapi/buf.h"

/* ---- Addresses ---- */

static bool parse_hex(const char **p, unsigned max, unsigned *out)
{
    char *end;
    unsigned long v;

    if (!g_ascii_isxdigit(**p)) {
        return false;
    }
    v = strtoul(*p, &end, 16);
    if (v > max) {
        return false;
    }
    *out = v;
    *p = end;
    return true;
}

/* "5.1", "05", "0x5": slot and function, hexadecimal. */
static bool parse_addr(const char *text, uint8_t *devfn, Error **errp)
{
    const char *p = text;
    unsigned slot, fn = 0;

    if (!parse_hex(&p, 31, &slot) || (*p == '.' && (p++, !parse_hex(&p, 7, &fn))) || *p) {
        return error_set(errp, "Parameter 'addr' expects slot and function in hexadecimal, 0.0 to 1f.7, not '%s'", text);
    }
    *devfn = slot << 3 | fn;
    return true;
}

static bool find_slot(PciBus *bus, PciDevice *d, Error **errp)
{
    for (unsigned devfn = 0; devfn < 256; devfn += 8) {
        if (!bus->functions[devfn]) {
            bool free = true;

            for (unsigned fn = 1; fn < 8; fn++) {
                free = free && !bus->functions[devfn + fn];
            }
            if (free) {
                d->devfn = devfn;
                return true;
            }
        }
    }
    return error_set(errp, "PCI: no slot/function available for %s, all in use or reserved", d->dev.obj.klass->item.name);
}

/* 3.2.2.3.4: functions 1 to 7 are only looked for where function 0 says that there are several. */
static bool check_multifunction(PciBus *bus, PciDevice *d, Error **errp)
{
    const PciDevice *zero = bus->functions[d->devfn & ~7];
    unsigned slot = d->devfn >> 3;

    if (d->devfn & 7) {
        if (zero && !(zero->st.config[PCI_HEADER_TYPE] & PCI_HEADER_TYPE_MULTI_FUNCTION)) {
            return error_set(errp, "PCI: single function device can't be populated in function %x.%x", slot, d->devfn & 7);
        }
        return true;
    }
    for (unsigned fn = 1; fn < 8 && !pci_conf(d)->multifunction; fn++) {
        if (bus->functions[d->devfn + fn]) {
            return error_set(errp, "PCI: %x.0 indicates single function, but %x.%x is already populated.", slot, slot, fn);
        }
    }
    return true;
}

/* What the user left open is told as it came out. */
static void complete_conf(PciDevice *d)
{
    PciDeviceConf *conf = object_conf(OBJECT(d));
    char text[8];

    if (!conf->addr) {
        snprintf(text, sizeof(text), "%02x.%x", d->devfn >> 3 & 31, d->devfn & 7);
        conf->addr = q_strdup(text);
    }
}

static bool plug(Bus *b, Device *dev, Error **errp)
{
    PciBus *bus = PCI_BUS(b);
    PciDevice *d = PCI_DEVICE(dev);
    const char *addr = pci_conf(d)->addr;

    if (addr ? !parse_addr(addr, &d->devfn, errp) : !find_slot(bus, d, errp)) {
        return false;
    }
    if (bus->functions[d->devfn]) {
        return error_set(errp, "PCI: slot %d function %d not available for %s, in use by %s", d->devfn >> 3, d->devfn & 7,
                         dev->obj.klass->item.name, bus->functions[d->devfn]->dev.obj.klass->item.name);
    }
    if (!check_multifunction(bus, d, errp)) {
        return false;
    }
    bus->functions[d->devfn] = d;
    complete_conf(d);
    return true;
}

static void unplug(Bus *b, Device *dev)
{
    PCI_BUS(b)->functions[PCI_DEVICE(dev)->devfn] = NULL;
}

static void print_dev(Bus *b, Device *dev, void (*print)(void *, const char *), void *opaque, int indent)
{
    PciDevice *d = PCI_DEVICE(dev);
    const uint8_t *c = d->st.config;
    g_autofree char *head =
        g_strdup_printf("%*sclass %s, addr %02x:%02x.%x, pci id %04x:%04x (sub %04x:%04x)\n", indent, "",
                        pci_class_name(ld16_le(c + PCI_CLASS_DEVICE)), PCI_BUS(b)->number, d->devfn >> 3, d->devfn & 7,
                        ld16_le(c + PCI_VENDOR_ID), ld16_le(c + PCI_DEVICE_ID), ld16_le(c + PCI_SUBSYSTEM_VENDOR_ID),
                        ld16_le(c + PCI_SUBSYSTEM_ID));

    print(opaque, head);
    for (unsigned n = 0; n < PCI_NUM_BARS; n++) {
        const PciBar *bar = &d->bars[n];

        if (bar->mr) {
            g_autofree char *line = g_strdup_printf("%*sbar %u: %s at 0x%" PRIx64 " [0x%" PRIx64 "]\n", indent, "", n,
                                                    bar->flags & PCI_BASE_ADDRESS_SPACE_IO ? "i/o" : "mem", bar->addr,
                                                    bar->addr + bar->size - 1);

            print(opaque, line);
        }
    }
}

static const BusOps pci_bus_functions = {.plug = plug, .unplug = unplug, .print_dev = print_dev};

const ObjectOps PCI_ops = {
    .size = sizeof(PciBus),
    .iface = &pci_bus_functions,
};

/* ---- Root ---- */

PciBus *pci_root_bus_new(Machine *m, Device *host_bridge, const char *name, MemoryRegion *mem, MemoryRegion *io,
                         Error **errp)
{
    PciBus *bus = PCI_BUS(bus_new(m, "PCI", host_bridge, name, errp));

    if (bus) {
        bus->mem = mem;
        bus->io = io;
    }
    return bus;
}

void pci_bus_irqs(PciBus *bus, void (*set_irq)(void *, int n, int level),
                  int (*map_irq)(void *, PciDevice *, int pin), void *opaque, int n)
{
    assert(n >= 0 && n <= (int)G_N_ELEMENTS(bus->irq_count));
    bus->set_irq = set_irq;
    bus->map_irq = map_irq;
    bus->irq_opaque = opaque;
    bus->num_irqs = n;
}

int pci_bus_irq_level(PciBus *bus, int n)
{
    assert(n >= 0 && n < bus->num_irqs);
    return bus->irq_count[n] > 0;
}

/* ---- Look-up and configuration accesses ---- */

PciBus *pci_find_bus(PciBus *root, uint8_t number)
{
    return root->number == number ? root : NULL; /* bridges, which have buses behind them, are not there yet */
}

PciDevice *pci_find_function(PciBus *root, uint8_t bus_number, uint8_t devfn)
{
    PciBus *bus = pci_find_bus(root, bus_number);
    PciDevice *d = bus ? bus->functions[devfn] : NULL;

    return d && (object_life(OBJECT(d)) == OBJECT_REALIZED || object_life(OBJECT(d)) == OBJECT_REALIZING) ? d : NULL;
}

void pci_foreach(PciBus *root, void (*fn)(PciBus *, PciDevice *, void *), void *opaque)
{
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        if (root->functions[devfn]) {
            fn(root, root->functions[devfn], opaque);
        }
    }
}

/* The function at an ECAM address (PCI Express 4.0, 7.2.2) and the register in *reg. */
static PciDevice *decode(PciBus *root, uint32_t ecam, unsigned size, uint32_t *reg)
{
    PciDevice *d = pci_find_function(root, ecam >> 20 & 0xff, ecam >> 12 & 0xff);

    *reg = ecam & 0xfff;
    return d && *reg + size <= d->config_size ? d : NULL;
}

uint32_t pci_config_access_read(PciBus *root, uint32_t ecam_address, unsigned size)
{
    uint32_t reg, v;
    PciDevice *d = decode(root, ecam_address, size, &reg);

    if (!d) {
        v = UINT32_MAX;
    } else if (pci_functions(d)->config_read) {
        v = pci_functions(d)->config_read(d, reg, size);
    } else {
        v = pci_config_read_default(d, reg, size);
    }
    return v & bits_mask(size * 8);
}

void pci_config_access_write(PciBus *root, uint32_t ecam_address, uint32_t value, unsigned size)
{
    uint32_t reg;
    PciDevice *d = decode(root, ecam_address, size, &reg);

    if (!d) {
        return;
    }
    if (pci_functions(d)->config_write) {
        pci_functions(d)->config_write(d, reg, value, size);
    } else {
        pci_config_write_default(d, reg, value, size);
    }
}
