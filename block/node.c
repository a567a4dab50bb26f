/* Nodes of the block graph: names, references, permissions, looking. The contract is in block/node.h. */
#include "block/node.h"

#include <assert.h>
#include <glib.h>
#include <json-c/json.h>
#include <string.h>

#include "block/internal.h"
#include "qapi/visit.h"

/* ---- Looking ---- */

const char *node_name(const BlockNode *n)
{
    return n->name;
}

const char *node_driver_name(const BlockNode *n)
{
    return n->drv->name;
}

const char *node_filename(const BlockNode *n)
{
    return n->filename ? n->filename : "";
}

const char *node_what(const BlockNode *n)
{
    return n->filename && n->filename[0] ? n->filename : n->name;
}

uint64_t node_length(const BlockNode *n)
{
    return __atomic_load_n(&n->length, __ATOMIC_RELAXED);
}

bool node_is_read_only(const BlockNode *n)
{
    return n->read_only;
}

BlockNode *node_backing(const BlockNode *n)
{
    return n->backing ? n->backing->node : NULL;
}

BlockNode *node_file(const BlockNode *n)
{
    return n->file ? n->file->node : NULL;
}

void *node_state(const BlockNode *n)
{
    return n->state;
}

BlockContext *node_context(const BlockNode *n)
{
    return n->ctx;
}

const BlockdevOptions *node_options(const BlockNode *n)
{
    return &n->opts;
}

unsigned node_num_users(const BlockNode *n)
{
    unsigned num = 0;

    list_foreach (BlockChild, c, &n->users, of_node) {
        num++;
    }
    return num;
}

uint64_t CO_FN node_allocated_size(BlockNode *n)
{
    uint64_t sum = 0;

    if (n->drv->allocated_size) {
        return n->drv->allocated_size(n);
    }
    list_foreach (BlockChild, c, &n->children, of_parent) {
        uint64_t size;

        if (c == n->backing) {
            continue;
        }
        size = node_allocated_size(c->node);
        if (size == UINT64_MAX) {
            return UINT64_MAX;
        }
        sum += size;
    }
    return list_is_empty(&n->children) ? UINT64_MAX : sum;
}

BlockNode *block_find_node(BlockContext *ctx, const char *name)
{
    list_foreach (BlockNode, n, &ctx->nodes, link) {
        if (n->name && !strcmp(n->name, name)) { /* one that is being opened has none yet */
            return n;
        }
    }
    return NULL;
}

void block_foreach_node(BlockContext *ctx, void (*fn)(BlockNode *, void *opaque), void *opaque)
{
    list_foreach (BlockNode, n, &ctx->nodes, link) {
        fn(n, opaque);
    }
}

int node_read_now(const BlockNode *n, uint64_t offset, const struct iovec *iov, int num, uint64_t len)
{
    uint64_t skip = 0;

    if (n->drv->id == BLOCKDEV_DRIVER_RAW) {
        skip = n->opts.u.raw.has_offset ? n->opts.u.raw.offset : 0;
        n = n->file->node;
    }
    return n->drv->id == BLOCKDEV_DRIVER_FILE ? file_read_now(n, offset + skip, iov, num, len) : -EAGAIN;
}

/* ---- Life ---- */

BlockNode *node_ref(BlockNode *n)
{
    n->refs++;
    return n;
}

void CO_FN node_unref(BlockNode *n)
{
    if (!n || --n->refs) {
        return;
    }
    assert(list_is_empty(&n->users) && !n->in_flight);
    n->refs = 1; /* while it closes */
    if (n->state) {
        node_flush(n);
        if (n->drv->close) {
            n->drv->close(n);
        }
    }
    while (!list_is_empty(&n->children)) {
        node_unuse(container_of(list_first(&n->children), BlockChild, of_parent));
    }
    list_remove(&n->link);
    n->ctx->num_nodes--;
    io_ranges_finish(&n->ranges);
    co_queue_finish(&n->flush_done);
    qvalue_finish(&qtype_BlockdevOptions, &n->opts, NULL);
    g_free(n->state);
    g_free(n->name);
    g_free(n->filename);
    g_free(n);
}

/* ---- Permissions ---- */

static const char *perm_name(unsigned perm)
{
    return perm & PERM_READ     ? "consistent read"
           : perm & PERM_WRITE  ? "write"
           : perm & PERM_RESIZE ? "resize"
                                : "write unchanged";
}

static void cumulative(const BlockNode *n, unsigned *perm, unsigned *shared)
{
    *perm = 0;
    *shared = PERM_ALL;
    list_foreach (BlockChild, c, &n->users, of_node) {
        *perm |= c->perm;
        *shared &= c->shared;
    }
}

