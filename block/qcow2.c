/* qcow2: opening, closing, what it says about itself. See block/qcow2.h. */
#include "block/qcow2.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "qapi/json.h"

enum { SLICE = 4096, L2_CACHE_MAX = 32 << 20, RC_CACHE = 1 << 20 };

/* ---- Tables ---- */

static int CO_FN read_table(Qcow2 *q, uint64_t offset, uint64_t *to, uint64_t num)
{
    int r = node_pread(meta_node(q), offset, to, num * 8);

    for (uint64_t i = 0; !r && i < num; i++) {
        to[i] = bswap64(to[i]);
    }
    return r;
}

static bool check_table(Qcow2 *q, const char *what, uint64_t offset, uint64_t bytes, uint64_t max, Error **errp)
{
    if (bytes > max) {
        return error_set(errp, "%s too large: %" PRIu64 " bytes, at most %" PRIu64, what, bytes, max);
    }
    if (offset & (q->cluster_size - 1) || offset > (uint64_t)INT64_MAX - bytes) {
        return error_set(errp, "%s offset invalid: %#" PRIx64, what, offset);
    }
    return true;
}

static bool CO_FN read_tables(Qcow2 *q, Error **errp)
{
    uint64_t covers, rt_bytes = (uint64_t)q->rt_clusters << q->cluster_bits;
    int r;

    q->subclusters = q->incompatible & INCOMPAT_EXTL2 ? 32 : 1;
    if (q->subclusters > 1 && q->cluster_bits < 14) {
        return error_set(errp, "clusters of %" PRIu64 " bytes are too small for extended L2 entries", q->cluster_size);
    }
    q->l2_bits = q->cluster_bits - ctz32(l2_entry_size(q));
    q->block_bits = q->cluster_bits + 3 - q->refcount_order;
    covers = q->cluster_size << q->l2_bits;
    if (!q->rt_clusters && !q->to_repair) {
        return error_set(errp, "Image does not contain a reference count table");
    }
    if (!check_table(q, "Reference count table", q->rt_offset, rt_bytes, MAX_RT_BYTES, errp) ||
        !check_table(q, "Active L1 table", q->l1_offset, (uint64_t)q->l1_size * 8, MAX_L1_BYTES, errp)) {
        return false;
    }
    if (q->l1_size < div_round_up(q->n->length, covers)) {
        return error_set(errp, "L1 table is too small: %u entries for an image of %" PRIu64 " bytes", q->l1_size, q->n->length);
    }
    q->rt_entries = rt_bytes / 8;
    q->rt = g_new0(uint64_t, q->rt_entries + 1);
    q->l1 = g_new0(uint64_t, q->l1_size + 1);
    r = read_table(q, q->rt_offset, q->rt, q->rt_entries);
    if (!r) {
        r = read_table(q, q->l1_offset, q->l1, q->l1_size);
    }
    return !r || error_set_errno(errp, -r, "Could not read L1 and reference count tables");
}

static uint64_t cache_bytes(const Qcow2 *q)
{
    const BlockdevOptionsQcow2 *o = &q->n->opts.u.qcow2;
    uint64_t need = div_round_up(q->n->length, q->cluster_size) * l2_entry_size(q);

    return o->has_l2_cache_size ? o->l2_cache_size : min_of(o->has_cache_size ? o->cache_size : (uint64_t)L2_CACHE_MAX, need);
}

static bool init_caches(Qcow2 *q, Error **errp)
{
    const BlockdevOptionsQcow2 *o = &q->n->opts.u.qcow2;
    uint64_t slice = min_of(q->cluster_size, (uint64_t)SLICE);

    if (o->has_l2_cache_entry_size) {
        slice = o->l2_cache_entry_size;
        if (!is_pow2(slice) || slice < 512 || slice > q->cluster_size) {
            return error_set(errp, "L2 cache entry size must be a power of two between 512 and the cluster size (%" PRIu64 ")",
                             q->cluster_size);
        }
    }
    cache_init(&q->l2, slice, cache_bytes(q));
    cache_init(&q->rc, min_of(q->cluster_size, (uint64_t)SLICE),
               o->has_refcount_cache_size ? o->refcount_cache_size : (uint64_t)RC_CACHE);
    return true;
}

