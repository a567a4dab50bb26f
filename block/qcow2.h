/*
 * Images in format qcow2: shared by block/qcow2*.c only. Spec: QEMU's docs/interop/qcow2.txt ("spec" below): versions 2 and 3.
 *
 * Guest clusters map to host clusters through L1 (in memory) and L2 tables (cached); every host cluster has a reference count. What
 * was flushed survives a cut at any write, by this order:
 *
 *   stage 1   data, reference counts that grew, new tables that nothing points to yet
 *   barrier   flush of the file(s), only when stage 2 has something to write
 *   stage 2   L2 entries, L1 entries
 *   then      counts that shrink: a cluster is free only after a flush behind the stage 2 that took its last reference away
 *
 * so a cut leaves at worst clusters counted that nobody uses (leaks). Operations that rewrite many entries at once (snapshots, resize)
 * set the dirty bit meanwhile; who opens such an image for writing repairs it first.
 */
#ifndef BLOCK_QCOW2_H
#define BLOCK_QCOW2_H

#include <json-c/json.h>

#include "block/driver.h"
#include "util/bits.h"

enum {
    /* spec, Header */
    H_MAGIC = 0, H_VERSION = 4, H_BACKING_OFFSET = 8, H_BACKING_SIZE = 16, H_CLUSTER_BITS = 20, H_SIZE = 24, H_CRYPT = 32,
    H_L1_SIZE = 36, H_L1_OFFSET = 40, H_RT_OFFSET = 48, H_RT_CLUSTERS = 56, H_NUM_SNAPSHOTS = 60, H_SNAPSHOTS_OFFSET = 64,
    H_INCOMPATIBLE = 72, H_COMPATIBLE = 80, H_AUTOCLEAR = 88, H_REFCOUNT_ORDER = 96, H_LENGTH = 100, H_COMPRESSION = 104,
    H_V2_LENGTH = 72, H_V3_LENGTH = 104, H_OUR_LENGTH = 112,
    INCOMPAT_DIRTY = 1, INCOMPAT_CORRUPT = 2, INCOMPAT_DATA_FILE = 4, INCOMPAT_COMPRESSION = 8, INCOMPAT_EXTL2 = 16,
    INCOMPAT_ALL = 31,
    COMPAT_LAZY = 1,
    AUTOCLEAR_BITMAPS = 1, AUTOCLEAR_DATA_RAW = 2,
    EXT_END = 0, EXT_DATA_FILE = 0x44415441, EXT_LUKS = 0x0537be77, EXT_BITMAPS = 0x23852875, EXT_FEATURES = 0x6803f857,
    /* limits that bound memory whatever a header says; QEMU's too */
    MAX_L1_BYTES = 32 << 20, MAX_RT_BYTES = 8 << 20, MAX_SNAPSHOTS = 65536, MAX_SNAPSHOT_BYTES = 64 << 20,
    MAX_SNAPSHOT_EXTRA = 1024, MIN_CLUSTER_BITS = 9, MAX_CLUSTER_BITS = 21, MAX_BACKING_NAME = 1023,
};
#define QCOW2_MAGIC 0x514649fbu
#define EXT_BACKING_FORMAT 0xe2792acau
#define E_COPIED ((uint64_t)1 << 63)      /* exactly one reference: may be written in place */
#define E_COMPRESSED ((uint64_t)1 << 62)
#define E_ZERO ((uint64_t)1)
#define E_OFFSET ((uint64_t)0x00fffffffffffe00)
#define E_L1_RESERVED ((uint64_t)0x7f000000000001ff)
#define E_L2_RESERVED ((uint64_t)0x3f000000000001fe)
#define RT_RESERVED 0x1ffull

/* A slice of a table on the disk. */
typedef struct {
    uint64_t offset;
    uint8_t *data;
    bool dirty;
    ListLink lru;      /* least recently used first */
} Slice;

