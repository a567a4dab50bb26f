/*
 * Clocks of a machine, and timers on them. Times are int64_t nanoseconds.
 *
 * A ClockGroup belongs to one machine (or tool) and has a clock of each kind:
 *   CLOCK_REALTIME_NS  monotonic host time, always runs: user interface, network time-outs
 *   CLOCK_HOST_NS      the host's calendar (since 1970): a real-time clock chip that follows the host
 *   CLOCK_VIRTUAL_NS   the guest's time, from 0: stands while the machine is paused, and may be stepped by
 *                      the qtest accelerator or computed from executed instructions
 *
 *     ClockGroup g;
 *     clock_group_init(&g);                                // virtual time stands at 0
 *     Clock *vm = &g.clocks[CLOCK_VIRTUAL_NS];
 *     timer_init(&pit->timer, vm, &pit->st.deadline, pit_tick, pit);
 *     clock_group_start(&g);                               // "cont"
 *     timer_arm(&pit->timer, clock_ns(vm) + period);
 *     ...the loop calls clock_run_timers(vm, now or later)...
 *     clock_group_stop(&g);                                // "stop"
 *
 * A timer's deadline lives in the owner's state (-1: not armed), so it is saved and loaded with it; after loading,
 * timer_rearm_from_field puts the timer back. Timers run in order of deadline, those with the same one in the order
 * they were armed. Arming is O(log n), allocates nothing and may be done by any thread.
 *
 * Locks: domain (if set) -> clock's own lock (LOCK_CLOCK). Callbacks run with the domain held and without the
 * clock's lock; they may arm, cancel and finish timers, their own too. A thread that holds the domain and
 * cancels a timer knows that its callback is not running and will not run.
 */
#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "util/list.h"
#include "util/thread.h"

typedef struct Clock Clock;
typedef struct ClockGroup ClockGroup;
typedef struct Timer Timer;

typedef enum { CLOCK_REALTIME_NS, CLOCK_HOST_NS, CLOCK_VIRTUAL_NS, CLOCK_KINDS } ClockKind;

enum {
    TIMER_OFF = -1,        /* deadline of a timer that is not armed */
    CLOCK_RUN_LIMIT = 64,  /* most callbacks of one clock_run_timers call */
};

struct Timer {
    Clock *clock;
    int64_t *deadline;     /* in the owner's state; written under the clock's lock, read atomically */
    void (*cb)(void *opaque);
    void *opaque;
    int64_t key;           /* deadline as queued */
    uint64_t seq;          /* order among equal deadlines */
    uint32_t slot;         /* position in clock->heap, from 1; 0: not armed */
};

struct Clock {
    ClockGroup *group;
    ClockKind kind;
    ListLink in_group;
    FairMutex *domain;     /* taken around callbacks; NULL: none. Constant after setup */
    /* Called without locks when the earliest deadline moved nearer or time jumped. Constant after setup. */
    void (*notify)(void *opaque);
    void *notify_opaque;

    Mutex lock;            /* LOCK_CLOCK; guards all below and the timers' keys */
    Timer **heap;          /* [1..armed]; smallest (key, seq) first */
    uint32_t armed, attached, capacity;
    uint64_t next_seq;
    int64_t first;         /* key of the earliest timer, INT64_MAX when none; read without the lock */
};

struct ClockGroup {
    Clock clocks[CLOCK_KINDS];
    Mutex lock;            /* LOCK_UNORDERED; guards the list, serializes changes of virtual time */
    List all;              /* clocks and queues of clock_init */
    /* Virtual time, read under a sequence count: running: host monotonic + offset; else: at. */
    uint32_t seq;
    bool running;
    bool manual;           /* moves by clock_group_step only, even while running */
    int64_t offset, at;
    int64_t (*source)(void *opaque); /* instead of host time while running; NULL: none */
    void *source_opaque;
};

