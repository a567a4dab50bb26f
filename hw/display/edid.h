/* EDID: what a monitor tells of itself. */
#ifndef HW_DISPLAY_EDID_H
#define HW_DISPLAY_EDID_H

#include <stdint.h>

enum { EDID_SIZE = 128 };

/* A block for a monitor whose native picture has this size (at most 4095 a side are told). */
void edid_make(uint8_t out[EDID_SIZE], unsigned width, unsigned height);

#endif
