/*
 * Local and I/O APICs with vCPUs that are played by the test: it looks at their requests and accepts vectors. Delivery to
 * destinations is compared with a model written from the manual's text, and acceptance is tried from several threads.
 */
#include "hw/intc/apic.h"

#include <string.h>

#include "hw/intc/apic.gen.h"
#include "hw/intc/i8259.h"
#include "hw/intc/i8259.gen.h"
#include "tests/devtest.h"

enum { CPUS = 4, ID = 0x20, VERSION = 0x30, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0, SVR = 0xf0, ISR = 0x100,
       TMR = 0x180, IRR = 0x200, ESR = 0x280, ICR = 0x300, ICR2 = 0x310, LVT_TIMER = 0x320, LVT_LINT0 = 0x350,
       LVT_ERROR = 0x370, INITIAL = 0x380, CURRENT = 0x390, DIVIDE = 0x3e0 };

typedef struct {
    DevTest *t;
    Vcpu vcpu[CPUS], *vcpus[CPUS];
    Device *apic[CPUS], *ioapic;
    uint8_t sipi[CPUS];
} Rig;

/* What accel/ has, as the APIC needs it. */
void vcpu_request(Vcpu *v, uint32_t bits)
{
    atomic_fetch_or(&v->requests, bits);
}

void vcpu_clear_request(Vcpu *v, uint32_t bits)
{
    atomic_fetch_and(&v->requests, ~bits);
}

static void start_up(Vcpu *v, uint8_t vector)
{
    ((uint8_t *)v->state)[v->index] = vector;
    vcpu_request(v, VCPU_REQ_SIPI);
}

/* Counts at 2 GHz from this value. */
static uint64_t stamp_at_0 = 1000;

static int64_t time_of_stamp(Vcpu *v, uint64_t stamp)
{
    return stamp < stamp_at_0 ? 0 : (stamp - stamp_at_0 + 1) / 2;
}

static const VcpuArch arch = {.start_up = start_up, .time_of_stamp = time_of_stamp};

static Rig *new_rig(void)
{
    Rig *r = g_new0(Rig, 1);

    r->t = devtest_new(&qclass_apic, &qclass_ioapic, &qclass_isa_i8259);
    for (unsigned i = 0; i < CPUS; i++) {
        char id[4] = {'0' + i};

        r->vcpu[i] = (Vcpu){.index = i, .machine = r->t->m, .arch = &arch, .state = r->sipi};
        r->vcpus[i] = &r->vcpu[i];
        r->t->m->vcpus = r->vcpus;
        r->t->m->num_vcpus = i + 1;
        r->apic[i] = device_create(r->t->m, "apic", NULL, NULL, NULL, &error_abort, "id", id, NULL);
        apic_connect(r->apic[i], &r->vcpu[i]);
        device_realize(r->apic[i], &error_abort);
        object_reset(OBJECT(r->apic[i]), OBJECT_COLD_RESET);
    }
    r->ioapic = devtest_add(r->t, "ioapic", NULL);
    memory_region_add(r->t->m->memory, IOAPIC_BASE_DEFAULT, ioapic_mmio(r->ioapic), 1);
    return r;
}

static void free_rig(Rig *r)
{
    r->t->m->num_vcpus = 0;
    r->t->m->vcpus = NULL;
    devtest_free(r->t);
    g_free(r);
}

static uint32_t rd(Rig *r, unsigned cpu, unsigned reg)
{
    uint64_t v;

    address_space_ld(r->t->m->as_memory, APIC_BASE_DEFAULT + reg, 4, DEVICE_LITTLE_ENDIAN,
                     (MemTxAttrs){.from_cpu = true, .requester_id = cpu}, &v);
    return v;
}

static void wr(Rig *r, unsigned cpu, unsigned reg, uint32_t value)
{
    address_space_st(r->t->m->as_memory, APIC_BASE_DEFAULT + reg, 4, DEVICE_LITTLE_ENDIAN,
                     (MemTxAttrs){.from_cpu = true, .requester_id = cpu}, value);
}

static const LocalIntc *intc(Rig *r, unsigned cpu)
{
    return r->vcpu[cpu].intc;
}

