/*
 * Integer arithmetic, logic, shifts, bits, multiplication, decimal: bodies of rows of decode.def. SDM vol. 2. Flags that the
 * manual leaves undefined are the IR op's business (tcg/ops.def) and stand in the row.
 */
#include "target/i386/gen.h"

/* dst op src with flags; the IR op of ALU_* */
static IrRef alu_op(X86Gen *g, unsigned op, IrWidth w, IrRef a, IrRef b, IrRef *f)
{
    switch (op) {
    case ALU_ADD:
        return ir_add(g->r, w, a, b, f);
    case ALU_OR:
        return ir_or(g->r, w, a, b, f);
    case ALU_ADC:
        return ir_adc(g->r, w, a, b, ir_getf(g->r), f);
    case ALU_SBB:
        return ir_sbb(g->r, w, a, b, ir_getf(g->r), f);
    case ALU_AND:
        return ir_and(g->r, w, a, b, f);
    case ALU_SUB:
        return ir_sub(g->r, w, a, b, f);
    default:
        return ir_xor(g->r, w, a, b, f);
    }
}

static void alu_locked(X86Gen *g, unsigned op, IrWidth w, IrAddr m, IrRef b, IrRef *f)
{
    switch (op) {
    case ALU_ADD:
        ir_rmw_add(g->r, w, m, b, f);
        break;
    case ALU_OR:
        ir_rmw_or(g->r, w, m, b, f);
        break;
    case ALU_ADC:
        ir_rmw_adc(g->r, w, m, b, ir_getf(g->r), f);
        break;
    case ALU_SBB:
        ir_rmw_sbb(g->r, w, m, b, ir_getf(g->r), f);
        break;
    case ALU_AND:
        ir_rmw_and(g->r, w, m, b, f);
        break;
    case ALU_SUB:
        ir_rmw_sub(g->r, w, m, b, f);
        break;
    default:
        ir_rmw_xor(g->r, w, m, b, f);
        break;
    }
}

/* The memory operand of operand 0, which is read and written. */
static IrAddr dest_mem(X86Gen *g)
{
    return g_mem(g, x86_operand_bytes(&g->in, 0), true);
}

void gen_alu(X86Gen *g)
{
    unsigned op = (unsigned)g->in.row->arg;
    IrWidth w = g_width(g, 0);
    IrRef f, a, b;

    if (g_locked(g)) {
        alu_locked(g, op, w, dest_mem(g), g_load(g, 1), &f);
    } else {
        a = g_load_rmw(g, 0);
        b = g_load(g, 1);
        g_store_result(g, 0, alu_op(g, op, w, a, b, &f));
    }
    ir_setf(g->r, f);
}

void gen_cmp(X86Gen *g)
{
    IrRef a = g_load(g, 0), b = g_load(g, 1);

    ir_setf(g->r, ir_cmp(g->r, g_width(g, 0), a, b));
}

void gen_test(X86Gen *g)
{
    IrRef a = g_load(g, 0), b = g_load(g, 1);

    ir_setf(g->r, ir_test(g->r, g_width(g, 0), a, b));
}

void gen_inc(X86Gen *g)
{
    IrWidth w = g_width(g, 0);
    IrRef f;

    if (g_locked(g)) {
        ir_rmw_inc(g->r, w, dest_mem(g), ir_getf(g->r), &f);
    } else {
        IrRef a = g_load_rmw(g, 0);
        g_store_result(g, 0, ir_inc(g->r, w, a, ir_getf(g->r), &f));
    }
    ir_setf(g->r, f);
}

void gen_dec(X86Gen *g)
{
    IrWidth w = g_width(g, 0);
    IrRef f;

    if (g_locked(g)) {
        ir_rmw_dec(g->r, w, dest_mem(g), ir_getf(g->r), &f);
    } else {
        IrRef a = g_load_rmw(g, 0);
        g_store_result(g, 0, ir_dec(g->r, w, a, ir_getf(g->r), &f));
    }
    ir_setf(g->r, f);
}

