/*
 * What the emitter's files share: the allocator's state and the helpers of each file.
 */
#ifndef TCG_X86_64_INTERNAL_H
#define TCG_X86_64_INTERNAL_H

#include "tcg/build.h"
#include "tcg/eval.h"
#include "tcg/x86_64/asm.h"
#include "tcg/x86_64/emit.h"

/* Of TCG_SPILL_SLOTS: for values; then one for windows (tlb.c), and two that are ops' own. */
enum { VALUE_SLOTS = TCG_SPILL_SLOTS - 3 };

enum { NEVER = 0xffff, NO_GLOBAL = 0xff, NO_SPILL = 0xff };

/* A value's life (from the backward scan) and whereabouts (forward). It may be in several places. */
typedef struct {
    uint16_t last;      /* last op that uses it; 0: none */
    uint16_t uses;
    uint16_t flags;     /* of a flags value: the flags that are read */
    uint16_t hint_pos;
    uint8_t hint;       /* global whose home it may be computed in, or NO_GLOBAL */
    uint8_t reg;        /* or NO_REG */
    uint8_t spill;      /* slot, or NO_SPILL */
    uint8_t global;     /* global whose state slot holds it, or NO_GLOBAL */
} Val;

typedef enum { K_REG, K_IMM, K_MEM } OpndKind;

/* An operand as an instruction takes it. */
typedef struct {
    OpndKind kind;
    uint8_t reg;
    uint64_t imm;
    X86Mem mem;
} Opnd;

/*
 * RE_CMP: cmp a, b. RE_TEST: test a, b. From a result r = a: RE_SUB: cmp r + b, b; RE_ADD: add of b to
 * r - b; RE_NEG: neg of -r.
 */
typedef enum { RE_CMP, RE_TEST, RE_SUB, RE_ADD, RE_NEG } RecipeKind;

/* How to make a flags value again: an ALU op on operands that are still somewhere. */
typedef struct {
    IrRef flags;        /* 0: no recipe in use */
    IrRef a, b;         /* values that must not be lost */
    uint8_t how;        /* RecipeKind */
    IrWidth w;
} Recipe;

/* Where an access is: root + (index << scale) + off. */
typedef struct {
    int64_t off;
    IrRef root, index;
    uint8_t scale, mmu, bytes;
    bool write;
} TlbPlace;

/* Accesses checked together: bytes low to high - 1 from the root on. */
typedef struct {
    TlbPlace place;
    int64_t low, high;
    bool used;
} TlbWindow;

/* A comparison with the TLB of bytes low to high - 1 from an address on; keep: bits of the address that must be 0. */
typedef struct {
    int32_t low, high;
    uint32_t keep;
    uint8_t mmu;
    bool write;
} TlbCheck;

enum { TLB_WINDOWS = 6 }; /* 8 bytes each; what is left of a spill slot keeps two registers out of line */

/* A path out of line, written after the region's hot code. */
typedef struct {
    uint8_t *jump;      /* rel32 that goes there */
    uint8_t *back;      /* where it returns to */
    uint8_t *copy, *copy_end; /* the access, to be repeated on the bounce buffer */
    uint32_t access;
    uint16_t insn;
    Recipe recipe;
    Opnd ra, rb;        /* operands of recipe at that point */
    int32_t flags_const;/* constant to store in the flags slot, or -1 */
    bool image, slot_form; /* the flags are in image_mem, see x86_flags_image() */
    X86Mem image_mem;
    X86Mem m;           /* the address, without the addend */
    TlbCheck check;     /* of this access alone */
    bool stores;        /* what is in the bounce buffer then is to be stored */
    bool looks;         /* the TLB has not been compared for this access alone */
    uint8_t window;     /* 1 + number of the window that this access opened, which is to be empty */
} Cold;

typedef struct {
    uint8_t *rel32;
    uint32_t block;
} Fixup;

enum { MAX_COLD = 1024, MAX_FIXUPS = 512, MAX_LITERALS = 256 };

struct X86Emit {
    Asm a;
    const TcgGuest *guest;
    const IrRegion *ir;
    const TcgEmitJob *job;
    uint32_t n;                  /* op being emitted */
    bool failed, short_of_registers;
    bool narrow;                 /* no op of the region sees more than 16 bytes of a vector */
    TcgEmitResult result;
    const char *why;
    IrOp unsupported_op;

    /* By guest, constant after x86_emit_new. */
    uint8_t home[TCG_MAX_GLOBALS];
    uint8_t global_of[32];       /* NO_GLOBAL: not a home */
    uint32_t scratch;            /* registers that are nobody's home */
    uint32_t homes;

    /* A load, and an operation on it, that a later op does as part of itself; 0: none. */
    uint32_t folded_load, folded_alu, folded_cond;

