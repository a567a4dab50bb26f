/*
 * Instructions of the system: bodies of rows of decode.def. Mostly a call to what sys-helpers.def lists.
 */
#include "target/i386/gen.h"

#define CALL0(h) g_call(g, &x86_h_##h, IR_NONE, IR_NONE, IR_NONE, IR_NONE)
#define CALL1(h, a) g_call(g, &x86_h_##h, a, IR_NONE, IR_NONE, IR_NONE)
#define CALL2(h, a, b) g_call(g, &x86_h_##h, a, b, IR_NONE, IR_NONE)
#define CALL3(h, a, b, c) g_call(g, &x86_h_##h, a, b, c, IR_NONE)

static IrRef ecx(X86Gen *g)
{
    return ir_zext(g->r, W32, g_reg(g, R_RCX));
}

static IrRef edx_eax(X86Gen *g)
{
    IrRef low = ir_zext(g->r, W32, g_reg(g, R_RAX));

    return ir_deposit(g->r, low, g_reg(g, R_RDX), 32 | 32 << 8);
}

static void set_edx_eax(X86Gen *g, IrRef v)
{
    ir_set(g->r, R_RAX, ir_zext(g->r, W32, v));
    ir_set(g->r, R_RDX, ir_extract(g->r, v, 32 | 32 << 8));
}

/* Descriptor tables and segments */

void gen_store_sys(X86Gen *g) /* SLDT, STR, SMSW; arg: STORE_* */
{
    IrRef v;

    switch (g->in.row->arg) {
    case STORE_LDTR:
        v = ir_lds(g->r, W16, G_ST(ldtr.selector));
        break;
    case STORE_TR:
        v = ir_lds(g->r, W16, G_ST(tr.selector));
        break;
    default:
        v = ir_lds(g->r, W64, G_ST(cr0));
        break;
    }
    g_store(g, 0, v);
}

void gen_lldt(X86Gen *g)
{
    CALL1(lldt, ir_zext(g->r, W16, g_load(g, 0)));
}

void gen_ltr(X86Gen *g)
{
    CALL1(ltr, ir_zext(g->r, W16, g_load(g, 0)));
}

static void set_zf(X86Gen *g, IrRef one_bit)
{
    IrRef z = ir_deposit(g->r, g_imm(g, 0), one_bit, 6 | 1 << 8);

    ir_setf(g->r, ir_fmerge(g->r, ir_getf(g->r), ir_fput(g->r, z), IR_Z));
}

void gen_verify(X86Gen *g) /* arg: write */
{
    set_zf(g, CALL2(verify, ir_zext(g->r, W16, g_load(g, 0)), g_imm(g, g->in.row->arg)));
}

/* v: value | 1 << 32 or 0; the destination stays then. */
static void store_if_valid(X86Gen *g, IrRef v)
{
    IrRef valid = ir_extract(g->r, v, 32 | 1 << 8);
    IrRef f = ir_test(g->r, W8, valid, valid);
    IrWidth w = g_width(g, 0);
    IrRef old = g_reg(g, g->in.reg), value = ir_zext(g->r, W32, v);

    value = w == W16 ? ir_mov(g->r, W16, old, value) : value;
    ir_set(g->r, g->in.reg, ir_select(g->r, W64, old, value, f, COND_NZ));
    set_zf(g, valid);
}

void gen_lar(X86Gen *g)
{
    store_if_valid(g, CALL1(lar, ir_zext(g->r, W16, g_load(g, 1))));
}

void gen_lsl(X86Gen *g)
{
    store_if_valid(g, CALL1(lsl, ir_zext(g->r, W16, g_load(g, 1))));
}

void gen_arpl(X86Gen *g)
{
    IrRegion *r = g->r;
    IrRef d = g_load_rmw(g, 0), s = ir_extract(r, g_load(g, 1), 0 | 2 << 8), rpl = ir_extract(r, d, 0 | 2 << 8);
    IrRef less = ir_cmp(r, W32, rpl, s), v = ir_deposit(r, d, s, 0 | 2 << 8);

    g_store(g, 0, ir_select(r, W64, d, v, less, COND_C));
    set_zf(g, ir_cond(r, less, COND_C));
}

void gen_store_table(X86Gen *g) /* SGDT, SIDT; arg: 0, 1 */
{
    bool idt = g->in.row->arg;
    IrWidth w = g_code64(g) ? W64 : W32;
    IrAddr m = g_mem(g, 2 + ir_width_bytes(w), true);
    IrRef limit = ir_lds(g->r, W16, idt ? G_ST(idtr.limit) : G_ST(gdtr.limit));
    IrRef base = ir_lds(g->r, W64, idt ? G_ST(idtr.base) : G_ST(gdtr.base));

    ir_st(g->r, W16, m, limit);
    ir_st(g->r, w, g_plus(m, 2), base);
}

