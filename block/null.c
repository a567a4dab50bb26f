/* Drivers 'null-co' and 'null-aio': a disk without contents, to measure what lies above. */
#include <glib.h>

#include "block/driver.h"

typedef struct {
    bool zeroes;
} Null;

static bool null_open(BlockNode *n, const BlockOpen *how, Error **errp)
{
    const BlockdevOptionsNull *o = &n->opts.u.null_co; /* null-aio has the same */
    Null *s = n->state;

    if (o->has_latency_ns && o->latency_ns) {
        return error_set(errp, "latency-ns=%" PRIu64 " is not here yet; there is 0", o->latency_ns);
    }
    n->filename = g_strdup_printf("%s://", n->drv->name);
    n->length = o->has_size ? o->size : GIB;
    s->zeroes = o->has_read_zeroes && o->read_zeroes;
    if (n->length > BLOCK_MAX_LENGTH) {
        return error_set(errp, "size=%" PRIu64 " is larger than %" PRIu64, n->length, BLOCK_MAX_LENGTH);
    }
    return true;
}

static int CO_FN null_read(BlockNode *n, uint64_t offset, uint64_t len, IoSlice to)
{
    if (((Null *)n->state)->zeroes) {
        io_fill(to, 0, len);
    }
    return 0;
}

static int CO_FN null_write(BlockNode *n, uint64_t offset, uint64_t len, IoSlice from, IoFlags flags)
{
    return 0;
}

static int CO_FN null_write_zeroes(BlockNode *n, uint64_t offset, uint64_t len, IoFlags flags)
{
    return 0;
}

static int CO_FN null_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out)
{
    *out = (BlockStatus){.len = len, .flags = ST_OFFSET | ST_ALLOCATED | ST_DATA, .map = offset, .file = n};
    if (((Null *)n->state)->zeroes) {
        out->flags = ST_OFFSET | ST_ALLOCATED | ST_ZERO;
    }
    return 0;
}

static uint64_t null_allocated_size(BlockNode *n)
{
    return 0;
}

#define NULL_OPS                                                                                                       \
    .is_protocol = true, .state_size = sizeof(Null), .open = null_open, .read = null_read, .write = null_write,        \
    .write_zeroes = null_write_zeroes, .status = null_status, .allocated_size = null_allocated_size

const BlockDriver block_driver_null_co = {.name = "null-co", .id = BLOCKDEV_DRIVER_NULL_CO, NULL_OPS};
const BlockDriver block_driver_null_aio = {.name = "null-aio", .id = BLOCKDEV_DRIVER_NULL_AIO, NULL_OPS};
