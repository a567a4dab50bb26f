/*
 * Integer ops. Each function emits the ops of one shape; the encodings are in rows.c.
 */
#include "tcg/x86_64/internal.h"

static bool value_used(const X86Emit *e, unsigned result)
{
    return e->val[e->n << 2 | result].uses != 0;
}

static bool flags_used(const X86Emit *e, unsigned result)
{
    return e->val[e->n << 2 | result].flags != 0;
}

/* EFLAGS now is result number r of this op, or nothing. */
static void made(X86Emit *e, unsigned r)
{
    x86_made_flags(e, flags_used(e, r) ? e->n << 2 | r : IR_NONE);
}

static bool in_reg(const X86Emit *e, IrRef ref, unsigned reg)
{
    return ref != IR_NONE && e->reg_val[reg] == ref;
}

/* op digit of the ALU group: dst := dst op b. */
void x86_alu(X86Emit *e, unsigned digit, IrWidth w, unsigned dst, const Opnd *b)
{
    uint32_t wide = w == W8 ? 0 : 1;
    Asm *a = &e->a;

    if (b->kind == K_IMM) {
        bool small = w == W8 || (w == W16 ? (int16_t)b->imm == (int8_t)b->imm
                                 : w == W32 ? (int32_t)b->imm == (int8_t)b->imm
                                            : (int64_t)b->imm == (int8_t)b->imm);
        x86_rr(a, w == W8 ? 0x80 | X_RM8 : small ? 0x83 : 0x81, w, digit, dst);
        x86_imm(a, small ? W8 : w, b->imm);
    } else if (b->kind == K_REG) {
        x86_rr(a, digit << 3 | 2 | wide | (wide ? 0 : X_REG8 | X_RM8), w, dst, b->reg);
    } else {
        x86_rm(a, digit << 3 | 2 | wide | (wide ? 0 : X_REG8), w, dst, &b->mem);
    }
}

static void test_operands(X86Emit *e, IrWidth w, unsigned ra, const Opnd *b)
{
    uint32_t wide = w == W8 ? 0 : 1;

    if (b->kind == K_IMM) {
        x86_rr(&e->a, 0xf6 | wide | (wide ? 0 : X_RM8), w, 0, ra);
        x86_imm(&e->a, w, b->imm);
    } else if (b->kind == K_REG) {
        x86_rr(&e->a, 0x84 | wide | (wide ? 0 : X_REG8 | X_RM8), w, b->reg, ra);
    } else {
        x86_rm(&e->a, 0x84 | wide | (wide ? 0 : X_REG8), w, ra, &b->mem);
    }
}

/* cmp m, b and test m, b; or b, m when the load is the second argument of cmp. */
static void compare_memory(X86Emit *e, const IrInsn *in, bool test, Access *acc, unsigned load)
{
    IrWidth w = in->w;
    uint32_t wide = w == W8 ? 0 : 1;
    uint64_t c;
    IrRef other = in->arg[load ^ 1];

    if (ir_is_const(e->ir, other, &c) && (w < W64 || (int64_t)c == (int32_t)c) && (load == 0 || test)) {
        bool small = !test && w != W8 && (int64_t)c == (int8_t)c;
        x86_map_fault(e);
        x86_replace_flags(e);
        x86_rm(&e->a, test ? 0xf6 | wide : small ? 0x83 : 0x80 | wide, w, test ? 0 : 7, &acc->m);
        x86_imm(&e->a, small ? W8 : w, c);
    } else {
        unsigned r = x86_load(e, other);
        uint32_t op = test ? 0x84 : load == 0 ? 0x38 : 0x3a;
        x86_map_fault(e);
        x86_replace_flags(e);
        x86_rm(&e->a, op | wide | (wide ? 0 : X_REG8), w, r, &acc->m);
    }
    x86_access_done(e, acc);
}

/* cmp and test, also for sub and and whose value nobody wants. */
static void compare(X86Emit *e, const IrInsn *in, bool test, unsigned result)
{
    Access acc;
    unsigned ra;
    Opnd b;

    for (unsigned i = 0; i < 2; i++) {
        if (x86_take_folded(e, in->arg[i], &acc)) {
            compare_memory(e, in, test, &acc, i);
            made(e, result);
            return;
        }
    }
    b = x86_operand(e, in->arg[1], in->w);
    ra = x86_load(e, in->arg[0]);
    x86_clobber_flags(e);
    if (test) {
        test_operands(e, in->w, ra, &b);
    } else if (b.kind == K_IMM && b.imm == 0) {
        Opnd self = { .kind = K_REG, .reg = (uint8_t)ra };
        test_operands(e, in->w, ra, &self);
    } else {
        x86_alu(e, 7, in->w, ra, &b);
    }
    made(e, result);
}

/* Copies argument a into dst, which b (a register) must survive: moves it away first. */
static void prepare_dst(X86Emit *e, unsigned dst, IrRef a, Opnd *b, IrWidth w)
{
    if (b && b->kind == K_REG && b->reg == dst && !in_reg(e, a, dst)) {
        unsigned t = x86_alloc(e, false);
        x86_mov(&e->a, t, dst);
        b->reg = (uint8_t)t;
    }
    if (!in_reg(e, a, dst)) {
        x86_drop_reg(e, dst);
        x86_load_into(e, dst, a, w == W32 ? W32 : W64);
    }
}

/*
 * The destination when an operand is memory that may fault: a home gets its new value by
 * the faulting instruction itself or later, never by the copy before it.
 */
static unsigned faulting_dst(X86Emit *e, IrRef a)
{
    unsigned dst = x86_dst(e, e->n << 2, a, false);

    if (!in_reg(e, a, dst) && e->global_of[dst] != NO_GLOBAL) {
        e->overwritten &= ~(1u << dst);
        dst = x86_alloc(e, false);
    }
    return dst;
}

