/* The DMA controllers: registers, and transfers against the memory they should have touched. */
#include "hw/dma/i8257.h"

#include <string.h>

#include "hw/dma/i8257.gen.h"
#include "tests/devtest.h"

typedef struct {
    DevTest *t;
    Device *dma[2];
} Rig;

static Rig new_rig(void)
{
    Rig r = {.t = devtest_new(&qclass_i8257)};

    r.dma[0] = devtest_add(r.t, "i8257", NULL);
    r.dma[1] = devtest_add(r.t, "i8257", "base=0xc0,page-base=0x88,pageh-base=0x488,dshift=1");
    return r;
}

static void test_registers(void)
{
    Rig r = new_rig();

    devtest_script(r.t, "outb 0x0c 0; outb 4 0x34; outb 4 0x12; inb 4 = 0x34; inb 4 = 0x12; outb 5 0xff; outb 5 1;"
                        "outb 0x81 0x56; inb 0x81 = 0x56; outb 0x87 1; inb 0x87 = 1; outb 0x83 2; inb 0x83 = 2; outb 0x482 9;"
                        "inb 0x482 = 9; inb 0x0f = 15; outb 0x0a 2; inb 0x0f = 11; outb 0x0e 0; inb 0x0f = 0; outb 0x0d 0;"
                        "inb 0x0f = 15; outb 0xd8 0; outb 0xc4 0x78; outb 0xc4 0x56; inb 0xc4 = 0x78; inb 0xc4 = 0x56;"
                        "inb 0xde = 15; outb 0xd4 1; inb 0xde = 13; outb 0x8b 3; inb 0x8b = 3; reset; inb 0x0f = 15; inb 0x81 = 0");
    devtest_free(r.t);
}

/* The floppy's way: channel 2, from a disk to memory, in pieces. */
static void test_to_memory(void)
{
    Rig r = new_rig();
    uint8_t data[700], got[512];
    unsigned n = 0;
    bool tc = false;

    for (unsigned i = 0; i < sizeof(data); i++) {
        data[i] = g_test_rand_int();
    }
    devtest_script(r.t, "outb 0x0a 6; outb 0x0c 0; outb 4 0; outb 4 0x7c; outb 5 0xff; outb 5 1; outb 0x81 3; outb 0x0b 0x46; outb 0x0a 2");
    g_assert_cmpint(dma_transfer(OBJECT(r.dma[0]), 2, data, 10, false, &tc), ==, 0); /* wrong direction */
    while (!tc) {
        unsigned moved = dma_transfer(OBJECT(r.dma[0]), 2, data + n, MIN(100, sizeof(data) - n), true, &tc);

        g_assert_cmpint(moved, >, 0);
        n += moved;
        devtest_reload(r.t);
    }
    g_assert_cmpint(n, ==, 512);
    address_space_read(r.t->m->as_memory, 0x37c00, MEMTXATTRS_NONE, got, 512);
    g_assert_cmpmem(got, 512, data, 512);
    g_assert_cmpint(devtest_read(r.t, 0x37e00, 8), ==, 0);
    devtest_script(r.t, "inb 8 = 4; inb 8 = 0; inb 0x0f = 15");
    g_assert_cmpint(dma_transfer(OBJECT(r.dma[0]), 2, data, 10, true, &tc), ==, 0); /* masked by the terminal count */
    devtest_free(r.t);
}

/* 16-bit channel 5 with auto-initialization: round and round. Addresses wrap inside 128 KiB. */
static void test_from_memory(void)
{
    Rig r = new_rig();
    uint8_t got[4096];
    bool tc;

    for (unsigned i = 0; i < 64; i++) {
        devtest_write(r.t, i < 32 ? 0x3ffe0 + i : 0x20000 + i - 32, 1, i);
    }
    devtest_script(r.t, "outb 0xd8 0; outb 0xc4 0xf0; outb 0xc4 0xff; outb 0xc6 31; outb 0xc6 0; outb 0x8b 2; outb 0xd6 0x59; outb 0xd4 1");
    g_assert_cmpint(dma_transfer(OBJECT(r.dma[1]), 1, got, sizeof(got), false, &tc), ==, sizeof(got));
    g_assert_true(tc);
    for (unsigned i = 0; i < sizeof(got); i++) {
        g_assert_cmpint(got[i], ==, i % 64);
    }
    /* down, and verify, which moves nothing */
    devtest_script(r.t, "outb 0x0d 0; outb 0 0x0f; outb 0 0; outb 1 15; outb 1 0; outb 0x87 2; outb 0x0b 0x68; outb 0x0a 0");
    g_assert_cmpint(dma_transfer(OBJECT(r.dma[0]), 0, got, 100, false, &tc), ==, 16);
    for (unsigned i = 0; i < 16; i++) {
        g_assert_cmpint(got[i], ==, 32 + 15 - i);
    }
    devtest_script(r.t, "outb 0x0c 0; outb 1 3; outb 1 0; outb 0x0b 0x40; outb 0x0a 0");
    memset(got, 0xee, sizeof(got));
    g_assert_cmpint(dma_transfer(OBJECT(r.dma[0]), 0, got, 100, false, &tc), ==, 4);
    g_assert_cmpint(got[0], ==, 0xee);
    devtest_free(r.t);
}

static void test_fuzz(void)
{
    Rig r = new_rig();
    static uint8_t buf[70000];
    bool tc;

    for (int i = 0; i < 50; i++) {
        devtest_fuzz(r.t, &(DevTestFuzz){.io_base = 0, .io_size = 16, .rounds = 200});
        devtest_fuzz(r.t, &(DevTestFuzz){.io_base = 0xc0, .io_size = 32, .rounds = 200});
        devtest_outb(r.t, 0x0e, 0);
        devtest_outb(r.t, 0xdc, 0);
        for (unsigned n = 0; n < 8; n++) {
            unsigned len = g_test_rand_int_range(0, sizeof(buf) / 2) * 2;

            g_assert_cmpint(dma_transfer(OBJECT(r.dma[n / 4]), n % 4, buf, len, g_test_rand_bit(), &tc), <=, len);
        }
    }
    devtest_free(r.t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/i8257/registers", test_registers);
    g_test_add_func("/i8257/to-memory", test_to_memory);
    g_test_add_func("/i8257/from-memory", test_from_memory);
    g_test_add_func("/i8257/fuzz", test_fuzz);
    return g_test_run();
}
