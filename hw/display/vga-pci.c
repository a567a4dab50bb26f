/*
 * Standard VGA on PCI, 1234:1111. Layout of its memory windows: public description of the "standard VGA" device: BAR 0 the
 * frame buffer; BAR 2, 4 KiB: EDID at 0, VGA ports 0x3c0 to 0x3df at 0x400, display interface at 0x500, byte order at 0x600.
 * The VGA itself: vga.c.
 *
 * Not modelled: big-endian frame buffers.
 */
#include <string.h>

#include "hw/display/edid.h"
#include "hw/display/vga-pci.gen.h"
#include "hw/display/vga.h"
#include "hw/pci/pci.h"
#include "ui/console.h"

enum {
    BAR_FRAMEBUFFER = 0, BAR_MMIO = 2,
    MMIO_SIZE = 0x1000, MMIO_PORTS = 0x400, MMIO_PORTS_SIZE = 0x20, MMIO_VBE = 0x500, MMIO_EXTENDED = 0x600,
    EXTENDED_SIZE = 8, LITTLE_ENDIAN_MARK = 0x1e1e1e1e,
    NUM_PORT_RANGES = 3,
};

typedef struct {
    PciDevice pci;
    VgaPciConf conf;
    VgaPciState st;
    VgaCore core;
    MemoryRegion vram, window, mmio, vbe_ports;
    MemoryRegion ports[NUM_PORT_RANGES];
    Console *console;
    uint8_t edid[EDID_SIZE];
} VgaPci;

/* ---- Ports and window ---- */

static const struct {
    uint16_t base, size;
} port_ranges[NUM_PORT_RANGES] = { { 0x3b4, 8 }, { 0x3c0, 16 }, { 0x3d4, 8 } };

static uint16_t port_of(const VgaPci *d, const MemoryRegion *mr, uint64_t offset)
{
    return (uint16_t)(port_ranges[mr - d->ports].base + offset);
}

/* Each range has functions of its own, for a callback knows only the offset. */
#define PORT_FUNCTIONS(n)                                                                          \
    static uint64_t ports##n##_read(void *opaque, uint64_t offset, unsigned size)                  \
    {                                                                                              \
        VgaPci *d = opaque;                                                                        \
        return vga_port_read(&d->core, port_of(d, &d->ports[n], offset));                          \
    }                                                                                              \
    static void ports##n##_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)     \
    {                                                                                              \
        VgaPci *d = opaque;                                                                        \
        vga_port_write(&d->core, port_of(d, &d->ports[n], offset), (uint8_t)value);                \
    }
PORT_FUNCTIONS(0)
PORT_FUNCTIONS(1)
PORT_FUNCTIONS(2)

#define PORT_OPS(n) { .read = ports##n##_read, .write = ports##n##_write, .valid_min = 1, .valid_max = 4, .impl_min = 1,    \
                      .impl_max = 1 }
static const MemoryOps port_ops[NUM_PORT_RANGES] = { PORT_OPS(0), PORT_OPS(1), PORT_OPS(2) };

static uint64_t window_read(void *opaque, uint64_t offset, unsigned size)
{
    return vga_memory_read(&((VgaPci *)opaque)->core, (uint32_t)offset);
}

static void vram_changed(VgaPci *d)
{
    memory_dirty_set(d->pci.dev.machine->map, d->vram.block->start, d->vram.block->size);
}

static void window_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    VgaPci *d = opaque;
    int64_t at = vga_memory_write(&d->core, (uint32_t)offset, (uint8_t)value);

    if (at >= 0) { /* as a write to the memory's own BAR */
        memory_dirty_set(d->pci.dev.machine->map, d->vram.block->start + (uint64_t)at, 4);
    }
}

static const MemoryOps window_ops = {
    .read = window_read, .write = window_write, .valid_min = 1, .valid_max = 8, .valid_unaligned = true, .impl_min = 1,
    .impl_max = 1,
};

/* ---- Display interface: index at 0x1ce, data at 0x1cf and 0x1d0 ---- */

static uint64_t vbe_ports_read(void *opaque, uint64_t offset, unsigned size)
{
    VgaPci *d = opaque;

    return offset == 0 ? d->st.regs.vbe_index : vga_vbe_read(&d->core, d->st.regs.vbe_index);
}

static void vbe_write(VgaPci *d, unsigned index, uint16_t value)
{
    vga_vbe_write(&d->core, index, value);
    if (index == VBE_ENABLE) {
        vram_changed(d); /* it may have cleared the memory */
    }
}

static void vbe_ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    VgaPci *d = opaque;

    if (offset == 0) {
        d->st.regs.vbe_index = (uint16_t)value;
    } else {
        vbe_write(d, d->st.regs.vbe_index, (uint16_t)value);
    }
}

static const MemoryOps vbe_ports_ops = {
    .read = vbe_ports_read, .write = vbe_ports_write, .valid_min = 1, .valid_max = 2, .valid_unaligned = true,
    .impl_min = 1, .impl_max = 2, .impl_unaligned = true,
};

/* ---- BAR 2 ---- */

