/* Tests of util/bits.h and util/list.h, against plain loops over bits and an array. */
#include "util/bits.h"
#include "util/list.h"

#include <glib.h>

static uint64_t random64(void)
{
    /* Few bits set, many, or a shift: the ends matter. */
    uint64_t v = (uint64_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int();

    return v >> (g_test_rand_int() & 63);
}

static void test_fields(void)
{
    for (int n = 0; n < 20000; n++) {
        unsigned pos = (unsigned)g_test_rand_int_range(0, 64);
        unsigned len = (unsigned)g_test_rand_int_range(1, 65 - (int)pos);
        uint64_t v = random64(), field = random64(), put = bits_put(v, pos, len, field);
        uint64_t got = bits_get(v, pos, len);

        for (unsigned b = 0; b < 64; b++) {
            bool in = b >= pos && b < pos + len;

            g_assert_cmpuint(put >> b & 1, ==, in ? field >> (b - pos) & 1 : v >> b & 1);
            g_assert_cmpuint(got >> b & 1, ==, b < len ? v >> (pos + b) & 1 : 0);
            g_assert_cmpuint((uint64_t)bits_sext(v, len) >> b & 1, ==, v >> (b < len ? b : len - 1) & 1);
        }
    }
}

static void test_counts(void)
{
    g_assert_cmpuint(clz64(0), ==, 64);
    g_assert_cmpuint(ctz64(0), ==, 64);
    g_assert_cmpuint(clz32(0), ==, 32);
    g_assert_cmpuint(ctz32(0), ==, 32);
    g_assert_cmpuint(pow2_ceil(0), ==, 1);
    g_assert_cmpuint(pow2_floor(0), ==, 0);
    for (int n = 0; n < 20000; n++) {
        uint64_t v = random64() | 1ull << (g_test_rand_int() & 63);
        unsigned high = 63, low = 0;

        while (!(v >> high & 1)) {
            high--;
        }
        while (!(v >> low & 1)) {
            low++;
        }
        g_assert_cmpuint(clz64(v), ==, 63 - high);
        g_assert_cmpuint(ctz64(v), ==, low);
        g_assert_cmpint(is_pow2(v), ==, high == low);
        g_assert_cmpuint(pow2_floor(v), ==, 1ull << high);
        g_assert_cmpuint(pow2_ceil(v), ==, high == low ? v : high == 63 ? 0 : 2ull << high);
        g_assert_cmpuint(rol64(v, low), ==, low ? v << low | v >> (64 - low) : v);
        g_assert_cmpuint(div_round_up(v, 7), ==, v / 7 + !!(v % 7));
        g_assert_true(is_aligned(round_down(v, 4096), 4096) && v - round_down(v, 4096) < 4096);
    }
    g_assert_cmpuint(div_round_up(UINT64_MAX, 1), ==, UINT64_MAX);
    g_assert_cmpuint(round_up(4097, 4096), ==, 8192);
}

static void test_range(void)
{
    g_assert_true(range_within(0, 10, 10));
    g_assert_true(range_within(10, 0, 10));
    g_assert_false(range_within(1, 10, 10));
    g_assert_false(range_within(11, 0, 10));
    g_assert_false(range_within(8, UINT64_MAX - 4, 10)); /* the sum wraps to 4 */
}

static void test_bytes(void)
{
    uint8_t b[16];

    for (int n = 0; n < 5000; n++) {
        unsigned off = (unsigned)g_test_rand_int_range(0, 8), size = (unsigned)g_test_rand_int_range(1, 9);
        uint64_t v = random64();

        st64_le(b + off, v);
        for (unsigned i = 0; i < 8; i++) {
            g_assert_cmpuint(b[off + i], ==, (uint8_t)(v >> (8 * i)));
        }
        g_assert_cmpuint(ld64_le(b + off), ==, v);
        g_assert_cmpuint(ld64_be(b + off), ==, bswap64(v));
        g_assert_cmpuint(ld32_le(b + off), ==, (uint32_t)v);
        g_assert_cmpuint(ld16_be(b + off), ==, bswap16((uint16_t)v));
        st32_be(b + off, (uint32_t)v);
        g_assert_cmpuint(b[off], ==, (uint8_t)(v >> 24));
        st16_be(b + off, (uint16_t)v);
        g_assert_cmpuint(b[off + 1], ==, (uint8_t)v);
        st64_le(b + off, UINT64_MAX);
        st_le(b + off, size, v);
        g_assert_cmpuint(ld_le(b + off, size), ==, v & bits_mask(8 * size));
        g_assert_cmpuint(ld64_le(b + off), ==, (v & bits_mask(8 * size)) | ~bits_mask(8 * size));
    }
}

typedef struct {
    int id;
    ListLink link;
} Item;

static void check_list(List *l, const GArray *want)
{
    guint n = 0;

    list_foreach (Item, i, l, link) {
        g_assert_cmpint(i->id, ==, g_array_index(want, int, n));
        n++;
    }
    g_assert_cmpuint(n, ==, want->len);
    g_assert_cmpint(list_is_empty(l), ==, want->len == 0);
}

static void test_list(void)
{
    enum { N = 32 };
    Item items[N] = { 0 };
    g_autoptr(GArray) want = g_array_new(FALSE, FALSE, sizeof(int));
    List l, other;

    list_init(&l);
    list_init(&other);
    for (int n = 0; n < 20000; n++) {
        int id = g_test_rand_int_range(0, N);
        Item *i = &items[id];

        i->id = id;
        if (list_is_linked(&i->link)) {
            list_remove(&i->link);
            for (guint k = 0; k < want->len; k++) {
                if (g_array_index(want, int, k) == id) {
                    g_array_remove_index(want, k--);
                }
            }
        } else if (n & 1) {
            list_append(&l, &i->link);
            g_array_append_val(want, id);
        } else {
            list_prepend(&l, &i->link);
            g_array_prepend_val(want, id);
        }
        check_list(&l, want);
    }
    list_splice(&other, &l);
    check_list(&other, want);
    g_assert_true(list_is_empty(&l) && !list_pop(&l) && !list_first(&l) && !list_last(&l));
    list_foreach_safe (Item, i, &other, link) {
        list_remove(&i->link);
    }
    g_assert_true(list_is_empty(&other));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bits/fields", test_fields);
    g_test_add_func("/bits/counts", test_counts);
    g_test_add_func("/bits/range", test_range);
    g_test_add_func("/bits/bytes", test_bytes);
    g_test_add_func("/list/random", test_list);
    return g_test_run();
}
