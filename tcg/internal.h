/*
 * What tcg/cache.c, run.c and log.c share. Others use tcg/runtime.h.
 */
#ifndef TCG_INTERNAL_H
#define TCG_INTERNAL_H

#include <pthread.h>

#include "tcg/runtime.h"
#include "tcg/x86_64/emit.h"

enum {
    CHUNK_CODE = 128 << 10,    /* code of one thread's regions, one after the other */
    CHUNK_META = 256 << 10,    /* their TcgRegion, slots and maps from below, pointers from above */
    HUGE_PAGE = 2 << 20,
    HASH_SIZE = 1 << 16,
    PAGE_HASH_SIZE = 1 << 14,
    MAX_STATES = 4096,
    RECENT = 64,               /* invalidated ranges that translations under way are held against */
};

/* Filled by one context; read by anyone: count is stored last. */
typedef struct {
    uint32_t code_used, meta_used;
    uint32_t count;
} TcgChunk;

struct TcgCache {
    TcgConfig config;
    X86Emit *thunk_emit;
    TcgThunks thunks;
    uint8_t *fork_copy;         /* between tcg_fork_prepare() and parent or child: the child's code; NULL: none */
    uint8_t *rw, *rx;           /* two views of the code buffer */
    uint8_t *meta;
    size_t code_size, meta_size;
    uint32_t first_chunk;       /* those before hold the thunks */
    uint32_t num_chunks;

    uint32_t next_chunk;        /* atomic */
    uint32_t generation;        /* of flushes; atomic */
    uint32_t invalidations;     /* atomic; changed under lock */
    struct {
        uint64_t start, end;
    } recent[RECENT];           /* of the last invalidations, by number; under lock */

    pthread_mutex_t lock;       /* a leaf; guards what follows and every region's lists */
    TcgRegion **hash;           /* read without lock */
    TcgRegion **pages;
    void *states[MAX_STATES];
    unsigned num_states;
    TcgStats stats;
    TcgChunk chunks[];
};

struct TcgContext {
    TcgCache *cache;
    X86Emit *emit;
    IrRegion ir;
    TcgChunk *chunk;            /* its own until the next flush; NULL: none */
    uint32_t generation;
    const char *refused;
    struct Disas *disas;        /* of host code, for -d out_asm; made when first wanted */
    TcgSlot slots[TCG_MAX_SLOTS];
    uint8_t map[64 << 10];
};

/* The region whose code contains host address p, or NULL. Async-signal-safe. */
const TcgRegion *tcg_region_at(const TcgCache *c, uintptr_t p);

/* Aborts when the front end built a wrong region. */
void tcg_check_region(const TcgContext *ctx);

/* Prints what -d asks for of a new region. */
void tcg_log_region(TcgContext *ctx, const TcgRegion *r);

static inline uint8_t *chunk_code(const TcgCache *c, const TcgChunk *k)
{
    return c->rw + (size_t)(k - c->chunks) * CHUNK_CODE;
}

static inline uint8_t *chunk_meta(const TcgCache *c, const TcgChunk *k)
{
    return c->meta + (size_t)(k - c->chunks) * CHUNK_META;
}

#endif