void gen_neg(X86Gen *g)
{
    IrWidth w = g_width(g, 0);
    IrRef f;

    if (g_locked(g)) {
        ir_rmw_neg(g->r, w, dest_mem(g), &f);
    } else {
        g_store_result(g, 0, ir_neg(g->r, w, g_load_rmw(g, 0), &f));
    }
    ir_setf(g->r, f);
}

void gen_not(X86Gen *g)
{
    IrWidth w = g_width(g, 0);

    if (g_locked(g)) {
        ir_rmw_not(g->r, w, dest_mem(g));
    } else {
        g_store_result(g, 0, ir_not(g->r, w, g_load_rmw(g, 0)));
    }
}

void gen_adcx(X86Gen *g) /* arg: the flag that is the carry, IR_C or IR_O */
{
    IrRef a = g_load(g, 0), b = g_load(g, 1), f = ir_getf(g->r), carry = f, c;
    IrRegion *r = g->r;

    if (g->in.row->arg == IR_O) {
        carry = ir_fput(r, ir_cond(r, f, COND_O));
    }
    g_store_result(g, 0, ir_adc(r, g_width(g, 0), a, b, carry, &c));
    if (g->in.row->arg == IR_O) {
        c = ir_fput(r, ir_deposit(r, g_imm(g, 0), ir_cond(r, c, COND_C), 11 | 1 << 8));
    }
    ir_setf(r, ir_fmerge(r, f, c, g->in.row->arg));
}

/* Shifts */

static IrRef shift_op(X86Gen *g, IrWidth w, IrRef a, IrRef n, IrRef *f)
{
    IrRef old = ir_getf(g->r);

    switch (g->in.row->arg) {
    case SHIFT_ROL:
        return ir_rol(g->r, w, a, n, old, f);
    case SHIFT_ROR:
        return ir_ror(g->r, w, a, n, old, f);
    case SHIFT_RCL:
        return ir_rcl(g->r, w, a, n, old, f);
    case SHIFT_RCR:
        return ir_rcr(g->r, w, a, n, old, f);
    case SHIFT_SHL:
        return ir_shl(g->r, w, a, n, old, f);
    case SHIFT_SHR:
        return ir_shr(g->r, w, a, n, old, f);
    default:
        return ir_sar(g->r, w, a, n, old, f);
    }
}

void gen_shift(X86Gen *g)
{
    IrRef f, a = g_load_rmw(g, 0), n = g_load(g, 1);

    g_store_result(g, 0, shift_op(g, g_width(g, 0), a, n, &f));
    ir_setf(g->r, f);
}

void gen_shift_double(X86Gen *g) /* arg: right */
{
    IrRef f, a = g_load_rmw(g, 0), b = g_load(g, 1), n = g_load(g, 2), old = ir_getf(g->r), v;
    IrWidth w = g_width(g, 0);

    v = g->in.row->arg ? ir_shrd(g->r, w, a, b, n, old, &f) : ir_shld(g->r, w, a, b, n, old, &f);
    g_store_result(g, 0, v);
    ir_setf(g->r, f);
}

/* Bits */

static IrRef bit_op(X86Gen *g, IrWidth w, IrRef a, IrRef n, IrRef old, IrRef *f)
{
    switch (g->in.row->arg) {
    case BIT_BTS:
        return ir_bts(g->r, w, a, n, old, f);
    case BIT_BTR:
        return ir_btr(g->r, w, a, n, old, f);
    default:
        return ir_btc(g->r, w, a, n, old, f);
    }
}

static void bit_locked(X86Gen *g, IrWidth w, IrAddr m, IrRef n, IrRef *f)
{
    IrRef old = ir_getf(g->r);

    m = g_one_register(g, m);
    switch (g->in.row->arg) {
    case BIT_BTS:
        ir_rmw_bts(g->r, w, m, n, old, f);
        break;
    case BIT_BTR:
        ir_rmw_btr(g->r, w, m, n, old, f);
        break;
    default:
        ir_rmw_btc(g->r, w, m, n, old, f);
        break;
    }
}

static void bit_memory(X86Gen *g, IrWidth w, IrAddr m, IrRef n)
{
    IrRef f;

    if (g_locked(g)) {
        bit_locked(g, w, m, n, &f);
    } else {
        IrRef a = ir_ld(g->r, w, m);
        if (g->in.row->arg == BIT_BT) {
            f = ir_bt(g->r, w, a, n, ir_getf(g->r));
        } else {
            ir_st(g->r, w, m, bit_op(g, w, a, n, ir_getf(g->r), &f));
        }
    }
    ir_setf(g->r, f);
}

