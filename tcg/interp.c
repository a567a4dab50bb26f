/*
 * The interpreter of the IR: see tcg/interp.h.
 */
#include <stdlib.h>
#include <string.h>

#include "tcg/eval.h"
#include "tcg/interp.h"

typedef struct {
    IrInterp *it;
    const IrRegion *r;
    uint64_t *val;          /* by IrRef; of flags also the undefined mask */
    uint8_t (*vec)[64];     /* by instruction: the one vector result */
    uint32_t blocks[IR_MAX_BLOCKS];
    uint32_t n;             /* the instruction being run */
    uint64_t guest_pc;
    uint32_t guest_word;
    bool stopped;
    IrStop stop;
} Run;

static uint8_t *slot(Run *run, uint64_t offset)
{
    return (uint8_t *)run->it->state + offset;
}

static uint64_t value(Run *run, IrRef ref)
{
    if (ref == IR_NONE) {
        return 0;
    }
    return ir_is_inline(ref) ? (uint64_t)ir_inline_value(ref) : run->val[ref];
}

static void stop_at(Run *run, IrStopReason reason, uint64_t pc, uint32_t n)
{
    run->stopped = true;
    run->stop = (IrStop){ .reason = reason, .pc = pc, .slot = n, .insn = run->n,
                          .word = run->guest_word };
}

static void fault(Run *run)
{
    stop_at(run, IR_STOP_FAULT, run->guest_pc, 0);
}

static uint64_t address(Run *run, const IrInsn *in)
{
    bool native = in->op >= IR_native_m && in->op <= IR_native_xm;
    bool no_index = in->op == IR_cmpxchg2;
    uint64_t disp = native ? (uint64_t)(int32_t)in->arg[4] : in->imm;
    uint64_t a = value(run, in->arg[0]) + disp;

    if (!no_index) {
        a += value(run, in->arg[1]) << (in->aux & IR_MEM_SCALE);
    }
    switch (in->aux2 >> IR_ADDR_SHIFT) {
    case IR_A32:
        return (uint32_t)a;
    case IR_A16:
        return (uint16_t)a;
    default:
        return a;
    }
}

static bool load(Run *run, const IrInsn *in, void *buf, unsigned size)
{
    uint64_t a = address(run, in);

    if (((in->aux & IR_MEM_ALIGNED) && (a & (size - 1))) ||
        !run->it->load(run->it, a, buf, size, in->aux2 & IR_MMU_MASK)) {
        fault(run);
        return false;
    }
    return true;
}

static bool store(Run *run, const IrInsn *in, const void *buf, unsigned size)
{
    uint64_t a = address(run, in);

    if (((in->aux & IR_MEM_ALIGNED) && (a & (size - 1))) ||
        !run->it->store(run->it, a, buf, size, in->aux2 & IR_MMU_MASK)) {
        fault(run);
        return false;
    }
    return true;
}

static uint64_t swap(IrWidth w, uint64_t v)
{
    return __builtin_bswap64(v) >> (64 - (8u << w));
}

static void do_ld(Run *run, const IrInsn *in)
{
    uint64_t v = 0;
    unsigned sh = 64 - (8u << in->w);

    if (load(run, in, &v, ir_width_bytes(in->w))) {
        v = in->aux & IR_MEM_SWAP ? swap(in->w, v) : v;
        run->val[run->n << 2] = in->aux & IR_MEM_SIGNED ? (uint64_t)((int64_t)(v << sh) >> sh) : v;
    }
}

static void do_st(Run *run, const IrInsn *in)
{
    uint64_t v = value(run, in->arg[2]);

    v = in->aux & IR_MEM_SWAP ? swap(in->w, v) : v;
    store(run, in, &v, ir_width_bytes(in->w));
}

/* The pure op whose arithmetic atomic op `op` does; IR_NUM_OPS for exchange. */
static IrOp rmw_pure(IrOp op)
{
    static const uint8_t pure[] = {
        [IR_rmw_add - IR_rmw_add] = IR_add, [IR_rmw_sub - IR_rmw_add] = IR_sub,
        [IR_rmw_and - IR_rmw_add] = IR_and, [IR_rmw_or - IR_rmw_add] = IR_or,
        [IR_rmw_xor - IR_rmw_add] = IR_xor, [IR_rmw_adc - IR_rmw_add] = IR_adc,
        [IR_rmw_sbb - IR_rmw_add] = IR_sbb, [IR_rmw_inc - IR_rmw_add] = IR_inc,
        [IR_rmw_dec - IR_rmw_add] = IR_dec, [IR_rmw_xchg - IR_rmw_add] = IR_NUM_OPS,
        [IR_rmw_neg - IR_rmw_add] = IR_neg, [IR_rmw_not - IR_rmw_add] = IR_not,
        [IR_rmw_bts - IR_rmw_add] = IR_bts, [IR_rmw_btr - IR_rmw_add] = IR_btr,
        [IR_rmw_btc - IR_rmw_add] = IR_btc,
    };

    return pure[op - IR_rmw_add];
}

