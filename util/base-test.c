/*
 * util_base without GLib, as user mode links it: each module is called, so that a GLib symbol in any of them would not
 * link, and no GLib library is in the process. Prints its own TAP.
 */
#include <stdio.h>
#include <string.h>

#include "util/bits.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/interval.h"
#include "util/log.h"
#include "util/ram.h"
#include "util/rcu.h"
#include "util/thread.h"
#include "util/trace.h"
#include "util/units.h"

static void set_event(void *arg)
{
    event_set(arg);
}

static bool use_all(void)
{
    HostRamSpec spec = { .size = 1 };
    Interval i = { .start = 5, .last = 9 };
    IntervalTree tree = { 0 };
    Event done = { 0 };
    HostRam ram;
    ClockGroup g;
    Thread t;
    uint64_t size = 0;

    rcu_thread_register();
    clock_group_init(&g);
    interval_insert(&tree, &i);
    if (!host_ram_init(&ram, &spec, NULL) || !parse_size("size", "1M", 'B', &size, NULL) ||
        !log_set_items("unimp", NULL) || !thread_start(&t, "t", set_event, &done, NULL)) {
        return false;
    }
    event_wait(&done);
    thread_join(&t);
    host_ram_finish(&ram);
    clock_group_finish(&g);
    rcu_thread_unregister();
    return size == MIB && interval_first(&tree, 9, 20) == &i && trace_enable("*", false) == 0;
}

/* True iff a library whose name has `part` is mapped. */
static bool is_loaded(const char *part)
{
    FILE *f = fopen("/proc/self/maps", "re");
    bool found = false;
    char line[4096];

    while (f && fgets(line, sizeof(line), f)) {
        found |= strstr(line, part) != NULL;
    }
    if (f) {
        fclose(f);
    }
    return found;
}

int main(void)
{
    bool all = use_all(), glib = is_loaded("libglib"), libc = is_loaded("libc.so");

    printf("1..2\n%s 1 /base/all\n%s 2 /base/no-glib\n", all ? "ok" : "not ok", libc && !glib ? "ok" : "not ok");
    return all && libc && !glib ? 0 : 1;
}