static uint64_t extended_read(const VgaPci *d, uint64_t offset, unsigned size)
{
    uint64_t regs = EXTENDED_SIZE | (uint64_t)LITTLE_ENDIAN_MARK << 32;

    return d->conf.qemu_extended_regs && offset < EXTENDED_SIZE ? regs >> offset * 8 : ~0ull;
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    VgaPci *d = opaque;

    if (offset < MMIO_PORTS) {
        return d->conf.edid && offset < EDID_SIZE ? d->edid[offset] : 0;
    }
    if (offset >= MMIO_EXTENDED) {
        return extended_read(d, offset - MMIO_EXTENDED, size);
    }
    if (offset >= MMIO_VBE) {
        unsigned index = (unsigned)(offset - MMIO_VBE) / 2;
        return index < VBE_NUM ? vga_vbe_read(&d->core, index) >> (offset & 1) * 8 : ~0ull;
    }
    return offset < MMIO_PORTS + MMIO_PORTS_SIZE ? vga_port_read(&d->core, (uint16_t)(0x3c0 + offset - MMIO_PORTS)) : ~0ull;
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    VgaPci *d = opaque;

    if (offset >= MMIO_VBE && offset < MMIO_VBE + 2 * VBE_NUM) {
        if (size == 2 && !(offset & 1)) {
            vbe_write(d, (unsigned)(offset - MMIO_VBE) / 2, (uint16_t)value);
        }
    } else if (offset >= MMIO_PORTS && offset < MMIO_PORTS + MMIO_PORTS_SIZE) {
        for (unsigned i = 0; i < size; i++) {
            vga_port_write(&d->core, (uint16_t)(0x3c0 + offset + i - MMIO_PORTS), (uint8_t)(value >> 8 * i));
        }
    }
}

/* Reads are of bytes, so that none has a meaning beyond its own; registers of a word are written whole. */
static uint64_t mmio_read_any(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value |= (mmio_read(opaque, offset + i, 1) & 0xff) << 8 * i;
    }
    return value;
}

static const MemoryOps mmio_ops = {
    .read = mmio_read_any, .write = mmio_write, .valid_min = 1, .valid_max = 4, .impl_min = 1, .impl_max = 2,
};

/* ---- Picture ---- */

static bool vga_pci_draw(void *hw, Surface **surface)
{
    return vga_draw(&((VgaPci *)hw)->core, surface);
}

static const ConsoleOps console_ops = { .draw = vga_pci_draw };

static int64_t vga_now(void *opaque)
{
    VgaPci *d = opaque;

    return clock_ns(&d->pci.dev.machine->clocks.clocks[CLOCK_VIRTUAL_NS]);
}

/* ---- Life ---- */

static void vga_pci_finish_regions(VgaPci *d)
{
    for (unsigned i = 0; i < NUM_PORT_RANGES; i++) {
        memory_region_finish(&d->ports[i]);
    }
    memory_region_finish(&d->vbe_ports);
    memory_region_finish(&d->window);
    memory_region_finish(&d->mmio);
    memory_region_finish(&d->vram);
}

/* The legacy ports and window are decoded whenever the device is there; the BARs as the guest says. */
static void vga_pci_map_legacy(VgaPci *d)
{
    Machine *m = d->pci.dev.machine;
    PciBus *bus = (PciBus *)d->pci.dev.bus;
    Object *o = OBJECT(d);

    for (unsigned i = 0; i < NUM_PORT_RANGES; i++) {
        memory_region_init_io(&d->ports[i], m->map, o, &port_ops[i], d, "vga", port_ranges[i].size);
        memory_region_add(bus->io, port_ranges[i].base, &d->ports[i], 0);
    }
    memory_region_init_io(&d->vbe_ports, m->map, o, &vbe_ports_ops, d, "vbe", 4);
    memory_region_add(bus->io, 0x1ce, &d->vbe_ports, 0);
    memory_region_init_io(&d->window, m->map, o, &window_ops, d, "vga-lowmem", 0x20000);
    memory_region_add(bus->mem, 0xa0000, &d->window, 1);
}

static bool vga_pci_realize(PciDevice *pci, Error **errp)
{
    VgaPci *d = (VgaPci *)pci;
    Machine *m = pci->dev.machine;
    uint32_t size = 1 << 20;

    while (size < d->conf.vgamem_mb << 20) {
        size *= 2;
    }
    if (!memory_region_init_ram(&d->vram, m->map, OBJECT(d), "vga.vram", size, errp)) {
        return false;
    }
    d->st.vram = d->vram.block;
    vga_init(&d->core, &d->st.regs, memory_region_host(&d->vram), size, vga_now, d);
    d->console = console_new(pci->dev.obj.tree, OBJECT(d), &console_ops, d, errp);
    if (!d->console) {
        memory_region_finish(&d->vram);
        return false;
    }
    vga_pci_map_legacy(d);
    pci_register_bar(pci, BAR_FRAMEBUFFER, PCI_BASE_ADDRESS_MEM_PREFETCH, &d->vram);
    if (d->conf.mmio) {
        edid_make(d->edid, d->conf.xres, d->conf.yres);
        memory_region_init_io(&d->mmio, m->map, OBJECT(d), &mmio_ops, d, "vga.mmio", MMIO_SIZE);
        pci_register_bar(pci, BAR_MMIO, 0, &d->mmio);
    }
    return true;
}

static void vga_pci_unrealize(PciDevice *pci)
{
    VgaPci *d = (VgaPci *)pci;

    console_free(d->console);
    d->console = NULL;
    vga_pci_finish_regions(d);
}

static void vga_pci_reset(Object *obj, ObjectResetKind kind)
{
    vga_reset(&((VgaPci *)obj)->core);
}

static const PciDeviceOps vga_functions = {
    .info = { .vendor = 0x1234, .device = 0x1111, .revision = 2, .class_code = 0x030000, .not_hotpluggable = true,
              .romfile = "vgabios-stdvga.bin" },
    .realize = vga_pci_realize,
    .unrealize = vga_pci_unrealize,
};

const ObjectOps vga_pci_ops = {
    .size = sizeof(VgaPci),
    .conf_offset = offsetof(VgaPci, conf),
    .state_offset = offsetof(VgaPci, st),
    .reset = vga_pci_reset,
    .iface = &vga_functions,
};
