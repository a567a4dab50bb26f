/*
 * Intel 440FX host bridge: 82441FX PCI and memory controller (order number 290549-001; sections are its own), with PCI
 * configuration mechanism #1 (PCI Local Bus 3.0, 3.2.2.3.2).
 *
 * Shadow RAM (PAM, 3.2.19) and SMRAM (3.2.27) are switched by enabling aliases that lie over the RAM. Not modelled: DRAM
 * timing and row registers (writable, without effect), error reporting; the attribute "write only" of PAM behaves
 * as "disabled".
 */
#include "hw/pci-host/i440fx.h"

#include <string.h>

#include "hw/pci-host/i440fx.gen.h"

enum {
    R_DRAM_SIZE = 0x57,        /* RAM below 4 GiB in units of 8 MiB, at most 255: what old firmware reads */
    R_PAM = 0x59,              /* PAM0..PAM6: two attributes each, PAM0 only the upper */
    R_SMRAM = 0x72,
    PAM_READ = 1, PAM_WRITE = 2,
    SMRAM_ENABLE = 1 << 3, SMRAM_LOCK = 1 << 4, SMRAM_OPEN = 1 << 6,
    SMRAM_FIXED = 0x02,        /* C_BASE_SEG: 0xa0000 */
    SMRAM_WRITABLE = 0x78,
    PAM_SEGMENTS = 13,
    CONFIG_ENABLE = 1u << 31,
    RESET_OFFSET = 1,          /* 0xcf9 */
    VGA_BASE = 0xa0000, VGA_SIZE = 0x20000, LEGACY_END = 0x100000,
};

/* The PCI function. */
typedef struct {
    PciDevice pci;
    I440fxConf conf;
    MemoryRegion pam_pci[PAM_SEGMENTS], pam_ram[PAM_SEGMENTS]; /* over the RAM; one of each pair at a time */
    MemoryRegion vga_window;   /* PCI at 0xa0000 over the RAM, unless SMRAM is open */
    MemoryRegion smm_root, smm_system, smram;
    AddressSpace *smm_space;
    MemoryRegion *pci_memory;
} I440fx;

typedef struct {
    Device dev;
    I440fxHostConf conf;
    I440fxHostState st;
    MemoryRegion *pci_memory;  /* the board's */
    MemoryRegion nobody;       /* from 0xa0000 to 1 MiB of it, under all that is there: RAM must not show through */
    MemoryRegion address_io, data_io;
    MemoryRegion *reset_port;  /* byte port 0xcf9, inside the address register; NULL: none */
    PciBus *bus;
    I440fx *function;
} I440fxHost;

/* ---- Configuration mechanism #1 ---- */

/* Only whole doublewords are the register; bytes go to the port below (3.2.2.3.2), of which 0xcf9 may be somebody's. */
static uint64_t address_read(void *opaque, uint64_t offset, unsigned size)
{
    I440fxHost *h = opaque;
    uint64_t value = ~0ull;

    if (size == 4) {
        return h->st.address;
    }
    if (size == 1 && offset == RESET_OFFSET && h->reset_port) {
        memory_region_ld(h->reset_port, 0, 1, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, &value);
    }
    return value;
}

static void address_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I440fxHost *h = opaque;

    if (size == 4) {
        h->st.address = (uint32_t)value & (CONFIG_ENABLE | 0xfffffc);
    } else if (size == 1 && offset == RESET_OFFSET && h->reset_port) {
        memory_region_st(h->reset_port, 0, 1, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, value);
    }
}

static const MemoryOps address_ops = {
    .read = address_read, .write = address_write, .valid_min = 1, .valid_max = 4,
};

/* Bus, device, function and register as ECAM orders them. */
static uint32_t ecam_address(const I440fxHost *h, uint64_t offset)
{
    uint32_t a = h->st.address;

    return (a >> 8 & 0xffff) << 12 | (a & 0xfc) | (uint32_t)offset;
}

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    I440fxHost *h = opaque;

    if (!(h->st.address & CONFIG_ENABLE)) {
        return ~0ull;
    }
    return pci_config_access_read(h->bus, ecam_address(h, offset), size);
}

static void data_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I440fxHost *h = opaque;

    if (h->st.address & CONFIG_ENABLE) {
        pci_config_access_write(h->bus, ecam_address(h, offset), (uint32_t)value, size);
    }
}

static const MemoryOps data_ops = {
    .read = data_read, .write = data_write, .valid_min = 1, .valid_max = 4, .impl_min = 1, .impl_max = 4,
};

/* Where no PCI device answers: master abort, all ones (3.2.2.3.4 of the PCI specification). */
static uint64_t nobody_read(void *opaque, uint64_t offset, unsigned size)
{
    return ~0ull;
}

static void nobody_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
}

static const MemoryOps nobody_ops = { .read = nobody_read, .write = nobody_write, .valid_unaligned = true };

/* ---- Shadow RAM and SMRAM ---- */

typedef struct {
    uint32_t base, size;
    uint8_t reg, shift;
} PamSegment;

