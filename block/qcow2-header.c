/* qcow2: the header and new images. spec, "Header" and "Header extensions". */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "block/qcow2.h"

/* The feature name table: what older programs say of an image that they do not know. */
static const struct {
    uint8_t type, bit;
    const char *name;
} features[] = {
    {0, 0, "dirty bit"}, {0, 1, "corrupt bit"}, {0, 2, "external data file"}, {0, 3, "compression type"},
    {0, 4, "extended L2 entries"}, {1, 0, "lazy refcounts"}, {2, 0, "bitmaps"}, {2, 1, "raw external data"},
};
enum { FEATURE_SIZE = 48 };

/* ---- Reading ---- */

static bool unknown_features(const uint8_t *table, size_t len, uint64_t bits, Error **errp)
{
    GString *names = g_string_new(NULL);

    for (size_t at = 0; table && at + FEATURE_SIZE <= len; at += FEATURE_SIZE) {
        if (table[at] == 0 && table[at + 1] < 64 && bits >> table[at + 1] & 1) {
            g_string_append_printf(names, "%s%.46s", names->len ? ", " : "", (const char *)table + at + 2);
            bits &= ~(1ull << table[at + 1]);
        }
    }
    if (bits) {
        g_string_append_printf(names, "%sUnknown incompatible feature: %" PRIx64, names->len ? ", " : "", bits);
    }
    error_set(errp, "Unsupported qcow2 feature(s): %s", names->str);
    g_string_free(names, TRUE);
    return false;
}

static bool read_fields(Qcow2 *q, const uint8_t *h, Error **errp)
{
    q->version = ld32_be(h + H_VERSION);
    if (ld32_be(h + H_MAGIC) != QCOW2_MAGIC) {
        return error_set(errp, "Image is not in qcow2 format");
    }
    if (q->version != 2 && q->version != 3) {
        return error_set(errp, "Unsupported qcow2 version %u", q->version);
    }
    q->cluster_bits = ld32_be(h + H_CLUSTER_BITS);
    if (q->cluster_bits < MIN_CLUSTER_BITS || q->cluster_bits > MAX_CLUSTER_BITS) {
        return error_set(errp, "Unsupported cluster size: 2^%u", q->cluster_bits);
    }
    q->cluster_size = 1ull << q->cluster_bits;
    q->n->length = ld64_be(h + H_SIZE);
    q->header_length = q->version == 2 ? H_V2_LENGTH : ld32_be(h + H_LENGTH);
    q->refcount_order = q->version == 2 ? 4 : ld32_be(h + H_REFCOUNT_ORDER);
    if (q->version >= 3) {
        q->incompatible = ld64_be(h + H_INCOMPATIBLE);
        q->compatible = ld64_be(h + H_COMPATIBLE);
        q->autoclear = ld64_be(h + H_AUTOCLEAR);
    }
    if (q->version >= 3 && q->header_length < H_V3_LENGTH) {
        return error_set(errp, "qcow2 header too short");
    }
    if (q->header_length > q->cluster_size) {
        return error_set(errp, "qcow2 header exceeds cluster size");
    }
    q->compression = q->version >= 3 && q->header_length > H_COMPRESSION ? h[H_COMPRESSION] : 0;
    if (q->refcount_order > 6) {
        return error_set(errp, "Reference count entry width too large; may not exceed 64 bits");
    }
    if (q->compression > 1) {
        return error_set(errp, "qcow2: unknown compression type: %u", q->compression);
    }
    if (!!(q->incompatible & INCOMPAT_COMPRESSION) != !!q->compression) {
        return error_set(errp, "qcow2: Compression type incompatible feature bit must %sbe set", q->compression ? "" : "not ");
    }
    if (ld32_be(h + H_CRYPT)) {
        return error_set(errp, "encryption method %u of '%s' is not here yet", ld32_be(h + H_CRYPT), node_what(q->n));
    }
    if (q->n->length > BLOCK_MAX_LENGTH) {
        return error_set(errp, "the image size %" PRIu64 " in the header is larger than %" PRIu64, q->n->length, BLOCK_MAX_LENGTH);
    }
    return true;
}

static bool one_extension(Qcow2 *q, uint32_t type, const uint8_t *data, uint32_t len, Error **errp)
{
    Extension e = {type, len, NULL};

    if (type == EXT_BACKING_FORMAT || type == EXT_DATA_FILE) {
        char **to = type == EXT_DATA_FILE ? &q->data_file_name : &q->backing_format;

        if (type == EXT_BACKING_FORMAT && len > 15) {
            return error_set(errp, "ERROR: ext_backing_format: len=%u too large (>=16)", len);
        }
        g_free(*to);
        *to = g_strndup((const char *)data, len);
    } else if (type != EXT_FEATURES) {
        e.data = g_memdup2(data, len);
        g_array_append_val(q->extensions, e);
    }
    return true;
}

