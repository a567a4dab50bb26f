/*
 * Parallel port of the PC with a printer on it: IEEE 1284-2000, 6 (compatibility mode); registers as in the IBM PC AT
 * technical reference, "Printer adapter", with the direction bit of the PS/2.
 *
 * The printer takes a byte when nStrobe is asserted and acknowledges it when nStrobe is released and the byte is on its
 * way to the chardev. Not modelled: EPP, ECP, the nibble and byte modes; printers that send.
 */
#include "chardev/chardev.h"
#include "hw/char/parallel.gen.h"
#include "hw/core/machine.h"
#include "hw/isa/isa.h"

enum { R_DATA, R_STATUS, R_CONTROL, NUM_PORTS = 8 };

enum {
    STATUS_NOT_BUSY = 0x80, STATUS_NOT_ACK = 0x40, STATUS_SELECT = 0x10, STATUS_NOT_FAULT = 0x08, STATUS_RESERVED = 0x07,
    CONTROL_STROBE = 0x01, CONTROL_NOT_INIT = 0x04, CONTROL_INTERRUPT = 0x10, CONTROL_INPUT = 0x20, CONTROL_RESERVED = 0xc0,
    LPT_PORTS = 3, LPT_NONE = LPT_PORTS,
};

static const uint16_t lpt_iobase[LPT_PORTS] = {0x378, 0x278, 0x3bc};

typedef struct {
    IsaDevice parent;
    IsaParallelConf conf;
    IsaParallelState st;
    MemoryRegion mr;
    Irq *irq;
    unsigned index;
} IsaParallel;

static void parallel_update_irq(IsaParallel *s)
{
    irq_set(s->irq, s->st.interrupt && s->st.control & CONTROL_INTERRUPT ? 1 : 0);
}

/* Gives the byte to the chardev if that takes it, and acknowledges it when the strobe is over. */
static void parallel_print(IsaParallel *s)
{
    if (!s->st.busy || s->st.control & CONTROL_STROBE) {
        return;
    }
    if (s->conf.chardev && chardev_write(s->conf.chardev, s, &s->st.byte, 1) == 0) {
        chardev_watch_writable(s->conf.chardev, s, true);
        return;
    }
    s->st.busy = false;
    s->st.interrupt = true; /* the edge of nAck; stays until the status is read */
    parallel_update_irq(s);
}

static void parallel_writable(void *opaque)
{
    IsaParallel *s = opaque;

    chardev_watch_writable(s->conf.chardev, s, false);
    parallel_print(s);
}

static uint64_t parallel_read(void *dev, uint64_t offset, unsigned size)
{
    IsaParallel *s = dev;

    switch (offset) {
    case R_DATA:
        return s->st.control & CONTROL_INPUT ? 0xff : s->st.data; /* nobody drives the lines */
    case R_STATUS:
        s->st.interrupt = false;
        parallel_update_irq(s);
        return (s->st.busy ? 0 : STATUS_NOT_BUSY) | STATUS_NOT_ACK | STATUS_SELECT | STATUS_NOT_FAULT | STATUS_RESERVED;
    case R_CONTROL:
        return s->st.control | CONTROL_RESERVED;
    default:
        return 0xff; /* EPP's registers */
    }
}

static void parallel_write_control(IsaParallel *s, uint8_t value)
{
    uint8_t before = s->st.control;

    s->st.control = value & ~CONTROL_RESERVED;
    if (!(value & CONTROL_NOT_INIT)) { /* nInit: the printer forgets what it has */
        s->st.busy = false;
        s->st.interrupt = false;
    } else if (value & ~before & CONTROL_STROBE && !s->st.busy) {
        s->st.byte = s->st.data;
        s->st.busy = true;
    }
    parallel_print(s);
    parallel_update_irq(s);
}

static void parallel_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    IsaParallel *s = dev;

    if (offset == R_DATA) {
        s->st.data = value;
    } else if (offset == R_CONTROL) {
        parallel_write_control(s, value);
    }
}

static const MemoryOps parallel_mem_ops = {
    .read = parallel_read,
    .write = parallel_write,
    .impl_min = 1,
    .impl_max = 1,
};

/* Life cycle ---------------------------------------------------------------------- */

static bool index_taken(const IsaParallel *s, unsigned index)
{
    for (Device *d = DEVICE(s)->bus->devices; d; d = d->bus_next) {
        if (d != DEVICE(s) && object_is_a(OBJECT(d), "isa-parallel") && object_life(OBJECT(d)) == OBJECT_REALIZED &&
            ((IsaParallel *)d)->index == index) {
            return true;
        }
    }
    return false;
}

/* What is chosen is what users see, and what firmware tables are made from. */
static bool choose_port(IsaParallel *s, Error **errp)
{
    s->index = LPT_NONE;
    if (s->conf.has_index) {
        s->index = s->conf.index;
    } else if (!s->conf.has_iobase) {
        s->index = 0;
        while (s->index < LPT_PORTS && index_taken(s, s->index)) {
            s->index++;
        }
        if (s->index == LPT_PORTS) {
            return error_set(errp, "isa-parallel: LPT1 to LPT3 are taken; give iobase");
        }
        s->conf.index = s->index;
        s->conf.has_index = true;
    }
    if (!s->conf.has_iobase) {
        s->conf.iobase = lpt_iobase[s->index];
        s->conf.has_iobase = true;
    }
    return true;
}

static const ChardevHandlers parallel_handlers = {
    .writable = parallel_writable,
};

static void parallel_unrealize(Object *o)
{
    IsaParallel *s = (IsaParallel *)o;

    if (s->conf.chardev) {
        chardev_detach(s->conf.chardev, s);
    }
    memory_region_finish(&s->mr);
}

static bool parallel_realize(Object *o, Error **errp)
{
    IsaParallel *s = (IsaParallel *)o;
    Machine *m = DEVICE(o)->machine;

    if (!choose_port(s, errp) || !isa_irq(&s->parent, s->conf.irq, &s->irq, errp)) {
        return false;
    }
    if (s->conf.chardev && !chardev_attach_locked(s->conf.chardev, &parallel_handlers, s, &m->lock, errp)) {
        return error_prepend(errp, "isa-parallel: ");
    }
    memory_region_init_io(&s->mr, m->map, o, &parallel_mem_ops, s, "parallel",
                          s->conf.iobase == lpt_iobase[2] ? 4 : NUM_PORTS); /* at 0x3c0 is the VGA */
    if (!isa_map_io(&s->parent, &s->mr, s->conf.iobase, errp)) {
        parallel_unrealize(o);
        return false;
    }
    return true;
}

static void parallel_reset(Object *o, ObjectResetKind kind)
{
    IsaParallel *s = (IsaParallel *)o;

    if (s->conf.chardev) {
        chardev_watch_writable(s->conf.chardev, s, false);
    }
    irq_lower(s->irq);
}

static void parallel_rebuild(Object *o)
{
    IsaParallel *s = (IsaParallel *)o;

    if (s->conf.chardev && s->st.busy) {
        chardev_watch_writable(s->conf.chardev, s, true);
    }
}

const ObjectOps isa_parallel_ops = {
    .size = sizeof(IsaParallel),
    .conf_offset = offsetof(IsaParallel, conf),
    .state_offset = offsetof(IsaParallel, st),
    .realize = parallel_realize,
    .unrealize = parallel_unrealize,
    .reset = parallel_reset,
    .rebuild = parallel_rebuild,
};
