/*
 * The block graph: nodes, each a driver, that read and write through their children.
 *
 *     device -> qcow2 "disk0" -- file --> file "a.qcow2"
 *                             -- backing -> qcow2 -- file --> file "base.qcow2"
 *
 * A node and all below it belong to its BlockContext's loop: everything here is called in coroutines of that loop
 * (CO_FN), or in its thread where it says so. Code in between yields only is its own lock. Enter by block_run:
 *
 *     static void work(void *opaque)              // a coroutine
 *     {
 *         BlockNode *n = block_open_file(ctx, "a.qcow2", NULL, &(BlockOpen){.read_only = true}, errp);
 *         ...
 *         node_unref(n);
 *     }
 *     block_run(ctx, work, &w);
 *
 * Data is given as an IoSlice, the rest of an iovec from some byte on. Results are 0 or -errno.
 */
#ifndef BLOCK_NODE_H
#define BLOCK_NODE_H

#include <sys/uio.h>

#include "block/block.gen.h"
#include "block/block.h"
#include "util/coroutine.h"
#include "util/units.h"

typedef struct BlockNode BlockNode;
typedef struct BlockChild BlockChild;
typedef struct BlockDriver BlockDriver;

/* ---- Data ---- */

typedef struct {
    const struct iovec *iov;
    size_t skip; /* bytes of iov that come before */
} IoSlice;

static inline IoSlice io_at(IoSlice s, size_t n)
{
    s.skip += n;
    return s;
}

void io_read(IoSlice from, void *to, size_t len);
void io_write(IoSlice to, const void *from, size_t len);
void io_fill(IoSlice to, int byte, size_t len);
bool io_is_zero(IoSlice s, size_t len);
bool buf_is_zero(const void *p, size_t len);
/* The first len bytes as an iovec of at most max entries; returns how many, *bytes what they cover. */
int io_iovec(IoSlice s, size_t len, struct iovec *out, int max, size_t *bytes);

#define IO_OF(buf, n) ((IoSlice){.iov = &(struct iovec){.iov_base = (void *)(buf), .iov_len = (n)}})

/* ---- Opening ---- */

/* What options that are absent mean; what a parent passes to its children. */
typedef struct BlockOpen {
    bool read_only, direct, no_flush, unmap, force_share;
    bool no_backing;     /* backing files are not opened */
    bool no_io;          /* only to look at its description */
    bool to_repair;      /* damage is no reason to refuse */
    unsigned depth;      /* of the chain, so far */
} BlockOpen;
/* What cache= says; false: no such word. NULL changes nothing. */
bool block_cache_mode(const char *cache, BlockOpen *how, bool *writethrough);

enum {
    BLOCK_MAX_DEPTH = 200,      /* of a chain of images */
    BLOCK_MAX_NODES = 4096,
};
#define BLOCK_MAX_LENGTH ((uint64_t)INT64_MAX & ~(uint64_t)0xffff)

/* All return a node with one reference, the caller's; NULL: *errp is set. opts is copied. */
BlockNode *CO_FN block_open(BlockContext *ctx, const BlockdevOptions *opts, const BlockOpen *how, Error **errp);
/* By name ("json:{...}" too), in format `driver`, or probed when that is NULL. options: more of the format's, or NULL. */
BlockNode *CO_FN block_open_file(BlockContext *ctx, const char *filename, const char *driver, const BlockOpen *how,
                                 Error **errp);
/* As block_open of options in JSON (text: leaves may be text). */
BlockNode *CO_FN block_open_json(BlockContext *ctx, struct json_object *options, bool text, const BlockOpen *how,
                                 Error **errp);
/* The same, where people write options: a file with a name needs no driver, and without one the format is guessed. Changes options. */
BlockNode *CO_FN block_open_loose(BlockContext *ctx, struct json_object *options, bool text, const BlockOpen *how,
                                  Error **errp);
/* A temporary qcow2 image above filename, which is opened for reading only. Its file is in TMPDIR or /var/tmp, without a name. */
BlockNode *CO_FN block_open_temporary(BlockContext *ctx, const char *filename, const char *driver, const BlockOpen *how,
                                      Error **errp);
BlockNode *node_ref(BlockNode *n);
/* The last one flushes and closes. NULL is fine. */
void CO_FN node_unref(BlockNode *n);
/* Borrowed; NULL: none of that name. */
BlockNode *block_find_node(BlockContext *ctx, const char *name);
/* The format that the first bytes of a file say; "raw" when none does. */
const char *CO_FN block_probe(BlockNode *file, const char *filename);
/* `name` as seen from the image `base`; free it. */
char *block_path_beside(const char *base, const char *name);

