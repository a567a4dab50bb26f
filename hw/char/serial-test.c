/* The 16550A, the parallel port and the debug console through their ports, with a chardev whose other end is the test. */
#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chardev/chardev.h"
#include "hw/char/debugcon.gen.h"
#include "hw/char/parallel.gen.h"
#include "hw/char/serial.gen.h"
#include "tests/devtest.h"

typedef struct {
    DevTest *t;
    ChardevContext ctx;
    int fd; /* the other end */
} Rig;

static Rig *new_rig(const char *driver, const char *props)
{
    Rig *r = g_new0(Rig, 1);
    int fds[2];
    g_autofree char *number = NULL;
    struct json_object *record = json_object_new_object();

    r->t = devtest_new(&qclass_isa_serial, &qclass_isa_parallel, &qclass_isa_debugcon, &qclass_chardev_socket, &qclass_chardev_null);
    r->ctx = (ChardevContext){
        .tree = r->t->tree, .loop = r->t->loop, .clock = &r->t->m->clocks.clocks[CLOCK_REALTIME_NS],
    };
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), ==, 0);
    r->fd = fds[0];
    number = g_strdup_printf("%d", fds[1]);
    json_object_object_add(record, "fd", json_object_new_string(number));
    machine_unlock(r->t->m);
    chardev_new(&r->ctx, "c0", "socket", record, true, false, &error_abort);
    machine_lock(r->t->m);
    json_object_put(record);
    devtest_add(r->t, driver, props);
    devtest_run_loop(r->t);
    return r;
}

static Rig *new_serial(void)
{
    return new_rig("isa-serial", "chardev=c0");
}

static void free_rig(Rig *r)
{
    close(r->fd);
    devtest_free(r->t);
    g_free(r);
}

static void assert_sent(Rig *r, const char *want)
{
    char buf[256] = {0};
    ssize_t n;

    devtest_run_loop(r->t);
    n = read(r->fd, buf, sizeof(buf) - 1);
    g_assert_cmpstr(n < 0 ? "" : buf, ==, want);
}

static void receive(Rig *r, const char *text)
{
    g_assert_cmpint(write(r->fd, text, strlen(text)), ==, (ssize_t)strlen(text));
    devtest_run_loop(r->t);
}

static void test_registers(void)
{
    Rig *r = new_serial();

    devtest_script(r->t, "inb 0x3f9 = 0; inb 0x3fa = 1; inb 0x3fb = 0; inb 0x3fc = 0; inb 0x3fd = 0x60; inb 0x3fe = 0xb0;"
                         "outb 0x3ff 0x5a; inb 0x3ff = 0x5a; outb 0x3f9 0xff; inb 0x3f9 = 15; outb 0x3f9 0;"
                         "outb 0x3fb 0x83; outb 0x3f8 0x34; outb 0x3f9 0x12; inb 0x3f8 = 0x34; inb 0x3f9 = 0x12;"
                         "outb 0x3fb 3; inb 0x3f9 = 0; inb 0x3fa = 1; outb 0x3fa 1; inb 0x3fa = 0xc1; outb 0x3fa 0;"
                         "inb 0x3fa = 1; reset; inb 0x3ff = 0; inb 0x3fb = 0");
    free_rig(r);
}

static void test_transmit(void)
{
    Rig *r = new_serial();

    devtest_script(r->t, "outb 0x3f8 72; outb 0x3f8 105; inb 0x3fd = 0x60");
    assert_sent(r, "Hi");
    /* table III: enabling interrupts with an empty register; reading IIR, and writing, take it away */
    devtest_script(r->t, "irq 4 = 0; outb 0x3f9 2; irq 4 = 1; inb 0x3fa = 2; irq 4 = 0; inb 0x3fa = 1;"
                         "outb 0x3f8 33; irq 4 = 1; rises 4 = 2; outb 0x3f8 33; rises 4 = 3; inb 0x3fa = 2; irq 4 = 0;"
                         "outb 0x3f9 0; outb 0x3f9 2; irq 4 = 1; outb 0x3f9 0; irq 4 = 0");
    assert_sent(r, "!!");
    free_rig(r);
}

