/* Tests of util/loop.h. */
#include "util/loop.h"

#include <glib.h>
#include <unistd.h>

#include "util/thread.h"

static void quit(void *opaque)
{
    loop_quit(opaque);
}

static void count_up(void *opaque)
{
    ++*(int *)opaque;
}

static void test_quit(void)
{
    Loop *loop = loop_new("test", NULL);

    g_assert_cmpstr(loop_name(loop), ==, "test");
    loop_quit(loop);
    loop_run(loop);
    loop_post(loop, quit, loop);
    loop_run(loop);
    g_assert_null(loop_current());
    loop_free(loop);
    loop_free(NULL);
}

typedef struct {
    Loop *loop;
    int got;
    int order_ok;
    int next[4];
} Posts;

typedef struct {
    Posts *p;
    int thread, n;
} Post;

static void got_post(void *opaque)
{
    Post *post = opaque;

    g_assert_true(loop_current() == post->p->loop);
    g_assert_cmpint(post->p->next[post->thread]++, ==, post->n); /* each thread's in its order */
    if (++post->p->got == 4 * 2000) {
        loop_quit(post->p->loop);
    }
    g_free(post);
}

typedef struct {
    Posts *p;
    int thread;
} Poster;

static void post_many(void *opaque)
{
    Poster *me = opaque;

    for (int i = 0; i < 2000; i++) {
        Post *post = g_new(Post, 1);

        *post = (Post){ me->p, me->thread, i };
        loop_post(me->p->loop, got_post, post);
    }
}

static void test_post(void)
{
    Posts p = { .loop = loop_new("test", NULL) };
    Poster posters[4];
    Thread t[4];

    for (int i = 0; i < 4; i++) {
        posters[i] = (Poster){ &p, i };
        thread_start(&t[i], "poster", post_many, &posters[i], &error_abort);
    }
    loop_run(p.loop);
    for (int i = 0; i < 4; i++) {
        thread_join(&t[i]);
    }
    loop_free(p.loop);
}

static void test_work(void)
{
    Loop *loop = loop_new("test", NULL);
    LoopWork w;
    int n = 0;

    loop_work_init(&w, loop, count_up, &n);
    loop_work_schedule(&w);
    loop_work_schedule(&w);
    loop_run_once(loop, false);
    g_assert_cmpint(n, ==, 1);
    loop_work_schedule(&w);
    loop_work_cancel(&w);
    loop_run_once(loop, false);
    g_assert_cmpint(n, ==, 1);
    loop_post(loop, count_up, &n); /* dropped with the loop */
    loop_free(loop);
    g_assert_cmpint(n, ==, 1);
}

/* ---- Fairness: posted work that posts itself, a timer always due, and a pipe all get their turns ---- */

typedef struct {
    Loop *loop;
    LoopWork work;
    Timer timer;
    int64_t deadline;
    int works, timers, reads, fd;
} Greedy;

static void greedy_work(void *opaque)
{
    Greedy *g = opaque;

    g->works++;
    loop_work_schedule(&g->work);
}

static void greedy_timer(void *opaque)
{
    Greedy *g = opaque;

    g->timers++;
    timer_arm(&g->timer, 0);
}

static void greedy_read(void *opaque, unsigned ready)
{
    Greedy *g = opaque;
    char c;

    g_assert_cmpuint(ready, ==, LOOP_IN);
    g_assert_cmpint(read(g->fd, &c, 1), ==, 1);
    if (++g->reads == 100) {
        loop_quit(g->loop);
    }
}

static void test_fair(void)
{
    Greedy g = { .loop = loop_new("test", NULL), .deadline = TIMER_OFF };
    ClockGroup cg;
    LoopFd *w;
    int fds[2];

    clock_group_init(&cg);
    g_assert_cmpint(pipe(fds), ==, 0);
    g.fd = fds[0];
    for (int i = 0; i < 200; i++) {
        g_assert_cmpint(write(fds[1], "x", 1), ==, 1);
    }
    loop_add_clock(g.loop, &cg.clocks[CLOCK_REALTIME_NS]);
    timer_init(&g.timer, &cg.clocks[CLOCK_REALTIME_NS], &g.deadline, greedy_timer, &g);
    loop_work_init(&g.work, g.loop, greedy_work, &g);
    w = loop_watch(g.loop, fds[0], LOOP_IN, greedy_read, &g);
    timer_arm(&g.timer, 0);
    loop_work_schedule(&g.work);
    loop_run(g.loop);
    g_assert_cmpint(g.works, >=, 99);
    g_assert_cmpint(g.works, <=, 101);
    g_assert_cmpint(g.timers, >=, 99 * CLOCK_RUN_LIMIT);
    loop_unwatch(w);
    loop_unwatch(NULL);
    loop_work_cancel(&g.work);
    timer_finish(&g.timer);
    loop_remove_clock(g.loop, &cg.clocks[CLOCK_REALTIME_NS]);
    clock_group_finish(&cg);
    loop_free(g.loop);
    close(fds[0]);
    close(fds[1]);
}