/* 3.2.19, table 5: PAM0's upper half is the BIOS area, then pairs of 16 KiB from 0xc0000. */
static PamSegment pam_segment(unsigned n)
{
    if (n == 0) {
        return (PamSegment){ 0xf0000, 0x10000, R_PAM, 4 };
    }
    return (PamSegment){ 0xc0000 + (n - 1) * 0x4000, 0x4000, (uint8_t)(R_PAM + 1 + (n - 1) / 2), (n - 1) % 2 * 4 };
}

/* Puts the memory map in the state that the registers say. */
static void i440fx_update_memory(I440fx *d)
{
    const uint8_t *config = d->pci.st.config;
    uint8_t smram = config[R_SMRAM];

    memory_transaction_begin(d->pci.dev.machine->map);
    for (unsigned i = 0; i < PAM_SEGMENTS; i++) {
        PamSegment s = pam_segment(i);
        unsigned attr = config[s.reg] >> s.shift & 3;

        memory_region_set_enabled(&d->pam_pci[i], !(attr & PAM_READ));
        memory_region_set_enabled(&d->pam_ram[i], attr & PAM_READ);
        memory_region_set_readonly(&d->pam_ram[i], !(attr & PAM_WRITE));
    }
    memory_region_set_enabled(&d->vga_window, !(smram & SMRAM_OPEN));
    memory_region_set_enabled(&d->smram, smram & SMRAM_ENABLE);
    memory_transaction_commit(d->pci.dev.machine->map);
}

/* 3.2.27: once locked, only a reset opens it again; open needs nothing else, enable is kept while locked. */
static uint8_t smram_value(uint8_t old, uint8_t value)
{
    if (old & SMRAM_LOCK) {
        return old;
    }
    value = (value & SMRAM_WRITABLE) | SMRAM_FIXED;
    return value & SMRAM_LOCK ? value & ~SMRAM_OPEN : value;
}

static void i440fx_config_write(PciDevice *pci, uint32_t offset, uint32_t value, unsigned size)
{
    I440fx *d = (I440fx *)pci;
    uint8_t *config = pci->st.config;
    uint8_t before[R_SMRAM + 1 - R_PAM], smram = config[R_SMRAM];

    memcpy(before, config + R_PAM, sizeof(before));
    pci_config_write_default(pci, offset, value, size);
    config[R_SMRAM] = smram_value(smram, config[R_SMRAM]);
    if (memcmp(before, config + R_PAM, sizeof(before))) {
        i440fx_update_memory(d);
    }
}

static void i440fx_rebuild(Object *obj)
{
    i440fx_update_memory((I440fx *)obj);
}

/* ---- The function ---- */

static void i440fx_init_pam(I440fx *d)
{
    Machine *m = d->pci.dev.machine;
    Object *o = OBJECT(d);

    for (unsigned i = 0; i < PAM_SEGMENTS; i++) {
        PamSegment s = pam_segment(i);

        memory_region_init_alias(&d->pam_pci[i], m->map, o, "pam-pci", d->pci_memory, s.base, s.size);
        memory_region_init_alias(&d->pam_ram[i], m->map, o, "pam-ram", m->ram, s.base, s.size);
        memory_region_set_enabled(&d->pam_ram[i], false);
        memory_region_add(m->memory, s.base, &d->pam_pci[i], 1);
        memory_region_add(m->memory, s.base, &d->pam_ram[i], 1);
    }
}

static void i440fx_init_smram(I440fx *d)
{
    Machine *m = d->pci.dev.machine;
    Object *o = OBJECT(d);

    memory_region_init_alias(&d->vga_window, m->map, o, "smram-region", d->pci_memory, VGA_BASE, VGA_SIZE);
    memory_region_add(m->memory, VGA_BASE, &d->vga_window, 1);

    memory_region_init(&d->smm_root, m->map, o, "memory", 0);
    memory_region_init_alias(&d->smm_system, m->map, o, "system-in-smm", m->memory, 0, 0);
    memory_region_init_alias(&d->smram, m->map, o, "smram-low", m->ram, VGA_BASE, VGA_SIZE);
    memory_region_set_enabled(&d->smram, false);
    memory_region_add(&d->smm_root, 0, &d->smm_system, 0);
    memory_region_add(&d->smm_root, VGA_BASE, &d->smram, 1);
    d->smm_space = address_space_new(m->map, &d->smm_root, "cpu-smm-0");
}

static bool i440fx_realize(PciDevice *pci, Error **errp)
{
    I440fx *d = (I440fx *)pci;
    Machine *m = pci->dev.machine;
    uint64_t units = m->ram_size >> 23;

    if (!d->pci_memory) {
        return error_set(errp, "i440FX: can only be made by i440FX-pcihost");
    }
    memset(pci->wmask + 0x40, 0xff, 0x100 - 0x40);
    memset(pci->wmask + R_DRAM_SIZE, 0, 1);
    pci->st.config[R_DRAM_SIZE] = (uint8_t)(units < 255 ? units : 255);
    pci->st.config[R_SMRAM] = SMRAM_FIXED;
    memory_transaction_begin(m->map);
    i440fx_init_pam(d);
    i440fx_init_smram(d);
    memory_transaction_commit(m->map);
    return true;
}

