/* RAM blocks and the bitmaps of their pages. The contract is in memory/memory.h. */
#include <assert.h>
#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "memory/internal.h"
#include "util/bits.h"

static const uint64_t BLOCK_ALIGN = 2 * 1024 * 1024; /* of RamBlock.start: huge pages begin where the guest's do */

/* ---- Blocks ---- */

RamBlock *ram_block_find(MemoryMap *map, const char *id)
{
    RamBlock *b = NULL;

    while ((b = ram_block_next(map, b)) && strcmp(b->id, id)) {
    }
    return b;
}

RamBlock *ram_block_next(MemoryMap *map, RamBlock *b)
{
    memory_assert_locked(map);
    rcu_enter(); /* those that are gone may leave the list at any time */
    do {
        b = b ? rcu_load(&b->next) : rcu_load(&map->blocks);
    } while (b && b->gone);
    rcu_leave();
    return b;
}

RamBlock *ram_block_at(MemoryMap *map, ram_addr addr, uint64_t *offset)
{
    for (RamBlock *b = rcu_load(&map->blocks); b; b = rcu_load(&b->next)) {
        if (addr - b->start < b->size) {
            *offset = addr - b->start;
            return b;
        }
    }
    return NULL;
}

/* The first gap of ram_addr that is large enough; *link is where the block goes in the list. False: there is none. */
static bool find_place(MemoryMap *map, uint64_t size, ram_addr *start, RamBlock ***link)
{
    ram_addr at = 0;

    *link = &map->blocks;
    for (RamBlock *b = map->blocks; b; b = b->next) {
        if (b->start - at >= size) {
            break;
        }
        at = round_up(b->start + b->size, BLOCK_ALIGN);
        *link = &b->next;
    }
    *start = at;
    return size <= ((uint64_t)1 << RAM_ADDR_BITS) - at;
}

static void make_chunks(MemoryMap *map, ram_addr start, uint64_t size)
{
    for (uint64_t i = start >> DIRTY_CHUNK_BITS; i <= (start + size - 1) >> DIRTY_CHUNK_BITS; i++) {
        if (!map->chunks[i]) {
            rcu_store(&map->chunks[i], g_malloc0(sizeof(DirtyChunk)));
        }
    }
}

RamBlock *ram_block_new_spec(MemoryMap *map, const char *id, const HostRamSpec *spec, Error **errp)
{
    RamBlock **link;
    RamBlock *b;
    ram_addr start;

    memory_assert_locked(map);
    if (ram_block_find(map, id)) {
        error_set(errp, "RAM block '%s' exists already", id);
        return NULL;
    }
    b = g_new0(RamBlock, 1);
    if (!host_ram_init(&b->ram, spec, errp)) {
        g_free(b);
        return NULL;
    }
    mutex_lock(&map->blocks_lock);
    if (!find_place(map, b->ram.size, &start, &link)) {
        mutex_unlock(&map->blocks_lock);
        error_set(errp, "RAM block '%s' of %" PRIu64 " bytes does not fit: a machine has 16 TiB of RAM at most", id,
                  spec->size);
        host_ram_finish(&b->ram);
        g_free(b);
        return NULL;
    }
    make_chunks(map, start, b->ram.size);
    b->id = g_strdup(id);
    b->host = b->ram.ptr;
    b->size = b->ram.size;
    b->start = start;
    b->fd = spec->has_fd ? spec->fd : b->ram.fd;
    b->map = map;
    b->refs = 1;
    b->next = *link;
    rcu_store(link, b);
    mutex_unlock(&map->blocks_lock);
    return b;
}

RamBlock *ram_block_new(MemoryMap *map, const char *id, uint64_t size, int fd, Error **errp)
{
    HostRamSpec spec = {
        .size = size,
        .align = size >= BLOCK_ALIGN ? BLOCK_ALIGN : 0,
        .thp = size >= BLOCK_ALIGN,
        .fd = fd,
        .has_fd = fd >= 0,
        .shared = fd >= 0,
        .noreserve = true,
        .name = id,
    };

    return ram_block_new_spec(map, id, &spec, errp);
}

