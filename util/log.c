/* The log: see util/log.h. */
#include "util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/clock.h"
#include "util/rcu.h"
#include "util/thread.h"
#include "util/trace.h"
#include "util/units.h"

enum {
    BOUNDED_RECORD = 512,       /* bytes */
    BOUNDED_BURST = 1000,       /* records at once */
    BOUNDED_RATE = 200,         /* records a second */
};
#define BOUNDED_TOTAL ((uint64_t)64 << 20)
#define NO_LOGS (LOG_NOCHAIN | LOG_TID)

typedef struct {
    const char *name;
    const char *help;
    bool bounded;
} LogItem;

static const LogItem log_items[] = {
#define X(id, text, is_bounded, help_text) { text, help_text, is_bounded },
    LOG_ITEMS(X)
#undef X
};

typedef struct {
    uint64_t start, last;
} Range;

typedef struct {
    RcuHead rcu;
    size_t num;
    Range ranges[];
} Filter;

/* A bounded item's allowance. */
typedef struct {
    int64_t refilled_ns;
    uint32_t tokens;
    uint64_t left_out;
} Bound;

uint32_t log_mask;

static Mutex log_lock = MUTEX_INIT(LOCK_LOG);
/* GUARDED_BY(log_lock): */
static char *log_path;          /* NULL: standard error */
static FILE *log_file;          /* NULL: not open yet, or standard error */
static uint32_t log_generation; /* of log_path: thread files of an older one are reopened */
static uint64_t bounded_bytes;
static Bound bounds[LOG_NUM_ITEMS];
/* Published by RCU. */
static Filter *log_filter;

/* -d tid: this thread's file, closed when the thread ends. */
static pthread_once_t thread_key_once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;
static _Thread_local uint32_t thread_generation;

/* ---- -d ---- */

void log_set_mask(uint32_t mask)
{
    __atomic_store_n(&log_mask, mask, __ATOMIC_RELAXED);
}

static const LogItem *find_item(const char *name, size_t len)
{
    for (unsigned i = 0; i < LOG_NUM_ITEMS; i++) {
        if (strlen(log_items[i].name) == len && !memcmp(log_items[i].name, name, len)) {
            return &log_items[i];
        }
    }
    return NULL;
}

/* Enables the trace points of trace:GLOB; glob is not terminated. */
static bool enable_trace(const char *glob, size_t len, Error **errp)
{
    char pattern[256];

    if (len >= sizeof(pattern)) {
        return error_set(errp, "trace pattern of %zu bytes is longer than %zu", len, sizeof(pattern) - 1);
    }
    memcpy(pattern, glob, len);
    pattern[len] = 0;
    if (!trace_enable(pattern, true)) {
        return error_set(errp, "no trace point matches '%s'", pattern);
    }
    return true;
}

static bool parse_item(const char *name, size_t len, uint32_t *mask, Error **errp)
{
    static const char trace[] = "trace:";
    const LogItem *item = find_item(name, len);

    if (item) {
        *mask |= 1u << (item - log_items);
        return true;
    }
    if (len == 3 && !memcmp(name, "all", 3)) {
        *mask |= ((1u << LOG_NUM_ITEMS) - 1) & ~NO_LOGS;
        return true;
    }
    if (len == 4 && !memcmp(name, "none", 4)) {
        return true;
    }
    if (len > sizeof(trace) - 1 && !memcmp(name, trace, sizeof(trace) - 1)) {
        return enable_trace(name + sizeof(trace) - 1, len - (sizeof(trace) - 1), errp);
    }
    error_set(errp, "log item '%.*s' is not known", (int)len, name);
    return error_hint(errp, "'-d help' lists the items");
}

bool log_set_items(const char *items, Error **errp)
{
    uint32_t mask = 0;

    for (const char *p = items;; p++) {
        size_t len = strcspn(p, ",");

        if (!parse_item(p, len, &mask, errp)) {
            return false;
        }
        p += len;
        if (!*p) {
            break;
        }
    }
    log_set_mask(mask);
    return true;
}

