/*
 * qcow2: reading and writing guest data. Who changes the mapping of clusters holds their range; readers and writers in place share
 * theirs, so that no cluster is freed under them. The lock is held for the tables only.
 */
#include <errno.h>
#include <glib.h>

#include "block/qcow2.h"

enum { ALLOC_MAX = 8 << 20 }; /* bytes of new clusters in one go */

/* ---- Reading ---- */

static int CO_FN read_run(Qcow2 *q, const Run *run, uint64_t offset, IoSlice to)
{
    BlockNode *below = node_backing(q->n);

    switch (run->type) {
    case RUN_DATA:
        return node_read(data_node(q), run->host, run->len, to);
    case RUN_COMPRESSED:
        return qcow2_read_compressed(q, run->entry, offset & (q->cluster_size - 1), run->len, to);
    case RUN_UNALLOCATED:
        if (below) {
            return node_read(below, offset, run->len, to);
        }
        break;
    case RUN_ZERO:
        break;
    }
    io_fill(to, 0, run->len);
    return 0;
}

int CO_FN qcow2_read_mapped(Qcow2 *q, uint64_t offset, uint64_t len, IoSlice to)
{
    int r = 0;

    for (uint64_t done = 0; !r && done < len;) {
        Run run;

        co_mutex_lock(&q->lock);
        r = map_run(q, offset + done, len - done, &run);
        co_mutex_unlock(&q->lock);
        if (!r) {
            r = read_run(q, &run, offset + done, io_at(to, done));
            done += run.len;
        }
    }
    return r;
}

int CO_FN qcow2_read(BlockNode *n, uint64_t offset, uint64_t len, IoSlice to)
{
    Qcow2 *q = qcow2_of(n);
    IoRange range;
    int r;

    io_range_lock(&q->ranges, &range, offset, offset + len, true);
    r = qcow2_read_mapped(q, offset, len, to);
    io_range_unlock(&q->ranges, &range);
    return r;
}

/* ---- Writing where it is ---- */

/* Writes what of the beginning may be written in place; *done bytes. */
static int CO_FN write_in_place(Qcow2 *q, uint64_t offset, uint64_t len, IoSlice from, uint64_t *done)
{
    Run run;
    int r;

    co_mutex_lock(&q->lock);
    r = map_run(q, offset, len, &run);
    co_mutex_unlock(&q->lock);
    *done = 0;
    if (r || run.type != RUN_DATA || !run.in_place) {
        return r;
    }
    *done = run.len;
    return node_write(data_node(q), run.host, run.len, from, 0);
}

/* ---- Writing to new places ---- */

/* New clusters for [start, start + len), whole ones: what is written there, and what must be copied. */
typedef struct {
    uint64_t start, len;   /* guest, whole clusters */
    uint64_t host;
    bool fresh;            /* new; else the clusters' own, of which not all is in use */
    bool beyond;           /* behind the end of the file: reads as zeros */
    uint64_t copy_from, copy_to; /* guest bytes that are written: the caller's and what lies around */
} Plan;

/* Entries as they must be for the clusters to be written in place although not all their data is there. */
static bool is_reusable(const Qcow2 *q, uint64_t e)
{
    return !(e & E_COMPRESSED) && entry_has_host(q, e) && e & E_COPIED;
}

/* How many clusters from index i on of the slice are alike, for at most len bytes. */
static unsigned alike(const Qcow2 *q, const Slice *s, unsigned i, uint64_t num)
{
    uint64_t first = l2_get(q, s, i);
    bool reuse = is_reusable(q, first);
    unsigned n = 1;

    for (; n < num && i + n < slice_entries(q); n++) {
        uint64_t e = l2_get(q, s, i + n);

        if (is_reusable(q, e) != reuse || (reuse && (e & E_OFFSET) != (first & E_OFFSET) + ((uint64_t)n << q->cluster_bits))) {
            break;
        }
        if (q->subclusters == 1 && reuse && !(e & E_ZERO)) {
            break; /* data: in place, the next time round */
        }
    }
    return n;
}

/* What is copied around [offset, end): to whole subclusters, or clusters where the old ones cannot stay. */
static void plan_copy(Qcow2 *q, Plan *p, uint64_t offset, uint64_t end, bool whole)
{
    uint64_t unit = whole ? q->cluster_size : q->cluster_size / q->subclusters;

    p->copy_from = round_down(offset, unit);
    p->copy_to = round_up(end, unit);
}

