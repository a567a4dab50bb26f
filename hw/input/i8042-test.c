/* The keyboard controller through its ports, as firmware and kernels use it, and port 92h. */
#include "hw/input/i8042.gen.h"
#include "tests/devtest.h"
#include "ui/input.h"

typedef struct {
    DevTest *t;
    Device *kbc, *port92;
    InputHub *hub;
    Irq *a20, *a20_92;
    int level, level_92;
} Rig;

static void set_level(void *opaque, int n, int level)
{
    *(int *)opaque = level;
}

static Rig *new_rig(void)
{
    Rig *r = g_new0(Rig, 1);

    r->t = devtest_new(&qclass_i8042, &qclass_port92, &qclass_input_hub);
    r->kbc = devtest_add(r->t, "i8042", NULL);
    r->port92 = devtest_add(r->t, "port92", NULL);
    r->a20 = irq_new(set_level, &r->level, 0);
    r->a20_92 = irq_new(set_level, &r->level_92, 0);
    device_connect_irq_out(r->kbc, "a20", 0, r->a20);
    device_connect_irq_out(r->port92, "a20", 0, r->a20_92);
    r->hub = input_hub(r->t->tree, &error_abort);
    devtest_reset(r->t, OBJECT_COLD_RESET);
    return r;
}

static void free_rig(Rig *r)
{
    devtest_free(r->t);
    irq_free(r->a20);
    irq_free(r->a20_92);
    g_free(r);
}

static void test_controller(void)
{
    Rig *r = new_rig();

    g_assert_cmpint(r->level, ==, 1); /* A20 is on */
    devtest_script(r->t, "inb 0x64 = 0x18; outb 0x64 0xaa; inb 0x64 = 0x1d; inb 0x60 = 0x55; inb 0x64 = 0x1c;"
                         "outb 0x64 0xab; inb 0x60 = 0; outb 0x64 0xa9; inb 0x60 = 0;"
                         "outb 0x64 0x20; inb 0x60 = 7; outb 0x64 0x60; outb 0x60 0x30; outb 0x64 0x20; inb 0x60 = 0x30;"
                         "outb 0x64 0x65; outb 0x60 0x99; outb 0x64 0x25; inb 0x60 = 0x99;"
                         "outb 0x64 0xc0; inb 0x60 = 0x80; outb 0x64 0xd0; inb 0x60 = 0xcf & 0xcf;"
                         "outb 0x64 0xd2; outb 0x60 0x77; inb 0x64 = 0x11; inb 0x60 = 0x77;"
                         "outb 0x64 0xd3; outb 0x60 0x78; inb 0x64 = 0x31; inb 0x60 = 0x78; inb 0x64 = 0x10;"
                         "outb 0x64 0xa8; outb 0x64 0xae; outb 0x64 0x20; inb 0x60 = 0");
    devtest_script(r->t, "outb 0x64 0xdd");
    g_assert_cmpint(r->level, ==, 0);
    devtest_script(r->t, "outb 0x64 0xd1; outb 0x60 0xdf");
    g_assert_cmpint(r->level, ==, 1);
    g_assert_cmpint(r->t->resets, ==, 0);
    devtest_script(r->t, "outb 0x64 0xfe");
    g_assert_cmpint(r->t->resets, ==, 1);
    devtest_script(r->t, "outb 0x64 0xff");
    g_assert_cmpint(r->t->resets, ==, 1);
    free_rig(r);
}

