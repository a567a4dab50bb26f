/* Shared by the files of block/ only. */
#ifndef BLOCK_INTERNAL_H
#define BLOCK_INTERNAL_H

#include "block/driver.h"

struct BlockDev {
    Object obj;
    BlockdevConf conf;
    BlockContext *ctx;     /* set between init and realize */
    BlockNode *node;       /* set there too; a reference */
    BlockChild *use;       /* while attached */
    bool attached;
    bool is_drive;        /* made by -drive: used from the beginning */
    FairMutex *domain;     /* constant while attached */
    LoopWork start_work;   /* in ctx->io_loop */
    LoopWork done_work;    /* in ctx->loop */
    List queue;            /* GUARDED_BY(ctx->lock): submitted, not started */
    List done;             /* GUARDED_BY(ctx->lock): run, not answered */
    unsigned running;      /* GUARDED_BY(ctx->lock): submitted, not in done */
    Cond changed;          /* done or running */
};
#define BLOCKDEV(p) ((BlockDev *)(p))

enum { BLOCK_MAX_THREADS = 16 };

struct BlockContext {
    QomTree *tree;         /* NULL: tools */
    Loop *loop;            /* answers devices */
    Loop *io_loop;         /* runs the graph; the same one when there is no thread */
    bool has_thread;
    Thread io_thread;
    /* ---- of io_loop's thread ---- */
    List nodes;
    unsigned num_nodes, next_name;
    /* Tests see what reaches the host, before it does: op is 'w' (data), 'z' (zeros), 't' (length), 'f' (flush). */
    void (*log)(void *opaque, const char *filename, char op, uint64_t offset, uint64_t len, const void *data);
    void *log_opaque;
    /* ---- the pool, GUARDED_BY(lock) ---- */
    Mutex lock;            /* LOCK_BLOCK; of devices' lists too */
    Cond work;
    List jobs;
    unsigned num_threads, num_idle, max_threads;
    bool stop;
    Thread threads[BLOCK_MAX_THREADS];
};

/* For device requests that need not wait: file.c, raw.c. Any thread. -EAGAIN: ask properly. */
int node_read_now(const BlockNode *n, uint64_t offset, const struct iovec *iov, int num, uint64_t len);
int file_read_now(const BlockNode *n, uint64_t offset, const struct iovec *iov, int num, uint64_t len);

#endif
