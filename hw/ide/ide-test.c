/* IDE: commands against a copy of the disk in memory, registers and packets against the specifications. */
#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

#include "block/block.gen.h"
#include "hw/ide/ide.h"
#include "tests/devtest.h"
#include "util/bits.h"

enum { DISK_SECTORS = 40000, CD_SECTORS = 700, BM = 0xc000, TABLE = 0x10000, MEM = 0x100000 };

typedef struct {
    DevTest *t;
    BlockContext *ctx;
    char *disk_path, *cd_path;
    uint8_t *disk, *cd; /* what they should hold */
} Env;

static char *make_image(uint8_t **copy, size_t size, const char *pattern)
{
    char *path;
    int fd = g_file_open_tmp(pattern, &path, NULL);

    close(fd);
    *copy = g_malloc(size);
    for (size_t i = 0; i < size; i += 4) {
        st32_le(*copy + i, g_test_rand_int());
    }
    g_assert_true(g_file_set_contents(path, (char *)*copy, size, NULL));
    return path;
}

static BlockDev *open_image(Env *e, const char *id, const char *path, bool cdrom)
{
    struct json_object *j = json_object_new_object();
    BlockDev *b;

    json_object_object_add(j, "file", json_object_new_string(path));
    json_object_object_add(j, "format", json_object_new_string("raw"));
    json_object_object_add(j, "media", json_object_new_string(cdrom ? "cdrom" : "disk"));
    b = blockdev_new_from_drive(e->ctx, id, j, &error_abort);
    json_object_put(j);
    return b;
}

static void env_init(Env *e)
{
    e->t = devtest_new(&qclass_piix3_ide, &qclass_ide_hd, &qclass_ide_cd, &qclass_IDE, &qclass_blockdev);
    e->ctx = block_context_new(e->t->tree, e->t->loop);
    Device *ide = devtest_add(e->t, "piix3-ide", "addr=1.1");
    device_connect_irq_out(ide, "isa-irq", 0, e->t->isa->irqs[14]);
    device_connect_irq_out(ide, "isa-irq", 1, e->t->isa->irqs[15]);
    e->disk_path = make_image(&e->disk, DISK_SECTORS * 512, "kestrel-ide-XXXXXX");
    e->cd_path = make_image(&e->cd, CD_SECTORS * 2048, "kestrel-cd-XXXXXX");
    ide_add_drive(e->t->m, 0, 0, open_image(e, "disk", e->disk_path, false), false, NULL, &error_abort);
    ide_add_drive(e->t->m, 1, 0, open_image(e, "cd", e->cd_path, true), true, NULL, &error_abort);
    devtest_reset(e->t, OBJECT_COLD_RESET);
    devtest_pci_write(e->t, 9, 0x20, 4, BM);
    devtest_pci_write(e->t, 9, PCI_COMMAND, 2, 5);
}

static void env_finish(Env *e)
{
    BlockContext *ctx = e->ctx;
    DevTest *t = e->t;

    while (t->m->last_device) {
        object_unparent(OBJECT(t->m->last_device));
    }
    blockdev_delete(t->tree, "disk", &error_abort);
    blockdev_delete(t->tree, "cd", &error_abort);
    block_context_free(ctx);
    devtest_free(t);
    unlink(e->disk_path);
    unlink(e->cd_path);
    g_free(e->disk_path);
    g_free(e->cd_path);
    g_free(e->disk);
    g_free(e->cd);
}

/* ---- The host's side ---- */

static uint8_t wait_status(Env *e, uint16_t base)
{
    block_drain_all(e->ctx);
    return devtest_inb(e->t, base + 7);
}

static void set_task(Env *e, uint16_t base, uint64_t lba, unsigned n, bool ext)
{
    if (ext) {
        devtest_outb(e->t, base + 2, n >> 8);
        devtest_outb(e->t, base + 3, lba >> 24);
        devtest_outb(e->t, base + 4, lba >> 32);
        devtest_outb(e->t, base + 5, lba >> 40);
    }
    devtest_outb(e->t, base + 6, 0x40 | (ext ? 0 : lba >> 24 & 15));
    devtest_outb(e->t, base + 2, n);
    devtest_outb(e->t, base + 3, lba);
    devtest_outb(e->t, base + 4, lba >> 8);
    devtest_outb(e->t, base + 5, lba >> 16);
}

