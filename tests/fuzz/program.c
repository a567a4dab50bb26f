/* See program.h. The program is softmmu/main.c itself: only its main is called otherwise. */
int system_main(int argc, char **argv);
#define main system_main
#include "softmmu/main.c"
#undef main

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/program.h"
#include "util/log.h"

enum { MAX_ROUNDS = 10000 };

static bool make(System *s, Error **errp)
{
    if (!set_up(s, errp)) {
        return false;
    }
    s->run.config = false;
    if (!board_create(s, errp)) {
        return false;
    }
    board_lock(s);
    if (!option_given(s, "S")) {
        run_start(&s->run, NULL);
    }
    board_unlock(s);
    return true;
}

static void undo(System *s)
{
    finish(s);
    log_set_mask(0);
    log_set_file(NULL, &error_abort);
    log_set_filter(NULL, &error_abort);
    free(s);
}

System *program_new(const char *const *args, Error **errp)
{
    System *s = q_calloc(1, sizeof(*s));
    char *argv[64] = { (char *)"fuzz" };
    int argc = 1;

    *s = (System){ .schema = &qschema_system, .daemon_fd = -1 };
    for (; *args && argc < 63; args++) {
        argv[argc++] = (char *)*args;
    }
    qoptions_init(&s->options, s->schema);
    if (argv_parse(&s->options, argc, argv, errp) && make(s, errp)) {
        return s;
    }
    undo(s);
    return NULL;
}

void program_free(System *s)
{
    undo(s);
}

/* Things that would leave this process: not what is tested. */
static bool leaves_process(const System *s)
{
    return option_given(s, "daemonize");
}

bool program_try(int argc, char **argv)
{
    System *s = q_calloc(1, sizeof(*s));
    Error *err = NULL;
    bool ok;

    *s = (System){ .schema = &qschema_system, .daemon_fd = -1 };
    qoptions_init(&s->options, s->schema);
    ok = argv_parse(&s->options, argc, argv, &err) && !help_wanted(s, &err) && !err && !leaves_process(s) && make(s, &err);
    if (ok) {
        program_settle(s);
    }
    error_free(err);
    undo(s);
    return ok;
}

void program_settle(System *s)
{
    for (int i = 0; i < MAX_ROUNDS && !s->run.ending && loop_run_once(s->loop, false); i++) {
    }
}

void program_reset(System *s)
{
    program_settle(s);
    s->run.ending = false;
    board_lock(s);
    if (s->machine) {
        run_stop(&s->run, RUN_STATE_PAUSED);
        machine_reset(s->machine, OBJECT_COLD_RESET);
        s->run.state = RUN_STATE_PAUSED;
        s->run.asleep = false;
        run_start(&s->run, NULL);
    }
    board_unlock(s);
}
