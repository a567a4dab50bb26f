/* Tests of util/log.h and util/trace.h. */
#include "util/log.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/rcu.h"
#include "util/thread.h"
#include "util/trace.h"

static char *dir;

static char *path_of(const char *name)
{
    return g_build_filename(dir, name, NULL);
}

/* The log's text so far; removes the file. */
static char *take(const char *path)
{
    char *text;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_unlink(path);
    return text;
}

static void test_items(void)
{
    Error *err = NULL;

    g_assert_true(log_set_items("in_asm,guest_errors", &error_abort));
    g_assert_true(log_enabled(LOG_IN_ASM) && log_enabled(LOG_GUEST_ERRORS) && !log_enabled(LOG_INT));
    g_assert_false(log_set_items("int,in_as", &err));
    g_assert_cmpstr(error_message(err), ==, "log item 'in_as' is not known");
    error_free(err);
    g_assert_true(log_enabled(LOG_IN_ASM) && !log_enabled(LOG_INT)); /* untouched */
    g_assert_false(log_set_items("", NULL));
    g_assert_false(log_set_items("int,", NULL));
    g_assert_true(log_set_items("all", &error_abort));
    g_assert_true(log_enabled(LOG_INVALID_MEM) && !log_enabled(LOG_NOCHAIN) && !log_enabled(LOG_TID));
    g_assert_true(log_set_items("none", &error_abort));
    g_assert_cmpuint(log_mask, ==, 0);
}

static void test_filter(void)
{
    static const char *const wrong[] = {
        "5", "1..", "..5", "1.5", "5..4", "5+0", "5-0", "5-7", "0xffffffffffffffff+2", "a..b", "1..2,", "1..2,3",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_test_message("'%s'", wrong[i]);
        g_assert_false(log_set_filter(wrong[i], NULL));
    }
    g_assert_true(log_in_filter(5));
    g_assert_true(log_set_filter("0x1000..0x1fff,0x8000+0x10,0x9000-2,0xffffffffffffffff+1", &error_abort));
    g_assert_true(log_in_filter(0x1000) && log_in_filter(0x1fff) && !log_in_filter(0xfff) && !log_in_filter(0x2000));
    g_assert_true(log_in_filter(0x800f) && !log_in_filter(0x8010));
    g_assert_true(log_in_filter(0x8fff) && log_in_filter(0x9000) && !log_in_filter(0x9001) && !log_in_filter(0x8ffe));
    g_assert_true(log_in_filter(UINT64_MAX));
    g_assert_true(log_set_filter(NULL, &error_abort));
    g_assert_true(log_in_filter(0));
}

static void test_file(void)
{
    g_autofree char *path = path_of("x%d.log"), *name = g_strdup_printf("x%d.log", getpid()), *real = path_of(name);
    g_autofree char *text = NULL, *two = path_of("%d%d"), *s = path_of("%s"), *missing = path_of("no/such/x");

    g_assert_false(log_set_file(two, NULL));
    g_assert_false(log_set_file(s, NULL));
    g_assert_false(log_set_file(missing, NULL));
    g_assert_true(log_set_file(path, &error_abort));
    log_set_mask(LOG_INT | LOG_GUEST_ERRORS);
    log_item(LOG_INT, "vector %d\n", 14);
    log_item(LOG_CPU, "not asked for\n");
    log_guest_error("isa-serial", "register %d", 9);
    log_unimp("x", "not asked for");
    text = take(real);
    g_assert_cmpstr(text, ==, "vector 14\nisa-serial: register 9\n");
    log_set_file(NULL, &error_abort);
    log_set_mask(0);
}