static void read_data(Env *e, uint16_t base, uint8_t *buf, unsigned len)
{
    unsigned size = g_test_rand_bit() ? 4 : 2;

    for (unsigned i = 0; i < len; i += size) {
        size = len - i < size ? 2 : size;
        st_le(buf + i, size, devtest_in(e->t, base, size));
    }
}

static void write_data(Env *e, uint16_t base, const uint8_t *buf, unsigned len)
{
    unsigned size = g_test_rand_bit() ? 4 : 2;

    for (unsigned i = 0; i < len; i += size) {
        devtest_out(e->t, base, size, ld_le(buf + i, size));
    }
}

/* ---- Disk ---- */

static void test_identify(void)
{
    uint8_t id[512];
    Env e;

    env_init(&e);
    devtest_outb(e.t, 0x1f6, 0xa0);
    devtest_outb(e.t, 0x1f7, 0xec);
    g_assert_cmpuint(devtest_irq(e.t, 14), ==, 1);
    g_assert_cmphex(wait_status(&e, 0x1f0), ==, 0x58);
    g_assert_cmpuint(devtest_irq(e.t, 14), ==, 0); /* reading status takes it back */
    read_data(&e, 0x1f0, id, 512);
    g_assert_cmphex(devtest_inb(e.t, 0x1f7), ==, 0x50);
    g_assert_cmpmem(id + 20, 20, "MQ0000 1            ", 20);
    g_assert_cmpmem(id + 46, 8, ".2+5    ", 8);
    g_assert_cmpmem(id + 54, 16, "EQUMH RADDSI K  ", 16);
    g_assert_cmpuint(ld16_le(id + 2), ==, DISK_SECTORS / 1008);
    g_assert_cmpuint(ld32_le(id + 120), ==, DISK_SECTORS);
    g_assert_cmpuint(ld64_le(id + 200), ==, DISK_SECTORS);
    g_assert_cmphex(ld16_le(id + 176), ==, 0x203f); /* ultra mode 5 */
    devtest_pci_write(e.t, 9, 0x40, 4, 0x80008000); /* channels enabled: what drivers look at stays over a reset */
    devtest_reset(e.t, OBJECT_WARM_RESET);
    g_assert_cmphex(devtest_pci_read(e.t, 9, 0x40, 4), ==, 0x80008000);
    g_assert_cmphex(ld16_le(id + 118), ==, 0x0110); /* 16 sectors a block before anybody set it */
    devtest_outb(e.t, 0x1f1, 3);
    devtest_outb(e.t, 0x1f2, 0x22);
    devtest_outb(e.t, 0x1f7, 0xef); /* multi-word mode 2 */
    g_assert_cmphex(wait_status(&e, 0x1f0), ==, 0x50);
    devtest_outb(e.t, 0x1f7, 0xec);
    read_data(&e, 0x1f0, id, 512);
    g_assert_cmphex(ld16_le(id + 176), ==, 0x003f);
    g_assert_cmphex(ld16_le(id + 126), ==, 0x0407);
    env_finish(&e);
}

