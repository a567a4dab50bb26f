/*
 * IDE: channels, disks (ATA8-ACS) and CD-ROM drives (ATA/ATAPI-6 packet interface, MMC-3), and the PIIX3's controller with bus
 * master (SFF-8038i). Not modelled: security, SMART, queued commands, removable disks, audio, writing CDs.
 *
 * A controller makes an IdeBus for each channel, gives it the channel's state and interrupt, and forwards
 * register accesses; drives plug into the bus. Boards make the controller and add the drives of the command line:
 *
 *     Device *ide = device_new(m, "piix3-ide", BUS(pci), NULL, NULL, errp, "addr", "1.1", NULL);
 *     device_connect_irq_out(ide, "isa-irq", 0, isa->irqs[14]);
 *     device_connect_irq_out(ide, "isa-irq", 1, isa->irqs[15]);
 *     ide_add_drive(m, 0, 0, blk, false, NULL, errp);             // -drive if=ide,index=0
 */
#ifndef HW_IDE_IDE_H
#define HW_IDE_IDE_H

#include "block/block.h"
#include "hw/core/device.h"
#include "hw/ide/ide.gen.h"

typedef struct IdeDrive IdeDrive;

typedef struct IdeBus {
    Bus bus;
    IdeDrive *drives[2];
    unsigned index;            /* among all channels of the machine: serial numbers */
    IdeChannelState *st;       /* the controller's */
    Irq **irq;                 /* the controller's pin */
    AddressSpace *dma;         /* where the bus master goes */
} IdeBus;
#define IDE_BUS(p) ((IdeBus *)(p))

/* A channel of the controller, in its realize. */
IdeBus *ide_bus_new(Device *controller, IdeChannelState *, Irq **irq, AddressSpace *dma, Error **errp);
/* Command block: offset 0 to 7; size above 1 for the data register only. Control block: one register. */
uint32_t ide_read(IdeBus *, unsigned offset, unsigned size);
void ide_write(IdeBus *, unsigned offset, uint32_t value, unsigned size);
uint8_t ide_read_alt_status(IdeBus *);
void ide_write_control(IdeBus *, uint8_t value);
/* Bus master registers of the channel: offset 0 to 7, a byte each (SFF-8038i 2). */
uint8_t ide_bm_read(IdeBus *, unsigned offset);
void ide_bm_write(IdeBus *, unsigned offset, uint8_t value);
/* Puts the interrupt line where the state says; after reset and load. */
void ide_update_irq(IdeBus *);

/*
 * The drive of `-drive if=ide,bus=,unit=`: ide-hd or ide-cd on channel `bus` ("ide.N") as unit, in /machine/unattached. blk may be
 * NULL for a CD-ROM drive without medium. serial: NULL: the default.
 */
Device *ide_add_drive(Machine *, unsigned bus, unsigned unit, BlockDev *blk, bool cdrom, const char *serial, Error **errp);
/* The default translation of a disk, for the CMOS and the firmware's tables; false: no disk there. */
bool ide_get_geometry(Machine *, unsigned bus, unsigned unit, unsigned *cyls, unsigned *heads, unsigned *secs);

#endif
