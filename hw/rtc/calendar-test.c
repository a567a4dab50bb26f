/* The calendar against the C library's. */
#include "hw/rtc/calendar.h"

#include <glib.h>
#include <time.h>

static void check(int64_t seconds)
{
    Calendar c = calendar_from_seconds(seconds);
    time_t t = seconds;
    struct tm tm;

    g_assert_nonnull(gmtime_r(&t, &tm));
    g_assert_cmpint(c.year, ==, tm.tm_year + 1900);
    g_assert_cmpint(c.month, ==, tm.tm_mon + 1);
    g_assert_cmpint(c.day, ==, tm.tm_mday);
    g_assert_cmpint(c.hour, ==, tm.tm_hour);
    g_assert_cmpint(c.minute, ==, tm.tm_min);
    g_assert_cmpint(c.second, ==, tm.tm_sec);
    g_assert_cmpint(c.weekday, ==, tm.tm_wday);
    g_assert_cmpint(calendar_seconds(&c), ==, seconds);
}

static void test_days(void)
{
    for (int64_t day = -800000; day < 800000; day++) {
        check(day * 86400 + (day & 1 ? 86399 : 0));
    }
}

static void test_random(void)
{
    for (int i = 0; i < 100000; i++) {
        check(g_test_rand_int() * 60LL + g_test_rand_int_range(0, 60));
    }
}

/* What a guest may write into the registers: members out of range count on, as timegm does it. */
static void test_overflow(void)
{
    for (int i = 0; i < 100000; i++) {
        Calendar c = {
            .year = g_test_rand_int_range(0, 25600), .month = g_test_rand_int_range(0, 256),
            .day = g_test_rand_int_range(0, 256), .hour = g_test_rand_int_range(0, 256),
            .minute = g_test_rand_int_range(0, 256), .second = g_test_rand_int_range(0, 256),
        };
        struct tm tm = {
            .tm_year = c.year - 1900, .tm_mon = c.month - 1, .tm_mday = c.day, .tm_hour = c.hour, .tm_min = c.minute,
            .tm_sec = c.second,
        };

        g_assert_cmpint(calendar_seconds(&c), ==, timegm(&tm));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/calendar/days", test_days);
    g_test_add_func("/calendar/random", test_random);
    g_test_add_func("/calendar/overflow", test_overflow);
    return g_test_run();
}
