/*
 * Guest memory. In user mode an access is an operand of the instruction, in system mode too once
 * tlb.c has put the addend in r11. So every op has one form of its access, whatever it does with it.
 */
#include "tcg/x86_64/internal.h"

void x86_fold_address(X86Emit *e, const IrInsn *in, X86Mem *m)
{
    bool native = in->op >= IR_native_m && in->op <= IR_native_xm;
    int64_t disp = native ? (int32_t)in->arg[4] : (int64_t)in->imm;

    *m = (X86Mem){ .base = NO_REG, .index = NO_REG, .scale = in->aux & IR_MEM_SCALE };
    if (in->op == IR_cmpxchg2) {
        m->scale = 0;
    }
    if (in->arg[0] != IR_NONE) {
        m->base = (uint8_t)x86_load(e, in->arg[0]);
    }
    if (in->op != IR_cmpxchg2 && in->arg[1] != IR_NONE) {
        m->index = (uint8_t)x86_load(e, in->arg[1]);
    }
    if (in->aux2 >> IR_ADDR_SHIFT != IR_A64) {
        disp = (int32_t)disp;
    }
    if (disp != (int32_t)disp) {
        unsigned t = x86_alloc(e, false);
        x86_mov_imm(&e->a, t, (uint64_t)disp);
        if (m->base != NO_REG && m->index != NO_REG) {
            X86Mem sum = { .base = (uint8_t)t, .index = m->base };
            x86_rm(&e->a, 0x8d, W64, t, &sum);
            m->base = (uint8_t)t;
        } else if (m->base == NO_REG) {
            m->base = (uint8_t)t;
        } else {
            m->index = (uint8_t)t;
            m->scale = 0;
        }
        disp = 0;
    }
    m->disp = (int32_t)disp;
}

/* Frees a scratch register: what lives there and is wanted by this op or later is spilled. */
void x86_take_scratch(X86Emit *e, unsigned reg)
{
    IrRef ref = e->reg_val[reg];

    if (ref != IR_NONE) {
        if (e->val[ref].last >= e->n && e->val[ref].reg == reg) {
            x86_spill(e, ref, false);
        }
        x86_lose_reg(e, reg);
    }
    x86_lock(e, reg);
}

/*
 * A register for the sum of an address, locked: a scratch register that it is made of and that nothing else wants, or another; none
 * of the set `avoid`. The caller unlocks the parts.
 */
unsigned x86_sum_register(X86Emit *e, const X86Mem *m, uint32_t avoid)
{
    const uint8_t parts[2] = { m->base, m->index };

    for (unsigned n = 0; n < 2; n++) {
        unsigned reg = parts[n];
        if (reg != NO_REG && (e->scratch & ~avoid) >> reg & 1) {
            IrRef ref = e->reg_val[reg];
            if (ref != IR_NONE && e->val[ref].uses == 1) {
                x86_lose_reg(e, reg); /* this address alone wants it */
            } else {
                x86_take_scratch(e, reg);
            }
            return reg;
        }
    }
    return x86_alloc(e, false);
}

static X86Mem user_address(X86Emit *e, const IrInsn *in)
{
    X86Mem m;

    x86_fold_address(e, in, &m);
    switch (in->aux2 >> IR_ADDR_SHIFT) {
    case IR_A32:
        m.a32 = m.base != NO_REG || m.index != NO_REG || m.disp < 0;
        break;
    case IR_A16: {
        unsigned t = x86_alloc(e, false);
        x86_rm(&e->a, 0x8d, W32, t, &m);
        x86_rr(&e->a, 0xb7 | X_0F, W32, t, t);
        m = (X86Mem){ .base = (uint8_t)t, .index = NO_REG };
        break;
    }
    }
    return m;
}

Access x86_access(X86Emit *e, const IrInsn *in, uint32_t access)
{
    Access acc = { .cold = NULL };
    bool vec = in->op == IR_ldv || in->op == IR_stv || in->op == IR_native_m || in->op == IR_native_st;

    if (!e->job->user) {
        return x86_tlb_access(e, in, access);
    }
    if ((in->aux & IR_MEM_ALIGNED) && !(vec && in->w >= W128)) {
        x86_unsupported(e, in); /* no host instruction checks this by itself */
    }
    acc.m = user_address(e, in);
    x86_flags_for_fault(e);
    x86_map_fault(e);
    return acc;
}

