/* One counter of the 8254 (Intel data sheet 231164-005, "Mode definitions"). */
#include "hw/timer/pit-channel.h"

enum {
    BCD_COUNTS = 10000,
    STATUS_OUT = 1 << 7,  /* "Read-back command", status byte */
    STATUS_NULL = 1 << 6, /* the count written is not in the counting element yet */
};

static int64_t modulus(const PitChannel *c)
{
    return c->bcd ? BCD_COUNTS : 65536;
}

static bool is_periodic(const PitChannel *c)
{
    return c->mode == 2 || c->mode == 3;
}

/* Ticks counted; negative: not loaded yet. */
static int64_t elapsed(const PitChannel *c, int64_t tick)
{
    return c->stopped ? c->elapsed : tick - c->start;
}

void pit_channel_sync(PitChannel *c, int64_t tick)
{
    int64_t d = elapsed(c, tick);

    if (!is_periodic(c) || !c->started || c->stopped || d < c->count) {
        return;
    }
    if (c->next_count) { /* modes 2 and 3: loaded at the end of the cycle it was written in */
        c->start += c->count;
        d -= c->count;
        c->count = c->next_count;
        c->next_count = 0;
    }
    c->start += d - d % c->count;
}

bool pit_channel_out(const PitChannel *c, int64_t tick)
{
    int64_t d = elapsed(c, tick), n = c->count;

    if (!c->started) {
        return c->mode != 0;
    }
    switch (c->mode) {
    case 0:
    case 1:
        return d >= n;
    case 2:
        return c->stopped || d < 0 || d % n != n - 1;
    case 3:
        return c->stopped || d < 0 || d % n < (n + 1) / 2;
    default:
        return d != n;
    }
}

static uint16_t to_bcd(unsigned v)
{
    return v / 1000 % 10 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10;
}

uint16_t pit_channel_count(const PitChannel *c, int64_t tick)
{
    int64_t d = elapsed(c, tick), n = c->count, v;

    if (!c->started || d < 0) {
        v = n;
    } else if (c->mode == 2) {
        v = n - d % n;
    } else if (c->mode == 3) {
        /* Counts down by twos, twice: an odd count begins with one less, and its high half lasts a tick longer. */
        int64_t half = (n + 1) / 2, phase = d % n;

        v = (n & ~1) - 2 * (phase < half ? phase : phase - half);
    } else {
        v = (n - d) % modulus(c); /* goes on below 0 */
        v += v < 0 ? modulus(c) : 0;
    }
    return c->bcd ? to_bcd(v) : v;
}

int64_t pit_channel_last_rise(const PitChannel *c, int64_t tick)
{
    int64_t d = elapsed(c, tick), n = c->count;

    if (!c->started) {
        return -1;
    }
    switch (c->mode) {
    case 0:
    case 1:
        return d >= n ? tick - (d - n) : -1;
    case 2:
    case 3:
        /* With a count of 1 the output does not move. */
        return d >= n && n > 1 ? tick - d % n : -1;
    default:
        return d > n ? tick - (d - n - 1) : -1;
    }
}

int64_t pit_channel_next(const PitChannel *c, int64_t tick)
{
    int64_t d = elapsed(c, tick), n = c->count, phase;

    if (!c->started || c->stopped || (n == 1 && is_periodic(c))) {
        return -1;
    }
    if (d < 0) {
        d = 0;
    }
    switch (c->mode) {
    case 0:
    case 1:
        return d < n ? c->start + n : -1;
    case 2:
        return c->start + d - d % n + n;
    case 3:
        phase = d % n;
        return c->start + d - phase + (phase < (n + 1) / 2 ? (n + 1) / 2 : n);
    default:
        return d <= n ? c->start + n + 1 : -1;
    }
}

void pit_channel_control(PitChannel *c, uint8_t control, int64_t now)
{
    unsigned mode = control >> 1 & 7;

    c->rw = control >> 4 & 3;
    c->mode = mode > 5 ? mode - 4 : mode; /* "Control word format": bit 2 of modes 2 and 3 is don't care */
    c->bcd = control & 1;
    c->write_high = c->read_high = c->rw == 2;
    c->has_count = false;
    c->started = false;
    c->stopped = false;
    c->elapsed = 0;
    c->next_count = 0;
    c->latched = 0;
    c->status_latched = false;
}

