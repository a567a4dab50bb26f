/*
 * What a board gives its i440FX-pcihost and gets from it:
 *
 *     memory_region_init(&b->pci_memory, m->map, NULL, "pci", 0);
 *     memory_region_add(m->memory, 0, &b->pci_memory, -1);
 *     host = device_create(m, "i440FX-pcihost", NULL, OBJECT(m), "i440fx", errp, NULL);
 *     i440fx_set_pci_memory(host, &b->pci_memory);
 *     device_realize(host, errp);
 *
 * m->ram is at least 1 MiB. What is got is valid from realize to the end.
 */
#ifndef HW_PCI_HOST_I440FX_H
#define HW_PCI_HOST_I440FX_H

#include "hw/pci/pci.h"

/*
 * PCI's memory space, under all else: what is not RAM ends there, also option ROMs and firmware below 1 MiB. Before
 * realize; outlives the host.
 */
void i440fx_set_pci_memory(Device *host, MemoryRegion *container);
/* The root bus, "pci.0". */
PciBus *i440fx_bus(Device *host);
/* Memory as a processor in system management mode sees it. */
AddressSpace *i440fx_smm_space(Device *host);
uint64_t i440fx_hole64_size(Device *host);
/* Region of one byte that answers to byte accesses at 0xcf9, in the middle of the address register. Outlives host's use. */
void i440fx_set_reset_port(Device *host, MemoryRegion *port);
/* Which parts of the first MiB are RAM (registers PAM0..PAM6), to take it over a reset. */
enum { I440FX_SHADOW_BYTES = 7 };
void i440fx_get_shadow(Device *host, uint8_t pam[I440FX_SHADOW_BYTES]);
void i440fx_set_shadow(Device *host, const uint8_t pam[I440FX_SHADOW_BYTES]);

#endif
