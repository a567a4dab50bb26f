/* ATA commands: ATA8-ACS (T13/1699D), chapter 7, by section; CHS and INITIALIZE DEVICE PARAMETERS: ATA/ATAPI-5. */
#include <string.h>

#include "hw/ide/internal.h"

enum { DMA_SECTORS = BUFFER / SECTOR };

/* ---- Which sectors ---- */

typedef struct {
    void (*run)(IdeDrive *);
    bool cd;       /* packet drives know it too */
    bool ext;      /* 48-bit address and count */
    bool multiple; /* blocks of st.multiple sectors */
    bool fua;
} Command;

static const Command commands[256];

static const Command *current(const IdeDrive *d)
{
    return &commands[d->st.command];
}

static uint64_t lba_of(const IdeDrive *d)
{
    const IdeDeviceState *st = &d->st;
    uint32_t low = st->lba_low | st->lba_mid << 8 | st->lba_high << 16;
    unsigned cyl = st->lba_mid | st->lba_high << 8;

    if (current(d)->ext) {
        return low | (uint64_t)st->hob[HOB_LOW] << 24 | (uint64_t)st->hob[HOB_MID] << 32 |
               (uint64_t)st->hob[HOB_HIGH] << 40;
    }
    if (st->device & DEV_LBA) {
        return low | (uint32_t)(st->device & 15) << 24;
    }
    if (!st->lba_low) {
        return UINT64_MAX; /* sectors count from 1 */
    }
    return ((uint64_t)cyl * st->heads + (st->device & 15)) * st->sectors + st->lba_low - 1;
}

static void set_lba(IdeDrive *d, uint64_t lba)
{
    IdeDeviceState *st = &d->st;

    st->lba_low = lba;
    st->lba_mid = lba >> 8;
    st->lba_high = lba >> 16;
    if (current(d)->ext) {
        st->hob[HOB_LOW] = lba >> 24;
        st->hob[HOB_MID] = lba >> 32;
        st->hob[HOB_HIGH] = lba >> 40;
    } else if (st->device & DEV_LBA) {
        st->device = (st->device & 0xf0) | (lba >> 24 & 15);
    }
}

/* Address and count into st.sector and st.remaining; false: they are not on the disk, and the command has failed. */
static bool take_range(IdeDrive *d)
{
    IdeDeviceState *st = &d->st;
    uint64_t lba = lba_of(d);
    uint32_t n = st->nsector;

    if (current(d)->ext) {
        n |= (uint32_t)st->hob[HOB_NSECTOR] << 8;
        n = n ? n : 65536;
    }
    n = n ? n : 256;
    if (lba >= d->num_sectors || n > d->num_sectors - lba) {
        ide_fail(d, ER_IDNF);
        return false;
    }
    st->sector = lba;
    st->remaining = n;
    return true;
}

static void media_error(IdeDrive *d, uint8_t error)
{
    if (d->st.device & DEV_LBA || current(d)->ext) {
        set_lba(d, d->st.sector);
    }
    ide_fail(d, error);
}

static unsigned submitted(const IdeDrive *d)
{
    return d->iov.iov_len / SECTOR;
}

static void moved_on(IdeDrive *d, unsigned n)
{
    d->st.sector += n;
    d->st.remaining -= n;
}

static unsigned block_sectors(const IdeDrive *d)
{
    unsigned most = current(d)->multiple ? d->st.multiple : 1;

    return d->st.remaining < most ? d->st.remaining : most;
}

static void set_block(IdeDrive *d, unsigned sectors)
{
    d->st.data.len = sectors * SECTOR;
    d->st.block_end = sectors * SECTOR;
    d->st.position = 0;
}

/* ---- Reading and writing through the data register ---- */

static void pio_read_done(IdeDrive *d, int result)
{
    if (result) {
        media_error(d, ER_UNC);
        return;
    }
    set_block(d, submitted(d));
    moved_on(d, submitted(d));
    ide_begin_block(d, IDE_PHASE_PIO_IN, true);
}

static void cmd_read(IdeDrive *d)
{
    if (current(d)->multiple && !d->st.multiple) {
        ide_fail(d, ER_ABRT);
    } else if (take_range(d)) {
        d->st.phase = IDE_PHASE_PIO_IN;
        set_block(d, 0);
        ide_submit(d, BLOCK_READ, block_sectors(d), pio_read_done);
    }
}

static void flushed(IdeDrive *d, int result)
{
    if (result) {
        ide_fail(d, ER_ABRT);
    } else {
        ide_done(d);
    }
}

/* All sectors are written: on the medium too, where that was asked for (7.4: write cache; FUA). */
static void write_complete(IdeDrive *d)
{
    if (d->st.write_cache && !current(d)->fua) {
        ide_done(d);
    } else {
        ide_submit(d, BLOCK_FLUSH, 0, flushed);
    }
}

