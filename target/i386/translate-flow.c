/*
 * Jumps, calls, returns, interrupts, system calls: bodies of rows of decode.def. SDM vol. 2; far transfers are the
 * system part's (sys-helpers.def). Near branches in 64-bit mode ignore 66, as Intel's processors do.
 */
#include "target/i386/gen.h"

enum { IND_JUMP, IND_CALL, IND_RETURN };

/* The linear target of a relative jump; a loop can close only over a jump backwards or an indirect one. */
static vaddr relative_target(X86Gen *g)
{
    vaddr pc = g_target(g, g_next_ip(g) + g->in.imm);

    if (pc <= g->pc) {
        g_attention(g);
    }
    return pc;
}

/* To pc when the condition holds; else the region goes on, or ends after a jump back: the loop is what matters. */
static void jump_when(X86Gen *g, IrRef f, IrCond cond, vaddr pc)
{
    if (g->single) {
        g_jump_if(g, f, cond ^ 1, g->next);
        g_check_target(g, pc);
        g_jump(g, pc);
        return;
    }
    g_check_target(g, pc);
    g_jump_if(g, f, cond, pc);
    if (pc <= g->pc) {
        g_jump(g, g->next);
    }
}

void gen_jcc(X86Gen *g)
{
    vaddr pc = relative_target(g);

    jump_when(g, ir_getf(g->r), g->in.opcode & 15, pc);
}

void gen_jmp(X86Gen *g)
{
    vaddr pc = relative_target(g);

    g_check_target(g, pc);
    g_jump(g, pc);
}

void gen_jrcxz(X86Gen *g)
{
    vaddr pc = relative_target(g);
    IrRef c = g_reg(g, R_RCX);

    jump_when(g, ir_test(g->r, g_address_width(g), c, c), COND_Z, pc);
}

void gen_loop(X86Gen *g) /* LOOPNE E0, LOOPE E1, LOOP E2 */
{
    vaddr pc = relative_target(g);
    IrWidth w = g_address_width(g);
    IrRef c = ir_lea(g->r, w, g_reg(g, R_RCX), IR_NONE, (uint64_t)-1, 0), f;

    if (!g->single) {
        g_check_target(g, pc);
    }
    g_set_reg(g, w, R_RCX, c);
    f = ir_test(g->r, w, c, c);
    if (g->in.opcode == 0xe2) {
        jump_when(g, f, COND_NZ, pc);
        return;
    }
    g_jump_if(g, f, COND_Z, g->next);
    jump_when(g, ir_getf(g->r), g->in.opcode == 0xe0 ? COND_NZ : COND_Z, pc);
}

static void push_return(X86Gen *g)
{
    g_push(g, g->in.osize, g_imm(g, g_next_ip(g)));
    if (!g->single) {
        ir_push_ret(g->r, g_reg(g, R_RSP), g->next, g->num_slots++);
    }
}

void gen_call(X86Gen *g)
{
    vaddr pc = relative_target(g);

    g_check_target(g, pc);
    push_return(g);
    g_jump(g, pc);
}

void gen_call_ind(X86Gen *g)
{
    IrRef pc;

    g_attention(g);
    pc = g_check_ind(g, g_load(g, 0));
    push_return(g);
    g_jump_ind(g, pc, IR_NONE, IND_CALL);
}

void gen_jmp_ind(X86Gen *g)
{
    g_attention(g);
    g_jump_ind(g, g_check_ind(g, g_load(g, 0)), IR_NONE, IND_JUMP);
}

void gen_ret(X86Gen *g)
{
    IrRef pc, sp;

    g_attention(g);
    pc = g_check_ind(g, g_stack_load(g, g->in.osize, 0));
    sp = g_reg(g, R_RSP); /* where push_return's was after the push */
    g_add_rsp(g, ir_width_bytes(g->in.osize) + (int64_t)g->in.imm);
    g_jump_ind(g, pc, sp, IND_RETURN);
}

/* Far transfers: the helper has set where to go on. */