/* add of two registers or register and constant elsewhere: lea keeps flags and argument. */
static bool add_as_lea(X86Emit *e, const IrInsn *in, unsigned dst, const Opnd *b)
{
    X86Mem m = { .base = NO_REG, .index = NO_REG };

    if (in->op != IR_add || flags_used(e, 1) || in->w < W32 || b->kind == K_MEM ||
        ir_is_inline(in->arg[0]) || e->val[in->arg[0]].reg == NO_REG) {
        return false;
    }
    m.base = e->val[in->arg[0]].reg;
    if (m.base == dst && !x86_flags_live(e, e->ef)) {
        return false;
    }
    if (b->kind == K_REG) {
        m.index = b->reg;
    } else {
        m.disp = (int32_t)b->imm;
    }
    x86_rm(&e->a, 0x8d, in->w, dst, &m);
    x86_bind(e, e->n << 2, dst);
    return true;
}

/* op gs:[slot], b: on a global without a register that the result goes back to. */
static bool alu_in_slot(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    IrRef a = in->arg[0], result = e->n << 2;
    const Val *v = &e->val[result];
    uint32_t wide = in->w == W8 ? 0 : 1;
    X86Mem m;
    Opnd b;

    if (ir_is_inline(a) || v->uses != 1 || v->hint == NO_GLOBAL || e->val[a].global != v->hint ||
        e->val[a].reg != NO_REG || x86_live_after(e, a) || in->arg[1] == a || in->w == W32 ||
        e->slot_val[v->hint] != a || row->digit == 2 || row->digit == 3) {
        return false; /* W32 would leave the upper half */
    }
    b = x86_operand(e, in->arg[1], in->w);
    if (b.kind == K_MEM) {
        b = (Opnd){ .kind = K_REG, .reg = (uint8_t)x86_load(e, in->arg[1]) };
    }
    x86_lose_slot(e, v->hint);
    m = x86_state(e->guest->globals[v->hint].offset);
    x86_clobber_flags(e);
    if (b.kind == K_IMM) {
        bool small = in->w != W8 && (int64_t)b.imm == (int8_t)b.imm;
        x86_rm(&e->a, small ? 0x83 : 0x80 | wide, in->w, row->digit, &m);
        x86_imm(&e->a, small ? W8 : in->w, b.imm);
    } else {
        x86_rm(&e->a, row->digit << 3 | wide | (wide ? 0 : X_REG8), in->w, b.reg, &m);
    }
    e->slot_val[v->hint] = result;
    e->val[result].global = v->hint;
    made(e, 1);
    return true;
}

void x86_op_alu(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    bool carry = in->op == IR_adc || in->op == IR_sbb;
    IrRef a = in->arg[0], result = e->n << 2;
    Access acc;
    unsigned dst;
    Opnd b;

    if (!value_used(e, 0) && (in->op == IR_sub || in->op == IR_and || row->digit >= 7)) {
        compare(e, in, row->digit == 4 || row->digit == 8, in->op >= IR_cmp ? 0 : 1);
        return;
    }
    if (row->digit >= 7) {
        compare(e, in, row->digit == 8, 0);
        return;
    }
    if (!e->folded_load && value_used(e, 0) && alu_in_slot(e, in, row)) {
        return;
    }
    if (x86_take_folded(e, in->arg[1], &acc)) {
        if (!ir_is_inline(a) && e->val[a].reg != NO_REG) {
            x86_lock(e, e->val[a].reg);
        }
        dst = faulting_dst(e, a);
        b = (Opnd){ .kind = K_MEM, .mem = acc.m };
        prepare_dst(e, dst, a, NULL, in->w);
        x86_map_fault(e);
        x86_replace_flags(e);
        x86_alu(e, row->digit, in->w, dst, &b);
        x86_access_done(e, &acc);
        x86_bind(e, result, dst);
        made(e, 1);
        return;
    }
    if (!ir_is_inline(a) && e->val[a].reg != NO_REG) {
        x86_lock(e, e->val[a].reg);
    }
    b = x86_operand(e, in->arg[1], in->w);
    dst = x86_dst(e, result, a, false);
    if (add_as_lea(e, in, dst, &b)) {
        return;
    }
    if (row->commutes && b.kind == K_REG && b.reg == dst && !in_reg(e, a, dst) && in->w >= W32) {
        b = x86_operand(e, a, in->w);
    } else {
        prepare_dst(e, dst, a, &b, in->w);
    }
    if (carry) {
        x86_need_flags(e, in->arg[2]);
    }
    x86_clobber_flags(e);
    x86_alu(e, row->digit, in->w, dst, &b);
    x86_bind(e, result, dst);
    made(e, 1);
}

void x86_op_unary(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    unsigned dst = x86_dst(e, e->n << 2, in->arg[0], false);
    uint32_t wide = in->w == W8 ? X_RM8 : 1;

    prepare_dst(e, dst, in->arg[0], NULL, in->w);
    x86_clobber_flags(e);
    x86_rr(&e->a, 0xf6 | wide, in->w, row->digit, dst);
    x86_bind(e, e->n << 2, dst);
    made(e, 1);
}

void x86_op_not(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    unsigned dst = x86_dst(e, e->n << 2, in->arg[0], false);

    prepare_dst(e, dst, in->arg[0], NULL, in->w);
    x86_rr(&e->a, 0xf6 | (in->w == W8 ? X_RM8 : 1), in->w, row->digit, dst);
    x86_bind(e, e->n << 2, dst);
}

void x86_op_incdec(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    unsigned dst = x86_dst(e, e->n << 2, in->arg[0], false);

    prepare_dst(e, dst, in->arg[0], NULL, in->w);
    if (e->val[e->n << 2 | 1].flags & IR_C) {
        x86_need_flags(e, in->arg[1]);
    }
    x86_clobber_flags(e);
    x86_rr(&e->a, 0xfe | (in->w == W8 ? X_RM8 : 1), in->w, row->digit, dst);
    x86_bind(e, e->n << 2, dst);
    made(e, 1);
}

/* rcx waits in memory when there is no register for it. */
enum { IN_MEMORY = 0xfe };

/*
 * A register to keep rcx in while cl counts; NO_REG when the count is in rcx anyway, or when rcx is
 * the destination and its old content is not wanted.
 */