/* With the lock. Does the cluster at index i hold data that its new place must have? */
static bool has_old_data(const Qcow2 *q, const Slice *s, unsigned i)
{
    uint64_t e = l2_get(q, s, i);

    return e & E_COMPRESSED || (entry_has_host(q, e) && (q->subclusters == 1 || (uint32_t)l2_bitmap(q, s, i)));
}

static int CO_FN make_plan(Qcow2 *q, uint64_t offset, uint64_t len, Plan *p)
{
    uint64_t want, end, file_end;
    unsigned i;
    Slice *s;
    bool whole;
    int r = l2_for_write(q, offset, &s, &i);

    if (r) {
        return r;
    }
    p->start = cluster_of(q, offset);
    want = div_round_up(min_of(offset + len, p->start + ALLOC_MAX) - p->start, q->cluster_size);
    want = alike(q, s, i, max_of(want, (uint64_t)1));
    p->fresh = !is_reusable(q, l2_get(q, s, i));
    p->host = l2_get(q, s, i) & E_OFFSET;
    if (p->fresh && q->has_data_file) {
        p->host = p->start;
    } else if (p->fresh) {
        r = alloc_clusters(q, &want, &p->host);
    }
    if (r) {
        return r;
    }
    r = l2_for_write(q, offset, &s, &i); /* allocating may have pushed the slice out */
    if (r) {
        return r;
    }
    whole = p->fresh && (has_old_data(q, s, i) || has_old_data(q, s, i + want - 1));
    file_end = data_node(q)->length;
    p->beyond = p->fresh && p->host >= file_end && !q->has_data_file;
    p->len = want << q->cluster_bits;
    end = min_of(offset + len, p->start + p->len);
    plan_copy(q, p, offset, end, whole);
    return 0;
}

/* With the lock, after the data is written. */
static int CO_FN link_plan(Qcow2 *q, const Plan *p)
{
    uint64_t sub_size = q->cluster_size / q->subclusters;
    int r = 0;

    for (uint64_t at = 0; !r && at < p->len; at += q->cluster_size) {
        uint64_t guest = p->start + at, old, map = 0;
        unsigned i;
        Slice *s;

        r = l2_for_write(q, guest, &s, &i);
        if (r) {
            break;
        }
        old = l2_get(q, s, i);
        if (q->subclusters > 1) {
            uint64_t from = max_of(p->copy_from, guest) - guest, to = min_of(p->copy_to, guest + q->cluster_size) - guest;
            uint64_t mask = bits_mask(to / sub_size) & ~bits_mask(from / sub_size);

            map = old & E_COMPRESSED ? 0 : l2_bitmap(q, s, i);
            map = (map | mask) & ~(mask << 32);
        }
        l2_set(q, s, i, (p->host + at) | E_COPIED, map);
        if (p->fresh) {
            free_entry_later(q, old, FREE_OTHER);
        }
    }
    return r ? r : bound_frees(q);
}

/* The caller's data with what lies around it, into new places that nobody sees yet. */
static int CO_FN write_plan(Qcow2 *q, const Plan *p, uint64_t offset, uint64_t len, IoSlice from)
{
    uint64_t end = offset + len, total = p->copy_to - p->copy_from;
    g_autofree uint8_t *buf = NULL;
    int r = 0;

    if (p->copy_from == offset && p->copy_to == end) {
        return node_write(data_node(q), p->host + (offset - p->start), len, from, 0);
    }
    buf = g_try_malloc(total);
    if (!buf) {
        return -ENOMEM;
    }
    io_read(from, buf + (offset - p->copy_from), len);
    if (p->copy_from < offset) {
        r = qcow2_read_mapped(q, p->copy_from, offset - p->copy_from, IO_OF(buf, offset - p->copy_from));
    }
    if (!r && end < p->copy_to) {
        r = qcow2_read_mapped(q, end, p->copy_to - end, IO_OF(buf + (end - p->copy_from), p->copy_to - end));
    }
    if (!r && p->beyond) { /* what is zero there need not be written */
        uint64_t skip = offset - p->copy_from, tail = p->copy_to - end;

        skip = buf_is_zero(buf, skip) ? skip : 0;
        tail = buf_is_zero(buf + total - tail, tail) ? tail : 0;
        return node_write(data_node(q), p->host + (p->copy_from - p->start) + skip, total - skip - tail,
                          IO_OF(buf + skip, total - skip - tail), 0);
    }
    return r ? r : node_write(data_node(q), p->host + (p->copy_from - p->start), total, IO_OF(buf, total), 0);
}

