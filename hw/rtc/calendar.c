/*
 * Days are counted in years that begin in March, so that the leap day is the last of one; 400 years are 146097 days.
 */
#include "hw/rtc/calendar.h"

enum {
    DAYS_400Y = 146097,
    DAYS_100Y = 36524,
    DAYS_4Y = 1461,
    DAYS_TO_1970 = 719468, /* from 1 March of year 0 */
    DAY_SECONDS = 86400,
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days from 1 March to the first day of each month, from March on. */
static const int16_t month_start[12] = {0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337};

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

int64_t calendar_seconds(const Calendar *c)
{
    int64_t months = c->year * 12 + c->month - 3, year = floor_div(months, 12), days;
    int m = months - year * 12;

    days = year * 365 + floor_div(year, 4) - floor_div(year, 100) + floor_div(year, 400) + month_start[m] + c->day - 1;
    return (days - DAYS_TO_1970) * DAY_SECONDS + c->hour * 3600 + c->minute * 60 + c->second;
}

Calendar calendar_from_seconds(int64_t seconds)
{
    int64_t days = floor_div(seconds, DAY_SECONDS) + DAYS_TO_1970, era = floor_div(days, DAYS_400Y);
    int rest = seconds - floor_div(seconds, DAY_SECONDS) * DAY_SECONDS;
    int day = days - era * DAYS_400Y;
    /* The last century of 400 years, and the last year of four, are a day longer than the others. */
    int century = min_int(day / DAYS_100Y, 3), in_century = day - century * DAYS_100Y;
    int four = in_century / DAYS_4Y, in_four = in_century - four * DAYS_4Y;
    int year = min_int(in_four / 365, 3), yday = in_four - year * 365, m = 11;
    Calendar c;

    while (month_start[m] > yday) {
        m--;
    }
    c = (Calendar){
        .month = m < 10 ? m + 3 : m - 9,
        .day = yday - month_start[m] + 1,
        .hour = rest / 3600,
        .minute = rest / 60 % 60,
        .second = rest % 60,
        .weekday = ((days + 3) % 7 + 7) % 7, /* 1 March of year 0 was a Wednesday */
    };

    c.year = era * 400 + century * 100 + four * 4 + year + (c.month <= 2);
    return c;
}
