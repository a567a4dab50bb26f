/* Clocks and timers: see util/clock.h. The timers of a clock are a 4-ary heap in an array. */
#include "util/clock.h"

#include <stdlib.h>
#include <time.h>

enum {
    HEAP_ARITY = 4,
    STEP_LIMIT = 1024, /* rounds of CLOCK_RUN_LIMIT callbacks that a step spends on one instant */
};

static int64_t host_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

int64_t clock_host_monotonic_ns(void)
{
    return host_ns(CLOCK_MONOTONIC);
}

/* ---- Virtual time ---- */

/* What virtual time is read from; the fields are read atomically under g->seq. */
typedef struct {
    bool running, manual;
    int64_t offset, at;
    int64_t (*source)(void *opaque);
    void *source_opaque;
} VirtualTime;

static VirtualTime virtual_snapshot(const ClockGroup *g)
{
    VirtualTime v;
    uint32_t seq;

    do {
        seq = __atomic_load_n(&g->seq, __ATOMIC_ACQUIRE);
        v.running = __atomic_load_n(&g->running, __ATOMIC_ACQUIRE);
        v.manual = __atomic_load_n(&g->manual, __ATOMIC_ACQUIRE);
        v.offset = __atomic_load_n(&g->offset, __ATOMIC_ACQUIRE);
        v.at = __atomic_load_n(&g->at, __ATOMIC_ACQUIRE);
        v.source = __atomic_load_n(&g->source, __ATOMIC_ACQUIRE);
        v.source_opaque = __atomic_load_n(&g->source_opaque, __ATOMIC_ACQUIRE);
    } while ((seq & 1) || __atomic_load_n(&g->seq, __ATOMIC_RELAXED) != seq);
    return v;
}

static int64_t source_ns(const VirtualTime *v)
{
    return v->source ? v->source(v->source_opaque) : clock_host_monotonic_ns();
}

static int64_t virtual_ns(const VirtualTime *v)
{
    return v->running && !v->manual ? source_ns(v) + v->offset : v->at;
}

/* Publishes v, after making its time continue at now. Under g->lock. */
static void virtual_store(ClockGroup *g, VirtualTime *v, int64_t now)
{
    v->at = now;
    v->offset = v->running && !v->manual ? now - source_ns(v) : 0;
    __atomic_store_n(&g->seq, g->seq + 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&g->running, v->running, __ATOMIC_RELEASE);
    __atomic_store_n(&g->manual, v->manual, __ATOMIC_RELEASE);
    __atomic_store_n(&g->offset, v->offset, __ATOMIC_RELEASE);
    __atomic_store_n(&g->at, v->at, __ATOMIC_RELEASE);
    __atomic_store_n(&g->source, v->source, __ATOMIC_RELEASE);
    __atomic_store_n(&g->source_opaque, v->source_opaque, __ATOMIC_RELEASE);
    __atomic_store_n(&g->seq, g->seq + 1, __ATOMIC_RELEASE);
}

static void notify_virtual(ClockGroup *g)
{
    list_foreach (Clock, c, &g->all, in_group) {
        if (c->kind == CLOCK_VIRTUAL_NS && c->notify) {
            c->notify(c->notify_opaque);
        }
    }
}

static void set_running(ClockGroup *g, bool running)
{
    WITH_MUTEX (&g->lock) {
        VirtualTime v = virtual_snapshot(g);

        if (v.running != running) {
            int64_t now = virtual_ns(&v);

            v.running = running;
            virtual_store(g, &v, now);
            notify_virtual(g);
        }
    }
}

void clock_group_start(ClockGroup *g)
{
    set_running(g, true);
}

void clock_group_stop(ClockGroup *g)
{
    set_running(g, false);
}

void clock_group_set(ClockGroup *g, int64_t now_ns)
{
    WITH_MUTEX (&g->lock) {
        VirtualTime v = virtual_snapshot(g);

        virtual_store(g, &v, now_ns);
        notify_virtual(g);
    }
}

void clock_group_set_manual(ClockGroup *g)
{
    WITH_MUTEX (&g->lock) {
        VirtualTime v = virtual_snapshot(g);
        int64_t now = virtual_ns(&v);

        v.manual = true;
        virtual_store(g, &v, now);
        notify_virtual(g);
    }
}

void clock_group_set_source(ClockGroup *g, int64_t (*fn)(void *opaque), void *opaque)
{
    WITH_MUTEX (&g->lock) {
        VirtualTime v = virtual_snapshot(g);
        int64_t now = virtual_ns(&v);

        v.source = fn;
        v.source_opaque = opaque;
        virtual_store(g, &v, now);
        notify_virtual(g);
    }
}