static void pio_write_done(IdeDrive *d, int result)
{
    if (result) {
        media_error(d, ER_UNC);
        return;
    }
    moved_on(d, submitted(d));
    if (d->st.remaining) {
        set_block(d, block_sectors(d));
        ide_begin_block(d, IDE_PHASE_PIO_OUT, true);
    } else {
        write_complete(d);
    }
}

static void cmd_write(IdeDrive *d)
{
    if (current(d)->multiple && !d->st.multiple) {
        ide_fail(d, ER_ABRT);
    } else if (take_range(d)) {
        set_block(d, block_sectors(d));
        ide_begin_block(d, IDE_PHASE_PIO_OUT, false); /* no interrupt before the first block */
    }
}

void ata_block_moved(IdeDrive *d)
{
    if (d->st.phase == IDE_PHASE_PIO_OUT) {
        ide_submit(d, BLOCK_WRITE, d->st.data.len / SECTOR, pio_write_done);
    } else if (d->st.remaining) {
        ide_submit(d, BLOCK_READ, block_sectors(d), pio_read_done);
    } else {
        d->st.phase = IDE_PHASE_IDLE; /* the host has it all: no interrupt */
        d->st.status = ST_IDLE;
    }
}

/* ---- Reading and writing by the bus master ---- */

static unsigned dma_sectors(const IdeDrive *d)
{
    return d->st.remaining < DMA_SECTORS ? d->st.remaining : DMA_SECTORS;
}

static void dma_read_done(IdeDrive *d, int result)
{
    if (result) {
        media_error(d, ER_UNC);
        return;
    }
    set_block(d, submitted(d));
    moved_on(d, submitted(d));
    ide_dma_go(d);
}

static void cmd_read_dma(IdeDrive *d)
{
    if (take_range(d)) {
        d->st.phase = IDE_PHASE_DMA_IN;
        set_block(d, 0);
        ide_submit(d, BLOCK_READ, dma_sectors(d), dma_read_done);
    }
}

static void next_write_chunk(IdeDrive *d)
{
    d->st.phase = IDE_PHASE_DMA_OUT;
    d->st.status = ST_BSY;
    set_block(d, dma_sectors(d));
    ide_dma_go(d);
}

static void dma_write_done(IdeDrive *d, int result)
{
    if (result) {
        media_error(d, ER_UNC);
        return;
    }
    moved_on(d, submitted(d));
    if (d->st.remaining) {
        next_write_chunk(d);
    } else {
        write_complete(d);
    }
}

static void cmd_write_dma(IdeDrive *d)
{
    if (take_range(d)) {
        next_write_chunk(d);
    }
}

void ata_dma_moved(IdeDrive *d)
{
    if (d->st.phase == IDE_PHASE_DMA_OUT) {
        ide_submit(d, BLOCK_WRITE, d->st.data.len / SECTOR, dma_write_done);
    } else if (d->st.remaining) {
        ide_submit(d, BLOCK_READ, dma_sectors(d), dma_read_done);
    } else {
        ide_done(d);
    }
}

/* ---- Without data ---- */

static void cmd_verify(IdeDrive *d)
{
    if (take_range(d)) {
        ide_done(d);
    }
}

static void cmd_ok(IdeDrive *d)
{
    ide_done(d);
}

static void cmd_check_power(IdeDrive *d)
{
    d->st.nsector = 0xff; /* active */
    ide_done(d);
}

static void cmd_flush(IdeDrive *d)
{
    if (d->blk) {
        ide_submit(d, BLOCK_FLUSH, 0, flushed);
    } else {
        ide_done(d);
    }
}

static void cmd_set_multiple(IdeDrive *d)
{
    uint8_t n = d->st.nsector;

    if (n > MULTIPLE_MAX || (n && !is_pow2(n))) {
        ide_fail(d, ER_ABRT);
        return;
    }
    d->st.multiple = n;
    ide_done(d);
}

/* ATA/ATAPI-5 8.16 */
static void cmd_init_parameters(IdeDrive *d)
{
    if (!d->st.nsector) {
        ide_fail(d, ER_ABRT);
        return;
    }
    d->st.sectors = d->st.nsector;
    d->st.heads = (d->st.device & 15) + 1;
    ide_done(d);
}

static void cmd_native_max(IdeDrive *d)
{
    uint64_t last = d->num_sectors ? d->num_sectors - 1 : 0;

    set_lba(d, current(d)->ext || last <= 0x0fffffff ? last : 0x0fffffff);
    ide_done(d);
}

/* 7.45.7: 8 + PIO mode, 0x20 + multi-word, 0x40 + ultra; 0 and 1 are PIO defaults. */
static bool set_transfer_mode(IdeDrive *d, uint8_t mode)
{
    unsigned kind = mode >> 3, n = mode & 7;
    bool ok = mode <= 1 || (kind == 1 && n <= 4) || (kind == 4 && n <= 2) || (kind == 8 && n <= 5);

    if (ok) {
        d->st.transfer_mode = mode;
    }
    return ok;
}

