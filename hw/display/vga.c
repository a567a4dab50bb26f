/*
 * VGA registers and memory access. IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem" (May 1990); names of
 * registers are its own. Extended modes: the display interface of Bochs, as its public description (VBE_DISPI, 0xB0C5) has it.
 *
 * Not modelled: dot clocks (retrace is at 60 Hz whatever the mode), the interrupt, CGA light pen, monochrome sense switches.
 */
#include "hw/display/vga.h"

#include <assert.h>
#include <string.h>

enum {
    MISC_COLOR = 1 << 0, MISC_RAM = 1 << 1,
    SEQ_MAP_MASK = 2, SEQ_MODE = 4, SEQ_MODE_SEQUENTIAL = 1 << 2, SEQ_MODE_CHAIN4 = 1 << 3,
    GFX_SET_RESET = 0, GFX_ENABLE_SR = 1, GFX_COMPARE = 2, GFX_ROTATE = 3, GFX_READ_MAP = 4, GFX_MODE = 5, GFX_MISC = 6,
    GFX_CARE = 7, GFX_BIT_MASK = 8, GFX_NUM = 9,
    GFX_MODE_READ1 = 1 << 3, GFX_MODE_ODD_EVEN = 1 << 4,
    ATTR_NUM = 0x15, ATTR_PALETTE_ON = 0x20,
    CRTC_NUM = 0x19, CRTC_OVERFLOW = 7, CRTC_VRETRACE_END = 0x11, CRTC_PROTECT = 0x80,
    VBE_ENABLED = 1 << 0, VBE_GETCAPS = 1 << 1, VBE_8BIT_DAC = 1 << 5, VBE_NOCLEAR = 1 << 7,
    VBE_MAX_X = 16000, VBE_MAX_Y = 12000, VBE_MAX_BPP = 32,
};

/* Bits that a register has; others read 0. */
static const uint8_t seq_mask[8] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
static const uint8_t gfx_mask[16] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };

void vga_init(VgaCore *v, VgaRegs *regs, uint8_t *vram, uint32_t size, int64_t (*now)(void *), void *opaque)
{
    assert(size >= 256 << 10 && !(size & (size - 1)));
    *v = (VgaCore){ .r = regs, .vram = vram, .size = size, .now = now, .opaque = opaque };
}

void vga_reset(VgaCore *v)
{
    v->r->vbe[VBE_ID] = 0xb0c5;
}

/* ---- Display interface ---- */

static unsigned bytes_per_pixel(unsigned bpp)
{
    return (bpp + 7) / 8;
}

/* Bytes of a line of the virtual screen; 4-bit modes keep their four planes in them. */
static uint32_t vbe_line_bytes(const VgaRegs *r)
{
    return r->vbe[VBE_BPP] == 4 ? r->vbe[VBE_VIRT_WIDTH] / 2u : (uint32_t)r->vbe[VBE_VIRT_WIDTH] * bytes_per_pixel(r->vbe[VBE_BPP]);
}

/* Makes a virtual screen that holds the picture and fits the memory; how high it can be follows. */
static void vbe_fit(VgaCore *v)
{
    VgaRegs *r = v->r;
    uint32_t line;

    if (r->vbe[VBE_VIRT_WIDTH] < r->vbe[VBE_XRES]) {
        r->vbe[VBE_VIRT_WIDTH] = r->vbe[VBE_XRES];
    }
    line = vbe_line_bytes(r);
    if (line && (uint64_t)line * r->vbe[VBE_YRES] > v->size) {
        r->vbe[VBE_VIRT_WIDTH] = r->vbe[VBE_XRES];
        line = vbe_line_bytes(r);
        if (line && v->size / line < r->vbe[VBE_YRES]) {
            r->vbe[VBE_YRES] = (uint16_t)(v->size / line);
        }
    }
    r->vbe[VBE_VIRT_HEIGHT] = (uint16_t)(line ? (v->size / line < 0xffff ? v->size / line : 0xffff) : 0);
}

uint16_t vga_vbe_read(VgaCore *v, unsigned index)
{
    const VgaRegs *r = v->r;

    if (r->vbe[VBE_ENABLE] & VBE_GETCAPS) {
        switch (index) {
        case VBE_XRES:
            return VBE_MAX_X;
        case VBE_YRES:
            return VBE_MAX_Y;
        case VBE_BPP:
            return VBE_MAX_BPP;
        }
    }
    if (index == VBE_MEMORY_64K) {
        return (uint16_t)(v->size >> 16);
    }
    return index < VBE_MEMORY_64K ? r->vbe[index] : 0;
}

