/* Shared by the files of block/ only. */
#ifndef BLOCK_INTERNAL_H
#define BLOCK_INTERNAL_H

#include "block/block.gen.h"
#include "block/block.h"

/* ObjectOps.iface of blockdev classes. run is called in a thread of the pool, without locks, several at a time. */
typedef struct {
    int (*run)(BlockDev *, BlockRequest *); /* 0 or -errno */
    /* In the submitter's thread: what can be done without waiting; -EAGAIN: run it. NULL: nothing can. */
    int (*run_now)(BlockDev *, BlockRequest *);
} BlockDevOps;

struct BlockDev {
    Object obj;
    BlockContext *ctx;     /* set between init and realize */
    uint64_t size;         /* set by the class's realize */
    bool read_only;
    bool attached;
    FairMutex *domain;     /* constant while attached */
    LoopWork done_work;
    List done;             /* GUARDED_BY(ctx->lock): run, not answered */
    unsigned running;      /* GUARDED_BY(ctx->lock): submitted, not in done */
    Cond changed;          /* done or running */
};
#define BLOCKDEV(p) ((BlockDev *)(p))

enum { BLOCK_THREADS = 4 };

struct BlockContext {
    QomTree *tree;
    Loop *loop;
    Mutex lock;            /* LOCK_BLOCK */
    Cond work;
    List queue;            /* GUARDED_BY(lock), as all below */
    unsigned num_threads, num_idle;
    bool stop;
    Thread threads[BLOCK_THREADS];
};

#endif
