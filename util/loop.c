/* Event loop: see util/loop.h. One GSource has the wake-up eventfd, the posted work and the clocks. */
#include "util/loop.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

G_STATIC_ASSERT(LOOP_IN == (int)G_IO_IN && LOOP_OUT == (int)G_IO_OUT);
G_STATIC_ASSERT(LOOP_ERR == (int)G_IO_ERR && LOOP_HUP == (int)G_IO_HUP);

enum {
    MAX_CLOCKS = 8,
    TIMER_EXPIRED = -2, /* in timer_set: unlike any deadline, and unlike -1 */
};

typedef struct {
    GSource source;
    Loop *loop;
} LoopSource;

struct Loop {
    char *name;
    GMainContext *context;
    GSource *source;
    int event_fd;           /* wakes the poll: work was posted, a deadline moved, quit */
    int timer_fd;           /* deadlines: GLib's time-outs are milliseconds */
    gpointer event_tag, timer_tag;

    /* The loop's thread only. */
    int64_t timer_set;      /* what timer_fd is set to, host monotonic; -1: off */
    Clock *clocks[MAX_CLOCKS];
    unsigned num_clocks;

    uint64_t rounds;        /* atomic */
    uint32_t quit;          /* atomic */
    uint32_t woken;         /* atomic: event_fd was written and not read yet */

    Mutex lock;             /* LOCK_LOOP */
    List work;              /* GUARDED_BY(lock) */
    uint32_t num_work;      /* GUARDED_BY(lock), read without it */
};

static _Thread_local Loop *current_loop;

static void wake(Loop *loop)
{
    uint64_t one = 1;

    if (__atomic_exchange_n(&loop->woken, 1, __ATOMIC_SEQ_CST)) {
        return;
    }
    while (write(loop->event_fd, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
}

/* Before looking for what there is to do, so that whatever comes later wakes again. */
static void drain_wake(Loop *loop)
{
    uint64_t n;

    if (__atomic_load_n(&loop->woken, __ATOMIC_SEQ_CST)) {
        while (read(loop->event_fd, &n, sizeof(n)) < 0 && errno == EINTR) {
        }
        __atomic_store_n(&loop->woken, 0, __ATOMIC_SEQ_CST);
    }
}

/* ---- The source ---- */

/* Earliest host deadline of all clocks, or -1. */
static int64_t next_deadline(Loop *loop)
{
    int64_t first = -1;

    for (unsigned i = 0; i < loop->num_clocks; i++) {
        int64_t d = clock_next_host_deadline(loop->clocks[i]);

        if (d >= 0 && (first < 0 || d < first)) {
            first = d;
        }
    }
    return first;
}

static void set_timer_fd(Loop *loop, int64_t deadline)
{
    struct itimerspec its = { 0 };

    if (deadline == loop->timer_set) {
        return;
    }
    if (deadline >= 0) {
        /* An absolute time of 0 would disarm it. */
        its.it_value.tv_sec = deadline / 1000000000;
        its.it_value.tv_nsec = max_of(deadline % 1000000000, (int64_t)1);
    }
    if (timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &its, NULL)) {
        g_error("timerfd_settime: %s", g_strerror(errno));
    }
    loop->timer_set = deadline;
}

static gboolean source_prepare(GSource *source, gint *timeout)
{
    Loop *loop = ((LoopSource *)source)->loop;
    int64_t deadline;

    *timeout = -1;
    if (__atomic_load_n(&loop->num_work, __ATOMIC_ACQUIRE)) {
        return TRUE;
    }
    deadline = next_deadline(loop);
    if (deadline >= 0 && deadline <= clock_host_monotonic_ns()) {
        return TRUE;
    }
    set_timer_fd(loop, deadline);
    return FALSE;
}

static gboolean source_check(GSource *source)
{
    Loop *loop = ((LoopSource *)source)->loop;

    if (g_source_query_unix_fd(source, loop->event_tag) || g_source_query_unix_fd(source, loop->timer_tag) ||
        __atomic_load_n(&loop->num_work, __ATOMIC_ACQUIRE)) {
        return TRUE;
    }
    return loop->num_clocks && next_deadline(loop) >= 0 && next_deadline(loop) <= clock_host_monotonic_ns();
}

/* Takes the first work off, or NULL. Its function is copied out: it may be scheduled again or freed at once. */
static bool take_work(Loop *loop, LoopWork *out)
{
    ListLink *link;

    mutex_lock(&loop->lock);
    link = list_pop(&loop->work);
    if (link) {
        LoopWork *w = container_of(link, LoopWork, link);

        __atomic_store_n(&loop->num_work, loop->num_work - 1, __ATOMIC_RELEASE);
        *out = *w;
        if (w->heap) {
            g_free(w);
        }
    }
    mutex_unlock(&loop->lock);
    return link;
}

static gboolean source_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    Loop *loop = ((LoopSource *)source)->loop;
    LoopWork w;

    drain_wake(loop);
    /* What is posted from here on waits for the next round. */
    for (uint32_t n = __atomic_load_n(&loop->num_work, __ATOMIC_ACQUIRE); n && take_work(loop, &w); n--) {
        w.fn(w.opaque);
    }
    for (unsigned i = 0; i < loop->num_clocks; i++) {
        clock_run_timers(loop->clocks[i]);
    }
    if (loop->timer_set >= 0 && loop->timer_set <= clock_host_monotonic_ns()) {
        loop->timer_set = TIMER_EXPIRED; /* setting it again also makes it unreadable */
    }
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
    .prepare = source_prepare,
    .check = source_check,
    .dispatch = source_dispatch,
};

