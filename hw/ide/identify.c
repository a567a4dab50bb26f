/* IDENTIFY DEVICE and IDENTIFY PACKET DEVICE: ATA8-ACS 7.12 and 7.13, by word. */
#include <string.h>

#include "hw/ide/internal.h"

/* 3.2.9: the first character of each pair is in the high byte; padded with spaces. */
static void put_text(uint8_t *out, unsigned word, unsigned words, const char *text)
{
    size_t n = strlen(text);

    for (unsigned i = 0; i < words * 2; i++) {
        out[word * 2 + (i ^ 1)] = i < n ? text[i] : ' ';
    }
}

static void put(uint8_t *out, unsigned word, uint16_t v)
{
    st16_le(out + word * 2, v);
}

static void put32(uint8_t *out, unsigned word, uint32_t v)
{
    st32_le(out + word * 2, v);
}

static void put_names(IdeDrive *d, uint8_t *out)
{
    const IdeDeviceConf *c = ide_conf(d);

    put_text(out, 10, 10, c->serial);
    put_text(out, 23, 4, c->ver);
    put_text(out, 27, 20, c->model ? c->model : d->is_cd ? "QEMU DVD-ROM" : "QEMU HARDDISK");
}

/* Modes 0 to n of a kind, and which is in force. */
static uint16_t modes(const IdeDrive *d, unsigned kind, unsigned n)
{
    uint16_t v = (2 << n) - 1;

    if (d->st.transfer_mode >> 3 == kind) {
        v |= 0x100 << (d->st.transfer_mode & 7);
    }
    return v;
}

static void put_modes(IdeDrive *d, uint8_t *out)
{
    put(out, 53, 0x0007);        /* words 54-58, 64-70, 88 are valid */
    put(out, 63, modes(d, 4, 2));
    put(out, 64, 0x0003);        /* PIO 3 and 4 */
    for (unsigned w = 65; w <= 68; w++) {
        put(out, w, 120);        /* cycle times, ns */
    }
    put(out, 88, modes(d, 8, 5));
    put(out, 93, d->unit ? 0x4b00 : 0x600b); /* hardware reset result; 80-conductor cable */
}

static void identify_disk(IdeDrive *d, uint8_t *out)
{
    const IdeDeviceState *st = &d->st;
    uint32_t per_cyl = st->heads * st->sectors;
    uint32_t cyls = d->heads == st->heads && d->secs == st->sectors ? d->cyls : d->num_sectors / per_cyl;
    uint64_t chs;

    cyls = cyls < 65535 ? cyls : 65535;
    chs = (uint64_t)cyls * per_cyl;
    put(out, 0, 0x0040);         /* fixed */
    put(out, 1, d->cyls);
    put(out, 3, d->heads);
    put(out, 6, d->secs);
    put(out, 47, 0x8000 | 16);   /* sectors in a block of READ MULTIPLE */
    put(out, 49, 0x0f00);        /* IORDY, LBA, DMA */
    put(out, 50, 0x4000);
    put(out, 54, cyls);
    put(out, 55, st->heads);
    put(out, 56, st->sectors);
    put32(out, 57, chs < UINT32_MAX ? chs : UINT32_MAX);
    put(out, 59, st->multiple ? 0x0100 | st->multiple : 0);
    put32(out, 60, d->num_sectors < 0x0fffffff ? d->num_sectors : 0x0fffffff);
    put(out, 80, 0x00f0);        /* ATA/ATAPI-4 to -7 */
    put(out, 81, 0x0016);
    put(out, 82, 0x4020);        /* NOP; write cache */
    put(out, 83, 0x7400);        /* FLUSH CACHE, FLUSH CACHE EXT, 48-bit addresses */
    put(out, 84, 0x4040 | (ide_conf(d)->wwn ? 0x0100 : 0)); /* FUA; world wide name */
    put(out, 85, 0x4000 | (st->write_cache ? 0x0020 : 0));
    put(out, 86, 0x3400);
    put(out, 87, 0x4040 | (ide_conf(d)->wwn ? 0x0100 : 0));
    st64_le(out + 200, d->num_sectors); /* words 100-103 */
    for (unsigned i = 0; i < 4; i++) {
        put(out, 108 + i, ide_conf(d)->wwn >> (48 - 16 * i));
    }
    put(out, 217, d->rotation_rate);
}

static void identify_cd(IdeDrive *d, uint8_t *out)
{
    put(out, 0, 0x85c0);         /* packet drive, CD-ROM, removable, DRQ within 50 us, 12-byte packets */
    put(out, 49, 0x0f00);
    put(out, 71, 30);            /* ns to release the bus, to become ready after SERVICE */
    put(out, 72, 30);
    put(out, 80, 0x001e);
    put(out, 82, 0x0210);        /* PACKET; DEVICE RESET */
    put(out, 83, 0x4000);
    put(out, 84, 0x4000);
    put(out, 85, 0x0210);
    put(out, 87, 0x4000);
}

void ide_identify(IdeDrive *d, uint8_t *out)
{
    memset(out, 0, SECTOR);
    put_names(d, out);
    put_modes(d, out);
    d->is_cd ? identify_cd(d, out) : identify_disk(d, out);
}