/* ---- Children ---- */

static BlockChild *CO_FN open_named(Qcow2 *q, const char *role, const char *file, const char *format, const BlockOpen *how,
                                    Error **errp)
{
    g_autofree char *path = block_path_beside(node_filename(q->n), file);
    BlockOpen o = node_child_open(q->n, how, !strcmp(role, "backing"));
    BlockNode *node = block_open_file(q->n->ctx, path, format, &o, errp);
    BlockdevRef ref = {.kind = QK_STR};
    BlockChild *c;

    if (!node) {
        return NULL;
    }
    ref.u.reference = node->name;
    c = node_open_child(q->n, &ref, role, how, errp);
    node_unref(node);
    return c;
}

static bool CO_FN open_backing(Qcow2 *q, const BlockOpen *how, Error **errp)
{
    const BlockdevRefOrNull *b = q->n->opts.u.qcow2.backing;
    BlockChild *c;

    if (b && b->kind == QK_NULL) {
        return true;
    }
    if (b) {
        BlockdevRef ref = {.kind = b->kind};

        if (b->kind == QK_STR) {
            ref.u.reference = b->u.reference;
        } else {
            ref.u.definition = b->u.definition;
        }
        return node_open_child(q->n, &ref, "backing", how, errp);
    }
    if (!q->backing_file || how->no_backing) {
        return true;
    }
    c = open_named(q, "backing", q->backing_file, q->backing_format, how, errp);
    return c || error_prepend(errp, "Could not open backing file: ");
}

static bool CO_FN open_data(Qcow2 *q, const BlockOpen *how, Error **errp)
{
    const BlockdevRef *ref = q->n->opts.u.qcow2.data_file;

    q->has_data_file = q->incompatible & INCOMPAT_DATA_FILE;
    if (!q->has_data_file) {
        return !ref || error_set(errp, "'data-file' can only be set for images with an external data file");
    }
    if (how->no_io) {
        return true;
    }
    if (ref) {
        q->data = node_open_child(q->n, ref, "data-file", how, errp);
    } else if (q->data_file_name) {
        q->data = open_named(q, "data-file", q->data_file_name, "file", how, errp);
    } else {
        return error_set(errp, "'data-file' is required for this image");
    }
    return q->data;
}

/* ---- Life ---- */

static void free_all(Qcow2 *q)
{
    for (unsigned i = 0; q->extensions && i < q->extensions->len; i++) {
        g_free(g_array_index(q->extensions, Extension, i).data);
    }
    if (q->extensions) {
        g_array_free(q->extensions, TRUE);
    }
    cache_finish(&q->l2);
    cache_finish(&q->rc);
    qcow2_free_snapshots(q);
    qcow2_free_bitmaps(q);
    g_array_free(q->freeing, TRUE);
    g_array_free(q->freed, TRUE);
    io_ranges_finish(&q->ranges);
    co_mutex_finish(&q->lock);
    g_free(q->l1);
    g_free(q->rt);
    g_free(q->unz);
    g_free(q->backing_file);
    g_free(q->backing_format);
    g_free(q->data_file_name);
}

static bool apply_options(Qcow2 *q, Error **errp)
{
    const BlockdevOptionsQcow2 *o = &q->n->opts.u.qcow2;

    q->lazy = o->has_lazy_refcounts ? o->lazy_refcounts : q->compatible & COMPAT_LAZY;
    q->give_back[FREE_REQUEST] = o->has_pass_discard_request ? o->pass_discard_request : q->n->unmap;
    q->give_back[FREE_SNAPSHOT] = !o->has_pass_discard_snapshot || o->pass_discard_snapshot;
    q->give_back[FREE_OTHER] = o->has_pass_discard_other && o->pass_discard_other;
    q->discard_no_unref = o->has_discard_no_unref && o->discard_no_unref;
    return !q->discard_no_unref || q->version >= 3 ||
           error_set(errp, "discard-no-unref is only supported since qcow2 version 3");
}

