/*
 * Moves, the stack, flags as data, segment register loads: bodies of rows of decode.def. SDM vol. 2.
 */
#include "target/i386/gen.h"

void gen_nop(X86Gen *g)
{
}

void gen_todo(X86Gen *g)
{
    g_ud(g);
}

void gen_ud(X86Gen *g)
{
    g_ud(g);
}

void gen_mov(X86Gen *g)
{
    g_store(g, 0, g_load(g, 1));
}

void gen_movnti(X86Gen *g)
{
    IrAddr m = g_mem(g, x86_operand_bytes(&g->in, 0), true);

    m.flags |= IR_MEM_NONTEMPORAL;
    ir_st(g->r, g_width(g, 1), m, g_load(g, 1));
}

void gen_movbe(X86Gen *g)
{
    unsigned n = g_is_mem(g, 0) ? 0 : 1;
    IrAddr m = g_mem(g, x86_operand_bytes(&g->in, n), n == 0);

    m.flags |= IR_MEM_SWAP;
    if (n == 0) {
        ir_st(g->r, g_width(g, 0), m, g_load(g, 1));
    } else {
        g_store(g, 0, ir_ld(g->r, g_width(g, 1), m));
    }
}

void gen_movzx(X86Gen *g)
{
    g_store(g, 0, ir_zext(g->r, g_width(g, 1), g_load(g, 1)));
}

void gen_movsx(X86Gen *g)
{
    IrWidth w = g_width(g, 1);

    if (g_is_mem(g, 1)) {
        IrAddr m = g_mem(g, ir_width_bytes(w), false);
        m.flags |= IR_MEM_SIGNED;
        g_store(g, 0, ir_ld(g->r, w, m));
    } else {
        g_store(g, 0, ir_sext(g->r, w, g_load(g, 1)));
    }
}

void gen_lea(X86Gen *g)
{
    IrWidth w = g_width(g, 0);

    g_set_reg(g, w, g->in.reg, g_effective_address(g, w));
}

void gen_xchg(X86Gen *g)
{
    IrRef b = g_load(g, 1), a;

    if (g->in.mem) { /* locked without being told (vol. 3, 9.1.2.1) */
        a = ir_rmw_xchg(g->r, g_width(g, 0), g_mem(g, x86_operand_bytes(&g->in, 0), true), b);
        g_store(g, 1, a);
    } else {
        a = g_load(g, 0);
        g_store(g, 0, b);
        g_store(g, 1, a);
    }
}

void gen_xchg_rax(X86Gen *g)
{
    if (g->in.opcode != 0x90 || (g->in.rex & X86_REX_B)) { /* 90 is NOP */
        gen_xchg(g);
    }
}

/* It waits for another processor: the run loop may let that one run. */
void gen_pause(X86Gen *g)
{
    gen_xchg_rax(g);
    if (!(g->key & KEY_USER) && !g->single) {
        g_leave(g, LEAVE_PAUSE, g->next);
    }
}

void gen_xlat(X86Gen *g)
{
    IrAddr a = { .base = g_reg(g, R_RBX), .index = ir_zext(g->r, W8, g_reg(g, R_RAX)), .addr = g->in.asize };

    g_set_reg(g, W8, R_RAX, ir_ld(g->r, W8, g_address(g, g->in.seg, a, 1, false)));
}

void gen_fence(X86Gen *g)
{
    ir_fence(g->r, (unsigned)g->in.row->arg);
}

void gen_clflush(X86Gen *g) /* faults as a load; there is no cache to flush */
{
    ir_ld(g->r, W8, g_mem(g, 1, false));
}

/* Stack */

void gen_push(X86Gen *g)
{
    g_push(g, g->in.osize, g_load(g, 0));
}

void gen_pop(X86Gen *g)
{
    IrWidth w = g->in.osize;
    int64_t bytes = ir_width_bytes(w);
    IrRef v = g_stack_load(g, w, 0);

    if (g_is_mem(g, 0)) {
        g->in.disp += g->in.base == R_RSP ? bytes : 0; /* POP: rSP is incremented before it is an address */
        g_store(g, 0, v);
        g_add_rsp(g, bytes);
    } else {
        g_add_rsp(g, bytes);
        g_store(g, 0, v);
    }
}

