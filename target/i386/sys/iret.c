/* IRET in all modes, and the fast system calls: SDM vol. 2 (IRET, SYSCALL, SYSENTER ...), vol. 3, 5.8.7, 5.8.8, 20.2. */
#include "target/i386/sys-helpers.h"
#include "target/i386/sys/sys.h"

enum { FLAGS_ALWAYS = FL_STATUS | FL_TF | FL_DF | FL_NT };

static uint64_t pop_flags_mask(const X86Cpu *c, unsigned size)
{
    uint64_t mask = FLAGS_ALWAYS;
    unsigned cpl = x86_cpl(c);

    mask |= size >= 4 ? FL_RF | FL_AC | FL_ID : 0;
    mask |= cpl <= x86_iopl(c) ? FL_IF : 0;
    mask |= cpl == 0 ? FL_IOPL : 0;
    mask |= cpl == 0 && size >= 4 ? FL_VIF | FL_VIP : 0;
    return mask;
}

/* Real mode, and virtual-8086 mode with IOPL 3 (20.2.6). */
static void iret_real(X86Cpu *c, unsigned size)
{
    uint64_t mask = FLAGS_ALWAYS | FL_IF | (size == 4 ? FL_RF | FL_AC | FL_ID : 0), ip, flags;
    bool vm86 = c->st.eflags & FL_VM;
    uint16_t cs;
    X86Stack s;

    x86_stack_init(c, &s);
    ip = x86_pop(&s, size);
    cs = x86_pop(&s, size);
    flags = x86_pop(&s, size);
    if (ip > (vm86 ? 0xffff : c->st.seg[S_CS].limit)) {
        x86_raise(c, EXC_GP, 0);
    }
    x86_stack_commit(&s);
    if (vm86) {
        x86_load_vm86_segment(c, S_CS, cs);
    } else {
        c->st.seg[S_CS].selector = cs;
        c->st.seg[S_CS].base = (uint32_t)cs << 4;
        mask |= FL_IOPL;
    }
    x86_set_rflags(c, flags, mask);
    x86_go(c, ip);
}

/* Virtual-8086 mode with IOPL below 3: only with VME, and 16-bit (20.3). */
static void iret_vme(X86Cpu *c, unsigned size)
{
    uint64_t ip, flags;
    uint16_t cs;
    X86Stack s;

    if (!(c->st.cr4 & X86_CR4_VME) || size != 2) {
        x86_raise(c, EXC_GP, 0);
    }
    x86_stack_init(c, &s);
    ip = x86_pop(&s, 2);
    cs = x86_pop(&s, 2);
    flags = x86_pop(&s, 2);
    if ((flags & FL_TF) || ((flags & FL_IF) && (c->st.eflags & FL_VIP))) {
        x86_raise(c, EXC_GP, 0);
    }
    x86_stack_commit(&s);
    x86_load_vm86_segment(c, S_CS, cs);
    x86_set_rflags(c, flags, FLAGS_ALWAYS);
    x86_set_rflags(c, flags & FL_IF ? FL_VIF : 0, FL_VIF);
    x86_go(c, ip);
}

static void iret_to_vm86(X86Cpu *c, X86Return *r, uint64_t flags)
{
    static const uint8_t order[] = { S_ES, S_DS, S_FS, S_GS };
    uint16_t seg[6];

    r->sp = x86_pop(&r->stack, 4);
    seg[S_SS] = x86_pop(&r->stack, 4);
    for (unsigned n = 0; n < 4; n++) {
        seg[order[n]] = x86_pop(&r->stack, 4);
    }
    seg[S_CS] = r->cs;
    if (r->ip > 0xffff) {
        x86_raise(c, EXC_GP, 0);
    }
    x86_set_rflags(c, flags, UINT32_MAX & ~0xffc08028u);
    for (unsigned n = 0; n < 6; n++) {
        x86_load_vm86_segment(c, n, seg[n]);
    }
    c->st.gpr[R_RSP] = (uint32_t)r->sp;
    x86_go(c, r->ip);
}

static void iret_task(X86Cpu *c, uint64_t ip)
{
    uint16_t link;
    X86Desc d;

    if (x86_lma(c)) {
        x86_raise(c, EXC_GP, 0);
    }
    link = x86_sys_ld(c, c->st.tr.base, 2);
    if (link < 4 || (link & 4)) {
        x86_raise(c, EXC_TS, link & ~3u);
    }
    x86_need_desc(c, link, &d, EXC_TS, 0);
    if (desc_is_segment(&d) || (desc_type(&d) & 7) != SYS_TSS16_BUSY) {
        x86_raise(c, EXC_TS, link & ~3u);
    }
    if (!desc_present(&d)) {
        x86_raise(c, EXC_NP, link & ~3u);
    }
    x86_task_switch(c, &d, TASK_IRET, ip, false, 0);
}

