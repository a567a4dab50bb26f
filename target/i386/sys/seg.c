/* Descriptors and segment registers: SDM vol. 3, chapters 3 and 5; the instructions' own pages of vol. 2. */
#include "target/i386/sys-helpers.h"
#include "target/i386/sys/sys.h"

/* Descriptors --------------------------------------------------------------- */

static void unpack(X86Desc *d)
{
    uint32_t limit = (d->lo & 0xffff) | (d->hi & 0xf0000);

    d->seg = (X86Segment){
        .selector = d->selector,
        .base = d->lo >> 16 | (d->hi & 0xff) << 16 | (d->hi & 0xff000000),
        .limit = d->hi & 1u << 23 ? limit << 12 | 0xfff : limit,
        .attributes = d->hi >> 8 & 0xf0ff,
    };
}

bool x86_find_desc(X86Cpu *c, uint16_t selector, X86Desc *d)
{
    uint32_t offset = selector & ~7u, limit;
    uint64_t base;

    if (selector & 4) {
        if (c->st.ldtr.attributes & X86_SEG_UNUSABLE || !(c->st.ldtr.attributes & X86_SEG_P)) {
            return false;
        }
        base = c->st.ldtr.base;
        limit = c->st.ldtr.limit;
    } else {
        base = c->st.gdtr.base;
        limit = c->st.gdtr.limit;
    }
    if (offset + 7 > limit) {
        return false;
    }
    d->selector = selector;
    d->at = base + offset;
    d->lo = x86_sys_ld(c, d->at, 4);
    d->hi = x86_sys_ld(c, d->at + 4, 4);
    unpack(d);
    return true;
}

void x86_need_desc(X86Cpu *c, uint16_t selector, X86Desc *d, unsigned vector, unsigned ext)
{
    if (!x86_find_desc(c, selector, d)) {
        x86_raise(c, vector, (selector & ~3u) | ext);
    }
}

void x86_set_accessed(X86Cpu *c, X86Desc *d)
{
    if (!(d->hi & 0x100)) {
        d->hi |= 0x100;
        d->seg.attributes |= SEG_A;
        x86_sys_st(c, d->at + 5, d->hi >> 8 & 0xff, 1);
    }
}

/* Upper half of a 16-byte system descriptor of IA-32e mode (figure 3-28, 7-4); `vector`(selector) when it is outside or bad. */
static uint64_t upper_base(X86Cpu *c, const X86Desc *d, unsigned vector)
{
    uint32_t offset = d->selector & ~7u, error = d->selector & ~3u;
    uint64_t high;

    if (offset + 15 > c->st.gdtr.limit) {
        x86_raise(c, vector, error);
    }
    high = x86_sys_ld(c, d->at + 8, 8);
    if (high >> 40 & 0x1f) {
        x86_raise(c, vector, error); /* the type of the upper half must be 0 */
    }
    return d->seg.base | (high & 0xffffffff) << 32;
}

/* Segment registers ------------------------------------------------------------- */

static void put(X86Cpu *c, unsigned s, const X86Segment *seg)
{
    c->st.seg[s] = *seg;
}

void x86_load_cs(X86Cpu *c, const X86Desc *d, unsigned cpl)
{
    put(c, S_CS, &d->seg);
    c->st.seg[S_CS].selector = (d->selector & ~3u) | cpl;
    c->st.seg[S_CS].attributes |= SEG_A;
    if (x86_cpl(c) != cpl) { /* the DPL of SS is the CPL (cpu.h); its load follows where there is one */
        c->st.seg[S_SS].attributes = (c->st.seg[S_SS].attributes & ~(3u << X86_SEG_DPL_SHIFT)) | cpl << X86_SEG_DPL_SHIFT;
    }
}

void x86_load_ss(X86Cpu *c, const X86Desc *d, unsigned cpl)
{
    put(c, S_SS, &d->seg);
    c->st.seg[S_SS].attributes = (d->seg.attributes & ~(3u << X86_SEG_DPL_SHIFT)) | cpl << X86_SEG_DPL_SHIFT | SEG_A;
}

void x86_load_null_ss(X86Cpu *c, uint16_t selector, unsigned cpl)
{
    c->st.seg[S_SS] = (X86Segment){
        .selector = selector,
        .limit = UINT32_MAX,
        .attributes = X86_SEG_UNUSABLE | X86_SEG_G | X86_SEG_DB | X86_SEG_P | X86_SEG_S | SEG_RW | SEG_A |
                      cpl << X86_SEG_DPL_SHIFT,
    };
}

