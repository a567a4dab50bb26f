/* Threads: see util/thread.h. */
#include "util/thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util/rcu.h"

#define NS_PER_S 1000000000ll

static _Thread_local uint32_t cached_tid;
/* How many locks of each level this thread holds (mutex_trylock may take a second), and the levels' bits. */
static _Thread_local uint8_t held_count[LOCK_LEVELS];
static _Thread_local uint32_t held_levels;

uint32_t thread_id(void)
{
    if (!cached_tid) {
        cached_tid = (uint32_t)gettid();
    }
    return cached_tid;
}

void thread_after_fork_child(void)
{
    cached_tid = 0;
}

/* ---- Lock order ---- */

static void order_check(unsigned level)
{
    if (level != LOCK_UNORDERED && held_levels >> level) {
        fprintf(stderr, "lock order: taking level %u with levels 0x%x held\n", level, held_levels);
        abort();
    }
}

static void order_push(unsigned level)
{
    if (level != LOCK_UNORDERED) {
        held_count[level]++;
        held_levels |= 1u << level;
    }
}

static void order_pop(unsigned level)
{
    if (level != LOCK_UNORDERED && --held_count[level] == 0) {
        held_levels &= ~(1u << level);
    }
}

/* A lock operation fails only when we use it wrongly. */
static void must(int err, const char *what)
{
    if (err) {
        fprintf(stderr, "%s: %s\n", what, strerrordesc_np(err));
        abort();
    }
}

static void owner_set(uint32_t *owner, uint32_t tid)
{
    __atomic_store_n(owner, tid, __ATOMIC_RELAXED);
}

/* ---- Mutex ---- */

void mutex_init(Mutex *m, LockLevel level)
{
    must(pthread_mutex_init(&m->m, NULL), "mutex_init");
    m->owner = 0;
    m->level = level;
}

void mutex_finish(Mutex *m)
{
    must(pthread_mutex_destroy(&m->m), "mutex_finish");
}

bool mutex_is_held(const Mutex *m)
{
    return __atomic_load_n(&m->owner, __ATOMIC_RELAXED) == thread_id();
}

void mutex_lock(Mutex *m)
{
    if (mutex_is_held(m)) {
        must(EDEADLK, "mutex_lock");
    }
    order_check(m->level);
    must(pthread_mutex_lock(&m->m), "mutex_lock");
    order_push(m->level);
    owner_set(&m->owner, thread_id());
}

bool mutex_trylock(Mutex *m)
{
    int err = pthread_mutex_trylock(&m->m);

    if (err == EBUSY) {
        return false;
    }
    must(err, "mutex_trylock");
    order_push(m->level);
    owner_set(&m->owner, thread_id());
    return true;
}

void mutex_unlock(Mutex *m)
{
    if (!mutex_is_held(m)) {
        must(EPERM, "mutex_unlock");
    }
    owner_set(&m->owner, 0);
    order_pop(m->level);
    must(pthread_mutex_unlock(&m->m), "mutex_unlock");
}

/* ---- Cond ---- */

void cond_init(Cond *c)
{
    pthread_condattr_t attr;

    must(pthread_condattr_init(&attr), "cond_init");
    must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC), "cond_init");
    must(pthread_cond_init(&c->c, &attr), "cond_init");
    must(pthread_condattr_destroy(&attr), "cond_init");
}

void cond_finish(Cond *c)
{
    must(pthread_cond_destroy(&c->c), "cond_finish");
}

/* The wait gives the mutex up: the books of who holds it follow. */
static int wait_on(Cond *c, Mutex *m, const struct timespec *until)
{
    int err;

    if (!mutex_is_held(m)) {
        must(EPERM, "cond_wait");
    }
    owner_set(&m->owner, 0);
    order_pop(m->level);
    err = until ? pthread_cond_timedwait(&c->c, &m->m, until) : pthread_cond_wait(&c->c, &m->m);
    order_push(m->level);
    owner_set(&m->owner, thread_id());
    return err;
}

void cond_wait(Cond *c, Mutex *m)
{
    must(wait_on(c, m, NULL), "cond_wait");
}

bool cond_wait_until(Cond *c, Mutex *m, int64_t deadline_ns)
{
    struct timespec ts = { deadline_ns / NS_PER_S, deadline_ns % NS_PER_S };
    int err = wait_on(c, m, &ts);

    if (err == ETIMEDOUT) {
        return false;
    }
    must(err, "cond_wait_until");
    return true;
}

void cond_signal(Cond *c)
{
    must(pthread_cond_signal(&c->c), "cond_signal");
}

void cond_broadcast(Cond *c)
{
    must(pthread_cond_broadcast(&c->c), "cond_broadcast");
}

/* ---- Event, on futex(2) ---- */

enum { EVENT_UNSET, EVENT_SET, EVENT_WAITED_FOR };

static void futex_wait(uint32_t *addr, uint32_t value, const struct timespec *timeout)
{
    syscall(SYS_futex, addr, FUTEX_WAIT_PRIVATE, value, timeout, NULL, 0);
}