/* The registers of a drive that is not there, selection, reset, signatures. */
static void test_registers(void)
{
    Env e;

    env_init(&e);
    devtest_script(e.t, "outb 0x1f6 0xa0; inb 0x1f7 = 0x50; inb 0x1f1 = 1; inb 0x1f2 = 1; inb 0x1f3 = 1; inb 0x1f4 = 0; inb 0x1f5 = 0\n"
                        "outb 0x1f2 0x55; outb 0x1f3 0xaa; inb 0x1f2 = 0x55; inb 0x1f3 = 0xaa\n"
                        "outb 0x3f6 0x80; inb 0x1f2 = 1; inb 0x1f3 = 1   # the values before\n"
                        "outb 0x1f4 7; inb 0x1f2 = 0x55                 # a write takes HOB back\n"
                        "outb 0x1f6 0xb0; inb 0x1f7 = 0; inb 0x1f2 = 0x55; inb 0x1f6 = 0xb0; outb 0x1f7 0xec; inb 0x1f7 = 0; irq 14 = 0\n"
                        "outb 0x1f6 0xa0; outb 0x3f6 4; inb 0x3f6 = 0x80; outb 0x3f6 0; inb 0x3f6 = 0x50; inb 0x1f1 = 1\n"
                        "outb 0x1f6 0xb0; inb 0x1f1 = 0; inb 0x1f2 = 1; inb 0x1f3 = 1; inb 0x1f4 = 0xff; inb 0x1f5 = 0xff; outb 0x1f6 0xa0\n"
                        "outb 0x376 4; outb 0x376 0; inb 0x177 = 0; inb 0x174 = 0x14; inb 0x175 = 0xeb\n"
                        "outb 0x1f7 0xff; inb 0x1f7 = 0x51; inb 0x1f1 = 4; irq 14 = 0\n"
                        "outb 0x3f6 2; outb 0x1f7 0xe1; irq 14 = 0; outb 0x3f6 0; irq 14 = 1; inb 0x3f6 = 0x50; irq 14 = 1\n"
                        "inb 0x1f7 = 0x50; irq 14 = 0\n"
                        "outb 0x1f7 0x90; irq 14 = 1; inb 0x1f7 = 0x50; inb 0x1f1 = 1\n"
                        "outb 0x1f2 3; outb 0x1f7 0xc6; inb 0x1f7 = 0x51; outb 0x1f2 16; outb 0x1f7 0xc6; inb 0x1f7 = 0x50\n"
                        "outb 0x1f7 0xe5; inb 0x1f2 = 0xff; inb 0x1f7 = 0x50\n"
                        "outb 0x1f6 0xe0; outb 0x1f7 0xf8; inb 0x1f3 = 0x3f; inb 0x1f4 = 0x9c; inb 0x1f5 = 0; inb 0x1f7\n"
                        "inb 0x1f0; inw 0x1f0 = 0; outw 0x1f0 1; inb 0x1f7 = 0x50");
    env_finish(&e);
}

static void test_pio_commands(void)
{
    static const struct {
        uint8_t read, write;
        bool ext;
        unsigned block;
    } kinds[] = {{0x20, 0x30, false, 1}, {0x24, 0x34, true, 1}, {0xc4, 0xc5, false, 8}, {0x29, 0x39, true, 8}};
    Env e;

    env_init(&e);
    devtest_script(e.t, "outb 0x1f6 0xa0; outb 0x1f2 8; outb 0x1f7 0xc6; inb 0x1f7 = 0x50");
    for (int i = 0; i < 200; i++) {
        unsigned k = g_test_rand_int_range(0, 4), n = g_test_rand_int_range(1, 20), block = kinds[k].block;
        uint64_t lba = g_test_rand_int_range(0, DISK_SECTORS - n);
        bool write = g_test_rand_bit();
        uint8_t buf[20 * 512];

        set_task(&e, 0x1f0, lba, n, kinds[k].ext);
        devtest_outb(e.t, 0x1f7, write ? kinds[k].write : kinds[k].read);
        for (unsigned done = 0; done < n; done += block) {
            unsigned len = MIN(block, n - done) * 512;

            block_drain_all(e.ctx);
            g_assert_cmpuint(devtest_irq(e.t, 14), ==, !write || done);
            g_assert_cmphex(devtest_inb(e.t, 0x1f7), ==, 0x58);
            if (g_test_rand_int_range(0, 8) == 0) {
                devtest_reload(e.t);
            }
            if (write) {
                for (unsigned j = 0; j < len; j++) {
                    buf[done * 512 + j] = e.disk[(lba + done) * 512 + j] = g_test_rand_int();
                }
                write_data(&e, 0x1f0, buf + done * 512, len);
            } else {
                read_data(&e, 0x1f0, buf + done * 512, len);
            }
        }
        g_assert_cmphex(wait_status(&e, 0x1f0), ==, 0x50);
        g_assert_cmpmem(buf, n * 512, e.disk + lba * 512, n * 512);
    }
    env_finish(&e);
}

