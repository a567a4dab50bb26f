/* 82441FX: configuration ports, shadow RAM, SMRAM; a host bridge beside the harness's own bus. */
#include "hw/pci-host/i440fx.h"

#include "hw/pci-host/i440fx.gen.h"
#include "tests/devtest.h"

static MemoryRegion pci_memory;

static DevTest *start(Device **host)
{
    DevTest *t = devtest_new(&qclass_i440FX_pcihost, &qclass_i440FX);

    t->m->ram = &t->ram;
    memory_region_del(&t->ram);
    memory_region_add(t->m->memory, 0, &t->ram, 0); /* above PCI's space, as boards map it */
    memory_region_init(&pci_memory, t->m->map, NULL, "pci", 0);
    memory_region_add(t->m->memory, 0, &pci_memory, -1);
    *host = device_create(t->m, "i440FX-pcihost", NULL, NULL, NULL, &error_abort, NULL);
    i440fx_set_pci_memory(*host, &pci_memory);
    device_realize(*host, &error_abort);
    devtest_reset(t, OBJECT_COLD_RESET);
    return t;
}

static void end(DevTest *t, Device *host)
{
    object_unparent(OBJECT(host));
    memory_region_finish(&pci_memory);
    devtest_free(t);
}

static void config_write(DevTest *t, unsigned reg, unsigned size, uint32_t value)
{
    devtest_out(t, 0xcf8, 4, 0x80000000 | (reg & 0xfc));
    devtest_out(t, 0xcfc + (reg & 3), size, value);
}

static uint32_t config_read(DevTest *t, unsigned reg, unsigned size)
{
    devtest_out(t, 0xcf8, 4, 0x80000000 | (reg & 0xfc));
    return devtest_in(t, 0xcfc + (reg & 3), size);
}

static void test_config_ports(void)
{
    Device *host;
    DevTest *t = start(&host);

    g_assert_cmphex(config_read(t, 0, 4), ==, 0x12378086);
    g_assert_cmphex(config_read(t, 2, 2), ==, 0x1237);
    g_assert_cmphex(config_read(t, 9, 1), ==, 0x00);
    g_assert_cmphex(config_read(t, 8, 4), ==, 0x06000002);
    g_assert_cmphex(config_read(t, 0x2c, 4), ==, 0x11001af4);
    g_assert_cmphex(config_read(t, 0x72, 1), ==, 0x02);
    devtest_out(t, 0xcf8, 4, 0x80fffffc);  /* nobody there */
    g_assert_cmphex(devtest_in(t, 0xcfc, 4), ==, 0xffffffff);
    devtest_out(t, 0xcf8, 4, 0x00000000);  /* disabled */
    g_assert_cmphex(devtest_in(t, 0xcfc, 4), ==, 0xffffffff);
    devtest_out(t, 0xcf8, 4, 0xffffffff);  /* reserved bits read 0 */
    g_assert_cmphex(devtest_in(t, 0xcf8, 4), ==, 0x80fffffc);
    end(t, host);
}

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0x5a;
}

static void port_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    *(uint64_t *)opaque = value;
}

/* A byte port inside the address register. */
static void test_reset_port(void)
{
    static const MemoryOps ops = { .read = port_read, .write = port_write };
    uint64_t written = 0;
    Device *host;
    DevTest *t = start(&host);
    MemoryRegion port;

    devtest_script(t, "outl 0xcf8 0x80001234; inb 0xcf9 = 0xff; outb 0xcf9 6; inl 0xcf8 = 0x80001234");
    memory_region_init_io(&port, t->m->map, NULL, &ops, &written, "port", 1);
    i440fx_set_reset_port(host, &port);
    devtest_script(t, "inb 0xcf9 = 0x5a; outb 0xcf9 6; inw 0xcf8 = 0xffff; inb 0xcfa = 0xff; inl 0xcf8 = 0x80001234");
    g_assert_cmphex(written, ==, 6);
    i440fx_set_reset_port(host, NULL);
    memory_region_finish(&port);
    end(t, host);
}

