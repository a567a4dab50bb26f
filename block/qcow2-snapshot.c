/*
 * qcow2: internal snapshots, and other operations that rewrite many entries: resize. spec, "Snapshots". While they run the dirty bit
 * is set, so that one that is cut is repaired; what the header shows changes in one write of its first sector.
 */
#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "block/qcow2.h"

enum {
    /* spec, "Snapshot table entry" */
    S_L1_OFFSET = 0, S_L1_SIZE = 8, S_ID_LEN = 12, S_NAME_LEN = 14, S_DATE_SEC = 16, S_DATE_NSEC = 20, S_CLOCK = 24,
    S_VM_STATE = 32, S_EXTRA_LEN = 36, S_LENGTH = 40,
    S_EXTRA_VM_STATE = 0, S_EXTRA_DISK_SIZE = 8, S_EXTRA_ICOUNT = 16, S_EXTRA_KNOWN = 24,
};

/* ---- The table ---- */

void qcow2_free_snapshots(Qcow2 *q)
{
    for (unsigned i = 0; q->snapshots && i < q->num_snapshots; i++) {
        g_free(q->snapshots[i].unknown_extra);
    }
    g_free(q->snapshots);
    q->snapshots = NULL;
}

static bool CO_FN read_one(Qcow2 *q, Snapshot *s, uint64_t *at, Error **errp)
{
    uint8_t h[S_LENGTH], extra[S_EXTRA_KNOWN] = {0};
    uint32_t id_len, name_len;
    int r = node_pread(meta_node(q), *at, h, sizeof(h));

    s->l1_offset = ld64_be(h + S_L1_OFFSET);
    s->l1_size = ld32_be(h + S_L1_SIZE);
    s->extra_size = ld32_be(h + S_EXTRA_LEN);
    id_len = ld16_be(h + S_ID_LEN);
    name_len = ld16_be(h + S_NAME_LEN);
    if (!r && (s->extra_size > MAX_SNAPSHOT_EXTRA || (uint64_t)s->l1_size * 8 > MAX_L1_BYTES)) {
        return error_set(errp, s->extra_size > MAX_SNAPSHOT_EXTRA ? "Too much extra metadata in snapshot table entry at offset %" PRIu64
                                                                  : "Snapshot L1 table too large in snapshot table entry at offset %" PRIu64,
                         *at);
    }
    *at += S_LENGTH;
    r = r ? r : node_pread(meta_node(q), *at, extra, min_of(s->extra_size, (uint32_t)S_EXTRA_KNOWN));
    if (!r && s->extra_size > S_EXTRA_KNOWN) {
        s->unknown_extra = g_malloc(s->extra_size - S_EXTRA_KNOWN);
        r = node_pread(meta_node(q), *at + S_EXTRA_KNOWN, s->unknown_extra, s->extra_size - S_EXTRA_KNOWN);
    }
    *at += s->extra_size;
    r = r ? r : node_pread(meta_node(q), *at, s->info.id, min_of(id_len, (uint32_t)sizeof(s->info.id) - 1));
    *at += id_len;
    r = r ? r : node_pread(meta_node(q), *at, s->info.name, min_of(name_len, (uint32_t)sizeof(s->info.name) - 1));
    *at = round_up(*at + name_len, 8);
    s->info.date_sec = ld32_be(h + S_DATE_SEC);
    s->info.date_nsec = ld32_be(h + S_DATE_NSEC);
    s->info.vm_clock_ns = ld64_be(h + S_CLOCK);
    s->info.vm_state_size = s->extra_size >= 8 ? ld64_be(extra + S_EXTRA_VM_STATE) : ld32_be(h + S_VM_STATE);
    s->info.disk_size = s->extra_size >= 16 ? ld64_be(extra + S_EXTRA_DISK_SIZE) : q->n->length;
    s->info.icount = s->extra_size >= 24 ? ld64_be(extra + S_EXTRA_ICOUNT) : UINT64_MAX;
    return !r || error_set_errno(errp, -r, "Failed to read snapshot table");
}

