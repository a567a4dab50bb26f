/*
 * SSE to SSE4.2, AES, PCLMULQDQ and SHA: the host's own instructions with registers renamed. SDM vol. 1, chapters 10 to 12; vol. 2.
 * Legacy encodings only: the upper parts of ymm and zmm stay as they are.
 */
#include "target/i386/fp-helpers.h"
#include "target/i386/gen-fp.h"

static IrRef get_xmm(X86Gen *g, unsigned n)
{
    return ir_getv(g->r, W128, G_VEC + n);
}

static void set_xmm(X86Gen *g, unsigned n, IrRef v)
{
    ir_setv(g->r, W128, G_VEC + n, v, 0);
}

static uint64_t arg_of(const X86Gen *g)
{
    return g->in.row->arg;
}

TcgNative g_template(const X86Gen *g, NativeForm form)
{
    static const uint8_t pp[] = { [X86_PREFIX_66] = NP_66, [X86_PREFIX_F3] = NP_F3, [X86_PREFIX_F2] = NP_F2 };
    const X86Row *row = g->in.row;
    unsigned prefix = row->prefix >= X86_PREFIX_66 ? pp[row->prefix] : NP_NONE;
    TcgNative t = NATIVE(prefix, row->map, g->in.opcode, form);

    for (unsigned n = 0; n < row->num_ops; n++) {
        if (row->op[n].place == X86_AT_I) {
            t |= NATIVE_IMM8(g->in.imm);
        }
    }
    return t | (row->arg & FP_X ? TCG_NATIVE_FAULTS : 0) | (row->arg & FP_REGS ? NATIVE_REGS : 0);
}

static IrWidth mem_width(unsigned bytes)
{
    return (IrWidth)__builtin_ctz(bytes);
}

/* The memory operand of an SSE instruction, n of the row. */
static IrAddr sse_mem(X86Gen *g, unsigned n, bool write)
{
    unsigned bytes = x86_operand_bytes(&g->in, n);
    IrAddr m = g_mem(g, bytes, write);

    if (bytes == 16 && !(arg_of(g) & FP_ANY)) {
        m.flags |= IR_MEM_ALIGNED;
    }
    m.flags |= arg_of(g) & FP_NT ? IR_MEM_NONTEMPORAL : 0;
    return m;
}

/* A vector source operand as a value. */
static IrRef sse_source(X86Gen *g, unsigned n)
{
    if (g_is_mem(g, n)) {
        return ir_ldv(g->r, mem_width(x86_operand_bytes(&g->in, n)), sse_mem(g, n, false));
    }
    return get_xmm(g, g->in.rm);
}

/* V op= W [, imm8] [, XMM0] */
void gen_sse(X86Gen *g)
{
    uint64_t arg = arg_of(g);
    IrRef old = arg & FP_NEW ? IR_NONE : get_xmm(g, g->in.reg), third = arg & FP_XMM0 ? get_xmm(g, 0) : IR_NONE, v;
    TcgNative t = g_template(g, arg & FP_XMM0 ? NF_RM0 : NF_RM);

    if (g_is_mem(g, 1) && third == IR_NONE) {
        IrWidth w = mem_width(x86_operand_bytes(&g->in, 1));
        v = ir_native_m(g->r, w, sse_mem(g, 1, false), old, third, t);
    } else { /* with three operands registers are scarce: the load is apart */
        v = ir_native(g->r, W128, old, sse_source(g, 1), third, t);
    }
    set_xmm(g, g->in.reg, v);
}

/* Loads: memory clears what is above it; a register is copied whole. */
void gen_sse_load(X86Gen *g)
{
    set_xmm(g, g->in.reg, sse_source(g, 1));
}

void gen_sse_store(X86Gen *g)
{
    if (g_is_mem(g, 0)) {
        IrAddr m = sse_mem(g, 0, true);
        ir_stv(g->r, mem_width(x86_operand_bytes(&g->in, 0)), m, get_xmm(g, g->in.reg));
    } else {
        set_xmm(g, g->in.rm, get_xmm(g, g->in.reg));
    }
}

