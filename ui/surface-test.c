/* Pictures: PPM byte by byte, PNG read back by libpng. */
#include <glib.h>
#include <glib/gstdio.h>
#include <png.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include "ui/surface.h"

static Surface *example(void)
{
    Surface *s = surface_new(3, 2);

    for (unsigned y = 0; y < 2; y++) {
        for (unsigned x = 0; x < 3; x++) {
            surface_line(s, y)[x] = 0x102030 * (y + 1) + x;
        }
    }
    return s;
}

static char *saved(Surface *s, bool png, gsize *len)
{
    g_autofree char *path = NULL;
    char *text = NULL;
    int fd = g_file_open_tmp("surface-XXXXXX", &path, NULL);

    g_assert_true(png ? surface_write_png(s, fd, &error_abort) : surface_write_ppm(s, fd, &error_abort));
    g_close(fd, NULL);
    g_assert_true(g_file_get_contents(path, &text, len, NULL));
    g_unlink(path);
    return text;
}

static void test_ppm(void)
{
    static const char expected[] = "P6\n3 2\n255\n\x10\x20\x30\x10\x20\x31\x10\x20\x32\x20\x40\x60\x20\x40\x61\x20\x40\x62";
    Surface *s = example();
    gsize len;
    g_autofree char *text = saved(s, false, &len);

    g_assert_cmpmem(text, len, expected, sizeof(expected) - 1);
    surface_free(s);
}

static void test_png(void)
{
    Surface *s = example();
    gsize len;
    g_autofree char *text = saved(s, true, &len);
    png_image image = { .version = PNG_IMAGE_VERSION };
    uint8_t pixels[18];

    g_assert_true(png_image_begin_read_from_memory(&image, text, len));
    image.format = PNG_FORMAT_RGB;
    g_assert_cmpuint(image.width, ==, 3);
    g_assert_cmpuint(image.height, ==, 2);
    g_assert_true(png_image_finish_read(&image, NULL, pixels, 0, NULL));
    g_assert_cmpmem(pixels + 15, 3, "\x20\x40\x62", 3);
    surface_free(s);
}

/* A descriptor that cannot be written: an error, by both formats. */
static void test_error(void)
{
    Surface *s = example();
    Error *err = NULL;
    int fd = open("/dev/full", O_WRONLY);

    g_assert_false(surface_write_png(s, fd, &err));
    g_assert_nonnull(strstr(error_message(err), "No space left"));
    error_free(err);
    err = NULL;
    g_assert_false(surface_write_ppm(s, fd, &err));
    error_free(err);
    close(fd);
    surface_free(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/surface/ppm", test_ppm);
    g_test_add_func("/surface/png", test_png);
    g_test_add_func("/surface/error", test_error);
    return g_test_run();
}
