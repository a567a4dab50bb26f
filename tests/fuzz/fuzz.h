/*
 * Fuzz targets: each takes any bytes and must live. docs/fuzzing.md is the manual.
 *
 *     const FuzzTarget fuzz_json = { .run = json, .words = json_words };
 *
 * and its line in the list in tests/fuzz/meson.build. The program that holds them all is linked twice: with driver.c
 * (any compiler: the corpus, then mutations of it for some seconds), and with clang's libFuzzer, which finds its way by
 * coverage. A target may keep things from one input to the next for speed, but each input must find them as the first did.
 *
 * What is found is always one of: a crash, a sanitizer's report, an assertion, a run longer than FUZZ_TIMEOUT, more
 * memory than FUZZ_MEMORY.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FUZZ_TIMEOUT = 20 /* s for one input, under sanitizers on a busy host */, FUZZ_MEMORY = 2048 /* MiB */ };

typedef struct {
    void (*init)(void);                          /* once, or NULL */
    void (*run)(const uint8_t *data, size_t len);
    void (*add_words)(void);                     /* more words by fuzz_add_word, or NULL */
    const char *const *words;                    /* what inputs are made of, NULL-terminated; or NULL: bytes */
    size_t max_len;                              /* 0: 4096 */
    bool opens_files;                            /* inputs may name files: the process gives up its rights */
    bool hides_memory;                           /* keeps pointers where LeakSanitizer does not look */
    const void *detail;                          /* the target's own */
} FuzzTarget;

typedef struct {
    const char *name;
    const FuzzTarget *target;
} FuzzEntry;

extern const FuzzEntry fuzz_entries[]; /* the last has no name */
extern const FuzzTarget *fuzz_current;

/* NULL: no such target. */
const FuzzTarget *fuzz_find(const char *name);
/* Prepares the process (an empty folder to be in, no standard input and output) and the target, the current one from now on. */
void fuzz_start(const FuzzTarget *t);
/* Removes that folder; called at exit(). */
void fuzz_end(void);
/* One input; the process ends when it finds something. */
void fuzz_run(const uint8_t *data, size_t len);

/* Words that inputs of the current target are made of. text is copied. */
void fuzz_add_word(const char *text);
void fuzz_add_bytes(const void *data, size_t len);

typedef struct {
    const uint8_t *data;
    size_t len;
} FuzzBytes;
/* A word; empty: there are none. */
FuzzBytes fuzz_word(uint32_t n);
/* Changes data (len bytes, room for max); returns its new length. other: another input to take from, or empty. */
size_t fuzz_mutate(uint8_t *data, size_t len, size_t max, FuzzBytes other, uint64_t *seed);
uint32_t fuzz_random(uint64_t *seed);

/* ---- Taking values off an input; zeros after its end ---- */

static inline bool fuzz_more(const FuzzBytes *b)
{
    return b->len;
}
uint8_t fuzz_u8(FuzzBytes *);
uint16_t fuzz_u16(FuzzBytes *);
uint32_t fuzz_u32(FuzzBytes *);
uint64_t fuzz_u64(FuzzBytes *);
/* The next up to n bytes. */
FuzzBytes fuzz_take(FuzzBytes *, size_t n);
/* What is left as a string, its NULs made blanks; free() it. */
char *fuzz_text(FuzzBytes b);

#endif
