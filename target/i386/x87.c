/*
 * x87 instructions: SDM vol. 1, chapter 8; vol. 2. Where the state is live in the host (fp-helpers.h) they become the host's own;
 * a region checks that once. Where it is not, x87-helper.c does one instruction and makes it live, or, with an exception
 * unmasked, does them all. Waiting instructions raise a pending exception first (vol. 1, 8.6); memory is read before the
 * instruction changes anything.
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

/* Whether the instruction can be done in the host. */
static bool live(X86Gen *g)
{
    if (!g->single && !g->x87_checked) {
        ir_brz(g->r, W8, ir_lds(g->r, W8, G_CPU(x87_ready)), g_cold_block(g, g->pc, LEAVE_ONE_INSN), 0);
        g->x87_checked = true;
    }
    return !g->single;
}

/* 8.1.8 to 8.1.10: what the last instruction was; offset: of its memory operand, or IR_NONE. */
static void remember(X86Gen *g, IrRef offset)
{
    ir_sts(g->r, W64, G_ST(fip), ip(g));
    ir_sts(g->r, W16, G_ST(fop), g_imm(g, (g->in.opcode & 7) << 8 | (unsigned)g->in.modrm));
    ir_sts(g->r, W16, G_ST(fcs), ir_lds(g->r, W16, G_ST(seg[S_CS].selector)));
    if (offset != IR_NONE) {
        ir_sts(g->r, W64, G_ST(fdp), offset);
        ir_sts(g->r, W16, G_ST(fds), ir_lds(g->r, W16, G_ST(seg[g->in.seg].selector)));
    }
}

static void host_reg(X86Gen *g)
{
    ir_native_x(g->r, NATIVE(NP_NONE, 0, g->in.opcode, NF_FIXED) | NATIVE_IMM8(g->in.modrm), 0);
}

/* An instruction with its memory operand in the state. */
static void host_mem(X86Gen *g, unsigned opcode, unsigned digit, uint32_t at)
{
    ir_native_x(g->r, NATIVE(NP_NONE, 0, opcode, NF_M) | NATIVE_DIGIT(digit), at);
}

static TcgNative host_template(const X86Gen *g)
{
    return NATIVE(NP_NONE, 0, g->in.opcode, NF_M) | NATIVE_DIGIT(g->in.modrm >> 3 & 7);
}

void gen_x87_reg(X86Gen *g)
{
    if (live(g)) {
        remember(g, IR_NONE);
        host_reg(g);
    } else {
        g_call(g, &x86_h_x87_reg, insn(g), ip(g), g_imm(g, 0), IR_NONE);
    }
}

/* The helper takes the state out of the host and puts it back. */
void gen_x87_cmov(X86Gen *g)
{
    g_call(g, &x86_h_x87_reg, insn(g), ip(g), ir_fint(g->r, ir_getf(g->r)), IR_NONE);
    g->x87_checked = false;
}

/* Bit n of the flags, from a setcc of the host right after the comparison. */
static IrRef flag(X86Gen *g, unsigned at, unsigned n)
{
    return ir_shl(g->r, W32, ir_lds(g->r, W8, G_CPU(fp_scratch) + at), g_imm(g, n), g_imm(g, 0), NULL);
}