static int take(Rig *r, unsigned cpu)
{
    return intc(r, cpu)->accept(r->vcpu[cpu].intc_opaque);
}

static bool hard(Rig *r, unsigned cpu)
{
    return r->vcpu[cpu].requests & VCPU_REQ_HARD;
}

static bool irr(Rig *r, unsigned cpu, unsigned v)
{
    return rd(r, cpu, IRR + v / 32 * 16) >> v % 32 & 1;
}

static void enable(Rig *r)
{
    for (unsigned i = 0; i < CPUS; i++) {
        wr(r, i, SVR, 0x1ff);
        wr(r, i, LDR, 1u << (24 + i));
    }
}

static void test_registers(void)
{
    Rig *r = new_rig();

    for (unsigned i = 0; i < CPUS; i++) { /* 10.4.7.1 */
        g_assert_cmphex(rd(r, i, ID), ==, i << 24);
        g_assert_cmphex(rd(r, i, VERSION), ==, 0x50014);
        g_assert_cmphex(rd(r, i, SVR), ==, 0xff);
        g_assert_cmphex(rd(r, i, DFR), ==, 0xffffffff);
        g_assert_cmphex(rd(r, i, LVT_TIMER), ==, 0x10000);
        g_assert_cmphex(rd(r, i, LVT_LINT0), ==, 0x10000);
        g_assert_cmphex(intc(r, i)->get_base(r->vcpu[i].intc_opaque), ==, 0xfee00800 | (i == 0) << 8);
    }
    wr(r, 1, LVT_TIMER, 0x20030); /* disabled by software: entries stay masked */
    g_assert_cmphex(rd(r, 1, LVT_TIMER), ==, 0x30030);
    enable(r);
    wr(r, 1, LVT_TIMER, 0xffffffff);
    g_assert_cmphex(rd(r, 1, LVT_TIMER), ==, 0x100ff); /* mode 3 is reserved */
    wr(r, 1, DFR, 0);
    g_assert_cmphex(rd(r, 1, DFR), ==, 0x0fffffff);
    wr(r, 1, 0x3f0, 1); /* SELF IPI is x2APIC's */
    wr(r, 1, ESR, 0);
    g_assert_cmphex(rd(r, 1, ESR), ==, 0x80);
    wr(r, 1, ESR, 0);
    g_assert_cmphex(rd(r, 1, ESR), ==, 0);
    wr(r, 1, SVR, 0xff);
    g_assert_cmphex(rd(r, 1, LVT_TIMER), ==, 0x100ff);
    devtest_reload(r->t);
    free_rig(r);
}

static void test_priorities(void)
{
    Rig *r = new_rig();

    enable(r);
    apic_deliver_msi(r->t->m, 0xfee00000, 0x31);
    apic_deliver_msi(r->t->m, 0xfee00000, 0x52);
    g_assert_true(hard(r, 0) && !hard(r, 1));
    g_assert_cmphex(take(r, 0), ==, 0x52);
    g_assert_false(hard(r, 0));
    g_assert_cmphex(rd(r, 0, PPR), ==, 0x50);
    apic_deliver_msi(r->t->m, 0xfee00000, 0x5f); /* same class */
    g_assert_cmpint(take(r, 0), ==, -1);
    apic_deliver_msi(r->t->m, 0xfee00000, 0x60);
    g_assert_cmphex(take(r, 0), ==, 0x60);
    devtest_reload(r->t);
    wr(r, 0, EOI, 0);
    g_assert_false(hard(r, 0));
    wr(r, 0, EOI, 0);
    g_assert_cmphex(take(r, 0), ==, 0x5f);
    wr(r, 0, EOI, 0);
    intc(r, 0)->set_tpr(r->vcpu[0].intc_opaque, 3);
    g_assert_cmphex(rd(r, 0, TPR), ==, 0x30);
    g_assert_cmpint(take(r, 0), ==, -1);
    wr(r, 0, TPR, 0x2f);
    g_assert_cmpint(intc(r, 0)->get_tpr(r->vcpu[0].intc_opaque), ==, 2);
    g_assert_true(hard(r, 0));
    g_assert_cmphex(take(r, 0), ==, 0x31);
    g_assert_cmpint(take(r, 0), ==, -1);
    free_rig(r);
}