/* ---- Timers ---- */

typedef struct {
    Loop *loop;
    Clock *clock;
    Timer timer;
    int64_t deadline, want, late_sum;
    int left;
} Ticks;

static void tick(void *opaque)
{
    Ticks *t = opaque;
    int64_t now = clock_ns(t->clock);

    g_assert_cmpint(now, >=, t->want);
    t->late_sum += now - t->want;
    if (--t->left) {
        t->want = now + 300000; /* 0.3 ms: less than GLib's own time-outs can say */
        timer_arm(&t->timer, t->want);
    } else {
        loop_quit(t->loop);
    }
}

static void test_precision(void)
{
    enum { TICKS = 100 };
    ClockGroup g;
    Ticks t = { .loop = loop_new("test", NULL), .deadline = TIMER_OFF, .left = TICKS };
    int64_t start;

    clock_group_init(&g);
    clock_group_start(&g);
    t.clock = &g.clocks[CLOCK_VIRTUAL_NS];
    loop_add_clock(t.loop, t.clock);
    timer_init(&t.timer, t.clock, &t.deadline, tick, &t);
    t.want = start = clock_ns(t.clock);
    timer_arm(&t.timer, t.want);
    loop_run(t.loop);
    g_test_message("timers late by %.1f us on average", (double)t.late_sum / TICKS / 1000);
    g_assert_cmpuint(loop_rounds(t.loop), <, 4 * TICKS); /* sleeps, and does not spin */
    timer_finish(&t.timer);
    loop_remove_clock(t.loop, t.clock);
    clock_group_finish(&g);
    loop_free(t.loop);
}

static void run_loop(void *opaque)
{
    loop_run(opaque);
}

/* An idle loop does not wake; arming a timer, starting the clock and posting from outside wake it. */
static void test_idle(void)
{
    Loop *loop = loop_new("idle", NULL);
    ClockGroup g;
    Thread t;
    Timer timer;
    Clock *c = &g.clocks[CLOCK_VIRTUAL_NS];
    int64_t deadline = TIMER_OFF;
    uint64_t rounds;

    clock_group_init(&g);
    loop_add_clock(loop, c);
    timer_init(&timer, c, &deadline, quit, loop);
    thread_start(&t, "idle", run_loop, loop, &error_abort);
    g_usleep(20000);
    rounds = loop_rounds(loop);
    g_usleep(50000);
    g_assert_cmpuint(loop_rounds(loop), ==, rounds);
    timer_arm(&timer, 1000000);
    g_usleep(20000);
    g_assert_cmpint(clock_next_deadline(c), ==, 1000000); /* time stands */
    clock_group_start(&g);
    thread_join(&t);
    timer_finish(&timer);
    loop_remove_clock(loop, c);
    clock_group_finish(&g);
    loop_free(loop);
}

static void got_hup(void *opaque, unsigned ready)
{
    LoopFd **w = opaque;

    g_assert_true(ready & LOOP_HUP);
    loop_unwatch(*w); /* from inside */
    *w = NULL;
}

static void test_watch(void)
{
    Loop *loop = loop_new("test", NULL);
    LoopFd *w;
    int fds[2];

    g_assert_cmpint(pipe(fds), ==, 0);
    w = loop_watch(loop, fds[0], 0, got_hup, &w);
    g_assert_cmpint(write(fds[1], "x", 1), ==, 1);
    loop_run_once(loop, false);
    g_assert_nonnull(w); /* does not watch for input */
    close(fds[1]);
    loop_watch_set(w, LOOP_IN);
    loop_run_once(loop, true);
    g_assert_null(w);
    loop_run_once(loop, false);
    loop_free(loop);
    close(fds[0]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/loop/quit", test_quit);
    g_test_add_func("/loop/post", test_post);
    g_test_add_func("/loop/work", test_work);
    g_test_add_func("/loop/fair", test_fair);
    g_test_add_func("/loop/precision", test_precision);
    g_test_add_func("/loop/idle", test_idle);
    g_test_add_func("/loop/watch", test_watch);
    return g_test_run();
}
