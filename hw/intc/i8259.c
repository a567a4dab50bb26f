/*
 * 8259A programmable interrupt controller. Intel data sheet 231468-003, sections by title; the edge/level control
 * register (ELCR) as in the 82371SB (PIIX3) data sheet, 2.5.5.
 *
 * Not modelled: 8080/8085 mode (always as if ICW4.uPM were 1), ICW1.LTIM (the PIIX3 ignores it for the ELCR), buffered
 * mode's pin, the masks of ICW3 (the cascade is wired to input 2).
 */
#include "hw/intc/i8259.h"

#include "hw/core/machine.h"
#include "hw/intc/i8259.gen.h"
#include "hw/intc/intctrl.h"
#include "hw/isa/isa.h"

enum {
    ICW1 = 1 << 4,      /* "Initialization command words": selects ICW1 at port 0 */
    ICW1_IC4 = 1 << 0,
    ICW1_SNGL = 1 << 1,
    ICW4_AEOI = 1 << 1,
    ICW4_SFNM = 1 << 4,
    OCW3 = 1 << 3,      /* "Operation command words": port 0 with bit 4 clear */
    OCW3_RIS = 1 << 0,
    OCW3_RR = 1 << 1,
    OCW3_P = 1 << 2,
    OCW3_SMM = 1 << 5,
    OCW3_ESMM = 1 << 6,
    OCW2_EOI = 1 << 5,
    OCW2_SL = 1 << 6,
    OCW2_R = 1 << 7,
    CASCADE = 2,        /* input of the master that the slave's INT is wired to */
};

typedef struct IsaI8259 {
    IsaDevice parent;
    IsaI8259Conf conf;
    IsaI8259State st;
    MemoryRegion mr, mr_elcr;
    Irq *intr;
    struct IsaI8259 *slave; /* of a master */
    bool out;               /* level of INT: follows from st */
    uint64_t count[8];
} IsaI8259;

/* Place of the highest priority bit in mask, counted from the input with the highest priority; 8: none. */
static unsigned i8259_place(const IsaI8259 *s, uint8_t mask)
{
    unsigned first = (s->st.lowest + 1) & 7;
    uint8_t turned = (uint8_t)(mask >> first | mask << (8 - first));

    return turned ? (unsigned)__builtin_ctz(turned) : 8;
}

/* The input that INT is raised for, -1 when none: "Fully nested mode", "Special mask mode". */
static int i8259_request(const IsaI8259 *s)
{
    uint8_t blocking = s->st.isr;
    unsigned place = i8259_place(s, s->st.irr & ~s->st.imr);

    if (s->st.special_mask) {
        blocking &= ~s->st.imr;
    }
    if (s->st.special_nested && s->conf.master) {
        /* "Special fully nested mode": the slave may interrupt with what has a higher priority there. */
        blocking &= ~(1 << CASCADE);
    }
    if (place >= i8259_place(s, blocking)) {
        return -1;
    }
    return (s->st.lowest + 1 + place) & 7;
}

static void i8259_update(IsaI8259 *s)
{
    bool out = s->st.icw == 0 && i8259_request(s) >= 0;

    if (out != s->out) {
        s->out = out;
        irq_set(s->intr, out);
    }
}

/* Levels show in the request register as they are; edges were latched. */
static void i8259_follow_levels(IsaI8259 *s)
{
    s->st.irr = (s->st.irr & ~s->st.elcr) | (s->st.lines & s->st.elcr);
}

static void i8259_set_input(void *opaque, int n, int level)
{
    IsaI8259 *s = opaque;
    uint8_t bit = 1 << n;

    if (level && !(s->st.lines & bit)) {
        s->st.lines |= bit;
        s->st.irr |= bit;
        s->count[n]++;
    } else if (!level) {
        /* "Interrupt sequence": a request must stay until INTA, in both modes. */
        s->st.lines &= ~bit;
        s->st.irr &= ~bit;
    }
    i8259_update(s);
}

static void i8259_end(IsaI8259 *s, unsigned n, bool rotate)
{
    s->st.isr &= ~(1 << n);
    if (rotate) {
        s->st.lowest = n; /* "Automatic rotation" */
    }
}