bool CO_FN qcow2_read_snapshots(Qcow2 *q, Error **errp)
{
    uint64_t at = q->snapshots_offset;
    unsigned num = q->num_snapshots;

    q->num_snapshots = 0;
    if (num > MAX_SNAPSHOTS) {
        return error_set(errp, "Snapshot table too large: %u snapshots, at most %d", num, MAX_SNAPSHOTS);
    }
    if (num && (!is_aligned(at, q->cluster_size) || at > INT64_MAX - MAX_SNAPSHOT_BYTES)) {
        return error_set(errp, "Snapshot table offset invalid: %#" PRIx64, at);
    }
    q->snapshots = g_new0(Snapshot, num + 1);
    for (; q->num_snapshots < num; q->num_snapshots++) {
        if (at >= meta_node(q)->length) {
            return error_set(errp, "Snapshot table ends behind the end of the file at offset %" PRIu64, at);
        }
        if (!read_one(q, &q->snapshots[q->num_snapshots], &at, errp)) {
            g_free(q->snapshots[q->num_snapshots].unknown_extra);
            return false;
        }
        if (at - q->snapshots_offset > MAX_SNAPSHOT_BYTES) {
            return error_set(errp, "Snapshot table too large: more than %d bytes", MAX_SNAPSHOT_BYTES);
        }
    }
    q->snapshots_bytes = at - q->snapshots_offset;
    return true;
}

static void put_one(GByteArray *out, const Snapshot *s)
{
    unsigned id_len = strlen(s->info.id), name_len = strlen(s->info.name);
    uint32_t extra = max_of(s->extra_size, (uint32_t)(s->info.icount == UINT64_MAX ? 16 : S_EXTRA_KNOWN));
    uint8_t h[S_LENGTH] = {0}, known[S_EXTRA_KNOWN];

    st64_be(h + S_L1_OFFSET, s->l1_offset);
    st32_be(h + S_L1_SIZE, s->l1_size);
    st16_be(h + S_ID_LEN, id_len);
    st16_be(h + S_NAME_LEN, name_len);
    st32_be(h + S_DATE_SEC, s->info.date_sec);
    st32_be(h + S_DATE_NSEC, s->info.date_nsec);
    st64_be(h + S_CLOCK, s->info.vm_clock_ns);
    st32_be(h + S_VM_STATE, s->info.vm_state_size > UINT32_MAX ? 0 : s->info.vm_state_size);
    st32_be(h + S_EXTRA_LEN, extra);
    st64_be(known + S_EXTRA_VM_STATE, s->info.vm_state_size);
    st64_be(known + S_EXTRA_DISK_SIZE, s->info.disk_size);
    st64_be(known + S_EXTRA_ICOUNT, s->info.icount);
    g_byte_array_append(out, h, sizeof(h));
    g_byte_array_append(out, known, min_of(extra, (uint32_t)S_EXTRA_KNOWN));
    if (extra > S_EXTRA_KNOWN) {
        g_byte_array_append(out, s->unknown_extra, extra - S_EXTRA_KNOWN);
    }
    g_byte_array_append(out, (const uint8_t *)s->info.id, id_len);
    g_byte_array_append(out, (const uint8_t *)s->info.name, name_len);
    g_byte_array_set_size(out, round_up(out->len, 8));
}

/* A new table of q's snapshots, to which the header is switched; the old one's clusters are freed. */
static int CO_FN switch_table(Qcow2 *q)
{
    GByteArray *out = g_byte_array_new();
    uint64_t old = q->snapshots_offset, old_bytes = q->snapshots_bytes, place = 0;
    int r = 0;

    for (unsigned i = 0; i < q->num_snapshots; i++) {
        put_one(out, &q->snapshots[i]);
    }
    if (out->len) {
        r = out->len > MAX_SNAPSHOT_BYTES ? -EFBIG : alloc_table(q, out->len, &place);
        r = r ? r : node_pwrite(meta_node(q), place, out->data, out->len);
    }
    r = r ? r : qcow2_sync(q);
    if (!r) {
        q->snapshots_offset = place;
        q->snapshots_bytes = out->len;
        r = qcow2_write_header(q);
        r = r ? r : node_flush(meta_node(q));
    }
    if (!r && old_bytes) {
        r = refcount_add(q, old, old_bytes, -1);
    }
    g_byte_array_free(out, TRUE);
    return r;
}

