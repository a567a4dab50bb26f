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
#include "hw/core/machine.gen.h" /* MachineConf */
#include "qapi/run-state.gen.h" /* ShutdownCause, RunState */
#include "qapi/tables.h"
#include "util/loop.h"

typedef struct Vcpu Vcpu;       /* accel/vcpu.h */
typedef struct Accel Accel;     /* accel/accel.h */
typedef struct RunControl RunControl; /* softmmu/runstate.h */

typedef enum { WAKEUP_OTHER, WAKEUP_POWER_BUTTON, WAKEUP_RTC } MachineWakeup; /* what ends suspend to RAM */

typedef struct MachineOps {     /* ObjectOps.iface of machine classes; functions may be NULL */
    /* Builds the board; on failure the caller destroys the machine. */
    bool (*create)(Machine *, Error **);
    /* After all devices (-device too) exist: firmware tables, -kernel; before the first reset. */
    bool (*finish_create)(Machine *, Error **);
    void (*reset)(Machine *, ObjectResetKind);    /* after the devices */
    void (*powerdown)(Machine *);                 /* system_powerdown: ACPI power button */
    void (*nmi)(Machine *);
    void (*wakeup)(Machine *, MachineWakeup);     /* ends suspend to RAM: resets the machine; NULL: it cannot sleep */
    unsigned max_cpus;                            /* 0: no CPUs at all */
    unsigned max_dies, max_clusters, max_modules; /* 0: one at most */
    uint64_t default_ram_size;
    const char *ram_id;                           /* RamBlock.id of the main RAM; NULL: "ram" */
    const char *default_cpu;                      /* class, for -cpu's absence */
} MachineOps;

/* CPU topology and memory as parsed from -smp and -m, checked. */
typedef struct {
    unsigned cpus, maxcpus, sockets, dies, clusters, modules, cores, threads, drawers, books;
} CpuTopology;

/*
 * Base of all machine types. A board's struct begins with it and has its conf in `conf` when it adds nothing
 * to MachineConf, else its own at ObjectOps.conf_offset.
 */
struct Machine {
    Object obj;                 /* /machine */
    MachineConf conf;           /* of classes without config of their own: machine_conf() is the one to read */
    QomTree *tree;
    Loop *loop;                 /* the main loop its devices' host sides run in */
    ClockGroup clocks;          /* virtual, realtime, host; their timers run in loop under lock */
    FairMutex lock;             /* LOCK_MACHINE: guards all devices, the tree, run state */
    MemoryMap *map;
    MemoryRegion *memory, *io;  /* roots of the CPU's memory and of the port space */
    AddressSpace *as_memory, *as_io;
    Accel *accel;
    uint8_t uuid[16];           /* -uuid, as text shows it; all zero: none. Set before machine_create */
    const char *cpu_type;       /* class of its CPUs, as -cpu chose; NULL: MachineOps.default_cpu. Set before machine_create */
    const struct SmbiosUser *smbios; /* -smbios (hw/smbios/smbios.h); NULL: nothing was said. Of softmmu; set before machine_finish_create */
    struct _GPtrArray *acpi_tables; /* -acpitable: GBytes, complete tables; NULL: none. Likewise */
    Vcpu **vcpus;               /* by cpu-index; num_vcpus */
    unsigned num_vcpus;
    CpuTopology smp;
    uint64_t ram_size, max_ram_size;
    unsigned ram_slots;
    MemoryRegion *ram;          /* the machine's main RAM, not yet mapped: boards alias it */
    RunControl *run;            /* softmmu/runstate.h */
    const struct MachineHost *host; /* services of softmmu for boards and devices, see below */
    void *opaque;               /* of softmmu */
    /* hw/core's own */
    MemoryRegion root_memory, root_io, root_ram;
    Device *first_device, *last_device; /* realized, in that order */
    bool created;               /* machine_finish_create has succeeded: devices are hot plugged now */
};
#define MACHINE(p) ((Machine *)(p))
const MachineConf *machine_conf(Machine *);
const MachineOps *machine_functions(const Machine *);
bool machine_is_default(const QClass *); /* made when nobody says which */

/* What devices may ask of the program above them (reset requests, -serial chardevs, firmware files...). */
typedef struct MachineHost {
    void (*warn)(Machine *, const char *text);          /* a line for the user */
    void (*request_reset)(Machine *, ShutdownCause);
    void (*request_shutdown)(Machine *, ShutdownCause);  /* honours -no-reboot, -no-shutdown, -action */
    void (*request_exit)(Machine *, int status);          /* isa-debug-exit: process exit status */
    void (*request_suspend)(Machine *);
    void (*request_wakeup)(Machine *, MachineWakeup);    /* nothing happens when it does not sleep */
    void (*guest_panicked)(Machine *, struct json_object *info);
    /* -L path and defaults: allocated path or NULL with errp. kind: "bios", "keymap". */
    char *(*find_file)(Machine *, const char *name, Error **errp);
    Object *(*serial)(Machine *, unsigned n);             /* chardev of -serial n, or NULL */
    void (*emit)(Machine *, const QEvent *event, const void *data);   /* QMP event with its typed data */
} MachineHost;

/*
 * The machine of a tree: an object of klass at /machine with its clocks, lock, memory map, and address spaces "memory" and "I/O",
 * without CPUs and devices. Takes conf, as object_new does. loop: runs its timers; NULL: nobody does (tests step
 * the clock). host may be set after. Returns with the machine's lock HELD; everything below, and all of hw/, is
 * called with it held. NULL: nothing is left.
 */
Machine *machine_new(QomTree *, Loop *, const QClass *klass, QomConf *conf, Error **errp);
static inline void machine_lock(Machine *m)
{
    fair_mutex_lock(&m->lock);
}
static inline void machine_unlock(Machine *m)
{
    fair_mutex_unlock(&m->lock);
}
/* Topology and memory from the conf, then the board. */
bool machine_create(Machine *, Error **errp);
/* After all -device: the last step; then machine_reset(m, OBJECT_COLD_RESET). */
bool machine_finish_create(Machine *, Error **errp);
/* Devices in the order they were realized (bridges before what is on their buses), then the board. vCPUs are not running. */
void machine_reset(Machine *, ObjectResetKind);
/* Takes all down and removes /machine. Lock held; vCPU threads have ended. The Machine is gone after. NULL is fine. */
void machine_destroy(Machine *);
Vcpu *machine_vcpu(Machine *, unsigned index); /* NULL: none of that index */

/* -smp: fills what is absent and checks the product. max_*: 0 or 1 where the machine knows no such level. */
bool cpu_topology_parse(const SMPConfiguration *, const MachineOps *, CpuTopology *out, Error **errp);

#endif
