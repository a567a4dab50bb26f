/*
 * VGA core: memory access against a bit-by-bit model of the manual's data path, register scripts, pictures of a few modes,
 * and random registers, which must neither crash nor draw outside.
 */
#include <glib.h>
#include <string.h>

#include "hw/display/edid.h"
#include "hw/display/vga.h"

enum { SIZE = 1 << 20 };

typedef struct {
    VgaRegs regs;
    uint8_t *vram;
    VgaCore v;
} Fixture;

static Fixture *fixture_new(void)
{
    Fixture *f = g_new0(Fixture, 1);

    f->vram = g_malloc0(SIZE);
    vga_init(&f->v, &f->regs, f->vram, SIZE, NULL, NULL);
    vga_reset(&f->v);
    vga_port_write(&f->v, 0x3c2, 0x63); /* color, RAM on */
    return f;
}

static void fixture_free(Fixture *f)
{
    g_free(f->vram);
    g_free(f);
}

static void indexed(Fixture *f, uint16_t port, uint8_t index, uint8_t value)
{
    vga_port_write(&f->v, port, index);
    vga_port_write(&f->v, port + 1, value);
}

static void attribute(Fixture *f, uint8_t index, uint8_t value)
{
    vga_port_read(&f->v, 0x3da);
    vga_port_write(&f->v, 0x3c0, index);
    vga_port_write(&f->v, 0x3c0, value);
}

/* ---- The data path, a bit at a time ---- */

typedef struct {
    uint8_t plane[4][65536], latch[4];
} Model;

static bool bit(unsigned value, unsigned n)
{
    return value >> n & 1;
}

static uint8_t model_read(Model *m, const VgaRegs *r, uint32_t address)
{
    uint8_t value = 0;

    for (unsigned p = 0; p < 4; p++) {
        m->latch[p] = m->plane[p][address];
    }
    if (!bit(r->gfx[5], 3)) {
        return m->latch[r->gfx[4]];
    }
    for (unsigned b = 0; b < 8; b++) {
        bool equal = true;
        for (unsigned p = 0; p < 4; p++) {
            equal = equal && (!bit(r->gfx[7], p) || bit(m->latch[p], b) == bit(r->gfx[2], p));
        }
        value |= (uint8_t)(equal << b);
    }
    return value;
}

static bool model_bit(const Model *m, const VgaRegs *r, uint8_t value, unsigned p, unsigned b)
{
    unsigned mode = r->gfx[5] & 3, source = (b + (r->gfx[3] & 7)) % 8;
    bool data, masked = bit(r->gfx[8], b), latch = bit(m->latch[p], b);

    switch (mode) {
    case 0:
        data = bit(r->gfx[1], p) ? bit(r->gfx[0], p) : bit(value, source);
        break;
    case 1:
        return latch;
    case 2:
        data = bit(value, p);
        break;
    default:
        return masked && bit(value, source) ? bit(r->gfx[0], p) : latch;
    }
    switch (r->gfx[3] >> 3 & 3) {
    case 1:
        data = data && latch;
        break;
    case 2:
        data = data || latch;
        break;
    case 3:
        data = data != latch;
        break;
    }
    return masked ? data : latch;
}

static void model_write(Model *m, const VgaRegs *r, uint32_t address, uint8_t value)
{
    for (unsigned p = 0; p < 4; p++) {
        uint8_t out = 0;
        for (unsigned b = 0; b < 8; b++) {
            out |= (uint8_t)(model_bit(m, r, value, p, b) << b);
        }
        if (bit(r->seq[2], p)) {
            m->plane[p][address] = out;
        }
    }
}

static void test_data_path(void)
{
    Fixture *f = fixture_new();
    Model *m = g_new0(Model, 1);

    indexed(f, 0x3c4, 4, 0x06);        /* sequential */
    for (unsigned i = 0; i < 200000; i++) {
        uint32_t address = (uint32_t)g_test_rand_int_range(0, 64);

        switch (g_test_rand_int_range(0, 5)) {
        case 0: {
            uint8_t index = (uint8_t)g_test_rand_int_range(0, 9), value = (uint8_t)g_test_rand_int();
            /* Odd/even and the place of the window are other tests'. */
            value &= index == 5 ? 0x0b : index == 6 ? 0 : 0xff;
            indexed(f, 0x3ce, index, index == 6 ? 0x04 : value);
            break;
        }
        case 1:
            indexed(f, 0x3c4, 2, (uint8_t)g_test_rand_int());
            break;
        case 2:
        case 3: {
            uint8_t value = (uint8_t)g_test_rand_int();
            vga_memory_write(&f->v, address, value);
            model_write(m, &f->regs, address, value);
            break;
        }
        default:
            g_assert_cmpuint(vga_memory_read(&f->v, address), ==, model_read(m, &f->regs, address));
        }
    }
    g_free(m);
    fixture_free(f);
}