/* ---- Counting a tree ---- */

/* Trees are taken down only after the disk has forgotten them: what becomes free may be given back at once. */
static int CO_FN count_clusters(Qcow2 *q, uint64_t offset, uint64_t len, int delta)
{
    int r = refcount_add(q, offset, len, delta);

    return r || delta > 0 ? r : give_back(q, offset, len, FREE_SNAPSHOT);
}

static int CO_FN count_entry(Qcow2 *q, uint64_t e, int delta)
{
    uint64_t offset, len;

    if (e & E_COMPRESSED) {
        compressed_extent(q, e, &offset, &len);
        return count_clusters(q, offset, len, delta);
    }
    return e & E_OFFSET && !q->has_data_file ? count_clusters(q, e & E_OFFSET, q->cluster_size, delta) : 0;
}

/* COPIED says that there is one reference. */
static int CO_FN copied_flag(Qcow2 *q, uint64_t *e)
{
    uint64_t count = 1;
    int r = 0;

    if (*e & E_COMPRESSED || !(*e & E_OFFSET)) {
        return 0;
    }
    r = refcount_get(q, (*e & E_OFFSET) >> q->cluster_bits, &count);
    *e = count == 1 ? *e | E_COPIED : *e & ~E_COPIED;
    return r;
}

static int CO_FN visit_table(Qcow2 *q, uint64_t table, int delta, bool flags)
{
    unsigned per = slice_entries(q), num = 1u << q->l2_bits;
    int r = 0;

    for (unsigned i = 0; !r && i < num; i++) {
        uint64_t e, old;
        Slice *s;

        r = cache_get(q, &q->l2, table + (uint64_t)(i / per) * q->l2.slice_size, &s);
        if (r) {
            break;
        }
        old = e = l2_get(q, s, i % per);
        if (delta && e) {
            r = count_entry(q, e, delta);
        }
        if (!r && flags && !q->has_data_file) {
            r = copied_flag(q, &e);
            if (!r && e != old) {
                r = cache_get(q, &q->l2, table + (uint64_t)(i / per) * q->l2.slice_size, &s);
                st64_be(s->data + (size_t)(i % per) * l2_entry_size(q), e);
                cache_dirty(&q->l2, s);
            }
        }
    }
    return r;
}

/* All that the table l1 refers to by delta. With flags, l1 is the active one, and COPIED is made right. */
static int CO_FN visit_tree(Qcow2 *q, uint64_t *l1, uint32_t size, int delta, bool flags)
{
    int r = 0;

    for (uint32_t i = 0; !r && i < size; i++) {
        uint64_t old = l1[i], table = l1[i] & E_OFFSET;

        if (!table) {
            continue;
        }
        if (table & (q->cluster_size - 1)) {
            return qcow2_corrupt(q, "L2 table offset %#" PRIx64 " unaligned (L1 index: %#x)", table, i);
        }
        r = visit_table(q, table, delta, flags);
        if (!r && delta) {
            r = count_clusters(q, table, q->cluster_size, delta);
        }
        if (!r && flags) {
            r = copied_flag(q, &l1[i]);
            if (l1[i] != old) {
                qcow2_l1_changed(q, i);
            }
        }
    }
    return r;
}

/* ---- L1 tables ---- */

static int CO_FN write_l1_copy(Qcow2 *q, const uint64_t *l1, uint32_t size, bool copied, uint64_t *place)
{
    uint64_t bytes = max_of((uint64_t)size * 8, (uint64_t)8);
    g_autofree uint8_t *buf = g_malloc0(bytes);
    int r = alloc_table(q, bytes, place);

    for (uint32_t i = 0; i < size; i++) {
        st64_be(buf + (size_t)i * 8, copied ? l1[i] : l1[i] & ~E_COPIED);
    }
    return r ? r : node_pwrite(meta_node(q), *place, buf, bytes);
}

