/* The pair of 8259As through its ports, and its priorities against a model that keeps an ordered list. */
#include "hw/intc/i8259.h"

#include "hw/intc/i8259.gen.h"
#include "hw/intc/intctrl.h"
#include "tests/devtest.h"

typedef struct {
    DevTest *t;
    Device *master, *slave;
    int intr;
} Pair;

static void set_intr(void *opaque, int n, int level)
{
    *(int *)opaque = level;
}

static Pair new_pair(void)
{
    Pair p = {.t = devtest_new(&qclass_isa_i8259)};

    p.master = devtest_add(p.t, "isa-i8259", "master=on");
    p.slave = devtest_add(p.t, "isa-i8259", NULL);
    i8259_cascade(p.master, p.slave);
    return p;
}

/* As every PC's firmware does it; aeoi: ICW4 with automatic EOI. */
static void init(Pair *p, unsigned icw4)
{
    g_autofree char *text = g_strdup_printf("outb 0x20 0x11; outb 0x21 0x08; outb 0x21 4; outb 0x21 %u;"
                                            "outb 0xa0 0x11; outb 0xa1 0x70; outb 0xa1 2; outb 0xa1 1;"
                                            "outb 0x21 0; outb 0xa1 0", icw4);

    devtest_script(p->t, text);
}

static void set_irq(Pair *p, int n, int level)
{
    irq_set(device_irq_in(n < 8 ? p->master : p->slave, NULL, n & 7), level);
}

static void free_pair(Pair *p, Irq *out)
{
    devtest_free(p->t);
    irq_free(out);
}

static void test_sequence(void)
{
    Pair p = new_pair();
    Irq *out = irq_new(set_intr, &p.intr, 0);

    device_connect_irq_out(p.master, NULL, 0, out);
    init(&p, 1);
    g_assert_cmpint(p.intr, ==, 0);
    set_irq(&p, 4, 1);
    g_assert_cmpint(p.intr, ==, 1);
    devtest_script(p.t, "inb 0x20 = 0x10; inb 0x21 = 0");
    g_assert_cmphex(i8259_acknowledge(p.master), ==, 0x0c);
    g_assert_cmpint(p.intr, ==, 0);
    devtest_script(p.t, "outb 0x20 0x0b; inb 0x20 = 0x10; outb 0x20 0x0a; inb 0x20 = 0"); /* ISR, IRR */
    set_irq(&p, 5, 1); /* lower priority: waits */
    g_assert_cmpint(p.intr, ==, 0);
    set_irq(&p, 1, 1); /* higher: nests */
    g_assert_cmphex(i8259_acknowledge(p.master), ==, 0x09);
    devtest_reload(p.t);
    devtest_script(p.t, "outb 0x20 0x20; outb 0x20 0x20"); /* EOI twice: 1, then 4 */
    g_assert_cmpint(p.intr, ==, 1);
    g_assert_cmphex(i8259_acknowledge(p.master), ==, 0x0d);
    devtest_script(p.t, "outb 0x20 0x65; outb 0x20 0x0b; inb 0x20 = 0"); /* specific EOI */
    /* a line that stays high is one edge */
    g_assert_cmpint(p.intr, ==, 0);
    free_pair(&p, out);
}

static void test_cascade(void)
{
    Pair p = new_pair();
    Irq *out = irq_new(set_intr, &p.intr, 0);

    device_connect_irq_out(p.master, NULL, 0, out);
    init(&p, 1);
    set_irq(&p, 12, 1);
    set_irq(&p, 8, 1);
    g_assert_cmphex(i8259_acknowledge(p.master), ==, 0x70);
    devtest_script(p.t, "outb 0xa0 0x0b; inb 0xa0 = 1; outb 0x20 0x0b; inb 0x20 = 4");
    g_assert_cmpint(p.intr, ==, 0);
    devtest_script(p.t, "outb 0xa0 0x20"); /* the slave asks again, but the master has 2 in service */
    g_assert_cmpint(p.intr, ==, 0);
    devtest_script(p.t, "outb 0x20 0x20");
    g_assert_cmpint(p.intr, ==, 1);
    g_assert_cmphex(i8259_acknowledge(p.master), ==, 0x74);
    devtest_script(p.t, "outb 0xa0 0x20; outb 0x20 0x20");
    g_assert_cmpint(p.intr, ==, 0);
    /* special fully nested mode: what is higher in the slave comes through */
    devtest_script(p.t, "outb 0x20 0x11; outb 0x21 8; outb 0x21 4; outb 0x21 0x11; outb 0x21 0");
    set_irq(&p, 14, 1);
    g_assert_cmphex(i8259_acknowledge(p.master), ==, 0x76);
    set_irq(&p, 9, 1);
    g_assert_cmpint(p.intr, ==, 1);
    g_assert_cmphex(i8259_acknowledge(p.master), ==, 0x71);
    free_pair(&p, out);
}

