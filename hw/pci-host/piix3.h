/*
 * What a board gets from its PIIX3, and what it connects: outputs "isa-irqs" 0 to 15, the interrupts to which PCI's are routed.
 */
#ifndef HW_PCI_HOST_PIIX3_H
#define HW_PCI_HOST_PIIX3_H

#include "hw/isa/isa.h"

/* "isa.0"; the board sets its irqs before devices are plugged. */
IsaBus *piix3_isa_bus(Device *piix3);

#endif