/* The counting element is loaded at the tick after the write or the trigger. */
static void load(PitChannel *c, int64_t now)
{
    c->start = now + 1;
    c->started = true;
    c->stopped = false;
    c->elapsed = 0;
}

static void new_count(PitChannel *c, uint16_t value, int64_t now)
{
    uint32_t count = c->bcd ? (value >> 12) * 1000 + (value >> 8 & 15) * 100 + (value >> 4 & 15) * 10 + (value & 15)
                            : value;

    /* Digits above 9 mean nothing; do not let them pass the largest count. */
    count = count == 0 || (c->bcd && count > BCD_COUNTS) ? modulus(c) : count;
    c->has_count = true;
    if (c->started && is_periodic(c) && !c->stopped) {
        c->next_count = count;
        return;
    }
    c->next_count = 0;
    if (c->mode == 1 || c->mode == 5) {
        /* "does not affect the current one-shot": used from the next trigger on. */
        if (c->started) {
            c->next_count = count;
        } else {
            c->count = count;
        }
        return;
    }
    c->count = count;
    load(c, now);
    if (!c->gate) {
        c->stopped = true;
    }
}

void pit_channel_write(PitChannel *c, uint8_t value, int64_t now)
{
    pit_channel_sync(c, now);
    switch (c->rw) {
    case 1:
        new_count(c, value, now);
        break;
    case 2:
        new_count(c, value << 8, now);
        break;
    default:
        if (!c->write_high) {
            c->low = value;
            c->write_high = true;
            if (c->mode == 0) { /* "writing the first byte disables counting"; output low */
                c->started = false;
            }
        } else {
            c->write_high = false;
            new_count(c, value << 8 | c->low, now);
        }
    }
}

uint8_t pit_channel_read(PitChannel *c, int64_t now)
{
    uint16_t value;

    pit_channel_sync(c, now);
    if (c->status_latched) { /* "the first read returns the latched status" */
        c->status_latched = false;
        return c->status;
    }
    value = c->latched ? c->latch : pit_channel_count(c, now);
    if (c->latched) {
        c->latched--;
    }
    if (c->rw == 3) {
        c->read_high = !c->read_high;
        return c->read_high ? value : value >> 8;
    }
    return c->rw == 2 ? value >> 8 : value;
}

void pit_channel_latch_count(PitChannel *c, int64_t now)
{
    pit_channel_sync(c, now);
    if (c->latched) {
        return; /* "the second latch command is ignored" until it was read */
    }
    c->latch = pit_channel_count(c, now);
    c->latched = c->rw == 3 ? 2 : 1;
    c->read_high = c->rw == 2;
}

void pit_channel_latch_status(PitChannel *c, int64_t now)
{
    bool null;

    pit_channel_sync(c, now);
    if (c->status_latched) {
        return;
    }
    null = !c->started || c->next_count || elapsed(c, now) < 0;
    c->status_latched = true;
    c->status = (pit_channel_out(c, now) ? STATUS_OUT : 0) | (null ? STATUS_NULL : 0) | c->rw << 4 | c->mode << 1 |
                c->bcd;
}

void pit_channel_set_gate(PitChannel *c, bool level, int64_t now)
{
    bool rise = level && !c->gate, fall = !level && c->gate;

    pit_channel_sync(c, now);
    c->gate = level;
    if ((c->mode == 1 || c->mode == 5) && rise && c->has_count) { /* trigger */
        c->count = c->next_count ? c->next_count : c->count;
        c->next_count = 0;
        load(c, now);
    } else if (c->started && fall && c->mode != 1 && c->mode != 5) {
        int64_t d = elapsed(c, now);

        c->elapsed = d < 0 ? 0 : d;
        c->stopped = true;
    } else if (c->started && rise && c->stopped) {
        if (is_periodic(c)) { /* "a trigger reloads the counter" */
            c->count = c->next_count ? c->next_count : c->count;
            c->next_count = 0;
            load(c, now);
        } else {
            c->stopped = false;
            c->start = now - c->elapsed;
            c->elapsed = 0;
        }
    }
}