/* ---- Life ---- */

Loop *loop_new(const char *name, GMainContext *context)
{
    Loop *loop = g_new0(Loop, 1);

    loop->name = g_strdup(name);
    loop->context = context ? g_main_context_ref(context) : g_main_context_new();
    loop->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (loop->event_fd < 0 || loop->timer_fd < 0) {
        g_error("loop %s: %s", name, g_strerror(errno));
    }
    loop->timer_set = -1;
    mutex_init(&loop->lock, LOCK_LOOP);
    list_init(&loop->work);
    loop->source = g_source_new(&source_funcs, sizeof(LoopSource));
    ((LoopSource *)loop->source)->loop = loop;
    g_source_set_can_recurse(loop->source, TRUE);
    loop->event_tag = g_source_add_unix_fd(loop->source, loop->event_fd, G_IO_IN);
    loop->timer_tag = g_source_add_unix_fd(loop->source, loop->timer_fd, G_IO_IN);
    g_source_attach(loop->source, loop->context);
    return loop;
}

void loop_free(Loop *loop)
{
    LoopWork w;

    if (!loop) {
        return;
    }
    g_assert(loop->num_clocks == 0);
    while (take_work(loop, &w)) {
    }
    g_source_destroy(loop->source);
    g_source_unref(loop->source);
    close(loop->event_fd);
    close(loop->timer_fd);
    g_main_context_unref(loop->context);
    mutex_finish(&loop->lock);
    g_free(loop->name);
    g_free(loop);
}

const char *loop_name(const Loop *loop)
{
    return loop->name;
}

GMainContext *loop_context(Loop *loop)
{
    return loop->context;
}

/* Not inlined: a coroutine may ask in one thread and again, after a yield, in another. */
__attribute__((noinline)) Loop *loop_current(void)
{
    __asm__ volatile("");
    return current_loop;
}

uint64_t loop_rounds(const Loop *loop)
{
    return __atomic_load_n(&loop->rounds, __ATOMIC_RELAXED);
}

/* ---- Running ---- */

bool loop_run_once(Loop *loop, bool may_block)
{
    Loop *outer = current_loop;
    bool done;

    if (!g_main_context_acquire(loop->context)) {
        g_error("loop %s is run by two threads", loop->name);
    }
    current_loop = loop;
    g_main_context_push_thread_default(loop->context);
    done = g_main_context_iteration(loop->context, may_block);
    g_main_context_pop_thread_default(loop->context);
    current_loop = outer;
    g_main_context_release(loop->context);
    __atomic_fetch_add(&loop->rounds, 1, __ATOMIC_RELAXED);
    return done;
}

