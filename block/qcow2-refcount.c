/* qcow2: reference counts and the clusters that have none. See block/qcow2.h for the order in which they change. */
#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>

#include "block/qcow2.h"
#include "util/log.h"

enum { MAX_FREES = 8192 };

int CO_FN qcow2_corrupt(Qcow2 *q, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    if (q->incompatible & INCOMPAT_CORRUPT || q->n->read_only || q->to_repair) {
        return -EIO; /* told before, or nothing is at stake */
    }
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    fprintf(stderr, "qcow2: Marking image as corrupt: %s; further corruption events will be suppressed\n", text);
    if (q->version >= 3) {
        q->incompatible |= INCOMPAT_CORRUPT;
        qcow2_write_header(q);
    }
    q->n->read_only = true;
    return -EIO;
}

/* ---- One count; spec, "Host cluster management" ---- */

static uint64_t read_count(const Qcow2 *q, const uint8_t *p, unsigned i)
{
    switch (q->refcount_order) {
    case 3:
        return p[i];
    case 4:
        return ld16_be(p + i * 2);
    case 5:
        return ld32_be(p + i * 4);
    case 6:
        return ld64_be(p + i * 8);
    }
    return p[i >> (3 - q->refcount_order)] >> ((i << q->refcount_order) & 7) & bits_mask(1u << q->refcount_order);
}

void refcount_put(const Qcow2 *q, uint8_t *p, unsigned i, uint64_t v)
{
    uint8_t *byte = p + (i >> (3 - min_of(q->refcount_order, 3u)));

    switch (q->refcount_order) {
    case 3:
        p[i] = v;
        break;
    case 4:
        st16_be(p + i * 2, v);
        break;
    case 5:
        st32_be(p + i * 4, v);
        break;
    case 6:
        st64_be(p + i * 8, v);
        break;
    default:
        *byte = bits_put(*byte, (i << q->refcount_order) & 7, 1u << q->refcount_order, v);
    }
}

static uint64_t max_count(const Qcow2 *q)
{
    return bits_mask(1u << q->refcount_order);
}

static unsigned slice_counts(const Qcow2 *q)
{
    return (q->rc.slice_size * 8) >> q->refcount_order;
}

/* ---- Blocks ---- */

/* The slice with the count of cluster and its index; *s NULL: there is no block for it. */
static int CO_FN find(Qcow2 *q, uint64_t cluster, Slice **s, unsigned *index)
{
    uint64_t block = cluster >> q->block_bits, at = cluster & bits_mask(q->block_bits), entry;

    *s = NULL;
    if (block >= q->rt_entries || !q->rt[block]) {
        return 0;
    }
    entry = q->rt[block];
    if (entry & (q->cluster_size - 1)) {
        return qcow2_corrupt(q, "Refblock offset %#" PRIx64 " unaligned (reftable index: %#" PRIx64 ")", entry, block);
    }
    *index = at % slice_counts(q);
    return cache_get(q, &q->rc, entry + (at / slice_counts(q)) * q->rc.slice_size, s);
}

static int CO_FN write_rt(Qcow2 *q, uint64_t offset, uint32_t from, uint32_t num)
{
    g_autofree uint8_t *buf = g_malloc((size_t)num * 8);

    for (uint32_t i = 0; i < num; i++) {
        st64_be(buf + (size_t)i * 8, q->rt[from + i]);
    }
    return node_pwrite(meta_node(q), offset, buf, (size_t)num * 8);
}

/* A damaged image may call a table's place free. */
static bool hits_table(const Qcow2 *q, uint64_t offset, uint64_t len)
{
    const struct {
        uint64_t at, len;
    } tables[] = {
        {0, q->cluster_size},
        {q->l1_offset, (uint64_t)q->l1_size * 8},
        {q->rt_offset, (uint64_t)q->rt_clusters << q->cluster_bits},
        {q->snapshots_offset, q->snapshots_bytes},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
        if (tables[i].len && offset < tables[i].at + tables[i].len && tables[i].at < offset + len) {
            return true;
        }
    }
    return false;
}

