/* qcow2: counting all references anew, comparing, repairing. Lines that are told are QEMU 10.0's. */
#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <string.h>

#include "block/qcow2.h"

enum { CHUNK = 4096, MAX_CHUNKS = 1 << 17 }; /* counts in a chunk; chunks: 2 GiB of memory at most */

typedef struct {
    Qcow2 *q;
    BlockCheck *c;
    unsigned fix;
    GHashTable *chunks; /* cluster / CHUNK -> uint32_t[CHUNK]: references found */
    uint64_t end;       /* clusters of the file */
    uint64_t next;      /* host offset that would not be fragmented */
    bool rewrite;       /* counts must be set */
} Check;

static void tell(Check *k, const char *fmt, ...) ERROR_PRINTF(2, 3);
static void tell(Check *k, const char *fmt, ...)
{
    g_autofree char *line = NULL;
    va_list ap;

    if (!k->c->tell) {
        return;
    }
    va_start(ap, fmt);
    line = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    k->c->tell(k->c->opaque, line);
}

/* ---- References ---- */

static uint32_t *found(Check *k, uint64_t cluster, bool make)
{
    uint32_t *chunk = g_hash_table_lookup(k->chunks, GSIZE_TO_POINTER(cluster / CHUNK));

    if (!chunk && make && g_hash_table_size(k->chunks) < MAX_CHUNKS) {
        chunk = g_new0(uint32_t, CHUNK);
        g_hash_table_insert(k->chunks, GSIZE_TO_POINTER(cluster / CHUNK), chunk);
    }
    return chunk ? &chunk[cluster % CHUNK] : NULL;
}

/* One more reference to each cluster of it. */
static void refer(Check *k, uint64_t offset, uint64_t len)
{
    uint64_t first = offset >> k->q->cluster_bits, last = (offset + len - 1) >> k->q->cluster_bits;

    for (uint64_t c = first; len && c <= last; c++) {
        uint32_t *n = c < k->end ? found(k, c, true) : NULL;

        if (n) {
            ++*n;
        } else {
            tell(k, "ERROR: counting reference for region exceeding the end of the file by one cluster or more: offset %#" PRIx64
                    " size %#" PRIx64, offset, len);
            k->c->corruptions++;
            return;
        }
    }
}

static int CO_FN check_copied(Check *k, uint64_t e, const char *what, uint64_t at, Slice *s, unsigned i)
{
    uint64_t count;
    int r = refcount_get(k->q, (e & E_OFFSET) >> k->q->cluster_bits, &count);

    if (r || (count == 1) == !!(e & E_COPIED)) {
        return r;
    }
    if (s) {
        tell(k, "%s OFLAG_COPIED %s: l2_entry=%" PRIx64 " refcount=%" PRIu64, k->fix & CHECK_FIX_ERRORS ? "Repairing" : "ERROR",
             what, e, count);
    } else {
        tell(k, "%s OFLAG_COPIED %s: l1_index=%" PRIu64 " l1_entry=%" PRIx64 " refcount=%" PRIu64,
             k->fix & CHECK_FIX_ERRORS ? "Repairing" : "ERROR", what, at, e, count);
    }
    if (!(k->fix & CHECK_FIX_ERRORS)) {
        k->c->corruptions++;
        return 0;
    }
    k->c->corruptions_fixed++;
    e = count == 1 ? e | E_COPIED : e & ~E_COPIED;
    if (s) {
        st64_be(s->data + (size_t)i * l2_entry_size(k->q), e);
        cache_dirty(&k->q->l2, s);
    } else {
        k->q->l1[at] = e;
        qcow2_l1_changed(k->q, at);
    }
    return 0;
}

static void count_data(Check *k, uint64_t offset)
{
    k->c->allocated_clusters++;
    if (k->next && k->next != offset) {
        k->c->fragmented_clusters++;
    }
    k->next = offset + k->q->cluster_size;
}

