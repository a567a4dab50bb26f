/* Far JMP, CALL, RET and call gates: SDM vol. 3, 5.8; vol. 2, JMP, CALL, RET. */
#include "target/i386/sys-helpers.h"
#include "target/i386/sys/sys.h"

static const uint64_t width_mask[] = { 0xff, 0xffff, UINT32_MAX, UINT64_MAX };

static bool is_code64(const X86Cpu *c, const X86Desc *d)
{
    return x86_lma(c) && (d->seg.attributes & X86_SEG_L);
}

/* The new IP lies inside the new code segment (#GP(0)). */
static void check_target(X86Cpu *c, const X86Desc *d, uint64_t offset)
{
    if (is_code64(c, d) ? !x86_canonical(offset) : offset > d->seg.limit) {
        x86_raise(c, EXC_GP, 0);
    }
}

/* In IA-32e mode L and D are not both set. */
static void check_l_d(X86Cpu *c, const X86Desc *d)
{
    if (is_code64(c, d) && (d->seg.attributes & X86_SEG_DB)) {
        x86_raise(c, EXC_GP, d->selector & ~3u);
    }
}

static void enter(X86Cpu *c, X86Desc *d, unsigned cpl, uint64_t offset)
{
    x86_set_accessed(c, d);
    x86_load_cs(c, d, cpl);
    x86_go(c, offset);
}

/* Real and virtual-8086 mode. */
static void load_real_cs(X86Cpu *c, uint16_t selector)
{
    if (c->st.eflags & FL_VM) {
        x86_load_vm86_segment(c, S_CS, selector);
    } else {
        c->st.seg[S_CS].selector = selector;
        c->st.seg[S_CS].base = (uint32_t)selector << 4;
    }
}

static void check_real(X86Cpu *c, uint64_t offset)
{
    uint32_t limit = c->st.eflags & FL_VM ? 0xffff : c->st.seg[S_CS].limit;

    if (offset > limit) {
        x86_raise(c, EXC_GP, 0);
    }
}

/* Direct transfers: privileges of the target segment (5.8.1). */
static void check_direct(X86Cpu *c, const X86Desc *d)
{
    uint32_t error = d->selector & ~3u;
    unsigned cpl = x86_cpl(c);

    if (desc_is_conforming(d) ? desc_dpl(d) > cpl : (d->selector & 3u) > cpl || desc_dpl(d) != cpl) {
        x86_raise(c, EXC_GP, error);
    }
    check_l_d(c, d);
    if (!desc_present(d)) {
        x86_raise(c, EXC_NP, error);
    }
}

static void push_return(X86Cpu *c, X86Stack *s, uint64_t ip, unsigned size)
{
    x86_push(s, c->st.seg[S_CS].selector, size);
    x86_push(s, ip, size);
}

/* Call gates (5.8.3) ------------------------------------------------------- */

typedef struct {
    X86Desc code;
    uint64_t offset;
    unsigned params;
    unsigned size;      /* of pushes */
} Gate;

/* Reads and checks the gate at `d` and the segment it names. */
static void read_gate(X86Cpu *c, const X86Desc *d, Gate *g)
{
    uint32_t error = d->selector & ~3u;
    uint16_t target = d->lo >> 16;
    unsigned cpl = x86_cpl(c);

    if (desc_dpl(d) < cpl || desc_dpl(d) < (d->selector & 3u)) {
        x86_raise(c, EXC_GP, error);
    }
    if (!desc_present(d)) {
        x86_raise(c, EXC_NP, error);
    }
    g->size = x86_lma(c) ? 8 : desc_type(d) == SYS_CALL ? 4 : 2;
    g->params = x86_lma(c) ? 0 : d->hi & 31;
    g->offset = g->size == 2 ? d->lo & 0xffff : (d->lo & 0xffff) | (d->hi & 0xffff0000);
    if (x86_lma(c)) {
        uint32_t limit = d->selector & 4 ? c->st.ldtr.limit : c->st.gdtr.limit;
        uint64_t high;

        if ((d->selector & ~7u) + 15 > limit) {
            x86_raise(c, EXC_GP, error);
        }
        high = x86_sys_ld(c, d->at + 8, 8);
        if (high >> 40 & 0x1f) {
            x86_raise(c, EXC_GP, error);
        }
        g->offset |= (high & UINT32_MAX) << 32;
    }
    if (target < 4) {
        x86_raise(c, EXC_GP, 0);
    }
    x86_need_desc(c, target, &g->code, EXC_GP, 0);
    if (!desc_is_code(&g->code) || desc_dpl(&g->code) > cpl ||
        (x86_lma(c) && (g->code.seg.attributes & (X86_SEG_L | X86_SEG_DB)) != X86_SEG_L)) {
        x86_raise(c, EXC_GP, target & ~3u);
    }
    if (!desc_present(&g->code)) {
        x86_raise(c, EXC_NP, target & ~3u);
    }
}