static void do_rmw(Run *run, const IrInsn *in)
{
    uint64_t old = 0, new_value = value(run, in->arg[2]);
    IrOp op = rmw_pure(in->op);
    IrEval e;

    if (!load(run, in, &old, ir_width_bytes(in->w))) {
        return;
    }
    memset(&e, 0, sizeof(e));
    if (op != IR_NUM_OPS) {
        IrInsn pure = { .op = op, .w = in->w };
        uint64_t arg[4] = { old };
        for (unsigned n = 2; n < ir_ops[in->op].num_args; n++) {
            arg[n - 1] = value(run, in->arg[n]);
        }
        ir_eval(&pure, arg, &e);
        run->it->undefined_used |= e.undefined_used;
        new_value = e.res[0];
    }
    if (store(run, in, &new_value, ir_width_bytes(in->w))) {
        run->val[run->n << 2] = old;
        run->val[run->n << 2 | 1] = e.res[1];
    }
}

static void do_cmpxchg(Run *run, const IrInsn *in)
{
    IrInsn cmp = { .op = IR_cmp, .w = in->w };
    uint64_t arg[2] = { value(run, in->arg[2]) }, old = 0, new_value = value(run, in->arg[3]);
    unsigned size = ir_width_bytes(in->w);
    IrEval e;

    if (!load(run, in, &old, size)) {
        return;
    }
    arg[1] = old;
    ir_eval(&cmp, arg, &e);
    /* A failed exchange writes the old value back: it needs write permission all the same. */
    if (store(run, in, e.res[0] & IR_Z ? &new_value : &old, size)) {
        run->val[run->n << 2] = old;
        run->val[run->n << 2 | 1] = e.res[0];
    }
}

static void do_cmpxchg2(Run *run, const IrInsn *in)
{
    unsigned size = ir_width_bytes(in->w);
    uint8_t old[16] = { 0 }, want[16], put[16];
    uint64_t v[4], lo = 0, hi = 0;
    bool same;

    for (unsigned n = 0; n < 4; n++) {
        v[n] = value(run, in->arg[n + 1]);
    }
    memcpy(want, &v[0], size);
    memcpy(want + size, &v[1], size);
    memcpy(put, &v[2], size);
    memcpy(put + size, &v[3], size);
    if (!load(run, in, old, 2 * size)) {
        return;
    }
    same = memcmp(old, want, 2 * size) == 0;
    if (!store(run, in, same ? put : old, 2 * size)) {
        return;
    }
    memcpy(&lo, old, size);
    memcpy(&hi, old + size, size);
    run->val[run->n << 2] = lo;
    run->val[run->n << 2 | 1] = hi;
    run->val[run->n << 2 | 2] = (same ? IR_Z : 0) | (uint64_t)(IR_FLAGS & ~IR_Z) << IR_UNDEF_SHIFT;
}

static void vec_arg(Run *run, IrRef ref, uint8_t *out)
{
    if (ref != IR_NONE) {
        memcpy(out, run->vec[ref >> 2], 64);
    }
}

static void do_native(Run *run, const IrInsn *in)
{
    const IrOpDef *def = &ir_ops[in->op];
    bool x87 = in->op == IR_native_xm, x87_writes = x87 && (in->imm & TCG_NATIVE_WRITES);
    bool reads = (def->flags & IR_T_READ) && !x87_writes;
    bool writes = x87 ? x87_writes : def->flags & IR_T_WRITE;
    IrNativeIo io;
    unsigned nvec = 0;

    memset(&io, 0, sizeof(io));
    for (unsigned n = 0; n < def->num_args; n++) {
        if (def->args[n] == 'v') {
            vec_arg(run, in->arg[n], io.vec[nvec++]);
        } else if (def->args[n] == 'i') {
            io.integer = value(run, in->arg[n]);
        }
    }
    if (!run->it->native) {
        stop_at(run, IR_STOP_NO_NATIVE, run->guest_pc, 0);
        return;
    }
    if (reads && !load(run, in, io.mem, ir_width_bytes(in->w))) {
        return;
    }
    if (!run->it->native(run->it, in, &io)) {
        fault(run);
        return;
    }
    if (writes && !store(run, in, io.mem, ir_width_bytes(in->w))) {
        return;
    }
    memcpy(run->vec[run->n], io.result, 64);
    if (def->num_results && def->results[0] == 'i') {
        run->val[run->n << 2] = io.int_result;
        run->val[run->n << 2 | 1] = io.flags_result;
    }
}