static int CO_FN check_entry(Check *k, Slice *s, unsigned i, bool active, bool flags)
{
    uint64_t e = l2_get(k->q, s, i), offset, len;
    Qcow2 *q = k->q;

    if (flags) {
        return e & E_COMPRESSED || !(e & E_OFFSET) || q->has_data_file || (e & E_OFFSET) & (q->cluster_size - 1)
                   ? 0 : check_copied(k, e, "data cluster", 0, s, i);
    }
    if (e & E_COMPRESSED) {
        if (e & E_COPIED) {
            tell(k, "ERROR: coffset=%#" PRIx64 ": copied flag must never be set for compressed clusters", e & ~E_COPIED);
            k->c->corruptions++;
        }
        compressed_extent(q, e, &offset, &len);
        refer(k, offset, len);
        if (active) {
            k->c->allocated_clusters++;
            k->c->compressed_clusters++;
            k->c->fragmented_clusters++;
        }
        return 0;
    }
    offset = e & E_OFFSET;
    if (!offset && !(q->has_data_file && e & E_COPIED)) {
        return 0;
    }
    if (offset & (q->cluster_size - 1)) {
        tell(k, "ERROR offset=%" PRIx64 ": Cluster is not properly aligned; L2 entry corrupted.", offset);
        if (k->fix & CHECK_FIX_ERRORS) { /* what it held is lost; zeros are better than an image that cannot be opened */
            l2_set(q, s, i, q->version >= 3 && q->subclusters == 1 ? E_ZERO : 0, 0);
            k->c->corruptions_fixed++;
        } else {
            k->c->corruptions++;
        }
        return 0;
    }
    if (active && (q->subclusters > 1 || !(e & E_ZERO))) {
        count_data(k, offset);
    }
    if (!q->has_data_file) {
        refer(k, offset, q->cluster_size);
    }
    return 0;
}

static int CO_FN check_tree(Check *k, uint64_t *l1, uint32_t size, bool active, bool flags)
{
    Qcow2 *q = k->q;
    unsigned per = slice_entries(q), num = 1u << q->l2_bits;
    int r = 0;

    for (uint32_t i = 0; !r && i < size; i++) {
        uint64_t table = l1[i] & E_OFFSET;

        if (!table) {
            continue;
        }
        if (table & (q->cluster_size - 1) || table >> q->cluster_bits >= k->end) {
            if (!flags) {
                tell(k, "ERROR l2_offset=%" PRIx64 ": Table is not cluster aligned or beyond the file; L1 entry corrupted", table);
                k->c->corruptions++;
            }
            continue;
        }
        if (flags) {
            r = check_copied(k, l1[i], "L2 cluster", i, NULL, 0);
        } else {
            refer(k, table, q->cluster_size);
        }
        k->next = 0;
        for (unsigned e = 0; !r && e < num; e++) {
            Slice *s;

            r = cache_get(q, &q->l2, table + (uint64_t)(e / per) * q->l2.slice_size, &s);
            r = r ? r : check_entry(k, s, e % per, active, flags);
        }
    }
    return r;
}

static int CO_FN check_snapshots(Check *k)
{
    Qcow2 *q = k->q;
    int r = 0;

    for (unsigned i = 0; !r && i < q->num_snapshots; i++) {
        const Snapshot *s = &q->snapshots[i];
        g_autofree uint64_t *l1 = g_new0(uint64_t, s->l1_size + 1);

        if (s->l1_offset & (q->cluster_size - 1)) {
            tell(k, "ERROR snapshot %s (%s) l1_offset=%#" PRIx64 ": L1 table is not cluster aligned; snapshot table entry corrupted",
                 s->info.id, s->info.name, s->l1_offset);
            k->c->corruptions++;
            continue;
        }
        refer(k, s->l1_offset, (uint64_t)s->l1_size * 8);
        r = node_pread(meta_node(q), s->l1_offset, l1, (size_t)s->l1_size * 8);
        for (uint32_t j = 0; j < s->l1_size; j++) {
            l1[j] = bswap64(l1[j]);
        }
        r = r ? r : check_tree(k, l1, s->l1_size, false, false);
    }
    return r;
}

