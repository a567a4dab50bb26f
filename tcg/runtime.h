/*
 * Running translated code: what a CPU state holds for the translator. A state is
 * made by tcg_state_new(); the guest's struct embeds TcgRuntime at TcgGuest.runtime_offset.
 * Everything here belongs to the vCPU's own thread.
 */
#ifndef TCG_RUNTIME_H
#define TCG_RUNTIME_H

#include "tcg/ir.h"
#include "tcg/tlb.h"

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

enum { TCG_RETURN_RING = 32, TCG_JUMP_TABLE = 1 << 16 };

typedef struct TcgRuntime {
    void *self;               /* the state */
    uint64_t host_sp;         /* of the C frame in tcg_enter */
    uint32_t mxcsr, host_mxcsr;
    uint16_t fpucw, host_fpucw;
    bool vectors_saved;       /* vector globals are in their slots, not in registers */
    uint32_t exit_reason;
    uint32_t exit_code;
    uint64_t exit_pc;
    struct TcgSlot *exit_slot;
    int64_t icount;
    uint64_t access_vaddr;    /* of the slow access under way */
    uint32_t access;
    uint8_t ret_top;          /* byte offset in ret_ring of the newest entry */
    uint32_t key;             /* mode key regions are compared with when entered indirectly */

    /*
     * Slow accesses of system mode, set by accel/tcg. load fills rt->bounce, store takes
     * it from there; both may tcg_raise(). retaddr is the host address for the pc map.
     */
    void (*slow_load)(void *state, uint64_t vaddr, uint32_t access, uintptr_t retaddr);
    void (*slow_store)(void *state, uint64_t vaddr, uint32_t access, uintptr_t retaddr);

    uint8_t bounce[64] __attribute__((aligned(64)));
    TcgTlb tlb[TCG_MMU_INDEXES];
    uint64_t ret_ring[TCG_RETURN_RING];    /* host addresses of return stubs, or of the look-up */
    uint32_t jump_table[TCG_JUMP_TABLE];   /* of low pc bits: checked entry - start of code, 0: none */
} TcgRuntime;

#endif
