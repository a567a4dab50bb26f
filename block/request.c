/* Requests to nodes: bounds, alignment, zeros, flushes, status. The contract is in block/node.h. */
#include <assert.h>
#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "block/driver.h"

enum { ZERO_CHUNK = 1 << 20 };

static void begin(BlockNode *n)
{
    n->in_flight++;
}

static int end(BlockNode *n, int result)
{
    n->in_flight--;
    return result;
}

static bool is_valid(uint64_t offset, uint64_t len)
{
    return range_within(offset, len, BLOCK_MAX_LENGTH);
}

static void *bounce_alloc(const BlockNode *n, size_t len)
{
    return aligned_alloc(max_of(n->align, 64u), round_up(len, max_of(n->align, 64u)));
}

/* ---- Reading ---- */

static int CO_FN read_unaligned(BlockNode *n, uint64_t offset, uint64_t len, IoSlice to)
{
    uint64_t from = round_down(offset, n->align), until = round_up(offset + len, n->align);
    char *buf = bounce_alloc(n, until - from);
    int r = buf ? n->drv->read(n, from, until - from, IO_OF(buf, until - from)) : -ENOMEM;

    if (!r) {
        io_write(to, buf + (offset - from), len);
    }
    free(buf);
    return r;
}

int CO_FN node_read(BlockNode *n, uint64_t offset, uint64_t len, IoSlice to)
{
    uint64_t inside;
    int r = 0;

    if (!is_valid(offset, len)) {
        return -EIO;
    }
    inside = offset >= n->length ? 0 : min_of(len, n->length - offset);
    begin(n);
    if (inside) {
        r = is_aligned(offset | inside, n->align) ? n->drv->read(n, offset, inside, to)
                                                  : read_unaligned(n, offset, inside, to);
    }
    if (!r && inside < len) {
        io_fill(io_at(to, inside), 0, len - inside);
    }
    return end(n, r);
}

/* ---- Writing ---- */

static void wrote(BlockNode *n, uint64_t until, int result)
{
    n->write_gen++;
    if (!result && until > n->length) {
        __atomic_store_n(&n->length, until, __ATOMIC_RELAXED);
    }
}

/* Reads what lies around, and writes whole blocks. The range is locked, so that neighbours in a block wait. */
static int CO_FN write_unaligned(BlockNode *n, uint64_t offset, uint64_t len, IoSlice from, IoFlags flags)
{
    uint64_t start = round_down(offset, n->align), until = round_up(offset + len, n->align);
    char *buf = bounce_alloc(n, until - start);
    int r = buf ? 0 : -ENOMEM;

    if (!r && start < offset) {
        r = n->drv->read(n, start, n->align, IO_OF(buf, n->align));
    }
    if (!r && until > offset + len && (until - n->align > start || start == offset)) {
        r = n->drv->read(n, until - n->align, n->align, IO_OF(buf + (until - n->align - start), n->align));
    }
    if (!r) {
        io_read(from, buf + (offset - start), len);
        r = n->drv->write(n, start, until - start, IO_OF(buf, until - start), flags);
    }
    free(buf);
    return r;
}

static int CO_FN write_locked(BlockNode *n, uint64_t offset, uint64_t len, IoSlice from, IoFlags flags)
{
    bool aligned = is_aligned(offset | len, n->align);
    IoRange range;
    int r;

    if (n->align == 1) {
        return n->drv->write(n, offset, len, from, flags);
    }
    io_range_lock(&n->ranges, &range, round_down(offset, n->align), round_up(offset + len, n->align), aligned);
    r = aligned ? n->drv->write(n, offset, len, from, flags) : write_unaligned(n, offset, len, from, flags);
    io_range_unlock(&n->ranges, &range);
    return r;
}

static bool turns_to_zeroes(const BlockNode *n, uint64_t len, IoSlice from, IoFlags flags)
{
    return n->opts.has_detect_zeroes && n->opts.detect_zeroes != BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF &&
           !(flags & IO_COMPRESSED) && io_is_zero(from, len);
}

int CO_FN node_write(BlockNode *n, uint64_t offset, uint64_t len, IoSlice from, IoFlags flags)
{
    int r;

    if (n->read_only) {
        return -EPERM;
    }
    if (!is_valid(offset, len) || !n->drv->write) {
        return n->drv->write ? -EIO : -ENOTSUP;
    }
    if (turns_to_zeroes(n, len, from, flags)) {
        bool unmap = n->opts.detect_zeroes == BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP;

        return node_write_zeroes(n, offset, len, flags | (unmap ? IO_UNMAP : 0));
    }
    begin(n);
    r = len ? write_locked(n, offset, len, from, flags) : 0;
    wrote(n, offset + len, r);
    if (!r && flags & IO_FUA) {
        r = node_flush(n);
    }
    return end(n, r);
}

static int CO_FN write_zero_bytes(BlockNode *n, uint64_t offset, uint64_t len)
{
    size_t size = min_of(len, (uint64_t)ZERO_CHUNK);
    char *zeros = calloc(1, size);
    int r = zeros ? 0 : -ENOMEM;

    while (!r && len > 0) {
        uint64_t now = min_of(len, (uint64_t)size);

        r = write_locked(n, offset, now, IO_OF(zeros, now), 0);
        offset += now;
        len -= now;
    }
    free(zeros);
    return r;
}