/* Where no block counts clusters a damaged image may yet have tables. */
static bool hits_known(const Qcow2 *q, uint64_t offset, uint64_t len)
{
    for (uint32_t i = 0; i < q->rt_entries; i++) {
        if (q->rt[i] && q->rt[i] < offset + len && offset < q->rt[i] + q->cluster_size) {
            return true;
        }
    }
    for (uint32_t i = 0; i < q->l1_size; i++) {
        uint64_t at = q->l1[i] & E_OFFSET;

        if (at && at < offset + len && offset < at + q->cluster_size) {
            return true;
        }
    }
    return hits_table(q, offset, len);
}

/*
 * Block number `block` and those after it, as many as count themselves and `extra` clusters behind them, are put where the
 * clusters begin that block counts. Nothing points to them yet.
 */
static int CO_FN write_blocks(Qcow2 *q, uint64_t block, uint64_t extra, uint64_t *num)
{
    uint64_t per = 1ull << q->block_bits, start = (block << q->block_bits) << q->cluster_bits, used;
    g_autofree uint8_t *buf = g_malloc(q->cluster_size);
    int r = 0;

    for (*num = 1; *num + extra > *num * per;) {
        ++*num;
    }
    used = *num + extra;
    if (hits_known(q, start, used << q->cluster_bits)) {
        return qcow2_corrupt(q, "No refcount block for clusters in use, from offset %#" PRIx64 " on", start);
    }
    for (uint64_t b = 0; !r && b < *num; b++) {
        memset(buf, 0, q->cluster_size);
        for (uint64_t i = 0; i < per && b * per + i < used; i++) {
            refcount_put(q, buf, i, 1);
        }
        cache_drop(&q->rc, start + (b << q->cluster_bits), q->cluster_size);
        cache_drop(&q->l2, start + (b << q->cluster_bits), q->cluster_size);
        r = node_pwrite(meta_node(q), start + (b << q->cluster_bits), buf, q->cluster_size);
    }
    return r;
}

/* A larger table, behind new blocks; the header switches to it. */
static int CO_FN grow_rt(Qcow2 *q, uint64_t block)
{
    uint64_t start = (block << q->block_bits) << q->cluster_bits, per = q->cluster_size / 8, num;
    uint64_t want = max_of(block + block / 2, block + 16), clusters = div_round_up(want, per);
    uint64_t old_offset = q->rt_offset, old_clusters = q->rt_clusters, *bigger;
    int r;

    if (clusters * q->cluster_size > MAX_RT_BYTES) {
        clusters = div_round_up(block + 4, per);
    }
    if (clusters * q->cluster_size > MAX_RT_BYTES) {
        return -EFBIG;
    }
    r = write_blocks(q, block, clusters, &num);
    if (r || block + num > clusters * per) {
        return r ? r : -EFBIG;
    }
    bigger = g_new0(uint64_t, clusters * per);
    memcpy(bigger, q->rt, (size_t)q->rt_entries * 8);
    for (uint64_t b = 0; b < num; b++) {
        bigger[block + b] = start + (b << q->cluster_bits);
    }
    g_free(q->rt);
    q->rt = bigger;
    q->rt_entries = clusters * per;
    q->rt_clusters = clusters;
    q->rt_offset = start + (num << q->cluster_bits);
    r = write_rt(q, q->rt_offset, 0, q->rt_entries);
    if (!r) {
        r = node_flush(meta_node(q));
    }
    if (!r) {
        r = qcow2_write_header(q);
    }
    if (!r) {
        r = node_flush(meta_node(q));
    }
    return r ? r : refcount_add(q, old_offset, old_clusters << q->cluster_bits, -1);
}

static int CO_FN new_block(Qcow2 *q, uint64_t block)
{
    uint64_t num;
    int r;

    if (!block) { /* a new one lies in the first cluster that it counts, where the header is: an entry of 0 again */
        return qcow2_corrupt(q, "Refcount table has no block for the header");
    }
    if (block >= q->rt_entries) {
        return grow_rt(q, block);
    }
    r = write_blocks(q, block, 0, &num);
    if (!r) {
        r = node_flush(meta_node(q)); /* the block before who points to it */
    }
    if (!r) {
        q->rt[block] = (block << q->block_bits) << q->cluster_bits;
        r = write_rt(q, q->rt_offset + block * 8, block, 1);
    }
    return r;
}

/* As find, and makes the block when there is none. */
static int CO_FN find_or_make(Qcow2 *q, uint64_t cluster, Slice **s, unsigned *index)
{
    int r = find(q, cluster, s, index);

    if (!r && !*s) {
        r = new_block(q, cluster >> q->block_bits);
        if (!r) {
            r = find(q, cluster, s, index);
        }
    }
    return r;
}