    /* By region. */
    Val *val;                    /* by IrRef */
    uint8_t *skip;               /* by op */
    uint16_t *next_access;       /* by op with an address: the next one that may share a window, 0 none */
    TlbWindow windows[TLB_WINDOWS];
    unsigned next_window;
    uint16_t *observed;          /* by op: last op that may look at the flags set here; 0 none */
    IrRef reg_val[32];
    IrRef slot_val[TCG_MAX_GLOBALS];
    uint32_t locked;
    uint32_t overwritten;        /* registers that this op's results go into */
    uint64_t spills;             /* slots in use */
    IrRef spill_val[TCG_SPILL_SLOTS];

    IrRef ef;                    /* flags value in EFLAGS, 0: none */
    IrRef guest_flags;           /* the guest's flags now */
    uint16_t guest_flags_last;   /* last op that may look at them */
    bool in_slot;                /* they are in the state's slot */
    bool past_fault;             /* what this op can fault for has been checked: its own flags may be lost */
    IrRef image_of;              /* flags value whose image is in the upper half of that slot, 0: none */
    uint64_t slot_images;        /* spill slots with flags as the slot has them; others: as AH and AL (flags.c) */
    Recipe recipe;

    uint8_t *block_at[IR_MAX_BLOCKS];
    Fixup fixups[MAX_FIXUPS];
    unsigned num_fixups;
    Cold cold[MAX_COLD];
    unsigned num_cold;
    struct {
        uint8_t *rel32;
        uint64_t value;
    } literals[MAX_LITERALS];
    unsigned num_literals;

    uint8_t *map;
    uint32_t map_off;            /* host offset of the last record */
    uint64_t map_pc;
    bool map_slot;               /* flags place of the last record */
    uint32_t slots_used;
};

/* Pseudo value: the guest's flags as they are at a block's start. */
#define FLAGS_ENTRY ((IrRef)1)

typedef struct X86Row X86Row;
typedef void EmitFn(X86Emit *e, const IrInsn *in, const X86Row *row);

/* Constraints and encoding of an op. */
struct X86Row {
    EmitFn *emit;
    uint32_t op;       /* opcode as asm.h has it */
    uint8_t digit;     /* /n, or ALU number */
    uint8_t needs;     /* HOST_* */
    bool commutes;
};

enum { HOST_BMI1 = 1, HOST_BMI2 = 2, HOST_LZCNT = 4, HOST_POPCNT = 8, HOST_SSE42 = 16, HOST_AVX = 32 };
unsigned x86_host_features(void);
extern const X86Row x86_rows[IR_NUM_OPS];

/* emit.c: the region cannot be emitted. */
void x86_fail(X86Emit *e, TcgEmitResult result, const char *why);

/* liveness.c */
void x86_scan(X86Emit *e);

/* regs.c: where values are. Registers handed out are locked until the next op. */
void x86_reset_values(X86Emit *e);
unsigned x86_alloc(X86Emit *e, bool vec);
unsigned x86_spare(X86Emit *e);                      /* an idle scratch register for a moment, or NO_REG; nothing moves */
unsigned x86_load(X86Emit *e, IrRef ref);            /* integer value into some register */
unsigned x86_load_vec(X86Emit *e, IrRef ref);
bool x86_in_memory(const X86Emit *e, IrRef ref, X86Mem *m);
X86Mem x86_temporary(X86Emit *e, unsigned n);        /* 0 or 1: memory of this op alone, 64 bytes */
void x86_load_vec_into(X86Emit *e, unsigned reg, IrRef ref, bool whole); /* from memory, unbound */
void x86_load_into(X86Emit *e, unsigned reg, IrRef ref, IrWidth w);
Opnd x86_operand(X86Emit *e, IrRef ref, IrWidth w);  /* register, immediate or memory */
Opnd x86_operand_rm(X86Emit *e, IrRef ref);          /* register or memory */
unsigned x86_dst(X86Emit *e, IrRef result, IrRef reuse, bool vec);
void x86_bind(X86Emit *e, IrRef result, unsigned reg);
void x86_drop_reg(X86Emit *e, unsigned reg);         /* reg is overwritten; its value is elsewhere or done with */
void x86_lose_reg(X86Emit *e, unsigned reg);         /* before reg is overwritten: value moves if live */
void x86_lose_slot(X86Emit *e, unsigned g);          /* the same for a global's slot */
void x86_set_global(X86Emit *e, unsigned g, IrRef ref);
void x86_set_vector(X86Emit *e, const IrInsn *in);
bool x86_clears_rest(const X86Emit *e, IrRef ref, IrWidth w); /* its instruction clears all above w */
void x86_spill(X86Emit *e, IrRef ref, bool vec);
bool x86_live_after(const X86Emit *e, IrRef ref);
bool x86_is_vec(const X86Emit *e, IrRef ref);
X86Mem x86_state(int64_t offset);
X86Mem x86_spill_mem(const X86Emit *e, unsigned slot);
/* Where an operand of a recipe is, without moving anything. */
Opnd x86_whereabouts(X86Emit *e, IrRef ref);
void x86_lock(X86Emit *e, unsigned reg);