static void jump_gate(X86Cpu *c, const X86Desc *d)
{
    Gate g;

    read_gate(c, d, &g);
    if (!desc_is_conforming(&g.code) && desc_dpl(&g.code) != x86_cpl(c)) {
        x86_raise(c, EXC_GP, g.code.selector & ~3u);
    }
    check_target(c, &g.code, g.offset);
    enter(c, &g.code, x86_cpl(c), g.offset);
}

/* To more privilege: the stack of the TSS, with the caller's parameters copied (5.8.5). */
static void call_inner(X86Cpu *c, Gate *g, uint64_t ip)
{
    unsigned cpl = desc_dpl(&g->code);
    uint64_t params[31];
    X86Stack old, s;
    X86Desc ss;
    uint16_t selector;
    uint32_t sp;

    x86_tss_stack(c, cpl, &selector, &sp, 0);
    if (selector < 4) {
        x86_raise(c, EXC_TS, 0);
    }
    x86_need_desc(c, selector, &ss, EXC_TS, 0);
    x86_check_ss(c, &ss, cpl, EXC_TS, 0);
    check_target(c, &g->code, g->offset);
    x86_stack_init(c, &old);
    for (unsigned n = 0; n < g->params; n++) {
        params[n] = x86_pop(&old, g->size);
    }
    x86_stack_init_new(c, &s, &ss, sp, cpl, selector & ~3u);
    x86_push(&s, c->st.seg[S_SS].selector, g->size);
    x86_push(&s, c->st.gpr[R_RSP], g->size);
    for (unsigned n = g->params; n-- > 0;) {
        x86_push(&s, params[n], g->size);
    }
    push_return(c, &s, ip, g->size);
    x86_set_accessed(c, &ss);
    x86_set_accessed(c, &g->code);
    x86_load_ss(c, &ss, cpl);
    x86_stack_commit(&s);
    enter(c, &g->code, cpl, g->offset);
}

static void call_inner64(X86Cpu *c, Gate *g, uint64_t ip)
{
    unsigned cpl = desc_dpl(&g->code);
    X86Stack s;

    x86_stack_init_new(c, &s, NULL, x86_tss_stack64(c, cpl, 0), cpl, 0);
    check_target(c, &g->code, g->offset);
    x86_push(&s, c->st.seg[S_SS].selector, 8);
    x86_push(&s, c->st.gpr[R_RSP], 8);
    push_return(c, &s, ip, 8);
    x86_set_accessed(c, &g->code);
    x86_load_null_ss(c, cpl, cpl);
    x86_stack_commit(&s);
    enter(c, &g->code, cpl, g->offset);
}

static void call_gate(X86Cpu *c, const X86Desc *d, uint64_t ip)
{
    X86Stack s;
    Gate g;

    read_gate(c, d, &g);
    if (!desc_is_conforming(&g.code) && desc_dpl(&g.code) < x86_cpl(c)) {
        if (x86_lma(c)) {
            call_inner64(c, &g, ip);
        } else {
            call_inner(c, &g, ip);
        }
        return;
    }
    check_target(c, &g.code, g.offset);
    x86_stack_init(c, &s);
    if (x86_lma(c)) { /* the pushes are those of 64-bit mode, also from compatibility mode */
        s.flat = true;
        s.mask = UINT64_MAX;
    }
    push_return(c, &s, ip, g.size);
    x86_stack_commit(&s);
    enter(c, &g.code, x86_cpl(c), g.offset);
}

