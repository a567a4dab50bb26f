/* What the files of accel/tcg share. Everything of a TcgVcpu belongs to its vCPU's thread unless said. */
#ifndef ACCEL_TCG_INTERNAL_H
#define ACCEL_TCG_INTERNAL_H

#include <setjmp.h>

#include "accel/tcg/tcg.h"
#include "accel/tcg/tcg.gen.h"
#include "memory/memory.h"
#include "tcg/interp.h"

/* A page of RAM that holds, or once held, translated code. Lives as long as the accelerator. */
typedef struct CodePage {
    ram_addr ram;              /* of its first byte */
    _Atomic uint32_t gen;      /* counts writes that hit code: regions of an older generation are dead */
    _Atomic uint64_t used;     /* bit n: code was translated from bytes 64n to 64n+63 */
    _Atomic uint32_t readers;  /* translations of its bytes under way */
    _Atomic bool watched;      /* stores to it come to code_written: set before its bytes are read */
    struct CodePage *next;
} CodePage;

enum { CODE_PAGE_BUCKETS = 1 << 12 };

typedef struct TcgAccel {
    Accel accel;
    TcgAccelConf conf;
    MemoryListener listener;
    bool listening;
    Mutex lock;                              /* LOCK_TRANSLATE: code_pages; CodePage.gen and used are atomic */
    CodePage *code_pages[CODE_PAGE_BUCKETS];
    FairMutex turn;                          /* thread=single: who may run */
    _Atomic uint32_t waiting;                /* for turn */
    /* info jit */
    _Atomic uint64_t regions, guest_insns, ir_ops, code_writes, invalidations, flushes, page_flushes;
} TcgAccel;

/* Beside each TLB entry: where it leads. */
typedef struct {
    hwaddr phys;
    ram_addr ram;              /* of the page; RAM_ADDR_INVALID: no RAM that covers the page */
    uint8_t asidx;
} TlbInfo;

typedef struct {
    TlbInfo *info;             /* as many as table has entries */
    uint32_t used;             /* filled since the last flush */
    uint32_t quiet;            /* flushes in a row that found it mostly empty */
} TlbSide;

/* A translated region, to be interpreted. */
typedef struct InterpRegion {
    vaddr pc, end;
    uint64_t key;
    hwaddr phys[2];            /* of the pages of pc and, when the first instruction crosses, of the next */
    CodePage *page[2];
    uint32_t gen[2];
    uint32_t num_insns;        /* of the guest */
    IrRegion ir;               /* insns of its own */
} InterpRegion;

enum { REGION_SLOTS = 1 << 15 };

/* How a longjmp to env came about. */
typedef enum { LEAVE_NONE, LEAVE_EXCEPTION, LEAVE_LOOP, LEAVE_ONE_INSN } TcgLeave;

typedef struct TcgVcpu {
    Vcpu *v;
    TcgAccel *accel;
    const TcgArch *arch;
    TcgRuntime *rt;
    jmp_buf env;
    bool in_code;              /* a region runs: its pc is known */
    bool deliver;              /* an exception waits for arch->deliver */
    int64_t slice_end;         /* thread=single: until when others wait for their turn */
    bool force_one;            /* the next region has one instruction: it writes to its own code */
    vaddr page_mask;

    /*
     * Owner writes entries under tlb_lock, others set flags in write tags under it; owner's own reads and those of translated code
     * need no lock.
     */
    Mutex tlb_lock;            /* LOCK_LEAF */
    TlbSide side[TCG_MMU_INDEXES];

    InterpRegion **regions;       /* REGION_SLOTS */
    InterpRegion *running;
    InterpRegion *temporary;      /* of code that is not in RAM */
    IrRegion ir;               /* being built */
    IrInterp it;
    CodePage *fetched[2];      /* pages the translation under way has read */
    hwaddr fetched_phys[2];
    vaddr fetch_page;
    uint32_t fetched_gen[2];
    bool uncached;
    uint8_t fetch_mmu;
} TcgVcpu;

static inline TcgVcpu *tcg_vcpu(Vcpu *v)
{
    return v->accel_data;
}

/* run.c */
VcpuExit tcg_run(Vcpu *);
void tcg_kick_vcpu(Vcpu *);         /* any thread */

/* tlb.c */
void tlb_init(TcgVcpu *);
void tlb_finish(TcgVcpu *);
/* Entry for the page of addr with access allowed, filled if need be; NULL: it faults (arch->raise_fault). */
TcgTlbEntry *tlb_lookup(TcgVcpu *, vaddr, TcgAccess, unsigned mmu, TlbInfo **info);
/* Other threads too: writes to these pages of RAM come to the slow path from now on. */
void tlb_protect(TcgVcpu *, ram_addr start, uint64_t len);
/* Writes through this entry are plain again, if nobody follows the page. */
void tlb_unprotect(TcgVcpu *, TcgTlbEntry *, MemoryMap *, ram_addr);

/* access.c: any size up to 64 bytes, any alignment. Leave on a fault. */
void access_load(TcgVcpu *, vaddr, void *buf, unsigned size, unsigned mmu);
void access_store(TcgVcpu *, vaddr, const void *buf, unsigned size, unsigned mmu);

/* code.c: pages of code, regions */
CodePage *code_page_find(TcgAccel *, ram_addr page);
static inline bool code_watched(TcgAccel *a, ram_addr page)
{
    CodePage *p = code_page_find(a, page);

    return p && atomic_load(&p->watched);
}
/* RAM [ram, ram+len), inside a page, is about to be written by t (NULL: a device). Leaves when the running region is hit. */
void code_written(TcgAccel *, TcgVcpu *, ram_addr, uint64_t len);
InterpRegion *region_find(TcgVcpu *, const TcgPoint *);
void regions_free(TcgVcpu *);

#endif