/* CHS with the default translation and another; a sector 0 and what is past the end fail. */
static void test_chs(void)
{
    uint8_t buf[512];
    Env e;

    env_init(&e);
    devtest_script(e.t, "outb 0x1f6 0xa5; outb 0x1f2 1; outb 0x1f3 3; outb 0x1f4 7; outb 0x1f5 0; outb 0x1f7 0x20");
    g_assert_cmphex(wait_status(&e, 0x1f0), ==, 0x58);
    read_data(&e, 0x1f0, buf, 512);
    g_assert_cmpmem(buf, 512, e.disk + ((7 * 16 + 5) * 63 + 2) * 512, 512);
    devtest_script(e.t, "outb 0x1f6 0xa3; outb 0x1f2 17; outb 0x1f7 0x91; inb 0x1f7 = 0x50\n" /* 4 heads, 17 sectors */
                        "outb 0x1f6 0xa2; outb 0x1f2 1; outb 0x1f3 17; outb 0x1f4 0; outb 0x1f5 1; outb 0x1f7 0x20");
    g_assert_cmphex(wait_status(&e, 0x1f0), ==, 0x58);
    read_data(&e, 0x1f0, buf, 512);
    g_assert_cmpmem(buf, 512, e.disk + ((256 * 4 + 2) * 17 + 16) * 512, 512);
    devtest_script(e.t, "outb 0x1f3 0; outb 0x1f7 0x20; inb 0x1f7 = 0x51; inb 0x1f1 = 0x10");
    set_task(&e, 0x1f0, DISK_SECTORS - 1, 2, false);
    devtest_script(e.t, "outb 0x1f7 0xc8; inb 0x1f7 = 0x51; inb 0x1f1 = 0x10");
    set_task(&e, 0x1f0, 0xffffffffffff, 1, true);
    devtest_script(e.t, "outb 0x1f7 0x25; inb 0x1f7 = 0x51; inb 0x1f1 = 0x10");
    set_task(&e, 0x1f0, 0, 1, false);
    devtest_script(e.t, "outb 0x3f6 4; outb 0x3f6 0; outb 0x1f2 0; outb 0x1f7 0xc6; outb 0x1f2 1; outb 0x1f7 0xc4; inb 0x1f7 = 0x51; inb 0x1f1 = 4"); /* turned off */
    env_finish(&e);
}

/* A table of random regions for len bytes from MEM on, with `more` bytes in the last; the memory it covers in order. */
static void make_table(Env *e, unsigned len, unsigned more, uint8_t **order)
{
    uint32_t at = TABLE, mem = MEM;
    unsigned done = 0;

    while (done < len) {
        unsigned left = len - done, some = g_test_rand_int_range(1, 0x8000) * 2, n = MIN(left, some);
        bool last = n == left;

        mem += g_test_rand_int_range(0, 64) * 2;
        for (unsigned i = 0; i < n; i++) {
            order[done + i] = memory_region_host(&e->t->ram) + mem + i;
        }
        n += last ? more : 0;
        devtest_write(e->t, at, 4, mem);
        devtest_write(e->t, at + 4, 4, (n & 0xffff) | (last ? 0x80000000 : 0));
        at += 8;
        mem += n;
        done += n;
    }
}

static void dma_start(Env *e, unsigned channel, bool to_memory)
{
    uint16_t bm = BM + 8 * channel;

    devtest_out(e->t, bm + 4, 4, TABLE);
    devtest_outb(e->t, bm + 2, 0x66);
    devtest_outb(e->t, bm, to_memory ? 8 : 0);
    devtest_outb(e->t, bm, to_memory ? 9 : 1);
}