static unsigned room_for_rcx(X86Emit *e, IrRef count, bool wanted)
{
    if (in_reg(e, count, RCX)) {
        x86_lock(e, RCX);
        return NO_REG;
    }
    if (!wanted) {
        return NO_REG;
    }
    return e->scratch & ~e->locked & 0xffff ? x86_alloc(e, false) : IN_MEMORY;
}

/* After flags have been made, whose operands may be in rcx. */
static void count_in_cl(X86Emit *e, IrRef count, unsigned saved)
{
    if (saved == IN_MEMORY) {
        X86Mem m = x86_temporary(e, 0);
        x86_rm(&e->a, 0x89, W64, RCX, &m);
    } else if (saved != NO_REG) {
        x86_mov(&e->a, saved, RCX);
    }
    if (!in_reg(e, count, RCX)) {
        x86_load_into(e, RCX, count, W64);
    }
}

static void restore_rcx(X86Emit *e, unsigned saved)
{
    if (saved == IN_MEMORY) {
        X86Mem m = x86_temporary(e, 0);
        x86_rm(&e->a, 0x8b, W64, RCX, &m);
    } else if (saved != NO_REG) {
        x86_mov(&e->a, RCX, saved);
    }
}

/* Old flags of a shift, when it may leave them. */
static void shift_old_flags(X86Emit *e, IrRef old, uint32_t mask)
{
    const Val *v = ir_is_inline(old) ? NULL : &e->val[old];

    if (mask && (v == NULL || v->uses)) {
        x86_need_flags(e, old);
    }
}

static void shift_by_cl(X86Emit *e, const IrInsn *in, const X86Row *row, uint32_t out)
{
    IrRef a = in->arg[0], result = e->n << 2;
    unsigned dst, saved, target;

    /* Neither argument is locked: when registers are short they wait in memory. */
    dst = x86_dst(e, result, a, false);
    /* dst must be neither rcx nor the count's own register. */
    target = dst;
    if (dst == RCX || (in_reg(e, in->arg[1], dst) && !in_reg(e, a, dst))) {
        target = x86_alloc(e, false);
    }
    if (!in_reg(e, a, target)) {
        if (target == dst) {
            x86_drop_reg(e, dst);
        }
        x86_load_into(e, target, a, in->w == W32 ? W32 : W64);
    }
    saved = room_for_rcx(e, in->arg[1], dst != RCX);
    shift_old_flags(e, in->arg[2], out | (row->digit == 2 || row->digit == 3 ? IR_C : 0));
    count_in_cl(e, in->arg[1], saved);
    x86_clobber_flags(e);
    x86_rr(&e->a, 0xd2 | (in->w == W8 ? X_RM8 : 1), in->w, row->digit, target);
    restore_rcx(e, saved);
    if (target != dst) {
        x86_mov(&e->a, dst, target);
    }
    x86_bind(e, result, dst);
    made(e, 1);
}

/* shlx, shrx, sarx, rorx: no flags, any registers. */
static void shift_bmi(X86Emit *e, IrRef a, IrRef count, uint32_t pp, IrWidth w)
{
    unsigned rc = x86_load(e, count), ra = x86_load(e, a), dst = x86_dst(e, e->n << 2, a, false);

    x86_vex_rr(&e->a, 0xf7 | X_0F38 | pp | (w == W64 ? X_W : 0), dst, rc, ra);
    x86_bind(e, e->n << 2, dst);
}

void x86_op_shift(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    uint32_t out = e->val[e->n << 2 | 1].flags;
    IrRef result = e->n << 2;
    uint64_t c;
    unsigned dst;

    if (!ir_is_const(e->ir, in->arg[1], &c)) {
        static const uint32_t pp[8] = { [4] = X_66, [5] = X_F2, [7] = X_F3 };
        if (!out && in->w >= W32 && pp[row->digit] && (x86_host_features() & HOST_BMI2)) {
            shift_bmi(e, in->arg[0], in->arg[1], pp[row->digit], in->w);
            return;
        }
        shift_by_cl(e, in, row, out);
        return;
    }
    c &= in->w == W64 ? 63 : 31;
    dst = x86_dst(e, result, in->arg[0], false);
    prepare_dst(e, dst, in->arg[0], NULL, in->w);
    if (row->digit <= 3 || c == 0) { /* rotates: the flags they keep, and the carry they take */
        bool carry = row->digit == 2 || row->digit == 3;
        shift_old_flags(e, in->arg[2], carry ? IR_C : out & (c ? ~(uint32_t)(IR_C | IR_O) : IR_FLAGS));
    }
    x86_clobber_flags(e);
    x86_rr(&e->a, (c == 1 ? 0xd0 : 0xc0) | (in->w == W8 ? X_RM8 : 1), in->w, row->digit, dst);
    if (c != 1) {
        x86_byte(&e->a, (unsigned)c);
    }
    x86_bind(e, result, dst);
    made(e, 1);
}

void x86_op_shift_double(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    uint32_t out = e->val[e->n << 2 | 1].flags;
    IrRef result = e->n << 2;
    unsigned dst, saved = NO_REG, target, rb;
    uint64_t c;
    bool by_imm = ir_is_const(e->ir, in->arg[2], &c);

    rb = x86_load(e, in->arg[1]);
    dst = x86_dst(e, result, in->arg[0], false);
    target = dst;
    if (!in_reg(e, in->arg[0], dst) &&
        (dst == rb || (!by_imm && in_reg(e, in->arg[2], dst)))) {
        target = x86_alloc(e, false);
    } else if (dst == RCX && !by_imm) {
        target = x86_alloc(e, false);
    }
    if (!in_reg(e, in->arg[0], target)) {
        if (target == dst) {
            x86_drop_reg(e, dst);
        }
        x86_load_into(e, target, in->arg[0], in->w == W32 ? W32 : W64);
    }
    saved = by_imm ? NO_REG : room_for_rcx(e, in->arg[2], dst != RCX || rb == RCX);
    shift_old_flags(e, in->arg[3], by_imm && (c & (in->w == W64 ? 63 : 31)) ? 0 : out);
    if (!by_imm) {
        if (rb == RCX && saved == IN_MEMORY) {
            x86_fail(e, TCG_EMIT_UNSUPPORTED, "an op wants more registers than there are");
            e->short_of_registers = true;
        }
        count_in_cl(e, in->arg[2], saved);
        rb = rb == RCX && saved != NO_REG ? saved : rb;
    }
    x86_clobber_flags(e);
    x86_rr(&e->a, row->op | (by_imm ? 0 : 1), in->w, rb, target);
    if (by_imm) {
        x86_byte(&e->a, (uint8_t)c);
    }
    restore_rcx(e, saved);
    if (target != dst) {
        x86_mov(&e->a, dst, target);
    }
    x86_bind(e, result, dst);
    made(e, 1);
}

