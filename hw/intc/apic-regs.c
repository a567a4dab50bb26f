/* Registers of the local APIC as the guest reads and writes them, in xAPIC (memory) and x2APIC (MSR) mode. */
#include "hw/intc/apic-internal.h"

/* Bits of each LVT entry that the guest writes: figure 10-8. */
static const uint32_t lvt_writable[LVT_NUM] = {
    [LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PERF] = 0x107ff,
    [LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff, [LVT_ERROR] = 0x100ff,
};

static bool reg_in(unsigned reg, unsigned first, unsigned n)
{
    return reg >= first && reg < first + n;
}

/* Registers that only one of the modes has. */
static bool exists(const Apic *s, unsigned reg)
{
    switch (reg) {
    case R_APR:
    case R_RRD:
    case R_DFR:
    case R_ICR_HIGH:
        return !apic_is_x2(s);
    case R_SELF_IPI:
        return apic_is_x2(s);
    default:
        return true;
    }
}

bool apic_reg_read(Apic *s, unsigned reg, uint64_t *value)
{
    if (!exists(s, reg)) {
        return false;
    }
    if (reg_in(reg, R_ISR, 8)) {
        *value = s->st.isr[reg - R_ISR];
    } else if (reg_in(reg, R_TMR, 8)) {
        *value = apic_load(&s->st.tmr[reg - R_TMR]);
    } else if (reg_in(reg, R_IRR, 8)) {
        *value = apic_load(&s->st.irr[reg - R_IRR]);
    } else if (reg_in(reg, R_LVT, LVT_NUM)) {
        *value = apic_load(&s->st.lvt[reg - R_LVT]);
    } else {
        switch (reg) {
        case R_ID:
            *value = apic_is_x2(s) ? apic_id(s) : apic_id(s) << 24;
            break;
        case R_VERSION:
            *value = s->conf.version | (LVT_NUM - 1) << 16;
            break;
        case R_TPR:
            *value = s->st.tpr;
            break;
        case R_APR: /* 10.6.2.4: not used since the APIC bus is gone */
        case R_RRD:
            *value = 0;
            break;
        case R_PPR:
            *value = apic_ppr(s);
            break;
        case R_LDR:
            *value = apic_ldr(s);
            break;
        case R_DFR:
            *value = s->st.dfr;
            break;
        case R_SVR:
            *value = s->st.svr;
            break;
        case R_ESR:
            *value = s->st.esr;
            break;
        case R_ICR:
            *value = apic_is_x2(s) ? s->st.icr : (uint32_t)s->st.icr;
            break;
        case R_ICR_HIGH:
            *value = s->st.icr >> 32;
            break;
        case R_INITIAL_COUNT:
            *value = s->st.initial_count;
            break;
        case R_CURRENT_COUNT:
            *value = apic_timer_current(s);
            break;
        case R_DIVIDE:
            *value = s->st.divide;
            break;
        default:
            return false; /* EOI and SELF IPI are write only */
        }
    }
    return true;
}

/* Bits that may be set in x2APIC mode: a write of others is #GP (10.12.1.2). False: the register is not writable. */
static bool x2_writable(unsigned reg, uint64_t *mask)
{
    if (reg_in(reg, R_LVT, LVT_NUM)) {
        *mask = lvt_writable[reg - R_LVT] | LVT_PENDING | (reg >= R_LVT + LVT_LINT0 ? LVT_REMOTE_IRR : 0);
        return true;
    }
    switch (reg) {
    case R_TPR:
    case R_SELF_IPI:
        *mask = 0xff;
        return true;
    case R_SVR:
        *mask = 0x3ff;
        return true;
    case R_ICR:
        *mask = 0xffffffff000cdfff;
        return true;
    case R_INITIAL_COUNT:
        *mask = 0xffffffff;
        return true;
    case R_DIVIDE:
        *mask = 11;
        return true;
    case R_EOI:
    case R_ESR:
        *mask = 0;
        return true;
    default:
        return false;
    }
}

static void write_lvt(Apic *s, unsigned lvt, uint32_t value)
{
    uint32_t old = s->st.lvt[lvt];

    value &= lvt_writable[lvt];
    value |= old & LVT_REMOTE_IRR;
    if (!(s->st.svr & SVR_ENABLE)) {
        value |= LVT_MASKED; /* 10.4.7.2 */
    }
    if (lvt == LVT_TIMER) {
        if ((value >> LVT_TIMER_SHIFT & 3) == 3 ||
            ((value >> LVT_TIMER_SHIFT & 3) == TIMER_DEADLINE && !apic_timer_has_deadline(s))) {
            value &= ~(3 << LVT_TIMER_SHIFT); /* reserved */
        }
        apic_timer_set_lvt(s, value);
        return;
    }
    apic_store(&s->st.lvt[lvt], value);
    if (lvt == LVT_LINT0 || lvt == LVT_LINT1) {
        apic_lint_changed(s, lvt - LVT_LINT0, false);
    }
}

static void write_svr(Apic *s, uint32_t value)
{
    apic_store(&s->st.svr, value & 0x3ff);
    if (!(value & SVR_ENABLE)) {
        for (unsigned i = 0; i < LVT_NUM; i++) { /* 10.4.7.2: and they stay masked */
            write_lvt(s, i, s->st.lvt[i] | LVT_MASKED);
        }
    }
    apic_update(s);
}

static bool is_ro(unsigned reg)
{
    return reg == R_VERSION || reg == R_APR || reg == R_PPR || reg == R_RRD || reg_in(reg, R_ISR, 24) ||
           reg == R_CURRENT_COUNT;
}

bool apic_reg_write(Apic *s, unsigned reg, uint64_t value)
{
    bool x2 = apic_is_x2(s);
    uint64_t mask;

    if (!exists(s, reg) || (x2 && (!x2_writable(reg, &mask) || value & ~mask))) {
        return false;
    }
    if (reg_in(reg, R_LVT, LVT_NUM)) {
        write_lvt(s, reg - R_LVT, value);
        return true;
    }
    switch (reg) {
    case R_ID:
        apic_store(&s->st.apic_id, value >> 24);
        break;
    case R_TPR:
        apic_store(&s->st.tpr, value & 0xff);
        apic_update(s);
        break;
    case R_EOI:
        apic_end_of_interrupt(s);
        break;
    case R_LDR:
        apic_store(&s->st.ldr, value & 0xff000000);
        break;
    case R_DFR:
        apic_store(&s->st.dfr, value | 0x0fffffff);
        break;
    case R_SVR:
        write_svr(s, value);
        break;
    case R_ESR: /* 10.5.3: a write makes the errors since the last one readable */
        s->st.esr = __atomic_exchange_n(&s->st.errors, 0, __ATOMIC_RELAXED);
        break;
    case R_ICR:
        s->st.icr = (x2 ? value & ~UINT64_C(0xffffffff) : s->st.icr & ~UINT64_C(0xffffffff)) | (value & 0xccfff);
        apic_send_icr(s);
        break;
    case R_ICR_HIGH:
        s->st.icr = (value & 0xff000000) << 32 | (uint32_t)s->st.icr;
        break;
    case R_INITIAL_COUNT:
        apic_timer_set_initial(s, value);
        break;
    case R_DIVIDE:
        apic_timer_set_divide(s, value);
        break;
    case R_SELF_IPI:
        if (value < 16) {
            apic_error(s, ESR_SEND_VECTOR);
        } else {
            apic_set_irr(s, value, false);
        }
        break;
    default:
        return is_ro(reg); /* xAPIC: writes of read-only registers do nothing */
    }
    return true;
}