void gen_pusha(X86Gen *g)
{
    IrWidth w = g->in.osize;
    int64_t bytes = ir_width_bytes(w);

    for (int n = 0; n < 8; n++) {
        g_stack_store(g, w, -bytes * (n + 1), g_reg(g, (unsigned)n));
    }
    g_add_rsp(g, -8 * bytes);
}

void gen_popa(X86Gen *g)
{
    IrWidth w = g->in.osize;
    int64_t bytes = ir_width_bytes(w);
    IrRef v[8];

    for (int n = 7; n >= 0; n--) { /* in the order of POP: the first fault counts */
        v[n] = g_stack_load(g, w, bytes * (7 - n));
    }
    g_add_rsp(g, 8 * bytes);
    for (unsigned n = 0; n < 8; n++) {
        if (n != R_RSP) {
            g_set_reg(g, w, n, v[n]);
        }
    }
}

/* The new top of the stack must be writable, or ENTER faults before it has changed anything. */
void gen_enter(X86Gen *g)
{
    IrWidth w = g->in.osize;
    int64_t bytes = ir_width_bytes(w), level = g->in.imm2 & 31, below = bytes;
    IrRef bp = g_reg(g, R_RBP), frame;
    IrAddr at;

    g_stack_store(g, w, -bytes, bp);
    frame = ir_lea(g->r, g_stack_width(g), g_reg(g, R_RSP), IR_NONE, (uint64_t)-bytes, 0);
    for (int64_t n = 1; n < level; n++) {
        IrAddr a = { .base = bp, .disp = -n * bytes,
                     .addr = g_code64(g) ? IR_A64 : g->key & KEY_SS32 ? IR_A32 : IR_A16 };
        IrRef v = ir_ld(g->r, w, g_address(g, S_SS, a, (unsigned)bytes, false));
        below += bytes;
        g_stack_store(g, w, -below, v);
    }
    if (level) {
        below += bytes;
        g_stack_store(g, w, -below, frame);
    }
    below += (int64_t)g->in.imm;
    at = g_stack_address(g, -below, (unsigned)bytes, true);
    ir_rmw_or(g->r, w, at, g_imm(g, 0), NULL);
    g_add_rsp(g, -below);
    g_set_reg(g, w, R_RBP, frame);
}

void gen_leave(X86Gen *g)
{
    IrWidth w = g->in.osize, sw = g_stack_width(g);
    IrRef bp = g_reg(g, R_RBP);
    IrAddr a = { .base = bp, .addr = sw == W64 ? IR_A64 : sw == W32 ? IR_A32 : IR_A16 };
    IrRef v = ir_ld(g->r, w, g_address(g, S_SS, a, ir_width_bytes(w), false));

    g_set_reg(g, sw, R_RSP, ir_lea(g->r, sw, bp, IR_NONE, ir_width_bytes(w), 0));
    g_set_reg(g, w, R_RBP, v);
}

/* Flags as data */

void gen_lahf(X86Gen *g)
{
    IrRegion *r = g->r;
    IrRef v;

    if (g_code64(g) && !g_has(g, X86_F_lahf_lm)) {
        g_ud(g);
        return;
    }
    v = ir_or(r, W64, ir_fint(r, ir_getf(r)), g_imm(g, 2), NULL); /* bits 1, 3 and 5 are 1, 0 and 0 */
    ir_set(r, R_RAX, ir_deposit(r, g_reg(g, R_RAX), v, 8 | 8 << 8));
}

void gen_sahf(X86Gen *g)
{
    IrRegion *r = g->r;
    IrRef v;

    if (g_code64(g) && !g_has(g, X86_F_lahf_lm)) {
        g_ud(g);
        return;
    }
    v = ir_fput(r, ir_extract(r, g_reg(g, R_RAX), 8 | 8 << 8));
    ir_setf(r, ir_fmerge(r, ir_getf(r), v, IR_S | IR_Z | IR_A | IR_P | IR_C));
}

