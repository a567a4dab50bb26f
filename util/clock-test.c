/* Tests of util/clock.h: random timers against a sorted scan, virtual time, bounds, threads. */
#include "util/clock.h"

#include <glib.h>

typedef struct {
    Timer timer;
    int64_t deadline; /* as a device's state has it */
    int64_t want;     /* what it was armed for; -1: not */
    uint64_t order;
    ClockGroup *group;
    int fired;
} Probe;

static int64_t last_fired_at;
static uint64_t last_fired_order;
static Clock *probed;

static void probe_fired(void *opaque)
{
    Probe *p = opaque;

    g_assert_cmpint(p->deadline, ==, TIMER_OFF);
    g_assert_cmpint(clock_ns(probed), ==, MAX(p->want, last_fired_at));
    g_assert_true(p->want > last_fired_at || p->order > last_fired_order);
    last_fired_at = p->want;
    last_fired_order = p->order;
    p->want = -1;
    p->fired++;
}

/* Arms, moves, cancels at random; each fires exactly at its time and in order. */
static void test_random(void)
{
    enum { N = 100 };
    static Probe probes[N];
    ClockGroup g;
    int64_t now = 0;
    uint64_t order = 0;

    clock_group_init(&g);
    clock_group_set_manual(&g);
    clock_group_start(&g);
    probed = &g.clocks[CLOCK_VIRTUAL_NS];
    for (int i = 0; i < N; i++) {
        probes[i].deadline = TIMER_OFF;
        probes[i].want = -1;
        timer_init(&probes[i].timer, probed, &probes[i].deadline, probe_fired, &probes[i]);
    }
    for (int n = 0; n < 20000; n++) {
        Probe *p = &probes[g_test_rand_int_range(0, N)];
        int64_t first = -1;

        switch (g_test_rand_int_range(0, 4)) {
        case 0:
            timer_cancel(&p->timer);
            p->want = -1;
            break;
        case 1:
            now += g_test_rand_int_range(0, 20);
            clock_group_step(&g, now);
            break;
        case 2: /* as after loading state */
            p->deadline = p->want = now + 1 + g_test_rand_int_range(0, 300);
            p->order = ++order;
            timer_rearm_from_field(&p->timer);
            break;
        default:
            p->want = now + 1 + g_test_rand_int_range(0, 300);
            p->order = ++order;
            timer_arm(&p->timer, p->want);
        }
        for (int i = 0; i < N; i++) {
            g_assert_cmpint(probes[i].deadline, ==, probes[i].want);
            g_assert_cmpint(timer_is_armed(&probes[i].timer), ==, probes[i].want >= 0);
            if (probes[i].want >= 0 && (first < 0 || probes[i].want < first)) {
                first = probes[i].want;
            }
        }
        g_assert_cmpint(clock_next_deadline(probed), ==, first);
        g_assert_true(first < 0 || first > now);
    }
    for (int i = 0; i < N; i++) {
        timer_finish(&probes[i].timer);
        g_assert_cmpint(probes[i].fired, >, 0);
    }
    clock_group_finish(&g);
}

static void test_pause(void)
{
    ClockGroup g;
    Clock *vm = &g.clocks[CLOCK_VIRTUAL_NS];
    int64_t t;

    clock_group_init(&g);
    g_usleep(1000);
    g_assert_cmpint(clock_ns(vm), ==, 0);
    clock_group_start(&g);
    g_usleep(2000);
    t = clock_ns(vm);
    g_assert_cmpint(t, >=, 2000000);
    clock_group_stop(&g);
    t = clock_ns(vm);
    g_usleep(1000);
    g_assert_cmpint(clock_ns(vm), ==, t);
    clock_group_set(&g, 5);
    g_assert_cmpint(clock_ns(vm), ==, 5);
    clock_group_start(&g);
    g_assert_cmpint(clock_ns(vm), <, 1000000000);
    g_assert_cmpint(clock_ns(&g.clocks[CLOCK_HOST_NS]), >, 1600000000ll * 1000000000);
    clock_group_finish(&g);
}

static int64_t counted;

static int64_t count_source(void *opaque)
{
    return counted;
}

/* Time of executed instructions: continues from where it was, and only differences count. */
static void test_source(void)
{
    ClockGroup g;
    Clock *vm = &g.clocks[CLOCK_VIRTUAL_NS];

    clock_group_init(&g);
    clock_group_set(&g, 100);
    counted = 5000;
    clock_group_set_source(&g, count_source, NULL);
    clock_group_start(&g);
    g_assert_cmpint(clock_ns(vm), ==, 100);
    counted += 7;
    g_assert_cmpint(clock_ns(vm), ==, 107);
    clock_group_stop(&g);
    counted += 7;
    g_assert_cmpint(clock_ns(vm), ==, 107);
    clock_group_finish(&g);
}

static void count_up(void *opaque)
{
    ++*(int *)opaque;
}

