/*
 * 8237A DMA controller with the PC's page registers. Intel data sheet 231466; page and high page registers as in the
 * 82371SB (PIIX3) data sheet, 2.5.1.
 *
 * Not modelled: memory-to-memory transfers and software requests, rotating priority, cascading as a mode that moves data,
 * and the scratch page registers that belong to no channel.
 */
#include "hw/dma/i8257.h"

#include "hw/core/machine.h"
#include "hw/dma/i8257.gen.h"
#include "hw/isa/isa.h"
#include "util/log.h"

enum { /* "Register description": numbers from 8 on */
    R_COMMAND_STATUS = 8, R_REQUEST, R_MASK_ONE, R_MODE, R_CLEAR_FLIPFLOP, R_MASTER_CLEAR, R_CLEAR_MASK, R_MASK_ALL,
    COMMAND_DISABLE = 1 << 2,
    COMMAND_MEMORY = 1 << 0,
    MODE_AUTO = 1 << 4, MODE_DECREMENT = 1 << 5, MODE_KIND_SHIFT = 2, MODE_CASCADE = 3 << 6,
    KIND_VERIFY = 0, KIND_TO_MEMORY = 1, KIND_FROM_MEMORY = 2,
    CHUNK = 4096,
};

typedef struct {
    IsaDevice parent;
    I8257Conf conf;
    I8257State st;
    MemoryRegion mr_channels, mr_control, mr_page[2], mr_pageh[2];
} I8257;

/* Channel that the page register at an offset from page-base is of. */
static const int8_t page_channel[8] = {-1, 2, 3, 1, -1, -1, -1, 0};

/* Transfers --------------------------------------------------------------------------- */

static hwaddr dma_address(const I8257 *s, const DmaChannel *c)
{
    hwaddr high = (hwaddr)c->page_high << 24;

    if (s->conf.dshift) { /* words: the page register's bit 0 is not used */
        return high | (hwaddr)(c->page & 0xfe) << 16 | (hwaddr)c->address << 1;
    }
    return high | (hwaddr)c->page << 16 | c->address;
}

/* The longest run of transfers, up to max, in which the 16-bit address does not wrap. */
static unsigned run_length(const DmaChannel *c, unsigned max)
{
    unsigned left = c->count + 1, room = 0x10000 - c->address;

    if (c->mode & MODE_DECREMENT) {
        room = 1; /* one at a time, as the order of bytes turns round */
    }
    left = left < max ? left : max;
    return left < room ? left : room;
}

static void advance(I8257 *s, DmaChannel *c, unsigned n, unsigned channel, bool *tc)
{
    c->address += c->mode & MODE_DECREMENT ? -n : n;
    c->count -= n;
    if (c->count == 0xffff) { /* "Terminal count" */
        *tc = true;
        s->st.status |= 1 << channel;
        if (c->mode & MODE_AUTO) {
            c->address = c->base_address;
            c->count = c->base_count;
        } else {
            s->st.mask |= 1 << channel;
        }
    }
}

unsigned dma_transfer(Object *dma, unsigned channel, void *buf, unsigned len, bool to_memory, bool *tc)
{
    I8257 *s = (I8257 *)dma;
    DmaChannel *c = &s->st.channels[channel];
    AddressSpace *as = DEVICE(s)->machine->as_memory;
    unsigned shift = s->conf.dshift, kind = c->mode >> MODE_KIND_SHIFT & 3, done = 0;

    *tc = false;
    if (s->st.command & COMMAND_DISABLE || kind == 3 || (kind != KIND_VERIFY && (kind == KIND_TO_MEMORY) != to_memory) ||
        (c->mode & MODE_CASCADE) == MODE_CASCADE) {
        return 0;
    }
    while (done < len && !(s->st.mask >> channel & 1)) {
        unsigned n = run_length(c, (len - done) >> shift), bytes = n << shift;
        hwaddr addr = dma_address(s, c);

        if (n == 0) {
            break;
        }
        if (kind == KIND_TO_MEMORY) {
            address_space_write(as, addr, MEMTXATTRS_NONE, (uint8_t *)buf + done, bytes);
        } else if (kind == KIND_FROM_MEMORY) {
            address_space_read(as, addr, MEMTXATTRS_NONE, (uint8_t *)buf + done, bytes);
        }
        advance(s, c, n, channel, tc);
        done += bytes;
    }
    return done;
}

/* Registers --------------------------------------------------------------------------------- */

static uint64_t channels_read(void *dev, uint64_t offset, unsigned size)
{
    I8257 *s = dev;
    unsigned reg = offset >> s->conf.dshift;
    DmaChannel *c = &s->st.channels[reg >> 1];
    uint16_t v = reg & 1 ? c->count : c->address;

    s->st.high_byte = !s->st.high_byte;
    return s->st.high_byte ? v & 0xff : v >> 8;
}

static void set_byte(uint16_t *v, bool high, uint8_t byte)
{
    *v = high ? (*v & 0xff) | byte << 8 : (*v & 0xff00) | byte;
}

static void channels_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    I8257 *s = dev;
    unsigned reg = offset >> s->conf.dshift;
    DmaChannel *c = &s->st.channels[reg >> 1];
    bool high = s->st.high_byte;

    /* Base and current registers are written together. */
    set_byte(reg & 1 ? &c->base_count : &c->base_address, high, value);
    set_byte(reg & 1 ? &c->count : &c->address, high, value);
    s->st.high_byte = !high;
}

