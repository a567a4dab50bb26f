/*
 * High precision event timers. IA-PC HPET Specification 1.0a (October 2004); section numbers are its own.
 *
 * The main counter is a function of virtual time. A comparator has a host timer only while it can interrupt; those of a
 * shorter period than MIN_TICKS run together.
 */
#include "hw/timer/hpet.h"

#include "hw/core/machine.h"
#include "hw/timer/hpet.gen.h"
#include "util/log.h"

enum { /* 2.3.1 */
    R_CAPABILITIES = 0x00, R_CONFIG = 0x10, R_STATUS = 0x20, R_COUNTER = 0xf0, R_TIMERS = 0x100,
    T_CONFIG = 0x00, T_COMPARATOR = 0x08, T_FSB = 0x10, T_SIZE = 0x20,
    MMIO_SIZE = 0x400,
};

enum {
    CONFIG_ENABLE = 1, CONFIG_LEGACY = 2,                                     /* 2.3.5 */
    TN_LEVEL = 1 << 1, TN_ENABLE = 1 << 2, TN_PERIODIC = 1 << 3, TN_CAN_PERIODIC = 1 << 4, TN_CAN_64 = 1 << 5,
    TN_SET_VALUE = 1 << 6, TN_32BIT = 1 << 8, TN_ROUTE_SHIFT = 9, TN_FSB = 1 << 14, TN_CAN_FSB = 1 << 15, /* 2.3.8 */
    TN_WRITABLE = TN_LEVEL | TN_ENABLE | TN_PERIODIC | TN_SET_VALUE | TN_32BIT | 31 << TN_ROUTE_SHIFT,
};

enum {
    TICK_NS = 10,
    PERIOD_FS = TICK_NS * 1000000,
    REVISION = 1, VENDOR = 0x8086, CAP_64 = 1 << 13, CAP_LEGACY = 1 << 15,    /* 2.3.4 */
    MIN_TICKS = 2000,
    PIN_PIT = 0, PIN_RTC = 8, NUM_PINS = 32, MAX_TIMERS = 32,
};

typedef struct Hpet Hpet;
typedef struct {
    Hpet *hpet;
    unsigned n;
    Timer timer;
} HpetUnit;

struct Hpet {
    Device dev;
    HpetConf conf;
    HpetState st;
    MemoryRegion mr;
    Irq *pins[NUM_PINS];
    Irq *replaces;
    HpetUnit units[MAX_TIMERS];
};

static Clock *hpet_clock(Hpet *s)
{
    return &s->dev.machine->clocks.clocks[CLOCK_VIRTUAL_NS];
}

static bool is_running(const Hpet *s)
{
    return s->st.config & CONFIG_ENABLE;
}

static uint64_t hpet_counter(Hpet *s)
{
    return is_running(s) ? clock_ns(hpet_clock(s)) / TICK_NS + s->st.offset : s->st.counter;
}

/* Bits of the counter and the comparator that are compared. */
static uint64_t width_mask(const HpetTimer *t)
{
    return t->config & TN_32BIT ? UINT32_MAX : UINT64_MAX;
}

/* Interrupts -------------------------------------------------------------------- */

static unsigned hpet_pin(const Hpet *s, unsigned n)
{
    if (s->st.config & CONFIG_LEGACY && n < 2) { /* 2.3.5: timer 0 is IRQ 0, timer 1 is IRQ 8 */
        return n == 0 ? PIN_PIT : PIN_RTC;
    }
    return s->st.comparators[n].config >> TN_ROUTE_SHIFT & 31;
}

static void hpet_fire(Hpet *s, unsigned n)
{
    HpetTimer *t = &s->st.comparators[n];

    if (!(t->config & TN_ENABLE)) {
        return;
    }
    if (t->config & TN_FSB && s->conf.msi) { /* 2.4.6 */
        address_space_st(s->dev.machine->as_memory, t->fsb >> 32, 4, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE,
                         (uint32_t)t->fsb);
    } else if (t->config & TN_LEVEL) {
        s->st.status |= 1u << n;
        irq_raise(s->pins[hpet_pin(s, n)]);
    } else {
        /* An edge that stays: an 8259A forgets one that is gone before it is acknowledged. */
        irq_lower(s->pins[hpet_pin(s, n)]);
        irq_raise(s->pins[hpet_pin(s, n)]);
    }
}

