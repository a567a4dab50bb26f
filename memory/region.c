/* Regions and their trees. The contract is in memory/memory.h. */
#include <assert.h>
#include <glib.h>
#include <string.h>

#include "memory/internal.h"

MemoryMap *memory_map_new(FairMutex *lock)
{
    MemoryMap *map = g_new0(MemoryMap, 1);

    map->lock = lock;
    map->last_space = &map->spaces;
    mutex_init(&map->blocks_lock, LOCK_MEMORY);
    return map;
}

void memory_map_free(MemoryMap *map)
{
    if (!map) {
        return;
    }
    assert(!map->spaces && !map->blocks && !map->listeners && !map->depth);
    rcu_wait(); /* readers that mark pages dirty */
    for (size_t i = 0; i < G_N_ELEMENTS(map->chunks); i++) {
        g_free(map->chunks[i]);
    }
    mutex_finish(&map->blocks_lock);
    g_free(map);
}

FairMutex *memory_map_lock(MemoryMap *map)
{
    return map->lock;
}

/* ---- Making ---- */

static void init(MemoryRegion *mr, MemoryMap *map, MemoryRegionKind kind, Object *owner, const char *name,
                 uint64_t size)
{
    *mr = (MemoryRegion){
        .kind = kind,
        .map = map,
        .owner = owner,
        .name = g_strdup(name),
        .size = size,
        .enabled = true,
    };
}

void memory_region_init(MemoryRegion *mr, MemoryMap *map, Object *owner, const char *name, uint64_t size)
{
    init(mr, map, MR_CONTAINER, owner, name, size);
}

void memory_region_init_io(MemoryRegion *mr, MemoryMap *map, Object *owner, const MemoryOps *ops, void *dev,
                           const char *name, uint64_t size)
{
    assert(!ops->read != !ops->read_attrs && !ops->write != !ops->write_attrs);
    init(mr, map, MR_IO, owner, name, size);
    mr->ops = ops;
    mr->dev = dev;
}

static bool init_ram(MemoryRegion *mr, MemoryMap *map, MemoryRegionKind kind, Object *owner, const char *id,
                     uint64_t size, Error **errp)
{
    RamBlock *block = ram_block_new(map, id, size, -1, errp);

    if (!block) {
        return false;
    }
    init(mr, map, kind, owner, strrchr(id, '/') ? strrchr(id, '/') + 1 : id, size);
    mr->block = block;
    mr->owns_block = true;
    mr->readonly = kind == MR_ROM;
    return true;
}

bool memory_region_init_ram(MemoryRegion *mr, MemoryMap *map, Object *owner, const char *id, uint64_t size,
                            Error **errp)
{
    return init_ram(mr, map, MR_RAM, owner, id, size, errp);
}

bool memory_region_init_rom(MemoryRegion *mr, MemoryMap *map, Object *owner, const char *id, uint64_t size,
                            Error **errp)
{
    return init_ram(mr, map, MR_ROM, owner, id, size, errp);
}

bool memory_region_init_romd(MemoryRegion *mr, MemoryMap *map, Object *owner, const MemoryOps *ops, void *dev,
                             const char *id, uint64_t size, Error **errp)
{
    assert(!ops->read != !ops->read_attrs && !ops->write != !ops->write_attrs);
    if (!init_ram(mr, map, MR_ROMD, owner, id, size, errp)) {
        return false;
    }
    mr->ops = ops;
    mr->dev = dev;
    mr->romd_mode = true;
    return true;
}

void memory_region_init_ram_block(MemoryRegion *mr, Object *owner, RamBlock *block)
{
    init(mr, block->map, MR_RAM, owner, block->id, block->size);
    mr->block = block;
}

void memory_region_init_alias(MemoryRegion *mr, MemoryMap *map, Object *owner, const char *name,
                              MemoryRegion *target, hwaddr offset, uint64_t size)
{
    init(mr, map, MR_ALIAS, owner, name, size);
    mr->target = target;
    mr->target_offset = offset;
    target->num_aliases++;
}

