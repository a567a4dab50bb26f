/* 82371AB function 3: where its registers are, PM timer, events and SCI, sleep, APM ports, SMBus, by register scripts. */
#include "hw/acpi/piix4.h"

#include "hw/acpi/piix4.gen.h"
#include "hw/acpi/smbus.h"
#include "tests/devtest.h"

enum { DEVFN = 3 << 3 };

static unsigned smis;

static void count_smi(void *opaque, int n, int level)
{
    smis += level;
}

typedef struct {
    DevTest *t;
    Device *pm;
    Irq *smi;
} Fixture;

static Fixture start(void)
{
    Fixture f = { .t = devtest_new(&qclass_PIIX4_PM, &qclass_i2c_bus, &qclass_smbus_eeprom) };

    f.pm = device_new(f.t->m, "PIIX4_PM", &f.t->pci->bus, NULL, NULL, &error_abort, "addr", "3.0", "smb_io_base", "0xb100",
                      "smm-enabled", "on", NULL);
    f.smi = irq_new(count_smi, NULL, 0);
    smis = 0;
    device_connect_irq_out(f.pm, NULL, 0, f.t->isa->irqs[9]);
    device_connect_irq_out(f.pm, "smi-irq", 0, f.smi);
    devtest_reset(f.t, OBJECT_COLD_RESET);
    return f;
}

static void map_registers(Fixture *f)
{
    g_assert_cmpuint(piix4_pm_base(f->pm), ==, 0);
    devtest_pci_write(f->t, DEVFN, 0x40, 4, 0x601);
    devtest_pci_write(f->t, DEVFN, 0x80, 1, 1);
    g_assert_cmphex(piix4_pm_base(f->pm), ==, 0x600);
}

static void end(Fixture *f)
{
    devtest_free(f->t);
    irq_free(f->smi);
}

static void test_config(void)
{
    Fixture f = start();

    g_assert_cmphex(devtest_pci_read(f.t, DEVFN, 0, 4), ==, 0x71138086);
    g_assert_cmphex(devtest_pci_read(f.t, DEVFN, 8, 4), ==, 0x06800003);
    g_assert_cmphex(devtest_pci_read(f.t, DEVFN, 0x90, 4), ==, 0xb101);
    g_assert_cmphex(devtest_pci_read(f.t, DEVFN, 0xd2, 1), ==, 0x09);
    g_assert_cmphex(devtest_pci_read(f.t, DEVFN, 0x5c, 4), ==, 0x10000000);
    g_assert_cmphex(devtest_pci_read(f.t, DEVFN, 0x60, 4), ==, 0x60000000);
    piix4_pm_set_ports(f.pm, true, false, true);
    devtest_reset(f.t, OBJECT_WARM_RESET);
    g_assert_cmphex(devtest_pci_read(f.t, DEVFN, 0x5c, 4), ==, 0x90000000);
    g_assert_cmphex(devtest_pci_read(f.t, DEVFN, 0x64, 4), ==, 0x08000000);
    g_assert_cmphex(devtest_in(f.t, 0x608, 4), ==, 0xffffffff);
    map_registers(&f);
    g_assert_cmphex(devtest_in(f.t, 0x608, 4), <, 0x1000000);
    devtest_pci_write(f.t, DEVFN, 0x40, 4, 0xffffffff);
    g_assert_cmphex(devtest_pci_read(f.t, DEVFN, 0x40, 4), ==, 0xffffffc1);
    end(&f);
}

static void test_timer(void)
{
    Fixture f = start();
    uint32_t first;

    map_registers(&f);
    first = devtest_in(f.t, 0x608, 4);
    devtest_step(f.t, 1000000000);
    g_assert_cmpuint(devtest_in(f.t, 0x608, 4) - first, ==, 3579545);
    /* Bit 23 changes after 2.34 s: status, and SCI once enabled. */
    devtest_script(f.t, "inw 0x600 = 0; step 1400000000; inw 0x600 = 1; irq 9 = 0; outb 0xb2 0xf1; outw 0x602 1; irq 9 = 1;"
                        "outw 0x600 1; irq 9 = 0; step 2400000000; irq 9 = 1; inw 0x600 = 1");
    devtest_reload(f.t);
    end(&f);
}

