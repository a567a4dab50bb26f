/*
 * The PC as firmware finds it, without a processor that runs (accelerator qtest): memory map, CMOS, fw_cfg, functions on
 * the bus, interrupt lines end to end; errors leave nothing behind; two machines live in one process.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <json-c/json.h>
#include <string.h>

#include "accel/accel.h"
#include "accel/qtest/qtest.gen.h"
#include "hw/char/serial.gen.h"
#include "hw/dma/i8257.gen.h"
#include "hw/i386/pc.h"
#include "hw/i386/topology.h"
#include "hw/ide/ide.gen.h"
#include "hw/input/i8042.gen.h"
#include "hw/intc/apic.gen.h"
#include "hw/intc/i8259.gen.h"
#include "hw/nvram/fw_cfg.gen.h"
#include "hw/nvram/fw_cfg.h"
#include "hw/rtc/mc146818rtc.h"
#include "hw/acpi/piix4.gen.h"
#include "hw/acpi/smbus.gen.h"
#include "hw/pci-host/i440fx.gen.h"
#include "hw/pci-host/piix3.gen.h"
#include "hw/rtc/mc146818rtc.gen.h"
#include "hw/timer/hpet.gen.h"
#include "hw/timer/i8254.gen.h"
#include "qom/values.h"
#include "target/i386/sys/cpu-device.gen.h"
#include "target/i386/sys/sys.h"

static const QClass *const classes[] = {
    &qclass_container, &qclass_ISA, &qclass_PCI, &qclass_pc_i440fx_10_0_machine, &qclass_qtest_accel,
    &qclass_qemu64_x86_64_cpu, &qclass_apic, &qclass_ioapic, &qclass_isa_i8259, &qclass_hpet, &qclass_isa_pit, &qclass_isa_pcspk,
    &qclass_mc146818rtc, &qclass_i8257, &qclass_i8042, &qclass_port92, &qclass_fw_cfg_io, &qclass_i440FX_pcihost,
    &qclass_i440FX, &qclass_PIIX3, &qclass_PIIX4_PM, &qclass_i2c_bus, &qclass_smbus_eeprom, &qclass_isa_serial, &qclass_piix3_ide, &qclass_IDE, &qclass_ide_cd,
};

typedef struct {
    GPtrArray *list;
    QSchema schema;
    QomTree *tree;
    Machine *m;
    PcMachine *pc;
    bool (*add)(Machine *, Error **); /* what -device would; NULL: nothing */
    char *firmware;            /* file of 128 KiB: byte n is n / 1024 */
    unsigned resets, suspends, wakeups;
} Fixture;

static void request_reset(Machine *m, ShutdownCause cause)
{
    ((Fixture *)m->opaque)->resets++;
}

static void ignore_shutdown(Machine *m, ShutdownCause cause)
{
}

static void request_wakeup(Machine *m, MachineWakeup reason)
{
    ((Fixture *)m->opaque)->wakeups += reason == WAKEUP_RTC;
}

static void request_suspend(Machine *m)
{
    ((Fixture *)m->opaque)->suspends++;
}

static char *find_file(Machine *m, const char *name, Error **errp)
{
    if (g_str_has_prefix(name, "/")) {
        return g_strdup(name);
    }
    if (strcmp(name, "bios-256k.bin")) {
        error_set(errp, "could not find '%s'", name);
        return NULL;
    }
    return g_strdup(((Fixture *)m->opaque)->firmware);
}

static const MachineHost host = { .request_reset = request_reset, .request_shutdown = ignore_shutdown,
                                  .request_suspend = request_suspend, .request_wakeup = request_wakeup, .find_file = find_file };

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const QClass *const *)a)->item.name, (*(const QClass *const *)b)->item.name);
}

static void add_with_parents(GPtrArray *list, const QClass *k)
{
    for (; k; k = k->parent) {
        if (!g_ptr_array_find(list, k, NULL)) {
            g_ptr_array_add(list, (void *)k);
        }
    }
}

