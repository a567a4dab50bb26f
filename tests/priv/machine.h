/*
 * A bare machine for guests of tests: RAM at 0 and below 4 GiB, a port that ends the run and one that prints, one CPU of accel/tcg. A guest
 * starts at the reset vector, where a jump leads to its code at 0:8000h.
 *
 *     port F4h  write ends the run: the value is its result, 0 for success
 *     port E9h  write: a character of text
 *     port F5h  write of a request bit number: VCPU_REQ_* of the CPU itself (NMI, SMI, INIT, hard with vector in F6h)
 *     port F7h  write: INIT and a start-up interrupt for page `value` to the second CPU
 *     port F8h  write: hard interrupt `value` to the second CPU
 */
#ifndef TESTS_PRIV_MACHINE_H
#define TESTS_PRIV_MACHINE_H

#include "accel/accel.h"
#include "memory/memory.h"
#include "target/i386/cpu.h"

typedef struct BareMachine BareMachine;

enum { BARE_RAM = 4 << 20, BARE_START = 0x8000 };

BareMachine *bare_new(unsigned cpus);
void bare_free(BareMachine *);
uint8_t *bare_ram(BareMachine *);
X86Cpu *bare_cpu(BareMachine *, unsigned n);
Accel *bare_accel(BareMachine *);
/* Puts code at 0:8000h, resets and runs until port F4h is written or a triple fault (-1) or timeout_ms (-2). */
int bare_run(BareMachine *, const uint8_t *code, size_t size, int timeout_ms);
/* What the guest printed. */
const char *bare_text(BareMachine *);
/* A hard interrupt from outside. */
void bare_interrupt(BareMachine *, unsigned cpu, uint8_t vector);

#endif