void gen_x87_comi(X86Gen *g)
{
    static const uint8_t setcc[3] = { 0x92, 0x94, 0x9a }; /* C Z P */
    IrRef f;

    if (!live(g)) {
        f = g_call(g, &x86_h_x87_reg, insn(g), ip(g), ir_fint(g->r, ir_getf(g->r)), IR_NONE);
        ir_setf(g->r, ir_fput(g->r, f));
        return;
    }
    remember(g, IR_NONE);
    ir_setf(g->r, ir_inline(0)); /* all six change: nothing that EFLAGS hold is wanted any more */
    host_reg(g);
    for (unsigned n = 0; n < 3; n++) {
        ir_native_x(g->r, NATIVE(NP_NONE, 1, setcc[n], NF_M), G_CPU(fp_scratch) + n);
    }
    f = ir_or(g->r, W32, flag(g, 0, 0), flag(g, 1, 6), NULL);
    f = ir_or(g->r, W32, f, flag(g, 2, 2), NULL);
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

/* Ten bytes at the end of a page go the precise way: as one access they would be 16. */
static void within_page(X86Gen *g, IrAddr m, unsigned bytes)
{
    IrRef f, linear;
    uint64_t v;

    if (bytes == 10) {
        linear = g_linear(g, m);
        if (ir_is_const(g->r, linear, &v) && (v & 0xfff) <= 0xff0) {
            return;
        }
        f = ir_cmp(g->r, W32, ir_and(g->r, W32, linear, g_imm(g, 0xfff), NULL), g_imm(g, 0xff0));
        ir_brcond(g->r, f, COND_A, g_cold_block(g, g->pc, LEAVE_ONE_INSN));
    }
}

void gen_x87_load(X86Gen *g)
{
    unsigned bytes = mem_bytes(g);
    IrRef offset = g_effective_address(g, g_address_width(g));
    IrAddr m;

    if (!live(g)) {
        g_x87_wait(g);
    }
    m = g_mem(g, bytes, false);
    if (g->x87_checked) {
        within_page(g, m, bytes);
        ir_native_xm(g->r, bytes == 10 ? W128 : word(bytes), m, host_template(g));
        remember(g, offset);
        return;
    }
    ir_sts(g->r, W64, G_CPU(fp_scratch[0]), ir_ld(g->r, word(bytes), m));
    if (bytes == 10) {
        ir_sts(g->r, W64, G_CPU(fp_scratch[1]), ir_ld(g->r, W16, g_plus(m, 8)));
    }
    g_call(g, &x86_h_x87_load, insn(g), ip(g), offset, IR_NONE);
}

/* Ten bytes are two stores: whether both can be done is asked before. */
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

/*
 * The register is popped before memory is written: x87_undo gives it back if that faults. Not exact: an empty register comes back as
 * the NaN that was stored.
 */
static void store_ten(X86Gen *g, IrAddr m)
{
    within_page(g, m, 10);
    ir_sts(g->r, W8, G_CPU(x87_ready), g_imm(g, 0));
    host_mem(g, 0xdd, 7, G_CPU(x87_undo_sw)); /* fnstsw */
    ir_native_x(g->r, host_template(g), G_CPU(x87_undo[0]));
    ir_st(g->r, W64, m, ir_lds(g->r, W64, G_CPU(x87_undo[0])));
    ir_st(g->r, W16, g_plus(m, 8), ir_lds(g->r, W16, G_CPU(x87_undo[1])));
    ir_sts(g->r, W8, G_CPU(x87_ready), g_imm(g, 1));
}

void gen_x87_store(X86Gen *g)
{
    unsigned bytes = mem_bytes(g);
    IrRef offset = g_effective_address(g, g_address_width(g));
    IrAddr m;

    if (!live(g)) {
        g_x87_wait(g);
        store_precisely(g, bytes, offset);
        return;
    }
    if (g->in.opcode == 0xdf && bytes == 10) { /* fbstp: what it stores does not give the register back */
        g_leave(g, LEAVE_ONE_INSN, g->pc);
        return;
    }
    m = g_mem(g, bytes, true);
    if (bytes == 10) {
        store_ten(g, m);
    } else {
        ir_native_xm(g->r, word(bytes), m, host_template(g) | TCG_NATIVE_WRITES);
    }
    remember(g, offset);
}

/* Control instructions: these leave the last instruction's pointers alone */

void gen_x87_control(X86Gen *g)
{
    if (g->in.modrm == 0xe2 && live(g)) {
        host_reg(g); /* fnclex */
        return;
    }
    g_call(g, &x86_h_x87_control, insn(g), IR_NONE, IR_NONE, IR_NONE);
    g->x87_checked = false;
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
    uint32_t at = G_ST(fsw);
    IrRef v;

    if (live(g)) {
        at = G_CPU(fp_scratch[0]);
        host_mem(g, 0xdd, 7, at);
    } else {
        g_call(g, &x86_h_x87_flush, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
    }
    v = ir_lds(g->r, W16, at);
    if (g->in.mem) {
        ir_st(g->r, W16, g_mem(g, 2, true), v);
    } else {
        g_set_reg(g, W16, R_RAX, v);
    }
}

/* Live as long as all exceptions stay masked. */
void gen_x87_ldcw(X86Gen *g)
{
    IrRef v, f;

    if (!live(g)) {
        g_x87_wait(g);
        g_call(g, &x86_h_x87_set_fcw, ir_ld(g->r, W16, g_mem(g, 2, false)), IR_NONE, IR_NONE, IR_NONE);
        return;
    }
    v = ir_ld(g->r, W16, g_mem(g, 2, false));
    f = ir_cmp(g->r, W32, ir_and(g->r, W32, v, g_imm(g, 0x3f), NULL), g_imm(g, 0x3f));
    ir_brcond(g->r, f, COND_NZ, g_cold_block(g, g->pc, LEAVE_ONE_INSN));
    v = ir_or(g->r, W32, ir_and(g->r, W32, v, g_imm(g, 0x1f3f), NULL), g_imm(g, 0x40), NULL);
    ir_sts(g->r, W16, G_ST(fcw), v);
    host_mem(g, 0xd9, 5, G_ST(fcw));
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
    g->x87_checked = false;
}
