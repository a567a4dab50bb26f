/* The real-time clock: time through its registers, the three interrupts, catching up. */
#include "hw/rtc/mc146818rtc.h"

#include "hw/rtc/mc146818rtc.gen.h"
#include "tests/devtest.h"

enum { T0 = 1774990799 /* 2026-03-31 20:59:59, a Tuesday */ };

typedef struct {
    DevTest *t;
    Device *rtc;
} Rig;

static Rig new_rig(const char *policy)
{
    Rig r = {.t = devtest_new(&qclass_mc146818rtc)};

    r.rtc = device_create(r.t->m, "mc146818rtc", BUS(r.t->isa), NULL, NULL, &error_abort, "base_year", "2000",
                          "lost_tick_policy", policy, NULL);
    mc146818rtc_set_clock(r.rtc, CLOCK_VIRTUAL_NS);
    device_realize(r.rtc, &error_abort);
    object_reset(OBJECT(r.rtc), OBJECT_COLD_RESET);
    mc146818rtc_set_time(r.rtc, T0);
    return r;
}

static unsigned rd(Rig *r, unsigned reg)
{
    devtest_outb(r->t, 0x70, reg);
    return devtest_inb(r->t, 0x71);
}

static void wr(Rig *r, unsigned reg, unsigned value)
{
    devtest_outb(r->t, 0x70, reg);
    devtest_outb(r->t, 0x71, value);
}

static void assert_time(Rig *r, const char *want)
{
    g_autofree char *got = g_strdup_printf("%02x%02x-%02x-%02x %x %02x:%02x:%02x", rd(r, 0x32), rd(r, 9), rd(r, 8), rd(r, 7),
                                           rd(r, 6), rd(r, 4), rd(r, 2), rd(r, 0));

    g_assert_cmpstr(got, ==, want);
}

static void test_time(void)
{
    Rig r = new_rig(NULL);

    assert_time(&r, "2026-03-31 3 20:59:59");
    devtest_step(r.t, 1000000000);
    assert_time(&r, "2026-03-31 3 21:00:00");
    devtest_step(r.t, INT64_C(3 * 3600) * 1000000000);
    assert_time(&r, "2026-04-01 4 00:00:00");
    wr(&r, 0xb, 0x06); /* binary */
    g_assert_cmpint(rd(&r, 9), ==, 26);
    g_assert_cmpint(rd(&r, 0x37), ==, 20);
    wr(&r, 0xb, 0x00); /* BCD, 12 hours */
    g_assert_cmphex(rd(&r, 4), ==, 0x12);
    devtest_step(r.t, INT64_C(13 * 3600) * 1000000000);
    g_assert_cmphex(rd(&r, 4), ==, 0x81);
    wr(&r, 0xb, 0x02);
    devtest_reload(r.t);
    assert_time(&r, "2026-04-01 4 13:00:00");
    g_assert_cmphex(rd(&r, 0xd), ==, 0x80);
    devtest_free(r.t);
}

static void test_set(void)
{
    Rig r = new_rig(NULL);

    wr(&r, 0xb, 0x82); /* SET: stands */
    devtest_step(r.t, INT64_C(10) * 1000000000);
    assert_time(&r, "2026-03-31 3 20:59:59");
    wr(&r, 0, 0x30);
    wr(&r, 2, 0x15);
    wr(&r, 4, 0x08);
    wr(&r, 7, 0x29);
    wr(&r, 8, 0x02);
    wr(&r, 9, 0x28);
    devtest_reload(r.t);
    wr(&r, 0xb, 0x02);
    g_assert_cmpint(mc146818rtc_get_time(r.rtc), ==, 1835424930); /* date -u -d '2028-02-29 08:15:30' +%s */
    assert_time(&r, "2028-02-29 3 08:15:30");
    devtest_step(r.t, INT64_C(86400) * 1000000000);
    assert_time(&r, "2028-03-01 4 08:15:30");
    wr(&r, 4, 0x09); /* while it runs */
    assert_time(&r, "2028-03-01 4 09:15:30");
    wr(&r, 0xa, 0x76); /* divider reset */
    devtest_step(r.t, INT64_C(5) * 1000000000);
    wr(&r, 0xa, 0x26);
    devtest_step(r.t, 499000000); /* first update half a second later */
    assert_time(&r, "2028-03-01 4 09:15:30");
    devtest_step(r.t, 1100000);
    assert_time(&r, "2028-03-01 4 09:15:31");
    devtest_free(r.t);
}

