/* Tests of util/ram.h. */
#include "util/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/bits.h"

static sigjmp_buf fault;

static void on_fault(int sig)
{
    siglongjmp(fault, 1);
}

/* True iff reading p faults. */
static bool faults(volatile char *p)
{
    struct sigaction sa = { .sa_handler = on_fault }, old;
    volatile bool faulted = true;

    sigaction(SIGSEGV, &sa, &old);
    if (!sigsetjmp(fault, 1)) {
        (void)*p;
        faulted = false;
    }
    sigaction(SIGSEGV, &old, NULL);
    return faulted;
}

static void test_anonymous(void)
{
    HostRamSpec spec = { .size = 3 * host_page_size() + 1, .align = 2 << 20, .thp = true, .mergeable = true,
                         .no_dump = true, .prealloc = true };
    HostRam ram;
    char *p;

    g_assert_true(host_ram_init(&ram, &spec, &error_abort));
    p = ram.ptr;
    g_assert_cmpuint(ram.size, ==, 4 * host_page_size());
    g_assert_true(is_aligned((uintptr_t)p, 2 << 20));
    g_assert_cmpint(p[ram.size - 1], ==, 0);
    memset(p, 0x55, ram.size);
    g_assert_true(faults(p - 1) && faults(p + ram.size) && !faults(p));
    g_assert_cmpint(host_ram_discard(&ram, host_page_size(), host_page_size()), ==, 0);
    g_assert_true(p[host_page_size()] == 0 && p[0] == 0x55 && p[2 * host_page_size()] == 0x55);
    g_assert_cmpint(host_ram_discard(&ram, 1, host_page_size()), ==, -EINVAL);
    g_assert_cmpint(host_ram_discard(&ram, 0, ram.size + host_page_size()), ==, -EINVAL);
    host_ram_finish(&ram);
    host_ram_finish(&ram);
}

static void test_memfd(void)
{
    HostRamSpec spec = { .size = 1 << 20, .memfd = true, .seals = F_SEAL_GROW | F_SEAL_SHRINK, .name = "test" };
    HostRamSpec again = { .size = 1 << 20, .has_fd = true, .shared = true };
    HostRamSpec copy = { .size = 4096, .has_fd = true, .offset = 4096, .readonly = true };
    HostRam ram, other, part;

    g_assert_true(host_ram_init(&ram, &spec, &error_abort));
    g_assert_cmpint(ftruncate(ram.fd, 5), ==, -1);
    again.fd = copy.fd = ram.fd;
    g_assert_true(host_ram_init(&other, &again, &error_abort));
    g_assert_true(host_ram_init(&part, &copy, &error_abort));
    ((char *)ram.ptr)[4097] = 7;
    g_assert_cmpint(((char *)other.ptr)[4097], ==, 7);
    g_assert_cmpint(((char *)part.ptr)[1], ==, 7);
    g_assert_cmpint(host_ram_discard(&ram, 4096, 4096), ==, 0);
    g_assert_cmpint(((char *)other.ptr)[4097], ==, 0);
    host_ram_finish(&part);
    host_ram_finish(&other);
    host_ram_finish(&ram);
}

static void test_refused(void)
{
    static const HostRamSpec wrong[] = {
        { .size = 0 }, { .size = UINT64_MAX }, { .size = 1ull << 62 }, { .size = 4096, .align = 3 << 12 },
        { .size = 4096, .has_fd = true, .fd = -1 }, { .size = 4096, .has_fd = true, .fd = 0, .offset = 5 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(wrong) - 2; i++) {
        HostRam ram;
        Error *err = NULL;

        g_assert_false(host_ram_init(&ram, &wrong[i], &err));
        g_test_message("%s", error_message(err));
        error_free(err);
        host_ram_finish(&ram);
    }
    for (unsigned i = G_N_ELEMENTS(wrong) - 2; i < G_N_ELEMENTS(wrong); i++) {
        HostRam ram;

        g_assert_false(host_ram_init(&ram, &wrong[i], NULL));
    }
}

static void test_guarded(void)
{
    char *p = guarded_alloc(5000);

    g_assert_nonnull(p);
    p[0] = p[4999] = 1;
    g_assert_true(faults(p - 1) && faults(p + 2 * host_page_size()));
    guarded_free(p, 5000);
    guarded_free(NULL, 0);
    g_assert_null(guarded_alloc(SIZE_MAX));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ram/anonymous", test_anonymous);
    g_test_add_func("/ram/memfd", test_memfd);
    g_test_add_func("/ram/refused", test_refused);
    g_test_add_func("/ram/guarded", test_guarded);
    return g_test_run();
}
