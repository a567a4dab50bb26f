/*
 * x87 instructions: SDM vol. 1, chapter 8; vol. 2. The arithmetic is the host's own, done on the 80-bit images of the state by the
 * helpers of x87-helper.c. Waiting instructions raise a pending exception first (vol. 1, 8.6); memory is read before
 * the instruction changes anything, and written before what it computed is taken over.
 */
#include "target/i386/fp-helpers.h"
#include "target/i386/gen-fp.h"

static IrRef insn(X86Gen *g)
{
    return g_imm(g, X87_INSN(g->in.opcode, (unsigned)g->in.modrm, (unsigned)g->in.seg));
}

static IrRef ip(X86Gen *g)
{
    return g_imm(g, g->pc - g->base);
}

void gen_x87_reg(X86Gen *g)
{
    g_call(g, &x86_h_x87_reg, insn(g), ip(g), g_imm(g, 0), IR_NONE);
}

void gen_x87_cmov(X86Gen *g)
{
    g_call(g, &x86_h_x87_reg, insn(g), ip(g), ir_fint(g->r, ir_getf(g->r)), IR_NONE);
}

void gen_x87_comi(X86Gen *g)
{
    IrRef f = g_call(g, &x86_h_x87_reg, insn(g), ip(g), ir_fint(g->r, ir_getf(g->r)), IR_NONE);

    ir_setf(g->r, ir_fput(g->r, f));
}

static unsigned mem_bytes(const X86Gen *g)
{
    unsigned n = g->in.row->op[0].place == X86_AT_M ? 0 : 1;

    return x86_operand_bytes(&g->in, n);
}

static IrWidth word(unsigned bytes)
{
    return bytes == 2 ? W16 : bytes == 4 ? W32 : W64;
}

void gen_x87_load(X86Gen *g)
{
    unsigned bytes = mem_bytes(g);
    IrRef offset = g_effective_address(g, g_address_width(g));
    IrAddr m;

    g_x87_wait(g);
    m = g_mem(g, bytes, false);
    ir_sts(g->r, W64, G_CPU(fp_scratch[0]), ir_ld(g->r, word(bytes), m));
    if (bytes == 10) {
        ir_sts(g->r, W64, G_CPU(fp_scratch[1]), ir_ld(g->r, W16, g_plus(m, 8)));
    }
    g_call(g, &x86_h_x87_load, insn(g), ip(g), offset, IR_NONE);
}

/* Ten bytes are two stores: across a page they are done the precise way. */
static void store_result(X86Gen *g, IrAddr m, unsigned bytes)
{
    if (bytes == 10) {
        ir_st(g->r, W16, g_plus(m, 8), ir_lds(g->r, W16, G_CPU(fp_scratch[1])));
    }
    ir_st(g->r, word(bytes), m, ir_lds(g->r, W64, G_CPU(fp_scratch[0])));
}

