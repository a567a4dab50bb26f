/*
 * Local APIC: xAPIC and x2APIC. Intel SDM vol. 3 (order 325384), chapter 10; section numbers are its own.
 *
 * Not modelled: relocation of the register page by IA32_APIC_BASE (its bits are kept, the page stays), the CMCI entry of the
 * local vector table, focus processors, suppression of EOI broadcasts (the version register says so).
 */
#include "hw/intc/apic-internal.h"

#include <assert.h>
#include <inttypes.h>

#include "util/log.h"

/* Vectors are bits of eight words. ------------------------------------------ */

static bool vector_set(uint32_t *words, unsigned v)
{
    return __atomic_fetch_or(&words[v / 32], 1u << v % 32, __ATOMIC_SEQ_CST) >> v % 32 & 1;
}

static void vector_clear(uint32_t *words, unsigned v)
{
    __atomic_fetch_and(&words[v / 32], ~(1u << v % 32), __ATOMIC_SEQ_CST);
}

static bool vector_test(const uint32_t *words, unsigned v)
{
    return __atomic_load_n(&words[v / 32], __ATOMIC_SEQ_CST) >> v % 32 & 1;
}

static int vector_highest(const uint32_t *words)
{
    for (int i = 7; i >= 0; i--) {
        uint32_t w = __atomic_load_n(&words[i], __ATOMIC_SEQ_CST);

        if (w) {
            return i * 32 + 31 - __builtin_clz(w);
        }
    }
    return -1;
}

/* State ------------------------------------------------------------------------ */

static bool is_enabled(const Apic *s)
{
    return __atomic_load_n(&s->st.base, __ATOMIC_RELAXED) & BASE_ENABLE;
}

static bool takes_vectors(const Apic *s)
{
    return is_enabled(s) && apic_load(&s->st.svr) & SVR_ENABLE;
}

uint32_t apic_id(const Apic *s)
{
    return apic_is_x2(s) ? s->conf.id : apic_load(&s->st.apic_id) & 0xff;
}

uint32_t apic_ldr(const Apic *s)
{
    if (apic_is_x2(s)) { /* 10.12.10.2 */
        return (s->conf.id & ~15u) << 12 | 1u << (s->conf.id & 15);
    }
    return apic_load(&s->st.ldr);
}

/* 10.8.3.1 */
unsigned apic_ppr(const Apic *s)
{
    int isr = vector_highest(s->st.isr);
    unsigned tpr = apic_load(&s->st.tpr), in_service = isr < 0 ? 0 : isr & 0xf0;

    return (tpr & 0xf0) >= in_service ? tpr : in_service;
}

/* The vector that may be delivered now, -1 when none. */
static int deliverable(const Apic *s)
{
    int v = takes_vectors(s) ? vector_highest(s->st.irr) : -1;

    return v >= 0 && (v & 0xf0) > (int)(apic_ppr(s) & 0xf0) ? v : -1;
}

/* Whether a request on LINT0 goes to the processor as from an 8259A: 10.5.1; 10.4.3 when disabled. */
static bool extint_pending(const Apic *s)
{
    uint32_t lvt = apic_load(&s->st.lvt[LVT_LINT0]);

    if (apic_load(&s->st.extint)) {
        return true;
    }
    if (!(__atomic_load_n(&s->st.lint, __ATOMIC_SEQ_CST) & 1)) {
        return false;
    }
    return !is_enabled(s) || (!(lvt & LVT_MASKED) && (lvt >> LVT_MODE_SHIFT & 7) == APIC_EXTINT);
}

static bool apic_pending(void *opaque)
{
    return deliverable(opaque) >= 0 || extint_pending(opaque);
}

/*
 * Whoever changes what deliverable() looks at calls this after. The request word puts all those changes in an order: one
 * who finds nothing looks again after his change of that word, and sees what others changed before theirs. So the last
 * one leaves it right, even if a sender and the vCPU (TPR, ISR, LVT) have each missed the other's change at first.
 */
void apic_update(Apic *s)
{
    if (!apic_pending(s)) {
        vcpu_clear_request(s->vcpu, VCPU_REQ_HARD);
        if (!apic_pending(s)) {
            return;
        }
    }
    vcpu_request(s->vcpu, VCPU_REQ_HARD);
}

/* Delivery ----------------------------------------------------------------------- */

void apic_error(Apic *s, uint32_t esr_bit)
{
    uint32_t before = __atomic_fetch_or(&s->st.errors, esr_bit, __ATOMIC_RELAXED);

    if (!(before & esr_bit)) {
        apic_lvt_deliver(s, LVT_ERROR);
    }
}

void apic_set_irr(Apic *s, uint8_t vector, bool level)
{
    if (level) {
        vector_set(s->st.tmr, vector);
    } else {
        vector_clear(s->st.tmr, vector);
    }
    vector_set(s->st.irr, vector);
    apic_update(s);
}

