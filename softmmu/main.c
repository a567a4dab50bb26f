/* qemu-system-x86_64: the order of a run, from top to bottom. */
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "qom/values.h"
#include "softmmu/board.h"
#include "softmmu/system.h"
#include "util/rcu.h"

/* ---- What others ask of the program ---- */

static uint32_t host_phase(void *program)
{
    return run_phase(&((System *)program)->run);
}

static Machine *host_machine(void *program)
{
    return ((System *)program)->machine;
}

static void host_lock(void *program)
{
    board_lock(program);
}

static void host_unlock(void *program)
{
    board_unlock(program);
}

static const MonitorHost monitor_host = {
    .phase = host_phase, .machine = host_machine, .lock = host_lock, .unlock = host_unlock,
};

static void on_quit(void *opaque)
{
    run_request_shutdown(&((System *)opaque)->run, SHUTDOWN_CAUSE_HOST_QMP_QUIT);
}

static int take_fd(void *opaque, const char *name, Error **errp)
{
    return monitors_take_fd(((System *)opaque)->monitors, name, errp);
}

static int open_fdset(void *opaque, int64_t id, int flags, Error **errp)
{
    return monitors_open_fdset(((System *)opaque)->monitors, id, flags, errp);
}

static void print_warnings(void *opaque, const char *text)
{
    system_warn(opaque, text);
}

/* ---- A run ---- */

static void start(System *s)
{
    rcu_thread_register();
    s->tree = qom_tree_new(s->schema, &qom_values);
    s->loop = loop_new("main", g_main_context_default());
    clock_group_init(&s->clocks);
    loop_add_clock(s->loop, &s->clocks.clocks[CLOCK_REALTIME_NS]);
    run_init(&s->run, s);
    s->chardevs = (ChardevContext){
        .tree = s->tree, .loop = s->loop, .clock = &s->clocks.clocks[CLOCK_REALTIME_NS], .opaque = s, .quit = on_quit,
        .warn = print_warnings, .take_fd = take_fd,
        .open_fdset = open_fdset,
    };
    s->monitors = monitors_new(&monitor_host, s, s->schema, &s->chardevs);
}

static bool write_config(System *s, Error **errp)
{
    g_autofree char *path = g_strdup(option_text(s, "writeconfig"));
    FILE *f = path && strcmp(path, "-") ? fopen(path, "w") : stdout;
    QBuf text = { 0 };
    bool ok = true;

    if (!path) {
        return true;
    }
    if (!f) {
        return error_set_errno(errp, errno, "open %s", path);
    }
    qoptions_remove(&s->options, "writeconfig"); /* reading it shall not write it */
    if (g_str_has_suffix(path, ".json")) {
        qoptions_write_json(&s->options, &text);
    } else {
        ok = qoptions_write_config(&s->options, &text, errp);
    }
    if (ok) {
        fputs(text.data, f);
    }
    qbuf_finish(&text);
    if (f != stdout) {
        fclose(f);
    } else {
        fflush(f);
    }
    return ok;
}

static bool set_up(System *s, Error **errp)
{
    const char *pidfile = option_text(s, "pidfile");

    if (!setup_logs(s, errp) || (option_given(s, "daemonize") && !process_daemonize(s, errp))) {
        return false;
    }
    start(s);
    return (!pidfile || process_write_pid(s, pidfile, errp)) && setup_identity(s, errp) && setup_objects(s, errp) &&
           setup_chardevs(s, errp) && setup_monitors(s, errp) && setup_defaults(s, errp) && write_config(s, errp);
}

/* --preconfig: commands may change the configuration until x-exit-preconfig. */
static void preconfig(System *s)
{
    s->run.config = option_given(s, "preconfig");
    while (s->run.config && !s->run.ending) {
        loop_run(s->loop);
    }
}

static bool run(System *s, Error **errp)
{
    if (!set_up(s, errp) || !confine_calls(s, true, errp)) {
        return false;
    }
    process_catch_signals(s);
    preconfig(s);
    if (s->run.ending) {
        return true;
    }
    if (!board_create(s, errp) || !confine_process(s, errp) ||
        !confine_calls(s, false, errp) || !process_ready(s, errp)) {
        return false;
    }
    board_lock(s);
    if (!option_given(s, "S")) {
        run_start(&s->run, NULL); /* a machine just made needs no reset */
    }
    board_unlock(s);
    while (!s->run.ending) {
        loop_run(s->loop);
    }
    return true;
}

static void finish(System *s)
{
    board_destroy(s);
    monitors_free(s->monitors);
    qom_tree_free(s->tree);
    block_context_free(s->blocks);
    if (s->loop) {
        run_finish(&s->run);
        loop_remove_clock(s->loop, &s->clocks.clocks[CLOCK_REALTIME_NS]);
        clock_group_finish(&s->clocks);
        loop_free(s->loop);
        rcu_thread_unregister();
    }
    process_finish(s);
    qoptions_finish(&s->options);
    free(s->name);
    free(s->uuid);
}

int main(int argc, char **argv)
{
    System s = { .schema = &qschema_system, .daemon_fd = -1 };
    Error *err = NULL;
    int status;

    qoptions_init(&s.options, s.schema);
    if (argv_parse(&s.options, argc, argv, &err)) {
        bool help = help_wanted(&s, &err);

        if (help && !err) {
            qoptions_finish(&s.options);
            return fflush(stdout) ? 1 : 0;
        }
        print_warnings(&s, s.options.warnings.data ? s.options.warnings.data : "");
        if (!help) {
            run(&s, &err);
        }
    }
    status = err ? 1 : s.run.exit_status;
    if (err) {
        system_error_free(&s, err);
    }
    finish(&s);
    return status;
}
