/*
 * Model-specific registers: SDM vol. 4, AMD APM vol. 2, appendix A.
 *
 * A register that is not known reads as zero and ignores writes, with a line in the log of what is not
 * implemented: guests written for QEMU's processors expect that. Those known check what the manual says.
 */
#include <inttypes.h>

#include "target/i386/models.h"
#include "target/i386/sys-helpers.h"
#include "target/i386/sys/sys.h"
#include "util/log.h"

enum {
    MSR_P5_MC_ADDR = 0, MSR_P5_MC_TYPE = 1,
    MSR_TSC = 0x10, MSR_PLATFORM_ID = 0x17, MSR_APIC_BASE = 0x1b, MSR_FEATURE_CONTROL = 0x3a, MSR_TSC_ADJUST = 0x3b,
    MSR_BIOS_UPDT_TRIG = 0x79, MSR_BIOS_SIGN_ID = 0x8b, MSR_SMBASE = 0x9e, MSR_PLATFORM_INFO = 0xce, MSR_MTRRCAP = 0xfe,
    MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP = 0x175, MSR_SYSENTER_EIP = 0x176, MSR_MCG_CAP = 0x179,
    MSR_MCG_STATUS = 0x17a, MSR_MCG_CTL = 0x17b, MSR_PERF_STATUS = 0x198, MSR_MISC_ENABLE = 0x1a0, MSR_DEBUGCTL = 0x1d9,
    MSR_MTRR_BASE0 = 0x200, MSR_MTRR_MASK7 = 0x20f, MSR_MTRR_FIX64K = 0x250, MSR_MTRR_FIX16K_80000 = 0x258,
    MSR_MTRR_FIX16K_A0000 = 0x259, MSR_MTRR_FIX4K_C0000 = 0x268, MSR_MTRR_FIX4K_F8000 = 0x26f, MSR_PAT = 0x277,
    MSR_MTRR_DEF_TYPE = 0x2ff, MSR_MC0_CTL = 0x400, MSR_MC_LAST = 0x400 + 4 * 10 - 1, MSR_TSC_DEADLINE = 0x6e0,
    MSR_X2APIC = 0x800, MSR_X2APIC_LAST = 0x8ff,
};
enum {
    MSR_EFER = (int)0xc0000080, MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK,
    MSR_FS_BASE = (int)0xc0000100, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_TSC_AUX,
};

enum { MCG_BANKS = 10, MCG_CTL_P = 1 << 8, MCG_SER_P = 1 << 24, MTRR_PAIRS = 8 };

_Noreturn static void gp(X86Cpu *c)
{
    x86_raise(c, EXC_GP, 0);
}

/* Registers that are one field: 64 bits, any value, or canonical ones. --------------------- */

static uint64_t *plain_field(X86Cpu *c, uint32_t index)
{
    X86State *st = &c->st;

    switch ((int)index) {
    case MSR_STAR: return &st->star;
    case MSR_MISC_ENABLE: return &st->misc_enable;
    case MSR_FEATURE_CONTROL: return &st->feature_control;
    case MSR_DEBUGCTL: return &st->debugctl;
    case MSR_MCG_STATUS: return &st->mcg_status;
    case MSR_MCG_CTL: return &st->mcg_ctl;
    default: return NULL;
    }
}

static uint64_t *canonical_field(X86Cpu *c, uint32_t index)
{
    X86State *st = &c->st;

    switch ((int)index) {
    case MSR_LSTAR: return &st->lstar;
    case MSR_CSTAR: return &st->cstar;
    case MSR_FS_BASE: return &st->seg[S_FS].base;
    case MSR_GS_BASE: return &st->seg[S_GS].base;
    case MSR_KERNEL_GS_BASE: return &st->kernel_gs_base;
    case MSR_SYSENTER_ESP: return &st->sysenter_esp;
    case MSR_SYSENTER_EIP: return &st->sysenter_eip;
    default: return NULL;
    }
}

/* MTRRs (11.11) ------------------------------------------------------------------ */

static uint64_t *mtrr_field(X86Cpu *c, uint32_t index)
{
    if (index >= MSR_MTRR_BASE0 && index <= MSR_MTRR_MASK7) {
        unsigned n = (index - MSR_MTRR_BASE0) / 2;
        return index & 1 ? &c->st.mtrr_mask[n] : &c->st.mtrr_base[n];
    }
    if (index == MSR_MTRR_FIX64K) {
        return &c->st.mtrr_fixed[0];
    }
    if (index == MSR_MTRR_FIX16K_80000 || index == MSR_MTRR_FIX16K_A0000) {
        return &c->st.mtrr_fixed[1 + index - MSR_MTRR_FIX16K_80000];
    }
    if (index >= MSR_MTRR_FIX4K_C0000 && index <= MSR_MTRR_FIX4K_F8000) {
        return &c->st.mtrr_fixed[3 + index - MSR_MTRR_FIX4K_C0000];
    }
    return NULL;
}