/* A guest cannot fill the disk: the burst, the cut, and how many were left out. */
static void test_bounded(void)
{
    g_autofree char *path = path_of("bounded.log"), *text = NULL, *big = g_strnfill(5000, 'x');
    g_auto(GStrv) lines = NULL;

    log_set_file(path, &error_abort);
    log_set_mask(LOG_GUEST_ERRORS | LOG_INT);
    for (int i = 0; i < 30000; i++) {
        log_guest_error("dev", "%s", big);
    }
    log_item(LOG_INT, "others are not limited\n");
    g_usleep(50000);
    log_guest_error("dev", "later");
    text = take(path);
    lines = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(strlen(lines[0]), ==, 510);
    g_assert_cmpuint(g_strv_length(lines), >=, 1003);
    g_assert_cmpuint(g_strv_length(lines), <, 2000);
    g_assert_nonnull(strstr(text, "others are not limited\n"));
    g_assert_nonnull(strstr(text, "records of guest_errors left out)\ndev: later\n"));
    log_set_file(NULL, &error_abort);
    log_set_mask(0);
}

static void write_records(void *arg)
{
    for (int i = 0; i < 200; i++) {
        FILE *f = log_begin();

        for (int k = 0; k < 20; k++) {
            fputc(*(char *)arg, f);
        }
        fputc('\n', f);
        log_end(f);
    }
}

static char letters[] = "abc";

static void write_from_threads(void)
{
    Thread t[3];

    for (int i = 0; i < 3; i++) {
        thread_start(&t[i], "log", write_records, &letters[i], &error_abort);
    }
    for (int i = 0; i < 3; i++) {
        thread_join(&t[i]);
    }
}

static void test_records(void)
{
    g_autofree char *path = path_of("threads.log"), *text = NULL;
    g_auto(GStrv) lines = NULL;

    log_set_file(path, &error_abort);
    write_from_threads();
    text = take(path);
    lines = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 601);
    for (int i = 0; i < 600; i++) {
        g_assert_cmpuint(strspn(lines[i], (char[2]){ lines[i][0], 0 }), ==, 20);
    }
    log_set_file(NULL, &error_abort);
}

/* -d tid: each thread has its file. */
static void test_tid(void)
{
    g_autofree char *path = path_of("tid-%d");
    g_autoptr(GDir) d = NULL;
    const char *name;
    int files = 0;

    log_set_file(path, &error_abort);
    log_set_mask(LOG_TID);
    write_from_threads();
    log_set_mask(0);
    log_set_file(NULL, &error_abort);
    d = g_dir_open(dir, 0, NULL);
    while ((name = g_dir_read_name(d))) {
        g_autofree char *full = path_of(name), *text = take(full);

        files += strlen(text) == 200 * 21;
    }
    g_assert_cmpint(files, ==, 3);
}

static int evaluated;

static int count_up(void)
{
    return ++evaluated;
}

static void pass(void)
{
    TRACE(test_first, "n %d", count_up());
    TRACE(test_second, "s %s", "x");
}

static void test_trace(void)
{
    g_autofree char *path = path_of("trace.log"), *text = NULL, *help = NULL;
    size_t size;
    FILE *f = open_memstream(&help, &size);

    log_set_file(path, &error_abort);
    pass();
    g_assert_cmpint(evaluated, ==, 0);
    g_assert_cmpuint(trace_enable("no_such*", true), ==, 0);
    g_assert_false(log_set_items("trace:no_such*", NULL));
    g_assert_true(log_set_items("trace:test_f*", &error_abort));
    pass();
    g_assert_cmpuint(trace_enable("test_*", true), ==, 2);
    pass();
    g_assert_cmpuint(trace_enable("*", false), ==, 2);
    pass();
    text = take(path);
    g_assert_cmpstr(text, ==, "test_first n 1\ntest_first n 2\ntest_second s x\n");
    log_set_file(NULL, &error_abort);
    trace_print_help(f);
    fclose(f);
    g_assert_cmpstr(help, ==, "test_first\ntest_second\n");
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    rcu_thread_register();
    dir = g_dir_make_tmp("log-test-XXXXXX", NULL);
    g_test_add_func("/log/items", test_items);
    g_test_add_func("/log/filter", test_filter);
    g_test_add_func("/log/file", test_file);
    g_test_add_func("/log/bounded", test_bounded);
    g_test_add_func("/log/records", test_records);
    g_test_add_func("/log/tid", test_tid);
    g_test_add_func("/trace/points", test_trace);
    ret = g_test_run();
    g_rmdir(dir);
    g_free(dir);
    rcu_flush();
    rcu_thread_unregister();
    return ret;
}