static void test_dma(void)
{
    uint8_t **order = g_new(uint8_t *, 600 * 512 + 16);
    Env e;

    env_init(&e);
    for (int i = 0; i < 300; i++) {
        unsigned n = g_test_rand_int_range(1, g_test_rand_bit() ? 600 : 20);
        uint64_t lba = g_test_rand_int_range(0, DISK_SECTORS - n);
        bool ext = n > 256 || g_test_rand_bit(), write = g_test_rand_bit(), early = g_test_rand_bit();
        unsigned more = g_test_rand_int_range(0, 3) ? 0 : 2;
        uint8_t command = write ? (ext ? (i % 3 ? 0x35 : 0x3d) : 0xca) : ext ? 0x25 : 0xc8;

        make_table(&e, n * 512, more, order);
        for (unsigned j = 0; write && j < n * 512; j++) {
            e.disk[lba * 512 + j] = *order[j];
        }
        if (early) {
            dma_start(&e, 0, !write);
        }
        set_task(&e, 0x1f0, lba, n, ext);
        devtest_outb(e.t, 0x1f7, command);
        if (!early) {
            block_drain_all(e.ctx);
            g_assert_cmpuint(devtest_irq(e.t, 14), ==, 0);
            devtest_reload(e.t);
            dma_start(&e, 0, !write);
        }
        block_drain_all(e.ctx);
        g_assert_cmpuint(devtest_irq(e.t, 14), ==, 1);
        g_assert_cmphex(devtest_inb(e.t, BM + 2), ==, more ? 0x65 : 0x64);
        g_assert_cmphex(devtest_inb(e.t, 0x1f7), ==, 0x50);
        devtest_outb(e.t, BM, 0);
        for (unsigned j = 0; j < n * 512; j++) {
            if (*order[j] != e.disk[lba * 512 + j]) {
                g_error("byte %u of %s %u sectors at %u", j, write ? "writing" : "reading", n, (unsigned)lba);
            }
        }
    }
    set_task(&e, 0x1f0, 0, 1, false);
    devtest_script(e.t, "outb 0x1f7 0xe7");
    g_assert_cmphex(wait_status(&e, 0x1f0), ==, 0x50);
    g_autofree char *file = NULL;
    gsize len;
    g_assert_true(g_file_get_contents(e.disk_path, &file, &len, NULL));
    g_assert_cmpmem(file, len, e.disk, DISK_SECTORS * 512);
    env_finish(&e);
    g_free(order);
}

/* Tables that are too short or lead nowhere; stopping and starting again; a wrong direction. */
static void test_dma_errors(void)
{
    Env e;

    env_init(&e);
    devtest_write(e.t, TABLE, 8, MEM | 0x8000010000000000); /* 256 of 512 bytes */
    dma_start(&e, 0, true);
    set_task(&e, 0x1f0, 5, 1, false);
    devtest_outb(e.t, 0x1f7, 0xc8);
    block_drain_all(e.ctx);
    g_assert_cmphex(devtest_inb(e.t, BM + 2), ==, 0x60); /* neither active nor interrupt */
    g_assert_cmphex(devtest_inb(e.t, 0x3f6), ==, 0x80);
    g_assert_cmpmem(memory_region_host(&e.t->ram) + MEM, 256, e.disk + 5 * 512, 256);
    dma_start(&e, 0, true); /* the other half */
    g_assert_cmphex(devtest_inb(e.t, BM + 2), ==, 0x64);
    g_assert_cmpmem(memory_region_host(&e.t->ram) + MEM, 256, e.disk + 5 * 512 + 256, 256);
    g_assert_cmphex(devtest_inb(e.t, 0x1f7), ==, 0x50);
    devtest_write(e.t, TABLE, 8, 0xf0000000 | 0x8000020000000000); /* no memory there */
    dma_start(&e, 0, true);
    devtest_outb(e.t, 0x1f7, 0xc8);
    block_drain_all(e.ctx);
    g_assert_cmphex(devtest_inb(e.t, BM + 2), ==, 0x66);
    g_assert_cmphex(devtest_inb(e.t, 0x1f7), ==, 0x51);
    devtest_write(e.t, TABLE, 8, MEM | 0x8000020000000000);
    dma_start(&e, 0, false); /* a read with the direction of a write */
    devtest_outb(e.t, 0x1f7, 0xc8);
    block_drain_all(e.ctx);
    g_assert_cmphex(devtest_inb(e.t, BM + 2), ==, 0x66);
    g_assert_cmphex(devtest_inb(e.t, 0x1f7), ==, 0x51);
    devtest_outb(e.t, 0x1f7, 0xc8); /* never started: a reset ends it */
    block_drain_all(e.ctx);
    devtest_script(e.t, "inb 0x3f6 = 0x80; outb 0x3f6 4; outb 0x3f6 0; inb 0x1f7 = 0x50");
    env_finish(&e);
}

