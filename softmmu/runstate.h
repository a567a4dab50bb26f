/*
 * What the machine does: runs, stands, is reset, ends. The one place that decides it.
 *
 * Guests, devices, signals and monitors only ask, from any thread (run_request_*); it is done in the main loop by
 * run_pending(). Functions without "request" are the main thread's, with the machine's lock held when there is one.
 */
#ifndef SOFTMMU_RUNSTATE_H
#define SOFTMMU_RUNSTATE_H

#include <stdatomic.h>

#include "hw/core/machine.h"
#include "qapi/run-state.gen.h"
#include "util/loop.h"

struct System;
struct json_object;

typedef struct RunControl {
    struct System *system;
    RunState state;
    bool started;                  /* has run, or stopped after that: PHASE_PAUSED and not PHASE_MACHINE */
    bool config;                   /* --preconfig: no machine yet */
    bool asleep;                   /* the guest sleeps, also while it is stopped besides */
    bool ending;
    int exit_status;
    RebootAction on_reboot;
    ShutdownAction on_shutdown;
    PanicAction on_panic;
    WatchdogAction on_watchdog;
    LoopWork work;
    /* What was asked for: cause + 1, 0 nothing. */
    atomic_int reset, shutdown, powerdown, suspend, wakeup, exit, watchdog;
    atomic_int signal_number, signal_pid;
} RunControl;

void run_init(RunControl *r, struct System *system);
void run_finish(RunControl *r);

/* ---- Asking; any thread ---- */
void run_request_reset(RunControl *r, ShutdownCause cause);
void run_request_shutdown(RunControl *r, ShutdownCause cause);
void run_request_powerdown(RunControl *r);
void run_request_suspend(RunControl *r);
void run_request_wakeup(RunControl *r, MachineWakeup reason);
void run_request_exit(RunControl *r, int status); /* at once, whatever -no-shutdown says */
void run_guest_panicked(RunControl *r, struct json_object *info); /* info: borrowed or NULL */
void run_watchdog_fired(RunControl *r);
/* In a signal handler. */
void run_signalled(RunControl *r, int signal_number, int pid);

/* ---- Doing ---- */
/* Does what was asked for. */
void run_pending(RunControl *r);
bool run_is_running(const RunControl *r);
/* The processors stop; the state becomes `why`. */
void run_stop(RunControl *r, RunState why);
/* Ends suspend to RAM. */
bool run_wakeup(RunControl *r, MachineWakeup reason, Error **errp);
/* They run. Fails when the machine has to be reset first. */
bool run_start(RunControl *r, Error **errp);
uint32_t run_phase(const RunControl *r);
const char *run_state_name(RunState state);

#endif