/* The active table becomes `l1` (owned), with `length` as the disk's size. */
static int CO_FN switch_l1(Qcow2 *q, uint64_t *l1, uint32_t size, uint64_t length)
{
    uint64_t old = q->l1_offset, old_bytes = (uint64_t)q->l1_size * 8, place = 0;
    int r = write_l1_copy(q, l1, size, true, &place);

    r = r ? r : qcow2_sync(q);
    if (r) {
        g_free(l1);
        return r;
    }
    g_free(q->l1);
    q->l1 = l1;
    q->l1_size = size;
    q->l1_offset = place;
    q->n->length = length;
    r = qcow2_write_header(q);
    r = r ? r : node_flush(meta_node(q));
    if (!r && old_bytes) {
        r = refcount_add(q, old, old_bytes, -1);
    }
    return r;
}

int CO_FN qcow2_grow_l1(Qcow2 *q, uint64_t entries)
{
    uint64_t *l1;

    if (entries * 8 > MAX_L1_BYTES) {
        return -EFBIG;
    }
    l1 = g_new0(uint64_t, entries + 1);
    memcpy(l1, q->l1, (size_t)q->l1_size * 8);
    return switch_l1(q, l1, entries, q->n->length);
}

/* ---- Operations, with the lock and nothing in flight ---- */

static int find_snapshot(const Qcow2 *q, const char *name)
{
    for (int by_name = 0; by_name < 2; by_name++) { /* ids first */
        for (unsigned i = 0; i < q->num_snapshots; i++) {
            if (!strcmp(by_name ? q->snapshots[i].info.name : q->snapshots[i].info.id, name)) {
                return i;
            }
        }
    }
    return -1;
}

static void new_info(const Qcow2 *q, BlockSnapshot *s, const char *name)
{
    struct timespec now;
    unsigned long max = 0;

    for (unsigned i = 0; i < q->num_snapshots; i++) {
        max = max_of(max, strtoul(q->snapshots[i].info.id, NULL, 10));
    }
    clock_gettime(CLOCK_REALTIME, &now);
    *s = (BlockSnapshot){.date_sec = now.tv_sec, .date_nsec = now.tv_nsec, .disk_size = q->n->length, .icount = UINT64_MAX};
    g_snprintf(s->id, sizeof(s->id), "%lu", max + 1);
    g_strlcpy(s->name, name, sizeof(s->name));
}

static int CO_FN create(Qcow2 *q, const char *name)
{
    Snapshot s = {.l1_size = q->l1_size};
    int r = qcow2_sync(q);

    new_info(q, &s.info, name);
    r = r ? r : write_l1_copy(q, q->l1, q->l1_size, false, &s.l1_offset);
    r = r ? r : visit_tree(q, q->l1, q->l1_size, 1, true);
    r = r ? r : qcow2_sync(q);
    if (r) {
        return r;
    }
    q->snapshots = g_renew(Snapshot, q->snapshots, q->num_snapshots + 2);
    q->snapshots[q->num_snapshots++] = s;
    return switch_table(q);
}

static int CO_FN load_l1(Qcow2 *q, const Snapshot *s, uint32_t size, uint64_t **out)
{
    uint64_t *l1 = g_new0(uint64_t, size + 1);
    int r = node_pread(meta_node(q), s->l1_offset, l1, (size_t)min_of(s->l1_size, size) * 8);

    for (uint32_t i = 0; i < size; i++) {
        l1[i] = bswap64(l1[i]);
    }
    *out = l1;
    if (r) {
        g_free(l1);
    }
    return r;
}

static int CO_FN apply(Qcow2 *q, const Snapshot *s)
{
    uint64_t covers = q->cluster_size << q->l2_bits, *l1, *old;
    uint32_t size = max_of(s->l1_size, (uint32_t)div_round_up(s->info.disk_size, covers)), old_size = q->l1_size;
    int r = qcow2_sync(q);

    r = r ? r : load_l1(q, s, size, &l1);
    if (r) {
        return r;
    }
    old = g_memdup2(q->l1, (size_t)(old_size + 1) * 8);
    r = visit_tree(q, l1, size, 1, false);
    if (r) {
        g_free(l1);
    } else {
        r = switch_l1(q, l1, size, s->info.disk_size);
    }
    r = r ? r : visit_tree(q, old, old_size, -1, false);
    r = r ? r : visit_tree(q, q->l1, q->l1_size, 0, true);
    g_free(old);
    return r ? r : qcow2_sync(q);
}