/* flags.c */
void x86_clobber_flags(X86Emit *e);                  /* before EFLAGS is destroyed */
void x86_preserve_flags(X86Emit *e, IrRef f);        /* this op will need f after it destroys EFLAGS */
void x86_save_flags(X86Emit *e);                     /* before a call */
void x86_replace_flags(X86Emit *e);                  /* the same by the very instruction that may fault */
void x86_need_flags(X86Emit *e, IrRef f);            /* f into EFLAGS */
void x86_flags_to_slot(X86Emit *e);                  /* the guest's flags into their slot */
/* Where an image of f is, but not in the lower half of the flags' slot; *slot_form: in its form, else as AH and AL. */
bool x86_flags_image(const X86Emit *e, IrRef f, X86Mem *m, bool *slot_form);
void x86_flags_for_fault(X86Emit *e);                /* into EFLAGS or the slot */
void x86_set_flags(X86Emit *e, const IrInsn *in);
void x86_made_flags(X86Emit *e, IrRef f);            /* EFLAGS now is f */
void x86_remake(Asm *a, const Recipe *r, Opnd oa, Opnd ob);
void x86_lose_value(X86Emit *e, IrRef ref);          /* ref is about to be nowhere */
bool x86_flags_live(const X86Emit *e, IrRef f);
void x86_forget_flags(X86Emit *e);
void x86_keep_old_flags(X86Emit *e);                /* out of the slot, when a later op uses them */
void x86_slot_changes(X86Emit *e);                  /* the same for all that is in the slot: C code may write it */

/* ops.c */
EmitFn x86_op_alu, x86_op_unary, x86_op_shift, x86_op_shift_double, x86_op_vex, x86_op_vex_unary,
    x86_op_mul, x86_op_wide, x86_op_divide, x86_op_bit_test, x86_op_scan, x86_op_crc32, x86_op_mov,
    x86_op_extend, x86_op_extract, x86_op_deposit, x86_op_lea, x86_op_bswap, x86_op_fmerge, x86_op_fnot,
    x86_op_fput, x86_op_fint, x86_op_cond, x86_op_select, x86_op_state, x86_op_not, x86_op_incdec;
void x86_alu(X86Emit *e, unsigned digit, IrWidth w, unsigned dst, const Opnd *b);

/* mem.c */
typedef struct {
    X86Mem m;
    Cold *cold;        /* system mode */
} Access;
uint32_t x86_next_op(const X86Emit *e, uint32_t n);
bool x86_take_folded(X86Emit *e, IrRef ref, Access *acc); /* ref is a load left to this op */
/* After it, whoever hands out registers calls x86_map_fault() again: a recipe may have moved the flags. */
Access x86_access(X86Emit *e, const IrInsn *in, uint32_t access);
void x86_access_done(X86Emit *e, Access *acc);
EmitFn x86_op_load, x86_op_store, x86_op_load_vec, x86_op_store_vec, x86_op_rmw, x86_op_cmpxchg,
    x86_op_cmpxchg2, x86_op_fence;
void x86_take_scratch(X86Emit *e, unsigned reg);
unsigned x86_sum_register(X86Emit *e, const X86Mem *m, uint32_t avoid);
void x86_fold_address(X86Emit *e, const IrInsn *in, X86Mem *m);

/* tlb.c */
Access x86_tlb_access(X86Emit *e, const IrInsn *in, uint32_t access); /* takes r11 */
void x86_forget_windows(X86Emit *e);                  /* block boundaries, calls */
void x86_emit_cold(X86Emit *e);

/* vec.c */
EmitFn x86_op_native, x86_op_native_mem, x86_op_native_int, x86_op_native_x;
void x86_vec_move(X86Emit *e, unsigned dst, unsigned src);

/* control.c */
EmitFn x86_op_insn, x86_op_block, x86_op_br, x86_op_brcond, x86_op_brz, x86_op_poll, x86_op_icount,
    x86_op_exit, x86_op_exit_cond, x86_op_exit_ind, x86_op_push_ret, x86_op_leave, x86_op_call;
void x86_map_fault(X86Emit *e);
void x86_emit_checked_entry(X86Emit *e);
void x86_emit_slots(X86Emit *e);
void x86_literal(X86Emit *e, uint64_t value);         /* a rip-relative disp32 of an 8-byte constant */
void x86_unsupported(X86Emit *e, const IrInsn *in);
enum { TCG_POLL_PAGE = -4096 };

#endif