/* dst := a op b by VEX: row->digit 0: a in vvvv, b in rm; 1: a in rm, b in vvvv. */
void x86_op_vex(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    unsigned ra = x86_load(e, in->arg[0]), rb = x86_load(e, in->arg[1]);
    unsigned dst = x86_dst(e, e->n << 2, in->arg[0], false);
    bool flags = ir_ops[in->op].num_results > 1;

    if (flags) {
        x86_clobber_flags(e);
    }
    x86_vex_rr(&e->a, row->op | (in->w == W64 ? X_W : 0), dst, row->digit ? rb : ra,
               row->digit ? ra : rb);
    x86_bind(e, e->n << 2, dst);
    if (flags) {
        made(e, 1);
    }
}

/* blsi and the like: dst in vvvv, /digit. */
void x86_op_vex_unary(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    unsigned ra = x86_load(e, in->arg[0]), dst = x86_dst(e, e->n << 2, in->arg[0], false);

    x86_clobber_flags(e);
    x86_vex_rr(&e->a, row->op | (in->w == W64 ? X_W : 0), row->digit, dst, ra);
    x86_bind(e, e->n << 2, dst);
    made(e, 1);
}

void x86_op_mul(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    IrRef a = in->arg[0], result = e->n << 2;
    Access acc;
    unsigned dst;
    Opnd b;

    if (x86_take_folded(e, in->arg[1], &acc)) {
        if (!ir_is_inline(a) && e->val[a].reg != NO_REG) {
            x86_lock(e, e->val[a].reg);
        }
        dst = faulting_dst(e, a);
        prepare_dst(e, dst, a, NULL, in->w);
        x86_map_fault(e);
        x86_replace_flags(e);
        x86_rm(&e->a, 0xaf | X_0F, in->w, dst, &acc.m);
        x86_access_done(e, &acc);
        x86_bind(e, result, dst);
        made(e, 1);
        return;
    }
    b = x86_operand(e, in->arg[1], in->w);

    if (!ir_is_inline(a) && e->val[a].reg != NO_REG) {
        x86_lock(e, e->val[a].reg);
    }
    dst = x86_dst(e, result, a, false);
    if (b.kind == K_IMM && in->w >= W32) {
        /* imul dst, a, imm */
        unsigned ra = ir_is_inline(a) ? dst : x86_load(e, a);
        bool small = (in->w == W32 ? (int64_t)(int32_t)b.imm : (int64_t)b.imm) == (int8_t)b.imm;
        if (ir_is_inline(a)) {
            x86_load_into(e, dst, a, in->w);
        }
        x86_clobber_flags(e);
        x86_rr(&e->a, small ? 0x6b : 0x69, in->w, dst, ra);
        x86_imm(&e->a, small ? W8 : in->w, b.imm);
    } else {
        if (b.kind == K_IMM) {
            b = (Opnd){ .kind = K_REG, .reg = (uint8_t)x86_load(e, in->arg[1]) };
        }
        if (b.kind == K_REG && b.reg == dst && !in_reg(e, a, dst) && in->w >= W32) {
            b = x86_operand_rm(e, a);
        } else {
            prepare_dst(e, dst, a, &b, in->w);
        }
        x86_clobber_flags(e);
        if (b.kind == K_REG) {
            x86_rr(&e->a, 0xaf | X_0F, in->w, dst, b.reg);
        } else {
            x86_rm(&e->a, 0xaf | X_0F, in->w, dst, &b.mem);
        }
    }
    x86_bind(e, result, dst);
    made(e, 1);
}

/*
 * Ops whose results come in rax and rdx. A home among them that is not what the result is for is
 * kept in a scratch and exchanged with the result afterwards.
 */
typedef struct {
    unsigned keep[2];   /* scratch with the old content, or NO_REG */
} Fixed;

static bool goes_home(X86Emit *e, IrRef result, unsigned reg)
{
    const Val *v = &e->val[result];
    IrRef held = e->reg_val[reg];

    return v->hint != NO_GLOBAL && e->home[v->hint] == reg &&
           !(held != IR_NONE && e->val[held].last > e->n);
}

static Fixed fixed_begin(X86Emit *e, bool both)
{
    Fixed f = { { NO_REG, NO_REG } };

    for (unsigned i = 0; i < (both ? 2u : 1u); i++) {
        unsigned reg = i ? RDX : RAX;
        IrRef result = e->n << 2 | i;
        x86_lock(e, reg);
        if (goes_home(e, result, reg)) {
            e->overwritten |= 1u << reg;
            x86_lose_value(e, e->reg_val[reg]);
        } else if ((e->scratch >> reg & 1) == 0 || x86_live_after(e, e->reg_val[reg])) {
            f.keep[i] = x86_alloc(e, false);
            x86_mov(&e->a, f.keep[i], reg);
        } else {
            e->overwritten |= 1u << reg;
            x86_lose_value(e, e->reg_val[reg]);
        }
    }
    return f;
}

static void fixed_end(X86Emit *e, Fixed f, bool both)
{
    for (unsigned i = 0; i < (both ? 2u : 1u); i++) {
        unsigned reg = i ? RDX : RAX, at = reg;
        IrRef result = e->n << 2 | i;
        if (f.keep[i] != NO_REG) {
            x86_rr(&e->a, 0x87, W64, f.keep[i], reg); /* xchg */
            at = f.keep[i];
        }
        if (ir_ops[ir_def(e->ir, result)->op].results[i] == 'i') {
            x86_bind(e, result, at);
        }
    }
}

