/*
 * x87, MMX and SSE: what rows of decode-fp.def need for their arguments, and what sse.c, mmx.c and x87.c share. See gen.h.
 *
 * SSE and MMX instructions become the host's own (TcgNative, tcg/x86_64/native.h): opcode, map and prefix of the template are the
 * row's. MXCSR is in the host's register while translated code runs; whatever needs it in the state goes through
 * g_save_mxcsr() and g_load_mxcsr().
 */
#ifndef TARGET_I386_GEN_FP_H
#define TARGET_I386_GEN_FP_H

#include "target/i386/gen.h"
#include "tcg/x86_64/native.h"

/* row->arg of SSE and MMX rows. */
enum {
    FP_X = 1,            /* may raise SIMD floating-point exceptions */
    FP_NEW = 2,          /* the old destination does not matter */
    FP_ANY = 4,          /* a memory operand of 16 bytes may have any alignment */
    FP_XMM0 = 8,         /* XMM0 is an operand */
    FP_NT = 16,          /* non-temporal */
    FP_REGS = 32,        /* with memory it is another instruction */
};

/* How an MMX instruction is done with the SSE2 one of the same opcode (mmx.c). */
enum {
    MMX_SAME,            /* the low halves of the registers */
    MMX_NEW,             /* the same, old destination not needed */
    MMX_PACK,            /* both operands in one register, then the low half of op x, x */
    MMX_HIGH,            /* unpack high: the upper half of unpack low */
    MMX_SHUFFLE,         /* pshufb: indexes have three bits */
    MMX_ALIGN,           /* palignr */
    MMX_PSHUFW,
};

/* MXCSR from the host's register to st.mxcsr, and back. */
void g_save_mxcsr(X86Gen *g);
void g_load_mxcsr(X86Gen *g);

/* Raises a pending x87 exception (#MF): before every waiting x87 and every MMX instruction. Ends the IR block. */
void g_x87_wait(X86Gen *g);
/* What an MMX instruction does to the x87 state: TOP 0, all registers valid. After the last access that may fault. */
void g_mmx_enter(X86Gen *g);

/* maskmovdqu and maskmovq: sse.c. In a region of its own (g->single). */
void g_masked_store(X86Gen *g, IrRef mask, unsigned bytes);

/* The row's instruction as a template. */
TcgNative g_template(const X86Gen *g, NativeForm form);

#endif
