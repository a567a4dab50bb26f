/* The PCI bus with a device that has one BAR of each kind, a ROM and an interrupt. */
#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

#include "tests/devtest.h"
#include "util/bits.h"

enum { IO_SIZE = 16, MEM_SIZE = 4096, BIG_SIZE = 1 << 20 };

typedef struct {
    PciDevice pci;
    PciDeviceConf conf;
    MemoryRegion io, mem, big;
    uint32_t reg;
    bool dma_to_itself;
} Toy;

static uint64_t toy_read(void *dev, uint64_t offset, unsigned size)
{
    Toy *d = dev;
    uint32_t v = 0;

    if (d->dma_to_itself) { /* refused: it is busy with this access */
        return pci_dma_read(&d->pci, d->pci.bars[1].addr, &v, 4) == MEMTX_BUSY ? v : 0xbad;
    }
    return d->reg + offset;
}

static void toy_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    ((Toy *)dev)->reg = value;
}

static const MemoryOps toy_ops = {.read = toy_read, .write = toy_write};

static bool toy_realize(PciDevice *pci, Error **errp)
{
    Toy *d = (Toy *)pci;
    MemoryMap *map = pci->dev.machine->map;

    memory_region_init_io(&d->io, map, OBJECT(d), &toy_ops, d, "toy-io", IO_SIZE);
    memory_region_init_io(&d->mem, map, OBJECT(d), &toy_ops, d, "toy-mem", MEM_SIZE);
    g_autofree char *id = g_strdup_printf("toy%02x.ram", pci->devfn);
    if (!memory_region_init_ram(&d->big, map, OBJECT(d), id, BIG_SIZE, errp)) {
        return false;
    }
    pci_register_bar(pci, 0, PCI_BASE_ADDRESS_SPACE_IO, &d->io);
    pci_register_bar(pci, 1, 0, &d->mem);
    pci_register_bar(pci, 2, PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH, &d->big);
    g_assert_cmpint(pci_add_capability(pci, PCI_CAP_ID_PM, 0, 8, errp), ==, 0x40);
    g_assert_cmpint(pci_add_capability(pci, PCI_CAP_ID_MSI, 0x50, 10, errp), ==, 0x50);
    return true;
}

static void toy_unrealize(PciDevice *pci)
{
    Toy *d = (Toy *)pci;

    memory_region_finish(&d->io);
    memory_region_finish(&d->mem);
    memory_region_finish(&d->big);
}

static const PciDeviceOps toy_pci = {
    .info = {.vendor = 0x1234, .device = 0x5678, .class_code = 0x020000, .interrupt_pin = 1, .revision = 3},
    .realize = toy_realize,
    .unrealize = toy_unrealize,
};
static const ObjectOps toy_object_ops = {.size = sizeof(Toy), .conf_offset = offsetof(Toy, conf), .iface = &toy_pci};

static const QClass qclass_toy = {
    .item = {.name = "toy", .doc = "Test device.", .since = "10.0"},
    .parent = &qclass_pci_device,
    .kind = QCLASS_DEVICE,
    .user_creatable = true,
    .bus = "PCI",
    .conf = &qtype_PciDeviceConf,
    .impl = &toy_object_ops,
};

static DevTest *toy_test(Toy **d, const char *props)
{
    DevTest *t = devtest_new(&qclass_toy);

    *d = (Toy *)devtest_add(t, "toy", props);
    return t;
}

/* ---- ---- */

static void test_header(void)
{
    Toy *d;
    DevTest *t = toy_test(&d, "addr=5.0,id=net0");
    uint8_t fn = 5 << 3;

    g_assert_cmphex(devtest_pci_read(t, fn, 0, 4), ==, 0x56781234);
    g_assert_cmphex(devtest_pci_read(t, fn, 8, 4), ==, 0x02000003);
    g_assert_cmphex(devtest_pci_read(t, fn, 0x2c, 4), ==, 0x11001af4);
    g_assert_cmphex(devtest_pci_read(t, fn, 0x3d, 1), ==, 1);
    g_assert_cmphex(devtest_pci_read(t, fn, 6, 2), ==, PCI_STATUS_CAP_LIST);
    g_assert_cmphex(devtest_pci_read(t, fn, 0x34, 1), ==, 0x50);
    g_assert_cmphex(devtest_pci_read(t, fn, 0x50, 2), ==, 0x4005);
    g_assert_cmphex(devtest_pci_read(t, fn, 0x40, 2), ==, 0x0001);
    g_assert_cmpint(pci_find_capability(&d->pci, PCI_CAP_ID_PM), ==, 0x40);
    g_assert_cmpint(pci_find_capability(&d->pci, PCI_CAP_ID_EXP), ==, 0);
    devtest_pci_write(t, fn, 0, 4, 0); /* read-only */
    g_assert_cmphex(devtest_pci_read(t, fn, 0, 4), ==, 0x56781234);
    g_assert_cmphex(devtest_pci_read(t, 4 << 3, 0, 4), ==, UINT32_MAX); /* nobody */
    g_assert_cmphex(devtest_pci_read(t, fn, 0x100, 4), ==, UINT32_MAX); /* past the end */
    g_assert_cmphex(pci_config_access_read(t->pci, 1 << 20, 2), ==, 0xffff); /* no such bus */
    devtest_pci_write(t, fn, 0x3c, 1, 11);
    g_assert_cmphex(devtest_pci_read(t, fn, 0x3c, 4), ==, 0x0000010b);
    devtest_free(t);
}

