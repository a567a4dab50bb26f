/* Task-state segments and task switches: SDM vol. 3, chapter 7. Not in IA-32e mode, where only stacks come from the TSS. */
#include "target/i386/sys/sys.h"

void x86_tss_stack(X86Cpu *c, unsigned cpl, uint16_t *ss, uint32_t *sp, unsigned ext)
{
    bool wide = (c->st.tr.attributes & 15) >= SYS_TSS; /* figures 7-2 and 7-10 */
    unsigned at = wide ? 4 + 8 * cpl : 2 + 4 * cpl;

    if (at + (wide ? 5 : 3) > c->st.tr.limit) {
        x86_raise(c, EXC_TS, (c->st.tr.selector & ~3u) | ext);
    }
    *sp = x86_sys_ld(c, c->st.tr.base + at, wide ? 4 : 2);
    *ss = x86_sys_ld(c, c->st.tr.base + at + (wide ? 4 : 2), 2);
}

uint64_t x86_tss_stack64(X86Cpu *c, unsigned slot, unsigned ext)
{
    unsigned at = 4 + 8 * slot; /* figure 7-11: RSP0 at 4, IST1 at 36 */
    uint64_t sp;

    if (at + 7 > c->st.tr.limit) {
        x86_raise(c, EXC_TS, (c->st.tr.selector & ~3u) | ext);
    }
    sp = x86_sys_ld(c, c->st.tr.base + at, 8);
    if (!x86_canonical(sp)) {
        x86_raise(c, EXC_SS, ext);
    }
    return sp;
}

/* A TSS's contents in the order of figure 7-2. */
typedef struct {
    bool wide;
    uint32_t cr3, eip, eflags;
    uint32_t gpr[8];
    uint16_t seg[6];       /* in the order of S_* */
    uint16_t ldt;
    bool trap;
} Tss;

enum { TSS32_SIZE = 0x68, TSS16_SIZE = 0x2c };

static void read_tss(X86Cpu *c, const X86Segment *tss, Tss *t)
{
    uint64_t b = tss->base;

    t->wide = (tss->attributes & 15) >= SYS_TSS;
    t->cr3 = t->wide ? x86_sys_ld(c, b + 0x1c, 4) : 0;
    t->eip = t->wide ? x86_sys_ld(c, b + 0x20, 4) : x86_sys_ld(c, b + 0x0e, 2);
    t->eflags = t->wide ? x86_sys_ld(c, b + 0x24, 4) : x86_sys_ld(c, b + 0x10, 2);
    for (unsigned n = 0; n < 8; n++) {
        t->gpr[n] = t->wide ? x86_sys_ld(c, b + 0x28 + 4 * n, 4) : x86_sys_ld(c, b + 0x12 + 2 * n, 2) | 0xffff0000;
    }
    for (unsigned n = 0; n < (t->wide ? 6 : 4); n++) {
        t->seg[n] = x86_sys_ld(c, t->wide ? b + 0x48 + 4 * n : b + 0x22 + 2 * n, 2);
    }
    t->ldt = x86_sys_ld(c, t->wide ? b + 0x60 : b + 0x2a, 2);
    t->trap = t->wide && (x86_sys_ld(c, b + 0x64, 1) & 1);
}

static void save_tss(X86Cpu *c, uint32_t eip, uint32_t eflags)
{
    uint64_t b = c->st.tr.base;
    bool wide = (c->st.tr.attributes & 15) >= SYS_TSS;

    x86_sys_st(c, wide ? b + 0x20 : b + 0x0e, eip, wide ? 4 : 2);
    x86_sys_st(c, wide ? b + 0x24 : b + 0x10, eflags, wide ? 4 : 2);
    for (unsigned n = 0; n < 8; n++) {
        x86_sys_st(c, wide ? b + 0x28 + 4 * n : b + 0x12 + 2 * n, c->st.gpr[n], wide ? 4 : 2);
    }
    for (unsigned n = 0; n < (wide ? 6 : 4); n++) {
        x86_sys_st(c, wide ? b + 0x48 + 4 * n : b + 0x22 + 2 * n, c->st.seg[n].selector, 2);
    }
}

static void set_busy(X86Cpu *c, uint16_t selector, bool busy)
{
    uint64_t at = c->st.gdtr.base + (selector & ~7u) + 5;
    uint8_t v = x86_sys_ld(c, at, 1);

    x86_sys_st(c, at, busy ? v | 2 : v & ~2, 1);
}

/* Step 1 to 6 of 7.3: everything that can go wrong in the old task. */
static void check_switch(X86Cpu *c, const X86Desc *d, X86TaskKind kind)
{
    uint32_t error = d->selector & ~3u;
    bool wide = (desc_type(d) & ~2u) == SYS_TSS, busy = desc_type(d) & 2;
    unsigned old_size = (c->st.tr.attributes & 15) >= SYS_TSS ? 0x60 : 0x2a;

    if (kind == TASK_IRET ? !busy : busy) {
        x86_raise(c, kind == TASK_IRET ? EXC_TS : EXC_GP, error);
    }
    if (d->seg.limit < (wide ? TSS32_SIZE : TSS16_SIZE) - 1) {
        x86_raise(c, EXC_TS, error);
    }
    tcg_probe(c->vcpu, (uint32_t)c->st.tr.base, old_size, TCG_WRITE, x86_mmu_system(c));
    tcg_probe(c->vcpu, (uint32_t)d->seg.base, wide ? TSS32_SIZE : TSS16_SIZE, TCG_READ, x86_mmu_system(c));
    tcg_probe(c->vcpu, (uint32_t)d->seg.base, 2, TCG_WRITE, x86_mmu_system(c));
}