static void do_call(Run *run, const IrInsn *in)
{
    const TcgHelper *h = (const TcgHelper *)(uintptr_t)in->imm;
    uint64_t (*fn)(void *, uint64_t, uint64_t, uint64_t, uint64_t) =
        (uint64_t(*)(void *, uint64_t, uint64_t, uint64_t, uint64_t))h->fn;

    if (h->flags & TCG_CALL_FLAGS) {
        run->it->undefined_used |= run->it->flags_undefined != 0;
        run->it->flags_undefined = 0;
    }
    run->it->raised = false;
    run->val[run->n << 2] = fn(run->it->state, value(run, in->arg[0]), value(run, in->arg[1]),
                               value(run, in->arg[2]), value(run, in->arg[3]));
    if (run->it->raised) {
        fault(run);
    }
}

static void do_vector_memory(Run *run, const IrInsn *in)
{
    if (in->op == IR_ldv) {
        memset(run->vec[run->n], 0, 64);
        load(run, in, run->vec[run->n], ir_width_bytes(in->w));
    } else {
        store(run, in, run->vec[in->arg[2] >> 2], ir_width_bytes(in->w));
    }
}

static void run_memory(Run *run, const IrInsn *in)
{
    switch (in->op) {
    case IR_ld:
        do_ld(run, in);
        break;
    case IR_st:
        do_st(run, in);
        break;
    case IR_ldv:
    case IR_stv:
        do_vector_memory(run, in);
        break;
    case IR_cmpxchg:
        do_cmpxchg(run, in);
        break;
    case IR_cmpxchg2:
        do_cmpxchg2(run, in);
        break;
    case IR_fence:
        __asm__ volatile("" : : : "memory"); /* one thread: only the compiler could reorder */
        break;
    default:
        if (in->op >= IR_native && in->op <= IR_native_xm) {
            do_native(run, in);
        } else {
            do_rmw(run, in);
        }
        break;
    }
}

static void run_global(Run *run, const IrInsn *in)
{
    const TcgGuest *g = run->r->guest;
    const TcgGlobal *gl = in->op >= IR_get && in->op <= IR_setv && in->imm < g->num_globals
                              ? &g->globals[in->imm] : NULL;
    uint64_t v = value(run, in->arg[0]);
    uint64_t f = 0;

    switch (in->op) {
    case IR_get:
        memcpy(&run->val[run->n << 2], slot(run, gl->offset), 8);
        break;
    case IR_set:
        memcpy(slot(run, gl->offset), &v, 8);
        break;
    case IR_getf:
        memcpy(&f, slot(run, g->flags_offset), 8);
        run->val[run->n << 2] = f | (uint64_t)run->it->flags_undefined << IR_UNDEF_SHIFT;
        break;
    case IR_setf:
        f = v & IR_FLAGS;
        memcpy(slot(run, g->flags_offset), &f, 8);
        run->it->flags_undefined = v >> IR_UNDEF_SHIFT & IR_FLAGS;
        break;
    case IR_getv:
        memset(run->vec[run->n], 0, 64);
        memcpy(run->vec[run->n], slot(run, gl->offset), ir_width_bytes(in->w));
        break;
    case IR_setv:
        if (in->aux) {
            memset(slot(run, gl->offset), 0, 64);
        }
        memcpy(slot(run, gl->offset), run->vec[in->arg[0] >> 2], ir_width_bytes(in->w));
        break;
    case IR_lds:
        run->val[run->n << 2] = 0;
        memcpy(&run->val[run->n << 2], slot(run, in->imm), ir_width_bytes(in->w));
        break;
    case IR_sts:
        memcpy(slot(run, in->imm), &v, ir_width_bytes(in->w));
        break;
    default: /* const */
        run->val[run->n << 2] = in->imm;
        break;
    }
}

