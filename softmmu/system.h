/*
 * The system emulator: one program with one machine.
 *
 *   main.c      the order of a run, top to bottom
 *   argv.c      the command line to records
 *   help.c      -help, -version, -device help and the like
 *   setup.c     records to chardevs, monitors, objects
 *   board.c     records to the machine and its devices
 *   drives.c    -drive
 *   blockdev.c  -blockdev, commands about disks
 *   extras.c    other options that stand for a device or set something in one
 *   firmware.c  tables of the firmware: -smbios, -acpitable
 *   runstate.c  running, stopped, reset, ended; what the guest and signals ask for
 *   process.c   the process: signals, -daemonize, -pidfile
 *   confine.c   what the process is, holds and may do: -overcommit, -run-with, -sandbox (sandbox.c)
 *
 * System is passed along; nothing is global. What commands of monitors get as QCallContext.program is the System.
 */
#ifndef SOFTMMU_SYSTEM_H
#define SOFTMMU_SYSTEM_H

#include "chardev/chardev.h"
#include "hw/core/machine.h"
#include "monitor/monitor.h"
#include "qapi/keyval.h"
#include "softmmu/runstate.h"

enum { SERIAL_MAX = 4 };

typedef struct System {
    const QSchema *schema;
    QOptions options;
    QomTree *tree;
    Loop *loop;
    ClockGroup clocks;          /* of the program: real time for monitors and chardevs; a machine has its own */
    ChardevContext chardevs;
    MonitorSet *monitors;
    QCompatPolicy policy;       /* -compat */
    RunControl run;
    Machine *machine;           /* NULL until it is made */
    unsigned lock_depth;        /* how often the main thread has taken its lock domain */
    struct BlockContext *blocks;    /* NULL: no disk yet; see system_blocks */
    struct SmbiosUser *smbios;      /* firmware.c: -smbios, -acpitable; NULL: not given */
    struct _GPtrArray *acpi_tables;
    struct QtestServer *qtest;      /* NULL: no -qtest */
    char *name, *uuid;          /* NULL: none given */
    Chardev *serial[SERIAL_MAX];
    unsigned num_serial;
    unsigned num_monitors;      /* named compat_monitorN so far */
    int daemon_fd;              /* the parent of -daemonize waits on it; -1 */
    char *pidfile;              /* to be removed at the end */
    bool stamp_messages, name_messages; /* -msg */
} System;

extern const QSchema qschema_system;

/* ---- argv.c ---- */

bool argv_parse(QOptions *o, int argc, char **argv, Error **errp);
QOptionRecord *option_record(const System *s, const char *name); /* NULL: not given */
bool option_given(const System *s, const char *name);
/* The argument of an option that takes it as it is; NULL when not given. Borrowed. */
const char *option_text(const System *s, const char *name);
/* "-device e1000,..." as it was said. */
const char *record_origin(const QOptionRecord *r);
bool prefix_origin(const QOptionRecord *r, Error **errp); /* "ORIGIN: " before *errp; false */

/* ---- board.c ---- */

extern const char *const data_folders[]; /* where firmware is looked for after the folders of -L; NULL-terminated */

/* ---- help.c ---- */

/* True: help, a version or a list was asked for, and printed unless *errp is set. */
bool help_wanted(const System *s, Error **errp);

/* ---- setup.c ---- */

bool setup_logs(System *s, Error **errp);
bool setup_identity(System *s, Error **errp);
bool setup_chardevs(System *s, Error **errp);
bool setup_monitors(System *s, Error **errp);
bool setup_objects(System *s, Error **errp);
/* The default serial port and monitor: what is there when nobody asked for others. */
bool setup_defaults(System *s, Error **errp);

/* ---- confine.c ---- */

/* -overcommit: what the process holds. When the machine has its memory. */
bool confine_memory(System *s, Error **errp);
/* -run-with: who the process is from now on, and what it sees of the file system. */
bool confine_process(System *s, Error **errp);
/* -sandbox: which system calls it may use; called before the machine is made, and after -run-with again. */
bool confine_calls(System *s, bool before_machine, Error **errp);

/* ---- process.c ---- */

/* A message on standard error, by -msg. The text may have lines; error_report_free's is for when there is no System yet. */
void system_print_head(const System *s); /* what stands before each message */
void system_warn(const System *s, const char *text);
void system_error_free(const System *s, Error *err);

/* -daemonize: in the parent does not return; in the child true. */
bool process_daemonize(System *s, Error **errp);
/* Now the parent may end: everything is ready. */
bool process_ready(System *s, Error **errp);
bool process_write_pid(System *s, const char *path, Error **errp);
void process_catch_signals(System *s);
void process_finish(System *s);

#endif
