/* EDID 1.4 base block. VESA Enhanced EDID Standard, release A, revision 2; sections are its own. */
#include "hw/display/edid.h"

#include <string.h>

enum { DPI = 100, REFRESH_HZ = 75 };

/* 3.10.2: a detailed timing; blanking of 35 % and 3.5 % of the picture, in multiples of 8 dots. */
static void detailed_timing(uint8_t *d, unsigned width, unsigned height, unsigned mm_x, unsigned mm_y)
{
    unsigned xblank = width * 35 / 100 / 8 * 8, yblank = height * 35 / 1000;
    unsigned xfront = width / 4 / 8 * 8, xsync = width * 3 / 100 / 8 * 8, yfront = height * 5 / 1000, ysync = height * 5 / 1000;
    uint64_t clock = (uint64_t)REFRESH_HZ * (width + xblank) * (height + yblank) / 10000;

    clock = clock > 0xffff ? 0xffff : clock;
    d[0] = (uint8_t)clock;
    d[1] = (uint8_t)(clock >> 8);
    d[2] = (uint8_t)width;
    d[3] = (uint8_t)xblank;
    d[4] = (uint8_t)((width >> 8 & 0xf) << 4 | (xblank >> 8 & 0xf));
    d[5] = (uint8_t)height;
    d[6] = (uint8_t)yblank;
    d[7] = (uint8_t)((height >> 8 & 0xf) << 4 | (yblank >> 8 & 0xf));
    d[8] = (uint8_t)xfront;
    d[9] = (uint8_t)xsync;
    d[10] = (uint8_t)((yfront & 0xf) << 4 | (ysync & 0xf));
    d[11] = (uint8_t)((xfront >> 8 & 3) << 6 | (xsync >> 8 & 3) << 4 | (yfront >> 4 & 3) << 2 | (ysync >> 4 & 3));
    d[12] = (uint8_t)mm_x;
    d[13] = (uint8_t)mm_y;
    d[14] = (uint8_t)((mm_x >> 8 & 0xf) << 4 | (mm_y >> 8 & 0xf));
    d[17] = 0x18;              /* digital separate synchronization */
}

/* 3.10.3: a descriptor with a text of at most 13 characters. */
static void text_descriptor(uint8_t *d, uint8_t type, const char *text)
{
    size_t n = strlen(text);

    d[3] = type;
    memset(d + 5, ' ', 13);
    memcpy(d + 5, text, n);
    if (n < 13) {
        d[5 + n] = '\n';
    }
}

/* 3.9: standard timings: width / 8 - 31, aspect, refresh - 60. */
static void standard_timings(uint8_t *t)
{
    enum { A16_10 = 0 << 6, A4_3 = 1 << 6, A16_9 = 3 << 6 };
    static const struct {
        uint16_t width;
        uint8_t aspect;
    } list[] = { { 2048, A4_3 }, { 1920, A16_9 }, { 1920, A16_10 }, { 1600, A4_3 }, { 1440, A16_10 }, { 1280, A16_10 },
                 { 1280, A4_3 }, { 1024, A4_3 } };

    for (unsigned i = 0; i < 8; i++) {
        t[2 * i] = (uint8_t)(list[i].width / 8 - 31);
        t[2 * i + 1] = list[i].aspect;
    }
}

void edid_make(uint8_t e[EDID_SIZE], unsigned width, unsigned height)
{
    /* 3.7: chromaticity of sRGB. */
    static const uint8_t srgb[10] = { 0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54 };
    unsigned mm_x = width * 254 / (10 * DPI), mm_y = height * 254 / (10 * DPI);
    uint8_t sum = 0;

    width = width > 4095 ? 4095 : width;
    height = height > 4095 ? 4095 : height;
    memset(e, 0, EDID_SIZE);
    memset(e + 1, 0xff, 6);
    e[8] = 0x49, e[9] = 0x14;  /* 3.4.1: "RHT" */
    e[10] = 0x34, e[11] = 0x12;
    e[16] = 42, e[17] = 2014 - 1990;
    e[18] = 1, e[19] = 4;
    e[20] = 0xa5;              /* 3.6.1: digital, 8 bits a color, DisplayPort */
    e[21] = (uint8_t)(mm_x / 10);
    e[22] = (uint8_t)(mm_y / 10);
    e[23] = 220 - 100;         /* gamma 2.2 */
    e[24] = 0x06;              /* sRGB, native format is the first timing */
    memcpy(e + 25, srgb, sizeof(srgb));
    e[35] = 0x21, e[36] = 0x08; /* 3.8: 640x480, 800x600, 1024x768 at 60 Hz */
    standard_timings(e + 38);
    detailed_timing(e + 54, width, height, mm_x, mm_y);
    e[72 + 3] = 0xf7;          /* no established timings III */
    e[72 + 5] = 10;
    e[90 + 3] = 0xfd;          /* range limits: 50 to 125 Hz, 30 to 160 kHz, 2550 MHz */
    memcpy(e + 90 + 5, (const uint8_t[]){ 50, 125, 30, 160, 255, 1, '\n', ' ', ' ', ' ', ' ', ' ', ' ' }, 13);
    text_descriptor(e + 108, 0xfc, "QEMU Monitor");
    for (unsigned i = 0; i < EDID_SIZE - 1; i++) {
        sum += e[i];
    }
    e[127] = (uint8_t)-sum;
}
