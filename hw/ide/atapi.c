/*
 * CD-ROM and DVD-ROM drive: packet commands by SPC-3 and MMC-3 (INCITS 360-2002), transfers by ATA/ATAPI-6 9.8. Of a medium
 * there are the user data of one data track.
 */
#include <string.h>
#include <sys/param.h>

#include "hw/ide/internal.h"

enum { REASON_CD = 1, REASON_IO = 2 };                    /* interrupt reason: the sector count register */
enum { KEY_NOT_READY = 2, KEY_MEDIUM = 3, KEY_ILLEGAL = 5 };
enum {                                                    /* sense code and qualifier */
    SENSE_NO_MEDIUM = 0x3a00, SENSE_READ_ERROR = 0x1100, SENSE_OPCODE = 0x2000, SENSE_RANGE = 0x2100, SENSE_FIELD = 0x2400,
    SENSE_LOCKED = 0x5302,
};
enum { CD_MAX_SECTORS = 80 * 60 * 75, LOAD_SECTORS = BUFFER / CD_SECTOR };

/* ---- Transfers ---- */

static void set_reason(IdeDrive *d, uint8_t reason)
{
    d->st.nsector = (d->st.nsector & ~7) | reason;
}

static void succeed(IdeDrive *d)
{
    set_reason(d, REASON_IO | REASON_CD);
    ide_done(d);
}

static void fail(IdeDrive *d, uint8_t key, uint16_t code)
{
    d->st.sense_key = key;
    d->st.sense_code = code;
    set_reason(d, REASON_IO | REASON_CD);
    ide_fail(d, key << 4 | (key == KEY_ILLEGAL ? ER_ABRT : 0));
}

/* 9.8: at most the byte count that the host gave, even unless it is the last. */
static void next_pio_block(IdeDrive *d)
{
    uint32_t left = d->st.data.len - d->st.position, n = MIN(left, d->st.packet_limit);

    n = n < left ? n & ~1u : n;
    d->st.block_end = d->st.position + n;
    d->st.lba_mid = n;
    d->st.lba_high = n >> 8;
    set_reason(d, REASON_IO);
    ide_begin_block(d, IDE_PHASE_PIO_IN, true);
}

/* st.data goes to the host. */
static void send(IdeDrive *d)
{
    d->st.position = 0;
    if (d->st.feature & 1) {
        d->st.block_end = d->st.data.len;
        d->st.phase = IDE_PHASE_DMA_IN;
        d->st.status = ST_BSY;
        ide_dma_go(d);
    } else {
        next_pio_block(d);
    }
}

static void loaded(IdeDrive *d, int result)
{
    unsigned n = d->iov.iov_len / CD_SECTOR;

    if (result) {
        fail(d, KEY_MEDIUM, SENSE_READ_ERROR);
        return;
    }
    d->st.data.len = n * CD_SECTOR;
    d->st.sector += n;
    d->st.remaining -= n;
    send(d);
}

static void load(IdeDrive *d)
{
    d->st.phase = d->st.feature & 1 ? IDE_PHASE_DMA_IN : IDE_PHASE_PIO_IN;
    d->st.data.len = d->st.position = d->st.block_end = 0;
    ide_submit(d, BLOCK_READ, MIN(d->st.remaining, LOAD_SECTORS), loaded);
}

void atapi_block_moved(IdeDrive *d)
{
    if (d->st.position < d->st.data.len) {
        next_pio_block(d);
    } else if (d->st.remaining) {
        load(d);
    } else {
        succeed(d);
    }
}

void atapi_dma_moved(IdeDrive *d)
{
    d->st.remaining ? load(d) : succeed(d);
}

/* The answer is in st.data; the host takes `allocation` bytes at most. */
static void reply(IdeDrive *d, unsigned len, unsigned allocation)
{
    d->st.remaining = 0;
    d->st.data.len = MIN(len, allocation);
    if (d->st.data.len) {
        send(d);
    } else {
        succeed(d);
    }
}

static uint8_t *answer(IdeDrive *d)
{
    return memset(d->st.data.data, 0, 256);
}

/* ---- Commands ---- */

