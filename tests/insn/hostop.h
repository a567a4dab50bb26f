/* The interpreter's native ops, run on the host: the template's instruction is written out with fixed registers and called. */
#ifndef TESTS_INSN_HOSTOP_H
#define TESTS_INSN_HOSTOP_H

#include "target/i386/cpu.h"
#include "tcg/interp.h"

/*
 * With the guest's MXCSR and x87 control word. False: the instruction raised an exception that the guest unmasked;
 * cpu->st.mxcsr says which.
 */
bool hostop_run(X86Cpu *cpu, const IrInsn *in, IrNativeIo *io);

/* For a SIGFPE: where to go on when it came of a native op, else 0. */
uint64_t hostop_fault(void);

#endif
