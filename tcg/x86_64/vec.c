/*
 * Vector globals and the native ops: host instructions of the front end's choice
 * with registers filled in (native.h).
 */
#include "tcg/x86_64/internal.h"
#include "tcg/x86_64/native.h"

static bool have_avx(void)
{
    return x86_host_features() & HOST_AVX;
}

/* A whole register, as wide as the host's state that is kept. */
void x86_vec_move(X86Emit *e, unsigned dst, unsigned src)
{
    if (dst == src) {
        return;
    }
    if (have_avx()) {
        x86_vex_rr(&e->a, 0x28 | X_0F | X_L, dst & 15, NO_REG, src & 15);
    } else {
        x86_rr(&e->a, 0x28 | X_0F, W32, dst & 15, src & 15);
    }
}

/* dst's low W from src; what is above stays (aux 0) or is cleared. */
static void merge_vec(X86Emit *e, const IrInsn *in, unsigned dst, unsigned src)
{
    Asm *a = &e->a;

    dst &= 15;
    src &= 15;
    if (in->aux) {
        /* VEX moves clear what is above; of less than 16 bytes by way of the legacy move. */
        if (in->w == W256) {
            x86_vex_rr(a, 0x28 | X_0F | X_L, dst, NO_REG, src);
        } else if (in->w == W128 && have_avx()) {
            x86_vex_rr(a, 0x28 | X_0F, dst, NO_REG, src);
        } else if (in->w == W64) {
            if (have_avx()) {
                x86_vex_rr(a, 0x7e | X_0F | X_F3, dst, NO_REG, src);
            } else {
                x86_rr(a, 0x7e | X_0F | X_F3, W32, dst, src);
            }
        } else if (in->w == W128) {
            x86_rr(a, 0x28 | X_0F, W32, dst, src);
        } else {
            x86_unsupported(e, in);
        }
        return;
    }
    switch (in->w) {
    case W32: /* movss, movsd between registers merge */
        x86_rr(a, 0x10 | X_0F | X_F3, W32, dst, src);
        break;
    case W64:
        x86_rr(a, 0x10 | X_0F | X_F2, W32, dst, src);
        break;
    case W128:
        x86_rr(a, 0x28 | X_0F, W32, dst, src);
        break;
    default:
        x86_vex_rr(a, 0x28 | X_0F | X_L, dst, NO_REG, src);
        break;
    }
}

/* Into a global that lives in its slot: the bytes themselves, zeroes above. */
static void set_vec_slot(X86Emit *e, const IrInsn *in, unsigned src)
{
    const TcgGlobal *g = &e->guest->globals[in->imm];
    X86Mem m = x86_state(g->offset);
    unsigned done = ir_width_bytes(in->w);

    switch (in->w) {
    case W32:
        x86_rm(&e->a, 0x11 | X_0F | X_F3, W32, src & 15, &m);
        break;
    case W64:
        x86_rm(&e->a, 0xd6 | X_0F | X_66, W32, src & 15, &m);
        break;
    case W128:
        x86_rm(&e->a, 0x11 | X_0F, W32, src & 15, &m);
        break;
    default:
        x86_vex_rm(&e->a, 0x11 | X_0F | X_L, src & 15, NO_REG, &m);
        break;
    }
    for (; in->aux && done < 64; done += done < 8 ? 4 : 8) {
        m = x86_state(g->offset + done);
        x86_rm(&e->a, 0xc7, done < 8 ? W32 : W64, 0, &m);
        x86_i32(&e->a, 0);
    }
}

