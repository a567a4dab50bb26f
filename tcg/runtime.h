/*
 * Running translated code: the cache of regions, entering and leaving it, faults.
 *
 * One TcgCache per virtual machine or process: code buffer, regions, links. One TcgContext per thread
 * that translates. One state per vCPU, made by tcg_state_new(), with a TcgRuntime in it at
 * TcgGuest.runtime_offset. A run loop, in user mode without its errors:
 *
 *     tcg_thread_attach(cpu);                         // once per thread: sets the gs base
 *     for (;;) {
 *         TcgKey key = { .pc = cpu->pc, .phys = cpu->pc, .mode = cpu_mode(cpu) };
 *         TcgRegion *r = tcg_find(cache, &key);
 *         if (!r) {
 *             r = tcg_translate(ctx, &key, my_front_end, cpu);     // NULL: full, tcg_flush()
 *         }
 *         if (last_slot) {
 *             tcg_link(cache, last_slot, r);
 *         }
 *         tcg_remember(cpu, cache, r, false);         // for exit_ind
 *         switch (tcg_enter(cpu, r)) {
 *         case TCG_EXIT_LINK: last_slot = rt->exit_slot; cpu->pc = rt->exit_pc; ...
 *
 * Locks. TcgCache.lock guards links, the page lists, insertion and removal; it is a leaf: nothing is
 * called under it. tcg_find() and tcg_unwind() take no lock and see a region whole or not at
 * all, since the memory of regions is only reused by tcg_flush(), which the caller makes exclusive
 * (no other thread in tcg_enter, tcg_find, tcg_translate). Code of a removed region may go on
 * running until it exits.
 *
 * Everything in TcgRuntime belongs to the vCPU's own thread, but jump_table entries, which the
 * remover of a region clears, and the poll page, which anyone may close.
 */
#ifndef TCG_RUNTIME_H
#define TCG_RUNTIME_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "tcg/ir.h"
#include "tcg/tlb.h"
#include "util/error.h"

/* Why translated code came back: TcgRuntime.exit_reason. */
typedef enum {
    TCG_EXIT_LINK,    /* an exit that is not linked: exit_slot, exit_pc */
    TCG_EXIT_LOOKUP,  /* exit_ind found nothing: exit_pc */
    TCG_EXIT_LEAVE,   /* leave: exit_code */
    TCG_EXIT_POLL,    /* attention, at the start of the instruction exit_pc */
    TCG_EXIT_ICOUNT,  /* budget used up, at the start of exit_pc */
    TCG_EXIT_RAISE,   /* tcg_raise(), or a host fault in translated code */
} TcgExitReason;

/* A memory access as the slow path gets it. */
enum {
    TCG_ACCESS_SIZE = 7,         /* IrWidth */
    TCG_ACCESS_WRITE = 1 << 3,
    TCG_ACCESS_RMW = 1 << 4,     /* load of something that will be written: check for write */
    TCG_ACCESS_ATOMIC = 1 << 5,
    TCG_ACCESS_ALIGNED = 1 << 6,
    TCG_ACCESS_MMU_SHIFT = 8,
};

enum { TCG_RETURNS = 256, TCG_JUMP_TABLE = 1 << 16, TCG_PASSING = 256 };

