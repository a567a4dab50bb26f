/*
 * IDE function of the Intel PIIX3 (82371SB, order number 290550-002, chapter 2.3 and 2.7): two channels at the legacy ports, bus
 * master at BAR 4. The ports are decoded whatever the timing registers say; timings have no effect.
 */
#include <string.h>

#include "hw/ide/internal.h"
#include "hw/pci/pci.h"

typedef struct {
    PciDevice pci;
    PciDeviceConf conf;
    Piix3IdeState st;
    IdeBus *buses[2];
    MemoryRegion command[2], control[2], bm;
    Irq *irqs[2];
} Piix3Ide;

enum { R_IDETIM = 0x40 };

static const struct {
    uint16_t command, control;
} ports[2] = {{0x1f0, 0x3f6}, {0x170, 0x376}};

/* ---- Registers ---- */

/* Wider accesses reach the data register whole, and the others a byte each. */
static uint64_t command_read(void *opaque, uint64_t offset, unsigned size)
{
    IdeBus *b = opaque;
    uint64_t v = 0;

    if (offset == 0) {
        return ide_read(b, 0, size);
    }
    for (unsigned i = 0; i < size && offset + i < 8; i++) {
        v |= (uint64_t)ide_read(b, offset + i, 1) << 8 * i;
    }
    return v;
}

static void command_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    IdeBus *b = opaque;

    if (offset == 0) {
        ide_write(b, 0, value, size);
        return;
    }
    for (unsigned i = 0; i < size && offset + i < 8; i++) {
        ide_write(b, offset + i, value >> 8 * i & 0xff, 1);
    }
}

static const MemoryOps command_ops = {
    .read = command_read, .write = command_write, .valid_max = 4, .valid_unaligned = true, .impl_unaligned = true,
};

static uint64_t control_read(void *opaque, uint64_t offset, unsigned size)
{
    return ide_read_alt_status(opaque);
}

static void control_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    ide_write_control(opaque, value);
}

static const MemoryOps control_ops = {.read = control_read, .write = control_write, .valid_max = 1};

static uint64_t bm_read(void *opaque, uint64_t offset, unsigned size)
{
    Piix3Ide *d = opaque;

    return ide_bm_read(d->buses[offset >> 3], offset & 7);
}

static void bm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Piix3Ide *d = opaque;

    ide_bm_write(d->buses[offset >> 3], offset & 7, value);
}

static const MemoryOps bm_ops = {.read = bm_read, .write = bm_write, .valid_max = 4, .impl_max = 1};

/* ---- Life ---- */

static void finish_regions(Piix3Ide *d)
{
    for (int i = 0; i < 2; i++) {
        memory_region_finish(&d->command[i]);
        memory_region_finish(&d->control[i]);
    }
    memory_region_finish(&d->bm);
}

static bool init_channel(Piix3Ide *d, int i, Error **errp)
{
    Machine *m = d->pci.dev.machine;

    d->buses[i] = ide_bus_new(&d->pci.dev, &d->st.channels[i], &d->irqs[i], d->pci.as_dma, errp);
    if (!d->buses[i]) {
        return false;
    }
    memory_region_init_io(&d->command[i], m->map, OBJECT(d), &command_ops, d->buses[i], "ide", 8);
    memory_region_init_io(&d->control[i], m->map, OBJECT(d), &control_ops, d->buses[i], "ide", 1);
    memory_region_add(m->io, ports[i].command, &d->command[i], 0);
    memory_region_add(m->io, ports[i].control, &d->control[i], 0);
    return true;
}

static bool piix3_ide_realize(PciDevice *pci, Error **errp)
{
    Piix3Ide *d = (Piix3Ide *)pci;

    device_init_irq_out(&pci->dev, "isa-irq", d->irqs, 2);
    if (!init_channel(d, 0, errp) || !init_channel(d, 1, errp)) {
        finish_regions(d);
        return false;
    }
    memory_region_init_io(&d->bm, pci->dev.machine->map, OBJECT(d), &bm_ops, d, "piix-bmdma", 16);
    pci_register_bar(pci, 4, PCI_BASE_ADDRESS_SPACE_IO, &d->bm);
    st16_le(pci->st.config + PCI_STATUS, 0x0280); /* 2.3.4: medium DEVSEL#, fast back-to-back */
    st32_le(pci->wmask + R_IDETIM, UINT32_MAX);
    return true;
}

static void piix3_ide_unrealize(PciDevice *pci)
{
    finish_regions((Piix3Ide *)pci);
}

static void update_irqs(Piix3Ide *d)
{
    for (int i = 0; i < 2; i++) {
        ide_update_irq(d->buses[i]);
    }
}

/*
 * IDETIM stays over resets: its bits 15 and 31 say which channels are there, the firmware sets them when it starts and not
 * when it resumes from S3, and drivers believe them.
 */
static void keep_timing(PciDevice *pci)
{
    memcpy(pci->initial + R_IDETIM, pci->st.config + R_IDETIM, 4);
}

static void piix3_ide_config_write(PciDevice *pci, uint32_t offset, uint32_t value, unsigned size)
{
    pci_config_write_default(pci, offset, value, size);
    keep_timing(pci);
}

static void piix3_ide_reset(Object *o, ObjectResetKind kind)
{
    update_irqs((Piix3Ide *)o);
}

static void piix3_ide_rebuild(Object *o)
{
    keep_timing(PCI_DEVICE(o));
    update_irqs((Piix3Ide *)o);
}

static const PciDeviceOps piix3_ide_pci = {
    .info = {.vendor = 0x8086, .device = 0x7010, .class_code = 0x010180, .not_hotpluggable = true},
    .realize = piix3_ide_realize,
    .unrealize = piix3_ide_unrealize,
    .config_write = piix3_ide_config_write,
};

const ObjectOps piix3_ide_ops = {
    .size = sizeof(Piix3Ide),
    .conf_offset = offsetof(Piix3Ide, conf),
    .state_offset = offsetof(Piix3Ide, st),
    .reset = piix3_ide_reset,
    .rebuild = piix3_ide_rebuild,
    .iface = &piix3_ide_pci,
};
