/* Tests of util/interval.h, against a scan over all ranges. */
#include "util/interval.h"

#include <glib.h>
#include <string.h>

enum { N = 64 };

typedef struct {
    Interval i;
    bool in;
} Range;

/* Checks order, links, priorities and max_last; returns the number of nodes. */
static int check_node(const Interval *i, const Interval *parent)
{
    uint64_t max;
    int n = 1;

    if (!i) {
        return 0;
    }
    max = i->last;
    g_assert_true(i->parent == parent);
    g_assert_true(!parent || parent->priority >= i->priority);
    n += check_node(i->left, i) + check_node(i->right, i);
    if (i->left) {
        g_assert_cmpuint(i->left->start, <=, i->start);
        max = MAX(max, i->left->max_last);
    }
    if (i->right) {
        g_assert_cmpuint(i->right->start, >=, i->start);
        max = MAX(max, i->right->max_last);
    }
    g_assert_cmpuint(i->max_last, ==, max);
    return n;
}

static void check_query(IntervalTree *t, Range *r, uint64_t start, uint64_t last)
{
    const Interval *prev = NULL;
    int found = 0, want = 0;

    interval_foreach (i, t, start, last) {
        g_assert_true(i->start <= last && i->last >= start);
        g_assert_true(!prev || prev->start < i->start || (prev->start == i->start && prev->last <= i->last));
        prev = i;
        found++;
    }
    for (int k = 0; k < N; k++) {
        want += r[k].in && r[k].i.start <= last && r[k].i.last >= start;
    }
    g_assert_cmpint(found, ==, want);
}

/* The lowest gap by trying every address. */
static bool slow_gap(Range *r, uint64_t from, uint64_t last, uint64_t len, uint64_t align, uint64_t *addr)
{
    for (uint64_t a = (from + align - 1) & ~(align - 1); a + len - 1 <= last; a += align) {
        bool is_free = true;

        for (int k = 0; k < N; k++) {
            is_free &= !(r[k].in && r[k].i.start <= a + len - 1 && r[k].i.last >= a);
        }
        if (is_free) {
            *addr = a;
            return true;
        }
    }
    return false;
}

static void test_random(void)
{
    static Range r[N];
    IntervalTree t = { 0 };
    int in = 0;

    for (int n = 0; n < 10000; n++) {
        Range *x = &r[g_test_rand_int_range(0, N)];
        uint64_t start = (uint64_t)g_test_rand_int_range(0, 1000), len = 1ull << g_test_rand_int_range(0, 5);
        uint64_t a = 0, b = 0;

        if (x->in) {
            interval_remove(&t, &x->i);
            in--;
        } else {
            x->i.start = start;
            x->i.last = start + (uint64_t)g_test_rand_int_range(0, n % 3 ? 10 : 200);
            interval_insert(&t, &x->i);
            in++;
        }
        x->in = !x->in;
        g_assert_cmpint(check_node(t.root, NULL), ==, in);
        check_query(&t, r, start, start + len);
        g_assert_cmpint(interval_find_gap(&t, start, 1200, len, 4, &a), ==,
                        slow_gap(r, start, 1200, len, 4, &b));
        g_assert_cmpuint(a, ==, b);
    }
}

/* Ranges may end at the last address. */
static void test_ends(void)
{
    Interval all = { .start = 0, .last = UINT64_MAX }, top = { .start = UINT64_MAX, .last = UINT64_MAX };
    IntervalTree t = { 0 };
    uint64_t a;

    interval_insert(&t, &top);
    g_assert_true(interval_first(&t, UINT64_MAX, UINT64_MAX) == &top);
    g_assert_null(interval_first(&t, 0, UINT64_MAX - 1));
    g_assert_true(interval_find_gap(&t, UINT64_MAX - 4096, UINT64_MAX, 1, 1, &a));
    g_assert_false(interval_find_gap(&t, UINT64_MAX - 4094, UINT64_MAX, 4096, 4096, &a));
    interval_insert(&t, &all);
    g_assert_true(interval_first(&t, 5, 5) == &all);
    g_assert_true(interval_next(&all, 0, UINT64_MAX) == &top);
    g_assert_false(interval_find_gap(&t, 0, UINT64_MAX, 1, 1, &a));
    interval_remove(&t, &all);
    interval_remove(&t, &top);
    g_assert_null(t.root);
}

/* Ascending keys must not make a list of it. */
static void test_depth(void)
{
    enum { MANY = 20000 };
    g_autofree Interval *many = g_new0(Interval, MANY);
    IntervalTree t = { 0 };
    int deepest = 0;

    for (int n = 0; n < MANY; n++) {
        many[n].start = many[n].last = (uint64_t)n;
        interval_insert(&t, &many[n]);
    }
    for (int n = 0; n < MANY; n++) {
        int depth = 0;

        for (Interval *i = &many[n]; i; i = i->parent) {
            depth++;
        }
        deepest = MAX(deepest, depth);
    }
    g_assert_cmpint(deepest, <, 80);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/interval/random", test_random);
    g_test_add_func("/interval/ends", test_ends);
    g_test_add_func("/interval/depth", test_depth);
    return g_test_run();
}
