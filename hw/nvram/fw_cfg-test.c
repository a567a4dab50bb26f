/* fw_cfg: items by port and by DMA, the directory, what cannot be done, and random descriptions of transfers. */
#include "hw/nvram/fw_cfg.h"

#include <string.h>

#include "hw/nvram/fw_cfg.gen.h"
#include "tests/devtest.h"

enum { AT = 0x1000, TO = 0x2000 };

static DevTest *start(Device **f)
{
    DevTest *t = devtest_new(&qclass_fw_cfg_io);

    *f = device_new(t->m, "fw_cfg_io", NULL, NULL, NULL, &error_abort, NULL);
    fw_cfg_set_u16(*f, FW_CFG_NB_CPUS, 0x1234);
    fw_cfg_set_u64(*f, FW_CFG_ARCH_LOCAL | 2, 0x1122334455667788);
    fw_cfg_set_file(*f, "opt/b", g_bytes_new("hello", 5), &error_abort);
    fw_cfg_set_file(*f, "etc/a", g_bytes_new("x", 1), &error_abort);
    devtest_reset(t, OBJECT_COLD_RESET);
    return t;
}

static uint64_t item(DevTest *t, uint16_t key, unsigned len)
{
    uint64_t v = 0;

    devtest_out(t, 0x510, 2, key);
    for (unsigned i = 0; i < len; i++) {
        v |= (uint64_t)devtest_inb(t, 0x511) << (8 * i);
    }
    return v;
}

static void test_items(void)
{
    Device *f;
    DevTest *t = start(&f);

    g_assert_cmphex(devtest_inb(t, 0x511), ==, 0);                 /* nothing selected */
    g_assert_cmphex(item(t, 0, 5), ==, 0x554d4551);                /* "QEMU", then zeros */
    g_assert_cmphex(item(t, 1, 4), ==, 3);
    g_assert_cmphex(item(t, FW_CFG_NB_CPUS, 4), ==, 0x1234);
    g_assert_cmphex(item(t, 0x4005, 2), ==, 0x1234);               /* asking for write access changes nothing */
    g_assert_cmphex(item(t, FW_CFG_ARCH_LOCAL | 2, 8), ==, 0x1122334455667788);
    g_assert_cmphex(item(t, 0x2222, 4), ==, 0);
    devtest_outb(t, 0x511, 1);                                     /* items cannot be written */
    devtest_free(t);
}

static void test_directory(void)
{
    static const uint8_t expected[] = { 0, 0, 0, 2, 0, 0, 0, 1, 0, 0x20, 0, 0, 'e', 't', 'c', '/', 'a', 0 };
    Device *f;
    DevTest *t = start(&f);

    devtest_out(t, 0x510, 2, FW_CFG_FILE_DIR);
    for (unsigned i = 0; i < sizeof(expected); i++) {
        g_assert_cmphex(devtest_inb(t, 0x511), ==, expected[i]);
    }
    g_assert_cmphex(item(t, 0x21, 5), ==, 0x6f6c6c6568);
    devtest_free(t);
}

static void test_file_errors(void)
{
    Device *f;
    DevTest *t = start(&f);
    Error *err = NULL;
    char name[64];

    memset(name, 'a', sizeof(name));
    name[56] = 0;
    g_assert_false(fw_cfg_set_file(f, name, g_bytes_new("x", 1), &err));
    g_assert_nonnull(strstr(error_message(err), "56 characters"));
    error_free(err);
    err = NULL;
    for (unsigned i = 0; i < 30; i++) {
        g_autofree char *n = g_strdup_printf("opt/%u", i);
        g_assert_true(fw_cfg_set_file(f, n, g_bytes_new("x", 1), &error_abort));
    }
    g_assert_false(fw_cfg_set_file(f, "opt/x", g_bytes_new("x", 1), &err));
    error_free(err);
    g_assert_true(fw_cfg_set_file(f, "opt/b", g_bytes_new("new", 3), &error_abort));
    devtest_free(t);
}

/* Description at AT; returns its control afterwards. */
static uint32_t dma(DevTest *t, uint32_t control, uint32_t len, uint64_t address)
{
    uint8_t *ram = memory_region_host(&t->ram);
    uint32_t be[4] = { GUINT32_TO_BE(control), GUINT32_TO_BE(len), GUINT32_TO_BE((uint32_t)(address >> 32)),
                       GUINT32_TO_BE((uint32_t)address) };
    uint32_t after;

    memcpy(ram + AT, be, sizeof(be));
    devtest_out(t, 0x514, 4, 0);
    devtest_out(t, 0x518, 4, GUINT32_SWAP_LE_BE(AT));
    memcpy(&after, ram + AT, 4);
    return GUINT32_FROM_BE(after);
}

static void test_dma(void)
{
    Device *f;
    DevTest *t = start(&f);
    uint8_t *ram = memory_region_host(&t->ram);

    g_assert_cmphex(devtest_in(t, 0x514, 4), ==, 0x554d4551);
    g_assert_cmphex(devtest_in(t, 0x518, 4), ==, 0x47464320);
    memset(ram + TO, 0xff, 16);
    g_assert_cmphex(dma(t, 0x21 << 16 | 8 | 2, 7, TO), ==, 0);     /* select and read; zeros after the end */
    g_assert_cmpmem(ram + TO, 8, "hello\0\0\xff", 8);
    g_assert_cmphex(dma(t, 0x21 << 16 | 8 | 4, 3, 0), ==, 0);      /* skip, then read on */
    g_assert_cmphex(dma(t, 2, 2, TO), ==, 0);
    g_assert_cmpmem(ram + TO, 2, "lo", 2);
    g_assert_cmphex(dma(t, 0x21 << 16 | 8 | 16, 2, TO), ==, 1);    /* write */
    g_assert_cmphex(dma(t, 0x21 << 16 | 8 | 2, 0xffffffff, TO), ==, 1); /* past the end of memory */
    g_assert_cmphex(dma(t, 0x21 << 16 | 8 | 2, 5, 1ull << 40), ==, 1);
    g_assert_cmphex(dma(t, 0, 5, TO), ==, 0);
    devtest_free(t);
}

static void test_random(void)
{
    Device *f;
    DevTest *t = start(&f);

    for (unsigned i = 0; i < 3000; i++) {
        dma(t, (uint32_t)g_test_rand_int() & 0x3f001f, (uint32_t)g_test_rand_int() & 0x1ffff,
            (uint32_t)g_test_rand_int() & 0x1ffffff);
    }
    devtest_fuzz(t, &(DevTestFuzz){ .io_base = 0x510, .io_size = 12, .rounds = 3000 });
    devtest_free(t);
}

static void replace(void *opaque)
{
    fw_cfg_set_file(opaque, "etc/a", g_bytes_new("Z", 1), &error_abort);
}

static void test_on_select(void)
{
    Device *f;
    DevTest *t = start(&f);

    fw_cfg_on_select(f, "etc/a", replace, f);
    g_assert_cmphex(item(t, 0x20, 1), ==, 'Z');
    devtest_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fw_cfg/items", test_items);
    g_test_add_func("/fw_cfg/directory", test_directory);
    g_test_add_func("/fw_cfg/file-errors", test_file_errors);
    g_test_add_func("/fw_cfg/dma", test_dma);
    g_test_add_func("/fw_cfg/random", test_random);
    g_test_add_func("/fw_cfg/on-select", test_on_select);
    return g_test_run();
}
