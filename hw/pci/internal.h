/* Shared by the files of hw/pci/ only. */
#ifndef HW_PCI_INTERNAL_H
#define HW_PCI_INTERNAL_H

#include "hw/pci/pci.h"
#include "util/bits.h"

const PciDeviceOps *pci_functions(const PciDevice *);
const PciDeviceConf *pci_conf(PciDevice *);

void pci_init_header(PciDevice *);
void pci_update_mappings(PciDevice *);
void pci_unmap_all(PciDevice *);
void pci_update_irq(PciDevice *);
void pci_forget_irq(PciDevice *);
bool pci_add_rom(PciDevice *, Error **errp);
unsigned pci_bar_register(const PciDevice *, unsigned n); /* offset in config space */
/* The address that the guest has programmed and enabled; PCI_UNMAPPED: none. */
uint64_t pci_bar_address(const PciDevice *, unsigned n);

#endif