static void test_power_button(void)
{
    Fixture f = start();

    map_registers(&f);
    devtest_script(f.t, "outb 0xb2 0xf1; inw 0x604 = 1; outw 0x602 0x100");
    piix4_pm_power_button(f.pm);
    devtest_script(f.t, "irq 9 = 1; inw 0x600 = 0x100; outb 0x601 1; inw 0x600 = 0; irq 9 = 0; outb 0xb2 0xf0; inw 0x604 = 0");
    piix4_pm_power_button(f.pm);
    devtest_script(f.t, "irq 9 = 0");  /* the firmware's again */
    end(&f);
}

static void test_sleep(void)
{
    Fixture f = start();

    map_registers(&f);
    devtest_script(f.t, "outw 0x604 0x2001; inw 0x604 = 1");
    g_assert_cmpuint(f.t->shutdowns, ==, 1);
    devtest_script(f.t, "outw 0x604 0x2801");
    g_assert_cmpuint(f.t->shutdowns, ==, 2);           /* type 2: to disk */
    devtest_script(f.t, "outw 0x604 0x2401");           /* to memory: the harness cannot, and nothing happens */
    devtest_script(f.t, "outw 0x604 0x3c01");
    g_assert_cmpuint(f.t->shutdowns, ==, 2);           /* no such type */
    end(&f);
}

static void test_apm(void)
{
    Fixture f = start();

    devtest_script(f.t, "outb 0xb3 0x55; outb 0xb2 0x12; inb 0xb3 = 0x55; inb 0xb2 = 0x12");
    g_assert_cmpuint(smis, ==, 0);
    devtest_pci_write(f.t, DEVFN, 0x58, 4, 1 << 25);
    devtest_outb(f.t, 0xb2, 0x12);
    g_assert_cmpuint(smis, ==, 1);
    end(&f);
}

/* Without SMM the firmware finds it set up already, and no command raises anything. */
static void test_no_smm(void)
{
    DevTest *t = devtest_new(&qclass_PIIX4_PM, &qclass_i2c_bus);
    Device *pm = device_new(t->m, "PIIX4_PM", &t->pci->bus, NULL, NULL, &error_abort, "addr", "3.0", NULL);
    Irq *smi = irq_new(count_smi, NULL, 0);

    smis = 0;
    device_connect_irq_out(pm, "smi-irq", 0, smi);
    devtest_reset(t, OBJECT_COLD_RESET);
    g_assert_cmphex(devtest_pci_read(t, DEVFN, 0x58, 4), ==, 0x02000000);
    devtest_outb(t, 0xb2, 0x12);
    g_assert_cmpuint(smis, ==, 0);
    devtest_free(t);
    irq_free(smi);
}

static void test_gpe_smbus(void)
{
    Fixture f = start();

    devtest_script(f.t, "outl 0xafe0 0x1234ffff; inl 0xafe0 = 0x12340000; inb 0xafe3 = 0x12");
    devtest_script(f.t, "outb 0xb104 0xa1; outb 0xb102 0x48; inb 0xb102 = 0x08; inb 0xb100 = 4; outb 0xb100 0xff; inb 0xb100 = 0");
    end(&f);
}