void x86_load_vm86_segment(X86Cpu *c, unsigned s, uint16_t selector)
{
    c->st.seg[s] = (X86Segment){ .selector = selector, .base = (uint32_t)selector << 4, .limit = 0xffff, .attributes = 0xf3 };
}

static void load_null(X86Cpu *c, unsigned s, uint16_t selector)
{
    /* In 64-bit mode a null FS or GS keeps no base: Intel clears it */
    c->st.seg[s] = (X86Segment){ .selector = selector, .attributes = X86_SEG_UNUSABLE };
}

void x86_drop_segments(X86Cpu *c, unsigned cpl)
{
    static const uint8_t data[] = { S_ES, S_DS, S_FS, S_GS };

    for (unsigned n = 0; n < 4; n++) {
        const X86Segment *s = &c->st.seg[data[n]];
        uint32_t a = s->attributes;
        bool conforming = (a & (SEG_CODE | SEG_CE)) == (SEG_CODE | SEG_CE);

        if (!(a & X86_SEG_UNUSABLE) && !conforming && (a >> X86_SEG_DPL_SHIFT & 3) < cpl) {
            load_null(c, data[n], 0);
        }
    }
}

void x86_check_ss(X86Cpu *c, const X86Desc *d, unsigned cpl, unsigned vector, unsigned ext)
{
    uint32_t error = (d->selector & ~3u) | ext;

    if ((d->selector & 3) != cpl || !desc_is_writable_data(d) || desc_dpl(d) != cpl) {
        x86_raise(c, vector, error);
    }
    if (!desc_present(d)) {
        x86_raise(c, EXC_SS, error);
    }
}

static void load_ss(X86Cpu *c, uint16_t selector)
{
    unsigned cpl = x86_cpl(c);
    X86Desc d;

    if (selector < 4) { /* vol. 2, MOV: a null SS only in 64-bit mode below CPL 3 with RPL = CPL */
        if (!x86_code64(c) || cpl == 3 || (selector & 3) != cpl) {
            x86_raise(c, EXC_GP, 0);
        }
        x86_load_null_ss(c, selector, cpl);
        return;
    }
    x86_need_desc(c, selector, &d, EXC_GP, 0);
    x86_check_ss(c, &d, cpl, EXC_GP, 0);
    x86_set_accessed(c, &d);
    x86_load_ss(c, &d, cpl);
}

static void load_data(X86Cpu *c, unsigned s, uint16_t selector)
{
    X86Desc d;
    uint32_t error = selector & ~3u;
    bool conforming;

    if (selector < 4) {
        load_null(c, s, selector);
        return;
    }
    x86_need_desc(c, selector, &d, EXC_GP, 0);
    if (!desc_is_segment(&d) || (desc_is_code(&d) && !(desc_type(&d) & SEG_RW))) {
        x86_raise(c, EXC_GP, error);
    }
    conforming = desc_is_code(&d) && desc_is_conforming(&d);
    if (!conforming && (desc_dpl(&d) < (selector & 3) || desc_dpl(&d) < x86_cpl(c))) {
        x86_raise(c, EXC_GP, error);
    }
    if (!desc_present(&d)) {
        x86_raise(c, EXC_NP, error);
    }
    x86_set_accessed(c, &d);
    put(c, s, &d.seg);
}

uint64_t x86_sys_load_seg(X86Cpu *c, uint64_t s, uint64_t selector)
{
    selector &= 0xffff;
    if (c->st.eflags & FL_VM) {
        x86_load_vm86_segment(c, s, selector);
    } else if (!(c->st.cr0 & X86_CR0_PE)) {
        c->st.seg[s].selector = selector; /* 20.1.1; limit and rights stay */
        c->st.seg[s].base = selector << 4;
        c->st.seg[s].attributes &= ~(uint32_t)X86_SEG_UNUSABLE;
        c->st.seg[s].attributes |= X86_SEG_P;
    } else if (s == S_SS) {
        load_ss(c, selector);
    } else {
        load_data(c, s, selector);
    }
    if (s == S_SS) {
        c->st.shadow = 2; /* 6.8.3 */
    }
    x86_update_key(c);
    return x86_settle(c);
}