static void test_receive(void)
{
    Rig *r = new_serial();

    receive(r, "abc"); /* without FIFOs one after the other */
    devtest_script(r->t, "irq 4 = 0; outb 0x3f9 1; irq 4 = 1; inb 0x3fa = 4; inb 0x3fd = 0x61; inb 0x3f8 = 0x61; irq 4 = 0");
    devtest_run_loop(r->t);
    devtest_script(r->t, "inb 0x3f8 = 0x62");
    devtest_run_loop(r->t);
    devtest_script(r->t, "inb 0x3f8 = 0x63; inb 0x3fd = 0x60");
    /* FIFOs, trigger at 8 */
    devtest_script(r->t, "outb 0x3fa 0x81; irq 4 = 0");
    receive(r, "1234567");
    devtest_script(r->t, "irq 4 = 0; inb 0x3fd = 0x61; inb 0x3fa = 0xc1");
    receive(r, "8");
    devtest_script(r->t, "irq 4 = 1; inb 0x3fa = 0xc4; inb 0x3f8 = 0x31; irq 4 = 0");
    devtest_reload(r->t);
    /* four characters of 10 bits at 9600 bit/s (the divisor after reset is 12): 8 bits with LCR 3 */
    devtest_script(r->t, "outb 0x3fb 3; inb 0x3f8 = 0x32; step 4166000; irq 4 = 0; step 1000; irq 4 = 1; inb 0x3fa = 0xcc;"
                         "inb 0x3f8 = 0x33; irq 4 = 0; step 4167000; irq 4 = 1; outb 0x3fa 0x83; irq 4 = 0; inb 0x3fd = 0x60");
    free_rig(r);
}

/* More than the FIFO holds waits in the chardev; nothing is lost. */
static void test_flow(void)
{
    Rig *r = new_serial();
    g_autoptr(GString) got = g_string_new(NULL);
    char text[1001] = {0};

    for (int i = 0; i < 1000; i++) {
        text[i] = 'a' + i % 26;
    }
    devtest_outb(r->t, 0x3fa, 1);
    receive(r, text);
    for (int idle = 0; idle < 3; idle++) {
        while (devtest_inb(r->t, 0x3fd) & 1) {
            g_string_append_c(got, devtest_inb(r->t, 0x3f8));
            g_assert_false(devtest_inb(r->t, 0x3fd) & 2);
            idle = 0;
        }
        devtest_run_loop(r->t);
    }
    g_assert_cmpstr(got->str, ==, text);
    free_rig(r);
}

/* Nobody reads at the other end: the FIFO fills, and drains when there is room. */
static void test_blocked(void)
{
    Rig *r = new_serial();
    unsigned sent = 0, got = 0, last = 0;
    char buf[65536];
    ssize_t n;

    devtest_outb(r->t, 0x3fa, 1);
    while (devtest_inb(r->t, 0x3fd) & 0x20) {
        devtest_outb(r->t, 0x3f8, sent++);
        g_assert_cmpint(sent, <, 10000000);
    }
    g_assert_cmpint(devtest_inb(r->t, 0x3fd) & 0x60, ==, 0);
    devtest_reload(r->t);
    devtest_outb(r->t, 0x3f9, 2);
    g_assert_cmpint(devtest_irq(r->t, 4), ==, 0);
    do {
        while ((n = read(r->fd, buf, sizeof(buf))) > 0) {
            for (ssize_t i = 0; i < n; i++) {
                g_assert_cmpint((uint8_t)buf[i], ==, (uint8_t)got++);
            }
        }
        last = got;
        devtest_run_loop(r->t);
        n = read(r->fd, buf, 1);
        if (n == 1) {
            g_assert_cmpint((uint8_t)buf[0], ==, (uint8_t)got++);
        }
    } while (got != last);
    g_assert_cmpint(got, ==, sent);
    devtest_script(r->t, "inb 0x3fd = 0x60; irq 4 = 1; inb 0x3fa = 0xc2");
    free_rig(r);
}