static bool has_medium(const IdeDrive *d)
{
    return d->blk && d->num_sectors && !d->st.tray_open;
}

static void test_unit_ready(IdeDrive *d)
{
    succeed(d);
}

static void request_sense(IdeDrive *d)
{
    uint8_t *a = answer(d);

    a[0] = 0x70; /* SPC-3 4.5.3: current, fixed format */
    a[2] = d->st.sense_key;
    a[7] = 10;
    st16_be(a + 12, d->st.sense_code);
    d->st.sense_key = 0;
    d->st.sense_code = 0;
    reply(d, 18, d->st.packet[4]);
}

static void inquiry(IdeDrive *d)
{
    uint8_t *a = answer(d);
    static const char text[] = "QEMU    QEMU DVD-ROM    2.5+"; /* vendor, product, revision */

    if (d->st.packet[1] & 3) { /* no vital product data */
        fail(d, KEY_ILLEGAL, SENSE_FIELD);
        return;
    }
    a[0] = 0x05; /* CD or DVD */
    a[1] = 0x80; /* removable */
    a[3] = 0x21; /* ATAPI; response format 1 */
    a[4] = 31;
    memcpy(a + 8, text, 28);
    reply(d, 36, d->st.packet[4] | d->st.packet[3] << 8);
}

/* MMC-3 5.33: bits 1 and 0: eject or load, start. */
static void start_stop(IdeDrive *d)
{
    uint8_t how = d->st.packet[4];

    if (how & 2 && !(how & 1) && d->st.tray_locked) {
        fail(d, KEY_NOT_READY, SENSE_LOCKED);
        return;
    }
    if (how & 2) {
        d->st.tray_open = !(how & 1);
    }
    succeed(d);
}

static void prevent_removal(IdeDrive *d)
{
    d->st.tray_locked = d->st.packet[4] & 1;
    succeed(d);
}

static void read_capacity(IdeDrive *d)
{
    uint8_t *a = answer(d);

    st32_be(a, MIN(d->num_sectors - 1, UINT32_MAX));
    st32_be(a + 4, CD_SECTOR);
    reply(d, 8, 8);
}

static void read_sectors(IdeDrive *d, uint32_t lba, uint32_t n)
{
    if (lba > d->num_sectors || n > d->num_sectors - lba) {
        fail(d, KEY_ILLEGAL, SENSE_RANGE);
        return;
    }
    d->st.sector = lba;
    d->st.remaining = n;
    n ? load(d) : succeed(d);
}

static void read_10(IdeDrive *d)
{
    read_sectors(d, ld32_be(d->st.packet + 2), ld16_be(d->st.packet + 7));
}

static void read_12(IdeDrive *d)
{
    read_sectors(d, ld32_be(d->st.packet + 2), ld32_be(d->st.packet + 6));
}

/* MMC-3 5.14: user data of 2048-byte sectors only. */
static void read_cd(IdeDrive *d)
{
    uint32_t n = d->st.packet[6] << 16 | ld16_be(d->st.packet + 7);

    switch (d->st.packet[9] & 0xf8) {
    case 0x00:
        succeed(d);
        break;
    case 0x10:
        read_sectors(d, ld32_be(d->st.packet + 2), n);
        break;
    default:
        fail(d, KEY_ILLEGAL, SENSE_FIELD);
    }
}

static void seek(IdeDrive *d)
{
    if (ld32_be(d->st.packet + 2) >= d->num_sectors) {
        fail(d, KEY_ILLEGAL, SENSE_RANGE);
    } else {
        succeed(d);
    }
}

/* An address as LBA or as minute, second, frame, which count from 00:02:00. */
static void put_address(uint8_t *p, uint32_t lba, bool msf)
{
    if (!msf) {
        st32_be(p, lba);
        return;
    }
    lba += 150;
    p[0] = 0;
    p[1] = MIN(lba / 75 / 60, 255);
    p[2] = lba / 75 % 60;
    p[3] = lba % 75;
}

