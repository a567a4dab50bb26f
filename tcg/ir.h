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

/* Width of an integer op, of a memory access, of a vector. */
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

enum { IR_MAX_ARGS = 5, IR_MAX_RESULTS = 3 };

/*
 * A value: result number r of instruction n is n << 2 | r. With IR_INLINE set it is instead
 * a constant: the other 31 bits, sign-extended to 64 (of a flags value: its IR_FLAGS bits).
 * 0 is no value: instruction 0 is always the first block's start, so a zeroed argument is absent.
 */
typedef uint32_t IrRef;
#define IR_NONE 0u
#define IR_INLINE 0x80000000u

static inline IrRef ir_result(IrRef insn_first, unsigned n)
{
    return insn_first + n;
}

static inline bool ir_is_inline(IrRef r)
{
    return r & IR_INLINE;
}

static inline int64_t ir_inline_value(IrRef r)
{
    return (int32_t)(r << 1) >> 1;
}

static inline bool ir_fits_inline(int64_t v)
{
    return v >= -(1 << 30) && v < (1 << 30);
}

static inline IrRef ir_inline(int64_t v)
{
    return IR_INLINE | (uint32_t)v;
}

/*
 * Memory ops: aux = scale | IR_MEM_*; aux2 = mmu index | address width << 4; the displacement
 * is imm, or for the native ops with a memory operand (int32_t)arg[4].
 */
enum {
    IR_MEM_SCALE = 3,
    IR_MEM_SIGNED = 1 << 2,
    IR_MEM_ALIGNED = 1 << 3,   /* fault when not a multiple of the size; user mode: vectors of 16 bytes and more */
    IR_MEM_NONTEMPORAL = 1 << 4,
    IR_MEM_SWAP = 1 << 5,      /* the other byte order than the host's (ld and st, not ldv, rmw) */
    IR_MEM_RMW = 1 << 6,       /* of ld: a store to the same place follows; system mode: faults as that would */
    IR_MMU_MASK = 15,
    IR_ADDR_SHIFT = 4,
};

/* The effective address is computed modulo this. Linear addresses of a 32-bit machine wrap by it. */
typedef enum { IR_A64, IR_A32, IR_A16 } IrAddrWidth;

typedef struct {
    uint8_t op;   /* IrOp */
    uint8_t w;    /* IrWidth */
    uint8_t aux, aux2;
    IrRef arg[IR_MAX_ARGS];
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
    IR_T_COND = 1 << 8, IR_T_JUMP = 1 << 9, IR_T_IMM = 1 << 10, IR_T_AUX = 1 << 11,
    IR_T_AUX2 = 1 << 12, IR_T_ADDR = 1 << 13, IR_T_PURE = 1 << 14, IR_T_OPTIONAL = 1 << 15,
    IR_T_RAW = 1 << 16,
};

extern const IrOpDef ir_ops[IR_NUM_OPS];
extern const char *const ir_cond_names[16];

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
 * A host instruction whose registers the allocator fills in, packed into the 64
 * bits of imm. The layout is the host's own business (tcg/HOST/native.h); a front end
 * emits calls of helpers instead for hosts that lack it.
 */
typedef uint64_t TcgNative;

/* Host-independent bits of a TcgNative. */
#define TCG_NATIVE_FAULTS (1ull << 63)  /* may raise a floating-point exception */
#define TCG_NATIVE_WRITES (1ull << 62)  /* native_xm: writes its memory operand; without it, reads */

/* Everything the translator must know of a guest; no guest is named in tcg/. */
typedef struct {
    const char *name;
    const TcgGlobal *globals;
    unsigned num_globals;
    uint32_t state_size;
    uint32_t flags_offset;     /* uint64_t slot, IR_FLAGS bits; others 0 outside translated code */
    uint32_t spill_offset;     /* TCG_SPILL_SLOTS of 64 bytes, 64-byte aligned, the translator's own */
    uint32_t runtime_offset;   /* TcgRuntime (tcg/runtime.h) inside the state */
    bool big_endian;           /* of guest memory */
    uint8_t page_bits;         /* smallest page */
    bool narrow_vectors;       /* none is wider than 16 bytes: regions with others are refused, the rest of a slot is not looked at */
} TcgGuest;

enum {
    TCG_MAX_GLOBALS = 96,
    TCG_SPILL_SLOTS = 64,
    TCG_MAX_SLOTS = 32,        /* exits and return predictions of a region */
    IR_MAX_BLOCKS = 64,
    IR_MAX_INSNS = 4096,
    IR_HEADROOM = 256,         /* what the builder may still take after overflow is set */
};

/*
 * One region being built: reset and reused, never freed in between. cur_* are the
 * builder's memory of what globals hold in the current block.
 */
typedef struct {
    const TcgGuest *guest;
    IrInsn *insns;
    uint32_t num_insns, max_insns;
    uint32_t num_blocks;       /* labels handed out; block 0 is the entry */
    bool overflow;             /* the region is too long: the front end must end it here */
    IrRef cur[TCG_MAX_GLOBALS];
    uint8_t cur_width[TCG_MAX_GLOBALS]; /* of vectors */
    IrRef cur_flags;
} IrRegion;

static inline const IrInsn *ir_def(const IrRegion *r, IrRef ref)
{
    return &r->insns[ref >> 2];
}

/* Traits of this instruction: a call's and a native's depend on the helper and the template. */
static inline uint32_t ir_traits(const IrInsn *in)
{
    uint32_t t = ir_ops[in->op].flags;

    if (in->op == IR_call) {
        const TcgHelper *h = (const TcgHelper *)(uintptr_t)in->imm;
        t |= (h->flags & TCG_CALL_FAULTS) ? IR_T_FAULT : 0;
        t |= (h->flags & (TCG_CALL_READS | TCG_CALL_WRITES)) ? IR_T_GLOBALS : 0;
    } else if (in->op >= IR_native && in->op <= IR_native_xm && (in->imm & TCG_NATIVE_FAULTS)) {
        t |= IR_T_FAULT;
    }
    return t;
}

/* Allocates the arena; returns false when there is no memory. */
bool ir_region_init(IrRegion *r, const TcgGuest *guest);
void ir_region_finish(IrRegion *r);

/* Empties r: the only instruction is `block 0`. */
void ir_region_reset(IrRegion *r);

/* Whether the op exists in this width. */
bool ir_width_ok(const IrInsn *in);

/*
 * Checks everything the other passes rely on: argument types, definitions before
 * uses in the same block, widths, globals, labels, slots, the end. Returns NULL when r
 * is right, else a static text; *at is then the instruction.
 */
const char *ir_verify(const IrRegion *r, uint32_t *at);

#endif