static void test_uip(void)
{
    Rig r = new_rig(NULL);

    devtest_step(r.t, 999000000 - devtest_now(r.t) % 1000000000);
    g_assert_cmphex(rd(&r, 0xa), ==, 0x26);
    devtest_step(r.t, 800000);
    g_assert_cmphex(rd(&r, 0xa), ==, 0xa6);
    devtest_step(r.t, 200000);
    g_assert_cmphex(rd(&r, 0xa), ==, 0x26);
    devtest_free(r.t);
}

static void count(void *opaque, int n, int level)
{
    *(unsigned *)opaque += level;
}

/* The output that wakes a machine up: once an alarm, also while its flag was not read; only when it is enabled. */
static void test_alarm_output(void)
{
    Rig r = new_rig("discard");
    unsigned alarms = 0;
    Irq *irq = irq_new(count, &alarms, 0);

    device_connect_irq_out(r.rtc, "alarm", 0, irq);
    wr(&r, 1, 0xff); /* every second */
    wr(&r, 3, 0xff);
    wr(&r, 5, 0xff);
    devtest_step(r.t, 3000000000);
    rd(&r, 0x0c);
    g_assert_cmpuint(alarms, ==, 0);
    wr(&r, 0x0b, 0x22);
    devtest_step(r.t, 3000000000);
    g_assert_cmpuint(alarms, ==, 3);
    device_connect_irq_out(r.rtc, "alarm", 0, NULL);
    irq_free(irq);
    devtest_free(r.t);
}

static void test_update_and_alarm(void)
{
    Rig r = new_rig(NULL);

    rd(&r, 0xc);
    devtest_step(r.t, 1000000000);
    g_assert_cmphex(rd(&r, 0xc) & 0xb0, ==, 0x10); /* flags without interrupts */
    wr(&r, 0xb, 0x12);
    devtest_step(r.t, 1000000000);
    g_assert_cmpint(devtest_irq(r.t, 8), ==, 1);
    g_assert_cmphex(rd(&r, 0xc) & 0xb0, ==, 0x90);
    g_assert_cmpint(devtest_irq(r.t, 8), ==, 0);
    g_assert_cmphex(rd(&r, 0xc), ==, 0);
    wr(&r, 1, 0x10); /* 21:03:10 */
    wr(&r, 3, 0x03);
    wr(&r, 5, 0x21);
    wr(&r, 0xb, 0x22);
    devtest_step(r.t, INT64_C(188) * 1000000000); /* it is 21:00:01 */
    g_assert_cmpint(devtest_irq(r.t, 8), ==, 0);
    devtest_reload(r.t);
    devtest_step(r.t, INT64_C(1) * 1000000000);
    g_assert_cmpint(devtest_irq(r.t, 8), ==, 1);
    g_assert_cmphex(rd(&r, 0xc) & 0xa0, ==, 0xa0);
    devtest_step(r.t, INT64_C(86399) * 1000000000);
    g_assert_cmpint(devtest_irq(r.t, 8), ==, 0);
    devtest_step(r.t, INT64_C(1) * 1000000000);
    g_assert_cmpint(devtest_irq(r.t, 8), ==, 1);
    rd(&r, 0xc);
    wr(&r, 5, 0xff); /* every hour */
    r.t->isa_lines[8].rises = 0;
    for (int i = 0; i < 5; i++) {
        devtest_step(r.t, INT64_C(3600) * 1000000000);
        g_assert_cmphex(rd(&r, 0xc) & 0xa0, ==, 0xa0);
    }
    g_assert_cmpint(r.t->isa_lines[8].rises, ==, 5);
    wr(&r, 3, 0x77); /* never */
    devtest_step(r.t, INT64_C(200000) * 1000000000);
    g_assert_cmpint(devtest_irq(r.t, 8), ==, 0);
    devtest_free(r.t);
}