/* After the instruction that does the access: what writes has been recorded up to here. */
void x86_access_done(X86Emit *e, Access *acc)
{
    if (acc->cold) {
        acc->cold->copy_end = e->a.p;
        acc->cold->back = e->a.p;
    }
}

/* The next op after n that has code, or 0. Only ops that do nothing to memory or globals may be between. */
uint32_t x86_next_op(const X86Emit *e, uint32_t n)
{
    for (n++; n < e->ir->num_insns; n++) {
        IrOp op = e->ir->insns[n].op;
        if (!e->skip[n] && op != IR_const && op != IR_get) {
            return n;
        }
    }
    return 0;
}

static bool used_once_at(const X86Emit *e, IrRef ref, uint32_t n)
{
    return e->val[ref].uses == 1 && e->val[ref].last == n;
}

/* Arguments of op n are wanted by op `by`, which does n's work. */
static void keep_args(X86Emit *e, uint32_t n, uint32_t by)
{
    const IrInsn *in = &e->ir->insns[n];

    for (unsigned i = 0; i < ir_ops[in->op].num_args; i++) {
        IrRef ref = in->arg[i];
        if (ref != IR_NONE && !ir_is_inline(ref) && e->val[ref].last < by) {
            e->val[ref].last = (uint16_t)by;
        }
    }
    /* It is there that the access may fault and show the guest's flags. */
    if (e->guest_flags_last < by) {
        e->guest_flags_last = (uint16_t)by;
    }
    if (!ir_is_inline(e->guest_flags) && e->guest_flags != FLAGS_ENTRY &&
        e->val[e->guest_flags].last < by) {
        e->val[e->guest_flags].last = (uint16_t)by;
    }
}

static bool same_access(const IrInsn *ld, const IrInsn *st)
{
    return ld->arg[0] == st->arg[0] && ld->arg[1] == st->arg[1] && ld->imm == st->imm && ld->w == st->w &&
           (ld->aux & ~IR_MEM_RMW) == st->aux && ld->aux2 == st->aux2;
}

/* load, operation, store to the same place: one instruction with a memory destination. */
static bool fold_rmw(X86Emit *e, const IrInsn *ld, uint32_t n2)
{
    const IrInsn *alu = &e->ir->insns[n2], *st;
    uint32_t n3 = x86_next_op(e, n2);
    bool flags = alu->op == IR_adc || alu->op == IR_sbb || alu->op == IR_inc || alu->op == IR_dec;

    if (!n3 || alu->arg[0] != e->n << 2 || alu->w != ld->w || !used_once_at(e, n2 << 2, n3) ||
        !((alu->op >= IR_add && alu->op <= IR_xor) || alu->op == IR_not) || (flags && !e->job->user)) {
        return false;
    }
    st = &e->ir->insns[n3];
    if (st->op != IR_st || st->arg[2] != n2 << 2 || !same_access(ld, st)) {
        return false;
    }
    if (flags && alu->arg[ir_ops[alu->op].num_args - 1] != e->guest_flags &&
        !ir_is_inline(alu->arg[ir_ops[alu->op].num_args - 1])) {
        return false; /* at the fault EFLAGS must be the guest's */
    }
    keep_args(e, n2, n3);
    keep_args(e, e->n, n3);
    e->skip[n2] = true;
    e->folded_load = e->n;
    e->folded_alu = n2;
    return true;
}

/*
 * System mode: the flags of op n, which takes the load at e->n, must outlive the TLB compare of a later access. Then the loaded value
 * had better be in a register: the flags can be made again from it.
 */
static bool flags_outlive_compare(const X86Emit *e, uint32_t n)
{
    const IrInsn *op = &e->ir->insns[n];
    uint32_t access = e->next_access[e->n];
    unsigned result = op->op == IR_add || op->op == IR_sub ? 1 : 0;

    if (e->job->user || (!result && op->op != IR_cmp && op->op != IR_test)) {
        return false;
    }
    return access > n && e->val[n << 2 | result].last >= access;
}