void event_set(Event *e)
{
    if (__atomic_exchange_n(&e->state, EVENT_SET, __ATOMIC_SEQ_CST) == EVENT_WAITED_FOR) {
        syscall(SYS_futex, &e->state, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
    }
}

void event_reset(Event *e)
{
    uint32_t set = EVENT_SET;

    /* Waiters of an unset event stay counted. */
    __atomic_compare_exchange_n(&e->state, &set, EVENT_UNSET, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

bool event_is_set(const Event *e)
{
    return __atomic_load_n(&e->state, __ATOMIC_ACQUIRE) == EVENT_SET;
}

/* Declares that somebody waits; false when the event is set. */
static bool event_prepare_wait(Event *e)
{
    uint32_t old = EVENT_UNSET;

    return __atomic_compare_exchange_n(&e->state, &old, EVENT_WAITED_FOR, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST) ||
           old == EVENT_WAITED_FOR;
}

void event_wait(Event *e)
{
    while (event_prepare_wait(e)) {
        futex_wait(&e->state, EVENT_WAITED_FOR, NULL);
    }
}

static int64_t monotonic_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

bool event_wait_timeout(Event *e, int64_t timeout_ns)
{
    int64_t now = monotonic_ns(), end;

    if (__builtin_add_overflow(now, timeout_ns, &end)) {
        end = INT64_MAX;
    }
    while (event_prepare_wait(e)) {
        struct timespec ts = { (end - now) / NS_PER_S, (end - now) % NS_PER_S };

        if (now >= end) {
            return event_is_set(e);
        }
        futex_wait(&e->state, EVENT_WAITED_FOR, &ts);
        now = monotonic_ns();
    }
    return true;
}

/* ---- FairMutex ---- */

/* On the waiter's stack; guarded by the mutex's inner lock. */
typedef struct FairWaiter {
    struct FairWaiter *next;
    uint32_t tid;
    int64_t since;
    Event woken;
} FairWaiter;

void fair_mutex_init(FairMutex *m, LockLevel level)
{
    *m = (FairMutex){ .level = level };
    mutex_init(&m->lock, LOCK_UNORDERED);
}

void fair_mutex_finish(FairMutex *m)
{
    if (m->owner || m->first) {
        must(EBUSY, "fair_mutex_finish");
    }
    mutex_finish(&m->lock);
}

bool fair_mutex_is_held(const FairMutex *m)
{
    return __atomic_load_n(&m->owner, __ATOMIC_RELAXED) == thread_id();
}

static void fair_append(FairMutex *m, FairWaiter *w)
{
    if (m->last) {
        m->last->next = w;
    } else {
        m->first = w;
    }
    m->last = w;
}

static void fair_remove_first(FairMutex *m)
{
    m->first = m->first->next;
    if (!m->first) {
        m->last = NULL;
    }
}

/* Queues up until the mutex is handed over, or is free when it is our turn. Under m->lock. */
static void fair_wait(FairMutex *m)
{
    FairWaiter w = { .tid = thread_id(), .since = monotonic_ns() };

    fair_append(m, &w);
    for (;;) {
        mutex_unlock(&m->lock);
        event_wait(&w.woken);
        mutex_lock(&m->lock);
        if (m->owner == w.tid) {
            return; /* handed over, and off the queue */
        }
        if (!m->owner && m->first == &w) {
            fair_remove_first(m);
            owner_set(&m->owner, w.tid);
            return;
        }
        event_reset(&w.woken);
    }
}

void fair_mutex_lock(FairMutex *m)
{
    if (fair_mutex_is_held(m)) {
        must(EDEADLK, "fair_mutex_lock");
    }
    order_check(m->level);
    mutex_lock(&m->lock);
    if (m->owner) {
        fair_wait(m);
    } else {
        owner_set(&m->owner, thread_id());
    }
    mutex_unlock(&m->lock);
    order_push(m->level);
}

void fair_mutex_unlock(FairMutex *m)
{
    FairWaiter *w;

    if (!fair_mutex_is_held(m)) {
        must(EPERM, "fair_mutex_unlock");
    }
    order_pop(m->level);
    mutex_lock(&m->lock);
    owner_set(&m->owner, 0);
    w = m->first;
    if (w) {
        if (monotonic_ns() - w->since >= FAIR_MUTEX_PATIENCE_NS) {
            fair_remove_first(m);
            owner_set(&m->owner, w->tid);
        }
        event_set(&w->woken); /* under the lock: it cannot go before */
    }
    mutex_unlock(&m->lock);
}

/* ---- Thread ---- */

static void *thread_main(void *opaque)
{
    Thread *t = opaque;

    pthread_setname_np(pthread_self(), t->name);
    rcu_thread_register();
    t->fn(t->arg);
    rcu_thread_unregister();
    return NULL;
}

bool thread_start(Thread *t, const char *name, void (*fn)(void *arg), void *arg, Error **errp)
{
    sigset_t block, old;
    int err;

    t->fn = fn;
    t->arg = arg;
    snprintf(t->name, sizeof(t->name), "%s", name);
    sigfillset(&block);
    sigdelset(&block, SIGSEGV);
    sigdelset(&block, SIGBUS);
    sigdelset(&block, SIGFPE);
    sigdelset(&block, SIGILL);
    sigdelset(&block, SIGTRAP);
    pthread_sigmask(SIG_SETMASK, &block, &old);
    err = pthread_create(&t->t, NULL, thread_main, t);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return err ? error_set_errno(errp, err, "cannot start thread '%s'", name) : true;
}

void thread_join(Thread *t)
{
    must(pthread_join(t->t, NULL), "thread_join");
}
