/*
 * The VGA's picture: from registers and memory to pixels. IBM PS/2 Hardware Interface Technical Reference, "Video
 * Subsystem": CRT, attribute controller, palette. The picture has the size of the raster that a monitor would show, doubled
 * dots and lines included.
 *
 * Not modelled: panning by less than a character, blinking (text and cursor are shown in their visible phase), overscan.
 */
#include <assert.h>
#include <string.h>

#include "hw/display/vga.h"

enum {
    SEQ_CLOCKING = 1, CLOCKING_8DOTS = 1 << 0, CLOCKING_HALF = 1 << 3, CLOCKING_OFF = 1 << 5, SEQ_CHARACTER_MAP = 3,
    GFX_MODE = 5, GFX_MISC = 6, ATTR_MODE = 0x10, ATTR_PLANES = 0x12, ATTR_COLOR_SELECT = 0x14,
    ATTR_GRAPHICS = 1 << 0, ATTR_LINE_GRAPHICS = 1 << 2, ATTR_BLINK = 1 << 3, ATTR_P54 = 1 << 7, ATTR_PALETTE_ON = 0x20,
    CRTC_HDISP = 1, CRTC_OVERFLOW = 7, CRTC_MAX_SCAN = 9, CRTC_CURSOR_START = 0xa, CRTC_CURSOR_END = 0xb, CRTC_START = 0xc,
    CRTC_CURSOR = 0xe, CRTC_VDISP = 0x12, CRTC_OFFSET = 0x13, CRTC_MODE = 0x17, CRTC_LINE_COMPARE = 0x18,
    VBE_8BIT_DAC = 1 << 5,
};

/* What the raster looks like, worked out of the registers once a picture. */
typedef struct {
    unsigned width, height;
    uint32_t start, pitch;      /* in addresses of the planes */
    unsigned line_compare;
    unsigned row_lines;         /* raster lines of a row of memory */
    uint32_t colors[256];       /* of the DAC */
    uint32_t attr_colors[16];   /* of the attribute controller */
} Raster;

/* ---- Colors ---- */

static uint32_t dac_color(const VgaRegs *r, unsigned n)
{
    const uint8_t *p = r->palette + 3 * (n & r->pel_mask & 0xff);
    bool wide = r->vbe[VBE_ENABLE] & 1 && r->vbe[VBE_ENABLE] & VBE_8BIT_DAC;
    uint32_t rgb = 0;

    for (unsigned i = 0; i < 3; i++) {
        /* Six bits to eight by repeating the lowest: pictures equal those that people's tests compare with. */
        unsigned c = wide ? p[i] : (p[i] & 0x3fu) << 2 | (p[i] & 1u) * 3;
        rgb = rgb << 8 | c;
    }
    return rgb;
}

/* The attribute controller's 16 colors: palette register, upper bits from color select. */
static unsigned attr_color(const VgaRegs *r, unsigned n)
{
    unsigned c = r->attr[n];

    if (r->attr[ATTR_MODE] & ATTR_P54) {
        c = (c & 0x0f) | (r->attr[ATTR_COLOR_SELECT] & 3u) << 4;
    }
    return (c & 0x3f) | (r->attr[ATTR_COLOR_SELECT] & 0xcu) << 4;
}

static void raster_colors(const VgaRegs *r, Raster *p)
{
    for (unsigned i = 0; i < 256; i++) {
        p->colors[i] = dac_color(r, i);
    }
    for (unsigned i = 0; i < 16; i++) {
        p->attr_colors[i] = p->colors[attr_color(r, i)];
    }
}

/* ---- Geometry ---- */

static bool is_graphics(const VgaRegs *r)
{
    return r->attr[ATTR_MODE] & ATTR_GRAPHICS;
}

static unsigned dots_per_char(const VgaRegs *r)
{
    return is_graphics(r) || r->seq[SEQ_CLOCKING] & CLOCKING_8DOTS ? 8 : 9;
}