/* Does CPU i take it? By 10.6.2 and 10.6.1, for ids i and logical ids set by the test. */
static bool addressed(bool flat, const uint8_t *ldr, unsigned i, unsigned dest, bool logical)
{
    if (dest == 0xff) {
        return true;
    }
    if (!logical) {
        return dest == i;
    }
    return flat ? dest & ldr[i] : dest >> 4 == ldr[i] >> 4 && (dest & ldr[i] & 15);
}

static void test_destinations(void)
{
    Rig *r = new_rig();

    enable(r);
    for (int round = 0; round < 5000; round++) {
        bool flat = g_test_rand_bit(), logical = g_test_rand_bit(), want[CPUS];
        unsigned dest = g_test_rand_bit() ? g_test_rand_int_range(0, 256) : (unsigned)g_test_rand_int_range(0, CPUS);
        unsigned shorthand = g_test_rand_int_range(0, 4), sender = g_test_rand_int_range(0, CPUS);
        unsigned vector = g_test_rand_int_range(16, 256);
        bool msi = g_test_rand_bit();
        uint8_t ldr[CPUS];

        for (unsigned i = 0; i < CPUS; i++) {
            ldr[i] = flat ? g_test_rand_int_range(0, 256) : 0x10 << g_test_rand_int_range(0, 2) | 1 << i;
            wr(r, i, DFR, flat ? 0xffffffff : 0x0fffffff);
            wr(r, i, LDR, (uint32_t)ldr[i] << 24);
            want[i] = msi || shorthand == 0 ? addressed(flat, ldr, i, dest, logical)
                      : shorthand == 1 ? i == sender : shorthand == 2 ? true : i != sender;
        }
        if (msi) {
            devtest_write(r->t, 0xfee00000 | dest << 12 | logical << 2, 4, vector);
        } else {
            wr(r, sender, ICR2, dest << 24);
            wr(r, sender, ICR, shorthand << 18 | logical << 11 | 0x4000 | vector);
        }
        for (unsigned i = 0; i < CPUS; i++) {
            g_assert_cmpint(irr(r, i, vector), ==, want[i]);
            g_assert_cmpint(hard(r, i), ==, want[i]);
            g_assert_cmpint(take(r, i), ==, want[i] ? (int)vector : -1);
            wr(r, i, EOI, 0);
        }
    }
    free_rig(r);
}

static void test_modes(void)
{
    Rig *r = new_rig();

    enable(r);
    wr(r, 0, ICR2, 1 << 24);
    wr(r, 0, ICR, 0x4500); /* INIT */
    g_assert_cmphex(r->vcpu[1].requests, ==, VCPU_REQ_INIT);
    wr(r, 0, ICR, 0x8500); /* level de-assert: nothing */
    wr(r, 0, ICR, 0x4600 | 0x9f);
    g_assert_cmphex(r->vcpu[1].requests, ==, VCPU_REQ_INIT | VCPU_REQ_SIPI);
    g_assert_cmphex(r->sipi[1], ==, 0x9f);
    wr(r, 0, ICR, 0x4500); /* INIT drops the SIPI of before */
    g_assert_cmphex(r->vcpu[1].requests, ==, VCPU_REQ_INIT);
    wr(r, 0, ICR, 0xc4400); /* NMI to all others */
    g_assert_cmphex(r->vcpu[0].requests, ==, 0);
    g_assert_cmphex(r->vcpu[3].requests, ==, VCPU_REQ_NMI);
    wr(r, 0, ICR2, 2 << 24);
    wr(r, 0, ICR, 0x4200);
    g_assert_cmphex(r->vcpu[2].requests, ==, VCPU_REQ_NMI | VCPU_REQ_SMI);
    wr(r, 0, LVT_ERROR, 0x33);
    wr(r, 0, ICR, 0x4003); /* vector below 16 */
    wr(r, 0, ESR, 0);
    g_assert_cmphex(rd(r, 0, ESR), ==, 0x20);
    g_assert_cmphex(take(r, 0), ==, 0x33);
    wr(r, 1, TPR, 0x50); /* lowest priority: 0 is at 0x30, 1 at 0x50 */
    apic_deliver_msi(r->t->m, 0xfee03004, 0x141);
    g_assert_true(irr(r, 0, 0x41) && !irr(r, 1, 0x41));
    wr(r, 1, TPR, 0x20);
    apic_deliver_msi(r->t->m, 0xfee03004, 0x142);
    g_assert_true(!irr(r, 0, 0x42) && irr(r, 1, 0x42));
    free_rig(r);
}

