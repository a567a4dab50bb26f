/* Control registers, debug registers, HLT, MWAIT, time stamps: SDM vol. 3, 2.5, 17.2, 17.17. */
#include "target/i386/sys-helpers.h"
#include "target/i386/sys/sys.h"
#include "util/clock.h"

/* Control registers ---------------------------------------------------------- */

/* Bits of CR4 that this model lets the guest set. */
static uint64_t cr4_allowed(const X86Cpu *c)
{
    uint64_t m = X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | X86_CR4_PAE | X86_CR4_MCE |
                 X86_CR4_PGE | X86_CR4_PCE;

    m |= x86_has(c, X86_F_fxsr) ? X86_CR4_OSFXSR : 0;
    m |= x86_has(c, X86_F_sse1) ? X86_CR4_OSXMMEXCPT : 0;
    m |= x86_has(c, X86_F_fsgsbase) ? X86_CR4_FSGSBASE : 0;
    m |= x86_has(c, X86_F_xsave) ? X86_CR4_OSXSAVE : 0;
    m |= x86_has(c, X86_F_smap) ? X86_CR4_SMAP : 0;
    m |= c->features[X86_WORD_7_EBX] >> 7 & 1 ? X86_CR4_SMEP : 0;
    m |= c->features[X86_WORD_7_ECX] >> 2 & 1 ? X86_CR4_UMIP : 0;
    m |= c->features[X86_WORD_1_ECX] >> 17 & 1 ? X86_CR4_PCIDE : 0;
    return m;
}

static void flush(X86Cpu *c)
{
    tcg_tlb_flush(c->vcpu);
    c->refetch = true;
}

void x86_set_cr0(X86Cpu *c, uint64_t v)
{
    uint64_t old = c->st.cr0;

    c->st.cr0 = (v & 0xe005003f) | X86_CR0_ET;
    if ((old ^ v) & X86_CR0_PG) {
        if ((v & X86_CR0_PG) && (c->st.efer & X86_EFER_LME)) {
            c->st.efer |= X86_EFER_LMA;
        } else if (!(v & X86_CR0_PG)) {
            c->st.efer &= ~(uint64_t)X86_EFER_LMA;
        }
    }
    if ((old ^ v) & (X86_CR0_PG | X86_CR0_WP | X86_CR0_PE)) {
        flush(c);
    }
    x86_update_key(c);
}

/* 2.5, 4.1.1: combinations of CR0 that fault. */
static void check_cr0(X86Cpu *c, uint64_t v)
{
    bool paging = (v & X86_CR0_PG) && !(c->st.cr0 & X86_CR0_PG);
    bool bad = (v >> 32) != 0 || ((v & X86_CR0_PG) && !(v & X86_CR0_PE)) || ((v & X86_CR0_NW) && !(v & X86_CR0_CD));

    if (paging && (c->st.efer & X86_EFER_LME)) {
        bad |= !(c->st.cr4 & X86_CR4_PAE) || (c->st.seg[S_CS].attributes & X86_SEG_L);
    }
    if (!(v & X86_CR0_PG) && (c->st.cr0 & X86_CR0_PG)) {
        bad |= x86_code64(c) || (c->st.cr4 & X86_CR4_PCIDE);
    }
    if (bad) {
        x86_raise(c, EXC_GP, 0);
    }
}

static bool uses_pdptes(const X86Cpu *c, uint64_t cr0, uint64_t cr4)
{
    return (cr0 & X86_CR0_PG) && (cr4 & X86_CR4_PAE) && !(c->st.efer & X86_EFER_LME);
}

static void load_pdptes(X86Cpu *c, uint64_t cr3)
{
    if (!x86_load_pdptes(c, cr3, c->st.pdpte)) {
        x86_raise(c, EXC_GP, 0);
    }
}

static void mov_cr0(X86Cpu *c, uint64_t v)
{
    const uint64_t pae = X86_CR0_PG | X86_CR0_CD | X86_CR0_NW; /* 4.4.1: changes that load the PDPTEs */

    check_cr0(c, v);
    if (uses_pdptes(c, v, c->st.cr4) && ((v ^ c->st.cr0) & pae)) {
        load_pdptes(c, c->st.cr3);
    }
    x86_set_cr0(c, v);
}

void x86_set_cr3(X86Cpu *c, uint64_t v)
{
    if (uses_pdptes(c, c->st.cr0, c->st.cr4)) {
        load_pdptes(c, v);
    }
    c->st.cr3 = v;
    tcg_tlb_space(c->vcpu, v & ~(1ull << 63)); /* 4.10.4.1 */
    c->refetch = true;
}

