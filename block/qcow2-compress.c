/* qcow2: compressed clusters, by zlib (raw deflate, window of 4 KiB) or zstd. spec, "Compressed Clusters Descriptor". */
#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "block/qcow2.h"

typedef struct {
    unsigned algorithm; /* 0 zlib, 1 zstd */
    const uint8_t *in;
    uint8_t *out;
    size_t in_len, out_len; /* out_len: room; compress sets what it used */
} Work;

static int zlib_compress(Work *w)
{
    z_stream z = {0};
    int r;

    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY) != Z_OK) {
        return -EIO;
    }
    z.next_in = (uint8_t *)w->in;
    z.avail_in = w->in_len;
    z.next_out = w->out;
    z.avail_out = w->out_len;
    r = deflate(&z, Z_FINISH);
    w->out_len = z.total_out;
    deflateEnd(&z);
    return r == Z_STREAM_END ? 0 : r == Z_OK || r == Z_BUF_ERROR ? -ENOSPC : -EIO;
}

static int zstd_compress(Work *w)
{
    size_t n = ZSTD_compress(w->out, w->out_len, w->in, w->in_len, ZSTD_CLEVEL_DEFAULT);

    if (ZSTD_isError(n)) {
        return -ENOSPC;
    }
    w->out_len = n;
    return 0;
}

static int do_compress(void *opaque)
{
    Work *w = opaque;

    return w->algorithm ? zstd_compress(w) : zlib_compress(w);
}

static int zlib_expand(Work *w)
{
    z_stream z = {.next_in = (uint8_t *)w->in, .avail_in = w->in_len};
    int r;

    if (inflateInit2(&z, -12) != Z_OK) {
        return -EIO;
    }
    z.next_out = w->out;
    z.avail_out = w->out_len;
    r = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    /* Clusters need not end where the stream does: full is enough. */
    return (r == Z_STREAM_END || r == Z_BUF_ERROR) && z.avail_out == 0 ? 0 : -EIO;
}

static int zstd_expand(Work *w)
{
    ZSTD_DCtx *d = ZSTD_createDCtx();
    ZSTD_inBuffer in = {w->in, w->in_len, 0};
    ZSTD_outBuffer out = {w->out, w->out_len, 0};
    size_t before, r = 0;

    do { /* the sector behind the frame may hold anything */
        before = in.pos + out.pos;
        r = d ? ZSTD_decompressStream(d, &out, &in) : 0;
    } while (d && !ZSTD_isError(r) && out.pos < out.size && in.pos + out.pos > before);
    ZSTD_freeDCtx(d);
    return d && !ZSTD_isError(r) && out.pos == out.size ? 0 : d ? -EIO : -ENOMEM;
}

static int do_expand(void *opaque)
{
    Work *w = opaque;

    return w->algorithm ? zstd_expand(w) : zlib_expand(w);
}

int CO_FN qcow2_read_compressed(Qcow2 *q, uint64_t entry, unsigned from, unsigned len, IoSlice to)
{
    uint64_t offset, csize;
    g_autofree uint8_t *in = NULL;
    g_autofree uint8_t *out = NULL;
    Work w;
    int r;

    if (q->unz_entry == entry) {
        io_write(to, q->unz + from, len);
        return 0;
    }
    compressed_extent(q, entry, &offset, &csize);
    in = g_try_malloc(csize);
    out = g_try_malloc(q->cluster_size);
    if (!in || !out) {
        return -ENOMEM;
    }
    r = node_pread(meta_node(q), offset, in, csize);
    w = (Work){q->compression, in, out, csize, q->cluster_size};
    if (!r) {
        r = block_in_thread(q->n->ctx, do_expand, &w);
    }
    if (!r) {
        io_write(to, out + from, len);
        g_free(q->unz); /* neighbours are likely to come next */
        q->unz = g_steal_pointer(&out);
        q->unz_entry = entry;
    }
    return r;
}