static bool wrmsr(Rig *r, unsigned cpu, uint32_t index, uint64_t value)
{
    return intc(r, cpu)->msr_write(r->vcpu[cpu].intc_opaque, index, value);
}

static uint64_t rdmsr(Rig *r, unsigned cpu, uint32_t index)
{
    uint64_t v = 0;

    g_assert_true(intc(r, cpu)->msr_read(r->vcpu[cpu].intc_opaque, index, &v));
    return v;
}

static void test_x2apic(void)
{
    Rig *r = new_rig();
    uint64_t v;

    enable(r);
    g_assert_false(wrmsr(r, 0, 0x80b, 0)); /* not yet */
    for (unsigned i = 0; i < CPUS; i++) {
        void *o = r->vcpu[i].intc_opaque;
        uint64_t base = intc(r, i)->get_base(o);

        g_assert_false(intc(r, i)->set_base(o, (base & ~UINT64_C(0x800)) | 0x400)); /* 10.12.5 */
        g_assert_true(intc(r, i)->set_base(o, base | 0x400));
        g_assert_false(intc(r, i)->set_base(o, base));
    }
    g_assert_cmphex(rd(r, 0, ID), ==, 0xffffffff); /* the page is gone */
    g_assert_cmphex(rdmsr(r, 3, 0x802), ==, 3);
    g_assert_cmphex(rdmsr(r, 3, 0x80d), ==, 8);
    g_assert_true(wrmsr(r, 0, 0x830, UINT64_C(2) << 32 | 0x4055));
    g_assert_cmphex(take(r, 2), ==, 0x55);
    g_assert_true(wrmsr(r, 2, 0x80b, 0));
    g_assert_true(wrmsr(r, 0, 0x830, UINT64_C(0xa) << 32 | 0x4856)); /* logical: 1 and 3 */
    g_assert_true(hard(r, 1) && hard(r, 3) && !hard(r, 0) && !hard(r, 2));
    g_assert_true(wrmsr(r, 0, 0x830, UINT64_C(0xffffffff) << 32 | 0x4057));
    g_assert_true(hard(r, 0) && hard(r, 2));
    g_assert_cmphex(rdmsr(r, 0, 0x830), ==, UINT64_C(0xffffffff) << 32 | 0x4057);
    g_assert_true(wrmsr(r, 0, 0x83f, 0x99));
    g_assert_cmphex(take(r, 0), ==, 0x99);
    g_assert_false(wrmsr(r, 0, 0x80b, 1));     /* EOI takes 0 only */
    g_assert_false(wrmsr(r, 0, 0x802, 0));     /* read only */
    g_assert_false(wrmsr(r, 0, 0x80e, 0));     /* there is no DFR */
    g_assert_false(wrmsr(r, 0, 0x831, 0));
    g_assert_false(wrmsr(r, 0, 0x80f, 0x400)); /* reserved bit */
    g_assert_false(wrmsr(r, 0, 0x8ff, 0));
    g_assert_false(intc(r, 0)->msr_read(r->vcpu[0].intc_opaque, 0x80b, &v));
    g_assert_cmpint(apic_deliver_msi(r->t->m, 0xfee01000, 0x61), ==, 1); /* 8-bit destinations still reach it */
    g_assert_true(intc(r, 0)->set_base(r->vcpu[0].intc_opaque, 0xfee00100));
    g_assert_true(intc(r, 0)->set_base(r->vcpu[0].intc_opaque, 0xfee00900));
    g_assert_cmphex(rd(r, 0, SVR), ==, 0xff); /* as after power-up */
    free_rig(r);
}