/* Persistent bitmaps: spec, "Bitmaps extension", "Bitmap directory", "Bitmap table". */
static int CO_FN check_bitmaps(Check *k)
{
    Qcow2 *q = k->q;
    const Extension *e = NULL;
    uint64_t dir, dir_len;
    g_autofree uint8_t *buf = NULL;
    int r;

    for (unsigned i = 0; i < q->extensions->len; i++) {
        Extension *x = &g_array_index(q->extensions, Extension, i);

        e = x->type == EXT_BITMAPS && x->len >= 24 ? x : e;
    }
    if (!e || !(q->autoclear & AUTOCLEAR_BITMAPS)) {
        return 0;
    }
    dir_len = ld64_be(e->data + 8);
    dir = ld64_be(e->data + 16);
    if (dir_len > 65535 * 1152 || dir & (q->cluster_size - 1)) {
        tell(k, "ERROR: the bitmap directory at %#" PRIx64 " with %" PRIu64 " bytes is invalid", dir, dir_len);
        k->c->corruptions++;
        return 0;
    }
    refer(k, dir, dir_len);
    buf = g_malloc(dir_len + 24);
    r = node_pread(meta_node(q), dir, buf, dir_len);
    for (uint64_t at = 0; !r && at + 24 <= dir_len;) {
        uint64_t table = ld64_be(buf + at), extra = ld32_be(buf + at + 20);
        uint32_t num = ld32_be(buf + at + 8), name = ld16_be(buf + at + 18);
        g_autofree uint64_t *t = NULL;

        at = round_up(at + 24 + extra + name, 8);
        if (table & (q->cluster_size - 1) || num > 0x8000000 / 8) {
            k->c->corruptions++;
            continue;
        }
        refer(k, table, (uint64_t)num * 8);
        t = g_new0(uint64_t, num + 1);
        r = node_pread(meta_node(q), table, t, (size_t)num * 8);
        for (uint32_t i = 0; !r && i < num; i++) {
            if (bswap64(t[i]) & E_OFFSET) {
                refer(k, bswap64(t[i]) & E_OFFSET, q->cluster_size);
            }
        }
    }
    return r;
}

/* A block that is something else too cannot be trusted: what is written to the one damages the other. */
static void check_blocks(Check *k)
{
    Qcow2 *q = k->q;

    for (uint32_t i = 0; i < q->rt_entries; i++) {
        uint32_t *n = q->rt[i] ? found(k, q->rt[i] >> q->cluster_bits, false) : NULL;

        if (!n || *n == 1 || q->rt[i] & (q->cluster_size - 1)) {
            continue;
        }
        tell(k, "%s refcount block %u refcount=%u", k->fix & CHECK_FIX_ERRORS ? "Repairing" : "ERROR", i, *n);
        if (k->fix & CHECK_FIX_ERRORS) {
            k->rewrite = true;
            k->c->corruptions_fixed++;
        } else {
            k->c->corruptions++;
        }
    }
}

static int CO_FN count_references(Check *k)
{
    Qcow2 *q = k->q;
    int r;

    refer(k, 0, q->cluster_size);
    r = check_tree(k, q->l1, q->l1_size, true, false);
    refer(k, q->l1_offset, (uint64_t)q->l1_size * 8);
    r = r ? r : check_snapshots(k);
    refer(k, q->snapshots_offset, q->snapshots_bytes);
    r = r ? r : check_bitmaps(k);
    refer(k, q->rt_offset, (uint64_t)q->rt_clusters << q->cluster_bits);
    for (unsigned i = 0; i < q->extensions->len; i++) {
        const Extension *e = &g_array_index(q->extensions, Extension, i);

        if (e->type == EXT_LUKS && e->len >= 16) {
            refer(k, ld64_be(e->data), ld64_be(e->data + 8));
        }
    }
    for (uint32_t i = 0; i < q->rt_entries; i++) {
        if (q->rt[i] & (q->cluster_size - 1) || q->rt[i] >> q->cluster_bits >= k->end) {
            tell(k, "ERROR refcount block %u is %s", i, q->rt[i] & (q->cluster_size - 1) ? "not cluster aligned; refcount table entry corrupted"
                                                                                      : "outside image");
            if (k->fix & CHECK_FIX_ERRORS) {
                q->rt[i] = 0;
                k->rewrite = true;
                k->c->corruptions_fixed++;
            } else {
                k->c->corruptions++;
            }
        } else if (q->rt[i]) {
            refer(k, q->rt[i], q->cluster_size);
        }
    }
    check_blocks(k);
    return r;
}

/* ---- Comparing ---- */