/* Argument ref as a register or memory that is neither rax nor rdx. */
static Opnd fixed_operand(X86Emit *e, IrRef ref)
{
    Opnd o;

    x86_lock(e, RAX);
    x86_lock(e, RDX);
    o = x86_operand_rm(e, ref);
    if (o.kind == K_REG && (o.reg == RAX || o.reg == RDX)) {
        unsigned t = x86_alloc(e, false);
        x86_mov(&e->a, t, o.reg);
        o.reg = (uint8_t)t;
    }
    return o;
}

static void group3(X86Emit *e, IrWidth w, unsigned digit, const Opnd *b)
{
    uint32_t op = 0xf6 | (w == W8 ? X_RM8 : 1);

    if (b->kind == K_REG) {
        x86_rr(&e->a, op, w, digit, b->reg);
    } else {
        x86_rm(&e->a, op, w, digit, &b->mem);
    }
}

void x86_op_wide(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    Opnd b = fixed_operand(e, in->arg[1]);
    bool both = in->w != W8;
    Fixed f;

    if (in->w == W8) {
        /* One result; the high byte of it is the second. */
        f = fixed_begin(e, false);
        x86_load_into(e, RAX, in->arg[0], W64);
        x86_clobber_flags(e);
        group3(e, W8, row->digit, &b);
        fixed_end(e, f, false);
        made(e, 2);
        if (value_used(e, 1)) {
            unsigned t = x86_alloc(e, false);
            x86_clobber_flags(e);
            x86_mov(&e->a, t, e->val[e->n << 2].reg);
            x86_rr(&e->a, 0xb7 | X_0F, W32, t, t);
            x86_rr(&e->a, 0xc1, W32, 5, t);
            x86_byte(&e->a, 8);
            x86_bind(e, e->n << 2 | 1, t);
        }
        return;
    }
    f = fixed_begin(e, both);
    x86_load_into(e, RAX, in->arg[0], W64);
    x86_clobber_flags(e);
    group3(e, in->w, row->digit, &b);
    if (in->w == W16) {
        x86_rr(&e->a, 0xb7 | X_0F, W32, RDX, RDX);
    }
    fixed_end(e, f, both);
    made(e, 2);
}

/* 8-bit division: of ax, results in al and ah. Keeps rax whatever it is. */
static void divide_byte(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    Opnd d = fixed_operand(e, in->arg[2]);
    unsigned keep = x86_alloc(e, false), quotient = x86_alloc(e, false);

    x86_flags_for_fault(e);
    x86_mov(&e->a, keep, RAX);
    x86_load_into(e, RAX, in->arg[0], W64);
    x86_mov(&e->a, quotient, RAX);
    x86_map_fault(e);
    x86_replace_flags(e);
    group3(e, W8, row->digit, &d);
    x86_rr(&e->a, 0x8a | X_REG8 | X_RM8, W8, quotient, RAX);
    x86_rr(&e->a, 0xb6 | X_0F, W32, RAX, RSP); /* movzx eax, ah */
    x86_rr(&e->a, 0x87, W64, keep, RAX);
    x86_bind(e, e->n << 2, quotient);
    x86_bind(e, e->n << 2 | 1, keep);
}

/* SDM DIV: a divide error is a fault of the host too, which the runtime hands to the guest. */
void x86_op_divide(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    bool lo_in_rdx = in_reg(e, in->arg[0], RDX), hi_in_rax = in_reg(e, in->arg[1], RAX);
    Opnd d;
    Fixed f;

    if (in->w == W8) {
        divide_byte(e, in, row);
        return;
    }
    d = fixed_operand(e, in->arg[2]);
    x86_flags_for_fault(e);
    f = fixed_begin(e, true);
    if (lo_in_rdx && hi_in_rax) {
        x86_rr(&e->a, 0x87, W64, RAX, RDX);
    } else if (lo_in_rdx) {
        x86_mov(&e->a, RAX, RDX);
        x86_load_into(e, RDX, in->arg[1], W64);
    } else {
        x86_load_into(e, RDX, in->arg[1], W64);
        x86_load_into(e, RAX, in->arg[0], W64);
    }
    x86_map_fault(e);
    x86_replace_flags(e);
    group3(e, in->w, row->digit, &d);
    if (in->w == W16) {
        x86_rr(&e->a, 0xb7 | X_0F, W32, RDX, RDX);
    }
    fixed_end(e, f, true);
}

void x86_op_bit_test(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    bool plain = in->op == IR_bt;
    uint32_t out = e->val[e->n << 2 | (plain ? 0 : 1)].flags;
    IrRef a = in->arg[0];
    uint64_t c;
    bool by_imm = ir_is_const(e->ir, in->arg[1], &c);
    Opnd b = { .kind = K_IMM };
    unsigned ra;

    if (!by_imm) {
        b = (Opnd){ .kind = K_REG, .reg = (uint8_t)x86_load(e, in->arg[1]) };
    }
    if (plain) {
        ra = x86_load(e, a);
    } else {
        if (!ir_is_inline(a) && e->val[a].reg != NO_REG) {
            x86_lock(e, e->val[a].reg);
        }
        ra = x86_dst(e, e->n << 2, a, false);
        prepare_dst(e, ra, a, &b, in->w);
    }
    if (out & IR_Z) {
        x86_need_flags(e, in->arg[2]);
    }
    x86_clobber_flags(e);
    if (by_imm) {
        x86_rr(&e->a, 0xba | X_0F, in->w, row->digit, ra);
        x86_byte(&e->a, (unsigned)c & (in->w == W64 ? 63 : in->w == W32 ? 31 : 15));
    } else {
        x86_rr(&e->a, row->op, in->w, b.reg, ra);
    }
    if (!plain) {
        x86_bind(e, e->n << 2, ra);
    }
    made(e, plain ? 0 : 1);
}

