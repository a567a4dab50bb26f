/* Exceptions and interrupts: SDM vol. 3, chapter 6; in real and virtual-8086 mode, chapter 20. */
#include <inttypes.h>

#include "target/i386/sys-helpers.h"
#include "target/i386/sys/sys.h"
#include "util/log.h"

enum { ERROR_EXT = 1, ERROR_IDT = 2 };

/* Table 6-4. */
static bool is_contributory(unsigned vector)
{
    return vector == EXC_DE || (vector >= EXC_TS && vector <= EXC_GP) || vector == EXC_CP;
}

/* Table 6-5: what a second exception during the delivery of `first` becomes. */
static bool is_double(unsigned first, unsigned second)
{
    return (is_contributory(first) && is_contributory(second)) ||
           (first == EXC_PF && (is_contributory(second) || second == EXC_PF));
}

_Noreturn void x86_raise(X86Cpu *c, unsigned vector, uint32_t error)
{
    if (c->delivering) {
        c->delivering = false;
        if (c->first_vector == EXC_DF) {
            c->st.shutdown = true; /* a triple fault */
            tcg_leave_to_loop(c->vcpu);
        }
        if (is_double(c->first_vector, vector)) {
            vector = EXC_DF;
            error = 0;
        }
    }
    c->st.exception = vector;
    c->st.error_code = error;
    tcg_leave(c->vcpu);
}

_Noreturn void x86_raise_debug(X86Cpu *c, uint32_t dr6)
{
    c->st.dr6 = (c->st.dr6 & ~(uint64_t)0xf) | dr6; /* B0-B3 are those of this exception, BD BS BT only set (17.2.3) */
    x86_raise(c, EXC_DB, 0);
}

static bool has_error_code(unsigned vector)
{
    return vector == EXC_DF || (vector >= EXC_TS && vector <= EXC_PF) || vector == EXC_AC || vector == EXC_CP;
}

void x86_deliver(X86Cpu *c)
{
    unsigned vector = c->st.exception;

    c->delivering = true;
    c->first_vector = vector;
    c->st.shadow = 0;
    log_item(LOG_INT, "exception 0x%02x error 0x%04x at %04x:%016" PRIx64 " cpl %u sp %04x:%016" PRIx64 " cr2 %016" PRIx64 "\n",
             vector, c->st.error_code, c->st.seg[S_CS].selector, c->st.rip, x86_cpl(c), c->st.seg[S_SS].selector,
             c->st.gpr[R_RSP], c->st.cr2);
    x86_event(c, vector, EVENT_EXCEPTION, has_error_code(vector), c->st.error_code, c->st.rip);
    c->st.exception = 255;
    c->delivering = false;
    if (vector == EXC_DB) {
        c->st.dr7 &= ~(uint64_t)(1 << 13); /* GD, 17.2.4 */
    }
}

/* Real mode and redirected interrupts (20.1.4) -------------------------------- */

/* Through the vector table at `table`; flags as pushed. */
static void event_real(X86Cpu *c, unsigned vector, uint64_t table, uint16_t flags, uint64_t ip)
{
    uint32_t target = x86_sys_ld(c, table + 4 * vector, 4);
    X86Stack s;

    x86_stack_init(c, &s);
    x86_push(&s, flags, 2);
    x86_push(&s, c->st.seg[S_CS].selector, 2);
    x86_push(&s, ip, 2);
    x86_stack_commit(&s);
    c->st.seg[S_CS].selector = target >> 16;
    c->st.seg[S_CS].base = target >> 16 << 4;
    x86_go(c, target & 0xffff);
}

static void real_mode(X86Cpu *c, unsigned vector, uint64_t ip)
{
    if (4 * vector + 3 > c->st.idtr.limit) {
        x86_raise(c, EXC_GP, 0);
    }
    event_real(c, vector, c->st.idtr.base, x86_get_rflags(c), ip);
    c->st.eflags &= ~(FL_IF | FL_TF | FL_AC | FL_RF);
    x86_update_key(c);
}

