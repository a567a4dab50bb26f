/* Tests of util/thread.h and util/rcu.h. */
#include "util/thread.h"

#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"
#include "util/rcu.h"

enum { THREADS = 4, FAIR_ADDS = 20000 };

typedef struct {
    Mutex m;
    FairMutex fair;
    Cond c;
    uint64_t plain;  /* guarded by m or fair */
    int turn;        /* guarded by m */
    Event ready, go;
} Shared;

static Shared s;

static void add_locked(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        WITH_MUTEX (&s.m) {
            s.plain++;
        }
    }
}

static void add_fair(void *arg)
{
    for (int i = 0; i < FAIR_ADDS; i++) {
        fair_mutex_lock(&s.fair);
        g_assert_true(fair_mutex_is_held(&s.fair));
        s.plain++;
        fair_mutex_unlock(&s.fair);
    }
}

static void run_threads(void (*fn)(void *arg), void *arg)
{
    Thread t[THREADS];

    for (int i = 0; i < THREADS; i++) {
        thread_start(&t[i], "test", fn, arg, &error_abort);
    }
    for (int i = 0; i < THREADS; i++) {
        thread_join(&t[i]);
    }
}

static void test_mutex(void)
{
    s.plain = 0;
    mutex_init(&s.m, LOCK_LEAF);
    run_threads(add_locked, NULL);
    g_assert_cmpuint(s.plain, ==, THREADS * 20000);
    g_assert_true(mutex_trylock(&s.m));
    g_assert_true(mutex_is_held(&s.m));
    mutex_unlock(&s.m);
    g_assert_false(mutex_is_held(&s.m));
    mutex_finish(&s.m);

    s.plain = 0;
    fair_mutex_init(&s.fair, LOCK_MACHINE);
    run_threads(add_fair, NULL);
    g_assert_cmpuint(s.plain, ==, THREADS * FAIR_ADDS);
    fair_mutex_finish(&s.fair);
}

static void grab_once(void *arg)
{
    event_set(&s.ready);
    fair_mutex_lock(&s.fair);
    __atomic_store_n(&s.plain, 1, __ATOMIC_RELAXED);
    fair_mutex_unlock(&s.fair);
}

/* A thread that takes the lock again and again does not keep another out. */
static void test_fair(void)
{
    Thread t;

    s.plain = 0;
    s.ready = (Event){ 0 };
    fair_mutex_init(&s.fair, LOCK_MACHINE);
    fair_mutex_lock(&s.fair);
    thread_start(&t, "grab", grab_once, NULL, &error_abort);
    event_wait(&s.ready);
    for (bool queued = false; !queued; g_usleep(100)) {
        WITH_MUTEX (&s.fair.lock) {
            queued = s.fair.first;
        }
    }
    g_usleep(FAIR_MUTEX_PATIENCE_NS / 1000);
    fair_mutex_unlock(&s.fair);
    fair_mutex_lock(&s.fair); /* comes after the one that waited */
    g_assert_cmpuint(__atomic_load_n(&s.plain, __ATOMIC_RELAXED), ==, 1);
    fair_mutex_unlock(&s.fair);
    thread_join(&t);
    fair_mutex_finish(&s.fair);
}

/* Taking locks against the order, or twice, aborts with a message. */
static void wrong_order(void)
{
    Mutex leaf, loop;

    mutex_init(&leaf, LOCK_LEAF);
    mutex_init(&loop, LOCK_LOOP);
    mutex_lock(&loop);
    mutex_lock(&leaf);
    mutex_unlock(&leaf);
    mutex_unlock(&loop);
    mutex_lock(&leaf);
    mutex_lock(&loop);
}