/* ---- CD-ROM ---- */

static void packet(Env *e, const char *bytes, uint16_t limit, bool dma)
{
    devtest_outb(e->t, 0x176, 0xa0);
    devtest_outb(e->t, 0x171, dma);
    devtest_outb(e->t, 0x174, limit);
    devtest_outb(e->t, 0x175, limit >> 8);
    devtest_outb(e->t, 0x177, 0xa0);
    g_assert_cmphex(devtest_inb(e->t, 0x376), ==, 0x58);
    g_assert_cmphex(devtest_inb(e->t, 0x172) & 3, ==, 1);
    for (int i = 0; i < 12; i += 2) {
        devtest_out(e->t, 0x170, 2, ld16_le(bytes + i));
    }
    block_drain_all(e->ctx);
}

/* Takes the whole answer by the data register, checking the protocol; its length. */
static unsigned receive(Env *e, uint8_t *buf, unsigned limit)
{
    unsigned len = 0;

    while (devtest_inb(e->t, 0x177) & 8) {
        unsigned n = devtest_inb(e->t, 0x174) | devtest_inb(e->t, 0x175) << 8;

        g_assert_cmpuint(n, <=, limit);
        g_assert_cmpuint(n, >, 0);
        g_assert_cmphex(devtest_inb(e->t, 0x172) & 3, ==, 2);
        for (unsigned i = 0; i < n; i += 2) {
            uint16_t v = devtest_in(e->t, 0x170, 2);

            memcpy(buf + len + i, &v, MIN(2, n - i));
        }
        len += n;
        block_drain_all(e->ctx);
    }
    return len;
}

static void check_sense(Env *e, const char *bytes, uint8_t key, uint16_t code)
{
    uint8_t buf[64];

    packet(e, bytes, 0xfffe, false);
    g_assert_cmphex(devtest_inb(e->t, 0x177), ==, 0x51);
    g_assert_cmphex(devtest_inb(e->t, 0x171) >> 4, ==, key);
    g_assert_cmphex(devtest_inb(e->t, 0x172) & 3, ==, 3);
    packet(e, "\x03\0\0\0\x12\0\0\0\0\0\0\0", 0xfffe, false);
    g_assert_cmpuint(receive(e, buf, 0xfffe), ==, 18);
    g_assert_cmphex(buf[0], ==, 0x70);
    g_assert_cmphex(buf[2], ==, key);
    g_assert_cmphex(ld16_be(buf + 12), ==, code);
}

