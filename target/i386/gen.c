/*
 * What bodies of instructions are written with: operands, addresses and segments, the stack, ends of a region. See gen.h.
 */
#include <assert.h>

#include "target/i386/gen.h"

bool g_has(const X86Gen *g, unsigned feature)
{
    unsigned bit = feature - 1;

    return feature == X86_F_none || (g->t->cpu->features[bit / 32] >> bit % 32 & 1);
}

IrRef g_imm(X86Gen *g, uint64_t v)
{
    return ir_imm(g->r, v);
}

IrRef g_call(X86Gen *g, const TcgHelper *h, IrRef a, IrRef b, IrRef c, IrRef d)
{
    return ir_call(g->r, a, b, c, d, (uintptr_t)h);
}

/* Registers */

void g_set_reg(X86Gen *g, IrWidth w, unsigned n, IrRef v)
{
    ir_set(g->r, n, w >= W32 ? ir_zext(g->r, w, v) : ir_mov(g->r, w, g_reg(g, n), v));
}

static bool is_high8(const X86Gen *g, unsigned n)
{
    return n >= 4 && n < 8 && !g->in.rex;
}

IrRef g_reg8(X86Gen *g, unsigned n)
{
    return is_high8(g, n) ? ir_extract(g->r, g_reg(g, n - 4), 8 | 8 << 8) : g_reg(g, n);
}

void g_set_reg8(X86Gen *g, unsigned n, IrRef v)
{
    if (is_high8(g, n)) {
        ir_set(g->r, n - 4, ir_deposit(g->r, g_reg(g, n - 4), v, 8 | 8 << 8));
    } else {
        g_set_reg(g, W8, n, v);
    }
}

/* Segments */

static bool segment_is_flat(const X86Gen *g, unsigned seg)
{
    return (g->key & KEY_FLAT_DS) && (seg == S_DS || seg == S_ES || seg == S_SS);
}

static IrWidth address_width(uint8_t addr)
{
    return addr == IR_A64 ? W64 : addr == IR_A32 ? W32 : W16;
}

static IrRef offset_of(X86Gen *g, IrAddr a)
{
    return ir_lea(g->r, address_width(a.addr), a.base, a.index, (uint64_t)a.disp, a.scale);
}

static void check_segment(X86Gen *g, unsigned seg, IrRef offset, unsigned bytes, bool write)
{
    IrRef top, last;

    if (g->single) { /* the precise way: what LEAVE_ONE_INSN comes back for */
        g_call(g, &x86_h_check_segment, g_imm(g, seg), offset, g_imm(g, bytes), g_imm(g, write));
        return;
    }
    top = ir_lds(g->r, W64, G_CPU(seg_top[write][seg]));
    last = ir_lea(g->r, W64, offset, IR_NONE, bytes - 1, 0);
    ir_brcond(g->r, ir_cmp(g->r, W64, top, last), COND_LT, g_cold_block(g, g->pc, LEAVE_ONE_INSN));
}

/* Segment base added to what may use base and index. */
static IrAddr add_base(X86Gen *g, unsigned seg, IrAddr a)
{
    IrRef base = ir_lds(g->r, W64, G_ST(seg[seg].base));

    if (a.base != IR_NONE && a.index != IR_NONE) {
        a = (IrAddr){ .base = offset_of(g, a), .addr = a.addr };
    }
    if (a.index == IR_NONE) {
        a.index = base;
        a.scale = 0;
    } else {
        a.base = base;
    }
    return a;
}

/*
 * The linear address of offset a (SDM vol. 1, 3.3.7; vol. 3, 5.3). a.addr is the address size; in 64-bit mode only FS and GS
 * have a base and nothing has a limit; elsewhere linear addresses have 32 bits.
 */
IrAddr g_address(X86Gen *g, unsigned seg, IrAddr a, unsigned bytes, bool write)
{
    if (g_code64(g)) {
        if (seg >= S_FS) {
            if (a.addr != IR_A64) {
                a = (IrAddr){ .base = offset_of(g, a) };
            }
            a = add_base(g, seg, a);
        }
    } else if (!segment_is_flat(g, seg)) {
        a = (IrAddr){ .base = offset_of(g, a), .addr = IR_A32 };
        if (bytes) {
            check_segment(g, seg, a.base, bytes, write);
        }
        a = add_base(g, seg, a);
    }
    a.mmu = g->mmu;
    a.flags |= g->key & KEY_AC_CHECK ? IR_MEM_ALIGNED : 0;
    return a;
}