/* Types count with CR0.PE only: 5.1. What a register was loaded with before real mode stays in it, CS's being code. */
static bool inside(const X86Cpu *c, const X86Segment *s, uint64_t offset, uint64_t bytes, bool write)
{
    bool typed = c->st.cr0 & X86_CR0_PE;
    uint32_t a = s->attributes;
    uint64_t last = offset + bytes - 1;

    if ((a & X86_SEG_UNUSABLE) || !(a & X86_SEG_P)) {
        return false;
    }
    if (a & SEG_CODE) {
        return (!typed || (!write && (a & SEG_RW))) && last <= s->limit;
    }
    if (typed && write && !(a & SEG_RW)) {
        return false;
    }
    if (a & SEG_CE) { /* 5.3: expand-down */
        return offset > s->limit && last <= (a & X86_SEG_DB ? UINT32_MAX : 0xffff);
    }
    return last <= s->limit;
}

uint64_t x86_sys_check_segment(X86Cpu *c, uint64_t s, uint64_t offset, uint64_t bytes, uint64_t write)
{
    if (!inside(c, &c->st.seg[s], offset, bytes, write)) {
        x86_raise(c, s == S_SS ? EXC_SS : EXC_GP, 0);
    }
    return 0;
}

/* Stacks -------------------------------------------------------------------------- */

void x86_stack_init(X86Cpu *c, X86Stack *s)
{
    const X86Segment *ss = &c->st.seg[S_SS];

    *s = (X86Stack){ .c = c, .base = ss->base, .sp = c->st.gpr[R_RSP], .limit = ss->limit, .attributes = ss->attributes,
                     .mmu = x86_mmu(c) };
    if (x86_code64(c)) {
        s->flat = true;
        s->base = 0;
        s->mask = UINT64_MAX;
    } else {
        s->mask = ss->attributes & X86_SEG_DB ? UINT32_MAX : 0xffff;
    }
}

void x86_stack_init_new(X86Cpu *c, X86Stack *s, const X86Desc *ss, uint64_t sp, unsigned cpl, uint32_t error)
{
    *s = (X86Stack){ .c = c, .sp = sp, .error = error,
                     .mmu = cpl == 3 ? MMU_USER : x86_mmu_system(c) };
    if (!ss) {
        s->flat = true;
        s->mask = UINT64_MAX;
        return;
    }
    s->base = ss->seg.base;
    s->limit = ss->seg.limit;
    s->attributes = ss->seg.attributes;
    s->mask = ss->seg.attributes & X86_SEG_DB ? UINT32_MAX : 0xffff;
}

static uint64_t stack_address(X86Stack *s, uint64_t offset, unsigned size, bool write)
{
    X86Segment seg = { .limit = s->limit, .attributes = s->attributes };

    if (s->flat) {
        if (!x86_canonical(offset) || !x86_canonical(offset + size - 1)) {
            x86_raise(s->c, EXC_SS, s->error);
        }
        return offset;
    }
    if (!inside(s->c, &seg, offset, size, write)) {
        x86_raise(s->c, EXC_SS, s->error);
    }
    return (uint32_t)(s->base + offset);
}

void x86_push(X86Stack *s, uint64_t value, unsigned size)
{
    uint64_t sp = (s->sp & ~s->mask) | ((s->sp - size) & s->mask);

    tcg_st(s->c->vcpu, stack_address(s, sp & s->mask, size, true), value, size, s->mmu);
    s->sp = sp;
}

uint64_t x86_pop(X86Stack *s, unsigned size)
{
    uint64_t v = tcg_ld(s->c->vcpu, stack_address(s, s->sp & s->mask, size, false), size, s->mmu);

    s->sp = (s->sp & ~s->mask) | ((s->sp + size) & s->mask);
    return v;
}

void x86_stack_commit(X86Stack *s)
{
    s->c->st.gpr[R_RSP] = s->sp;
}

/* LDTR, TR, tables ------------------------------------------------------------------- */

void x86_load_ldtr(X86Cpu *c, uint16_t selector, unsigned vector)
{
    X86Desc d;

    if (selector < 4) {
        c->st.ldtr = (X86Segment){ .selector = selector, .attributes = X86_SEG_UNUSABLE };
        return;
    }
    if (selector & 4) {
        x86_raise(c, vector, selector & ~3u);
    }
    x86_need_desc(c, selector, &d, vector, 0);
    if (desc_is_segment(&d) || desc_type(&d) != SYS_LDT) {
        x86_raise(c, vector, selector & ~3u);
    }
    if (!desc_present(&d)) {
        x86_raise(c, vector == EXC_TS ? EXC_TS : EXC_NP, selector & ~3u);
    }
    if (x86_lma(c)) {
        d.seg.base = upper_base(c, &d, vector);
    }
    c->st.ldtr = d.seg;
}