void x86_set_vector(X86Emit *e, const IrInsn *in)
{
    unsigned h = e->home[in->imm], src;
    IrRef ref = in->arg[0];

    if (in->w > W256 || (in->w == W256 && !have_avx())) {
        x86_unsupported(e, in);
        return;
    }
    if (h != NO_REG && e->reg_val[h] == ref && (!in->aux || x86_clears_rest(e, ref, in->w))) {
        return; /* it is there already */
    }
    src = x86_load_vec(e, ref);
    if (h == NO_REG) {
        IrRef held = e->slot_val[in->imm];
        if (held != IR_NONE && e->val[held].global == in->imm) {
            if (x86_live_after(e, held) && e->val[held].reg == NO_REG) {
                x86_load_vec(e, held);
            }
            e->val[held].global = NO_GLOBAL;
        }
        e->slot_val[in->imm] = IR_NONE;
        set_vec_slot(e, in, src);
        return;
    }
    x86_lose_reg(e, h);
    merge_vec(e, in, h, src);
    /* Only a whole copy is the same value for every later use. */
    e->reg_val[h] = e->narrow && in->w == W128 ? ref : IR_NONE;
}

static uint32_t opcode_of(TcgNative t)
{
    static const uint32_t maps[] = { 0, X_0F, X_0F38, X_0F3A };

    return native_opcode(t) | maps[native_map(t)] | (uint32_t)native_pp(t) << 12 |
           (t & NATIVE_W ? X_W : 0) | (t & NATIVE_VEX_L ? X_L : 0);
}

static void tail(X86Emit *e, TcgNative t, unsigned is4)
{
    if (native_form(t) == NF_RVM4) {
        x86_byte(&e->a, (is4 & 15) << 4);
    } else if (t & NATIVE_HAS_IMM8) {
        x86_byte(&e->a, native_imm8(t));
    }
}

static void ins_rr(X86Emit *e, TcgNative t, unsigned reg, unsigned vvvv, unsigned rm)
{
    uint32_t op = opcode_of(t);

    if (t & NATIVE_VEX) {
        x86_vex_rr(&e->a, op, reg & 15, vvvv == NO_REG ? NO_REG : vvvv & 15, rm & 15);
    } else {
        x86_rr(&e->a, op, t & NATIVE_W ? W64 : W32, reg & 15, rm & 15);
    }
}

static void ins_rm(X86Emit *e, TcgNative t, unsigned reg, unsigned vvvv, const X86Mem *m)
{
    uint32_t op = opcode_of(t);

    if (t & NATIVE_VEX) {
        x86_vex_rm(&e->a, op, reg & 15, vvvv == NO_REG ? NO_REG : vvvv & 15, m);
    } else {
        x86_rm(&e->a, op, t & NATIVE_W ? W64 : W32, reg & 15, m);
    }
}

static bool refused(X86Emit *e, const IrInsn *in)
{
    bool vex = in->imm & NATIVE_VEX;

    if ((vex && !have_avx()) || in->w > W256) {
        x86_unsupported(e, in);
        return true;
    }
    return false;
}

/* A destination that is only written: a source's register will do when the source is not wanted after. */
static unsigned untied_dst(X86Emit *e, const IrInsn *in)
{
    uint32_t unlocked = e->scratch & 0xffff0000u & ~e->locked;
    IrRef backed = IR_NONE;
    X86Mem m;

    for (unsigned n = 0; n < ir_ops[in->op].num_args; n++) {
        IrRef ref = in->arg[n];
        if (ir_ops[in->op].args[n] != 'v' || ref == IR_NONE || e->val[ref].reg == NO_REG ||
            !(e->scratch >> e->val[ref].reg & 1)) {
            continue;
        }
        if (!x86_live_after(e, ref)) {
            return x86_dst(e, e->n << 2, ref, true);
        }
        backed = x86_in_memory(e, ref, &m) ? ref : backed;
    }
    if (!unlocked && backed != IR_NONE) {
        unsigned reg = e->val[backed].reg;
        x86_lose_reg(e, reg);
        return reg;
    }
    return x86_dst(e, e->n << 2, IR_NONE, true);
}

/*
 * The result's register, with the old destination in it when there is one. It must not be one
 * of the sources `avoid` unless that is the old destination itself. early: the op may fault after the
 * copy, so a home that is not yet the old destination will not do.
 */
