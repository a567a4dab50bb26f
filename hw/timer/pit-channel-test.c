/*
 * The 8254's counters against a model that counts tick by tick as the data sheet's "Mode definitions" say, with random
 * programming.
 */
#include "hw/timer/pit-channel.h"

#include <glib.h>
#include <string.h>

/* One counter as hardware has it: count register, counting element, output. */
typedef struct {
    unsigned mode;
    bool gate, loaded, written, load_next, triggered, out;
    uint32_t reg, ce; /* ce: ticks still to go in this period */
    uint32_t n;
    bool armed;       /* modes 4, 5: has not strobed yet */
    int64_t rise;     /* of out */
} Model;

static void model_mode(Model *m, unsigned mode)
{
    bool gate = m->gate;

    *m = (Model){.mode = mode, .gate = gate, .out = mode != 0, .rise = -1};
}

static void model_write(Model *m, uint32_t count)
{
    m->reg = count;
    m->written = true;
    if (m->mode == 0 || m->mode == 4 || ((m->mode == 2 || m->mode == 3) && (!m->loaded || !m->gate))) {
        m->load_next = true;
        if (m->mode == 0) {
            m->out = false;
        }
    }
}

static void model_gate(Model *m, bool level)
{
    bool rise = level && !m->gate;

    m->gate = level;
    if (m->mode == 2 || m->mode == 3) {
        if (!level) {
            m->out = true;
        } else if (rise && m->loaded) {
            m->load_next = true;
        }
    } else if ((m->mode == 1 || m->mode == 5) && rise && m->written) {
        m->load_next = true;
        if (m->mode == 1) {
            m->triggered = true;
        }
    }
}

static void set_out(Model *m, bool out, int64_t tick)
{
    if (out && !m->out) {
        m->rise = tick;
    }
    m->out = out;
}

/* One CLK pulse, after which the time is `tick`. */
static void model_tick(Model *m, int64_t tick)
{
    if (m->load_next) {
        m->load_next = false;
        m->n = m->ce = m->reg;
        m->loaded = m->armed = true;
        set_out(m, m->mode != 0 && m->mode != 1, tick);
        if (m->mode == 2 && m->n == 1) {
            m->out = false;
        }
        return;
    }
    if (!m->loaded || (!m->gate && m->mode != 1 && m->mode != 5)) {
        return;
    }
    m->ce--;
    switch (m->mode) {
    case 0:
    case 1:
        if (m->ce == 0 && m->armed) {
            m->armed = false;
            set_out(m, true, tick);
        }
        break;
    case 2:
    case 3:
        if (m->ce == 0) {
            m->n = m->ce = m->reg;
            set_out(m, true, tick);
            if (m->mode == 2 && m->n == 1) {
                m->out = false;
            }
        } else if (m->mode == 2 ? m->ce == 1 : m->ce == m->n / 2) {
            set_out(m, false, tick);
        }
        break;
    default:
        if (m->armed && m->ce == 0) {
            set_out(m, false, tick);
        } else if (m->armed && m->ce == (uint32_t)-1) {
            m->armed = false;
            set_out(m, true, tick);
        }
    }
}

static void program(PitChannel *c, Model *m, int64_t now)
{
    unsigned mode = g_test_rand_int_range(0, 6);

    pit_channel_control(c, 0x30 | mode << 1, now);
    model_mode(m, mode);
}

static void write_count(PitChannel *c, Model *m, int64_t now)
{
    uint32_t n = g_test_rand_int_range(2, 40);

    if (m->written && m->mode == 0) {
        return; /* the first byte stops the count: the model writes both at once */
    }
    pit_channel_write(c, n, now);
    pit_channel_write(c, n >> 8, now);
    model_write(m, n);
}

static void test_random(void)
{
    for (int round = 0; round < 3000; round++) {
        PitChannel c = {.mode = 3, .rw = 3, .gate = true, .count = 65536};
        Model m = {.gate = true};
        int64_t now = g_test_rand_int_range(0, 1 << 30);

        program(&c, &m, now);
        for (int i = 0; i < 300; i++) {
            int what = g_test_rand_int_range(0, 60);

            if (what == 0) {
                write_count(&c, &m, now);
            } else if (what == 1) {
                pit_channel_set_gate(&c, !m.gate, now);
                model_gate(&m, !m.gate);
            } else if (!m.written) {
                write_count(&c, &m, now);
            }
            now++;
            model_tick(&m, now);
            if (m.rise == now && m.mode != 1 && now > c.start + 1) {
                g_assert_cmpint(pit_channel_last_rise(&c, now), ==, now);
            }
            pit_channel_sync(&c, now);
            if (pit_channel_out(&c, now) != m.out) {
                g_test_message("mode %u gate %d count %u next %u d %d; model n %u ce %u armed %d", m.mode, m.gate, c.count, c.next_count,
                               (int)(now - c.start), m.n, m.ce, m.armed);
            }
            g_assert_cmpint(pit_channel_out(&c, now), ==, m.out);
        }
    }
}

