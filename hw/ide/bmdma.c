/* The bus master of a channel: Programming Interface for Bus Master IDE Controller 1.0 (SFF-8038i), by section. */
#include "hw/ide/internal.h"

enum {
    BM_START = 0x01, BM_TO_MEMORY = 0x08,                          /* command, 2.1 */
    BM_ACTIVE = 0x01, BM_ERROR = 0x02, BM_INTERRUPT = 0x04, BM_CAPABLE = 0x60, /* status, 2.2 */
    TABLE_MAX = 65536,                                             /* 1.2: it does not cross 64 KiB */
};

bool ide_bm_started(const IdeBus *b)
{
    return b->st->bm_status & BM_ACTIVE;
}

/* 1.3: a region's address and byte count, 0 meaning 64 KiB; bit 31 of the second word ends the table. */
static bool next_region(IdeBus *b, bool *failed)
{
    IdeChannelState *st = b->st;
    uint8_t entry[8];
    uint32_t base = st->bm_table & ~3u;

    if (st->bm_last || st->bm_position + 8 > TABLE_MAX) {
        st->bm_status &= ~BM_ACTIVE;
        return false;
    }
    if (address_space_read(b->dma, base + st->bm_position, MEMTXATTRS_NONE, entry, 8) != MEMTX_OK) {
        *failed = true;
        return false;
    }
    st->bm_position += 8;
    st->bm_address = ld32_le(entry) & ~1u;
    st->bm_length = ld32_le(entry + 4) & 0xfffe;
    st->bm_length = st->bm_length ? st->bm_length : 0x10000;
    st->bm_last = entry[7] & 0x80;
    return true;
}

static bool move(IdeBus *b, uint8_t *buf, uint32_t n, bool to_memory)
{
    MemTxResult r = to_memory ? address_space_write(b->dma, b->st->bm_address, MEMTXATTRS_NONE, buf, n)
                              : address_space_read(b->dma, b->st->bm_address, MEMTXATTRS_NONE, buf, n);

    b->st->bm_address += n;
    b->st->bm_length -= n;
    return r == MEMTX_OK;
}

uint32_t ide_bm_copy(IdeBus *b, uint8_t *buf, uint32_t len, bool to_memory, bool *failed)
{
    IdeChannelState *st = b->st;
    uint32_t done = 0;

    /* 2.1: the direction is the host's; when it is not the drive's nothing can be moved. */
    *failed = to_memory != !!(st->bm_command & BM_TO_MEMORY);
    while (done < len && !*failed && (st->bm_length || next_region(b, failed))) {
        uint32_t n = len - done < st->bm_length ? len - done : st->bm_length;

        *failed = !move(b, buf + done, n, to_memory);
        done += n;
    }
    if (*failed) {
        st->bm_status = (st->bm_status & ~BM_ACTIVE) | BM_ERROR;
    } else if (!st->bm_length && st->bm_last) {
        st->bm_status &= ~BM_ACTIVE; /* 2.2: the last region is exhausted */
    }
    return done;
}

uint8_t ide_bm_read(IdeBus *b, unsigned offset)
{
    switch (offset) {
    case 0:
        return b->st->bm_command;
    case 2:
        return b->st->bm_status;
    case 4:
    case 5:
    case 6:
    case 7:
        return b->st->bm_table >> (offset - 4) * 8;
    default:
        return 0;
    }
}

/* 2.1: writing the start bit begins at the table's first region; taking it away stops, and what was is lost. */
static void write_command(IdeBus *b, uint8_t v)
{
    IdeChannelState *st = b->st;
    bool was = st->bm_command & BM_START;

    st->bm_command = v & (BM_START | BM_TO_MEMORY);
    if (!(v & BM_START)) {
        st->bm_status &= ~BM_ACTIVE;
        return;
    }
    if (was) {
        return;
    }
    st->bm_position = 0;
    st->bm_length = 0;
    st->bm_last = false;
    st->bm_status |= BM_ACTIVE;
    for (int i = 0; i < 2; i++) {
        if (b->drives[i]) {
            ide_dma_go(b->drives[i]);
        }
    }
}

void ide_bm_write(IdeBus *b, unsigned offset, uint8_t v)
{
    IdeChannelState *st = b->st;
    unsigned shift = (offset & 3) * 8;

    if (offset == 0) {
        write_command(b, v);
    } else if (offset == 2) { /* error and interrupt: cleared by writing 1 */
        st->bm_status = (st->bm_status & BM_ACTIVE) | (v & BM_CAPABLE) |
                        (st->bm_status & ~v & (BM_ERROR | BM_INTERRUPT));
    } else if (offset >= 4) {
        st->bm_table = (st->bm_table & ~(0xffu << shift)) | (uint32_t)(offset == 4 ? v & ~3u : v) << shift;
    }
}