/* Writes some of the beginning to new clusters; *done bytes. The range is ours alone. */
static int CO_FN write_elsewhere(Qcow2 *q, uint64_t offset, uint64_t len, IoSlice from, uint64_t *done)
{
    Plan p = {0};
    int r;

    co_mutex_lock(&q->lock);
    r = make_plan(q, offset, len, &p);
    co_mutex_unlock(&q->lock);
    if (r) {
        return r;
    }
    *done = min_of(len, p.start + p.len - offset);
    r = write_plan(q, &p, offset, *done, from);
    co_mutex_lock(&q->lock);
    if (!r) {
        r = link_plan(q, &p);
    } else if (p.fresh && !q->has_data_file) {
        refcount_add(q, p.host, p.len, -1); /* nobody has seen them */
    }
    co_mutex_unlock(&q->lock);
    return r;
}

int CO_FN qcow2_write(BlockNode *n, uint64_t offset, uint64_t len, IoSlice from, IoFlags flags)
{
    Qcow2 *q = qcow2_of(n);
    uint64_t done = 0;
    IoRange range;
    int r = 0;

    if (offset + len > n->length && !(flags & IO_UNCHANGED)) {
        return -EIO;
    }
    r = flags & IO_UNCHANGED ? 0 : qcow2_bitmaps_touch(q, offset, len);
    if (r) {
        return r;
    }
    if (flags & IO_COMPRESSED) {
        return qcow2_write_compressed(q, offset, len, from);
    }
    while (!r && len > 0) {
        io_range_lock(&q->ranges, &range, offset, offset + len, true);
        r = write_in_place(q, offset, len, from, &done);
        io_range_unlock(&q->ranges, &range);
        if (!r && !done) {
            io_range_lock(&q->ranges, &range, cluster_of(q, offset), round_up(offset + len, q->cluster_size), false);
            r = write_in_place(q, offset, len, from, &done); /* somebody else may have been faster */
            if (!r && !done) {
                r = write_elsewhere(q, offset, len, from, &done);
            }
            io_range_unlock(&q->ranges, &range);
        }
        offset += done;
        len -= done;
        from = io_at(from, done);
    }
    return r;
}

/* ---- Zeros ---- */

/* What the entry becomes when the cluster, or subclusters [from, to) of it, read as zeros. With the lock. */
static void zero_entry(Qcow2 *q, Slice *s, unsigned i, unsigned from, unsigned to, bool unmap)
{
    uint64_t e = l2_get(q, s, i), map;
    bool whole = to - from == q->subclusters;
    bool keep = is_reusable(q, e) && (!unmap || !whole || q->discard_no_unref);

    if (q->subclusters > 1) {
        uint64_t mask = bits_mask(to) & ~bits_mask(from);

        map = whole ? 0xffffffffull << 32 : (l2_bitmap(q, s, i) | mask << 32) & ~mask;
        if (whole && !keep) {
            l2_set(q, s, i, 0, map);
            free_entry_later(q, e, FREE_REQUEST);
        } else {
            l2_set(q, s, i, e, map);
        }
        return;
    }
    l2_set(q, s, i, keep ? e | E_ZERO : q->version < 3 ? 0 : E_ZERO, 0);
    if (!keep) {
        free_entry_later(q, e, FREE_REQUEST);
    }
}

/* One cluster, or a part of it in whole subclusters. */
static int CO_FN zero_cluster(Qcow2 *q, uint64_t offset, uint64_t len, bool unmap)
{
    uint64_t sub_size = q->cluster_size / q->subclusters, entry;
    unsigned i, from = (offset & (q->cluster_size - 1)) / sub_size;
    bool whole = len >= q->cluster_size - (sub_size - 1);
    Slice *s;
    int r = l2_for_write(q, offset, &s, &i);

    if (r) {
        return r;
    }
    if (!whole && l2_get(q, s, i) & E_COMPRESSED) {
        return -ENOTSUP;
    }
    entry = l2_get(q, s, i);
    zero_entry(q, s, i, from, whole ? q->subclusters : from + len / sub_size, unmap);
    if (unmap && whole && q->discard_no_unref && is_reusable(q, entry) && q->give_back[FREE_REQUEST]) {
        node_discard(data_node(q), entry & E_OFFSET, q->cluster_size); /* its place stays, the host's space goes */
    }
    return bound_frees(q);
}

static int CO_FN zero_table(Qcow2 *q, uint64_t offset, uint64_t end, bool unmap)
{
    IoRange range;
    int r = 0;

    io_range_lock(&q->ranges, &range, cluster_of(q, offset), round_up(end, q->cluster_size), false);
    co_mutex_lock(&q->lock);
    while (!r && offset < end) {
        uint64_t now = min_of(end, cluster_of(q, offset) + q->cluster_size) - offset;

        r = zero_cluster(q, offset, now, unmap);
        offset += now;
    }
    co_mutex_unlock(&q->lock);
    io_range_unlock(&q->ranges, &range);
    return r;
}