static void test_timer(void)
{
    Rig *r = new_rig();

    enable(r);
    wr(r, 0, DIVIDE, 0x3); /* 16 */
    wr(r, 0, LVT_TIMER, 0x40);
    wr(r, 0, INITIAL, 1000);
    devtest_step(r->t, 1600);
    g_assert_cmpint(rd(r, 0, CURRENT), ==, 900);
    devtest_reload(r->t);
    devtest_step(r->t, 14399);
    g_assert_false(hard(r, 0));
    devtest_step(r->t, 1);
    g_assert_cmphex(take(r, 0), ==, 0x40);
    wr(r, 0, EOI, 0);
    g_assert_cmpint(rd(r, 0, CURRENT), ==, 0);
    devtest_step(r->t, 1000000);
    g_assert_false(hard(r, 0)); /* one shot */
    wr(r, 0, DIVIDE, 0xb); /* 1 */
    wr(r, 0, LVT_TIMER, 0x20041);
    wr(r, 0, INITIAL, 100000);
    for (int i = 0; i < 10; i++) {
        devtest_step(r->t, 100000);
        g_assert_cmphex(take(r, 0), ==, 0x41);
        wr(r, 0, EOI, 0);
    }
    devtest_step(r->t, 30000);
    g_assert_cmpint(rd(r, 0, CURRENT), ==, 70000);
    wr(r, 0, INITIAL, 0); /* stops */
    devtest_step(r->t, 1000000);
    g_assert_false(hard(r, 0));
    wr(r, 0, INITIAL, 1); /* every ns: must not keep the host busy */
    devtest_step(r->t, 100000000);
    g_assert_cmphex(take(r, 0), ==, 0x41);
    wr(r, 0, LVT_TIMER, 0x40042); /* deadline */
    wr(r, 0, EOI, 0);
    if (irr(r, 0, 0x41)) { /* the next one of those that ran together */
        take(r, 0);
        wr(r, 0, EOI, 0);
    }
    g_assert_true(wrmsr(r, 0, 0x6e0, 1000 + 2 * (devtest_now(r->t) + 500)));
    devtest_step(r->t, 499);
    g_assert_cmphex(rdmsr(r, 0, 0x6e0), !=, 0);
    g_assert_false(irr(r, 0, 0x42));
    devtest_step(r->t, 1);
    g_assert_true(irr(r, 0, 0x42));
    g_assert_cmphex(rdmsr(r, 0, 0x6e0), ==, 0);
    g_assert_cmphex(take(r, 0), ==, 0x42);
    wr(r, 0, EOI, 0);
    g_assert_true(wrmsr(r, 0, 0x6e0, 1000 + 2 * (devtest_now(r->t) + 500)));
    stamp_at_0 = 800; /* the guest sets its counter back by 100 ns */
    devtest_step(r->t, 599);
    g_assert_false(irr(r, 0, 0x42));
    devtest_step(r->t, 1);
    g_assert_true(irr(r, 0, 0x42));
    stamp_at_0 = 1000;
    free_rig(r);
}

static void redirect(Rig *r, unsigned pin, uint64_t entry)
{
    devtest_write(r->t, IOAPIC_BASE_DEFAULT, 4, 0x11 + 2 * pin);
    devtest_write(r->t, IOAPIC_BASE_DEFAULT + 0x10, 4, entry >> 32);
    devtest_write(r->t, IOAPIC_BASE_DEFAULT, 4, 0x10 + 2 * pin);
    devtest_write(r->t, IOAPIC_BASE_DEFAULT + 0x10, 4, entry);
}

static uint32_t redirection(Rig *r, unsigned pin)
{
    devtest_write(r->t, IOAPIC_BASE_DEFAULT, 4, 0x10 + 2 * pin);
    return devtest_read(r->t, IOAPIC_BASE_DEFAULT + 0x10, 4);
}

