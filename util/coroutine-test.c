/* Tests of util/coroutine.h. */
#include "util/coroutine.h"

#include <fenv.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

static int steps;

static void two_steps(void *opaque)
{
    g_assert_true(co_self() != NULL);
    steps++;
    co_yield();
    steps++;
}

static void test_yield(void)
{
    Coroutine *co = co_new(two_steps, NULL);

    steps = 0;
    g_assert_null(co_self());
    co_enter(co);
    g_assert_null(co_self());
    g_assert_cmpint(steps, ==, 1);
    co_enter(co);
    g_assert_cmpint(steps, ==, 2);
}

/* Registers and the stack survive: many coroutines at once, deep, each with its own sums. */
typedef struct {
    uint64_t seed, got;
    Coroutine *co;
    bool done;
} Sum;

static uint64_t deep_sum(uint64_t x, int depth)
{
    uint64_t local[8];

    for (int i = 0; i < 8; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        local[i] = x;
    }
    if (depth) {
        if (co_self() && x % 5 == 0) {
            co_yield();
        }
        x += deep_sum(x, depth - 1);
    }
    for (int i = 0; i < 8; i++) {
        x += local[i] * (unsigned)(i + 1);
    }
    return x;
}

static void sum_main(void *opaque)
{
    Sum *s = opaque;

    s->got = deep_sum(s->seed, 200);
    s->done = true;
}

static void test_many(void)
{
    enum { N = 200 };
    static Sum sums[N];
    int left = N;

    for (int i = 0; i < N; i++) {
        sums[i] = (Sum){ .seed = (uint64_t)g_test_rand_int() + 1 };
        sums[i].co = co_new(sum_main, &sums[i]);
    }
    while (left) {
        Sum *s = &sums[g_test_rand_int_range(0, N)];

        if (!s->done) {
            co_enter(s->co);
            left -= s->done;
        }
    }
    for (int i = 0; i < N; i++) {
        g_assert_cmpuint(sums[i].got, ==, deep_sum(sums[i].seed, 200));
    }
}

static void inner(void *opaque)
{
    co_yield();
    ++*(int *)opaque;
}

static void outer(void *opaque)
{
    Coroutine *in = co_new(inner, opaque);

    co_enter(in);
    co_yield();
    co_enter(in);
    ++*(int *)opaque;
}

static void test_nested(void)
{
    int n = 0;
    Coroutine *co = co_new(outer, &n);

    co_enter(co);
    co_enter(co);
    g_assert_cmpint(n, ==, 2);
}

/* The ABI's control bits belong to a call, so to each coroutine. */
static void round_up_mode(void *opaque)
{
    fesetround(FE_UPWARD);
    co_yield();
    g_assert_cmpint(fegetround(), ==, FE_UPWARD);
}

static void test_rounding(void)
{
    Coroutine *co = co_new(round_up_mode, NULL);

    co_enter(co);
    g_assert_cmpint(fegetround(), ==, FE_TONEAREST);
    co_enter(co);
    g_assert_cmpint(fegetround(), ==, FE_TONEAREST);
}

/* ---- With loops ---- */

typedef struct {
    Loop *loop[2];
    Thread thread;
    ClockGroup g;
    CoMutex m;
    CoQueue q;
    CoRwLock rw;
    int left;           /* GUARDED_BY(m) */
    int inside;         /* GUARDED_BY(m) */
    uint64_t counter;   /* GUARDED_BY(m) */
    int readers, writers;
    int queued;
    int pipe[2];
} World;

static void run_loop(void *opaque)
{
    loop_run(opaque);
}

static void world_init(World *w)
{
    *w = (World){ 0 };
    w->loop[0] = loop_new("a", NULL);
    w->loop[1] = loop_new("b", NULL);
    clock_group_init(&w->g);
    clock_group_start(&w->g);
    loop_add_clock(w->loop[0], &w->g.clocks[CLOCK_REALTIME_NS]);
    co_mutex_init(&w->m);
    co_queue_init(&w->q);
    co_rwlock_init(&w->rw);
    thread_start(&w->thread, "b", run_loop, w->loop[1], &error_abort);
}