void clock_group_step(ClockGroup *g, int64_t now_ns)
{
    Clock *c = &g->clocks[CLOCK_VIRTUAL_NS];

    for (unsigned rounds = 0; rounds < STEP_LIMIT; rounds++) {
        int64_t now = clock_ns(c);
        int64_t next = clock_next_deadline(c);

        assert(g->manual);
        if (next < 0 || next > now_ns) {
            break;
        }
        if (next > now) {
            clock_group_set(g, next);
            rounds = 0;
        }
        clock_run_timers(c);
    }
    if (now_ns > clock_ns(c)) {
        clock_group_set(g, now_ns);
    }
}

int64_t clock_ns(Clock *c)
{
    switch (c->kind) {
    case CLOCK_REALTIME_NS:
        return clock_host_monotonic_ns();
    case CLOCK_HOST_NS:
        return host_ns(CLOCK_REALTIME);
    default: {
        VirtualTime v = virtual_snapshot(c->group);

        return virtual_ns(&v);
    }
    }
}

/* ---- Clocks ---- */

void clock_init(Clock *c, ClockGroup *g, ClockKind kind)
{
    *c = (Clock){ .group = g, .kind = kind, .first = INT64_MAX };
    mutex_init(&c->lock, LOCK_CLOCK);
    WITH_MUTEX (&g->lock) {
        list_append(&g->all, &c->in_group);
    }
}

void clock_finish(Clock *c)
{
    assert(c->armed == 0);
    WITH_MUTEX (&c->group->lock) {
        list_remove(&c->in_group);
    }
    mutex_finish(&c->lock);
    free(c->heap);
    c->heap = NULL;
}

void clock_group_init(ClockGroup *g)
{
    *g = (ClockGroup){ 0 };
    mutex_init(&g->lock, LOCK_UNORDERED);
    list_init(&g->all);
    for (unsigned k = 0; k < CLOCK_KINDS; k++) {
        clock_init(&g->clocks[k], g, k);
    }
}

void clock_group_finish(ClockGroup *g)
{
    for (unsigned k = 0; k < CLOCK_KINDS; k++) {
        clock_finish(&g->clocks[k]);
    }
    assert(list_is_empty(&g->all));
    mutex_finish(&g->lock);
}

void clock_set_domain(Clock *c, FairMutex *domain)
{
    c->domain = domain;
}

void clock_set_notify(Clock *c, void (*notify)(void *opaque), void *opaque)
{
    WITH_MUTEX (&c->group->lock) {
        c->notify = notify;
        c->notify_opaque = opaque;
    }
}

int64_t clock_next_deadline(const Clock *c)
{
    int64_t first = __atomic_load_n(&c->first, __ATOMIC_ACQUIRE);

    return first == INT64_MAX ? -1 : first;
}

static int64_t saturating_add(int64_t a, int64_t b)
{
    int64_t sum;

    if (__builtin_add_overflow(a, b, &sum)) {
        return b > 0 ? INT64_MAX : INT64_MIN;
    }
    return sum;
}

int64_t clock_next_host_deadline(Clock *c)
{
    int64_t next = clock_next_deadline(c);
    int64_t host;

    if (next < 0 || c->kind == CLOCK_REALTIME_NS) {
        return next;
    }
    if (c->kind == CLOCK_HOST_NS) {
        host = saturating_add(clock_host_monotonic_ns(), next - host_ns(CLOCK_REALTIME));
    } else {
        VirtualTime v = virtual_snapshot(c->group);

        if (!v.running || v.manual || v.source) {
            /* Time does not pass by itself, but what is due already is due. */
            return next <= virtual_ns(&v) && v.running ? 0 : -1;
        }
        host = saturating_add(next, -v.offset);
    }
    return host < 0 ? 0 : host;
}

/* ---- The heap, under c->lock ---- */

static bool before(const Timer *a, const Timer *b)
{
    return a->key != b->key ? a->key < b->key : a->seq < b->seq;
}

static void place(Clock *c, uint32_t slot, Timer *t)
{
    c->heap[slot] = t;
    t->slot = slot;
}

/* Children of slot s (from 1) are 4s-2 .. 4s+1. */
static void sift_up(Clock *c, Timer *t)
{
    uint32_t slot = t->slot;

    while (slot > 1) {
        uint32_t parent = (slot + HEAP_ARITY - 2) / HEAP_ARITY;

        if (!before(t, c->heap[parent])) {
            break;
        }
        place(c, slot, c->heap[parent]);
        slot = parent;
    }
    place(c, slot, t);
}

