/*
 * String instructions and REP (SDM vol. 1, 7.3.9): bodies of rows of decode.def. A REP is a loop inside the region; each
 * iteration is an instruction of its own for faults, interrupts and single step: registers say how far it is.
 */
#include "target/i386/gen.h"

/*
 * REP MOVS and REP STOS go through a helper that does up to a page at once, where no segment has to be checked and no one
 * counts iterations; what it leaves goes one by one.
 */

typedef struct {
    IrWidth w, aw;           /* of the elements, of addresses and count */
    unsigned bytes;
    IrRef step;              /* bytes to the next element: negative with DF */
    unsigned done;           /* block after the last iteration; 0: no REP */
} String;

static bool has_rep(const X86Gen *g)
{
    return g->in.prefixes & (X86_P_F2 | X86_P_F3);
}

static IrRef step_of(X86Gen *g, IrWidth w)
{
    IrRef df = ir_extract(g->r, ir_lds(g->r, W32, G_ST(eflags)), 10 | 1 << 8);

    df = ir_shl(g->r, W64, df, g_imm(g, w + 1), ir_inline(0), NULL);
    return ir_sub(g->r, W64, g_imm(g, ir_width_bytes(w)), df, NULL);
}

/* Each iteration is off the instruction budget: there is no loop inside the region then. */
static bool counts_iterations(const X86Gen *g)
{
    return g->key & KEY_ICOUNT;
}

/* Begins an iteration: with REP, the loop and its test of the count. */
static void begin(X86Gen *g, String *s, IrWidth w)
{
    *s = (String){ .w = w, .bytes = ir_width_bytes(w), .aw = g_address_width(g) };
    if (has_rep(g)) {
        if (g->single) {
            s->done = g_cold_block(g, g->next, LEAVE_STEP);
        } else {
            s->done = ir_new_block(g->r);
            if (!counts_iterations(g)) {
                g->string_loop = ir_new_block(g->r);
                ir_br(g->r, g->string_loop);
                ir_block(g->r, g->string_loop);
            }
            ir_poll(g->r);
        }
        ir_brz(g->r, s->aw, g_reg(g, R_RCX), s->done, 0);
    }
    s->step = step_of(g, w);
}

static IrAddr element(X86Gen *g, const String *s, unsigned seg, unsigned reg, bool write)
{
    IrAddr a = { .base = g_reg(g, reg), .addr = g->in.asize };

    return g_address(g, seg, a, s->bytes, write);
}

static IrAddr source(X86Gen *g, const String *s)
{
    return element(g, s, g->in.seg, R_RSI, false);
}

static IrAddr destination(X86Gen *g, const String *s, bool write)
{
    return element(g, s, S_ES, R_RDI, write);
}

static void advance(X86Gen *g, const String *s, unsigned reg)
{
    g_set_reg(g, s->aw, reg, ir_lea(g->r, s->aw, g_reg(g, reg), s->step, 0, 0));
}

/*
 * Ends an iteration. f: flags of a comparison for REPE and REPNE, else IR_NONE. The count changes with the
 * pointers: nothing faults from the first `set` on.
 */
static void end(X86Gen *g, const String *s, IrRef f)
{
    IrRef c;

    if (!s->done) {
        return;
    }
    c = ir_lea(g->r, s->aw, g_reg(g, R_RCX), IR_NONE, (uint64_t)-1, 0);
    g_set_reg(g, s->aw, R_RCX, c);
    if (f != IR_NONE) {
        ir_brcond(g->r, f, g->in.prefixes & X86_P_F3 ? COND_NZ : COND_Z, s->done);
    }
    if (g->single) {
        ir_brz(g->r, s->aw, c, s->done, 0);
        g_jump(g, g->pc);
        return;
    }
    if (counts_iterations(g)) {
        g_jump(g, g->pc);
    } else {
        ir_br(g->r, g->string_loop);
    }
    ir_block(g->r, s->done);
    g_jump(g, g->next);
}

static bool may_go_in_bulk(const X86Gen *g, const String *s, bool source_too)
{
    bool flat = g_code64(g) || ((g->key & KEY_FLAT_DS) && (!source_too || (g->in.seg != S_CS && g->in.seg < S_FS)));

    return s->done && !g->single && flat && !counts_iterations(g) && !(g->key & KEY_AC_CHECK);
}

static void advance_by(X86Gen *g, const String *s, unsigned reg, IrRef elements)
{
    g_set_reg(g, s->aw, reg, ir_lea(g->r, s->aw, g_reg(g, reg), elements, 0, s->w));
}

