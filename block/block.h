/*
 * Disks: what a disk device reads and writes. Block devices are objects below /blockdevs, each shows a node of the block graph
 * (block/node.h); a device names one in its conf (`ref<blockdev>`) and is its only user. Requests run in the graph's
 * thread and are answered in the loop given to the context.
 *
 *     BlockContext *ctx = block_context_new(tree, loop);
 *     BlockDev *b = blockdev_new(ctx, "disk0", &(BlockdevNew){.options = json}, errp);
 *     ...
 *     blockdev_attach(b, &machine->lock, errp);
 *     req = (BlockRequest){ .op = BLOCK_READ, .offset = lba * 512, .iov = &iov, .num_iov = 1, .done = done, .opaque = s };
 *     blockdev_submit(b, &req);                       // done(s, 0 or -errno) is called later, never from here
 *     ...
 *     blockdev_drain(b);                              // before state is saved, before detach
 *
 * Locks: done is called with the domain held that attach was given, in the loop's thread or in a drain. All functions
 * are called with that domain held. Guests cannot make anything here grow: a request's memory is its owner's.
 */
#ifndef BLOCK_BLOCK_H
#define BLOCK_BLOCK_H

#include <sys/uio.h>

#include "qom/qom.h"
#include "util/list.h"
#include "util/loop.h"
#include "util/thread.h"

typedef struct BlockContext BlockContext;
typedef struct BlockDev BlockDev;

typedef enum { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD } BlockOp;

/* The owner's memory; not to be touched between submit and done. */
typedef struct {
    BlockOp op;
    uint64_t offset;       /* bytes */
    uint64_t len;          /* DISCARD only; else it is the sum of iov */
    const struct iovec *iov;
    int num_iov;
    /* result 0 or -errno. Reads past the end of the file give zeros up to blockdev_size. */
    void (*done)(void *opaque, int result);
    void *opaque;
    /* block/'s own */
    ListLink link;
    BlockDev *dev;
    int result;
} BlockRequest;

BlockContext *block_context_new(QomTree *, Loop *);
/* Its block devices are gone before. NULL is fine. */
void block_context_free(BlockContext *);

typedef struct {
    struct json_object *options; /* BlockdevOptions; or NULL and */
    const char *filename, *format; /* a name, its format (NULL: probed), */
    const struct BlockOpen *how;   /* and block/node.h's words about it */
    bool text;                   /* leaves of options may be text as on the command line */
    bool writethrough;
    bool drive;                  /* used from now on: its locks are taken */
    bool snapshot;               /* what is written goes to a temporary image above it, gone at the end */
} BlockdevNew;
/* In the tree and open; borrowed. */
BlockDev *blockdev_new(BlockContext *, const char *id, const BlockdevNew *, Error **errp);
/* Refused while a device uses it. */
bool blockdev_delete(QomTree *, const char *id, Error **errp);
BlockDev *blockdev_find(QomTree *, const char *id); /* NULL: none */
void blockdev_foreach(QomTree *, void (*fn)(BlockDev *, void *opaque), void *opaque);
const char *blockdev_id(const BlockDev *);

/*
 * What -drive's keys say of the image: file, format (absent: as the first bytes say), media, readonly, discard, detect-zeroes,
 * cache (writeback writethrough none unsafe directsync). Others are the caller's. readonly is on for media=cdrom. id: its
 * name in the tree. file absent: NULL without error, an empty drive.
 */
BlockDev *blockdev_new_from_drive(BlockContext *, const char *id, struct json_object *drive, Error **errp);

uint64_t blockdev_size(const BlockDev *);   /* bytes; constant while attached */
bool blockdev_is_read_only(const BlockDev *);

/* One user at a time. domain may be NULL. */
bool blockdev_attach(BlockDev *, FairMutex *domain, Error **errp);
void blockdev_detach(BlockDev *);           /* nothing may be in flight */
bool blockdev_is_attached(const BlockDev *);
bool blockdev_is_writethrough(const BlockDev *);
bool blockdev_is_drive(const BlockDev *);   /* made by blockdev_new_from_drive */
struct BlockNode *blockdev_node(BlockDev *); /* block/node.h; borrowed */

void blockdev_submit(BlockDev *, BlockRequest *);
/* Returns when nothing is in flight, and all done functions (which may submit more) have been called. */
void blockdev_drain(BlockDev *);
/* blockdev_drain of all. */
void block_drain_all(BlockContext *);

#endif
