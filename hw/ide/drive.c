/* What disks and CD-ROM drives share: requests, blocks, completion, reset; the classes. */
#include <glib.h>
#include <string.h>

#include "hw/ide/internal.h"

const IdeDeviceConf *ide_conf(IdeDrive *d)
{
    return object_conf(OBJECT(d));
}

/* ---- Requests ---- */

static void request_done(void *opaque, int result)
{
    IdeDrive *d = opaque;

    d->busy = false;
    if (d->cancelled) {
        d->cancelled = false;
    } else {
        d->then(d, result);
    }
}

void ide_submit(IdeDrive *d, BlockOp op, unsigned sectors, void (*then)(IdeDrive *, int result))
{
    unsigned size = d->is_cd ? CD_SECTOR : SECTOR;

    assert(!d->busy && sectors * size <= BUFFER);
    d->iov = (struct iovec){d->st.data.data, sectors * size};
    d->req = (BlockRequest){
        .op = op,
        .offset = d->st.sector * size,
        .iov = &d->iov,
        .num_iov = op == BLOCK_FLUSH ? 0 : 1,
        .done = request_done,
        .opaque = d,
    };
    d->then = then;
    d->busy = true;
    d->st.status = ST_BSY;
    blockdev_submit(d->blk, &d->req);
}

void ide_cancel(IdeDrive *d)
{
    if (d->busy) {
        d->cancelled = true;
        blockdev_drain(d->blk);
    }
}

/* ---- Ends of commands ---- */

void ide_done(IdeDrive *d)
{
    d->st.phase = IDE_PHASE_IDLE;
    d->st.status = ST_IDLE;
    d->st.error = 0;
    ide_raise_irq(d->bus);
}

void ide_fail(IdeDrive *d, uint8_t error)
{
    d->st.phase = IDE_PHASE_IDLE;
    d->st.status = ST_IDLE | ST_ERR;
    d->st.error = error;
    ide_raise_irq(d->bus);
}

void ide_begin_block(IdeDrive *d, IdePhase phase, bool irq)
{
    d->st.phase = phase;
    d->st.status = ST_IDLE | ST_DRQ;
    if (irq) {
        ide_raise_irq(d->bus);
    }
}

/* ---- Bus master ---- */

void ide_dma_go(IdeDrive *d)
{
    bool in = d->st.phase == IDE_PHASE_DMA_IN, failed;
    uint32_t n;

    if (d->busy || (!in && d->st.phase != IDE_PHASE_DMA_OUT) || !ide_bm_started(d->bus)) {
        return;
    }
    n = ide_bm_copy(d->bus, d->st.data.data + d->st.position, d->st.data.len - d->st.position, in, &failed);
    d->st.position += n;
    if (failed) {
        ide_fail(d, ER_ABRT);
    } else if (d->st.position == d->st.data.len) {
        d->is_cd ? atapi_dma_moved(d) : ata_dma_moved(d);
    }
}

/* ---- Reset ---- */

void ide_signature(IdeDrive *d)
{
    d->st.nsector = 1;
    d->st.lba_low = 1;
    d->st.lba_mid = d->is_cd ? 0x14 : 0;
    d->st.lba_high = d->is_cd ? 0xeb : 0;
    d->st.device = d->unit ? 0xb0 : 0xa0;
}

/* ATA/ATAPI-6 9.3, 9.10: a packet drive is not ready until its first command. */
void ide_software_reset(IdeDrive *d)
{
    ide_cancel(d);
    d->st.phase = IDE_PHASE_IDLE;
    d->st.status = d->is_cd ? 0 : ST_IDLE;
    d->st.error = 1; /* no fault found */
    d->st.multiple = MULTIPLE_MAX; /* so that READ MULTIPLE works without SET MULTIPLE MODE: as QEMU's */
    ide_signature(d);
}

static void ide_device_reset(Object *o, ObjectResetKind kind)
{
    IdeDrive *d = IDE_DRIVE(o);

    ide_software_reset(d);
    d->st.heads = d->heads;
    d->st.sectors = d->secs;
}

static bool ide_device_check(Object *o, Error **errp)
{
    const IdeDrive *d = IDE_DRIVE(o);
    const IdeDeviceState *st = &d->st;

    if (st->phase == IDE_PHASE_IDLE) {
        return true;
    }
    if (st->position > st->data.len || st->block_end > st->data.len || st->sector > d->num_sectors ||
        st->remaining > d->num_sectors - st->sector) {
        return error_set(errp, "%s: the transfer in the saved state does not fit this drive", o->klass->item.name);
    }
    return true;
}

/* ---- Life ---- */