static void world_finish(World *w)
{
    loop_quit(w->loop[1]);
    thread_join(&w->thread);
    co_mutex_finish(&w->m);
    co_queue_finish(&w->q);
    co_rwlock_finish(&w->rw);
    loop_remove_clock(w->loop[0], &w->g.clocks[CLOCK_REALTIME_NS]);
    clock_group_finish(&w->g);
    loop_free(w->loop[0]);
    loop_free(w->loop[1]);
}

static void enter(void *co)
{
    co_enter(co);
}

/* Starts fn in a loop and runs loop 0 until it is told to quit. */
static void world_spawn(World *w, int loop, void (*fn)(void *opaque))
{
    loop_post(w->loop[loop], enter, co_new(fn, w));
}

static void last_quits(World *w)
{
    co_mutex_lock(&w->m);
    if (--w->left == 0) {
        loop_quit(w->loop[0]);
    }
    co_mutex_unlock(&w->m);
}

static void lock_and_move(void *opaque)
{
    World *w = opaque;

    for (int i = 0; i < 100; i++) {
        co_mutex_lock(&w->m);
        g_assert_cmpint(w->inside++, ==, 0);
        w->counter++;
        if (i % 3 == 0) {
            co_pass();
        }
        if (i % 5 == 0) {
            Loop *there = loop_current() == w->loop[0] ? w->loop[1] : w->loop[0];

            co_move(there);
            g_assert_true(loop_current() == there);
        }
        w->inside--;
        co_mutex_unlock(&w->m);
    }
    last_quits(w);
}

static void test_mutex(void)
{
    World w;

    world_init(&w);
    w.left = 20;
    for (int i = 0; i < 20; i++) {
        world_spawn(&w, i & 1, lock_and_move);
    }
    loop_run(w.loop[0]);
    world_finish(&w);
    g_assert_cmpuint(w.counter, ==, 2000);
}

static void read_or_write(void *opaque)
{
    World *w = opaque;

    for (int i = 0; i < 60; i++) {
        if (i % 4) {
            co_rwlock_rdlock(&w->rw);
            __atomic_fetch_add(&w->readers, 1, __ATOMIC_SEQ_CST);
            g_assert_cmpint(__atomic_load_n(&w->writers, __ATOMIC_SEQ_CST), ==, 0);
            co_pass();
            g_assert_cmpint(__atomic_load_n(&w->writers, __ATOMIC_SEQ_CST), ==, 0);
            __atomic_fetch_sub(&w->readers, 1, __ATOMIC_SEQ_CST);
        } else {
            co_rwlock_wrlock(&w->rw);
            g_assert_cmpint(__atomic_fetch_add(&w->writers, 1, __ATOMIC_SEQ_CST), ==, 0);
            g_assert_cmpint(__atomic_load_n(&w->readers, __ATOMIC_SEQ_CST), ==, 0);
            co_pass();
            __atomic_fetch_sub(&w->writers, 1, __ATOMIC_SEQ_CST);
        }
        co_rwlock_unlock(&w->rw);
    }
    last_quits(w);
}

static void test_rwlock(void)
{
    World w;

    world_init(&w);
    w.left = 10;
    for (int i = 0; i < 10; i++) {
        world_spawn(&w, i & 1, read_or_write);
    }
    loop_run(w.loop[0]);
    world_finish(&w);
}

static void queue_waiter(void *opaque)
{
    World *w = opaque;

    co_mutex_lock(&w->m);
    w->queued++;
    co_queue_wait(&w->q, &w->m);
    w->queued--;
    co_mutex_unlock(&w->m);
    last_quits(w);
}

static void queue_waker(void *opaque)
{
    World *w = opaque;
    int queued;

    do {
        co_mutex_lock(&w->m);
        queued = w->queued;
        co_mutex_unlock(&w->m);
        co_pass();
    } while (queued < 6 || co_queue_is_empty(&w->q));
    g_assert_true(co_queue_next(&w->q));
    co_sleep(&w->g.clocks[CLOCK_REALTIME_NS], 3000000);
    co_mutex_lock(&w->m);
    g_assert_cmpint(w->queued, ==, 5); /* one was woken */
    co_mutex_unlock(&w->m);
    co_queue_all(&w->q);
    g_assert_false(co_queue_next(&w->q));
}

