/*
 * Threads: mutexes with a lock order that is checked, conditions, events, threads.
 *
 *     typedef struct {
 *         Mutex lock;                       // level LOCK_LEAF
 *         List requests;                    // GUARDED_BY(lock)
 *     } Pool;
 *     mutex_init(&p->lock, LOCK_LEAF);
 *     WITH_MUTEX (&p->lock) { list_append(&p->requests, &r->link); }   // no return or break inside
 *
 * Lock order: a thread may take a lock only when its level is greater than that of all it holds.
 * This is checked whenever a lock is taken, so the first wrong nesting aborts with both levels, not only the
 * one that deadlocks. It costs two thread-local operations a lock.
 */
#ifndef UTIL_THREAD_H
#define UTIL_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

/* Says in the source which lock guards a field. */
#define GUARDED_BY(lock)

/* The order of all locks: outermost first. The one list of it. */
typedef enum {
    LOCK_UNORDERED, /* not checked: a lock that nests only inside its own module */
    LOCK_MONITOR,   /* a monitor's command */
    LOCK_MACHINE,   /* the lock domain of a machine's devices */
    LOCK_DEVICE,    /* a device with a domain of its own */
    LOCK_BLOCK,     /* block graph */
    LOCK_MEMORY,    /* building memory maps */
    LOCK_VCPU,      /* a vCPU's work queue */
    LOCK_TRANSLATE, /* the translator's region tables */
    LOCK_CLOCK,     /* timers of one clock */
    LOCK_LOOP,      /* posted work of one loop */
    LOCK_LEAF,      /* takes nothing while held */
    LOCK_LOG,       /* one log record */
    LOCK_LEVELS,
} LockLevel;

typedef struct {
    pthread_mutex_t m;
    uint32_t owner; /* thread_id() of the holder, 0 when free; written by the holder */
    uint8_t level;
} Mutex;

void mutex_init(Mutex *m, LockLevel level);
void mutex_finish(Mutex *m); /* must be free */
void mutex_lock(Mutex *m);   /* not recursive: taking it twice aborts */
bool mutex_trylock(Mutex *m); /* true iff it was taken; not subject to the order */
void mutex_unlock(Mutex *m);
/* True iff this thread holds m. */
bool mutex_is_held(const Mutex *m);

#define MUTEX_INIT(lvl) { .m = PTHREAD_MUTEX_INITIALIZER, .level = (lvl) }

#define WITH_MUTEX(mutex)                                                                         \
    for (Mutex *with_mutex_ = (mutex_lock(mutex), (mutex)); with_mutex_;                          \
         mutex_unlock(with_mutex_), with_mutex_ = NULL)

/*
 * Mutex that nobody is kept out of: one who has waited for FAIR_MUTEX_PATIENCE_NS gets it next. So a thread that releases
 * and takes it in a loop cannot starve others, and yet short waits do not make every unlock a change of
 * thread. For the machine lock, which vCPUs and the main loop share.
 */
enum { FAIR_MUTEX_PATIENCE_NS = 200000 };

typedef struct {
    Mutex lock;
    struct FairWaiter *first, *last; /* longest waiting first; GUARDED_BY(lock) */
    uint32_t owner;   /* thread_id() or 0; written under lock */
    uint8_t level;
} FairMutex;

void fair_mutex_init(FairMutex *m, LockLevel level);
void fair_mutex_finish(FairMutex *m);
void fair_mutex_lock(FairMutex *m);
void fair_mutex_unlock(FairMutex *m);
bool fair_mutex_is_held(const FairMutex *m);

typedef struct {
    pthread_cond_t c;
} Cond;

void cond_init(Cond *c);
void cond_finish(Cond *c);
/* May wake for no reason: call in a loop. */
void cond_wait(Cond *c, Mutex *m);
/* Until CLOCK_MONOTONIC deadline_ns; false when it passed. */
bool cond_wait_until(Cond *c, Mutex *m, int64_t deadline_ns);
void cond_signal(Cond *c);
void cond_broadcast(Cond *c);

/*
 * Event: a flag that threads wait for. Set stays set until event_reset; all waiters pass. Setting an event
 * that nobody waits for is one atomic operation and no system call. Zeroed is a valid unset event. What was
 * written before event_set is seen after event_wait.
 */
typedef struct {
    uint32_t state;
} Event;

void event_set(Event *e);
void event_reset(Event *e);
bool event_is_set(const Event *e);
void event_wait(Event *e);
/* True iff set within timeout_ns. */
bool event_wait_timeout(Event *e, int64_t timeout_ns);

typedef struct {
    pthread_t t;
    void (*fn)(void *arg);
    void *arg;
    char name[16];
} Thread;

/*
 * Starts fn(arg) in a thread of this name (cut to 15 bytes). *t must stay until thread_join. The thread is
 * registered for RCU, and has all signals blocked but those for its own faults, so that signals meant for the process
 * go to the main thread.
 */
bool thread_start(Thread *t, const char *name, void (*fn)(void *arg), void *arg, Error **errp);
void thread_join(Thread *t);
/* The kernel's id of this thread; never 0. */
uint32_t thread_id(void);
/* In the child of fork(): forgets the cached id. */
void thread_after_fork_child(void);

#endif