static unsigned vec_dst(X86Emit *e, IrRef old, IrRef avoid0, IrRef avoid1, bool early)
{
    unsigned dst, ro = NO_REG;

    if (old == IR_NONE) {
        return untied_dst(e, ir_def(e->ir, e->n << 2));
    }
    if (e->val[old].reg != NO_REG) {
        ro = x86_load_vec(e, old);
        if ((e->scratch >> ro & 1) && x86_live_after(e, old) && !(e->scratch & 0xffff0000u & ~e->locked)) {
            /* No register for a copy: the value goes on in memory. */
            x86_spill(e, old, true);
            x86_lose_reg(e, ro);
            return ro;
        }
    }
    dst = x86_dst(e, e->n << 2, old, true);
    if (e->reg_val[dst] == old) {
        return dst;
    }
    if ((avoid0 && e->val[avoid0].reg == dst) || (avoid1 && e->val[avoid1].reg == dst) ||
        (early && !(e->scratch >> dst & 1))) {
        dst = x86_alloc(e, true);
    }
    if (ro == NO_REG) {
        x86_load_vec_into(e, dst, old, ir_def(e->ir, e->n << 2)->imm & NATIVE_VEX);
        return dst;
    }
    if (ir_def(e->ir, e->n << 2)->imm & NATIVE_VEX) {
        x86_vec_move(e, dst, ro);
    } else {
        x86_rr(&e->a, 0x28 | X_0F, W32, dst & 15, ro & 15); /* a home keeps what is above */
    }
    return dst;
}

static void fault_point(X86Emit *e, TcgNative t)
{
    if (t & TCG_NATIVE_FAULTS) {
        x86_flags_for_fault(e);
        x86_map_fault(e);
    }
}

/* reg, vvvv and a vector argument in a register or its own slot. */
static void ins_operand(X86Emit *e, TcgNative t, unsigned reg, unsigned vvvv, const Opnd *o)
{
    if (o->kind == K_REG) {
        ins_rr(e, t, reg, vvvv, o->reg);
    } else {
        ins_rm(e, t, reg, vvvv, &o->mem);
    }
}

/* A source in the rm field: memory when it is in no register, which keeps scratch registers free. */
static Opnd vec_operand(X86Emit *e, TcgNative t, IrRef ref)
{
    Opnd o = { .kind = K_MEM };

    if (!(t & NATIVE_REGS) && e->val[ref].reg == NO_REG && x86_in_memory(e, ref, &o.mem)) {
        return o;
    }
    o.kind = K_REG;
    o.reg = (uint8_t)x86_load_vec(e, ref);
    return o;
}

/* The whole of a register to or from a temporary. */
static void vec_memory(X86Emit *e, bool store, unsigned reg, const X86Mem *m)
{
    uint32_t op = (store ? 0x11 : 0x10) | X_0F;

    if (have_avx()) {
        x86_vex_rm(&e->a, op | (e->guest->narrow_vectors ? 0 : X_L), reg & 15, NO_REG, m);
    } else {
        x86_rm(&e->a, op, W32, reg & 15, m);
    }
}

/*
 * dst := the blend of dst and *src by mask, which the instruction wants in xmm0 (NF_RM0). When it is not
 * there, xmm0 waits in memory meanwhile. src is memory, so that two scratch registers are enough.
 */
static void blend_by_xmm0(X86Emit *e, TcgNative t, unsigned dst, const X86Mem *src, IrRef mask)
{
    unsigned m = e->val[mask].reg, to = dst;
    X86Mem kept;

    if (m == XMM0 && dst != XMM0) {
        ins_rm(e, t, dst, NO_REG, src);
        return;
    }
    kept = x86_temporary(e, 1);
    vec_memory(e, true, XMM0, &kept);
    if (dst == XMM0) {
        to = x86_alloc(e, true);
        x86_rr(&e->a, 0x28 | X_0F, W32, to & 15, 0);
    }
    if (m == NO_REG) {
        x86_load_vec_into(e, XMM0, mask, false);
    } else if (m != XMM0) {
        x86_rr(&e->a, 0x28 | X_0F, W32, 0, m & 15);
    }
    ins_rm(e, t, to, NO_REG, src);
    vec_memory(e, false, XMM0, &kept);
    if (dst == XMM0) {
        x86_rr(&e->a, 0x28 | X_0F, W32, 0, to & 15);
    }
}

