/*
 * Accelerators and virtual CPUs: what runs guest code (docs/architecture.md).
 *
 * An Accel is an object of a class of kind 'accel' (tcg, kvm, xen, qtest). It runs Vcpus. A Vcpu is not a device: the
 * guest architecture (target/ISA/) gives a const VcpuArch, allocates its state, and may wrap the Vcpu in a CPU device.
 *
 * A vCPU thread runs: wait while stopped or halted without work -> accel->run(vcpu) until an exit -> handle it.
 * Requests reach it from any thread by atomic bits in `requests` and a kick: vcpu_request() takes no device lock.
 */
#ifndef ACCEL_ACCEL_H
#define ACCEL_ACCEL_H

#include <stdatomic.h>

#include "qom/qom.h"
#include "util/addr.h"
#include "util/error.h"
#include "util/thread.h"

typedef struct Machine Machine;           /* hw/core/machine.h; NULL in user mode, which links no hw/ */
typedef struct AddressSpace AddressSpace;
typedef struct Vcpu Vcpu;
typedef struct Accel Accel;

/* Bits of Vcpu.requests. The lower 16 are the architecture's own interrupt lines/kinds, by VcpuArch. */
enum {
    VCPU_REQ_HARD = 1 << 0,     /* local interrupt controller has a vector pending (level of its output) */
    VCPU_REQ_NMI = 1 << 1,
    VCPU_REQ_SMI = 1 << 2,
    VCPU_REQ_INIT = 1 << 3,
    VCPU_REQ_SIPI = 1 << 4,
    VCPU_REQ_MCE = 1 << 5,
    VCPU_REQ_A20 = 1 << 6,      /* A20 gate or memory map changed */
    VCPU_REQ_POLL = 1 << 7,     /* interrupt controller wants to look at its own state in the vCPU's thread */
    VCPU_REQ_EXIT = 1 << 16,    /* leave the run loop: look at stop, work */
    VCPU_REQ_WORK = 1 << 17,    /* queued work items */
    VCPU_REQ_FLUSH = 1 << 18,   /* TLB */
    VCPU_REQ_DEBUG = 1 << 19,
};

/* Why AccelOps.run came back. */
typedef enum {
    VCPU_EXIT_KICK,     /* a request, or nothing in particular: look at stop and work, run again */
    VCPU_EXIT_HALT,     /* the guest waits for an interrupt: vcpu->halted is set */
    VCPU_EXIT_DEBUG,    /* a breakpoint of the debugger, or one step of it */
    VCPU_EXIT_SHUTDOWN, /* triple fault */
    VCPU_EXIT_ERROR,    /* the accelerator cannot go on; it has said why */
} VcpuExit;

typedef struct VcpuArch VcpuArch;
typedef struct LocalIntc LocalIntc;

struct Vcpu {
    Machine *machine;
    Accel *accel;
    const VcpuArch *arch;
    unsigned index;
    void *state;                 /* the architecture's, e.g. X86Cpu; alignment 64 */
    void *accel_data;            /* TCG context, KVM fd ... */
    Object *device;              /* wrapping CPU device, or NULL */
    const LocalIntc *intc;       /* NULL: no local interrupt controller */
    void *intc_opaque;
    AddressSpace *as[2];         /* 0 normal, 1 SMM (NULL: as normal); changes under VCPU_REQ_FLUSH */
    AddressSpace *as_io;
    bool start_halted;           /* an application processor: waits until the architecture wakes it */

    _Atomic uint32_t requests;
    _Atomic bool halted;         /* HLT: wakes by arch->has_work */
    Event wake;                  /* set by whoever wants its thread to look at requests, stop, work */

    Mutex lock;                  /* LOCK_VCPU: guards what follows */
    Cond cond;                   /* broadcast when stopped, created or a work item is done */
    bool stop, stopped, created, failed, unplug, started;
    struct VcpuWork *work;
    Error *error;                /* of vcpu_init, taken by vcpu_start */

    Thread thread;
    uint32_t thread_id;          /* host tid, for query-cpus-fast; 0 before it runs */
};

/* What the guest architecture gives: const. */
struct VcpuArch {
    const char *name;                            /* "x86_64": query-target, query-cpus-fast */
    const struct TcgArch *tcg;                   /* how accel/tcg runs it (accel/tcg/tcg.h); NULL: it cannot */
    uint32_t state_size;
    void (*reset)(Vcpu *);                        /* power-on/INIT-like reset of state */
    bool (*has_work)(Vcpu *);                     /* a halted vCPU must run again */
    void (*print_registers)(Vcpu *, void (*print)(void *, const char *), void *opaque); /* info registers */
    uint64_t (*get_pc)(Vcpu *);
    /* Debug translation of a guest-virtual address; false: not mapped. For x, gdb, logs. */
    bool (*translate_debug)(Vcpu *, vaddr, hwaddr *phys, int *asidx);
    void (*print_mmu)(Vcpu *, bool summary /* info mem */, void (*print)(void *, const char *), void *opaque);
    bool (*get_register)(Vcpu *, const char *name, uint64_t *value);   /* $rip in HMP expressions */
    unsigned (*code_bits)(Vcpu *);                /* x86: 16, 32 or 64, by CS: for disassembly */
    /* x86, both any thread: a start-up interrupt; virtual time in ns at which the time stamp counter reaches `stamp`. */
    void (*start_up)(Vcpu *, uint8_t vector);
    int64_t (*time_of_stamp)(Vcpu *, uint64_t stamp);
};

