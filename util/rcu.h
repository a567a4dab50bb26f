/*
 * Data that is read without locks and freed when no reader can still see it: one wrapper of liburcu's memb flavour.
 *
 *     // reader, any registered thread; may nest; must not sleep long, wait for grace periods, or yield a coroutine
 *     rcu_enter();
 *     MemoryMap *map = rcu_load(&as->map);
 *     ... use map ...
 *     rcu_leave();
 *
 *     // writer, one at a time by its own lock
 *     MemoryMap *old = as->map;
 *     rcu_store(&as->map, new_map);
 *     rcu_call(&old->rcu, map_free);          // map_free(RcuHead *) runs later, in another thread
 *
 * Threads of thread_start() are registered; the main thread and foreign ones call rcu_thread_register themselves.
 * memb was chosen over qsbr: entering costs a few plain instructions (the writer does the barrier by
 * membarrier(2)), and a vCPU needs no quiescent points in generated code. rcu-test prints the cost.
 * TSan does not see inside liburcu: the happens-before edges are told to it here, and what liburcu does for itself is left
 * out by TSAN_OPTIONS=suppressions=util/tsan.supp.
 */
#ifndef UTIL_RCU_H
#define UTIL_RCU_H

#include "util/sanitize.h"

/* Enter and leave inline: 1 ns instead of 7. */
#if !defined(BUILT_WITH_TSAN) && !defined(_LGPL_SOURCE)
#define _LGPL_SOURCE
#endif
#define URCU_NO_COMPAT_IDENTIFIERS
#include <urcu/urcu-memb.h>

typedef struct rcu_head RcuHead;

#ifdef BUILT_WITH_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
extern char rcu_tsan_grace_period;
#define RCU_TSAN_LEAVE() __tsan_release(&rcu_tsan_grace_period)
#define RCU_TSAN_GRACE() __tsan_acquire(&rcu_tsan_grace_period)
#else
#define RCU_TSAN_LEAVE() ((void)0)
#define RCU_TSAN_GRACE() ((void)0)
#endif

static inline void rcu_enter(void)
{
    urcu_memb_read_lock();
}

static inline void rcu_leave(void)
{
    RCU_TSAN_LEAVE();
    urcu_memb_read_unlock();
}

/* Reads a pointer that writers publish; what it points to is complete. Between rcu_enter and rcu_leave. */
#define rcu_load(pp) __atomic_load_n(pp, __ATOMIC_ACQUIRE)
/* Publishes a pointer. */
#define rcu_store(pp, p) __atomic_store_n(pp, p, __ATOMIC_RELEASE)

void rcu_thread_register(void);
void rcu_thread_unregister(void);

/* Runs fn(head) in a thread of liburcu's when all readers of now are gone. Never blocks. */
void rcu_call(RcuHead *head, void (*fn)(RcuHead *head));
/* Waits until all readers of now are gone. Not inside rcu_enter. */
void rcu_wait(void);
/* Waits until all rcu_call callbacks given so far have run. */
void rcu_flush(void);

/* Around fork() when the child goes on without exec: prepare before; then parent or child. */
void rcu_fork_prepare(void);
void rcu_fork_parent(void);
void rcu_fork_child(void);

#endif
