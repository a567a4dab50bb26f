/*
 * The builder: appending, constant folding, forwarding of globals. See tcg/build.h.
 * Linear and without memory beyond IrRegion: tier 1 passes here for each op.
 */
#include <string.h>

#include "tcg/build.h"
#include "tcg/eval.h"

static IrRef append(IrRegion *r, const IrInsn *in)
{
    uint32_t n = r->num_insns;

    if (n + IR_HEADROOM >= r->max_insns) {
        r->overflow = true;
        if (n == r->max_insns) {
            return n - 1; /* the verifier refuses the region: it does not end */
        }
    }
    r->insns[n] = *in;
    r->num_insns = n + 1;
    return n << 2;
}

static void forget_globals(IrRegion *r)
{
    memset(r->cur, 0, r->guest->num_globals * sizeof(r->cur[0]));
    r->cur_flags = IR_NONE;
}

IrRef ir_imm(IrRegion *r, uint64_t v)
{
    IrInsn in = { .op = IR_const, .imm = v };

    return ir_fits_inline((int64_t)v) ? ir_inline((int64_t)v) : append(r, &in);
}

bool ir_is_const(const IrRegion *r, IrRef ref, uint64_t *v)
{
    if (ir_is_inline(ref)) {
        *v = (uint64_t)ir_inline_value(ref);
        return true;
    }
    if (ref != IR_NONE && ir_def(r, ref)->op == IR_const) {
        *v = ir_def(r, ref)->imm;
        return true;
    }
    return false;
}

unsigned ir_new_block(IrRegion *r)
{
    return r->num_blocks++;
}

void ir_set_addr(IrRegion *r, IrInsn *in, IrAddr m, bool native)
{
    uint64_t v;

    if (ir_is_const(r, m.base, &v)) {
        m.disp += (int64_t)v;
        m.base = IR_NONE;
    }
    if (ir_is_const(r, m.index, &v)) {
        m.disp += (int64_t)(v << m.scale);
        m.index = IR_NONE;
        m.scale = 0;
    }
    if (native && m.disp != (int32_t)m.disp) {
        m.base = ir_lea(r, W64, m.base, IR_NONE, (uint64_t)m.disp, 0);
        m.disp = 0;
    }
    if (in->op == IR_cmpxchg2 && (m.index != IR_NONE)) {
        m.base = ir_lea(r, W64, m.base, m.index, 0, m.scale);
        m.index = IR_NONE;
    }
    in->arg[0] = m.base;
    if (in->op != IR_cmpxchg2) {
        in->arg[1] = m.index;
    }
    if (native) {
        in->arg[4] = (uint32_t)m.disp;
    } else {
        in->imm = (uint64_t)m.disp;
    }
    in->aux = m.scale | m.flags;
    in->aux2 = m.mmu | m.addr << IR_ADDR_SHIFT;
}

static void give(IrRef *const out[2], unsigned n, IrRef v)
{
    if (out && out[n - 1]) {
        *out[n - 1] = v;
    }
}

static IrRef emit_get(IrRegion *r, const IrInsn *in)
{
    IrRef *cur = in->op == IR_getf ? &r->cur_flags : &r->cur[in->imm];

    if (*cur == IR_NONE || (in->op == IR_getv && r->cur_width[in->imm] != in->w)) {
        *cur = append(r, in);
        if (in->op == IR_getv) {
            r->cur_width[in->imm] = in->w;
        }
    }
    return *cur;
}

static void emit_set(IrRegion *r, const IrInsn *in)
{
    if (in->op == IR_setf) {
        if (r->cur_flags == in->arg[0]) {
            return;
        }
        r->cur_flags = in->arg[0];
    } else if (in->op == IR_set) {
        if (r->cur[in->imm] == in->arg[0]) {
            return;
        }
        r->cur[in->imm] = in->arg[0];
    } else {
        /* The value's own width may be less than W: only a get of the same width sees it. */
        r->cur[in->imm] = in->arg[0];
        r->cur_width[in->imm] = in->w;
    }
    append(r, in);
}