static void test_packets(void)
{
    uint8_t buf[4096];
    Env e;

    env_init(&e);
    devtest_script(e.t, "outb 0x176 0xa0; outb 0x177 0xec; inb 0x177 = 0x51; inb 0x174 = 0x14; inb 0x175 = 0xeb; outb 0x177 0xa1; irq 15 = 1");
    g_assert_cmphex(devtest_inb(e.t, 0x177), ==, 0x58);
    read_data(&e, 0x170, buf, 512);
    g_assert_cmphex(ld16_le(buf), ==, 0x85c0);
    g_assert_cmpmem(buf + 20, 20, "MQ0000 3            ", 20);
    g_assert_cmpmem(buf + 54, 12, "EQUMD DVR-MO", 12);
    packet(&e, "\x12\0\0\0\x24\0\0\0\0\0\0\0", 0xfffe, false);
    g_assert_cmpuint(receive(&e, buf, 0xfffe), ==, 36);
    g_assert_cmpmem(buf, 36, "\x05\x80\0\x21\x1f\0\0\0QEMU    QEMU DVD-ROM    2.5+", 36);
    packet(&e, "\x12\0\0\0\x05\0\0\0\0\0\0\0", 0xfffe, false);
    g_assert_cmpuint(receive(&e, buf, 0xfffe), ==, 5);
    packet(&e, "\x25\0\0\0\0\0\0\0\0\0\0\0", 8, false);
    g_assert_cmpuint(receive(&e, buf, 8), ==, 8);
    g_assert_cmpuint(ld32_be(buf), ==, CD_SECTORS - 1);
    g_assert_cmpuint(ld32_be(buf + 4), ==, 2048);
    packet(&e, "\x43\x02\0\0\0\0\0\0\x64\0\0\0", 0xfffe, false);
    g_assert_cmpuint(receive(&e, buf, 0xfffe), ==, 20);
    g_assert_cmpmem(buf, 20, "\0\x12\1\1\0\x14\1\0\0\0\2\0\0\x14\xaa\0\0\0\x0b\x19", 20); /* 700 + 150 frames */
    packet(&e, "\x5a\0\x2a\0\0\0\0\0\x80\0\0\0", 0xfffe, false);
    g_assert_cmpuint(receive(&e, buf, 0xfffe), ==, 28);
    g_assert_cmphex(buf[8], ==, 0x2a);
    packet(&e, "\x4a\1\0\0\x10\0\0\0\x08\0\0\0", 0xfffe, false);
    g_assert_cmpuint(receive(&e, buf, 0xfffe), ==, 8);
    g_assert_cmpmem(buf, 8, "\0\6\4\x10\0\2\0\0", 8);
    packet(&e, "\x46\0\0\0\0\0\0\0\xff\0\0\0", 0xfffe, false);
    g_assert_cmpuint(receive(&e, buf, 0xfffe), ==, 40);
    g_assert_cmpuint(ld32_be(buf), ==, 36);
    g_assert_cmphex(ld16_be(buf + 6), ==, 8);
    check_sense(&e, "\x28\0\0\0\x02\xbb\0\0\2\0\0\0", 5, 0x2100); /* 699 and 700 */
    check_sense(&e, "\xff\0\0\0\0\0\0\0\0\0\0\0", 5, 0x2000);
    check_sense(&e, "\xbe\0\0\0\0\0\0\0\1\xf8\0\0", 5, 0x2400);
    packet(&e, "\x1e\0\0\0\1\0\0\0\0\0\0\0", 0xfffe, false); /* lock; eject; unlock; eject */
    check_sense(&e, "\x1b\0\0\0\2\0\0\0\0\0\0\0", 2, 0x5302);
    packet(&e, "\x1e\0\0\0\0\0\0\0\0\0\0\0", 0xfffe, false);
    packet(&e, "\x1b\0\0\0\2\0\0\0\0\0\0\0", 0xfffe, false);
    g_assert_cmphex(devtest_inb(e.t, 0x177), ==, 0x50);
    check_sense(&e, "\0\0\0\0\0\0\0\0\0\0\0\0", 2, 0x3a02);
    packet(&e, "\x1b\0\0\0\3\0\0\0\0\0\0\0", 0xfffe, false);
    packet(&e, "\0\0\0\0\0\0\0\0\0\0\0\0", 0xfffe, false);
    g_assert_cmphex(devtest_inb(e.t, 0x177), ==, 0x50);
    env_finish(&e);
}

static void test_cd_reads(void)
{
    uint8_t *buf = g_malloc(200 * 2048);
    uint8_t **order = g_new(uint8_t *, 200 * 2048);
    Env e;

    env_init(&e);
    for (int i = 0; i < 60; i++) {
        unsigned n = g_test_rand_int_range(0, i % 10 ? 12 : 150), lba = g_test_rand_int_range(0, CD_SECTORS - n);
        uint16_t limit = g_test_rand_int_range(0, 3) ? 0x8000 : g_test_rand_int_range(2, 5000);
        uint8_t cdb[12] = {g_test_rand_bit() ? 0x28 : 0xa8};

        st32_be(cdb + 2, lba);
        cdb[0] == 0x28 ? st16_be(cdb + 7, n) : st32_be(cdb + 6, n);
        if (i & 1 && n) {
            make_table(&e, n * 2048, 0, order);
            dma_start(&e, 1, true);
            packet(&e, (char *)cdb, 0, true);
            g_assert_cmpuint(devtest_irq(e.t, 15), ==, 1);
            g_assert_cmphex(devtest_inb(e.t, BM + 10), ==, 0x64);
            for (unsigned j = 0; j < n * 2048; j++) {
                buf[j] = *order[j];
            }
            devtest_outb(e.t, BM + 8, 0);
        } else {
            packet(&e, (char *)cdb, limit, false);
            g_assert_cmpuint(receive(&e, buf, limit), ==, n * 2048);
        }
        g_assert_cmphex(devtest_inb(e.t, 0x177), ==, 0x50);
        g_assert_cmphex(devtest_inb(e.t, 0x172) & 3, ==, 3);
        g_assert_cmpmem(buf, n * 2048, e.cd + lba * 2048, n * 2048);
    }
    env_finish(&e);
    g_free(buf);
    g_free(order);
}

