/* What the files of accel/tcg share. Everything of a TcgVcpu belongs to its vCPU's thread unless said. */
#ifndef ACCEL_TCG_INTERNAL_H
#define ACCEL_TCG_INTERNAL_H

#include <setjmp.h>

#include "accel/tcg/tcg.h"
#include "accel/tcg/tcg.gen.h"
#include "memory/memory.h"
#include "tcg/interp.h"

/* A page of RAM that holds, or once held, translated code. Lives as long as the accelerator. See pages.c. */
typedef struct CodePage {
    ram_addr ram;              /* of its first byte */
    _Atomic uint64_t used;     /* bit n: code was translated from bytes 64n to 64n+63; cleared under lock */
    _Atomic uint32_t readers;  /* translations of its bytes under way; up under lock */
    _Atomic uint32_t unsettled; /* vCPUs that may be in the middle of a store to it that nobody hears of */
    _Atomic bool tables;       /* entries made from page tables in it are kept by TLBs that changes to it must reach; up under lock */
    _Atomic uint32_t table_writes; /* that did so, lately */
    Mutex lock;                /* LOCK_TRANSLATE: from what makes stores to it heard to its first reader, and back */
    struct CodePage *next;
} CodePage;

/* A page that waits for a vCPU. */
typedef struct SettleItem {
    CodePage *page;
    struct SettleItem *next;
} SettleItem;

enum { CODE_PAGE_BUCKETS = 1 << 12, MODES = 1 << 12 };

/* Mode keys have 64 bits here, 32 in tcg/: numbered as they appear. */
typedef struct {
    uint64_t key;
    bool one;                  /* regions of one instruction */
    _Atomic uint32_t id;       /* 0: free; stored last */
} Mode;

typedef struct TcgAccel {
    Accel accel;
    TcgAccelConf conf;
    MemoryListener listener;
    bool listening;
    TcgCache *cache;                         /* made with the first vCPU, whose guest it is for */
    Mutex lock;                              /* LOCK_TRANSLATE: adding to code_pages and modes; reading them takes none */
    CodePage *code_pages[CODE_PAGE_BUCKETS];
    Mode modes[MODES];
    _Atomic uint32_t num_modes;
    /* Held for reading by vCPUs that run, for writing to throw all translations away. */
    pthread_rwlock_t running;
    _Atomic uint32_t flush_wanted;           /* vCPUs that want to */
    _Atomic uint32_t generation;             /* how often it was done */
    _Atomic uint32_t table_changes;          /* stores to page tables that TLBs keep entries of */
    /* thread=single: who may run, in the order they came */
    Mutex turn_lock;                         /* LOCK_LEAF: guards serving and next_turn */
    Cond turn;
    uint64_t next_turn, serving;
    _Atomic uint32_t waiting;
    bool overcommitted;                      /* more vCPUs than host CPUs */
    _Atomic uint32_t uncached;               /* regions of code that is not in RAM */
    _Atomic uint64_t code_writes, invalidations, settles, flushes, kept_spaces, page_flushes, interpreted, guest_insns;
} TcgAccel;

/* Beside each TLB entry: where it leads. */
typedef struct {
    hwaddr phys;
    ram_addr ram;              /* of the page; RAM_ADDR_INVALID: no RAM that covers the page */
    uint8_t asidx;
    bool global, passing;      /* passing: goes with the address space */
} TlbInfo;

enum { TLB_LOG = 512, LARGE_PAGES = 16384, TLB_SPACES = 8, TABLE_PAGES = 64, PLAIN_PAGES = 16384 };

typedef struct {
    TlbInfo *info;             /* as many as table has entries */
    uint32_t used;             /* filled since the last flush */
    uint32_t evicted;          /* entries that a fill pushed out, halved at each flush */
    uint32_t quiet;            /* flushes in a row that found it mostly empty */
    uint32_t log[TLB_LOG];     /* the first `used` of the entries filled: what a flush has to empty */
    uint32_t num_passing;      /* filled with what is not kept, and not global */
    uint32_t passing[TLB_LOG]; /* the first of these */
} TlbSide;