typedef struct {
    GHashTable *map;   /* &offset -> Slice */
    List lru;
    unsigned slice_size, max, num, num_dirty;
    uint64_t hits, misses;
} Cache;

/* Why a cluster becomes free: whether its space is given back to the host depends on it. */
typedef enum { FREE_REQUEST, FREE_SNAPSHOT, FREE_OTHER, FREE_REASONS } FreeReason;

typedef struct {
    uint64_t offset, clusters;
    FreeReason reason;
} Extent;

typedef struct {
    BlockSnapshot info;
    uint64_t l1_offset;
    uint32_t l1_size, extra_size;
    uint8_t *unknown_extra; /* what follows the fields we know */
} Snapshot;

/* A header extension that is kept as it is. */
typedef struct {
    uint32_t type, len;
    uint8_t *data;
} Extension;

typedef struct Bitmap Bitmap;

typedef struct {
    BlockNode *n;
    CoMutex lock;           /* of all tables below; data is read and written without it */
    IoRanges ranges;        /* of guest bytes: readers and writers in place share, who changes the mapping does not */
    /* ---- header ---- */
    unsigned version, cluster_bits, l2_bits /* entries per L2 table */, refcount_order, header_length;
    uint64_t cluster_size, incompatible, compatible, autoclear;
    unsigned subclusters;   /* 1, or 32 with extended L2 entries */
    unsigned compression;   /* 0 zlib, 1 zstd */
    char *backing_file, *backing_format, *data_file_name;
    GArray *extensions;     /* Extension: bitmaps and what we do not know */
    /* ---- tables ---- */
    uint64_t *l1;
    uint32_t l1_size, l1_alloc;
    uint64_t l1_offset;
    bool l1_dirty;
    uint32_t l1_dirty_from, l1_dirty_to;
    uint64_t *rt;
    uint64_t rt_offset;
    uint32_t rt_entries, rt_clusters;
    unsigned block_bits;    /* entries per refcount block */
    Cache l2, rc;
    uint64_t free_hint;     /* cluster index: nothing below it is free */
    uint64_t free_byte;     /* where the next compressed cluster may go; 0: nowhere */
    GArray *freeing;        /* Extent: unused once stage 2 has been written */
    GArray *freed;          /* Extent: unused once the file was flushed past freed_gen */
    uint64_t freed_gen;
    uint64_t snapshots_offset;
    uint32_t snapshots_bytes;
    Snapshot *snapshots;
    unsigned num_snapshots;
    /* ---- persistent bitmaps that follow what is written ---- */
    Bitmap *bitmaps;
    unsigned num_bitmaps;
    bool bitmaps_in_use;    /* so marked on the disk */
    uint64_t bitmap_memory;
    /* ---- the rest ---- */
    BlockChild *data;       /* "data-file"; or the file itself */
    bool has_data_file, lazy, discard_no_unref, to_repair;
    bool give_back[FREE_REASONS];
    uint64_t unz_entry;     /* compressed entry whose data is in unz; 0: none */
    uint8_t *unz;
} Qcow2;

static inline Qcow2 *qcow2_of(BlockNode *n)
{
    return n->state;
}

static inline uint64_t cluster_of(const Qcow2 *q, uint64_t offset)
{
    return offset & ~(q->cluster_size - 1);
}

static inline BlockNode *meta_node(const Qcow2 *q)
{
    return q->n->file->node;
}

static inline BlockNode *data_node(const Qcow2 *q)
{
    return q->data ? q->data->node : meta_node(q);
}

static inline unsigned l2_entry_size(const Qcow2 *q)
{
    return q->subclusters == 1 ? 8 : 16;
}

/* Bytes of host data that a compressed entry names, and where they begin. spec, "Compressed Clusters Descriptor". */
static inline void compressed_extent(const Qcow2 *q, uint64_t entry, uint64_t *offset, uint64_t *len)
{
    unsigned x = 62 - (q->cluster_bits - 8);

    *offset = entry & bits_mask(x);
    *len = (bits_get(entry, x, 62 - x) + 1) * 512 - (*offset & 511);
}