static bool read_extensions(Qcow2 *q, const uint8_t *cluster, uint64_t end, Error **errp)
{
    const uint8_t *names = NULL;
    size_t names_len = 0;
    uint64_t bad = q->incompatible & ~(uint64_t)INCOMPAT_ALL;

    for (uint64_t at = q->header_length; at + 8 <= end;) {
        uint32_t type = ld32_be(cluster + at), len = ld32_be(cluster + at + 4);

        at += 8;
        if (type == EXT_END) {
            break;
        }
        if (len > end - at) {
            return error_set(errp, "Header extension too large: type %#x at offset %" PRIu64 " has %u bytes", type, at - 8, len);
        }
        if (type == EXT_FEATURES) {
            names = cluster + at;
            names_len = len;
        }
        if (!one_extension(q, type, cluster + at, len, errp)) {
            return false;
        }
        at += round_up(len, 8);
    }
    return !bad || unknown_features(names, names_len, bad, errp);
}

bool CO_FN qcow2_read_header(Qcow2 *q, Error **errp)
{
    uint8_t h[H_OUR_LENGTH] = {0};
    g_autofree uint8_t *cluster = NULL;
    uint64_t backing, end;
    uint32_t len;
    int r = node_pread(meta_node(q), 0, h, sizeof(h));

    if (r) {
        return error_set_errno(errp, -r, "Could not read qcow2 header");
    }
    if (!read_fields(q, h, errp)) {
        return false;
    }
    cluster = g_malloc0(q->cluster_size + 8);
    r = node_pread(meta_node(q), 0, cluster, q->cluster_size);
    if (r) {
        return error_set_errno(errp, -r, "Could not read qcow2 header");
    }
    backing = ld64_be(h + H_BACKING_OFFSET);
    len = ld32_be(h + H_BACKING_SIZE);
    if (backing > q->cluster_size) {
        return error_set(errp, "Invalid backing file offset");
    }
    end = backing ? backing : q->cluster_size;
    q->extensions = g_array_new(FALSE, FALSE, sizeof(Extension));
    if (backing && (len > MAX_BACKING_NAME || !range_within(backing, len, q->cluster_size))) {
        return error_set(errp, "Backing file name too long");
    }
    if (backing && len) {
        q->backing_file = g_strndup((char *)cluster + backing, len);
    }
    q->l1_size = ld32_be(h + H_L1_SIZE);
    q->l1_offset = ld64_be(h + H_L1_OFFSET);
    q->rt_offset = ld64_be(h + H_RT_OFFSET);
    q->rt_clusters = ld32_be(h + H_RT_CLUSTERS);
    q->num_snapshots = ld32_be(h + H_NUM_SNAPSHOTS);
    q->snapshots_offset = ld64_be(h + H_SNAPSHOTS_OFFSET);
    return read_extensions(q, cluster, end, errp);
}

/* ---- Writing ---- */

static uint8_t *put_extension(uint8_t *at, uint8_t *end, uint32_t type, const void *data, uint32_t len)
{
    if (!at || (uint64_t)(end - at) < 8 + round_up(len, 8)) {
        return NULL;
    }
    st32_be(at, type);
    st32_be(at + 4, len);
    if (len) {
        memcpy(at + 8, data, len);
    }
    return at + 8 + round_up(len, 8);
}

static uint8_t *put_features(uint8_t *at, uint8_t *end)
{
    uint8_t table[ARRAY_SIZE(features) * FEATURE_SIZE] = {0}, *after;

    for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
        table[i * FEATURE_SIZE] = features[i].type;
        table[i * FEATURE_SIZE + 1] = features[i].bit;
        memcpy(table + i * FEATURE_SIZE + 2, features[i].name, strlen(features[i].name));
    }
    after = put_extension(at, end, EXT_FEATURES, table, sizeof(table));
    return after ? after : at; /* they are only for people: where there is no room, none */
}

static void put_fields(const Qcow2 *q, uint8_t *h)
{
    st32_be(h + H_MAGIC, QCOW2_MAGIC);
    st32_be(h + H_VERSION, q->version);
    st32_be(h + H_CLUSTER_BITS, q->cluster_bits);
    st64_be(h + H_SIZE, q->n->length);
    st32_be(h + H_L1_SIZE, q->l1_size);
    st64_be(h + H_L1_OFFSET, q->l1_offset);
    st64_be(h + H_RT_OFFSET, q->rt_offset);
    st32_be(h + H_RT_CLUSTERS, q->rt_clusters);
    st32_be(h + H_NUM_SNAPSHOTS, q->num_snapshots);
    st64_be(h + H_SNAPSHOTS_OFFSET, q->snapshots_offset);
    if (q->version >= 3) {
        st64_be(h + H_INCOMPATIBLE, q->incompatible);
        st64_be(h + H_COMPATIBLE, q->compatible);
        st64_be(h + H_AUTOCLEAR, q->autoclear);
        st32_be(h + H_REFCOUNT_ORDER, q->refcount_order);
        st32_be(h + H_LENGTH, H_OUR_LENGTH);
        h[H_COMPRESSION] = q->compression;
    }
}