typedef struct TcgRuntime {
    void *self;               /* the state */
    uint64_t host_sp;         /* of the C frame in tcg_enter; helpers return to host_sp[-1] */
    struct TcgCache *cache;
    const struct TcgRegion *region; /* the one entered last */
    volatile bool running;    /* in translated code or a helper of it */
    uint32_t mxcsr, host_mxcsr;
    uint16_t fpucw, host_fpucw;
    bool vectors_saved;       /* vector globals are in their slots, not in registers */
    uint32_t exit_reason;
    uint32_t exit_code;
    uint64_t exit_pc;
    uint32_t exit_word;       /* of a raise: the front end's word of the instruction at exit_pc */
    struct TcgSlot *exit_slot;
    int64_t icount;
    uint64_t access_vaddr;    /* of the slow access under way */
    uint32_t access;
    uint32_t key;             /* mode key regions are compared with when entered indirectly */
    _Atomic bool attention;   /* accel/tcg's: kicked and not seen to, for translated code that begins to allow interrupts */

    /*
     * Slow accesses of system mode, set by accel/tcg; both may tcg_raise(). slow_load of a read
     * fills rt->bounce; with TCG_ACCESS_WRITE it reads nothing and only checks that the
     * write will be allowed (all pages of it); with TCG_ACCESS_RMW it does both. Then slow_store
     * writes from rt->bounce. retaddr is the host address for the pc map.
     */
    void (*slow_load)(void *state, uint64_t vaddr, uint32_t access, uintptr_t retaddr);
    void (*slow_store)(void *state, uint64_t vaddr, uint32_t access, uintptr_t retaddr);

    /*
     * Asked when exit_ind's target is not in the table, all globals and flags in their slots: where to go on, or NULL to leave with
     * TCG_EXIT_LOOKUP. Set by accel/tcg; may be NULL. Must not tcg_raise().
     */
    const uint8_t *(*lookup)(void *state, uint64_t pc);

    /*
     * For forgetting. Entries of jump_table that go with the address space: `passing` by bits and, the first of them, by a list;
     * num_passing may be more. And which blocks of 64 entries may have any in use, by bits.
     */
    uint32_t num_passing;
    uint16_t passing_list[TCG_PASSING];
    uint64_t passing[TCG_JUMP_TABLE / 64], in_use[TCG_JUMP_TABLE / 64 / 64];

    uint8_t bounce[64] __attribute__((aligned(64)));
    TcgTlb tlb[TCG_MMU_INDEXES];
    uint64_t returns[TCG_RETURNS];         /* by stack address / 8: of a return stub, or the look-up */
    uint32_t jump_table[TCG_JUMP_TABLE];   /* of low pc bits: checked entry - start of code, 0: none */
    struct TcgRegion *kept[TCG_JUMP_TABLE]; /* what was remembered there last, tcg_forget() or not */
} TcgRuntime;

/* What a region is found by. User mode: phys is pc. */
typedef struct {
    uint64_t pc;     /* guest virtual, as exits have it */
    uint64_t phys;   /* guest physical address of the first byte */
    uint32_t mode;
} TcgKey;

typedef struct TcgCache TcgCache;
typedef struct TcgContext TcgContext;
typedef struct TcgSlot TcgSlot;

/* A translation. Constant once found; links and lists belong to TcgCache.lock. */
typedef struct TcgRegion {
    TcgKey key;
    const uint8_t *checked, *entry; /* where it runs: from look-ups, from links */
    uint32_t code_size, map_size, num_slots;
    uint32_t guest_size;            /* bytes of guest code, for invalidation */
    uint64_t page[2];               /* guest physical pages it was made from; the second may be NO_PAGE */
    const uint8_t *map;
    TcgSlot *slots;
    bool valid;
    bool loops;                     /* a loop closes inside: it may run for long, up to a poll */
    struct TcgRegion *next_in_hash, *next_in_page[2];
    TcgSlot *incoming;              /* slots linked to it */
} TcgRegion;

#define TCG_NO_PAGE UINT64_MAX

typedef struct {
    const TcgGuest *guest;
    bool user;            /* guest address = host address; else the software TLB */
    bool check_key;       /* look-ups compare TcgRuntime.key with the region's mode */
    size_t code_size;     /* bytes of code buffer; 0: 64 MiB */
    bool timing;          /* fill in TcgStats.front_ns and emit_ns */
    bool verify;          /* ir_verify() every region: a front end's mistakes abort with the region's text */
} TcgConfig;

/* Returns NULL with *errp set when there is no memory. Owner: the caller. */
TcgCache *tcg_cache_new(const TcgConfig *config, Error **errp);
void tcg_cache_free(TcgCache *c);

TcgContext *tcg_context_new(TcgCache *c, Error **errp);
void tcg_context_free(TcgContext *ctx);

/* A zeroed state of guest->state_size bytes, with its poll page; attached to c until freed. */
void *tcg_state_new(TcgCache *c, Error **errp);
void tcg_state_free(TcgCache *c, void *state);
TcgRuntime *tcg_runtime(const TcgCache *c, void *state);

/* Makes state the one this thread runs (gs base). Async-signal-safe. */
void tcg_thread_attach(void *state);

/* What a front end says of the region it built. */
typedef struct {
    uint32_t guest_size;
    uint64_t page2;       /* physical page of what lies on a second page, or TCG_NO_PAGE */
} TcgBuilt;

/*
 * A front end: fills r (empty) with the region at key and *built. Returns false when there is nothing to
 * translate, having left word of why in its own state; tcg_translate() then returns NULL.
 */
typedef bool TcgFrontEnd(IrRegion *r, const TcgKey *key, TcgBuilt *built, void *opaque);

typedef enum { TCG_TRANSLATED, TCG_NOTHING, TCG_FULL, TCG_REFUSED } TcgTranslated;

