/* Run state: see softmmu/runstate.h. */
#include "softmmu/runstate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "qapi/json.h"
#include "softmmu/board.h"
#include "softmmu/system.h"

void run_init(RunControl *r, System *system)
{
    *r = (RunControl){ .system = system, .state = RUN_STATE_PRELAUNCH };
    loop_work_init(&r->work, system->loop, (void (*)(void *))run_pending, r);
}

void run_finish(RunControl *r)
{
    loop_work_cancel(&r->work);
}

/* ---- Asking ---- */

static void request(RunControl *r, atomic_int *what, int value)
{
    atomic_store(what, value);
    loop_work_schedule(&r->work);
}

void run_request_reset(RunControl *r, ShutdownCause cause)
{
    bool guest = cause == SHUTDOWN_CAUSE_GUEST_RESET || cause == SHUTDOWN_CAUSE_GUEST_PANIC;

    request(r, guest && r->on_reboot == REBOOT_ACTION_SHUTDOWN ? &r->shutdown : &r->reset, cause + 1);
}

void run_request_shutdown(RunControl *r, ShutdownCause cause)
{
    request(r, &r->shutdown, cause + 1);
}

void run_request_powerdown(RunControl *r)
{
    request(r, &r->powerdown, 1);
}

void run_request_suspend(RunControl *r)
{
    request(r, &r->suspend, 1);
}

void run_request_wakeup(RunControl *r, MachineWakeup reason)
{
    request(r, &r->wakeup, (int)reason + 1);
}

void run_watchdog_fired(RunControl *r)
{
    request(r, &r->watchdog, 1);
}

void run_request_exit(RunControl *r, int status)
{
    request(r, &r->exit, (status & 255) + 1);
}

void run_signalled(RunControl *r, int signal_number, int pid)
{
    atomic_store(&r->signal_number, signal_number);
    atomic_store(&r->signal_pid, pid);
    run_request_shutdown(r, SHUTDOWN_CAUSE_HOST_SIGNAL);
}

/* ---- State ---- */

const char *run_state_name(RunState state)
{
    return qtype_enum_name(&qtype_RunState, state);
}

bool run_is_running(const RunControl *r)
{
    return r->state == RUN_STATE_RUNNING || r->state == RUN_STATE_SUSPENDED;
}

uint32_t run_phase(const RunControl *r)
{
    return r->config ? PHASE_CONFIG : run_is_running(r) ? PHASE_RUNNING : r->started ? PHASE_PAUSED : PHASE_MACHINE;
}

static void emit(RunControl *r, const QEvent *event, const void *data)
{
    if (r->system->monitors) {
        monitors_emit(r->system->monitors, event, data);
    }
}

void run_stop(RunControl *r, RunState why)
{
    if (run_is_running(r)) {
        board_pause(r->system);
        r->state = why;
        emit(r, &qevent_STOP, NULL);
    }
}

static bool needs_reset(const RunControl *r)
{
    return r->state == RUN_STATE_SHUTDOWN || r->state == RUN_STATE_INTERNAL_ERROR ||
           r->state == RUN_STATE_GUEST_PANICKED;
}

bool run_start(RunControl *r, Error **errp)
{
    if (run_is_running(r)) {
        return true;
    }
    if (needs_reset(r)) {
        return error_set(errp, "Resetting the Virtual Machine is required");
    }
    r->state = r->asleep ? RUN_STATE_SUSPENDED : RUN_STATE_RUNNING;
    r->started = true;
    emit(r, &qevent_RESUME, NULL);
    board_resume(r->system, !r->asleep);
    return true;
}

/* ---- Doing what was asked for ---- */

static bool is_guest(ShutdownCause cause)
{
    return cause == SHUTDOWN_CAUSE_GUEST_SHUTDOWN || cause == SHUTDOWN_CAUSE_GUEST_RESET ||
           cause == SHUTDOWN_CAUSE_GUEST_PANIC || cause == SHUTDOWN_CAUSE_SUBSYSTEM_RESET;
}

static void end(RunControl *r)
{
    r->ending = true;
    loop_quit(r->system->loop);
}

static void tell_signal(RunControl *r)
{
    int n = atomic_load(&r->signal_number), pid = atomic_load(&r->signal_pid);
    char path[64], comm[64] = "";
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    f = pid ? fopen(path, "r") : NULL;
    if (f) {
        size_t got = fread(comm, 1, sizeof(comm) - 1, f);
        comm[got] = 0;
        fclose(f);
    }
    system_print_head(r->system);
    fprintf(stderr, pid ? "terminating on signal %d from pid %d (%s)\n" : "terminating on signal %d\n", n, pid,
            *comm ? comm : "<unknown process>");
}

static void do_shutdown(RunControl *r, ShutdownCause cause)
{
    bool asked_by_host = cause == SHUTDOWN_CAUSE_HOST_QMP_QUIT || cause == SHUTDOWN_CAUSE_HOST_SIGNAL ||
                         cause == SHUTDOWN_CAUSE_HOST_UI || cause == SHUTDOWN_CAUSE_HOST_ERROR;

    if (cause == SHUTDOWN_CAUSE_HOST_SIGNAL) {
        tell_signal(r);
    }
    emit(r, &qevent_SHUTDOWN, &(ShutdownEvent){ .guest = is_guest(cause), .reason = cause });
    if (r->on_shutdown == SHUTDOWN_ACTION_PAUSE && !asked_by_host) {
        run_stop(r, RUN_STATE_SHUTDOWN);
        return;
    }
    if (cause == SHUTDOWN_CAUSE_GUEST_PANIC && r->on_panic == PANIC_ACTION_EXIT_FAILURE) {
        r->exit_status = 1;
    }
    end(r);
}