static void vbe_enable(VgaCore *v, uint16_t value)
{
    VgaRegs *r = v->r;

    if (value & VBE_ENABLED && !(r->vbe[VBE_ENABLE] & VBE_ENABLED)) {
        r->vbe[VBE_VIRT_WIDTH] = r->vbe[VBE_X_OFFSET] = r->vbe[VBE_Y_OFFSET] = 0;
        r->vbe[VBE_BANK] = 0;
        vbe_fit(v);
        if (!(value & VBE_NOCLEAR)) {
            memset(v->vram, 0, (size_t)r->vbe[VBE_YRES] * vbe_line_bytes(r));
        }
    } else if (!(value & VBE_ENABLED)) {
        r->vbe[VBE_BANK] = 0;
    }
    r->vbe[VBE_ENABLE] = value;
}

void vga_vbe_write(VgaCore *v, unsigned index, uint16_t value)
{
    VgaRegs *r = v->r;

    switch (index) {
    case VBE_ID:
        r->vbe[VBE_ID] = value >= 0xb0c0 && value <= 0xb0c5 ? value : r->vbe[VBE_ID];
        return;
    case VBE_XRES:
        r->vbe[index] = value <= VBE_MAX_X ? value & 0xfff8u : r->vbe[index];
        break;
    case VBE_YRES:
        r->vbe[index] = value <= VBE_MAX_Y ? value : r->vbe[index];
        break;
    case VBE_BPP:
        value = value ? value : 8;
        if (value == 4 || value == 8 || value == 15 || value == 16 || value == 24 || value == 32) {
            r->vbe[index] = value;
        }
        break;
    case VBE_BANK:
        r->vbe[index] = value & (uint16_t)((v->size >> 16) - 1);
        return;
    case VBE_ENABLE:
        vbe_enable(v, value);
        return;
    case VBE_VIRT_WIDTH:
    case VBE_X_OFFSET:
    case VBE_Y_OFFSET:
        r->vbe[index] = value;
        break;
    default:
        return;
    }
    if (vga_vbe_enabled(v)) {
        vbe_fit(v);
    }
}

/* ---- Ports ---- */

/* 0x3bx answers to monochrome, 0x3dx to color (miscellaneous output, bit 0). */
static bool other_adapter(const VgaCore *v, uint16_t port)
{
    bool mono = port >= 0x3b0 && port <= 0x3bf, color = port >= 0x3d0 && port <= 0x3df;

    return v->r->misc & MISC_COLOR ? mono : color;
}

/* Input status 1: bit 0 outside the picture, bit 3 in the vertical retrace. 60 frames of 525 lines a second. */
static uint8_t input_status_1(VgaCore *v)
{
    enum { LINE_NS = 31746, LINES = 525, SHOWN = 480, RETRACE = 490, RETRACE_LINES = 2, LINE_SHOWN_NS = 25400 };
    uint64_t t = v->now ? (uint64_t)v->now(v->opaque) % ((uint64_t)LINE_NS * LINES) : 0;
    unsigned line = (unsigned)(t / LINE_NS);
    bool retrace = line >= RETRACE && line < RETRACE + RETRACE_LINES;
    bool blank = line >= SHOWN || t % LINE_NS >= LINE_SHOWN_NS;

    v->r->attr_data = false;
    return (uint8_t)(retrace << 3 | blank);
}

static uint8_t dac_read(VgaRegs *r)
{
    uint8_t value = r->palette[r->dac_read * 3 + r->dac_component];

    if (++r->dac_component == 3) {
        r->dac_component = 0;
        r->dac_read++;
    }
    return value;
}

/* An entry changes when all three components are there. */
static void dac_write(VgaRegs *r, uint8_t value)
{
    r->dac_cache[r->dac_component] = value;
    if (++r->dac_component == 3) {
        memcpy(r->palette + r->dac_write * 3, r->dac_cache, 3);
        r->dac_component = 0;
        r->dac_write++;
    }
}

