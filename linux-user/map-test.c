/* The guest's pages against a plain array: random changes, and every question afterwards. */
#include <glib.h>
#include <string.h>

#include "linux-user/map.h"

enum { PAGES = 3 * 4096 * 2 + 77, ROUNDS = 400 };
static const uint64_t base = 0x7ff000000000ull - 4096ull * 4096 * 2; /* the last page of one table of the middle, and the next */

static uint8_t model[PAGES];

static uint64_t address(unsigned page)
{
    return base + (uint64_t)page * 4096;
}

static void change(UserMap *m, unsigned from, unsigned to, uint8_t keep, uint8_t set)
{
    g_assert_true(map_change(m, address(from), address(to), keep, set));
    for (unsigned n = from; n < to; n++) {
        model[n] = (uint8_t)((model[n] & keep) | set);
    }
}

static void check(UserMap *m)
{
    unsigned watched = 0;

    for (unsigned n = 0; n < PAGES; n++) {
        g_assert_cmphex(map_get(m, address(n) + 7), ==, model[n]);
        watched += (model[n] & MAP_WATCHED) != 0;
    }
    g_assert_cmpuint(m->num_watched, ==, watched);
    for (unsigned n = 0, end; n < PAGES; n = end) {
        uint8_t flags;
        uint64_t next = map_run(m, address(n), address(PAGES), &flags);

        end = (unsigned)((next - base) / 4096);
        g_assert_cmphex(flags, ==, model[n]);
        g_assert_cmpuint(end, >, n);
        for (unsigned i = n; i < end; i++) {
            g_assert_cmphex(model[i], ==, flags);
        }
        g_assert_true(end == PAGES || model[end] != flags);
    }
}

static void ask(UserMap *m, unsigned from, unsigned to, uint8_t flags)
{
    bool all = true, any = false;

    for (unsigned n = from; n < to; n++) {
        bool has = (model[n] & flags) == flags;
        all = all && has;
        any = any || has;
    }
    g_assert_cmpint(map_all(m, address(from), address(to), flags), ==, all);
    g_assert_cmpint(map_any(m, address(from), address(to), flags), ==, any);
}

static void test_random(void)
{
    UserMap *m = g_new0(UserMap, 1);
    GRand *r = g_rand_new_with_seed(5);

    map_init(m);
    for (unsigned n = 0; n < ROUNDS; n++) {
        unsigned size = 1u << g_rand_int_range(r, 0, 15);
        unsigned from = (unsigned)g_rand_int_range(r, 0, PAGES), to = MIN(PAGES, from + size);
        uint8_t set = (uint8_t)g_rand_int_range(r, 0, 32), keep = (uint8_t)g_rand_int_range(r, 0, 32);

        if (g_rand_boolean(r)) { /* whole slots */
            from &= ~4095u;
            to = MIN(PAGES, (to + 4095) & ~4095u);
        }
        change(m, from, to, keep, set);
        ask(m, from, to, set);
        ask(m, from / 2, to, (uint8_t)g_rand_int_range(r, 1, 32));
        if (n % 20 == 0) {
            check(m);
        }
    }
    check(m);
    g_rand_free(r);
    g_free(m);
}

/* Terabytes cost nothing and are seen at once. */
static void test_large(void)
{
    UserMap *m = g_new0(UserMap, 1);
    uint8_t flags;

    map_init(m);
    g_assert_true(map_change(m, 0, 1ull << 46, 0, MAP_VALID | MAP_READ));
    g_assert_true(map_change(m, 4096, 8192, (uint8_t)~MAP_READ, MAP_WATCHED));
    g_assert_cmphex(map_get(m, 0), ==, MAP_VALID | MAP_READ);
    g_assert_cmphex(map_get(m, 4096), ==, MAP_VALID | MAP_WATCHED);
    g_assert_cmphex(map_run(m, 8192, UINT64_MAX, &flags), ==, 1ull << 46);
    g_assert_cmphex(map_get(m, 1ull << 46), ==, 0);
    g_assert_cmphex(map_get(m, 1ull << 47), ==, 0);
    g_assert_cmphex(map_get(m, UINT64_MAX), ==, 0);
    g_assert_false(map_all(m, 0, 1ull << 46, MAP_READ));
    g_assert_true(map_all(m, 0, 1ull << 46, MAP_VALID));
    g_assert_true(map_change(m, 0, 1ull << 46, 0, 0));
    g_assert_false(map_any(m, 0, 1ull << 47, MAP_VALID));
    g_assert_cmpuint(m->num_watched, ==, 0);
    g_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/user/map/random", test_random);
    g_test_add_func("/user/map/large", test_large);
    return g_test_run();
}
