/* Prototypes and TcgHelper descriptions of sys-helpers.def: x86_sys_NAME() and x86_h_NAME. */
#ifndef TARGET_I386_SYS_HELPERS_H
#define TARGET_I386_SYS_HELPERS_H

#include "target/i386/cpu.h"
#include "tcg/ir.h"

/* Parameters by their number. */
#define X86_ARGS_0 X86Cpu *cpu
#define X86_ARGS_1 X86_ARGS_0, uint64_t a
#define X86_ARGS_2 X86_ARGS_1, uint64_t b
#define X86_ARGS_3 X86_ARGS_2, uint64_t c
#define X86_ARGS_4 X86_ARGS_3, uint64_t d

#define HELPER(name, args, flags, doc) uint64_t x86_sys_##name(X86_ARGS_##args);
#include "target/i386/sys-helpers.def"
#undef HELPER

#define HELPER(name, args, flags, doc) extern const TcgHelper x86_h_##name;
#include "target/i386/sys-helpers.def"
#undef HELPER

enum { INT_N, INT_3, INT_O, INT_1 };
enum { XSAVE_XSAVE, XSAVE_XRSTOR, XSAVE_XSAVEOPT, XSAVE_XSAVEC, XSAVE_XSAVES, XSAVE_XRSTORS };

#endif