/* INTA for input n: "Interrupt sequence", steps 3 to 6. */
static void i8259_accept(IsaI8259 *s, unsigned n)
{
    s->st.isr |= 1 << n;
    if (!(s->st.elcr & 1 << n)) {
        s->st.irr &= ~(1 << n);
    }
    if (s->st.auto_eoi) {
        i8259_end(s, n, s->st.rotate_auto);
    }
    if (s->out) { /* INT falls with INTA; what is still requested is a new edge */
        s->out = false;
        irq_lower(s->intr);
    }
    i8259_update(s);
}

static uint8_t i8259_intack(IsaI8259 *s)
{
    int n = i8259_request(s);

    if (n < 0) {
        return s->st.base + 7; /* the default: its bit of ISR stays clear */
    }
    if (n == CASCADE && s->slave && !s->st.single) {
        i8259_accept(s, n);
        return i8259_intack(s->slave);
    }
    i8259_accept(s, n);
    return s->st.base + n;
}

uint8_t i8259_acknowledge(Device *master)
{
    return i8259_intack((IsaI8259 *)master);
}

static void i8259_write_icw1(IsaI8259 *s, uint8_t value)
{
    s->st.irr = 0; /* "edge sense circuit is reset" */
    i8259_follow_levels(s);
    s->st.imr = 0;
    s->st.isr = 0;
    s->st.lowest = 7;
    s->st.special_mask = false;
    s->st.read_isr = false;
    s->st.poll = false;
    s->st.icw4 = value & ICW1_IC4;
    s->st.single = value & ICW1_SNGL;
    s->st.auto_eoi = false; /* without ICW4 all its functions are off */
    s->st.rotate_auto = false;
    s->st.special_nested = false;
    s->st.icw = 2;
}

static void i8259_write_ocw2(IsaI8259 *s, uint8_t value)
{
    bool rotate = value & OCW2_R;
    unsigned n = value & 7;

    switch (value & (OCW2_EOI | OCW2_SL)) {
    case OCW2_EOI: { /* non-specific: the one in service with the highest priority */
        unsigned place = i8259_place(s, s->st.special_mask ? s->st.isr & ~s->st.imr : s->st.isr);

        if (place < 8) {
            i8259_end(s, (s->st.lowest + 1 + place) & 7, rotate);
        }
        break;
    }
    case OCW2_EOI | OCW2_SL:
        i8259_end(s, n, rotate);
        break;
    case OCW2_SL:
        if (rotate) { /* "Set priority command" */
            s->st.lowest = n;
        }
        break;
    case 0:
        s->st.rotate_auto = rotate;
        break;
    }
}

static void i8259_write_ocw3(IsaI8259 *s, uint8_t value)
{
    if (value & OCW3_P) {
        s->st.poll = true; /* has precedence over RR */
    } else if (value & OCW3_RR) {
        s->st.read_isr = value & OCW3_RIS;
    }
    if (value & OCW3_ESMM) {
        s->st.special_mask = value & OCW3_SMM;
    }
}

static void i8259_write_data(IsaI8259 *s, uint8_t value)
{
    switch (s->st.icw) {
    case 0:
        s->st.imr = value;
        break;
    case 2:
        s->st.base = value & 0xf8;
        s->st.icw = !s->st.single ? 3 : s->st.icw4 ? 4 : 0;
        break;
    case 3:
        s->st.icw = s->st.icw4 ? 4 : 0;
        break;
    case 4:
        s->st.auto_eoi = value & ICW4_AEOI;
        s->st.special_nested = value & ICW4_SFNM;
        s->st.icw = 0;
        break;
    }
}

static void i8259_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    IsaI8259 *s = dev;

    if (offset == 1) {
        i8259_write_data(s, value);
    } else if (value & ICW1) {
        i8259_write_icw1(s, value);
    } else if (value & OCW3) {
        i8259_write_ocw3(s, value);
    } else {
        i8259_write_ocw2(s, value);
    }
    i8259_update(s);
}

/* "Poll command": the read is an INTA, and tells whether there was a request. */
static uint8_t i8259_poll(IsaI8259 *s)
{
    int n = i8259_request(s);

    s->st.poll = false;
    if (n < 0) {
        return 0;
    }
    i8259_accept(s, n);
    return 0x80 | n;
}

static uint64_t i8259_read(void *dev, uint64_t offset, unsigned size)
{
    IsaI8259 *s = dev;

    if (s->st.poll) {
        return i8259_poll(s);
    }
    if (offset == 1) {
        return s->st.imr;
    }
    return s->st.read_isr ? s->st.isr : s->st.irr;
}