/* The header of q as it is now in buf, one cluster. */
static int build(const Qcow2 *q, uint8_t *buf)
{
    unsigned backing_len = q->backing_file ? strlen(q->backing_file) : 0;
    uint8_t *end = buf + q->cluster_size - 8, *at = buf + (q->version >= 3 ? H_OUR_LENGTH : H_V2_LENGTH);

    put_fields(q, buf);
    if (q->backing_format) {
        at = put_extension(at, end, EXT_BACKING_FORMAT, q->backing_format, strlen(q->backing_format));
    }
    if (q->data_file_name) {
        at = put_extension(at, end, EXT_DATA_FILE, q->data_file_name, strlen(q->data_file_name));
    }
    for (unsigned i = 0; q->extensions && i < q->extensions->len; i++) {
        const Extension *e = &g_array_index(q->extensions, Extension, i);

        at = put_extension(at, end, e->type, e->data, e->len);
    }
    if (at && q->version >= 3) {
        at = put_features(at, end - backing_len);
    }
    if (!at || end - at < (int)backing_len) {
        return -ENOSPC;
    }
    at += 8; /* EXT_END */
    if (backing_len) {
        st64_be(buf + H_BACKING_OFFSET, at - buf);
        st32_be(buf + H_BACKING_SIZE, backing_len);
        memcpy(at, q->backing_file, backing_len);
    }
    return 0;
}

int CO_FN qcow2_write_header(Qcow2 *q)
{
    g_autofree uint8_t *buf = g_malloc0(q->cluster_size);
    int r = build(q, buf);

    return r ? r : node_pwrite(meta_node(q), 0, buf, q->cluster_size);
}

int CO_FN qcow2_set_dirty(Qcow2 *q, bool dirty)
{
    uint8_t bits[8];
    int r;

    if (q->version < 3 || !!(q->incompatible & INCOMPAT_DIRTY) == dirty) {
        return 0;
    }
    r = dirty ? 0 : node_flush(meta_node(q)); /* all that it guards is on the disk before it goes */
    q->incompatible ^= INCOMPAT_DIRTY;
    st64_be(bits, q->incompatible);
    if (!r) {
        r = node_pwrite(meta_node(q), H_INCOMPATIBLE, bits, sizeof(bits));
    }
    return r ? r : node_flush(meta_node(q));
}

/* ---- New images ---- */

static bool check_sizes(const BlockCreate *c, Qcow2 *q, Error **errp)
{
    uint64_t cluster = c->cluster_size ? c->cluster_size : 65536;
    unsigned bits = c->refcount_bits ? c->refcount_bits : 16;

    q->version = !*c->compat || !strcmp(c->compat, "1.1") || !strcmp(c->compat, "v3") ? 3
                 : !strcmp(c->compat, "0.10") || !strcmp(c->compat, "v2")             ? 2
                                                                                      : 0;
    if (!q->version) {
        return error_set(errp, "Invalid parameter '%s'", c->compat);
    }
    if (!is_pow2(cluster) || cluster < 512 || cluster > 2 << 20) {
        return error_set(errp, "Cluster size must be a power of two between 512 and 2048k");
    }
    if (!is_pow2(bits) || bits > 64) {
        return error_set(errp, "Refcount width must be a power of two and may not exceed 64 bits");
    }
    if (q->version < 3 && bits != 16) {
        return error_set(errp, "Different refcount widths than 16 bits require compatibility level 1.1 or above (use version=v3 or "
                               "greater)");
    }
    if (q->version < 3 && (c->lazy_refcounts || c->extended_l2 || c->data_file)) {
        return error_set(errp, "%s only supported with compatibility level 1.1 and above (use version=v3 or greater)",
                         c->lazy_refcounts ? "Lazy refcounts" : c->extended_l2 ? "Extended L2 entries are" : "External data files are");
    }
    if (c->extended_l2 && cluster < 16384) {
        return error_set(errp, "Extended L2 entries are only supported with cluster sizes of at least 16384 bytes");
    }
    if (c->data_file_raw && !c->data_file) {
        return error_set(errp, "data-file-raw requires data-file");
    }
    if (c->data_file_raw && c->backing_file) {
        return error_set(errp, "Backing file and data-file-raw cannot be used at the same time");
    }
    q->cluster_size = cluster;
    q->cluster_bits = ctz64(cluster);
    q->refcount_order = ctz32(bits);
    q->subclusters = c->extended_l2 ? 32 : 1;
    return true;
}