static int CO_FN link_compressed(Qcow2 *q, uint64_t guest, uint64_t host, uint64_t bytes)
{
    unsigned x = 62 - (q->cluster_bits - 8), i;
    uint64_t sectors = ((host + bytes - 1) >> 9) - (host >> 9), old;
    Slice *s;
    int r = l2_for_write(q, guest, &s, &i);

    if (r) {
        return r;
    }
    old = l2_get(q, s, i);
    l2_set(q, s, i, E_COMPRESSED | sectors << x | host, 0);
    free_entry_later(q, old, FREE_OTHER);
    return bound_frees(q);
}

static int CO_FN store(Qcow2 *q, uint64_t guest, const uint8_t *data, uint64_t bytes)
{
    uint64_t host;
    IoRange range;
    int r;

    io_range_lock(&q->ranges, &range, guest, guest + q->cluster_size, false);
    co_mutex_lock(&q->lock);
    r = alloc_compressed(q, bytes, &host);
    co_mutex_unlock(&q->lock);
    if (!r && host >> (62 - (q->cluster_bits - 8))) {
        r = -EFBIG;
    }
    if (!r) {
        r = node_pwrite(meta_node(q), host, data, bytes);
    }
    if (!r) {
        co_mutex_lock(&q->lock);
        r = link_compressed(q, guest, host, bytes);
        co_mutex_unlock(&q->lock);
    }
    io_range_unlock(&q->ranges, &range);
    return r;
}

enum { BATCH = 64 << 10 }; /* bytes that one job of a thread compresses: short jobs are scheduled sooner on a busy host */

typedef struct {
    const Qcow2 *q;
    uint8_t *in, *out;
    uint64_t clusters;
    size_t *sizes;      /* of each compressed; 0: it does not get smaller */
} Batch;

static int do_batch(void *opaque)
{
    Batch *b = opaque;
    uint64_t cluster = b->q->cluster_size;

    for (uint64_t i = 0; i < b->clusters; i++) {
        Work w = {b->q->compression, b->in + i * cluster, b->out + i * cluster, cluster, cluster - 1};
        int r = do_compress(&w);

        if (r && r != -ENOSPC) {
            return r;
        }
        b->sizes[i] = r ? 0 : w.out_len;
    }
    return 0;
}

static int CO_FN store_batch(Qcow2 *q, const Batch *b, uint64_t offset, uint64_t len)
{
    int r = 0;

    for (uint64_t i = 0; !r && i < b->clusters; i++) {
        uint64_t at = i * q->cluster_size, n = min_of(len - at, q->cluster_size);

        r = b->sizes[i] ? store(q, offset + at, b->out + at, b->sizes[i]) : qcow2_write(q->n, offset + at, n, IO_OF(b->in + at, n), 0);
    }
    return r;
}

static int CO_FN write_batch(Qcow2 *q, uint64_t offset, uint64_t len, IoSlice from)
{
    Batch b = {.q = q, .clusters = div_round_up(len, q->cluster_size)};
    int r = -ENOMEM;

    b.in = g_try_malloc(b.clusters << q->cluster_bits);
    b.out = g_try_malloc(b.clusters << q->cluster_bits);
    b.sizes = g_new0(size_t, b.clusters);
    if (b.in && b.out) {
        io_read(from, b.in, len);
        memset(b.in + len, 0, (b.clusters << q->cluster_bits) - len);
        r = block_in_thread(q->n->ctx, do_batch, &b);
        r = r ? r : store_batch(q, &b, offset, len);
    }
    g_free(b.in);
    g_free(b.out);
    g_free(b.sizes);
    return r;
}

int CO_FN qcow2_write_compressed(Qcow2 *q, uint64_t offset, uint64_t len, IoSlice from)
{
    uint64_t batch = max_of((uint64_t)BATCH, q->cluster_size);
    int r = 0;

    if (q->has_data_file) {
        return -ENOTSUP;
    }
    if (!is_aligned(offset, q->cluster_size) || (!is_aligned(len, q->cluster_size) && round_up(offset + len, 512) < q->n->length)) {
        return -EINVAL;
    }
    for (uint64_t at = 0; !r && at < len; at += batch) {
        r = write_batch(q, offset + at, min_of(len - at, batch), io_at(from, at));
    }
    return r;
}
