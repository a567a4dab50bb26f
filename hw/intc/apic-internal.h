/*
 * The local APIC, in four files: apic.c delivers and accepts interrupts, apic-regs.c has the registers, apic-timer.c the
 * timer, apic-device.c the wiring and the monitor's text.
 */
#ifndef HW_INTC_APIC_INTERNAL_H
#define HW_INTC_APIC_INTERNAL_H

#include "hw/intc/apic-regs.h"
#include "hw/intc/apic.gen.h"
#include "hw/intc/apic.h"

enum { APIC_EOI_MAX = 4 };

typedef struct {
    Device dev;
    ApicConf conf;
    /*
     * Written by the vCPU's thread only, and read by others atomically; but irr, tmr, errors, lint and extint,
     * which any thread changes atomically, and what timer_lock guards.
     */
    ApicState st;
    MemoryRegion mr;
    Vcpu *vcpu;

    Mutex timer_lock;     /* LOCK_DEVICE: guards the next, st's timer fields and lvt[LVT_TIMER] */
    Timer timer;

    /* Of the machine; only vCPU 0's. Written under the machine's lock; read under it. */
    uint8_t (*pic_acknowledge)(Device *pic);
    Device *pic;
    struct {
        void (*eoi)(void *opaque, uint8_t vector);
        void *opaque;
    } eoi[APIC_EOI_MAX];
} Apic;

static inline uint32_t apic_load(const uint32_t *field)
{
    return __atomic_load_n(field, __ATOMIC_RELAXED);
}

static inline void apic_store(uint32_t *field, uint32_t value)
{
    __atomic_store_n(field, value, __ATOMIC_RELAXED);
}

static inline bool apic_is_x2(const Apic *s)
{
    return __atomic_load_n(&s->st.base, __ATOMIC_RELAXED) & BASE_X2;
}

static inline Machine *apic_machine(const Apic *s)
{
    return s->dev.machine;
}

/* apic.c */
extern const LocalIntc apic_local_intc;
uint32_t apic_id(const Apic *s);      /* 32 bits in x2APIC mode, else 8 */
uint32_t apic_ldr(const Apic *s);
unsigned apic_ppr(const Apic *s);
void apic_set_irr(Apic *s, uint8_t vector, bool level);
void apic_error(Apic *s, uint32_t esr_bit);
void apic_lvt_deliver(Apic *s, unsigned lvt);
void apic_end_of_interrupt(Apic *s);
void apic_send_icr(Apic *s);
void apic_update(Apic *s);            /* tells the vCPU whether something is deliverable */
void apic_lint_changed(Apic *s, unsigned n, bool rose);
/* Registers as after power-up, but for base and id (10.4.7.1, 10.4.7.3). */
void apic_clear(Apic *s);

/* apic-regs.c */
bool apic_reg_read(Apic *s, unsigned reg, uint64_t *value);  /* false: no such register, or not readable */
bool apic_reg_write(Apic *s, unsigned reg, uint64_t value);  /* x2APIC: false when a reserved bit is set too */

/* apic-timer.c: any thread, without timer_lock */
void apic_timer_cb(void *opaque);
uint32_t apic_timer_current(Apic *s);
void apic_timer_set_initial(Apic *s, uint32_t count);
void apic_timer_set_divide(Apic *s, uint32_t value);
void apic_timer_set_lvt(Apic *s, uint32_t value);
uint64_t apic_timer_get_deadline(Apic *s);
void apic_timer_set_deadline(Apic *s, uint64_t tsc);
bool apic_timer_has_deadline(const Apic *s);
unsigned apic_timer_divide_shift(uint32_t divide);

#endif