/* A store that picks its part of the register: movhps, extractps, pextrb... */
void gen_sse_store_part(X86Gen *g)
{
    TcgNative t = g_template(g, NF_RM);
    unsigned bytes = x86_operand_bytes(&g->in, 0);
    IrAddr m = g_mem(g, bytes, true);

    if (bytes == 8 && g->in.row->map == 3) {
        t |= NATIVE_W; /* pextrq */
    }
    ir_native_st(g->r, mem_width(bytes), m, get_xmm(g, g->in.reg), t);
}

/* movss and movsd between registers, stored through ModRM.rm: as the load with the registers exchanged. */
void gen_sse_merge(X86Gen *g)
{
    IrRef v = ir_native(g->r, W128, get_xmm(g, g->in.rm), get_xmm(g, g->in.reg), IR_NONE, g_template(g, NF_RM) - 1);

    set_xmm(g, g->in.rm, v);
}

/* movq U, V: the low half, the rest cleared. */
void gen_sse_movq(X86Gen *g)
{
    IrRef v = ir_native(g->r, W128, IR_NONE, get_xmm(g, g->in.reg), IR_NONE, NATIVE(NP_F3, 1, 0x7e, NF_RM));

    set_xmm(g, g->in.rm, v);
}

static TcgNative wide(const X86Gen *g, unsigned n)
{
    return x86_operand_bytes(&g->in, n) == 8 ? NATIVE_W : 0;
}

/* V op= general register or memory integer: cvtsi2ss, pinsrw, movd... */
void gen_sse_from_int(X86Gen *g)
{
    IrRef old = arg_of(g) & FP_NEW ? IR_NONE : get_xmm(g, g->in.reg), v;
    TcgNative t = g_template(g, NF_RM) | wide(g, 1);

    if (g_is_mem(g, 1)) {
        unsigned bytes = x86_operand_bytes(&g->in, 1);
        v = ir_native_m(g->r, mem_width(bytes), g_mem(g, bytes, false), old, IR_NONE, t);
    } else {
        v = ir_native_vi(g->r, W128, old, g_reg(g, g->in.rm), IR_NONE, t);
    }
    set_xmm(g, g->in.reg, v);
}

/* General register from a vector: cvtss2si, movmskps, pextrw. The upper half of the register is cleared. */
void gen_sse_to_int(X86Gen *g)
{
    IrRef v = ir_native_iv(g->r, W128, sse_source(g, 1), IR_NONE, g_template(g, NF_RM) | wide(g, 0), NULL);

    g_set_reg(g, wide(g, 0) ? W64 : W32, g->in.reg, v);
}

/* The same with the vector in ModRM.reg: movd, pextrd, extractps. */
void gen_sse_extract(X86Gen *g)
{
    IrRef v = ir_native_iv(g->r, W128, get_xmm(g, g->in.reg), IR_NONE, g_template(g, NF_MR) | wide(g, 0), NULL);

    g_set_reg(g, wide(g, 0) ? W64 : W32, g->in.rm, v);
}

void gen_sse_flags(X86Gen *g)
{
    IrRef b = sse_source(g, 1), f;

    ir_native_iv(g->r, W128, get_xmm(g, g->in.reg), b, g_template(g, NF_FLAGS), &f);
    ir_setf(g->r, f);
}

void gen_sse_shift(X86Gen *g)
{
    TcgNative t = g_template(g, NF_M) | NATIVE_DIGIT(g->in.row->reg);

    set_xmm(g, g->in.rm, ir_native(g->r, W128, get_xmm(g, g->in.rm), IR_NONE, IR_NONE, t));
}

static IrRef low_half(X86Gen *g, IrRef v)
{
    return ir_native_iv(g->r, W128, v, IR_NONE, NATIVE(NP_66, 1, 0x7e, NF_MR) | NATIVE_W, NULL);
}

static IrRef high_half(X86Gen *g, IrRef v)
{
    return low_half(g, ir_native(g->r, W128, IR_NONE, v, IR_NONE, NATIVE(NP_66, 1, 0x70, NF_RM) | NATIVE_IMM8(0xee)));
}