int CO_FN node_write_zeroes(BlockNode *n, uint64_t offset, uint64_t len, IoFlags flags)
{
    int r = -ENOTSUP;

    if (n->read_only) {
        return -EPERM;
    }
    if (!is_valid(offset, len) || !n->drv->write) {
        return n->drv->write ? -EIO : -ENOTSUP;
    }
    if (!n->unmap) {
        flags &= ~IO_UNMAP;
    }
    begin(n);
    if (n->drv->write_zeroes && is_aligned(offset | len, n->align) && len) {
        r = n->drv->write_zeroes(n, offset, len, flags);
    }
    if (r == -ENOTSUP && !(flags & IO_NO_FALLBACK)) {
        r = write_zero_bytes(n, offset, len);
    }
    wrote(n, offset + len, r);
    if (!r && flags & IO_FUA) {
        r = node_flush(n);
    }
    return end(n, r);
}

int CO_FN node_discard(BlockNode *n, uint64_t offset, uint64_t len)
{
    int r;

    if (n->read_only) {
        return -EPERM;
    }
    if (!n->unmap || !n->drv->discard || offset >= n->length) {
        return 0;
    }
    len = min_of(len, n->length - offset);
    begin(n);
    r = len ? n->drv->discard(n, offset, len) : 0;
    n->write_gen++;
    return end(n, r == -ENOTSUP ? 0 : r);
}

/* ---- Flushing ---- */

static int CO_FN flush_now(BlockNode *n)
{
    int r = n->drv->flush ? n->drv->flush(n) : 0;

    list_foreach (BlockChild, c, &n->children, of_parent) {
        if (!r && c != n->backing) {
            r = node_flush(c->node);
        }
    }
    return r;
}

/* One at a time; what a flush that has begun later covers is not flushed again. */
int CO_FN node_flush(BlockNode *n)
{
    uint64_t gen = n->write_gen;
    int r = 0;

    begin(n);
    while (n->flushing) {
        co_queue_wait(&n->flush_done, NULL);
    }
    if (n->flushed_gen < gen && !n->read_only) {
        gen = n->write_gen;
        n->flushing = true;
        r = flush_now(n);
        n->flushing = false;
        if (!r) {
            n->flushed_gen = gen;
        }
        co_queue_all(&n->flush_done);
    }
    return end(n, r);
}

bool CO_FN node_resize(BlockNode *n, uint64_t length, bool exact, Error **errp)
{
    bool ok;

    if (n->read_only) {
        return error_set(errp, "Image is read-only");
    }
    if (!n->drv->resize) {
        return error_set(errp, "Image format driver does not support resize");
    }
    if (length > BLOCK_MAX_LENGTH) {
        return error_set(errp, "Required too big image size, it must be not greater than %" PRIu64, BLOCK_MAX_LENGTH);
    }
    begin(n);
    ok = n->drv->resize(n, length, errp);
    n->write_gen++;
    if (ok) {
        __atomic_store_n(&n->length, length, __ATOMIC_RELAXED);
    }
    end(n, 0);
    return ok;
}

/* ---- Status ---- */

/* What is not n's own and lies behind the end of what is below it reads as zeros. */
static void status_behind_end(const BlockNode *n, uint64_t offset, BlockStatus *out)
{
    const BlockNode *below = node_backing(n);

    if (out->flags & (ST_ALLOCATED | ST_ZERO) || !below) {
        return;
    }
    if (offset >= below->length) {
        out->flags |= ST_ZERO;
    } else {
        out->len = min_of(out->len, below->length - offset);
    }
}

int CO_FN node_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out)
{
    int r = 0;

    *out = (BlockStatus){0};
    if (offset >= n->length) {
        return 0;
    }
    len = min_of(len, n->length - offset);
    begin(n);
    if (n->drv->status) {
        r = n->drv->status(n, offset, len, out);
        out->len = min_of(out->len, len);
    } else {
        *out = (BlockStatus){.len = len, .flags = ST_DATA | ST_ALLOCATED};
    }
    status_behind_end(n, offset, out);
    if (!r && out->flags & ST_RECURSE && out->flags & ST_OFFSET) {
        BlockStatus sub;

        r = node_status(out->file, out->map, out->len, &sub);
        if (!r && sub.len) {
            out->len = min_of(out->len, sub.len);
            out->flags |= sub.flags & ST_ZERO;
            if (n->drv->id == BLOCKDEV_DRIVER_RAW) { /* it is the file */
                out->flags = sub.flags | ST_OFFSET;
                out->file = sub.flags & ST_OFFSET ? sub.file : out->file;
                out->map = sub.flags & ST_OFFSET ? sub.map : out->map;
            }
        } else if (!r) {
            out->flags |= ST_ZERO; /* past its end */
        }
    }
    return end(n, r);
}

int CO_FN node_status_chain(BlockNode *n, BlockNode *base, uint64_t offset, uint64_t len, BlockStatus *out)
{
    unsigned depth = 0;
    int r = node_status(n, offset, len, out);

    for (BlockNode *b = node_backing(n); !r && out->len && !(out->flags & (ST_ALLOCATED | ST_ZERO)); b = node_backing(b)) {
        BlockStatus sub;

        if (!b) {
            out->flags |= ST_ZERO;
            break;
        }
        if (b == base) {
            break;
        }
        depth++;
        r = node_status(b, offset, out->len, &sub);
        if (r) {
            break;
        }
        sub.len = min_of(sub.len, out->len);
        *out = sub;
    }
    out->depth = depth;
    return r;
}
