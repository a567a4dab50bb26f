/*
 * MC146818A real-time clock (Motorola data sheet ADI1017R1, sections by title) with the PC's 128 bytes of CMOS memory and
 * century register.
 *
 * Nothing ticks: time is an offset to a clock, and the flags of register C are found out when somebody looks or
 * an interrupt is due. Not modelled: daylight saving (DSE), the square wave output, time bases other than 32.768 kHz.
 */
#include "hw/rtc/mc146818rtc.h"

#include <string.h>

#include "hw/core/machine.h"
#include "hw/isa/isa.h"
#include "hw/rtc/calendar.h"
#include "hw/rtc/mc146818rtc.gen.h"
#include "util/log.h"

enum {
    R_SECONDS, R_SECONDS_ALARM, R_MINUTES, R_MINUTES_ALARM, R_HOURS, R_HOURS_ALARM, R_WEEKDAY, R_DAY, R_MONTH, R_YEAR,
    R_A, R_B, R_C, R_D,
    R_CENTURY = 0x32,      /* of the PC: named by ACPI's FADT */
    R_CENTURY_PS2 = 0x37,  /* the same where PS/2 software looks for it */

    A_UIP = 0x80, A_DV = 0x70, A_DV_RESET = 0x60, A_RS = 0x0f,
    B_SET = 0x80, B_PIE = 0x40, B_AIE = 0x20, B_UIE = 0x10, B_SQWE = 0x08, B_DM = 0x04, B_24H = 0x02,
    C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10,
    D_VRT = 0x80,
    HOUR_PM = 0x80,
    ALARM_ANY = 0xc0,      /* "Alarm": the two top bits set match everything */

    NS = 1000000000,
    BASE_HZ = 32768,
    UIP_NS = 244141,       /* "Update-in-progress": set 244 us before the update */
    LOST_MAX = 65536,
};

typedef struct {
    IsaDevice parent;
    Mc146818rtcConf conf;
    Mc146818rtcState st;
    MemoryRegion mr;
    Irq *irq, *alarm;
    Timer event, slew;
    ClockKind clock_kind;
    bool has_clock_kind;
    int64_t base_offset; /* st.offset without the guest's changes */
} Rtc;

/* Time ------------------------------------------------------------------ */

static Clock *rtc_clock(Rtc *s)
{
    return &DEVICE(s)->machine->clocks.clocks[s->has_clock_kind ? s->clock_kind : CLOCK_HOST_NS];
}

/* The time base: ns with the phase of the guest's seconds. */
static int64_t rtc_now(Rtc *s)
{
    return clock_ns(rtc_clock(s)) + s->st.phase;
}

static bool rtc_divider_reset(const Rtc *s)
{
    return (s->st.cmos[R_A] & A_DV_RESET) == A_DV_RESET;
}

/* Time and date stand still in their registers. */
static bool rtc_frozen(const Rtc *s)
{
    return s->st.cmos[R_B] & B_SET || rtc_divider_reset(s);
}

static uint8_t encode(const Rtc *s, unsigned v)
{
    return s->st.cmos[R_B] & B_DM ? v : v / 10 % 10 << 4 | v % 10;
}

static unsigned decode(const Rtc *s, uint8_t v)
{
    return s->st.cmos[R_B] & B_DM ? v : (v >> 4) * 10 + (v & 15);
}

