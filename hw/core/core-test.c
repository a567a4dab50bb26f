/* Devices, buses, lines, machines: by toy devices on the ISA bus. */
#include <json-c/json.h>
#include <string.h>

#include "hw/core/machine.gen.h"
#include "hw/isa/isa.gen.h"
#include "qapi/schema.h"
#include "tests/devtest.h"

/* ---- Two classes: one that counts, one that fails where it is told ---- */

typedef struct {
    uint32_t iobase;
    uint32_t irq;
    uint32_t fail;
} ToyConf;

typedef struct {
    IsaDevice isa;
    ToyConf conf;
    MemoryRegion mr;
    Irq *irq, *pins[2];
    int inputs[3];
    unsigned order;
} Toy;

static unsigned resets;

static uint64_t toy_read(void *dev, uint64_t offset, unsigned size)
{
    return ((Toy *)dev)->inputs[offset % 3];
}

static void toy_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    irq_set(((Toy *)dev)->irq, value & 1);
}

static const MemoryOps toy_mem_ops = {.read = toy_read, .write = toy_write, .valid_max = 4, .impl_max = 1};

static void toy_input(void *opaque, int n, int level)
{
    ((Toy *)opaque)->inputs[n] = level;
}

static bool toy_init(Object *o, Error **errp)
{
    Toy *d = (Toy *)o;

    device_init_irq_in(DEVICE(o), NULL, toy_input, 3);
    device_init_irq_out(DEVICE(o), "pins", d->pins, 2);
    return true;
}

static bool toy_realize(Object *o, Error **errp)
{
    Toy *d = (Toy *)o;

    if (d->conf.fail == 1) {
        return error_set(errp, "toy fails as told");
    }
    memory_region_init_io(&d->mr, d->isa.dev.machine->map, o, &toy_mem_ops, d, "toy", 4);
    if (!isa_map_io(&d->isa, &d->mr, d->conf.iobase, errp) || !isa_irq(&d->isa, d->conf.irq, &d->irq, errp) ||
        !bus_new(d->isa.dev.machine, "ISA", DEVICE(o), NULL, errp)) {
        memory_region_finish(&d->mr);
        return false;
    }
    return true;
}

static void toy_unrealize(Object *o)
{
    memory_region_finish(&((Toy *)o)->mr);
}

static void toy_reset(Object *o, ObjectResetKind kind)
{
    ((Toy *)o)->order = ++resets;
}

static const ObjectOps toy_ops = {
    .size = sizeof(Toy),
    .conf_offset = offsetof(Toy, conf),
    .init = toy_init,
    .realize = toy_realize,
    .unrealize = toy_unrealize,
    .reset = toy_reset,
};

static void iobase_default(void *base)
{
    ((ToyConf *)base)->iobase = 0x100;
}

static void irq_default(void *base)
{
    ((ToyConf *)base)->irq = 5;
}

static void fail_default(void *base)
{
    ((ToyConf *)base)->fail = 0;
}

static const QMember toy_members[] = {
    {.item = {.name = "iobase", .doc = "", .since = ""}, .type = &qtype_uint32, .offset = offsetof(ToyConf, iobase),
     .has_offset = -1, .set_default = iobase_default, .default_text = "256"},
    {.item = {.name = "irq", .doc = "", .since = ""}, .type = &qtype_uint32, .offset = offsetof(ToyConf, irq),
     .has_offset = -1, .set_default = irq_default, .default_text = "5"},
    {.item = {.name = "fail", .doc = "", .since = ""}, .type = &qtype_uint32, .offset = offsetof(ToyConf, fail),
     .has_offset = -1, .set_default = fail_default, .default_text = "0"},
};
static const QType toy_conf_type = {
    .item = {.name = "ToyConf", .doc = "", .since = ""}, .kind = QK_STRUCT, .size = sizeof(ToyConf),
    .members = toy_members, .num_members = 3,
};
static const QClass qclass_toy = {
    .item = {.name = "toy", .doc = "Test device.", .since = "10.0"}, .parent = &qclass_isa_device, .kind = QCLASS_DEVICE,
    .user_creatable = true, .hotpluggable = true, .bus = "ISA", .conf = &toy_conf_type, .impl = &toy_ops,
};
static const QClass qclass_toy_child = {
    .item = {.name = "toy-board-only", .doc = "Test device.", .since = "10.0"}, .parent = &qclass_toy,
    .kind = QCLASS_DEVICE, .bus = "ISA", .conf = &toy_conf_type,
};