bool ram_block_ref(RamBlock *b)
{
    uint32_t refs = __atomic_load_n(&b->refs, __ATOMIC_RELAXED);

    while (refs > 0) {
        if (__atomic_compare_exchange_n(&b->refs, &refs, refs + 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            return true;
        }
    }
    return false;
}

static void free_block(RcuHead *head)
{
    RamBlock *b = container_of(head, RamBlock, rcu);

    host_ram_finish(&b->ram);
    g_free(b->id);
    g_free(b);
}

void ram_block_unref(RamBlock *b)
{
    MemoryMap *map = b->map;
    RamBlock **p;

    if (__atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    for (DirtyClient c = 0; c < DIRTY_NUM; c++) {
        memory_dirty_mark(map, c, b->start, b->size); /* what comes to this place next starts dirty */
    }
    mutex_lock(&map->blocks_lock);
    for (p = &map->blocks; *p != b; p = &(*p)->next) {
    }
    rcu_store(p, b->next);
    mutex_unlock(&map->blocks_lock);
    rcu_call(&b->rcu, free_block);
}

void ram_block_free(RamBlock *b)
{
    if (b) {
        memory_assert_locked(b->map);
        b->gone = true;
        ram_block_unref(b);
    }
}

/* ---- Dirty pages ---- */

typedef bool WordFn(uint64_t *word, uint64_t mask);

static bool make_dirty(uint64_t *word, uint64_t mask)
{
    if (__atomic_load_n(word, __ATOMIC_RELAXED) & mask) {
        return __atomic_fetch_and(word, ~mask, __ATOMIC_ACQ_REL) & mask;
    }
    return false;
}

/* True iff a page of them was dirty. */
static bool make_clean(uint64_t *word, uint64_t mask)
{
    return ~__atomic_fetch_or(word, mask, __ATOMIC_ACQ_REL) & mask;
}

/* Calls fn with each word of the client's bitmap that [addr, addr + len) has bits in; true iff one call gave true. */
static bool each_word(MemoryMap *map, DirtyClient client, ram_addr addr, uint64_t len, WordFn *fn)
{
    uint64_t page, last;
    bool any = false;

    if (!len) {
        return false;
    }
    last = (addr + len - 1) >> DIRTY_PAGE_BITS;
    assert(last < (uint64_t)1 << (RAM_ADDR_BITS - DIRTY_PAGE_BITS));
    for (page = addr >> DIRTY_PAGE_BITS; page <= last;) {
        uint64_t end = MIN(last, page | 63);
        DirtyChunk *c = rcu_load(&map->chunks[page >> (DIRTY_CHUNK_BITS - DIRTY_PAGE_BITS)]);
        uint64_t mask = bits_mask(end - page + 1) << (page & 63);

        assert(c);
        any |= fn(&c->clean[client][page / 64 % DIRTY_CHUNK_WORDS], mask);
        page = end + 1;
    }
    return any;
}

/* Is one of them clean for the client? */
static bool is_clean(uint64_t *word, uint64_t mask)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED) & mask;
}

/* The usual case in a few loads: all in one page, which nobody has cleaned. */
static bool is_plain_page(MemoryMap *map, ram_addr addr, uint64_t len)
{
    uint64_t page = addr >> DIRTY_PAGE_BITS, word = page / 64 % DIRTY_CHUNK_WORDS, clean = 0;
    DirtyChunk *c = rcu_load(&map->chunks[addr >> DIRTY_CHUNK_BITS]);

    for (DirtyClient i = 0; i < DIRTY_NUM; i++) {
        clean |= __atomic_load_n(&c->clean[i][word], __ATOMIC_RELAXED);
    }
    return !(clean >> (page & 63) & 1) && page == (addr + len - 1) >> DIRTY_PAGE_BITS;
}

void memory_dirty_set(MemoryMap *map, ram_addr addr, uint64_t len)
{
    /* The bytes are there before the bits are read: who cleans a page and then reads it misses neither. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (is_plain_page(map, addr, len)) {
        return;
    }
    if (each_word(map, DIRTY_CODE, addr, len, is_clean)) {
        rcu_enter();
        for (MemoryListener *l = rcu_load(&map->listeners); l; l = rcu_load(&l->next)) {
            if (l->code_written) {
                l->code_written(l, addr, len);
            }
        }
        rcu_leave();
    }
    each_word(map, DIRTY_VGA, addr, len, make_dirty);
    each_word(map, DIRTY_MIGRATION, addr, len, make_dirty);
}

void memory_dirty_mark(MemoryMap *map, DirtyClient client, ram_addr addr, uint64_t len)
{
    each_word(map, client, addr, len, make_dirty);
}

static void tell_cleared(MemoryMap *map, DirtyClient client, ram_addr addr, uint64_t len)
{
    rcu_enter();
    for (MemoryListener *l = rcu_load(&map->listeners); l; l = rcu_load(&l->next)) {
        if (l->dirty_cleared) {
            l->dirty_cleared(l, client, addr, len);
        }
    }
    rcu_leave();
}

bool memory_dirty_test_clear(MemoryMap *map, DirtyClient client, ram_addr addr, uint64_t len)
{
    bool dirty = each_word(map, client, addr, len, make_clean);

    if (dirty) {
        tell_cleared(map, client, addr, len);
    }
    return dirty;
}

void memory_dirty_clear(MemoryMap *map, DirtyClient client, ram_addr addr, uint64_t len)
{
    memory_dirty_test_clear(map, client, addr, len);
}

bool memory_dirty_test(MemoryMap *map, DirtyClient client, ram_addr addr)
{
    return !each_word(map, client, addr, 1, is_clean);
}

bool memory_dirty_any_clean(MemoryMap *map, ram_addr addr)
{
    return !is_plain_page(map, addr, 1);
}

void memory_dirty_log(MemoryMap *map, DirtyClient client, MemoryRegion *mr, bool on)
{
    assert(mr->block);
    if (on) {
        mr->dirty_clients |= 1u << client;
    } else {
        mr->dirty_clients &= ~(1u << client);
        memory_dirty_mark(map, client, mr->block->start, mr->block->size);
    }
}
