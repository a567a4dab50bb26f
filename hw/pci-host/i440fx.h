/* What a board gets from its i440FX-pcihost. All valid from its realize to its end. */
#ifndef HW_PCI_HOST_I440FX_H
#define HW_PCI_HOST_I440FX_H

#include "hw/pci/pci.h"

/* The root bus, "pci.0". */
PciBus *i440fx_bus(Device *host);
/* PCI's memory space: what is not RAM ends there, also option ROMs and firmware below 1 MiB. */
MemoryRegion *i440fx_pci_memory(Device *host);
/* Memory as a processor in system management mode sees it. */
AddressSpace *i440fx_smm_space(Device *host);
uint64_t i440fx_hole64_size(Device *host);

#endif