/* The load at e->n becomes an operand of a later op when nothing else wants it. */
static bool fold_load(X86Emit *e, const IrInsn *in)
{
    uint32_t n2 = x86_next_op(e, e->n);
    const IrInsn *op = &e->ir->insns[n2];
    IrRef ref = e->n << 2;
    bool compare;

    if (!n2 || !used_once_at(e, ref, n2) || (in->aux & (IR_MEM_SWAP | IR_MEM_SIGNED)) || op->w != in->w ||
        e->folded_load) {
        return false;
    }
    if (fold_rmw(e, in, n2)) {
        return true;
    }
    compare = op->op == IR_cmp || op->op == IR_test;
    switch (op->op) {
    case IR_add:
    case IR_or:
    case IR_and:
    case IR_sub:
    case IR_xor:
    case IR_cmp:
    case IR_test:
    case IR_mov:
    case IR_mul:
        break;
    default:
        return false;
    }
    if ((op->arg[1] != ref && !compare) || (op->op == IR_mul && in->w == W8)) {
        return false;
    }
    if (flags_outlive_compare(e, n2)) {
        return false;
    }
    keep_args(e, e->n, n2);
    e->folded_load = e->n;
    return true;
}

bool x86_take_folded(X86Emit *e, IrRef ref, Access *acc)
{
    if (!e->folded_load || ref != e->folded_load << 2) {
        return false;
    }
    *acc = x86_access(e, &e->ir->insns[e->folded_load], e->ir->insns[e->folded_load].w);
    e->folded_load = 0;
    return true;
}

static void load_alone(X86Emit *e, const IrInsn *in)
{
    static const uint32_t ops[2][4] = {
        { 0xb6 | X_0F, 0xb7 | X_0F, 0x8b, 0x8b }, { 0xbe | X_0F, 0xbf | X_0F, 0x63, 0x8b },
    };
    bool swap = (in->aux & IR_MEM_SWAP) && in->w != W8, sign = in->aux & IR_MEM_SIGNED;
    Access acc = x86_access(e, in, in->w);
    unsigned dst = x86_dst(e, e->n << 2, IR_NONE, false);

    x86_map_fault(e);
    x86_rm(&e->a, ops[sign && !swap][in->w], in->w == W64 || (sign && !swap) ? W64 : W32, dst, &acc.m);
    x86_access_done(e, &acc);
    if (swap) {
        if (in->w == W16) {
            x86_clobber_flags(e);
            x86_rr(&e->a, 0xc1, W16, 0, dst);
            x86_byte(&e->a, 8);
        } else {
            x86_byte(&e->a, 0x40 | (in->w == W64) << 3 | dst >> 3);
            x86_byte(&e->a, 0x0f);
            x86_byte(&e->a, 0xc8 | (dst & 7));
        }
        if (sign && in->w != W64) {
            x86_rr(&e->a, in->w == W16 ? 0xbf | X_0F : 0x63, W64, dst, dst);
        }
    }
    x86_bind(e, e->n << 2, dst);
}

void x86_op_load(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    if (fold_load(e, in)) {
        return;
    }
    load_alone(e, in);
}

/* The value to store, as register or immediate; in system mode perhaps in its spill slot until later. */
static void store_plain(X86Emit *e, const IrInsn *in, const X86Mem *m, const Opnd *b)
{
    if (b->kind == K_IMM) {
        x86_rm(&e->a, in->w == W8 ? 0xc6 : 0xc7, in->w, 0, m);
        x86_imm(&e->a, in->w, b->imm);
    } else {
        x86_rm(&e->a, in->w == W8 ? 0x88 | X_REG8 : 0x89, in->w, b->reg, m);
    }
}

/* An integer argument of an op that also accesses memory: register (r14 in system mode) or immediate. */
static Opnd value_after_access(X86Emit *e, IrRef ref, IrWidth w, bool imm)
{
    uint64_t c;

    if (imm && ir_is_const(e->ir, ref, &c) && (w < W64 || (int64_t)c == (int32_t)c)) {
        return (Opnd){ .kind = K_IMM, .imm = c };
    }
    return (Opnd){ .kind = K_REG, .reg = (uint8_t)x86_load(e, ref) };
}

