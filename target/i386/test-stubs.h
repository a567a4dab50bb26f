/* For tests: what was called last of sys-helpers.def, and a hook that sees each call with its first arguments. */
#ifndef TARGET_I386_TEST_STUBS_H
#define TARGET_I386_TEST_STUBS_H

#include "target/i386/sys-helpers.h"

extern const char *x86_stub_called;
/* Its result is the helper's. */
extern uint64_t (*x86_stub_hook)(const char *name, uint64_t a, uint64_t b, uint64_t c, uint64_t d);

#endif