IrAddr g_plus(IrAddr m, int64_t disp)
{
    m.disp += disp;
    return m;
}

IrRef g_linear(X86Gen *g, IrAddr m)
{
    return offset_of(g, m);
}

IrAddr g_one_register(X86Gen *g, IrAddr m)
{
    if (m.base != IR_NONE && m.index != IR_NONE) {
        m.base = offset_of(g, m);
        m.index = IR_NONE;
        m.disp = 0;
    }
    return m;
}

/* Memory operands */

static IrAddr operand_offset(X86Gen *g)
{
    const X86Insn *in = &g->in;
    IrAddr a = { .disp = in->disp, .addr = in->asize, .scale = in->scale };

    if (in->base == X86_BASE_RIP) {
        a.disp += (int64_t)g->next;
    } else if (in->base >= 0) {
        a.base = g_reg(g, in->base);
    }
    if (in->index >= 0) {
        a.index = g_reg(g, in->index);
    }
    return a;
}

IrRef g_effective_address(X86Gen *g, IrWidth w)
{
    IrAddr a = operand_offset(g);
    IrWidth aw = address_width(a.addr);

    return ir_lea(g->r, w < aw ? w : aw, a.base, a.index, (uint64_t)a.disp, a.scale);
}

IrAddr g_mem(X86Gen *g, unsigned bytes, bool write)
{
    if (!g->has_mem) {
        g->mem = g_address(g, g->in.seg, operand_offset(g), bytes, write);
        g->has_mem = true;
    }
    return g->mem;
}

IrAddr g_mem_indexed(X86Gen *g, IrRef index, unsigned scale, unsigned bytes, bool write)
{
    IrAddr a = operand_offset(g);

    a = (IrAddr){ .base = offset_of(g, a), .index = index, .scale = (uint8_t)scale, .addr = a.addr };
    a.base = offset_of(g, a);
    a.index = IR_NONE;
    return g_address(g, g->in.seg, a, bytes, write);
}

IrWidth g_width(const X86Gen *g, unsigned n)
{
    return (IrWidth)__builtin_ctz(x86_operand_bytes(&g->in, n) | 0x100);
}

bool g_is_mem(const X86Gen *g, unsigned n)
{
    switch (g->in.row->op[n].place) {
    case X86_AT_E: case X86_AT_M: case X86_AT_Q: case X86_AT_W:
        return g->in.mem;
    case X86_AT_O:
        return true;
    default:
        return false;
    }
}

static unsigned register_of(const X86Gen *g, unsigned n)
{
    switch (g->in.row->op[n].place) {
    case X86_AT_G:
        return g->in.reg;
    case X86_AT_B:
        return g->in.vvvv;
    case X86_AT_Z:
        return (g->in.opcode & 7) | (g->in.rex & X86_REX_B ? 8 : 0);
    case X86_AT_RAX:
        return R_RAX;
    case X86_AT_RCX:
        return R_RCX;
    case X86_AT_RDX:
        return R_RDX;
    default: /* E, R */
        return g->in.rm;
    }
}

IrRef g_load(X86Gen *g, unsigned n)
{
    IrWidth w = g_width(g, n);

    switch (g->in.row->op[n].place) {
    case X86_AT_I:
        return g_imm(g, g->in.imm);
    case X86_AT_ONE:
        return g_imm(g, 1);
    case X86_AT_S:
        return ir_lds(g->r, W16, G_ST(seg[g->in.reg & 7].selector));
    }
    if (g_is_mem(g, n)) {
        return ir_ld(g->r, w, g_mem(g, ir_width_bytes(w), false));
    }
    return w == W8 ? g_reg8(g, register_of(g, n)) : g_reg(g, register_of(g, n));
}

IrRef g_load_rmw(X86Gen *g, unsigned n)
{
    if (g_is_mem(g, n)) {
        IrAddr m = g_mem(g, x86_operand_bytes(&g->in, n), true);

        m.flags |= IR_MEM_RMW;
        return ir_ld(g->r, g_width(g, n), m);
    }
    return g_load(g, n);
}