/* True iff it was taken. */
static bool apic_take(Apic *s, ApicDelivery mode, uint8_t vector, bool level)
{
    switch (mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        if (!takes_vectors(s)) {
            return false; /* 10.4.7.2 */
        }
        if (vector < 16) { /* 10.5.2; reported without recursion when the error vector itself is wrong */
            __atomic_fetch_or(&s->st.errors, ESR_RECEIVE_VECTOR, __ATOMIC_RELAXED);
            return true;
        }
        apic_set_irr(s, vector, level);
        return true;
    case APIC_SMI:
        vcpu_request(s->vcpu, VCPU_REQ_SMI);
        return true;
    case APIC_NMI:
        vcpu_request(s->vcpu, VCPU_REQ_NMI);
        return true;
    case APIC_INIT:
        /* A SIPI before it means nothing, one after it must last until the vCPU has come to its INIT. */
        vcpu_clear_request(s->vcpu, VCPU_REQ_SIPI);
        vcpu_request(s->vcpu, VCPU_REQ_INIT);
        return true;
    case APIC_SIPI:
        if (s->vcpu->arch->start_up) {
            s->vcpu->arch->start_up(s->vcpu, vector);
        }
        return true;
    case APIC_EXTINT:
        __atomic_store_n(&s->st.extint, 1, __ATOMIC_SEQ_CST);
        vcpu_request(s->vcpu, VCPU_REQ_HARD);
        return true;
    default:
        return false;
    }
}

void apic_lvt_deliver(Apic *s, unsigned lvt)
{
    uint32_t value = apic_load(&s->st.lvt[lvt]);
    ApicDelivery mode = lvt == LVT_TIMER || lvt == LVT_ERROR ? APIC_FIXED : value >> LVT_MODE_SHIFT & 7;

    if (value & LVT_MASKED) {
        return;
    }
    if (mode == APIC_FIXED || mode == APIC_SMI || mode == APIC_NMI) { /* 10.5.1; ExtINT is a level: extint_pending */
        apic_take(s, mode, value & 0xff, false);
    }
}

static bool matches_logical(const Apic *s, const ApicMessage *msg)
{
    uint32_t ldr = apic_ldr(s), dest = msg->dest;

    if (apic_is_x2(s)) { /* 10.12.10.2 */
        return ldr >> 16 == dest >> 16 && ldr & dest & 0xffff;
    }
    if (dest > 0xff) {
        return false;
    }
    ldr >>= 24;
    if (apic_load(&s->st.dfr) >> 28 == 0xf) { /* 10.6.2.2: flat */
        return ldr & dest;
    }
    return ldr >> 4 == dest >> 4 && ldr & dest & 15;
}

static bool matches(const Apic *s, const ApicMessage *msg)
{
    if (!is_enabled(s)) {
        return false;
    }
    if (msg->dest == (msg->dest_is_x2 ? UINT32_MAX : 0xff)) {
        return true; /* 10.6.2: everybody, in both destination modes */
    }
    return msg->logical ? matches_logical(s, msg) : apic_id(s) == msg->dest;
}

static Apic *apic_of(Machine *m, unsigned index)
{
    Vcpu *v = index < m->num_vcpus ? m->vcpus[index] : NULL;

    return v && v->intc == &apic_local_intc ? v->intc_opaque : NULL;
}

/* 10.6.2.4: the one with the lowest priority; among equals the first. */
static Apic *apic_arbitrate(Machine *m, const ApicMessage *msg)
{
    Apic *best = NULL;

    for (unsigned i = 0; i < m->num_vcpus; i++) {
        Apic *s = apic_of(m, i);

        if (s && matches(s, msg) && takes_vectors(s) && (!best || apic_ppr(s) < apic_ppr(best))) {
            best = s;
        }
    }
    return best;
}

unsigned apic_deliver(Machine *m, const ApicMessage *msg)
{
    unsigned taken = 0;

    if (msg->mode == APIC_LOWEST) {
        Apic *s = apic_arbitrate(m, msg);

        return s ? apic_take(s, APIC_FIXED, msg->vector, msg->level) : 0;
    }
    for (unsigned i = 0; i < m->num_vcpus; i++) {
        Apic *s = apic_of(m, i);

        if (s && matches(s, msg)) {
            taken += apic_take(s, msg->mode, msg->vector, msg->level);
        }
    }
    return taken;
}

unsigned apic_deliver_msi(Machine *m, uint64_t addr, uint32_t data)
{
    ApicMessage msg = { /* 10.11.1, 10.11.2 */
        .dest = addr >> 12 & 0xff,
        .logical = addr >> 2 & 1,
        .mode = data >> 8 & 7,
        .vector = data,
        .level = data >> 15 & 1,
    };

    return apic_deliver(m, &msg);
}

