/*
 * MMX: registers are the significands of the x87 registers, instructions the SSE2 ones of the same opcode on the low half of a
 * vector register. SDM vol. 1, chapter 9; vol. 2.
 */
#include "target/i386/fp-helpers.h"
#include "target/i386/gen-fp.h"

#define MOVQ_FROM_INT (NATIVE(NP_66, 1, 0x6e, NF_RM) | NATIVE_W)
#define MOVQ_TO_INT (NATIVE(NP_66, 1, 0x7e, NF_MR) | NATIVE_W)
#define MOVQ NATIVE(NP_F3, 1, 0x7e, NF_RM)
#define PUNPCKLQDQ NATIVE(NP_66, 1, 0x6c, NF_RM)
#define PSRLDQ(n) (NATIVE(NP_66, 1, 0x73, NF_M) | NATIVE_DIGIT(3) | NATIVE_IMM8(n))

static IrRef unary(X86Gen *g, TcgNative t, IrRef v)
{
    return ir_native(g->r, W128, IR_NONE, v, IR_NONE, t);
}

static IrRef binary(X86Gen *g, TcgNative t, IrRef a, IrRef b)
{
    return ir_native(g->r, W128, a, b, IR_NONE, t);
}

static IrRef get_int(X86Gen *g, unsigned n)
{
    return ir_lds(g->r, W64, G_ST(fpr[n & 7][0]));
}

static IrRef get(X86Gen *g, unsigned n)
{
    return ir_native_vi(g->r, W128, IR_NONE, get_int(g, n), IR_NONE, MOVQ_FROM_INT);
}

static void set_int(X86Gen *g, unsigned n, IrRef v)
{
    ir_sts(g->r, W64, G_ST(fpr[n & 7][0]), v);
    ir_sts(g->r, W16, G_ST(fpr[n & 7][1]), g_imm(g, 0xffff)); /* 9.2.1 */
}

static IrRef to_int(X86Gen *g, IrRef v)
{
    return ir_native_iv(g->r, W128, v, IR_NONE, MOVQ_TO_INT, NULL);
}

static void set(X86Gen *g, unsigned n, IrRef v)
{
    set_int(g, n, to_int(g, v));
}