/* bsf bsr tzcnt lzcnt popcnt: of argument 1 into argument 0. */
void x86_op_scan(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    bool keeps = in->op == IR_bsf || in->op == IR_bsr || in->w == W16;
    unsigned dst;
    Opnd b;

    if (keeps && !ir_is_inline(in->arg[0]) && e->val[in->arg[0]].reg != NO_REG) {
        x86_lock(e, e->val[in->arg[0]].reg);
    }
    b = x86_operand_rm(e, in->arg[1]);
    dst = x86_dst(e, e->n << 2, keeps ? in->arg[0] : IR_NONE, false);
    if (keeps) {
        prepare_dst(e, dst, in->arg[0], &b, W64);
    }
    x86_clobber_flags(e);
    if (b.kind == K_REG) {
        x86_rr(&e->a, row->op, in->w, dst, b.reg);
    } else {
        x86_rm(&e->a, row->op, in->w, dst, &b.mem);
    }
    x86_bind(e, e->n << 2, dst);
    made(e, 1);
}

void x86_op_crc32(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    unsigned dst, rb = x86_load(e, in->arg[1]);
    Opnd b = { .kind = K_REG, .reg = (uint8_t)rb };

    if (!ir_is_inline(in->arg[0]) && e->val[in->arg[0]].reg != NO_REG) {
        x86_lock(e, e->val[in->arg[0]].reg);
    }
    dst = x86_dst(e, e->n << 2, in->arg[0], false);
    prepare_dst(e, dst, in->arg[0], &b, W64);
    if (in->w == W16) {
        x86_byte(&e->a, 0x66);
    }
    x86_rr(&e->a, row->op | (in->w == W8 ? X_RM8 : 1), in->w == W64 ? W64 : W32, dst, b.reg);
    x86_bind(e, e->n << 2, dst);
}

void x86_op_mov(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    Access acc;
    unsigned dst;
    Opnd b;

    if (e->folded_cond && in->arg[1] == e->folded_cond << 2) {
        const IrInsn *cond = &e->ir->insns[e->folded_cond];
        e->folded_cond = 0;
        dst = x86_dst(e, e->n << 2, in->arg[0], false);
        prepare_dst(e, dst, in->arg[0], NULL, W64);
        x86_need_flags(e, cond->arg[0]);
        x86_rr(&e->a, 0x90 | cond->aux | X_0F | X_RM8, W8, 0, dst);
        x86_bind(e, e->n << 2, dst);
        return;
    }
    if (x86_take_folded(e, in->arg[1], &acc)) {
        if (!ir_is_inline(in->arg[0]) && e->val[in->arg[0]].reg != NO_REG) {
            x86_lock(e, e->val[in->arg[0]].reg);
        }
        dst = faulting_dst(e, in->arg[0]);
        prepare_dst(e, dst, in->arg[0], NULL, in->w);
        x86_map_fault(e);
        x86_rm(&e->a, in->w == W8 ? 0x8a | X_REG8 : 0x8b, in->w, dst, &acc.m);
        x86_access_done(e, &acc);
        x86_bind(e, e->n << 2, dst);
        return;
    }

    if (!ir_is_inline(in->arg[0]) && e->val[in->arg[0]].reg != NO_REG) {
        x86_lock(e, e->val[in->arg[0]].reg);
    }
    b = x86_operand(e, in->arg[1], in->w);
    dst = x86_dst(e, e->n << 2, in->arg[0], false);
    prepare_dst(e, dst, in->arg[0], &b, in->w);
    if (b.kind == K_IMM) {
        x86_rr(&e->a, in->w == W8 ? 0xc6 | X_RM8 : 0xc7, in->w, 0, dst);
        x86_imm(&e->a, in->w, b.imm);
    } else if (b.kind == K_REG) {
        x86_rr(&e->a, in->w == W8 ? 0x8a | X_REG8 | X_RM8 : 0x8b, in->w, dst, b.reg);
    } else {
        x86_rm(&e->a, in->w == W8 ? 0x8a | X_REG8 : 0x8b, in->w, dst, &b.mem);
    }
    x86_bind(e, e->n << 2, dst);
}

void x86_op_extend(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    static const uint32_t ops[2][4] = {
        { 0xb6 | X_0F | X_RM8, 0xb7 | X_0F, 0x8b, 0x8b },  /* movzx, mov */
        { 0xbe | X_0F | X_RM8, 0xbf | X_0F, 0x63, 0x8b },  /* movsx, movsxd, mov */
    };
    bool sign = in->op == IR_sext, wide = sign || in->w == W64;
    Opnd b = x86_operand_rm(e, in->arg[0]);
    unsigned dst = x86_dst(e, e->n << 2, in->arg[0], false);

    if (b.kind == K_REG) {
        x86_rr(&e->a, ops[sign][in->w], wide ? W64 : W32, dst, b.reg);
    } else {
        x86_rm(&e->a, ops[sign][in->w], wide ? W64 : W32, dst, &b.mem);
    }
    x86_bind(e, e->n << 2, dst);
}

/* dst := src rotated right by n; keeps flags where the host can. */
static void rotate_right(X86Emit *e, unsigned dst, unsigned src, unsigned n)
{
    if (x86_host_features() & HOST_BMI2) {
        x86_vex_rr(&e->a, 0xf0 | X_0F3A | X_F2 | X_W, dst, NO_REG, src);
    } else {
        x86_clobber_flags(e);
        x86_mov(&e->a, dst, src);
        x86_rr(&e->a, 0xc1, W64, 1, dst);
    }
    x86_byte(&e->a, n & 63);
}

/* dst := its low len bits; keeps flags for 8, 16 and 32. */
static void keep_low(X86Emit *e, unsigned dst, unsigned len)
{
    if (len == 8 || len == 16) {
        x86_rr(&e->a, len == 8 ? 0xb6 | X_0F | X_RM8 : 0xb7 | X_0F, W32, dst, dst);
    } else if (len == 32) {
        x86_rr(&e->a, 0x8b, W32, dst, dst);
    } else if (len < 64) {
        x86_clobber_flags(e);
        x86_rr(&e->a, 0xc1, W64, 4, dst);
        x86_byte(&e->a, 64 - len);
        x86_rr(&e->a, 0xc1, W64, 5, dst);
        x86_byte(&e->a, 64 - len);
    }
}

