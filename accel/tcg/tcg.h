/*
 * accel/tcg: runs vCPUs by translation (docs/translator.md). This header is what a guest architecture gives to the run loop
 * (TcgArch) and what its system code gets from it: checked accesses to guest memory, and the way out of them.
 *
 * The loop of a vCPU, in its own thread:
 *
 *     requests -> arch->interrupts; an exception raised -> arch->deliver; halted -> back to the caller;
 *     else arch->point says where the guest is: find or translate the region there, run it, arch->set_pc.
 *
 * Exceptions: a helper, or an access that faults, calls tcg_leave() after the architecture has noted the exception in its
 * state. The loop puts the state back to the start of the instruction (arch->restore) and calls arch->deliver. Deliver itself may
 * access memory and so raise again; the architecture knows that it was delivering.
 *
 * The TLB maps pages of guest-virtual addresses, one table for each MMU index, filled by arch->walk. Physical memory
 * is v->as[page.asidx]. Pages with translated code, and RAM that somebody watches for writes, have a flag in the write tag, so that
 * writes come to the slow path here.
 *
 * No guest architecture is named here.
 */
#ifndef ACCEL_TCG_TCG_H
#define ACCEL_TCG_TCG_H

#include "accel/accel.h"
#include "tcg/build.h"
#include "tcg/runtime.h"
#include "memory/memory.h"
#include "util/addr.h"

/* Kinds of access: index of TcgTlbEntry.tag, bits of TcgPage.prot. */
typedef enum { TCG_READ = TCG_TLB_READ, TCG_WRITE = TCG_TLB_WRITE, TCG_EXEC = TCG_TLB_EXEC } TcgAccess;
enum { TCG_PROT_READ = 1 << TCG_READ, TCG_PROT_WRITE = 1 << TCG_WRITE, TCG_PROT_EXEC = 1 << TCG_EXEC };

/* Result of a page walk, for the page around the address. */
typedef struct {
    hwaddr phys;       /* of the page's first byte */
    uint8_t prot;      /* what may go through the TLB; without WRITE, a write comes to walk again */
    uint8_t asidx;     /* address space: Vcpu.as[] */
    bool watch;        /* every access goes to arch->watch */
    bool global;       /* stays when the address space is changed */
    bool keep;         /* good as long as its tables are not written: see tcg_table */
    uint8_t shift;     /* log2 of the size of the page it is part of */
} TcgPage;

/* Where the guest is. */
typedef struct {
    vaddr pc;          /* of the next instruction; linear address where there are segments */
    uint64_t key;      /* what the translation depends on besides the bytes */
    uint8_t fetch_mmu; /* MMU index of instruction fetches */
    bool one_insn;     /* regions of one instruction; arch->after_insn is called after each */
} TcgPoint;

/* One region to translate: the architecture fills region and the results. */
typedef struct TcgTranslation {
    IrRegion *region;
    vaddr pc;
    uint64_t key;
    unsigned max_insns;
    /* Copies up to len bytes of code at pc; returns how many there are before a fault. For arch->translate. */
    unsigned (*fetch)(void *opaque, vaddr pc, uint8_t *buf, unsigned len);
    void *opaque;
    /* Results */
    vaddr end;
    unsigned num_insns;  /* 0: the first fetch faults */
} TcgTranslation;

struct TcgArch {
    const TcgGuest *guest;
    unsigned num_mmu;                                   /* MMU indexes in use, from 0 */
    void (*init)(Vcpu *);                               /* state is there, nothing has run; may be NULL */
    /* Around a stretch of running: the state as others see it into the machine's registers, and back. */
    void (*begin_run)(Vcpu *);
    void (*end_run)(Vcpu *);
    void (*point)(Vcpu *, TcgPoint *);
    void (*set_pc)(Vcpu *, vaddr pc);                   /* a region was left: the next instruction is at pc */
    void (*restore)(Vcpu *, vaddr pc, uint32_t word);   /* back to the start of the instruction at pc; its word of the pc map */
    void (*translate)(Vcpu *, TcgTranslation *);
    /* Page walk. false: the access faults; walk has noted how, for raise_fault. */
    bool (*walk)(Vcpu *, vaddr, TcgAccess, unsigned mmu, TcgPage *);
    void (*raise_fault)(Vcpu *) __attribute__((noreturn));
    void (*raise_divide)(Vcpu *) __attribute__((noreturn));             /* udiv2, sdiv2 */
    void (*raise_float)(Vcpu *) __attribute__((noreturn));  /* the host's SIGFPE of a vector operation */
    void (*raise_illegal)(Vcpu *) __attribute__((noreturn)); /* an instruction that nothing here can run */
    void (*raise_unaligned)(Vcpu *, unsigned size) __attribute__((noreturn)); /* IR_MEM_ALIGNED */
    void (*deliver)(Vcpu *);                            /* the exception noted in the state */
    void (*interrupts)(Vcpu *);                         /* requests are pending that are not the loop's own */
    void (*leave)(Vcpu *, uint32_t reason);             /* after IR op leave; state is at the next instruction */
    void (*after_insn)(Vcpu *, const TcgPoint *before); /* NULL when one_insn never is */
    void (*watch)(Vcpu *, vaddr, unsigned size, TcgAccess); /* an access to a watched page was made */
    VcpuExit (*stuck)(Vcpu *);                           /* not KICK: the vCPU cannot go on (shutdown, halt) */
};
typedef struct TcgArch TcgArch;

