/* x86 code to IR: one region. Called by the run loop (accel/tcg) with a region that was reset. */
#ifndef TARGET_I386_TRANSLATE_H
#define TARGET_I386_TRANSLATE_H

#include "target/i386/cpu.h"
#include "tcg/build.h"
#include "util/addr.h"

typedef struct X86Translate {
    IrRegion *r;
    X86Cpu *cpu;             /* for features of the model only: translation depends on bytes, key and model */
    vaddr pc;                /* linear address of the first instruction */
    uint64_t key;
    unsigned max_insns;
    /*
     * Copies up to len bytes of code from linear address pc, len of them inside one page; returns how many there are (0: the
     * fetch faults). The run loop remembers which pages were touched: never one that the instructions do not need.
     */
    unsigned (*fetch)(void *opaque, vaddr pc, uint8_t *buf, unsigned len);
    void *opaque;
    /* Results */
    vaddr end;               /* after the last instruction translated */
    unsigned num_insns;      /* 0: the first instruction's fetch faults; the run loop raises that */
    vaddr fault;             /* then: the address that faults */
} X86Translate;

/*
 * Ends after max_insns, before a page end that is not needed to finish an instruction (only a first instruction may cross), at
 * an end of flow, or when the region is full. Invalid encodings become a raise of #UD, over-long ones #GP(0).
 */
void x86_translate(X86Translate *);

#endif