static int CO_FN delete(Qcow2 *q, unsigned i)
{
    Snapshot s = q->snapshots[i];
    uint64_t *l1 = NULL;
    int r = qcow2_sync(q);

    r = r ? r : load_l1(q, &s, s.l1_size, &l1);
    if (r) {
        return r;
    }
    memmove(&q->snapshots[i], &q->snapshots[i + 1], (q->num_snapshots - i - 1) * sizeof(s));
    q->num_snapshots--;
    r = switch_table(q); /* from here on it is gone; what follows gives back space */
    r = r ? r : visit_tree(q, l1, s.l1_size, -1, false);
    r = r ? r : refcount_add(q, s.l1_offset, max_of((uint64_t)s.l1_size * 8, (uint64_t)1), -1);
    r = r ? r : visit_tree(q, q->l1, q->l1_size, 0, true);
    g_free(l1);
    g_free(s.unknown_extra);
    return r ? r : qcow2_sync(q);
}

static int CO_FN show(Qcow2 *q, const Snapshot *s)
{
    uint64_t covers = q->cluster_size << q->l2_bits, *l1;
    uint32_t size = MAX(s->l1_size, MIN(div_round_up(s->info.disk_size, covers), MAX_L1_BYTES / 8));
    int r = load_l1(q, s, size, &l1);

    if (!r) {
        g_free(q->l1);
        q->l1 = l1;
        q->l1_size = size;
        q->n->length = s->info.disk_size;
    }
    return r;
}

static int CO_FN run_op(Qcow2 *q, SnapshotOp op, int i, const char *name)
{
    int r = qcow2_set_dirty(q, true), r2;

    q->unz_entry = 0;
    if (!r) {
        r = op == SNAPSHOT_CREATE ? create(q, name) : op == SNAPSHOT_APPLY ? apply(q, &q->snapshots[i]) : delete(q, i);
    }
    if (!r && !q->lazy) { /* after a failure it stays, and the next to open repairs */
        r2 = qcow2_set_dirty(q, false);
        r = r ? r : r2;
    }
    q->n->write_gen++;
    return r;
}

static const char *op_name(SnapshotOp op)
{
    static const char *const names[] = {"create", "apply", "delete", "show"};

    return names[op];
}

bool CO_FN qcow2_snapshot(BlockNode *n, SnapshotOp op, const char *name, Error **errp)
{
    Qcow2 *q = qcow2_of(n);
    IoRange all;
    int i, r;

    if (n->read_only != (op == SNAPSHOT_SHOW)) {
        return error_set(errp, "Device '%s' is %sread-only", node_what(n), n->read_only ? "" : "not ");
    }
    if (q->has_data_file && op == SNAPSHOT_CREATE) {
        return error_set_errno(errp, ENOTSUP, "Could not create snapshot '%s'", name);
    }
    i = find_snapshot(q, name);
    if (op != SNAPSHOT_CREATE && i < 0) {
        return error_set_errno(errp, ENOENT, "Could not %s snapshot '%s'", op_name(op), name);
    }
    if (op == SNAPSHOT_CREATE && q->num_snapshots >= MAX_SNAPSHOTS) {
        return error_set(errp, "Could not create snapshot '%s': there are %u", name, q->num_snapshots);
    }
    if (op == SNAPSHOT_APPLY && q->snapshots[i].info.disk_size != n->length && qcow2_bitmaps_extension(q)) {
        return error_set(errp, "Could not apply snapshot '%s': the image has persistent bitmaps, and another size", name);
    }
    r = op == SNAPSHOT_APPLY ? qcow2_bitmaps_touch(q, 0, n->length) : 0;
    if (r) {
        return error_set_errno(errp, -r, "Could not mark the image's bitmaps");
    }
    io_range_lock(&q->ranges, &all, 0, UINT64_MAX, false);
    co_mutex_lock(&q->lock);
    r = op == SNAPSHOT_SHOW ? show(q, &q->snapshots[i]) : run_op(q, op, i, name);
    co_mutex_unlock(&q->lock);
    io_range_unlock(&q->ranges, &all);
    return !r || error_set_errno(errp, -r, "Could not %s snapshot '%s'", op_name(op), name);
}