/*
 * Translates and inserts the region, or finds that another thread has just done so. When tcg_invalidate() was called for
 * its bytes meanwhile, it is not inserted and not valid: it may be entered once. On TCG_FULL the
 * caller makes itself exclusive, calls tcg_flush() and tries again. TCG_REFUSED: the emitter lacks an op in the
 * region; tcg_refused_op() names it.
 */
TcgTranslated tcg_translate(TcgContext *ctx, const TcgKey *key, TcgFrontEnd *fe, void *opaque, TcgRegion **out);
const char *tcg_refused_op(const TcgContext *ctx);

TcgRegion *tcg_find(TcgCache *c, const TcgKey *key);

/*
 * Links slot to r when both are still valid and r is where the slot goes: an interrupt or a signal may have come between. System
 * mode: the caller knows that the link may be kept.
 */
void tcg_link(TcgCache *c, TcgSlot *slot, TcgRegion *r);

/*
 * System mode: the exit may not be linked, for its target is on a page that may come to be mapped elsewhere. From
 * now on it goes through the jump table.
 */
void tcg_link_through(TcgCache *c, TcgSlot *slot);

/* exit_ind finds r by its pc from now on. global: in every address space. */
void tcg_remember(void *state, TcgCache *c, const TcgRegion *r, bool global);

/* The valid region that was remembered last for a pc with these low bits, or NULL: whether it is still right is the caller's to know. */
TcgRegion *tcg_kept(void *state, TcgCache *c, uint64_t pc);

/* Forgets all that tcg_remember() said, and predicted returns. Cheap. */
void tcg_forget(TcgCache *c, void *state);

/* The address space is another: forgets predicted returns, and what was not said to be global. Cheaper. */
void tcg_forget_space(TcgCache *c, void *state);

/* Forgets the predicted returns only: the mode has changed. */
void tcg_forget_returns(TcgCache *c, void *state);

/* The region that slot is an exit of. */
const TcgRegion *tcg_slot_region(const TcgSlot *slot);

/*
 * Removes the regions made from physical addresses start to end - 1; returns how many. The bytes have changed before: then what
 * is being translated from them is held back too. Nobody enters them from now on; who is inside leaves at the next exit or poll.
 */
unsigned tcg_invalidate(TcgCache *c, uint64_t start, uint64_t end);
/* Whether r was made from a byte of start to end - 1. */
bool tcg_region_overlaps(const TcgCache *c, const TcgRegion *r, uint64_t start, uint64_t end);
/* The region, removed or not, whose helper or slow path is running; NULL: none. */
const TcgRegion *tcg_running_region(TcgCache *c, void *state);
/* Whether any region was made from this page. */
bool tcg_page_has_code(TcgCache *c, uint64_t phys);

/* Removes everything. Exclusive: see above. */
void tcg_flush(TcgCache *c);

/*
 * Around fork(): prepare before it, in whatever thread forks; parent or child after it. The child gets
 * code of its own, a copy of what was there at prepare, before it runs any; false when there is no memory for that.
 */
void tcg_fork_prepare(TcgCache *c);
void tcg_fork_parent(TcgCache *c);
bool tcg_fork_child(TcgCache *c, Error **errp);

/* Runs r until something wants the loop; all globals and flags are then in their slots. */
TcgExitReason tcg_enter(TcgCache *c, void *state, const TcgRegion *r);

/*
 * From a helper with TCG_CALL_FAULTS or a slow path: leaves to tcg_enter, which returns
 * TCG_EXIT_RAISE with exit_pc and exit_word of the instruction. Never returns.
 */
_Noreturn void tcg_raise(TcgCache *c, void *state);

/* The guest instruction whose helper or slow path is running. False: none is. */
bool tcg_current(TcgCache *c, void *state, uint64_t *pc, uint32_t *word);

/*
 * In a signal handler of a synchronous signal: if it came from translated code or a helper of it, changes
 * the ucontext so that tcg_enter returns TCG_EXIT_RAISE (TCG_EXIT_POLL when it was the poll page) and
 * returns true. Async-signal-safe.
 */
bool tcg_fault(TcgCache *c, void *state, void *ucontext, const void *fault_address);

/* The guest instruction of a host address in translated code. Async-signal-safe. */
bool tcg_unwind(const TcgCache *c, uintptr_t host_pc, uint64_t *pc, uint32_t *word, bool *flags_in_slot);

/* Asks the vCPU to leave at its next poll; from any thread. tcg_fault() opens the page again. */
void tcg_kick(void *state);

typedef struct {
    uint64_t regions, code_bytes, guest_bytes, ir_ops, flushes, invalidated, links;
    uint64_t front_ns, emit_ns;
} TcgStats;
void tcg_stats(TcgCache *c, TcgStats *out);

#endif
