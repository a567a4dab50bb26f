/*
 * Monitors: how people and programs talk to a running machine.
 *
 * A MonitorSet is all monitors of one program. Each Monitor is the front end of a chardev and speaks QMP (JSON, for
 * programs) or HMP (text, for people). Both call the same commands, which the schema describes (docs/schema.md):
 *
 *     static const MonitorHost host = { .machine = ..., .phase = ..., ... };
 *     MonitorSet *set = monitors_new(&host, program, schema, &chardev_context);
 *     monitor_new(set, chr, MONITOR_QMP, false, errp);
 *     ...
 *     monitors_emit(set, &qevent_STOP, NULL);        // from any thread
 *
 * A command is a function beside what it concerns, `bool qmp_NAME(QCallContext *cc, args, ret, errp)`; what it needs it gets
 * from cc: monitor_machine(cc), monitor_tree(cc). An HMP command prints with monitor_printf(cc, ...). To add one
 * see docs/commands.md.
 *
 * Threads: all in the loop's thread but monitors_emit. Commands run with the machine's lock domain held (MonitorHost.lock).
 */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include "chardev/chardev.h"
#include "hw/core/machine.h"
#include "qapi/dispatch.h"

typedef struct Monitor Monitor;
typedef struct MonitorSet MonitorSet;

/* What monitors need of the program above them. `program` is what monitors_new was given. */
typedef struct {
    uint32_t (*phase)(void *program);      /* PHASE_*: one bit */
    Machine *(*machine)(void *program);    /* NULL: there is none yet */
    void (*lock)(void *program);           /* around each command */
    void (*unlock)(void *program);
} MonitorHost;

typedef enum { MONITOR_QMP, MONITOR_HMP } MonitorKind;

/* chardevs: also says the tree, the loop and the clock. */
MonitorSet *monitors_new(const MonitorHost *host, void *program, const QSchema *schema, const ChardevContext *chardevs);
/* For monitors made from now on, and events. policy outlives the set. */
void monitors_set_policy(MonitorSet *set, const QCompatPolicy *policy);
/* Ends all monitors. NULL is fine. */
void monitors_free(MonitorSet *set);
/* A monitor on chr, which it attaches to; the set's. */
Monitor *monitor_new(MonitorSet *set, Chardev *chr, MonitorKind mode, bool pretty, Error **errp);
bool monitors_has_hmp(const MonitorSet *set);

/* Tells all QMP clients. data: a value of event->args, or NULL iff it has none; not kept. Any thread. */
void monitors_emit(MonitorSet *set, const QEvent *event, const void *data);

/* ---- For commands ---- */

MonitorSet *monitor_set(QCallContext *cc);
QomTree *monitor_tree(QCallContext *cc);
/* NULL with errp set when there is no machine yet. */
Machine *monitor_machine(QCallContext *cc, Error **errp);
/* The vCPU that `cpu N` chose, or the first; NULL with errp set when there is none. */
Vcpu *monitor_cpu(QCallContext *cc, Error **errp);
bool monitor_set_cpu(QCallContext *cc, int64_t index, Error **errp);
int64_t monitor_cpu_index(QCallContext *cc);

/* Text to the person at the HMP prompt. */
void monitor_printf(QCallContext *cc, const char *fmt, ...) ERROR_PRINTF(2, 3);
/* The same as a callback: print(cc, text). */
void monitor_print(void *cc, const char *text);

/* Runs one line of HMP and returns what it prints; free() it. NULL with errp set: no such vCPU. */
char *monitor_run_hmp(QCallContext *cc, const char *line, bool has_cpu, int64_t cpu, Error **errp);

/* A descriptor that a client passed and named (getfd), given to the caller; -1 with errp set. */
int monitors_take_fd(MonitorSet *set, const char *name, Error **errp);
/* Takes fd into descriptor set id, a new one when negative; its id. */
int64_t monitors_add_fd(MonitorSet *set, int fd, int64_t id, const char *opaque);
/* What opening /dev/fdset/ID with these flags of open() gives, the caller's; -1 with errp set. */
int monitors_open_fdset(MonitorSet *set, int64_t id, int flags, Error **errp);

#endif