/* MMC-3 5.23: track 1, a data track, and the lead-out. */
static unsigned toc_tracks(const IdeDrive *d, uint8_t *a, bool msf, uint8_t first)
{
    unsigned n = 4;

    a[2] = a[3] = 1;
    if (first <= 1) {
        a[n + 1] = 0x14;
        a[n + 2] = 1;
        put_address(a + n + 4, 0, msf);
        n += 8;
    }
    a[n + 1] = 0x14;
    a[n + 2] = 0xaa;
    put_address(a + n + 4, MIN(d->num_sectors, UINT32_MAX), msf);
    return n + 8;
}

static unsigned toc_sessions(uint8_t *a, bool msf)
{
    a[2] = a[3] = 1;
    a[5] = 0x14;
    a[6] = 1;
    put_address(a + 8, 0, msf);
    return 12;
}

static void read_toc(IdeDrive *d)
{
    const uint8_t *p = d->st.packet;
    unsigned format = p[2] & 15 ? p[2] & 15 : p[9] >> 6, n;
    bool msf = p[1] & 2;
    uint8_t *a = answer(d);

    if (format > 1 || (format == 0 && p[6] > 1 && p[6] != 0xaa)) {
        fail(d, KEY_ILLEGAL, SENSE_FIELD);
        return;
    }
    n = format == 0 ? toc_tracks(d, a, msf, p[6]) : toc_sessions(a, msf);
    st16_be(a, n - 2);
    reply(d, n, ld16_be(p + 7));
}

/* MMC-3 6.2: a feature's head; `flags` are version, persistent, current. */
static uint8_t *put_feature(uint8_t *p, uint16_t code, uint8_t flags, uint8_t len)
{
    st16_be(p, code);
    p[2] = flags;
    p[3] = len;
    return p + 4;
}

/* MMC-3 5.6. */
static void get_configuration(IdeDrive *d)
{
    uint16_t profile = !has_medium(d) ? 0 : d->num_sectors <= CD_MAX_SECTORS ? 0x0008 : 0x0010;
    uint8_t *a = answer(d), *p;

    if (d->st.packet[1] & 3 && (d->st.packet[1] & 3) != 2 && (d->st.packet[1] & 3) != 1) {
        fail(d, KEY_ILLEGAL, SENSE_FIELD);
        return;
    }
    st16_be(a + 6, profile);
    p = put_feature(a + 8, 0x0000, 0x03, 8); /* profile list */
    st16_be(p, 0x0010);
    p[2] = profile == 0x0010;
    st16_be(p + 4, 0x0008);
    p[6] = profile == 0x0008;
    p = put_feature(p + 8, 0x0001, 0x0b, 8); /* core: ATAPI */
    st32_be(p, 2);
    p[4] = 1;
    p = put_feature(p + 8, 0x0003, 0x03, 4); /* removable medium: tray, lock, eject */
    p[0] = 0x29;
    p += 4;
    st32_be(a, p - a - 4);
    reply(d, p - a, ld16_be(d->st.packet + 7));
}

/* MMC-3 5.7: the class media, polled; there are no events to tell. */
static void get_event(IdeDrive *d)
{
    uint8_t *a = answer(d);

    if (!(d->st.packet[1] & 1)) {
        fail(d, KEY_ILLEGAL, SENSE_FIELD);
        return;
    }
    a[3] = 0x10;
    if (!(d->st.packet[4] & 0x10)) {
        st16_be(a, 2);
        a[2] = 0x80; /* no class that was asked for */
        reply(d, 4, ld16_be(d->st.packet + 7));
        return;
    }
    st16_be(a, 6);
    a[2] = 4;
    a[5] = (d->st.tray_open ? 1 : 0) | (has_medium(d) ? 2 : 0);
    reply(d, 8, ld16_be(d->st.packet + 7));
}

/* MMC-3 5.19: a finished disc of one session. */
static void read_disc_information(IdeDrive *d)
{
    uint8_t *a = answer(d);

    if (d->st.packet[1] & 7) {
        fail(d, KEY_ILLEGAL, SENSE_FIELD);
        return;
    }
    a[1] = 32;
    a[2] = 0x0e;
    a[3] = a[4] = a[5] = a[6] = 1;
    a[7] = 0x20; /* unrestricted use */
    reply(d, 34, ld16_be(d->st.packet + 7));
}