static void hpet_lower(Hpet *s, unsigned n)
{
    s->st.status &= ~(1u << n);
    irq_lower(s->pins[hpet_pin(s, n)]);
}

/* Time ------------------------------------------------------------------------------ */

/* Whether the counter met the comparator on its way from seen to count. */
static bool was_met(const HpetTimer *t, uint64_t seen, uint64_t count)
{
    uint64_t passed = count - seen, mask = width_mask(t);

    return passed > mask || (passed && ((t->comparator - seen - 1) & mask) < passed);
}

/* The comparator moves on by as many periods as it takes to be ahead of the counter: 2.3.9.2.2. */
static void advance(HpetTimer *t, uint64_t count)
{
    uint64_t mask = width_mask(t), behind = (count - t->comparator) & mask, period = t->period & mask;

    if (period) {
        t->comparator = (t->comparator + (behind / period + 1) * period) & mask;
    }
}

static void hpet_arm(Hpet *s, unsigned n)
{
    HpetTimer *t = &s->st.comparators[n];
    uint64_t count = s->st.seen, ticks = (t->comparator - count) & width_mask(t);
    int64_t now = clock_ns(hpet_clock(s));

    if (!is_running(s) || !(t->config & TN_ENABLE) || (ticks == 0 && !(t->config & TN_32BIT))) {
        timer_cancel(&s->units[n].timer);
        return;
    }
    ticks = ticks ? ticks : UINT64_C(1) << 32;
    if (t->config & TN_PERIODIC && (t->period & width_mask(t)) < MIN_TICKS && ticks < MIN_TICKS) {
        ticks = MIN_TICKS;
    }
    if (ticks > (uint64_t)(INT64_MAX - now) / TICK_NS - 1) {
        timer_cancel(&s->units[n].timer); /* not in this life */
        return;
    }
    /* The counter's ticks are those of the clock: the one after next is at least that far. */
    timer_arm(&s->units[n].timer, (now / TICK_NS + (int64_t)ticks) * TICK_NS);
}

/* Takes up what happened until now. */
static void hpet_catch_up(Hpet *s)
{
    uint64_t count = hpet_counter(s), seen = s->st.seen;

    s->st.seen = count;
    if (!is_running(s) || count == seen) {
        return;
    }
    for (unsigned n = 0; n < s->conf.timers; n++) {
        HpetTimer *t = &s->st.comparators[n];

        if (was_met(t, seen, count)) {
            if (t->config & TN_PERIODIC) {
                advance(t, count);
            }
            hpet_fire(s, n);
        }
    }
}

static void hpet_arm_all(Hpet *s)
{
    for (unsigned n = 0; n < s->conf.timers; n++) {
        hpet_arm(s, n);
    }
}

static void hpet_timer_cb(void *opaque)
{
    HpetUnit *u = opaque;

    hpet_catch_up(u->hpet);
    hpet_arm_all(u->hpet);
}

/* Legacy replacement --------------------------------------------------------------------- */

static void pass_on(Hpet *s)
{
    bool taken = s->st.config & CONFIG_LEGACY;

    irq_set(s->pins[PIN_PIT], !taken && s->st.legacy_lines & 1);
    irq_set(s->pins[PIN_RTC], !taken && s->st.legacy_lines & 2);
}

static void hpet_set_legacy_line(void *opaque, int n, int level)
{
    Hpet *s = opaque;

    s->st.legacy_lines = (s->st.legacy_lines & ~(1 << n)) | !!level << n;
    if (!(s->st.config & CONFIG_LEGACY)) {
        irq_set(s->pins[n == 0 ? PIN_PIT : PIN_RTC], level);
    }
}

/* Registers ----------------------------------------------------------------------------------- */

