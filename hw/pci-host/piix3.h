/*
 * What a board gets from its PIIX3, and what it connects: outputs "isa-irqs" 0 to 15, the interrupts to which PCI's are routed.
 */
#ifndef HW_PCI_HOST_PIIX3_H
#define HW_PCI_HOST_PIIX3_H

#include "hw/isa/isa.h"

/* "isa.0"; the board sets its irqs before devices are plugged. */
IsaBus *piix3_isa_bus(Device *piix3);
/* The reset control register, a byte for port 0xcf9: not mapped, for the host bridge's address register is there too. */
MemoryRegion *piix3_reset_port(Device *piix3);

#endif
