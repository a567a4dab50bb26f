/* Tests of util/error.h. */
#include "util/error.h"

#include <errno.h>
#include <glib.h>

static void test_set(void)
{
    Error *err = NULL;

    g_assert_false(error_set(&err, "item '%s' is wrong", "x"));
    g_assert_cmpstr(error_message(err), ==, "item 'x' is wrong");
    g_assert_cmpint(error_class(err), ==, ERROR_GENERIC);
    g_assert_null(error_hint_text(err));
    error_prepend(&err, "%s: ", "-device");
    error_hint(&err, "one");
    error_hint(&err, "two");
    g_assert_cmpstr(error_message(err), ==, "-device: item 'x' is wrong");
    g_assert_cmpstr(error_hint_text(err), ==, "one\ntwo");
    error_free(err);
}

static void test_errno(void)
{
    Error *err = NULL;

    error_set_errno(&err, ENOENT, "could not open '%s'", "f");
    g_assert_cmpstr(error_message(err), ==, "could not open 'f': No such file or directory");
    error_free(err);
}

static void test_propagate(void)
{
    Error *first = NULL, *second = NULL, *out = NULL;

    error_set_class(&first, ERROR_DEVICE_NOT_FOUND, "first");
    error_set(&second, "second");
    error_propagate(&out, first);
    error_propagate(&out, second); /* the first one wins */
    g_assert_cmpstr(error_message(out), ==, "first");
    g_assert_cmpstr(error_class_name(error_class(out)), ==, "DeviceNotFound");
    error_free(out);
    error_propagate(NULL, NULL);
    g_assert_false(error_set(NULL, "nobody listens"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/error/set", test_set);
    g_test_add_func("/error/errno", test_errno);
    g_test_add_func("/error/propagate", test_propagate);
    return g_test_run();
}
