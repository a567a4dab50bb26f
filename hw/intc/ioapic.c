/*
 * I/O APIC. Intel 82093AA data sheet (290566-001), section 3; the EOI register (3.2 of later chipsets' manuals) with version
 * 0x20. Interrupts go to the local APICs as messages.
 *
 * Inputs are levels "asserted" and "not": what a board wires knows whether that is high or low, so the polarity bits of the
 * table change nothing.
 */
#include <inttypes.h>

#include "hw/intc/apic.gen.h"
#include "hw/intc/apic.h"
#include "util/log.h"

enum {
    PINS = 24,
    MMIO_SIZE = 0x1000,
    R_SELECT = 0x00, R_WINDOW = 0x10, R_EOI = 0x40,            /* 3.1 */
    X_ID = 0x00, X_VERSION = 0x01, X_ARBITRATION = 0x02, X_TABLE = 0x10, /* 3.2 */
    E_LOGICAL = 1 << 11, E_PENDING = 1 << 12, E_LOW = 1 << 13, E_REMOTE_IRR = 1 << 14, E_LEVEL = 1 << 15,
    E_MASKED = 1 << 16,                                        /* 3.2.4 */
    E_MODE_SHIFT = 8,
    E_READONLY = E_PENDING | E_REMOTE_IRR,
    VERSION_EOI = 0x20, /* the first version that has the EOI register */
};
#define E_DEFINED UINT64_C(0xff0000000001ffff)

typedef struct {
    Device dev;
    IoapicConf conf;
    IoapicState st;
    MemoryRegion mr;
    uint64_t count[PINS];
} Ioapic;

static void ioapic_eoi(void *opaque, uint8_t vector);

/* Sends the request of a pin, if it has one that may go. */
static void ioapic_service(Ioapic *s, unsigned pin)
{
    uint64_t *e = &s->st.redirection[pin];
    uint32_t bit = 1u << pin;
    ApicMessage msg = {
        .dest = *e >> 56,
        .logical = *e & E_LOGICAL,
        .mode = *e >> E_MODE_SHIFT & 7,
        .vector = *e,
        .level = *e & E_LEVEL,
    };

    if (!(s->st.irr & bit) || *e & E_MASKED || (msg.level && *e & E_REMOTE_IRR)) {
        return;
    }
    if (!msg.level) {
        s->st.irr &= ~bit;
        apic_deliver(s->dev.machine, &msg);
        return;
    }
    if (msg.mode == APIC_FIXED || msg.mode == APIC_LOWEST) {
        /* 3.2.4: set when a local APIC accepts it; without one it stays a request. Before, as the EOI may come at once. */
        *e |= E_REMOTE_IRR;
        if (!apic_add_eoi(s->dev.machine, ioapic_eoi, s) || !apic_deliver(s->dev.machine, &msg)) {
            *e &= ~(uint64_t)E_REMOTE_IRR;
        }
    } else {
        msg.level = false; /* "must be programmed as edge": NMI, SMI, INIT, ExtINT have no EOI */
        s->st.irr &= ~bit;
        apic_deliver(s->dev.machine, &msg);
    }
}

static void ioapic_set_input(void *opaque, int n, int level)
{
    Ioapic *s = opaque;
    uint32_t bit = 1u << n;
    bool rose = level && !(s->st.lines & bit);
    uint64_t e = s->st.redirection[n];

    s->st.lines = level ? s->st.lines | bit : s->st.lines & ~bit;
    s->count[n] += rose;
    if (e & E_LEVEL) {
        s->st.irr = level ? s->st.irr | bit : s->st.irr & ~bit;
    } else if (rose && !(e & E_MASKED)) {
        s->st.irr |= bit; /* 3.2.4: edges on a masked pin are lost */
    }
    ioapic_service(s, n);
}

static void ioapic_eoi(void *opaque, uint8_t vector)
{
    Ioapic *s = opaque;

    for (unsigned i = 0; i < PINS; i++) {
        uint64_t *e = &s->st.redirection[i];

        if (*e & E_LEVEL && *e & E_REMOTE_IRR && (*e & 0xff) == vector) {
            *e &= ~(uint64_t)E_REMOTE_IRR;
            ioapic_service(s, i);
        }
    }
}

static void ioapic_write_entry(Ioapic *s, unsigned pin, bool high, uint32_t value)
{
    uint64_t *e = &s->st.redirection[pin];
    uint32_t bit = 1u << pin;
    bool was_level = *e & E_LEVEL;

    if (high) {
        *e = (uint32_t)*e | ((uint64_t)value << 32 & E_DEFINED);
    } else {
        *e = (*e & ~(uint64_t)UINT32_MAX) | (*e & E_READONLY) | (value & E_DEFINED & ~E_READONLY);
    }
    if (!(*e & E_LEVEL)) {
        *e &= ~(uint64_t)E_REMOTE_IRR; /* 3.2.4: has no meaning for edges; guests clear it so */
        if (was_level) {
            s->st.irr &= ~bit;
        }
    } else {
        s->st.irr = (s->st.irr & ~bit) | (s->st.lines & bit);
    }
    ioapic_service(s, pin);
}

static uint32_t ioapic_read_index(Ioapic *s)
{
    unsigned index = s->st.select;

    if (index >= X_TABLE && index < X_TABLE + 2 * PINS) {
        return s->st.redirection[(index - X_TABLE) / 2] >> (index & 1 ? 32 : 0);
    }
    switch (index) {
    case X_ID:
    case X_ARBITRATION:
        return s->st.id << 24;
    case X_VERSION:
        return s->conf.version | (PINS - 1) << 16;
    }
    log_guest_error("ioapic", "read of reserved register 0x%x", index);
    return 0;
}