static void mov_cr3(X86Cpu *c, uint64_t v)
{
    if (x86_lma(c)) {
        if (c->st.cr4 & X86_CR4_PCIDE) {
            v &= ~(1ull << 63); /* keep the TLB: we may flush more than asked (4.10.4.1) */
        }
        if (v >> x86_phys_bits(c)) {
            x86_raise(c, EXC_GP, 0);
        }
    }
    x86_set_cr3(c, v);
}

void x86_set_cr4(X86Cpu *c, uint64_t v)
{
    const uint64_t paging = X86_CR4_PSE | X86_CR4_PAE | X86_CR4_PGE | X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_PCIDE;
    uint64_t old = c->st.cr4;

    c->st.cr4 = v;
    if ((old ^ v) & paging) {
        flush(c);
    }
    x86_update_key(c);
}

static void mov_cr4(X86Cpu *c, uint64_t v)
{
    const uint64_t pae = X86_CR4_PAE | X86_CR4_PSE | X86_CR4_PGE | X86_CR4_SMEP;
    bool pcide = (v & ~c->st.cr4) & X86_CR4_PCIDE;

    if ((v & ~cr4_allowed(c)) || (x86_lma(c) && !(v & X86_CR4_PAE)) ||
        (pcide && (!x86_lma(c) || (c->st.cr3 & 0xfff)))) {
        x86_raise(c, EXC_GP, 0);
    }
    if (uses_pdptes(c, c->st.cr0, v) && ((v ^ c->st.cr4) & pae)) {
        load_pdptes(c, c->st.cr3);
    }
    x86_set_cr4(c, v);
}

uint8_t x86_get_tpr(X86Cpu *c)
{
    const LocalIntc *intc = c->vcpu->intc;

    return intc ? intc->get_tpr(c->vcpu->intc_opaque) : c->st.cr8;
}

void x86_set_tpr(X86Cpu *c, uint8_t v)
{
    const LocalIntc *intc = c->vcpu->intc;

    if (intc) {
        intc->set_tpr(c->vcpu->intc_opaque, v);
    }
    c->st.cr8 = v & 15;
}

uint64_t x86_sys_mov_from_cr(X86Cpu *c, uint64_t n)
{
    switch (n) {
    case 0:
        return c->st.cr0;
    case 2:
        return c->st.cr2;
    case 3:
        return c->st.cr3;
    case 4:
        return c->st.cr4;
    case 8:
        return x86_get_tpr(c);
    }
    x86_raise(c, EXC_UD, 0);
}

uint64_t x86_sys_mov_to_cr(X86Cpu *c, uint64_t n, uint64_t v)
{
    switch (n) {
    case 0:
        mov_cr0(c, v);
        break;
    case 2:
        c->st.cr2 = v;
        break;
    case 3:
        mov_cr3(c, v);
        break;
    case 4:
        mov_cr4(c, v);
        break;
    case 8:
        if (v >> 4) {
            x86_raise(c, EXC_GP, 0);
        }
        x86_set_tpr(c, v);
        break;
    default:
        x86_raise(c, EXC_UD, 0);
    }
    return x86_settle(c);
}

uint64_t x86_sys_clts(X86Cpu *c)
{
    c->st.cr0 &= ~(uint64_t)X86_CR0_TS;
    x86_update_key(c);
    return x86_settle(c);
}

uint64_t x86_sys_lmsw(X86Cpu *c, uint64_t v)
{
    uint64_t low = X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS;

    v = (c->st.cr0 & ~low) | (v & low) | (c->st.cr0 & X86_CR0_PE); /* LMSW cannot clear PE */
    mov_cr0(c, v);
    return x86_settle(c);
}

uint64_t x86_sys_invlpg(X86Cpu *c, uint64_t addr)
{
    tcg_tlb_flush_page(c->vcpu, x86_code64(c) ? addr : (uint32_t)addr);
    return x86_settle(c);
}

uint64_t x86_sys_invpcid(X86Cpu *c, uint64_t type, uint64_t pcid, uint64_t addr)
{
    if (type > 3 || (type < 2 && pcid >> 12) ||
        (type < 2 && !(c->st.cr4 & X86_CR4_PCIDE) && pcid) || (type == 0 && !x86_canonical(addr))) {
        x86_raise(c, EXC_GP, 0);
    }
    if (type == 0) {
        tcg_tlb_flush_page(c->vcpu, addr);
    } else {
        flush(c);
    }
    return x86_settle(c);
}

uint64_t x86_sys_xgetbv(X86Cpu *c, uint64_t index)
{
    if (!(c->st.cr4 & X86_CR4_OSXSAVE)) {
        x86_raise(c, EXC_UD, 0);
    }
    if (index != 0) {
        x86_raise(c, EXC_GP, 0);
    }
    return c->st.xcr0;
}