/* A mask in a scratch register has memory too, so that its register may be taken. */
static void mask_may_move(X86Emit *e, IrRef mask)
{
    unsigned reg = e->val[mask].reg;

    if (reg != NO_REG && (e->scratch >> reg & 1)) {
        x86_spill(e, mask, true);
        e->locked &= ~(1u << reg);
    }
}

static void native_rm0(X86Emit *e, const IrInsn *in)
{
    X86Mem src = x86_temporary(e, 0);
    unsigned s = x86_load_vec(e, in->arg[1]), dst;

    x86_rm(&e->a, 0x29 | X_0F, W32, s & 15, &src);
    e->locked &= ~(1u << s);
    mask_may_move(e, in->arg[2]);
    dst = vec_dst(e, in->arg[0], in->arg[2], IR_NONE, false);
    blend_by_xmm0(e, in->imm, dst, &src, in->arg[2]);
    x86_bind(e, e->n << 2, dst);
}

void x86_op_native(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    TcgNative t = in->imm;
    NativeForm form = native_form(t);
    bool three = form == NF_RVM || form == NF_RVM4;
    IrRef old = form == NF_RVM4 ? IR_NONE : in->arg[0];
    IrRef first = form == NF_RVM4 ? in->arg[0] : three ? in->arg[1] : IR_NONE;
    IrRef last = form == NF_RVM ? in->arg[2] : form == NF_M ? IR_NONE : in->arg[1];
    unsigned vvvv = NO_REG, is4 = 0, dst;
    Opnd b = { .kind = K_REG };

    if (refused(e, in)) {
        return;
    }
    if (form == NF_RM0) {
        native_rm0(e, in);
        return;
    }
    vvvv = first != IR_NONE ? x86_load_vec(e, first) : NO_REG;
    is4 = form == NF_RVM4 ? x86_load_vec(e, in->arg[2]) : 0;
    if (last != IR_NONE) {
        b = vec_operand(e, t, last);
    }
    dst = vec_dst(e, old, in->arg[1], in->arg[2], t & TCG_NATIVE_FAULTS);
    fault_point(e, t);
    switch (form) {
    case NF_RM:
    case NF_RVM:
    case NF_RVM4:
        ins_operand(e, t, dst, vvvv, &b);
        break;
    case NF_M:
        ins_rr(e, t, native_digit(t), NO_REG, dst);
        break;
    case NF_VM:
        ins_operand(e, t, native_digit(t), dst, &b);
        break;
    default:
        x86_unsupported(e, in);
        return;
    }
    tail(e, t, is4);
    x86_bind(e, e->n << 2, dst);
}

/* The load comes first, so that nothing is out of place at the fault. */
static void native_load_rm0(X86Emit *e, const IrInsn *in)
{
    Access acc = x86_access(e, in, in->w);
    unsigned src = x86_alloc(e, true), dst;
    X86Mem copy;

    x86_map_fault(e);
    x86_rm(&e->a, 0x10 | X_0F, W32, src & 15, &acc.m); /* movups: all of them take 16 bytes */
    x86_access_done(e, &acc);
    copy = x86_temporary(e, 0);
    x86_rm(&e->a, 0x29 | X_0F, W32, src & 15, &copy);
    e->locked &= ~(1u << src);
    mask_may_move(e, in->arg[3]);
    dst = vec_dst(e, in->arg[2], in->arg[3], IR_NONE, false);
    blend_by_xmm0(e, in->imm, dst, &copy, in->arg[3]);
    x86_bind(e, e->n << 2, dst);
}