static void ioapic_write_index(Ioapic *s, uint32_t value)
{
    unsigned index = s->st.select;

    if (index >= X_TABLE && index < X_TABLE + 2 * PINS) {
        ioapic_write_entry(s, (index - X_TABLE) / 2, index & 1, value);
    } else if (index == X_ID) {
        s->st.id = value >> 24 & 15;
    } else if (index != X_VERSION && index != X_ARBITRATION) {
        log_guest_error("ioapic", "write of reserved register 0x%x", index);
    }
}

static uint64_t ioapic_read(void *dev, uint64_t offset, unsigned size)
{
    Ioapic *s = dev;

    switch (offset) {
    case R_SELECT:
        return s->st.select;
    case R_WINDOW:
        return ioapic_read_index(s);
    }
    return 0;
}

static void ioapic_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    Ioapic *s = dev;

    switch (offset) {
    case R_SELECT:
        s->st.select = value;
        break;
    case R_WINDOW:
        ioapic_write_index(s, value);
        break;
    case R_EOI:
        if (s->conf.version >= VERSION_EOI) {
            ioapic_eoi(s, value);
        }
        break;
    }
}

static const MemoryOps ioapic_mem_ops = {
    .read = ioapic_read,
    .write = ioapic_write,
    .impl_min = 4,
    .impl_max = 4,
};

MemoryRegion *ioapic_mmio(Device *ioapic)
{
    return &((Ioapic *)ioapic)->mr;
}

static bool ioapic_init(Object *o, Error **errp)
{
    device_init_irq_in(DEVICE(o), NULL, ioapic_set_input, PINS);
    return true;
}

static void ioapic_unrealize(Object *o)
{
    Ioapic *s = (Ioapic *)o;

    apic_del_eoi(s->dev.machine, s);
    memory_region_finish(&s->mr);
}

static bool ioapic_realize(Object *o, Error **errp)
{
    Ioapic *s = (Ioapic *)o;

    if (s->conf.version != 0x11 && s->conf.version != VERSION_EOI) {
        return error_set(errp, "ioapic: version 0x%x: must be 0x11 or 0x20", s->conf.version);
    }
    memory_region_init_io(&s->mr, s->dev.machine->map, o, &ioapic_mem_ops, s, "ioapic", MMIO_SIZE);
    return true;
}

static bool ioapic_check(Object *o, Error **errp)
{
    Ioapic *s = (Ioapic *)o;

    for (unsigned i = 0; i < PINS; i++) {
        if (s->st.redirection[i] & ~E_DEFINED) {
            return error_set(errp, "ioapic: entry %u in the state has reserved bits: 0x%" PRIx64, i,
                             s->st.redirection[i]);
        }
    }
    return true;
}

/* After loading: level interrupts in service need their EOI. */
static void ioapic_rebuild(Object *o)
{
    Ioapic *s = (Ioapic *)o;

    for (unsigned i = 0; i < PINS; i++) {
        if (s->st.redirection[i] & E_REMOTE_IRR) {
            apic_add_eoi(s->dev.machine, ioapic_eoi, s);
        }
    }
}

static void print_pins(const char *name, uint32_t pins, PrintFn *print, void *opaque)
{
    intctrl_printf(print, opaque, "%s", name);
    for (unsigned i = 0; i < PINS; i++) {
        if (pins >> i & 1) {
            intctrl_printf(print, opaque, " %u", i);
        }
    }
    print(opaque, pins ? "\n" : " (none)\n");
}

static void ioapic_print_state(Device *dev, PrintFn *print, void *opaque)
{
    static const char *const modes[8] = {"fixed", "lowest", "SMI", "...", "NMI", "INIT", "...", "extINT"};
    Ioapic *s = (Ioapic *)dev;
    uint32_t remote = 0;

    intctrl_printf(print, opaque, "ioapic0: ver=0x%x id=0x%02x sel=0x%02x", s->conf.version, s->st.id, s->st.select);
    if (s->st.select >= X_TABLE) {
        intctrl_printf(print, opaque, " (redir[%u])", (s->st.select - X_TABLE) / 2);
    }
    print(opaque, "\n");
    for (unsigned i = 0; i < PINS; i++) {
        uint64_t e = s->st.redirection[i];

        remote |= e & E_REMOTE_IRR ? 1u << i : 0;
        intctrl_printf(print, opaque, "  pin %-2u 0x%016" PRIx64 " dest=%" PRIx64 " vec=%-3u active-%s %-5s %-6s %-6s %s\n", i,
                       e, e >> 56, (unsigned)(e & 0xff), e & E_LOW ? "lo" : "hi", e & E_LEVEL ? "level" : "edge",
                       e & E_MASKED ? "masked" : "", modes[e >> E_MODE_SHIFT & 7],
                       e & E_LOGICAL ? "logical" : "physical");
    }
    print_pins("  IRR     ", s->st.irr, print, opaque);
    print_pins("  Remote IRR", remote, print, opaque);
}

static void ioapic_print_counts(Device *dev, PrintFn *print, void *opaque)
{
    intctrl_print_counts("ioapic", ((Ioapic *)dev)->count, PINS, print, opaque);
}

static const IntctrlOps ioapic_intctrl_ops = {
    .print_state = ioapic_print_state,
    .print_counts = ioapic_print_counts,
};

const ObjectOps ioapic_ops = {
    .size = sizeof(Ioapic),
    .conf_offset = offsetof(Ioapic, conf),
    .state_offset = offsetof(Ioapic, st),
    .init = ioapic_init,
    .realize = ioapic_realize,
    .unrealize = ioapic_unrealize,
    .check = ioapic_check,
    .rebuild = ioapic_rebuild,
    .iface = &ioapic_intctrl_ops,
};