static void test_queue(void)
{
    World w;

    world_init(&w);
    w.left = 6;
    for (int i = 0; i < 6; i++) {
        world_spawn(&w, i & 1, queue_waiter);
    }
    world_spawn(&w, 0, queue_waker);
    loop_run(w.loop[0]);
    world_finish(&w);
}

static CoSleep early;

static void wakes_other(void *opaque)
{
    co_sleep_wake(&early);
    co_sleep_wake(&early); /* nobody sleeps any more */
}

static void sleeper(void *opaque)
{
    World *w = opaque;
    Clock *c = &w->g.clocks[CLOCK_REALTIME_NS];
    int64_t start = clock_ns(c);

    co_sleep(c, 2000000);
    g_assert_cmpint(clock_ns(c) - start, >=, 2000000);
    g_assert_true(co_sleep_until(&early, c, start + 3000000));
    g_assert_cmpint(clock_ns(c) - start, >=, 3000000);
    loop_post(w->loop[0], wakes_other, NULL);
    g_assert_false(co_sleep_until(&early, c, INT64_MAX));
    loop_quit(w->loop[0]);
}

static void test_sleep(void)
{
    World w;

    world_init(&w);
    world_spawn(&w, 0, sleeper);
    loop_run(w.loop[0]);
    world_finish(&w);
}

static void reads_pipe(void *opaque)
{
    World *w = opaque;
    char c;

    g_assert_cmpuint(co_wait_fd(w->pipe[0], LOOP_IN), ==, LOOP_IN);
    g_assert_cmpint(read(w->pipe[0], &c, 1), ==, 1);
    loop_quit(w->loop[0]);
}

static void writes_pipe(void *opaque)
{
    World *w = opaque;

    g_assert_true(co_wait_fd(w->pipe[1], LOOP_OUT) & LOOP_OUT);
    g_assert_cmpint(write(w->pipe[1], "x", 1), ==, 1);
}

static void test_fd(void)
{
    World w;

    world_init(&w);
    g_assert_cmpint(pipe(w.pipe), ==, 0);
    world_spawn(&w, 0, reads_pipe);
    world_spawn(&w, 1, writes_pipe);
    loop_run(w.loop[0]);
    world_finish(&w);
    close(w.pipe[0]);
    close(w.pipe[1]);
}

/* ---- Cost ---- */

static void yields_for_ever(void *opaque)
{
    while (!*(bool *)opaque) {
        co_yield();
    }
}

static void ends_at_once(void *opaque)
{
}

static void test_cost(void)
{
    enum { N = 300000 };
    bool stop = false;
    Coroutine *co = co_new(yields_for_ever, &stop);
    int64_t t0 = clock_host_monotonic_ns(), t1, t2;

    for (int i = 0; i < N; i++) {
        co_enter(co);
    }
    t1 = clock_host_monotonic_ns();
    for (int i = 0; i < N; i++) {
        co_enter(co_new(ends_at_once, NULL));
    }
    t2 = clock_host_monotonic_ns();
    stop = true;
    co_enter(co);
    g_test_message("enter+yield %.1f ns, create+enter+end %.1f ns", (double)(t1 - t0) / N, (double)(t2 - t1) / N);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/coroutine/yield", test_yield);
    g_test_add_func("/coroutine/many", test_many);
    g_test_add_func("/coroutine/nested", test_nested);
    g_test_add_func("/coroutine/rounding", test_rounding);
    g_test_add_func("/coroutine/mutex", test_mutex);
    g_test_add_func("/coroutine/rwlock", test_rwlock);
    g_test_add_func("/coroutine/queue", test_queue);
    g_test_add_func("/coroutine/sleep", test_sleep);
    g_test_add_func("/coroutine/fd", test_fd);
    g_test_add_func("/coroutine/cost", test_cost);
    return g_test_run();
}