/* ---- ---- */

static void check_error(Env *e, const char *driver, const char *props, const char *want)
{
    g_autofree char *text = devtest_add_error(e->t, driver, props);

    g_assert_cmpstr(text, ==, want);
}

static void test_plug(void)
{
    unsigned c, h, s;
    Env e;

    env_init(&e);
    g_assert_true(ide_get_geometry(e.t->m, 0, 0, &c, &h, &s));
    g_assert_true(c == DISK_SECTORS / 1008 && h == 16 && s == 63);
    g_assert_false(ide_get_geometry(e.t->m, 1, 0, &c, &h, &s));
    check_error(&e, "ide-hd", NULL, "No drive specified");
    check_error(&e, "ide-cd", "bus=ide.0,unit=2", "Can't create IDE unit 2, bus supports only 2 units");
    check_error(&e, "ide-cd", "bus=ide.0,unit=0", "IDE unit 0 is in use");
    check_error(&e, "ide-cd", "bus=ide.1,drive=disk", "Drive 'disk' is already in use by another device");
    check_error(&e, "ide-cd", "bus=ide.1,serial=123456789012345678901", "serial=123456789012345678901 is longer than 20 characters");
    const IdeDeviceConf *conf = object_conf(OBJECT(devtest_add(e.t, "ide-cd", "bus=ide.0")));
    g_assert_true(conf->has_unit && conf->unit == 1);
    g_assert_cmpstr(conf->serial, ==, "QM00002");
    check_error(&e, "ide-cd", "bus=ide.0", "Bus 'ide.0' is full");
    devtest_script(e.t, "outb 0x1f6 0xb0; inb 0x1f4 = 0x14; outb 0x1f7 0xa0; outw 0x1f0 0;outw 0x1f0 0;outw 0x1f0 0;outw 0x1f0 0;"
                        "outw 0x1f0 0;outw 0x1f0 0; inb 0x1f7 = 0x51; inb 0x1f1 = 0x20");
    env_finish(&e);
}

static void test_fuzz(void)
{
    g_autofree uint8_t **order = g_new(uint8_t *, 65536 + 16);
    Env e;

    env_init(&e);
    make_table(&e, 65536, 0, order);
    devtest_out(e.t, BM + 4, 4, TABLE);
    devtest_out(e.t, BM + 12, 4, TABLE);
    for (int i = 0; i < 40; i++) {
        devtest_fuzz(e.t, &(DevTestFuzz){.io_base = i & 1 ? 0x1f0 : 0x170, .io_size = 8, .rounds = 700});
        devtest_fuzz(e.t, &(DevTestFuzz){.io_base = BM, .io_size = 16, .rounds = 40});
        devtest_pci_write(e.t, 9, 0x20, 4, BM);
        devtest_pci_write(e.t, 9, PCI_COMMAND, 2, 5);
        devtest_outb(e.t, i & 1 ? 0x3f6 : 0x376, g_test_rand_int());
    }
    block_drain_all(e.ctx);
    devtest_reload(e.t);
    env_finish(&e);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ide/identify", test_identify);
    g_test_add_func("/ide/registers", test_registers);
    g_test_add_func("/ide/pio", test_pio_commands);
    g_test_add_func("/ide/chs", test_chs);
    g_test_add_func("/ide/dma", test_dma);
    g_test_add_func("/ide/dma-errors", test_dma_errors);
    g_test_add_func("/ide/packets", test_packets);
    g_test_add_func("/ide/cd-reads", test_cd_reads);
    g_test_add_func("/ide/plug", test_plug);
    g_test_add_func("/ide/fuzz", test_fuzz);
    return g_test_run();
}