static void test_order(void)
{
    if (g_test_subprocess()) {
        wrong_order();
        exit(0);
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*lock order: taking level*");
}

static void ping_pong(void *arg)
{
    for (int i = 0; i < 500; i++) {
        mutex_lock(&s.m);
        while (s.turn != 1) {
            cond_wait(&s.c, &s.m);
        }
        s.turn = 0;
        cond_broadcast(&s.c);
        mutex_unlock(&s.m);
    }
}

static void test_cond(void)
{
    Thread t;
    int64_t start;

    s.turn = 0;
    mutex_init(&s.m, LOCK_LEAF);
    cond_init(&s.c);
    thread_start(&t, "pong", ping_pong, NULL, &error_abort);
    for (int i = 0; i < 500; i++) {
        mutex_lock(&s.m);
        while (s.turn != 0) {
            cond_wait(&s.c, &s.m);
        }
        s.turn = 1;
        cond_signal(&s.c);
        mutex_unlock(&s.m);
    }
    thread_join(&t);
    mutex_lock(&s.m);
    start = clock_host_monotonic_ns();
    while (cond_wait_until(&s.c, &s.m, start + 2000000)) {
    }
    g_assert_cmpint(clock_host_monotonic_ns() - start, >=, 2000000);
    g_assert_true(mutex_is_held(&s.m));
    mutex_unlock(&s.m);
    cond_finish(&s.c);
    mutex_finish(&s.m);
}

static void answer(void *arg)
{
    for (int i = 0; i < 500; i++) {
        event_wait(&s.ready);
        event_reset(&s.ready);
        s.plain++; /* ordered by the events */
        event_set(&s.go);
    }
}

static void test_event(void)
{
    Thread t;

    s.plain = 0;
    s.ready = s.go = (Event){ 0 };
    g_assert_false(event_wait_timeout(&s.ready, 1000000));
    thread_start(&t, "answer", answer, NULL, &error_abort);
    for (unsigned i = 0; i < 500; i++) {
        event_set(&s.ready);
        event_wait(&s.go);
        event_reset(&s.go);
        g_assert_cmpuint(s.plain, ==, i + 1);
    }
    thread_join(&t);
    event_set(&s.go);
    g_assert_true(event_is_set(&s.go) && event_wait_timeout(&s.go, 0) && event_wait_timeout(&s.go, INT64_MAX));
}

static void look_around(void *arg)
{
    sigset_t set;
    char name[16];

    pthread_sigmask(SIG_SETMASK, NULL, &set);
    g_assert_true(sigismember(&set, SIGTERM) && sigismember(&set, SIGUSR1) && !sigismember(&set, SIGSEGV));
    pthread_getname_np(pthread_self(), name, sizeof(name));
    g_assert_cmpstr(name, ==, "a long name tha");
    *(uint32_t *)arg = thread_id();
}

static void test_thread(void)
{
    Thread t;
    sigset_t set;
    uint32_t id = 0;

    thread_start(&t, "a long name that is cut", look_around, &id, &error_abort);
    thread_join(&t);
    g_assert_true(id && id != thread_id());
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    g_assert_false(sigismember(&set, SIGTERM));
}

/* ---- RCU ---- */

typedef struct {
    RcuHead rcu;
    uint64_t a, b; /* equal; not so once freed */
} Pair;

static Pair *published;
static uint32_t freed;
static uint32_t stop;

static void pair_free(RcuHead *head)
{
    Pair *p = container_of(head, Pair, rcu);

    p->a = 1;
    p->b = 2;
    free(p);
    __atomic_fetch_add(&freed, 1, __ATOMIC_RELAXED);
}

static Pair *pair_new(uint64_t v)
{
    Pair *p = malloc(sizeof(*p));

    g_assert_nonnull(p);
    p->a = p->b = v;
    return p;
}

static void read_pairs(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        const Pair *p;

        rcu_enter();
        p = rcu_load(&published);
        g_assert_cmpuint(p->a, ==, p->b);
        rcu_enter(); /* nests */
        rcu_leave();
        g_assert_cmpuint(p->a, ==, p->b);
        rcu_leave();
    }
}

static void test_rcu(void)
{
    Thread t[2];
    Pair *old;

    published = pair_new(0);
    for (int i = 0; i < 2; i++) {
        thread_start(&t[i], "reader", read_pairs, NULL, &error_abort);
    }
    for (unsigned i = 1; i <= 3000; i++) {
        old = published;
        rcu_store(&published, pair_new(i));
        if (i % 300) {
            rcu_call(&old->rcu, pair_free);
        } else {
            rcu_wait();
            pair_free(&old->rcu);
        }
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    thread_join(&t[0]);
    thread_join(&t[1]);
    rcu_flush();
    g_assert_cmpuint(freed, ==, 3000);
    pair_free(&published->rcu);
}

static void test_cost(void)
{
    enum { N = 1000000 };
    int64_t t0 = clock_host_monotonic_ns(), t1, t2, t3, t4;
    Mutex m;

    for (int i = 0; i < N; i++) {
        rcu_enter();
        rcu_leave();
    }
    t1 = clock_host_monotonic_ns();
    mutex_init(&m, LOCK_LEAF);
    for (int i = 0; i < N; i++) {
        mutex_lock(&m);
        mutex_unlock(&m);
    }
    t2 = clock_host_monotonic_ns();
    mutex_finish(&m);
    fair_mutex_init(&s.fair, LOCK_MACHINE);
    t3 = clock_host_monotonic_ns();
    run_threads(add_fair, NULL);
    t4 = clock_host_monotonic_ns();
    fair_mutex_finish(&s.fair);
    g_test_message("fair mutex, %d threads: %.1f ns", THREADS, (double)(t4 - t3) / (THREADS * FAIR_ADDS));
    g_test_message("rcu enter+leave %.1f ns, mutex lock+unlock %.1f ns", (double)(t1 - t0) / N,
                   (double)(t2 - t1) / N);
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    rcu_thread_register();
    g_test_add_func("/thread/mutex", test_mutex);
    g_test_add_func("/thread/fair", test_fair);
    g_test_add_func("/thread/order", test_order);
    g_test_add_func("/thread/cond", test_cond);
    g_test_add_func("/thread/event", test_event);
    g_test_add_func("/thread/start", test_thread);
    g_test_add_func("/rcu/free", test_rcu);
    g_test_add_func("/rcu/cost", test_cost);
    ret = g_test_run();
    rcu_thread_unregister();
    return ret;
}