static void test_loopback(void)
{
    Rig *r = new_serial();

    /* 8.8: outputs become inputs; OUT1 is RI, of which only the trailing edge counts */
    devtest_script(r->t, "inb 0x3fe; outb 0x3fc 0x1a; inb 0x3fe = 0x92; outb 0x3fc 0x1f; inb 0x3fe = 0xf2; outb 0x3fc 0x10;"
                         "inb 0x3fe = 0x0f; inb 0x3fe = 0;"
                         "outb 0x3f8 0x55; inb 0x3fd = 0x61; inb 0x3f8 = 0x55; inb 0x3fd = 0x60;"
                         "outb 0x3f8 1; outb 0x3f8 2; inb 0x3fd = 0x63; inb 0x3fd = 0x61; inb 0x3f8 = 2;" /* overrun */
                         "outb 0x3f9 12; outb 0x3f8 1; outb 0x3f8 2; irq 4 = 1; inb 0x3fa = 6; inb 0x3fd; irq 4 = 0;"
                         "outb 0x3fc 0x11; irq 4 = 1; inb 0x3fa = 0; inb 0x3fe = 0x22; irq 4 = 0; outb 0x3fc 0; inb 0x3fe = 0xb9");
    assert_sent(r, "");
    free_rig(r);
}

static void test_break(void)
{
    Rig *r = new_serial();
    Chardev *c = chardev_find(r->t->tree, "c0");

    devtest_script(r->t, "outb 0x3fa 0x81; outb 0x3f9 5");
    receive(r, "x");
    machine_unlock(r->t->m);
    chardev_receive_break(c);
    machine_lock(r->t->m);
    receive(r, "y");
    devtest_script(r->t, "irq 4 = 0; inb 0x3fd = 0xe1; inb 0x3f8 = 0x78; irq 4 = 1; inb 0x3fa = 0xc6; inb 0x3fd = 0xf1; irq 4 = 0;"
                         "inb 0x3f8 = 0; inb 0x3fd = 0x61; inb 0x3f8 = 0x79; inb 0x3fd = 0x60");
    free_rig(r);
}

/* COM ports by index, by themselves, and by address. */
static void test_ports(void)
{
    DevTest *t = devtest_new(&qclass_isa_serial);
    g_autofree char *error = NULL, *clash = NULL;
    struct json_object *value;
    Device *second;

    devtest_add(t, "isa-serial", NULL);
    devtest_add(t, "isa-serial", "index=2");
    second = devtest_add(t, "isa-serial", NULL);
    g_assert_true(object_get(OBJECT(second), "iobase", &value, NULL));
    g_assert_cmphex(json_object_get_int(value), ==, 0x2f8); /* what was chosen is seen */
    json_object_put(value);
    devtest_add(t, "isa-serial", NULL);
    devtest_script(t, "outb 0x3ff 1; outb 0x2ff 2; outb 0x3ef 3; outb 0x2ef 4;"
                      "inb 0x3ff = 1; inb 0x2ff = 2; inb 0x3ef = 3; inb 0x2ef = 4;"
                      "outb 0x2f9 2; irq 3 = 1; irq 4 = 0; outb 0x3f8 65; inb 0x3fd = 0x60");
    error = devtest_add_error(t, "isa-serial", NULL);
    g_assert_nonnull(strstr(error, "COM1 to COM4 are taken"));
    clash = devtest_add_error(t, "isa-serial", "iobase=0x3fc,irq=5");
    devtest_add(t, "isa-serial", "iobase=0x800,irq=5");
    devtest_script(t, "outb 0x807 9; inb 0x807 = 9");
    devtest_free(t);
}

