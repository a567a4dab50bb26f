/* Driver 'raw': the bytes of its child, or a part of them. */
#include <errno.h>

#include "block/driver.h"

typedef struct {
    uint64_t offset;
    bool has_size, probed;
} Raw;

void raw_set_probed(BlockNode *n)
{
    ((Raw *)n->state)->probed = true;
}

static bool raw_open(BlockNode *n, const BlockOpen *how, Error **errp)
{
    const BlockdevOptionsRaw *o = &n->opts.u.raw;
    Raw *s = n->state;
    uint64_t below;

    if (!node_open_child(n, o->file, "file", how, errp)) {
        return false;
    }
    n->read_only |= n->file->node->read_only;
    below = n->file->node->length;
    s->offset = o->has_offset ? o->offset : 0;
    s->has_size = o->has_size;
    if (s->offset > below) {
        error_set(errp, "Offset (%" PRIu64 ") cannot be greater than size of the containing file (%" PRIu64 ")", s->offset,
                  below);
    } else if (o->has_size && o->size > below - s->offset) {
        error_set(errp, "The sum of offset (%" PRIu64 ") and size (%" PRIu64 ") has to be smaller or equal to the  actual "
                  "size of the containing file (%" PRIu64 ")", s->offset, o->size, below);
    } else if (o->has_size && o->size % 512) {
        error_set(errp, "Specified size is not multiple of 512");
    } else {
        n->length = o->has_size ? o->size : below - s->offset;
        n->align = n->file->node->align;
        return true;
    }
    node_unuse(n->file);
    return false;
}

static uint64_t at(const BlockNode *n, uint64_t offset)
{
    return ((const Raw *)n->state)->offset + offset;
}

/* A part may not be written past its end: what follows is not its own. */
static bool is_outside(const BlockNode *n, uint64_t offset, uint64_t len)
{
    return ((const Raw *)n->state)->has_size && !range_within(offset, len, n->length);
}

static int CO_FN raw_read(BlockNode *n, uint64_t offset, uint64_t len, IoSlice to)
{
    return node_read(n->file->node, at(n, offset), len, to);
}

/*
 * Else a guest could make its disk an image whose backing file is any file of the host, to be read the next time the disk is opened
 * without a format.
 */
static int CO_FN check_head(BlockNode *n, uint64_t offset, uint64_t len, IoSlice from)
{
    char head[BLOCK_HEAD] = {0};
    int r;

    if (!((const Raw *)n->state)->probed || offset >= BLOCK_HEAD) {
        return 0;
    }
    r = node_pread(n->file->node, at(n, 0), head, sizeof(head));
    io_read(from, head + offset, min_of(len, BLOCK_HEAD - offset));
    return r ? r : block_looks_formatted(head) ? -EPERM : 0;
}

static int CO_FN raw_write(BlockNode *n, uint64_t offset, uint64_t len, IoSlice from, IoFlags flags)
{
    int r = check_head(n, offset, len, from);

    if (r) {
        return r;
    }
    if (flags & IO_COMPRESSED) {
        return -ENOTSUP;
    }
    return is_outside(n, offset, len) ? -ENOSPC : node_write(n->file->node, at(n, offset), len, from, flags & ~IO_FUA);
}

static int CO_FN raw_write_zeroes(BlockNode *n, uint64_t offset, uint64_t len, IoFlags flags)
{
    return is_outside(n, offset, len) ? -ENOSPC : node_write_zeroes(n->file->node, at(n, offset), len, flags & ~IO_FUA);
}

static int CO_FN raw_discard(BlockNode *n, uint64_t offset, uint64_t len)
{
    return node_discard(n->file->node, at(n, offset), len);
}

static int CO_FN raw_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out)
{
    *out = (BlockStatus){.len = len, .flags = ST_DATA | ST_OFFSET | ST_ALLOCATED | ST_RECURSE, .map = at(n, offset),
                         .file = n->file->node};
    return 0;
}

static bool CO_FN raw_resize(BlockNode *n, uint64_t length, Error **errp)
{
    if (((const Raw *)n->state)->has_size) {
        return error_set(errp, "Cannot resize fixed-size raw disks");
    }
    return node_resize(n->file->node, at(n, length), true, errp);
}

static bool CO_FN raw_create(BlockNode *file, const BlockCreate *c, Error **errp)
{
    if (c->backing_file) {
        return error_set(errp, "Backing file not supported for file format 'raw'");
    }
    return node_resize(file, c->size, true, errp);
}

const BlockDriver block_driver_raw = {
    .name = "raw",
    .id = BLOCKDEV_DRIVER_RAW,
    .state_size = sizeof(Raw),
    .open = raw_open,
    .read = raw_read,
    .write = raw_write,
    .write_zeroes = raw_write_zeroes,
    .discard = raw_discard,
    .status = raw_status,
    .resize = raw_resize,
    .create = raw_create,
};
