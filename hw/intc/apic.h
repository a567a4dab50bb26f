/*
 * Local APICs (class `apic`) and how interrupt messages reach them; I/O APIC (class `ioapic`).
 *
 * A board makes one for each vCPU:
 *
 *     Device *d = device_create(m, "apic", NULL, cpu, "lapic", errp, "id", "0", NULL);
 *     apic_connect(d, vcpu);                   // vcpu->intc is the APIC from now on
 *     device_realize(d, errp);
 *     apic_set_pic(m, i8259_acknowledge_fn, pic0);   // what answers INTA for ExtINT
 *     device_connect_irq_out(pic0, NULL, 0, device_irq_in(d, "lint", 0));   // of the boot processor
 *
 * vCPUs reach their APIC by LocalIntc (MSRs, CR8, acceptance) and at 0xfee00000; an access to that page belongs to the vCPU
 * with index MemTxAttrs.requester_id when from_cpu is set, and is an MSI otherwise. Interrupts are pending bits that any thread
 * sets without a lock, followed by vcpu_request(). The rest of an APIC's registers is its vCPU's own.
 */
#ifndef HW_INTC_APIC_H
#define HW_INTC_APIC_H

#include "accel/accel.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"
#include "hw/intc/intctrl.h"

enum {
    APIC_BASE_DEFAULT = 0xfee00000,
    IOAPIC_BASE_DEFAULT = 0xfec00000,
};

/* Delivery modes: SDM vol. 3, 10.6.1; the I/O APIC has the same. */
typedef enum {
    APIC_FIXED, APIC_LOWEST, APIC_SMI, APIC_RESERVED, APIC_NMI, APIC_INIT, APIC_SIPI, APIC_EXTINT,
} ApicDelivery;

typedef struct {
    uint32_t dest;
    bool dest_is_x2;      /* 32-bit ids; else 8 bits, with 0xff for everybody */
    bool logical, level;
    ApicDelivery mode;
    uint8_t vector;
} ApicMessage;

/* vcpu's APIC. Between device_create and device_realize; vcpu outlives it. */
void apic_connect(Device *apic, Vcpu *vcpu);
/* Number of APICs that took it. Any thread. */
unsigned apic_deliver(Machine *m, const ApicMessage *msg);
/* A write of `data` to 0xfeexxxxx: SDM vol. 3, 10.11. Any thread. */
unsigned apic_deliver_msi(Machine *m, uint64_t addr, uint32_t data);

/*
 * Of the machine, kept at the APIC of vCPU 0, which must exist: who answers INTA (under the machine's lock), and who is
 * told of the end of level-triggered interrupts (under the machine's lock). Adding one twice is harmless.
 */
void apic_set_pic(Machine *m, uint8_t (*acknowledge)(Device *pic), Device *pic);
bool apic_add_eoi(Machine *m, void (*eoi)(void *opaque, uint8_t vector), void *opaque);
void apic_del_eoi(Machine *m, void *opaque);

/* info lapic of a vCPU: false when it has no APIC. */
bool apic_print(Vcpu *vcpu, PrintFn *print, void *opaque);
/* The vCPU whose APIC has this id; NULL: none. */
Vcpu *apic_vcpu(Machine *m, int64_t id);

/* The I/O APIC's registers, which the board maps at IOAPIC_BASE_DEFAULT. */
MemoryRegion *ioapic_mmio(Device *ioapic);

#endif