/*
 * INT n in virtual-8086 mode (20.3, table 20-2): true when it went through the program's own vector table. #GP(0) when IOPL does not
 * allow it.
 */
static bool vm86_int(X86Cpu *c, unsigned vector, uint64_t ip)
{
    uint32_t map, flags = x86_get_rflags(c);
    bool vme = c->st.cr4 & X86_CR4_VME, redirect = false;

    if (vme) {
        map = x86_sys_ld(c, c->st.tr.base + 0x66, 2);
        if (map < 32 || map - 32 + vector / 8 > c->st.tr.limit) {
            x86_raise(c, EXC_GP, 0);
        }
        redirect = !(x86_sys_ld(c, c->st.tr.base + map - 32 + vector / 8, 1) >> (vector & 7) & 1);
    }
    if (!redirect) {
        if (x86_iopl(c) < 3) {
            x86_raise(c, EXC_GP, 0);
        }
        return false;
    }
    if (x86_iopl(c) < 3) {
        flags = (flags & ~(uint32_t)FL_IF) | FL_IOPL | (flags & FL_VIF ? FL_IF : 0);
        event_real(c, vector, 0, flags, ip);
        c->st.eflags &= ~(FL_VIF | FL_TF);
    } else {
        event_real(c, vector, 0, flags, ip);
        c->st.eflags &= ~(FL_IF | FL_TF);
    }
    x86_update_key(c);
    return true;
}

/* Gates (6.12) ------------------------------------------------------------------ */

typedef struct {
    unsigned vector;
    unsigned ext;        /* EXT bit of error codes */
    bool soft;           /* the gate's DPL counts */
    bool has_error;
    uint32_t error;
    uint64_t ip;
    uint32_t flags;      /* image to push */
    /* Of the gate */
    uint32_t lo, hi;
    uint64_t offset;
    unsigned size;       /* of pushes */
    bool interrupt_gate; /* IF is cleared */
    X86Desc code;
} Transfer;

static uint32_t idt_error(const Transfer *e)
{
    return e->vector << 3 | ERROR_IDT | e->ext;
}

static void read_idt(X86Cpu *c, Transfer *e)
{
    unsigned size = x86_lma(c) ? 16 : 8;
    uint64_t at = c->st.idtr.base + (uint64_t)size * e->vector;

    if (size * e->vector + size - 1 > c->st.idtr.limit) {
        x86_raise(c, EXC_GP, idt_error(e));
    }
    e->lo = x86_sys_ld(c, at, 4);
    e->hi = x86_sys_ld(c, at + 4, 4);
    e->offset = (e->lo & 0xffff) | (e->hi & 0xffff0000);
    if (x86_lma(c)) {
        e->offset |= x86_sys_ld(c, at + 8, 4) << 32;
    }
}

static void check_gate(X86Cpu *c, Transfer *e)
{
    unsigned type = e->hi >> 8 & 31;
    bool ok = type == SYS_INT || type == SYS_TRAP ||
              (!x86_lma(c) && (type == SYS_INT16 || type == SYS_TRAP16 || type == SYS_TASK));

    if (!ok || (e->soft && (e->hi >> 13 & 3) < x86_cpl(c))) {
        x86_raise(c, EXC_GP, idt_error(e));
    }
    if (!(e->hi >> 15 & 1)) {
        x86_raise(c, EXC_NP, idt_error(e));
    }
    e->interrupt_gate = type == SYS_INT || type == SYS_INT16;
    e->size = x86_lma(c) ? 8 : type & 8 ? 4 : 2;
    if (e->size == 2) {
        e->offset &= 0xffff;
    }
}

