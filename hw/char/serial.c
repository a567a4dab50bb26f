/* isa-serial: a 16550A (hw/char/uart.c) at the ports of COM1 to COM4. */
#include "hw/char/uart.h"
#include "hw/core/machine.h"
#include "hw/isa/isa.h"

typedef struct {
    IsaDevice parent;
    IsaSerialConf conf;
    IsaSerialState st;
    MemoryRegion mr;
    Uart uart;
    unsigned index;      /* which COM port; COM_NONE: none of them */
} IsaSerial;

enum { COM_PORTS = 4, COM_NONE = COM_PORTS };

static const uint16_t com_iobase[COM_PORTS] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};

static uint64_t serial_read(void *dev, uint64_t offset, unsigned size)
{
    return uart_read(&((IsaSerial *)dev)->uart, offset);
}

static void serial_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    uart_write(&((IsaSerial *)dev)->uart, offset, value);
}

static const MemoryOps serial_mem_ops = {
    .read = serial_read,
    .write = serial_write,
    .impl_min = 1,
    .impl_max = 1,
};

/* Whether another serial port of the bus is COM `index`. */
static bool index_taken(const IsaSerial *s, unsigned index)
{
    for (Device *d = DEVICE(s)->bus->devices; d; d = d->bus_next) {
        if (d != DEVICE(s) && object_is_a(OBJECT(d), "isa-serial") && object_life(OBJECT(d)) == OBJECT_REALIZED &&
            ((IsaSerial *)d)->index == index) {
            return true;
        }
    }
    return false;
}

static bool choose_index(IsaSerial *s, Error **errp)
{
    s->index = COM_NONE;
    if (s->conf.has_index) {
        s->index = s->conf.index;
    } else if (!s->conf.has_iobase || !s->conf.has_irq) {
        unsigned i = 0;

        while (i < COM_PORTS && index_taken(s, i)) {
            i++;
        }
        if (i == COM_PORTS) {
            return error_set(errp, "isa-serial: COM1 to COM4 are taken; give iobase and irq");
        }
        s->index = i;
    }
    return true;
}

/* What was chosen is what users see, and what firmware tables are made from. */
static void settle(IsaSerial *s)
{
    if (!s->conf.has_iobase) {
        s->conf.iobase = com_iobase[s->index];
        s->conf.has_iobase = true;
    }
    if (!s->conf.has_irq) {
        s->conf.irq = s->index % 2 == 0 ? 4 : 3;
        s->conf.has_irq = true;
    }
    if (s->index != COM_NONE) {
        s->conf.index = s->index;
        s->conf.has_index = true;
    }
}

static void serial_unrealize(Object *o)
{
    IsaSerial *s = (IsaSerial *)o;

    uart_detach(&s->uart);
    memory_region_finish(&s->mr);
}

static bool serial_realize(Object *o, Error **errp)
{
    IsaSerial *s = (IsaSerial *)o;
    Machine *m = DEVICE(o)->machine;

    if (!choose_index(s, errp)) {
        return false;
    }
    settle(s);
    if (!isa_irq(&s->parent, s->conf.irq, &s->uart.irq, errp)) {
        return false;
    }
    s->uart.st = &s->st;
    s->uart.clock = &m->clocks.clocks[CLOCK_VIRTUAL_NS];
    s->uart.domain = &m->lock;
    s->uart.loop = m->loop;
    s->uart.chr = s->conf.chardev;
    s->uart.baudbase = s->conf.baudbase;
    if (!uart_attach(&s->uart, errp)) {
        return error_prepend(errp, "isa-serial: ");
    }
    memory_region_init_io(&s->mr, m->map, o, &serial_mem_ops, s, "serial", 8);
    if (!isa_map_io(&s->parent, &s->mr, s->conf.iobase, errp)) {
        serial_unrealize(o);
        return false;
    }
    return true;
}

static void serial_reset(Object *o, ObjectResetKind kind)
{
    uart_reset(&((IsaSerial *)o)->uart);
}

static bool serial_check(Object *o, Error **errp)
{
    return uart_check(&((IsaSerial *)o)->uart, errp);
}

static void serial_rebuild(Object *o)
{
    uart_rebuild(&((IsaSerial *)o)->uart);
}

const ObjectOps isa_serial_ops = {
    .size = sizeof(IsaSerial),
    .conf_offset = offsetof(IsaSerial, conf),
    .state_offset = offsetof(IsaSerial, st),
    .realize = serial_realize,
    .unrealize = serial_unrealize,
    .reset = serial_reset,
    .check = serial_check,
    .rebuild = serial_rebuild,
};
