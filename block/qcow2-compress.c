/* qcow2: compressed clusters, by zlib (raw deflate, window of 4 KiB) or zstd. spec, "Compressed Clusters Descriptor". */
#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "block/internal.h"
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
        r = q->n->ctx->has_thread ? block_in_thread(q->n->ctx, do_expand, &w) : do_expand(&w);
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
    free_entry_later(q, old);
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

static int CO_FN write_one(Qcow2 *q, uint64_t offset, uint64_t len, IoSlice from)
{
    g_autofree uint8_t *in = g_try_malloc0(q->cluster_size);
    g_autofree uint8_t *out = g_try_malloc(q->cluster_size);
    Work w = {q->compression, in, out, q->cluster_size, q->cluster_size - 1};
    int r;

    if (!in || !out) {
        return -ENOMEM;
    }
    io_read(from, in, len);
    r = block_in_thread(q->n->ctx, do_compress, &w);
    if (r == -ENOSPC) { /* it does not get smaller */
        return qcow2_write(q->n, offset, len, from, 0);
    }
    return r ? r : store(q, offset, out, w.out_len);
}

int CO_FN qcow2_write_compressed(Qcow2 *q, uint64_t offset, uint64_t len, IoSlice from)
{
    int r = 0;

    if (q->has_data_file) {
        return -ENOTSUP;
    }
    if (!is_aligned(offset, q->cluster_size) || (!is_aligned(len, q->cluster_size) && round_up(offset + len, 512) < q->n->length)) {
        return -EINVAL;
    }
    for (uint64_t at = 0; !r && at < len; at += q->cluster_size) {
        r = write_one(q, offset + at, min_of(len - at, q->cluster_size), io_at(from, at));
    }
    return r;
}
