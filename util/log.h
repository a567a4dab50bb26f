/*
 * The log: what -d asks for, written where -D says, for addresses that -dfilter selects.
 *
 *     if (log_enabled(LOG_IN_ASM) && log_in_filter(pc)) {
 *         FILE *f = log_begin();                    // one record: nobody else writes in between
 *         fprintf(f, "IN: 0x%" PRIx64 "\n", pc);
 *         log_end(f);
 *     }
 *     log_item(LOG_INT, "vector %u\n", vec);        // the same in one line
 *     log_guest_error("isa-serial", "read of reserved register %u", reg);
 *
 * What is not asked for costs one load and a branch. Records of the items that a guest can cause at
 * will (marked BOUNDED below) are cut at 512 bytes and limited in rate (a burst of 1000, then 200 a second; how many were
 * left out is logged) and in total (64 MiB per run and file, with a last line that says so), so that a guest cannot fill a
 * disk through -d guest_errors,unimp.
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "util/error.h"

/* All items: enum name, spelling for -d, bounded, help. The bit is the place in the list. */
#define LOG_ITEMS(X)                                                                              \
    X(OUT_ASM, "out_asm", 0, "host code made of each translated region")                          \
    X(IN_ASM, "in_asm", 0, "guest code of each region when it is translated")                     \
    X(OP, "op", 0, "intermediate code of each region")                                            \
    X(OP_OPT, "op_opt", 0, "intermediate code after optimization")                                \
    X(OP_IND, "op_ind", 0, "intermediate code before indirect registers are lowered")             \
    X(OP_PLUGIN, "op_plugin", 0, "intermediate code after plugins added theirs")                  \
    X(INT, "int", 0, "interrupts and exceptions, one short record each")                          \
    X(EXEC, "exec", 0, "address of each region before it runs (many lines)")                      \
    X(CPU, "cpu", 0, "registers before each region runs (many lines)")                            \
    X(FPU, "fpu", 0, "floating-point registers too, with cpu")                                    \
    X(MMU, "mmu", 0, "what the memory management unit does")                                      \
    X(PCALL, "pcall", 0, "x86: far calls, returns and exceptions in protected mode")              \
    X(CPU_RESET, "cpu_reset", 0, "registers before each processor reset")                         \
    X(UNIMP, "unimp", 1, "use of things that are not implemented")                                \
    X(GUEST_ERRORS, "guest_errors", 1, "what the guest does that hardware does not allow")        \
    X(PAGE, "page", 0, "memory map when a user program starts or changes it")                     \
    X(NOCHAIN, "nochain", 0, "not a log: regions are not linked, so that exec and cpu show all")  \
    X(PLUGIN, "plugin", 0, "what plugins print")                                                  \
    X(STRACE, "strace", 0, "every system call of a user program")                                 \
    X(TID, "tid", 0, "one file for each thread: -D needs %d, which is the thread's id")           \
    X(VPU, "vpu", 0, "vector registers too, with cpu")                                            \
    X(INVALID_MEM, "invalid_mem", 1, "accesses to memory where nothing is")

enum {
#define X(name, text, bounded, help) LOG_INDEX_##name,
    LOG_ITEMS(X)
#undef X
    LOG_NUM_ITEMS,
#define X(name, text, bounded, help) LOG_##name = 1 << LOG_INDEX_##name,
    LOG_ITEMS(X)
#undef X
};

/* The items asked for. Written by log_set_items only. */
extern uint32_t log_mask;

/* True iff any of these items was asked for. */
static inline bool log_enabled(uint32_t items)
{
    return __builtin_expect((__atomic_load_n(&log_mask, __ATOMIC_RELAXED) & items) != 0, 0);
}

/*
 * -d: item names with commas, "all" (everything but what is no log: nochain, tid), "none". "trace:GLOB" enables trace
 * points. Replaces the items of before.
 */
bool log_set_items(const char *items, Error **errp);
void log_set_mask(uint32_t mask);
/* -d help: a line for each item, in the order above. */
void log_print_help(FILE *out);

/* -D: the file; one %d in it is the process id (the thread's with tid). NULL or "": standard error. */
bool log_set_file(const char *path, Error **errp);
/* -dfilter: START..END, START+LENGTH, START-LENGTH (up to and with START), with commas. NULL or "": all. */
bool log_set_filter(const char *ranges, Error **errp);
/* True iff addr is in a range of -dfilter, or there is none. Lock-free. */
bool log_in_filter(uint64_t addr);

/* A record: the file, held for this thread until log_end (which flushes). Between them, no other lock is taken. */
FILE *log_begin(void);
void log_end(FILE *f);

/* One record if the item is asked for. The text ends in a newline. Bounded items are limited. */
#define log_item(item, ...)                                                                       \
    do {                                                                                          \
        if (log_enabled(item)) {                                                                  \
            log_printf(item, __VA_ARGS__);                                                        \
        }                                                                                         \
    } while (0)
void log_printf(uint32_t item, const char *fmt, ...) ERROR_PRINTF(2, 3);

/* "WHO: text" for an error of the guest, and for what we lack; no newline in fmt. */
#define log_guest_error(who, fmt, ...) log_item(LOG_GUEST_ERRORS, "%s: " fmt "\n", who, ##__VA_ARGS__)
#define log_unimp(who, fmt, ...) log_item(LOG_UNIMP, "%s: " fmt "\n", who, ##__VA_ARGS__)

#endif