static void cmd_set_features(IdeDrive *d)
{
    bool ok = true;

    switch (d->st.feature) {
    case 0x02:
        d->st.write_cache = true;
        break;
    case 0x82: /* what is in the cache is written first */
        d->st.write_cache = false;
        cmd_flush(d);
        return;
    case 0x03:
        ok = set_transfer_mode(d, d->st.nsector);
        break;
    case 0x55: /* read look-ahead off, on; reverting to power-on defaults: nothing depends on them */
    case 0xaa:
    case 0x66:
    case 0xcc:
        break;
    default:
        ok = false;
    }
    ok ? ide_done(d) : ide_fail(d, ER_ABRT);
}

/* ---- IDENTIFY, packets ---- */

static void reply_identify(IdeDrive *d)
{
    ide_identify(d, d->st.data.data);
    d->st.remaining = 0;
    set_block(d, 1);
    d->st.block_end = d->st.data.len = SECTOR;
    ide_begin_block(d, IDE_PHASE_PIO_IN, true);
}

/* 7.12.5.2: a packet drive shows by its signature what it is, and aborts. */
static void cmd_identify(IdeDrive *d)
{
    if (d->is_cd) {
        ide_signature(d);
        ide_fail(d, ER_ABRT);
    } else {
        reply_identify(d);
    }
}

static void cmd_identify_packet(IdeDrive *d)
{
    d->is_cd ? reply_identify(d) : ide_fail(d, ER_ABRT);
}

static void cmd_packet(IdeDrive *d)
{
    d->is_cd ? atapi_start_packet(d) : ide_fail(d, ER_ABRT);
}

/* 7.8: no interrupt. */
static void cmd_device_reset(IdeDrive *d)
{
    d->is_cd ? ide_software_reset(d) : ide_fail(d, ER_ABRT);
}

static const Command commands[256] = {
    [0x08] = {cmd_device_reset, .cd = true},
    [0x10] = {cmd_ok}, /* RECALIBRATE */
    [0x20] = {cmd_read}, [0x21] = {cmd_read},
    [0x24] = {cmd_read, .ext = true},
    [0x25] = {cmd_read_dma, .ext = true},
    [0x27] = {cmd_native_max, .ext = true},
    [0x29] = {cmd_read, .ext = true, .multiple = true},
    [0x30] = {cmd_write}, [0x31] = {cmd_write},
    [0x34] = {cmd_write, .ext = true},
    [0x35] = {cmd_write_dma, .ext = true},
    [0x39] = {cmd_write, .ext = true, .multiple = true},
    [0x3d] = {cmd_write_dma, .ext = true, .fua = true},
    [0x40] = {cmd_verify}, [0x41] = {cmd_verify},
    [0x42] = {cmd_verify, .ext = true},
    [0x70] = {cmd_ok}, /* SEEK */
    [0x91] = {cmd_init_parameters},
    [0x94] = {cmd_ok, .cd = true}, [0x95] = {cmd_ok, .cd = true}, [0x96] = {cmd_ok, .cd = true}, [0x97] = {cmd_ok, .cd = true},
    [0x98] = {cmd_check_power, .cd = true}, [0x99] = {cmd_ok, .cd = true},
    [0xa0] = {cmd_packet, .cd = true},
    [0xa1] = {cmd_identify_packet, .cd = true},
    [0xc4] = {cmd_read, .multiple = true},
    [0xc5] = {cmd_write, .multiple = true},
    [0xc6] = {cmd_set_multiple},
    [0xc8] = {cmd_read_dma}, [0xc9] = {cmd_read_dma},
    [0xca] = {cmd_write_dma}, [0xcb] = {cmd_write_dma},
    [0xce] = {cmd_write, .ext = true, .multiple = true, .fua = true},
    /* 7.20, 7.47: power modes; a virtual disk does not spin down */
    [0xe0] = {cmd_ok, .cd = true}, [0xe1] = {cmd_ok, .cd = true}, [0xe2] = {cmd_ok, .cd = true}, [0xe3] = {cmd_ok, .cd = true},
    [0xe5] = {cmd_check_power, .cd = true}, [0xe6] = {cmd_ok, .cd = true},
    [0xe7] = {cmd_flush, .cd = true},
    [0xea] = {cmd_flush, .ext = true},
    [0xec] = {cmd_identify, .cd = true},
    [0xef] = {cmd_set_features, .cd = true},
    [0xf8] = {cmd_native_max},
};

void ide_command(IdeDrive *d, uint8_t code)
{
    const Command *c = &commands[code];

    if (d->st.status & (ST_BSY | ST_DRQ) && !(code == 0x08 && d->is_cd)) {
        return; /* ATA/ATAPI-6 7.4: indeterminate; nothing happens here */
    }
    d->st.command = code;
    d->st.error = 0;
    if (c->run && (!d->is_cd || c->cd)) {
        c->run(d);
        return;
    }
    if (d->is_cd && (code == 0x20 || code == 0x21)) {
        ide_signature(d); /* ATA/ATAPI-6 8.27 */
    }
    ide_fail(d, ER_ABRT);
}
