/* -blockdev, and commands about disks and nodes: schema in block/commands.json. Texts are QEMU 10.0's. */
#include <stdlib.h>
#include <string.h>

#include "block/commands.gen.h"
#include "block/driver.h"
#include "qapi/json.h"
#include "qapi/schema.h"
#include "softmmu/board.h"
#include "softmmu/options.gen.h"
#include "softmmu/system.h"

BlockContext *system_blocks(System *s)
{
    if (!s->blocks) {
        s->blocks = block_context_new(s->tree, s->loop);
    }
    return s->blocks;
}

/* ---- Adding and deleting ---- */

static bool add_node(System *s, const BlockdevOptions *o, Error **errp)
{
    struct json_object *j;
    bool ok;

    if (!o->node_name) {
        return error_set(errp, "'node-name' must be specified for the root node");
    }
    j = qvalue_to_json(&qtype_BlockdevOptions, o, NULL);
    ok = blockdev_new(system_blocks(s), o->node_name, &(BlockdevNew){.options = j}, errp);
    json_object_put(j);
    return ok;
}

bool blockdevs_apply(System *s, Error **errp)
{
    for (size_t i = 0; i < s->options.len; i++) {
        QOptionRecord *r = s->options.items[i];
        BlockdevOptions o;
        bool ok;

        if (strcmp(r->option->item.name, "blockdev")) {
            continue;
        }
        if (!qoption_read(r, &o, NULL, errp)) {
            return prefix_origin(r, errp);
        }
        ok = add_node(s, &o, errp);
        qvalue_finish(r->option->args, &o, NULL);
        if (!ok) {
            return prefix_origin(r, errp);
        }
    }
    return true;
}

bool qmp_blockdev_add(QCallContext *cc, const BlockdevOptions *args, Error **errp)
{
    return add_node(cc->program, args, errp);
}

bool qmp_blockdev_del(QCallContext *cc, const BlockdevDelArgs *args, Error **errp)
{
    System *s = cc->program;
    BlockDev *b = blockdev_find(s->tree, args->node_name);

    if (!b || blockdev_is_drive(b)) {
        return error_set(errp, "Failed to find node with node-name='%s'", args->node_name);
    }
    return blockdev_delete(s->tree, args->node_name, errp);
}

/* ---- Looking; in the graph's thread ---- */

static ImageInfo *CO_FN image_info(BlockNode *n)
{
    ImageInfo *i = q_calloc(1, sizeof(*i));
    uint64_t size = node_allocated_size(n);
    bool corrupt, compressed;

    i->filename = q_strdup(node_filename(n));
    i->format = q_strdup(node_driver_name(n));
    i->virtual_size = node_length(n);
    i->has_actual_size = size != UINT64_MAX;
    i->actual_size = i->has_actual_size ? size : 0;
    i->has_dirty_flag = strncmp(node_driver_name(n), "null-", 5); /* what has no contents has none */
    if (n->drv->cluster_size) {
        i->has_cluster_size = true;
        i->cluster_size = n->drv->cluster_size(n);
    }
    if (n->drv->flags) {
        n->drv->flags(n, &i->dirty_flag, &corrupt, &compressed);
    }
    if (n->drv->backing_name) {
        n->drv->backing_name(n, &i->backing_filename, &i->backing_filename_format);
    }
    return i;
}

static BlockDeviceInfo *CO_FN node_info(BlockNode *n, bool writethrough)
{
    BlockDeviceInfo *d = q_calloc(1, sizeof(*d));
    const BlockdevOptions *o = node_options(n);

    d->file = q_strdup(node_filename(n));
    d->node_name = q_strdup(node_name(n));
    d->ro = node_is_read_only(n);
    d->drv = q_strdup(node_driver_name(n));
    d->active = true;
    d->detect_zeroes = o->has_detect_zeroes ? o->detect_zeroes : BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF;
    d->image = image_info(n);
    d->cache = q_calloc(1, sizeof(*d->cache));
    d->cache->writeback = !writethrough;
    d->cache->direct = o->cache->direct;
    d->cache->no_flush = o->cache->no_flush;
    if (node_backing(n)) {
        d->backing_file = q_strdup(node_filename(node_backing(n)));
    }
    for (BlockNode *b = node_backing(n); b; b = node_backing(b)) {
        d->backing_file_depth++;
    }
    return d;
}

