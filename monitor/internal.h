/* Shared by the files of monitor/ only. */
#ifndef MONITOR_INTERNAL_H
#define MONITOR_INTERNAL_H

#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "monitor/readline.h"
#include "qapi/buf.h"
#include "qapi/json.h"
#include "util/list.h"

typedef struct {
    ListLink link;
    struct json_object *json; /* owned */
    Error *err;               /* owned: it was no JSON */
} QmpRequest;

/* A descriptor that getfd named. */
typedef struct {
    ListLink link;
    char *name;
    int fd;
} NamedFd;

struct Monitor {
    QCallContext cc;       /* cc.monitor is this */
    MonitorSet *set;
    ListLink link;
    Chardev *chr;          /* NULL: output is kept in `out` (human-monitor-command) */
    MonitorKind mode;
    bool pretty;
    QBuf out;
    int64_t cpu_index;
    /* QMP */
    bool negotiated;
    QJsonParser *parser;
    List requests;
    unsigned num_requests;
    LoopWork run;          /* runs the next request */
    LoopWork give_up;      /* ends the connection of a client that never reads */
    /* HMP */
    Readline *line;
    bool shown;            /* has the focus of a mux */
    bool greeted;
};

struct MonitorSet {
    const MonitorHost *host;
    void *program;
    const QSchema *schema;
    const QCompatPolicy *policy; /* NULL: none */
    QomTree *tree;
    QRefResolver refs;
    const ChardevContext *chardevs;
    Loop *loop;
    Clock *clock;
    List monitors;
    List fds;              /* NamedFd */
    List fdsets;           /* cmd-fdset.c */
    List keys;             /* cmd-input.c: what is pressed or waits for it */
    HmpFormat format;      /* of the last x, xp or print: what the next one takes when it says none */
    List throttled;        /* events.c */
    Mutex lock;            /* LOCK_LEAF */
    List posted;           /* GUARDED_BY(lock): events of other threads */
    unsigned num_posted;   /* GUARDED_BY(lock) */
    LoopWork deliver;
};

Monitor *monitor_of(QCallContext *cc);
void monitor_init(Monitor *m, MonitorSet *set, MonitorKind mode);
/* Raw output; text of HMP goes through monitor_print. */
void monitor_write(Monitor *m, const char *text, size_t len);

/* qmp.c */
void qmp_start(Monitor *m);
void qmp_stop_client(Monitor *m);
extern const ChardevHandlers qmp_handlers;
void qmp_send(Monitor *m, struct json_object *j);

/* hmp.c */
void hmp_start(Monitor *m);
extern const ChardevHandlers hmp_handlers;
void hmp_run_line(Monitor *m, const char *line);
void hmp_complete(void *opaque, const char *line, Readline *rl);

/* cmd-fdset.c, cmd-input.c */
void fdsets_finish(MonitorSet *set);
void keys_finish(MonitorSet *set);

/* cmd-fdset.c, cmd-input.c */
void fdsets_finish(MonitorSet *set);
void keys_finish(MonitorSet *set);

/* events.c */
void events_init(MonitorSet *set);
void events_finish(MonitorSet *set);

#endif
