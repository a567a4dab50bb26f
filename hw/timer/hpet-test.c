/* The HPET: registers, comparators in both widths and modes, routing, legacy replacement. */
#include "hw/timer/hpet.h"

#include "hw/timer/hpet.gen.h"
#include "tests/devtest.h"

typedef struct {
    DevTest *t;
    Device *hpet;
    Irq *pins[32];
    unsigned rises[32], level[32];
} Rig;

static void set_line(void *opaque, int n, int level)
{
    Rig *r = opaque;

    r->rises[n] += level && !r->level[n];
    r->level[n] = level;
}

static Rig *new_rig(const char *props)
{
    Rig *r = g_new0(Rig, 1);

    r->t = devtest_new(&qclass_hpet);
    r->hpet = devtest_add(r->t, "hpet", props);
    for (int i = 0; i < 32; i++) {
        r->pins[i] = irq_new(set_line, r, i);
        device_connect_irq_out(r->hpet, "sysbus-irq", i, r->pins[i]);
    }
    memory_region_add(r->t->m->memory, HPET_BASE_DEFAULT, hpet_mmio(r->hpet), 1);
    return r;
}

static void free_rig(Rig *r)
{
    devtest_free(r->t);
    for (int i = 0; i < 32; i++) {
        irq_free(r->pins[i]);
    }
    g_free(r);
}

static void test_registers(void)
{
    Rig *r = new_rig("hpet-intcap=4");

    devtest_script(r->t, "readq 0xfed00000 = 0x009896808086a201; readl 0xfed00004 = 10000000;"
                         "readq 0xfed00100 = 0x0000000400000030; readq 0xfed00108 = 0xffffffffffffffff;"
                         "writel 0xfed000f0 1000; writel 0xfed000f4 7; readq 0xfed000f0 = 0x7000003e8;"
                         "writeq 0xfed00010 1; step 10000; readq 0xfed000f0 = 0x7000007d0;"
                         "writeq 0xfed000f0 0; readq 0xfed000f0 = 0x7000007d0;" /* runs: cannot be written */
                         "writeq 0xfed00010 0; step 10000; readq 0xfed000f0 = 0x7000007d0;"
                         "writeq 0xfed00160 0xffffffff; readq 0xfed00160 = 0; writeq 0xfed00100 0xffffffff;"
                         "readq 0xfed00100 = 0x0000000400003f7e; reset; readq 0xfed000f0 = 0");
    free_rig(r);
}

static void test_one_shot(void)
{
    Rig *r = new_rig(NULL);

    devtest_script(r->t, "writeq 0xfed00010 1; writeq 0xfed00108 1000; writeq 0xfed00100 0x2804; step 9990"); /* pin 20 */
    g_assert_cmpint(r->rises[20], ==, 0);
    devtest_reload(r->t);
    devtest_script(r->t, "step 10");
    g_assert_cmpint(r->rises[20], ==, 1);
    devtest_script(r->t, "step 1000000000; readq 0xfed00020 = 0");
    g_assert_cmpint(r->rises[20], ==, 1);
    /* level: stays until the status bit is cleared */
    devtest_script(r->t, "writeq 0xfed00010 0; writeq 0xfed000f0 0; writeq 0xfed00010 1; writeq 0xfed00128 500;"
                         "writeq 0xfed00120 0x2a06; step 5000; readq 0xfed00020 = 2");
    g_assert_cmpint(r->level[21], ==, 1);
    devtest_script(r->t, "writeq 0xfed00020 1; readq 0xfed00020 = 2; writeq 0xfed00020 2; readq 0xfed00020 = 0");
    g_assert_cmpint(r->level[21], ==, 0);
    free_rig(r);
}

static void test_periodic(void)
{
    Rig *r = new_rig(NULL);

    /* As Linux does it: the value with VAL_SET, then the period. */
    devtest_script(r->t, "writeq 0xfed00010 3; writeq 0xfed00100 0x4c; writeq 0xfed00108 100000; writeq 0xfed00108 100000;"
                         "step 999990");
    g_assert_cmpint(r->rises[0], ==, 0);
    devtest_step(r->t, 10);
    g_assert_cmpint(r->rises[0], ==, 1);
    devtest_reload(r->t);
    devtest_step(r->t, 99000000);
    g_assert_cmpint(r->rises[0], ==, 100);
    devtest_script(r->t, "readq 0xfed00108 = 10100000");
    /* 32 bits wide, just before the wrap */
    devtest_script(r->t, "writeq 0xfed00010 0; writeq 0xfed000f0 0xfffffff0; writeq 0xfed00100 0x14c; writel 0xfed00108 0x10;"
                         "writel 0xfed00108 3000; writeq 0xfed00010 1; step 310");
    g_assert_cmpint(r->rises[0], ==, 100);
    devtest_script(r->t, "step 10; readq 0xfed00108 = 3016");
    g_assert_cmpint(r->rises[0], ==, 101);
    free_rig(r);
}

/* A period of one tick is 100 MHz. */
static void test_fast(void)
{
    Rig *r = new_rig(NULL);

    devtest_script(r->t, "writeq 0xfed00010 1; writeq 0xfed00100 0x4c; writeq 0xfed00108 1; writeq 0xfed00108 1; step 1000000000");
    g_assert_cmpint(r->rises[0], >, 100);
    g_assert_cmpint(r->rises[0], <=, 50001);
    free_rig(r);
}

static void test_legacy(void)
{
    Rig *r = new_rig(NULL);
    Irq *pit = device_irq_in(r->hpet, NULL, 0), *rtc = device_irq_in(r->hpet, NULL, 1);

    irq_raise(pit);
    g_assert_cmpint(r->level[0], ==, 1);
    irq_raise(rtc);
    g_assert_cmpint(r->level[8], ==, 1);
    devtest_script(r->t, "writeq 0xfed00010 2");
    g_assert_cmpint(r->level[0] + r->level[8], ==, 0);
    irq_lower(pit);
    irq_raise(pit);
    g_assert_cmpint(r->level[0], ==, 0);
    devtest_script(r->t, "writeq 0xfed00010 3; writeq 0xfed00128 100; writeq 0xfed00120 4; step 1000");
    g_assert_cmpint(r->level[8], ==, 1); /* timer 1 is interrupt 8 */
    devtest_script(r->t, "writeq 0xfed00010 0");
    g_assert_cmpint(r->level[0], ==, 1);
    free_rig(r);
}

static void test_msi(void)
{
    Rig *r = new_rig("msi=on,timers=4");

    devtest_script(r->t, "readq 0xfed00000 = 0xa301 & 0xffff; readl 0xfed00100 = 0x8030; writeq 0xfed00110 0x1234500012345678;"
                         "writeq 0xfed00110 0x0000200012345678; writeq 0xfed00108 100; writeq 0xfed00100 0x4004;"
                         "writeq 0xfed00010 1; step 1000; readl 0x2000 = 0x12345678");
    free_rig(r);
}

static void test_fuzz(void)
{
    Rig *r = new_rig("timers=5,msi=on");

    devtest_fuzz(r->t, &(DevTestFuzz){.mem_base = HPET_BASE_DEFAULT, .mem_size = 0x400, .rounds = 20000});
    free_rig(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hpet/registers", test_registers);
    g_test_add_func("/hpet/one-shot", test_one_shot);
    g_test_add_func("/hpet/periodic", test_periodic);
    g_test_add_func("/hpet/fast", test_fast);
    g_test_add_func("/hpet/legacy", test_legacy);
    g_test_add_func("/hpet/msi", test_msi);
    g_test_add_func("/hpet/fuzz", test_fuzz);
    return g_test_run();
}