static Fixture *fixture_new(void)
{
    static bool registered;
    Fixture *f = g_new0(Fixture, 1);
    uint8_t *image = g_malloc(128 << 10);
    int fd = g_file_open_tmp("pc-test-XXXXXX", &f->firmware, NULL);

    g_close(fd, NULL);
    for (unsigned i = 0; i < 128 << 10; i++) {
        image[i] = (uint8_t)(i >> 10);
    }
    g_assert_true(g_file_set_contents(f->firmware, (char *)image, 128 << 10, NULL));
    g_free(image);
    if (!registered) {
        rcu_thread_register();
        registered = true;
    }
    f->list = g_ptr_array_new();
    for (unsigned i = 0; i < G_N_ELEMENTS(classes); i++) {
        add_with_parents(f->list, classes[i]);
    }
    g_ptr_array_sort(f->list, by_name);
    f->schema = (QSchema){ .classes = (const QClass *const *)f->list->pdata, .num_classes = f->list->len };
    f->tree = qom_tree_new(&f->schema, &qom_values);
    return f;
}

/* The machine with this configuration (JSON); NULL with errp. */
static bool build(Fixture *f, const char *json, Error **errp)
{
    struct json_object *props = json_tokener_parse(json);
    QomConf conf = { 0 };

    g_assert_nonnull(props);
    g_assert_true(qom_conf_build(f->tree, &qclass_pc_i440fx_10_0_machine, props, false, &conf, &error_abort));
    json_object_put(props);
    f->m = machine_new(f->tree, NULL, &qclass_pc_i440fx_10_0_machine, &conf, &error_abort);
    f->m->host = &host;
    f->m->opaque = f;
    f->pc = (PcMachine *)f->m;
    if (!accel_new(f->m, "qtest", NULL, errp) || !machine_create(f->m, errp) || (f->add && !f->add(f->m, errp)) ||
        !machine_finish_create(f->m, errp)) {
        machine_destroy(f->m);
        f->m = NULL;
        return false;
    }
    machine_reset(f->m, OBJECT_COLD_RESET);
    return true;
}

static Fixture *start(const char *json)
{
    Fixture *f = fixture_new();

    g_assert_true(build(f, json, &error_abort));
    return f;
}

static void end(Fixture *f)
{
    machine_destroy(f->m);
    qom_tree_free(f->tree);
    g_ptr_array_unref(f->list);
    g_unlink(f->firmware);
    g_free(f->firmware);
    g_free(f);
}

static uint32_t in(Fixture *f, uint16_t port, unsigned size)
{
    uint64_t v;

    address_space_ld(f->m->as_io, port, size, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, &v);
    return (uint32_t)v;
}

static void out(Fixture *f, uint16_t port, unsigned size, uint32_t value)
{
    address_space_st(f->m->as_io, port, size, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, value);
}

static uint8_t mem(Fixture *f, hwaddr a)
{
    uint64_t v;

    address_space_ld(f->m->as_memory, a, 1, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, &v);
    return (uint8_t)v;
}

static void put(Fixture *f, hwaddr a, uint8_t v)
{
    address_space_st(f->m->as_memory, a, 1, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, v);
}

static uint8_t cmos(Fixture *f, uint8_t index)
{
    out(f, 0x70, 1, index);
    return (uint8_t)in(f, 0x71, 1);
}

static uint32_t config(Fixture *f, unsigned devfn, unsigned reg)
{
    out(f, 0xcf8, 4, 0x80000000 | devfn << 8 | reg);
    return in(f, 0xcfc, 4);
}

/* ---- Memory ---- */