/* PCMPESTRI and its like: the comparison in C (sse-string.c); lengths in EAX and EDX are made small here. */
void gen_sse_string(X86Gen *g)
{
    unsigned explicit_length = !(g->in.opcode & 2), index = g->in.opcode & 1;
    IrRef b = sse_source(g, 1), a = get_xmm(g, g->in.reg), result, n = g_imm(g, g->in.imm);
    IrWidth w = g->in.rex & X86_REX_W ? W64 : W32;

    ir_sts(g->r, W64, G_CPU(fp_scratch[0]), low_half(g, a));
    ir_sts(g->r, W64, G_CPU(fp_scratch[1]), high_half(g, a));
    ir_sts(g->r, W64, G_CPU(fp_scratch[2]), low_half(g, b));
    ir_sts(g->r, W64, G_CPU(fp_scratch[3]), high_half(g, b));
    if (explicit_length) {
        result = g_call(g, &x86_h_pcmpestr, n, ir_sext(g->r, w, g_reg(g, R_RAX)), ir_sext(g->r, w, g_reg(g, R_RDX)), IR_NONE);
    } else {
        result = g_call(g, &x86_h_pcmpistr, n, IR_NONE, IR_NONE, IR_NONE);
    }
    ir_setf(g->r, ir_fput(g->r, ir_extract(g->r, result, 32 | 32 << 8)));
    if (index) {
        g_set_reg(g, W32, R_RCX, result);
    } else {
        IrRef lo = ir_lds(g->r, W64, G_CPU(fp_scratch[0])), hi = ir_lds(g->r, W64, G_CPU(fp_scratch[1])), v;
        TcgNative movq = NATIVE(NP_66, 1, 0x6e, NF_RM) | NATIVE_W;
        v = ir_native_vi(g->r, W128, IR_NONE, lo, IR_NONE, movq);
        v = ir_native(g->r, W128, v, ir_native_vi(g->r, W128, IR_NONE, hi, IR_NONE, movq), IR_NONE,
                      NATIVE(NP_66, 1, 0x6c, NF_RM));
        set_xmm(g, 0, v);
    }
}

/*
 * Bytes of fp_scratch[0..1] whose bit of mask is set, to DS:rDI. One instruction a region: it needs many blocks. Nothing is
 * written when the operand faults.
 */
void g_masked_store(X86Gen *g, IrRef mask, unsigned bytes)
{
    IrAddr a = { .base = g_reg(g, R_RDI), .addr = g->in.asize };
    IrAddr m = g_address(g, g->in.seg, a, bytes, true);
    IrRef linear = g_linear(g, m);

    ir_sts(g->r, W64, G_CPU(fp_scratch[2]), mask);
    ir_sts(g->r, W64, G_CPU(fp_scratch[3]), linear);
    g_call(g, &x86_h_probe_write, linear, g_imm(g, bytes), IR_NONE, IR_NONE);
    for (unsigned n = 0; n < bytes; n++) {
        unsigned skip = ir_new_block(g->r);
        IrRef bit = ir_and(g->r, W32, ir_lds(g->r, W32, G_CPU(fp_scratch[2])), ir_inline(1 << n), NULL);
        ir_brz(g->r, W32, bit, skip, 0);
        ir_st(g->r, W8, (IrAddr){ .base = ir_lds(g->r, W64, G_CPU(fp_scratch[3])), .disp = n, .mmu = g->mmu },
              ir_lds(g->r, W8, G_CPU(fp_scratch[0]) + n));
        ir_block(g->r, skip);
    }
}

void gen_sse_masked_store(X86Gen *g)
{
    IrRef v, mask;

    if (!g->single) {
        g_leave(g, LEAVE_ONE_INSN, g->pc);
        return;
    }
    v = get_xmm(g, g->in.reg);
    mask = ir_native_iv(g->r, W128, get_xmm(g, g->in.rm), IR_NONE, NATIVE(NP_66, 1, 0xd7, NF_RM), NULL);
    ir_sts(g->r, W64, G_CPU(fp_scratch[0]), low_half(g, v));
    ir_sts(g->r, W64, G_CPU(fp_scratch[1]), high_half(g, v));
    g_masked_store(g, mask, 16);
}

/* MXCSR (SDM vol. 1, 10.2.3) */

void g_save_mxcsr(X86Gen *g)
{
    ir_native_x(g->r, NATIVE(NP_NONE, 1, 0xae, NF_M) | NATIVE_DIGIT(3), G_ST(mxcsr));
}

