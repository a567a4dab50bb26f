/*
 * The HPET, class `hpet`, as boards wire it.
 *
 * Outputs "sysbus-irq" 0..31: interrupt lines of the machine by their ISA or GSI number. Inputs NULL 0 and 1: what would be
 * IRQ 0 (interval timer) and IRQ 8 (real-time clock); it passes them on to outputs 0 and 8, or takes their place when the
 * guest has switched legacy replacement on. Output NULL 0: high while it does so.
 */
#ifndef HW_TIMER_HPET_H
#define HW_TIMER_HPET_H

#include "hw/core/device.h"

enum { HPET_BASE_DEFAULT = 0xfed00000 };

/* Its registers, which the board maps. */
MemoryRegion *hpet_mmio(Device *hpet);

#endif