static void check_handler(X86Cpu *c, Transfer *e)
{
    uint16_t selector = e->lo >> 16;
    uint32_t error = (selector & ~3u) | e->ext;
    uint32_t a;

    if (selector < 4) {
        x86_raise(c, EXC_GP, e->ext);
    }
    x86_need_desc(c, selector, &e->code, EXC_GP, e->ext);
    a = e->code.seg.attributes;
    if (!desc_is_code(&e->code) || desc_dpl(&e->code) > x86_cpl(c) ||
        (x86_lma(c) && (a & (X86_SEG_L | X86_SEG_DB)) != X86_SEG_L)) {
        x86_raise(c, EXC_GP, error);
    }
    if (!desc_present(&e->code)) {
        x86_raise(c, EXC_NP, error);
    }
    if ((c->st.eflags & FL_VM) && (desc_is_conforming(&e->code) || desc_dpl(&e->code) != 0)) {
        x86_raise(c, EXC_GP, error);
    }
    if (x86_lma(c) ? !x86_canonical(e->offset) : e->offset > e->code.seg.limit) {
        x86_raise(c, EXC_GP, e->ext);
    }
}

static void enter_handler(X86Cpu *c, Transfer *e, unsigned cpl)
{
    uint32_t clear = FL_TF | FL_NT | FL_RF | FL_VM | (e->interrupt_gate ? FL_IF : 0);

    x86_set_accessed(c, &e->code);
    x86_load_cs(c, &e->code, cpl);
    c->st.eflags &= ~clear;
    x86_go(c, e->offset);
}

static void push_frame(X86Cpu *c, X86Stack *s, const Transfer *e)
{
    x86_push(s, e->flags, e->size);
    x86_push(s, c->st.seg[S_CS].selector, e->size);
    x86_push(s, e->ip, e->size);
    if (e->has_error) {
        x86_push(s, e->error, e->size);
    }
}

static void same_level(X86Cpu *c, Transfer *e)
{
    X86Stack s;

    x86_stack_init(c, &s);
    s.error = e->ext;
    if (x86_cpl(c) < 3) {
        s.mmu = x86_mmu_system(c);
    }
    push_frame(c, &s, e);
    x86_stack_commit(&s);
    enter_handler(c, e, x86_cpl(c));
}

static void inner_level(X86Cpu *c, Transfer *e)
{
    static const uint8_t vm86_order[] = { S_GS, S_FS, S_DS, S_ES };
    unsigned cpl = desc_dpl(&e->code);
    bool vm86 = c->st.eflags & FL_VM;
    uint16_t selector;
    uint32_t sp;
    X86Desc ss;
    X86Stack s;

    x86_tss_stack(c, cpl, &selector, &sp, e->ext);
    if (selector < 4) {
        x86_raise(c, EXC_TS, e->ext);
    }
    x86_need_desc(c, selector, &ss, EXC_TS, e->ext);
    x86_check_ss(c, &ss, cpl, EXC_TS, e->ext);
    x86_stack_init_new(c, &s, &ss, sp, cpl, (selector & ~3u) | e->ext);
    for (unsigned n = 0; vm86 && n < 4; n++) {
        x86_push(&s, c->st.seg[vm86_order[n]].selector, e->size);
    }
    x86_push(&s, c->st.seg[S_SS].selector, e->size);
    x86_push(&s, c->st.gpr[R_RSP], e->size);
    push_frame(c, &s, e);
    x86_set_accessed(c, &ss);
    for (unsigned n = 0; vm86 && n < 4; n++) {
        c->st.seg[vm86_order[n]] = (X86Segment){ .attributes = X86_SEG_UNUSABLE };
    }
    c->st.eflags &= ~(uint32_t)FL_VM;
    x86_load_ss(c, &ss, cpl);
    x86_stack_commit(&s);
    enter_handler(c, e, cpl);
}