static bool check_features(const BlockCreate *c, Qcow2 *q, Error **errp)
{
    if (c->compression_type && !strcmp(c->compression_type, "zstd")) {
        if (q->version < 3) {
            return error_set(errp, "Non-zlib compression type is only supported with compatibility level 1.1 and above (use "
                                   "version=v3 or greater)");
        }
        q->compression = 1;
    } else if (c->compression_type && strcmp(c->compression_type, "zlib")) {
        return error_set(errp, "Invalid parameter '%s'", c->compression_type);
    }
    q->incompatible = (q->compression ? INCOMPAT_COMPRESSION : 0) | (c->extended_l2 ? INCOMPAT_EXTL2 : 0) |
                      (c->data_file ? INCOMPAT_DATA_FILE : 0);
    q->compatible = c->lazy_refcounts ? COMPAT_LAZY : 0;
    q->autoclear = c->data_file_raw ? AUTOCLEAR_DATA_RAW : 0;
    q->backing_file = g_strdup(c->backing_file);
    q->backing_format = g_strdup(c->backing_file ? c->backing_fmt : NULL);
    q->data_file_name = g_strdup(c->data_file);
    if (q->backing_file && strlen(q->backing_file) > MAX_BACKING_NAME) {
        return error_set(errp, "Backing file name too long");
    }
    return true;
}

/* Header, refcount table, its first block, L1: one behind the other. */
static int CO_FN write_new(Qcow2 *q, BlockNode *file)
{
    uint64_t l1_clusters = div_round_up((uint64_t)q->l1_size * 8, q->cluster_size), used = 3 + l1_clusters;
    uint64_t per = (q->cluster_size * 8) >> q->refcount_order, blocks = 1, rt_clusters = 1;
    g_autofree uint8_t *buf = g_malloc0(q->cluster_size);
    uint64_t at = q->cluster_size;
    int r = 0;

    while (blocks * per < 1 + rt_clusters + blocks + l1_clusters) {
        blocks++;
        rt_clusters = div_round_up(blocks * 8, q->cluster_size);
    }
    used = 1 + rt_clusters + blocks + l1_clusters;
    q->rt_offset = q->cluster_size;
    q->rt_clusters = rt_clusters;
    q->l1_offset = l1_clusters ? (1 + rt_clusters + blocks) << q->cluster_bits : 0;
    for (uint64_t i = 0; !r && i < rt_clusters; i++, at += q->cluster_size) {
        memset(buf, 0, q->cluster_size);
        for (uint64_t b = i * q->cluster_size / 8; b < blocks && b < (i + 1) * q->cluster_size / 8; b++) {
            st64_be(buf + b * 8 % q->cluster_size, (1 + rt_clusters + b) << q->cluster_bits);
        }
        r = node_pwrite(file, at, buf, q->cluster_size);
    }
    for (uint64_t b = 0; !r && b < blocks; b++, at += q->cluster_size) {
        memset(buf, 0, q->cluster_size);
        for (uint64_t i = 0; i < per && b * per + i < used; i++) { /* counts of 1, of any width, big end first */
            unsigned bits = 1u << q->refcount_order;

            buf[bits >= 8 ? (i + 1) * bits / 8 - 1 : i * bits / 8] |= bits >= 8 ? 1 : 1 << (i * bits % 8);
        }
        r = node_pwrite(file, at, buf, q->cluster_size);
    }
    if (!r && l1_clusters) {
        r = node_write_zeroes(file, at, l1_clusters << q->cluster_bits, 0);
    }
    memset(buf, 0, q->cluster_size);
    if (!r) {
        r = build(q, buf);
    }
    return r ? r : node_pwrite(file, 0, buf, q->cluster_size);
}

bool CO_FN qcow2_create(BlockNode *file, const BlockCreate *c, Error **errp)
{
    BlockNode shown = {.length = c->size};
    Qcow2 q = {.n = &shown};
    uint64_t covers, l1;
    int r = 0;
    bool ok = check_sizes(c, &q, errp) && check_features(c, &q, errp);

    if (ok) {
        covers = (q.cluster_size / l2_entry_size(&q)) << q.cluster_bits;
        l1 = div_round_up(c->size, covers);
        if (l1 * 8 > MAX_L1_BYTES) {
            ok = error_set(errp, "Could not resize image: Image is too large: a size of %" PRIu64 " needs clusters larger than %"
                                 PRIu64, c->size, q.cluster_size);
        }
        q.l1_size = l1;
    }
    if (ok) {
        ok = node_resize(file, 0, false, errp);
        r = ok ? write_new(&q, file) : 0;
    }
    g_free(q.backing_file);
    g_free(q.backing_format);
    g_free(q.data_file_name);
    return !ok || !r ? ok : error_set_errno(errp, -r, "Could not write the new image");
}