static bool check_lengths(const IdeDeviceConf *c, Error **errp)
{
    const struct {
        const char *name, *value;
        size_t max;
    } texts[] = {{"serial", c->serial, 20}, {"model", c->model, 40}, {"ver", c->ver, 8}};

    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (texts[i].value && strlen(texts[i].value) > texts[i].max) {
            return error_set(errp, "%s=%s is longer than %zu characters", texts[i].name, texts[i].value, texts[i].max);
        }
    }
    return true;
}

static bool attach(IdeDrive *d, Error **errp)
{
    BlockDev *blk = ide_conf(d)->drive;

    if (!blk) {
        return d->is_cd || error_set(errp, "No drive specified");
    }
    if (!d->is_cd && blockdev_is_read_only(blk)) {
        return error_set(errp, "Block node is read-only");
    }
    if (!blockdev_attach(blk, &d->dev.machine->lock, errp)) {
        return false;
    }
    d->blk = blk;
    d->num_sectors = blockdev_size(blk) / (d->is_cd ? CD_SECTOR : SECTOR);
    return true;
}

static bool ide_device_realize(Object *o, Error **errp)
{
    IdeDrive *d = IDE_DRIVE(o);

    d->is_cd = object_is_a(o, "ide-cd");
    d->heads = 16;
    d->secs = 63;
    return check_lengths(ide_conf(d), errp) && attach(d, errp);
}

static void ide_device_unrealize(Object *o)
{
    IdeDrive *d = IDE_DRIVE(o);

    if (d->blk) {
        ide_cancel(d);
        blockdev_detach(d->blk);
        d->blk = NULL;
    }
}

const ObjectOps ide_device_ops = {
    .size = sizeof(IdeDrive),
    .state_offset = offsetof(IdeDrive, st),
    .realize = ide_device_realize,
    .unrealize = ide_device_unrealize,
    .reset = ide_device_reset,
    .check = ide_device_check,
};

/* ---- ide-hd ---- */

typedef struct {
    IdeDrive drive;
    IdeHdConf conf;
} IdeHd;

/* What firmware expects of a disk of this size: 16 heads and 63 sectors, 16383 cylinders at most. */
static bool set_geometry(IdeHd *h, Error **errp)
{
    IdeDrive *d = &h->drive;
    bool any = h->conf.cyls || h->conf.heads || h->conf.secs;

    if (any && !(h->conf.cyls && h->conf.heads && h->conf.secs)) {
        return error_set(errp, "cyls, heads and secs must be given together");
    }
    d->heads = any ? h->conf.heads : 16;
    d->secs = any ? h->conf.secs : 63;
    d->cyls = any ? h->conf.cyls : CLAMP(d->num_sectors / (16 * 63), 2, 16383);
    return true;
}

static bool ide_hd_realize(Object *o, Error **errp)
{
    IdeHd *h = (IdeHd *)o;

    h->drive.rotation_rate = h->conf.rotation_rate;
    return set_geometry(h, errp);
}

const ObjectOps ide_hd_ops = {
    .size = sizeof(IdeHd),
    .conf_offset = offsetof(IdeHd, conf),
    .realize = ide_hd_realize,
};

/* ---- ide-cd ---- */

typedef struct {
    IdeDrive drive;
    IdeDeviceConf conf;
} IdeCd;

const ObjectOps ide_cd_ops = {
    .size = sizeof(IdeCd),
    .conf_offset = offsetof(IdeCd, conf),
};

/* ---- For boards ---- */

Device *ide_add_drive(Machine *m, unsigned bus, unsigned unit, BlockDev *blk, bool cdrom, const char *serial, Error **errp)
{
    g_autofree char *bus_name = g_strdup_printf("ide.%u", bus);
    g_autofree char *unit_text = g_strdup_printf("%u", unit);
    Bus *b = bus_find(m, bus_name, "IDE", errp);

    if (!b) {
        return NULL;
    }
    return device_new(m, cdrom ? "ide-cd" : "ide-hd", b, NULL, NULL, errp, "unit", unit_text, "drive",
                      blk ? blockdev_id(blk) : NULL, "serial", serial, NULL);
}

bool ide_get_geometry(Machine *m, unsigned bus, unsigned unit, unsigned *cyls, unsigned *heads, unsigned *secs)
{
    g_autofree char *bus_name = g_strdup_printf("ide.%u", bus);
    Bus *b = bus_find(m, bus_name, NULL, NULL);
    const IdeDrive *d = b && unit < 2 ? IDE_BUS(b)->drives[unit] : NULL;

    if (!d || d->is_cd) {
        return false;
    }
    *cyls = d->cyls;
    *heads = d->heads;
    *secs = d->secs;
    return true;
}