static uint64_t read_timer(Hpet *s, unsigned n, unsigned reg)
{
    HpetTimer *t = &s->st.comparators[n];

    switch (reg) {
    case T_CONFIG:
        return (uint64_t)s->conf.hpet_intcap << 32 | t->config | TN_CAN_PERIODIC | TN_CAN_64 |
               (s->conf.msi ? TN_CAN_FSB : 0);
    case T_COMPARATOR:
        return t->comparator & width_mask(t);
    case T_FSB:
        return t->fsb;
    default:
        return 0;
    }
}

static uint64_t read_register(Hpet *s, unsigned reg)
{
    if (reg >= R_TIMERS) {
        unsigned n = (reg - R_TIMERS) / T_SIZE;

        return n < s->conf.timers ? read_timer(s, n, reg % T_SIZE) : 0;
    }
    switch (reg) {
    case R_CAPABILITIES:
        return (uint64_t)PERIOD_FS << 32 | (uint64_t)VENDOR << 16 | CAP_LEGACY | CAP_64 | (s->conf.timers - 1) << 8 | REVISION;
    case R_CONFIG:
        return s->st.config;
    case R_STATUS:
        return s->st.status;
    case R_COUNTER:
        return s->st.seen;
    default:
        return 0;
    }
}

static void write_config(Hpet *s, uint64_t value)
{
    uint8_t changed = s->st.config ^ (value & 3);
    uint64_t count = s->st.seen;

    if (changed & CONFIG_LEGACY) {
        for (unsigned n = 0; n < 2; n++) {
            if (s->st.comparators[n].config & TN_ENABLE) {
                hpet_lower(s, n); /* off the old pin */
            }
        }
    }
    s->st.config = value & 3;
    if (changed & CONFIG_ENABLE) {
        if (is_running(s)) {
            s->st.offset = count - clock_ns(hpet_clock(s)) / TICK_NS;
        } else {
            s->st.counter = count;
            for (unsigned n = 0; n < s->conf.timers; n++) {
                if (s->st.status >> n & 1) {
                    hpet_lower(s, n); /* 2.3.5: a halted timer does not interrupt */
                }
            }
        }
    }
    if (changed & CONFIG_LEGACY) {
        irq_set(s->replaces, s->st.config & CONFIG_LEGACY ? 1 : 0);
        pass_on(s);
    }
}

static void write_timer_config(Hpet *s, unsigned n, uint64_t value)
{
    HpetTimer *t = &s->st.comparators[n];
    uint32_t writable = TN_WRITABLE | (s->conf.msi ? TN_FSB : 0), old = t->config;

    if (old & TN_ENABLE && (value ^ old) & (TN_LEVEL | TN_ENABLE | 31 << TN_ROUTE_SHIFT)) {
        hpet_lower(s, n);
    }
    t->config = value & writable;
    if (t->config & TN_32BIT) {
        t->comparator &= UINT32_MAX;
        t->period &= UINT32_MAX;
    }
}

static void write_comparator(HpetTimer *t, uint64_t value)
{
    value &= width_mask(t);
    if (!(t->config & TN_PERIODIC) || t->config & TN_SET_VALUE) { /* 2.3.8, Tn_VAL_SET_CNF */
        t->comparator = value;
        t->config &= ~TN_SET_VALUE;
    }
    t->period = value;
}

static void write_timer(Hpet *s, unsigned n, unsigned reg, uint64_t value)
{
    HpetTimer *t = &s->st.comparators[n];

    switch (reg) {
    case T_CONFIG:
        write_timer_config(s, n, value);
        break;
    case T_COMPARATOR:
        write_comparator(t, value);
        break;
    case T_FSB:
        if (s->conf.msi) {
            t->fsb = value;
        }
        break;
    }
}

static void write_register(Hpet *s, unsigned reg, uint64_t value)
{
    if (reg >= R_TIMERS) {
        unsigned n = (reg - R_TIMERS) / T_SIZE;

        if (n < s->conf.timers) {
            write_timer(s, n, reg % T_SIZE, value);
        }
        return;
    }
    switch (reg) {
    case R_CONFIG:
        write_config(s, value);
        break;
    case R_STATUS:
        for (unsigned n = 0; n < s->conf.timers; n++) { /* 2.3.6: write 1 to clear, level mode */
            if (value & s->st.status & 1u << n) {
                hpet_lower(s, n);
            }
        }
        break;
    case R_COUNTER:
        if (is_running(s)) { /* 2.3.7 */
            log_guest_error("hpet", "write of the main counter while it runs");
        } else {
            s->st.counter = s->st.seen = value;
        }
        break;
    }
}