/*
 * The local interrupt controller as the CPU sees it (x86: local APIC), the only place where the two meet. All are called
 * in the vCPU's own thread unless said. The controller calls vcpu_request(vcpu, VCPU_REQ_HARD ...) from any thread.
 */
struct LocalIntc {
    int (*accept)(void *opaque);                   /* highest deliverable vector, acknowledged (IRR->ISR); -1 none */
    bool (*pending)(void *opaque);                 /* would accept give one? any thread */
    uint64_t (*get_base)(void *opaque);            /* IA32_APIC_BASE */
    bool (*set_base)(void *opaque, uint64_t);      /* false: the guest must get #GP */
    uint8_t (*get_tpr)(void *opaque);              /* CR8 (4 bits) */
    void (*set_tpr)(void *opaque, uint8_t);
    bool (*msr_read)(void *opaque, uint32_t index, uint64_t *value);   /* x2APIC 0x800.., TSC_DEADLINE; false: #GP */
    bool (*msr_write)(void *opaque, uint32_t index, uint64_t value);
    void (*reset)(void *opaque, bool init);         /* INIT or power-on */
};

/*
 * ObjectOps.iface of accel classes. realize of the class says whether this host can do it (-accel falls back when it fails).
 */
typedef struct AccelOps {
    /* Zeroed memory for a vCPU's state, and its end. NULL: plain memory. */
    void *(*state_new)(Accel *, const VcpuArch *, Error **);
    void (*state_free)(Accel *, void *state);
    bool (*vcpu_init)(Vcpu *, Error **);               /* in the vCPU's thread */
    void (*vcpu_finish)(Vcpu *);                        /* in the vCPU's thread */
    VcpuExit (*run)(Vcpu *);                            /* NULL: CPUs exist but do not run (qtest) */
    void (*kick)(Vcpu *);                               /* any thread: make run look at requests soon */
    void (*sync_state)(Vcpu *);                         /* state fields are current after it (from a stopped vCPU) */
    void (*flush_tlb)(Vcpu *);                          /* vCPU's own thread; NULL: nothing to flush */
    void (*print_jit)(Accel *, void (*print)(void *, const char *), void *opaque); /* info jit; NULL */
} AccelOps;

struct Accel {
    Object obj;
    Machine *machine;          /* NULL in user mode and unit tests */
    /* The machine's; NULL in user mode and where a test has none. */
    FairMutex *lock;           /* released while waiting for vCPUs */
    struct MemoryMap *map;
    struct ClockGroup *clocks; /* virtual time, from which the guest's time stamps come */
    Vcpu **vcpus;              /* by index; owned here */
    unsigned num_vcpus;
    /* In the vCPU's thread, for DEBUG, SHUTDOWN and ERROR; the vCPU has stopped itself. NULL: nobody cares. */
    void (*on_exit)(Vcpu *, VcpuExit);
    void *opaque;              /* of whoever set on_exit */
};
#define ACCEL(p) ((Accel *)(p))

/*
 * From -accel tcg,... / -machine accel=a:b; names separated by ':', tried in order; the error names why each failed. The
 * accelerator is machine->accel then, child "accel" of the machine. conf: JSON object of properties for the (then only) name, or
 * NULL; a reference is taken.
 */
Accel *accel_new(Machine *, const char *names, struct json_object *conf, Error **errp);
void accel_free(Accel *);                                    /* after its vCPUs are freed */

/* A vCPU that does not run yet; its index is the next. NULL with errp. */
Vcpu *vcpu_new(Accel *, const VcpuArch *, Error **errp);
void vcpu_free(Vcpu *);                                      /* ends its thread, waits for it; NULL is fine */
bool vcpu_start(Vcpu *, Error **errp);                       /* makes its thread, which is stopped until vcpus_resume */

/* Any thread: sets bits in requests, wakes or kicks the vCPU. Takes no lock. */
void vcpu_request(Vcpu *, uint32_t bits);
void vcpu_clear_request(Vcpu *, uint32_t bits);
/* True iff the calling thread is this vCPU's. */
bool vcpu_is_self(const Vcpu *);
/*
 * Runs fn in the vCPU's thread between guest instructions and waits for it (run_on), or does not (run_async). A caller
 * that holds the machine's lock loses it while it waits; fn runs without it.
 */
void vcpu_run_on(Vcpu *, void (*fn)(Vcpu *, void *), void *opaque);
void vcpu_run_async(Vcpu *, void (*fn)(Vcpu *, void *), void *opaque);
/*
 * All vCPUs: returns when each is stopped (the caller's own, if it is one, stops when it gets back to its loop); lets them go. A caller
 * that holds the machine's lock loses it while it waits.
 */
void accel_pause(Accel *);
void accel_resume(Accel *);
void vcpus_pause(Machine *);
void vcpus_resume(Machine *);

#endif