static void native_load(X86Emit *e, const IrInsn *in)
{
    TcgNative t = in->imm;
    NativeForm form = native_form(t);
    IrRef old = form == NF_RVM4 ? IR_NONE : in->arg[2], s = in->arg[3];
    unsigned vvvv = NO_REG, is4 = 0, dst;
    Access acc;

    if (form == NF_RVM4) {
        vvvv = x86_load_vec(e, in->arg[2]);
        is4 = x86_load_vec(e, s);
    } else if (form == NF_RVM) {
        vvvv = x86_load_vec(e, s);
    } else if (form == NF_RM0) {
        native_load_rm0(e, in);
        return;
    }
    dst = vec_dst(e, old, s, form == NF_RVM4 ? in->arg[2] : IR_NONE, true);
    acc = x86_access(e, in, in->w);
    if (!e->job->user) {
        fault_point(e, t); /* the TLB compare has used EFLAGS */
    }
    ins_rm(e, t, dst, vvvv, &acc.m);
    tail(e, t, is4);
    x86_access_done(e, &acc);
    x86_bind(e, e->n << 2, dst);
}

void x86_op_native_mem(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    TcgNative t = in->imm;
    Access acc;

    if (refused(e, in)) {
        return;
    }
    if (in->op == IR_native_m) {
        native_load(e, in);
        return;
    }
    if (in->op == IR_native_st) {
        unsigned v = x86_load_vec(e, in->arg[2]);
        acc = x86_access(e, in, in->w | TCG_ACCESS_WRITE);
        ins_rm(e, t, v, NO_REG, &acc.m);
        tail(e, t, 0);
    } else {
        acc = x86_access(e, in, in->w | (t & TCG_NATIVE_WRITES ? TCG_ACCESS_WRITE : 0));
        ins_rm(e, t, native_digit(t), NO_REG, &acc.m);
    }
    x86_access_done(e, &acc);
}

/* native_vi and native_iv: between integer and vector registers. */
void x86_op_native_int(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    TcgNative t = in->imm;
    NativeForm form = native_form(t);
    unsigned dst, r, r2 = NO_REG;

    if (refused(e, in)) {
        return;
    }
    if (in->op == IR_native_vi) {
        r = x86_load(e, in->arg[1]);
        r2 = in->arg[2] != IR_NONE ? x86_load_vec(e, in->arg[2]) : NO_REG;
        dst = vec_dst(e, in->arg[0], in->arg[2], IR_NONE, t & TCG_NATIVE_FAULTS);
        fault_point(e, t);
        ins_rr(e, t, dst, r2, r);
        tail(e, t, 0);
        x86_bind(e, e->n << 2, dst);
        return;
    }
    r = x86_load_vec(e, in->arg[0]);
    if (form == NF_FLAGS) {
        r2 = x86_load_vec(e, in->arg[1]);
        fault_point(e, t);
        x86_clobber_flags(e);
        ins_rr(e, t, r, NO_REG, r2);
        tail(e, t, 0);
        x86_made_flags(e, e->val[e->n << 2 | 1].flags ? e->n << 2 | 1 : IR_NONE);
        return;
    }
    dst = x86_dst(e, e->n << 2, IR_NONE, false);
    fault_point(e, t);
    if (form == NF_MR) {
        ins_rr(e, t, r, NO_REG, dst);
    } else {
        ins_rr(e, t, dst, NO_REG, r);
    }
    tail(e, t, 0);
    x86_bind(e, e->n << 2, dst);
}

void x86_op_native_x(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    TcgNative t = in->imm;
    X86Mem m = x86_state(in->arg[0]);

    fault_point(e, t);
    if (native_form(t) == NF_FIXED) {
        x86_byte(&e->a, native_opcode(t));
        x86_byte(&e->a, native_imm8(t));
    } else {
        x86_rm(&e->a, opcode_of(t), W32, native_digit(t), &m);
    }
}