/* The helper's share, and the begin of a block for the rest. */
static void bulk(X86Gen *g, String *s, const TcgHelper *h, IrRef to, IrRef from_or_value)
{
    unsigned slow = ir_new_block(g->r);
    IrRef count = ir_zext(g->r, s->aw, g_reg(g, R_RCX)), n, c;

    n = g_call(g, h, to, from_or_value, count, g_imm(g, s->w | (unsigned)g->mmu << 8));
    ir_brz(g->r, W64, n, slow, 0);
    advance_by(g, s, R_RDI, n);
    if (h == &x86_h_rep_movs) {
        advance_by(g, s, R_RSI, n);
    }
    c = ir_sub(g->r, W64, g_reg(g, R_RCX), n, NULL);
    g_set_reg(g, s->aw, R_RCX, c);
    ir_br(g->r, g->string_loop);
    ir_block(g->r, slow);
    s->step = step_of(g, s->w);
}

void gen_movs(X86Gen *g)
{
    String s;
    IrAddr from, to;

    begin(g, &s, g_width(g, 0));
    if (may_go_in_bulk(g, &s, true)) {
        bulk(g, &s, &x86_h_rep_movs, g_linear(g, destination(g, &s, true)), g_linear(g, source(g, &s)));
    }
    from = source(g, &s);
    to = destination(g, &s, true);
    ir_st(g->r, s.w, to, ir_ld(g->r, s.w, from));
    advance(g, &s, R_RSI);
    advance(g, &s, R_RDI);
    end(g, &s, IR_NONE);
}

void gen_stos(X86Gen *g)
{
    String s;

    begin(g, &s, g_width(g, 0));
    if (may_go_in_bulk(g, &s, false)) {
        bulk(g, &s, &x86_h_rep_stos, g_linear(g, destination(g, &s, true)), g_reg(g, R_RAX));
    }
    ir_st(g->r, s.w, destination(g, &s, true), g_reg(g, R_RAX));
    advance(g, &s, R_RDI);
    end(g, &s, IR_NONE);
}

void gen_lods(X86Gen *g)
{
    String s;
    IrRef v;

    begin(g, &s, g_width(g, 1));
    v = ir_ld(g->r, s.w, source(g, &s));
    g_set_reg(g, s.w, R_RAX, v);
    advance(g, &s, R_RSI);
    end(g, &s, IR_NONE);
}

void gen_cmps(X86Gen *g)
{
    String s;
    IrRef a, b, f;

    begin(g, &s, g_width(g, 0));
    a = ir_ld(g->r, s.w, source(g, &s));
    b = ir_ld(g->r, s.w, destination(g, &s, false));
    f = ir_cmp(g->r, s.w, a, b);
    ir_setf(g->r, f);
    advance(g, &s, R_RSI);
    advance(g, &s, R_RDI);
    end(g, &s, f);
}

void gen_scas(X86Gen *g)
{
    String s;
    IrRef b, f;

    begin(g, &s, g_width(g, 1));
    b = ir_ld(g->r, s.w, destination(g, &s, false));
    f = ir_cmp(g->r, s.w, g_reg(g, R_RAX), b);
    ir_setf(g->r, f);
    advance(g, &s, R_RDI);
    end(g, &s, f);
}

/* The destination is looked at before the port is read: reading may not happen twice. */
void gen_ins(X86Gen *g)
{
    String s;
    IrAddr to;
    IrRef v;

    begin(g, &s, g_width(g, 0));
    to = destination(g, &s, true);
    g_call(g, &x86_h_probe_write, g_linear(g, to), g_imm(g, s.bytes), IR_NONE, IR_NONE);
    v = g_call(g, &x86_h_in, ir_zext(g->r, W16, g_reg(g, R_RDX)), g_imm(g, s.bytes), IR_NONE, IR_NONE);
    ir_st(g->r, s.w, to, v);
    advance(g, &s, R_RDI);
    end(g, &s, IR_NONE);
}

void gen_outs(X86Gen *g)
{
    String s;
    IrRef v;

    begin(g, &s, g_width(g, 1));
    v = ir_ld(g->r, s.w, source(g, &s));
    g_call(g, &x86_h_out, ir_zext(g->r, W16, g_reg(g, R_RDX)), g_imm(g, s.bytes), v, IR_NONE);
    advance(g, &s, R_RSI);
    end(g, &s, IR_NONE);
}
