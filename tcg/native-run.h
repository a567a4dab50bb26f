/*
 * Running native ops for the interpreter: each is emitted alone and run on the host.
 *
 *     NativeRun *nr = native_run_new(&error_abort);
 *     IrInterp it = { ..., .native = native_run, .native_opaque = nr };
 *
 * MXCSR and the x87 registers are kept in between, as an emitted region would.
 */
#ifndef TCG_NATIVE_RUN_H
#define TCG_NATIVE_RUN_H

#include "tcg/interp.h"
#include "util/error.h"

typedef struct NativeRun NativeRun;

NativeRun *native_run_new(Error **errp);
void native_run_free(NativeRun *nr);

/* For IrInterp.native. A native op that the emitter refuses counts as a fault. */
bool native_run(IrInterp *it, const IrInsn *in, IrNativeIo *io);

/* MXCSR as the next op finds it. */
uint32_t native_run_mxcsr(const NativeRun *nr);
void native_run_set_mxcsr(NativeRun *nr, uint32_t v);

#endif