uint64_t x86_sys_lldt(X86Cpu *c, uint64_t selector)
{
    x86_load_ldtr(c, selector, EXC_GP);
    return 0;
}

uint64_t x86_sys_ltr(X86Cpu *c, uint64_t selector)
{
    X86Desc d;
    uint32_t error = selector & 0xfffc;

    selector &= 0xffff;
    if (selector < 4) {
        x86_raise(c, EXC_GP, 0);
    }
    if (selector & 4) {
        x86_raise(c, EXC_GP, error);
    }
    x86_need_desc(c, selector, &d, EXC_GP, 0);
    if (desc_is_segment(&d) || !(desc_type(&d) == SYS_TSS || (desc_type(&d) == SYS_TSS16 && !x86_lma(c)))) {
        x86_raise(c, EXC_GP, error);
    }
    if (!desc_present(&d)) {
        x86_raise(c, EXC_NP, error);
    }
    if (x86_lma(c)) {
        d.seg.base = upper_base(c, &d, EXC_GP);
    }
    x86_sys_st(c, d.at + 5, (d.hi >> 8 | 2) & 0xff, 1); /* busy */
    d.seg.attributes |= 2;
    c->st.tr = d.seg;
    return 0;
}

uint64_t x86_sys_load_table(X86Cpu *c, uint64_t idt, uint64_t limit, uint64_t base)
{
    X86Table *t = idt ? &c->st.idtr : &c->st.gdtr;

    if (x86_code64(c) && !x86_canonical(base)) {
        x86_raise(c, EXC_GP, 0);
    }
    t->limit = limit & 0xffff;
    t->base = base;
    return 0;
}

/* LAR, LSL, VERR, VERW: no fault but page faults ------------------------------------------ */

static bool may_see(X86Cpu *c, const X86Desc *d)
{
    if (desc_is_segment(d) && desc_is_code(d) && desc_is_conforming(d)) {
        return true;
    }
    return desc_dpl(d) >= x86_cpl(c) && desc_dpl(d) >= (d->selector & 3u);
}

/* Types of system descriptors that LAR and LSL take (vol. 2, tables 3-53 and 3-55). */
static bool lar_type(const X86Cpu *c, unsigned type, bool lsl)
{
    static const uint16_t legacy[2] = { 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 9 | 1 << 11 | 1 << 12,
                                        1 << 1 | 1 << 2 | 1 << 3 | 1 << 9 | 1 << 11 };
    static const uint16_t ia32e[2] = { 1 << 2 | 1 << 9 | 1 << 11 | 1 << 12, 1 << 2 | 1 << 9 | 1 << 11 };

    return (x86_lma(c) ? ia32e : legacy)[lsl] >> type & 1;
}

static bool look(X86Cpu *c, uint64_t selector, X86Desc *d, bool lsl)
{
    selector &= 0xffff;
    return selector >= 4 && x86_find_desc(c, selector, d) && may_see(c, d) &&
           (desc_is_segment(d) || lar_type(c, desc_type(d), lsl));
}

uint64_t x86_sys_lar(X86Cpu *c, uint64_t selector)
{
    X86Desc d;

    return look(c, selector, &d, false) ? (d.hi & 0x00f0ff00) | 1ull << 32 : 0;
}

uint64_t x86_sys_lsl(X86Cpu *c, uint64_t selector)
{
    X86Desc d;

    return look(c, selector, &d, true) ? d.seg.limit | 1ull << 32 : 0;
}

uint64_t x86_sys_verify(X86Cpu *c, uint64_t selector, uint64_t write)
{
    X86Desc d;

    selector &= 0xffff;
    if (selector < 4 || !x86_find_desc(c, selector, &d) || !desc_is_segment(&d) || !may_see(c, &d)) {
        return 0;
    }
    if (write) {
        return desc_is_writable_data(&d);
    }
    return !desc_is_code(&d) || (desc_type(&d) & SEG_RW);
}

uint64_t x86_sys_write_base(X86Cpu *c, uint64_t s, uint64_t value)
{
    if (!x86_canonical(value)) {
        x86_raise(c, EXC_GP, 0);
    }
    c->st.seg[s].base = value;
    return 0;
}