/* "next" is where the output changes next, seen by stepping through the ticks; pulses of one tick are one change. */
static void test_next(void)
{
    for (int round = 0; round < 3000; round++) {
        PitChannel c = {.mode = 3, .rw = 3, .gate = true, .count = 65536};
        unsigned mode = g_test_rand_int_range(0, 6), n = g_test_rand_int_range(2, 50);
        int64_t now = g_test_rand_int_range(0, 1 << 20), next;

        pit_channel_control(&c, 0x30 | mode << 1, now);
        pit_channel_write(&c, n, now);
        pit_channel_write(&c, 0, now);
        if (mode == 1 || mode == 5) {
            pit_channel_set_gate(&c, false, now);
            pit_channel_set_gate(&c, true, now);
        }
        now += g_test_rand_int_range(1, 200);
        next = pit_channel_next(&c, now);
        for (int64_t t = now; t < now + 200; t++) {
            bool change = pit_channel_out(&c, t + 1) != pit_channel_out(&c, t);

            if (change && (mode == 0 || mode == 1 || mode == 3 || pit_channel_out(&c, t + 1))) {
                g_assert_cmpint(next, ==, t + 1);
                if (pit_channel_out(&c, t + 1)) {
                    g_assert_cmpint(pit_channel_last_rise(&c, t + 1), ==, t + 1);
                }
                next = -2;
                break;
            }
        }
        g_assert_true(next == -2 || next == -1);
    }
}

static void test_counts(void)
{
    static const int odd[5] = {4, 2, 0, 4, 2};
    PitChannel c = {.mode = 3, .rw = 3, .gate = true, .count = 65536};

    pit_channel_control(&c, 0x34, 0); /* mode 2 */
    pit_channel_write(&c, 5, 0);
    pit_channel_write(&c, 0, 0);
    for (int t = 1; t < 30; t++) { /* 5 4 3 2 1 5 4 ... */
        g_assert_cmpint(pit_channel_count(&c, t), ==, 5 - (t - 1) % 5);
    }
    pit_channel_control(&c, 0x36, 100); /* mode 3, even: 6 4 2 6 4 2; odd 5: 4 2 0 4 2 */
    pit_channel_write(&c, 6, 100);
    pit_channel_write(&c, 0, 100);
    for (int t = 0; t < 30; t++) {
        g_assert_cmpint(pit_channel_count(&c, 101 + t), ==, 6 - t % 3 * 2);
    }
    pit_channel_control(&c, 0x36, 200);
    pit_channel_write(&c, 5, 200);
    pit_channel_write(&c, 0, 200);
    for (int t = 0; t < 30; t++) {
        g_assert_cmpint(pit_channel_count(&c, 201 + t), ==, odd[t % 5]);
    }
    pit_channel_control(&c, 0x31, 300); /* mode 0, BCD: goes on from 0 to 9999 */
    pit_channel_write(&c, 0x12, 300);
    pit_channel_write(&c, 0, 300);
    g_assert_cmphex(pit_channel_count(&c, 301), ==, 0x12);
    g_assert_cmphex(pit_channel_count(&c, 304), ==, 0x09);
    g_assert_cmphex(pit_channel_count(&c, 313), ==, 0x00);
    g_assert_cmphex(pit_channel_count(&c, 314), ==, 0x9999);
}

static void test_latches(void)
{
    PitChannel c = {.mode = 3, .rw = 3, .gate = true, .count = 65536};

    pit_channel_control(&c, 0x34, 0);
    pit_channel_latch_status(&c, 0);
    g_assert_cmphex(pit_channel_read(&c, 0), ==, 0xf4); /* out high, null count, both bytes, mode 2 */
    pit_channel_write(&c, 0x34, 0);
    pit_channel_write(&c, 0x12, 0);
    pit_channel_latch_count(&c, 1);
    pit_channel_latch_count(&c, 9); /* ignored: the first is not read yet */
    pit_channel_latch_status(&c, 9);
    g_assert_cmphex(pit_channel_read(&c, 10), ==, 0xb4); /* status comes first */
    g_assert_cmphex(pit_channel_read(&c, 10), ==, 0x34);
    g_assert_cmphex(pit_channel_read(&c, 10), ==, 0x12);
    g_assert_cmphex(pit_channel_read(&c, 0x11), ==, 0x24); /* unlatched */
    g_assert_cmphex(pit_channel_read(&c, 0x11), ==, 0x12);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pit-channel/random", test_random);
    g_test_add_func("/pit-channel/next", test_next);
    g_test_add_func("/pit-channel/counts", test_counts);
    g_test_add_func("/pit-channel/latches", test_latches);
    return g_test_run();
}
