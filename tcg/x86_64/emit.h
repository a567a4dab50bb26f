/*
 * The emitter for x86-64 hosts: one backward scan for liveness, one forward pass that
 * allocates registers and writes code. See docs/translator.md 2 to 4 for the contract.
 *
 * returns and jump_table hold addresses of checked entries: code that compares the guest pc in r10 with
 * the region's own and goes to the shared look-up when it differs.
 */
#ifndef TCG_X86_64_EMIT_H
#define TCG_X86_64_EMIT_H

#include "tcg/ir.h"
#include "tcg/runtime.h"

typedef enum {
    TCG_EMIT_OK,
    TCG_EMIT_FULL,        /* no room in the buffer, or the pc map's */
    TCG_EMIT_UNSUPPORTED, /* an op that this host lacks: unsupported_op says which */
} TcgEmitResult;

/*
 * Code shared by all regions of a buffer, made once at its start. Addresses are where it runs.
 * Unless it says otherwise the guest's flags are in EFLAGS.
 */
typedef struct {
    uint8_t *base;             /* of the buffer: jump_table's offset 0 is the miss */
    uint8_t *miss;             /* r10: pc not found inline; the same address as base */
    uint8_t *lookup;           /* r10: pc to look up in the jump table */
    uint8_t *enter;            /* void enter(void *state, void *code) */
    uint8_t *exit_link;        /* r10: TcgSlot * */
    uint8_t *exit_state;       /* r10d: TcgExitReason; r11: pc; flags in the slot */
    uint8_t *fault;            /* to C from the registers as a host fault found them; reason is set */
    uint8_t *fault_in_slot;    /* the same with flags in the slot */
    uint8_t *raise;            /* void raise(void): globals but vectors are in their slots */
    uint8_t *save_homes, *load_homes;   /* of integers; keep r10 r11 r14, EFLAGS */
    uint8_t *save_caller, *load_caller; /* those that C functions change */
    uint8_t *save_vectors, *load_vectors;           /* the same */
    uint8_t *save_flags;       /* EFLAGS to the slot; keeps all registers */
    uint8_t *slow_load, *slow_store; /* see mem.c */
    uint8_t *end;
} TcgThunks;

enum { TCG_SLOT_JUMP, TCG_SLOT_COND, TCG_SLOT_RETURN };

/* An exit that can be linked. rel32 fields are aligned so that one store changes them. */
struct TcgSlot {
    uint64_t pc;               /* target */
    uint32_t patch;            /* offset of the rel32 from the region's code */
    uint32_t unlinked;         /* offset of where it goes when not linked: to the run loop */
    uint32_t through;          /* system mode: of the stub that looks the target up each time */
    uint8_t kind;
    bool used;
    void *region;              /* owner, and the links of the target: the cache's */
    struct TcgSlot *next;      /* among those linked to target */
    void *target;              /* NULL: not linked */
};

typedef struct {
    const IrRegion *ir;
    const TcgThunks *thunks;
    bool user;                 /* guest address = host address */
    bool check_key;            /* checked entry compares rt->key with key */
    uint64_t pc;               /* of the region's start */
    uint32_t key;
    uint8_t *code, *code_end;  /* where to write */
    ptrdiff_t rx;              /* add to a written address: where it runs */
    TcgSlot *slots;            /* TCG_MAX_SLOTS to fill in; their address goes into the code */
    uint8_t *map, *map_end;    /* where to write the pc map */
    bool tight;                /* keep no value in a scratch register from op to op (tests; see emit.c) */
} TcgEmitJob;

typedef struct {
    uint32_t size, map_size;
    uint32_t entry;            /* offset of the direct entry; the checked one is at 0 */
    uint32_t num_slots;        /* one more than the highest used */
    IrOp unsupported_op;       /* or IR_NUM_OPS */
    const char *why;           /* static text when not TCG_EMIT_OK */
} TcgEmitted;

typedef struct X86Emit X86Emit;

X86Emit *x86_emit_new(const TcgGuest *guest);
void x86_emit_free(X86Emit *e);

/* Writes the thunks for this guest at code; returns false when there is no room. */
bool x86_emit_thunks(X86Emit *e, uint8_t *code, uint8_t *end, ptrdiff_t rx, bool user,
                     TcgThunks *t);

TcgEmitResult x86_emit(X86Emit *e, const TcgEmitJob *job, TcgEmitted *out);

/* Whether op n of the region emitted last was found dead or became part of another. */
bool x86_dropped(const X86Emit *e, uint32_t n);

/* Whether the emitter can do this op on this host. */
bool x86_has(IrOp op);
bool x86_has_avx(void);

/* A line of the pc map found. */
typedef struct {
    uint64_t pc;
    uint32_t word;
    bool flags_in_slot;        /* else in EFLAGS */
} TcgMapEntry;

/* Looks up host offset off (of the instruction's first byte) in a pc map. */
bool x86_map_find(const uint8_t *map, uint32_t size, uint32_t off, TcgMapEntry *out);

#endif