static uint64_t i8259_read_elcr(void *dev, uint64_t offset, unsigned size)
{
    return ((IsaI8259 *)dev)->st.elcr;
}

static void i8259_write_elcr(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    IsaI8259 *s = dev;

    s->st.elcr = value & s->conf.elcr_mask;
    i8259_follow_levels(s);
    i8259_update(s);
}

static const MemoryOps i8259_mem_ops = {
    .read = i8259_read,
    .write = i8259_write,
    .impl_min = 1,
    .impl_max = 1,
};

static const MemoryOps i8259_elcr_ops = {
    .read = i8259_read_elcr,
    .write = i8259_write_elcr,
    .impl_min = 1,
    .impl_max = 1,
};

void i8259_cascade(Device *master, Device *slave)
{
    ((IsaI8259 *)master)->slave = (IsaI8259 *)slave;
    device_connect_irq_out(slave, NULL, 0, device_irq_in(master, NULL, CASCADE));
}

static bool i8259_init(Object *o, Error **errp)
{
    IsaI8259 *s = (IsaI8259 *)o;

    device_init_irq_in(DEVICE(o), NULL, i8259_set_input, 8);
    device_init_irq_out(DEVICE(o), NULL, &s->intr, 1);
    return true;
}

static void i8259_unrealize(Object *o)
{
    IsaI8259 *s = (IsaI8259 *)o;

    memory_region_finish(&s->mr);
    memory_region_finish(&s->mr_elcr);
}

static bool i8259_realize(Object *o, Error **errp)
{
    IsaI8259 *s = (IsaI8259 *)o;
    MemoryMap *map = DEVICE(o)->machine->map;

    memory_region_init_io(&s->mr, map, o, &i8259_mem_ops, s, "pic", 2);
    memory_region_init_io(&s->mr_elcr, map, o, &i8259_elcr_ops, s, "elcr", 1);
    if (!isa_map_io(&s->parent, &s->mr, s->conf.iobase, errp) ||
        !isa_map_io(&s->parent, &s->mr_elcr, s->conf.elcr_addr, errp)) {
        i8259_unrealize(o);
        return false;
    }
    return true;
}

static void i8259_reset(Object *o, ObjectResetKind kind)
{
    i8259_update((IsaI8259 *)o);
}

/* After loading: what INT drives has the level in its own state. */
static void i8259_rebuild(Object *o)
{
    IsaI8259 *s = (IsaI8259 *)o;

    i8259_follow_levels(s);
    s->out = s->st.icw == 0 && i8259_request(s) >= 0;
}

static void i8259_print_state(Device *dev, PrintFn *print, void *opaque)
{
    IsaI8259 *s = (IsaI8259 *)dev;

    intctrl_printf(print, opaque,
                   "pic%d: irr=%02x imr=%02x isr=%02x hprio=%d irq_base=%02x rr_sel=%d elcr=%02x fnm=%d\n",
                   s->conf.master ? 0 : 1, s->st.irr, s->st.imr, s->st.isr, (s->st.lowest + 1) & 7, s->st.base,
                   s->st.read_isr, s->st.elcr, s->st.special_nested);
}

/* The pair counts as one, by the numbers of the ISA bus; the master tells them. */
static void i8259_print_counts(Device *dev, PrintFn *print, void *opaque)
{
    IsaI8259 *s = (IsaI8259 *)dev;
    uint64_t count[16] = {0};

    if (!s->conf.master) {
        return;
    }
    for (unsigned i = 0; i < 8; i++) {
        count[i] = i == CASCADE && s->slave ? 0 : s->count[i];
        count[8 + i] = s->slave ? s->slave->count[i] : 0;
    }
    intctrl_print_counts("isa-i8259", count, 16, print, opaque);
}

static const IntctrlOps i8259_intctrl_ops = {
    .print_state = i8259_print_state,
    .print_counts = i8259_print_counts,
};

const ObjectOps isa_i8259_ops = {
    .size = sizeof(IsaI8259),
    .conf_offset = offsetof(IsaI8259, conf),
    .state_offset = offsetof(IsaI8259, st),
    .init = i8259_init,
    .realize = i8259_realize,
    .unrealize = i8259_unrealize,
    .reset = i8259_reset,
    .rebuild = i8259_rebuild,
    .iface = &i8259_intctrl_ops,
};
