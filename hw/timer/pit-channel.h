/*
 * One counter of the 8254 as a function of time: every answer is computed from when it was loaded, nothing ticks. Times
 * are clock ticks, never before the last one given. Data sheet: Intel 231164-005.
 */
#ifndef HW_TIMER_PIT_CHANNEL_H
#define HW_TIMER_PIT_CHANNEL_H

#include "hw/timer/i8254.gen.h"

/*
 * Takes up what happened until `tick`: a new count that was written goes into force after the running period. Ask for
 * pit_channel_last_rise before. The guest's accesses below do it first.
 */
void pit_channel_sync(PitChannel *c, int64_t tick);
bool pit_channel_out(const PitChannel *c, int64_t tick);
/* The counting element, in BCD if it counts so. */
uint16_t pit_channel_count(const PitChannel *c, int64_t tick);
/* Latest rising edge of the output at or before `tick`; -1: none since it was loaded. */
int64_t pit_channel_last_rise(const PitChannel *c, int64_t tick);
/* First change of the output after `tick`, as far as an interrupt controller cares: pulses of one tick count once. -1: none. */
int64_t pit_channel_next(const PitChannel *c, int64_t tick);

/* Guest's accesses. now: pit_ticks(). */
void pit_channel_control(PitChannel *c, uint8_t control, int64_t now);
void pit_channel_write(PitChannel *c, uint8_t value, int64_t now);
uint8_t pit_channel_read(PitChannel *c, int64_t now);
void pit_channel_latch_count(PitChannel *c, int64_t now);
void pit_channel_latch_status(PitChannel *c, int64_t now);
void pit_channel_set_gate(PitChannel *c, bool level, int64_t now);

#endif
