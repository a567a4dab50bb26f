/*
 * The x86 decoder. decode.def (its top is the legend) is the one list of instructions; decode-gen.py makes x86_insn_rows[] and the
 * look-up of it. Bytes in, X86Insn out; no state and no memory. SDM vol. 2, chapter 2 and appendix A.
 *
 * To add an instruction: its row, and its body `void gen_NAME(X86Gen *g)` (gen.h).
 */
#ifndef TARGET_I386_DECODE_H
#define TARGET_I386_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "tcg/ir.h"

typedef struct X86Gen X86Gen;

/* Where an operand is. */
typedef enum {
    X86_AT_NONE,
    X86_AT_A, X86_AT_B, X86_AT_C, X86_AT_D, X86_AT_E, X86_AT_G, X86_AT_H, X86_AT_I, X86_AT_J, X86_AT_M, X86_AT_N, X86_AT_O,
    X86_AT_P, X86_AT_Q, X86_AT_R, X86_AT_S, X86_AT_U, X86_AT_V, X86_AT_W, X86_AT_X, X86_AT_Y, X86_AT_Z,
    X86_AT_RAX, X86_AT_RCX, X86_AT_RDX, X86_AT_ONE, X86_AT_ST0,
    X86_AT_ES, X86_AT_CS, X86_AT_SS, X86_AT_DS, X86_AT_FS, X86_AT_GS,
} X86Place;

/* How big it is. */
typedef enum {
    X86_SZ_b, X86_SZ_w, X86_SZ_d, X86_SZ_q, X86_SZ_dq, X86_SZ_bs, X86_SZ_v, X86_SZ_z, X86_SZ_y, X86_SZ_m,
    X86_SZ_a, X86_SZ_p, X86_SZ_s, X86_SZ_n, X86_SZ_ss, X86_SZ_sd, X86_SZ_ps, X86_SZ_pd, X86_SZ_t,
    X86_SZ_env, X86_SZ_fst, X86_SZ_fx, X86_SZ_x,
} X86Size;

enum { /* X86Row.attr: see the legend */
    X86_ATTR_LOCK = 1 << 0, X86_ATTR_I64 = 1 << 1, X86_ATTR_O64 = 1 << 2, X86_ATTR_D64 = 1 << 3, X86_ATTR_F64 = 1 << 4,
    X86_ATTR_CPL0 = 1 << 5, X86_ATTR_PE = 1 << 6, X86_ATTR_UMIP = 1 << 8,
    X86_ATTR_ANYMOD = 1 << 9, X86_ATTR_FPU = 1 << 10, X86_ATTR_MMX = 1 << 11, X86_ATTR_SSE = 1 << 12,
    X86_ATTR_L0 = 1 << 13,
};

enum { X86_PREFIX_ANY, X86_PREFIX_NONE, X86_PREFIX_NONE_66, X86_PREFIX_66, X86_PREFIX_F3, X86_PREFIX_F2 };
enum { X86_MOD_ANY, X86_MOD_MEM, X86_MOD_REG };

/* Words of CPUID that features.def names: index of X86Cpu.features. */
enum { X86_WORD_1_EDX, X86_WORD_1_ECX, X86_WORD_7_EBX, X86_WORD_7_ECX, X86_WORD_7_EDX, X86_WORD_8_EDX, X86_WORD_8_ECX,
       X86_WORD_D_EAX, X86_NUM_WORDS };

/* Features as one number: word * 32 + bit + 1. */
enum {
    X86_F_none,
#define FEATURE(name, word, bit) X86_F_##name = X86_WORD_##word * 32 + (bit) + 1,
#include "target/i386/features.def"
#undef FEATURE
};

typedef struct {
    uint8_t place;    /* X86Place */
    uint8_t size;     /* X86Size */
} X86Operand;