uint8_t vga_port_read(VgaCore *v, uint16_t port)
{
    VgaRegs *r = v->r;

    if (other_adapter(v, port)) {
        return 0xff;
    }
    switch (port) {
    case 0x3c0:
        return r->attr_data ? 0 : r->attr_index;
    case 0x3c1:
        return (r->attr_index & 0x1f) < ATTR_NUM ? r->attr[r->attr_index & 0x1f] : 0;
    case 0x3c2: /* input status 0 */
        return 0;
    case 0x3c4:
        return r->seq_index;
    case 0x3c5:
        return r->seq[r->seq_index];
    case 0x3c6:
        return r->pel_mask;
    case 0x3c7: /* DAC state: 3 reading, 0 writing */
        return r->dac_reading ? 3 : 0;
    case 0x3c8:
        return r->dac_write;
    case 0x3c9:
        return dac_read(r);
    case 0x3ca:
        return r->feature;
    case 0x3cc:
        return r->misc;
    case 0x3ce:
        return r->gfx_index;
    case 0x3cf:
        return r->gfx[r->gfx_index];
    case 0x3b4:
    case 0x3d4:
        return r->crtc_index;
    case 0x3b5:
    case 0x3d5:
        return r->crtc_index < CRTC_NUM ? r->crtc[r->crtc_index] : 0;
    case 0x3ba:
    case 0x3da:
        return input_status_1(v);
    }
    return 0xff;
}

static void attr_write(VgaRegs *r, uint8_t value)
{
    static const uint8_t mask[] = { [0x10] = 0xef, [0x11] = 0xff, [0x12] = 0x3f, [0x13] = 0x0f, [0x14] = 0x0f };
    unsigned i = r->attr_index & 0x1f;

    if (!r->attr_data) {
        r->attr_index = value & 0x3f;
    } else if (i < 0x10) {
        r->attr[i] = value & 0x3f;
    } else if (i < ATTR_NUM) {
        r->attr[i] = value & mask[i];
    }
    r->attr_data = !r->attr_data;
}

/* Registers 0 to 7 can be protected; the line compare bit in 7 is always written. */
static void crtc_write(VgaRegs *r, uint8_t value)
{
    unsigned i = r->crtc_index;

    if (i >= CRTC_NUM) {
        return;
    }
    if (i <= CRTC_OVERFLOW && r->crtc[CRTC_VRETRACE_END] & CRTC_PROTECT) {
        if (i == CRTC_OVERFLOW) {
            r->crtc[i] = (r->crtc[i] & ~0x10) | (value & 0x10);
        }
        return;
    }
    r->crtc[i] = value;
}

static void dac_port_write(VgaRegs *r, uint16_t port, uint8_t value)
{
    if (port == 0x3c9) {
        dac_write(r, value);
        return;
    }
    r->dac_component = 0;
    r->dac_reading = port == 0x3c7;
    if (port == 0x3c7) {
        r->dac_read = value;
    } else {
        r->dac_write = value;
    }
}

void vga_port_write(VgaCore *v, uint16_t port, uint8_t value)
{
    VgaRegs *r = v->r;

    if (other_adapter(v, port)) {
        return;
    }
    switch (port) {
    case 0x3c0:
        attr_write(r, value);
        break;
    case 0x3c2:
        r->misc = value & 0xef;
        break;
    case 0x3c4:
        r->seq_index = value & 7;
        break;
    case 0x3c5:
        r->seq[r->seq_index] = value & seq_mask[r->seq_index];
        break;
    case 0x3c6:
        r->pel_mask = value;
        break;
    case 0x3c7:
    case 0x3c8:
    case 0x3c9:
        dac_port_write(r, port, value);
        break;
    case 0x3ce:
        r->gfx_index = value & 15;
        break;
    case 0x3cf:
        r->gfx[r->gfx_index] = value & gfx_mask[r->gfx_index];
        break;
    case 0x3b4:
    case 0x3d4:
        r->crtc_index = value & 0x1f;
        break;
    case 0x3b5:
    case 0x3d5:
        crtc_write(r, value);
        break;
    case 0x3ba:
    case 0x3da:
        r->feature = value & 0x10;
        break;
    }
}

/* ---- Memory at 0xa0000 ---- */