static bool is_memory_type(uint8_t t, bool pat)
{
    return t <= 1 || (t >= 4 && t <= 6) || (pat && t == 7);
}

static bool types_ok(uint64_t v, bool pat)
{
    for (unsigned n = 0; n < 8; n++) {
        if (!is_memory_type(v >> 8 * n, pat)) {
            return false;
        }
    }
    return true;
}

static void write_mtrr(X86Cpu *c, uint32_t index, uint64_t v)
{
    bool variable = index <= MSR_MTRR_MASK7;
    uint64_t high = ~0ull << x86_phys_bits(c);

    if (!variable ? !types_ok(v, false)
                  : index & 1 ? (v & (high | 0x7ff)) != 0 : (v & (high | 0xf00)) != 0 || !is_memory_type(v, false)) {
        gp(c);
    }
    *mtrr_field(c, index) = v;
}

/* Machine check banks (15.3.2) ---------------------------------------------------- */

static uint64_t *mc_field(X86Cpu *c, uint32_t index)
{
    X86McBank *b = &c->st.mc[(index - MSR_MC0_CTL) / 4];

    switch (index & 3) {
    case 0: return &b->ctl;
    case 1: return &b->status;
    case 2: return &b->addr;
    default: return &b->misc;
    }
}

static void write_mc(X86Cpu *c, uint32_t index, uint64_t v)
{
    if ((index & 3) == 1 && v != 0) {
        gp(c); /* 15.3.2.2: only 0 */
    }
    *mc_field(c, index) = v;
}

static uint64_t mcg_cap(const X86Cpu *c)
{
    return c->features[X86_WORD_1_EDX] >> 14 & 1 ? MCG_CTL_P | MCG_SER_P | MCG_BANKS : 0;
}

/* EFER, APIC base, time stamp ------------------------------------------------------- */

static void write_efer(X86Cpu *c, uint64_t v)
{
    uint64_t allowed = X86_EFER_LMA, old = c->st.efer;

    allowed |= x86_has(c, X86_F_syscall) ? X86_EFER_SCE : 0;
    allowed |= x86_has(c, X86_F_lm) ? X86_EFER_LME : 0;
    allowed |= c->features[X86_WORD_8_EDX] >> 20 & 1 ? X86_EFER_NXE : 0;
    if ((v & ~allowed) || ((c->st.cr0 & X86_CR0_PG) && ((v ^ old) & X86_EFER_LME))) {
        gp(c);
    }
    c->st.efer = (v & ~(uint64_t)X86_EFER_LMA) | (old & X86_EFER_LMA);
    if ((v ^ old) & X86_EFER_NXE) {
        tcg_tlb_flush(c->vcpu);
        c->refetch = true;
    }
    x86_update_key(c);
}

static void write_apic_base(X86Cpu *c, uint64_t v)
{
    const LocalIntc *intc = c->vcpu->intc;

    if (intc ? !intc->set_base(c->vcpu->intc_opaque, v) : v >> x86_phys_bits(c) != 0) {
        gp(c);
    }
    c->st.apic_base = v;
}

/* 17.17.3: a write to either moves both. */
static void write_tsc(X86Cpu *c, uint64_t delta)
{
    c->st.tsc_offset += delta;
    c->st.tsc_adjust += delta;
}

static bool intc_register(uint32_t index)
{
    return index == MSR_TSC_DEADLINE || (index >= MSR_X2APIC && index <= MSR_X2APIC_LAST);
}

/* RDMSR -------------------------------------------------------------------------------- */