static void test_ioapic(void)
{
    Rig *r = new_rig();
    Irq *pin9 = device_irq_in(r->ioapic, NULL, 9), *pin4 = device_irq_in(r->ioapic, NULL, 4);

    enable(r);
    devtest_write(r->t, IOAPIC_BASE_DEFAULT, 4, 1);
    g_assert_cmphex(devtest_read(r->t, IOAPIC_BASE_DEFAULT + 0x10, 4), ==, 0x170020);
    irq_raise(pin4); /* masked edge: lost */
    redirect(r, 4, UINT64_C(1) << 56 | 0x44);
    g_assert_false(hard(r, 1));
    irq_lower(pin4);
    irq_raise(pin4);
    g_assert_cmphex(take(r, 1), ==, 0x44);
    wr(r, 1, EOI, 0);
    g_assert_false(hard(r, 1)); /* an edge comes once */
    redirect(r, 9, UINT64_C(2) << 56 | 0x8049); /* level */
    irq_raise(pin9);
    g_assert_cmphex(redirection(r, 9), ==, 0xc049); /* remote IRR */
    g_assert_cmphex(take(r, 2), ==, 0x49);
    g_assert_false(hard(r, 2));
    devtest_reload(r->t);
    wr(r, 2, EOI, 0);
    g_assert_cmphex(take(r, 2), ==, 0x49); /* still asserted: again */
    irq_lower(pin9);
    wr(r, 2, EOI, 0);
    g_assert_cmphex(redirection(r, 9), ==, 0x8049);
    g_assert_false(hard(r, 2));
    irq_raise(pin9);
    devtest_write(r->t, IOAPIC_BASE_DEFAULT + 0x40, 4, 0x49); /* EOI register */
    g_assert_cmphex(redirection(r, 9), ==, 0xc049);
    redirect(r, 9, UINT64_C(9) << 56 | 0x18049);
    redirect(r, 9, UINT64_C(9) << 56 | 0x10049); /* edge: clears remote IRR */
    redirect(r, 9, UINT64_C(9) << 56 | 0x8049);  /* nobody is there */
    g_assert_cmphex(redirection(r, 9), ==, 0x8049);
    redirect(r, 9, UINT64_C(3) << 56 | 0x8049);  /* and now there is */
    g_assert_cmphex(take(r, 3), ==, 0x49);
    free_rig(r);
}

/* Virtual wire: the 8259A through LINT0 as ExtINT. */
static void test_extint(void)
{
    Rig *r = new_rig();
    Device *pic = devtest_add(r->t, "isa-i8259", "master=on");

    device_connect_irq_out(pic, NULL, 0, device_irq_in(r->apic[0], "lint", 0));
    apic_set_pic(r->t->m, i8259_acknowledge, pic);
    devtest_script(r->t, "outb 0x20 0x11; outb 0x21 0x08; outb 0x21 4; outb 0x21 1; outb 0x21 0");
    irq_raise(device_irq_in(pic, NULL, 1));
    g_assert_false(hard(r, 0)); /* 10.4.7.1: masked at reset */
    wr(r, 0, SVR, 0x1ff);
    wr(r, 0, LVT_LINT0, 0x700);
    g_assert_true(hard(r, 0) && !hard(r, 1));
    g_assert_cmphex(take(r, 0), ==, 9);
    g_assert_false(hard(r, 0));
    devtest_outb(r->t, 0x20, 0x20);
    irq_raise(device_irq_in(pic, NULL, 4));
    wr(r, 0, LVT_LINT0, 0x10700);
    g_assert_false(hard(r, 0));
    g_assert_true(intc(r, 0)->set_base(r->vcpu[0].intc_opaque, 0xfee00100)); /* disabled: the pin is INTR */
    g_assert_true(hard(r, 0));
    g_assert_cmphex(take(r, 0), ==, 12);
    free_rig(r);
}

/* Threads send, the vCPU takes: nothing is lost, and nobody waits for ever. */
enum { SENDERS = 3, ROUNDS = 20000 };

typedef struct {
    Rig *r;
    unsigned n;
    atomic_uint taken;
} Sender;

static gpointer send_thread(gpointer opaque)
{
    Sender *s = opaque;

    for (unsigned i = 0; i < ROUNDS; i++) {
        ApicMessage msg = {.dest = 1, .vector = 0x40 + 0x20 * s->n};

        g_assert_cmpint(apic_deliver(s->r->t->m, &msg), ==, 1);
        while (atomic_load(&s->taken) <= i) {
            g_thread_yield();
        }
    }
    return NULL;
}