/* 6.14: IA-32e mode. SS:RSP is always pushed, the frame is aligned, stacks come from RSPn or ISTn. */
static void long_mode(X86Cpu *c, Transfer *e)
{
    bool inner = !desc_is_conforming(&e->code) && desc_dpl(&e->code) < x86_cpl(c);
    unsigned cpl = inner ? desc_dpl(&e->code) : x86_cpl(c), ist = e->hi & 7;
    uint64_t sp = c->st.gpr[R_RSP];
    X86Stack s;

    if (ist) {
        sp = x86_tss_stack64(c, ist + 3, e->ext);
    } else if (inner) {
        sp = x86_tss_stack64(c, cpl, e->ext);
    }
    x86_stack_init_new(c, &s, NULL, sp & ~15ull, cpl, e->ext);
    x86_push(&s, c->st.seg[S_SS].selector, 8);
    x86_push(&s, c->st.gpr[R_RSP], 8);
    push_frame(c, &s, e);
    if (inner) {
        x86_load_null_ss(c, cpl, cpl);
    }
    x86_stack_commit(&s);
    enter_handler(c, e, cpl);
}

static void task_gate(X86Cpu *c, Transfer *e)
{
    uint16_t selector = e->lo >> 16;
    uint32_t error = (selector & ~3u) | e->ext;
    X86Desc d;

    if (selector < 4 || (selector & 4)) {
        x86_raise(c, EXC_GP, error);
    }
    x86_need_desc(c, selector, &d, EXC_GP, e->ext);
    if (desc_is_segment(&d) || (desc_type(&d) & 7) != SYS_TSS16) {
        x86_raise(c, EXC_GP, error);
    }
    if (!desc_present(&d)) {
        x86_raise(c, EXC_NP, error);
    }
    x86_task_switch(c, &d, TASK_EVENT, e->ip, e->has_error, e->error);
}

static void protected_mode(X86Cpu *c, Transfer *e)
{
    read_idt(c, e);
    check_gate(c, e);
    if ((e->hi >> 8 & 31) == SYS_TASK) {
        task_gate(c, e);
        return;
    }
    check_handler(c, e);
    if (x86_lma(c)) {
        long_mode(c, e);
    } else if (!desc_is_conforming(&e->code) && desc_dpl(&e->code) < x86_cpl(c)) {
        inner_level(c, e);
    } else {
        same_level(c, e);
    }
}

/* 6.8.3 and 17.3.1.1: RF is set in the image of faults, so that the instruction gets past its own breakpoint. */
static uint32_t flags_image(const X86Cpu *c, unsigned vector, X86EventKind kind)
{
    uint32_t flags = x86_get_rflags(c);
    bool trap = vector == EXC_DB || vector == EXC_BP || vector == EXC_OF;

    return kind == EVENT_EXCEPTION && !trap ? flags | FL_RF : flags;
}

void x86_event(X86Cpu *c, unsigned vector, X86EventKind kind, bool has_error, uint32_t error, uint64_t ip)
{
    Transfer e = { .vector = vector, .has_error = has_error, .ip = ip, .flags = flags_image(c, vector, kind) };

    e.soft = kind == EVENT_INT_N || kind == EVENT_INT3 || kind == EVENT_INTO;
    e.ext = e.soft ? 0 : ERROR_EXT;
    e.error = error;
    if (!(c->st.cr0 & X86_CR0_PE)) {
        real_mode(c, vector, ip);
    } else if (!(kind == EVENT_INT_N && (c->st.eflags & FL_VM) && vm86_int(c, vector, ip))) {
        protected_mode(c, &e);
    }
    c->st.shadow = 0;
    c->st.single_step = false; /* 6.9: an interrupt or exception takes the place of the step's trap */
    x86_update_key(c);
}

uint64_t x86_sys_interrupt(X86Cpu *c, uint64_t vector, uint64_t ip, uint64_t kind)
{
    static const uint8_t kinds[] = { EVENT_INT_N, EVENT_INT3, EVENT_INTO, EVENT_INT1 };

    x86_event(c, vector, kinds[kind], false, 0, ip);
    return x86_settle(c);
}

uint64_t x86_sys_raise(X86Cpu *c, uint64_t vector, uint64_t error)
{
    x86_raise(c, vector, error);
}