void x86_op_extract(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    unsigned pos = in->imm & 0xff, len = in->imm >> 8 & 0xff;
    unsigned src = x86_load(e, in->arg[0]), dst = x86_dst(e, e->n << 2, in->arg[0], false);

    if (pos == 8 && len == 8 && src <= RBX && dst < 8) {
        x86_rr(&e->a, 0xb6 | X_0F, W32, dst, src | 4); /* movzx dst, ah and the like */
    } else if (pos + len == 64 && len != 32 && !x86_flags_live(e, e->ef)) {
        x86_mov(&e->a, dst, src);
        x86_clobber_flags(e);
        x86_rr(&e->a, 0xc1, W64, 5, dst);
        x86_byte(&e->a, pos);
    } else {
        if (pos) {
            rotate_right(e, dst, src, pos);
        } else {
            x86_mov(&e->a, dst, src);
        }
        keep_low(e, dst, len);
    }
    x86_bind(e, e->n << 2, dst);
}

void x86_op_deposit(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    unsigned pos = in->imm & 0xff, len = in->imm >> 8 & 0xff, dst;
    unsigned rb = x86_load(e, in->arg[1]);
    Opnd b = { .kind = K_REG, .reg = (uint8_t)rb };
    IrRef a = in->arg[0];

    if (!ir_is_inline(a) && e->val[a].reg != NO_REG) {
        x86_lock(e, e->val[a].reg);
    }
    dst = x86_dst(e, e->n << 2, a, false);
    prepare_dst(e, dst, a, &b, W64);
    if (len == 8 && pos == 8 && dst <= RBX && b.reg <= RBX) {
        x86_rr(&e->a, 0x8a, W8, dst | 4, b.reg); /* mov ah, bl and the like */
    } else if (len == 8 || len == 16) {
        if (b.reg == dst) {
            b.reg = (uint8_t)x86_alloc(e, false);
            x86_mov(&e->a, b.reg, dst);
        }
        rotate_right(e, dst, dst, pos);
        x86_rr(&e->a, len == 8 ? 0x8a | X_REG8 | X_RM8 : 0x8b, len == 8 ? W8 : W16, dst, b.reg);
        if (pos) {
            rotate_right(e, dst, dst, 64 - pos);
        }
    } else {
        /* The bits of b shifted in from the top: rotate, shift out len, or in. */
        unsigned t = b.reg == dst ? x86_alloc(e, false) : b.reg;
        x86_clobber_flags(e);
        x86_mov(&e->a, t, b.reg);
        x86_rr(&e->a, 0xc1, W64, 1, dst); /* ror dst, pos */
        x86_byte(&e->a, pos & 63);
        if (len < 64) {
            x86_rr(&e->a, 0xac | X_0F, W64, t, dst); /* shrd dst, t, len: field now on top */
            x86_byte(&e->a, len);
            x86_rr(&e->a, 0xc1, W64, 0, dst); /* rol by pos + len */
            x86_byte(&e->a, (pos + len) & 63);
        } else {
            x86_mov(&e->a, dst, t);
        }
    }
    x86_bind(e, e->n << 2, dst);
}

void x86_op_lea(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    X86Mem m = { .base = NO_REG, .index = NO_REG, .scale = in->aux };
    int64_t disp = in->w == W64 ? (int64_t)in->imm : (int32_t)in->imm;
    unsigned dst, big = NO_REG;

    if (in->arg[0] != IR_NONE) {
        m.base = (uint8_t)x86_load(e, in->arg[0]);
    }
    if (in->arg[1] != IR_NONE) {
        m.index = (uint8_t)x86_load(e, in->arg[1]);
    }
    dst = x86_dst(e, e->n << 2, in->arg[0], false);
    if (disp != (int32_t)disp) {
        big = dst != m.base && dst != m.index ? dst : x86_alloc(e, false);
        x86_mov_imm(&e->a, big, (uint64_t)disp);
        disp = 0;
    }
    m.disp = (int32_t)disp;
    if (big != NO_REG && m.base != NO_REG && m.index != NO_REG) {
        X86Mem add = { .base = (uint8_t)big, .index = m.base };
        x86_rm(&e->a, 0x8d, W64, big, &add);
        m.base = (uint8_t)big;
    } else if (big != NO_REG && m.base == NO_REG) {
        m.base = (uint8_t)big;
    } else if (big != NO_REG) {
        m.index = (uint8_t)big;
        m.scale = 0;
    }
    x86_rm(&e->a, 0x8d, in->w == W64 ? W64 : W32, dst, &m);
    if (in->w == W16) {
        x86_rr(&e->a, 0xb7 | X_0F, W32, dst, dst);
    }
    x86_bind(e, e->n << 2, dst);
}

void x86_op_bswap(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    unsigned dst = x86_dst(e, e->n << 2, in->arg[0], false);

    prepare_dst(e, dst, in->arg[0], NULL, in->w);
    x86_byte(&e->a, 0x40 | (in->w == W64) << 3 | dst >> 3);
    x86_byte(&e->a, 0x0f);
    x86_byte(&e->a, 0xc8 | (dst & 7));
    x86_bind(e, e->n << 2, dst);
}

/* The image of f, masked to IR_FLAGS, in a scratch register. EFLAGS is destroyed. */
static unsigned flags_image(X86Emit *e, IrRef f)
{
    unsigned t = x86_alloc(e, false);

    if (ir_is_inline(f)) {
        x86_mov_imm(&e->a, t, (uint32_t)ir_inline_value(f));
        return t;
    }
    x86_need_flags(e, f);
    x86_byte(&e->a, 0x9c);
    if (t >= 8) {
        x86_byte(&e->a, 0x41);
    }
    x86_byte(&e->a, 0x58 | (t & 7));
    return t;
}

static void alu_imm(X86Emit *e, unsigned digit, unsigned reg, uint32_t v)
{
    Opnd o = { .kind = K_IMM, .imm = v };

    x86_alu(e, digit, W32, reg, &o);
}

/* EFLAGS from an image in reg. */
static void image_to_flags(X86Emit *e, unsigned reg)
{
    Asm *a = &e->a;

    x86_byte(a, 0x50);
    if (reg != RAX) {
        x86_rr(a, 0x8b, W32, RAX, reg);
    }
    x86_rr(a, 0xc1, W16, 0, RAX);
    x86_byte(a, 8);
    x86_rr(a, 0x80, W8, 4, RAX);
    x86_byte(a, 8);
    x86_byte(a, 0x04);
    x86_byte(a, 0x78);
    x86_byte(a, 0x9e);
    x86_byte(a, 0x58);
}

