/* Commands about the run state and the machine's identity. */
#include <stdlib.h>

#include "monitor/facts.gen.h"
#include "qapi/control.gen.h"
#include "qapi/machine.gen.h"
#include "qapi/run-state.gen.h"
#include "softmmu/system.h"

static RunControl *run_of(QCallContext *cc)
{
    return &((System *)cc->program)->run;
}

bool qmp_query_status(QCallContext *cc, StatusInfo **ret, Error **errp)
{
    *ret = q_calloc(1, sizeof(**ret));
    (*ret)->status = run_of(cc)->state;
    (*ret)->running = run_is_running(run_of(cc)) && run_of(cc)->state != RUN_STATE_SUSPENDED;
    return true;
}

void hmp_print_status(QCallContext *cc, StatusInfo *const *ret)
{
    monitor_printf(cc, "VM status: %s", (*ret)->running ? "running" : "paused");
    if (!(*ret)->running && (*ret)->status != RUN_STATE_PAUSED) {
        monitor_printf(cc, " (%s)", run_state_name((*ret)->status));
    }
    monitor_print(cc, "\n");
}

bool qmp_stop(QCallContext *cc, Error **errp)
{
    run_stop(run_of(cc), RUN_STATE_PAUSED);
    return true;
}

bool qmp_cont(QCallContext *cc, Error **errp)
{
    return run_start(run_of(cc), errp);
}

/* Done at once, so that the event is told before the reply. */
bool qmp_system_reset(QCallContext *cc, Error **errp)
{
    run_request_reset(run_of(cc), SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    run_pending(run_of(cc));
    return true;
}

bool qmp_system_powerdown(QCallContext *cc, Error **errp)
{
    run_request_powerdown(run_of(cc));
    run_pending(run_of(cc));
    return true;
}

bool qmp_system_wakeup(QCallContext *cc, Error **errp)
{
    return run_wakeup(run_of(cc), WAKEUP_OTHER, errp);
}

bool qmp_quit(QCallContext *cc, Error **errp)
{
    run_request_shutdown(run_of(cc), SHUTDOWN_CAUSE_HOST_QMP_QUIT);
    run_pending(run_of(cc));
    return true;
}

bool qmp_set_action(QCallContext *cc, const SetActionArgs *args, Error **errp)
{
    RunControl *r = run_of(cc);

    r->on_reboot = args->has_reboot ? args->reboot : r->on_reboot;
    r->on_shutdown = args->has_shutdown ? args->shutdown : r->on_shutdown;
    r->on_panic = args->has_panic ? args->panic : r->on_panic;
    r->on_watchdog = args->has_watchdog ? args->watchdog : r->on_watchdog;
    return true;
}

bool qmp_watchdog_set_action(QCallContext *cc, const WatchdogSetActionArgs *args, Error **errp)
{
    run_of(cc)->on_watchdog = args->action;
    return true;
}

bool qmp_query_name(QCallContext *cc, NameInfo **ret, Error **errp)
{
    const System *s = cc->program;

    *ret = q_calloc(1, sizeof(**ret));
    (*ret)->name = s->name ? q_strdup(s->name) : NULL;
    return true;
}

bool qmp_query_uuid(QCallContext *cc, UuidInfo **ret, Error **errp)
{
    const System *s = cc->program;

    *ret = q_calloc(1, sizeof(**ret));
    (*ret)->UUID = q_strdup(s->uuid ? s->uuid : "00000000-0000-0000-0000-000000000000");
    return true;
}

bool qmp_x_exit_preconfig(QCallContext *cc, Error **errp)
{
    RunControl *r = run_of(cc);

    r->config = false;
    loop_quit(r->system->loop);
    return true;
}
