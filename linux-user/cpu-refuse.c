/* What cpu.c does not define of target/i386/sys-helpers.def: privileged, or of segments that a process does not have. #GP(0). */
#include "target/i386/sys-helpers.h"

#define ARGS_0 X86Cpu *cpu
#define ARGS_1 ARGS_0, uint64_t a0
#define ARGS_2 ARGS_1, uint64_t a1
#define ARGS_3 ARGS_2, uint64_t a2
#define ARGS_4 ARGS_3, uint64_t a3
#define HELPER(name, args, flags, doc) \
    __attribute__((weak)) uint64_t x86_sys_##name(ARGS_##args) \
    { \
        x86_raise(cpu, EXC_GP, 0); \
    }
#include "target/i386/sys-helpers.def"
