/*
 * The 8254 interval timer, class `isa-pit`, as other devices and boards use it.
 *
 * Output NULL 0: interrupt 0. Input NULL 0: while high, the HPET has taken interrupt 0 (legacy replacement).
 * Under the machine's lock.
 */
#ifndef HW_TIMER_I8254_H
#define HW_TIMER_I8254_H

#include "hw/core/device.h"

enum { PIT_HZ = 1193182 };

void pit_set_gate(Device *pit, unsigned channel, bool level);
bool pit_get_gate(Device *pit, unsigned channel);
bool pit_get_out(Device *pit, unsigned channel);
/* Clock ticks since virtual time 0. */
int64_t pit_ticks(Device *pit);

/* The counter 2 that an isa-pcspk drives. Between its device_create and device_realize. */
void pcspk_connect(Device *pcspk, Device *pit);

#endif