/* v with its bytes in the other order, in a register of its own. */
static IrRef swapped(X86Emit *e, const IrInsn *in, Opnd *o)
{
    unsigned t = x86_alloc(e, false);

    x86_load_into(e, t, in->arg[2], W64);
    if (in->w == W16) {
        x86_clobber_flags(e);
        x86_rr(&e->a, 0xc1, W16, 0, t);
        x86_byte(&e->a, 8);
    } else {
        x86_byte(&e->a, 0x40 | (in->w == W64) << 3 | t >> 3);
        x86_byte(&e->a, 0x0f);
        x86_byte(&e->a, 0xc8 | (t & 7));
    }
    *o = (Opnd){ .kind = K_REG, .reg = (uint8_t)t };
    return IR_NONE;
}

/* op [m], b of the folded operation; the store is op e->n. */
static void store_folded(X86Emit *e, const IrInsn *in)
{
    uint32_t n2 = e->folded_alu, wide = in->w == W8 ? 0 : 1;
    const IrInsn *alu = &e->ir->insns[n2];
    const X86Row *row = &x86_rows[alu->op];
    bool unary = alu->op == IR_inc || alu->op == IR_dec || alu->op == IR_neg || alu->op == IR_not;
    bool carry = alu->op == IR_adc || alu->op == IR_sbb, flags = alu->op != IR_not;
    uint32_t out = flags ? e->val[n2 << 2 | 1].flags : 0;
    Opnd b = { .kind = K_IMM };
    Access acc;

    e->folded_load = e->folded_alu = 0;
    if (!unary && e->job->user) {
        b = value_after_access(e, alu->arg[1], in->w, true);
    }
    if (carry || (unary && (out & IR_C) && alu->op <= IR_dec)) {
        IrRef old = alu->arg[ir_ops[alu->op].num_args - 1];
        if (old != e->guest_flags) {
            x86_flags_to_slot(e);
        }
        x86_need_flags(e, old);
    }
    acc = x86_access(e, in, in->w | TCG_ACCESS_RMW);
    if (!unary && !e->job->user) {
        b = value_after_access(e, alu->arg[1], in->w, true);
    }
    if (flags) {
        x86_replace_flags(e);
    }
    if (unary) {
        uint32_t op = alu->op == IR_neg || alu->op == IR_not ? 0xf6 : 0xfe;
        x86_rm(&e->a, op | wide, in->w, row->digit, &acc.m);
    } else if (b.kind == K_IMM) {
        bool small = in->w != W8 && (int64_t)b.imm == (int8_t)b.imm;
        x86_rm(&e->a, small ? 0x83 : 0x80 | wide, in->w, row->digit, &acc.m);
        x86_imm(&e->a, small ? W8 : in->w, b.imm);
    } else {
        x86_rm(&e->a, row->digit << 3 | wide | (wide ? 0 : X_REG8), in->w, b.reg, &acc.m);
    }
    x86_access_done(e, &acc);
    if (flags) {
        x86_made_flags(e, out ? n2 << 2 | 1 : IR_NONE);
    }
}

void x86_op_store(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    bool swap = (in->aux & IR_MEM_SWAP) && in->w != W8;
    Access acc;
    Opnd b;

    if (e->folded_alu) {
        store_folded(e, in);
        return;
    }
    if (e->job->user) {
        if (swap) {
            swapped(e, in, &b);
        } else {
            b = value_after_access(e, in->arg[2], in->w, true);
        }
        acc = x86_access(e, in, in->w | TCG_ACCESS_WRITE);
    } else {
        acc = x86_access(e, in, in->w | TCG_ACCESS_WRITE);
        if (swap) {
            swapped(e, in, &b);
        } else {
            b = value_after_access(e, in->arg[2], in->w, true);
        }
        /* Loading the value is repeated on the slow path; it has no effect of its own. */
    }
    store_plain(e, in, &acc.m, &b);
    x86_access_done(e, &acc);
}