static void far_transfer(X86Gen *g, const TcgHelper *h)
{
    IrRef offset, selector;

    if (g->in.mem) {
        unsigned bytes = ir_width_bytes(g->in.osize);
        IrAddr m = g_mem(g, bytes + 2, false);
        offset = ir_ld(g->r, g->in.osize, m);
        selector = ir_ld(g->r, W16, g_plus(m, bytes));
    } else {
        offset = g_imm(g, g->in.imm);
        selector = g_imm(g, g->in.imm2);
    }
    g_call(g, h, selector, offset, g_imm(g, g->in.osize), g_imm(g, g_next_ip(g)));
    g_go_on(g);
}

void gen_callf(X86Gen *g)
{
    far_transfer(g, &x86_h_call_far);
}

void gen_jmpf(X86Gen *g)
{
    far_transfer(g, &x86_h_jmp_far);
}

void gen_retf(X86Gen *g)
{
    g_call(g, &x86_h_ret_far, g_imm(g, g->in.osize), g_imm(g, g->in.imm), g_imm(g, g_next_ip(g)), IR_NONE);
    g_go_on(g);
}

void gen_iret(X86Gen *g)
{
    g_call(g, &x86_h_iret, g_imm(g, g->in.osize), g_imm(g, g_next_ip(g)), IR_NONE, IR_NONE);
    g_go_on(g);
}

static void interrupt(X86Gen *g, unsigned vector, unsigned kind)
{
    g_call(g, &x86_h_interrupt, g_imm(g, vector), g_imm(g, g_next_ip(g)), g_imm(g, kind), IR_NONE);
    g_go_on(g);
}

void gen_int(X86Gen *g)
{
    interrupt(g, (unsigned)g->in.imm, INT_N);
}

void gen_int3(X86Gen *g)
{
    interrupt(g, EXC_BP, INT_3);
}

void gen_int1(X86Gen *g)
{
    interrupt(g, EXC_DB, INT_1);
}

void gen_into(X86Gen *g)
{
    g_jump_if(g, ir_getf(g->r), COND_NO, g->next);
    interrupt(g, EXC_OF, INT_O);
}

void gen_bound(X86Gen *g)
{
    IrWidth w = g_width(g, 0);
    unsigned bytes = ir_width_bytes(w), out = g_cold_block(g, g->pc, COLD_RAISE + EXC_BR);
    IrAddr m = g_mem(g, 2 * bytes, false);
    IrRef low = ir_ld(g->r, w, m), high = ir_ld(g->r, w, g_plus(m, bytes)), v = g_load(g, 0);

    ir_brcond(g->r, ir_cmp(g->r, w, v, low), COND_LT, out);
    ir_brcond(g->r, ir_cmp(g->r, w, v, high), COND_GT, out);
}

/* System calls; which mode and CPL allow them: vol. 2 */

void gen_syscall(X86Gen *g)
{
    g_call(g, &x86_h_syscall, g_imm(g, g_next_ip(g)), IR_NONE, IR_NONE, IR_NONE);
    g_go_on(g);
}

void gen_sysret(X86Gen *g)
{
    g_call(g, &x86_h_sysret, g_imm(g, g->in.osize), IR_NONE, IR_NONE, IR_NONE);
    g_go_on(g);
}

void gen_sysenter(X86Gen *g)
{
    if (!(g->key & KEY_PE)) {
        g_raise(g, EXC_GP, 0);
        return;
    }
    g_call(g, &x86_h_sysenter, g_imm(g, g_next_ip(g)), IR_NONE, IR_NONE, IR_NONE);
    g_go_on(g);
}

void gen_sysexit(X86Gen *g)
{
    if (!(g->key & KEY_PE) || g_cpl(g) != 0) {
        g_raise(g, EXC_GP, 0);
        return;
    }
    g_call(g, &x86_h_sysexit, g_imm(g, g->in.osize), IR_NONE, IR_NONE, IR_NONE);
    g_go_on(g);
}
