/*
 * Runs regions through the host's emitter: as user mode does, guest addresses being the host's, and as system mode does, through the
 * software TLB and its slow paths (guest addresses are the host's there too).
 */
#ifndef TESTS_INSN_EMITTED_H
#define TESTS_INSN_EMITTED_H

#include <signal.h>
#include <ucontext.h>

#include "target/i386/cpu.h"
#include "tcg/interp.h"

/* The state of a vCPU, made by the translator's runtime. */
X86Cpu *emitted_new_cpu(bool system);

/* Before a case in system mode: an empty TLB, or one that hits wherever there is memory. */
void emitted_reset_tlb(bool full);

/* Emits and runs r, which begins at pc. False: *why says what the emitter cannot do. A fault in the code is IR_STOP_FAULT. */
bool emitted_run(X86Cpu *cpu, const IrRegion *r, uint64_t pc, IrStop *stop, const char **why);

/* In a signal handler: true when the signal came of emitted code; uc then goes on where that leaves. */
bool emitted_signal(ucontext_t *uc);

/* The last fault: what the processor told. */
typedef struct {
    int vector;
    uint32_t error;
    uint64_t address;
} EmittedFault;
extern EmittedFault emitted_fault;

/* Whether emitted code is running; a helper that has raised ends it. */
bool emitted_running(void);
_Noreturn void emitted_raise(void);

#endif