uint64_t x86_sys_xsetbv(X86Cpu *c, uint64_t index, uint64_t v)
{
    uint64_t allowed = 3 | (x86_has(c, X86_F_avx) ? 4 : 0);

    if (!(c->st.cr4 & X86_CR4_OSXSAVE)) {
        x86_raise(c, EXC_UD, 0);
    }
    if (index != 0 || (v & ~allowed) || !(v & 1) || ((v & 4) && !(v & 2))) {
        x86_raise(c, EXC_GP, 0);
    }
    c->st.xcr0 = v;
    x86_update_key(c);
    return x86_settle(c);
}

/* No model has protection keys: decode never comes here without them. */
uint64_t x86_sys_rdpkru(X86Cpu *c, uint64_t ecx)
{
    x86_raise(c, EXC_UD, 0);
}

uint64_t x86_sys_wrpkru(X86Cpu *c, uint64_t ecx, uint64_t v)
{
    x86_raise(c, EXC_UD, 0);
}

/* Debug registers (17.2) -------------------------------------------------------- */

static void check_dr(X86Cpu *c, uint64_t *n)
{
    if (*n == 4 || *n == 5) {
        if (c->st.cr4 & X86_CR4_DE) {
            x86_raise(c, EXC_UD, 0);
        }
        *n += 2;
    }
    if (*n > 7) {
        x86_raise(c, EXC_UD, 0);
    }
    if (c->st.dr7 & 1 << 13) {
        c->st.dr6 |= 1 << 13; /* BD */
        x86_raise(c, EXC_DB, 0);
    }
}

uint64_t x86_sys_mov_from_dr(X86Cpu *c, uint64_t n)
{
    check_dr(c, &n);
    return n == 6 ? c->st.dr6 : n == 7 ? c->st.dr7 : c->st.dr[n];
}

void x86_update_watch(X86Cpu *c)
{
    flush(c); /* pages with data breakpoints are marked in the TLB */
    x86_update_key(c);
}

uint64_t x86_sys_mov_to_dr(X86Cpu *c, uint64_t n, uint64_t v)
{
    check_dr(c, &n);
    if (n >= 6 && v >> 32) {
        x86_raise(c, EXC_GP, 0);
    }
    if (n == 6) {
        c->st.dr6 = (v & 0xe00f) | 0xffff0ff0;
    } else if (n == 7) {
        c->st.dr7 = (v & 0xffff2bff) | 0x400;
        x86_update_watch(c);
    } else {
        c->st.dr[n] = x86_code64(c) ? v : (uint32_t)v;
        x86_update_watch(c);
    }
    return x86_settle(c);
}

/* Waiting ---------------------------------------------------------------------------- */

static void halt(X86Cpu *c, uint64_t ip)
{
    c->st.halted = true;
    atomic_store(&c->vcpu->halted, true);
    x86_go(c, ip);
}

uint64_t x86_sys_hlt(X86Cpu *c, uint64_t ip)
{
    halt(c, ip);
    return 0;
}

uint64_t x86_sys_monitor(X86Cpu *c, uint64_t addr)
{
    tcg_ld(c->vcpu, addr, 1, x86_mmu(c)); /* vol. 2, MONITOR: the checks of a byte load */
    c->monitor_address = addr;
    return 0;
}

/*
 * MWAIT may return at any time (vol. 2). Other CPUs' stores to the line are not watched for here, so it does at once, and
 * lets other threads run first.
 */
uint64_t x86_sys_mwait(X86Cpu *c, uint64_t ip)
{
    x86_go(c, ip);
    return 0;
}

/* Time stamp counter (17.17): 1 GHz, of virtual time. ------------------------------------ */

static uint64_t tsc_clock(X86Cpu *c)
{
    ClockGroup *g = c->vcpu->accel->clocks;

    return g ? clock_ns(&g->clocks[CLOCK_VIRTUAL_NS]) : 0;
}

uint64_t x86_tsc(X86Cpu *c)
{
    return tsc_clock(c) + c->st.tsc_offset;
}

uint64_t x86_sys_rdtsc(X86Cpu *c)
{
    return x86_tsc(c);
}

uint64_t x86_sys_rdpmc(X86Cpu *c, uint64_t index)
{
    x86_raise(c, EXC_GP, 0); /* there are no counters */
}

uint64_t x86_sys_probe_write(X86Cpu *c, uint64_t addr, uint64_t bytes)
{
    tcg_probe(c->vcpu, addr, bytes, TCG_WRITE, x86_mmu(c));
    return 0;
}

/* No model shows XSAVE yet, and FXSAVE has its own way: nothing decodes to this. */
uint64_t x86_sys_xsave(X86Cpu *c, uint64_t kind, uint64_t addr, uint64_t mask, uint64_t wide)
{
    x86_raise(c, EXC_UD, 0);
}
