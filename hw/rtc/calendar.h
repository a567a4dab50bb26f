/* Proleptic Gregorian calendar, without zones and leap seconds; years -9999 to 99999. */
#ifndef HW_RTC_CALENDAR_H
#define HW_RTC_CALENDAR_H

#include <stdint.h>

typedef struct {
    int64_t year;
    int month, day;             /* from 1 */
    int hour, minute, second;
    int weekday;                /* 0: Sunday; not read by calendar_seconds */
} Calendar;

Calendar calendar_from_seconds(int64_t seconds_since_1970);
/* Members out of their range count on into the next. */
int64_t calendar_seconds(const Calendar *c);

#endif