void x86_op_fmerge(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    uint32_t mask = (uint32_t)in->imm & IR_FLAGS, out = e->val[e->n << 2].flags;
    unsigned t0, t1;
    Opnd o;

    if (!(out & mask) || !(out & ~mask)) {
        /* Only one of them matters: EFLAGS of it will do. */
        x86_need_flags(e, in->arg[out & mask ? 1 : 0]);
        x86_clobber_flags(e);
        made(e, 0);
        return;
    }
    /* The one in EFLAGS first: this op is its last use, so nothing would save it. */
    if (e->ef == in->arg[0]) {
        t0 = flags_image(e, in->arg[0]);
        t1 = flags_image(e, in->arg[1]);
    } else {
        t1 = flags_image(e, in->arg[1]);
        t0 = flags_image(e, in->arg[0]);
    }
    x86_clobber_flags(e);
    alu_imm(e, 4, t1, mask);
    alu_imm(e, 4, t0, IR_FLAGS & ~mask);
    o = (Opnd){ .kind = K_REG, .reg = (uint8_t)t1 };
    x86_alu(e, 1, W32, t0, &o);
    image_to_flags(e, t0);
    made(e, 0);
}

void x86_op_fnot(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    unsigned t;

    if (in->imm == IR_C) {
        x86_need_flags(e, in->arg[0]);
        x86_clobber_flags(e);
        x86_byte(&e->a, 0xf5); /* cmc */
    } else {
        t = flags_image(e, in->arg[0]);
        x86_clobber_flags(e);
        alu_imm(e, 6, t, (uint32_t)in->imm & IR_FLAGS);
        image_to_flags(e, t);
    }
    made(e, 0);
}

void x86_op_fput(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    unsigned r = x86_load(e, in->arg[0]);

    x86_clobber_flags(e);
    image_to_flags(e, r);
    made(e, 0);
}

void x86_op_fint(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    unsigned t = flags_image(e, in->arg[0]);

    x86_clobber_flags(e);
    alu_imm(e, 4, t, IR_FLAGS);
    x86_bind(e, e->n << 2, t);
}

/* A condition that only goes into a byte: setcc of that byte. */
static bool fold_cond(X86Emit *e, const IrInsn *in)
{
    IrRef ref = e->n << 2, f = in->arg[0];
    uint32_t n2 = x86_next_op(e, e->n);
    const IrInsn *mov = &e->ir->insns[n2];

    if (!n2 || mov->op != IR_mov || mov->w != W8 || mov->arg[1] != ref || mov->arg[0] == ref ||
        e->val[ref].uses != 1 || e->val[ref].last != n2) {
        return false;
    }
    if (!ir_is_inline(f) && e->val[f].last < n2) {
        e->val[f].last = (uint16_t)n2;
    }
    e->folded_cond = e->n;
    return true;
}

void x86_op_cond(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    unsigned dst;

    if (fold_cond(e, in)) {
        return;
    }
    dst = x86_dst(e, e->n << 2, IR_NONE, false);

    x86_need_flags(e, in->arg[0]);
    x86_rr(&e->a, 0x90 | in->aux | X_0F | X_RM8, W8, 0, dst);
    x86_rr(&e->a, 0xb6 | X_0F | X_RM8, W32, dst, dst);
    x86_bind(e, e->n << 2, dst);
}

/* cmovcc; W8 and W16 select whole registers after the merge of argument 1 into a copy of argument 0. */
void x86_op_select(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    IrRef a = in->arg[0], result = e->n << 2;
    unsigned dst;
    Opnd b;

    b = x86_operand_rm(e, in->arg[1]);
    if (in->w < W32) {
        unsigned t = x86_alloc(e, false);
        x86_load_into(e, t, a, W64);
        e->locked &= b.kind == K_REG ? ~(1u << b.reg) : ~0u; /* read here for the last time */
        if (b.kind == K_REG) {
            x86_rr(&e->a, in->w == W8 ? 0x8a | X_REG8 | X_RM8 : 0x8b, in->w, t, b.reg);
        } else {
            x86_rm(&e->a, in->w == W8 ? 0x8a | X_REG8 : 0x8b, in->w, t, &b.mem);
        }
        b = (Opnd){ .kind = K_REG, .reg = (uint8_t)t };
    }
    dst = x86_dst(e, result, a, false);
    prepare_dst(e, dst, a, &b, in->w);
    x86_need_flags(e, in->arg[2]);
    if (b.kind == K_REG) {
        x86_rr(&e->a, 0x40 | in->aux | X_0F, in->w == W32 ? W32 : W64, dst, b.reg);
    } else {
        x86_rm(&e->a, 0x40 | in->aux | X_0F, in->w == W32 ? W32 : W64, dst, &b.mem);
    }
    x86_bind(e, result, dst);
}

/* lds and sts. */
void x86_op_state(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    X86Mem m = x86_state((int64_t)in->imm);
    Opnd b;

    if (in->op == IR_lds) {
        static const uint32_t ops[] = { 0xb6 | X_0F, 0xb7 | X_0F, 0x8b, 0x8b };
        unsigned dst = x86_dst(e, e->n << 2, IR_NONE, false);
        x86_rm(&e->a, ops[in->w], in->w == W64 ? W64 : W32, dst, &m);
        x86_bind(e, e->n << 2, dst);
        return;
    }
    b = x86_operand(e, in->arg[0], in->w);
    if (b.kind == K_MEM) {
        b = (Opnd){ .kind = K_REG, .reg = (uint8_t)x86_load(e, in->arg[0]) };
    }
    if (b.kind == K_IMM) {
        x86_rm(&e->a, in->w == W8 ? 0xc6 : 0xc7, in->w, 0, &m);
        x86_imm(&e->a, in->w, b.imm);
    } else {
        x86_rm(&e->a, in->w == W8 ? 0x88 | X_REG8 : 0x89, in->w, b.reg, &m);
    }
}
