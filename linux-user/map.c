/* The guest's pages: see map.h. */
#include "linux-user/map.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

enum { PAGE_BITS = 12, LEAF_BITS = 24, MID_BITS = 36, SLOTS = 4096 };

typedef struct {
    _Atomic uintptr_t slot[SLOTS];    /* of 16 MiB each: a leaf, or flags << 1 | 1 */
} Mid;
typedef struct {
    _Atomic uint8_t flags[SLOTS];     /* by page */
} Leaf;

static uintptr_t uniform(uint8_t flags)
{
    return (uintptr_t)flags << 1 | 1;
}

void map_init(UserMap *m)
{
    pthread_mutex_init(&m->lock, NULL);
    for (unsigned n = 0; n < MAP_TOP; n++) {
        atomic_store_explicit(&m->top[n], uniform(0), memory_order_relaxed);
    }
}

/* The flags at addr, and up to where they hold at least. */
static uint8_t look(const UserMap *m, uint64_t addr, uint64_t *end)
{
    uintptr_t e;

    if (addr >= 1ull << 47) {
        *end = UINT64_MAX;
        return 0;
    }
    e = atomic_load_explicit(&m->top[addr >> MID_BITS], memory_order_acquire);
    *end = ((addr >> MID_BITS) + 1) << MID_BITS;
    if (!(e & 1)) {
        e = atomic_load_explicit(&((Mid *)e)->slot[addr >> LEAF_BITS & (SLOTS - 1)], memory_order_acquire);
        *end = ((addr >> LEAF_BITS) + 1) << LEAF_BITS;
    }
    if (!(e & 1)) {
        *end = ((addr >> PAGE_BITS) + 1) << PAGE_BITS;
        return atomic_load_explicit(&((Leaf *)e)->flags[addr >> PAGE_BITS & (SLOTS - 1)], memory_order_acquire);
    }
    return (uint8_t)(e >> 1);
}

uint8_t map_get(const UserMap *m, uint64_t addr)
{
    uint64_t end;

    return look(m, addr, &end);
}

uint64_t map_run(const UserMap *m, uint64_t addr, uint64_t limit, uint8_t *flags)
{
    uint64_t end, next;

    *flags = look(m, addr, &end);
    while (end < limit && look(m, end, &next) == *flags) {
        end = next;
    }
    return end < limit ? end : limit;
}

/* The table below *slot, made of what the slot says of all; NULL: no memory. Tables are never freed: readers have no lock. */
static void *table(_Atomic uintptr_t *slot, bool leaf)
{
    uintptr_t e = atomic_load_explicit(slot, memory_order_relaxed);
    void *t;

    if (!(e & 1)) {
        return (void *)e;
    }
    t = mmap(NULL, leaf ? sizeof(Leaf) : sizeof(Mid), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (t == MAP_FAILED) {
        return NULL;
    }
    for (unsigned n = 0; n < SLOTS; n++) {
        if (!leaf) {
            atomic_store_explicit(&((Mid *)t)->slot[n], e, memory_order_relaxed);
        } else if (e >> 1) {
            atomic_store_explicit(&((Leaf *)t)->flags[n], (uint8_t)(e >> 1), memory_order_relaxed);
        }
    }
    atomic_store_explicit(slot, (uintptr_t)t, memory_order_release);
    return t;
}

static void count(UserMap *m, uint8_t old, uint8_t new)
{
    if ((old ^ new) & MAP_WATCHED) {
        atomic_fetch_add(&m->num_watched, new & MAP_WATCHED ? 1u : ~0u);
    }
}

/* A span that is all of a slot stays one entry; watched pages are counted one by one, so they are never in such. */
static bool change_slot(_Atomic uintptr_t *slot, uint8_t keep, uint8_t set)
{
    uintptr_t e = atomic_load_explicit(slot, memory_order_relaxed);

    if ((e & 1) && !(set & MAP_WATCHED)) {
        atomic_store_explicit(slot, uniform((uint8_t)((uint8_t)(e >> 1) & keep) | set), memory_order_release);
        return true;
    }
    return false;
}

static bool change_leaf(UserMap *m, _Atomic uintptr_t *slot, uint64_t start, uint64_t end, uint8_t keep, uint8_t set)
{
    Leaf *l;

    if (end - start == 1ull << LEAF_BITS && change_slot(slot, keep, set)) {
        return true;
    }
    l = table(slot, true);
    if (!l) {
        return false;
    }
    for (uint64_t a = start; a < end; a += 1u << PAGE_BITS) {
        _Atomic uint8_t *f = &l->flags[a >> PAGE_BITS & (SLOTS - 1)];
        uint8_t old = atomic_load_explicit(f, memory_order_relaxed), new = (uint8_t)((old & keep) | set);

        count(m, old, new);
        atomic_store_explicit(f, new, memory_order_release);
    }
    return true;
}

bool map_change(UserMap *m, uint64_t start, uint64_t end, uint8_t keep, uint8_t set)
{
    while (start < end) {
        _Atomic uintptr_t *top = &m->top[start >> MID_BITS];
        uint64_t mid_end = ((start >> MID_BITS) + 1) << MID_BITS, leaf_end = ((start >> LEAF_BITS) + 1) << LEAF_BITS;
        Mid *mid;

        if (end >= mid_end && !(start & ((1ull << MID_BITS) - 1)) && change_slot(top, keep, set)) {
            start = mid_end;
            continue;
        }
        leaf_end = leaf_end < end ? leaf_end : end;
        mid = table(top, false);
        if (!mid || !change_leaf(m, &mid->slot[start >> LEAF_BITS & (SLOTS - 1)], start, leaf_end, keep, set)) {
            return false;
        }
        start = leaf_end;
    }
    return true;
}

bool map_all(const UserMap *m, uint64_t start, uint64_t end, uint8_t flags)
{
    while (start < end) {
        if ((look(m, start, &start) & flags) != flags) {
            return false;
        }
    }
    return true;
}

bool map_any(const UserMap *m, uint64_t start, uint64_t end, uint8_t flags)
{
    while (start < end) {
        if ((look(m, start, &start) & flags) == flags) {
            return true;
        }
    }
    return false;
}