void apic_send_icr(Apic *s)
{
    uint32_t low = s->st.icr, high = s->st.icr >> 32;
    bool x2 = apic_is_x2(s);
    ApicMessage msg = {
        .dest = x2 ? high : high >> 24,
        .dest_is_x2 = x2,
        .logical = low & ICR_LOGICAL,
        .mode = low >> LVT_MODE_SHIFT & 7,
        .vector = low,
    };
    unsigned shorthand = low >> ICR_SHORTHAND_SHIFT & 3;

    if (msg.mode == APIC_INIT && low & ICR_LEVEL && !(low & ICR_ASSERT)) {
        return; /* 10.6.1: INIT level de-assert only synchronized arbitration ids */
    }
    if ((msg.mode == APIC_FIXED || msg.mode == APIC_LOWEST) && msg.vector < 16) {
        apic_error(s, ESR_SEND_VECTOR);
        return;
    }
    if (shorthand == SHORTHAND_NONE) {
        apic_deliver(apic_machine(s), &msg);
    } else if (shorthand == SHORTHAND_SELF) {
        apic_take(s, msg.mode, msg.vector, false);
    } else {
        for (unsigned i = 0; i < apic_machine(s)->num_vcpus; i++) {
            Apic *t = apic_of(apic_machine(s), i);

            if (t && is_enabled(t) && (shorthand == SHORTHAND_ALL || t != s)) {
                apic_take(t, msg.mode == APIC_LOWEST ? APIC_FIXED : msg.mode, msg.vector, false);
            }
        }
    }
}

/* The end of interrupts ------------------------------------------------------------ */

/* Takes the machine's lock unless this thread has it. */
static bool apic_lock(Machine *m)
{
    if (fair_mutex_is_held(&m->lock)) {
        return false;
    }
    fair_mutex_lock(&m->lock);
    return true;
}

static void broadcast_eoi(Apic *s, uint8_t vector)
{
    Machine *m = apic_machine(s);
    Apic *first = apic_of(m, 0);
    bool locked = apic_lock(m);

    for (unsigned i = 0; first && i < APIC_EOI_MAX; i++) {
        if (first->eoi[i].eoi) {
            first->eoi[i].eoi(first->eoi[i].opaque, vector);
        }
    }
    if (locked) {
        fair_mutex_unlock(&m->lock);
    }
}

void apic_end_of_interrupt(Apic *s)
{
    int v = vector_highest(s->st.isr);

    if (v >= 0) { /* 10.8.5 */
        vector_clear(s->st.isr, v);
        for (unsigned i = LVT_LINT0; i <= LVT_LINT1; i++) {
            uint32_t lvt = s->st.lvt[i];

            if (lvt & LVT_REMOTE_IRR && (lvt & 0xff) == (unsigned)v) {
                apic_store(&s->st.lvt[i], lvt & ~LVT_REMOTE_IRR);
                apic_lint_changed(s, i - LVT_LINT0, false);
            }
        }
        if (vector_test(s->st.tmr, v)) {
            broadcast_eoi(s, v);
        }
    }
    apic_update(s);
}

bool apic_add_eoi(Machine *m, void (*eoi)(void *opaque, uint8_t vector), void *opaque)
{
    Apic *s = apic_of(m, 0);

    for (unsigned i = 0; s && i < APIC_EOI_MAX; i++) {
        if (!s->eoi[i].eoi || s->eoi[i].opaque == opaque) {
            s->eoi[i].opaque = opaque;
            s->eoi[i].eoi = eoi;
            return true;
        }
    }
    return false;
}

void apic_del_eoi(Machine *m, void *opaque)
{
    Apic *s = apic_of(m, 0);

    for (unsigned i = 0; s && i < APIC_EOI_MAX; i++) {
        if (s->eoi[i].opaque == opaque) {
            s->eoi[i].eoi = NULL;
            s->eoi[i].opaque = NULL;
        }
    }
}

void apic_set_pic(Machine *m, uint8_t (*acknowledge)(Device *pic), Device *pic)
{
    Apic *s = apic_of(m, 0);

    assert(s);
    s->pic_acknowledge = acknowledge;
    s->pic = pic;
}

/* The pins -------------------------------------------------------------------------- */