static void bit_register(X86Gen *g, IrWidth w, IrRef n)
{
    IrRef f, a = g_load(g, 0);

    if (g->in.row->arg == BIT_BT) {
        f = ir_bt(g->r, w, a, n, ir_getf(g->r));
    } else {
        g_store_result(g, 0, bit_op(g, w, a, n, ir_getf(g->r), &f));
    }
    ir_setf(g->r, f);
}

void gen_bit_imm(X86Gen *g)
{
    IrWidth w = g_width(g, 0);
    IrRef n = g_imm(g, g->in.imm & (8 * ir_width_bytes(w) - 1));

    if (g->in.mem) {
        bit_memory(g, w, g_mem(g, ir_width_bytes(w), g->in.row->arg != BIT_BT), n);
    } else {
        bit_register(g, w, n);
    }
}

/* In memory the bit string goes as far as the signed index says (vol. 2, 3.1.1.9). */
void gen_bit_var(X86Gen *g)
{
    IrWidth w = g_width(g, 0);
    IrRef n = g_load(g, 1), word;

    if (!g->in.mem) {
        bit_register(g, w, n);
        return;
    }
    word = ir_sarx(g->r, W64, ir_sext(g->r, w, n), g_imm(g, 3 + w));
    bit_memory(g, w, g_mem_indexed(g, word, w, ir_width_bytes(w), g->in.row->arg != BIT_BT), n);
}

void gen_bit_scan(X86Gen *g) /* arg: reverse */
{
    IrRef f, a = g_load(g, 0), b = g_load(g, 1), v;
    IrWidth w = g_width(g, 0);

    v = g->in.row->arg ? ir_bsr(g->r, w, a, b, &f) : ir_bsf(g->r, w, a, b, &f);
    g_store_result(g, 0, v);
    ir_setf(g->r, f);
}

void gen_count_zeros(X86Gen *g) /* arg: leading */
{
    IrRef f, a, b, v;
    IrWidth w = g_width(g, 0);

    if (!g_has(g, g->in.row->arg ? X86_F_abm : X86_F_bmi1)) { /* the prefix means nothing then */
        gen_bit_scan(g);
        return;
    }
    a = g_load(g, 0);
    b = g_load(g, 1);
    v = g->in.row->arg ? ir_lzcnt(g->r, w, a, b, &f) : ir_tzcnt(g->r, w, a, b, &f);
    g_store_result(g, 0, v);
    ir_setf(g->r, f);
}

void gen_popcnt(X86Gen *g)
{
    IrRef f, a = g_load(g, 0), b = g_load(g, 1);

    g_store_result(g, 0, ir_popcnt(g->r, g_width(g, 0), a, b, &f));
    ir_setf(g->r, f);
}

void gen_crc32(X86Gen *g)
{
    IrRef a = g_load(g, 0), b = g_load(g, 1);

    ir_set(g->r, g->in.reg, ir_crc32(g->r, g_width(g, 1), a, b));
}

void gen_bswap(X86Gen *g)
{
    IrWidth w = g->in.osize;

    if (w == W16) { /* undefined; processors give 0 */
        g_store(g, 0, g_imm(g, 0));
    } else {
        g_store_result(g, 0, ir_bswap(g->r, w, g_load(g, 0)));
    }
}

/* Multiply and divide */

void gen_imul(X86Gen *g) /* G, E or G, E, I */
{
    bool three = g->in.row->num_ops == 3;
    IrRef f, a = g_load(g, three ? 1 : 0), b = g_load(g, three ? 2 : 1), v;

    v = ir_mul(g->r, g_width(g, 0), a, b, &f);
    g_store(g, 0, v);
    ir_setf(g->r, f);
}

static void set_product(X86Gen *g, IrWidth w, IrRef low, IrRef high, IrRef f)
{
    ir_set(g->r, R_RAX, low); /* W8: all of AX */
    if (w != W8) {
        g_set_reg(g, w, R_RDX, high);
    }
    ir_setf(g->r, f);
}