/* The TLB of an address space: the present one's tables are in TcgRuntime. */
typedef struct {
    uint64_t id;               /* UINT64_MAX: none */
    uint32_t seen;             /* table_changes when nothing older was left in it */
    uint32_t last;             /* when it was the present one: the oldest makes room */
    bool stale;                /* all of it must go before it is used */
    /*
     * Bits by hash of pages of RAM that plain write entries may lead to: others need not be looked for. Owner sets them before the
     * tag, others read them after counting protects.
     */
    uint64_t plain[PLAIN_PAGES / 64];
    TcgTlb tlb[TCG_MMU_INDEXES];
    TlbSide side[TCG_MMU_INDEXES];
} TlbSpace;

/* RAM that page walks and TLB fills found last: while the memory map stays. */
typedef struct {
    AddressSpace *as;
    hwaddr start, len;
    uint8_t *host;
    ram_addr ram;
    MemoryMap *map;
} RamWindow;

/* What happened, for `info jit`: written by the vCPU's thread alone, read by anyone. */
typedef struct {
    uint64_t exits[TCG_EXIT_RAISE + 1]; /* TcgExitReason */
    uint64_t fills, faults;             /* page walks that filled the TLB, and that did not */
    uint64_t slow_loads, slow_stores;   /* accesses off the inline path */
    uint64_t delivered;                 /* exceptions */
    uint64_t found_again;               /* regions found by region_lookup */
} TcgCounts;

static inline void tcg_count(uint64_t *n)
{
    __atomic_store_n(n, *n + 1, __ATOMIC_RELAXED);
}

/* How translated code or a helper was left before its end. */
typedef enum { LEAVE_NONE, LEAVE_EXCEPTION, LEAVE_LOOP, LEAVE_ONE_INSN, LEAVE_AGAIN } TcgLeave;

typedef struct TcgVcpu {
    Vcpu *v;
    TcgAccel *accel;
    const TcgArch *arch;
    TcgRuntime *rt;
    TcgContext *ctx;
    jmp_buf env;
    TcgLeave leave;            /* set by who leaves */
    bool moved;                /* the state is past the instruction under way: tcg_moved */
    bool interpreting;         /* it.guest_pc is where */
    bool deliver;              /* an exception waits for arch->deliver */
    bool force_one;            /* the next region has one instruction: it writes to code */
    bool in_one;               /* that is running */
    bool polled;               /* a kick arrived since tcg_run was entered */
    int fault_code;            /* si_code of a SIGFPE in translated code, or 0 */
    uint8_t atomic_old[16];    /* what the load of an atomic operation under way saw */
    vaddr page_mask;
    uint64_t last_key;
    uint8_t run_mmu;           /* of instruction fetches of what runs */
    TcgSlot *slot;             /* the exit that was taken, to be linked */
    TcgCounts counts;

    /*
     * Others set flags in write tags under tlb_lock, after counting protects. The owner empties and moves tables under it, and
     * fills entries without (see insert); its own reads and those of translated code need no lock.
     */
    Mutex tlb_lock;            /* LOCK_LEAF; guards inside and settle too */
    bool inside;               /* of tcg_run: may be in the middle of a store */
    SettleItem *settle;        /* pages that wait until it is not */
    _Atomic bool must_settle;  /* settle is not empty */
    _Atomic uint32_t protects;
    TlbSpace spaces[TLB_SPACES];
    TlbSpace *space;           /* the present one */
    TlbSide *side;             /* its */
    uint32_t num_loads;
    struct {
        ram_addr ram;
        CodePage *page;
    } table_pages[TABLE_PAGES]; /* found lately, by page number */
    uint64_t large[LARGE_PAGES / 64]; /* bits by hash of addresses with pages of more than 4 KiB in the TLB */
    bool any_large;
    RamWindow window[4];
    unsigned next_window;
    bool tlb_grow;             /* a table is too small */

    /* The translation under way */
    TcgTranslation tr;
    CodePage *fetched[2];      /* pages it has read */
    hwaddr fetched_phys[2];
    vaddr fetch_page;
    uint8_t fetch_mmu;
    bool found_global;         /* the page of what region_find found last is global */
    bool uncached;
    struct {
        ram_addr ram;
        uint64_t len;
    } code[2];                 /* its bytes, by page */

    struct Disas *disas;       /* of guest code, for -d in_asm; made when first wanted */
    IrRegion ir;               /* of a region that the emitter cannot do */
    IrInterp it;
} TcgVcpu;

static inline TcgVcpu *tcg_vcpu(Vcpu *v)
{
    return v->accel_data;
}

