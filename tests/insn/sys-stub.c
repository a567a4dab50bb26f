/* The system's part of translation (target/i386/sys-helpers.def) where guest.c has none: refuses. */
#include "target/i386/sys-helpers.h"
#include "tests/insn/insn.h"

#define HELPER(name, args, flags, doc) \
    __attribute__((weak)) uint64_t x86_sys_##name(X86_ARGS_##args) \
    { \
        guest_refuse(#name); \
    }
#include "target/i386/sys-helpers.def"