/* Loads what cannot fail, with segments that are not usable yet. */
static void load_registers(X86Cpu *c, const Tss *t)
{
    c->st.cc = t->eflags & FL_STATUS;
    c->st.eflags = (t->eflags & (t->wide ? 0x3f7fd7 : 0x7fd7) & ~(uint32_t)FL_STATUS) | 2;
    for (unsigned n = 0; n < 8; n++) {
        c->st.gpr[n] = t->gpr[n];
    }
    for (unsigned n = 0; n < 6; n++) {
        uint32_t dpl = n == S_SS ? (t->seg[S_CS] & 3u) << X86_SEG_DPL_SHIFT : 0;

        c->st.seg[n] = (X86Segment){ .selector = t->seg[n], .attributes = X86_SEG_UNUSABLE | dpl };
    }
    c->st.ldtr = (X86Segment){ .selector = t->ldt, .attributes = X86_SEG_UNUSABLE };
    c->st.cr0 |= X86_CR0_TS;
    c->st.dr7 &= ~(uint64_t)0x155; /* local breakpoints, 17.2.4 */
    x86_go(c, t->eip);
}

static void load_task_cs(X86Cpu *c, uint16_t selector)
{
    unsigned rpl = selector & 3;
    X86Desc d;

    if (selector < 4) {
        x86_raise(c, EXC_TS, 0);
    }
    x86_need_desc(c, selector, &d, EXC_TS, 0);
    if (!desc_is_code(&d) || (desc_is_conforming(&d) ? desc_dpl(&d) > rpl : desc_dpl(&d) != rpl)) {
        x86_raise(c, EXC_TS, selector & ~3u);
    }
    if (!desc_present(&d)) {
        x86_raise(c, EXC_NP, selector & ~3u);
    }
    x86_set_accessed(c, &d);
    x86_load_cs(c, &d, rpl);
}

static void load_task_ss(X86Cpu *c, uint16_t selector, unsigned cpl)
{
    X86Desc d;

    if (selector < 4) {
        x86_raise(c, EXC_TS, 0);
    }
    x86_need_desc(c, selector, &d, EXC_TS, 0);
    x86_check_ss(c, &d, cpl, EXC_TS, 0);
    x86_set_accessed(c, &d);
    x86_load_ss(c, &d, cpl);
}

static void load_task_data(X86Cpu *c, unsigned s, uint16_t selector)
{
    X86Desc d;
    bool conforming;

    if (selector < 4) {
        return;
    }
    x86_need_desc(c, selector, &d, EXC_TS, 0);
    conforming = desc_is_code(&d) && desc_is_conforming(&d);
    if (!desc_is_segment(&d) || (desc_is_code(&d) && !(desc_type(&d) & SEG_RW)) ||
        (!conforming && (desc_dpl(&d) < (selector & 3u) || desc_dpl(&d) < x86_cpl(c)))) {
        x86_raise(c, EXC_TS, selector & ~3u);
    }
    if (!desc_present(&d)) {
        x86_raise(c, EXC_NP, selector & ~3u);
    }
    x86_set_accessed(c, &d);
    c->st.seg[s] = d.seg;
}

/* Step 13: in the context of the new task (7.3, table 7-1). */
static void load_segments(X86Cpu *c, const Tss *t)
{
    static const uint8_t data[] = { S_ES, S_DS, S_FS, S_GS };
    unsigned cpl = t->seg[S_CS] & 3;

    x86_load_ldtr(c, t->ldt, EXC_TS);
    if (c->st.eflags & FL_VM) {
        for (unsigned n = 0; n < 6; n++) {
            x86_load_vm86_segment(c, n, t->seg[n]);
        }
        return;
    }
    load_task_cs(c, t->seg[S_CS]);
    load_task_ss(c, t->seg[S_SS], cpl);
    for (unsigned n = 0; n < 4; n++) {
        load_task_data(c, data[n], t->seg[data[n]]);
    }
}

static void push_error(X86Cpu *c, bool wide, uint32_t error)
{
    X86Stack s;

    x86_stack_init(c, &s);
    x86_push(&s, error, wide ? 4 : 2);
    x86_stack_commit(&s);
}

void x86_task_switch(X86Cpu *c, X86Desc *d, X86TaskKind kind, uint64_t next_ip, bool has_error, uint32_t error)
{
    uint32_t eflags = x86_get_rflags(c);
    uint16_t old = c->st.tr.selector;
    Tss t;

    check_switch(c, d, kind);
    read_tss(c, &d->seg, &t);
    save_tss(c, next_ip, kind == TASK_IRET ? eflags & ~(uint32_t)FL_NT : eflags);
    if (kind == TASK_JMP || kind == TASK_IRET) {
        set_busy(c, old, false);
    }
    if (kind != TASK_IRET) {
        set_busy(c, d->selector, true);
    }
    if (kind == TASK_CALL || kind == TASK_EVENT) {
        x86_sys_st(c, d->seg.base, old, 2);
        t.eflags |= FL_NT;
    }
    c->st.tr = d->seg;
    c->st.tr.attributes |= 2;
    tcg_moved(c->vcpu); /* faults from here on are the new task's */
    load_registers(c, &t);
    if (t.wide && (c->st.cr0 & X86_CR0_PG)) {
        x86_set_cr3(c, t.cr3);
    }
    load_segments(c, &t);
    x86_update_key(c);
    if (has_error) {
        push_error(c, t.wide, error);
    }
    if (t.eip > c->st.seg[S_CS].limit) {
        x86_raise(c, EXC_GP, 0);
    }
    x86_go(c, t.eip);
    if (t.trap) {
        c->st.dr6 |= 1 << 15; /* BT */
        x86_raise(c, EXC_DB, 0);
    }
}