void log_print_help(FILE *out)
{
    fprintf(out, "Log items (comma separated):\n");
    for (unsigned i = 0; i < LOG_NUM_ITEMS; i++) {
        fprintf(out, "%-15s %s\n", log_items[i].name, log_items[i].help);
    }
    fprintf(out, "%-15s %s\n", "trace:PATTERN", "trace points whose name matches (* and ?)");
}

/* ---- -D ---- */

static void close_thread_file(void *f)
{
    fclose(f);
}

static void make_thread_key(void)
{
    if (pthread_key_create(&thread_key, close_thread_file)) {
        abort();
    }
}

/* The template with %d replaced, on the heap. */
static char *expand(const char *path, uint32_t id)
{
    const char *d = strstr(path, "%d");
    char *s;
    int n = d ? asprintf(&s, "%.*s%u%s", (int)(d - path), path, id, d + 2) : asprintf(&s, "%s", path);

    if (n < 0) {
        abort();
    }
    return s;
}

/* Any % but one %d is a mistake. */
static bool check_template(const char *path, Error **errp)
{
    const char *p = strchr(path, '%');

    if (p && (p[1] != 'd' || strchr(p + 1, '%'))) {
        return error_set(errp, "log file name '%s' may have one %%d (the process id) and no other %%", path);
    }
    return true;
}

static FILE *open_log(const char *path, uint32_t id, Error **errp)
{
    char *name = expand(path, id);
    FILE *f = fopen(name, "we");

    if (!f) {
        error_set_errno(errp, errno, "cannot open log file '%s'", name);
    }
    free(name);
    return f;
}

bool log_set_file(const char *path, Error **errp)
{
    bool to_stderr = !path || !*path;
    FILE *f = NULL;
    char *copy = NULL;

    if (!to_stderr) {
        if (!check_template(path, errp)) {
            return false;
        }
        f = open_log(path, (uint32_t)getpid(), errp);
        if (!f) {
            return false;
        }
        copy = strdup(path);
        if (!copy) {
            abort();
        }
    }
    WITH_MUTEX (&log_lock) {
        if (log_file) {
            fclose(log_file);
        }
        free(log_path);
        log_path = copy;
        log_file = f;
        log_generation++;
        bounded_bytes = 0;
        memset(bounds, 0, sizeof(bounds));
    }
    return true;
}

/* This thread's file for -d tid, or NULL when it cannot be opened. Under log_lock. */
static FILE *thread_file(void)
{
    FILE *f;

    pthread_once(&thread_key_once, make_thread_key);
    f = pthread_getspecific(thread_key);
    if (f && thread_generation != log_generation) {
        fclose(f);
        f = NULL;
    }
    if (!f) {
        f = open_log(log_path, thread_id(), NULL);
        thread_generation = log_generation;
        pthread_setspecific(thread_key, f);
    }
    return f;
}

static FILE *current_file(void)
{
    FILE *f = NULL;

    if (log_path && log_enabled(LOG_TID) && strstr(log_path, "%d") && thread_id() != (uint32_t)getpid()) {
        f = thread_file();
    }
    return f ? f : log_file ? log_file : stderr;
}

FILE *log_begin(void)
{
    mutex_lock(&log_lock);
    return current_file();
}

void log_end(FILE *f)
{
    fflush(f);
    mutex_unlock(&log_lock);
}

/* ---- Bounded items ---- */

/* True iff one more record may be written now. Under log_lock. */
static bool take_token(Bound *b)
{
    int64_t now = clock_host_monotonic_ns();
    uint64_t earned;

    if (!b->refilled_ns) {
        b->refilled_ns = now;
        b->tokens = BOUNDED_BURST;
    }
    earned = muldiv64((uint64_t)(now - b->refilled_ns), BOUNDED_RATE, 1000000000);
    if (earned) {
        b->tokens = (uint32_t)min_of(earned + b->tokens, (uint64_t)BOUNDED_BURST);
        b->refilled_ns = now;
    }
    if (!b->tokens) {
        b->left_out++;
        return false;
    }
    b->tokens--;
    return true;
}