/* Graphics "miscellaneous" bits 3:2: which part of the window answers. False: none there. */
static bool window_offset(const VgaCore *v, uint32_t *offset)
{
    static const uint32_t base[4] = { 0, 0, 0x10000, 0x18000 }, size[4] = { 0x20000, 0x10000, 0x8000, 0x8000 };
    unsigned map = v->r->gfx[GFX_MISC] >> 2 & 3;

    if (!(v->r->misc & MISC_RAM) || *offset < base[map] || *offset - base[map] >= size[map]) {
        return false;
    }
    *offset -= base[map];
    if (map <= 1 && vga_vbe_enabled(v)) {
        *offset = (*offset & 0xffff) + ((uint32_t)v->r->vbe[VBE_BANK] << 16);
    }
    return true;
}

/* The four planes' bytes at an address. */
static uint32_t *planes_at(VgaCore *v, uint32_t address)
{
    return (uint32_t *)v->vram + (address & (v->size / 4 - 1));
}

/* Each of four bits spread to a byte of ones. */
static uint32_t spread(unsigned planes)
{
    return (planes & 1 ? 0xffu : 0) | (planes & 2 ? 0xff00u : 0) | (planes & 4 ? 0xff0000u : 0) |
           (planes & 8 ? 0xff000000u : 0);
}

uint8_t vga_memory_read(VgaCore *v, uint32_t offset)
{
    VgaRegs *r = v->r;
    unsigned plane = r->gfx[GFX_READ_MAP];

    if (!window_offset(v, &offset)) {
        return 0xff;
    }
    if (r->seq[SEQ_MODE] & SEQ_MODE_CHAIN4) {
        r->latch = *planes_at(v, offset >> 2);
        return v->vram[offset & (v->size - 1)];
    }
    if (r->gfx[GFX_MODE] & GFX_MODE_ODD_EVEN) {
        plane = (plane & 2) | (offset & 1);
        offset >>= 1;
    }
    r->latch = *planes_at(v, offset);
    if (r->gfx[GFX_MODE] & GFX_MODE_READ1) {
        uint32_t differs = (r->latch ^ spread(r->gfx[GFX_COMPARE])) & spread(r->gfx[GFX_CARE]);
        differs |= differs >> 16;
        return (uint8_t)~(differs | differs >> 8);
    }
    return (uint8_t)(r->latch >> plane * 8);
}

/* Function select: what new data is combined with the latches by. */
static uint32_t combine(const VgaRegs *r, uint32_t data)
{
    switch (r->gfx[GFX_ROTATE] >> 3) {
    case 1:
        return data & r->latch;
    case 2:
        return data | r->latch;
    case 3:
        return data ^ r->latch;
    }
    return data;
}

static uint8_t rotated(const VgaRegs *r, uint8_t value)
{
    unsigned n = r->gfx[GFX_ROTATE] & 7;

    return (uint8_t)(value >> n | value << (8 - n));
}

/* The four planes' new bytes by write mode, bit mask applied. */
static uint32_t write_data(const VgaRegs *r, uint8_t value)
{
    uint32_t set_reset = spread(r->gfx[GFX_SET_RESET]), enabled = spread(r->gfx[GFX_ENABLE_SR]);
    uint32_t bits = r->gfx[GFX_BIT_MASK] * 0x01010101u, data;

    switch (r->gfx[GFX_MODE] & 3) {
    case 0:
        data = combine(r, (rotated(r, value) * 0x01010101u & ~enabled) | (set_reset & enabled));
        break;
    case 1:
        return r->latch;
    case 2:
        data = combine(r, spread(value & 15));
        break;
    default:
        bits &= rotated(r, value) * 0x01010101u;
        data = set_reset;
        break;
    }
    return (data & bits) | (r->latch & ~bits);
}

int64_t vga_memory_write(VgaCore *v, uint32_t offset, uint8_t value)
{
    VgaRegs *r = v->r;
    unsigned map = r->seq[SEQ_MAP_MASK];
    uint32_t *planes, mask;

    if (!window_offset(v, &offset)) {
        return -1;
    }
    if (r->seq[SEQ_MODE] & SEQ_MODE_CHAIN4) {
        offset &= v->size - 1;
        if (map >> (offset & 3) & 1) {
            v->vram[offset] = value;
        }
        return offset & ~3u;
    }
    if (!(r->seq[SEQ_MODE] & SEQ_MODE_SEQUENTIAL)) { /* odd addresses: planes 1 and 3 */
        map &= offset & 1 ? 0xa : 0x5;
        offset >>= 1;
    }
    planes = planes_at(v, offset);
    mask = spread(map);
    *planes = (*planes & ~mask) | (write_data(r, value) & mask);
    return (uint8_t *)planes - v->vram;
}
