/* The qtest protocol, line by line. */
#include <string.h>

#include "accel/qtest/qtest.h"
#include "tests/devtest.h"

typedef struct {
    DevTest *t;
    QtestServer *s;
    GString *out;
} Env;

/* A device with one register per port, an input that is put on its output, and a timer. */
typedef struct {
    IsaDevice isa;
    MemoryRegion mr;
    Irq *out[2];
    Timer timer;
    int64_t deadline;
    uint8_t regs[4];
} Toy;

static uint64_t toy_read(void *dev, uint64_t offset, unsigned size)
{
    return ((Toy *)dev)->regs[offset];
}

static void toy_tick(void *opaque)
{
    irq_set(((Toy *)opaque)->out[1], 1);
}

static void toy_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    Toy *d = dev;

    d->regs[offset] = value;
    irq_set(d->out[0], value & 1);
    if (offset == 3) {
        timer_arm(&d->timer, clock_ns(d->timer.clock) + 1000);
    }
}

static const MemoryOps toy_mem_ops = {.read = toy_read, .write = toy_write, .impl_max = 1};

static void toy_in(void *opaque, int n, int level)
{
    ((Toy *)opaque)->regs[n] = level;
}

static bool toy_init(Object *o, Error **errp)
{
    device_init_irq_in(DEVICE(o), NULL, toy_in, 4);
    device_init_irq_out(DEVICE(o), NULL, ((Toy *)o)->out, 2);
    return true;
}

static bool toy_realize(Object *o, Error **errp)
{
    Toy *d = (Toy *)o;
    Machine *m = d->isa.dev.machine;

    d->deadline = -1;
    timer_init(&d->timer, &m->clocks.clocks[CLOCK_VIRTUAL_NS], &d->deadline, toy_tick, d);
    memory_region_init_io(&d->mr, m->map, o, &toy_mem_ops, d, "toy", 4);
    return isa_map_io(&d->isa, &d->mr, 0x100, errp);
}

static void toy_unrealize(Object *o)
{
    Toy *d = (Toy *)o;

    memory_region_finish(&d->mr);
    timer_finish(&d->timer);
}

static const ObjectOps toy_ops = {.size = sizeof(Toy), .init = toy_init, .realize = toy_realize, .unrealize = toy_unrealize};

extern const QClass qclass_isa_device;
static const QType empty_conf = {.item = {.name = "EmptyConf", .doc = "", .since = ""}, .kind = QK_STRUCT, .size = 1};
static const QClass qclass_toy = {
    .item = {.name = "toy", .doc = "Test device.", .since = "10.0"}, .parent = &qclass_isa_device, .kind = QCLASS_DEVICE,
    .user_creatable = true, .bus = "ISA", .conf = &empty_conf, .impl = &toy_ops,
};

static void collect(void *opaque, const char *line)
{
    g_string_append(opaque, line);
}

static void env_init(Env *e)
{
    e->t = devtest_new(&qclass_toy);
    devtest_add(e->t, "toy", "id=dev");
    e->out = g_string_new("");
    e->s = qtest_server_new_raw(e->t->m, collect, e->out);
    machine_unlock(e->t->m);
}

static void env_finish(Env *e)
{
    qtest_server_free(e->s);
    machine_lock(e->t->m);
    devtest_free(e->t);
    g_string_free(e->out, TRUE);
}

static void check(Env *e, const char *in, const char *want)
{
    g_string_truncate(e->out, 0);
    qtest_server_feed(e->s, in, strlen(in));
    g_assert_cmpstr(e->out->str, ==, want);
}

static void test_accesses(void)
{
    Env e;

    env_init(&e);
    check(&e, "endianness\n", "OK little\n");
    check(&e, "outb 0x100 0x42\ninb 0x100\r\n", "OK\nOK 0x0042\n");
    check(&e, "inw 256\ninl 0x200\n", "OK 0x0042\nOK 0xffffffff\n");
    check(&e, "writel 0x1000 0x11223344\nreadb 0x1001\nreadw 0x1002\nreadq 0x1000\n",
          "OK\nOK 0x0000000000000033\nOK 0x0000000000001122\nOK 0x0000000011223344\n");
    check(&e, "read 0x0fff 4\n", "OK 0x00443322\n");
    check(&e, "write 0x2000 4 0xABcd\nread 0x2000 4\n", "OK\nOK 0xabcd0000\n");
    check(&e, "memset 0x2000 3 0x41\nb64read 0x2000 4\n", "OK\nOK QUFBAA==\n");
    check(&e, "b64write 0x2000 3 Wlla\nread 0x2000 3\n", "OK\nOK 0x5a595a\n");
    check(&e, "readl 0xf0000000\n", "OK 0x00000000ffffffff\n");
    check(&e, "read 0 0\n", "FAIL read: size 0 is not from 1 to 16777216\n");
    check(&e, "read 0 0x7fffffff1\n", "FAIL read: size 34359738353 is not from 1 to 16777216\n");
    check(&e, "readb\n", "FAIL readb: 0 arguments given\n");
    check(&e, "readb 1x\n", "FAIL readb: '1x' is not a number\n");
    check(&e, "write 0 1 12\n", "FAIL write: data must be 0x and pairs of hexadecimal digits\n");
    check(&e, "b64write 0 2 QQ==\n", "FAIL b64write: 1 bytes of data, but a size of 2\n");
    check(&e, "foo bar\n", "FAIL Unknown command 'foo'\n");
    check(&e, "\n  \n", "");
    check(&e, "rea", ""); /* in pieces */
    check(&e, "db 0x2000\nre", "OK 0x000000000000005a\n");
    check(&e, "adb 0x2001\n", "OK 0x0000000000000059\n");
    env_finish(&e);
}