void g_load_mxcsr(X86Gen *g)
{
    ir_native_x(g->r, NATIVE(NP_NONE, 1, 0xae, NF_M) | NATIVE_DIGIT(2), G_ST(mxcsr));
}

void gen_ldmxcsr(X86Gen *g)
{
    g_call(g, &x86_h_set_mxcsr, g_load(g, 0), IR_NONE, IR_NONE, IR_NONE);
    g_load_mxcsr(g);
    g->x87_checked = false;
}

void gen_stmxcsr(X86Gen *g)
{
    IrAddr m = g_mem(g, 4, true);

    g_save_mxcsr(g);
    ir_st(g->r, W32, m, ir_lds(g->r, W32, G_ST(mxcsr)));
}

/* The image goes through fp_scratch; what the processor leaves alone (XMM8 to 15 outside 64-bit mode, the last 96 bytes) too. */
static unsigned fx_bytes(const X86Gen *g)
{
    return g_code64(g) ? 416 : 288;
}

/* Nothing is written unless all of it can be; a wrong alignment comes before that. */
static IrAddr fxsave_mem(X86Gen *g)
{
    IrRef linear = g_linear(g, g_mem(g, 512, true)), low = ir_and(g->r, W32, linear, g_imm(g, 15), NULL);

    if (g->single) {
        unsigned aligned = ir_new_block(g->r);
        ir_brz(g->r, W32, low, aligned, 0);
        g_call(g, &x86_h_raise, g_imm(g, EXC_GP), g_imm(g, 0), IR_NONE, IR_NONE);
        ir_block(g->r, aligned);
        g->has_mem = false;
        linear = g_linear(g, g_mem(g, 512, true));
    } else {
        ir_brz(g->r, W32, low, g_cold_block(g, g->pc, LEAVE_ONE_INSN), 1);
    }
    g_call(g, &x86_h_probe_write, linear, g_imm(g, 512), IR_NONE, IR_NONE);
    return g_mem(g, 512, true);
}

void gen_fxsave(X86Gen *g)
{
    IrAddr m = fxsave_mem(g);

    g_save_mxcsr(g);
    g_call(g, &x86_h_fxsave, g_imm(g, (g->in.rex & X86_REX_W) != 0), IR_NONE, IR_NONE, IR_NONE);
    g->x87_checked = false;
    for (unsigned n = 0; n < fx_bytes(g); n += 16) { /* the last first: a fault leaves less behind */
        unsigned at = fx_bytes(g) - 16 - n;
        IrRef v = ir_native_vi(g->r, W128, IR_NONE, ir_lds(g->r, W64, G_CPU(fp_scratch) + at), IR_NONE,
                               NATIVE(NP_66, 1, 0x6e, NF_RM) | NATIVE_W);
        IrRef h = ir_native_vi(g->r, W128, IR_NONE, ir_lds(g->r, W64, G_CPU(fp_scratch) + at + 8), IR_NONE,
                               NATIVE(NP_66, 1, 0x6e, NF_RM) | NATIVE_W);
        v = ir_native(g->r, W128, v, h, IR_NONE, NATIVE(NP_66, 1, 0x6c, NF_RM));
        ir_stv(g->r, W128, g_plus(m, at), v);
    }
}

void gen_fxrstor(X86Gen *g)
{
    IrAddr m = g_mem(g, 512, false);

    m.flags |= IR_MEM_ALIGNED;
    for (unsigned n = 0; n < fx_bytes(g); n += 16) {
        IrRef v = ir_ldv(g->r, W128, g_plus(m, n));
        ir_sts(g->r, W64, G_CPU(fp_scratch) + n, low_half(g, v));
        ir_sts(g->r, W64, G_CPU(fp_scratch) + n + 8, high_half(g, v));
    }
    ir_ld(g->r, W64, g_plus((IrAddr){ .base = m.base, .index = m.index, .scale = m.scale, .addr = m.addr, .mmu = m.mmu,
                                      .disp = m.disp }, 504)); /* all 512 bytes must be readable */
    g_call(g, &x86_h_fxrstor, g_imm(g, (g->in.rex & X86_REX_W) != 0), g_imm(g, g_code64(g)), IR_NONE, IR_NONE);
    g_load_mxcsr(g);
    g->x87_checked = false;
}