typedef struct {
    System *s;
    BlockDeviceInfoList *nodes;
    BlockInfoList *disks;
    BlockNode *node;
    uint64_t size;
    Error **errp;
} Query;

static void add_node_info(BlockNode *n, void *opaque)
{
    BlockDeviceInfoList *list = ((Query *)opaque)->nodes;

    list->items = q_realloc(list->items, list->len + 1, sizeof(*list->items));
    list->items[list->len++] = node_info(n, false);
}

static void CO_FN list_nodes(void *opaque)
{
    block_foreach_node(((Query *)opaque)->s->blocks, add_node_info, opaque);
}

bool qmp_query_named_block_nodes(QCallContext *cc, const QueryNamedBlockNodesArgs *args, BlockDeviceInfoList *ret, Error **errp)
{
    Query q = {.s = cc->program, .nodes = ret};

    block_run(system_blocks(q.s), list_nodes, &q);
    return true;
}

/* Who has it, as its path; q_free it. */
static char *user_path(BlockDev *b)
{
    Object *o = (Object *)b;

    for (ObjectLink *l = o->users; l; l = l->next_user) {
        if (object_is_a(l->user, "device")) {
            return object_id(l->user);
        }
    }
    return NULL;
}

static void add_disk(BlockDev *b, void *opaque)
{
    Query *q = opaque;
    BlockInfo *i;

    if (!blockdev_is_drive(b) && !blockdev_is_attached(b)) {
        return; /* a node only */
    }
    i = q_calloc(1, sizeof(*i));
    i->device = q_strdup(blockdev_is_drive(b) ? blockdev_id(b) : "");
    i->qdev = user_path(b);
    i->type = q_strdup("unknown");
    i->inserted = node_info(blockdev_node(b), blockdev_is_writethrough(b));
    q->disks->items = q_realloc(q->disks->items, q->disks->len + 1, sizeof(*q->disks->items));
    q->disks->items[q->disks->len++] = i;
}

static void CO_FN list_disks(void *opaque)
{
    blockdev_foreach(((Query *)opaque)->s->tree, add_disk, opaque);
}

bool qmp_query_block(QCallContext *cc, BlockInfoList *ret, Error **errp)
{
    Query q = {.s = cc->program, .disks = ret};

    block_run(system_blocks(q.s), list_disks, &q);
    return true;
}

void hmp_print_block(QCallContext *cc, const BlockInfoList *ret)
{
    for (size_t i = 0; i < ret->len; i++) {
        const BlockInfo *b = ret->items[i];
        const BlockDeviceInfo *d = b->inserted;

        monitor_printf(cc, "%s%s (%s): %s (%s%s)\n", i ? "\n" : "", *b->device ? b->device : d->node_name, d->node_name, d->file, d->drv,
                       d->ro ? ", read-only" : "");
        if (b->qdev) {
            monitor_printf(cc, "    Attached to:      %s\n", b->qdev);
        }
        monitor_printf(cc, "    Cache mode:       %s%s\n", d->cache->writeback ? "writeback" : "writethrough",
                       d->cache->direct ? ", direct" : d->cache->no_flush ? ", ignore flushes" : "");
        if (d->backing_file) {
            monitor_printf(cc, "    Backing file:     %s (chain depth: %d)\n", d->backing_file, (int)d->backing_file_depth);
        }
    }
}

/* ---- Size ---- */

static void CO_FN do_resize(void *opaque)
{
    Query *q = opaque;

    node_resize(q->node, q->size, true, q->errp);
}

bool qmp_block_resize(QCallContext *cc, const BlockResizeArgs *args, Error **errp)
{
    System *s = cc->program;
    const char *name = args->node_name ? args->node_name : args->device;
    BlockDev *b = name ? blockdev_find(s->tree, name) : NULL;
    Query q = {.s = s, .size = args->size};
    Error *err = NULL;

    if (!b) {
        return error_set(errp, "Cannot find device='%s' nor node-name='%s'", args->device ? args->device : "",
                         args->node_name ? args->node_name : "");
    }
    if (args->size % 512) {
        return error_set(errp, "The new size must be a multiple of 512");
    }
    q.node = blockdev_node(b);
    q.errp = &err;
    block_run(system_blocks(s), do_resize, &q);
    error_propagate(errp, err);
    return !err;
}
