/*
 * The remote serial protocol, for gdb: "Debugging with GDB", appendix E. This folder speaks it; what is debugged is behind
 * GdbTarget. All-stop: who stops calls gdb_stop(), which talks to gdb until the target is to run again.
 *
 *     GdbStub *g = gdb_listen("1234", &target, opaque, errp);      // waits for the connection
 *     GdbResume r = gdb_stop(g, thread, SIGTRAP, true);            // tells why, then serves
 *     ... runs; when a byte comes from gdb meanwhile (gdb_fd()), gdb_interrupted() says whether it is Ctrl-C
 *
 * Not thread-safe: one thread at a time.
 */
#ifndef GDBSTUB_GDBSTUB_H
#define GDBSTUB_GDBSTUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/error.h"

enum { GDB_REGISTER_MAX = 64 }; /* bytes of one */

typedef struct {
    /* The description (target.xml), a static string or one that lives as long as the target. */
    const char *(*description)(void *opaque);
    unsigned num_registers;
    /* Bytes of register n of the thread, read to or written from buf; 0: there is none. */
    unsigned (*get_register)(void *opaque, uint64_t thread, unsigned n, uint8_t *buf);
    unsigned (*set_register)(void *opaque, uint64_t thread, unsigned n, const uint8_t *buf);
    bool (*read)(void *opaque, uint64_t addr, void *buf, size_t n);
    bool (*write)(void *opaque, uint64_t addr, const void *buf, size_t n);
    bool (*breakpoint)(void *opaque, uint64_t addr, bool on);
    /* The thread after this one, 0 to begin; 0: no more. */
    uint64_t (*next_thread)(void *opaque, uint64_t thread);
    uint64_t pid;
    const char *exec_file;         /* NULL: nothing to say */
    const void *auxv;              /* read() addresses; size 0: none */
    size_t auxv_size;
} GdbTarget;

typedef enum { GDB_CONTINUE, GDB_STEP, GDB_DETACH, GDB_KILL } GdbAction;
typedef struct {
    GdbAction action;
    uint64_t thread;   /* that steps */
    int signal;        /* to deliver, as gdb numbers it is translated; 0: none */
} GdbResume;

typedef struct GdbStub GdbStub;

/* where: a TCP port, or a path of a Unix socket. Waits for one connection. */
GdbStub *gdb_listen(const char *where, const GdbTarget *target, void *opaque, Error **errp);
void gdb_free(GdbStub *g); /* NULL is fine */
int gdb_fd(const GdbStub *g);

/* Serves until the target is to run; reason: a signal of Linux. announce: gdb waits for the reason. */
GdbResume gdb_stop(GdbStub *g, uint64_t thread, int sig, bool announce);
/* While the target runs: reads what came. True: gdb wants it to stop, or is gone. */
bool gdb_interrupted(GdbStub *g);
/* The end of the target. */
void gdb_exited(GdbStub *g, int status);
void gdb_killed(GdbStub *g, int sig);
/* QPassSignals: gdb need not hear of this one. */
bool gdb_passes(const GdbStub *g, int sig);

#endif
