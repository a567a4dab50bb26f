/*
 * 8254 interval timer of the PC. Intel data sheet 231164-005. Its clock is virtual time in ticks of 1.193182 MHz.
 *
 * Interrupt 0 follows the output of counter 0 through a timer that is armed for the next edge only. A guest may program
 * edges faster than they can be delivered: those of less than PIT_MIN_NS run together.
 */
#include "hw/timer/i8254.h"

#include "hw/core/machine.h"
#include "hw/isa/isa.h"
#include "hw/timer/pit-channel.h"
#include "util/log.h"

enum {
    R_CONTROL = 3,
    CONTROL_READBACK = 3, /* bits 7:6 */
    READBACK_NO_COUNT = 1 << 5,
    READBACK_NO_STATUS = 1 << 4,
    NS_PER_S = 1000000000,
    PIT_MIN_NS = 20000,
};

typedef struct {
    IsaDevice parent;
    IsaPitConf conf;
    IsaPitState st;
    MemoryRegion mr;
    Irq *irq;
    Timer timer;
} IsaPit;

static Clock *pit_clock(IsaPit *s)
{
    return &DEVICE(s)->machine->clocks.clocks[CLOCK_VIRTUAL_NS];
}

static int64_t ns_to_ticks(int64_t ns)
{
    return muldiv64(ns, PIT_HZ, NS_PER_S);
}

/* First ns of that tick. */
static int64_t ticks_to_ns(int64_t tick)
{
    return muldiv64(tick, NS_PER_S, PIT_HZ) + 1;
}

int64_t pit_ticks(Device *pit)
{
    return ns_to_ticks(clock_ns(pit_clock((IsaPit *)pit)));
}

static void pit_drive(IsaPit *s, bool level)
{
    s->st.irq_level = level;
    irq_set(s->irq, level);
}

static void pit_arm(IsaPit *s)
{
    PitChannel *c = &s->st.channels[0];
    int64_t now_ns = clock_ns(pit_clock(s)), now = ns_to_ticks(now_ns), next = pit_channel_next(c, now), ns;

    if (next < 0 || s->st.irq_disabled) {
        timer_cancel(&s->timer);
        return;
    }
    ns = ticks_to_ns(next);
    if (c->count < (int64_t)PIT_MIN_NS * PIT_HZ / NS_PER_S && ns < now_ns + PIT_MIN_NS) {
        ns = now_ns + PIT_MIN_NS;
    }
    timer_arm(&s->timer, ns);
}

/* Passes on what counter 0's output did up to now, any number of periods as one edge. */
static void pit_update_irq(IsaPit *s)
{
    PitChannel *c = &s->st.channels[0];
    int64_t now = pit_ticks(DEVICE(s)), rise = pit_channel_last_rise(c, now);
    bool rose = rise > s->st.irq_seen, level;

    pit_channel_sync(c, now);
    level = pit_channel_out(c, now);
    s->st.irq_seen = now;
    if (!s->st.irq_disabled) {
        if (rose && s->st.irq_level) {
            pit_drive(s, false);
        }
        if (rose && !level) {
            pit_drive(s, true);
        }
        if (level != s->st.irq_level) {
            pit_drive(s, level);
        }
    }
    pit_arm(s);
}

static void pit_tick(void *opaque)
{
    pit_update_irq(opaque);
}

static void pit_readback(IsaPit *s, uint8_t value, int64_t now)
{
    for (unsigned i = 0; i < 3; i++) {
        if (!(value & 2 << i)) {
            continue;
        }
        if (!(value & READBACK_NO_COUNT)) {
            pit_channel_latch_count(&s->st.channels[i], now);
        }
        if (!(value & READBACK_NO_STATUS)) {
            pit_channel_latch_status(&s->st.channels[i], now);
        }
    }
}

static void pit_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    IsaPit *s = dev;
    unsigned channel = offset == R_CONTROL ? value >> 6 & 3 : offset;
    int64_t now = pit_ticks(DEVICE(s));

    pit_update_irq(s); /* edges of before, by the old count */
    if (offset != R_CONTROL) {
        pit_channel_write(&s->st.channels[channel], value, now);
    } else if (channel == CONTROL_READBACK) {
        pit_readback(s, value, now);
    } else if ((value >> 4 & 3) == 0) {
        pit_channel_latch_count(&s->st.channels[channel], now);
    } else {
        pit_channel_control(&s->st.channels[channel], value, now);
    }
    pit_update_irq(s);
}

static uint64_t pit_read(void *dev, uint64_t offset, unsigned size)
{
    IsaPit *s = dev;

    if (offset == R_CONTROL) {
        return 0xff; /* the control register cannot be read: nothing drives the bus */
    }
    pit_update_irq(s);
    return pit_channel_read(&s->st.channels[offset], pit_ticks(DEVICE(s)));
}

static const MemoryOps pit_mem_ops = {
    .read = pit_read,
    .write = pit_write,
    .impl_min = 1,
    .impl_max = 1,
};

void pit_set_gate(Device *pit, unsigned channel, bool level)
{
    IsaPit *s = (IsaPit *)pit;

    pit_update_irq(s);
    pit_channel_set_gate(&s->st.channels[channel], level, pit_ticks(pit));
    pit_update_irq(s);
}