void g_store(X86Gen *g, unsigned n, IrRef v)
{
    IrWidth w = g_width(g, n);

    if (g_is_mem(g, n)) {
        ir_st(g->r, w, g_mem(g, ir_width_bytes(w), true), v);
    } else if (w == W8) {
        g_set_reg8(g, register_of(g, n), v);
    } else {
        g_set_reg(g, w, register_of(g, n), v);
    }
}

void g_store_result(X86Gen *g, unsigned n, IrRef v)
{
    IrWidth w = g_width(g, n);
    unsigned reg;

    if (g_is_mem(g, n)) {
        ir_st(g->r, w, g_mem(g, ir_width_bytes(w), true), v);
        return;
    }
    reg = register_of(g, n);
    if (w == W8 && is_high8(g, reg)) {
        g_set_reg8(g, reg, v);
    } else {
        ir_set(g->r, reg, v);
    }
}

/* Stack (SDM vol. 1, 6.2.3) */

static uint8_t stack_size(const X86Gen *g)
{
    return g_code64(g) ? IR_A64 : g->key & KEY_SS32 ? IR_A32 : IR_A16;
}

IrWidth g_stack_width(const X86Gen *g)
{
    return address_width(stack_size(g));
}

IrAddr g_stack_address(X86Gen *g, int64_t disp, unsigned bytes, bool write)
{
    IrAddr a = { .base = g_reg(g, R_RSP), .disp = disp, .addr = stack_size(g) };

    return g_address(g, S_SS, a, bytes, write);
}

void g_add_rsp(X86Gen *g, int64_t n)
{
    IrWidth w = address_width(stack_size(g));

    g_set_reg(g, w, R_RSP, ir_lea(g->r, w, g_reg(g, R_RSP), IR_NONE, (uint64_t)n, 0));
}

void g_stack_store(X86Gen *g, IrWidth w, int64_t disp, IrRef v)
{
    ir_st(g->r, w, g_stack_address(g, disp, ir_width_bytes(w), true), v);
}

void g_push(X86Gen *g, IrWidth w, IrRef v)
{
    int64_t bytes = ir_width_bytes(w);

    g_stack_store(g, w, -bytes, v);
    g_add_rsp(g, -bytes);
}

IrRef g_stack_load(X86Gen *g, IrWidth w, int64_t disp)
{
    return ir_ld(g->r, w, g_stack_address(g, disp, ir_width_bytes(w), false));
}

/* Ends of the region */

unsigned g_cold_block(X86Gen *g, vaddr pc, unsigned reason)
{
    uint8_t n = g->num_cold;

    if (n && g->cold[n - 1].pc == pc && g->cold[n - 1].reason == reason) {
        return g->cold[n - 1].block;
    }
    assert(n < MAX_COLD);
    g->num_cold++;
    g->cold[n].block = ir_new_block(g->r);
    g->cold[n].at = g->pc;
    g->cold[n].pc = pc;
    g->cold[n].reason = (uint8_t)reason;
    return g->cold[n].block;
}

/* Bit 63:32 wrap outside 64-bit mode. */
static vaddr to_linear(const X86Gen *g, uint64_t ip)
{
    return g_code64(g) ? ip : (uint32_t)(ip + g->base);
}

static uint64_t to_ip(const X86Gen *g, vaddr pc)
{
    return g_code64(g) ? pc : (uint32_t)(pc - g->base);
}

vaddr g_target(X86Gen *g, uint64_t ip)
{
    return to_linear(g, g->in.osize == W16 ? (uint16_t)ip : g->in.osize == W32 ? (uint32_t)ip : ip);
}

uint64_t g_next_ip(const X86Gen *g)
{
    return to_ip(g, g->next);
}

static void finish_step(X86Gen *g)
{
    if ((g->key & KEY_SHADOW) && !g->sets_shadow) {
        ir_sts(g->r, W8, G_ST(shadow), g_imm(g, 0));
    }
    ir_leave(g->r, LEAVE_STEP);
}

void g_leave(X86Gen *g, unsigned reason, vaddr pc)
{
    ir_sts(g->r, W64, G_CPU(pc), g_imm(g, pc));
    g_leave_here(g, reason);
}

void g_leave_here(X86Gen *g, unsigned reason)
{
    if (g->single && reason == LEAVE_LOOKUP) {
        finish_step(g);
    } else {
        ir_leave(g->r, reason);
    }
    g->done = true;
}