/* Every transfer with an EEPROM at 0x50 (SMBus 2.0, 5.5): status 2 is success, 4 that nobody answers. */
static void test_smbus_eeprom(void)
{
    Fixture f = start();

    device_new(f.t->m, "smbus-eeprom", piix4_pm_i2c_bus(f.pm), NULL, NULL, &error_abort, "address", "0x50", NULL);
    devtest_script(f.t, "outb 0xb104 0xa0; outb 0xb102 0x40; inb 0xb100 = 2; outb 0xb100 0x1e; inb 0xb100 = 0 # quick\n"
                        "outb 0xb104 0xa2; outb 0xb102 0x40; inb 0xb100 = 4; outb 0xb100 0x1e             # nobody\n"
                        "outb 0xb104 0xa0; outb 0xb103 0x10; outb 0xb105 0x5a; outb 0xb102 0x48; inb 0xb100 = 2\n"
                        "outb 0xb103 0x11; outb 0xb105 0x11; outb 0xb106 0x22; outb 0xb102 0x4c           # a word\n"
                        "outb 0xb104 0xa1; outb 0xb103 0x10; outb 0xb105 0; outb 0xb102 0x48; inb 0xb105 = 0x5a\n"
                        "outb 0xb103 0x11; outb 0xb102 0x4c; inb 0xb105 = 0x11; inb 0xb106 = 0x22\n"
                        "outb 0xb104 0xa0; outb 0xb103 0xff; outb 0xb105 7; outb 0xb102 0x48               # the last byte\n"
                        "outb 0xb103 0xff; outb 0xb102 0x44; outb 0xb104 0xa1; outb 0xb102 0x44; inb 0xb105 = 7\n"
                        "outb 0xb102 0x44; inb 0xb105 = 0                                                  # wraps\n"
                        "outb 0xb104 0xa0; outb 0xb103 0x20; outb 0xb105 3; inb 0xb102\n"
                        "outb 0xb107 1; outb 0xb107 2; outb 0xb107 3; outb 0xb100 0x1e; outb 0xb102 0x54; inb 0xb100 = 2\n"
                        "outb 0xb104 0xa1; outb 0xb105 0; outb 0xb102 0x54; inb 0xb100 = 2; inb 0xb105 = 3\n"
                        "inb 0xb102; inb 0xb107 = 1; inb 0xb107 = 2; inb 0xb107 = 3; inb 0xb102; inb 0xb107 = 1\n"
                        "outb 0xb104 0xa0; outb 0xb103 0x30; outb 0xb105 33; outb 0xb102 0x48; outb 0xb100 0x1e\n"
                        "outb 0xb104 0xa1; outb 0xb102 0x54; inb 0xb100 = 4; outb 0xb100 0x1e              # a block of 33\n"
                        "outb 0xb104 0xa0; outb 0xb105 33; outb 0xb102 0x54; inb 0xb100 = 4; outb 0xb100 0x1e\n"
                        "outb 0xb102 0x50; inb 0xb100 = 4; outb 0xb100 0x1e                                # no such transfer");
    devtest_reload(f.t);
    devtest_fuzz(f.t, &(DevTestFuzz){ .io_base = 0xb100, .io_size = 16, .rounds = 5000 });
    end(&f);
}

static void test_fuzz(void)
{
    Fixture f = start();

    map_registers(&f);
    devtest_fuzz(f.t, &(DevTestFuzz){ .io_base = 0x600, .io_size = 64, .rounds = 10000 });
    devtest_fuzz(f.t, &(DevTestFuzz){ .io_base = 0xafe0, .io_size = 4, .rounds = 1000 });
    devtest_fuzz(f.t, &(DevTestFuzz){ .io_base = 0xb100, .io_size = 64, .rounds = 2000 });
    end(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/piix4/config", test_config);
    g_test_add_func("/piix4/timer", test_timer);
    g_test_add_func("/piix4/power-button", test_power_button);
    g_test_add_func("/piix4/sleep", test_sleep);
    g_test_add_func("/piix4/apm", test_apm);
    g_test_add_func("/piix4/no-smm", test_no_smm);
    g_test_add_func("/piix4/gpe-smbus", test_gpe_smbus);
    g_test_add_func("/piix4/smbus-eeprom", test_smbus_eeprom);
    g_test_add_func("/piix4/fuzz", test_fuzz);
    return g_test_run();
}
