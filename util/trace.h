/*
 * Trace points: places in the code that can be told to log what passes them.
 *
 *     TRACE(virtio_queue_notify, "vdev %s queue %u", name, n);
 *
 * That line is all: the name (unique, starting with what it belongs to) and its arguments. The linker
 * gathers the points, so `-trace help` lists those of this program without anything being registered.
 * A point that is off costs one load and a branch; its arguments are not evaluated. One that is on writes
 * "NAME TEXT" as one record of the log.
 */
#ifndef UTIL_TRACE_H
#define UTIL_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "util/error.h"

typedef struct {
    const char *name;
    const char *fmt;
    const char *file;
    uint32_t enabled; /* read and written atomically */
} TracePoint;

#define TRACE(point, fmt_, ...)                                                                   \
    do {                                                                                          \
        static TracePoint trace_point_ = { #point, fmt_, __FILE__, 0 };                           \
        static TracePoint *const trace_ref_                                                       \
            __attribute__((used, section("kestrel_trace"))) = &trace_point_;                      \
        (void)trace_ref_;                                                                         \
        if (__builtin_expect(__atomic_load_n(&trace_point_.enabled, __ATOMIC_RELAXED), 0)) {      \
            trace_emit(#point " " fmt_ "\n", ##__VA_ARGS__);                                      \
        }                                                                                         \
    } while (0)

void trace_emit(const char *fmt, ...) ERROR_PRINTF(1, 2);

/* Switches all points whose name matches the glob (* and ?); returns how many there are. Any thread. */
unsigned trace_enable(const char *glob, bool on);
/* Calls fn for each point, in no order. */
void trace_foreach(void (*fn)(const TracePoint *tp, void *opaque), void *opaque);
/* -trace help: the names, sorted, one a line. */
void trace_print_help(FILE *out);

#endif
