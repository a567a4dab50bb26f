/*
 * PCI: configuration space, BARs, interrupts, bridges' routing. PCI Local Bus 3.0 and PCI Express 4.0 (ECAM) by section.
 *
 * A PCI device is a class derived from 'pci-device'; its Conf has addr, multifunction, romfile, rombar ... inherited. Config space is an
 * array of bytes with masks of what the guest may write; headers are filled from PciDeviceInfo at realize.
 * 256 bytes; the 4096 of PCIe are not there yet; BARs are 32 or 64 bits wide, prefetchable or not, memory or I/O.
 */
#ifndef HW_PCI_PCI_H
#define HW_PCI_PCI_H

#include "hw/core/device.h"
#include "hw/core/machine.h"
#include "hw/pci/pci-device.gen.h" /* PciDeviceConf, PciDeviceState */
#include "hw/pci/pci_regs.h"       /* register names of the specification */

typedef struct PciDevice PciDevice;
typedef struct PciBus PciBus;

/* Identity of a function: const in the class's PciDeviceOps. */
typedef struct {
    uint16_t vendor, device, subsystem_vendor, subsystem; /* subsystem 0: 1af4:1100 as QEMU's default */
    uint8_t revision;
    uint32_t class_code;   /* 24 bits: class << 16 | subclass << 8 | prog-if */
    uint8_t interrupt_pin; /* 0 none, 1 INTA# .. 4 */
    bool express, bridge, not_hotpluggable;
    const char *romfile;   /* default option ROM, or NULL */
} PciDeviceInfo;

typedef struct PciDeviceOps {   /* DeviceOps.… iface of pci-device classes */
    DeviceOps dev;
    PciDeviceInfo info;
    bool (*realize)(PciDevice *, Error **);  /* called by pci-device's own realize after the header is there */
    void (*unrealize)(PciDevice *);          /* not after a realize that failed, which undoes what it did */
    /* NULL: pci_config_read/write_default. Override, and call the default inside. */
    uint32_t (*config_read)(PciDevice *, uint32_t offset, unsigned size);
    void (*config_write)(PciDevice *, uint32_t offset, uint32_t value, unsigned size);
} PciDeviceOps;

enum { PCI_ROM_BAR = 6, PCI_NUM_BARS = 7, PCI_CONFIG_SIZE = 256 };
#define PCI_UNMAPPED UINT64_MAX

typedef struct {
    MemoryRegion *mr;      /* NULL: no BAR */
    uint8_t flags;         /* PCI_BASE_ADDRESS_* */
    uint64_t size;
    uint64_t addr;         /* where it is mapped now; UINT64_MAX: not */
} PciBar;

struct PciDevice {
    Device dev;
    PciDeviceState st;     /* config space bytes, irq state: saved */
    /* Per config byte: bits the guest may write, write-1-to-clear, and what must be equal in a state that is loaded. */
    uint8_t wmask[PCI_CONFIG_SIZE], w1cmask[PCI_CONFIG_SIZE], cmask[PCI_CONFIG_SIZE];
    uint8_t initial[PCI_CONFIG_SIZE]; /* config space as realize left it: what reset restores */
    bool used[PCI_CONFIG_SIZE];       /* bytes that belong to a capability */
    PciBar bars[PCI_NUM_BARS];
    uint8_t devfn;
    uint32_t config_size;
    bool irq_counted;      /* in irq_count[irq_input] of the root bus */
    int irq_input;
    AddressSpace *as_dma;  /* bus-master view: PCI_COMMAND_MASTER gates it */
    MemoryRegion mr_dma, mr_dma_alias;
    MemoryRegion mr_rom;
};
#define PCI_DEVICE(p) ((PciDevice *)(p))

/*
 * Writes and reads of st.config by the device itself in realize, reset and when hardware state changes: plain accesses,
 * little endian (util/bits.h). After changing command, BARs or the pin's state by hand call pci_update.
 */
void pci_update(PciDevice *);
uint32_t pci_config_read_default(PciDevice *, uint32_t offset, unsigned size);
void pci_config_write_default(PciDevice *, uint32_t offset, uint32_t value, unsigned size);
/* n: 0..5. Flags: PCI_BASE_ADDRESS_SPACE_IO, _MEM_TYPE_64, _MEM_PREFETCH. Size a power of two. */
void pci_register_bar(PciDevice *, unsigned n, uint8_t flags, MemoryRegion *);
/* Offset of the new capability, whose id and next are filled; negative: error. In realize. */
int pci_add_capability(PciDevice *, uint8_t id, uint8_t offset /* 0: find room */, uint8_t size, Error **errp);
uint8_t pci_find_capability(PciDevice *, uint8_t id); /* 0: none */
void pci_set_irq(PciDevice *, int level);       /* its own pin; level triggered, routed by the bus */
static inline MemTxResult pci_dma_read(PciDevice *d, hwaddr a, void *buf, uint64_t len)
{
    return address_space_read(d->as_dma, a, MEMTXATTRS_NONE, buf, len);
}
static inline MemTxResult pci_dma_write(PciDevice *d, hwaddr a, const void *buf, uint64_t len)
{
    return address_space_write(d->as_dma, a, MEMTXATTRS_NONE, buf, len);
}

struct PciBus {
    Bus bus;
    PciDevice *functions[256];
    uint8_t number;                     /* of the root bus: 0 */
    PciDevice *parent_bridge;           /* NULL: root */
    MemoryRegion *mem, *io;             /* where BARs are mapped */
    /* Root: INTx of slot/pin -> which of the host bridge's inputs, and their level sinks. */
    int (*map_irq)(void *opaque, PciDevice *, int pin);
    void (*set_irq)(void *opaque, int n, int level);
    void *irq_opaque;
    int irq_count[16];                  /* how many assert each input */
    int num_irqs;
};
#define PCI_BUS(p) ((PciBus *)(p))
PciBus *pci_bus_of(PciDevice *);

/* The root bus of a host bridge: created by it in realize. */
PciBus *pci_root_bus_new(Machine *, Device *host_bridge, const char *name, MemoryRegion *mem, MemoryRegion *io, Error **errp);
void pci_bus_irqs(PciBus *, void (*set_irq)(void *, int n, int level), int (*map_irq)(void *, PciDevice *, int pin), void *opaque, int n);
int pci_bus_irq_level(PciBus *, int n);
/* Configuration access as mechanism #1 and ECAM see it: bus << 20 | devfn << 12 | register. All ones when nobody is there. */
uint32_t pci_config_access_read(PciBus *root, uint32_t ecam_address, unsigned size);
void pci_config_access_write(PciBus *root, uint32_t ecam_address, uint32_t value, unsigned size);
PciBus *pci_find_bus(PciBus *root, uint8_t number);
PciDevice *pci_find_function(PciBus *root, uint8_t bus, uint8_t devfn);
void pci_foreach(PciBus *root, void (*fn)(PciBus *, PciDevice *, void *), void *opaque);
/* "info pci" */
void pci_print(PciBus *root, void (*print)(void *, const char *), void *opaque);
const char *pci_class_name(uint16_t class_code); /* "IDE controller" */

#endif
