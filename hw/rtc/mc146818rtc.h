/*
 * The real-time clock, class `mc146818rtc`, as boards set it up. Under the machine's lock. Output "alarm": pulses when an alarm
 * that the guest has enabled is due, whether or not it still has to take an earlier interrupt.
 */
#ifndef HW_RTC_MC146818RTC_H
#define HW_RTC_MC146818RTC_H

#include "hw/core/device.h"

/* The clock it runs by (-rtc clock=): CLOCK_HOST_NS unless said. Before or after realize; the time shown stays. */
void mc146818rtc_set_clock(Device *rtc, ClockKind kind);
/* What time it shows now: seconds since 1970 as the guest's calendar (-rtc base=). Realized only. No event. */
void mc146818rtc_set_time(Device *rtc, int64_t seconds);
int64_t mc146818rtc_get_time(Device *rtc);
/* Registers 0x0e..0x7f, which boards fill for the firmware. */
void mc146818rtc_set_cmos(Device *rtc, uint8_t index, uint8_t value);
uint8_t mc146818rtc_get_cmos(Device *rtc, uint8_t index);

#endif
