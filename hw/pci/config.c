/*
 * Configuration space: header, masks, base address registers, capabilities. PCI Local Bus Specification 3.0, chapter 6. The
 * contract is in hw/pci/pci.h.
 */
#include <assert.h>
#include <string.h>

#include "hw/pci/internal.h"

enum { SUBSYSTEM_VENDOR = 0x1af4, SUBSYSTEM = 0x1100 };

/* ---- Header (6.1, 6.2) ---- */

static void init_masks(PciDevice *d)
{
    st16_le(d->wmask + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
                                        PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
    st16_le(d->w1cmask + PCI_STATUS, PCI_STATUS_W1C);
    d->wmask[PCI_CACHE_LINE_SIZE] = 0xff;
    d->wmask[PCI_INTERRUPT_LINE] = 0xff;
    memset(d->cmask + PCI_VENDOR_ID, 0xff, 4);
    memset(d->cmask + PCI_REVISION_ID, 0xff, 4);
    d->cmask[PCI_HEADER_TYPE] = 0xff;
    d->cmask[PCI_INTERRUPT_PIN] = 0xff;
}

void pci_init_header(PciDevice *d)
{
    const PciDeviceInfo *info = &pci_functions(d)->info;
    uint8_t *c = d->st.config;

    d->config_size = PCI_CONFIG_SIZE;
    st16_le(c + PCI_VENDOR_ID, info->vendor);
    st16_le(c + PCI_DEVICE_ID, info->device);
    c[PCI_REVISION_ID] = info->revision;
    c[PCI_CLASS_PROG] = info->class_code;
    st16_le(c + PCI_CLASS_DEVICE, info->class_code >> 8);
    c[PCI_HEADER_TYPE] = info->bridge ? PCI_HEADER_TYPE_BRIDGE : PCI_HEADER_TYPE_NORMAL;
    c[PCI_HEADER_TYPE] |= pci_conf(d)->multifunction ? PCI_HEADER_TYPE_MULTI_FUNCTION : 0;
    c[PCI_INTERRUPT_PIN] = info->interrupt_pin;
    if (!info->bridge) {
        st16_le(c + PCI_SUBSYSTEM_VENDOR_ID, info->subsystem ? info->subsystem_vendor : SUBSYSTEM_VENDOR);
        st16_le(c + PCI_SUBSYSTEM_ID, info->subsystem ? info->subsystem : SUBSYSTEM);
    }
    init_masks(d);
    for (unsigned i = 0; i < PCI_NUM_BARS; i++) {
        d->bars[i].addr = PCI_UNMAPPED;
    }
}

/* ---- Base address registers (6.2.5) ---- */

unsigned pci_bar_register(const PciDevice *d, unsigned n)
{
    return n == PCI_ROM_BAR ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * n;
}

static bool is_64bit(const PciBar *b)
{
    return !(b->flags & PCI_BASE_ADDRESS_SPACE_IO) && b->flags & PCI_BASE_ADDRESS_MEM_TYPE_64;
}

static void set_bar(PciDevice *d, unsigned n, uint8_t flags, MemoryRegion *mr)
{
    PciBar *b = &d->bars[n];
    unsigned reg = pci_bar_register(d, n);
    uint64_t mask = ~(mr->size - 1);

    assert(!b->mr && is_pow2(mr->size) && !mr->container);
    *b = (PciBar){.mr = mr, .flags = flags, .size = mr->size, .addr = PCI_UNMAPPED};
    if (n == PCI_ROM_BAR) {
        mask |= PCI_ROM_ADDRESS_ENABLE;
    }
    st32_le(d->st.config + reg, flags);
    if (is_64bit(b)) {
        st64_le(d->wmask + reg, mask);
        memset(d->cmask + reg, 0xff, 8);
    } else {
        st32_le(d->wmask + reg, mask);
        memset(d->cmask + reg, 0xff, 4);
    }
}

void pci_register_bar(PciDevice *d, unsigned n, uint8_t flags, MemoryRegion *mr)
{
    assert(n < PCI_ROM_BAR && mr->size >= (flags & PCI_BASE_ADDRESS_SPACE_IO ? 4 : 16));
    assert(flags & PCI_BASE_ADDRESS_SPACE_IO ? mr->size <= 256 : mr->size <= 0x80000000 || flags & PCI_BASE_ADDRESS_MEM_TYPE_64);
    set_bar(d, n, flags, mr);
}

/* What is programmed, or PCI_UNMAPPED where that is no place: 0, or reaching the end of what the register can say. */
static uint64_t usable(uint64_t addr, uint64_t size, uint64_t limit)
{
    return addr && addr <= limit && size - 1 < limit - addr ? addr : PCI_UNMAPPED;
}

uint64_t pci_bar_address(const PciDevice *d, unsigned n)
{
    const PciBar *b = &d->bars[n];
    const uint8_t *reg = d->st.config + pci_bar_register(d, n);
    uint16_t command = ld16_le(d->st.config + PCI_COMMAND);

    if (b->flags & PCI_BASE_ADDRESS_SPACE_IO) {
        return command & PCI_COMMAND_IO ? usable(ld32_le(reg) & ~(b->size - 1), b->size, 0xffff) : PCI_UNMAPPED;
    }
    if (!(command & PCI_COMMAND_MEMORY) || (n == PCI_ROM_BAR && !(*reg & PCI_ROM_ADDRESS_ENABLE))) {
        return PCI_UNMAPPED;
    }
    if (is_64bit(b)) {
        return usable(ld64_le(reg) & ~(b->size - 1), b->size, UINT64_MAX);
    }
    return usable(ld32_le(reg) & ~(b->size - 1), b->size, UINT32_MAX);
}

static void move_bar(PciDevice *d, PciBar *b, uint64_t addr)
{
    PciBus *bus = pci_bus_of(d);

    if (b->addr == addr) {
        return;
    }
    if (b->addr != PCI_UNMAPPED) {
        memory_region_del(b->mr);
    }
    b->addr = addr;
    if (addr != PCI_UNMAPPED) {
        memory_region_add(b->flags & PCI_BASE_ADDRESS_SPACE_IO ? bus->io : bus->mem, addr, b->mr, 1);
    }
}

void pci_update_mappings(PciDevice *d)
{
    MemoryMap *map = d->dev.machine->map;

    memory_transaction_begin(map);
    for (unsigned n = 0; n < PCI_NUM_BARS; n++) {
        if (d->bars[n].mr) {
            move_bar(d, &d->bars[n], pci_bar_address(d, n));
        }
    }
    memory_region_set_enabled(&d->mr_dma_alias, ld16_le(d->st.config + PCI_COMMAND) & PCI_COMMAND_MASTER);
    memory_transaction_commit(map);
}

void pci_unmap_all(PciDevice *d)
{
    for (unsigned n = 0; n < PCI_NUM_BARS; n++) {
        if (d->bars[n].mr) {
            move_bar(d, &d->bars[n], PCI_UNMAPPED);
        }
        d->bars[n].mr = NULL;
    }
}

void pci_update(PciDevice *d)
{
    pci_update_mappings(d);
    pci_update_irq(d);
}

/* ---- Accesses of the guest ---- */

uint32_t pci_config_read_default(PciDevice *d, uint32_t offset, unsigned size)
{
    return offset + size <= d->config_size ? ld_le(d->st.config + offset, size) : UINT32_MAX;
}

static bool touches(uint32_t offset, unsigned size, unsigned reg, unsigned len)
{
    return offset < reg + len && reg < offset + size;
}

void pci_config_write_default(PciDevice *d, uint32_t offset, uint32_t value, unsigned size)
{
    if (offset + size > d->config_size) {
        return;
    }
    for (unsigned i = 0; i < size; i++, value >>= 8) {
        uint8_t w = d->wmask[offset + i], clear = d->w1cmask[offset + i] & value;
        uint8_t *c = &d->st.config[offset + i];

        *c = ((*c & ~w) | (value & w)) & ~clear;
    }
    if (touches(offset, size, PCI_COMMAND, 2) || touches(offset, size, PCI_BASE_ADDRESS_0, 24) ||
        touches(offset, size, PCI_ROM_ADDRESS, 4)) {
        pci_update(d);
    }
}

/* ---- Capabilities (6.7) ---- */

uint8_t pci_find_capability(PciDevice *d, uint8_t id)
{
    uint8_t at = ld16_le(d->st.config + PCI_STATUS) & PCI_STATUS_CAP_LIST ? d->st.config[PCI_CAPABILITY_LIST] : 0;

    for (unsigned n = 0; at >= PCI_HEADER_END && n < 48; n++) {
        if (d->st.config[at] == id) {
            return at;
        }
        at = d->st.config[at + 1] & ~3;
    }
    return 0;
}

static bool is_free(const PciDevice *d, unsigned at, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        if (at + i >= PCI_CONFIG_SIZE || d->used[at + i]) {
            return false;
        }
    }
    return true;
}

int pci_add_capability(PciDevice *d, uint8_t id, uint8_t offset, uint8_t size, Error **errp)
{
    unsigned at = offset ? offset : PCI_HEADER_END;

    while (!offset && at < PCI_CONFIG_SIZE && !is_free(d, at, size)) {
        at += 4;
    }
    if (at < PCI_HEADER_END || !is_free(d, at, size)) {
        error_set(errp, "%s: no room for PCI capability 0x%02x of %u bytes", d->dev.obj.klass->item.name, id, size);
        return -1;
    }
    d->st.config[at] = id;
    d->st.config[at + 1] = d->st.config[PCI_CAPABILITY_LIST];
    d->st.config[PCI_CAPABILITY_LIST] = at;
    d->st.config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    for (unsigned i = 0; i < size; i++) {
        d->used[at + i] = true;
        d->wmask[at + i] = 0;
    }
    memset(d->cmask + at, 0xff, 2);
    return at;
}