static void test_periodic(void)
{
    Rig r = new_rig(NULL);

    wr(&r, 0xb, 0x42); /* 1024 Hz */
    rd(&r, 0xc);
    r.t->isa_lines[8].rises = 0;
    for (int i = 0; i < 1024 * 4; i++) {
        devtest_step(r.t, 1000000000 / 1024 / 4 + (i % 4 == 3));
        if (devtest_irq(r.t, 8)) {
            rd(&r, 0xc);
        }
    }
    g_assert_cmpint(r.t->isa_lines[8].rises, >=, 1023);
    g_assert_cmpint(r.t->isa_lines[8].rises, <=, 1025);
    devtest_step(r.t, 1000000000); /* nobody reads: one interrupt, and none owed */
    rd(&r, 0xc);
    g_assert_cmpint(devtest_irq(r.t, 8), ==, 0);
    devtest_free(r.t);
}

/* slew: all interrupts reach a guest that was away. */
static void test_slew(void)
{
    Rig r = new_rig("slew");
    unsigned taken = 0;

    wr(&r, 0xa, 0x2a); /* 64 Hz */
    wr(&r, 0xb, 0x42);
    rd(&r, 0xc);
    devtest_step(r.t, 1000000000);
    for (int i = 0; i < 4000; i++) {
        devtest_step(r.t, 1000000);
        if (devtest_irq(r.t, 8)) {
            rd(&r, 0xc);
            taken++;
        }
    }
    g_assert_cmpint(taken, >=, 5 * 64 - 2);
    g_assert_cmpint(taken, <=, 5 * 64 + 1);
    devtest_free(r.t);
}

static void test_cmos(void)
{
    Rig r = new_rig(NULL);
    g_autofree char *error = NULL;

    mc146818rtc_set_cmos(r.rtc, 0x3d, 0x21);
    g_assert_cmphex(rd(&r, 0x3d), ==, 0x21);
    wr(&r, 0x5a, 0x99);
    devtest_reset(r.t, OBJECT_WARM_RESET);
    devtest_reset(r.t, OBJECT_COLD_RESET);
    g_assert_cmphex(mc146818rtc_get_cmos(r.rtc, 0x5a), ==, 0x99);
    assert_time(&r, "2026-03-31 3 20:59:59");
    g_assert_cmphex(rd(&r, 0x80 | 0x5a), ==, 0x99); /* bit 7 is the NMI mask */
    error = devtest_add_error(r.t, "mc146818rtc", "lost_tick_policy=delay");
    g_assert_nonnull(strstr(error, "'discard' or 'slew'"));
    devtest_free(r.t);
}

/* The clock can be chosen late; time goes on from what it shows. */
static void test_clock(void)
{
    Rig r = new_rig(NULL);
    int64_t before = g_get_real_time() / G_USEC_PER_SEC, now;

    mc146818rtc_set_clock(r.rtc, CLOCK_HOST_NS);
    assert_time(&r, "2026-03-31 3 20:59:59");
    devtest_step(r.t, INT64_C(5000000000)); /* virtual time is not its time any more */
    now = mc146818rtc_get_time(r.rtc);
    g_assert_cmpint(now - T0, <=, g_get_real_time() / G_USEC_PER_SEC - before + 1);
    mc146818rtc_set_clock(r.rtc, CLOCK_VIRTUAL_NS);
    wr(&r, 0xb, 0x12);
    rd(&r, 0xc);
    devtest_step(r.t, INT64_C(5000000000));
    g_assert_cmpint(mc146818rtc_get_time(r.rtc), >=, now + 5);
    g_assert_cmpint(devtest_irq(r.t, 8), ==, 1);
    devtest_free(r.t);
}

static void test_fuzz(void)
{
    Rig r = new_rig("slew");

    devtest_fuzz(r.t, &(DevTestFuzz){.io_base = 0x70, .io_size = 2, .rounds = 30000, .max_step = INT64_C(20000000000)});
    devtest_free(r.t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rtc/time", test_time);
    g_test_add_func("/rtc/set", test_set);
    g_test_add_func("/rtc/uip", test_uip);
    g_test_add_func("/rtc/update-and-alarm", test_update_and_alarm);
    g_test_add_func("/rtc/alarm-output", test_alarm_output);
    g_test_add_func("/rtc/periodic", test_periodic);
    g_test_add_func("/rtc/slew", test_slew);
    g_test_add_func("/rtc/cmos", test_cmos);
    g_test_add_func("/rtc/clock", test_clock);
    g_test_add_func("/rtc/fuzz", test_fuzz);
    return g_test_run();
}