/* RAM below and above 4 GiB by size: the rule of this machine type, and max-ram-below-4g. */
static void test_split(void)
{
    static const struct {
        uint64_t size, limit, below;
    } cases[] = {
        { 128ull << 20, 0, 128ull << 20 }, { 0xdff00000, 0, 0xdff00000 }, { 0xe0000000, 0, 0xc0000000 },
        { 0xe1000000, 0, 0xc0000000 }, { 1ull << 40, 0, 0xc0000000 }, { 4ull << 30, 0x80000000, 0x80000000 },
        { 64ull << 20, 0x80000000, 64ull << 20 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        PcMachine pc = { .m.ram_size = cases[i].size, .conf.max_ram_below_4g = cases[i].limit };

        g_assert_true(pc_memory_split(&pc, &error_abort));
        g_assert_cmphex(pc.below_4g, ==, cases[i].below);
        g_assert_cmphex(pc.below_4g + pc.above_4g, ==, cases[i].size);
    }
}

static void test_memory_map(void)
{
    Fixture *f = start("{'memory': {'size': 33554432}, 'max-ram-below-4g': 16777216}");

    put(f, 0x1000, 0x5a);
    g_assert_cmphex(mem(f, 0x1000), ==, 0x5a);
    g_assert_cmphex(mem(f, 16 << 20), ==, 0xff);
    put(f, 0x100000000, 0xa5);                             /* the rest of RAM */
    g_assert_cmphex(mem(f, 0x100000000), ==, 0xa5);
    g_assert_cmphex(memory_region_host(f->m->ram)[16 << 20], ==, 0xa5);
    g_assert_cmphex(mem(f, 0x101000000), ==, 0xff);
    g_assert_cmphex(mem(f, 0xfffe0000), ==, 0);            /* firmware: at the end of 4 GiB and of 1 MiB */
    g_assert_cmphex(mem(f, 0xffffffff), ==, 127);
    g_assert_cmphex(mem(f, 0xe0000), ==, 0);
    g_assert_cmphex(mem(f, 0xfffff), ==, 127);
    put(f, 0xfffff, 1);                                    /* it is ROM */
    g_assert_cmphex(mem(f, 0xfffff), ==, 127);
    g_assert_cmphex(mem(f, 0xc0000), ==, 0);
    g_assert_cmphex(mem(f, 0xa0000), ==, 0xff);
    end(f);
}

/* ---- CMOS ---- */

static void test_cmos(void)
{
    Fixture *f = start("{'memory': {'size': 134217728}, 'smp': {'cpus': 2}, 'boot': {'order': 'dn'}, 'fd-bootchk': false}");
    static const struct {
        uint8_t index, value;
    } expected[] = {
        { 0x14, 0x06 }, { 0x15, 0x80 }, { 0x16, 0x02 }, { 0x17, 0xff }, { 0x18, 0xff }, { 0x30, 0xff }, { 0x31, 0xff },
        { 0x34, 0x00 }, { 0x35, 0x07 }, { 0x38, 0x01 }, { 0x3d, 0x43 }, { 0x5b, 0x00 }, { 0x5f, 0x01 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_assert_cmphex(cmos(f, expected[i].index), ==, expected[i].value);
    }
    machine_reset(f->m, OBJECT_WARM_RESET);
    g_assert_cmphex(cmos(f, 0x3d), ==, 0x43);
    end(f);
}

/* ---- Functions on the bus ---- */

static void test_functions(void)
{
    Fixture *f = start("{}");

    g_assert_cmphex(config(f, 0x00, 0), ==, 0x12378086);
    g_assert_cmphex(config(f, 0x00, 0x54), ==, 0x10000000); /* 128 MiB */
    g_assert_cmphex(config(f, 0x08, 0), ==, 0x70008086);
    g_assert_cmphex(config(f, 0x0b, 0), ==, 0x71138086);
    g_assert_cmphex(config(f, 0x0b, 0x90), ==, 0xb101);
    out(f, 0xcf9, 1, 6);
    g_assert_cmpuint(f->resets, ==, 1);
    g_assert_cmphex(in(f, 0x80, 1), ==, 0xff);
    end(f);
}

static void test_options(void)
{
    Fixture *f = start("{'acpi': 'off', 'hpet': false, 'i8042': false}");

    g_assert_cmphex(config(f, 0x0b, 0), ==, 0xffffffff);
    g_assert_cmphex(mem(f, 0xfed00000), ==, 0xff);
    g_assert_cmphex(in(f, 0x64, 1), ==, 0xff);
    g_assert_null(fw_cfg_file(f->pc->fw_cfg, "etc/acpi/tables"));
    end(f);
}

/* ---- What the firmware is told ---- */

static void check_file(Fixture *f, const char *name, gsize size)
{
    GBytes *b = fw_cfg_file(f->pc->fw_cfg, name);

    g_assert_nonnull(b);
    g_assert_cmpuint(g_bytes_get_size(b), ==, size);
}

static void test_fw_cfg(void)
{
    Fixture *f = start("{'memory': {'size': 33554432}, 'max-ram-below-4g': 16777216, 'smp': {'cpus': 1, 'maxcpus': 4},"
                       "'boot': {'strict': true, 'splash-time': 5, 'reboot-timeout': 7}}");
    GBytes *tables;

    check_file(f, "etc/acpi/rsdp", 20);
    check_file(f, "etc/acpi/tables", 128 << 10);
    check_file(f, "etc/table-loader", 4096);
    check_file(f, "etc/e820", 60);
    check_file(f, "etc/system-states", 6);
    check_file(f, "etc/smbios/smbios-anchor", 31);
    check_file(f, "etc/boot-menu-wait", 2);
    check_file(f, "etc/boot-fail-wait", 4);
    g_assert_cmpmem(g_bytes_get_data(fw_cfg_file(f->pc->fw_cfg, "bootorder"), NULL), 5, "HALT", 5);
    out(f, 0x510, 2, FW_CFG_MAX_CPUS);
    g_assert_cmpuint(in(f, 0x511, 1), ==, 4);
    /* The firmware gives PM its ports; tables that it reads then know them (FADT follows the DSDT; find "FACP"). */
    config(f, 0x0b, 0x40);
    out(f, 0xcfc, 4, 0x601);
    config(f, 0x0b, 0x80);
    out(f, 0xcfc, 1, 1);
    for (unsigned key = FW_CFG_FILE_FIRST; key < FW_CFG_FILE_FIRST + 16; key++) {
        out(f, 0x510, 2, key);
    }
    tables = fw_cfg_file(f->pc->fw_cfg, "etc/acpi/tables");
    g_assert_nonnull(memmem(g_bytes_get_data(tables, NULL), 128 << 10, "\x00\x06\x00\x00\x00\x00\x00\x00\x04\x06", 10));
    end(f);
}

static Device *add_cd(Machine *m, const char *bus, const char *unit, const char *bootindex, Error **errp)
{
    return device_new(m, "ide-cd", bus_find(m, bus, NULL, &error_abort), NULL, NULL, errp, "unit", unit, "bootindex", bootindex, NULL);
}

static bool add_two(Machine *m, Error **errp)
{
    return add_cd(m, "ide.1", "0", "3", errp) && add_cd(m, "ide.0", "0", "-1", errp) && add_cd(m, "ide.0", "1", "1", errp);
}

static bool add_same(Machine *m, Error **errp)
{
    return add_cd(m, "ide.1", "0", "3", errp) && add_cd(m, "ide.0", "0", "3", errp);
}

static bool add_bootorder(Machine *m, Error **errp)
{
    return fw_cfg_set_file(((PcMachine *)m)->fw_cfg, "bootorder", g_bytes_new("x", 1), errp);
}

static void test_own_files(void)
{
    Fixture *f = fixture_new();
    Error *err = NULL;

    f->add = add_bootorder;
    g_assert_false(build(f, "{}", &err));
    g_assert_nonnull(strstr(error_message(err), "'bootorder' is a file of the machine's own"));
    error_free(err);
    f->add = NULL;
    g_assert_true(build(f, "{}", &error_abort));
    end(f);
}

static void test_boot_order(void)
{
    Fixture *f = fixture_new();
    Error *err = NULL;

    f->add = add_two;
    g_assert_true(build(f, "{'boot': {'strict': true}}", &error_abort));
    g_assert_cmpstr(g_bytes_get_data(fw_cfg_file(f->pc->fw_cfg, "bootorder"), NULL), ==,
                    "/pci@i0cf8/ide@1,1/drive@0/disk@1\n/pci@i0cf8/ide@1,1/drive@1/disk@0\nHALT");
    end(f);
    f = fixture_new();
    f->add = add_same;
    g_assert_false(build(f, "{}", &err));
    g_assert_cmpstr(error_message(err), ==, "The bootindex 3 has already been used");
    error_free(err);
    f->add = NULL;
    g_assert_true(build(f, "{'boot': {'order': 'cd', 'once': 'n'}}", &error_abort));
    g_assert_cmpuint(g_bytes_get_size(fw_cfg_file(f->pc->fw_cfg, "bootorder")), ==, 0);
    g_assert_cmphex(cmos(f, 0x3d), ==, 0x04);              /* the first time only */
    machine_reset(f->m, OBJECT_WARM_RESET);
    g_assert_cmphex(cmos(f, 0x3d), ==, 0x32);
    end(f);
}

/* ---- Interrupt lines ---- */

/* From the interval timer through HPET and both controllers to the processor's pin. */
static void test_timer_interrupt(void)
{
    Fixture *f = start("{}");

    clock_group_set_manual(&f->m->clocks);
    clock_group_start(&f->m->clocks);
    out(f, 0x20, 1, 0x11), out(f, 0x21, 1, 0x20), out(f, 0x21, 1, 4), out(f, 0x21, 1, 1), out(f, 0x21, 1, 0xfe);
    out(f, 0x43, 1, 0x34), out(f, 0x40, 1, 0), out(f, 0x40, 1, 0x10);
    out(f, 0x20, 1, 0x0a);
    machine_unlock(f->m);
    clock_group_step(&f->m->clocks, clock_ns(&f->m->clocks.clocks[CLOCK_VIRTUAL_NS]) + 10000000);
    machine_lock(f->m);
    g_assert_cmphex(in(f, 0x20, 1) & 1, ==, 1);
    end(f);
}

/* A PCI line shared by routing with an ISA line stays up until both are down. */
static void test_shared_line(void)
{
    Fixture *f = start("{}");
    PcMachine *pc = f->pc;

    out(f, 0x4d1, 1, 0x0e);                                /* 9 to 11 by level */
    config(f, 0x08, 0x60);
    out(f, 0xcfc, 4, 0x8080800a);
    irq_set(pc->isa->irqs[10], 1);
    pc->pci->irq_count[0] = 1;
    pc->pci->set_irq(pc->pci->irq_opaque, 0, 1);
    irq_set(pc->isa->irqs[10], 0);
    g_assert_cmpint(pc->gsi_pic[10]->level, ==, 1);
    g_assert_cmpint(pc->gsi_ioapic[10]->level, ==, 1);
    pc->pci->irq_count[0] = 0;
    pc->pci->set_irq(pc->pci->irq_opaque, 0, 0);
    g_assert_cmpint(pc->gsi_pic[10]->level, ==, 0);
    end(f);
}

static void test_a20(void)
{
    Fixture *f = start("{'smp': {'cpus': 2}}");

    out(f, 0x92, 1, 0);
    out(f, 0x64, 1, 0xd1), out(f, 0x60, 1, 0xdd);          /* the keyboard controller's off */
    g_assert_true(atomic_load(&x86_cpu(f->m->vcpus[1])->a20_masked));
    out(f, 0x92, 1, 2);
    g_assert_false(atomic_load(&x86_cpu(f->m->vcpus[0])->a20_masked));
    g_assert_false(atomic_load(&x86_cpu(f->m->vcpus[1])->a20_masked));
    end(f);
}

static void test_power_button(void)
{
    Fixture *f = start("{}");

    config(f, 0x0b, 0x40);
    out(f, 0xcfc, 4, 0x601);
    config(f, 0x0b, 0x80);
    out(f, 0xcfc, 1, 1);
    out(f, 0xb2, 1, 0xf1);
    out(f, 0x602, 2, 0x100);
    machine_functions(f->m)->powerdown(f->m);
    g_assert_cmpint(f->pc->gsi_ioapic[9]->level, ==, 1);
    out(f, 0x600, 2, 0x100);
    g_assert_cmpint(f->pc->gsi_ioapic[9]->level, ==, 0);
    out(f, 0x604, 2, 0x2401);                              /* S3 */
    g_assert_cmpuint(f->suspends, ==, 1);
    irq_pulse(device_irq_in(f->pc->pm, "rtc-alarm", 0));   /* not enabled: it sleeps on */
    g_assert_cmpuint(f->wakeups, ==, 0);
    out(f, 0x602, 2, 0x400);
    irq_pulse(device_irq_in(f->pc->pm, "rtc-alarm", 0));
    g_assert_cmpuint(f->wakeups, ==, 1);
    config(f, 0x00, 0x58);
    out(f, 0xcfc + 1, 1, 0x30);                            /* PAM0: the firmware runs in RAM, and goes on there */
    machine_functions(f->m)->wakeup(f->m, WAKEUP_RTC);
    config(f, 0x00, 0x58);
    g_assert_cmphex(in(f, 0xcfc + 1, 1), ==, 0x30);
    g_assert_cmphex(mc146818rtc_get_cmos(f->pc->rtc, 0x0f), ==, 0xfe);
    config(f, 0x0b, 0x40);
    out(f, 0xcfc, 4, 0x601);
    config(f, 0x0b, 0x80);
    out(f, 0xcfc, 1, 1);
    g_assert_cmphex(in(f, 0x600, 2), ==, 0x8400);          /* WAK_STS, RTC_STS */
    end(f);
}

/* ---- Kernels ---- */

/* A Linux image of the boot protocol's least: header only, 4 sectors of set-up code. */
static char *fake_kernel(unsigned version, size_t size)
{
    uint8_t *k = g_malloc0(size);
    char *path;
    int fd = g_file_open_tmp("pc-kernel-XXXXXX", &path, NULL);

    k[0x1f1] = 4;
    memcpy(k + 0x202, "HdrS", 4);
    k[0x206] = (uint8_t)version, k[0x207] = (uint8_t)(version >> 8);
    k[0x211] = 1;
    memcpy(k + 0x22c, "\xff\xff\xff\x7f", 4);
    memcpy(k + 0x238, "\xff\x07\0\0", 4);
    g_close(fd, NULL);
    g_assert_true(g_file_set_contents(path, (char *)k, (gssize)size, NULL));
    g_free(k);
    return path;
}

static uint32_t item32(Fixture *f, uint16_t key)
{
    uint32_t v = 0;

    out(f, 0x510, 2, key);
    for (unsigned i = 0; i < 4; i++) {
        v |= in(f, 0x511, 1) << (8 * i);
    }
    return v;
}

static void test_linux(void)
{
    g_autofree char *kernel = fake_kernel(0x20f, 100000);
    g_autofree char *initrd = fake_kernel(0, 5000);
    g_autofree char *json = g_strdup_printf("{'memory': {'size': 67108864}, 'kernel': '%s', 'initrd': '%s', 'append': 'quiet vga=ask'}",
                                            kernel, initrd);
    Fixture *f = start(json);

    g_assert_cmphex(item32(f, FW_CFG_KERNEL_ADDR), ==, 0x100000);
    g_assert_cmpuint(item32(f, FW_CFG_KERNEL_SIZE), ==, 100000 - 5 * 512);
    g_assert_cmpuint(item32(f, FW_CFG_SETUP_SIZE), ==, 5 * 512);
    g_assert_cmpuint(item32(f, FW_CFG_CMDLINE_SIZE), ==, 14);
    g_assert_cmpuint(item32(f, FW_CFG_INITRD_SIZE), ==, 5000);
    g_assert_cmphex(item32(f, FW_CFG_INITRD_ADDR), ==, (0x4000000 - 0x20000 - 1 - 5000) & ~0xfff);
    out(f, 0x510, 2, FW_CFG_SETUP_DATA);
    for (unsigned i = 0; i < 0x22c; i++) {
        unsigned v = in(f, 0x511, 1);
        g_assert_cmphex(v, ==, i == 0x1f1 ? 4 : i == 0x1fa ? 0xfd : i == 0x1fb ? 0xff : i == 0x202 ? 'H' : i == 0x203 ? 'd'
                               : i == 0x204 ? 'r' : i == 0x205 ? 'S' : i == 0x206 ? 0x0f : i == 0x207 ? 2 : i == 0x210 ? 0xb0
                               : i == 0x211 ? 0x81 : i == 0x219 ? 0xe0 : i == 0x21a ? 0xfd : i == 0x21b ? 0x03 : i == 0x21c ? 0x88
                               : i == 0x21d ? 0x13 : i == 0x225 ? 0xfe : i == 0x22a ? 2 : 0);
    }
    check_file(f, "genroms/linuxboot_dma.bin", 512);
    g_assert_cmpstr(g_bytes_get_data(fw_cfg_file(f->pc->fw_cfg, "bootorder"), NULL), ==, "/rom@genroms/linuxboot_dma.bin");
    end(f);
    g_unlink(kernel);
    g_unlink(initrd);
}

/* ---- Errors ---- */

static void test_errors(void)
{
    g_autofree char *old = fake_kernel(0x200, 100000), *huge = fake_kernel(0x20f, 3 << 20);
    g_autofree char *use_old = g_strdup_printf("{'kernel': '%s'}", old);
    g_autofree char *use_huge = g_strdup_printf("{'kernel': '%s', 'memory': {'size': 3145728}}", huge);
    g_autofree char *not_fw = g_strdup_printf("{'firmware': '%s'}", old);
    const struct {
        const char *json, *text;
    } cases[] = {
        { "{'firmware': 'nosuch'}", "could not find 'nosuch'" }, { "{'kernel': '/nonexistent'}", "could not open kernel file '/nonexistent'" },
        { "{'initrd': 'x'}", "-initrd only allowed" }, { "{'append': 'x'}", "-append only allowed" },
        { "{'boot': {'order': 'cz'}}", "'z'" }, { "{'boot': {'once': 'cc'}}", "duplicate" },
        { "{'memory': {'size': 524288}}", "1 MiB" }, { use_old, "boot protocol 2.00" }, { use_huge, "does not fit" },
        { not_fw, "multiple of 64 KiB" }, { "{'x-oem-id': 'TOOLONG'}", "at most 6" }, { "{'smp': {'cpus': 300}}", "300" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        Fixture *f = fixture_new();
        Error *err = NULL;

        g_assert_false(build(f, cases[i].json, &err));
        if (!strstr(error_message(err), cases[i].text)) {
            g_test_message("%s: %s", cases[i].json, error_message(err));
            g_test_fail();
        }
        error_free(err);
        g_assert_true(build(f, "{}", &error_abort));       /* the same tree can hold one still */
        end(f);
    }
    g_unlink(old);
    g_unlink(huge);
}

static void test_two_machines(void)
{
    Fixture *a = start("{'memory': {'size': 16777216}}"), *b;

    machine_unlock(a->m);
    b = start("{'memory': {'size': 33554432}}");
    put(b, 0x1000, 7);
    machine_unlock(b->m);
    machine_lock(a->m);
    g_assert_cmphex(mem(a, 0x1000), ==, 0);
    g_assert_cmphex(config(a, 0, 0x54), ==, 0x02000000);
    end(a);
    machine_lock(b->m);
    g_assert_cmphex(mem(b, 0x1000), ==, 7);
    end(b);
}

/* ---- A hostile guest: any value to any port, configuration register and region; it must live, and be reset after ---- */

static uint32_t random_value(void)
{
    static const uint32_t nice[] = { 0, 1, 0xff, 0xffff, 0xffffffff, 0x80000000, 0xfee00000, 0xfec00000, 0xa0000, 0xcf8 };

    return g_test_rand_int() & 1 ? nice[(unsigned)g_test_rand_int() % G_N_ELEMENTS(nice)] : (uint32_t)g_test_rand_int();
}

static uint16_t random_port(void)
{
    static const uint16_t ports[] = { 0x00, 0x20, 0x40, 0x60, 0x61, 0x64, 0x70, 0x80, 0x92, 0xa0, 0xb2, 0xc0, 0x170, 0x1f0, 0x3b0,
                                      0x3c0, 0x3d0, 0x3f6, 0x4d0, 0x510, 0x514, 0x600, 0xafe0, 0xb100, 0xcf8, 0xcfc };

    return (uint16_t)(g_test_rand_int() & 7 ? ports[(unsigned)g_test_rand_int() % G_N_ELEMENTS(ports)] + (g_test_rand_int() & 15)
                                            : g_test_rand_int());
}

static hwaddr random_address(void)
{
    static const hwaddr bases[] = { 0, 0xa0000, 0xc0000, 0xf0000, 0xfec00000, 0xfed00000, 0xfee00000, 0xfffc0000, 0x100000000 };

    return bases[(unsigned)g_test_rand_int() % G_N_ELEMENTS(bases)] + ((uint32_t)g_test_rand_int() & 0xfff);
}

static void random_access(Fixture *f)
{
    unsigned size = 1u << g_test_rand_int_range(0, 3);
    uint64_t v = random_value();

    switch (g_test_rand_int_range(0, 6)) {
    case 0:
        in(f, random_port(), size);
        break;
    case 1:
    case 2:
        out(f, random_port(), size, (uint32_t)v);
        break;
    case 3: /* configuration of a function that is there */
        config(f, ((uint32_t)g_test_rand_int() & 0x1b), (uint32_t)g_test_rand_int() & 0xfc);
        out(f, (uint16_t)(0xcfc + (g_test_rand_int() & 3)), size, (uint32_t)v);
        break;
    case 4:
        address_space_ld(f->m->as_memory, random_address(), size, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, &v);
        break;
    default:
        address_space_st(f->m->as_memory, random_address(), size, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, v);
        break;
    }
}

static void test_hostile(void)
{
    Fixture *f = start("{'memory': {'size': 16777216}}");

    clock_group_set_manual(&f->m->clocks);
    clock_group_start(&f->m->clocks);
    for (unsigned round = 0; round < 300; round++) {
        for (unsigned i = 0; i < 500; i++) {
            random_access(f);
        }
        machine_unlock(f->m);
        clock_group_step(&f->m->clocks, clock_ns(&f->m->clocks.clocks[CLOCK_VIRTUAL_NS]) + g_test_rand_int_range(0, 50000000));
        machine_lock(f->m);
        if (round % 16 == 15) {
            machine_reset(f->m, round & 16 ? OBJECT_COLD_RESET : OBJECT_WARM_RESET);
            g_assert_cmphex(config(f, 0, 0x72) & 0xff0000, ==, 0x020000);
            g_assert_cmphex(mem(f, 0xfffff), ==, 127);
        }
    }
    end(f);
}

/* ---- Topology ---- */

static void test_topology(void)
{
    CpuTopology t = { .threads = 2, .cores = 3, .modules = 1, .dies = 2, .sockets = 2, .cpus = 24, .maxcpus = 24 };

    g_assert_cmpuint(x86_apic_id(&t, 0), ==, 0);
    g_assert_cmpuint(x86_apic_id(&t, 5), ==, 5);           /* core 2, thread 1 */
    g_assert_cmpuint(x86_apic_id(&t, 6), ==, 8);           /* die 1 */
    g_assert_cmpuint(x86_apic_id(&t, 12), ==, 16);         /* socket 1 */
    g_assert_cmpuint(x86_apic_id_limit(&t), ==, 30);
    t = (CpuTopology){ .cpus = 4 };
    g_assert_cmpuint(x86_apic_id(&t, 3), ==, 3);
}

/* ---- ELF ---- */

/* A 32-bit kernel: one segment of 16 bytes at 2 MiB that takes 64, one note. */
static GByteArray *fake_elf(void)
{
    static const uint8_t file[] = {
        0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 52, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 52, 0, 32, 0, 2, 0, 0, 0, 0, 0, 0, 0,
        1, 0, 0, 0, 116, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 16, 0, 0, 0, 64, 0, 0, 0, 7, 0, 0, 0, 0, 0x10, 0, 0,
        4, 0, 0, 0, 132, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 20, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0,
        'k', 'e', 'r', 'n', 'e', 'l', 0, 0, 0, 0, 0, 0, 0, 0, 0, '!',
        4, 0, 0, 0, 4, 0, 0, 0, 18, 0, 0, 0, 'X', 'e', 'n', 0, 4, 0, 0x20, 0,
    };
    GByteArray *a = g_byte_array_new();

    return g_byte_array_append(a, file, sizeof(file));
}

static void test_elf(void)
{
    GByteArray *e = fake_elf();
    ElfKernel k;
    const uint8_t *image;
    gsize size;

    g_assert_true(elf_is(e->data, e->len));
    g_assert_true(elf_pvh_load(e->data, e->len, 1ull << 30, &k, &error_abort));
    g_assert_cmphex(k.address, ==, 0x200000);
    g_assert_cmphex(k.entry, ==, 0x200004);
    image = g_bytes_get_data(k.image, &size);
    g_assert_cmpuint(size, ==, 64);
    g_assert_cmpuint(image[15], ==, '!');
    g_bytes_unref(k.image);
    g_byte_array_unref(e);
}

/* Any bytes changed give an error or an image within the limit, and touch nothing else. */
static void test_elf_random(void)
{
    unsigned loaded = 0;

    for (unsigned i = 0; i < 20000; i++) {
        GByteArray *e = fake_elf();
        ElfKernel k;
        Error *err = NULL;
        uint8_t *exact;

        for (int n = g_test_rand_int_range(1, 4); n > 0; n--) {
            e->data[g_test_rand_int_range(4, (int)e->len)] = (uint8_t)(g_test_rand_int() & 1 ? g_test_rand_int() : 0xff);
        }
        g_byte_array_set_size(e, (guint)(i % 4 ? e->len : (unsigned)g_test_rand_int_range(52, (int)e->len)));
        exact = g_memdup2(e->data, e->len); /* so that a checker sees the end */
        if (elf_pvh_load(exact, e->len, 64 << 20, &k, &err)) {
            g_assert_cmpuint(k.address + g_bytes_get_size(k.image), <=, 64 << 20);
            g_bytes_unref(k.image);
            loaded++;
        }
        error_free(err);
        g_free(exact);
        g_byte_array_unref(e);
    }
    g_assert_cmpuint(loaded, >, 100);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pc/memory/split", test_split);
    g_test_add_func("/pc/memory/map", test_memory_map);
    g_test_add_func("/pc/cmos", test_cmos);
    g_test_add_func("/pc/functions", test_functions);
    g_test_add_func("/pc/options", test_options);
    g_test_add_func("/pc/fw_cfg", test_fw_cfg);
    g_test_add_func("/pc/own-files", test_own_files);
    g_test_add_func("/pc/boot-order", test_boot_order);
    g_test_add_func("/pc/irq/timer", test_timer_interrupt);
    g_test_add_func("/pc/irq/shared", test_shared_line);
    g_test_add_func("/pc/a20", test_a20);
    g_test_add_func("/pc/power-button", test_power_button);
    g_test_add_func("/pc/kernel/linux", test_linux);
    g_test_add_func("/pc/errors", test_errors);
    g_test_add_func("/pc/two-machines", test_two_machines);
    g_test_add_func("/pc/hostile", test_hostile);
    g_test_add_func("/pc/topology", test_topology);
    g_test_add_func("/pc/elf/load", test_elf);
    g_test_add_func("/pc/elf/random", test_elf_random);
    return g_test_run();
}