static void iret_protected(X86Cpu *c, unsigned size)
{
    X86Return r = { .size = size, .always_stack = x86_code64(c) };
    uint64_t flags, mask;

    x86_stack_init(c, &r.stack);
    r.ip = x86_pop(&r.stack, size);
    r.cs = x86_pop(&r.stack, size);
    flags = x86_pop(&r.stack, size);
    if ((flags & FL_VM) && size == 4 && x86_cpl(c) == 0 && !x86_lma(c)) {
        iret_to_vm86(c, &r, flags);
        return;
    }
    mask = pop_flags_mask(c, size); /* by the privileges of before */
    x86_return_to(c, &r);
    x86_set_rflags(c, flags, mask);
    x86_go(c, r.ip);
}

uint64_t x86_sys_iret(X86Cpu *c, uint64_t osize, uint64_t ip)
{
    unsigned size = 1u << osize;

    if (!(c->st.cr0 & X86_CR0_PE)) {
        iret_real(c, size);
    } else if (c->st.eflags & FL_VM) {
        if (x86_iopl(c) == 3) {
            iret_real(c, size);
        } else {
            iret_vme(c, size);
        }
    } else if (c->st.eflags & FL_NT) {
        iret_task(c, ip);
    } else {
        iret_protected(c, size);
    }
    if (c->st.nmi_blocked) { /* 6.7.1 */
        c->st.nmi_blocked = false;
        if (c->st.nmi_latched) {
            vcpu_request(c->vcpu, VCPU_REQ_NMI);
        }
    }
    return x86_settle(c);
}

/* Flat segments of the fast system calls: what they load does not come from the descriptor tables. */
static void flat_cs(X86Cpu *c, uint16_t selector, unsigned cpl, bool code64)
{
    c->st.seg[S_CS] = (X86Segment){
        .selector = selector,
        .limit = UINT32_MAX,
        .attributes = X86_SEG_G | X86_SEG_P | X86_SEG_S | SEG_CODE | SEG_RW | SEG_A | cpl << X86_SEG_DPL_SHIFT |
                      (code64 ? X86_SEG_L : X86_SEG_DB),
    };
}

static void flat_ss(X86Cpu *c, uint16_t selector, unsigned cpl)
{
    c->st.seg[S_SS] = (X86Segment){
        .selector = selector,
        .limit = UINT32_MAX,
        .attributes = X86_SEG_G | X86_SEG_DB | X86_SEG_P | X86_SEG_S | SEG_RW | SEG_A | cpl << X86_SEG_DPL_SHIFT,
    };
}

uint64_t x86_sys_syscall(X86Cpu *c, uint64_t ip)
{
    uint16_t cs = c->st.star >> 32 & 0xfffc;
    uint64_t target;

    if (!(c->st.efer & X86_EFER_SCE)) {
        x86_raise(c, EXC_UD, 0);
    }
    if (x86_lma(c)) {
        target = x86_code64(c) ? c->st.lstar : c->st.cstar;
        c->st.gpr[R_RCX] = ip;
        c->st.gpr[R_R11] = x86_get_rflags(c) & ~(uint64_t)FL_RF;
        x86_set_rflags(c, 0, c->st.fmask);
        c->st.eflags &= ~(uint32_t)FL_RF;
    } else { /* AMD APM vol. 3, SYSCALL: legacy mode */
        target = c->st.star & UINT32_MAX;
        c->st.gpr[R_RCX] = (uint32_t)ip;
        c->st.eflags &= ~(uint32_t)(FL_VM | FL_IF | FL_RF);
    }
    flat_cs(c, cs, 0, x86_lma(c));
    flat_ss(c, cs + 8, 0);
    x86_go(c, target);
    return x86_settle(c);
}

uint64_t x86_sys_sysret(X86Cpu *c, uint64_t osize)
{
    uint16_t cs = c->st.star >> 48 | 3;
    bool to64 = osize == W64;
    uint64_t target = to64 ? c->st.gpr[R_RCX] : (uint32_t)c->st.gpr[R_RCX];

    if (!(c->st.efer & X86_EFER_SCE)) {
        x86_raise(c, EXC_UD, 0);
    }
    if (!(c->st.cr0 & X86_CR0_PE) || (to64 && !x86_canonical(target))) {
        x86_raise(c, EXC_GP, 0);
    }
    if (x86_lma(c)) {
        x86_set_rflags(c, c->st.gpr[R_R11], 0x3c7fd7 & ~(uint64_t)(FL_RF | FL_VM));
    } else {
        c->st.eflags |= FL_IF;
    }
    flat_cs(c, to64 ? ((c->st.star >> 48) + 16) | 3 : cs, 3, to64);
    flat_ss(c, ((c->st.star >> 48) + 8) | 3, 3);
    x86_go(c, target);
    return x86_settle(c);
}

uint64_t x86_sys_sysenter(X86Cpu *c, uint64_t ip)
{
    uint16_t cs = c->st.sysenter_cs & 0xfffc;
    bool lma = x86_lma(c);

    if (!(c->st.cr0 & X86_CR0_PE) || cs == 0) {
        x86_raise(c, EXC_GP, 0);
    }
    c->st.eflags &= ~(uint32_t)(FL_VM | FL_IF);
    flat_cs(c, cs, 0, lma);
    flat_ss(c, cs + 8, 0);
    c->st.gpr[R_RSP] = lma ? c->st.sysenter_esp : (uint32_t)c->st.sysenter_esp;
    x86_go(c, lma ? c->st.sysenter_eip : (uint32_t)c->st.sysenter_eip);
    return x86_settle(c);
}

