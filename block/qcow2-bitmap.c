/*
 * qcow2: persistent bitmaps that say what has changed (spec, "Bitmaps extension", "Bitmap directory", "Dirty tracking bitmaps").
 * Before the first change every bitmap that must follow is marked in use on the disk; what changes is remembered in memory and
 * added when the image is closed, and only then does the mark go. After a cut it stays: who comes next sees that the bitmap is not
 * to be trusted. Not here: making, removing, merging them.
 */
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "block/qcow2.h"

enum {
    D_TABLE = 0, D_TABLE_SIZE = 8, D_FLAGS = 12, D_TYPE = 16, D_GRANULARITY = 17, D_NAME_SIZE = 18, D_EXTRA_SIZE = 20, D_LENGTH = 24,
    F_IN_USE = 1, F_AUTO = 2, F_EXTRA_COMPATIBLE = 4, TYPE_DIRTY = 1,
    MAX_BITMAPS = 65535, MAX_DIRECTORY = 64 << 20, MAX_TABLE = 1 << 20, MAX_GRANULARITY_BITS = 31, MIN_GRANULARITY_BITS = 9,
    MAX_MEMORY = 64 << 20, /* of what changed; a bitmap that needs more is given up */
};
#define T_ALL_SET ((uint64_t)1)

struct Bitmap {
    uint64_t entry;     /* of the directory, on the disk */
    uint64_t table;
    uint32_t table_size, flags;
    unsigned granularity_bits;
    bool lost;          /* stays in use */
    uint8_t **pages;    /* one per entry of the table: bits that were set; NULL: none */
};

const uint8_t *qcow2_bitmaps_extension(const Qcow2 *q)
{
    for (unsigned i = 0; q->autoclear & AUTOCLEAR_BITMAPS && i < q->extensions->len; i++) {
        const Extension *e = &g_array_index(q->extensions, Extension, i);

        if (e->type == EXT_BITMAPS && e->len >= 24) {
            return e->data;
        }
    }
    return NULL;
}

/* Bytes of guest data that an entry of the table speaks for. */
static unsigned page_bits(const Qcow2 *q, const Bitmap *b)
{
    return q->cluster_bits + 3 + b->granularity_bits;
}

/* ---- Loading ---- */

static void add(Qcow2 *q, const uint8_t *d, uint64_t at)
{
    uint32_t flags = ld32_be(d + D_FLAGS);
    Bitmap b = {.entry = at, .table = ld64_be(d + D_TABLE), .table_size = ld32_be(d + D_TABLE_SIZE), .flags = flags,
                .granularity_bits = d[D_GRANULARITY]};

    if (!(flags & F_AUTO) || flags & F_IN_USE) {
        return; /* it need not follow, or is not trusted already */
    }
    b.lost = d[D_TYPE] != TYPE_DIRTY || b.granularity_bits < MIN_GRANULARITY_BITS || b.granularity_bits > MAX_GRANULARITY_BITS ||
             (ld32_be(d + D_EXTRA_SIZE) && !(flags & F_EXTRA_COMPATIBLE)) || b.table_size > MAX_TABLE ||
             !is_aligned(b.table, q->cluster_size) || !b.table || b.table_size != div_round_up(q->n->length, 1ull << page_bits(q, &b));
    b.pages = b.lost ? NULL : g_new0(uint8_t *, b.table_size);
    q->bitmaps = g_renew(Bitmap, q->bitmaps, q->num_bitmaps + 1);
    q->bitmaps[q->num_bitmaps++] = b;
}

int CO_FN qcow2_load_bitmaps(Qcow2 *q)
{
    const uint8_t *e = qcow2_bitmaps_extension(q);
    uint64_t len = e ? ld64_be(e + 8) : 0, at = e ? ld64_be(e + 16) : 0;
    g_autofree uint8_t *dir = NULL;
    uint32_t num = e ? ld32_be(e) : 0;
    int r;

    if (!e || !num || num > MAX_BITMAPS || len > MAX_DIRECTORY || !is_aligned(at, q->cluster_size) || at > INT64_MAX - len) {
        return -EINVAL;
    }
    dir = g_try_malloc0(len + D_LENGTH);
    r = dir ? node_pread(meta_node(q), at, dir, len) : -ENOMEM;
    for (uint64_t i = 0; !r && num > 0; num--) {
        uint64_t end = i + D_LENGTH;

        end = end > len ? end : round_up(end + ld16_be(dir + i + D_NAME_SIZE) + ld32_be(dir + i + D_EXTRA_SIZE), 8);
        r = end > len ? -EINVAL : 0;
        if (!r) {
            add(q, dir + i, at + i);
        }
        i = end;
    }
    return r;
}

void qcow2_free_bitmaps(Qcow2 *q)
{
    for (unsigned i = 0; i < q->num_bitmaps; i++) {
        for (uint32_t p = 0; q->bitmaps[i].pages && p < q->bitmaps[i].table_size; p++) {
            g_free(q->bitmaps[i].pages[p]);
        }
        g_free(q->bitmaps[i].pages);
    }
    g_free(q->bitmaps);
    q->bitmaps = NULL;
    q->num_bitmaps = 0;
}