static uint64_t control_read(void *dev, uint64_t offset, unsigned size)
{
    I8257 *s = dev;
    uint8_t v;

    switch (8 + (offset >> s->conf.dshift)) {
    case R_COMMAND_STATUS:
        v = s->st.status;
        s->st.status = 0;
        return v;
    case R_MASK_ALL:
        return s->st.mask;
    default:
        return 0; /* the temporary register, which only memory-to-memory transfers fill */
    }
}

static void control_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    I8257 *s = dev;
    uint8_t bit = 1 << (value & 3);

    switch (8 + (offset >> s->conf.dshift)) {
    case R_COMMAND_STATUS:
        if (value & COMMAND_MEMORY) {
            log_unimp("i8257", "memory-to-memory transfer");
        }
        s->st.command = value;
        break;
    case R_REQUEST:
        log_unimp("i8257", "software request");
        break;
    case R_MASK_ONE:
        s->st.mask = value & 4 ? s->st.mask | bit : s->st.mask & ~bit;
        break;
    case R_MODE:
        s->st.channels[value & 3].mode = value & ~3;
        break;
    case R_CLEAR_FLIPFLOP:
        s->st.high_byte = false;
        break;
    case R_MASTER_CLEAR:
        s->st.command = 0;
        s->st.status = 0;
        s->st.mask = 15;
        s->st.high_byte = false;
        break;
    case R_CLEAR_MASK:
        s->st.mask = 0;
        break;
    case R_MASK_ALL:
        s->st.mask = value & 15;
        break;
    }
}

static uint8_t *page_register(I8257 *s, unsigned index, bool is_high)
{
    DmaChannel *c = &s->st.channels[page_channel[index]];

    return is_high ? &c->page_high : &c->page;
}

/* The page registers lie at page-base + 1 to 3, and + 7. */
#define PAGE_OPS(name, first, is_high)                                                                \
    static uint64_t name##_read(void *dev, uint64_t offset, unsigned size)                            \
    {                                                                                                 \
        return *page_register(dev, (first) + offset, is_high);                                        \
    }                                                                                                 \
    static void name##_write(void *dev, uint64_t offset, uint64_t value, unsigned size)               \
    {                                                                                                 \
        *page_register(dev, (first) + offset, is_high) = value;                                       \
    }                                                                                                 \
    static const MemoryOps name##_ops = {.read = name##_read, .write = name##_write, .impl_min = 1, .impl_max = 1};
PAGE_OPS(page1, 1, false)
PAGE_OPS(page7, 7, false)
PAGE_OPS(pageh1, 1, true)
PAGE_OPS(pageh7, 7, true)

static const MemoryOps channels_ops = {
    .read = channels_read,
    .write = channels_write,
    .impl_min = 1,
    .impl_max = 1,
};

static const MemoryOps control_ops = {
    .read = control_read,
    .write = control_write,
    .impl_min = 1,
    .impl_max = 1,
};

/* Life cycle ---------------------------------------------------------------------------------------- */

static void i8257_unrealize(Object *o)
{
    I8257 *s = (I8257 *)o;

    memory_region_finish(&s->mr_channels);
    memory_region_finish(&s->mr_control);
    for (unsigned i = 0; i < 2; i++) {
        memory_region_finish(&s->mr_page[i]);
        memory_region_finish(&s->mr_pageh[i]);
    }
}

static bool map_pages(I8257 *s, Error **errp)
{
    MemoryMap *map = DEVICE(s)->machine->map;

    memory_region_init_io(&s->mr_page[0], map, OBJECT(s), &page1_ops, s, "dma-page", 3);
    memory_region_init_io(&s->mr_page[1], map, OBJECT(s), &page7_ops, s, "dma-page", 1);
    if (!isa_map_io(&s->parent, &s->mr_page[0], s->conf.page_base + 1, errp) ||
        !isa_map_io(&s->parent, &s->mr_page[1], s->conf.page_base + 7, errp)) {
        return false;
    }
    if (s->conf.pageh_base < 0) {
        return true;
    }
    memory_region_init_io(&s->mr_pageh[0], map, OBJECT(s), &pageh1_ops, s, "dma-pageh", 3);
    memory_region_init_io(&s->mr_pageh[1], map, OBJECT(s), &pageh7_ops, s, "dma-pageh", 1);
    return isa_map_io(&s->parent, &s->mr_pageh[0], s->conf.pageh_base + 1, errp) &&
           isa_map_io(&s->parent, &s->mr_pageh[1], s->conf.pageh_base + 7, errp);
}

static bool i8257_realize(Object *o, Error **errp)
{
    I8257 *s = (I8257 *)o;
    MemoryMap *map = DEVICE(o)->machine->map;
    unsigned size = 8 << s->conf.dshift;

    memory_region_init_io(&s->mr_channels, map, o, &channels_ops, s, "dma-chan", size);
    memory_region_init_io(&s->mr_control, map, o, &control_ops, s, "dma-cont", size);
    if (!isa_map_io(&s->parent, &s->mr_channels, s->conf.base, errp) ||
        !isa_map_io(&s->parent, &s->mr_control, s->conf.base + size, errp) || !map_pages(s, errp)) {
        i8257_unrealize(o);
        return false;
    }
    return true;
}

const ObjectOps i8257_ops = {
    .size = sizeof(I8257),
    .conf_offset = offsetof(I8257, conf),
    .state_offset = offsetof(I8257, st),
    .realize = i8257_realize,
    .unrealize = i8257_unrealize,
};