uint64_t x86_sys_sysexit(X86Cpu *c, uint64_t osize)
{
    uint16_t cs = c->st.sysenter_cs & 0xfffc;
    bool to64 = osize == W64;
    uint64_t rip = c->st.gpr[R_RDX], rsp = c->st.gpr[R_RCX];

    if (cs == 0 || (to64 && (!x86_canonical(rip) || !x86_canonical(rsp)))) {
        x86_raise(c, EXC_GP, 0);
    }
    flat_cs(c, (to64 ? cs + 32 : cs + 16) | 3, 3, to64);
    flat_ss(c, (to64 ? cs + 40 : cs + 24) | 3, 3);
    c->st.gpr[R_RSP] = to64 ? rsp : (uint32_t)rsp;
    x86_go(c, to64 ? rip : (uint32_t)rip);
    return x86_settle(c);
}

/* POPF, PUSHF, CLI, STI ---------------------------------------------------------- */

uint64_t x86_sys_pushf(X86Cpu *c, uint64_t osize)
{
    uint64_t flags = x86_get_rflags(c) & ~(uint64_t)(FL_RF | FL_VM);

    if ((c->st.eflags & FL_VM) && x86_iopl(c) < 3) {
        if (!(c->st.cr4 & X86_CR4_VME) || osize != W16) {
            x86_raise(c, EXC_GP, 0);
        }
        flags = (flags & ~(uint64_t)FL_IF) | FL_IOPL | (flags & FL_VIF ? FL_IF : 0);
    }
    return flags;
}

static void popf_vme(X86Cpu *c, uint64_t value, uint64_t osize)
{
    if (!(c->st.cr4 & X86_CR4_VME) || osize != W16 || (value & FL_TF) ||
        ((value & FL_IF) && (c->st.eflags & FL_VIP))) {
        x86_raise(c, EXC_GP, 0);
    }
    x86_set_rflags(c, value, FLAGS_ALWAYS);
    x86_set_rflags(c, value & FL_IF ? FL_VIF : 0, FL_VIF);
}

uint64_t x86_sys_popf(X86Cpu *c, uint64_t value, uint64_t osize)
{
    uint64_t mask = FLAGS_ALWAYS;

    if ((c->st.eflags & FL_VM) && x86_iopl(c) < 3) {
        popf_vme(c, value, osize);
        x86_update_key(c);
        return x86_settle(c);
    }
    if (osize != W16) {
        mask |= FL_AC | FL_ID | FL_RF;
        value &= ~(uint64_t)FL_RF;
    }
    if (x86_cpl(c) <= x86_iopl(c)) {
        mask |= FL_IF;
    }
    if (x86_cpl(c) == 0) {
        mask |= FL_IOPL;
        if (osize != W16) {
            value &= ~(uint64_t)(FL_VIF | FL_VIP);
            mask |= FL_VIF | FL_VIP;
        }
    }
    x86_set_rflags(c, value, mask);
    x86_update_key(c);
    return x86_settle(c);
}

/* CLI and STI above IOPL work on VIF with PVI (CPL 3) or VME (20.3, 20.4). */
static bool virtual_if(const X86Cpu *c)
{
    if (c->st.eflags & FL_VM) {
        return c->st.cr4 & X86_CR4_VME;
    }
    return (c->st.cr4 & X86_CR4_PVI) && x86_cpl(c) == 3;
}

uint64_t x86_sys_cli(X86Cpu *c)
{
    if (!(c->st.cr0 & X86_CR0_PE) || x86_cpl(c) <= x86_iopl(c)) {
        c->st.eflags &= ~(uint32_t)FL_IF;
    } else if (virtual_if(c)) {
        c->st.eflags &= ~(uint32_t)FL_VIF;
    } else {
        x86_raise(c, EXC_GP, 0);
    }
    return 0;
}

uint64_t x86_sys_sti(X86Cpu *c)
{
    if (!(c->st.cr0 & X86_CR0_PE) || x86_cpl(c) <= x86_iopl(c)) {
        if (!(c->st.eflags & FL_IF)) {
            c->st.shadow = 1;
        }
        c->st.eflags |= FL_IF;
    } else if (virtual_if(c) && !(c->st.eflags & FL_VIP)) {
        c->st.eflags |= FL_VIF;
    } else {
        x86_raise(c, EXC_GP, 0);
    }
    x86_update_key(c);
    return x86_settle(c);
}

uint64_t x86_sys_alignment_check(X86Cpu *c, uint64_t value)
{
    c->st.eflags = value ? c->st.eflags | FL_AC : c->st.eflags & ~(uint32_t)FL_AC;
    x86_update_key(c);
    return x86_settle(c);
}