/* ---- Counts ---- */

int CO_FN refcount_get(Qcow2 *q, uint64_t cluster, uint64_t *count)
{
    unsigned i;
    Slice *s;
    int r = find(q, cluster, &s, &i);

    *count = !r && s ? read_count(q, s->data, i) : 0;
    return r;
}

int CO_FN refcount_set(Qcow2 *q, uint64_t cluster, uint64_t count)
{
    unsigned i;
    Slice *s;
    int r = count ? find_or_make(q, cluster, &s, &i) : find(q, cluster, &s, &i);

    if (!r && s) {
        refcount_put(q, s->data, i, count);
        cache_dirty(&q->rc, s);
    }
    return r;
}

static int CO_FN add_one(Qcow2 *q, uint64_t cluster, int delta)
{
    unsigned i;
    uint64_t v;
    Slice *s;
    int r = find_or_make(q, cluster, &s, &i);

    if (r) {
        return r;
    }
    v = read_count(q, s->data, i);
    if (delta < 0 && !v) {
        return qcow2_corrupt(q, "Refcount underflow at cluster offset %#" PRIx64, cluster << q->cluster_bits);
    }
    if (delta > 0 && v == max_count(q)) {
        return -ERANGE;
    }
    refcount_put(q, s->data, i, v + delta);
    cache_dirty(&q->rc, s);
    if (v + delta == 0) {
        q->free_hint = min_of(q->free_hint, cluster);
        if (q->free_byte >> q->cluster_bits == cluster) {
            q->free_byte = 0; /* whoever gets the cluster next has it for itself */
        }
    }
    return 0;
}

int CO_FN refcount_add(Qcow2 *q, uint64_t offset, uint64_t len, int delta)
{
    uint64_t first = offset >> q->cluster_bits, last = (offset + len - 1) >> q->cluster_bits;
    int r = 0;

    for (uint64_t c = first; !r && len && c <= last; c++) {
        r = add_one(q, c, delta);
        if (r && r != -EIO) {
            while (c-- > first) {
                add_one(q, c, -delta);
            }
            break;
        }
    }
    return r;
}

/* ---- Allocation ---- */

/* Length of the run of free clusters at `at`, at most max; blocks are made on the way. */
static int CO_FN free_run(Qcow2 *q, uint64_t at, uint64_t max, uint64_t *run)
{
    int r = 0;

    for (*run = 0; *run < max;) {
        unsigned i, end;
        Slice *s;

        r = find_or_make(q, at + *run, &s, &i);
        if (r) {
            break;
        }
        for (end = min_of((uint64_t)slice_counts(q), i + (max - *run)); i < end; i++) {
            if (read_count(q, s->data, i)) {
                return 0;
            }
            ++*run;
        }
    }
    return r;
}

/* The first cluster from `at` on that has no count. */
static int CO_FN first_free(Qcow2 *q, uint64_t at, uint64_t *found)
{
    for (;;) {
        unsigned i;
        Slice *s;
        int r = find_or_make(q, at, &s, &i);

        if (r) {
            return r;
        }
        for (; i < slice_counts(q); i++, at++) {
            if (!read_count(q, s->data, i)) {
                *found = at;
                return 0;
            }
        }
    }
}

static int CO_FN alloc_run(Qcow2 *q, uint64_t at_least, uint64_t at_most, uint64_t *clusters, uint64_t *offset)
{
    uint64_t at = q->free_hint, run = 0;
    bool is_first = true;
    int r = apply_frees(q);

    while (!r) {
        r = first_free(q, at, &at);
        if (!r && is_first) {
            q->free_hint = at;
            is_first = false;
        }
        if (!r) {
            r = free_run(q, at, at_most, &run);
        }
        if (r || run >= at_least) {
            break;
        }
        at += run;
    }
    if (r) {
        return r;
    }
    if (at + run > (E_OFFSET >> q->cluster_bits)) {
        return -EFBIG;
    }
    *offset = at << q->cluster_bits;
    if (hits_table(q, *offset, run << q->cluster_bits)) {
        return qcow2_corrupt(q, "Preventing invalid allocation of a table's cluster at offset %#" PRIx64, *offset);
    }
    r = refcount_add(q, *offset, run << q->cluster_bits, 1);
    if (!r) {
        cache_drop(&q->l2, *offset, run << q->cluster_bits);
        if (q->free_hint == at) {
            q->free_hint = at + run;
        }
        *clusters = run;
    }
    return r;
}

