/* Shared by the files of memory/ only. */
#ifndef MEMORY_INTERNAL_H
#define MEMORY_INTERNAL_H

#include <assert.h>

#include "memory/memory.h"
#include "util/bits.h"

/* A piece of an address space that one region answers. All that lock-free readers need is copied here. */
typedef struct {
    hwaddr start, last;
    MemoryRegion *mr;   /* only with the map's lock held: see MemorySection */
    hwaddr offset;      /* of start, in mr */
    uint8_t *host;      /* of start; NULL: no RAM behind it */
    RamBlock *block;
    ram_addr ram;       /* of start */
    FairMutex *lock;
    bool direct_read;   /* reads go to host */
    bool direct_write;
    bool io;            /* what is not direct goes to ops; else it is refused */
    bool readonly;      /* as printed */
} FlatRange;

typedef struct {
    RcuHead rcu;
    unsigned users;     /* address spaces that have it; under the map's lock */
    MemoryRegion *root; /* what it was made of, for printing; NULL: nothing */
    unsigned num;
    uint32_t hint;      /* range found last; atomic, any value is right */
    FlatRange ranges[];
} FlatView;

struct AddressSpace {
    MemoryMap *map;
    MemoryRegion *root;
    char *name;
    Object *owner;
    FlatView *view;     /* RCU */
    AddressSpace *next;
    RcuHead rcu;
};

enum {
    RAM_ADDR_BITS = 44,              /* all RAM of a machine: 16 TiB */
    DIRTY_CHUNK_BITS = 30,           /* bytes of RAM that one chunk covers */
    DIRTY_CHUNK_WORDS = 1 << (DIRTY_CHUNK_BITS - DIRTY_PAGE_BITS - 6),
};

/* Bit set: the page is clean. Zero is the start, so that memory nobody tracks costs none of the host's. */
typedef struct {
    uint64_t clean[DIRTY_NUM][DIRTY_CHUNK_WORDS]; /* atomic */
} DirtyChunk;

struct MemoryMap {
    FairMutex *lock;
    unsigned depth;                  /* of transactions */
    bool pending;
    AddressSpace *spaces, **last_space;
    Mutex blocks_lock;               /* LOCK_MEMORY: writers of blocks */
    RamBlock *blocks;                /* RCU; those that are gone stay until nobody maps them */
    MemoryListener *listeners;       /* RCU */
    DirtyChunk *chunks[1 << (RAM_ADDR_BITS - DIRTY_CHUNK_BITS)]; /* RCU; kept until the map ends */
};

static inline void memory_assert_locked(MemoryMap *map)
{
    assert(!map->lock || fair_mutex_is_held(map->lock));
}

/* flat.c. The range that holds addr, or NULL and then *last is the end of the hole. */
const FlatRange *flat_find(FlatView *view, hwaddr addr, hwaddr *last);
/* Makes the views anew if something changed. */
void memory_update(MemoryMap *map);

bool ram_block_ref(RamBlock *b); /* false: it is gone */
void ram_block_unref(RamBlock *b);
/* region.c: the size, where 0 means 2^64. */
static inline unsigned __int128 region_size(const MemoryRegion *mr)
{
    return mr->size ? mr->size : (unsigned __int128)1 << 64;
}

#endif
