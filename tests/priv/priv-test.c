/*
 * Runs each guest given as an argument; it passes when it ends itself with result 0 (tests/priv/machine.h). PRIV_LOG in
 * the environment is -d: PRIV_LOG=int,exec. PRIV_DUMP=0x9000 shows memory after a failure.
 */
#include <glib.h>
#include <string.h>

#include "tests/priv/machine.h"
#include "util/log.h"

enum { TIMEOUT_MS = 90000 }; /* two CPUs that wait for each other on a busy host */

static void run_guest(const void *path)
{
    BareMachine *m = bare_new(strstr(path, "smp") ? 2 : 1);
    gchar *code;
    gsize size;
    int result;

    g_assert_true(g_file_get_contents(path, &code, &size, NULL));
    result = bare_run(m, (uint8_t *)code, size, TIMEOUT_MS);
    if (*bare_text(m)) {
        gchar **lines = g_strsplit(bare_text(m), "\n", -1);

        for (unsigned n = 0; lines[n]; n++) {
            g_test_message("%s", lines[n]);
        }
        g_strfreev(lines);
    }
    if (result != 0) {
        for (unsigned n = 0; n < bare_accel(m)->num_vcpus; n++) {
            X86Cpu *c = bare_cpu(m, n);

            g_test_message("CPU %u at %04x:%lx cr2 %lx halted %d exception %u", n, c->st.seg[S_CS].selector, c->st.rip,
                           c->st.cr2, c->st.halted, c->st.exception);
        }
        g_test_message("result %d", result);
        for (unsigned n = 0; g_getenv("PRIV_DUMP") && n < 16; n++) {
            uint64_t at = g_ascii_strtoull(g_getenv("PRIV_DUMP"), NULL, 0) + 4 * n;

            g_test_message("%lx: %08x", at, *(uint32_t *)(bare_ram(m) + at));
        }
    }
    bare_free(m);
    g_free(code);
    g_assert_cmpint(result, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (g_getenv("PRIV_LOG")) {
        log_set_items(g_getenv("PRIV_LOG"), &error_abort);
    }
    for (int n = 1; n < argc; n++) {
        gchar *name = g_path_get_basename(argv[n]), *test;

        *strchr(name, '.') = 0;
        test = g_strdup_printf("/priv/%s", name);
        g_test_add_data_func(test, argv[n], run_guest);
        g_free(test);
        g_free(name);
    }
    return g_test_run();
}
