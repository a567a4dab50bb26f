/*
 * The backward scan: last uses, dead ops, dead sets, which values may be computed
 * in the home of the global they are set into, who looks at the guest's flags.
 */
#include "tcg/x86_64/internal.h"
#include "tcg/x86_64/native.h"

typedef struct {
    X86Emit *e;
    uint32_t n;
    uint16_t barrier;     /* nearest op ahead at which homes must be right */
    uint16_t access;      /* nearest op ahead with an address, before anything that ends a window */
    uint16_t flags_seen;  /* last op ahead that may look at the guest's flags before the next setf */
    uint16_t next_set[TCG_MAX_GLOBALS], next_get[TCG_MAX_GLOBALS];
} Scan;

static void use(Scan *s, IrRef ref)
{
    if (ref != IR_NONE && !ir_is_inline(ref)) {
        Val *v = &s->e->val[ref];
        if (v->uses++ == 0) {
            v->last = (uint16_t)s->n;
        }
    }
}

static void use_flags(Scan *s, IrRef ref, uint32_t mask)
{
    if (mask) {
        use(s, ref);
        if (!ir_is_inline(ref)) {
            s->e->val[ref].flags |= mask;
        }
    }
}

/* Which flags of its flags argument an op reads, when `out` of its own flags are read. */
static uint32_t flags_read(const IrRegion *r, const IrInsn *in, uint32_t out)
{
    uint64_t c;

    switch (in->op) {
    case IR_adc:
    case IR_sbb:
    case IR_rmw_adc:
    case IR_rmw_sbb:
        return IR_C;
    case IR_inc:
    case IR_dec:
    case IR_rmw_inc:
    case IR_rmw_dec:
        return out & IR_C;
    case IR_rcl:
    case IR_rcr:
        return IR_C | (out & ~(IR_C | IR_O)) | (ir_is_const(r, in->arg[1], &c) ? 0 : out);
    case IR_rol:
    case IR_ror:
    case IR_shl:
    case IR_shr:
    case IR_sar:
    case IR_shld:
    case IR_shrd:
        if (ir_is_const(r, in->arg[in->op >= IR_shld ? 2 : 1], &c) && (c & (in->w == W64 ? 63 : 31))) {
            return in->op == IR_rol || in->op == IR_ror ? out & ~(uint32_t)(IR_C | IR_O) : 0;
        }
        return out;
    case IR_bt:
    case IR_bts:
    case IR_btr:
    case IR_btc:
    case IR_rmw_bts:
    case IR_rmw_btr:
    case IR_rmw_btc:
        return out & IR_Z;
    case IR_fnot:
        return out;
    case IR_fint:
        return IR_FLAGS;
    default:
        return ir_cond_reads(in->aux);
    }
}

static bool results_used(const X86Emit *e, uint32_t n, const IrOpDef *def)
{
    for (unsigned i = 0; i < def->num_results; i++) {
        const Val *v = &e->val[n << 2 | i];
        if (v->uses || v->flags) {
            return true;
        }
    }
    return false;
}

static bool removable(const IrInsn *in)
{
    return (ir_ops[in->op].flags & IR_T_PURE) || in->op == IR_const || in->op == IR_get ||
           in->op == IR_getv || in->op == IR_getf || in->op == IR_lds;
}

static void scan_set(Scan *s, const IrInsn *in)
{
    uint64_t g = in->imm;

    if (s->next_set[g] < s->barrier && s->next_set[g] < s->next_get[g] && in->op == IR_set) {
        s->e->skip[s->n] = true;
        return;
    }
    s->next_set[g] = (uint16_t)s->n;
    if (!ir_is_inline(in->arg[0])) {
        Val *v = &s->e->val[in->arg[0]];
        use(s, in->arg[0]);
        v->hint = in->op == IR_setv && in->w < W128 ? NO_GLOBAL : (uint8_t)g;
        v->hint_pos = (uint16_t)s->n;
    }
}

static void scan_setf(Scan *s, const IrInsn *in)
{
    s->e->observed[s->n] = s->flags_seen;
    if (s->flags_seen == 0) {
        s->e->skip[s->n] = true;
    } else if (!ir_is_inline(in->arg[0])) {
        Val *v = &s->e->val[in->arg[0]];
        v->flags = IR_FLAGS;
        v->uses++;
        v->last = v->last > s->flags_seen ? v->last : s->flags_seen;
    }
    s->flags_seen = 0;
}