/* Nothing is there to be taken away, and nothing shows. */
static bool is_empty_table(const Qcow2 *q, uint64_t offset)
{
    uint64_t i = offset >> (q->l2_bits + q->cluster_bits);

    return !node_backing(q->n) && (i >= q->l1_size || !(q->l1[i] & E_OFFSET));
}

/* A table at a time, so that others get their turn. */
static int CO_FN zero_range(Qcow2 *q, uint64_t offset, uint64_t end, bool unmap)
{
    uint64_t covers = q->cluster_size << q->l2_bits;
    int r = 0;

    while (!r && offset < end) {
        uint64_t part_end = min_of(end, round_down(offset, covers) + covers);

        r = is_empty_table(q, offset) ? 0 : zero_table(q, offset, part_end, unmap);
        offset = part_end;
    }
    return r;
}

/* True iff all of it reads as zeros already, and stays so when what lies below changes. */
static int CO_FN is_zero_already(Qcow2 *q, uint64_t offset, uint64_t len, bool *zero)
{
    int r = 0;

    *zero = true;
    while (!r && *zero && len > 0) {
        Run run;

        co_mutex_lock(&q->lock);
        r = map_run(q, offset, len, &run);
        co_mutex_unlock(&q->lock);
        *zero = !r && (run.type == RUN_ZERO || (run.type == RUN_UNALLOCATED && !node_backing(q->n)));
        offset += run.len;
        len -= min_of(len, run.len);
    }
    return r;
}

/* A part of a (sub)cluster. */
static int CO_FN zero_bytes(Qcow2 *q, uint64_t offset, uint64_t len)
{
    g_autofree uint8_t *buf = NULL;
    bool zero;
    int r = is_zero_already(q, offset, len, &zero);

    if (r || zero) {
        return r;
    }
    buf = g_malloc0(len);
    return qcow2_write(q->n, offset, len, IO_OF(buf, len), 0);
}

int CO_FN qcow2_write_zeroes(BlockNode *n, uint64_t offset, uint64_t len, IoFlags flags)
{
    Qcow2 *q = qcow2_of(n);
    uint64_t unit = q->cluster_size / q->subclusters, end = offset + len;
    uint64_t from = round_up(offset, unit), to = end == n->length ? round_up(end, unit) : round_down(end, unit);
    int r = 0;

    if (end > n->length) {
        return -EIO;
    }
    if (q->version < 3 && node_backing(n)) {
        return -ENOTSUP;
    }
    if (from >= to) {
        return zero_bytes(q, offset, len);
    }
    r = qcow2_bitmaps_touch(q, offset, len);
    if (!r && offset < from) {
        r = zero_bytes(q, offset, from - offset);
    }
    if (!r && end > to) {
        r = zero_bytes(q, to, end - to);
    }
    return r ? r : zero_range(q, from, to, flags & IO_UNMAP || q->version < 3);
}

int CO_FN qcow2_discard(BlockNode *n, uint64_t offset, uint64_t len)
{
    Qcow2 *q = qcow2_of(n);
    uint64_t end = offset + len, to = end == n->length ? round_up(end, q->cluster_size) : cluster_of(q, end);
    int r = 0;

    offset = round_up(offset, q->cluster_size);
    if (q->version < 3 && node_backing(n)) {
        return -ENOTSUP; /* what lies below would show */
    }
    if (offset < to) {
        r = qcow2_bitmaps_touch(q, offset, min_of(to, n->length) - offset);
        r = r ? r : zero_range(q, offset, to, true);
    }
    return r;
}

/* ---- Status ---- */

int CO_FN qcow2_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out)
{
    Qcow2 *q = qcow2_of(n);
    Run run;
    int r;

    co_mutex_lock(&q->lock);
    r = map_run(q, offset, len, &run);
    co_mutex_unlock(&q->lock);
    if (r) {
        return r;
    }
    *out = (BlockStatus){.len = run.len};
    out->flags = run.type == RUN_ZERO         ? ST_ZERO | ST_ALLOCATED
                 : run.type == RUN_DATA       ? ST_DATA | ST_ALLOCATED
                 : run.type == RUN_COMPRESSED ? ST_DATA | ST_ALLOCATED | ST_COMPRESSED
                                              : 0;
    if (run.has_place) {
        out->flags |= ST_OFFSET | (run.type == RUN_DATA ? ST_RECURSE : 0); /* what was never written is a hole there */
        out->map = run.host;
        out->file = data_node(q);
    }
    return 0;
}