/* A paused guest's timers wait. */
static void test_paused_timers(void)
{
    ClockGroup g;
    Clock *vm = &g.clocks[CLOCK_VIRTUAL_NS];
    int64_t deadline = TIMER_OFF;
    int fired = 0;
    Timer t;

    clock_group_init(&g);
    timer_init(&t, vm, &deadline, count_up, &fired);
    timer_arm(&t, -5);
    g_assert_cmpint(deadline, ==, 0);
    g_assert_false(clock_run_timers(vm));
    g_assert_cmpint(clock_next_host_deadline(vm), ==, -1);
    g_assert_cmpint(fired, ==, 0);
    clock_group_start(&g);
    g_assert_cmpint(clock_next_host_deadline(vm), <=, clock_host_monotonic_ns());
    clock_run_timers(vm);
    g_assert_cmpint(fired, ==, 1);
    timer_arm(&t, INT64_MAX);
    g_assert_cmpint(deadline, ==, INT64_MAX - 1);
    timer_finish(&t);
    clock_group_finish(&g);
}

typedef struct {
    Timer timer;
    int64_t deadline;
    int runs;
} Greedy;

static void greedy_fired(void *opaque)
{
    Greedy *g = opaque;

    g->runs++;
    timer_arm(&g->timer, 0); /* in the past, again and again */
}

static void test_bounded(void)
{
    ClockGroup g;
    Greedy greedy = { .deadline = TIMER_OFF };

    clock_group_init(&g);
    clock_group_start(&g);
    timer_init(&greedy.timer, &g.clocks[CLOCK_VIRTUAL_NS], &greedy.deadline, greedy_fired, &greedy);
    timer_arm(&greedy.timer, 0);
    g_assert_true(clock_run_timers(&g.clocks[CLOCK_VIRTUAL_NS]));
    g_assert_cmpint(greedy.runs, ==, CLOCK_RUN_LIMIT);
    clock_group_set_manual(&g);
    clock_group_step(&g, INT64_MAX / 2); /* must end */
    g_assert_cmpint(clock_ns(&g.clocks[CLOCK_VIRTUAL_NS]), ==, INT64_MAX / 2);
    timer_finish(&greedy.timer);
    clock_group_finish(&g);
}

/* A vCPU thread arms and cancels under the machine lock while the loop's thread runs timers. */
typedef struct {
    ClockGroup g;
    FairMutex domain;
    Probe p[8];
    uint32_t stop;
} Shared;

static void shared_fired(void *opaque)
{
    Probe *p = opaque;

    g_assert_cmpint(p->want, ==, 1); /* not cancelled before */
    p->want = -1;
    p->fired++;
}

static void arm_thread(void *opaque)
{
    Shared *s = opaque;
    unsigned x = 1;

    while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
        Probe *p = &s->p[(x = x * 1103515245 + 12345) >> 20 & 7];

        fair_mutex_lock(&s->domain);
        if (x & 1 << 18) {
            p->want = -1;
            timer_cancel(&p->timer);
        } else {
            p->want = 1;
            timer_arm(&p->timer, clock_ns(p->timer.clock) + (x >> 8 & 0x3fff));
        }
        fair_mutex_unlock(&s->domain);
    }
}

static void test_threads(void)
{
    static Shared s;
    Thread t[2];
    int64_t end = clock_host_monotonic_ns() + 200000000;
    int fired = 0;

    clock_group_init(&s.g);
    fair_mutex_init(&s.domain, LOCK_MACHINE);
    clock_set_domain(&s.g.clocks[CLOCK_VIRTUAL_NS], &s.domain);
    for (int i = 0; i < 8; i++) {
        s.p[i].deadline = TIMER_OFF;
        timer_init(&s.p[i].timer, &s.g.clocks[CLOCK_VIRTUAL_NS], &s.p[i].deadline, shared_fired, &s.p[i]);
    }
    clock_group_start(&s.g);
    thread_start(&t[0], "arm0", arm_thread, &s, &error_abort);
    thread_start(&t[1], "arm1", arm_thread, &s, &error_abort);
    while (clock_host_monotonic_ns() < end) {
        clock_run_timers(&s.g.clocks[CLOCK_VIRTUAL_NS]);
    }
    __atomic_store_n(&s.stop, 1, __ATOMIC_RELAXED);
    thread_join(&t[0]);
    thread_join(&t[1]);
    for (int i = 0; i < 8; i++) {
        fired += s.p[i].fired;
        timer_finish(&s.p[i].timer);
    }
    g_assert_cmpint(fired, >, 0);
    clock_group_finish(&s.g);
    fair_mutex_finish(&s.domain);
}

static void test_muldiv(void)
{
    g_assert_cmpuint(muldiv64(UINT64_MAX, UINT64_MAX, UINT64_MAX), ==, UINT64_MAX);
    g_assert_cmpuint(muldiv64(1193182, 1000000000, 1193182), ==, 1000000000);
    g_assert_cmpuint(muldiv64(UINT64_MAX, 2, 1), ==, UINT64_MAX);
    g_assert_cmpuint(muldiv64(7, 1, 0), ==, UINT64_MAX);
    g_assert_cmpuint(muldiv64(10, 10, 3), ==, 33);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/clock/random", test_random);
    g_test_add_func("/clock/pause", test_pause);
    g_test_add_func("/clock/source", test_source);
    g_test_add_func("/clock/paused-timers", test_paused_timers);
    g_test_add_func("/clock/bounded", test_bounded);
    g_test_add_func("/clock/threads", test_threads);
    g_test_add_func("/clock/muldiv", test_muldiv);
    return g_test_run();
}
