/*
 * Templates of x86-64 host instructions for the native ops: an opcode whose registers
 * the allocator fills in. Layout of the 64 bits of TcgNative, and how a template's form
 * places the op's arguments in the instruction's fields (Intel SDM volume 2, 2.1 and 2.3).
 *
 *     addps   NATIVE(NP_NONE, 1, 0x58, NF_RM)                       native: arg 0 tied, arg 1 rm
 *     pshufd  NATIVE(NP_66, 1, 0x70, NF_RM) | NATIVE_IMM8(0x1b)     arg 0 absent: not tied
 *     psrldq  NATIVE(NP_66, 1, 0x73, NF_M) | NATIVE_DIGIT(3) | NATIVE_IMM8(4)
 *     vpaddd  NATIVE(NP_66, 1, 0xfe, NF_RVM) | NATIVE_VEX           with NATIVE_VEX_L on ymm
 *     fadd    NATIVE(NP_NONE, 0, 0xdc, NF_M) | NATIVE_DIGIT(0)      native_x, native_xm
 *     fchs    NATIVE(NP_NONE, 0, 0xd9, NF_FIXED) | NATIVE_IMM8(0xe0)
 *
 * A legacy SSE template leaves the bits above 127 of its result as in argument 0's; a VEX
 * one clears what is above its width: set the global with aux=1 then.
 * An op that may raise a floating-point exception has TCG_NATIVE_FAULTS too.
 */
#ifndef TCG_X86_64_NATIVE_H
#define TCG_X86_64_NATIVE_H

#include "tcg/ir.h"

/* Mandatory prefix; the same numbers as VEX.pp. */
typedef enum { NP_NONE, NP_66, NP_F3, NP_F2 } NativePrefix;

/*
 * Which argument goes where. old: the result's register holds it beforehand. "digit" in the reg
 * field. `mem` stands in the rm field in native_m, native_st, native_xm.
 *
 *            native                  native_m                 native_vi             native_iv
 * NF_RM      reg=res old=a0 rm=a1    reg=res old=a2           reg=res old=a0 rm=a1  reg=int res rm=a0
 * NF_RVM     reg=res old=a0 vvvv=a1  reg=res old=a2 vvvv=a3   reg=res vvvv=a2 rm=a1
 *            rm=a2
 * NF_M       rm=res old=a0 digit     native_x, native_xm: rm=mem, digit
 * NF_VM      vvvv=res rm=a1 digit
 * NF_RVM4    reg=res vvvv=a0 rm=a1   reg=res vvvv=a2 is4=a3
 *            is4=a2 (a0 is not old)
 * NF_RM0     as NF_RM, xmm0=a2       as NF_RM, xmm0=a3
 * NF_MR                                                                             reg=a0 rm=int res
 * NF_FLAGS                                                                          reg=a0 rm=a1, flags
 * NF_FIXED   native_x: imm8 is the ModRM byte
 *
 * native_st: NF_RM, reg=a2.
 */
typedef enum {
    NF_RM, NF_RVM, NF_M, NF_VM, NF_RVM4, NF_RM0, NF_MR, NF_FLAGS, NF_FIXED,
} NativeForm;

/* map: 0 one-byte opcodes, 1 0F, 2 0F 38, 3 0F 3A. */
#define NATIVE(pp, map, opcode, form) \
    ((TcgNative)(opcode) | (TcgNative)(pp) << 16 | (TcgNative)(map) << 18 | (TcgNative)(form) << 24)
#define NATIVE_IMM8(v)   ((TcgNative)(uint8_t)(v) << 8 | NATIVE_HAS_IMM8)
#define NATIVE_DIGIT(n)  ((TcgNative)(n) << 32)
#define NATIVE_HAS_IMM8  (1ull << 20)
#define NATIVE_W         (1ull << 21)  /* REX.W or VEX.W */
#define NATIVE_VEX       (1ull << 22)
#define NATIVE_REGS      (1ull << 35)  /* with memory in place of a register it is another instruction: movss */
#define NATIVE_VEX_L     (1ull << 23)  /* 256-bit; the width of the op does not say it */

static inline uint8_t native_opcode(TcgNative n)
{
    return (uint8_t)n;
}

static inline uint8_t native_imm8(TcgNative n)
{
    return (uint8_t)(n >> 8);
}

static inline NativePrefix native_pp(TcgNative n)
{
    return n >> 16 & 3;
}

static inline unsigned native_map(TcgNative n)
{
    return n >> 18 & 3;
}

static inline NativeForm native_form(TcgNative n)
{
    return n >> 24 & 0xff;
}

static inline unsigned native_digit(TcgNative n)
{
    return n >> 32 & 7;
}

#endif
