/*
 * The driver that clang's libFuzzer is: FUZZ_TARGET in the environment says the target. scripts/fuzz calls it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t len, size_t max);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *name = getenv("FUZZ_TARGET");
    const FuzzTarget *t = name ? fuzz_find(name) : NULL;

    if (!t) {
        fprintf(stderr, "FUZZ_TARGET is not the name of a target: scripts/fuzz --list\n");
        exit(2);
    }
    fuzz_start(t);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fuzz_run(data, len);
    return 0;
}

/* Words that libFuzzer does not know of. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed)
{
    uint64_t s = seed;

    if (fuzz_word(0).len && fuzz_random(&s) % 3 == 0) {
        return fuzz_mutate(data, len, max, (FuzzBytes){ data, len }, &s);
    }
    return LLVMFuzzerMutate(data, len, max);
}