/* Task gates and TSS descriptors as targets (7.3). */
static void switch_task(X86Cpu *c, X86Desc *d, X86TaskKind kind, uint64_t ip)
{
    uint32_t error = d->selector & ~3u;

    if (desc_dpl(d) < x86_cpl(c) || desc_dpl(d) < (d->selector & 3u)) {
        x86_raise(c, EXC_GP, error);
    }
    if (!desc_present(d)) {
        x86_raise(c, EXC_NP, error);
    }
    if (desc_type(d) == SYS_TASK) {
        uint16_t tss = d->lo >> 16;

        if (tss < 4 || (tss & 4)) {
            x86_raise(c, EXC_GP, tss & ~3u);
        }
        x86_need_desc(c, tss, d, EXC_GP, 0);
        if (desc_is_segment(d) || (desc_type(d) & 7) != SYS_TSS16) {
            x86_raise(c, EXC_GP, tss & ~3u);
        }
        if (!desc_present(d)) {
            x86_raise(c, EXC_NP, tss & ~3u);
        }
    }
    x86_task_switch(c, d, kind, ip, false, 0);
}

/* What a system descriptor as the target of JMP (call false) or CALL does. */
static void system_target(X86Cpu *c, X86Desc *d, uint64_t ip, bool call)
{
    unsigned type = desc_type(d);
    bool legacy = !x86_lma(c);

    if (type == SYS_CALL || (type == SYS_CALL16 && legacy)) {
        if (call) {
            call_gate(c, d, ip);
        } else {
            jump_gate(c, d);
        }
    } else if (legacy && (type == SYS_TASK || type == SYS_TSS16 || type == SYS_TSS)) {
        switch_task(c, d, call ? TASK_CALL : TASK_JMP, ip);
    } else {
        x86_raise(c, EXC_GP, d->selector & ~3u);
    }
}

uint64_t x86_sys_jmp_far(X86Cpu *c, uint64_t selector, uint64_t offset, uint64_t osize, uint64_t ip)
{
    X86Desc d;

    offset &= width_mask[osize];
    selector &= 0xffff;
    if (!x86_protected(c)) {
        check_real(c, offset);
        load_real_cs(c, selector);
        x86_go(c, offset);
        return x86_settle(c);
    }
    if (selector < 4) {
        x86_raise(c, EXC_GP, 0);
    }
    x86_need_desc(c, selector, &d, EXC_GP, 0);
    if (!desc_is_segment(&d)) {
        system_target(c, &d, ip, false);
        return x86_settle(c);
    }
    if (!desc_is_code(&d)) {
        x86_raise(c, EXC_GP, selector & ~3u);
    }
    check_direct(c, &d);
    check_target(c, &d, offset);
    enter(c, &d, x86_cpl(c), offset);
    return x86_settle(c);
}

uint64_t x86_sys_call_far(X86Cpu *c, uint64_t selector, uint64_t offset, uint64_t osize, uint64_t ip)
{
    unsigned size = 1u << osize;
    X86Stack s;
    X86Desc d;

    offset &= width_mask[osize];
    selector &= 0xffff;
    if (!x86_protected(c)) {
        x86_stack_init(c, &s);
        check_real(c, offset);
        push_return(c, &s, ip, size);
        x86_stack_commit(&s);
        load_real_cs(c, selector);
        x86_go(c, offset);
        return x86_settle(c);
    }
    if (selector < 4) {
        x86_raise(c, EXC_GP, 0);
    }
    x86_need_desc(c, selector, &d, EXC_GP, 0);
    if (!desc_is_segment(&d)) {
        system_target(c, &d, ip, true);
        return x86_settle(c);
    }
    if (!desc_is_code(&d)) {
        x86_raise(c, EXC_GP, selector & ~3u);
    }
    check_direct(c, &d);
    check_target(c, &d, offset);
    x86_stack_init(c, &s);
    push_return(c, &s, ip, size);
    x86_stack_commit(&s);
    enter(c, &d, x86_cpl(c), offset);
    return x86_settle(c);
}

