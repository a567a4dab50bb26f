/*
 * The pair of 8259A interrupt controllers, class `isa-i8259`, as boards wire it:
 *
 *     i8259_cascade(pic0, pic1);                       // slave's INT to input 2 of the master
 *     device_connect_irq_out(pic0, NULL, 0, intr);     // INT of the master: level
 *     device_irq_in(pic0, NULL, 1), device_irq_in(pic1, NULL, 8 - 8) ...   // IRQ 1, IRQ 8
 *
 * Under the machine's lock.
 */
#ifndef HW_INTC_I8259_H
#define HW_INTC_I8259_H

#include "hw/core/device.h"

/* Both realized or not; the slave outlives the master. */
void i8259_cascade(Device *master, Device *slave);
/* The two INTA cycles of a processor: the vector. Call when INT is high; otherwise the default input 7 answers. */
uint8_t i8259_acknowledge(Device *master);

#endif