/* MMC-3 6.3.4, 6.3.11: error recovery, capabilities. */
static uint8_t *put_page(const IdeDrive *d, uint8_t *p, uint8_t page)
{
    p[0] = page;
    if (page == 0x01) {
        p[1] = 6;
        p[3] = 5; /* retries */
        return p + 8;
    }
    p[1] = 0x12;
    p[2] = 0x3b;         /* reads CD-R, CD-RW, method 2, DVD-ROM, DVD-R */
    p[4] = 0x70;         /* mode 2 form 1 and 2, multi-session */
    p[6] = 0x29 | (d->st.tray_locked ? 2 : 0); /* tray; eject; lock */
    st16_be(p + 8, 706); /* kB/s */
    st16_be(p + 12, 512);
    st16_be(p + 14, 706);
    return p + 20;
}

static void mode_sense(IdeDrive *d)
{
    uint8_t page = d->st.packet[2] & 0x3f;
    uint8_t *a = answer(d), *p = a + 8;

    if (d->st.packet[2] >> 6 == 3 || (page != 0x01 && page != 0x2a && page != 0x3f)) { /* saved values: none */
        fail(d, KEY_ILLEGAL, d->st.packet[2] >> 6 == 3 ? 0x3900 : SENSE_FIELD);
        return;
    }
    a[2] = d->st.tray_open ? 0x71 : has_medium(d) ? 0x01 : 0x70; /* medium type of SFF-8020i */
    if (page != 0x2a) {
        p = put_page(d, p, 0x01);
    }
    if (page != 0x01) {
        p = put_page(d, p, 0x2a);
    }
    st16_be(a, p - a - 2);
    reply(d, p - a, ld16_be(d->st.packet + 7));
}

static void mechanism_status(IdeDrive *d)
{
    uint8_t *a = answer(d);

    a[1] = d->st.tray_open ? 0x10 : 0;
    a[5] = 1;
    reply(d, 8, ld16_be(d->st.packet + 8));
}

static const struct {
    void (*run)(IdeDrive *);
    bool needs_medium;
} packets[256] = {
    [0x00] = {test_unit_ready, true},
    [0x03] = {request_sense},
    [0x12] = {inquiry},
    [0x1b] = {start_stop},
    [0x1e] = {prevent_removal},
    [0x25] = {read_capacity, true},
    [0x28] = {read_10, true},
    [0x2b] = {seek, true},
    [0x43] = {read_toc, true},
    [0x46] = {get_configuration},
    [0x4a] = {get_event},
    [0x51] = {read_disc_information, true},
    [0x5a] = {mode_sense},
    [0xa8] = {read_12, true},
    [0xbb] = {test_unit_ready}, /* SET CD SPEED */
    [0xbd] = {mechanism_status},
    [0xbe] = {read_cd, true},
};

void atapi_packet(IdeDrive *d)
{
    uint8_t op = d->st.packet[0];

    if (op != 0x03) { /* sense data stay until the next command */
        d->st.sense_key = 0;
        d->st.sense_code = 0;
    }
    if (!packets[op].run) {
        fail(d, KEY_ILLEGAL, SENSE_OPCODE);
    } else if (packets[op].needs_medium && !has_medium(d)) {
        fail(d, KEY_NOT_READY, SENSE_NO_MEDIUM | (d->st.tray_open ? 2 : 0));
    } else {
        packets[op].run(d);
    }
}

/* ATA8-ACS 7.18: 12 bytes of packet come next. A byte count of 0 is taken for the largest. */
void atapi_start_packet(IdeDrive *d)
{
    uint32_t limit = d->st.lba_mid | d->st.lba_high << 8;

    d->st.packet_limit = limit < 2 || limit == 0xffff ? 0xfffe : limit;
    d->st.data.len = d->st.block_end = sizeof(d->st.packet);
    d->st.position = 0;
    d->st.remaining = 0;
    set_reason(d, REASON_CD);
    ide_begin_block(d, IDE_PHASE_PACKET, false);
}