static uint8_t encode_hour(const Rtc *s, unsigned hour)
{
    if (s->st.cmos[R_B] & B_24H) {
        return encode(s, hour);
    }
    return encode(s, (hour + 11) % 12 + 1) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned decode_hour(const Rtc *s, uint8_t v)
{
    if (s->st.cmos[R_B] & B_24H) {
        return decode(s, v);
    }
    return decode(s, v & ~HOUR_PM) % 12 + (v & HOUR_PM ? 12 : 0);
}

static void rtc_store(Rtc *s, int64_t seconds)
{
    Calendar c = calendar_from_seconds(seconds);
    uint8_t *r = s->st.cmos;

    r[R_SECONDS] = encode(s, c.second);
    r[R_MINUTES] = encode(s, c.minute);
    r[R_HOURS] = encode_hour(s, c.hour);
    r[R_WEEKDAY] = encode(s, c.weekday + 1);
    r[R_DAY] = encode(s, c.day);
    r[R_MONTH] = encode(s, c.month);
    r[R_YEAR] = encode(s, ((c.year - s->conf.base_year) % 100 + 100) % 100);
    r[R_CENTURY] = encode(s, (c.year / 100 % 100 + 100) % 100);
}

static int64_t rtc_load(const Rtc *s)
{
    const uint8_t *r = s->st.cmos;
    Calendar c = {
        .year = (int64_t)decode(s, r[R_CENTURY]) * 100 + (decode(s, r[R_YEAR]) + s->conf.base_year) % 100,
        .month = decode(s, r[R_MONTH]),
        .day = decode(s, r[R_DAY]),
        .hour = decode_hour(s, r[R_HOURS]),
        .minute = decode(s, r[R_MINUTES]),
        .second = decode(s, r[R_SECONDS]),
    };

    return calendar_seconds(&c);
}

static int64_t rtc_seconds(Rtc *s)
{
    return rtc_frozen(s) ? rtc_load(s) : rtc_now(s) / NS + s->st.offset;
}

static void rtc_set_seconds(Rtc *s, int64_t seconds)
{
    s->st.offset = seconds - rtc_now(s) / NS;
}

/* Flags ------------------------------------------------------------------ */

/* Ticks of the time base between periodic interrupts, 0: none. "Table 5" */
static unsigned rtc_period(const Rtc *s)
{
    unsigned rs = s->st.cmos[R_A] & A_RS;

    if (rs == 0 || rtc_divider_reset(s)) {
        return 0;
    }
    return 1u << (rs < 3 ? rs + 6 : rs - 1);
}

static int64_t rtc_ticks(int64_t ns)
{
    return muldiv64(ns, BASE_HZ, NS);
}

static bool alarm_matches(uint8_t reg, uint8_t value)
{
    return (reg & ALARM_ANY) == ALARM_ANY || reg == value;
}

/* First of from..limit-1 whose encoding the alarm register accepts; limit when none. */
static unsigned alarm_search(const Rtc *s, unsigned reg, unsigned from, unsigned limit)
{
    while (from < limit && !alarm_matches(s->st.cmos[reg], reg == R_HOURS_ALARM ? encode_hour(s, from)
                                                                                : encode(s, from))) {
        from++;
    }
    return from;
}

/* First second of the day at or after t that matches; -1: none. */
static int alarm_in_day(const Rtc *s, int t)
{
    unsigned hour = t / 3600, minute = t / 60 % 60, second = t % 60, h, m, x;

    h = alarm_search(s, R_HOURS_ALARM, hour, 24);
    if (h == hour) {
        m = alarm_search(s, R_MINUTES_ALARM, minute, 60);
        if (m == minute) {
            x = alarm_search(s, R_SECONDS_ALARM, second, 60);
            if (x < 60) {
                return h * 3600 + m * 60 + x;
            }
            m = alarm_search(s, R_MINUTES_ALARM, minute + 1, 60);
        }
        if (m < 60) {
            x = alarm_search(s, R_SECONDS_ALARM, 0, 60);
            return x < 60 ? (int)(h * 3600 + m * 60 + x) : -1;
        }
        h = alarm_search(s, R_HOURS_ALARM, hour + 1, 24);
    }
    m = alarm_search(s, R_MINUTES_ALARM, 0, 60);
    x = alarm_search(s, R_SECONDS_ALARM, 0, 60);
    return h < 24 && m < 60 && x < 60 ? (int)(h * 3600 + m * 60 + x) : -1;
}

/* First second after `after` (guest's calendar) at which the alarm is due; INT64_MAX: never. */
static int64_t rtc_next_alarm(const Rtc *s, int64_t after)
{
    int64_t day = (after + 1) / 86400 - ((after + 1) % 86400 < 0);
    int t = alarm_in_day(s, after + 1 - day * 86400);

    if (t < 0) {
        day++;
        t = alarm_in_day(s, 0);
    }
    return t < 0 ? INT64_MAX : day * 86400 + t;
}

static void rtc_update_irq(Rtc *s)
{
    uint8_t *c = &s->st.cmos[R_C];

    *c &= ~C_IRQF;
    if (*c & s->st.cmos[R_B] & (C_PF | C_AF | C_UF)) { /* the enable bits have the flags' places */
        *c |= C_IRQF;
    }
    irq_set(s->irq, *c & C_IRQF ? 1 : 0);
}

/* With slew, periods whose interrupt the guest has not taken yet are owed to it. */
static void rtc_count_lost(Rtc *s, int64_t periods, bool still_pending)
{
    int64_t lost = periods - (still_pending ? 0 : 1);

    if (s->conf.lost_tick_policy == LOST_TICK_POLICY_SLEW && s->st.cmos[R_B] & B_PIE && lost > 0) {
        s->st.lost = lost + s->st.lost > LOST_MAX ? LOST_MAX : lost + s->st.lost;
    }
}

/* Sets the flags of what happened since the last time. */
static void rtc_catch_up(Rtc *s)
{
    int64_t now = rtc_now(s), last = s->st.last;
    unsigned period = rtc_period(s);
    uint8_t *c = &s->st.cmos[R_C];

    if (now < last) { /* the host's clock was set back */
        s->st.last = now < 0 ? 0 : now;
        return;
    }
    if (period) {
        int64_t periods = rtc_ticks(now) / period - rtc_ticks(last) / period;

        if (periods) {
            rtc_count_lost(s, periods, *c & C_PF);
            *c |= C_PF;
        }
    }
    if (!rtc_frozen(s) && now / NS != last / NS) {
        *c |= C_UF;
        if (rtc_next_alarm(s, last / NS + s->st.offset) <= now / NS + s->st.offset) {
            *c |= C_AF;
            if (s->st.cmos[R_B] & B_AIE) {
                irq_pulse(s->alarm);
            }
        }
    }
    s->st.last = now;
}

/* Arms the timer for the next flag whose interrupt is enabled. */
static void rtc_arm(Rtc *s)
{
    int64_t now = s->st.last, next = INT64_MAX, t;
    uint8_t b = s->st.cmos[R_B];
    unsigned period = rtc_period(s);

    if (b & B_PIE && period) {
        int64_t tick = (rtc_ticks(now) / period + 1) * period;

        next = muldiv64(tick, NS, BASE_HZ) + (tick % BASE_HZ != 0);
    }
    if (!rtc_frozen(s)) {
        if (b & B_UIE && (t = (now / NS + 1) * NS) < next) {
            next = t;
        }
        if (b & B_AIE) {
            t = rtc_next_alarm(s, now / NS + s->st.offset);
            if (t != INT64_MAX && (t - s->st.offset) < next / NS) {
                next = (t - s->st.offset) * NS;
            }
        }
    }
    if (next == INT64_MAX) {
        timer_cancel(&s->event);
    } else {
        timer_arm(&s->event, next - s->st.phase);
    }
}

static void rtc_refresh(Rtc *s)
{
    rtc_catch_up(s);
    rtc_update_irq(s);
    rtc_arm(s);
}

static void rtc_event(void *opaque)
{
    rtc_refresh(opaque);
}

/* One of the interrupts owed. */
static void rtc_slew_event(void *opaque)
{
    Rtc *s = opaque;

    rtc_catch_up(s);
    if (s->st.lost && !(s->st.cmos[R_C] & C_PF)) {
        s->st.lost--;
        s->st.cmos[R_C] |= C_PF;
    }
    rtc_update_irq(s);
    rtc_arm(s);
}

/* Registers ----------------------------------------------------------------- */

static uint8_t rtc_read_c(Rtc *s)
{
    uint8_t c;
    unsigned period = rtc_period(s);

    rtc_catch_up(s);
    rtc_update_irq(s);
    c = s->st.cmos[R_C];
    s->st.cmos[R_C] = 0;
    rtc_update_irq(s);
    rtc_arm(s);
    if (c & C_PF && s->st.lost && period) {
        timer_arm(&s->slew, clock_ns(rtc_clock(s)) + muldiv64(period, NS, BASE_HZ) / 4);
    }
    return c;
}

static unsigned rtc_alias(unsigned index)
{
    return index == R_CENTURY_PS2 ? R_CENTURY : index;
}

static bool is_time(unsigned index)
{
    return (index <= R_YEAR && index != R_SECONDS_ALARM && index != R_MINUTES_ALARM && index != R_HOURS_ALARM) ||
           index == R_CENTURY;
}

static uint64_t rtc_read(void *dev, uint64_t offset, unsigned size)
{
    Rtc *s = dev;
    unsigned index = rtc_alias(s->st.index);

    if (offset == 0) {
        return 0xff; /* the index cannot be read back */
    }
    if (index == R_C) {
        return rtc_read_c(s);
    }
    if (is_time(index) && !rtc_frozen(s)) {
        rtc_store(s, rtc_seconds(s));
    }
    if (index == R_A && !rtc_frozen(s) && rtc_now(s) % NS >= NS - UIP_NS) {
        return s->st.cmos[R_A] | A_UIP;
    }
    return s->st.cmos[index];
}

static void rtc_emit_change(Rtc *s)
{
    Machine *m = DEVICE(s)->machine;
    char *path = object_path(OBJECT(s));
    RtcChangeEvent data = { .offset = s->st.offset - s->base_offset, .qom_path = path };

    if (m->host && m->host->emit && path) {
        m->host->emit(m, &qevent_RTC_CHANGE, &data);
    }
    free(path);
}

/* Time goes on from what the registers say. */
static void rtc_time_written(Rtc *s)
{
    int64_t before = s->st.offset;

    rtc_set_seconds(s, rtc_load(s));
    if (s->st.offset != before) {
        rtc_emit_change(s);
    }
}

static void rtc_write_a(Rtc *s, uint8_t value)
{
    bool was_frozen = rtc_frozen(s), was_reset = rtc_divider_reset(s);

    if (!was_frozen) {
        rtc_store(s, rtc_seconds(s));
    }
    s->st.cmos[R_A] = value & ~A_UIP;
    if (was_reset && !rtc_divider_reset(s)) {
        /* "Divider control": the first update is half a second after the reset ends. */
        int64_t sub = clock_ns(rtc_clock(s)) % NS;

        s->st.phase = (NS + NS / 2 - sub) % NS;
        s->st.last = rtc_now(s);
    }
    if (was_frozen && !rtc_frozen(s)) {
        rtc_time_written(s);
    }
}

static void rtc_write_b(Rtc *s, uint8_t value)
{
    bool was_frozen = rtc_frozen(s);
    uint8_t before = s->st.cmos[R_B];

    if (!was_frozen) {
        rtc_store(s, rtc_seconds(s));
    }
    if (value & B_SET) {
        value &= ~B_UIE; /* "SET ... clears UIE" */
    }
    s->st.cmos[R_B] = value;
    if (was_frozen && !rtc_frozen(s)) {
        rtc_time_written(s);
    } else if (!was_frozen && !rtc_frozen(s) && (before ^ value) & (B_DM | B_24H)) {
        /* "must be re-initialized when the mode changes": here the time just shows in the new form */
        rtc_store(s, rtc_seconds(s));
    }
    if (!(value & B_PIE)) {
        s->st.lost = 0;
        timer_cancel(&s->slew);
    }
}

static void rtc_write_data(Rtc *s, unsigned index, uint8_t value)
{
    switch (index) {
    case R_A:
        rtc_write_a(s, value);
        break;
    case R_B:
        rtc_write_b(s, value);
        break;
    case R_C:
    case R_D:
        log_guest_error("mc146818rtc", "write of read-only register 0x%x", index);
        break;
    default:
        if (is_time(index) && !rtc_frozen(s)) {
            rtc_store(s, rtc_seconds(s));
            s->st.cmos[index] = value;
            rtc_time_written(s);
        } else {
            s->st.cmos[index] = value;
        }
    }
}

static void rtc_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    Rtc *s = dev;

    if (offset == 0) {
        s->st.index = value & 0x7f; /* bit 7 masks NMI, which nothing raises */
        return;
    }
    rtc_catch_up(s);
    rtc_write_data(s, rtc_alias(s->st.index), value);
    rtc_refresh(s);
}

