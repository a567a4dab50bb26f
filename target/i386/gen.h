/*
 * What the bodies of instructions are written with. A body turns the decoded instruction g->in into IR at g->r:
 *
 *     void gen_xadd(X86Gen *g)                      // row: 0F C1 | xadd | Ev Gv | xadd | lock
 *     {
 *         IrRef f, d = g_load(g, 0), s = g_load(g, 1), v = ir_add(g->r, g_width(g, 0), d, s, &f);
 *         g_store_result(g, 0, v);                  // first: it may fault
 *         g_store(g, 1, d);
 *         ir_setf(g->r, f);
 *     }
 *
 * Rules
 * - Precise state: every `set` comes after the last access of the instruction that may fault.
 * - Values live in one IR block: after ir_block() get them again.
 * - The memory operand's address is made once, by the first g_load, g_store or g_mem.
 * - What ends the region goes through g_jump, g_jump_if, g_jump_ind, g_raise, g_leave; nothing may follow those in the body.
 * - Exceptions known at translation: g_raise and return. What a row's attributes say (CPL, features, #NM ...) is done before the
 *   body is called.
 */
#ifndef TARGET_I386_GEN_H
#define TARGET_I386_GEN_H

#include "target/i386/cpu.h"
#include "target/i386/decode.h"
#include "target/i386/sys-helpers.h"
#include "target/i386/translate.h"
#include "tcg/build.h"

enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR };
enum { SHIFT_ROL, SHIFT_ROR, SHIFT_RCL, SHIFT_RCR, SHIFT_SHL, SHIFT_SHR, SHIFT_SAR };
enum { BLS_R, BLS_MSK, BLS_I };
enum { BIT_BT, BIT_BTS, BIT_BTR, BIT_BTC };
enum { CARRY_CMC, CARRY_CLC, CARRY_STC };
enum { DECIMAL_DAA, DECIMAL_DAS, DECIMAL_AAA, DECIMAL_AAS };
enum { FENCE_LOADS = 1, FENCE_STORES = 2, FENCE_ALL = 3 };
enum { STORE_LDTR, STORE_TR, STORE_MSW };

/* Globals of x86_tcg_guest: the general registers by number, then the vector registers. */
enum { G_VEC = 16 };

enum { MAX_COLD = 32 };

struct X86Gen {
    X86Translate *t;
    IrRegion *r;
    X86Insn in;
    uint64_t key;
    vaddr pc, next;          /* linear, of this instruction and after it */
    uint64_t base;           /* CS base: IP = linear - base (0 in 64-bit mode) */
    IrAddr mem;              /* of the memory operand, segment base added; right when has_mem */
    bool has_mem;
    bool single;             /* one instruction a region: KEY_TF, KEY_SHADOW, KEY_ONE_INSN */
    bool check_cs;           /* CS limit is not 4 GiB */
    bool sets_shadow;        /* the instruction sets st.shadow itself */
    bool after_sti;          /* STI without a shadow of its own: no poll before the next instruction is done */
    bool in_shadow;          /* that one is being translated */
    bool x87_checked;        /* from here on cpu->x87_live holds */
    bool done;               /* the region has ended */
    uint8_t mmu;             /* MMU index of accesses with the current privilege */
    uint8_t num_slots;       /* exits handed out */
    uint8_t num_cold;
    unsigned string_loop;    /* block of the loop of a REP */
    uint64_t max_ip;         /* highest IP that the region fetches from or jumps to */
    struct {                 /* blocks off the main path, written at the end of the region */
        unsigned block;
        vaddr at;            /* the instruction */
        vaddr pc;            /* where to go on */
        uint8_t reason;      /* LEAVE_* or COLD_RAISE + vector */
    } cold[MAX_COLD];
};

enum { COLD_RAISE = 0x80, COLD_GP = COLD_RAISE + EXC_GP };

/* The word that goes with `insn` into the pc map: length of the instruction and what a fault must know. */
enum { WORD_LENGTH = 15, WORD_STACK = 1 << 4 /* the memory operand is in SS: not canonical is #SS(0) */ };

/* Modes */
static inline bool g_code64(const X86Gen *g)
{
    return g->key & KEY_CODE64;
}

static inline unsigned g_cpl(const X86Gen *g)
{
    return (g->key & KEY_CPL) >> KEY_CPL_SHIFT;
}

bool g_has(const X86Gen *g, unsigned feature);          /* X86_F_* of the CPU model */

/* Registers: whole 64 bits; g_set_reg writes at width w and keeps (W8, W16) or clears (W32) the rest. */
static inline IrRef g_reg(X86Gen *g, unsigned n)
{
    return ir_get(g->r, n);
}

void g_set_reg(X86Gen *g, IrWidth w, unsigned n, IrRef v);
/* Byte register n: 4 to 7 without REX are AH CH DH BH. */
IrRef g_reg8(X86Gen *g, unsigned n);
void g_set_reg8(X86Gen *g, unsigned n, IrRef v);