static uint64_t read_other(X86Cpu *c, uint32_t index)
{
    switch ((int)index) {
    case MSR_TSC: return x86_tsc(c);
    case MSR_TSC_ADJUST: return c->st.tsc_adjust;
    case MSR_TSC_AUX: return c->st.tsc_aux;
    case MSR_APIC_BASE: return c->vcpu->intc ? c->vcpu->intc->get_base(c->vcpu->intc_opaque) : c->st.apic_base;
    case MSR_EFER: return c->st.efer;
    case MSR_FMASK: return c->st.fmask;
    case MSR_SYSENTER_CS: return c->st.sysenter_cs;
    case MSR_PAT: return c->st.pat;
    case MSR_MTRRCAP: return 0x500 | MTRR_PAIRS; /* fixed ranges, write-combining */
    case MSR_MTRR_DEF_TYPE: return c->st.mtrr_def_type;
    case MSR_MCG_CAP: return mcg_cap(c);
    case MSR_BIOS_SIGN_ID: return x86_microcode(c);
    case MSR_PERF_STATUS: return 1000ull | 0x8ull << 40; /* as QEMU's: tells the multiplier */
    case MSR_SMBASE:
        if (!c->st.smm) {
            gp(c);
        }
        return c->st.smbase;
    case MSR_P5_MC_ADDR:
    case MSR_P5_MC_TYPE:
    case MSR_PLATFORM_ID:
    case MSR_PLATFORM_INFO:
        return 0;
    }
    log_unimp("CPU", "read of model-specific register 0x%" PRIx32, index);
    return 0;
}

uint64_t x86_sys_rdmsr(X86Cpu *c, uint64_t index64)
{
    uint32_t index = index64;
    uint64_t *f = plain_field(c, index), v = 0;

    f = f ? f : canonical_field(c, index);
    f = f ? f : mtrr_field(c, index);
    if (f) {
        return *f;
    }
    if (index >= MSR_MC0_CTL && index <= MSR_MC_LAST) {
        return *mc_field(c, index);
    }
    if (intc_register(index)) {
        if (!c->vcpu->intc || !c->vcpu->intc->msr_read(c->vcpu->intc_opaque, index, &v)) {
            gp(c);
        }
        return v;
    }
    return read_other(c, index);
}

/* WRMSR ---------------------------------------------------------------------------------- */

static void write_other(X86Cpu *c, uint32_t index, uint64_t v)
{
    switch ((int)index) {
    case MSR_TSC:
        write_tsc(c, v - x86_tsc(c));
        break;
    case MSR_TSC_ADJUST:
        write_tsc(c, v - c->st.tsc_adjust);
        break;
    case MSR_TSC_AUX:
        if (v >> 32) {
            gp(c);
        }
        c->st.tsc_aux = v;
        break;
    case MSR_APIC_BASE:
        write_apic_base(c, v);
        break;
    case MSR_EFER:
        write_efer(c, v);
        break;
    case MSR_FMASK:
        c->st.fmask = v & UINT32_MAX;
        break;
    case MSR_SYSENTER_CS:
        c->st.sysenter_cs = v;
        break;
    case MSR_PAT:
        if (!types_ok(v, true)) {
            gp(c);
        }
        c->st.pat = v;
        break;
    case MSR_MTRR_DEF_TYPE:
        if ((v & ~0xcffull) || !is_memory_type(v, false)) {
            gp(c);
        }
        c->st.mtrr_def_type = v;
        break;
    case MSR_MTRRCAP:
    case MSR_MCG_CAP:
    case MSR_PERF_STATUS:
    case MSR_PLATFORM_ID:
    case MSR_SMBASE:
        gp(c); /* read-only */
    case MSR_BIOS_UPDT_TRIG: /* microcode: taken, without effect */
    case MSR_BIOS_SIGN_ID:   /* vol. 3, 9.11.7.1: software writes 0, then CPUID puts the number back */
    case MSR_P5_MC_ADDR:
    case MSR_P5_MC_TYPE:
        break;
    default:
        log_unimp("CPU", "write of 0x%" PRIx64 " to model-specific register 0x%" PRIx32, v, index);
    }
}

uint64_t x86_sys_wrmsr(X86Cpu *c, uint64_t index64, uint64_t v)
{
    uint32_t index = index64;
    uint64_t *plain = plain_field(c, index), *canonical = canonical_field(c, index);

    if (plain) {
        *plain = v;
    } else if (canonical) {
        if (!x86_canonical(v)) {
            gp(c);
        }
        *canonical = v;
        x86_update_key(c);
    } else if (mtrr_field(c, index)) {
        write_mtrr(c, index, v);
    } else if (index >= MSR_MC0_CTL && index <= MSR_MC_LAST) {
        write_mc(c, index, v);
    } else if (intc_register(index)) {
        if (!c->vcpu->intc || !c->vcpu->intc->msr_write(c->vcpu->intc_opaque, index, v)) {
            gp(c);
        }
    } else {
        write_other(c, index, v);
    }
    return x86_settle(c);
}