static const MemoryOps rtc_mem_ops = {
    .read = rtc_read,
    .write = rtc_write,
    .impl_min = 1,
    .impl_max = 1,
};

/* Board ------------------------------------------------------------------------ */

static void init_timers(Rtc *s)
{
    timer_init(&s->event, rtc_clock(s), &s->st.event, rtc_event, s);
    timer_init(&s->slew, rtc_clock(s), &s->st.slew, rtc_slew_event, s);
    s->st.last = rtc_now(s);
}

void mc146818rtc_set_clock(Device *rtc, ClockKind kind)
{
    Rtc *s = (Rtc *)rtc;
    bool realized = object_life(OBJECT(rtc)) == OBJECT_REALIZED;
    int64_t seconds = 0;

    if (realized) {
        rtc_catch_up(s);
        seconds = rtc_seconds(s);
        timer_finish(&s->event);
        timer_finish(&s->slew);
    }
    s->clock_kind = kind;
    s->has_clock_kind = true;
    if (realized) {
        init_timers(s);
        mc146818rtc_set_time(rtc, seconds);
    }
}

void mc146818rtc_set_time(Device *rtc, int64_t seconds)
{
    Rtc *s = (Rtc *)rtc;

    rtc_catch_up(s);
    if (rtc_frozen(s)) {
        rtc_store(s, seconds);
    }
    rtc_set_seconds(s, seconds);
    s->base_offset = s->st.offset;
    rtc_arm(s);
}

