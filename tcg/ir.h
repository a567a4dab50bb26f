/*
 * The translator's intermediate representation. Manual: docs/translator.md.
 *
 * A region has one entry and many exits. It is a list of instructions in
 * program order, cut into blocks; a value is the result of one instruction
 * (SSA) and is used only in its own block, after its definition: what crosses a block
 * travels in a global. Globals are the guest's registers; each has a home, a
 * host register or a slot of the state, that holds its current value at every
 * instruction that may fault or leave (trait T, E or G).
 *
 * No guest and no host is named here; libc only.
 */
#ifndef TCG_IR_H
#define TCG_IR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
#define OP(name, res, args, traits, doc) IR_##name,
#include "tcg/ops.def"
#undef OP
    IR_NUM_OPS
} IrOp;

/* Width of an integer op in bits, of a vector op in bytes loaded or meant. */
typedef enum { W8, W16, W32, W64, W128, W256, W512 } IrWidth;

static inline unsigned ir_width_bytes(IrWidth w)
{
    return 1u << w;
}

/* Bits of a flags value as an integer (fput, fint, fmerge masks). */
enum {
    IR_C = 1 << 0,
    IR_P = 1 << 2,
    IR_A = 1 << 4,
    IR_Z = 1 << 6,
    IR_S = 1 << 7,
    IR_O = 1 << 11,
    IR_FLAGS = IR_C | IR_P | IR_A | IR_Z | IR_S | IR_O,
};

/* Conditions on flags; cond ^ 1 is the opposite. */
typedef enum {
    COND_O, COND_NO, COND_C, COND_NC, COND_Z, COND_NZ, COND_BE, COND_A, /* BE: C|Z */
    COND_S, COND_NS, COND_P, COND_NP, COND_LT, COND_GE, COND_LE, COND_GT,
} IrCond;

/* A value: result number r of instruction n is n << 2 | r. */
typedef uint32_t IrRef;
#define IR_NONE UINT32_MAX

static inline IrRef ir_result(IrRef insn_first, unsigned n)
{
    return insn_first + n;
}

/* Memory ops: aux = scale | IR_MEM_SIGNED ...; aux2 = mmu index | address width << 4. */
enum {
    IR_MEM_SCALE = 3,
    IR_MEM_SIGNED = 1 << 2,
    IR_MEM_ALIGNED = 1 << 3,   /* fault when not a multiple of the size (native_m of SSE) */
    IR_MEM_NONTEMPORAL = 1 << 4,
    IR_MMU_MASK = 15,
    IR_ADDR_SHIFT = 4,         /* IrWidth of the address: W16, W32, W64 */
};

typedef struct {
    uint8_t op;   /* IrOp */
    uint8_t w;    /* IrWidth */
    uint8_t aux, aux2;
    IrRef arg[5];
    uint64_t imm;
} IrInsn;
_Static_assert(sizeof(IrInsn) == 32, "two in a cache line");

typedef struct {
    const char *name;
    const char *results, *args, *traits, *doc;
    uint8_t num_results, num_args;
    uint32_t flags;
} IrOpDef;

/* IrOpDef.flags, from the letters of ops.def. */
enum {
    IR_T_WIDTH = 1 << 0, IR_T_READ = 1 << 1, IR_T_WRITE = 1 << 2, IR_T_FAULT = 1 << 3,
    IR_T_GLOBALS = 1 << 4, IR_T_EXIT = 1 << 5, IR_T_END = 1 << 6, IR_T_PINNED = 1 << 7,
    IR_T_COND = 1 << 8,
};

extern const IrOpDef ir_ops[IR_NUM_OPS];

/* A guest register the translator knows: const data of the guest. */
typedef struct {
    const char *name;
    uint32_t offset;     /* of its slot in the state */
    uint8_t type;        /* 'i' or 'v' (slot of max vector width); flags have TcgGuest.flags_offset */
    int8_t home;         /* host register asked for, numbered by the host's emitter; -1: the slot */
} TcgGlobal;

/* What a helper does to the guest's state. */
enum {
    TCG_CALL_PURE = 0,         /* result from arguments only */
    TCG_CALL_READS = 1,        /* may read globals from their slots */
    TCG_CALL_WRITES = 2,       /* may write globals' slots */
    TCG_CALL_FAULTS = 4,       /* may leave by tcg_raise() */
    TCG_CALL_FLAGS = 8,        /* reads or writes the guest's flags slot */
    TCG_CALL_VECTORS = 16,     /* reads or writes vector globals' slots */
};

/* A helper of C: uint64_t fn(void *state, uint64_t a0 .. a3) with as many as num_args. */
typedef struct {
    const char *name;
    void (*fn)(void);
    uint8_t num_args;
    uint8_t flags;
} TcgHelper;

/*
 * A host instruction whose registers the allocator fills in. The encoding is
 * the host's own business (tcg/HOST/native.h); `helper` does the same from and to
 * memory for hosts that lack it.
 */
typedef struct TcgNative TcgNative;

/* Everything the translator must know of a guest; no guest is named in tcg/. */
typedef struct {
    const char *name;
    const TcgGlobal *globals;
    unsigned num_globals;
    uint32_t state_size;
    uint32_t flags_offset;     /* uint32_t slot, layout of IR_FLAGS bits, other bits kept 0 */
    uint32_t spill_offset;     /* TCG_SPILL_SLOTS of 64 bytes, 64-byte aligned, the translator's own */
    uint32_t runtime_offset;   /* TcgRuntime (tcg/runtime.h) inside the state */
    bool big_endian;           /* of guest memory */
    uint8_t page_bits;         /* smallest page */
} TcgGuest;

/* One region being built: reset and reused, never freed in between. */
typedef struct {
    const TcgGuest *guest;
    IrInsn *insns;
    uint32_t num_insns, max_insns;
    uint32_t num_blocks;
    bool overflow;             /* the region is too long: the builder must end it and start anew */
} IrRegion;

#endif
