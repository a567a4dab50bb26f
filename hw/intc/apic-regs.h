/* Registers of the local APIC (Intel SDM vol. 3, chapter 10), by their number: offset / 16, MSR - 0x800. */
#ifndef HW_INTC_APIC_REGS_H
#define HW_INTC_APIC_REGS_H

enum { /* Table 10-1, table 10-6 */
    R_ID = 0x02, R_VERSION = 0x03, R_TPR = 0x08, R_APR = 0x09, R_PPR = 0x0a, R_EOI = 0x0b, R_RRD = 0x0c, R_LDR = 0x0d,
    R_DFR = 0x0e, R_SVR = 0x0f, R_ISR = 0x10, R_TMR = 0x18, R_IRR = 0x20, R_ESR = 0x28, R_ICR = 0x30, R_ICR_HIGH = 0x31,
    R_LVT = 0x32, R_LVT_LAST = 0x37, R_INITIAL_COUNT = 0x38, R_CURRENT_COUNT = 0x39, R_DIVIDE = 0x3e, R_SELF_IPI = 0x3f,
};

enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_NUM };

enum { /* 10.5.1 */
    LVT_MASKED = 1 << 16,
    LVT_LEVEL = 1 << 15,
    LVT_REMOTE_IRR = 1 << 14,
    LVT_PENDING = 1 << 12,
    LVT_MODE_SHIFT = 8,
    LVT_TIMER_SHIFT = 17, /* 0 one-shot, 1 periodic, 2 TSC deadline */
};
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };

enum {
    BASE_BSP = 1 << 8, BASE_X2 = 1 << 10, BASE_ENABLE = 1 << 11,    /* 10.4.4, 10.12.1 */
    SVR_ENABLE = 1 << 8,                                            /* 10.9 */
    ESR_SEND_VECTOR = 1 << 5, ESR_RECEIVE_VECTOR = 1 << 6, ESR_REGISTER = 1 << 7, /* 10.5.3 */
    ICR_LOGICAL = 1 << 11, ICR_ASSERT = 1 << 14, ICR_LEVEL = 1 << 15, ICR_SHORTHAND_SHIFT = 18, /* 10.6.1 */
};
enum { SHORTHAND_NONE, SHORTHAND_SELF, SHORTHAND_ALL, SHORTHAND_OTHERS };

enum { MSR_X2APIC = 0x800, MSR_X2APIC_LAST = 0x8ff, MSR_TSC_DEADLINE = 0x6e0 };

#endif
