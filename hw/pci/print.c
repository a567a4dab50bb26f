/* "info pci", as QEMU 10.0's monitor prints it; class names of the PCI Code and ID Assignment Specification 1.11. */
#include <glib.h>
#include <inttypes.h>

#include "hw/pci/internal.h"

static const struct {
    uint16_t code;
    const char *name;
} class_names[] = {
    {0x0100, "SCSI controller"}, {0x0101, "IDE controller"}, {0x0102, "Floppy controller"}, {0x0106, "SATA controller"},
    {0x0108, "NVMe controller"}, {0x0200, "Ethernet controller"}, {0x0300, "VGA controller"},
    {0x0380, "Display controller"}, {0x0401, "Audio controller"}, {0x0403, "Audio controller"},
    {0x0500, "RAM controller"}, {0x0600, "Host bridge"}, {0x0601, "ISA bridge"}, {0x0604, "PCI bridge"},
    {0x0680, "Bridge"}, {0x0700, "Serial port"}, {0x0780, "Communication controller"}, {0x0c03, "USB controller"},
    {0x0c05, "SMBus"}, {0x00ff, "RNG device"},
};

const char *pci_class_name(uint16_t code)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(class_names); i++) {
        if (class_names[i].code == code) {
            return class_names[i].name;
        }
    }
    return "Class unknown";
}

typedef struct {
    void (*print)(void *, const char *);
    void *opaque;
} Printer;

static void G_GNUC_PRINTF(2, 3) out(const Printer *p, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    p->print(p->opaque, text);
}

static void print_bar(const Printer *p, const PciBar *b, unsigned n)
{
    out(p, "      BAR%u: ", n);
    if (b->flags & PCI_BASE_ADDRESS_SPACE_IO) {
        out(p, b->addr == PCI_UNMAPPED ? "I/O (not mapped)\n" : "I/O at 0x%04" PRIx64 " [0x%04" PRIx64 "]\n", b->addr,
            b->addr + b->size - 1);
        return;
    }
    out(p, "%s bit%s memory", b->flags & PCI_BASE_ADDRESS_MEM_TYPE_64 ? "64" : "32",
        b->flags & PCI_BASE_ADDRESS_MEM_PREFETCH ? " prefetchable" : "");
    out(p, b->addr == PCI_UNMAPPED ? " (not mapped)\n" : " at 0x%08" PRIx64 " [0x%08" PRIx64 "]\n", b->addr,
        b->addr + b->size - 1);
}

static void print_function(PciBus *bus, PciDevice *d, void *opaque)
{
    const Printer *p = opaque;
    const uint8_t *c = d->st.config;
    const char *name = pci_class_name(ld16_le(c + PCI_CLASS_DEVICE));
    Object *peripheral = object_child(OBJECT(d->dev.machine), "peripheral");

    out(p, "  Bus %2u, device %3u, function %u:\n", bus->number, d->devfn >> 3, d->devfn & 7);
    out(p, "    %s: PCI device %04x:%04x\n", name, ld16_le(c + PCI_VENDOR_ID), ld16_le(c + PCI_DEVICE_ID));
    out(p, "      PCI subsystem %04x:%04x\n", ld16_le(c + PCI_SUBSYSTEM_VENDOR_ID), ld16_le(c + PCI_SUBSYSTEM_ID));
    if (c[PCI_INTERRUPT_PIN]) {
        out(p, "      IRQ %u, pin %c\n", c[PCI_INTERRUPT_LINE], 'A' + c[PCI_INTERRUPT_PIN] - 1);
    }
    for (unsigned n = 0; n < PCI_NUM_BARS; n++) {
        if (d->bars[n].mr) {
            print_bar(p, &d->bars[n], n);
        }
    }
    out(p, "      id \"%s\"\n", d->dev.obj.parent == peripheral ? d->dev.obj.name : "");
}

void pci_print(PciBus *root, void (*print)(void *, const char *), void *opaque)
{
    Printer p = {print, opaque};

    pci_foreach(root, print_function, &p);
}