static void vec_rm(X86Emit *e, bool store, IrWidth w, bool aligned, unsigned reg, const X86Mem *m)
{
    unsigned v = reg & 15;
    Asm *a = &e->a;

    switch (w) {
    case W32: /* movss, clears the rest on a load */
        x86_rm(a, (store ? 0x11 : 0x10) | X_0F | X_F3, W32, v, m);
        break;
    case W64: /* movq */
        x86_rm(a, store ? 0xd6 | X_0F | X_66 : 0x7e | X_0F | X_F3, W32, v, m);
        break;
    case W128:
        x86_rm(a, (aligned ? store ? 0x29 : 0x28 : store ? 0x11 : 0x10) | X_0F, W32, v, m);
        break;
    default: /* vmovaps, vmovups */
        x86_vex_rm(a, (aligned ? store ? 0x29 : 0x28 : store ? 0x11 : 0x10) | X_0F | X_L, v, NO_REG, m);
        break;
    }
}

void x86_op_load_vec(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    Access acc;
    unsigned dst;

    if (in->w < W32 || in->w > W256) {
        x86_unsupported(e, in);
        return;
    }
    acc = x86_access(e, in, in->w);
    dst = x86_dst(e, e->n << 2, IR_NONE, true);
    x86_map_fault(e);
    vec_rm(e, false, in->w, in->aux & IR_MEM_ALIGNED, dst, &acc.m);
    x86_access_done(e, &acc);
    x86_bind(e, e->n << 2, dst);
}

void x86_op_store_vec(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    Access acc;
    unsigned v;

    if (in->w < W32 || in->w > W256) {
        x86_unsupported(e, in);
        return;
    }
    v = x86_load_vec(e, in->arg[2]);
    acc = x86_access(e, in, in->w | TCG_ACCESS_WRITE);
    vec_rm(e, true, in->w, in->aux & IR_MEM_ALIGNED, v, &acc.m);
    x86_access_done(e, &acc);
}

void x86_op_fence(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    static const uint8_t code[4] = { 0, 0xe8, 0xf8, 0xf0 }; /* lfence sfence mfence */

    if (in->aux & 3) {
        x86_byte(&e->a, 0x0f);
        x86_byte(&e->a, 0xae);
        x86_byte(&e->a, code[in->aux & 3]);
    }
}

/* A bit index mod W: the instruction itself would reach beyond its operand. */
static unsigned masked_index(X86Emit *e, const IrInsn *in, const X86Mem *m)
{
    unsigned from = x86_load(e, in->arg[2]), t;
    bool address = m && (from == m->base || from == m->index);

    /* In system mode the address has a register already, and r11: there may be one left. */
    t = !e->job->user && !address && (e->scratch >> from & 1) ? from : x86_alloc(e, false);
    if (t == from) {
        x86_lose_reg(e, from);
    }
    x86_mov(&e->a, t, from);
    e->locked &= t != from && !address && (e->scratch >> from & 1) ? ~(1u << from) : ~0u;
    x86_clobber_flags(e);
    x86_rr(&e->a, 0x83, W32, 4, t);
    x86_byte(&e->a, 8 * ir_width_bytes(in->w) - 1);
    return t;
}

/*
 * Atomic ops. add, sub and xchg give the old value by lock xadd and xchg; when only flags are wanted, any
 * of them is the plain locked instruction. What also wants the old value loops over cmpxchg,
 * which is rare: refused until somebody needs it.
 */