static void test_spurious_and_poll(void)
{
    Pair p = new_pair();
    Irq *out = irq_new(set_intr, &p.intr, 0);

    device_connect_irq_out(p.master, NULL, 0, out);
    init(&p, 1);
    set_irq(&p, 3, 1);
    set_irq(&p, 3, 0); /* gone before INTA */
    g_assert_cmpint(p.intr, ==, 0);
    g_assert_cmphex(i8259_acknowledge(p.master), ==, 0x0f);
    devtest_script(p.t, "outb 0x20 0x0b; inb 0x20 = 0");
    devtest_script(p.t, "outb 0x20 0x0c; inb 0x20 = 0"); /* poll: nobody */
    set_irq(&p, 6, 1);
    devtest_script(p.t, "outb 0x20 0x0c; inb 0x20 = 0x86; outb 0x20 0x0b; inb 0x20 = 0x40; outb 0x20 0x66");
    set_irq(&p, 6, 0);
    set_irq(&p, 6, 1);
    devtest_script(p.t, "outb 0x21 0x40"); /* masked */
    g_assert_cmpint(p.intr, ==, 0);
    devtest_script(p.t, "outb 0x21 0");
    g_assert_cmpint(p.intr, ==, 1);
    free_pair(&p, out);
}

static void test_modes(void)
{
    Pair p = new_pair();
    Irq *out = irq_new(set_intr, &p.intr, 0);

    device_connect_irq_out(p.master, NULL, 0, out);
    init(&p, 3); /* automatic EOI */
    set_irq(&p, 5, 1);
    g_assert_cmphex(i8259_acknowledge(p.master), ==, 0x0d);
    devtest_script(p.t, "outb 0x20 0x0b; inb 0x20 = 0; outb 0x20 0x80"); /* rotate in automatic EOI mode */
    set_irq(&p, 0, 1);
    g_assert_cmphex(i8259_acknowledge(p.master), ==, 0x08);
    set_irq(&p, 0, 0);
    set_irq(&p, 0, 1); /* now the lowest */
    set_irq(&p, 7, 1);
    g_assert_cmphex(i8259_acknowledge(p.master), ==, 0x0f);
    g_assert_cmphex(i8259_acknowledge(p.master), ==, 0x08);
    set_irq(&p, 7, 0);
    init(&p, 1);
    devtest_script(p.t, "outb 0x4d0 0xff; inb 0x4d0 = 0xf8; outb 0x4d1 0xff; inb 0x4d1 = 0xde");
    set_irq(&p, 5, 0);
    set_irq(&p, 5, 1);
    g_assert_cmphex(i8259_acknowledge(p.master), ==, 0x0d);
    devtest_script(p.t, "outb 0x20 0x20"); /* level: still there */
    g_assert_cmphex(i8259_acknowledge(p.master), ==, 0x0d);
    set_irq(&p, 5, 0);
    devtest_script(p.t, "outb 0x20 0x20");
    g_assert_cmpint(p.intr, ==, 0);
    /* special mask mode: 3 in service and masked lets 6 through */
    set_irq(&p, 3, 1);
    g_assert_cmphex(i8259_acknowledge(p.master), ==, 0x0b);
    devtest_script(p.t, "outb 0x21 0x08");
    set_irq(&p, 6, 1);
    g_assert_cmpint(p.intr, ==, 0);
    devtest_script(p.t, "outb 0x20 0x68");
    g_assert_cmpint(p.intr, ==, 1);
    devtest_script(p.t, "outb 0x20 0x48");
    g_assert_cmpint(p.intr, ==, 0);
    free_pair(&p, out);
}

/* The model: inputs in their order of priority, the first the highest. */
typedef struct {
    int order[8];
    bool irr[8], isr[8], imr[8], line[8], level[8], special;
} Model;

static int model_best(const Model *m)
{
    for (int i = 0; i < 8; i++) {
        int n = m->order[i];

        if (m->irr[n] && !m->imr[n] && !m->isr[n]) {
            return n;
        }
        if (m->isr[n] && !(m->special && m->imr[n])) {
            return -1;
        }
    }
    return -1;
}

static void model_rotate(Model *m, int lowest)
{
    for (int i = 0; i < 8; i++) {
        m->order[i] = (lowest + 1 + i) & 7;
    }
}

static void model_eoi(Model *m, int n, bool rotate)
{
    for (int i = 0; n < 0 && i < 8; i++) {
        if (m->isr[m->order[i]] && !(m->special && m->imr[m->order[i]])) {
            n = m->order[i];
        }
    }
    if (n >= 0) {
        m->isr[n] = false;
        if (rotate) {
            model_rotate(m, n);
        }
    }
}

static void model_accept(Model *m, int n)
{
    m->isr[n] = true;
    m->irr[n] = m->level[n];
}

