/* Standard VGA on PCI: BARs, register window, legacy ports and window, picture through its console. */
#include "hw/display/vga-pci.gen.h"
#include "tests/devtest.h"
#include "ui/console.gen.h"
#include "ui/console.h"

enum { DEVFN = 4 << 3 };
#define LFB 0xe0000000u
#define MMIO 0xf0000000u

static DevTest *start(void)
{
    DevTest *t = devtest_new(&qclass_VGA, &qclass_qemu_graphic_console);

    devtest_add(t, "VGA", "addr=4.0,romfile=");
    devtest_reset(t, OBJECT_COLD_RESET);
    devtest_pci_write(t, DEVFN, 0x10, 4, LFB);
    devtest_pci_write(t, DEVFN, 0x18, 4, MMIO);
    devtest_pci_write(t, DEVFN, 0x04, 2, 3);
    return t;
}

static void test_bars(void)
{
    DevTest *t = start();

    g_assert_cmphex(devtest_pci_read(t, DEVFN, 0, 4), ==, 0x11111234);
    devtest_pci_write(t, DEVFN, 0x10, 4, 0xffffffff);
    g_assert_cmphex(devtest_pci_read(t, DEVFN, 0x10, 4), ==, 0xff000008);
    devtest_pci_write(t, DEVFN, 0x10, 4, LFB);
    g_assert_cmphex(devtest_read(t, MMIO + 8, 2), ==, 0x1449);     /* EDID maker */
    g_assert_cmphex(devtest_read(t, MMIO + 0x500, 2), ==, 0xb0c5);
    g_assert_cmphex(devtest_read(t, MMIO + 0x514, 2), ==, 0x100);
    g_assert_cmphex(devtest_read(t, MMIO + 0x600, 4), ==, 8);
    g_assert_cmphex(devtest_read(t, MMIO + 0x604, 4), ==, 0x1e1e1e1e);
    devtest_free(t);
}

static void test_picture(void)
{
    DevTest *t = start();
    Console *c = console_find(t->tree, 0);
    Surface *s;

    devtest_script(t, "outw 0x1ce 1; outw 0x1cf 640; outw 0x1ce 2; outw 0x1cf 480; outw 0x1ce 3; outw 0x1cf 32;"
                      "outw 0x1ce 4; outw 0x1cf 0x41; inw 0x1cf = 0x41");
    devtest_write(t, LFB + 640 * 4 + 8, 4, 0x123456);
    s = console_update(c);
    g_assert_cmpuint(s->width, ==, 640);
    g_assert_cmphex(surface_line(s, 1)[2], ==, 0x123456);
    devtest_write(t, MMIO + 0x508, 2, 0);                           /* off: dark */
    s = console_update(c);
    g_assert_cmphex(surface_line(s, 1)[2], ==, 0);
    g_assert_null(console_find(t->tree, 1));
    devtest_reload(t);
    devtest_free(t);
}

static void test_ports(void)
{
    DevTest *t = start();

    devtest_script(t, "outb 0x3c2 0x63; inb 0x3cc = 0x63; outw 0x3c4 0x0602; inb 0x3c5 = 6; outb 0x3d4 0x0e; outb 0x3d5 0x5a;"
                      "inb 0x3d5 = 0x5a; inb 0x3b5 = 0xff");
    devtest_write(t, MMIO + 0x404, 2, 0x0f02);                      /* the same registers */
    g_assert_cmphex(devtest_inb(t, 0x3c5), ==, 0x0f);
    devtest_script(t, "outw 0x3c4 0x0e04; outw 0x3ce 0x0506; outw 0x3ce 0xff08");
    devtest_write(t, 0xa0010, 4, 0x44332211);
    g_assert_cmphex(devtest_read(t, LFB + 0x10, 4), ==, 0x44332211);
    devtest_free(t);
}

static void test_fuzz(void)
{
    DevTest *t = start();

    devtest_fuzz(t, &(DevTestFuzz){ .io_base = 0x3b0, .io_size = 0x30, .mem_base = 0xa0000, .mem_size = 0x20000, .rounds = 3000 });
    devtest_fuzz(t, &(DevTestFuzz){ .io_base = 0x1ce, .io_size = 4, .mem_base = MMIO, .mem_size = 0x1000, .rounds = 2000 });
    console_update(console_find(t->tree, 0));
    devtest_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vga-pci/bars", test_bars);
    g_test_add_func("/vga-pci/picture", test_picture);
    g_test_add_func("/vga-pci/ports", test_ports);
    g_test_add_func("/vga-pci/fuzz", test_fuzz);
    return g_test_run();
}