static bool CO_FN open_damaged(Qcow2 *q, Error **errp)
{
    BlockCheck c = {0};

    if (q->n->read_only || q->to_repair) {
        return true;
    }
    if (q->incompatible & INCOMPAT_CORRUPT) {
        return error_set(errp, "qcow2: Image is corrupt; cannot be opened read/write");
    }
    if (!(q->incompatible & INCOMPAT_DIRTY)) {
        return true;
    }
    if (!qcow2_check(q->n, &c, CHECK_FIX_LEAKS | CHECK_FIX_ERRORS, errp)) {
        return error_prepend(errp, "Could not repair dirty image: ");
    }
    return true;
}

static bool CO_FN load(Qcow2 *q, const BlockOpen *how, Error **errp)
{
    BlockNode *n = q->n;

    if (!qcow2_read_header(q, errp) || !read_tables(q, errp) || !init_caches(q, errp) || !qcow2_read_snapshots(q, errp)) {
        return false;
    }
    if (!apply_options(q, errp) || !open_data(q, how, errp) || !open_backing(q, how, errp) || !open_damaged(q, errp)) {
        return false;
    }
    if (!n->read_only && !q->to_repair && q->autoclear & ~(uint64_t)AUTOCLEAR_DATA_RAW) {
        /* What we do not know we do not keep up to date: who opens it next must see that. */
        uint64_t keep = AUTOCLEAR_DATA_RAW | (qcow2_load_bitmaps(q) ? 0 : AUTOCLEAR_BITMAPS), before = q->autoclear;

        q->autoclear &= keep;
        if (!(keep & AUTOCLEAR_BITMAPS)) {
            qcow2_free_bitmaps(q);
        }
        if (q->autoclear != before && qcow2_write_header(q)) {
            return error_set(errp, "Could not update the qcow2 header");
        }
    }
    if (!n->read_only && q->lazy && qcow2_set_dirty(q, true)) {
        return error_set(errp, "Could not update the qcow2 header");
    }
    return true;
}

static bool CO_FN qcow2_open(BlockNode *n, const BlockOpen *how, Error **errp)
{
    Qcow2 *q = qcow2_of(n);
    BlockChild *file = node_open_child(n, n->opts.u.qcow2.file, "file", how, errp);

    if (!file) {
        return false;
    }
    n->read_only |= file->node->read_only;
    q->n = n;
    q->to_repair = how->to_repair;
    q->freeing = g_array_new(FALSE, FALSE, sizeof(Extent));
    q->freed = g_array_new(FALSE, FALSE, sizeof(Extent));
    co_mutex_init(&q->lock);
    io_ranges_init(&q->ranges);
    if (load(q, how, errp)) {
        return true;
    }
    free_all(q);
    node_unuse(n->backing);
    node_unuse(q->data);
    node_unuse(n->file);
    return false;
}

static int CO_FN qcow2_flush(BlockNode *n)
{
    Qcow2 *q = qcow2_of(n);
    int r;

    co_mutex_lock(&q->lock);
    r = qcow2_write_tables(q);
    if (!r && q->data) {
        r = 0; /* flushed with the other children */
    }
    co_mutex_unlock(&q->lock);
    return r;
}

static void CO_FN qcow2_close(BlockNode *n)
{
    Qcow2 *q = qcow2_of(n);

    if (!n->read_only) {
        int r;

        co_mutex_lock(&q->lock);
        r = qcow2_save_bitmaps(q);
        r = r ? r : q->freeing->len || q->freed->len || q->rc.num_dirty || q->l2.num_dirty ? qcow2_sync(q) : 0;
        if (!r && q->lazy && !q->to_repair) {
            r = cache_write(q, &q->rc);
            if (!r) {
                qcow2_set_dirty(q, false);
            }
        }
        co_mutex_unlock(&q->lock);
    }
    free_all(q);
}