void clock_group_init(ClockGroup *g);
/* All timers must be finished or cancelled. */
void clock_group_finish(ClockGroup *g);

/* Virtual time runs, from where it stands; and stands. Repeating is harmless. */
void clock_group_start(ClockGroup *g);
void clock_group_stop(ClockGroup *g);
/* Virtual time becomes now_ns: load of a saved machine. Does not run timers. */
void clock_group_set(ClockGroup *g, int64_t now_ns);
/* Virtual time moves only by clock_group_step from now on (qtest). */
void clock_group_set_manual(ClockGroup *g);
/*
 * Virtual time is fn(opaque) while the group runs (icount); fn must never go back, is called by any thread, and starts
 * from any value: only its differences count. NULL returns to host time. The time shown does not jump.
 */
void clock_group_set_source(ClockGroup *g, int64_t (*fn)(void *opaque), void *opaque);
/*
 * Manual mode: moves virtual time to now_ns, stopping at each deadline of the group's own virtual clock on the way to
 * run its timers at their time. Earlier than the present: nothing. The caller does not hold the domain.
 */
void clock_group_step(ClockGroup *g, int64_t now_ns);

/* Time of the clock. Lock-free. */
int64_t clock_ns(Clock *c);

/*
 * Another queue of timers with the time of a clock in g, for a loop of its own (an iothread). Not for the group's own
 * clocks, which clock_group_init made. Finish before the group.
 */
void clock_init(Clock *c, ClockGroup *g, ClockKind kind);
void clock_finish(Clock *c);

/* The lock that callbacks run under. Before any timer is armed. */
void clock_set_domain(Clock *c, FairMutex *domain);
/* Who is told that clock_next_host_deadline changed; NULL: nobody. util/loop.h does this. */
void clock_set_notify(Clock *c, void (*notify)(void *opaque), void *opaque);

/* Earliest deadline in the clock's time; -1 when no timer is armed. Lock-free. */
int64_t clock_next_deadline(const Clock *c);
/*
 * When to call clock_run_timers, in host monotonic time (clock_host_monotonic_ns): a time in the past when due
 * now; -1 for not before notify (nothing armed, or time stands, or is not the host's).
 */
int64_t clock_next_host_deadline(Clock *c);
int64_t clock_host_monotonic_ns(void);

/*
 * Runs the timers that are due at the time of entry, CLOCK_RUN_LIMIT at most: a guest that re-arms a timer in the past
 * gets its share and no more, and the domain is released between callbacks. True iff more are due.
 */
bool clock_run_timers(Clock *c);

/*
 * cb(opaque) is called when the clock reaches *deadline, which must outlive the timer and is TIMER_OFF by then.
 * Leaves *deadline alone: it may already have been loaded. t->deadline may be a field of the owner's `st`.
 */
void timer_init(Timer *t, Clock *c, int64_t *deadline, void (*cb)(void *opaque), void *opaque);
/* Cancels; *deadline becomes TIMER_OFF. A zeroed timer is fine. */
void timer_finish(Timer *t);
/* Fires at deadline_ns (negative: as 0). Moves it when armed already. */
void timer_arm(Timer *t, int64_t deadline_ns);
void timer_cancel(Timer *t);
/* Arms or cancels by the value of the field: after load and reset. */
void timer_rearm_from_field(Timer *t);
static inline bool timer_is_armed(const Timer *t)
{
    return __atomic_load_n(t->deadline, __ATOMIC_RELAXED) >= 0;
}

/* a * b / c without overflow in between, rounded down; UINT64_MAX when the result does not fit or c is 0. */
static inline uint64_t muldiv64(uint64_t a, uint64_t b, uint64_t c)
{
    unsigned __int128 q;

    if (c == 0) {
        return UINT64_MAX;
    }
    q = (unsigned __int128)a * b / c;
    return q > UINT64_MAX ? UINT64_MAX : (uint64_t)q;
}

#endif
