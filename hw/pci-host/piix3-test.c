/* 82371SB function 0: routing of PCI interrupts, reset control. */
#include "hw/pci-host/piix3.h"

#include "hw/pci-host/piix3.gen.h"
#include "tests/devtest.h"

enum { DEVFN = 1 << 3 };

static DevTest *start(void)
{
    DevTest *t = devtest_new(&qclass_PIIX3);
    Device *d = device_new(t->m, "PIIX3", &t->pci->bus, NULL, NULL, &error_abort, "addr", "1.0", "multifunction", "on", NULL);

    for (int i = 0; i < 16; i++) {
        device_connect_irq_out(d, "isa-irqs", i, t->isa->irqs[i]);
    }
    memory_region_add(t->m->io, 0xcf9, piix3_reset_port(d), 0);
    devtest_reset(t, OBJECT_COLD_RESET);
    return t;
}

static void test_identity(void)
{
    DevTest *t = start();

    g_assert_cmphex(devtest_pci_read(t, DEVFN, 0, 4), ==, 0x70008086);
    g_assert_cmphex(devtest_pci_read(t, DEVFN, 8, 4), ==, 0x06010000);
    g_assert_cmphex(devtest_pci_read(t, DEVFN, 0x0e, 1), ==, 0x80);
    g_assert_cmphex(devtest_pci_read(t, DEVFN, 0x60, 4), ==, 0x80808080);
    devtest_free(t);
}

/* Two PIRQs on one line are or-ed; disabling and rerouting moves the level. */
static void test_routing(void)
{
    DevTest *t = start();

    t->pci->irq_count[1] = 1;
    t->pci->set_irq(t->pci->irq_opaque, 1, 1);
    for (unsigned i = 0; i < 16; i++) {
        g_assert_cmpuint(devtest_irq(t, i), ==, 0);
    }
    devtest_pci_write(t, DEVFN, 0x61, 1, 11);
    g_assert_cmpuint(devtest_irq(t, 11), ==, 1);
    devtest_pci_write(t, DEVFN, 0x62, 1, 11);
    t->pci->set_irq(t->pci->irq_opaque, 2, 1);
    t->pci->set_irq(t->pci->irq_opaque, 1, 0);
    g_assert_cmpuint(devtest_irq(t, 11), ==, 1);
    devtest_pci_write(t, DEVFN, 0x62, 1, 10);
    g_assert_cmpuint(devtest_irq(t, 11), ==, 0);
    g_assert_cmpuint(devtest_irq(t, 10), ==, 1);
    devtest_pci_write(t, DEVFN, 0x60, 4, 0x800d80);    /* 13 cannot be a target; C is off; D is on 0, neither */
    g_assert_cmpuint(devtest_irq(t, 10), ==, 0);
    g_assert_cmpuint(devtest_irq(t, 13), ==, 0);
    t->pci->set_irq(t->pci->irq_opaque, 2, 0);
    t->pci->irq_count[1] = 0;
    devtest_free(t);
}

/* Slot 2 INTA# is PIRQ B, and so on round. */
static void test_swizzle(void)
{
    DevTest *t = start();
    PciDevice fake = { .devfn = 2 << 3 };

    for (int pin = 0; pin < 4; pin++) {
        for (unsigned slot = 0; slot < 32; slot++) {
            fake.devfn = (uint8_t)(slot << 3);
            g_assert_cmpint(t->pci->map_irq(t->pci->irq_opaque, &fake, pin), ==, (int)(slot + 31 + (unsigned)pin) % 4);
        }
    }
    devtest_free(t);
}

static void test_reset_control(void)
{
    DevTest *t = start();

    devtest_script(t, "inb 0xcf9 = 0; outb 0xcf9 2; inb 0xcf9 = 2");
    g_assert_cmpuint(t->resets, ==, 0);
    devtest_outb(t, 0xcf9, 6);
    g_assert_cmpuint(t->resets, ==, 1);
    devtest_reset(t, OBJECT_WARM_RESET);
    devtest_script(t, "inb 0xcf9 = 0");
    devtest_reload(t);
    devtest_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/piix3/identity", test_identity);
    g_test_add_func("/piix3/routing", test_routing);
    g_test_add_func("/piix3/swizzle", test_swizzle);
    g_test_add_func("/piix3/reset-control", test_reset_control);
    return g_test_run();
}
