/*
 * Timer of the local APIC: SDM vol. 3, 10.5.4. It counts virtual time at 1 GHz before division, which is what guests of
 * QEMU's machines measure. The count is a function of time; a host timer is armed only while an interrupt is wanted.
 */
#include "hw/intc/apic-internal.h"

enum { PERIODIC_MIN_NS = 20000 }; /* shorter periods run together: a guest must not keep the host busy */

static int64_t now_ns(const Apic *s)
{
    return clock_ns(&apic_machine(s)->clocks.clocks[CLOCK_VIRTUAL_NS]);
}

static unsigned lvt_mode(const Apic *s)
{
    return s->st.lvt[LVT_TIMER] >> LVT_TIMER_SHIFT & 3;
}

/* Figure 10-10: bits 3, 1, 0 give 2, 4, ... 128, 1. */
unsigned apic_timer_divide_shift(uint32_t divide)
{
    unsigned v = (divide & 3) | (divide & 8) >> 1;

    return (v + 1) & 7;
}

static int64_t period_ns(const Apic *s)
{
    return (int64_t)s->st.initial_count << apic_timer_divide_shift(s->st.divide);
}

bool apic_timer_has_deadline(const Apic *s)
{
    return s->vcpu->arch->time_of_stamp;
}

static void arm_deadline(Apic *s)
{
    if (s->st.tsc_deadline && !(s->st.lvt[LVT_TIMER] & LVT_MASKED)) {
        timer_arm(&s->timer, s->vcpu->arch->time_of_stamp(s->vcpu, s->st.tsc_deadline));
    } else {
        timer_cancel(&s->timer);
    }
}

/* Under timer_lock: for the first expiry after now. */
static void arm(Apic *s)
{
    int64_t now = now_ns(s), period = period_ns(s), next;
    unsigned mode = lvt_mode(s);

    if (mode == TIMER_DEADLINE) {
        arm_deadline(s);
        return;
    }
    if (period == 0 || s->st.lvt[LVT_TIMER] & LVT_MASKED) {
        timer_cancel(&s->timer);
        return;
    }
    next = s->st.count_start + period;
    if (mode == TIMER_PERIODIC) {
        if (next <= now) {
            next = now - (now - s->st.count_start) % period + period;
        }
        if (period < PERIODIC_MIN_NS && next < now + PERIODIC_MIN_NS) {
            next = now + PERIODIC_MIN_NS;
        }
    } else if (next <= now) {
        timer_cancel(&s->timer); /* has expired, and the interrupt was delivered or masked */
        return;
    }
    timer_arm(&s->timer, next);
}

uint32_t apic_timer_current(Apic *s)
{
    uint32_t count = 0;

    WITH_MUTEX (&s->timer_lock) {
        int64_t passed = (now_ns(s) - s->st.count_start) >> apic_timer_divide_shift(s->st.divide);
        uint32_t initial = s->st.initial_count;

        if (lvt_mode(s) == TIMER_PERIODIC && initial) {
            count = initial - passed % initial;
        } else if (lvt_mode(s) == TIMER_ONE_SHOT && passed < initial) {
            count = initial - passed;
        }
    }
    return count;
}

void apic_timer_set_initial(Apic *s, uint32_t count)
{
    WITH_MUTEX (&s->timer_lock) {
        if (lvt_mode(s) != TIMER_DEADLINE) { /* 10.5.4.1: ignored in deadline mode */
            s->st.initial_count = count;
            s->st.count_start = now_ns(s);
            arm(s);
        }
    }
}

void apic_timer_set_divide(Apic *s, uint32_t value)
{
    WITH_MUTEX (&s->timer_lock) {
        int64_t now = now_ns(s), passed = (now - s->st.count_start) >> apic_timer_divide_shift(s->st.divide);
        uint32_t initial = s->st.initial_count;

        /* What has been counted stays counted; the rest goes on at the new rate. */
        if (initial && lvt_mode(s) == TIMER_PERIODIC) {
            passed %= initial;
        }
        s->st.divide = value & 11;
        if (passed < initial) {
            int64_t start = now - (passed << apic_timer_divide_shift(s->st.divide));

            s->st.count_start = start < 0 ? 0 : start;
        }
        arm(s);
    }
}

void apic_timer_set_lvt(Apic *s, uint32_t value)
{
    WITH_MUTEX (&s->timer_lock) {
        unsigned before = lvt_mode(s), mode = value >> LVT_TIMER_SHIFT & 3;

        apic_store(&s->st.lvt[LVT_TIMER], value);
        if (before != mode && (before == TIMER_DEADLINE || mode == TIMER_DEADLINE)) {
            s->st.tsc_deadline = 0; /* 10.5.4.1: a change of this mode disarms the timer */
            s->st.initial_count = 0;
        }
        arm(s);
    }
}

uint64_t apic_timer_get_deadline(Apic *s)
{
    uint64_t value = 0;

    WITH_MUTEX (&s->timer_lock) {
        value = s->st.tsc_deadline;
    }
    return value;
}

void apic_timer_set_deadline(Apic *s, uint64_t tsc)
{
    WITH_MUTEX (&s->timer_lock) {
        if (lvt_mode(s) == TIMER_DEADLINE) {
            s->st.tsc_deadline = tsc;
            arm(s);
        }
    }
}

void apic_timer_cb(void *opaque)
{
    Apic *s = opaque;
    bool fire = false;

    WITH_MUTEX (&s->timer_lock) {
        /* The guest may have reprogrammed it while we waited for the lock. */
        if (!timer_is_armed(&s->timer)) {
            fire = !(s->st.lvt[LVT_TIMER] & LVT_MASKED);
            if (lvt_mode(s) == TIMER_DEADLINE && s->st.tsc_deadline &&
                s->vcpu->arch->time_of_stamp(s->vcpu, s->st.tsc_deadline) > now_ns(s)) {
                fire = false; /* the guest has set its counter back since */
                arm(s);
            } else if (lvt_mode(s) == TIMER_DEADLINE) {
                fire = fire && s->st.tsc_deadline;
                s->st.tsc_deadline = 0;
            } else {
                fire = fire && s->st.initial_count;
                arm(s);
            }
        }
    }
    if (fire) {
        apic_lvt_deliver(s, LVT_TIMER);
    }
}