void gen_mul(X86Gen *g)
{
    IrWidth w = g_width(g, 0);
    IrRef f, high, b = g_load(g, 0), low = ir_umul2(g->r, w, g_reg(g, R_RAX), b, &high, &f);

    set_product(g, w, low, high, f);
}

void gen_mul_signed(X86Gen *g)
{
    IrWidth w = g_width(g, 0);
    IrRef f, high, b = g_load(g, 0), low = ir_smul2(g->r, w, g_reg(g, R_RAX), b, &high, &f);

    set_product(g, w, low, high, f);
}

static void divide(X86Gen *g, bool is_signed)
{
    IrWidth w = g_width(g, 0);
    IrRef c = g_load(g, 0), low = g_reg(g, R_RAX), high = w == W8 ? g_imm(g, 0) : g_reg(g, R_RDX), rest, q;

    q = is_signed ? ir_sdiv2(g->r, w, low, high, c, &rest) : ir_udiv2(g->r, w, low, high, c, &rest);
    if (w == W8) {
        ir_set(g->r, R_RAX, ir_deposit(g->r, q, rest, 8 | 8 << 8));
    } else {
        ir_set(g->r, R_RAX, q);
        g_set_reg(g, w, R_RDX, rest);
    }
}

void gen_div(X86Gen *g)
{
    divide(g, false);
}

void gen_div_signed(X86Gen *g)
{
    divide(g, true);
}

/* Exchange and add, compare and exchange */

void gen_xadd(X86Gen *g)
{
    IrWidth w = g_width(g, 0);
    IrRef f, d, s = g_load(g, 1);

    if (g_locked(g)) {
        d = ir_rmw_add(g->r, w, dest_mem(g), s, &f);
        g_store(g, 1, d);
    } else {
        IrRef v;
        d = g_load_rmw(g, 0);
        v = ir_add(g->r, w, d, s, &f);
        if (g->in.mem) {
            g_store(g, 0, v);
            g_store(g, 1, d);
        } else { /* the destination wins when both are one register */
            g_store(g, 1, d);
            g_store(g, 0, v);
        }
    }
    ir_setf(g->r, f);
}

/*
 * What the accumulator is after a comparison: old when it was different. When it was equal old is the same, and only the
 * upper half of a 32-bit one tells that nothing was written.
 */
static void set_accumulator(X86Gen *g, IrWidth w, unsigned reg, IrRef old, IrRef f)
{
    IrRef acc = g_reg(g, reg);

    if (w == W32 && g_code64(g)) {
        old = ir_select(g->r, W64, acc, ir_zext(g->r, W32, old), f, COND_NZ);
    } else if (w < W32) {
        old = ir_mov(g->r, w, acc, old);
    }
    ir_set(g->r, reg, old);
}

void gen_cmpxchg(X86Gen *g)
{
    IrWidth w = g_width(g, 0);
    IrRef f, d, acc = g_reg(g, R_RAX), s = g_load(g, 1), v;

    if (g_locked(g)) {
        IrAddr m = g_one_register(g, dest_mem(g));
        if (w < W32) { /* the host's instruction takes rAX: what is kept of it waits in memory */
            ir_sts(g->r, W64, G_CPU(temp[0]), acc);
        }
        d = ir_cmpxchg(g->r, w, m, acc, s, &f);
        if (w < W32) {
            ir_set(g->r, R_RAX, ir_mov(g->r, w, ir_lds(g->r, W64, G_CPU(temp[0])), d));
        } else {
            set_accumulator(g, w, R_RAX, d, f);
        }
    } else {
        d = g_load_rmw(g, 0);
        f = ir_cmp(g->r, w, acc, d);
        v = ir_select(g->r, W64, d, s, f, COND_Z);
        if (g->in.mem) {
            g_store(g, 0, v);
            set_accumulator(g, w, R_RAX, d, f);
        } else {
            set_accumulator(g, w, R_RAX, d, f);
            g_store(g, 0, v);
        }
    }
    ir_setf(g->r, f);
}

static void new_block(X86Gen *g)
{
    unsigned block = ir_new_block(g->r);

    ir_br(g->r, block);
    ir_block(g->r, block);
}