void apic_lint_changed(Apic *s, unsigned n, bool rose)
{
    unsigned lvt = LVT_LINT0 + n;
    uint32_t value = apic_load(&s->st.lvt[lvt]);
    ApicDelivery mode = value >> LVT_MODE_SHIFT & 7;
    bool level = __atomic_load_n(&s->st.lint, __ATOMIC_SEQ_CST) >> n & 1;

    if (!is_enabled(s)) { /* 10.4.3: the pins are INTR and NMI */
        if (n == 1 && rose) {
            vcpu_request(s->vcpu, VCPU_REQ_NMI);
        }
    } else if (mode == APIC_FIXED && value & LVT_LEVEL) {
        if (level && !(value & (LVT_MASKED | LVT_REMOTE_IRR)) && apic_take(s, APIC_FIXED, value & 0xff, true)) {
            apic_store(&s->st.lvt[lvt], value | LVT_REMOTE_IRR);
        }
    } else if (rose) {
        apic_lvt_deliver(s, lvt);
    }
    apic_update(s);
}

/* As the processor sees it ------------------------------------------------------------ */

static int accept_extint(Apic *s)
{
    Machine *m = apic_machine(s);
    Apic *first = apic_of(m, 0);
    int vector = -1;
    bool locked = apic_lock(m);

    if (extint_pending(s)) { /* it may be gone meanwhile */
        __atomic_store_n(&s->st.extint, 0, __ATOMIC_SEQ_CST);
        if (first && first->pic_acknowledge) {
            vector = first->pic_acknowledge(first->pic);
        }
    }
    if (locked) {
        fair_mutex_unlock(&m->lock);
    }
    return vector;
}

static int apic_accept(void *opaque)
{
    Apic *s = opaque;
    int v = deliverable(s);

    if (v >= 0) { /* 10.8.4 */
        vector_clear(s->st.irr, v);
        vector_set(s->st.isr, v);
    } else if (extint_pending(s)) {
        v = accept_extint(s);
    }
    apic_update(s);
    return v;
}

static uint64_t apic_get_base(void *opaque)
{
    return ((Apic *)opaque)->st.base;
}

static bool apic_set_base(void *opaque, uint64_t value)
{
    Apic *s = opaque;
    uint64_t old = s->st.base;
    bool to_x2 = value & BASE_X2, was_x2 = old & BASE_X2;

    if (value & (0x2ff & ~BASE_BSP) || (to_x2 && !(value & BASE_ENABLE))) {
        return false;
    }
    /* 10.12.5: to x2APIC from xAPIC only, and from there only to disabled. */
    if ((to_x2 && !(old & BASE_ENABLE)) || (was_x2 && !to_x2 && value & BASE_ENABLE)) {
        return false;
    }
    if ((value & ~UINT64_C(0xfff)) != APIC_BASE_DEFAULT) {
        log_unimp("apic", "IA32_APIC_BASE 0x%" PRIx64 ": the registers stay at 0xfee00000", value);
    }
    __atomic_store_n(&s->st.base, value, __ATOMIC_RELAXED);
    if (old & BASE_ENABLE && !(value & BASE_ENABLE)) {
        apic_clear(s); /* 10.4.3 */
        s->st.base = value;
    }
    apic_update(s);
    return true;
}

/* 10.8.6.1: CR8 is bits 7:4 of TPR. */
static uint8_t apic_get_tpr(void *opaque)
{
    return ((Apic *)opaque)->st.tpr >> 4;
}

static void apic_set_tpr(void *opaque, uint8_t value)
{
    Apic *s = opaque;

    apic_store(&s->st.tpr, (value & 15) << 4);
    apic_update(s);
}

static bool apic_msr_read(void *opaque, uint32_t index, uint64_t *value)
{
    Apic *s = opaque;

    if (index == MSR_TSC_DEADLINE) {
        *value = apic_timer_get_deadline(s);
        return apic_timer_has_deadline(s);
    }
    return index >= MSR_X2APIC && index <= MSR_X2APIC_LAST && apic_is_x2(s) &&
           apic_reg_read(s, index - MSR_X2APIC, value);
}

static bool apic_msr_write(void *opaque, uint32_t index, uint64_t value)
{
    Apic *s = opaque;

    if (index == MSR_TSC_DEADLINE) {
        if (apic_timer_has_deadline(s)) {
            apic_timer_set_deadline(s, value);
            return true;
        }
        return false;
    }
    return index >= MSR_X2APIC && index <= MSR_X2APIC_LAST && apic_is_x2(s) &&
           apic_reg_write(s, index - MSR_X2APIC, value);
}

static void apic_cpu_reset(void *opaque, bool init)
{
    Apic *s = opaque;

    if (init) {
        apic_clear(s); /* 10.4.7.3 */
    } else {
        object_reset(OBJECT(s), OBJECT_COLD_RESET);
    }
    apic_update(s);
}

const LocalIntc apic_local_intc = {
    .accept = apic_accept,
    .pending = apic_pending,
    .get_base = apic_get_base,
    .set_base = apic_set_base,
    .get_tpr = apic_get_tpr,
    .set_tpr = apic_set_tpr,
    .msr_read = apic_msr_read,
    .msr_write = apic_msr_write,
    .reset = apic_cpu_reset,
};
