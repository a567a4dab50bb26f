/*
 * Event loop on a GLib main context: file descriptors, work posted from other threads, timers with nanosecond
 * precision. The main thread has one, each iothread has one. An idle loop sleeps in the kernel without time-outs.
 *
 *     Loop *loop = loop_new("iothread0", NULL);
 *     loop_add_clock(loop, clock);                       // runs this clock's timers
 *     LoopFd *w = loop_watch(loop, fd, LOOP_IN, on_readable, conn);
 *     loop_post(loop, do_later, opaque);                 // from any thread
 *     loop_run(loop);                                    // until loop_quit(loop)
 *     loop_unwatch(w);
 *     loop_free(loop);
 *
 * All callbacks run in the thread that runs the loop. Ready descriptors, posted work and timers take turns: posted
 * work that posts again runs in the next round, and timers are bounded by clock_run_timers, so none starves the others.
 */
#ifndef UTIL_LOOP_H
#define UTIL_LOOP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"
#include "util/list.h"

typedef struct Loop Loop;
typedef struct LoopFd LoopFd;

/*
 * A loop on a context of its own, or on `context` (a reference is taken): g_main_context_default() for the main loop, so that
 * libraries that use GLib work. The thread that will run it may be another one.
 */
Loop *loop_new(const char *name, GMainContext *context);
/* No clock, watch or work may be left but posted work, which is dropped. NULL is fine. */
void loop_free(Loop *loop);
const char *loop_name(const Loop *loop);
GMainContext *loop_context(Loop *loop);

/* Runs in this thread until loop_quit. May be nested in itself; loop_quit ends the innermost. */
void loop_run(Loop *loop);
/* One round; waits for something to do if may_block. True iff something was done. */
bool loop_run_once(Loop *loop, bool may_block);
/* From any thread; before loop_run, makes that return at once. */
void loop_quit(Loop *loop);
/* The loop that this thread runs now (the innermost), or NULL. */
Loop *loop_current(void);

/* ---- Posted work, from any thread ---- */

/* Runs fn(opaque) once in the loop's next round. Allocates: a guest must not be able to cause it without bound; use LoopWork. */
void loop_post(Loop *loop, void (*fn)(void *opaque), void *opaque);

/* Work with its own memory: scheduled twice before it ran, it runs once. */
typedef struct {
    ListLink link;   /* GUARDED_BY the loop's lock */
    Loop *loop;
    void (*fn)(void *opaque);
    void *opaque;
    bool heap;       /* made by loop_post */
} LoopWork;

void loop_work_init(LoopWork *w, Loop *loop, void (*fn)(void *opaque), void *opaque);
void loop_work_schedule(LoopWork *w);
/* Will not run for earlier schedules, unless it is running now in another thread. */
void loop_work_cancel(LoopWork *w);

/* ---- File descriptors: from the loop's thread, or before it runs ---- */

enum { LOOP_IN = 1, LOOP_OUT = 4, LOOP_ERR = 8, LOOP_HUP = 16 }; /* poll(2)'s bits */

/* fn(ready bits) when fd is ready for any of events (errors and hang-ups are always told). fd stays the caller's. */
LoopFd *loop_watch(Loop *loop, int fd, unsigned events, void (*fn)(void *opaque, unsigned ready), void *opaque);
/* 0: only errors and hang-ups, as poll(2). */
void loop_watch_set(LoopFd *w, unsigned events);
/* fn is not called after this. Inside fn is fine. NULL too. */
void loop_unwatch(LoopFd *w);

/* ---- Timers ---- */

/* The loop runs the clock's timers, and is woken when they change. A clock has one loop. */
void loop_add_clock(Loop *loop, Clock *c);
void loop_remove_clock(Loop *loop, Clock *c);

/* Rounds made so far: an idle loop makes none. */
uint64_t loop_rounds(const Loop *loop);

#endif
