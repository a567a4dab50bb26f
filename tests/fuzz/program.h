/* The system emulator as a target has it: in this process, its loop driven by the target, no processor that runs. */
#ifndef TESTS_FUZZ_PROGRAM_H
#define TESTS_FUZZ_PROGRAM_H

#include "softmmu/system.h"

/* From a command line without the program's name, NULL-terminated; NULL with errp set. -S is up to it. */
System *program_new(const char *const *args, Error **errp);
/* As program_new, but args is a vector of argc words that may be wrong or ask for help. True: a machine was made (and is gone). */
bool program_try(int argc, char **argv);
void program_free(System *s);
/* The loop until it has nothing to do; bounded. */
void program_settle(System *s);
/* What an input may have asked for is forgotten: the end, a stop. The machine is reset and runs. */
void program_reset(System *s);

#endif