IrRef ir_emit(IrRegion *r, IrInsn *in, IrRef *const out[2])
{
    IrRef v;

    switch (in->op) {
    case IR_const:
        return ir_imm(r, in->imm);
    case IR_get:
    case IR_getf:
    case IR_getv:
        return emit_get(r, in);
    case IR_set:
    case IR_setf:
    case IR_setv:
        emit_set(r, in);
        return IR_NONE;
    case IR_block:
        forget_globals(r);
        break;
    case IR_call: {
        const TcgHelper *h = (const TcgHelper *)(uintptr_t)in->imm;
        if (h->flags & (TCG_CALL_WRITES | TCG_CALL_VECTORS | TCG_CALL_FLAGS)) {
            forget_globals(r);
        }
        break;
    }
    }
    v = append(r, in);
    for (unsigned n = 1; n < ir_ops[in->op].num_results; n++) {
        give(out, n, ir_result(v, n));
    }
    return v;
}

/* Whether an op of this width leaves bits 63:32 clear, as all do but those that say otherwise in ops.def. */
static bool clears_upper_half(const IrInsn *d)
{
    return d->w == W32 && (ir_ops[d->op].flags & IR_T_WIDTH) && (ir_ops[d->op].flags & IR_T_PURE) &&
           d->op != IR_sext && d->op != IR_bsf && d->op != IR_bsr;
}

/* Ops of one result that are one of their arguments, or a cheaper op. Returns IR_NONE if not. */
static IrRef simplify(IrRegion *r, IrInsn *in)
{
    uint64_t v;

    switch (in->op) {
    case IR_mov:
        if (in->w == W64) {
            return in->arg[1];
        }
        return in->w == W32 ? ir_zext(r, W32, in->arg[1]) : IR_NONE;
    case IR_zext:
    case IR_sext:
        if (in->w == W64) {
            return in->arg[0];
        }
        if (in->op == IR_zext && !ir_is_inline(in->arg[0])) {
            const IrInsn *d = ir_def(r, in->arg[0]);
            bool clear = d->op == IR_zext || (d->op == IR_ld && !(d->aux & IR_MEM_SIGNED)) ||
                         d->op == IR_lds;
            return (clear && d->w <= in->w) || (in->w == W32 && clears_upper_half(d)) ? in->arg[0] : IR_NONE;
        }
        return IR_NONE;
    case IR_extract:
        if ((in->imm & 0xff) == 0) {
            switch (in->imm >> 8) {
            case 8:
                return ir_zext(r, W8, in->arg[0]);
            case 16:
                return ir_zext(r, W16, in->arg[0]);
            case 32:
                return ir_zext(r, W32, in->arg[0]);
            case 64:
                return in->arg[0];
            }
        }
        return IR_NONE;
    case IR_deposit:
        if (in->imm == 8 << 8 || in->imm == 16 << 8) {
            return ir_mov(r, in->imm == 8 << 8 ? W8 : W16, in->arg[0], in->arg[1]);
        }
        return in->imm == 64 << 8 ? in->arg[1] : IR_NONE;
    case IR_lea:
        if (ir_is_const(r, in->arg[1], &v)) {
            in->imm += v << in->aux;
            in->arg[1] = IR_NONE;
            in->aux = 0;
        }
        if (ir_is_const(r, in->arg[0], &v)) {
            in->imm += v;
            in->arg[0] = IR_NONE;
        }
        if (in->arg[0] == IR_NONE && in->arg[1] != IR_NONE && in->aux == 0) {
            in->arg[0] = in->arg[1];
            in->arg[1] = IR_NONE;
        }
        if (in->imm == 0 && in->arg[0] != IR_NONE && in->arg[1] == IR_NONE) {
            return ir_zext(r, in->w, in->arg[0]);
        }
        return IR_NONE;
    case IR_xor:
        if (in->arg[0] == in->arg[1]) {
            return in->w >= W32 ? ir_inline(0) : ir_mov(r, in->w, in->arg[0], ir_inline(0));
        }
        return IR_NONE;
    case IR_select:
        return in->arg[0] == in->arg[1] && in->w == W64 ? in->arg[0] : IR_NONE;
    case IR_fmerge:
        if (in->arg[0] == in->arg[1] || (in->imm & IR_FLAGS) == 0) {
            return in->arg[0];
        }
        return (in->imm & IR_FLAGS) == IR_FLAGS ? in->arg[1] : IR_NONE;
    }
    return IR_NONE;
}

