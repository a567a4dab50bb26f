/*
 * Intel 82371SB (PIIX3) ISA bridge, function 0 (order number 290550-002; sections are its own): PCI to ISA bridge, PIRQ
 * routing, reset control. Its interrupt and DMA controllers, timers and IDE function are devices of their own. Not
 * modelled: X-bus decode, ISA timing, APIC routing, SMI sources of function 0 (registers are writable, without effect).
 */
#include "hw/pci-host/piix3.h"

#include <string.h>

#include "hw/pci/pci.h"
#include "hw/pci-host/piix3.gen.h"

enum {
    R_PIRQ = 0x60,             /* 2.2.9: PIRQRC A..D */
    PIRQ_OFF = 0x80, PIRQ_MASK = 0x0f, NUM_PIRQ = 4, NUM_ISA = 16,
    RESET_HARD = 1 << 1, RESET_CPU = 1 << 2, /* 2.6.1 */
};

typedef struct {
    PciDevice pci;
    Piix3Conf conf;
    Piix3State st;
    MemoryRegion reset_io;
    IsaBus *isa;
    PciBus *bus;
    Irq *irqs[NUM_ISA];
    bool pirq[NUM_PIRQ];       /* levels, by the PCI bus */
} Piix3;

/* ---- Interrupts ---- */

/* INTA# of slot s is on PIRQ (s - 1) mod 4, the other pins follow. */
static int piix3_map_irq(void *opaque, PciDevice *dev, int pin)
{
    return ((dev->devfn >> 3) + pin + 3) & 3;
}

/* Some lines cannot be a target (2.2.9): 0, 1, 2, 8, 13. */
static bool can_route(unsigned irq)
{
    return 0xdef8 >> irq & 1;
}

static void piix3_update_irqs(Piix3 *d)
{
    const uint8_t *route = d->pci.st.config + R_PIRQ;
    uint16_t level = 0;

    for (unsigned i = 0; i < NUM_PIRQ; i++) {
        if (d->pirq[i] && !(route[i] & PIRQ_OFF)) {
            level |= (uint16_t)(1u << (route[i] & PIRQ_MASK));
        }
    }
    for (unsigned i = 0; i < NUM_ISA; i++) {
        if (can_route(i)) {
            irq_set(d->irqs[i], level >> i & 1);
        }
    }
}

static void piix3_set_pirq(void *opaque, int n, int level)
{
    Piix3 *d = opaque;

    d->pirq[n] = level;
    piix3_update_irqs(d);
}

static void piix3_config_write(PciDevice *pci, uint32_t offset, uint32_t value, unsigned size)
{
    pci_config_write_default(pci, offset, value, size);
    if (offset < R_PIRQ + NUM_PIRQ && offset + size > R_PIRQ) {
        piix3_update_irqs((Piix3 *)pci);
    }
}

/* ---- Reset control ---- */

static uint64_t reset_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((Piix3 *)opaque)->st.reset_control;
}

/* 2.6.1: the reset happens when bit 2 goes from 0 to 1. */
static void reset_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Piix3 *d = opaque;
    Machine *m = d->pci.dev.machine;

    if (value & RESET_CPU && m->host && m->host->request_reset) {
        m->host->request_reset(m, SHUTDOWN_CAUSE_GUEST_RESET);
        return;
    }
    d->st.reset_control = value & RESET_HARD;
}

static const MemoryOps reset_ops = { .read = reset_read, .write = reset_write, .valid_min = 1, .valid_max = 1 };

/* ---- Life ---- */

static void piix3_rebuild(Object *obj)
{
    Piix3 *d = (Piix3 *)obj;

    for (int i = 0; i < NUM_PIRQ; i++) {
        d->pirq[i] = pci_bus_irq_level(d->bus, i);
    }
    piix3_update_irqs(d);
}

/* Reset values of 2.2; those of registers without effect are what drivers find in this machine. */
static void piix3_init_config(uint8_t *config)
{
    static const struct {
        uint8_t reg, value;
    } defaults[] = {
        { 0x4c, 0x4d }, { 0x4e, 0x03 }, { 0x4f, 0x00 }, { 0x60, 0x80 }, { 0x61, 0x80 }, { 0x62, 0x80 }, { 0x63, 0x80 },
        { 0x69, 0x02 }, { 0x70, 0x80 }, { 0x76, 0x0c }, { 0x77, 0x0c }, { 0x78, 0x02 }, { 0x79, 0x00 }, { 0x80, 0x00 },
        { 0x82, 0x00 }, { 0xa0, 0x08 }, { 0xa2, 0x00 }, { 0xa3, 0x00 }, { 0xa4, 0x00 }, { 0xa5, 0x00 }, { 0xa6, 0x00 },
        { 0xa7, 0x00 }, { 0xa8, 0x0f }, { 0xaa, 0x00 }, { 0xab, 0x00 }, { 0xac, 0x00 }, { 0xae, 0x00 },
    };

    for (unsigned i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        config[defaults[i].reg] = defaults[i].value;
    }
}

static bool piix3_realize(PciDevice *pci, Error **errp)
{
    Piix3 *d = (Piix3 *)pci;
    Machine *m = pci->dev.machine;

    memset(pci->wmask + 0x40, 0xff, 0x100 - 0x40);
    pci->st.config[0x07] = 0x02; /* status: DEVSEL# medium */
    piix3_init_config(pci->st.config);
    d->bus = (PciBus *)pci->dev.bus;
    device_init_irq_out(&pci->dev, "isa-irqs", d->irqs, NUM_ISA);
    d->isa = isa_bus_new(m, &pci->dev, m->memory, m->io, errp);
    if (!d->isa) {
        return false;
    }
    memory_region_init_io(&d->reset_io, m->map, OBJECT(d), &reset_ops, d, "piix-reset-control", 1);
    pci_bus_irqs(d->bus, piix3_set_pirq, piix3_map_irq, d, NUM_PIRQ);
    return true;
}

static void piix3_unrealize(PciDevice *pci)
{
    memory_region_finish(&((Piix3 *)pci)->reset_io);
}

static const PciDeviceOps piix3_pci_ops = {
    .info = { .vendor = 0x8086, .device = 0x7000, .class_code = 0x060100, .not_hotpluggable = true },
    .realize = piix3_realize,
    .unrealize = piix3_unrealize,
    .config_write = piix3_config_write,
};

const ObjectOps piix3_ops = {
    .size = sizeof(Piix3),
    .conf_offset = offsetof(Piix3, conf),
    .state_offset = offsetof(Piix3, st),
    .rebuild = piix3_rebuild,
    .iface = &piix3_pci_ops,
};

IsaBus *piix3_isa_bus(Device *piix3)
{
    return ((Piix3 *)piix3)->isa;
}

MemoryRegion *piix3_reset_port(Device *piix3)
{
    return &((Piix3 *)piix3)->reset_io;
}