/*
 * CMPXCHG8B, CMPXCHG16B. The registers are read in a block of their own, so that they are in their homes, and are set at
 * once: the host's instruction knows no others. On success they are what they were but for upper halves.
 */
void gen_cmpxchg2(X86Gen *g)
{
    IrWidth w = g->in.osize == W64 ? W64 : W32;
    bool halves = w == W32 && g_code64(g);
    IrRef f, high, low, a, d;
    IrAddr m;

    if (w == W64 && !g_has(g, X86_F_cx16)) {
        g_ud(g);
        return;
    }
    new_block(g);
    a = g_reg(g, R_RAX);
    d = g_reg(g, R_RDX);
    m = g_mem(g, 2 * ir_width_bytes(w), true);
    if (w == W64) {
        m.flags |= IR_MEM_ALIGNED; /* #GP(0) */
    }
    if (halves) {
        ir_sts(g->r, W64, G_CPU(temp[0]), a);
        ir_sts(g->r, W64, G_CPU(temp[1]), d);
    }
    low = ir_cmpxchg2(g->r, w, m, a, d, g_reg(g, R_RBX), g_reg(g, R_RCX), &high, &f);
    ir_set(g->r, R_RAX, low);
    ir_set(g->r, R_RDX, high);
    ir_setf(g->r, ir_fmerge(g->r, ir_getf(g->r), f, IR_Z));
    new_block(g);
    if (halves) {
        f = ir_getf(g->r);
        ir_set(g->r, R_RAX, ir_select(g->r, W64, ir_lds(g->r, W64, G_CPU(temp[0])), g_reg(g, R_RAX), f, COND_NZ));
        ir_set(g->r, R_RDX, ir_select(g->r, W64, ir_lds(g->r, W64, G_CPU(temp[1])), g_reg(g, R_RDX), f, COND_NZ));
    }
}

/* Conversions within rAX, conditions, carry */

void gen_cbw(X86Gen *g)
{
    IrWidth w = g->in.osize;

    g_set_reg(g, w, R_RAX, ir_sext(g->r, w - 1, g_reg(g, R_RAX)));
}

void gen_cwd(X86Gen *g)
{
    IrWidth w = g->in.osize;

    g_set_reg(g, w, R_RDX, ir_sarx(g->r, W64, ir_sext(g->r, w, g_reg(g, R_RAX)), g_imm(g, 63)));
}

static IrCond condition(const X86Gen *g)
{
    return g->in.opcode & 15;
}

void gen_setcc(X86Gen *g)
{
    g_store(g, 0, ir_cond(g->r, ir_getf(g->r), condition(g)));
}

void gen_cmov(X86Gen *g)
{
    IrRef a = g_load(g, 0), b = g_load(g, 1);

    ir_set(g->r, g->in.reg, ir_select(g->r, g_width(g, 0), a, b, ir_getf(g->r), condition(g)));
}

void gen_carry(X86Gen *g)
{
    IrRef f = ir_getf(g->r);

    if (g->in.row->arg == CARRY_CMC) {
        f = ir_fnot(g->r, f, IR_C);
    } else {
        f = ir_fmerge(g->r, f, ir_inline(g->in.row->arg == CARRY_STC ? IR_C : 0), IR_C);
    }
    ir_setf(g->r, f);
}

void gen_salc(X86Gen *g)
{
    IrRef c = ir_cond(g->r, ir_getf(g->r), COND_C);

    g_set_reg(g, W8, R_RAX, ir_neg(g->r, W64, c, NULL));
}

/* Decimal adjustment (helper-int.c) */

void gen_decimal(X86Gen *g)
{
    IrRegion *r = g->r;
    IrRef ax = g_reg(g, R_RAX), kind = g_imm(g, g->in.row->arg), f = ir_fint(r, ir_getf(r));
    IrRef v = g_call(g, &x86_h_decimal, kind, ir_zext(r, W16, ax), f, IR_NONE);

    ir_set(r, R_RAX, ir_mov(r, W16, ax, v));
    ir_setf(r, ir_fput(r, ir_extract(r, v, 16 | 16 << 8)));
}