void g_raise(X86Gen *g, unsigned vector, uint32_t error)
{
    g_call(g, &x86_h_raise, g_imm(g, vector), g_imm(g, error), IR_NONE, IR_NONE);
    ir_leave(g->r, LEAVE_LOOKUP); /* not reached: a block must end */
    g->done = true;
}

void g_ud(X86Gen *g)
{
    g_raise(g, EXC_UD, 0);
}

/*
 * A jump beyond the CS limit is #GP(0) of the jump. The region's entry has compared the limit with the highest of its IPs,
 * and one-instruction regions compare here.
 */
void g_check_target(X86Gen *g, vaddr pc)
{
    uint64_t ip = to_ip(g, pc);
    IrRef limit;

    if (!g->check_cs) {
        return;
    }
    if (!g->single) {
        g->max_ip = ip > g->max_ip ? ip : g->max_ip;
        return;
    }
    limit = ir_lds(g->r, W32, G_ST(seg[S_CS].limit));
    ir_brcond(g->r, ir_cmp(g->r, W64, limit, g_imm(g, ip)), COND_C, g_cold_block(g, g->pc, COLD_GP));
}

void g_jump(X86Gen *g, vaddr pc)
{
    if (g->single) {
        g_leave(g, LEAVE_LOOKUP, pc);
        return;
    }
    ir_exit(g->r, pc, g->num_slots++);
    g->done = true;
}

void g_jump_if(X86Gen *g, IrRef flags, IrCond cond, vaddr pc)
{
    if (g->single) {
        ir_brcond(g->r, flags, cond, g_cold_block(g, pc, LEAVE_STEP));
    } else {
        ir_exit_cond(g->r, flags, cond, pc, g->num_slots++);
    }
}

IrRef g_check_ind(X86Gen *g, IrRef ip)
{
    ip = ir_zext(g->r, g->in.osize, ip);
    if (g->check_cs) {
        IrRef limit = ir_lds(g->r, W32, G_ST(seg[S_CS].limit));
        ir_brcond(g->r, ir_cmp(g->r, W64, limit, ip), COND_C, g_cold_block(g, g->pc, COLD_GP));
    }
    return g_code64(g) ? ip : ir_lea(g->r, W32, ip, IR_NONE, g->base, 0);
}

void g_jump_ind(X86Gen *g, IrRef pc, IrRef sp, unsigned kind)
{
    if (g->single) {
        ir_sts(g->r, W64, G_CPU(pc), pc);
        g_leave_here(g, LEAVE_LOOKUP);
        return;
    }
    ir_exit_ind(g->r, pc, sp, kind);
    g->done = true;
}

void g_next_region(X86Gen *g)
{
    g_leave(g, LEAVE_LOOKUP, g->next);
}

/* A program's system calls and mode changes are its run loop's. */
static bool always_leaves(const X86Gen *g)
{
    return g->single || (g->key & KEY_USER);
}

void g_go_on(X86Gen *g)
{
    if (always_leaves(g)) {
        g_leave_here(g, LEAVE_LOOKUP);
    } else {
        g_jump_ind(g, ir_lds(g->r, W64, G_CPU(pc)), IR_NONE, 0);
    }
}

void g_go_on_next(X86Gen *g)
{
    if (always_leaves(g)) {
        g_next_region(g);
    } else {
        g_jump_ind(g, g_imm(g, g->next), IR_NONE, 0);
    }
}

void g_leave_if(X86Gen *g, IrRef v)
{
    if (always_leaves(g)) {
        g_next_region(g);
        return;
    }
    ir_brz(g->r, W32, v, g_cold_block(g, g->next, LEAVE_LOOKUP), 1);
    g->x87_checked = false;
}

void g_attention(X86Gen *g)
{
    if (!g->single && !g->in_shadow) {
        ir_poll(g->r);
    }
}

void g_write_cold_blocks(X86Gen *g)
{
    for (unsigned n = 0; n < g->num_cold; n++) {
        uint8_t reason = g->cold[n].reason;
        ir_block(g->r, g->cold[n].block);
        ir_insn(g->r, g->cold[n].at, 0);
        if (reason >= COLD_RAISE) {
            g_raise(g, reason - COLD_RAISE, 0);
        } else {
            g_leave(g, reason == LEAVE_STEP ? LEAVE_LOOKUP : reason, g->cold[n].pc);
        }
    }
}
