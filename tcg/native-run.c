/*
 * Native ops for the interpreter: see tcg/native-run.h.
 */
#include <asm/prctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tcg/build.h"
#include "tcg/internal.h"
#include "tcg/native-run.h"
#include "tcg/x86_64/native.h"

enum { AREA = 128 }; /* the largest image in the state that a native_x op works on */

typedef struct {
    uint8_t vec[4][64] __attribute__((aligned(64)));   /* three arguments and the result */
    uint8_t mem[64] __attribute__((aligned(64)));
    uint8_t area[AREA];
    uint64_t integer, result, mem_address, flags;
    uint8_t spill[TCG_SPILL_SLOTS][64] __attribute__((aligned(64)));
    TcgRuntime rt;
} NativeState;

/* The third vector is in xmm0, where legacy blends want their mask. */
enum { V0, V1, V2, VR, INTEGER, RESULT, MEM_ADDRESS };
static const TcgGlobal native_globals[] = {
    { "v0", offsetof(NativeState, vec[0]), 'v', 1 }, { "v1", offsetof(NativeState, vec[1]), 'v', 2 },
    { "v2", offsetof(NativeState, vec[2]), 'v', 0 }, { "vr", offsetof(NativeState, vec[3]), 'v', 3 },
    { "integer", offsetof(NativeState, integer), 'i', 1 }, { "result", offsetof(NativeState, result), 'i', 0 },
    { "mem", offsetof(NativeState, mem_address), 'i', 7 },
};
static const TcgGuest native_guest = {
    .name = "native", .globals = native_globals, .num_globals = 7, .state_size = sizeof(NativeState),
    .flags_offset = offsetof(NativeState, flags), .spill_offset = offsetof(NativeState, spill),
    .runtime_offset = offsetof(NativeState, rt), .page_bits = 12,
};

struct NativeRun {
    TcgCache *cache;
    TcgContext *ctx;
    NativeState *state;
    uint64_t serial;      /* each op run is a region of its own */
};

NativeRun *native_run_new(Error **errp)
{
    TcgConfig config = { .guest = &native_guest, .user = true, .code_size = 1 << 20 };
    NativeRun *nr = calloc(1, sizeof(*nr));

    if (!nr) {
        error_set(errp, "translator: no memory");
        return NULL;
    }
    nr->cache = tcg_cache_new(&config, errp);
    nr->ctx = nr->cache ? tcg_context_new(nr->cache, errp) : NULL;
    nr->state = nr->ctx ? tcg_state_new(nr->cache, errp) : NULL;
    if (!nr->state) {
        native_run_free(nr);
        return NULL;
    }
    return nr;
}

void native_run_free(NativeRun *nr)
{
    if (nr) {
        if (nr->cache) {
            tcg_state_free(nr->cache, nr->state);
        }
        tcg_context_free(nr->ctx);
        tcg_cache_free(nr->cache);
        free(nr);
    }
}

uint32_t native_run_mxcsr(const NativeRun *nr)
{
    return nr->state->rt.mxcsr;
}

void native_run_set_mxcsr(NativeRun *nr, uint32_t v)
{
    nr->state->rt.mxcsr = v;
}

/* The region: arguments from globals, the op, results to globals. */
static bool native_front_end(IrRegion *r, const TcgKey *key, TcgBuilt *built, void *opaque)
{
    const IrInsn *op = opaque;
    const IrOpDef *def = &ir_ops[op->op];
    IrWidth w = x86_has_avx() ? W256 : W128;
    IrRef flags = IR_NONE, *const out[2] = { &flags, NULL };
    IrInsn in = *op;
    unsigned vec = V0;
    IrRef v;

    built->guest_size = 1;
    ir_insn(r, key->pc, 0);
    for (unsigned n = 0; n < def->num_args; n++) {
        switch (def->args[n]) {
        case 'v':
            in.arg[n] = op->arg[n] == IR_NONE ? IR_NONE : ir_getv(r, w, vec);
            vec++;
            break;
        case 'i':
            in.arg[n] = ir_get(r, INTEGER);
            break;
        case 'B':
            in.arg[n] = ir_get(r, MEM_ADDRESS);
            break;
        case 'I':
            in.arg[n] = IR_NONE;
            break;
        }
    }
    if (def->flags & IR_T_ADDR) {
        in.arg[4] = 0;
        in.aux2 = 0;
        in.aux &= ~IR_MEM_SCALE;
    }
    if (op->op == IR_native_x) {
        in.arg[0] = offsetof(NativeState, area);
    }
    v = ir_emit(r, &in, out);
    if (def->num_results && def->results[0] == 'v') {
        ir_setv(r, w, VR, v, 0);
    } else if (op->op == IR_native_iv && native_form(op->imm) == NF_FLAGS) {
        ir_setf(r, flags);
    } else if (op->op == IR_native_iv) {
        ir_set(r, RESULT, v);
    }
    ir_leave(r, 0);
    return true;
}

bool native_run(IrInterp *it, const IrInsn *in, IrNativeIo *io)
{
    NativeRun *nr = it->native_opaque;
    NativeState *s = nr->state;
    TcgKey key = { .pc = nr->serial, .phys = nr->serial };
    unsigned long gs = 0;
    TcgTranslated t;
    TcgRegion *r;

    nr->serial++;
    t = tcg_translate(nr->ctx, &key, native_front_end, (void *)in, &r);
    if (t == TCG_FULL) {
        tcg_flush(nr->cache);
        t = tcg_translate(nr->ctx, &key, native_front_end, (void *)in, &r);
    }
    if (t != TCG_TRANSLATED) {
        return false;
    }
    memcpy(s->vec, io->vec, sizeof(io->vec));
    memcpy(s->mem, io->mem, sizeof(s->mem));
    s->mem_address = (uintptr_t)s->mem;
    s->integer = io->integer;
    if (in->op == IR_native_x) {
        memcpy(s->area, (uint8_t *)it->state + in->arg[0], AREA);
    }
    syscall(SYS_arch_prctl, ARCH_GET_GS, &gs);
    tcg_thread_attach(s);
    tcg_enter(nr->cache, s, r);
    syscall(SYS_arch_prctl, ARCH_SET_GS, gs);
    if (in->op == IR_native_x) {
        memcpy((uint8_t *)it->state + in->arg[0], s->area, AREA);
    }
    memcpy(io->result, s->vec[VR], 64);
    memcpy(io->mem, s->mem, sizeof(s->mem));
    io->int_result = s->result;
    io->flags_result = (uint32_t)s->flags;
    return true;
}
