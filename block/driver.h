/* What a driver of block nodes is: for the files of block/ only. One list of them: block/drivers.c. */
#ifndef BLOCK_DRIVER_H
#define BLOCK_DRIVER_H

#include <inttypes.h>

#include "block/node.h"
#include "util/list.h"

/* A use of a node. */
struct BlockChild {
    BlockNode *node;
    BlockNode *parent;  /* NULL: from outside */
    char *name;         /* role: "file", "backing", "data-file"; or who */
    unsigned perm, shared;
    ListLink of_parent, of_node;
};

/* A range that somebody works on; others that overlap wait unless both share it. */
typedef struct {
    ListLink link;
    uint64_t start, end;
    bool shared;
} IoRange;

typedef struct {
    List held;
    CoQueue changed;
} IoRanges;

void io_ranges_init(IoRanges *r);
void io_ranges_finish(IoRanges *r);
void CO_FN io_range_lock(IoRanges *all, IoRange *r, uint64_t start, uint64_t end, bool shared);
void io_range_unlock(IoRanges *all, IoRange *r);

/* What `qemu-img create -o` may be given, checked by whoever fills it in. */
typedef struct {
    uint64_t size;
    uint64_t cluster_size;      /* 0: the default */
    char compat[8];             /* "": the default */
    const char *backing_file, *backing_fmt, *data_file;
    bool data_file_raw, lazy_refcounts, extended_l2;
    unsigned refcount_bits;     /* 0: the default */
    const char *compression_type, *preallocation; /* NULL: the default */
    bool nocow;
} BlockCreate;

typedef struct {
    uint64_t corruptions, leaks, check_errors, corruptions_fixed, leaks_fixed;
    uint64_t image_end;
    uint64_t total_clusters, allocated_clusters, fragmented_clusters, compressed_clusters;
    bool has_clusters;
    /* One line, without its newline, for each thing found. NULL: nobody reads. */
    void (*tell)(void *opaque, const char *line);
    void *opaque;
} BlockCheck;

enum { CHECK_FIX_LEAKS = 1, CHECK_FIX_ERRORS = 2 };

typedef struct {
    char id[128], name[256];
    uint64_t vm_state_size, date_sec, vm_clock_ns, disk_size;
    uint32_t date_nsec;
    uint64_t icount;            /* UINT64_MAX: not said */
} BlockSnapshot;

/* SHOW: a node that is only read shows the snapshot from now on. */
typedef enum { SNAPSHOT_CREATE, SNAPSHOT_APPLY, SNAPSHOT_DELETE, SNAPSHOT_SHOW } SnapshotOp;

/* All functions are coroutines' unless they say otherwise; those that are NULL mean what is said. */
struct BlockDriver {
    const char *name;
    BlockdevDriver id;
    bool is_protocol;           /* asks the host, not a child */
    bool is_format;             /* keeps others from writing what lies below */
    bool supports_backing;
    size_t state_size;
    const char *magic;          /* what a file of this format begins with; NULL: not probed */
    unsigned magic_len;

    bool (*open)(BlockNode *n, const BlockOpen *how, Error **errp);
    void (*close)(BlockNode *n);       /* after a flush; children are released after */
    /* Permissions that users of n have have changed. False refuses. NULL: children are asked for the same. */
    bool (*set_perm)(BlockNode *n, unsigned perm, unsigned shared, Error **errp);

    int (*read)(BlockNode *n, uint64_t offset, uint64_t len, IoSlice to);
    int (*write)(BlockNode *n, uint64_t offset, uint64_t len, IoSlice from, IoFlags flags);
    int (*write_zeroes)(BlockNode *n, uint64_t offset, uint64_t len, IoFlags flags); /* -ENOTSUP, NULL: written */
    int (*discard)(BlockNode *n, uint64_t offset, uint64_t len);                     /* NULL: nothing */
    int (*flush)(BlockNode *n);                                                     /* then children are flushed */
    int (*status)(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out);    /* NULL: data */
    bool (*resize)(BlockNode *n, uint64_t length, Error **errp);                     /* NULL: cannot */
    uint64_t (*allocated_size)(BlockNode *n);                                       /* NULL: the children's sum */

    bool (*create)(BlockNode *file, const BlockCreate *c, Error **errp); /* formats what is there; NULL: cannot */
    bool (*check)(BlockNode *n, BlockCheck *c, unsigned fix, Error **errp);
    bool (*make_empty)(BlockNode *n, Error **errp);                      /* what lies below shows; NULL: cannot */
    bool (*change_backing)(BlockNode *n, const char *file, const char *format, Error **errp);
    /* What lies below, by the image; free them. *file NULL: nothing. */
    void (*backing_name)(BlockNode *n, char **file, char **format);
    bool (*snapshot)(BlockNode *n, SnapshotOp op, const char *name, Error **errp);
    BlockSnapshot *(*snapshots)(BlockNode *n, unsigned *num);            /* g_free it */
    struct json_object *(*format_info)(BlockNode *n);                    /* owned; the data of format-specific */
    uint64_t (*cluster_size)(BlockNode *n);
    void (*flags)(BlockNode *n, bool *dirty, bool *corrupt, bool *compressed);
};

struct BlockNode {
    BlockContext *ctx;
    const BlockDriver *drv;
    void *state;
    BlockdevOptions opts;       /* complete: what was absent is filled in where it is inherited */
    char *name, *filename;
    ListLink link;              /* ctx->nodes */
    unsigned refs;
    List children, users;       /* of BlockChild: of_parent, of_node */
    BlockChild *file, *backing; /* the ones everybody asks for */
    uint64_t length;
    unsigned align;             /* of requests that the driver takes; a power of two */
    bool read_only, no_flush, unmap;
    uint64_t write_gen, flushed_gen; /* writes that have ended, and those that a flush has followed */
    bool flushing;
    CoQueue flush_done;
    bool monitor_owned;         /* has a reference of blockdev-add's */
    unsigned in_flight;
    IoRanges ranges;            /* of requests of nodes with align > 1 */
};

extern const BlockDriver *const block_drivers[];
extern const unsigned block_num_drivers;
const BlockDriver *block_driver(const char *name); /* NULL: none */

enum { BLOCK_HEAD = 64 }; /* bytes at the beginning of a file that tell its format */
/* Would a file that begins so be taken for another format than raw? */
bool block_looks_formatted(const char head[BLOCK_HEAD]);
/* Nobody said that it is raw: what is written to it may not make it look like anything else. */
void raw_set_probed(BlockNode *n);

/* Permissions of n's children for what its users do and share now. */
bool CO_FN node_refresh_perms(BlockNode *n, Error **errp);
/* What n's absent options mean for a child that it opens. */
BlockOpen node_child_open(const BlockNode *n, const BlockOpen *how, bool backing);
/* For drivers' open: the child that ref describes (or that of `file`, when ref is NULL). */
BlockChild *CO_FN node_open_child(BlockNode *n, const BlockdevRef *ref, const char *name, const BlockOpen *how,
                                  Error **errp);
/* What a driver's errors call it. */
const char *node_what(const BlockNode *n);

#endif