void loop_run(Loop *loop)
{
    while (!__atomic_exchange_n(&loop->quit, 0, __ATOMIC_ACQ_REL)) {
        loop_run_once(loop, true);
    }
}

void loop_quit(Loop *loop)
{
    __atomic_store_n(&loop->quit, 1, __ATOMIC_RELEASE);
    wake(loop);
}

/* ---- Posted work ---- */

void loop_work_init(LoopWork *w, Loop *loop, void (*fn)(void *opaque), void *opaque)
{
    *w = (LoopWork){ .loop = loop, .fn = fn, .opaque = opaque };
}

void loop_work_schedule(LoopWork *w)
{
    Loop *loop = w->loop; /* once the lock is released, w may have run and be gone */
    bool first = false;

    WITH_MUTEX (&loop->lock) {
        if (!list_is_linked(&w->link)) {
            list_append(&loop->work, &w->link);
            first = loop->num_work == 0;
            __atomic_store_n(&loop->num_work, loop->num_work + 1, __ATOMIC_RELEASE);
        }
    }
    /* In its own thread a loop looks at the work before it sleeps; otherwise the first one wakes it for all. */
    if (first && current_loop != loop) {
        wake(loop);
    }
}

void loop_work_cancel(LoopWork *w)
{
    WITH_MUTEX (&w->loop->lock) {
        if (list_is_linked(&w->link)) {
            list_remove(&w->link);
            __atomic_store_n(&w->loop->num_work, w->loop->num_work - 1, __ATOMIC_RELEASE);
        }
    }
}

void loop_post(Loop *loop, void (*fn)(void *opaque), void *opaque)
{
    LoopWork *w = g_new(LoopWork, 1);

    loop_work_init(w, loop, fn, opaque);
    w->heap = true;
    loop_work_schedule(w);
}

/* ---- File descriptors ---- */

struct LoopFd {
    GSource source;
    gpointer tag;
    void (*fn)(void *opaque, unsigned ready);
    void *opaque;
};

static gboolean fd_check(GSource *source)
{
    return g_source_query_unix_fd(source, ((LoopFd *)source)->tag) != 0;
}

static gboolean fd_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    LoopFd *w = (LoopFd *)source;

    w->fn(w->opaque, g_source_query_unix_fd(source, w->tag));
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs fd_funcs = { .check = fd_check, .dispatch = fd_dispatch };

LoopFd *loop_watch(Loop *loop, int fd, unsigned events, void (*fn)(void *opaque, unsigned ready), void *opaque)
{
    LoopFd *w = (LoopFd *)g_source_new(&fd_funcs, sizeof(LoopFd));

    w->fn = fn;
    w->opaque = opaque;
    w->tag = g_source_add_unix_fd(&w->source, fd, events | G_IO_ERR | G_IO_HUP);
    g_source_set_can_recurse(&w->source, TRUE);
    g_source_attach(&w->source, loop->context);
    return w;
}

void loop_watch_set(LoopFd *w, unsigned events)
{
    g_source_modify_unix_fd(&w->source, w->tag, events | G_IO_ERR | G_IO_HUP);
}

void loop_unwatch(LoopFd *w)
{
    if (w) {
        g_source_destroy(&w->source);
        g_source_unref(&w->source);
    }
}

/* ---- Timers ---- */

static void clock_changed(void *opaque)
{
    Loop *loop = opaque;

    if (current_loop != loop) {
        wake(loop);
    }
}

void loop_add_clock(Loop *loop, Clock *c)
{
    g_assert(loop->num_clocks < MAX_CLOCKS);
    loop->clocks[loop->num_clocks++] = c;
    clock_set_notify(c, clock_changed, loop);
    clock_changed(loop);
}

void loop_remove_clock(Loop *loop, Clock *c)
{
    clock_set_notify(c, NULL, NULL);
    for (unsigned i = 0; i < loop->num_clocks; i++) {
        if (loop->clocks[i] == c) {
            loop->clocks[i] = loop->clocks[--loop->num_clocks];
            return;
        }
    }
    g_assert_not_reached();
}