/*
 * Accesses by system code of the architecture, in the vCPU's thread while it runs. size is 1, 2, 4 or 8. They check, walk, and leave with
 * a fault. Values are in host order.
 */
uint64_t tcg_ld(Vcpu *, vaddr, unsigned size, unsigned mmu);
void tcg_st(Vcpu *, vaddr, uint64_t value, unsigned size, unsigned mmu);
/* Leaves with the fault that an access of size bytes (up to a page) would have. */
void tcg_probe(Vcpu *, vaddr, unsigned size, TcgAccess, unsigned mmu);
/*
 * Host address of a byte, and in *len how many bytes from there may be accessed in its page, at most the *len asked for; NULL
 * (after the same checks) when it is no plain RAM: then accesses go one by one. Writing: translated code in these bytes is
 * thrown away first, which may leave to do the instruction again; when *follow is set, tcg_host_written() is owed after the write. What
 * is to be written is asked for last: the pointer is good until the next access that may fill the TLB (docs/translator.md section 8).
 */
const uint8_t *tcg_host_read(Vcpu *, vaddr, unsigned mmu, unsigned *len);
uint8_t *tcg_host_write(Vcpu *, vaddr, unsigned mmu, unsigned *len, bool *follow);
void tcg_host_written(Vcpu *, vaddr, unsigned mmu, unsigned len);

/* Leaves a helper, or an access made by it: see above. */
_Noreturn void tcg_leave(Vcpu *);
/* Leaves without an exception: the state is complete and says where to go on. */
_Noreturn void tcg_leave_to_loop(Vcpu *);

/*
 * The state has moved on past the present instruction (a task switch, RSM): what faults from here on leaves it as it is,
 * and arch->restore is not called.
 */
void tcg_moved(Vcpu *);

/*
 * From helpers, for translated code that goes on by an indirect exit: the mode is `key` from here on (TcgPoint.key of a point without
 * one_insn). True when that is another one than before.
 */
bool tcg_set_mode(Vcpu *, uint64_t key, uint8_t fetch_mmu);
/* Requests are pending; near enough for a helper, which others see to at the next poll. */
bool tcg_wanted(Vcpu *);
/* The next indirect exit comes to the loop. */
void tcg_stop_at_exit(Vcpu *);

/* The guest waits for another vCPU in a loop: that one runs first where there is not a host CPU for each. From arch->leave. */
void tcg_yield(Vcpu *);

/*
 * TLB of the vCPU, its own thread: all; all but global pages; the page around an address, however large. tcg_ram is for page walks:
 * the host address of RAM at a guest-physical one, good up to the end of its 4 KiB, or NULL: then through the address space.
 */
void tcg_tlb_flush(Vcpu *);
/*
 * Another address space, or the same anew: whose top table is id. What earlier walks found in it stays when it would be found again.
 */
void tcg_tlb_space(Vcpu *, uint64_t id);
void tcg_tlb_flush_page(Vcpu *, vaddr);
const uint8_t *tcg_ram(Vcpu *, unsigned asidx, hwaddr);
/* As tcg_ram, for an entry that a walk is about to read; clears *keep when writes to its table would not be noticed. */
const uint8_t *tcg_table(Vcpu *, unsigned asidx, hwaddr, bool *keep);
/* A walk set flags in an entry that change nothing of where it leads. */
void tcg_table_marked(Vcpu *, MemoryMap *, ram_addr, unsigned size);

#endif