/* Which argument an op with flags passes through when the count or mask says so. */
static void commute(IrInsn *in, const IrRegion *r)
{
    uint64_t v;

    switch (in->op) {
    case IR_add:
    case IR_adc:
    case IR_and:
    case IR_or:
    case IR_xor:
    case IR_mul:
    case IR_test:
        /* W8 and W16 keep the upper part of argument 0: not commutative. */
        if ((in->w >= W32 || in->op == IR_test) && ir_is_const(r, in->arg[0], &v)) {
            IrRef t = in->arg[0];
            in->arg[0] = in->arg[1];
            in->arg[1] = t;
        }
        break;
    }
}

static bool fold(IrRegion *r, const IrInsn *in, IrRef *first, IrRef *const out[2])
{
    const IrOpDef *def = &ir_ops[in->op];
    uint64_t args[IR_MAX_ARGS] = { 0 };
    IrEval e;

    for (unsigned n = 0; n < def->num_args; n++) {
        if (in->arg[n] != IR_NONE && !ir_is_const(r, in->arg[n], &args[n])) {
            return false;
        }
        if (def->args[n] == 'f') {
            args[n] &= IR_FLAGS;
        }
    }
    ir_eval(in, args, &e);
    for (unsigned n = 0; n < def->num_results; n++) {
        if (def->results[n] == 'f') {
            e.res[n] &= IR_FLAGS; /* undefined ones are what they came out as */
        }
    }
    *first = ir_imm(r, e.res[0]);
    for (unsigned n = 1; n < def->num_results; n++) {
        if (out && out[n - 1]) {
            *out[n - 1] = ir_imm(r, e.res[n]);
        }
    }
    return true;
}

/* Without flags, cheaper forms; the flags of xor x,x are constant. */
static bool simplify_with_flags(IrRegion *r, IrInsn *in, IrRef *first, IrRef *const out[2])
{
    bool flags = out && out[0];
    uint64_t c;

    if (in->op == IR_xor && in->arg[0] == in->arg[1]) {
        *first = simplify(r, in);
        give(out, 1, ir_inline(IR_Z | IR_P));
        return true;
    }
    if (flags) {
        return false;
    }
    switch (in->op) {
    case IR_add:
    case IR_sub:
        if (in->w >= W32 && ir_is_const(r, in->arg[1], &c)) {
            *first = ir_lea(r, in->w, in->arg[0], IR_NONE, in->op == IR_add ? c : -c, 0);
            return true;
        }
        break;
    case IR_shl:
    case IR_shr:
    case IR_sar:
    case IR_rol:
    case IR_ror:
        if (ir_is_const(r, in->arg[1], &c) && (c & (in->w == W64 ? 63 : 31)) == 0) {
            *first = in->w == W32 ? ir_zext(r, W32, in->arg[0]) : in->arg[0];
            return true;
        }
        break;
    }
    return false;
}

IrRef ir_emit_pure(IrRegion *r, IrInsn *in, IrRef *const out[2])
{
    const IrOpDef *def = &ir_ops[in->op];
    IrRef v;

    commute(in, r);
    if (fold(r, in, &v, out)) {
        return v;
    }
    if (def->num_results == 1) {
        v = simplify(r, in);
        if (v != IR_NONE) {
            return v;
        }
    } else if (def->num_results == 2 && simplify_with_flags(r, in, &v, out)) {
        return v;
    }
    v = append(r, in);
    for (unsigned n = 1; n < def->num_results; n++) {
        give(out, n, ir_result(v, n));
    }
    return v;
}
