/* The local APIC as a device: its page in memory, wiring, life cycle, and the text of info lapic. */
#include "hw/intc/apic-internal.h"

#include <inttypes.h>
#include <string.h>

#include "util/log.h"

enum { MSI_SIZE = 0x100000, PAGE = 0x1000 }; /* 10.11.1: 0xfee00000 to 0xfeefffff */

/* The APIC of the vCPU that makes the access; NULL: the access is not a vCPU's, or the page is not there for it. */
static Apic *apic_accessed(Apic *s, MemTxAttrs attrs)
{
    Machine *m = apic_machine(s);
    Vcpu *v = attrs.from_cpu && attrs.requester_id < m->num_vcpus ? m->vcpus[attrs.requester_id] : NULL;
    Apic *own = v && v->intc == &apic_local_intc ? v->intc_opaque : NULL;

    return own && own->st.base & BASE_ENABLE && !apic_is_x2(own) ? own : NULL;
}

static MemTxResult apic_mem_read(void *dev, uint64_t offset, uint64_t *value, unsigned size, MemTxAttrs attrs)
{
    Apic *s = apic_accessed(dev, attrs);

    *value = UINT32_MAX;
    if (!s || offset >= PAGE) {
        return MEMTX_DECODE_ERROR;
    }
    *value = 0;
    /* 10.4.1: registers are 32 bits wide at multiples of 16 bytes; the rest of each 16 bytes reads as 0 here */
    if (offset % 16 == 0 && !apic_reg_read(s, offset / 16, value)) {
        apic_error(s, ESR_REGISTER);
    }
    return MEMTX_OK;
}

static MemTxResult apic_mem_write(void *dev, uint64_t offset, uint64_t value, unsigned size, MemTxAttrs attrs)
{
    Apic *s = apic_accessed(dev, attrs);

    if (!s || offset >= PAGE) {
        apic_deliver_msi(apic_machine(dev), APIC_BASE_DEFAULT + offset, value);
    } else if (offset % 16 == 0 && !apic_reg_write(s, offset / 16, value)) {
        apic_error(s, ESR_REGISTER);
    }
    return MEMTX_OK;
}

static const MemoryOps apic_mem_ops = {
    .read_attrs = apic_mem_read,
    .write_attrs = apic_mem_write,
    .impl_min = 4,
    .impl_max = 4,
};

static void apic_set_lint(void *opaque, int n, int level)
{
    Apic *s = opaque;
    uint32_t bit = 1u << n, before;

    if (!s->vcpu) {
        return; /* the machine is being taken down */
    }
    if (level) {
        before = __atomic_fetch_or(&s->st.lint, bit, __ATOMIC_SEQ_CST);
    } else {
        before = __atomic_fetch_and(&s->st.lint, ~bit, __ATOMIC_SEQ_CST);
    }
    apic_lint_changed(s, n, level && !(before & bit));
}

void apic_connect(Device *apic, Vcpu *vcpu)
{
    Apic *s = (Apic *)apic;

    s->vcpu = vcpu;
    vcpu->intc_opaque = s;
    vcpu->intc = &apic_local_intc;
}

void apic_clear(Apic *s)
{
    apic_store(&s->st.tpr, 0);
    apic_store(&s->st.svr, 0xff);
    apic_store(&s->st.ldr, 0);
    apic_store(&s->st.dfr, UINT32_MAX);
    for (unsigned i = 0; i < 8; i++) {
        apic_store(&s->st.isr[i], 0);
        apic_store(&s->st.tmr[i], 0);
        apic_store(&s->st.irr[i], 0);
    }
    s->st.esr = 0;
    apic_store(&s->st.errors, 0);
    apic_store(&s->st.extint, 0);
    s->st.icr = 0;
    for (unsigned i = LVT_THERMAL; i < LVT_NUM; i++) {
        apic_store(&s->st.lvt[i], LVT_MASKED);
    }
    WITH_MUTEX (&s->timer_lock) {
        apic_store(&s->st.lvt[LVT_TIMER], LVT_MASKED);
        s->st.divide = 0;
        s->st.initial_count = 0;
        s->st.count_start = 0;
        s->st.tsc_deadline = 0;
        timer_cancel(&s->timer);
    }
}

static bool apic_init(Object *o, Error **errp)
{
    Apic *s = (Apic *)o;

    mutex_init(&s->timer_lock, LOCK_DEVICE);
    device_init_irq_in(DEVICE(o), "lint", apic_set_lint, 2);
    return true;
}

static void apic_unrealize(Object *o)
{
    Apic *s = (Apic *)o;

    timer_finish(&s->timer);
    memory_region_finish(&s->mr);
    s->vcpu->intc = NULL; /* the processor is still there: we are its child */
    s->vcpu->intc_opaque = NULL;
    s->vcpu = NULL;
}

static bool apic_realize(Object *o, Error **errp)
{
    Apic *s = (Apic *)o;
    Machine *m = DEVICE(o)->machine;

    if (!s->vcpu) {
        return error_set(errp, "apic: has no processor: it comes with one");
    }
    timer_init(&s->timer, &m->clocks.clocks[CLOCK_VIRTUAL_NS], &s->st.timer, apic_timer_cb, s);
    if (s->vcpu->index == 0) {
        memory_region_init_io(&s->mr, m->map, o, &apic_mem_ops, s, "apic-msi", MSI_SIZE);
        memory_region_add(m->memory, APIC_BASE_DEFAULT, &s->mr, 0x1000); /* in front of all else */
    }
    return true;
}

static void apic_reset(Object *o, ObjectResetKind kind)
{
    Apic *s = (Apic *)o;

    s->st.apic_id &= 0xff;
    if (s->vcpu->index == 0) {
        s->st.base |= BASE_BSP;
    }
}