BlockSnapshot *qcow2_snapshots(BlockNode *n, unsigned *num)
{
    const Qcow2 *q = qcow2_of(n);
    BlockSnapshot *all = g_new0(BlockSnapshot, q->num_snapshots + 1);

    for (unsigned i = 0; i < q->num_snapshots; i++) {
        all[i] = q->snapshots[i].info;
    }
    *num = q->num_snapshots;
    return all;
}

/* All that the disk has of its own goes: what lies below shows. */
bool CO_FN qcow2_make_empty(BlockNode *n, Error **errp)
{
    Qcow2 *q = qcow2_of(n);
    g_autofree uint64_t *old = NULL;
    IoRange all;
    int r = qcow2_bitmaps_touch(q, 0, n->length);

    io_range_lock(&q->ranges, &all, 0, UINT64_MAX, false);
    co_mutex_lock(&q->lock);
    r = r ? r : qcow2_set_dirty(q, true);
    r = r ? r : qcow2_sync(q);
    old = g_memdup2(q->l1, (size_t)(q->l1_size + 1) * 8);
    r = r ? r : switch_l1(q, g_new0(uint64_t, q->l1_size + 1), q->l1_size, n->length);
    r = r ? r : visit_tree(q, old, q->l1_size, -1, false);
    r = r ? r : qcow2_sync(q);
    if (!r && !q->lazy) {
        r = qcow2_set_dirty(q, false);
    }
    n->write_gen++;
    co_mutex_unlock(&q->lock);
    io_range_unlock(&q->ranges, &all);
    return !r || error_set_errno(errp, -r, "Could not empty '%s'", node_what(n));
}

/* ---- Resize ---- */

/* What a longer backing file has there must not show. */
static int CO_FN hide_below(BlockNode *n, uint64_t from, uint64_t to)
{
    BlockNode *below = node_backing(n);
    uint64_t end = below ? min_of(to, node_length(below)) : 0;

    return from < end ? node_write_zeroes(n, from, end - from, 0) : 0;
}

static int CO_FN set_length(Qcow2 *q, uint64_t length)
{
    uint64_t need = div_round_up(length, q->cluster_size << q->l2_bits), before = q->n->length;
    int r = 0;

    co_mutex_lock(&q->lock);
    if (need > q->l1_size) {
        r = qcow2_grow_l1(q, need);
    }
    if (!r) {
        q->n->length = length;
        r = qcow2_write_header(q);
    }
    if (r) {
        q->n->length = before;
    }
    co_mutex_unlock(&q->lock);
    return r;
}

bool CO_FN qcow2_resize(BlockNode *n, uint64_t length, Error **errp)
{
    Qcow2 *q = qcow2_of(n);
    uint64_t before = n->length;
    int r = 0;

    if (length & 511) {
        return error_set(errp, "The new size must be a multiple of 512");
    }
    if (q->num_snapshots && q->version < 3) {
        return error_set(errp, "Can't resize a v2 image which has snapshots");
    }
    if (length != before && qcow2_bitmaps_extension(q)) {
        return error_set(errp, "resizing '%s', an image with persistent bitmaps, is not here yet; remove them first", node_what(n));
    }
    if (length < before) {
        uint64_t from = round_up(length, q->cluster_size);

        r = node_write_zeroes(n, length, min_of(from, before) - length, 0); /* growing again must not show it */
        r = r || from >= before ? r : qcow2_discard(n, from, before - from);
    }
    r = r ? r : set_length(q, length);
    if (!r && q->data && length != before) {
        if (!node_resize(data_node(q), length, false, errp)) {
            return false;
        }
    }
    if (!r && length > before) {
        r = hide_below(n, before, length);
    }
    return !r || error_set_errno(errp, -r, "Could not resize '%s' to %" PRIu64, node_what(n), length);
}
