/*
 * Waiting in coroutines: sleeps, descriptors, CoMutex, CoQueue, CoRwLock. See util/coroutine.h.
 *
 * A waiter's record is on its own stack; once it is off the list and its lock released, only its coroutine's
 * pointer, copied before, may be used.
 */
#include "util/coroutine.h"

typedef struct {
    ListLink link;
    Coroutine *co;
    bool writer; /* CoRwLock */
} Waiter;

/* ---- Time and descriptors ---- */

static void wake_sleeper(void *opaque)
{
    co_wake(opaque);
}

/* now + ns, with ends. */
static int64_t deadline_after(Clock *c, int64_t ns)
{
    int64_t sum;

    return __builtin_add_overflow(clock_ns(c), max_of(ns, (int64_t)0), &sum) ? INT64_MAX : sum;
}

void CO_FN co_sleep(Clock *c, int64_t ns)
{
    int64_t deadline = TIMER_OFF;
    Timer timer;

    timer_init(&timer, c, &deadline, wake_sleeper, co_self());
    timer_arm(&timer, deadline_after(c, ns));
    co_yield();
    timer_finish(&timer);
}

typedef struct {
    CoSleep *sleep;
    bool passed;
} SleepUntil;

static void sleep_passed(void *opaque)
{
    SleepUntil *u = opaque;

    if (u->sleep->co) {
        u->passed = true;
        co_sleep_wake(u->sleep);
    }
}

bool CO_FN co_sleep_until(CoSleep *s, Clock *c, int64_t deadline_ns)
{
    SleepUntil u = { s, false };
    int64_t deadline = TIMER_OFF;
    Timer timer;

    assert(!s->co);
    s->co = co_self();
    timer_init(&timer, c, &deadline, sleep_passed, &u);
    timer_arm(&timer, deadline_ns);
    co_yield();
    timer_finish(&timer);
    return u.passed;
}

void co_sleep_wake(CoSleep *s)
{
    Coroutine *co = s->co;

    if (co) {
        s->co = NULL;
        co_wake(co);
    }
}

typedef struct {
    Coroutine *co;
    LoopFd *watch;
    unsigned ready;
} FdWait;

static void fd_ready(void *opaque, unsigned ready)
{
    FdWait *w = opaque;

    loop_unwatch(w->watch);
    w->ready = ready;
    co_enter(w->co);
}

unsigned CO_FN co_wait_fd(int fd, unsigned events)
{
    FdWait w = { .co = co_self() };

    w.watch = loop_watch(loop_current(), fd, events, fd_ready, &w);
    co_yield();
    return w.ready;
}

/* ---- CoMutex ---- */

void co_mutex_init(CoMutex *m)
{
    mutex_init(&m->lock, LOCK_LEAF);
    m->holder = NULL;
    list_init(&m->waiters);
}

void co_mutex_finish(CoMutex *m)
{
    assert(!m->holder && list_is_empty(&m->waiters));
    mutex_finish(&m->lock);
}

bool CO_FN co_mutex_trylock(CoMutex *m)
{
    bool taken = false;

    WITH_MUTEX (&m->lock) {
        if (!m->holder) {
            m->holder = co_self();
            taken = true;
        }
    }
    return taken;
}

void CO_FN co_mutex_lock(CoMutex *m)
{
    Waiter w = { .co = co_self() };
    bool wait = false;

    assert(w.co);
    WITH_MUTEX (&m->lock) {
        assert(m->holder != w.co);
        wait = m->holder;
        if (wait) {
            list_append(&m->waiters, &w.link);
        } else {
            m->holder = w.co;
        }
    }
    if (wait) {
        co_yield(); /* unlock makes us the holder */
    }
}

void CO_FN co_mutex_unlock(CoMutex *m)
{
    Coroutine *next = NULL;

    WITH_MUTEX (&m->lock) {
        ListLink *link = list_pop(&m->waiters);

        assert(m->holder == co_self());
        if (link) {
            next = container_of(link, Waiter, link)->co;
        }
        m->holder = next;
    }
    if (next) {
        co_wake(next);
    }
}

/* ---- CoQueue ---- */

void co_queue_init(CoQueue *q)
{
    mutex_init(&q->lock, LOCK_LEAF);
    list_init(&q->waiters);
}

void co_queue_finish(CoQueue *q)
{
    assert(list_is_empty(&q->waiters));
    mutex_finish(&q->lock);
}

void CO_FN co_queue_wait(CoQueue *q, CoMutex *m)
{
    Waiter w = { .co = co_self() };

    WITH_MUTEX (&q->lock) {
        list_append(&q->waiters, &w.link);
    }
    if (m) {
        co_mutex_unlock(m);
    }
    co_yield();
    if (m) {
        co_mutex_lock(m);
    }
}

bool co_queue_next(CoQueue *q)
{
    Coroutine *co = NULL;

    WITH_MUTEX (&q->lock) {
        ListLink *link = list_pop(&q->waiters);

        if (link) {
            co = container_of(link, Waiter, link)->co;
        }
    }
    if (co) {
        co_wake(co);
    }
    return co;
}

void co_queue_all(CoQueue *q)
{
    List woken = LIST_INIT(woken);

    WITH_MUTEX (&q->lock) {
        list_splice(&woken, &q->waiters);
    }
    for (ListLink *link; (link = list_pop(&woken));) {
        co_wake(container_of(link, Waiter, link)->co);
    }
}

bool co_queue_is_empty(CoQueue *q)
{
    bool empty = false;

    WITH_MUTEX (&q->lock) {
        empty = list_is_empty(&q->waiters);
    }
    return empty;
}

/* ---- CoRwLock ---- */

void co_rwlock_init(CoRwLock *l)
{
    mutex_init(&l->lock, LOCK_LEAF);
    l->owners = 0;
    list_init(&l->waiters);
}

void co_rwlock_finish(CoRwLock *l)
{
    assert(l->owners == 0 && list_is_empty(&l->waiters));
    mutex_finish(&l->lock);
}

static void CO_FN rwlock_take(CoRwLock *l, bool writer)
{
    Waiter w = { .co = co_self(), .writer = writer };
    bool wait = false;

    assert(w.co);
    WITH_MUTEX (&l->lock) {
        wait = !list_is_empty(&l->waiters) || (writer ? l->owners != 0 : l->owners < 0);
        if (wait) {
            list_append(&l->waiters, &w.link);
        } else {
            l->owners = writer ? -1 : l->owners + 1;
        }
    }
    if (wait) {
        co_yield(); /* unlock has counted us */
    }
}

void CO_FN co_rwlock_rdlock(CoRwLock *l)
{
    rwlock_take(l, false);
}

void CO_FN co_rwlock_wrlock(CoRwLock *l)
{
    rwlock_take(l, true);
}

void CO_FN co_rwlock_unlock(CoRwLock *l)
{
    List woken = LIST_INIT(woken);

    WITH_MUTEX (&l->lock) {
        assert(l->owners != 0);
        l->owners = l->owners < 0 ? 0 : l->owners - 1;
        /* The first waiter and, when it is a reader, the readers right behind it. */
        while (!list_is_empty(&l->waiters) && l->owners >= 0) {
            Waiter *w = container_of(list_first(&l->waiters), Waiter, link);

            if (w->writer && l->owners) {
                break;
            }
            l->owners = w->writer ? -1 : l->owners + 1;
            list_remove(&w->link);
            list_append(&woken, &w->link);
        }
    }
    for (ListLink *link; (link = list_pop(&woken));) {
        co_wake(container_of(link, Waiter, link)->co);
    }
}