/* Every segment in every mode, by a naive reading of table 5: what RAM has and what PCI has below. */
static void test_shadow(void)
{
    Device *host;
    DevTest *t = start(&host);
    uint8_t *ram = memory_region_host(&t->ram);
    MemoryRegion rom;

    memory_region_init_ram(&rom, t->m->map, NULL, "rom", 0x40000, &error_abort);
    memory_region_add(&pci_memory, 0xc0000, &rom, 0);
    memset(memory_region_host(&rom), 0x11, 0x40000);
    memset(ram + 0xc0000, 0x22, 0x40000);
    for (unsigned n = 0; n < 13; n++) {
        unsigned reg = n == 12 ? 0x59 : 0x5a + n / 2, shift = n == 12 || n % 2 ? 4 : 0, base = 0xc0000 + n * 0x4000;
        unsigned other = n == 12 ? 0xec000 : 0xf0000;

        for (unsigned attr = 0; attr < 4; attr++) {
            bool reads_ram = attr & 1;

            config_write(t, reg, 1, attr << shift);
            memory_region_host(&rom)[base - 0xc0000] = 0x11;
            ram[base] = 0x22;
            g_assert_cmphex(devtest_read(t, base, 1), ==, reads_ram ? 0x22 : 0x11);
            devtest_write(t, base, 1, 0x33);
            g_assert_cmphex(ram[base], ==, attr == 3 ? 0x33 : 0x22);
            g_assert_cmphex(devtest_read(t, other, 1), ==, 0x11);
        }
        config_write(t, reg, 1, 0);
    }
    config_write(t, 0x58, 4, 0x33333333);  /* a doubleword over several */
    g_assert_cmphex(devtest_read(t, 0xc8001, 1), ==, 0x22);
    devtest_reset(t, OBJECT_WARM_RESET);
    g_assert_cmphex(devtest_read(t, 0xc8000, 1), ==, 0x11);
    memory_region_finish(&rom);
    end(t, host);
}

static uint8_t smm_read(Device *host, hwaddr a)
{
    uint8_t v = 0;

    address_space_read(i440fx_smm_space(host), a, MEMTXATTRS_NONE, &v, 1);
    return v;
}

static void test_smram(void)
{
    Device *host;
    DevTest *t = start(&host);
    uint8_t *ram = memory_region_host(&t->ram);

    ram[0xa0000] = 0x44;
    g_assert_cmphex(devtest_read(t, 0xa0000, 1), ==, 0xff);
    g_assert_cmphex(smm_read(host, 0xa0000), ==, 0xff);
    config_write(t, 0x72, 1, 0x48);        /* open, enabled */
    g_assert_cmphex(devtest_read(t, 0xa0000, 1), ==, 0x44);
    config_write(t, 0x72, 1, 0x08);
    g_assert_cmphex(devtest_read(t, 0xa0000, 1), ==, 0xff);
    g_assert_cmphex(smm_read(host, 0xa0000), ==, 0x44);
    config_write(t, 0x72, 1, 0x5a);        /* lock: closes it, and nothing changes any more */
    g_assert_cmphex(config_read(t, 0x72, 1), ==, 0x1a);
    config_write(t, 0x72, 1, 0x48);
    g_assert_cmphex(config_read(t, 0x72, 1), ==, 0x1a);
    g_assert_cmphex(devtest_read(t, 0xa0000, 1), ==, 0xff);
    devtest_reset(t, OBJECT_WARM_RESET);
    g_assert_cmphex(config_read(t, 0x72, 1), ==, 0x02);
    end(t, host);
}

static void test_fuzz(void)
{
    Device *host;
    DevTest *t = start(&host);

    devtest_fuzz(t, &(DevTestFuzz){ .io_base = 0xcf8, .io_size = 8, .mem_base = 0xa0000, .mem_size = 0x60000, .rounds = 4000 });
    end(t, host);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/i440fx/config-ports", test_config_ports);
    g_test_add_func("/i440fx/reset-port", test_reset_port);
    g_test_add_func("/i440fx/shadow", test_shadow);
    g_test_add_func("/i440fx/smram", test_smram);
    g_test_add_func("/i440fx/fuzz", test_fuzz);
    return g_test_run();
}