static void run_pure(Run *run, const IrInsn *in)
{
    uint64_t arg[IR_MAX_ARGS] = { 0 };
    bool divide = in->op == IR_udiv2 || in->op == IR_sdiv2;
    IrEval e;

    for (unsigned n = 0; n < ir_ops[in->op].num_args; n++) {
        arg[n] = value(run, in->arg[n]);
    }
    if (divide) {
        memset(&e, 0, sizeof(e));
        if (!ir_eval_divide(in, arg, &e)) {
            stop_at(run, IR_STOP_DIVIDE, run->guest_pc, 0);
            return;
        }
    } else {
        ir_eval(in, arg, &e);
    }
    run->it->undefined_used |= e.undefined_used;
    for (unsigned n = 0; n < ir_ops[in->op].num_results; n++) {
        run->val[run->n << 2 | n] = e.res[n];
    }
}

static bool holds(Run *run, const IrInsn *in)
{
    uint64_t f = value(run, in->arg[0]);

    run->it->undefined_used |= (f >> IR_UNDEF_SHIFT & ir_cond_reads(in->aux)) != 0;
    return ir_cond_holds(in->aux, (uint32_t)f & IR_FLAGS);
}

/* Returns the index of the next instruction. */
static uint32_t run_control(Run *run, const IrInsn *in)
{
    uint64_t v = value(run, in->op == IR_insn ? IR_NONE : in->arg[0]);
    unsigned sh = 64 - (8u << in->w);

    switch (in->op) {
    case IR_insn:
        run->guest_pc = in->imm;
        run->guest_word = in->arg[0];
        run->it->guest_pc = in->imm;
        run->it->guest_word = in->arg[0];
        break;
    case IR_br:
        return run->blocks[in->imm];
    case IR_brcond:
        return holds(run, in) ? run->blocks[in->imm] : run->n + 1;
    case IR_brz:
        return ((v << sh) == 0) != in->aux ? run->blocks[in->imm] : run->n + 1;
    case IR_poll:
        if (run->it->attention) {
            stop_at(run, IR_STOP_POLL, run->guest_pc, 0);
        }
        break;
    case IR_icount:
        if (run->it->budget < (int64_t)in->imm) {
            stop_at(run, IR_STOP_ICOUNT, run->guest_pc, 0);
        } else {
            run->it->budget -= (int64_t)in->imm;
        }
        break;
    case IR_exit_cond:
        if (holds(run, in)) {
            stop_at(run, IR_STOP_EXIT, in->imm, in->aux2);
        }
        break;
    case IR_exit:
        stop_at(run, IR_STOP_EXIT, in->imm, in->aux);
        break;
    case IR_exit_ind:
        stop_at(run, IR_STOP_EXIT_IND, v, in->aux);
        break;
    case IR_leave:
        stop_at(run, IR_STOP_LEAVE, run->guest_pc, (uint32_t)in->imm);
        break;
    case IR_call:
        do_call(run, in);
        break;
    }
    return run->n + 1;
}

static void step(Run *run)
{
    const IrInsn *in = &run->r->insns[run->n];

    if (in->op <= IR_sts) {
        run_global(run, in);
    } else if (in->op >= IR_call) {
        run->n = run_control(run, in);
        return;
    } else if (in->op >= IR_ld) {
        run_memory(run, in);
    } else {
        run_pure(run, in);
    }
    run->n++;
}

static void reserve(IrInterp *it, size_t size)
{
    if (size > it->memory_size) {
        free(it->memory);
        it->memory = malloc(size);
        it->memory_size = size;
        if (!it->memory) {
            abort(); /* out of memory for one region */
        }
    }
}

IrStop ir_interp(IrInterp *it, const IrRegion *r)
{
    Run run = { .it = it, .r = r };
    uint64_t steps = 0;

    reserve(it, r->num_insns * (4 * sizeof(run.val[0]) + sizeof(run.vec[0])));
    run.vec = it->memory;
    run.val = (uint64_t *)(run.vec + r->num_insns);
    for (uint32_t n = 0; n < r->num_insns; n++) {
        if (r->insns[n].op == IR_block) {
            run.blocks[r->insns[n].imm] = n;
        }
    }
    while (!run.stopped) {
        if (it->max_steps && steps++ == it->max_steps) {
            stop_at(&run, IR_STOP_BUDGET, run.guest_pc, 0);
            break;
        }
        step(&run);
    }
    return run.stop;
}

void ir_interp_finish(IrInterp *it)
{
    free(it->memory);
    it->memory = NULL;
    it->memory_size = 0;
}
