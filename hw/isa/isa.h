/*
 * The ISA bus: ports, the 16 interrupt lines, and the DMA channels a board wires to it. A device derived from
 * 'isa-device' maps its regions with isa_map_io and takes its line with isa_irq.
 */
#ifndef HW_ISA_ISA_H
#define HW_ISA_ISA_H

#include "hw/core/device.h"

typedef struct IsaBus {
    Bus bus;
    MemoryRegion *mem, *io;
    Irq *irqs[16];         /* inputs of the interrupt controllers; set by the board */
    Object *dma[2];        /* i8257 controllers, or NULL */
} IsaBus;

typedef struct IsaDevice {
    Device dev;
} IsaDevice;
#define ISA_BUS(p) ((IsaBus *)(p))
#define ISA_DEVICE(p) ((IsaDevice *)(p))

IsaBus *isa_bus_new(Machine *, Device *parent /* bridge, or NULL */, MemoryRegion *mem, MemoryRegion *io, Error **errp);
/* The bus that the (isa) device is plugged into. */
IsaBus *isa_bus_of(IsaDevice *);
/*
 * Maps mr in the port space (memory_region_del or _finish undoes it). Error names the other ISA device when ports are
 * taken; what other buses and boards have there does not count.
 */
bool isa_map_io(IsaDevice *, MemoryRegion *, uint16_t port, Error **errp);
bool isa_irq(IsaDevice *, unsigned n, Irq **irq, Error **errp);  /* n 0..15; error otherwise. *irq may be NULL: not wired */

#endif
