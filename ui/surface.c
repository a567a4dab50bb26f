/* Pictures and their file formats: PNG by libpng, PPM ("P6") by its own rules (netpbm's ppm(5)). */
#include "ui/surface.h"

#include <assert.h>
#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Surface *surface_new(unsigned width, unsigned height)
{
    Surface *s = calloc(1, sizeof(*s));

    assert(width && height && width <= SURFACE_MAX && height <= SURFACE_MAX);
    if (!s) {
        return NULL;
    }
    s->image = pixman_image_create_bits(PIXMAN_x8r8g8b8, (int)width, (int)height, NULL, 0);
    if (!s->image) {
        free(s);
        return NULL;
    }
    s->width = width;
    s->height = height;
    return s;
}

void surface_free(Surface *s)
{
    if (s) {
        pixman_image_unref(s->image);
        free(s);
    }
}

uint32_t *surface_line(Surface *s, unsigned y)
{
    size_t stride = (size_t)pixman_image_get_stride(s->image) / sizeof(uint32_t);

    return pixman_image_get_data(s->image) + y * stride;
}

static bool write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* Red, green, blue: three bytes a pixel. */
static void line_to_rgb(Surface *s, unsigned y, uint8_t *out)
{
    const uint32_t *line = surface_line(s, y);

    for (unsigned x = 0; x < s->width; x++) {
        *out++ = (uint8_t)(line[x] >> 16);
        *out++ = (uint8_t)(line[x] >> 8);
        *out++ = (uint8_t)line[x];
    }
}

bool surface_write_ppm(Surface *s, int fd, Error **errp)
{
    size_t len = 3 * (size_t)s->width;
    uint8_t *line = malloc(len);
    char head[32];
    bool ok;

    if (!line) {
        return error_set(errp, "no memory for a line of the picture");
    }
    ok = write_all(fd, (uint8_t *)head, (size_t)snprintf(head, sizeof(head), "P6\n%u %u\n255\n", s->width, s->height));
    for (unsigned y = 0; ok && y < s->height; y++) {
        line_to_rgb(s, y, line);
        ok = write_all(fd, line, len);
    }
    free(line);
    return ok || error_set_errno(errp, errno, "cannot write the picture");
}

typedef struct {
    int fd;
    char text[128]; /* first error; empty: none */
} PngOut;

static void png_out_write(png_structp png, png_bytep data, size_t len)
{
    PngOut *out = png_get_io_ptr(png);

    if (!write_all(out->fd, data, len)) {
        png_error(png, strerror(errno));
    }
}

static void png_out_flush(png_structp png)
{
}

_Noreturn static void png_out_error(png_structp png, png_const_charp text)
{
    PngOut *out = png_get_error_ptr(png);

    snprintf(out->text, sizeof(out->text), "%s", text);
    png_longjmp(png, 1);
}

static void png_out_warning(png_structp png, png_const_charp text)
{
}

/* libpng reports errors by longjmp: nothing that is changed after setjmp is used after it. */
static bool write_png_picture(png_structp png, png_infop info, Surface *s, uint8_t *line)
{
    if (setjmp(png_jmpbuf(png))) {
        return false;
    }
    png_set_IHDR(png, info, s->width, s->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_BASE,
                 PNG_FILTER_TYPE_BASE);
    png_write_info(png, info);
    for (unsigned y = 0; y < s->height; y++) {
        line_to_rgb(s, y, line);
        png_write_row(png, line);
    }
    png_write_end(png, NULL);
    return true;
}

bool surface_write_png(Surface *s, int fd, Error **errp)
{
    PngOut out = { .fd = fd };
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &out, png_out_error, png_out_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    uint8_t *line = malloc(3 * (size_t)s->width);
    bool ok = false;

    if (info && line) {
        png_set_write_fn(png, &out, png_out_write, png_out_flush);
        ok = write_png_picture(png, info, s, line);
    }
    free(line);
    png_destroy_write_struct(&png, &info);
    return ok || error_set(errp, "cannot write the picture: %s", out.text[0] ? out.text : "no memory");
}
