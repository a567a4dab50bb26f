/* Bodies of sys-helpers.def for tests that expect none of them to be called: see test-stubs.h. */
#include "target/i386/test-stubs.h"

#include <stdlib.h>

const char *x86_stub_called;
uint64_t (*x86_stub_hook)(const char *name, uint64_t a, uint64_t b, uint64_t c, uint64_t d);

#define CALL_0 0, 0, 0, 0
#define CALL_1 a, 0, 0, 0
#define CALL_2 a, b, 0, 0
#define CALL_3 a, b, c, 0
#define CALL_4 a, b, c, d
#define HELPER(name, args, flags, doc) \
    uint64_t x86_sys_##name(X86_ARGS_##args) \
    { \
        x86_stub_called = #name; \
        return x86_stub_hook ? x86_stub_hook(#name, CALL_##args) : 0; \
    }
#include "target/i386/sys-helpers.def"

/* No test here runs code that raises: only the link needs it. */
void x86_raise(X86Cpu *cpu, unsigned vector, uint32_t error)
{
    abort();
}
