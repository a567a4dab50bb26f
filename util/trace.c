/* Trace points: see util/trace.h. */
#include "util/trace.h"

#include <fnmatch.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"

/* Made by the linker around the section; NULL when the program has no trace point. */
extern TracePoint *const __start_kestrel_trace[] __attribute__((weak, visibility("hidden")));
extern TracePoint *const __stop_kestrel_trace[] __attribute__((weak, visibility("hidden")));

void trace_emit(const char *fmt, ...)
{
    va_list ap;
    FILE *f = log_begin();

    va_start(ap, fmt);
    vfprintf(f, fmt, ap);
    va_end(ap);
    log_end(f);
}

unsigned trace_enable(const char *glob, bool on)
{
    unsigned n = 0;

    for (TracePoint *const *p = __start_kestrel_trace; p < __stop_kestrel_trace; p++) {
        if (!fnmatch(glob, (*p)->name, 0)) {
            __atomic_store_n(&(*p)->enabled, on, __ATOMIC_RELAXED);
            n++;
        }
    }
    return n;
}

void trace_foreach(void (*fn)(const TracePoint *tp, void *opaque), void *opaque)
{
    for (TracePoint *const *p = __start_kestrel_trace; p < __stop_kestrel_trace; p++) {
        fn(*p, opaque);
    }
}

static int by_name(const void *a, const void *b)
{
    const TracePoint *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

void trace_print_help(FILE *out)
{
    size_t n = (size_t)(__stop_kestrel_trace - __start_kestrel_trace);
    TracePoint **sorted = malloc((n + 1) * sizeof(*sorted));

    if (!sorted) {
        abort();
    }
    if (n) {
        memcpy(sorted, __start_kestrel_trace, n * sizeof(*sorted));
    }
    qsort(sorted, n, sizeof(*sorted), by_name);
    for (size_t i = 0; i < n; i++) {
        if (!i || strcmp(sorted[i]->name, sorted[i - 1]->name)) {
            fprintf(out, "%s\n", sorted[i]->name);
        }
    }
    free(sorted);
}