typedef struct X86Row {
    const char *mnemonic;
    void (*body)(X86Gen *g);
    uint64_t arg;          /* the body's own */
    X86Operand op[4];
    uint8_t num_ops;
    uint16_t attr;         /* X86_ATTR_* */
    uint16_t undefined;    /* IR_FLAGS bits that are undefined afterwards */
    uint16_t feature;      /* X86_F_* */
    uint8_t map;           /* 0: one byte, 1: 0F, 2: 0F38, 3: 0F3A, 4 to 6: the same with VEX */
    uint8_t opcode, count; /* count opcodes from this one */
    uint8_t prefix;        /* X86_PREFIX_* */
    uint8_t mod;           /* X86_MOD_* */
    int8_t reg, rm;        /* what these fields of ModRM are, or -1 */
    bool modrm;
} X86Row;

enum { X86_SPLIT_MODE = 1, X86_SPLIT_PREFIX = 2, X86_SPLIT_MOD = 4, X86_SPLIT_REG = 8, X86_SPLIT_RM = 16,
       X86_SLOT_MODRM = 32 };

/* Rows of an opcode: leaves from base, by the fields of split, in this order. */
typedef struct {
    uint16_t base;
    uint8_t split;
} X86Slot;

#include "target/i386/decode.gen.h"

extern const X86Row x86_insn_rows[X86_NUM_ROWS];
enum { X86_MAP_VEX = 3, X86_NUM_MAPS = 7 };
extern const X86Slot x86_slots[X86_NUM_MAPS][256];
extern const uint16_t x86_leaves[];     /* number of row + 1, 0: #UD */

enum { X86_P_66 = 1, X86_P_67 = 2, X86_P_F3 = 4, X86_P_F2 = 8, X86_P_LOCK = 16 }; /* F3, F2: only the last one is set */
enum { X86_REX_B = 1, X86_REX_X = 2, X86_REX_R = 4, X86_REX_W = 8, X86_REX = 0x40 };

/* A decoded instruction. */
typedef struct X86Insn {
    const X86Row *row;
    uint8_t len;
    uint8_t opcode;        /* its last byte */
    uint8_t prefixes;      /* X86_P_* */
    uint8_t rex;           /* 0 or 0x40 to 0x4f */
    uint8_t seg;           /* of the memory operand of ModRM, O or X: S_*, by default or prefix */
    bool seg_prefix;
    bool vex;
    uint8_t vvvv, vex_l;   /* VEX: register, vector length bit */
    bool code64;
    uint8_t osize;         /* IrWidth of operand size: W16, W32, W64 */
    uint8_t asize;         /* IrAddrWidth */
    uint8_t modrm;
    bool mem;              /* ModRM says memory */
    uint8_t reg, rm;       /* with REX */
    /* Memory operand: registers or -1; RIP-relative has base X86_BASE_RIP. */
    int8_t base, index;
    uint8_t scale;
    int64_t disp;          /* also the offset of an O operand */
    uint64_t imm;          /* sign-extended as the operand says; J: the displacement; A: the offset */
    uint16_t imm2;         /* selector of A; second immediate of enter */
} X86Insn;

enum { X86_BASE_RIP = 16 };

typedef enum {
    X86_DECODE_OK,
    X86_DECODE_SHORT,      /* more bytes than there are are needed */
    X86_DECODE_LONG,       /* over 15 bytes: #GP(0) */
    X86_DECODE_UD,         /* no row, LOCK where it may not be */
} X86Decode;

/*
 * Decodes up to avail bytes at buf. key: KEY_CODE64, KEY_CODE32, KEY_PE, KEY_VM86 (cpu.h). What depends on more than those (features, CPL, mode)
 * is left to the translator. in->len and row are right for OK only.
 */
X86Decode x86_decode(X86Insn *in, const uint8_t *buf, unsigned avail, uint64_t key);

/* Bytes of operand n of a decoded instruction; 0 for those without a fixed size. */
unsigned x86_operand_bytes(const X86Insn *in, unsigned n);

#endif
