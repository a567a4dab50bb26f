/* Prototypes and TcgHelper descriptions of fp-helpers.def: x86_fp_NAME() and x86_h_NAME. */
#ifndef TARGET_I386_FP_HELPERS_H
#define TARGET_I386_FP_HELPERS_H

#include "target/i386/sys-helpers.h"

#define HELPER(name, args, flags, doc) uint64_t x86_fp_##name(X86_ARGS_##args);
#include "target/i386/fp-helpers.def"
#undef HELPER

#define HELPER(name, args, flags, doc) extern const TcgHelper x86_h_##name;
#include "target/i386/fp-helpers.def"
#undef HELPER

/*
 * The x87 state lives in the host's own FPU while the guest uses it with all exceptions masked (cpu->x87_live): translated code is
 * then the same instructions, and C code leaves the x87 registers alone. Whoever reads or writes st.fpr, st.fsw or st.ftw calls this
 * first, in the vCPU's thread; before a vCPU's state is looked at or changed from outside, its thread does.
 */
void x86_fpu_flush(X86Cpu *);

/*
 * Around running: load before tcg_run, after the state was set from outside; save after it, before the state is looked at. They
 * move MXCSR between st and the translator's slot too (while translated code runs it is in the host's register).
 */
void x86_fpu_load(X86Cpu *);
void x86_fpu_save(X86Cpu *);

/* Sets the x87 control word, and FSW.ES and B by it. */
void x86_fp_fix_control(X86State *st, uint16_t fcw);

/* X87_INSN: which x87 instruction, and with which segment its memory operand is. */
#define X87_INSN(opcode, modrm, seg) ((opcode) | (modrm) << 8 | (seg) << 16)

/* X87_LAYOUT: of FSTENV and FSAVE (SDM vol. 1, figures 8-9 to 8-12). */
enum { X87_ENV_16 = 1, X87_ENV_REAL = 2, X87_ENV_REGS = 4 /* FSAVE */ };

#endif