void gen_load_table(X86Gen *g) /* LGDT, LIDT */
{
    IrWidth w = g_code64(g) ? W64 : W32;
    IrAddr m = g_mem(g, 2 + ir_width_bytes(w), false);
    IrRef limit = ir_ld(g->r, W16, m), base = ir_ld(g->r, w, g_plus(m, 2));

    if (!g_code64(g) && g->in.osize == W16) {
        base = ir_extract(g->r, base, 0 | 24 << 8);
    }
    CALL3(load_table, g_imm(g, g->in.row->arg), limit, base);
}

void gen_swapgs(X86Gen *g)
{
    IrRef a = ir_lds(g->r, W64, G_ST(seg[S_GS].base)), b = ir_lds(g->r, W64, G_ST(kernel_gs_base));

    ir_sts(g->r, W64, G_ST(seg[S_GS].base), b);
    ir_sts(g->r, W64, G_ST(kernel_gs_base), a);
}

/* CR4.FSGSBASE says whether they exist. */
void gen_read_base(X86Gen *g) /* arg: S_FS, S_GS */
{
    if (!(g->key & KEY_FSGSBASE)) {
        g_ud(g);
        return;
    }
    g_store(g, 0, ir_lds(g->r, W64, G_ST(seg[g->in.row->arg].base)));
}

void gen_write_base(X86Gen *g)
{
    if (!(g->key & KEY_FSGSBASE)) {
        g_ud(g);
        return;
    }
    CALL2(write_base, g_imm(g, g->in.row->arg), ir_zext(g->r, g_width(g, 0), g_load(g, 0)));
}

/* Flags that are privileged */

/* Whether CLI and STI are plain: real mode, or CPL (3 in virtual-8086 mode) not above IOPL. */
static bool may_change_if(const X86Gen *g)
{
    unsigned cpl = g->key & KEY_VM86 ? 3 : g_cpl(g);

    return !(g->key & KEY_PE) || cpl <= (g->key & KEY_IOPL) >> KEY_IOPL_SHIFT;
}

void gen_cli(X86Gen *g)
{
    IrRef v;

    if (!may_change_if(g)) {
        CALL0(cli);
        return;
    }
    v = ir_lds(g->r, W32, G_ST(eflags));
    ir_sts(g->r, W32, G_ST(eflags), ir_and(g->r, W32, v, g_imm(g, ~FL_IF), NULL));
}

/*
 * Without anything pending there is nothing to hold off: the flag is set and the next instruction follows without a poll. Else the
 * instruction is done again, by the helper that makes a shadow.
 */
void gen_sti(X86Gen *g)
{
    IrRef v;

    if (g->single || (g->key & KEY_USER) || !may_change_if(g)) {
        CALL0(sti);
        g->sets_shadow = true;
        g_next_region(g);
        return;
    }
    ir_brz(g->r, W8, ir_lds(g->r, W8, G_CPU(rt.attention)), g_cold_block(g, g->pc, LEAVE_ONE_INSN), 1);
    v = ir_lds(g->r, W32, G_ST(eflags));
    ir_sts(g->r, W32, G_ST(eflags), ir_or(g->r, W32, v, g_imm(g, FL_IF), NULL));
    g->after_sti = true;
}

void gen_alignment_check(X86Gen *g) /* CLAC, STAC; arg: AC */
{
    if (g_cpl(g) != 0) {
        g_ud(g);
        return;
    }
    CALL1(alignment_check, g_imm(g, g->in.row->arg));
    g_go_on_next(g);
}

/* Control and debug registers, model-specific registers */

void gen_mov_from_cr(X86Gen *g)
{
    g_store(g, 0, CALL1(mov_from_cr, g_imm(g, g->in.reg)));
}

void gen_mov_to_cr(X86Gen *g)
{
    IrRef v = CALL2(mov_to_cr, g_imm(g, g->in.reg), ir_zext(g->r, g_width(g, 1), g_load(g, 1)));

    if (g->in.reg == 3) {
        g_go_on_next(g); /* the address of the next instruction may be another page now */
    } else {
        g_leave_if(g, v);
    }
}

void gen_mov_from_dr(X86Gen *g)
{
    g_store(g, 0, CALL1(mov_from_dr, g_imm(g, g->in.reg)));
}

void gen_mov_to_dr(X86Gen *g)
{
    g_leave_if(g, CALL2(mov_to_dr, g_imm(g, g->in.reg), ir_zext(g->r, g_width(g, 1), g_load(g, 1))));
}

void gen_clts(X86Gen *g)
{
    g_leave_if(g, CALL0(clts));
}

void gen_lmsw(X86Gen *g)
{
    g_leave_if(g, CALL1(lmsw, ir_zext(g->r, W16, g_load(g, 0))));
}

void gen_rdmsr(X86Gen *g)
{
    set_edx_eax(g, CALL1(rdmsr, ecx(g)));
}

void gen_wrmsr(X86Gen *g)
{
    g_leave_if(g, CALL2(wrmsr, ecx(g), edx_eax(g)));
}