static bool apic_check(Object *o, Error **errp)
{
    Apic *s = (Apic *)o;
    uint64_t base = s->st.base;

    if (base & 0xff || (base & BASE_X2 && !(base & BASE_ENABLE))) {
        return error_set(errp, "apic: base 0x%" PRIx64 " in the state is no value of IA32_APIC_BASE", base);
    }
    return true;
}

static void apic_rebuild(Object *o)
{
    Apic *s = (Apic *)o;

    timer_rearm_from_field(&s->timer);
    apic_update(s);
}

const ObjectOps apic_ops = {
    .size = sizeof(Apic),
    .conf_offset = offsetof(Apic, conf),
    .state_offset = offsetof(Apic, st),
    .init = apic_init,
    .realize = apic_realize,
    .unrealize = apic_unrealize,
    .reset = apic_reset,
    .check = apic_check,
    .rebuild = apic_rebuild,
};

/* info lapic --------------------------------------------------------------------- */

static const char *const delivery_names[8] = {"Fixed", "Lowest", "SMI", "...", "NMI", "INIT", "SIPI", "ExtINT"};

static void print_lvt(const Apic *s, const char *name, unsigned lvt, PrintFn *print, void *opaque)
{
    static const char *const modes[4] = {"one-shot", "periodic", "tsc-deadline", "..."};
    uint32_t v = s->st.lvt[lvt];
    bool timer = lvt == LVT_TIMER;

    intctrl_printf(print, opaque, "%s\t 0x%08x active-%s %-5s %-6s %-7s %-12s %-6s (vec %u)\n", name, v,
                   v & 1 << 13 ? "lo" : "hi", v & LVT_LEVEL ? "level" : "edge", v & LVT_MASKED ? "masked" : "",
                   v & LVT_PENDING ? "pending" : "", timer ? modes[v >> LVT_TIMER_SHIFT & 3] : "",
                   delivery_names[timer ? APIC_FIXED : v >> LVT_MODE_SHIFT & 7], v & 0xff);
}

static void print_vectors(const char *name, const uint32_t *words, const uint32_t *tmr, PrintFn *print, void *opaque)
{
    bool any = false;

    intctrl_printf(print, opaque, "%s\t ", name);
    for (unsigned i = 0; i < 256; i++) {
        if (words[i / 32] >> i % 32 & 1) {
            intctrl_printf(print, opaque, "%u%s ", i, tmr && tmr[i / 32] >> i % 32 & 1 ? "(level)" : "");
            any = true;
        }
    }
    print(opaque, any ? "\n" : "(none)\n");
}

bool apic_print(Vcpu *vcpu, PrintFn *print, void *opaque)
{
    static const char *const shorthands[4] = {"", "self", "all-self", "all"};
    Apic *s = vcpu->intc == &apic_local_intc ? vcpu->intc_opaque : NULL;
    uint32_t icr;

    if (!s) {
        return false;
    }
    icr = s->st.icr;
    intctrl_printf(print, opaque, "dumping local APIC state for CPU %-2u\n\n", vcpu->index);
    print_lvt(s, "LVT0", LVT_LINT0, print, opaque);
    print_lvt(s, "LVT1", LVT_LINT1, print, opaque);
    print_lvt(s, "LVTPC", LVT_PERF, print, opaque);
    print_lvt(s, "LVTERR", LVT_ERROR, print, opaque);
    print_lvt(s, "LVTTHMR", LVT_THERMAL, print, opaque);
    print_lvt(s, "LVTT", LVT_TIMER, print, opaque);
    intctrl_printf(print, opaque, "Timer\t DCR=0x%x (divide by %u) initial_count = %u current_count = %u\n", s->st.divide,
                   1u << apic_timer_divide_shift(s->st.divide), s->st.initial_count, apic_timer_current(s));
    intctrl_printf(print, opaque, "SPIV\t 0x%08x APIC %s, focus=%s, spurious vec %u\n", s->st.svr,
                   s->st.svr & SVR_ENABLE ? "enabled" : "disabled", s->st.svr & 1 << 9 ? "on" : "off", s->st.svr & 0xff);
    intctrl_printf(print, opaque, "ICR\t 0x%08x %s %s %s %s\n", icr, icr & ICR_LOGICAL ? "logical" : "physical",
                   icr & ICR_LEVEL ? "level" : "edge", icr & ICR_ASSERT ? "assert" : "de-assert",
                   shorthands[icr >> ICR_SHORTHAND_SHIFT & 3]);
    intctrl_printf(print, opaque, "ICR2\t 0x%08x\n", (uint32_t)(s->st.icr >> 32));
    intctrl_printf(print, opaque, "ESR\t 0x%08x\n", s->st.esr);
    print_vectors("ISR", s->st.isr, s->st.tmr, print, opaque);
    print_vectors("IRR", s->st.irr, s->st.tmr, print, opaque);
    intctrl_printf(print, opaque, "\nAPR 0x00 TPR 0x%02x DFR 0x%02x LDR 0x%02x PPR 0x%02x\n", s->st.tpr, s->st.dfr >> 28,
                   apic_ldr(s) >> (apic_is_x2(s) ? 0 : 24), apic_ppr(s));
    return true;
}

Vcpu *apic_vcpu(Machine *m, int64_t id)
{
    for (unsigned i = 0; i < m->num_vcpus; i++) {
        const Apic *s = m->vcpus[i]->intc == &apic_local_intc ? m->vcpus[i]->intc_opaque : NULL;

        if (s && apic_id(s) == id) {
            return m->vcpus[i];
        }
    }
    return NULL;
}