void gen_aam(X86Gen *g)
{
    IrRef ax = g_reg(g, R_RAX), rest, q;

    if (g->in.imm == 0) {
        g_raise(g, EXC_DE, 0);
        return;
    }
    q = ir_udiv2(g->r, W8, ir_zext(g->r, W8, ax), g_imm(g, 0), g_imm(g, g->in.imm), &rest);
    ax = ir_mov(g->r, W16, ax, ir_deposit(g->r, ir_zext(g->r, W8, rest), q, 8 | 8 << 8));
    ir_set(g->r, R_RAX, ax);
    ir_setf(g->r, ir_test(g->r, W8, ax, ax));
}

void gen_aad(X86Gen *g)
{
    IrRegion *r = g->r;
    IrRef ax = g_reg(g, R_RAX), ah = ir_extract(r, ax, 8 | 8 << 8), v;

    v = ir_zext(r, W8, ir_add(r, W8, ir_mul(r, W32, ah, g_imm(g, g->in.imm), NULL), ax, NULL));
    ir_set(r, R_RAX, ir_mov(r, W16, ax, v));
    ir_setf(r, ir_test(r, W8, v, v));
}

/* BMI1 and BMI2 (vol. 2): VEX-encoded, general registers only. Outputs are W32 or W64 wide. */

static void set_g(X86Gen *g, IrRef v, IrRef f)
{
    ir_set(g->r, g->in.reg, v);
    if (f != IR_NONE) {
        ir_setf(g->r, f);
    }
}

void gen_andn(X86Gen *g)
{
    IrRef f, a = g_load(g, 1), b = g_load(g, 2), v = ir_andn(g->r, g->in.osize, a, b, &f);

    set_g(g, v, f);
}

void gen_bls(X86Gen *g) /* arg: BLS_*; the destination is VEX.vvvv */
{
    IrRef f, a = g_load(g, 1), v;

    switch (g->in.row->arg) {
    case BLS_R:
        v = ir_blsr(g->r, g->in.osize, a, &f);
        break;
    case BLS_MSK:
        v = ir_blsmsk(g->r, g->in.osize, a, &f);
        break;
    default:
        v = ir_blsi(g->r, g->in.osize, a, &f);
        break;
    }
    g_store_result(g, 0, v);
    ir_setf(g->r, f);
}

void gen_bzhi(X86Gen *g)
{
    IrRef f, a = g_load(g, 1), b = g_load(g, 2), v = ir_bzhi(g->r, g->in.osize, a, b, &f);

    set_g(g, v, f);
}

void gen_bextr(X86Gen *g)
{
    IrRef f, a = g_load(g, 1), b = g_load(g, 2), v = ir_bextr(g->r, g->in.osize, a, b, &f);

    set_g(g, v, f);
}

void gen_pdep(X86Gen *g)
{
    IrRef a = g_load(g, 1), b = g_load(g, 2);

    set_g(g, ir_pdep(g->r, g->in.osize, a, b), IR_NONE);
}

void gen_pext(X86Gen *g)
{
    IrRef a = g_load(g, 1), b = g_load(g, 2);

    set_g(g, ir_pext(g->r, g->in.osize, a, b), IR_NONE);
}

void gen_mulx(X86Gen *g) /* when both are one register it holds the high half */
{
    IrWidth w = g->in.osize;
    IrRef high, b = g_load(g, 2), low = ir_umul2(g->r, w, g_reg(g, R_RDX), b, &high, NULL);

    g_store_result(g, 1, low);
    g_store_result(g, 0, high);
}

void gen_shift_plain(X86Gen *g) /* without flags; arg: SHIFT_* */
{
    IrRef a = g_load(g, 1), n = g_load(g, 2), v;
    IrWidth w = g->in.osize;

    switch (g->in.row->arg) {
    case SHIFT_SHL:
        v = ir_shlx(g->r, w, a, n);
        break;
    case SHIFT_SHR:
        v = ir_shrx(g->r, w, a, n);
        break;
    case SHIFT_SAR:
        v = ir_sarx(g->r, w, a, n);
        break;
    default:
        v = ir_ror(g->r, w, a, n, ir_inline(0), NULL);
        break;
    }
    set_g(g, v, IR_NONE);
}