/* ---- ---- */

static void check_error(DevTest *t, const char *driver, const char *props, const char *want)
{
    g_autofree char *text = devtest_add_error(t, driver, props);

    g_assert_cmpstr(text, ==, want);
}

static void test_add(void)
{
    DevTest *t = devtest_new(&qclass_toy, &qclass_toy_child);
    Device *a = devtest_add(t, "toy", "id=a,iobase=0x200"), *b = devtest_add(t, "toy", NULL);
    char *path;
    unsigned n = 0;

    path = object_path(OBJECT(a));
    g_assert_cmpstr(path, ==, "/machine/peripheral/a");
    free(path);
    path = object_path(OBJECT(b));
    g_assert_cmpstr(path, ==, "/machine/peripheral-anon/device[0]");
    free(path);
    path = object_path(OBJECT(devtest_add(t, "toy-board-only", "iobase=0x300")));
    g_assert_cmpstr(path, ==, "/machine/unattached/device[0]");
    free(path);
    g_assert_true(a->bus == BUS(t->isa) && a->machine == t->m);
    g_assert_cmpstr(a->buses[0]->name, ==, "a.0");
    g_assert_cmpstr(b->buses[0]->name, ==, "isa.1");
    check_error(t, "toys", NULL, "'toys' is not a valid device model name");
    check_error(t, "device", NULL, "Parameter 'driver' expects a pluggable device type");
    check_error(t, "toy", "id=a", "Duplicate device ID 'a'");
    check_error(t, "toy", "id=2", "Parameter 'id' expects an identifier");
    check_error(t, "toy", "bus=zz", "Bus 'zz' not found");
    check_error(t, "toy", "bus=pci.0", "Device 'toy' can't go on PCI bus");
    check_error(t, "toy", "fail=1,iobase=1", "toy fails as told");
    check_error(t, "toy", "iobase=1,irq=16", "toy: irq 16 is not one of the ISA bus, which has 0 to 15");
    check_error(t, "toy", "iobase=0x1ff", "toy: ports 0x1ff to 0x202 are used by /machine/peripheral/a (toy)");
    check_error(t, "toy", "iobase=0xfffe", "toy: 4 ports at 0xfffe reach past 0xffff");
    check_error(t, "toy", "iobas=4", "Property 'toy.iobas' not found");
    for (Device *d = t->isa->bus.devices; d; d = d->bus_next) {
        n++;
    }
    g_assert_cmpuint(n, ==, 3); /* those that failed are gone */
    g_assert_cmpuint(t->isa->bus.num_devices, ==, 3);
    g_assert_cmphex(devtest_inb(t, 1), ==, 0xff);
    devtest_add(t, "toy", "iobase=1");
    devtest_free(t);
}

static void test_global(void)
{
    DevTest *t = devtest_new(&qclass_toy);
    struct json_object *v = json_object_new_string("0x180");

    qom_add_global(t->tree, "toy", "iobase", v);
    g_assert_cmphex(((Toy *)devtest_add(t, "toy", NULL))->conf.iobase, ==, 0x180);
    g_assert_cmphex(((Toy *)devtest_add(t, "toy", "iobase=0x190"))->conf.iobase, ==, 0x190);
    devtest_free(t);
}