void memory_region_finish(MemoryRegion *mr)
{
    if (!mr->map) {
        return;
    }
    assert(!mr->num_children && !mr->num_aliases);
    memory_region_del(mr);
    if (mr->map->pending) {
        memory_update(mr->map); /* in the middle of a transaction: no view may keep it */
    }
    if (mr->target) {
        mr->target->num_aliases--;
    }
    if (mr->owns_block) {
        ram_block_free(mr->block);
    }
    g_free(mr->children);
    g_free(mr->name);
    *mr = (MemoryRegion){0};
}

/* ---- Changes ---- */

void memory_transaction_begin(MemoryMap *map)
{
    memory_assert_locked(map);
    map->depth++;
}

void memory_transaction_commit(MemoryMap *map)
{
    memory_assert_locked(map);
    assert(map->depth > 0);
    if (--map->depth == 0 && map->pending) {
        memory_update(map);
    }
}

static void changed(MemoryMap *map)
{
    memory_assert_locked(map);
    map->pending = true;
    if (map->depth == 0) {
        memory_update(map);
    }
}

/* A change of mr itself matters only where something shows it. */
static void changed_region(MemoryRegion *mr)
{
    if (mr->container || mr->num_aliases || mr->num_children) {
        changed(mr->map);
    }
}

static void insert_child(MemoryRegion *container, MemoryRegion *mr)
{
    unsigned at = 0;

    while (at < container->num_children && container->children[at]->priority > mr->priority) {
        at++;
    }
    container->children = g_renew(MemoryRegion *, container->children, container->num_children + 1);
    memmove(&container->children[at + 1], &container->children[at],
            (container->num_children - at) * sizeof(*container->children));
    container->children[at] = mr;
    container->num_children++;
}

void memory_region_add(MemoryRegion *container, hwaddr addr, MemoryRegion *mr, int priority)
{
    assert(!mr->container && container->map == mr->map && container->kind != MR_ALIAS);
    mr->container = container;
    mr->addr = addr;
    mr->priority = priority;
    insert_child(container, mr);
    changed(mr->map);
}

void memory_region_del(MemoryRegion *mr)
{
    MemoryRegion *c = mr->container;
    unsigned at = 0;

    if (!c) {
        return;
    }
    while (c->children[at] != mr) {
        at++;
    }
    c->num_children--;
    memmove(&c->children[at], &c->children[at + 1], (c->num_children - at) * sizeof(*c->children));
    mr->container = NULL;
    changed(mr->map);
}

void memory_region_set_enabled(MemoryRegion *mr, bool enabled)
{
    if (mr->enabled != enabled) {
        mr->enabled = enabled;
        changed_region(mr);
    }
}

void memory_region_set_address(MemoryRegion *mr, hwaddr addr)
{
    if (mr->addr != addr) {
        mr->addr = addr;
        changed_region(mr);
    }
}

void memory_region_set_size(MemoryRegion *mr, uint64_t size)
{
    assert(!mr->block);
    if (mr->size != size) {
        mr->size = size;
        changed_region(mr);
    }
}

void memory_region_set_alias_offset(MemoryRegion *mr, hwaddr offset)
{
    assert(mr->kind == MR_ALIAS);
    if (mr->target_offset != offset) {
        mr->target_offset = offset;
        changed_region(mr);
    }
}

void memory_region_set_readonly(MemoryRegion *mr, bool readonly)
{
    assert(mr->kind == MR_RAM || mr->kind == MR_ALIAS);
    if (mr->readonly != readonly) {
        mr->readonly = readonly;
        changed_region(mr);
    }
}

void memory_region_set_romd(MemoryRegion *mr, bool romd_mode)
{
    assert(mr->kind == MR_ROMD);
    if (mr->romd_mode != romd_mode) {
        mr->romd_mode = romd_mode;
        changed_region(mr);
    }
}

uint8_t *memory_region_host(MemoryRegion *mr)
{
    assert(mr->block);
    return mr->block->host;
}
