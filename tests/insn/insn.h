/*
 * Instructions against the host CPU: a case is made from a row of target/i386/decode.def with a number, run natively
 * (native.c) and through translation (guest.c), and the two results are compared (insn-test.c).
 *
 *     insn-test [--cases N] [--sequences N] [--seed S] [--only TEXT] [--mode 64|32|16] [--one N] [--show N] [--strict 1]
 *               [--without FEATURE]
 *
 * --one repeats a single case of a row and prints it with all state. Cases are made from (seed, row, number) only. --strict 1
 * shows the known differences too. --without is of a host that lacks a feature of target/i386/features.def: rows of what the
 * host lacks are counted and left out.
 *
 * Guest memory is the host's at the same addresses. Code and data are below 2 GiB, so that all modes reach them:
 *
 *     CODE  one page, filled with INT3 where there is no code: whatever ends a case ends there
 *     DATA  64 KiB: pages 1 and 2 may be written, 3 is read-only, 5 and 6 are the stack, the others fault
 *
 * In 16-bit mode the code segment has base CODE, the others base DATA and a limit of 64 KiB, byte-granular. In 32-bit mode all
 * are flat. Segment registers other than CS and SS, the system instructions and fs: are left out.
 */
#ifndef TESTS_INSN_INSN_H
#define TESTS_INSN_INSN_H

#include <stdbool.h>
#include <stdint.h>

#include "target/i386/cpu.h"
#include "target/i386/decode.h"

enum {
    PAGE = 0x1000,
    CODE = 0x20000000, CODE_SIZE = PAGE, CODE_START = 0x200,
    DATA = 0x10000000, DATA_SIZE = 0x10000,
    DATA_RW = PAGE, DATA_RO = 3 * PAGE, STACK = 5 * PAGE, STACK_SIZE = 2 * PAGE,
    /* What of DATA can be read, as one copy: pages 1 to 3 and 5 to 6. */
    DATA_COPY = 5 * PAGE,
};

enum { MAX_MASKS = 8 };

typedef enum { MODE_64, MODE_32, MODE_16, NUM_MODES } InsnMode;

/* What an instruction can see and change. x87 registers in the order of the stack, as FXSAVE stores them. */
typedef struct {
    uint64_t gpr[16];
    uint64_t rip;           /* offset in CS */
    uint64_t flags;
    uint64_t xmm[16][2];
    uint64_t st[8][2];
    uint16_t fcw, fsw, fop;
    uint8_t ftw;            /* bit n: R(n) is not empty */
    uint32_t mxcsr;
    uint64_t fip, fdp;
    int vector;             /* of the exception, or -1; rip is then that of the instruction */
    uint32_t error;
    uint64_t address;       /* of a page fault */
} InsnState;

typedef struct {
    InsnMode mode;
    uint8_t code[256];
    unsigned len;
    InsnState in;
    uint8_t mem[DATA_COPY]; /* at the start */
    const X86Row *row;      /* what the bytes are: prefixes may make it another row than was asked for */
    uint64_t masks[MAX_MASKS];      /* images of FXSAVE, of which parts are not compared */
    unsigned num_masks;
    uint16_t undefined;     /* IR_FLAGS bits the manual leaves undefined */
} InsnCase;

typedef struct {
    InsnState st;
    uint8_t mem[DATA_COPY];
    const char *refused;    /* not run: why */
} InsnResult;

/* Maps CODE and DATA and takes the signals. Returns NULL, or why nothing can be run. */
const char *native_init(void);
/* NULL, or why the host does not run this mode. */
const char *native_has_mode(InsnMode mode);
void native_run(const InsnCase *c, InsnResult *out);

/* host.c: what the host has. */
void host_init(void);
/* As if the host did not have it. False: no such feature. */
bool host_forget(const char *name);
/* The feature that the row wants and the host lacks, or NULL. */
const char *host_lacks(const X86Row *row);

/* Copies of what is readable in DATA. */
void insn_memory_get(uint8_t *mem);
void insn_memory_put(const uint8_t *mem);

/* Translated: see guest.c. */
void guest_init(void);
typedef enum { GUEST_INTERPRETED, GUEST_USER, GUEST_SYSTEM, GUEST_ENGINES } GuestEngine; /* user, system: see emitted.h */
void guest_run(const InsnCase *c, InsnResult *out, GuestEngine engine);
/* Whether there is memory; the second notes what fault it is if not. */
bool guest_allowed(uint64_t addr, bool write);
bool guest_access(uint64_t addr, unsigned size, bool write);
_Noreturn void guest_refuse(const char *what); /* ends the case: not for this harness */

/* Makes case number n of a row. False: the row is not for this harness in this mode. */
bool insn_make(InsnCase *c, const X86Row *row, InsnMode mode, uint64_t seed, uint64_t n);
/* A block of instructions of any rows. */
void insn_make_sequence(InsnCase *c, InsnMode mode, uint64_t seed, uint64_t n);
const X86Row *insn_row_at(const InsnCase *c, uint64_t at);
/* Makes instructions of a failing sequence NOPs as long as it fails. */
void insn_shrink(InsnCase *c, bool (*fails)(const InsnCase *c, void *opaque), void *opaque);
/* Why a row is not tested, or NULL. */
const char *insn_left_out(const X86Row *row);

#endif