int CO_FN alloc_clusters(Qcow2 *q, uint64_t *clusters, uint64_t *offset)
{
    return alloc_run(q, 1, *clusters, clusters, offset);
}

int CO_FN alloc_table(Qcow2 *q, uint64_t bytes, uint64_t *offset)
{
    uint64_t num = div_round_up(bytes, q->cluster_size), got;

    return alloc_run(q, num, num, &got, offset);
}

int CO_FN alloc_compressed(Qcow2 *q, uint64_t bytes, uint64_t *offset)
{
    uint64_t left = round_up(q->free_byte, q->cluster_size) - q->free_byte, count = 0, one = 1, place;
    int r = left ? refcount_get(q, q->free_byte >> q->cluster_bits, &count) : 0;

    if (r) {
        return r;
    }
    if (left && (!count || count == max_count(q))) {
        left = 0; /* it has been freed, or can be shared no more */
    }
    if (left < bytes) {
        r = alloc_clusters(q, &one, &place);
        if (r) {
            return r;
        }
        if (!left || place != round_up(q->free_byte, q->cluster_size)) {
            q->free_byte = place;
            left = 0;
        }
    }
    *offset = q->free_byte;
    q->free_byte += bytes;
    /* The cluster just taken is counted; the one that was begun before gets one more. */
    if (left) {
        r = refcount_add(q, *offset, 1, 1);
    }
    if (is_aligned(q->free_byte, q->cluster_size)) {
        q->free_byte = 0;
    }
    return r;
}

/* ---- Freeing ---- */

void free_later(Qcow2 *q, uint64_t offset, uint64_t len, FreeReason reason)
{
    uint64_t first = offset >> q->cluster_bits, num = ((offset + len - 1) >> q->cluster_bits) - first + 1;
    Extent *last = q->freeing->len ? &g_array_index(q->freeing, Extent, q->freeing->len - 1) : NULL;

    if (last && last->offset + last->clusters == first && last->reason == reason) {
        last->clusters += num;
    } else {
        Extent e = {first, num, reason};

        g_array_append_val(q->freeing, e);
    }
}

void free_entry_later(Qcow2 *q, uint64_t entry, FreeReason reason)
{
    uint64_t offset, len;

    if (entry & E_COMPRESSED) {
        compressed_extent(q, entry, &offset, &len);
        free_later(q, offset, len, reason);
        q->unz_entry = 0;
    } else if (entry & E_OFFSET && !q->has_data_file) {
        free_later(q, entry & E_OFFSET, q->cluster_size, reason);
    }
}

int CO_FN give_back(Qcow2 *q, uint64_t offset, uint64_t len, FreeReason reason)
{
    uint64_t first = offset >> q->cluster_bits, last = (offset + len - 1) >> q->cluster_bits;
    int r = 0;

    for (uint64_t c = first; !r && len && c <= last && q->give_back[reason]; c++) {
        uint64_t count;

        r = refcount_get(q, c, &count);
        if (!r && !count) {
            node_discard(meta_node(q), c << q->cluster_bits, q->cluster_size);
        }
    }
    return r;
}

static int CO_FN free_extent(Qcow2 *q, const Extent *e)
{
    uint64_t offset = e->offset << q->cluster_bits, len = e->clusters << q->cluster_bits;
    int r = refcount_add(q, offset, len, -1);

    return r ? r : give_back(q, offset, len, e->reason);
}

int CO_FN bound_frees(Qcow2 *q)
{
    return q->freed->len + q->freeing->len > MAX_FREES ? qcow2_sync(q) : 0;
}

int CO_FN apply_frees(Qcow2 *q)
{
    BlockNode *file = meta_node(q);
    int r = 0;

    if (!q->freed->len || file->flushed_gen < q->freed_gen) {
        return 0;
    }
    for (unsigned i = 0; !r && i < q->freed->len; i++) {
        Extent e = g_array_index(q->freed, Extent, i);

        r = free_extent(q, &e);
    }
    g_array_set_size(q->freed, 0);
    return r;
}