bool pit_get_gate(Device *pit, unsigned channel)
{
    return ((IsaPit *)pit)->st.channels[channel].gate;
}

bool pit_get_out(Device *pit, unsigned channel)
{
    IsaPit *s = (IsaPit *)pit;
    int64_t now = pit_ticks(pit);

    pit_channel_sync(&s->st.channels[channel], now);
    return pit_channel_out(&s->st.channels[channel], now);
}

/* The HPET takes interrupt 0 away and gives it back. */
static void pit_set_irq_disabled(void *opaque, int n, int level)
{
    IsaPit *s = opaque;

    if (level && s->st.irq_level) {
        pit_drive(s, false);
    }
    s->st.irq_disabled = level;
    pit_update_irq(s);
}

static bool pit_init(Object *o, Error **errp)
{
    IsaPit *s = (IsaPit *)o;

    device_init_irq_in(DEVICE(o), NULL, pit_set_irq_disabled, 1);
    device_init_irq_out(DEVICE(o), NULL, &s->irq, 1);
    return true;
}

static void pit_unrealize(Object *o)
{
    IsaPit *s = (IsaPit *)o;

    timer_finish(&s->timer);
    memory_region_finish(&s->mr);
}

static bool pit_realize(Object *o, Error **errp)
{
    IsaPit *s = (IsaPit *)o;

    timer_init(&s->timer, pit_clock(s), &s->st.irq_timer, pit_tick, s);
    memory_region_init_io(&s->mr, DEVICE(o)->machine->map, o, &pit_mem_ops, s, "pit", 4);
    if (!isa_map_io(&s->parent, &s->mr, s->conf.iobase, errp)) {
        pit_unrealize(o);
        return false;
    }
    return true;
}

static void pit_reset(Object *o, ObjectResetKind kind)
{
    IsaPit *s = (IsaPit *)o;

    s->st.channels[2].gate = false; /* port 0x61 starts as 0 */
    s->st.irq_seen = pit_ticks(DEVICE(s));
    irq_set(s->irq, 0);
}

static void pit_rebuild(Object *o)
{
    timer_rearm_from_field(&((IsaPit *)o)->timer);
}

const ObjectOps isa_pit_ops = {
    .size = sizeof(IsaPit),
    .conf_offset = offsetof(IsaPit, conf),
    .state_offset = offsetof(IsaPit, st),
    .init = pit_init,
    .realize = pit_realize,
    .unrealize = pit_unrealize,
    .reset = pit_reset,
    .rebuild = pit_rebuild,
};

/* Speaker port: IBM PC AT technical reference, system board port B. No sound is made. */

enum {
    B_GATE2 = 1 << 0,
    B_SPEAKER = 1 << 1,
    B_REFRESH = 1 << 4,  /* toggles with each refresh, about every 15 us */
    B_OUT2 = 1 << 5,
    REFRESH_TICKS = 18,
};

typedef struct {
    IsaDevice parent;
    IsaPcspkConf conf;
    IsaPcspkState st;
    MemoryRegion mr;
    Device *pit;
} IsaPcspk;

static uint64_t pcspk_read(void *dev, uint64_t offset, unsigned size)
{
    IsaPcspk *s = dev;
    uint8_t v = s->st.speaker;

    v |= pit_ticks(s->pit) / REFRESH_TICKS & 1 ? B_REFRESH : 0;
    return v | (pit_get_out(s->pit, 2) ? B_OUT2 : 0);
}

static void pcspk_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    IsaPcspk *s = dev;

    s->st.speaker = value & (B_GATE2 | B_SPEAKER);
    pit_set_gate(s->pit, 2, value & B_GATE2);
}

static const MemoryOps pcspk_mem_ops = {
    .read = pcspk_read,
    .write = pcspk_write,
    .impl_min = 1,
    .impl_max = 1,
};

void pcspk_connect(Device *pcspk, Device *pit)
{
    IsaPcspk *s = (IsaPcspk *)pcspk;

    s->pit = pit;
    object_link(OBJECT(pcspk), "pit", OBJECT(pit), true);
}

static void pcspk_unrealize(Object *o)
{
    memory_region_finish(&((IsaPcspk *)o)->mr);
}

static bool pcspk_realize(Object *o, Error **errp)
{
    IsaPcspk *s = (IsaPcspk *)o;

    if (!s->pit) {
        return error_set(errp, "isa-pcspk: has no timer: the board must give it an isa-pit");
    }
    memory_region_init_io(&s->mr, DEVICE(o)->machine->map, o, &pcspk_mem_ops, s, "pcspk", 1);
    if (!isa_map_io(&s->parent, &s->mr, s->conf.iobase, errp)) {
        pcspk_unrealize(o);
        return false;
    }
    return true;
}

const ObjectOps isa_pcspk_ops = {
    .size = sizeof(IsaPcspk),
    .conf_offset = offsetof(IsaPcspk, conf),
    .state_offset = offsetof(IsaPcspk, st),
    .realize = pcspk_realize,
    .unrealize = pcspk_unrealize,
};
