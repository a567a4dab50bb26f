/* RCU: see util/rcu.h. */
#include "util/rcu.h"

#include <stdlib.h>

#ifdef BUILT_WITH_TSAN
char rcu_tsan_grace_period;
#endif

void rcu_thread_register(void)
{
    urcu_memb_register_thread();
}

void rcu_thread_unregister(void)
{
    urcu_memb_unregister_thread();
}

#ifdef BUILT_WITH_TSAN
/* A callback's function is wrapped to tell TSan of the grace period, so it needs a place: the heap. */
typedef struct {
    RcuHead own;
    RcuHead *head;
    void (*fn)(RcuHead *head);
} Deferred;

static void deferred_run(RcuHead *own)
{
    Deferred *d = (Deferred *)own;

    __tsan_acquire(d);
    RCU_TSAN_GRACE();
    d->fn(d->head);
    RCU_TSAN_LEAVE(); /* rcu_flush comes after */
    free(d);
}

void rcu_call(RcuHead *head, void (*fn)(RcuHead *head))
{
    Deferred *d = malloc(sizeof(*d));

    if (!d) {
        abort();
    }
    d->head = head;
    d->fn = fn;
    __tsan_release(d);
    urcu_memb_call_rcu(&d->own, deferred_run);
}
#else
void rcu_call(RcuHead *head, void (*fn)(RcuHead *head))
{
    urcu_memb_call_rcu(head, fn);
}
#endif

void rcu_wait(void)
{
    urcu_memb_synchronize_rcu();
    RCU_TSAN_GRACE();
}

void rcu_flush(void)
{
    urcu_memb_barrier();
    RCU_TSAN_GRACE();
}

void rcu_fork_prepare(void)
{
    urcu_memb_call_rcu_before_fork();
}

void rcu_fork_parent(void)
{
    urcu_memb_call_rcu_after_fork_parent();
}

void rcu_fork_child(void)
{
    urcu_memb_call_rcu_after_fork_child();
}