static int CO_FN compare_one(Check *k, uint64_t cluster)
{
    uint32_t *found_count = found(k, cluster, false);
    uint64_t want = found_count ? *found_count : 0, count, block = cluster >> k->q->block_bits;
    bool leak, fix;
    int r = refcount_get(k->q, cluster, &count);

    if (r) {
        k->c->check_errors++;
        return 0;
    }
    if (want) {
        k->c->image_end = max_of(k->c->image_end, (cluster + 1) << k->q->cluster_bits);
    }
    if (count == want) {
        return 0;
    }
    leak = count > want;
    fix = k->fix & (leak ? CHECK_FIX_LEAKS | CHECK_FIX_ERRORS : CHECK_FIX_ERRORS);
    tell(k, "%s cluster %" PRIu64 " refcount=%" PRIu64 " reference=%" PRIu64, fix ? "Repairing" : leak ? "Leaked" : "ERROR", cluster,
         count, want);
    if (fix) {
        bool has_block = block < k->q->rt_entries && k->q->rt[block];

        k->rewrite |= !has_block;
        r = k->rewrite ? 0 : refcount_set(k->q, cluster, want);
        *(leak ? &k->c->leaks_fixed : &k->c->corruptions_fixed) += 1;
        return r;
    }
    *(leak ? &k->c->leaks : &k->c->corruptions) += 1;
    return 0;
}

static int CO_FN compare(Check *k)
{
    Qcow2 *q = k->q;
    uint64_t per = 1ull << q->block_bits, end = k->end;
    int r = 0;

    for (uint64_t c = 0; !r && c < end;) {
        uint64_t block = c >> q->block_bits;
        bool counted = block < q->rt_entries && q->rt[block];

        if (!counted && !g_hash_table_lookup(k->chunks, GSIZE_TO_POINTER(c / CHUNK))) { /* nothing either way */
            uint64_t chunk_end = round_down(c, CHUNK) + CHUNK, block_end = round_down(c, per) + per;

            c = min_of(chunk_end, block_end);
            continue;
        }
        r = compare_one(k, c++);
    }
    q->free_hint = 0;
    return r;
}

/* ---- Rebuilding ---- */

/*
 * New blocks and a new table behind the end of the file, where nothing is that may be needed; the header switches to them. The old
 * ones are free then.
 */
typedef struct {
    bool *needed;             /* which blocks */
    uint64_t max, num;        /* blocks: of needed; true in it */
    uint64_t rt_clusters;
    uint64_t *rt;
} Rebuild;

static void forget_old_counts(Check *k)
{
    Qcow2 *q = k->q;

    for (uint64_t i = 0; i < (uint64_t)q->rt_entries + q->rt_clusters; i++) {
        uint64_t at = i < q->rt_entries ? q->rt[i] : q->rt_offset + ((i - q->rt_entries) << q->cluster_bits);
        uint32_t *n = at && is_aligned(at, q->cluster_size) ? found(k, at >> q->cluster_bits, false) : NULL;

        *(n && *n ? n : &(uint32_t){1}) -= 1;
    }
}

static bool need_block(Check *k, Rebuild *b, uint64_t cluster)
{
    uint64_t block = cluster >> k->q->block_bits;

    if (block >= b->max) {
        return false;
    }
    b->num += !b->needed[block];
    b->needed[block] = true;
    return true;
}

/* Which blocks there must be, their own places counted. */
static bool plan_blocks(Check *k, Rebuild *b)
{
    Qcow2 *q = k->q;
    uint64_t before = 0;
    GHashTableIter it;
    void *key, *chunk;
    bool ok = true;

    g_hash_table_iter_init(&it, k->chunks);
    while (g_hash_table_iter_next(&it, &key, &chunk)) {
        for (uint64_t i = 0; ok && i < CHUNK; i++) {
            ok = !((uint32_t *)chunk)[i] || need_block(k, b, GPOINTER_TO_SIZE(key) * CHUNK + i);
        }
    }
    while (ok && before < b->num + b->rt_clusters) {
        before = b->num + b->rt_clusters;
        for (uint64_t i = 0; ok && i < before; i++) {
            ok = need_block(k, b, k->end + i);
        }
        for (uint64_t i = b->max; i > 0; i--) {
            if (b->needed[i - 1]) {
                b->rt_clusters = div_round_up(i * 8, q->cluster_size);
                break;
            }
        }
    }
    return ok && b->rt_clusters << q->cluster_bits <= MAX_RT_BYTES;
}

