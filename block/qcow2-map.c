/* qcow2: from guest offsets to host clusters. spec, "Cluster mapping" and "Extended L2 Entries". */
#include <errno.h>
#include <glib.h>

#include "block/qcow2.h"

static uint64_t l2_table_bytes(const Qcow2 *q)
{
    return q->cluster_size; /* always one cluster; extended entries make it cover half */
}

static int CO_FN slice_of(Qcow2 *q, uint64_t table, uint64_t offset, Slice **s, unsigned *index)
{
    uint64_t entry = (offset >> q->cluster_bits) & bits_mask(q->l2_bits);

    *index = entry % slice_entries(q);
    return cache_get(q, &q->l2, table + entry / slice_entries(q) * q->l2.slice_size, s);
}

static int CO_FN check_l1(Qcow2 *q, uint64_t l1_index)
{
    uint64_t e = q->l1[l1_index];

    if (e & E_OFFSET & (q->cluster_size - 1)) {
        return qcow2_corrupt(q, "L2 table offset %#" PRIx64 " unaligned (L1 index: %#" PRIx64 ")", e & E_OFFSET, l1_index);
    }
    return 0;
}

int CO_FN l2_for_read(Qcow2 *q, uint64_t offset, Slice **s, unsigned *index)
{
    uint64_t i = offset >> (q->l2_bits + q->cluster_bits);
    int r;

    *s = NULL;
    if (i >= q->l1_size || !(q->l1[i] & E_OFFSET)) {
        return 0;
    }
    r = check_l1(q, i);
    return r ? r : slice_of(q, q->l1[i] & E_OFFSET, offset, s, index);
}

/* A table of our own for L1 entry i: empty, or a copy of one that snapshots have too. */
static int CO_FN new_l2(Qcow2 *q, uint64_t i)
{
    uint64_t old = q->l1[i] & E_OFFSET, place;
    g_autofree uint8_t *buf = g_malloc0(l2_table_bytes(q));
    int r = 0;

    for (uint64_t at = 0; !r && old && at < l2_table_bytes(q); at += q->l2.slice_size) {
        Slice *s;

        r = cache_get(q, &q->l2, old + at, &s);
        if (!r) {
            memcpy(buf + at, s->data, q->l2.slice_size);
        }
    }
    if (!r) {
        r = alloc_table(q, l2_table_bytes(q), &place);
    }
    if (!r) {
        r = node_pwrite(meta_node(q), place, buf, l2_table_bytes(q)); /* stage 1: what it says is what was true before */
    }
    if (r) {
        return r;
    }
    q->l1[i] = place | E_COPIED;
    qcow2_l1_changed(q, i);
    if (old) {
        free_later(q, old, l2_table_bytes(q), FREE_OTHER);
    }
    return 0;
}

int CO_FN l2_for_write(Qcow2 *q, uint64_t offset, Slice **s, unsigned *index)
{
    uint64_t i = offset >> (q->l2_bits + q->cluster_bits);
    int r = 0;

    if (i >= q->l1_size) {
        r = qcow2_grow_l1(q, i + 1);
    }
    if (!r) {
        r = check_l1(q, i);
    }
    if (!r && !(q->l1[i] & E_COPIED)) {
        r = new_l2(q, i);
    }
    return r ? r : slice_of(q, q->l1[i] & E_OFFSET, offset, s, index);
}

void l2_set(Qcow2 *q, Slice *s, unsigned i, uint64_t entry, uint64_t bitmap)
{
    st64_be(s->data + (size_t)i * l2_entry_size(q), entry);
    if (q->subclusters > 1) {
        st64_be(s->data + (size_t)i * 16 + 8, bitmap);
    }
    cache_dirty(&q->l2, s);
}

/* ---- Runs ---- */

/* What one subcluster is; *host its place, when it has one. */
static int CO_FN classify(Qcow2 *q, const Slice *s, unsigned i, unsigned sub, Run *out)
{
    uint64_t e = l2_get(q, s, i), sub_size = q->cluster_size / q->subclusters;
    bool zero = q->version >= 3 && e & E_ZERO, data;

    *out = (Run){0};
    if (e & E_COMPRESSED) {
        out->type = RUN_COMPRESSED;
        out->entry = e;
        return q->has_data_file ? qcow2_corrupt(q, "Compressed cluster encountered in an image with an external data file "
                                                   "(entry %#" PRIx64 ")", e)
                                : 0;
    }
    data = entry_has_host(q, e);
    if (data && (e & E_OFFSET) & (q->cluster_size - 1)) {
        return qcow2_corrupt(q, "Cluster allocation offset %#" PRIx64 " unaligned (L2 offset: %#" PRIx64 ", L2 index: %#x)",
                             e & E_OFFSET, s->offset, i);
    }
    out->has_place = data;
    out->host = data ? (e & E_OFFSET) + sub * sub_size : 0;
    out->in_place = data && e & E_COPIED;
    if (q->subclusters > 1) {
        uint64_t map = l2_bitmap(q, s, i);

        zero = map >> (32 + sub) & 1;
        if (map >> sub & 1 && (zero || !data)) {
            return qcow2_corrupt(q, "Invalid subcluster bitmap %#" PRIx64 " (L2 offset: %#" PRIx64 ", L2 index: %#x)", map,
                                 s->offset, i);
        }
        data = map >> sub & 1;
    }
    out->type = zero ? RUN_ZERO : data ? RUN_DATA : RUN_UNALLOCATED;
    return 0;
}

static bool continues(const Run *run, const Run *next, uint64_t len)
{
    if (run->type != next->type || run->type == RUN_COMPRESSED) {
        return false;
    }
    return run->has_place == next->has_place && run->in_place == next->in_place &&
           (!run->has_place || run->host + len == next->host);
}

int CO_FN map_run(Qcow2 *q, uint64_t offset, uint64_t len, Run *out)
{
    uint64_t sub_size = q->cluster_size / q->subclusters, in_sub = offset & (sub_size - 1), got = 0;
    unsigned i, sub = (offset & (q->cluster_size - 1)) / sub_size;
    Slice *s;
    int r = l2_for_read(q, offset, &s, &i);

    if (r) {
        return r;
    }
    if (!s) { /* to the end of what the table would cover */
        uint64_t covers = q->cluster_size << q->l2_bits;

        *out = (Run){.type = RUN_UNALLOCATED, .len = min_of(len, covers - (offset & (covers - 1)))};
        return 0;
    }
    r = classify(q, s, i, sub, out);
    if (r) {
        return r;
    }
    if (out->type == RUN_COMPRESSED) {
        out->len = min_of(len, q->cluster_size - (offset & (q->cluster_size - 1)));
        return 0;
    }
    out->host += out->has_place ? in_sub : 0;
    for (got = sub_size - in_sub; got < len;) {
        Run next;

        if (++sub == q->subclusters) {
            sub = 0;
            if (++i == slice_entries(q)) {
                break;
            }
        }
        if (classify(q, s, i, sub, &next) || !continues(out, &next, got)) {
            break;
        }
        got += sub_size;
    }
    out->len = min_of(got, len);
    return 0;
}