/* ---- Looking ---- */

static void qcow2_backing_name(BlockNode *n, char **file, char **format)
{
    *file = g_strdup(qcow2_of(n)->backing_file);
    *format = g_strdup(qcow2_of(n)->backing_format);
}

static bool CO_FN qcow2_change_backing(BlockNode *n, const char *file, const char *format, Error **errp)
{
    Qcow2 *q = qcow2_of(n);
    char *old[2] = {q->backing_file, q->backing_format};
    int r;

    if (file && strlen(file) > MAX_BACKING_NAME) {
        return error_set(errp, "Backing file name too long");
    }
    q->backing_file = g_strdup(file);
    q->backing_format = g_strdup(file ? format : NULL);
    r = qcow2_write_header(q);
    n->write_gen++;
    if (r) {
        g_free(q->backing_file);
        g_free(q->backing_format);
        q->backing_file = old[0];
        q->backing_format = old[1];
        return error_set_errno(errp, -r, "Could not write the qcow2 header");
    }
    g_free(old[0]);
    g_free(old[1]);
    return true;
}

static struct json_object *qcow2_format_info(BlockNode *n)
{
    const Qcow2 *q = qcow2_of(n);
    struct json_object *j = json_object_new_object();

    qjson_add(j, "compat", json_object_new_string(q->version == 2 ? "0.10" : "1.1"));
    qjson_add(j, "compression-type", json_object_new_string(q->compression ? "zstd" : "zlib"));
    if (q->version >= 3) {
        qjson_add(j, "lazy-refcounts", json_object_new_boolean(q->compatible & COMPAT_LAZY));
    }
    qjson_add(j, "refcount-bits", json_object_new_int(1 << q->refcount_order));
    if (q->version >= 3) {
        qjson_add(j, "corrupt", json_object_new_boolean(!!(q->incompatible & INCOMPAT_CORRUPT)));
        if (q->has_data_file) {
            if (q->data_file_name) {
                qjson_add(j, "data-file", json_object_new_string(q->data_file_name));
            }
            qjson_add(j, "data-file-raw", json_object_new_boolean(!!(q->autoclear & AUTOCLEAR_DATA_RAW)));
        }
        qjson_add(j, "extended-l2", json_object_new_boolean(q->subclusters > 1));
    }
    return j;
}

static uint64_t qcow2_cluster_size(BlockNode *n)
{
    return qcow2_of(n)->cluster_size;
}

static void qcow2_flags(BlockNode *n, bool *dirty, bool *corrupt, bool *compressed)
{
    *dirty = qcow2_of(n)->incompatible & INCOMPAT_DIRTY && n->read_only;
    *corrupt = qcow2_of(n)->incompatible & INCOMPAT_CORRUPT;
    *compressed = false;
}

const BlockDriver block_driver_qcow2 = {
    .name = "qcow2",
    .id = BLOCKDEV_DRIVER_QCOW2,
    .is_format = true,
    .supports_backing = true,
    .state_size = sizeof(Qcow2),
    .magic = "QFI\xfb",
    .magic_len = 4,
    .open = qcow2_open,
    .close = qcow2_close,
    .read = qcow2_read,
    .write = qcow2_write,
    .write_zeroes = qcow2_write_zeroes,
    .discard = qcow2_discard,
    .flush = qcow2_flush,
    .status = qcow2_status,
    .resize = qcow2_resize,
    .create = qcow2_create,
    .check = qcow2_check,
    .make_empty = qcow2_make_empty,
    .change_backing = qcow2_change_backing,
    .backing_name = qcow2_backing_name,
    .snapshot = qcow2_snapshot,
    .snapshots = qcow2_snapshots,
    .format_info = qcow2_format_info,
    .cluster_size = qcow2_cluster_size,
    .flags = qcow2_flags,
};
