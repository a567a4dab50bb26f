/* The interval timer and the speaker port as devices: interrupt 0 in time, and the ports. */
#include "hw/timer/i8254.h"

#include "hw/timer/i8254.gen.h"
#include "tests/devtest.h"

typedef struct {
    DevTest *t;
    Device *pit;
    Irq *out;
    unsigned rises, level;
} Rig;

static void set_line(void *opaque, int n, int level)
{
    Rig *r = opaque;

    r->rises += level && !r->level;
    r->level = level;
}

static Rig *new_rig(void)
{
    Rig *r = g_new0(Rig, 1);
    Device *spk;

    r->t = devtest_new(&qclass_isa_pit, &qclass_isa_pcspk);
    r->pit = devtest_add(r->t, "isa-pit", NULL);
    r->out = irq_new(set_line, r, 0);
    device_connect_irq_out(r->pit, NULL, 0, r->out);
    spk = device_create(r->t->m, "isa-pcspk", BUS(r->t->isa), NULL, NULL, &error_abort, NULL);
    pcspk_connect(spk, r->pit);
    device_realize(spk, &error_abort);
    return r;
}

static void free_rig(Rig *r)
{
    devtest_free(r->t);
    irq_free(r->out);
    g_free(r);
}

static void program(Rig *r, unsigned control, unsigned count)
{
    devtest_outb(r->t, 0x43, control);
    devtest_outb(r->t, 0x40, count);
    devtest_outb(r->t, 0x40, count >> 8);
}

static void test_periodic(void)
{
    for (unsigned mode = 2; mode <= 3; mode++) {
        Rig *r = new_rig();
        unsigned before;

        program(r, 0x30 | mode << 1, 11932); /* 100 Hz */
        before = r->rises;
        devtest_step(r->t, 1000000000);
        g_assert_cmpint(r->rises - before, >=, 99);
        g_assert_cmpint(r->rises - before, <=, 100);
        devtest_reload(r->t);
        devtest_step(r->t, 500000000);
        g_assert_cmpint(r->rises - before, >=, 149);
        g_assert_cmpint(r->rises - before, <=, 150);
        free_rig(r);
    }
}

static void test_one_shot(void)
{
    Rig *r = new_rig();

    program(r, 0x30, 1000); /* mode 0: about 838 us */
    g_assert_cmpint(r->level, ==, 0);
    devtest_step(r->t, 838000);
    g_assert_cmpint(r->level, ==, 0);
    devtest_step(r->t, 2000);
    g_assert_cmpint(r->level, ==, 1);
    r->rises = 0;
    devtest_step(r->t, 1000000000);
    g_assert_cmpint(r->rises, ==, 0);
    program(r, 0x38, 1000); /* mode 4: a strobe */
    r->rises = 0;
    devtest_step(r->t, 1000000);
    g_assert_cmpint(r->rises, ==, 1);
    free_rig(r);
}

/* Time that passes in one piece is still all there: the host was away. */
static void test_late(void)
{
    Rig *r = new_rig();

    program(r, 0x34, 11932);
    r->rises = 0;
    machine_unlock(r->t->m);
    clock_group_set(&r->t->m->clocks, devtest_now(r->t) + INT64_C(3600) * 1000000000);
    clock_run_timers(&r->t->m->clocks.clocks[CLOCK_VIRTUAL_NS]);
    machine_lock(r->t->m);
    g_assert_cmpint(r->rises, ==, 1);
    free_rig(r);
}

/* The fastest a guest can program: 596 kHz. One second must not take longer than that. */
static void test_fast(void)
{
    Rig *r = new_rig();
    int64_t start = g_get_monotonic_time();

    program(r, 0x34, 2);
    r->rises = 0;
    devtest_step(r->t, 1000000000);
    g_assert_cmpint(r->rises, >, 1000);
    g_assert_cmpint(r->rises, <=, 50001);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 5000000);
    free_rig(r);
}

static void test_ports(void)
{
    Rig *r = new_rig();
    unsigned toggles = 0, last = 0;

    devtest_script(r->t, "outb 0x43 0xb4; outb 0x42 0x34; outb 0x42 0x12;" /* counter 2, mode 2: its gate is low */
                         "step 1000000; outb 0x43 0x80; inb 0x42 = 0x34; inb 0x42 = 0x12;"
                         "inb 0x61 = 0x20 & 0xef; outb 0x61 3; inb 0x61 = 0x23 & 0xef; step 1000000;"
                         "outb 0x43 0xe8; inb 0x42 = 0xb4;" /* read back: status of counter 2 */
                         "outb 0x43 0x80; inb 0x42 = 0x80 & 0xf0; inb 0x42 = 0x0d;"
                         "inb 0x43 = 0xff");
    for (int i = 0; i < 1000; i++) {
        unsigned now = devtest_inb(r->t, 0x61) & 0x10;

        toggles += now != last;
        last = now;
        devtest_step(r->t, 1000);
    }
    g_assert_cmpint(toggles, >=, 64); /* every 15.085 us */
    g_assert_cmpint(toggles, <=, 68);
    free_rig(r);
}

static void test_disabled(void)
{
    Rig *r = new_rig();
    Irq *taken = device_irq_in(r->pit, NULL, 0);

    program(r, 0x34, 11932);
    irq_raise(taken);
    g_assert_cmpint(r->level, ==, 0);
    r->rises = 0;
    devtest_step(r->t, 100000000);
    g_assert_cmpint(r->rises, ==, 0);
    irq_lower(taken);
    r->rises = 0;
    devtest_step(r->t, 100000000);
    g_assert_cmpint(r->rises, >=, 9);
    free_rig(r);
}

static void test_fuzz(void)
{
    Rig *r = new_rig();

    devtest_fuzz(r->t, &(DevTestFuzz){.io_base = 0x40, .io_size = 4});
    devtest_fuzz(r->t, &(DevTestFuzz){.io_base = 0x61, .io_size = 1, .rounds = 1000});
    free_rig(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/i8254/periodic", test_periodic);
    g_test_add_func("/i8254/one-shot", test_one_shot);
    g_test_add_func("/i8254/late", test_late);
    g_test_add_func("/i8254/fast", test_fast);
    g_test_add_func("/i8254/ports", test_ports);
    g_test_add_func("/i8254/disabled", test_disabled);
    g_test_add_func("/i8254/fuzz", test_fuzz);
    return g_test_run();
}
