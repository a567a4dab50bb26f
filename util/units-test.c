/* Tests of util/units.h and util/version.h. */
#include "util/units.h"

#include <glib.h>

#include "util/version.h"

typedef struct {
    const char *text;
    bool ok;
    uint64_t value;
} Case;

static void test_uint(void)
{
    static const Case cases[] = {
        { "0", true, 0 }, { "010", true, 10 }, { "0x10", true, 16 }, { "0XfF", true, 255 },
        { "18446744073709551615", true, UINT64_MAX }, { "0xffffffffffffffff", true, UINT64_MAX },
        { "18446744073709551616", false, 0 }, { "0x10000000000000000", false, 0 },
        { "", false, 0 }, { "0x", false, 0 }, { " 1", false, 0 }, { "1 ", false, 0 }, { "+1", false, 0 },
        { "-1", false, 0 }, { "1a", false, 0 }, { "0x1g", false, 0 }, { "1.0", false, 0 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint64_t v = 77;
        Error *err = NULL;

        g_test_message("'%s'", cases[i].text);
        g_assert_cmpint(parse_uint("n", cases[i].text, UINT64_MAX, &v, &err), ==, cases[i].ok);
        g_assert_cmpint(err == NULL, ==, cases[i].ok);
        g_assert_cmpuint(v, ==, cases[i].ok ? cases[i].value : 77);
        error_free(err);
    }
}

static void test_ranges(void)
{
    Error *err = NULL;
    uint64_t u = 1;
    int64_t i = 1;

    g_assert_false(parse_uint("port", "70000", 65535, &u, &err));
    g_assert_cmpstr(error_message(err), ==, "port: '70000' is not in 0..65535");
    error_free(err);
    g_assert_true(parse_int("n", "-9223372036854775808", INT64_MIN, INT64_MAX, &i, NULL));
    g_assert_cmpint(i, ==, INT64_MIN);
    g_assert_true(parse_int("n", "-0x10", -16, 5, &i, NULL));
    g_assert_cmpint(i, ==, -16);
    g_assert_false(parse_int("n", "-17", -16, 5, &i, NULL));
    g_assert_false(parse_int("n", "6", -16, 5, &i, NULL));
    g_assert_false(parse_int("n", "9223372036854775808", INT64_MIN, INT64_MAX, &i, NULL));
    g_assert_false(parse_int("n", "-9223372036854775809", INT64_MIN, INT64_MAX, &i, NULL));
    g_assert_false(parse_int("n", "18446744073709551615", INT64_MIN, INT64_MAX, &i, NULL));
    g_assert_false(parse_int("n", "--1", INT64_MIN, INT64_MAX, &i, NULL));
    g_assert_false(parse_int("n", "-", INT64_MIN, INT64_MAX, &i, NULL));
    g_assert_cmpint(i, ==, -16);
}

/* Every number is read back as it was printed. */
static void test_random(void)
{
    for (int n = 0; n < 10000; n++) {
        uint64_t v = ((uint64_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int()) >> (g_test_rand_int() & 63);
        g_autofree char *dec = g_strdup_printf("%" G_GUINT64_FORMAT, v);
        g_autofree char *hex = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", v);
        g_autofree char *neg = g_strdup_printf("%" G_GINT64_FORMAT, (int64_t)v);
        uint64_t got;
        int64_t gots;

        g_assert_true(parse_uint("n", dec, UINT64_MAX, &got, &error_abort) && got == v);
        g_assert_true(parse_uint("n", hex, UINT64_MAX, &got, &error_abort) && got == v);
        g_assert_true(parse_size("n", dec, 'B', &got, &error_abort) && got == v);
        g_assert_true(parse_int("n", neg, INT64_MIN, INT64_MAX, &gots, &error_abort) && gots == (int64_t)v);
    }
}

static void test_size(void)
{
    static const Case cases[] = {
        { "1", true, 1 << 20 }, { "1B", true, 1 }, { "2k", true, 2048 }, { "1.5G", true, 3ull << 29 },
        { "0.5", true, 1 << 19 }, { "1.0000001k", true, 1024 }, { "16E", false, 0 }, { "15E", true, 15ull << 60 },
        { "0x10", true, 16 << 20 }, { "0x10k", true, 16384 }, { "0x10B", true, 0x10bull << 20 }, { "1.5B", false, 0 },
        { "15.999999999999999999E", true, 18446744073709551614ull },
        { ".5G", false, 0 }, { "1.G", false, 0 }, { "1.5.5G", false, 0 }, { "1KiB", false, 0 }, { "1Z", false, 0 },
        { "", false, 0 }, { "-1", false, 0 }, { "k", false, 0 }, { "1 k", false, 0 }, { "0x1.8G", false, 0 },
        { "99999999999999999999", false, 0 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint64_t v = 77;

        g_test_message("'%s'", cases[i].text);
        g_assert_cmpint(parse_size("size", cases[i].text, 'M', &v, NULL), ==, cases[i].ok);
        g_assert_cmpuint(v, ==, cases[i].ok ? cases[i].value : 77);
    }
}

static void test_size_text(void)
{
    char buf[SIZE_TEXT_MAX];

    g_assert_cmpstr(size_to_text(0, buf), ==, "0 B");
    g_assert_cmpstr(size_to_text(512, buf), ==, "512 B");
    g_assert_cmpstr(size_to_text(196 * KIB, buf), ==, "196 KiB");
    g_assert_cmpstr(size_to_text(3 * GIB / 2, buf), ==, "1.5 GiB");
    g_assert_cmpstr(size_to_text(1000, buf), ==, "0.977 KiB");
    g_assert_cmpstr(size_to_text(UINT64_MAX, buf), ==, "16 EiB");
}

static void test_bool_double(void)
{
    bool b = false;
    double d = 0;

    g_assert_true(parse_bool("x", "on", &b, NULL) && b);
    g_assert_true(parse_bool("x", "false", &b, NULL) && !b);
    g_assert_false(parse_bool("x", "On", &b, NULL));
    g_assert_false(parse_bool("x", "1", &b, NULL));
    g_assert_true(parse_double("x", "-1.5e3", -1e9, 1e9, &d, NULL) && d == -1500);
    g_assert_false(parse_double("x", " 1", -1e9, 1e9, &d, NULL));
    g_assert_false(parse_double("x", "nan", -1e9, 1e9, &d, NULL));
    g_assert_false(parse_double("x", "inf", -1e9, 1e9, &d, NULL));
    g_assert_false(parse_double("x", "", -1e9, 1e9, &d, NULL));
    g_assert_false(parse_double("x", "2", 0, 1, &d, NULL));
}

/* The sizes that guests and clients count on. */
static void test_version(void)
{
    g_autofree char *text = g_strdup_printf("%d.%d.%d", VERSION_MAJOR, VERSION_MINOR, VERSION_MICRO);

    g_assert_cmpstr(text, ==, VERSION_TEXT);
    g_assert_true(g_str_has_prefix(VERSION_LINE_SYSTEM, "QEMU emulator version 10.0.2 ("));
    g_assert_cmpuint(sizeof(ACPI_OEM_ID) - 1, ==, 6);
    g_assert_cmpuint(sizeof(ACPI_OEM_TABLE_ID) - 1, ==, 8);
    g_assert_cmpuint(sizeof(ACPI_CREATOR_ID) - 1, ==, 4);
    g_assert_cmpuint(sizeof(FW_CFG_SIGNATURE) - 1, ==, 4);
    g_assert_cmpuint(sizeof(CPUID_HV_SIGNATURE_TCG) - 1, ==, 12);
    g_assert_cmpuint(sizeof(CPUID_HV_SIGNATURE_KVM) - 1, ==, 12);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/units/uint", test_uint);
    g_test_add_func("/units/ranges", test_ranges);
    g_test_add_func("/units/random", test_random);
    g_test_add_func("/units/size", test_size);
    g_test_add_func("/units/size-text", test_size_text);
    g_test_add_func("/units/bool-double", test_bool_double);
    g_test_add_func("/version/sizes", test_version);
    return g_test_run();
}