static int CO_FN write_rebuilt(Check *k, Rebuild *b)
{
    Qcow2 *q = k->q;
    uint64_t at = k->end + b->rt_clusters, per = 1ull << q->block_bits, total = b->num + b->rt_clusters;
    g_autofree uint8_t *buf = g_malloc(q->cluster_size);
    int r = 0;

    b->rt = g_new0(uint64_t, (b->rt_clusters << q->cluster_bits) / 8 + 1);
    for (uint64_t i = 0; !r && i < b->max; i++) {
        if (!b->needed[i]) {
            continue;
        }
        memset(buf, 0, q->cluster_size);
        for (uint64_t c = 0; !r && c < per; c++) {
            uint64_t cluster = i * per + c;
            uint32_t *n = found(k, cluster, false);
            uint64_t want = cluster >= k->end ? cluster < k->end + total : n ? *n : 0;

            r = want > bits_mask(1u << q->refcount_order) ? -ERANGE : 0;
            if (want) {
                refcount_put(q, buf, c, want);
            }
        }
        b->rt[i] = at << q->cluster_bits;
        r = r ? r : node_pwrite(meta_node(q), at++ << q->cluster_bits, buf, q->cluster_size);
    }
    return r;
}

static int CO_FN switch_counts(Check *k, Rebuild *b)
{
    Qcow2 *q = k->q;
    uint64_t num = (b->rt_clusters << q->cluster_bits) / 8;
    g_autofree uint64_t *table = g_new(uint64_t, num);
    int r;

    for (uint64_t i = 0; i < num; i++) {
        table[i] = bswap64(b->rt[i]);
    }
    r = node_pwrite(meta_node(q), k->end << q->cluster_bits, table, num * 8);
    r = r ? r : node_flush(meta_node(q));
    if (r) {
        return r;
    }
    cache_forget(&q->rc);
    g_free(q->rt);
    q->rt = g_steal_pointer(&b->rt);
    q->rt_offset = k->end << q->cluster_bits;
    q->rt_clusters = b->rt_clusters;
    q->rt_entries = num;
    r = qcow2_write_header(q);
    return r ? r : node_flush(meta_node(q));
}

static int CO_FN rebuild(Check *k)
{
    Qcow2 *q = k->q;
    Rebuild b = {.max = MAX_RT_BYTES / 8, .rt_clusters = 1};
    int r;

    tell(k, "Rebuilding refcount structure");
    b.needed = g_new0(bool, b.max);
    forget_old_counts(k);
    r = plan_blocks(k, &b) ? write_rebuilt(k, &b) : -EFBIG;
    r = r ? r : switch_counts(k, &b);
    g_free(b.needed);
    g_free(b.rt);
    q->free_hint = 0;
    k->c->image_end = max_of(k->c->image_end, r ? 0 : (k->end + b.num + b.rt_clusters) << q->cluster_bits);
    return r;
}

/* ---- All ---- */

static int CO_FN check_all(Check *k)
{
    Qcow2 *q = k->q;
    int r = qcow2_sync(q);

    k->end = div_round_up(meta_node(q)->length, q->cluster_size);
    k->c->total_clusters = div_round_up(q->n->length, q->cluster_size);
    k->c->has_clusters = true;
    r = r ? r : count_references(k);
    r = r ? r : compare(k);
    r = r || !k->rewrite ? r : rebuild(k);
    r = r ? r : check_tree(k, q->l1, q->l1_size, true, true);
    if (!r && k->fix) {
        r = qcow2_sync(q);
    }
    return r;
}

bool CO_FN qcow2_check(BlockNode *n, BlockCheck *c, unsigned fix, Error **errp)
{
    Qcow2 *q = qcow2_of(n);
    Check k = {.q = q, .c = c, .fix = fix};
    bool was_to_repair = q->to_repair;
    IoRange all;
    int r;

    k.chunks = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
    io_range_lock(&q->ranges, &all, 0, UINT64_MAX, false);
    co_mutex_lock(&q->lock);
    q->to_repair = true; /* damage is told here, not by who stumbles over it */
    r = check_all(&k);
    q->to_repair = was_to_repair;
    if (!r && fix && !c->corruptions && !c->check_errors && (fix & CHECK_FIX_ERRORS || !(q->incompatible & INCOMPAT_CORRUPT))) {
        q->incompatible &= ~(uint64_t)INCOMPAT_CORRUPT;
        if (q->version >= 3 && (c->corruptions_fixed || c->leaks_fixed || q->incompatible & INCOMPAT_DIRTY)) {
            q->incompatible &= ~(uint64_t)INCOMPAT_DIRTY;
            r = qcow2_write_header(q);
            r = r ? r : node_flush(meta_node(q));
        }
    }
    co_mutex_unlock(&q->lock);
    io_range_unlock(&q->ranges, &all);
    g_hash_table_destroy(k.chunks);
    return !r || error_set_errno(errp, -r, "Check failed");
}
