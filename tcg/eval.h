/*
 * What the pure ops compute (trait F) and the arithmetic of the atomic ones: the meaning
 * of ops.def in C. The builder folds with it, the interpreter runs it, and tests hold it
 * against the host CPU.
 *
 * A flags value is its IR_FLAGS bits, and the same bits << IR_UNDEF_SHIFT for flags that the
 * manual leaves undefined; what the bits of undefined flags are is then not said.
 */
#ifndef TCG_EVAL_H
#define TCG_EVAL_H

#include "tcg/ir.h"

enum { IR_UNDEF_SHIFT = 16 };

typedef struct {
    uint64_t res[IR_MAX_RESULTS];
    bool undefined_used; /* an undefined flag went into an integer or a decision */
} IrEval;

/* Computes pure op in of these argument values. */
void ir_eval(const IrInsn *in, const uint64_t *arg, IrEval *e);

/* udiv2 and sdiv2; returns false on a divide error. */
bool ir_eval_divide(const IrInsn *in, const uint64_t *arg, IrEval *e);

/* Whether flags (bits only) satisfy cond; ir_cond_reads: the flags it looks at. */
bool ir_cond_holds(IrCond cond, uint32_t flags);
uint32_t ir_cond_reads(IrCond cond);

#endif
