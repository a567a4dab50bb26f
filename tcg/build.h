/*
 * Building a region: one inline function per row of ops.def, made by tcg/gen-build.py.
 *
 *     IrRef f, v = ir_add(r, W32, ir_get(r, RAX), ir_imm(r, 0x10), &f);
 *     ir_set(r, RAX, v);
 *     ir_setf(r, f);
 *     v = ir_ld(r, W64, (IrAddr){ .base = v, .index = w, .scale = 2, .disp = 8 });
 *     ir_exit_cond(r, f, COND_Z, 0x401020, 1);     // pc, slot number
 *     ir_exit(r, 0x401006, 0);
 *
 * Order of parameters: region, width, address, arguments in the order of ops.def (set, setv and
 * sts: global or offset first), condition, block, imm, aux, aux2, then pointers to the
 * results after the first, which may be NULL: passing NULL for flags says that nobody reads them and
 * lets the builder fold more. An absent argument is IR_NONE.
 *
 * The functions fold constants and forward globals: ir_get after ir_set or ir_get of the same
 * global in the same block is no new instruction. What they return may therefore be any earlier
 * value or an inline constant, also for flags.
 *
 * What makes good code: `ld`, the operation and the `st` back to the same address in a row become one
 * instruction; so do `ld` and the operation after it. A value is computed in the home of the global
 * it is set into when nothing between could fault: so set early, and give a push its address by
 * displacement (st [rsp - 8], then lea, then set). A helper is `TcgHelper *` cast to uint64_t in ir_call's imm.
 *
 * A region that becomes too long sets r->overflow; the front end looks at that between
 * guest instructions and ends the region there. One guest instruction may take IR_HEADROOM ops.
 */
#ifndef TCG_BUILD_H
#define TCG_BUILD_H

#include "tcg/ir.h"

/* An address as memory ops take it; zero means absent, W64, MMU index 0. */
typedef struct {
    IrRef base, index;
    int64_t disp;
    uint8_t scale;   /* index << scale, 0 to 3 */
    uint8_t addr;    /* IrAddrWidth */
    uint8_t mmu;
    uint8_t flags;   /* IR_MEM_SIGNED ... */
} IrAddr;

/* Appends *in as the ops' functions do; out: results after the first, each may be NULL. */
IrRef ir_emit(IrRegion *r, IrInsn *in, IrRef *const out[2]);
IrRef ir_emit_pure(IrRegion *r, IrInsn *in, IrRef *const out[2]);
void ir_set_addr(IrRegion *r, IrInsn *in, IrAddr m, bool native);

/* The constant v. */
IrRef ir_imm(IrRegion *r, uint64_t v);

/* Whether ref is a constant; then *v is its value. */
bool ir_is_const(const IrRegion *r, IrRef ref, uint64_t *v);

/* A new label for br, brcond, brz and block. */
unsigned ir_new_block(IrRegion *r);

#include "tcg/build.gen.h"

#endif
