/* What cpu.c does not define of target/i386/sys-helpers.def: privileged, or of segments that a process does not have. #GP(0). */
#include "target/i386/sys-helpers.h"

#define HELPER(name, args, flags, doc) \
    __attribute__((weak)) uint64_t x86_sys_##name(X86_ARGS_##args) \
    { \
        x86_raise(cpu, EXC_GP, 0); \
    }
#include "target/i386/sys-helpers.def"