void gen_xgetbv(X86Gen *g)
{
    set_edx_eax(g, CALL1(xgetbv, ecx(g)));
}

void gen_xsetbv(X86Gen *g)
{
    g_leave_if(g, CALL2(xsetbv, ecx(g), edx_eax(g)));
}

void gen_rdpkru(X86Gen *g)
{
    set_edx_eax(g, CALL1(rdpkru, ecx(g)));
}

void gen_wrpkru(X86Gen *g)
{
    CALL2(wrpkru, ecx(g), edx_eax(g));
    g_next_region(g);
}

static bool tsc_is_forbidden(X86Gen *g)
{
    if ((g->key & KEY_TSD) && g_cpl(g) != 0) {
        g_raise(g, EXC_GP, 0);
        return true;
    }
    return false;
}

void gen_rdtsc(X86Gen *g)
{
    if (!tsc_is_forbidden(g)) {
        set_edx_eax(g, CALL0(rdtsc));
    }
}

void gen_rdtscp(X86Gen *g)
{
    if (!tsc_is_forbidden(g)) {
        set_edx_eax(g, CALL0(rdtsc));
        ir_set(g->r, R_RCX, ir_lds(g->r, W32, G_ST(tsc_aux)));
    }
}

void gen_rdpid(X86Gen *g)
{
    g_store(g, 0, ir_lds(g->r, W32, G_ST(tsc_aux)));
}

void gen_rdpmc(X86Gen *g)
{
    if (!(g->key & KEY_PCE) && g_cpl(g) != 0) {
        g_raise(g, EXC_GP, 0);
        return;
    }
    set_edx_eax(g, CALL1(rdpmc, ecx(g)));
}

void gen_cpuid(X86Gen *g)
{
    CALL0(cpuid);
}

/* Memory management, caches */

void gen_invlpg(X86Gen *g)
{
    CALL1(invlpg, g_linear(g, g_mem(g, 0, false)));
    g_go_on_next(g);
}

void gen_invpcid(X86Gen *g)
{
    IrAddr m = g_mem(g, 16, false);
    IrRef low = ir_ld(g->r, W64, m), high = ir_ld(g->r, W64, g_plus(m, 8));

    CALL3(invpcid, ir_zext(g->r, g_width(g, 0), g_load(g, 0)), low, high);
    g_go_on_next(g);
}

void gen_cache(X86Gen *g) /* INVD, WBINVD: there is no cache */
{
}

/* CR4.OSXSAVE is the helper's to look at. */
void gen_xsave(X86Gen *g) /* arg: XSAVE_* */
{
    IrRef at = g_linear(g, g_mem(g, 1, g->in.row->arg != XSAVE_XRSTOR && g->in.row->arg != XSAVE_XRSTORS));

    g_call(g, &x86_h_xsave, g_imm(g, g->in.row->arg), at, edx_eax(g), g_imm(g, g->in.osize == W64));
}

/* Waiting, system management */

void gen_hlt(X86Gen *g)
{
    CALL1(hlt, g_imm(g, g_next_ip(g)));
    g_leave_here(g, LEAVE_LOOKUP);
}

void gen_monitor(X86Gen *g)
{
    IrAddr a = { .base = g_reg(g, R_RAX), .addr = g->in.asize };
    IrAddr m = g_address(g, g->in.seg, a, 1, false);
    unsigned bad = g_cold_block(g, g->pc, COLD_GP);

    ir_brz(g->r, W32, g_reg(g, R_RCX), bad, 1); /* no extensions are defined */
    ir_ld(g->r, W8, m);
    CALL1(monitor, g_linear(g, m));
}

void gen_mwait(X86Gen *g)
{
    CALL1(mwait, g_imm(g, g_next_ip(g)));
    g_leave_here(g, LEAVE_LOOKUP);
}

void gen_rsm(X86Gen *g)
{
    if (!(g->key & KEY_SMM)) {
        g_ud(g);
        return;
    }
    CALL0(rsm);
    g_leave_here(g, LEAVE_LOOKUP);
}

/* Ports */

void gen_in(X86Gen *g)
{
    IrWidth w = g_width(g, 0);

    g_store(g, 0, CALL2(in, ir_zext(g->r, W16, g_load(g, 1)), g_imm(g, ir_width_bytes(w))));
}

void gen_out(X86Gen *g)
{
    IrWidth w = g_width(g, 1);

    CALL3(out, ir_zext(g->r, W16, g_load(g, 0)), g_imm(g, ir_width_bytes(w)), ir_zext(g->r, w, g_load(g, 1)));
}

/* RDRAND, RDSEED: always a number */
void gen_random(X86Gen *g)
{
    IrRef v = g_call(g, &x86_h_random, IR_NONE, IR_NONE, IR_NONE, IR_NONE);

    g_store(g, 0, v);
    ir_setf(g->r, ir_inline(IR_C));
}