static void i440fx_unrealize(PciDevice *pci)
{
    I440fx *d = (I440fx *)pci;
    Machine *m = pci->dev.machine;

    memory_transaction_begin(m->map);
    address_space_free(d->smm_space);
    d->smm_space = NULL;
    memory_region_finish(&d->smram);
    memory_region_finish(&d->smm_system);
    memory_region_finish(&d->smm_root);
    memory_region_finish(&d->vga_window);
    for (unsigned i = 0; i < PAM_SEGMENTS; i++) {
        memory_region_finish(&d->pam_pci[i]);
        memory_region_finish(&d->pam_ram[i]);
    }
    memory_transaction_commit(m->map);
}

static const PciDeviceOps i440fx_pci_ops = {
    .info = { .vendor = 0x8086, .device = 0x1237, .revision = 2, .class_code = 0x060000, .not_hotpluggable = true },
    .realize = i440fx_realize,
    .unrealize = i440fx_unrealize,
    .config_write = i440fx_config_write,
};

const ObjectOps i440fx_ops = {
    .size = sizeof(I440fx),
    .conf_offset = offsetof(I440fx, conf),
    .rebuild = i440fx_rebuild,
    .iface = &i440fx_pci_ops,
};

/* ---- The host bridge ---- */

static bool host_create_function(I440fxHost *h, Error **errp)
{
    Device *d = device_create(h->dev.machine, "i440FX", &h->bus->bus, NULL, NULL, errp, "addr", "0.0", NULL);

    if (!d) {
        return false;
    }
    h->function = (I440fx *)object_ref(OBJECT(d));
    h->function->pci_memory = h->pci_memory;
    return device_realize(d, errp);
}

/* The function lies elsewhere in the tree, but does not outlive its bus. */
static void host_drop_function(I440fxHost *h)
{
    if (h->function) {
        object_unparent(OBJECT(h->function));
        object_unref(OBJECT(h->function));
        h->function = NULL;
    }
}

static void host_finish_regions(I440fxHost *h)
{
    memory_region_finish(&h->data_io);
    memory_region_finish(&h->address_io);
    memory_region_finish(&h->nobody);
}

static bool host_realize(Object *obj, Error **errp)
{
    I440fxHost *h = (I440fxHost *)obj;
    Machine *m = h->dev.machine;

    if (!h->pci_memory) {
        return error_set(errp, "i440FX-pcihost: can only be made by a board");
    }
    memory_region_init_io(&h->nobody, m->map, obj, &nobody_ops, h, "pci-nobody", LEGACY_END - VGA_BASE);
    memory_region_add(h->pci_memory, VGA_BASE, &h->nobody, -2);
    memory_region_init_io(&h->address_io, m->map, obj, &address_ops, h, "pci-conf-idx", 4);
    memory_region_init_io(&h->data_io, m->map, obj, &data_ops, h, "pci-conf-data", 4);
    memory_region_add(m->io, 0xcf8, &h->address_io, 0);
    memory_region_add(m->io, 0xcfc, &h->data_io, 0);
    h->bus = pci_root_bus_new(m, &h->dev, "pci.0", h->pci_memory, m->io, errp);
    if (!h->bus || !host_create_function(h, errp)) {
        host_drop_function(h);
        host_finish_regions(h);
        return false;
    }
    return true;
}

static void host_unrealize(Object *obj)
{
    I440fxHost *h = (I440fxHost *)obj;

    host_drop_function(h);
    host_finish_regions(h);
}

const ObjectOps i440fx_host_ops = {
    .size = sizeof(I440fxHost),
    .conf_offset = offsetof(I440fxHost, conf),
    .state_offset = offsetof(I440fxHost, st),
    .realize = host_realize,
    .unrealize = host_unrealize,
};

PciBus *i440fx_bus(Device *host)
{
    return ((I440fxHost *)host)->bus;
}

void i440fx_set_pci_memory(Device *host, MemoryRegion *container)
{
    ((I440fxHost *)host)->pci_memory = container;
}

AddressSpace *i440fx_smm_space(Device *host)
{
    return ((I440fxHost *)host)->function->smm_space;
}

uint64_t i440fx_hole64_size(Device *host)
{
    return ((I440fxHost *)host)->conf.pci_hole64_size;
}

void i440fx_set_reset_port(Device *host, MemoryRegion *port)
{
    ((I440fxHost *)host)->reset_port = port;
}

void i440fx_get_shadow(Device *host, uint8_t pam[I440FX_SHADOW_BYTES])
{
    memcpy(pam, ((I440fxHost *)host)->function->pci.st.config + R_PAM, I440FX_SHADOW_BYTES);
}

void i440fx_set_shadow(Device *host, const uint8_t pam[I440FX_SHADOW_BYTES])
{
    I440fx *d = ((I440fxHost *)host)->function;

    memcpy(d->pci.st.config + R_PAM, pam, I440FX_SHADOW_BYTES);
    i440fx_update_memory(d);
}