/* ---- qcow2-cache.c: with the lock ---- */

void cache_init(Cache *c, unsigned slice_size, uint64_t bytes);
void cache_finish(Cache *c);
/* The slice at offset, read when needed; stays until the next cache_get of this cache. */
int CO_FN cache_get(Qcow2 *q, Cache *c, uint64_t offset, Slice **out);
void cache_dirty(Cache *c, Slice *s);
/* Forgets what it has of this range: it is no table any more, or not yet. */
void cache_drop(Cache *c, uint64_t offset, uint64_t len);
/* All slices, changed or not. */
void cache_forget(Cache *c);
int CO_FN cache_write(Qcow2 *q, Cache *c);
/* Stages 1 and 2: after it and a flush of the files, everything is on the disk. */
int CO_FN qcow2_write_tables(Qcow2 *q);
/* Writes and flushes all, and frees what is to be freed. */
int CO_FN qcow2_sync(Qcow2 *q);
void qcow2_l1_changed(Qcow2 *q, uint32_t index);

/* ---- qcow2-refcount.c: with the lock ---- */

int CO_FN refcount_get(Qcow2 *q, uint64_t cluster, uint64_t *count);
/* All of [offset, offset + len) by delta; on failure nothing. */
int CO_FN refcount_add(Qcow2 *q, uint64_t offset, uint64_t len, int delta);
/* Count number i of the block, or slice, p. */
void refcount_put(const Qcow2 *q, uint8_t *p, unsigned i, uint64_t count);
int CO_FN refcount_set(Qcow2 *q, uint64_t cluster, uint64_t count);
/* At least one and at most *clusters in a row, with count 1 now. */
int CO_FN alloc_clusters(Qcow2 *q, uint64_t *clusters, uint64_t *offset);
/* Exactly so many bytes' clusters in a row. */
int CO_FN alloc_table(Qcow2 *q, uint64_t bytes, uint64_t *offset);
/* A place for compressed data; its clusters' counts include it. */
int CO_FN alloc_compressed(Qcow2 *q, uint64_t bytes, uint64_t *offset);
/* To be given back when that is safe. */
void free_later(Qcow2 *q, uint64_t offset, uint64_t len, FreeReason reason);
/* What an L2 entry refers to. */
void free_entry_later(Qcow2 *q, uint64_t entry, FreeReason reason);
/* The host gets the space back of each cluster of it that nobody refers to, if the options say so for this reason. */
int CO_FN give_back(Qcow2 *q, uint64_t offset, uint64_t len, FreeReason reason);
int CO_FN apply_frees(Qcow2 *q);
/* After each change: what waits to be freed takes little memory. */
int CO_FN bound_frees(Qcow2 *q);
/* The image is damaged: tells, marks it, stops writing. Returns -EIO. */
int CO_FN qcow2_corrupt(Qcow2 *q, const char *fmt, ...) ERROR_PRINTF(2, 3);

/* ---- qcow2-map.c: with the lock ---- */

typedef enum { RUN_UNALLOCATED, RUN_ZERO, RUN_DATA, RUN_COMPRESSED } RunType;

typedef struct {
    RunType type;
    uint64_t len;
    uint64_t host;      /* DATA, ZERO with place of its own; else 0 */
    uint64_t entry;     /* COMPRESSED: the entry */
    bool in_place;      /* DATA: may be written there */
    bool has_place;     /* ZERO: host is valid */
} Run;