static void test_threads(void)
{
    Rig *r = new_rig();
    Sender senders[SENDERS];
    GThread *threads[SENDERS];
    unsigned total = 0;

    enable(r);
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (Sender){.r = r, .n = i};
        threads[i] = g_thread_new("sender", send_thread, &senders[i]);
    }
    while (total < SENDERS * ROUNDS) {
        int v;

        if (!(atomic_load(&r->vcpu[1].requests) & VCPU_REQ_HARD)) {
            g_thread_yield();
            continue;
        }
        v = take(r, 1);
        if (v >= 0) {
            wr(r, 1, EOI, 0);
            /* Nothing may get in, and then it must: the sender and the vCPU look at each other's bits. */
            intc(r, 1)->set_tpr(r->vcpu[1].intc_opaque, 15);
            intc(r, 1)->set_tpr(r->vcpu[1].intc_opaque, 0);
            atomic_fetch_add(&senders[(v - 0x40) / 0x20].taken, 1);
            total++;
        }
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        g_thread_join(threads[i]);
    }
    g_assert_false(hard(r, 1));
    free_rig(r);
}

static void append(void *opaque, const char *text)
{
    g_string_append(opaque, text);
}

static void test_print(void)
{
    Rig *r = new_rig();
    g_autoptr(GString) s = g_string_new(NULL);

    enable(r);
    apic_deliver_msi(r->t->m, 0xfee00000, 0x31);
    g_assert_true(apic_print(&r->vcpu[0], append, s));
    g_assert_nonnull(strstr(s->str, "dumping local APIC state for CPU 0 "));
    g_assert_nonnull(strstr(s->str, "LVT1\t 0x00010000 active-hi edge  masked                      Fixed  (vec 0)\n"));
    g_assert_nonnull(strstr(s->str, "LVTT\t 0x00010000 active-hi edge  masked         one-shot     Fixed  (vec 0)\n"));
    g_assert_nonnull(strstr(s->str, "IRR\t 49 \n"));
    g_assert_nonnull(strstr(s->str, "ISR\t (none)\n"));
    g_string_truncate(s, 0);
    ((const IntctrlOps *)object_iface(OBJECT(r->ioapic)))->print_state(r->ioapic, append, s);
    g_assert_nonnull(strstr(s->str, "  pin 0  0x0000000000010000 dest=0 vec=0   active-hi edge  masked fixed  physical\n"));
    free_rig(r);
}

static void test_fuzz(void)
{
    Rig *r = new_rig();

    for (int i = 0; i < 100000; i++) {
        unsigned cpu = g_test_rand_int_range(0, CPUS), reg = g_test_rand_int_range(0, 0x100) * 16;
        uint32_t value = g_test_rand_int() & g_test_rand_int();

        switch (g_test_rand_int_range(0, 6)) {
        case 0:
            wr(r, cpu, reg, value);
            break;
        case 1:
            rd(r, cpu, reg);
            break;
        case 2:
            wrmsr(r, cpu, 0x800 + reg / 16 % 0x40, g_test_rand_bit() ? value : (uint64_t)value << 32 | value);
            break;
        case 3:
            take(r, cpu);
            break;
        case 4:
            intc(r, cpu)->set_base(r->vcpu[cpu].intc_opaque, 0xfee00000 | (value & 0xd00));
            break;
        default:
            irq_set(device_irq_in(r->ioapic, NULL, value % 24), value >> 8 & 1);
            irq_set(device_irq_in(r->apic[cpu], "lint", value >> 9 & 1), value >> 10 & 1);
        }
        if (i % 1000 == 0) {
            devtest_step(r->t, value % 1000000);
            devtest_reload(r->t);
        }
    }
    devtest_fuzz(r->t, &(DevTestFuzz){.mem_base = IOAPIC_BASE_DEFAULT, .mem_size = 0x50, .rounds = 10000});
    free_rig(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/apic/registers", test_registers);
    g_test_add_func("/apic/priorities", test_priorities);
    g_test_add_func("/apic/destinations", test_destinations);
    g_test_add_func("/apic/modes", test_modes);
    g_test_add_func("/apic/x2apic", test_x2apic);
    g_test_add_func("/apic/timer", test_timer);
    g_test_add_func("/apic/ioapic", test_ioapic);
    g_test_add_func("/apic/extint", test_extint);
    g_test_add_func("/apic/threads", test_threads);
    g_test_add_func("/apic/print", test_print);
    g_test_add_func("/apic/fuzz", test_fuzz);
    return g_test_run();
}