static bool vm86_without_iopl(const X86Gen *g)
{
    return (g->key & KEY_VM86) && (g->key & KEY_IOPL) != KEY_IOPL;
}

void gen_pushf(X86Gen *g)
{
    IrRegion *r = g->r;
    IrRef v;

    if (vm86_without_iopl(g)) {
        v = g_call(g, &x86_h_pushf, g_imm(g, g->in.osize), IR_NONE, IR_NONE, IR_NONE);
    } else {
        v = ir_and(r, W64, ir_lds(r, W32, G_ST(eflags)), g_imm(g, (uint32_t)~(FL_VM | FL_RF)), NULL);
        v = ir_or(r, W64, v, ir_fint(r, ir_getf(r)), NULL);
    }
    g_push(g, g->in.osize, v);
}

void gen_popf(X86Gen *g)
{
    IrWidth w = g->in.osize;

    IrRef v = g_call(g, &x86_h_popf, g_stack_load(g, w, 0), g_imm(g, w), IR_NONE, IR_NONE);

    g_add_rsp(g, ir_width_bytes(w));
    g_leave_if(g, v);
}

void gen_direction(X86Gen *g) /* arg: DF */
{
    IrRegion *r = g->r;
    IrRef v = ir_lds(r, W32, G_ST(eflags));

    v = g->in.row->arg ? ir_or(r, W32, v, g_imm(g, FL_DF), NULL) : ir_and(r, W32, v, g_imm(g, ~FL_DF), NULL);
    ir_sts(r, W32, G_ST(eflags), v);
}

/* Segment registers */

void gen_push_seg(X86Gen *g) /* arg: S_* */
{
    g_push(g, g->in.osize, ir_lds(g->r, W16, G_ST(seg[g->in.row->arg].selector)));
}

/* What the mode key says of segments may have changed (cpu.h: KEY_FLAT_DS, KEY_SS32, KEY_SHADOW). */
static void after_load(X86Gen *g, unsigned seg, IrRef changed)
{
    g->sets_shadow = seg == S_SS;
    if (seg == S_SS) {
        g_next_region(g);
    } else if (!g_code64(g) && seg < S_FS) {
        g_leave_if(g, changed);
    }
}

static IrRef load_seg(X86Gen *g, unsigned seg, IrRef selector)
{
    return g_call(g, &x86_h_load_seg, g_imm(g, seg), ir_zext(g->r, W16, selector), IR_NONE, IR_NONE);
}

void gen_pop_seg(X86Gen *g) /* arg: S_* */
{
    unsigned seg = (unsigned)g->in.row->arg;

    IrRef changed = load_seg(g, seg, g_stack_load(g, g->in.osize, 0));

    g_add_rsp(g, ir_width_bytes(g->in.osize));
    after_load(g, seg, changed);
}

void gen_mov_to_seg(X86Gen *g)
{
    unsigned seg = g->in.reg & 7;

    if (seg == S_CS || seg > S_GS) {
        g_ud(g);
        return;
    }
    after_load(g, seg, load_seg(g, seg, g_load(g, 1)));
}

void gen_mov_from_seg(X86Gen *g)
{
    if ((g->in.reg & 7) > S_GS) {
        g_ud(g);
        return;
    }
    gen_mov(g);
}

void gen_load_far(X86Gen *g) /* LDS and the like; arg: S_* */
{
    unsigned seg = (unsigned)g->in.row->arg, bytes = ir_width_bytes(g->in.osize);
    IrAddr m = g_mem(g, bytes + 2, false);
    IrRef offset = ir_ld(g->r, g->in.osize, m), selector = ir_ld(g->r, W16, g_plus(m, bytes)), changed;

    changed = load_seg(g, seg, selector);
    g_store(g, 0, offset);
    after_load(g, seg, changed);
}