static void test_bars(void)
{
    Toy *d;
    DevTest *t = toy_test(&d, "addr=3");
    uint8_t fn = 3 << 3;

    for (unsigned r = 0x10; r <= 0x1c; r += 4) {
        devtest_pci_write(t, fn, r, 4, UINT32_MAX);
    }
    g_assert_cmphex(devtest_pci_read(t, fn, 0x10, 4), ==, 0xfffffff1);
    g_assert_cmphex(devtest_pci_read(t, fn, 0x14, 4), ==, 0xfffff000);
    g_assert_cmphex(devtest_pci_read(t, fn, 0x18, 4), ==, 0xfff0000c);
    g_assert_cmphex(devtest_pci_read(t, fn, 0x1c, 4), ==, 0xffffffff);
    devtest_pci_write(t, fn, PCI_COMMAND, 2, 3);
    g_assert_true(d->pci.bars[0].addr == PCI_UNMAPPED && d->pci.bars[1].addr == PCI_UNMAPPED); /* still the probe's values */
    devtest_pci_write(t, fn, 0x10, 4, 0xc001);
    devtest_pci_write(t, fn, 0x14, 4, 0xfeb00123); /* low bits do not count */
    devtest_pci_write(t, fn, 0x18, 4, 0x00300000);
    devtest_pci_write(t, fn, 0x1c, 4, 0x00000002);
    d->reg = 0x70;
    g_assert_cmphex(devtest_inb(t, 0xc005), ==, 0x75);
    g_assert_cmphex(devtest_read(t, 0xfeb00004, 4), ==, 0x74);
    devtest_write(t, 0x200300010, 8, 0x1122334455667788);
    g_assert_cmphex(ld64_le(memory_region_host(&d->big) + 16), ==, 0x1122334455667788);
    devtest_pci_write(t, fn, PCI_COMMAND, 2, 1);
    g_assert_cmphex(devtest_inb(t, 0xc005), ==, 0x75);
    g_assert_cmphex(devtest_read(t, 0xfeb00004, 4), ==, 0xffffffff);
    devtest_pci_write(t, fn, PCI_COMMAND, 2, 2);
    g_assert_cmphex(devtest_inb(t, 0xc005), ==, 0xff);
    devtest_pci_write(t, fn, 0x14, 4, 0x00001000); /* over RAM: as what lies above it says */
    d->reg = 0;
    g_assert_cmphex(devtest_read(t, 0x1004, 4), ==, 4);
    devtest_pci_write(t, fn, 0x11, 1, 0xd0); /* one byte of a BAR */
    devtest_pci_write(t, fn, PCI_COMMAND, 2, 3);
    g_assert_cmphex(d->pci.bars[0].addr, ==, 0xd000);
    devtest_reload(t);
    g_assert_cmphex(d->pci.bars[0].addr, ==, 0xd000);
    devtest_reset(t, OBJECT_WARM_RESET);
    g_assert_true(d->pci.bars[0].addr == PCI_UNMAPPED);
    g_assert_cmphex(devtest_pci_read(t, fn, 0x10, 4), ==, 1);
    devtest_free(t);
}