/* In a region of its own: memory may be written, then whether there is something to write (an unmasked exception keeps it back). */
static void store_precisely(X86Gen *g, unsigned bytes, IrRef offset)
{
    unsigned none = ir_new_block(g->r);
    IrAddr m = g_mem(g, bytes, true);
    IrRef stored;

    g_call(g, &x86_h_probe_write, g_linear(g, m), g_imm(g, bytes), IR_NONE, IR_NONE);
    stored = g_call(g, &x86_h_x87_store, insn(g), ip(g), offset, IR_NONE);
    ir_brz(g->r, W32, stored, none, 0);
    store_result(g, m, bytes);
    ir_block(g->r, none);
    g_call(g, &x86_h_x87_commit, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
}

void gen_x87_store(X86Gen *g)
{
    unsigned bytes = mem_bytes(g);
    IrRef offset = g_effective_address(g, g_address_width(g)), f;
    IrAddr m;

    g_x87_wait(g);
    if (g->single) {
        store_precisely(g, bytes, offset);
        return;
    }
    m = g_mem(g, bytes, true);
    if (bytes == 10) {
        f = ir_cmp(g->r, W32, ir_and(g->r, W32, g_linear(g, m), g_imm(g, 0xfff), NULL), g_imm(g, 0x1000 - 10));
        ir_brcond(g->r, f, COND_A, g_cold_block(g, g->pc, LEAVE_ONE_INSN));
    }
    ir_brz(g->r, W32, g_call(g, &x86_h_x87_store, insn(g), ip(g), offset, IR_NONE),
           g_cold_block(g, g->pc, LEAVE_ONE_INSN), 0);
    store_result(g, m, bytes);
    g_call(g, &x86_h_x87_commit, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
}

/* Control instructions: these leave the last instruction's pointers alone */

void gen_x87_control(X86Gen *g)
{
    g_call(g, &x86_h_x87_control, insn(g), IR_NONE, IR_NONE, IR_NONE);
}

void gen_fwait(X86Gen *g)
{
    if ((g->key & KEY_CR0_TS) && (g->key & KEY_CR0_MP)) {
        g_raise(g, EXC_NM, 0);
        return;
    }
    g_x87_wait(g);
}

void gen_x87_stcw(X86Gen *g)
{
    ir_st(g->r, W16, g_mem(g, 2, true), ir_lds(g->r, W16, G_ST(fcw)));
}

void gen_x87_stsw(X86Gen *g)
{
    IrRef v = ir_lds(g->r, W16, G_ST(fsw));

    if (g->in.mem) {
        ir_st(g->r, W16, g_mem(g, 2, true), v);
    } else {
        g_set_reg(g, W16, R_RAX, v);
    }
}

void gen_x87_ldcw(X86Gen *g)
{
    g_x87_wait(g);
    g_call(g, &x86_h_x87_set_fcw, ir_ld(g->r, W16, g_mem(g, 2, false)), IR_NONE, IR_NONE, IR_NONE);
}

static unsigned layout(const X86Gen *g)
{
    bool real = !(g->key & KEY_PE) || (g->key & KEY_VM86), regs = g->in.opcode == 0xdd;

    return (g->in.osize == W16 ? X87_ENV_16 : 0) | (real ? X87_ENV_REAL : 0) | (regs ? X87_ENV_REGS : 0);
}

/* Copies from or to memory in words of 8, 4 and 2 bytes. */
static void copy(X86Gen *g, IrAddr m, unsigned bytes, bool store)
{
    for (unsigned at = 0, n; at < bytes; at += n) {
        IrWidth w;
        n = bytes - at >= 8 ? 8 : bytes - at >= 4 ? 4 : 2;
        w = n == 8 ? W64 : n == 4 ? W32 : W16;
        if (store) {
            ir_st(g->r, w, g_plus(m, at), ir_lds(g->r, w, G_CPU(fp_scratch) + at));
        } else {
            ir_sts(g->r, w, G_CPU(fp_scratch) + at, ir_ld(g->r, w, g_plus(m, at)));
        }
    }
}

void gen_x87_stenv(X86Gen *g)
{
    unsigned bytes = x86_operand_bytes(&g->in, 0);
    IrAddr m;

    if (!g->single) {
        g_leave(g, LEAVE_ONE_INSN, g->pc);
        return;
    }
    m = g_mem(g, bytes, true);
    g_call(g, &x86_h_probe_write, g_linear(g, m),
           g_imm(g, bytes), IR_NONE, IR_NONE);
    g_call(g, &x86_h_x87_get_env, g_imm(g, layout(g)), IR_NONE, IR_NONE, IR_NONE);
    copy(g, m, bytes, true);
    g_call(g, &x86_h_x87_control, g_imm(g, X87_INSN(g->in.opcode, (unsigned)g->in.modrm, 0)), IR_NONE, IR_NONE, IR_NONE);
}

void gen_x87_ldenv(X86Gen *g)
{
    unsigned bytes = x86_operand_bytes(&g->in, 0);

    g_x87_wait(g);
    copy(g, g_mem(g, bytes, false), bytes, false);
    g_call(g, &x86_h_x87_set_env, g_imm(g, layout(g)), IR_NONE, IR_NONE, IR_NONE);
}