/* Where a byte goes in chained and odd/even modes, and through which part of the window. */
static void test_addressing(void)
{
    Fixture *f = fixture_new();

    indexed(f, 0x3c4, 2, 0x0f);
    indexed(f, 0x3ce, 8, 0xff);
    indexed(f, 0x3ce, 6, 0x0e);        /* B8000 */
    indexed(f, 0x3c4, 4, 0x02);        /* odd/even */
    indexed(f, 0x3ce, 5, 0x10);
    vga_memory_write(&f->v, 0x18002, 'A');
    vga_memory_write(&f->v, 0x18003, 0x1e);
    vga_memory_write(&f->v, 0x10000, 0x55);
    g_assert_cmpuint(f->vram[4], ==, 'A');
    g_assert_cmpuint(f->vram[5], ==, 0x1e);
    g_assert_cmpuint(f->vram[0], ==, 0);
    g_assert_cmpuint(vga_memory_read(&f->v, 0x18003), ==, 0x1e);
    g_assert_cmpuint(vga_memory_read(&f->v, 0x00003), ==, 0xff);

    indexed(f, 0x3ce, 6, 0x05);        /* A0000, chained */
    indexed(f, 0x3c4, 4, 0x0e);
    vga_memory_write(&f->v, 0x1235, 0x77);
    g_assert_cmpuint(f->vram[0x1235], ==, 0x77);
    vga_vbe_write(&f->v, VBE_XRES, 640);
    vga_vbe_write(&f->v, VBE_YRES, 480);
    vga_vbe_write(&f->v, VBE_BPP, 8);
    vga_vbe_write(&f->v, VBE_ENABLE, 1);
    vga_vbe_write(&f->v, VBE_BANK, 3);
    vga_memory_write(&f->v, 0x10, 0x99);
    g_assert_cmpuint(f->vram[0x30010], ==, 0x99);
    fixture_free(f);
}

static void test_registers(void)
{
    Fixture *f = fixture_new();

    indexed(f, 0x3d4, 0x11, 0x80);     /* protects 0 to 7 */
    indexed(f, 0x3d4, 0x01, 0x4f);
    g_assert_cmpuint(vga_port_read(&f->v, 0x3d5), ==, 0);
    indexed(f, 0x3d4, 0x07, 0xff);
    g_assert_cmpuint(vga_port_read(&f->v, 0x3d5), ==, 0x10);
    indexed(f, 0x3d4, 0x11, 0x00);
    indexed(f, 0x3d4, 0x01, 0x4f);
    g_assert_cmpuint(vga_port_read(&f->v, 0x3d5), ==, 0x4f);
    g_assert_cmpuint(vga_port_read(&f->v, 0x3b5), ==, 0xff);

    attribute(f, 0x30, 0x0c);
    attribute(f, 0x05, 0xff);
    vga_port_read(&f->v, 0x3da);
    g_assert_cmpuint(vga_port_read(&f->v, 0x3c0), ==, 0x05);
    g_assert_cmpuint(vga_port_read(&f->v, 0x3c1), ==, 0x3f);

    vga_port_write(&f->v, 0x3c8, 7);   /* an entry changes with its third component, then the next */
    vga_port_write(&f->v, 0x3c9, 1);
    vga_port_write(&f->v, 0x3c9, 2);
    g_assert_cmpuint(f->regs.palette[21], ==, 0);
    vga_port_write(&f->v, 0x3c9, 3);
    vga_port_write(&f->v, 0x3c7, 7);
    for (unsigned i = 1; i <= 3; i++) {
        g_assert_cmpuint(vga_port_read(&f->v, 0x3c9), ==, i);
    }
    g_assert_cmpuint(vga_port_read(&f->v, 0x3c7), ==, 3);
    fixture_free(f);
}