/* RET --------------------------------------------------------------------------- */

static void check_return(X86Cpu *c, uint16_t selector, X86Desc *d)
{
    uint32_t error = selector & ~3u;
    unsigned rpl = selector & 3;

    if (selector < 4) {
        x86_raise(c, EXC_GP, 0);
    }
    x86_need_desc(c, selector, d, EXC_GP, 0);
    if (!desc_is_code(d) || rpl < x86_cpl(c) ||
        (desc_is_conforming(d) ? desc_dpl(d) > rpl : desc_dpl(d) != rpl)) {
        x86_raise(c, EXC_GP, error);
    }
    check_l_d(c, d);
    if (!desc_present(d)) {
        x86_raise(c, EXC_NP, error);
    }
}

void x86_return_to(X86Cpu *c, X86Return *r)
{
    unsigned rpl = r->cs & 3;
    bool outer;
    X86Desc cs, ss;

    check_return(c, r->cs, &cs);
    outer = rpl != x86_cpl(c);
    check_target(c, &cs, r->ip);
    if (!outer && !r->always_stack) {
        x86_set_accessed(c, &cs);
        r->stack.sp = (r->stack.sp & ~r->stack.mask) | ((r->stack.sp + r->release) & r->stack.mask);
        x86_stack_commit(&r->stack);
        x86_load_cs(c, &cs, rpl);
        return;
    }
    r->stack.sp = (r->stack.sp & ~r->stack.mask) | ((r->stack.sp + r->release) & r->stack.mask);
    r->sp = x86_pop(&r->stack, r->size);
    r->ss = x86_pop(&r->stack, r->size);
    if (r->ss < 4) {
        if (!is_code64(c, &cs) || rpl == 3 || (r->ss & 3) != rpl) {
            x86_raise(c, EXC_GP, 0);
        }
    } else {
        x86_need_desc(c, r->ss, &ss, EXC_GP, 0);
        x86_check_ss(c, &ss, rpl, EXC_GP, 0);
        x86_set_accessed(c, &ss);
    }
    x86_set_accessed(c, &cs);
    x86_load_cs(c, &cs, rpl);
    if (r->ss < 4) {
        x86_load_null_ss(c, r->ss, rpl);
    } else {
        x86_load_ss(c, &ss, rpl);
    }
    if (is_code64(c, &cs)) {
        c->st.gpr[R_RSP] = r->sp + r->release;
    } else {
        uint64_t mask = ss.seg.attributes & X86_SEG_DB ? UINT32_MAX : 0xffff;

        c->st.gpr[R_RSP] = mask == UINT32_MAX ? (uint32_t)(r->sp + r->release)
                                              : (c->st.gpr[R_RSP] & ~mask) | ((r->sp + r->release) & mask);
    }
    if (outer) {
        x86_drop_segments(c, rpl);
    }
}

uint64_t x86_sys_ret_far(X86Cpu *c, uint64_t osize, uint64_t release, uint64_t ip)
{
    X86Return r = { .size = 1u << osize, .release = release };

    x86_stack_init(c, &r.stack);
    r.ip = x86_pop(&r.stack, r.size);
    r.cs = x86_pop(&r.stack, r.size);
    if (!x86_protected(c)) {
        check_real(c, r.ip);
        r.stack.sp = (r.stack.sp & ~r.stack.mask) | ((r.stack.sp + release) & r.stack.mask);
        x86_stack_commit(&r.stack);
        load_real_cs(c, r.cs);
    } else {
        x86_return_to(c, &r);
    }
    x86_go(c, r.ip);
    return x86_settle(c);
}
