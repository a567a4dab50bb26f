/*
 * The text form of a region: one instruction a line. Used by -d op, by tests and to write regions
 * by hand. Manual: docs/translator.md, section 1.
 *
 *     v1 = get rax
 *     v2, f2 = add.w32 v1, 0x10
 *     set rax, v2
 *     v3 = ld.w64 [v1 + v2*4 + 0x8], mmu=1, a32, signed
 *     exit_cond.z f2, 0x401020, slot=1
 *
 * A value is a letter of its type and the number of its instruction, of a third
 * result with ' after it: v1 f1 h1 (second integer) x1 (vector). Reading accepts any numbers
 * that were defined before; an absent argument is `-`. Comments start with #.
 */
#ifndef TCG_TEXT_H
#define TCG_TEXT_H

#include <stdio.h>

#include "tcg/ir.h"

/* Prints one instruction with a newline. */
void ir_print_insn(FILE *f, const IrRegion *r, uint32_t n);
void ir_print(FILE *f, const IrRegion *r);

/* Resolves a call's name when reading; NULL: unknown. */
typedef const TcgHelper *(*IrFindHelper)(const char *name, size_t len);

/*
 * Reads text into r after resetting it. On failure returns false and *line (from 1)
 * and *error (static text) say why. Does not verify.
 */
bool ir_parse(IrRegion *r, const char *text, IrFindHelper find, unsigned *line, const char **error);

#endif