static void sift_down(Clock *c, Timer *t)
{
    uint32_t slot = t->slot;

    for (;;) {
        uint32_t child = HEAP_ARITY * slot - (HEAP_ARITY - 2);
        uint32_t end = child + HEAP_ARITY, best = child;

        if (child > c->armed) {
            break;
        }
        for (uint32_t i = child + 1; i < end && i <= c->armed; i++) {
            if (before(c->heap[i], c->heap[best])) {
                best = i;
            }
        }
        if (!before(c->heap[best], t)) {
            break;
        }
        place(c, slot, c->heap[best]);
        slot = best;
    }
    place(c, slot, t);
}

static void heap_remove(Clock *c, Timer *t)
{
    Timer *last = c->heap[c->armed--];

    if (last != t) {
        place(c, t->slot, last);
        sift_up(c, last);
        sift_down(c, last);
    }
    t->slot = 0;
}

static void update_first(Clock *c)
{
    __atomic_store_n(&c->first, c->armed ? c->heap[1]->key : INT64_MAX, __ATOMIC_RELEASE);
}

static void field_set(Timer *t, int64_t value)
{
    __atomic_store_n(t->deadline, value, __ATOMIC_RELAXED);
}

/* ---- Timers ---- */

void timer_init(Timer *t, Clock *c, int64_t *deadline, void (*cb)(void *opaque), void *opaque)
{
    *t = (Timer){ .clock = c, .deadline = deadline, .cb = cb, .opaque = opaque };
    WITH_MUTEX (&c->lock) {
        /* Room for all attached timers, so that arming cannot fail. Slot 0 is not used. */
        if (++c->attached >= c->capacity) {
            c->capacity = c->capacity ? c->capacity * 2 : 16;
            c->heap = realloc(c->heap, c->capacity * sizeof(*c->heap));
            if (!c->heap) {
                abort();
            }
        }
    }
}

void timer_finish(Timer *t)
{
    Clock *c = t->clock;

    if (c) {
        timer_cancel(t);
        WITH_MUTEX (&c->lock) {
            c->attached--;
        }
        t->clock = NULL;
    }
}

void timer_arm(Timer *t, int64_t deadline_ns)
{
    Clock *c = t->clock;
    bool nearer = false;

    /* INT64_MAX is "none" in c->first. */
    deadline_ns = deadline_ns < 0 ? 0 : deadline_ns == INT64_MAX ? INT64_MAX - 1 : deadline_ns;
    WITH_MUTEX (&c->lock) {
        int64_t first = c->first;

        if (t->slot) {
            heap_remove(c, t);
        }
        t->key = deadline_ns;
        t->seq = c->next_seq++;
        t->slot = ++c->armed;
        sift_up(c, t);
        field_set(t, deadline_ns);
        update_first(c);
        nearer = c->first < first;
    }
    if (nearer && c->notify) {
        c->notify(c->notify_opaque);
    }
}

void timer_cancel(Timer *t)
{
    Clock *c = t->clock;

    WITH_MUTEX (&c->lock) {
        if (t->slot) {
            heap_remove(c, t);
            update_first(c);
        }
        field_set(t, TIMER_OFF);
    }
}

void timer_rearm_from_field(Timer *t)
{
    int64_t deadline = __atomic_load_n(t->deadline, __ATOMIC_RELAXED);

    if (deadline < 0) {
        timer_cancel(t);
    } else {
        timer_arm(t, deadline);
    }
}

/* Takes the first timer off if it is due at now. Its callback and argument, or NULL. */
static void (*take_due(Clock *c, int64_t now, void **opaque))(void *)
{
    void (*cb)(void *) = NULL;

    WITH_MUTEX (&c->lock) {
        Timer *t = c->armed ? c->heap[1] : NULL;

        if (t && t->key <= now) {
            heap_remove(c, t);
            update_first(c);
            field_set(t, TIMER_OFF);
            cb = t->cb;
            *opaque = t->opaque;
        }
    }
    return cb;
}

bool clock_run_timers(Clock *c)
{
    int64_t now = clock_ns(c);

    if (c->kind == CLOCK_VIRTUAL_NS && !__atomic_load_n(&c->group->running, __ATOMIC_ACQUIRE) &&
        !__atomic_load_n(&c->group->manual, __ATOMIC_ACQUIRE)) {
        return false; /* a paused guest gets no interrupts */
    }
    for (unsigned n = 0; n < CLOCK_RUN_LIMIT; n++) {
        void *opaque;
        void (*cb)(void *);

        if (clock_next_deadline(c) < 0 || clock_next_deadline(c) > now) {
            return false;
        }
        if (c->domain) {
            fair_mutex_lock(c->domain);
        }
        cb = take_due(c, now, &opaque);
        if (cb) {
            cb(opaque); /* t may be gone after this */
        }
        if (c->domain) {
            fair_mutex_unlock(c->domain);
        }
    }
    return clock_next_deadline(c) >= 0 && clock_next_deadline(c) <= now;
}
