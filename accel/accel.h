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

typedef enum { VCPU_EXIT_KICK, VCPU_EXIT_HALT, VCPU_EXIT_DEBUG, VCPU_EXIT_SHUTDOWN /* triple fault */,
               VCPU_EXIT_ERROR } VcpuExit;

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
    AddressSpace *as[2];         /* 0 normal, 1 SMM; changes under VCPU_REQ_FLUSH */
    AddressSpace *as_io;

    _Atomic uint32_t requests;
    _Atomic bool halted;         /* HLT: wakes by arch->has_work */
    bool stop, stopped, created, unplug;   /* under `lock` */
    Mutex lock;
    Cond cond;
    Thread thread;
    int thread_id;               /* host tid, for query-cpus-fast */
    struct VcpuWork *work;       /* under lock */
};

/* What the guest architecture gives: const. */
struct VcpuArch {
    const char *name;                            /* "x86_64": query-target, query-cpus-fast */
    uint32_t state_size;
    void (*reset)(Vcpu *);                        /* power-on/INIT-like reset of state */
    bool (*has_work)(Vcpu *);                     /* a halted vCPU must run again */
    void (*print_registers)(Vcpu *, void (*print)(void *, const char *), void *opaque); /* info registers */
    uint64_t (*get_pc)(Vcpu *);
    /* Debug translation of a guest-virtual address; false: not mapped. For x, gdb, logs. */
    bool (*translate_debug)(Vcpu *, vaddr, hwaddr *phys, int *asidx);
    void (*print_mmu)(Vcpu *, bool summary /* info mem */, void (*print)(void *, const char *), void *opaque);
    bool (*get_register)(Vcpu *, const char *name, uint64_t *value);   /* $rip in HMP expressions */
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

typedef struct AccelOps {        /* ObjectOps.iface of accel classes */
    bool (*init)(Accel *, Machine *, Error **);       /* false with errp: not on this host (-accel falls back) */
    void (*finish)(Accel *);
    bool (*vcpu_init)(Vcpu *, Error **);               /* in the vCPU's thread */
    void (*vcpu_finish)(Vcpu *);
    VcpuExit (*run)(Vcpu *);                            /* NULL: CPUs exist but do not run (qtest) */
    void (*kick)(Vcpu *);                               /* any thread: make run look at requests soon */
    void (*sync_state)(Vcpu *);                         /* state fields are current after it (from a stopped vCPU) */
    void (*flush_tlb)(Vcpu *);                          /* vCPU's own thread */
    void (*print_jit)(Accel *, void (*print)(void *, const char *), void *opaque); /* info jit; NULL */
} AccelOps;

struct Accel {
    Object obj;
    Machine *machine;
};

/* From -accel tcg,... / -machine accel=a:b; tries in order; the error names why each failed. */
Accel *accel_new(Machine *, const char *names, Error **errp);

Vcpu *vcpu_new(Machine *, const VcpuArch *, Error **errp);   /* index: next; not running */
void vcpu_free(Vcpu *);
bool vcpu_start(Vcpu *, Error **errp);                       /* thread; parked until machine runs */
void vcpu_request(Vcpu *, uint32_t bits);                    /* any thread: set bits, wake or kick */
void vcpu_clear_request(Vcpu *, uint32_t bits);
/* Runs fn in the vCPU's thread between guest instructions and waits for it (or async). */
void vcpu_run_on(Vcpu *, void (*fn)(Vcpu *, void *), void *opaque);
void vcpu_run_async(Vcpu *, void (*fn)(Vcpu *, void *), void *opaque);
/* All of a machine: return when each is stopped / let them go. */
void vcpus_pause(Machine *);
void vcpus_resume(Machine *);

#endif