/* Pending x87 exceptions come first (SDM vol. 1, 8.6). */
void g_x87_wait(X86Gen *g)
{
    IrRef pending;

    if (g->x87_checked) {
        return; /* all are masked */
    }
    if (g->single) {
        g_call(g, &x86_h_x87_wait, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
        return;
    }
    pending = ir_and(g->r, W32, ir_lds(g->r, W16, G_ST(fsw)), g_imm(g, 0x80), NULL);
    ir_brz(g->r, W32, pending, g_cold_block(g, g->pc, LEAVE_ONE_INSN), 1);
}

/* Before an MMX instruction: the registers are in the state, no exception waits. */
static void begin(X86Gen *g)
{
    if (g->x87_checked) {
        g_call(g, &x86_h_x87_flush, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
        g->x87_checked = false;
        return;
    }
    if (!g->single) {
        ir_brz(g->r, W8, ir_lds(g->r, W8, G_CPU(x87_live)), g_cold_block(g, g->pc, LEAVE_ONE_INSN), 1);
    }
    g_x87_wait(g);
}

void g_mmx_enter(X86Gen *g)
{
    ir_sts(g->r, W16, G_ST(fsw), ir_and(g->r, W32, ir_lds(g->r, W16, G_ST(fsw)), g_imm(g, 0xffff & ~0x3800), NULL));
    ir_sts(g->r, W8, G_ST(ftw), g_imm(g, 0xff));
}

/* Operand n: P, Q or N. */
static IrRef source(X86Gen *g, unsigned n)
{
    unsigned bytes = x86_operand_bytes(&g->in, n);

    if (g_is_mem(g, n)) {
        return ir_ldv(g->r, bytes == 4 ? W32 : W64, g_mem(g, bytes, false));
    }
    return get(g, g->in.row->op[n].place == X86_AT_P ? g->in.reg : g->in.rm);
}

/* The SSE2 instruction of this opcode. */
static TcgNative sse2(const X86Gen *g, NativeForm form)
{
    TcgNative t = g_template(g, form);

    return t | (TcgNative)NP_66 << 16;
}

static IrRef align(X86Gen *g, IrRef d, IrRef s)
{
    unsigned n = (unsigned)g->in.imm & 0xff;

    s = binary(g, PUNPCKLQDQ, s, d);
    return ir_native(g->r, W128, s, IR_NONE, IR_NONE, PSRLDQ(n < 16 ? n : 16));
}

static IrRef compute(X86Gen *g, IrRef d, IrRef s)
{
    TcgNative t = sse2(g, NF_RM);

    switch (g->in.row->arg) {
    case MMX_NEW:
        return unary(g, t, s);
    case MMX_PACK:
        s = binary(g, PUNPCKLQDQ, d, s);
        return binary(g, t, s, s);
    case MMX_HIGH: /* 68 to 6A are 60 to 62 of the high half */
        s = binary(g, t - 8, d, s);
        return ir_native(g->r, W128, s, IR_NONE, IR_NONE, PSRLDQ(8));
    case MMX_SHUFFLE:
        d = binary(g, PUNPCKLQDQ, d, d);
        return binary(g, t, d, s);
    case MMX_ALIGN:
        return align(g, d, s);
    case MMX_PSHUFW:
        return unary(g, NATIVE(NP_F2, 1, 0x70, NF_RM) | NATIVE_IMM8(g->in.imm), s);
    default:
        return binary(g, t, d, s);
    }
}

/* P op= Q [, imm8] */
void gen_mmx(X86Gen *g)
{
    IrRef s, v;

    begin(g);
    s = source(g, 1);
    v = compute(g, get(g, g->in.reg), s);
    g_mmx_enter(g);
    set(g, g->in.reg, v);
}

void gen_mmx_shift(X86Gen *g)
{
    IrRef v;

    begin(g);
    v = ir_native(g->r, W128, get(g, g->in.rm), IR_NONE, IR_NONE, sse2(g, NF_M) | NATIVE_DIGIT(g->in.row->reg));
    g_mmx_enter(g);
    set(g, g->in.rm, v);
}

static IrRef int_source(X86Gen *g)
{
    unsigned bytes = x86_operand_bytes(&g->in, 1);

    if (g_is_mem(g, 1)) {
        return ir_ld(g->r, bytes == 2 ? W16 : bytes == 4 ? W32 : W64, g_mem(g, bytes, false));
    }
    return bytes == 4 ? ir_zext(g->r, W32, g_reg(g, g->in.rm)) : g_reg(g, g->in.rm);
}

/* movd and movq P, E */
void gen_mmx_from_int(X86Gen *g)
{
    IrRef v;

    begin(g);
    v = int_source(g);
    g_mmx_enter(g);
    set_int(g, g->in.reg, v);
}

void gen_mmx_insert(X86Gen *g)
{
    IrRef v;

    begin(g);
    v = int_source(g);
    v = ir_native_vi(g->r, W128, get(g, g->in.reg), v, IR_NONE,
                     NATIVE(NP_66, 1, 0xc4, NF_RM) | NATIVE_IMM8(g->in.imm & 3));
    g_mmx_enter(g);
    set(g, g->in.reg, v);
}

/* movd and movq E, P; movq Q, P: 4 or 8 bytes of it */
void gen_mmx_store(X86Gen *g)
{
    unsigned bytes = x86_operand_bytes(&g->in, 0);
    IrWidth w = bytes == 4 ? W32 : W64;
    IrRef v;

    begin(g);
    v = get_int(g, g->in.reg);
    if (g_is_mem(g, 0)) {
        ir_st(g->r, w, g_mem(g, bytes, true), v);
        g_mmx_enter(g);
        return;
    }
    g_mmx_enter(g);
    if (g->in.row->op[0].place == X86_AT_Q) {
        set_int(g, g->in.rm, v);
    } else {
        g_set_reg(g, w, g->in.rm, v);
    }
}

/* movq P, Q */
void gen_mmx_load(X86Gen *g)
{
    IrRef v;

    begin(g);
    v = g_is_mem(g, 1) ? ir_ld(g->r, W64, g_mem(g, 8, false)) : get_int(g, g->in.rm);
    g_mmx_enter(g);
    set_int(g, g->in.reg, v);
}

/* pmovmskb and pextrw G, N */
void gen_mmx_to_int(X86Gen *g)
{
    TcgNative t = sse2(g, NF_RM);
    IrRef v;

    begin(g);
    if (t & NATIVE_HAS_IMM8) {
        t = (t & ~(TcgNative)0xff00) | NATIVE_IMM8(g->in.imm & 3);
    }
    v = ir_native_iv(g->r, W128, get(g, g->in.rm), IR_NONE, t, NULL);
    g_mmx_enter(g);
    g_set_reg(g, W32, g->in.reg, v);
}

void gen_mmx_masked_store(X86Gen *g)
{
    IrRef mask;

    if (!g->single) {
        g_leave(g, LEAVE_ONE_INSN, g->pc);
        return;
    }
    begin(g);
    mask = ir_native_iv(g->r, W128, get(g, g->in.rm), IR_NONE, NATIVE(NP_66, 1, 0xd7, NF_RM), NULL);
    ir_sts(g->r, W64, G_CPU(fp_scratch[0]), get_int(g, g->in.reg));
    g_mmx_enter(g);
    g_masked_store(g, mask, 8);
}

void gen_emms(X86Gen *g)
{
    begin(g);
    g_mmx_enter(g);
    ir_sts(g->r, W8, G_ST(ftw), g_imm(g, 0));
}

/* Between MMX and XMM registers */

static IrRef get_xmm(X86Gen *g, unsigned n)
{
    return ir_getv(g->r, W128, G_VEC + n);
}

static void set_xmm(X86Gen *g, unsigned n, IrRef v)
{
    ir_setv(g->r, W128, G_VEC + n, v, 0);
}

void gen_movq2dq(X86Gen *g)
{
    IrRef v;

    begin(g);
    v = get(g, g->in.rm);
    g_mmx_enter(g);
    set_xmm(g, g->in.reg, v);
}

void gen_movdq2q(X86Gen *g)
{
    IrRef v;

    begin(g);
    v = to_int(g, get_xmm(g, g->in.rm));
    g_mmx_enter(g);
    set_int(g, g->in.reg, v);
}

/* cvtpi2ps, cvtpi2pd: as cvtdq2ps and cvtdq2pd of the low half; a memory operand does not touch the x87 state. */
void gen_mmx_cvt_to_xmm(X86Gen *g)
{
    bool to_single = g->in.row->prefix == X86_PREFIX_NONE, mem = g_is_mem(g, 1);
    TcgNative t = to_single ? NATIVE(NP_NONE, 1, 0x5b, NF_RM) | TCG_NATIVE_FAULTS : NATIVE(NP_F3, 1, 0xe6, NF_RM);
    IrRef v;

    if (mem) {
        v = source(g, 1);
    } else {
        begin(g);
        v = source(g, 1);
        g_mmx_enter(g);
    }
    v = unary(g, t, v);
    if (to_single) { /* the high half stays */
        v = binary(g, NATIVE(NP_F2, 1, 0x10, NF_RM) | NATIVE_REGS, get_xmm(g, g->in.reg), v);
    }
    set_xmm(g, g->in.reg, v);
}

/* cvtps2pi and its like: as cvtps2dq, cvttps2dq, cvtpd2dq, cvttpd2dq. The zeros above a 64-bit source raise nothing. */
void gen_mmx_cvt_from_xmm(X86Gen *g)
{
    bool truncate = g->in.opcode == 0x2c, single = g->in.row->prefix == X86_PREFIX_NONE;
    TcgNative t = single ? NATIVE(truncate ? NP_F3 : NP_66, 1, 0x5b, NF_RM) : NATIVE(truncate ? NP_66 : NP_F2, 1, 0xe6, NF_RM);
    IrRef v;

    begin(g);
    if (g_is_mem(g, 1)) {
        IrAddr m = g_mem(g, single ? 8 : 16, false);
        m.flags |= single ? 0 : IR_MEM_ALIGNED;
        v = ir_ldv(g->r, single ? W64 : W128, m);
    } else {
        v = get_xmm(g, g->in.rm);
        v = single ? unary(g, MOVQ, v) : v;
    }
    g_mmx_enter(g); /* even when the conversion faults */
    v = to_int(g, unary(g, t | TCG_NATIVE_FAULTS, v));
    set_int(g, g->in.reg, v);
}
