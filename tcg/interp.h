/*
 * An interpreter of the IR: what the ops mean, run one by one, slowly. The oracle
 * for emitters and the way to test a front end without one. Globals live in their slots.
 *
 *     IrInterp it = { .state = &cpu, .load = my_load, .store = my_store };
 *     IrStop stop = ir_interp(&it, region);
 *
 * Atomic ops are done as load, then store. Flags that the manual leaves undefined are
 * followed: flags_undefined says which of the state's flags are so at the end (give it back in for
 * the next region), undefined_used that one of them decided something.
 */
#ifndef TCG_INTERP_H
#define TCG_INTERP_H

#include "tcg/ir.h"

typedef enum {
    IR_STOP_EXIT,      /* exit, exit_cond: pc, slot */
    IR_STOP_EXIT_IND,  /* exit_ind: pc, kind */
    IR_STOP_LEAVE,     /* leave: reason */
    IR_STOP_FAULT,     /* load or store returned false; a helper or native called for it */
    IR_STOP_DIVIDE,    /* udiv2, sdiv2: divide error */
    IR_STOP_POLL,      /* poll: attention was set */
    IR_STOP_ICOUNT,    /* icount: the budget is used up */
    IR_STOP_BUDGET,    /* max_steps ops have run */
    IR_STOP_NO_NATIVE, /* a native op and no way to run it */
} IrStopReason;

typedef struct {
    IrStopReason reason;
    uint64_t pc;        /* guest pc to go on at; on a fault that of the instruction */
    uint32_t word;      /* the front end's word of the instruction */
    uint32_t slot;      /* exit slot; kind of exit_ind; reason of leave */
    uint32_t insn;      /* index of the IR op that stopped */
} IrStop;

/* The register arguments and result of a native op. */
typedef struct {
    uint8_t vec[3][64];    /* vector arguments by their order in ops.def, absent ones too */
    uint8_t mem[64];       /* native_m: what was loaded; native_st: set to what to store */
    uint64_t integer;      /* native_vi: the argument */
    uint8_t result[64];
    uint64_t int_result;
    uint32_t flags_result;
} IrNativeIo;

typedef struct IrInterp {
    void *state;
    void *opaque;       /* the callbacks' own */

    /* Guest memory; w in bytes is 1 << w. Little-endian. False: the access faults. */
    bool (*load)(struct IrInterp *it, uint64_t addr, void *buf, unsigned size, unsigned mmu);
    bool (*store)(struct IrInterp *it, uint64_t addr, const void *buf, unsigned size,
                  unsigned mmu);
    /* Runs a native op (tcg/native-run.h); NULL: they stop the run. False: it faults. */
    bool (*native)(struct IrInterp *it, const IrInsn *in, IrNativeIo *io);
    void *native_opaque;

    bool attention;     /* what poll looks at */
    bool raised;        /* a helper with FAULTS sets this instead of leaving */
    int64_t budget;     /* of icount */
    uint64_t max_steps; /* 0: no limit */

    uint32_t flags_undefined;
    bool undefined_used;

    /* The guest instruction under way, for callbacks and helpers that leave by longjmp. */
    uint64_t guest_pc;
    uint32_t guest_word;
    /* Working memory, kept from run to run; ir_interp_finish frees it. */
    void *memory;
    size_t memory_size;
} IrInterp;

/* Runs verified region r from its start. */
IrStop ir_interp(IrInterp *it, const IrRegion *r);
void ir_interp_finish(IrInterp *it);

#endif
