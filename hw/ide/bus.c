/*
 * A channel: registers of the two drives as the host sees them (ATA/ATAPI-6 chapter 7), selection, interrupt, plugging. Both drives
 * take what is written to the command block; the selected one answers, and drive 0 for a drive 1 that is not there.
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "hw/ide/internal.h"
#include "qapi/buf.h"

/* ---- Interrupt (7.6: INTRQ) ---- */

void ide_update_irq(IdeBus *b)
{
    irq_set(*b->irq, b->st->irq && !(b->st->control & CTL_NIEN));
}

void ide_raise_irq(IdeBus *b)
{
    b->st->irq = true;
    b->st->bm_status |= 0x04; /* SFF-8038i 2.2: set by the rising edge of INTRQ */
    ide_update_irq(b);
}

static void lower_irq(IdeBus *b)
{
    b->st->irq = false;
    ide_update_irq(b);
}

/* ---- Data register ---- */

static bool takes_data(const IdeDrive *d, bool write)
{
    return d && d->st.status & ST_DRQ && d->st.position < d->st.block_end &&
           (write ? d->st.phase == IDE_PHASE_PIO_OUT || d->st.phase == IDE_PHASE_PACKET : d->st.phase == IDE_PHASE_PIO_IN);
}

static void data_moved(IdeDrive *d, unsigned n)
{
    d->st.position += n;
    if (d->st.position < d->st.block_end) {
        return;
    }
    if (d->st.phase == IDE_PHASE_PACKET) {
        memcpy(d->st.packet, d->st.data.data, sizeof(d->st.packet));
        atapi_packet(d);
    } else if (d->is_cd) {
        atapi_block_moved(d);
    } else {
        ata_block_moved(d);
    }
}

static uint32_t data_read(IdeBus *b, unsigned size)
{
    IdeDrive *d = b->drives[b->st->selected];
    uint8_t bytes[4] = {0};
    unsigned n;

    if (!takes_data(d, false)) {
        return 0;
    }
    n = MIN(size, d->st.block_end - d->st.position);
    memcpy(bytes, d->st.data.data + d->st.position, n);
    data_moved(d, n);
    return ld32_le(bytes);
}

static void data_write(IdeBus *b, uint32_t value, unsigned size)
{
    IdeDrive *d = b->drives[b->st->selected];
    uint8_t bytes[4];
    unsigned n;

    if (!takes_data(d, true)) {
        return;
    }
    st32_le(bytes, value);
    n = MIN(size, d->st.block_end - d->st.position);
    memcpy(d->st.data.data + d->st.position, bytes, n);
    data_moved(d, n);
}

/* ---- The other registers ---- */

static uint8_t status_of(const IdeBus *b)
{
    const IdeDrive *d = b->drives[b->st->selected];

    return d ? d->st.status : 0;
}

/* The drive that is there answers for the one that is not (9.16), with what was written and with status and error 0. */
static uint8_t read_absent(const IdeBus *b, unsigned offset)
{
    const IdeDrive *other = b->drives[!b->st->selected];

    if (!other || offset == 1) {
        return 0;
    }
    return offset == 6 ? other->st.device : b->st->absent[offset - 2];
}

/* The signature of nothing: what drivers find after a reset where no drive is. */
static void reset_absent(IdeBus *b)
{
    static const uint8_t signature[4] = {1, 1, 0xff, 0xff};

    memcpy(b->st->absent, signature, sizeof(signature));
}

static uint8_t read_register(IdeBus *b, unsigned offset)
{
    const IdeDrive *d = b->drives[b->st->selected];
    bool hob = b->st->control & CTL_HOB;

    if (!d) {
        return read_absent(b, offset);
    }
    switch (offset) {
    case 1:
        return hob ? d->st.hob[HOB_FEATURE] : d->st.error;
    case 2:
        return hob ? d->st.hob[HOB_NSECTOR] : d->st.nsector;
    case 3:
        return hob ? d->st.hob[HOB_LOW] : d->st.lba_low;
    case 4:
        return hob ? d->st.hob[HOB_MID] : d->st.lba_mid;
    case 5:
        return hob ? d->st.hob[HOB_HIGH] : d->st.lba_high;
    default:
        return d->st.device;
    }
}

static void shift_in(uint8_t *reg, uint8_t *previous, uint8_t value)
{
    *previous = *reg;
    *reg = value;
}

static void write_register(IdeDrive *d, unsigned offset, uint8_t v)
{
    IdeDeviceState *st = &d->st;

    if (st->status & (ST_BSY | ST_DRQ)) {
        return; /* 7.2: not to be written then; without effect */
    }
    switch (offset) {
    case 1:
        shift_in(&st->feature, &st->hob[HOB_FEATURE], v);
        break;
    case 2:
        shift_in(&st->nsector, &st->hob[HOB_NSECTOR], v);
        break;
    case 3:
        shift_in(&st->lba_low, &st->hob[HOB_LOW], v);
        break;
    case 4:
        shift_in(&st->lba_mid, &st->hob[HOB_MID], v);
        break;
    case 5:
        shift_in(&st->lba_high, &st->hob[HOB_HIGH], v);
        break;
    case 6:
        st->device = v | 0xa0;
        break;
    }
}