static void do_reset(RunControl *r, ShutdownCause cause)
{
    bool again = run_is_running(r);

    board_pause(r->system);
    board_reset(r->system, cause);
    emit(r, &qevent_RESET, &(ResetEvent){ .guest = is_guest(cause), .reason = cause });
    r->asleep = false;
    if (r->state == RUN_STATE_SUSPENDED) {
        r->state = RUN_STATE_RUNNING;
    }
    if (needs_reset(r)) {
        r->state = RUN_STATE_PAUSED;
    }
    if (again) {
        board_resume(r->system, true);
    }
}

/* The processors stand, time goes on. */
static void do_suspend(RunControl *r)
{
    if (r->state == RUN_STATE_RUNNING) {
        board_pause_cpus(r->system);
        r->state = RUN_STATE_SUSPENDED;
        r->asleep = true;
        emit(r, &qevent_SUSPEND, NULL);
    }
}

/* ACPI 6.5, 16.1.3: the processors start at the firmware again, memory is as it was. */
bool run_wakeup(RunControl *r, MachineWakeup reason, Error **errp)
{
    if (r->state != RUN_STATE_SUSPENDED) {
        return error_set(errp, "Unable to wake up: guest is not in suspended state");
    }
    if (!board_wakeup(r->system, reason)) {
        return error_set(errp, "wake-up from suspend is not supported by this guest");
    }
    r->state = RUN_STATE_RUNNING;
    r->asleep = false;
    emit(r, &qevent_WAKEUP, NULL);
    board_resume(r->system, true);
    return true;
}

/* ---- A watchdog that fired ---- */

static void do_watchdog(RunControl *r)
{
    emit(r, &qevent_WATCHDOG, &(WatchdogEvent){ .action = r->on_watchdog });
    switch (r->on_watchdog) {
    case WATCHDOG_ACTION_RESET:
        run_request_reset(r, SHUTDOWN_CAUSE_GUEST_RESET);
        break;
    case WATCHDOG_ACTION_SHUTDOWN:
        run_request_powerdown(r);
        break;
    case WATCHDOG_ACTION_POWEROFF:
        run_request_exit(r, 0);
        break;
    case WATCHDOG_ACTION_PAUSE:
        run_stop(r, RUN_STATE_WATCHDOG);
        break;
    case WATCHDOG_ACTION_DEBUG:
        system_warn(r->system, "watchdog: timer fired");
        break;
    case WATCHDOG_ACTION_INJECT_NMI:
        board_nmi(r->system);
        break;
    case WATCHDOG_ACTION_NONE:
        break;
    }
}

static int take(atomic_int *what)
{
    return atomic_exchange(what, 0);
}

void run_pending(RunControl *r)
{
    int cause = take(&r->exit);

    if (r->ending) {
        return;
    }
    if (cause) {
        r->exit_status = cause - 1;
        end(r);
        return;
    }
    board_lock(r->system);
    if (take(&r->suspend)) {
        do_suspend(r);
    }
    if ((cause = take(&r->wakeup))) {
        run_wakeup(r, (MachineWakeup)(cause - 1), NULL);
    }
    if (take(&r->watchdog)) {
        do_watchdog(r); /* asks for more, which comes next */
    }
    if ((cause = take(&r->shutdown))) {
        do_shutdown(r, cause - 1);
    }
    if (!r->ending && (cause = take(&r->reset))) {
        do_reset(r, cause - 1);
    }
    if (!r->ending && take(&r->powerdown)) {
        if (!run_wakeup(r, WAKEUP_POWER_BUTTON, NULL)) {
            board_powerdown(r->system);
        }
        emit(r, &qevent_POWERDOWN, NULL);
    }
    board_unlock(r->system);
}

/* ---- A guest whose kernel has failed ---- */

static void stop_panicked(void *opaque)
{
    RunControl *r = opaque;

    board_lock(r->system);
    run_stop(r, RUN_STATE_GUEST_PANICKED);
    board_unlock(r->system);
}

void run_guest_panicked(RunControl *r, struct json_object *info)
{
    GuestPanickedEvent data = { .action = GUEST_PANIC_ACTION_RUN, .info = info };

    switch (r->on_panic) {
    case PANIC_ACTION_PAUSE:
        data.action = GUEST_PANIC_ACTION_PAUSE;
        loop_post(r->system->loop, stop_panicked, r);
        break;
    case PANIC_ACTION_SHUTDOWN:
    case PANIC_ACTION_EXIT_FAILURE:
        data.action = GUEST_PANIC_ACTION_POWEROFF;
        run_request_shutdown(r, SHUTDOWN_CAUSE_GUEST_PANIC);
        break;
    case PANIC_ACTION_NONE:
        break;
    }
    emit(r, &qevent_GUEST_PANICKED, &data);
}