static void test_vbe(void)
{
    Fixture *f = fixture_new();

    g_assert_cmphex(vga_vbe_read(&f->v, VBE_ID), ==, 0xb0c5);
    vga_vbe_write(&f->v, VBE_ENABLE, 2);
    g_assert_cmpuint(vga_vbe_read(&f->v, VBE_XRES), ==, 16000);
    g_assert_cmpuint(vga_vbe_read(&f->v, VBE_MEMORY_64K), ==, SIZE >> 16);
    vga_vbe_write(&f->v, VBE_ENABLE, 0);
    vga_vbe_write(&f->v, VBE_XRES, 641);
    vga_vbe_write(&f->v, VBE_YRES, 200);
    vga_vbe_write(&f->v, VBE_BPP, 32);
    vga_vbe_write(&f->v, VBE_BPP, 7);  /* none such: keeps */
    memset(f->vram, 0xaa, SIZE);
    vga_vbe_write(&f->v, VBE_ENABLE, 0x41);
    g_assert_cmpuint(vga_vbe_read(&f->v, VBE_XRES), ==, 640);
    g_assert_cmpuint(vga_vbe_read(&f->v, VBE_BPP), ==, 32);
    g_assert_cmpuint(vga_vbe_read(&f->v, VBE_VIRT_WIDTH), ==, 640);
    g_assert_cmpuint(vga_vbe_read(&f->v, VBE_VIRT_HEIGHT), ==, SIZE / 2560);
    g_assert_cmpuint(f->vram[640 * 4 * 200 - 1], ==, 0);
    g_assert_cmpuint(f->vram[640 * 4 * 200], ==, 0xaa);
    vga_vbe_write(&f->v, VBE_VIRT_WIDTH, 0xffff); /* wider than fits, no picture to fall back to */
    vga_vbe_write(&f->v, VBE_XRES, 0);
    vga_vbe_write(&f->v, VBE_YRES, 12000);
    g_assert_cmpuint(vga_vbe_read(&f->v, VBE_VIRT_HEIGHT), ==, 0);
    fixture_free(f);
}

/* ---- Pictures ---- */

static void set_palette(Fixture *f)
{
    vga_port_write(&f->v, 0x3c6, 0xff);
    vga_port_write(&f->v, 0x3c8, 0);
    for (unsigned i = 0; i < 256; i++) {
        vga_port_write(&f->v, 0x3c9, i & 0x3f);
        vga_port_write(&f->v, 0x3c9, 0);
        vga_port_write(&f->v, 0x3c9, 0x3f);
    }
    for (unsigned i = 0; i < 16; i++) {
        attribute(f, (uint8_t)i, (uint8_t)i);
    }
    attribute(f, 0x12, 0x0f);
    vga_port_read(&f->v, 0x3da);
    vga_port_write(&f->v, 0x3c0, 0x20);
}

static uint32_t color(unsigned n)
{
    return (n << 2 | (n & 1) * 3) << 16 | 0xff;
}

static void geometry(Fixture *f, unsigned chars, unsigned lines, uint8_t max_scan, uint8_t offset)
{
    indexed(f, 0x3d4, 0x11, 0);
    indexed(f, 0x3d4, 0x01, (uint8_t)(chars - 1));
    indexed(f, 0x3d4, 0x12, (uint8_t)(lines - 1));
    indexed(f, 0x3d4, 0x07, (uint8_t)(0x10 | ((lines - 1) >> 8 & 1) << 1 | ((lines - 1) >> 9 & 1) << 6));
    indexed(f, 0x3d4, 0x09, 0x40 | max_scan);
    indexed(f, 0x3d4, 0x18, 0xff);
    indexed(f, 0x3d4, 0x13, offset);
    indexed(f, 0x3d4, 0x17, 0xe3);
}

static void test_text(void)
{
    Fixture *f = fixture_new();
    Surface *s = NULL;

    indexed(f, 0x3c4, 1, 0);           /* 9 dots */
    geometry(f, 80, 400, 15, 40);
    attribute(f, 0x10, 0x0c);
    set_palette(f);
    f->vram[4 * 81] = 0xc4, f->vram[4 * 81 + 1] = 0x9e;      /* row 1, column 1: line graphics, blinking blue, yellow */
    f->vram[4 * (0xc4 * 32 + 7) + 2] = 0x81;
    indexed(f, 0x3d4, 0x0a, 14);
    indexed(f, 0x3d4, 0x0b, 15);
    indexed(f, 0x3d4, 0x0f, 81);
    g_assert_true(vga_draw(&f->v, &s));
    g_assert_cmpuint(s->width, ==, 720);
    g_assert_cmpuint(s->height, ==, 400);
    g_assert_cmphex(surface_line(s, 16 + 7)[9], ==, color(14));
    g_assert_cmphex(surface_line(s, 16 + 7)[10], ==, color(1));
    g_assert_cmphex(surface_line(s, 16 + 7)[16], ==, color(14));
    g_assert_cmphex(surface_line(s, 16 + 7)[17], ==, color(14)); /* ninth dot */
    g_assert_cmphex(surface_line(s, 16 + 13)[9], ==, color(1));
    g_assert_cmphex(surface_line(s, 16 + 14)[12], ==, color(14)); /* cursor */
    g_assert_cmphex(surface_line(s, 15)[9], ==, color(0));
    surface_free(s);
    fixture_free(f);
}