static void write_command(IdeBus *b, uint8_t command)
{
    lower_irq(b);
    if (command == 0x90) { /* EXECUTE DEVICE DIAGNOSTIC goes to both, drive 0 answers */
        for (int i = 0; i < 2; i++) {
            if (b->drives[i]) {
                ide_software_reset(b->drives[i]);
            }
        }
        reset_absent(b);
        b->st->selected = 0;
        if (b->drives[0]) {
            ide_raise_irq(b);
        }
        return;
    }
    if (b->drives[b->st->selected]) {
        ide_command(b->drives[b->st->selected], command);
    }
}

static void write_byte(IdeBus *b, unsigned offset, uint8_t v)
{
    if (offset == 7) {
        write_command(b, v);
        return;
    }
    b->st->control &= ~CTL_HOB;
    if (offset >= 2 && offset <= 5) {
        b->st->absent[offset - 2] = v;
    }
    for (int i = 0; i < 2; i++) {
        if (b->drives[i]) {
            write_register(b->drives[i], offset, v);
        }
    }
    if (offset == 6) {
        b->st->selected = v & DEV_SELECT ? 1 : 0;
    }
}

uint32_t ide_read(IdeBus *b, unsigned offset, unsigned size)
{
    uint8_t v;

    if (offset == 0) {
        return data_read(b, size);
    }
    if (offset < 7) {
        return read_register(b, offset);
    }
    v = status_of(b);
    lower_irq(b);
    return v;
}

void ide_write(IdeBus *b, unsigned offset, uint32_t value, unsigned size)
{
    if (offset == 0) {
        data_write(b, value, size);
    } else {
        write_byte(b, offset, value);
    }
}

uint8_t ide_read_alt_status(IdeBus *b)
{
    return status_of(b);
}

/* 7.9: while SRST is 1 the drives are held in reset; they are done when it is 0 again. */
void ide_write_control(IdeBus *b, uint8_t v)
{
    bool was = b->st->control & CTL_SRST;

    b->st->control = v & (CTL_NIEN | CTL_SRST | CTL_HOB);
    if (v & CTL_SRST) {
        reset_absent(b);
    }
    for (int i = 0; i < 2; i++) {
        IdeDrive *d = b->drives[i];

        if (!d) {
            continue;
        }
        if (v & CTL_SRST && !was) {
            ide_cancel(d);
            d->st.phase = IDE_PHASE_IDLE;
            d->st.status = ST_BSY;
        } else if (!(v & CTL_SRST) && was) {
            ide_software_reset(d);
            b->st->selected = 0;
        }
    }
    if (v & CTL_SRST) {
        b->st->irq = false;
    }
    ide_update_irq(b);
}

/* ---- The bus ---- */

/* What the user left open is told as it came out. */
static void complete_conf(IdeDrive *d)
{
    IdeDeviceConf *conf = object_conf(OBJECT(d));
    char serial[16];

    conf->has_unit = true;
    conf->unit = d->unit;
    snprintf(serial, sizeof(serial), "QM%05u", 1 + 2 * d->bus->index + d->unit);
    conf->serial = conf->serial ? conf->serial : q_strdup(serial);
    conf->ver = conf->ver ? conf->ver : q_strdup("2.5+");
}

static bool plug(Bus *bus, Device *dev, Error **errp)
{
    IdeBus *b = IDE_BUS(bus);
    IdeDrive *d = IDE_DRIVE(dev);
    const IdeDeviceConf *conf = ide_conf(d);

    d->unit = conf->has_unit ? conf->unit : b->drives[0] ? 1 : 0;
    if (d->unit > 1) {
        return error_set(errp, "Can't create IDE unit %u, bus supports only 2 units", d->unit);
    }
    if (b->drives[d->unit]) {
        return error_set(errp, "IDE unit %u is in use", d->unit);
    }
    d->bus = b;
    b->drives[d->unit] = d;
    complete_conf(d);
    return true;
}

static void unplug(Bus *bus, Device *dev)
{
    IDE_BUS(bus)->drives[IDE_DRIVE(dev)->unit] = NULL;
}

static const BusOps ide_bus_functions = {.plug = plug, .unplug = unplug, .max_devices = 2};

const ObjectOps IDE_ops = {
    .size = sizeof(IdeBus),
    .iface = &ide_bus_functions,
};

IdeBus *ide_bus_new(Device *controller, IdeChannelState *st, Irq **irq, AddressSpace *dma, Error **errp)
{
    Machine *m = controller->machine;
    unsigned index = 0;
    IdeBus *b;

    for (Device *d = m->first_device; d; d = d->next) {
        for (unsigned i = 0; i < d->num_buses; i++) {
            index += object_is_a(OBJECT(d->buses[i]), "IDE");
        }
    }
    b = IDE_BUS(bus_new(m, "IDE", controller, NULL, errp));
    if (b) {
        b->index = index;
        b->st = st;
        b->irq = irq;
        b->dma = dma;
    }
    return b;
}