static void test_keyboard(void)
{
    Rig *r = new_rig();

    devtest_script(r->t, "irq 1 = 0; outb 0x60 0xff; irq 1 = 1; inb 0x60 = 0xfa; irq 1 = 1; rises 1 = 2; inb 0x60 = 0xaa; irq 1 = 0;"
                         "outb 0x60 0xf2; inb 0x60 = 0xfa; inb 0x60 = 0xab; inb 0x60 = 0x83");
    input_key(r->hub, Q_KEY_CODE_A, true); /* as it is: set 2 */
    devtest_script(r->t, "irq 1 = 1; inb 0x60 = 0x1c");
    input_key(r->hub, Q_KEY_CODE_A, false);
    devtest_reload(r->t);
    devtest_script(r->t, "inb 0x60 = 0xf0; inb 0x60 = 0x1c; irq 1 = 0; outb 0x64 0x60; outb 0x60 0x41"); /* translated */
    input_key(r->hub, Q_KEY_CODE_RIGHT, true);
    input_key(r->hub, Q_KEY_CODE_RIGHT, false);
    devtest_script(r->t, "inb 0x60 = 0xe0; inb 0x60 = 0x4d; inb 0x60 = 0xe0; inb 0x60 = 0xcd; inb 0x64 = 0x10;"
                         "outb 0x60 0xf2; inb 0x60 = 0xfa; inb 0x60 = 0xab; inb 0x60 = 0x41;" /* the id too */
                         "outb 0x64 0xad");
    input_key(r->hub, Q_KEY_CODE_B, true); /* waits in the keyboard */
    devtest_script(r->t, "irq 1 = 0; inb 0x64 = 0x18; outb 0x64 0xae; irq 1 = 1; inb 0x60 = 0x30");
    devtest_script(r->t, "outb 0x64 0x60; outb 0x60 0x40"); /* no interrupt */
    input_key(r->hub, Q_KEY_CODE_C, true);
    g_assert_true(input_key_is_down(r->hub, Q_KEY_CODE_C));
    devtest_script(r->t, "irq 1 = 0; inb 0x64 = 0x11; inb 0x60 = 0x2e");
    input_release_keys(r->hub);
    devtest_script(r->t, "inb 0x60 = 0xae; inb 0x60 = 0xb0; inb 0x64 = 0x10");
    free_rig(r);
}

static void test_mouse(void)
{
    Rig *r = new_rig();

    devtest_script(r->t, "outb 0x64 0xd4; outb 0x60 0xf4; irq 12 = 1; irq 1 = 0; inb 0x64 = 0x31; inb 0x60 = 0xfa; irq 12 = 0");
    input_motion(r->hub, INPUT_AXIS_X, 3);
    input_motion(r->hub, INPUT_AXIS_Y, -4);
    input_button(r->hub, INPUT_BUTTON_RIGHT, true);
    devtest_script(r->t, "irq 12 = 0");
    input_sync(r->hub);
    devtest_script(r->t, "irq 12 = 1; inb 0x60 = 0x0a; irq 12 = 1; inb 0x60 = 3; inb 0x60 = 4; irq 12 = 0");
    input_button(r->hub, INPUT_BUTTON_RIGHT, false);
    input_key(r->hub, Q_KEY_CODE_A, true);
    input_sync(r->hub);
    devtest_script(r->t, "irq 1 = 1; irq 12 = 0; inb 0x60 = 0x1c; irq 1 = 0; irq 12 = 1; inb 0x60 = 8; inb 0x60 = 0; inb 0x60 = 0");
    free_rig(r);
}

static void test_port92(void)
{
    Rig *r = new_rig();

    devtest_script(r->t, "outb 0x92 2; inb 0x92 = 2");
    g_assert_cmpint(r->level_92, ==, 1);
    devtest_script(r->t, "outb 0x92 0");
    g_assert_cmpint(r->level_92, ==, 0);
    devtest_script(r->t, "outb 0x92 1; outb 0x92 1"); /* the edge resets */
    g_assert_cmpint(r->t->resets, ==, 1);
    free_rig(r);
}

static void test_fuzz(void)
{
    Rig *r = new_rig();

    for (int i = 0; i < 100; i++) {
        for (int k = 0; k < 20; k++) {
            input_key(r->hub, g_test_rand_int_range(0, Q_KEY_CODE__COUNT), g_test_rand_bit());
            input_motion(r->hub, k & 1, g_test_rand_int());
            input_button(r->hub, g_test_rand_int_range(0, INPUT_BUTTON__COUNT), g_test_rand_bit());
            input_sync(r->hub);
        }
        devtest_fuzz(r->t, &(DevTestFuzz){.io_base = 0x60, .io_size = 5, .rounds = 200});
    }
    free_rig(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/i8042/controller", test_controller);
    g_test_add_func("/i8042/keyboard", test_keyboard);
    g_test_add_func("/i8042/mouse", test_mouse);
    g_test_add_func("/i8042/port92", test_port92);
    g_test_add_func("/i8042/fuzz", test_fuzz);
    return g_test_run();
}