/* ---- Permissions: what a user of a node does, and lets others do ---- */

enum {
    PERM_READ = 1, PERM_WRITE = 2, PERM_WRITE_UNCHANGED = 4, PERM_RESIZE = 8,
    PERM_ALL = 15,
};
/* A use of n by `parent`, or by the outside (NULL, as `name`). Owned; takes a reference of its own. */
BlockChild *CO_FN node_use(BlockNode *n, BlockNode *parent, const char *name, unsigned perm, unsigned shared, Error **errp);
void CO_FN node_unuse(BlockChild *c); /* NULL is fine */

/* ---- I/O ---- */

typedef enum {
    IO_FUA = 1,          /* on the disk when it returns */
    IO_COMPRESSED = 2,   /* write it compressed: whole clusters */
    IO_UNMAP = 4,        /* zeros: space may be given back */
    IO_NO_FALLBACK = 8,  /* zeros: only when it is fast */
    IO_UNCHANGED = 16,   /* a write that does not change what is read */
} IoFlags;

/* Past the end of the node, reads give zeros. */
int CO_FN node_read(BlockNode *n, uint64_t offset, uint64_t len, IoSlice to);
/* Past the end, writes make it longer, when its user may do that. */
int CO_FN node_write(BlockNode *n, uint64_t offset, uint64_t len, IoSlice from, IoFlags flags);
int CO_FN node_write_zeroes(BlockNode *n, uint64_t offset, uint64_t len, IoFlags flags);
int CO_FN node_discard(BlockNode *n, uint64_t offset, uint64_t len);
int CO_FN node_flush(BlockNode *n);
bool CO_FN node_resize(BlockNode *n, uint64_t length, bool exact, Error **errp);
static inline int CO_FN node_pread(BlockNode *n, uint64_t offset, void *buf, size_t len)
{
    return node_read(n, offset, len, IO_OF(buf, len));
}
static inline int CO_FN node_pwrite(BlockNode *n, uint64_t offset, const void *buf, size_t len)
{
    return node_write(n, offset, len, IO_OF(buf, len), 0);
}

typedef enum {
    ST_DATA = 1,       /* reading it means reading something */
    ST_ZERO = 2,       /* it reads as zeros */
    ST_OFFSET = 4,     /* it lies at `map` of `file` as it is */
    ST_ALLOCATED = 8,  /* it comes from this node, not from its backing one */
    ST_COMPRESSED = 16,
    ST_RECURSE = 32,   /* `file` at `map` may know more */
} StatusFlags;

typedef struct {
    uint64_t len;      /* of the run, at least 1 unless at the end */
    unsigned flags;    /* StatusFlags */
    uint64_t map;
    BlockNode *file;
    unsigned depth;    /* node_status_chain: how far down */
} BlockStatus;

/* Of n itself: what starts at offset, at most len bytes. */
int CO_FN node_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out);
/* Of what n shows, down to (and not of) base, NULL: the whole chain. */
int CO_FN node_status_chain(BlockNode *n, BlockNode *base, uint64_t offset, uint64_t len, BlockStatus *out);

/* ---- Looking ---- */

const char *node_name(const BlockNode *n);
const char *node_driver_name(const BlockNode *n);
const char *node_filename(const BlockNode *n); /* what was opened; a json: name when it has none */
uint64_t node_length(const BlockNode *n);
bool node_is_read_only(const BlockNode *n);
BlockNode *node_backing(const BlockNode *n);   /* borrowed; NULL: none */
BlockNode *node_file(const BlockNode *n);      /* the child that holds it; NULL: none */
uint64_t CO_FN node_allocated_size(BlockNode *n); /* bytes it takes on the host; UINT64_MAX: not known */
void *node_state(const BlockNode *n);
BlockContext *node_context(const BlockNode *n);
const BlockdevOptions *node_options(const BlockNode *n);
unsigned node_num_users(const BlockNode *n);
void block_foreach_node(BlockContext *ctx, void (*fn)(BlockNode *, void *opaque), void *opaque);
/* Takes n's backing child away, or gives it another. */
bool CO_FN node_set_backing(BlockNode *n, BlockNode *backing, Error **errp);

/* ---- Contexts without a thread of their own ---- */

/* All runs in the caller's loop, and blocks it: for tools, where nothing else waits. */
BlockContext *block_context_new_here(Loop *loop);
/* Runs fn(opaque) in a coroutine of ctx's loop; returns when it has ended. */
void block_run(BlockContext *ctx, void (*fn)(void *opaque), void *opaque);
/* fn in a thread of the pool, while this coroutine waits. */
int CO_FN block_in_thread(BlockContext *ctx, int (*fn)(void *opaque), void *opaque);

#endif
