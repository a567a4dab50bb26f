/*
 * Flat views: for each address space, the sorted list of what answers where, made from the tree at commit. The contract is in
 * memory/memory.h.
 *
 * Regions are laid highest priority first, each into the holes that are left. Address spaces that come down
 * to the same tree (the DMA views of PCI devices) share one view, and a view that did not change stays.
 */
#include <assert.h>
#include <glib.h>
#include <string.h>

#include "memory/internal.h"

typedef __int128 Wide; /* addresses before they are cut to 64 bits: aliases shift them both ways */

enum { RENDER_DEPTH_MAX = 64 };

typedef struct {
    FlatRange *ranges; /* by address */
    unsigned num, room;
} Draft;

/* ---- Making one view ---- */

/* First range that ends at or above addr. */
static unsigned draft_find(const Draft *d, hwaddr addr)
{
    unsigned lo = 0, hi = d->num;

    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;

        if (d->ranges[mid].last < addr) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static void draft_insert(Draft *d, unsigned at, FlatRange r)
{
    if (d->num == d->room) {
        d->room = d->room ? d->room * 2 : 64;
        d->ranges = g_renew(FlatRange, d->ranges, d->room);
    }
    memmove(&d->ranges[at + 1], &d->ranges[at], (d->num - at) * sizeof(r));
    d->ranges[at] = r;
    d->num++;
}

static FlatRange range_of(MemoryRegion *mr, hwaddr start, hwaddr last, hwaddr offset, bool readonly)
{
    FlatRange r = {
        .start = start,
        .last = last,
        .mr = mr,
        .offset = offset,
        .ram = RAM_ADDR_INVALID,
        .lock = mr->lock ? mr->lock : mr->map->lock,
        .io = mr->kind == MR_IO || mr->kind == MR_ROMD,
        .readonly = readonly,
    };

    if (mr->block) {
        r.host = mr->block->host + offset;
        r.block = mr->block;
        r.ram = mr->block->start + offset;
        r.direct_read = mr->kind != MR_ROMD || mr->romd_mode;
        r.direct_write = mr->kind == MR_RAM && !readonly;
    }
    return r;
}

/* Lays [lo, hi) of mr, whose offset 0 is at base, into the holes of d. */
static void lay(Draft *d, MemoryRegion *mr, Wide base, Wide lo, Wide hi, bool readonly)
{
    unsigned i = draft_find(d, (hwaddr)lo);

    while (lo < hi) {
        Wide end = i < d->num && d->ranges[i].start < hi ? d->ranges[i].start : hi;

        if (lo < end) {
            draft_insert(d, i, range_of(mr, (hwaddr)lo, (hwaddr)(end - 1), (hwaddr)(lo - base), readonly));
            i++;
        }
        if (i == d->num) {
            return;
        }
        lo = (Wide)d->ranges[i].last + 1;
        i++;
    }
}

static void render(Draft *d, MemoryRegion *mr, Wide base, Wide lo, Wide hi, bool readonly, unsigned depth)
{
    if (!mr->enabled || depth > RENDER_DEPTH_MAX) {
        return;
    }
    lo = MAX(lo, base);
    hi = MIN(hi, base + (Wide)region_size(mr));
    if (lo >= hi) {
        return;
    }
    readonly = readonly || mr->readonly;
    if (mr->kind == MR_ALIAS) {
        render(d, mr->target, base - mr->target_offset, lo, hi, readonly, depth + 1);
        return;
    }
    for (unsigned i = 0; i < mr->num_children; i++) {
        render(d, mr->children[i], base + mr->children[i]->addr, lo, hi, readonly, depth + 1);
    }
    if (mr->kind != MR_CONTAINER) {
        lay(d, mr, base, lo, hi, readonly);
    }
}

static bool continues(const FlatRange *a, const FlatRange *b)
{
    return a->mr == b->mr && a->last + 1 == b->start && a->offset + (b->start - a->start) == b->offset &&
           a->readonly == b->readonly;
}

static void merge(Draft *d)
{
    unsigned out = 0;

    for (unsigned i = 0; i < d->num; i++) {
        if (out > 0 && continues(&d->ranges[out - 1], &d->ranges[i])) {
            d->ranges[out - 1].last = d->ranges[i].last;
        } else {
            d->ranges[out++] = d->ranges[i];
        }
    }
    d->num = out;
}

static bool same(const FlatRange *a, const FlatRange *b)
{
    return a->start == b->start && a->last == b->last && a->mr == b->mr && a->offset == b->offset &&
           a->host == b->host && a->block == b->block && a->ram == b->ram && a->lock == b->lock &&
           a->direct_read == b->direct_read && a->direct_write == b->direct_write && a->io == b->io &&
           a->readonly == b->readonly;
}

static bool same_view(const FlatView *v, const Draft *d)
{
    if (v->num != d->num) {
        return false;
    }
    for (unsigned i = 0; i < d->num; i++) {
        if (!same(&v->ranges[i], &d->ranges[i])) {
            return false;
        }
    }
    return true;
}

/* The new view of root; `old` itself when it would be the same. */
static FlatView *view_of(MemoryRegion *root, FlatView *old)
{
    Draft d = {0};
    FlatView *v;

    if (root) {
        render(&d, root, 0, 0, (Wide)1 << 64, false, 0);
        merge(&d);
    }
    if (old && old->root == root && same_view(old, &d)) {
        v = old;
    } else {
        v = g_malloc0(sizeof(*v) + d.num * sizeof(FlatRange));
        v->root = root;
        v->num = d.num;
        if (d.num) {
            memcpy(v->ranges, d.ranges, d.num * sizeof(FlatRange));
        }
    }
    g_free(d.ranges);
    return v;
}

/* ---- All views of a map ---- */

static MemoryRegion *only_enabled_child(MemoryRegion *mr, bool *several)
{
    MemoryRegion *found = NULL;

    *several = false;
    for (unsigned i = 0; i < mr->num_children; i++) {
        if (mr->children[i]->enabled) {
            *several = found;
            found = found ? found : mr->children[i];
        }
    }
    return found;
}

/* A region lower in the tree that gives the same view; NULL: nothing is there at all. */
static MemoryRegion *effective_root(MemoryRegion *mr)
{
    for (unsigned depth = 0; depth < RENDER_DEPTH_MAX; depth++) {
        MemoryRegion *next;
        bool several;

        if (!mr->enabled) {
            return NULL;
        }
        if (mr->kind == MR_ALIAS) {
            if (mr->readonly || mr->target_offset || region_size(mr) < region_size(mr->target)) {
                return mr;
            }
            next = mr->target;
        } else if (mr->kind == MR_CONTAINER) {
            next = only_enabled_child(mr, &several);
            if (!next) {
                return NULL;
            }
            if (several || mr->readonly || next->addr || region_size(mr) < region_size(next)) {
                return mr;
            }
        } else {
            return mr;
        }
        mr = next;
    }
    return mr;
}

static void free_view(RcuHead *head)
{
    g_free(container_of(head, FlatView, rcu));
}

static void drop_view(FlatView *v)
{
    if (v && --v->users == 0) {
        rcu_call(&v->rcu, free_view);
    }
}

/* The view that `as` should have: one made in this round for the same root, or a new one. */
static FlatView *wanted_view(AddressSpace *as)
{
    MemoryRegion *root = effective_root(as->root);

    for (AddressSpace *done = as->map->spaces; done != as; done = done->next) {
        if (done->view && done->view->root == root) {
            return done->view;
        }
    }
    return view_of(root, as->view);
}

void memory_update(MemoryMap *map)
{
    map->pending = false;
    for (AddressSpace *as = map->spaces; as; as = as->next) {
        FlatView *old = as->view;
        FlatView *v = wanted_view(as);

        if (v == old) {
            continue;
        }
        v->users++;
        rcu_store(&as->view, v);
        for (MemoryListener *l = map->listeners; l; l = l->next) {
            if (l->commit && (!l->only || l->only == as)) {
                l->commit(l, as);
            }
        }
        drop_view(old);
    }
}

/* ---- Address spaces ---- */

AddressSpace *address_space_new(MemoryMap *map, MemoryRegion *root, const char *name)
{
    AddressSpace *as = g_new0(AddressSpace, 1);

    memory_assert_locked(map);
    as->map = map;
    as->root = root;
    as->name = g_strdup(name);
    *map->last_space = as;
    map->last_space = &as->next;
    as->view = wanted_view(as);
    as->view->users++;
    return as;
}

static void free_space(RcuHead *head)
{
    AddressSpace *as = container_of(head, AddressSpace, rcu);

    g_free(as->name);
    g_free(as);
}

void address_space_free(AddressSpace *as)
{
    AddressSpace **p;

    if (!as) {
        return;
    }
    memory_assert_locked(as->map);
    for (p = &as->map->spaces; *p != as; p = &(*p)->next) {
    }
    *p = as->next;
    if (as->map->last_space == &as->next) {
        as->map->last_space = p;
    }
    drop_view(as->view);
    rcu_call(&as->rcu, free_space);
}

void address_space_set_owner(AddressSpace *as, Object *owner)
{
    as->owner = owner;
}

const char *address_space_name(const AddressSpace *as)
{
    return as->name;
}

/* ---- Look-up ---- */

static bool holds(const FlatRange *r, hwaddr addr)
{
    return addr >= r->start && addr <= r->last;
}

const FlatRange *flat_find(FlatView *view, hwaddr addr, hwaddr *last)
{
    uint32_t hint = __atomic_load_n(&view->hint, __ATOMIC_RELAXED);
    unsigned lo = 0, hi = view->num;

    if (hint < view->num && holds(&view->ranges[hint], addr)) {
        return &view->ranges[hint];
    }
    while (lo < hi) { /* first range that ends at or above addr */
        unsigned mid = lo + (hi - lo) / 2;

        if (view->ranges[mid].last < addr) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    if (lo == view->num) {
        *last = UINT64_MAX;
        return NULL;
    }
    if (view->ranges[lo].start > addr) {
        *last = view->ranges[lo].start - 1;
        return NULL;
    }
    __atomic_store_n(&view->hint, lo, __ATOMIC_RELAXED);
    return &view->ranges[lo];
}

static uint64_t length(hwaddr first, hwaddr last)
{
    return last - first == UINT64_MAX ? UINT64_MAX : last - first + 1;
}

static MemorySection section_of(const FlatRange *r, hwaddr addr)
{
    uint64_t in = addr - r->start;

    return (MemorySection){
        .mr = r->mr,
        .offset = r->offset + in,
        .len = length(addr, r->last),
        .host = r->direct_read ? r->host + in : NULL,
        .ram = r->block ? r->ram + in : RAM_ADDR_INVALID,
        .readonly = !r->direct_write,
    };
}

MemorySection address_space_section(AddressSpace *as, hwaddr addr)
{
    MemorySection s = { .ram = RAM_ADDR_INVALID };
    const FlatRange *r;
    hwaddr last;

    rcu_enter();
    r = flat_find(rcu_load(&as->view), addr, &last);
    if (r) {
        s = section_of(r, addr);
    } else {
        s.len = length(addr, last);
    }
    rcu_leave();
    return s;
}

void address_space_foreach(AddressSpace *as, bool (*fn)(void *opaque, hwaddr start, const MemorySection *), void *opaque)
{
    const FlatView *v;
    bool go = true;

    rcu_enter();
    v = rcu_load(&as->view);
    for (unsigned i = 0; go && i < v->num; i++) {
        MemorySection s = section_of(&v->ranges[i], v->ranges[i].start);

        go = fn(opaque, v->ranges[i].start, &s);
    }
    rcu_leave();
}

/* ---- Listeners ---- */

void memory_listener_add(MemoryMap *map, MemoryListener *l)
{
    memory_assert_locked(map);
    l->next = map->listeners;
    rcu_store(&map->listeners, l);
}

void memory_listener_del(MemoryMap *map, MemoryListener *l)
{
    MemoryListener **p;

    memory_assert_locked(map);
    for (p = &map->listeners; *p != l; p = &(*p)->next) {
        assert(*p);
    }
    rcu_store(p, l->next);
    rcu_wait();
}