int64_t mc146818rtc_get_time(Device *rtc)
{
    return rtc_seconds((Rtc *)rtc);
}

void mc146818rtc_set_cmos(Device *rtc, uint8_t index, uint8_t value)
{
    assert(index > R_D && index < 128);
    ((Rtc *)rtc)->st.cmos[index] = value;
}

uint8_t mc146818rtc_get_cmos(Device *rtc, uint8_t index)
{
    assert(index > R_D && index < 128);
    return ((Rtc *)rtc)->st.cmos[index];
}

/* Life cycle --------------------------------------------------------------------- */

static void rtc_unrealize(Object *o)
{
    Rtc *s = (Rtc *)o;

    timer_finish(&s->event);
    timer_finish(&s->slew);
    memory_region_finish(&s->mr);
}

static bool rtc_realize(Object *o, Error **errp)
{
    Rtc *s = (Rtc *)o;

    if (s->conf.lost_tick_policy == LOST_TICK_POLICY_DELAY) {
        return error_set(errp, "mc146818rtc: lost_tick_policy 'delay' is not possible; use 'discard' or 'slew'");
    }
    init_timers(s);
    device_init_irq_out(DEVICE(o), "alarm", &s->alarm, 1);
    memory_region_init_io(&s->mr, DEVICE(o)->machine->map, o, &rtc_mem_ops, s, "rtc", 2);
    if (!isa_irq(&s->parent, s->conf.irq, &s->irq, errp) ||
        !isa_map_io(&s->parent, &s->mr, s->conf.iobase, errp)) {
        rtc_unrealize(o);
        return false;
    }
    s->st.cmos[R_A] = 0x26; /* 32.768 kHz, 1024 interrupts a second, as firmware expects to find a clock that runs */
    s->st.cmos[R_B] = B_24H;
    s->st.cmos[R_D] = D_VRT;
    return true;
}

/* "RESET": interrupts off; time, calendar and memory stay. */
static void rtc_reset(Object *o, ObjectResetKind kind)
{
    Rtc *s = (Rtc *)o;

    s->st.cmos[R_B] &= ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    s->st.cmos[R_C] = 0;
    irq_set(s->irq, 0);
}

static bool rtc_check(Object *o, Error **errp)
{
    Rtc *s = (Rtc *)o;

    if (s->st.cmos[R_A] & A_UIP) {
        return error_set(errp, "mc146818rtc: register A in the state says that an update is in progress");
    }
    return true;
}

static void rtc_rebuild(Object *o)
{
    Rtc *s = (Rtc *)o;

    timer_rearm_from_field(&s->event);
    timer_rearm_from_field(&s->slew);
}

const ObjectOps mc146818rtc_ops = {
    .size = sizeof(Rtc),
    .conf_offset = offsetof(Rtc, conf),
    .state_offset = offsetof(Rtc, st),
    .realize = rtc_realize,
    .unrealize = rtc_unrealize,
    .reset = rtc_reset,
    .check = rtc_check,
    .rebuild = rtc_rebuild,
};
