/*
 * Encoding x86-64 instructions (Intel SDM volume 2, chapter 2). The caller keeps room:
 * no check is made here, x86_room() is asked once per IR op.
 */
#ifndef TCG_X86_64_ASM_H
#define TCG_X86_64_ASM_H

#include <string.h>

#include "tcg/ir.h"

enum {
    RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15,
    XMM0 = 16, XMM14 = 30, XMM15 = 31,
    NO_REG = 0xff,
};

typedef struct {
    uint8_t *start, *p, *end;
} Asm;

/* A memory operand. gs: in the CPU state; a32: address-size prefix. */
typedef struct {
    uint8_t base, index, scale; /* registers or NO_REG; index << scale */
    bool gs, a32;
    int32_t disp;
} X86Mem;

/* Opcodes: low byte, map << 8 (1: 0F, 2: 0F38, 3: 0F3A), mandatory prefix << 12, and properties. */
enum {
    X_0F = 1 << 8, X_0F38 = 2 << 8, X_0F3A = 3 << 8,
    X_66 = 1 << 12, X_F3 = 2 << 12, X_F2 = 3 << 12,
    X_REG8 = 1 << 16, /* reg is an 8-bit register: 4 to 7 need REX */
    X_RM8 = 1 << 17,
    X_LOCK = 1 << 18,
    X_VEX = 1 << 19, X_L = 1 << 20, X_W = 1 << 21,
};

static inline bool x86_room(const Asm *a, size_t bytes)
{
    return (size_t)(a->end - a->p) >= bytes;
}

static inline void x86_byte(Asm *a, unsigned v)
{
    *a->p++ = (uint8_t)v;
}

static inline void x86_i32(Asm *a, uint32_t v)
{
    memcpy(a->p, &v, 4);
    a->p += 4;
}

static inline void x86_i64(Asm *a, uint64_t v)
{
    memcpy(a->p, &v, 8);
    a->p += 8;
}

/* reg field and a register or memory in the rm field; size W16 and W64 add 66 and REX.W. */
void x86_rr(Asm *a, uint32_t op, IrWidth size, unsigned reg, unsigned rm);
void x86_rm(Asm *a, uint32_t op, IrWidth size, unsigned reg, const X86Mem *m);

/* VEX encodings: op has X_L, X_W, map and prefix; vvvv is NO_REG when unused. */
void x86_vex_rr(Asm *a, uint32_t op, unsigned reg, unsigned vvvv, unsigned rm);
void x86_vex_rm(Asm *a, uint32_t op, unsigned reg, unsigned vvvv, const X86Mem *m);

/* Immediate of an op of this size: 1, 2 or 4 bytes. */
static inline void x86_imm(Asm *a, IrWidth size, uint64_t v)
{
    unsigned n = size == W8 ? 1 : size == W16 ? 2 : 4;

    memcpy(a->p, &v, n);
    a->p += n;
}

/* Loads constant v; never touches flags. */
void x86_mov_imm(Asm *a, unsigned reg, uint64_t v);

/* The multi-byte NOPs the manual recommends. */
void x86_nop(Asm *a, unsigned bytes);

/* Register moves: 64-bit between general registers, whole 128 bits between vector registers. */
static inline void x86_mov(Asm *a, unsigned dst, unsigned src)
{
    if (dst != src) {
        x86_rr(a, 0x8b, W64, dst, src);
    }
}

/* jmp, call, jcc with a rel32; returns where the rel32 is. */
uint8_t *x86_jmp(Asm *a, const uint8_t *target);
uint8_t *x86_call(Asm *a, const uint8_t *target);
uint8_t *x86_jcc(Asm *a, IrCond cond, const uint8_t *target);

/* Sets the rel32 at `at` to reach target. */
static inline void x86_patch(uint8_t *at, const uint8_t *target)
{
    int32_t d = (int32_t)(target - (at + 4));

    memcpy(at, &d, 4);
}

#endif
