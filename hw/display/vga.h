/*
 * The VGA core: registers, memory access and picture, as a device on any bus puts it together.
 *
 *     vga_init(&v, &s->st.regs, vram, 16 << 20, now, s);
 *     vga_reset(&v);
 *     vga_port_write(&v, 0x3c4, 2);              // ports 0x3b0 .. 0x3df
 *     vga_memory_write(&v, 0x18000, 'A');        // offset from 0xa0000
 *     vga_draw(&v, &surface);
 *
 * Guest memory is `size` bytes, a power of two, where the four planes' bytes of one address lie side by side; the linear frame
 * buffer is the same bytes. Registers live in the owner's state. No lock of its own; every access and every picture is bounded
 * whatever the registers say.
 */
#ifndef HW_DISPLAY_VGA_H
#define HW_DISPLAY_VGA_H

#include "hw/display/vga-regs.gen.h"
#include "ui/surface.h"

enum { /* Display interface registers (VBE_DISPI) */
    VBE_ID, VBE_XRES, VBE_YRES, VBE_BPP, VBE_ENABLE, VBE_BANK, VBE_VIRT_WIDTH, VBE_VIRT_HEIGHT, VBE_X_OFFSET, VBE_Y_OFFSET,
    VBE_MEMORY_64K, VBE_NUM,
};

typedef struct {
    VgaRegs *r;
    uint8_t *vram;
    uint32_t size;
    int64_t (*now)(void *opaque);   /* ns, for the retrace bits */
    void *opaque;
} VgaCore;

void vga_init(VgaCore *v, VgaRegs *regs, uint8_t *vram, uint32_t size, int64_t (*now)(void *), void *opaque);
/* Values that are not 0 after reset; the tables have set the rest. */
void vga_reset(VgaCore *v);

/* Bytes; ports that do not answer read 0xff. */
uint8_t vga_port_read(VgaCore *v, uint16_t port);
void vga_port_write(VgaCore *v, uint16_t port, uint8_t value);
/* The window of 128 KiB at 0xa0000. */
uint8_t vga_memory_read(VgaCore *v, uint32_t offset);
/* Where in vram it wrote, a word; -1: nowhere. */
int64_t vga_memory_write(VgaCore *v, uint32_t offset, uint8_t value);
/* Display interface, by index (vbe-index is the owner's to set). */
uint16_t vga_vbe_read(VgaCore *v, unsigned index);
void vga_vbe_write(VgaCore *v, unsigned index, uint16_t value);
static inline bool vga_vbe_enabled(const VgaCore *v)
{
    return v->r->vbe[VBE_ENABLE] & 1;
}

/* Draws all of the picture; replaces *surface when its size is another. False: no memory for it. */
bool vga_draw(VgaCore *v, Surface **surface);

#endif