static void test_del(void)
{
    DevTest *t = devtest_new(&qclass_toy);
    Error *err = NULL;

    devtest_add(t, "toy", "id=a");
    machine_finish_create(t->m, &error_abort);
    check_error(t, "toy", "iobase=0x300", "Bus 'isa.0' does not support hotplugging");
    g_assert_false(device_del(t->m, "a", &err));
    g_assert_cmpstr(error_message(err), ==, "Bus 'isa.0' does not support hotplugging");
    error_free(err);
    err = NULL;
    g_assert_false(device_del(t->m, "b", &err));
    g_assert_cmpstr(error_message(err), ==, "Device 'b' not found");
    g_assert_cmpint(error_class(err), ==, ERROR_DEVICE_NOT_FOUND);
    error_free(err);
    devtest_free(t);
}

static void seen(void *opaque, Irq *irq, int level)
{
    *(int *)opaque = irq->n * 10 + level;
}

static void test_lines(void)
{
    DevTest *t = devtest_new(&qclass_toy);
    Toy *a = (Toy *)devtest_add(t, "toy", "iobase=0x200"), *b = (Toy *)devtest_add(t, "toy", "iobase=0x300,irq=3");
    int got = 0;

    devtest_script(t, "outb 0x200 1; irq 5 = 1; outb 0x200 0; irq 5 = 0; rises 5 = 1; outb 0x301 1 # other line\n irq 3 = 1");
    irq_set(a->pins[1], 1); /* not connected */
    device_connect_irq_out(DEVICE(a), "pins", 1, device_irq_in(DEVICE(b), NULL, 2));
    irq_raise(a->pins[1]);
    g_assert_cmpint(b->inputs[2], ==, 1);
    g_assert_cmphex(devtest_inb(t, 0x302), ==, 1);
    a->pins[1]->intercept = seen;
    a->pins[1]->intercept_opaque = &got;
    irq_lower(a->pins[1]);
    g_assert_cmpint(got, ==, 20);
    g_assert_cmpint(b->inputs[2], ==, 0);
    a->pins[1]->intercept_only = true;
    irq_raise(a->pins[1]);
    g_assert_cmpint(got, ==, 21);
    g_assert_cmpint(b->inputs[2], ==, 0);
    devtest_free(t);
}

static void test_reset(void)
{
    DevTest *t = devtest_new(&qclass_toy);
    Toy *a = (Toy *)devtest_add(t, "toy", "iobase=0x200"), *b = (Toy *)devtest_add(t, "toy", "iobase=0x300");

    devtest_reset(t, OBJECT_WARM_RESET);
    g_assert_cmpuint(a->order, <, b->order);
    devtest_free(t);
}

static void collect(void *opaque, const char *text)
{
    g_string_append(opaque, text);
}

static void test_qtree(void)
{
    DevTest *t = devtest_new(&qclass_toy);
    g_autoptr(GString) s = g_string_new("");

    devtest_add(t, "toy", "id=x,iobase=0x2f8");
    device_print_tree(t->m, collect, s);
    g_assert_cmpstr(s->str, ==,
                    "bus: main-system-bus\n"
                    "  type System\n"
                    "  bus: isa.0\n"
                    "    type ISA\n"
                    "    dev: toy, id \"x\"\n"
                    "      gpio-in \"\" 3\n"
                    "      gpio-out \"pins\" 2\n"
                    "      iobase = 760 (0x2f8)\n"
                    "      irq = 5 (0x5)\n"
                    "      fail = 0 (0x0)\n"
                    "      bus: x.0\n"
                    "        type ISA\n"
                    "  bus: pci.0\n"
                    "    type PCI\n");
    devtest_free(t);
}