static void random_step(Pair *p, Model *m)
{
    int n = g_test_rand_int_range(0, 8), what = g_test_rand_int_range(0, 100);

    if (what < 40) {
        bool level = g_test_rand_bit();

        if (n != 2) {
            m->irr[n] = level && (m->irr[n] || m->level[n] || !m->line[n]);
            m->line[n] = level;
            set_irq(p, n, level);
        }
    } else if (what < 60) {
        if (p->intr) {
            int best = model_best(m);

            model_accept(m, best);
            g_assert_cmphex(i8259_acknowledge(p->master), ==, 8 + best);
        }
    } else if (what < 75) {
        bool rotate = g_test_rand_bit(), specific = g_test_rand_bit();

        model_eoi(m, specific ? n : -1, rotate);
        devtest_outb(p->t, 0x20, (rotate ? 0x80 : 0) | (specific ? 0x60 | n : 0x20));
    } else if (what < 85) {
        m->imr[n] = !m->imr[n];
        devtest_outb(p->t, 0x21, devtest_inb(p->t, 0x21) ^ 1 << n);
    } else if (what < 90) {
        m->special = g_test_rand_bit();
        devtest_outb(p->t, 0x20, 0x48 | (m->special ? 0x20 : 0));
    } else if (what < 95) {
        model_rotate(m, n);
        devtest_outb(p->t, 0x20, 0xc0 | n);
    } else {
        int best = model_best(m);

        devtest_outb(p->t, 0x20, 0x0c);
        g_assert_cmphex(devtest_inb(p->t, 0x20), ==, best < 0 ? 0 : 0x80 | best);
        if (best >= 0) {
            model_accept(m, best);
        }
    }
}

static void test_random(void)
{
    Pair p = new_pair();
    Irq *out = irq_new(set_intr, &p.intr, 0);

    device_connect_irq_out(p.master, NULL, 0, out);
    for (int round = 0; round < 200; round++) {
        Model m = {.level = {[3] = true, [5] = true, [6] = true}};

        model_rotate(&m, 7);
        for (int i = 0; i < 8; i++) {
            set_irq(&p, i, 0);
        }
        init(&p, 1);
        devtest_outb(p.t, 0x4d0, 0x68);
        for (int i = 0; i < 200; i++) {
            uint8_t irr = 0, isr = 0;

            random_step(&p, &m);
            for (int n = 0; n < 8; n++) {
                irr |= m.irr[n] << n;
                isr |= m.isr[n] << n;
            }
            g_assert_cmpint(p.intr, ==, model_best(&m) >= 0);
            devtest_outb(p.t, 0x20, 0x0b);
            g_assert_cmphex(devtest_inb(p.t, 0x20), ==, isr);
            devtest_outb(p.t, 0x20, 0x0a);
            g_assert_cmphex(devtest_inb(p.t, 0x20), ==, irr);
        }
    }
    free_pair(&p, out);
}

static void append(void *opaque, const char *text)
{
    g_string_append(opaque, text);
}

static void test_print(void)
{
    Pair p = new_pair();
    g_autoptr(GString) s = g_string_new(NULL);
    const IntctrlOps *ops = object_iface(OBJECT(p.master));

    g_assert_true(object_is_a(OBJECT(p.master), "intctrl"));
    init(&p, 1);
    set_irq(&p, 1, 1);
    set_irq(&p, 12, 1);
    ops->print_state(p.slave, append, s);
    ops->print_state(p.master, append, s);
    ops->print_counts(p.slave, append, s);
    ops->print_counts(p.master, append, s);
    g_assert_cmpstr(s->str, ==,
                    "pic1: irr=10 imr=00 isr=00 hprio=0 irq_base=70 rr_sel=0 elcr=00 fnm=0\n"
                    "pic0: irr=06 imr=00 isr=00 hprio=0 irq_base=08 rr_sel=0 elcr=00 fnm=0\n"
                    "IRQ statistics for isa-i8259:\n 1: 1\n12: 1\n");
    devtest_free(p.t);
}

static void test_fuzz(void)
{
    Pair p = new_pair();

    devtest_fuzz(p.t, &(DevTestFuzz){.io_base = 0x20, .io_size = 2, .rounds = 5000});
    devtest_fuzz(p.t, &(DevTestFuzz){.io_base = 0xa0, .io_size = 2, .rounds = 5000});
    devtest_free(p.t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/i8259/sequence", test_sequence);
    g_test_add_func("/i8259/cascade", test_cascade);
    g_test_add_func("/i8259/spurious-and-poll", test_spurious_and_poll);
    g_test_add_func("/i8259/modes", test_modes);
    g_test_add_func("/i8259/random", test_random);
    g_test_add_func("/i8259/print", test_print);
    g_test_add_func("/i8259/fuzz", test_fuzz);
    return g_test_run();
}