/* Operands by number in the row. */
IrWidth g_width(const X86Gen *g, unsigned n);           /* of an integer operand */
/*
 * Integer value; only the operand's width of it counts (memory: zero-extended; immediates as decoded). g_load_rmw: of a
 * destination that is then stored.
 */
IrRef g_load(X86Gen *g, unsigned n);
IrRef g_load_rmw(X86Gen *g, unsigned n);
/* Writes v; g_store_result: v comes of g_load(g, n) by an op of that width (the rest of the register is right in it). */
void g_store(X86Gen *g, unsigned n, IrRef v);
void g_store_result(X86Gen *g, unsigned n, IrRef v);
bool g_is_mem(const X86Gen *g, unsigned n);

/* The memory operand of ModRM (or O), for an access of `bytes`; checked against its segment where the mode needs that. */
IrAddr g_mem(X86Gen *g, unsigned bytes, bool write);
IrRef g_effective_address(X86Gen *g, IrWidth w);        /* offset without segment, zero-extended from w or the address size */
/* Any address: a with .addr the address size, as offset in segment seg (S_*); bytes 0: no access is checked. */
IrAddr g_address(X86Gen *g, unsigned seg, IrAddr a, unsigned bytes, bool write);
IrAddr g_plus(IrAddr m, int64_t disp);                  /* the same checked operand, disp bytes on */
IrRef g_linear(X86Gen *g, IrAddr m);                    /* as a value */
IrAddr g_one_register(X86Gen *g, IrAddr m);             /* the same address, for ops that want many registers */
/* The memory operand moved by index << scale bytes (bit strings). */
IrAddr g_mem_indexed(X86Gen *g, IrRef index, unsigned scale, unsigned bytes, bool write);

static inline IrWidth g_address_width(const X86Gen *g)
{
    return g->in.asize == IR_A64 ? W64 : g->in.asize == IR_A32 ? W32 : W16;
}

static inline bool g_locked(const X86Gen *g)
{
    return g->in.prefixes & X86_P_LOCK;
}

/* Stack: value at width w (operand size). g_push changes rSP after the store. */
IrWidth g_stack_width(const X86Gen *g);
IrAddr g_stack_address(X86Gen *g, int64_t disp, unsigned bytes, bool write);
void g_push(X86Gen *g, IrWidth w, IrRef v);
IrRef g_stack_load(X86Gen *g, IrWidth w, int64_t disp); /* at SS:rSP + disp; rSP stays */
void g_stack_store(X86Gen *g, IrWidth w, int64_t disp, IrRef v);
void g_add_rsp(X86Gen *g, int64_t n);                   /* by the size of the stack */

/* Ends of the region. Addresses are linear. */
uint64_t g_next_ip(const X86Gen *g);
vaddr g_target(X86Gen *g, uint64_t ip);                 /* linear address of IP, cut to the operand size */
void g_attention(X86Gen *g);                                 /* first thing of a body that may close a loop */
/* Checks against the CS limit, before anything is changed; g_check_ind cuts ip to the operand size and makes it linear. */
void g_check_target(X86Gen *g, vaddr pc);
IrRef g_check_ind(X86Gen *g, IrRef ip);
void g_jump(X86Gen *g, vaddr pc);
void g_jump_if(X86Gen *g, IrRef flags, IrCond cond, vaddr pc); /* the body goes on when not */
void g_jump_ind(X86Gen *g, IrRef pc, IrRef sp, unsigned kind);    /* as exit_ind; sp: of the return address, when it is one */
void g_raise(X86Gen *g, unsigned vector, uint32_t error);
void g_ud(X86Gen *g);
/* Back to the run loop at pc; x86 state is complete. */
void g_leave(X86Gen *g, unsigned reason, vaddr pc);
void g_leave_here(X86Gen *g, unsigned reason);          /* where a helper has set X86Cpu.pc */
/* The next instruction is another region: after what changes the mode key. */
void g_next_region(X86Gen *g);

/*
 * After helpers that end with x86_settle() (sys/sys.h). g_go_on: where the helper said; g_go_on_next: at the next instruction, which
 * is another region; g_leave_if: in this region unless v, the helper's result, says that the mode has changed.
 */
void g_go_on(X86Gen *g);
void g_go_on_next(X86Gen *g);
void g_leave_if(X86Gen *g, IrRef v);

/* A block off the main path: leaves with a reason to go on at pc, or raises. For brcond and brz. */
unsigned g_cold_block(X86Gen *g, vaddr pc, unsigned reason);
void g_write_cold_blocks(X86Gen *g);

/* Helpers of sys-helpers.h and of the bodies' files. */
IrRef g_call(X86Gen *g, const TcgHelper *h, IrRef a, IrRef b, IrRef c, IrRef d);
IrRef g_imm(X86Gen *g, uint64_t v);
extern const TcgHelper x86_h_decimal, x86_h_random; /* helper-int.c */

/* Offsets of the state, for lds and sts. */
#define G_ST(field) (offsetof(X86Cpu, st.field))
#define G_CPU(field) (offsetof(X86Cpu, field))

#endif
