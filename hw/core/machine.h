/*
 * A machine: everything that one virtual computer is. There is no global machine: a process may run several.
 *
 * A machine type is a class of kind 'machine' (hw/i386/pc.json): its Conf is what -machine (and -smp, -m, -boot,
 * -kernel, -rtc ...) set. softmmu/ makes a Machine from the parsed configuration, then machine_create builds the
 * board (MachineOps.create), machine_reset brings it to the power-on state and machine_start lets it run.
 */
#ifndef HW_CORE_MACHINE_H
#define HW_CORE_MACHINE_H

#include "hw/core/device.h"
#include "qapi/run-state.gen.h" /* ShutdownCause, RunState */
#include "qapi/tables.h"
#include "util/loop.h"

typedef struct Vcpu Vcpu;       /* accel/vcpu.h */
typedef struct Accel Accel;     /* accel/accel.h */
typedef struct RunControl RunControl; /* softmmu/runstate.h */

typedef struct MachineOps {     /* ObjectOps.iface of machine classes */
    /* Builds the board; on failure what was made is unparented by the caller. */
    bool (*create)(Machine *, Error **);
    /* After all devices (-device too) exist: firmware tables, -kernel; before the first reset. */
    bool (*finish_create)(Machine *, Error **);
    void (*reset)(Machine *, ObjectResetKind);          /* NULL: devices only */
    void (*powerdown)(Machine *);                 /* system_powerdown: ACPI power button */
    void (*nmi)(Machine *);
} MachineOps;

/* CPU topology and memory as parsed from -smp and -m, checked. */
typedef struct {
    unsigned cpus, maxcpus, sockets, dies, clusters, modules, cores, threads, drawers, books;
} CpuTopology;

struct Machine {
    Object obj;                 /* /machine */
    QomTree *tree;
    Loop *loop;                 /* the main loop its devices' host sides run in */
    ClockGroup clocks;          /* virtual, realtime, host; their timers run in loop under lock */
    FairMutex lock;             /* LOCK_MACHINE: guards all devices, the tree, run state */
    MemoryMap *map;
    MemoryRegion *memory, *io;  /* roots of the CPU's memory and of the port space */
    AddressSpace *as_memory, *as_io;
    Accel *accel;
    Vcpu **vcpus;               /* by cpu-index; num_vcpus */
    unsigned num_vcpus;
    CpuTopology smp;
    uint64_t ram_size, max_ram_size;
    unsigned ram_slots;
    MemoryRegion *ram;          /* the machine's main RAM, not yet mapped: boards alias it */
    RunControl *run;            /* softmmu/runstate.h */
    const struct MachineHost *host; /* services of softmmu for boards and devices, see below */
    void *opaque;               /* of softmmu */
};
#define MACHINE(p) ((Machine *)(p))

/* What devices may ask of the program above them (reset requests, -serial chardevs, firmware files...). */
typedef struct MachineHost {
    void (*request_reset)(Machine *, ShutdownCause);
    void (*request_shutdown)(Machine *, ShutdownCause);  /* honours -no-reboot, -no-shutdown, -action */
    void (*request_exit)(Machine *, int status);          /* isa-debug-exit: process exit status */
    void (*request_suspend)(Machine *);
    void (*guest_panicked)(Machine *, struct json_object *info);
    /* -L path and defaults: allocated path or NULL with errp. kind: "bios", "keymap". */
    char *(*find_file)(Machine *, const char *name, Error **errp);
    Object *(*serial)(Machine *, unsigned n);             /* chardev of -serial n, or NULL */
    void (*emit)(Machine *, const QEvent *event, const void *data);   /* QMP event with its typed data */
} MachineHost;

bool machine_create(Machine *, Error **errp);
void machine_reset(Machine *, ObjectResetKind);
void machine_destroy(Machine *);
Vcpu *machine_vcpu(Machine *, unsigned index);

#endif