void x86_op_rmw(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    bool old = e->val[e->n << 2].uses != 0, exchange = in->op == IR_rmw_xchg;
    bool xadd = (in->op == IR_rmw_add) && old;
    bool bits = in->op >= IR_rmw_bts && in->op <= IR_rmw_btc;
    bool unary = in->op == IR_rmw_neg || in->op == IR_rmw_not || in->op == IR_rmw_inc || in->op == IR_rmw_dec;
    bool flags = ir_ops[in->op].num_results > 1;
    uint32_t out = flags ? e->val[e->n << 2 | 1].flags : 0, wide = in->w == W8 ? 0 : 1;
    unsigned t = NO_REG, index = NO_REG;
    IrRef old_flags = IR_NONE;
    Access acc;
    Opnd b = { .kind = K_IMM };

    if ((old && !exchange && !xadd) || (in->aux & IR_MEM_SWAP)) {
        x86_unsupported(e, in);
        return;
    }
    for (unsigned n = 0; n < ir_ops[in->op].num_args; n++) {
        if (ir_ops[in->op].args[n] == 'f' && (in->op == IR_rmw_adc || in->op == IR_rmw_sbb ||
                                              (out & (bits ? IR_Z : IR_C)))) {
            old_flags = in->arg[n];
        }
    }
    if (old_flags != IR_NONE && (!e->job->user || bits || old_flags != e->guest_flags)) {
        /* From the TLB compare, the masking of the index, the flags that a fault must find. */
        x86_preserve_flags(e, old_flags);
    }
    if (bits && !ir_is_inline(in->arg[2]) && e->job->user) {
        index = masked_index(e, in, NULL);
    }
    acc = x86_access(e, in, in->w | TCG_ACCESS_RMW | TCG_ACCESS_ATOMIC);
    if (bits && !ir_is_inline(in->arg[2]) && !e->job->user) {
        index = masked_index(e, in, &acc.m);
    }
    if (!unary && index == NO_REG) {
        if (exchange || xadd) {
            t = x86_alloc(e, false);
            x86_load_into(e, t, in->arg[2], W64);
        } else {
            b = value_after_access(e, in->arg[2], in->w, true);
        }
    }
    if (old_flags != IR_NONE) {
        if (e->job->user && old_flags != e->guest_flags) {
            x86_flags_to_slot(e);
        }
        x86_need_flags(e, old_flags);
    }
    x86_map_fault(e);
    if (flags) {
        x86_replace_flags(e);
    }
    if (exchange) {
        x86_rm(&e->a, wide ? 0x87 : 0x86 | X_REG8, in->w, t, &acc.m);
    } else if (xadd) {
        x86_rm(&e->a, 0xc0 | wide | X_0F | X_LOCK | (wide ? 0 : X_REG8), in->w, t, &acc.m);
    } else if (unary) {
        x86_rm(&e->a, row->op | wide | X_LOCK, in->w, row->digit, &acc.m);
    } else if (bits && index == NO_REG) {
        x86_rm(&e->a, 0xba | X_0F | X_LOCK, in->w, row->digit, &acc.m);
        x86_byte(&e->a, b.imm & (in->w == W64 ? 63 : in->w == W32 ? 31 : 15));
    } else if (bits) {
        static const uint8_t ops[] = { 0xab, 0xb3, 0xbb };
        x86_rm(&e->a, ops[in->op - IR_rmw_bts] | X_0F | X_LOCK, in->w, index, &acc.m);
    } else if (b.kind == K_IMM) {
        bool small = in->w != W8 && (int64_t)b.imm == (int8_t)b.imm;
        x86_rm(&e->a, (small ? 0x83 : 0x80 | wide) | X_LOCK, in->w, row->digit, &acc.m);
        x86_imm(&e->a, small ? W8 : in->w, b.imm);
    } else {
        x86_rm(&e->a, row->digit << 3 | wide | X_LOCK | (wide ? 0 : X_REG8), in->w, b.reg, &acc.m);
    }
    x86_access_done(e, &acc);
    if (exchange || xadd) {
        if (in->w < W32) {
            x86_rr(&e->a, in->w == W8 ? 0xb6 | X_0F | X_RM8 : 0xb7 | X_0F, W32, t, t);
        }
        x86_bind(e, e->n << 2, t);
    }
    if (flags) {
        x86_made_flags(e, out ? e->n << 2 | 1 : IR_NONE);
    }
}

/* A register other than rax with argument ref. */
static unsigned not_rax(X86Emit *e, IrRef ref)
{
    unsigned r = x86_load(e, ref);

    if (r == RAX) {
        r = x86_alloc(e, false);
        x86_mov(&e->a, r, RAX);
    }
    return r;
}

/*
 * A home is about to hold something else across an access that may fault: the access faults
 * here first. No x86 guest comes here, whose cmpxchg expects what is in its rax.
 */
static void probe_write(X86Emit *e, IrWidth w, const X86Mem *m)
{
    x86_flags_to_slot(e);
    x86_clobber_flags(e);
    x86_map_fault(e);
    x86_rm(&e->a, w == W8 ? 0x80 | X_LOCK : 0x83 | X_LOCK, w, 1, m); /* or m, 0 */
    x86_byte(&e->a, 0);
}