static void raster_geometry(const VgaRegs *r, Raster *p)
{
    const uint8_t *c = r->crtc;
    unsigned overflow = c[CRTC_OVERFLOW];

    p->width = (c[CRTC_HDISP] + 1u) * dots_per_char(r);
    if (r->seq[SEQ_CLOCKING] & CLOCKING_HALF) {
        p->width *= 2;
    }
    p->height = (c[CRTC_VDISP] | (overflow & 2u) << 7 | (overflow & 0x40u) << 3) + 1;
    p->start = (uint32_t)c[CRTC_START] << 8 | c[CRTC_START + 1];
    p->pitch = 2u * c[CRTC_OFFSET];
    p->line_compare = c[CRTC_LINE_COMPARE] | (overflow & 0x10u) << 4 | (c[CRTC_MAX_SCAN] & 0x40u) << 3;
    p->row_lines = ((c[CRTC_MAX_SCAN] & 0x1fu) + 1) << (c[CRTC_MAX_SCAN] >> 7);
}

/* ---- Planes ---- */

static uint32_t planes(const VgaCore *v, uint32_t address)
{
    uint32_t value;

    memcpy(&value, v->vram + 4 * (size_t)(address & (v->size / 4 - 1)), 4);
    return value;
}

/* ---- Text ---- */

typedef struct {
    uint32_t font[2];           /* addresses in plane 2: attribute bit 3 clear, set */
    unsigned cell, dots;        /* lines of a character, dots of a character without doubling */
    unsigned double_dots;       /* 1 or 2 */
    uint32_t cursor;            /* its address; UINT32_MAX: none */
    unsigned cursor_first, cursor_last;
} TextMode;

/* Character map select: bits 4, 1:0 the map for attribute bit 3 clear, bits 5, 3:2 for set; 8 KiB each, odd ones in between. */
static uint32_t font_address(unsigned low, unsigned high)
{
    return low * 0x4000 + high * 0x2000;
}

static TextMode text_mode(const VgaRegs *r)
{
    unsigned maps = r->seq[SEQ_CHARACTER_MAP];
    TextMode t = {
        .font = { font_address(maps & 3, maps >> 4 & 1), font_address(maps >> 2 & 3, maps >> 5 & 1) },
        .cell = (r->crtc[CRTC_MAX_SCAN] & 0x1fu) + 1,
        .dots = dots_per_char(r),
        .double_dots = r->seq[SEQ_CLOCKING] & CLOCKING_HALF ? 2 : 1,
        .cursor = (uint32_t)r->crtc[CRTC_CURSOR] << 8 | r->crtc[CRTC_CURSOR + 1],
        .cursor_first = r->crtc[CRTC_CURSOR_START] & 0x1fu,
        .cursor_last = r->crtc[CRTC_CURSOR_END] & 0x1fu,
    };

    if (r->crtc[CRTC_CURSOR_START] & 0x20) {
        t.cursor = UINT32_MAX;
    }
    return t;
}

/* One line of one character. */
static void draw_char_line(const VgaCore *v, const Raster *p, const TextMode *t, uint32_t address, unsigned line, uint32_t *out)
{
    const VgaRegs *r = v->r;
    uint32_t cell = planes(v, address);
    unsigned ch = cell & 0xff, attr = cell >> 8 & 0xff;
    unsigned bits = planes(v, t->font[attr >> 3 & 1] + ch * 32 + line) >> 16 & 0xff;
    uint32_t fore = p->attr_colors[attr & 15], back;

    back = p->attr_colors[attr >> 4 & (r->attr[ATTR_MODE] & ATTR_BLINK ? 7 : 15)];
    if (address == t->cursor && line >= t->cursor_first && line <= t->cursor_last) {
        bits = 0x1ff;
    } else {
        bits <<= 1;
        /* The ninth dot is background, but for line graphics it repeats the eighth. */
        if (ch >= 0xc0 && ch <= 0xdf && r->attr[ATTR_MODE] & ATTR_LINE_GRAPHICS) {
            bits |= bits >> 1 & 1;
        }
    }
    for (unsigned i = 0; i < t->dots; i++) {
        uint32_t color = bits & 0x100 >> i ? fore : back;
        for (unsigned n = 0; n < t->double_dots; n++) {
            *out++ = color;
        }
    }
}