/* What n needs of child c when its own users do `perm` and share `shared`. */
static void needed(const BlockNode *n, const BlockChild *c, unsigned perm, unsigned shared, unsigned out[2])
{
    if (c == n->backing) { /* changed below it, n would change; grown, no */
        out[0] = perm & PERM_READ;
        out[1] = PERM_READ | PERM_WRITE_UNCHANGED;
    } else if (n->drv->is_format) {
        out[0] = PERM_READ | (n->read_only ? 0 : PERM_WRITE | PERM_RESIZE);
        out[1] = PERM_READ | PERM_WRITE_UNCHANGED;
    } else {
        out[0] = perm;
        out[1] = shared;
    }
    if (n->opts.has_force_share && n->opts.force_share) {
        out[1] = PERM_ALL;
    }
}

static bool CO_FN check_child(BlockChild *c, unsigned perm, unsigned shared, Error **errp);

bool CO_FN node_refresh_perms(BlockNode *n, Error **errp)
{
    unsigned perm, shared, want[2];

    cumulative(n, &perm, &shared);
    if (n->drv->set_perm && !n->drv->set_perm(n, perm, shared, errp)) {
        return false;
    }
    list_foreach (BlockChild, c, &n->children, of_parent) {
        needed(n, c, perm, shared, want);
        if (!check_child(c, want[0], want[1], errp)) {
            return false;
        }
    }
    return true;
}

static bool user_conflict(const BlockChild *c, const BlockChild *o, unsigned perm, unsigned shared, Error **errp)
{
    unsigned bad = perm & ~o->shared;
    const char *name = o->parent ? o->parent->name : o->name;

    if (bad) {
        return error_set(errp, "Conflicts with use by %s as '%s', which does not allow '%s' on %s", name,
                         o->parent ? o->name : "root", perm_name(bad), c->node->name);
    }
    bad = o->perm & ~shared;
    if (bad) {
        return error_set(errp, "Conflicts with use by %s as '%s', which uses '%s' on %s", name,
                         o->parent ? o->name : "root", perm_name(bad), c->node->name);
    }
    return true;
}

/* Gives c these; on failure it has what it had. */
static bool CO_FN check_child(BlockChild *c, unsigned perm, unsigned shared, Error **errp)
{
    unsigned old[2] = {c->perm, c->shared};

    if (perm == c->perm && shared == c->shared) {
        return true;
    }
    if (perm & (PERM_WRITE | PERM_RESIZE) && c->node->read_only) {
        return error_set(errp, "Block node '%s' is read-only", c->node->name);
    }
    list_foreach (BlockChild, o, &c->node->users, of_node) {
        if (o != c && !user_conflict(c, o, perm, shared, errp)) {
            return false;
        }
    }
    c->perm = perm;
    c->shared = shared;
    if (!node_refresh_perms(c->node, errp)) {
        c->perm = old[0];
        c->shared = old[1];
        node_refresh_perms(c->node, NULL); /* gives back what was taken */
        return false;
    }
    return true;
}

static void drop_child(BlockChild *c)
{
    list_remove(&c->of_node);
    list_remove(&c->of_parent);
    node_unref(c->node);
    g_free(c->name);
    g_free(c);
}

BlockChild *CO_FN node_use(BlockNode *n, BlockNode *parent, const char *name, unsigned perm, unsigned shared, Error **errp)
{
    BlockChild *c = g_new0(BlockChild, 1);

    c->node = node_ref(n);
    c->parent = parent;
    c->name = g_strdup(name);
    c->shared = PERM_ALL;
    list_append(&n->users, &c->of_node);
    if (parent) {
        list_append(&parent->children, &c->of_parent);
    }
    if (!check_child(c, perm, shared, errp)) {
        drop_child(c);
        return NULL;
    }
    return c;
}

void CO_FN node_unuse(BlockChild *c)
{
    if (!c) {
        return;
    }
    if (c->parent && c->parent->file == c) {
        c->parent->file = NULL;
    }
    if (c->parent && c->parent->backing == c) {
        c->parent->backing = NULL;
    }
    if (c->perm || c->shared != PERM_ALL) {
        c->perm = 0;
        c->shared = PERM_ALL;
        node_refresh_perms(c->node, NULL);
    }
    drop_child(c);
}

bool CO_FN node_set_backing(BlockNode *n, BlockNode *backing, Error **errp)
{
    BlockChild *c = NULL;
    unsigned perm, shared;

    for (BlockNode *b = backing; b; b = node_backing(b)) {
        if (b == n) {
            return error_set(errp, "Making '%s' a backing child of '%s' would create a cycle", backing->name, n->name);
        }
    }
    if (backing) {
        cumulative(n, &perm, &shared);
        c = node_use(backing, n, "backing", perm & PERM_READ, PERM_READ | PERM_WRITE_UNCHANGED, errp);
        if (!c) {
            return false;
        }
    }
    node_unuse(n->backing);
    n->backing = c;
    return true;
}
