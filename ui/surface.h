/*
 * A picture: what a display device draws and user interfaces show or save.
 *
 *     Surface *s = surface_new(720, 400);
 *     uint32_t *line = surface_line(s, y);        // one 32-bit value a pixel: 0x00RRGGBB
 *     surface_write_png(s, fd, errp);
 *     surface_free(s);
 *
 * One owner, no lock. Sizes are bounded by SURFACE_MAX a side.
 */
#ifndef UI_SURFACE_H
#define UI_SURFACE_H

#include <pixman.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

enum { SURFACE_MAX = 16384 };

typedef struct {
    pixman_image_t *image; /* x8r8g8b8 */
    unsigned width, height;
} Surface;

/* Black. NULL: out of memory. Sizes 1 to SURFACE_MAX. */
Surface *surface_new(unsigned width, unsigned height);
void surface_free(Surface *s);
uint32_t *surface_line(Surface *s, unsigned y);

/* To a descriptor, which stays open. */
bool surface_write_ppm(Surface *s, int fd, Error **errp);
bool surface_write_png(Surface *s, int fd, Error **errp);

#endif