/* Lines that several share stay up until the last lets go; INTx disable masks, status tells. */
static void test_interrupts(void)
{
    Toy *a, *b;
    DevTest *t = toy_test(&a, "addr=1");

    b = (Toy *)devtest_add(t, "toy", "addr=5"); /* (slot + pin) mod 4 is the same */
    pci_set_irq(&a->pci, 1);
    pci_set_irq(&b->pci, 1);
    g_assert_cmpuint(t->pci_lines[1].level, ==, 1);
    g_assert_cmpuint(t->pci_lines[1].rises, ==, 1);
    pci_set_irq(&a->pci, 0);
    g_assert_cmpuint(t->pci_lines[1].level, ==, 1);
    g_assert_cmpint(pci_bus_irq_level(t->pci, 1), ==, 1);
    devtest_pci_write(t, 5 << 3, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
    g_assert_cmpuint(t->pci_lines[1].level, ==, 0);
    g_assert_cmphex(devtest_pci_read(t, 5 << 3, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, !=, 0);
    devtest_pci_write(t, 5 << 3, PCI_COMMAND, 2, 0);
    g_assert_cmpuint(t->pci_lines[1].level, ==, 1);
    devtest_reload(t);
    g_assert_cmpuint(t->pci_lines[1].level, ==, 1);
    object_unparent(OBJECT(b)); /* what goes takes its level along */
    g_assert_cmpuint(t->pci_lines[1].level, ==, 0);
    pci_set_irq(&a->pci, 1);
    devtest_reset(t, OBJECT_COLD_RESET);
    g_assert_cmpuint(t->pci_lines[1].level, ==, 0);
    devtest_free(t);
}

static void test_dma(void)
{
    Toy *d;
    DevTest *t = toy_test(&d, "addr=2");
    uint8_t fn = 2 << 3;
    uint32_t v = 0;

    devtest_write(t, 0x5000, 4, 0xcafe);
    g_assert_cmpint(pci_dma_read(&d->pci, 0x5000, &v, 4), ==, MEMTX_DECODE_ERROR); /* not a master yet */
    devtest_pci_write(t, fn, 0x14, 4, 0xfeb00000);
    devtest_pci_write(t, fn, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
    g_assert_cmpint(pci_dma_read(&d->pci, 0x5000, &v, 4), ==, MEMTX_OK);
    g_assert_cmphex(v, ==, 0xcafe);
    g_assert_cmpint(pci_dma_write(&d->pci, 0xfeb00000, &v, 4), ==, MEMTX_BUSY); /* its own registers */
    d->dma_to_itself = true;
    g_assert_cmphex(devtest_read(t, 0xfeb00000, 4), ==, 0xffffffff);
    devtest_free(t);
}

static void check_error(DevTest *t, const char *props, const char *want)
{
    g_autofree char *text = devtest_add_error(t, "toy", props);

    g_assert_cmpstr(text, ==, want);
}

static void test_addresses(void)
{
    DevTest *t = devtest_new(&qclass_toy);
    PciDevice *d = PCI_DEVICE(devtest_add(t, "toy", "addr=1f.7"));

    g_assert_cmphex(d->devfn, ==, 0xff);
    g_assert_cmphex(PCI_DEVICE(devtest_add(t, "toy", NULL))->devfn, ==, 0);
    g_assert_cmphex(PCI_DEVICE(devtest_add(t, "toy", "addr=0x1,multifunction=on"))->devfn, ==, 8);
    g_assert_cmphex(PCI_DEVICE(devtest_add(t, "toy", "addr=1.3,bus=pci.0"))->devfn, ==, 11);
    d = PCI_DEVICE(devtest_add(t, "toy", NULL));
    g_assert_cmphex(d->devfn, ==, 16);
    g_assert_cmpstr(((Toy *)d)->conf.addr, ==, "02.0"); /* what was left open is told */
    check_error(t, "addr=1.3", "PCI: slot 1 function 3 not available for toy, in use by toy");
    check_error(t, "addr=2.1", "PCI: single function device can't be populated in function 2.1");
    check_error(t, "addr=1f.0", "PCI: 1f.0 indicates single function, but 1f.7 is already populated.");
    check_error(t, "addr=20", "Parameter 'addr' expects slot and function in hexadecimal, 0.0 to 1f.7, not '20'");
    check_error(t, "addr=1.8", "Parameter 'addr' expects slot and function in hexadecimal, 0.0 to 1f.7, not '1.8'");
    check_error(t, "addr=", "Parameter 'addr' expects slot and function in hexadecimal, 0.0 to 1f.7, not ''");
    check_error(t, "bus=isa.0", "Device 'toy' can't go on ISA bus");
    check_error(t, "bus=pci.1", "Bus 'pci.1' not found");
    for (int slot = 3; slot < 31; slot++) {
        devtest_add(t, "toy", NULL);
    }
    check_error(t, NULL, "PCI: no slot/function available for toy, all in use or reserved");
    devtest_free(t);
}

static void test_rom(void)
{
    g_autofree char *name = NULL;
    int fd = g_file_open_tmp("kestrel-rom-XXXXXX", &name, NULL);
    g_autofree char *props = g_strdup_printf("addr=7,romfile=%s", name);
    Toy *d;
    DevTest *t;
    g_autofree char *text = NULL;

    g_assert_cmpint(write(fd, "\x55\xaaROM", 5), ==, 5);
    close(fd);
    t = toy_test(&d, props);
    devtest_pci_write(t, 7 << 3, PCI_ROM_ADDRESS, 4, UINT32_MAX);
    g_assert_cmphex(devtest_pci_read(t, 7 << 3, PCI_ROM_ADDRESS, 4), ==, 0xfffff801);
    devtest_pci_write(t, 7 << 3, PCI_ROM_ADDRESS, 4, 0xfea00000);
    devtest_pci_write(t, 7 << 3, PCI_COMMAND, 2, 2);
    g_assert_cmphex(devtest_read(t, 0xfea00000, 2), ==, 0xffff);
    devtest_pci_write(t, 7 << 3, PCI_ROM_ADDRESS, 4, 0xfea00001);
    g_assert_cmphex(devtest_read(t, 0xfea00000, 2), ==, 0xaa55);
    g_assert_cmpstr(d->pci.mr_rom.name, ==, "toy.rom");
    text = devtest_add_error(t, "toy", "romfile=/nonexistent");
    g_assert_cmpstr(text, ==, "romfile \"/nonexistent\": No such file or directory");
    devtest_free(t);
    unlink(name);
}

static void collect(void *opaque, const char *text)
{
    g_string_append(opaque, text);
}

static void test_print(void)
{
    Toy *d;
    DevTest *t = toy_test(&d, "addr=3,id=n");
    g_autoptr(GString) s = g_string_new("");

    devtest_pci_write(t, 3 << 3, 0x10, 4, 0xc000);
    devtest_pci_write(t, 3 << 3, PCI_COMMAND, 2, 1);
    pci_print(t->pci, collect, s);
    g_assert_cmpstr(s->str, ==,
                    "  Bus  0, device   3, function 0:\n"
                    "    Ethernet controller: PCI device 1234:5678\n"
                    "      PCI subsystem 1af4:1100\n"
                    "      IRQ 0, pin A\n"
                    "      BAR0: I/O at 0xc000 [0xc00f]\n"
                    "      BAR1: 32 bit memory (not mapped)\n"
                    "      BAR2: 64 bit prefetchable memory (not mapped)\n"
                    "      id \"n\"\n");
    devtest_free(t);
}

/* Where BAR 1 belongs by its registers, computed apart from the code under test. */
static uint64_t pci_bar_is(PciDevice *d)
{
    uint64_t base = ld32_le(d->st.config + 0x14) & 0xfffff000;

    return d->st.config[PCI_COMMAND] & 2 && base && base != 0xfffff000 ? base : PCI_UNMAPPED;
}

/* A guest that writes anything anywhere in configuration space, with accesses to where the BARs come to lie. */
static void test_fuzz(void)
{
    Toy *d[3];
    DevTest *t = toy_test(&d[0], "addr=1");

    d[1] = (Toy *)devtest_add(t, "toy", "addr=2.0,multifunction=on");
    d[2] = (Toy *)devtest_add(t, "toy", "addr=2.1");
    for (int i = 0; i < 30000; i++) {
        static const uint8_t fns[] = {8, 16, 17, 24};
        uint8_t fn = fns[g_test_rand_int_range(0, 4)];
        unsigned size = 1u << g_test_rand_int_range(0, 3), reg = g_test_rand_int_range(0, g_test_rand_bit() ? 0x40 : 0x110);
        uint32_t v = g_test_rand_int() & (g_test_rand_bit() ? 0x1fffff : UINT32_MAX);

        devtest_pci_write(t, fn, reg, size, g_test_rand_int_range(0, 8) ? v : UINT32_MAX);
        devtest_pci_read(t, fn, reg, size);
        pci_set_irq(&d[i % 3]->pci, v & 1);
        devtest_read(t, (uint32_t)g_test_rand_int() & 0x1fffff, 4);
        devtest_out(t, g_test_rand_int_range(0, 0x10000), 4, 1);
        for (int k = 0; k < 3; k++) {
            g_assert_true(d[k]->pci.bars[1].addr == pci_bar_is(&d[k]->pci));
        }
        if (i % 500 == 0) {
            devtest_reload(t);
        }
    }
    for (int i = 0; i < 3; i++) {
        pci_set_irq(&d[i]->pci, 0);
    }
    for (int i = 0; i < 4; i++) {
        g_assert_cmpuint(t->pci_lines[i].level, ==, 0);
    }
    devtest_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pci/header", test_header);
    g_test_add_func("/pci/bars", test_bars);
    g_test_add_func("/pci/interrupts", test_interrupts);
    g_test_add_func("/pci/dma", test_dma);
    g_test_add_func("/pci/addresses", test_addresses);
    g_test_add_func("/pci/rom", test_rom);
    g_test_add_func("/pci/print", test_print);
    g_test_add_func("/pci/fuzz", test_fuzz);
    return g_test_run();
}