/* ---- Following ---- */

static int CO_FN write_flags(Qcow2 *q, const Bitmap *b, uint32_t flags)
{
    uint8_t raw[4];

    st32_be(raw, flags);
    return node_pwrite(meta_node(q), b->entry + D_FLAGS, raw, sizeof(raw));
}

static int CO_FN mark_in_use(Qcow2 *q)
{
    int r = 0;

    for (unsigned i = 0; !r && i < q->num_bitmaps; i++) {
        r = write_flags(q, &q->bitmaps[i], q->bitmaps[i].flags | F_IN_USE);
    }
    r = r ? r : node_flush(meta_node(q));
    q->bitmaps_in_use = !r;
    return r;
}

/* Bits [from, to), lowest of a byte first. */
static void set_bits(uint8_t *page, uint64_t from, uint64_t to)
{
    while (from < to) {
        if (!(from & 7) && to - from >= 8) {
            memset(page + from / 8, 0xff, (to - from) / 8);
            from += (to - from) & ~(uint64_t)7;
        } else {
            page[from / 8] |= 1 << (from & 7);
            from++;
        }
    }
}

static void follow(Qcow2 *q, Bitmap *b, uint64_t offset, uint64_t len)
{
    uint64_t first = offset >> b->granularity_bits, end = ((offset + len - 1) >> b->granularity_bits) + 1, per = q->cluster_size * 8;

    for (uint64_t at = first, next; !b->lost && at < end; at = next) {
        uint64_t p = at / per;

        next = min_of(end, (p + 1) * per);
        if (p >= b->table_size) {
            b->lost = true;
        } else if (!b->pages[p]) {
            q->bitmap_memory += q->cluster_size;
            b->pages[p] = q->bitmap_memory > MAX_MEMORY ? NULL : g_try_malloc0(q->cluster_size);
            b->lost = !b->pages[p];
        }
        if (!b->lost) {
            set_bits(b->pages[p], at % per, next - p * per);
        }
    }
}

int CO_FN qcow2_bitmaps_touch(Qcow2 *q, uint64_t offset, uint64_t len)
{
    int r = 0;

    if (!q->num_bitmaps || !len) {
        return 0;
    }
    if (!q->bitmaps_in_use) {
        co_mutex_lock(&q->lock);
        r = q->bitmaps_in_use ? 0 : mark_in_use(q);
        co_mutex_unlock(&q->lock);
    }
    for (unsigned i = 0; !r && i < q->num_bitmaps; i++) {
        follow(q, &q->bitmaps[i], offset, len);
    }
    return r;
}

/* ---- Saving ---- */

/* What changed joins what the disk has of it. *entry is of the table. */
static int CO_FN save_page(Qcow2 *q, const uint8_t *page, uint64_t *entry)
{
    g_autofree uint8_t *old = NULL;
    uint64_t at = *entry & E_OFFSET;
    int r;

    if (!at && *entry & T_ALL_SET) {
        return 0;
    }
    if (!is_aligned(at, q->cluster_size)) {
        return -EINVAL;
    }
    old = g_try_malloc0(q->cluster_size);
    if (!old) {
        return -ENOMEM;
    }
    r = at ? node_pread(meta_node(q), at, old, q->cluster_size) : alloc_table(q, q->cluster_size, &at);
    for (uint64_t i = 0; i < q->cluster_size; i++) {
        old[i] |= page[i];
    }
    *entry = at;
    return r ? r : node_pwrite(meta_node(q), at, old, q->cluster_size);
}

static int CO_FN save(Qcow2 *q, const Bitmap *b)
{
    size_t bytes = (size_t)b->table_size * 8;
    g_autofree uint8_t *table = g_try_malloc(bytes);
    int r = table ? node_pread(meta_node(q), b->table, table, bytes) : -ENOMEM;

    for (uint32_t i = 0; !r && i < b->table_size; i++) {
        uint64_t entry = ld64_be(table + (size_t)i * 8);

        r = b->pages[i] ? save_page(q, b->pages[i], &entry) : 0;
        st64_be(table + (size_t)i * 8, entry);
    }
    return r ? r : node_pwrite(meta_node(q), b->table, table, bytes);
}

int CO_FN qcow2_save_bitmaps(Qcow2 *q)
{
    unsigned lost = 0;
    int r = 0;

    if (!q->bitmaps_in_use) {
        return 0;
    }
    for (unsigned i = 0; i < q->num_bitmaps; i++) {
        Bitmap *b = &q->bitmaps[i];

        b->lost = b->lost || save(q, b);
        lost += b->lost;
    }
    r = qcow2_sync(q); /* the bits before the mark goes */
    for (unsigned i = 0; !r && i < q->num_bitmaps; i++) {
        r = q->bitmaps[i].lost ? 0 : write_flags(q, &q->bitmaps[i], q->bitmaps[i].flags);
    }
    if (lost || r) {
        fprintf(stderr, "qcow2: '%s': %u persistent bitmaps could not be kept up to date and stay marked as in use\n", node_what(q->n),
                r ? q->num_bitmaps : lost);
    }
    q->bitmaps_in_use = false;
    return r ? r : node_flush(meta_node(q));
}
