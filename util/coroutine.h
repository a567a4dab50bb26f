/*
 * Stackful coroutines: code that waits without blocking its thread. The block layer's requests, the monitor's
 * commands.
 *
 *     static void CO_FN copy(void *opaque)
 *     {
 *         Job *job = opaque;
 *         co_mutex_lock(&job->lock);
 *         while (job_more(job)) {
 *             co_sleep(job->clock, 1000000);          // others run meanwhile
 *             ...
 *         }
 *         co_mutex_unlock(&job->lock);
 *     }
 *     co_enter(co_new(copy, job));                    // runs until copy first yields or ends
 *
 * A coroutine runs in the thread that enters it and belongs to the loop which that thread runs (loop_current). Once it
 * has yielded, anybody may co_wake it, once: its loop enters it again. A coroutine is freed when its
 * function returns. It may not yield while it holds a Mutex or is inside rcu_enter. After any yield errno and pointers to
 * thread-local data are stale if the coroutine may have moved to another loop.
 *
 * Stacks are CO_STACK_SIZE with a guard page below, pooled per thread.
 */
#ifndef UTIL_COROUTINE_H
#define UTIL_COROUTINE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"
#include "util/list.h"
#include "util/loop.h"
#include "util/thread.h"

typedef struct Coroutine Coroutine;

/* Marks functions that may yield: they run in coroutines only. */
#define CO_FN

enum { CO_STACK_SIZE = 256 * 1024 };

/* Not started yet; co_enter starts it. Never NULL. */
Coroutine *co_new(void (*fn)(void *opaque), void *opaque);
/* Runs co until it yields or ends. Not for one that runs already, or waits for a wake. */
void co_enter(Coroutine *co);
/* Back to who entered; returns at the next enter. */
void CO_FN co_yield(void);
/* The running coroutine; NULL outside of any. */
Coroutine *co_self(void);

/* Has co's loop enter it, in a later round. From any thread; once for each time co waits; also before it has yielded. */
void co_wake(Coroutine *co);
/* Goes on in the thread of another loop. */
void CO_FN co_move(Loop *loop);
/* Lets the loop do other things once. */
void CO_FN co_pass(void);

/* Until `ns` of the clock's time have passed; any clock that some loop runs. */
void CO_FN co_sleep(Clock *c, int64_t ns);
/* Until fd is ready for events (LOOP_IN...); returns what it is ready for. */
unsigned CO_FN co_wait_fd(int fd, unsigned events);

/* A sleep that co_sleep_wake can end early. The sleeper's loop runs the clock, and wakers run in that loop's thread. */
typedef struct {
    Coroutine *co; /* NULL: nobody sleeps */
} CoSleep;

/* False iff it was woken early. */
bool CO_FN co_sleep_until(CoSleep *s, Clock *c, int64_t deadline_ns);
void co_sleep_wake(CoSleep *s);

/* ---- Locks that yield; for coroutines of any loops. First come, first served ---- */

typedef struct {
    Mutex lock;
    Coroutine *holder; /* GUARDED_BY(lock) */
    List waiters;      /* GUARDED_BY(lock) */
} CoMutex;

void co_mutex_init(CoMutex *m);
void co_mutex_finish(CoMutex *m);
void CO_FN co_mutex_lock(CoMutex *m);
bool CO_FN co_mutex_trylock(CoMutex *m);
/* By the coroutine that locked it. */
void CO_FN co_mutex_unlock(CoMutex *m);

/* Coroutines that wait for something to happen. */
typedef struct {
    Mutex lock;
    List waiters; /* GUARDED_BY(lock) */
} CoQueue;

void co_queue_init(CoQueue *q);
void co_queue_finish(CoQueue *q);
/* Waits for co_queue_next; m (held, or NULL) is released meanwhile and held again after. */
void CO_FN co_queue_wait(CoQueue *q, CoMutex *m);
/* Wakes the one that waits longest; false when none does. From any thread. */
bool co_queue_next(CoQueue *q);
/* Wakes all that wait now. */
void co_queue_all(CoQueue *q);
bool co_queue_is_empty(CoQueue *q);

/* Many readers or one writer; a waiting writer keeps new readers out. */
typedef struct {
    Mutex lock;
    int32_t owners; /* readers, or -1: a writer; GUARDED_BY(lock) */
    List waiters;   /* GUARDED_BY(lock) */
} CoRwLock;

void co_rwlock_init(CoRwLock *l);
void co_rwlock_finish(CoRwLock *l);
void CO_FN co_rwlock_rdlock(CoRwLock *l);
void CO_FN co_rwlock_wrlock(CoRwLock *l);
void CO_FN co_rwlock_unlock(CoRwLock *l);

#endif