/* run.c */
VcpuExit tcg_run(Vcpu *);
void tcg_kick_vcpu(Vcpu *);    /* any thread */
void tcg_install_signals(void);
void tcg_set_current(TcgVcpu *);
TcgVcpu *tcg_current_vcpu(void); /* of this thread */
_Noreturn void tcg_leave_how(TcgVcpu *, TcgLeave);

/* tlb.c */
void tlb_init(TcgVcpu *);
void tlb_finish(TcgVcpu *);
void tlb_grow(TcgVcpu *);
/* Entry for the page of addr with access allowed, filled if need be; NULL: it faults (arch->raise_fault). */
TcgTlbEntry *tlb_lookup(TcgVcpu *, vaddr, TcgAccess, unsigned mmu, TlbInfo **info);
/* Other threads too: writes to these pages of RAM come to the slow path from now on. True iff some did not before. */
bool tlb_protect(TcgVcpu *, ram_addr start, uint64_t len);
/* Writes through this entry are plain again, if nobody follows the page. */
void tlb_unprotect(TcgVcpu *, TcgTlbEntry *, MemoryMap *, ram_addr);

/* access.c: any size up to 64 bytes, any alignment. Leave on a fault. */
void access_load(TcgVcpu *, vaddr, void *buf, unsigned size, unsigned mmu);
void access_store(TcgVcpu *, vaddr, const void *buf, unsigned size, unsigned mmu);
/* TcgRuntime.slow_load, slow_store. */
void access_slow_load(void *state, uint64_t addr, uint32_t access, uintptr_t retaddr);
void access_slow_store(void *state, uint64_t addr, uint32_t access, uintptr_t retaddr);

/* pages.c: pages of code. Any thread, unless there is a TcgVcpu: then its own. */
CodePage *code_page(TcgAccel *, ram_addr page);
void code_pages_free(TcgAccel *);
/* All translations are gone. Exclusive, but for devices. */
void code_pages_flushed(TcgAccel *);
/* The page's bytes are about to be translated: stores to it are heard from now on. Undone by unread, after insertion. */
void code_page_read(CodePage *, MemoryMap *);
void code_page_unread(CodePage *);
/* Page tables in the page are about to be read: true when every store to it from here on is counted in table_changes. */
bool code_page_tables(CodePage *, MemoryMap *);
/* A store that left page tables as they were. */
void code_after_mark(TcgAccel *, ram_addr, uint64_t len);
/* Which of them are code; before insertion. */
void code_page_use(CodePage *, ram_addr from, uint64_t len);
/* Whether no store from before code_page_read can still be on its way: its bytes must not be translated before. */
bool code_page_settled(const CodePage *);
/* From code_page_read: stores of t to the page were not heard until now. */
void code_page_protected(TcgAccel *, ram_addr, TcgVcpu *t);
/* t is between two instructions, and in tcg_run or not. */
void code_settle(TcgVcpu *, bool inside);
/*
 * Around a store to RAM [ram, ram+len), inside a page, that is clean for DIRTY_CODE. Before: leaves when what runs was made from
 * these bytes; the instruction is done again alone, so that the next one is seen as stored (SDM vol. 3, 8.1.3). After: true
 * when nothing is made from the page any more.
 */
void code_before_store(TcgVcpu *, ram_addr, uint64_t len);
bool code_after_store(TcgAccel *, ram_addr, uint64_t len);
/* Stores to the page need not be heard if nothing is made from it: marks it dirty then. */
void code_page_release(TcgAccel *, MemoryMap *, ram_addr);

/* code.c: finding and translating regions */
/* The region at a point; NULL: the emitter cannot do it, and t->ir holds it. */
TcgRegion *region_find(TcgVcpu *, const TcgPoint *);
/* log.c: -d in_asm of the translation under way; -d exec,cpu of what is about to run (NULL: is interpreted). */
void log_guest_code(TcgVcpu *);
void log_region(TcgVcpu *, const TcgPoint *, const TcgRegion *);
/* TcgRuntime.lookup */
const uint8_t *region_lookup(void *state, uint64_t pc);
/* Indirect exits find r; links from t->slot to r where that is safe. */
void region_connect(TcgVcpu *, TcgRegion *r, const TcgPoint *);
/* The address space or mode has changed: nothing found by address alone is right any more. */
void regions_forget(TcgVcpu *);
/* Another address space: global pages stay. */
void regions_forget_space(TcgVcpu *);

#endif