void x86_op_cmpxchg(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    unsigned keep = NO_REG, rn = NO_REG;
    IrRef result = e->n << 2, held;
    const Val *v = &e->val[result];
    Access acc;
    bool home = v->hint != NO_GLOBAL && e->home[v->hint] == RAX && in->w >= W32;

    x86_lock(e, RAX);
    if (e->job->user) {
        rn = not_rax(e, in->arg[3]);
    }
    acc = x86_access(e, in, in->w | TCG_ACCESS_RMW | TCG_ACCESS_ATOMIC);
    x86_lock(e, RAX);
    if (acc.m.base == RAX || acc.m.index != NO_REG || !e->job->user) {
        unsigned t = x86_sum_register(e, &acc.m, 1u << RAX | 1u << (e->job->user ? rn : R11));
        x86_rm(&e->a, 0x8d, acc.m.a32 ? W32 : W64, t, &acc.m);
        e->locked &= ~(e->scratch & ((acc.m.base != NO_REG ? 1u << acc.m.base : 0) |
                                     (acc.m.index != NO_REG ? 1u << acc.m.index : 0)));
        e->locked |= 1u << t | 1u << RAX; /* one register has the address now */
        acc.m = (X86Mem){ .base = (uint8_t)t, .index = NO_REG };
    }
    if (!e->job->user) {
        rn = not_rax(e, in->arg[3]);
    }
    held = e->reg_val[RAX];
    if (!home || (held != IR_NONE && e->val[held].last > e->n)) {
        keep = x86_alloc(e, false);
        x86_mov(&e->a, keep, RAX);
    } else {
        e->overwritten |= 1u << RAX;
        x86_lose_value(e, held);
    }
    if (e->job->user) {
        x86_flags_for_fault(e);
        if (e->global_of[RAX] != NO_GLOBAL && (ir_is_inline(in->arg[2]) || e->val[in->arg[2]].reg != RAX)) {
            probe_write(e, in->w, &acc.m);
        }
    }
    x86_load_into(e, RAX, in->arg[2], W64);
    x86_map_fault(e);
    x86_replace_flags(e);
    x86_rm(&e->a, 0xb0 | (in->w == W8 ? X_REG8 : 1) | X_0F | X_LOCK, in->w, rn, &acc.m);
    if (keep != NO_REG) {
        x86_rr(&e->a, 0x87, W64, keep, RAX);
    }
    x86_access_done(e, &acc);
    if (keep == NO_REG) {
        keep = RAX;
    }
    if (in->w < W32) {
        x86_rr(&e->a, in->w == W8 ? 0xb6 | X_0F | X_RM8 : 0xb7 | X_0F, W32, keep, keep);
    } else if (in->w == W32) {
        x86_rr(&e->a, 0x8b, W32, keep, keep);
    }
    x86_bind(e, result, keep);
    x86_made_flags(e, e->val[result | 1].flags ? result | 1 : IR_NONE);
}

/* cmpxchg8b, cmpxchg16b: only with the arguments where the instruction wants them. */
void x86_op_cmpxchg2(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    static const uint8_t want[4] = { RAX, RDX, RBX, RCX };
    Access acc;

    for (unsigned n = 0; n < 4; n++) {
        IrRef ref = in->arg[n + 1];
        if (ir_is_inline(ref) || e->val[ref].reg != want[n]) {
            x86_unsupported(e, in);
            return;
        }
    }
    acc = x86_access(e, in, (in->w + 1u) | TCG_ACCESS_RMW | TCG_ACCESS_ATOMIC);
    for (unsigned n = 0; n < 2; n++) {
        /* The homes change with the instruction: the results must be set into them. */
        IrRef result = e->n << 2 | n;
        if (e->val[result].hint == NO_GLOBAL || e->home[e->val[result].hint] != want[n]) {
            x86_unsupported(e, in);
            return;
        }
    }
    x86_replace_flags(e);
    x86_rm(&e->a, 0xc7 | X_0F | X_LOCK, in->w, 1, &acc.m);
    x86_access_done(e, &acc);
    for (unsigned n = 0; n < 2; n++) {
        if (in->w == W32) {
            x86_rr(&e->a, 0x8b, W32, want[n], want[n]);
        }
        x86_bind(e, e->n << 2 | n, want[n]);
    }
    x86_made_flags(e, e->val[e->n << 2 | 2].flags ? e->n << 2 | 2 : IR_NONE);
}