/* Writes one record of a bounded item. Under log_lock. */
static void bounded_write(FILE *f, unsigned index, const char *text, size_t len)
{
    Bound *b = &bounds[index];

    if (bounded_bytes > BOUNDED_TOTAL || !take_token(b)) {
        return;
    }
    if (b->left_out) {
        bounded_bytes += (uint64_t)fprintf(f, "(%llu records of %s left out)\n",
                                           (unsigned long long)b->left_out, log_items[index].name);
        b->left_out = 0;
    }
    fwrite(text, 1, len, f);
    bounded_bytes += len;
    if (bounded_bytes > BOUNDED_TOTAL) {
        fprintf(f, "(no more records of guest errors: %llu bytes were written)\n",
                (unsigned long long)bounded_bytes);
    }
}

void log_printf(uint32_t item, const char *fmt, ...)
{
    unsigned index = ctz32(item);
    va_list ap;
    FILE *f;

    va_start(ap, fmt);
    if (index < LOG_NUM_ITEMS && log_items[index].bounded) {
        char text[BOUNDED_RECORD];
        size_t len = (size_t)max_of(vsnprintf(text, sizeof(text), fmt, ap), 0);

        if (len >= sizeof(text)) {
            len = sizeof(text) - 1;
            text[len - 1] = '\n';
        }
        f = log_begin();
        bounded_write(f, index, text, len);
    } else {
        f = log_begin();
        vfprintf(f, fmt, ap);
    }
    va_end(ap);
    log_end(f);
}

/* ---- -dfilter ---- */

/* One of START..END, START+LEN, START-LEN. text is writable. */
static bool parse_range(char *text, Range *r, Error **errp)
{
    char *op = strpbrk(text, "+-.");
    char kind = op ? *op : 0;
    uint64_t start, arg;

    if (!op || (kind == '.' && op[1] != '.')) {
        return error_set(errp, "range '%s' is not START..END, START+LENGTH or START-LENGTH", text);
    }
    *op = 0;
    if (!parse_uint("start of the range", text, UINT64_MAX, &start, errp) ||
        !parse_uint("end of the range", op + (kind == '.' ? 2 : 1), UINT64_MAX, &arg, errp)) {
        return false;
    }
    if (kind == '.' ? arg < start : !arg || (kind == '+' ? arg - 1 > UINT64_MAX - start : arg - 1 > start)) {
        return error_set(errp, "range from 0x%llx is empty or leaves 64 bits", (unsigned long long)start);
    }
    r->start = kind == '-' ? start - (arg - 1) : start;
    r->last = kind == '.' ? arg : kind == '+' ? start + (arg - 1) : start;
    return true;
}

static void filter_free(RcuHead *head)
{
    free(container_of(head, Filter, rcu));
}

/* A filter of a list with commas; NULL on error. */
static Filter *parse_filter(const char *ranges, Error **errp)
{
    char *copy = strdup(ranges);
    size_t max = 1;
    Filter *f;
    bool ok = true;

    for (const char *p = ranges; *p; p++) {
        max += *p == ',';
    }
    f = calloc(1, sizeof(*f) + max * sizeof(f->ranges[0]));
    if (!copy || !f) {
        abort();
    }
    for (char *next = copy, *text; ok && (text = strsep(&next, ","));) {
        ok = parse_range(text, &f->ranges[f->num++], errp);
    }
    free(copy);
    if (!ok) {
        free(f);
        return NULL;
    }
    return f;
}

bool log_set_filter(const char *ranges, Error **errp)
{
    Filter *f = NULL, *old;

    if (ranges && *ranges) {
        f = parse_filter(ranges, errp);
        if (!f) {
            return false;
        }
    }
    old = __atomic_exchange_n(&log_filter, f, __ATOMIC_ACQ_REL);
    if (old) {
        rcu_call(&old->rcu, filter_free);
    }
    return true;
}

bool log_in_filter(uint64_t addr)
{
    bool in = true;
    Filter *f;

    if (!__atomic_load_n(&log_filter, __ATOMIC_RELAXED)) {
        return true;
    }
    rcu_enter();
    f = rcu_load(&log_filter);
    if (f) {
        in = false;
        for (size_t i = 0; i < f->num; i++) {
            in |= addr >= f->ranges[i].start && addr <= f->ranges[i].last;
        }
    }
    rcu_leave();
    return in;
}
