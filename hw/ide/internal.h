/* Shared by the files of hw/ide/ only. */
#ifndef HW_IDE_INTERNAL_H
#define HW_IDE_INTERNAL_H

#include "hw/core/machine.h"
#include "hw/ide/ide.h"
#include "util/bits.h"

enum {                    /* status register, ATA8-ACS 6.2 */
    ST_ERR = 0x01, ST_DRQ = 0x08, ST_DSC = 0x10, ST_DRDY = 0x40, ST_BSY = 0x80,
    ST_IDLE = ST_DRDY | ST_DSC,
};
enum { ER_ABRT = 0x04, ER_IDNF = 0x10, ER_UNC = 0x40 }; /* error register */
enum { DEV_LBA = 0x40, DEV_SELECT = 0x10 };             /* device register */
enum { CTL_NIEN = 0x02, CTL_SRST = 0x04, CTL_HOB = 0x80 };
enum { HOB_FEATURE, HOB_NSECTOR, HOB_LOW, HOB_MID, HOB_HIGH };
enum { SECTOR = 512, CD_SECTOR = 2048, BUFFER = 131072, MULTIPLE_MAX = 16 };

struct IdeDrive {
    Device dev;
    IdeDeviceState st;
    IdeBus *bus;
    unsigned unit;
    bool is_cd;
    BlockDev *blk;          /* NULL: no medium */
    uint64_t num_sectors;   /* of 512 bytes, of a CD 2048 */
    unsigned cyls, heads, secs; /* default translation */
    uint16_t rotation_rate;
    /* The one request in flight. */
    BlockRequest req;
    struct iovec iov;
    bool busy, cancelled;
    void (*then)(IdeDrive *, int result);
};
#define IDE_DRIVE(p) ((IdeDrive *)(p))

const IdeDeviceConf *ide_conf(IdeDrive *);

/* ---- bus.c ---- */
void ide_raise_irq(IdeBus *);

/* ---- drive.c: what disks and CD-ROM drives share ---- */
/* op on `sectors` sectors at st.sector and the first bytes of st.data; then(d, 0 or -errno) later, in status BSY until. */
void ide_submit(IdeDrive *, BlockOp op, unsigned sectors, void (*then)(IdeDrive *, int result));
/* Ends a request in flight without its `then`. */
void ide_cancel(IdeDrive *);
void ide_done(IdeDrive *);                   /* command complete: idle, interrupt */
void ide_fail(IdeDrive *, uint8_t error);
void ide_signature(IdeDrive *);              /* ATA8-ACS 4.2: registers after reset */
void ide_software_reset(IdeDrive *);
/* The guest may move st.data from position on; with an interrupt. */
void ide_begin_block(IdeDrive *, IdePhase phase, bool irq);
/* The bus master may move: go on if it has been started. */
void ide_dma_go(IdeDrive *);

/* ---- command.c, atapi.c ---- */
void ide_command(IdeDrive *, uint8_t command);
void ata_block_moved(IdeDrive *);            /* position has come to the end of data */
void ata_dma_moved(IdeDrive *);
void atapi_packet(IdeDrive *);               /* st.packet is complete */
void atapi_block_moved(IdeDrive *);
void atapi_dma_moved(IdeDrive *);
void atapi_start_packet(IdeDrive *);

/* ---- identify.c ---- */
void ide_identify(IdeDrive *, uint8_t *out); /* 512 bytes */

/* ---- bmdma.c ---- */
bool ide_bm_started(const IdeBus *);
/*
 * Moves len bytes between buf and the regions of the table. Fewer: the table has ended (not active any more), or an
 * address was refused (*failed).
 */
uint32_t ide_bm_copy(IdeBus *, uint8_t *buf, uint32_t len, bool to_memory, bool *failed);

#endif