static void test_clock(void)
{
    Env e;

    env_init(&e);
    check(&e, "clock_step\nclock_step 500\n", "OK 0\nOK 500\n");
    check(&e, "irq_intercept_out dev\noutb 0x103 0\nclock_step\n", "OK\nOK\nIRQ raise 1\nOK 1500\n");
    check(&e, "clock_set 1000\nclock_set 100000\n", "OK 1500\nOK 100000\n");
    check(&e, "clock_step 0x7fffffffffffffff\n", "FAIL clock_step: 9223372036854775807 ns is beyond the end of time\n");
    env_finish(&e);
}

static void test_irqs(void)
{
    Env e;
    Toy *d;

    env_init(&e);
    d = (Toy *)object_child(object_child(OBJECT(e.t->m), "peripheral"), "dev");
    check(&e, "irq_intercept_in nobody\n", "FAIL Unknown device\n");
    check(&e, "set_irq_in /machine/peripheral/dev unnamed-gpio-in 2 1\ninb 0x102\n", "OK\nOK 0x0001\n");
    check(&e, "set_irq_in dev unnamed-gpio-in 4 1\nset_irq_in dev x 0 1\n", "FAIL Unknown IRQ\nFAIL Unknown IRQ\n");
    check(&e, "irq_intercept_in dev\nset_irq_in dev unnamed-gpio-in 3 1\n", "OK\nIRQ raise 3\nOK\n");
    check(&e, "set_irq_in dev unnamed-gpio-in 3 1\n", "OK\n"); /* no change */
    check(&e, "set_irq_in dev unnamed-gpio-in 3 0\ninb 0x103\n", "IRQ lower 3\nOK\nOK 0x0000\n");
    check(&e, "irq_intercept_out dev\nirq_intercept_in dev\n", "OK\nOK\n"); /* one kind, once */
    qtest_server_free(e.s);
    e.s = qtest_server_new_raw(e.t->m, collect, e.out);
    check(&e, "irq_intercept_out /machine/peripheral/dev\noutb 0x100 1\noutb 0x100 3\noutb 0x100 2\n",
          "OK\nIRQ raise 0\nOK\nOK\nIRQ lower 0\nOK\n");
    qtest_server_free(e.s);
    e.s = qtest_server_new_raw(e.t->m, collect, e.out);
    g_assert_null(d->out[0]); /* as it was */
    env_finish(&e);
}

/* Any bytes: an answer or nothing, never an end. */
static void test_fuzz(void)
{
    static const char *const words[] = {"outb", "inl", "readq", "writew", "read", "write", "memset", "clock_step", "b64write",
                                        "clock_set", "set_irq_in", "irq_intercept_in", "dev", "0x100", "0x41", "1", "4", "-1",
                                        "QUFB", "0xffffffffffffffff", "/machine", "unnamed-gpio-in", "\n", "\n", "\n"};
    Env e;

    env_init(&e);
    for (int i = 0; i < 40000; i++) {
        const char *w = words[g_test_rand_int_range(0, G_N_ELEMENTS(words))];
        uint8_t noise = g_test_rand_int();

        qtest_server_feed(e.s, w, strlen(w));
        qtest_server_feed(e.s, " ", 1);
        if (g_test_rand_int_range(0, 20) == 0) {
            qtest_server_feed(e.s, &noise, 1);
        }
        g_string_truncate(e.out, 0);
    }
    env_finish(&e);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qtest/accesses", test_accesses);
    g_test_add_func("/qtest/clock", test_clock);
    g_test_add_func("/qtest/irqs", test_irqs);
    g_test_add_func("/qtest/fuzz", test_fuzz);
    return g_test_run();
}