/* -smp as QEMU 10.0 fills it in: cores before sockets. */
static void test_topology(void)
{
    static const MachineOps ops = {.max_cpus = 255, .max_dies = 8};
    static const struct {
        unsigned cpus, sockets, dies, cores, threads, maxcpus;
        const char *want;
    } rows[] = {
        {0, 0, 0, 0, 0, 0, "1: 1 1 1 1 of 1"},
        {4, 0, 0, 0, 0, 0, "4: 1 1 4 1 of 4"},
        {4, 2, 0, 0, 0, 0, "4: 2 1 2 1 of 4"},
        {8, 0, 2, 0, 2, 0, "8: 1 2 2 2 of 8"},
        {4, 0, 0, 2, 0, 0, "4: 2 1 2 1 of 4"},
        {2, 0, 0, 0, 0, 16, "2: 1 1 16 1 of 16"},
        {0, 2, 0, 3, 2, 0, "12: 2 1 3 2 of 12"},
        {8, 2, 0, 2, 0, 0, "8: 2 1 2 2 of 8"},
        {3, 2, 0, 0, 0, 0,
         "Invalid CPU topology: product of the hierarchy must match maxcpus: sockets (2) * dies (1) * modules (1) * "
         "cores (1) * threads (1) != maxcpus (3)"},
        {8, 0, 0, 0, 0, 4,
         "Invalid CPU topology: maxcpus must be equal to or greater than smp: sockets (1) * dies (1) * modules (1) * "
         "cores (4) * threads (1) == maxcpus (4) < smp_cpus (8)"},
        {300, 0, 0, 0, 0, 0, "Invalid SMP CPUs 300. The max CPUs supported by this machine type is 255"},
        {0, 0, 9, 0, 0, 0, "dies > 8 not supported by this machine's CPU topology"},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        SMPConfiguration c = {
            .has_cpus = rows[i].cpus, .cpus = rows[i].cpus, .has_sockets = rows[i].sockets, .sockets = rows[i].sockets,
            .has_dies = rows[i].dies, .dies = rows[i].dies, .has_cores = rows[i].cores, .cores = rows[i].cores,
            .has_threads = rows[i].threads, .threads = rows[i].threads, .has_maxcpus = rows[i].maxcpus,
            .maxcpus = rows[i].maxcpus,
        };
        CpuTopology t;
        Error *err = NULL;
        g_autofree char *got = cpu_topology_parse(&c, &ops, &t, &err)
                                   ? g_strdup_printf("%u: %u %u %u %u of %u", t.cpus, t.sockets, t.dies, t.cores, t.threads,
                                                     t.maxcpus)
                                   : g_strdup(error_message(err));

        g_assert_cmpstr(got, ==, rows[i].want);
        error_free(err);
    }
}

/* Two machines live in one process. */
static void test_two(void)
{
    DevTest *a = devtest_new(&qclass_toy), *b;
    Toy *d = (Toy *)devtest_add(a, "toy", NULL);

    machine_unlock(a->m);
    b = devtest_new(&qclass_toy);
    devtest_add(b, "toy", NULL);
    devtest_outb(b, 0x100, 1);
    g_assert_cmpuint(devtest_irq(b, 5), ==, 1);
    g_assert_cmpuint(devtest_irq(a, 5), ==, 0);
    devtest_free(b);
    machine_lock(a->m);
    g_assert_true(d->isa.dev.machine == a->m);
    devtest_outb(a, 0x100, 1);
    g_assert_cmpuint(devtest_irq(a, 5), ==, 1);
    devtest_free(a);
}

static void test_fuzz(void)
{
    DevTest *t = devtest_new(&qclass_toy);

    devtest_add(t, "toy", NULL);
    devtest_fuzz(t, &(DevTestFuzz){.io_base = 0xf0, .io_size = 32, .mem_base = 0, .mem_size = 0x10000});
    devtest_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/core/add", test_add);
    g_test_add_func("/core/global", test_global);
    g_test_add_func("/core/del", test_del);
    g_test_add_func("/core/lines", test_lines);
    g_test_add_func("/core/reset", test_reset);
    g_test_add_func("/core/qtree", test_qtree);
    g_test_add_func("/core/topology", test_topology);
    g_test_add_func("/core/two", test_two);
    g_test_add_func("/core/fuzz", test_fuzz);
    return g_test_run();
}