/* Registers are 64 bits wide; halves can be accessed (2.3.2). */
static uint64_t hpet_read(void *dev, uint64_t offset, unsigned size)
{
    Hpet *s = dev;
    uint64_t v;

    hpet_catch_up(s);
    v = read_register(s, offset & ~7);
    return size == 4 ? (uint32_t)(v >> (offset & 4) * 8) : v;
}

static void hpet_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    Hpet *s = dev;
    unsigned reg = offset & ~7;

    hpet_catch_up(s);
    if (size == 4) {
        uint64_t old = read_register(s, reg);
        bool is_half_comparator = reg >= R_TIMERS && reg % T_SIZE == T_COMPARATOR && (reg - R_TIMERS) / T_SIZE < MAX_TIMERS;

        if (reg == R_STATUS) {
            old = 0; /* the other half is not written */
        } else if (is_half_comparator) {
            HpetTimer *t = &s->st.comparators[(reg - R_TIMERS) / T_SIZE];

            /* In periodic mode the register written is the period, unless the value is being set. */
            old = t->config & TN_PERIODIC && !(t->config & TN_SET_VALUE) ? t->period : old;
        }
        value = offset & 4 ? (old & UINT32_MAX) | value << 32 : (old & ~(uint64_t)UINT32_MAX) | (uint32_t)value;
    }
    write_register(s, reg, value);
    hpet_arm_all(s);
}

static const MemoryOps hpet_mem_ops = {
    .read = hpet_read,
    .write = hpet_write,
    .impl_min = 4,
    .impl_max = 8,
};

MemoryRegion *hpet_mmio(Device *hpet)
{
    return &((Hpet *)hpet)->mr;
}

/* Life cycle ------------------------------------------------------------------------------------- */

static bool hpet_init(Object *o, Error **errp)
{
    Hpet *s = (Hpet *)o;

    device_init_irq_in(DEVICE(o), NULL, hpet_set_legacy_line, 2);
    device_init_irq_out(DEVICE(o), NULL, &s->replaces, 1);
    device_init_irq_out(DEVICE(o), "sysbus-irq", s->pins, NUM_PINS);
    return true;
}

static void hpet_unrealize(Object *o)
{
    Hpet *s = (Hpet *)o;

    for (unsigned n = 0; n < MAX_TIMERS; n++) {
        timer_finish(&s->units[n].timer);
    }
    memory_region_finish(&s->mr);
}

static bool hpet_realize(Object *o, Error **errp)
{
    Hpet *s = (Hpet *)o;

    for (unsigned n = 0; n < MAX_TIMERS; n++) {
        s->units[n].hpet = s;
        s->units[n].n = n;
        timer_init(&s->units[n].timer, hpet_clock(s), &s->st.comparators[n].deadline, hpet_timer_cb, &s->units[n]);
    }
    memory_region_init_io(&s->mr, s->dev.machine->map, o, &hpet_mem_ops, s, "hpet", MMIO_SIZE);
    return true;
}

static void hpet_reset(Object *o, ObjectResetKind kind)
{
    Hpet *s = (Hpet *)o;

    for (unsigned n = 0; n < NUM_PINS; n++) {
        irq_lower(s->pins[n]);
    }
    irq_lower(s->replaces);
    pass_on(s);
}

static void hpet_rebuild(Object *o)
{
    Hpet *s = (Hpet *)o;

    for (unsigned n = 0; n < MAX_TIMERS; n++) {
        timer_rearm_from_field(&s->units[n].timer);
    }
}

const ObjectOps hpet_ops = {
    .size = sizeof(Hpet),
    .conf_offset = offsetof(Hpet, conf),
    .state_offset = offsetof(Hpet, st),
    .init = hpet_init,
    .realize = hpet_realize,
    .unrealize = hpet_unrealize,
    .reset = hpet_reset,
    .rebuild = hpet_rebuild,
};