static void test_graphics(void)
{
    Fixture *f = fixture_new();
    Surface *s = NULL;

    indexed(f, 0x3c4, 1, 1);
    geometry(f, 80, 480, 0, 40);
    attribute(f, 0x10, 0x01);
    set_palette(f);
    f->vram[4 * 85 + 1] = 0x20;        /* line 1, dot 42, plane 1 */
    f->vram[4 * 85 + 3] = 0x20;
    g_assert_true(vga_draw(&f->v, &s));
    g_assert_cmpuint(s->width, ==, 640);
    g_assert_cmphex(surface_line(s, 1)[42], ==, color(10));
    g_assert_cmphex(surface_line(s, 1)[41], ==, color(0));

    indexed(f, 0x3ce, 5, 0x40);        /* 256 colors, lines doubled */
    geometry(f, 80, 400, 1, 40);
    f->vram[320 * 3 + 7] = 0x2a;
    g_assert_true(vga_draw(&f->v, &s));
    g_assert_cmpuint(s->height, ==, 400);
    g_assert_cmphex(surface_line(s, 6)[14], ==, color(0x2a));
    g_assert_cmphex(surface_line(s, 7)[15], ==, color(0x2a));
    g_assert_cmphex(surface_line(s, 8)[14], ==, color(0));
    surface_free(s);
    fixture_free(f);
}

static void test_linear(void)
{
    Fixture *f = fixture_new();
    Surface *s = NULL;

    vga_vbe_write(&f->v, VBE_XRES, 320);
    vga_vbe_write(&f->v, VBE_YRES, 200);
    vga_vbe_write(&f->v, VBE_BPP, 16);
    vga_vbe_write(&f->v, VBE_ENABLE, 0x41);
    f->vram[2 * 321] = 0x1f, f->vram[2 * 321 + 1] = 0xf8; /* red and blue */
    g_assert_true(vga_draw(&f->v, &s));
    g_assert_cmphex(surface_line(s, 1)[1], ==, 0xff00ff);
    vga_vbe_write(&f->v, VBE_Y_OFFSET, 1);
    g_assert_true(vga_draw(&f->v, &s));
    g_assert_cmphex(surface_line(s, 0)[1], ==, 0xff00ff);
    surface_free(s);
    fixture_free(f);
}

static void test_random(void)
{
    Fixture *f = fixture_new();
    Surface *s = NULL;

    for (unsigned i = 0; i < SIZE; i++) {
        f->vram[i] = (uint8_t)(i * 7);
    }
    for (unsigned round = 0; round < 150; round++) {
        for (unsigned i = 0; i < 400; i++) {
            vga_port_write(&f->v, (uint16_t)g_test_rand_int_range(0x3b0, 0x3e0), (uint8_t)g_test_rand_int());
            vga_port_read(&f->v, (uint16_t)g_test_rand_int_range(0x3b0, 0x3e0));
            vga_memory_write(&f->v, (uint32_t)g_test_rand_int_range(0, 0x20000), (uint8_t)g_test_rand_int());
            vga_memory_read(&f->v, (uint32_t)g_test_rand_int_range(0, 0x20000));
            if (i % 16 == 0) {
                vga_vbe_write(&f->v, (unsigned)g_test_rand_int_range(0, 12), (uint16_t)g_test_rand_int_range(0, 0x800));
                vga_vbe_read(&f->v, (unsigned)g_test_rand_int_range(0, 0x10000));
            }
        }
        vga_port_write(&f->v, 0x3c2, 0x63);
        vga_port_read(&f->v, 0x3da);
        vga_port_write(&f->v, 0x3c0, 0x20);
        g_assert_true(vga_draw(&f->v, &s));
    }
    surface_free(s);
    fixture_free(f);
}

static void test_edid(void)
{
    uint8_t e[EDID_SIZE], sum = 0;

    edid_make(e, 1280, 800);
    for (unsigned i = 0; i < EDID_SIZE; i++) {
        sum += e[i];
    }
    g_assert_cmpuint(sum, ==, 0);
    g_assert_cmpuint(e[54 + 2] | (e[54 + 4] & 0xf0) << 4, ==, 1280);
    g_assert_cmpuint(e[54 + 5] | (e[54 + 7] & 0xf0) << 4, ==, 800);
    edid_make(e, 16000, 12000);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vga/data-path", test_data_path);
    g_test_add_func("/vga/addressing", test_addressing);
    g_test_add_func("/vga/registers", test_registers);
    g_test_add_func("/vga/display-interface", test_vbe);
    g_test_add_func("/vga/text", test_text);
    g_test_add_func("/vga/graphics", test_graphics);
    g_test_add_func("/vga/linear", test_linear);
    g_test_add_func("/vga/random", test_random);
    g_test_add_func("/vga/edid", test_edid);
    return g_test_run();
}