int CO_FN map_run(Qcow2 *q, uint64_t offset, uint64_t len, Run *out);
/* The slice with the entry of guest offset, and its index there; the table is ours alone. */
int CO_FN l2_for_write(Qcow2 *q, uint64_t offset, Slice **s, unsigned *index);
/* The same for looking; *s NULL: there is no table. */
int CO_FN l2_for_read(Qcow2 *q, uint64_t offset, Slice **s, unsigned *index);
static inline uint64_t l2_get(const Qcow2 *q, const Slice *s, unsigned i)
{
    return ld64_be(s->data + (size_t)i * l2_entry_size(q));
}
/* Low half: subclusters with data; high half: those that are zeros. Only with extended entries. */
static inline uint64_t l2_bitmap(const Qcow2 *q, const Slice *s, unsigned i)
{
    return ld64_be(s->data + (size_t)i * 16 + 8);
}
void l2_set(Qcow2 *q, Slice *s, unsigned i, uint64_t entry, uint64_t bitmap);
static inline unsigned slice_entries(const Qcow2 *q)
{
    return q->l2.slice_size / l2_entry_size(q);
}
/* True iff the entry (not compressed) has a host cluster. */
static inline bool entry_has_host(const Qcow2 *q, uint64_t entry)
{
    return entry & E_OFFSET || (q->has_data_file && entry & E_COPIED);
}

/* ---- qcow2-rw.c ---- */

int CO_FN qcow2_read(BlockNode *n, uint64_t offset, uint64_t len, IoSlice to);
/* Without locking the range. */
int CO_FN qcow2_read_mapped(Qcow2 *q, uint64_t offset, uint64_t len, IoSlice to);
int CO_FN qcow2_write(BlockNode *n, uint64_t offset, uint64_t len, IoSlice from, IoFlags flags);
int CO_FN qcow2_write_zeroes(BlockNode *n, uint64_t offset, uint64_t len, IoFlags flags);
int CO_FN qcow2_discard(BlockNode *n, uint64_t offset, uint64_t len);
int CO_FN qcow2_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out);

/* ---- qcow2-compress.c ---- */

int CO_FN qcow2_read_compressed(Qcow2 *q, uint64_t entry, unsigned from, unsigned len, IoSlice to);
int CO_FN qcow2_write_compressed(Qcow2 *q, uint64_t offset, uint64_t len, IoSlice from);

/* ---- qcow2-header.c ---- */

bool CO_FN qcow2_read_header(Qcow2 *q, Error **errp);
/* The whole first cluster, from the fields. */
int CO_FN qcow2_write_header(Qcow2 *q);
/* Feature bits only. */
int CO_FN qcow2_set_dirty(Qcow2 *q, bool dirty);
bool CO_FN qcow2_create(BlockNode *file, const BlockCreate *c, Error **errp);

/* ---- qcow2-snapshot.c ---- */

bool CO_FN qcow2_read_snapshots(Qcow2 *q, Error **errp);
void qcow2_free_snapshots(Qcow2 *q);
bool CO_FN qcow2_snapshot(BlockNode *n, SnapshotOp op, const char *name, Error **errp);
BlockSnapshot *qcow2_snapshots(BlockNode *n, unsigned *num);
bool CO_FN qcow2_resize(BlockNode *n, uint64_t length, Error **errp);
bool CO_FN qcow2_make_empty(BlockNode *n, Error **errp);
/* L1 grows to at least so many entries. */
int CO_FN qcow2_grow_l1(Qcow2 *q, uint64_t entries);

/* ---- qcow2-bitmap.c ---- */

/* The extension's data, if the bitmaps are to be trusted; else NULL. */
const uint8_t *qcow2_bitmaps_extension(const Qcow2 *q);
/* Fails when the directory makes no sense. */
int CO_FN qcow2_load_bitmaps(Qcow2 *q);
void qcow2_free_bitmaps(Qcow2 *q);
/* Before these guest bytes change. Without the lock. */
int CO_FN qcow2_bitmaps_touch(Qcow2 *q, uint64_t offset, uint64_t len);
/* With the lock: at the end. */
int CO_FN qcow2_save_bitmaps(Qcow2 *q);

/* ---- qcow2-check.c ---- */

bool CO_FN qcow2_check(BlockNode *n, BlockCheck *c, unsigned fix, Error **errp);

#endif