static void draw_text(const VgaCore *v, const Raster *p, Surface *s)
{
    TextMode t = text_mode(v->r);
    unsigned char_width = t.dots * t.double_dots;
    unsigned row_lines = p->row_lines, first = 0;
    uint32_t start = p->start;

    for (unsigned y = 0; y < p->height; y++) {
        uint32_t row = start + (y - first) / row_lines * p->pitch;
        unsigned line = (y - first) % row_lines * t.cell / row_lines;
        uint32_t *out = surface_line(s, y);

        for (unsigned i = 0; i < p->width / char_width; i++) {
            draw_char_line(v, p, &t, (row + i) & 0xffff, line, out + i * char_width);
        }
        if (y == p->line_compare) {
            start = 0;
            first = y + 1;
        }
    }
}

/* ---- Graphics ---- */

/*
 * CRT mode control: bits 0 and 1 clear put raster lines into address bits 13 and 14 (the CGA's and Hercules' banks). In
 * word mode (bit 6 clear) an address of ours is two of the guest's.
 */
static uint32_t bank_lines(const VgaRegs *r, uint32_t address, unsigned line)
{
    unsigned first = r->crtc[CRTC_MODE] & 0x40 ? 13 : 12;

    if (!(r->crtc[CRTC_MODE] & 1)) {
        address = (address & ~(1u << first)) | (line & 1) << first;
    }
    if (!(r->crtc[CRTC_MODE] & 2)) {
        address = (address & ~(2u << first)) | (line >> 1 & 1) << (first + 1);
    }
    return address;
}

/* Four planes make a color of four bits (shift register mode 0), eight dots an address. */
static void draw_planar(const VgaCore *v, const Raster *p, uint32_t address, unsigned dots, uint32_t *out)
{
    unsigned enabled = v->r->attr[ATTR_PLANES] & 15, repeat = p->width / dots;

    for (unsigned x = 0; x < dots; x++) {
        uint32_t q = planes(v, address + x / 8) >> (7 - x % 8) & 0x01010101;
        unsigned color = (q | q >> 7 | q >> 14 | q >> 21) & enabled;

        for (unsigned n = 0; n < repeat; n++) {
            *out++ = p->attr_colors[color];
        }
    }
}

/* Shift register mode 1: two bits a dot, of planes 0 and 2 and then 1 and 3 (the CGA's four colors). */
static void draw_interleaved(const VgaCore *v, const Raster *p, uint32_t address, unsigned dots, uint32_t *out)
{
    unsigned enabled = v->r->attr[ATTR_PLANES] & 15, repeat = p->width / dots;

    for (unsigned x = 0; x < dots; x++) {
        uint32_t q = planes(v, address + x / 8);
        unsigned even = x % 8 < 4 ? q & 0xff : q >> 8 & 0xff, odd = x % 8 < 4 ? q >> 16 & 0xff : q >> 24;
        unsigned shift = 6 - x % 4 * 2;
        unsigned color = ((even >> shift & 3) | (odd >> shift & 3) << 2) & enabled;

        for (unsigned n = 0; n < repeat; n++) {
            *out++ = p->attr_colors[color];
        }
    }
}

/* Shift register mode 2: a byte is a color; each dot is shown twice. */
static void draw_bytes(const VgaCore *v, const Raster *p, uint32_t address, uint32_t *out)
{
    for (unsigned x = 0; x < p->width; x++) {
        out[x] = p->colors[planes(v, address + x / 8) >> (x / 2 & 3) * 8 & 0xff];
    }
}

static void draw_graphics(const VgaCore *v, const Raster *p, Surface *s)
{
    const VgaRegs *r = v->r;
    unsigned shift = r->gfx[GFX_MODE] >> 5 & 3, first = 0;
    unsigned dots = r->seq[SEQ_CLOCKING] & CLOCKING_HALF ? p->width / 2 : p->width;
    /* Lines of a row beyond those that bank_lines puts elsewhere repeat it. */
    unsigned doubled = r->crtc[CRTC_MAX_SCAN] >> 7;
    uint32_t start = p->start;

    for (unsigned y = 0; y < p->height; y++) {
        unsigned line = (y - first) % p->row_lines >> doubled;
        uint32_t address = bank_lines(r, start + (y - first) / p->row_lines * p->pitch, line);
        uint32_t *out = surface_line(s, y);

        if (shift >= 2) {
            draw_bytes(v, p, address, out);
        } else if (shift == 1) {
            draw_interleaved(v, p, address, dots, out);
        } else {
            draw_planar(v, p, address, dots, out);
        }
        if (y == p->line_compare) {
            start = 0;
            first = y + 1;
        }
    }
}

