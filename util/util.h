/*
 * util/: what every other folder stands on. It knows no guest, no device and no schema.
 *
 * Two libraries. util_base needs libc, threads and liburcu, and user mode links it; util_main adds
 * GLib and is for whole machines and tools.
 *
 *   util_base
 *     error.h     errors told to a user          bits.h      bits, bytes, alignment, endianness
 *     list.h      intrusive linked list          interval.h  overlapping address ranges, O(log n)
 *     thread.h    mutex, cond, event, thread     rcu.h       data read without locks
 *     clock.h     clocks of a machine, timers    ram.h       host memory for guests
 *     log.h       -d, -D, -dfilter               trace.h     trace points
 *     units.h     strict numbers and sizes       version.h   what clients and guests are told
 *     sanitize.h  which sanitizer this is built for
 *   util_main
 *     loop.h      event loop, posted work, fds   coroutine.h stackful coroutines, CoMutex, CoQueue
 *
 * A device's timer from end to end; `deadline` is part of the saved state, the rest is wiring:
 *
 *     timer_init(&rtc->tick, machine_clock, &rtc->st.deadline, rtc_tick, rtc);
 *     timer_arm(&rtc->tick, clock_ns(machine_clock) + 1000000);     // st.deadline is set
 *     ...state is loaded: st.deadline has the saved value...
 *     timer_rearm_from_field(&rtc->tick);
 *
 * Include the header that is needed; this one includes nothing.
 */
#ifndef UTIL_UTIL_H
#define UTIL_UTIL_H
#endif