static void test_debugcon(void)
{
    Rig *r = new_rig("isa-debugcon", "chardev=c0,iobase=0x402,readback=0x42");
    g_autofree char *error = NULL, *busy = NULL;

    devtest_script(r->t, "inb 0x402 = 0x42; outb 0x402 79; outb 0x402 75");
    assert_sent(r, "OK");
    error = devtest_add_error(r->t, "isa-debugcon", NULL);
    g_assert_nonnull(strstr(error, "chardev"));
    busy = devtest_add_error(r->t, "isa-serial", "chardev=c0");
    free_rig(r);
}

static void test_parallel(void)
{
    Rig *r = new_rig("isa-parallel", "chardev=c0");
    g_autofree char *error = NULL;
    char buf[4096];

    /* as firmware does it: data, strobe, wait until it is not busy */
    devtest_script(r->t, "inb 0x379 = 0xdf; inb 0x37a = 0xcc; outb 0x378 80; inb 0x378 = 80; outb 0x37a 0x0d; inb 0x379 = 0x5f;"
                         "outb 0x37a 0x0c; inb 0x379 = 0xdf; irq 7 = 0;"
                         "outb 0x378 81; outb 0x37a 0x1d; irq 7 = 0; outb 0x37a 0x1c; irq 7 = 1; inb 0x379 = 0xdf; irq 7 = 0;"
                         "outb 0x37a 0x2c; inb 0x378 = 0xff; outb 0x37a 8; inb 0x37b = 0xff");
    assert_sent(r, "PQ");
    devtest_outb(r->t, 0x37a, 0x0c);
    for (unsigned i = 0; devtest_inb(r->t, 0x379) & 0x80; i++) { /* nobody reads: it gets busy */
        devtest_script(r->t, "outb 0x378 65; outb 0x37a 0x0d; outb 0x37a 0x0c");
        g_assert_cmpint(i, <, 10000000);
    }
    devtest_reload(r->t);
    while (read(r->fd, buf, sizeof(buf)) > 0) {
    }
    devtest_run_loop(r->t);
    g_assert_cmphex(devtest_inb(r->t, 0x379), ==, 0xdf);
    devtest_add(r->t, "isa-parallel", NULL);
    devtest_add(r->t, "isa-parallel", NULL);
    devtest_script(r->t, "outb 0x278 1; outb 0x3bc 2; inb 0x278 = 1; inb 0x3bc = 2");
    error = devtest_add_error(r->t, "isa-parallel", NULL);
    g_assert_nonnull(strstr(error, "LPT1 to LPT3 are taken"));
    devtest_fuzz(r->t, &(DevTestFuzz){.io_base = 0x378, .io_size = 8, .rounds = 5000});
    free_rig(r);
}

static void test_fuzz(void)
{
    Rig *r = new_serial();
    char buf[4096];

    for (int i = 0; i < 20; i++) {
        devtest_fuzz(r->t, &(DevTestFuzz){.io_base = 0x3f8, .io_size = 8, .rounds = 1000});
        if (write(r->fd, buf, 100) < 0) {
            g_assert_cmpint(errno, ==, EAGAIN);
        }
        devtest_run_loop(r->t);
        while (read(r->fd, buf, sizeof(buf)) > 0) {
        }
    }
    free_rig(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/serial/registers", test_registers);
    g_test_add_func("/serial/transmit", test_transmit);
    g_test_add_func("/serial/receive", test_receive);
    g_test_add_func("/serial/flow", test_flow);
    g_test_add_func("/serial/blocked", test_blocked);
    g_test_add_func("/serial/loopback", test_loopback);
    g_test_add_func("/serial/break", test_break);
    g_test_add_func("/serial/ports", test_ports);
    g_test_add_func("/serial/debugcon", test_debugcon);
    g_test_add_func("/serial/parallel", test_parallel);
    g_test_add_func("/serial/fuzz", test_fuzz);
    return g_test_run();
}