/* ---- Display interface ---- */

static uint32_t linear_pixel(const Raster *p, const uint8_t *m, unsigned bpp)
{
    uint32_t v;

    switch (bpp) {
    case 15:
        v = m[0] | (uint32_t)m[1] << 8;
        return (v >> 7 & 0xf8) << 16 | (v >> 12 & 7) << 16 | (v >> 2 & 0xf8) << 8 | (v >> 7 & 7) << 8 | (v << 3 & 0xf8) |
               (v >> 2 & 7);
    case 16:
        v = m[0] | (uint32_t)m[1] << 8;
        return (v >> 8 & 0xf8) << 16 | (v >> 13 & 7) << 16 | (v >> 3 & 0xfc) << 8 | (v >> 9 & 3) << 8 | (v << 3 & 0xf8) |
               (v >> 2 & 7);
    case 24:
    case 32:
        return m[0] | (uint32_t)m[1] << 8 | (uint32_t)m[2] << 16;
    }
    return p->colors[m[0]];
}

static void draw_linear(const VgaCore *v, const Raster *p, Surface *s)
{
    const VgaRegs *r = v->r;
    unsigned bpp = r->vbe[VBE_BPP], bytes = (bpp + 7) / 8;
    size_t pitch = (size_t)r->vbe[VBE_VIRT_WIDTH] * bytes;
    size_t start = r->vbe[VBE_Y_OFFSET] * pitch + (size_t)r->vbe[VBE_X_OFFSET] * bytes;

    for (unsigned y = 0; y < p->height; y++) {
        uint32_t *out = surface_line(s, y);

        for (unsigned x = 0; x < p->width; x++) {
            size_t at = start + y * pitch + x * bytes;
            out[x] = at + bytes <= v->size ? linear_pixel(p, v->vram + at, bpp) : 0;
        }
    }
}

/* Four planes, laid out by the display interface's width. */
static void draw_linear_planar(const VgaCore *v, Raster *p, Surface *s)
{
    const VgaRegs *r = v->r;
    uint32_t pitch = r->vbe[VBE_VIRT_WIDTH] / 8u, start = r->vbe[VBE_Y_OFFSET] * pitch + r->vbe[VBE_X_OFFSET] / 8u;

    for (unsigned y = 0; y < p->height; y++) {
        draw_planar(v, p, start + y * pitch, p->width, surface_line(s, y));
    }
}

/* ---- All ---- */

static bool set_size(Surface **s, unsigned width, unsigned height)
{
    Surface *made;

    if (*s && (*s)->width == width && (*s)->height == height) {
        return true;
    }
    made = surface_new(width, height);
    if (made) {
        surface_free(*s);
        *s = made;
    }
    return made;
}

static void blank(Surface *s)
{
    for (unsigned y = 0; y < s->height; y++) {
        memset(surface_line(s, y), 0, s->width * sizeof(uint32_t));
    }
}

bool vga_draw(VgaCore *v, Surface **s)
{
    const VgaRegs *r = v->r;
    bool linear = vga_vbe_enabled(v) && r->vbe[VBE_XRES] && r->vbe[VBE_YRES];
    Raster p;

    raster_colors(r, &p);
    raster_geometry(r, &p);
    if (linear) {
        p.width = r->vbe[VBE_XRES];
        p.height = r->vbe[VBE_YRES];
    } else if (!(r->attr_index & ATTR_PALETTE_ON) || r->seq[SEQ_CLOCKING] & CLOCKING_OFF) {
        /* Nothing is shown: what there was goes dark; before the first mode a text screen's size. */
        if (!set_size(s, *s ? (*s)->width : 640, *s ? (*s)->height : 480)) {
            return false;
        }
        blank(*s);
        return true;
    }
    if (!set_size(s, p.width, p.height)) {
        return false;
    }
    if (linear && r->vbe[VBE_BPP] != 4) {
        draw_linear(v, &p, *s);
    } else if (linear) {
        draw_linear_planar(v, &p, *s);
    } else if (is_graphics(r)) {
        draw_graphics(v, &p, *s);
    } else {
        draw_text(v, &p, *s);
    }
    return true;
}