/* A value made here may live in its hint's home when nobody can see the home before its set. */
static void settle_hints(Scan *s, const IrOpDef *def)
{
    for (unsigned i = 0; i < def->num_results; i++) {
        Val *v = &s->e->val[s->n << 2 | i];
        if (v->hint != NO_GLOBAL &&
            (s->next_set[v->hint] != v->hint_pos || s->barrier < v->hint_pos ||
             s->next_get[v->hint] < v->hint_pos)) {
            v->hint = NO_GLOBAL;
        }
    }
}

static void scan_args(Scan *s, const IrInsn *in)
{
    const IrOpDef *def = &ir_ops[in->op];
    uint32_t out = 0;

    for (unsigned i = 0; i < def->num_results; i++) {
        if (def->results[i] == 'f') {
            out = s->e->val[s->n << 2 | i].flags;
        }
    }
    for (unsigned i = 0; i < def->num_args; i++) {
        if (def->args[i] != 'f') {
            use(s, in->arg[i]);
        } else if (in->op == IR_fmerge) {
            use_flags(s, in->arg[i], out & (i ? (uint32_t)in->imm : ~(uint32_t)in->imm));
        } else {
            use_flags(s, in->arg[i], flags_read(s->e->ir, in, out) & IR_FLAGS);
        }
    }
}

static void scan_op(Scan *s, const IrInsn *in)
{
    const IrOpDef *def = &ir_ops[in->op];
    uint32_t t = ir_traits(in);
    bool jump = (t & IR_T_JUMP) || in->op == IR_block;

    if (jump || (t & IR_T_END) || (in->op == IR_call && ((const TcgHelper *)(uintptr_t)in->imm)->flags != TCG_CALL_PURE)) {
        s->access = 0;
    } else if (t & IR_T_ADDR) {
        s->e->next_access[s->n] = s->access;
        s->access = (uint16_t)s->n;
    }
    settle_hints(s, def);
    if ((t & (IR_T_FAULT | IR_T_GLOBALS | IR_T_EXIT)) || jump) {
        s->barrier = (uint16_t)s->n;
        s->flags_seen = s->flags_seen ? s->flags_seen : (uint16_t)s->n;
    }
    if (in->op == IR_call && (((const TcgHelper *)(uintptr_t)in->imm)->flags & TCG_CALL_FLAGS)) {
        s->flags_seen = s->flags_seen ? s->flags_seen : (uint16_t)s->n;
    }
    if (in->op == IR_block) {
        s->e->observed[s->n] = s->flags_seen;
        s->flags_seen = (uint16_t)s->n;
    } else if (in->op == IR_set || in->op == IR_setv) {
        scan_set(s, in);
        return;
    } else if (in->op == IR_setf) {
        scan_setf(s, in);
        return;
    } else if (in->op == IR_get || in->op == IR_getv) {
        s->next_get[in->imm] = (uint16_t)s->n;
    } else if (in->op == IR_getf && results_used(s->e, s->n, def) && s->flags_seen == 0) {
        s->flags_seen = (uint16_t)s->n;
    }
    if (removable(in) && !results_used(s->e, s->n, def)) {
        s->e->skip[s->n] = true;
        return;
    }
    scan_args(s, in);
}

static bool wide_vector(const IrInsn *in)
{
    bool native = in->op >= IR_native && in->op <= IR_native_iv;
    bool vector = native || in->op == IR_getv || in->op == IR_setv || in->op == IR_ldv || in->op == IR_stv;

    return vector && (in->w > W128 || (native && (in->imm & NATIVE_VEX)) || (in->op == IR_setv && in->aux));
}

#define FRESH { .hint = NO_GLOBAL, .reg = NO_REG, .spill = NO_SPILL, .global = NO_GLOBAL }

void x86_scan(X86Emit *e)
{
    const IrRegion *r = e->ir;
    Scan s = { .e = e, .barrier = NEVER };
    static const Val fresh[4] = { FRESH, FRESH, FRESH, FRESH };

    e->narrow = true;
    for (uint32_t n = 0; n < r->num_insns; n++) {
        memcpy(&e->val[4 * n], fresh, sizeof(fresh));
        e->narrow = e->narrow && !wide_vector(&r->insns[n]);
    }
    if (e->guest->narrow_vectors && !e->narrow) {
        x86_fail(e, TCG_EMIT_UNSUPPORTED, "a wide vector of a guest that has none");
    }
    memset(e->skip, 0, r->num_insns);
    memset(s.next_set, 0xff, sizeof(s.next_set[0]) * e->guest->num_globals);
    memset(s.next_get, 0xff, sizeof(s.next_get[0]) * e->guest->num_globals);
    for (s.n = r->num_insns - 1; ; s.n--) {
        scan_op(&s, &r->insns[s.n]);
        if (s.n == 0) {
            break;
        }
    }
}
